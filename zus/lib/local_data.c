// SPDX-License-Identifier: BSD-3-Clause
/*
 * local_data.c - data for the local transport: asks for maps and moves bytes as
 * the kernel does, and never writes where no map allowed it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "local_map.h"

/* --------------------------------------------------------------------- read */

static size_t copy_out(const struct zus_local_file *file, const struct local_map *map,
		       char *buf, size_t bytes, uint64_t off)
{
	const struct zufs_extent *e;
	size_t total = 0, n;

	while (total < bytes && (e = local_map_at(map, off + total))) {
		uint64_t at = off + total;

		n = bytes - total;
		if (n > e->file_off + e->len_bytes - at)
			n = e->file_off + e->len_bytes - at;
		if (e->type == ZUFS_EXT_DATA)
			memcpy(buf + total, local_map_addr(file, e, at), n);
		else if (e->type == ZUFS_EXT_INLINE)
			memcpy(buf + total, map->reply + e->dev_off + (at - e->file_off), n);
		else
			memset(buf + total, 0, n);
		total += n;
	}
	return total;
}

static ssize_t read_locked(struct zus_local_file *file, struct local_map *map, char *buf,
			   size_t bytes, uint64_t off)
{
	struct zus_attr attr;
	size_t total = 0;
	int err;

	err = local_get_regular(file, &attr);
	if (err)
		return err;
	if (off >= attr.size_bytes)
		return 0;
	if (bytes > attr.size_bytes - off)
		bytes = attr.size_bytes - off;
	while (total < bytes) {
		err = local_map_ask(file, off + total, bytes - total, attr.size_bytes, ZUFS_MAP_READ,
			  map);
		if (err)
			return total ? (ssize_t)total : err;
		total += copy_out(file, map, buf + total, bytes - total, off + total);
	}
	return (ssize_t)total;
}

ssize_t zus_local_pread(struct zus_local_file *file, void *buf, size_t bytes, uint64_t off)
{
	pthread_rwlock_t *lock = local_inode_lock(file->local, file->handle);
	struct local_map *map = local_map_new();
	ssize_t ret = -ENOMEM;

	if (map) {
		pthread_rwlock_rdlock(lock);
		ret = read_locked(file, map, buf, bytes, off);
		pthread_rwlock_unlock(lock);
	}
	free(map);
	return ret;
}

/* -------------------------------------------------------------------- write */

/* What the write leaves of a NEW extent; [off, end) is what it copies there. */
static void zero_edges(const struct zus_local_file *file, const struct zufs_extent *e,
		       uint64_t off, uint64_t end)
{
	uint64_t first = e->file_off, last = first + e->len_bytes;

	if (first < off)
		zus_zero_nt(local_map_addr(file, e, first), off - first);
	if (end < last)
		zus_zero_nt(local_map_addr(file, e, end), last - end);
}

/* No fence. */
static size_t copy_in(const struct zus_local_file *file, const struct local_map *map,
		      const char *buf, size_t bytes, uint64_t off, bool *commit)
{
	size_t total = 0, n;
	uint32_t i;

	for (i = 0; i < map->count; i++) {
		const struct zufs_extent *e = &map->extents[i];
		uint64_t at = off + total, end = e->file_off + e->len_bytes;

		*commit |= e->flags != 0;
		n = bytes - total;
		if (n > end - at)
			n = end - at;
		if (e->flags & ZUFS_EXTF_NEW)
			zero_edges(file, e, n ? at : e->file_off, n ? at + n : e->file_off);
		if (!n)
			continue;
		zus_copy_nt(local_map_addr(file, e, at), buf + total, n);
		total += n;
	}
	return total;
}

static ssize_t write_inline(struct zus_local_file *file, const char *buf, size_t bytes,
			    uint64_t off, uint64_t size)
{
	struct zufs_write_in in = {
		.inode = file->handle, .fh = file->fh, .off = off, .size_bytes = size,
		.mtime = local_now(),
		.len_bytes = bytes < ZUFS_PAYLOAD_MAX_BYTES ? (uint32_t)bytes :
							       ZUFS_PAYLOAD_MAX_BYTES,
	};
	struct zufs_write_out out;
	int err = local_send(file->local, ZUFS_OP_WRITE, &in, sizeof(in), buf,
			     in.len_bytes, &out, sizeof(out));

	return err ? err : (ssize_t)out.written_bytes;
}

