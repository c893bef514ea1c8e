// SPDX-License-Identifier: BSD-3-Clause
/*
 * nullfs - a filesystem of one file, or some, for measuring the framework alone.
 *
 * The root holds "data", which lies one to one on the first T1 device, from the
 * device's data_off on, and behind it "data1" and so on, if more files are wanted. No
 * answer takes a lock or allocates, but with relocate and epoch_ms. The option mode
 * chooses which path of the framework each I/O takes:
 *
 *	mode=call	every I/O asks for a map (default)
 *	mode=call-done	and each write is followed by MAP_DONE
 *	mode=leased	the first answer for a range is leased: no further calls
 *	mode=inline	data travel in the messages, the server copies
 *	relocate=SEED	leased, and the file's blocks move about while it is used
 *	relocate_us=N	with a pause of N us behind each move (default: none)
 *	epoch_ms=N	leased, with a new write epoch every N ms; 0: as often as can be
 *	cow=word	every write goes to another place, and is made part of the file by a
 *			word that the kernel stores
 *	cow=done	the same, by MAP_DONE
 *	epoch_check	and no block may change in one but after a map for writing
 *	size=BYTES	size of each file, with k, m, g (default: all of the device)
 *	files=N		so many files
 *	extent=BYTES	files lie in extents that long, scattered over the device
 *	space=BYTES	and only over so much of it, again and again: see null_scatter.h
 *
 * How many maps and map_dones it answered, libzus counts: see zusctl stats.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zus.h>

#include "null_cow.h"
#include "null_epoch.h"
#include "null_move.h"
#include "null_scatter.h"

#define NULLFS_ROOT_INO		1
#define NULLFS_DATA_INO		2
#define NULLFS_DATA_COOKIE	3
#define NULLFS_FILES_MAX	1000000u
#define NULLFS_SIZE_MAX		(1ull << 42)
#define NULLFS_MAGIC		0x7a6e756cu

enum null_mode { MODE_CALL, MODE_CALL_DONE, MODE_LEASED, MODE_INLINE };

struct null_fs {
	struct zus_inode root;
	struct zus_inode *files; /* "data", "data1" ...: one behind the other */
	uint64_t num_files;
	enum null_mode mode;
	uint64_t move_seed;	/* not 0: of move */
	uint64_t move_pause_us;
	struct null_move *move;
	bool wants_cow;
	bool cow_word;
	struct null_cow *cow;
	bool epochs;
	bool epoch_check;
	uint64_t epoch_ms;
	struct null_epoch *epoch;
	struct null_scatter scatter;
	uint64_t extent_bytes;	/* not 0: of scatter */
	uint64_t space_bytes;
	uint32_t dev;
	uint64_t base_off;	/* of the first file on the device */
	uint64_t size_bytes;	/* of each, multiple of 4096; never changes */
	char *base;		/* its address */
	/* Atomic, relaxed: a time is one word, nothing else depends on it. */
	uint64_t mtime_ns;
	uint64_t ctime_ns;
	uint64_t atime_ns;
	uint64_t change;
	uint32_t mode_bits;
	uint32_t uid;
	uint32_t gid;
};

static struct null_fs *fs_of(const struct zus_inode *inode)
{
	return inode->mount->priv;
}

static uint64_t index_of(const struct null_fs *fs, const struct zus_inode *inode)
{
	return (uint64_t)(inode - fs->files);
}

/* Where the file begins, in the area of all files. */
static uint64_t area_off(const struct null_fs *fs, const struct zus_inode *inode)
{
	return index_of(fs, inode) * fs->size_bytes;
}

static struct zus_time to_time(const uint64_t *ns)
{
	uint64_t now = __atomic_load_n(ns, __ATOMIC_RELAXED);
	struct zus_time time = { (int64_t)(now / 1000000000u),
				 (uint32_t)(now % 1000000000u), 0 };

	return time;
}

