// SPDX-License-Identifier: BSD-3-Clause
/*
 * crash.c - the program: makes a filesystem, and crashes workloads on it, in another process,
 * which may end by the plugin's fault. See docs/crash.md.
 */
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zus_server.h>

#include "mix.h"
#include "run.h"

#define DEFAULT_BYTES	(1u << 20)
#define DEFAULT_OFF	4096u
#define AGAIN_BYTES	1024u
#define PREPARED_NS	1400000000000000000ull

static const char usage[] =
	"usage: crash --plugin FILE.so [OPTION...]\n"
	"\n"
	"Does workloads on a filesystem of the plugin, in memory, and looks at all that a crash\n"
	"at any point may leave.\n"
	"\n"
	"  --target FILE.so     has the plugin's struct crash_target; default: the plugin itself\n"
	"  --options TEXT       mount options; default: the target's\n"
	"  --device-bytes N     default: the target's, or 1 MiB\n"
	"  --data-off N         what of it is not the plugin's; default: the target's, or 4096\n"
	"  --policy P           of data: atomic, blocks, words; default: the target's\n"
	"  --prefix             stores to one line reach the medium in order\n"
	"  --list FILE          workloads, one a line; default: --print-list's\n"
	"  --workload TEXT      this one; may be given once\n"
	"  --steps              also single operations before and behind each of its steps\n"
	"  --pairs              instead two operations beside each other, and one beside each of\n"
	"                       the plugin's steps\n"
	"  --preemptions N      of two beside each other at most; default: 2\n"
	"  --same-cpu           what a plugin has for each CPU is the same for both\n"
	"  --shard I/N          of N equal parts the I-th, from 1 on\n"
	"  --time-limit S       in an order that the seed gives, as far as it comes\n"
	"  --workload-limit S   a workload that takes longer hangs, of pairs a point;\n"
	"                       default: 120\n"
	"  --seed N             of random images and of the order; default: 1\n"
	"  --first              of each workload that fails only the first failure\n"
	"  --schedule TEXT      of --workload only this, as 1@17,0@23\n"
	"  --reproduce ID       of --workload, and --schedule, only this crash\n"
	"  --keep DIR           a file crash-NAME for each workload that fails\n"
	"  --json               the result as JSON\n"
	"  --print-list         prints the generated list of workloads, and ends\n"
	"\n"
	"Status 0: nothing failed, 1: something did, 2: the program could not run.\n";

struct lines {
	char **text;
	size_t num, max;
};

struct options {
	const char *plugin, *target, *options, *list, *workload, *keep, *reproduce, *policy;
	const char *schedule;
	uint64_t bytes, data_off, seed, shard, shards, time_limit, workload_limit, preemptions;
	bool prefix, steps, pairs, same_cpu, first, json, print_list;
};

