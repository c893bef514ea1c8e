#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: writes and truncates at every edge of blocks, holes and the end of the file leave
#	what a model has, on toyfs; see data-edges.c.
# TIMEOUT: 240
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
DATA_DIR=$PWD/mnt "$BUILD/tests/vm/helpers/data-edges"
[ "$(find mnt -type f | wc -l)" = 0 ] || fail "files are left"

# behind a gap in the block where the file ends a write asks once, and zeroes what somebody
# has stored there through a map
calls() { awk '{ print $2 }' /sys/fs/zuf/mounts/*/ops/map; }
maps=$(calls)
printf x >mnt/gaps
for off in 100 700 4000; do
	printf y | dd of=mnt/gaps bs=1 seek="$off" conv=notrunc 2>/dev/null
done
[ "$(calls)" = $((maps + 4)) ] || fail "$(($(calls) - maps)) maps for 4 writes to a block"
python3 - mnt/gaps <<'END'
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
os.ftruncate(fd, 4096)
page = mmap.mmap(fd, 4096)
os.ftruncate(fd, 10)
page[20:30] = b"z" * 10
os.pwrite(fd, b"y" * 5000, 40)
data = os.pread(fd, 8192, 0)
assert data == b"x" + bytes(39) + b"y" * 5000, data[:60]
END
rm mnt/gaps
zufs_down toyfs
