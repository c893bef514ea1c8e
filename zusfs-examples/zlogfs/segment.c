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
#include "zlogfs.h"

#define WORD_BITS	64u

/* ---------------------------------------------------------------- addresses */

uint64_t zl_addr_make(const struct zl_fs *fs, uint32_t zone, uint32_t gen, uint32_t seg,
		      uint32_t off)
{
	uint64_t dev = fs->num_devs ? fs->num_devs - 1 : 0, high = zone, at;

	while (dev && fs->devs[dev].first_segment > seg)
		dev--;
	at = seg - fs->devs[dev].first_segment;
	at = fs->devs[dev].first_segment_off + (at << fs->geo.segment_shift) + off;
	high = high << ZLF_ADDR_GEN_BITS | (gen & ZLF_ADDR_GEN_MASK);
	high = high << ZLF_ADDR_DEV_BITS | dev;
	return high << ZLF_ADDR_LINE_BITS | at / ZLF_LINE_BYTES;
}

uint64_t zl_addr(const struct zl_fs *fs, uint32_t zone, uint32_t seg, uint32_t off)
{
	return zl_addr_make(fs, zone, fs->segs[seg].gen, seg, off);
}

uint32_t zl_addr_zone(uint64_t addr)
{
	return (uint32_t)(addr >> ZLF_ADDR_ZONE_SHIFT);
}

static uint32_t addr_gen(uint64_t addr)
{
	return (uint32_t)(addr >> ZLF_ADDR_GEN_SHIFT) & ZLF_ADDR_GEN_MASK;
}

static uint32_t addr_dev(uint64_t addr)
{
	return (uint32_t)(addr >> ZLF_ADDR_DEV_SHIFT) & ((1u << ZLF_ADDR_DEV_BITS) - 1);
}

static uint64_t addr_bytes(uint64_t addr)
{
	return (addr & ((1ull << ZLF_ADDR_LINE_BITS) - 1)) * ZLF_LINE_BYTES;
}

bool zl_addr_split(const struct zl_fs *fs, uint64_t addr, uint32_t *seg, uint32_t *off)
{
	const struct zl_dev *dev = &fs->devs[addr_dev(addr)];
	uint64_t at = addr_bytes(addr);

	if (addr_dev(addr) >= fs->num_devs || at < dev->first_segment_off)
		return false;
	at -= dev->first_segment_off;
	if (at >> fs->geo.segment_shift >= dev->num_segments)
		return false;
	*seg = dev->first_segment + (uint32_t)(at >> fs->geo.segment_shift);
	*off = (uint32_t)at & (fs->geo.segment_bytes - 1);
	return true;
}

const void *zl_media(struct zl_fs *fs, uint64_t addr)
{
	return fs->devs[addr_dev(addr)].pm.media + addr_bytes(addr);
}

uint32_t zl_addr_dev(uint64_t addr, uint64_t *dev_off)
{
	*dev_off = addr_bytes(addr);
	return addr_dev(addr);
}

struct zl_dev *zl_seg_dev(struct zl_fs *fs, uint32_t seg)
{
	uint32_t dev = fs->num_devs - 1;

	while (fs->devs[dev].first_segment > seg)
		dev--;
	return &fs->devs[dev];
}

uint64_t zl_seg_off(struct zl_fs *fs, uint32_t seg)
{
	const struct zl_dev *dev = zl_seg_dev(fs, seg);

	return dev->first_segment_off +
	       ((uint64_t)(seg - dev->first_segment) << fs->geo.segment_shift);
}

/* -------------------------------------------------------------------- words */

uint64_t zl_seg_word(uint32_t type, uint32_t log, uint32_t gen)
{
	uint64_t word = type | (uint64_t)(log & 0xffff) << 16 | (uint64_t)(gen & 0xffff) << 32;
	zlf_le64 media = htole64(word);

	return word | (uint64_t)(zl_crc32c(UINT32_MAX, &media, 6) & 0xffff) << 48;
}

bool zl_seg_word_split(uint64_t word, uint32_t *type, uint32_t *log, uint32_t *gen)
{
	*type = word & 0xff;
	*log = word >> 16 & 0xffff;
	*gen = word >> 32 & 0xffff;
	if (!word)		/* never used */
		return true;
	return word == zl_seg_word(*type, *log, *gen) && *type <= ZLF_SEG_BAD;
}

/* --------------------------------------------------------------------- bits */

static bool bit_get(const uint64_t *bits, uint32_t i)
{
	return bits[i / WORD_BITS] >> i % WORD_BITS & 1;
}

static uint32_t count_bits(const uint64_t *bits)
{
	uint32_t i, n = 0;

	for (i = 0; i < 8; i++)
		n += (uint32_t)__builtin_popcountll(bits[i]);
	return n;
}

