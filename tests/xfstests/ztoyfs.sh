# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What xfstests needs to know of toyfs. Sourced by each test behind the suite's own
# functions, some of which it replaces.
#
# toyfs is volatile. So the suite's cycle of umount and mount, by which most tests only
# want to drop what is cached, is a remount and a drop of caches here, as the suite itself
# has it for tmpfs. A test that mounts anew what it has written to does not apply.

: "${tmp:?xfstests sets it}" "${seqres:=$tmp.seqres}" "${here:=$PWD}"
ZTOYFS_VOLATILE="toyfs is volatile: contents must survive an umount"
ZTOYFS_LOST=$tmp.ztoyfs-lost

ztoyfs_drop_caches()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# ztoyfs_note_loss MOUNTPOINT NAME: at an umount
ztoyfs_note_loss()
{
	[ -z "$(ls -A "$1" 2>/dev/null)" ] || echo lost >"$ZTOYFS_LOST-$2"
}

ztoyfs_check_loss()
{
	[ ! -e "$ZTOYFS_LOST-$1" ] || _notrun "$ZTOYFS_VOLATILE"
}

_scratch_unmount()
{
	ztoyfs_note_loss "$SCRATCH_MNT" scratch
	_unmount "$SCRATCH_DEV"
}

_try_scratch_mount()
{
	case " $* " in
	*remount*) ;;
	*) ztoyfs_check_loss scratch ;;
	esac
	# shellcheck disable=SC2046,SC2048,SC2086
	_mount -t "$FSTYP" $(_scratch_mount_options $*)
}

_scratch_mkfs()
{
	rm -f "$ZTOYFS_LOST-scratch"
	# shellcheck disable=SC2086
	"$MKFS_PROG" -t "$FSTYP" $SCRATCH_DEV >>"$seqres.full" 2>&1
}

_scratch_shutdown()
{
	echo lost >"$ZTOYFS_LOST-scratch"
	"$here/src/godown" "$@" "$SCRATCH_MNT"
}

_scratch_cycle_mount()
{
	ztoyfs_check_loss scratch
	ztoyfs_drop_caches
	[ -z "${1:-}" ] || _try_scratch_mount "-o remount,$1" || _fail "remount failed"
}

_test_unmount()
{
	ztoyfs_note_loss "$TEST_DIR" test
	_unmount "$TEST_DEV"
}

_test_cycle_mount() { ztoyfs_drop_caches; }

# Nothing on the device to check
_check_test_fs() { true; }
_check_scratch_fs() { true; }
_check_generic_filesystem() { true; }
