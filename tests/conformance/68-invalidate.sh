#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: what a server changed by itself is seen, by names, attributes, inotify, and nothing
#	else is forgotten; no operation under way and no invalidation wait for each other,
#	where libfuse's do.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
python3 "$TOP/tests/conformance/posix/remote.py" mnt
no_rule_broken
zufs_down toyfs
