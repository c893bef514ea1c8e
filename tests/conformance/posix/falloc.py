#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""fallocate(2) in all its modes: what it refuses, and random calls against a model."""

import ctypes
import mmap
import os
import random

from fslib import *

SEED = int(os.environ.get("FALLOC_SEED", "1"))
STEPS = int(os.environ.get("FALLOC_STEPS", "1500"))
BLOCK = 4096
MOST = 64 * BLOCK


def open_rw(path, data=b""):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(fd, data, 0)
    return fd


def blocks(fd):
    return os.fstat(fd).st_blocks // 8


def whole(fd):
    return os.pread(fd, 1 << 24, 0)


@case
def allocate_makes_room(top):
    fd = open_rw(f"{top}/f")
    fallocate(fd, 0, 100, 10 * BLOCK)
    same((os.fstat(fd).st_size, blocks(fd)), (100 + 10 * BLOCK, 11))
    same(whole(fd), bytes(100 + 10 * BLOCK))
    fallocate(fd, KEEP, 20 * BLOCK, BLOCK)
    same((os.fstat(fd).st_size, blocks(fd)), (100 + 10 * BLOCK, 12))
    os.ftruncate(fd, 21 * BLOCK)
    same(whole(fd), bytes(21 * BLOCK))
    same(blocks(fd), 12 if blocks(fd) == 12 else 11, "blocks behind the end may go")
    os.pwrite(fd, b"data", 5000)
    before = blocks(fd)
    fallocate(fd, 0, 0, 11 * BLOCK)
    same((blocks(fd), os.pread(fd, 4, 5000)), (before, b"data"))
    os.close(fd)


