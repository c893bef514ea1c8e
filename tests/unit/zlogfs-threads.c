// SPDX-License-Identifier: BSD-3-Clause
/*
 * zlogfs-threads.c - many threads on one zlogfs of two devices, which applies and makes
 * checkpoints by itself: nothing breaks a rule, nothing is lost, and what a thread wrote is
 * what it reads, also behind the next mount.
 * TIMEOUT: 240
 */
#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "unit.h"
#include "zlogfs.h"
#include "zlogfs_ioctl.h"

#define THREADS		4
#define STEPS		1500
#define BLOCK		4096ull
#define DEVICE_BYTES	(32ull << 20)
#define FILE_BYTES	(64 * BLOCK)
#define NAMES		12

extern const struct zus_plugin zus_plugin;

static struct zus_local *fs;
static void *media[2];

struct thread {
	pthread_t id;
	unsigned int index;
	uint64_t random;
	const char *failed;
	uint64_t size;			/* of the thread's file */
	char model[FILE_BYTES];
	bool there[NAMES];		/* names in the thread's directory */
};

static struct thread threads[THREADS];

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

/* -------------------------------------------------------------------- mounts */

static void make_media(uint32_t policy)
{
	struct zl_media both[2];
	struct zl_mkfs options = {
		.segment_shift = 14, .node_lines = 16, .num_logs = 4, .num_slots = 64,
		.policy = policy, .unapplied_max_bytes = 262144, .now_ns = 1, .fs_uuid = { 9 },
	};
	const char *why;
	int i;

	for (i = 0; i < 2; i++) {
		media[i] = mmap(NULL, DEVICE_BYTES, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ck_assert_ptr_ne(media[i], MAP_FAILED);
		both[i] = (struct zl_media) { .addr = media[i], .bytes = DEVICE_BYTES,
					      .data_off = BLOCK };
	}
	ck_assert_msg(!zl_mkfs(both, 2, &options, &why), "mkfs: %s", why);
}

static void mount_media(void)
{
	struct zus_local_device devices[2] = {
		{ .size_bytes = DEVICE_BYTES, .data_off = BLOCK, .memory = media[0] },
		{ .size_bytes = DEVICE_BYTES, .data_off = BLOCK, .memory = media[1] },
	};
	struct zus_local_config config = { .plugin = &zus_plugin, .devices = devices,
					   .num_devices = 2, .words_late = 4 };

	ck_assert_int_eq(zus_local_mount(&config, &fs), 0);
}

/* ----------------------------------------------------------------- operations */

static void data_step(struct thread *t, struct zus_local_file *file)
{
	uint64_t off = below(t, FILE_BYTES - 1), len = 1 + below(t, 5 * BLOCK), i;
	static __thread char buf[FILE_BYTES];
	void *page;

	if (len > FILE_BYTES - off)
		len = FILE_BYTES - off;
	switch (below(t, 6)) {
	case 0:
	case 1:
		for (i = 0; i < len; i++)
			buf[i] = (char)unit_random_from(&t->random);
		expect(t, zus_local_pwrite(file, buf, len, off) == (ssize_t)len, "write");
		memcpy(t->model + off, buf, len);
		t->size = off + len > t->size ? off + len : t->size;
		break;
	case 2:
		expect(t, !zus_local_ftruncate(file, off), "truncate");
		if (off < t->size)
			memset(t->model + off, 0, t->size - off);
		t->size = off;
		break;
	case 3:
		expect(t, !zus_local_fallocate(file, FALLOC_FL_PUNCH_HOLE |
					       FALLOC_FL_KEEP_SIZE, off, len), "punch");
		memset(t->model + off, 0, len);
		break;
	case 4:
		if (off >= t->size)
			break;
		expect(t, !zus_local_fault(file, off, 1, &page), "fault");
		if (page)
			((char *)page)[off % BLOCK] = t->model[off] = (char)len;
		break;
	default:
		i = off >= t->size ? 0 : len < t->size - off ? len : t->size - off;
		expect(t, zus_local_pread(file, buf, len, off) == (ssize_t)i, "read");
		expect(t, !memcmp(buf, t->model + off, i), "other bytes were read");
	}
}

/* In the thread's own directory each error is known. */
static void own_name_step(struct thread *t)
{
	unsigned int n = (unsigned int)below(t, NAMES), m = (unsigned int)below(t, NAMES);
	char a[32], b[32];
	int err;

	snprintf(a, sizeof(a), "/t%u/n%u", t->index, n);
	snprintf(b, sizeof(b), "/t%u/n%u", t->index, m);
	if (below(t, 2)) {
		err = zus_local_create(fs, a, 0600);
		expect(t, err == (t->there[n] ? -EEXIST : 0), "create");
		t->there[n] = true;
	} else if (below(t, 2)) {
		err = zus_local_unlink(fs, a);
		expect(t, err == (t->there[n] ? 0 : -ENOENT), "unlink");
		t->there[n] = false;
	} else if (n != m) {
		err = zus_local_rename(fs, a, b, 0);
		expect(t, err == (t->there[n] ? 0 : -ENOENT), "rename");
		if (!err) {
			t->there[n] = false;
			t->there[m] = true;
		}
	}
}

static bool expected_error(int err)
{
	return !err || err == -ENOENT || err == -EEXIST || err == -ENOTEMPTY ||
	       err == -EISDIR || err == -ENOTDIR || err == -EPERM || err == -EINVAL ||
	       err == -ESTALE;
}

/* In a directory of all threads there is no telling. */
static void shared_name_step(struct thread *t)
{
	struct zus_attr attr;
	char a[32], b[32];
	int err;

	snprintf(a, sizeof(a), "/s%u/n%u", (unsigned int)below(t, 2), (unsigned int)below(t, 6));
	snprintf(b, sizeof(b), "/s%u/n%u", (unsigned int)below(t, 2), (unsigned int)below(t, 6));
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
		err = zus_local_setxattr(fs, a, "user.x", b, sizeof(b), 0);
		break;
	default:
		err = zus_local_stat(fs, a, &attr);
	}
	expect(t, expected_error(err), "an operation failed as it should not");
}

