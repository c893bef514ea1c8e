// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: while the server clones a file, or compares it, others read the source, and nobody
 *	writes to it, not even where a lease would do.
 * Method: the hook of COPY holds the answer back until the test has seen what others can do.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rawlease.h"
#include "vmtest.h"

#define TO		RL_MNT "/f0"
#define FROM		RL_MNT "/f1"
#define BYTES		4096u
#define TO_INO		2u

enum { U_COPYING, U_MAY_END };

static struct rs *rs;
static struct zufs_attr *to_attr;

/* ---------------------------------------------------------------- in the server */

static enum rs_next answer_copy(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_copy_in *in = m->in;
	struct zufs_copy_out *out = m->out;

	atomic_store(&ch->rs->user[U_COPYING], 1);
	while (!atomic_load(&ch->rs->user[U_MAY_END]))
		usleep(1000);
	m->reply->err = 0;
	m->reply->fixed_bytes = sizeof(*out);
	out->copied_bytes = in->len_bytes;
	out->attr = *to_attr;
	return RS_REPLY;
}

/* ----------------------------------------------------------------- the callers */

static long clone_all(void *arg)
{
	int to = open(TO, O_RDWR), from = open(FROM, O_RDONLY);

	(void)arg;
	return to < 0 || from < 0 || ioctl(to, FICLONE, from) ? -errno : 0;
}

static long dedupe_all(void *arg)
{
	int to = open(TO, O_RDWR), from = open(FROM, O_RDONLY);
	struct {
		struct file_dedupe_range range;
		struct file_dedupe_range_info info;
	} args = {
		.range = { .src_length = BYTES, .dest_count = 1 }, .info = { .dest_fd = to },
	};

	(void)arg;
	if (to < 0 || from < 0 || ioctl(from, FIDEDUPERANGE, &args))
		return -errno;
	return args.info.status;
}

static long write_byte(void *arg)
{
	int fd = open(FROM, O_RDWR);
	long ret = fd < 0 || pwrite(fd, "w", 1, 1) != 1 ? -errno : 0;

	(void)arg;
	close(fd);
	return ret;
}

/* ------------------------------------------------------------------- the tests */

static struct vt_caller *cloner;

static void begin(long (*fn)(void *arg))
{
	ck_assert_int_eq(rs_attr(rs, TO_INO, to_attr), 0);
	cloner = vt_call(fn, NULL, 0);
	rs_await(&rs->user[U_COPYING], 1);
}

static void end(void)
{
	ck_assert(!atomic_load(&cloner->done));
	atomic_store(&rs->user[U_MAY_END], 1);
	ck_assert_int_eq(vt_join(cloner, NULL), 0);
	ck_assert_int_eq(vt_rule(vt_mount_id(), "written"), 0);
}

static void read_source(void)
{
	int fd = open(FROM, O_RDONLY);
	char byte;

	ck_assert_int_eq(pread(fd, &byte, 1, 0), 1);
	close(fd);
}

START_TEST(reads_go_on)
{
	begin(_i ? dedupe_all : clone_all);
	read_source();
	end();
}
END_TEST

/* What was read meanwhile has left a lease that is good for writes, too. */
START_TEST(a_write_waits)
{
	struct vt_caller *writer;

	ck_assert_int_eq(write_byte(NULL), 0);
	begin(_i ? dedupe_all : clone_all);
	read_source();
	writer = vt_call(write_byte, NULL, 1);
	vt_await_state(writer->pid, "D");
	ck_assert(!atomic_load(&writer->done));
	end();
	ck_assert_int_eq(vt_join(writer, NULL), 0);
}
END_TEST

static void setup(void)
{
	uint64_t mount_id;

	vt_pin(1);
	to_attr = vt_shared(sizeof(*to_attr));
	rs = rl_start_with(2, ZUFS_MF_LEASES | ZUFS_MF_COW | ZUFS_MF_COPY | ZUFS_MF_CLONE,
			   &mount_id);
	rl_leased(rs);
	rs_arm(rs, ZUFS_OP_COPY, &(struct rs_script) { .times = -1, .hook = answer_copy });
}

static void teardown(void)
{
	rl_stop(rs);
}

int main(void)
{
	Suite *suite = suite_create("clone-reads");
	TCase *tc = tcase_create("clone-reads");

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, reads_go_on, 0, 2);
	tcase_add_loop_test(tc, a_write_waits, 0, 2);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
