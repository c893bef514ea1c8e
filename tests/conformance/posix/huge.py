#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Mappings of whole, aligned 2 MiB of a file take one page fault each."""

import mmap
import resource

from fslib import *

PAGE, HUGE = 4096, 2 << 20
WINDOWS = int(os.environ.get("HUGE_WINDOWS", "40"))
SHARE = 0.95


def faults():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt + usage.ru_majflt


def taken(view, touch):
    """How many of the windows were mapped at once, and not page by page."""
    count = 0
    for window in range(0, len(view), HUGE):
        before = faults()
        for off in range(window, window + HUGE, PAGE):
            touch(view, off)
        count += faults() - before <= 8     # the interpreter has some of its own
    return count


def load(view, off):
    return view[off]


def store(view, off):
    view[off] = 1


def most_are_huge(fd, *touches):
    view = mmap.mmap(fd, WINDOWS * HUGE)
    for touch in touches:
        count = taken(view, touch)
        holds(count >= SHARE * WINDOWS, f"{touch.__name__}: {count} of {WINDOWS} are huge")
    view.close()


def file_of(top):
    return os.open(f"{top}/file", os.O_RDWR | os.O_CREAT)


@case
def of_a_preallocated_file(top):
    fd = file_of(top)
    os.posix_fallocate(fd, 0, WINDOWS * HUGE)
    most_are_huge(fd, load, store)
    most_are_huge(fd, store, load)


@case
def of_a_written_file(top):
    fd = file_of(top)
    for _ in range(2 * WINDOWS):
        os.write(fd, bytes(HUGE // 2))
    most_are_huge(fd, store)


@case
def of_a_hole_that_is_stored_to(top):
    fd = file_of(top)
    os.ftruncate(fd, WINDOWS * HUGE)
    most_are_huge(fd, store)
    same(os.pread(fd, 2, HUGE), b"\1\0")


@case
def of_a_hole_that_is_only_read(top):
    fd = file_of(top)
    os.ftruncate(fd, WINDOWS * HUGE)
    most_are_huge(fd, load)
    same(os.fstat(fd).st_blocks, 0)


@case
def of_many_files_at_once(top):
    """Written in turns, so that each would have the block behind the other's last."""
    files = [os.open(f"{top}/{i}", os.O_RDWR | os.O_CREAT) for i in range(2)]
    for _ in range(WINDOWS):
        for fd in files:
            os.write(fd, bytes(HUGE // 2))
    for fd in files:
        view = mmap.mmap(fd, WINDOWS * HUGE // 2)
        count = taken(view, store)
        holds(count >= SHARE * WINDOWS / 2, f"{count} of {WINDOWS // 2} are huge")
        view.close()


main()
