#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# zlogfs-regress.sh [BUILD [long]] - the workloads of tests/crash/zlogfs/regress.list, those
# marked so only with long. Status 1 if one fails.
set -euo pipefail

TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
DIR=$(cd "${1:-$TOP/build}/tests/crash" && pwd -P)
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT

grep -E '^(long )?policy=' "$TOP/tests/crash/zlogfs/regress.list" >"$TMP/lines"
[ "${2:-}" = long ] || sed -i '/^long /d' "$TMP/lines"
sed 's/^long //' "$TMP/lines" >"$TMP/all"
failed=0
cut -d : -f 1 "$TMP/all" | sort -u >"$TMP/groups"
while read -r options; do
	sed -n "s/^$options: //p" "$TMP/all" >"$TMP/list"
	policy=blocks		# a full device has a write in parts
	[[ $options == policy=cow* ]] || policy=words
	"$DIR/crash" --plugin "$DIR/zlogfs-bugs.so" --target "$DIR/zlogfs-target.so" \
		--options "steps=manual,reflink,$options" --policy "$policy" --list "$TMP/list" || failed=1
done <"$TMP/groups"
exit "$failed"
