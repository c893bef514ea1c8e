#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: ls -l of 10,000 names asks the server once for a hundred names at most; what comes
#	along with names is right, whoever changes them meanwhile; and every reference goes
#	back: once the files are removed their inodes are free.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

in_use() { stat -f -c '%c %d' mnt | awk '{ print $1 - $2 }'; }

all_free()
{
	echo 2 >/proc/sys/vm/drop_caches
	[ "$(in_use)" = 1 ]
}

zufs_up toyfs
PLUS_NAMES=$([ "$VM_KERNEL" = debug ] && echo 2000 || echo 10000)
export PLUS_NAMES
python3 "$TOP/tests/conformance/posix/plus.py" mnt
await all_free
no_rule_broken
zufs_down toyfs
