// SPDX-License-Identifier: BSD-3-Clause
/*
 * The framework's null operation: ZUFS_IOC_NOP on a file of znullfs goes to
 * the server and comes back, carrying nothing. Compare it with pingpong.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "zus_api.h"
#include "bench_util.h"

struct nop_round {
	int fd;
	__u64 cookie;
};

static int nop_op(void *ctx)
{
	struct nop_round *round = ctx;
	struct zufs_nop nop = { .cookie = ++round->cookie };

	if (ioctl(round->fd, ZUFS_IOC_NOP, &nop) < 0)
		return -errno;
	return nop.cookie == round->cookie ? 0 : -EBADMSG;
}

static const struct option options[] = {
	{ "file", required_argument, NULL, 'f' },
	{ "cpu",  required_argument, NULL, 'c' },
	{ "ops",  required_argument, NULL, 'n' },
	{ "json", no_argument,       NULL, 'j' },
	{ "help", no_argument,       NULL, 'h' },
	{ }
};

static void usage(void)
{
	puts("usage: nop-round --file=PATH [--cpu=N] [--ops=N] [--json]\n"
	     "Times a null operation through zufs: to the server thread of this CPU and back.\n"
	     "  --file=PATH  a file of a mounted znullfs\n"
	     "  --cpu=N      the CPU to run on (0)\n"
	     "  --ops=N      round trips for the mean (50000)\n"
	     "  --json       one row for tests/bench/report.py");
}

int main(int argc, char **argv)
{
	uint64_t cpu = 0, ops = 50000;
	struct bench_result res;
	const char *path = NULL;
	bool json = false;
	struct nop_round round = { .cookie = 0 };
	int opt, err;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'f': path = optarg; break;
		case 'c': cpu = bench_parse_u64("cpu", optarg, 0, 4095); break;
		case 'n': ops = bench_parse_u64("ops", optarg, 1, 1000000000); break;
		case 'j': json = true; break;
		case 'h': usage(); return BENCH_EXIT_OK;
		default: usage(); return BENCH_EXIT_ERROR;
		}
	}
	if (!path) {
		usage();
		return BENCH_EXIT_ERROR;
	}
	bench_pin_cpu(cpu);
	round.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (round.fd < 0)
		bench_die("%s: %s", path, strerror(errno));
	err = bench_measure(nop_op, &round, ops, &res);
	if (err)
		bench_die("%s: NOP: %s%s", path, strerror(-err),
			  err == -ENOTTY ? " (is it a file of a mounted znullfs?)" : "");
	bench_print("null-op", &res, json);
	close(round.fd);
	return BENCH_EXIT_OK;
}
