// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a cached name costs: stat(2) of it, or open(2) and close(2), by its path from the
 * current directory. No server has a part in it; compare filesystems by it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench_util.h"

static int stat_op(void *ctx)
{
	struct stat st;

	return stat(ctx, &st) ? -errno : 0;
}

static int open_op(void *ctx)
{
	int fd = open(ctx, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return close(fd) ? -errno : 0;
}

static const struct { const char *name; bench_op_fn run; } ops_known[] = {
	{ "stat", stat_op },
	{ "open-close", open_op },
};

static const struct option options[] = {
	{ "file",   required_argument, NULL, 'f' },
	{ "op",     required_argument, NULL, 'o' },
	{ "system", required_argument, NULL, 's' },
	{ "cpu",    required_argument, NULL, 'c' },
	{ "ops",    required_argument, NULL, 'n' },
	{ "json",   no_argument,       NULL, 'j' },
	{ "help",   no_argument,       NULL, 'h' },
	{ }
};

static void usage(void)
{
	puts("usage: name-ops --file=PATH --op=stat|open-close [--system=NAME] [--cpu=N]\n"
	     "                [--ops=N] [--json]\n"
	     "Times a system call on a name that is cached.\n"
	     "  --file=PATH    the name\n"
	     "  --op=OP        stat, or open-close\n"
	     "  --system=NAME  what the rows call the filesystem (its path)\n"
	     "  --cpu=N        the CPU to run on (0)\n"
	     "  --ops=N        calls for the mean (50000)\n"
	     "  --json         one row for tests/bench/report.py");
}

static bench_op_fn op_named(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(ops_known) / sizeof(ops_known[0]); i++)
		if (!strcmp(ops_known[i].name, name))
			return ops_known[i].run;
	bench_die("--op: %s is neither stat nor open-close", name);
}

static void print(const char *system, const char *op, const struct bench_result *res, bool json)
{
	if (!json) {
		bench_print(system, res, false);
		return;
	}
	printf("{\"system\": \"%s\", \"workload\": \"name-%s\", \"threads\": 1, \"files\": 1, "
	       "\"iops\": %.1f, \"lat_mean_us\": %.4f, \"lat_p99_us\": %.3f}\n", system, op,
	       1e9 / res->mean_ns, res->mean_ns / 1e3, (double)res->p99_ns / 1e3);
}

int main(int argc, char **argv)
{
	const char *path = NULL, *op = NULL, *system = NULL;
	uint64_t cpu = 0, ops = 50000;
	struct bench_result res;
	bench_op_fn run;
	bool json = false;
	int opt, err;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'f': path = optarg; break;
		case 'o': op = optarg; break;
		case 's': system = optarg; break;
		case 'c': cpu = bench_parse_u64("cpu", optarg, 0, 4095); break;
		case 'n': ops = bench_parse_u64("ops", optarg, 1, 1000000000); break;
		case 'j': json = true; break;
		case 'h': usage(); return BENCH_EXIT_OK;
		default: usage(); return BENCH_EXIT_ERROR;
		}
	}
	if (!path || !op) {
		usage();
		return BENCH_EXIT_ERROR;
	}
	run = op_named(op);
	bench_pin_cpu(cpu);
	err = bench_measure(run, (void *)(uintptr_t)path, ops, &res);
	if (err)
		bench_die("%s: %s", path, strerror(-err));
	print(system ? system : path, op, &res, json);
	return BENCH_EXIT_OK;
}
