#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Blocks that were allocated and never written to: what they read as, and how they end."""

import mmap

from fslib import *

BLOCK = 4096
FICLONE, FICLONERANGE = 0x40049409, 0x4020940D
UNWRITTEN = 0x800


def allocated(path, blocks):
    """A file of so many unwritten blocks, which are those of one full of data before."""
    old = os.open(path + ".old", os.O_RDWR | os.O_CREAT)
    os.pwrite(old, b"secret!!" * (blocks * BLOCK // 8), 0)
    os.close(old)
    os.unlink(path + ".old")
    drop_caches()
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fallocate(fd, 0, 0, blocks * BLOCK)
    return fd


def content(fd):
    return os.pread(fd, 1 << 24, 0)


def told_as(letters):
    """What of them can be told apart here."""
    return letters.replace("U", "-") if lacks("fiemap") else letters


def data_or_not(fd):
    os.fsync(fd)
    size = (os.fstat(fd).st_size + BLOCK - 1) // BLOCK
    return "".join("D" if seek(fd, bn * BLOCK, os.SEEK_DATA) == bn * BLOCK else "-"
                   for bn in range(size))


def state(fd):
    """A letter for each block of the file: D data, U unwritten, - a hole."""
    if lacks("fiemap"):
        return data_or_not(fd)
    size = (os.fstat(fd).st_size + BLOCK - 1) // BLOCK
    letters = ["-"] * size
    for logical, _, length, flags in fiemap(fd):
        for bn in range(logical // BLOCK, (logical + length) // BLOCK):
            if bn < size:
                letters[bn] = "U" if flags & UNWRITTEN else "D"
    return "".join(letters)


@case
def reads_as_zeros_and_is_told_apart(top):
    fd = allocated(f"{top}/f", 10)
    same((content(fd), state(fd)), (bytes(10 * BLOCK), told_as("UUUUUUUUUU")))
    same(os.fstat(fd).st_blocks, 80)
    same((seek(fd, 0, os.SEEK_DATA), seek(fd, 5, os.SEEK_HOLE)), ("ENXIO", 5))
    direct = os.open(f"{top}/f", os.O_RDONLY | os.O_DIRECT)
    buf = mmap.mmap(-1, 10 * BLOCK)
    buf[:] = b"x" * len(buf)
    same((os.preadv(direct, [buf], 0), buf[:]), (10 * BLOCK, bytes(10 * BLOCK)))
    content(fd)
    before = asked("map")
    for _ in range(10):
        content(fd)
    same(asked("map"), before, "calls, to read it again")
    os.close(direct)
    os.close(fd)


@case
def a_write_ends_it_where_it_goes(top):
    fd = allocated(f"{top}/f", 10)
    content(fd)                             # it is leased as it is
    free = os.statvfs(top).f_bfree
    os.pwrite(fd, b"data", 3 * BLOCK + 100)
    os.pwrite(fd, b"D" * (2 * BLOCK), 6 * BLOCK - 1)
    want = bytearray(10 * BLOCK)
    want[3 * BLOCK + 100:3 * BLOCK + 104] = b"data"
    want[6 * BLOCK - 1:8 * BLOCK - 1] = b"D" * (2 * BLOCK)
    same(content(fd), bytes(want))
    same(state(fd), told_as("UUUDUDDDUU"))
    same(os.statvfs(top).f_bfree, free, "free blocks, of which none was needed")
    same([seek(fd, off, os.SEEK_DATA) for off in (0, 4 * BLOCK)], [3 * BLOCK, 5 * BLOCK])
    drop_caches()
    same(content(fd), bytes(want))
    os.close(fd)


@case
def mappings_see_zeros_and_then_the_data(top):
    fd = allocated(f"{top}/f", 8)
    view = mmap.mmap(fd, 8 * BLOCK)
    same(view[:], bytes(8 * BLOCK))
    same(state(fd), told_as("UUUUUUUU"), "reading a page writes nothing")
    view[2 * BLOCK + 5] = 7                 # a page that was mapped for reading
    os.pwrite(fd, b"written", 4 * BLOCK)    # and one that is mapped still
    want = bytearray(8 * BLOCK)
    want[2 * BLOCK + 5] = 7
    want[4 * BLOCK:4 * BLOCK + 7] = b"written"
    same((view[:], content(fd), state(fd)), (bytes(want), bytes(want), told_as("UUDUDUUU")))
    other = allocated(f"{top}/g", 4)
    store = mmap.mmap(other, 4 * BLOCK)
    store[BLOCK] = 9                        # the first thing of all is a store
    same((content(other), state(other)),
         (bytes(BLOCK) + b"\x09" + bytes(3 * BLOCK - 1), told_as("UDUU")))
    for file in (fd, other):
        os.close(file)


@case
def other_calls(top):
    fd = allocated(f"{top}/f", 10)
    os.pwrite(fd, b"A" * BLOCK, 0)
    os.pwrite(fd, b"B" * BLOCK, 9 * BLOCK)
    fallocate(fd, PUNCH | KEEP, 2 * BLOCK + 10, 2 * BLOCK)
    same(content(fd), b"A" * BLOCK + bytes(8 * BLOCK) + b"B" * BLOCK)
    same(state(fd)[3], "-")
    fallocate(fd, COLLAPSE, BLOCK, 4 * BLOCK)
    same((content(fd), state(fd)), (b"A" * BLOCK + bytes(4 * BLOCK) + b"B" * BLOCK, told_as("DUUUUD")))
    fallocate(fd, INSERT, BLOCK, BLOCK)
    same(state(fd), told_as("D-UUUUD"))
    # what was data is unwritten again, and the rest of its blocks zeros
    fallocate(fd, ZERO, 100, 6 * BLOCK + 100)
    same(content(fd), b"A" * 100 + bytes(6 * BLOCK + 100) + b"B" * (BLOCK - 200))
    same(state(fd), told_as("DUUUUUD"))
    os.ftruncate(fd, 2 * BLOCK + 1)
    os.ftruncate(fd, 4 * BLOCK)
    same(content(fd), b"A" * 100 + bytes(4 * BLOCK - 100))
    target = os.open(f"{top}/g", os.O_RDWR | os.O_CREAT)
    os.pwrite(target, b"old" * 8192, 0)
    same(os.copy_file_range(fd, target, 4 * BLOCK, 0, 10), 4 * BLOCK)
    same(content(target)[:4 * BLOCK + 10],
         (b"old" * 8192)[:10] + b"A" * 100 + bytes(4 * BLOCK - 100))
    for file in (fd, target):
        os.close(file)


@case
def clones_of_it_read_the_same(top):
    fd, target = allocated(f"{top}/f", 6), os.open(f"{top}/g", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"data" * 1024, BLOCK)
    os.pwrite(target, b"x" * (6 * BLOCK), 0)
    fcntl.ioctl(target, FICLONE, fd)
    want = bytes(BLOCK) + b"data" * 1024 + bytes(4 * BLOCK)
    same((content(fd), content(target)), (want, want))
    os.pwrite(target, b"t", 3 * BLOCK)
    os.pwrite(fd, b"s", 4 * BLOCK)
    same(content(fd), want[:4 * BLOCK] + b"s" + want[4 * BLOCK + 1:])
    same(content(target), want[:3 * BLOCK] + b"t" + want[3 * BLOCK + 1:])
    # over it
    other = allocated(f"{top}/h", 6)
    fcntl.ioctl(other, FICLONERANGE, struct.pack("=qQQQ", target, 0, 0, 0))
    same(content(other), content(target))
    for file in (fd, target, other):
        os.close(file)


@case
def all_space_comes_back(top):
    free = os.statvfs(top).f_bfree
    fd = allocated(f"{top}/f", 64)
    os.pwrite(fd, b"data", 7 * BLOCK)
    fallocate(fd, KEEP, 80 * BLOCK, 20 * BLOCK)     # behind the end
    fails("ENOSPC", fallocate, fd, 0, 0, 1 << 40)
    same(free - os.statvfs(top).f_bfree, 84)
    os.ftruncate(fd, 5 * BLOCK)
    os.close(fd)
    os.unlink(f"{top}/f")
    os.sync()
    same(os.statvfs(top).f_bfree, free)


main()
