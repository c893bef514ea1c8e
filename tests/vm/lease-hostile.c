// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: whatever a server says of leases and recalls, it harms only its own files'
 *	data: RECALLs with any argument end or are refused, as the ABI says; answers that
 *	overlap with leases, change their type or break a rule leave the rest as it was.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rawlease.h"
#include "vmtest.h"

#define BLOCK		4096ul
#define ELSEWHERE	(RL_PLACES - 1)	/* a place that no file has; zeros */
#define RECALLS_MAX	4096u		/* of a mount, until its server reads their end */

static struct rs *rs;
static uint64_t mount_id;

/* ------------------------------------------------------------------- arguments */

static const struct {
	const char *name;
	int err;
	struct zufs_recall recall;
} arguments[] = {
	{ "unknown flag", -EINVAL, { .ino = 2, .gen = 1, .flags = 4 } },
	{ "all flags", -EINVAL, { .ino = 2, .gen = 1, .flags = ~0u } },
	{ "reserved", -EINVAL, { .ino = 2, .gen = 1, .reserved = 1 } },
	{ "offset behind the last", -EINVAL, { .ino = 2, .gen = 1, .off = 1ull << 63 } },
	{ "offset of all ones", -EINVAL, { .ino = 2, .gen = 1, .off = ~0ull } },
	{ "the mount, with a generation", -EINVAL, { .gen = 1 } },
	{ "the mount, from an offset", -EINVAL, { .off = BLOCK } },
	{ "the mount, with a length", -EINVAL, { .len_bytes = BLOCK } },
	{ "the mount, up to a sequence number", -EINVAL, { .seq = 1 } },
	{ "all of the mount", 0, { .ino = 0 } },
	{ "only for writing, all of the mount", 0, { .flags = ZUFS_RECALL_DOWNGRADE } },
	{ "tried, all of the mount", 0, { .flags = ZUFS_RECALL_TRY } },
	{ "the last byte", 0, { .ino = 2, .gen = 1, .off = LLONG_MAX, .len_bytes = 1 } },
	{ "from the last byte", 0, { .ino = 2, .gen = 1, .off = LLONG_MAX } },
	{ "more than there is", 0, { .ino = 2, .gen = 1, .off = LLONG_MAX, .len_bytes = ~0ull } },
	{ "odd, and one byte", 0, { .ino = 2, .gen = 1, .off = 4095, .len_bytes = 1 } },
	{ "an inode that nobody has", 0, { .ino = 1u << 30, .gen = 1 } },
	{ "another generation", 0, { .ino = 2, .gen = 7 } },
	{ "the root directory", 0, { .ino = 1, .gen = 1 } },
	{ "of the future", 0, { .ino = 2, .gen = 1, .seq = ~0ull } },
};

START_TEST(recall_arguments)
{
	unsigned int i;

	for (i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
		struct zufs_recall recall = arguments[i].recall;
		int err;

		recall.cookie = 100 + i;
		err = rl_recall(rs, &recall);
		ck_assert_msg(err == arguments[i].err, "%s: %d, not %d", arguments[i].name, err,
			      arguments[i].err);
		if (!err)
			rl_await_done(rs, 100 + i);
	}
}
END_TEST

/* Where no map lies: the hole behind the end of the file's place, leased for reading. */
static enum rs_next hole_leased(struct rs_channel *ch, struct rf_msg *m)
{
	struct zufs_extent *ext = m->out_payload;

	(void)ch;
	ext->flags = ZUFS_EXTF_LEASE_R;
	return RS_REPLY;
}

static long maps(void)
{
	return vt_op_count(mount_id, "map");
}

