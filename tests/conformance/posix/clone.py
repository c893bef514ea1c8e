#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Files that share blocks: FICLONE, FICLONERANGE, FIDEDUPERANGE, on a mount with reflink."""

import mmap
import random

from fslib import *

PAGE = 4096
FICLONE, FICLONERANGE, FIDEDUPERANGE = 0x40049409, 0x4020940D, 0xC0189436
FS_IOC_SETFLAGS, FS_IMMUTABLE = 0x40086602, 0x10
UNSHARE, PUNCH_KEEP, COLLAPSE = 0x40, 0x3, 0x8
SEED = int(os.environ.get("CLONE_SEED", "1"))


def bytes_of(seed, size):
    return random.Random(seed).randbytes(size)


def make(path, data=b""):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    if data:
        os.pwrite(fd, data, 0)
    return fd


def clone(source, target):
    fcntl.ioctl(target, FICLONE, source)


def clone_range(source, off, length, target, to_off):
    fcntl.ioctl(target, FICLONERANGE, struct.pack("=qQQQ", source, off, length, to_off))


def dedupe(source, off, length, target, to_off):
    """(status, bytes)"""
    buf = bytearray(struct.pack("=QQHHIqQQiI", off, length, 1, 0, 0, target, to_off, 0, 0, 0))
    fcntl.ioctl(source, FIDEDUPERANGE, buf)
    done, status = struct.unpack_from("=Qi", buf, 24 + 16)
    return status, done


def content(fd):
    return os.pread(fd, 1 << 24, 0)


def shared(fd):
    """Bytes that FIEMAP says others have, too."""
    return sum(size for _, _, size, flags in fiemap(fd) if flags & FIEMAP_SHARED)


def free_blocks(top):
    return os.statvfs(top).f_bfree


@case
def a_clone_is_a_file_of_its_own(top):
    data = bytes_of(1, 10 * PAGE + 100)
    source, target = make(f"{top}/source", data), make(f"{top}/target", b"old")
    free = free_blocks(top)
    clone(source, target)
    same(content(target), data)
    holds(free_blocks(top) >= free, "blocks were taken")
    same((shared(source), shared(target)), (11 * PAGE, 11 * PAGE))
    same(os.fstat(target).st_blocks, 88)
    # the one is written to, and the other; whole blocks and parts
    os.pwrite(target, b"T" * PAGE, PAGE)
    os.pwrite(target, b"t", 3 * PAGE + 5)
    os.pwrite(source, b"S" * 2 * PAGE, 5 * PAGE - 7)
    mine, yours = bytearray(data), bytearray(data)
    mine[PAGE:2 * PAGE] = b"T" * PAGE
    mine[3 * PAGE + 5] = ord("t")
    yours[5 * PAGE - 7:7 * PAGE - 7] = b"S" * 2 * PAGE
    same(content(target), bytes(mine))
    same(content(source), bytes(yours))
    same((shared(source), shared(target)), (6 * PAGE, 6 * PAGE))
    # to its end, and on from there
    os.pwrite(target, b"more", len(data) + 50)
    same(content(target)[len(data):], bytes(50) + b"more")
    same(content(source), bytes(yours))
    # who is left has it alone
    os.unlink(f"{top}/source")
    os.close(source)
    same(content(target)[:100], bytes(mine[:100]))


@case
def what_is_shared_is_read_without_calls(top):
    source, target = make(f"{top}/source", bytes_of(2, 64 * PAGE)), make(f"{top}/target")
    clone(source, target)
    same(content(source), content(target))
    before = asked("map")
    for _ in range(10):
        same(content(source), content(target))
    same(asked("map"), before)


@case
def stores_are_not_shared(top):
    data = bytes_of(3, 8 * PAGE)
    source, target = make(f"{top}/source", data), make(f"{top}/target", bytes(8 * PAGE))
    views = [mmap.mmap(fd, 8 * PAGE) for fd in (source, target)]
    private = mmap.mmap(target, 8 * PAGE, mmap.MAP_PRIVATE)
    views[0][0] = 1                         # mapped and dirty before
    same(private[PAGE], 0)
    clone(source, target)
    want = [bytearray(data), bytearray(data)]
    want[0][0] = want[1][0] = 1
    same((views[0][:], views[1][:]), (bytes(want[0]), bytes(want[1])))
    same(private[PAGE], data[PAGE])
    for i, view in enumerate(views):        # pages that were mapped for reading
        for page in range(i, 8, 2):
            view[page * PAGE + 9] = want[i][page * PAGE + 9] = 10 + i
    same((views[0][:], views[1][:]), (bytes(want[0]), bytes(want[1])))
    same((content(source), content(target)), (bytes(want[0]), bytes(want[1])))
    clone(target, source)                   # back, while both are mapped
    same(views[0][:], bytes(want[1]))
    views[1][7 * PAGE] = want[1][7 * PAGE] = 99
    same(views[0][7 * PAGE], want[0][7 * PAGE])
    same(content(target), bytes(want[1]))
    # a read by a lease, a fault, a store, a read: the same bytes to all of them
    clone(source, target)
    content(source)
    same(views[0][5], content(source)[5])
    views[0][5] ^= 255
    same(content(source)[5], views[0][5])
    holds(content(target)[5] != views[0][5], "the store reached the clone")


