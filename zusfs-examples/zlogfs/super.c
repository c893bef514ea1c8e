// SPDX-License-Identifier: BSD-3-Clause
/* super.c - the superblock and the checkpoints: what is there, and whether it can be right. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crc32c.h"
#include "zlogfs.h"

uint32_t zl_crc_seed(const uint8_t fs_uuid[16])
{
	return zl_crc32c(UINT32_MAX, fs_uuid, 16);
}

uint32_t zl_crc_of(uint32_t seed, const void *what, size_t crc_off, size_t bytes)
{
	size_t begin = crc_off + sizeof(zlf_le32);

	return zl_crc32c(seed, (const uint8_t *)what + begin, bytes - begin);
}

static uint32_t super_crc(const struct zlf_super *super)
{
	return zl_crc_of(UINT32_MAX, super, offsetof(struct zlf_super, crc), sizeof(*super));
}

/* ----------------------------------------------------------------- geometry */

static void make_geo(struct zl_geo *geo, const struct zlf_super *super)
{
	geo->segment_shift = zl_get32(super->segment_shift);
	geo->segment_bytes = 1u << geo->segment_shift;
	geo->segment_lines = geo->segment_bytes / ZLF_LINE_BYTES;
	geo->segment_blocks = geo->segment_bytes / ZLF_BLOCK_BYTES;
	geo->node_lines = zl_get32(super->node_lines);
	geo->node_bytes = geo->node_lines * ZLF_LINE_BYTES;
	geo->segment_nodes = geo->segment_bytes / geo->node_bytes;
	if (geo->segment_nodes > 512)
		geo->segment_nodes = 512;	/* as many bits as there are */
	/* behind it a record that says that the segment has ended */
	geo->record_lines_max = geo->segment_lines - 1 < ZLF_RECORD_LINES_MAX ?
					geo->segment_lines - 1 : ZLF_RECORD_LINES_MAX;
	geo->num_logs = zl_get32(super->num_logs);
	geo->num_slots = zl_get32(super->num_slots);
	geo->unapplied_max_bytes = zl_get64(super->log_unapplied_max_bytes);
}

static bool power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

#define ZL_UNAPPLIED_MAX_BYTES	(1ull << 40)	/* three times as much is kept free */

/* NULL, or what cannot be. */
static const char *check_geo(const struct zlf_super *super)
{
	uint32_t shift = zl_get32(super->segment_shift), lines = zl_get32(super->node_lines);
	uint32_t logs = zl_get32(super->num_logs), slots = zl_get32(super->num_slots);

	if (shift < 12 || shift > 21)
		return "segment_shift";
	if (lines < ZLF_NODE_LINES_MIN || lines > ZLF_NODE_LINES_MAX || !power_of_two(lines))
		return "node_lines";
	if (!power_of_two(logs) || logs > ZLF_MAX_LOGS)
		return "num_logs";
	if (!slots || slots > UINT16_MAX)
		return "num_slots";
	if (zl_get64(super->log_unapplied_max_bytes) < 1ull << shift ||
	    zl_get64(super->log_unapplied_max_bytes) > ZL_UNAPPLIED_MAX_BYTES)
		return "log_unapplied_max_bytes";
	return NULL;
}

/* Do count things of bytes each fit at off, in front of end? */
static bool fits(uint64_t off, uint64_t count, uint64_t bytes, uint64_t end)
{
	return off % ZLF_LINE_BYTES == 0 && off <= end && count <= (end - off) / bytes;
}

/* Of each device, against its real size. */
static const char *check_layout(const struct zlf_super *super, const struct zl_media *media)
{
	uint64_t segments = zl_get64(super->num_segments), first = zl_get64(super->first_segment_off);
	uint64_t segment_bytes = 1ull << zl_get32(super->segment_shift);
	uint64_t blocks = segments * (segment_bytes / ZLF_BLOCK_BYTES);

	if (!segments || segments > UINT32_MAX / 2 || first % ZLF_BLOCK_BYTES ||
	    !fits(first, segments, segment_bytes, media->bytes - ZLF_BLOCK_BYTES))
		return "num_segments";
	if (!fits(zl_get64(super->table_off), segments, ZLF_LINE_BYTES, first))
		return "table_off";
	if (!fits(zl_get64(super->bitmap_off), segments, ZLF_LINE_BYTES, first))
		return "bitmap_off";
	if (!fits(zl_get64(super->hints_off), blocks, sizeof(struct zlf_hint), first))
		return "hints_off";
	if (zl_get32(super->device))
		return NULL;
	if (!fits(zl_get64(super->ring_off), ZLF_RING_SLOTS, sizeof(struct zlf_ckpt), first))
		return "ring_off";
	if (!fits(zl_get64(super->anchor_off), 1, ZLF_LINE_BYTES, first))
		return "anchor_off";
	if (!fits(zl_get64(super->intents_off), ZLF_INTENTS, ZLF_LINE_BYTES, first))
		return "intents_off";
	if (!fits(zl_get64(super->slots_off), 2ull * zl_get32(super->num_slots),
		  sizeof(struct zlf_slot), first))
		return "slots_off";
	return NULL;
}

