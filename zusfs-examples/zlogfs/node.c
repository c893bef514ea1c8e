// SPDX-License-Identifier: BSD-3-Clause
/* node.c - one node: read and checked once, searched, filled and emptied by lines. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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
		.tid = zl_key_has_tid(elem->rec_type) ? zl_get64(elem->create_tid) : 0,
		.rec_type = elem->rec_type,
	};
}

static uint64_t high_of(const struct zl_key *key)
{
	return key->obj << 8 | key->rec_type;
}

static uint64_t high_of_elem(const struct zlf_elem *elem)
{
	return zl_get64(elem->obj) << 8 | elem->rec_type;
}

/* Of those whose keys differ in the tid, too; as long as the reader is not sure, anything. */
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
static uint64_t high_at(const struct zl_node *node, uint32_t i)
{
	return __atomic_load_n(&node->highs[i], __ATOMIC_RELAXED);
}

ZL_OPTIMISTIC
static uint64_t low_at(const struct zl_node *node, uint32_t i)
{
	return __atomic_load_n(&node->lows[i].key, __ATOMIC_RELAXED);
}

/* Of elements from begin on, below end: the first whose object and type is not below. */
ZL_OPTIMISTIC
static uint32_t search_high(const struct zl_node *node, uint64_t high, uint32_t begin,
			    uint32_t end)
{
	uint32_t mid;

	while (begin < end) {
		mid = (begin + end) / 2;
		if (high_at(node, mid) < high)
			begin = mid + 1;
		else
			end = mid;
	}
	return begin;
}

/* All have the object and type: the first whose key is not below. */
ZL_OPTIMISTIC
static uint32_t search_low(const struct zl_node *node, uint64_t low, uint32_t begin, uint32_t end)
{
	uint32_t mid;

	while (begin < end) {
		mid = (begin + end) / 2;
		if (low_at(node, mid) < low)
			begin = mid + 1;
		else
			end = mid;
	}
	return begin;
}

/* All have object, type and key. */
ZL_OPTIMISTIC
static uint32_t search_tid(const struct zl_node *node, uint64_t tid, uint32_t begin, uint32_t end)
{
	while (begin < end && tid_at(node, begin) < tid)
		begin++;
	return begin;
}

/* All have the object and type: is the key where it is if each is the one before and 1? */
ZL_OPTIMISTIC
static bool is_dense(const struct zl_node *node, const struct zl_key *key, uint32_t end,
		     uint32_t *i)
{
	uint64_t at;

	if (!end || zl_key_has_tid(key->rec_type))
		return false;
	at = key->key - __atomic_load_n(&node->low, __ATOMIC_RELAXED);
	*i = (uint32_t)at;
	return at < end && low_at(node, *i) == key->key;
}

ZL_OPTIMISTIC
uint32_t zl_node_search(const struct zl_node *node, const struct zl_key *key, bool *exact)
{
	uint32_t begin = 0, end = __atomic_load_n(&node->n, __ATOMIC_RELAXED), i;
	uint64_t high = high_of(key), all = __atomic_load_n(&node->high, __ATOMIC_RELAXED);

	*exact = false;
	if (end > ZLF_NODE_LINES_MAX)	/* of a reader that is too late */
		end = ZLF_NODE_LINES_MAX;
	if (all && all != high)
		return all < high ? end : 0;
	if (!all) {
		begin = search_high(node, high, 0, end);
		end = search_high(node, high + 1, begin, end);
	} else if (is_dense(node, key, end, &i)) {
		*exact = true;
		return i;
	}
	i = search_low(node, key->key, begin, end);
	if (zl_key_has_tid(high & UINT8_MAX) && i < end && low_at(node, i) == key->key) {
		if (key->key != UINT64_MAX)
			end = search_low(node, key->key + 1, i, end);
		i = search_tid(node, key->tid, i, end);
		*exact = i < end && tid_at(node, i) == key->tid;
		return i;
	}
	*exact = i < end && low_at(node, i) == key->key;
	return i;
}

ZL_OPTIMISTIC
struct zl_key zl_node_key(const struct zl_node *node, uint32_t i)
{
	uint64_t all = __atomic_load_n(&node->high, __ATOMIC_RELAXED);
	uint64_t high = all ? all : high_at(node, i);
	uint32_t rec_type = high & UINT8_MAX;

