// SPDX-License-Identifier: BSD-3-Clause
/*
 * large.c - two operations that are too large for crash.c's lists, on a device of the usual
 * size: a write over the holes between many blocks, and the truncation of a file of very many
 * extents. Crashed at the first and last of the operation's fences and some between, and, of
 * what the plugin then does by itself, at each step's end. See docs/crash.md.
 */
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zus_local.h>

#include "images.h"
#include "mix.h"
#include "target.h"

#define BLOCK		4096u
#define CHUNK		(1u << 20)
#define DEVICE_MIN	(64ull << 20)
#define DATA_OFF	4096u
#define MIDDLE_FENCES	64u
#define FSCK_EACH	64u		/* images */
#define FILE_PATH	"/large"

static const char usage[] =
	"usage: crash-large --plugin FILE.so [--target FILE.so] [OPTION...]\n"
	"\n"
	"Crashes a write over the holes between many blocks, and the truncation of a file of\n"
	"very many extents.\n"
	"\n"
	"  --options TEXT       mount options; default: the target's\n"
	"  --extents N          of the file that is truncated; default: 100000\n"
	"  --write-mib N        bytes of the write, in MiB; default: 200\n"
	"  --only write|truncate\n"
	"  --shard I/N          of the crash points each N-th, from the I-th on\n"
	"  --seed N             which fences, and which images; default: 1\n"
	"\n"
	"Status 0: nothing failed, 1: something did, 2: the program could not run.\n";

static struct {
	const char *plugin, *target, *options, *only;
	uint64_t extents, write_mib, shard, shards, seed;
} options = { .extents = 100000, .write_mib = 200, .shard = 1, .shards = 1, .seed = 1 };

