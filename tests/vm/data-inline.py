#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Inline data of FILE, whose size never changes, against a model in memory."""
import ctypes
import errno
import mmap
import os
import random
import sys

PAGE = mmap.PAGESIZE
MESSAGE = 65536


def main():
    seed = int(os.environ.get("ZUFS_SEED", "1"))
    print("seed", seed)
    rng = random.Random(seed)
    fd = os.open(sys.argv[1], os.O_RDWR)
    size = os.fstat(fd).st_size
    model = bytearray(size)
    for off in range(0, size, 1 << 20):
        data = rng.randbytes(min(1 << 20, size - off))
        assert os.pwrite(fd, data, off) == len(data)
        model[off:off + len(data)] = data

    for _ in range(300):
        length = rng.choice([1, 7, 511, PAGE, PAGE + 1, MESSAGE - 32, MESSAGE, MESSAGE + 1,
                             3 * MESSAGE])
        length = rng.randint(max(1, length - 2), length)
        off = rng.randrange(size)
        length = min(length, size - off)
        if rng.random() < 0.5:
            data = rng.randbytes(length)
            assert os.pwrite(fd, data, off) == length
            model[off:off + length] = data
        assert os.pread(fd, length, off) == model[off:off + length], (off, length)
    assert os.pread(fd, 2 * size, 0) == model
    assert os.pread(fd, 10, size) == b""

    try:
        mmap.mmap(fd, PAGE)
        sys.exit("an inline file was mapped")
    except OSError as error:
        assert error.errno == errno.ENODEV, error

    # buffers that are not there: nothing, or the part before
    libc = ctypes.CDLL(None, use_errno=True)
    libc.pwrite.restype = libc.pread.restype = ctypes.c_ssize_t
    libc.pwrite.argtypes = libc.pread.argtypes = [ctypes.c_int, ctypes.c_void_p,
                                                  ctypes.c_size_t, ctypes.c_int64]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    buf = mmap.mmap(-1, 2 * PAGE)
    addr = ctypes.addressof(ctypes.c_char.from_buffer(buf))
    assert libc.mprotect(addr + PAGE, PAGE, 0) == 0
    assert libc.pwrite(fd, addr + PAGE, 100, 0) == -1
    assert ctypes.get_errno() == errno.EFAULT
    assert libc.pread(fd, addr + PAGE, 100, 0) == -1
    assert ctypes.get_errno() == errno.EFAULT
    assert libc.pwrite(fd, addr, 2 * PAGE, 0) == PAGE
    model[0:PAGE] = bytes(PAGE)
    assert libc.pread(fd, addr, 2 * PAGE, PAGE) == PAGE
    assert buf[:PAGE] == model[PAGE:2 * PAGE]
    assert os.pread(fd, size, 0) == model

    direct = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
    assert os.preadv(direct, [buf2 := mmap.mmap(-1, PAGE)], PAGE) == PAGE
    assert buf2[:] == model[PAGE:2 * PAGE]
    os.fsync(fd)


main()
