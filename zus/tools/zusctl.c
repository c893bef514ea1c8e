// SPDX-License-Identifier: BSD-3-Clause
/*
 * zusctl.c - shows servers, mounts and statistics, and aborts a mount. All of it
 * is read from /sys/fs/zuf and from the servers' statistics files.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zus_server.h>

#define HIST_BUCKETS	32

static struct {
	const char *sysfs;
	const char *run_dir;
	int json;
} ctl = { "/sys/fs/zuf", "/run/zufs", 0 };

static const char usage_text[] =
	"Usage: zusctl [OPTION]... COMMAND\n"
	"  status             servers and mounts\n"
	"  stats [MOUNT]      operations of all mounts or one: count, errors, latency as\n"
	"                     their callers saw it; and what each server counted itself\n"
	"  abort MOUNT        end a stuck mount: all that is under way there, and all\n"
	"                     later operations, fail with an I/O error\n"
	"\n"
	"  -j, --json         for a program to read\n"
	"      --sysfs DIR    instead of /sys/fs/zuf\n"
	"      --run-dir DIR  instead of /run/zufs\n"
	"  -h, --help         show this\n"
	"  -V, --version      show the version\n"
	"\n"
	"Exit status: 0 done, 1 failed (also: the module is not loaded), 2 wrong usage.\n";

enum { OPT_SYSFS = 256, OPT_RUN_DIR };

static const struct option long_options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "sysfs", required_argument, NULL, OPT_SYSFS },
	{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* Says what went wrong; its value is the exit status. */
#define fail(format, ...) \
	(fprintf(stderr, "zusctl: " format "\n", ##__VA_ARGS__), 1)

static int usage_error(const char *what)
{
	fprintf(stderr, "zusctl: %s\nTry 'zusctl --help'.\n", what);
	return 2;
}

/* ------------------------------------------------------------------ reading */

/* A file's text without its last newline; "" if it cannot be read. */
static const char *text_of(char *buf, size_t bytes, const char *dir, const char *id,
			   const char *name)
{
	char path[PATH_MAX];
	ssize_t len = -1;
	int fd;

	buf[0] = 0;
	if (snprintf(path, sizeof(path), "%s/%s/%s/%s", ctl.sysfs, dir, id, name) >=
	    (int)sizeof(path))
		return buf;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, buf, bytes - 1);
		close(fd);
	}
	buf[len > 0 ? len : 0] = 0;
	while (len > 0 && buf[len - 1] == '\n')
		buf[--len] = 0;
	return buf;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strverscmp((*a)->d_name, (*b)->d_name);
}

static int not_dot(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

typedef int each_fn(const char *name, int first, void *arg);

/* Calls fn for each entry of a folder below sysfs, in order. */
static int each(const char *sub, each_fn *fn, void *arg)
{
	struct dirent **list;
	char path[PATH_MAX];
	int n, i, status = 0;

	if (snprintf(path, sizeof(path), "%s/%s", ctl.sysfs, sub) >= (int)sizeof(path))
		return fail("name too long: %s", sub);
	n = scandir(path, &list, not_dot, by_name);
	if (n < 0 && errno == ENOENT && access(ctl.sysfs, F_OK))
		return fail("there is no %s: load the module with 'modprobe zuf'", ctl.sysfs);
	if (n < 0)
		return fail("%s: %s", path, strerror(errno));
	for (i = 0; i < n; i++) {
		if (!status)
			status = fn(list[i]->d_name, i == 0, arg);
		free(list[i]);
	}
	free(list);
	return status;
}

/* -------------------------------------------------------------------- JSON */

static void json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

/* "name": value, as a number where it is one. */
static void json_member(const char *name, const char *value, int last)
{
	char *end;

	json_string(name);
	printf(": ");
	strtoll(value, &end, 10);
	if (*value && !*end)
		fputs(value, stdout);
	else
		json_string(value);
	if (!last)
		printf(", ");
}

/* The lines of a text as strings, or "name number" lines as members. */
static void json_lines(const char *name, char *text, int members)
{
	char *line, *save = NULL, *number;
	int first = 1;

	json_string(name);
	printf(members ? ": {" : ": [");
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		printf(first ? "" : ", ");
		first = 0;
		number = members ? strrchr(line, ' ') : NULL;
		if (number) {
			*number++ = 0;
			json_member(line, number, 1);
		} else {
			json_string(line);
		}
	}
	printf(members ? "}" : "]");
}

