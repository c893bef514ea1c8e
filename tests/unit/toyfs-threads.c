// SPDX-License-Identifier: BSD-3-Clause
/*
 * toyfs-threads.c - many threads on one toyfs: nothing breaks a rule, nothing is
 * lost, and what a thread wrote into its own part is what it reads.
 * TIMEOUT: 240
 */
#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define MIB		(1ull << 20)
#define THREADS		4
#define STEPS		20000
#define PART_BYTES	(256ull << 10)

static struct zus_local *fs;

struct thread {
	pthread_t id;
	unsigned int index;
	uint64_t random;
	const char *failed;
};

static uint64_t below(struct thread *t, uint64_t n)
{
	return unit_random_from(&t->random) % n;
}

/* libcheck's assertions are for one thread: others note what went wrong. */
static void expect(struct thread *t, int ok, const char *what)
{
	if (!ok && !t->failed)
		t->failed = what;
	if (*zus_local_broken_rule() && !t->failed)
		t->failed = zus_local_broken_rule();
}

static void run(void *(*body)(void *arg))
{
	struct thread thread[THREADS];
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		thread[i] = (struct thread) { .index = i, .random = unit_seed() + i };
		ck_assert_int_eq(pthread_create(&thread[i].id, NULL, body, &thread[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(thread[i].id, NULL);
		ck_assert_msg(!thread[i].failed, "thread %u: %s", i, thread[i].failed);
	}
}

/* -------------------------------------------------------------------- names */

static int expected_error(int err)
{
	return !err || err == -ENOENT || err == -EEXIST || err == -ENOTEMPTY ||
	       err == -EISDIR || err == -ENOTDIR || err == -EPERM || err == -EINVAL ||
	       err == -ESTALE;
}

static void *names_body(void *arg)
{
	struct thread *t = arg;
	char a[32], b[32];
	struct zus_attr attr;
	unsigned int step;
	int err;

	for (step = 0; step < STEPS * unit_scale(); step++) {
		snprintf(a, sizeof(a), "/d%u/n%u", (unsigned int)below(t, 3),
			 (unsigned int)below(t, 8));
		snprintf(b, sizeof(b), "/d%u/n%u", (unsigned int)below(t, 3),
			 (unsigned int)below(t, 8));
		switch (below(t, 8)) {
		case 0:
			err = zus_local_create(fs, a, 0644);
			break;
		case 1:
			err = zus_local_mkdir(fs, a, 0755);
			break;
		case 2:
			err = zus_local_unlink(fs, a);
			break;
		case 3:
			err = zus_local_rmdir(fs, a);
			break;
		case 4:
			err = zus_local_link(fs, a, b);
			break;
		case 5:
			err = zus_local_rename(fs, a, b, below(t, 2) ? RENAME_EXCHANGE : 0);
			break;
		case 6:
			err = zus_local_truncate(fs, a, below(t, 10000));
			break;
		default:
			err = zus_local_stat(fs, a, &attr);
		}
		expect(t, expected_error(err), "an operation failed as it should not");
	}
	return NULL;
}

static int remove_one(void *arg, const char *name, uint64_t ino, uint64_t cookie,
		      uint32_t type)
{
	char path[64];

	(void)ino;
	(void)cookie;
	(void)type;
	snprintf(path, sizeof(path), "%s/%s", (const char *)arg, name);
	if (zus_local_unlink(fs, path))
		ck_assert_int_eq(zus_local_rmdir(fs, path), 0);
	return 0;
}

START_TEST(names_of_many_threads)
{
	struct zus_statfs before, after;
	struct zus_local_file *dir;
	char path[8];
	int i, more;

	fs = unit_mount(unit_plugin("toyfs"), NULL, 2, 16 * MIB);
	zus_local_statfs(fs, &before);
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/d%d", i);
		ck_assert_int_eq(zus_local_mkdir(fs, path, 0755), 0);
	}
	run(names_body);
	for (i = 0; i < 3; i++) {
		uint64_t cookie = 0;

		snprintf(path, sizeof(path), "/d%d", i);
		ck_assert_int_eq(zus_local_open(fs, path, &dir), 0);
		while ((more = zus_local_readdir(dir, &cookie, 0, remove_one, path)) > 0)
			;
		ck_assert_int_eq(more, 0);
		zus_local_close(dir);
		ck_assert_int_eq(zus_local_rmdir(fs, path), 0);
	}
	zus_local_statfs(fs, &after);
	ck_assert_uint_eq(after.blocks_free, before.blocks_free);
	ck_assert_uint_eq(zus_local_inodes(fs), 1);
	ck_assert_int_eq(zus_local_umount(fs), 0);
}
END_TEST

/* --------------------------------------------------------------------- data */

/* All threads write one file, each in blocks of its own, and fault pages there. */
static void *data_body(void *arg)
{
	struct thread *t = arg;
	struct zus_local_file *file;
	char *model = calloc(1, PART_BYTES), *buf = malloc(PART_BYTES);
	uint64_t base = (uint64_t)t->index * PART_BYTES, off, len, i;
	unsigned int step;
	void *page;

	expect(t, !zus_local_open(fs, "/f", &file), "open");
	for (step = 0; step < STEPS / 4 * unit_scale(); step++) {
		off = below(t, PART_BYTES);
		len = 1 + below(t, 20000);
		if (len > PART_BYTES - off)
			len = PART_BYTES - off;
		switch (below(t, 3)) {
		case 0:
			for (i = 0; i < len; i++)
				buf[i] = (char)unit_random_from(&t->random);
			memcpy(model + off, buf, len);
			expect(t, zus_local_pwrite(file, buf, len, base + off) ==
				  (ssize_t)len, "write");
			break;
		case 1:
			expect(t, !zus_local_fault(file, base + off, 1, &page), "fault");
			if (page)
				((char *)page)[off % 4096] = model[off] = (char)step;
			break;
		default:
			expect(t, zus_local_pread(file, buf, len, base + off) ==
				  (ssize_t)len, "read");
			expect(t, !memcmp(buf, model + off, len), "read other bytes");
		}
	}
	zus_local_close(file);
	free(model);
	free(buf);
	return NULL;
}

START_TEST(data_of_many_threads)
{
	fs = unit_mount(unit_plugin("toyfs"), NULL, 2, 16 * MIB);
	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	ck_assert_int_eq(zus_local_truncate(fs, "/f", THREADS * PART_BYTES), 0);
	run(data_body);
	ck_assert_int_eq(zus_local_umount(fs), 0);
}
END_TEST

/* Two threads fault the same pages of a hole: one block each, none lost. */
static void *fault_body(void *arg)
{
	struct thread *t = arg;
	struct zus_local_file *file;
	uint64_t bn;
	void *page;

	expect(t, !zus_local_open(fs, "/f", &file), "open");
	for (bn = 0; bn < 1024; bn++) {
		expect(t, !zus_local_fault(file, bn * 4096, 1, &page), "fault");
		__atomic_add_fetch((uint64_t *)page + t->index, 1, __ATOMIC_RELAXED);
	}
	zus_local_close(file);
	return NULL;
}

START_TEST(faults_of_one_page_give_one_block)
{
	struct zus_attr attr;

	fs = unit_mount(unit_plugin("toyfs"), NULL, 1, 16 * MIB);
	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	ck_assert_int_eq(zus_local_truncate(fs, "/f", 1024 * 4096ull), 0);
	run(fault_body);
	ck_assert_int_eq(zus_local_stat(fs, "/f", &attr), 0);
	ck_assert_uint_eq(attr.blocks_512, 8192);
	ck_assert_int_eq(zus_local_umount(fs), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("toyfs-threads");
	TCase *tc = tcase_create("threads");

	tcase_set_timeout(tc, 240);
	tcase_add_test(tc, names_of_many_threads);
	tcase_add_test(tc, data_of_many_threads);
	tcase_add_test(tc, faults_of_one_page_give_one_block);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
