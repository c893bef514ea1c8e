#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: processes that rename, link and unlink the same names at once leave a tree whose
#	names, inodes and link counts fit together; random changes end as on tmpfs.
#	Again: RACE_SEED=n RACE_STEPS=n in the environment.
# TIMEOUT: 240
. "$TOP/tests/vm/lib.sh"

# the debug kernel takes several times as long for each
[ "$VM_KERNEL" != debug ] || export RACE_STEPS=${RACE_STEPS:-400}
zufs_up toyfs
python3 "$TOP/tests/conformance/posix/race.py" mnt
zufs_down toyfs
