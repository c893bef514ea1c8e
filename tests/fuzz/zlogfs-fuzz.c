// SPDX-License-Identifier: BSD-3-Clause
/*
 * zlogfs-fuzz.c - damaged filesystems are mounted, read, changed, checked and dumped: none of
 * that may crash, hang, leak, or store where it must not. Errors are what is expected.
 *
 * An input is no image, of which nearly all would be refused for their checksums, but a
 * program of at most 132 bytes: which filesystem to begin with (image.c), and a list of edits
 * (edit.c), each of one structure (place.c). When all are made their checksums are made right
 * again, most of the time: so what is behind the checksums is reached, an input says what it
 * is about, and the same input is the same image as long as the seeds are made alike.
 *
 * libFuzzer keeps the inputs that reach new lines, and changes them by the mutator here, which
 * sees to it that all kinds of structures get their share of the images that mount.
 *
 * Environment: FUZZ_SHOW: each input is printed, and what zlogfs says; FUZZ_RESULT: a file for the counters, as JSON;
 * FUZZ_REGRESS: inputs to begin with, as hex, a line each.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <zus_server.h>

#include "fuzz.h"
#include "zl_check.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t max, unsigned int seed);
/* dump.zlogfs, with its main() under another name */
int fuzz_dump_main(int argc, char **argv);

#define MOUNTED_LEAST	50u	/* of 100 images */
#define KIND_LEAST	2u	/* of 100 that were mounted */
#define IMAGE_SECONDS	10
#define IMAGES_LEAST	10000u	/* for shares to mean something */

static struct {
	uint64_t images, mounted, mounted_twice, clean, found, unchecked, changes;
	uint64_t kinds[FUZZ_KINDS], kinds_mounted[FUZZ_KINDS];
	struct timespec begin;
	bool counting;
} stats;

/* ------------------------------------------------------------------ the clock */

/* Stands still in an image but for each look at it, so that an input is always the same. */
static uint64_t now_ns;

int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_sched_getcpu(void);

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	(void)clock;
	now_ns += 1000000;
	time->tv_sec = (time_t)(now_ns / 1000000000);
	time->tv_nsec = (long)(now_ns % 1000000000);
	return 0;
}

int __wrap_sched_getcpu(void)
{
	return 0;
}

static void reset_clock(uint64_t hours)
{
	now_ns = (1750000000 + hours * 3600) * 1000000000ull;
}

/* ------------------------------------------------------------------- one image */

void fuzz_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "zlogfs-fuzz: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	abort();
}

static void too_long(int signal)
{
	static const char text[] = "zlogfs-fuzz: no end within 10 s of processor time\n";

	(void)signal;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) >= 0)
		abort();
	_exit(77);
}

/* libFuzzer's own limit is one of the clock on the wall, which goes on while others run. */
static void watch(void)
{
	const struct itimerval limit = { .it_value.tv_sec = IMAGE_SECONDS };

	setitimer(ITIMER_VIRTUAL, &limit, NULL);
}

/* What is no part of the filesystem is as it was. */
static void check_front(const struct fuzz_shape *shape)
{
	uint32_t i, off;

	for (i = 0; i < shape->num_devices; i++)
		for (off = 0; off < FUZZ_DATA_OFF; off++)
			if (shape->media[i][off] != FUZZ_FRONT)
				fuzz_fail("stored at %u:%#x, in front of the filesystem", i, off);
}

static void copy_media(const struct fuzz_shape *shape)
{
	uint32_t i;

	for (i = 0; i < shape->num_devices; i++)
		memcpy(shape->copy[i], shape->media[i], shape->bytes);
}

static void check_unchanged(const struct fuzz_shape *shape)
{
	uint32_t i;

	for (i = 0; i < shape->num_devices; i++)
		if (memcmp(shape->copy[i], shape->media[i], shape->bytes) != 0)
			fuzz_fail("a read-only mount has changed the medium");
}

