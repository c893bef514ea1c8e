#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: FS_IOC_SHUTDOWN ends all I/O with EIO, what is leased too; the unmount reaches the
#	server, and what had been written is there with the next mount.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

# NAME HOW [FILE]: shut, and unmounted
shut()
{
	python3 "$TOP/tests/conformance/posix/shutdown.py" mnt "$@"
	[ "$(cat /sys/fs/zuf/mounts/*/state)" = shut ] || fail "the state does not say so"
	no_rule_broken
	umount mnt
}

zufs_up toyfs
for how in 0 1 2; do
	shut $how
	# toyfs forgets its files; that it mounts says that it was told of the unmount
	zufs_mount ztoyfs /dev/pmem0 mnt
	[ -z "$(ls -A mnt)" ] || fail "it was not unmounted"
done
zufs_down toyfs
# by leases alone no call is made that could fail
zufs_up nullfs mode=leased
shut 2 data
zufs_mount znullfs /dev/pmem0 mnt mode=leased
[ "$(head -c 24 mnt/data)" = "durable when it was shut" ] || fail "what was durable is lost"
zufs_down nullfs
