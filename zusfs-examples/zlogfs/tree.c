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

/* -------------------------------------------------------------------- descent */

int zl_tree_descend(struct zl_fs *fs, const struct zl_key *key, struct zl_path *path)
{
	struct zl_node *node = fs->tree_state->root;
	uint32_t level = node->level;
	uint64_t behind;
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
			path->hi = zl_node_key(node, i + 1);
			path->bounded = true;
		}
		behind = zl_node_behind(node, i, key);
		node = zl_node_child(fs, node, i, path->bounded ? &path->hi : NULL);
		if (!node)
			return -EIO;
		zl_node_prefetch(node, behind);
		level--;
	}
}

/* -------------------------------------------------------------------- lookup */

#define RETRIES		16u		/* then it is done under the lock */

/* A look for a key, and where it has come: a leaf, and what the nodes above say of it. */
struct look {
	struct zl_fs *fs;
	bool locked;
	bool strict;			/* what is at the key does not count */
	const struct zl_node *node;	/* or the parent of one that is not loaded */
	uint32_t seq;
	uint32_t i;			/* elements of it below the key; or which child */
	bool exact;			/* the next one has just the key */
	bool bounded, preceded;		/* there is a leaf behind, in front */
	struct zl_key hi;		/* the first key of what is behind */
	struct zl_key lo;		/* the first key of what is not in front */
};

enum reached {
	REACHED,
	CHANGED,			/* under the reader: again */
	NOT_LOADED,
};

/* The last child that may have something at the key, or in front of it, and its bounds. */
ZL_OPTIMISTIC
static uint32_t choose_child(const struct zl_node *node, const struct zl_key *key,
			     struct look *look)
{
	uint32_t n = __atomic_load_n(&node->n, __ATOMIC_RELAXED), i;
	bool exact;

	i = zl_node_search(node, key, &exact);
	i -= i && (look->strict || !exact);	/* the first has all below, too */
	if (i + 1 < n && i + 1 < ZLF_NODE_LINES_MAX) {
		look->hi = zl_node_key(node, i + 1);
		look->bounded = true;
	}
	if (i) {
		look->lo = zl_node_key(node, i);
		look->preceded = true;
	}
	return i & (ZLF_NODE_LINES_MAX - 1);
}

ZL_OPTIMISTIC
static const struct zl_node *child_at(const struct zl_node *node, uint32_t i)
{
	uint32_t line = __atomic_load_n(&node->order[i], __ATOMIC_RELAXED);

	return __atomic_load_n(&node->children[line & (ZLF_NODE_LINES_MAX - 1)],
			       __ATOMIC_ACQUIRE);
}

/* A child counts if its parent is still the same behind the look at the child's seq. */
ZL_OPTIMISTIC
static enum reached reach(const struct zl_tree *tree, const struct zl_key *key,
			  struct look *look)
{
	const struct zl_node *node = __atomic_load_n(&tree->root, __ATOMIC_ACQUIRE), *child;
	uint32_t seq, child_seq;

	look->bounded = look->preceded = false;
	if (!zl_node_read_begin(node, &seq) ||
	    __atomic_load_n(&tree->root, __ATOMIC_ACQUIRE) != node)
		return CHANGED;
	while (__atomic_load_n(&node->level, __ATOMIC_RELAXED)) {
		look->node = node;
		look->i = choose_child(node, key, look);
		child = child_at(node, look->i);
		if (!child)
			return zl_node_read_ok(node, seq) ? NOT_LOADED : CHANGED;
		zl_node_prefetch(child, zl_node_behind(node, look->i, key));
		if (!zl_node_read_begin(child, &child_seq) || !zl_node_read_ok(node, seq))
			return CHANGED;
		node = child;
		seq = child_seq;
	}
	look->node = node;
	look->seq = seq;
	look->i = zl_node_search(node, key, &look->exact);
	return zl_node_read_ok(node, seq) ? REACHED : CHANGED;
}

/* Under the lock. */
static int load_child(struct look *look)
{
	struct zl_node *parent = (struct zl_node *)look->node;

	if (!parent->n)
		return zl_freeze(look->fs, "an inner node without a child", parent->addr);
	return zl_node_child(look->fs, parent, look->i, look->bounded ? &look->hi : NULL) ?
		       0 : -EIO;
}

