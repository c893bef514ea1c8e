// SPDX-License-Identifier: BSD-3-Clause
/*
 * data.c - where the bytes of files are: the answers to MAP, and what MAP_DONE makes of them.
 * A write that may not touch what is there gets other blocks, and its record, behind their
 * bytes, puts them in the place of the old ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "bug.h"
#include "ops.h"

/* -------------------------------------------------------------------- extents */

static uint64_t block_addr(const struct zl_elem *extent, uint64_t bn)
{
	return zl_get64(extent->head.addr) +
	       (bn - zl_get64(extent->head.key)) * (ZLF_BLOCK_BYTES / ZLF_LINE_BYTES);
}

static int extent_at(struct zl_inode *zi, uint64_t bn, bool place, struct zl_elem *extent,
		     uint64_t *end)
{
	struct zl_elem next;
	int err = place ? zl_obj_place(&zi->obj, bn, extent) :
			  zl_obj_prev(&zi->obj, ZLF_REC_EXTENT, bn, extent);

	if (err && err != -ENOENT)
		return err;
	if (!err && zl_extent_end(extent) > bn) {
		*end = zl_extent_end(extent);
		return 0;
	}
	err = zl_obj_next(&zi->obj, ZLF_REC_EXTENT, bn, &next);
	if (err && err != -ENOENT)
		return err;
	*end = err ? UINT64_MAX : zl_get64(next.head.key);
	return -ENOENT;
}

int zl_extent_at(struct zl_inode *zi, uint64_t bn, struct zl_elem *extent, uint64_t *end)
{
	return extent_at(zi, bn, false, extent, end);
}

/* -------------------------------------------------------------------------- map */

static uint32_t policy_of(const struct zl_inode *zi)
{
	uint32_t policy = zl_get32(zi->body.policy);

	return policy ? policy : zi->obj.fs->policy;
}

/* May the bytes that are there be overwritten? */
static bool in_place(const struct zl_inode *zi, const struct zl_elem *extent)
{
	uint64_t boundary_tid = __atomic_load_n(&zi->obj.fs->boundary_tid, __ATOMIC_ACQUIRE);

	if (zl_shares(&extent->head))
		return false;
	switch (policy_of(zi)) {
	case ZLF_POLICY_INPLACE:
		return true;
	case ZLF_POLICY_COW:
		return false;
	default:
		return !boundary_tid || zl_get64(extent->head.create_tid) > boundary_tid;
	}
}

static int answer(struct zus_req *req, uint64_t bn, uint64_t blocks, uint64_t addr, uint16_t type,
		  uint16_t flags)
{
	struct zus_extent ext = { .file_off = bn * ZLF_BLOCK_BYTES,
				  .len_bytes = blocks * ZLF_BLOCK_BYTES, .type = type,
				  .flags = flags };

	if (addr)
		ext.dev = zl_addr_dev(addr, &ext.dev_off);
	return zus_req_extent(req, &ext);
}

/* Old bytes to a new place, durable: of the blocks that the write covers in part. */
static void copy_edges(struct zl_fs *fs, const struct zus_map *args, const struct zl_elem *old,
		       uint64_t bn, uint64_t blocks, uint64_t addr)
{
	uint64_t first = args->off, last = args->off + args->len_bytes, i, at, off;
	struct zl_dev *dev = &fs->devs[zl_addr_dev(addr, &off)];
	bool all = args->flags & ZUS_MAP_FAULT, any = false;

	for (i = 0; i < blocks; i++) {
		at = (bn + i) * ZLF_BLOCK_BYTES;
		if (!all && at >= first && at + ZLF_BLOCK_BYTES <= last)
			continue;
		zl_pm_copy(&dev->pm, ZL_DATA, off + i * ZLF_BLOCK_BYTES,
			   zl_media(fs, block_addr(old, bn + i)), ZLF_BLOCK_BYTES);
		any = true;
	}
	if (any)		/* here: another CPU may write the record */
		zl_pm_fence();
}

/* Behind what the file has in front of bn, so that both can be one piece. */
static uint64_t goal_of(struct zl_inode *zi, uint64_t bn)
{
	struct zl_elem before;

	if (!bn || zl_obj_prev(&zi->obj, ZLF_REC_EXTENT, bn - 1, &before))
		return 0;
	return block_addr(&before, zl_extent_end(&before));
}

