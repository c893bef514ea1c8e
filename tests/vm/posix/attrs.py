#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Attributes: owner, mode, times, and what changes them."""

import os
import stat
import struct
import time

from fslib import *

SECOND = 1000000000


def times(path):
    st = os.lstat(path)
    return st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns


def mode_of(path):
    return oct(os.lstat(path).st_mode & 0o7777)


@case
def chmod_sets_all_bits(top):
    touch(f"{top}/f")
    os.mkdir(f"{top}/d")
    for name in ("f", "d"):
        for mode in (0, 0o7777, 0o1777, 0o2755, 0o4711, 0o644):
            before = times(f"{top}/{name}")
            tick()
            os.chmod(f"{top}/{name}", mode)
            same(mode_of(f"{top}/{name}"), oct(mode))
            after = times(f"{top}/{name}")
            same(after[:2], before[:2], "chmod leaves atime and mtime")
            holds(after[2] > before[2], "chmod changes ctime")
    drop_caches()
    same(mode_of(f"{top}/f"), oct(0o644))
    same(stat.S_IFMT(os.stat(f"{top}/d").st_mode), stat.S_IFDIR)


@case
def only_the_owner_may_change(top):
    os.chmod(top, 0o777)
    touch(f"{top}/f")
    as_user(lambda: fails("EPERM", os.chmod, f"{top}/f", 0o777))
    as_user(lambda: fails("EPERM", os.chown, f"{top}/f", NOBODY, -1))
    as_user(lambda: fails("EPERM", os.utime, f"{top}/f", ns=(1, 1)))
    as_user(lambda: fails("EACCES", os.utime, f"{top}/f"))
    as_user(lambda: fails("EACCES", os.truncate, f"{top}/f", 1))
    as_user(touch, f"{top}/g")
    as_user(os.chmod, f"{top}/g", 0o600)
    as_user(lambda: fails("EPERM", os.chown, f"{top}/g", 0, -1))
    same((mode_of(f"{top}/g"), os.stat(f"{top}/g").st_uid), (oct(0o600), NOBODY))


@case
def chown_takes_every_id(top):
    touch(f"{top}/f")
    for uid, gid in ((1, 2), (2**32 - 2, 2**32 - 3), (65534, 65535), (0, 7)):
        os.chown(f"{top}/f", uid, gid)
        drop_caches()
        st = os.stat(f"{top}/f")
        same((st.st_uid, st.st_gid), (uid, gid))
    os.chown(f"{top}/f", -1, 9)
    st = os.stat(f"{top}/f")
    same((st.st_uid, st.st_gid), (0, 9))
    os.symlink("f", f"{top}/l")
    os.lchown(f"{top}/l", 5, 6)
    same((os.lstat(f"{top}/l").st_uid, os.stat(f"{top}/l").st_uid), (5, 0))


@case
def chown_and_write_end_suid(top):
    os.chmod(top, 0o777)
    for mode, left in ((0o6777, 0o777), (0o2767, 0o2767), (0o4755, 0o755)):
        touch(f"{top}/f")
        os.chmod(f"{top}/f", mode)
        os.chown(f"{top}/f", 1, 1)
        same(mode_of(f"{top}/f"), oct(left), "after chown")
        os.unlink(f"{top}/f")
    touch(f"{top}/f")
    os.chmod(f"{top}/f", 0o6777)

    def write():
        fd = os.open(f"{top}/f", os.O_WRONLY)
        os.write(fd, b"x")
        os.close(fd)

    as_user(write)
    same(mode_of(f"{top}/f"), oct(0o777), "after a write")
    os.chmod(f"{top}/f", 0o6777)
    as_user(os.truncate, f"{top}/f", 0)
    same(mode_of(f"{top}/f"), oct(0o777), "after truncate")
    os.chmod(f"{top}/f", 0o6777)
    write()
    same(mode_of(f"{top}/f"), oct(0o6777), "root's write leaves them")


