// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: callers that find no free operation slot get one in the order of their coming:
 *	who is done and comes again overtakes nobody. They can be killed meanwhile, or be
 *	told that the mount is aborted, and no slot is lost or skips a number.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rawops.h"
#include "rawserver.h"
#include "vmtest.h"

#define SLOTS_PER_CPU	64	/* ZUF_SLOTS_PER_CPU */
#define WAITERS		32
#define CALLERS_MAX	(16 * SLOTS_PER_CPU + WAITERS)

static struct rs *rs;
static uint64_t mount_id;
static int num_slots, num_callers;
static struct vt_caller *caller[CALLERS_MAX];
static pid_t pid[CALLERS_MAX];
static int file[CALLERS_MAX];
static _Atomic uint32_t *changes;

/* One channel, so that requests come to the server one after the other. */
static void start(void)
{
	static char type[16];
	char path[32];
	int i;

	num_slots = vt_num_cpus() * SLOTS_PER_CPU;
	num_callers = num_slots + WAITERS;
	ck_assert_int_le(num_callers, CALLERS_MAX);
	snprintf(type, sizeof(type), "zraw%d", getpid());
	rs = rs_start(&(struct rs_options) { .type = type, .channels = 1, .cpus = 1,
					     .files = (unsigned int)num_callers });
	vt_mount(type, "none", RO_MNT, NULL);
	mount_id = vt_mount_id();
	for (i = 0; i < num_callers; i++) {
		snprintf(path, sizeof(path), RO_MNT "/f%d", i);
		file[i] = open(path, O_RDONLY);
		ck_assert_int_ge(file[i], 0);
	}
}

static void stop(void)
{
	int i;

	rs_release(rs, 0);
	for (i = 0; i < num_callers; i++)
		close(file[i]);
	vt_umount(RO_MNT);
	ck_assert_int_eq(rs_stop(rs), 0);
}

/* A changing operation; each on a file of its own, so that no lock of an inode is waited for. */
static long change(void *fd)
{
	return fchmod((int)(intptr_t)fd, 0600) ? -errno : 0;
}

static long change_twice(void *fd)
{
	long err = change(fd);

	atomic_fetch_add(changes, 1);
	return err ? err : change(fd);
}

/* The first is with the server, the last WAITERS have no slot, in this order. */
static void line_up(long (*fn)(void *fd))
{
	int i;

	rs_hold(rs, ZUFS_OP_SETATTR, RS_HOLD_BEFORE, -1);
	for (i = 0; i < num_callers; i++) {
		caller[i] = vt_call(fn, (void *)(intptr_t)file[i], 0);
		pid[i] = caller[i]->pid;
		if (!i)
			rs_await_held(rs, 1);
		else
			vt_await_state(pid[i], "D");
	}
}

static void join_all(long result)
{
	int i;

	for (i = 0; i < num_callers; i++)
		if (caller[i])
			ck_assert_int_eq(vt_join(caller[i], NULL), result);
}

/* The n-th changing request that came, or NULL. */
static const struct rs_log *nth_change(int n)
{
	uint32_t i, count = atomic_load(&rs->log_count);

	ck_assert_int_le(count, RS_LOG_MAX);
	for (i = 0; i < count; i++)
		if (rs->log[i].op == ZUFS_OP_SETATTR && !n--)
			return &rs->log[i];
	return NULL;
}

/* All slots were in use, and in each of them no sequence number is missing. */
static void check_slots(void)
{
	static uint64_t last[16 * SLOTS_PER_CPU];
	const struct rs_log *log;
	int i, used = 0;

	for (i = 0; i < num_slots; i++)
		last[i] = 0;
	for (i = 0; (log = nth_change(i)); i++) {
		ck_assert_int_lt(log->op_slot, num_slots);
		used += !last[log->op_slot];
		ck_assert_msg(!last[log->op_slot] || log->op_seq == last[log->op_slot] + 1,
			      "slot %u goes on from %llu with %llu", log->op_slot,
			      (unsigned long long)last[log->op_slot],
			      (unsigned long long)log->op_seq);
		last[log->op_slot] = log->op_seq;
	}
	ck_assert_int_eq(used, num_slots);
}

/* Number i is done and comes again, and its slot goes to the one whose turn it is. */
static void step(int i)
{
	uint32_t before = atomic_load(changes);

	rs_release(rs, 1);
	rs_await(changes, before + 1);
	/* the one was woken before the other was done; now both wait for something else */
	vt_await_state(pid[i], "D");
	vt_await_state(pid[num_slots + i], "D");
}

START_TEST(in_turn)
{
	int i;

	changes = vt_shared(sizeof(*changes));
	line_up(change_twice);
	for (i = 0; i < WAITERS; i++)
		step(i);
	rs_release(rs, 0);
	join_all(0);
	for (i = 0; i < num_callers; i++)
		ck_assert_msg(nth_change(i)->pid == (uint32_t)pid[i],
			      "number %d did not come in its turn", i + 1);
	check_slots();
}
END_TEST

START_TEST(killed_in_line)
{
	bool killed;
	int i;

	line_up(change);
	for (i = num_slots; i < num_callers; i += 3) {
		kill(pid[i], SIGKILL);
		vt_join(caller[i], &killed);
		ck_assert(killed);
		caller[i] = NULL;
	}
	rs_release(rs, 0);
	join_all(0);
	line_up(change);
	rs_release(rs, 0);
	join_all(0);
	check_slots();
}
END_TEST

START_TEST(aborted)
{
	line_up(change);
	vt_abort(mount_id);
	join_all(-EIO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("relay-slots");
	TCase *tc = tcase_create("slots");

	tcase_set_timeout(tc, 2 * vt_guard_s());
	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, in_turn);
	tcase_add_test(tc, killed_in_line);
	tcase_add_test(tc, aborted);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
