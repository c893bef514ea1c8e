// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: whatever a server answers to LOCK, and whenever its caller dies or a file is closed
 *	meanwhile, it hears of an unlock of all that it has granted and nobody has.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rawserver.h"
#include "vmtest.h"

#define FILE_NAME	"mnt/f0"
#define UNLOCKS		0		/* in rs->user: LOCKs that came in BATCH */

static struct rs *rs;
static uint64_t mount_id;

static enum rs_next count_unlocks(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_batch_in *in = m->in;
	const struct zufs_forced *msg = m->payload;
	uint32_t i;

	for (i = 0; i < in->count; i++, msg++)
		if (msg->op == ZUFS_OP_LOCK && msg->flags == ZUFS_LOCK_POSIX)
			atomic_fetch_add(&ch->rs->user[UNLOCKS], 1);
	return RS_REPLY;
}

/* Grants whatever it is asked for. */
static void setup(void)
{
	rs = rs_start(&(struct rs_options) { .channels = 2, .files = 2, .features = ZUFS_MF_LOCKS });
	rs_arm(rs, ZUFS_OP_BATCH, &(struct rs_script) { .times = -1, .hook = count_unlocks });
	vt_mount(rs->options.type, "none", "mnt", NULL);
	mount_id = vt_mount_id();
}

static void teardown(void)
{
	vt_umount("mnt");
	ck_assert(!rs->counts.handles && !rs->counts.wild);
	ck_assert_int_eq(rs_stop(rs), 0);
}

static uint32_t seen(void)
{
	return atomic_load(&rs->seen[ZUFS_OP_LOCK]);
}

static void await_unlocks(uint32_t count)
{
	rs_await(&rs->user[UNLOCKS], count);
	ck_assert_uint_eq(atomic_load(&rs->user[UNLOCKS]), count);
}

static int file_open(void)
{
	int fd = open(FILE_NAME, O_RDWR);

	ck_assert_msg(fd >= 0, "%s: %s", FILE_NAME, strerror(errno));
	return fd;
}

static int lock(int fd, int cmd, struct flock *args)
{
	return fcntl(fd, cmd, args) ? -errno : 0;
}

static int set(int fd, short type, off_t start, off_t len)
{
	return lock(fd, F_SETLK, &(struct flock) { .l_type = type, .l_start = start, .l_len = len });
}

static int locked_lines(void)
{
	const char *line = vt_read("/proc/locks");
	int count = 0;

	for (; *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : "")
		count += strstr(line, "POSIX") ? 1 : 0;
	return count;
}

/* ---------------------------------------------------------------------- answers */

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define CONFLICT(n, ...)							\
static enum rs_next conflict_##n(struct rs_channel *ch, struct rf_msg *m)	\
{										\
	(void)ch;								\
	*(struct zufs_lock_out *)m->out = (struct zufs_lock_out) { __VA_ARGS__ }; \
	return RS_REPLY;							\
}

CONFLICT(0, 10, 12, 3, 7)
CONFLICT(1, 12, 10, ZUFS_LOCK_WRLCK, 7)
CONFLICT(2, 0, 9, ZUFS_LOCK_WRLCK, 7)
CONFLICT(3, 20, 30, ZUFS_LOCK_WRLCK, 7)
CONFLICT(4, 10, ZUFS_LOCK_END + 1, ZUFS_LOCK_WRLCK, 7)
CONFLICT(5, 10, 19, ZUFS_LOCK_RDLCK, 7)
CONFLICT(6, 10, 19, ZUFS_LOCK_WRLCK, 7, ZUFS_LOCK_FLOCK)
CONFLICT(7, 0, 10, ZUFS_LOCK_WRLCK, 7, ZUFS_LOCK_POSIX)
CONFLICT(8, 19, ZUFS_LOCK_END, ZUFS_LOCK_WRLCK, 0, ZUFS_LOCK_OFD)

START_TEST(conflicts_are_checked)
{
	static const rs_hook hooks[] = {
		conflict_0, conflict_1, conflict_2, conflict_3, conflict_4, conflict_5, conflict_6,
		conflict_7, conflict_8,
	};
	int bad = 7, fd = file_open(), i, err;

	for (i = 0; i < 9; i++) {
		struct flock args = { .l_type = F_RDLCK, .l_start = 10, .l_len = 10 };

		rs_arm(rs, ZUFS_OP_LOCK, &(struct rs_script) { .times = 1, .hook = hooks[i] });
		err = lock(fd, F_GETLK, &args);
		ck_assert_msg(err == (i < bad ? -EIO : 0), "%d: %d", i, err);
		ck_assert_int_eq(vt_rule(mount_id, "lock"), i < bad ? i + 1 : bad);
		if (i >= bad) {
			ck_assert_int_eq(args.l_type, F_WRLCK);
			ck_assert_int_eq(args.l_start, i == 7 ? 0 : 19);
			ck_assert_int_eq(args.l_len, i == 7 ? 11 : 0);
			ck_assert_int_eq(args.l_pid, i == 7 ? 7 : -1);
		}
	}
	close(fd);
}
END_TEST