static void set_time(uint64_t *ns, const struct zus_time *time)
{
	__atomic_store_n(ns, (uint64_t)time->sec * 1000000000u + time->nsec,
			 __ATOMIC_RELAXED);
}

static void fill_attr(const struct null_fs *fs, const struct zus_inode *inode,
		      struct zus_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	attr->gen = 1;
	attr->change = __atomic_load_n(&fs->change, __ATOMIC_RELAXED);
	attr->mtime = to_time(&fs->mtime_ns);
	attr->ctime = to_time(&fs->ctime_ns);
	attr->atime = to_time(&fs->atime_ns);
	if (inode == &fs->root) {
		attr->ino = NULLFS_ROOT_INO;
		attr->mode = S_IFDIR | 0755;
		attr->nlink = 2;
		return;
	}
	attr->ino = NULLFS_DATA_INO + index_of(fs, inode);
	attr->mode = S_IFREG | __atomic_load_n(&fs->mode_bits, __ATOMIC_RELAXED);
	attr->uid = __atomic_load_n(&fs->uid, __ATOMIC_RELAXED);
	attr->gid = __atomic_load_n(&fs->gid, __ATOMIC_RELAXED);
	attr->nlink = 1;
	attr->size_bytes = fs->size_bytes;
	attr->blocks_512 = fs->size_bytes / 512;
	attr->flags = fs->mode == MODE_INLINE ? ZUS_ATTR_INLINE : 0;
}

/* -------------------------------------------------------------------- mount */

static int parse_mode(const char *text, enum null_mode *mode)
{
	static const char *const names[] = { "call", "call-done", "leased", "inline" };
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (text && !strcmp(text, names[i])) {
			*mode = (enum null_mode)i;
			return 0;
		}
	}
	zus_log(ZUS_LOG_ERR, "nullfs: mode is call, call-done, leased or inline");
	return -EINVAL;
}

static int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
	int err = zus_parse_bytes(text, number);

	return !err && (*number < min || *number > max) ? -ERANGE : err;
}

static int parse_option(struct null_fs *fs, const char *key, const char *value)
{
	if (!strcmp(key, "mode"))
		return parse_mode(value, &fs->mode);
	if (!strcmp(key, "relocate") && value) {
		fs->mode = MODE_LEASED;
		return zus_parse_bytes(value, &fs->move_seed);
	}
	if (!strcmp(key, "relocate_us") && value)
		return parse_number(value, 0, NULL_PAUSE_US_MAX, &fs->move_pause_us);
	if (!strcmp(key, "epoch_ms") && value) {
		fs->mode = MODE_LEASED;
		fs->epochs = true;
		return parse_number(value, 0, 3600000, &fs->epoch_ms);
	}
	if (!strcmp(key, "cow") && value) {
		fs->mode = MODE_LEASED;
		fs->wants_cow = true;
		fs->cow_word = !strcmp(value, "word");
		return fs->cow_word || !strcmp(value, "done") ? 0 : -EINVAL;
	}
	if (!strcmp(key, "epoch_check") && !value) {
		fs->epoch_check = true;
		return 0;
	}
	if (!strcmp(key, "size") && value)
		return zus_parse_bytes(value, &fs->size_bytes);
	if (!strcmp(key, "files") && value)
		return parse_number(value, 1, NULLFS_FILES_MAX, &fs->num_files);
	if (!strcmp(key, "extent") && value)
		return parse_number(value, ZUS_BLOCK_BYTES, NULLFS_SIZE_MAX, &fs->extent_bytes);
	if (!strcmp(key, "space") && value)
		return parse_number(value, ZUS_BLOCK_BYTES, NULLFS_SIZE_MAX, &fs->space_bytes);
	zus_log(ZUS_LOG_ERR, "nullfs: unknown option %s; there are mode=call|call-done|leased|inline, relocate=SEED, relocate_us=N, epoch_ms=N, epoch_check, cow=word|done, size=BYTES, files=N, extent=BYTES and space=BYTES",
		key);
	return -EINVAL;
}

