#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: toyfs files are cut and grow while their blocks move, are recalled, read, written
#	and mapped, also when truncates, uses and recalls are held up: nobody sees what was
#	cut off, what lay behind the end, or what is another file's. See truncate-races.c.
# TIMEOUT: 240
. "$TOP/tests/vm/lib.sh"

steps=120
[ "$VM_KERNEL" != debug ] || steps=60
zuf_load_points
zufs_up toyfs relocate="${ZUFS_SEED:-1}"
# points act on tasks of this name
cp "$BUILD/tests/vm/helpers/truncate-races" zkill-races
export DATA_DIR=$PWD/mnt
RACE_STEPS=$steps ./zkill-races
for point in truncate_cut mapped read_mapped fault_mapped after_map_done recall_marked; do
	echo off >$ZUF_POINTS
	echo "$point delay_us 700" >$ZUF_POINTS
	RACE_STEPS=$((steps / 6)) ./zkill-races
done
echo off >$ZUF_POINTS
for stat in hits recalled restarts fence_waits; do
	[ "$(lease $stat)" -gt 0 ] || fail "$stat is 0: nothing was tested"
done
relocated_down
! grep -q ' cut 0 ' relocated || fail "no truncate met a block that moved"
