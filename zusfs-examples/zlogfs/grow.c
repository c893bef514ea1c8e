// SPDX-License-Identifier: BSD-3-Clause
/*
 * grow.c - nodes join the tree and leave it. Each step is made by the store of one word, a
 * parent's or the anchor's. What a crash can leave beside it is the bit of a node that has
 * not joined, or has left: so an intent names each node first, and a mount sets its bit to
 * what the tree says. Elements that a split has moved are valid in both nodes until the left
 * one's word is stored, too; its parent bounds what is looked for in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "crc32c.h"
#include "node.h"

/* ------------------------------------------------------------------- intents */

static uint64_t intent_off(const struct zl_fs *fs, uint32_t i)
{
	return zl_get64(fs->devs[0].super->intents_off) + i * sizeof(struct zlf_intent);
}

/* key: leads to the node, as long as it is in the tree. */
static void intent_store(struct zl_fs *fs, uint32_t i, const struct zl_node *node,
			 const struct zl_key *key)
{
	struct zlf_intent intent = {
		.level = htole32(node->level), .node = htole64(node->addr),
		.obj = htole64(key->obj), .key = htole64(key->key), .tid = htole64(key->tid),
		.rec_type = htole32(key->rec_type),
	};

	intent.crc = htole32(zl_crc_of(fs->crc_seed, &intent, 0, sizeof(intent)));
	zl_pm_write(&fs->devs[0].pm, ZL_INTENT, intent_off(fs, i), &intent, sizeof(intent));
}

/* Its first word has the checksum, and level, so it is none any more. */
static void intents_clear(struct zl_fs *fs, uint32_t n)
{
	while (n--)
		zl_pm_store64(&fs->devs[0].pm, ZL_WORD, intent_off(fs, n), 0);
}

/* Is that node in the tree? -1: it can't be told. */
static int in_tree(struct zl_fs *fs, const struct zlf_intent *intent)
{
	struct zl_key key = { zl_get64(intent->obj), zl_get64(intent->key),
			      zl_get64(intent->tid), zl_get32(intent->rec_type) };
	uint32_t level = zl_get32(intent->level);
	struct zl_path path;

	if (zl_tree_descend(fs, &key, &path))
		return -1;
	return level < path.height && path.node[level]->addr == zl_get64(intent->node);
}

static int shrink(struct zl_fs *fs);

int zl_tree_settle_intents(struct zl_fs *fs)
{
	const struct zlf_intent *intent =
		(const void *)(fs->devs[0].pm.media + intent_off(fs, 0));
	uint32_t i, n = 0;
	int in;

	for (i = 0; i < ZLF_INTENTS; i++, intent++) {
		if (!intent->crc || zl_get32(intent->crc) !=
				    zl_crc_of(fs->crc_seed, intent, 0, sizeof(*intent)))
			continue;
		in = ZL_BUG(LEAK_NODE) ? 1 : in_tree(fs, intent);
		if (in < 0)
			return -EIO;
		zl_node_claim(fs, zl_get64(intent->node), in);
		if (in)
			zl_bits_set(fs, zl_get64(intent->node), 1);
		else
			zl_bits_clear(fs, zl_get64(intent->node), 1);
		n = i + 1;
	}
	if (fs->rdonly)
		return 0;
	if (n) {
		zl_bits_store(fs);
		zl_pm_fence();
		intents_clear(fs, n);
		zl_pm_fence();
	}
	return shrink(fs);	/* a crash may have come in between */
}

/* -------------------------------------------------------------------- growth */

/* What a parent has of a child. */
static struct zlf_elem child_elem(const struct zl_fs *fs, const struct zl_key *low,
				  uint64_t child)
{
	struct zlf_elem elem = {
		.rec_type = (uint8_t)low->rec_type, .lines = 1, .obj = htole64(low->obj),
		.key = htole64(low->key), .create_tid = htole64(low->tid),
		.addr = htole64(child),
	};

	elem.crc = htole32(zl_crc_of(fs->crc_seed, &elem, 0, sizeof(elem)));
	return elem;
}

/* A node that is not in the tree: its header, without elements; intent i names it. */
static struct zl_node *make_node(struct zl_fs *fs, uint32_t level, const struct zl_key *low)
{
	uint64_t addr = zl_node_alloc(fs), off;
	struct zlf_node header;
	struct zl_node *node;
	struct zl_pm *pm;

