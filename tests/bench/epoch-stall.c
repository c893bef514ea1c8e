// SPDX-License-Identifier: BSD-3-Clause
/*
 * How long writers of a mount stand still while a write epoch begins: with nobody having
 * files open, with many who do, with much stored through a mapping, with a writer.
 *
 * The mount's server begins epochs by itself (znullfs, epoch_ms); the kernel tells of
 * each by the tracepoint zuf:zuf_epoch, in a tracing instance of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench_util.h"

#define TRACING		"/sys/kernel/tracing"
#define INSTANCE	TRACING "/instances/epoch-stall"
#define SAMPLES_MAX	100000u
#define PAGE		4096u

struct phase {
	unsigned int files;		/* open */
	unsigned int num;
	uint64_t *stall_ns;		/* samples, sorted in the end */
	uint64_t total_ns;		/* of all of them, the whole EPOCH */
};

static struct {
	const char *dir;
	const char *workload;
	uint64_t files;
	uint64_t epochs;		/* samples a phase and round */
	uint64_t rounds;
	uint64_t dirty_mib;
	bool small_pages;
	bool writer;
	bool json;
} opt = { .epochs = 100, .rounds = 3 };

static int events;		/* trace_pipe */
static char buf[65536];		/* what was read of it, and not yet looked at */
static size_t buffered;
static int *fds;
static unsigned int num_open;
static volatile bool writer_stop;

/* ------------------------------------------------------------------- tracing */

static void trace_write(const char *file, const char *text)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), INSTANCE "/%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		bench_die("%s: %s (is the zuf module loaded, and the tracing file system mounted?)",
			  path, strerror(errno));
	close(fd);
}

static void trace_begin(void)
{
	rmdir(INSTANCE);
	if (mkdir(INSTANCE, 0700) && errno != EEXIST)
		bench_die(INSTANCE ": %s", strerror(errno));
	trace_write("events/zuf/zuf_epoch/enable", "1");
	events = open(INSTANCE "/trace_pipe", O_RDONLY | O_CLOEXEC);
	if (events < 0)
		bench_die(INSTANCE "/trace_pipe: %s", strerror(errno));
}

static void trace_end(void)
{
	trace_write("events/zuf/zuf_epoch/enable", "0");
	close(events);
	rmdir(INSTANCE);
}

/* What has been told so far is not of what follows. */
static void trace_drop(void)
{
	fcntl(events, F_SETFL, O_NONBLOCK);
	while (read(events, buf, sizeof(buf)) > 0)
		;
	fcntl(events, F_SETFL, 0);
	buffered = 0;
}

/* The next whole line, without its end; good until the next call. */
static char *trace_line(void)
{
	static char line[512];
	size_t bytes;
	ssize_t got;
	char *end;

	while (!(end = memchr(buf, '\n', buffered))) {
		if (buffered == sizeof(buf))
			bench_die("trace_pipe: a line of %zu bytes", sizeof(buf));
		got = read(events, buf + buffered, sizeof(buf) - buffered);
		if (got <= 0)
			bench_die("trace_pipe: %s", got ? strerror(errno) : "it has ended");
		buffered += (size_t)got;
	}
	bytes = (size_t)(end - buf);
	snprintf(line, sizeof(line), "%.*s", (int)bytes, buf);
	buffered -= bytes + 1;
	memmove(buf, end + 1, buffered);
	return line;
}

/* Waits for the next epoch. */
static void trace_next(uint64_t *total_ns, uint64_t *stall_ns)
{
	const char *line, *total, *stall;

	do {
		line = trace_line();
		total = strstr(line, "total_ns=");
		stall = strstr(line, "stall_ns=");
	} while (!total || !stall);
	*total_ns = strtoull(total + strlen("total_ns="), NULL, 10);
	*stall_ns = strtoull(stall + strlen("stall_ns="), NULL, 10);
}

/* -------------------------------------------------------------------- load */

static int file_open(unsigned int index, int flags)
{
	char path[512], byte;
	int fd;

	if (index)
		snprintf(path, sizeof(path), "%s/data%u", opt.dir, index);
	else
		snprintf(path, sizeof(path), "%s/data", opt.dir);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		bench_die("%s: %s (mount znullfs with files=%llu)", path, strerror(errno),
			  (unsigned long long)opt.files);
	/* so that it has a lease */
	if (pread(fd, &byte, 1, 0) != 1)
		bench_die("%s: cannot be read", path);
	return fd;
}

static void files_open(unsigned int count)
{
	while (num_open < count) {
		fds[num_open] = file_open(num_open, O_RDONLY);
		num_open++;
	}
}

