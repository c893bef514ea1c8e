#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Changes that toyfs makes by itself (TOYFS_IOC_REMOTE): names, attributes and who watches
them follow, and what was not changed stays in the kernel's memory.
"""

import fcntl
import select
import stat

from fslib import *

REMOTE = 1 << 30 | 264 << 16 | 0xE7 << 8 | 4
CREATE, REMOVE, RENAME, CHMOD, UNTOLD = range(1, 6)
IN_MODIFY, IN_ATTRIB, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 2, 4, 0x40, 0x80, 0x100, 0x200
IN_ISDIR, IN_NONBLOCK = 0x40000000, 0o4000
WATCHED = IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
REG, DIR = stat.S_IFREG, stat.S_IFDIR


def remote_ioctl(fd, what, name="", mode=0, to=""):
    args = struct.pack("=II128s128s", what, mode, os.fsencode(name), os.fsencode(to))
    return fcntl.ioctl(fd, REMOTE, args, False) if what != UNTOLD else fcntl.ioctl(
        fd, REMOTE, bytearray(args), True)


def remote(top, *args, **kwargs):
    """Change, and wait until the kernel has been told."""
    fd = os.open(top, os.O_RDONLY)
    remote_ioctl(fd, *args, **kwargs)
    while remote_ioctl(fd, UNTOLD):
        select.select([], [], [], 0.001)
    os.close(fd)


class Watch:
    def __init__(self, path, mask=WATCHED):
        self.fd = libc.inotify_init1(IN_NONBLOCK)
        holds(self.fd >= 0, "inotify_init1")
        if libc.inotify_add_watch(self.fd, os.fsencode(path), mask) < 0:
            raise_errno(path)

    def events(self):
        """[(mask, cookie, name)] that have come."""
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return []
        found, at = [], 0
        while at < len(data):
            _, mask, cookie, length = struct.unpack_from("=iIII", data, at)
            at += 16
            found.append((mask, cookie, os.fsdecode(data[at:at + length].rstrip(b"\0"))))
            at += length
        return found

    def close(self):
        os.close(self.fd)


@case
def names_come_and_go(top):
    fails("ENOENT", os.stat, f"{top}/new")
    before = asked("lookup")
    fails("ENOENT", os.stat, f"{top}/new")
    same(asked("lookup"), before, "the absence was not kept")
    remote(top, CREATE, "new", REG | 0o640)
    same(oct(os.stat(f"{top}/new").st_mode), oct(REG | 0o640))
    same(os.listdir(top), ["new"])
    remote(top, REMOVE, "new")
    fails("ENOENT", os.stat, f"{top}/new")
    same(os.listdir(top), [])
    links = os.stat(top).st_nlink
    remote(top, CREATE, "dir", DIR | 0o755)
    same(os.stat(top).st_nlink, links + 1, "links of the directory")
    touch(f"{top}/dir/f")
    fd = os.open(top, os.O_RDONLY)
    fails("ENOTEMPTY", remote_ioctl, fd, REMOVE, "dir")
    fails("EEXIST", remote_ioctl, fd, CREATE, "dir", DIR)
    for bad in ("", "a/b", ".", "..", "x" * 128):
        fails("EINVAL", remote_ioctl, fd, CREATE, bad, REG)
    os.chmod(top, 0o755)
    as_user(lambda: fails("EPERM", remote_ioctl, os.open(top, os.O_RDONLY), CREATE, "x", REG))
    os.close(fd)


@case
def open_files_outlive_their_names(top):
    touch(f"{top}/f", b"text")
    fd = os.open(f"{top}/f", os.O_RDWR)
    remote(top, REMOVE, "f")
    fails("ENOENT", os.stat, f"{top}/f")
    same(os.fstat(fd).st_nlink, 0)
    same(os.pread(fd, 10, 0), b"text")
    os.close(fd)
    touch(f"{top}/g")
    os.mkdir(f"{top}/d")
    here = os.getcwd()
    os.chdir(f"{top}/d")
    remote(top, REMOVE, "d")
    fails("ENOENT", os.getcwd)
    fails("ENOENT", touch, "inside")
    os.chdir(here)
    remote(top, CREATE, "d", DIR | 0o755)
    same(os.listdir(f"{top}/d"), [])


@case
def renames_carry_over(top):
    touch(f"{top}/a", b"A")
    touch(f"{top}/b", b"B")
    fd = os.open(f"{top}/b", os.O_RDONLY)
    ino = os.stat(f"{top}/a").st_ino
    remote(top, RENAME, "a", to="b")
    fails("ENOENT", os.stat, f"{top}/a")
    same(os.stat(f"{top}/b").st_ino, ino)
    same(os.read(fd, 9), b"B")
    same(os.fstat(fd).st_nlink, 0)
    os.close(fd)
    remote(top, RENAME, "b", to="c")
    same(os.listdir(top), ["c"])
    same(open(f"{top}/c").read(), "A")


@case
def attributes_follow(top):
    touch(f"{top}/f")
    os.chmod(f"{top}/f", 0o600)
    os.chmod(top, 0o755)
    as_user(lambda: fails("EACCES", os.open, f"{top}/f", os.O_RDONLY))
    before = os.stat(f"{top}/f")
    calls = asked("getattr")
    os.stat(f"{top}/f")
    same(asked("getattr"), calls, "attributes were not kept")
    remote(top, CHMOD, "f", 0o644)
    as_user(lambda: os.close(os.open(f"{top}/f", os.O_RDONLY)))
    after = os.stat(f"{top}/f")
    same(oct(after.st_mode), oct(REG | 0o644))
    holds(after.st_ctime_ns > before.st_ctime_ns, "ctime")


@case
def who_watches_is_told(top):
    touch(f"{top}/f")
    watch = Watch(top)
    remote(top, CREATE, "new", REG | 0o600)
    same(watch.events(), [(IN_CREATE, 0, "new")])
    remote(top, CREATE, "dir", DIR | 0o700)
    same(watch.events(), [(IN_CREATE | IN_ISDIR, 0, "dir")])
    remote(top, RENAME, "new", to="newer")
    events = watch.events()
    same([(mask, name) for mask, _, name in events], [(IN_MOVED_FROM, "new"), (IN_MOVED_TO, "newer")])
    holds(events[0][1] == events[1][1] != 0, "one cookie for both")
    remote(top, REMOVE, "newer")
    same(watch.events(), [(IN_DELETE, 0, "newer")])
    remote(top, CHMOD, "f", 0o755)
    same(watch.events(), [(IN_ATTRIB, 0, "f")])
    watch.close()
    watch = Watch(f"{top}/f")
    remote(top, CHMOD, "f", 0o700)
    same(watch.events(), [(IN_ATTRIB, 0, "")])
    watch.close()


@case
def the_rest_is_kept(top):
    for i in range(20):
        touch(f"{top}/{i}")
        os.stat(f"{top}/{i}")
    lookups, getattrs = asked("lookup"), asked("getattr")
    remote(top, REMOVE, "7")
    for i in range(20):
        if i != 7:
            os.stat(f"{top}/{i}")
    same(asked("lookup"), lookups, "a name that did not change was asked for")
    holds(asked("getattr") - getattrs <= 1, "more than the directory was asked for")


@case
def many_at_once(top):
    """Two make and remove, by the kernel and behind it: at the end both see the same."""
    pids = []
    for who in range(2):
        pid = os.fork()
        if pid:
            pids.append(pid)
            continue
        fd = os.open(top, os.O_RDONLY)
        for i in range(1000):
            name = str(i % 10)
            try:
                if who and i & 1:
                    remote_ioctl(fd, CREATE, name, REG | 0o600)
                elif who:
                    remote_ioctl(fd, RENAME, name, to=str(i % 7))
                elif i & 1:
                    os.unlink(f"{top}/{name}")
                else:
                    os.close(os.open(f"{top}/{name}", os.O_CREAT | os.O_RDWR))
                    os.stat(f"{top}/{i % 7}")
            except OSError as e:
                if e.errno not in (errno.ENOENT, errno.EEXIST, errno.ESTALE):
                    raise
        os._exit(0)
    for pid in pids:
        same(os.waitpid(pid, 0)[1], 0)
    remote(top, CREATE, "last", REG | 0o600)
    names = sorted(os.listdir(top))
    for name in [str(i) for i in range(10)]:
        same(error_of(os.stat, f"{top}/{name}"), "ok" if name in names else "ENOENT", name)
    known = {name: os.stat(f"{top}/{name}").st_ino for name in names}
    drop_caches()
    same({name: os.stat(f"{top}/{name}").st_ino for name in sorted(os.listdir(top))}, known)


main()
