// SPDX-License-Identifier: BSD-3-Clause
/*
 * clone.c - files share blocks, see ioctl_ficlone(2). First a record says of what one file has
 * there that others may have it, too, which is harmless by itself; then a second one that the
 * other file has it.
 */
#include <errno.h>
#include <string.h>

#include "bug.h"
#include "ops.h"

#define EXTENTS_MAX	256u	/* at a time; the kernel comes again for the rest */
#define COMPARE_MAX	4096u	/* blocks */

struct clone {
	struct zl_op mark, take;
	struct zl_inode *to, *from;
	const struct zus_copy *args;
	uint64_t to_bn, from_bn;
	uint64_t blocks;	/* all, then as many as are done at once */
	uint64_t added;
};

/* Of what is to be cloned, what an extent has of it, as the other file has it. */
static struct zlf_elem clone_of(const struct clone *c, const struct zl_elem *extent)
{
	struct zlf_elem part = zl_extent_part(extent, c->from_bn, c->from_bn + c->blocks);

	part.key = htole64(zl_get64(part.key) - c->from_bn + c->to_bn);
	part.create_tid = 0;
	part.flags = ZLF_EF_SHARED;
	return part;
}

/* fn for each extent that the source has there, in order; its error ends it, 1 as well. */
static int each_extent(struct clone *c, int (*fn)(struct clone *c, struct zl_elem *extent))
{
	struct zl_elem extent;
	uint32_t n = 0;
	int err;

	for (err = zl_extent_first(c->from, c->from_bn, &extent);
	     !err && zl_extent_key(&extent) < c->from_bn + c->blocks;
	     err = zl_extent_next(c->from, &extent)) {
		if (++n > EXTENTS_MAX) {
			c->blocks = zl_extent_key(&extent) - c->from_bn;
			return 0;
		}
		err = fn(c, &extent);
		if (err)
			return err;
	}
	return err == -ENOENT ? 0 : err;
}

/* What was allocated and never written is a hole to the other. */
static bool is_written(const struct zl_elem *extent)
{
	return !(extent->head.flags & ZLF_EF_UNWRITTEN);
}

static int mark_one(struct clone *c, struct zl_elem *extent)
{
	if (!is_written(extent) || zl_shares(&extent->head))
		return 0;
	extent->head.flags |= ZLF_EF_SHARED;
	zl_op_set(&c->mark, &c->from->obj, &extent->head, NULL, 0);
	return 0;
}

static int take_one(struct clone *c, struct zl_elem *extent)
{
	struct zlf_elem part;

	if (!is_written(extent))
		return 0;
	part = clone_of(c, extent);
	zl_op_set(&c->take, &c->to->obj, &part, NULL, 0);
	c->added += zl_get32(part.len);
	return 0;
}

/* 0; EBADE: they differ from the first block on; else c->blocks are the same. */
static int compare(struct clone *c)
{
	uint8_t to[ZLF_BLOCK_BYTES], from[ZLF_BLOCK_BYTES];
	uint64_t i, off, bytes;
	int err = 0;

	if (c->blocks > COMPARE_MAX)
		c->blocks = COMPARE_MAX;
	for (i = 0; i < c->blocks && !err; i++) {
		off = i * ZLF_BLOCK_BYTES;
		bytes = c->args->len_bytes - off;
		bytes = bytes < ZLF_BLOCK_BYTES ? bytes : ZLF_BLOCK_BYTES;
		err = zl_bytes(c->to, c->args->to_off + off, bytes, to);
		if (!err)
			err = zl_bytes(c->from, c->args->from_off + off, bytes, from);
		if (!err && memcmp(to, from, bytes) != 0)
			break;
	}
	if (!err && c->blocks && !i)
		err = -EBADE;
	c->blocks = i;
	return err;
}

/* As much of it as goes in two records. */
static uint64_t bytes_done(const struct clone *c)
{
	uint64_t bytes = c->blocks * ZLF_BLOCK_BYTES;

	return bytes < c->args->len_bytes ? bytes : c->args->len_bytes;
}

static int take(struct clone *c)
{
	uint64_t freed, end = c->args->to_off + bytes_done(c);
	struct zlf_inode body = c->to->body;
	uint32_t mask = ZLF_IM_SIZE;
	int err = zl_op_cut(&c->take, c->to, c->to_bn, c->to_bn + c->blocks, &freed);

	if (!err)
		err = each_extent(c, take_one);
	if (err)
		return err;
	body.blocks = htole64(zl_get64(body.blocks) + c->added - freed);
	if (!(c->args->flags & ZUS_COPY_DEDUPE)) {
		mask |= zl_touch(&body, &c->args->now, true);
		if (end > zl_get64(body.size_bytes))
			body.size_bytes = htole64(end);
	}
	zl_op_inode(&c->take, c->to, mask, &body);
	/* behind all that made the source what it is, and in front of what it will be */
	if (c->take.floor_tid < c->from->obj.change_tid)
		c->take.floor_tid = c->from->obj.change_tid;
	err = zl_op_commit(&c->take);
	if (!err && c->from->obj.change_tid < c->take.tid)
		c->from->obj.change_tid = c->take.tid;
	return err;
}

static int clone_locked(struct clone *c)
{
	int err = 0;

	if (zl_writes_any(c->to) || zl_writes_any(c->from))
		return ZUS_BUSY_RETRY;	/* places that were given to writes are nobody's yet */
	if (c->args->flags & ZUS_COPY_DEDUPE)
		err = compare(c);
	if (!err)
		err = each_extent(c, mark_one);
	if (!err && !ZL_BUG(UNMARKED))
		err = zl_op_commit(&c->mark);
	return err ? err : take(c);
}

int zl_clone(struct zus_req *req, struct zus_inode *to, struct zus_inode *from,
	     const struct zus_copy *args, uint64_t *cloned_bytes, struct zus_attr *out)
{
	struct clone c = {
		.to = zl_inode_of_zus(to), .from = zl_inode_of_zus(from), .args = args,
		.to_bn = args->to_off / ZLF_BLOCK_BYTES, .from_bn = args->from_off / ZLF_BLOCK_BYTES,
		.blocks = (args->len_bytes + ZLF_BLOCK_BYTES - 1) / ZLF_BLOCK_BYTES,
	};
	struct zl_obj *objs[2] = { &c.to->obj, &c.from->obj };
	struct zl_fs *fs = zl_fs_of(to);
	int err;

	if (!fs->clones)
		return -EOPNOTSUPP;
	if (args->to_off + args->len_bytes > ZL_FILE_MAX_BYTES)
		return -EFBIG;
	err = zl_op_begin(&c.mark, fs, NULL, ZL_SPACE_WRITE);
	if (err)
		return err;
	err = zl_op_begin(&c.take, fs, req, ZL_SPACE_WRITE);
	if (!err) {
		zl_lock(objs, 2);
		err = clone_locked(&c);
		*cloned_bytes = bytes_done(&c);
		zl_attr(c.to, out);
		zl_unlock(objs, 2);
		zl_op_end(&c.take);
	}
	zl_op_end(&c.mark);
	return err;
}
