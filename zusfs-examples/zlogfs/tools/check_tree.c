// SPDX-License-Identifier: BSD-3-Clause
/*
 * check_tree.c - all nodes that the anchor leads to, and each of their elements by itself;
 * in the order of keys they are kept for what comes next.
 */
#include <string.h>

#include "check_int.h"
#include "node.h"

#define LINE_MASK(line, lines)	(((1ull << (lines)) - 1) << (line))

/* A node on its way from the root, and what bounds it. */
struct visit {
	uint64_t addr;
	uint32_t level;
	const struct zl_key *low;	/* NULL: it has whatever is lower */
	const struct zl_key *high;	/* NULL: ... higher */
	const struct zlf_elem *from;	/* of the parent; NULL: the root */
	bool first;			/* of the parent's children */
};

/* --------------------------------------------------------------------- units */

/* Does another have it, which does not share it as well? */
static bool take_unit(struct zlc_seg *s, uint32_t i, bool shares)
{
	uint64_t bit = 1ull << i % 64, *owned = &s->owned[i / 64], *shared = &s->shared[i / 64];
	bool taken = *owned & bit && !(shares && *shared & bit);

	*owned |= bit;
	*shared |= shares ? bit : 0;
	return taken;
}

const char *zlc_own(struct zlc *c, uint32_t zone, uint64_t addr, uint32_t units, bool shares)
{
	uint32_t bytes = zone == ZLF_SEG_NODE ? c->fs->geo.node_bytes : ZLF_BLOCK_BYTES;
	uint32_t max = zone == ZLF_SEG_NODE ? c->fs->geo.segment_nodes : c->fs->geo.segment_blocks;
	uint32_t seg, off, i, gen = zl_addr_gen(addr);
	const char *what = NULL;
	struct zlc_seg *s;

	if (zl_addr_zone(addr) != zone || !zl_addr_split(c->fs, addr, &seg, &off) || off % bytes)
		return "its address is none";
	if (!units || off / bytes >= max || units > max - off / bytes)
		return "it reaches out of a segment";
	s = &c->segs[seg];
	if (!s->zone)
		s->gen = gen;
	if (s->zone && s->zone != zone)
		what = "it is among what is no such thing";
	else if (s->gen != gen)
		what = "its address is of another use of the segment";
	s->zone = zone;
	for (i = off / bytes; i < off / bytes + units; i++) {
		c->out->blocks += zone == ZLF_SEG_DATA && !(s->owned[i / 64] >> i % 64 & 1);
		if (take_unit(s, i, shares))
			what = "something else is there, too";
	}
	return what;
}

/* ------------------------------------------------------------------- elements */

struct verdict {
	enum zl_check_class class;
	const char *what;	/* NULL: nothing */
};

static bool block_type(const struct zlf_elem *elem, uint32_t type)
{
	return type == ZLF_REC_EXTENT || type == ZLF_REC_XDATA ||
	       (type == ZLF_REC_SYMLINK && elem->flags & ZLF_EF_BLOCK);
}

static struct verdict type_verdict(const struct zlf_elem *elem, uint32_t type)
{
	uint32_t len = zl_get32(elem->len), aux = zl_get32(elem->aux);
	uint64_t key = zl_get64(elem->key);
	bool block = elem->flags & ZLF_EF_BLOCK;

