// SPDX-License-Identifier: BSD-3-Clause
/*
 * copy.c - copy_file_range(2) by the server: from one file's blocks to another's, holes
 * staying holes. The kernel sees to it that nobody else writes to either file, or looks
 * at the range that is written; but relocate.c may be moving blocks of both.
 */
#include <errno.h>

#include "toyfs.h"

#define COPY_MAX_BYTES	(8u << 20)	/* in one call: others wait for the locks */

struct copy {
	struct zus_req *req;
	struct toy_inode *to, *from;
	const struct zus_copy *args;
	uint64_t done_bytes;
};

/* One after the other, the same way for all: no two calls wait for each other. */
void toy_lock_both(struct toy_inode *a, struct toy_inode *b)
{
	pthread_mutex_lock(a < b ? &a->lock : &b->lock);
	if (a != b)
		pthread_mutex_lock(a < b ? &b->lock : &a->lock);
}

void toy_unlock_both(struct toy_inode *a, struct toy_inode *b)
{
	pthread_mutex_unlock(&a->lock);
	if (a != b)
		pthread_mutex_unlock(&b->lock);
}

/* A new block of zeros for a hole of to. */
static int fill_hole(struct copy *copy, uint64_t bn, uint64_t *slot)
{
	uint64_t before = bn ? toy_map_get(copy->to, bn - 1) & ~TOY_STATE : 0, got;
	struct zus_space_want want = {
		1, bn, before ? before + 1 : 0, zus_req_numa_node(copy->req),
	};
	uint64_t *place = toy_map_slot(copy->to, bn, true);

	if (!place)
		return -ENOMEM;
	*slot = zus_space_alloc(fs_of(&copy->to->zi)->space, &want, &got);
	if (!*slot)
		return -ENOSPC;
	zus_zero_nt(toy_block_addr(copy->to, *slot), TOY_BLOCK);
	*place = *slot;
	copy->to->map_blocks++;
	return 0;
}

/* As much as lies in one block of either file. */
static int copy_piece(struct copy *copy, uint64_t bytes)
{
	uint64_t to_off = copy->args->to_off + copy->done_bytes;
	uint64_t from_off = copy->args->from_off + copy->done_bytes;
	uint64_t to, from = toy_map_get(copy->from, from_off / TOY_BLOCK);
	char *at;
	int err;

	err = toy_own(copy->req, copy->to, to_off / TOY_BLOCK, true);
	if (err)
		return err;
	to = toy_map_get(copy->to, to_off / TOY_BLOCK);
	/* it soon is somewhere; what is being copied elsewhere must not be written */
	if (to & TOY_STATE || (from & TOY_STATE) == TOY_MOVED)
		return ZUS_BUSY_RETRY;
	if ((from & TOY_STATE) == TOY_RESERVED ||
	    (from && toy_kind(fs_of(&copy->to->zi), from & ~TOY_STATE) == TOY_UNWRITTEN))
		from = 0;
	if (!from && !to)
		return 0;
	err = to ? 0 : fill_hole(copy, to_off / TOY_BLOCK, &to);
	if (err)
		return err;
	at = toy_block_addr(copy->to, to) + to_off % TOY_BLOCK;
	if (from)
		zus_copy_nt(at, toy_block_addr(copy->from, from & ~TOY_STATE) +
			    from_off % TOY_BLOCK, bytes);
	else
		zus_zero_nt(at, bytes);
	return 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int copy_blocks(struct copy *copy)
{
	uint64_t len = least(copy->args->len_bytes, COPY_MAX_BYTES), bytes;
	int err = 0;

	while (copy->done_bytes < len) {
		bytes = least(TOY_BLOCK - (copy->args->to_off + copy->done_bytes) % TOY_BLOCK,
			      TOY_BLOCK - (copy->args->from_off + copy->done_bytes) % TOY_BLOCK);
		bytes = least(bytes, len - copy->done_bytes);
		err = copy_piece(copy, bytes);
		if (err)
			break;
		copy->done_bytes += bytes;
	}
	zus_fence();
	return copy->done_bytes ? 0 : err;
}

int toy_copy(struct zus_req *req, struct zus_inode *to, struct zus_inode *from,
	     const struct zus_copy *args, uint64_t *copied_bytes, struct zus_attr *out)
{
	struct copy copy = { req, toy(to), toy(from), args, 0 };
	uint64_t end;
	int err;

	if (args->to_off + args->len_bytes > TOY_FILE_MAX)
		return -EFBIG;
	toy_lock_both(copy.to, copy.from);
	err = args->flags ? toy_clone(copy.to, copy.from, args, &copy.done_bytes) :
			    copy_blocks(&copy);
	if (!err && args->flags != ZUS_COPY_DEDUPE) {
		end = args->to_off + copy.done_bytes;
		if (end > copy.to->attr.size_bytes)
			copy.to->attr.size_bytes = end;
		copy.to->attr.mtime = copy.to->attr.ctime = args->now;
		copy.to->attr.change++;
	}
	toy_unlock_both(copy.to, copy.from);
	*copied_bytes = copy.done_bytes;
	if (!err)
		toy_get_attr(copy.to, out);
	return err;
}
