#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: with the server killed every operation that needs it fails with EIO at once, what
#	is cached and open can still be closed, and umount and rmmod work; so they do when
#	the server dies in the middle of things.
# TIMEOUT: 120
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
mkdir mnt/dir
echo data >mnt/dir/file
ln -s dir/file mnt/link
touch mnt/dir/unread
exec 5<mnt/dir/file 7<mnt
exec 6>>mnt/dir/file
zusd_kill toyfs

python3 - mnt <<'PYTHON'
import os, sys
sys.path.insert(0, os.environ["TOP"] + "/tests/conformance/posix")
from fslib import *

top = sys.argv[1]
for name, action in {
        "create": lambda: touch(f"{top}/new"), "mkdir": lambda: os.mkdir(f"{top}/d2"),
        "mknod": lambda: os.mkfifo(f"{top}/p"), "symlink": lambda: os.symlink("x", f"{top}/s"),
        "link": lambda: os.link(f"{top}/dir/file", f"{top}/hard"),
        "unlink": lambda: os.unlink(f"{top}/dir/file"),
        "rmdir": lambda: os.rmdir(f"{top}/dir"),
        "rename": lambda: rename(f"{top}/dir", f"{top}/other"),
        "lookup": lambda: os.stat(f"{top}/never-seen"), "readdir": lambda: os.listdir(top),
        "chmod": lambda: os.chmod(f"{top}/link", 0o600), "statfs": lambda: os.statvfs(top),
        "truncate": lambda: os.truncate(f"{top}/dir/file", 0),
        "getattr": lambda: statx_mode_size(top, AT_STATX_FORCE_SYNC),
        "read": lambda: os.pread(5, 4, 0), "write": lambda: os.write(6, b"x"),
        "readdir of an open one": lambda: read_all(7, 4096),
        "syncfs": lambda: libc.syncfs(7) and raise_errno(top)}.items():
    result = error_of(action)
    # no syncfs was asked for by this plugin
    holds(result == "EIO" or (name == "syncfs" and result == "ok"), f"{name}: {result}")
PYTHON

grep -q '/mnt ztoyfs ' /proc/mounts || fail "the mount went with its server"
mkdir other
zufs_mkfs ztoyfs /dev/pmem1
expect 32 mount -t ztoyfs /dev/pmem1 other
expect_output 'Connection refused'
sync
exec 5<&- 6>&- 7<&-
umount mnt
zuf_unload

# again, with two that are busy when it happens: they end, and so does the rest
zufs_up toyfs
busy=()
for who in 1 2; do
	(while mkdir "mnt/$who" && rmdir "mnt/$who"; do :; done) 2>"busy-$who" &
	busy+=($!)
done
await test -d mnt/1
zusd_kill toyfs
wait "${busy[@]}" || true
grep -q 'Input/output error' busy-1 || fail "busy 1: $(cat busy-1)"
grep -q 'Input/output error' busy-2 || fail "busy 2: $(cat busy-2)"
umount mnt

# the type can be served and mounted again
zusd_start toyfs
zufs_mount ztoyfs /dev/pmem0 mnt
touch mnt/file
zufs_down toyfs