/* Has fsck no complaint? */
static bool check(const struct fuzz_shape *shape, bool must_be_clean)
{
	struct zl_media media[FUZZ_DEVICES];
	struct zl_check result;
	bool clean;
	int err;

	fuzz_media_of(shape, true, media);
	err = zl_check(media, shape->num_devices, &result);
	if (must_be_clean && (err || result.total))
		fuzz_fail("no edit, but fsck says: %s", err ? result.why : result.findings[0].text);
	stats.unchecked += err != 0;
	clean = !err && !result.total;
	stats.clean += clean;
	stats.found += !err && !clean;
	zl_check_free(&result);
	return clean;
}

static void open_log(void)
{
	zus_log_open("zlogfs-fuzz", 0, getenv("FUZZ_SHOW") ? LOG_ERR : LOG_CRIT);
}

static void dump(const struct fuzz_shape *shape, bool json)
{
	char paths[FUZZ_DEVICES][32], name[] = "dump.zlogfs", option[] = "--json";
	char off[] = "--data-off=4096";
	char *argv[4 + FUZZ_DEVICES] = { name, off, json ? option : off };
	int argc = 3;
	uint32_t i;

	for (i = 0; i < shape->num_devices; i++) {
		snprintf(paths[i], sizeof(paths[i]), "/proc/self/fd/%d", shape->fd[i]);
		argv[argc++] = paths[i];
	}
	optind = 0;
	fuzz_dump_main(argc, argv);
	open_log();		/* it has opened its own */
}

static int mount_and_use(const struct fuzz_shape *shape, const struct fuzz_head *head)
{
	bool rdonly = head->flags & FUZZ_RDONLY;
	struct zus_local *local = rdonly ? shape->ro : shape->rw;
	int err = zus_local_mount_again(local);

	if (!err) {
		fuzz_walk(local, rdonly, head->steps);
		zus_local_end(local);
	}
	if (rdonly)
		check_unchanged(shape);
	return err;
}

/* Once more, as what a mount has made of it is there now. */
static void use_again(const struct fuzz_shape *shape, bool clean)
{
	if (!zus_local_mount_again(shape->rw)) {
		stats.mounted_twice++;
		fuzz_walk(shape->rw, false, 0);
		zus_local_end(shape->rw);
	}
	copy_media(shape);
	check(shape, clean);
}

static void run_image(const struct fuzz_seed *seed, const struct fuzz_head *head,
		      const struct fuzz_edit *edits, uint32_t n)
{
	bool has[FUZZ_KINDS] = { false };
	const struct fuzz_shape *shape = seed->shape;
	uint32_t i, made = 0;
	int err;

	watch();
	reset_clock(100);
	fuzz_seed_load(seed);
	for (i = 0; i < n; i++)
		if (fuzz_edit_apply(seed, &edits[i])) {
			has[edits[i].kind % FUZZ_KINDS] = true;
			made++;
		}
	fuzz_edits_seal(seed, edits, n);
	copy_media(shape);
	if (head->flags & FUZZ_DUMP)
		dump(shape, head->steps & 1);
	err = mount_and_use(shape, head);
	/* EROFS: a newer feature, with which it may be read */
	if (check(shape, !made) && err && err != -EROFS)
		fuzz_fail("fsck says that it is whole, but it does not mount: %s", strerror(-err));
	if (head->flags & FUZZ_TWICE)
		use_again(shape, !made);
	check_front(shape);
	stats.images++;
	stats.mounted += !err;
	for (i = 0; i < FUZZ_KINDS; i++) {
		stats.kinds[i] += has[i];
		stats.kinds_mounted[i] += has[i] && !err;
	}
}