@case
def ranges(top):
    data = bytes_of(4, 10 * PAGE + 77)
    source, target = make(f"{top}/source", data), make(f"{top}/target", b"x" * (4 * PAGE + 5))
    want = bytearray(b"x" * (4 * PAGE + 5))
    clone_range(source, 2 * PAGE, PAGE, target, PAGE)
    want[PAGE:2 * PAGE] = data[2 * PAGE:3 * PAGE]
    same(content(target), bytes(want))
    # to the end of the source, which is no whole block, behind the target's end
    clone_range(source, 8 * PAGE, 0, target, 7 * PAGE)
    want += bytes(7 * PAGE - len(want))
    want += data[8 * PAGE:]
    same(content(target), bytes(want))
    # in one file
    clone_range(source, 0, 2 * PAGE, source, 20 * PAGE)
    same(content(source), data + bytes(20 * PAGE - len(data)) + data[:2 * PAGE])
    # a hole
    os.ftruncate(source, 100 * PAGE)
    free = free_blocks(top)
    clone_range(source, 50 * PAGE, 2 * PAGE, target, 0)
    want[:2 * PAGE] = bytes(2 * PAGE)
    same(content(target), bytes(want))
    holds(free_blocks(top) > free, "blocks stayed behind a hole")
    fails("EINVAL", clone_range, source, 1, PAGE, target, 0)
    fails("EINVAL", clone_range, source, 0, PAGE, target, 1)
    fails("EINVAL", clone_range, source, 0, PAGE + 1, target, 0)
    fails("EINVAL", clone_range, source, 0, 2 * PAGE, source, PAGE)
    fails("EINVAL", clone_range, source, 200 * PAGE, PAGE, target, 0)
    same(content(target), bytes(want))


@case
def sparse_ones_are_quick(top):
    source, target = make(f"{top}/source"), make(f"{top}/target")
    os.pwrite(source, b"end", 1 << 60)
    before = asked("copy")
    clone(source, target)
    same(asked("copy") - before, 1)
    same((os.fstat(target).st_size, os.fstat(target).st_blocks), ((1 << 60) + 3, 8))
    same(os.pread(target, 9, 1 << 60), b"end")


@case
def behind_the_end_of_the_same_file(top):
    data = bytes_of(5, 6 * PAGE - 100)
    fd = os.open(f"{top}/f", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, data, 0)
    # to make the file longer its last block is zeroed, and what lies around it leased
    clone_range(fd, 0, 4 * PAGE, fd, 20 * PAGE)
    os.pwrite(fd, b"x" * PAGE, PAGE)
    want = data[:PAGE] + b"x" * PAGE + data[2 * PAGE:]
    want += bytes(20 * PAGE - len(want)) + data[:4 * PAGE]
    same(os.pread(fd, 30 * PAGE, 0), want)
    os.close(fd)


@case
def who_may(top):
    source, target = make(f"{top}/source", b"data"), make(f"{top}/target")
    fails("EBADF", clone, os.open(f"{top}/source", os.O_WRONLY), target)
    fails("EBADF", clone, source, os.open(f"{top}/target", os.O_RDONLY))
    fails("EISDIR", clone, os.open(top, os.O_RDONLY), target)
    fails("EXDEV", clone, os.open("/proc/version", os.O_RDONLY), target)
    fcntl.ioctl(target, FS_IOC_SETFLAGS, struct.pack("=q", FS_IMMUTABLE))
    fails("EPERM", clone, source, target)
    fcntl.ioctl(target, FS_IOC_SETFLAGS, struct.pack("=q", 0))
    # as a write: suid goes, times come
    os.fchmod(target, 0o4755)
    old = os.fstat(target)
    as_user(lambda: clone(source, target))
    new = os.fstat(target)
    same(oct(new.st_mode & 0o7777), oct(0o755))
    holds(new.st_mtime_ns > old.st_mtime_ns, "mtime")


