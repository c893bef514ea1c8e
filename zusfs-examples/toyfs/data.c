// SPDX-License-Identifier: BSD-3-Clause
/*
 * data.c - where the bytes of toyfs's files are: a map of blocks for each, and the
 * answers to MAP and MAP_DONE. See docs/tutorial.md, section 8.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "toyfs.h"

#define NODE_BITS	9
#define NODE_SLOTS	(1u << NODE_BITS)

/* What one MAP gave to a write: the reserved blocks in [bn, end). */
struct toy_reservation {
	struct toy_reservation *next;
	uint64_t map_id, bn, end;
};

/* ---------------------------------------------------------------- block map */

uint64_t *toy_map_slot(struct toy_inode *ti, uint64_t bn, bool make)
{
	unsigned int level;
	uint64_t *node, *slot;

	while (!ti->map || bn >> ti->map_levels * NODE_BITS) {	/* one level more */
		node = make ? calloc(NODE_SLOTS, sizeof(*node)) : NULL;
		if (!node)
			return NULL;
		node[0] = (uintptr_t)ti->map;
		ti->map = node;
		ti->map_levels++;
	}
	node = ti->map;
	for (level = ti->map_levels - 1; level; level--) {
		slot = &node[bn >> level * NODE_BITS & (NODE_SLOTS - 1)];
		if (!*slot && make)
			*slot = (uintptr_t)calloc(NODE_SLOTS, sizeof(*node));
		if (!*slot)
			return NULL;
		node = (uint64_t *)(uintptr_t)*slot;
	}
	return &node[bn & (NODE_SLOTS - 1)];
}

uint64_t toy_map_get(struct toy_inode *ti, uint64_t bn)
{
	uint64_t *slot = toy_map_slot(ti, bn, false);

	return slot ? *slot : 0;
}

/* Frees the file's blocks below node in [first, end), but no reserved one; true: empty. */
static bool map_cut(struct toy_inode *ti, uint64_t *node, unsigned int level, uint64_t first,
		    uint64_t end)
{
	uint64_t span = 1ull << level * NODE_BITS, i, *child;
	bool empty = true, hit;

	for (i = 0; i < NODE_SLOTS; i++) {
		hit = node[i] && (i + 1) * span > first && i * span < end;
		if (hit && level) {
			child = (uint64_t *)(uintptr_t)node[i];
			if (map_cut(ti, child, level - 1, first > i * span ? first - i * span : 0,
				    end - i * span)) {
				free(child);
				node[i] = 0;
			}
		} else if (hit && (node[i] & TOY_STATE) != TOY_RESERVED) {
			ti->map_blocks--;
			if (!(node[i] & TOY_STATE))	/* else the relocator frees it */
				toy_block_put(fs_of(&ti->zi), node[i]);
			node[i] = 0;
		}
		empty &= !node[i];
	}
	return empty;
}

void toy_map_cut(struct toy_inode *ti, uint64_t first, uint64_t end)
{
	if (!(first >> ti->map_levels * NODE_BITS) && ti->map)
		map_cut(ti, ti->map, ti->map_levels - 1, first, end);
}

/* Of what MAP map_id reserved, blocks below keep join the file, others are free again. */
static void end_reservation(struct toy_inode *ti, uint64_t map_id, uint64_t keep)
{
	struct toy_reservation *res, **link = &ti->reserved;
	uint64_t *slot;

	while (*link && (*link)->map_id != map_id)
		link = &(*link)->next;
	res = *link;
	if (!res)
		return;		/* nothing was NEW: the write only made the file longer */
	*link = res->next;
	for (; res->bn < res->end; res->bn++) {
		slot = toy_map_slot(ti, res->bn, false);
		if (!slot || (*slot & TOY_STATE) != TOY_RESERVED)
			continue;
		*slot &= ~TOY_STATE;
		ti->map_blocks += res->bn < keep;
		if (res->bn >= keep) {
			zus_space_free(fs_of(&ti->zi)->space, *slot, 1);
			*slot = 0;
		}
	}
	free(res);
}

void toy_map_free(struct toy_inode *ti)
{
	while (ti->reserved)
		end_reservation(ti, ti->reserved->map_id, 0);
	toy_map_cut(ti, 0, UINT64_MAX);
	free(ti->map);
}

/* ----------------------------------------------------------------- requests */

/* Blocks for a hole of *n blocks, in one piece; *n: as many as there were. */
static int reserve(struct zus_req *req, struct toy_inode *ti, uint64_t bn, uint64_t *n,
		   zus_block *block)
{
	struct zus_space_want want = { *n, bn, bn ? toy_map_get(ti, bn - 1) & ~TOY_STATE : 0,
				       zus_req_numa_node(req) };
	struct toy_reservation *res = ti->reserved;
	uint64_t got, *slot = toy_map_slot(ti, bn, true);

	want.goal += want.goal != 0;	/* behind the block before */
	*block = slot ? toy_relocate_alloc(ti, &want, &got) : 0;
	if (!*block)
		return slot ? -ENOSPC : -ENOMEM;
	if (!res || res->map_id != zus_req_id(req)) {	/* the first hole of this MAP */
		res = malloc(sizeof(*res));
		if (!res) {
			zus_space_free(fs_of(&ti->zi)->space, *block, got);
			return -ENOMEM;
		}
		*res = (struct toy_reservation) { ti->reserved, zus_req_id(req), bn, bn };
		ti->reserved = res;
	}
	for (*n = 0; *n < got && (slot = toy_map_slot(ti, bn + *n, true)); ++*n)
		*slot = (*block + *n) | TOY_RESERVED;
	if (*n < got)
		zus_space_free(fs_of(&ti->zi)->space, *block + *n, got - *n);
	res->end = bn + *n;
	return 0;
}

