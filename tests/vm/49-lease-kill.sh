#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: tasks killed at each point of a read, a write or a fault, while blocks move and
#	recalls are held up, leave the file as it should be. See lease-kill.c.
# TIMEOUT: 150
. "$TOP/tests/vm/lib.sh"

lease() { awk -v n="$1" '$1 == n { print $2 }' /sys/fs/zuf/mounts/*/leases; }

kills=${LEASE_KILLS:-12}
[ "$VM_KERNEL" != debug ] || kills=4
zuf_load_points
zufs_up nullfs relocate="${ZUFS_SEED:-1}",size=512k
LEASE_FILE=$PWD/mnt/data LEASE_KILLS=$kills "$BUILD/tests/vm/helpers/lease-kill"
cat /sys/fs/zuf/mounts/*/leases
[ "$(lease recalled)" -gt 0 ] || fail "nothing was recalled"
for rule in $(awk '$2 { print $1 }' /sys/fs/zuf/mounts/*/rules); do
	fail "rule $rule was broken"
done
zufs_down nullfs
