// SPDX-License-Identifier: BSD-3-Clause
/*
 * toyfs-relocate.c - toyfs moves its blocks under many threads, and every byte stays
 * where it belongs; also when recalls fail, or one is not acknowledged for long.
 *
 * The local transport has no leases. This program puts its own functions in the place of
 * libzus's: answers are used inside a gate, as in the kernel, and a thread
 * acknowledges recalls when all who were inside have left it.
 * TIMEOUT: 240
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define MIB		(1ull << 20)
#define BLOCK		4096u
#define THREADS		4u
#define STEPS		2500u
#define PART_BYTES	(5ul * BLOCK)	/* of a thread, in each shared file */
#define FILES		3u
#define ERRORS		64u		/* one recall of so many fails */

struct recall {
	struct recall *next;
	zus_recall_done_fn *done;
	void *arg;
	uint64_t ino;
	int err;
};

static struct {
	pthread_rwlock_t gate;
	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t changed;
	struct recall *first, **last;
	struct recall *held;		/* the recalls of inode hold_ino, until it is 0 */
	uint64_t hold_ino, random;
	uint64_t done, downgrades, alls, busy;
	int errors, stop;
	pthread_t thread;
} kernel;

static struct zus_local *fs;
static struct zus_mount *plugin_mount;
static struct zus_plugin plugin;
static struct zus_mount_ops mount_ops;
static struct zus_file_ops file_ops;
static int (*real_mount)(struct zus_req *req, struct zus_mount *mount, struct zus_mount_out *out);
static int (*real_map)(struct zus_req *req, struct zus_inode *inode, const struct zus_map *args);
static __thread struct zus_extent last_extent;

/* ------------------------------------------------------ in the kernel's place */

static int queue(uint64_t ino, uint32_t flags, zus_recall_done_fn *done, void *arg)
{
	struct recall *recall = malloc(sizeof(*recall));
	uint64_t number;

	*recall = (struct recall) { .done = done, .arg = arg, .ino = ino };
	pthread_mutex_lock(&kernel.lock);
	number = unit_random_from(&kernel.random);
	if (kernel.errors && number % ERRORS == 0) {
		pthread_mutex_unlock(&kernel.lock);
		free(recall);
		return -EBUSY;
	}
	if (kernel.errors && number % ERRORS == 1)
		recall->err = -EIO;
	if (kernel.errors && number % ERRORS == 2 && flags & ZUS_RECALL_TRY) {
		recall->err = -EBUSY;	/* as if a page were pinned: it is in use as before */
		kernel.busy++;
	}
	*kernel.last = recall;
	kernel.last = &recall->next;
	pthread_cond_signal(&kernel.changed);
	pthread_mutex_unlock(&kernel.lock);
	return 0;
}

int zus_recall(const struct zus_recall *recall, zus_recall_done_fn *done, void *arg)
{
	__atomic_add_fetch(&kernel.downgrades, recall->flags & ZUS_RECALL_DOWNGRADE,
			   __ATOMIC_RELAXED);
	return queue(recall->ino, recall->flags, done, arg);
}

int zus_recall_all(struct zus_mount *mount, uint32_t flags, zus_recall_done_fn *done, void *arg)
{
	(void)mount;
	__atomic_add_fetch(&kernel.alls, 1, __ATOMIC_RELAXED);
	return queue(0, flags, done, arg);
}

/* Leases are not for this transport's rules, which check the answer. */
int zus_req_extent(struct zus_req *req, const struct zus_extent *extent)
{
	static int (*real)(struct zus_req *req, const struct zus_extent *extent);
	struct zus_extent plain = *extent;

	if (!__atomic_load_n(&real, __ATOMIC_RELAXED))
		__atomic_store_n(&real, (int (*)(struct zus_req *, const struct zus_extent *))
				 (uintptr_t)dlsym(RTLD_NEXT, "zus_req_extent"),
				 __ATOMIC_RELAXED);
	plain.flags &= ZUS_EXTF_NEW;
	last_extent = plain;
	return real(req, &plain);
}

/* A recall whose inode is not held, or NULL at the end. */
static struct recall *next_recall(void)
{
	struct recall *recall = NULL;

	pthread_mutex_lock(&kernel.lock);
	while (!recall && !kernel.stop) {
		if (!kernel.hold_ino && kernel.held) {
			recall = kernel.held;
			kernel.held = recall->next;
			break;
		}
		recall = kernel.first;
		if (!recall) {
			pthread_cond_wait(&kernel.changed, &kernel.lock);
			continue;
		}
		kernel.first = recall->next;
		if (!kernel.first)
			kernel.last = &kernel.first;
		if (!kernel.hold_ino || recall->ino != kernel.hold_ino)
			break;
		recall->next = kernel.held;
		kernel.held = recall;
		recall = NULL;
	}
	pthread_mutex_unlock(&kernel.lock);
	return recall;
}

