/* SPDX-License-Identifier: BSD-3-Clause */
/* node.h - nodes of the tree in memory: for node.c, tree.c and grow.c. */
#ifndef ZLOGFS_NODE_H
#define ZLOGFS_NODE_H

#include "zlogfs.h"

/*
 * Read under fs->tree; changed under it, for writing. Made when it is first met, and then
 * kept as long as the node is there.
 */
struct zl_node {
	struct zl_node *hash_next;	/* read by acquire, stored by release under cache_lock */
	const struct zlf_node *media;
	uint64_t addr;
	uint64_t valid;			/* lines of elements, those not yet committed too */
	struct zl_key gone;		/* of the element that was taken out last: it leads here */
	uint16_t level;
	uint16_t n;
	bool touched;			/* valid and what the medium has differ */
	STAILQ_ENTRY(zl_node) in_touched;
	uint8_t order[ZLF_NODE_LINES_MAX]; /* first lines of elements, by key */
};

STAILQ_HEAD(zl_node_list, zl_node);

struct zl_tree {
	pthread_mutex_t cache_lock;	/* to enter a node */
	struct zl_node **cache;
	uint32_t cache_size;		/* a power of two; grows under fs->tree for writing */
	uint32_t num_nodes;
	uint64_t **parented;		/* by segment: its nodes that a parent has; NULL: none */
	struct zl_node *root;
	struct zl_node_list touched;
};

/* The way from the root, which is the last, to a leaf; index of the child in each. */
struct zl_path {
	struct zl_node *node[ZLF_HEIGHT_MAX];
	uint16_t index[ZLF_HEIGHT_MAX];
	uint32_t height;
	bool bounded;			/* there is a leaf behind; hi is its first key */
	struct zl_key hi;
};

static inline const struct zlf_elem *zl_node_elem(const struct zl_node *node, uint32_t line)
{
	return (const struct zlf_elem *)(const void *)node->media + line;
}

static inline const struct zlf_elem *zl_node_at(const struct zl_node *node, uint32_t i)
{
	return zl_node_elem(node, node->order[i]);
}

/* NULL: EIO, and the filesystem is frozen, or no memory. hi: no element there counts. */
struct zl_node *zl_node_get(struct zl_fs *fs, uint64_t addr, uint32_t level,
			    const struct zl_key *hi);
/* For a node that is being made: empty. Under fs->tree for writing, as what follows. */
struct zl_node *zl_node_new(struct zl_fs *fs, uint64_t addr, uint32_t level);
void zl_node_forget(struct zl_fs *fs, struct zl_node *node);
/* Under cache_lock, or fs->tree for writing. That a parent has it; false: one has it already. */
bool zl_node_parented(struct zl_fs *fs, uint64_t addr);
void zl_node_unparented(struct zl_fs *fs, uint64_t addr);
/* Of all that have been read: is what they stand on, and have, in use? Else EIO. */
int zl_nodes_settled(struct zl_fs *fs);
bool zl_cache_init(struct zl_fs *fs);
void zl_cache_free(struct zl_fs *fs);

/* Number of elements with a key below; *exact: the next one has just this. */
uint32_t zl_node_search(const struct zl_node *node, const struct zl_key *key, bool *exact);
/* As many free lines in one piece; 0: there are not. */
uint32_t zl_node_room(const struct zl_fs *fs, const struct zl_node *node, uint32_t lines);
/* Write an element to free lines, as the i-th; take the i-th out. */
void zl_node_insert(struct zl_fs *fs, struct zl_node *node, uint32_t i, uint32_t line,
		    const void *elem, uint32_t lines);
void zl_node_remove(struct zl_fs *fs, struct zl_node *node, uint32_t i);
/* Its word, flushed. */
void zl_node_touch(struct zl_fs *fs, struct zl_node *node);
void zl_node_store_valid(struct zl_fs *fs, struct zl_node *node);
/* Where it is, to store. */
struct zl_pm *zl_node_pm(struct zl_fs *fs, uint64_t addr, uint64_t *off);

int zl_tree_descend(struct zl_fs *fs, const struct zl_key *key, struct zl_path *path);

/*
 * grow.c, under fs->tree for writing, nothing being staged. make_room: one split on the way
 * up from a leaf that is full; the caller descends again. prune: an empty leaf leaves the
 * tree. Durable when they return.
 */
int zl_tree_make_room(struct zl_fs *fs, struct zl_path *path, const struct zl_key *key);
int zl_tree_prune(struct zl_fs *fs, struct zl_path *path);
/* What a crash left half done: bits of nodes that intents name. */
int zl_tree_settle_intents(struct zl_fs *fs);

#endif /* ZLOGFS_NODE_H */
