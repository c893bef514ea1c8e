// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a task killed in the middle of a read, a write or a fault, while its server takes
 *	the blocks back and moves them, leaves each byte old or new, and nobody waits for
 *	it afterwards.
 * Method: children named zkill work on $LEASE_FILE, whose blocks move all the time; the
 *	module kills them at each of the points below, LEASE_KILLS times (default 50). What
 *	they were about to do, and what the file has, is in shared memory.
 *
 * With LEASE_COW the file is one of nullfs' whose writes go to another place.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "killpoint.h"
#include "vmtest.h"

#define CHILD_OPS	60
#define LEN_MAX		20000u

enum kind { OP_NONE, OP_READ, OP_WRITE, OP_WRITE_DSYNC, OP_STORE, OP_KINDS };

static const char *const names[OP_KINDS] = { "nothing", "read", "write", "dsync write", "store" };

static struct shared {
	enum kind kind;			/* what is under way */
	size_t off, len;
	unsigned char value;
	unsigned char model[];
} *shared;

static int fd, dsync_fd;
static size_t size;
static unsigned char *map;		/* of the parent, and so of the children */


static const struct kp_point points[] = {
	{ "read_mapped", 5 }, { "mapped", 5 }, { "copying", 5 }, { "before_fence", 9 },
	{ "fault_mapped", 5 }, { "sent", 9 }, { "stored", 9 }, { "done", 9 },
};

/* -------------------------------------------------------------------- child */

static void child_op(enum kind kind)
{
	unsigned char buf[LEN_MAX];

	if (kind == OP_READ) {
		if (pread(fd, buf, shared->len, (off_t)shared->off) != (ssize_t)shared->len)
			_exit(2);
		if (memcmp(buf, shared->model + shared->off, shared->len) != 0)
			_exit(3);
		return;
	}
	memset(buf, shared->value, shared->len);
	if (kind == OP_STORE)
		memcpy(map + shared->off, buf, shared->len);
	else if (pwrite(kind == OP_WRITE ? fd : dsync_fd, buf, shared->len,
			(off_t)shared->off) != (ssize_t)shared->len)
		_exit(4);
	memset(shared->model + shared->off, shared->value, shared->len);
}

static void child(void)
{
	unsigned int i;

	for (i = 0; i < CHILD_OPS; i++) {
		enum kind kind = (enum kind)(OP_READ + vt_random() % (OP_KINDS - 1));

		shared->len = 1 + vt_random() % LEN_MAX;
		shared->off = vt_random() % (size - shared->len);
		shared->value = (unsigned char)(1 + vt_random() % 255);
		shared->kind = kind;
		child_op(kind);
		shared->kind = OP_NONE;
	}
}

/* ------------------------------------------------------------------- parent */

static const char *doing(void)
{
	return names[shared->kind];
}

static void check(const char *point, unsigned int round)
{
	static unsigned char *got;
	size_t i;

	if (!got)
		got = malloc(size);
	ck_assert_ptr_nonnull(got);
	/* recalls: between the moment a lease is dead and the wait for who uses it */
	vt_write("/sys/kernel/debug/zuf/points", "recall_marked delay_us 300");
	ck_assert_int_eq(pread(fd, got, size, 0), (ssize_t)size);
	ck_assert_msg(!memcmp(got, map, size), "%s, child %u: read and mapping differ", point,
		      round);
	for (i = 0; i < size; i++) {
		if (got[i] == shared->model[i])
			continue;
		if (shared->kind > OP_READ && i - shared->off < shared->len &&
		    got[i] == shared->value)
			continue;
		ck_abort_msg("%s, child %u: byte %zu is %#x, not %#x, after a %s of %zu at %zu",
			     point, round, i, got[i], shared->model[i], doing(), shared->len,
			     shared->off);
	}
	memcpy(shared->model, got, size);
	shared->kind = OP_NONE;
}

static struct kp_test test = {
	.points = points, .num_points = sizeof(points) / sizeof(points[0]),
	.child = child, .check = check, .doing = doing,
};

/* Where each write goes to another place: LEASE_COW says how it is published. */
static const struct kp_point word_points[] = {
	{ "mapped", 5 }, { "copying", 5 }, { "before_fence", 5 }, { "before_word", 5 },
	{ "after_word", 5 }, { "fault_mapped", 3 },
}, done_points[] = {
	{ "mapped", 5 }, { "copying", 5 }, { "before_fence", 5 }, { "before_map_done", 5 },
	{ "after_map_done", 5 }, { "fault_mapped", 3 },
};

static void points_choose(void)
{
	const char *cow = getenv("LEASE_COW");

	if (!cow)
		return;
	test.points = strcmp(cow, "word") != 0 ? done_points : word_points;
	test.num_points = sizeof(done_points) / sizeof(done_points[0]);
}

START_TEST(killed_while_blocks_move)
{
	const char *path = getenv("LEASE_FILE");
	struct stat st;

	ck_assert_ptr_nonnull(path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	dsync_fd = open(path, O_RDWR | O_DSYNC | O_CLOEXEC);
	ck_assert(fd >= 0 && dsync_fd >= 0 && !fstat(fd, &st));
	size = (size_t)st.st_size;
	shared = vt_shared(sizeof(*shared) + size);
	/* the model is zero by now */
	ck_assert_int_eq(pwrite(fd, shared->model, size, 0), (ssize_t)size);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	points_choose();
	kp_run(&test, kp_kills("LEASE_KILLS"));
	munmap(map, size);
	close(fd);
	close(dsync_fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lease-kill");
	TCase *tcase = tcase_create("lease-kill");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, killed_while_blocks_move);
	suite_add_tcase(suite, tcase);
	return vt_run(suite);
}
