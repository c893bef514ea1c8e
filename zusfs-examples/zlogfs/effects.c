// SPDX-License-Identifier: BSD-3-Clause
/*
 * effects.c - what a record does to the objects in memory. An operation calls it when its
 * record is durable, and a mount for each record that it finds: so both come to the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pending.h"
#include "shell.h"

/* --------------------------------------------------------------------- items */

static uint32_t inode_bytes(uint32_t mask)
{
	return (uint32_t)__builtin_popcount(mask & ZLF_IM_ALL) * ZLF_IM_PART_BYTES;
}

/* What follows zlf_item of each kind; UINT32_MAX: no such kind. */
static uint32_t item_body_bytes(const struct zlf_item *item)
{
	switch (item->kind) {
	case ZLF_ITEM_SET:
	case ZLF_ITEM_RANGE:
	case ZLF_ITEM_FREE:
		return sizeof(struct zlf_item_key) + ((zl_get16(item->payload_bytes) + 7u) & ~7u);
	case ZLF_ITEM_DEL:
		return sizeof(zlf_le64);
	case ZLF_ITEM_INODE:
		return inode_bytes(zl_get16(item->mask));
	default:
		return UINT32_MAX;
	}
}

static struct zl_elem elem_of(const struct zlf_item *item, uint64_t tid);

static bool item_valid(const struct zl_fs *fs, const struct zlf_item *item)
{
	const struct zlf_item_key *key = (const void *)(item + 1);
	uint64_t obj = zl_get64(item->obj);
	uint32_t mask = zl_get16(item->mask);
	struct zl_elem elem;

	switch (item->kind) {
	case ZLF_ITEM_INODE:
		return zl_ino_valid(obj) && zl_body_parts_valid(mask, item + 1) &&
		       (!(mask & ZLF_IM_NEW) || (mask & ZLF_IM_ALL) == ZLF_IM_ALL);
	case ZLF_ITEM_DEL:
		return !zl_key_check(item->rec_type, obj, zl_get64(key->key));
	case ZLF_ITEM_RANGE:
		return obj && obj < ZL_OBJ_END && item->rec_type && item->rec_type <= ZLF_REC_LAST &&
		       item->rec_type != ZLF_REC_INODE;
	default:
		if (zl_get16(item->payload_bytes) > ZLF_ELEM_PAYLOAD_MAX ||
		    (item->kind == ZLF_ITEM_FREE && item->rec_type != ZLF_REC_EXTENT))
			return false;
		elem = elem_of(item, 1);
		return !zl_elem_check(fs, &elem.head);
	}
}

bool zl_items_valid(const struct zl_fs *fs, const uint8_t *items, uint32_t bytes, uint32_t *n)
{
	const struct zlf_item *item;
	uint32_t at = 0, body;

	*n = 0;
	while (at < bytes) {
		item = (const void *)(items + at);
		if (bytes - at < sizeof(*item))
			return false;
		body = item_body_bytes(item);
		if (body == UINT32_MAX || bytes - at - sizeof(*item) < body ||
		    !item_valid(fs, item))
			return false;
		at += (uint32_t)sizeof(*item) + body;
		++*n;
	}
	return true;
}

uint32_t zl_item_bytes(const struct zlf_item *item)
{
	return (uint32_t)sizeof(*item) + item_body_bytes(item);
}

/* -------------------------------------------------------------------- spares */

union spare_bytes {
	struct zl_spare spare;
	struct zl_pending pending;
	struct zl_range range;
	struct zl_freed freed;
};

int zl_spares_fill(struct zl_spares *spares, uint32_t n)
{
	union spare_bytes *bytes;

	spares->first = NULL;
	while (n--) {
		bytes = calloc(1, sizeof(*bytes));
		if (!bytes) {
			zl_spares_free(spares);
			return -ENOMEM;
		}
		bytes->spare.next = spares->first;
		spares->first = &bytes->spare;
	}
	return 0;
}

static void *take_spare(struct zl_spares *spares)
{
	struct zl_spare *spare = spares->first;

	spares->first = spare->next;
	spare->next = NULL;
	return spare;
}