static void show(const struct fuzz_seed *seed, const struct fuzz_head *head,
		 const struct fuzz_edit *edits, uint32_t n)
{
	uint32_t i;

	fprintf(stderr, "%s, %s%s%s%s, steps %u:\n", seed->shape->name, seed->state,
		head->flags & FUZZ_RDONLY ? ", read-only" : "",
		head->flags & FUZZ_TWICE ? ", twice" : "", head->flags & FUZZ_DUMP ? ", dump" : "",
		head->steps);
	for (i = 0; i < n; i++)
		fuzz_edit_print(seed, &edits[i]);
}

/* Number of edits; head stays as it is where there is none. */
static uint32_t split(const uint8_t *data, size_t bytes, struct fuzz_head *head,
		      struct fuzz_edit *edits, uint32_t max)
{
	size_t n;

	if (bytes < sizeof(*head))
		return 0;
	memcpy(head, data, sizeof(*head));
	n = (bytes - sizeof(*head)) / sizeof(*edits);
	n = n < max ? n : max;
	if (n)
		memcpy(edits, data + sizeof(*head), n * sizeof(*edits));
	return (uint32_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_edit edits[FUZZ_EDITS_MAX];
	const struct fuzz_seed *seed;
	struct fuzz_head head = { 0 };
	uint32_t n = split(data, bytes, &head, edits, FUZZ_EDITS_MAX);

	if (!fuzz_num_seeds)
		return -1;
	seed = &fuzz_seeds[head.seed % fuzz_num_seeds];
	if (getenv("FUZZ_SHOW"))
		show(seed, &head, edits, n);
	run_image(seed, &head, edits, n);
	return 0;
}

/* --------------------------------------------------------------------- mutator */

static uint64_t random_state;

static uint64_t random64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(random64() % n);
}

/* Of some, the one that the images that were mounted have had least. */
static uint8_t choose_kind(void)
{
	uint32_t i, kind = below(FUZZ_KINDS), other;

	for (i = 0; i < 3; i++) {
		other = below(FUZZ_KINDS);
		if (stats.kinds_mounted[other] < stats.kinds_mounted[kind])
			kind = other;
	}
	return (uint8_t)kind;
}

static uint8_t choose_flags(void)
{
	return (uint8_t)((below(6) ? 0 : FUZZ_RAW) | (below(16) ? 0 : FUZZ_UNSEALED) |
			 (below(2) ? FUZZ_FIT : 0) | (below(5) ? 0 : FUZZ_ONE_COPY));
}

static void new_edit(struct fuzz_edit *edit, uint8_t kind)
{
	static const uint8_t hows[] = {
		FUZZ_FLIP, FUZZ_FLIP, FUZZ_BOUNDARY, FUZZ_BOUNDARY, FUZZ_BOUNDARY, FUZZ_VALUE,
		FUZZ_ADD, FUZZ_ADD, FUZZ_OTHERS, FUZZ_OTHERS, FUZZ_ADDRESS, FUZZ_ADDRESS,
		FUZZ_NUMBER, FUZZ_NUMBER, FUZZ_COPY, FUZZ_SWAP, FUZZ_ZERO, FUZZ_APPEND,
	};

	*edit = (struct fuzz_edit) {
		.kind = kind, .how = hows[below(sizeof(hows))], .field = (uint8_t)below(256),
		.flags = choose_flags(), .which = (uint16_t)random64(),
		.off = (uint16_t)random64(), .value = random64(),
	};
}

/* Another one, half of the time of the same structure: two wrong members may look right. */
static uint32_t add_edit(struct fuzz_edit *edits, uint32_t n)
{
	uint32_t with = n ? below(n) : 0;

	new_edit(&edits[n], n && below(2) ? edits[with].kind : choose_kind());
	if (n && edits[n].kind == edits[with].kind)
		edits[n].which = edits[with].which;
	return n + 1;
}

/* A seed that has such a structure. */
static void new_head(struct fuzz_head *head, uint8_t kind)
{
	uint32_t tries = 100;

	do
		head->seed = (uint8_t)below(fuzz_num_seeds);
	while (fuzz_seeds[head->seed].first[kind] == fuzz_seeds[head->seed].first[kind + 1] &&
	       --tries);
	head->flags = (uint8_t)((below(5) ? 0 : FUZZ_RDONLY) | (below(6) ? 0 : FUZZ_TWICE) |
				(below(16) ? 0 : FUZZ_DUMP));
	head->steps = (uint16_t)random64();
}

