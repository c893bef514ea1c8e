// SPDX-License-Identifier: BSD-3-Clause
/*
 * segment.c - what each segment is, and which of its units are in use: in memory as of now,
 * and on the medium as of what has been applied.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "crc32c.h"
#include "space.h"

/* --------------------------------------------------------------------- bits */

uint32_t zl_bits_count(const uint64_t *bits)
{
	uint32_t i, n = 0;

	for (i = 0; i < 8; i++)
		n += (uint32_t)__builtin_popcountll(bits[i]);
	return n;
}

uint32_t zl_bits_next(const uint64_t *bits, bool value, uint32_t from, uint32_t end)
{
	uint64_t word;

	while (from < end) {
		word = bits[from / ZL_WORD_BITS];
		word = (value ? word : ~word) >> from % ZL_WORD_BITS;
		if (word) {
			from += (uint32_t)__builtin_ctzll(word);
			return from < end ? from : end;
		}
		from = (from / ZL_WORD_BITS + 1) * ZL_WORD_BITS;
	}
	return end;
}

void zl_bits_fill(uint64_t *bits, uint32_t from, uint32_t n, bool value)
{
	uint32_t i;

	for (i = from; i < from + n; i++) {
		if (value)
			bits[i / ZL_WORD_BITS] |= 1ull << i % ZL_WORD_BITS;
		else
			bits[i / ZL_WORD_BITS] &= ~(1ull << i % ZL_WORD_BITS);
	}
}

/* -------------------------------------------------------------------- lists */

#define DENSE_SHIFT	3u	/* less than one in so many is free */

static struct zl_seg_list *list_of(struct zl_fs *fs, const struct zl_seg *seg)
{
	struct zl_seg_list *lists = fs->near[seg->near].lists;
	uint32_t left;

	switch (seg->type) {
	case ZLF_SEG_FREE:
		return &lists[ZL_NEAR_EMPTY];
	case ZLF_SEG_DATA:
		left = fs->geo.segment_blocks - seg->count;
		if (!left)
			return NULL;
		return &lists[left < fs->geo.segment_blocks >> DENSE_SHIFT ? ZL_NEAR_DENSE :
									     ZL_NEAR_PARTIAL];
	case ZLF_SEG_NODE:
		return seg->count < fs->geo.segment_nodes ? &lists[ZL_NEAR_NODES] : NULL;
	default:
		return NULL;
	}
}

/* To the end, so that what was freed first is used first; one that stays keeps its place. */
static void enlist(struct zl_fs *fs, struct zl_seg *seg)
{
	struct zl_seg_list *list = list_of(fs, seg);

	if (seg->list == list && !ZL_REUSE_SOON)
		return;
	if (seg->list)
		TAILQ_REMOVE(seg->list, seg, link);
	if (list && ZL_REUSE_SOON)
		TAILQ_INSERT_HEAD(list, seg, link);
	else if (list)
		TAILQ_INSERT_TAIL(list, seg, link);
	seg->list = list;
}

/* Others look at it without the lock. */
static void add_free_segs(struct zl_fs *fs, uint32_t n)
{
	if (n)
		__atomic_store_n(&fs->free_segs, fs->free_segs + n, __ATOMIC_RELAXED);
}

/* Around each change of a segment's type and count: what there is of all. */
static void count_out(struct zl_fs *fs, const struct zl_seg *seg)
{
	add_free_segs(fs, seg->type == ZLF_SEG_FREE ? UINT32_MAX : 0);
	if (seg->type == ZLF_SEG_DATA) {
		fs->free_blocks -= fs->geo.segment_blocks - seg->count;
		fs->used_blocks -= seg->count;
	}
	fs->used_nodes -= seg->type == ZLF_SEG_NODE ? seg->count : 0;
}

