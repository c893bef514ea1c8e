// SPDX-License-Identifier: BSD-3-Clause
/*
 * crash-coro.c - the virtual CPUs of tests/crash: who runs when, locks, the clock, and that
 * enough schedules are found.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zus.h>

#include "../crash/coro.h"
#include "../crash/model.h"
#include "unit.h"

#define MEDIA_BYTES	4096u

static char media[MEDIA_BYTES] __attribute__((aligned(4096)));
static char order[64];		/* what was done, a letter each */
static struct coro coro;
static struct trace trace;
static void (*const *parts)(void);
static pthread_mutex_t lock[2];
static pthread_rwlock_t rwlock;
static int counter;

/* ------------------------------------------------------------------ helpers */

static void enter(void *arg, uint32_t cpu)
{
	(void)arg;
	trace_enter(&trace, cpu, cpu + 1);
}

static void run(void *arg, uint32_t cpu)
{
	(void)arg;
	parts[cpu]();
}

static void set_up(void)
{
	memset(media, 0, sizeof(media));
	order[0] = 0;
	counter = 0;
	coro = (struct coro) { .run = run, .enter = enter };
	pthread_mutex_init(&lock[0], NULL);
	pthread_mutex_init(&lock[1], NULL);
	pthread_rwlock_init(&rwlock, NULL);
	trace_init(&trace, media, sizeof(media));
	trace_start(&trace);
}

static void tear_down(void)
{
	coro_destroy(&coro);
	trace_destroy(&trace);
}

/* What runs as a coroutine asserts nothing: libcheck takes locks, which are points. */
static void note(char letter)
{
	size_t used = strlen(order);

	if (used + 1 == sizeof(order))
		abort();
	order[used] = letter;
	order[used + 1] = 0;
}

static int run_parts(void (*const both[CORO_CPUS])(void), const char *text)
{
	struct schedule schedule;

	ck_assert_int_eq(schedule_parse(&schedule, text), 0);
	order[0] = 0;
	parts = both;
	return coro_run(&coro, &schedule);
}

