// SPDX-License-Identifier: BSD-3-Clause
/* library.c - helpers of libzus: options, sizes, free space, stores. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define MIB	(1ull << 20)

START_TEST(sizes)
{
	static const struct { const char *text; int want; uint64_t bytes; } cases[] = {
		{ "0", 0, 0 }, { "10", 0, 10 }, { "4k", 0, 4096 }, { "4K", 0, 4096 },
		{ "3m", 0, 3 * MIB }, { "2g", 0, 2048 * MIB }, { "1t", 0, 1ull << 40 },
		{ "18446744073709551615", 0, UINT64_MAX }, { "", -EINVAL, 0 },
		{ "k", -EINVAL, 0 }, { "-1", -EINVAL, 0 }, { "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 }, { "1x", -EINVAL, 0 }, { "1kk", -EINVAL, 0 },
		{ "18446744073709551616", -ERANGE, 0 }, { "18446744073709551615k", -ERANGE, 0 },
		{ "16777216t", -ERANGE, 0 },
	};
	unsigned int i;
	uint64_t bytes;
	int err;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bytes = 0;
		err = zus_parse_bytes(cases[i].text, &bytes);
		ck_assert_msg(err == cases[i].want && bytes == cases[i].bytes, "\"%s\": %d",
			      cases[i].text, err);
	}
}
END_TEST

START_TEST(options)
{
	const char *at = ",a=1,,flag,b=x=y,long-option=12345678,";
	char buf[16], *key, *value;

	ck_assert_int_eq(zus_option_next(&at, buf, sizeof(buf), &key, &value), 1);
	ck_assert(!strcmp(key, "a") && !strcmp(value, "1"));
	ck_assert_int_eq(zus_option_next(&at, buf, sizeof(buf), &key, &value), 1);
	ck_assert(!strcmp(key, "flag") && !value);
	ck_assert_int_eq(zus_option_next(&at, buf, sizeof(buf), &key, &value), 1);
	ck_assert(!strcmp(key, "b") && !strcmp(value, "x=y"));
	ck_assert_int_eq(zus_option_next(&at, buf, sizeof(buf), &key, &value), -E2BIG);
	at = "";
	ck_assert_int_eq(zus_option_next(&at, buf, sizeof(buf), &key, &value), 0);
}
END_TEST

/* -------------------------------------------------------------------- space */

static const struct zus_device devices[] = {
	{ .id = 0, .tier = ZUS_TIER_T2, .size_bytes = 64 * MIB },
	{ .id = 1, .tier = ZUS_TIER_T1, .size_bytes = 10 * MIB, .data_off = 2 * MIB },
	{ .id = 2, .tier = ZUS_TIER_T1, .size_bytes = 11 * MIB, .data_off = 4 * MIB,
	  .numa_node = 1 },
};
static const struct zus_mount mount = { .devices = devices, .num_devices = 3 };

START_TEST(space_is_handed_out_once)
{
	struct zus_space *space = zus_space_new(&mount);
	static zus_block run[4000];
	static uint64_t count[4000];
	static char used[3][4096];
	struct zus_space_want want;
	uint64_t total, left, got, i, j, runs = 0;
	zus_block block;

	left = zus_space_free_count(space, &total);
	ck_assert_uint_eq(total, 2048 + 1792);
	for (;;) {
		want = (struct zus_space_want) {
			.count = 1 + unit_random() % 700, .bn = unit_random() % 5000,
			.numa_node = (uint32_t)(unit_random() % 3),
			.goal = runs && unit_random() % 2 ? run[runs - 1] + count[runs - 1] : 0,
		};
		block = zus_space_alloc(space, &want, &got);
		if (!block)
			break;
		ck_assert(got && got <= want.count);
		ck_assert(!(block >> 62));		/* those are the plugin's */
		for (i = 0; i < got; i++) {
			uint32_t dev = zus_block_dev(block + i);
			uint64_t off = zus_block_off(space, block + i);

			ck_assert(dev == 1 || dev == 2);
			ck_assert(off >= devices[dev].data_off &&
				  off + 4096 <= devices[dev].size_bytes);
			ck_assert_int_eq(used[dev][off / 4096]++, 0);
		}
		left -= got;
		ck_assert_uint_eq(zus_space_free_count(space, NULL), left);
		run[runs] = block;
		count[runs++] = got;
	}
	ck_assert_uint_eq(left, 0);
	for (j = 0; j < runs; j++)
		zus_space_free(space, run[j], count[j]);
	ck_assert_uint_eq(zus_space_free_count(space, NULL), total);
	zus_space_delete(space);
}
END_TEST

START_TEST(space_prefers)
{
	struct zus_space *space = zus_space_new(&mount);
	struct zus_space_want want = { .count = 10, .numa_node = 1 };
	zus_block first, block;
	uint64_t got;

	first = zus_space_alloc(space, &want, &got);	/* the caller's node */
	ck_assert_uint_eq(zus_block_dev(first), 2);
	ck_assert_uint_eq(got, 10);
	want.goal = first + 10;				/* the goal, whatever the node */
	want.numa_node = 0;
	want.bn = 10;
	block = zus_space_alloc(space, &want, &got);
	ck_assert_uint_eq(block, first + 10);
	want.goal = block + 10;				/* a huge page of a large file */
	want.bn = 1024;
	want.count = 512;
	block = zus_space_alloc(space, &want, &got);
	ck_assert_uint_eq(zus_block_dev(block), 2);
	ck_assert_uint_eq(got, 512);
	ck_assert_uint_eq(zus_block_off(space, block) % (2 * MIB), 0);
	want.bn = 1024 + 7;				/* in its middle */
	want.goal = 0;
	want.numa_node = 0;
	block = zus_space_alloc(space, &want, &got);
	ck_assert_uint_eq(zus_block_dev(block), 1);
	ck_assert_uint_eq(zus_block_off(space, block) % (2 * MIB), 7 * 4096ull);
	zus_space_delete(space);
}
END_TEST

START_TEST(space_needs_t1)
{
	const struct zus_mount none = { .devices = devices, .num_devices = 1 };

	ck_assert_ptr_null(zus_space_new(&none));
}
END_TEST

START_TEST(stores)
{
	char *to = zus_alloc_onnode(8192, 0), from[300];
	unsigned int i;

	ck_assert_ptr_nonnull(to);
	ck_assert_uint_ge(zus_numa_nodes(), 1);
	memset(from, 'x', sizeof(from));
	zus_copy_nt(to + 5, from, sizeof(from));
	zus_zero_nt(to + 50, 100);
	zus_fence();
	zus_persist(to, 400);
	for (i = 0; i < 400; i++)
		ck_assert_int_eq(to[i], i < 5 || i >= 305 || (i >= 50 && i < 150) ? 0 : 'x');
	zus_free_onnode(to, 8192);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("library");
	TCase *tc = tcase_create("library");

	tcase_add_test(tc, sizes);
	tcase_add_test(tc, options);
	tcase_add_test(tc, space_is_handed_out_once);
	tcase_add_test(tc, space_prefers);
	tcase_add_test(tc, space_needs_t1);
	tcase_add_test(tc, stores);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
