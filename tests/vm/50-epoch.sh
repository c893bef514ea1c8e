#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: while one write epoch follows the other no block changes in one unless the server
#	has answered a map for writing in it before, by write(2) or through a mapping; and
#	no byte is lost. Also when answers and uses are held up on their way, and while
#	blocks move and inodes go. nullfs keeps the sums (epoch_check): see null_epoch.c,
#	lease-model.c and epoch-writers.c.
# TIMEOUT: 400
. "$TOP/tests/vm/lib.sh"

stat_of() { awk -v n="$2" '$1 == n { print $2 }' "$(echo /sys/fs/zuf/mounts/*)/$1"; }

check_log()
{
	if grep -m 3 -E 'changed in epoch|before it began' zusd-nullfs.log; then
		fail "a block changed that nobody might write to"
	fi
}

# what the kernel counted, and what nullfs saw, also at the very end
verdict()
{
	local stat rule
	check_log
	cat /sys/fs/zuf/mounts/*/epochs
	for stat in count waits inodes; do
		[ "$(stat_of epochs "$stat")" -gt 0 ] || fail "$stat is 0: nothing was tested"
	done
	for rule in $(awk '$2 { print $1 }' /sys/fs/zuf/mounts/*/rules); do
		fail "rule $rule was broken"
	done
	umount mnt
	zusd_stop nullfs
	check_log
}

ops=1000 stores=12000
[ "$VM_KERNEL" != debug ] || ops=120 stores=1200
zuf_load_points
# points act on tasks of this name
cp "$BUILD/tests/vm/helpers/lease-model" zkill-model
cp "$BUILD/tests/vm/helpers/epoch-writers" zkill-writers
export LEASE_FILE=$PWD/mnt/data LEASE_OPS=$ops EPOCH_FILE=$PWD/mnt/data

zufs_up nullfs epoch_ms=0,epoch_check,size=1m
./zkill-model
EPOCH_OPS=$stores ./zkill-writers
# and with the kernel's library copying
echo 0 | tee /sys/fs/zuf/mounts/*/fast_copy
EPOCH_OPS=$((stores / 4)) ./zkill-writers
echo 1 | tee /sys/fs/zuf/mounts/*/fast_copy
for point in replying stored mapped copying fault_mapped epoch_flushed epoch_closed epoch_clean; do
	echo off >$ZUF_POINTS
	echo "$point delay_us 700" >$ZUF_POINTS
	LEASE_OPS=$((ops / 8)) ./zkill-model
	EPOCH_OPS=$((stores / 8)) ./zkill-writers
done
echo off >$ZUF_POINTS
verdict

# inodes that are dirty, mapped or not, go while they are cleaned
zusd_start nullfs
zufs_mount znullfs /dev/pmem0 mnt epoch_ms=0,epoch_check,files=64,size=16k
echo "epoch_flushed delay_us 300" >$ZUF_POINTS
python3 - mnt $((ops / 40)) <<'PYTHON'
import mmap, os, sys
for round in range(int(sys.argv[2])):
    for i in range(64):
        fd = os.open(f"{sys.argv[1]}/data{i or ''}", os.O_RDWR)
        with mmap.mmap(fd, 16384) as m:
            want = b"%08d%08d" % (round - 1, i)
            if round and (m[4096:4112] != want or os.pread(fd, 16, 4096) != want):
                sys.exit(f"file {i}, round {round}: {m[4096:4112]}")
            m[4096:4112] = b"%08d%08d" % (round, i)
        os.close(fd)
        if i % 16 == 15:
            with open("/proc/sys/vm/drop_caches", "w") as f:
                f.write("2")
PYTHON
echo off >$ZUF_POINTS
verdict

zusd_start nullfs
zufs_mount znullfs /dev/pmem0 mnt "epoch_ms=0,relocate=${ZUFS_SEED:-1},size=1m"
LEASE_OPS=$((ops / 2)) ./zkill-model
# how many writes meet an epoch's end is a matter of speed: as long as it takes for one
until [ "$(stat_of epochs waits)" -gt 0 ] || [ $SECONDS -gt 300 ]; do
	LEASE_OPS=$((ops / 4)) ./zkill-model
done
verdict
zuf_unload
