#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: what is leased is asked for once: afterwards reads, overwrites and page faults
#	make no call to the server.
# TIMEOUT: 60
. "$TOP/tests/vm/lib.sh"

mount_dir() { echo /sys/fs/zuf/mounts/*; }
calls() { awk '{ print $2 }' "$(mount_dir)/ops/$1"; }

zufs_up nullfs mode=leased,size=16m
fio --name=fill --filename=mnt/data --rw=write --bs=64k --size=16m --overwrite=1 \
	--output-format=terse >/dev/null
maps=$(calls map) hits=$(lease hits)
[ "$maps" -le 8 ] || fail "$maps maps for one extent"
for engine in psync mmap; do
	fio --name="$engine" --filename=mnt/data --ioengine="$engine" --rw=randrw --bs=4k \
		--size=16m --io_size=2m --overwrite=1 --randseed=3 \
		--output-format=terse >/dev/null
done
[ "$(calls map)" = "$maps" ] || fail "$(calls map) maps, $maps before"
[ "$(lease hits)" -gt "$hits" ] || fail "no hits are counted"
[ "$(lease recalls)" = 0 ] || fail "nobody recalled"
# dropping caches drops leases: they are memory like any other
echo 3 >/proc/sys/vm/drop_caches
dd if=mnt/data of=/dev/null bs=1M count=1 2>/dev/null
cat "$(mount_dir)/leases"
zufs_down nullfs
