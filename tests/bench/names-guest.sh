#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The guest's side of ci/bench-names: calls on a cached name, on ext4 and toyfs in turns,
# NAMES_RUNS times, NAMES_OPS calls each.
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$TOP/tests/vm/lib.sh"
. "$TOP/tests/bench/measure.sh"

RUNS=${NAMES_RUNS:-5}
OPS=${NAMES_OPS:-50000}
BIN=$TOP/build/tests/bench/name-ops
DIR=/run/bench

options_of() { awk -v dir="$1" '$2 == dir { print $3 ":" $4 }' /proc/mounts; }

boot_meta
mkdir -p $DIR/ext4-dax $DIR/toyfs
cd $DIR
mkfs.ext4 -q -F -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 /dev/pmem1
mount -t ext4 -o dax=always /dev/pmem1 $DIR/ext4-dax
zuf_load
zusd_start toyfs
"$TOP/build/zus/mkfs.zufs" -t ztoyfs -f /dev/pmem0 >/dev/null
mount -t ztoyfs /dev/pmem0 $DIR/toyfs
echo data >$DIR/ext4-dax/name
echo data >$DIR/toyfs/name
for ((run = 1; run <= RUNS; run++)); do
	for op in stat open-close; do
		for system in ext4-dax toyfs; do
			rows $run "$(options_of $DIR/$system)" "$BIN" --file $DIR/$system/name \
				--op $op --system $system --ops "$OPS"
			say "[run $run] $system $op: $(awk -F'[:,} "]+' '{ print $15 }' "$RAW/$RUN.rows") us"
		done
	done
done
umount $DIR/toyfs $DIR/ext4-dax
zusd_stop toyfs
zuf_unload
