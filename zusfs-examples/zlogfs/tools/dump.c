// SPDX-License-Identifier: BSD-3-Clause
/*
 * dump.c - dump.zlogfs: what is on the media, structure by structure, as it lies there. A row
 * each; one whose checksum is wrong says so.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <uuid/uuid.h>

#include <zus_server.h>

#include "crc32c.h"
#include "media.h"
#include "owners.h"
#include "zlogfs.h"

static struct {
	bool json;
	uint64_t data_off;
	struct zl_media_set set;
	struct zl_fs *fs;
	bool first_section, first_row;
} dump;

static const char usage_text[] =
	"Usage: dump.zlogfs [OPTION]... [WHAT] DEVICE...\n"
	"Show what is on the devices of a zlogfs, as it lies there: nothing is written, and what\n"
	"the log has is not done. Rows whose checksum is wrong are marked.\n"
	"\n"
	"WHAT: super, checkpoints, segments, log, nodes, elements, slots, intents, all (default)\n"
	"\n"
	"  -j, --json            for a program to read\n"
	"      --data-off BYTES  where the filesystem begins on each device; default: where its\n"
	"                        device table says\n"
	"  -h, --help            show this\n"
	"  -V, --version         show the version\n"
	"\n"
	"Exit status: 0 shown, 1 not all could be read, 2 wrong usage.\n";

static const struct option long_options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "data-off", required_argument, NULL, 'o' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* --------------------------------------------------------------------- rows */

static void section_begin(const char *name)
{
	if (dump.json)
		printf("%s  \"%s\": [", dump.first_section ? "" : ",\n", name);
	else
		printf("%s%s\n", dump.first_section ? "" : "\n", name);
	dump.first_section = false;
	dump.first_row = true;
}

static void section_end(void)
{
	if (dump.json)
		printf("%s]", dump.first_row ? "" : "\n  ");
}

static void row_begin(uint32_t dev, uint64_t off, bool good)
{
	if (dump.json)
		printf("%s\n    {\"device\": %u, \"offset\": %" PRIu64 ", \"good\": %s",
		       dump.first_row ? "" : ",", dev, off, good ? "true" : "false");
	else
		printf("  %u:%#" PRIx64 "%s", dev, off, good ? "" : " BAD");
	dump.first_row = false;
}

static void row_end(void)
{
	puts(dump.json ? "}" : "");
}

static void num(const char *name, uint64_t value)
{
	printf(dump.json ? ", \"%s\": %" PRIu64 : " %s=%" PRIu64, name, value);
}

/* Addresses, tids, keys: for a person in hexadecimal. */
static void hex(const char *name, uint64_t value)
{
	printf(dump.json ? ", \"%s\": %" PRIu64 : " %s=%#" PRIx64, name, value);
}

static void text(const char *name, const char *value, size_t max)
{
	char buf[512];

	snprintf(buf, sizeof(buf), "%.*s", (int)(max < sizeof(buf) ? max : sizeof(buf) - 1), value);
	printf(dump.json ? ", \"%s\": " : " %s=", name);
	zl_json_string(buf);
}

static uint64_t off_of(uint32_t dev, const void *at)
{
	return (uint64_t)((const uint8_t *)at - dump.fs->devs[dev].pm.media);
}

static bool sealed(const void *what, size_t bytes)
{
	return zl_get32(*(const zlf_le32 *)what) == zl_crc_of(dump.fs->crc_seed, what, 0, bytes);
}

static bool is_blank(const void *what, size_t bytes)
{
	static const uint8_t zeroes[ZLF_BLOCK_BYTES];

	return !memcmp(what, zeroes, bytes);
}

/* -------------------------------------------------------------- fixed places */

