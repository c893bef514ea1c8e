// SPDX-License-Identifier: BSD-3-Clause
/*
 * op.c - an operation: its items are gathered, written as one record (or a chain of them, of
 * which all count or none), and then take effect.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "item.h"
#include "ops.h"
#include "pending.h"

int zl_op_begin(struct zl_op *op, struct zl_fs *fs, const struct zus_req *req,
		enum zl_space_class class)
{
	int err = 0;

	op->fs = fs;
	op->op_id = zl_slot_op_id(zus_req_op_slot(req), zus_req_op_seq(req));
	op->floor_tid = op->tid = 0;
	op->num_allocs = 0;
	op->allocs = NULL;
	op->item_bytes = op->num_items = 0;
	op->said = op->no_boundary = false;
	op->items = op->first;
	op->items_max = sizeof(op->first);
	op->objs = op->first_objs;
	op->objs_max = ZL_OP_OBJS;
	if (fs->rdonly || __atomic_load_n(&fs->frozen, __ATOMIC_ACQUIRE))
		err = -EROFS;
	if (!err && (zl_log_pressed(fs) || zl_space_short(fs)))
		err = zl_make_room(fs);
	if (!err)
		err = zl_space_admit(fs, class);
	op->err = err;
	return err;
}

void zl_op_end(struct zl_op *op)
{
	if (ZL_BUG(FENCE_LATE))
		zl_pm_fence();
	while (op->num_allocs--)
		zl_blocks_free(op->fs, op->allocs[op->num_allocs].addr,
			       op->allocs[op->num_allocs].blocks);
	op->num_allocs = 0;
	free(op->allocs);
	op->allocs = NULL;
	if (op->items != op->first)
		free(op->items);
	op->items = op->first;
	if (op->objs != op->first_objs)
		free(op->objs);
	op->objs = op->first_objs;
}

/* At least as much as is wanted; NULL: no memory, which commit will say. */
static void *grow(struct zl_op *op, void *now, const void *first, uint32_t *max, size_t used,
		  size_t want, size_t unit)
{
	uint32_t n = *max;
	void *grown;

	while (n < want)
		n *= 2;
	grown = realloc(now == first ? NULL : now, n * unit);
	if (!grown) {
		op->err = -ENOMEM;
		return NULL;
	}
	if (now == first)
		memcpy(grown, first, used * unit);
	*max = n;
	return grown;
}

/* For an item of so many bytes; zeroed. */
static uint8_t *room(struct zl_op *op, uint32_t bytes)
{
	void *grown;

	if (op->num_items == op->objs_max) {
		grown = grow(op, op->objs, op->first_objs, &op->objs_max, op->num_items,
			     op->num_items + 1ul, sizeof(struct zl_obj *));
		if (!grown)
			return NULL;
		op->objs = grown;
	}
	if (op->item_bytes + bytes > op->items_max) {
		grown = grow(op, op->items, op->first, &op->items_max, op->item_bytes,
			     op->item_bytes + (size_t)bytes, 1);
		if (!grown)
			return NULL;
		op->items = grown;
	}
	memset(op->items + op->item_bytes, 0, bytes);
	return op->items + op->item_bytes;
}

static void add_item(struct zl_op *op, struct zl_obj *obj, struct zl_item *item)
{
	bool same = op->said && op->num_items && op->objs[op->num_items - 1] == obj;
	uint32_t bytes = zl_item_bytes(item, same);
	uint8_t *to = room(op, bytes);

	if (!to)
		return;
	item->obj = obj->id;
	zl_item_encode(to, item, same);
	op->said = !same;
	op->objs[op->num_items++] = obj;
	op->item_bytes += bytes;
	if (op->floor_tid < obj->change_tid)
		op->floor_tid = obj->change_tid;
}

static struct zl_item item_of(const struct zlf_elem *elem, const void *payload, uint32_t bytes)
{
	struct zl_item item = {
		.kind = ZLF_ITEM_SET, .rec_type = elem->rec_type, .obj_type = elem->obj_type,
		.flags = elem->flags, .key = zl_get64(elem->key), .addr = zl_get64(elem->addr),
		.len = zl_get32(elem->len), .aux = zl_get32(elem->aux),
		.create_tid = zl_get64(elem->create_tid), .payload = payload,
		.payload_bytes = (uint16_t)bytes,
	};
	uint32_t aux = elem->rec_type == ZLF_REC_DIRENT ? item.len : 0;

	item.mask = (uint16_t)((item.addr ? ZLF_IK_ADDR : 0) |
			       (item.len != bytes || item.aux != aux ? ZLF_IK_LEN : 0) |
			       (item.create_tid ? ZLF_IK_SINCE : 0));
	return item;
}

