// SPDX-License-Identifier: BSD-3-Clause
/*
 * The yardstick for a hand-over: one byte goes through a pipe to a second
 * process on the same CPU and one comes back. Like a NOP round of zufs it
 * costs two context switches, but four system calls instead of two.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_util.h"

struct pingpong {
	int to_child;
	int from_child;
};

static int pingpong_op(void *ctx)
{
	struct pingpong *pp = ctx;
	char byte = 0;

	if (write(pp->to_child, &byte, 1) != 1)
		return -errno;
	if (read(pp->from_child, &byte, 1) != 1)
		return -errno;
	return 0;
}

static void child_loop(int from_parent, int to_parent)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(from_parent, &byte, 1) == 1)
		if (write(to_parent, &byte, 1) != 1)
			_exit(BENCH_EXIT_ERROR);
	_exit(BENCH_EXIT_OK);
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
	puts("usage: pingpong [--cpu=N] [--ops=N] [--json]\n"
	     "Times a one-byte round trip through two pipes between two processes on one CPU.\n"
	     "  --cpu=N   the CPU both run on (0)\n"
	     "  --ops=N   round trips for the mean (50000)\n"
	     "  --json    one row for tests/bench/report.py");
}

int main(int argc, char **argv)
{
	uint64_t cpu = 0, ops = 50000;
	int down[2], up[2], opt, err;
	struct bench_result res;
	struct pingpong pp;
	bool json = false;
	pid_t child;

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
	if (pipe(down) || pipe(up))
		bench_die("pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		bench_die("fork: %s", strerror(errno));
	if (!child) {
		close(down[1]);
		close(up[0]);
		child_loop(down[0], up[1]);
	}
	close(down[0]);
	close(up[1]);
	pp.to_child = down[1];
	pp.from_child = up[0];
	err = bench_measure(pingpong_op, &pp, ops, &res);
	close(down[1]);
	waitpid(child, NULL, 0);
	if (err)
		bench_die("round trip failed: %s", strerror(-err));
	bench_print("pipe-pingpong", &res, json);
	return BENCH_EXIT_OK;
}