	switch (type) {
	case ZLF_REC_INODE:
		return (struct verdict) { ZL_CHECK_INODE, key ? "its key" :
			len != sizeof(struct zlf_inode) ? "its length" : NULL };
	case ZLF_REC_DIRENT:
		return (struct verdict) { ZL_CHECK_NAME, !len || len > 255 ? "its length" :
			len != aux ? "its two lengths differ" : NULL };
	case ZLF_REC_EXTENT:
		return (struct verdict) { ZL_CHECK_EXTENT, elem->lines != 1 ? "it has payload" :
			elem->flags & ZLF_EF_BLOCK ? "its flags" : NULL };
	case ZLF_REC_SYMLINK:
		return (struct verdict) { ZL_CHECK_INODE, key ? "a symlink's key" :
			!aux || aux > ZLF_BLOCK_BYTES ? "a symlink's length" :
			len != (block ? 0 : aux) ? "a symlink's two lengths" : NULL };
	case ZLF_REC_XATTR:
		return (struct verdict) { ZL_CHECK_XATTR, !aux || aux > 255 ? "its name's length" :
			len < aux || (block && len != aux) ? "its length" :
			block && zl_get64(elem->addr) > 65536 ? "its value's length" : NULL };
	case ZLF_REC_XDATA:
		return (struct verdict) { ZL_CHECK_XATTR, elem->lines != 1 ? "it has payload" :
			!aux || aux > ZLF_BLOCK_BYTES ? "a block's length" : NULL };
	case ZLF_REC_ORPHAN:
		return (struct verdict) { ZL_CHECK_ORPHAN, zl_get64(elem->obj) != ZLF_OBJ_ORPHANS ?
			"it is not among orphans" : NULL };
	case ZLF_REC_SNAPSHOT:
		return (struct verdict) { ZL_CHECK_BOUNDARY,
			zl_get64(elem->obj) != ZLF_OBJ_SNAPSHOTS ? "it is not among boundaries" :
			!key ? "its number" : NULL };
	case ZLF_REC_OWNER:
		return (struct verdict) { ZL_CHECK_OWNER,
			elem->lines != 1 ? "it has payload" : NULL };
	default:
		return (struct verdict) { ZL_CHECK_ELEMENT, "its type is not known" };
	}
}

static uint32_t lines_of(const struct zlf_elem *elem, uint32_t type)
{
	bool blocks = type == ZLF_REC_EXTENT || type == ZLF_REC_OWNER;
	uint32_t bytes = blocks ? 0 : zl_get32(elem->len);

	return bytes > ZLF_ELEM_PAYLOAD_MAX ? UINT32_MAX :
	       1 + (bytes + ZLF_LINE_BYTES - 1) / ZLF_LINE_BYTES;
}

static const char *tids_wrong(const struct zlc *c, const struct zlf_elem *elem)
{
	uint64_t create = zl_get64(elem->create_tid), end = zl_get64(elem->end_tid);
	bool history = elem->rec_type & ZLF_REC_HISTORY;

	if (!create || create > end || (history && create == end))
		return "its tids";
	/* what waits in the log may be in the tree already */
	if (!c->rough && end > zl_get64(c->fs->ckpt.max_tid))
		return "its tid was never given out";
	return NULL;
}

/* What is so of all in leaves, of those that a split has left behind, too. */
static const char *members_wrong(const struct zlc *c, const struct zlf_elem *elem)
{
	uint32_t type = elem->rec_type & ~ZLF_REC_HISTORY;

	if (!type || type > ZLF_REC_LAST)
		return "its type is not known";
	if (elem->flags & ~(ZLF_EF_UNWRITTEN | ZLF_EF_BLOCK | ZLF_EF_SHARED))
		return "its flags";
	if (!elem->obj)
		return "it is of no object";
	return type == ZLF_REC_OWNER ? NULL : tids_wrong(c, elem);
}

/* false: who reads its payload could go wrong. */
static bool check_elem(struct zlc *c, const struct zlf_elem *elem)
{
	uint32_t type = elem->rec_type & ~ZLF_REC_HISTORY, blocks = zl_elem_blocks(elem);
	struct verdict v = { .what = NULL };
	uint64_t obj = zl_get64(elem->obj);

	if (!c->rough)
		v = type_verdict(elem, type);
	if (!v.what && elem->lines != lines_of(elem, type))
		v = (struct verdict) { ZL_CHECK_ELEMENT, "its lines are not those of its payload" };
	if (!v.what && !c->rough && block_type(elem, type)) {
		v = (struct verdict) { ZL_CHECK_EXTENT,
				       zlc_own(c, ZLF_SEG_DATA, zl_get64(elem->addr), blocks,
					       zl_shares(elem)) };
	}
	/* whatever else a mount does not take; inodes are looked at later, with all they have */
	if (!v.what && elem->rec_type != ZLF_REC_INODE)
		v = (struct verdict) { type == ZLF_REC_OWNER ? ZL_CHECK_OWNER : ZL_CHECK_ELEMENT,
				       zl_elem_check(c->fs, elem) };
	if (v.what)
		zlc_say_at(c, v.class, elem, obj, "type %u%s, key %#" PRIx64 ": %s", type,
			   elem->rec_type & ZLF_REC_HISTORY ? " of history" : "",
			   zl_get64(elem->key), v.what);
	return !v.what || v.class == ZL_CHECK_EXTENT;
}

