// SPDX-License-Identifier: BSD-3-Clause
/* alloc.c - who gets which free segment, block or node, and who has to stop when few are left. */
#include <errno.h>

#include "space.h"

/* ------------------------------------------------------------------- reserve */

/*
 * Segments that only the system may take: a log that is full and not yet applied, and twice
 * as much for the nodes that this can need.
 */
static uint32_t reserve_segs(const struct zl_fs *fs)
{
	return (uint32_t)(3 * fs->geo.unapplied_max_bytes >> fs->geo.segment_shift) + 4;
}

/* Without the lock what it says was so a moment ago, which is all that anybody can know. */
static bool may_take(const struct zl_fs *fs, enum zl_space_class class)
{
	uint32_t reserve = reserve_segs(fs), free = __atomic_load_n(&fs->free_segs,
								      __ATOMIC_RELAXED);

	switch (class) {
	case ZL_SPACE_WRITE:
		return free > reserve + fs->num_segs / 64;
	case ZL_SPACE_REMOVE:
		return free > reserve / 2;
	default:
		return true;
	}
}

int zl_space_admit(const struct zl_fs *fs, enum zl_space_class class)
{
	return may_take(fs, class) ? 0 : -ENOSPC;
}

bool zl_space_short(struct zl_fs *fs)
{
	bool waits = false;
	uint32_t i;

	if (!zl_space_admit(fs, ZL_SPACE_WRITE))
		return false;
	zl_logs_lock(fs);
	for (i = 0; i < fs->geo.num_logs; i++)
		waits |= !TAILQ_EMPTY(&fs->logs[i].queue);
	zl_logs_unlock(fs);
	return waits;
}

/* ------------------------------------------------------------------- blocks */

/* At most want in one piece from bit from on; *n: how many. false: all are in use. */
static bool find_run(const struct zl_fs *fs, const struct zl_seg *seg, uint32_t *from,
		     uint32_t want, uint32_t *n)
{
	uint32_t end = fs->geo.segment_blocks, at = zl_bits_next(seg->used, false, *from, end);

	if (at == end && *from)
		at = zl_bits_next(seg->used, false, 0, end);
	if (at == end)
		return false;
	*from = at;
	*n = zl_bits_next(seg->used, true, at, at + want < end ? at + want : end) - at;
	return true;
}

struct zl_seg *zl_seg_near(struct zl_fs *fs, enum zl_near_list list)
{
	uint32_t here = zl_near_here(fs), i;
	struct zl_seg *seg;

	for (i = 0; i < fs->num_near; i++) {
		seg = TAILQ_FIRST(&fs->near[(here + i) % fs->num_near].lists[list]);
		if (seg)
			return seg;
	}
	return NULL;
}

/* One with free blocks: no more of them than there have to be are broken into. */
static struct zl_seg *any_seg(struct zl_fs *fs)
{
	struct zl_seg *seg = zl_seg_near(fs, ZL_NEAR_PARTIAL);

	if (!seg)
		seg = zl_seg_near(fs, ZL_NEAR_EMPTY);
	return seg ? seg : zl_seg_near(fs, ZL_NEAR_DENSE);
}

/* The segment in which to look, and from which bit on. */
static struct zl_seg *choose_seg(struct zl_fs *fs, uint64_t goal, bool whole, uint32_t *from)
{
	uint32_t seg, off;
	struct zl_seg *empty = whole ? zl_seg_near(fs, ZL_NEAR_EMPTY) : NULL;

	*from = 0;
	if (empty)
		return empty;
	if (goal && zl_addr_split(fs, goal, &seg, &off) && fs->segs[seg].type == ZLF_SEG_DATA &&
	    fs->segs[seg].count < fs->geo.segment_blocks) {
		*from = off / ZLF_BLOCK_BYTES;
		return &fs->segs[seg];
	}
	return any_seg(fs);
}

static uint64_t alloc_run(struct zl_fs *fs, enum zl_space_class class, uint32_t want,
			  uint64_t goal, bool whole, uint32_t *got)
{
	uint64_t addr = 0;
	struct zl_seg *seg;
	uint32_t from;

	pthread_mutex_lock(&fs->space_lock);
	seg = may_take(fs, class) ? choose_seg(fs, goal, whole, &from) : NULL;
	if (seg && find_run(fs, seg, &from, want, got)) {
		zl_seg_take(fs, seg, ZLF_SEG_DATA, from, *got);
		addr = zl_addr(fs, ZLF_SEG_DATA, zl_seg_index(fs, seg), from * ZLF_BLOCK_BYTES);
	}
	pthread_mutex_unlock(&fs->space_lock);
	return addr;
}

uint64_t zl_blocks_alloc(struct zl_fs *fs, enum zl_space_class class, uint32_t want,
			 uint64_t goal, bool whole, uint32_t *got)
{
	uint64_t addr = alloc_run(fs, class, want, goal, whole, got);

	if (addr)
		return addr;
	zl_pools_drain(fs);
	return alloc_run(fs, class, want, goal, whole, got);
}

