#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: every way to read and write gives the same bytes: flags of preadv2 and pwritev2,
#	copy_file_range, splice, sendfile, direct I/O, AIO, io_uring; MAP_SYNC where the
#	plugin promises it; swap files are refused.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
python3 "$TOP/tests/conformance/posix/io.py" mnt
for engine in psync pvsync2 libaio io_uring posixaio splice mmap; do
	fio_verify mnt $engine 1m
done
# past the offer of one at a time
fio --name=deep --directory=mnt --ioengine=io_uring --iodepth=32 --rw=randrw --bs=4k --size=4m \
	--numjobs=2 --time_based=0 --verify=crc32c --verify_fatal=1 --randseed=69 --thread \
	--fallocate=none --output-format=terse >/dev/null
no_rule_broken
zufs_down toyfs
# and while its blocks move; a plugin that cannot copy: the kernel does
zufs_up toyfs relocate=69
python3 "$TOP/tests/conformance/posix/io.py" mnt copies_keep_holes copies_as_a_model_has_them
no_rule_broken
zufs_down toyfs
zufs_up nullfs mode=leased,size=4m,files=2
dd if=/dev/urandom of=mnt/data bs=1M count=4 iflag=fullblock conv=notrunc status=none
python3 - <<'PYTHON'
import os
files, done = [os.open(f"mnt/{name}", os.O_RDWR) for name in ("data", "data1")], 0
while done < 4 << 20:
    done += os.copy_file_range(*files, (4 << 20) - done, done, done)
PYTHON
cmp mnt/data mnt/data1
zufs_down nullfs

zufs_up nullfs mode=leased,size=4m
python3 - <<'PYTHON'
import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
fd = os.open("mnt/data", os.O_RDWR)
addr = libc.mmap(None, ctypes.c_size_t(8192), 3, 0x80003, fd, ctypes.c_longlong(4096))
assert addr != ctypes.c_void_p(-1).value, os.strerror(ctypes.get_errno())
ctypes.memmove(addr + 5000, b"stored", 6)
assert os.pread(fd, 6, 9096) == b"stored"
PYTHON
zufs_down nullfs
zufs_up nullfs mode=leased,size=4m,relocate=1
python3 - <<'PYTHON'
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
fd = os.open("mnt/data", os.O_RDWR)
addr = libc.mmap(None, ctypes.c_size_t(8192), 3, 0x80003, fd, ctypes.c_longlong(0))
assert addr == ctypes.c_void_p(-1).value and ctypes.get_errno() == 95
PYTHON
zufs_down nullfs
