// SPDX-License-Identifier: BSD-3-Clause
/* node.c - one node: read and checked once, searched, filled and emptied by lines. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "node.h"

#define LINE_MASK(line, lines)	(((1ull << (lines)) - 1) << (line))

/* --------------------------------------------------------------------- keys */

int zl_key_compare(const struct zl_key *a, const struct zl_key *b)
{
	if (a->obj != b->obj)
		return a->obj < b->obj ? -1 : 1;
	if (a->rec_type != b->rec_type)
		return a->rec_type < b->rec_type ? -1 : 1;
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->tid != b->tid)
		return a->tid < b->tid ? -1 : 1;
	return 0;
}

struct zl_key zl_elem_key(const struct zlf_elem *elem)
{
	return (struct zl_key) {
		.obj = zl_get64(elem->obj),
		.key = zl_get64(elem->key),
		.tid = elem->rec_type & ZLF_REC_HISTORY ? zl_get64(elem->create_tid) : 0,
		.rec_type = elem->rec_type,
	};
}

static struct zl_short_key short_key(const struct zl_key *key)
{
	return (struct zl_short_key) { key->obj << 8 | key->rec_type, key->key };
}

/* Of history, whose keys differ in the tid, too; as long as the reader is not sure, anything. */
ZL_OPTIMISTIC
static uint64_t tid_at(const struct zl_node *node, uint32_t i)
{
	const struct zlf_elem *elem;
	uint32_t line;

	line = __atomic_load_n(&node->order[i], __ATOMIC_RELAXED) & (ZLF_NODE_LINES_MAX - 1);
	elem = (const struct zlf_elem *)(const void *)
		       __atomic_load_n(&node->media, __ATOMIC_RELAXED) + line;
	return zl_get64(__atomic_load_n(&elem->create_tid, __ATOMIC_RELAXED));
}

ZL_OPTIMISTIC
static int compare_at(const struct zl_node *node, uint32_t i, const struct zl_short_key *key,
		      uint64_t tid)
{
	uint64_t high = __atomic_load_n(&node->keys[i].high, __ATOMIC_RELAXED), at, low;

	if (high != key->high)
		return high < key->high ? -1 : 1;
	low = __atomic_load_n(&node->keys[i].low, __ATOMIC_RELAXED);
	if (low != key->low)
		return low < key->low ? -1 : 1;
	if (!(high & ZLF_REC_HISTORY))
		return 0;
	at = tid_at(node, i);
	return at < tid ? -1 : at > tid;
}

ZL_OPTIMISTIC
uint32_t zl_node_search(const struct zl_node *node, const struct zl_key *key, bool *exact)
{
	uint32_t low = 0, high = __atomic_load_n(&node->n, __ATOMIC_RELAXED), mid;
	const struct zl_short_key want = short_key(key);
	int order;

	*exact = false;
	if (high > ZLF_NODE_LINES_MAX)	/* of a reader that is too late */
		high = ZLF_NODE_LINES_MAX;
	while (low < high) {
		mid = (low + high) / 2;
		order = compare_at(node, mid, &want, key->tid);
		if (order < 0) {
			low = mid + 1;
		} else {
			*exact |= !order;
			high = mid;
		}
	}
	return low;
}

ZL_OPTIMISTIC
struct zl_key zl_node_key(const struct zl_node *node, uint32_t i)
{
	uint64_t high = __atomic_load_n(&node->keys[i].high, __ATOMIC_RELAXED);
	uint32_t rec_type = high & UINT8_MAX;

	return (struct zl_key) {
		.obj = high >> 8, .rec_type = rec_type,
		.key = __atomic_load_n(&node->keys[i].low, __ATOMIC_RELAXED),
		.tid = rec_type & ZLF_REC_HISTORY ? tid_at(node, i) : 0,
	};
}

/* --------------------------------------------------------------------- seq */

bool zl_node_read_begin(const struct zl_node *node, uint32_t *seq)
{
	*seq = __atomic_load_n(&node->seq, __ATOMIC_ACQUIRE);
	return !(*seq & 1);
}

