#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: fuzz.sh PROGRAM IMAGES SEED [FOLDER]
#
# Run zlogfs's fuzzer on so many images; the same seed makes the same ones. What fails is
# kept in FOLDER (PROGRAM's), with the line that repeats it; the counters go to result.json
# there. Exit status: 0 well, 1 shares of structures are not met, 77 an input failed, or had
# no end.
set -euo pipefail

PROGRAM=$1 IMAGES=$2 SEED=$3 OUT=${4:-$(dirname "$1")}
TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
export FUZZ_REGRESS=$TOP/tests/regress/zlogfs-fuzz.list FUZZ_RESULT=$OUT/result.json
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=quarantine_size_mb=16:malloc_context_size=12

mkdir -p "$OUT"
echo "fuzz: $IMAGES images, seed $SEED"
status=0
"$PROGRAM" -runs="$IMAGES" -seed="$SEED" -timeout=600 -report_slow_units=600 -max_len=132 -rss_limit_mb=2048 \
	-entropic=0 -artifact_prefix="$OUT/" >"$OUT/log" 2>&1 || status=$?
sed -n '/^structure/,$p' "$OUT/log"
if [ $status != 0 ] && ! grep -q '^zlogfs-fuzz: the shares are not met' "$OUT/log"; then
	grep -vE '^#[0-9]+|NEW_FUNC' "$OUT/log" | head -n 60
	input=$(sed -n 's/.*Test unit written to //p' "$OUT/log" | tail -n 1)
	if [ -n "$input" ]; then
		echo "fuzz: again: FUZZ_SHOW=1 $PROGRAM $input"
		echo "fuzz: a line for $FUZZ_REGRESS, when it is mended:"
		od -An -v -tx1 "$input" | tr -d ' \n'
		echo
	fi
	exit 77
fi
exit $status
