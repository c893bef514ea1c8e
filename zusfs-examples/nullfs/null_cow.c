// SPDX-License-Identifier: BSD-3-Clause
/*
 * null_cow.c - see null_cow.h
 *
 * The area: a word for each block, then the even places of all blocks, then the odd ones.
 * A word counts the writes of its block; its lowest bit says which place holds the block.
 * Whatever number it is, it is a good one, so that there is nothing to format or recover.
 *
 * No locks: the kernel lets one write of a block go on at a time, and no read beside it.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "null_cow.h"

#define BLOCK	((uint64_t)ZUS_BLOCK_BYTES)

struct null_cow {
	const struct zus_mount *mount;
	uint64_t *words;
	uint64_t words_off;	/* on the device */
	char *places[2];
	uint64_t places_off[2];
	uint64_t num_blocks;
	uint32_t dev;
	bool word;
};

static uint64_t words_bytes(uint64_t num_blocks)
{
	return (num_blocks * sizeof(uint64_t) + BLOCK - 1) / BLOCK * BLOCK;
}

uint64_t null_cow_room(uint64_t room_bytes)
{
	uint64_t num_blocks = room_bytes / (2 * BLOCK + sizeof(uint64_t));

	while (num_blocks && words_bytes(num_blocks) + 2 * num_blocks * BLOCK > room_bytes)
		num_blocks--;
	return num_blocks * BLOCK;
}

int null_cow_begin(const struct zus_mount *mount, uint32_t dev, uint64_t base_off,
		   uint64_t size_bytes, bool word, struct null_cow **made)
{
	struct null_cow *cow = calloc(1, sizeof(*cow));
	unsigned int i;

	if (!cow)
		return -ENOMEM;
	cow->mount = mount;
	cow->dev = dev;
	cow->word = word;
	cow->num_blocks = size_bytes / BLOCK;
	cow->words_off = base_off;
	cow->words = zus_dev_addr(mount, dev, base_off);
	for (i = 0; i < 2; i++) {
		cow->places_off[i] = base_off + words_bytes(cow->num_blocks) + i * size_bytes;
		cow->places[i] = zus_dev_addr(mount, dev, cow->places_off[i]);
	}
	*made = cow;
	return 0;
}

void null_cow_end(struct null_cow *cow)
{
	free(cow);
}

/* The kernel stores it, too. */
static uint64_t word_of(const struct null_cow *cow, uint64_t block)
{
	return le64toh(__atomic_load_n(&cow->words[block], __ATOMIC_ACQUIRE));
}

static unsigned int place_of(const struct null_cow *cow, uint64_t block)
{
	return word_of(cow, block) & 1;
}

/* What the other place holds is durable: it is the block's from now on. */
static void publish(const struct null_cow *cow, uint64_t block)
{
	uint64_t next = htole64(word_of(cow, block) + 1);

	zus_fence();
	__atomic_store_n(&cow->words[block], next, __ATOMIC_RELEASE);
	zus_persist(&cow->words[block], sizeof(next));
}

/* [from, to) of the block, to its other place. No fence. */
static void copy_over(const struct null_cow *cow, uint64_t block, uint64_t from, uint64_t to)
{
	unsigned int place = place_of(cow, block);
	uint64_t at = block * BLOCK + from;

	if (from < to)
		zus_copy_nt(cow->places[!place] + at, cow->places[place] + at, to - from);
}

static struct zus_extent extent_of(const struct null_cow *cow, uint64_t block,
				   unsigned int place, uint16_t flags)
{
	return (struct zus_extent) {
		.file_off = block * BLOCK, .len_bytes = BLOCK, .dev = cow->dev,
		.dev_off = cow->places_off[place] + block * BLOCK,
		.type = ZUS_EXT_DATA, .flags = flags,
	};
}

/* ---------------------------------------------------------------------- map */

static int map_read(const struct null_cow *cow, struct zus_req *req, const struct zus_map *args)
{
	uint64_t block = args->off / BLOCK, end = (args->off + args->len_bytes + BLOCK - 1) / BLOCK;
	struct zus_extent extent = extent_of(cow, block, place_of(cow, block), ZUS_EXTF_LEASE_R);
	int err;

	if (end > cow->num_blocks)
		end = cow->num_blocks;
	while (++block < end) {
		unsigned int place = place_of(cow, block);

		if (cow->places_off[place] + block * BLOCK == extent.dev_off + extent.len_bytes) {
			extent.len_bytes += BLOCK;
			continue;
		}
		err = zus_req_extent(req, &extent);
		if (err)
			return 0;	/* the answer ends early */
		extent = extent_of(cow, block, place, ZUS_EXTF_LEASE_R);
	}
	err = zus_req_extent(req, &extent);
	return err == -ENOSPC ? 0 : err;
}

/* A store will change it, whenever it likes: the copy is the block at once. */
static int map_fault(const struct null_cow *cow, struct zus_req *req, uint64_t block)
{
	struct zus_extent extent;

	copy_over(cow, block, 0, BLOCK);
	publish(cow, block);
	extent = extent_of(cow, block, place_of(cow, block), 0);
	return zus_req_extent(req, &extent);
}

static int map_write(const struct null_cow *cow, struct zus_req *req, const struct zus_map *args)
{
	uint64_t block = args->off / BLOCK, skip = args->off % BLOCK;
	uint64_t word = word_of(cow, block);
	struct zus_extent extent = extent_of(cow, block, !(word & 1), ZUS_EXTF_COMMIT);
	struct zus_word commit = {
		.dev = cow->dev, .dev_off = cow->words_off + block * sizeof(uint64_t),
		.old_le64 = htole64(word), .new_le64 = htole64(word + 1),
		.blocks_512 = cow->num_blocks * BLOCK / 512,
	};

	if (skip || args->len_bytes < BLOCK) {
		copy_over(cow, block, 0, BLOCK);
		zus_fence();
	}
	/* where it may not be used, map_done will come */
	if (cow->word)
		zus_req_word(req, &commit);
	return zus_req_extent(req, &extent);
}

int null_cow_map(const struct null_cow *cow, struct zus_req *req, const struct zus_map *args)
{
	uint64_t block = args->off / BLOCK;
	struct zus_extent extent;

	if (!(args->flags & ZUS_MAP_WRITE))
		return map_read(cow, req, args);
	if (args->flags & ZUS_MAP_STAY || !(cow->mount->features & ZUS_MF_COW)) {
		extent = extent_of(cow, block, place_of(cow, block), 0);
		return zus_req_extent(req, &extent);
	}
	if (args->flags & ZUS_MAP_FAULT)
		return map_fault(cow, req, block);
	return map_write(cow, req, args);
}

void null_cow_map_done(const struct null_cow *cow, const struct zus_map_done *args)
{
	uint64_t block = args->off / BLOCK, end = args->off % BLOCK + args->written_bytes;

	if (!args->written_bytes || args->flags & (ZUS_MAP_COMMITTED | ZUS_MAP_STAY))
		return;
	/* a write that stopped leaves the rest as it was */
	copy_over(cow, block, end, BLOCK);
	publish(cow, block);
}
