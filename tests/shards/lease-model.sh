#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# One shard of suite lease-model, in the guest: about SHARD_OPS operations of each class
# on SHARD_FS, nullfs or toyfs, which moves blocks all the time. Most of them run at full
# speed, some with pages in a pipe, the others with delays at one point after the other.
# The sums are written to $VM_OUT/result.json; status 1: a difference.
TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
export TOP TEST_DIR=/tmp/shard
mkdir -p "$TEST_DIR"
cd "$TEST_DIR" || exit
. "$TOP/tests/vm/lib.sh"

CLASSES=8 THREADS=4 PINS=60
POINTS=(replying stored read_mapped mapped fault_mapped)
seed=$ZUFS_SEED run=0 differences=0 pids=() MOUNTS=

different() { echo "DIFFERENCE: $*" >&2; differences=$((differences + 1)); }

# model FILE OPS [COMMAND...]: OPS of each class; in the background
model()
{
	local file=$1 ops=$2
	shift 2
	run=$((run + 1))
	ZUFS_SEED=$((seed * 1000 + run)) LEASE_FILE=$PWD/$file \
		LEASE_OPS=$(((ops * CLASSES + THREADS - 1) / THREADS)) \
		LEASE_COUNTS=$PWD/counts-$run "$@" ./zkill-model >"model-$run.log" 2>&1 &
	pids+=($!)
}

await_models()
{
	local pid
	for pid in "${pids[@]}"; do
		wait "$pid" || { different "a model failed"; cat model-*.log >&2; }
	done
	pids=()
}

# up DEVICE FOLDER OPTIONS
up()
{
	zufs_mkfs "z$SHARD_FS" "/dev/$1"
	zufs_mount "z$SHARD_FS" "/dev/$1" "$2" "$3"
	MOUNTS=${MOUNTS:+$MOUNTS; }$3
	echo "== $SECONDS s: $SHARD_FS, $3"
}

# down FOLDER...: what happened is kept in leases-*
down()
{
	local folder
	for folder in /sys/fs/zuf/mounts/*; do
		cp "$folder/leases" "leases-$run-${folder##*/}"
		awk '$2 { exit 1 }' "$folder/rules" || different "a rule was broken"
	done
	umount "$@"
}

# slow OPS FILE...: with delays at one point after the other
slow()
{
	local ops=$1 point file
	shift
	for point in "${POINTS[@]}"; do
		echo "== $SECONDS s: delays at $point"
		echo off >$ZUF_POINTS
		echo "$point delay_us 700" >$ZUF_POINTS
		for file in "$@"; do model "$file" "$ops"; done
		await_models
	done
	echo off >$ZUF_POINTS
}

on_nullfs()
{
	# Most of it on a processor each, as each fsync sends interrupts to all others that
	# its program runs on, and with a recall now and then, which makes all fault anew
	up pmem0 m0 "relocate=$seed,relocate_us=10000,size=256k"
	up pmem1 m1 "relocate=$((seed + 1000)),relocate_us=10000,size=256k"
	model m0/data $((SHARD_OPS * 48 / 100)) taskset -c 0
	model m1/data $((SHARD_OPS * 48 / 100)) taskset -c 1
	await_models
	echo "== $SECONDS s: two processors"
	model m0/data $((SHARD_OPS * 3 / 100))
	await_models
	down m0 m1
	up pmem0 m0 "relocate=$seed,size=1m"
	model m0/data $((SHARD_OPS / 100 + 1))
	await_models
	echo "== $SECONDS s: pins"
	# who keeps pages while it touches others wants a server that only tries to recall
	model m0/data $((SHARD_OPS / 200 + 1)) env LEASE_PINS=$PINS
	await_models
	slow $((SHARD_OPS / 1000 + 1)) m0/data
	down m0
}

on_toyfs()
{
	local file
	up pmem0 m0 "relocate=$seed"
	for file in m0/a m0/b m0/c; do
		truncate -s 256k "$file"
		model "$file" $((SHARD_OPS / 3))
	done
	await_models
	slow $((SHARD_OPS / 300 + 1)) m0/a m0/b m0/c
	down m0
	grep -o 'relocate=.*' zusd-toyfs.log
	grep -q ' late 0 ' zusd-toyfs.log || different "written to behind a downgrade"
	grep -q ' failed 0 ' zusd-toyfs.log || different "moves failed"
}

cp "$BUILD/tests/vm/helpers/lease-model" zkill-model
zuf_load_points
zusd_start "$SHARD_FS"
case $SHARD_FS in
nullfs | toyfs) "on_$SHARD_FS" ;;
*) fail "SHARD_FS is nullfs or toyfs, not $SHARD_FS" ;;
esac
echo "== $SECONDS s: done"
zusd_stop "$SHARD_FS" || different "the server ended with $?"
zuf_unload

python3 - "$differences" "$MOUNTS" >"$VM_OUT/result.json" <<'PY'
import collections, glob, json, os, platform, sys
operations, counts = collections.Counter(), collections.Counter()
differences = int(sys.argv[1])
for path in glob.glob("counts-*"):
    with open(path) as file:
        one = json.load(file)
    operations.update(one["operations"])
    counts["pages_through_a_pipe"] += one["pages_through_a_pipe"]
    differences = max(differences, one["differences"])
for path in glob.glob("leases-*"):
    with open(path) as file:
        counts.update({name: int(value) for name, value in map(str.split, file)})
env = os.environ
print(json.dumps({
    "kernel": platform.release(), "topology": env["VM_TOPOLOGY"], "accel": env["VM_ACCEL"],
    "filesystem": env["SHARD_FS"], "mount_options": sys.argv[2],
    "boot_options": env["VM_BOOT_OPTIONS"], "operations": operations, "counts": counts,
    "differences": differences}))
PY
[ $differences = 0 ]
