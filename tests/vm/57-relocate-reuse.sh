#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: a block that moved from one mapped file to another holds what is the other's,
#	whatever the first one stores and flushes; a pinned block stays, and the mover gives
#	it up instead of waiting. See relocate-reuse.c.
# TIMEOUT: 120
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs relocate="${ZUFS_SEED:-1}"
DATA_DIR=$PWD/mnt "$BUILD/tests/vm/helpers/relocate-reuse"
[ "$(lease pinned_waits)" -gt 0 ] || fail "no recall met the pinned page"
relocated_down
grep -q ' busy [1-9]' relocated || fail "no block was given up for a pinned page"
