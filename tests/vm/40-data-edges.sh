#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: writes and truncates at every edge of blocks, holes and the end of the file leave
#	what a model has, on toyfs; see data-edges.c.
# TIMEOUT: 240
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
DATA_DIR=$PWD/mnt "$BUILD/tests/vm/helpers/data-edges"
[ "$(find mnt -type f | wc -l)" = 0 ] || fail "files are left"
zufs_down toyfs
