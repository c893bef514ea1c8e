#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: a full filesystem says ENOSPC and keeps what was written; a store that finds no
#	block gets SIGBUS; what is deleted can be used again. On toyfs.
# TIMEOUT: 60
. "$TOP/tests/vm/lib.sh"

free_blocks() { stat -f -c %f mnt; }

zuf_load
zusd_start toyfs
zufs_mkfs ztoyfs /dev/pmem0
"$BUILD/tests/vm/helpers/devtable-edit" /dev/pmem0 set both size=0x1000000	# 16 MiB
zufs_mount ztoyfs /dev/pmem0 mnt
empty=$(free_blocks)
for _ in 1 2 3; do
	expect 1 dd if=/dev/zero of=mnt/zero bs=1M count=100
	expect_output 'No space left on device'
	[ "$(free_blocks)" = 0 ] || fail "$(free_blocks) blocks are left"
	size=$(stat -c %s mnt/zero)
	[ "$size" = $((empty * 4096)) ] || fail "$size bytes, not those of $empty blocks"
	expect 1 sh -c 'echo more >mnt/more'
	[ "$(stat -c %s mnt/more)" = 0 ] || fail "bytes that have no block"
	cmp -n "$size" mnt/zero /dev/zero

	python3 - <<-'END'
	import mmap, os, signal
	fd = os.open("mnt/hole", os.O_RDWR | os.O_CREAT)
	os.ftruncate(fd, 8 << 20)
	hole = mmap.mmap(fd, 8 << 20)
	assert hole[0] == 0
	if not os.fork():
	    hole[0] = 1
	    os._exit(0)
	status = os.wait()[1]
	assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS, status
	os.truncate("mnt/zero", 4 << 20)
	hole[0] = 2
	os.close(fd)
	END
	rm mnt/*
	all_free() { [ "$(free_blocks)" = "$empty" ]; }
	await all_free
done
zufs_down toyfs