static void put(uint64_t off, uint64_t value)
{
	__atomic_store_n((uint64_t *)(void *)(media + off), value, __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------- schedules */

static void three_capitals(void)
{
	note('A');
	zus_fence();
	note('B');
	zus_fence();
	note('C');
}

static void three_small(void)
{
	note('a');
	zus_fence();
	note('b');
	zus_fence();
	note('c');
}

static void (*const threes[])(void) = { three_capitals, three_small };

START_TEST(who_runs_is_what_the_schedule_says)
{
	static const char *const cases[][2] = {
		{ "", "ABCabc" }, { "0@0", "abcABC" }, { "0@1", "AabcBC" }, { "0@2", "ABabcC" },
		{ "0@0,1@1", "aABCbc" }, { "0@1,1@1", "AaBCbc" }, { "0@1,1@2", "AabBCc" },
		{ "0@1,1@1,0@2", "AaBbcC" }, { "0@1,1@1,0@2,1@2", "AaBbCc" },
		/* what cannot be is left out */
		{ "0@9", "ABCabc" }, { "1@1", "ABCabc" }, { "0@2,1@9", "ABabcC" },
	};

	ck_assert_int_eq(run_parts(threes, cases[_i][0]), 0);
	ck_assert_str_eq(order, cases[_i][1]);
}
END_TEST

static bool is_open(uint32_t cpu, uint32_t point)
{
	size_t i;

	for (i = 0; i < coro.num_open; i++)
		if (coro.open[i].cpu == cpu && coro.open[i].point == point)
			return true;
	return false;
}

/* Who is alone has nobody to let go on. */
START_TEST(points_that_are_open)
{
	run_parts(threes, "");
	ck_assert_uint_eq(coro.num_open, 2);
	ck_assert(is_open(0, 1) && is_open(0, 2));
	run_parts(threes, "0@0");
	ck_assert(coro.num_open == 2 && is_open(1, 1) && is_open(1, 2));
	run_parts(threes, "0@1");
	ck_assert(coro.num_open == 2 && is_open(1, 1) && is_open(1, 2));
	run_parts(threes, "0@1,1@1");
	ck_assert(coro.num_open == 1 && is_open(0, 2));
}
END_TEST

START_TEST(schedules_as_text)
{
	static const char *const bad[] = { "x", "2@1", "0@", "0@1;1@2", "0@1,,", "1@1x", "0", "0@-1",
					   "0@1,0@2,0@3,0@4,0@5,0@6,0@7,0@8,0@9" };
	struct schedule schedule;
	char text[CORO_TEXT];
	size_t i;

	ck_assert_int_eq(schedule_parse(&schedule, "1@17,0@23"), 0);
	ck_assert_uint_eq(schedule.num, 2);
	ck_assert(schedule.at[0].cpu == 1 && schedule.at[0].point == 17);
	schedule_print(&schedule, text, sizeof(text));
	ck_assert_str_eq(text, "1@17,0@23");
	ck_assert_int_eq(schedule_parse(&schedule, ""), 0);
	schedule_print(&schedule, text, sizeof(text));
	ck_assert_str_eq(text, "");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(schedule_parse(&schedule, bad[i]) == -EINVAL, "%s", bad[i]);
}
END_TEST

/* -------------------------------------------------------------------- locks */

static void locked_capitals(void)
{
	pthread_mutex_lock(&lock[0]);
	note('A');
	zus_fence();
	note('B');
	pthread_mutex_unlock(&lock[0]);
	note('C');
	zus_fence();
	note('D');
}

static void locked_small(void)
{
	note('a');
	pthread_mutex_lock(&lock[0]);
	note('b');
	zus_fence();
	note('c');
	pthread_mutex_unlock(&lock[0]);
}

START_TEST(who_finds_a_lock_taken_waits)
{
	static void (*const both[])(void) = { locked_capitals, locked_small };

	ck_assert_int_eq(run_parts(both, "0@2"), 0);
	ck_assert_str_eq(order, "AaBCDbc");
	/* while the other one waits, a switch would change nothing; it may go on behind that */
	ck_assert_uint_eq(coro.num_open, 2);
	ck_assert(is_open(1, 1) && is_open(0, 3));
	ck_assert_int_eq(run_parts(both, "0@2,0@3"), 0);
	ck_assert_str_eq(order, "AaBCbcD");
	ck_assert_int_eq(run_parts(both, "0@1,1@2"), 0);
	ck_assert_str_eq(order, "abcABCD");
	ck_assert_int_eq(pthread_mutex_trylock(&lock[0]), 0);
	pthread_mutex_unlock(&lock[0]);
}
END_TEST

static void reads(void)
{
	pthread_rwlock_rdlock(&rwlock);
	note('r');
	zus_fence();
	note('R');
	pthread_rwlock_unlock(&rwlock);
}

static void writes(void)
{
	pthread_rwlock_wrlock(&rwlock);
	note('w');
	zus_fence();
	note('W');
	pthread_rwlock_unlock(&rwlock);
}

START_TEST(readers_share_writers_do_not)
{
	static void (*const readers[])(void) = { reads, reads };
	static void (*const mixed[])(void) = { reads, writes };

	ck_assert_int_eq(run_parts(readers, "0@2,1@2"), 0);
	ck_assert_str_eq(order, "rrRR");
	ck_assert_int_eq(run_parts(mixed, "0@2"), 0);
	ck_assert_str_eq(order, "rRwW");
	ck_assert_int_eq(run_parts(mixed, "0@0,1@2"), 0);
	ck_assert_str_eq(order, "wWrR");
}
END_TEST

static void takes_0_then_1(void)
{
	pthread_mutex_lock(&lock[0]);
	pthread_mutex_lock(&lock[1]);
	pthread_mutex_unlock(&lock[1]);
	pthread_mutex_unlock(&lock[0]);
}

static void takes_1_then_0(void)
{
	pthread_mutex_lock(&lock[1]);
	pthread_mutex_lock(&lock[0]);
	pthread_mutex_unlock(&lock[0]);
	pthread_mutex_unlock(&lock[1]);
}

static void keeps_0(void)
{
	pthread_mutex_lock(&lock[0]);
}

static void yields(void)
{
	while (!__atomic_load_n(&counter, __ATOMIC_RELAXED))
		sched_yield();
}

static void counts(void)
{
	__atomic_store_n(&counter, 1, __ATOMIC_RELAXED);
}

START_TEST(who_waits_for_ever_is_found)
{
	static void (*const crossed[])(void) = { takes_0_then_1, takes_1_then_0 };
	static void (*const kept[])(void) = { keeps_0, takes_0_then_1 };
	static void (*const idle[])(void) = { yields, three_small };
	static void (*const helped[])(void) = { yields, counts };

	ck_assert_int_eq(run_parts(crossed, ""), 0);
	ck_assert_int_eq(run_parts(crossed, "0@2"), -EDEADLK);
	pthread_mutex_init(&lock[0], NULL);
	pthread_mutex_init(&lock[1], NULL);
	ck_assert_int_eq(run_parts(kept, ""), -EDEADLK);
	ck_assert_int_eq(run_parts(idle, ""), -EDEADLK);
	ck_assert_int_eq(run_parts(helped, ""), 0);
}
END_TEST

/* --------------------------------------------------------- what each CPU has */

static void stores_0(void)
{
	put(0, 1);
	zus_flush(media, 8);
	zus_fence();
}

static void stores_1(void)
{
	put(64, 2);
	zus_flush(media + 64, 8);
	zus_fence();
}

/* CPU 0 has flushed, CPU 1 has flushed and fenced: only its own is durable. */
START_TEST(fences_are_of_their_cpu)
{
	static void (*const both[])(void) = { stores_0, stores_1 };
	uint64_t fences = 0;
	struct model model;
	size_t i;

	model_init(&model, media, sizeof(media));
	ck_assert_int_eq(run_parts(both, "0@2"), 0);
	trace_stop(&trace);
	for (i = 0; i < trace.num_events && !fences; i++) {
		ck_assert_uint_eq(trace.events[i].op, trace.events[i].cpu + 1);
		model_event(&model, &trace, i);
		fences += trace.events[i].kind == TRACE_FENCE;
	}
	ck_assert_uint_eq(trace.events[i - 1].cpu, 1);
	ck_assert_uint_eq(model.num_words, 1);
	ck_assert_uint_eq(model.words[0].off, 0);
	model_destroy(&model);
}
END_TEST

static void stores_plainly(void)
{
	put(128, 3);
	zus_fence();
	put(192, 4);
}

/* Found when the other one goes on, not in its first flush. */
START_TEST(plain_stores_are_of_their_cpu)
{
	static void (*const both[])(void) = { stores_plainly, stores_1 };
	size_t i;

	ck_assert_int_eq(run_parts(both, "0@1"), 0);
	trace_return(&trace);
	for (i = 0; i < trace.num_events; i++)
		if (trace.events[i].kind == TRACE_STORE)
			ck_assert_uint_eq(trace.events[i].cpu, trace.events[i].off == 64);
	trace_stop(&trace);
}
END_TEST

static void says_cpu(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	note((char)('0' + sched_getcpu()));
	note((char)('0' + now.tv_sec % 10));
	errno = sched_getcpu();
	zus_fence();
	if (errno != sched_getcpu())
		note('E');
}

START_TEST(cpu_clock_and_errno)
{
	static void (*const both[])(void) = { says_cpu, says_cpu };
	struct timespec now;

	coro_set_clock(5000000000u);
	ck_assert_int_eq(run_parts(both, "0@1"), 0);
	ck_assert_str_eq(order, "0516");
	coro.same_cpu = true;
	ck_assert_int_eq(run_parts(both, ""), 0);
	ck_assert_str_eq(order, "0505");
	ck_assert_int_eq(sched_getcpu(), 0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ck_assert_int_ne(now.tv_sec, 5);
	coro_set_clock(0);
	clock_gettime(CLOCK_REALTIME, &now);
	ck_assert_int_gt(now.tv_sec, 1000000000);
}
END_TEST

/* ---------------------------------------------------------------- enumeration */

/* Each adds one; a third value is lost if both read before either wrote. */
static void adds_carelessly(void)
{
	int value = counter;

	zus_fence();
	counter = value + 1;
}

static void adds_locked(void)
{
	pthread_mutex_lock(&lock[0]);
	adds_carelessly();
	pthread_mutex_unlock(&lock[0]);
}

/* How many of the schedules of up to more switches behind this one lose something. */
static unsigned int count_lost(void (*const both[])(void), struct schedule schedule,
			       unsigned int more, unsigned int *runs)
{
	struct coro_switch open[16];
	size_t i, num;
	unsigned int lost;

	counter = 0;
	parts = both;
	ck_assert_int_eq(coro_run(&coro, &schedule), 0);
	++*runs;
	lost = counter != 2;
	num = coro.num_open;
	ck_assert_uint_le(num, 16);
	memcpy(open, coro.open, num * sizeof(*open));
	schedule.num++;
	for (i = 0; more && i < num; i++) {
		schedule.at[schedule.num - 1] = open[i];
		lost += count_lost(both, schedule, more - 1, runs);
	}
	return lost;
}

START_TEST(one_preemption_finds_a_lost_update)
{
	static void (*const careless[])(void) = { adds_carelessly, adds_carelessly };
	static void (*const careful[])(void) = { adds_locked, adds_locked };
	const struct schedule first = { .num = 0 };
	unsigned int runs = 0;

	ck_assert_uint_eq(count_lost(careless, first, 0, &runs), 0);
	ck_assert_uint_eq(count_lost(careless, first, 1, &runs), 1);
	ck_assert_uint_eq(runs, 3);
	ck_assert_uint_eq(count_lost(careful, first, 2, &runs), 0);
	ck_assert_uint_gt(runs, 6);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crash-coro");
	TCase *tc = tcase_create("coro");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, who_runs_is_what_the_schedule_says, 0, 12);
	tcase_add_test(tc, points_that_are_open);
	tcase_add_test(tc, schedules_as_text);
	tcase_add_test(tc, who_finds_a_lock_taken_waits);
	tcase_add_test(tc, readers_share_writers_do_not);
	tcase_add_test(tc, who_waits_for_ever_is_found);
	tcase_add_test(tc, fences_are_of_their_cpu);
	tcase_add_test(tc, plain_stores_are_of_their_cpu);
	tcase_add_test(tc, cpu_clock_and_errno);
	tcase_add_test(tc, one_preemption_finds_a_lost_update);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
