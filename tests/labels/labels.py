#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Labels of a security module, with the policy of labels.cil: new inodes have theirs."""

from fslib import *

NAME = "security.selinux"
O_TMPFILE = os.O_TMPFILE | os.O_RDWR


def label(path):
    """The type in it: all else is the same for all."""
    value = os.getxattr(path, NAME, follow_symlinks=False).decode().rstrip("\0")
    user, role, kind, level = value.split(":")
    same((user, role, level), ("user_u", "object_r", "s0"))
    return kind


def set_label(path, kind):
    os.setxattr(path, NAME, f"user_u:object_r:{kind}:s0\0".encode())


def labels(top):
    """Of all in it, as the server has them."""
    drop_caches()
    return {name: label(f"{top}/{name}") for name in sorted(os.listdir(top))}


@case
def new_inodes_have_theirs_at_once(top):
    set_label(top, "made_here_t")
    before = asked("setxattr")
    touch(f"{top}/opened", b"data")
    os.mknod(f"{top}/made", 0o100600)
    os.mkdir(f"{top}/dir")
    os.symlink("opened", f"{top}/link")
    os.mknod(f"{top}/device", 0o020600, os.makedev(1, 3))
    fd = os.open(top, O_TMPFILE, 0o600)
    linkat(fd, f"{top}/tmpfile")
    os.close(fd)
    os.link(f"{top}/opened", f"{top}/hard")
    want = {"opened": "file_here_t", "hard": "file_here_t", "made": "file_here_t",
            "tmpfile": "file_here_t", "dir": "dir_here_t", "link": "made_here_t",
            "device": "device_here_t"}
    for name, kind in want.items():
        same(label(f"{top}/{name}"), kind, name)
    same(labels(top), dict(sorted(want.items())))
    same(asked("setxattr"), before, "calls to set what had to be there already")
    # below it the directory has its own type, for which the policy has no rule
    touch(f"{top}/dir/below")
    same(labels(f"{top}/dir"), {"below": "dir_here_t"})


@case
def a_whiteout_has_one(top):
    set_label(top, "made_here_t")
    touch(f"{top}/old")
    touch(f"{top}/over")
    before = asked("setxattr")
    rename(f"{top}/old", f"{top}/new", RENAME_WHITEOUT)
    same(stat_of_whiteout(f"{top}/old"), (0o020000, 0))
    same(labels(top), {"new": "file_here_t", "old": "device_here_t", "over": "file_here_t"})
    rename(f"{top}/new", f"{top}/over", RENAME_WHITEOUT)
    same(labels(top), {"new": "device_here_t", "old": "device_here_t", "over": "file_here_t"})
    same(asked("setxattr"), before)


def stat_of_whiteout(path):
    st = os.lstat(path)
    return st.st_mode, st.st_rdev


@case
def is_changed_and_stays(top):
    touch(f"{top}/f")
    for kind in ("file_here_t", "other_t"):
        set_label(f"{top}/f", kind)
        same(label(f"{top}/f"), kind)
        same(labels(top), {"f": kind})
    os.rename(f"{top}/f", f"{top}/g")
    same(labels(top), {"g": "other_t"})


@case
def is_listed_among_the_others(top):
    touch(f"{top}/f")
    same(os.listxattr(f"{top}/f"), [NAME])
    os.setxattr(f"{top}/f", "user.a", b"1")
    same(sorted(os.listxattr(f"{top}/f")), [NAME, "user.a"])
    fails("EACCES", os.removexattr, f"{top}/f", NAME)


main()
