// SPDX-License-Identifier: BSD-3-Clause
/* check_media.c - what has a fixed place: superblocks, checkpoints, intents, segment tables. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_int.h"
#include "crc32c.h"

bool zlc_is_zero(const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	while (n && !*at) {
		at++;
		n--;
	}
	return !n;
}

/* --------------------------------------------------------------- superblocks */

struct copies {
	const struct zlf_super *front, *back;
	const struct zlf_super *best;	/* NULL: none is valid */
};

static struct copies copies_of(const struct zl_media *media)
{
	const uint8_t *base = media->addr;
	struct copies s = { .front = (const void *)(base + media->data_off),
			    .back = (const void *)(base + media->bytes - ZLF_BLOCK_BYTES) };
	bool front = zl_super_valid(s.front), back = zl_super_valid(s.back);

	s.best = front ? s.front : back ? s.back : NULL;
	if (front && back && zl_get64(s.back->seq) > zl_get64(s.front->seq))
		s.best = s.back;
	return s;
}

#define REFUSE(c, err, ...) \
	(snprintf((c)->out->why, ZL_CHECK_TEXT, __VA_ARGS__), (err))

static int check_copies(struct zlc *c, uint32_t i, const struct copies *s)
{
	bool magic = zl_get64(s->front->magic) == ZLF_MAGIC ||
		     zl_get64(s->back->magic) == ZLF_MAGIC;

	if (!s->best && !magic)
		return REFUSE(c, -ENODATA, "device %u: no zlogfs here", i);
	if (!zl_super_valid(s->front))
		zlc_say_at(c, ZL_CHECK_SUPERBLOCK, s->front, 0, "the first copy is damaged");
	if (!zl_super_valid(s->back))
		zlc_say_at(c, ZL_CHECK_SUPERBLOCK, s->back, 0, "the copy at the end is damaged");
	if (!s->best)
		return 0;
	if (zl_get16(s->best->version_major) != ZLF_VERSION_MAJOR ||
	    zl_get64(s->best->features_incompat) & ~ZLF_INCOMPAT_KNOWN)
		return REFUSE(c, -EPROTO, "device %u: format %u.%u, features %#" PRIx64
			      ": this program knows format %u alone: use a newer one", i,
			      zl_get16(s->best->version_major), zl_get16(s->best->version_minor),
			      zl_get64(s->best->features_incompat), ZLF_VERSION_MAJOR);
	if (zl_super_valid(s->front) && zl_super_valid(s->back) &&
	    memcmp(s->front, s->back, sizeof(*s->front)) != 0)
		zlc_say_at(c, ZL_CHECK_SUPERBLOCK, s->back, 0, "both copies are valid, but differ");
	return 0;
}

/* Is it the i-th of the same filesystem as the first? */
static int check_member(struct zlc *c, uint32_t i, const struct zlf_super *super,
			const struct zlf_super *first)
{
	uint32_t device = zl_get32(super->device), num = zl_get32(super->num_devices);

	if (!num || num > ZLF_MAX_DEVICES || device >= num) {
		zlc_say(c, ZL_CHECK_SUPERBLOCK, i, c->media[i].data_off, 0,
			"device %u of %u", device, num);
		return 0;
	}
	if (memcmp(super->fs_uuid, first->fs_uuid, sizeof(super->fs_uuid)) != 0)
		return REFUSE(c, -ENODEV, "device %u is of another filesystem than the first", i);
	if (num != c->num_media)
		return REFUSE(c, -ENODEV, "the filesystem has %u devices, here are %u", num,
			      c->num_media);
	if (device != i)
		return REFUSE(c, -ENODEV, "device %u of the filesystem is there twice, or in "
			      "another order", device);
	return 0;
}

static void check_super(struct zlc *c, uint32_t i, const struct zlf_super *super)
{
	const char *what = zl_super_check(super, &c->media[i]);
	uint32_t policy = zl_get32(super->policy);

	if (!what && (policy < ZLF_POLICY_INPLACE || policy > ZLF_POLICY_BOUNDARY))
		what = "policy";
	if (what)
		zlc_say_at(c, ZL_CHECK_SUPERBLOCK, super, 0, "%s cannot be as it is", what);
}

int zlc_supers(struct zlc *c)
{
	struct copies s, first = { .best = NULL };
	uint32_t i;
	int err;

	if (!c->num_media || c->num_media > ZLF_MAX_DEVICES)
		return REFUSE(c, -ENODEV, "%u devices", c->num_media);
	for (i = 0; i < c->num_media; i++) {
		if (c->media[i].bytes < c->media[i].data_off + 2 * ZLF_BLOCK_BYTES)
			return REFUSE(c, -ENODATA, "device %u is too small for a zlogfs", i);
		s = copies_of(&c->media[i]);
		first = i ? first : s;
		err = check_copies(c, i, &s);
		if (!err && s.best && first.best)
			err = check_member(c, i, s.best, first.best);
		if (err)
			return c->out->total ? 0 : err;
		if (s.best)
			check_super(c, i, s.best);
	}
	err = zl_super_load(c->fs, c->media, c->num_media);
	if (err && !c->out->total)
		zlc_say(c, c->fs->policy ? ZL_CHECK_CHECKPOINT : ZL_CHECK_SUPERBLOCK, 0, 0, 0,
			c->fs->policy ? "there is no valid one" : "it can't be used");
	if (err)
		c->fs->num_segs = 0;	/* nothing more to look at */
	return 0;
}

