#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Leases of files (fcntl F_SETLEASE), and who watches: fanotify, inotify."""

import fcntl
import os
import signal
import struct

from fslib import *

FAN_CLASS_NOTIF, FAN_REPORT_DFID_NAME = 0, 0xc00
FAN_MARK_ADD, FAN_MARK_FILESYSTEM = 1, 0x100
FAN_MODIFY, FAN_CREATE, FAN_DELETE = 2, 0x100, 0x200
IN_MODIFY, IN_CREATE, IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE, IN_ATTRIB = 2, 0x100, 0x40, 0x80, 0x200, 4


@case
def a_lease_is_broken_by_who_opens(top):
    path = f"{top}/f"
    touch(path, b"data")
    broken = []
    signal.signal(signal.SIGIO, lambda *_: broken.append(1))
    reader = os.open(path, os.O_RDONLY)
    fcntl.fcntl(reader, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    same(fcntl.fcntl(reader, fcntl.F_GETLEASE), fcntl.F_RDLCK)
    # who reads is no matter, who writes has to wait
    os.close(os.open(path, os.O_RDONLY))
    same(broken, [])
    fails("EAGAIN", os.open, path, os.O_WRONLY | os.O_NONBLOCK)
    await_equal(lambda: len(broken), 1)
    same(fcntl.fcntl(reader, fcntl.F_GETLEASE), fcntl.F_UNLCK)
    fcntl.fcntl(reader, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    os.close(reader)
    # of who writes it is alone
    writer = os.open(path, os.O_RDWR)
    other = os.open(path, os.O_RDONLY)
    fails("EAGAIN", fcntl.fcntl, writer, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    os.close(other)
    fcntl.fcntl(writer, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    fails("EAGAIN", os.open, path, os.O_RDONLY | os.O_NONBLOCK)
    await_equal(lambda: len(broken), 2)
    os.close(writer)


@case
def a_waiting_open_goes_on_when_the_lease_is_given_up(top):
    path = f"{top}/f"
    touch(path)
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    holder = os.open(path, os.O_RDONLY)
    fcntl.fcntl(holder, fcntl.F_SETLEASE, fcntl.F_RDLCK)

    def opens():
        os.close(holder)
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, b"after")

    pid = in_child(opens)
    await_equal(lambda: fcntl.fcntl(holder, fcntl.F_GETLEASE), fcntl.F_UNLCK)
    fcntl.fcntl(holder, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    join(pid)
    same(cat(path), b"after")
    os.close(holder)


def checked(value, what):
    if value < 0:
        raise_errno(what)
    return value


def events_of(fd):
    """[(mask, name)] of inotify."""
    data, at, found = os.read(fd, 65536), 0, []
    while at < len(data):
        _, mask, _, length = struct.unpack_from("=iIII", data, at)
        found.append((mask & 0xffff, data[at + 16:at + 16 + length].rstrip(b"\0").decode()))
        at += 16 + length
    return found


@case
def inotify_tells_what_happens(top):
    fd = checked(libc.inotify_init1(os.O_NONBLOCK), "inotify")
    mask = IN_MODIFY | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB
    checked(libc.inotify_add_watch(fd, os.fsencode(top), mask), "watch")
    touch(f"{top}/a", b"x")
    os.chmod(f"{top}/a", 0o600)
    os.rename(f"{top}/a", f"{top}/b")
    os.truncate(f"{top}/b", 0)
    os.unlink(f"{top}/b")
    same(events_of(fd), [(IN_CREATE, "a"), (IN_MODIFY, "a"), (IN_ATTRIB, "a"), (IN_MOVED_FROM, "a"),
                         (IN_MOVED_TO, "b"), (IN_MODIFY, "b"), (IN_DELETE, "b")])
    os.close(fd)


def fanotify(flags, mask, top, mark=FAN_MARK_ADD):
    fd = checked(libc.fanotify_init(flags, os.O_RDONLY), "fanotify_init")
    checked(libc.fanotify_mark(fd, mark, ctypes.c_uint64(mask), AT_FDCWD, os.fsencode(top)),
            "fanotify_mark")
    return fd


@case
def fanotify_of_the_whole_filesystem_names_inodes(top):
    fd = fanotify(FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | os.O_NONBLOCK,
                  FAN_CREATE | FAN_DELETE | FAN_MODIFY, top, FAN_MARK_ADD | FAN_MARK_FILESYSTEM)
    os.mkdir(f"{top}/d")
    touch(f"{top}/d/f", b"x")
    os.unlink(f"{top}/d/f")
    data, at, found = os.read(fd, 65536), 0, []
    kind, handle = handle_of(f"{top}/d")
    while at < len(data):
        length, _, _, meta, mask = struct.unpack_from("=IBBHQ", data, at)
        # struct fanotify_event_info_fid: header, fsid, then the handle and the name
        size, got = struct.unpack_from("=Ii", data, at + meta + 12)
        name = data[at + meta + 20 + size:at + length].split(b"\0")[0]
        found.append((mask & 0xfff, got, data[at + meta + 20:at + meta + 20 + size], name))
        at += length
    mine = [(mask, name) for mask, got, of, name in found if (got, of) == (kind, handle)]
    union = 0
    for mask, name in mine:
        same(name, b"f")
        union |= mask
    same(union, FAN_CREATE | FAN_MODIFY | FAN_DELETE)
    os.close(fd)


main()
