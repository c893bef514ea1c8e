#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: the kernel's own copy and the DAX library's do the same, also while one takes over
#	from the other: no piece is seen half written, and no call is made for either.
# TIMEOUT: 120
. "$TOP/tests/vm/lib.sh"

mount_dir() { echo /sys/fs/zuf/mounts/*; }
lease() { awk -v n="$1" '$1 == n { print $2 }' "$(mount_dir)/leases"; }

export LEASE_FILE=$PWD/mnt/data LEASE_OPS=1200
[ "$VM_KERNEL" != debug ] || LEASE_OPS=200
# pages that NUMA balancing takes out for a moment stop a copy in its middle, as they may
[ ! -e /proc/sys/kernel/numa_balancing ] || echo 0 >/proc/sys/kernel/numa_balancing
zufs_up nullfs mode=leased,size=1m
for way in 1 0; do
	echo $way >"$(mount_dir)/fast_copy"
	[ "$(cat "$(mount_dir)/fast_copy")" = $way ] || fail "fast_copy is not $way"
	"$BUILD/tests/vm/helpers/lease-torn"
	"$BUILD/tests/vm/helpers/lease-model"
done
misses=$(lease misses)
"$BUILD/tests/vm/helpers/lease-torn" &
torn=$!
while kill -0 $torn 2>/dev/null; do
	for way in 1 0; do
		echo $way >"$(mount_dir)/fast_copy"
	done
done
wait $torn
[ "$(lease misses)" = "$misses" ] || fail "leased, and yet asked for"
cat "$(mount_dir)/leases"
zufs_down nullfs
