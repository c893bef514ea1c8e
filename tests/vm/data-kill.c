// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a task killed at any point of a write, a fault or a truncate leaves each byte
 *	old or new, the size one that the operation could have left, no gap but zeros,
 *	and no block lost.
 * Method: children named zkill change one file in $DATA_DIR; the module kills them at
 *	each of the points below, DATA_KILLS times (default 50), and counts. The child's
 *	model is shared memory; what it was about to do stands beside it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmtest.h"

#define BLOCK		4096ul
#define MAX_BYTES	(24 * BLOCK)
#define CHILD_OPS	40
#define CHILDREN_MAX	4000	/* a point: it may be passed rarely */
#define POINTS		"/sys/kernel/debug/zuf/points"

enum kind { OP_NONE, OP_WRITE, OP_TRUNCATE, OP_STORE };

struct shared {
	enum kind kind;			/* what is under way */
	size_t off, len;
	unsigned char value;
	size_t size;
	unsigned char model[MAX_BYTES];	/* zero from size on */
};

static struct shared *shared;
static int fd;
static unsigned long kills_seen;

static const struct {
	const char *name;
	unsigned int every;
} points[] = {
	{ "claimed", 7 }, { "filled", 7 }, { "sent", 7 }, { "replying", 7 }, { "stored", 7 },
	{ "done", 7 }, { "mapped", 5 }, { "copying", 5 }, { "before_fence", 5 },
	{ "before_map_done", 3 }, { "after_map_done", 3 }, { "fault_mapped", 3 },
	{ "truncate_cut", 2 },
};

/* -------------------------------------------------------------------- child */

static void child_write(void)
{
	unsigned char buf[3 * BLOCK];
	ssize_t done;

	memset(buf, shared->value, shared->len);
	done = pwrite(fd, buf, shared->len, (off_t)shared->off);
	if (done != (ssize_t)shared->len)
		_exit(2);
	memset(shared->model + shared->off, shared->value, shared->len);
	if (shared->off + shared->len > shared->size)
		shared->size = shared->off + shared->len;
}

static void child_truncate(void)
{
	if (ftruncate(fd, (off_t)shared->off))
		_exit(3);
	if (shared->off < shared->size)
		memset(shared->model + shared->off, 0, shared->size - shared->off);
	shared->size = shared->off;
}

static void child_store(void)
{
	unsigned char *map = mmap(NULL, MAX_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		_exit(4);
	memset(map + shared->off, shared->value, shared->len);
	munmap(map, MAX_BYTES);
	memset(shared->model + shared->off, shared->value, shared->len);
}

static void child_op(void)
{
	enum kind kind = (enum kind)(OP_WRITE + vt_random() % 3);

	shared->off = vt_random() % MAX_BYTES;
	shared->len = 1 + vt_random() % (3 * BLOCK);
	shared->value = (unsigned char)(1 + vt_random() % 255);
	if (kind == OP_STORE) {
		if (!shared->size)
			return;
		shared->off %= shared->size;
		if (shared->off + shared->len > shared->size)
			shared->len = shared->size - shared->off;
	} else if (shared->off + shared->len > MAX_BYTES) {
		shared->len = MAX_BYTES - shared->off;
	}
	shared->kind = kind;
	if (kind == OP_WRITE)
		child_write();
	else if (kind == OP_TRUNCATE)
		child_truncate();
	else
		child_store();
	shared->kind = OP_NONE;
}

static void child(uint64_t seed)
{
	unsigned int i;

	prctl(PR_SET_NAME, "zkill");
	vt_random_seed(seed);
	for (i = 0; i < CHILD_OPS; i++)
		child_op();
	_exit(0);
}

/* ------------------------------------------------------------------- parent */

/* [off, end) of what was under way; off == end: all has to be as the model has it. */
static bool may_be_new(size_t at)
{
	if (shared->kind != OP_WRITE && shared->kind != OP_STORE)
		return false;
	return at >= shared->off && at < shared->off + shared->len;
}

static bool size_is_possible(size_t size)
{
	size_t end = shared->off + shared->len;

	if (size == shared->size)
		return true;
	if (shared->kind == OP_TRUNCATE)
		return size == shared->off;
	return shared->kind == OP_WRITE && size > shared->size && size > shared->off &&
	       size <= end;
}

static void check(const char *point, unsigned int round)
{
	unsigned char got[MAX_BYTES];
	struct stat st;
	ssize_t done;
	size_t i, size;

	/* a read waits for what the server may still be doing; stat(2) does not */
	done = pread(fd, got, sizeof(got), 0);
	ck_assert_int_ge(done, 0);
	size = (size_t)done;
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, done);
	ck_assert_msg(size_is_possible(size),
		      "%s, child %u: size %zu; it was %zu, op %d off %zu len %zu", point, round,
		      size, shared->size, shared->kind, shared->off, shared->len);
	for (i = 0; i < size; i++) {
		unsigned char old = i < shared->size ? shared->model[i] : 0;

		if (got[i] == old || (may_be_new(i) && got[i] == shared->value))
			continue;
		ck_abort_msg("%s, child %u: byte %zu is %#x, not %#x; size %zu was %zu, op %d off %zu len %zu value %#x",
			     point, round, i, got[i], old, size, shared->size, shared->kind,
			     shared->off, shared->len, shared->value);
	}
	memset(shared->model, 0, sizeof(shared->model));
	memcpy(shared->model, got, size);
	shared->size = size;
	shared->kind = OP_NONE;
}

