#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# One shard of suite xfstests, in the guest: part $SHARD_PART, K/N, of the group
# $SHARD_GROUP of tests/generic without test $SHARD_WITHOUT, on toyfs over both devices. The
# sums are written to $VM_OUT/result.json; status 1: a test failed. With $XFSTESTS_NAMES
# these tests instead.
# With XFSTESTS_PEER=ext4 on ext4 with DAX, to see whether a failure is the kernel's.
TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
export TOP TEST_DIR=/tmp/shard
mkdir -p "$TEST_DIR"
cd "$TEST_DIR" || exit
. "$TOP/tests/vm/lib.sh"

SUITE=$BUILD/cache/xfstests WORK=$TEST_DIR

# Both devices are made. The suite finds mkfs.ztoyfs by its name.
toyfs_up()
{
	FSTYP=ztoyfs
	# files outlive their mounts; blocks can be shared, or allocated and not written to
	OPTIONS=keep,reflink,unwritten
	printf '#!/bin/sh\nexec "%s" -t ztoyfs "$@" </dev/null\n' "$ZUS/mkfs.zufs" \
		>/usr/local/sbin/mkfs.ztoyfs
	chmod 755 /usr/local/sbin/mkfs.ztoyfs
	# This machine's root is the host's below an overlay, so the suite stays as it is
	echo ". $TOP/tests/xfstests/ztoyfs.sh" | tee -a "$SUITE/common/attr" >>"$SUITE/common/rc"
	zuf_load
	zusd_start toyfs
	zufs_mkfs ztoyfs --size 6g /dev/pmem0
	zufs_mkfs ztoyfs /dev/pmem1
}

toyfs_down()
{
	# of mounts that have ended only the kernel's log still tells
	! dmesg | grep 'zuf: mount .* breaks rule' || fail "a rule was broken"
	! mountpoint -q /mnt/test || umount /mnt/test
	zusd_stop toyfs
	zuf_unload
}

peer_up()
{
	FSTYP=$XFSTESTS_PEER
	OPTIONS=dax=always
	"mkfs.$FSTYP" -q /dev/pmem0
	"mkfs.$FSTYP" -q /dev/pmem1
}

# On an emulated machine most of a test's time goes into starting programs, and most of that
# into linking them: where somebody has built static ones, they take the others' places
use_static_tools()
{
	local tool name
	for tool in "$BUILD"/cache/static-tools/*; do
		name=${tool##*/}
		cp -P "$tool" /usr/bin/.static-tool
		mv -f /usr/bin/.static-tool "$(type -P "$name" || echo "/usr/bin/$name")"
	done
}

# 077 fills a filesystem with what is in /lib/modules, or, where that is less than 128 MiB, as
# compressed modules are, with all of /usr, however large the host's is
fill_modules()
{
	local file
	mkdir -p /lib/modules/filler
	for file in {1..160}; do
		head -c 1M /dev/zero >"/lib/modules/filler/$file"
	done
}

# 604 mounts while the same is being unmounted, which it hopes has begun after 10 ms. An emulated
# machine has not yet started umount(8) then, and mount(2) refuses to mount anything twice in one
# place: so it waits until the place is free
wait_for_umounts()
{
	local test=$SUITE/tests/generic/604
	# shellcheck disable=SC2016 # for the test to expand
	sed -i 's|^sleep 0.01s ; _scratch_mount$|while [[ $(</proc/self/mounts) == *" $SCRATCH_MNT "* ]]; do :; done; _scratch_mount|' "$test"
	grep -q '^while.*; _scratch_mount$' "$test"
}

# What the suite wants of the machine: users, mount points, settings
prepare_machine()
{
	local user
	fill_modules
	for user in fsgqa fsgqa2 123456-fsgqa; do
		id -u "$user" >/dev/null 2>&1 || useradd --badname -m "$user"
	done
	# with a thousand writers on one emulated processor a directory's lock is long in coming
	echo 900 >/proc/sys/kernel/hung_task_timeout_secs
	mkdir -p /mnt/test /mnt/scratch
	printf '%s\n' >"$WORK/local.config" 'export TEST_DEV=/dev/pmem0 TEST_DIR=/mnt/test' \
		'export SCRATCH_DEV=/dev/pmem1 SCRATCH_MNT=/mnt/scratch' "export FSTYP=$FSTYP" \
		"export MOUNT_OPTIONS='-o $OPTIONS' TEST_FS_MOUNT_OPTS='-o $OPTIONS'"
}

if [ -n "${XFSTESTS_PEER:-}" ]; then peer_up; else toyfs_up; fi
[ ! -d "$BUILD/cache/static-tools" ] || use_static_tools
wait_for_umounts
prepare_machine
mount -t "$FSTYP" -o "$OPTIONS" /dev/pmem0 /mnt/test
status=0
# The suite's own variable of this name is a mount point
(unset TEST_DIR && HOST_OPTIONS=$WORK/local.config python3 -B "$TOP/tests/conformance/xfstests.py" \
	--suite "$SUITE" --out "$WORK/sums.json" --group "${SHARD_GROUP:-quick}" \
	--part "${SHARD_PART:-1/1}" ${SHARD_WITHOUT:+--without "$SHARD_WITHOUT"} ${XFSTESTS_NAMES:-}) || status=$?
[ -n "${XFSTESTS_PEER:-}" ] || toyfs_down
# Of each test that failed, what it printed and logged
find "$SUITE/results" -name '*.out.bad' | while read -r file; do
	mkdir -p "$VM_OUT/failed"
	cp "$file" "$VM_OUT/failed"
	head -c 200000 "${file%.out.bad}.full" >"$VM_OUT/failed/$(basename "${file%.out.bad}").full" 2>/dev/null || true
done
cp sums.json "$VM_OUT/result.json"
exit $status
