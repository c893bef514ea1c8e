#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Inode flags of chattr(1), project ids, and what statx(2) tells beyond stat(2)."""

import fcntl
import mmap
import os
import struct

from fslib import *

GETFLAGS, SETFLAGS = 0x80086601, 0x40086602
FSGETXATTR, FSSETXATTR = 0x801c581f, 0x401c5820
SYNC, IMMUTABLE, APPEND, NODUMP, NOATIME = 0x8, 0x10, 0x20, 0x40, 0x80
DIRSYNC, PROJINHERIT, COMPR, EXTENTS = 0x10000, 0x20000000, 0x4, 0x80000
X_IMMUTABLE, X_APPEND, X_SYNC, X_NOATIME, X_NODUMP, X_PROJINHERIT = 0x8, 0x10, 0x20, 0x40, 0x80, 0x200
A_IMMUTABLE, A_APPEND, A_NODUMP = 0x10, 0x20, 0x40
BTIME = 0x800


def on(path, function, *args):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return function(fd, *args)
    finally:
        os.close(fd)


def flags(path):
    return struct.unpack("=I", on(path, fcntl.ioctl, GETFLAGS, b"\0" * 8)[:4])[0]


def set_flags(path, value):
    on(path, fcntl.ioctl, SETFLAGS, struct.pack("=Q", value))


def fsx(path):
    """(xflags, project id)"""
    got = struct.unpack("=IIIII8x", on(path, fcntl.ioctl, FSGETXATTR, b"\0" * 28))
    return got[0], got[3]


def set_fsx(path, xflags, projid, extsize=0):
    on(path, fcntl.ioctl, FSSETXATTR, struct.pack("=IIIII8x", xflags, extsize, 0, projid, 0))


def statx(path):
    """(mask, attributes, attributes that may be, btime in ns)"""
    buf = ctypes.create_string_buffer(256)
    if libc.syscall(SYS_STATX, AT_FDCWD, os.fsencode(path), AT_SYMLINK_NOFOLLOW, 0xfff, buf):
        raise_errno(path)
    mask, = struct.unpack_from("=I", buf, 0)
    attributes, = struct.unpack_from("=Q", buf, 8)
    may, = struct.unpack_from("=Q", buf, 56)
    sec, nsec = struct.unpack_from("=qI", buf, 80)
    return mask, attributes, may, sec * 10**9 + nsec


@case
def each_flag_is_kept(top):
    touch(f"{top}/file")
    os.mkdir(f"{top}/dir")
    both = [SYNC, IMMUTABLE, APPEND, NODUMP, NOATIME]
    for name, values in (("file", both), ("dir", both + [DIRSYNC, PROJINHERIT])):
        path = f"{top}/{name}"
        same(flags(path), 0)
        for value in values + [NODUMP | NOATIME | SYNC]:
            set_flags(path, value)
            same(hex(flags(path)), hex(value), name)
            drop_caches()
            same(hex(flags(path)), hex(value), name)
        set_flags(path, 0)
    for value in (COMPR, EXTENTS, 0x80000000):
        fails("ENOTSUP", set_flags, f"{top}/file", value)
    for value in (DIRSYNC, PROJINHERIT):
        fails("EINVAL", set_flags, f"{top}/file", value)
    same(flags(f"{top}/file"), 0)


@case
def both_interfaces_agree(top):
    touch(f"{top}/f")
    set_flags(f"{top}/f", NODUMP | NOATIME)
    same(fsx(f"{top}/f"), (X_NODUMP | X_NOATIME, 0))
    set_fsx(f"{top}/f", X_SYNC | X_APPEND, 77)
    same((flags(f"{top}/f"), fsx(f"{top}/f")), (SYNC | APPEND, (X_SYNC | X_APPEND, 77)))
    drop_caches()
    same((flags(f"{top}/f"), fsx(f"{top}/f")), (SYNC | APPEND, (X_SYNC | X_APPEND, 77)))
    set_flags(f"{top}/f", 0)
    same(fsx(f"{top}/f"), (0, 77), "the project stays")
    fails("ENOTSUP", set_fsx, f"{top}/f", 0x800, 77, 4096)      # an extent size hint
    set_fsx(f"{top}/f", 0, 2**32 - 2)
    drop_caches()
    same(fsx(f"{top}/f"), (0, 2**32 - 2))


@case
def immutable_is_immutable(top):
    path = f"{top}/f"
    touch(path, b"data" * 2000)
    fd = os.open(path, os.O_RDWR)
    view = mmap.mmap(fd, 8000)
    set_flags(path, IMMUTABLE)
    os.mkdir(f"{top}/d")
    touch(f"{top}/d/in")
    set_flags(f"{top}/d", IMMUTABLE)
    for function, *args in ((os.open, path, os.O_WRONLY), (os.unlink, path), (os.chmod, path, 0),
                            (os.rename, path, path + "2"), (os.link, path, path + "2"),
                            (os.chown, path, 1, 1), (os.truncate, path, 1), (os.utime, path),
                            (os.setxattr, path, "user.a", b"1"), (os.pwrite, fd, b"x", 0),
                            (os.ftruncate, fd, 0), (touch, f"{top}/d/new"),
                            (os.unlink, f"{top}/d/in"), (os.mkdir, f"{top}/d/sub"),
                            (os.rmdir, f"{top}/d")):
        fails("EPERM", function, *args)
    same(cat(path), b"data" * 2000)
    same(cat(f"{top}/d/in"), b"")
    if not lacks("immutable-mappings"):
        pid = os.fork()
        if not pid:
            view[0] = 1                 # SIGBUS: it was not written to before
            os._exit(0)
        same(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), -7, "a store through a mapping")
    set_flags(path, 0)
    set_flags(f"{top}/d", 0)
    os.pwrite(fd, b"D", 0)
    view[1] = ord("A")
    same(cat(path)[:4], b"DAta")
    view.close()
    os.close(fd)


