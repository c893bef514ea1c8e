// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: while callers wait for a server that is silent, moving a caller to another
 *	CPU (taskset, cpuset), taking its CPU away and suspending the machine each
 *	end within a second: a caller sleeps pinned to its CPU for no longer than
 *	some milliseconds. The second is a bar of the project, so it is asserted.
 * TIMEOUT: 60
 *
 * Of a suspend only the freezer is gone through: the next level suspends the 9p
 * device below the root, which its driver does not survive. In a boot of its own
 * ZUFS_SUSPEND_LEVELS="freezer devices platform processors core" does all.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rawserver.h"
#include "vmtest.h"

#define MNT		"mnt"
#define BAR_NS		1000000000ull
#define ROUNDS		6
#define CGROUP		"/sys/fs/cgroup"
#define CPU1_ONLINE	"/sys/devices/system/cpu/cpu1/online"

static struct rs *rs;

static void setup(void)
{
	rs = rs_start(&(struct rs_options) { .channels = 4, .files = 64 });
	vt_mount("zraw", "none", MNT, NULL);
}

static void teardown(void)
{
	rs_release(rs, 0);
	vt_umount(MNT);
	ck_assert_int_eq(rs_stop(rs), 0);
}

/* ---------------------------------------------------------------------- callers */

/*
 * On CPU 1, and free to go: who may run nowhere else is not pinned by the relay.
 */
static void be_on_cpu1(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	CPU_SET(1, &set);
	do {
		vt_pin(1);
		sched_setaffinity(0, sizeof(set), &set);
	} while (sched_getcpu() != 1);
}

static long call_nop(void *unused)
{
	int fd = open(MNT, O_RDONLY), err;

	(void)unused;
	be_on_cpu1();
	err = vt_nop(fd, 5);
	close(fd);
	return err;
}

/* Both of these hold a lock of the directory meanwhile. */
static long call_lookup(void *unused)
{
	struct stat st;
	char path[32];

	(void)unused;
	snprintf(path, sizeof(path), MNT "/no%d", getpid());
	be_on_cpu1();
	return stat(path, &st) ? -errno : 0;
}

static long call_create(void *unused)
{
	char path[32];
	int fd;

	(void)unused;
	snprintf(path, sizeof(path), MNT "/new%d", getpid());
	be_on_cpu1();
	fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0644);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static const struct {
	const char *name;
	unsigned int op;
	long (*fn)(void *unused);
	long want;
} ops[] = {
	{ "nop", ZUFS_OP_NOP, call_nop, 0 },
	{ "lookup", ZUFS_OP_LOOKUP, call_lookup, -ENOENT },
	{ "create", ZUFS_OP_CREATE, call_create, 0 },
};
#define NUM_OPS		((int)(sizeof(ops) / sizeof(ops[0])))

/* A caller on CPU 1, whose request the server has there. */
static struct vt_caller *waiting_caller(int op)
{
	struct vt_caller *c;

	for (;;) {
		rs_hold(rs, ops[op].op, RS_HOLD_BEFORE, 1);
		c = vt_call(ops[op].fn, NULL, -1);
		rs_await_held(rs, 1);
		if (rs->channel[rs_last(rs, ops[op].op)->channel].cpu == 1)
			return c;
		/* the scheduler was faster */
		rs_release(rs, 0);
		ck_assert_int_eq(vt_join(c, NULL), ops[op].want);
	}
}

static void end_caller(struct vt_caller *c, int op)
{
	ck_assert_msg(!atomic_load(&c->done), "%s was answered by nobody", ops[op].name);
	rs_release(rs, 0);
	ck_assert_int_eq(vt_join(c, NULL), ops[op].want);
}

/* Times one action; the longest of all rounds is what counts. */
struct timing {
	const char *name;
	uint64_t longest_ns;
};

static void timed(struct timing *t, int (*action)(void *arg), void *arg)
{
	uint64_t start = vt_now_ns(), ns;
	int err = action(arg);

	ns = vt_now_ns() - start;
	ck_assert_msg(!err, "%s: %s", t->name, strerror(-err));
	if (ns > t->longest_ns)
		t->longest_ns = ns;
}

static void show(const struct timing *t)
{
	printf("%-40s at most %7.1f ms\n", t->name, (double)t->longest_ns / 1e6);
}

/*
 * @bare: the same with nobody waiting, or NULL. On the debug kernel, emulated,
 * that may take a second alone; there the bar holds for what the caller adds.
 */
static void judge(const struct timing *t, const struct timing *bare)
{
	uint64_t limit = BAR_NS + (bare && vt_debug_kernel() ? bare->longest_ns : 0);

	show(t);
	ck_assert_msg(t->longest_ns < limit, "%s took %.1f ms", t->name,
		      (double)t->longest_ns / 1e6);
}

/* ----------------------------------------------------------------- taskset, cpuset */

static int to_cpu0(void *arg)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return sched_setaffinity(*(pid_t *)arg, sizeof(set), &set) ? -errno : 0;
}