static void files_close(void)
{
	FILE *drop = fopen("/proc/sys/vm/drop_caches", "we");

	while (num_open)
		close(fds[--num_open]);
	if (drop) {
		fputs("2", drop);
		fclose(drop);
	}
}

static void *writer_main(void *arg)
{
	char page[PAGE] = "";
	int fd = file_open(0, O_RDWR | O_DSYNC);

	(void)arg;
	while (!writer_stop)
		if (pwrite(fd, page, PAGE, 0) != (ssize_t)PAGE)
			bench_die("a write: %s", strerror(errno));
	close(fd);
	return NULL;
}

static void store_all(char *map)
{
	size_t off;

	for (off = 0; off < opt.dirty_mib << 20; off += PAGE)
		(*(volatile char *)(map + off))++;
}

/* ------------------------------------------------------------------ measuring */

static void sample(struct phase *phase, uint64_t total_ns, uint64_t stall_ns)
{
	phase->stall_ns[phase->num++] = stall_ns;
	phase->total_ns += total_ns;
}

static void measure_open(struct phase *phase)
{
	uint64_t i, total, stall;

	files_open(phase->files);
	trace_drop();
	trace_next(&total, &stall);	/* may have begun before */
	for (i = 0; i < opt.epochs; i++) {
		trace_next(&total, &stall);
		sample(phase, total, stall);
	}
}

