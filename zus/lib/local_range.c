// SPDX-License-Identifier: BSD-3-Clause
/*
 * local_range.c - for the local transport: what changes where a file's bytes are, or
 * tells it, and moves none through a buffer; locks and ioctls of open files.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local_map.h"

/* ---------------------------------------------------------------- fallocate */

#define SHIFTS	(FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)
#define CLEARS	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)

struct falloc {
	struct zus_local_file *file;
	struct local_map *map;
	struct zus_attr attr;
	uint32_t mode;
	uint64_t off;
	uint64_t end;
	uint64_t size;		/* of the file, once it is done */
};

static bool mode_known(uint32_t mode)
{
	switch (mode & ~(uint32_t)FALLOC_FL_KEEP_SIZE) {
	case 0:
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_UNSHARE_RANGE:
		return true;
	case FALLOC_FL_PUNCH_HOLE:
		return mode & FALLOC_FL_KEEP_SIZE;
	case FALLOC_FL_COLLAPSE_RANGE:
	case FALLOC_FL_INSERT_RANGE:
		return !(mode & FALLOC_FL_KEEP_SIZE);
	default:
		return false;
	}
}

static uint64_t size_max(const struct zus_local *local)
{
	return local->mounted.max_file_bytes ? local->mounted.max_file_bytes : INT64_MAX;
}

static int falloc_size(struct falloc *fa)
{
	uint64_t size = fa->attr.size_bytes, len = fa->end - fa->off;

	fa->size = size;
	if (fa->mode & SHIFTS && (fa->off | len) % LOCAL_BLOCK)
		return -EINVAL;
	if (fa->mode & FALLOC_FL_COLLAPSE_RANGE) {
		if (fa->end >= size)
			return -EINVAL;
		fa->size = size - len;
	} else if (fa->mode & FALLOC_FL_INSERT_RANGE) {
		if (fa->off >= size)
			return -EINVAL;
		if (len > size_max(fa->file->local) - size)
			return -EFBIG;
		fa->size = size + len;
	} else if (!(fa->mode & FALLOC_FL_KEEP_SIZE) && fa->end > size) {
		fa->size = fa->end;
	}
	return fa->end > size_max(fa->file->local) ? -EFBIG : 0;
}

/* What is named of blocks that are not covered, and what lies behind the end. */
static int falloc_zero(struct falloc *fa)
{
	uint64_t size = fa->attr.size_bytes, end = fa->end < size ? fa->end : size, edge;
	int err = 0;

	if (fa->size != size)
		err = local_zero_tail(fa->file, fa->map, &fa->attr, size);
	if (err || !(fa->mode & CLEARS) || fa->off >= end)
		return err;
	edge = local_round_up(fa->off) < end ? local_round_up(fa->off) : end;
	err = local_zero_range(fa->file, fa->map, &fa->attr, fa->off, edge);
	if (!err && end - end % LOCAL_BLOCK > edge)
		edge = end - end % LOCAL_BLOCK;
	return err ? err : local_zero_range(fa->file, fa->map, &fa->attr, edge, end);
}

static int falloc_locked(struct falloc *fa)
{
	struct zufs_fallocate_in in = {
		.inode = fa->file->handle, .fh = fa->file->fh, .off = fa->off,
		.len_bytes = fa->end - fa->off, .now = local_now(), .mode = fa->mode,
	};
	struct zufs_attr attr;
	int err = local_get_regular(fa->file, &fa->attr);

	if (!err && fa->attr.flags & ZUS_ATTR_INLINE)
		err = -EOPNOTSUPP;
	if (!err)
		err = falloc_size(fa);
	if (!err)
		err = falloc_zero(fa);
	if (err)
		return err;
	in.size_bytes = fa->size;
	return local_send(fa->file->local, ZUFS_OP_FALLOCATE, &in, sizeof(in), NULL, 0, &attr,
			  sizeof(attr));
}

int zus_local_fallocate(struct zus_local_file *file, uint32_t mode, uint64_t off, uint64_t bytes)
{
	struct falloc fa = { .file = file, .mode = mode, .off = off, .end = off + bytes };
	int err;

	if (!bytes || off > INT64_MAX || bytes > INT64_MAX)
		return -EINVAL;
	if (fa.end > INT64_MAX)
		return -EFBIG;
	if (!(file->local->mounted.features & ZUFS_MF_FALLOCATE) || !mode_known(mode))
		return -EOPNOTSUPP;
	fa.map = local_map_new();
	if (!fa.map)
		return -ENOMEM;
	pthread_rwlock_wrlock(local_inode_lock(file->local, file->handle));
	err = falloc_locked(&fa);
	pthread_rwlock_unlock(local_inode_lock(file->local, file->handle));
	free(fa.map);
	return err;
}

