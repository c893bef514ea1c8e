// SPDX-License-Identifier: BSD-3-Clause
/*
 * tree.c - the tree of all elements: what is looked up in it, and the batches of changes that
 * the applier makes. New elements are written to free lines; when all of a batch are durable,
 * one store to each node's word makes them valid and ends those that they replace.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "node.h"

/* -------------------------------------------------------------------- lookup */

int zl_tree_descend(struct zl_fs *fs, const struct zl_key *key, struct zl_path *path)
{
	struct zl_node *node = fs->tree_state->root;
	uint32_t level = node->level;
	bool exact;
	uint32_t i;

	path->height = level + 1;
	path->bounded = false;
	for (;;) {
		path->node[level] = node;
		if (!level)
			return 0;
		if (!node->n)
			return zl_freeze(fs, "an inner node without a child", node->addr);
		i = zl_node_search(node, key, &exact);
		i -= i && !exact;	/* the last that is not above; the first has all below */
		path->index[level] = (uint16_t)i;
		if (i + 1 < node->n) {
			path->hi = zl_elem_key(zl_node_at(node, i + 1));
			path->bounded = true;
		}
		node = zl_node_get(fs, zl_get64(zl_node_at(node, i)->addr), --level,
				   path->bounded ? &path->hi : NULL);
		if (!node)
			return -EIO;
	}
}

static void copy_elem(struct zl_elem *to, const struct zlf_elem *from)
{
	memcpy(to, from, from->lines * ZLF_LINE_BYTES);
}

static int find_locked(struct zl_fs *fs, const struct zl_key *key, struct zl_elem *elem)
{
	struct zl_path path;
	bool exact;
	uint32_t i;
	int err = zl_tree_descend(fs, key, &path);

	if (err)
		return err;
	i = zl_node_search(path.node[0], key, &exact);
	if (!exact)
		return -ENOENT;
	copy_elem(elem, zl_node_at(path.node[0], i));
	return 0;
}

int zl_tree_find(struct zl_fs *fs, const struct zl_key *key, struct zl_elem *elem)
{
	int err;

	pthread_rwlock_rdlock(&fs->tree);
	err = find_locked(fs, key, elem);
	pthread_rwlock_unlock(&fs->tree);
	return err;
}

/*
 * A crash came before it was pruned: a mount that does the same again prunes it, though there
 * is nothing left to do in it.
 */
static void touch_empty(struct zl_fs *fs, struct zl_node *leaf)
{
	if (!leaf->n)
		zl_node_touch(fs, leaf);
}

static int next_locked(struct zl_fs *fs, struct zl_key key, struct zl_elem *elem, bool touch)
{
	struct zl_path path;
	bool exact;
	uint32_t i;
	int err;

	for (;;) {
		err = zl_tree_descend(fs, &key, &path);
		if (err)
			return err;
		i = zl_node_search(path.node[0], &key, &exact);
		if (i < path.node[0]->n) {
			copy_elem(elem, zl_node_at(path.node[0], i));
			return 0;
		}
		if (touch)
			touch_empty(fs, path.node[0]);
		if (!path.bounded)
			return -ENOENT;
		key = path.hi;
	}
}

int zl_tree_next(struct zl_fs *fs, const struct zl_key *key, struct zl_elem *elem)
{
	int err;

	pthread_rwlock_rdlock(&fs->tree);
	err = next_locked(fs, *key, elem, false);
	pthread_rwlock_unlock(&fs->tree);
	return err;
}

/* The last leaf in front of the one that path leads to; NULL: there is none. low: leads to it. */
static int leaf_before(struct zl_fs *fs, const struct zl_path *path, struct zl_node **leaf,
		       struct zl_key *low)
{
	struct zl_node *node = NULL;
	uint32_t level = 1, i;
	struct zl_key hi;

	while (level < path->height && !path->index[level])
		level++;
	*leaf = NULL;
	if (level == path->height)
		return 0;
	node = path->node[level];
	i = path->index[level] - 1u;
	hi = zl_elem_key(zl_node_at(node, i + 1));
	for (;;) {
		*low = zl_elem_key(zl_node_at(node, i));
		node = zl_node_get(fs, zl_get64(zl_node_at(node, i)->addr), --level, &hi);
		if (!node)
			return -EIO;
		if (!level)
			break;
		if (!node->n)
			return zl_freeze(fs, "an inner node without a child", node->addr);
		i = node->n - 1u;
	}
	*leaf = node;
	return 0;
}

