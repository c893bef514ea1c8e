// SPDX-License-Identifier: BSD-3-Clause
/*
 * clone.c - places of files get blocks that others have, with the mount option reflink.
 * Before the kernel asks for a clone it uses nothing of either range, so a slot may change
 * as it is. What is shared is answered to reads only, as is what nobody has written to yet;
 * toy_own() ends both for who comes to write, and sharing for who maps a page, too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "toyfs.h"

#define CLONE_BLOCKS	4096u	/* in one call: others wait for the locks */
#define OWN_BLOCKS	64u	/* whose copies lie in a row, whichever comes first */

/* -------------------------------------------------------------------- to own */

/* A block for the copy of bn: beside its neighbours' copies, or with room for them around it. */
static zus_block own_block(struct zus_req *req, struct toy_inode *ti, uint64_t bn)
{
	struct toy_fs *fs = fs_of(&ti->zi);
	struct zus_space_want want = { OWN_BLOCKS, 0, 0, zus_req_numa_node(req) };
	uint64_t first = bn - bn % OWN_BLOCKS, other, slot, got, pick;
	zus_block block;

	for (other = first; other < first + OWN_BLOCKS && want.count > 1; other++) {
		slot = toy_map_get(ti, other);
		if (slot && !(slot & TOY_STATE) && toy_kind(fs, slot) == TOY_OWN)
			want = (struct zus_space_want) { 1, 0, slot + bn - other, want.numa_node };
	}
	block = zus_space_alloc(fs->space, &want, &got);
	if (!block || got == 1)
		return block;
	pick = bn % got;
	if (pick)
		zus_space_free(fs->space, block, pick);
	if (pick + 1 < got)
		zus_space_free(fs->space, block + pick + 1, got - pick - 1);
	return block + pick;
}

int toy_own(struct zus_req *req, struct toy_inode *ti, uint64_t bn, bool write)
{
	struct toy_fs *fs = fs_of(&ti->zi);
	uint64_t *slot = fs->blocks ? toy_map_slot(ti, bn, false) : NULL;
	enum toy_kind kind;
	zus_block block;

	/* a slot with a state is the file's own: only such ones are reserved or moved */
	kind = slot && *slot && !(*slot & TOY_STATE) ? toy_kind(fs, *slot) : TOY_OWN;
	if (kind == TOY_OWN || (kind == TOY_UNWRITTEN && !write))
		return 0;
	if (kind == TOY_UNWRITTEN) {
		zus_zero_nt(toy_block_addr(ti, *slot), TOY_BLOCK);
		zus_fence();
		toy_block_written(fs, *slot);
		return 0;
	}
	block = own_block(req, ti, bn);
	if (!block)
		return -ENOSPC;
	zus_copy_nt(toy_block_addr(ti, block), toy_block_addr(ti, *slot), TOY_BLOCK);
	zus_fence();
	toy_block_put(fs, *slot);
	*slot = block;
	return 0;
}

int toy_own_range(struct zus_req *req, struct toy_inode *ti, bool write, uint64_t first,
		  uint64_t *end)
{
	uint64_t bn;
	int err = 0;

	if (!fs_of(&ti->zi)->blocks)
		return 0;
	for (bn = toy_map_next(ti, first); bn < *end; bn = toy_map_next(ti, bn + 1)) {
		err = toy_own(req, ti, bn, write);
		if (err)
			break;
	}
	if (!err || bn == first)
		return err;
	*end = bn;
	return 0;
}

/* --------------------------------------------------------------------- clone */

struct clone {
	struct toy_inode *to, *from;
	uint64_t to_bn, from_bn;
	uint64_t bytes;			/* of this block that count, to compare */
	bool dedupe;
};

/* Block 0, a hole, is zeros. */
static bool same_bytes(const struct clone *clone, zus_block to, zus_block from)
{
	static const char zeros[TOY_BLOCK];

	return !memcmp(to ? toy_block_addr(clone->to, to) : zeros,
		       from ? toy_block_addr(clone->from, from) : zeros, clone->bytes);
}

/* One block of to becomes from's. */
static int clone_block(const struct clone *clone)
{
	struct toy_inode *to = clone->to;
	uint64_t was = toy_map_get(to, clone->to_bn), block = toy_map_get(clone->from, clone->from_bn);
	struct toy_fs *fs = fs_of(&to->zi);
	uint64_t *slot;

	/* a write that ends, or relocate.c: it soon is somewhere */
	if ((was | block) & TOY_STATE)
		return ZUS_BUSY_RETRY;
	if (was == block)
		return 0;
	if (block && toy_kind(fs, block) == TOY_UNWRITTEN)
		block = 0;	/* a hole reads as it does */
	if (clone->dedupe &&
	    !same_bytes(clone, was && toy_kind(fs, was) == TOY_UNWRITTEN ? 0 : was, block))
		return -EBADE;
	slot = toy_map_slot(to, clone->to_bn, true);
	if (!slot || (block && toy_block_share(fs, block)))
		return -ENOMEM;
	*slot = block;
	to->map_blocks += block != 0;
	if (was) {
		toy_block_put(fs, was);
		to->map_blocks--;
	}
	return 0;
}

/* How many blocks from here on are holes in both. */
static uint64_t common_hole(const struct clone *clone)
{
	uint64_t to = toy_map_next(clone->to, clone->to_bn) - clone->to_bn;
	uint64_t from = toy_map_next(clone->from, clone->from_bn) - clone->from_bn;

	return to < from ? to : from;
}

int toy_clone(struct toy_inode *to, struct toy_inode *from, const struct zus_copy *args,
	      uint64_t *done_bytes)
{
	struct clone clone = {
		to, from, args->to_off / TOY_BLOCK, args->from_off / TOY_BLOCK,
		.dedupe = args->flags == ZUS_COPY_DEDUPE,
	};
	uint64_t left = args->len_bytes, step;
	unsigned int budget = CLONE_BLOCKS;
	int err = 0;

	if (!(fs_of(&to->zi)->features & ZUS_MF_CLONE))
		return -EOPNOTSUPP;
	while (left && budget--) {
		step = common_hole(&clone);
		if (!step) {
			step = 1;
			clone.bytes = left < TOY_BLOCK ? left : TOY_BLOCK;
			err = clone_block(&clone);
			if (err)
				break;
		}
		clone.to_bn += step;
		clone.from_bn += step;
		left -= left < step * TOY_BLOCK ? left : step * TOY_BLOCK;
	}
	*done_bytes = args->len_bytes - left;
	return *done_bytes ? 0 : err;
}