void zl_spares_free(struct zl_spares *spares)
{
	while (spares->first)
		free(take_spare(spares));
}

/* ------------------------------------------------------------------- pending */

/* Where a record's effects go. */
struct zl_effect {
	struct zl_fs *fs;
	struct zl_work_list *queue;
	struct zl_spares *spares;
	uint64_t tid;
};

void zl_pending_free(struct zl_pending *p)
{
	struct zl_obj *obj = p->obj;

	free(p);
	zl_obj_put(obj);
}

/*
 * May its place be taken, as if it had not been? Else it has to come into the tree first. A
 * mount takes every step again, as it can't tell how far each had come.
 */
static bool may_forget(const struct zl_fs *fs, const struct zl_pending *p)
{
	return !p->staged && !fs->recovering &&
	       p->work.tid > __atomic_load_n(&fs->boundary_tid, __ATOMIC_ACQUIRE);
}

static void enqueue(struct zl_effect *to, struct zl_work *work, enum zl_work_kind kind)
{
	work->kind = kind;
	work->tid = work->order = to->tid;
	TAILQ_INSERT_TAIL(to->queue, work, link);
}

/*
 * What is pending of the key becomes elem. A place in the queue that is there is kept: what a
 * key comes to may be in the tree before its turn, never behind it.
 */
static void set_pending(struct zl_effect *to, struct zl_obj *obj, const struct zl_elem *elem)
{
	struct zl_pending *p = zl_pending_find(obj, elem->head.rec_type,
					       zl_get64(elem->head.key));

	if (p && !may_forget(to->fs, p)) {
		zl_pending_detach(p, to->tid);
		p = NULL;
	}
	if (p) {
		p->work.tid = to->tid;
		p->elem = *elem;
		return;
	}
	p = take_spare(to->spares);
	p->obj = zl_obj_get(to->fs, obj->id);
	p->elem = *elem;
	enqueue(to, &p->work, ZL_WORK_PENDING);
	zl_pending_insert(p);
}

static void add_range(struct zl_effect *to, struct zl_obj *obj, const struct zlf_item *item)
{
	const struct zlf_item_key *key = (const void *)(item + 1);
	uint64_t from = zl_get64(key->key), end = zl_get64(key->addr);
	struct zl_range *range = take_spare(to->spares);
	struct zl_pending *p;

	/* they come into the tree first, so that each block leaves it once */
	while ((p = zl_pending_next(obj, item->rec_type, from)) &&
	       (zl_get64(p->elem.head.key) < end || end == UINT64_MAX))
		zl_pending_detach(p, to->tid);
	range->obj = zl_obj_get(to->fs, obj->id);
	range->from = from;
	range->to = end;
	range->rec_type = item->rec_type;
	enqueue(to, &range->work, ZL_WORK_RANGE);
	TAILQ_INSERT_TAIL(&obj->ranges, range, in_obj);
}

static void add_freed(struct zl_effect *to, const struct zl_elem *elem)
{
	struct zl_freed *freed = take_spare(to->spares);

	freed->elem = *elem;
	enqueue(to, &freed->work, ZL_WORK_FREE);
}

/* -------------------------------------------------------------------- effects */

static struct zl_elem elem_of(const struct zlf_item *item, uint64_t tid)
{
	const struct zlf_item_key *key = (const void *)(item + 1);
	uint32_t bytes = zl_get16(item->payload_bytes);
	struct zl_elem elem = { .head = {
		.rec_type = item->rec_type,
		.lines = (uint8_t)(1 + (bytes + ZLF_LINE_BYTES - 1) / ZLF_LINE_BYTES),
		.obj_type = item->obj_type, .flags = item->flags, .obj = item->obj,
		.key = key->key, .create_tid = key->create_tid ? key->create_tid : htole64(tid),
		.end_tid = htole64(tid), .addr = key->addr, .len = key->len, .aux = key->aux,
	} };

	memcpy(elem.payload, key + 1, bytes);
	return elem;
}

static struct zl_elem inode_elem(const struct zl_inode *zi, uint64_t tid)
{
	struct zl_elem elem = { .head = {
		.rec_type = ZLF_REC_INODE, .lines = 3, .obj = htole64(zi->obj.id),
		.create_tid = htole64(tid), .end_tid = htole64(tid),
		.len = htole32(sizeof(zi->body)),
	} };

