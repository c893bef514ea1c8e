#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Where data and holes are: lseek(2) and FIEMAP, against a model and on vast files."""

import fcntl
import os
import random
import struct

from fslib import *

SEED = int(os.environ.get("SEEK_SEED", "1"))
BLOCK = 4096
LAST = 1
VAST = 0x7fffffffffffffff            # the largest of all files


def count_of(fd):
    """Of extents alone."""
    buf = bytearray(32)
    struct.pack_into("=QQIIII", buf, 0, 0, (1 << 64) - 1, 0, 0, 0, 0)
    fcntl.ioctl(fd, FIEMAP, buf)
    return struct.unpack_from("=I", buf, 20)[0]


def same_extents(fd, of, want):
    """What is of the file's extents, as FIEMAP has them."""
    if not lacks("fiemap"):
        same(of(fiemap(fd)), want)


@case
def edges(top):
    fd = os.open(f"{top}/f", os.O_RDWR | os.O_CREAT)
    same((seek(fd, 0, os.SEEK_DATA), seek(fd, 0, os.SEEK_HOLE)), ("ENXIO", "ENXIO"))
    os.pwrite(fd, b"x", 2 * BLOCK)
    same([seek(fd, o, os.SEEK_DATA) for o in (0, BLOCK, 2 * BLOCK, 2 * BLOCK + 1)],
         [2 * BLOCK, 2 * BLOCK, 2 * BLOCK, "ENXIO"])
    same([seek(fd, o, os.SEEK_HOLE) for o in (0, 5, 2 * BLOCK, 2 * BLOCK + 1)],
         [0, 5, 2 * BLOCK + 1, "ENXIO"])
    os.ftruncate(fd, 10 * BLOCK + 5)
    same([seek(fd, 2 * BLOCK + 7, w) for w in (os.SEEK_DATA, os.SEEK_HOLE)],
         [2 * BLOCK + 7, 3 * BLOCK])
    same([seek(fd, 3 * BLOCK, os.SEEK_DATA), seek(fd, -1, os.SEEK_DATA)], ["ENXIO", "ENXIO"])
    os.ftruncate(fd, 0)
    same_extents(fd, lambda found: found, [])
    os.close(fd)


@case
def the_last_byte_of_all(top):
    last = VAST - 1

    def rest(off):
        return os.pread(fd, VAST - off, off)

    fd = os.open(f"{top}/f", os.O_RDWR | os.O_CREAT)
    same(os.pwrite(fd, b"last", last - 3), 4)
    same(os.fstat(fd).st_size, VAST)
    for cold in (False, True):
        if cold:
            os.close(fd)
            drop_caches()
            fd = os.open(f"{top}/f", os.O_RDWR)
        same(rest(last - 10), bytes(7) + b"last")
        same(seek(fd, 0, os.SEEK_DATA), last - (last % BLOCK))
        same(seek(fd, last, os.SEEK_HOLE), VAST)
        same_extents(fd, lambda found: [e[:1] + e[2:3] for e in found],
                     [(last - last % BLOCK, BLOCK)])
    same(os.pwrite(fd, b"L", last - 3), 1)
    # what is cut off of the last block reads as zeros when it is there again
    os.ftruncate(fd, last - 2)
    os.ftruncate(fd, VAST)
    same(rest(last - 3), b"L" + bytes(3))
    os.posix_fallocate(fd, last - 100, 101)
    same(rest(last - 3), b"L" + bytes(3))
    # punched, and what lies before it
    os.pwrite(fd, b"x" * 10000, last - 9999)
    fallocate(fd, PUNCH | KEEP, last - 99, 100)
    same(rest(last - 9999), b"x" * 9900 + bytes(100))
    os.ftruncate(fd, 0)
    same_extents(fd, lambda found: found, [])
    os.close(fd)


@case
def random_files(top):
    rng = random.Random(SEED)
    for n in range(8):
        fd = os.open(f"{top}/{n}", os.O_RDWR | os.O_CREAT)
        size = rng.randrange(1, 3000)           # blocks, beyond a node of the map
        os.ftruncate(fd, size * BLOCK)
        data = set()
        for _ in range(rng.randrange(60)):
            first, count = rng.randrange(size), rng.randrange(1, 20)
            count = min(count, size - first)
            os.pwrite(fd, b"d" * (count * BLOCK), first * BLOCK)
            data |= set(range(first, first + count))
        if n % 2:
            drop_caches()
        for _ in range(200):
            off = rng.randrange(size * BLOCK)
            at = off // BLOCK
            want = next((b for b in range(at, size) if b in data), None)
            want = "ENXIO" if want is None else max(off, want * BLOCK)
            same(seek(fd, off, os.SEEK_DATA), want, f"seed {SEED}, file {n}, data from {off}")
            want = next((b for b in range(at, size) if b not in data), size)
            same(seek(fd, off, os.SEEK_HOLE), min(max(off, want * BLOCK), size * BLOCK),
                 f"seed {SEED}, file {n}, hole from {off}")
        if not lacks("fiemap"):
            check_fiemap(fd, data, f"seed {SEED}, file {n}, fiemap")
        os.close(fd)


def check_fiemap(fd, data, what):
    """data: the blocks that it has."""
    extents = fiemap(fd)
    found = set()
    for logical, _, length, _ in extents:
        same((logical % BLOCK, length % BLOCK), (0, 0))
        blocks = set(range(logical // BLOCK, (logical + length) // BLOCK))
        holds(not blocks & found, "each block comes once")
        found |= blocks
    same(found, data, what)
    same([bool(e[3] & LAST) for e in extents], [False] * (len(extents) - 1) + [True] * bool(extents))
    same(count_of(fd), len(extents))


@case
def vast_files_take_few_calls(top):
    fd = os.open(f"{top}/f", os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, VAST)
    places = [0, 1 << 31, (1 << 40) + 5 * BLOCK, 1 << 55, VAST + 1 - BLOCK]
    for place in places:
        os.pwrite(fd, b"here", place)
    before = asked("map")
    found, off = [], 0
    while (off := seek(fd, off, os.SEEK_DATA)) != "ENXIO":
        found.append(off)
        off = seek(fd, off, os.SEEK_HOLE)
        if off == VAST:
            break
    same(found, places)
    same_extents(fd, lambda found: [e[0] for e in found], places)
    calls = asked("map") - before
    holds(calls < 40, f"{calls} calls")
    same(seek(fd, (1 << 55) + BLOCK, os.SEEK_HOLE), (1 << 55) + BLOCK)
    os.ftruncate(fd, 1 << 41)
    same_extents(fd, lambda found: [e[0] for e in found], places[:3])
    os.close(fd)


@case
def copies_stay_sparse(top):
    fd = os.open(f"{top}/f", os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 1 << 34)
    os.pwrite(fd, b"a" * 10000, 1 << 33)
    os.close(fd)
    same(os.system(f"cp --sparse=auto {top}/f {top}/g && cmp -n 20000 -i {(1 << 33) - 5000} {top}/f {top}/g"), 0)
    same(os.stat(f"{top}/g").st_blocks, os.stat(f"{top}/f").st_blocks)


main()
