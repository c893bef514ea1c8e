#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: a command that does not end and a guest that does not answer are told apart.
# TIMEOUT: 180
. "$TOP/tests/vm-runner/lib.sh"

expect 124 --timeout 3 -- sh -c 'echo begun; while :; do :; done'
expect_line out begun
expect_line err 'Show Blocked State'
drop_kept

# Without its signs of life the guest counts as hung
expect 121 --hang 5 -- sh -c 'pkill -STOP -P 1 -f ci/vm-init; while :; do :; done'
expect_line err 'the guest hung|no sign of life'
drop_kept

# A task that waits uninterruptibly for minutes is a hang too
expect 121 --append sysctl.kernel.hung_task_timeout_secs=5 -- sh -c '
	mkfs.ext4 -q /dev/pmem1; mkdir /run/m; mount /dev/pmem1 /run/m
	fsfreeze --freeze /run/m; touch /run/m/file'
expect_line err 'hung_task'
drop_kept