	if (!addr)
		return NULL;
	if (!zl_node_parented(fs, addr)) {
		zl_freeze(fs, "the bitmap: a node that is in use", addr);
		return NULL;
	}
	node = zl_node_new(fs, addr, level);
	if (!node) {
		zl_node_unparented(fs, addr);
		zl_node_release(fs, addr);
		return NULL;
	}
	zl_node_header(fs, &header, addr, level, low);
	pm = zl_node_pm(fs, addr, &off);
	zl_pm_write(pm, ZL_META, off, &header, sizeof(header));
	intent_store(fs, 0, node, low);
	zl_bits_set(fs, addr, 1);
	return node;
}

/*
 * All that the node has been given so far is durable with it, and its intent, not yet
 * reachable. Its bit comes behind that, with the word that leads to it: with either of these
 * alone on the medium the intent says what is right.
 */
static void finish_node(struct zl_fs *fs, struct zl_node *node)
{
	zl_node_store_valid(fs, node);
	if (ZL_BUG(BIT_FIRST))
		zl_bits_store(fs);
	zl_pm_fence();
	zl_bits_store(fs);
}

static void store_anchor(struct zl_fs *fs, uint64_t root)
{
	zl_pm_store64(&fs->devs[0].pm, ZL_WORD, zl_get64(fs->devs[0].super->anchor_off),
		      htole64(root));
}

/* Partner: reach() of tree.c. */
static void set_root(struct zl_tree *tree, struct zl_node *root)
{
	__atomic_store_n(&tree->root, root, __ATOMIC_RELEASE);
}

/* The root gets a parent, which then is the root. */
static int grow_root(struct zl_fs *fs)
{
	struct zl_tree *tree = fs->tree_state;
	const struct zl_key low = { .obj = 0 };	/* it has all */
	struct zl_node *root;
	struct zlf_elem elem;

	if (tree->root->level + 1u >= ZLF_HEIGHT_MAX)
		return -ENOSPC;
	root = make_node(fs, tree->root->level + 1u, &low);
	if (!root)
		return -ENOSPC;
	elem = child_elem(fs, &low, tree->root->addr);
	zl_node_write(fs, root, 1, &elem, 1);
	zl_node_link(fs, root, 0, 1, &elem, tree->root);
	finish_node(fs, root);
	store_anchor(fs, root->addr);
	zl_pm_fence();
	set_root(tree, root);
	intents_clear(fs, 1);
	zl_pm_fence();
	return 0;
}

/*
 * From which element on the right part begins: half of the lines, or, if something is appended,
 * an eighth. So much stays free in what is left behind, as each change of an element takes
 * lines that are free until its batch ends.
 */
static uint32_t split_at(const struct zl_node *node, const struct zl_key *key)
{
	struct zl_key last = zl_node_key(node, node->n - 1u);
	uint32_t all = (uint32_t)__builtin_popcountll(node->valid), lines = 0, stay, i;

	stay = zl_key_compare(&last, key) < 0 ? all - all / 8 : all / 2;
	for (i = 0; i < node->n - 1u && (lines < stay || !i); i++)
		lines += zl_node_at(node, i)->lines;
	return i;
}

/* A mistake that bug.h has: the left node loses all before the right one is reachable. */
static void spoil_word(struct zl_fs *fs, const struct zl_node *node)
{
	uint64_t off;
	struct zl_pm *pm = zl_node_pm(fs, node->addr, &off);

	zl_pm_store64(pm, ZL_WORD, off, 0);
}

/* Of the i-th element of an inner node. */
static struct zl_node *child_of(const struct zl_node *node, uint32_t i)
{
	return node->children ? node->children[node->order[i]] : NULL;
}

/* Elements from at on, and what they lead to; readers find them in the left one as before. */
static void copy_half(struct zl_fs *fs, struct zl_node *right, const struct zl_node *left,
		      uint32_t at)
{
	uint32_t i, line = 1;

	for (i = at; i < left->n; i++) {
		zl_node_write(fs, right, line, zl_node_at(left, i), zl_node_at(left, i)->lines);
		zl_node_link(fs, right, i - at, line, zl_node_at(left, i), child_of(left, i));
		line += zl_node_at(left, i)->lines;
	}
}

static void drop_half(struct zl_fs *fs, struct zl_node *left, uint32_t at)
{
	zl_node_change(left);
	zl_node_reshape(left);
	while (left->n > at)
		zl_node_unlink(fs, left, left->n - 1u);
	zl_node_changed(left);
	zl_node_store_valid(fs, left);
}

