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
	fio_verify mnt $engine $size
done
zufs_down toyfs
