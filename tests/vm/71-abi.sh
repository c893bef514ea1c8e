#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: with a server of an older ABI version this module does what that version could,
#	and so does a module of that version with this server; what one side does not know
#	is refused with the errors that its callers know. A plugin built for the older
#	server runs in this one.
# Method: ci/abi builds the older ones; their own tests of names and attributes.
# TIMEOUT: 400
. "$TOP/tests/vm/lib.sh"

# Of the older version's own tests those that do not take long
NAMES=(create_gives_an_empty_file mkdir_counts_links mknod_makes_special_files
	symlinks_keep_their_target links_share_an_inode lookups_find_what_is_there_now
	an_unlinked_file_stays_while_open rename_refuses_loops_and_whiteouts
	rename_moves_the_very_inode rename_onto_an_open_file_keeps_it)
ATTRS=(chmod_sets_all_bits only_the_owner_may_change chown_takes_every_id
	chown_and_write_end_suid sgid_directories_hand_their_group_on
	utimes_are_exact_to_the_nanosecond writes_and_truncates_change_mtime
	times_reach_the_server statx_asks_the_server_when_told stat_reports_blocks statfs_counts)
READDIR=(entries_tell_type_and_inode small_buffers_lose_nothing
	positions_come_back_to_their_entry)

DATA_OPS=$([ "$VM_KERNEL" = debug ] && echo 300 || echo 1500)

# use WHAT FOLDER: server, plugin or module of that build folder
use()
{
	case $1 in
	server) ZUS=$2/zus ;;
	plugin) ZUS_PLUGIN_PATH=$2/zusfs-examples ;;
	module) ZUF_KO=$2/zuf/$VM_KERNEL/zuf.ko ;;
	esac
}

posix() { python3 -B "$1/$2.py" mnt "${@:3}"; }

# Where the older version has them
older_posix()
{
	local folder=$OLD/tree/tests/conformance/posix
	[ -d "$folder" ] || folder=$OLD/tree/tests/vm/posix	# until 1.3
	posix "$folder" "$@"
}

# By write(2) and mmap(2), and once nothing is cached
check_data()
{
	DATA_DIR=$PWD/mnt DATA_OPS=$DATA_OPS "$BUILD/tests/vm/helpers/data-random"
	cp "$BUILD/zus/zusd" mnt/copy
	mkdir mnt/folder
	ln mnt/copy mnt/folder/link
	echo 3 >/proc/sys/vm/drop_caches
	cmp "$BUILD/zus/zusd" mnt/folder/link
	[ "$(stat -c %h mnt/copy)" = 2 ] || fail "link count $(stat -c %h mnt/copy)"
	rm -r mnt/copy mnt/folder
}

check_toyfs()
{
	zufs_up toyfs
	older_posix attrs "${ATTRS[@]}"
	if [ -n "$OLDER" ]; then
		older_posix names "${NAMES[@]}"
		older_posix readdir "${READDIR[@]}"
		# what came with 1.4
		[ "$version" != 1.3 ] || posix "$TOP/tests/conformance/posix" older
	fi
	check_data
	no_rule_broken
	zufs_down toyfs
	cat zusd-toyfs.log
	! grep -iE 'unknown|refused|error' zusd-toyfs.log || fail "the server had to complain"
}

# Data that travel in the messages
check_nullfs()
{
	zufs_up nullfs mode=inline,size=3m
	python3 -B "$TOP/tests/vm/data-inline.py" mnt/data
	no_rule_broken
	zufs_down nullfs
}

# Writes that one side makes of many parts, and the other of one
check_zlogfs()
{
	zuf_load
	zusd_start zlogfs
	"$ZUS/mkfs.zlogfs" -f -q /dev/pmem0
	zufs_mount zlogfs /dev/pmem0 mnt
	check_data
	dd if=/dev/urandom of=large bs=1M count=40 status=none
	dd if=large of=mnt/large bs=40M status=none
	umount mnt
	zufs_mount zlogfs /dev/pmem0 mnt
	cmp large mnt/large
	no_rule_broken
	zufs_down zlogfs
	"$BUILD/zus/fsck.zlogfs" -n /dev/pmem0 || fail "damaged media"
}

# check OLDER WHAT...: these are the older version's, all else is this one's; $OLDER: which
# side of the ABI does not know all, or nothing
check()
{
	local what
	export OLDER=$1
	shift
	for what in server plugin module; do
		use $what "$BUILD"
	done
	for what; do
		use "$what" "$OLD"
	done
	echo "== the older version's: $*"
	check_toyfs
	[ -z "$OLDER" ] || check_nullfs
	[ ! -e "$OLD/zusfs-examples/zlogfs.so" ] || check_zlogfs
}

if [ -e "$BUILD/abi/not-built" ]; then
	cat "$BUILD/abi/not-built"
	exit 77
fi
found=''
while read -r version _ <&3; do
	OLD=$BUILD/abi/$version found=yes
	[ -e "$OLD/zuf/$VM_KERNEL-done" ] || fail "ABI $version is not built: ci/abi $VM_KERNEL"
	echo "= ABI $version"
	check server server plugin
	check module module
	check '' plugin
done 3< <(sed 's/#.*//; /^[[:space:]]*$/d' "$TOP/tests/abi/versions")
[ -n "$found" ] || fail "tests/abi/versions names none"
