#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: where each write goes to another place than before, who reads, maps, writes or
#	stores beside it, also after being killed at each point of a write, finds what was
#	written last; with a commit word that takes one trip to the server, without two.
# TIMEOUT: 300
. "$TOP/tests/vm/lib.sh"

calls() { awk '{ print $2 }' /sys/fs/zuf/mounts/*/ops/"$1"; }
no_rule_broken()
{
	local rule
	for rule in $(awk '$2 { print $1 }' /sys/fs/zuf/mounts/*/rules); do
		fail "rule $rule was broken"
	done
}

# trips MODE: N writes, and what each of them said to the server before it returned
trips()
{
	local maps dones words
	maps=$(calls map) dones=$(calls map_done) words=$(lease words)
	python3 - mnt/data <<'PYTHON'
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_DSYNC)
for i in range(200):
    assert os.pwrite(fd, bytes([i % 251]) * 4096, i % 50 * 4096) == 4096
for i in range(50):
    assert os.pread(fd, 4096, i * 4096) == bytes([(i + 150) % 251]) * 4096
# of parts of blocks the rest stays; 3 blocks are 3 words
assert os.pwrite(fd, b"edge", 4094) == 4
assert os.pread(fd, 8, 4092) == bytes([150]) * 2 + b"edge" + bytes([151]) * 2
assert os.pwrite(fd, b"x" * 8192, 100) == 8192
assert os.pread(fd, 8292, 0) == bytes([150]) * 100 + b"x" * 8192
PYTHON
	maps=$(($(calls map) - maps)) dones=$(($(calls map_done) - dones))
	words=$(($(lease words) - words))
	echo "$1: $maps maps, $dones map_dones, $words words"
	[ "$1" = word ] && [ "$words" = 205 ] && [ "$dones" = 0 ] && return
	[ "$1" = "done" ] && [ "$words" = 0 ] && [ "$dones" = 205 ] && return
	fail "expected are 205 words, or 205 map_dones"
}

# two processes map one page: a write, then a store, are seen by both
mapped()
{
	python3 - mnt/data <<'PYTHON'
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
size = os.fstat(fd).st_size
ours = mmap.mmap(fd, size)
there, here = os.pipe(), os.pipe()
def look(offset, want):
    got = bytes(theirs[offset:offset + len(want)])
    if got != want:
        sys.stderr.write(f"at {offset}: {got}, not {want}\n")
        os._exit(1)
pid = os.fork()
if not pid:
    theirs = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), size)
    for round in range(40):
        base = round * 8192 % size
        os.read(there[0], 1)
        look(base, b"by write %02d" % round)
        os.write(here[1], b"w")
        os.read(there[0], 1)
        look(base + 100, b"by store %02d" % round)
        look(base, b"by write %02d" % round)
        theirs[base + 200:base + 209] = b"by theirs"
        os.write(here[1], b"s")
    os._exit(0)
for round in range(40):
    base = round * 8192 % size
    ours[base + 300]            # mapped, for reading, before
    assert os.pwrite(fd, b"by write %02d" % round, base) == 11
    assert bytes(ours[base:base + 11]) == b"by write %02d" % round
    os.write(there[1], b"w")
    assert os.read(here[0], 1) == b"w", "the other one has failed"
    ours[base + 100:base + 111] = b"by store %02d" % round
    os.write(there[1], b"s")
    assert os.read(here[0], 1) == b"s", "the other one has failed"
    assert bytes(ours[base + 200:base + 209]) == b"by theirs"
    ours.flush(base, 4096)
    got = os.pread(fd, 400, base)
    assert got[:11] == b"by write %02d" % round and got[100:111] == b"by store %02d" % round
    assert got[200:209] == b"by theirs", got
assert os.waitpid(pid, 0)[1] == 0
PYTHON
}

ops=500 kills=4
[ "$VM_KERNEL" != debug ] || ops=100 kills=2
zuf_load_points
cp "$BUILD/tests/vm/helpers/lease-model" zkill-model
export LEASE_FILE=$PWD/mnt/data LEASE_OPS=$ops LEASE_KILLS=$kills LEASE_COW
for mode in word "done"; do
	LEASE_COW=$mode
	zusd_start nullfs
	zufs_mkfs znullfs /dev/pmem0
	zufs_mount znullfs /dev/pmem0 mnt cow=$mode,size=1m
	trips $mode
	mapped
	./zkill-model
	for point in stored asking read_mapped mapped copying before_word fault_mapped; do
		echo off >$ZUF_POINTS
		echo "$point delay_us 500" >$ZUF_POINTS
		LEASE_OPS=$((ops / 8)) ./zkill-model
	done
	echo off >$ZUF_POINTS
	"$BUILD/tests/vm/helpers/lease-kill"
	cat /sys/fs/zuf/mounts/*/leases
	no_rule_broken
	# what was written is on the medium, not only in caches
	cp mnt/data before
	umount mnt
	zufs_mount znullfs /dev/pmem0 mnt cow=$mode,size=1m
	cmp before mnt/data
	umount mnt
	# and while epochs end
	zufs_mount znullfs /dev/pmem0 mnt cow=$mode,size=1m,epoch_ms=0
	LEASE_OPS=$((ops / 2)) ./zkill-model
	no_rule_broken
	umount mnt
	zusd_stop nullfs
done
zuf_unload