static void count_in(struct zl_fs *fs, struct zl_seg *seg)
{
	if (!seg->count && (seg->type == ZLF_SEG_DATA || seg->type == ZLF_SEG_NODE))
		seg->type = ZLF_SEG_FREE;
	add_free_segs(fs, seg->type == ZLF_SEG_FREE);
	if (seg->type == ZLF_SEG_DATA) {
		fs->free_blocks += fs->geo.segment_blocks - seg->count;
		fs->used_blocks += seg->count;
	}
	fs->used_nodes += seg->type == ZLF_SEG_NODE ? seg->count : 0;
	enlist(fs, seg);
}

void zl_seg_take(struct zl_fs *fs, struct zl_seg *seg, uint32_t type, uint32_t from, uint32_t n)
{
	count_out(fs, seg);
	if (seg->type == ZLF_SEG_FREE) {
		seg->type = (uint8_t)type;
		seg->gen++;
	}
	zl_bits_fill(seg->used, from, n, true);
	seg->count = (uint16_t)(seg->count + n);
	count_in(fs, seg);
}

void zl_seg_give(struct zl_fs *fs, struct zl_seg *seg, uint32_t from, uint32_t n)
{
	count_out(fs, seg);
	zl_bits_fill(seg->used, from, n, false);
	seg->count = (uint16_t)zl_bits_count(seg->used);
	count_in(fs, seg);
}

void zl_seg_set_type(struct zl_fs *fs, struct zl_seg *seg, uint32_t type)
{
	count_out(fs, seg);
	seg->type = (uint8_t)type;
	count_in(fs, seg);
}

/* How much newer an address is than what its segment is used for; below 0: of an earlier use. */
static int newer_by(const struct zl_seg *seg, uint64_t addr)
{
	int by = (int)((zl_addr_gen(addr) - seg->gen) & ZLF_ADDR_GEN_MASK);

	if (ZL_BUG(FREE_AGAIN))
		return 0;
	return by > (int)ZLF_ADDR_GEN_MASK / 2 ? by - (int)ZLF_ADDR_GEN_MASK - 1 : by;
}

static void mark_dirty(struct zl_fs *fs, struct zl_seg *seg)
{
	if (seg->dirty)
		return;
	seg->dirty = true;
	fs->dirty_segs[fs->num_dirty_segs++] = zl_seg_index(fs, seg);
}

/* What the segment's bits are of has gone: it has got another use, of which they don't say. */
static void begin_use(struct zl_fs *fs, struct zl_seg *seg, uint64_t addr)
{
	seg->gen = (uint16_t)(seg->gen + newer_by(seg, addr));
	memset(seg->used, 0, sizeof(seg->used));
	memset(seg->media_used, 0, sizeof(seg->media_used));
	mark_dirty(fs, seg);
}

/*
 * Of a mount: what is in a segment is, or is not, whatever its bits say. But records that are
 * done again name blocks that are free since, and may be in a node or a log by now.
 */
static void claim(struct zl_fs *fs, uint64_t addr, uint32_t unit_bytes, uint32_t units, bool in)
{
	struct zl_seg *seg;
	uint32_t i, off;

	if (!units || !zl_addr_split(fs, addr, &i, &off))
		return;
	pthread_mutex_lock(&fs->space_lock);
	seg = &fs->segs[i];
	if (newer_by(seg, addr) < 0 || (!in && newer_by(seg, addr))) {
		pthread_mutex_unlock(&fs->space_lock);
		return;
	}
	count_out(fs, seg);
	if (newer_by(seg, addr))
		begin_use(fs, seg, addr);
	if (in)
		seg->type = (uint8_t)zl_addr_zone(addr);
	if (ZL_BUG(FREE_FREE) && !in && !zl_bit(seg->used, off / unit_bytes))
		abort();
	zl_bits_fill(seg->used, off / unit_bytes, units, in);
	seg->count = (uint16_t)zl_bits_count(seg->used);
	count_in(fs, seg);
	pthread_mutex_unlock(&fs->space_lock);
}