/* Blocks for up to *blocks from bn on. */
static uint64_t alloc_blocks(struct zl_inode *zi, uint64_t bn, bool goal, uint64_t *blocks)
{
	struct zl_fs *fs = zi->obj.fs;
	uint32_t per = fs->geo.segment_blocks, want, got = 0;
	uint64_t beside = goal ? goal_of(zi, bn) : 0, addr;

	want = *blocks > per ? per : (uint32_t)*blocks;
	if (want <= ZL_FEW_BLOCKS && want < per)
		addr = zl_blocks_few(fs, want, beside, &got);
	else
		addr = zl_blocks_alloc(fs, ZL_SPACE_WRITE, want, beside, want == per && !(bn % per),
				       &got);
	*blocks = got;
	return addr;
}

/* Other blocks for a write: *blocks from bn on; old: what is there, or NULL. */
static int map_elsewhere(struct zus_req *req, struct zl_inode *zi, const struct zus_map *args,
			 const struct zl_elem *old, uint64_t bn, uint64_t *blocks)
{
	struct zl_fs *fs = zi->obj.fs;
	uint64_t addr = alloc_blocks(zi, bn, !old, blocks);
	enum zl_write_kind kind = old ? ZL_WRITE_COPIED : ZL_WRITE_NEW;
	int err;

	if (!addr)
		return -ENOSPC;
	if (old)
		copy_edges(fs, args, old, bn, *blocks, addr);
	err = zl_write_remember(zi, zus_req_id(req), bn, addr, (uint32_t)*blocks, kind, old);
	if (err) {
		zl_blocks_free(fs, addr, (uint32_t)*blocks);
		return err;
	}
	return answer(req, bn, *blocks, addr, ZUS_EXT_DATA,
		      old ? ZUS_EXTF_COMMIT : ZUS_EXTF_NEW);
}

/*
 * For a fault that writes, or that finds shared blocks: copied and published at once, so that
 * the page is what it says.
 */
static int map_fault_cow(struct zus_req *req, struct zl_inode *zi, const struct zus_map *args,
			 const struct zl_elem *old, uint64_t bn, uint64_t *blocks, struct zl_op *op)
{
	struct zl_fs *fs = zi->obj.fs;
	struct zlf_elem elem = { .rec_type = ZLF_REC_EXTENT, .key = htole64(bn) };
	uint64_t addr, freed;
	int err;

	if (op->err)		/* of a fault that reads, where nothing may be stored */
		return op->err;
	addr = alloc_blocks(zi, bn, false, blocks);
	if (!addr)
		return -ENOSPC;
	copy_edges(fs, args, old, bn, *blocks, addr);
	elem.addr = htole64(addr);
	elem.len = htole32((uint32_t)*blocks);
	err = zl_op_cut(op, zi, bn, bn + *blocks, &freed);
	zl_op_set(op, &zi->obj, &elem, NULL, 0);
	if (!err)
		err = zl_op_commit(op);
	if (err) {
		zl_blocks_free(fs, addr, (uint32_t)*blocks);
		return err;
	}
	return answer(req, bn, *blocks, addr, ZUS_EXT_DATA, 0);
}

/* A block that is allocated and was never written: in its place, as NEW. */
static int map_unwritten(struct zus_req *req, struct zl_inode *zi, const struct zl_elem *old,
			 uint64_t bn, uint64_t blocks)
{
	uint64_t addr = block_addr(old, bn);
	int err = zl_write_remember(zi, zus_req_id(req), bn, addr, (uint32_t)blocks,
				 ZL_WRITE_UNWRITTEN, NULL);

	return err ? err : answer(req, bn, blocks, addr, ZUS_EXT_DATA, ZUS_EXTF_NEW);
}

/* Is it enough to know where the blocks are? Else also since when. */
static bool wants_place(const struct zl_inode *zi, bool write)
{
	return !write || policy_of(zi) != ZLF_POLICY_BOUNDARY ||
	       !__atomic_load_n(&zi->obj.fs->boundary_tid, __ATOMIC_ACQUIRE);
}