/* All pages are dirty when the epoch begins, and nobody stores while it does. */
static void measure_dirty(struct phase *phase)
{
	uint64_t i, stored_ns, now_ns, total, stall;
	int fd = file_open(0, O_RDWR);
	char *map = mmap(NULL, opt.dirty_mib << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		bench_die("mmap of %llu MiB: %s", (unsigned long long)opt.dirty_mib,
			  strerror(errno));
	if (opt.small_pages)
		madvise(map, opt.dirty_mib << 20, MADV_NOHUGEPAGE);
	for (i = 0; i < opt.epochs; i++) {
		store_all(map);
		stored_ns = bench_now_ns();
		do {
			trace_next(&total, &stall);
			now_ns = bench_now_ns();
		} while (now_ns - total < stored_ns);	/* begun while we stored */
		sample(phase, total, stall);
	}
	munmap(map, opt.dirty_mib << 20);
	close(fd);
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double rank_us(const struct phase *phase, unsigned int percent)
{
	unsigned int at = (unsigned int)((uint64_t)phase->num * percent / 100);

	return (double)phase->stall_ns[at < phase->num ? at : phase->num - 1] / 1e3;
}

static void print_row(const struct phase *phase, const char *counter, double us)
{
	printf("{\"system\": \"nullfs-leased\", \"workload\": \"%s\", \"threads\": %d, \"files\": %u, \"counter\": \"%s\", \"per_op\": %.3f}\n",
	       opt.workload, opt.writer ? 1 : 0, phase->files, counter, us);
}

static void print_phase(struct phase *phase)
{
	double mean_us = (double)phase->total_ns / phase->num / 1e3;

	qsort(phase->stall_ns, phase->num, sizeof(*phase->stall_ns), by_value);
	if (opt.json) {
		print_row(phase, "stall_median_us", rank_us(phase, 50));
		print_row(phase, "stall_p99_us", rank_us(phase, 99));
		print_row(phase, "epoch_mean_us", mean_us);
		return;
	}
	printf("%-22s %6u files open: stall median %9.1f us, p99 %9.1f us, whole epoch %9.1f us, %u epochs\n",
	       opt.workload, phase->files, rank_us(phase, 50), rank_us(phase, 99), mean_us,
	       phase->num);
}

static void phase_init(struct phase *phase, uint64_t files)
{
	phase->files = (unsigned int)files;
	phase->stall_ns = calloc(opt.epochs * opt.rounds, sizeof(*phase->stall_ns));
	if (!phase->stall_ns)
		bench_die("no memory");
}

/* The rounds lie apart, so that a change of the host's load meets all phases. */
static int measure_files(void)
{
	struct phase none = { 0 }, some = { 0 }, all = { 0 };
	uint64_t round;
	double ratio;

	phase_init(&none, 0);
	phase_init(&some, opt.files < 1000 ? opt.files : 1000);
	phase_init(&all, opt.files);
	for (round = 0; round < opt.rounds; round++) {
		measure_open(&none);
		measure_open(&some);
		measure_open(&all);
		files_close();
	}
	print_phase(&none);
	print_phase(&some);
	print_phase(&all);
	ratio = rank_us(&all, 50) / rank_us(&none, 50);
	if (opt.writer) {
		fprintf(stderr, "%s: median with %u files open %.2f times that with none\n",
			opt.workload, all.files, ratio);
		return BENCH_EXIT_OK;
	}
	fprintf(stderr, "%s: median with %u files open %.2f times that with none (at most 1.2): %s\n",
		opt.workload, all.files, ratio, ratio <= 1.2 ? "PASS" : "FAIL");
	return ratio <= 1.2 ? BENCH_EXIT_OK : BENCH_EXIT_BAR;
}

static int measure(void)
{
	struct phase dirty = { 0 };
	pthread_t writer = 0;
	int status = BENCH_EXIT_OK;

	if (opt.writer && pthread_create(&writer, NULL, writer_main, NULL))
		bench_die("no thread");
	if (opt.dirty_mib) {
		opt.rounds = 1;
		phase_init(&dirty, 1);
		measure_dirty(&dirty);
		print_phase(&dirty);
	} else {
		status = measure_files();
	}
	writer_stop = true;
	if (opt.writer)
		pthread_join(writer, NULL);
	return status;
}

/* --------------------------------------------------------------------- options */

static const struct option options[] = {
	{ "dir", required_argument,    NULL, 'd' },
	{ "files", required_argument,  NULL, 'f' },
	{ "epochs", required_argument, NULL, 'e' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "dirty-mib", required_argument, NULL, 'm' },
	{ "small-pages", no_argument,  NULL, 's' },
	{ "writer", no_argument,       NULL, 'w' },
	{ "json", no_argument,         NULL, 'j' },
	{ "help", no_argument,         NULL, 'h' },
	{ }
};

static void usage(void)
{
	puts("usage: epoch-stall --dir=PATH --files=N [--writer] [--epochs=N] [--rounds=N] [--json]\n"
	     "       epoch-stall --dir=PATH --dirty-mib=N [--small-pages] [--epochs=N] [--json]\n"
	     "Times how long writers stand still while a write epoch begins. Root only.\n"
	     "  --dir=PATH     a mounted znullfs with epoch_ms\n"
	     "  --files=N      with none, 1,000 and N of its files open (mount it with files=N)\n"
	     "  --writer       while one task writes 4 KiB with O_DSYNC all the time\n"
	     "  --dirty-mib=N  with so much stored through a mapping before each epoch\n"
	     "  --small-pages  by pages of 4 KiB (else of 2 MiB where it can be)\n"
	     "  --epochs=N     epochs a figure and round (100)\n"
	     "  --rounds=N     rounds (3)\n"
	     "  --json         rows for tests/bench/report.py\n"
	     "Exit status 1: the median with N files open, without a writer, is above 1.2 times that\n"
	     "with none.");
}

static int parse(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'd': opt.dir = optarg; break;
		case 'f': opt.files = bench_parse_u64("files", optarg, 1, 1000000); break;
		case 'e': opt.epochs = bench_parse_u64("epochs", optarg, 1, SAMPLES_MAX); break;
		case 'r': opt.rounds = bench_parse_u64("rounds", optarg, 1, 100); break;
		case 'm': opt.dirty_mib = bench_parse_u64("dirty-mib", optarg, 1, 1 << 20); break;
		case 's': opt.small_pages = true; break;
		case 'w': opt.writer = true; break;
		case 'j': opt.json = true; break;
		case 'h': usage(); exit(BENCH_EXIT_OK);
		default: usage(); return -1;
		}
	}
	if (opt.dir && !opt.files != !opt.dirty_mib)
		return 0;
	usage();
	return -1;
}

int main(int argc, char **argv)
{
	static char workload[48];
	struct rlimit limit;
	int status;

	if (parse(argc, argv))
		return BENCH_EXIT_ERROR;
	if (opt.dirty_mib)
		snprintf(workload, sizeof(workload), "epoch-dirty-%llum%s",
			 (unsigned long long)opt.dirty_mib, opt.small_pages ? "-4k" : "");
	else
		snprintf(workload, sizeof(workload), "epoch-open%s", opt.writer ? "-writer" : "");
	opt.workload = workload;
	limit.rlim_cur = limit.rlim_max = opt.files + 100;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		bench_die("cannot have %llu files open: %s", (unsigned long long)opt.files,
			  strerror(errno));
	fds = calloc(opt.files + 1, sizeof(*fds));
	if (!fds)
		bench_die("no memory");
	trace_begin();
	close(file_open(0, O_RDONLY));	/* the first map makes the server begin */
	status = measure();
	trace_end();
	return status;
}
