// SPDX-License-Identifier: BSD-3-Clause
/* See bench_util.h. */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench_util.h"

uint64_t bench_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void bench_die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(BENCH_EXIT_ERROR);
}

uint64_t bench_parse_u64(const char *option, const char *text, uint64_t min, uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value < min || value > max)
		bench_die("--%s=%s: need a number from %llu to %llu", option, text,
			  (unsigned long long)min, (unsigned long long)max);
	return value;
}

void bench_pin_cpu(unsigned int cpu)
{
	cpu_set_t set;

	if (cpu >= CPU_SETSIZE)
		bench_die("CPU %u is beyond the %d that can be named", cpu, CPU_SETSIZE);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		bench_die("cannot bind to CPU %u: %s (is it online? see /sys/devices/system/cpu/online)",
			  cpu, strerror(errno));
}

static int cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int run_ops(bench_op_fn op, void *ctx, uint64_t ops)
{
	for (uint64_t i = 0; i < ops; i++) {
		int err = op(ctx);

		if (err)
			return err;
	}
	return 0;
}

static int sample_ops(bench_op_fn op, void *ctx, uint64_t ops, struct bench_result *res)
{
	uint64_t *sample_ns, before_ns;
	size_t n = BENCH_SAMPLES_MAX;
	int err = 0;

	if (ops < n)
		n = ops;
	sample_ns = malloc(n * sizeof(*sample_ns));
	if (!sample_ns)
		return -ENOMEM;
	/* Touch the pages now: a fault must not count as a slow operation. */
	memset(sample_ns, 0xff, n * sizeof(*sample_ns));
	before_ns = bench_now_ns();
	for (size_t i = 0; i < n; i++) {
		uint64_t after_ns;

		err = op(ctx);
		if (err)
			goto out_free;
		after_ns = bench_now_ns();
		sample_ns[i] = after_ns - before_ns;
		before_ns = after_ns;
	}
	qsort(sample_ns, n, sizeof(*sample_ns), cmp_u64);
	res->p50_ns = sample_ns[(n - 1) * 50 / 100];
	res->p99_ns = sample_ns[(n - 1) * 99 / 100];
	res->max_ns = sample_ns[n - 1];
out_free:
	free(sample_ns);
	return err;
}

int bench_measure(bench_op_fn op, void *ctx, uint64_t ops, struct bench_result *res)
{
	uint64_t start_ns;
	int err;

	memset(res, 0, sizeof(*res));
	err = run_ops(op, ctx, ops / 10 + 1);
	if (err)
		return err;
	start_ns = bench_now_ns();
	err = run_ops(op, ctx, ops);
	if (err)
		return err;
	res->ops = ops;
	res->mean_ns = (double)(bench_now_ns() - start_ns) / (double)ops;
	return sample_ops(op, ctx, ops, res);
}

void bench_print(const char *system, const struct bench_result *res, bool json)
{
	if (json) {
		printf("{\"system\": \"%s\", \"workload\": \"roundtrip\", \"threads\": 1, \"files\": 0, "
		       "\"iops\": %.1f, \"lat_mean_us\": %.4f, \"lat_p99_us\": %.3f}\n",
		       system, 1e9 / res->mean_ns, res->mean_ns / 1e3,
		       (double)res->p99_ns / 1e3);
		return;
	}
	printf("%s: %llu operations, mean %.1f ns, p50 %llu ns, p99 %llu ns, max %llu ns\n",
	       system, (unsigned long long)res->ops, res->mean_ns,
	       (unsigned long long)res->p50_ns, (unsigned long long)res->p99_ns,
	       (unsigned long long)res->max_ns);
}
