#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: the guest is what ci/vm promises: processors, nodes, persistent memory, mounts,
#	modules, power management.
# TIMEOUT: 60
. "$TOP/tests/vm/lib.sh"

case $VM_TOPOLOGY in
2x1) cpus=2 node1='1' ;;
1x1) cpus=1 node1='' ;;
1x4) cpus=4 node1='' ;;
2x2) cpus=4 node1='2-3' ;;
esac
[ "$(nproc)" = "$cpus" ] || fail "$(nproc) processors, not $cpus"
[ "$(cat /sys/devices/system/node/node1/cpulist)" = "$node1" ] || fail "node 1's processors"
for node in 0 1; do
	[ -b /dev/pmem$node ] || fail "no /dev/pmem$node"
	[ "$(cat /sys/block/pmem$node/device/numa_node)" = $node ] || fail "pmem$node's node"
	[ "$(cat /sys/block/pmem$node/queue/dax)" = 1 ] || fail "pmem$node is not DAX"
done

for where in /proc /sys /dev /dev/pts /dev/shm /run /sys/kernel/debug /sys/kernel/tracing \
	/sys/fs/cgroup "$VM_OUT"; do
	mountpoint -q $where || fail "$where is no mount"
done
touch "$TOP/written-in-the-guest" "$VM_OUT/file"
rm "$TOP/written-in-the-guest" "$VM_OUT/file"
echo reopened >/dev/stdout
[ "$(cat /sys/class/net/lo/carrier 2>/dev/null)" = 1 ] || fail "loopback is down"
grep -qw cpuset /sys/fs/cgroup/cgroup.controllers || fail "no cpuset controller"
[ "$(id -u)" = 0 ] || fail "not root"
# shellcheck source=/dev/null
(. /run/vm-info && [ -n "$VM_ACCEL$VM_BOOT_OPTIONS" ] && [ "$VM_BOOT_ID" = "$(cat /proc/sys/kernel/random/boot_id)" ]) ||
	fail "/run/vm-info"

# ext4 stands for what a peer in the benchmark needs
mkfs.ext4 -q /dev/pmem1
mkdir ext4
mount -o dax=always /dev/pmem1 ext4
echo persistent >ext4/file
umount ext4

cpu=/sys/devices/system/cpu/cpu1/online
echo 0 >$cpu
[ "$(nproc --all)" = "$cpus" ] && [ "$(cat $cpu)" = 0 ] || fail "cannot take a processor away"
echo 1 >$cpu

suspend_cycle
