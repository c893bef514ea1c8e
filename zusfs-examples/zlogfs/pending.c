// SPDX-License-Identifier: BSD-3-Clause
/*
 * pending.c - what is pending of an object, in the order of its keys: a B+tree whose keys lie
 * side by side, as a search of one that is linked through the things themselves misses the
 * cache at each step. Nothing here fails: what no memory is left to index is found in a list.
 */
#include <stdlib.h>
#include <string.h>

#include "pending.h"

#define FANOUT		32u
#define HEIGHT_MAX	16u	/* of nodes half full: more than there can be of anything */

/* rec_type above the key, so that one comparison tells. */
typedef unsigned __int128 index_key;

struct zl_index_node {
	uint32_t n;			/* never 0 */
	index_key keys[FANOUT];		/* of an inner node: none below the child is lower */
	union zl_index_slot slots[FANOUT];
};

static index_key key_at(uint32_t rec_type, uint64_t key)
{
	return (index_key)rec_type << 64 | key;
}

static index_key key_of(const struct zl_pending *p)
{
	return key_at(p->rec_type, p->key);
}

/*
 * How many keys are not above: of every eighth, then of those in between. No branch here is one
 * that a processor could guess wrong.
 */
static uint32_t rank(const struct zl_index_node *node, index_key key)
{
	uint32_t eighths = 0, rest = 0, i, end;

	for (i = 7; i < node->n; i += 8)
		eighths += node->keys[i] <= key ? 8 : 0;
	end = eighths + 8 < node->n ? eighths + 8 : node->n;
	for (i = eighths; i < end; i++)
		rest += node->keys[i] <= key;
	return eighths + rest;
}

/* Of an inner node: where the key is, or would be. */
static uint32_t child_of(const struct zl_index_node *node, index_key key)
{
	uint32_t at = rank(node, key);

	return at - !!at;
}

/* --------------------------------------------------------------------- lookup */

static struct zl_pending *rest_find(const struct zl_index *index, index_key key)
{
	struct zl_pending *p;

	for (p = index->rest; p && key_of(p) != key; p = p->rest_next)
		;
	return p;
}

struct zl_pending *zl_pending_find(struct zl_obj *obj, uint32_t rec_type, uint64_t key)
{
	const struct zl_index *index = &obj->pending;
	const index_key wanted = key_at(rec_type, key);
	union zl_index_slot slot = index->root;
	uint32_t level, at;

	if (!index->height) {
		if (slot.pending && key_of(slot.pending) == wanted)
			return slot.pending;
		return rest_find(index, wanted);
	}
	for (level = index->height; --level; )
		slot = slot.node->slots[child_of(slot.node, wanted)];
	at = rank(slot.node, wanted);
	if (at && slot.node->keys[at - 1] == wanted)
		return slot.node->slots[at - 1].pending;
	return rest_find(index, wanted);
}

/* What is at the begin, or the end, below so many levels of nodes. */
static struct zl_pending *outermost(union zl_index_slot slot, uint32_t height, bool last)
{
	while (height--)
		slot = slot.node->slots[last ? slot.node->n - 1 : 0];
	return slot.pending;
}

static struct zl_pending *tree_next(const struct zl_index *index, index_key from)
{
	union zl_index_slot slot = index->root, beside = { .node = NULL };
	uint32_t level, beside_level = 0, at;

	if (!index->height)
		return slot.pending && key_of(slot.pending) >= from ? slot.pending : NULL;
	for (level = index->height - 1; level; level--) {
		at = child_of(slot.node, from);
		if (at + 1 < slot.node->n) {
			beside = slot.node->slots[at + 1];
			beside_level = level;
		}
		slot = slot.node->slots[at];
	}
	at = rank(slot.node, from);
	at -= at && slot.node->keys[at - 1] == from;
	if (at < slot.node->n)
		return slot.node->slots[at].pending;
	return beside_level ? outermost(beside, beside_level, false) : NULL;
}

static struct zl_pending *tree_prev(const struct zl_index *index, index_key to)
{
	union zl_index_slot slot = index->root, beside = { .node = NULL };
	uint32_t level, beside_level = 0, at;

