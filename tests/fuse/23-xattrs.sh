#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: extended attributes and ACLs by FUSE, which obeys them as tmpfs does.
# TIMEOUT: 120
. "$TOP/tests/fuse/lib.sh"

fuse_up toyfs
posix xattrs
fuse_down