static void change_edit(struct fuzz_edit *edit)
{
	struct fuzz_edit other;

	new_edit(&other, edit->kind);
	switch (below(6)) {
	case 0:
		edit->how = other.how;
		break;
	case 1:
		edit->field = other.field;
		edit->off = other.off;
		break;
	case 2:
		edit->flags = other.flags;
		break;
	case 3:
		edit->which = other.which;
		break;
	case 4:
		edit->value = below(2) ? other.value : edit->value + 1;
		break;
	default:
		*edit = other;
	}
}

/* Too many are refused: one edit, and no more. */
static bool begin_anew(void)
{
	uint32_t share = stats.images ? (uint32_t)(stats.mounted * 100 / stats.images) : 100;

	return below(100) < (share < MOUNTED_LEAST + 5 ? 80u : 10u);
}

static uint32_t mutate(struct fuzz_head *head, struct fuzz_edit *edits, uint32_t n, uint32_t max)
{
	switch (n ? below(8) : 0) {
	case 0:
	case 1:
		n = n < max ? add_edit(edits, n) : n;
		break;
	case 2:
		edits[below(n)] = edits[n - 1];
		n--;
		break;
	case 3:
		head->steps = (uint16_t)random64();
		head->flags ^= (uint8_t)(1u << below(3));
		break;
	case 4:
		head->seed = (uint8_t)below(fuzz_num_seeds);
		break;
	default:
		change_edit(&edits[below(n)]);
	}
	return n;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t max, unsigned int seed)
{
	struct fuzz_edit edits[FUZZ_EDITS_MAX];
	struct fuzz_head head = { 0 };
	uint32_t n = 0, room;
	uint8_t kind;

	random_state = seed;
	if (max < sizeof(head) + sizeof(*edits))
		return 0;
	room = (uint32_t)((max - sizeof(head)) / sizeof(*edits));
	room = room < FUZZ_EDITS_MAX ? room : FUZZ_EDITS_MAX;
	if (bytes < sizeof(head) || begin_anew()) {
		kind = choose_kind();
		new_head(&head, kind);
		new_edit(&edits[n++], kind);
		while (n < room && !below(3))
			n = add_edit(edits, n);
	} else {
		n = split(data, bytes, &head, edits, room);
		n = mutate(&head, edits, n, room);
	}
	memcpy(data, &head, sizeof(head));
	if (n)
		memcpy(data + sizeof(head), edits, n * sizeof(*edits));
	return sizeof(head) + n * sizeof(*edits);
}

/* -------------------------------------------------------------------- counters */

static double share(uint64_t n, uint64_t of)
{
	return of ? 100.0 * (double)n / (double)of : 0;
}

static uint32_t least_kind(void)
{
	uint32_t i, least = 0;

	for (i = 1; i < FUZZ_KINDS; i++)
		if (stats.kinds_mounted[i] < stats.kinds_mounted[least])
			least = i;
	return least;
}

static void write_result(const char *path, bool met)
{
	FILE *file = fopen(path, "w");
	uint32_t i;

	if (!file) {
		perror(path);
		return;
	}
	fprintf(file, "{\"operations\": {\"images\": %" PRIu64 "}, \"differences\": %d, "
		"\"counts\": {\"mounted\": %" PRIu64, stats.images, !met, stats.mounted);
	for (i = 0; i < FUZZ_KINDS; i++)
		fprintf(file, ", \"mounted_%s\": %" PRIu64, fuzz_kinds[i].name,
			stats.kinds_mounted[i]);
	fprintf(file, "}}\n");
	fclose(file);
}

