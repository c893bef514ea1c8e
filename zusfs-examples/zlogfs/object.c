// SPDX-License-Identifier: BSD-3-Clause
/*
 * object.c - objects in memory: an inode, or one of the few that are none, with what is
 * pending of it. What an object has is what is pending, and where nothing is, the tree's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pending.h"

/* -------------------------------------------------------------------- table */

struct zl_inode *zl_inode_of(struct zl_obj *obj)
{
	return zus_container_of(obj, struct zl_inode, obj);
}

struct zl_inode *zl_inode_of_zus(struct zus_inode *zi)
{
	return zus_container_of(zi, struct zl_inode, zi);
}

static struct zl_obj **bucket_of(const struct zl_fs *fs, uint64_t id)
{
	return &fs->objs[id * 0x9e3779b97f4a7c15ull >> 40 & (fs->objs_size - 1)];
}

static void grow_table(struct zl_fs *fs)
{
	struct zl_obj **old = fs->objs, **bucket, *obj;
	uint32_t i, size = fs->objs_size;

	fs->objs = calloc(2ull * size, sizeof(void *));
	if (!fs->objs) {
		fs->objs = old;		/* longer chains, no harm */
		return;
	}
	fs->objs_size = 2 * size;
	for (i = 0; i < size; i++)
		while ((obj = old[i])) {
			old[i] = obj->hash_next;
			bucket = bucket_of(fs, obj->id);
			obj->hash_next = *bucket;
			*bucket = obj;
		}
	free(old);
}

static struct zl_obj *new_obj(struct zl_fs *fs, uint64_t id)
{
	struct zl_inode *zi = calloc(1, sizeof(*zi));

	if (!zi)
		return NULL;
	zi->obj.fs = fs;
	zi->obj.id = id;
	zi->obj.refs = 1;
	pthread_mutex_init(&zi->obj.lock, NULL);
	TAILQ_INIT(&zi->obj.ranges);
	return &zi->obj;
}

struct zl_obj *zl_obj_get(struct zl_fs *fs, uint64_t id)
{
	struct zl_obj *obj, **bucket;

	pthread_mutex_lock(&fs->objs_lock);
	for (obj = *bucket_of(fs, id); obj && obj->id != id; obj = obj->hash_next)
		;
	if (obj) {
		zl_obj_ref(obj);
	} else {
		obj = new_obj(fs, id);
		if (obj && ++fs->num_objs > 2 * fs->objs_size)
			grow_table(fs);
		if (obj) {
			bucket = bucket_of(fs, id);
			obj->hash_next = *bucket;
			*bucket = obj;
		}
	}
	pthread_mutex_unlock(&fs->objs_lock);
	return obj;
}

struct zl_obj *zl_obj_ref(struct zl_obj *obj)
{
	__atomic_add_fetch(&obj->refs, 1, __ATOMIC_RELAXED);
	return obj;
}

static void free_obj(struct zl_obj *obj)
{
	zl_pending_forget(obj);
	pthread_mutex_destroy(&obj->lock);
	free(zl_inode_of(obj));
}

/* One of several, which is none that the table's lock is for. */
static bool put_one_of_many(struct zl_obj *obj)
{
	uint64_t refs = __atomic_load_n(&obj->refs, __ATOMIC_RELAXED);

	while (refs > 1)
		if (__atomic_compare_exchange_n(&obj->refs, &refs, refs - 1, true,
						__ATOMIC_RELEASE, __ATOMIC_RELAXED))
			return true;
	return false;
}

void zl_obj_put(struct zl_obj *obj)
{
	struct zl_fs *fs = obj->fs;
	struct zl_obj **link;
	bool last;

	if (put_one_of_many(obj))
		return;
	pthread_mutex_lock(&fs->objs_lock);
	last = !__atomic_sub_fetch(&obj->refs, 1, __ATOMIC_ACQ_REL);
	if (last) {
		for (link = bucket_of(fs, obj->id); *link != obj; link = &(*link)->hash_next)
			;
		*link = obj->hash_next;
		fs->num_objs--;
	}
	pthread_mutex_unlock(&fs->objs_lock);
	if (last)
		free_obj(obj);
}

