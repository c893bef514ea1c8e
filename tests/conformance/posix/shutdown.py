#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Shuts a filesystem down as XFS_IOC_GOINGDOWN does, with files open, mapped and leased.

usage: shutdown.py MOUNTPOINT HOW [FILE]    HOW: 0 sync first, 1 the log, 2 nothing
"""

import fcntl
import mmap
import signal

from fslib import *

FS_IOC_SHUTDOWN = 0x8004587D
PAGE = 4096
TEXT = b"durable when it was shut"


def shut(fd, how):
    fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("=I", how))


def touches(view, off):
    """Exit status or signal of a process that loads a byte there."""
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        view[off]
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def run(top, how, name):
    path = f"{top}/{name}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    if os.fstat(fd).st_size < 2 * PAGE:
        os.ftruncate(fd, 2 * PAGE)
    os.pwrite(fd, TEXT, 0)
    os.fsync(fd)
    size = max(os.fstat(fd).st_size, 1)
    view = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    same(view[0], TEXT[0])
    same(os.pread(fd, 5, 0), TEXT[:5])

    fails("EINVAL", shut, fd, 3)
    as_user(lambda: fails("EPERM", shut, fd, how))
    shut(fd, how)
    shut(fd, how)

    fails("EIO", os.pread, fd, 5, 0)
    fails("EIO", os.pwrite, fd, b"x", 0)
    fails("EIO", os.pwrite, fd, b"x", size + 1)
    fails("EIO", os.ftruncate, fd, 1)
    fails("EIO", os.posix_fallocate, fd, 0, 10 * PAGE)
    fails("EIO", os.fsync, fd)
    fails("EIO", os.open, path, os.O_RDONLY)
    fails("EIO", os.open, f"{top}/late{how}", os.O_RDWR | os.O_CREAT)
    fails("EIO", os.mkdir, f"{top}/late{how}")
    fails("EIO", os.listdir, top)
    fails("EIO", os.statvfs, top)
    if name == str(how):
        fails("EIO", os.setxattr, path, "user.x", b"1")
    # what is mapped stays; nothing else will be
    same(view[0], TEXT[0])
    if size >= 2 * PAGE:
        same(touches(view, PAGE), signal.SIGBUS)
    view.close()
    os.close(fd)


run(os.path.abspath(sys.argv[1]), int(sys.argv[2]), (sys.argv + [sys.argv[2]])[3])
