/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Helpers shared by the yardstick programs of tests/bench: options, pinning,
 * the clock, and the one way in which an operation is timed.
 */
#ifndef ZUFS_BENCH_UTIL_H
#define ZUFS_BENCH_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes of every program here. */
enum {
	BENCH_EXIT_OK = 0,
	BENCH_EXIT_BAR = 1,	/* measured, and a bar was passed */
	BENCH_EXIT_ERROR = 2,	/* bad usage, or nothing could be measured */
};

/*
 * One operation under test. Returns 0, or a negative errno that ends the
 * measurement. Called in a tight loop on the measuring thread.
 */
typedef int (*bench_op_fn)(void *ctx);

struct bench_result {
	uint64_t ops;
	double mean_ns;		/* wall time of the untouched loop / ops */
	uint64_t p50_ns;	/* from a second loop that stamps each operation */
	uint64_t p99_ns;
	uint64_t max_ns;
};

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t bench_now_ns(void);

/* Prints "PROGRAM: message" on stderr and exits with BENCH_EXIT_ERROR. */
void bench_die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Decimal argument within [min, max]; bench_die() names @option otherwise. */
uint64_t bench_parse_u64(const char *option, const char *text, uint64_t min, uint64_t max);

/* Binds the calling thread to one CPU; bench_die() when it can't be. */
void bench_pin_cpu(unsigned int cpu);

/*
 * Runs @op: a tenth of @ops as warm-up, then @ops with the clock read only at
 * both ends (the mean), then at most BENCH_SAMPLES_MAX of them stamped one by
 * one (the percentiles). Two loops, because a clock read may cost as much as
 * the operation. Returns 0 or the negative errno of @op.
 */
#define BENCH_SAMPLES_MAX 20000u
int bench_measure(bench_op_fn op, void *ctx, uint64_t ops, struct bench_result *res);

/* One line for a person, or one flat JSON object for tests/bench/report.py. */
void bench_print(const char *system, const struct bench_result *res, bool json);

#endif
