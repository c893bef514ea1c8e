#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# mkfs.zlogfs, fsck.zlogfs and dump.zlogfs as a person calls them: status and messages, and
# that who checks or refuses changes nothing.
set -euo pipefail

BIN=$(cd "$(dirname "$0")/../../zus" && pwd -P)
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
PATH=$BIN:$PATH

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

# poke FILE OFFSET HEX
poke() { printf '%b' "\\x$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

field() { dump.zlogfs --json "$1" "$2" | python3 -c "import json, sys
print(json.load(sys.stdin)['$1'][$3]['$4'])"; }

A=$DIR/a B=$DIR/b C=$DIR/c
truncate -s 16M "$A" "$B" "$C"

# mkfs
expect 0 'Usage' mkfs.zlogfs --help
expect 0 'format 1\.' mkfs.zlogfs --version
expect 2 'no device' mkfs.zlogfs
expect 2 'inplace, cow or boundary' mkfs.zlogfs --policy new "$A"
expect 2 '12 to 21' mkfs.zlogfs --segment-shift 22 "$A"
expect 2 '16, 32 or 64' mkfs.zlogfs --node-lines 17 "$A"
expect 2 'UUID' mkfs.zlogfs -U nonsense "$A"
expect 2 'label' mkfs.zlogfs -L "$(printf 'l%.0s' {1..64})" "$A"
expect 1 'No such file' mkfs.zlogfs "$DIR/none"
truncate -s 1M "$DIR/small"
expect 1 'too small' mkfs.zlogfs "$DIR/small"
expect 1 'too small.*segment-shift' mkfs.zlogfs --segment-shift 21 "$A"
expect 1 'same device' mkfs.zlogfs "$A" "$A"
expect 0 'would make zlogfs: segments of 256 KiB' mkfs.zlogfs -n "$A"
cmp -s -n 16777216 "$A" /dev/zero || fail "mkfs.zlogfs has written what it refused"
expect 0 'made zlogfs' mkfs.zlogfs -L first -U c5e6ba0c-6bd2-4f0e-9f3e-1c1f7b0a9d10 "$A"
cp "$A" "$DIR/copy"
expect 1 'carries a zufs filesystem.*-f' mkfs.zlogfs "$A"
cmp -s "$A" "$DIR/copy" || fail "mkfs.zlogfs has written over a filesystem without -f"
[ -z "$(mkfs.zlogfs -q -f --policy cow "$A" 2>&1)" ] || fail "-q says something"
mkfs.zlogfs -fq "$A" < <(yes) || fail "with something on standard input"
[ "$(field super "$DIR/copy" 0 label)" = first ] || fail "the label"
[ "$(field super "$DIR/copy" 1 uuid)" = c5e6ba0c-6bd2-4f0e-9f3e-1c1f7b0a9d10 ] || fail "the UUID"
[ "$(field super "$A" 0 segment_shift)" = 18 ] || fail "the segments of a small device"
truncate -s 1G "$DIR/large"
mkfs.zlogfs -q "$DIR/large"
[ "$(field super "$DIR/large" 0 segment_shift)" = 21 ] || fail "the segments of a large device"
expect 0 clean fsck.zlogfs -n "$DIR/large"

# fsck
expect 0 'Usage' fsck.zlogfs --help
expect 16 'no device' fsck.zlogfs -n
expect 16 'help' fsck.zlogfs --nonsense "$A"
expect 8 'No such file' fsck.zlogfs -n "$DIR/none"
expect 8 'no zlogfs here.*mkfs.zlogfs' fsck.zlogfs -n "$B"
expect 0 '^1 inodes' fsck.zlogfs -nv "$A"
mkfs.zlogfs -q "$B" "$C"
expect 0 clean fsck.zlogfs -n "$C" "$B"
expect 8 'has 2 devices, here are 1' fsck.zlogfs -n "$B"
expect 8 'twice' fsck.zlogfs -n "$C" "$C"
expect 8 'another filesystem' fsck.zlogfs -n "$B" "$A"
cp "$C" "$DIR/c2"
expect 8 'has 2 devices, here are 3' fsck.zlogfs -n "$B" "$C" "$DIR/c2"

cp "$A" "$DIR/copy"
poke "$A" $((2097152 + 60)) ff
cp "$A" "$DIR/bad"
expect 4 'superblock.*first copy is damaged' fsck.zlogfs -n "$A"
grep -q 'no repair' "$DIR/output" && fail "-n speaks of repair"
expect 4 'no repair yet' fsck.zlogfs "$A"
expect 4 '"class": "superblock"' fsck.zlogfs -n --json "$A"
python3 -m json.tool <"$DIR/output" >/dev/null || fail "fsck.zlogfs --json is no JSON"
expect 0 BAD dump.zlogfs super "$A"
cmp -s "$A" "$DIR/bad" || fail "fsck.zlogfs has written something"

# the tables of zufs are gone: what is found is found, and where
dd if=/dev/zero of="$DIR/copy" bs=8192 count=1 conv=notrunc status=none
expect 0 clean fsck.zlogfs -n "$DIR/copy"
expect 0 clean fsck.zlogfs -n --data-off 2m "$DIR/copy"
node=$(field nodes "$DIR/copy" 0 offset)
poke "$DIR/copy" $((node + 80)) ff
expect 4 'element, .* at 0x[0-9a-f]*: type 1: its checksum' fsck.zlogfs -n "$DIR/copy"
expect 0 "0:0x$(printf %x $((node + 64))) BAD" dump.zlogfs elements "$DIR/copy"

# dump
expect 0 'Usage' dump.zlogfs --help
expect 2 'no device' dump.zlogfs super
expect 1 'no zlogfs here' dump.zlogfs "$DIR/small"
for what in super checkpoints segments log nodes elements slots intents; do
	expect 0 "^$what" dump.zlogfs "$what" "$A"
done
dump.zlogfs --json segments "$A" | python3 -m json.tool >/dev/null || fail "one, as JSON"
dump.zlogfs --json all "$B" "$C" | python3 -c 'import json, sys
d = json.load(sys.stdin)
assert len(d["super"]) == 4 and len(d["elements"]) == 1 and d["nodes"][0]["good"]
assert d["elements"][0]["obj"] == 1 and d["elements"][0]["nlink"] == 2' || fail "all, as JSON"
echo "all as expected"