void zl_blocks_claim(struct zl_fs *fs, uint64_t addr, uint32_t blocks)
{
	claim(fs, addr, ZLF_BLOCK_BYTES, blocks, true);
}

void zl_node_claim(struct zl_fs *fs, uint64_t addr, bool in)
{
	claim(fs, addr, fs->geo.node_bytes, 1, in);
}

bool zl_units_used(struct zl_fs *fs, uint64_t addr, uint32_t units)
{
	uint32_t zone = zl_addr_zone(addr), seg, off, i, unit_bytes;
	bool used;

	if (!zl_addr_split(fs, addr, &seg, &off))
		return false;
	unit_bytes = zone == ZLF_SEG_NODE ? fs->geo.node_bytes : (uint32_t)ZLF_BLOCK_BYTES;
	pthread_mutex_lock(&fs->space_lock);
	used = fs->segs[seg].type == zone && !newer_by(&fs->segs[seg], addr);
	for (i = 0; i < units && used; i++)
		used = zl_bit(fs->segs[seg].used, off / unit_bytes + i);
	pthread_mutex_unlock(&fs->space_lock);
	return used;
}

/* --------------------------------------------------------- bits on the medium */

static void bits_change(struct zl_fs *fs, uint64_t addr, uint32_t units, bool value)
{
	uint32_t i, off, zone = zl_addr_zone(addr);
	struct zl_seg *seg;

	if (!units || !zl_addr_split(fs, addr, &i, &off))
		return;
	seg = &fs->segs[i];
	if (newer_by(seg, addr) < 0)	/* a mount does again what has been overtaken */
		return;
	zl_bits_fill(seg->media_used, off / (zone == ZLF_SEG_NODE ? fs->geo.node_bytes :
								 ZLF_BLOCK_BYTES), units, value);
	if (value) {
		seg->next_type = (uint8_t)zone;
		seg->next_gen = (uint16_t)((seg->gen & ~ZLF_ADDR_GEN_MASK) | zl_addr_gen(addr));
	}
	mark_dirty(fs, seg);
}

void zl_bits_set(struct zl_fs *fs, uint64_t addr, uint32_t units)
{
	bits_change(fs, addr, units, true);
}

void zl_bits_clear(struct zl_fs *fs, uint64_t addr, uint32_t units)
{
	bits_change(fs, addr, units, false);
}

bool zl_bits_are_set(const struct zl_fs *fs, uint64_t addr)
{
	const struct zl_seg *seg;
	uint32_t i, off;

	if (!zl_addr_split(fs, addr, &i, &off))
		return false;
	seg = &fs->segs[i];
	return !newer_by(seg, addr) && zl_bit(seg->media_used, off / ZLF_BLOCK_BYTES);
}

/* Its bits as they are to be, in one go: which of their words come first is the same to all. */
static void store_line(struct zl_fs *fs, const struct zl_seg *seg)
{
	uint32_t i = zl_seg_index(fs, seg), w;
	struct zl_dev *dev = zl_seg_dev(fs, i);
	uint64_t at = dev->bitmap_off + (uint64_t)(i - dev->first_segment) * ZLF_LINE_BYTES;
	struct zlf_bitmap bitmap;

	for (w = 0; w < 8; w++)
		bitmap.bits[w] = htole64(seg->media_used[w]);
	if (memcmp(&bitmap, dev->pm.media + at, sizeof(bitmap)) != 0)
		zl_pm_write(&dev->pm, ZL_META, at, &bitmap, sizeof(bitmap));
}

static void store_bits(struct zl_fs *fs, uint32_t i)
{
	struct zl_dev *dev = zl_seg_dev(fs, i);
	struct zl_seg *seg = &fs->segs[i];

	store_line(fs, seg);
	if (seg->next_type && (seg->next_type != seg->media_type ||
			       seg->next_gen != seg->media_gen)) {
		zl_pm_store64(&dev->pm, ZL_META, dev->table_off +
			      (uint64_t)(i - dev->first_segment) * ZLF_LINE_BYTES,
			      htole64(zl_seg_word(seg->next_type, 0, seg->next_gen)));
		seg->media_type = seg->next_type;
		seg->media_gen = seg->next_gen;
	}
	seg->next_type = 0;
	seg->dirty = false;
}

