#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: files share blocks after clone and dedupe, and never what is written or stored
#	later; also while blocks are moved; a plugin that cannot refuses them.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs reflink
python3 "$TOP/tests/conformance/posix/clone.py" mnt
dd if=/dev/urandom of=mnt/file bs=1M count=4 status=none
cp --reflink=always mnt/file mnt/copy
cmp mnt/file mnt/copy
rm mnt/file mnt/copy
no_rule_broken
zufs_down toyfs

zufs_up toyfs reflink,relocate=73
python3 "$TOP/tests/conformance/posix/clone.py" mnt as_a_model_has_them stores_are_not_shared \
	others_keep_what_one_gives_up
no_rule_broken
zufs_down toyfs

zufs_up toyfs
echo data >mnt/file
! cp --reflink=always mnt/file mnt/copy 2>err || fail "cloned without the option"
grep -q "Operation not supported" err
no_rule_broken
zufs_down toyfs
