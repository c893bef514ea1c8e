# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# One boot a fault: lockdep and KASAN report once only and then rest.
. "$TOP/tests/vm-runner/lib.sh"

KMEMLEAK=/sys/kernel/debug/kmemleak

# planted FAULT REGEX [COMMAND]: a run that loads the module with FAULT and then runs
# COMMAND ends as dirty, with a report that matches
planted()
{
	local module=$TOP/build/planted/debug/planted.ko
	"$TOP/ci/module" debug "$TOP/tests/planted" "$TOP/build/planted/debug"
	expect 122 --kernel debug --mem 2G -- sh -c "insmod $module fault=$1${3:+ && $3}"
	expect_line err "kernel: .*($2)"
	expect_line err "COMMAND's status was 0"
	drop_kept
}