uint32_t zl_super_regions(const struct zlf_super *super, const struct zl_media *media,
			  struct zl_region *r)
{
	uint64_t segments = zl_get64(super->num_segments);
	uint32_t n = 0, shift = zl_get32(super->segment_shift);

	r[n++] = (struct zl_region) { "superblock", media->data_off, ZLF_BLOCK_BYTES };
	r[n++] = (struct zl_region) { "table_off", zl_get64(super->table_off),
				      segments * ZLF_LINE_BYTES };
	r[n++] = (struct zl_region) { "bitmap_off", zl_get64(super->bitmap_off),
				      segments * ZLF_LINE_BYTES };
	r[n++] = (struct zl_region) { "hints_off", zl_get64(super->hints_off),
				      (segments << shift) / ZLF_BLOCK_BYTES * sizeof(struct zlf_hint) };
	r[n++] = (struct zl_region) { "first_segment_off", zl_get64(super->first_segment_off),
				      segments << shift };
	if (zl_get32(super->device))
		return n;
	r[n++] = (struct zl_region) { "ring_off", zl_get64(super->ring_off),
				      ZLF_RING_SLOTS * sizeof(struct zlf_ckpt) };
	r[n++] = (struct zl_region) { "anchor_off", zl_get64(super->anchor_off), ZLF_LINE_BYTES };
	r[n++] = (struct zl_region) { "intents_off", zl_get64(super->intents_off),
				      ZLF_INTENTS * sizeof(struct zlf_intent) };
	r[n++] = (struct zl_region) { "slots_off", zl_get64(super->slots_off),
				      2 * sizeof(struct zlf_slot) * zl_get32(super->num_slots) };
	return n;
}

/* In front of the filesystem is what others have, and one thing does not lie in another. */
static const char *check_overlap(const struct zlf_super *super, const struct zl_media *media)
{
	struct zl_region r[ZL_REGIONS];
	uint32_t i, j, n = zl_super_regions(super, media, r);

	for (i = 0; i < n; i++) {
		if (r[i].off < media->data_off)
			return r[i].name;
		for (j = 0; j < i; j++)
			if (r[i].off < r[j].off + r[j].bytes && r[j].off < r[i].off + r[i].bytes)
				return r[i].name;
	}
	return NULL;
}

const char *zl_super_check(const struct zlf_super *super, const struct zl_media *media)
{
	const char *what = check_geo(super);

	if (!what)
		what = check_layout(super, media);
	return what ? what : check_overlap(super, media);
}

/* --------------------------------------------------------------------- load */

bool zl_super_valid(const struct zlf_super *super)
{
	return zl_get64(super->magic) == ZLF_MAGIC && zl_get32(super->crc) == super_crc(super);
}

/* The better of both copies. NULL: there is none. */
static const struct zlf_super *find_super(const struct zl_media *media)
{
	const uint8_t *base = media->addr;
	const struct zlf_super *front = (const void *)(base + media->data_off);
	const struct zlf_super *back = (const void *)(base + media->bytes - ZLF_BLOCK_BYTES);

	if (!zl_super_valid(front))
		return zl_super_valid(back) ? back : NULL;
	if (zl_super_valid(back) && zl_get64(back->seq) > zl_get64(front->seq) &&
	    memcmp(back->fs_uuid, front->fs_uuid, sizeof(back->fs_uuid)) == 0)
		return back;
	return front;
}

static int bad_super(const char *what, const char *detail)
{
	zus_log(ZUS_LOG_ERR, "zlogfs: %s%s%s", what, *detail ? ": " : "", detail);
	return -EINVAL;
}