	if (!index->height)
		return slot.pending && key_of(slot.pending) <= to ? slot.pending : NULL;
	for (level = index->height - 1; level; level--) {
		at = child_of(slot.node, to);
		if (at) {
			beside = slot.node->slots[at - 1];
			beside_level = level;
		}
		slot = slot.node->slots[at];
	}
	at = rank(slot.node, to);
	if (at)
		return slot.node->slots[at - 1].pending;
	return beside_level ? outermost(beside, beside_level, true) : NULL;
}

static bool has_type(const struct zl_pending *p, uint32_t rec_type)
{
	return p && p->rec_type == rec_type;
}

struct zl_pending *zl_pending_next(struct zl_obj *obj, uint32_t rec_type, uint64_t key)
{
	const struct zl_index *index = &obj->pending;
	const index_key from = key_at(rec_type, key);
	struct zl_pending *found = tree_next(index, from), *p;

	for (p = index->rest; p; p = p->rest_next)
		if (key_of(p) >= from && (!found || key_of(p) < key_of(found)))
			found = p;
	return has_type(found, rec_type) ? found : NULL;
}

struct zl_pending *zl_pending_prev(struct zl_obj *obj, uint32_t rec_type, uint64_t key)
{
	const struct zl_index *index = &obj->pending;
	const index_key to = key_at(rec_type, key);
	struct zl_pending *found = tree_prev(index, to), *p;

	for (p = index->rest; p; p = p->rest_next)
		if (key_of(p) <= to && (!found || key_of(p) > key_of(found)))
			found = p;
	return has_type(found, rec_type) ? found : NULL;
}

/* --------------------------------------------------------------------- change */

/* The way to a leaf, which is [0]; at: which child, and how many of the leaf are not above. */
struct path {
	struct zl_index_node *node[HEIGHT_MAX];
	uint32_t at[HEIGHT_MAX];
	struct zl_index_node *spare[HEIGHT_MAX + 1];	/* for who inserts */
};

static void descend(const struct zl_index *index, index_key key, struct path *path)
{
	union zl_index_slot slot = index->root;
	uint32_t level;

	for (level = index->height; level--; ) {
		path->node[level] = slot.node;
		path->at[level] = level ? child_of(slot.node, key) : rank(slot.node, key);
		if (level)
			slot = slot.node->slots[path->at[level]];
	}
}

static void node_insert(struct zl_index_node *node, uint32_t at, index_key key,
			union zl_index_slot slot)
{
	uint32_t behind = node->n++ - at;

	memmove(&node->keys[at + 1], &node->keys[at], behind * sizeof(node->keys[0]));
	memmove(&node->slots[at + 1], &node->slots[at], behind * sizeof(node->slots[0]));
	node->keys[at] = key;
	node->slots[at] = slot;
}

/* Into a full one. Its end goes to right: who comes in order leaves full ones behind. */
static void split_insert(struct zl_index_node *node, struct zl_index_node *right, uint32_t at,
			 index_key key, union zl_index_slot slot)
{
	uint32_t stay = at == FANOUT ? FANOUT : FANOUT / 2;

	right->n = FANOUT - stay;
	memcpy(right->keys, &node->keys[stay], right->n * sizeof(right->keys[0]));
	memcpy(right->slots, &node->slots[stay], right->n * sizeof(right->slots[0]));
	node->n = stay;
	if (at < stay)
		node_insert(node, at, key, slot);
	else
		node_insert(right, at - stay, key, slot);
}

/* A node for each level that is full, and for a new root above; false: no memory. */
static bool take_nodes(const struct zl_index *index, struct path *path)
{
	uint32_t level = 0, n, i;

	while (level < index->height && path->node[level]->n == FANOUT)
		level++;
	n = level + (level == index->height);
	for (i = 0; i < n; i++) {
		path->spare[i] = malloc(sizeof(*path->spare[i]));
		if (!path->spare[i])
			break;
	}
	if (i == n)
		return true;
	while (i--)
		free(path->spare[i]);
	return false;
}

