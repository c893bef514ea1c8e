#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: blocks move under readers, writers and mappings, and no byte is lost or strange;
#	also when answers are held up on their way, before or behind a recall, and when
#	uses are held up between the answer and the copy. See lease-model.c.
# TIMEOUT: 240
. "$TOP/tests/vm/lib.sh"

lease() { awk -v n="$1" '$1 == n { print $2 }' /sys/fs/zuf/mounts/*/leases; }

ops=2000
[ "$VM_KERNEL" != debug ] || ops=250
zuf_load_points
zufs_up nullfs relocate="${ZUFS_SEED:-1}",size=1m
# points act on tasks of this name
cp "$BUILD/tests/vm/helpers/lease-model" zkill-model
export LEASE_FILE=$PWD/mnt/data LEASE_OPS=$ops
./zkill-model
for point in replying stored read_mapped mapped fault_mapped; do
	echo off >$ZUF_POINTS
	echo "$point delay_us 700" >$ZUF_POINTS
	LEASE_OPS=$((ops / 4)) ./zkill-model
done
# how many answers a recall overtakes is a matter of speed: as long as it takes for one
echo off >$ZUF_POINTS
echo "replying delay_us 2000" >$ZUF_POINTS
until [ "$(lease refused)" -gt 0 ] || [ $SECONDS -gt 120 ]; do
	LEASE_OPS=$((ops / 4)) ./zkill-model
done
echo off >$ZUF_POINTS
cat /sys/fs/zuf/mounts/*/leases
for stat in hits recalls recalled restarts refused; do
	[ "$(lease $stat)" -gt 0 ] || fail "$stat is 0: nothing was tested"
done
for rule in $(awk '$2 { print $1 }' /sys/fs/zuf/mounts/*/rules); do
	fail "rule $rule was broken"
done
umount mnt

# a use that takes far longer than a recall: after some tries recalls let it go first
zufs_mount znullfs /dev/pmem0 mnt relocate="${ZUFS_SEED:-1}",size=64k
cp "$(command -v dd)" zkill-dd
for point in read_mapped mapped; do
	echo off >$ZUF_POINTS
	echo "$point delay_us 80000" >$ZUF_POINTS
	restarts=$(lease restarts)
	if [ $point = mapped ]; then
		timeout "$WAIT_SECONDS" ./zkill-dd if=/dev/zero of=mnt/data bs=4k count=1 conv=notrunc
	else
		timeout "$WAIT_SECONDS" ./zkill-dd if=mnt/data of=/dev/null bs=4k count=1
	fi
	echo "$point: $(($(lease restarts) - restarts)) restarts"
	[ $(($(lease restarts) - restarts)) -lt 20 ] || fail "$point: starved"
done
echo off >$ZUF_POINTS
zufs_down nullfs