@case
def what_is_the_same_is_kept_once(top):
    data = bytes_of(5, 8 * PAGE + 9)
    source, target = make(f"{top}/source", data), make(f"{top}/target", data)
    free, old = free_blocks(top), os.fstat(target)
    same(dedupe(source, 0, len(data), target, 0), (0, len(data)))
    same(free_blocks(top) - free, 9)
    new = os.fstat(target)
    same((new.st_mtime_ns, new.st_ctime_ns, new.st_size), (old.st_mtime_ns, old.st_ctime_ns, old.st_size))
    same((content(target), shared(target)), (data, 9 * PAGE))
    same(dedupe(source, 0, len(data), target, 0), (0, len(data)))    # once more
    # one byte is another one: nothing is done
    os.pwrite(target, b"#", 3 * PAGE + 1)
    free, other = free_blocks(top), content(target)
    same(dedupe(source, 2 * PAGE, 4 * PAGE, target, 2 * PAGE)[0], 1)
    same((content(target), content(source)), (other, data))
    # zeros and a hole are the same
    zeros, hole = make(f"{top}/zeros", bytes(4 * PAGE)), make(f"{top}/hole")
    os.ftruncate(hole, 4 * PAGE)
    same(dedupe(hole, 0, 4 * PAGE, zeros, 0), (0, 4 * PAGE))
    same((os.fstat(zeros).st_blocks, content(zeros)), (0, bytes(4 * PAGE)))
    # a store that is only in a mapping counts
    view = mmap.mmap(target, PAGE)
    view[0] ^= 1
    same(dedupe(source, 0, PAGE, target, 0)[0], 1)
    view[0] ^= 1
    same(dedupe(source, 0, PAGE, target, 0), (0, PAGE))
    fails("EINVAL", dedupe, source, 0, 100 * PAGE, target, 0)


@case
def others_keep_what_one_gives_up(top):
    data = bytes_of(6, 8 * PAGE)
    for number, change in enumerate((
            lambda fd: os.ftruncate(fd, 100),
            lambda fd: fallocate(fd, PUNCH_KEEP, 100, 5 * PAGE),
            lambda fd: fallocate(fd, COLLAPSE, PAGE, 2 * PAGE),
            lambda fd: os.pwrite(fd, b"z" * 8 * PAGE, 0),
            lambda fd: os.copy_file_range(fd, fd, PAGE + 100, 0, 3 * PAGE + 50),
            lambda fd: fallocate(fd, UNSHARE, 0, 8 * PAGE))):
        source, target = make(f"{top}/s{number}", data), make(f"{top}/t{number}")
        clone(source, target)
        change(target)
        same(content(source), data, f"after change {number}")
        again = make(f"{top}/a{number}")
        clone(source, again)
        same(content(again), data)
    same((content(target), shared(target)), (data, 0))


@case
def copies_of_neighbours_lie_in_a_row(top):
    """Whatever order they are written in."""
    blocks = list(range(256))
    source, target = make(f"{top}/source", bytes_of(7, len(blocks) * PAGE)), make(f"{top}/target")
    clone(source, target)
    random.Random(SEED).shuffle(blocks)
    for bn in blocks:
        os.pwrite(target, b"copy", bn * PAGE)
    same(shared(target), 0)
    holds(len(fiemap(target)) <= 16, f"{len(fiemap(target))} extents")


@case
def all_space_comes_back(top):
    free = free_blocks(top)
    files = [make(f"{top}/{i}", bytes_of(i, 32 * PAGE)) for i in range(4)]
    for i in range(4):
        clone_range(files[i], 0, 16 * PAGE, files[(i + 1) % 4], 16 * PAGE)
    for i, fd in enumerate(files):
        os.pwrite(fd, b"new" * PAGE, i * PAGE)
        os.close(fd)
        os.unlink(f"{top}/{i}")
    os.sync()
    same(free_blocks(top), free)


@case
def as_a_model_has_them(top):
    print(f"seed {SEED}")
    draw, pages = random.Random(SEED), 24
    files = [make(f"{top}/{i}", bytes(pages * PAGE)) for i in range(3)]
    views = [mmap.mmap(fd, pages * PAGE) for fd in files]
    model = [bytearray(pages * PAGE) for _ in files]
    for step in range(600):
        a, b = draw.randrange(3), draw.randrange(3)
        what, length = draw.randrange(8), draw.randrange(1, 6) * PAGE
        at, off = (draw.randrange(pages - 6) * PAGE for _ in range(2))
        if what < 3:
            if a == b and off < at + length and at < off + length:
                continue
            clone_range(files[a], off, length, files[b], at)
            model[b][at:at + length] = model[a][off:off + length]
        elif what == 3:
            equal = model[a][off:off + length] == model[b][at:at + length]
            if a == b and off < at + length and at < off + length:
                continue
            same(dedupe(files[a], off, length, files[b], at)[0], 0 if equal else 1, f"step {step}")
        elif what == 4:
            fallocate(files[a], PUNCH_KEEP, at + 10, length)
            model[a][at + 10:at + 10 + length] = bytes(length)
        else:
            data = draw.randbytes(draw.randrange(1, 3 * PAGE))
            at += draw.randrange(PAGE)
            if what == 5:
                views[a][at:at + len(data)] = data
            else:
                os.pwrite(files[a], data, at)
            model[a][at:at + len(data)] = data
        for i in range(3):
            if draw.randrange(2):
                same(os.pread(files[i], pages * PAGE, 0), bytes(model[i]), f"step {step}, file {i}")
            else:
                same(views[i][:], bytes(model[i]), f"step {step}, view {i}")


main()