static void *kernel_main(void *arg)
{
	struct recall *recall;

	while ((recall = next_recall())) {
		pthread_rwlock_wrlock(&kernel.gate);	/* who was inside has left it */
		pthread_rwlock_unlock(&kernel.gate);
		__atomic_add_fetch(&kernel.done, 1, __ATOMIC_RELEASE);
		recall->done(recall->arg, recall->err);
		free(recall);
	}
	return arg;
}

static __thread int inside;

/* The end of an operation that asked for maps: nothing of them is used any more. */
static ssize_t leave_gate(ssize_t ret)
{
	if (inside)
		pthread_rwlock_unlock(&kernel.gate);
	inside = 0;
	return ret;
}

/* In the thread of the operation, which copies when this has returned. */
static int gate_map(struct zus_req *req, struct zus_inode *inode, const struct zus_map *args)
{
	int ret;

	for (;;) {
		if (!inside)
			pthread_rwlock_rdlock(&kernel.gate);
		inside = 1;
		ret = real_map(req, inode, args);
		if (ret != ZUS_BUSY_RETRY)
			return ret;
		leave_gate(0);
		sched_yield();
	}
}

static int take_mount(struct zus_req *req, struct zus_mount *mount, struct zus_mount_out *out)
{
	plugin_mount = mount;
	return real_mount(req, mount, out);
}

static void setup(void)
{
	pthread_rwlockattr_t attr;

	plugin = *unit_plugin("toyfs");
	mount_ops = *plugin.mount_ops;
	file_ops = *plugin.file_ops;
	real_mount = mount_ops.mount;
	real_map = file_ops.map;
	mount_ops.mount = take_mount;
	file_ops.map = gate_map;
	plugin.mount_ops = &mount_ops;
	plugin.file_ops = &file_ops;
	fs = unit_mount(&plugin, "relocate=1", 2, 8 * MIB);
	plugin_mount->features |= ZUS_MF_LEASES;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&kernel.gate, &attr);
	pthread_mutex_init(&kernel.lock, NULL);
	pthread_cond_init(&kernel.changed, NULL);
	kernel.last = &kernel.first;
	kernel.random = unit_seed();
	ck_assert(!pthread_create(&kernel.thread, NULL, kernel_main, NULL));
}

static void teardown(void)
{
	ck_assert_int_eq(zus_local_umount(fs), 0);
	pthread_mutex_lock(&kernel.lock);
	kernel.stop = 1;
	pthread_cond_signal(&kernel.changed);
	pthread_mutex_unlock(&kernel.lock);
	pthread_join(kernel.thread, NULL);
	ck_assert(!kernel.first && !kernel.held);
}

/* ---------------------------------------------------------------------- tests */

struct thread {
	pthread_t id;
	unsigned int index;
	uint64_t random;
	const char *failed;
	char *model;			/* of its parts of all files */
};

static void file_name(char *name, unsigned int index)
{
	name[0] = '/';
	name[1] = (char)('a' + index);
	name[2] = 0;
}

/* Writes and reads in a part of its own of a file that all threads share. */
static const char *shared_step(struct thread *t, struct zus_local_file **files, char *buf)
{
	unsigned int f = (unsigned int)(unit_random_from(&t->random) % FILES);
	uint64_t off = unit_random_from(&t->random) % PART_BYTES, len, i;
	char *model = t->model + (uint64_t)f * PART_BYTES + off;
	uint64_t at = (uint64_t)t->index * (PART_BYTES + 512) + off;	/* blocks are shared */

	len = 1 + unit_random_from(&t->random) % (PART_BYTES - off);
	if (unit_random_from(&t->random) % 2) {
		for (i = 0; i < len; i++)
			model[i] = (char)unit_random_from(&t->random);
		if (leave_gate(zus_local_pwrite(files[f], model, len, at)) != (ssize_t)len)
			return "write";
	} else {
		if (leave_gate(zus_local_pread(files[f], buf, len, at)) != (ssize_t)len)
			return "read";
		if (memcmp(buf, model, len) != 0)
			return "read other bytes";
	}
	return *zus_local_broken_rule() ? zus_local_broken_rule() : NULL;
}

/* A file of its own that is written, cut short while its blocks move, and removed. */
static const char *own_step(struct thread *t, char *buf)
{
	char name[] = "/own0";
	struct zus_local_file *file;
	uint64_t cut = unit_random_from(&t->random) % PART_BYTES, i;
	const char *failed = NULL;

	name[4] += (char)t->index;
	if (zus_local_create(fs, name, 0600) || zus_local_open(fs, name, &file))
		return "create";
	memset(buf, t->index + 1, PART_BYTES);
	if (leave_gate(zus_local_pwrite(file, buf, PART_BYTES, 0)) != (ssize_t)PART_BYTES)
		failed = "write of its own";
	else if (leave_gate(zus_local_ftruncate(file, cut)) ||
		 leave_gate(zus_local_ftruncate(file, PART_BYTES)))
		failed = "truncate";
	else if (leave_gate(zus_local_pread(file, buf, PART_BYTES, 0)) != (ssize_t)PART_BYTES)
		failed = "read of its own";
	for (i = 0; i < PART_BYTES && !failed; i++)
		if (buf[i] != (char)(i < cut ? t->index + 1 : 0))
			failed = "its own file has other bytes";
	if (zus_local_unlink(fs, name))
		failed = "unlink";
	zus_local_close(file);
	return failed;
}

