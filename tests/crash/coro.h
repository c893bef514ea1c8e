/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coro.h - two coroutines, each a virtual CPU, switched where a schedule says.
 *
 * A program that is linked with coro.c and locks.c defines pthread_mutex_lock() and its like,
 * sched_getcpu(), sched_yield() and clock_gettime() itself, and the dynamic linker prefers
 * them, for plugins and for libzus. Each call of the store layer, and each that takes a lock,
 * is a point of the coroutine that makes it, from 1 on, at which it may be preempted before
 * it does so: of libzus's own mutexes none is. Who finds a lock taken lets the other one go on.
 *
 * Both run in one thread, and share what is thread-local, but for errno. What happens between
 * two points is never interrupted, so accesses without a lock race with nothing there.
 */
#ifndef CRASH_CORO_H
#define CRASH_CORO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CORO_CPUS	2u
#define CORO_SWITCHES	8u
#define CORO_TEXT	128u

/* As text "1@17,0@23": CPU 1 is preempted at its point 17, then CPU 0 at its 23rd. */
struct coro_switch {
	uint32_t cpu;
	uint32_t point;
};

/*
 * CPU 0 begins, and who is not preempted goes on until its end. A first switch 0@0 lets CPU 1
 * begin. What cannot be is left out: the other one is at its end, or waits for a lock.
 */
struct schedule {
	struct coro_switch at[CORO_SWITCHES];
	uint32_t num;
};

int schedule_parse(struct schedule *schedule, const char *text);
void schedule_print(const struct schedule *schedule, char *to, size_t bytes);

struct coro {
	void (*run)(void *arg, uint32_t cpu);
	void (*enter)(void *arg, uint32_t cpu);	/* the CPU begins, or goes on */
	void *arg;
	bool same_cpu;		/* sched_getcpu() is 0 on both: one has been moved since */
	/* Points behind the schedule's last switch where another one would change something. */
	struct coro_switch *open;
	size_t num_open, max_open;
};

/*
 * Runs both to their ends. EDEADLK: each waits for what the other one has, or one for ever; the
 * stacks are gone then, with what was locked.
 */
int coro_run(struct coro *coro, const struct schedule *schedule);
void coro_destroy(struct coro *coro);

/* For the functions that stand in for others. */
bool coro_active(void);
void coro_point(void);
/* Until it is not busy any more; try: 0, or EBUSY. */
void coro_take(void *lock, int (*try)(void *lock));
void coro_freed(const void *lock);

/*
 * While it is not 0 CLOCK_REALTIME stands still at this, in ns, and on virtual CPU n as many
 * seconds later: so a run is the same each time, and clocks of CPUs differ.
 */
void coro_set_clock(uint64_t ns);

#endif /* CRASH_CORO_H */