/* --------------------------------------------------------------------- copy */

struct copy {
	struct zus_local_file *to;
	struct zus_local_file *from;
	uint64_t to_off;
	uint64_t from_off;
	uint64_t bytes;
	uint32_t flags;		/* ZUFS_COPY_* */
};

static int copy_zero(const struct copy *copy, const struct zus_attr *attr)
{
	struct local_map *map = copy->to_off > attr->size_bytes ? local_map_new() : NULL;
	int err;

	if (copy->to_off <= attr->size_bytes)
		return 0;
	err = map ? local_zero_tail(copy->to, map, attr, attr->size_bytes) : -ENOMEM;
	free(map);
	return err;
}

/*
 * Blocks as a whole, but for a last one that ends with from's last byte, and with to's, or
 * behind it where to may become longer.
 */
static int clone_check(const struct copy *copy, const struct zus_attr *from,
		       const struct zus_attr *to)
{
	uint64_t end = copy->from_off + copy->bytes, to_end = copy->to_off + copy->bytes;

	if ((copy->from_off | copy->to_off) % ZUFS_BLOCK_BYTES || end > from->size_bytes)
		return -EINVAL;
	if (end % ZUFS_BLOCK_BYTES && (end != from->size_bytes || to_end < to->size_bytes))
		return -EINVAL;
	return copy->flags == ZUFS_COPY_DEDUPE && to_end > to->size_bytes ? -EINVAL : 0;
}

/* From a file to itself: not onto what is copied. */
static bool overlaps(const struct copy *copy, uint64_t bytes)
{
	uint64_t low = copy->to_off < copy->from_off ? copy->to_off : copy->from_off;

	return copy->from->handle == copy->to->handle &&
	       copy->to_off + copy->from_off - 2 * low < bytes;
}

/* How many bytes were copied; 0: from has none there. */
static ssize_t copy_locked(const struct copy *copy)
{
	struct zufs_copy_in in = {
		.to = copy->to->handle, .to_fh = copy->to->fh, .from = copy->from->handle,
		.from_fh = copy->from->fh, .to_off = copy->to_off, .from_off = copy->from_off,
		.len_bytes = copy->bytes, .now = local_now(), .flags = copy->flags,
	};
	struct zus_attr from, to;
	struct zufs_copy_out out;
	int err = local_get_regular(copy->from, &from);

	if (!err)
		err = local_get_regular(copy->to, &to);
	if (err || (!copy->flags && copy->from_off >= from.size_bytes))
		return err;
	if ((from.flags | to.flags) & ZUS_ATTR_INLINE)
		return -EOPNOTSUPP;
	err = copy->flags ? clone_check(copy, &from, &to) : 0;
	if (err)
		return err;
	if (in.len_bytes > from.size_bytes - copy->from_off)
		in.len_bytes = from.size_bytes - copy->from_off;
	if (overlaps(copy, in.len_bytes))
		return -EINVAL;
	in.to_size_bytes = to.size_bytes;
	if (copy->flags != ZUFS_COPY_DEDUPE)
		err = copy_zero(copy, &to);
	if (!err)
		err = local_send(copy->to->local, ZUFS_OP_COPY, &in, sizeof(in), NULL, 0, &out,
				 sizeof(out));
	return err ? err : (ssize_t)out.copied_bytes;
}

static ssize_t copy_checked(struct copy *copy)
{
	ssize_t ret;

	if (copy->from_off > INT64_MAX || copy->to_off > INT64_MAX)
		return -EINVAL;
	if (copy->bytes > ZUFS_MAP_MAX_BYTES)
		copy->bytes = ZUFS_MAP_MAX_BYTES;
	if (!copy->bytes)
		return 0;
	if (copy->bytes > INT64_MAX - copy->to_off || copy->bytes > INT64_MAX - copy->from_off)
		return -EFBIG;
	local_lock_two(copy->to->local, copy->to->handle, copy->from->handle);
	ret = copy_locked(copy);
	local_unlock_two(copy->to->local, copy->to->handle, copy->from->handle);
	return ret;
}

ssize_t zus_local_copy(struct zus_local_file *from, uint64_t from_off,
		       struct zus_local_file *to, uint64_t to_off, size_t bytes)
{
	struct copy copy = { to, from, to_off, from_off, bytes, 0 };

