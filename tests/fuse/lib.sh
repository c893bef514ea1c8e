# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# For tests of the transport fuse (tests/fuse/NN-name.sh), which run on the host: start one with
#
#	#!/bin/bash
#	# SPDX-License-Identifier: BSD-3-Clause
#	# Goal: ...
#	# TIMEOUT: 60
#	. "$TOP/tests/fuse/lib.sh"
#
# It then runs with `set -eu`, in $TEST_DIR; what it mounted is unmounted when it ends,
# however it ends.  With FUSE_BUILD=build/asan in the environment it takes zusfuse and the
# plugins from there.

: "${TOP:?run this through tests/run}"
BUILD=${BUILD:-$TOP/build}
FUSE_BUILD=$(realpath "$TOP/${FUSE_BUILD:-build}")
ZUS=$FUSE_BUILD/zus
POSIX=$TOP/tests/conformance/posix
# A hang guard, never a measure
WAIT_SECONDS=30
export ZUS_PLUGIN_PATH=${ZUS_PLUGIN_PATH:-$FUSE_BUILD/zusfs-examples}
export ZUFS_LACKS=$TOP/tests/fuse/lacks

fail() { echo "FAIL: $*" >&2; exit 1; }
skip() { echo "$*"; exit 77; }

# expect STATUS REGEX COMMAND...: the exit status, and a line of what it says
expect()
{
	local want=$1 regex=$2 got=0
	shift 2
	"$@" >output 2>&1 </dev/null || got=$?
	cat output
	[ "$got" = "$want" ] || fail "status $got, not $want: $*"
	[ -z "$regex" ] || grep -qE -- "$regex" output || fail "no '$regex' from: $*"
}

# await COMMAND...: until it succeeds, at most WAIT_SECONDS
await()
{
	local end=$((SECONDS + WAIT_SECONDS))
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "still not, after $WAIT_SECONDS s: $*"
		read -r -t 0.02 <>"$AWAIT_FIFO" || true
	done
}

mounted() { grep -q " $TEST_DIR/$1 " /proc/self/mounts; }

# Those that this test has started
servers()
{
	local pid
	for pid in $(pgrep -x zusfuse); do
		! grep -qsz "^TEST_DIR=$TEST_DIR\$" "/proc/$pid/environ" || echo "$pid"
	done
}
no_server() { [ -z "$(servers)" ]; }

# device NAME SIZE TYPE: a file, made for the type
device()
{
	truncate -s "$2" "$1"
	"$ZUS/mkfs.zufs" -t "$3" -f "$1" >/dev/null
}

# fuse_mount PLUGIN [OPTIONS]: what the file "device" holds, on $TEST_DIR/mnt
fuse_mount()
{
	mkdir -p mnt run
	export ZUFS_OPTIONS=${2:-} ZUFS_STATS=$TEST_DIR/run/zusd-z$1.stats
	"$ZUS/zusfuse" --volatile --run-dir "$TEST_DIR/run" ${2:+-o "$2"} "$1" "$TEST_DIR/device" \
		"$TEST_DIR/mnt"
	mounted mnt || fail "zusfuse says it is mounted, and it is not"
}

# fuse_up PLUGIN [OPTIONS] [SIZE]: the same with a device made anew
fuse_up()
{
	device device "${3:-512m}" "z$1"
	fuse_mount "$1" "${2:-}"
}

fuse_down()
{
	umount mnt
	await no_server
}

# posix PROGRAM [CASE...]: of tests/conformance/posix, on what is mounted
posix()
{
	local program=$1
	shift
	python3 -B "$POSIX/$program.py" mnt "$@"
}

# not_run PROGRAM: that the list leaves out as a whole
not_run()
{
	local why
	why=$(awk -v name="$1:*" '$1 == "never" && $2 == name { $1 = $2 = ""; print }' "$ZUFS_LACKS")
	[ -n "$why" ] || fail "$1 is not in tests/fuse/lacks"
	echo "ok 1 - $1 # SKIP ${why#  }" >>"$CK_TAP_LOG_FILE_NAME"
}

# fuse_reset FOLDER: nothing is mounted below it, whoever served that
fuse_reset()
{
	local where
	awk -v dir="$1/" 'index($2, dir) == 1 { print $2 }' /proc/self/mounts | sort -r |
		while read -r where; do
			fusermount3 -uz "$where" 2>/dev/null || umount -l "$where"
		done
}

if [ -n "${TEST_DIR:-}" ]; then
	set -eu
	# what a server in the background would say to nobody
	export ASAN_OPTIONS=log_path=$TEST_DIR/sanitizer UBSAN_OPTIONS=log_path=$TEST_DIR/sanitizer
	[ -w /dev/fuse ] || skip "there is no /dev/fuse, or it is not ours to open"
	AWAIT_FIFO=$(mktemp -u "$TEST_DIR/await-XXXXXX")
	mkfifo "$AWAIT_FIFO"
	lib_end()
	{
		local status=$?
		fuse_reset "$TEST_DIR"
		if compgen -G "$TEST_DIR/sanitizer.*" >/dev/null; then
			cat "$TEST_DIR"/sanitizer.*
			status=1
		fi
		exit $status
	}
	trap lib_end EXIT
	trap 'exit 1' TERM INT
fi