/* What is there, as it is. */
static int map_there(struct zus_req *req, const struct zl_elem *extent, uint64_t bn,
		     uint64_t blocks)
{
	uint16_t type = ZUS_EXT_DATA, flags = 0;

	if (extent->head.flags & ZLF_EF_UNWRITTEN)
		type = ZUS_EXT_UNWRITTEN;
	else if (zl_shares(&extent->head))	/* of who reads: others get blocks of their own */
		flags = ZUS_EXTF_SHARED;
	return answer(req, bn, blocks, block_addr(extent, bn), type, flags);
}

/* One extent of the answer; *next: the block behind it. */
static int map_one(struct zus_req *req, struct zl_inode *zi, const struct zus_map *args,
		   uint64_t bn, uint64_t end, uint64_t *next, struct zl_op *op)
{
	bool write = args->flags & ZUS_MAP_WRITE, fault = args->flags & ZUS_MAP_FAULT;
	bool there, unwritten, own, as_is;
	const struct zl_write *mine;
	struct zl_elem extent;
	uint64_t limit, blocks;
	int err = extent_at(zi, bn, wants_place(zi, write), &extent, &limit);

	if (err && err != -ENOENT)
		return err;
	there = !err;
	unwritten = there && extent.head.flags & ZLF_EF_UNWRITTEN;
	own = there && fault && zl_shares(&extent.head);	/* it is to become so */
	if (!(args->flags & ZUS_MAP_REPORT) && limit > end)
		limit = end;
	if (limit > ZL_FILE_MAX_BYTES / ZLF_BLOCK_BYTES)
		limit = ZL_FILE_MAX_BYTES / ZLF_BLOCK_BYTES;
	blocks = limit - bn;
	mine = write ? zl_whole_at(zi, args->write_id, bn) : NULL;
	if (mine) {		/* the write's map in front ended inside of it */
		*next = mine->bn + mine->blocks;
		return answer(req, bn, *next - bn, zl_write_addr(mine, bn), ZUS_EXT_DATA,
			      ZUS_EXTF_COMMIT);
	}
	as_is = (!write && !own) || (args->flags & ZUS_MAP_ZERO && (!there || unwritten));
	if (as_is && !there)
		err = answer(req, bn, blocks, 0, ZUS_EXT_HOLE, 0);
	else if (!as_is && zl_write_over(zi, bn))
		return ZUS_BUSY_RETRY;
	else if (as_is || (there && !unwritten && in_place(zi, &extent)))
		err = map_there(req, &extent, bn, blocks);
	else if (unwritten)
		err = map_unwritten(req, zi, &extent, bn, blocks);
	else if (there && fault)
		err = map_fault_cow(req, zi, args, &extent, bn, &blocks, op);
	else
		err = map_elsewhere(req, zi, args, there ? &extent : NULL, bn, &blocks);
	*next = bn + blocks;
	return err;
}

/* --------------------------------------------------------------------- publish */

/* What a write made, of one map or of many. */
struct written {
	struct zl_write *writes;	/* in order; only blocks that hold some of it */
	uint64_t end;			/* of its bytes */
	uint64_t size_bytes;		/* of the file, if this counts */
	struct zus_time mtime;
};

/* A copy that ended inside a block: what it left there is the old bytes, not none. */
static void finish_copied(struct zl_inode *zi, const struct zl_write *w, uint64_t end)
{
	uint64_t bn = end / ZLF_BLOCK_BYTES, off, within = end % ZLF_BLOCK_BYTES, limit;
	struct zl_fs *fs = zi->obj.fs;
	struct zl_elem old;
	struct zl_dev *dev;

	if (w->kind != ZL_WRITE_COPIED || !within || bn < w->bn || bn >= w->bn + w->blocks ||
	    zl_extent_at(zi, bn, &old, &limit))
		return;
	dev = &fs->devs[zl_addr_dev(w->addr, &off)];
	off += (bn - w->bn) * ZLF_BLOCK_BYTES;
	zl_pm_copy(&dev->pm, ZL_DATA, off + within,
		   (const uint8_t *)zl_media(fs, block_addr(&old, bn)) + within,
		   ZLF_BLOCK_BYTES - within);
}

