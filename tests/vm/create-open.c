// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: CREATE_OPEN gives an open file, or what was there; whatever the server answers,
 *	and whenever the caller dies, no handle and no open file is left behind.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rawserver.h"
#include "vmtest.h"

#define MNT	"mnt"

static struct rs *rs;
static uint64_t mount_id;

static void start(uint64_t features)
{
	rs = rs_start(&(struct rs_options) {
		.channels = 2, .files = 8, .features = features | ZUFS_MF_CREATE_OPEN,
	});
	vt_mount(rs->options.type, "none", MNT, NULL);
	mount_id = vt_mount_id();
}

static void setup(void)
{
	start(ZUFS_MF_OPEN);
}

static void setup_without_open(void)
{
	start(0);
}

static void teardown(void)
{
	const struct rf_counts *counts = &rs->counts;

	vt_umount(MNT);
	printf("the server is left with %ld handles, %ld opens; %ld were given back wildly\n",
	       counts->handles, counts->opens, counts->wild);
	ck_assert(!counts->handles && !counts->opens && !counts->wild);
	ck_assert_int_eq(rs_stop(rs), 0);
}

static long create(void *name)
{
	int fd = open(name, O_CREAT | O_RDWR, 0644);

	return fd < 0 ? -errno : close(fd);
}

static uint32_t seen(unsigned int op)
{
	return atomic_load(&rs->seen[op]);
}

/* ---------------------------------------------------------------------- answers */

static bool none_open(void *unused)
{
	(void)unused;
	return !atomic_load(&rs->counts.opens);
}

START_TEST(opens_what_it_makes)
{
	uint32_t lookups = seen(ZUFS_OP_LOOKUP), opens = seen(ZUFS_OP_OPEN);
	long with_open = rs->options.features & ZUFS_MF_OPEN ? 1 : 0;
	struct stat st;
	int fd, other;

	fd = open(MNT "/new", O_CREAT | O_EXCL | O_RDWR, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(atomic_load(&rs->counts.opens), with_open);
	ck_assert_uint_eq(seen(ZUFS_OP_LOOKUP), lookups);
	ck_assert_uint_eq(seen(ZUFS_OP_OPEN), opens);
	ck_assert_uint_eq(seen(ZUFS_OP_CREATE_OPEN), 1);
	ck_assert(!fstat(fd, &st) && st.st_mode == (S_IFREG | 0600));
	ck_assert_int_eq(write(fd, "text", 4), 4);
	/* what is there: one that the kernel has not heard of yet, and this one */
	other = open(MNT "/f0", O_CREAT | O_RDWR, 0600);
	ck_assert_int_ge(other, 0);
	ck_assert_int_eq(atomic_load(&rs->counts.opens), 2 * with_open);
	close(other);
	ck_assert(open(MNT "/f1", O_CREAT | O_EXCL | O_RDWR, 0600) < 0 && errno == EEXIST);
	ck_assert(open(MNT "/new", O_CREAT | O_EXCL | O_RDWR, 0600) < 0 && errno == EEXIST);
	close(fd);
	vt_await(none_open, NULL, "the RELEASEs");
}
END_TEST

static enum rs_next created_two(struct rs_channel *ch, struct rf_msg *m)
{
	(void)ch;
	((struct zufs_create_open_out *)m->out)->created = 2;
	return RS_REPLY;
}

static enum rs_next no_handle(struct rs_channel *ch, struct rf_msg *m)
{
	(void)ch;
	((struct zufs_create_open_out *)m->out)->create.entry.handle = 0;
	return RS_REPLY;
}

static enum rs_next of_another_type(struct rs_channel *ch, struct rf_msg *m)
{
	struct zufs_create_open_out *out = m->out;

	(void)ch;
	out->create.entry.attr.mode = S_IFDIR | 0755;
	out->create.entry.attr.nlink = 2;
	return RS_REPLY;
}

static enum rs_next open_but_not_made(struct rs_channel *ch, struct rf_msg *m)
{
	(void)ch;
	((struct zufs_create_open_out *)m->out)->created = 0;
	return RS_REPLY;
}

static enum rs_next dir_without_links(struct rs_channel *ch, struct rf_msg *m)
{
	(void)ch;
	((struct zufs_create_open_out *)m->out)->create.dir.nlink = 0;
	return RS_REPLY;
}

/* What the server says that it had given out, and did not: its own loss, no one else's. */
START_TEST(hostile_answers)
{
	static const struct {
		const char *what;
		rs_hook hook;
	} hooks[] = {
		{ "created is 2", created_two }, { "no handle", no_handle },
		{ "another type", of_another_type }, { "open, not made", open_but_not_made },
		{ "directory without links", dir_without_links },
	};
	char name[32];
	size_t i;

	for (i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		long err;

		snprintf(name, sizeof(name), MNT "/h%zu", i);
		rs_arm(rs, ZUFS_OP_CREATE_OPEN,
		       &(struct rs_script) { .times = 1, .hook = hooks[i].hook });
		err = create(name);
		ck_assert_msg(err == -EIO, "%s: %ld", hooks[i].what, err);
		ck_assert_int_eq(create(MNT "/f2"), 0);
	}
	/* what was refused counts as not given out: the server is not to be helped */
	atomic_store(&rs->counts.handles, 1);
	atomic_store(&rs->counts.opens, 0);
	vt_umount(MNT);
	rs_kill(rs);
}
END_TEST

/* ------------------------------------------------------------------------ deaths */

static void killed(enum rs_hold hold, const char *name)
{
	struct vt_caller *caller;
	bool died;

	rs_hold(rs, ZUFS_OP_CREATE_OPEN, hold, 1);
	caller = vt_call(create, (void *)name, -1);
	rs_await_held(rs, 1);
	kill(caller->pid, SIGKILL);
	vt_join(caller, &died);
	ck_assert(died);
	rs_release(rs, 0);
	vt_await_number(mount_id, "orphans", 0);
	vt_await(none_open, NULL, "the late file's RELEASE");
}

START_TEST(caller_dies)
{
	struct stat st;

	killed(RS_HOLD_BEFORE, MNT "/before");
	killed(RS_HOLD_AFTER, MNT "/after");
	killed(RS_HOLD_AFTER, MNT "/f3");
	/* the late answers: made, and nobody has them open */
	ck_assert_int_eq(stat(MNT "/before", &st), 0);
	ck_assert_int_eq(stat(MNT "/after", &st), 0);
	ck_assert_int_eq(stat(MNT "/f3", &st), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("create-open");
	TCase *with = tcase_create("with OPEN"), *without = tcase_create("without OPEN");
	TCase *hostile = tcase_create("hostile");

	tcase_set_timeout(with, vt_guard_s());
	tcase_set_timeout(without, vt_guard_s());
	tcase_set_timeout(hostile, vt_guard_s());
	tcase_add_checked_fixture(with, setup, teardown);
	tcase_add_test(with, opens_what_it_makes);
	tcase_add_test(with, caller_dies);
	suite_add_tcase(suite, with);
	tcase_add_checked_fixture(without, setup_without_open, teardown);
	tcase_add_test(without, opens_what_it_makes);
	suite_add_tcase(suite, without);
	tcase_add_checked_fixture(hostile, setup, NULL);
	tcase_add_test(hostile, hostile_answers);
	suite_add_tcase(suite, hostile);
	return vt_main(suite);
}
