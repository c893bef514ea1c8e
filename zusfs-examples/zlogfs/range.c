// SPDX-License-Identifier: BSD-3-Clause
/*
 * range.c - blocks leave a file, or come without bytes: truncate, and fallocate in all modes.
 * However many extents that concerns, it is one record, or one chain.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>

#include "ops.h"

#define ONE_BY_ONE	16u	/* more extents than that go as a range */

struct zlf_elem zl_extent_part(const struct zl_elem *extent, uint64_t bn, uint64_t end)
{
	struct zlf_elem part = extent->head;

	if (bn < zl_extent_key(extent))
		bn = zl_extent_key(extent);
	if (end > zl_extent_end(extent))
		end = zl_extent_end(extent);
	part.key = htole64(bn);
	part.addr = htole64(zl_get64(extent->head.addr) +
			    (bn - zl_extent_key(extent)) * (ZLF_BLOCK_BYTES / ZLF_LINE_BYTES));
	part.len = htole32((uint32_t)(end - bn));
	return part;
}

/* What lies inside goes if free says so; what is left on both sides is set anew. */
static void op_cut_one(struct zl_op *op, struct zl_inode *zi, const struct zl_elem *extent,
		       uint64_t bn, uint64_t end, bool drop)
{
	uint64_t first = zl_extent_key(extent) > bn ? zl_extent_key(extent) : bn;
	uint64_t last = zl_extent_end(extent) < end ? zl_extent_end(extent) : end;
	struct zlf_elem part;

	if (first > zl_extent_key(extent)) {
		part = zl_extent_part(extent, zl_extent_key(extent), first);
		zl_op_set(op, &zi->obj, &part, NULL, 0);
	} else {
		zl_op_del(op, &zi->obj, ZLF_REC_EXTENT, zl_extent_key(extent));
	}
	if (last < zl_extent_end(extent)) {
		part = zl_extent_part(extent, last, zl_extent_end(extent));
		zl_op_set(op, &zi->obj, &part, NULL, 0);
	}
	if (drop) {
		part = zl_extent_part(extent, first, last);
		zl_op_free(op, &zi->obj, &part);
	}
}

int zl_extent_first(struct zl_inode *zi, uint64_t bn, struct zl_elem *extent)
{
	int err = zl_obj_prev(&zi->obj, ZLF_REC_EXTENT, bn, extent);

	if (!err && zl_extent_end(extent) > bn)
		return 0;
	if (err && err != -ENOENT)
		return err;
	return zl_obj_next(&zi->obj, ZLF_REC_EXTENT, bn, extent);
}

int zl_extent_next(struct zl_inode *zi, struct zl_elem *extent)
{
	return zl_obj_next(&zi->obj, ZLF_REC_EXTENT, zl_extent_key(extent) + 1, extent);
}

/* How many lie in it, and how many of their blocks. */
static int count_extents(struct zl_inode *zi, uint64_t bn, uint64_t end, uint64_t *n,
			 uint64_t *blocks)
{
	struct zl_elem extent;
	int err;

	*n = *blocks = 0;
	for (err = zl_extent_first(zi, bn, &extent); !err && zl_extent_key(&extent) < end;
	     err = zl_extent_next(zi, &extent)) {
		++*n;
		*blocks += (zl_extent_end(&extent) < end ? zl_extent_end(&extent) : end) -
			   (zl_extent_key(&extent) > bn ? zl_extent_key(&extent) : bn);
	}
	return err == -ENOENT ? 0 : err;
}

static int cut_each(struct zl_op *op, struct zl_inode *zi, uint64_t bn, uint64_t end, bool drop)
{
	struct zl_elem extent;
	int err;

	for (err = zl_extent_first(zi, bn, &extent); !err && zl_extent_key(&extent) < end;
	     err = zl_extent_next(zi, &extent))
		op_cut_one(op, zi, &extent, bn, end, drop);
	return err == -ENOENT ? 0 : err;
}

/* Those wholly inside as one range; those across its ends one by one. */
static int cut_range(struct zl_op *op, struct zl_inode *zi, uint64_t bn, uint64_t end)
{
	struct zl_elem extent;
	uint64_t from = bn, to = end;
	int err = zl_extent_first(zi, bn, &extent);

	if (!err && zl_extent_key(&extent) < bn) {
		op_cut_one(op, zi, &extent, bn, end, true);
		from = zl_extent_end(&extent);
	}
	err = end == UINT64_MAX ? -ENOENT :
				  zl_obj_prev(&zi->obj, ZLF_REC_EXTENT, end - 1, &extent);
	if (err && err != -ENOENT)
		return err;
	if (!err && zl_extent_end(&extent) > end && zl_extent_key(&extent) >= from) {
		op_cut_one(op, zi, &extent, bn, end, true);
		to = zl_extent_key(&extent);
	}
	if (from < to)
		zl_op_range(op, &zi->obj, ZLF_REC_EXTENT, from, to);
	return 0;
}