/* The first clear one from from on, below end; end: there is none. */
static uint32_t bit_clear_from(const uint64_t *bits, uint32_t from, uint32_t end)
{
	uint64_t word;

	while (from < end) {
		word = ~bits[from / WORD_BITS] >> from % WORD_BITS;
		if (word) {
			from += (uint32_t)__builtin_ctzll(word);
			return from < end ? from : end;
		}
		from = (from / WORD_BITS + 1) * WORD_BITS;
	}
	return end;
}

static void bits_fill(uint64_t *bits, uint32_t from, uint32_t n, bool value)
{
	uint32_t i;

	for (i = from; i < from + n; i++) {
		if (value)
			bits[i / WORD_BITS] |= 1ull << i % WORD_BITS;
		else
			bits[i / WORD_BITS] &= ~(1ull << i % WORD_BITS);
	}
}

/* -------------------------------------------------------------------- lists */

static struct zl_seg_list *list_of(struct zl_fs *fs, const struct zl_seg *seg)
{
	if (seg->type == ZLF_SEG_FREE)
		return &fs->empty;
	if (seg->type == ZLF_SEG_DATA && seg->count < fs->geo.segment_blocks)
		return &fs->partial;
	if (seg->type == ZLF_SEG_NODE && seg->count < fs->geo.segment_nodes)
		return &fs->node_partial;
	return NULL;
}

/* Around each change of a segment's type and count. */
static void unlist(struct zl_fs *fs, struct zl_seg *seg)
{
	struct zl_seg_list *list = list_of(fs, seg);

	if (list)
		TAILQ_REMOVE(list, seg, link);
	fs->free_segs -= seg->type == ZLF_SEG_FREE;
	if (seg->type == ZLF_SEG_DATA) {
		fs->free_blocks -= fs->geo.segment_blocks - seg->count;
		fs->used_blocks -= seg->count;
	}
	fs->used_nodes -= seg->type == ZLF_SEG_NODE ? seg->count : 0;
}

static void enlist(struct zl_fs *fs, struct zl_seg *seg)
{
	struct zl_seg_list *list;

	if (!seg->count && (seg->type == ZLF_SEG_DATA || seg->type == ZLF_SEG_NODE))
		seg->type = ZLF_SEG_FREE;
	list = list_of(fs, seg);
	if (list && ZL_REUSE_SOON)
		TAILQ_INSERT_HEAD(list, seg, link);
	else if (list)
		TAILQ_INSERT_TAIL(list, seg, link);
	fs->free_segs += seg->type == ZLF_SEG_FREE;
	if (seg->type == ZLF_SEG_DATA) {
		fs->free_blocks += fs->geo.segment_blocks - seg->count;
		fs->used_blocks += seg->count;
	}
	fs->used_nodes += seg->type == ZLF_SEG_NODE ? seg->count : 0;
}

static void take(struct zl_fs *fs, struct zl_seg *seg, uint32_t type, uint32_t from, uint32_t n)
{
	unlist(fs, seg);
	if (seg->type == ZLF_SEG_FREE) {
		seg->type = (uint8_t)type;
		seg->gen++;
	}
	bits_fill(seg->used, from, n, true);
	seg->count = (uint16_t)(seg->count + n);
	enlist(fs, seg);
}

static void give(struct zl_fs *fs, struct zl_seg *seg, uint32_t from, uint32_t n)
{
	unlist(fs, seg);
	bits_fill(seg->used, from, n, false);
	seg->count = (uint16_t)count_bits(seg->used);
	enlist(fs, seg);
}

/* ------------------------------------------------------------------- reserve */

/*
 * Segments that only the system may take: a log that is full and not yet applied, and twice
 * as much for the nodes that this can need.
 */
static uint32_t reserve_segs(const struct zl_fs *fs)
{
	return (uint32_t)(3 * fs->geo.unapplied_max_bytes >> fs->geo.segment_shift) + 4;
}

static bool may_take(const struct zl_fs *fs, enum zl_space_class class)
{
	uint32_t reserve = reserve_segs(fs);

	switch (class) {
	case ZL_SPACE_WRITE:
		return fs->free_segs > reserve + fs->num_segs / 64;
	case ZL_SPACE_REMOVE:
		return fs->free_segs > reserve / 2;
	default:
		return true;
	}
}

int zl_space_admit(struct zl_fs *fs, enum zl_space_class class)
{
	int err;

	pthread_mutex_lock(&fs->space_lock);
	err = may_take(fs, class) ? 0 : -ENOSPC;
	pthread_mutex_unlock(&fs->space_lock);
	return err;
}

bool zl_space_short(struct zl_fs *fs)
{
	bool waits = false;
	uint32_t i;

	if (!zl_space_admit(fs, ZL_SPACE_WRITE))
		return false;
	zl_logs_lock(fs);
	for (i = 0; i < fs->geo.num_logs; i++)
		waits |= !TAILQ_EMPTY(&fs->logs[i].queue);
	zl_logs_unlock(fs);
	return waits;
}