@case
def sgid_directories_hand_their_group_on(top):
    os.mkdir(f"{top}/d")
    os.chown(f"{top}/d", 0, 77)
    os.chmod(f"{top}/d", 0o2777)
    touch(f"{top}/d/f")
    os.mkdir(f"{top}/d/e")
    os.symlink("x", f"{top}/d/l")
    for name in "fel":
        same(os.lstat(f"{top}/d/{name}").st_gid, 77, name)
    same(mode_of(f"{top}/d/e"), oct(0o2755))
    same(mode_of(f"{top}/d/f"), oct(0o644))
    # who is not in the group gets no sgid file
    as_user(touch, f"{top}/d/g", b"", 0o2775)
    same(mode_of(f"{top}/d/g"), oct(0o755))


@case
def utimes_are_exact_to_the_nanosecond(top):
    touch(f"{top}/f")
    os.mkdir(f"{top}/d")
    os.symlink("f", f"{top}/l")
    for name in "fdl":
        path = f"{top}/{name}"
        for atime, mtime in ((1, 2), (1234567890123456789, 987654321987654321),
                             (-SECOND - 1, -5 * SECOND), (2**33 * SECOND, 0)):
            before = times(path)
            tick()
            os.utime(path, ns=(atime, mtime), follow_symlinks=False)
            same(times(path)[:2], (atime, mtime), name)
            holds(times(path)[2] > before[2], "utimes changes ctime")
        # the others' order must not matter: told to the server, asked again
        drop_caches()
        same(times(path)[1], 0, name)


@case
def utimes_one_and_now(top):
    path = f"{top}/f"
    touch(path)
    os.utime(path, ns=(5, 6))
    libc_utimensat(path, (0, UTIME_OMIT), (0, 7))
    same(times(path)[:2], (5, 7))
    libc_utimensat(path, (0, 8), (0, UTIME_OMIT))
    same(times(path)[:2], (8, 7))
    start = time.clock_gettime_ns(CLOCK_REALTIME_COARSE)
    libc_utimensat(path, (0, UTIME_NOW), (0, UTIME_OMIT))
    holds(times(path)[0] >= start, "now")
    same(times(path)[1], 7)


UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2


def libc_utimensat(path, atime, mtime):
    spec = struct.pack("=qqqq", *atime, *mtime)
    if libc.utimensat(AT_FDCWD, os.fsencode(path), spec, 0):
        raise_errno(path)


@case
def truncate_by_name_changes_times_with_the_size(top):
    """The VFS leaves the times to the filesystem, unlike those of ftruncate."""
    path = f"{top}/f"
    touch(path)
    for size, changes in ((123, True), (1, True), (1, False), (0, True)):
        before = times(path)
        tick()
        os.truncate(path, size)
        after = times(path)
        same((after[1] > before[1], after[2] > before[2]), (changes, changes), f"to {size}")
        drop_caches()
        same(times(path), after, f"server's times, {size}")


@case
def writes_and_truncates_change_mtime(top):
    path = f"{top}/f"
    touch(path, b"1234")
    fd = os.open(path, os.O_RDWR)
    for what, action, moves in (
            ("write", lambda: os.pwrite(fd, b"x", 0), True),
            ("append", lambda: os.pwrite(fd, b"y", 4), True),
            ("shrink", lambda: os.ftruncate(fd, 1), True),
            ("grow", lambda: os.ftruncate(fd, 5000), True),
            ("read", lambda: os.pread(fd, 1, 0), False),
            ("chmod", lambda: os.fchmod(fd, 0o600), False)):
        before = times(path)
        tick()
        action()
        after = times(path)
        same(after[1] > before[1], moves, f"{what} changes mtime")
    os.close(fd)
    before = times(path)
    tick()
    os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))
    holds(times(path)[1] > before[1], "O_TRUNC changes mtime")