void zl_op_set(struct zl_op *op, struct zl_obj *obj, const struct zlf_elem *elem,
	       const void *payload, uint32_t payload_bytes)
{
	struct zl_item item = item_of(elem, payload, payload_bytes);

	add_item(op, obj, &item);
}

void zl_op_replace(struct zl_op *op, struct zl_obj *obj, const struct zlf_elem *extent,
		   const struct zlf_elem *old)
{
	struct zl_item item = item_of(extent, NULL, 0);

	item.mask |= ZLF_IK_OLD;
	item.old_addr = zl_get64(old->addr);
	item.old_create_tid = zl_get64(old->create_tid);
	add_item(op, obj, &item);
}

void zl_op_free(struct zl_op *op, struct zl_obj *obj, const struct zlf_elem *extent)
{
	struct zl_item item = item_of(extent, NULL, 0);

	item.kind = ZLF_ITEM_FREE;
	item.obj_type = 0;
	item.flags &= ZLF_EF_SHARED;
	add_item(op, obj, &item);
}

void zl_op_del(struct zl_op *op, struct zl_obj *obj, uint32_t rec_type, uint64_t key)
{
	struct zl_item item = { .kind = ZLF_ITEM_DEL, .rec_type = (uint8_t)rec_type, .key = key };

	add_item(op, obj, &item);
}

void zl_op_range(struct zl_op *op, struct zl_obj *obj, uint32_t rec_type, uint64_t from,
		 uint64_t to)
{
	struct zl_item item = { .kind = ZLF_ITEM_RANGE, .rec_type = (uint8_t)rec_type,
				.key = from, .addr = to, .mask = ZLF_IK_ADDR };

	add_item(op, obj, &item);
}

/* Of the inode's parts those that the mask names, one behind the other. */
static void copy_parts(uint8_t *to, const struct zlf_inode *body, uint32_t mask)
{
	uint32_t part;

	for (part = 0; part < ZLF_IM_PARTS; part++)
		if (mask >> part & 1) {
			memcpy(to, (const uint8_t *)body + part * ZLF_IM_PART_BYTES,
			       ZLF_IM_PART_BYTES);
			to += ZLF_IM_PART_BYTES;
		}
}

void zl_op_inode(struct zl_op *op, struct zl_inode *zi, uint32_t mask,
		 const struct zlf_inode *body)
{
	uint8_t parts[sizeof(*body)];
	struct zl_item item = { .kind = ZLF_ITEM_INODE, .mask = (uint16_t)mask, .payload = parts };

	copy_parts(parts, body, mask);
	add_item(op, &zi->obj, &item);
}

uint64_t zl_op_blocks(struct zl_op *op, uint64_t want, bool whole, uint32_t *got)
{
	struct zl_run *grown = realloc(op->allocs, (op->num_allocs + 1ul) * sizeof(*grown));
	uint32_t most = op->fs->geo.segment_blocks;
	uint64_t addr;

	if (!grown) {
		op->err = -ENOMEM;
		return 0;
	}
	op->allocs = grown;
	addr = zl_blocks_alloc(op->fs, ZL_SPACE_WRITE, want < most ? (uint32_t)want : most, 0,
			       whole, got);
	if (!addr)
		op->err = -ENOSPC;
	else
		op->allocs[op->num_allocs++] = (struct zl_run) { addr, *got };
	return addr;
}

uint64_t zl_op_block(struct zl_op *op)
{
	uint32_t got;

	return zl_op_blocks(op, 1, false, &got);
}

/* --------------------------------------------------------------------- commit */

/*
 * As many items from at on as fit into a record. One that does not say its object stays with
 * the one in front.
 */
static uint32_t items_that_fit(const struct zl_op *op, uint32_t at)
{
	uint32_t most = op->fs->geo.record_lines_max * ZLF_LINE_BYTES -
			(uint32_t)offsetof(struct zlf_record, items);
	struct zl_items items = zl_items(op->items + at, op->item_bytes - at);
	uint32_t fit = 0, begin = 0, end;
	struct zl_item item;

	if (ZL_BUG(CHAIN_PART))		/* so that a short test has chains */
		most = 2 * ZLF_LINE_BYTES;
	while (zl_item_next(&items, &item)) {
		end = op->item_bytes - at - items.left_bytes;
		if (items.said)
			fit = begin;
		if (end > most)
			return fit;
		begin = end;
	}
	return begin;
}

