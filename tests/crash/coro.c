// SPDX-License-Identifier: BSD-3-Clause
/* coro.c - two coroutines, switched where a schedule says. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "coro.h"
#include "trace.h"

#define STACK_BYTES	(1u << 20)
#define GUARD_BYTES	4096u
#define YIELDS_MAX	1000u	/* nobody can help who yields so often */
#define HOME		CORO_CPUS /* the context of coro_run()'s caller */

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

struct fiber {
	ucontext_t context;
	char *stack;		/* of HOME: not known before it was left */
	size_t stack_bytes;
	void *fake_stack;	/* a sanitizer's */
	const void *waits;	/* for this lock, which the other one has; or NULL */
	uint32_t points;
	uint32_t yields;
	bool done;
};

static struct {
	struct coro *coro;	/* NULL: nothing runs */
	const struct schedule *schedule;
	struct fiber fibers[CORO_CPUS + 1];
	uint32_t now;
	uint32_t next;		/* switch of the schedule */
	bool stuck;
} co;

/* --------------------------------------------------------------------- text */

/* The number that ends with that character, or with the text. */
static int parse_number(uint32_t *value, const char **text, char stop)
{
	unsigned long number;
	char *end;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	number = strtoul(*text, &end, 10);
	if (number > UINT32_MAX || (*end && *end != stop))
		return -EINVAL;
	*text = *end ? end + 1 : end;
	*value = (uint32_t)number;
	return 0;
}

int schedule_parse(struct schedule *schedule, const char *text)
{
	struct coro_switch one;

	schedule->num = 0;
	while (*text) {
		if (schedule->num == CORO_SWITCHES || parse_number(&one.cpu, &text, '@') ||
		    parse_number(&one.point, &text, ',') || one.cpu >= CORO_CPUS)
			return -EINVAL;
		schedule->at[schedule->num++] = one;
	}
	return 0;
}

void schedule_print(const struct schedule *schedule, char *to, size_t bytes)
{
	size_t used = 0;
	uint32_t i;

	*to = 0;
	for (i = 0; i < schedule->num && used < bytes; i++)
		used += (size_t)snprintf(to + used, bytes - used, "%s%" PRIu32 "@%" PRIu32,
					 i ? "," : "", schedule->at[i].cpu,
					 schedule->at[i].point);
}

/* ----------------------------------------------------------------- contexts */

/* Behind a switch: from is who was left. */
static void arrived(struct fiber *to, uint32_t from)
{
#ifdef __SANITIZE_ADDRESS__
	const void *bottom;
	size_t bytes;

	__sanitizer_finish_switch_fiber(to->fake_stack, &bottom, &bytes);
	if (from == HOME) {
		co.fibers[HOME].stack = (char *)bottom;
		co.fibers[HOME].stack_bytes = bytes;
	}
#else
	(void)to;
	(void)from;
#endif
}

static uint32_t left;	/* by the switch that is being made */

static void switch_to(uint32_t cpu)
{
	struct fiber *from = &co.fibers[co.now], *to = &co.fibers[cpu];
	int saved = errno;

	left = co.now;
	co.now = cpu;
	if (cpu != HOME)
		co.coro->enter(co.coro->arg, cpu);
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_start_switch_fiber(from->done ? NULL : &from->fake_stack, to->stack,
				       to->stack_bytes);
#endif
	if (swapcontext(&from->context, &to->context))
		abort();
	arrived(from, left);
	errno = saved;
}

static uint32_t other(void)
{
	return !co.now;
}

static bool can_run(uint32_t cpu)
{
	return !co.fibers[cpu].done && !co.fibers[cpu].waits;
}

static void body(void)
{
	struct fiber *me = &co.fibers[co.now];

	arrived(me, left);
	co.coro->run(co.coro->arg, co.now);
	me->done = true;
	switch_to(co.fibers[other()].done ? HOME : other());
	abort();
}

static void prepare(struct fiber *fiber)
{
	char *stack = fiber->stack;

	if (!stack) {
		stack = mmap(NULL, STACK_BYTES + GUARD_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
		if (stack == MAP_FAILED || mprotect(stack, GUARD_BYTES, PROT_NONE))
			abort();
		stack += GUARD_BYTES;
	}
	*fiber = (struct fiber) { .stack = stack, .stack_bytes = STACK_BYTES };
	if (getcontext(&fiber->context))
		abort();
	fiber->context.uc_stack.ss_sp = stack;
	fiber->context.uc_stack.ss_size = STACK_BYTES;
	makecontext(&fiber->context, body, 0);
}

/* ---------------------------------------------------------------------- run */

static bool begins_with_1(const struct schedule *schedule)
{
	return schedule->num && !schedule->at[0].cpu && !schedule->at[0].point;
}

int coro_run(struct coro *coro, const struct schedule *schedule)
{
	uint32_t cpu;

	assert(!co.coro);
	for (cpu = 0; cpu < CORO_CPUS; cpu++)
		prepare(&co.fibers[cpu]);
	co.fibers[HOME].done = false;
	co.coro = coro;
	co.schedule = schedule;
	co.next = begins_with_1(schedule);
	co.now = HOME;
	co.stuck = false;
	coro->num_open = 0;
	switch_to(co.next);
	co.coro = NULL;
	return co.stuck ? -EDEADLK : 0;
}

void coro_destroy(struct coro *coro)
{
	free(coro->open);
	coro->open = NULL;
	coro->num_open = coro->max_open = 0;
}

bool coro_active(void)
{
	return co.coro && co.now != HOME;
}

static void stuck(void)
{
	co.stuck = true;
	co.fibers[co.now].done = true;	/* its stack is not come back to */
	switch_to(HOME);
	abort();
}

static void add_open(uint32_t point)
{
	struct coro *coro = co.coro;

	crash_grow(&coro->open, coro->num_open, &coro->max_open, sizeof(*coro->open));
	coro->open[coro->num_open++] = (struct coro_switch) { co.now, point };
}

void coro_point(void)
{
	const struct coro_switch *next;
	struct fiber *me;

	if (!coro_active())
		return;
	me = &co.fibers[co.now];
	me->points++;
	next = co.next < co.schedule->num ? &co.schedule->at[co.next] : NULL;
	if (next && next->cpu == co.now && next->point == me->points) {
		co.next++;
		if (can_run(other()))
			switch_to(other());
	} else if (!next && can_run(other())) {
		add_open(me->points);
	}
}

void coro_take(void *lock, int (*try)(void *lock))
{
	struct fiber *me = &co.fibers[co.now];

	while (try(lock)) {
		if (!can_run(other()))
			stuck();
		me->waits = lock;
		switch_to(other());
		me->waits = NULL;
	}
}

void coro_freed(const void *lock)
{
	struct fiber *waiter = &co.fibers[other()];

	if (waiter->waits == lock)
		waiter->waits = NULL;
}

/* In place of the C library's. */
int sched_yield(void)
{
	if (!coro_active())
		return 0;
	if (++co.fibers[co.now].yields > YIELDS_MAX)
		stuck();
	if (can_run(other()))
		switch_to(other());
	return 0;
}

int sched_getcpu(void)
{
	return coro_active() && !co.coro->same_cpu ? (int)co.now : 0;
}
