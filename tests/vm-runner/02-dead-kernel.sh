#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: an oops, and a machine that resets, each have their status and show the log.
# TIMEOUT: 120
. "$TOP/tests/vm-runner/lib.sh"

expect 120 -- sh -c 'echo alive; echo c >/proc/sysrq-trigger'
expect_line out alive
expect_line err 'Kernel panic'
[ -s "$(kept_log)" ] || fail "the log is not kept"
drop_kept

expect 125 -- sh -c 'echo b >/proc/sysrq-trigger'
expect_line err 'ended before COMMAND did'
drop_kept
