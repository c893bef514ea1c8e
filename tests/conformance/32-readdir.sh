#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: every name comes once, at any buffer size, from any position, and while names
#	come and go; ten thousand of them.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
python3 "$TOP/tests/conformance/posix/readdir.py" mnt
zufs_down toyfs
