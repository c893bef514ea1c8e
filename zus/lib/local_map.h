/* SPDX-License-Identifier: BSD-3-Clause */
/* local_map.h - what data and ranges of the local VFS share: answers to MAP. */
#ifndef ZUS_LOCAL_MAP_H
#define ZUS_LOCAL_MAP_H

#include "local_vfs.h"

#define LOCAL_BLOCK	((uint64_t)ZUFS_BLOCK_BYTES)

/* The answer to one MAP. */
struct local_map {
	uint64_t id;
	uint64_t op_seq;		/* operation id */
	uint32_t op_slot;
	uint64_t write_id;		/* to ask with: of a write(2) that has begun, or 0 */
	uint32_t count;
	uint32_t flags;			/* ZUFS_MAP_* that it was asked with */
	bool has_word;
	struct zufs_word word;
	struct zufs_extent *extents;	/* then the bytes of an INLINE one */
	char reply[ZUFS_PAYLOAD_MAX_BYTES] __attribute__((aligned(8)));
};

static inline uint64_t local_round_up(uint64_t off)
{
	return (off + LOCAL_BLOCK - 1) / LOCAL_BLOCK * LOCAL_BLOCK;
}

/* NULL: no memory. */
struct local_map *local_map_new(void);
/* size: of the file. */
int local_map_ask(struct zus_local_file *file, uint64_t off, uint64_t len, uint64_t size,
		  uint32_t flags, struct local_map *map);
/* MAP_DONE; size: the file's if this counts. */
int local_map_done(struct zus_local_file *file, const struct local_map *map, uint64_t off,
		   uint64_t written, uint64_t size);
/* Instead, where map has a word: what that makes part of the file is durable. */
int local_commit_word(struct zus_local_file *file, const struct local_map *map, uint64_t off,
		      uint64_t written, uint64_t size);
/* Where off is, which the extent holds. */
char *local_map_addr(const struct zus_local_file *file, const struct zufs_extent *e,
		     uint64_t off);
/* The extent that holds off, or NULL. */
const struct zufs_extent *local_map_at(const struct local_map *map, uint64_t off);

/* EINVAL for what has no bytes. */
int local_get_regular(struct zus_local_file *file, struct zus_attr *attr);

/* With the inode locked: what is there of [off, end) becomes zero, and holes stay. */
int local_zero_range(struct zus_local_file *file, struct local_map *map,
		     const struct zus_attr *attr, uint64_t off, uint64_t end);
/* Likewise, of what lies in the last block of size bytes behind them. */
int local_zero_tail(struct zus_local_file *file, struct local_map *map,
		    const struct zus_attr *attr, uint64_t size);

#endif /* ZUS_LOCAL_MAP_H */
