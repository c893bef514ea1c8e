// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: callers that find no free channel are served in the order of their coming,
 *	all of them, and can be killed meanwhile. Channels whose thread is moved
 *	away, or whose CPU goes, rest until it is back; nobody notices but by speed.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rawops.h"
#include "rawserver.h"
#include "vmtest.h"

#define CALLERS		64
#define CPU1_ONLINE	"/sys/devices/system/cpu/cpu1/online"

static struct rs *rs;
static uint64_t mount_id;

static void start(unsigned int channels, uint64_t cpus)
{
	static char type[16];

	snprintf(type, sizeof(type), "zraw%d", getpid());
	rs = rs_start(&(struct rs_options) { .type = type, .channels = channels, .cpus = cpus,
					     .files = 8, .links = 8 });
	vt_mount(type, "none", RO_MNT, NULL);
	mount_id = vt_mount_id();
}

static void stop(void)
{
	rs_release(rs, 0);
	ck_assert_int_eq(vt_mount_number(mount_id, "orphans"), 0);
	vt_umount(RO_MNT);
	ck_assert_int_eq(rs_stop(rs), 0);
}

static long nop_cookie(void *cookie)
{
	int fd = open(RO_MNT, O_RDONLY), err;

	err = vt_nop(fd, (uint64_t)(uintptr_t)cookie);
	close(fd);
	return err;
}

/* --------------------------------------------------------------------- in a line */

/* The cookies of the NOPs, in the order in which they came to the server. */
static int nops_seen(uint64_t *cookies, int max)
{
	uint32_t i, count = atomic_load(&rs->log_count);
	int n = 0;

	for (i = 0; i < count && n < max; i++)
		if (rs->log[i % RS_LOG_MAX].op == ZUFS_OP_NOP)
			cookies[n++] = rs->log[i % RS_LOG_MAX].cookie;
	return n;
}

/* One is with the server, the others stand in line behind it, in this order. */
static void line_up(struct vt_caller **c, int cpu)
{
	int i;

	rs_hold(rs, ZUFS_OP_NOP, RS_HOLD_BEFORE, -1);
	for (i = 0; i < CALLERS; i++) {
		c[i] = vt_call(nop_cookie, (void *)(uintptr_t)(i + 1), cpu);
		if (!i)
			rs_await_held(rs, 1);
		else
			vt_await_state(c[i]->pid, "D");
	}
	ck_assert_int_eq(vt_mount_number(mount_id, "inflight"), 1);
}

static void check_order(int cpu, const char *what)
{
	struct vt_caller *c[CALLERS];
	uint64_t cookies[CALLERS];
	int i, n;

	start(1, 1);
	line_up(c, cpu);
	rs_release(rs, 0);
	for (i = 0; i < CALLERS; i++)
		ck_assert_int_eq(vt_join(c[i], NULL), 0);
	n = nops_seen(cookies, CALLERS);
	ck_assert_int_eq(n, CALLERS);
	for (i = 0; i < n; i++)
		ck_assert_msg(cookies[i] == (uint64_t)i + 1, "%s: number %llu came as %d", what,
			      (unsigned long long)cookies[i], i + 1);
	stop();
}

START_TEST(fifo)
{
	check_order(0, "on the server's CPU");
	check_order(1, "on another CPU");
}
END_TEST

START_TEST(killed_in_line)
{
	static const int victims[] = { 1, 10, 11, 40, CALLERS - 1 };
	const int num_victims = (int)(sizeof(victims) / sizeof(victims[0]));
	struct vt_caller *c[CALLERS];
	uint64_t cookies[CALLERS];
	int i, v, n;
	bool killed;

	start(1, 1);
	line_up(c, -1);
	for (v = 0; v < num_victims; v++) {
		kill(c[victims[v]]->pid, SIGKILL);
		vt_join(c[victims[v]], &killed);
		ck_assert(killed);
		c[victims[v]] = NULL;
	}
	ck_assert_int_eq(vt_mount_number(mount_id, "orphans"), 0);
	rs_release(rs, 0);
	for (i = 0; i < CALLERS; i++)
		if (c[i])
			ck_assert_int_eq(vt_join(c[i], NULL), 0);
	n = nops_seen(cookies, CALLERS);
	ck_assert_int_eq(n, CALLERS - num_victims);
	stop();
}
END_TEST

