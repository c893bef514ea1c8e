// SPDX-License-Identifier: BSD-3-Clause
/*
 * zlogfs-fsck.c - a filesystem with all kinds of structures in it is damaged in one place, of
 * each kind and field, with the checksum made right again where the field itself is to be
 * looked at: the checker names it. What is whole, in use, crashed or full, is clean.
 * TIMEOUT: 120
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "crc32c.h"
#include "unit.h"
#include "zl_check.h"
#include "zlogfs_ioctl.h"
#include "zlogfs_mount.h"

#define BLOCK		4096ull
#define MEDIA_BYTES	(2ull << 20)
#define SEEDS		2u	/* times that each field is damaged, at some place */

extern const struct zus_plugin zus_plugin;

/* As checkpoints left it, and with a log that waits. */
static uint8_t whole[MEDIA_BYTES], crashed[MEDIA_BYTES];
static uint8_t media[MEDIA_BYTES], before[MEDIA_BYTES];
static struct zl_fs *fs;	/* of media: where things are */

/* ----------------------------------------------------------------- a filesystem */

static uint8_t *shared;
static int shared_fd;

static struct zus_local *mount_shared(uint64_t bytes)
{
	char path[64];
	struct zus_local_device device = { .path = path, .size_bytes = bytes, .data_off = BLOCK };
	struct zus_local_config config = {
		.plugin = &zus_plugin, .options = "steps=manual,reflink", .devices = &device,
		.num_devices = 1,
	};
	struct zus_local *local = NULL;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", shared_fd);
	ck_assert_int_eq(zus_local_mount(&config, &local), 0);
	return local;
}

static struct zus_local *make(void)
{
	struct zl_mkfs options = {
		.segment_shift = 12, .node_lines = 16, .num_logs = 1, .num_slots = 8,
		.policy = ZLF_POLICY_BOUNDARY, .unapplied_max_bytes = 65536, .now_ns = 1,
		.fs_uuid = { 4, 5 }, .label = "test",
	};
	struct zl_media one;
	const char *why;