static void show_super(uint32_t dev, uint64_t off)
{
	const struct zl_media *media = &dump.set.media[dev];
	const struct zlf_super *s = (const void *)((const uint8_t *)media->addr + off);
	char uuid[37];

	uuid_unparse(s->fs_uuid, uuid);
	row_begin(dev, off, zl_super_valid(s));
	num("major", zl_get16(s->version_major));
	num("minor", zl_get16(s->version_minor));
	hex("compat", zl_get64(s->features_compat));
	hex("ro", zl_get64(s->features_ro));
	hex("incompat", zl_get64(s->features_incompat));
	text("uuid", uuid, 36);
	text("label", s->label, sizeof(s->label));
	num("seq", zl_get64(s->seq));
	num("created_ns", zl_get64(s->created_ns));
	num("device", zl_get32(s->device));
	num("num_devices", zl_get32(s->num_devices));
	num("segment_shift", zl_get32(s->segment_shift));
	num("node_lines", zl_get32(s->node_lines));
	num("num_logs", zl_get32(s->num_logs));
	num("num_slots", zl_get32(s->num_slots));
	num("policy", zl_get32(s->policy));
	num("boundary_grain_s", zl_get32(s->boundary_grain_s));
	num("history_max_bytes", zl_get64(s->history_max_bytes));
	num("log_unapplied_max_bytes", zl_get64(s->log_unapplied_max_bytes));
	hex("ring_off", zl_get64(s->ring_off));
	hex("anchor_off", zl_get64(s->anchor_off));
	hex("intents_off", zl_get64(s->intents_off));
	hex("slots_off", zl_get64(s->slots_off));
	hex("table_off", zl_get64(s->table_off));
	hex("bitmap_off", zl_get64(s->bitmap_off));
	hex("hints_off", zl_get64(s->hints_off));
	hex("first_segment_off", zl_get64(s->first_segment_off));
	num("num_segments", zl_get64(s->num_segments));
	row_end();
}

static void dump_super(void)
{
	uint32_t i;

	for (i = 0; i < dump.set.num; i++) {
		show_super(i, dump.set.media[i].data_off);
		show_super(i, dump.set.media[i].bytes - ZLF_BLOCK_BYTES);
	}
}

static const uint8_t *first_device(zlf_le64 off)
{
	return dump.fs->devs[0].pm.media + zl_get64(off);
}

static void show_anchor(void)
{
	const struct zlf_anchor *anchor =
		(const void *)first_device(dump.fs->devs[0].super->anchor_off);

	row_begin(0, off_of(0, anchor), true);
	hex("anchor", zl_get64(anchor->root));
	row_end();
}

static void dump_checkpoints(void)
{
	const struct zlf_ckpt *c = (const void *)first_device(dump.fs->devs[0].super->ring_off);
	uint32_t i;

	show_anchor();
	for (i = 0; i < ZLF_RING_SLOTS; i++, c++) {
		if (is_blank(c, sizeof(*c)))
			continue;
		row_begin(0, off_of(0, c), sealed(c, sizeof(*c)));
		num("gen", zl_get64(c->gen));
		hex("applied_tid", zl_get64(c->applied_tid));
		hex("max_tid", zl_get64(c->max_tid));
		num("min_log_seq", zl_get64(c->min_log_seq));
		num("next_log_seq", zl_get64(c->next_log_seq));
		num("next_obj", zl_get64(c->next_obj));
		num("incarnation", zl_get64(c->incarnation));
		hex("boundary_tid", zl_get64(c->boundary_tid));
		hex("root", zl_get64(c->root));
		num("wall_ns", zl_get64(c->wall_ns));
		num("used_blocks", zl_get64(c->used_blocks));
		num("used_nodes", zl_get64(c->used_nodes));
		num("flags", zl_get32(c->flags));
		num("slots_area", zl_get32(c->slots_area));
		row_end();
	}
}

static void dump_slots(void)
{
	const struct zlf_slot *s = (const void *)first_device(dump.fs->devs[0].super->slots_off);
	uint32_t i, n = dump.fs->geo.num_slots;

	for (i = 0; i < 2 * n; i++, s++) {
		if (!s->op_id)
			continue;
		row_begin(0, off_of(0, s), zl_get64(s->op_id) >> 48 == i % n);
		num("area", i / n);
		num("slot", i % n);
		hex("op_id", zl_get64(s->op_id));
		num("obj", zl_get64(s->obj));
		row_end();
	}
}

static void dump_intents(void)
{
	const struct zlf_intent *t =
		(const void *)first_device(dump.fs->devs[0].super->intents_off);
	uint32_t i;

	for (i = 0; i < ZLF_INTENTS; i++, t++) {
		if (!t->crc)
			continue;
		row_begin(0, off_of(0, t), sealed(t, sizeof(*t)));
		hex("node", zl_get64(t->node));
		num("level", zl_get32(t->level));
		num("obj", zl_get64(t->obj));
		num("rec_type", zl_get32(t->rec_type));
		hex("key", zl_get64(t->key));
		hex("tid", zl_get64(t->tid));
		row_end();
	}
}

