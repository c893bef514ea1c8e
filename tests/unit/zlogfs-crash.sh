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

# large BUG: the large operations, small
large()
{
	"$BUILD/tests/crash/crash-large" --plugin "$BUILD/tests/crash/zlogfs-bugs.so" \
		--target "$BUILD/tests/crash/zlogfs-target.so" --extents 300 --write-mib 1 \
		--options "steps=manual,reflink,policy=cow,bug=$1"
}

if nm "$CRASH" | grep __asan_init >/dev/null; then
	"$TOP/tests/crash/zlogfs-bugs.sh" "$BUILD" 11 14
	passed "two_mistakes_are_found"
	exit
fi
"$TOP/tests/crash/zlogfs-bugs.sh" "$BUILD"
passed "all_mistakes_are_found"
"$TOP/tests/crash/zlogfs-regress.sh" "$BUILD"
passed "faults_of_the_past_do_not_come_again"
large 0
! large 1 2>/dev/null || { echo "crash-large does not see bug 1"; exit 1; }
passed "large_operations_are_crashed"
