// SPDX-License-Identifier: BSD-3-Clause
/*
 * effects.c - what a record does to the objects in memory. An operation calls it when its
 * record is durable, and a mount for each record that it finds: so both come to the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "item.h"
#include "pending.h"
#include "shell.h"

#define INODE_LINES	(1u + (uint32_t)(sizeof(struct zlf_inode) / ZLF_LINE_BYTES))

/* -------------------------------------------------------------------- spares */

static struct zl_spare *add_spare(struct zl_spares *spares, size_t bytes)
{
	struct zl_spare *spare = malloc(bytes);

	if (!spare)
		return NULL;
	spare->next = NULL;
	*spares->end = spare;
	spares->end = &spare->next;
	return spare;
}

static size_t pending_bytes(uint32_t lines)
{
	return offsetof(struct zl_pending, elem) + lines * ZLF_LINE_BYTES;
}

/* With its payload. */
static uint32_t elem_lines(const struct zl_item *item)
{
	switch (item->kind) {
	case ZLF_ITEM_SET:
		return zl_item_lines(item);
	case ZLF_ITEM_INODE:
		return INODE_LINES;
	default:
		return 1;
	}
}

static bool item_spares(struct zl_spares *spares, const struct zl_item *item)
{
	size_t bytes = pending_bytes(elem_lines(item));

	if (item->kind == ZLF_ITEM_RANGE)
		bytes = sizeof(struct zl_range);
	else if (item->kind == ZLF_ITEM_FREE)
		bytes = sizeof(struct zl_freed);
	return add_spare(spares, bytes) &&
	       (!(item->mask & ZLF_IK_OLD && item->kind == ZLF_ITEM_SET) ||
		add_spare(spares, sizeof(struct zl_freed)));
}

int zl_spares_fill(struct zl_spares *spares, const uint8_t *items, uint32_t bytes)
{
	struct zl_items rest = zl_items(items, bytes);
	struct zl_item item;

	spares->first = NULL;
	spares->end = &spares->first;
	while (zl_item_next(&rest, &item))
		if (!item_spares(spares, &item)) {
			zl_spares_free(spares);
			return -ENOMEM;
		}
	return 0;
}

