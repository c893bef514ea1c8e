#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: idmapped, read-only and bind mounts, mount namespaces, the old and the new mount
#	interface and fstab do as with any filesystem, and errors reach who asked.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
python3 "$TOP/tests/conformance/posix/mounts.py" mnt /dev/pmem0 ztoyfs
no_rule_broken
zufs_down toyfs
