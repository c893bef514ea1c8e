// SPDX-License-Identifier: BSD-3-Clause
/*
 * The yardstick for entering the kernel at all: a system call that does
 * nothing (getppid, by number, so that no library caches it).
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench_util.h"

static int nullcall_op(void *ctx)
{
	(void)ctx;
	return syscall(SYS_getppid) < 0;
}

static const struct option options[] = {
	{ "cpu",  required_argument, NULL, 'c' },
	{ "ops",  required_argument, NULL, 'n' },
	{ "json", no_argument,       NULL, 'j' },
	{ "help", no_argument,       NULL, 'h' },
	{ }
};

static void usage(void)
{
	puts("usage: nullcall [--cpu=N] [--ops=N] [--json]\n"
	     "Times a system call that does nothing.\n"
	     "  --cpu=N   the CPU to run on (0)\n"
	     "  --ops=N   calls for the mean (1000000)\n"
	     "  --json    one row for tests/bench/report.py");
}

int main(int argc, char **argv)
{
	uint64_t cpu = 0, ops = 1000000;
	struct bench_result res;
	bool json = false;
	int opt, err;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'c': cpu = bench_parse_u64("cpu", optarg, 0, 4095); break;
		case 'n': ops = bench_parse_u64("ops", optarg, 1, 1000000000); break;
		case 'j': json = true; break;
		case 'h': usage(); return BENCH_EXIT_OK;
		default: usage(); return BENCH_EXIT_ERROR;
		}
	}
	bench_pin_cpu(cpu);
	err = bench_measure(nullcall_op, NULL, ops, &res);
	if (err)
		bench_die("measuring failed: %s", strerror(err < 0 ? -err : err));
	bench_print("null-syscall", &res, json);
	return BENCH_EXIT_OK;
}
