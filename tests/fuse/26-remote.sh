#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: what the plugin changed by itself is seen by FUSE, and nothing else is forgotten; no
#	operation and no invalidation wait for each other.
# TIMEOUT: 120
. "$TOP/tests/fuse/lib.sh"

fuse_up toyfs
posix remote
posix watch
fuse_down
