// SPDX-License-Identifier: BSD-3-Clause
/* native.c - see native.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "native.h"
#include "node.h"

#define HUGE_BYTES	(2ul << 20)
#define MEDIA_BYTES	(4ull << 30)
#define SMALL_BYTES	(1ull << 30)	/* for space alone */
#define SMALL_BLOCKS	32768u		/* of 4 KiB, in its file */
#define SMALL_FILES	100000u
#define NAME_BYTES	800ull		/* of media that a name and its inode may take */

extern const struct zus_plugin zus_plugin;

static void must(int err, const char *what)
{
	if (err) {
		fprintf(stderr, "zlogfs-native: %s: %s\n", what, strerror(-err));
		exit(2);
	}
}

/* Of large pages, as a server maps a device: what is measured is not the page tables. */
static void *map_memory(uint64_t bytes)
{
	void *addr = aligned_alloc(HUGE_BYTES, (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));

	must(addr ? 0 : -ENOMEM, "memory");
	madvise(addr, bytes, MADV_HUGEPAGE);
	memset(addr, 1, bytes);
	return addr;
}

/* ------------------------------------------------------------------ operations */

uint64_t native_random(struct native *nat, uint64_t below)
{
	uint64_t z = nat->random_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	return (z ^ z >> 31) % below;
}

uint8_t *native_raw(struct native *nat, uint64_t units, uint64_t bytes)
{
	return nat->raw + native_random(nat, units) * bytes;
}

static struct zus_req *request(struct native *nat)
{
	nat->req->id = nat->map_id;
	nat->req->num_extents = 0;
	nat->req->has_word = false;
	return nat->req;
}

/* As who copies does, when the bytes are durable. */
static void store_word(struct native *nat, const struct zus_word *word)
{
	uint64_t *at = (uint64_t *)(void *)((uint8_t *)nat->mount->devices[word->dev].addr +
					    word->dev_off);

	must(*at == word->old_le64 ? 0 : -EIO, "the word");
	__atomic_store_n(at, word->new_le64, __ATOMIC_RELAXED);
	zus_persist(at, sizeof(*at));
}

static void write_to(struct native *nat, struct zus_inode *inode, uint64_t off, uint64_t bytes,
		     uint64_t size_bytes)
{
	struct zus_map map = { .off = off, .len_bytes = bytes, .size_bytes = size_bytes,
			       .flags = ZUS_MAP_WRITE, .max_extents = 1 };
	struct zus_map_done done = { .off = off, .written_bytes = bytes,
				     .size_bytes = size_bytes };
	struct zus_req *req;

	nat->map_id++;
	req = request(nat);
	done.map_id = nat->map_id;
	must(zus_plugin.file_ops->map(req, inode, &map), "map");
	zus_copy_nt((uint8_t *)nat->mount->devices[0].addr + req->extents[0].dev_off, nat->block,
		    bytes);
	zus_fence();
	if (req->has_word) {
		store_word(nat, &req->word);
		done.flags = ZUS_MAP_COMMITTED;
	}
	if (req->extents[0].flags)
		must(zus_plugin.file_ops->map_done(req, inode, &done, NULL), "map_done");
}

void native_write(struct native *nat, uint64_t bn)
{
	write_to(nat, nat->files[nat->file], bn * NATIVE_BLOCK, NATIVE_BLOCK, NATIVE_FILE_BYTES);
}

const uint8_t *native_map(struct native *nat, uint64_t bn)
{
	struct zus_req *req = request(nat);
	struct zus_map map = { .off = bn * NATIVE_BLOCK, .len_bytes = NATIVE_BLOCK,
			       .size_bytes = NATIVE_FILE_BYTES, .flags = ZUS_MAP_READ,
			       .max_extents = 1 };

	must(zus_plugin.file_ops->map(req, nat->files[nat->file], &map), "map");
	return (uint8_t *)nat->mount->devices[0].addr + req->extents[0].dev_off;
}

static struct zus_inode *create(struct native *nat, const char *name)
{
	struct zus_create args = { .name = { name, (uint32_t)strlen(name) },
				   .mode = S_IFREG | 0644 };
	struct zus_entry entry;
	struct zus_attr dir;

	must(zus_plugin.inode_ops->create(request(nat), nat->root, &args, &entry, &dir),
	     "create");
	return entry.inode;
}

