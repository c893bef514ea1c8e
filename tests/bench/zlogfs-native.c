// SPDX-License-Identifier: BSD-3-Clause
/*
 * zlogfs-native.c - what zlogfs's operations take, called directly, beside yardsticks of the
 * same run: the stores and fences alone that they cannot do without. Medians of rounds in
 * which each is measured once, one after the other. One thread; what is applied and written
 * as checkpoints meanwhile counts.
 *
 * usage: zlogfs-native [--json] [ROUNDS]
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "native_shim.h"
#include "zlogfs.h"

#define BLOCK		4096ull
#define MEDIA_BYTES	(3ull << 30)
#define FILE_BYTES	(512ull << 20)
#define FILE_BLOCKS	(FILE_BYTES / BLOCK)
#define OPS		40000u
#define ROUNDS_MAX	99u

extern const struct zus_plugin zus_plugin;
uint64_t shim_flushed_bytes(void);

static struct zus_device device;
static struct zus_mount mount = { .plugin = &zus_plugin, .devices = &device, .num_devices = 1 };
static struct zus_inode *root, *file;
static char block[BLOCK] __attribute__((aligned(64)));
static uint64_t random_state = 1, last_name;
static uint8_t *raw;			/* for the yardsticks */

static uint64_t random_below(uint64_t n)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	return (z ^ z >> 31) % n;
}

static void must(int err, const char *what)
{
	if (err) {
		fprintf(stderr, "zlogfs-native: %s: %s\n", what, strerror(-err));
		exit(1);
	}
}

/* ------------------------------------------------------------------ yardsticks */

static void y_copy_fence(void)
{
	zus_copy_nt(raw + random_below(FILE_BLOCKS) * BLOCK, block, BLOCK);
	zus_fence();
}

static void y_copy_fence_256_fence(void)
{
	y_copy_fence();
	zus_copy_nt(raw + FILE_BYTES + random_below(65536) * 256, block, 256);
	zus_fence();
}

static void y_read(void)
{
	memcpy(block, raw + random_below(FILE_BLOCKS) * BLOCK, BLOCK);
}

static void y_256_fence(void)
{
	zus_copy_nt(raw + FILE_BYTES + random_below(65536) * 256, block, 256);
	zus_fence();
}

/* ------------------------------------------------------------------ operations */

static void write_block(uint64_t bn)
{
	static uint64_t id;
	struct zus_req req = { .id = id + 1 };
	struct zus_map map = { .off = bn * BLOCK, .len_bytes = BLOCK, .size_bytes = FILE_BYTES,
			       .flags = ZUS_MAP_WRITE, .max_extents = 1 };
	struct zus_map_done done = { .map_id = id + 1, .off = bn * BLOCK, .written_bytes = BLOCK,
				     .size_bytes = FILE_BYTES };

	id++;
	must(zus_plugin.file_ops->map(&req, file, &map), "map");
	zus_copy_nt((uint8_t *)device.addr + req.extents[0].dev_off, block, BLOCK);
	zus_fence();
	if (req.extents[0].flags)
		must(zus_plugin.file_ops->map_done(&req, file, &done, NULL), "map_done");
}

static void op_write(void)
{
	write_block(random_below(FILE_BLOCKS));
}

static void op_read(void)
{
	struct zus_req req = { .id = 0 };
	struct zus_map map = { .off = random_below(FILE_BLOCKS) * BLOCK, .len_bytes = BLOCK,
			       .size_bytes = FILE_BYTES, .flags = ZUS_MAP_READ, .max_extents = 1 };

	must(zus_plugin.file_ops->map(&req, file, &map), "map");
	memcpy(block, (uint8_t *)device.addr + req.extents[0].dev_off, BLOCK);
}

static struct zus_inode *create(const char *name)
{
	struct zus_req req = { .id = 0 };
	struct zus_create args = { .name = { name, (uint32_t)strlen(name) },
				   .mode = S_IFREG | 0644 };
	struct zus_entry entry;
	struct zus_attr dir;

	must(zus_plugin.inode_ops->create(&req, root, &args, &entry, &dir), "create");
	return entry.inode;
}

static void op_create(void)
{
	char name[32];

	snprintf(name, sizeof(name), "name%" PRIu64, ++last_name);
	zus_inode_put(create(name));
}