static struct options options = {
	.seed = 1, .shard = 1, .shards = 1, .workload_limit = 120, .preemptions = 2,
};
static struct crash_tally *tally;
static char again[AGAIN_BYTES];

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *format, ...)
{
	va_list args;

	fputs("crash: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

/* ------------------------------------------------------------------ options */

static uint64_t number(const char *option, const char *text)
{
	uint64_t value;

	if (zus_parse_bytes(text, &value))
		die("--%s wants a number, not \"%s\"", option, text);
	return value;
}

static void parse_shard(const char *text)
{
	char *end;

	options.shard = strtoull(text, &end, 10);
	if (*end == '/')
		options.shards = strtoull(end + 1, &end, 10);
	if (*end || !options.shard || options.shard > options.shards)
		die("--shard wants I/N with I from 1 to N");
}

static const struct option long_options[] = {
	{ "plugin", 1, NULL, 'p' },	 { "target", 1, NULL, 't' },
	{ "options", 1, NULL, 'o' },	 { "device-bytes", 1, NULL, 'b' },
	{ "data-off", 1, NULL, 'd' },	 { "policy", 1, NULL, 'P' },
	{ "prefix", 0, NULL, 'x' },	 { "list", 1, NULL, 'l' },
	{ "workload", 1, NULL, 'w' },	 { "steps", 0, NULL, 'S' },
	{ "shard", 1, NULL, 's' },	 { "time-limit", 1, NULL, 'T' },
	{ "workload-limit", 1, NULL, 'W' }, { "seed", 1, NULL, 'r' },
	{ "reproduce", 1, NULL, 'R' },	 { "keep", 1, NULL, 'k' },
	{ "schedule", 1, NULL, 'c' },	 { "preemptions", 1, NULL, 'n' },
	{ "pairs", 0, NULL, 'a' },	 { "same-cpu", 0, NULL, 'C' },
	{ "first", 0, NULL, 'f' },	 { "json", 0, NULL, 'j' },
	{ "print-list", 0, NULL, 'L' },	 { "help", 0, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void parse_text(int c)
{
	const char **const texts[] = {
		['p'] = &options.plugin, ['t'] = &options.target, ['o'] = &options.options,
		['P'] = &options.policy, ['l'] = &options.list, ['w'] = &options.workload,
		['R'] = &options.reproduce, ['k'] = &options.keep, ['c'] = &options.schedule,
	};

	*texts[c] = optarg;
}

static void parse_number(int c, const char *name)
{
	uint64_t *const numbers[] = {
		['b'] = &options.bytes, ['d'] = &options.data_off, ['r'] = &options.seed,
		['T'] = &options.time_limit, ['W'] = &options.workload_limit,
		['n'] = &options.preemptions,
	};

	*numbers[c] = number(name, optarg);
}

static void parse_options(int argc, char **argv)
{
	int c, which;

	while ((c = getopt_long(argc, argv, "h", long_options, &which)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			exit(0);
		}
		if (c == '?')
			exit(2);
		if (strchr("ptoPlwRkc", c))
			parse_text(c);
		else if (strchr("bdrTWn", c))
			parse_number(c, long_options[which].name);
		else if (c == 's')
			parse_shard(optarg);
		options.prefix |= c == 'x';
		options.steps |= c == 'S';
		options.pairs |= c == 'a';
		options.same_cpu |= c == 'C';
		options.first |= c == 'f';
		options.json |= c == 'j';
		options.print_list |= c == 'L';
	}
	if (optind < argc)
		die("what is \"%s\"? See crash --help", argv[optind]);
	if ((options.reproduce || options.schedule) && !options.workload)
		die("--reproduce and --schedule want --workload");
}

static void add_again(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void add_again(const char *format, ...)
{
	size_t used = strlen(again);
	va_list args;

	va_start(args, format);
	vsnprintf(again + used, sizeof(again) - used, format, args);
	va_end(args);
}

/* What a reproduction begins with: all that changes what is done, or which image is which. */
static void say_again(const char *program)
{
	add_again("%s --plugin %s", program, options.plugin);
	if (options.target)
		add_again(" --target %s", options.target);
	if (options.options)
		add_again(" --options '%s'", options.options);
	if (options.bytes)
		add_again(" --device-bytes %" PRIu64, options.bytes);
	if (options.data_off)
		add_again(" --data-off %" PRIu64, options.data_off);
	if (options.policy)
		add_again(" --policy %s", options.policy);
	if (options.prefix)
		add_again(" --prefix");
	if (options.same_cpu)
		add_again(" --same-cpu");
	add_again(" --seed %" PRIu64, options.seed);
}

/* ---------------------------------------------------------------- the plugin */

static const struct crash_target no_target;

/* A plugin need not have one. */
static const struct crash_target *find_target(void)
{
	const char *file = options.target ? options.target : options.plugin;
	char path[PATH_MAX];
	const void *found = NULL;
	void *handle;

	if (!file)
		die("--plugin is missing; see crash --help");
	snprintf(path, sizeof(path), "%s%s", strchr(file, '/') ? "" : "./", file);
	handle = dlopen(path, RTLD_NOW);
	if (handle)
		found = dlsym(handle, "crash_target");
	if (options.target && !found)
		die("%s: %s", file, handle ? "exports no crash_target" : dlerror());
	return found ? found : &no_target;
}

static void set_policy(struct crash_config *config)
{
	uint32_t flags = config->target->flags;

	config->policy = flags & CRASH_WORDS ? VIEW_WORD : flags & CRASH_BLOCKS ? VIEW_BLOCK :
			 VIEW_ATOMIC;
	if (!options.policy)
		return;
	if (!strcmp(options.policy, "atomic"))
		config->policy = VIEW_ATOMIC;
	else if (!strcmp(options.policy, "blocks"))
		config->policy = VIEW_BLOCK;
	else if (!strcmp(options.policy, "words"))
		config->policy = VIEW_WORD;
	else
		die("--policy is atomic, blocks or words");
}

static void load_plugin(struct crash_config *config)
{
	const struct crash_target *target;
	char message[512];

	config->target = find_target();
	target = config->target;
	if (zus_plugin_load(options.plugin, &config->plugin, message, sizeof(message)))
		die("%s", message);
	config->options = options.options ? options.options : target->options;
	config->bytes = options.bytes ? options.bytes :
			target->device_bytes ? target->device_bytes : DEFAULT_BYTES;
	config->data_off = options.data_off ? options.data_off :
			   target->data_off ? target->data_off : DEFAULT_OFF;
	if (config->bytes % 4096)
		die("--device-bytes is no multiple of 4096");
	set_policy(config);
	config->images.seed = options.seed;
	config->images.prefix = options.prefix;
	config->again = again;
	config->first = options.first;
	config->only_one = options.reproduce != NULL;
	if (options.reproduce && at_parse(&config->only, options.reproduce))
		die("--reproduce wants what a failure printed, as 2.1.77");
	config->preemptions = (uint32_t)options.preemptions;
	config->same_cpu = options.same_cpu;
	config->limit = (unsigned int)options.workload_limit;
	config->one_schedule = options.schedule != NULL;
	if (options.schedule && schedule_parse(&config->schedule, options.schedule))
		die("--schedule wants what a failure printed, as 1@17,0@23");
}

/* ------------------------------------------------------------- prepared tree */

static void prepare_tree(struct crash_config *config, struct zus_local *local, struct spec *spec)
{
	struct workload workload;
	const struct op *op;
	char text[WORKLOAD_TEXT];
	uint32_t i;
	int err;

	if (workload_parse(&workload, workload_prepare))
		die("the prepared tree's operations are wrong");
	for (i = 0; i < workload.num_ops; i++) {
		op = &workload.ops[i];
		err = op_to_fs(op, local, config->target);
		if (err == -EOPNOTSUPP)
			continue;
		op_print(op, text);
		if (err || op_to_spec(op, spec))
			die("preparing the tree: %s: %s", text, strerror(-err));
	}
}

static void prepare(struct crash_config *config)
{
	char *media = aligned_alloc(4096, config->bytes);
	struct zus_local *local = NULL;
	struct zus_statfs st = { 0 };
	struct zus_attr root;
	struct spec *spec;
	int err;

	if (!media)
		die("no memory");
	memset(media, 0, config->bytes);
	err = config->target->mkfs ?
	      config->target->mkfs(media, config->bytes, config->options) : 0;
	if (err)
		die("mkfs: %s", strerror(-err));
	err = crash_mount(config, media, &local);
	if (err)
		die("mounting the new filesystem: %s", strerror(-err));
	if (zus_local_statfs(local, &st) || zus_local_stat(local, "/", &root))
		die("the new filesystem cannot be used");
	config->blocks_free = st.blocks_free;
	spec = spec_new(root.mode, root.uid, root.gid);
	prepare_tree(config, local, spec);
	zus_local_umount(local);
	config->base = spec;
	config->prepared = media;
}

/* ---------------------------------------------------------------- workloads */

static void add_line(void *arg, const char *text)
{
	struct lines *lines = arg;

	crash_grow(&lines->text, lines->num, &lines->max, sizeof(*lines->text));
	lines->text[lines->num] = strdup(text);
	if (!lines->text[lines->num++])
		die("no memory");
}

static void free_lines(struct lines *lines)
{
	size_t i;

	for (i = 0; i < lines->num; i++)
		free(lines->text[i]);
	free(lines->text);
}

static void read_list(struct lines *lines, const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t bytes = 0;

	if (!file)
		die("%s: %s", path, strerror(errno));
	while (getline(&line, &bytes, file) > 0) {
		line[strcspn(line, "#\n")] = 0;
		if (line[strspn(line, " \t")])
			add_line(lines, line);
	}
	free(line);
	fclose(file);
}

/* Each operation before and behind each step. */
static void add_steps(struct lines *lines, const struct crash_target *target)
{
	size_t i, singles = lines->num;
	const char *const *step;
	char text[2 * WORKLOAD_TEXT];

	for (step = target->steps; step && *step; step++)
		for (i = 0; i < singles; i++) {
			if (strchr(lines->text[i], ';'))
				continue;
			snprintf(text, sizeof(text), "%s; step %s", lines->text[i], *step);
			add_line(lines, text);
			snprintf(text, sizeof(text), "step %s; %s", *step, lines->text[i]);
			add_line(lines, text);
		}
}

static void shuffle(struct lines *lines)
{
	uint64_t state = options.seed;
	size_t i, j;
	char *text;

	for (i = lines->num; i > 1; i--) {
		j = mix_random(&state) % i;
		text = lines->text[i - 1];
		lines->text[i - 1] = lines->text[j];
		lines->text[j] = text;
	}
}

static void generate(struct lines *lines, const struct crash_target *target)
{
	if (options.pairs)
		workload_pairs(target->steps, add_line, lines);
	else
		workload_list(add_line, lines);
}

static void print_list(void)
{
	struct lines lines = { 0 };
	uint64_t hash = 0;
	size_t i;

	generate(&lines, options.target || options.plugin ? find_target() : &no_target);
	for (i = 0; i < lines.num; i++) {
		puts(lines.text[i]);
		hash = mix_bytes(hash, lines.text[i], strlen(lines.text[i]));
	}
	printf("# %zu workloads, hash %016" PRIx64 "\n", lines.num, hash);
	free_lines(&lines);
}

static void find_lines(struct lines *lines, const struct crash_target *target)
{
	if (options.workload)
		add_line(lines, options.workload);
	else if (options.list)
		read_list(lines, options.list);
	else
		generate(lines, target);
	if (options.steps)
		add_steps(lines, target);
	if (options.time_limit)
		shuffle(lines);
}

/* ------------------------------------------------------------------ run them */

static void keep(const struct crash_config *config, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	if (mkdir(options.keep, 0777) && errno != EEXIST)
		die("%s: %s", options.keep, strerror(errno));
	snprintf(path, sizeof(path), "%s/crash-%016" PRIx64, options.keep,
		 mix_bytes(0, text, strlen(text)));
	file = fopen(path, "w");
	if (!file)
		die("%s: %s", path, strerror(errno));
	fputs("# ", file);
	report_again(config, text, &tally->first_at, &tally->first_schedule, file);
	fprintf(file, "%s\n", text);
	if (fclose(file))
		die("%s: %s", path, strerror(errno));
}

static void end_line(const struct crash_config *config, const char *text)
{
	if (tally->run_failures)
		tally->failed++;
	else if (tally->run_unsupported)
		tally->not_run++;
	else
		tally->passed++;
	if (tally->run_failures && options.keep)
		keep(config, text);
}

static bool out_of_time(const struct crash_config *config)
{
	return config->until_ns && run_now_ns() >= config->until_ns;
}

/* The process ended by a signal: a failure at the image that it had before it. */
static void report_signal(const struct crash_config *config, const char *text, int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	report_count(tally);
	if (sig == SIGALRM)
		fprintf(stderr, "crash: %s: no end within %" PRIu64 " s\n", text,
			options.workload_limit);
	else if (sig)
		fprintf(stderr, "crash: %s: ended by %s\n", text, strsignal(sig));
	else
		fprintf(stderr, "crash: %s: ended with status %d\n", text, WEXITSTATUS(status));
	fputs("  ", stderr);
	report_again(config, text, &tally->at, &tally->schedule, stderr);
}

/* In a process of its own, until its end or the plugin's fault. */
static void run_lines_here(const struct crash_config *config, const struct lines *lines)
{
	struct workload workload;

	for (; tally->line < lines->num && !out_of_time(config); tally->line += options.shards) {
		const char *text = lines->text[tally->line];

		if (workload_parse(&workload, text))
			die("no workload: \"%s\"", text);
		tally->run_failures = 0;
		tally->run_unsupported = false;
		alarm(config->limit);
		run_workload(config, &workload, text, tally);
		end_line(config, text);
	}
	fflush(stderr);
	_exit(0);
}

static void run_lines(const struct crash_config *config, const struct lines *lines)
{
	int status;
	pid_t pid;

	tally->line = options.shard - 1;
	while (tally->line < lines->num && !out_of_time(config)) {
		status = 0;
		fflush(stdout);
		pid = fork();
		if (pid < 0)
			die("fork: %s", strerror(errno));
		if (!pid)
			run_lines_here(config, lines);
		if (waitpid(pid, &status, 0) == pid && !status)
			return;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
			exit(2);	/* it has said why */
		report_signal(config, lines->text[tally->line], status);
		end_line(config, lines->text[tally->line]);
		tally->line += options.shards;
	}
}

static void print_json(double seconds)
{
	printf("{\"workloads\": %" PRIu64 ", \"schedules\": %" PRIu64 ", \"orders\": %" PRIu64
	       ", \"not_run\": %" PRIu64 ", \"failed\": %" PRIu64
	       ", \"images\": %" PRIu64 ", \"repeated\": %" PRIu64 ", \"points\": %" PRIu64
	       ", \"exhaustive\": %" PRIu64 ", \"states\": %" PRIu64 ", \"deep_images\": %" PRIu64
	       ", \"clean_flushes\": %" PRIu64 ", \"failures\": %" PRIu64
	       ", \"seconds\": %.3f, \"seed\": %" PRIu64 "}\n",
	       tally->passed + tally->failed, tally->schedules, tally->orders, tally->not_run,
	       tally->failed, tally->images,
	       tally->repeated, tally->points, tally->exhaustive, tally->states,
	       tally->deep_images, tally->clean_flushes, tally->failures, seconds, options.seed);
}

static void print_result(void)
{
	double seconds = (double)tally->ns / 1e9;

	if (options.json) {
		print_json(seconds);
		return;
	}
	printf("%" PRIu64 " passed, %" PRIu64 " failed, %" PRIu64 " not run\n", tally->passed,
	       tally->failed, tally->not_run);
	printf("%" PRIu64 " workloads, ", tally->passed + tally->failed);
	if (tally->schedules)
		printf("%" PRIu64 " schedules, %" PRIu64 " orders, ", tally->schedules,
		       tally->orders);
	printf("%" PRIu64 " images (%.0f a second, %" PRIu64 " repeated), %" PRIu64
	       " of %" PRIu64 " points exhaustive, %" PRIu64 " states, %" PRIu64 " images in recovery, %" PRIu64 " clean flushes, seed %" PRIu64
	       "; %" PRIu64 " failures\n",
	       tally->images,
	       seconds > 0 ? (double)(tally->images + tally->deep_images) / seconds : 0.0,
	       tally->repeated, tally->exhaustive, tally->points, tally->states,
	       tally->deep_images, tally->clean_flushes, options.seed, tally->failures);
}

int main(int argc, char **argv)
{
	struct crash_config config = { 0 };
	struct lines lines = { 0 };

	parse_options(argc, argv);
	if (options.print_list) {
		print_list();
		return 0;
	}
	/* what a mount allocates stays here when it is freed, and costs no page fault again */
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	zus_log_open("zus", 0, getenv("ZUFS_LOG") ? ZUS_LOG_DEBUG : 0);
	say_again(argv[0]);
	load_plugin(&config);
	coro_set_clock(PREPARED_NS);	/* the same each time */
	prepare(&config);
	coro_set_clock(0);
	find_lines(&lines, config.target);
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (tally == MAP_FAILED)
		die("no memory");
	if (options.time_limit)
		config.until_ns = run_now_ns() + options.time_limit * 1000000000u;
	run_lines(&config, &lines);
	print_result();
	free_lines(&lines);
	spec_free((struct spec *)config.base);
	free((char *)config.prepared);
	return tally->failed ? 1 : 0;
}
