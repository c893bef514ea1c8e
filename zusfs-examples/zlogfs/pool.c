// SPDX-License-Identifier: BSD-3-Clause
/*
 * pool.c - blocks that a CPU has set aside for small writes: free ones of one segment, given
 * out from its beginning on. So CPUs do not meet, and what is written one after the other lies
 * side by side. Nobody but memory knows of it: after a crash these blocks are free.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "space.h"

struct zl_pool {
	pthread_mutex_t lock;
	struct zl_seg *seg;
	uint64_t mask[8];	/* blocks of it that are the pool's */
	uint32_t blocks;	/* so many */
	uint32_t next;		/* where the first of them is, at the earliest */
} __attribute__((aligned(2 * ZLF_LINE_BYTES)));

int zl_pools_init(struct zl_fs *fs)
{
	uint32_t i;

	fs->pools = aligned_alloc(_Alignof(struct zl_pool),
				  fs->geo.num_logs * sizeof(struct zl_pool));
	if (!fs->pools)
		return -ENOMEM;
	memset(fs->pools, 0, fs->geo.num_logs * sizeof(struct zl_pool));
	for (i = 0; i < fs->geo.num_logs; i++)
		pthread_mutex_init(&fs->pools[i].lock, NULL);
	return 0;
}

void zl_pools_free(struct zl_fs *fs)
{
	uint32_t i;

	for (i = 0; fs->pools && i < fs->geo.num_logs; i++)
		pthread_mutex_destroy(&fs->pools[i].lock);
	free(fs->pools);
	fs->pools = NULL;
}

/* For who counts without the lock. */
static void set_blocks(struct zl_pool *pool, uint32_t blocks)
{
	__atomic_store_n(&pool->blocks, blocks, __ATOMIC_RELAXED);
}

uint64_t zl_pools_blocks(const struct zl_fs *fs)
{
	uint64_t blocks = 0;
	uint32_t i;

	for (i = 0; i < fs->geo.num_logs; i++)
		blocks += __atomic_load_n(&fs->pools[i].blocks, __ATOMIC_RELAXED);
	return blocks;
}

static void drain(struct zl_fs *fs, struct zl_pool *pool)
{
	uint32_t end = fs->geo.segment_blocks, from = 0, n;

	pthread_mutex_lock(&fs->space_lock);
	while (pool->blocks && (from = zl_bits_next(pool->mask, true, from, end)) < end) {
		n = zl_bits_next(pool->mask, false, from, end) - from;
		zl_seg_give(fs, pool->seg, from, n);
		from += n;
	}
	pthread_mutex_unlock(&fs->space_lock);
	memset(pool->mask, 0, sizeof(pool->mask));
	set_blocks(pool, 0);
}

void zl_pools_drain(struct zl_fs *fs)
{
	uint32_t i;

	for (i = 0; i < fs->geo.num_logs; i++) {
		pthread_mutex_lock(&fs->pools[i].lock);
		drain(fs, &fs->pools[i]);
		pthread_mutex_unlock(&fs->pools[i].lock);
	}
}

static void refill(struct zl_fs *fs, struct zl_pool *pool)
{
	memset(pool->mask, 0, sizeof(pool->mask));
	pool->seg = zl_seg_reserve(fs, fs->geo.segment_blocks, pool->mask);
	pool->next = 0;
	set_blocks(pool, zl_bits_count(pool->mask));
}

/* Where the pool's first block is. */
static uint64_t next_addr(struct zl_fs *fs, struct zl_pool *pool)
{
	if (!pool->blocks)
		refill(fs, pool);
	if (!pool->blocks)
		return 0;
	pool->next = zl_bits_next(pool->mask, true, pool->next, fs->geo.segment_blocks);
	return zl_addr(fs, ZLF_SEG_DATA, zl_seg_index(fs, pool->seg),
		       pool->next * (uint32_t)ZLF_BLOCK_BYTES);
}

static void take(const struct zl_fs *fs, struct zl_pool *pool, uint32_t want, uint32_t *got)
{
	uint32_t end = fs->geo.segment_blocks, from = pool->next;

	*got = zl_bits_next(pool->mask, false, from, from + want < end ? from + want : end) - from;
	zl_bits_fill(pool->mask, from, *got, false);
	pool->next += *got;
	set_blocks(pool, pool->blocks - *got);
}

uint64_t zl_blocks_few(struct zl_fs *fs, uint32_t want, uint64_t goal, uint32_t *got)
{
	struct zl_pool *pool = &fs->pools[zl_log_here(fs)->id];
	uint64_t addr, beside = 0;

	pthread_mutex_lock(&pool->lock);
	addr = next_addr(fs, pool);
	if (goal && goal != addr)
		beside = zl_blocks_extend(fs, goal, want, got);
	if (addr && !beside)
		take(fs, pool, want, got);
	pthread_mutex_unlock(&pool->lock);
	if (beside || addr)
		return beside ? beside : addr;
	return zl_blocks_alloc(fs, ZL_SPACE_WRITE, want, 0, false, got);
}

uint32_t zl_near_here(const struct zl_fs *fs)
{
	unsigned int cpu, node;
	uint32_t i;

	if (fs->num_near < 2 || getcpu(&cpu, &node))
		return 0;
	for (i = 0; i < fs->num_near; i++)
		if (fs->near[i].numa_node == node)
			return i;
	return 0;
}
