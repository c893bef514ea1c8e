#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: file handles find their inode again when the kernel has forgotten it, or say that it
#	has gone; ioctls reach the plugin, bounded; a shutdown ends all, and umount works.
# TIMEOUT: 60
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
python3 "$TOP/tests/vm/posix/handles.py" mnt
no_rule_broken
echo data >mnt/file
# FS_IOC_SHUTDOWN of XFS and ext4, with a sync before
python3 - <<'PYTHON'
import fcntl, os, struct
fd = os.open("mnt", os.O_RDONLY)
fcntl.ioctl(fd, 0x8004587d, struct.pack("=I", 0))
for call in (lambda: os.listdir("mnt"), lambda: open("mnt/file").read(), lambda: os.mkdir("mnt/x")):
    try:
        call()
    except OSError as e:
        assert e.errno == 5, e
    else:
        raise AssertionError("goes on")
PYTHON
zufs_down toyfs
