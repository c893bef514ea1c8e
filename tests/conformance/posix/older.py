#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
What a mount says of the features that came with ABI 1.4 where one side does not know
them: $OLDER is module, or server.
"""

import array
import fcntl
import glob
import random

from fslib import *

OLDER = os.environ["OLDER"]
SEED = int(os.environ.get("OLDER_SEED", "1"))
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
FS_IOC_FSGETXATTR = 0x801c581f
FIFREEZE, FITHAW = 0xc0045877, 0xc0045878
TOYFS_IOC_USAGE = 2 << 30 | 32 << 16 | 0xe7 << 8 | 1
MAP_SHARED_VALIDATE, MAP_SYNC = 3, 0x80000
PAGE = 4096
NEW_OPS = ("getxattr", "setxattr", "listxattr", "tmpfile", "fallocate", "ioctl", "iget",
           "parent", "freeze", "copy", "create_open")


def open_rw(path):
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def mmap_flags(fd, flags):
    libc.mmap.restype = ctypes.c_void_p
    if libc.mmap(None, ctypes.c_size_t(PAGE), 3, flags, fd, 0) == ctypes.c_void_p(-1).value:
        raise_errno(str(fd))


@case
def extended_attributes(top):
    path = f"{top}/f"
    touch(path)
    for name in ("user.a", "trusted.a", "security.a", "system.posix_acl_access"):
        fails("ENOTSUP", os.setxattr, path, name, b"value")
        fails("ENOTSUP", os.getxattr, path, name)
        fails("ENOTSUP", os.removexattr, path, name)
    same(os.listxattr(path), [])
    # the mode is all that says who may
    os.umask(0o027)
    os.mkdir(f"{top}/d", 0o777)
    same(os.stat(f"{top}/d").st_mode & 0o7777, 0o750)


@case
def inode_flags(top):
    fd = open_rw(f"{top}/f")
    for cmd, size in ((FS_IOC_GETFLAGS, 8), (FS_IOC_SETFLAGS, 8), (FS_IOC_FSGETXATTR, 28)):
        fails("ENOTTY", fcntl.ioctl, fd, cmd, bytearray(size))
    os.close(fd)


@case
def names(top):
    touch(f"{top}/f", b"text")
    fails("ENOTSUP", os.open, top, os.O_TMPFILE | os.O_RDWR)
    fails("EINVAL", rename, f"{top}/f", f"{top}/g", RENAME_WHITEOUT)
    same(os.listdir(top), ["f"])
    # of one call less or more, the same
    fails("EEXIST", os.open, f"{top}/f", os.O_CREAT | os.O_EXCL)
    drop_caches()
    fails("EEXIST", os.open, f"{top}/f", os.O_CREAT | os.O_EXCL)
    drop_caches()
    os.close(os.open(f"{top}/f", os.O_CREAT | os.O_RDWR))
    same(cat(f"{top}/f"), b"text")


@case
def space(top):
    fd = open_rw(f"{top}/f")
    os.pwrite(fd, b"x" * 3 * PAGE, 0)
    for mode in (0, 1, 3, 8, 0x10, 0x20, 0x40):
        fails("ENOTSUP", fallocate, fd, mode, PAGE, PAGE)
    same(os.pread(fd, 4 * PAGE, 0), b"x" * 3 * PAGE)
    os.close(fd)


@case
def handles_and_ioctls(top):
    fd = open_rw(f"{top}/f")
    fails("ENOTSUP", handle_of, f"{top}/f")
    fails("ENOTTY", fcntl.ioctl, fd, TOYFS_IOC_USAGE, bytearray(32))
    fails("ENOTSUP", mmap_flags, fd, MAP_SHARED_VALIDATE | MAP_SYNC)
    os.close(fd)


@case
def holes_are_found(top):
    fd = open_rw(f"{top}/f")
    # more than one answer of the older side holds
    far = 200 << 20
    os.pwrite(fd, b"x", PAGE)
    os.pwrite(fd, b"x", far)
    at, found = 0, []
    for whence in (os.SEEK_DATA, os.SEEK_HOLE) * 2:
        at = os.lseek(fd, at, whence)
        found.append(at)
    same(found, [PAGE, 2 * PAGE, far, far + 1])
    fails("ENXIO", os.lseek, fd, far + 1, os.SEEK_DATA)
    os.close(fd)


@case
def files_are_copied(top):
    data = random.Random(SEED).randbytes(300000)
    touch(f"{top}/from", data)
    source, to = os.open(f"{top}/from", os.O_RDONLY), open_rw(f"{top}/to")
    done = 0
    while done < len(data):
        count = os.copy_file_range(source, to, len(data) - done)
        holds(count > 0, "nothing was copied")
        done += count
    same(cat(f"{top}/to"), data)
    os.close(source)
    os.close(to)


@case
def directories_with_attributes(top):
    for i in range(500):
        touch(f"{top}/{i}", b"x" * i)
    drop_caches()
    same({e.name: e.stat().st_size for e in os.scandir(top)}, {str(i): i for i in range(500)})


@case
def freezing(top):
    fd = os.open(top, os.O_RDONLY)
    touch(f"{top}/f", b"text")
    if OLDER == "module":
        fails("ENOTSUP", fcntl.ioctl, fd, FIFREEZE, array.array("i", [0]))
    else:
        fcntl.ioctl(fd, FIFREEZE, array.array("i", [0]))
        try:
            same(cat(f"{top}/f"), b"text")
        finally:
            fcntl.ioctl(fd, FITHAW, array.array("i", [0]))
    touch(f"{top}/g")
    os.close(fd)


@case
def nothing_new_was_asked(top):
    """Last: all that the others did."""
    for op in NEW_OPS:
        for path in glob.glob(f"/sys/fs/zuf/mounts/*/ops/{op}"):
            with open(path) as file:
                same(file.readline().split()[1], "0", op)


print(f"OLDER_SEED={SEED}")
main()
