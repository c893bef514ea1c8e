#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# zlogfs-full.sh [BUILD [I/N]] - all that the crash program has for zlogfs, or of N equal parts
# the I-th: every workload of the list and each operation around each step, with each policy of
# data; the nasty ones on small and larger segments, and with space that is used again at once;
# pairs beside each other under all schedules of two preemptions, and with one log for both; the
# two that are too large for lists.
# The last line has the sums; status 1 if anything failed.
set -euo pipefail

TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
BUILD=$(cd "${1:-$TOP/build}" && pwd -P)
SHARD=${2:-1/1}
DIR=$BUILD/tests/crash
NASTY=$TOP/tests/crash/zlogfs/nasty.list
PAIRS=$TOP/tests/crash/zlogfs/nasty-pairs.list
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
failed=0

# run PLUGIN OPTIONS POLICY ARGUMENT...
run()
{
	echo "$2, ${*:3}:"
	"$DIR/crash" --plugin "$1" --target "$DIR/zlogfs-target.so" --shard "$SHARD" \
		--options "steps=manual,reflink,$2" --policy "$3" "${@:4}" | tee -a "$TMP/out" || failed=1
}

for of in "cow atomic" "boundary words" "inplace words"; do
	run "$BUILD/zusfs-examples/zlogfs.so" "policy=${of% *}" "${of#* }" --steps
	run "$DIR/zlogfs-bugs.so" "policy=${of% *},reuse=soon" "${of#* }" --list "$NASTY"
	run "$BUILD/zusfs-examples/zlogfs.so" "policy=${of% *}" "${of#* }" --list "$NASTY" \
		--device-bytes 1572864
	run "$DIR/zlogfs-bugs.so" "policy=${of% *},reuse=soon" "${of#* }" --list "$PAIRS"
done
# writes that MAP_DONE ends, as where the kernel cannot store the word
run "$BUILD/zusfs-examples/zlogfs.so" policy=cow,words=off atomic --list "$NASTY"
run "$BUILD/zusfs-examples/zlogfs.so" policy=cow atomic --pairs
run "$BUILD/zusfs-examples/zlogfs.so" policy=cow atomic --pairs --same-cpu --preemptions 1
"$DIR/crash-large" --plugin "$BUILD/zusfs-examples/zlogfs.so" --target "$DIR/zlogfs-target.so" \
	--shard "$SHARD" || failed=1
# shards are of lists; what was wrong once is seen in each
"$TOP/tests/crash/zlogfs-regress.sh" "$BUILD" long | tee -a "$TMP/out" || failed=1
awk -f "$TOP/tests/crash/sum.awk" "$TMP/out"
exit "$failed"