static int check_features(struct zl_fs *fs, const struct zlf_super *super)
{
	if (zl_get16(super->version_major) != ZLF_VERSION_MAJOR ||
	    zl_get64(super->features_incompat) & ~ZLF_INCOMPAT_KNOWN) {
		zus_log(ZUS_LOG_ERR, "zlogfs: the filesystem has format %u.%u, features %#" PRIx64
			"; this server knows format %u: use a newer one",
			zl_get16(super->version_major), zl_get16(super->version_minor),
			zl_get64(super->features_incompat), ZLF_VERSION_MAJOR);
		return -EINVAL;
	}
	if (zl_get64(super->features_ro) & ~ZLF_RO_KNOWN && !fs->rdonly) {
		zus_log(ZUS_LOG_ERR, "zlogfs: features %#" PRIx64 " are not known here: mount it "
			"read-only, or use a newer server", zl_get64(super->features_ro));
		return -EROFS;
	}
	return 0;
}

/* Devices of one NUMA node go together; of more nodes than there are places, with the last. */
static uint8_t near_of(struct zl_fs *fs, uint32_t numa_node)
{
	uint32_t i;

	for (i = 0; i < fs->num_near; i++)
		if (fs->near[i].numa_node == numa_node)
			return (uint8_t)i;
	if (fs->num_near == ZL_NEAR_MAX)
		return ZL_NEAR_MAX - 1;
	fs->near[fs->num_near++].numa_node = numa_node;
	return (uint8_t)(fs->num_near - 1);
}

static int wrong_number(uint32_t want, uint32_t got)
{
	zus_log(ZUS_LOG_ERR, "zlogfs: it has %u devices, and %u are here%s", want, got,
		got < want ? ": the mount option fd= names the others" : "");
	return -EINVAL;
}

static void init_dev(struct zl_fs *fs, uint32_t i, const struct zlf_super *super,
		     const struct zl_media *media)
{
	struct zl_dev *dev = &fs->devs[i];

	zl_pm_init(&dev->pm, media->addr, media->bytes);
	dev->super = super;
	dev->table_off = zl_get64(super->table_off);
	dev->bitmap_off = zl_get64(super->bitmap_off);
	dev->hints_off = zl_get64(super->hints_off);
	dev->first_segment_off = zl_get64(super->first_segment_off);
	dev->num_segments = (uint32_t)zl_get64(super->num_segments);
	dev->first_segment = fs->num_segs;
	dev->numa_node = media->numa_node;
	dev->near = near_of(fs, media->numa_node);
	fs->num_segs += dev->num_segments;
}

static int load_dev(struct zl_fs *fs, uint32_t i, const struct zl_media *media)
{
	const struct zlf_super *super, *first = i ? fs->devs[0].super : NULL;
	const char *what;
	int err;

	if (media->data_off % ZLF_BLOCK_BYTES || media->bytes < media->data_off + 2 * ZLF_BLOCK_BYTES)
		return bad_super("a device is too small", "");
	super = find_super(media);
	if (!super)
		return bad_super("no zlogfs here; mkfs.zlogfs makes one", "");
	err = check_features(fs, super);
	if (err)
		return err;
	what = zl_super_check(super, media);
	if (what)
		return bad_super("the superblock is damaged", what);
	if (first && memcmp(super->fs_uuid, first->fs_uuid, sizeof(super->fs_uuid)) != 0)
		return bad_super("a device is of another filesystem", "");
	if (zl_get32(super->device) != i)
		return bad_super("a device is there twice, or in another order", "");
	if (first && zl_get32(super->segment_shift) != zl_get32(first->segment_shift))
		return bad_super("the superblock is damaged", "segment_shift");
	if (fs->num_segs + zl_get64(super->num_segments) >= ZL_NONE)
		return bad_super("the filesystem is too large", "");
	init_dev(fs, i, super, media);
	return 0;
}

static bool ckpt_valid(const struct zl_fs *fs, const struct zlf_ckpt *ckpt, uint32_t slot)
{
	return zl_get32(ckpt->magic) == ZLF_CKPT_MAGIC &&
	       zl_get64(ckpt->gen) % ZLF_RING_SLOTS == slot &&
	       zl_get32(ckpt->crc) == zl_crc_of(fs->crc_seed, ckpt, 0, sizeof(*ckpt));
}

