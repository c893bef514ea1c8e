#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: access times as relatime, strictatime, noatime, nodiratime and lazytime say, and no
#	time is lost when the kernel forgets the inode, or at an umount.
# TIMEOUT: 240
. "$TOP/tests/vm/lib.sh"

zuf_load
zusd_start toyfs
for options in relatime strictatime noatime nodiratime lazytime lazytime,strictatime; do
	echo "== $options"
	zufs_mkfs ztoyfs /dev/pmem0
	zufs_mount ztoyfs /dev/pmem0 mnt "keep,$options"
	python3 "$TOP/tests/conformance/posix/atimes.py" mnt
	# an atime and an mtime that nothing but the umount sends
	echo data >mnt/f
	touch -d '3 days ago' mnt/f
	cat mnt/f >/dev/null
	echo more >>mnt/f
	stat -c '%x %y %z' mnt/f >before
	umount mnt
	zufs_mount ztoyfs /dev/pmem0 mnt "keep,$options"
	stat -c '%x %y %z' mnt/f | diff before -
	no_rule_broken
	umount mnt
done
zusd_stop toyfs
zuf_unload
