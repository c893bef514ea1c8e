#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# zlogfs's mistakes are found by the crash program, and its faults of the past do not come
# again. With a sanitizer, which is twenty times as slow, only some mistakes.
# TIMEOUT: 180
set -euo pipefail

BUILD=$(cd "$(dirname "$0")/../.." && pwd -P)
CRASH=$BUILD/tests/crash/crash
CASES=${CK_TAP_LOG_FILE_NAME:-/dev/null}

passed() { echo "ok - $*" >>"$CASES"; }

# Each group of lines with the same mount options; in place only words are atomic
regress()
{
	local list=$TOP/tests/crash/zlogfs/regress.list options policy
	for options in $(sed -nE 's/^(policy=[^:]*): .*/\1/p' "$list" | sort -u); do
		sed -n "s/^$options: //p" "$list" >workloads
		policy=words
		[[ $options != policy=cow* ]] || policy=atomic
		"$CRASH" --plugin "$BUILD/tests/crash/zlogfs-bugs.so" --list workloads \
			--target "$BUILD/tests/crash/zlogfs-target.so" --first \
			--options "steps=manual,$options" --policy $policy
	done
}

if nm "$CRASH" | grep __asan_init >/dev/null; then
	"$TOP/tests/crash/zlogfs-bugs.sh" "$BUILD" 11 14
	passed "two_mistakes_are_found"
	exit
fi
"$TOP/tests/crash/zlogfs-bugs.sh" "$BUILD"
passed "all_mistakes_are_found"
regress
passed "faults_of_the_past_do_not_come_again"