const char *zl_ckpt_check(const struct zlf_ckpt *ckpt)
{
	uint64_t max_tid = zl_get64(ckpt->max_tid), next_obj = zl_get64(ckpt->next_obj);

	if (zl_get64(ckpt->gen) >= ZL_SEQ_END)
		return "gen";
	if (!zl_get64(ckpt->applied_tid) || zl_get64(ckpt->applied_tid) > max_tid)
		return "applied_tid";
	if (max_tid > ZL_TID_MAX)
		return "max_tid";
	if (zl_get64(ckpt->boundary_tid) > max_tid)
		return "boundary_tid";
	if (!zl_get64(ckpt->min_log_seq) ||
	    zl_get64(ckpt->min_log_seq) > zl_get64(ckpt->next_log_seq))
		return "min_log_seq";
	if (zl_get64(ckpt->next_log_seq) >= ZL_SEQ_END)
		return "next_log_seq";
	if (next_obj < ZLF_OBJ_FIRST || next_obj >= ZLF_OBJ_OWNERS)
		return "next_obj";
	return zl_get32(ckpt->slots_area) > 1 ? "slots_area" : NULL;
}

static int load_ckpt(struct zl_fs *fs)
{
	uint64_t ring = zl_get64(fs->devs[0].super->ring_off), gen = 0;
	const struct zlf_ckpt *ckpt = (const void *)(fs->devs[0].pm.media + ring);
	uint32_t slot;

	for (slot = 0; slot < ZLF_RING_SLOTS; slot++)
		if (zl_get64(ckpt[slot].gen) > gen && ckpt_valid(fs, &ckpt[slot], slot)) {
			fs->ckpt = ckpt[slot];
			gen = zl_get64(ckpt[slot].gen);
		}
	return gen ? 0 : bad_super("no valid checkpoint: fsck.zlogfs says what is left", "");
}

int zl_super_load(struct zl_fs *fs, const struct zl_media *media, uint32_t num_media)
{
	uint32_t i;
	int err;

	if (!num_media || num_media > ZLF_MAX_DEVICES)
		return bad_super("no persistent-memory device", "");
	for (i = 0; i < num_media; i++) {
		err = load_dev(fs, i, &media[i]);
		if (err)
			return err;
	}
	fs->num_devs = num_media;
	if (zl_get32(fs->devs[0].super->num_devices) != num_media)
		return wrong_number(zl_get32(fs->devs[0].super->num_devices), num_media);
	make_geo(&fs->geo, fs->devs[0].super);
	fs->crc_seed = zl_crc_seed(fs->devs[0].super->fs_uuid);
	fs->policy = zl_get32(fs->devs[0].super->policy);
	if (fs->policy < ZLF_POLICY_INPLACE || fs->policy > ZLF_POLICY_BOUNDARY)
		return bad_super("the superblock is damaged", "policy");
	return load_ckpt(fs);
}

/* --------------------------------------------------------------------- mkfs */

static uint64_t align_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* Offsets of a device for as many segments as fit. false: none fits. */
static bool lay_out(struct zlf_super *super, const struct zl_media *media, uint32_t device)
{
	uint64_t bytes = 1ull << zl_get32(super->segment_shift), off, n;
	uint64_t end = media->bytes - ZLF_BLOCK_BYTES, slots = zl_get32(super->num_slots);

	for (n = (end - media->data_off) / bytes; n; n--) {
		off = media->data_off + ZLF_BLOCK_BYTES;
		if (!device) {
			super->ring_off = htole64(off);
			off += ZLF_RING_SLOTS * sizeof(struct zlf_ckpt);
			super->anchor_off = htole64(off);
			off += ZLF_LINE_BYTES;
			super->intents_off = htole64(off);
			off += ZLF_INTENTS * sizeof(struct zlf_intent);
			super->slots_off = htole64(off);
			off = align_up(off + 2 * slots * sizeof(struct zlf_slot), ZLF_LINE_BYTES);
		}
		super->table_off = htole64(off);
		off += n * ZLF_LINE_BYTES;
		super->bitmap_off = htole64(off);
		off += n * ZLF_LINE_BYTES;
		super->hints_off = htole64(off);
		off += n * (bytes / ZLF_BLOCK_BYTES) * sizeof(struct zlf_hint);
		off = align_up(off + media->pmd_phase_bytes % bytes, bytes) -
		      media->pmd_phase_bytes % bytes;
		super->first_segment_off = htole64(off);
		super->num_segments = htole64(n);
		if (off <= end && n <= (end - off) / bytes)
			return true;
		if (n > 1024)		/* a step that is surely not too far */
			n -= (n - (off < end ? (end - off) / bytes : 0)) / 2;
	}
	return false;
}