/* With look->locked, if it was not to be done without: for the caller to end. */
static int look_for(struct look *look, const struct zl_key *key)
{
	struct zl_tree *tree = look->fs->tree_state;
	enum reached reached;
	uint32_t tries = 0;
	int err;

	while ((reached = reach(tree, key, look)) != REACHED) {
		if (!look->locked && (reached == NOT_LOADED || ++tries == RETRIES)) {
			pthread_mutex_lock(&tree->lock);
			look->locked = true;
		} else if (reached == NOT_LOADED) {
			err = load_child(look);
			if (err)
				return err;
		}
	}
	return 0;
}

static void end_look(struct look *look)
{
	if (look->locked)
		pthread_mutex_unlock(&look->fs->tree_state->lock);
}

/* The same, as far as memory has it: an extent's place. false: it has not, or another now. */
ZL_OPTIMISTIC
static bool place_out(const struct look *look, uint32_t i, struct zl_elem *elem)
{
	uint64_t place = __atomic_load_n(&look->node->lows[i].place, __ATOMIC_RELAXED);
	const struct zl_key key = zl_node_key(look->node, i);

	if (!place || !zl_node_read_ok(look->node, look->seq))
		return false;
	elem->head = (struct zlf_elem) { .rec_type = (uint8_t)key.rec_type, .lines = 1,
					 .obj = htole64(key.obj), .key = htole64(key.key) };
	zl_place_elem(place, &elem->head);
	return true;
}

/* The leaf's i-th element, if it is still there. */
ZL_OPTIMISTIC
static bool copy_out(const struct look *look, uint32_t i, struct zl_elem *elem)
{
	uint32_t line = __atomic_load_n(&look->node->order[i], __ATOMIC_RELAXED), lines;
	const struct zl_elem *from = (const struct zl_elem *)(const void *)
		(__atomic_load_n(&look->node->media, __ATOMIC_RELAXED) + line);

	if (!zl_node_read_ok(look->node, look->seq))
		return false;
	__builtin_memcpy(&elem->head, &from->head, ZLF_LINE_BYTES);
	for (lines = elem->head.lines; lines > 1 && lines <= ZLF_ELEM_LINES_MAX; lines--)
		__builtin_memcpy(elem->payload + (lines - 2) * ZLF_LINE_BYTES,
				 from->payload + (lines - 2) * ZLF_LINE_BYTES, ZLF_LINE_BYTES);
	return zl_node_read_ok(look->node, look->seq);
}

int zl_tree_find(struct zl_fs *fs, const struct zl_key *key, struct zl_elem *elem)
{
	struct look look = { .fs = fs };
	int err;

	do
		err = look_for(&look, key);
	while (!err && look.exact && !copy_out(&look, look.i, elem));
	end_look(&look);
	return err ? err : look.exact ? 0 : -ENOENT;
}

/* A leaf that a commit prunes, if it has nothing. */
static void touch_empty(struct zl_fs *fs, struct zl_node *leaf)
{
	if (!leaf->n)
		zl_node_touch(fs, leaf);
}

/* n is what it was: look_for() has seen it, and read_ok() or copy_out() makes sure. */
ZL_OPTIMISTIC
static bool at_end(const struct look *look)
{
	return look->i >= __atomic_load_n(&look->node->n, __ATOMIC_RELAXED);
}

/* Is the leaf's next element behind that? Known without a look at the medium. */
ZL_OPTIMISTIC
static bool is_behind(const struct look *look, const struct zl_key *last)
{
	const struct zl_key key = zl_node_key(look->node, look->i);

	return zl_key_compare(&key, last) > 0;
}

/* Where the look has come first: an element of the key would be there. */
ZL_OPTIMISTIC
static void remember(const struct look *look, struct zl_lead *lead)
{
	lead->leaf = (struct zl_node *)look->node;
	lead->shape = __atomic_load_n(&look->node->shape, __ATOMIC_RELAXED);
	if (!zl_node_read_ok(look->node, look->seq))
		lead->leaf = NULL;
}

static int next(struct look *look, struct zl_key key, const struct zl_key *last,
		struct zl_elem *elem, struct zl_lead *lead, bool prune)
{
	int err;

