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

# run LIST OPTION...: zlogfs does the workloads of tests/crash/zlogfs/LIST.list
run()
{
	"$CRASH" --plugin "$BUILD/zusfs-examples/zlogfs.so" \
		--target "$BUILD/tests/crash/zlogfs-target.so" \
		--list "$TOP/tests/crash/zlogfs/$1.list" "${@:2}"
}

if nm "$CRASH" | grep __asan_init >/dev/null; then
	"$TOP/tests/crash/zlogfs-bugs.sh" "$BUILD" 14 26
	passed "two_mistakes_are_found"
	exit
fi
"$TOP/tests/crash/zlogfs-bugs.sh" "$BUILD"
passed "all_mistakes_are_found"
