# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# One boot a fault: lockdep and KASAN report once only and then rest.
. "$TOP/tests/vm-runner/lib.sh"

# planted FAULT REGEX: a run that has it ends as dirty, with a report that matches
planted()
{
	local module=$TOP/build/planted/debug/planted.ko
	"$TOP/ci/module" debug "$TOP/tests/planted" "$TOP/build/planted/debug"
	expect 122 --kernel debug -- sh -c "insmod $module fault=$1 &&
		echo scan >/sys/kernel/debug/kmemleak && echo scan >/sys/kernel/debug/kmemleak"
	expect_line err "kernel: .*($2)"
	expect_line err "COMMAND's status was 0"
	drop_kept
}