/* --------------------------------------------------------- the superblock's rest */

static void check_devices(struct zlc *c, uint32_t dev, const struct zlf_super *super)
{
	const struct zlf_device *entry = super->devices;
	uint32_t i;

	for (i = 0; i < ZLF_MAX_DEVICES; i++, entry++) {
		if (i >= c->num_media) {
			if (!zlc_is_zero(entry, sizeof(*entry)))
				zlc_say(c, ZL_CHECK_SUPERBLOCK, dev, c->media[dev].data_off, 0,
					"device %u is listed, and there is none", i);
			continue;
		}
		if (zl_get64(entry->bytes) != c->media[i].bytes ||
		    zl_get64(entry->segments) != c->fs->devs[i].num_segments)
			zlc_say(c, ZL_CHECK_SUPERBLOCK, dev, c->media[dev].data_off, 0,
				"device %u has %" PRIu64 " bytes, %u segments; the list says %"
				PRIu64 ", %" PRIu64, i, c->media[i].bytes,
				c->fs->devs[i].num_segments, zl_get64(entry->bytes),
				zl_get64(entry->segments));
	}
}

/* Members that all devices have alike. */
static bool alike(const struct zlf_super *a, const struct zlf_super *b)
{
	return a->features_compat == b->features_compat && a->features_ro == b->features_ro &&
	       !memcmp(a->label, b->label, sizeof(a->label)) &&
	       a->num_devices == b->num_devices && a->segment_shift == b->segment_shift &&
	       a->node_lines == b->node_lines && a->num_logs == b->num_logs &&
	       a->num_slots == b->num_slots && a->policy == b->policy;
}

void zlc_super_rest(struct zlc *c)
{
	const struct zlf_super *super;
	uint32_t i;

	for (i = 0; i < c->num_media; i++) {
		super = c->fs->devs[i].super;
		check_devices(c, i, super);
		if (super->label[sizeof(super->label) - 1])
			zlc_say_at(c, ZL_CHECK_SUPERBLOCK, super, 0, "the label has no end");
		if (!zlc_is_zero(super->reserved, sizeof(super->reserved)))
			zlc_say_at(c, ZL_CHECK_SUPERBLOCK, super, 0, "reserved bytes are used");
		if (i && !alike(super, c->fs->devs[0].super))
			zlc_say_at(c, ZL_CHECK_SUPERBLOCK, super, 0,
				   "it is not as the first device has it");
	}
}

/* --------------------------------------------------------------- checkpoints */

static const struct zlf_ckpt *ring_slot(const struct zlc *c, uint64_t gen)
{
	const struct zl_dev *dev = &c->fs->devs[0];

	return (const struct zlf_ckpt *)(const void *)
	       (dev->pm.media + zl_get64(dev->super->ring_off)) + gen % ZLF_RING_SLOTS;
}

static bool ckpt_valid(const struct zlc *c, const struct zlf_ckpt *ckpt)
{
	return zl_get32(ckpt->magic) == ZLF_CKPT_MAGIC &&
	       zl_get32(ckpt->crc) == zl_crc_of(c->fs->crc_seed, ckpt, 0, sizeof(*ckpt));
}

/* NULL, or what cannot be: what a mount asks, and what it does without. */
static const char *ckpt_wrong(const struct zlf_ckpt *ckpt)
{
	const char *what = zl_ckpt_check(ckpt);

	if (what)
		return what;
	if (zl_get32(ckpt->flags) & ~ZLF_CKPT_CLEAN)
		return "flags";
	if (!zlc_is_zero(ckpt->reserved, sizeof(ckpt->reserved)))
		return "reserved";
	return NULL;
}

/* What never goes back. */
static const char *ckpt_went_back(const struct zlf_ckpt *old, const struct zlf_ckpt *now)
{
	if (zl_get64(now->applied_tid) < zl_get64(old->applied_tid))
		return "applied_tid";
	if (zl_get64(now->max_tid) < zl_get64(old->max_tid))
		return "max_tid";
	if (zl_get64(now->min_log_seq) < zl_get64(old->min_log_seq))
		return "min_log_seq";
	if (zl_get64(now->next_log_seq) < zl_get64(old->next_log_seq))
		return "next_log_seq";
	if (zl_get64(now->next_obj) < zl_get64(old->next_obj))
		return "next_obj";
	if (zl_get64(now->boundary_tid) < zl_get64(old->boundary_tid))
		return "boundary_tid";
	return NULL;
}

