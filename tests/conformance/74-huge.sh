#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: at least 95 of 100 aligned 2 MiB of a file are mapped by one fault each, however the
#	file came to its blocks.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
python3 "$TOP/tests/conformance/posix/huge.py" mnt
no_rule_broken
zufs_down toyfs
