// SPDX-License-Identifier: BSD-3-Clause
/*
 * zlogfs-words.c - writes that a stored word makes part of their file count before zlogfs has
 * been told of them: for who reads, writes, cuts or asks, and for the applier.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <zus_api.h>

#include "unit.h"
#include "zlogfs.h"
#include "zlogfs_ioctl.h"

#define BLOCK		4096ul
#define BLOCKS		8u
#define MEDIA_BYTES	(4ul << 20)

static char *media;
static struct zus_local *fs;
static struct zus_local_file *file;
static struct zus_local_entry inode;

static struct zus_local *mount_on(void *memory)
{
	const struct zus_local_device device = {
		.size_bytes = MEDIA_BYTES, .data_off = BLOCK, .memory = memory,
	};
	const struct zus_local_config config = {
		.plugin = unit_plugin("zlogfs"), .options = "steps=manual,policy=cow",
		.devices = &device, .num_devices = 1, .words_late = ZUS_LOCAL_WORDS_MAX,
	};
	struct zus_local *local;

	ck_assert_int_eq(zus_local_mount(&config, &local), 0);
	return local;
}

static void *new_memory(void)
{
	void *memory = mmap(NULL, MEDIA_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	return memory;
}

/* All that is in the log is in the tree. */
static void apply(void)
{
	uint32_t most = 64;
	const struct zus_ioctl args = { .cmd = ZLOGFS_IOC_APPLY, .flags = ZUS_IOCTL_ADMIN,
					.in = &most, .in_bytes = sizeof(most) };
	int32_t more;

	do
		ck_assert_int_eq(zus_local_ioctl(file, &args, &more), 0);
	while (more > 0);
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
	const struct zl_mkfs how = {
		.segment_shift = 14, .node_lines = 16, .num_logs = 1, .num_slots = 4,
		.unapplied_max_bytes = 65536, .fs_uuid = { 1 },
	};
	struct zl_media one = { .bytes = MEDIA_BYTES, .data_off = BLOCK };
	const struct zus_name name = { "f", 1 };
	struct zus_local_info info;
	const char *why;
	unsigned int bn;

	one.addr = media = new_memory();
	ck_assert_msg(!zl_mkfs(&one, 1, &how, &why), "mkfs: %s", why);
	fs = mount_on(media);
	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	ck_assert_int_eq(zus_local_open(fs, "/f", &file), 0);
	zus_local_info(fs, &info);
	ck_assert_int_eq(zus_handle_lookup(fs, info.root.handle, &name, &inode), 0);
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
	munmap(media, MEDIA_BYTES);
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
	const struct zus_ioctl checkpoint = { .cmd = ZLOGFS_IOC_CHECKPOINT,
					      .flags = ZUS_IOCTL_ADMIN };
	void *copy = new_memory();
	struct zus_local_file *there;
	struct zus_local *local;
	int32_t none;

	write_block(3, 'c');
	ck_assert_int_eq(zus_local_ioctl(file, &checkpoint, &none), 0);
	write_block(4, 'd');
	memcpy(copy, media, MEDIA_BYTES);
	local = mount_on(copy);
	ck_assert_int_eq(zus_local_open(local, "/f", &there), 0);
	expect(there, 3, 'c');
	expect(there, 4, 'd');
	zus_local_close(there);
	ck_assert_int_eq(zus_local_umount(local), 0);
	munmap(copy, MEDIA_BYTES);
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