/* An element of a parent, in free lines of it. */
static void add_child(struct zl_fs *fs, struct zl_node *parent, uint32_t index,
		      const struct zl_key *low, struct zl_node *child)
{
	struct zlf_elem elem = child_elem(fs, low, child->addr);
	uint32_t line = zl_node_room(fs, parent, 1);

	zl_node_write(fs, parent, line, &elem, 1);
	zl_node_change(parent);
	zl_node_link(fs, parent, index, line, &elem, child);
	zl_node_changed(parent);
}

/* parent has room; index: of node in it. */
static int split(struct zl_fs *fs, struct zl_node *node, struct zl_node *parent, uint32_t index,
		 const struct zl_key *key)
{
	uint32_t at = split_at(node, key);
	struct zl_key low = zl_node_key(node, at);
	struct zl_node *right = make_node(fs, node->level, &low);

	if (!right)
		return -ENOSPC;
	copy_half(fs, right, node, at);
	add_child(fs, parent, index + 1, &low, right);
	finish_node(fs, right);
	if (ZL_BUG(INTENT_EARLY))
		intents_clear(fs, 1);
	if (ZL_BUG(SPLIT_ORDER))
		spoil_word(fs, node);
	zl_node_store_valid(fs, parent);	/* from here on it is in the tree */
	zl_pm_fence();
	drop_half(fs, node, at);
	intents_clear(fs, 1);
	zl_pm_fence();
	return 0;
}

/* All three are on the medium as they are in memory. */
static void untouch_all(struct zl_fs *fs)
{
	struct zl_tree *tree = fs->tree_state;
	struct zl_node *node;

	while ((node = STAILQ_FIRST(&tree->touched))) {
		STAILQ_REMOVE_HEAD(&tree->touched, in_touched);
		node->touched = false;
	}
}

/*
 * What a split that was cut short has left in a node takes room, and a node with little else
 * cannot be split. Nothing is staged: a word that differs is one of that.
 */
static bool finish_splits(struct zl_fs *fs, const struct zl_path *path)
{
	bool any = false;
	uint32_t level;

	for (level = 0; level < path->height; level++)
		if (path->node[level]->valid != path->node[level]->stored) {
			zl_node_store_valid(fs, path->node[level]);
			any = true;
		}
	if (any)
		zl_pm_fence();
	return any;
}

int zl_tree_make_room(struct zl_fs *fs, struct zl_path *path, const struct zl_key *key)
{
	uint32_t level = 0;
	int err;

	if (__atomic_load_n(&fs->frozen, __ATOMIC_ACQUIRE))
		return -EIO;		/* no room will come of it */
	if (finish_splits(fs, path))
		return 0;
	while (level + 1 < path->height && !zl_node_room(fs, path->node[level + 1], 1))
		level++;
	if (level + 1 == path->height)
		err = grow_root(fs);
	else
		err = split(fs, path->node[level], path->node[level + 1],
			    path->index[level + 1], key);
	if (!err)
		untouch_all(fs);
	return err;
}

/* -------------------------------------------------------------------- shrinking */

/*
 * What a split that was cut short has left in the node in front is not to come to light when
 * the bound goes.
 */
static int clean_left(struct zl_fs *fs, struct zl_node *parent, uint32_t index)
{
	const struct zl_key hi = zl_node_key(parent, index);
	struct zl_node *left = zl_node_child(fs, parent, index - 1, &hi);

	/* the same in the last node of each level below */
	for (;;) {
		if (!left)
			return -EIO;
		if (left->valid != left->stored) {
			zl_node_store_valid(fs, left);
			zl_pm_fence();
		}
		if (!left->level || !left->n)
			return 0;
		left = zl_node_child(fs, left, left->n - 1u, &hi);
	}
}

static void forget_nodes(struct zl_fs *fs, struct zl_node **nodes, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		zl_bits_clear(fs, nodes[i]->addr, 1);
	zl_bits_store(fs);
	zl_pm_fence();
	intents_clear(fs, n);
	zl_pm_fence();
	for (i = 0; i < n; i++) {
		zl_node_release(fs, nodes[i]->addr);
		zl_node_forget(fs, nodes[i]);
	}
}

/* One above the other, with one key that leads to all of them. */
static void intend(struct zl_fs *fs, struct zl_node **nodes, uint32_t n, const struct zl_key *key)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		intent_store(fs, i, nodes[i], key);
	zl_pm_fence();
}

