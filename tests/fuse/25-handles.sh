#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: file handles by FUSE find their inode again when the kernel has forgotten it, and
#	after an unmount, or say that it has gone; ioctls reach the plugin, bounded.
# TIMEOUT: 60
. "$TOP/tests/fuse/lib.sh"

handle() { python3 -B "$POSIX/handle-file.py" "$@"; }

# all files of toyfs end with the mount: no handle of before leads to another one, though its
# number is the same
fuse_up toyfs
echo old >mnt/file
ino=$(stat -c %i mnt/file)
handle save mnt/file
fuse_down
fuse_mount toyfs
echo new >mnt/file
[ "$(stat -c %i mnt/file)" = "$ino" ] || fail "it has another number"
handle open mnt >found
echo "mnt/file: ESTALE" | diff - found
posix handles
fuse_down
# those of nullfs stay
fuse_up nullfs mode=call,files=2
echo kept | dd of=mnt/data1 conv=notrunc status=none
handle save mnt/data1
fuse_down
fuse_mount nullfs mode=call,files=2
handle open mnt >found
echo "mnt/data1: kept" | diff - found
fuse_down
