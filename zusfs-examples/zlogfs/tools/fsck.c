// SPDX-License-Identifier: BSD-3-Clause
/* fsck.c - fsck.zlogfs: says what is damaged. It only reads: what it changes stays with it. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include <zus_server.h>

#include "zl_check.h"
#include "media.h"

/* As fsck(8) has them. */
#define EXIT_CLEAN	0
#define EXIT_LEFT	4	/* errors are left */
#define EXIT_CANNOT	8	/* it could not be done */
#define EXIT_USAGE	16

static struct {
	bool dry_run;
	bool json;
	bool verbose;
	uint64_t data_off;
	struct zl_media_set set;
} fsck;

static const char usage_text[] =
	"Usage: fsck.zlogfs [-n] [OPTION]... DEVICE...\n"
	"Check a zlogfs that is not mounted; give all of its devices, in any order.\n"
	"Nothing is written: what its log has is done in memory alone.\n"
	"\n"
	"  -n                    repair nothing; without it that is said, as there is no repair yet\n"
	"  -v, --verbose         also what there is\n"
	"  -j, --json            for a program to read\n"
	"      --data-off BYTES  where the filesystem begins on each device; default: where its\n"
	"                        device table says\n"
	"  -h, --help            show this\n"
	"  -V, --version         show the version\n"
	"\n"
	"-a, -p, -y and -f, with which fsck(8) may call it, are taken and change nothing.\n"
	"Exit status: 0 clean, 4 damaged, 8 could not be checked, 16 wrong usage.\n";

static const struct option long_options[] = {
	{ "verbose", no_argument, NULL, 'v' },
	{ "json", no_argument, NULL, 'j' },
	{ "data-off", required_argument, NULL, 'o' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int usage_error(const char *what)
{
	fprintf(stderr, "fsck.zlogfs: %s\nTry 'fsck.zlogfs --help'.\n", what);
	return EXIT_USAGE;
}

/* --------------------------------------------------------------------- text */

static void show_finding(const struct zl_finding *f)
{
	printf("%s", zl_check_classes[f->class]);
	if (f->obj)
		printf(", object %" PRIu64, f->obj);
	if (f->off)
		printf(", %s at %#" PRIx64, fsck.set.paths[f->device], f->off);
	printf(": %s\n", f->text);
}

static void show_text(const struct zl_check *check)
{
	uint32_t i;

	for (i = 0; i < check->num; i++)
		show_finding(&check->findings[i]);
	if (check->num < check->total)
		printf("... and %" PRIu64 " more\n", check->total - check->num);
	if (fsck.verbose)
		printf("%" PRIu64 " inodes, %" PRIu64 " elements in %" PRIu64 " nodes, %" PRIu64
		       " blocks; %" PRIu64 " records waited in the log\n", check->inodes,
		       check->elements, check->nodes, check->blocks, check->replayed);
	if (!check->total) {
		printf("%s: clean\n", fsck.set.paths[0]);
		return;
	}
	printf("%s: damaged: %" PRIu64 " finding%s%s\n", fsck.set.paths[0], check->total,
	       check->total == 1 ? "" : "s",
	       check->whole ? "" : "; what depends on that was not checked");
	if (!fsck.dry_run)
		printf("There is no repair yet: mount it read-only, and copy what can be read.\n");
}

/* --------------------------------------------------------------------- JSON */

static void json_finding(const struct zl_finding *f, bool last)
{
	printf("    {\"class\": \"%s\", \"device\": ", zl_check_classes[f->class]);
	zl_json_string(fsck.set.paths[f->device]);
	printf(", \"offset\": %" PRIu64 ", \"object\": %" PRIu64 ", \"text\": ", f->off, f->obj);
	zl_json_string(f->text);
	printf("}%s\n", last ? "" : ",");
}

static void show_json(const struct zl_check *check)
{
	uint32_t i;

	printf("{\n  \"clean\": %s,\n  \"whole\": %s,\n  \"total\": %" PRIu64 ",\n  \"counts\": {",
	       check->total ? "false" : "true", check->whole ? "true" : "false", check->total);
	for (i = 0; i < ZL_CHECK_CLASSES; i++)
		printf("%s\"%s\": %" PRIu64, i ? ", " : "", zl_check_classes[i], check->counts[i]);
	printf("},\n  \"inodes\": %" PRIu64 ",\n  \"elements\": %" PRIu64 ",\n  \"nodes\": %" PRIu64
	       ",\n  \"blocks\": %" PRIu64 ",\n  \"replayed\": %" PRIu64 ",\n  \"findings\": [\n",
	       check->inodes, check->elements, check->nodes, check->blocks, check->replayed);
	for (i = 0; i < check->num; i++)
		json_finding(&check->findings[i], i + 1 == check->num);
	printf("  ]\n}\n");
}

/* -------------------------------------------------------------------- check */

static const char *advice(int err)
{
	switch (err) {
	case -ENODATA:
		return "; is it the right device? mkfs.zlogfs makes one";
	case -ENODEV:
		return "; give all devices of one filesystem, each once";
	default:
		return "";
	}
}

static int check_devices(void)
{
	struct zl_check check;
	int err = zl_check(fsck.set.media, fsck.set.num, &check), status = EXIT_CANNOT;

	if (err) {
		fprintf(stderr, "fsck.zlogfs: %s: %s%s\n", fsck.set.paths[0], check.why, advice(err));
	} else {
		status = check.total ? EXIT_LEFT : EXIT_CLEAN;
		if (fsck.json)
			show_json(&check);
		else
			show_text(&check);
	}
	zl_check_free(&check);
	return status;
}

static int parse(int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "napyfvjhV", long_options, NULL)) >= 0) {
		switch (opt) {
		case 'n':
			fsck.dry_run = true;
			break;
		case 'a':
		case 'p':
		case 'y':
		case 'f':
			break;
		case 'v':
			fsck.verbose = true;
			break;
		case 'j':
			fsck.json = true;
			break;
		case 'o':
			if (zus_parse_bytes(optarg, &fsck.data_off) ||
			    fsck.data_off % ZLF_BLOCK_BYTES)
				return usage_error("--data-off is a multiple of 4096 bytes");
			break;
		case 'h':
			fputs(usage_text, stdout);
			return -1;
		case 'V':
			printf("fsck.zlogfs 1.0, format %u.%u\n", ZLF_VERSION_MAJOR,
			       ZLF_VERSION_MINOR);
			return -1;
		default:
			fputs("Try 'fsck.zlogfs --help'.\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc)
		return usage_error("no device given");
	if (argc - optind > (int)ZLF_MAX_DEVICES)
		return usage_error("more devices than a filesystem can have");
	return 0;
}

int main(int argc, char **argv)
{
	int status = parse(argc, argv);

	if (status)
		return status < 0 ? 0 : status;
	zus_log_open("fsck.zlogfs", 0, LOG_CRIT);	/* what a mount would say, findings say */
	if (zl_media_open(&fsck.set, "fsck.zlogfs", argv + optind, argc - optind, fsck.data_off))
		return EXIT_CANNOT;
	status = check_devices();
	zl_media_close(&fsck.set);
	return status;
}
