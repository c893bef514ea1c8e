#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: blocks that a server says are unwritten read as zeros to everybody, until they are
#	written to, and never as what they held; together with what else toyfs does to blocks.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

posix=$TOP/tests/conformance/posix
export FALLOC_STEPS=400
zufs_up toyfs unwritten,reflink
for program in unwritten falloc clone; do
	python3 "$posix/$program.py" mnt
done
no_rule_broken
zufs_down toyfs

zufs_up toyfs unwritten,reflink,relocate=77
for program in falloc clone; do
	python3 "$posix/$program.py" mnt random_calls_do_as_the_model as_a_model_has_them
done
no_rule_broken
zufs_down toyfs
