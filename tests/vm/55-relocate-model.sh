#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: blocks of several toyfs files in use move, and are used again by others of them,
#	and no byte is lost or strange; also when answers and uses of them are held up.
#	See lease-model.c.
# TIMEOUT: 240
. "$TOP/tests/vm/lib.sh"

# models OPS: one a file, all at once; points act on tasks of this name
models()
{
	local file pids=()
	for file in a b c; do
		LEASE_FILE=$PWD/mnt/$file LEASE_OPS=$1 ./zkill-model >"$file.log" 2>&1 &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || { cat ./*.log; fail "a model differs"; }
	done
}

ops=800
[ "$VM_KERNEL" != debug ] || ops=200
zuf_load_points
zufs_up toyfs relocate="${ZUFS_SEED:-1}"
cp "$BUILD/tests/vm/helpers/lease-model" zkill-model
for file in a b c; do
	truncate -s 256k mnt/$file
done
models $ops
for point in replying stored read_mapped mapped fault_mapped; do
	echo off >$ZUF_POINTS
	echo "$point delay_us 700" >$ZUF_POINTS
	models $((ops / 8))
done
echo off >$ZUF_POINTS
for stat in hits recalled restarts; do
	[ "$(lease $stat)" -gt 0 ] || fail "$stat is 0: nothing was tested"
done
relocated_down
