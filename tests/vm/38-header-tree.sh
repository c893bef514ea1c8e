#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: an unpacked tree of kernel headers, copied to toyfs, is there what it was, names,
#	contents, modes and times, once nothing of it is cached; and removed again, every
#	inode and block is free.
# Method: a part of include/ of the headers of 6.1 that ci/kernels unpacked, by way of a
#	tmpfs, since the machine's own tree is slow to read; the debug kernel takes less.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

# What find knows of each file; a directory's size is the filesystem's own affair
attributes()
{
	(cd "$1" && find . -type d -printf '%P %y %m %n %U %G\n' \
		-o -printf '%P %y %m %n %U %G %s %T@ %l\n') | sort
}

# usage: inodes in use, free blocks
usage() { stat -f -c '%c %d %f' mnt | awk '{ print $1 - $2, $3 }'; }

same_usage()
{
	# once more: what is in use may hold others
	echo 2 >/proc/sys/vm/drop_caches
	[ "$(usage)" = "$1" ]
}

compare()
{
	diff -r --no-dereference tmp/include mnt/include
	diff -r --no-dereference mnt/include tmp/include
	attributes mnt/include >attributes.mnt
	diff attributes.tmp attributes.mnt
}

common=$(echo "$BUILD"/kernels/6.1/headers/usr/src/linux-headers-*-common)
[ -d "$common/include" ] || fail "no kernel headers in $BUILD/kernels/6.1: ci/kernels"
parts=(asm-generic trace)
[ "$VM_KERNEL" = debug ] || parts+=(crypto media net sound uapi)

mkdir tmp
mount -t tmpfs none tmp
tar -C "$common" -cf - "${parts[@]/#/include/}" | tar -C tmp -xf -
attributes tmp/include >attributes.tmp
zufs_up toyfs
before=$(usage)
cp -a tmp/include mnt/
echo 3 >/proc/sys/vm/drop_caches
compare
echo "$(find mnt/include -type f | wc -l) files, $(find mnt/include -type d | wc -l) directories," \
	"$(du -s --apparent-size -B1 mnt/include | cut -f1) bytes are the same"

rm -r mnt/include
await same_usage "$before"
echo "inodes in use and free blocks: $(usage), as at first"
zufs_down toyfs
umount tmp