/* ------------------------------------------------------------------- blocks */

static uint32_t seg_index(const struct zl_fs *fs, const struct zl_seg *seg)
{
	return (uint32_t)(seg - fs->segs);
}

/* At most want in one piece from bit from on; *n: how many. false: all are in use. */
static bool find_run(const struct zl_fs *fs, const struct zl_seg *seg, uint32_t *from,
		     uint32_t want, uint32_t *n)
{
	uint32_t end = fs->geo.segment_blocks, at = bit_clear_from(seg->used, *from, end);

	if (at == end && *from)
		at = bit_clear_from(seg->used, 0, end);
	if (at == end)
		return false;
	*from = at;
	for (*n = 1; *n < want && at + *n < end && !bit_get(seg->used, at + *n); ++*n)
		;
	return true;
}

/* The segment in which to look, and from which bit on. */
static struct zl_seg *choose_seg(struct zl_fs *fs, uint64_t goal, bool whole, uint32_t *from)
{
	uint32_t seg, off;

	*from = 0;
	if (whole && !TAILQ_EMPTY(&fs->empty))
		return TAILQ_FIRST(&fs->empty);
	if (goal && zl_addr_split(fs, goal, &seg, &off) && fs->segs[seg].type == ZLF_SEG_DATA &&
	    fs->segs[seg].count < fs->geo.segment_blocks) {
		*from = off / ZLF_BLOCK_BYTES;
		return &fs->segs[seg];
	}
	if (!TAILQ_EMPTY(&fs->partial))
		return TAILQ_FIRST(&fs->partial);
	return TAILQ_FIRST(&fs->empty);
}

uint64_t zl_blocks_alloc(struct zl_fs *fs, enum zl_space_class class, uint32_t want,
			 uint64_t goal, bool whole, uint32_t *got)
{
	uint64_t addr = 0;
	struct zl_seg *seg;
	uint32_t from;

	pthread_mutex_lock(&fs->space_lock);
	seg = may_take(fs, class) ? choose_seg(fs, goal, whole, &from) : NULL;
	if (seg && find_run(fs, seg, &from, want, got)) {
		take(fs, seg, ZLF_SEG_DATA, from, *got);
		addr = zl_addr(fs, ZLF_SEG_DATA, seg_index(fs, seg), from * ZLF_BLOCK_BYTES);
	}
	pthread_mutex_unlock(&fs->space_lock);
	return addr;
}

void zl_blocks_free(struct zl_fs *fs, uint64_t addr, uint32_t blocks)
{
	uint32_t seg, off;

	if (!blocks || !zl_addr_split(fs, addr, &seg, &off))
		return;
	pthread_mutex_lock(&fs->space_lock);
	give(fs, &fs->segs[seg], off / ZLF_BLOCK_BYTES, blocks);
	pthread_mutex_unlock(&fs->space_lock);
}

/* How much newer an address is than what its segment is used for; below 0: of an earlier use. */
static int newer_by(const struct zl_seg *seg, uint64_t addr)
{
	int by = (int)((addr_gen(addr) - seg->gen) & ZLF_ADDR_GEN_MASK);

	if (ZL_BUG(FREE_AGAIN))
		return 0;
	return by > (int)ZLF_ADDR_GEN_MASK / 2 ? by - (int)ZLF_ADDR_GEN_MASK - 1 : by;
}

static void mark_dirty(struct zl_fs *fs, struct zl_seg *seg)
{
	if (seg->dirty)
		return;
	seg->dirty = true;
	fs->dirty_segs[fs->num_dirty_segs++] = seg_index(fs, seg);
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
	unlist(fs, seg);
	if (newer_by(seg, addr))
		begin_use(fs, seg, addr);
	if (in)
		seg->type = (uint8_t)zl_addr_zone(addr);
	if (ZL_BUG(FREE_FREE) && !in && !bit_get(seg->used, off / unit_bytes))
		abort();
	bits_fill(seg->used, off / unit_bytes, units, in);
	seg->count = (uint16_t)count_bits(seg->used);
	enlist(fs, seg);
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
		used = bit_get(fs->segs[seg].used, off / unit_bytes + i);
	pthread_mutex_unlock(&fs->space_lock);
	return used;
}

/* -------------------------------------------------------------- nodes and logs */

