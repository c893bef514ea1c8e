#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The guest's side of ci/bench-extents: how long it takes to find one of EXTENTS leases
# ("1000 10000 ...", ascending) of one inode, and what memory they take. EXTENTS_RUNS of
# all, EXTENTS_OPS reads each.
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
. "$TOP/tests/vm/lib.sh"
. "$TOP/tests/bench/measure.sh"

EXTENTS=${EXTENTS:-1000 10000 100000 1000000}
RUNS=${EXTENTS_RUNS:-5}
OPS=${EXTENTS_OPS:-100000}
LOOKUP=$TOP/build/tests/bench/lease-lookup
MNT=/run/bench/mnt
GROUP=/run/bench/cgroup/server

# server_group: what the server allocates, in the kernel too, is charged to a group of its own
server_group()
{
	mkdir -p /run/bench/cgroup
	mount -t cgroup2 none /run/bench/cgroup
	echo +memory >/run/bench/cgroup/cgroup.subtree_control
	mkdir -p $GROUP
	zusd_pid nullfs >$GROUP/cgroup.procs
}

charged_slab() { awk '$1 == "slab" { print $2 }' $GROUP/memory.stat; }

# slab_bytes: of each cache, in whole pages
slab_bytes()
{
	awk -v page="$(getconf PAGESIZE)" '!/^(#|slabinfo)/ { print $1, $(NF - 1) * $6 * page }' \
		/proc/slabinfo
}

stats_file() { echo /sys/fs/zuf/mounts/*/leases; }

# lookups RUN OPTION...: rows, and a line for who watches
lookups()
{
	local run=$1
	shift
	rows "$run" "$OPTIONS" "$LOOKUP" --file $MNT/data --stats "$(stats_file)" --ops "$OPS" \
		--seed $((BENCH_SEED + run)) "$@"
	awk -F'[:,} "]+' -v run="$run" '/lat_mean_us/ { us = $15 }
		/lookup_ns/ { printf "[run %d] %s: a read %.2f us, its lookup %.0f ns\n", run, $5, us, $15 }' \
		"$RAW/$RUN.rows"
}

# memory_row COUNTER BYTES: of each extent, when all are there
memory_row()
{
	printf '{"system": "nullfs-leased", "workload": "extents-%d", "threads": 1, "files": 1, "counter": "%s", "per_op": %.2f}\n' \
		"$COUNT" "$1" "$(awk -v b="$2" -v n="$COUNT" 'BEGIN { print b / n }')"
}

# memory_rows --json: of what has grown since slab.before and CHARGED were taken
memory_rows()
{
	local cache bytes
	memory_row charged_bytes $(($(charged_slab) - CHARGED))
	while read -r cache bytes; do
		memory_row "$cache" "$bytes"
	done < <(awk -v n="$COUNT" 'FNR == NR { before[$1] = $2; next }
		$2 - before[$1] >= n { print "bytes_of_" $1, $2 - before[$1]; sum += $2 - before[$1] }
		END { print "slab_bytes", sum }' slab.before slab.after)
}

mount_nullfs()
{
	mount -t znullfs -o "$1" /dev/pmem0 $MNT
	OPTIONS=znullfs:$1
}

one_run()
{
	local run=$1 from=0
	mount_nullfs mode=leased,size=4m
	lookups "$run" --one-extent
	umount $MNT
	mount_nullfs mode=leased,extent=4k,space=4m,size=8g
	exec 8<$MNT/data	# keeps the inode
	slab_bytes >slab.before
	CHARGED=$(charged_slab)
	for COUNT in $EXTENTS; do
		lookups "$run" --from "$from" --blocks "$COUNT"
		from=$COUNT
	done
	slab_bytes >slab.after
	rows "$run" "$OPTIONS" memory_rows
	awk -F'[:,} "]+' -v run="$run" '{ printf "[run %d] %s: %s %s an extent\n", run, $5, $11, $13 }' \
		"$RAW/$RUN.rows"
	exec 8<&-
	umount $MNT
}

boot_meta
mkdir -p $MNT
cd /run/bench
zuf_load
zusd_start nullfs
server_group
"$TOP/build/zus/mkfs.zufs" -t znullfs -f /dev/pmem0 >/dev/null
for ((run = 1; run <= RUNS; run++)); do
	one_run $run
done
zusd_stop nullfs
zuf_unload
