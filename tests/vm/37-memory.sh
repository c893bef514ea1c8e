#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: the kernel's memory stays within its bars: channels at most 1 MiB a CPU; a cached
#	inode at most 1.25 KiB on a stock kernel, with all that zuf allocates beside it, but
#	without its dentry and extents. Both figures are printed.
# Method: channels by what /proc/vmallocinfo says zuf asked for, with as many as zusd makes
#	by itself and with the most that a server may have. Inodes by the growth of
#	every slab cache but that of dentries, counted in pages, over MEMORY_INODES of them
#	on toyfs (100,000; 5,000 on the debug kernel, whose objects carry red zones and
#	stacks, so that there the figure is only printed).
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

CHANNEL_BAR_BYTES=$((1 << 20))
INODE_BAR_BYTES=1280
DIRS=10

# slab_growth: of each cache between two files of /proc/slabinfo, in bytes
slab_growth()
{
	awk -v page="$(getconf PAGESIZE)" '
		/^(#|slabinfo)/ { next }
		{ bytes = $(NF - 1) * $6 * page }
		FNR == NR { before[$1] = bytes; next }
		bytes != before[$1] { print $1, bytes - before[$1] }' "$1" "$2"
}

# per_inode GROWTH: a line for each cache that counts, and their sum
per_inode()
{
	awk -v inodes="$INODES" '
		$1 == "dentry" { next }
		{ sum += $2 }
		$2 >= inodes { printf "  %s %.1f\n", $1, $2 / inodes }
		END { printf "sum %d\n", (sum + inodes - 1) / inodes }' "$1"
}

# make_files N: the files of every second directory from N on; names are looked up first
make_files()
{
	python3 - "$1" "$DIRS" "$INODES" <<'PYTHON'
import os, stat, sys
first, dirs, inodes = map(int, sys.argv[1:])
for d in range(first, dirs, 2):
    for i in range(inodes // dirs):
        os.mknod(f"mnt/{d}/{i}", stat.S_IFREG | 0o600)
PYTHON
}

check_inodes()
{
	local bytes other
	echo 3 >/proc/sys/vm/drop_caches
	cat /proc/slabinfo >before
	make_files 0 &
	other=$!
	make_files 1
	wait $other
	cat /proc/slabinfo >after
	slab_growth before after >growth
	per_inode growth >figures
	bytes=$(sed -n 's/^sum //p' figures)
	echo "kernel memory a cached inode: $bytes bytes (bar $INODE_BAR_BYTES), of $INODES inodes:"
	grep '^  ' figures
	[ "$(stat -f -c '%c %d' mnt | awk '{ print $1 - $2 }')" = $((INODES + DIRS + 1)) ] ||
		fail "there are not $INODES files"
	[ "$VM_KERNEL" = debug ] && return
	grep -q '^  zuf_inode ' figures || fail "the inodes are not in zuf's cache"
	[ "$bytes" -le $INODE_BAR_BYTES ] || fail "$bytes bytes an inode"
}

check_channels()
{
	local cpus channels bytes
	cpus=$(nproc)
	channels=$(cat /sys/fs/zuf/servers/*/channels)
	bytes=$(awk '/\[zuf\]/ { for (i = 1; i <= NF; i++) if ($i ~ /^pages=/) sum += substr($i, 7) }
		END { print sum * 4096 }' /proc/vmallocinfo)
	echo "channel memory: $((bytes / cpus)) bytes a CPU (bar $CHANNEL_BAR_BYTES)," \
		"$channels channels on $cpus CPUs"
	[ "$bytes" -gt 0 ] || fail "/proc/vmallocinfo knows of no channel"
	[ $((bytes / cpus)) -le $CHANNEL_BAR_BYTES ] || fail "$((bytes / cpus)) bytes a CPU"
}

INODES=${MEMORY_INODES:-$([ "$VM_KERNEL" = debug ] && echo 5000 || echo 100000)}
zuf_load
zusd_start toyfs
check_channels
zusd_stop toyfs
# the most that a server may have
zusd_start toyfs --channels 7
check_channels
zufs_mkfs ztoyfs /dev/pmem0
zufs_mount ztoyfs /dev/pmem0 mnt
for dir in $(seq 0 $((DIRS - 1))); do
	mkdir "mnt/$dir"
done
check_inodes
zufs_down toyfs