	if (!(to->local->mounted.features & ZUFS_MF_COPY))
		return -EOPNOTSUPP;
	return copy_checked(&copy);
}

ssize_t zus_local_clone(struct zus_local_file *from, uint64_t from_off,
			struct zus_local_file *to, uint64_t to_off, size_t bytes, int dedupe)
{
	struct copy copy = { to, from, to_off, from_off, bytes,
			     dedupe ? ZUFS_COPY_DEDUPE : ZUFS_COPY_CLONE };

	if (!(to->local->mounted.features & ZUFS_MF_CLONE))
		return -EOPNOTSUPP;
	return copy_checked(&copy);
}

/* --------------------------------------------------------------------- seek */

/* From off on, where it first is as whence wants it; size: nowhere. */
static int64_t find_kind(struct zus_local_file *file, struct local_map *map, uint64_t off,
			 uint64_t size, int whence)
{
	const struct zufs_extent *e;
	bool data;
	int err;

	while (off < size) {
		err = local_map_ask(file, off, size - off, size, ZUFS_MAP_READ | ZUFS_MAP_REPORT,
				    map);
		if (err)
			return err;
		while (off < size && (e = local_map_at(map, off))) {
			data = e->type == ZUFS_EXT_DATA || e->type == ZUFS_EXT_INLINE;
			if (data == (whence == SEEK_DATA))
				return (int64_t)off;
			off = e->file_off + e->len_bytes;
		}
	}
	return (int64_t)size;
}

static int64_t seek_locked(struct zus_local_file *file, uint64_t off, int whence)
{
	struct local_map *map = local_map_new();
	struct zus_attr attr;
	int64_t ret = map ? local_get_regular(file, &attr) : -ENOMEM;

	if (!ret && off >= attr.size_bytes)
		ret = -ENXIO;
	if (!ret) {
		ret = find_kind(file, map, off, attr.size_bytes, whence);
		if (whence == SEEK_DATA && ret == (int64_t)attr.size_bytes)
			ret = -ENXIO;
	}
	free(map);
	return ret;
}

int64_t zus_local_seek(struct zus_local_file *file, uint64_t off, int whence)
{
	int64_t ret;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	pthread_rwlock_rdlock(local_inode_lock(file->local, file->handle));
	ret = seek_locked(file, off, whence);
	pthread_rwlock_unlock(local_inode_lock(file->local, file->handle));
	return ret;
}

/* ------------------------------------------------------------- locks, ioctl */

int zus_local_lock(struct zus_local_file *file, const struct zus_lock *lock,
		   struct zus_lock_conflict *conflict)
{
	struct zufs_lock_in in = {
		.inode = file->handle, .fh = file->fh, .owner = lock->owner, .start = lock->start,
		.end = lock->end, .pid = lock->pid, .type = lock->type, .flags = lock->flags,
		.cmd = lock->get ? ZUFS_LOCK_GET : ZUFS_LOCK_SET,
	};
	struct zufs_lock_out out;
	int err;

	if (!(file->local->mounted.features & ZUFS_MF_LOCKS))
		return -EOPNOTSUPP;
	err = local_send(file->local, ZUFS_OP_LOCK, &in, sizeof(in), NULL, 0, &out, sizeof(out));
	if (!err && conflict)
		*conflict = (struct zus_lock_conflict) {
			.start = out.start, .end = out.end, .type = out.type, .pid = out.pid,
			.flags = out.flags,
		};
	return err;
}

int zus_local_ioctl(struct zus_local_file *file, const struct zus_ioctl *args, int32_t *result)
{
	struct zufs_ioctl_in in = {
		.inode = file->handle, .fh = file->fh, .cmd = args->cmd,
		.in_bytes = args->in_bytes, .out_bytes = args->out_bytes, .flags = args->flags,
	};
	struct zufs_ioctl_out out;
	struct zus_local_call call = {
		.op = ZUFS_OP_IOCTL, .in = &in, .in_bytes = sizeof(in), .payload = args->in,
		.payload_bytes = args->in_bytes, .out = &out, .out_bytes = sizeof(out),
		.reply = args->out, .reply_max_bytes = args->out_bytes,
	};
	int err;

	if (!(file->local->mounted.features & ZUFS_MF_IOCTL))
		return -ENOTTY;
	err = local_call_retry(file->local, &call);
	if (!err)
		*result = out.result;
	return err;
}
