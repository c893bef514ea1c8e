#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: a mount whose devices do not fit is refused with a message that says what to do,
#	and leaves nothing behind; one or several good devices are used.
# TIMEOUT: 120
. "$TOP/tests/vm/lib.sh"

table() { "$BUILD/tests/vm/helpers/devtable-edit" "$@"; }
tables_save() { dd if=/dev/pmem0 of=tables bs=8k count=1 iflag=direct status=none; }
tables_restore() { dd if=tables of=/dev/pmem0 bs=8k count=1 oflag=direct status=none; }

# refused STATUS-WORDS MESSAGE MOUNT-ARGUMENTS...: mount(8) fails with the words, and the
# kernel's log has the message
refused()
{
	local words=$1 message=$2 mark
	shift 2
	mark="refused-$RANDOM-$SECONDS-$words"
	echo "test: $mark" >/dev/kmsg
	if mount -t ztoyfs "$@" mnt 2>mount.err; then
		fail "was mounted: $*"
	fi
	grep -qE -- "$words" mount.err || { cat mount.err; fail "mount did not say: $words"; }
	dmesg | sed "1,/test: $mark/d" >log
	grep -qE -- "$message" log || { cat log; fail "the log does not say: $message"; }
	! mountpoint -q mnt || fail "something is mounted"
}

mounts_and_works()
{
	mount -t ztoyfs "$@" mnt
	dd if=/dev/urandom of=mnt/file bs=64k count=16 status=none
	cp mnt/file copy
	cmp mnt/file copy
	umount mnt
}

zuf_load
zusd_start toyfs
mkdir mnt

dd if=/dev/zero of=/dev/pmem0 bs=4k count=2 oflag=direct status=none
refused 'wrong fs type|bad superblock' 'pmem0 holds no zufs device table: run mkfs.zufs -t ztoyfs' \
	/dev/pmem0
zufs_mkfs znullfs /dev/pmem0
refused 'wrong fs type|bad superblock' 'holds a filesystem of type znullfs: mount it with -t znullfs' \
	/dev/pmem0

# one copy is enough, the newer one counts
zufs_mkfs ztoyfs /dev/pmem0
tables_save
mounts_and_works /dev/pmem0
table /dev/pmem0 damage 0
mounts_and_works /dev/pmem0
table /dev/pmem0 damage 1
refused '' 'both copies of the device table are damaged' /dev/pmem0
tables_restore
table /dev/pmem0 set 0 seq=$(($(table /dev/pmem0 show seq) + 8)) size=0x1000000
mount -t ztoyfs /dev/pmem0 mnt
[ "$(stat -f -c %b mnt)" -le 4096 ] || fail "the older copy was taken"
umount mnt

# each bound
for bad in num_devices=0 num_devices=33 self=1 tier=0 tier=3 size=4096 size=0x1000001 \
	data_off=4096 data_off=0x2000000000 data_off=0x200100 phase=0x200000; do
	tables_restore
	table /dev/pmem0 set both $bad
	refused '' 'both copies of the device table are damaged' /dev/pmem0
done
tables_restore
table /dev/pmem0 set both major=9
refused '' 'the device table is of another version' /dev/pmem0
tables_restore
table /dev/pmem0 set both size=0x40000000
refused '' 'its table says 1073741824: the device has shrunk' /dev/pmem0

# sizes, and a device without DAX
modprobe loop
truncate -s 4M small
truncate -s $((16 * 1048576 + 512)) odd
truncate -s 16M plain
small=$(losetup -f --show small)
refused 'wrong fs type|bad superblock' 'is too small: 4194304 bytes' "$small"
losetup -d "$small"
odd=$(losetup -f --show odd)
refused 'wrong fs type|bad superblock' 'is not a multiple of 4096' "$odd"
losetup -d "$odd"
plain=$(losetup -f --show plain)
zufs_mkfs ztoyfs "$plain"
table "$plain" set both tier=1
refused '' 'is not DAX: tier 1 needs persistent memory' "$plain"
losetup -d "$plain"

# two devices
zufs_mkfs ztoyfs /dev/pmem0 /dev/pmem1
refused '' 'device 1 of 2 \(uuid .*\) is missing: name it with the option fd=' /dev/pmem0
refused '' 'is device 1 of its filesystem: mount device 0' /dev/pmem1
mounts_and_works -o fd=3 /dev/pmem0 3<>/dev/pmem1
refused '' 'fd=3: not open for writing' -o fd=3 /dev/pmem0 3</dev/pmem1
refused '' 'fd=3: not a block device' -o fd=3 /dev/pmem0 3<>plain
refused '' 'fd=9: no open file' -o fd=9 /dev/pmem0
refused '' 'fd=4: device .* is given twice' -o fd=3,fd=4 /dev/pmem0 3<>/dev/pmem1 4<>/dev/pmem1
refused '' 'fd=3: device .* is given twice' -o fd=3 /dev/pmem0 3<>/dev/pmem0
zufs_mkfs ztoyfs /dev/pmem1
refused '' 'pmem1 belongs to another filesystem' -o fd=3 /dev/pmem0 3<>/dev/pmem1
mkfs.ext4 -q -F /dev/pmem1
mkdir ext4
mount /dev/pmem1 ext4
refused '' 'fd=3: device .* is in use' -o fd=3 /dev/pmem0 3<>/dev/pmem1
umount ext4

# nothing was kept: both can be had exclusively
zufs_mkfs ztoyfs /dev/pmem0 /dev/pmem1
mount -t ztoyfs -o fd=3 /dev/pmem0 mnt 3<>/dev/pmem1
expect 1 "$ZUS/mkfs.zufs" -f -t ztoyfs /dev/pmem1
umount mnt
zusd_stop toyfs
zuf_unload
