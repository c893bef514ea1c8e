// SPDX-License-Identifier: BSD-3-Clause
/*
 * What it costs to find one of many leases of an inode: small reads at random blocks of
 * a file whose leases are all there, and of those reads the lookup alone.
 *
 * The file is znullfs's, whose option extent=4k makes each block a lease, and space=4m
 * puts all of them into PLACES places of the device, so that the data that are read
 * fill as much of the CPU's caches with few leases as with many. With --one-extent the file
 * is one lease of all those places.
 *
 * The lookup is timed by the kernel's function_graph tracer, which takes some time
 * itself: as much as it says that another function takes, which does next to nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_util.h"

#define TRACING		"/sys/kernel/tracing"
#define LOOKUP		"zuf_lease_find"
#define NEXT_TO_NOTHING	"zuf_range_unlock"
#define TRACED_MAX	20000u
#define BLOCK		4096ull
#define LINE		64u		/* read at once, and of each place always the same */
#define PLACES		1024u
#define FILL_BYTES	(2u << 20)	/* as many extents as one answer has room for */

static struct {
	const char *file;
	const char *stats;
	uint64_t blocks;
	uint64_t from;
	uint64_t ops;
	uint64_t seed;
	bool one_extent;
	bool json;
} opt = { .ops = 100000, .seed = 20190812 };

static int fd;
static uint64_t state;

/* Those of one function. */
struct times {
	const char *name;
	double ns[TRACED_MAX];
	unsigned int num;
};

static struct times lookup = { .name = LOOKUP }, nothing = { .name = NEXT_TO_NOTHING };

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* -------------------------------------------------------------------- leases */

/* Of the mount's counters in sysfs. */
static uint64_t stat_of(const char *name)
{
	FILE *stats = fopen(opt.stats, "re");
	size_t bytes = strlen(name);
	uint64_t value;
	char line[80];

	if (!stats)
		bench_die("%s: %s (it is /sys/fs/zuf/mounts/ID/leases)", opt.stats,
			  strerror(errno));
	while (fgets(line, sizeof(line), stats)) {
		if (!strncmp(line, name, bytes) && line[bytes] == ' ') {
			value = strtoull(line + bytes, NULL, 10);
			fclose(stats);
			return value;
		}
	}
	bench_die("%s: no counter \"%s\"", opt.stats, name);
}

/* So that blocks [from, blocks) are leased, each by itself. */
static void fill(void)
{
	uint64_t off = opt.from * BLOCK, end = opt.blocks * BLOCK;
	uint64_t kept = stat_of("kept"), want = opt.one_extent ? 1 : opt.blocks - opt.from;
	char *buf = malloc(FILL_BYTES);
	ssize_t got;

	if (!buf)
		bench_die("no memory");
	memset(buf, 1, FILL_BYTES);	/* resident */
	for (; off < end; off += (uint64_t)got) {
		got = pread(fd, buf, end - off < FILL_BYTES ? end - off : FILL_BYTES, (off_t)off);
		if (got <= 0)
			bench_die("%s at %llu: %s", opt.file, (unsigned long long)off,
				  got ? strerror(errno) : "it ends there");
	}
	free(buf);
	kept = stat_of("kept") - kept;
	if (kept != want)
		bench_die("%llu leases were kept, not %llu: was the file's part leased before, or is there no memory?",
			  (unsigned long long)kept, (unsigned long long)want);
}

static int read_line(void *ctx)
{
	uint64_t block = next_random() % opt.blocks;
	uint64_t off = block * BLOCK + block * LINE % BLOCK;

	return pread(fd, ctx, LINE, (off_t)off) == (ssize_t)LINE ? 0 : -EIO;
}

/* ------------------------------------------------------------------- tracing */

/* The kernel takes a word at a time. */
static void trace_write(const char *file, const char *text)
{
	size_t left = strlen(text);
	ssize_t taken = 0;
	char path[96];
	int control;

	snprintf(path, sizeof(path), TRACING "/%s", file);
	control = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	do {
		text += taken;
		left -= (size_t)taken;
		if (control >= 0)
			taken = write(control, text, left);
		if (control < 0 || taken < 0)
			bench_die("%s: %s (is the zuf module loaded, and the tracing file system mounted?)",
				  path, strerror(errno));
	} while (taken && left > (size_t)taken);
	close(control);
}

