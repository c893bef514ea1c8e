#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The crash program on slotfs: the right one has no failure, each of its bugs is found, and
# what a failure prints makes it again.
# TIMEOUT: 120
set -euo pipefail

BUILD=$(cd "$(dirname "$0")/../.." && pwd -P)
CRASH=$BUILD/tests/crash/crash
PLUGIN=$BUILD/tests/crash/slotfs.so
CASES=${CK_TAP_LOG_FILE_NAME:-/dev/null}

fail() { echo "crash-run: $*" >&2; exit 1; }
passed() { echo "ok - $*" >>"$CASES"; }

# run ARGUMENT...: to the files out and err; prints the status
run()
{
	local status=0
	"$CRASH" --plugin "$PLUGIN" "$@" >out 2>err || status=$?
	echo "$status"
}

# A sanitizer's own malloc(3) is not asked what it has
sanitized() { nm "$CRASH" | grep __asan_init >/dev/null; }

lists_are_up_to_date()
{
	"$CRASH" --print-list >list
	cmp list "$TOP/tests/crash/seq2.list" || fail "tests/crash/seq2.list is not what" \
		"build/tests/crash/crash --print-list prints"
	"$CRASH" --print-list --pairs >list
	cmp list "$TOP/tests/crash/pairs.list" || fail "tests/crash/pairs.list is not what" \
		"build/tests/crash/crash --print-list --pairs prints"
	passed "lists_are_up_to_date"
}

right_one_passes()
{
	local parts=50 workloads=48 clones=5	# which it has not
	! sanitized || parts=400 workloads=5 clones=2	# twenty times as slow
	[ "$(run --shard 1/$parts)" = 0 ] || { cat out err; fail "the right one fails"; }
	grep -q "^$workloads passed, 0 failed, $clones not run$" out ||
		{ cat out; fail "not $workloads workloads in 1/$parts, and $clones left out"; }
	[ ! -s err ] || { cat err; fail "it has something to say"; }
	passed "right_one_passes"
}

# bug_is_found BUG WORKLOAD MESSAGE [OPTION...], in the workload alone
bug_is_found()
{
	local again
	[ "$(run --options "bug=$1" --workload "$2" "${@:4}")" = 1 ] ||
		{ cat out err; fail "bug $1 is not found"; }
	grep -q "$3" err || { cat err; fail "bug $1: not \"$3\""; }
	passed "bug_$1_is_found"
	# of a leak and of static checks there is no image
	again=$(grep -A 3 "$3" err | sed -n 's/^  again: //p' | head -n 1)
	case $3 in
	*leak* | *flight*) return ;;
	esac
	[ -n "$again" ] || fail "bug $1: no command to make it again"
	! bash -c "$again ${*:4}" >out2 2>err2 || fail "bug $1 not made again by: $again"
	grep -q "$3" err2 || { cat err2; fail "bug $1: not the same by: $again"; }
	passed "bug_$1_is_made_again"
}

# In place is right where that is all that was promised
policies_differ()
{
	local write=(--options bug=4 --workload 'write /foo 0 4096')
	[ "$(run "${write[@]}" --policy words)" = 0 ] || { cat err; fail "policy words"; }
	[ "$(run "${write[@]}" --policy blocks)" = 1 ] || fail "a torn block by policy blocks"
	[ "$(run "${write[@]}" --policy atomic)" = 1 ] || fail "a torn block by policy atomic"
	[ "$(run --options bug=4 --workload 'write /foo 0 8192' --policy blocks)" = 1 ] ||
		fail "torn blocks by policy blocks"
	passed "policies_differ"
}

# 63 operations alone, and before and behind the step
steps_are_done()
{
	grep -v ';' "$TOP/tests/crash/seq2.list" >singles
	[ "$(run --list singles --steps --shard 2/20)" = 0 ] || { cat err; fail "steps"; }
	grep -q '^10 passed, 0 failed, 0 not run$' out || { cat out; fail "10 of 189 in 20th"; }
	[ "$(run --workload 'step nothing')" = 0 ] || fail "a step that is not known"
	grep -q '^0 passed, 0 failed, 1 not run$' out || { cat out; fail "not told as not run"; }
	passed "steps_are_done"
}