START_TEST(errors_pass)
{
	static const int errors[] = { EAGAIN, EDEADLK, ENOLCK, EINTR, EPERM };
	int fd = file_open();
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		rs_arm(rs, ZUFS_OP_LOCK, &(struct rs_script) { .times = 1, .err = -errors[i] });
		ck_assert_int_eq(set(fd, F_WRLCK, 0, 0), -errors[i]);
	}
	ck_assert_int_eq(locked_lines(), 0);
	ck_assert_int_eq(set(fd, F_WRLCK, 0, 0), 0);
	/* it has it, whatever the server says; which hears of it again */
	rs_arm(rs, ZUFS_OP_LOCK, &(struct rs_script) { .times = 1, .err = -ENOLCK });
	ck_assert_int_eq(set(fd, F_UNLCK, 0, 0), -ENOLCK);
	ck_assert_int_eq(locked_lines(), 0);
	await_unlocks(1);
	close(fd);
}
END_TEST

static long set_once(void *unused)
{
	(void)unused;
	return set(file_open(), F_WRLCK, 0, 10);
}

/* Granted to two at once. */
START_TEST(grants_conflict)
{
	int fd = file_open();

	ck_assert_int_eq(set(fd, F_WRLCK, 5, 1), 0);
	ck_assert_int_eq(vt_join(vt_call(set_once, NULL, -1), NULL), -EIO);
	ck_assert_int_eq(vt_rule(mount_id, "lock"), 1);
	await_unlocks(1);
	ck_assert_int_eq(locked_lines(), 1);
	close(fd);
	await_unlocks(2);
	ck_assert_int_eq(locked_lines(), 0);
}
END_TEST

/* ----------------------------------------------------------------------- deaths */

static void killed(enum rs_hold hold, uint32_t unlocks)
{
	struct vt_caller *caller;
	bool died;

	rs_hold(rs, ZUFS_OP_LOCK, hold, 1);
	caller = vt_call(set_once, NULL, -1);
	rs_await_held(rs, 1);
	kill(caller->pid, SIGKILL);
	vt_join(caller, &died);
	ck_assert(died);
	ck_assert_uint_eq(atomic_load(&rs->user[UNLOCKS]), unlocks - 1);
	rs_release(rs, 0);
	await_unlocks(unlocks);
	vt_await_number(mount_id, "orphans", 0);
}

START_TEST(caller_dies)
{
	int fd = file_open();

	killed(RS_HOLD_BEFORE, 1);
	killed(RS_HOLD_AFTER, 2);
	ck_assert_int_eq(locked_lines(), 0);
	ck_assert_int_eq(set(fd, F_WRLCK, 0, 0), 0);
	close(fd);
	await_unlocks(3);
}
END_TEST

/* The next one waits for what became of the dead one's. */
START_TEST(next_waits_for_the_dead)
{
	struct vt_caller *dead, *next;

	rs_hold(rs, ZUFS_OP_LOCK, RS_HOLD_AFTER, 1);
	dead = vt_call(set_once, NULL, -1);
	rs_await_held(rs, 1);
	kill(dead->pid, SIGKILL);
	vt_join(dead, NULL);
	next = vt_call(set_once, NULL, -1);
	rs_await(&next->running, 1);
	vt_await_state(next->pid, "D");
	ck_assert_uint_eq(seen(), 1);
	rs_release(rs, 0);
	ck_assert_int_eq(vt_join(next, NULL), 0);
	ck_assert_uint_eq(seen(), 2);
	await_unlocks(2);
}
END_TEST

/* ----------------------------------------------------------------------- closes */

static void *set_late(void *fd)
{
	return (void *)(long)set(*(int *)fd, F_WRLCK, 10, 1);
}

/* In a process of its own: the close takes all that the process has. */
static long close_meanwhile(void *unused)
{
	int fd = file_open(), other = file_open();
	pthread_t thread;
	void *err;

	(void)unused;
	if (set(fd, F_WRLCK, 0, 1))
		return -1;
	rs_hold(rs, ZUFS_OP_LOCK, RS_HOLD_AFTER, 1);
	pthread_create(&thread, NULL, set_late, &fd);
	rs_await_held(rs, 1);
	close(other);			/* waits for nobody */
	rs_release(rs, 0);
	pthread_join(thread, &err);
	if (err || locked_lines() != 1)
		return -2;
	/* asked once more, after the unlock had been served */
	return seen() == 3 && atomic_load(&rs->user[UNLOCKS]) == 1 ? 0 : -3;
}

START_TEST(grant_crosses_close)
{
	ck_assert_int_eq(vt_join(vt_call(close_meanwhile, NULL, -1), NULL), 0);
	await_unlocks(2);
	ck_assert_int_eq(locked_lines(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lock-calls");
	TCase *tc = tcase_create("lock-calls");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, conflicts_are_checked);
	tcase_add_test(tc, errors_pass);
	tcase_add_test(tc, grants_conflict);
	tcase_add_test(tc, caller_dies);
	tcase_add_test(tc, next_waits_for_the_dead);
	tcase_add_test(tc, grant_crosses_close);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