static void fill_super(struct zlf_super *super, const struct zl_mkfs *options)
{
	memset(super, 0, sizeof(*super));
	super->magic = htole64(ZLF_MAGIC);
	super->version_major = htole16(ZLF_VERSION_MAJOR);
	super->version_minor = htole16(ZLF_VERSION_MINOR);
	memcpy(super->fs_uuid, options->fs_uuid, sizeof(super->fs_uuid));
	super->seq = htole64(1);
	super->created_ns = htole64(options->now_ns);
	if (options->label)
		strncpy(super->label, options->label, sizeof(super->label) - 1);
	super->segment_shift = htole32(options->segment_shift ? options->segment_shift : 21);
	super->node_lines = htole32(options->node_lines ? options->node_lines : 64);
	super->num_logs = htole32(options->num_logs ? options->num_logs : ZLF_MAX_LOGS);
	super->num_slots = htole32(options->num_slots ? options->num_slots : 1024);
	super->policy = htole32(options->policy ? options->policy : ZLF_POLICY_BOUNDARY);
	super->boundary_grain_s = htole32(30);
	super->log_unapplied_max_bytes =
		htole64(options->unapplied_max_bytes ? options->unapplied_max_bytes : 8ull << 20);
}

/* The root's inode, alone in the only leaf, in segment 0. */
static void write_root(struct zl_fs *fs, const struct zlf_super *super, uint64_t now_ns)
{
	struct zl_dev *dev = &fs->devs[0];
	struct zlf_time now = { htole64(now_ns / 1000000000), htole32(now_ns % 1000000000), 0 };
	struct zlf_inode inode = {
		.mode = htole32(S_IFDIR | 0755), .nlink = htole32(2),
		.parent = htole64(ZLF_OBJ_ROOT), .atime = now, .mtime = now, .ctime = now,
		.btime = now,
	};
	struct zl_elem elem = { .head = {
		.rec_type = ZLF_REC_INODE, .lines = 3, .obj = htole64(ZLF_OBJ_ROOT),
		.create_tid = htole64(1), .end_tid = htole64(1), .len = htole32(sizeof(inode)),
	} };
	uint64_t node = zl_addr_make(fs, ZLF_SEG_NODE, 1, 0, 0), at = dev->first_segment_off;
	struct zlf_anchor anchor = { .root = htole64(node) };
	struct zlf_node header;
	struct zl_key low = { .rec_type = 0 };

	memcpy(elem.payload, &inode, sizeof(inode));
	elem.head.crc = htole32(zl_crc_of(fs->crc_seed, &elem, 0, 3 * ZLF_LINE_BYTES));
	zl_node_header(fs, &header, node, 0, &low);
	header.valid = htole64(7ull << 1);
	zl_pm_write(&dev->pm, ZL_META, at, &header, sizeof(header));
	zl_pm_write(&dev->pm, ZL_META, at + ZLF_LINE_BYTES, &elem, 3 * ZLF_LINE_BYTES);
	zl_pm_store64(&dev->pm, ZL_META, dev->bitmap_off, htole64(1));
	zl_pm_store64(&dev->pm, ZL_META, dev->table_off, htole64(zl_seg_word(ZLF_SEG_NODE, 0, 1)));
	zl_pm_write(&dev->pm, ZL_META, zl_get64(super->anchor_off), &anchor, sizeof(anchor));
}

