#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: coverage.sh PROGRAM IMAGES SEED
#
# Run the fuzzer that counts lines, and print how many lines of what reads and checks media
# it has run: below 90 of 100 the exit status is 1. FUZZ_MISSED=1 prints those it has not.
set -euo pipefail

PROGRAM=$1 IMAGES=$2 SEED=$3 BAR=90
TOP=$(cd "$(dirname "$0")/../.." && pwd -P)
OUT=$(dirname "$PROGRAM")
LLVM=${FUZZ_LLVM:-14}
ZLOGFS=zusfs-examples/zlogfs

# File, and those of its functions that are parsers: * are all, !NAME is none
PARSERS="
super.c * !align_up !lay_out !fill_super !write_root !write_ckpt !write_dev !list_devices \
	!make_plan !zl_mkfs
elem.c *
addr.c zl_addr_split zl_seg_word_split
segment.c load_seg zl_segs_load zl_segs_settle claim newer_by begin_use zl_units_used \
	zl_blocks_claim zl_node_claim
node.c * !zl_node_relink
tree.c zl_tree_descend choose_child child_at reach load_child look_for place_out copy_out \
	is_behind at_end next zl_tree_find zl_tree_next zl_tree_prev zl_tree_load newer
grow.c in_tree zl_tree_settle_intents shrink shrink_root
log.c record_crc zl_record_valid zl_log_walk zl_log_adopt
item.c * !zl_item_encode !put_members !put64
effects.c set_elem del_elem set_inode add_range add_freed change_inode item_effect zl_effects
recover.c *
object.c zl_obj_find zl_obj_next_to prev tree_next tree_prev range_over zl_elem_blocks \
	zl_inode_load
inode.c zl_orphans_destroy
tools/check.c * !zlc_grow
tools/check_media.c *
tools/check_log.c *
tools/check_tree.c *
tools/check_files.c *
tools/dump.c * !usage_error !parse !section_of !fuzz_dump_main
"

run()
{
	rm -f "$OUT"/*.profraw
	export LLVM_PROFILE_FILE=$OUT/%p.profraw FUZZ_REGRESS=$TOP/tests/regress/zlogfs-fuzz.list
	"$PROGRAM" -runs="$IMAGES" -seed="$SEED" -timeout=600 -max_len=132 -entropic=0 \
		-artifact_prefix="$OUT/" >"$OUT/log" 2>&1 || { tail -n 30 "$OUT/log"; exit 1; }
	tail -n 1 "$OUT/log"
	"llvm-profdata-$LLVM" merge -o "$OUT/profile" "$OUT"/*.profraw
}

# functions FILE: each with its lines, and how many were not run
functions()
{
	"llvm-cov-$LLVM" report -show-functions -instr-profile="$OUT/profile" "$PROGRAM" \
		"$TOP/$ZLOGFS/$1" | awk '
			NF >= 7 && $1 !~ /^(Name|TOTAL|File|-)/ {
				sub(/.*:/, "", $1); print $1, $5, $6 }'
}

# table: a row a file of PARSERS; fails below the bar
table()
{
	local file names lines=0 missed=0 n m
	printf '%-22s %6s %6s %8s\n' parser lines run share
	while read -r file names; do
		[ -n "$file" ] || continue
		read -r n m < <(functions "$file" | awk -v names="$names" '
			BEGIN { count = split(names, list, " ")
				for (i = 1; i <= count; i++) want[list[i]] = 1 }
			!(("!" $1) in want) && (("*" in want) || ($1 in want)) {
				n += $2; m += $3; seen[$1] = 1 }
			END { for (name in want) if (name !~ /^[*!]/ && !(name in seen))
					print "coverage: no function " name >"/dev/stderr"
			      print n + 0, m + 0 }')
		[ "$n" != 0 ] || { echo "coverage: nothing of $file" >&2; exit 1; }
		printf '%-22s %6d %6d %7.1f%%\n' "$file" "$n" $((n - m)) \
			"$(awk "BEGIN { print 100 * ($n - $m) / $n }")"
		lines=$((lines + n)) missed=$((missed + m))
	done <<<"$PARSERS"
	printf '%-22s %6d %6d %7.1f%%, at least %d\n' all $lines $((lines - missed)) \
		"$(awk "BEGIN { print 100 * ($lines - $missed) / $lines }")" $BAR
	[ $(((lines - missed) * 100)) -ge $((lines * BAR)) ]
}

missed()
{
	local file
	for file in "$TOP/$ZLOGFS"/*.c "$TOP/$ZLOGFS"/tools/*.c; do
		"llvm-cov-$LLVM" show -instr-profile="$OUT/profile" "$PROGRAM" "$file" 2>/dev/null |
			awk -F'|' -v file="${file#"$TOP"/}" '
				$2 ~ /^ *0$/ { printf "%s:%d:%s\n", file, $1, $3 }'
	done
}

run
[ -z "${FUZZ_MISSED:-}" ] || missed
table