static int parse_options(struct null_fs *fs, const char *options)
{
	char buf[128], *key, *value;
	int more, err = 0;

	while (!err && (more = zus_option_next(&options, buf, sizeof(buf), &key, &value)))
		err = more < 0 ? more : parse_option(fs, key, value);
	if (err)
		return err;
	if (fs->wants_cow && (fs->move_seed || fs->epoch_check || fs->num_files > 1 ||
			      fs->mode != MODE_LEASED)) {
		zus_log(ZUS_LOG_ERR, "nullfs: cow goes neither with relocate, epoch_check and files, nor with another mode than leased");
		return -EINVAL;
	}
	if ((fs->move_seed && (fs->num_files > 1 || fs->epoch_check)) ||
	    (fs->epoch_check && !fs->epochs) || (fs->move_pause_us && !fs->move_seed) ||
	    ((fs->move_seed || fs->epochs) && fs->mode != MODE_LEASED)) {
		zus_log(ZUS_LOG_ERR, "nullfs: relocate and epoch_ms want mode=leased, epoch_check wants epoch_ms, and relocate neither epoch_check nor files; relocate_us wants relocate");
		return -EINVAL;
	}
	if (fs->extent_bytes % ZUS_BLOCK_BYTES || (fs->space_bytes && !fs->extent_bytes) ||
	    (fs->extent_bytes && (fs->move_seed || fs->epochs || fs->wants_cow ||
				  fs->mode == MODE_INLINE))) {
		zus_log(ZUS_LOG_ERR, "nullfs: extent is a multiple of %u, without relocate, epoch_ms, cow and mode=inline; space wants extent",
			ZUS_BLOCK_BYTES);
		return -EINVAL;
	}
	return 0;
}

/* In extents, of as many files as were wanted, however long. */
static int scatter_files(struct null_fs *fs, uint64_t room)
{
	uint64_t space = fs->space_bytes ? fs->space_bytes : room;
	int err = space > room ? -EINVAL : 0;

	if (!fs->size_bytes)
		fs->size_bytes = room / fs->num_files;
	fs->size_bytes -= fs->size_bytes % fs->extent_bytes;
	if (!err)
		err = null_scatter_init(&fs->scatter, fs->extent_bytes, space);
	if (err || !fs->size_bytes || fs->size_bytes > NULLFS_SIZE_MAX) {
		zus_log(ZUS_LOG_ERR, "nullfs: space is at least 8 extents and at most the %" PRIu64 " bytes of the device, size at least an extent and at most %llu",
			room, NULLFS_SIZE_MAX);
		return -EINVAL;
	}
	return 0;
}

static int find_area(struct null_fs *fs, const struct zus_mount *mount)
{
	const struct zus_device *dev = mount->devices;
	uint64_t room;

	for (; dev < mount->devices + mount->num_devices; dev++)
		if (dev->tier == ZUS_TIER_T1)
			break;
	if (dev == mount->devices + mount->num_devices) {
		zus_log(ZUS_LOG_ERR, "nullfs: no persistent-memory device");
		return -EINVAL;
	}
	fs->dev = dev->id;
	fs->base_off = dev->data_off;
	fs->base = zus_dev_addr(mount, dev->id, dev->data_off);
	room = (dev->size_bytes - dev->data_off) / ZUS_BLOCK_BYTES * ZUS_BLOCK_BYTES;
	if (fs->extent_bytes)
		return scatter_files(fs, room);
	if (fs->move_seed && room)
		room -= room % NULL_CHUNK_BYTES + NULL_CHUNK_BYTES;
	if (fs->wants_cow)
		room = null_cow_room(room);
	if (!fs->size_bytes)
		fs->size_bytes = room / fs->num_files;
	fs->size_bytes -= fs->size_bytes % (fs->move_seed ? NULL_CHUNK_BYTES : ZUS_BLOCK_BYTES);
	if (!fs->size_bytes || fs->size_bytes > room / fs->num_files) {
		zus_log(ZUS_LOG_ERR, "nullfs: size is %" PRIu64 " bytes, the device has room for %u to %" PRIu64,
			fs->size_bytes, ZUS_BLOCK_BYTES, room / fs->num_files);
		return -EINVAL;
	}
	return 0;
}