/* ------------------------------------------------------------------- status */

static int show_server(const char *id, int first, void *arg)
{
	static const char *const names[] = { "pid", "types", "state", "channels" };
	char text[4][4096];
	unsigned int i;

	(void)arg;
	for (i = 0; i < 4; i++)
		text_of(text[i], sizeof(text[i]), "servers", id, names[i]);
	if (ctl.json) {
		printf("%s{", first ? "" : ", ");
		json_member("id", id, 0);
		for (i = 0; i < 4; i++)
			json_member(names[i], text[i], i == 3);
		putchar('}');
		return 0;
	}
	if (first)
		printf("%-8s %-8s %-10s %8s  %s\n", "SERVER", "PID", "STATE", "CHANNELS",
		       "TYPES");
	printf("%-8s %-8s %-10s %8s  %s\n", id, text[0], text[2], text[3], text[1]);
	return 0;
}

/* Only rules that were broken. */
static void show_rules(char *rules)
{
	char *line, *save = NULL, *number;

	for (line = strtok_r(rules, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		number = strrchr(line, ' ');
		if (number && strcmp(number, " 0") != 0)
			printf("         replies that broke rule %s\n", line);
	}
}

static int show_mount(const char *id, int first, void *arg)
{
	static const char *const names[] = { "type", "server", "state", "inflight",
					     "orphans", "devices", "rules" };
	char text[7][4096], *line, *save = NULL;
	unsigned int i;

	(void)arg;
	for (i = 0; i < 7; i++)
		text_of(text[i], sizeof(text[i]), "mounts", id, names[i]);
	if (ctl.json) {
		printf("%s{", first ? "" : ", ");
		json_member("id", id, 0);
		for (i = 0; i < 5; i++)
			json_member(names[i], text[i], 0);
		json_lines("devices", text[5], 0);
		printf(", ");
		json_lines("rules", text[6], 1);
		putchar('}');
		return 0;
	}
	if (first)
		printf("\n%-8s %-16s %-8s %-10s %8s %8s\n", "MOUNT", "TYPE", "SERVER",
		       "STATE", "INFLIGHT", "ORPHANS");
	printf("%-8s %-16s %-8s %-10s %8s %8s\n", id, text[0], text[1], text[2], text[3],
	       text[4]);
	for (line = strtok_r(text[5], "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		printf("         device %s\n", line);
	show_rules(text[6]);
	return 0;
}

static int status(void)
{
	int err;

	if (access(ctl.sysfs, F_OK))
		return fail("there is no %s: load the module with 'modprobe zuf'", ctl.sysfs);
	if (ctl.json)
		printf("{\"servers\": [");
	err = each("servers", show_server, NULL);
	if (ctl.json)
		printf("], \"mounts\": [");
	if (!err)
		err = each("mounts", show_mount, NULL);
	if (ctl.json)
		printf("]}\n");
	return err;
}

/* -------------------------------------------------------------------- stats */

struct op_line {
	uint64_t count, errors, total_ns;
	uint64_t hist[HIST_BUCKETS];
};

/* Takes "name number " off the text's front. */
static int take_number(const char **text, const char *name, uint64_t *number)
{
	size_t len = strlen(name);
	char *end;

	if (strncmp(*text, name, len) != 0)
		return -1;
	*number = strtoull(*text + len, &end, 10);
	if (end == *text + len)
		return -1;
	*text = end + strspn(end, " ");
	return 0;
}

static int parse_line(const char *text, struct op_line *op)
{
	int i;

	memset(op, 0, sizeof(*op));
	if (take_number(&text, "count", &op->count) ||
	    take_number(&text, "errors", &op->errors) ||
	    take_number(&text, "total_ns", &op->total_ns) || strncmp(text, "hist", 4) != 0)
		return -1;
	text += 4;
	for (i = 0; i < HIST_BUCKETS && *text; i++)
		if (take_number(&text, "", &op->hist[i]))
			return -1;
	return 0;
}

/* Upper bound of the bucket that holds the given part (of 1000) of all. */
static uint64_t quantile_ns(const struct op_line *op, unsigned int permille)
{
	uint64_t total = 0, sum = 0;
	unsigned int i;

	for (i = 0; i < HIST_BUCKETS; i++)
		total += op->hist[i];
	for (i = 0; i < HIST_BUCKETS; i++) {
		sum += op->hist[i];
		if (total && sum * 1000 >= total * permille)
			return 2ull << i;
	}
	return 0;
}

struct op_context {
	const char *mount;
	int shown;
};

static int show_op(const char *name, int first, void *arg)
{
	struct op_context *context = arg;
	char text[4096], dir[PATH_MAX];
	struct op_line op;

	(void)first;
	snprintf(dir, sizeof(dir), "mounts/%s", context->mount);
	text_of(text, sizeof(text), dir, "ops", name);
	if (parse_line(text, &op))
		return fail("mounts/%s/ops/%s: cannot understand \"%s\"", context->mount,
			    name, text);
	if (!op.count)
		return 0;
	if (ctl.json) {
		printf("%s{", context->shown ? ", " : "");
		json_member("op", name, 0);
		printf("\"count\": %" PRIu64 ", \"errors\": %" PRIu64 ", \"total_ns\": %" PRIu64
		       ", \"p50_ns_below\": %" PRIu64 ", \"p99_ns_below\": %" PRIu64 "}",
		       op.count, op.errors, op.total_ns, quantile_ns(&op, 500),
		       quantile_ns(&op, 990));
	} else {
		printf("  %-10s %12" PRIu64 " %8" PRIu64 " %10.1f %10.1f %10.1f\n", name,
		       op.count, op.errors, (double)op.total_ns / (double)op.count / 1e3,
		       (double)quantile_ns(&op, 500) / 1e3,
		       (double)quantile_ns(&op, 990) / 1e3);
	}
	context->shown++;
	return 0;
}

static int show_mount_stats(const char *id, int first, void *arg)
{
	struct op_context context = { .mount = id };
	const char *wanted = arg;
	char type[64], dir[PATH_MAX];
	int err;

	if (wanted && strcmp(wanted, id) != 0)
		return 0;
	text_of(type, sizeof(type), "mounts", id, "type");
	if (ctl.json) {
		printf("%s{", first || wanted ? "" : ", ");
		json_member("id", id, 0);
		json_member("type", type, 0);
		printf("\"ops\": [");
	} else {
		printf("mount %s, %s\n  %-10s %12s %8s %10s %10s %10s\n", id, type, "OP",
		       "COUNT", "ERRORS", "MEAN us", "P50 us <", "P99 us <");
	}
	snprintf(dir, sizeof(dir), "mounts/%s/ops", id);
	err = each(dir, show_op, &context);
	if (ctl.json)
		printf("]}");
	return err;
}

static uint64_t counter(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);	/* its worker adds to it */
}

static void show_server_op(const struct zus_stats_file *file, uint32_t op, int *shown)
{
	struct zus_op_stats sum = { 0 };
	uint32_t w;

	for (w = 0; w < file->num_workers; w++) {
		const struct zus_op_stats *s = &file->worker[w].op[op];

		sum.count += counter(&s->count);
		sum.errors += counter(&s->errors);
		sum.sampled += counter(&s->sampled);
		sum.sampled_ns += counter(&s->sampled_ns);
	}
	if (!sum.count)
		return;
	if (ctl.json)
		printf("%s{\"op\": \"%.16s\", \"count\": %" PRIu64 ", \"errors\": %" PRIu64
		       ", \"sampled\": %" PRIu64 ", \"sampled_ns\": %" PRIu64 "}",
		       *shown ? ", " : "", file->op_name[op], sum.count, sum.errors,
		       sum.sampled, sum.sampled_ns);
	else
		printf("  %-10.16s %12" PRIu64 " %8" PRIu64 " %10.1f\n", file->op_name[op],
		       sum.count, sum.errors,
		       sum.sampled ? (double)sum.sampled_ns / (double)sum.sampled / 1e3 : 0);
	++*shown;
}

static int stats_file_ok(const struct zus_stats_file *file, uint64_t bytes)
{
	return bytes >= sizeof(*file) && file->magic == ZUS_STATS_MAGIC &&
	       file->version == 1 && file->num_ops <= ZUS_STATS_OPS &&
	       file->num_workers <= (bytes - sizeof(*file)) / sizeof(file->worker[0]);
}

static void show_server_stats(const char *name, int *servers)
{
	const struct zus_stats_file *file = MAP_FAILED;
	char path[PATH_MAX];
	struct stat st;
	uint32_t op;
	int fd, shown = 0;

	snprintf(path, sizeof(path), "%s/%s", ctl.run_dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && !fstat(fd, &st) && st.st_size > 0)
		file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (file == MAP_FAILED)
		return;
	if (stats_file_ok(file, (uint64_t)st.st_size)) {
		if (ctl.json)
			printf("%s{\"type\": \"%.32s\", \"pid\": %u, \"ops\": [",
			       *servers ? ", " : "", file->type, file->pid);
		else
			printf("server of %.32s, process %u\n  %-10s %12s %8s %10s\n",
			       file->type, file->pid, "OP", "COUNT", "ERRORS", "MEAN us");
		for (op = 0; op < file->num_ops; op++)
			show_server_op(file, op, &shown);
		if (ctl.json)
			printf("]}");
		++*servers;
	}
	munmap((void *)(uintptr_t)file, (size_t)st.st_size);
}

static void all_server_stats(void)
{
	struct dirent **list;
	int n = scandir(ctl.run_dir, &list, not_dot, by_name), i, servers = 0;

	for (i = 0; i < n; i++) {
		const char *dot = strrchr(list[i]->d_name, '.');

		if (dot && !strcmp(dot, ".stats"))
			show_server_stats(list[i]->d_name, &servers);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

static int mount_path(char *path, size_t bytes, const char *mount, const char *file)
{
	const char *at;

	for (at = mount; isdigit((unsigned char)*at); at++)
		;
	if (at == mount || *at)
		return usage_error("a mount is a number; see 'zusctl status'");
	snprintf(path, bytes, "%s/mounts/%s%s", ctl.sysfs, mount, file);
	if (access(path, F_OK))
		return fail("there is no mount %s; see 'zusctl status'", mount);
	return 0;
}

static int stats(char *mount)
{
	char path[PATH_MAX];
	int err = mount ? mount_path(path, sizeof(path), mount, "") : 0;

	if (!err && access(ctl.sysfs, F_OK))
		err = fail("there is no %s: load the module with 'modprobe zuf'", ctl.sysfs);
	if (err)
		return err;
	if (ctl.json)
		printf("{\"mounts\": [");
	err = each("mounts", show_mount_stats, mount);
	if (ctl.json)
		printf("], \"servers\": [");
	if (!err && !mount)
		all_server_stats();
	if (ctl.json)
		printf("]}\n");
	return err;
}

/* -------------------------------------------------------------------- abort */

static int abort_mount(const char *mount)
{
	char path[PATH_MAX];
	int err = mount_path(path, sizeof(path), mount, "/abort");
	int fd;

	if (err)
		return err;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		err = fail("cannot abort mount %s: %s", mount, strerror(errno));
	if (fd >= 0)
		close(fd);
	return err;
}

int main(int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "jhV", long_options, NULL)) >= 0) {
		switch (opt) {
		case 'j':
			ctl.json = 1;
			break;
		case OPT_SYSFS:
			ctl.sysfs = optarg;
			break;
		case OPT_RUN_DIR:
			ctl.run_dir = optarg;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		case 'V':
			puts("zusctl 1.0");
			return 0;
		default:
			fputs("Try 'zusctl --help'.\n", stderr);
			return 2;
		}
	}
	argc -= optind;
	argv += optind;
	if (argc == 1 && !strcmp(argv[0], "status"))
		return status();
	if ((argc == 1 || argc == 2) && !strcmp(argv[0], "stats"))
		return stats(argc == 2 ? argv[1] : NULL);
	if (argc == 2 && !strcmp(argv[0], "abort"))
		return abort_mount(argv[1]);
	return usage_error(argc ? "unknown command, or wrong number of arguments" :
				  "no command given");
}
