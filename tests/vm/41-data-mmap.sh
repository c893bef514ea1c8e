#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: mapped files are coherent, bounded by their end, and safe against truncate, on
#	toyfs; 2 MiB faults on nullfs, whose file lies in one piece. See data-mmap.c.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
zusd_start nullfs
zufs_mkfs znullfs /dev/pmem1
zufs_mount znullfs /dev/pmem1 null
DATA_DIR=$PWD/mnt DATA_HUGE=$PWD/null/data "$BUILD/tests/vm/helpers/data-mmap"
umount null
zusd_stop nullfs
[ "$(find mnt -type f | wc -l)" = 0 ] || fail "files are left"
zufs_down toyfs
