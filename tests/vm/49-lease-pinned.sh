#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: blocks move while pages of the file lie in a pipe, mapped or not any more: those
#	wait, and no byte is lost or strange. See lease-model.c.
# TIMEOUT: 120
. "$TOP/tests/vm/lib.sh"

lease() { awk -v n="$1" '$1 == n { print $2 }' /sys/fs/zuf/mounts/*/leases; }

pins=${LEASE_PINS:-100} ops=${LEASE_OPS:-1500}
[ "$VM_KERNEL" != debug ] || { pins=20 ops=250; }
zufs_up nullfs relocate="${ZUFS_SEED:-1}",size=1m
LEASE_FILE=$PWD/mnt/data LEASE_OPS=$ops LEASE_PINS=$pins LEASE_COUNTS=$PWD/counts \
	"$BUILD/tests/vm/helpers/lease-model"
cat counts /sys/fs/zuf/mounts/*/leases
[ "$(lease pinned_waits)" -ge "$pins" ] || fail "too few pinned waits"
for rule in $(awk '$2 { print $1 }' /sys/fs/zuf/mounts/*/rules); do
	fail "rule $rule was broken"
done
zufs_down nullfs
