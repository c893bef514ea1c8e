#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The guest's side of ci/bench-epoch: how long writers stand still while a write epoch
# begins. EPOCH_FILES open files, EPOCH_MIB stored through a mapping, EPOCH_RUNS of each.
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$TOP/tests/vm/lib.sh"
. "$TOP/tests/bench/measure.sh"

FILES=${EPOCH_FILES:-100000}
MIB=${EPOCH_MIB:-1024}
RUNS=${EPOCH_RUNS:-1}
STALL=$TOP/build/tests/bench/epoch-stall
MNT=/run/bench/mnt
HELD=yes

# stalls MOUNT-OPTIONS RUN OPTION...
stalls()
{
	local options=$1 run=$2
	shift 2
	mount -t znullfs -o "$options" /dev/pmem0 $MNT
	say "$* ($options)"
	rows "$run" "znullfs:$options" "$STALL" --dir $MNT "$@" || HELD=
	awk -F'[{:,} "]+' '{ print "  " $5, $9 " files", $11, $13 }' "$RAW/$RUN.rows"
	umount $MNT
}

boot_meta
mkdir -p $MNT
cd /run/bench
zuf_load
zusd_start nullfs
"$TOP/build/zus/mkfs.zufs" -t znullfs -f /dev/pmem0 >/dev/null
for ((run = 1; run <= RUNS; run++)); do
	stalls "epoch_ms=20,files=$FILES,size=4k" $run --files "$FILES"
	stalls "epoch_ms=20,files=$FILES,size=4k" $run --files "$FILES" --writer
	stalls "epoch_ms=500,size=${MIB}m" $run --dirty-mib "$MIB" --epochs 30
	stalls "epoch_ms=500,size=${MIB}m" $run --dirty-mib $((MIB / 8)) --small-pages --epochs 20
done
zusd_stop nullfs
zuf_unload
[ -n "$HELD" ] || say "a bar was passed, see above"
