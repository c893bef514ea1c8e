#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: owner, mode and times behave as POSIX and Linux have them, and are the same after
#	the kernel has forgotten the inodes.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
python3 "$TOP/tests/conformance/posix/attrs.py" mnt
zufs_down toyfs
