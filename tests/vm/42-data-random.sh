#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: random operations against a model, on toyfs, and fio's verification of random
#	writes by write(2) and by mmap, by two jobs.
# TIMEOUT: 240
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
DATA_DIR=$PWD/mnt "$BUILD/tests/vm/helpers/data-random"

size=24m
[ "$VM_KERNEL" != debug ] || size=2m
for engine in psync mmap; do
	fio --name="$engine" --directory=mnt --ioengine="$engine" --rw=randwrite --bsrange=512-64k \
		--bs_unaligned --size=$size --numjobs=2 --verify=crc32c --verify_fatal=1 \
		--do_verify=1 --randseed=7 --fallocate=none --end_fsync=1 --thread \
		--output-format=terse >/dev/null
	rm mnt/"$engine".*
done
zufs_down toyfs