/* ------------------------------------------------------------------ segments */

struct seg {
	uint32_t dev, number;	/* among all */
	uint32_t type, log, gen;
	bool good;
	const struct zlf_segment *line;
	const struct zlf_bitmap *bitmap;
};

static void each_segment(void (*fn)(const struct seg *seg))
{
	const struct zl_dev *dev;
	struct seg seg;
	uint32_t d, i;

	for (d = 0; d < dump.set.num; d++) {
		dev = &dump.fs->devs[d];
		for (i = 0; i < dev->num_segments; i++) {
			seg = (struct seg) { .dev = d, .number = dev->first_segment + i };
			seg.line = (const struct zlf_segment *)(const void *)
				   (dev->pm.media + dev->table_off) + i;
			seg.bitmap = (const struct zlf_bitmap *)(const void *)
				     (dev->pm.media + dev->bitmap_off) + i;
			seg.good = zl_seg_word_split(zl_get64(seg.line->word), &seg.type, &seg.log,
						     &seg.gen);
			fn(&seg);
		}
	}
}

static bool entry_good(const struct zlf_segment *line)
{
	return zl_get32(line->crc) == zl_crc32c(dump.fs->crc_seed, &line->seq, 28);
}

static void show_segment(const struct seg *seg)
{
	uint32_t w, bits = 0;

	if (is_blank(seg->line, sizeof(*seg->line)) && is_blank(seg->bitmap, sizeof(*seg->bitmap)))
		return;
	for (w = 0; w < 8; w++)
		bits += (uint32_t)__builtin_popcountll(zl_get64(seg->bitmap->bits[w]));
	row_begin(seg->dev, off_of(seg->dev, seg->line), seg->good &&
		  (seg->type != ZLF_SEG_LOG || entry_good(seg->line)));
	num("segment", seg->number);
	hex("at", zl_seg_off(dump.fs, seg->number));
	num("type", seg->type);
	num("gen", seg->gen);
	num("bits", bits);
	if (seg->type == ZLF_SEG_LOG) {
		num("log", seg->log);
		num("seq", zl_get64(seg->line->seq));
		num("incarnation", zl_get64(seg->line->incarnation));
		hex("open_tid", zl_get64(seg->line->open_tid));
	}
	row_end();
}

static void show_record(const struct seg *seg, const struct zlf_record *r, bool good)
{
	row_begin(seg->dev, off_of(seg->dev, r), good);
	num("segment", seg->number);
	num("seq", zl_get64(seg->line->seq));
	num("type", r->type);
	num("lines", r->lines);
	num("flags", zl_get16(r->flags));
	hex("tid", zl_get64(r->tid));
	hex("op_id", zl_get64(r->op_id));
	num("item_bytes", zl_get32(r->item_bytes));
	num("unapplied", zl_get64(r->tid) > zl_get64(dump.fs->ckpt.applied_tid));
	row_end();
}

/* Up to the first line that is none; what is valid behind that, too. */
static void show_log(const struct seg *seg)
{
	uint64_t seq = zl_get64(seg->line->seq);
	const struct zlf_record *r;
	bool in_order = true;
	uint32_t line = 0;

	if (seg->type != ZLF_SEG_LOG || seq < zl_get64(dump.fs->ckpt.min_log_seq))
		return;
	while (line < dump.fs->geo.segment_lines) {
		r = (const struct zlf_record *)(const void *)
		    (dump.fs->devs[seg->dev].pm.media + zl_seg_off(dump.fs, seg->number)) + line;
		if (zl_record_valid(dump.fs, r, seq, line)) {
			show_record(seg, r, true);
			in_order = r->type != ZLF_LOG_CLOSE || line + 1 == dump.fs->geo.segment_lines;
			line += r->lines;
			if (r->type == ZLF_LOG_CLOSE)
				return;
			continue;
		}
		if (in_order && !is_blank(r, sizeof(*r)))
			show_record(seg, r, false);	/* torn, or of an earlier use */
		in_order = false;
		line++;
	}
}

/* ---------------------------------------------------------------------- nodes */

static void each_node(const struct seg *seg, void (*fn)(uint32_t, const struct zlf_node *))
{
	const uint8_t *base = dump.fs->devs[seg->dev].pm.media + zl_seg_off(dump.fs, seg->number);
	uint32_t i;

	if (seg->type != ZLF_SEG_NODE)
		return;
	for (i = 0; i < dump.fs->geo.segment_nodes; i++)
		if (zl_get64(seg->bitmap->bits[i / 64]) >> i % 64 & 1)
			fn(seg->dev, (const void *)(base + (uint64_t)i * dump.fs->geo.node_bytes));
}