	return (struct zl_key) {
		.obj = high >> 8, .rec_type = rec_type,
		.key = low_at(node, i),
		.tid = zl_key_has_tid(rec_type) ? tid_at(node, i) : 0,
	};
}

/* --------------------------------------------------------------------- seq */

#ifdef __SANITIZE_THREAD__	/* which knows no fences; what they are for, it does not look at */
#pragma GCC diagnostic ignored "-Wtsan"
#endif

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

void zl_node_reshape(struct zl_node *node)
{
	__atomic_store_n(&node->shape, node->shape + 1, __ATOMIC_RELAXED);
}

/* -------------------------------------------------------------------- places */

/*
 * From the top: generation and device as in the address; the number of the block; length less
 * 1; whether it is unwritten.
 */
#define PLACE_LEN_BITS		9
#define PLACE_BLOCK_BITS	(ZLF_ADDR_LINE_BITS - 6)
#define PLACE_BLOCK_MASK	((1ull << PLACE_BLOCK_BITS) - 1)
#define BLOCK_LINES		(ZLF_BLOCK_BYTES / ZLF_LINE_BYTES)

static_assert(ZLF_ADDR_GEN_BITS + ZLF_ADDR_DEV_BITS + PLACE_BLOCK_BITS + PLACE_LEN_BITS + 1 == 64,
	      "a place is a number");

uint64_t zl_place_of(const struct zlf_elem *elem)
{
	uint64_t addr = zl_get64(elem->addr), line = addr & ((1ull << ZLF_ADDR_LINE_BITS) - 1);
	uint64_t above = addr >> ZLF_ADDR_DEV_SHIFT & ((1u << (ZLF_ADDR_GEN_BITS +
							       ZLF_ADDR_DEV_BITS)) - 1);
	uint32_t len = zl_get32(elem->len);

	if (elem->rec_type != ZLF_REC_EXTENT || zl_addr_zone(addr) != ZLF_SEG_DATA ||
	    line % BLOCK_LINES || !len || len > 1u << PLACE_LEN_BITS ||
	    elem->flags & ~ZLF_EF_UNWRITTEN)
		return 0;
	return ((above << PLACE_BLOCK_BITS | line / BLOCK_LINES) << PLACE_LEN_BITS | (len - 1)) << 1 |
	       !!(elem->flags & ZLF_EF_UNWRITTEN);
}

void zl_place_elem(uint64_t place, struct zlf_elem *elem)
{
	uint64_t block = place >> (PLACE_LEN_BITS + 1) & PLACE_BLOCK_MASK;
	uint64_t above = place >> (PLACE_LEN_BITS + 1 + PLACE_BLOCK_BITS);
	uint32_t len = (uint32_t)(place >> 1) & ((1u << PLACE_LEN_BITS) - 1);

	elem->addr = htole64((uint64_t)ZLF_SEG_DATA << ZLF_ADDR_ZONE_SHIFT |
			     above << ZLF_ADDR_DEV_SHIFT | block * BLOCK_LINES);
	elem->len = htole32(len + 1);
	elem->flags = place & 1 ? ZLF_EF_UNWRITTEN : 0;
}

/* -------------------------------------------------------------------- lines */

struct zl_pm *zl_node_pm(struct zl_fs *fs, uint64_t addr, uint64_t *off)
{
	return &fs->devs[zl_addr_dev(addr, off)].pm;
}