@case
def punch_and_zero(top):
    data = bytes(range(1, 251)) * 200
    fd = open_rw(f"{top}/f", data)
    size = len(data)
    fallocate(fd, PUNCH | KEEP, 1000, 2 * BLOCK)
    want = data[:1000] + bytes(2 * BLOCK) + data[1000 + 2 * BLOCK:]
    same(whole(fd), want)
    same(blocks(fd), (size + BLOCK - 1) // BLOCK - 1)
    fallocate(fd, ZERO, 3 * BLOCK + 7, BLOCK)
    want = want[:3 * BLOCK + 7] + bytes(BLOCK) + want[4 * BLOCK + 7:]
    same(whole(fd), want)
    fallocate(fd, ZERO, size - 10, 100)
    same(os.fstat(fd).st_size, size + 90)
    fallocate(fd, ZERO | KEEP, size, 10000)
    same(os.fstat(fd).st_size, size + 90)
    fallocate(fd, PUNCH | KEEP, 0, 10**9)
    same((whole(fd), blocks(fd) <= 3), (bytes(size + 90), True))
    os.close(fd)


@case
def collapse_and_insert(top):
    data = b"".join(bytes([65 + i]) * BLOCK for i in range(8)) + b"tail"
    fd = open_rw(f"{top}/f", data)
    fallocate(fd, COLLAPSE, 2 * BLOCK, 3 * BLOCK)
    data = data[:2 * BLOCK] + data[5 * BLOCK:]
    same((whole(fd), blocks(fd)), (data, 6))
    fallocate(fd, INSERT, BLOCK, 2 * BLOCK)
    data = data[:BLOCK] + bytes(2 * BLOCK) + data[BLOCK:]
    same((whole(fd), blocks(fd)), (data, 6))
    for mode in (COLLAPSE, INSERT):
        fails("EINVAL", fallocate, fd, mode, 1, BLOCK)
        fails("EINVAL", fallocate, fd, mode, BLOCK, 100)
        fails("EINVAL", fallocate, fd, mode, 100 * BLOCK, BLOCK)
    fails("EINVAL", fallocate, fd, COLLAPSE, BLOCK, len(data) // BLOCK * BLOCK)
    fails("EFBIG", fallocate, fd, INSERT, 0, (1 << 63) - BLOCK)
    same(whole(fd), data)
    os.close(fd)


@case
def what_lies_behind_the_end_does_not_move(top):
    """Stored there through a mapping; where the end moves with its block it reads as zero."""
    def behind_the_end(action):
        """Of the address there, in a mapping of its own."""
        end = os.fstat(fd).st_size
        with mmap.mmap(fd, end) as view:
            return action(ctypes.addressof(ctypes.c_char.from_buffer(view)) + end)

    fd = open_rw(f"{top}/f", b"x" * (5 * BLOCK + 100))
    for mode in (COLLAPSE, INSERT):
        behind_the_end(lambda address: ctypes.memset(address, 1, 200))
        fallocate(fd, mode, BLOCK, BLOCK)
        same(behind_the_end(lambda address: ctypes.string_at(address, 200)), bytes(200), hex(mode))
    os.close(fd)


@case
def errors(top):
    fd = open_rw(f"{top}/f", b"data")
    for mode in (PUNCH, COLLAPSE | KEEP, INSERT | ZERO, PUNCH | KEEP | ZERO, 0x80):
        holds(error_of(fallocate, fd, mode, 0, BLOCK) in ("ENOTSUP", "EINVAL"), hex(mode))
    fails("EINVAL", fallocate, fd, 0, 0, 0)
    fails("EINVAL", fallocate, fd, 0, -1, 1)
    fails("ENOSPC", fallocate, fd, 0, 0, 1 << 40)
    same(blocks(fd), 1, "all or nothing")
    fails("EFBIG", fallocate, fd, 0, (1 << 63) - 10, 100)
    same((whole(fd), os.fstat(fd).st_size), (b"data", 4))
    fallocate(fd, PUNCH | KEEP, 0, 1 << 50)
    ro = os.open(f"{top}/f", os.O_RDONLY)
    fails("EBADF", fallocate, ro, 0, 0, 1)
    os.close(ro)
    os.close(fd)


@case
def a_write_without_space_leaves_nothing(top):
    filler, fd = open_rw(f"{top}/filler"), open_rw(f"{top}/f")
    os.ftruncate(fd, 10 * BLOCK)
    free = os.statvfs(top).f_bfree
    # moves take blocks for a while, and give them back
    moving = "relocate=" in cat("/proc/mounts").decode()
    while error_of(fallocate, filler, 0, 0, free * BLOCK) == "ENOSPC":
        holds(moving, "what is free can be allocated")
        free -= 16
    full = [error_of(os.pwrite, fd, b"data", off) for off in range(0, 10 * BLOCK, BLOCK)]
    holds(moving or full == ["ENOSPC"] * 10, full)
    # who waits for the end of such a write waits for ever
    fallocate(fd, PUNCH | KEEP, 0, 5 * BLOCK)
    os.ftruncate(filler, 0)
    fallocate(fd, 0, 0, 10 * BLOCK)
    same(blocks(fd), 10)
    os.close(filler)
    os.close(fd)


@case
def random_calls_do_as_the_model(top):
    rng = random.Random(SEED)
    fd = open_rw(f"{top}/f")
    model = bytearray()
    mapped = None

    def resize(size):
        nonlocal model
        model = model[:size] + bytes(max(0, size - len(model)))

    def put(off, data):
        if off + len(data) > len(model):
            resize(off + len(data))
        model[off:off + len(data)] = data

    for step in range(STEPS):
        kind = rng.randrange(12)
        off, length = rng.randrange(MOST), rng.randrange(1, MOST // 2)
        if rng.randrange(2):
            off, length = off & -BLOCK, (length & -BLOCK) or BLOCK
        where = (step, kind, off, length, len(model))
        if kind < 3:
            data = rng.randbytes(min(length, 20000))
            os.pwrite(fd, data, off)
            put(off, data)
        elif kind == 3 and model:
            # by a mapping, as far as the file goes
            if mapped is None or len(mapped) != len(model):
                if mapped is not None:
                    mapped.close()
                mapped = mmap.mmap(fd, len(model))
            off %= len(model)
            data = rng.randbytes(min(length, len(model) - off))
            mapped[off:off + len(data)] = data
            model[off:off + len(data)] = data
        elif kind == 4:
            fallocate(fd, PUNCH | KEEP, off, length)
            cut = min(off + length, len(model))
            if off < cut:
                model[off:cut] = bytes(cut - off)
        elif kind == 5:
            fallocate(fd, ZERO, off, length)
            put(off, bytes(length))
        elif kind == 6:
            fallocate(fd, 0, off, length)
            resize(max(len(model), off + length))
        elif kind == 7:
            fallocate(fd, rng.choice((KEEP, ZERO | KEEP)) if off >= len(model) else KEEP, off, length)
        elif kind == 8 and not lacks("shifts") and not (off | length) % BLOCK and off + length < len(model):
            fallocate(fd, COLLAPSE, off, length)
            del model[off:off + length]
        elif kind == 9 and not lacks("shifts") and not (off | length) % BLOCK and off < len(model) < 2 * MOST:
            fallocate(fd, INSERT, off, length)
            model[off:off] = bytes(length)
        elif kind == 10:
            os.ftruncate(fd, off)
            resize(off)
        elif kind == 11 and rng.randrange(8) == 0:
            drop_caches()
        same(os.fstat(fd).st_size, len(model), where)
        if step % 7 == 0 or kind in (8, 9):
            got = whole(fd)
            if got != model:
                at = next(i for i in range(len(model)) if got[i] != model[i])
                raise AssertionError(f"seed {SEED}, {where}: byte {at} is {got[at]}, not {model[at]}")
            if mapped is not None and len(mapped) == len(model):
                same(mapped[:] == model, True, f"mapping, {where}")
    if mapped is not None:
        mapped.close()
    os.close(fd)
    os.unlink(f"{top}/f")


main()
