// SPDX-License-Identifier: BSD-3-Clause
/* place.c - where the structures of an image are, by kind, and which fields each kind has. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "item.h"

/* -------------------------------------------------------------------- fields */

#define F(type, member) \
	{ #member, offsetof(struct type, member), sizeof(((struct type *)0)->member) }

static const struct fuzz_field super_fields[] = {
	F(zlf_super, magic), F(zlf_super, version_major), F(zlf_super, version_minor),
	F(zlf_super, features_compat), F(zlf_super, features_ro), F(zlf_super, features_incompat),
	F(zlf_super, seq), F(zlf_super, created_ns), F(zlf_super, label), F(zlf_super, label[56]),
	F(zlf_super, device), F(zlf_super, num_devices), F(zlf_super, segment_shift),
	F(zlf_super, node_lines), F(zlf_super, num_logs), F(zlf_super, num_slots),
	F(zlf_super, policy), F(zlf_super, boundary_grain_s), F(zlf_super, history_max_bytes),
	F(zlf_super, log_unapplied_max_bytes), F(zlf_super, ring_off), F(zlf_super, anchor_off),
	F(zlf_super, intents_off), F(zlf_super, slots_off), F(zlf_super, table_off),
	F(zlf_super, bitmap_off), F(zlf_super, hints_off), F(zlf_super, first_segment_off),
	F(zlf_super, num_segments), F(zlf_super, reserved), F(zlf_super, devices[0].bytes),
	F(zlf_super, devices[1].segments),
};
static const struct fuzz_field ckpt_fields[] = {
	F(zlf_ckpt, magic), F(zlf_ckpt, gen), F(zlf_ckpt, applied_tid), F(zlf_ckpt, max_tid),
	F(zlf_ckpt, min_log_seq), F(zlf_ckpt, next_log_seq), F(zlf_ckpt, next_obj),
	F(zlf_ckpt, incarnation), F(zlf_ckpt, boundary_tid), F(zlf_ckpt, root),
	F(zlf_ckpt, wall_ns), F(zlf_ckpt, used_blocks), F(zlf_ckpt, used_nodes),
	F(zlf_ckpt, inodes), F(zlf_ckpt, flags), F(zlf_ckpt, slots_area), F(zlf_ckpt, reserved),
};
static const struct fuzz_field anchor_fields[] = { F(zlf_anchor, root) };
static const struct fuzz_field intent_fields[] = {
	F(zlf_intent, level), F(zlf_intent, node), F(zlf_intent, obj), F(zlf_intent, key),
	F(zlf_intent, tid), F(zlf_intent, rec_type),
};
static const struct fuzz_field slot_fields[] = { F(zlf_slot, op_id), F(zlf_slot, obj) };
static const struct fuzz_field segment_fields[] = {
	{ "type", 0, 1 }, { "log", 2, 2 }, { "gen", 4, 2 }, F(zlf_segment, word),
	F(zlf_segment, seq), F(zlf_segment, incarnation), F(zlf_segment, open_tid),
	F(zlf_segment, numa_node), F(zlf_segment, min_tid), F(zlf_segment, live),
};
static const struct fuzz_field bitmap_fields[] = {
	F(zlf_bitmap, bits[0]), F(zlf_bitmap, bits[1]), F(zlf_bitmap, bits[7]),
};
static const struct fuzz_field hint_fields[] = { F(zlf_hint, obj), F(zlf_hint, key) };
static const struct fuzz_field node_fields[] = {
	F(zlf_node, valid), F(zlf_node, level), F(zlf_node, lines), F(zlf_node, self),
	F(zlf_node, obj), F(zlf_node, key), F(zlf_node, create_tid), F(zlf_node, rec_type),
	F(zlf_node, max_tid),
};
static const struct fuzz_field elem_fields[] = {
	F(zlf_elem, rec_type), F(zlf_elem, lines), F(zlf_elem, obj_type), F(zlf_elem, flags),
	F(zlf_elem, obj), F(zlf_elem, key), F(zlf_elem, create_tid), F(zlf_elem, end_tid),
	F(zlf_elem, addr), F(zlf_elem, len), F(zlf_elem, aux), F(zlf_elem, pfs),
	F(zlf_elem, data_crc),
};
static const struct fuzz_field body_fields[] = {
	F(zlf_inode, mode), F(zlf_inode, nlink), F(zlf_inode, uid), F(zlf_inode, size_bytes),
	F(zlf_inode, blocks), F(zlf_inode, rdev_major), F(zlf_inode, flags), F(zlf_inode, projid),
	F(zlf_inode, parent), F(zlf_inode, policy), F(zlf_inode, num_xattrs),
	F(zlf_inode, mtime.sec), F(zlf_inode, mtime.nsec),
};
static const struct fuzz_field payload_fields[] = { { "bytes", 0, 8 }, { "byte", 0, 1 } };
static const struct fuzz_field record_fields[] = {
	F(zlf_record, type), F(zlf_record, lines), F(zlf_record, flags), F(zlf_record, tid),
	F(zlf_record, op_id), F(zlf_record, chain), F(zlf_record, word), F(zlf_record, pfs),
	F(zlf_record, item_bytes),
};

/* An item's head; then words, of which its mask says what they are. */
#define ITEM_HEAD \
	F(zlf_item, kind), F(zlf_item, rec_type), F(zlf_item, obj_type), F(zlf_item, flags), \
	F(zlf_item, payload_bytes), F(zlf_item, mask)
#define ITEM_WORD(n)	{ "word " #n, 8 * (n), 8 }, { "word " #n ", half", 8 * (n) + 4, 4 }

static const struct fuzz_field key_fields[] = {
	ITEM_HEAD, ITEM_WORD(1), ITEM_WORD(2), ITEM_WORD(3), ITEM_WORD(4), ITEM_WORD(5),
	ITEM_WORD(6),
};
static const struct fuzz_field del_fields[] = { ITEM_HEAD, ITEM_WORD(1), ITEM_WORD(2) };
static const struct fuzz_field inode_fields[] = {
	ITEM_HEAD, ITEM_WORD(1), ITEM_WORD(2), ITEM_WORD(3), ITEM_WORD(4),
};

#define K(text, seal, fields) { text, seal, fields, sizeof(fields) / sizeof(*(fields)) }

const struct fuzz_kind_info fuzz_kinds[FUZZ_KINDS] = {
	[FUZZ_SUPER] = K("superblock", SEAL_SUPER, super_fields),
	[FUZZ_CKPT] = K("checkpoint", SEAL_CKPT, ckpt_fields),
	[FUZZ_ANCHOR] = K("anchor", SEAL_NONE, anchor_fields),
	[FUZZ_INTENT] = K("intent", SEAL_INTENT, intent_fields),
	[FUZZ_SLOT] = K("slot", SEAL_NONE, slot_fields),
	[FUZZ_SEGMENT] = K("segment", SEAL_SEGMENT, segment_fields),
	[FUZZ_BITMAP] = K("bitmap", SEAL_NONE, bitmap_fields),
	[FUZZ_HINT] = K("hint", SEAL_NONE, hint_fields),
	[FUZZ_NODE] = K("node", SEAL_NODE, node_fields),
	[FUZZ_CHILD] = K("child", SEAL_ELEM, elem_fields),
	[FUZZ_EL_INODE] = K("element_inode", SEAL_ELEM, elem_fields),
	[FUZZ_EL_DIRENT] = K("element_dirent", SEAL_ELEM, elem_fields),
	[FUZZ_EL_EXTENT] = K("element_extent", SEAL_ELEM, elem_fields),
	[FUZZ_EL_SYMLINK] = K("element_symlink", SEAL_ELEM, elem_fields),
	[FUZZ_EL_XATTR] = K("element_xattr", SEAL_ELEM, elem_fields),
	[FUZZ_EL_XDATA] = K("element_xdata", SEAL_ELEM, elem_fields),
	[FUZZ_EL_ORPHAN] = K("element_orphan", SEAL_ELEM, elem_fields),
	[FUZZ_EL_SNAPSHOT] = K("element_snapshot", SEAL_ELEM, elem_fields),
	[FUZZ_EL_HISTORY] = K("element_history", SEAL_ELEM, elem_fields),
	[FUZZ_EL_OWNER] = K("element_owner", SEAL_ELEM, elem_fields),
	[FUZZ_BODY] = K("inode_body", SEAL_ELEM, body_fields),
	[FUZZ_PAYLOAD] = K("payload", SEAL_ELEM, payload_fields),
	[FUZZ_RECORD] = K("record", SEAL_RECORD, record_fields),
	[FUZZ_IT_SET] = K("item_set", SEAL_RECORD, key_fields),
	[FUZZ_IT_DEL] = K("item_del", SEAL_RECORD, del_fields),
	[FUZZ_IT_RANGE] = K("item_range", SEAL_RECORD, key_fields),
	[FUZZ_IT_INODE] = K("item_inode", SEAL_RECORD, inode_fields),
	[FUZZ_IT_FREE] = K("item_free", SEAL_RECORD, key_fields),
};

/* ---------------------------------------------------------------------- lists */

#define PLACES_MAX	8192u
#define NUMBERS_MAX	1024u

struct finder {
	struct fuzz_seed *seed;
	struct zl_fs *fs;
	struct fuzz_place *places;
	uint32_t n;
};

static void add(struct finder *f, const struct fuzz_place *place)
{
	if (f->n < PLACES_MAX)
		f->places[f->n++] = *place;
}

/* One that has its own checksum, or none. */
static void add_at(struct finder *f, enum fuzz_kind kind, uint32_t dev, uint64_t off,
		   uint32_t bytes)
{
	add(f, &(struct fuzz_place) { .kind = kind, .dev = dev, .off = (uint32_t)off,
				      .bytes = bytes, .head = (uint32_t)off });
}

static void add_number(struct finder *f, uint64_t number)
{
	struct fuzz_seed *seed = f->seed;
	uint32_t i;

	for (i = 0; i < seed->num_numbers; i++)
		if (seed->numbers[i] == number)
			return;
	if (seed->num_numbers < NUMBERS_MAX)
		seed->numbers[seed->num_numbers++] = number;
}

static void add_addr(struct finder *f, uint64_t addr)
{
	struct fuzz_seed *seed = f->seed;

	if (addr && seed->num_addrs < NUMBERS_MAX)
		seed->addrs[seed->num_addrs++] = addr;
}

static int by_kind(const void *a, const void *b)
{
	const struct fuzz_place *left = a, *right = b;

	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	if (left->dev != right->dev)
		return left->dev < right->dev ? -1 : 1;
	return left->off < right->off ? -1 : left->off > right->off;
}

static void sort(struct finder *f)
{
	struct fuzz_seed *seed = f->seed;
	uint32_t i, kind = 0;

	qsort(f->places, f->n, sizeof(*f->places), by_kind);
	seed->places = calloc(f->n, sizeof(*f->places));
	if (!seed->places)
		return;
	memcpy(seed->places, f->places, f->n * sizeof(*f->places));
	seed->num_places = f->n;
	for (i = 0; i < f->n; i++)
		while (kind <= f->places[i].kind)
			seed->first[kind++] = i;
	while (kind <= FUZZ_KINDS)
		seed->first[kind++] = f->n;
}

/* ----------------------------------------------------------------------- tree */

static enum fuzz_kind kind_of(const struct zlf_elem *elem)
{
	static const enum fuzz_kind kinds[ZLF_REC_LAST + 1] = {
		[ZLF_REC_INODE] = FUZZ_EL_INODE, [ZLF_REC_DIRENT] = FUZZ_EL_DIRENT,
		[ZLF_REC_EXTENT] = FUZZ_EL_EXTENT, [ZLF_REC_SYMLINK] = FUZZ_EL_SYMLINK,
		[ZLF_REC_XATTR] = FUZZ_EL_XATTR, [ZLF_REC_XDATA] = FUZZ_EL_XDATA,
		[ZLF_REC_ORPHAN] = FUZZ_EL_ORPHAN, [ZLF_REC_SNAPSHOT] = FUZZ_EL_SNAPSHOT,
		[ZLF_REC_OWNER] = FUZZ_EL_OWNER,
	};

	return elem->rec_type & ZLF_REC_HISTORY ? FUZZ_EL_HISTORY : kinds[elem->rec_type];
}

static void find_elem(struct finder *f, const struct zlf_elem *elem, uint32_t dev, uint64_t node,
		      uint64_t off)
{
	struct fuzz_place place = {
		.kind = kind_of(elem), .dev = dev, .off = (uint32_t)off, .bytes = 64,
		.head = (uint32_t)off, .node = (uint32_t)node,
	};

	add(f, &place);
	add_number(f, zl_get64(elem->obj));
	add_number(f, zl_get64(elem->key));
	add_number(f, zl_get64(elem->end_tid));
	if (zl_elem_blocks(elem))
		add_addr(f, zl_get64(elem->addr));
	if (elem->lines == 1)
		return;
	place.kind = elem->rec_type == ZLF_REC_INODE ? FUZZ_BODY : FUZZ_PAYLOAD;
	place.off += 64;
	place.bytes = (elem->lines - 1u) * 64;
	add(f, &place);
}

static void find_node(struct finder *f, uint64_t addr)
{
	const struct zlf_node *node = zl_media(f->fs, addr);
	const struct zlf_elem *elem;
	uint64_t off;
	uint32_t dev = zl_addr_dev(addr, &off), line;

	add_at(f, FUZZ_NODE, dev, off, 64);
	add_addr(f, addr);
	for (line = 1; line < zl_get16(node->lines); line++) {
		if (!(zl_get64(node->valid) >> line & 1))
			continue;
		elem = (const struct zlf_elem *)(const void *)node + line;
		if (zl_get16(node->level)) {
			add(f, &(struct fuzz_place) {
				.kind = FUZZ_CHILD, .dev = dev, .off = (uint32_t)off + line * 64,
				.bytes = 64, .head = (uint32_t)off + line * 64,
				.node = (uint32_t)off });
			find_node(f, zl_get64(elem->addr));
		} else {
			find_elem(f, elem, dev, off, off + line * 64ul);
		}
		line += elem->lines - 1u;
	}
}

/* ------------------------------------------------------------------------ log */

static void find_items(struct finder *f, const struct zlf_record *record,
		       struct fuzz_place place)
{
	static const enum fuzz_kind kinds[ZLF_ITEM_LAST + 1] = {
		[ZLF_ITEM_SET] = FUZZ_IT_SET, [ZLF_ITEM_DEL] = FUZZ_IT_DEL,
		[ZLF_ITEM_RANGE] = FUZZ_IT_RANGE, [ZLF_ITEM_INODE] = FUZZ_IT_INODE,
		[ZLF_ITEM_FREE] = FUZZ_IT_FREE,
	};
	struct zl_items items = zl_items(record->items, zl_get32(record->item_bytes));
	const uint8_t *begin = items.at;
	struct zl_item item;

	while (zl_item_next(&items, &item)) {
		place.kind = kinds[item.kind];
		place.off = place.head + (uint32_t)(begin - (const uint8_t *)record);
		place.bytes = (uint32_t)(items.at - begin);
		add(f, &place);
		add_number(f, item.obj);
		begin = items.at;
	}
}

/* What a mount will do; what it will not is found only where nothing else is. */
static void find_records(struct finder *f, uint32_t dev, uint32_t seg, uint64_t seq)
{
	struct fuzz_place place = { .kind = FUZZ_RECORD, .dev = dev, .bytes = 64, .seg = seg };
	const struct zlf_record *record;
	uint64_t base = zl_seg_off(f->fs, seg);

	while (place.line < f->fs->geo.segment_lines) {
		record = (const void *)(f->fs->devs[dev].pm.media + base + place.line * 64ul);
		if (!zl_record_valid(f->fs, record, seq, place.line))
			return;
		place.kind = FUZZ_RECORD;
		place.bytes = 64;
		place.off = place.head = (uint32_t)(base + place.line * 64ul);
		add_number(f, zl_get64(record->tid));
		if (zl_get64(record->tid) > zl_get64(f->fs->ckpt.applied_tid)) {
			add(f, &place);
			find_items(f, record, place);
		}
		if (record->type == ZLF_LOG_CLOSE)
			return;
		place.line += record->lines;
	}
}

static void find_segments(struct finder *f, uint32_t d)
{
	const struct zl_dev *dev = &f->fs->devs[d];
	const struct zlf_segment *line = (const void *)(dev->pm.media + dev->table_off);
	uint32_t i, type, log, gen, seg;
	uint64_t at;

	for (i = 0; i < dev->num_segments; i++, line++) {
		if (!zl_seg_word_split(zl_get64(line->word), &type, &log, &gen))
			continue;
		seg = dev->first_segment + i;
		at = (uint64_t)i * 64;
		if (type != ZLF_SEG_FREE || i % 8 == 0) {
			add_at(f, FUZZ_SEGMENT, d, dev->table_off + at, 64);
			add_at(f, FUZZ_BITMAP, d, dev->bitmap_off + at, 64);
			add_at(f, FUZZ_HINT, d, dev->hints_off +
			       (uint64_t)i * f->fs->geo.segment_blocks * 16, 16);
		}
		if (type != ZLF_SEG_LOG)
			continue;
		add_addr(f, zl_addr_make(f->fs, ZLF_SEG_LOG, gen, seg, 0));
		if (zl_get64(line->seq) >= zl_get64(f->fs->ckpt.min_log_seq))
			find_records(f, d, seg, zl_get64(line->seq));
	}
}

/* ---------------------------------------------------------------- fixed places */

static void find_fixed(struct finder *f)
{
	const struct zlf_super *super = f->fs->devs[0].super;
	uint64_t gen = zl_get64(f->fs->ckpt.gen), ring = zl_get64(super->ring_off);
	uint32_t i;

	for (i = 0; i < f->seed->shape->num_devices; i++)
		add_at(f, FUZZ_SUPER, i, FUZZ_DATA_OFF, sizeof(struct zlf_super));
	for (i = 0; i < ZLF_RING_SLOTS && i < gen; i += i ? 7 : 1)
		add_at(f, FUZZ_CKPT, 0, ring + (gen - i) % ZLF_RING_SLOTS * 256, 256);
	add_at(f, FUZZ_ANCHOR, 0, zl_get64(super->anchor_off), 64);
	for (i = 0; i < 4; i++)
		add_at(f, FUZZ_INTENT, 0, zl_get64(super->intents_off) + i * 64ul, 64);
	for (i = 0; i < 2 * f->fs->geo.num_slots; i++)
		add_at(f, FUZZ_SLOT, 0, zl_get64(super->slots_off) + i * 16ul, 16);
	add_number(f, zl_get64(f->fs->ckpt.applied_tid));
	add_number(f, zl_get64(f->fs->ckpt.max_tid));
	add_number(f, zl_get64(f->fs->ckpt.boundary_tid));
	add_number(f, zl_get64(f->fs->ckpt.min_log_seq));
	add_number(f, zl_get64(f->fs->ckpt.next_obj));
}

bool fuzz_places_find(struct fuzz_seed *seed)
{
	static struct fuzz_place places[PLACES_MAX];
	struct finder f = { .seed = seed, .fs = zl_fs_new(true, 0), .places = places };
	struct zl_media media[FUZZ_DEVICES];
	const struct zlf_anchor *anchor;
	uint32_t i;

	fuzz_media_of(seed->shape, false, media);
	seed->first = calloc(FUZZ_KINDS + 1, sizeof(*seed->first));
	seed->numbers = calloc(NUMBERS_MAX, sizeof(*seed->numbers));
	seed->addrs = calloc(NUMBERS_MAX, sizeof(*seed->addrs));
	if (!seed->first || !seed->numbers || !seed->addrs ||
	    zl_super_load(f.fs, media, seed->shape->num_devices))
		return false;
	seed->crc_seed = f.fs->crc_seed;
	seed->geo = f.fs->geo;
	find_fixed(&f);
	anchor = (const void *)(f.fs->devs[0].pm.media +
				zl_get64(f.fs->devs[0].super->anchor_off));
	find_node(&f, zl_get64(anchor->root));
	for (i = 0; i < seed->shape->num_devices; i++)
		find_segments(&f, i);
	sort(&f);
	zl_fs_free(f.fs);
	return seed->num_places > 20 && seed->num_places < PLACES_MAX;
}
