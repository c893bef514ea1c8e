#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Ways to read and write a file, and what each promises."""

import mmap
import random
import select
import socket
import subprocess

from fslib import *

PAGE = 4096
MAP_SHARED_VALIDATE, MAP_SYNC = 3, 0x80000
SIZE = 16 * PAGE


def calls():
    """What the server was asked so far, of data."""
    return asked("map") + asked("map_done") + asked("write")


def pattern(size, seed=0):
    return bytes((i * 7 + i // PAGE + seed) & 0xFF for i in range(size))


def make(top, name="f", size=SIZE):
    with open(f"{top}/{name}", "wb") as file:
        file.write(pattern(size))
    return f"{top}/{name}"


@case
def nowait_reads_and_writes_what_is_leased(top):
    path = make(top)
    drop_caches()
    fd = os.open(path, os.O_RDWR)
    buf = bytearray(b"." * PAGE)    # stored to: a page that is not there yet would be EAGAIN
    before = calls()
    # nothing is leased yet: it would have to ask
    fails("EAGAIN", os.preadv, fd, [buf], 0, os.RWF_NOWAIT)
    fails("EAGAIN", os.pwritev, fd, [b"x" * 100], 0, os.RWF_NOWAIT)
    same(calls(), before, "it has asked")
    same(os.pread(fd, SIZE, 0), pattern(SIZE))
    os.pwrite(fd, pattern(SIZE), 0)
    before = calls()
    same(os.preadv(fd, [buf], PAGE, os.RWF_NOWAIT), PAGE)
    same(bytes(buf), pattern(SIZE)[PAGE:2 * PAGE])
    same(os.pwritev(fd, [b"now"], PAGE, os.RWF_NOWAIT), 3)
    same(os.pwritev(fd, [b"and durable"], PAGE + 3, os.RWF_NOWAIT | os.RWF_DSYNC), 11)
    same(os.pread(fd, 14, PAGE), b"nowand durable")
    same(os.preadv(fd, [buf], SIZE, os.RWF_NOWAIT), 0, "at the end")
    # part of it lies behind the end
    same(os.preadv(fd, [buf], SIZE - 10, os.RWF_NOWAIT), 10)
    fails("EAGAIN", os.pwritev, fd, [b"x"], SIZE, os.RWF_NOWAIT)
    # times go to the server before it returns
    fails("EAGAIN", os.pwritev, fd, [b"x"], 0, os.RWF_NOWAIT | os.RWF_SYNC)
    same(calls(), before, "it has asked")
    same(os.fstat(fd).st_size, SIZE)
    # a page of the buffer that is not there
    away = mmap.mmap(-1, PAGE)
    fails("EAGAIN", os.pwritev, fd, [away], 0, os.RWF_NOWAIT)
    same(os.pread(fd, 2, 0), pattern(2))
    os.close(fd)


@case
def append_goes_to_the_end(top):
    path = make(top)
    fd = os.open(path, os.O_RDWR)
    same(os.pwritev(fd, [b"one"], 0, os.RWF_APPEND), 3)
    same(os.pwritev(fd, [b"two"], 5, os.RWF_APPEND | os.RWF_DSYNC), 3)
    same(os.fstat(fd).st_size, SIZE + 6)
    same(os.pread(fd, 6, SIZE), b"onetwo")
    other = os.open(path, os.O_WRONLY | os.O_APPEND)
    pids = []
    for who in range(2):
        pid = os.fork()
        if not pid:
            for i in range(100):
                os.write(other, b"%d%03d" % (who, i))
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        same(os.waitpid(pid, 0)[1], 0)
    data = os.pread(fd, 10000, SIZE + 6)
    same(len(data), 800)
    words = [data[i:i + 4] for i in range(0, 800, 4)]
    same(sorted(words), sorted(b"%d%03d" % (w, i) for w in range(2) for i in range(100)))


@case
def direct_io_of_any_size(top):
    path = make(top)
    fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    buf = mmap.mmap(-1, 2 * PAGE)
    same(os.preadv(fd, [buf], PAGE), 2 * PAGE)
    same(buf[:], pattern(SIZE)[PAGE:3 * PAGE])
    buf[:3] = b"abc"
    same(os.pwritev(fd, [memoryview(buf)[:3]], 5), 3, "unaligned")
    same(os.pread(os.open(path, os.O_RDONLY), 10, 0), pattern(5) + b"abc" + pattern(10)[8:])


@case
def pipes_and_sockets(top):
    path = make(top)
    source = os.open(path, os.O_RDONLY)
    target = os.open(f"{top}/copy", os.O_RDWR | os.O_CREAT)
    here, there = os.pipe()
    done = 0
    while done < SIZE:
        moved = os.splice(source, there, PAGE + 100)
        same(os.splice(here, target, moved), moved)
        done += moved
    same(os.pread(target, 2 * SIZE, 0), pattern(SIZE))
    left, right = socket.socketpair()
    pid = os.fork()
    if not pid:
        off = 0
        while off < SIZE:
            off += os.sendfile(left.fileno(), source, off, SIZE - off)
        os._exit(0)
    data = b""
    while len(data) < SIZE:
        data += right.recv(SIZE)
    same(os.waitpid(pid, 0)[1], 0)
    same(data, pattern(SIZE))
    # to another filesystem the program copies itself
    target = os.open("/run/io-copy", os.O_RDWR | os.O_CREAT)
    fails("EXDEV", os.copy_file_range, source, target, SIZE, 0, 0)
    subprocess.run(["cp", path, "/run/io-copy"], check=True)
    same(open("/run/io-copy", "rb").read(), pattern(SIZE))


@case
def the_server_copies(top):
    path = make(top)
    source = os.open(path, os.O_RDWR)
    target = os.open(f"{top}/copy", os.O_RDWR | os.O_CREAT)
    before, copies = calls(), asked("copy")
    same(os.copy_file_range(source, target, SIZE, 0, 0), SIZE)
    same((asked("copy") - copies, calls() - before), (1, 0))
    same(os.pread(target, 2 * SIZE, 0), pattern(SIZE))
    # more than there is; behind the end; nothing
    same(os.copy_file_range(source, target, 2 * SIZE, SIZE - 10, 0), 10)
    same(os.pread(target, 11, 0), pattern(SIZE)[-10:] + pattern(11)[10:])
    same(os.copy_file_range(source, target, 10, SIZE, 0), 0)
    same(os.copy_file_range(source, target, 0, 0, 0), 0)
    # to a place behind the target's end: zeros between
    os.ftruncate(target, 5)
    same(os.copy_file_range(source, target, 100, PAGE - 50, 3 * PAGE + 7), 100)
    data = os.pread(target, 5 * PAGE, 0)
    same(len(data), 3 * PAGE + 107)
    same(data[5:3 * PAGE + 7], bytes(3 * PAGE + 2))
    same(data[3 * PAGE + 7:], pattern(SIZE)[PAGE - 50:PAGE + 50])
    # in one file
    same(os.copy_file_range(source, source, PAGE, 0, 5 * PAGE + 1), PAGE)
    same(os.pread(source, PAGE, 5 * PAGE + 1), pattern(PAGE))
    fails("EINVAL", os.copy_file_range, source, source, PAGE, 0, 100)
    # what is mapped of the target is what it holds
    view = mmap.mmap(target, PAGE)
    same(view[0], pattern(SIZE)[-10])
    os.copy_file_range(source, target, PAGE, PAGE, 0)
    same(view[:], pattern(SIZE)[PAGE:2 * PAGE])
    view[0] = 77
    os.copy_file_range(target, source, PAGE, 0, 0)
    same(os.pread(source, 1, 0), bytes([77]))
    # suid goes, times change
    os.fchmod(target, 0o4755)
    old = os.fstat(target)
    as_user(lambda: os.copy_file_range(source, target, 10, 0, 0))
    new = os.fstat(target)
    same(oct(new.st_mode & 0o7777), oct(0o755))
    holds(new.st_mtime_ns > old.st_mtime_ns, "mtime")
    # who may
    reader = os.open(path, os.O_RDONLY)
    fails("EBADF", os.copy_file_range, source, reader, 10, 0, 0)
    fails("EBADF", os.copy_file_range, source, os.open(path, os.O_WRONLY | os.O_APPEND), 10, 0, 0)
    fails("EISDIR", os.copy_file_range, os.open(top, os.O_RDONLY), target, 10, 0, 0)


@case
def copies_keep_holes(top):
    source = os.open(f"{top}/sparse", os.O_RDWR | os.O_CREAT)
    os.pwrite(source, b"end", 64 << 20)
    target = os.open(f"{top}/copy", os.O_RDWR | os.O_CREAT)
    size, done = os.fstat(source).st_size, 0
    while done < size:
        done += os.copy_file_range(source, target, size - done, done, done)
    same(os.fstat(target).st_blocks, 8)
    same(os.pread(target, 9, 64 << 20), b"end")


@case
def copies_as_a_model_has_them(top):
    seed = 69
    print(f"seed {seed}")
    draw = random.Random(seed)
    files = [os.open(f"{top}/{i}", os.O_RDWR | os.O_CREAT) for i in range(2)]
    model = [bytearray(), bytearray()]
    for step in range(400):
        a, b = draw.randrange(2), draw.randrange(2)
        at, off, length = (draw.randrange(5 * PAGE) for _ in range(3))
        what = draw.randrange(4)
        if what == 0:
            data = draw.randbytes(length)
            os.pwrite(files[a], data, at)
            model[a].extend(bytes(max(0, at - len(model[a]))))
            model[a][at:at + length] = data
        elif what == 1:
            os.ftruncate(files[a], at)
            model[a] = model[a][:at] + bytes(max(0, at - len(model[a])))
        else:
            length = min(length, max(0, len(model[a]) - off))
            if a == b and off < at + length and at < off + length:
                continue
            done = 0
            while done < length:
                done += os.copy_file_range(files[a], files[b], length - done, off + done, at + done)
            if length:
                data = bytes(model[a][off:off + length])
                model[b].extend(bytes(max(0, at - len(model[b]))))
                model[b][at:at + length] = data
        for i in range(2):
            same(os.pread(files[i], 100 * PAGE, 0), bytes(model[i]), f"step {step}, file {i}")


@case
def advice_changes_nothing(top):
    path = make(top)
    fd = os.open(path, os.O_RDWR)
    for advice in (os.POSIX_FADV_NORMAL, os.POSIX_FADV_SEQUENTIAL, os.POSIX_FADV_RANDOM,
                   os.POSIX_FADV_NOREUSE, os.POSIX_FADV_WILLNEED, os.POSIX_FADV_DONTNEED):
        os.posix_fadvise(fd, 0, 0, advice)
    # there is no page cache to fill
    holds(libc.readahead(fd, ctypes.c_longlong(0), SIZE) in (0, -1), "readahead")
    same(libc.sync_file_range(fd, ctypes.c_longlong(0), ctypes.c_longlong(SIZE), 7), 0)
    same(os.pread(fd, 2 * SIZE, 0), pattern(SIZE))
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLOUT)
    same(poll.poll(0), [(fd, select.POLLIN | select.POLLOUT)])


@case
def swap_files_are_refused(top):
    path = make(top, "swap", 64 * PAGE)
    os.chmod(path, 0o600)
    subprocess.run(["mkswap", path], check=True, capture_output=True)
    fails_c("EINVAL", libc.swapon, os.fsencode(path), 0)
    # and nothing of it stays
    fd = os.open(path, os.O_RDWR)
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"free", 0)
    os.unlink(path)


def fails_c(want, function, *args):
    def call():
        if function(*args) < 0:
            raise_errno("")

    fails(want, call)


def map_sync(fd, size):
    libc.mmap.restype = ctypes.c_void_p
    addr = libc.mmap(None, ctypes.c_size_t(size), mmap.PROT_READ | mmap.PROT_WRITE,
                     MAP_SHARED_VALIDATE | MAP_SYNC, fd, ctypes.c_longlong(0))
    if addr == ctypes.c_void_p(-1).value:
        raise_errno("mmap")
    return addr


@case
def map_sync_where_maps_are_durable(top):
    """toyfs promises nothing of its maps, as they end with the mount."""
    path = make(top)
    fails("ENOTSUP", map_sync, os.open(path, os.O_RDWR), SIZE)
    # where the tests lie it may be known, and then it is not open for writing
    holds(error_of(map_sync, os.open(__file__, os.O_RDONLY), PAGE) in ("ENOTSUP", "EACCES"),
          "another filesystem")


main()
