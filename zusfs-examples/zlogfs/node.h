/* SPDX-License-Identifier: BSD-3-Clause */
/* node.h - nodes of the tree in memory: for node.c, tree.c and grow.c. */
#ifndef ZLOGFS_NODE_H
#define ZLOGFS_NODE_H

#include "zlogfs.h"

/*
 * Nodes are read without a lock, and changed by one thread at a time under zl_tree.lock: around
 * each change seq is odd, and a reader takes what it has read for nothing if seq is, or has
 * become, another. Memory of a node is given to nothing but nodes as long as the tree is
 * there, so that a reader that comes late reads what it will not believe.
 */
struct zl_node {
	uint32_t seq;			/* atomic; odd: it is being changed */
	uint16_t level;
	uint16_t n;
	uint64_t high;			/* if that is the same of all, else 0 */
	uint64_t low;			/* key of the first */
	const struct zlf_node *media;
	struct zl_node **children;	/* by line; NULL: not loaded yet; of a leaf there are none */
	uint64_t addr;
	uint32_t shape;			/* another, when keys that led here may lead elsewhere */
	/* In order: first lines of elements, and their keys as two numbers. */
	uint8_t order[ZLF_NODE_LINES_MAX] __attribute__((aligned(ZLF_LINE_BYTES)));
	struct zl_low {
		uint64_t key;
		uint64_t place;		/* zl_place_of(), or 0 */
	} lows[ZLF_NODE_LINES_MAX];
	uint64_t highs[ZLF_NODE_LINES_MAX];	/* object, and below it rec_type */
	/* From here on for who changes it alone. */
	uint64_t valid;			/* lines of elements, those not yet committed too */
	uint64_t stored;		/* as the medium has it */
	struct zl_key gone;		/* leads here, if there are no elements: that of the last */
	bool touched;			/* valid and stored may differ */
	STAILQ_ENTRY(zl_node) in_touched;
	SLIST_ENTRY(zl_node) in_free;	/* of nodes that there are no more */
};

STAILQ_HEAD(zl_node_list, zl_node);
SLIST_HEAD(zl_node_stack, zl_node);