static void report(void)
{
	uint32_t i, least = least_kind();
	struct timespec now;
	double seconds;
	bool met;

	if (!stats.counting)
		return;
	__real_clock_gettime(CLOCK_MONOTONIC, &now);
	seconds = (double)(now.tv_sec - stats.begin.tv_sec) +
		  (double)(now.tv_nsec - stats.begin.tv_nsec) / 1e9;
	fprintf(stderr, "\n%-18s %10s %10s  of mounted\n", "structure", "images", "mounted");
	for (i = 0; i < FUZZ_KINDS; i++)
		fprintf(stderr, "%-18s %10" PRIu64 " %10" PRIu64 " %10.1f %%\n", fuzz_kinds[i].name,
			stats.kinds[i], stats.kinds_mounted[i],
			share(stats.kinds_mounted[i], stats.mounted));
	fprintf(stderr, "fsck: %" PRIu64 " clean, %" PRIu64 " damaged, %" PRIu64
		" could not be checked; mounted twice: %" PRIu64 "\n", stats.clean, stats.found,
		stats.unchecked, stats.mounted_twice);
	fprintf(stderr, "%" PRIu64 " images, %.1f %% mounted (at least %u), least of a kind %.1f %% "
		"(at least %u), %.0f s, %.0f images/s\n", stats.images,
		share(stats.mounted, stats.images), MOUNTED_LEAST,
		share(stats.kinds_mounted[least], stats.mounted), KIND_LEAST, seconds,
		(double)stats.images / seconds);
	met = stats.mounted * 100 >= stats.images * MOUNTED_LEAST &&
	      stats.kinds_mounted[least] * 100 >= stats.mounted * KIND_LEAST;
	if (getenv("FUZZ_RESULT"))
		write_result(getenv("FUZZ_RESULT"), met);
	if (!met && stats.images >= IMAGES_LEAST) {
		fprintf(stderr, "zlogfs-fuzz: the shares are not met\n");
		_exit(1);
	}
}

/* ----------------------------------------------------------------------- begin */

static void replay_line(const char *line)
{
	uint8_t data[FUZZ_INPUT_MAX];
	char byte[3] = { 0 };
	size_t n = 0;

	for (; n < sizeof(data) && isxdigit(line[0]) && isxdigit(line[1]); line += 2) {
		memcpy(byte, line, 2);
		data[n++] = (uint8_t)strtoul(byte, NULL, 16);
	}
	LLVMFuzzerTestOneInput(data, n);
}

/* Each of what has been wrong once, and each seed as it is. */
static void replay(const char *path)
{
	FILE *file = path ? fopen(path, "r") : NULL;
	struct fuzz_head head = { .flags = FUZZ_TWICE | FUZZ_DUMP };
	char line[4 * FUZZ_INPUT_MAX];
	uint32_t i, n = 0;

	for (i = 0; i < fuzz_num_seeds; i++)
		for (head.steps = 0; head.steps < 64; head.steps += 21) {
			head.seed = (uint8_t)i;
			LLVMFuzzerTestOneInput((const uint8_t *)&head, sizeof(head));
		}
	while (file && fgets(line, sizeof(line), file))
		if (isxdigit(line[0])) {
			replay_line(line);
			n++;
		}
	if (path && !file)
		perror(path);
	if (file)
		fclose(file);
	fprintf(stderr, "zlogfs-fuzz: %u seeds, %u inputs that have been wrong once\n",
		fuzz_num_seeds, n);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	/* dump.zlogfs says a lot; libFuzzer speaks on standard error */
	if (!freopen("/dev/null", "w", stdout))
		return 1;
	open_log();
	signal(SIGVTALRM, too_long);
	reset_clock(0);
	if (!fuzz_seeds_make())
		exit(1);
	replay(getenv("FUZZ_REGRESS"));
	memset(&stats, 0, sizeof(stats));
	stats.counting = true;
	__real_clock_gettime(CLOCK_MONOTONIC, &stats.begin);
	atexit(report);
	return 0;
}
