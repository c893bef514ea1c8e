#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The guest's side of ci/demo: real work on toyfs, checked; then each system measured
# once, in this one boot.
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$TOP/tests/vm/lib.sh"
. "$TOP/tests/bench/measure.sh"
. "$TOP/tests/bench/systems.sh"

DEMO=$TOP/build/demo
TOY=/run/bench/toy
WORKLOADS="randwrite-4k-dsync randwrite-4k-osync randread-4k"

step() { printf '\n== %s\n' "$*"; }

# timed WHAT COMMAND...: says what it does and how long that took
timed()
{
	local what=$1 start=$SECONDS
	shift
	"$@" || die "$what: failed"
	say "   $what: $((SECONDS - start)) s"
}

real_work()
{
	local tree=$TOY/$1
	step "ztoyfs: a filesystem written in user mode, mounted by plain mount -t"
	"$TOP/build/zus/mkfs.zufs" -t ztoyfs -f /dev/pmem0
	mkdir -p $TOY
	mount -t ztoyfs /dev/pmem0 $TOY
	grep " $TOY " /proc/mounts
	step "Unpack part of the Linux source, check it, build from it, check that"
	timed "unpack $(wc -l <"$DEMO/tree.sha256") files" tar -C $TOY -xf "$DEMO/tree.tar"
	cd "$tree"
	timed "compare with the checksums of another copy" \
		sha256sum --quiet --strict -c "$DEMO/tree.sha256"
	timed "build libsubcmd.a and libapi.a" "$TOP/tests/bench/build-tree.sh" "$tree"
	timed "compare with what another copy was built to" \
		sha256sum --strict -c "$DEMO/built.sha256"
	df -h $TOY
	cd /run/bench
	umount $TOY
}

measure_all()
{
	local system
	step "4 KiB random I/O, O_DIRECT, files of $BENCH_MIB MiB, $BENCH_SECONDS s each"
	STEPS=$(($(wc -w <<<"$BENCH_SYSTEMS") * $(wc -w <<<"$WORKLOADS") * 2))
	yardsticks 1
	for system in $BENCH_SYSTEMS; do
		measure_system "$system" 1 1 "1 2" "$WORKLOADS"
	done
}

boot_meta
mkdir -p /run/bench
cd /run/bench
modprobe -a fuse ext4 xfs
step "Load zuf.ko, start zusd for ztoyfs and znullfs"
zuf_load
zusd_start toyfs
zusd_start nullfs
real_work "$(cat "$DEMO/name")"
measure_all
step "Stop the servers, unload the module"
zusd_stop nullfs
zusd_stop toyfs
zuf_unload
