#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: while one write epoch follows the other no block changes in one unless the server
#	has answered a map for writing in it before, by write(2) or through a mapping; and
#	no byte is lost. Also when answers and uses are held up on their way, and while
#	blocks move. nullfs keeps the sums (epoch_check), see null_epoch.c and lease-model.c.
# TIMEOUT: 400
. "$TOP/tests/vm/lib.sh"

stat_of() { awk -v n="$2" '$1 == n { print $2 }' "$(echo /sys/fs/zuf/mounts/*)/$1"; }

# what the kernel counted, and what nullfs saw
verdict()
{
	local stat rule
	cat /sys/fs/zuf/mounts/*/epochs
	for stat in count waits inodes; do
		[ "$(stat_of epochs "$stat")" -gt 0 ] || fail "$stat is 0: nothing was tested"
	done
	for rule in $(awk '$2 { print $1 }' /sys/fs/zuf/mounts/*/rules); do
		fail "rule $rule was broken"
	done
	umount mnt
	zusd_stop nullfs
	if grep 'changed in epoch' zusd-nullfs.log; then
		fail "a block changed that nobody might write to"
	fi
}

ops=2000
[ "$VM_KERNEL" != debug ] || ops=250
zuf_load_points
# points act on tasks of this name
cp "$BUILD/tests/vm/helpers/lease-model" zkill-model
export LEASE_FILE=$PWD/mnt/data LEASE_OPS=$ops

zufs_up nullfs epoch_ms=0,epoch_check,size=1m
./zkill-model
for point in replying stored mapped copying fault_mapped epoch_closed epoch_clean; do
	echo off >$ZUF_POINTS
	echo "$point delay_us 700" >$ZUF_POINTS
	LEASE_OPS=$((ops / 4)) ./zkill-model
done
echo off >$ZUF_POINTS
verdict

zusd_start nullfs
zufs_mount znullfs /dev/pmem0 mnt "epoch_ms=0,relocate=${ZUFS_SEED:-1},size=1m"
LEASE_OPS=$((ops / 2)) ./zkill-model
verdict
zuf_unload
