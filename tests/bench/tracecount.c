// SPDX-License-Identifier: BSD-3-Clause
/*
 * Counts what one operation costs in facts that no emulator distorts: context
 * switches, migrations, wake-ups of another CPU, remote TLB flushes and the
 * server's system calls, for the calling task and the server's threads.
 *
 * Histogram triggers in a tracing instance of its own do the counting inside
 * the kernel: nothing goes through a ring buffer, so nothing can be lost, and
 * other users of tracing are not disturbed. The triggers are armed paused;
 * only the operations themselves run between their start and stop.
 *
 * Beware in sched_waking: common_pid is the task that runs (the waker, or
 * whatever an interrupt hit), pid is the task being woken; target_cpu is where
 * it last ran. The CPU it is really put on differs only by a migration, which
 * is counted as such, or shows in sched_wakeup.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "zus_api.h"
#include "bench_util.h"

#define MAX_TIDS 256
#define BLOCK_BYTES 4096u
#define FILTER_BYTES 3500u	/* a write to tracefs takes one page */
#define TLB_REMOTE_SHOOTDOWN 1	/* received: <trace/events/tlb.h> */
#define TLB_REMOTE_SEND_IPI 4	/* caused */
#define IN_INTERRUPT 24		/* common_flags: hard or soft interrupt */

/* ------------------------------------------------------------- operations */

struct subject {
	int fd;
	uint64_t blocks;
	uint64_t next_block;
	char *buf;
	__u64 cookie;
};

static int op_nop(void *ctx)
{
	struct subject *sub = ctx;
	struct zufs_nop nop = { .cookie = ++sub->cookie };

	return ioctl(sub->fd, ZUFS_IOC_NOP, &nop) < 0 ? -errno : 0;
}

static int op_map(void *ctx)
{
	struct subject *sub = ctx;
	off_t off = (off_t)(sub->next_block++ % sub->blocks * BLOCK_BYTES);
	ssize_t len = pwrite(sub->fd, sub->buf, BLOCK_BYTES, off);

	if (len < 0)
		return -errno;
	return len == BLOCK_BYTES ? 0 : -ENOSPC;
}

static int op_getattr(void *ctx)
{
	struct subject *sub = ctx;
	struct statx stx;

	return statx(sub->fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS,
		     &stx) < 0 ? -errno : 0;
}

static const struct {
	const char *name;
	const char *system;	/* as in results.json, when the user gives none */
	bench_op_fn run;
	int open_flags;
} ops[] = {
	{ "nop",     "null-op",     op_nop,     O_RDONLY },
	{ "map",     "nullfs-call", op_map,     O_RDWR | O_DSYNC },
	{ "getattr", "nullfs-call", op_getattr, O_RDONLY },
};

#define NR_OPS (sizeof(ops) / sizeof(ops[0]))

/* --------------------------------------------------------------- triggers */

enum task_set { CALLER_AND_SERVER, SERVER_ONLY };

/*
 * One histogram. In @filter, %P stands for the condition on the field before
 * it: "pid%P" becomes (pid==1||pid==2).
 */
struct probe {
	const char *event;
	const char *keys;
	enum task_set tasks;
	const char *filter;
};

enum { P_SWITCH, P_MIGRATE, P_WAKEE, P_WAKER, P_WAKEUP, P_TLB, P_SYSCALL, NR_PROBES };

static const struct probe probes[NR_PROBES] = {
	[P_SWITCH]  = { "sched/sched_switch", "prev_pid", CALLER_AND_SERVER, "prev_pid%P" },
	[P_MIGRATE] = { "sched/sched_migrate_task", "pid", CALLER_AND_SERVER, "pid%P" },
	/* One of the tasks is woken, by anyone. */
	[P_WAKEE]   = { "sched/sched_waking", "common_cpu,target_cpu", CALLER_AND_SERVER,
			"pid%P" },
	/* One of the tasks itself wakes somebody else. */
	[P_WAKER]   = { "sched/sched_waking", "common_cpu,target_cpu", CALLER_AND_SERVER,
			"common_pid%P && !(pid%P) && !(common_flags & 24)" },
	/* Where a woken one was really put. */
	[P_WAKEUP]  = { "sched/sched_wakeup", "common_cpu,target_cpu", CALLER_AND_SERVER,
			"pid%P" },
	[P_TLB]     = { "tlb/tlb_flush", "reason", CALLER_AND_SERVER, "common_pid%P" },
	[P_SYSCALL] = { "raw_syscalls/sys_enter", "common_pid", SERVER_ONLY, "common_pid%P" },
};

_Static_assert(IN_INTERRUPT == 24, "the number in the P_WAKER filter");

