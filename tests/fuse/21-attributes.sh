#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: owners, modes, times and the flags of chattr(1) by FUSE, and when reading sets a time.
# TIMEOUT: 120
. "$TOP/tests/fuse/lib.sh"

fuse_up toyfs
posix attrs
posix fileattr
fuse_down
for options in relatime strictatime noatime nodiratime; do
	echo "== $options"
	fuse_up toyfs $options
	posix atimes
	fuse_down
done