static void *body(void *arg)
{
	struct thread *t = arg;
	struct zus_local_file *files[FILES];
	char *buf = malloc(PART_BYTES), name[3];
	unsigned int f, step;

	t->model = calloc(FILES, PART_BYTES);
	for (f = 0; f < FILES; f++) {
		file_name(name, f);
		if (zus_local_open(fs, name, &files[f]))
			t->failed = "open";
	}
	for (step = 0; step < STEPS * unit_scale() && !t->failed; step++)
		t->failed = unit_random_from(&t->random) % 4 ? shared_step(t, files, buf) :
							      own_step(t, buf);
	for (f = 0; f < FILES; f++)
		zus_local_close(files[f]);
	free(t->model);
	free(buf);
	return NULL;
}

static uint64_t free_blocks(void)
{
	struct zus_statfs st;

	ck_assert_int_eq(zus_local_statfs(fs, &st), 0);
	return st.blocks_free;
}

static void files_new(void)
{
	unsigned int f;
	char name[3];

	for (f = 0; f < FILES; f++) {
		file_name(name, f);
		ck_assert_int_eq(zus_local_create(fs, name, 0600), 0);
		ck_assert_int_eq(leave_gate(zus_local_truncate(fs, name, THREADS *
							       (PART_BYTES + 512))), 0);
	}
}

static void run_threads(void)
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

/* Loop 1: some recalls fail. */
START_TEST(every_byte_stays)
{
	uint64_t before = free_blocks();
	unsigned int f;
	char name[3];

	kernel.errors = _i;
	files_new();
	run_threads();
	for (f = 0; f < FILES; f++) {
		file_name(name, f);
		ck_assert_int_eq(zus_local_unlink(fs, name), 0);
	}
	while (free_blocks() != before || zus_local_inodes(fs) != 1)
		sched_yield();		/* moves may outlive their files */
	ck_assert_uint_gt(__atomic_load_n(&kernel.done, __ATOMIC_ACQUIRE), 20);
	ck_assert_uint_gt(kernel.downgrades, 0);
	ck_assert(!_i || kernel.busy);
}
END_TEST

static void fill_blocks(const char *name, unsigned int count, char byte, struct zus_extent *ext)
{
	char buf[BLOCK];
	struct zus_local_file *file;
	unsigned int i;

	memset(buf, byte, sizeof(buf));
	ck_assert_int_eq(zus_local_open(fs, name, &file), 0);
	for (i = 0; i < count; i++)
		ck_assert_int_eq(leave_gate(zus_local_pwrite(file, buf, BLOCK, (uint64_t)i * BLOCK)),
				 BLOCK);
	*ext = last_extent;
	zus_local_close(file);
}

/* As if a page were pinned: its block stays what it is, others move. */
START_TEST(unacknowledged_block_stays)
{
	struct zus_local_file *file;
	struct zus_extent ext, other;
	struct zus_attr attr;
	const char *block;
	unsigned int i;
	uint64_t seen;
	char buf[BLOCK];

	files_new();
	ck_assert_int_eq(zus_local_stat(fs, "/a", &attr), 0);
	pthread_mutex_lock(&kernel.lock);
	kernel.hold_ino = attr.ino;
	pthread_mutex_unlock(&kernel.lock);
	fill_blocks("/a", 1, 'h', &ext);
	block = zus_local_dev_addr(fs, ext.dev, ext.dev_off);
	for (;;) {			/* until it would move, and a hundred others have */
		fill_blocks("/b", 2, 'x', &other);
		pthread_mutex_lock(&kernel.lock);
		seen = kernel.held ? kernel.done : 0;
		pthread_mutex_unlock(&kernel.lock);
		for (i = 0; i < BLOCK; i++)
			ck_assert_int_eq(block[i], 'h');
		if (seen > 100)
			break;
	}
	pthread_mutex_lock(&kernel.lock);
	kernel.hold_ino = 0;
	pthread_cond_signal(&kernel.changed);
	pthread_mutex_unlock(&kernel.lock);
	ck_assert_int_eq(zus_local_open(fs, "/a", &file), 0);
	ck_assert_int_eq(leave_gate(zus_local_pread(file, buf, BLOCK, 0)), BLOCK);
	for (i = 0; i < BLOCK; i++)
		ck_assert_int_eq(buf[i], 'h');
	zus_local_close(file);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("toyfs-relocate");
	TCase *tc = tcase_create("relocate");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 240);
	tcase_add_loop_test(tc, every_byte_stays, 0, 2);
	tcase_add_test(tc, unacknowledged_block_stays);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
