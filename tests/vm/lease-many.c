// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: one recall takes the leases of every inode of a mount, also of those that come
 *	and go meanwhile, and nothing of another inode's; then each is asked for once more.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rawlease.h"
#include "vmtest.h"

#define BLOCK	4096ul

static struct rs *rs;
static uint64_t mount_id;
static unsigned int files;

/* Where the file is anyway, one lease each. */
static enum rs_next leased(struct rs_channel *ch, struct rf_msg *m)
{
	struct zufs_extent *ext = m->out_payload;

	(void)ch;
	if (!m->reply->err)
		ext->flags = ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W;
	return RS_REPLY;
}

static int file_open(unsigned int file)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), RL_MNT "/f%u", file);
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Each file by read(2) and by a mapping: its own number. */
static void check_all(void)
{
	unsigned int file, got;
	char *map;
	int fd;

	for (file = 0; file < files; file++) {
		fd = file_open(file);
		ck_assert_int_eq(pread(fd, &got, sizeof(got), 0), sizeof(got));
		ck_assert_uint_eq(got, file);
		map = mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, fd, 0);
		ck_assert_ptr_ne(map, MAP_FAILED);
		memcpy(&got, map, sizeof(got));
		ck_assert_uint_eq(got, file);
		munmap(map, BLOCK);
		close(fd);
	}
}

static long open_and_close(void *arg)
{
	_Atomic uint32_t *stop = arg;
	char path[32];
	unsigned int i;
	int fd;

	for (i = 0; !atomic_load(stop); i++) {
		snprintf(path, sizeof(path), RL_MNT "/new%u", i % 7);
		fd = open(path, O_RDWR | O_CREAT, 0600);
		if (fd < 0 || pwrite(fd, path, sizeof(path), 0) != sizeof(path) || unlink(path))
			return -errno;
		close(fd);
	}
	return 0;
}

static void recall_all(uint64_t cookie, uint32_t flags)
{
	const struct zufs_recall recall = { .cookie = cookie, .flags = flags };

	ck_assert_int_eq(rl_recall(rs, &recall), 0);
	rl_await_done(rs, cookie);
}

START_TEST(the_whole_mount)
{
	_Atomic uint32_t *stop = vt_shared(sizeof(*stop));
	struct vt_caller *caller;
	long maps, recalled;
	unsigned int file;
	bool killed;
	int fd;

	for (file = 0; file < files; file++) {
		fd = file_open(file);
		ck_assert_int_eq(pwrite(fd, &file, sizeof(file), 0), sizeof(file));
		close(fd);
	}
	check_all();
	maps = vt_op_count(mount_id, "map");
	check_all();
	ck_assert_int_eq(vt_op_count(mount_id, "map"), maps);
	recalled = vt_lease(mount_id, "recalled");
	recall_all(1, 0);
	ck_assert_int_ge(vt_lease(mount_id, "recalled") - recalled, files);
	check_all();
	ck_assert_int_eq(vt_op_count(mount_id, "map"), maps + files);
	caller = vt_call(open_and_close, stop, -1);
	for (file = 0; file < 10; file++)
		recall_all(2 + file, file % 2 ? ZUFS_RECALL_DOWNGRADE : 0);
	atomic_store(stop, 1);
	ck_assert_int_eq(vt_join(caller, &killed), 0);
	check_all();
}
END_TEST

static void setup(void)
{
	const char *text = getenv("LEASE_FILES");

	files = text ? (unsigned int)strtoul(text, NULL, 0) : vt_debug_kernel() ? 100 : 400;
	rs = rl_start(files, &mount_id);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = -1, .hook = leased });
}

static void teardown(void)
{
	rl_stop(rs);
}

int main(void)
{
	Suite *suite = suite_create("lease-many");
	TCase *tc = tcase_create("many");

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_whole_mount);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
