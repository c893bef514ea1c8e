#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: extended attributes of every class and size are what was set, and after the kernel
#	has forgotten the inodes too; ACLs do as on tmpfs; where there are none nobody asks.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
python3 "$TOP/tests/conformance/posix/xattrs.py" mnt
no_rule_broken
zufs_down toyfs