struct tracer {
	char dir[256];
	pid_t tids[MAX_TIDS];	/* the caller first, then the server's threads */
	unsigned int nr_tids;
	char trigger[NR_PROBES][FILTER_BYTES + 256];
};

static struct tracer tracer;

/* Returns 0 or a negative errno. */
static int write_file(const char *dir, const char *name, const char *text, int extra_flags)
{
	char path[512];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC | extra_flags);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static size_t append(char *buf, size_t used, size_t size, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(buf + used, size - used, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= size - used)
		bench_die("the server has too many threads for one trace filter");
	return used + (size_t)len;
}

/* Expands "FIELD%P" to a disjunction over the task ids. */
static void expand_filter(const struct probe *probe, char *out, size_t size)
{
	unsigned int first = probe->tasks == SERVER_ONLY ? 1 : 0;
	const char *in = probe->filter, *mark;
	size_t used = 0;

	out[0] = '\0';
	while ((mark = strstr(in, "%P"))) {
		const char *field = mark;

		while (field > in && (field[-1] == '_' || (field[-1] >= 'a' && field[-1] <= 'z')))
			field--;
		used = append(out, used, size, "%.*s(", (int)(field - in), in);
		for (unsigned int i = first; i < tracer.nr_tids; i++)
			used = append(out, used, size, "%s%.*s==%d", i > first ? "||" : "",
				      (int)(mark - field), field, tracer.tids[i]);
		used = append(out, used, size, ")");
		in = mark + 2;
	}
	append(out, used, size, "%s", in);
}

/* @action: "pause" creates the trigger, "cont" starts it, "!" removes it. */
static int set_probe(int index, const char *action)
{
	const struct probe *probe = &probes[index];
	char filter[FILTER_BYTES], name[128];

	expand_filter(probe, filter, sizeof(filter));
	snprintf(name, sizeof(name), "events/%s/trigger", probe->event);
	snprintf(tracer.trigger[index], sizeof(tracer.trigger[index]), "hist:keys=%s:%s if %s",
		 probe->keys, action, filter);
	return write_file(tracer.dir, name, tracer.trigger[index], O_APPEND);
}

static void find_tids(pid_t server)
{
	char path[64];
	struct dirent *entry;
	DIR *dir;

	tracer.tids[tracer.nr_tids++] = getpid();
	snprintf(path, sizeof(path), "/proc/%d/task", server);
	dir = opendir(path);
	if (!dir)
		bench_die("--server=%d: %s: %s", server, path, strerror(errno));
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (tracer.nr_tids == MAX_TIDS)
			bench_die("--server=%d has more than %d threads", server, MAX_TIDS - 1);
		tracer.tids[tracer.nr_tids++] = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	closedir(dir);
}

static void remove_instance(void)
{
	if (tracer.dir[0])
		rmdir(tracer.dir);	/* its triggers go with it */
	tracer.dir[0] = '\0';
}

