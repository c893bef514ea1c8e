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

uint32_t zl_node_search(const struct zl_node *node, const struct zl_key *key, bool *exact)
{
	uint32_t low = 0, high = node->n, mid;
	struct zl_key at;
	int order;

	*exact = false;
	while (low < high) {
		mid = (low + high) / 2;
		at = zl_elem_key(zl_node_at(node, mid));
		order = zl_key_compare(&at, key);
		if (order < 0) {
			low = mid + 1;
		} else {
			*exact |= !order;
			high = mid;
		}
	}
	return low;
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

static void order_insert(struct zl_node *node, uint32_t i, uint32_t line)
{
	memmove(&node->order[i + 1], &node->order[i], node->n - i);
	node->order[i] = (uint8_t)line;
	node->n++;
}

void zl_node_insert(struct zl_fs *fs, struct zl_node *node, uint32_t i, uint32_t line,
		    const void *elem, uint32_t lines)
{
	struct zl_pm *pm;
	uint64_t off;

	pm = zl_node_pm(fs, node->addr, &off);
	zl_pm_write(pm, ZL_META, off + line * ZLF_LINE_BYTES, elem, lines * ZLF_LINE_BYTES);
	node->valid |= LINE_MASK(line, lines);
	order_insert(node, i, line);
	zl_node_touch(fs, node);
}

void zl_node_remove(struct zl_fs *fs, struct zl_node *node, uint32_t i)
{
	node->gone = zl_elem_key(zl_node_at(node, i));
	node->valid &= ~LINE_MASK(node->order[i], zl_node_at(node, i)->lines);
	node->n--;
	memmove(&node->order[i], &node->order[i + 1], node->n - i);
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

/* -------------------------------------------------------------------- parents */

static bool may_be_node(const struct zl_fs *fs, uint64_t addr)
{
	uint32_t seg, off;

	return zl_addr_zone(addr) == ZLF_SEG_NODE && zl_addr_split(fs, addr, &seg, &off) &&
	       off % fs->geo.node_bytes == 0 && off / fs->geo.node_bytes < fs->geo.segment_nodes;
}

bool zl_node_parented(struct zl_fs *fs, uint64_t addr)
{
	struct zl_tree *tree = fs->tree_state;
	uint32_t seg, off, unit;
	uint64_t bit;

	if (!may_be_node(fs, addr) || !zl_addr_split(fs, addr, &seg, &off))
		return false;
	if (!tree->parented[seg])
		tree->parented[seg] = calloc(8, sizeof(uint64_t));
	if (!tree->parented[seg])
		return true;		/* no memory: it is not known */
	unit = off / fs->geo.node_bytes;
	bit = 1ull << unit % 64;
	if (tree->parented[seg][unit / 64] & bit)
		return false;
	tree->parented[seg][unit / 64] |= bit;
	return true;
}

void zl_node_unparented(struct zl_fs *fs, uint64_t addr)
{
	uint32_t seg, off, unit;

	if (!zl_addr_split(fs, addr, &seg, &off) || !fs->tree_state->parented[seg])
		return;
	unit = off / fs->geo.node_bytes;
	fs->tree_state->parented[seg][unit / 64] &= ~(1ull << unit % 64);
}

/* A tree, and nothing else: who would free one of two ways to a node leaves the other. */
static const char *take_children(struct zl_fs *fs, const struct zl_node *node)
{
	uint32_t i;

	for (i = 0; i < node->n; i++)
		if (!zl_node_parented(fs, zl_get64(zl_node_at(node, i)->addr)))
			return "a child's address";
	return NULL;
}

/* What is free would be given to somebody else. A mount sets it right first. */
static const char *check_units(struct zl_fs *fs, const struct zl_node *node)
{
	const struct zlf_elem *elem;
	uint32_t i, blocks;

	if (!zl_units_used(fs, node->addr, 1))
		return "the bitmap: a node's bit";
	for (i = 0; !node->level && i < node->n; i++) {
		elem = zl_node_at(node, i);
		blocks = zl_elem_blocks(elem);
		if (blocks && !zl_units_used(fs, zl_get64(elem->addr), blocks))
			return "the bitmap: a block's bit";
	}
	return NULL;
}

int zl_nodes_settled(struct zl_fs *fs)
{
	struct zl_tree *tree = fs->tree_state;
	const struct zl_node *node;
	const char *what;
	uint32_t i;

	for (i = 0; i < tree->cache_size; i++)
		for (node = tree->cache[i]; node; node = node->hash_next) {
			what = check_units(fs, node);
			if (what)
				return zl_freeze(fs, what, node->addr);
		}
	return 0;
}

/* --------------------------------------------------------------------- reading */

/* The element at a line whose bit is set: NULL, or what is wrong with it. */
static const char *check_elem(const struct zl_fs *fs, const struct zl_node *node, uint32_t line)
{
	const struct zlf_elem *elem = zl_node_elem(node, line);
	uint64_t mask;

	if (!elem->lines || elem->lines > ZLF_ELEM_LINES_MAX ||
	    line + elem->lines > fs->geo.node_lines)
		return "an element's length";
	mask = LINE_MASK(line, elem->lines);
	if ((node->valid & mask) != mask)
		return "an element's lines";
	if (zl_get32(elem->crc) != zl_crc_of(fs->crc_seed, elem, 0, elem->lines * ZLF_LINE_BYTES))
		return "an element's checksum";
	if (node->level)
		return elem->lines != 1 ? "an inner element's length" : NULL;
	return zl_elem_check(fs, elem) ? "an element" : NULL;
}

/* A split that a crash cut short leaves elements that are in the next node, too. */
static void drop_behind(struct zl_node *node, const struct zl_key *hi)
{
	struct zl_key last;

	while (hi && node->n) {
		last = zl_elem_key(zl_node_at(node, node->n - 1u));
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
		order_insert(node, i, line);
		line += zl_node_elem(node, line)->lines;
	}
	drop_behind(node, hi);
	what = node->level ? take_children(fs, node) : NULL;
	return what || !fs->settled ? what : check_units(fs, node);
}

/* -------------------------------------------------------------------- cache */

bool zl_cache_init(struct zl_fs *fs)
{
	struct zl_tree *tree = fs->tree_state;

	tree->cache_size = 1024;
	tree->cache = calloc(tree->cache_size, sizeof(void *));
	tree->parented = calloc(fs->num_segs, sizeof(*tree->parented));
	return tree->cache && tree->parented;
}

void zl_cache_free(struct zl_fs *fs)
{
	struct zl_tree *tree = fs->tree_state;
	struct zl_node *node;
	uint32_t i;

	for (i = 0; tree->cache && i < tree->cache_size; i++)
		while ((node = tree->cache[i])) {
			tree->cache[i] = node->hash_next;
			free(node);
		}
	free(tree->cache);
	for (i = 0; tree->parented && i < fs->num_segs; i++)
		free(tree->parented[i]);
	free(tree->parented);
}

static struct zl_node **bucket_of(const struct zl_tree *tree, uint64_t addr)
{
	return &tree->cache[addr * 0x9e3779b97f4a7c15ull >> 40 & (tree->cache_size - 1)];
}

static struct zl_node *cached(const struct zl_tree *tree, uint64_t addr)
{
	struct zl_node *node = __atomic_load_n(bucket_of(tree, addr), __ATOMIC_ACQUIRE);

	while (node && node->addr != addr)
		node = __atomic_load_n(&node->hash_next, __ATOMIC_ACQUIRE);
	return node;
}

static void enter(struct zl_tree *tree, struct zl_node *node)
{
	struct zl_node **bucket = bucket_of(tree, node->addr);

	node->hash_next = *bucket;
	__atomic_store_n(bucket, node, __ATOMIC_RELEASE);
	tree->num_nodes++;
}

static struct zl_node *alloc_node(struct zl_fs *fs, uint64_t addr, uint32_t level)
{
	struct zl_node *node = calloc(1, sizeof(*node));

	if (node) {
		node->addr = addr;
		node->level = (uint16_t)level;
		node->media = zl_media(fs, addr);
	}
	return node;
}

struct zl_node *zl_node_get(struct zl_fs *fs, uint64_t addr, uint32_t level,
			    const struct zl_key *hi)
{
	struct zl_tree *tree = fs->tree_state;
	struct zl_node *node = cached(tree, addr);
	const char *what = "a node's address";

	if (node)
		return node;
	pthread_mutex_lock(&tree->cache_lock);
	node = cached(tree, addr);
	if (!node && may_be_node(fs, addr)) {
		node = alloc_node(fs, addr, level);
		what = node ? read_node(fs, node, hi) : NULL;
		if (node && !what)
			enter(tree, node);
	}
	if (what && (!node || !cached(tree, addr))) {
		zl_freeze(fs, what, addr);
		free(node);
		node = NULL;
	}
	pthread_mutex_unlock(&tree->cache_lock);
	return node;
}

static void grow_cache(struct zl_tree *tree)
{
	struct zl_node **old = tree->cache, *node;
	uint32_t i, size = tree->cache_size;

	tree->cache = calloc(2ull * size, sizeof(void *));
	if (!tree->cache) {
		tree->cache = old;	/* longer chains, no harm */
		return;
	}
	tree->cache_size = 2 * size;
	tree->num_nodes = 0;
	for (i = 0; i < size; i++)
		while ((node = old[i])) {
			old[i] = node->hash_next;
			enter(tree, node);
		}
	free(old);
}

struct zl_node *zl_node_new(struct zl_fs *fs, uint64_t addr, uint32_t level)
{
	struct zl_tree *tree = fs->tree_state;
	struct zl_node *node = alloc_node(fs, addr, level);

	if (!node)
		return NULL;
	if (tree->num_nodes > 2 * tree->cache_size)
		grow_cache(tree);
	enter(tree, node);
	return node;
}

void zl_node_forget(struct zl_fs *fs, struct zl_node *node)
{
	struct zl_tree *tree = fs->tree_state;
	struct zl_node **link = bucket_of(tree, node->addr);

	while (*link != node)
		link = &(*link)->hash_next;
	*link = node->hash_next;
	zl_node_unparented(fs, node->addr);
	tree->num_nodes--;
	if (node->touched)
		STAILQ_REMOVE(&tree->touched, node, zl_node, in_touched);
	free(node);
}
