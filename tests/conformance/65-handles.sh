#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: file handles find their inode again when the kernel has forgotten it, and after an
#	unmount, or say that it has gone; ioctls reach the plugin, bounded.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
python3 "$TOP/tests/conformance/posix/handles.py" mnt
no_rule_broken
# all files of toyfs end with the mount: no handle of before leads to another one
echo old >mnt/file
python3 "$TOP/tests/conformance/posix/handle-file.py" save mnt/file
umount mnt
zufs_mount ztoyfs /dev/pmem0 mnt
echo new >mnt/file
python3 "$TOP/tests/conformance/posix/handle-file.py" open mnt >found
echo 'mnt/file: ESTALE' | diff - found
no_rule_broken
umount mnt
# unless they are kept
zufs_mkfs ztoyfs /dev/pmem0
zufs_mount ztoyfs /dev/pmem0 mnt keep
echo stays >mnt/file
python3 "$TOP/tests/conformance/posix/handle-file.py" save mnt/file
umount mnt
zufs_mount ztoyfs /dev/pmem0 mnt keep
python3 "$TOP/tests/conformance/posix/handle-file.py" open mnt >found
echo 'mnt/file: stays' | diff - found
no_rule_broken
zufs_down toyfs
# those of nullfs stay
zufs_up nullfs mode=call,files=2
echo kept | dd of=mnt/data1 conv=notrunc status=none
python3 "$TOP/tests/conformance/posix/handle-file.py" save mnt/data1
umount mnt
zufs_mount znullfs /dev/pmem0 mnt mode=call,files=2
python3 "$TOP/tests/conformance/posix/handle-file.py" open mnt >found
echo 'mnt/data1: kept' | diff - found
umount mnt
zufs_mount znullfs /dev/pmem0 mnt mode=call,files=1
python3 "$TOP/tests/conformance/posix/handle-file.py" open mnt >found
echo 'mnt/data1: ESTALE' | diff - found
no_rule_broken
zufs_down nullfs