static uint32_t record_lines(uint32_t item_bytes)
{
	return ((uint32_t)offsetof(struct zlf_record, items) + item_bytes + ZLF_LINE_BYTES - 1) /
	       (uint32_t)ZLF_LINE_BYTES;
}

static int append_part(struct zl_op *op, struct zl_log *log, uint32_t at, uint32_t bytes,
		       uint16_t flags)
{
	union {
		struct zlf_record record;
		uint8_t bytes[ZLF_RECORD_LINES_MAX * ZLF_LINE_BYTES];
	} buf __attribute__((aligned(ZLF_LINE_BYTES)));
	struct zlf_record *record = &buf.record;
	uint32_t all = (uint32_t)offsetof(struct zlf_record, items) + bytes;
	uint32_t lines = record_lines(bytes);

	*record = (struct zlf_record) {
		.type = ZLF_LOG_OP, .lines = (uint8_t)lines, .tid = htole64(op->tid),
		.flags = htole16(flags),
		.op_id = htole64(op->op_id), .chain = htole64(flags & ZLF_LF_PART ? op->tid : 0),
		.item_bytes = htole32(bytes),
	};
	memcpy(record->items, op->items + at, bytes);
	memset(buf.bytes + all, 0, lines * ZLF_LINE_BYTES - all);
	return zl_log_append(op->fs, log, record);
}

static int append_all(struct zl_op *op, struct zl_log *log)
{
	uint32_t at, bytes;
	uint16_t flags;
	int err = 0;

	for (at = 0; at < op->item_bytes && !err; at += bytes) {
		bytes = items_that_fit(op, at);
		if (!bytes)
			return -E2BIG;
		flags = bytes == op->item_bytes ? 0 : ZLF_LF_PART;
		if (flags && at + bytes == op->item_bytes)
			flags |= ZLF_LF_LAST;
		err = append_part(op, log, at, bytes, flags);
	}
	return err;
}

int zl_op_append_word(struct zl_op *op, struct zl_log *log, struct zus_word *word)
{
	struct zl_fs *fs = op->fs;
	int err;

	if (items_that_fit(op, 0) != op->item_bytes)
		return -E2BIG;
	op->tid = zl_tid_next(fs, log, op->floor_tid);
	err = append_part(op, log, 0, op->item_bytes, ZLF_LF_WORD);
	if (err)
		return err;
	word->new_le64 = htole64(op->tid);
	word->dev = (uint32_t)(zl_seg_dev(fs, log->open->seg) - fs->devs);
	word->dev_off = zl_seg_off(fs, log->open->seg) + offsetof(struct zlf_record, word) +
			(log->pos - record_lines(op->item_bytes)) * ZLF_LINE_BYTES;
	return 0;
}

/* What the word may yet make so is not to be overtaken. */
static bool word_under_way(const struct zl_op *op)
{
	uint32_t i;

	for (i = 0; i < op->num_items; i++)
		if (op->objs[i]->word)
			return true;
	return false;
}

int zl_op_commit_on(struct zl_op *op, struct zl_log *log)
{
	struct zl_fs *fs = op->fs;
	struct zl_spares spares;
	int err = op->err;

	if (err || !op->num_items)
		return err;
	if (op->no_boundary && fs->boundary_tid)
		return -EAGAIN;
	if (word_under_way(op))
		return ZUS_BUSY_RETRY;
	err = zl_spares_fill(&spares, op->items, op->item_bytes);
	if (err)
		return err;
	op->tid = zl_tid_next(fs, log, op->floor_tid);
	if (ZL_BUG(TID_APART)) {
		pthread_mutex_unlock(&log->lock);
		pthread_mutex_lock(&log->lock);
	}
	err = append_all(op, log);
	if (!(ZL_BUG(NO_FENCE) || ZL_BUG(FENCE_LATE)))
		zl_pm_fence();
	if (!err)
		zl_slot_note(fs, op->op_id, op->objs[0]->id);
	if (!err)
		err = zl_effects(fs, &log->queue, &spares, op->tid, op->items, op->item_bytes,
				 op->objs);
	if (!err)
		op->num_allocs = 0;	/* they are what the items say */
	zl_spares_free(&spares);
	return err;
}

int zl_op_commit(struct zl_op *op)
{
	struct zl_log *log = zl_log_here(op->fs);
	int err;

	pthread_mutex_lock(&log->lock);
	err = zl_op_commit_on(op, log);
	pthread_mutex_unlock(&log->lock);
	return err;
}

void zl_op_again(struct zl_op *op)
{
	op->item_bytes = op->num_items = 0;
	op->said = op->no_boundary = false;
}

void zl_op_split_here(struct zl_op *op)
{
	zl_op_commit(op);
	zl_op_again(op);
}