static void files_put(struct null_fs *fs, uint64_t count)
{
	while (count)
		zus_inode_put(&fs->files[--count]);
	free(fs->files);
}

static int files_make(struct null_fs *fs, struct zus_mount *mount)
{
	uint64_t i;
	int err;

	fs->files = calloc(fs->num_files, sizeof(*fs->files));
	if (!fs->files)
		return -ENOMEM;
	for (i = 0; i < fs->num_files; i++) {
		err = zus_inode_init(mount, &fs->files[i]);
		if (err) {
			files_put(fs, i);
			return err;
		}
	}
	return 0;
}

/* What runs beside the operations. */
static int helpers_begin(struct null_fs *fs, struct zus_mount *mount)
{
	const struct null_epoch_config config = {
		.mount = mount, .period_ms = (uint32_t)fs->epoch_ms, .check = fs->epoch_check,
		.base = fs->base, .bytes = fs->num_files * fs->size_bytes,
	};
	int err = 0;

	if (fs->epochs)
		err = null_epoch_begin(&config, &fs->epoch);
	if (!err && fs->move_seed)
		err = null_move_begin(&fs->files[0], NULLFS_DATA_INO, 1, fs->dev, fs->base_off,
				      fs->size_bytes, fs->move_seed, fs->move_pause_us, &fs->move);
	if (!err && fs->wants_cow)
		err = null_cow_begin(mount, fs->dev, fs->base_off, fs->size_bytes, fs->cow_word,
				     &fs->cow);
	if (err)
		null_epoch_end(fs->epoch);
	return err;
}

static int null_mount(struct zus_req *req, struct zus_mount *mount,
		      struct zus_mount_out *out)
{
	struct null_fs *fs = calloc(1, sizeof(*fs));
	int err;

	(void)req;
	if (!fs)
		return -ENOMEM;
	fs->mode_bits = 0644;
	fs->num_files = 1;
	err = parse_options(fs, mount->options);
	if (!err)
		err = find_area(fs, mount);
	if (err)
		goto out_free;
	mount->priv = fs;
	err = zus_inode_init(mount, &fs->root);
	if (err)
		goto out_free;
	err = files_make(fs, mount);
	if (err)
		goto out_put;
	err = helpers_begin(fs, mount);
	if (err)
		goto out_put_files;
	zus_entry_set(&out->root, &fs->root);
	fill_attr(fs, &fs->root, &out->root.attr);
	out->max_file_bytes = fs->size_bytes;
	out->magic = NULLFS_MAGIC;
	out->features = ZUS_MF_EXPORT;
	/* where blocks do not move */
	if (!fs->wants_cow && !fs->move_seed)
		out->features |= ZUS_MF_DURABLE_MAPS;
	if (fs->mode == MODE_LEASED)
		out->features |= ZUS_MF_LEASES | (fs->epochs ? ZUS_MF_EPOCHS : 0) |
				 (fs->wants_cow ? ZUS_MF_COW : 0);
	return 0;

out_put_files:
	files_put(fs, fs->num_files);
out_put:
	zus_inode_put(&fs->root);
out_free:
	free(fs);
	return err;
}

static void null_umount(struct zus_mount *mount)
{
	struct null_fs *fs = mount->priv;

	null_epoch_end(fs->epoch);
	null_move_end(fs->move);
	null_cow_end(fs->cow);
	files_put(fs, fs->num_files);
	zus_inode_put(&fs->root);
	free(fs);
}