@case
def append_only_appends(top):
    path = f"{top}/f"
    touch(path, b"one")
    set_flags(path, APPEND)
    for mode in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND | os.O_TRUNC):
        fails("EPERM", os.open, path, mode)
    fails("EPERM", os.unlink, path)
    fails("EPERM", os.truncate, path, 1)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"two")
    fails("EPERM", os.ftruncate, fd, 0)
    os.close(fd)
    same(cat(path), b"onetwo")
    set_flags(path, 0)


@case
def noatime_keeps_atime(top):
    for name, want in (("a", True), ("b", False)):
        path = f"{top}/{name}"
        touch(path, b"data")
        set_flags(path, 0 if want else NOATIME)
        os.utime(path, ns=(1, 10**9))
        cat(path)
        same(os.stat(path).st_atime_ns != 1, want, name)


@case
def who_may_set_them(top):
    os.chmod(top, 0o777)
    touch(f"{top}/f")
    os.chown(f"{top}/f", NOBODY, NOBODY)
    as_user(set_flags, f"{top}/f", NODUMP)
    as_user(lambda: fails("EPERM", set_flags, f"{top}/f", NODUMP | IMMUTABLE))
    as_user(lambda: fails("EPERM", set_flags, f"{top}/f", NODUMP | APPEND))
    os.chown(f"{top}/f", 0, 0)
    as_user(lambda: fails("EPERM", set_flags, f"{top}/f", 0))
    same(flags(f"{top}/f"), NODUMP)


@case
def new_inodes_inherit(top):
    os.mkdir(f"{top}/d")
    set_fsx(f"{top}/d", X_PROJINHERIT | X_NODUMP | X_NOATIME, 5)
    touch(f"{top}/d/f")
    os.mkdir(f"{top}/d/d")
    drop_caches()
    same(fsx(f"{top}/d/f"), (X_NODUMP | X_NOATIME, 5))
    same(fsx(f"{top}/d/d"), (X_PROJINHERIT | X_NODUMP | X_NOATIME, 5))
    # into a project's folder come only its own
    touch(f"{top}/other")
    fails("EXDEV", os.rename, f"{top}/other", f"{top}/d/x")
    fails("EXDEV", os.link, f"{top}/other", f"{top}/d/x")
    set_fsx(f"{top}/other", 0, 5)
    os.link(f"{top}/other", f"{top}/d/x")
    os.rename(f"{top}/other", f"{top}/d/y")
    touch(f"{top}/third")
    fails("EXDEV", rename, f"{top}/d/f", f"{top}/third", RENAME_EXCHANGE)
    os.rename(f"{top}/d/f", f"{top}/out")
    same(fsx(f"{top}/out"), (X_NODUMP | X_NOATIME, 5))


@case
def flags_change_ctime(top):
    touch(f"{top}/f", b"data")
    before = os.stat(f"{top}/f")
    tick()
    set_flags(f"{top}/f", NODUMP)
    after = os.stat(f"{top}/f")
    same(after.st_mtime_ns, before.st_mtime_ns)
    holds(after.st_ctime_ns > before.st_ctime_ns, "ctime")


@case
def statx_tells(top):
    path = f"{top}/f"
    touch(path)
    mask, attributes, may, born = statx(path)
    holds(mask & BTIME, "has a time of birth")
    same(attributes & (A_IMMUTABLE | A_APPEND | A_NODUMP), 0)
    same(may & (A_IMMUTABLE | A_APPEND | A_NODUMP), A_IMMUTABLE | A_APPEND | A_NODUMP)
    same(born, os.stat(path).st_ctime_ns, "of a new file")
    for value, bit in ((NODUMP, A_NODUMP), (APPEND, A_APPEND), (IMMUTABLE, A_IMMUTABLE)):
        set_flags(path, value)
        same(statx(path)[1] & (A_IMMUTABLE | A_APPEND | A_NODUMP), bit)
    set_flags(path, 0)
    tick()
    with open(path, "ab") as file:
        file.write(b"more")
    os.rename(path, path + "2")
    os.utime(path + "2", ns=(1, 1))
    drop_caches()
    same(statx(path + "2")[3], born)
    for make in (os.mkdir, os.mkfifo, lambda p: os.symlink("x", p)):
        make(f"{top}/{make.__name__}")
        holds(statx(f"{top}/{make.__name__}")[3] >= born, make.__name__)


main()