static void *take_spare(struct zl_spares *spares)
{
	struct zl_spare *spare = spares->first;

	spares->first = spare->next;
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
 * mount takes every step again, as it can't tell how far each had come; but those of an inode
 * leave nothing behind that the next one would have to know of. Who had shared blocks had
 * them when others let them go.
 */
static bool may_forget(const struct zl_fs *fs, const struct zl_pending *p)
{
	return !p->staged && (!fs->recovering || p->rec_type == ZLF_REC_INODE) &&
	       p->work.tid > __atomic_load_n(&fs->boundary_tid, __ATOMIC_ACQUIRE) &&
	       !(p->elem.head.lines && zl_shares(&p->elem.head));
}

static void enqueue(struct zl_effect *to, struct zl_work *work, enum zl_work_kind kind)
{
	work->kind = kind;
	work->tid = work->order = to->tid;
	TAILQ_INSERT_TAIL(to->queue, work, link);
}

/* Who changes a key has mostly looked for it just before. */
static struct zl_lead lead_to(const struct zl_obj *obj, uint32_t rec_type, uint64_t key)
{
	const struct zl_sought *sought = &obj->sought;

	if (sought->rec_type == rec_type && sought->key == key)
		return sought->lead;
	return (struct zl_lead) { .leaf = NULL };
}

/*
 * What is pending of the key, for the caller to fill anew. A place in the queue that is there
 * is kept: what a key comes to may be in the tree before its turn, never behind it.
 */
static struct zl_pending *pending_for(struct zl_effect *to, struct zl_obj *obj, uint32_t rec_type,
				      uint64_t key, uint32_t lines)
{
	struct zl_pending *p = zl_pending_find(obj, rec_type, key), *spare;

	spare = take_spare(to->spares);
	if (p && may_forget(to->fs, p) && p->room_lines >= lines) {
		p->work.tid = to->tid;
		free(spare);
		return p;
	}
	if (p)
		zl_pending_detach(p, to->tid);
	p = spare;
	p->obj = zl_obj_ref(obj);
	p->ended_tid = 0;
	p->detached = p->staged = false;
	p->room_lines = (uint8_t)lines;
	p->rec_type = (uint8_t)rec_type;
	p->key = key;
	p->lead = lead_to(obj, rec_type, key);
	enqueue(to, &p->work, ZL_WORK_PENDING);
	zl_obj_begin(obj);
	zl_pending_insert(p);
	return p;
}

static void add_range(struct zl_effect *to, struct zl_obj *obj, const struct zl_item *item)
{
	struct zl_range *range = take_spare(to->spares);
	struct zl_pending *p;

	/* they come into the tree first, so that each block leaves it once */
	while ((p = zl_pending_next(obj, item->rec_type, item->key)) &&
	       (p->key < item->addr || item->addr == UINT64_MAX))
		zl_pending_detach(p, to->tid);
	range->obj = zl_obj_ref(obj);
	range->from = item->key;
	range->to = item->addr;
	range->rec_type = item->rec_type;
	enqueue(to, &range->work, ZL_WORK_RANGE);
	zl_obj_begin(obj);
	TAILQ_INSERT_TAIL(&obj->ranges, range, in_obj);
}

static void add_freed(struct zl_effect *to, const struct zl_item *item, uint64_t addr,
		      uint64_t create_tid)
{
	struct zl_freed *freed = take_spare(to->spares);

	freed->obj = item->obj;
	freed->key = item->key;
	freed->addr = addr;
	freed->create_tid = create_tid;
	freed->blocks = item->len;
	freed->shared = item->kind == ZLF_ITEM_FREE && item->flags & ZLF_EF_SHARED;
	if (ZL_BUG(FREE_AT_ONCE) && !to->fs->recovering)
		zl_blocks_free(to->fs, addr, item->len);
	enqueue(to, &freed->work, ZL_WORK_FREE);
}

/* -------------------------------------------------------------------- effects */

static void set_elem(struct zl_effect *to, struct zl_obj *obj, const struct zl_item *item)
{
	struct zl_pending *p = pending_for(to, obj, item->rec_type, item->key,
					   zl_item_lines(item));

	zl_item_elem(item, to->tid, &p->elem);
	if (item->mask & ZLF_IK_OLD)
		add_freed(to, item, item->old_addr, item->old_create_tid);
}

static void del_elem(struct zl_effect *to, struct zl_obj *obj, const struct zl_item *item)
{
	struct zl_pending *p = pending_for(to, obj, item->rec_type, item->key, 1);

	p->elem.head = (struct zlf_elem) { .rec_type = item->rec_type, .obj = htole64(item->obj),
					   .key = htole64(item->key) };
	if (item->rec_type == ZLF_REC_INODE)
		zl_inode_of(obj)->loaded = false;
}

static void set_inode(struct zl_effect *to, struct zl_inode *zi)
{
	struct zl_pending *p = pending_for(to, &zi->obj, ZLF_REC_INODE, 0, INODE_LINES);

	p->elem.head = (struct zlf_elem) {
		.rec_type = ZLF_REC_INODE, .lines = INODE_LINES, .obj = htole64(zi->obj.id),
		.create_tid = htole64(to->tid), .end_tid = htole64(to->tid),
		.len = htole32(sizeof(zi->body)),
	};
	memcpy(p->elem.payload, &zi->body, sizeof(zi->body));
}

/* The parts that the item has replace those of the inode. */
static int change_inode(struct zl_effect *to, struct zl_inode *zi, const struct zl_item *item)
{
	uint8_t *body = (uint8_t *)&zi->body;
	const uint8_t *from = item->payload;
	uint32_t part;
	int err = item->mask & ZLF_IM_NEW ? 0 : zl_inode_load(zi);

	/* gone later, and that has been applied: a mount meets both again */
	if (err == -ENOENT && to->fs->recovering) {
		free(take_spare(to->spares));	/* the next item has another */
		return 0;
	}
	if (err)
		return err;
	if (item->mask & ZLF_IM_NEW)
		zi->body = (struct zlf_inode) { .mode = 0 };
	zi->loaded = true;
	for (part = 0; part < ZLF_IM_PARTS; part++)
		if (item->mask >> part & 1) {
			memcpy(body + part * ZLF_IM_PART_BYTES, from, ZLF_IM_PART_BYTES);
			from += ZLF_IM_PART_BYTES;
		}
	if (item->mask & (ZLF_IM_CTIME_TOO | ZLF_IM_TIMES_TOO))
		zi->body.ctime = zi->body.mtime;
	if (item->mask & ZLF_IM_TIMES_TOO)
		zi->body.atime = zi->body.btime = zi->body.mtime;
	set_inode(to, zi);
	return 0;
}

static int item_effect(struct zl_effect *to, struct zl_obj *obj, const struct zl_item *item)
{
	switch (item->kind) {
	case ZLF_ITEM_SET:
		set_elem(to, obj, item);
		return 0;
	case ZLF_ITEM_DEL:
		del_elem(to, obj, item);
		return 0;
	case ZLF_ITEM_RANGE:
		add_range(to, obj, item);
		return 0;
	case ZLF_ITEM_FREE:
		add_freed(to, item, item->addr, item->create_tid);
		return 0;
	default:
		return change_inode(to, zl_inode_of(obj), item);
	}
}

int zl_effects(struct zl_fs *fs, struct zl_work_list *queue, struct zl_spares *spares,
	       uint64_t tid, const uint8_t *bytes, uint32_t num_bytes, struct zl_obj **objs)
{
	struct zl_items items = zl_items(bytes, num_bytes);
	struct zl_effect to = { fs, queue, spares, tid };
	struct zl_item item;
	struct zl_obj *obj;
	int err = 0;

	while (!err && zl_item_next(&items, &item)) {
		obj = objs ? *objs++ : zl_obj_get(fs, item.obj);
		if (!obj)
			return -ENOMEM;
		err = item_effect(&to, obj, &item);
		if (obj->change_tid < tid)
			obj->change_tid = tid;
		if (!objs)
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
