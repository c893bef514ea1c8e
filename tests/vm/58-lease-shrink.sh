#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: the kernel's memory for a file's many leases is charged to the server, and given
#	up when it is wanted: all of it at once, under a reader, who sees the right
#	bytes all the time. A server whose memory group is full lives on with fewer leases.
#	What a lease takes, and the reader's longest wait, are printed. Tier full has a
#	million of them (SHRINK_LEASES).
# Method: nullfs with extent=4k and space=4m: the file's blocks are leases of their own, and
#	each 4 MiB of it are the same as the first.
# TIMEOUT: 240
. "$TOP/tests/vm/lib.sh"

LEASES=${SHRINK_LEASES:-$([ "$VM_KERNEL" = debug ] && echo 60000 || echo 100000)}
GROUP=$PWD/cgroup/server
OPTIONS=mode=leased,extent=4k,space=4m,size=$((LEASES * 4))k

# server_group: the server's memory has a group of its own
server_group()
{
	mkdir -p cgroup
	mount -t cgroup2 none cgroup
	echo +memory >cgroup/cgroup.subtree_control
	mkdir "$GROUP"
	zusd_pid nullfs >"$GROUP/cgroup.procs"
}

charged() { awk '$1 == "slab" { print $2 }' "$GROUP/memory.stat"; }

# write_file: its first 4 MiB, and so all of it
write_file()
{
	python3 - <<'PYTHON'
import os, random
fd = os.open("mnt/data", os.O_RDWR)
assert os.pwrite(fd, random.Random(1).randbytes(4 << 20), 0) == 4 << 20
PYTHON
}

# compare_file LEASES: so many blocks with what was written
compare_file()
{
	python3 - "$1" <<'PYTHON'
import os, random, sys
expect = random.Random(1).randbytes(4 << 20)
fd = os.open("mnt/data", os.O_RDONLY)
off, end = 0, int(sys.argv[1]) * 4096
while off < end:
    got = os.pread(fd, min(4 << 20, end - off), off)
    if not got or got != expect[:len(got)]:
        sys.exit(f"wrong bytes in the 4 MiB from {off} on")
    off += len(got)
PYTHON
}

# reader: random blocks, until file "reading" is gone; "begun" when some were read
reader()
{
	python3 - <<'PYTHON'
import os, random, sys, time
expect = random.Random(1).randbytes(4 << 20)
fd = os.open("mnt/data", os.O_RDONLY)
blocks = os.fstat(fd).st_size // 4096
rng, reads, longest = random.Random(2), 0, 0.0
while reads % 256 or os.path.exists("reading"):
    block = rng.randrange(blocks)
    start = time.monotonic()
    got = os.pread(fd, 4096, block * 4096)
    longest = max(longest, time.monotonic() - start)
    at = block % 1024 * 4096
    if got != expect[at:at + 4096]:
        sys.exit(f"wrong bytes in block {block}")
    reads += 1
    if reads == 1:
        open("begun", "w").close()
print(f"reader: {reads} reads, the longest {longest * 1e3:.0f} ms")
PYTHON
}

check_charge()
{
	local before bytes
	exec 8<mnt/data		# or the inode is what goes, and all of its leases with it
	before=$(charged)
	write_file
	compare_file "$LEASES"
	bytes=$(($(charged) - before))
	[ "$(lease kept)" = "$LEASES" ] || fail "$(lease kept) leases were kept, not $LEASES"
	echo "charged to the server: $((bytes / LEASES)) bytes a lease, of $LEASES"
	[ $bytes -ge $((LEASES * 16)) ] || fail "the server is charged with $bytes bytes"
}

# drop LEASES: all that there are, so many at least
drop()
{
	local full shrunk start
	full=$(charged) shrunk=$(lease shrunk) start=${EPOCHREALTIME/./}
	echo 2 >/proc/sys/vm/drop_caches
	echo "dropped $(($(lease shrunk) - shrunk)) leases," \
		"$((full - $(charged))) bytes, in $(((${EPOCHREALTIME/./} - start) / 1000)) ms"
	[ $(($(lease shrunk) - shrunk)) -ge "$1" ] || fail "leases stay"
}

check_drop()
{
	local kept
	touch reading
	reader &
	await [ -e begun ]
	drop "$LEASES"
	kept=$(lease kept)
	compare_file $((LEASES / 10))
	[ $(($(lease kept) - kept)) -gt 0 ] || fail "nothing is leased again"
	drop $((LEASES / 10))
	compare_file $((LEASES / 10))
	rm reading
	wait $! || fail "the reader failed"
	await uncharged
	exec 8<&-
}

# Freed memory is for some time yet nobody else's, and caches keep some
uncharged() { [ "$(charged)" -lt $((LEASES * 10)) ]; }

# There is room for few of them: what others of the group give back meanwhile
check_limit()
{
	local kept misses
	umount mnt
	zufs_mount znullfs /dev/pmem0 mnt "$OPTIONS"
	cat "$GROUP/memory.current" >"$GROUP/memory.max"
	compare_file "$LEASES"
	kept=$(lease kept)
	echo "with a full memory group: $kept leases of $LEASES kept"
	grep -E '^(max|oom|oom_kill) ' "$GROUP/memory.events"
	grep -qx 'oom_kill 0' "$GROUP/memory.events" || fail "a server was killed for its leases"
	[ "$kept" -lt "$LEASES" ] || fail "there was room for all: nothing was tested"
	echo max >"$GROUP/memory.max"
	compare_file "$LEASES"
	misses=$(lease misses)
	compare_file "$LEASES"
	[ "$(lease misses)" = "$misses" ] || fail "there is room again, and they are not leased"
}

zufs_up nullfs "$OPTIONS"
server_group
check_charge
check_drop
check_limit
zufs_down nullfs