static int null_statfs(struct zus_req *req, struct zus_mount *mount,
		       struct zus_statfs *out)
{
	const struct null_fs *fs = mount->priv;

	(void)req;
	out->blocks = fs->num_files * fs->size_bytes / ZUS_BLOCK_BYTES;
	out->files = 1 + fs->num_files;
	return 0;
}

/* ------------------------------------------------------------------- inodes */

/* Which file is called so; at least num_files: none. */
static uint64_t index_by_name(const struct null_fs *fs, const struct zus_name *name)
{
	char text[24];
	uint64_t index;
	char *end;

	if (name->bytes < 4 || name->bytes >= sizeof(text) || memcmp(name->str, "data", 4) != 0)
		return fs->num_files;
	if (name->bytes == 4)
		return 0;
	memcpy(text, name->str, name->bytes);
	text[name->bytes] = 0;
	if (text[4] < '1' || text[4] > '9')
		return fs->num_files;
	index = strtoull(text + 4, &end, 10);
	return *end ? fs->num_files : index;
}

static int null_lookup(struct zus_req *req, struct zus_inode *dir,
		       const struct zus_name *name, struct zus_entry *out)
{
	struct null_fs *fs = fs_of(dir);
	uint64_t index;

	(void)req;
	if (dir != &fs->root)
		return -ENOTDIR;
	index = index_by_name(fs, name);
	if (index >= fs->num_files)
		return -ENOENT;
	zus_entry_set(out, &fs->files[index]);
	fill_attr(fs, &fs->files[index], &out->attr);
	return 0;
}

/* For file handles: the numbers are the same with every mount. */
static int null_iget(struct zus_req *req, struct zus_mount *mount, uint64_t ino, uint64_t gen,
		     struct zus_entry *out)
{
	struct null_fs *fs = mount->priv;
	struct zus_inode *inode = &fs->root;

	(void)req;
	if (gen != 1 || ino < NULLFS_ROOT_INO || ino >= NULLFS_DATA_INO + fs->num_files)
		return -ESTALE;
	if (ino != NULLFS_ROOT_INO)
		inode = &fs->files[ino - NULLFS_DATA_INO];
	zus_entry_set(out, inode);
	fill_attr(fs, inode, &out->attr);
	return 0;
}

/* The root is the only directory. */
static int null_parent(struct zus_req *req, struct zus_inode *dir, struct zus_entry *out)
{
	(void)req;
	(void)dir;
	(void)out;
	return -ESTALE;
}

static int null_getattr(struct zus_req *req, struct zus_inode *inode, uint64_t fh,
			uint32_t mask, struct zus_attr *out)
{
	(void)req;
	(void)fh;
	(void)mask;
	fill_attr(fs_of(inode), inode, out);
	return 0;
}

static int null_setattr(struct zus_req *req, struct zus_inode *inode,
			const struct zus_setattr *set, struct zus_attr *out)
{
	struct null_fs *fs = fs_of(inode);
	const uint32_t owner = ZUS_SET_MODE | ZUS_SET_UID | ZUS_SET_GID;

	(void)req;
	if ((set->valid & ZUS_SET_SIZE) && set->size_bytes != fs->size_bytes)
		return -EPERM;
	if (inode == &fs->root && (set->valid & owner))
		return -EPERM;
	if (set->valid & ZUS_SET_MODE)
		__atomic_store_n(&fs->mode_bits, set->mode & 07777, __ATOMIC_RELAXED);
	if (set->valid & ZUS_SET_UID)
		__atomic_store_n(&fs->uid, set->uid, __ATOMIC_RELAXED);
	if (set->valid & ZUS_SET_GID)
		__atomic_store_n(&fs->gid, set->gid, __ATOMIC_RELAXED);
	if (set->valid & ZUS_SET_ATIME)
		set_time(&fs->atime_ns, &set->atime);
	if (set->valid & ZUS_SET_MTIME)
		set_time(&fs->mtime_ns, &set->mtime);
	if (set->valid & ZUS_SET_CTIME)
		set_time(&fs->ctime_ns, &set->ctime);
	__atomic_add_fetch(&fs->change, 1, __ATOMIC_RELAXED);
	fill_attr(fs, inode, out);
	return 0;
}

