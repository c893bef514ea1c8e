# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What xfstests needs to know of toyfs. Sourced by each test behind the suite's own
# functions, some of which it replaces.

: "${seqres:=/dev/null}"

# The suite's defaults have no such filesystem. Many tests fill what there is, so all of a
# large device is for those that say how much they need, or ask how large it is, and for 733,
# which makes a file larger until a clone of it takes a second.
scratch_size=--size=1600m
# shellcheck disable=SC2154
if [ "${seq:-}" = 733 ] || grep -qs '^_require_\(fs_space\|scratch_size\)\|blockdev --getsz' \
	"$here/tests/generic/${seq:-}"; then
	scratch_size=
fi

_scratch_mkfs()
{
	# shellcheck disable=SC2086
	"$MKFS_PROG" -t "$FSTYP" -f $scratch_size $MKFS_OPTIONS "$@" $SCRATCH_DEV >>"$seqres.full" 2>&1
}

# BYTES [BLOCK-BYTES]
_try_scratch_mkfs_sized()
{
	[ "${2:-4096}" = 4096 ] || return 1
	_scratch_mkfs --size $((($1 + 4095) / 4096 * 4096))
}

# BLOCK-BYTES
_scratch_mkfs_blocksized()
{
	[ "$1" = 4096 ] || _notrun "toyfs has blocks of 4096 bytes alone"
	_scratch_mkfs
}

# What the suite knows by a filesystem's name: entries of an ACL, as many as 64 KiB of
# attribute hold; seconds of a time; that names are bytes
_acl_get_max() { echo 8191; }
_filesystem_timestamp_range() { echo "$((1 << 63)) $(((1 << 63) - 1))"; }
_require_names_are_bytes() { true; }

# 700 compares labels, so it wants a policy, by which those are given
load_policy()
{
	local policy
	policy=$(mktemp)
	mountpoint -q /sys/fs/selinux || mount -t selinuxfs selinuxfs /sys/fs/selinux
	secilc -c 33 -o "$policy" -f /dev/null "${BASH_SOURCE[0]%/*}/../labels/labels.cil"
	dd if="$policy" of=/sys/fs/selinux/load bs=1M status=none
	SELINUX_MOUNT_OPTIONS="-o context=user_u:object_r:other_t:s0"
}
[ "${seq:-}" != 700 ] || load_policy

# There is nothing on the device to check
_check_test_fs() { true; }
_check_scratch_fs() { true; }
_check_generic_filesystem() { true; }
