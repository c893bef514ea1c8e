#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""File handles (open_by_handle_at), and ioctls that zuf passes on."""

import fcntl
import os
import struct

from fslib import *

USAGE = 2 << 30 | 32 << 16 | 0xe7 << 8 | 1
SUM = 3 << 30 | 272 << 16 | 0xe7 << 8 | 2
TOUCH = 0xe7 << 8 | 3


@case
def handles_outlive_the_cache(top):
    os.makedirs(f"{top}/a/b/c")
    touch(f"{top}/a/b/c/f", b"data")
    os.symlink("f", f"{top}/a/l")
    handles = {p: handle_of(f"{top}/{p}") for p in ("", "a", "a/b/c", "a/b/c/f", "a/l")}
    inos = {p: os.lstat(f"{top}/{p}").st_ino for p in handles}
    for cold in (False, True):
        for path, handle in handles.items():
            if cold:
                drop_caches()
            before = asked("iget")
            fd = open_handle(top, handle, os.O_PATH)
            same(os.fstat(fd).st_ino, inos[path], path)
            # the root is always there
            same(asked("iget") - before, int(cold and path not in ("",)), f"{path} cold {cold}")
            os.close(fd)
    drop_caches()
    fd = open_handle(top, handles["a/b/c/f"])
    same(os.read(fd, 10), b"data")
    os.close(fd)
    # a directory is connected up to the root
    drop_caches()
    fd = open_handle(top, handles["a/b/c"])
    same(os.readlink(f"/proc/self/fd/{fd}"), f"{top}/a/b/c")
    same(os.listdir(fd), ["f"])
    os.close(fd)
    os.rename(f"{top}/a/b", f"{top}/moved")
    drop_caches()
    fd = open_handle(top, handles["a/b/c"])
    same(os.readlink(f"/proc/self/fd/{fd}"), f"{top}/moved/c")
    os.close(fd)


@case
def handles_of_what_is_gone_are_stale(top):
    touch(f"{top}/f")
    os.mkdir(f"{top}/d")
    touch(f"{top}/open", b"still here")
    handles = [handle_of(f"{top}/{p}") for p in ("f", "d", "open")]
    fd = os.open(f"{top}/open", os.O_RDONLY)
    os.unlink(f"{top}/f")
    os.rmdir(f"{top}/d")
    os.unlink(f"{top}/open")
    for cold in (False, True):
        for handle in handles[:2]:
            fails("ESTALE", open_handle, top, handle)
        # as long as it is open
        other = open_handle(top, handles[2])
        same((os.read(other, 100), os.fstat(other).st_nlink), (b"still here", 0))
        os.close(other)
        drop_caches()
    os.close(fd)
    fails("ESTALE", open_handle, top, handles[2])
    kind, data = handles[0]
    touch(f"{top}/g")
    good = handle_of(f"{top}/g")
    for bad in ((kind, b"\0" * 16), (kind, b"\xff" * 16), (kind, data[:8]), (0x72, data), (0x33, data),
                (kind, good[1][:8] + struct.pack("=Q", 99))):
        fails("ESTALE", open_handle, top, bad)
    os.close(open_handle(top, good))
    as_user(lambda: fails("EPERM", open_handle, top, good))


@case
def many_handles(top):
    for i in range(500):
        touch(f"{top}/{i}", str(i).encode())
    handles = [handle_of(f"{top}/{i}") for i in range(500)]
    same(len(set(handles)), 500)
    drop_caches()
    for i in range(0, 500, 7):
        fd = open_handle(top, handles[i])
        same(os.read(fd, 10), str(i).encode())
        os.close(fd)


@case
def ioctls_pass(top):
    path = f"{top}/f"
    touch(path, b"x" * 10000)
    fd = os.open(path, os.O_RDWR)
    told(top)  # of what other cases removed
    ino, blocks, inodes, free = struct.unpack("=4Q", fcntl.ioctl(fd, USAGE, b"\0" * 32))
    same((ino, blocks), (os.stat(path).st_ino, 3))
    st = os.statvfs(path)
    same((inodes, free), (st.f_files - st.f_ffree, st.f_bfree))
    numbers = [1, 2**63, 5]
    buf = bytearray(struct.pack("=II3Q", 3, 0, *numbers).ljust(264, b"\0") + b"\0" * 8)
    same(fcntl.ioctl(fd, SUM, buf), sum(numbers) % 10)
    same(struct.unpack_from("=Q", buf, 264)[0], sum(numbers))
    fails("EINVAL", fcntl.ioctl, fd, SUM, bytearray(struct.pack("=II", 33, 0).ljust(272, b"\0")))
    fails("EFAULT", fcntl.ioctl, fd, USAGE, 1)
    fails("EFAULT", fcntl.ioctl, fd, SUM, 1)
    for unknown in (0xe7 << 8 | 9, USAGE + 1, 3 << 30 | 0x3fff << 16 | 0xe7 << 8 | 2, 0x1234):
        fails("ENOTTY", fcntl.ioctl, fd, unknown, bytearray(0x3fff))
    os.close(fd)
    os.chmod(path, 0o644)
    os.chmod(top, 0o755)

    def others():
        reader = os.open(path, os.O_RDONLY)
        fails("EPERM", fcntl.ioctl, reader, TOUCH)
        fcntl.ioctl(reader, USAGE, b"\0" * 32)

    as_user(others)
    same(fcntl.ioctl(os.open(path, os.O_RDONLY), TOUCH), 0)
    same(struct.unpack("=4Q", fcntl.ioctl(os.open(top, os.O_RDONLY), USAGE, b"\0" * 32))[0],
         os.stat(top).st_ino)


main()
