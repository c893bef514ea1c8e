// SPDX-License-Identifier: BSD-3-Clause
/*
 * alloc-failures.c - toyfs and libzus with the n-th allocation failing, for each n:
 * nothing crashes, nothing is lost, and the same work succeeds afterwards.
 *
 * This program's malloc(3) replaces libc's, so it is not built with sanitizers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define MIB	(1ull << 20)

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *addr, size_t bytes);

/* -1: all succeed. One thread only. */
static int until_failure = -1;
static int failures;

static int fails(void)
{
	if (until_failure < 0 || until_failure--)
		return 0;
	failures++;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t bytes)
{
	return fails() ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	return fails() ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *addr, size_t bytes)
{
	return fails() ? NULL : __libc_realloc(addr, bytes);
}

static struct zus_local *fs;

/* Names and data; the first error, or 0. Goes on after errors, as programs do. */
static int work(void)
{
	static char data[40000];
	struct zus_local_file *file = NULL;
	int first = 0, i;
	int err[] = {
		zus_local_mkdir(fs, "/d", 0755),
		zus_local_create(fs, "/d/f", 0644),
		zus_local_symlink(fs, "target", "/l"),
		zus_local_link(fs, "/d/f", "/g"),
		zus_local_rename(fs, "/g", "/d/h", 0),
		zus_local_open(fs, "/d/f", &file),
	};

	for (i = 5; i >= 0; i--)
		first = err[i] ? err[i] : first;
	if (!file)
		return first;
	for (i = 0; i < 3; i++) {
		ssize_t n = zus_local_pwrite(file, data, sizeof(data), (uint64_t)i << 31);

		first = !first && n != sizeof(data) ? n < 0 ? (int)n : -EIO : first;
		n = zus_local_pread(file, data, sizeof(data), (uint64_t)i << 31);
		first = !first && n < 0 ? (int)n : first;
	}
	i = zus_local_ftruncate(file, 5000);
	zus_local_close(file);
	return first ? first : i;
}

static void clean(void)
{
	until_failure = -1;
	zus_local_unlink(fs, "/d/f");
	zus_local_unlink(fs, "/d/h");
	zus_local_unlink(fs, "/g");
	zus_local_unlink(fs, "/l");
	zus_local_rmdir(fs, "/d");
}

START_TEST(each_allocation_of_work)
{
	struct zus_statfs before, after;
	int n, err;

	fs = unit_mount(unit_plugin("toyfs"), NULL, 1, 8 * MIB);
	zus_local_statfs(fs, &before);
	for (n = 0, failures = 1; failures; n++) {
		failures = 0;
		until_failure = n;
		err = work();
		until_failure = -1;
		ck_assert_msg(!err || failures, "allocation %d: %d without a failure", n, err);
		clean();
		zus_local_statfs(fs, &after);
		ck_assert_msg(after.blocks_free == before.blocks_free, "allocation %d: blocks",
			      n);
		ck_assert_msg(zus_local_inodes(fs) == 1, "allocation %d: inodes", n);
	}
	ck_assert_int_gt(n, 20);
	ck_assert_int_eq(work(), 0);
	ck_assert_int_eq(zus_local_umount(fs), 0);
}
END_TEST

START_TEST(each_allocation_of_mount)
{
	const struct zus_local_device device = { .size_bytes = 8 * MIB };
	struct zus_local_config config = {
		.plugin = unit_plugin("toyfs"), .devices = &device, .num_devices = 1,
	};
	int n, err;

	for (n = 0, failures = 1; failures; n++) {
		failures = 0;
		until_failure = n;
		err = zus_local_mount(&config, &fs);
		until_failure = -1;
		ck_assert_int_eq(err, failures ? -ENOMEM : 0);
	}
	ck_assert_int_gt(n, 5);
	ck_assert_int_eq(zus_local_umount(fs), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("alloc-failures");
	TCase *tc = tcase_create("alloc-failures");

	tcase_add_test(tc, each_allocation_of_work);
	tcase_add_test(tc, each_allocation_of_mount);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
