#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# One shard of suite pjdfstest, in the guest: its part $SHARD_PART, K/N, of the suite's
# files, on toyfs. The sums are written to $VM_OUT/result.json; status 1: a test failed.
# With $PJDFSTEST_NAMES these files instead.
TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
export TOP TEST_DIR=/tmp/shard
mkdir -p "$TEST_DIR"
cd "$TEST_DIR" || exit
. "$TOP/tests/vm/lib.sh"

status=0
zufs_up toyfs
chmod 755 mnt
# shellcheck disable=SC2086
(cd mnt && python3 -B "$TOP/tests/conformance/pjdfstest.py" --suite "$BUILD/cache/pjdfstest" \
	--out "$TEST_DIR/sums.json" --part "${SHARD_PART:-1/1}" ${PJDFSTEST_NAMES:-}) || status=$?
no_rule_broken
zufs_down toyfs
cp sums.json "$VM_OUT/result.json"
exit $status
