#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# zusctl and zusd as a person calls them, without the module: zusctl reads a folder that
# looks like /sys/fs/zuf.
set -euo pipefail

BIN=$(cd "$(dirname "$0")/../../zus" && pwd -P)
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT

fail() { echo "failed: $*"; exit 1; }

# expect STATUS REGEX COMMAND...: the exit status, and a line of its output that matches
expect()
{
	local want=$1 regex=$2 got=0
	shift 2
	"$@" >"$DIR/output" 2>&1 || got=$?
	[ "$got" = "$want" ] || { cat "$DIR/output"; fail "status $got, not $want: $*"; }
	grep -qE -- "$regex" "$DIR/output" || { cat "$DIR/output"; fail "no '$regex': $*"; }
}

S=$DIR/sysfs
mkdir -p "$S/servers/7" "$S/mounts/3/ops" "$S/mounts/12/ops"
echo 12 >"$S/servers/7/pid"
echo ztoyfs >"$S/servers/7/types"
echo live >"$S/servers/7/state"
echo 4 >"$S/servers/7/channels"
for m in 3 12; do
	echo ztoyfs >"$S/mounts/$m/type"
	echo 7 >"$S/mounts/$m/server"
	echo live >"$S/mounts/$m/state"
	echo 2 >"$S/mounts/$m/inflight"
	echo 1 >"$S/mounts/$m/orphans"
	printf '0 t1 node 0 bytes 16777216\n1 t1 node -1 bytes 5\n' >"$S/mounts/$m/devices"
	printf 'id 0\nextent_range 3\n' >"$S/mounts/$m/rules"
	: >"$S/mounts/$m/abort"
	echo 'count 0 errors 0 total_ns 0 hist 0 0' >"$S/mounts/$m/ops/nop"
done
# 10 calls: 5 below 2048 ns, 4 below 8192, 1 below 16384
echo 'count 10 errors 1 total_ns 100000 hist 0 0 0 0 0 0 0 0 0 0 5 0 4 1' \
	>"$S/mounts/3/ops/lookup"

zusctl() { "$BIN/zusctl" --sysfs "$S" --run-dir "$DIR" "$@"; }

expect 0 '^7 +12 +live +4 +ztoyfs$' zusctl status
expect 0 '^3 +ztoyfs +7 +live +2 +1$' zusctl status
expect 0 'device 1 t1 node -1 bytes 5' zusctl status
expect 0 'rule extent_range 3' zusctl status
grep -q 'rule id' "$DIR/output" && fail "a rule that was not broken is shown"
expect 0 '^  lookup +10 +1 +10.0 +2.0 +16.4$' zusctl stats 3
grep -q nop "$DIR/output" && fail "an operation that never ran is shown"

zusctl --json status >"$DIR/json"
python3 - "$DIR/json" <<'PY' || fail "status --json"
import json, sys
s = json.load(open(sys.argv[1]))
assert [m["id"] for m in s["mounts"]] == [3, 12]
assert s["servers"][0]["types"] == "ztoyfs" and s["servers"][0]["pid"] == 12
assert s["mounts"][0]["rules"] == {"id": 0, "extent_range": 3}
assert len(s["mounts"][0]["devices"]) == 2
PY
for words in "stats" "stats 3" "stats 12"; do
	# shellcheck disable=SC2086
	zusctl --json $words >"$DIR/json"
	python3 -m json.tool "$DIR/json" >"$DIR/output" || fail "$words --json"
done

zusctl abort 3 || fail "abort 3"
[ "$(cat "$S/mounts/3/abort")" = 1 ] || fail "abort wrote nothing"
[ ! -s "$S/mounts/12/abort" ] || fail "abort wrote to another mount"
expect 1 'there is no mount 4' zusctl abort 4
expect 2 'a mount is a number' zusctl abort ../3
expect 2 'a mount is a number' zusctl stats x
expect 2 'no command' zusctl
expect 2 'unknown command' zusctl frob
expect 2 'zusctl --help' zusctl --frob
expect 0 'Usage: zusctl' zusctl --help
expect 0 '^zusctl [0-9]' zusctl --version
expect 1 'modprobe zuf' "$BIN/zusctl" --sysfs "$DIR/none" status
expect 1 'modprobe zuf' "$BIN/zusctl" --sysfs "$DIR/none" stats
echo 'count ten' >"$S/mounts/3/ops/lookup"
expect 1 'cannot understand' zusctl stats 3
printf 'not a statistics file' >"$DIR/zusd-x.stats"
expect 0 'mount 12' zusctl stats 12

expect 0 'Usage: zusd' "$BIN/zusd" --help
expect 0 'plugin ABI' "$BIN/zusd" --version
expect 2 'no plugin' "$BIN/zusd"
expect 2 '1 to 7' "$BIN/zusd" -c 8 toyfs
expect 2 'log level' "$BIN/zusd" -l loud toyfs
expect 2 'file descriptor' "$BIN/zusd" --ready-fd 77 toyfs
export ZUS_PLUGIN_PATH=$DIR/one:$DIR/two
expect 1 "$DIR/one:$DIR/two" "$BIN/zusd" -f nosuchfs
expect 1 'cannot read plugin' "$BIN/zusd" -f "$DIR/nosuchfs.so"
printf 'text' >"$DIR/text.so"
expect 1 'cannot load plugin' "$BIN/zusd" -f "$DIR/text.so"
if [ ! -e /dev/zuf ]; then
	expect 1 'modprobe zuf' "$BIN/zusd" --no-mlock -f toyfs
	expect 1 'modprobe zuf' "$BIN/zusd" --no-mlock toyfs
fi
echo ok