static void on_signal(int sig)
{
	remove_instance();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void make_instance(const char *tracefs)
{
	snprintf(tracer.dir, sizeof(tracer.dir), "%s/instances/tracecount-%d", tracefs, getpid());
	if (mkdir(tracer.dir, 0700)) {
		int err = errno;

		tracer.dir[0] = '\0';
		bench_die("%s/instances: %s (as root: mount -t tracefs tracefs %s)", tracefs,
			  strerror(err), tracefs);
	}
	atexit(remove_instance);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	write_file(tracer.dir, "buffer_size_kb", "4", 0);
	for (int i = 0; i < NR_PROBES; i++) {
		int err = set_probe(i, "pause");

		if (err)
			bench_die("cannot count %s: %s (the kernel needs CONFIG_HIST_TRIGGERS)",
				  probes[i].event, strerror(-err));
	}
}

/* ------------------------------------------------------------ histograms */

/* Gives each entry's keys (as many as it has, at most 2) and count. */
typedef uint64_t (*entry_fn)(const long long *key, uint64_t hits);

static uint64_t any_key(const long long *key, uint64_t hits)
{
	(void)key;
	return hits;
}

static uint64_t keys_differ(const long long *key, uint64_t hits)
{
	return key[0] != key[1] ? hits : 0;
}

static uint64_t remote_flush(const long long *key, uint64_t hits)
{
	return key[0] == TLB_REMOTE_SHOOTDOWN || key[0] == TLB_REMOTE_SEND_IPI ? hits : 0;
}

static bool parse_entry(const char *line, long long *key, uint64_t *hits)
{
	const char *text = strstr(line, "hitcount:");

	if (line[0] != '{' || !text)
		return false;
	*hits = strtoull(text + strlen("hitcount:"), NULL, 10);
	key[0] = key[1] = -1;
	for (int i = 0; i < 2; i++) {
		line = strchr(line, ':');
		if (!line || line > text)
			break;
		key[i] = strtoll(++line, NULL, 10);
	}
	return true;
}

/*
 * A hist file shows all triggers of its event one after another, each under a
 * line with its own definition; ours is told by keys and filter.
 */
static uint64_t read_probe(int index, entry_fn select)
{
	const struct probe *probe = &probes[index];
	char path[512], filter[FILTER_BYTES], *line = NULL;
	uint64_t sum = 0, hits;
	bool ours = false, found = false;
	size_t size = 0;
	long long key[2];
	FILE *file;

	expand_filter(probe, filter, sizeof(filter));
	snprintf(path, sizeof(path), "%s/events/%s/hist", tracer.dir, probe->event);
	file = fopen(path, "r");
	if (!file)
		bench_die("%s: %s", path, strerror(errno));
	while (getline(&line, &size, file) >= 0) {
		const char *dropped = strstr(line, "Dropped: ");

		if (!strncmp(line, "# trigger info:", 15)) {
			/* The tail " [paused]" follows the filter. */
			const char *cond = strstr(line, " if ");

			ours = cond && !strncmp(cond + 4, filter, strlen(filter)) &&
			       !strncmp(cond + 4 + strlen(filter), " [", 2);
			found = found || ours;
		}
		if (ours && parse_entry(line, key, &hits))
			sum += select(key, hits);
		if (ours && dropped && strtoull(dropped + 9, NULL, 10))
			bench_die("%s: the kernel dropped counts: %s", probe->event, line);
	}
	free(line);
	fclose(file);
	if (!found)
		bench_die("%s shows no histogram of ours", path);
	return sum;
}

/* ---------------------------------------------------------------- results */

enum { C_SWITCHES, C_SYSCALLS, C_MIGRATIONS, C_WAKEUPS, C_FLUSHES, NR_COUNTERS };

static const struct {
	const char *name;
	double bar;		/* most per operation */
	double at_least;	/* less means that the operation did not happen */
} counters[NR_COUNTERS] = {
	[C_SWITCHES]   = { "context_switches",   2.02,  1.98 },
	[C_SYSCALLS]   = { "server_syscalls",    1.01,  0.99 },
	[C_MIGRATIONS] = { "migrations",         0.001, 0 },
	[C_WAKEUPS]    = { "cross_cpu_wakeups",  0.001, 0 },
	[C_FLUSHES]    = { "remote_tlb_flushes", 0.001, 0 },
};

static void collect(uint64_t *count)
{
	uint64_t wakee = read_probe(P_WAKEE, keys_differ);
	uint64_t placed = read_probe(P_WAKEUP, keys_differ);

	count[C_SWITCHES] = read_probe(P_SWITCH, any_key);
	count[C_SYSCALLS] = read_probe(P_SYSCALL, any_key);
	count[C_MIGRATIONS] = read_probe(P_MIGRATE, any_key);
	/* Two views of the same wake-ups; the worse one counts. */
	count[C_WAKEUPS] = (wakee > placed ? wakee : placed) + read_probe(P_WAKER, keys_differ);
	count[C_FLUSHES] = read_probe(P_TLB, remote_flush);
}

static int report(const char *system, const char *op, const uint64_t *count, uint64_t nr_ops,
		  bool json, bool bars)
{
	int status = BENCH_EXIT_OK;

	for (int i = 0; i < NR_COUNTERS; i++) {
		double per_op = (double)count[i] / (double)nr_ops;
		bool bad = bars && (per_op > counters[i].bar || per_op < counters[i].at_least);

		if (json)
			printf("{\"system\": \"%s\", \"workload\": \"count-%s\", \"threads\": 1, "
			       "\"files\": 1, \"counter\": \"%s\", \"per_op\": %.6f}\n",
			       system, op, counters[i].name, per_op);
		else if (bars)
			printf("%-8s %-20s %10.5f  (at most %.5g) %s\n", op, counters[i].name,
			       per_op, counters[i].bar, bad ? "FAIL" : "ok");
		else
			printf("%-8s %-20s %10.5f\n", op, counters[i].name, per_op);
		if (bad) {
			fprintf(stderr, "tracecount: %s: %.5f %s per operation, bar %.5g to %.5g\n",
				op, per_op, counters[i].name, counters[i].at_least,
				counters[i].bar);
			status = BENCH_EXIT_BAR;
		}
	}
	return status;
}

/* ------------------------------------------------------------------- main */

static void repeat(bench_op_fn op, struct subject *sub, uint64_t nr_ops)
{
	for (uint64_t i = 0; i < nr_ops; i++) {
		int err = op(sub);

		if (err)
			bench_die("operation failed: %s", strerror(-err));
	}
}

static void switch_probes(const char *action)
{
	for (int i = 0; i < NR_PROBES; i++) {
		int err = set_probe(i, action);

		if (err)
			bench_die("cannot %s %s: %s", action, probes[i].event, strerror(-err));
	}
}

static void open_subject(struct subject *sub, const char *path, int flags)
{
	struct stat st;

	if (!path)
		bench_die("no file is given to measure");
	sub->fd = open(path, flags | O_CLOEXEC);
	if (sub->fd < 0 || fstat(sub->fd, &st))
		bench_die("%s: %s", path, strerror(errno));
	sub->blocks = (uint64_t)st.st_size / BLOCK_BYTES;
	if (!sub->blocks)
		bench_die("%s: needs at least one block of %u bytes", path, BLOCK_BYTES);
	sub->buf = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
	if (!sub->buf)
		bench_die("out of memory");
	memset(sub->buf, 0x5a, BLOCK_BYTES);
}

static const struct option options[] = {
	{ "op",      required_argument, NULL, 'o' },
	{ "file",    required_argument, NULL, 'f' },
	{ "server",  required_argument, NULL, 's' },
	{ "cpu",     required_argument, NULL, 'c' },
	{ "ops",     required_argument, NULL, 'n' },
	{ "system",  required_argument, NULL, 'y' },
	{ "tracefs", required_argument, NULL, 't' },
	{ "no-bars", no_argument,       NULL, 'b' },
	{ "json",    no_argument,       NULL, 'j' },
	{ "help",    no_argument,       NULL, 'h' },
	{ }
};

static void usage(void)
{
	puts("usage: tracecount --op=nop|map|getattr --file=PATH --server=PID [options]\n"
	     "Counts by tracepoints what one operation costs the caller and the server.\n"
	     "  --op=NAME       nop: ZUFS_IOC_NOP; map: a 4 KiB O_DSYNC pwrite;\n"
	     "                  getattr: statx with AT_STATX_FORCE_SYNC\n"
	     "  --file=PATH     the file to use\n"
	     "  --server=PID    the process whose threads answer\n"
	     "  --cpu=N         the CPU to run on (0)\n"
	     "  --ops=N         operations to count over (100000)\n"
	     "  --system=NAME   name in the rows\n"
	     "  --tracefs=DIR   (/sys/kernel/tracing)\n"
	     "  --no-bars       only count\n"
	     "  --json          rows for tests/bench/report.py\n"
	     "Exits 0 when all bars hold, 1 when one is passed, 2 on an error.");
}

static struct {
	const char *tracefs;
	const char *path;
	const char *system;
	uint64_t cpu;
	uint64_t nr_ops;
	pid_t server;
	size_t op;
	bool json;
	bool bars;
} conf = {
	.tracefs = "/sys/kernel/tracing", .nr_ops = 100000, .op = NR_OPS, .bars = true,
};

static size_t find_op(const char *name)
{
	size_t op = 0;

	while (op < NR_OPS && strcmp(ops[op].name, name) != 0)
		op++;
	return op;
}

static void parse_options(int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'o': conf.op = find_op(optarg); break;
		case 'f': conf.path = optarg; break;
		case 's': conf.server = (pid_t)bench_parse_u64("server", optarg, 1, 1u << 30); break;
		case 'c': conf.cpu = bench_parse_u64("cpu", optarg, 0, 4095); break;
		case 'n': conf.nr_ops = bench_parse_u64("ops", optarg, 1, 1000000000); break;
		case 'y': conf.system = optarg; break;
		case 't': conf.tracefs = optarg; break;
		case 'b': conf.bars = false; break;
		case 'j': conf.json = true; break;
		case 'h': usage(); exit(BENCH_EXIT_OK);
		default: usage(); exit(BENCH_EXIT_ERROR);
		}
	}
	if (conf.op == NR_OPS || !conf.path || !conf.server) {
		usage();
		exit(BENCH_EXIT_ERROR);
	}
}

int main(int argc, char **argv)
{
	uint64_t count[NR_COUNTERS];
	struct subject sub = { 0 };
	bench_op_fn op;

	parse_options(argc, argv);
	op = ops[conf.op].run;
	bench_pin_cpu(conf.cpu);
	open_subject(&sub, conf.path, ops[conf.op].open_flags);
	find_tids(conf.server);
	make_instance(conf.tracefs);
	repeat(op, &sub, conf.nr_ops / 100 + 1);
	switch_probes("cont");
	repeat(op, &sub, conf.nr_ops);
	switch_probes("pause");
	collect(count);
	return report(conf.system ? conf.system : ops[conf.op].system, ops[conf.op].name, count,
		      conf.nr_ops, conf.json, conf.bars);
}
