// SPDX-License-Identifier: BSD-3-Clause
/* zlogfs-space.c - who gets which blocks: by CPU, beside others, and when there are few. */
#include <sched.h>

#include "unit.h"
#include "zlogfs_load.h"

#define MEDIA_BYTES	(8ull << 20)
#define SEG_BLOCKS	16u

static struct zl_fs *fs;

static void set_up(void)
{
	const struct zl_mkfs options = {
		.segment_shift = 16, .node_lines = 16, .num_logs = 2, .num_slots = 8,
		.policy = ZLF_POLICY_COW, .unapplied_max_bytes = 262144, .now_ns = 1,
		.fs_uuid = { 3 },
	};

	fs = zlogfs_load(MEDIA_BYTES, &options);
}

static void tear_down(void)
{
	zlogfs_unload(fs);
}

static uint64_t behind(uint64_t addr, uint32_t blocks)
{
	return addr + (uint64_t)blocks * (ZLF_BLOCK_BYTES / ZLF_LINE_BYTES);
}

static uint64_t whole_seg(void)
{
	uint32_t got;
	uint64_t addr = zl_blocks_alloc(fs, ZL_SPACE_WRITE, SEG_BLOCKS, 0, true, &got);

	ck_assert_uint_ne(addr, 0);
	ck_assert_uint_eq(got, SEG_BLOCKS);
	return addr;
}

static uint32_t seg_of(uint64_t addr)
{
	uint32_t seg, off;

	ck_assert(zl_addr_split(fs, addr, &seg, &off));
	return seg;
}

/* Behind a segment's end the next one's generation counts, not that of what is in front. */
START_TEST(an_address_has_its_own_generation)
{
	uint64_t first = whole_seg(), second = whole_seg(), addr;
	uint32_t got;

	ck_assert_uint_eq(seg_of(second), seg_of(first) + 1);
	do {			/* until the same segment comes again */
		zl_blocks_free(fs, first, SEG_BLOCKS);
		first = whole_seg();
	} while (seg_of(first) + 1 != seg_of(second));
	ck_assert_uint_ne(zl_addr_gen(first), zl_addr_gen(second));
	zl_blocks_free(fs, second, 4);
	addr = zl_blocks_extend(fs, behind(first, SEG_BLOCKS), 8, &got);
	ck_assert_uint_eq(addr, second);
	ck_assert_uint_eq(got, 4);
	ck_assert_uint_eq(zl_blocks_extend(fs, behind(first, SEG_BLOCKS), 1, &got), 0);
}
END_TEST

/* What is written one after the other lies side by side, and beside goal where that is free. */
START_TEST(a_few_lie_side_by_side)
{
	uint64_t addr, next, elsewhere = whole_seg();
	uint32_t got, i;

	addr = zl_blocks_few(fs, 1, 0, &got);
	ck_assert_uint_ne(addr, 0);
	for (i = 1; i < SEG_BLOCKS; i++) {
		next = zl_blocks_few(fs, 1, 0, &got);
		ck_assert_uint_eq(got, 1);
		ck_assert_uint_eq(next, behind(addr, i));
	}
	next = zl_blocks_few(fs, 1, 0, &got);
	ck_assert_uint_ne(seg_of(next), seg_of(addr));
	zl_blocks_free(fs, behind(elsewhere, 3), 2);
	addr = zl_blocks_few(fs, 4, behind(elsewhere, 3), &got);
	ck_assert_uint_eq(addr, behind(elsewhere, 3));
	ck_assert_uint_eq(got, 2);
}
END_TEST

/* Nothing that a CPU has set aside is lost, nor given out twice. */
START_TEST(all_is_given_once)
{
	static bool given[MEDIA_BYTES / ZLF_BLOCK_BYTES];
	struct zus_statfs before, after;
	uint32_t seg, off, got, n = 0;
	uint64_t addr;

	zl_space_count(fs, &before);
	while ((addr = zl_blocks_few(fs, 3, 0, &got))) {
		ck_assert(zl_addr_split(fs, addr, &seg, &off));
		for (off /= ZLF_BLOCK_BYTES; got--; off++, n++) {
			ck_assert(!given[seg * SEG_BLOCKS + off]);
			given[seg * SEG_BLOCKS + off] = true;
		}
	}
	zl_space_count(fs, &after);
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_eq(before.blocks_free - after.blocks_free, n);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zlogfs-space");
	TCase *cases = tcase_create("space");

	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, an_address_has_its_own_generation);
	tcase_add_test(cases, a_few_lie_side_by_side);
	tcase_add_test(cases, all_is_given_once);
	suite_add_tcase(suite, cases);
	return unit_run(suite);
}
