#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The guest's side of ci/bench: everything on one topology, BENCH_RUNS times over. The
# runs of one system lie far apart and those of different systems close together, so
# that a change of the host's load meets all alike.
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$TOP/tests/vm/lib.sh"
. "$TOP/tests/bench/measure.sh"
BENCH_SYSTEMS=${BENCH_SYSTEMS:-nullfs-leased nullfs-leased-library nullfs-call nullfs-call-done \
nullfs-cow-word nullfs-cow-done nullfs-inline toyfs ext4-dax xfs-dax tmpfs null-dax null-dax-library fuse-null fuse-null-pinned}
. "$TOP/tests/bench/systems.sh"

RUNS=${BENCH_RUNS:-5}
CLIENTS=${BENCH_CLIENTS:-1 2}
COUNT_OPS=${BENCH_COUNT_OPS:-100000}
WORKLOADS="randwrite-4k-dsync randwrite-4k-osync randread-4k"
# On one file with four clients, where there are four CPUs
CROWD=4
CROWD_SYSTEMS=" nullfs-leased nullfs-leased-library null-dax null-dax-library ext4-dax xfs-dax "
CROWD_WORKLOADS="randwrite-4k-dsync randread-4k"
BARS_HELD=yes

is_crowded() { [ "$(nproc)" -ge $CROWD ] && [[ $CROWD_SYSTEMS = *" $1 "* ]]; }

# What no emulation distorts. A bar that is passed is told, and the measuring goes on.
counters()
{
	local op
	system_up nullfs-call 1 1 || die "nullfs does not come up"
	for op in nop map getattr; do
		say "counting over $COUNT_OPS operations: $op"
		rows 1 "$SYSTEM_OPTIONS" "$BENCH_BIN/tracecount" --op $op \
			--file "${SYSTEM_FILES[0]}" --server "$(zusd_pid nullfs)" \
			--ops "$COUNT_OPS" || BARS_HELD=
	done
	system_down
	# For comparison only: two round trips a write, and the peer
	system_up nullfs-call-done 1 1 || die "nullfs does not come up"
	rows 1 "$SYSTEM_OPTIONS" "$BENCH_BIN/tracecount" --op map --file "${SYSTEM_FILES[0]}" \
		--server "$(zusd_pid nullfs)" --ops "$((COUNT_OPS / 10))" \
		--system nullfs-call-done --no-bars
	system_down
	system_up fuse-null-pinned 1 1 || die "fuse-null does not come up"
	rows 1 "$SYSTEM_OPTIONS" "$BENCH_BIN/tracecount" --op map --file "${SYSTEM_FILES[0]}" \
		--server "$FUSE_PID" --ops "$((COUNT_OPS / 10))" --system fuse-null-pinned --no-bars
	system_down
}

boot_meta
mkdir -p /run/bench
cd /run/bench
modprobe -a fuse ext4 xfs
zuf_load
zusd_start toyfs
zusd_start nullfs
counters
# Systems with one file each, and those that can with one file a client besides
STEPS=$((RUNS * $(wc -w <<<"$BENCH_SYSTEMS") * $(wc -w <<<"$WORKLOADS") * $(wc -w <<<"$CLIENTS")))
for clients in $CLIENTS; do
	[ "$clients" = 1 ] && continue
	several=$(tr -s ' ' '\n' <<<"$BENCH_SYSTEMS" | grep -cvE '^nullfs-(call|inline)') || true
	STEPS=$((STEPS + RUNS * several * $(wc -w <<<"$WORKLOADS")))
done
for system in $BENCH_SYSTEMS; do
	! is_crowded "$system" || STEPS=$((STEPS + RUNS * $(wc -w <<<"$CROWD_WORKLOADS")))
done
for ((run = 1; run <= RUNS; run++)); do
	yardsticks $run
	for system in $BENCH_SYSTEMS; do
		measure_system "$system" 1 $run "$CLIENTS" "$WORKLOADS"
		for clients in $CLIENTS; do
			[ "$clients" = 1 ] ||
				measure_system "$system" each $run "$clients" "$WORKLOADS"
		done
		! is_crowded "$system" ||
			measure_system "$system" 1 $run $CROWD "$CROWD_WORKLOADS"
	done
done
zusd_stop nullfs
zusd_stop toyfs
zuf_unload
[ -n "$BARS_HELD" ] || say "a counted bar was passed, see above"
