#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: mount, remount and umount say what is wrong and leave nothing behind.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

# refused WHY COMMAND...: it fails, and the kernel's log or the command says why
refused()
{
	local why=$1
	shift
	dmesg -C
	! "$@" >refusal 2>&1 || fail "not refused: $*"
	dmesg >>refusal
	grep -qE -- "$why" refusal || { cat refusal; fail "no '$why' from: $*"; }
	! grep -q " $PWD/mnt " /proc/mounts || fail "mounted all the same: $*"
}

mkdir mnt
zuf_load
refused 'unknown filesystem type' mount -t ztoyfs /dev/pmem0 mnt
zusd_start toyfs
grep -q ztoyfs /proc/filesystems || fail "not in /proc/filesystems"

dd if=/dev/zero of=/dev/pmem0 bs=4096 count=2 conv=fsync status=none
refused '.' mount -t ztoyfs /dev/pmem0 mnt
refused 'No such file|does not exist' mount -t ztoyfs /dev/nothing mnt
zufs_mkfs znullfs /dev/pmem0
refused 'znullfs' mount -t ztoyfs /dev/pmem0 mnt
zufs_mkfs ztoyfs /dev/pmem0
refused 'recover=queue' mount -t ztoyfs -o recover=queue /dev/pmem0 mnt
refused 'deadline_ms' mount -t ztoyfs -o deadline_ms=soon /dev/pmem0 mnt
refused '.' mount -t ztoyfs -o fd=99 /dev/pmem0 mnt
refused '.' mount -t ztoyfs -o "$(printf 'x%.0s' {1..4000})" /dev/pmem0 mnt

mount -t ztoyfs -o deadline_ms=60000,recover=fail /dev/pmem0 mnt
grep -q ' ztoyfs rw,relatime,deadline_ms=60000 ' /proc/mounts || fail "$(tail -1 /proc/mounts)"
touch mnt/file

# the same superblock again; not with another mode
mkdir again
mount -t ztoyfs /dev/pmem0 again
[ -e again/file ] || fail "another filesystem"
! mount -t ztoyfs -o ro /dev/pmem0 mnt 2>/dev/null || fail "ro beside rw"
umount again
! mkfs.ext4 -q /dev/pmem0 2>/dev/null || fail "the device is not in use"

mount -o remount,ro mnt
expect 1 touch mnt/other
expect_output 'Read-only'
mount -o remount,rw,deadline_ms=70000 mnt
touch mnt/other
grep -q 'deadline_ms=70000' /proc/mounts || fail "remount left the deadline"
expect 1 rmmod zuf
expect 1 sh -c 'exec 5>mnt/busy; umount mnt 2>/dev/null || exit 1'
umount mnt
mount -t ztoyfs -o ro /dev/pmem0 mnt
expect 1 touch mnt/other
umount mnt

zusd_stop toyfs
refused 'unknown filesystem type' mount -t ztoyfs /dev/pmem0 mnt
zuf_unload
