// SPDX-License-Identifier: BSD-3-Clause
/*
 * clone.c - blocks that several places of files have, with the mount option reflink: how
 * many others there are of each, and the calls that make them. Before the kernel asks for a
 * clone it uses nothing of either range, so a slot may change as it is. What is shared is
 * answered to reads only; toy_own() ends it for who comes to write, or to map a page.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "toyfs.h"

#define BUCKETS		4096u
#define CLONE_BLOCKS	4096u	/* in one call: others wait for the locks */

struct share {
	LIST_ENTRY(share) link;
	zus_block block;
	uint64_t others;		/* slots that have it, less one */
};

struct toy_shares {
	pthread_mutex_t lock;		/* innermost */
	LIST_HEAD(share_list, share) bucket[BUCKETS];
};

int toy_shares_begin(struct toy_fs *fs)
{
	if (fs->shares)
		return -EINVAL;
	fs->shares = calloc(1, sizeof(*fs->shares));
	if (!fs->shares)
		return -ENOMEM;
	pthread_mutex_init(&fs->shares->lock, NULL);
	fs->features |= ZUS_MF_COW | ZUS_MF_CLONE;
	return 0;
}

/* No inode is left, so no share either. */
void toy_shares_end(struct toy_fs *fs)
{
	if (!fs->shares)
		return;
	pthread_mutex_destroy(&fs->shares->lock);
	free(fs->shares);
}

/* With the lock. */
static struct share *find(struct toy_shares *shares, zus_block block)
{
	struct share *share;

	LIST_FOREACH(share, &shares->bucket[block % BUCKETS], link)
		if (share->block == block)
			return share;
	return NULL;
}

bool toy_shared(struct toy_fs *fs, zus_block block)
{
	bool found;

	if (!fs->shares)
		return false;
	pthread_mutex_lock(&fs->shares->lock);
	found = find(fs->shares, block);
	pthread_mutex_unlock(&fs->shares->lock);
	return found;
}

static int share_add(struct toy_fs *fs, zus_block block)
{
	struct toy_shares *shares = fs->shares;
	struct share *share;

	pthread_mutex_lock(&shares->lock);
	share = find(shares, block);
	if (!share) {
		share = calloc(1, sizeof(*share));
		if (share) {
			share->block = block;
			LIST_INSERT_HEAD(&shares->bucket[block % BUCKETS], share, link);
		}
	}
	if (share)
		share->others++;
	pthread_mutex_unlock(&shares->lock);
	return share ? 0 : -ENOMEM;
}

void toy_block_put(struct toy_fs *fs, zus_block block)
{
	struct toy_shares *shares = fs->shares;
	struct share *share = NULL;

	if (shares) {
		pthread_mutex_lock(&shares->lock);
		share = find(shares, block);
		if (share && !--share->others) {
			LIST_REMOVE(share, link);
			free(share);
		}
		pthread_mutex_unlock(&shares->lock);
	}
	if (!share)
		zus_space_free(fs->space, block, 1);
}

/* -------------------------------------------------------------------- to own */

int toy_own(struct zus_req *req, struct toy_inode *ti, uint64_t bn)
{
	struct toy_fs *fs = fs_of(&ti->zi);
	uint64_t *slot = fs->shares ? toy_map_slot(ti, bn, false) : NULL, got;
	struct zus_space_want want = { 1, bn, 0, zus_req_numa_node(req) };
	zus_block block;

	/* a slot with a state is nobody else's, see toy_clone() */
	if (!slot || !*slot || *slot & TOY_STATE || !toy_shared(fs, *slot))
		return 0;
	block = zus_space_alloc(fs->space, &want, &got);
	if (!block)
		return -ENOSPC;
	zus_copy_nt(toy_block_addr(ti, block), toy_block_addr(ti, *slot), TOY_BLOCK);
	zus_fence();
	toy_block_put(fs, *slot);
	*slot = block;
	return 0;
}

int toy_own_range(struct zus_req *req, struct toy_inode *ti, uint64_t first, uint64_t *end)
{
	uint64_t bn;
	int err = 0;

	if (!fs_of(&ti->zi)->shares)
		return 0;
	for (bn = toy_map_next(ti, first); bn < *end; bn = toy_map_next(ti, bn + 1)) {
		err = toy_own(req, ti, bn);
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
	if (clone->dedupe && !same_bytes(clone, was, block))
		return -EBADE;
	slot = toy_map_slot(to, clone->to_bn, true);
	if (!slot || (block && share_add(fs, block)))
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

	if (!fs_of(&to->zi)->shares)
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