/* ------------------------------------------------------------------- measuring */

struct measure {
	const char *name;
	void (*op)(void);
	const char *options;		/* of the mount that it wants */
	double ns[ROUNDS_MAX];
};

static struct measure measures[] = {
	{ "y_4k_fence", y_copy_fence, NULL, { 0 } },
	{ "y_4k_fence_256_fence", y_copy_fence_256_fence, NULL, { 0 } },
	{ "y_4k_read", y_read, NULL, { 0 } },
	{ "y_256_fence", y_256_fence, NULL, { 0 } },
	{ "overwrite_in_place", op_write, "steps=manual,policy=inplace", { 0 } },
	{ "overwrite_cow", op_write, "steps=manual,policy=cow", { 0 } },
	{ "read", op_read, "steps=manual", { 0 } },
	{ "create", op_create, "steps=manual", { 0 } },
};

#define NUM_MEASURES	(sizeof(measures) / sizeof(measures[0]))

static void mount_with(const char *options)
{
	struct zus_mount_out out;

	mount.options = options;
	must(zus_plugin.mount_ops->mount(NULL, &mount, &out), "mount");
	root = out.root.inode;
}

static void open_file(void)
{
	struct zus_req req = { .id = 0 };
	const struct zus_name name = { "file", 4 };
	struct zus_entry entry;

	must(zus_plugin.inode_ops->lookup(&req, root, &name, &entry), "lookup");
	file = entry.inode;
}

static void unmount(void)
{
	if (file)
		zus_inode_put(file);
	file = NULL;
	zus_inode_put(root);
	zus_plugin.mount_ops->umount(&mount);
}

static void *map_memory(uint64_t bytes)
{
	void *addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	must(addr == MAP_FAILED ? -12 : 0, "memory");
	return addr;
}

static void prepare(void)
{
	struct zl_mkfs options = { .now_ns = 1, .fs_uuid = { 5 } };
	struct zl_media media = { .bytes = MEDIA_BYTES, .data_off = 2ull << 20 };
	const char *why;
	uint64_t bn;

	raw = map_memory(FILE_BYTES + 65536ull * 256);
	memset(raw, 1, FILE_BYTES);
	media.addr = map_memory(MEDIA_BYTES);
	must(zl_mkfs(&media, 1, &options, &why), "mkfs");
	device = (struct zus_device) { .size_bytes = MEDIA_BYTES, .data_off = media.data_off,
				       .tier = ZUS_TIER_T1, .addr = media.addr };
	mount_with("steps=manual,policy=cow");
	file = create("file");
	for (bn = 0; bn < FILE_BLOCKS; bn++)
		write_block(bn);
	unmount();
}

static double run(const struct measure *m)
{
	struct timespec begin, end;
	unsigned int i;

	if (m->options) {
		mount_with(m->options);
		open_file();
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (i = 0; i < OPS; i++)
		m->op();
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (m->options)
		unmount();
	return ((double)(end.tv_sec - begin.tv_sec) * 1e9 +
		(double)(end.tv_nsec - begin.tv_nsec)) / OPS;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	bool json = argc > 1 && !strcmp(argv[1], "--json");
	unsigned long rounds = argc > 1 + json ? strtoul(argv[1 + json], NULL, 10) : 5, r;
	uint64_t flushed;
	size_t i;

	if (!rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: zlogfs-native [--json] [ROUNDS]\n");
		return 2;
	}
	prepare();
	for (r = 0; r < rounds; r++)
		for (i = 0; i < NUM_MEASURES; i++)
			measures[i].ns[r] = run(&measures[i]);
	for (i = 0; i < NUM_MEASURES; i++) {
		qsort(measures[i].ns, rounds, sizeof(double), by_value);
		printf(json ? "%s\"%s\": %.1f" : "%s%-22s %8.1f ns\n", json ? i ? ", " : "{" : "",
		       measures[i].name, measures[i].ns[rounds / 2]);
	}
	flushed = shim_flushed_bytes();
	run(&measures[5]);
	printf(json ? ", \"%s\": %.4f}\n" : "%-22s %8.4f\n", "cow_bytes_per_byte",
	       (double)(shim_flushed_bytes() - flushed) / (OPS * (double)BLOCK));
	return 0;
}