	for (;;) {
		err = look_for(look, &key);
		if (err)
			return err;
		if (lead)
			remember(look, lead);
		lead = NULL;
		if (!at_end(look)) {
			if (last && is_behind(look, last) &&
			    zl_node_read_ok(look->node, look->seq))
				return -ENOENT;
			if (copy_out(look, look->i, elem))
				return 0;
			continue;
		}
		if (!zl_node_read_ok(look->node, look->seq))
			continue;
		if (prune)
			touch_empty(look->fs, (struct zl_node *)look->node);
		if (!look->bounded)
			return -ENOENT;
		key = look->hi;
	}
}

int zl_tree_next(struct zl_fs *fs, const struct zl_key *key, const struct zl_key *last,
		 struct zl_elem *elem, struct zl_lead *lead)
{
	struct look look = { .fs = fs };
	int err = next(&look, *key, last, elem, lead, false);

	end_look(&look);
	return err;
}

int zl_tree_next_prune(struct zl_fs *fs, const struct zl_key *key, struct zl_elem *elem)
{
	struct look look = { .fs = fs };
	int err = next(&look, *key, NULL, elem, NULL, true);

	end_look(&look);
	return err;
}

int zl_tree_prev(struct zl_fs *fs, const struct zl_key *key, bool place, struct zl_elem *elem)
{
	struct look look = { .fs = fs };
	struct zl_key from = *key;
	uint32_t n;
	int err;

	for (;;) {
		err = look_for(&look, &from);
		if (err)
			break;
		n = look.i + (look.exact && !look.strict);
		if (n) {
			if ((place && place_out(&look, n - 1, elem)) ||
			    copy_out(&look, n - 1, elem))
				break;
			continue;
		}
		err = look.preceded ? 0 : -ENOENT;
		if (err)
			break;
		from = look.lo;
		look.strict = true;
	}
	end_look(&look);
	return err;
}

/* ------------------------------------------------------------------- changes */

static void copy_elem(struct zl_elem *to, const struct zlf_elem *from)
{
	memcpy(to, from, from->lines * ZLF_LINE_BYTES);
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
	int err;

	pthread_mutex_lock(&fs->tree_state->lock);
	err = commit_locked(fs);
	pthread_mutex_unlock(&fs->tree_state->lock);
	return err;
}

