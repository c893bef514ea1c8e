#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: file locks by FUSE are the plugin's where it wants them, and the kernel's where not.
# TIMEOUT: 180
. "$TOP/tests/fuse/lib.sh"

# who waits is told: nobody asks again by himself
fuse_up toyfs locks,lock_retry_ms=3600000
posix locks '!waits_end_by_asking_again'
fuse_down
fuse_up toyfs locks,lock_retry_ms=5
posix locks waits_end_by_asking_again
fuse_down
fuse_up toyfs
posix locks
fuse_down
