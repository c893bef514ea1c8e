// SPDX-License-Identifier: BSD-3-Clause
/*
 * recover.c - a mount: from what the newest checkpoint says, the log's records are made
 * pending again, in their order, and applied before anything new is done. A mount after an
 * unmount is the same with an empty log. One that only reads leaves them pending.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "item.h"
#include "node.h"
#include "owners.h"
#include "pending.h"

struct found {
	const struct zlf_record *record;
	uint64_t tid;
	uint32_t place;		/* in the order of the walk */
	bool ours;		/* of this incarnation: who made it may ask for it */
};

struct recovery {
	struct zl_fs *fs;
	struct found *found;
	uint32_t n, max;
	uint32_t replayed;
	uint64_t seg_max_tid;
	uint32_t log;		/* whose segment is read */
	bool ours;		/* it was opened by this incarnation */
	bool torn[ZLF_MAX_LOGS]; /* its last record has a word that nobody has stored there */
	uint64_t max_tid;
	struct zl_work_list queue;
};

/* ------------------------------------------------------------------------ log */

static int remember(void *arg, const struct zlf_record *record)
{
	struct recovery *rec = arg;
	struct found *grown;
	int counts;
	uint64_t tid = zl_get64(record->tid);

	if (tid > ZL_TID_MAX)
		return zl_freeze(rec->fs, "a record's tid", tid);
	rec->seg_max_tid = tid > rec->seg_max_tid ? tid : rec->seg_max_tid;
	if (rec->torn[rec->log])	/* it was not the last, so it had been durable */
		return zl_freeze(rec->fs, "the word of the record in front of", tid);
	counts = zl_record_counts(record);
	rec->torn[rec->log] = counts < 0;
	if (counts <= 0 && !ZL_BUG(WORD_UNSEEN))
		return 0;
	if (tid <= zl_get64(rec->fs->ckpt.applied_tid))
		return 0;
	if (rec->n == rec->max) {
		rec->max = rec->max ? 2 * rec->max : 1024;
		grown = realloc(rec->found, rec->max * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		rec->found = grown;
	}
	rec->found[rec->n] = (struct found) { record, tid, rec->n, rec->ours };
	rec->n++;
	return 0;
}

static int by_seq(const void *a, const void *b)
{
	const struct zl_seg *left = *(struct zl_seg *const *)a, *right = *(struct zl_seg *const *)b;

	return left->seq < right->seq ? -1 : left->seq > right->seq;
}

static int by_tid(const void *a, const void *b)
{
	const struct found *left = a, *right = b;

	if (left->tid != right->tid)
		return (left->tid < right->tid) != ZL_BUG(LOG_ORDER) ? -1 : 1;
	return left->place < right->place ? -1 : 1;
}

static bool opened_here(struct zl_fs *fs, uint32_t seg)
{
	const struct zl_dev *dev = zl_seg_dev(fs, seg);
	const struct zlf_segment *line = (const void *)(dev->pm.media + dev->table_off +
		(uint64_t)(seg - dev->first_segment) * ZLF_LINE_BYTES);

	return zl_get64(line->incarnation) == fs->incarnation;
}

/* One that is not a log's last has ended: a hole in it is damage, no end. */
static int walk_segs(struct recovery *rec, struct zl_seg **segs, uint32_t n)
{
	bool open[ZLF_MAX_LOGS] = { false }, closed;
	struct zl_fs *fs = rec->fs;
	uint32_t i, seg;
	int err = 0;

	for (i = 0; i < n && !err; i++) {
		seg = (uint32_t)(segs[i] - fs->segs);
		if (segs[i]->seq >= ZL_SEQ_END)
			return zl_freeze(fs, "a log segment's place", zl_seg_off(fs, seg));
		if (open[segs[i]->log])
			return zl_freeze(fs, "the log has a hole", zl_seg_off(fs, seg));
		rec->seg_max_tid = 0;
		rec->log = segs[i]->log;
		rec->ours = opened_here(fs, seg);
		err = zl_log_walk(fs, seg, segs[i]->seq, remember, rec, &closed);
		open[segs[i]->log] = !closed;
		if (!err)
			err = zl_log_adopt(fs, seg, rec->seg_max_tid);
		if (rec->max_tid < rec->seg_max_tid)
			rec->max_tid = rec->seg_max_tid;
		if (fs->next_log_seq <= segs[i]->seq && !ZL_BUG(SEQ_AGAIN))
			fs->next_log_seq = segs[i]->seq + 1;
	}
	return err;
}

/* As it is if one CPU did all. */
static bool in_order(const struct recovery *rec)
{
	uint32_t i;

	for (i = 1; i < rec->n; i++)
		if (by_tid(&rec->found[i - 1], &rec->found[i]) > 0)
			return false;
	return true;
}

static int read_log(struct recovery *rec)
{
	struct zl_fs *fs = rec->fs;
	struct zl_seg **segs;
	uint32_t i, n = 0;
	int err;

	for (i = 0; i < fs->num_segs; i++)
		n += fs->segs[i].type == ZLF_SEG_LOG;
	segs = calloc(n + 1ul, sizeof(struct zl_seg *));
	if (!segs)
		return -ENOMEM;
	for (i = n = 0; i < fs->num_segs; i++)
		if (fs->segs[i].type == ZLF_SEG_LOG)
			segs[n++] = &fs->segs[i];
	qsort(segs, n, sizeof(struct zl_seg *), by_seq);
	err = walk_segs(rec, segs, n);
	free(segs);
	if (!err && !in_order(rec))
		qsort(rec->found, rec->n, sizeof(*rec->found), by_tid);
	return err;
}

/* -------------------------------------------------------------------- records */

/* Of a chain of which the last part is there; else 0: the operation never returned. */
static uint32_t chain_parts(const struct recovery *rec, uint32_t i)
{
	uint32_t end = i;

	if (!(zl_get16(rec->found[i].record->flags) & ZLF_LF_PART))
		return 1;
	while (end < rec->n && rec->found[end].tid == rec->found[i].tid)
		end++;
	if (ZL_BUG(CHAIN_PART))
		return end - i;
	return zl_get16(rec->found[end - 1].record->flags) & ZLF_LF_LAST ? end - i : 0;
}

static void note_slot(struct zl_fs *fs, const struct zlf_record *record)
{
	struct zl_items items = zl_items(record->items, zl_get32(record->item_bytes));
	struct zl_item item;

	if (zl_item_next(&items, &item))
		zl_slot_note(fs, zl_get64(record->op_id), item.obj);
}

/*
 * Numbers that were given out are not given out again; a boundary is one from its record on;
 * and no node is put where a record has something.
 */
static int note_items(struct zl_fs *fs, const struct zlf_record *record)
{
	struct zl_items items = zl_items(record->items, zl_get32(record->item_bytes));
	struct zl_elem elem;
	struct zl_item item;
	int err = 0;

	while (!err && zl_item_next(&items, &item)) {
		if (fs->next_obj <= item.obj)
			fs->next_obj = item.obj + 1;
		if (item.kind != ZLF_ITEM_SET)
			continue;
		fs->shares |= item.rec_type == ZLF_REC_EXTENT && item.flags & ZLF_EF_SHARED;
		if (item.rec_type == ZLF_REC_SNAPSHOT)
			err = zl_boundary_add(fs, zl_get64(record->tid));
		zl_item_elem(&item, zl_get64(record->tid), &elem);
		if (!fs->rdonly)
			zl_blocks_claim(fs, item.addr, zl_elem_blocks(&elem.head));
	}
	return err;
}

static int note_record(struct recovery *rec, const struct zlf_record *record)
{
	if (!zl_items_valid(rec->fs, record->items, zl_get32(record->item_bytes)))
		return zl_freeze(rec->fs, "a record's contents", zl_get64(record->tid));
	return note_items(rec->fs, record);
}

static int apply_some(struct recovery *rec)
{
	struct zl_fs *fs = rec->fs;
	int err;

	pthread_mutex_lock(&fs->step);
	TAILQ_CONCAT(&fs->batch, &rec->queue, link);
	fs->batch_tid = fs->applied_tid;	/* for now */
	err = zl_apply_all(fs);
	pthread_mutex_unlock(&fs->step);
	return err;
}

/*
 * What is pending is applied in between, while it is in the processor's caches: after every
 * 2048 records, or, where segments are tiny, 4.
 */
static int replay_record(struct recovery *rec, const struct zlf_record *record)
{
	uint32_t bytes = zl_get32(record->item_bytes), every = rec->fs->geo.segment_lines / 16;
	struct zl_spares spares;
	int err = zl_spares_fill(&spares, record->items, bytes);

	if (err)
		return err;
	err = zl_effects(rec->fs, &rec->queue, &spares, zl_get64(record->tid), record->items,
			 bytes, NULL);
	zl_spares_free(&spares);
	if (!err && !rec->fs->rdonly && !(++rec->replayed % every))
		err = apply_some(rec);
	return err;
}

/* In their order all records of operations that are complete. */
static int each_record(struct recovery *rec,
		       int (*fn)(struct recovery *rec, const struct zlf_record *record))
{
	uint32_t i = 0, parts;
	int err = 0;

	while (i < rec->n && !err) {
		parts = chain_parts(rec, i);
		if (!parts) {		/* on to the next tid */
			for (parts = 1; i + parts < rec->n &&
					rec->found[i + parts].tid == rec->found[i].tid; )
				parts++;
			i += parts;
			continue;
		}
		if (rec->found[i].ours && !ZL_BUG(SEEN_LOST))
			note_slot(rec->fs, rec->found[i].record);
		for (; parts && !err; parts--, i++)
			err = fn(rec, rec->found[i].record);
	}
	return err;
}

/* All are looked at before anything is done. */
static int replay(struct recovery *rec)
{
	int err;

	rec->n -= ZL_BUG(LOG_LAST) && rec->n;
	err = each_record(rec, note_record);
	if (!err && !rec->fs->rdonly)
		err = zl_tree_settle_intents(rec->fs);
	return err ? err : each_record(rec, replay_record);
}

/* ----------------------------------------------------------------- boundaries */

static int load_boundaries(struct zl_fs *fs)
{
	struct zl_obj *obj = zl_obj_get(fs, ZLF_OBJ_SNAPSHOTS);
	struct zl_elem elem;
	uint64_t key = 0;
	int err;

	if (!obj)
		return -ENOMEM;
	while (!(err = zl_obj_next(obj, ZLF_REC_SNAPSHOT, key, &elem))) {
		err = zl_boundary_add(fs, zl_get64(elem.head.create_tid));
		key = zl_get64(elem.head.key) + 1;
		if (err)
			break;
	}
	zl_obj_put(obj);
	return err == -ENOENT ? 0 : err;
}

/* ---------------------------------------------------------------------- mount */

static int finish(struct zl_fs *fs, struct recovery *rec)
{
	int err = apply_some(rec);

	pthread_mutex_lock(&fs->step);
	fs->batch_tid = rec->max_tid;
	if (!err && fs->num_dirty_segs) {	/* what overtaken records had named */
		zl_bits_store(fs);
		zl_pm_fence();
	}
	fs->applied_tid = rec->max_tid;
	if (!err)
		err = zl_step_checkpoint(fs, false);
	pthread_mutex_unlock(&fs->step);
	zl_segs_settle(fs);
	fs->settled = true;
	return err ? err : zl_nodes_settled(fs);
}

int zl_recover(struct zl_fs *fs)
{
	struct recovery rec = { .fs = fs, .max_tid = zl_get64(fs->ckpt.max_tid) };
	uint32_t i;
	int err;

	TAILQ_INIT(&rec.queue);
	zl_slots_load(fs);
	fs->next_obj = zl_get64(fs->ckpt.next_obj);
	fs->applied_tid = zl_get64(fs->ckpt.applied_tid);
	fs->recovering = true;
	err = zl_owners_any(fs);
	fs->shares = err > 0;
	if (err >= 0)
		err = load_boundaries(fs);
	if (!err)
		err = read_log(&rec);
	if (!err)
		err = replay(&rec);
	if (!err)
		err = load_boundaries(fs);
	for (i = 0; i < ZLF_MAX_LOGS; i++)
		fs->logs[i].last_tid = rec.max_tid;
	if (!err && !fs->rdonly)
		err = finish(fs, &rec);
	TAILQ_CONCAT(&fs->batch, &rec.queue, link);	/* what is left: freed with it */
	fs->recovering = false;
	free(rec.found);
	return err;
}