/* A root above the one that there is, whose lowest key that is, with a neighbour of that. */
static void grow(struct zl_index *index, struct zl_index_node *root, index_key low,
		 index_key key, union zl_index_slot slot)
{
	root->n = 0;
	node_insert(root, 0, low, index->root);
	node_insert(root, key > low, key, slot);
	index->root.node = root;
	index->height++;
}

static void insert_at(struct zl_index *index, struct path *path, struct zl_pending *p)
{
	union zl_index_slot slot = { .pending = p };
	struct zl_index_node *node, *right;
	index_key key = key_of(p);
	uint32_t level, at;

	for (level = 0; level < index->height; level++) {
		node = path->node[level];
		at = path->at[level] + !!level;		/* behind the child */
		if (node->n < FANOUT) {
			node_insert(node, at, key, slot);
			return;
		}
		right = path->spare[level];
		split_insert(node, right, at, key, slot);
		key = right->keys[0];
		slot.node = right;
	}
	grow(index, path->spare[level],
	     index->height ? index->root.node->keys[0] : key_of(index->root.pending), key, slot);
}

/* What is lower than all so far comes below the first child. */
static void lower_first(const struct zl_index *index, struct path *path, index_key key)
{
	uint32_t level;

	for (level = 1; level < index->height; level++)
		if (path->node[level]->keys[0] > key)
			path->node[level]->keys[0] = key;
}

void zl_pending_insert(struct zl_pending *p)
{
	struct zl_index *index = &p->obj->pending;
	struct path path;

	descend(index, key_of(p), &path);
	lower_first(index, &path, key_of(p));
	if (!index->height && !index->root.pending) {
		index->root.pending = p;
	} else if (take_nodes(index, &path)) {
		insert_at(index, &path, p);
	} else {
		p->rest_next = index->rest;
		index->rest = p;
	}
}

static void node_remove(struct zl_index_node *node, uint32_t at)
{
	uint32_t behind = --node->n - at;

	memmove(&node->keys[at], &node->keys[at + 1], behind * sizeof(node->keys[0]));
	memmove(&node->slots[at], &node->slots[at + 1], behind * sizeof(node->slots[0]));
}

/* A root with one child is none. */
static void shrink(struct zl_index *index)
{
	struct zl_index_node *root;

	while (index->height > 1 && index->root.node->n == 1) {
		root = index->root.node;
		index->root = root->slots[0];
		index->height--;
		free(root);
	}
}

static void remove_at(struct zl_index *index, struct path *path)
{
	uint32_t level;

	for (level = 0; level < index->height; level++) {
		node_remove(path->node[level], path->at[level]);
		if (path->node[level]->n)
			break;
		free(path->node[level]);
	}
	if (level == index->height) {
		index->root.node = NULL;
		index->height = 0;
	}
	shrink(index);
}

static void rest_remove(struct zl_index *index, const struct zl_pending *p)
{
	struct zl_pending **link = &index->rest;

	while (*link != p)
		link = &(*link)->rest_next;
	*link = p->rest_next;
}

void zl_pending_remove(struct zl_pending *p)
{
	struct zl_index *index = &p->obj->pending;
	struct path path;

	if (!index->height && index->root.pending == p) {
		index->root.pending = NULL;
		return;
	}
	descend(index, key_of(p), &path);
	if (index->height && path.at[0]-- &&
	    path.node[0]->slots[path.at[0]].pending == p)
		remove_at(index, &path);
	else
		rest_remove(index, p);
}

void zl_pending_detach(struct zl_pending *p, uint64_t tid)
{
	zl_pending_remove(p);
	p->detached = true;
	p->ended_tid = tid;
}

/* ------------------------------------------------------------------------ end */

static void free_nodes(union zl_index_slot slot, uint32_t height)
{
	uint32_t i;

	if (!height)
		return;
	for (i = 0; i < slot.node->n; i++)
		free_nodes(slot.node->slots[i], height - 1);
	free(slot.node);
}

void zl_pending_forget(struct zl_obj *obj)
{
	free_nodes(obj->pending.root, obj->pending.height);
	obj->pending = (struct zl_index) { .height = 0 };
}