	memcpy(elem.payload, &zi->body, sizeof(zi->body));
	return elem;
}

/* The parts that the item has replace those of the inode. */
static int change_inode(struct zl_effect *to, struct zl_inode *zi, const struct zlf_item *item)
{
	uint32_t mask = zl_get16(item->mask), part;
	const uint8_t *from = (const uint8_t *)(item + 1);
	uint8_t *body = (uint8_t *)&zi->body;
	struct zl_elem elem;
	int err = mask & ZLF_IM_NEW ? 0 : zl_inode_load(zi);

	/* gone later, and that has been applied: a mount meets both again */
	if (err)
		return err == -ENOENT && to->fs->recovering ? 0 : err;
	zi->loaded = true;
	for (part = 0; part < ZLF_IM_PARTS; part++)
		if (mask >> part & 1) {
			memcpy(body + part * ZLF_IM_PART_BYTES, from, ZLF_IM_PART_BYTES);
			from += ZLF_IM_PART_BYTES;
		}
	if (mask & ZLF_IM_CTIME_TOO)
		zi->body.ctime = zi->body.mtime;
	elem = inode_elem(zi, to->tid);
	set_pending(to, &zi->obj, &elem);
	return 0;
}

static int item_effect(struct zl_effect *to, struct zl_obj *obj, const struct zlf_item *item)
{
	const struct zlf_item_key *key = (const void *)(item + 1);
	struct zl_elem elem;

	switch (item->kind) {
	case ZLF_ITEM_SET:
		elem = elem_of(item, to->tid);
		break;
	case ZLF_ITEM_DEL:
		elem = (struct zl_elem) { .head = { .rec_type = item->rec_type, .obj = item->obj,
						    .key = key->key } };
		if (item->rec_type == ZLF_REC_INODE)
			zl_inode_of(obj)->loaded = false;
		break;
	case ZLF_ITEM_RANGE:
		add_range(to, obj, item);
		return 0;
	case ZLF_ITEM_FREE:
		elem = elem_of(item, to->tid);
		add_freed(to, &elem);
		return 0;
	default:
		return change_inode(to, zl_inode_of(obj), item);
	}
	set_pending(to, obj, &elem);
	return 0;
}

int zl_effects(struct zl_fs *fs, struct zl_work_list *queue, struct zl_spares *spares,
	       uint64_t tid, const uint8_t *items, uint32_t bytes)
{
	struct zl_effect to = { fs, queue, spares, tid };
	const struct zlf_item *item;
	struct zl_obj *obj;
	uint32_t at;
	int err = 0;

	for (at = 0; at < bytes && !err; at += zl_item_bytes(item)) {
		item = (const void *)(items + at);
		obj = zl_obj_get(fs, zl_get64(item->obj));
		if (!obj)
			return -ENOMEM;
		err = item_effect(&to, obj, item);
		if (obj->change_tid < tid)
			obj->change_tid = tid;
		zl_obj_put(obj);
	}
	return err;
}

/* ---------------------------------------------------------------------- the end */

static void drop_work(struct zl_work *work)
{
	struct zl_range *range;
	struct zl_obj *obj;

	switch (work->kind) {
	case ZL_WORK_PENDING:
		zl_pending_free(zus_container_of(work, struct zl_pending, work));
		break;
	case ZL_WORK_RANGE:
		range = zus_container_of(work, struct zl_range, work);
		obj = range->obj;
		free(range);
		zl_obj_put(obj);
		break;
	default:
		free(zus_container_of(work, struct zl_freed, work));
	}
}

void zl_work_drop(struct zl_fs *fs)
{
	struct zl_work *work;
	uint32_t i;

	for (i = 0; i < ZLF_MAX_LOGS; i++)
		TAILQ_CONCAT(&fs->batch, &fs->logs[i].queue, link);
	while ((work = TAILQ_FIRST(&fs->batch))) {
		TAILQ_REMOVE(&fs->batch, work, link);
		drop_work(work);
	}
}
