#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: names by FUSE are as POSIX and Linux have them, and stay whole while many change
#	them at once.
# TIMEOUT: 120
. "$TOP/tests/fuse/lib.sh"

fuse_up toyfs
posix names
posix tmpfile
posix race
fuse_down
