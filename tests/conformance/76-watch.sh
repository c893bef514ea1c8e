#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: leases of files, and events for who watches a file or the whole filesystem.
# TIMEOUT: 120
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
python3 "$TOP/tests/conformance/posix/watch.py" mnt
no_rule_broken
zufs_down toyfs