/* The operation that runs, and what may be found. */
static struct large {
	const struct zus_plugin *plugin;
	const struct crash_target *target;
	const char *name;
	uint64_t bytes;		/* of the device */
	struct trace trace;
	struct model model;
	struct images *images;
	struct zus_local *live, *crashed;
	char *chunk;
	uint64_t blocks;	/* of the file, written and holes */
	uint64_t blocks_free;	/* when it is empty */
	bool returned;		/* what was before may not be any more */
	uint64_t point;		/* of crash, from 1 on */
	uint64_t done, images_shown, failures;
} large;

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *format, ...)
{
	va_list args;

	fputs("crash-large: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

static void must(long err, const char *what)
{
	if (err < 0)
		die("%s, %s: %s", large.name, what, strerror((int)-err));
}

static void failed(const struct image *image, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void failed(const struct image *image, const char *format, ...)
{
	va_list args;

	if (++large.failures > 20)
		return;
	fprintf(stderr, "crash-large: %s: point %" PRIu64 ", image %" PRIu64 ": ", large.name,
		large.point, image ? image->ordinal : 0);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* ------------------------------------------------------------------- contents */

/* Every word of a block; 0: a hole. new: as the write leaves it. */
static uint64_t word_of(uint64_t block, bool new)
{
	if (new)
		return ~block;
	return block % 2 ? 0 : block + 1;
}

static bool block_is(const char *bytes, uint64_t word)
{
	return !memcmp(bytes, &word, sizeof(word)) &&
	       !memcmp(bytes, bytes + sizeof(word), BLOCK - sizeof(word));
}

static void fill_block(char *bytes, uint64_t word)
{
	uint32_t i;

	for (i = 0; i < BLOCK; i += (uint32_t)sizeof(word))
		memcpy(bytes + i, &word, sizeof(word));
}

/* How many blocks from the beginning on are new, all others being old; UINT64_MAX: neither. */
static uint64_t new_blocks(struct zus_local_file *file)
{
	uint64_t off, block = 0, new = 0;
	uint32_t i;

	for (off = 0; off < large.blocks * BLOCK; off += CHUNK) {
		uint64_t left = large.blocks * BLOCK - off;
		uint32_t bytes = left < CHUNK ? (uint32_t)left : CHUNK;

		if (zus_local_pread(file, large.chunk, bytes, off) != (ssize_t)bytes)
			return UINT64_MAX;
		for (i = 0; i < bytes; i += BLOCK, block++) {
			if (new == block && block_is(large.chunk + i, word_of(block, true)))
				new++;
			else if (!block_is(large.chunk + i, word_of(block, false)))
				return UINT64_MAX;
		}
	}
	return new;
}

/* --------------------------------------------------------------------- images */

static const char *check_write(struct zus_local_file *file, const struct zus_attr *attr)
{
	uint64_t new = attr->size_bytes == large.blocks * BLOCK ? new_blocks(file) : UINT64_MAX;

	if (new == UINT64_MAX)
		return "it is neither old nor new";
	if (new && new != large.blocks)
		return "a part of it is new";
	return large.returned && new != large.blocks ? "what had returned is not there" : NULL;
}

static const char *check_truncate(struct zus_local_file *file, const struct zus_attr *attr)
{
	struct zus_statfs st;

	if (attr->size_bytes) {
		if (large.returned)
			return "it is as long as before";
		return attr->size_bytes != large.blocks * BLOCK || new_blocks(file) ?
			       "it is neither old nor empty" : NULL;
	}
	if (zus_local_statfs(large.crashed, &st))
		return "statfs fails";
	return st.blocks_free != large.blocks_free ? "not all blocks are free" : NULL;
}

static const char *check_mounted(void)
{
	struct zus_local_file *file;
	struct zus_attr attr;
	const char *what;

	if (large.target->step && large.target->step(large.crashed, "settle"))
		return "it does not settle";
	if (zus_local_open(large.crashed, FILE_PATH, &file))
		return "the file is missing";
	what = zus_local_fstat(file, &attr) ? "it has no attributes" :
	       !strcmp(large.name, "write") ? check_write(file, &attr) :
					      check_truncate(file, &attr);
	zus_local_close(file);
	return what;
}

static int mount_on(struct zus_local **local, void *media)
{
	const struct zus_local_device device = {
		.size_bytes = large.bytes, .data_off = DATA_OFF, .memory = media,
	};
	const struct zus_local_config config = {
		.plugin = large.plugin, .options = options.options, .devices = &device,
		.num_devices = 1,
	};

	return *local ? zus_local_mount_again(*local) : zus_local_mount(&config, local);
}

static void check_image(void *arg, struct image *image)
{
	char message[256] = "";
	const char *what;
	int err;

	(void)arg;
	image->dirty = true;
	if (large.target->fsck && large.images_shown % FSCK_EACH == 0 &&
	    large.target->fsck(image->media, large.bytes, message, sizeof(message)))
		failed(image, "fsck: %s", message);
	large.images_shown++;
	err = mount_on(&large.crashed, image->media);
	if (err) {
		failed(image, "not mounted: %s", strerror(-err));
		return;
	}
	what = check_mounted();
	if (what)
		failed(image, "%s", what);
	zus_local_end(large.crashed);
}

/* ---------------------------------------------------------------------- points */

/* The model is in front of a fence, or behind something that has returned. */
static void crash_here(void)
{
	large.point++;
	if (large.point % options.shards != options.shard % options.shards)
		return;
	images_each(large.images, large.point, check_image, NULL);
	large.done++;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%s: %" PRIu64 " points, %" PRIu64 " images", large.name,
			large.done, large.images_shown);
}

static uint64_t count_fences(void)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < large.trace.num_events; i++)
		n += large.trace.events[i].kind == TRACE_FENCE;
	return n;
}

/* The first, the last, and of those between MIDDLE_FENCES, which the seed draws. */
struct draw {
	uint64_t fence, fences;
	uint64_t wanted;	/* still, of those between */
	uint64_t state;
};

static bool draw_next(struct draw *draw)
{
	uint64_t fence = draw->fence++, left = draw->fences - 1 - fence;

	if (!fence || !left)
		return true;
	if (mix_random(&draw->state) % left >= draw->wanted)
		return false;
	draw->wanted--;
	return true;
}

/* What was recorded happens to the model, at_fences: with crashes there. Nothing is recorded. */
static void replay(bool at_fences)
{
	struct draw draw = { .fences = count_fences(), .wanted = MIDDLE_FENCES,
			     .state = options.seed };
	size_t i;

	trace_stop(&large.trace);
	for (i = 0; i < large.trace.num_events; i++) {
		if (large.trace.events[i].kind == TRACE_FENCE && at_fences && draw_next(&draw))
			crash_here();
		model_event(&large.model, &large.trace, i);
	}
}

/* ------------------------------------------------------------------ operations */

static void settle(void)
{
	if (large.target->step)
		must(large.target->step(large.live, "settle"), "settle");
}

/* Every second block, so that none of them lie together; then all is in its place. */
static struct zus_local_file *make_file(uint64_t extents)
{
	struct zus_local_file *file;
	struct zus_statfs st;
	char block[BLOCK];
	uint64_t i;

	must(zus_local_create(large.live, FILE_PATH, 0644), "create");
	settle();
	must(zus_local_statfs(large.live, &st), "statfs");
	large.blocks_free = st.blocks_free;
	must(zus_local_open(large.live, FILE_PATH, &file), "open");
	for (i = 0; i < extents; i++) {
		fill_block(block, word_of(2 * i, false));
		must(zus_local_pwrite(file, block, BLOCK, 2 * i * BLOCK), "write");
	}
	large.blocks = 2 * extents;
	must(zus_local_ftruncate(file, large.blocks * BLOCK), "truncate");
	settle();
	return file;
}

static void begin(const char *name, char *media)
{
	int err;

	large.name = name;
	large.point = large.done = large.images_shown = 0;
	large.returned = false;
	memset(media, 0, large.bytes);
	err = large.target->mkfs ? large.target->mkfs(media, large.bytes, options.options) : 0;
	must(err, "mkfs");
	must(mount_on(&large.live, media), "mount");
}

static void begin_trace(char *media)
{
	struct images_config config = {
		.exhaustive = 64, .random = 16, .seed = options.seed, .sparse = true,
	};

	trace_init(&large.trace, media, large.bytes);
	large.trace.sparse = true;
	model_init(&large.model, media, large.bytes);
	large.images = images_new(&large.model, &config);
	trace_start(&large.trace);
}

static void end(void)
{
	trace_watch(NULL, 0);
	zus_local_umount(large.live);
	if (large.crashed)
		zus_local_umount(large.crashed);
	large.live = large.crashed = NULL;
	images_free(large.images);
	model_destroy(&large.model);
	trace_destroy(&large.trace);
}

static void run_write(char *media)
{
	uint64_t bytes = options.write_mib << 20, i;
	char *data = malloc(bytes);
	struct zus_local_file *file;

	if (!data)
		die("no memory left");
	begin("write", media);
	file = make_file(bytes / BLOCK / 2);
	for (i = 0; i < large.blocks; i++)
		fill_block(data + i * BLOCK, word_of(i, true));
	begin_trace(media);
	if (zus_local_pwrite(file, data, bytes, 0) != (ssize_t)bytes)
		die("the write is short");
	free(data);
	zus_local_close(file);
	replay(true);
	large.returned = true;
	crash_here();
	printf("write of %" PRIu64 " MiB over holes of %u bytes: ", options.write_mib, BLOCK);
}

static void run_truncate(char *media)
{
	struct zus_local_file *file;
	uint64_t steps = 0;
	int more;

	begin("truncate", media);
	file = make_file(options.extents);
	begin_trace(media);
	must(zus_local_ftruncate(file, 0), "truncate");
	zus_local_close(file);
	replay(true);
	large.returned = true;
	do {
		crash_here();
		trace_resume(&large.trace);
		more = large.target->step ? large.target->step(large.live, "some") : 0;
		must(more, "a step");
		replay(false);
		steps++;
	} while (more);
	crash_here();
	printf("truncate of %" PRIu64 " extents, %" PRIu64 " steps: ", options.extents, steps);
}

static void run(const char *name, void (*fn)(char *media), char *media)
{
	if (options.only && strcmp(options.only, name) != 0)
		return;
	fn(media);
	end();
	printf("%" PRIu64 " of %" PRIu64 " points, %" PRIu64 " images, seed %" PRIu64 "; %" PRIu64
	       " failures\n", large.done, large.point, large.images_shown, options.seed,
	       large.failures);
	fflush(stdout);
}

/* ------------------------------------------------------------------------ main */

static uint64_t number(const char *text)
{
	char *rest;
	uint64_t value = strtoull(text, &rest, 10);

	if (*rest || !value)
		die("\"%s\" is no number", text);
	return value;
}

static void parse_shard(const char *text)
{
	char *rest;

	options.shard = strtoull(text, &rest, 10);
	if (*rest == '/')
		options.shards = strtoull(rest + 1, &rest, 10);
	if (*rest || !options.shard || options.shard > options.shards)
		die("--shard wants I/N with I from 1 to N");
}

static void parse(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "plugin", required_argument, NULL, 'p' },
		{ "target", required_argument, NULL, 't' },
		{ "options", required_argument, NULL, 'o' },
		{ "extents", required_argument, NULL, 'e' },
		{ "write-mib", required_argument, NULL, 'w' },
		{ "only", required_argument, NULL, 'O' },
		{ "shard", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (c) {
		case 'p':
			options.plugin = optarg;
			break;
		case 't':
			options.target = optarg;
			break;
		case 'o':
			options.options = optarg;
			break;
		case 'e':
			options.extents = number(optarg);
			break;
		case 'w':
			options.write_mib = number(optarg);
			break;
		case 'O':
			options.only = optarg;
			break;
		case 's':
			parse_shard(optarg);
			break;
		case 'S':
			options.seed = number(optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			exit(2);
		}
	}
	if (!options.plugin || optind != argc)
		die("what is the plugin? See --help");
	if (options.only && strcmp(options.only, "write") != 0 &&
	    strcmp(options.only, "truncate") != 0)
		die("--only wants write or truncate");
}

static void *symbol(const char *path, const char *name)
{
	void *handle = dlopen(path, RTLD_NOW), *found = handle ? dlsym(handle, name) : NULL;

	if (!found)
		die("%s: %s", path, dlerror());
	return found;
}

int main(int argc, char **argv)
{
	char *media;

	parse(argc, argv);
	large.plugin = symbol(options.plugin, "zus_plugin");
	large.target = symbol(options.target ? options.target : options.plugin, "crash_target");
	if (!options.options)
		options.options = large.target->options;
	/* for both: what is there, twice as much of the write, and metadata */
	large.bytes = DEVICE_MIN + options.extents * BLOCK + (3 * options.write_mib << 20);
	large.bytes -= large.bytes % (2 << 20);
	media = aligned_alloc(BLOCK, large.bytes);
	large.chunk = malloc(CHUNK);
	if (!media || !large.chunk)
		die("no memory left");
	run("write", run_write, media);
	run("truncate", run_truncate, media);
	free(media);
	free(large.chunk);
	return large.failures != 0;
}