int zl_op_cut(struct zl_op *op, struct zl_inode *zi, uint64_t bn, uint64_t end, uint64_t *freed)
{
	uint64_t n;
	int err = bn < end ? count_extents(zi, bn, end, &n, freed) : 0;

	if (bn >= end)
		*freed = n = 0;
	if (err || !n)
		return err;
	return n > ONE_BY_ONE ? cut_range(op, zi, bn, end) : cut_each(op, zi, bn, end, true);
}

int zl_op_split(struct zl_op *op, struct zl_inode *zi, uint64_t bn, uint64_t end)
{
	return cut_each(op, zi, bn, end, false);
}

/* ------------------------------------------------------------------- fallocate */

/* A request, and what it has done to the file's blocks. */
struct falloc {
	struct zl_op op;
	struct zl_inode *zi;
	uint64_t first, last;	/* blocks that it touches */
	uint64_t bn, end;	/* those that it covers */
	uint64_t added, freed;
};

/* Blocks for [bn, end), in which there are none, marked as never written. */
static int add_unwritten(struct falloc *f, uint64_t bn, uint64_t end)
{
	struct zlf_elem elem = { .rec_type = ZLF_REC_EXTENT, .flags = ZLF_EF_UNWRITTEN };
	uint32_t per = f->op.fs->geo.segment_blocks, got;
	uint64_t addr;

	for (; bn < end; bn += got) {
		addr = zl_op_blocks(&f->op, end - bn, end - bn >= per && !(bn % per), &got);
		if (!addr)
			return f->op.err;
		elem.key = htole64(bn);
		elem.addr = htole64(addr);
		elem.len = htole32(got);
		zl_op_set(&f->op, &f->zi->obj, &elem, NULL, 0);
		f->added += got;
	}
	return 0;
}

/* The holes of [bn, end) alone. */
static int fill(struct falloc *f, uint64_t bn, uint64_t end)
{
	struct zl_elem extent;
	uint64_t limit;
	int err = 0;

	for (; bn < end && !err; bn = limit) {
		err = zl_extent_at(f->zi, bn, &extent, &limit);
		limit = limit < end ? limit : end;
		if (err == -ENOENT)
			err = add_unwritten(f, bn, limit);
	}
	return err;
}

/* Zeros without stores: other blocks in the place of those inside. */
static int zero(struct falloc *f)
{
	int err;

	if (f->bn >= f->end)
		return fill(f, f->first, f->last);
	err = zl_op_cut(&f->op, f->zi, f->bn, f->end, &f->freed);
	if (!err)
		err = fill(f, f->first, f->bn);
	if (!err)
		err = fill(f, f->end, f->last);
	return err ? err : add_unwritten(f, f->bn, f->end);
}

/* The bytes go elsewhere, the blocks out of the file: it may be that others want them. */
static int copy_extent(struct falloc *f, const struct zlf_elem *from, uint64_t to_bn)
{
	uint32_t left = zl_get32(from->len), got;
	const uint8_t *bytes = zl_media(f->op.fs, zl_get64(from->addr));
	struct zlf_elem part = *from;
	struct zl_dev *dev;
	uint64_t addr, off;

	zl_op_free(&f->op, &f->zi->obj, from);
	for (; left; left -= got, to_bn += got, bytes += (size_t)got * ZLF_BLOCK_BYTES) {
		addr = zl_op_blocks(&f->op, left, false, &got);
		if (!addr)
			return f->op.err;
		dev = &f->op.fs->devs[zl_addr_dev(addr, &off)];
		zl_pm_copy(&dev->pm, ZL_DATA, off, bytes, (size_t)got * ZLF_BLOCK_BYTES);
		part.key = htole64(to_bn);
		part.addr = htole64(addr);
		part.len = htole32(got);
		part.create_tid = 0;
		part.flags &= (uint8_t)~ZLF_EF_SHARED;
		zl_op_set(&f->op, &f->zi->obj, &part, NULL, 0);
	}
	zl_pm_fence();
	return 0;
}

/* Blocks that others may have, too, are copied; holes are filled. */
static int make_own(struct falloc *f)
{
	struct zl_elem extent;
	struct zlf_elem part;
	int err;

	for (err = zl_extent_first(f->zi, f->first, &extent);
	     !err && zl_extent_key(&extent) < f->last; err = zl_extent_next(f->zi, &extent)) {
		if (!zl_shares(&extent.head))
			continue;
		op_cut_one(&f->op, f->zi, &extent, f->first, f->last, false);
		part = zl_extent_part(&extent, f->first, f->last);
		err = copy_extent(f, &part, zl_get64(part.key));
		if (err)
			return err;
	}
	return err && err != -ENOENT ? err : fill(f, f->first, f->last);
}

