#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# zlogfs-bugs.sh [BUILD [NUMBER...]] - zlogfs with each of the mistakes of its bug.h, or these:
# every workload that tests/crash/zlogfs/bugs.list has for it must fail, and none of them
# without a mistake. Ends with "caught n of n"; status 1 if not all were, or the right one fails.
set -euo pipefail

TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
LIST=$TOP/tests/crash/zlogfs/bugs.list
BUGS=$TOP/zusfs-examples/zlogfs/bug.h
DIR=$(cd "${1:-$TOP/build}/tests/crash" && pwd -P)
WANTED=" ${*:2} "
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT

# crash BUG ARGUMENT...
crash()
{
	"$DIR/crash" --plugin "$DIR/zlogfs-bugs.so" --target "$DIR/zlogfs-target.so" \
		--options "steps=manual,policy=cow,bug=$1" "${@:2}" 2>"$TMP/err" >"$TMP/out"
}

# Each has a line of its name and number
all_are_listed()
{
	local names
	names=$(grep -oE 'ZL_BUG_[A-Z][A-Z_]+' "$BUGS" | sed 's/^ZL_BUG_//' | grep -vxE 'NONE|COUNT' |
		awk '!seen[$0]++ { print ++n, $0 }' | sort)
	diff <(sort -u <<<"$names") <(sed -nE 's/^([0-9]+ [A-Z_]+):.*/\1/p' "$LIST" | sort -u) ||
		{ echo "zlogfs-bugs: $LIST is not what bug.h has"; exit 1; }
}

# Lines of the list: of those that are wanted
lines()
{
	local number rest
	while read -r number rest; do
		[ "$WANTED" != "  " ] && [[ "$WANTED" != *" $number "* ]] || echo "$number $rest"
	done < <(grep '^[0-9]' "$LIST")
}

all_are_listed
lines >"$TMP/lines"
total=$(cut -d ' ' -f 1 "$TMP/lines" | sort -u | wc -l) missed=
while read -r number name workload; do
	status=0
	crash "$number" --first --workload "$workload" || status=$?
	if [ "$status" = 1 ]; then
		echo "bug $number, ${name%:}: $(head -n 1 "$TMP/err")"
	else
		echo "bug $number, ${name%:}: not caught by: $workload (status $status)"
		missed+=$number$'\n'
	fi
done <"$TMP/lines"

sed -E 's/^[0-9]+ [A-Z_]+: //' "$TMP/lines" | sort -u >"$TMP/list"
crash 0 --list "$TMP/list" || { cat "$TMP/err"; right=0; }
cat "$TMP/out"
caught=$((total - $(sort -u <<<"$missed" | grep -c . || true)))
echo "caught $caught of $total"
[ "$caught" = "$total" ] && [ "${right:-1}" = 1 ]
