#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: lseek(2) and FIEMAP tell where data and holes are, by few calls however large a file.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
python3 "$TOP/tests/conformance/posix/seek.py" mnt
no_rule_broken
zufs_down toyfs