static void check_slots(struct zlc *c)
{
	const struct zl_dev *dev = &c->fs->devs[0];
	uint32_t i, n = c->fs->geo.num_slots, area = zl_get32(c->fs->ckpt.slots_area) & 1;
	const struct zlf_slot *slot = (const struct zlf_slot *)(const void *)
		(dev->pm.media + zl_get64(dev->super->slots_off)) + (size_t)area * n;

	for (i = 0; i < n; i++, slot++)
		if (zl_get64(slot->op_id) ? zl_get64(slot->op_id) >> 48 != i : slot->obj != 0)
			zlc_say_at(c, ZL_CHECK_CHECKPOINT, slot, 0,
				   "operation slot %u has one of another", i);
}

/* The one that would come next may be torn, or still be the oldest. */
void zlc_checkpoints(struct zlc *c)
{
	uint64_t newest = zl_get64(c->fs->ckpt.gen), gen;
	uint64_t first = newest >= ZLF_RING_SLOTS ? newest - ZLF_RING_SLOTS + 1 : 1;
	const struct zlf_ckpt *ckpt, *before = NULL;
	const char *what;

	for (gen = first; gen <= newest; gen++) {
		ckpt = ring_slot(c, gen);
		if (!ckpt_valid(c, ckpt) || zl_get64(ckpt->gen) != gen) {
			if (gen + ZLF_RING_SLOTS != newest + 1)
				zlc_say_at(c, ZL_CHECK_CHECKPOINT, ckpt, 0,
					   "number %" PRIu64 " is damaged", gen);
			before = NULL;
			continue;
		}
		what = ckpt_wrong(ckpt);
		if (what)
			zlc_say_at(c, ZL_CHECK_CHECKPOINT, ckpt, 0,
				   "number %" PRIu64 ": %s cannot be as it is", gen, what);
		what = before ? ckpt_went_back(before, ckpt) : NULL;
		if (what)
			zlc_say_at(c, ZL_CHECK_CHECKPOINT, ckpt, 0,
				   "number %" PRIu64 ": %s has gone back", gen, what);
		before = ckpt;
	}
	for (; gen < ZLF_RING_SLOTS; gen++)
		if (gen != newest + 1 && !zlc_is_zero(ring_slot(c, gen), sizeof(*ckpt)))
			zlc_say_at(c, ZL_CHECK_CHECKPOINT, ring_slot(c, gen), 0,
				   "there was no number %" PRIu64 " yet", gen);
	check_slots(c);
}

/* ------------------------------------------------------------------- intents */

/* Torn ones are none. */
void zlc_intents(struct zlc *c)
{
	const struct zl_dev *dev = &c->fs->devs[0];
	const struct zlf_intent *intent =
		(const void *)(dev->pm.media + zl_get64(dev->super->intents_off));
	uint32_t i, seg, off;
	uint64_t node;

	for (i = 0; i < ZLF_INTENTS; i++, intent++) {
		if (!intent->crc || zl_get32(intent->crc) !=
				    zl_crc_of(c->fs->crc_seed, intent, 0, sizeof(*intent)))
			continue;
		c->intents++;
		node = zl_get64(intent->node);
		if (zl_addr_zone(node) != ZLF_SEG_NODE || !zl_addr_split(c->fs, node, &seg, &off) ||
		    off % c->fs->geo.node_bytes || zl_get32(intent->level) >= ZLF_HEIGHT_MAX)
			zlc_say_at(c, ZL_CHECK_NODE, intent, 0,
				   "intent %u is of no node: %#" PRIx64, i, node);
	}
}

/* ------------------------------------------------------------------ segments */

void zlc_segments(struct zlc *c)
{
	uint64_t min_seq = zl_get64(c->fs->ckpt.min_log_seq);
	const struct zlf_segment *line;
	uint32_t d, i, type, log, gen;
	const struct zl_dev *dev;

	for (d = 0; d < c->num_media; d++) {
		dev = &c->fs->devs[d];
		line = (const void *)(dev->pm.media + dev->table_off);
		for (i = 0; i < dev->num_segments; i++, line++) {
			if (!zl_seg_word_split(zl_get64(line->word), &type, &log, &gen)) {
				zlc_say_at(c, ZL_CHECK_SEGMENT, line, 0,
					   "segment %u: its word is damaged",
					   dev->first_segment + i);
				continue;
			}
			if (type != ZLF_SEG_LOG || zl_get64(line->seq) < min_seq)
				continue;
			if (zl_get32(line->crc) != zl_crc32c(c->fs->crc_seed, &line->seq, 28))
				zlc_say_at(c, ZL_CHECK_SEGMENT, line, 0,
					   "segment %u of the log: its entry is damaged",
					   dev->first_segment + i);
			if (zl_get64(line->seq) >= ZL_SEQ_END)
				zlc_say_at(c, ZL_CHECK_SEGMENT, line, 0,
					   "segment %u of the log: its place",
					   dev->first_segment + i);
			if (log >= c->fs->geo.num_logs)
				zlc_say_at(c, ZL_CHECK_SEGMENT, line, 0,
					   "segment %u: there is no log %u",
					   dev->first_segment + i, log);
		}
	}
}
