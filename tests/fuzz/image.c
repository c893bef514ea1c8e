// SPDX-License-Identifier: BSD-3-Clause
/*
 * image.c - the filesystems that the fuzzer begins with: made by zlogfs itself, in memory, in
 * three geometries, and caught in states in which a crash or an unmount may leave them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "zlogfs_ioctl.h"

#define BLOCK		4096ull
#define GUARD		(1ul << 20)	/* around media: who goes too far ends */
#define SEEDS_MAX	32u

extern const struct zus_plugin zus_plugin;

static struct fuzz_shape shapes[] = {
	{ .name = "tiny", .num_devices = 1, .bytes = 384 << 10, .options = "steps=manual,reflink",
	  .mkfs = { .fs_uuid = { 1 }, .segment_shift = 12, .node_lines = 16, .num_logs = 1,
		    .num_slots = 8, .policy = ZLF_POLICY_BOUNDARY, .unapplied_max_bytes = 16384,
		    .now_ns = 1, .label = "tiny" } },
	{ .name = "blocks", .num_devices = 1, .bytes = 768 << 10, .options = "steps=manual,reflink",
	  .mkfs = { .fs_uuid = { 2 }, .segment_shift = 14, .node_lines = 16, .num_logs = 1,
		    .num_slots = 8, .policy = ZLF_POLICY_BOUNDARY, .unapplied_max_bytes = 65536,
		    .now_ns = 1 } },
	{ .name = "pair", .num_devices = 2, .bytes = 256 << 10,
	  .options = "steps=manual,reflink,policy=cow",
	  .mkfs = { .fs_uuid = { 3 }, .segment_shift = 12, .node_lines = 32, .num_logs = 2,
		    .num_slots = 4, .policy = ZLF_POLICY_COW, .unapplied_max_bytes = 16384,
		    .now_ns = 1 } },
};

#define NUM_SHAPES	(sizeof(shapes) / sizeof(*shapes))

static struct fuzz_seed seeds[SEEDS_MAX];
struct fuzz_seed *fuzz_seeds = seeds;
uint32_t fuzz_num_seeds;

/* -------------------------------------------------------------------- media */