uint64_t zl_blocks_extend(struct zl_fs *fs, uint64_t goal, uint32_t want, uint32_t *got)
{
	uint32_t i, off, from;
	struct zl_seg *seg;
	uint64_t addr = 0;

	if (!zl_addr_split(fs, goal, &i, &off))
		return 0;
	seg = &fs->segs[i];
	from = off / (uint32_t)ZLF_BLOCK_BYTES;
	pthread_mutex_lock(&fs->space_lock);
	if (seg->type == ZLF_SEG_DATA && !zl_bit(seg->used, from) &&
	    may_take(fs, ZL_SPACE_WRITE) && find_run(fs, seg, &from, want, got)) {
		zl_seg_take(fs, seg, ZLF_SEG_DATA, from, *got);
		/* not goal itself: behind a segment's end it has another's generation */
		addr = zl_addr(fs, ZLF_SEG_DATA, i, from * (uint32_t)ZLF_BLOCK_BYTES);
	}
	pthread_mutex_unlock(&fs->space_lock);
	return addr;
}

struct zl_seg *zl_seg_reserve(struct zl_fs *fs, uint32_t most, uint64_t mask[8])
{
	uint32_t end = fs->geo.segment_blocks, from = 0, n;
	struct zl_seg *seg;

	pthread_mutex_lock(&fs->space_lock);
	seg = may_take(fs, ZL_SPACE_WRITE) ? any_seg(fs) : NULL;
	while (seg && most) {
		from = zl_bits_next(seg->used, false, from, end);
		if (from == end)
			break;
		n = zl_bits_next(seg->used, true, from, from + most < end ? from + most : end) -
		    from;
		zl_bits_fill(mask, from, n, true);
		zl_seg_take(fs, seg, ZLF_SEG_DATA, from, n);
		most -= n;
	}
	pthread_mutex_unlock(&fs->space_lock);
	return seg;
}

void zl_blocks_free(struct zl_fs *fs, uint64_t addr, uint32_t blocks)
{
	uint32_t seg, off;

	if (!blocks || !zl_addr_split(fs, addr, &seg, &off))
		return;
	pthread_mutex_lock(&fs->space_lock);
	zl_seg_give(fs, &fs->segs[seg], off / ZLF_BLOCK_BYTES, blocks);
	pthread_mutex_unlock(&fs->space_lock);
}

/* -------------------------------------------------------------- nodes and logs */

uint64_t zl_node_alloc(struct zl_fs *fs)
{
	uint64_t addr = 0;
	struct zl_seg *seg;
	uint32_t bit;

	pthread_mutex_lock(&fs->space_lock);
	seg = zl_seg_near(fs, ZL_NEAR_NODES);
	if (!seg)
		seg = zl_seg_near(fs, ZL_NEAR_EMPTY);
	if (seg) {
		bit = zl_bits_next(seg->used, false, 0, fs->geo.segment_nodes);
		zl_seg_take(fs, seg, ZLF_SEG_NODE, bit, 1);
		addr = zl_addr(fs, ZLF_SEG_NODE, zl_seg_index(fs, seg), bit * fs->geo.node_bytes);
	}
	pthread_mutex_unlock(&fs->space_lock);
	return addr;
}

void zl_node_release(struct zl_fs *fs, uint64_t addr)
{
	uint32_t seg, off;

	if (!zl_addr_split(fs, addr, &seg, &off))
		return;
	pthread_mutex_lock(&fs->space_lock);
	zl_seg_give(fs, &fs->segs[seg], off / fs->geo.node_bytes, 1);
	pthread_mutex_unlock(&fs->space_lock);
}

uint32_t zl_log_seg_alloc(struct zl_fs *fs)
{
	uint32_t i = ZL_NONE;
	struct zl_seg *seg;

	pthread_mutex_lock(&fs->space_lock);
	seg = zl_seg_near(fs, ZL_NEAR_EMPTY);
	if (seg) {
		i = zl_seg_index(fs, seg);
		seg->gen++;
		zl_seg_set_type(fs, seg, ZLF_SEG_LOG);
	}
	pthread_mutex_unlock(&fs->space_lock);
	return i;
}

void zl_log_seg_release(struct zl_fs *fs, uint32_t i)
{
	pthread_mutex_lock(&fs->space_lock);
	zl_seg_set_type(fs, &fs->segs[i], ZLF_SEG_FREE);
	pthread_mutex_unlock(&fs->space_lock);
}

/* The log's segments are of what is kept for log and tree: they come back by themselves. */
void zl_space_count(struct zl_fs *fs, struct zus_statfs *st)
{
	uint64_t kept = reserve_segs(fs) + fs->num_segs / 64, per = fs->geo.segment_blocks;
	uint64_t segs, loose;

	pthread_mutex_lock(&fs->space_lock);
	segs = fs->free_segs + __atomic_load_n(&fs->live_log_segs, __ATOMIC_RELAXED);
	st->blocks = fs->num_segs * per;
	loose = fs->free_blocks + zl_pools_blocks(fs);
	st->blocks_free = segs * per + loose;
	st->blocks_avail = segs > kept ? (segs - kept) * per + loose : 0;
	pthread_mutex_unlock(&fs->space_lock);
	st->block_bytes = ZLF_BLOCK_BYTES;
}