/* Of what others look at, too. */
static void seal_elem(const struct zl_fs *fs, struct zl_elem *sealed, const struct zl_elem *elem)
{
	memcpy(sealed, elem, elem->head.lines * ZLF_LINE_BYTES);
	sealed->head.crc = htole32(zl_crc_of(fs->crc_seed, sealed, 0,
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

/* Does it still say where its key leads? Partner: zl_node_reshape(). */
static bool leads(const struct zl_lead *lead)
{
	return lead && lead->leaf &&
	       __atomic_load_n(&lead->leaf->shape, __ATOMIC_RELAXED) == lead->shape;
}

/* Free lines of the leaf that path then leads to; of what is above it path need not tell. */
static int find_room(struct zl_fs *fs, const struct zl_key *key, const struct zl_lead *lead,
		     uint32_t lines, struct zl_path *path, uint32_t *line)
{
	int err;

	if (leads(lead)) {
		path->node[0] = lead->leaf;
		*line = zl_node_room(fs, lead->leaf, lines);
		if (*line)
			return 0;
	}
	for (;;) {
		err = zl_tree_descend(fs, key, path);
		if (err)
			return err;
		*line = zl_node_room(fs, path->node[0], lines);
		if (*line)
			return 0;
		/* lines that the batch has ended are free behind its end */
		if (!STAILQ_EMPTY(&fs->tree_state->touched))
			err = commit_locked(fs);
		else
			err = zl_tree_make_room(fs, path, key);
		if (err)
			return err;
	}
}

static int put_locked(struct zl_fs *fs, const struct zl_elem *elem, const struct zl_lead *lead,
		      struct zl_elem *old)
{
	struct zl_key key = zl_elem_key(&elem->head);
	struct zl_path path;
	struct zl_node *leaf;
	uint32_t i, line;
	bool exact;
	int err = find_room(fs, &key, lead, elem->head.lines, &path, &line);

	if (err)
		return err;
	leaf = path.node[0];
	i = zl_node_search(leaf, &key, &exact);
	/* only a mount may meet what was done before */
	if (exact && fs->recovering &&
	    newer(zl_node_at(leaf, i), zl_get64(elem->head.end_tid)))
		return 1;
	zl_node_write(fs, leaf, line, elem, elem->head.lines);
	if (exact && old)
		copy_elem(old, zl_node_at(leaf, i));
	zl_node_change(leaf);
	if (exact)
		zl_node_relink(fs, leaf, i, line, &elem->head);
	else
		zl_node_link(fs, leaf, i, line, &elem->head, NULL);
	zl_node_changed(leaf);
	return 0;
}

int zl_tree_put(struct zl_fs *fs, const struct zl_elem *elem, const struct zl_lead *lead,
		struct zl_elem *old)
{
	struct zl_elem sealed;
	int err;

	if (old)
		old->head.lines = 0;
	seal_elem(fs, &sealed, elem);
	pthread_mutex_lock(&fs->tree_state->lock);
	err = put_locked(fs, &sealed, lead, old);
	pthread_mutex_unlock(&fs->tree_state->lock);
	return err;
}

static int del_locked(struct zl_fs *fs, const struct zl_key *key, uint64_t tid,
		      struct zl_elem *old)
{
	struct zl_path path;
	bool exact;
	uint32_t i;
	int err = zl_tree_descend(fs, key, &path);

	if (err)
		return err;
	i = zl_node_search(path.node[0], key, &exact);
	touch_empty(fs, path.node[0]);
	if (!exact || newer(zl_node_at(path.node[0], i), tid))
		return 1;
	copy_elem(old, zl_node_at(path.node[0], i));
	zl_node_change(path.node[0]);
	zl_node_unlink(fs, path.node[0], i);
	zl_node_changed(path.node[0]);
	return 0;
}

void zl_tree_prefetch(const struct zl_fs *fs, const struct zl_key *key,
		      const struct zl_lead *lead)
{
	const struct zl_node *node = fs->tree_state->root;
	uint64_t behind = ZLF_NODE_LINES_MAX;
	bool exact;
	uint32_t i;

	/* not even looked at: that would be the wait for memory */
	if (lead->leaf) {
		zl_node_prefetch(lead->leaf, behind);
		return;
	}
	while (node && node->level) {
		i = zl_node_search(node, key, &exact);
		i -= i && !exact;
		behind = zl_node_behind(node, i, key);
		node = node->n ? child_at(node, i) : NULL;
	}
	if (node)
		zl_node_prefetch(node, behind);
}

int zl_tree_del(struct zl_fs *fs, const struct zl_key *key, uint64_t tid, struct zl_elem *old)
{
	int err;

	old->head.lines = 0;
	pthread_mutex_lock(&fs->tree_state->lock);
	err = del_locked(fs, key, tid, old);
	pthread_mutex_unlock(&fs->tree_state->lock);
	return err;
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

/* ---------------------------------------------------------------------- load */

int zl_tree_load(struct zl_fs *fs)
{
	const struct zlf_anchor *anchor =
		(const void *)(fs->devs[0].pm.media + zl_get64(fs->devs[0].super->anchor_off));
	struct zl_tree *tree = fs->tree_state = calloc(1, sizeof(*tree));
	uint64_t root = zl_get64(anchor->root);
	const struct zlf_node *header;
	uint32_t seg, off;

	if (!tree)
		return -ENOMEM;
	tree->parented = calloc(fs->num_segs, sizeof(*tree->parented));
	if (!tree->parented)
		return -ENOMEM;
	STAILQ_INIT(&tree->touched);
	SLIST_INIT(&tree->free_leaves);
	SLIST_INIT(&tree->free_inner);
	pthread_mutex_init(&tree->lock, NULL);
	if (!zl_addr_split(fs, root, &seg, &off))
		return zl_freeze(fs, "the tree's beginning", root);
	header = zl_media(fs, root);
	if (zl_get16(header->level) >= ZLF_HEIGHT_MAX)
		return zl_freeze(fs, "the tree's height", root);
	zl_node_parented(fs, root);	/* the anchor has it */
	tree->root = zl_node_load(fs, root, zl_get16(header->level), NULL);
	return tree->root ? 0 : -EIO;
}

uint64_t zl_tree_root(struct zl_fs *fs)
{
	uint64_t root;

	pthread_mutex_lock(&fs->tree_state->lock);
	root = fs->tree_state->root->addr;
	pthread_mutex_unlock(&fs->tree_state->lock);
	return root;
}

void zl_tree_free(struct zl_fs *fs)
{
	if (!fs->tree_state)
		return;
	zl_nodes_free(fs);
	pthread_mutex_destroy(&fs->tree_state->lock);
	free(fs->tree_state);
	fs->tree_state = NULL;
}
