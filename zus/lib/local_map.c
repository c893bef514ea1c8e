// SPDX-License-Identifier: BSD-3-Clause
/* local_map.c - for the local transport: asks where bytes are, says what was written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "local_map.h"

#define MAP_EXTENTS	16u

struct local_map *local_map_new(void)
{
	struct local_map *map = malloc(sizeof(*map));

	if (map)
		map->write_id = 0;
	return map;
}

int local_map_ask(struct zus_local_file *file, uint64_t off, uint64_t len, uint64_t size,
		  uint32_t flags, struct local_map *map)
{
	struct zufs_map_in in = {
		.inode = file->handle, .fh = file->fh, .off = off,
		.len_bytes = len < ZUFS_MAP_MAX_BYTES ? len : ZUFS_MAP_MAX_BYTES,
		.size_bytes = size, .flags = flags, .max_extents = MAP_EXTENTS,
		.write_id = map->write_id,
	};
	struct zufs_map_out out = { 0 };
	struct zus_local_call call = {
		.op = ZUFS_OP_MAP, .in = &in, .in_bytes = sizeof(in),
		.out = &out, .out_bytes = sizeof(out),
		.reply = map->reply, .reply_max_bytes = sizeof(map->reply),
	};
	int ret = local_call_retry(file->local, &call);

	map->id = call.id;
	map->op_slot = call.op_slot;
	map->op_seq = call.op_seq;
	map->flags = flags;
	map->count = ret ? 0 : out.count;
	map->has_word = !ret && out.flags & ZUFS_MAPPED_WORD;
	map->word = out.word;
	map->extents = (struct zufs_extent *)(void *)map->reply;
	return ret;
}

int local_map_done(struct zus_local_file *file, const struct local_map *map, uint64_t off,
		   uint64_t written, uint64_t size)
{
	struct zufs_map_done_in in = {
		.inode = file->handle, .fh = file->fh, .map_id = map->id, .off = off,
		.written_bytes = written, .size_bytes = size, .mtime = local_now(),
		.flags = map->flags, .write_id = map->write_id,
	};
	struct zufs_attr attr;

	return local_send(file->local, ZUFS_OP_MAP_DONE, &in, sizeof(in), NULL, 0, &attr,
			  sizeof(attr));
}

char *local_map_addr(const struct zus_local_file *file, const struct zufs_extent *e,
		     uint64_t off)
{
	return zus_local_dev_addr(file->local, e->dev, e->dev_off + (off - e->file_off));
}

const struct zufs_extent *local_map_at(const struct local_map *map, uint64_t off)
{
	uint32_t i;

	for (i = 0; i < map->count; i++)
		if (off >= map->extents[i].file_off &&
		    off - map->extents[i].file_off < map->extents[i].len_bytes)
			return &map->extents[i];
	return NULL;
}

int local_get_regular(struct zus_local_file *file, struct zus_attr *attr)
{
	int err = local_getattr(file->local, file->handle, attr);

	return err ? err : S_ISREG(attr->mode) ? 0 : -EINVAL;
}

/* --------------------------------------------------------------------- zero */

/* As far as the answer reaches; *owed: MAP_DONE is wanted. */
static uint64_t zero_mapped(struct zus_local_file *file, const struct local_map *map,
			    uint64_t off, uint64_t end, bool *owed)
{
	const struct zufs_extent *e;
	uint64_t stop;

	while (off < end && (e = local_map_at(map, off))) {
		stop = e->file_off + e->len_bytes;
		if (stop > end)
			stop = end;
		if (e->type == ZUFS_EXT_DATA)
			zus_zero_nt(local_map_addr(file, e, off), stop - off);
		*owed |= e->flags & (ZUFS_EXTF_NEW | ZUFS_EXTF_COMMIT);
		off = stop;
	}
	return off;
}

int local_zero_range(struct zus_local_file *file, struct local_map *map,
		     const struct zus_attr *attr, uint64_t off, uint64_t end)
{
	uint64_t next;
	bool owed;
	int err;

	for (; off < end; off = next) {
		owed = false;
		err = local_map_ask(file, off, end - off, attr->size_bytes,
				    ZUFS_MAP_WRITE | ZUFS_MAP_ZERO, map);
		if (err)
			return err;
		next = zero_mapped(file, map, off, end, &owed);
		zus_fence();
		if (owed)
			err = local_map_done(file, map, off, next - off, attr->size_bytes);
		if (err)
			return err;
	}
	return 0;
}

int local_zero_tail(struct zus_local_file *file, struct local_map *map,
		    const struct zus_attr *attr, uint64_t size)
{
	uint64_t end = local_round_up(size);

	if (attr->flags & ZUS_ATTR_INLINE)
		return 0;
	/* the very last byte that a file can have is none */
	return local_zero_range(file, map, attr, size, end > INT64_MAX ? INT64_MAX : end);
}
