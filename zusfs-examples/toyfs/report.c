// SPDX-License-Identifier: BSD-3-Clause
/* report.c - where data and holes are, in long extents: a hole is as long as it is. */
#include <errno.h>

#include "toyfs.h"

/* The same below node, whose first block number is 0; none: the node's span. */
static uint64_t next_below(const uint64_t *node, unsigned int level, uint64_t bn)
{
	uint64_t span = 1ull << level * 9, i, found;

	for (i = bn / span; i < 512; i++) {
		if (!node[i])
			continue;
		if (!level)
			return i;
		found = next_below((const uint64_t *)(uintptr_t)node[i], level - 1,
				   bn > i * span ? bn - i * span : 0);
		if (found < span)
			return i * span + found;
	}
	return span * 512;
}

uint64_t toy_map_next(struct toy_inode *ti, uint64_t bn)
{
	uint64_t span = 1ull << ti->map_levels * 9, found;

	if (!ti->map || bn >= span)
		return TOY_BN_NONE;
	found = next_below(ti->map, ti->map_levels - 1, bn);
	return found < span ? found : TOY_BN_NONE;
}

/* Whose blocks lie one behind the other; blocks that are moved count where they are. */
static uint64_t run_end(struct toy_inode *ti, uint64_t bn, uint64_t block)
{
	enum toy_kind kind = toy_kind(fs_of(&ti->zi), block);
	uint64_t n = 1, *slot;

	while ((slot = toy_map_slot(ti, bn + n, false)) && *slot &&
	       (*slot & TOY_STATE) != TOY_RESERVED && (*slot & ~TOY_STATE) == block + n &&
	       toy_kind(fs_of(&ti->zi), block + n) == kind)
		n++;
	return bn + n;
}

int toy_report(struct zus_req *req, struct toy_inode *ti, const struct zus_map *args)
{
	uint64_t bn = args->off / TOY_BLOCK, next;
	uint64_t end = (args->off + args->len_bytes + TOY_BLOCK - 1) / TOY_BLOCK;
	int err = 0;

	pthread_mutex_lock(&ti->lock);
	for (; !err && bn < end && zus_req_extents_left(req); bn = next) {
		struct zus_extent ext = { .type = ZUS_EXT_HOLE, .file_off = bn * TOY_BLOCK };
		uint64_t *slot = toy_map_slot(ti, bn, false);

		if (slot && *slot && (*slot & TOY_STATE) != TOY_RESERVED) {
			zus_block block = *slot & ~TOY_STATE;

			next = run_end(ti, bn, block);
			toy_answer_kind(fs_of(&ti->zi), block, &ext);
			ext.dev = zus_block_dev(block);
			ext.dev_off = zus_block_off(fs_of(&ti->zi)->space, block);
		} else {
			next = toy_map_next(ti, bn + (slot && *slot));
		}
		ext.len_bytes = (next - bn) * TOY_BLOCK;
		err = zus_req_extent(req, &ext);
	}
	pthread_mutex_unlock(&ti->lock);
	return err;
}