static uint8_t *map_guarded(uint64_t bytes, int fd)
{
	uint8_t *all = mmap(NULL, bytes + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

	if (all == MAP_FAILED)
		return NULL;
	all = mmap(all + GUARD, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
	return all == MAP_FAILED ? NULL : all;
}

static bool map_media(struct fuzz_shape *shape)
{
	uint32_t i;

	for (i = 0; i < shape->num_devices; i++) {
		shape->fd[i] = memfd_create(shape->name, MFD_CLOEXEC);
		if (shape->fd[i] < 0 || ftruncate(shape->fd[i], (off_t)shape->bytes))
			return false;
		shape->media[i] = map_guarded(shape->bytes, shape->fd[i]);
		shape->copy[i] = map_guarded(shape->bytes, -1);
		if (!shape->media[i] || !shape->copy[i])
			return false;
		memset(shape->media[i], FUZZ_FRONT, FUZZ_DATA_OFF);
	}
	return true;
}

void fuzz_media_of(const struct fuzz_shape *shape, bool copy, struct zl_media *media)
{
	uint32_t i;

	for (i = 0; i < shape->num_devices; i++)
		media[i] = (struct zl_media) {
			.addr = copy ? shape->copy[i] : shape->media[i], .bytes = shape->bytes,
			.data_off = FUZZ_DATA_OFF,
		};
}

void fuzz_seed_load(const struct fuzz_seed *seed)
{
	uint32_t i;

	for (i = 0; i < seed->shape->num_devices; i++)
		memcpy(seed->shape->media[i], seed->image[i], seed->shape->bytes);
}

static int mount_shape(struct fuzz_shape *shape, uint32_t flags, struct zus_local **local)
{
	struct zus_local_device devices[FUZZ_DEVICES] = { 0 };
	struct zus_local_config config = {
		.plugin = &zus_plugin, .options = shape->options, .devices = devices,
		.num_devices = shape->num_devices, .flags = flags,
	};
	uint32_t i;

	for (i = 0; i < shape->num_devices; i++) {
		devices[i].memory = shape->media[i];
		devices[i].size_bytes = shape->bytes;
		devices[i].data_off = FUZZ_DATA_OFF;
	}
	return zus_local_mount(&config, local);
}

/* ------------------------------------------------------------------- contents */

int fuzz_ask(struct zus_local *local, uint32_t cmd)
{
	uint32_t arg = 64;
	struct zus_ioctl args = { .cmd = cmd, .flags = ZUS_IOCTL_ADMIN };
	struct zus_local_file *root;
	int32_t result = 0;
	int err = zus_local_open(local, "/", &root);

	if (err)
		return err;
	if (cmd == ZLOGFS_IOC_APPLY) {
		args.in = &arg;
		args.in_bytes = sizeof(arg);
	}
	do
		err = zus_local_ioctl(root, &args, &result);
	while (!err && cmd == ZLOGFS_IOC_APPLY && result > 0);
	zus_local_close(root);
	return err;
}

static void must(int err, const char *what)
{
	if (err)
		fuzz_fail("a seed: %s: %s", what, strerror(-err));
}

static void settle(struct zus_local *local)
{
	must(fuzz_ask(local, ZLOGFS_IOC_APPLY), "apply");
	must(fuzz_ask(local, ZLOGFS_IOC_CHECKPOINT), "checkpoint");
}

static void write_at(struct zus_local *local, const char *path, uint64_t off, size_t bytes)
{
	static char data[64 << 10];
	struct zus_local_file *file;
	ssize_t n;

	memset(data, 'd', sizeof(data));
	must(zus_local_open(local, path, &file), path);
	n = zus_local_pwrite(file, data, bytes, off);
	if (n != (ssize_t)bytes)
		must(n < 0 ? (int)n : -ENOSPC, "write");
	zus_local_close(file);
}

static void allocate(struct zus_local *local, const char *path, uint32_t mode, uint64_t off,
		     uint64_t bytes)
{
	struct zus_local_file *file;

	must(zus_local_open(local, path, &file), path);
	must(zus_local_fallocate(file, mode, off, bytes), "fallocate");
	zus_local_close(file);
}

static void set_xattr(struct zus_local *local, const char *path, const char *name, size_t bytes)
{
	static char value[20000];

	memset(value, 'v', sizeof(value));
	must(zus_local_setxattr(local, path, name, value, bytes, 0), name);
}

static void clone_block(struct zus_local *local, const char *from_path, const char *path,
			uint64_t off)
{
	struct zus_local_file *from, *to;
	ssize_t n;

	must(zus_local_open(local, from_path, &from), from_path);
	must(zus_local_open(local, path, &to), path);
	n = zus_local_clone(from, 0, to, off, BLOCK, 0);
	if (n != (ssize_t)BLOCK)
		must(n < 0 ? (int)n : -EIO, "clone");
	zus_local_close(from);
	zus_local_close(to);
}

/* Every type of element; the tree gets a few levels. */
static void populate(struct zus_local *local)
{
	char path[64], target[301];
	int i;

	must(zus_local_mkdir(local, "/d", 0755), "mkdir");
	must(zus_local_mkdir(local, "/d/e", 0755), "mkdir");
	for (i = 0; i < 14; i++) {
		snprintf(path, sizeof(path), "/d/file%d", i);
		must(zus_local_create(local, path, 0644), path);
		if (i < 9)
			write_at(local, path, (uint64_t)i % 3 * BLOCK, 3000 + (size_t)i % 4 * 900);
		settle(local);
	}
	must(zus_local_link(local, "/d/file1", "/d/e/link"), "link");
	memset(target, 't', sizeof(target) - 1);
	target[sizeof(target) - 1] = 0;
	must(zus_local_symlink(local, target, "/long"), "symlink");
	must(zus_local_symlink(local, "short", "/d/short"), "symlink");
	must(zus_local_mknod(local, "/d/pipe", S_IFIFO | 0644, 0, 0), "mknod");
	set_xattr(local, "/d/file2", "user.a", 20);
	set_xattr(local, "/d/file2", "user.b", 9000);
	allocate(local, "/d/file3", FALLOC_FL_KEEP_SIZE, 8 * BLOCK, 2 * BLOCK);
	write_at(local, "/d/file12", 0, BLOCK);
	clone_block(local, "/d/file12", "/d/file13", 0);
	clone_block(local, "/d/file12", "/d/file13", 2 * BLOCK);
	settle(local);
}

/* What a boundary keeps: overwritten, renamed, gone. */
static void make_history(struct zus_local *local)
{
	must(fuzz_ask(local, ZLOGFS_IOC_BOUNDARY), "boundary");
	write_at(local, "/d/file4", 0, 5000);
	write_at(local, "/d/file13", 0, 100);
	set_xattr(local, "/d/file2", "user.b", 5000);
	settle(local);
	must(fuzz_ask(local, ZLOGFS_IOC_BOUNDARY), "boundary");
	must(zus_local_unlink(local, "/d/file5"), "unlink");
	must(zus_local_rename(local, "/d/file6", "/d/e/moved", 0), "rename");
	must(zus_local_truncate(local, "/d/file7", 100), "truncate");
	settle(local);
}

/* Items of all kinds, and a chain of records, stay in the log. */
static void make_log(struct zus_local *local)
{
	must(zus_local_create(local, "/d/e/new", 0644), "create");
	write_at(local, "/d/e/new", 0, 9000);
	write_at(local, "/d/e/new", BLOCK, 100);
	clone_block(local, "/d/e/new", "/d/file10", 0);
	write_at(local, "/d/file12", 0, 10);
	set_xattr(local, "/d/e/new", "user.c", 300);
	set_xattr(local, "/d/e/new", "user.d", 20000);
	must(zus_local_symlink(local, "there", "/d/e/sym"), "symlink");
	must(zus_local_removexattr(local, "/d/file2", "user.b"), "removexattr");
	must(zus_local_truncate(local, "/d/e/new", BLOCK), "truncate");
	must(zus_local_rename(local, "/d/file8", "/d/e/file8", 0), "rename");
	must(zus_local_unlink(local, "/d/file9"), "unlink");
	must(fuzz_ask(local, ZLOGFS_IOC_BOUNDARY), "boundary");
	write_at(local, "/d/file0", 0, 4000);
	must(zus_local_mkdir(local, "/d/e/sub", 0700), "mkdir");
}

/* Until there is no space. */
static void fill_up(struct zus_local *local)
{
	static char data[64 << 10];
	struct zus_local_file *file;
	uint64_t off = 0;
	ssize_t n;

	must(zus_local_create(local, "/f", 0644), "create");
	must(zus_local_open(local, "/f", &file), "open");
	do {
		n = zus_local_pwrite(file, data, sizeof(data), off);
		off += sizeof(data);
	} while (n > 0 && off < 4 << 20);
	zus_local_close(file);
}

/* ---------------------------------------------------------------------- seeds */

static void keep(struct fuzz_shape *shape, const char *state)
{
	struct fuzz_seed *seed = &seeds[fuzz_num_seeds++];
	uint32_t i;

	if (fuzz_num_seeds > SEEDS_MAX)
		fuzz_fail("more than %u seeds", SEEDS_MAX);
	seed->state = state;
	seed->shape = shape;
	for (i = 0; i < shape->num_devices; i++) {
		seed->image[i] = malloc(shape->bytes);
		if (!seed->image[i])
			fuzz_fail("no memory for seeds");
		memcpy(seed->image[i], shape->media[i], shape->bytes);
	}
	if (!fuzz_places_find(seed))
		fuzz_fail("%s, %s: its structures were not found", shape->name, state);
}

/* A name that goes while its file is open makes an orphan, until it is closed. */
static void make_orphan(struct fuzz_shape *shape, struct zus_local *local)
{
	struct zus_local_file *file;

	must(zus_local_open(local, "/d/e/moved", &file), "open");
	must(zus_local_unlink(local, "/d/e/moved"), "unlink");
	make_log(local);
	keep(shape, "orphan, log");
	settle(local);
	keep(shape, "orphan");
	zus_local_close(file);
}

static void make_states(struct fuzz_shape *shape)
{
	struct zl_media media[FUZZ_DEVICES];
	struct zus_local *local;
	const char *why;

	fuzz_media_of(shape, false, media);
	if (zl_mkfs(media, shape->num_devices, &shape->mkfs, &why))
		fuzz_fail("mkfs: %s", why);
	keep(shape, "new");
	must(mount_shape(shape, 0, &shape->rw), "mount");
	local = shape->rw;
	populate(local);
	keep(shape, "checkpoint");
	make_history(local);
	keep(shape, "history");
	make_orphan(shape, local);
	must(zus_local_end(local), "umount");
	keep(shape, "unmounted");
	must(zus_local_mount_again(local), "mount");
	fill_up(local);
	keep(shape, "full");
	must(zus_local_end(local), "umount");
	must(mount_shape(shape, ZUS_MOUNT_RDONLY, &shape->ro), "mount");
	must(zus_local_end(shape->ro), "umount");
}

bool fuzz_seeds_make(void)
{
	uint32_t i;

	for (i = 0; i < NUM_SHAPES; i++) {
		if (!map_media(&shapes[i])) {
			perror("zlogfs-fuzz: memory");
			return false;
		}
		make_states(&shapes[i]);
	}
	return true;
}
