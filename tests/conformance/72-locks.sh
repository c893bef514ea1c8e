#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: file locks are the server's where the plugin wants them, and do what a local
#	filesystem's do, also for who waits, is killed, or has lost the server; where it does
#	not it hears nothing of them.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

RETRY=/sys/module/zuf/parameters/lock_retry_ms

# asked: how often the server was asked for a lock
asked() { awk '{ print $2; exit }' /sys/fs/zuf/mounts/*/ops/lock; }
asked_more() { [ "$(asked)" -gt "$1" ]; }

# wait_for_lock: a process that waits for the lock of mnt/file, in $waiter
wait_for_lock()
{
	local before
	before=$(asked)
	flock mnt/file true 2>waiter.log &
	waiter=$!
	await asked_more "$before"
}

# ended_badly: it has ended, with EIO and no lock
ended_badly()
{
	if wait "$waiter"; then fail "it has the lock"; fi
	grep -q 'Input/output error' waiter.log || fail "it says: $(cat waiter.log)"
}

zufs_up toyfs
python3 "$TOP/tests/conformance/posix/locks.py" mnt
no_rule_broken
zufs_down toyfs

zufs_up toyfs locks
python3 "$TOP/tests/conformance/posix/locks.py" mnt
no_rule_broken
# nobody asks again by himself from here on
echo 3600000 >$RETRY
exec 5>mnt/file
flock 5
wait_for_lock
zusd_kill toyfs
ended_badly
expect 65 flock -n mnt/file true
expect_output 'Input/output error'
expect 65 flock -u 5
grep -q "$(stat -c %i mnt/file)" /proc/locks && fail "still locked: $(cat /proc/locks)"
exec 5>&-
umount mnt

zusd_start toyfs
zufs_mount ztoyfs /dev/pmem0 mnt locks
exec 5>mnt/file
flock 5
wait_for_lock
echo 1 >"$(echo /sys/fs/zuf/mounts/*/abort)"
ended_badly
exec 5>&-
umount mnt

# nobody has told it of the end of an aborted mount
zusd_kill toyfs

# shut: the holder's close still reaches the server, or the unmount would wait
zusd_start toyfs
zufs_mount ztoyfs /dev/pmem0 mnt locks
exec 5>mnt/file
flock 5
wait_for_lock
python3 -c '
import fcntl, struct
fcntl.ioctl(5, 2 << 30 | 4 << 16 | ord("X") << 8 | 125, struct.pack("I", 2))'
ended_badly
exec 5>&-
umount mnt
zusd_stop toyfs
zuf_unload
