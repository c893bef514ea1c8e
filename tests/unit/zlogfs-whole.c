// SPDX-License-Identifier: BSD-3-Clause
/*
 * zlogfs-whole.c - a write(2) of many maps is one change of the file: seen from between its
 * maps, ended early, and in the wrong order.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <zus_api.h>

#include "unit.h"
#include "zlogfs_ioctl.h"
#include "zlogfs_mount.h"

#define BLOCK		4096ul
#define FILE_BYTES	(64u * BLOCK)

static void *media;
static struct zus_local *fs;
static struct zus_local_file *file;
static uint64_t handle;
static char bytes[FILE_BYTES];

static void setup(void)
{
	media = zlogfs_media_new();
	fs = zlogfs_mount(media, NULL);
	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	ck_assert_int_eq(zus_local_open(fs, "/f", &file), 0);
	handle = zlogfs_lookup(fs, "f").handle;
}

static void teardown(void)
{
	ck_assert_int_eq(zus_local_forget(fs, handle, 1), 0);
	zus_local_close(file);
	ck_assert_int_eq(zus_local_umount(fs), 0);
	zlogfs_media_free(media);
}

/* ------------------------------------------------------------------ one map of a write */

struct part {
	uint64_t id;
	uint32_t count;
	struct zufs_extent ext[64];
};

static int map_raw(struct part *part, uint64_t off, uint64_t len, uint32_t flags,
		   uint64_t write_id)
{
	struct zufs_map_in in = {
		.inode = handle, .off = off, .len_bytes = len, .flags = flags, .max_extents = 64,
		.write_id = write_id,
	};
	struct zufs_map_out out = { 0 };
	struct zus_local_call call = {
		.op = ZUFS_OP_MAP, .in = &in, .in_bytes = sizeof(in), .out = &out,
		.out_bytes = sizeof(out), .reply = part->ext, .reply_max_bytes = sizeof(part->ext),
	};
	int ret = zus_local_call(fs, &call);

	part->id = call.id;
	part->count = out.count;
	ck_assert(!out.flags);		/* no word */
	return ret;
}

/* Bytes [off, off + len) become what. */
static void copy_raw(const struct part *part, uint64_t off, uint64_t len, char what)
{
	const struct zufs_extent *e;
	uint64_t at, end, to;

	for (e = part->ext; e < part->ext + part->count; e++) {
		end = e->file_off + e->len_bytes;
		at = e->file_off > off ? e->file_off : off;
		to = end < off + len ? end : off + len;
		if (e->flags & ZUFS_EXTF_NEW)
			memset((char *)media + e->dev_off, 0, e->len_bytes);
		if (at < to)
			memset((char *)media + e->dev_off + (at - e->file_off), what, to - at);
	}
}

static int done_raw(uint64_t id, uint64_t off, uint64_t written, uint64_t size, uint32_t flags,
		    uint64_t write_id)
{
	struct zufs_map_done_in in = {
		.inode = handle, .map_id = id, .off = off, .written_bytes = written,
		.size_bytes = size, .flags = ZUFS_MAP_WRITE | flags, .write_id = write_id,
	};
	struct zus_local_call call = {
		.op = ZUFS_OP_MAP_DONE, .in = &in, .in_bytes = sizeof(in),
	};

	return zus_local_call(fs, &call);
}

/* As the kernel does it; the write's id. more: there is more of it. */
static uint64_t write_part(uint64_t write_id, uint64_t off, uint64_t len, char what, bool more)
{
	uint32_t flags = more ? ZUFS_MAP_MORE : 0;
	struct part part = { 0 };

	ck_assert_int_eq(map_raw(&part, off, len, ZUFS_MAP_WRITE | flags, write_id), 0);
	copy_raw(&part, off, len, what);
	ck_assert_int_eq(done_raw(part.id, off, len, off + len, flags, write_id), 0);
	return write_id ? write_id : part.id;
}

/* ------------------------------------------------------------------------- what is there */

static uint64_t file_bytes(void)
{
	struct zus_attr attr;

	ck_assert_int_eq(zus_local_fstat(file, &attr), 0);
	return attr.size_bytes;
}

static void is_at(uint64_t off, uint64_t len, char what)
{
	uint64_t i;

	ck_assert_int_eq(zus_local_pread(file, bytes, len, off), (ssize_t)len);
	for (i = 0; i < len; i++)
		ck_assert_msg(bytes[i] == what, "byte %lu is %d, not %d", (unsigned long)(off + i),
			      bytes[i], what);
}

static uint64_t blocks_free(void)
{
	struct zus_statfs st;

	ck_assert_int_eq(zus_local_statfs(fs, &st), 0);
	return st.blocks_free;
}

static void fill(uint64_t len, char what)
{
	memset(bytes, what, len);
	ck_assert_int_eq(zus_local_pwrite(file, bytes, len, 0), (ssize_t)len);
}

/* ----------------------------------------------------------------------------- the tests */

START_TEST(nothing_counts_before_the_end)
{
	uint64_t id;

	fill(8 * BLOCK, 'o');
	id = write_part(0, 0, 4 * BLOCK, 'n', true);
	is_at(0, 8 * BLOCK, 'o');
	write_part(id, 4 * BLOCK, 8 * BLOCK, 'n', true);
	is_at(0, 8 * BLOCK, 'o');
	ck_assert_uint_eq(file_bytes(), 8 * BLOCK);
	write_part(id, 12 * BLOCK, BLOCK, 'n', false);
	is_at(0, 13 * BLOCK, 'n');
	ck_assert_uint_eq(file_bytes(), 13 * BLOCK);
}
END_TEST