static int move_extent(struct falloc *f, struct zlf_elem *part, uint64_t to_bn)
{
	if (zl_get64(part->create_tid) <=
	    __atomic_load_n(&f->op.fs->boundary_tid, __ATOMIC_ACQUIRE))
		return copy_extent(f, part, to_bn);
	part->key = htole64(to_bn);
	zl_op_set(&f->op, &f->zi->obj, part, NULL, 0);
	return 0;
}

/* Extents from bn on move; all leave their keys before any takes another's. */
static int shift(struct falloc *f, uint64_t bn, int64_t by)
{
	struct zl_elem extent;
	struct zlf_elem part;
	int err;

	for (err = zl_extent_first(f->zi, bn, &extent); !err; err = zl_extent_next(f->zi, &extent))
		zl_op_del(&f->op, &f->zi->obj, ZLF_REC_EXTENT,
			  zl_extent_key(&extent) > bn ? zl_extent_key(&extent) : bn);
	for (err = err == -ENOENT ? zl_extent_first(f->zi, bn, &extent) : err; !err;
	     err = zl_extent_next(f->zi, &extent)) {
		part = zl_extent_part(&extent, bn, UINT64_MAX);
		err = move_extent(f, &part, zl_get64(part.key) + (uint64_t)by);
		if (err)
			return err;
	}
	return err == -ENOENT ? 0 : err;
}

static int collapse(struct falloc *f)
{
	int err = zl_op_cut(&f->op, f->zi, f->first, f->last, &f->freed);

	return err ? err : shift(f, f->last, -(int64_t)(f->last - f->first));
}

static int insert(struct falloc *f)
{
	struct zl_elem extent;
	struct zlf_elem part;
	int err = zl_extent_first(f->zi, f->first, &extent);

	if (!err && zl_extent_key(&extent) < f->first) {	/* in the middle of one */
		part = zl_extent_part(&extent, zl_extent_key(&extent), f->first);
		zl_op_set(&f->op, &f->zi->obj, &part, NULL, 0);
	}
	return err && err != -ENOENT ? err : shift(f, f->first, (int64_t)(f->last - f->first));
}

static int by_mode(struct falloc *f, uint32_t mode)
{
	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0:
		return fill(f, f->first, f->last);
	case FALLOC_FL_UNSHARE_RANGE:
		return make_own(f);
	case FALLOC_FL_PUNCH_HOLE:
		return zl_op_cut(&f->op, f->zi, f->bn, f->end, &f->freed);
	case FALLOC_FL_ZERO_RANGE:
		return zero(f);
	case FALLOC_FL_COLLAPSE_RANGE:
		return collapse(f);
	case FALLOC_FL_INSERT_RANGE:
		return insert(f);
	default:
		return -EOPNOTSUPP;
	}
}

static int fallocate_locked(struct falloc *f, const struct zus_fallocate *args)
{
	struct zlf_inode body = f->zi->body;
	int err;

	if (zl_writes_any(f->zi))		/* places that were given to writes are nobody's yet */
		return ZUS_BUSY_RETRY;
	if (args->off + args->len_bytes >= zl_get64(body.size_bytes))
		f->end = f->last;	/* behind the end there is nothing to keep */
	err = by_mode(f, args->mode);
	if (err)
		return err;
	body.size_bytes = htole64(args->size_bytes);
	body.blocks = htole64(zl_get64(body.blocks) + f->added - f->freed);
	zl_op_inode(&f->op, f->zi, zl_touch(&body, &args->now, true) | ZLF_IM_SIZE, &body);
	return zl_op_commit(&f->op);
}

int zl_fallocate(struct zus_req *req, struct zus_inode *inode, const struct zus_fallocate *args,
		 struct zus_attr *out)
{
	bool remove = args->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE);
	uint64_t end = args->off + args->len_bytes;
	struct falloc f = {
		.zi = zl_inode_of_zus(inode), .first = args->off / ZLF_BLOCK_BYTES,
		.last = (end + ZLF_BLOCK_BYTES - 1) / ZLF_BLOCK_BYTES,
		.bn = (args->off + ZLF_BLOCK_BYTES - 1) / ZLF_BLOCK_BYTES,
		.end = end / ZLF_BLOCK_BYTES,
	};
	int err;

	if (args->size_bytes > ZL_FILE_MAX_BYTES || end > ZL_FILE_MAX_BYTES)
		return -EFBIG;
	err = zl_op_begin(&f.op, zl_fs_of(inode), req,
			  remove ? ZL_SPACE_REMOVE : ZL_SPACE_WRITE);

	if (err)
		return err;
	zl_obj_lock(&f.zi->obj);
	err = fallocate_locked(&f, args);
	zl_attr(f.zi, out);
	pthread_mutex_unlock(&f.zi->obj.lock);
	zl_op_end(&f.op);
	return err;
}