void native_create(struct native *nat, const char *name, uint64_t bytes)
{
	static uint64_t last;
	struct zus_inode *inode;
	char row[32];

	snprintf(row, sizeof(row), "name%" PRIu64, ++last);
	inode = create(nat, name ? name : row);
	if (bytes)
		write_to(nat, inode, 0, bytes, bytes);
	zus_inode_put(inode);
}

/* ---------------------------------------------------------------------- mounts */

static struct zl_fs *fs_of(const struct native *nat)
{
	return nat->mount->priv;
}

static struct zus_inode *look_up(struct native *nat, const char *str)
{
	const struct zus_name name = { str, (uint32_t)strlen(str) };
	struct zus_entry entry;

	must(zus_plugin.inode_ops->lookup(request(nat), nat->root, &name, &entry), "lookup");
	return entry.inode;
}

static void begin_mount(struct native *nat, const char *options)
{
	struct zus_mount_out out;

	nat->mount->options = options;
	must(zus_plugin.mount_ops->mount(NULL, nat->mount, &out), "mount");
	nat->root = out.root.inode;
}

/* What has been read once is in memory. */
void native_mount(struct native *nat, const char *options)
{
	uint64_t bn;

	begin_mount(nat, options);
	for (nat->file = 2; nat->file--; ) {
		nat->files[nat->file] = look_up(nat, nat->file ? "file1" : "file0");
		for (bn = 0; bn < NATIVE_FILE_BLOCKS; bn++)
			native_map(nat, bn);
	}
	nat->file = 0;
}

void native_umount(struct native *nat)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (nat->files[i])
			zus_inode_put(nat->files[i]);
		nat->files[i] = NULL;
	}
	zus_inode_put(nat->root);
	zus_plugin.mount_ops->umount(nat->mount);
}

void native_apply(struct native *nat)
{
	struct zl_fs *fs = fs_of(nat);

	pthread_mutex_lock(&fs->step);
	must(zl_apply_all(fs), "apply");
	if (zl_log_pressed(fs))
		must(zl_step_checkpoint(fs, false), "checkpoint");
	pthread_mutex_unlock(&fs->step);
}

static void set_up(struct native *nat, uint64_t bytes)
{
	struct zl_mkfs options = { .now_ns = 1, .fs_uuid = { 5 } };
	struct zl_media media = { .bytes = bytes, .data_off = HUGE_BYTES };
	struct zus_device *device = calloc(1, sizeof(*device));
	const char *why;

	nat->mount = calloc(1, sizeof(*nat->mount));
	nat->req = calloc(1, sizeof(*nat->req));
	nat->block = map_memory(HUGE_BYTES);
	must(device && nat->mount && nat->req ? 0 : -ENOMEM, "memory");
	media.addr = map_memory(bytes);
	must(zl_mkfs(&media, 1, &options, &why), "mkfs");
	*device = (struct zus_device) { .size_bytes = bytes, .data_off = media.data_off,
					.tier = ZUS_TIER_T1, .addr = media.addr };
	*nat->mount = (struct zus_mount) { .plugin = &zus_plugin, .devices = device,
					   .num_devices = 1 };
}

static void tear_down(struct native *nat)
{
	free(nat->mount->devices[0].addr);
	free((void *)(uintptr_t)nat->mount->devices);
	free(nat->mount);
	free(nat->req);
	free(nat->block);
}

void native_prepare(struct native *nat, uint64_t creates)
{
	uint64_t bn;

	*nat = (struct native) { .random_state = 1 };
	set_up(nat, MEDIA_BYTES + creates * NAME_BYTES / HUGE_BYTES * HUGE_BYTES);
	nat->raw = map_memory(NATIVE_FILE_BYTES);
	begin_mount(nat, "steps=manual,policy=cow");
	for (nat->file = 0; nat->file < 2; nat->file++) {
		nat->files[nat->file] = create(nat, nat->file ? "file1" : "file0");
		for (bn = 0; bn < NATIVE_FILE_BLOCKS; bn++)
			native_write(nat, bn);
	}
	nat->file = 0;
	native_umount(nat);
}

