#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# zlogfs-slice.sh BUILD SECONDS SEED [OPTION...] - of all that the crash program has for zlogfs
# as much as the time allows, in an order that the seed gives: a third of it for operations
# beside each other. The last line has the sums; status 1 if anything failed.
set -euo pipefail

TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
BUILD=$(cd "$1" && pwd -P)
DIR=$BUILD/tests/crash
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
beside=$(($2 / 3))
failed=0

# run ARGUMENT...
run()
{
	"$DIR/crash" --plugin "$BUILD/zusfs-examples/zlogfs.so" \
		--target "$DIR/zlogfs-target.so" "$@" | tee -a "$TMP/out" || failed=1
}

run --steps --time-limit $(($2 - beside)) --seed "$3" "${@:4}"
# one preemption of many pairs finds more than two of a few
run --pairs --preemptions 1 --time-limit "$beside" --seed "$3" "${@:4}"
awk -f "$TOP/tests/crash/sum.awk" "$TMP/out"
exit "$failed"
