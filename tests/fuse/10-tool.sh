#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: zusfuse says what is wrong and what to do next, with the exit codes that other tools
#	have; it comes back when the filesystem is mounted, and it and the mount end together,
#	however either does.
# TIMEOUT: 60
. "$TOP/tests/fuse/lib.sh"

zusfuse() { "$ZUS/zusfuse" "$@"; }
refused() { expect "$@"; mounted mnt && fail "mounted all the same"; return 0; }

mkdir -p mnt run
here=$TEST_DIR
device "$here/device" 64m ztoyfs
device "$here/null" 64m znullfs

# ---- words ----
expect 0 'Usage: zusfuse' zusfuse --help
expect 0 '^zusfuse [0-9].*plugin ABI' zusfuse --version
expect 0 'FS_IOC_SHUTDOWN: ' zusfuse --lacks
# the page has the same list
zusfuse --lacks >lacks
sed -n 's/^| \(.*\) | \(.*\) |$/\1: \2/p' "$TOP/docs/fuse.md" | grep -v '^what: why$' | diff - lacks
expect 2 'no plugin given' zusfuse
expect 2 'no mountpoint given' zusfuse toyfs
expect 2 'zusfuse --help' zusfuse --frob
expect 2 'log level' zusfuse -l loud toyfs "$here/device" mnt
expect 2 'kept_ms is' zusfuse -o kept_ms=soon toyfs "$here/device" mnt

# ---- what it is given ----
refused 1 'no plugin nosuchfs.*ZUS_PLUGIN_PATH' zusfuse nosuchfs "$here/device" mnt
refused 1 'mountpoint .*none: No such file' zusfuse --volatile toyfs "$here/device" none
refused 1 'is no directory' zusfuse --volatile toyfs "$here/device" device
refused 1 'needs a device' zusfuse toyfs mnt
refused 1 'none: No such file' zusfuse toyfs none mnt
refused 1 'neither a block device nor a plain file' zusfuse toyfs /dev/null mnt
truncate -s 64m empty
refused 1 'mkfs.zufs -t ztoyfs' zusfuse --volatile toyfs empty mnt
refused 1 'type znullfs' zusfuse --volatile toyfs null mnt
refused 1 'has 1 devices, and 2 are given' zusfuse --volatile toyfs device null mnt
refused 1 'mount options are' zusfuse --volatile -o frobnicate toyfs device mnt

# ---- what flushing does not make durable ----
refused 1 'no persistent memory.*--volatile' zusfuse toyfs device mnt

# ---- mount, use, unmount ----
expect 0 '' zusfuse --volatile -o noexec,nodev toyfs device mnt
mounted mnt || fail "not mounted when it came back"
grep -q "^$here/device $here/mnt fuse.ztoyfs .*nodev,noexec" /proc/mounts || fail "$(tail -1 /proc/mounts)"
echo text >mnt/file
[ "$(cat mnt/file)" = text ]
mkdir other
expect 1 'in use' zusfuse --volatile toyfs device other
expect 1 'in use' "$ZUS/zusfuse" --volatile toyfs "$here/device" "$here/other"
umount mnt
await no_server
expect 0 '' zusfuse --volatile toyfs device mnt
fusermount3 -u mnt
await no_server

# ---- a second mount finds the data of the first, if the plugin keeps any ----
expect 0 '' zusfuse --volatile -o mode=call nullfs null mnt
head -c 100000 /dev/urandom | tee copy | dd of=mnt/data conv=notrunc status=none
umount mnt
await no_server
expect 0 '' zusfuse --volatile -o ro,mode=call nullfs null mnt
cmp -n 100000 copy mnt/data
! touch mnt/data 2>/dev/null || fail "written to what is read-only"
umount mnt
await no_server

# ---- several devices ----
truncate -s 64m one two
"$ZUS/mkfs.zufs" -t ztoyfs -f one two >/dev/null
refused 1 'has 2 devices, and 1 are given: name all' zusfuse --volatile toyfs one mnt
expect 0 '' zusfuse --volatile toyfs two one mnt
[ "$(stat -f -c %b mnt)" -gt 30000 ] || fail "one of the devices is not used"
dd if=/dev/urandom of=mnt/file bs=1M count=80 iflag=fullblock status=none
sum=$(sha256sum <mnt/file)
echo 1 >/proc/sys/vm/drop_caches
[ "$(sha256sum <mnt/file)" = "$sum" ] || fail "the file is another one"
umount mnt
await no_server

# ---- in the foreground; a signal ends it, and the mount ----
# serve_in_front: with its pid in $server
serve_in_front()
{
	"$ZUS/zusfuse" -f --volatile toyfs "$here/device" "$here/mnt" >log 2>&1 &
	server=$!
	await mounted mnt
}
for signal in TERM INT; do
	serve_in_front
	echo text >mnt/file
	kill -$signal $server
	wait $server || fail "status $? after SIG$signal: $(cat log)"
	! mounted mnt || fail "still mounted"
done
# what was stored through a mapping and not yet written back reaches the plugin, and who
# uses a file is told that it has ended
"$ZUS/zusfuse" -f --volatile -o mode=call nullfs "$here/null" "$here/mnt" >log 2>&1 &
server=$!
await mounted mnt
mkfifo stored
python3 -c "
import mmap, os, signal
view = mmap.mmap(os.open('mnt/data', os.O_RDWR), 4096)
view[:6] = b'stored'
os.close(os.open('stored', os.O_WRONLY))
signal.pause()" &
holder=$!
exec 5<>mnt/data
read -r <stored || true
kill -TERM $server
wait $server || fail "status $? with a file in use: $(cat log)"
grep -q 'in use' log || fail "it does not say so: $(cat log)"
! mounted mnt || fail "still mounted"
! echo x 2>/dev/null >&5 || fail "written to what is gone"
exec 5<&-
kill $holder
expect 0 '' zusfuse --volatile -o mode=call nullfs null mnt
[ "$(head -c 6 mnt/data)" = stored ] || fail "what was stored is lost"
umount mnt
await no_server

# ---- a mount whose server was killed hangs nobody ----
expect 0 '' zusfuse --volatile toyfs device mnt
echo text >mnt/file
exec 5<>mnt/file
kill -KILL "$(servers)"
await no_server
expect 2 'not connected' ls mnt
! echo x 2>/dev/null >&5 || fail "written to who is gone"
exec 5<&-
expect 1 "is gone; 'fusermount3 -u mnt' first" zusfuse --volatile toyfs device mnt
fusermount3 -u mnt
expect 0 '' zusfuse --volatile toyfs device mnt
touch mnt/file
umount mnt
await no_server
