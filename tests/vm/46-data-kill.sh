#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: a task killed in the middle of a write, a fault or a truncate leaves the file as it
#	was, as it should be, or in part, and loses no block. On toyfs; see data-kill.c.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zuf_load_points
zufs_up toyfs
DATA_DIR=$PWD/mnt "$BUILD/tests/vm/helpers/data-kill"
zufs_down toyfs