/* Ranges that end behind all numbers take what lies at the end of the file. */
START_TEST(recall_up_to_the_last_byte)
{
	static const struct zufs_recall ranges[] = {
		{ .off = LLONG_MAX - 16 * BLOCK, .len_bytes = 0 },
		{ .off = LLONG_MAX - 16 * BLOCK, .len_bytes = LLONG_MAX },
		{ .off = LLONG_MAX - 16 * BLOCK, .len_bytes = ~0ull },
		{ .off = LLONG_MAX - 100, .len_bytes = ~0ull - 5000 },
		{ .off = LLONG_MAX - 100, .len_bytes = 200 },
		{ .off = 0, .len_bytes = ~0ull },
	};
	const off_t at = LLONG_MAX / (off_t)BLOCK * (off_t)BLOCK - (off_t)BLOCK;
	int fd = open(RL_MNT "/f1", O_RDWR);
	unsigned int i;
	long before;
	char byte;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, LLONG_MAX / (off_t)BLOCK * (off_t)BLOCK), 0);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = -1, .hook = hole_leased });
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		struct zufs_recall recall = ranges[i];

		before = maps();
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		ck_assert_msg(maps() == before, "%u: it is not leased", i);
		recall.ino = 3;
		recall.gen = 1;
		recall.cookie = i;
		/* the last but one block: of the file's last ones only some reach it */
		if (recall.off > (uint64_t)at)
			recall.off = (uint64_t)at;
		ck_assert_int_eq(rl_recall(rs, &recall), 0);
		rl_await_done(rs, i);
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		ck_assert_msg(maps() == before + 1, "range %u: the lease is still there", i);
	}
	rl_leased(rs);
	close(fd);
}
END_TEST

/* --------------------------------------------------------------- files and rights */

static int the_fd;		/* in the server */

