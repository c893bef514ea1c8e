// SPDX-License-Identifier: BSD-3-Clause
/*
 * op.c - an operation: its items are gathered, written as one record (or a chain of them, of
 * which all count or none), and then take effect.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "pending.h"

int zl_op_begin(struct zl_op *op, struct zl_fs *fs, const struct zus_req *req,
		enum zl_space_class class)
{
	int err = 0;

	op->fs = fs;
	op->op_id = 0;
	if (zus_req_op_slot(req) != ZUS_NO_SLOT)
		op->op_id = (uint64_t)zus_req_op_slot(req) << 48 |
			    (zus_req_op_seq(req) & ((1ull << 48) - 1));
	op->floor_tid = op->tid = 0;
	op->num_allocs = 0;
	op->allocs = NULL;
	op->item_bytes = op->num_items = 0;
	op->items = op->first;
	op->items_max = sizeof(op->first);
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
}

/* Zeroed. NULL: no memory, which commit will say. */
static void *room(struct zl_op *op, uint32_t bytes)
{
	uint32_t max = 2 * op->items_max;
	uint8_t *items;

	if (op->item_bytes + bytes > op->items_max) {
		while (op->item_bytes + bytes > max)
			max *= 2;
		items = realloc(op->items == op->first ? NULL : op->items, max);
		if (!items) {
			op->err = -ENOMEM;
			return NULL;
		}
		if (op->items == op->first)
			memcpy(items, op->first, op->item_bytes);
		op->items = items;
		op->items_max = max;
	}
	items = op->items + op->item_bytes;
	memset(items, 0, bytes);
	op->item_bytes += bytes;
	op->num_items++;
	return items;
}

static void *add_item(struct zl_op *op, struct zl_obj *obj, const struct zlf_item *head)
{
	struct zlf_item *item = room(op, zl_item_bytes(head));

	if (!item)
		return NULL;
	*item = *head;
	item->obj = htole64(obj->id);
	if (op->floor_tid < obj->change_tid)
		op->floor_tid = obj->change_tid;
	return item + 1;
}

void zl_op_set(struct zl_op *op, struct zl_obj *obj, const struct zlf_elem *elem,
	       const void *payload, uint32_t payload_bytes)
{
	struct zlf_item item = {
		.kind = ZLF_ITEM_SET, .rec_type = elem->rec_type, .obj_type = elem->obj_type,
		.flags = elem->flags, .payload_bytes = htole16((uint16_t)payload_bytes),
	};
	struct zlf_item_key *key = add_item(op, obj, &item);

	if (!key)
		return;
	key->key = elem->key;
	key->addr = elem->addr;
	key->len = elem->len;
	key->aux = elem->aux;
	key->create_tid = elem->create_tid;
	if (payload_bytes)
		memcpy(key + 1, payload, payload_bytes);
}

void zl_op_free(struct zl_op *op, struct zl_obj *obj, const struct zlf_elem *extent)
{
	struct zlf_item item = { .kind = ZLF_ITEM_FREE, .rec_type = ZLF_REC_EXTENT };
	struct zlf_item_key *key = add_item(op, obj, &item);

	if (!key)
		return;
	key->key = extent->key;
	key->addr = extent->addr;
	key->len = extent->len;
	key->create_tid = extent->create_tid;
}

void zl_op_del(struct zl_op *op, struct zl_obj *obj, uint32_t rec_type, uint64_t key)
{
	struct zlf_item item = { .kind = ZLF_ITEM_DEL, .rec_type = (uint8_t)rec_type };
	zlf_le64 *body = add_item(op, obj, &item);

	if (body)
		*body = htole64(key);
}

void zl_op_range(struct zl_op *op, struct zl_obj *obj, uint32_t rec_type, uint64_t from,
		 uint64_t to)
{
	struct zlf_item item = { .kind = ZLF_ITEM_RANGE, .rec_type = (uint8_t)rec_type };
	struct zlf_item_key *key = add_item(op, obj, &item);

	if (!key)
		return;
	key->key = htole64(from);
	key->addr = htole64(to);
}