/* " 0)   1.234 us    |  zuf_lease_find [zuf]();" */
static void trace_line(const char *line)
{
	struct times *times = strstr(line, LOOKUP) ? &lookup :
			      strstr(line, NEXT_TO_NOTHING) ? &nothing : NULL;
	const char *unit = strstr(line, " us "), *number = unit;

	if (!times || !unit || times->num == TRACED_MAX)
		return;
	while (number > line && strchr("0123456789.", number[-1]))
		number--;
	times->ns[times->num++] = strtod(number, NULL) * 1e3;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median_ns(struct times *times)
{
	if (times->num < 1000)
		bench_die("the tracer saw only %u calls of %s", times->num, times->name);
	qsort(times->ns, times->num, sizeof(*times->ns), by_value);
	return times->ns[times->num / 2];
}

/* The median of a lookup. The tracer is left as it was at boot. */
static double trace_lookups(void)
{
	char line[256], data[LINE];
	unsigned int i;
	FILE *trace;

	trace_write("current_tracer", "nop");
	trace_write("buffer_size_kb", "8192");
	trace_write("set_ftrace_filter", LOOKUP " " NEXT_TO_NOTHING);
	trace_write("current_tracer", "function_graph");
	for (i = 0; i < TRACED_MAX; i++)
		if (read_line(data))
			bench_die("%s: %s", opt.file, strerror(errno));
	trace_write("tracing_on", "0");
	trace = fopen(TRACING "/trace", "re");
	if (!trace)
		bench_die(TRACING "/trace: %s", strerror(errno));
	while (fgets(line, sizeof(line), trace))
		trace_line(line);
	fclose(trace);
	trace_write("current_tracer", "nop");
	trace_write("set_ftrace_filter", "");
	trace_write("tracing_on", "1");
	return median_ns(&lookup) - median_ns(&nothing);
}

/* ----------------------------------------------------------------- measuring */

static void print_result(const struct bench_result *res, double lookup_ns)
{
	unsigned long long extents = opt.one_extent ? 1 : opt.blocks;

	if (!opt.json) {
		printf("%8llu extents: a read of %u bytes %.0f ns (p99 %llu ns), its lookup %.0f ns\n",
		       extents, LINE, res->mean_ns, (unsigned long long)res->p99_ns, lookup_ns);
		return;
	}
	printf("{\"system\": \"nullfs-leased\", \"workload\": \"extents-%llu\", \"threads\": 1, \"files\": 1, \"seed\": %llu, \"iops\": %.1f, \"lat_mean_us\": %.4f, \"lat_p99_us\": %.3f}\n",
	       extents, (unsigned long long)opt.seed, 1e9 / res->mean_ns, res->mean_ns / 1e3,
	       (double)res->p99_ns / 1e3);
	printf("{\"system\": \"nullfs-leased\", \"workload\": \"extents-%llu\", \"threads\": 1, \"files\": 1, \"seed\": %llu, \"counter\": \"lookup_ns\", \"per_op\": %.1f}\n",
	       extents, (unsigned long long)opt.seed, lookup_ns);
}

static void measure(void)
{
	struct bench_result res;
	uint64_t misses;
	double lookup_ns;
	char data[LINE];
	int err;

	state = opt.seed;
	fill();
	misses = stat_of("misses");
	err = bench_measure(read_line, data, opt.ops, &res);
	if (err)
		bench_die("%s: %s", opt.file, strerror(-err));
	lookup_ns = trace_lookups();
	if (stat_of("misses") != misses)
		bench_die("the server was asked while leases were measured: they were dropped");
	print_result(&res, lookup_ns);
}

/* --------------------------------------------------------------------- options */

static const struct option options[] = {
	{ "file", required_argument,   NULL, 'f' },
	{ "stats", required_argument,  NULL, 's' },
	{ "blocks", required_argument, NULL, 'b' },
	{ "from", required_argument,   NULL, 'F' },
	{ "ops", required_argument,    NULL, 'o' },
	{ "seed", required_argument,   NULL, 'S' },
	{ "one-extent", no_argument,   NULL, '1' },
	{ "json", no_argument,         NULL, 'j' },
	{ "help", no_argument,         NULL, 'h' },
	{ }
};

static void usage(void)
{
	puts("usage: lease-lookup --file=PATH --stats=PATH (--blocks=N [--from=N] | --one-extent)\n"
	     "                    [--ops=N] [--seed=N] [--json]\n"
	     "Times reads of 64 bytes at random blocks that are leased, and the lookup in them. Root\n"
	     "only; uses the machine's function tracer.\n"
	     "  --file=PATH    of a znullfs mounted with mode=leased,extent=4k,space=4m\n"
	     "  --stats=PATH   /sys/fs/zuf/mounts/ID/leases of that mount\n"
	     "  --blocks=N     so many blocks, each leased by itself\n"
	     "  --from=N       those in front of N were leased before, by this program, and still are\n"
	     "  --one-extent   the file is one lease (mounted with mode=leased,size=4m)\n"
	     "  --ops=N        reads (100000)\n"
	     "  --seed=N       of the random sequence\n"
	     "  --json         rows for tests/bench/report.py");
}

static int parse(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'f': opt.file = optarg; break;
		case 's': opt.stats = optarg; break;
		case 'b': opt.blocks = bench_parse_u64("blocks", optarg, 1, 1ull << 30); break;
		case 'F': opt.from = bench_parse_u64("from", optarg, 0, 1ull << 30); break;
		case 'o': opt.ops = bench_parse_u64("ops", optarg, 100, 1ull << 32); break;
		case 'S': opt.seed = bench_parse_u64("seed", optarg, 1, ~0ull); break;
		case '1': opt.one_extent = true; break;
		case 'j': opt.json = true; break;
		case 'h': usage(); exit(BENCH_EXIT_OK);
		default: usage(); return -1;
		}
	}
	if (opt.file && opt.stats && opt.one_extent != (opt.blocks > opt.from))
		return 0;
	usage();
	return -1;
}

int main(int argc, char **argv)
{
	if (parse(argc, argv) || !opt.file)
		return BENCH_EXIT_ERROR;
	if (opt.one_extent)
		opt.blocks = PLACES;
	fd = open(opt.file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bench_die("%s: %s", opt.file, strerror(errno));
	measure();
	return BENCH_EXIT_OK;
}
