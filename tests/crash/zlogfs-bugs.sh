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
		--options "steps=manual,reflink,policy=cow,bug=$1" --preemptions 1 "${@:2}" \
		2>"$TMP/err" >"$TMP/out"
}

# All workloads of the list without a mistake
right_is_right()
{
	local option right=0
	for option in "" --same-cpu; do
		sed -nE "s/^[0-9]+ [A-Z_]+${option:+ $option}: //p" "$TMP/lines" | sort -u >"$TMP/list"
		[ ! -s "$TMP/list" ] || crash 0 --list "$TMP/list" ${option:+"$option"} ||
			{ cat "$TMP/err"; right=1; }
		cat "$TMP/out"
	done
	return $right
}

# caught_by_one BUG WORKLOAD: of "a || b", by "a; b" or "b; a"
caught_by_one()
{
	local before=${2%;*}\; first=${2%||*} second=${2#*|| }
	[[ $2 == *\;* ]] || before=
	first=${first##*;}
	printf '%s\n' "$before $first; $second" "$before $second; $first" >"$TMP/list"
	! crash "$1" --list "$TMP/list"
}

# Each has a line of its name and number
all_are_listed()
{
	local names
	names=$(grep -oE 'ZL_BUG_[A-Z][A-Z_]+' "$BUGS" | sed 's/^ZL_BUG_//' | grep -vxE 'NONE|COUNT' |
		awk '!seen[$0]++ { print ++n, $0 }' | sort)
	diff <(sort -u <<<"$names") \
		<(sed -nE 's/^([0-9]+ [A-Z_]+)( --same-cpu)?:.*/\1/p' "$LIST" | sort -u) ||
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
while IFS= read -r line; do
	read -r number name option <<<"${line%%:*}"
	workload=${line#*: } status=0
	crash "$number" --first --workload "$workload" ${option:+"$option"} || status=$?
	if [ "$status" != 1 ]; then
		echo "bug $number, $name: not caught by: $workload (status $status)"
		missed+=$number$'\n'
		continue
	fi
	echo "bug $number, $name: $(head -n 1 "$TMP/err")"
	if [[ $workload == *"||"* ]] && caught_by_one "$number" "$workload"; then
		echo "bug $number, $name: one thread sees it, too: $workload"
		missed+=$number$'\n'
	fi
done <"$TMP/lines"

right_is_right || right=0
caught=$((total - $(sort -u <<<"$missed" | grep -c . || true)))
echo "caught $caught of $total"
[ "$caught" = "$total" ] && [ "${right:-1}" = 1 ]
