// SPDX-License-Identifier: BSD-3-Clause
/*
 * The yardstick for a hand-over: one byte goes through a pipe to a second
 * process on the same CPU and one comes back. Like a NOP round of zufs it
 * costs two context switches, but four system calls instead of two.
 *
 * With --threads the second side is a thread of the same process: the
 * difference is what two changes of the address space cost on this machine.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
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

struct echo {
	int from_caller;
	int to_caller;
};

/* Until the caller closes its end. */
static void *echo_loop(void *arg)
{
	const struct echo *echo = arg;
	char byte;

	while (read(echo->from_caller, &byte, 1) == 1)
		if (write(echo->to_caller, &byte, 1) != 1)
			break;
	return NULL;
}

static void start_process(struct echo *echo, const struct pingpong *pp)
{
	pid_t child = fork();

	if (child < 0)
		bench_die("fork: %s", strerror(errno));
	if (child)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(pp->to_child);
	close(pp->from_child);
	echo_loop(echo);
	_exit(BENCH_EXIT_OK);
}

static void start_thread(struct echo *echo)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, echo_loop, echo);

	if (err)
		bench_die("thread: %s", strerror(err));
}

static const struct option options[] = {
	{ "cpu",  required_argument, NULL, 'c' },
	{ "ops",  required_argument, NULL, 'n' },
	{ "threads", no_argument,    NULL, 't' },
	{ "json", no_argument,       NULL, 'j' },
	{ "help", no_argument,       NULL, 'h' },
	{ }
};

static void usage(void)
{
	puts("usage: pingpong [--cpu=N] [--ops=N] [--threads] [--json]\n"
	     "Times a one-byte round trip through two pipes between two processes on one CPU.\n"
	     "  --cpu=N   the CPU both run on (0)\n"
	     "  --ops=N   round trips for the mean (50000)\n"
	     "  --threads between two threads of one process instead\n"
	     "  --json    one row for tests/bench/report.py");
}

int main(int argc, char **argv)
{
	uint64_t cpu = 0, ops = 50000;
	bool json = false, threads = false;
	int down[2], up[2], opt, err;
	struct bench_result res;
	struct pingpong pp;
	struct echo echo;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'c': cpu = bench_parse_u64("cpu", optarg, 0, 4095); break;
		case 'n': ops = bench_parse_u64("ops", optarg, 1, 1000000000); break;
		case 't': threads = true; break;
		case 'j': json = true; break;
		case 'h': usage(); return BENCH_EXIT_OK;
		default: usage(); return BENCH_EXIT_ERROR;
		}
	}
	bench_pin_cpu(cpu);
	if (pipe(down) || pipe(up))
		bench_die("pipe: %s", strerror(errno));
	pp = (struct pingpong){ .to_child = down[1], .from_child = up[0] };
	echo = (struct echo){ .from_caller = down[0], .to_caller = up[1] };
	if (threads)
		start_thread(&echo);
	else
		start_process(&echo, &pp);
	err = bench_measure(pingpong_op, &pp, ops, &res);
	if (err)
		bench_die("round trip failed: %s", strerror(-err));
	bench_print(threads ? "thread-pingpong" : "pipe-pingpong", &res, json);
	return BENCH_EXIT_OK;
}