struct zl_tree {
	pthread_mutex_t lock;
	struct zl_node *root;		/* atomic */
	struct zl_node_list touched;	/* the applier's */
	struct zl_node_stack free_leaves;
	struct zl_node_stack free_inner;
	uint64_t **parented;		/* by segment: its nodes that a parent has; NULL: none */
	struct zl_chunk *chunks;	/* memory of nodes; the newest first */
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

/*
 * What is read between begin and ok counts if ok says so. begin: false if somebody is at it.
 * Partners: zl_node_change() and zl_node_changed(), around each change of what readers see.
 */
bool zl_node_read_begin(const struct zl_node *node, uint32_t *seq);
bool zl_node_read_ok(const struct zl_node *node, uint32_t seq);
void zl_node_change(struct zl_node *node);
void zl_node_changed(struct zl_node *node);
/* Between these two: partner of zl_lead, which is compared under zl_tree.lock. */
void zl_node_reshape(struct zl_node *node);

/*
 * An extent's blocks and flags as one number, so that who only asks where they are need not
 * look at the medium. 0: it is no extent, or one that no such number has room for.
 */
uint64_t zl_place_of(const struct zlf_elem *elem);
void zl_place_elem(uint64_t place, struct zlf_elem *elem);

/*
 * What a search in it looks at is asked for at once: all keys, or of keys that follow on one
 * another, as those of a file's blocks do, the one behind so many others.
 */
static inline void zl_node_prefetch(const struct zl_node *node, uint64_t behind)
{
	uint32_t i;

	__builtin_prefetch(node);
	if (behind < ZLF_NODE_LINES_MAX) {
		__builtin_prefetch(&node->lows[behind]);
		return;
	}
	__builtin_prefetch(node->order);
	for (i = 0; i < ZLF_NODE_LINES_MAX; i += ZLF_LINE_BYTES / sizeof(node->lows[0]))
		__builtin_prefetch(&node->lows[i]);
}

/* Of a child that begins with the i-th key, how many would be in front of this one, if so. */
ZL_OPTIMISTIC
static inline uint64_t zl_node_behind(const struct zl_node *node, uint32_t i,
				      const struct zl_key *key)
{
	return __atomic_load_n(&node->level, __ATOMIC_RELAXED) == 1 ?
		       key->key - __atomic_load_n(&node->lows[i].key, __ATOMIC_RELAXED) :
		       ZLF_NODE_LINES_MAX;
}

/* Of a reader, too: number of elements with a key below; *exact: the next one has just this. */
uint32_t zl_node_search(const struct zl_node *node, const struct zl_key *key, bool *exact);
struct zl_key zl_node_key(const struct zl_node *node, uint32_t i);

/*
 * What follows is under zl_tree.lock. child: the i-th's node, loaded if it was not; NULL: EIO,
 * and the filesystem is frozen, or no memory. hi: no element there counts. load: a root.
 */
struct zl_node *zl_node_child(struct zl_fs *fs, struct zl_node *parent, uint32_t i,
			      const struct zl_key *hi);
struct zl_node *zl_node_load(struct zl_fs *fs, uint64_t addr, uint32_t level,
			     const struct zl_key *hi);
/* For a node that is being made: empty. forget: it has left the tree. */
struct zl_node *zl_node_new(struct zl_fs *fs, uint64_t addr, uint32_t level);
void zl_node_forget(struct zl_fs *fs, struct zl_node *node);
/* That a parent has it; false: one has it already. */
bool zl_node_parented(struct zl_fs *fs, uint64_t addr);
void zl_node_unparented(struct zl_fs *fs, uint64_t addr);
/* Of all that have been read: is what they stand on, and have, in use? Else EIO. */
int zl_nodes_settled(struct zl_fs *fs);
void zl_nodes_free(struct zl_fs *fs);

/* As many free lines in one piece; 0: there are not. */
uint32_t zl_node_room(const struct zl_fs *fs, const struct zl_node *node, uint32_t lines);
/*
 * write: an element to free lines, flushed. link: as the i-th, between change and changed
 * unless nobody can see the node yet; child: of an inner node what it leads to. unlink: the
 * i-th goes. relink: the i-th becomes another, which is in order there, of the same child.
 */
void zl_node_write(struct zl_fs *fs, struct zl_node *node, uint32_t line, const void *elem,
		   uint32_t lines);
void zl_node_link(struct zl_fs *fs, struct zl_node *node, uint32_t i, uint32_t line,
		  const struct zlf_elem *elem, struct zl_node *child);
void zl_node_unlink(struct zl_fs *fs, struct zl_node *node, uint32_t i);
void zl_node_relink(struct zl_fs *fs, struct zl_node *node, uint32_t i, uint32_t line,
		    const struct zlf_elem *elem);
/* Its word, flushed. */
void zl_node_touch(struct zl_fs *fs, struct zl_node *node);
void zl_node_untouch(struct zl_fs *fs, struct zl_node *node);
void zl_node_store_valid(struct zl_fs *fs, struct zl_node *node);
/* Where it is, to store. */
struct zl_pm *zl_node_pm(struct zl_fs *fs, uint64_t addr, uint64_t *off);

int zl_tree_descend(struct zl_fs *fs, const struct zl_key *key, struct zl_path *path);

/*
 * grow.c, nothing being staged. make_room: one split on the way up from a leaf that is full;
 * the caller descends again. prune: an empty leaf leaves the tree. Durable when they return.
 */
int zl_tree_make_room(struct zl_fs *fs, struct zl_path *path, const struct zl_key *key);
int zl_tree_prune(struct zl_fs *fs, struct zl_path *path);
/* What a crash left half done: bits of nodes that intents name. */
int zl_tree_settle_intents(struct zl_fs *fs);

#endif /* ZLOGFS_NODE_H */