/* What was there goes: of neighbours at once, as they may be in one extent's place. */
static int op_make_way(struct zl_op *op, struct zl_inode *zi, const struct zl_write *w,
		       uint64_t *done, struct zlf_inode *body)
{
	uint64_t end = w->bn + w->blocks, freed;
	const struct zl_write *next;
	int err;

	if (w->kind == ZL_WRITE_UNWRITTEN)
		return zl_op_split(op, zi, w->bn, end);
	if (w->bn < *done)
		return 0;
	for (next = w->next; next && next->bn == end && next->kind == w->kind; next = next->next)
		end += next->blocks;
	err = zl_op_cut(op, zi, w->bn, end, &freed);
	if (!err)
		body->blocks = htole64(zl_get64(body->blocks) + (end - w->bn) - freed);
	*done = end;
	return err;
}

/*
 * Is there an extent of just these blocks? Since when it has been there matters only to a
 * boundary, so before the first one it need not be looked up.
 */
static bool is_all_of(struct zl_op *op, struct zl_inode *zi, const struct zl_write *w,
		      struct zl_elem *old)
{
	if (w->kind != ZL_WRITE_COPIED)
		return false;
	if (w->old_addr && w->change_tid == zi->obj.change_tid &&
	    !__atomic_load_n(&zi->obj.fs->boundary_tid, __ATOMIC_ACQUIRE)) {
		old->head = (struct zlf_elem) { .addr = htole64(w->old_addr) };
		op->no_boundary = true;
		return true;
	}
	return !zl_obj_find(&zi->obj, ZLF_REC_EXTENT, w->bn, old) &&
	       zl_get32(old->head.len) == w->blocks && !zl_shares(&old->head);
}

static int op_publish_one(struct zl_op *op, struct zl_inode *zi, const struct zl_write *w,
			  uint64_t *done, struct zlf_inode *body)
{
	struct zlf_elem elem = { .rec_type = ZLF_REC_EXTENT, .key = htole64(w->bn),
				 .addr = htole64(w->addr), .len = htole32(w->blocks) };
	struct zl_elem old;
	int err;

	if (w->bn >= *done && is_all_of(op, zi, w, &old)) {
		zl_op_replace(op, &zi->obj, &elem, &old.head);
		return 0;
	}
	err = op_make_way(op, zi, w, done, body);
	if (!err)
		zl_op_set(op, &zi->obj, &elem, NULL, 0);
	return err;
}

static int op_publish(struct zl_op *op, struct zl_inode *zi, const struct zl_write *writes,
		      struct zlf_inode *body)
{
	const struct zl_write *w;
	uint64_t done = 0;
	int err;

	for (w = writes; w; w = w->next) {
		err = op_publish_one(op, zi, w, &done, body);
		if (err)
			return err;
		if (ZL_BUG(WRITE_PARTS))
			zl_op_split_here(op);
	}
	return 0;
}

/* All that is to be said of it; *body: what the inode will be. */
static int op_written(struct zl_op *op, struct zl_inode *zi, const struct written *written,
		      struct zlf_inode *body)
{
	uint64_t end = written->end, size = zl_get64(zi->body.size_bytes);
	uint32_t mask = ZLF_IM_MTIME | ZLF_IM_CTIME_TOO;
	int err;

	*body = zi->body;
	err = op_publish(op, zi, written->writes, body);
	if (err)
		return err;
	if (end > size && written->size_bytes > size)
		body->size_bytes = htole64(end < written->size_bytes ? end : written->size_bytes);
	if (ZL_BUG(SIZE_BACK))
		body->size_bytes = htole64(end);
	if (body->blocks != zi->body.blocks || body->size_bytes != zi->body.size_bytes)
		mask |= ZLF_IM_SIZE;
	body->mtime = zl_time(&written->mtime);
	zl_op_inode(op, zi, mask, body);
	return 0;
}

/* Is the write over when this answer has been used? Else a word would make a part of it count. */
static bool is_all(const struct zl_inode *zi, const struct zus_map *args, uint64_t reach)
{
	if (!(zi->obj.fs->mount->features & ZUS_MF_WHOLE_WRITES))
		return true;
	return !args->write_id && !(args->flags & ZUS_MAP_MORE) &&
	       reach >= args->off + args->len_bytes;
}

/*
 * The whole write, as far as the answer reaches, as a record for the kernel to make valid. It
 * is of now; the kernel's own times come later. What fails here is left to MAP_DONE.
 */
