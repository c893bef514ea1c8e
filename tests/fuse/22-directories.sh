#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: every name comes once by FUSE, with attributes too, and every reference that came
#	with them goes back.
# TIMEOUT: 120
. "$TOP/tests/fuse/lib.sh"

in_use() { stat -f -c '%c %d' mnt | awk '{ print $1 - $2 }'; }

all_free()
{
	echo 2 >/proc/sys/vm/drop_caches
	[ "$(in_use)" = 1 ]
}

export PLUS_NAMES=4000
fuse_up toyfs
posix readdir
await all_free
posix plus
await all_free
fuse_down