/* Empty leaves are pruned, but a crash may have come in between. */
static int filled_leaf_before(struct zl_fs *fs, struct zl_path *path, struct zl_node **leaf)
{
	struct zl_key low;
	int err = leaf_before(fs, path, leaf, &low);

	while (!err && *leaf && !(*leaf)->n) {
		err = zl_tree_descend(fs, &low, path);
		if (!err)
			err = leaf_before(fs, path, leaf, &low);
	}
	return err;
}

static int prev_locked(struct zl_fs *fs, const struct zl_key *key, struct zl_elem *elem)
{
	struct zl_path path;
	struct zl_node *leaf;
	bool exact;
	uint32_t i;
	int err = zl_tree_descend(fs, key, &path);

	if (err)
		return err;
	leaf = path.node[0];
	i = zl_node_search(leaf, key, &exact);
	if (exact) {
		copy_elem(elem, zl_node_at(leaf, i));
		return 0;
	}
	if (!i) {
		err = filled_leaf_before(fs, &path, &leaf);
		if (err || !leaf)
			return err ? err : -ENOENT;
		i = leaf->n;
	}
	copy_elem(elem, zl_node_at(leaf, i - 1));
	return 0;
}

int zl_tree_prev(struct zl_fs *fs, const struct zl_key *key, struct zl_elem *elem)
{
	int err;

	pthread_rwlock_rdlock(&fs->tree);
	err = prev_locked(fs, key, elem);
	pthread_rwlock_unlock(&fs->tree);
	return err;
}

/* -------------------------------------------------------------------- batches */

void zl_tree_begin(struct zl_fs *fs)
{
	pthread_rwlock_wrlock(&fs->tree);
}

/* Lines and bits first, then the words; what the words end may be used behind this. */
static void store_words(struct zl_fs *fs)
{
	struct zl_tree *tree = fs->tree_state;
	struct zl_node *node;

	zl_bits_store(fs);
	if (!ZL_BUG(WORD_EARLY))
		zl_pm_fence();
	for (node = STAILQ_FIRST(&tree->touched); node; node = STAILQ_NEXT(node, in_touched))
		zl_node_store_valid(fs, node);
	zl_pm_fence();
}

/* Leaves that a batch has emptied; each changes the tree, so each is looked for anew. */
static int prune_empty(struct zl_fs *fs, struct zl_node *node)
{
	const struct zl_key gone = node->gone;
	struct zl_path path;
	int err = zl_tree_descend(fs, &gone, &path);

	if (err || path.node[0] != node || node->n)
		return err;
	return zl_tree_prune(fs, &path);
}

static int commit_locked(struct zl_fs *fs)
{
	struct zl_tree *tree = fs->tree_state;
	struct zl_node *node;
	int err = 0;

	if (STAILQ_EMPTY(&tree->touched) && !fs->num_dirty_segs)
		return 0;
	store_words(fs);
	while ((node = STAILQ_FIRST(&tree->touched))) {
		STAILQ_REMOVE_HEAD(&tree->touched, in_touched);
		node->touched = false;
		if (!err && !node->n && !node->level && node != tree->root)
			err = prune_empty(fs, node);
	}
	return err;
}

int zl_tree_commit(struct zl_fs *fs)
{
	int err = commit_locked(fs);

	pthread_rwlock_unlock(&fs->tree);
	return err;
}

static void seal_elem(struct zl_fs *fs, struct zl_elem *elem)
{
	elem->head.crc = htole32(zl_crc_of(fs->crc_seed, elem, 0,
					   elem->head.lines * ZLF_LINE_BYTES));
}

/*
 * Put by a record behind that one: it stays. What the same record has put it may well change
 * again, and who does all of a record anew comes to the same.
 */
static bool newer(const struct zlf_elem *elem, uint64_t tid)
{
	return zl_get64(elem->end_tid) > tid;
}