START_TEST(taskset)
{
	struct timing t = { .name = "taskset of a waiting caller" };
	int op, round;

	for (op = 0; op < NUM_OPS; op++) {
		for (round = 0; round < ROUNDS; round++) {
			struct vt_caller *c = waiting_caller(op);

			timed(&t, to_cpu0, &c->pid);
			end_caller(c, op);
		}
	}
	judge(&t, NULL);
}
END_TEST

static int cpuset_shrink(void *arg)
{
	return vt_try_write(arg, "0");
}

START_TEST(cpuset)
{
	struct timing t = { .name = "cpuset write under a waiting caller" };
	char cpus[] = CGROUP "/zufs-silent/cpuset.cpus", pid[16];
	int op, round;

	vt_write(CGROUP "/cgroup.subtree_control", "+cpuset");
	ck_assert(!mkdir(CGROUP "/zufs-silent", 0755) || errno == EEXIST);
	for (op = 0; op < NUM_OPS; op++) {
		for (round = 0; round < ROUNDS; round++) {
			struct vt_caller *c;

			vt_write(cpus, "0-1");
			c = waiting_caller(op);
			snprintf(pid, sizeof(pid), "%d", c->pid);
			vt_write(CGROUP "/zufs-silent/cgroup.procs", pid);
			timed(&t, cpuset_shrink, cpus);
			end_caller(c, op);
		}
	}
	ck_assert_int_eq(rmdir(CGROUP "/zufs-silent"), 0);
	judge(&t, NULL);
}
END_TEST

/* ------------------------------------------------------------------------ CPU offline */

static int cpu1_off(void *unused)
{
	(void)unused;
	return vt_try_write(CPU1_ONLINE, "0");
}

START_TEST(cpu_offline)
{
	struct timing t = { .name = "CPU offline below a waiting caller" };
	struct timing bare = { .name = "CPU offline, no caller" };
	struct stat st;
	int op, round;

	for (round = 0; round < 2; round++) {
		timed(&bare, cpu1_off, NULL);
		vt_write(CPU1_ONLINE, "1");
	}
	show(&bare);
	for (op = 0; op < NUM_OPS; op++) {
		for (round = 0; round < 2; round++) {
			struct vt_caller *c = waiting_caller(op);
			uint32_t attaches = atomic_load(&rs->attaches);

			timed(&t, cpu1_off, NULL);
			end_caller(c, op);
			/* CPU 0 serves alone */
			ck_assert(stat(MNT "/nothing", &st) && errno == ENOENT);
			vt_write(CPU1_ONLINE, "1");
			/* the thread that answered comes back to its channel */
			rs_await(&rs->attaches, attaches + 1);
		}
	}
	judge(&t, &bare);
}
END_TEST

/* ---------------------------------------------------------------------------- suspend */

/* NOP and LOOKUP: CREATE would wait for the directory that LOOKUP holds. */
#define SLEEPERS	2

static int suspend(void *level)
{
	int err = vt_try_write("/sys/power/pm_test", level);

	if (!err)
		err = vt_try_write("/sys/power/state", "mem");
	vt_try_write("/sys/power/pm_test", "none");
	return err;
}

/* Each level of a suspend: the processes frozen, then ever more of the machine off. */
static void suspend_level(const char *level)
{
	char name[64], bare_name[64];
	struct timing t = { .name = name }, bare = { .name = bare_name };
	struct vt_caller *c[SLEEPERS];
	int op;

	snprintf(bare_name, sizeof(bare_name), "suspend (%s), no caller", level);
	timed(&bare, suspend, (void *)level);
	show(&bare);
	snprintf(name, sizeof(name), "suspend (%s), %d waiting callers", level, SLEEPERS);
	for (op = 0; op < SLEEPERS; op++) {
		rs_hold(rs, ops[op].op, RS_HOLD_BEFORE, 1);
		c[op] = vt_call(ops[op].fn, NULL, -1);
		rs_await_held(rs, (uint32_t)op + 1);
	}
	timed(&t, suspend, (void *)level);
	rs_release(rs, 0);
	for (op = 0; op < SLEEPERS; op++)
		ck_assert_int_eq(vt_join(c[op], NULL), ops[op].want);
	judge(&t, &bare);
}

START_TEST(suspend_levels)
{
	char levels[128], *level;
	const char *wanted = getenv("ZUFS_SUSPEND_LEVELS");

	snprintf(levels, sizeof(levels), "%s", wanted ? wanted : "freezer");
	vt_write("/sys/module/suspend/parameters/pm_test_delay", "0");
	for (level = strtok(levels, " "); level; level = strtok(NULL, " "))
		suspend_level(level);
	/* and the relay is as before */
	ck_assert_int_eq(call_nop(NULL), 0);
	ck_assert_int_eq(call_create(NULL), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("relay-silent");
	TCase *tc = tcase_create("silent server");

	tcase_set_timeout(tc, 2 * vt_guard_s());
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, taskset);
	tcase_add_test(tc, cpuset);
	tcase_add_test(tc, cpu_offline);
	tcase_add_test(tc, suspend_levels);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