static long ioctls(struct rs *server, void *arg)
{
	struct zufs_recall recall = { .ino = 2, .gen = 1 };
	struct zufs_mount_file file = { .mount = *(uint64_t *)arg };
	char buf[sizeof(struct zufs_recall_done)];
	int status;
	pid_t pid;

	if (!ioctl(server->server_fd, ZUFS_IOC_RECALL, &recall) || errno != ENOTTY)
		return 1;
	if (ioctl(server->server_fd, ZUFS_IOC_MOUNT_FILE, &file))
		return -errno;
	the_fd = file.fd;
	if (!ioctl(the_fd, ZUFS_IOC_RECALL, NULL) || errno != EFAULT)
		return 2;
	if (read(the_fd, buf, sizeof(buf) - 1) >= 0 || errno != EINVAL)
		return 3;
	fcntl(the_fd, F_SETFL, O_NONBLOCK);
	if (read(the_fd, buf, sizeof(buf)) >= 0 || errno != EAGAIN)
		return 4;
	pid = fork();
	if (!pid) {
		if (!ioctl(the_fd, ZUFS_IOC_RECALL, &recall) || errno != EPERM)
			_exit(1);
		_exit(read(the_fd, buf, sizeof(buf)) >= 0 || errno != EPERM);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid || status ? 5 : 0;
}

START_TEST(wrong_files)
{
	struct zufs_recall recall = { .ino = 2, .gen = 1 };
	int fd = open(RL_MNT "/f0", O_RDWR);

	ck_assert(ioctl(fd, ZUFS_IOC_RECALL, &recall) == -1 && errno == ENOTTY);
	close(fd);
	ck_assert_int_eq(rs_call(rs, ioctls, &mount_id, sizeof(mount_id)), 0);
}
END_TEST

/* As many as there may be, none of which can end; then all of them do. */
static long queue_many(struct rs *server, void *arg)
{
	struct zufs_recall recall = { .ino = 2, .gen = 1 };
	long queued = 0;

	(void)server;
	(void)arg;
	while (queued < 2 * (long)RECALLS_MAX && !ioctl(the_fd, ZUFS_IOC_RECALL, &recall))
		queued++;
	return errno == EBUSY ? queued : -errno;
}

static long read_many(struct rs *server, void *arg)
{
	struct zufs_recall_done done[64];
	long ended = 0;
	ssize_t bytes;

	(void)server;
	(void)arg;
	while ((bytes = read(the_fd, done, sizeof(done))) > 0)
		ended += bytes / (ssize_t)sizeof(done[0]);
	return bytes < 0 && errno != EAGAIN ? -errno : ended;
}

static bool all_ended(void *arg)
{
	long *ended = arg;
	long more = rs_call(rs, read_many, NULL, 0);

	ck_assert_int_ge(more, 0);
	*ended += more;
	return *ended == (long)RECALLS_MAX;
}

START_TEST(more_than_may_be)
{
	int fd = open(RL_MNT "/f0", O_RDWR), pipes[2];
	struct iovec iov = { .iov_len = BLOCK };
	char buf[BLOCK];
	long ended = 0;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
	iov.iov_base = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(iov.iov_base, MAP_FAILED);
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(vmsplice(pipes[1], &iov, 1, 0), BLOCK);
	ck_assert_int_eq(rs_call(rs, queue_many, NULL, 0), RECALLS_MAX);
	ck_assert_int_eq(rs_call(rs, read_many, NULL, 0), 0);
	ck_assert_int_eq(read(pipes[0], buf, BLOCK), BLOCK);
	vt_await(all_ended, &ended, "the end of each recall");
	close(pipes[0]);
	close(pipes[1]);
	munmap(iov.iov_base, BLOCK);
	close(fd);
}
END_TEST

/* ------------------------------------------------------------------- map answers */

#define ANSWER(fn, change)							\
	static enum rs_next fn(struct rs_channel *ch, struct rf_msg *m)		\
	{									\
		struct zufs_extent *ext = m->out_payload;			\
		struct zufs_map_out *out = m->out;				\
										\
		(void)ch;							\
		(void)out;							\
		*ext = (struct zufs_extent) {					\
			.len_bytes = 4 * BLOCK, .type = ZUFS_EXT_DATA,		\
			.dev_off = (2u << 20) + ELSEWHERE * RL_FILE_BYTES,	\
			.flags = ZUFS_EXTF_LEASE_R,				\
		};								\
		change;								\
		return RS_REPLY;						\
	}

ANSWER(elsewhere, (void)0)
ANSWER(elsewhere_rw, ext->flags |= ZUFS_EXTF_LEASE_W)
ANSWER(immutable, ext->flags |= ZUFS_EXTF_IMMUTABLE)
ANSWER(hole, ext->type = ZUFS_EXT_HOLE)
ANSWER(unwritten, ext->type = ZUFS_EXT_UNWRITTEN)
ANSWER(older, out->lease_seq = 1)
ANSWER(without, ext->flags = 0)
ANSWER(outside, ext->file_off = 4 * BLOCK)
ANSWER(hole_to_write, (ext->type = ZUFS_EXT_HOLE, ext->flags |= ZUFS_EXTF_LEASE_W))
ANSWER(immutable_to_write, ext->flags |= ZUFS_EXTF_LEASE_W | ZUFS_EXTF_IMMUTABLE)
ANSWER(immutable_alone, ext->flags = ZUFS_EXTF_IMMUTABLE)
ANSWER(new_leased, ext->flags |= ZUFS_EXTF_NEW)
ANSWER(commit_leased, ext->flags |= ZUFS_EXTF_COMMIT)
ANSWER(odd, ext->len_bytes -= 1)
ANSWER(behind_the_device, ext->dev_off = 1ull << 40)
ANSWER(twice, (ext[1] = ext[0], out->count = 2, m->reply->payload_bytes = 2 * sizeof(*ext)))
ANSWER(backwards, (ext[1] = ext[0], ext[0].file_off = 4 * BLOCK, out->count = 2,
		   m->reply->payload_bytes = 2 * sizeof(*ext)))

static const struct row {
	const char *name;
	rs_hook answer;
	const char *rule;	/* NULL: legal */
	char block0, block1;	/* what they then read as; 'a' before */
} rows[] = {
	{ "another block", elsewhere, NULL, 0, 0 },
	{ "another block, to write", elsewhere_rw, NULL, 0, 0 },
	{ "another block, for ever", immutable, NULL, 0, 0 },
	{ "a hole", hole, NULL, 0, 0 },
	{ "unwritten", unwritten, NULL, 0, 0 },
	{ "older than what is there", older, NULL, 'a', 'a' },
	{ "not leased", without, NULL, 'a', 'a' },
	{ "outside", outside, "extent_range", 'a', 'a' },
	{ "a hole to write", hole_to_write, "extent_type", 'a', 'a' },
	{ "immutable, to write", immutable_to_write, "extent_type", 'a', 'a' },
	{ "immutable alone", immutable_alone, "extent_type", 'a', 'a' },
	{ "new and leased", new_leased, "extent_type", 'a', 'a' },
	{ "commit and leased", commit_leased, "extent_type", 'a', 'a' },
	{ "odd length", odd, "extent_align", 'a', 'a' },
	{ "behind the device", behind_the_device, "extent_device", 'a', 'a' },
	{ "the same twice", twice, "extent_range", 'a', 'a' },
	{ "backwards", backwards, "extent_range", 'a', 'a' },
};

static char byte_at(int fd, off_t off)
{
	char byte;

	ck_assert_int_eq(pread(fd, &byte, 1, off), 1);
	return byte;
}

static void recall_range(uint64_t ino, uint64_t off, uint64_t len)
{
	struct zufs_recall recall = { .ino = ino, .gen = 1, .off = off, .len_bytes = len,
				      .cookie = 77 };

	ck_assert_int_eq(rl_recall(rs, &recall), 0);
	rl_await_done(rs, 77);
}

/* All of the file is leased but for its first block, which is asked for again. */
static void answer_row(const struct row *row, int fd, const char *map)
{
	long rule = row->rule ? vt_rule(mount_id, row->rule) : 0, before;
	char buf[2 * BLOCK];
	ssize_t got;

	recall_range(4, 0, 0);
	ck_assert_int_eq(byte_at(fd, 9 * BLOCK), 'a');
	ck_assert_int_eq(map[BLOCK], 'a');
	recall_range(4, 0, BLOCK);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = 1, .hook = row->answer });
	got = pread(fd, buf, sizeof(buf), 0);
	ck_assert_msg(got == (row->rule ? -1 : (ssize_t)sizeof(buf)), "%s: read %zd", row->name, got);
	ck_assert_msg(!row->rule || vt_rule(mount_id, row->rule) == rule + 1,
		      "%s: not counted", row->name);
	rl_leased(rs);
	before = maps();
	ck_assert_msg(byte_at(fd, BLOCK) == row->block1, "%s: block 1 is %#x", row->name,
		      byte_at(fd, BLOCK));
	ck_assert_msg(byte_at(fd, 9 * BLOCK) == 'a', "%s: block 9", row->name);
	ck_assert_msg(maps() == before, "%s: what was leased is asked for", row->name);
	ck_assert_msg(byte_at(fd, 0) == row->block0, "%s: block 0 is %#x", row->name,
		      byte_at(fd, 0));
}

