// SPDX-License-Identifier: BSD-3-Clause
/*
 * toyfs-keep.c - what the mount option keep of toyfs keeps from one mount to the next,
 * through the local transport, on a file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#define FILES		300	/* more than one bucket of the index has */
#define DEVICE_BYTES	(16u << 20)

static char device_path[64];
static struct zus_local *fs;

static int try_mount(const char *options)
{
	const struct zus_local_device device = { .path = device_path, .size_bytes = DEVICE_BYTES };
	const struct zus_local_config config = {
		.plugin = unit_plugin("toyfs"), .options = options, .devices = &device,
		.num_devices = 1,
	};

	return zus_local_mount(&config, &fs);
}

static void mount_again(const char *options)
{
	if (fs)
		ck_assert_int_eq(zus_local_umount(fs), 0);
	fs = NULL;
	ck_assert_int_eq(try_mount(options), 0);
}

static void setup(void)
{
	int fd;

	snprintf(device_path, sizeof(device_path), "/tmp/toyfs-keep-XXXXXX");
	fd = mkstemp(device_path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, DEVICE_BYTES), 0);
	close(fd);
	fs = NULL;
}

static void teardown(void)
{
	if (fs)
		ck_assert_int_eq(zus_local_umount(fs), 0);
	unlink(device_path);
}

static void write_file(const char *path, const void *data, size_t bytes)
{
	struct zus_local_file *file;

	ck_assert_int_eq(zus_local_create(fs, path, 0644), 0);
	ck_assert_int_eq(zus_local_open(fs, path, &file), 0);
	ck_assert_int_eq(zus_local_pwrite(file, data, bytes, 0), (ssize_t)bytes);
	zus_local_close(file);
}

static void same_file(const char *path, const void *data, size_t bytes)
{
	struct zus_local_file *file;
	char buf[128];

	ck_assert_int_eq(zus_local_open(fs, path, &file), 0);
	ck_assert_int_eq(zus_local_pread(file, buf, sizeof(buf), 0), (ssize_t)bytes);
	ck_assert(!memcmp(buf, data, bytes));
	zus_local_close(file);
}

static struct zus_statfs space_now(void)
{
	struct zus_statfs st;

	ck_assert_int_eq(zus_local_statfs(fs, &st), 0);
	return st;
}

START_TEST(names_and_data_stay)
{
	struct zus_statfs before, after;
	struct zus_attr was, is;
	char path[32], data[16];
	int i, round;

	mount_again("keep");
	ck_assert_int_eq(zus_local_mkdir(fs, "/d", 0751), 0);
	for (i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "/d/%d", i);
		snprintf(data, sizeof(data), "data %d", i);
		write_file(path, data, strlen(data));
	}
	ck_assert_int_eq(zus_local_link(fs, "/d/7", "/again"), 0);
	ck_assert_int_eq(zus_local_stat(fs, "/d/7", &was), 0);
	before = space_now();
	for (round = 0; round < 3; round++) {
		mount_again("keep");
		ck_assert_uint_eq(zus_local_inodes(fs), FILES + 2);
		for (i = 0; i < FILES; i++) {
			snprintf(path, sizeof(path), "/d/%d", i);
			snprintf(data, sizeof(data), "data %d", i);
			same_file(path, data, strlen(data));
		}
		ck_assert_int_eq(zus_local_stat(fs, "/again", &is), 0);
		ck_assert_uint_eq(is.ino, was.ino);
		ck_assert_uint_eq(is.gen, was.gen);
		ck_assert_uint_eq(is.nlink, 2);
		after = space_now();
		ck_assert_uint_eq(after.blocks_free, before.blocks_free);
	}
}
END_TEST

START_TEST(what_is_removed_is_free)
{
	struct zus_local_file *file;
	struct zus_statfs before, after;

	mount_again("keep");
	before = space_now();
	write_file("/f", "x", 1);
	mount_again("keep");
	ck_assert_int_eq(zus_local_open(fs, "/f", &file), 0);
	ck_assert_int_eq(zus_local_unlink(fs, "/f"), 0);
	ck_assert_int_eq(zus_local_pwrite(file, "more", 4, 1 << 20), 4);
	zus_local_close(file);
	mount_again("keep");
	after = space_now();
	ck_assert_uint_eq(after.blocks_free, before.blocks_free);
	ck_assert_uint_eq(zus_local_inodes(fs), 1);
	/* a number is not given again */
	write_file("/g", "y", 1);
	same_file("/g", "y", 1);
}
END_TEST

START_TEST(options_are_to_be_the_same)
{
	mount_again("keep");
	write_file("/f", "x", 1);
	ck_assert_int_eq(zus_local_umount(fs), 0);
	fs = NULL;
	ck_assert_int_eq(try_mount(NULL), -EINVAL);
	ck_assert_int_eq(try_mount("keep,reflink"), -EINVAL);
	mount_again("keep");
	same_file("/f", "x", 1);
}
END_TEST

START_TEST(not_while_blocks_move)
{
	ck_assert_int_eq(try_mount("keep,relocate=1"), -EINVAL);
	ck_assert_int_eq(try_mount("keep=1"), -EINVAL);
	fs = NULL;
	mount_again(NULL);
	write_file("/f", "x", 1);
	mount_again(NULL);
	ck_assert_uint_eq(zus_local_inodes(fs), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("toyfs-keep");
	TCase *tc = tcase_create("keep");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, names_and_data_stay);
	tcase_add_test(tc, what_is_removed_is_free);
	tcase_add_test(tc, options_are_to_be_the_same);
	tcase_add_test(tc, not_while_blocks_move);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