static int null_readdir(struct zus_req *req, struct zus_inode *dir, uint64_t fh,
			uint64_t cookie, int *eof)
{
	struct null_fs *fs = fs_of(dir);
	uint64_t index = cookie < NULLFS_DATA_COOKIE ? 0 : cookie - NULLFS_DATA_COOKIE + 1;
	char text[24] = "data";
	struct zus_name name = { text, 4 };

	(void)fh;
	if (dir != &fs->root)
		return -ENOTDIR;
	for (; index < fs->num_files; index++) {
		if (index)
			name.bytes = (uint32_t)snprintf(text, sizeof(text), "data%" PRIu64,
							index);
		if (zus_req_dirent(req, NULLFS_DATA_INO + index, NULLFS_DATA_COOKIE + index,
				   DT_REG, &name))
			return 0;
	}
	*eof = 1;
	return 0;
}

/* All inodes are parts of struct null_fs and go with it. */
static void null_evict(struct zus_inode *inode)
{
	(void)inode;
}

/* --------------------------------------------------------------------- data */

static int map_inline(struct zus_req *req, const struct zus_inode *inode,
		      const struct zus_map *args)
{
	const struct null_fs *fs = fs_of(inode);
	uint64_t len = args->len_bytes;
	void *buf;
	int err;

	if (args->flags & ZUS_MAP_WRITE)
		return -EINVAL;	/* such writes come as WRITE */
	if (args->off >= fs->size_bytes)
		return -EINVAL;
	if (len > fs->size_bytes - args->off)
		len = fs->size_bytes - args->off;
	if (len > zus_req_inline_max(req))
		len = zus_req_inline_max(req);
	err = zus_req_inline(req, args->off, (uint32_t)len, &buf);
	if (!err)
		memcpy(buf, fs->base + area_off(fs, inode) + args->off, len);
	return err;
}

static int map_moving(struct zus_req *req, const struct null_fs *fs, const struct zus_map *args)
{
	uint16_t flags;

	/* nothing is checked, so whatever is answered; but epochs begin by it */
	if (fs->epoch)
		null_epoch_map(fs->epoch, 0, 0, args, &flags);
	return null_move_map(fs->move, req, args);
}

/* All of the file lies in one piece; of what is checked as much as was asked for. */
static int map_leased(struct zus_req *req, const struct zus_inode *inode,
		      const struct zus_map *args, struct zus_extent *extent)
{
	const struct null_fs *fs = fs_of(inode);
	int err = 0;

	if (!fs->epoch_check) {
		extent->file_off = 0;
		extent->len_bytes = fs->size_bytes;
	}
	extent->dev_off = fs->base_off + area_off(fs, inode) + extent->file_off;
	if (fs->epoch)
		err = null_epoch_map(fs->epoch, extent->dev_off - fs->base_off,
				     extent->len_bytes, args, &extent->flags);
	return err ? err : zus_req_extent(req, extent);
}

static uint16_t extent_flags(const struct null_fs *fs, const struct zus_map *args)
{
	if (fs->mode == MODE_LEASED)
		return ZUS_EXTF_LEASE_R | ZUS_EXTF_LEASE_W;
	return fs->mode == MODE_CALL_DONE && args->flags & ZUS_MAP_WRITE ? ZUS_EXTF_COMMIT : 0;
}