static void take_elem(struct zlc *c, const struct zlf_elem *elem)
{
	c->out->elements++;
	if (check_elem(c, elem) &&
	    zlc_grow(c, &c->elems, c->num_elems, &c->max_elems, sizeof(void *)))
		c->elems[c->num_elems++] = elem;
}

/* ---------------------------------------------------------------------- nodes */

/* A child that has become the first has taken over the key of the one that was. */
static bool low_wrong(const struct zlf_node *node, const struct visit *v)
{
	struct zl_key low = zl_node_header_key(node);
	struct zl_key from = zl_elem_key(v->from);
	int order = zl_key_compare(&low, &from);

	return v->first ? order < 0 : order != 0;
}

static const char *header_wrong(const struct zlc *c, const struct zlf_node *node,
				const struct visit *v)
{
	uint64_t valid = zl_get64(node->valid);

	if (zl_get32(node->crc) != zl_node_header_crc(c->fs->crc_seed, node))
		return "its header's checksum";
	if (zl_get64(node->self) != v->addr)
		return "it is of another place";
	if (zl_get16(node->level) != v->level)
		return "its level";
	if (zl_get16(node->lines) != c->fs->geo.node_lines)
		return "its lines";
	if (valid & 1 || (c->fs->geo.node_lines < 64 && valid >> c->fs->geo.node_lines))
		return "its word";
	return v->from && low_wrong(node, v) ? "its lowest key is not the parent's" : NULL;
}

/* An element at a line whose bit is set. */
static const char *elem_wrong(const struct zlc *c, const struct zlf_node *node,
			      const struct zlf_elem *elem, uint32_t line)
{
	uint64_t mask = LINE_MASK(line, elem->lines & 63);

	if (!elem->lines || elem->lines > ZLF_ELEM_LINES_MAX ||
	    line + elem->lines > c->fs->geo.node_lines || (zl_get64(node->valid) & mask) != mask)
		return "its length";
	if (zl_get32(elem->crc) !=
	    zl_crc_of(c->fs->crc_seed, elem, 0, elem->lines * ZLF_LINE_BYTES))
		return "its checksum";
	if (zl_get16(node->level))
		return elem->lines != 1 ? "it has payload in an inner node" : NULL;
	return members_wrong(c, elem);
}

/* In the order of keys; false: two have one. */
static bool insert(const struct zlf_elem **order, uint32_t n, const struct zlf_elem *elem)
{
	struct zl_key key = zl_elem_key(elem), at;
	int compare = -1;

	while (n) {
		at = zl_elem_key(order[n - 1]);
		compare = zl_key_compare(&at, &key);
		if (compare <= 0)
			break;
		order[n] = order[n - 1];
		n--;
	}
	order[n] = elem;
	return !n || compare;
}

/* It counts for nothing, but a mount looks at it. */
static void check_left_behind(struct zlc *c, const struct zlf_node *node,
			      const struct zlf_elem *elem)
{
	const char *what = zl_get16(node->level) ? NULL : zl_elem_check(c->fs, elem);

	if (what)
		zlc_say_at(c, ZL_CHECK_ELEMENT, elem, zl_get64(elem->obj),
			   "type %u, behind its node's end: %s", elem->rec_type, what);
}

