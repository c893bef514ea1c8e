// SPDX-License-Identifier: BSD-3-Clause
/*
 * check_files.c - what all elements come to: inodes with their names, blocks and attributes,
 * and that each unit whose bit is set has an owner.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check_int.h"
#include "ops.h"
#include "owners.h"

static uint32_t type_of(const struct zlf_elem *elem)
{
	return elem->rec_type;		/* of history: another one */
}

static const char *payload_of(const struct zlf_elem *elem)
{
	return (const char *)(elem + 1);
}

static struct zlc_inode *find_inode(const struct zlc *c, uint64_t id)
{
	uint64_t low = 0, high = c->num_inodes, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (c->inodes[mid].id == id)
			return &c->inodes[mid];
		if (c->inodes[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static uint32_t mode_of(const struct zlc_inode *inode)
{
	return zl_get32(inode->body->mode);
}

/* ----------------------------------------------------------------- boundaries */

static void take_boundary(struct zlc *c, const struct zlf_elem *elem)
{
	uint64_t tid = zl_get64(elem->create_tid);

	if (c->num_boundaries && c->boundaries[c->num_boundaries - 1] >= tid)
		zlc_say_at(c, ZL_CHECK_BOUNDARY, elem, 0, "boundary %" PRIu64
			   " is older than the one in front", zl_get64(elem->key));
	if (zlc_grow(c, &c->boundaries, c->num_boundaries, &c->max_boundaries, sizeof(tid)))
		c->boundaries[c->num_boundaries++] = tid;
}

/* What was is kept because a boundary wants it. */
static void check_history(struct zlc *c, const struct zlf_elem *elem)
{
	uint64_t from = zl_get64(elem->create_tid), to = zl_get64(elem->end_tid), i;

	for (i = 0; i < c->num_boundaries && c->boundaries[i] < from; i++)
		;
	if (i == c->num_boundaries || c->boundaries[i] >= to)
		zlc_say_at(c, ZL_CHECK_BOUNDARY, elem, zl_get64(elem->obj),
			   "history of type %u is kept, and no boundary wants it",
			   elem->rec_type & ~ZLF_REC_HISTORY);
}

/* --------------------------------------------------------------------- inodes */

static void take_inode(struct zlc *c, const struct zlf_elem *elem)
{
	struct zlc_inode inode = { .elem = elem, .body = (const void *)(elem + 1),
				   .id = zl_get64(elem->obj) };

	if (inode.id != ZLF_OBJ_ROOT && inode.id < ZLF_OBJ_FIRST)
		zlc_say_at(c, ZL_CHECK_INODE, elem, inode.id, "no inode has that number");
	if (zlc_grow(c, &c->inodes, c->num_inodes, &c->max_inodes, sizeof(inode)))
		c->inodes[c->num_inodes++] = inode;
}

/* Inodes and boundaries, which all else is held against. */
static void collect(struct zlc *c)
{
	uint64_t i;

	for (i = 0; i < c->num_elems; i++) {
		if (type_of(c->elems[i]) == ZLF_REC_INODE)
			take_inode(c, c->elems[i]);
		if (type_of(c->elems[i]) == ZLF_REC_SNAPSHOT)
			take_boundary(c, c->elems[i]);
	}
	c->out->inodes = c->num_inodes;
}

/* ---------------------------------------------------------------------- names */

/* Two of one name stand next to each other: their hash is the same. */
static bool same_before(const struct zlc *c, uint64_t i)
{
	const struct zlf_elem *elem = c->elems[i], *other;
	uint64_t base = zl_get64(elem->key) & ~(uint64_t)(ZL_SAME_HASH - 1);

	while (i--) {
		other = c->elems[i];
		if (other->obj != elem->obj || type_of(other) != type_of(elem) ||
		    zl_get64(other->key) < base)
			return false;
		if (other->aux == elem->aux &&
		    !memcmp(payload_of(other), payload_of(elem), zl_get32(elem->aux)))
			return true;
	}
	return false;
}

static const char *name_wrong(const struct zlf_elem *elem)
{
	uint32_t bytes = zl_get32(elem->len);
	struct zus_name name = { (char *)(uintptr_t)payload_of(elem), bytes };

	if (memchr(name.str, '/', bytes) || memchr(name.str, 0, bytes) ||
	    (bytes <= 2 && !memcmp(name.str, "..", bytes)))
		return "no name is like that";
	if ((zl_get64(elem->key) & ~(uint64_t)(ZL_SAME_HASH - 1)) != zl_name_hash(&name))
		return "it stands where its hash does not lead to";
	return NULL;
}

static void check_name(struct zlc *c, uint64_t i, struct zlc_inode *dir)
{
	const struct zlf_elem *elem = c->elems[i];
	struct zlc_inode *inode = find_inode(c, zl_get64(elem->addr));
	const char *what = name_wrong(elem);

	if (!what && same_before(c, i))
		what = "it is there twice";
	if (!what && !S_ISDIR(mode_of(dir)))
		what = "it is in what is no directory";
	if (!what && !inode)
		what = "there is no such inode";
	if (!what && elem->obj_type != IFTODT(mode_of(inode)))
		what = "its type is not the inode's";
	if (!what && S_ISDIR(mode_of(inode)) && (inode->names || inode->id == ZLF_OBJ_ROOT))
		what = "it is of a directory that has a name already";
	if (!what && S_ISDIR(mode_of(inode)) && zl_get64(inode->body->parent) != dir->id)
		what = "the directory's parent is another one";
	if (what)
		zlc_say_at(c, ZL_CHECK_NAME, elem, dir->id, "'%.*s', inode %" PRIu64 ": %s",
			   (int)(zl_get32(elem->len) < 60 ? zl_get32(elem->len) : 60),
			   payload_of(elem), zl_get64(elem->addr), what);
	if (!inode)
		return;
	inode->names++;
	if (S_ISDIR(mode_of(inode))) {
		inode->dir = dir->id;
		dir->subdirs++;
	}
}

/* ------------------------------------------------------------ blocks, attributes */

static void check_extent(struct zlc *c, uint64_t i, struct zlc_inode *inode)
{
	const struct zlf_elem *elem = c->elems[i], *before = i ? c->elems[i - 1] : NULL;
	uint64_t bn = zl_get64(elem->key), end = bn + zl_get32(elem->len);

	inode->blocks += zl_get32(elem->len);
	if (!(elem->flags & ZLF_EF_UNWRITTEN))
		inode->written_end = end;
	if (!S_ISREG(mode_of(inode)))
		zlc_say_at(c, ZL_CHECK_EXTENT, elem, inode->id, "it is of no file");
	if (end < bn || end > ZL_FILE_MAX_BYTES / ZLF_BLOCK_BYTES)
		zlc_say_at(c, ZL_CHECK_EXTENT, elem, inode->id, "it is behind all files' ends");
	if (before && before->obj == elem->obj && type_of(before) == ZLF_REC_EXTENT &&
	    zl_get64(before->key) + zl_get32(before->len) > bn)
		zlc_say_at(c, ZL_CHECK_EXTENT, elem, inode->id, "block %" PRIu64
			   " is in the one in front, too", bn);
}

static void check_xattr(struct zlc *c, uint64_t i, struct zlc_inode *inode)
{
	const struct zlf_elem *elem = c->elems[i];
	struct zus_name name = { (char *)(uintptr_t)payload_of(elem), zl_get32(elem->aux) };
	const char *what = NULL;

	inode->xattrs++;
	if ((zl_get64(elem->key) & ~(uint64_t)(ZL_SAME_HASH - 1)) != zl_xattr_hash(&name))
		what = "it stands where its hash does not lead to";
	else if (same_before(c, i))
		what = "it is there twice";
	if (what)
		zlc_say_at(c, ZL_CHECK_XATTR, elem, inode->id, "'%.*s': %s",
			   (int)(name.bytes < 60 ? name.bytes : 60), name.str, what);
}

/* The first element that is not in front of a key. */
static uint64_t first_elem(const struct zlc *c, const struct zl_key *key)
{
	uint64_t low = 0, high = c->num_elems, mid;
	struct zl_key at;

	while (low < high) {
		mid = (low + high) / 2;
		at = zl_elem_key(c->elems[mid]);
		if (zl_key_compare(&at, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The element of an object at a key, of which all come before; UINT64_MAX: there is none. */
static uint64_t find_elem(const struct zlc *c, const struct zl_key *key)
{
	uint64_t i = first_elem(c, key);
	struct zl_key at;

	if (i == c->num_elems)
		return UINT64_MAX;
	at = zl_elem_key(c->elems[i]);
	return zl_key_compare(&at, key) ? UINT64_MAX : i;
}

static uint64_t value_blocks(const struct zlf_elem *xattr)
{
	return (zl_get64(xattr->addr) + ZLF_BLOCK_BYTES - 1) / ZLF_BLOCK_BYTES;
}

static void check_xdata(struct zlc *c, const struct zlf_elem *elem, const struct zlc_inode *inode)
{
	uint64_t n = zl_get64(elem->key) & (ZL_SAME_HASH - 1), bytes;
	struct zl_key key = { .obj = inode->id, .rec_type = ZLF_REC_XATTR,
			      .key = zl_get64(elem->key) >> (64 - ZL_XATTR_KEY_BITS) };
	uint64_t i = find_elem(c, &key);
	const struct zlf_elem *xattr = i == UINT64_MAX ? NULL : c->elems[i];

	if (!xattr || !(xattr->flags & ZLF_EF_BLOCK) || n >= value_blocks(xattr)) {
		zlc_say_at(c, ZL_CHECK_XATTR, elem, inode->id, "a block that is of none");
		return;
	}
	bytes = zl_get64(xattr->addr) - n * ZLF_BLOCK_BYTES;
	if (zl_get32(elem->aux) != (bytes < ZLF_BLOCK_BYTES ? bytes : ZLF_BLOCK_BYTES))
		zlc_say_at(c, ZL_CHECK_XATTR, elem, inode->id, "a block has %u bytes",
			   zl_get32(elem->aux));
}

/* All blocks of the value are there. */
static void check_value(struct zlc *c, const struct zlf_elem *xattr)
{
	struct zl_key key = { .obj = zl_get64(xattr->obj), .rec_type = ZLF_REC_XDATA };
	uint64_t n;

	if (!(xattr->flags & ZLF_EF_BLOCK))
		return;
	for (n = 0; n < value_blocks(xattr); n++) {
		key.key = zl_get64(xattr->key) << (64 - ZL_XATTR_KEY_BITS) | n;
		if (find_elem(c, &key) == UINT64_MAX)
			zlc_say_at(c, ZL_CHECK_XATTR, xattr, key.obj, "its block %" PRIu64
				   " is missing", n);
	}
}

/* ------------------------------------------------------------------- shared blocks */

/* What an owner stands for is there. */
static void check_owner(struct zlc *c, const struct zlf_elem *owner)
{
	struct zl_key key = zl_owner_extent(owner);
	uint64_t i = find_elem(c, &key);
	const struct zlf_elem *extent = i == UINT64_MAX ? NULL : c->elems[i];

	if (!extent || !zl_shares(extent) || extent->addr != owner->addr ||
	    extent->len != owner->len)
		zlc_say_at(c, ZL_CHECK_OWNER, owner, key.obj, "block %" PRIu64 "%s: %s", key.key,
			   key.tid ? " of history" : "",
			   !extent ? "there is no such extent" : "the extent is another one");
}

/* Of history, there may be several of one block in one place. */
static bool has_owner(const struct zlc *c, const struct zlf_elem *extent)
{
	struct zl_key key = zl_owner_key(extent), at;
	uint64_t since = zl_elem_key(extent).tid, i;

	for (i = first_elem(c, &key); i < c->num_elems; i++) {
		at = zl_elem_key(c->elems[i]);
		if (at.obj != key.obj || at.rec_type != key.rec_type || at.key != key.key ||
		    at.tid - key.tid >= ZL_OWNER_NUMBERS)
			return false;
		if (zl_get64(c->elems[i]->end_tid) == since)
			return true;
	}
	return false;
}

static void check_shared(struct zlc *c, const struct zlf_elem *extent)
{
	if (zl_shares(extent) && !has_owner(c, extent))
		zlc_say_at(c, ZL_CHECK_OWNER, extent, zl_get64(extent->obj), "block %" PRIu64
			   "%s is shared, and who has it is not known", zl_get64(extent->key),
			   extent->rec_type & ZLF_REC_HISTORY ? " of history" : "");
}

/* --------------------------------------------------------------- symlinks, orphans */

static void check_symlink(struct zlc *c, const struct zlf_elem *elem, struct zlc_inode *inode)
{
	inode->has_link = true;
	inode->link_bytes = zl_get32(elem->aux);
	if (!S_ISLNK(mode_of(inode)))
		zlc_say_at(c, ZL_CHECK_INODE, elem, inode->id, "a target of what is no symlink");
}

static void check_orphan(struct zlc *c, const struct zlf_elem *elem)
{
	struct zlc_inode *inode = find_inode(c, zl_get64(elem->key));

	if (!inode || inode->body->nlink)
		zlc_say_at(c, ZL_CHECK_ORPHAN, elem, zl_get64(elem->key),
			   inode ? "it has names" : "there is no such inode");
	if (inode)
		inode->orphan = true;
}

/* ------------------------------------------------------------------- each inode */

static void hold_of_inode(struct zlc *c, uint64_t i, struct zlc_inode *inode)
{
	switch (type_of(c->elems[i])) {
	case ZLF_REC_DIRENT:
		check_name(c, i, inode);
		break;
	case ZLF_REC_EXTENT:
		check_extent(c, i, inode);
		break;
	case ZLF_REC_SYMLINK:
		check_symlink(c, c->elems[i], inode);
		break;
	case ZLF_REC_XDATA:
		check_xdata(c, c->elems[i], inode);
		break;
	default:
		check_xattr(c, i, inode);
		check_value(c, c->elems[i]);
	}
}

static void hold_elem(struct zlc *c, uint64_t i)
{
	static const enum zl_check_class classes[ZLF_REC_LAST + 1] = {
		[ZLF_REC_DIRENT] = ZL_CHECK_NAME, [ZLF_REC_EXTENT] = ZL_CHECK_EXTENT,
		[ZLF_REC_SYMLINK] = ZL_CHECK_INODE, [ZLF_REC_XATTR] = ZL_CHECK_XATTR,
		[ZLF_REC_XDATA] = ZL_CHECK_XATTR,
	};
	const struct zlf_elem *elem = c->elems[i];
	uint32_t type = type_of(elem);
	struct zlc_inode *inode;

	check_shared(c, elem);
	if (type & ZLF_REC_HISTORY) {
		check_history(c, elem);
		return;
	}
	if (type == ZLF_REC_ORPHAN)
		check_orphan(c, elem);
	if (type == ZLF_REC_OWNER)
		check_owner(c, elem);
	if (type > ZLF_REC_LAST || !classes[type])
		return;
	inode = find_inode(c, zl_get64(elem->obj));
	if (inode)
		hold_of_inode(c, i, inode);
	else
		zlc_say_at(c, classes[type], elem, zl_get64(elem->obj),
			   "type %u, key %#" PRIx64 ": there is no such inode", type,
			   zl_get64(elem->key));
}

/* NULL, or the member that cannot be as it is. */
static const char *body_wrong(const struct zlc_inode *inode)
{
	const struct zlf_inode *body = inode->body;
	uint64_t size = zl_get64(body->size_bytes);
	uint32_t mode = mode_of(inode);

	if (zl_get64(body->blocks) != inode->blocks)
		return "blocks";
	if ((S_ISLNK(mode) && size != inode->link_bytes) ||
	    (size + ZLF_BLOCK_BYTES - 1) / ZLF_BLOCK_BYTES < inode->written_end)
		return "size";
	if (S_ISLNK(mode) && !inode->has_link)
		return "a symlink's target is missing: size";
	return zl_body_check(body);
}

static uint32_t links_of(const struct zlc_inode *inode)
{
	if (!S_ISDIR(mode_of(inode)))
		return inode->names;
	return inode->names || inode->id == ZLF_OBJ_ROOT ? 2 + inode->subdirs : 0;
}

static void check_inode(struct zlc *c, const struct zlc_inode *inode)
{
	const struct zlf_inode *body = inode->body;
	const char *what = body_wrong(inode);

	if (what)
		zlc_say_at(c, ZL_CHECK_INODE, inode->elem, inode->id, "%s cannot be as it is", what);
	if (zl_get32(body->nlink) != links_of(inode))
		zlc_say_at(c, ZL_CHECK_INODE, inode->elem, inode->id, "nlink is %u, and %u lead to it",
			   zl_get32(body->nlink), links_of(inode));
	if (zl_get32(body->num_xattrs) != inode->xattrs)
		zlc_say_at(c, ZL_CHECK_XATTR, inode->elem, inode->id,
			   "the inode says %u attributes, and has %u", zl_get32(body->num_xattrs),
			   inode->xattrs);
	if (!body->nlink && !inode->orphan)
		zlc_say_at(c, ZL_CHECK_ORPHAN, inode->elem, inode->id,
			   "it has no name, and is no orphan");
	if (inode->id == ZLF_OBJ_ROOT && (!S_ISDIR(mode_of(inode)) ||
					  zl_get64(body->parent) != ZLF_OBJ_ROOT))
		zlc_say_at(c, ZL_CHECK_INODE, inode->elem, inode->id, "it is not like a root");
	if (inode->id >= zl_get64(c->fs->ckpt.next_obj))
		zlc_say_at(c, ZL_CHECK_CHECKPOINT, inode->elem, inode->id,
			   "next_obj would give out its number again");
}

/* Up to the root, or to what has been seen. */
static void reach(struct zlc *c, struct zlc_inode *inode)
{
	struct zlc_inode *at = inode, *next;
	uint8_t found;

	while (at && !at->reached) {
		at->reached = 1;
		if (at->id == ZLF_OBJ_ROOT)
			at->reached = 2;
		else
			at = find_inode(c, at->dir);
	}
	found = at && at->reached == 2 ? 2 : 3;
	for (at = inode; at && at->reached == 1; at = next) {
		at->reached = found;
		next = find_inode(c, at->dir);
	}
	if (found == 3)
		zlc_say_at(c, ZL_CHECK_NAME, inode->elem, inode->id,
			   "the root does not lead to this directory");
}

void zlc_files(struct zlc *c)
{
	uint64_t i;

	collect(c);
	for (i = 0; i < c->num_elems && !c->no_memory; i++)
		hold_elem(c, i);
	for (i = 0; i < c->num_inodes; i++)
		check_inode(c, &c->inodes[i]);
	for (i = 0; i < c->num_inodes; i++)
		if (S_ISDIR(mode_of(&c->inodes[i])) && c->inodes[i].names)
			reach(c, &c->inodes[i]);
	if (!find_inode(c, ZLF_OBJ_ROOT))
		zlc_say(c, ZL_CHECK_INODE, 0, 0, ZLF_OBJ_ROOT, "there is no root");
}

/* --------------------------------------------------------------------- bitmaps */

static void check_seg(struct zlc *c, uint32_t i, const struct zlf_segment *line,
		      const struct zlf_bitmap *bitmap)
{
	const struct zlc_seg *s = &c->segs[i];
	uint64_t more = 0, less = 0;
	uint32_t w, type, log, gen;

	for (w = 0; w < 8; w++) {
		more += (uint64_t)__builtin_popcountll(zl_get64(bitmap->bits[w]) & ~s->owned[w]);
		less += (uint64_t)__builtin_popcountll(~zl_get64(bitmap->bits[w]) & s->owned[w]);
	}
	if (more)
		zlc_say_at(c, ZL_CHECK_BITMAP, bitmap, 0,
			   "segment %u: %" PRIu64 " bits are set, and nothing is there", i, more);
	if (less)
		zlc_say_at(c, ZL_CHECK_BITMAP, bitmap, 0,
			   "segment %u: %" PRIu64 " bits are clear where something is", i, less);
	zl_seg_word_split(zl_get64(line->word), &type, &log, &gen);
	if (s->zone && (type != s->zone || (gen & ZLF_ADDR_GEN_MASK) != s->gen))
		zlc_say_at(c, ZL_CHECK_SEGMENT, line, 0,
			   "segment %u has type %u, generation %u; what is there has %u, %u", i,
			   type, gen, s->zone, s->gen);
}

void zlc_bitmaps(struct zlc *c)
{
	const struct zl_dev *dev;
	uint32_t d, i;

	for (d = 0; d < c->num_media; d++) {
		dev = &c->fs->devs[d];
		for (i = 0; i < dev->num_segments; i++)
			check_seg(c, dev->first_segment + i,
				  (const struct zlf_segment *)(const void *)
				  (dev->pm.media + dev->table_off) + i,
				  (const struct zlf_bitmap *)(const void *)
				  (dev->pm.media + dev->bitmap_off) + i);
	}
}

void zlc_last_checkpoint(struct zlc *c)
{
	const struct zl_dev *dev = &c->fs->devs[0];
	const struct zlf_anchor *anchor =
		(const void *)(dev->pm.media + zl_get64(dev->super->anchor_off));
	uint64_t newest = c->num_boundaries ? c->boundaries[c->num_boundaries - 1] : 0;

	if (c->fs->ckpt.root != anchor->root)
		zlc_say(c, ZL_CHECK_CHECKPOINT, 0, 0, 0, "the newest: root is %#" PRIx64
			", the anchor's is %#" PRIx64, zl_get64(c->fs->ckpt.root),
			zl_get64(anchor->root));
	if (zl_get64(c->fs->ckpt.boundary_tid) != newest)
		zlc_say(c, ZL_CHECK_BOUNDARY, 0, 0, 0,
			"the newest checkpoint says %#" PRIx64 ", and the newest is %#" PRIx64,
			zl_get64(c->fs->ckpt.boundary_tid), newest);
}