static void boundary(struct thread *t)
{
	struct zus_ioctl args = { .cmd = ZLOGFS_IOC_BOUNDARY, .flags = ZUS_IOCTL_ADMIN };
	struct zus_local_file *root;
	int32_t result;

	expect(t, !zus_local_open(fs, "/", &root), "open");
	expect(t, !zus_local_ioctl(root, &args, &result), "boundary");
	zus_local_close(root);
}

static void *body(void *arg)
{
	struct thread *t = arg;
	struct zus_local_file *file;
	unsigned int step;
	char path[32];

	snprintf(path, sizeof(path), "/t%u/file", t->index);
	expect(t, !zus_local_open(fs, path, &file), "open");
	for (step = 0; step < STEPS * unit_scale() && !t->failed; step++) {
		switch (below(t, 4)) {
		case 0:
			own_name_step(t);
			break;
		case 1:
			shared_name_step(t);
			break;
		default:
			data_step(t, file);
		}
		if (!t->index && !(step % 500))
			boundary(t);
	}
	zus_local_close(file);
	return NULL;
}

static void run_all(void)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i].id, NULL, body, &threads[i]), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i].id, NULL);
	for (i = 0; i < THREADS; i++)
		ck_assert_msg(!threads[i].failed, "thread %u: %s", i, threads[i].failed);
}

/* ------------------------------------------------------------------------ tests */

static void make_dirs(void)
{
	char path[32];
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		memset(&threads[i], 0, sizeof(threads[i]));
		threads[i].index = i;
		threads[i].random = unit_seed() + i;
		snprintf(path, sizeof(path), "/t%u", i);
		ck_assert_int_eq(zus_local_mkdir(fs, path, 0755), 0);
		snprintf(path, sizeof(path), "/t%u/file", i);
		ck_assert_int_eq(zus_local_create(fs, path, 0644), 0);
	}
	ck_assert_int_eq(zus_local_mkdir(fs, "/s0", 0755), 0);
	ck_assert_int_eq(zus_local_mkdir(fs, "/s1", 0755), 0);
}

static void check_thread(struct thread *t)
{
	static char buf[FILE_BYTES];
	struct zus_local_file *file;
	struct zus_attr attr;
	char path[32];
	unsigned int n;

	snprintf(path, sizeof(path), "/t%u/file", t->index);
	ck_assert_int_eq(zus_local_open(fs, path, &file), 0);
	ck_assert_int_eq(zus_local_pread(file, buf, FILE_BYTES, 0), (ssize_t)t->size);
	ck_assert_msg(!memcmp(buf, t->model, t->size), "thread %u has other bytes", t->index);
	zus_local_close(file);
	for (n = 0; n < NAMES; n++) {
		snprintf(path, sizeof(path), "/t%u/n%u", t->index, n);
		ck_assert_int_eq(zus_local_stat(fs, path, &attr), t->there[n] ? 0 : -ENOENT);
	}
}

static void threads_with(uint32_t policy)
{
	unsigned int i, round;

	make_media(policy);
	mount_media();
	make_dirs();
	for (round = 0; round < 3; round++) {
		run_all();
		ck_assert_int_eq(zus_local_umount(fs), 0);
		mount_media();
		for (i = 0; i < THREADS; i++)
			check_thread(&threads[i]);
	}
	ck_assert_int_eq(zus_local_umount(fs), 0);
}

START_TEST(copy_on_write)
{
	threads_with(ZLF_POLICY_COW);
}
END_TEST

START_TEST(boundaries)
{
	threads_with(ZLF_POLICY_BOUNDARY);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zlogfs-threads");
	TCase *cases = tcase_create("threads");

	tcase_set_timeout(cases, 200);
	tcase_add_test(cases, copy_on_write);
	tcase_add_test(cases, boundaries);
	suite_add_tcase(suite, cases);
	return unit_run(suite);
}