uint64_t zl_node_alloc(struct zl_fs *fs)
{
	uint64_t addr = 0;
	struct zl_seg *seg;
	uint32_t bit;

	pthread_mutex_lock(&fs->space_lock);
	seg = TAILQ_FIRST(&fs->node_partial);
	if (!seg)
		seg = TAILQ_FIRST(&fs->empty);
	if (seg) {
		bit = bit_clear_from(seg->used, 0, fs->geo.segment_nodes);
		take(fs, seg, ZLF_SEG_NODE, bit, 1);
		addr = zl_addr(fs, ZLF_SEG_NODE, seg_index(fs, seg), bit * fs->geo.node_bytes);
	}
	pthread_mutex_unlock(&fs->space_lock);
	return addr;
}

void zl_node_release(struct zl_fs *fs, uint64_t addr)
{
	uint32_t seg, off;

	if (!zl_addr_split(fs, addr, &seg, &off))
		return;
	pthread_mutex_lock(&fs->space_lock);
	give(fs, &fs->segs[seg], off / fs->geo.node_bytes, 1);
	pthread_mutex_unlock(&fs->space_lock);
}

uint32_t zl_log_seg_alloc(struct zl_fs *fs)
{
	uint32_t i = ZL_NONE;
	struct zl_seg *seg;

	pthread_mutex_lock(&fs->space_lock);
	seg = TAILQ_FIRST(&fs->empty);
	if (seg) {
		i = seg_index(fs, seg);
		unlist(fs, seg);
		seg->type = ZLF_SEG_LOG;
		seg->gen++;
		enlist(fs, seg);
	}
	pthread_mutex_unlock(&fs->space_lock);
	return i;
}

void zl_log_seg_release(struct zl_fs *fs, uint32_t i)
{
	pthread_mutex_lock(&fs->space_lock);
	unlist(fs, &fs->segs[i]);
	fs->segs[i].type = ZLF_SEG_FREE;
	enlist(fs, &fs->segs[i]);
	pthread_mutex_unlock(&fs->space_lock);
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
	bits_fill(seg->media_used, off / (zone == ZLF_SEG_NODE ? fs->geo.node_bytes :
								 ZLF_BLOCK_BYTES), units, value);
	if (value) {
		seg->next_type = (uint8_t)zone;
		seg->next_gen = (uint16_t)((seg->gen & ~ZLF_ADDR_GEN_MASK) | addr_gen(addr));
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

static void store_bits(struct zl_fs *fs, uint32_t i)
{
	struct zl_dev *dev = zl_seg_dev(fs, i);
	uint64_t at = dev->bitmap_off + (uint64_t)(i - dev->first_segment) * ZLF_LINE_BYTES;
	const struct zlf_bitmap *now = (const void *)(dev->pm.media + at);
	struct zl_seg *seg = &fs->segs[i];
	uint32_t w;

	for (w = 0; w < 8; w++)
		if (zl_get64(now->bits[w]) != seg->media_used[w])
			zl_pm_store64(&dev->pm, ZL_META, at + w * sizeof(uint64_t),
				      htole64(seg->media_used[w]));
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

	TAILQ_INIT(&fs->empty);
	TAILQ_INIT(&fs->partial);
	TAILQ_INIT(&fs->node_partial);
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

/* What the media say is what there is. */
void zl_segs_settle(struct zl_fs *fs)
{
	struct zl_seg *seg;

	TAILQ_INIT(&fs->empty);
	TAILQ_INIT(&fs->partial);
	TAILQ_INIT(&fs->node_partial);
	fs->free_segs = 0;
	fs->free_blocks = fs->used_blocks = fs->used_nodes = 0;
	for (seg = fs->segs; seg < fs->segs + fs->num_segs; seg++) {
		memcpy(seg->used, seg->media_used, sizeof(seg->used));
		seg->count = (uint16_t)count_bits(seg->used);
		if (seg->type != ZLF_SEG_LOG && seg->type != ZLF_SEG_BAD)
			seg->type = seg->media_type == ZLF_SEG_NODE ? ZLF_SEG_NODE : ZLF_SEG_DATA;
		enlist(fs, seg);
	}
}

void zl_segs_free(struct zl_fs *fs)
{
	free(fs->segs);
	free(fs->dirty_segs);
	fs->segs = NULL;
	fs->dirty_segs = NULL;
}

/* The log's segments are of what is kept for log and tree: they come back by themselves. */
void zl_space_count(struct zl_fs *fs, struct zus_statfs *st)
{
	uint64_t kept = reserve_segs(fs) + fs->num_segs / 64, per = fs->geo.segment_blocks, segs;

	pthread_mutex_lock(&fs->space_lock);
	segs = fs->free_segs + __atomic_load_n(&fs->live_log_segs, __ATOMIC_RELAXED);
	st->blocks = fs->num_segs * per;
	st->blocks_free = segs * per + fs->free_blocks;
	st->blocks_avail = segs > kept ? (segs - kept) * per + fs->free_blocks : 0;
	pthread_mutex_unlock(&fs->space_lock);
	st->block_bytes = ZLF_BLOCK_BYTES;
}
