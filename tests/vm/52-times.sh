#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: times that the kernel alone changed reach the server when the file is closed, before
#	an O_SYNC write returns, and by themselves soon after; O_DSYNC does not wait for them.
# TIMEOUT: 60
. "$TOP/tests/vm/lib.sh"

sent() { awk '{ print $2 }' /sys/fs/zuf/mounts/*/ops/setattr; }
more_than() { [ "$(sent)" -gt "$1" ]; }

# only zuf's own timer, not the kernel's periodic writeback
echo 0 >/proc/sys/vm/dirty_writeback_centisecs
zufs_up nullfs mode=leased,size=1m
exec 5<>mnt/data
before=$(sent)
echo changed >&5
await more_than "$before"

# A write, then the close. On a slow machine the timer may have told the times in between:
# then it is tried again.
told_by_close()
{
	local before written
	exec 5<>mnt/data
	before=$(sent)
	echo again >&5
	written=$(sent)
	exec 5>&-
	[ "$written" = "$before" ] || return 1
	more_than "$written" || fail "closed, and the times are not told"
}
exec 5>&-
await told_by_close

# each write in a tick of its own
before=$(sent)
python3 - mnt/data <<'PY'
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_SYNC)
old = os.stat(sys.argv[1]).st_mtime_ns
for i in range(3):
    while os.stat(sys.argv[1]).st_mtime_ns == old:
        os.pwrite(fd, b"x" * 4096, 0)
    old = os.stat(sys.argv[1]).st_mtime_ns
    with open("sent", "a") as f:
        f.write(open([e.path for e in os.scandir("/sys/fs/zuf/mounts")][0] + "/ops/setattr").read())
PY
awk -v n="$before" '$2 < n + NR { exit 1 } END { exit NR != 3 }' sent ||
	fail "O_SYNC writes returned before their times were told"
zufs_down nullfs