/* How many of the bytes that were asked for the answer covers. */
static uint64_t mapped_bytes(const struct local_map *map, uint64_t bytes, uint64_t off)
{
	const struct zufs_extent *last = &map->extents[map->count - 1];
	uint64_t covered = last->file_off + last->len_bytes - off;

	return covered < bytes ? covered : bytes;
}

static bool writes_whole(const struct zus_local *local)
{
	return local->mounted.features & ZUFS_MF_WHOLE_WRITES;
}

/*
 * MAP_DONE, if it is wanted. Where each write(2) is one change, the server keeps what there is
 * until the last part of it; who hears of an error keeps nothing.
 */
static int write_done(struct zus_local_file *file, struct local_map *map, uint64_t off, size_t n,
		      uint64_t size, bool owed, bool last)
{
	int err;

	if (!owed && !(map->write_id && last))
		return 0;
	if (writes_whole(file->local) && !last)
		map->flags |= ZUFS_MAP_MORE;
	err = local_map_done(file, map, off, n, off + n > size ? off + n : size);
	if (err)
		map->write_id = 0;
	else if (map->flags & ZUFS_MAP_MORE && !map->write_id)
		map->write_id = map->id;
	return err;
}

static ssize_t write_mapped(struct zus_local_file *file, struct local_map *map, const char *buf,
			    size_t bytes, uint64_t off, uint64_t size)
{
	bool more = writes_whole(file->local) && bytes > ZUFS_MAP_MAX_BYTES;
	bool commit = false, owed;
	size_t n;
	int err;

	err = local_map_ask(file, off, bytes, size,
			    ZUFS_MAP_WRITE | (more ? ZUFS_MAP_MORE : 0), map);
	if (err)
		return err;
	map->flags &= ~ZUFS_MAP_MORE;
	n = copy_in(file, map, buf, bytes, off, &commit);
	zus_fence();
	owed = commit || off + n > size;
	if (owed && map->has_word && n == mapped_bytes(map, bytes, off))
		err = local_commit_word(file, map, off, n, off + n > size ? off + n : size);
	else
		err = write_done(file, map, off, n, size, owed, n == bytes);
	return err ? err : (ssize_t)n;
}

/* It came to total bytes only. */
static int write_end(struct zus_local_file *file, struct local_map *map, uint64_t off,
		     uint64_t total, uint64_t size)
{
	map->id = map->write_id;
	map->flags = ZUFS_MAP_WRITE;
	return local_map_done(file, map, off, 0, off + total > size ? off + total : size);
}

static ssize_t write_all(struct zus_local_file *file, struct local_map *map, struct zus_attr *attr,
			 const char *buf, size_t bytes, uint64_t off)
{
	size_t total = 0;
	uint64_t begun;
	ssize_t n;
	int err;

	while (total < bytes) {
		begun = map->write_id;
		n = (attr->flags & ZUS_ATTR_INLINE ?
		     write_inline(file, buf + total, bytes - total, off + total, attr->size_bytes) :
		     write_mapped(file, map, buf + total, bytes - total, off + total,
				  attr->size_bytes));
		if (n < 0 && map->write_id) {
			err = write_end(file, map, off, total, attr->size_bytes);
			return err ? err : (ssize_t)total;
		}
		if (n < 0)
			return total && !begun ? (ssize_t)total : n;
		total += (size_t)n;
		if (!map->write_id && off + total > attr->size_bytes)
			attr->size_bytes = off + total;
	}
	return (ssize_t)total;
}