/* Its first map ended in a block, where its second one goes on. */
START_TEST(two_maps_of_one_block)
{
	uint64_t id;

	fill(4 * BLOCK, 'o');
	id = write_part(0, 0, BLOCK + 100, 'n', true);
	write_part(id, BLOCK + 100, 50, 'n', false);
	is_at(0, BLOCK + 150, 'n');
	is_at(BLOCK + 150, 3 * BLOCK - 150, 'o');
}
END_TEST

START_TEST(what_came_before_the_end_counts)
{
	uint64_t id;

	fill(8 * BLOCK, 'o');
	id = write_part(0, 0, 2 * BLOCK, 'n', true);
	write_part(id, 2 * BLOCK, BLOCK, 'n', true);
	ck_assert_int_eq(done_raw(id, 0, 0, 8 * BLOCK, 0, id), 0);
	is_at(0, 3 * BLOCK, 'n');
	is_at(3 * BLOCK, 5 * BLOCK, 'o');
	ck_assert_int_eq(done_raw(id, 0, 0, 8 * BLOCK, 0, id), -EIO);	/* it has ended */
}
END_TEST

/* By a page fault, of a block of the write or another one. */
START_TEST(a_fault_beside)
{
	void *page;
	uint64_t id, before;
	struct part part = { 0 };

	fill(8 * BLOCK, 'o');
	before = blocks_free();
	id = write_part(0, 0, 2 * BLOCK, 'n', true);
	ck_assert_int_eq(map_raw(&part, BLOCK, BLOCK, ZUFS_MAP_WRITE | ZUFS_MAP_FAULT, 0),
			 ZUS_BUSY_RETRY);
	ck_assert_int_eq(zus_local_fault(file, 6 * BLOCK, 1, &page), 0);
	*(char *)page = 's';
	write_part(id, 2 * BLOCK, 2 * BLOCK, 'n', false);
	is_at(0, 4 * BLOCK, 'n');
	is_at(6 * BLOCK, 1, 's');
	zlogfs_ask(fs, ZLOGFS_IOC_APPLY);
	ck_assert_uint_eq(blocks_free(), before);
}
END_TEST

/* What nobody ends goes with the next one, or with the inode. */
START_TEST(one_at_a_time)
{
	uint64_t before, id;

	fill(8 * BLOCK, 'o');
	before = blocks_free();
	write_part(0, 0, 2 * BLOCK, 'x', true);
	id = write_part(0, 4 * BLOCK, BLOCK, 'y', true);
	ck_assert_uint_eq(blocks_free(), before - 1);
	ck_assert_int_eq(done_raw(id, 0, 0, 8 * BLOCK, 0, id), 0);
	is_at(0, 4 * BLOCK, 'o');
	is_at(4 * BLOCK, BLOCK, 'y');
}
END_TEST

/* A kernel does not do that. Nothing counts, and no block is lost. */
START_TEST(in_the_wrong_order)
{
	uint64_t before, id;
	struct part part = { 0 };

	fill(8 * BLOCK, 'o');
	before = blocks_free();
	id = write_part(0, 4 * BLOCK, 2 * BLOCK, 'n', true);
	ck_assert_int_eq(map_raw(&part, 0, BLOCK, ZUFS_MAP_WRITE, id), 0);
	ck_assert_int_eq(done_raw(part.id, 0, BLOCK, 8 * BLOCK, 0, id), -EIO);
	is_at(0, 8 * BLOCK, 'o');
	ck_assert_uint_eq(blocks_free(), before);
	ck_assert_int_eq(map_raw(&part, 0, BLOCK, ZUFS_MAP_WRITE, 4711), 0);
	ck_assert_int_eq(done_raw(part.id, 0, BLOCK, 8 * BLOCK, 0, 4711), -EIO);
	ck_assert_uint_eq(blocks_free(), before);
}
END_TEST

/* It gets as far as there is room, and that is one change, too. */
START_TEST(no_space)
{
	static char large[ZLOGFS_MEDIA_BYTES];
	struct zus_attr attr;
	ssize_t n;

	memset(large, 'n', sizeof(large));
	n = zus_local_pwrite(file, large, sizeof(large), 100);
	ck_assert_int_gt(n, 0);
	ck_assert_int_lt(n, (ssize_t)sizeof(large));
	ck_assert_int_eq(zus_local_fstat(file, &attr), 0);
	ck_assert_uint_eq(attr.size_bytes, 100 + (uint64_t)n);
	is_at(100 + (uint64_t)n - BLOCK, BLOCK, 'n');
	ck_assert_int_eq(zus_local_ftruncate(file, 0), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zlogfs-whole");
	TCase *tc = tcase_create("whole");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nothing_counts_before_the_end);
	tcase_add_test(tc, two_maps_of_one_block);
	tcase_add_test(tc, what_came_before_the_end_counts);
	tcase_add_test(tc, a_fault_beside);
	tcase_add_test(tc, one_at_a_time);
	tcase_add_test(tc, in_the_wrong_order);
	tcase_add_test(tc, no_space);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
