// SPDX-License-Identifier: BSD-3-Clause
/*
 * mkfs.c - mkfs.zlogfs: the device table, by mkfs.zufs, which also refuses what may not be
 * overwritten, and behind it an empty zlogfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include <zufs_media.h>
#include <zus_server.h>

#include "zlogfs.h"

#define LARGE_BYTES	(512ull << 20)	/* from here on segments are as huge pages */
#define SMALL_SHIFT	18u

static struct {
	bool force;
	bool dry_run;
	bool quiet;
	bool own_uuid;
	struct zl_mkfs options;
	char **paths;
	uint32_t num;
	struct zl_media media[ZUFS_DEVTABLE_DEVICES];
	int fds[ZUFS_DEVTABLE_DEVICES];
} mkfs;

static const char usage_text[] =
	"Usage: mkfs.zlogfs [OPTION]... DEVICE...\n"
	"Make a zlogfs on 1 to 32 persistent-memory devices, or files; the first one is\n"
	"mounted, by 'mount -t zlogfs DEVICE DIR'. The device table of zufs is made, too.\n"
	"\n"
	"  -L, --label LABEL        at most 63 bytes\n"
	"  -U, --uuid UUID          of the filesystem; default: random\n"
	"  -f, --force              overwrite a filesystem or partition table that is there\n"
	"  -n, --dry-run            check and show, write nothing\n"
	"  -q, --quiet              say nothing but errors\n"
	"      --policy POLICY      of overwrites: inplace, cow or boundary (default)\n"
	"      --segment-shift N    segments of 2^N bytes, 12 to 21; default: 21, and 18 on\n"
	"                           devices below 512 MiB\n"
	"      --node-lines N       lines of 64 bytes of a tree node: 16, 32 or 64 (default)\n"
	"  -h, --help               show this\n"
	"  -V, --version            show the version\n"
	"\n"
	"A device that is mounted or otherwise in use is never written.\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage.\n";

enum { OPT_POLICY = 256, OPT_SHIFT, OPT_LINES };

static const struct option long_options[] = {
	{ "label", required_argument, NULL, 'L' },
	{ "uuid", required_argument, NULL, 'U' },
	{ "force", no_argument, NULL, 'f' },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "segment-shift", required_argument, NULL, OPT_SHIFT },
	{ "node-lines", required_argument, NULL, OPT_LINES },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static const char *const policies[] = {
	[ZLF_POLICY_INPLACE] = "inplace", [ZLF_POLICY_COW] = "cow",
	[ZLF_POLICY_BOUNDARY] = "boundary",
};

/* Says what went wrong; its value is the exit status. */
#define fail(format, ...) \
	(fprintf(stderr, "mkfs.zlogfs: " format "\n", ##__VA_ARGS__), 1)

static int usage_error(const char *what)
{
	fprintf(stderr, "mkfs.zlogfs: %s\nTry 'mkfs.zlogfs --help'.\n", what);
	return 2;
}

/* -------------------------------------------------------------------- sizes */

static int look_at(uint32_t i)
{
	int fd = open(mkfs.paths[i], O_RDONLY | O_CLOEXEC);
	uint64_t bytes;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		if (fd >= 0)
			close(fd);
		return fail("%s: %s", mkfs.paths[i], strerror(errno));
	}
	bytes = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &bytes))
		bytes = 0;
	close(fd);
	mkfs.media[i] = (struct zl_media) { .bytes = bytes,
					    .data_off = zus_devtable_data_off(0) };
	return 0;
}

static uint32_t logs_for(uint64_t segments)
{
	uint32_t logs = 1;

	while (logs < ZLF_MAX_LOGS && logs * 32ull <= segments)
		logs *= 2;
	return logs;
}

/* What of a device the log that waits may have, and one log each 16 segments. */
static void choose_sizes(void)
{
	struct zl_mkfs *options = &mkfs.options;
	uint64_t total = 0, least = UINT64_MAX, unapplied = 8ull << 20;
	uint32_t i;

	for (i = 0; i < mkfs.num; i++) {
		total += mkfs.media[i].bytes;
		least = mkfs.media[i].bytes < least ? mkfs.media[i].bytes : least;
	}
	if (!options->segment_shift)
		options->segment_shift = least < LARGE_BYTES ? SMALL_SHIFT : 21;
	if (unapplied > total / 64)
		unapplied = total / 64;
	if (unapplied < 1ull << options->segment_shift)
		unapplied = 1ull << options->segment_shift;
	options->unapplied_max_bytes = unapplied;
	options->num_logs = logs_for(total >> options->segment_shift);
}

