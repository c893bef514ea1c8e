#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: mounts of a mount by FUSE; and what FUSE has no way for is reported.
# TIMEOUT: 60
. "$TOP/tests/fuse/lib.sh"

fuse_up toyfs
posix mounts "$TEST_DIR/device" fuse.ztoyfs
for program in clone huge; do
	posix $program
done
for program in shutdown freeze; do
	not_run $program
done
fuse_down