bool zl_node_read_ok(const struct zl_node *node, uint32_t seq)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&node->seq, __ATOMIC_RELAXED) == seq;
}

void zl_node_change(struct zl_node *node)
{
	__atomic_store_n(&node->seq, node->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

void zl_node_changed(struct zl_node *node)
{
	__atomic_store_n(&node->seq, node->seq + 1, __ATOMIC_RELEASE);
}

/* -------------------------------------------------------------------- lines */

struct zl_pm *zl_node_pm(struct zl_fs *fs, uint64_t addr, uint64_t *off)
{
	return &fs->devs[zl_addr_dev(addr, off)].pm;
}

/* What the medium says is in use is not free before that has been committed. */
uint32_t zl_node_room(const struct zl_fs *fs, const struct zl_node *node, uint32_t lines)
{
	uint64_t used = node->valid | zl_get64(node->media->valid) | 1;
	uint32_t line;

	for (line = 1; line + lines <= fs->geo.node_lines; line++)
		if (!(used & LINE_MASK(line, lines)))
			return line;
	return 0;
}

void zl_node_touch(struct zl_fs *fs, struct zl_node *node)
{
	if (node->touched)
		return;
	node->touched = true;
	STAILQ_INSERT_TAIL(&fs->tree_state->touched, node, in_touched);
}

void zl_node_untouch(struct zl_fs *fs, struct zl_node *node)
{
	if (!node->touched)
		return;
	node->touched = false;
	STAILQ_REMOVE(&fs->tree_state->touched, node, zl_node, in_touched);
}

static void order_insert(struct zl_node *node, uint32_t i, uint32_t line,
			 const struct zl_key *key)
{
	memmove(&node->order[i + 1], &node->order[i], node->n - i);
	memmove(&node->keys[i + 1], &node->keys[i], (node->n - i) * sizeof(node->keys[0]));
	node->order[i] = (uint8_t)line;
	node->keys[i] = short_key(key);
	node->n++;
}

void zl_node_write(struct zl_fs *fs, struct zl_node *node, uint32_t line, const void *elem,
		   uint32_t lines)
{
	struct zl_pm *pm;
	uint64_t off;

	pm = zl_node_pm(fs, node->addr, &off);
	zl_pm_write(pm, ZL_META, off + line * ZLF_LINE_BYTES, elem, lines * ZLF_LINE_BYTES);
}

void zl_node_link(struct zl_fs *fs, struct zl_node *node, uint32_t i, uint32_t line,
		  struct zl_node *child)
{
	const struct zlf_elem *elem = zl_node_elem(node, line);
	struct zl_key key = zl_elem_key(elem);

	node->valid |= LINE_MASK(line, elem->lines);
	if (node->children)
		__atomic_store_n(&node->children[line], child, __ATOMIC_RELEASE);
	order_insert(node, i, line, &key);
	zl_node_touch(fs, node);
}

void zl_node_unlink(struct zl_fs *fs, struct zl_node *node, uint32_t i)
{
	uint32_t line = node->order[i];

	node->gone = zl_node_key(node, i);
	node->valid &= ~LINE_MASK(line, zl_node_elem(node, line)->lines);
	node->n--;
	memmove(&node->order[i], &node->order[i + 1], node->n - i);
	memmove(&node->keys[i], &node->keys[i + 1], (node->n - i) * sizeof(node->keys[0]));
	if (node->children)
		__atomic_store_n(&node->children[line], NULL, __ATOMIC_RELAXED);
	zl_node_touch(fs, node);
}

void zl_node_store_valid(struct zl_fs *fs, struct zl_node *node)
{
	struct zl_pm *pm;
	uint64_t off;

	pm = zl_node_pm(fs, node->addr, &off);
	zl_pm_store64(pm, ZL_WORD, off, htole64(node->valid));
}

/* --------------------------------------------------------------------- media */

uint32_t zl_node_header_crc(uint32_t seed, const struct zlf_node *header)
{
	return zl_crc32c(seed, &header->level, offsetof(struct zlf_node, max_tid) -
					       offsetof(struct zlf_node, level));
}

void zl_node_header(const struct zl_fs *fs, struct zlf_node *header, uint64_t self,
		    uint32_t level, const struct zl_key *low)
{
	*header = (struct zlf_node) {
		.level = htole16((uint16_t)level), .lines = htole16((uint16_t)fs->geo.node_lines),
		.self = htole64(self), .obj = htole64(low->obj), .key = htole64(low->key),
		.create_tid = htole64(low->tid), .rec_type = htole32(low->rec_type),
	};
	header->crc = htole32(zl_node_header_crc(fs->crc_seed, header));
}

/* The element at a line whose bit is set: NULL, or what is wrong with it. */
static const char *check_elem(const struct zl_fs *fs, const struct zl_node *node, uint32_t line)
{
	const struct zlf_elem *elem = zl_node_elem(node, line);
	uint64_t mask = LINE_MASK(line, elem->lines);

	if (!elem->lines || elem->lines > ZLF_ELEM_LINES_MAX ||
	    line + elem->lines > fs->geo.node_lines || (node->valid & mask) != mask)
		return "an element's length";
	if (zl_get32(elem->crc) != zl_crc_of(fs->crc_seed, elem, 0, elem->lines * ZLF_LINE_BYTES))
		return "an element's checksum";
	if (node->level && elem->lines != 1)
		return "an inner element's length";
	if (zl_get64(elem->obj) > ZLF_OBJ_MAX)
		return "an element's object";
	return NULL;
}

/* A split that a crash cut short leaves elements that are in the next node, too. */
static void drop_behind(struct zl_node *node, const struct zl_key *hi)
{
	struct zl_key last;

	while (hi && node->n) {
		last = zl_node_key(node, node->n - 1u);
		if (zl_key_compare(&last, hi) < 0)
			return;
		node->valid &= ~LINE_MASK(node->order[node->n - 1],
					  zl_node_at(node, node->n - 1u)->lines);
		node->n--;
	}
}

static const char *read_node(struct zl_fs *fs, struct zl_node *node, const struct zl_key *hi)
{
	const struct zlf_node *header = node->media;
	struct zl_key key;
	const char *what;
	uint32_t line, i;
	bool exact;

	if (zl_get32(header->crc) != zl_node_header_crc(fs->crc_seed, header) ||
	    zl_get64(header->self) != node->addr || zl_get16(header->level) != node->level ||
	    zl_get16(header->lines) != fs->geo.node_lines)
		return "a node's header";
	node->valid = zl_get64(header->valid);
	if (node->valid & 1 || (fs->geo.node_lines < 64 && node->valid >> fs->geo.node_lines))
		return "a node's word";
	for (line = 1; line < fs->geo.node_lines; ) {
		if (!(node->valid >> line & 1)) {
			line++;
			continue;
		}
		what = check_elem(fs, node, line);
		if (what)
			return what;
		key = zl_elem_key(zl_node_elem(node, line));
		i = zl_node_search(node, &key, &exact);
		if (exact)
			return "two elements of one key";
		order_insert(node, i, line, &key);
		line += zl_node_elem(node, line)->lines;
	}
	drop_behind(node, hi);
	return NULL;
}

/* ------------------------------------------------------------------- memory */

static size_t node_bytes(uint32_t level)
{
	return sizeof(struct zl_node) +
	       (level ? ZLF_NODE_LINES_MAX * sizeof(struct zl_node *) : 0);
}

/* One that was given back, or a new one: a leaf's memory is never an inner node's. */
static struct zl_node *take_node(struct zl_tree *tree, uint32_t level)
{
	struct zl_node_stack *stack = level ? &tree->free_inner : &tree->free_leaves;
	struct zl_node *node = SLIST_FIRST(stack);
	size_t bytes = (node_bytes(level) + ZLF_LINE_BYTES - 1) & ~(ZLF_LINE_BYTES - 1);

	if (node) {
		SLIST_REMOVE_HEAD(stack, in_free);
		return node;
	}
	node = aligned_alloc(ZLF_LINE_BYTES, bytes);
	if (!node)
		return NULL;
	node->seq = 0;
	node->children = level ? (struct zl_node **)(void *)(node + 1) : NULL;
	SLIST_INSERT_HEAD(&tree->all, node, in_all);
	return node;
}

/* Which nodes are in memory: false if that is no change, as a node has one place. */
static bool mark_loaded(struct zl_fs *fs, uint64_t addr, bool loaded)
{
	uint32_t i, off, unit;
	uint64_t bit, *word;
	bool change;

	if (!zl_addr_split(fs, addr, &i, &off))
		return false;
	unit = off / fs->geo.node_bytes;
	bit = 1ull << unit % 64;
	word = &fs->segs[i].loaded[unit / 64];
	change = !(*word & bit) == loaded;
	*word = loaded ? *word | bit : *word & ~bit;
	return change;
}

struct zl_node *zl_node_new(struct zl_fs *fs, uint64_t addr, uint32_t level)
{
	struct zl_node *node = take_node(fs->tree_state, level);

	if (!node)
		return NULL;
	mark_loaded(fs, addr, true);
	zl_node_change(node);
	node->media = zl_media(fs, addr);
	node->addr = addr;
	node->level = (uint16_t)level;
	node->n = 0;
	node->valid = 0;
	node->touched = false;
	if (level)
		memset(node->children, 0, ZLF_NODE_LINES_MAX * sizeof(struct zl_node *));
	zl_node_changed(node);
	return node;
}

static void give_back(struct zl_fs *fs, struct zl_node *node)
{
	struct zl_tree *tree = fs->tree_state;

	mark_loaded(fs, node->addr, false);
	zl_node_change(node);		/* whoever still reads it is too late */
	zl_node_changed(node);
	SLIST_INSERT_HEAD(node->level ? &tree->free_inner : &tree->free_leaves, node, in_free);
}

void zl_node_forget(struct zl_fs *fs, struct zl_node *node)
{
	zl_node_untouch(fs, node);
	give_back(fs, node);
}

void zl_nodes_free(struct zl_tree *tree)
{
	struct zl_node *node;

	while ((node = SLIST_FIRST(&tree->all))) {
		SLIST_REMOVE_HEAD(&tree->all, in_all);
		free(node);
	}
}

static bool may_be_node(const struct zl_fs *fs, uint64_t addr)
{
	uint32_t seg, off;

	return zl_addr_zone(addr) == ZLF_SEG_NODE && zl_addr_split(fs, addr, &seg, &off) &&
	       off % fs->geo.node_bytes == 0 && off / fs->geo.node_bytes < fs->geo.segment_nodes;
}

struct zl_node *zl_node_load(struct zl_fs *fs, uint64_t addr, uint32_t level,
			     const struct zl_key *hi)
{
	struct zl_node *node;
	const char *what;

	if (!may_be_node(fs, addr)) {
		zl_freeze(fs, "a node's address", addr);
		return NULL;
	}
	if (!mark_loaded(fs, addr, true)) {
		zl_freeze(fs, "a node that two lead to", addr);
		return NULL;
	}
	node = zl_node_new(fs, addr, level);
	if (!node)
		return NULL;
	what = read_node(fs, node, hi);
	if (!what)
		return node;
	zl_freeze(fs, what, addr);
	give_back(fs, node);
	return NULL;
}

struct zl_node *zl_node_child(struct zl_fs *fs, struct zl_node *parent, uint32_t i,
			      const struct zl_key *hi)
{
	struct zl_node **place = &parent->children[parent->order[i]], *child = *place;

	if (!child) {
		child = zl_node_load(fs, zl_get64(zl_node_at(parent, i)->addr),
				     parent->level - 1u, hi);
		/* readers see it whole, partner: optimistic descents of tree.c */
		__atomic_store_n(place, child, __ATOMIC_RELEASE);
	}
	return child;
}
