#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""When reading sets atime, by the options of the mount, and that all times stay."""

import os

from fslib import *

DAY_NS = 86400 * 10**9


def options_of(path):
    """The options of the mount that path is on, as the kernel tells them."""
    device = os.stat(path).st_dev
    found = None
    with open("/proc/self/mountinfo") as file:
        for line in file:
            fields = line.split()
            if fields[2] == f"{os.major(device)}:{os.minor(device)}":
                found = set(fields[5].split(",")) | set(fields[-1].split(","))
    return found


def read_one(path, flags=0):
    fd = os.open(path, os.O_RDONLY | flags)
    os.read(fd, 1)
    os.close(fd)


def made(path, atime_age_ns, mtime_age_ns):
    touch(path, b"data")
    now = time.time_ns()
    os.utime(path, ns=(now - atime_age_ns, now - mtime_age_ns))
    return os.stat(path).st_atime_ns


def sets_atime(path):
    before = os.stat(path).st_atime_ns
    tick()
    read_one(path)
    return os.stat(path).st_atime_ns != before


@case
def reading_sets_atime_as_the_mount_says(top):
    options = options_of(top)
    never, relative = "noatime" in options, "relatime" in options
    made(f"{top}/old", 2 * DAY_NS, 3 * DAY_NS)
    made(f"{top}/changed", DAY_NS // 2, DAY_NS // 4)
    made(f"{top}/recent", -DAY_NS // 24, DAY_NS // 2)  # later than ctime, too
    same(sets_atime(f"{top}/old"), not never, "older than a day")
    same(sets_atime(f"{top}/changed"), not never, "older than mtime")
    same(sets_atime(f"{top}/recent"), not never and not relative, "neither")
    same(sets_atime(f"{top}/old"), not never and not relative, "read before")


@case
def who_asks_not_to_is_obeyed(top):
    before = made(f"{top}/f", 2 * DAY_NS, 3 * DAY_NS)
    tick()
    read_one(f"{top}/f", os.O_NOATIME)
    same(os.stat(f"{top}/f").st_atime_ns, before)
    os.chmod(top, 0o755)
    os.chmod(f"{top}/f", 0o644)
    as_user(lambda: fails("EPERM", os.open, f"{top}/f", os.O_RDONLY | os.O_NOATIME))


@case
def directories_and_symlinks_have_theirs(top):
    options = options_of(top)
    os.mkdir(f"{top}/d")
    os.symlink("d", f"{top}/l")
    old = time.time_ns() - 2 * DAY_NS
    for name in ("d", "l"):
        os.utime(f"{top}/{name}", ns=(old, old), follow_symlinks=False)
    os.listdir(f"{top}/d")
    os.readlink(f"{top}/l")
    same(os.stat(f"{top}/d").st_atime_ns != old, not options & {"noatime", "nodiratime"}, "directory")
    same(os.lstat(f"{top}/l").st_atime_ns != old, "noatime" not in options, "symlink")


@case
def times_stay_when_the_inode_was_forgotten(top):
    path = f"{top}/f"
    made(path, 2 * DAY_NS, 3 * DAY_NS)
    for change in (lambda fd: os.read(fd, 1), lambda fd: os.pwrite(fd, b"x", 2),
                   lambda fd: os.pwrite(fd, b"longer" * 2000, 0), lambda fd: os.ftruncate(fd, 7)):
        tick()
        fd = os.open(path, os.O_RDWR)
        change(fd)
        os.close(fd)
        st = os.stat(path)
        drop_caches()
        now = os.stat(path)
        same((now.st_atime_ns, now.st_mtime_ns, now.st_ctime_ns),
             (st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns))


main()
