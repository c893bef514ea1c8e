#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: a task killed in the middle of a change of names, an open or the last close leaves
#	each name old or new, and loses no inode, handle or block. On toyfs; see name-kill.c.
# Method: first the server answers at once, as it does; then its threads have the policy
#	SCHED_IDLE, so that they do not run before the killed caller has looked at its signal
#	and left the request behind.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

# Changes that a caller left behind or, which no child survives, that failed
left_behind()
{
	local op
	for op in create mkdir symlink link rename unlink rmdir; do
		cat /sys/fs/zuf/mounts/*/ops/$op
	done | awk '{ for (i = 1; i < NF; i++) if ($i == "errors") sum += $(i + 1) } END { print sum }'
}

run() { DATA_DIR=$PWD/mnt "$BUILD/tests/vm/helpers/name-kill"; }

# the debug kernel takes ten times as long for a switch of tasks
[ "$VM_KERNEL" != debug ] || export NAME_KILLS=${NAME_KILLS:-20}
zuf_load_points
zufs_up toyfs
run
echo "with a server that answers at once $(left_behind) changes were left behind"
before=$(left_behind)
chrt --all-tasks --idle --pid 0 "$(zusd_pid toyfs)"
run
count=$(($(left_behind) - before))
echo "with a server that comes late $count changes were left behind"
[ $count -ge "${NAME_KILLS:-50}" ] || fail "only $count changes were left behind"
zufs_down toyfs
! grep -E 'left|lost' zusd-toyfs.log || fail "the server had something left after the unmount"