/* --------------------------------------------------------------------- table */

/* Beside this program, or where the shell finds it. */
static void exec_mkfs_zufs(char **argv)
{
	char path[4096], *slash;
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - sizeof("mkfs.zufs"));

	if (len > 0) {
		path[len] = 0;
		slash = strrchr(path, '/');
		if (slash) {
			memcpy(slash + 1, "mkfs.zufs", sizeof("mkfs.zufs"));
			execv(path, argv);
		}
	}
	execvp("mkfs.zufs", argv);
	fprintf(stderr, "mkfs.zlogfs: mkfs.zufs: %s\n", strerror(errno));
	_exit(1);
}

static int make_table(void)
{
	static char name[] = "mkfs.zufs", type[] = "-tzlogfs", force[] = "-f", dry[] = "-n";
	static char end[] = "--";
	char *argv[ZUFS_DEVTABLE_DEVICES + 8];
	int n = 0, status, null;
	uint32_t i;
	pid_t pid;

	argv[n++] = name;
	argv[n++] = type;
	if (mkfs.force)
		argv[n++] = force;
	if (mkfs.dry_run)
		argv[n++] = dry;
	argv[n++] = end;
	for (i = 0; i < mkfs.num; i++)
		argv[n++] = mkfs.paths[i];
	argv[n] = NULL;
	pid = fork();
	if (pid < 0)
		return fail("no process: %s", strerror(errno));
	if (!pid) {
		null = mkfs.quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
		if (null >= 0)
			dup2(null, STDOUT_FILENO);
		exec_mkfs_zufs(argv);
	}
	if (waitpid(pid, &status, 0) != pid)
		return fail("mkfs.zufs: %s", strerror(errno));
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : 1;	/* it has said why */
}

/* -------------------------------------------------------------------- writing */

static int map_device(uint32_t i)
{
	struct zl_media *media = &mkfs.media[i];
	struct zufs_devtable table;
	struct stat st;
	uint32_t copy;
	int err, fd;

	fd = mkfs.fds[i] = open(mkfs.paths[i], O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return fail("%s: %s", mkfs.paths[i], strerror(errno));
	if (S_ISBLK(st.st_mode))
		ioctl(fd, BLKFLSBUF, 0);	/* the table went past the page cache */
	err = zus_devtable_read(fd, media->bytes, &table, &copy);
	if (err)
		return fail("%s: the device table does not read back: %s", mkfs.paths[i],
			    strerror(-err));
	media->data_off = le64toh(table.dev[i].data_off);
	media->bytes = le64toh(table.dev[i].size_bytes);
	media->pmd_phase_bytes = le64toh(table.dev[i].pmd_phase_bytes);
	memcpy(media->uuid, table.dev[i].uuid, sizeof(media->uuid));
	if (!mkfs.own_uuid)
		memcpy(mkfs.options.fs_uuid, table.fs_uuid, sizeof(table.fs_uuid));
	media->addr = mmap(NULL, media->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (media->addr == MAP_FAILED)
		return fail("%s cannot be mapped: %s", mkfs.paths[i], strerror(errno));
	return 0;
}

/* Durable, and not left in a cache beside which DAX reads. */
static int sync_device(uint32_t i)
{
	struct zl_media *media = &mkfs.media[i];
	struct stat st;

	if (msync(media->addr, media->bytes, MS_SYNC) || munmap(media->addr, media->bytes) ||
	    fsync(mkfs.fds[i]))
		return fail("%s: %s", mkfs.paths[i], strerror(errno));
	if (!fstat(mkfs.fds[i], &st) && S_ISBLK(st.st_mode))
		ioctl(mkfs.fds[i], BLKFLSBUF, 0);
	close(mkfs.fds[i]);
	return 0;
}

static void show(void)
{
	const struct zl_mkfs *o = &mkfs.options;

	if (mkfs.quiet)
		return;
	printf("%s zlogfs: segments of %u KiB, nodes of %u lines, %u log%s, of which %" PRIu64
	       " KiB may wait, policy %s\n", mkfs.dry_run ? "would make" : "made",
	       1u << (o->segment_shift - 10), o->node_lines, o->num_logs,
	       o->num_logs == 1 ? "" : "s", o->unapplied_max_bytes >> 10, policies[o->policy]);
}

static int cannot(const char *why)
{
	return fail("%s: %s%s", mkfs.paths[0], why, strstr(why, "small") ?
		    "; give a larger one, or a smaller --segment-shift" : "");
}

static int make(void)
{
	const char *why;
	uint32_t i;

	for (i = 0; i < mkfs.num; i++)
		if (look_at(i))
			return 1;
	choose_sizes();
	mkfs.options.dry_run = true;
	/* before anything is written; what is no device at all mkfs.zufs says better */
	if (mkfs.media[0].bytes >= ZUFS_DEVICE_MIN_BYTES &&
	    zl_mkfs(mkfs.media, mkfs.num, &mkfs.options, &why))
		return cannot(why);
	if (make_table())
		return 1;
	for (i = 0; i < mkfs.num && !mkfs.dry_run; i++)
		if (map_device(i))
			return 1;
	mkfs.options.dry_run = mkfs.dry_run;
	if (!mkfs.dry_run && zl_mkfs(mkfs.media, mkfs.num, &mkfs.options, &why))
		return cannot(why);
	for (i = 0; i < mkfs.num && !mkfs.dry_run; i++)
		if (sync_device(i))
			return 1;
	show();
	return 0;
}

/* -------------------------------------------------------------------- options */

static int parse_number(const char *text, uint32_t *number)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || n > UINT32_MAX)
		return -1;
	*number = (uint32_t)n;
	return 0;
}