static void write_ckpt(struct zl_fs *fs, const struct zlf_super *super, uint64_t now_ns)
{
	struct zlf_ckpt ckpt = {
		.magic = htole32(ZLF_CKPT_MAGIC), .gen = htole64(1), .applied_tid = htole64(1),
		.max_tid = htole64(1), .min_log_seq = htole64(1), .next_log_seq = htole64(1),
		.next_obj = htole64(ZLF_OBJ_FIRST), .incarnation = 0,
		.root = htole64(zl_addr_make(fs, ZLF_SEG_NODE, 1, 0, 0)), .wall_ns = htole64(now_ns),
		.used_nodes = htole64(1), .inodes = htole64(1), .flags = htole32(ZLF_CKPT_CLEAN),
	};

	ckpt.crc = htole32(zl_crc_of(fs->crc_seed, &ckpt, 0, sizeof(ckpt)));
	zl_pm_copy(&fs->devs[0].pm, ZL_WORD,
		   zl_get64(super->ring_off) + sizeof(ckpt), &ckpt, sizeof(ckpt));
}

/* All in front of the first segment is zeroed, so that nothing old can count. */
static void write_dev(struct zl_fs *fs, const struct zlf_super *super, uint32_t i,
		      const struct zl_media *media, uint64_t now_ns)
{
	struct zl_dev *dev = &fs->devs[i];

	zl_pm_zero(&dev->pm, ZL_META, media->data_off, dev->first_segment_off - media->data_off);
	zl_pm_zero(&dev->pm, ZL_META, media->bytes - ZLF_BLOCK_BYTES, ZLF_BLOCK_BYTES);
	zl_pm_fence();
	if (!i) {
		write_root(fs, super, now_ns);
		write_ckpt(fs, super, now_ns);
		zl_pm_fence();
	}
	zl_pm_copy(&dev->pm, ZL_META, media->bytes - ZLF_BLOCK_BYTES, super, sizeof(*super));
	zl_pm_fence();
	zl_pm_copy(&dev->pm, ZL_WORD, media->data_off, super, sizeof(*super));
	zl_pm_fence();
}

/* What is going to be written. */
struct plan {
	struct zl_fs fs;
	struct zlf_super supers[ZLF_MAX_DEVICES];
};

static void list_devices(struct plan *plan, const struct zl_media *media, uint32_t num_media)
{
	struct zlf_super *supers = plan->supers;
	uint32_t i;

	for (i = 0; i < num_media; i++) {
		memcpy(supers[0].devices[i].uuid, media[i].uuid, sizeof(media[i].uuid));
		supers[0].devices[i].bytes = htole64(media[i].bytes);
		supers[0].devices[i].segments = supers[i].num_segments;
	}
	for (i = 0; i < num_media; i++) {
		memcpy(supers[i].devices, supers[0].devices, sizeof(supers[0].devices));
		supers[i].crc = htole32(super_crc(&supers[i]));
	}
}

static int make_plan(struct plan *plan, const struct zl_media *media, uint32_t num_media,
		     const struct zl_mkfs *options, const char **why)
{
	static const uint32_t least_segments = 16;
	struct zlf_super *supers = plan->supers;
	uint32_t i;

	fill_super(&supers[0], options);
	*why = check_geo(&supers[0]);
	if (*why)
		return -EINVAL;
	supers[0].num_devices = htole32(num_media);
	make_geo(&plan->fs.geo, &supers[0]);
	plan->fs.crc_seed = zl_crc_seed(options->fs_uuid);
	*why = "a device is too small";
	for (i = 0; i < num_media; i++) {
		if (i)
			supers[i] = supers[0];
		supers[i].device = htole32(i);
		if (media[i].bytes < media[i].data_off + 2 * ZLF_BLOCK_BYTES ||
		    !lay_out(&supers[i], &media[i], i) ||
		    zl_get64(supers[i].num_segments) < least_segments)
			return -ENOSPC;
		init_dev(&plan->fs, i, &supers[i], &media[i]);
	}
	plan->fs.num_devs = num_media;
	list_devices(plan, media, num_media);
	*why = NULL;
	return 0;
}

int zl_mkfs(const struct zl_media *media, uint32_t num_media, const struct zl_mkfs *options,
	    const char **why)
{
	struct plan *plan;
	uint32_t i;
	int err;

	*why = "more devices than a filesystem can have";
	if (!num_media || num_media > ZLF_MAX_DEVICES)
		return -EINVAL;
	*why = "no memory";
	plan = calloc(1, sizeof(*plan));
	if (!plan)
		return -ENOMEM;
	err = make_plan(plan, media, num_media, options, why);
	/* the first device last: before, there is none */
	for (i = num_media; i-- && !err && !options->dry_run; )
		write_dev(&plan->fs, &plan->supers[i], i, &media[i], options->now_ns);
	free(plan);
	return err;
}
