// SPDX-License-Identifier: BSD-3-Clause
/*
 * fallocate.c - blocks come and go without a write. What is allocated is zeroed at once, or
 * with the mount option unwritten marked in blocks.c, to be zeroed when it is written to.
 * The kernel uses nothing of what is concerned here; but relocate.c may be moving it, and
 * then finds that it has lost the slot.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>

#include "toyfs.h"

/* A slot that has a place in the file, while places are changed. */
struct piece {
	uint64_t bn, slot;
};

/* Blocks that nobody knows yet and that read as zeros, for n block numbers from bn on. */
struct run {
	struct run *next;
	uint64_t bn, n;
	zus_block block;
};

/* For the first of [bn, end) that have none, in one piece. NULL: *err, or 0, all have. */
static struct run *run_new(struct zus_req *req, struct toy_inode *ti, uint64_t bn, uint64_t end,
			   int *err)
{
	struct zus_space_want want = { 0, 0, 0, zus_req_numa_node(req) };
	struct run *run;
	uint64_t *slot;

	*err = 0;
	while (bn < end && (slot = toy_map_slot(ti, bn, false)) && *slot)
		bn++;
	while (bn + want.count < end && want.count < ZUS_PMD_BYTES / TOY_BLOCK &&
	       (!(slot = toy_map_slot(ti, bn + want.count, false)) || !*slot))
		want.count++;
	if (!want.count)
		return NULL;
	want.bn = bn;
	run = malloc(sizeof(*run));
	*err = -ENOMEM;
	if (!run)
		return NULL;
	*run = (struct run) { .bn = bn };
	run->block = zus_space_alloc(fs_of(&ti->zi)->space, &want, &run->n);
	if (!run->block) {
		free(run);
		*err = -ENOSPC;
		return NULL;
	}
	*err = 0;
	if (!toy_blocks_unwritten(fs_of(&ti->zi)))
		zus_zero_nt(toy_block_addr(ti, run->block), run->n * TOY_BLOCK);
	for (bn = 0; bn < run->n && !*err; bn++) {
		*err = toy_map_slot(ti, run->bn + bn, true) ? 0 : -ENOMEM;
		if (!*err && toy_blocks_unwritten(fs_of(&ti->zi)))
			*err = toy_block_unwritten(fs_of(&ti->zi), run->block + bn);
	}
	return run;
}

/* Into the map, or given back. */
static void run_end(struct toy_inode *ti, struct run *run, bool keep)
{
	uint64_t i;

	for (i = 0; i < run->n; i++) {
		if (keep)
			*toy_map_slot(ti, run->bn + i, false) = run->block + i;
		else
			toy_block_put(fs_of(&ti->zi), run->block + i);
	}
	if (keep)
		ti->map_blocks += run->n;
	free(run);
}

/* What has no block in [bn, end) gets one, or nothing does. */
static int fill(struct zus_req *req, struct toy_inode *ti, uint64_t bn, uint64_t end)
{
	struct run *runs = NULL, *run;
	int err;

	while ((run = run_new(req, ti, bn, end, &err))) {
		run->next = runs;
		runs = run;
		bn = run->bn + run->n;
		if (err)
			break;
	}
	zus_fence();
	while ((run = runs)) {
		runs = run->next;
		run_end(ti, run, !err);
	}
	return err;
}

/* ------------------------------------------------------------------- shifts */

/* The slots below node, whose first is bn, from first on; returns where the next goes. */
static struct piece *collect(const uint64_t *node, unsigned int level, uint64_t bn,
			     uint64_t first, struct piece *to)
{
	uint64_t span = 1ull << level * 9, i;

	for (i = 0; i < 512; i++) {
		uint64_t at = bn + i * span;

		if (!node[i] || at + span <= first)
			continue;
		if (level)
			to = collect((const uint64_t *)(uintptr_t)node[i], level - 1, at, first, to);
		else
			*to++ = (struct piece) { at, node[i] };
	}
	return to;
}

/*
 * One that relocate.c has marked: its block is left to it, which will find that the slot
 * has gone. Nobody stores to it now, so a copy is as good.
 */
static int own(struct zus_req *req, struct toy_inode *ti, struct piece *piece)
{
	struct zus_space_want want = { 1, piece->bn, 0, zus_req_numa_node(req) };
	uint64_t got;
	zus_block block;

	if (!(piece->slot & TOY_STATE))
		return 0;
	block = zus_space_alloc(fs_of(&ti->zi)->space, &want, &got);
	if (!block)
		return -ENOSPC;
	zus_copy_nt(toy_block_addr(ti, block), toy_block_addr(ti, piece->slot & ~TOY_STATE),
		    TOY_BLOCK);
	zus_fence();
	piece->slot = block;
	return 0;
}