int zl_tree_put(struct zl_fs *fs, struct zl_elem *elem, struct zl_elem *old)
{
	struct zl_key key = zl_elem_key(&elem->head);
	uint32_t i, line, lines = elem->head.lines;
	struct zl_path path;
	bool exact;
	int err;

	old->head.lines = 0;
	seal_elem(fs, elem);
	for (;;) {
		err = zl_tree_descend(fs, &key, &path);
		if (err)
			return err;
		line = zl_node_room(fs, path.node[0], lines);
		if (line)
			break;
		/* lines that the batch has ended are free behind its end */
		if (!STAILQ_EMPTY(&fs->tree_state->touched))
			err = commit_locked(fs);
		else
			err = zl_tree_make_room(fs, &path, &key);
		if (err)
			return err;
	}
	i = zl_node_search(path.node[0], &key, &exact);
	if (exact && newer(zl_node_at(path.node[0], i), zl_get64(elem->head.end_tid)))
		return 1;
	if (exact) {
		copy_elem(old, zl_node_at(path.node[0], i));
		zl_node_remove(fs, path.node[0], i);
	}
	zl_node_insert(fs, path.node[0], i, line, elem, lines);
	return 0;
}

int zl_tree_del(struct zl_fs *fs, const struct zl_key *key, uint64_t tid, struct zl_elem *old)
{
	struct zl_path path;
	bool exact;
	uint32_t i;
	int err = zl_tree_descend(fs, key, &path);

	old->head.lines = 0;
	if (err)
		return err;
	i = zl_node_search(path.node[0], key, &exact);
	touch_empty(fs, path.node[0]);
	if (!exact || newer(zl_node_at(path.node[0], i), tid))
		return 1;
	copy_elem(old, zl_node_at(path.node[0], i));
	zl_node_remove(fs, path.node[0], i);
	return 0;
}

int zl_tree_spoil(struct zl_fs *fs, const struct zl_elem *elem)
{
	const struct zl_key key = zl_elem_key(&elem->head);
	struct zl_path path;
	struct zl_pm *pm;
	uint64_t off;
	bool exact;
	uint32_t i;
	int err = zl_tree_descend(fs, &key, &path);

	i = err ? 0 : zl_node_search(path.node[0], &key, &exact);
	if (err || !exact)
		return err;
	pm = zl_node_pm(fs, path.node[0]->addr, &off);
	zl_pm_store64(pm, ZL_META, off + path.node[0]->order[i] * ZLF_LINE_BYTES +
				   offsetof(struct zlf_elem, end_tid), elem->head.end_tid);
	return 0;
}

/* The applier's own looks, between its changes. */
int zl_tree_find_staged(struct zl_fs *fs, const struct zl_key *key, struct zl_elem *elem)
{
	return find_locked(fs, key, elem);
}

int zl_tree_next_staged(struct zl_fs *fs, const struct zl_key *key, struct zl_elem *elem)
{
	return next_locked(fs, *key, elem, true);
}

/* ---------------------------------------------------------------------- load */

int zl_tree_load(struct zl_fs *fs)
{
	const struct zlf_anchor *anchor =
		(const void *)(fs->devs[0].pm.media + zl_get64(fs->devs[0].super->anchor_off));
	struct zl_tree *tree = fs->tree_state = calloc(1, sizeof(*tree));
	uint64_t root = zl_get64(anchor->root);
	const struct zlf_node *header;
	uint32_t seg, off;

	if (!tree || !zl_cache_init(fs))
		return -ENOMEM;
	STAILQ_INIT(&tree->touched);
	pthread_mutex_init(&tree->cache_lock, NULL);
	if (!zl_addr_split(fs, root, &seg, &off))
		return zl_freeze(fs, "the tree's beginning", root);
	header = zl_media(fs, root);
	if (zl_get16(header->level) >= ZLF_HEIGHT_MAX)
		return zl_freeze(fs, "the tree's height", root);
	zl_node_parented(fs, root);	/* the anchor has it */
	tree->root = zl_node_get(fs, root, zl_get16(header->level), NULL);
	return tree->root ? 0 : -EIO;
}

uint64_t zl_tree_root(struct zl_fs *fs)
{
	uint64_t root;

	pthread_rwlock_rdlock(&fs->tree);
	root = fs->tree_state->root->addr;
	pthread_rwlock_unlock(&fs->tree);
	return root;
}

void zl_tree_free(struct zl_fs *fs)
{
	if (!fs->tree_state)
		return;
	zl_cache_free(fs);
	pthread_mutex_destroy(&fs->tree_state->cache_lock);
	free(fs->tree_state);
	fs->tree_state = NULL;
}