static ssize_t write_locked(struct zus_local_file *file, struct local_map *map, const char *buf,
			    size_t bytes, uint64_t off)
{
	struct zus_attr attr;
	int err;

	if (off > INT64_MAX || bytes > INT64_MAX - off)
		return -EFBIG;
	if (writes_whole(file->local) && bytes > ZUFS_WHOLE_WRITE_MAX_BYTES)
		bytes = ZUFS_WHOLE_WRITE_MAX_BYTES;
	err = local_get_regular(file, &attr);
	if (!err && off > attr.size_bytes)
		err = local_zero_tail(file, map, &attr, attr.size_bytes);
	return err ? err : write_all(file, map, &attr, buf, bytes, off);
}

ssize_t zus_local_pwrite(struct zus_local_file *file, const void *buf, size_t bytes,
			 uint64_t off)
{
	pthread_rwlock_t *lock = local_inode_lock(file->local, file->handle);
	struct local_map *map = local_map_new();
	ssize_t ret = -ENOMEM;

	if (map) {
		pthread_rwlock_wrlock(lock);
		ret = write_locked(file, map, buf, bytes, off);
		pthread_rwlock_unlock(lock);
	}
	free(map);
	return ret;
}

/* ------------------------------------------------------ truncate, fsync, fault */

int local_before_truncate(struct zus_local *local, uint64_t handle, uint64_t size_bytes)
{
	struct zus_local_file file = { .local = local, .handle = handle };
	struct local_map *map = local_map_new();
	struct zus_attr attr;
	int err = map ? 0 : -ENOMEM;

	if (!err)
		err = local_get_regular(&file, &attr);
	if (!err)
		err = local_zero_tail(&file, map, &attr,
				size_bytes < attr.size_bytes ? size_bytes : attr.size_bytes);
	free(map);
	return err;
}

int zus_local_ftruncate(struct zus_local_file *file, uint64_t size_bytes)
{
	struct zufs_time now = local_now();
	const struct zus_setattr set = {
		.fh = file->fh, .size_bytes = size_bytes, .mtime = { now.sec, now.nsec, 0 },
		.ctime = { now.sec, now.nsec, 0 },
		.valid = ZUS_SET_SIZE | ZUS_SET_MTIME | ZUS_SET_CTIME,
	};

	if (size_bytes > INT64_MAX)
		return -EINVAL;
	return zus_handle_setattr(file->local, file->handle, &set, NULL);
}

int zus_local_fsync(struct zus_local_file *file, int datasync)
{
	struct zufs_fsync_in in = {
		.inode = file->handle, .fh = file->fh, .datasync = datasync != 0,
	};

	if (!(file->local->mounted.features & ZUFS_MF_FSYNC))
		return 0;
	return local_send(file->local, ZUFS_OP_FSYNC, &in, sizeof(in), NULL, 0, NULL, 0);
}

static int fault(struct zus_local_file *file, struct local_map *map, uint64_t off, int write,
		 void **page)
{
	uint32_t flags = ZUFS_MAP_FAULT | (write ? ZUFS_MAP_WRITE : ZUFS_MAP_READ);
	const struct zufs_extent *e;
	struct zus_attr attr;
	int err;

	off -= off % LOCAL_BLOCK;
	err = local_get_regular(file, &attr);
	if (!err && attr.flags & ZUS_ATTR_INLINE)
		err = -EINVAL;
	if (!err && off >= attr.size_bytes)
		err = -EFAULT;
	if (!err)
		err = local_map_ask(file, off, LOCAL_BLOCK, attr.size_bytes, flags, map);
	if (err)
		return err;
	e = local_map_at(map, off);
	if (e->type != ZUFS_EXT_DATA)
		return 0;
	*page = local_map_addr(file, e, off);
	if (!(e->flags & (ZUFS_EXTF_NEW | ZUFS_EXTF_COMMIT)))
		return 0;
	if (e->flags & ZUFS_EXTF_NEW)
		memset(*page, 0, LOCAL_BLOCK);
	return local_map_done(file, map, off, LOCAL_BLOCK, attr.size_bytes);
}

int zus_local_fault(struct zus_local_file *file, uint64_t off, int write, void **page)
{
	struct local_map *map = local_map_new();
	int err;

	*page = NULL;
	err = map ? fault(file, map, off, write, page) : -ENOMEM;
	free(map);
	return err;
}
