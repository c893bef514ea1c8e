#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: the flags of chattr(1) are kept and obeyed, project ids inherited, and statx(2)
#	tells them and the time of birth.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
python3 "$TOP/tests/conformance/posix/fileattr.py" mnt
no_rule_broken
zufs_down toyfs
