// SPDX-License-Identifier: BSD-3-Clause
/*
 * fsck.c - a zlogfs that is not mounted: each node and block that the tree leads to belongs to
 * one element and has its bit, and no other has one. The log is not looked at: behind an
 * umount there is nothing in it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsck.h"
#include "node.h"

struct check {
	struct zl_fs fs;
	uint64_t (*found)[8];	/* bits of each segment */
	struct zl_key last;	/* key of the element in front */
	uint64_t last_end;	/* of that, if it is an extent: the first block behind */
	char *message;
	size_t message_bytes;
};

static int wrong(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int wrong(struct check *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->message, c->message_bytes, format, args);
	va_end(args);
	return -EUCLEAN;
}

/* Units from addr on, in a segment of that type, which nobody else has. */
static int own(struct check *c, uint64_t addr, uint32_t type, uint32_t unit_bytes, uint32_t units)
{
	uint32_t seg, off, i;

	if (zl_addr_zone(addr) != type || !zl_addr_split(&c->fs, addr, &seg, &off) ||
	    off % unit_bytes || off + units * unit_bytes > c->fs.geo.segment_bytes)
		return wrong(c, "%#lx is nowhere", (unsigned long)addr);
	if (c->fs.segs[seg].media_type != type)
		return wrong(c, "%#lx is in a segment of type %u", (unsigned long)addr,
			     c->fs.segs[seg].media_type);
	if (zl_addr(&c->fs, type, seg, off) != addr)
		return wrong(c, "%#lx is of generation %u", (unsigned long)addr,
			     c->fs.segs[seg].media_gen);
	for (i = off / unit_bytes; units; units--, i++) {
		if (c->found[seg][i / 64] >> i % 64 & 1)
			return wrong(c, "unit %u of segment %u, type %u, has two owners", i,
				     seg, type);
		c->found[seg][i / 64] |= 1ull << i % 64;
	}
	return 0;
}

static int check_order(struct check *c, const struct zlf_elem *elem)
{
	const struct zl_key key = zl_elem_key(elem);
	bool same = key.obj == c->last.obj && key.rec_type == c->last.rec_type;

	if (zl_key_compare(&c->last, &key) >= 0)
		return wrong(c, "elements in the wrong order at object %lu",
			     (unsigned long)key.obj);
	if (key.rec_type == ZLF_REC_EXTENT && same && key.key < c->last_end)
		return wrong(c, "object %lu has two extents at block %lu",
			     (unsigned long)key.obj, (unsigned long)key.key);
	c->last = key;
	c->last_end = key.key + zl_get32(elem->len);
	return 0;
}

static int check_leaf(struct check *c, const struct zl_node *leaf)
{
	const struct zlf_elem *elem;
	uint32_t i, blocks;
	int err = 0;

	for (i = 0; i < leaf->n && !err; i++) {
		elem = zl_node_at(leaf, i);
		blocks = zl_elem_blocks(elem);
		err = check_order(c, elem);
		if (!err && blocks)
			err = own(c, zl_get64(elem->addr), ZLF_SEG_DATA, ZLF_BLOCK_BYTES, blocks);
	}
	return err;
}

static int check_node(struct check *c, const struct zl_node *node, const struct zl_key *hi)
{
	const struct zl_node *child;
	struct zl_key next;
	uint32_t i;
	int err = own(c, node->addr, ZLF_SEG_NODE, c->fs.geo.node_bytes, 1);

	if (err || !node->level)
		return err ? err : check_leaf(c, node);
	if (!node->n)
		return wrong(c, "an inner node is empty");
	for (i = 0; i < node->n && !err; i++) {
		if (i + 1 < node->n)
			next = zl_elem_key(zl_node_at(node, i + 1));
		else if (hi)
			next = *hi;
		child = zl_node_get(&c->fs, zl_get64(zl_node_at(node, i)->addr),
				    node->level - 1u, i + 1 < node->n || hi ? &next : NULL);
		err = child ? check_node(c, child, i + 1 < node->n || hi ? &next : NULL) :
			      wrong(c, "a node cannot be read");
	}
	return err;
}

static int check_bits(struct check *c)
{
	uint32_t seg, w;

	for (seg = 0; seg < c->fs.num_segs; seg++)
		for (w = 0; w < 8; w++)
			if (c->found[seg][w] != c->fs.segs[seg].media_used[w])
				return wrong(c, "segment %u, type %u, has bits %#lx, not %#lx", seg,
					     c->fs.segs[seg].media_type,
					     (unsigned long)c->fs.segs[seg].media_used[w],
					     (unsigned long)c->found[seg][w]);
	return 0;
}

static int load(struct check *c, const void *media, uint64_t bytes, uint64_t data_off)
{
	const struct zl_media one = {
		.addr = (void *)(uintptr_t)media, .bytes = bytes, .data_off = data_off,
	};

	c->fs.rdonly = true;
	if (zl_super_load(&c->fs, &one, 1) || zl_segs_load(&c->fs) || zl_tree_load(&c->fs))
		return wrong(c, "superblock, segments or root cannot be read");
	c->found = calloc(c->fs.num_segs, sizeof(*c->found));
	return c->found ? 0 : -ENOMEM;
}

int zlogfs_fsck(const void *media, uint64_t bytes, uint64_t data_off, char *message,
		size_t message_bytes)
{
	struct check *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->message = message;
	c->message_bytes = message_bytes;
	pthread_mutex_init(&c->fs.space_lock, NULL);
	pthread_rwlock_init(&c->fs.tree, NULL);
	err = load(c, media, bytes, data_off);
	if (!err)
		err = check_node(c, c->fs.tree_state->root, NULL);
	if (!err)
		err = check_bits(c);
	zl_tree_free(&c->fs);
	zl_segs_free(&c->fs);
	pthread_rwlock_destroy(&c->fs.tree);
	pthread_mutex_destroy(&c->fs.space_lock);
	free(c->found);
	free(c);
	return err;
}
