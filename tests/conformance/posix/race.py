#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Several processes change the same names at once; random changes against tmpfs.
Afterwards what readdir, lookups and link counts say must fit together, both as
the kernel has it cached and as the server has it.
"""

import os
import random
import signal
import time

from fslib import *

STEPS = int(os.environ.get("RACE_STEPS", "1500"))
# 0: others make files meanwhile, so who starts this counts what is left of inodes
ALONE = os.environ.get("RACE_ALONE", "1") == "1"
EXPECTED = {"ok", "ENOENT", "EEXIST", "ENOTEMPTY", "ENOTDIR", "EISDIR", "EINVAL", "EBUSY"}


def seeded():
    seed = int(os.environ.get("RACE_SEED", random.SystemRandom().randrange(1 << 30)))
    print("RACE_SEED =", seed)
    return random.Random(seed)


def race_step(rnd, top):
    def name():
        return f"{top}/{rnd.choice('ab')}/{rnd.randrange(8)}"

    action = rnd.randrange(10)
    if action < 4:
        flags = rnd.choice((0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE))
        return error_of(rename, name(), name(), flags)
    if action < 6:
        return error_of(os.unlink, name())
    if action == 6:
        return error_of(os.link, name(), name(), follow_symlinks=False)
    if action == 7:
        return error_of(os.mkdir, name())
    if action == 8:
        return error_of(os.rmdir, name())
    return error_of(touch, name())


def race(rnd, top, steps):
    for _ in range(steps):
        result = race_step(rnd, top)
        # link of a directory: EPERM
        holds(result in EXPECTED or result == "EPERM", result)


def race_with(top, processes):
    rnd = seeded()
    for name in "ab":
        os.mkdir(f"{top}/{name}")
    join(*[in_child(race, random.Random(rnd.randrange(1 << 30)), top, STEPS)
           for _ in range(processes)])
    cached = tree(top)
    check_consistent(top)
    drop_caches()
    same(tree(top), cached, "as the server has it")
    check_consistent(top)


@case
def two_processes_rename_and_unlink(top):
    race_with(top, 2)


@case
def five_processes_rename_and_unlink(top):
    race_with(top, 5)


def inodes_used(top):
    st = os.statvfs(top)
    return st.f_files - st.f_ffree


@case
def killed_processes_leave_names_right(top):
    """Killed anywhere in a call; in the end no inode is left over on the server."""
    rnd = seeded()
    drop_caches()
    before = inodes_used(top)
    for name in "ab":
        os.mkdir(f"{top}/{name}")
    for _ in range(STEPS // 10):
        pids = [in_child(race, random.Random(rnd.randrange(1 << 30)), top, 1 << 30)
                for _ in range(2)]
        # not to wait for anything: the moment of the kill is what varies
        time.sleep(rnd.random() / 20)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            same(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), -signal.SIGKILL, "killed")
    # what the killed had asked for goes on at the server; a change waits for it, reading not
    for name in "ab":
        os.chmod(f"{top}/{name}", 0o755)
    cached = tree(top)
    check_consistent(top)
    drop_caches()
    same(tree(top), cached, "as the server has it")
    for name in "ab":
        os.system(f"rm -rf '{top}/{name}'")
    drop_caches()
    if ALONE:
        await_equal(lambda: inodes_used(top), before)


@case
def readers_see_whole_directories_meanwhile(top):
    """A file that is only renamed is always there, under one of its names."""
    for name in "ab":
        os.mkdir(f"{top}/{name}")
    touch(f"{top}/a/0", b"data")

    def move():
        for index in range(STEPS):
            rename(f"{top}/a/{index}", f"{top}/a/{index + 1}")

    pid = in_child(move)
    while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        for name in os.listdir(f"{top}/a"):
            holds(error_of(os.stat, f"{top}/a/{name}") in ("ok", "ENOENT"), name)
    join(pid)
    same(os.listdir(f"{top}/a"), [str(STEPS)])


# ------------------------------------------------------- random, against tmpfs


def plan(rnd):
    """One random change, as a function of a folder."""
    def name():
        depth = rnd.choice((1, 1, 2, 3))
        return "/".join(rnd.choice("abcde") for _ in range(depth))

    old, new, kind = name(), name(), rnd.randrange(16)
    flags = rnd.choice((0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE))
    mode, size = rnd.choice((0o644, 0o600, 0o755, 0o2755, 0o4711)), rnd.randrange(20000)
    ids = rnd.randrange(3), rnd.randrange(3)
    rdev = os.makedev(rnd.randrange(4096), rnd.randrange(1 << 20))

    if kind < 4:
        return f"rename {old} {new} {flags}", lambda t: rename(f"{t}/{old}", f"{t}/{new}", flags)
    if kind < 6:
        return f"mkdir {old}", lambda t: os.mkdir(f"{t}/{old}", mode)
    if kind < 8:
        return f"create {old}", lambda t: touch(f"{t}/{old}", b"x" * size, mode)
    if kind == 8:
        return f"unlink {old}", lambda t: os.unlink(f"{t}/{old}")
    if kind == 9:
        return f"rmdir {old}", lambda t: os.rmdir(f"{t}/{old}")
    if kind == 10:
        return (f"link {old} {new}",
                lambda t: os.link(f"{t}/{old}", f"{t}/{new}", follow_symlinks=False))
    if kind == 11:
        return f"symlink {old}", lambda t: os.symlink(new, f"{t}/{old}")
    if kind == 12:
        return f"chmod {old} {mode:o}", lambda t: os.chmod(f"{t}/{old}", mode)
    if kind == 13:
        return f"chown {old} {ids}", lambda t: os.lchown(f"{t}/{old}", *ids)
    if kind == 14:
        return f"truncate {old} {size}", lambda t: os.truncate(f"{t}/{old}", size)
    return f"mknod {old} {rdev}", lambda t: os.mknod(f"{t}/{old}", 0o020600, rdev)


@case
def random_changes_do_as_tmpfs(top):
    rnd = seeded()
    reference = f"/dev/shm/zufs-random-{os.getpid()}"
    os.mkdir(reference)
    for step in range(STEPS):
        what, action = plan(rnd)
        want, got = error_of(action, reference), error_of(action, top)
        same(got, want, f"step {step}: {what}")
        if step % 100 == 99:
            same(tree(top), tree(reference), f"after step {step}")
        if step % 500 == 499:
            drop_caches()
            same(tree(top), tree(reference), f"after step {step}, asked again")
            check_consistent(top)
    os.system(f"rm -rf {reference}")


if __name__ == "__main__":
    main()