static void offer_word(struct zl_op *op, struct zl_inode *zi, struct zus_req *req,
		       const struct zus_map *args, uint64_t bn)
{
	uint64_t end = args->off + args->len_bytes, reach = bn * ZLF_BLOCK_BYTES;
	struct written written;
	struct zlf_inode body;
	struct timespec now;

	if (!op->fs->offers_words || !is_all(zi, args, reach))
		return;
	written.writes = zl_writes_take(zi, zus_req_id(req));
	if (!written.writes)
		return;
	written.end = end < reach ? end : reach;
	written.size_bytes = written.end > args->size_bytes ? written.end : args->size_bytes;
	clock_gettime(CLOCK_REALTIME, &now);
	written.mtime = (struct zus_time) { now.tv_sec, (uint32_t)now.tv_nsec, 0 };
	if (!op_written(op, zi, &written, &body))
		zl_word_offer(op, &zi->obj, req, written.end, zl_get64(body.blocks));
	zl_writes_give(zi, written.writes);
}

/* ---------------------------------------------------------------------- requests */

/* The type, which is the same as long as there is the inode. */
ZL_OPTIMISTIC
static bool is_file(const struct zl_inode *zi)
{
	return S_ISREG(zl_get32(__atomic_load_n(&zi->body.mode, __ATOMIC_RELAXED)));
}

/*
 * A read of what is one extent, of a file of which nothing is pending: without a lock, so that
 * readers share no line that anybody writes. false: the lock's turn.
 */
static bool map_settled(struct zus_req *req, struct zl_inode *zi, const struct zus_map *args,
			uint64_t bn, uint64_t end, int *err)
{
	const struct zl_key key = { .obj = zi->obj.id, .rec_type = ZLF_REC_EXTENT, .key = bn };
	struct zl_elem extent;
	uint64_t begun;

	if (args->flags != ZUS_MAP_READ || !zl_obj_settled(&zi->obj, &begun) || !is_file(zi) ||
	    zl_tree_prev(zi->obj.fs, &key, true, &extent) ||
	    zl_get64(extent.head.obj) != key.obj || extent.head.rec_type != key.rec_type ||
	    zl_extent_end(&extent) < end || !zl_obj_still(&zi->obj, begun))
		return false;
	*err = map_there(req, &extent, bn, end - bn);
	return true;
}

int zl_map(struct zus_req *req, struct zus_inode *inode, const struct zus_map *args)
{
	struct zl_inode *zi = zl_inode_of_zus(inode);
	uint64_t begin = args->off / ZLF_BLOCK_BYTES, bn = begin, next = 0;
	uint64_t end = (args->off + args->len_bytes + ZLF_BLOCK_BYTES - 1) / ZLF_BLOCK_BYTES;
	bool write = args->flags & ZUS_MAP_WRITE;
	bool changes = write || (args->flags & ZUS_MAP_FAULT && zl_fs_of(inode)->clones);
	struct zl_op op;
	int err = 0;

	if (map_settled(req, zi, args, begin, end, &err))
		return err;
	op.num_items = 0;
	op.err = 0;
	if (!S_ISREG(zl_get32(zi->body.mode)))
		return -EINVAL;
	if (args->flags & ZUS_MAP_STAY)
		return ZUS_BUSY_RETRY;
	if (changes)
		err = zl_op_begin(&op, zl_fs_of(inode), req, ZL_SPACE_REMOVE);
	if (err && write)
		return err;
	err = 0;		/* who reads may find that nothing need be changed */
	zl_obj_lock(&zi->obj);
	if (changes && zi->obj.word)
		err = ZUS_BUSY_RETRY;	/* a write is under way */
	while (!err && bn < end && zus_req_extents_left(req)) {
		err = map_one(req, zi, args, bn, end, &next, &op);
		bn = err ? bn : next;
		if (op.num_items)
			break;		/* a record of its own */
	}
	if (bn > begin && !op.num_items && write && !(args->flags & (ZUS_MAP_FAULT | ZUS_MAP_ZERO)))
		offer_word(&op, zi, req, args, bn);
	pthread_mutex_unlock(&zi->obj.lock);
	if (changes)
		zl_op_end(&op);
	return bn > begin ? 0 : err;	/* a part is an answer, too */
}