/* The root's parents go while they have one child. */
static void shrink_root(struct zl_fs *fs, struct zl_node *child)
{
	struct zl_tree *tree = fs->tree_state;
	struct zl_node *old = tree->root;
	const struct zl_key any = { .obj = 0 };

	intend(fs, &old, 1, &any);
	store_anchor(fs, child->addr);
	zl_pm_fence();
	set_root(tree, child);
	forget_nodes(fs, &old, 1);
}

static int shrink(struct zl_fs *fs)
{
	struct zl_node *root = fs->tree_state->root, *child;

	while (root->level && root->n == 1) {
		child = zl_node_child(fs, root, 0, NULL);
		if (!child)
			return -EIO;
		shrink_root(fs, child);
		root = child;
	}
	return 0;
}

/*
 * The child leaves its parent. Who comes after a first one takes over its key, so that what
 * is in front of it has a place that is in order.
 */
static void leave_parent(struct zl_fs *fs, struct zl_node *parent, uint32_t index, uint32_t line)
{
	struct zl_key low = zl_node_key(parent, index);
	bool has_heir = !index && parent->n > 1;
	struct zlf_elem heir;

	if (has_heir) {
		heir = child_elem(fs, &low, zl_get64(zl_node_at(parent, 1)->addr));
		zl_node_write(fs, parent, line, &heir, 1);
	}
	zl_node_change(parent);
	zl_node_unlink(fs, parent, index);
	if (has_heir)
		zl_node_relink(fs, parent, 0, line, &heir);
	zl_node_changed(parent);
	if (has_heir)
		zl_pm_fence();
	zl_node_store_valid(fs, parent);
	zl_pm_fence();
	zl_node_untouch(fs, parent);
}

/* How many nodes above an empty leaf have nothing but it. */
static uint32_t only_children(const struct zl_path *path)
{
	uint32_t top = 0;

	while (top + 1 < path->height && path->node[top + 1]->n == 1)
		top++;
	return top;
}

/* A first child that was empty and had to stay may go now that the parent has room. */
static int prune_first(struct zl_fs *fs, struct zl_node *parent)
{
	struct zl_key low = zl_node_key(parent, 0);
	struct zl_path path;
	int err = zl_tree_descend(fs, &low, &path);

	if (err || path.node[0]->n || path.node[0]->touched)
		return err;
	return zl_tree_prune(fs, &path);
}

/*
 * Who comes after a first child gets keys that are lower than all it had: down to its first
 * leaf the first keys have to be as low, before. 1: a node has no room for that.
 */
static int lower_heir(struct zl_fs *fs, struct zl_node *parent, const struct zl_key *low)
{
	struct zl_key key = zl_node_key(parent, 1);
	uint32_t level, line;
	struct zl_path path;
	struct zl_node *node;
	struct zlf_elem elem;
	int err = zl_tree_descend(fs, &key, &path);

	for (level = parent->level - 1u; level && !err; level--) {
		node = path.node[level];
		key = zl_node_key(node, 0);
		if (zl_key_compare(&key, low) <= 0)
			continue;
		line = zl_node_room(fs, node, 1);
		if (!line)
			return 1;
		elem = child_elem(fs, low, zl_get64(zl_node_at(node, 0)->addr));
		zl_node_write(fs, node, line, &elem, 1);
		zl_node_change(node);
		zl_node_relink(fs, node, 0, line, &elem);
		zl_node_changed(node);
		zl_pm_fence();
		zl_node_store_valid(fs, node);
		zl_pm_fence();
		zl_node_untouch(fs, node);
	}
	return err;
}

int zl_tree_prune(struct zl_fs *fs, struct zl_path *path)
{
	uint32_t top = only_children(path), index, line;
	struct zl_node *parent;
	struct zl_key low;
	int err;

	if (top + 1 == path->height)
		return shrink(fs);	/* an empty tree: the leaf stays */
	parent = path->node[top + 1];
	index = path->index[top + 1];
	line = zl_node_room(fs, parent, 1);
	if (!index && !line)
		return 0;		/* no place for the heir's key: it stays, empty */
	low = zl_node_key(parent, index);
	err = index ? clean_left(fs, parent, index) : lower_heir(fs, parent, &low);
	if (err)
		return err < 0 ? err : 0;
	intend(fs, path->node, top + 1, &low);
	leave_parent(fs, parent, index, line);
	forget_nodes(fs, path->node, top + 1);
	err = prune_first(fs, parent);
	return err ? err : shrink(fs);
}