static void show_node(uint32_t dev, const struct zlf_node *n)
{
	row_begin(dev, off_of(dev, n),
		  zl_get32(n->crc) == zl_node_header_crc(dump.fs->crc_seed, n));
	hex("self", zl_get64(n->self));
	num("level", zl_get16(n->level));
	num("lines", zl_get16(n->lines));
	hex("valid", zl_get64(n->valid));
	num("obj", zl_get64(n->obj));
	num("rec_type", zl_get32(n->rec_type));
	hex("key", zl_get64(n->key));
	hex("create_tid", zl_get64(n->create_tid));
	row_end();
}

static void show_inode(const struct zlf_inode *i)
{
	printf(dump.json ? ", \"mode\": %u" : " mode=%o", zl_get32(i->mode));
	num("nlink", zl_get32(i->nlink));
	num("uid", zl_get32(i->uid));
	num("gid", zl_get32(i->gid));
	num("size", zl_get64(i->size_bytes));
	num("blocks", zl_get64(i->blocks));
	num("parent", zl_get64(i->parent));
	num("num_xattrs", zl_get32(i->num_xattrs));
}

static void show_owner(const struct zlf_elem *e)
{
	struct zl_key extent = zl_owner_extent(e);

	num("extent_obj", extent.obj);
	num("extent_key", extent.key);
	num("extent_history", !!extent.tid);
	hex("extent_create_tid", extent.tid);
}

static void show_payload(const struct zlf_elem *e)
{
	uint32_t type = e->rec_type & ~ZLF_REC_HISTORY, len = zl_get32(e->len);

	if (type == ZLF_REC_OWNER)
		show_owner(e);
	else if (type == ZLF_REC_INODE && e->lines == 3)
		show_inode((const void *)(e + 1));
	else if (type == ZLF_REC_DIRENT || type == ZLF_REC_XATTR)
		text("name", (const char *)(e + 1), zl_get32(e->aux) < 256 ? zl_get32(e->aux) : 255);
	else if (type == ZLF_REC_SYMLINK && !(e->flags & ZLF_EF_BLOCK))
		text("target", (const char *)(e + 1),
		     len < ZLF_ELEM_PAYLOAD_MAX ? len : ZLF_ELEM_PAYLOAD_MAX);
}

static void show_elem(uint32_t dev, const struct zlf_node *node, const struct zlf_elem *e,
		      bool good)
{
	row_begin(dev, off_of(dev, e), good);
	num("level", zl_get16(node->level));
	num("obj", zl_get64(e->obj));
	num("rec_type", e->rec_type & ~ZLF_REC_HISTORY);
	num("history", !!(e->rec_type & ZLF_REC_HISTORY));
	hex("key", zl_get64(e->key));
	num("lines", e->lines);
	num("obj_type", e->obj_type);
	num("flags", e->flags);
	hex("create_tid", zl_get64(e->create_tid));
	hex("end_tid", zl_get64(e->end_tid));
	hex("addr", zl_get64(e->addr));
	num("len", zl_get32(e->len));
	num("aux", zl_get32(e->aux));
	if (good && !zl_get16(node->level))
		show_payload(e);
	row_end();
}

static void show_elems(uint32_t dev, const struct zlf_node *node)
{
	uint32_t line, lines = dump.fs->geo.node_lines;
	const struct zlf_elem *e;
	bool fits;

	for (line = 1; line < lines; line++) {
		if (!(zl_get64(node->valid) >> line & 1))
			continue;
		e = (const struct zlf_elem *)(const void *)node + line;
		fits = e->lines && e->lines <= ZLF_ELEM_LINES_MAX && line + e->lines <= lines;
		show_elem(dev, node, e, fits && sealed(e, e->lines * ZLF_LINE_BYTES));
		line += fits ? e->lines - 1u : 0;
	}
}

static void show_nodes_of(const struct seg *seg)
{
	each_node(seg, show_node);
}

static void show_elems_of(const struct seg *seg)
{
	each_node(seg, show_elems);
}

/* ----------------------------------------------------------------------- main */

static void dump_segments(void)
{
	each_segment(show_segment);
}

