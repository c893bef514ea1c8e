/* SPDX-License-Identifier: BSD-3-Clause */
/* space.h - segments and their units in memory: for segment.c, alloc.c and pool.c. */
#ifndef ZLOGFS_SPACE_H
#define ZLOGFS_SPACE_H

#include "zlogfs.h"

#define ZL_WORD_BITS	64u

static inline bool zl_bit(const uint64_t *bits, uint32_t i)
{
	return bits[i / ZL_WORD_BITS] >> i % ZL_WORD_BITS & 1;
}

/* The first with that value from from on, below end; end: there is none. */
uint32_t zl_bits_next(const uint64_t *bits, bool value, uint32_t from, uint32_t end);
void zl_bits_fill(uint64_t *bits, uint32_t from, uint32_t n, bool value);
uint32_t zl_bits_count(const uint64_t *bits);

static inline uint32_t zl_seg_index(const struct zl_fs *fs, const struct zl_seg *seg)
{
	return (uint32_t)(seg - fs->segs);
}

/*
 * All under space_lock. take: units that are free become used, give: the reverse; an empty
 * segment gets its type with the first, and is free with the last. set_type: of a segment as a
 * whole.
 */
void zl_seg_take(struct zl_fs *fs, struct zl_seg *seg, uint32_t type, uint32_t from, uint32_t n);
void zl_seg_give(struct zl_fs *fs, struct zl_seg *seg, uint32_t from, uint32_t n);
void zl_seg_set_type(struct zl_fs *fs, struct zl_seg *seg, uint32_t type);

/* Segments near the calling CPU, or those that come closest; NULL: there are none of the kind. */
struct zl_seg *zl_seg_near(struct zl_fs *fs, enum zl_near_list list);

/* Nothing that a CPU has set aside is kept from the others any more. */
void zl_pools_drain(struct zl_fs *fs);
/* How many are. */
uint64_t zl_pools_blocks(const struct zl_fs *fs);
/* A segment's free blocks, of which at most so many become used: *mask says which. */
struct zl_seg *zl_seg_reserve(struct zl_fs *fs, uint32_t most, uint64_t mask[8]);

#endif /* ZLOGFS_SPACE_H */