/* Kills that are still to be made at the point; made ones are added up. */
static unsigned int kills_left(const char *point, unsigned int *made)
{
	unsigned int passed, kills, left = 0;
	char line[128], name[32];
	FILE *file = fopen(POINTS, "r");

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		/* the kernel's own text.  NOLINTNEXTLINE(cert-err34-c) */
		if (sscanf(line, "%31s passed %u kills %u left %u", name, &passed, &kills,
			   &left) == 4 && !strcmp(name, point)) {
			*made = kills;
			break;
		}
	fclose(file);
	return left;
}

static void kill_at(const char *point, unsigned int every, unsigned int count)
{
	unsigned int round, made = 0, killed = 0;
	char command[80];
	int status;
	pid_t pid;

	snprintf(command, sizeof(command), "%s kill %u every %u", point, count, every);
	vt_write(POINTS, command);
	for (round = 0; round < CHILDREN_MAX && kills_left(point, &made); round++) {
		uint64_t seed = vt_random();

		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (!pid)
			child(seed);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		if (WIFSIGNALED(status)) {
			ck_assert_int_eq(WTERMSIG(status), SIGKILL);
			killed++;
		} else {
			ck_assert_msg(!WEXITSTATUS(status), "%s: a child's operation failed: %d",
				      point, WEXITSTATUS(status));
		}
		check(point, round);
	}
	kills_left(point, &made);
	vt_write(POINTS, "off");
	printf("%s: %u kills, %u children died of %u\n", point, made, killed, round);
	ck_assert_msg(made == count, "%s: only %u of %u kills", point, made, count);
	kills_seen += killed;
}

static uint64_t free_blocks(void)
{
	struct statfs st;

	ck_assert_int_eq(statfs(".", &st), 0);
	return st.f_bfree;
}

static bool all_free(void *arg)
{
	return free_blocks() == *(uint64_t *)arg;
}

START_TEST(killed_at_each_point)
{
	const char *text = getenv("DATA_KILLS");
	unsigned int count = text ? (unsigned int)strtoul(text, NULL, 0) : 50, i;
	uint64_t before = free_blocks();

	shared = vt_shared(sizeof(*shared));
	fd = open("killed", O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	for (i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		kill_at(points[i].name, points[i].every, count);
	ck_assert_uint_ge(kills_seen, count);
	close(fd);
	ck_assert_int_eq(unlink("killed"), 0);
	vt_await(all_free, &before, "every block is free again");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("data-kill");
	TCase *tcase = tcase_create("data-kill");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, killed_at_each_point);
	suite_add_tcase(suite, tcase);
	return vt_data_main(suite);
}
