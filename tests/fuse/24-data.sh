#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: every way to read and write by FUSE gives the same bytes; ranges are allocated,
#	cleared and found; and every block is free again at the end.
# TIMEOUT: 180
. "$TOP/tests/fuse/lib.sh"

free_blocks() { stat -f -c %f mnt; }
as_at_first() { echo 2 >/proc/sys/vm/drop_caches; [ "$(free_blocks)" = "$1" ]; }

export FALLOC_STEPS=1500
fuse_up toyfs
before=$(free_blocks)
for program in io falloc seek; do
	posix $program
done
await as_at_first "$before"
fuse_down

export FALLOC_STEPS=400
fuse_up toyfs unwritten
before=$(free_blocks)
for program in unwritten falloc; do
	posix $program
done
await as_at_first "$before"
fuse_down