/* Blocks that hold some of [.., end), whole and durable; the others are free. */
static void finish(struct zl_inode *zi, struct zl_write **writes, uint64_t end)
{
	const struct zl_write *w;

	for (w = *writes; w; w = w->next)
		finish_copied(zi, w, end);
	zl_pm_fence();
	zl_writes_trim(zi->obj.fs, writes, end);
}

static int op_done(struct zl_op *op, struct zl_inode *zi, const struct written *written)
{
	struct zlf_inode body;
	int err = op_written(op, zi, written, &body);

	return err ? err : zl_op_commit(op);
}

static int publish(struct zl_op *op, struct zl_inode *zi, const struct written *written)
{
	int err = op_done(op, zi, written);

	if (err == -EAGAIN) {	/* the first boundary came */
		zl_op_again(op);
		err = op_done(op, zi, written);
	}
	return err;
}

/* A part of a write that goes on. */
static int keep_part(struct zl_inode *zi, const struct zus_map_done *args, struct zl_write *writes)
{
	uint64_t end = args->off + args->written_bytes;

	finish(zi, &writes, end);
	return zl_whole_add(zi, args->write_id ? args->write_id : args->map_id, writes, end,
			    args->size_bytes);
}

/* The last, or only, part of one. */
static int end_write(struct zl_inode *zi, const struct zus_map_done *args, struct zl_op *op,
		     struct zl_write *writes)
{
	uint64_t end = args->written_bytes ? args->off + args->written_bytes : 0;
	struct written written = { writes, end, args->size_bytes, args->mtime };
	int err = 0;

	finish(zi, &written.writes, end);
	if (args->write_id)
		err = zl_whole_take(zi, args->write_id, &written.writes, &written.end,
				    &written.size_bytes);
	err = err ? err : publish(op, zi, &written);
	zl_writes_drop(zi->obj.fs, written.writes, !err);
	return err;
}

static void lock_for_done(struct zl_inode *zi, const struct zus_map_done *args)
{
	if (args->flags & ZUS_MAP_COMMITTED)
		zl_obj_lock_told(&zi->obj, args->map_id);
	else
		zl_obj_lock(&zi->obj);
}

static int done_locked(struct zl_inode *zi, const struct zus_map_done *args, struct zl_op *op)
{
	struct zl_write *writes;

	if (zl_word_of(&zi->obj, args->map_id)) {
		zl_word_drop(&zi->obj);
		if (args->flags & ZUS_MAP_COMMITTED)
			return -EIO;	/* the medium says that it was not */
	}
	writes = zl_writes_take(zi, args->map_id);
	if (args->flags & ZUS_MAP_MORE)
		return keep_part(zi, args, writes);
	if (op)
		return end_write(zi, args, op, writes);
	zl_writes_drop(zi->obj.fs, writes, false);
	return 0;
}

/* A mistake that bug.h has. */
static const struct zus_map_done *part_of(const struct zus_map_done *args,
					  struct zus_map_done *part)
{
	*part = *args;
	part->flags &= ~ZUS_MAP_MORE;
	part->write_id = 0;
	return part;
}

int zl_map_done(struct zus_req *req, struct zus_inode *inode, const struct zus_map_done *args,
		struct zus_attr *out)
{
	struct zl_inode *zi = zl_inode_of_zus(inode);
	struct zus_map_done part;
	struct zl_op op;
	bool publish;
	int err = 0;

	if (ZL_BUG(WHOLE_PARTS))
		args = part_of(args, &part);
	publish = (args->written_bytes || args->write_id) &&
		  !(args->flags & (ZUS_MAP_COMMITTED | ZUS_MAP_MORE));
	if (publish)
		err = zl_op_begin(&op, zl_fs_of(inode), req, ZL_SPACE_REMOVE);
	lock_for_done(zi, args);
	if (err) {
		zl_writes_drop(zi->obj.fs, zl_writes_take(zi, args->map_id), false);
	} else {
		err = done_locked(zi, args, publish ? &op : NULL);
		if (publish)
			zl_op_end(&op);
	}
	if (err && (args->write_id || args->flags & ZUS_MAP_MORE))
		zl_whole_drop(zi);
	if (out)
		zl_attr(zi, out);
	pthread_mutex_unlock(&zi->obj.lock);
	return err;
}