	shared_fd = memfd_create("media", 0);
	ck_assert_int_eq(ftruncate(shared_fd, (off_t)MEDIA_BYTES), 0);
	shared = mmap(NULL, MEDIA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	one = (struct zl_media) { .addr = shared, .bytes = MEDIA_BYTES, .data_off = BLOCK };
	ck_assert_msg(!zl_mkfs(&one, 1, &options, &why), "mkfs: %s", why);
	return mount_shared(MEDIA_BYTES);
}

static void settle(struct zus_local *local)
{
	zlogfs_ask(local, ZLOGFS_IOC_APPLY);
	zlogfs_ask(local, ZLOGFS_IOC_CHECKPOINT);
}

static void write_at(struct zus_local *local, const char *path, uint64_t off, size_t bytes)
{
	static char data[64 << 10];
	struct zus_local_file *file;

	memset(data, 'd', bytes);
	ck_assert_int_eq(zus_local_open(local, path, &file), 0);
	ck_assert_int_eq(zus_local_pwrite(file, data, bytes, off), (ssize_t)bytes);
	zus_local_close(file);
}

/* A whole block; the file is made. */
static void clone_at(struct zus_local *local, const char *from_path, const char *path, uint64_t off)
{
	struct zus_local_file *from, *to;

	zus_local_create(local, path, 0644);
	ck_assert_int_eq(zus_local_open(local, from_path, &from), 0);
	ck_assert_int_eq(zus_local_open(local, path, &to), 0);
	write_at(local, from_path, 0, BLOCK);
	ck_assert_int_eq(zus_local_clone(from, 0, to, off, BLOCK, 0), BLOCK);
	zus_local_close(from);
	zus_local_close(to);
}

static void fill(struct zus_local *local)
{
	static char value[9000], target[301];
	struct zus_local_file *file;
	char path[64];
	int i;

	ck_assert_int_eq(zus_local_mkdir(local, "/d", 0755), 0);
	ck_assert_int_eq(zus_local_mkdir(local, "/d/e", 0755), 0);
	for (i = 0; i < 30; i++) {
		snprintf(path, sizeof(path), "/d/file%d", i);
		ck_assert_int_eq(zus_local_create(local, path, 0644), 0);
		write_at(local, path, (uint64_t)i % 3 * BLOCK, 3000 + (size_t)i * 200);
		settle(local);
	}
	ck_assert_int_eq(zus_local_link(local, "/d/file1", "/d/e/link"), 0);
	memset(target, 't', sizeof(target) - 1);
	ck_assert_int_eq(zus_local_symlink(local, target, "/long"), 0);
	ck_assert_int_eq(zus_local_symlink(local, "short", "/d/short"), 0);
	memset(value, 'v', sizeof(value));
	ck_assert_int_eq(zus_local_setxattr(local, "/d/file2", "user.a", value, 20, 0), 0);
	ck_assert_int_eq(zus_local_setxattr(local, "/d/file2", "user.b", value, 9000, 0), 0);
	ck_assert_int_eq(zus_local_open(local, "/d/file3", &file), 0);
	ck_assert_int_eq(zus_local_fallocate(file, FALLOC_FL_KEEP_SIZE, 8 * BLOCK, 2 * BLOCK), 0);
	zus_local_close(file);
	settle(local);
	clone_at(local, "/d/file7", "/d/clone", 0);
	clone_at(local, "/d/file8", "/d/clone", 4 * BLOCK);
	settle(local);
	zlogfs_ask(local, ZLOGFS_IOC_BOUNDARY);
	write_at(local, "/d/clone", 4 * BLOCK, 10);
	write_at(local, "/d/file4", 0, 5000);
	settle(local);
	zlogfs_ask(local, ZLOGFS_IOC_BOUNDARY);
	ck_assert_int_eq(zus_local_unlink(local, "/d/file5"), 0);
	settle(local);
}

/* A name that goes while its file is open makes an orphan. */
static void make_images(void)
{
	struct zus_local *local = make();
	struct zus_local_file *file;
	char path[64];
	int i;

	fill(local);
	ck_assert_int_eq(zus_local_open(local, "/d/file6", &file), 0);
	ck_assert_int_eq(zus_local_unlink(local, "/d/file6"), 0);
	settle(local);
	memcpy(whole, shared, MEDIA_BYTES);
	for (i = 0; i < 24; i++) {
		snprintf(path, sizeof(path), "/d/e/new%d", i);
		ck_assert_int_eq(zus_local_create(local, path, 0644), 0);
	}
	write_at(local, "/d/e/new1", 0, 9000);
	memcpy(crashed, shared, MEDIA_BYTES);
	zus_local_close(file);
	ck_assert_int_eq(zus_local_umount(local), 0);
}

/* --------------------------------------------------------------------- checking */

static int check(uint8_t *bytes, uint64_t n, struct zl_check *result)
{
	struct zl_media one = { .addr = bytes, .bytes = n, .data_off = BLOCK };

	return zl_check(&one, 1, result);
}

static void expect_clean(const uint8_t *image, const char *what)
{
	struct zl_check result;

	memcpy(media, image, MEDIA_BYTES);
	ck_assert_int_eq(check(media, MEDIA_BYTES, &result), 0);
	ck_assert_msg(!result.total, "%s: %s: %s", what,
		      zl_check_classes[result.findings[0].class], result.findings[0].text);
	ck_assert(result.whole && result.inodes > 20 && result.nodes > 10);
	zl_check_free(&result);
}

/* ------------------------------------------------------------------ what there is */

enum kind {
	SUPER,		/* both copies */
	SUPER_FRONT, SUPER_BACK,
	CKPT,		/* the newest */
	CKPT_OLD, SLOT, ANCHOR, INTENT,
	SEG,		/* a segment of nodes */
	SEG_LOG,	/* of the log, in crashed */
	SEG_DATA,
	BITS_NODE, BITS_DATA, BITS_FREE,
	RECORD,		/* in crashed; not the last */
	NODE, LEAF, INNER, CHILD,
	ELEM,		/* of a type */
	INODE,		/* the body of one; sel is the type in its mode */
};

struct field {
	const char *name;
	enum kind kind;
	uint32_t sel;
	uint32_t off, bytes;
	uint64_t flip;
	bool seal;
	enum zl_check_class class;
	int err;		/* it cannot be checked */
};

struct place {
	void *at;		/* the structure */
	void *body;		/* that off is of; NULL: at */
};

static struct place places[512];
static uint32_t num_places;

static void add(void *at, void *body)
{
	if (num_places < 512)
		places[num_places++] = (struct place) { at, body ? body : at };
}

static void *at_addr(uint64_t addr)
{
	return (void *)(uintptr_t)zl_media(fs, addr);
}

static struct zlf_super *super_front(void)
{
	return (void *)(media + BLOCK);
}

static bool wanted_elem(const struct field *f, const struct zlf_elem *elem)
{
	const struct zlf_inode *body = (const void *)(elem + 1);

	if (f->kind == INODE)
		return elem->rec_type == ZLF_REC_INODE &&
		       (!f->sel || (body->mode & S_IFMT) == f->sel);
	return f->kind == ELEM && elem->rec_type == (f->sel & 0xff) &&
	       (!(f->sel >> 8) || elem->flags & f->sel >> 8);
}

/* Of a node's children, the one with the lowest key. */
static bool is_first(const struct zlf_node *node, const struct zlf_elem *child)
{
	const struct zlf_elem *elem = (const struct zlf_elem *)(const void *)node;
	struct zl_key key = zl_elem_key(child), other;
	uint32_t line;

	for (line = 1; line < node->lines; line++) {
		other = zl_elem_key(&elem[line]);
		if (node->valid >> line & 1 && zl_key_compare(&other, &key) < 0)
			return false;
	}
	return true;
}

/* first: its header may have another key than its parent has for it */
static void find_in_tree(const struct field *f, uint64_t addr, bool first)
{
	struct zlf_node *node = at_addr(addr);
	struct zlf_elem *elem;
	uint32_t line;

	if (f->kind == NODE || (f->kind == (node->level ? INNER : LEAF) && !first))
		add(node, NULL);
	for (line = 1; line < node->lines; line++) {
		if (!(node->valid >> line & 1))
			continue;
		elem = (struct zlf_elem *)(void *)node + line;
		if (node->level && f->kind == CHILD)
			add(elem, NULL);
		if (node->level)
			find_in_tree(f, elem->addr, is_first(node, elem));
		else if (wanted_elem(f, elem))
			add(elem, f->kind == INODE ? elem + 1 : elem);
		line += elem->lines - 1u;
	}
}

static uint32_t record_crc(const struct zlf_record *r, uint64_t seq, uint64_t line)
{
	zlf_le64 place[2] = { seq, line }, none = 0;
	uint32_t crc = zl_crc32c(fs->crc_seed, place, sizeof(place));

	crc = zl_crc32c(crc, &r->type, offsetof(struct zlf_record, word) - 4);
	crc = zl_crc32c(crc, r->flags & ZLF_LF_WORD ? &none : &r->word, 8);
	return zl_crc32c(crc, &r->pfs, r->lines * 64ul - offsetof(struct zlf_record, pfs));
}

static uint64_t newest_tid;	/* in crashed */

/* Records that wait, each with where its segment and line are. */
static struct { uint64_t seq, line; } record_places[512];

static void find_records(const struct field *f, uint32_t seg, uint64_t seq)
{
	uint8_t *base = media + zl_seg_off(fs, seg);
	struct zlf_record *r;
	uint32_t line = 0;

	(void)f;
	while (line < fs->geo.segment_lines) {
		r = (void *)(base + line * 64ul);
		if (!zl_record_valid(fs, r, seq, line) || r->type == ZLF_LOG_CLOSE)
			return;
		/* the newest may be torn */
		if (r->tid > fs->ckpt.applied_tid && num_places < 512 && r->tid < newest_tid) {
			record_places[num_places].seq = seq;
			record_places[num_places].line = line;
			add(r, NULL);
		}
		line += r->lines;
	}
}

static void find_in_segments(const struct field *f)
{
	struct zl_dev *dev = &fs->devs[0];
	struct zlf_segment *line = (void *)(media + dev->table_off);
	struct zlf_bitmap *bits = (void *)(media + dev->bitmap_off);
	uint32_t i, type, log, gen;
	bool live;

	for (i = 0; i < dev->num_segments; i++, line++, bits++) {
		ck_assert(zl_seg_word_split(line->word, &type, &log, &gen));
		live = type == ZLF_SEG_LOG && line->seq >= fs->ckpt.min_log_seq;
		if (f->kind == RECORD && live)
			find_records(f, i, line->seq);
		if (f->kind == SEG_LOG && live)
			add(line, NULL);
		if ((f->kind == SEG && type == ZLF_SEG_NODE && bits->bits[0]) ||
		    (f->kind == SEG_DATA && type == ZLF_SEG_DATA && bits->bits[0]))
			add(line, NULL);
		if ((f->kind == BITS_NODE && type == ZLF_SEG_NODE && bits->bits[0] & 1) ||
		    (f->kind == BITS_DATA && type == ZLF_SEG_DATA && bits->bits[0] & 1) ||
		    (f->kind == BITS_FREE && !bits->bits[0]))
			add(bits, NULL);
	}
}

static void find_newest(void)
{
	const struct field f = { .kind = RECORD };
	uint32_t i;

	newest_tid = UINT64_MAX;
	find_in_segments(&f);
	newest_tid = 0;
	for (i = 0; i < num_places; i++)
		if (((struct zlf_record *)places[i].at)->tid > newest_tid)
			newest_tid = ((struct zlf_record *)places[i].at)->tid;
	num_places = 0;
}

static void find(const struct field *f)
{
	struct zlf_super *super = super_front();
	struct zlf_ckpt *ring = (void *)(media + super->ring_off);
	uint64_t gen = fs->ckpt.gen;

	num_places = 0;
	if (f->kind == RECORD)
		find_newest();
	switch (f->kind) {
	case SUPER:
	case SUPER_FRONT:
		add(super, NULL);
		break;
	case SUPER_BACK:
		add(media + MEDIA_BYTES - BLOCK, NULL);
		break;
	case CKPT:
		add(&ring[gen % 32], NULL);
		break;
	case CKPT_OLD:
		add(&ring[(gen - 1 - unit_random() % 20) % 32], NULL);
		break;
	case SLOT:
		add(media + super->slots_off + fs->ckpt.slots_area * 16ul * super->num_slots, NULL);
		break;
	case ANCHOR:
		add(media + super->anchor_off, NULL);
		break;
	case INTENT:
		add(media + super->intents_off, NULL);
		break;
	case NODE:
	case LEAF:
	case INNER:
	case CHILD:
	case ELEM:
	case INODE:
		find_in_tree(f, ((struct zlf_anchor *)(void *)(media + super->anchor_off))->root, true);
		break;
	default:
		find_in_segments(f);
	}
}

static void seal(const struct field *f, const struct place *p)
{
	struct zlf_super *super = p->at;
	struct zlf_ckpt *ckpt = p->at;
	struct zlf_segment *line = p->at;
	struct zlf_node *node = p->at;
	struct zlf_elem *elem = p->at;
	struct zlf_record *record = p->at;
	uint32_t i = (uint32_t)(p - places);

	switch (f->kind) {
	case SUPER:
	case SUPER_FRONT:
	case SUPER_BACK:
		super->crc = zl_crc_of(UINT32_MAX, super, 8, sizeof(*super));
		if (f->kind == SUPER)
			memcpy(media + MEDIA_BYTES - BLOCK, super, BLOCK);
		break;
	case CKPT:
	case CKPT_OLD:
	case INTENT:
		ckpt->crc = zl_crc_of(fs->crc_seed, ckpt, 0, f->kind == INTENT ? 64 : sizeof(*ckpt));
		break;
	case SEG:
	case SEG_DATA:
	case SEG_LOG:
		line->word = zl_seg_word(line->word & 0xff, line->word >> 16 & 0xffff,
					 line->word >> 32 & 0xffff);
		line->crc = zl_crc32c(fs->crc_seed, &line->seq, 28);
		break;
	case NODE:
	case LEAF:
	case INNER:
		node->crc = zl_node_header_crc(fs->crc_seed, node);
		break;
	case CHILD:
	case ELEM:
	case INODE:
		if (elem->lines && elem->lines <= ZLF_ELEM_LINES_MAX)
			elem->crc = zl_crc_of(fs->crc_seed, elem, 0, elem->lines * 64ul);
		break;
	case RECORD:
		if (record->lines && record->lines <= ZLF_RECORD_LINES_MAX)
			record->crc = record_crc(record, record_places[i].seq, record_places[i].line);
		break;
	default:
		break;
	}
}

static void damage(const struct field *f)
{
	struct place *p = &places[unit_random() % num_places];
	uint8_t *at = (uint8_t *)p->body + f->off;
	uint64_t value = 0;

	memcpy(&value, at, f->bytes);
	value ^= f->flip;
	memcpy(at, &value, f->bytes);
	if (f->seal)
		seal(f, p);
}

/* ----------------------------------------------------------------------- fields */

#define F(kind, sel, type, member, flip, seal, class) \
	{ #kind " " #sel " " #member, kind, sel, offsetof(struct type, member), \
	  sizeof(((struct type *)0)->member) > 8 ? 8 : sizeof(((struct type *)0)->member), \
	  flip, seal, ZL_CHECK_##class, 0 }
#define BLOCKED (ZLF_EF_BLOCK << 8)
#define SHARES (ZLF_EF_SHARED << 8)
#define PAST(type) ((type) | ZLF_REC_HISTORY)
#define HIGH (1ull << 40)

static const struct field fields[] = {
	F(SUPER_FRONT, 0, zlf_super, label, 1, false, SUPERBLOCK),
	F(SUPER_BACK, 0, zlf_super, label, 1, false, SUPERBLOCK),
	F(SUPER_FRONT, 0, zlf_super, magic, 1, false, SUPERBLOCK),
	F(SUPER_FRONT, 0, zlf_super, crc, 1, false, SUPERBLOCK),
	F(SUPER_BACK, 0, zlf_super, seq, 2, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, device, 5, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, num_devices, 1, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, segment_shift, 64, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, node_lines, 1, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, num_logs, 2, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, num_slots, 8, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, policy, 16, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, log_unapplied_max_bytes, 65536, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, ring_off, HIGH, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, anchor_off, 0x1000, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, intents_off, 0x40, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, slots_off, 0x40, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, table_off, HIGH, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, bitmap_off, HIGH, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, hints_off, HIGH, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, first_segment_off, 1, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, num_segments, HIGH, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, devices[0].bytes, BLOCK, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, devices[0].segments, 1, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, devices[1].bytes, BLOCK, true, SUPERBLOCK),
	F(SUPER, 0, zlf_super, reserved, 1, true, SUPERBLOCK),
	{ "version", SUPER, 0, offsetof(struct zlf_super, version_major), 2, 2, true,
	  ZL_CHECK_SUPERBLOCK, -EPROTO },
	{ "features", SUPER, 0, offsetof(struct zlf_super, features_incompat), 8, 1, true,
	  ZL_CHECK_SUPERBLOCK, -EPROTO },
	F(CKPT_OLD, 0, zlf_ckpt, crc, 1, false, CHECKPOINT),
	F(CKPT_OLD, 0, zlf_ckpt, wall_ns, 1, false, CHECKPOINT),
	F(CKPT_OLD, 0, zlf_ckpt, gen, 1, true, CHECKPOINT),
	F(CKPT, 0, zlf_ckpt, applied_tid, 1ull << 63, true, CHECKPOINT),
	F(CKPT, 0, zlf_ckpt, max_tid, 1ull << 62, true, CHECKPOINT),
	F(CKPT, 0, zlf_ckpt, min_log_seq, HIGH, true, CHECKPOINT),
	F(CKPT_OLD, 0, zlf_ckpt, next_log_seq, HIGH, true, CHECKPOINT),
	F(CKPT_OLD, 0, zlf_ckpt, next_obj, HIGH, true, CHECKPOINT),
	F(CKPT, 0, zlf_ckpt, boundary_tid, HIGH, true, BOUNDARY),
	F(CKPT, 0, zlf_ckpt, root, 0x100, true, CHECKPOINT),
	F(CKPT, 0, zlf_ckpt, flags, 2, true, CHECKPOINT),
	F(CKPT, 0, zlf_ckpt, slots_area, 2, true, CHECKPOINT),
	F(CKPT, 0, zlf_ckpt, reserved, 1, true, CHECKPOINT),
	F(SLOT, 0, zlf_slot, op_id, 1ull << 50, false, CHECKPOINT),
	F(ANCHOR, 0, zlf_anchor, root, 1ull << 61, false, NODE),
	F(ANCHOR, 0, zlf_anchor, root, 0x1, false, NODE),
	F(ANCHOR, 0, zlf_anchor, reserved, 1, false, NODE),
	F(INTENT, 0, zlf_intent, node, HIGH, true, NODE),
	F(SEG, 0, zlf_segment, word, 1, false, SEGMENT),
	F(SEG, 0, zlf_segment, word, 1, true, SEGMENT),
	F(SEG_DATA, 0, zlf_segment, word, 1ull << 33, true, SEGMENT),
	F(SEG_LOG, 0, zlf_segment, seq, 1ull << 33, false, SEGMENT),
	F(SEG_LOG, 0, zlf_segment, open_tid, 1, false, SEGMENT),
	F(SEG_LOG, 0, zlf_segment, word, 1ull << 20, true, SEGMENT),
	F(BITS_NODE, 0, zlf_bitmap, bits, 1, false, BITMAP),
	F(BITS_DATA, 0, zlf_bitmap, bits, 1, false, BITMAP),
	F(BITS_FREE, 0, zlf_bitmap, bits, 1, false, BITMAP),
	F(BITS_FREE, 0, zlf_bitmap, bits[7], HIGH, false, BITMAP),
	F(RECORD, 0, zlf_record, crc, 1, false, RECORD),
	F(RECORD, 0, zlf_record, tid, 1, false, RECORD),
	F(RECORD, 0, zlf_record, tid, ~0ull, true, RECORD),
	F(RECORD, 0, zlf_record, flags, 64, true, RECORD),
	F(RECORD, 0, zlf_record, word, 1ull << 40, false, RECORD),
	F(RECORD, 0, zlf_record, item_bytes, 4, true, RECORD),
	F(RECORD, 0, zlf_record, items[0], 0x7f, true, RECORD),
	F(RECORD, 0, zlf_record, items[1], 0x7f, true, RECORD),
	F(NODE, 0, zlf_node, crc, 1, false, NODE),
	F(NODE, 0, zlf_node, self, 1, true, NODE),
	F(LEAF, 0, zlf_node, level, 1, true, NODE),
	F(NODE, 0, zlf_node, lines, 16, true, NODE),
	F(LEAF, 0, zlf_node, key, HIGH, true, NODE),
	F(NODE, 0, zlf_node, valid, 1, false, NODE),
	F(LEAF, 0, zlf_node, valid, 1ull << 16, false, NODE),
	F(CHILD, 0, zlf_elem, addr, HIGH, true, NODE),
	F(CHILD, 0, zlf_elem, key, 1, true, NODE),
	F(CHILD, 0, zlf_elem, crc, 1, false, ELEMENT),
	F(ELEM, ZLF_REC_DIRENT, zlf_elem, crc, 1, false, ELEMENT),
	F(ELEM, ZLF_REC_INODE, zlf_elem, obj, 1, false, ELEMENT),
	F(ELEM, ZLF_REC_EXTENT, zlf_elem, lines, 7, false, ELEMENT),
	F(ELEM, ZLF_REC_EXTENT, zlf_elem, rec_type, 0x40, true, ELEMENT),
	F(ELEM, ZLF_REC_EXTENT, zlf_elem, flags, 64, true, ELEMENT),
	F(ELEM, ZLF_REC_EXTENT, zlf_elem, create_tid, 1ull << 63, true, ELEMENT),
	F(ELEM, ZLF_REC_DIRENT, zlf_elem, end_tid, 1ull << 63, true, ELEMENT),
	F(ELEM, ZLF_REC_EXTENT, zlf_elem, addr, HIGH, true, EXTENT),
	F(ELEM, ZLF_REC_EXTENT, zlf_elem, addr, 1, true, EXTENT),
	F(ELEM, ZLF_REC_EXTENT, zlf_elem, addr, 1ull << 61, true, EXTENT),
	F(ELEM, ZLF_REC_EXTENT, zlf_elem, len, 64, true, EXTENT),
	F(ELEM, ZLF_REC_INODE, zlf_elem, key, 1, true, INODE),
	F(ELEM, PAST(ZLF_REC_EXTENT), zlf_elem, addr, 1ull << 44, true, EXTENT),
	F(ELEM, PAST(ZLF_REC_EXTENT), zlf_elem, end_tid, 1ull << 63, true, ELEMENT),
	F(ELEM, PAST(ZLF_REC_INODE), zlf_elem, crc, 1, false, ELEMENT),
	F(ELEM, ZLF_REC_EXTENT | SHARES, zlf_elem, flags, ZLF_EF_SHARED, true, OWNER),
	F(ELEM, ZLF_REC_EXTENT | SHARES, zlf_elem, flags, ZLF_EF_UNWRITTEN, true, ELEMENT),
	F(ELEM, PAST(ZLF_REC_EXTENT) | SHARES, zlf_elem, flags, ZLF_EF_SHARED, true, OWNER),
	F(ELEM, ZLF_REC_OWNER, zlf_elem, obj, 1, true, OWNER),
	F(ELEM, ZLF_REC_OWNER, zlf_elem, key, 1, true, OWNER),
	F(ELEM, ZLF_REC_OWNER, zlf_elem, create_tid, 1, true, OWNER),
	F(ELEM, ZLF_REC_OWNER, zlf_elem, create_tid, 1ull << 21, true, OWNER),
	F(ELEM, ZLF_REC_OWNER, zlf_elem, end_tid, 1, true, OWNER),
	F(ELEM, ZLF_REC_OWNER, zlf_elem, addr, 64, true, OWNER),
	F(ELEM, ZLF_REC_OWNER, zlf_elem, len, 2, true, OWNER),
	F(ELEM, ZLF_REC_OWNER, zlf_elem, flags, 1, true, OWNER),
	F(ELEM, ZLF_REC_SYMLINK | BLOCKED, zlf_elem, addr, 1, true, EXTENT),
	F(ELEM, ZLF_REC_SYMLINK, zlf_elem, aux, 64, true, INODE),
	F(ELEM, ZLF_REC_DIRENT, zlf_elem, addr, HIGH, true, NAME),
	F(ELEM, ZLF_REC_DIRENT, zlf_elem, obj_type, 3, true, NAME),
	F(ELEM, ZLF_REC_DIRENT, zlf_elem, aux, 1, true, NAME),
	F(ELEM, ZLF_REC_XATTR, zlf_elem, aux, 1, true, XATTR),
	F(ELEM, ZLF_REC_XATTR | BLOCKED, zlf_elem, addr, 0x2000, true, XATTR),
	F(ELEM, ZLF_REC_XDATA, zlf_elem, aux, 8, true, XATTR),
	F(ELEM, ZLF_REC_XDATA, zlf_elem, addr, 1, true, EXTENT),
	F(ELEM, ZLF_REC_ORPHAN, zlf_elem, key, 1, true, ORPHAN),
	F(ELEM, ZLF_REC_SNAPSHOT, zlf_elem, key, 2, true, BOUNDARY),
	F(INODE, 0, zlf_inode, mode, 0xf000, true, INODE),
	F(INODE, S_IFREG, zlf_inode, nlink, 64, true, INODE),
	F(INODE, S_IFDIR, zlf_inode, nlink, 64, true, INODE),
	F(INODE, S_IFREG, zlf_inode, blocks, 64, true, INODE),
	F(INODE, S_IFREG, zlf_inode, size_bytes, 1ull << 63, true, INODE),
	F(INODE, S_IFLNK, zlf_inode, size_bytes, 512, true, INODE),
	F(INODE, S_IFREG, zlf_inode, num_xattrs, 1, true, XATTR),
	F(INODE, 0, zlf_inode, policy, 8, true, INODE),
	F(INODE, 0, zlf_inode, mtime.nsec, 1u << 31, true, INODE),
	F(INODE, S_IFREG, zlf_inode, mode, S_IFREG ^ S_IFIFO, true, EXTENT),
};

static void damage_one(const struct field *f)
{
	struct zl_media one = { .addr = media, .bytes = MEDIA_BYTES, .data_off = BLOCK };
	bool log = f->kind == RECORD || f->kind == SEG_LOG;

	memcpy(media, log ? crashed : whole, MEDIA_BYTES);
	fs = zl_fs_new(true, 0);
	ck_assert_int_eq(zl_super_load(fs, &one, 1), 0);
	find(f);
	ck_assert_msg(num_places, "%s: there is none", f->name);
	damage(f);
	zl_fs_free(fs);
}

static void damage_and_check(const struct field *f, uint32_t seed)
{
	struct zl_check result;
	int err;

	damage_one(f);
	err = check(media, MEDIA_BYTES, &result);
	ck_assert_msg(err == f->err, "%s, seed %u: %d, %s", f->name, seed, err, result.why);
	ck_assert_msg(err || result.counts[f->class], "%s, seed %u: %" PRIu64
		      " findings, none of class %s; the first: %s: %s", f->name, seed,
		      result.total, zl_check_classes[f->class],
		      result.num ? zl_check_classes[result.findings[0].class] : "",
		      result.num ? result.findings[0].text : "");
	if (getenv("ZUFS_TRACE") && result.num)
		printf("# %s: %s: %s\n", f->name, zl_check_classes[result.findings[0].class],
		       result.findings[0].text);
	zl_check_free(&result);
}

/* ------------------------------------------------------------------------ tests */

START_TEST(each_field)
{
	uint32_t i, seed, n = sizeof(fields) / sizeof(*fields);

	make_images();
	for (i = 0; i < n; i++)
		for (seed = 0; seed < SEEDS * unit_scale(); seed++)
			damage_and_check(&fields[i], seed);
	ck_assert_uint_ge(n, 100);
}
END_TEST

START_TEST(clean)
{
	make_images();
	expect_clean(whole, "an orphan, and history");
	expect_clean(crashed, "a log that waits");
	expect_clean(shared, "unmounted");
}
END_TEST

/* What is not whole may be looked at without being read out of bounds, or changed. */
START_TEST(noise)
{
	struct zl_check result;
	uint32_t i, n, seed;

	make_images();
	for (seed = 0; seed < 300 * unit_scale(); seed++) {
		memcpy(media, seed & 1 ? crashed : whole, MEDIA_BYTES);
		n = 1 + (uint32_t)(unit_random() % 40);
		for (i = 0; i < n; i++)
			media[BLOCK + unit_random() % (MEDIA_BYTES / 8)] ^= (uint8_t)unit_random();
		check(media, MEDIA_BYTES, &result);
		zl_check_free(&result);
	}
}
END_TEST

/* Any value in any word, and the checksum is right. */
START_TEST(sealed_noise)
{
	uint32_t seed, n = sizeof(fields) / sizeof(*fields);
	struct zl_check result;
	struct field f;

	make_images();
	for (seed = 0; seed < 1000 * unit_scale(); seed++) {
		f = fields[unit_random() % n];
		f.off = (uint32_t)(unit_random() % 8) * 8;
		f.bytes = 1u << unit_random() % 4;
		f.flip = unit_random();
		f.seal = true;
		damage_one(&f);
		check(media, MEDIA_BYTES, &result);
		zl_check_free(&result);
	}
}
END_TEST

START_TEST(full)
{
	struct zus_local *local = make();
	struct zus_local_file *file;
	static char data[64 << 10];
	uint64_t off = 0;
	ssize_t n;

	ck_assert_int_eq(zus_local_create(local, "/f", 0644), 0);
	ck_assert_int_eq(zus_local_open(local, "/f", &file), 0);
	do {
		n = zus_local_pwrite(file, data, sizeof(data), off);
		off += sizeof(data);
	} while (n > 0 && off < 2 * MEDIA_BYTES);
	ck_assert_int_le(n, 0);
	zus_local_close(file);
	memcpy(before, shared, MEDIA_BYTES);
	ck_assert_int_eq(zus_local_umount(local), 0);
	for (off = 0; off < 2; off++) {
		struct zl_check result;

		memcpy(media, off ? shared : before, MEDIA_BYTES);
		ck_assert_int_eq(check(media, MEDIA_BYTES, &result), 0);
		ck_assert_msg(!result.total, "full: %s", result.findings[0].text);
		zl_check_free(&result);
	}
}
END_TEST

START_TEST(no_filesystem)
{
	struct zl_media two[2];
	struct zl_check result;

	memset(media, 0, MEDIA_BYTES);
	ck_assert_int_eq(check(media, MEDIA_BYTES, &result), -ENODATA);
	ck_assert_int_eq(check(media, BLOCK, &result), -ENODATA);
	make_images();
	two[0] = (struct zl_media) { .addr = media, .bytes = MEDIA_BYTES, .data_off = BLOCK };
	two[1] = two[0];
	memcpy(media, whole, MEDIA_BYTES);
	ck_assert_int_eq(zl_check(two, 2, &result), -ENODEV);
	ck_assert_str_ne(result.why, "");
	ck_assert_int_eq(memcmp(media, whole, MEDIA_BYTES), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zlogfs-fsck");
	TCase *cases = tcase_create("damage");

	zus_log_open("zlogfs-fsck", 0, LOG_CRIT);
	tcase_set_timeout(cases, 100);
	tcase_add_test(cases, clean);
	tcase_add_test(cases, each_field);
	tcase_add_test(cases, noise);
	tcase_add_test(cases, sealed_noise);
	tcase_add_test(cases, full);
	tcase_add_test(cases, no_filesystem);
	suite_add_tcase(suite, cases);
	return unit_run(suite);
}