@case
def times_reach_the_server(top):
    """What the kernel alone knew is there after it forgot the inode."""
    path = f"{top}/f"
    touch(path, b"1234" * 1024)
    os.utime(path, ns=(5, 6))
    fd = os.open(path, os.O_RDWR)
    tick()
    os.pwrite(fd, b"overwrite", 100)
    os.pread(fd, 10, 0)
    os.close(fd)
    want = times(path)
    holds(want[0] > 6 and want[1] > 6, "both have moved")
    drop_caches()
    same(times(path), want)
    before = times(top)
    tick()
    os.utime(top, ns=(5, before[1]))
    os.listdir(top)
    want = times(top)
    holds(want[0] > 5, "reading a directory moves atime")
    drop_caches()
    same(times(top), want)


POINTS = "/sys/kernel/debug/zuf/points"


def points(command):
    with open(POINTS, "w") as file:
        file.write(command)


def passed(point):
    with open(POINTS) as file:
        return next(int(line.split()[2]) for line in file if line.startswith(f"{point} "))


@case
def utimes_is_not_overtaken(top):
    """
    A task that tells the server the times of a write is held up with its message
    written, and utimes comes between: what it sets must be what remains.
    """
    path = f"{top}/f"
    touch(path, b"x" * 4096)

    def sync():
        libc.prctl(15, b"zkill", 0, 0, 0)   # the points hold up tasks of this name only
        fd = os.open(path, os.O_RDONLY)
        points("filled delay_us 100000")
        os.fsync(fd)

    try:
        for count in range(5):
            fd = os.open(path, os.O_RDWR)
            tick()      # or the write would leave the times as they are
            os.pwrite(fd, b"y", count)
            points("off")
            pid = in_child(sync)
            while not passed("claimed"):
                holds(not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT),
                      "fsync told the times")
            os.utime(fd, ns=(count, 2 * count))
            os.close(fd)
            join(pid)
            drop_caches()
            same(times(path)[:2], (count, 2 * count))
    finally:
        points("off")


@case
def atime_follows_relatime(top):
    path = f"{top}/f"
    touch(path, b"data")
    os.utime(path, ns=(10 * SECOND, 20 * SECOND))
    tick()
    cat(path)
    first = times(path)[0]
    holds(first > 20 * SECOND, "older than mtime: moves")
    tick()
    cat(path)
    same(times(path)[0], first, "newer than mtime: stays")


@case
def statx_asks_the_server_when_told(top):
    path = f"{top}/f"
    touch(path, b"12345", 0o640)
    for flags in (0, AT_STATX_FORCE_SYNC):
        mode, nlink, size, ino = statx_mode_size(path, flags)
        same((oct(mode), nlink, size, ino), (oct(0o100640), 1, 5, os.stat(path).st_ino))
    os.mkdir(f"{top}/d")
    same(statx_mode_size(top, AT_STATX_FORCE_SYNC)[1], 3)


@case
def stat_reports_blocks(top):
    path = f"{top}/f"
    touch(path)
    same(os.stat(path).st_blocks, 0)
    with open(path, "wb") as file:
        file.write(b"x" * 10000)
    same(os.stat(path).st_blocks, 24)
    os.truncate(path, 4096)
    same(os.stat(path).st_blocks, 8)
    same(os.stat(path).st_blksize, 4096)


@case
def statfs_counts(top):
    before = os.statvfs(top)
    same((before.f_namemax, before.f_bsize), (255, 4096))
    with open(f"{top}/f", "wb") as file:
        file.write(b"x" * (1 << 20))
    used = os.statvfs(top)
    holds(before.f_bfree - used.f_bfree >= 256, "blocks are counted")
    os.unlink(f"{top}/f")
    drop_caches()
    holds(used.f_bavail <= used.f_bfree <= used.f_blocks, "in order")


@case
def umask_applies(top):
    for mask in (0, 0o77, 0o777):
        os.umask(mask)
        touch(f"{top}/{mask}", b"", 0o666)
        os.mkdir(f"{top}/d{mask}", 0o777)
        same((mode_of(f"{top}/{mask}"), mode_of(f"{top}/d{mask}")),
             (oct(0o666 & ~mask), oct(0o777 & ~mask)))
    os.umask(0o022)


if __name__ == "__main__":
    main()
