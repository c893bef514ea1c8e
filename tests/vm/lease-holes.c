// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a write into a hole, whose zero pages somebody has mapped, removes them while a
 *	recall of the file does the same. Each page goes once (the kernel warns otherwise),
 *	and the mapping shows what was written.
 * Method: the server recalls the file when it answers the write; the write is held up for
 *	a random while before it copies, so that the two meet.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "rawlease.h"
#include "vmtest.h"

#define BLOCK	4096ul
#define POINTS	"/sys/kernel/debug/zuf/points"
#define INO	2u		/* of f0 */

enum { USER_FILLED };		/* rs->user[]: the file has its place */

static struct rs *rs;
static uint64_t mount_id;

/* A hole until MAP_DONE says otherwise; its place is new to who writes. */
static enum rs_next hole_or_new(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_map_in *in = m->in;
	struct zufs_extent *ext = m->out_payload;
	bool filled = atomic_load(&ch->rs->user[USER_FILLED]);
	struct zufs_recall recall = { .ino = INO, .gen = 1, .cookie = 1 };

	ext->file_off = 0;
	ext->len_bytes = RL_FILE_BYTES;
	ext->flags = ZUFS_EXTF_LEASE_R;
	if (filled)
		return RS_REPLY;
	if (!(in->flags & ZUFS_MAP_WRITE)) {
		ext->type = ZUFS_EXT_HOLE;
		return RS_REPLY;
	}
	ext->flags = ZUFS_EXTF_NEW;
	ck_assert_int_eq(rl_recall_here(&recall), 0);
	return RS_REPLY;
}

static enum rs_next fill(struct rs_channel *ch, struct rf_msg *m)
{
	(void)m;
	atomic_store(&ch->rs->user[USER_FILLED], 1);
	return RS_REPLY;
}

static void check_bytes(const char *map, char value)
{
	unsigned long i;

	for (i = 0; i < RL_FILE_BYTES; i += BLOCK / 2)
		ck_assert_msg(map[i] == value, "byte %lu is %d, not %d", i, map[i], value);
}

static void write_while_recalled(int fd, char *map, unsigned int round)
{
	static char buf[RL_FILE_BYTES];
	char value = (char)(1 + round % 100), point[64];

	/* the hole is there again */
	rl_recall_file(rs, 0);
	rl_await_done(rs, 1);
	atomic_store(&rs->user[USER_FILLED], 0);
	check_bytes(map, 0);
	snprintf(point, sizeof(point), "mapped delay_us %u", (unsigned int)(vt_random() % 3000));
	vt_write(POINTS, point);
	memset(buf, value, sizeof(buf));
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
	vt_write(POINTS, "off");
	rl_await_done(rs, 1);
	check_bytes(map, value);
}

START_TEST(zero_pages_go_once)
{
	unsigned int round, rounds = vt_debug_kernel() ? 30 : 100;
	int fd = open(RL_MNT "/f0", O_RDWR);
	char *map;

	ck_assert_int_ge(fd, 0);
	/* points act on tasks of this name */
	ck_assert_int_eq(prctl(PR_SET_NAME, "zkill-holes"), 0);
	ck_assert_int_eq(ftruncate(fd, RL_FILE_BYTES), 0);
	map = mmap(NULL, RL_FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = -1, .hook = hole_or_new });
	rs_arm(rs, ZUFS_OP_MAP_DONE, &(struct rs_script) { .times = -1, .hook = fill });
	for (round = 0; round < rounds; round++)
		write_while_recalled(fd, map, round);
	munmap(map, RL_FILE_BYTES);
	close(fd);
}
END_TEST

static void setup(void)
{
	/* patched in before anything runs in it */
	vt_write(POINTS, "off");
	rs = rl_start(1, &mount_id);
}

static void teardown(void)
{
	rl_stop(rs);
}

int main(void)
{
	Suite *suite = suite_create("lease-holes");
	TCase *tc = tcase_create("holes");

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_add_test(tc, zero_pages_go_once);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