static int null_map(struct zus_req *req, struct zus_inode *inode,
		    const struct zus_map *args)
{
	const struct null_fs *fs = fs_of(inode);
	uint64_t begin = args->off / ZUS_BLOCK_BYTES * ZUS_BLOCK_BYTES;
	uint64_t end = args->off + args->len_bytes;
	struct zus_extent extent = { .type = ZUS_EXT_DATA };

	if (inode == &fs->root)
		return -EISDIR;
	if (fs->mode == MODE_INLINE)
		return map_inline(req, inode, args);
	if (fs->move)
		return map_moving(req, fs, args);
	end = (end + ZUS_BLOCK_BYTES - 1) / ZUS_BLOCK_BYTES * ZUS_BLOCK_BYTES;
	if (begin >= fs->size_bytes && (args->flags & ZUS_MAP_WRITE))
		return -ENOSPC;
	extent.file_off = begin;
	extent.len_bytes = end - begin;
	if (begin >= fs->size_bytes) {
		extent.type = ZUS_EXT_HOLE;
		return zus_req_extent(req, &extent);
	}
	if (end > fs->size_bytes)
		extent.len_bytes = fs->size_bytes - begin;
	if (fs->extent_bytes)
		return null_scatter_map(&fs->scatter, req, args, area_off(fs, inode),
					fs->size_bytes, fs->dev, fs->base_off,
					extent_flags(fs, args));
	extent.dev = fs->dev;
	if (fs->cow)
		return null_cow_map(fs->cow, req, args);
	extent.flags = extent_flags(fs, args);
	if (fs->mode == MODE_LEASED)
		return map_leased(req, inode, args, &extent);
	extent.dev_off = fs->base_off + area_off(fs, inode) + begin;
	return zus_req_extent(req, &extent);
}

static void data_changed(struct null_fs *fs, const struct zus_time *now)
{
	set_time(&fs->mtime_ns, now);
	set_time(&fs->ctime_ns, now);
	__atomic_add_fetch(&fs->change, 1, __ATOMIC_RELAXED);
}

static int null_map_done(struct zus_req *req, struct zus_inode *inode,
			 const struct zus_map_done *args, struct zus_attr *out)
{
	struct null_fs *fs = fs_of(inode);

	(void)req;
	if (fs->cow)
		null_cow_map_done(fs->cow, args);
	if (args->written_bytes && !(args->flags & ZUS_MAP_COMMITTED))
		data_changed(fs, &args->mtime);
	if (out)
		fill_attr(fs, inode, out);
	return 0;
}

static int null_write(struct zus_req *req, struct zus_inode *inode,
		      const struct zus_write *args, uint64_t *written,
		      struct zus_attr *out)
{
	struct null_fs *fs = fs_of(inode);
	uint64_t len = args->len_bytes;

	(void)req;
	if (inode == &fs->root)
		return -EISDIR;
	if (args->off >= fs->size_bytes)
		return -ENOSPC;
	if (len > fs->size_bytes - args->off)
		len = fs->size_bytes - args->off;
	zus_copy_nt(fs->base + area_off(fs, inode) + args->off, args->data, len);
	zus_fence();
	data_changed(fs, &args->mtime);
	*written = len;
	fill_attr(fs, inode, out);
	return 0;
}

/* --------------------------------------------------------------- descriptor */

static const struct zus_mount_ops null_mount_ops = {
	.mount = null_mount,
	.umount = null_umount,
	.statfs = null_statfs,
};

static const struct zus_inode_ops null_inode_ops = {
	.lookup = null_lookup,
	.getattr = null_getattr,
	.setattr = null_setattr,
	.readdir = null_readdir,
	.evict = null_evict,
	.iget = null_iget,
	.parent = null_parent,
};

static const struct zus_file_ops null_file_ops = {
	.map = null_map,
	.map_done = null_map_done,
	.write = null_write,
};

ZUS_EXPORT const struct zus_plugin zus_plugin = {
	ZUS_PLUGIN_ABI,
	.name = "znullfs",
	.mount_ops = &null_mount_ops,
	.inode_ops = &null_inode_ops,
	.file_ops = &null_file_ops,
};