/* Those that the node's bounds let count; what a split has moved is behind the upper one. */
static uint32_t read_elems(struct zlc *c, const struct zlf_node *node, const struct visit *v,
			   const struct zlf_elem **order)
{
	const struct zlf_elem *elem;
	uint32_t line, n = 0;
	struct zl_key key;
	const char *what;

	for (line = 1; line < c->fs->geo.node_lines; line++) {
		if (!(zl_get64(node->valid) >> line & 1))
			continue;
		elem = (const struct zlf_elem *)(const void *)node + line;
		what = elem_wrong(c, node, elem, line);
		if (what) {
			zlc_say_at(c, ZL_CHECK_ELEMENT, elem, 0, "type %u: %s", elem->rec_type,
				   what);
			if (elem->lines && elem->lines <= ZLF_ELEM_LINES_MAX)
				line += elem->lines - 1u;	/* its payload is none */
			continue;
		}
		line += elem->lines - 1u;
		key = zl_elem_key(elem);
		if (v->high && zl_key_compare(&key, v->high) >= 0) {
			check_left_behind(c, node, elem);
			continue;
		}
		if (v->low && zl_key_compare(&key, v->low) < 0)
			zlc_say_at(c, ZL_CHECK_NODE, elem, zl_get64(elem->obj),
				   "an element is below what the parent says");
		if (!insert(order, n++, elem))
			zlc_say_at(c, ZL_CHECK_NODE, elem, zl_get64(elem->obj),
				   "two elements of one key");
	}
	return n;
}

static void visit(struct zlc *c, const struct visit *v);

static void visit_children(struct zlc *c, const struct visit *v, const struct zlf_elem **order,
			   uint32_t n)
{
	struct zl_key low, high;
	struct visit child;
	uint32_t i;

	for (i = 0; i < n; i++) {
		child = (struct visit) { zl_get64(order[i]->addr), v->level - 1, v->low, v->high,
					 order[i], !i };
		low = zl_elem_key(order[i]);
		child.low = i ? &low : v->low;
		if (i + 1 < n) {
			high = zl_elem_key(order[i + 1]);
			child.high = &high;
		}
		visit(c, &child);
	}
}

static void visit(struct zlc *c, const struct visit *v)
{
	const struct zlf_elem *order[ZLF_NODE_LINES_MAX];
	const struct zlf_node *node;
	const char *what = zlc_own(c, ZLF_SEG_NODE, v->addr, 1, false);
	uint32_t i, n;

	if (what) {
		zlc_say(c, ZL_CHECK_NODE, 0, 0, 0, "%#" PRIx64 ": %s", v->addr, what);
		return;
	}
	node = zl_media(c->fs, v->addr);
	what = header_wrong(c, node, v);
	if (what) {
		zlc_say_at(c, ZL_CHECK_NODE, node, 0, "%#" PRIx64 ": %s", v->addr, what);
		return;
	}
	c->out->nodes++;
	n = read_elems(c, node, v, order);
	if (v->level) {
		if (!n)
			zlc_say_at(c, ZL_CHECK_NODE, node, 0, "%#" PRIx64 ": it has no child",
				   v->addr);
		visit_children(c, v, order, n);
		return;
	}
	for (i = 0; i < n; i++)
		take_elem(c, order[i]);
}

void zlc_tree(struct zlc *c)
{
	const struct zl_dev *dev = &c->fs->devs[0];
	const struct zlf_anchor *anchor =
		(const void *)(dev->pm.media + zl_get64(dev->super->anchor_off));
	struct visit root = { .addr = zl_get64(anchor->root) };
	uint32_t seg, off;

	if (!zlc_is_zero(anchor->reserved, sizeof(anchor->reserved)))
		zlc_say_at(c, ZL_CHECK_NODE, anchor, 0, "the anchor's reserved bytes are used");
	if (zl_addr_zone(root.addr) != ZLF_SEG_NODE ||
	    !zl_addr_split(c->fs, root.addr, &seg, &off) || off % c->fs->geo.node_bytes) {
		zlc_say_at(c, ZL_CHECK_NODE, anchor, 0, "the anchor leads nowhere: %#" PRIx64,
			   root.addr);
		return;
	}
	root.level = zl_get16(((const struct zlf_node *)zl_media(c->fs, root.addr))->level);
	if (root.level >= ZLF_HEIGHT_MAX)
		zlc_say_at(c, ZL_CHECK_NODE, anchor, 0, "the root's level is %u", root.level);
	else
		visit(c, &root);
}