START_TEST(map_answers)
{
	char buf[16 * BLOCK];
	unsigned int i;
	int fd = open(RL_MNT "/f2", O_RDWR);
	char *map;

	ck_assert_int_ge(fd, 0);
	memset(buf, 'a', sizeof(buf));
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
	map = mmap(NULL, sizeof(buf), PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		answer_row(&rows[i], fd, map);
	recall_range(4, 0, 0);
	for (i = 0; i < sizeof(buf); i += BLOCK)
		ck_assert_int_eq(map[i], 'a');
	munmap(map, sizeof(buf));
	close(fd);
}
END_TEST

/* ----------------------------------------------------------------------- the end */

static long after_umount(struct rs *server, void *arg)
{
	struct zufs_recall recall = { .ino = 2, .gen = 1 };
	struct zufs_recall_done done;

	(void)server;
	(void)arg;
	if (!ioctl(the_fd, ZUFS_IOC_RECALL, &recall) || errno != ENXIO)
		return 1;
	return read(the_fd, &done, sizeof(done)) ? 2 : 0;
}

START_TEST(not_of_this_mount_any_more)
{
	vt_umount(RL_MNT);
	ck_assert_int_eq(rs_call(rs, after_umount, NULL, 0), 0);
	vt_mkfs("/dev/pmem0", "zraw");
	vt_mount("zraw", "/dev/pmem0", RL_MNT, NULL);
}
END_TEST

static void setup(void)
{
	rs = rl_start(3, &mount_id);
}

static void teardown(void)
{
	rl_stop(rs);
}

int main(void)
{
	Suite *suite = suite_create("lease-hostile");
	TCase *tc = tcase_create("hostile");

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_add_test(tc, recall_arguments);
	tcase_add_test(tc, recall_up_to_the_last_byte);
	tcase_add_test(tc, wrong_files);
	tcase_add_test(tc, more_than_may_be);
	tcase_add_test(tc, map_answers);
	tcase_add_test(tc, not_of_this_mount_any_more);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
