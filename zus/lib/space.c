// SPDX-License-Identifier: BSD-3-Clause
/*
 * space.c - free blocks of a mount's T1 devices: a bitmap and a count of free
 * blocks per huge page, for each device under its own lock.
 */
#include <stdlib.h>

#include "internal.h"

#define GROUP_BLOCKS	(ZUS_PMD_BYTES / ZUS_BLOCK_BYTES)
#define DEV_SHIFT	56	/* of zus_block; the block number + 1 is below */

_Static_assert(ZUFS_DEVICES_MAX <= 1u << (62 - DEV_SHIFT), "the top two bits are the plugin's");

struct area {
	pthread_mutex_t lock;
	uint64_t *used;		/* a bit a block */
	uint16_t *group_free;	/* free blocks of each whole or last group */
	uint64_t blocks;
	uint64_t free;		/* read without lock for counts */
	uint64_t next;		/* where to look first */
	uint64_t data_off;
	uint32_t dev;
	uint32_t numa_node;
};

struct zus_space {
	struct area areas[ZUFS_DEVICES_MAX];
	uint32_t num_areas;
};

/* ---------------------------------------------------------------- set-up */

static int area_init(struct area *area, const struct zus_device *dev)
{
	uint64_t groups, i;

	area->dev = dev->id;
	area->numa_node = dev->numa_node;
	area->data_off = dev->data_off;
	area->blocks = (dev->size_bytes - dev->data_off) / ZUS_BLOCK_BYTES;
	area->free = area->blocks;
	groups = (area->blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS;
	area->used = calloc(groups + 1, GROUP_BLOCKS / 8);
	area->group_free = calloc(groups + 1, sizeof(*area->group_free));
	if (!area->used || !area->group_free) {
		free(area->used);
		free(area->group_free);
		return -1;
	}
	for (i = 0; i < groups; i++)
		area->group_free[i] = GROUP_BLOCKS;
	if (area->blocks % GROUP_BLOCKS)	/* never a whole free group */
		area->group_free[groups - 1] = area->blocks % GROUP_BLOCKS;
	pthread_mutex_init(&area->lock, NULL);
	return 0;
}

struct zus_space *zus_space_new(const struct zus_mount *mount)
{
	struct zus_space *space = calloc(1, sizeof(*space));
	uint32_t i;

	for (i = 0; space && i < mount->num_devices; i++) {
		if (mount->devices[i].tier != ZUS_TIER_T1)
			continue;
		if (area_init(&space->areas[space->num_areas], &mount->devices[i]))
			goto out_delete;
		space->num_areas++;
	}
	if (space && space->num_areas)
		return space;
out_delete:
	zus_space_delete(space);
	return NULL;
}

void zus_space_delete(struct zus_space *space)
{
	uint32_t i;

	for (i = 0; space && i < space->num_areas; i++) {
		free(space->areas[i].used);
		free(space->areas[i].group_free);
		pthread_mutex_destroy(&space->areas[i].lock);
	}
	free(space);
}

/* ---------------------------------------------------------------- addresses */

uint32_t zus_block_dev(zus_block block)
{
	return (uint32_t)(block >> DEV_SHIFT);
}

static uint64_t block_number(zus_block block)
{
	return (block & (((uint64_t)1 << DEV_SHIFT) - 1)) - 1;
}

static const struct area *area_of(const struct zus_space *space, zus_block block)
{
	uint32_t i;

	for (i = 0; i < space->num_areas; i++)
		if (space->areas[i].dev == zus_block_dev(block))
			return &space->areas[i];
	return NULL;
}

uint64_t zus_block_off(const struct zus_space *space, zus_block block)
{
	return area_of(space, block)->data_off + block_number(block) * ZUS_BLOCK_BYTES;
}

/* --------------------------------------------------------------- allocation */

static bool is_free(const struct area *area, uint64_t block)
{
	return block < area->blocks && !(area->used[block / 64] >> block % 64 & 1);
}

/* The first free block at or behind next, once round. */
static uint64_t find_block(const struct area *area)
{
	uint64_t words = (area->blocks + 63) / 64, i, word, block;

	for (i = 0; i <= words && area->free; i++) {
		word = (area->next / 64 + i) % words;
		if (!~area->used[word])
			continue;
		block = word * 64 + (unsigned int)__builtin_ctzll(~area->used[word]);
		if (block < area->blocks)
			return block;
	}
	return area->blocks;
}

/* A free huge page, and in it the place that bn has in its own. */
static uint64_t find_group(const struct area *area, uint64_t bn)
{
	uint64_t groups = area->blocks / GROUP_BLOCKS, i, group;

	for (i = 0; i < groups; i++) {
		group = (area->next / GROUP_BLOCKS + i) % groups;
		if (area->group_free[group] == GROUP_BLOCKS)
			return group * GROUP_BLOCKS + bn % GROUP_BLOCKS;
	}
	return area->blocks;
}

/*
 * Best is the goal. But where a huge page of a large file begins, a free one on
 * the device is better: one entry can map it.
 */
static uint64_t choose(const struct area *area, const struct zus_space_want *want)
{
	bool large = want->bn >= GROUP_BLOCKS || want->count >= GROUP_BLOCKS;
	uint64_t goal = area->blocks, block;

	if (want->goal && zus_block_dev(want->goal) == area->dev &&
	    is_free(area, block_number(want->goal)))
		goal = block_number(want->goal);
	if (goal < area->blocks && !(large && want->bn % GROUP_BLOCKS == 0))
		return goal;
	if (large) {
		block = find_group(area, want->bn);
		if (block < area->blocks)
			return block;
	}
	return goal < area->blocks ? goal : find_block(area);
}

static uint64_t take(struct area *area, uint64_t block, uint64_t count)
{
	uint64_t got = 0;

	while (got < count && is_free(area, block + got)) {
		area->used[(block + got) / 64] |= (uint64_t)1 << (block + got) % 64;
		area->group_free[(block + got) / GROUP_BLOCKS]--;
		got++;
	}
	__atomic_store_n(&area->free, area->free - got, __ATOMIC_RELAXED);
	return got;
}

static zus_block alloc_in(struct area *area, const struct zus_space_want *want,
			  uint64_t *got)
{
	uint64_t block;

	pthread_mutex_lock(&area->lock);
	block = choose(area, want);
	*got = take(area, block, want->count);
	/* what was found beside a goal says nothing of where there is room */
	if (!want->goal || block_number(want->goal) != block)
		area->next = block + *got < area->blocks ? block + *got : 0;
	pthread_mutex_unlock(&area->lock);
	return *got ? (uint64_t)area->dev << DEV_SHIFT | (block + 1) : 0;
}

/* First the goal's device, then the caller's node, then any. */
static bool suits(const struct area *area, const struct zus_space_want *want,
		  unsigned int pass)
{
	if (pass == 0)
		return want->goal && zus_block_dev(want->goal) == area->dev;
	return pass == 2 || area->numa_node == want->numa_node;
}

zus_block zus_space_alloc(struct zus_space *space, const struct zus_space_want *want,
			  uint64_t *got)
{
	zus_block block = 0;
	unsigned int pass;
	uint32_t i;

	*got = 0;
	for (pass = 0; !block && pass < 3; pass++)
		for (i = 0; !block && i < space->num_areas; i++)
			if (suits(&space->areas[i], want, pass))
				block = alloc_in(&space->areas[i], want, got);
	return block;
}

void zus_space_free(struct zus_space *space, zus_block first, uint64_t count)
{
	struct area *area = (struct area *)area_of(space, first);
	uint64_t block = block_number(first), end = block + count;

	pthread_mutex_lock(&area->lock);
	for (; block < end; block++) {
		area->used[block / 64] &= ~((uint64_t)1 << block % 64);
		area->group_free[block / GROUP_BLOCKS]++;
	}
	__atomic_store_n(&area->free, area->free + count, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&area->lock);
}

uint64_t zus_space_free_count(const struct zus_space *space, uint64_t *total)
{
	uint64_t free_count = 0, blocks = 0;
	uint32_t i;

	for (i = 0; i < space->num_areas; i++) {
		free_count += zus_load_relaxed(&space->areas[i].free);
		blocks += space->areas[i].blocks;
	}
	if (total)
		*total = blocks;
	return free_count;
}