/* -------------------------------------------------------------------- lookup */

/* The range that has ended what the tree has at that key. */
static const struct zl_range *range_over(const struct zl_obj *obj, uint32_t rec_type, uint64_t key)
{
	const struct zl_range *range;

	TAILQ_FOREACH(range, &obj->ranges, in_obj)
		if (range->rec_type == rec_type && key >= range->from && key < range->to)
			return range;
	return NULL;
}

static void copy_out(struct zl_elem *to, const struct zl_elem *from)
{
	memcpy(to, from, from->head.lines * ZLF_LINE_BYTES);
}

int zl_obj_find(struct zl_obj *obj, uint32_t rec_type, uint64_t key, struct zl_elem *elem)
{
	const struct zl_pending *p = zl_pending_find(obj, rec_type, key);
	const struct zl_key at = { .obj = obj->id, .key = key, .rec_type = rec_type };

	if (p) {
		if (!p->elem.head.lines)
			return -ENOENT;
		copy_out(elem, &p->elem);
		return 0;
	}
	if (range_over(obj, rec_type, key))
		return -ENOENT;
	return zl_tree_find(obj->fs, &at, elem);
}

/* Of the tree, what no range has ended. */
static int tree_next(struct zl_obj *obj, uint32_t rec_type, uint64_t key, uint64_t last,
		     struct zl_elem *elem)
{
	const struct zl_key end = { .obj = obj->id, .key = last, .rec_type = rec_type };
	struct zl_key at = { .obj = obj->id, .key = key, .rec_type = rec_type };
	struct zl_lead *lead = &obj->sought.lead;
	const struct zl_range *range;
	int err;

	lead->leaf = NULL;
	obj->sought.key = key;
	obj->sought.rec_type = rec_type;
	for (;;) {
		err = zl_tree_next(obj->fs, &at, &end, elem, lead);
		lead = NULL;
		if (err)
			return err;
		range = range_over(obj, rec_type, zl_get64(elem->head.key));
		if (!range)
			return 0;
		if (range->to == UINT64_MAX)
			return -ENOENT;
		at.key = range->to;
	}
}

int zl_obj_next_to(struct zl_obj *obj, uint32_t rec_type, uint64_t key, uint64_t last,
		   struct zl_elem *elem)
{
	const struct zl_pending *p;
	uint64_t pending_key;
	bool in_tree;
	int err;

	err = tree_next(obj, rec_type, key, last, elem);
	if (err && err != -ENOENT)
		return err;
	in_tree = !err;
	for (;;) {
		p = zl_pending_next(obj, rec_type, key);
		if (!p || p->key > last || (in_tree && zl_get64(elem->head.key) < p->key))
			return in_tree ? 0 : -ENOENT;
		if (p->elem.head.lines) {
			copy_out(elem, &p->elem);
			return 0;
		}
		/* gone: go on behind it */
		pending_key = p->key;
		if (pending_key == last)
			return -ENOENT;
		key = pending_key + 1;
		if (in_tree && zl_get64(elem->head.key) == pending_key) {
			err = tree_next(obj, rec_type, key, last, elem);
			if (err && err != -ENOENT)
				return err;
			in_tree = !err;
		}
	}
}

int zl_obj_next(struct zl_obj *obj, uint32_t rec_type, uint64_t key, struct zl_elem *elem)
{
	return zl_obj_next_to(obj, rec_type, key, UINT64_MAX, elem);
}

static int tree_prev(struct zl_obj *obj, uint32_t rec_type, uint64_t key, bool place,
		     struct zl_elem *elem)
{
	const struct zl_range *range;
	struct zl_key at = { .obj = obj->id, .key = key, .rec_type = rec_type };
	int err;

	for (;;) {
		err = zl_tree_prev(obj->fs, &at, place, elem);
		if (err)
			return err;
		if (zl_get64(elem->head.obj) != obj->id || elem->head.rec_type != rec_type)
			return -ENOENT;
		range = range_over(obj, rec_type, zl_get64(elem->head.key));
		if (!range)
			return 0;
		if (!range->from)
			return -ENOENT;
		at.key = range->from - 1;
	}
}