# Both orders of all schedules of two preemptions; what is wrong without the lock is not seen
# by one thread
operations_run_beside_each_other()
{
	local wrong=(--options bug=11 --workload)
	[ "$(run --workload 'creat /bar || mkdir /A/bar')" = 0 ] ||
		{ cat out err; fail "the right one fails beside itself"; }
	tail -n 1 out | grep -qE '^1 workloads, [0-9]{2} schedules, [0-9]{2} orders, ' ||
		{ cat out; fail "not tens of schedules"; }
	[ "$(run "${wrong[@]}" 'creat /bar; mkdir /A/bar')" = 0 ] || fail "bug 11 alone"
	[ "$(run "${wrong[@]}" 'creat /bar || mkdir /A/bar' --preemptions 0)" = 0 ] ||
		fail "bug 11 without a preemption"
	[ "$(run "${wrong[@]}" 'creat /bar || mkdir /A/bar' --schedule 0@2)" = 0 ] ||
		fail "bug 11 with a preemption in front of it"
	passed "operations_run_beside_each_other"
}

failure_is_kept()
{
	local again
	run --options bug=3 --workload 'rename /B /bar' --keep kept >/dev/null
	[ "$(find kept -name 'crash-*' | wc -l)" = 1 ] || fail "nothing in kept"
	[ "$(run --options bug=11 --workload 'creat /bar || mkdir /A/bar' --keep kept2)" = 1 ] ||
		fail "bug 11 is not found"
	again=$(sed -n 's/^# again: //p' kept2/crash-*)
	[[ $again == *" --schedule "* ]] || fail "no schedule in kept2"
	! bash -c "$again" >out 2>err || fail "what is kept is not made again by: $again"
	grep -q 'not mounted' err || { cat err; fail "not the same by: $again"; }
	[ "$(run --options bug=3 --list kept/crash-*)" = 1 ] || fail "what is kept does not fail"
	[ "$(run --list kept/crash-*)" = 0 ] || fail "what is kept fails with the right one"
	passed "failure_is_kept"
}

json_is_json()
{
	run --workload 'creat /bar' --json >/dev/null
	python3 -c 'import json; r = json.load(open("out")); assert r["images"] > 5, r' ||
		fail "no JSON"
	passed "json_is_json"
}

bad_options_are_refused()
{
	local bad
	for bad in "--shard 3/2" "--policy some" "--workload fly" "--reproduce 1.1.1" "--seed x" \
		"--workload creat\ /bar --reproduce x" "--workload creat\ /bar --schedule 1x2" \
		"--schedule 0@1" "--workload creat\ /a\|\|mkdir\ /b\;creat\ /c" \
		"--workload creat\ /a\|\|mkdir\ /b\|\|creat\ /c"; do
		[ "$(eval run "$bad")" = 2 ] || fail "not refused: $bad"
		[ -s err ] || fail "without a word: $bad"
	done
	passed "bad_options_are_refused"
}

lists_are_up_to_date
right_one_passes
bug_is_found 1 'creat /bar' 'not mounted: '
bug_is_found 2 'creat /bar' 'in flight behind an operation'
bug_is_found 3 'rename /B /bar' 'a state that it may not be'
bug_is_found 4 'write /foo 0 4096' 'a state that it may not be'
bug_is_found 5 'removexattr /foo user.p' 'are free when all is deleted'
bug_is_found 6 'symlink /bar 7' 'ended '
bug_is_found 7 'symlink /bar 7' 'no end within 2 s' --workload-limit 2
sanitized || bug_is_found 8 'creat /bar' 'mounts leak'
bug_is_found 9 'creat /bar' 'then in its recovery, before fence'
bug_is_found 10 'chmod /foo 600' 'crash behind operation 1'
bug_is_found 11 'creat /bar || mkdir /A/bar' 'not mounted: '
operations_run_beside_each_other
policies_differ
steps_are_done
failure_is_kept
json_is_json
bad_options_are_refused