static void dump_log(void)
{
	each_segment(show_log);
}

static void dump_nodes(void)
{
	each_segment(show_nodes_of);
}

static void dump_elements(void)
{
	each_segment(show_elems_of);
}

static const struct section {
	const char *name;
	void (*fn)(void);
} sections[] = {
	{ "super", dump_super },
	{ "checkpoints", dump_checkpoints },
	{ "segments", dump_segments },
	{ "log", dump_log },
	{ "nodes", dump_nodes },
	{ "elements", dump_elements },
	{ "slots", dump_slots },
	{ "intents", dump_intents },
};

#define NUM_SECTIONS	(sizeof(sections) / sizeof(*sections))

/* NULL: all, or none of that name. */
static const struct section *section_of(const char *name)
{
	size_t i;

	for (i = 0; i < NUM_SECTIONS; i++)
		if (!strcmp(sections[i].name, name))
			return &sections[i];
	return NULL;
}

static bool is_zlogfs(const struct zl_media *media)
{
	const uint8_t *base = media->addr;
	const struct zlf_super *front = (const void *)(base + media->data_off);
	const struct zlf_super *back = (const void *)(base + media->bytes - ZLF_BLOCK_BYTES);

	return media->data_off < media->bytes - ZLF_BLOCK_BYTES &&
	       (zl_get64(front->magic) == ZLF_MAGIC || zl_get64(back->magic) == ZLF_MAGIC);
}

static int check_devices(void)
{
	uint32_t i;

	for (i = 0; i < dump.set.num; i++)
		if (!is_zlogfs(&dump.set.media[i])) {
			fprintf(stderr, "dump.zlogfs: %s: no zlogfs here; is it the right device?\n",
				dump.set.paths[i]);
			return 1;
		}
	return 0;
}

static int show(const struct section *only)
{
	int err = zl_super_load(dump.fs, dump.set.media, dump.set.num);
	bool usable = !err || dump.fs->policy;	/* without a checkpoint, too */
	size_t i;

	if (err)
		fprintf(stderr, "dump.zlogfs: %s: fsck.zlogfs says what is damaged; %s\n",
			dump.set.paths[0], usable ? "there is no valid checkpoint" :
			"only superblocks can be shown");
	dump.first_section = true;
	if (dump.json)
		printf("{\n");
	for (i = 0; i < NUM_SECTIONS; i++) {
		if ((only && only != &sections[i]) || (!usable && i))
			continue;
		section_begin(sections[i].name);
		sections[i].fn();
		section_end();
	}
	if (dump.json)
		printf("\n}\n");
	return err ? 1 : 0;
}

static int usage_error(const char *what)
{
	fprintf(stderr, "dump.zlogfs: %s\nTry 'dump.zlogfs --help'.\n", what);
	return 2;
}

static int parse(int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "jhV", long_options, NULL)) >= 0) {
		switch (opt) {
		case 'j':
			dump.json = true;
			break;
		case 'o':
			if (zus_parse_bytes(optarg, &dump.data_off) ||
			    dump.data_off % ZLF_BLOCK_BYTES)
				return usage_error("--data-off is a multiple of 4096 bytes");
			break;
		case 'h':
			fputs(usage_text, stdout);
			return -1;
		case 'V':
			printf("dump.zlogfs 1.0, format %u.%u\n", ZLF_VERSION_MAJOR,
			       ZLF_VERSION_MINOR);
			return -1;
		default:
			fputs("Try 'dump.zlogfs --help'.\n", stderr);
			return 2;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct section *only = NULL;
	int status = parse(argc, argv);

	if (status)
		return status < 0 ? 0 : status;
	if (optind < argc) {
		only = section_of(argv[optind]);
		optind += only || !strcmp(argv[optind], "all");
	}
	if (optind == argc)
		return usage_error("no device given");
	if (argc - optind > (int)ZLF_MAX_DEVICES)
		return usage_error("more devices than a filesystem can have");
	zus_log_open("dump.zlogfs", 0, LOG_CRIT);
	if (zl_media_open(&dump.set, "dump.zlogfs", argv + optind, argc - optind, dump.data_off))
		return 1;
	dump.fs = zl_fs_new(true, 0);
	status = dump.fs && !check_devices() ? show(only) : 1;
	if (dump.fs)
		zl_fs_free(dump.fs);
	zl_media_close(&dump.set);
	return status;
}
