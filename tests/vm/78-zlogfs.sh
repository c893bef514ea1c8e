#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: zlogfs mounted by the module, over two devices, with each policy: what is written, also
#	through mappings and by commit words, is there when it is mounted again, and the media
#	are clean.
# TIMEOUT: 240
. "$TOP/tests/vm/lib.sh"
PATH=$ZUS:$PATH

up() { zufs_mount zlogfs /dev/pmem0 mnt "fd=3,$1" 3<>/dev/pmem1; }

# again OPTIONS: from a clean medium
again()
{
	umount mnt
	fsck.zlogfs -n /dev/pmem0 /dev/pmem1 || fail "damaged media"
	up "$1"
}

sums() { (cd mnt && find . -type f -print0 | sort -z | xargs -0 sha256sum); }

zuf_load
zusd_start zlogfs
for options in policy=cow policy=cow,words=off policy=inplace policy=boundary,reflink; do
	mkfs.zlogfs -f -q /dev/pmem0 /dev/pmem1
	up $options
	fio_verify mnt psync 2m
	fio_verify mnt mmap 1m
	cp -a "$TOP/zus/lib" mnt/lib
	dd if=/dev/urandom of=mnt/large bs=1M count=8 status=none
	dd if=/dev/urandom of=mnt/large bs=5000 count=40 seek=7 conv=notrunc status=none
	sums >before
	again $options
	sums >after
	cmp before after || fail "$options: other files than before"
	diff -r "$TOP/zus/lib" mnt/lib
	rm -r mnt/lib mnt/large
	no_rule_broken
	again $options
	[ -z "$(ls mnt)" ] || fail "$options: names are left"
	umount mnt
done

mkfs.zlogfs -f -q /dev/pmem0 /dev/pmem1
expect 32 mount -t zlogfs /dev/pmem0 mnt
grep -q 'zlogfs: it has 2 devices, and 1 are here: the mount option fd= names the others' \
	zusd-zlogfs.log || fail "a device that is missing is not named"
zusd_stop zlogfs
zuf_unload
