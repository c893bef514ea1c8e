#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reading directories with attributes: what it saves, and that nothing is lost by it."""

import os
import random
import subprocess

from fslib import *

SEED = int(os.environ.get("PLUS_SEED", "1"))
NAMES = int(os.environ.get("PLUS_NAMES", "10000"))


def asked(top, function):
    told(top)
    before = all_asked()
    function()
    after = all_asked()
    more = {op: after[op] - before[op] for op in after if after[op] != before[op]}
    if lacks("told"):
        more.pop("batch", None)     # of what was forgotten before
    print("   ", more)
    return sum(more.values())


def fill(top, count):
    """Files, folders, links; some with two names."""
    rng = random.Random(SEED)
    for i in range(count):
        path = f"{top}/{i}{'n' * rng.randrange(20)}"
        kind = rng.randrange(10)
        if kind == 0:
            os.mkdir(path)
        elif kind == 1:
            os.symlink("nowhere", path)
        elif kind == 2:
            touch(path)
            os.link(path, path + ".2")
        else:
            touch(path, mode=rng.choice((0o600, 0o644, 0o755)))


def facts(top):
    return sorted((e.name, e.inode(), os.lstat(e.path)) for e in os.scandir(top))


@case
def ls_l_asks_once_for_many(top):
    for i in range(NAMES):
        touch(f"{top}/{i:06}")
    drop_caches()

    def ls():
        out = subprocess.run(["ls", "-l", top], stdout=subprocess.PIPE, check=True).stdout
        same(out.count(b"\n"), NAMES + 1, "lines")

    cold = asked(top, ls)
    holds(cold <= NAMES // 100, f"{cold} calls for {NAMES} names")
    warm = asked(top, ls)
    holds(warm <= NAMES // 100, f"{warm} calls for {NAMES} names that are known")


@case
def names_alone_bring_few(top):
    for i in range(NAMES):
        touch(f"{top}/{i:06}")
    drop_caches()
    names = []
    count = asked(top, lambda: names.extend(os.listdir(top)))
    same(sorted(names), [f"{i:06}" for i in range(NAMES)])
    holds(count <= NAMES // 400, f"{count} calls")


@case
def attributes_are_the_same(top):
    fill(top, 2000)
    want = facts(top)
    for _ in range(3):
        drop_caches()
        same(facts(top), want)
    # read to the end first, and in pieces of every size
    for size in (100, 1000, 5000, 100000):
        drop_caches()
        same(sorted(names_of(top, size)), sorted(os.fsencode(w[0]) for w in want))
        same(facts(top), want)


def ino_of(path):
    try:
        return os.lstat(path).st_ino
    except FileNotFoundError:
        return None


@case
def changed_names_are_not_brought_back(top):
    """While others read, names come, go and move; each look is of one moment or another."""
    fill(top, 500)
    rng = random.Random(SEED)

    def reader():
        for _ in range(30):
            for entry in os.scandir(top):
                try:
                    st = os.lstat(entry.path)
                except FileNotFoundError:
                    continue
                # the last name may have gone between lookup and look, and is there until who
                # takes it away is done with the directory, whose lock its reading waits for
                if not st.st_nlink:
                    os.listdir(top)
                    holds(ino_of(entry.path) != st.st_ino, f"{entry.path} names what is gone")
            if rng.randrange(3) == 0:
                drop_caches()

    def changer():
        for i in range(3000):
            a, b = f"{top}/c{rng.randrange(60)}", f"{top}/c{rng.randrange(60)}"
            kind = rng.randrange(4)
            try:
                if kind == 0:
                    os.unlink(a)
                    holds(not os.path.lexists(a), "is gone")
                elif kind == 1:
                    os.rename(a, b)
                    holds(a == b or not os.path.lexists(a), "has moved")
                else:
                    touch(a, b"x" * kind)
                    same(os.lstat(a).st_size, kind)
            except (FileNotFoundError, FileExistsError):
                pass

    join(in_child(reader), in_child(reader), in_child(changer))
    drop_caches()
    check_consistent(top)


@case
def a_folder_met_twice_stays_one(top):
    """A folder that is open and has moved is met by READDIR at its new place."""
    os.mkdir(f"{top}/a")
    os.mkdir(f"{top}/b")
    os.mkdir(f"{top}/a/x")
    touch(f"{top}/a/x/in")
    fd = os.open(f"{top}/a/x", os.O_RDONLY)
    os.rename(f"{top}/a/x", f"{top}/b/x")
    drop_caches()
    same(names_of(f"{top}/b"), [b"x"])
    same(os.fstat(fd).st_ino, os.stat(f"{top}/b/x").st_ino)
    same(os.listdir(fd), ["in"])
    same(os.readlink(f"/proc/self/fd/{fd}"), f"{top}/b/x")
    os.close(fd)


main()
