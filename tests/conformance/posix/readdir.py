#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reading directories: all sizes, positions, and while names come and go."""

import os
import random
import stat

from fslib import *

MANY = 10000


def open_dir(path):
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


@case
def an_empty_directory_has_dots(top):
    os.mkdir(f"{top}/d")
    fd = open_dir(f"{top}/d")
    entries = read_all(fd, 4096)
    same([(e[3], e[2]) for e in entries], [(b".", 4), (b"..", 4)])
    same([e[0] for e in entries], [os.fstat(fd).st_ino, os.stat(top).st_ino])
    same(getdents(fd, 4096), [])
    os.lseek(fd, 0, os.SEEK_SET)
    same(len(read_all(fd, 4096)), 2)
    os.close(fd)


@case
def entries_tell_type_and_inode(top):
    touch(f"{top}/file")
    os.mkdir(f"{top}/dir")
    os.symlink("x", f"{top}/link")
    os.mkfifo(f"{top}/fifo")
    os.mknod(f"{top}/chr", stat.S_IFCHR, os.makedev(1, 3))
    fd = open_dir(top)
    for ino, _, kind, name in read_all(fd, 4096):
        if name == b"..":
            continue
        st = os.lstat(name, dir_fd=fd)
        same((ino, kind), (st.st_ino, st.st_mode >> 12), name)
    os.close(fd)


@case
def ten_thousand_names_come_once(top):
    names = {f"{index:05}-{'n' * (index % 40)}".encode() for index in range(MANY)}
    folder = open_dir(top)
    for name in names:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL, dir_fd=folder))
    os.close(folder)
    for bytes_max in (5000, 32768, 1 << 20):
        got = names_of(top, bytes_max)
        same(len(got), MANY, f"buffer of {bytes_max}")
        same(set(got), names)
    drop_caches()
    same(set(names_of(top)), names)
    for name in names:
        os.unlink(os.fsencode(top) + b"/" + name)
    same(os.listdir(top), [])


@case
def small_buffers_lose_nothing(top):
    names = {(b"%03d" % index) * (1 + index % 80) for index in range(300)}
    for name in names:
        touch(os.fsencode(top) + b"/" + name)
    for bytes_max in (280, 281, 560, 1000):
        got = names_of(top, bytes_max)
        same((len(got), set(got)), (len(names), names), f"buffer of {bytes_max}")


@case
def positions_come_back_to_their_entry(top):
    for index in range(500):
        touch(f"{top}/{index}")
    fd = open_dir(top)
    entries = read_all(fd, 1000)
    same(len({e[1] for e in entries}), len(entries), "positions differ")
    order = list(range(len(entries)))
    random.Random(1).shuffle(order)
    for index in order[:100]:
        os.lseek(fd, entries[index][1], os.SEEK_SET)
        follow = [e[3] for e in read_all(fd, 5000)]
        same(follow, [e[3] for e in entries[index + 1:]], f"after entry {index}")
    os.lseek(fd, 1, os.SEEK_SET)
    same(getdents(fd, 4096)[0][3], b"..")
    same(os.lseek(fd, 0, os.SEEK_CUR) > 2, True, "the position moves")
    os.close(fd)


@case
def any_position_may_be_asked_for(top):
    for index in range(20):
        touch(f"{top}/{index}")
    fd = open_dir(top)
    for position in (2, 3, 12345, (1 << 40) + 1, (1 << 63) - 1):
        os.lseek(fd, position, os.SEEK_SET)
        read_all(fd, 4096)
    fails("EINVAL", os.lseek, fd, -1, os.SEEK_SET)
    os.lseek(fd, 0, os.SEEK_SET)
    fails("EINVAL", getdents, fd, 20)
    os.close(fd)


@case
def what_stays_is_seen_once_while_others_change(top):
    """Names that are there all the time, among ones that come and go at every step."""
    seed = random.SystemRandom().randrange(1 << 30)
    print("seed", seed)
    rnd = random.Random(seed)
    keep = {f"keep-{index}".encode() for index in range(300)}
    for name in keep:
        touch(os.fsencode(top) + b"/" + name)
    others = [f"other-{index}" for index in range(200)]
    there = set()
    for _ in range(10):
        fd, seen, steps = open_dir(top), [], 0
        while True:
            entries = getdents(fd, 1000)
            if not entries:
                break
            seen += [e[3] for e in entries]
            # new names may come behind the reader, who would never see the end
            steps += 1
            for name in rnd.sample(others, 10 if steps < 40 else 0):
                if name in there:
                    os.unlink(f"{top}/{name}")
                    there.remove(name)
                else:
                    touch(f"{top}/{name}")
                    there.add(name)
        os.close(fd)
        kept = [name for name in seen if name in keep]
        same((len(kept), set(kept)), (len(keep), keep))


@case
def deleting_what_was_read_deletes_all(top):
    for index in range(1000):
        touch(f"{top}/{index}")
    fd = open_dir(top)
    while True:
        entries = [e for e in getdents(fd, 2000) if e[3] not in (b".", b"..")]
        if not entries:
            break
        for entry in entries:
            os.unlink(entry[3], dir_fd=fd)
    os.close(fd)
    same(os.listdir(top), [])


@case
def who_renames_what_it_reads_comes_to_an_end(top):
    names = {b"%d" % index for index in range(1000)}
    for name in names:
        touch(os.fsencode(top) + b"/" + name)
    fd, met = open_dir(top), []
    while True:
        entries = [e[3] for e in getdents(fd, 400)]
        if not entries:
            break
        for name in entries:
            if name in (b".", b".."):
                continue
            met.append(name)
            holds(len(met) <= 2 * len(names), "no end")
            os.rename(name, b"meanwhile", src_dir_fd=fd, dst_dir_fd=fd)
            os.rename(b"meanwhile", name, src_dir_fd=fd, dst_dir_fd=fd)
    same(set(met), names)
    os.close(fd)


@case
def a_rewound_directory_shows_new_names(top):
    fd = open_dir(top)
    same(len(read_all(fd, 4096)), 2)
    touch(f"{top}/new")
    os.lseek(fd, 0, os.SEEK_SET)
    same({e[3] for e in read_all(fd, 4096)}, {b".", b"..", b"new"})
    os.fsync(fd)
    os.close(fd)


@case
def two_readers_do_not_disturb_each_other(top):
    for index in range(300):
        touch(f"{top}/{index}")
    one, two = open_dir(top), open_dir(top)
    first, second = [], []
    while True:
        more, more2 = getdents(one, 700), getdents(two, 900)
        first += more
        second += more2
        if not more and not more2:
            break
    same([e[3] for e in first], [e[3] for e in second])
    same(len(first), 302)


@case
def directories_are_not_files(top):
    fails("EISDIR", os.open, top, os.O_RDWR)
    fd = open_dir(top)
    fails("EISDIR", os.read, fd, 10)
    os.close(fd)
    touch(f"{top}/f")
    fails("ENOTDIR", os.open, f"{top}/f", os.O_RDONLY | os.O_DIRECTORY)


if __name__ == "__main__":
    main()