void zl_bits_store(struct zl_fs *fs)
{
	while (fs->num_dirty_segs)
		store_bits(fs, fs->dirty_segs[--fs->num_dirty_segs]);
}

/* --------------------------------------------------------------------- load */

static bool load_seg(struct zl_fs *fs, uint32_t i)
{
	struct zl_dev *dev = zl_seg_dev(fs, i);
	uint64_t at = (uint64_t)(i - dev->first_segment) * ZLF_LINE_BYTES;
	const struct zlf_segment *line = (const void *)(dev->pm.media + dev->table_off + at);
	const struct zlf_bitmap *bitmap = (const void *)(dev->pm.media + dev->bitmap_off + at);
	struct zl_seg *seg = &fs->segs[i];
	uint32_t type, log, gen, w;

	if (!zl_seg_word_split(zl_get64(line->word), &type, &log, &gen))
		return false;
	for (w = 0; w < 8; w++)
		seg->media_used[w] = zl_get64(bitmap->bits[w]);
	seg->media_type = (uint8_t)type;
	seg->media_gen = seg->gen = (uint16_t)gen;
	seg->near = dev->near;
	seg->log = (uint8_t)log;
	seg->seq = zl_get64(line->seq);
	if (type == ZLF_SEG_LOG && seg->seq >= zl_get64(fs->ckpt.min_log_seq)) {
		if (log >= ZLF_MAX_LOGS ||
		    zl_get32(line->crc) != zl_crc32c(fs->crc_seed, &line->seq, 28))
			return false;
		seg->type = ZLF_SEG_LOG;
	} else if (type == ZLF_SEG_BAD) {
		seg->type = ZLF_SEG_BAD;
	}
	return true;
}

int zl_segs_load(struct zl_fs *fs)
{
	uint32_t i;

	fs->segs = calloc(fs->num_segs, sizeof(*fs->segs));
	fs->dirty_segs = calloc(fs->num_segs, sizeof(*fs->dirty_segs));
	if (!fs->segs || !fs->dirty_segs)
		return -ENOMEM;
	for (i = 0; i < fs->num_segs; i++)
		if (!load_seg(fs, i)) {
			zus_log(ZUS_LOG_ERR, "zlogfs: segment %u: its entry in the table is damaged: "
				"fsck.zlogfs says more", i);
			return -EIO;
		}
	zl_segs_settle(fs);
	return 0;
}

static void init_lists(struct zl_fs *fs)
{
	uint32_t i, list;

	for (i = 0; i < fs->num_near; i++)
		for (list = 0; list < ZL_NEAR_LISTS; list++)
			TAILQ_INIT(&fs->near[i].lists[list]);
}

/* What the media say is what there is. */
void zl_segs_settle(struct zl_fs *fs)
{
	struct zl_seg *seg;

	init_lists(fs);
	fs->free_segs = 0;
	fs->free_blocks = fs->used_blocks = fs->used_nodes = 0;
	for (seg = fs->segs; seg < fs->segs + fs->num_segs; seg++) {
		memcpy(seg->used, seg->media_used, sizeof(seg->used));
		seg->count = (uint16_t)zl_bits_count(seg->used);
		if (seg->type != ZLF_SEG_LOG && seg->type != ZLF_SEG_BAD)
			seg->type = seg->media_type == ZLF_SEG_NODE ? ZLF_SEG_NODE : ZLF_SEG_DATA;
		seg->list = NULL;
		count_in(fs, seg);
	}
}

void zl_segs_free(struct zl_fs *fs)
{
	free(fs->segs);
	free(fs->dirty_segs);
	fs->segs = NULL;
	fs->dirty_segs = NULL;
}

