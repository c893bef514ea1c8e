# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# For tests that run in the virtual machine (tests/vm/NN-name.sh): start a test with
#
#	#!/bin/bash
#	# SPDX-License-Identifier: BSD-3-Clause
#	# Goal: ...
#	# TIMEOUT: 60
#	. "$TOP/tests/vm/lib.sh"
#
# It then runs with `set -eu`, in $TEST_DIR; what the functions below began is undone when
# it ends, however it ends.  $VM_KERNEL, $VM_TOPOLOGY and $VM_OUT come from ci/vm.

: "${TOP:?run this through tests/run}"
BUILD=${BUILD:-$TOP/build}
ZUS=$BUILD/zus
ZUF_KO=$BUILD/zuf/$VM_KERNEL/zuf.ko
# A hang guard, never a measure: longer than anything that works takes
WAIT_SECONDS=$([ "$VM_KERNEL" = debug ] && echo 120 || echo 30)
export ZUS_PLUGIN_PATH=${ZUS_PLUGIN_PATH:-$BUILD/zusfs-examples}

fail() { echo "FAIL: $*" >&2; exit 1; }
skip() { echo "$*"; exit 77; }

# expect STATUS COMMAND...: the command's exit status is STATUS; its output goes to
# $TEST_DIR/output too, for expect_output
expect()
{
	local want=$1 got=0
	shift
	"$@" >output 2>&1 || got=$?
	cat output
	[ "$got" = "$want" ] || fail "status $got, not $want: $*"
}

# expect_output REGEX: the last expect's command wrote a line that matches
expect_output() { grep -qE -- "$1" output || fail "no line matches: $1"; }

# await COMMAND...: until it succeeds, at most WAIT_SECONDS
await()
{
	local end=$((SECONDS + WAIT_SECONDS))
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "still not, after $WAIT_SECONDS s: $*"
		read -r -t 0.02 <>"$AWAIT_FIFO" || true
	done
}

zuf_loaded() { [ -d /sys/module/zuf ]; }

# zuf_load [PARAMETER=VALUE...]: load the module built for the running kernel
# shellcheck disable=SC2120
zuf_load()
{
	local dep
	[ -e "$ZUF_KO" ] || fail "$ZUF_KO is not built: make zuf-$VM_KERNEL"
	for dep in $(modinfo -F depends "$ZUF_KO" | tr ',' ' '); do
		modprobe "$dep"
	done
	insmod "$ZUF_KO" "$@"
}

# zuf_load_points: load it, and patch its kill and delay points in while nothing runs in it
ZUF_POINTS=/sys/kernel/debug/zuf/points
zuf_load_points()
{
	zuf_load
	echo off >$ZUF_POINTS
}

zuf_unload() { rmmod zuf; }

# zusd_start PLUGIN [OPTION...]: returns when the plugin's filesystem type can be mounted.
# The server's log is $TEST_DIR/zusd-PLUGIN.log, its pid $(zusd_pid PLUGIN).
zusd_start()
{
	local plugin=$1 name line=''
	shift
	name=$(basename "$plugin" .so)
	rm -f "zusd-$name.ready"
	mkfifo "zusd-$name.ready"
	"$ZUS/zusd" --foreground --ready-fd 3 "$@" "$plugin" \
		3>"zusd-$name.ready" >"zusd-$name.log" 2>&1 </dev/null &
	echo $! >"zusd-$name.pid"
	if ! read -r -t "$WAIT_SECONDS" line <"zusd-$name.ready" || [ "${line%% *}" != READY ]; then
		cat "zusd-$name.log" >&2
		fail "zusd $plugin did not become ready (it said: '$line')"
	fi
}

zusd_pid() { cat "zusd-$(basename "$1" .so).pid"; }

