// SPDX-License-Identifier: BSD-3-Clause
/*
 * copy.c - copy_file_range(2) inside the server: bytes go to new blocks, which take the place
 * of what was there in one record. What is a hole stays one.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "ops.h"

#define BLOCKS_MAX	256u	/* at a time; the kernel comes again for the rest */

int zl_bytes(struct zl_inode *zi, uint64_t off, uint64_t bytes, uint8_t *to)
{
	struct zl_elem extent;
	uint64_t end, n, skip;
	int err;

	for (; bytes; off += n, to += n, bytes -= n) {
		err = zl_extent_at(zi, off / ZLF_BLOCK_BYTES, &extent, &end);
		if (err && err != -ENOENT)
			return err;
		n = end > (off + bytes) / ZLF_BLOCK_BYTES ? bytes : end * ZLF_BLOCK_BYTES - off;
		n = n < bytes ? n : bytes;
		skip = off - zl_get64(extent.head.key) * ZLF_BLOCK_BYTES;
		if (err || extent.head.flags & ZLF_EF_UNWRITTEN)
			memset(to, 0, n);
		else
			memcpy(to, (const uint8_t *)zl_media(zi->obj.fs,
							     zl_get64(extent.head.addr)) + skip, n);
	}
	return 0;
}

/* Has the file nothing there that was ever written? */
static int is_hole(struct zl_inode *zi, uint64_t off, uint64_t bytes)
{
	uint64_t bn = off / ZLF_BLOCK_BYTES, end;
	struct zl_elem extent;
	int err;

	while (bn <= (off + bytes - 1) / ZLF_BLOCK_BYTES) {
		err = zl_extent_at(zi, bn, &extent, &end);
		if (err && err != -ENOENT)
			return err;
		if (!err && !(extent.head.flags & ZLF_EF_UNWRITTEN))
			return 0;
		bn = end;
	}
	return 1;
}

struct copy {
	struct zl_op op;
	struct zl_inode *to, *from;
	uint64_t to_off, from_off, bytes;
	uint64_t added;
};

/* One block of the target: what is copied, and at its edges what it had. */
static int copy_block(struct copy *c, uint64_t bn)
{
	uint64_t first = bn * ZLF_BLOCK_BYTES, last = first + ZLF_BLOCK_BYTES, addr, off;
	uint64_t begin = c->to_off > first ? c->to_off : first;
	uint64_t end = c->to_off + c->bytes < last ? c->to_off + c->bytes : last;
	struct zlf_elem elem = { .rec_type = ZLF_REC_EXTENT, .key = htole64(bn),
				 .len = htole32(1) };
	uint8_t buf[ZLF_BLOCK_BYTES];
	struct zl_elem there;
	struct zl_dev *dev;
	uint64_t limit;
	int err;

	err = is_hole(c->from, c->from_off + (begin - c->to_off), end - begin);
	if (err == 1 && zl_extent_at(c->to, bn, &there, &limit) != -ENOENT)
		err = 0;	/* what was allocated stays allocated */
	if (err)
		return err < 0 ? err : 0;
	err = zl_bytes(c->to, first, ZLF_BLOCK_BYTES, buf);
	if (err)
		return err;
	err = zl_bytes(c->from, c->from_off + (begin - c->to_off), end - begin,
			 buf + (begin - first));
	addr = err ? 0 : zl_op_block(&c->op);
	if (!addr)
		return err ? err : c->op.err;
	dev = &c->op.fs->devs[zl_addr_dev(addr, &off)];
	zl_pm_copy(&dev->pm, ZL_DATA, off, buf, sizeof(buf));
	elem.addr = htole64(addr);
	zl_op_set(&c->op, &c->to->obj, &elem, NULL, 0);
	c->added++;
	return 0;
}

static int copy_locked(struct copy *c, const struct zus_copy *args)
{
	uint64_t bn = c->to_off / ZLF_BLOCK_BYTES, freed, end = c->to_off + c->bytes;
	uint64_t last = (end + ZLF_BLOCK_BYTES - 1) / ZLF_BLOCK_BYTES;
	struct zlf_inode body = c->to->body;
	int err;

	if (zl_writes_any(c->to) || zl_writes_any(c->from))
		return ZUS_BUSY_RETRY;
	err = zl_op_cut(&c->op, c->to, bn, last, &freed);
	for (; bn < last && !err; bn++)
		err = copy_block(c, bn);
	if (err)
		return err;
	zl_pm_fence();
	if (end > zl_get64(body.size_bytes))
		body.size_bytes = htole64(end);
	body.blocks = htole64(zl_get64(body.blocks) + c->added - freed);
	zl_op_inode(&c->op, c->to, zl_touch(&body, &args->now, true) | ZLF_IM_SIZE, &body);
	return zl_op_commit(&c->op);
}

int zl_copy(struct zus_req *req, struct zus_inode *to, struct zus_inode *from,
	    const struct zus_copy *args, uint64_t *copied_bytes, struct zus_attr *out)
{
	struct copy c = { .to = zl_inode_of_zus(to), .from = zl_inode_of_zus(from),
			  .to_off = args->to_off, .from_off = args->from_off,
			  .bytes = args->len_bytes };
	struct zl_obj *objs[2] = { &c.to->obj, &c.from->obj };
	uint64_t most = BLOCKS_MAX * ZLF_BLOCK_BYTES - args->to_off % ZLF_BLOCK_BYTES;
	int err;

	if (args->flags & (ZUS_COPY_CLONE | ZUS_COPY_DEDUPE))
		return zl_clone(req, to, from, args, copied_bytes, out);
	if (args->to_off + args->len_bytes > ZL_FILE_MAX_BYTES)
		return -EFBIG;
	c.bytes = c.bytes < most ? c.bytes : most;
	err = zl_op_begin(&c.op, zl_fs_of(to), req, ZL_SPACE_WRITE);
	if (err)
		return err;
	zl_lock(objs, 2);
	err = copy_locked(&c, args);
	*copied_bytes = c.bytes;
	zl_attr(c.to, out);
	zl_unlock(objs, 2);
	zl_op_end(&c.op);
	return err;
}