/* ------------------------------------------------------------------- under load */

static _Atomic uint32_t *go_on;
static _Atomic uint32_t *calls;

static long call_on(void *unused)
{
	char dir[32];
	int fd = open(RO_MNT, O_RDONLY);
	long err = 0;

	(void)unused;
	snprintf(dir, sizeof(dir), RO_MNT "/w%d", getpid());
	while (!err && atomic_load(go_on)) {
		err = vt_nop(fd, 3);
		if (!err)
			err = mkdir(dir, 0755) || chmod(dir, 0700) || rmdir(dir) ? -errno : 0;
		atomic_fetch_add(calls, 1);
		vt_futex_wake(calls);
	}
	close(fd);
	return err;
}

/* Holds no lock, so that all of them are in line all the time. */
static long nop_on(void *unused)
{
	int fd = open(RO_MNT, O_RDONLY), err = 0;

	(void)unused;
	while (!err && atomic_load(go_on)) {
		err = vt_nop(fd, 3);
		atomic_fetch_add(calls, 1);
		vt_futex_wake(calls);
	}
	close(fd);
	return err;
}

static void load_start(struct vt_caller **c, int count, int cpu, long (*fn)(void *unused))
{
	int i;

	go_on = vt_shared(sizeof(*go_on));
	calls = vt_shared(sizeof(*calls));
	atomic_store(go_on, 1);
	for (i = 0; i < count; i++)
		c[i] = vt_call(fn, NULL, cpu);
}

static void load_stop(struct vt_caller **c, int count)
{
	int i;

	atomic_store(go_on, 0);
	for (i = 0; i < count; i++)
		ck_assert_int_eq(vt_join(c[i], NULL), 0);
}

START_TEST(all_served)
{
	struct vt_caller *c[CALLERS];

	start(1, 0);
	load_start(c, CALLERS, -1, call_on);
	rs_await(calls, vt_debug_kernel() ? 400 : 2000);
	load_stop(c, CALLERS);
	stop();
}
END_TEST

/* A CPU without channels: its callers must not starve behind those of another. */
START_TEST(foreign_cpu)
{
	struct vt_caller *c[8], *foreign;

	start(1, 1);
	load_start(c, 8, 0, nop_on);
	rs_await(calls, 20);
	foreign = vt_call(ro_statfs, NULL, 1);
	ck_assert_int_eq(vt_join(foreign, NULL), 0);
	load_stop(c, 8);
	stop();
}
END_TEST

/* ------------------------------------------------------------------ other channels */

static bool same_node(int a, int b)
{
	char path[80];
	int node;

	for (node = 0; node < 8; node++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/node%d", a, node);
		if (access(path, F_OK))
			continue;
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/node%d", b, node);
		return !access(path, F_OK);
	}
	return false;
}

static int last_cpu(unsigned int op)
{
	return rs->channel[rs_last(rs, op)->channel].cpu;
}

/* The CPU's only channel is taken: an idle one of the same node serves, or none. */
START_TEST(neighbour)
{
	struct vt_caller *first, *second;
	int cpu = 0, other = 1;

	start(1, 3);
	rs_hold(rs, ZUFS_OP_NOP, RS_HOLD_BEFORE, 1);
	first = vt_call(nop_cookie, NULL, cpu);
	rs_await_held(rs, 1);
	ck_assert_int_eq(last_cpu(ZUFS_OP_NOP), cpu);
	second = vt_call(ro_statfs, NULL, cpu);
	if (same_node(cpu, other)) {
		ck_assert_int_eq(vt_join(second, NULL), 0);
		ck_assert_int_eq(last_cpu(ZUFS_OP_STATFS), other);
	} else {
		vt_await_state(second->pid, "D");
	}
	rs_release(rs, 0);
	if (!same_node(cpu, other))
		ck_assert_int_eq(vt_join(second, NULL), 0);
	ck_assert_int_eq(vt_join(first, NULL), 0);
	stop();
}
END_TEST

/* ----------------------------------------------------------------- channels that rest */

static void move_thread(unsigned int channel, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ck_assert_int_eq(sched_setaffinity(atomic_load(&rs->channel[channel].tid), sizeof(set),
					   &set), 0);
}

static void one_nop(int cpu)
{
	struct vt_caller *c = vt_call(nop_cookie, NULL, cpu);

	ck_assert_int_eq(vt_join(c, NULL), 0);
}