/* The slots of bn and to belong to one extent, if all between them do. */
static bool same_run(struct toy_inode *ti, uint64_t bn, uint64_t to)
{
	uint64_t slot = toy_map_get(ti, bn), other = toy_map_get(ti, to);

	return slot ? other && other - to == slot - bn &&
		      toy_kind(fs_of(&ti->zi), slot) == toy_kind(fs_of(&ti->zi), other) : !other;
}

/*
 * What lies around bn in one piece, or the hole there: more than was asked for, as
 * the kernel may keep it. *bn becomes its first block; returns their number.
 */
static uint64_t map_run(struct toy_inode *ti, uint64_t *bn)
{
	uint64_t low = *bn, high = *bn + 1;

	while (low % NODE_SLOTS && same_run(ti, *bn, low - 1))
		low--;
	while (high % NODE_SLOTS && same_run(ti, *bn, high))
		high++;
	*bn = low;
	return high - low;
}

/* One extent of the answer, which holds bn. *next: the block behind it. */
static int map_one(struct zus_req *req, struct toy_inode *ti, const struct zus_map *args,
		   uint64_t bn, uint64_t end, uint64_t *next)
{
	bool write = args->flags & ZUS_MAP_WRITE, make = write && !(args->flags & ZUS_MAP_ZERO);
	struct zus_extent ext = { .type = ZUS_EXT_HOLE, .flags = ZUS_EXTF_LEASE_R };
	uint64_t slot = toy_map_get(ti, bn), state = slot & TOY_STATE, n = 1;
	int err;

	if (state == TOY_MOVED || (state && write))
		return ZUS_BUSY_RETRY;	/* it soon is somewhere, or there */
	if (state == TOY_RESERVED) {
		slot = 0;		/* a hole until its write has ended */
		ext.flags = 0;
	} else if (slot || !make) {
		n = map_run(ti, &bn);
		slot = toy_map_get(ti, bn) & ~TOY_STATE;
		if (toy_answer_kind(fs_of(&ti->zi), slot, &ext) && !state)
			ext.flags |= ZUS_EXTF_LEASE_W;
	} else {
		while (bn + n < end && !toy_map_get(ti, bn + n))
			n++;
		err = reserve(req, ti, bn, &n, &slot);
		if (err)
			return err;
		ext.type = ZUS_EXT_DATA;
		ext.flags = ZUS_EXTF_NEW;	/* this write's, so no lease */
	}
	ext.file_off = bn * TOY_BLOCK;
	ext.len_bytes = n * TOY_BLOCK;
	ext.dev = zus_block_dev(slot);
	ext.dev_off = slot ? zus_block_off(fs_of(&ti->zi)->space, slot) : 0;
	*next = bn + n;
	return zus_req_extent(req, &ext);
}

static int toy_map(struct zus_req *req, struct zus_inode *inode, const struct zus_map *args)
{
	struct toy_inode *ti = toy(inode);
	uint64_t begin = args->off / TOY_BLOCK, bn = begin, next = 0;
	uint64_t end = (args->off + args->len_bytes + TOY_BLOCK - 1) / TOY_BLOCK;
	int ret = 0;

	if (!S_ISREG(ti->attr.mode))
		return -EINVAL;
	if (args->flags & ZUS_MAP_REPORT)
		return toy_report(req, ti, args);
	pthread_mutex_lock(&ti->lock);
	if (args->flags & (ZUS_MAP_WRITE | ZUS_MAP_FAULT))
		ret = toy_own_range(req, ti, args->flags & ZUS_MAP_WRITE, begin, &end);
	for (; !ret && bn < end && zus_req_extents_left(req); bn = ret ? bn : next)
		ret = map_one(req, ti, args, bn, end, &next);
	toy_relocate_use(ti, begin);
	pthread_mutex_unlock(&ti->lock);
	return bn > begin ? 0 : ret;	/* a part is an answer, too */
}

static int toy_map_done(struct zus_req *req, struct zus_inode *inode,
			const struct zus_map_done *args, struct zus_attr *out)
{
	struct toy_inode *ti = toy(inode);
	uint64_t end = args->off + args->written_bytes, keep = 0;

	pthread_mutex_lock(&ti->lock);
	if (args->written_bytes) {
		if (end > ti->attr.size_bytes && args->size_bytes > ti->attr.size_bytes)
			ti->attr.size_bytes = end < args->size_bytes ? end : args->size_bytes;
		keep = end < ti->attr.size_bytes ? end : ti->attr.size_bytes;
		ti->attr.mtime = ti->attr.ctime = args->mtime;
		ti->attr.change++;
	}
	end_reservation(ti, args->map_id, (keep + TOY_BLOCK - 1) / TOY_BLOCK);
	pthread_mutex_unlock(&ti->lock);
	if (out)
		toy_get_attr(ti, out);
	return 0;
}

const struct zus_file_ops toy_file_ops = {
	.map = toy_map, .map_done = toy_map_done, .copy = toy_copy, .fallocate = toy_fallocate,
	.ioctl = toy_ioctl, .lock = toy_lock,
};