void zl_op_inode(struct zl_op *op, struct zl_inode *zi, uint32_t mask,
		 const struct zlf_inode *body)
{
	struct zlf_item item = { .kind = ZLF_ITEM_INODE, .mask = htole16((uint16_t)mask) };
	uint8_t *to = add_item(op, &zi->obj, &item);
	uint32_t part;

	for (part = 0; to && part < ZLF_IM_PARTS; part++)
		if (mask >> part & 1) {
			memcpy(to, (const uint8_t *)body + part * ZLF_IM_PART_BYTES,
			       ZLF_IM_PART_BYTES);
			to += ZLF_IM_PART_BYTES;
		}
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

/* As many items from at on as fit into a record. */
static uint32_t items_that_fit(const struct zl_op *op, uint32_t at)
{
	uint32_t most = op->fs->geo.record_lines_max * ZLF_LINE_BYTES -
			(uint32_t)offsetof(struct zlf_record, items);
	uint32_t end = at, next;

	if (ZL_BUG(CHAIN_PART))		/* so that a short test has chains */
		most = 5 * ZLF_LINE_BYTES;
	while (end < op->item_bytes) {
		next = end + zl_item_bytes((const void *)(op->items + end));
		if (next - at > most)
			break;
		end = next;
	}
	return end - at;
}

static int append_part(struct zl_op *op, struct zl_log *log, uint32_t at, uint32_t bytes)
{
	union {
		struct zlf_record record;
		uint8_t bytes[ZLF_RECORD_LINES_MAX * ZLF_LINE_BYTES];
	} buf __attribute__((aligned(ZLF_LINE_BYTES)));
	struct zlf_record *record = &buf.record;
	uint32_t all = (uint32_t)offsetof(struct zlf_record, items) + bytes, lines;
	bool whole = bytes == op->item_bytes, last = at + bytes == op->item_bytes;

	lines = (all + ZLF_LINE_BYTES - 1) / ZLF_LINE_BYTES;
	*record = (struct zlf_record) {
		.type = ZLF_LOG_OP, .lines = (uint8_t)lines, .tid = htole64(op->tid),
		.flags = htole16(whole ? 0 : last ? ZLF_LF_PART | ZLF_LF_LAST : ZLF_LF_PART),
		.op_id = htole64(op->op_id), .chain = htole64(whole ? 0 : op->tid),
		.item_bytes = htole32(bytes),
	};
	memcpy(record->items, op->items + at, bytes);
	memset(buf.bytes + all, 0, lines * ZLF_LINE_BYTES - all);
	return zl_log_append(op->fs, log, record);
}

static int append_all(struct zl_op *op, struct zl_log *log)
{
	uint32_t at, bytes;
	int err = 0;

	for (at = 0; at < op->item_bytes && !err; at += bytes) {
		bytes = items_that_fit(op, at);
		if (!bytes)
			return -E2BIG;
		err = append_part(op, log, at, bytes);
	}
	return err;
}

/* The slot's newest operation, for who asks whether it was done. */
void zl_slot_note(struct zl_fs *fs, uint64_t op_id, const uint8_t *items)
{
	const struct zlf_item *item = (const void *)items;

	if (op_id && op_id >> 48 < fs->geo.num_slots)
		fs->slots[op_id >> 48] = (struct zlf_slot) { htole64(op_id), item->obj };
}

int zl_op_commit_on(struct zl_op *op, struct zl_log *log)
{
	struct zl_fs *fs = op->fs;
	struct zl_spares spares;
	int err = op->err;

	if (err || !op->num_items)
		return err;
	err = zl_spares_fill(&spares, op->num_items);
	if (err)
		return err;
	op->tid = zl_tid_next(fs, log, op->floor_tid);
	if (ZL_BUG(TID_APART)) {
		pthread_mutex_unlock(&log->lock);
		pthread_mutex_lock(&log->lock);
	}
	err = append_all(op, log);
	if (!ZL_BUG(NO_FENCE) && !ZL_BUG(FENCE_LATE))
		zl_pm_fence();
	if (!err)
		zl_slot_note(fs, op->op_id, op->items);
	if (!err)
		err = zl_effects(fs, &log->queue, &spares, op->tid, op->items, op->item_bytes);
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

void zl_op_split_here(struct zl_op *op)
{
	zl_op_commit(op);
	op->item_bytes = op->num_items = 0;
}