# gone PID: it ended (a zombie has)
gone() { ! grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$1/status"; }

# zusd_stop PLUGIN [SIGNAL]: ask it to end, wait for that; zusd's exit status
zusd_stop()
{
	local pid
	pid=$(zusd_pid "$1")
	kill "-${2:-TERM}" "$pid"
	await gone "$pid"
	wait "$pid"
}

# zusd_kill PLUGIN: as if it had crashed
zusd_kill()
{
	local pid
	pid=$(zusd_pid "$1")
	kill -KILL "$pid"
	await gone "$pid"
	wait "$pid" 2>/dev/null || true
}

# zufs_mkfs TYPE DEVICE...
zufs_mkfs()
{
	local type=$1
	shift
	"$ZUS/mkfs.zufs" -t "$type" -f "$@"
}

# zufs_mount TYPE DEVICE FOLDER [MOUNT-OPTIONS]: makes the folder
zufs_mount()
{
	mkdir -p "$3"
	mount -t "$1" ${4:+-o "$4"} "$2" "$3"
}

# zufs_up PLUGIN [MOUNT-OPTIONS]: module, server, /dev/pmem0 made anew and mounted on
# $TEST_DIR/mnt.  The filesystem type of plugin toyfs is ztoyfs.
zufs_up()
{
	zuf_loaded || zuf_load
	zusd_start "$1"
	zufs_mkfs "z$1" /dev/pmem0
	zufs_mount "z$1" /dev/pmem0 mnt "${2:-}"
}

zufs_down()
{
	umount mnt
	zusd_stop "$1"
	zuf_unload
}

# fio_verify FOLDER ENGINE SIZE: random writes of two jobs, in files of SIZE, are read back
fio_verify()
{
	fio --name="$2" --directory="$1" --ioengine="$2" --rw=randwrite --bsrange=512-64k \
		--bs_unaligned --size="$3" --numjobs=2 --verify=crc32c --verify_fatal=1 \
		--do_verify=1 --randseed=7 --fallocate=none --end_fsync=1 --thread \
		--output-format=terse >/dev/null
	rm "$1/$2".*
}

# lease NAME: of the one mount's counters of leases
lease() { awk -v n="$1" '$1 == n { print $2 }' /sys/fs/zuf/mounts/*/leases; }

# no_rule_broken: by a reply of a server
no_rule_broken()
{
	local broken
	broken=$(awk '$2 { print $1 }' /sys/fs/zuf/mounts/*/rules)
	[ -z "$broken" ] || fail "broken rules: $broken"
}

# relocated_down: umount toyfs that was mounted with relocate=, and see that it moved
# blocks in every way; no block was written to once it had been copied behind a downgrade
relocated_down()
{
	local name value
	no_rule_broken
	cat /sys/fs/zuf/mounts/*/leases
	zufs_down toyfs
	grep -o 'relocate=.*' zusd-toyfs.log | tee relocated
	# shellcheck disable=SC2013
	for name in moves shared reused; do
		value=$(grep -o "$name [0-9]*" relocated | cut -d' ' -f2)
		[ "${value:-0}" -gt 0 ] || fail "$name is ${value:-not there}: nothing was tested"
	done
	grep -q ' late 0 ' relocated || fail "written to behind a downgrade"
	grep -q ' failed 0 ' relocated || fail "moves failed"
}

# suspend_cycle: into suspend, as far as notifiers and the freezing of all tasks go, and
# back.  No further: virtio's 9p driver, which carries the root, loses its queues when
# devices sleep; processors going offline can be tested by themselves.
suspend_cycle()
{
	local status=0 delay=/sys/module/suspend/parameters/pm_test_delay
	[ ! -w $delay ] || echo 0 >$delay
	echo freezer >/sys/power/pm_test
	if ! echo mem >/sys/power/state; then status=1; fi
	echo none >/sys/power/pm_test
	return $status
}

# Back to a machine without servers, mounts and module, in what state it may be
zuf_reset()
{
	local where pid
	awk '$3 ~ /^z(toy|null)fs$/ || $2 ~ "^/tmp/zufs-tests/" { print $2 }' /proc/self/mounts |
		sort -r | while read -r where; do
			# a frozen one would not go
			fsfreeze -u "$where" 2>/dev/null || true
			umount -l "$where"
		done
	for pid in $(pidof zusd); do
		kill -KILL "$pid"
	done
	for pid in $(pidof zusd); do
		await gone "$pid"
	done
	zuf_loaded || return 0
	await rmmod zuf
}

AWAIT_FIFO=$(mktemp -u /tmp/await-XXXXXX)
mkfifo "$AWAIT_FIFO"

if [ -n "${TEST_DIR:-}" ]; then
	set -eu
	lib_end() { local status=$?; rm -f "$AWAIT_FIFO"; exit $status; }
	trap lib_end EXIT
fi