START_TEST(parked)
{
	struct vt_caller *c;
	uint32_t attaches;

	/* channel 0 is CPU 0's, channel 1 CPU 1's */
	start(1, 3);
	one_nop(0);
	ck_assert_int_eq(last_cpu(ZUFS_OP_NOP), 0);
	attaches = atomic_load(&rs->attaches);
	atomic_store(&rs->no_return, 1);
	move_thread(0, 1);
	/* it still serves what finds it, and then rests */
	one_nop(0);
	rs_await(&rs->parked, 1);
	one_nop(0);
	ck_assert_int_eq(last_cpu(ZUFS_OP_NOP), 1);

	/* both rest: who comes waits, and can be killed */
	move_thread(1, 0);
	one_nop(1);
	rs_await(&rs->parked, 2);
	c = vt_call(nop_cookie, NULL, 0);
	vt_await_state(c->pid, "D");
	kill(c->pid, SIGKILL);
	vt_join(c, NULL);
	c = vt_call(nop_cookie, NULL, 1);
	vt_await_state(c->pid, "D");
	atomic_store(&rs->no_return, 0);
	ck_assert_int_eq(vt_join(c, NULL), 0);
	rs_await(&rs->attaches, attaches + 2);
	one_nop(0);
	ck_assert_int_eq(last_cpu(ZUFS_OP_NOP), 0);
	one_nop(1);
	ck_assert_int_eq(last_cpu(ZUFS_OP_NOP), 1);
	stop();
}
END_TEST

START_TEST(parked_under_load)
{
	struct vt_caller *c[8];
	int i, cycles = vt_debug_kernel() ? 10 : 50;

	start(2, 0);
	load_start(c, 8, -1, call_on);
	for (i = 0; i < cycles; i++) {
		unsigned int channel = (unsigned int)(vt_random() % rs->num_channels);

		move_thread(channel, (int)(vt_random() % (uint64_t)vt_num_cpus()));
		rs_await(calls, atomic_load(calls) + 20);
	}
	load_stop(c, 8);
	printf("%u times a channel rested, %d moves\n", atomic_load(&rs->parked), cycles);
	stop();
}
END_TEST

/* --------------------------------------------------------------------- CPU hotplug */

START_TEST(hotplug_under_load)
{
	int cycles = vt_debug_kernel() ? 5 : 20, i;
	struct vt_caller *c[8];

	start(2, 0);
	load_start(c, 8, -1, call_on);
	for (i = 0; i < cycles; i++) {
		vt_write(CPU1_ONLINE, "0");
		rs_await(calls, atomic_load(calls) + 20);
		vt_write(CPU1_ONLINE, "1");
		rs_await(calls, atomic_load(calls) + 20);
	}
	load_stop(c, 8);
	/* its channels are back, or come back with the next that finds them */
	for (i = 0; i < 100; i++) {
		one_nop(1);
		if (last_cpu(ZUFS_OP_NOP) == 1)
			break;
	}
	ck_assert_int_eq(last_cpu(ZUFS_OP_NOP), 1);
	printf("%d times offline and online, %u calls, a channel rested %u times\n", cycles,
	       atomic_load(calls), atomic_load(&rs->parked));
	stop();
}
END_TEST

/* A server that starts while a CPU is away, and gets it later. */
START_TEST(hotplug_then_channel)
{
	vt_write(CPU1_ONLINE, "0");
	start(1, 1);
	one_nop(0);
	vt_write(CPU1_ONLINE, "1");
	one_nop(1);
	ck_assert_int_eq(last_cpu(ZUFS_OP_NOP), 0);
	stop();
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 2 * vt_guard_s());
	tcase_add_test(tc, test);
	suite_add_tcase(suite, tc);
}

int main(void)
{
	Suite *suite = suite_create("relay-overflow");

	add(suite, "fifo", fifo);
	add(suite, "killed in line", killed_in_line);
	add(suite, "all served", all_served);
	add(suite, "foreign CPU", foreign_cpu);
	add(suite, "neighbour", neighbour);
	add(suite, "parked", parked);
	add(suite, "parked under load", parked_under_load);
	add(suite, "hotplug under load", hotplug_under_load);
	add(suite, "hotplug", hotplug_then_channel);
	return vt_main(suite);
}