/* What the medium says is in use is not free before that has been committed. */
uint32_t zl_node_room(const struct zl_fs *fs, const struct zl_node *node, uint32_t lines)
{
	uint64_t free = ~(node->valid | node->stored | 1);

	if (fs->geo.node_lines < ZLF_NODE_LINES_MAX)
		free &= (1ull << fs->geo.node_lines) - 1;
	while (--lines)			/* lines behind which there is one more */
		free &= free >> 1;
	return free ? (uint32_t)__builtin_ctzll(free) : 0;
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

/* Is there one object and type? And where do the keys begin? */
static void set_bounds(struct zl_node *node)
{
	node->low = node->n ? node->lows[0].key : 0;
	node->high = node->n && node->highs[0] == node->highs[node->n - 1] ? node->highs[0] : 0;
}

static void order_insert(struct zl_node *node, uint32_t i, uint32_t line,
			 const struct zlf_elem *elem)
{
	uint32_t behind = node->n - i;

	memmove(&node->order[i + 1], &node->order[i], behind);
	memmove(&node->lows[i + 1], &node->lows[i], behind * sizeof(node->lows[0]));
	memmove(&node->highs[i + 1], &node->highs[i], behind * sizeof(node->highs[0]));
	node->order[i] = (uint8_t)line;
	node->lows[i] = (struct zl_low) { zl_get64(elem->key), zl_place_of(elem) };
	node->highs[i] = high_of_elem(elem);
	node->n++;
	set_bounds(node);
}

static void order_remove(struct zl_node *node, uint32_t i)
{
	uint32_t behind = --node->n - i;

	memmove(&node->order[i], &node->order[i + 1], behind);
	memmove(&node->lows[i], &node->lows[i + 1], behind * sizeof(node->lows[0]));
	memmove(&node->highs[i], &node->highs[i + 1], behind * sizeof(node->highs[0]));
	set_bounds(node);
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
		  const struct zlf_elem *elem, struct zl_node *child)
{
	node->valid |= LINE_MASK(line, elem->lines);
	if (node->children)
		__atomic_store_n(&node->children[line], child, __ATOMIC_RELEASE);
	order_insert(node, i, line, elem);
	zl_node_touch(fs, node);
}

/* Of the i-th element, without a look at the medium if memory tells. */
static uint32_t lines_at(const struct zl_node *node, uint32_t i)
{
	return node->lows[i].place ? 1 : zl_node_at(node, i)->lines;
}

void zl_node_relink(struct zl_fs *fs, struct zl_node *node, uint32_t i, uint32_t line,
		    const struct zlf_elem *elem)
{
	uint32_t old = node->order[i];
	struct zl_node *child = NULL;

	node->valid &= ~LINE_MASK(old, lines_at(node, i));
	node->valid |= LINE_MASK(line, elem->lines);
	if (node->children) {
		child = node->children[old];
		__atomic_store_n(&node->children[old], NULL, __ATOMIC_RELAXED);
		__atomic_store_n(&node->children[line], child, __ATOMIC_RELEASE);
	}
	node->order[i] = (uint8_t)line;
	node->lows[i] = (struct zl_low) { zl_get64(elem->key), zl_place_of(elem) };
	node->highs[i] = high_of_elem(elem);
	set_bounds(node);
	zl_node_touch(fs, node);
}

void zl_node_unlink(struct zl_fs *fs, struct zl_node *node, uint32_t i)
{
	uint32_t line = node->order[i];

	node->gone = zl_node_key(node, i);
	node->valid &= ~LINE_MASK(line, lines_at(node, i));
	order_remove(node, i);
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
	node->stored = node->valid;
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

/* Of a node, and of those below that are in memory. */
static int settled_below(struct zl_fs *fs, const struct zl_node *node)
{
	const char *what = check_units(fs, node);
	const struct zl_node *child;
	uint32_t i;
	int err = 0;

	if (what)
		return zl_freeze(fs, what, node->addr);
	for (i = 0; node->level && i < node->n && !err; i++) {
		child = node->children[node->order[i]];
		err = child ? settled_below(fs, child) : 0;
	}
	return err;
}

int zl_nodes_settled(struct zl_fs *fs)
{
	return settled_below(fs, fs->tree_state->root);
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
		return elem->lines != 1 ? "an inner element's length" :
		       zl_get64(elem->obj) >= ZL_OBJ_END ? "an inner element's object" : NULL;
	return zl_elem_check(fs, elem) ? "an element" : NULL;
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
		order_remove(node, node->n - 1u);
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
	node->valid = node->stored = zl_get64(header->valid);
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
		order_insert(node, i, line, zl_node_elem(node, line));
		line += zl_node_elem(node, line)->lines;
	}
	drop_behind(node, hi);
	what = node->level ? take_children(fs, node) : NULL;
	return what || !fs->settled ? what : check_units(fs, node);
}

/* ------------------------------------------------------------------- memory */

/* Memory is taken in pieces, each twice as large as the one before up to that of a large page. */
#define CHUNK_FIRST_BYTES	(32ul << 10)
#define CHUNK_BYTES		(2ul << 20)

struct zl_chunk {
	struct zl_chunk *next;
	size_t bytes;
	size_t used_bytes;
} __attribute__((aligned(ZLF_LINE_BYTES)));

static struct zl_chunk *add_chunk(struct zl_tree *tree)
{
	size_t bytes = tree->chunks ? 2 * tree->chunks->bytes : CHUNK_FIRST_BYTES;
	struct zl_chunk *chunk;

	bytes = bytes < CHUNK_BYTES ? bytes : CHUNK_BYTES;
	chunk = aligned_alloc(bytes < CHUNK_BYTES ? ZLF_LINE_BYTES : CHUNK_BYTES, bytes);
	if (!chunk)
		return NULL;
	if (bytes == CHUNK_BYTES)	/* for who jumps about in it; it may not be had */
		madvise(chunk, bytes, MADV_HUGEPAGE);
	*chunk = (struct zl_chunk) { tree->chunks, bytes, sizeof(*chunk) };
	tree->chunks = chunk;
	return chunk;
}

static void *take_bytes(struct zl_tree *tree, size_t bytes)
{
	struct zl_chunk *chunk = tree->chunks;

	if (!chunk || chunk->bytes - chunk->used_bytes < bytes)
		chunk = add_chunk(tree);
	if (!chunk)
		return NULL;
	chunk->used_bytes += bytes;
	return (uint8_t *)chunk + chunk->used_bytes - bytes;
}

struct inner_node {
	struct zl_node node;
	struct zl_node *children[ZLF_NODE_LINES_MAX];
};

/* One that was given back, or a new one: a leaf's memory is never an inner node's. */
static struct zl_node *take_node(struct zl_tree *tree, uint32_t level)
{
	struct zl_node_stack *stack = level ? &tree->free_inner : &tree->free_leaves;
	struct zl_node *node = SLIST_FIRST(stack);

	if (node) {
		SLIST_REMOVE_HEAD(stack, in_free);
		return node;
	}
	node = take_bytes(tree, level ? sizeof(struct inner_node) : sizeof(*node));
	if (!node)
		return NULL;
	node->seq = node->shape = 0;
	node->children = level ? ((struct inner_node *)node)->children : NULL;
	return node;
}

struct zl_node *zl_node_new(struct zl_fs *fs, uint64_t addr, uint32_t level)
{
	struct zl_node *node = take_node(fs->tree_state, level);

	if (!node)
		return NULL;
	zl_node_change(node);
	node->media = zl_media(fs, addr);
	node->addr = addr;
	node->level = (uint16_t)level;
	node->n = 0;
	node->high = 0;
	node->valid = node->stored = 0;
	node->touched = false;
	if (level)
		memset(node->children, 0, ZLF_NODE_LINES_MAX * sizeof(struct zl_node *));
	zl_node_changed(node);
	return node;
}

static void give_back(struct zl_fs *fs, struct zl_node *node)
{
	struct zl_tree *tree = fs->tree_state;

	zl_node_change(node);		/* whoever still reads it is too late */
	zl_node_reshape(node);
	zl_node_changed(node);
	SLIST_INSERT_HEAD(node->level ? &tree->free_inner : &tree->free_leaves, node, in_free);
}

void zl_node_forget(struct zl_fs *fs, struct zl_node *node)
{
	zl_node_untouch(fs, node);
	zl_node_unparented(fs, node->addr);
	give_back(fs, node);
}

void zl_nodes_free(struct zl_fs *fs)
{
	struct zl_tree *tree = fs->tree_state;
	struct zl_chunk *chunk;
	uint32_t i;

	while ((chunk = tree->chunks)) {
		tree->chunks = chunk->next;
		free(chunk);
	}
	for (i = 0; tree->parented && i < fs->num_segs; i++)
		free(tree->parented[i]);
	free(tree->parented);
}

struct zl_key zl_node_header_key(const struct zlf_node *header)
{
	return (struct zl_key) { zl_get64(header->obj), zl_get64(header->key),
				 zl_get64(header->create_tid), zl_get32(header->rec_type) };
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
	node = zl_node_new(fs, addr, level);
	if (!node)
		return NULL;
	what = read_node(fs, node, hi);
	node->gone = zl_node_header_key(node->media);
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
