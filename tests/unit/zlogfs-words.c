// SPDX-License-Identifier: BSD-3-Clause
/*
 * zlogfs-words.c - writes that a stored word makes part of their file count before zlogfs has
 * been told of them: for who reads, writes, cuts or asks, and for the applier.
 */
#include <errno.h>
#include <string.h>

#include <zus_api.h>

#include "unit.h"
#include "zlogfs_ioctl.h"
#include "zlogfs_mount.h"

#define BLOCK		4096ul
#define BLOCKS		8u

static void *media;
static struct zus_local *fs;
static struct zus_local_file *file;
static struct zus_local_entry inode;

static struct zus_local *mount_on(void *memory)
{
	const struct zus_local_config config = { .words_late = ZUS_LOCAL_WORDS_MAX };

	return zlogfs_mount(memory, &config);
}

/* All that is in the log is in the tree. */
static void apply(void)
{
	zlogfs_ask(fs, ZLOGFS_IOC_APPLY);
}

static void write_block(unsigned int bn, char with)
{
	char block[BLOCK];

	memset(block, with, BLOCK);
	ck_assert_int_eq(zus_local_pwrite(file, block, BLOCK, (uint64_t)bn * BLOCK), BLOCK);
}

static void expect(struct zus_local_file *where, unsigned int bn, char with)
{
	char block[BLOCK], wanted[BLOCK];

	memset(wanted, with, BLOCK);
	ck_assert_int_eq(zus_local_pread(where, block, BLOCK, (uint64_t)bn * BLOCK), BLOCK);
	ck_assert_mem_eq(block, wanted, BLOCK);
}

/*
 * As the kernel asks for the place of a read: it knows the inode, and asks for nothing else,
 * by which zlogfs would meet the word.
 */
static char byte_there(unsigned int bn)
{
	const struct zufs_map_in in = {
		.inode = inode.handle, .off = (uint64_t)bn * BLOCK, .len_bytes = BLOCK,
		.size_bytes = BLOCKS * BLOCK, .flags = ZUFS_MAP_READ, .max_extents = 1,
	};
	struct zufs_extent extent = { .dev = 0 };
	struct zufs_map_out out;
	struct zus_local_call call = {
		.op = ZUFS_OP_MAP, .in = &in, .in_bytes = sizeof(in), .out = &out,
		.out_bytes = sizeof(out), .reply = &extent, .reply_max_bytes = sizeof(extent),
	};

	ck_assert_int_eq(zus_local_call(fs, &call), 0);
	ck_assert_uint_eq(out.count, 1);
	return *(char *)zus_local_dev_addr(fs, extent.dev, extent.dev_off);
}

/* A file of 'a', of which nothing is pending, and which stays open. */
static void setup(void)
{
	unsigned int bn;

	media = zlogfs_media_new();
	fs = mount_on(media);
	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	ck_assert_int_eq(zus_local_open(fs, "/f", &file), 0);
	inode = zlogfs_lookup(fs, "f");
	for (bn = 0; bn < BLOCKS; bn++)
		write_block(bn, 'a');
	apply();
	write_block(0, 'b');
	apply();
}

static void teardown(void)
{
	zus_local_forget(fs, inode.handle, 1);
	zus_local_close(file);
	ck_assert_int_eq(zus_local_umount(fs), 0);
	zlogfs_media_free(media);
}

START_TEST(who_reads_sees_it)
{
	write_block(3, 'c');
	expect(file, 3, 'c');
	expect(file, 0, 'b');
	expect(file, 4, 'a');
}
END_TEST

START_TEST(who_asks_where_it_is)
{
	ck_assert_int_eq(byte_there(3), 'a');
	write_block(3, 'c');
	ck_assert_int_eq(byte_there(3), 'c');
	apply();
	ck_assert_int_eq(byte_there(3), 'c');
	ck_assert_int_eq(byte_there(0), 'b');
}
END_TEST

START_TEST(who_faults_sees_it)
{
	void *page;

	write_block(3, 'c');
	ck_assert_int_eq(zus_local_fault(file, 3 * BLOCK, 0, &page), 0);
	ck_assert_int_eq(*(char *)page, 'c');
}
END_TEST

START_TEST(the_next_write_stands_on_it)
{
	write_block(3, 'c');
	ck_assert_int_eq(zus_local_pwrite(file, "d", 1, 3 * BLOCK + 1), 1);
	write_block(4, 'e');
	apply();
	ck_assert_int_eq(zus_local_pwrite(file, "c", 1, 3 * BLOCK + 1), 1);
	expect(file, 3, 'c');
	expect(file, 4, 'e');
}
END_TEST

START_TEST(who_cuts_the_file_cuts_it)
{
	struct zus_attr attr;

	write_block(BLOCKS, 'c');
	ck_assert_int_eq(zus_local_fstat(file, &attr), 0);
	ck_assert_uint_eq(attr.size_bytes, (BLOCKS + 1) * BLOCK);
	ck_assert_int_eq(zus_local_ftruncate(file, BLOCK), 0);
	ck_assert_int_eq(zus_local_ftruncate(file, (BLOCKS + 1) * BLOCK), 0);
	expect(file, BLOCKS, 0);
	expect(file, 0, 'b');
}
END_TEST

START_TEST(the_applier_meets_it)
{
	write_block(3, 'c');
	apply();
	expect(file, 3, 'c');
	write_block(3, 'd');
	expect(file, 3, 'd');
}
END_TEST

/* The server dies before it is told, after a checkpoint. */
START_TEST(it_outlives_the_server)
{
	void *copy = zlogfs_media_blank();
	struct zus_local_file *there;
	struct zus_local *local;

	write_block(3, 'c');
	zlogfs_ask(fs, ZLOGFS_IOC_CHECKPOINT);
	write_block(4, 'd');
	memcpy(copy, media, ZLOGFS_MEDIA_BYTES);
	local = mount_on(copy);
	ck_assert_int_eq(zus_local_open(local, "/f", &there), 0);
	expect(there, 3, 'c');
	expect(there, 4, 'd');
	zus_local_close(there);
	ck_assert_int_eq(zus_local_umount(local), 0);
	zlogfs_media_free(copy);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("zlogfs-words");
	TCase *tc = tcase_create("words");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, who_reads_sees_it);
	tcase_add_test(tc, who_asks_where_it_is);
	tcase_add_test(tc, who_faults_sees_it);
	tcase_add_test(tc, the_next_write_stands_on_it);
	tcase_add_test(tc, who_cuts_the_file_cuts_it);
	tcase_add_test(tc, the_applier_meets_it);
	tcase_add_test(tc, it_outlives_the_server);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
