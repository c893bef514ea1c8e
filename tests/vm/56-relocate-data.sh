#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: the tests of data and of names hold on a toyfs that moves its blocks all the time,
#	in part; killed tasks, too.
# TIMEOUT: 240
. "$TOP/tests/vm/lib.sh"

size=1m ops=300 kills=1 steps=60
[ "$VM_KERNEL" != debug ] || size=512k ops=100 kills=1 steps=40
export DATA_DIR=$PWD/mnt DATA_OPS=$ops DATA_KILLS=$kills RACE_STEPS=$steps RACE_ALONE=0
all_free() { [ "$(stat -f -c "%f %d" mnt)" = "$empty" ]; }

zuf_load_points
zufs_up toyfs relocate="${ZUFS_SEED:-1}"
empty=$(stat -f -c "%f %d" mnt)		# free blocks and inodes
"$BUILD/tests/vm/helpers/data-random"
CK_RUN_CASE=data-mmap "$BUILD/tests/vm/helpers/data-mmap"
await all_free		# moves may have outlived their files
"$BUILD/tests/vm/helpers/data-kill"
# names change while data move
mkdir mnt/names
python3 "$TOP/tests/conformance/posix/race.py" mnt/names >race.log 2>&1 &
race=$!
fio_verify mnt mmap $size
fio_verify mnt psync $size
wait $race || { cat race.log; fail "names"; }
rm -r mnt/names
[ "$(find mnt -type f | wc -l)" = 0 ] || fail "files are left"
await all_free
relocated_down