/* A block leaves the file; one that relocate.c has marked is freed by it. */
static void drop(struct toy_inode *ti, const struct piece *piece)
{
	if (!(piece->slot & TOY_STATE))
		toy_block_put(fs_of(&ti->zi), piece->slot);
	ti->map_blocks--;
}

/* What may fail: own blocks for those that move, and room in the map. */
static int prepare(struct zus_req *req, struct toy_inode *ti, struct piece *pieces, uint64_t n,
		   uint64_t first, uint64_t by)
{
	uint64_t i, was;
	int err = 0;

	for (i = 0; i < n && !err; i++) {
		if (pieces[i].bn < first)
			continue;
		if (!toy_map_slot(ti, pieces[i].bn + by, true))
			return -ENOMEM;
		was = pieces[i].slot;
		err = own(req, ti, &pieces[i]);
		if (!err && pieces[i].slot != was)
			*toy_map_slot(ti, pieces[i].bn, false) = pieces[i].slot;
	}
	return err;
}

/* Blocks from first on move up by blocks, or down over those before first. */
static int shift(struct zus_req *req, struct toy_inode *ti, uint64_t first, int64_t blocks)
{
	uint64_t by = (uint64_t)blocks, from = blocks < 0 ? first + by : first, i, n;
	struct piece *pieces;
	int err;

	if (!ti->map)
		return 0;
	pieces = malloc((ti->map_blocks + 1) * sizeof(*pieces));
	if (!pieces)
		return -ENOMEM;
	n = (uint64_t)(collect(ti->map, ti->map_levels - 1, 0, from, pieces) - pieces);
	err = prepare(req, ti, pieces, n, first, by);
	for (i = 0; i < n && !err; i++)
		*toy_map_slot(ti, pieces[i].bn, false) = 0;
	for (i = 0; i < n && !err; i++) {
		if (pieces[i].bn < first)
			drop(ti, &pieces[i]);
		else
			*toy_map_slot(ti, pieces[i].bn + by, false) = pieces[i].slot;
	}
	free(pieces);
	return err;
}

/* ---------------------------------------------------------------- fallocate */

static int by_mode(struct zus_req *req, struct toy_inode *ti, const struct zus_fallocate *args)
{
	uint64_t end_off = args->off + args->len_bytes;
	uint64_t touched = args->off / TOY_BLOCK, touched_end = (end_off + TOY_BLOCK - 1) / TOY_BLOCK;
	uint64_t inner = (args->off + TOY_BLOCK - 1) / TOY_BLOCK, inner_end = end_off / TOY_BLOCK;
	int64_t blocks = (int64_t)(args->len_bytes / TOY_BLOCK);

	/* behind the end nothing is kept */
	if (end_off >= ti->attr.size_bytes)
		inner_end = touched_end;
	switch (args->mode & ~(uint32_t)FALLOC_FL_KEEP_SIZE) {
	case FALLOC_FL_UNSHARE_RANGE:
		inner_end = touched_end;
		if (toy_own_range(req, ti, true, touched, &inner_end) || inner_end < touched_end)
			return -ENOSPC;
		return fill(req, ti, touched, touched_end);
	case 0:
		return fill(req, ti, touched, touched_end);
	case FALLOC_FL_PUNCH_HOLE:
		if (inner < inner_end)
			toy_map_cut(ti, inner, inner_end);
		return 0;
	case FALLOC_FL_ZERO_RANGE:
		if (inner < inner_end)
			toy_map_cut(ti, inner, inner_end);
		return fill(req, ti, touched, touched_end);
	case FALLOC_FL_COLLAPSE_RANGE:
		return shift(req, ti, touched_end, -blocks);
	case FALLOC_FL_INSERT_RANGE:
		return shift(req, ti, touched, blocks);
	default:
		return -EOPNOTSUPP;
	}
}

int toy_fallocate(struct zus_req *req, struct zus_inode *inode,
		  const struct zus_fallocate *args, struct zus_attr *out)
{
	struct toy_inode *ti = toy(inode);
	int err;

	if (args->size_bytes > TOY_FILE_MAX || args->off + args->len_bytes > TOY_FILE_MAX)
		return -EFBIG;
	pthread_mutex_lock(&ti->lock);
	/* a block that a write has reserved is nobody's to count on */
	err = ti->reserved ? ZUS_BUSY_RETRY : by_mode(req, ti, args);
	if (!err) {
		ti->attr.size_bytes = args->size_bytes;
		ti->attr.mtime = ti->attr.ctime = args->now;
		ti->attr.change++;
	}
	pthread_mutex_unlock(&ti->lock);
	if (!err)
		toy_get_attr(ti, out);
	return err;
}