static int parse_policy(const char *text)
{
	uint32_t i;

	for (i = ZLF_POLICY_INPLACE; i <= ZLF_POLICY_BOUNDARY; i++)
		if (!strcmp(text, policies[i])) {
			mkfs.options.policy = i;
			return 0;
		}
	return usage_error("a policy is inplace, cow or boundary");
}

static int parse_one(int opt)
{
	struct zl_mkfs *options = &mkfs.options;

	switch (opt) {
	case 'L':
		options->label = optarg;
		return strlen(optarg) < 64 ? 0 : usage_error("a label has at most 63 bytes");
	case 'U':
		mkfs.own_uuid = true;
		return uuid_parse(optarg, options->fs_uuid) ?
		       usage_error("a UUID is like c5e6ba0c-6bd2-4f0e-9f3e-1c1f7b0a9d10") : 0;
	case 'f':
		mkfs.force = true;
		return 0;
	case 'n':
		mkfs.dry_run = true;
		return 0;
	case 'q':
		mkfs.quiet = true;
		return 0;
	case OPT_POLICY:
		return parse_policy(optarg);
	case OPT_SHIFT:
		return parse_number(optarg, &options->segment_shift) ||
		       options->segment_shift < 12 || options->segment_shift > 21 ?
		       usage_error("--segment-shift is 12 to 21") : 0;
	case OPT_LINES:
		return parse_number(optarg, &options->node_lines) ||
		       (options->node_lines != 16 && options->node_lines != 32 &&
			options->node_lines != 64) ?
		       usage_error("--node-lines is 16, 32 or 64") : 0;
	case 'h':
		fputs(usage_text, stdout);
		return -1;
	case 'V':
		printf("mkfs.zlogfs 1.0, format %u.%u\n", ZLF_VERSION_MAJOR, ZLF_VERSION_MINOR);
		return -1;
	default:
		fputs("Try 'mkfs.zlogfs --help'.\n", stderr);
		return 2;
	}
}

int main(int argc, char **argv)
{
	struct timespec now;
	int opt, status;

	mkfs.options.policy = ZLF_POLICY_BOUNDARY;
	mkfs.options.node_lines = ZLF_NODE_LINES_MAX;
	while ((opt = getopt_long(argc, argv, "L:U:fnqhV", long_options, NULL)) >= 0) {
		status = parse_one(opt);
		if (status)
			return status < 0 ? 0 : status;
	}
	if (optind == argc)
		return usage_error("no device given");
	if (argc - optind > (int)ZUFS_DEVTABLE_DEVICES)
		return usage_error("more than 32 devices given");
	mkfs.paths = argv + optind;
	mkfs.num = (uint32_t)(argc - optind);
	clock_gettime(CLOCK_REALTIME, &now);
	mkfs.options.now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	return make();
}