static int prev(struct zl_obj *obj, uint32_t rec_type, uint64_t key, bool place,
		struct zl_elem *elem)
{
	const struct zl_pending *p;
	uint64_t pending_key;
	bool in_tree;
	int err;

	err = tree_prev(obj, rec_type, key, place, elem);
	if (err && err != -ENOENT)
		return err;
	in_tree = !err;
	for (;;) {
		p = zl_pending_prev(obj, rec_type, key);
		if (!p || (in_tree && zl_get64(elem->head.key) > p->key))
			return in_tree ? 0 : -ENOENT;
		if (p->elem.head.lines) {
			copy_out(elem, &p->elem);
			return 0;
		}
		pending_key = p->key;
		if (!pending_key)
			return -ENOENT;
		key = pending_key - 1;
		if (in_tree && zl_get64(elem->head.key) == pending_key) {
			err = tree_prev(obj, rec_type, key, place, elem);
			if (err && err != -ENOENT)
				return err;
			in_tree = !err;
		}
	}
}

int zl_obj_prev(struct zl_obj *obj, uint32_t rec_type, uint64_t key, struct zl_elem *elem)
{
	return prev(obj, rec_type, key, false, elem);
}

int zl_obj_place(struct zl_obj *obj, uint64_t key, struct zl_elem *elem)
{
	return prev(obj, ZLF_REC_EXTENT, key, true, elem);
}

/* ------------------------------------------------------------------- settled */

void zl_obj_begin(struct zl_obj *obj)
{
	__atomic_store_n(&obj->begun, obj->begun + 1, __ATOMIC_RELEASE);
}

/* Behind the tree's changes. */
void zl_obj_settle(struct zl_obj *obj)
{
	__atomic_store_n(&obj->settled, obj->settled + 1, __ATOMIC_RELEASE);
}

bool zl_obj_settled(const struct zl_obj *obj, uint64_t *begun)
{
	uint64_t settled = __atomic_load_n(&obj->settled, __ATOMIC_ACQUIRE);

	*begun = __atomic_load_n(&obj->begun, __ATOMIC_ACQUIRE);
	return *begun == settled;
}

/*
 * Who has seen in the tree what was begun meanwhile sees that it was: the look at the tree ends
 * with a fence, in zl_node_read_ok().
 */
bool zl_obj_still(const struct zl_obj *obj, uint64_t begun)
{
	return __atomic_load_n(&obj->begun, __ATOMIC_RELAXED) == begun;
}

/* -------------------------------------------------------------------- blocks */

uint32_t zl_elem_blocks(const struct zlf_elem *elem)
{
	switch (elem->rec_type & ~ZLF_REC_HISTORY) {
	case ZLF_REC_EXTENT:
		return zl_get32(elem->len);
	case ZLF_REC_XDATA:
		return 1;
	case ZLF_REC_SYMLINK:
		return elem->flags & ZLF_EF_BLOCK ? 1 : 0;
	default:
		return 0;
	}
}

/* -------------------------------------------------------------------- inodes */

int zl_inode_load(struct zl_inode *zi)
{
	struct zl_elem elem;
	int err;

	if (zi->loaded)
		return 0;
	err = zl_obj_find(&zi->obj, ZLF_REC_INODE, 0, &elem);
	if (err)
		return err;
	if (elem.head.lines != 3)
		return zl_freeze(zi->obj.fs, "an inode's length", zi->obj.id);
	memcpy(&zi->body, elem.payload, sizeof(zi->body));
	if (zi->obj.change_tid < zl_get64(elem.head.create_tid))
		zi->obj.change_tid = zl_get64(elem.head.create_tid);
	zi->loaded = true;
	return 0;
}

void zl_objs_free(struct zl_fs *fs)
{
	struct zl_obj *obj;
	uint32_t i;

	for (i = 0; fs->objs && i < fs->objs_size; i++)
		while ((obj = fs->objs[i])) {
			fs->objs[i] = obj->hash_next;
			free_obj(obj);
		}
	free(fs->objs);
	fs->objs = NULL;
}
