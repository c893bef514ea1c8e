#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: fallocate(2) does what it says in all its modes, also while the server moves blocks,
#	and every block is free again at the end.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

free_blocks() { stat -f -c %f mnt; }
as_at_first() { echo 2 >/proc/sys/vm/drop_caches; [ "$(free_blocks)" = "$1" ]; }

steps=$([ "$VM_KERNEL" = debug ] && echo 300 || echo 1500)
for options in '' relocate=7; do
	# who asks for what moves waits some milliseconds each time
	export FALLOC_STEPS=$((${#options} ? steps / 5 : steps))
	zufs_up toyfs "$options"
	before=$(free_blocks)
	python3 "$TOP/tests/conformance/posix/falloc.py" mnt
	await as_at_first "$before"
	no_rule_broken
	zufs_down toyfs
done