void native_worker(struct native *nat, unsigned int number)
{
	static struct zus_req reqs[2];
	static uint8_t *blocks[2];

	if (!blocks[number])
		blocks[number] = map_memory(HUGE_BYTES);
	nat->file = number;
	nat->req = &reqs[number];
	nat->block = blocks[number];
	nat->random_state = number + 1ull;
	nat->map_id = (uint64_t)(number + 1) << 48;
}

/* ------------------------------------------------------------- what is measured once */

double native_bytes_per_byte(struct native *nat)
{
	uint64_t before, ops = 40000, i;

	native_mount(nat, "steps=manual,policy=cow");
	before = shim_flushed_bytes();
	for (i = 1; i <= ops; i++) {
		native_write(nat, native_random(nat, NATIVE_FILE_BLOCKS));
		if (!(i % 4096))
			native_apply(nat);
	}
	native_apply(nat);
	native_umount(nat);
	return (double)(shim_flushed_bytes() - before) / (double)(ops * NATIVE_BLOCK);
}

uint64_t native_recovery(struct native *nat, uint64_t *records)
{
	struct timespec begin, end;
	uint64_t i;

	native_mount(nat, "steps=manual,policy=cow");
	for (*records = 0; !zl_log_pressed(fs_of(nat)); ++*records)
		native_write(nat, native_random(nat, NATIVE_FILE_BLOCKS));
	zl_fs_free(fs_of(nat));		/* what a crash leaves: the media */
	for (i = 0; i < 2; i++)
		nat->files[i] = NULL;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	begin_mount(nat, "steps=manual");
	clock_gettime(CLOCK_MONOTONIC, &end);
	native_umount(nat);
	return (uint64_t)(end.tv_sec - begin.tv_sec) * 1000000000 + (uint64_t)end.tv_nsec -
	       (uint64_t)begin.tv_nsec;
}

/* ----------------------------------------------------------------------- space */

/* Lines that elements have, of those that leaves have. */
static double leaf_fill(struct zl_fs *fs)
{
	struct zl_key key = { .obj = 0 };
	uint64_t leaves = 0, lines = 0;
	struct zl_path path;

	do {
		must(zl_tree_descend(fs, &key, &path), "tree");
		leaves++;
		lines += (uint64_t)__builtin_popcountll(path.node[0]->valid);
		key = path.hi;
	} while (path.bounded);
	return 100.0 * (double)lines / (double)(leaves * (fs->geo.node_lines - 1));
}

/* Nodes, and what each block in use has of hints, bits and the segment table. */
static uint64_t metadata_bytes(const struct zl_fs *fs)
{
	uint64_t block = sizeof(struct zlf_hint) +
			 (sizeof(struct zlf_bitmap) + sizeof(struct zlf_segment)) /
				 fs->geo.segment_blocks;

	return fs->used_nodes * fs->geo.node_bytes + fs->used_blocks * block;
}

void native_overwritten(struct native *nat, struct native_space *space)
{
	struct native small = { .random_state = nat->random_state };
	uint64_t i;

	set_up(&small, SMALL_BYTES);
	begin_mount(&small, "steps=manual,policy=cow");
	small.files[0] = create(&small, "file");
	for (i = 0; i < SMALL_BLOCKS; i++)
		native_write(&small, i);
	for (i = 1; i <= 10ull * SMALL_BLOCKS; i++) {
		native_write(&small, native_random(&small, SMALL_BLOCKS));
		if (!(i % 4096))
			native_apply(&small);
	}
	native_apply(&small);
	space->metadata_percent = 100.0 * (double)metadata_bytes(fs_of(&small)) /
				  (double)(SMALL_BLOCKS * NATIVE_BLOCK);
	space->fill_percent = leaf_fill(fs_of(&small));
	native_umount(&small);
	tear_down(&small);
}

void native_files(struct native *nat, uint64_t bytes, struct native_space *space)
{
	struct native small = { .random_state = nat->random_state };
	uint64_t i;

	set_up(&small, SMALL_BYTES);
	begin_mount(&small, "steps=manual");
	for (i = 1; i <= SMALL_FILES; i++) {
		native_create(&small, NULL, bytes);
		if (!(i % 4096))
			native_apply(&small);
	}
	native_apply(&small);
	space->bytes_per_file = (double)metadata_bytes(fs_of(&small)) / SMALL_FILES;
	space->fill_percent = leaf_fill(fs_of(&small));
	native_umount(&small);
	tear_down(&small);
}
