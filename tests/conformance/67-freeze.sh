#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: a frozen filesystem is read, and asks its server to change nothing; who would
#	change it waits, by write, by name and by a mapping, until it is thawed.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

# Times that each operation which changes something was asked
changes()
{
	(cd /sys/fs/zuf/mounts/*/ops && awk '{ print FILENAME, $2 }' setattr create mkdir mknod \
		symlink link unlink rmdir rename map map_done write fallocate tmpfile setxattr)
}

# waits NAME: it has begun, and the kernel holds it
waits() { grep -q begins "$1.log" && grep -q '^State:[[:space:]]*D' "/proc/$(cat "$1.pid")/status"; }

begin()
{
	python3 "$TOP/tests/conformance/posix/frozen.py" "$1" mnt >"$1.log" 2>&1 &
	echo $! >"$1.pid"
}

# media: what the device holds, past the page cache
media() { dd if=/dev/pmem0 bs=1M count=16 iflag=direct status=none | sha256sum; }

zufs_up toyfs strictatime
echo before >mnt/file
cat mnt/file >/dev/null
begin again
await grep -q ready again.log
fsfreeze -f mnt
changes >frozen
kill -USR1 "$(cat again.pid)"
for how in write name store; do
	begin $how
done
for how in write name store again; do
	await waits $how
done
[ "$(cat mnt/file)" = before ]
ls -l mnt >/dev/null
sync
sync -f mnt/file
changes | diff frozen - || fail "the server was asked to change a frozen medium"
for how in write name store again; do
	waits $how || fail "$how: did not wait: $(cat $how.log)"
done
fsfreeze -f mnt 2>err && fail "frozen twice"
fsfreeze -u mnt
for how in write name store again; do
	wait "$(cat $how.pid)" || fail "$how: $(cat $how.log)"
	grep -q "done" $how.log
done
[ "$(cat mnt/file)" = SEfore+ ] || fail "the file holds $(cat mnt/file)"
[ -d mnt/made ] || fail "no folder was made"
no_rule_broken
zufs_down toyfs

# what the plugin does by itself rests too
zufs_up toyfs relocate=67
dd if=/dev/urandom of=mnt/file bs=1M count=4 status=none
sum=$(sha256sum <mnt/file)
fsfreeze -f mnt
frozen=$(media)
[ "$(sha256sum <mnt/file)" = "$sum" ]
[ "$(media)" = "$frozen" ] || fail "the medium changed while it was frozen"
fsfreeze -u mnt
thawed() { [ "$(media)" != "$frozen" ]; }
await thawed
[ "$(sha256sum <mnt/file)" = "$sum" ]
zufs_down toyfs
