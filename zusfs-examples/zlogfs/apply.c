// SPDX-License-Identifier: BSD-3-Clause
/*
 * apply.c - the applier: what the log's records have changed comes into the tree, in their
 * order, many at once. What a boundary wants to be kept goes to history first. Nothing here
 * is lost with a crash: the log has it until a checkpoint says that it is applied, and who
 * applies twice has applied once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "bug.h"

#define LOOK_AHEAD	8u
#define RANGE_MAX	16u	/* at a time */

static_assert(RANGE_MAX * 256 <= ZL_BATCH_MAX, "blocks of a segment fall into so many pieces");

int zl_apply_init(struct zl_fs *fs)
{
	fs->applying = malloc(sizeof(*fs->applying));
	return fs->applying ? 0 : -ENOMEM;
}

void zl_apply_free(struct zl_fs *fs)
{
	free(fs->applying);
	fs->applying = NULL;
}

static void begin_batch(struct zl_batch *batch)
{
	batch->n = batch->num_dropped = 0;
	batch->hints.dev = NULL;
}

/* -------------------------------------------------------------------- queues */

static uint64_t order_of(const struct zl_log *log)
{
	return TAILQ_FIRST(&log->queue)->order;
}

/* Logs with work, the one with the oldest in front; *until: where another one's begins. */
static void oldest_first(struct zl_log **logs, uint32_t n, uint64_t *until)
{
	struct zl_log *log;
	uint32_t i;

	*until = UINT64_MAX;
	for (i = 1; i < n; i++) {
		log = logs[i];
		if (order_of(log) < order_of(logs[0])) {
			logs[i] = logs[0];
			logs[0] = log;
		}
		if (order_of(logs[i]) < *until)
			*until = order_of(logs[i]);
	}
}

/* All that logs have, in the order of records. */
static void merge_queues(struct zl_fs *fs)
{
	struct zl_log *logs[ZLF_MAX_LOGS], *log;
	struct zl_work *work;
	uint32_t n = 0, i;
	uint64_t until;

	for (i = 0; i < fs->geo.num_logs; i++)
		if (!TAILQ_EMPTY(&fs->logs[i].queue))
			logs[n++] = &fs->logs[i];
	while (n > 1) {
		oldest_first(logs, n, &until);
		log = logs[0];
		while ((work = TAILQ_FIRST(&log->queue)) && work->order < until) {
			TAILQ_REMOVE(&log->queue, work, link);
			TAILQ_INSERT_TAIL(&fs->batch, work, link);
		}
		if (!work)
			logs[0] = logs[--n];
	}
	if (n)
		TAILQ_CONCAT(&fs->batch, &logs[0]->queue, link);
}

void zl_logs_lock(struct zl_fs *fs)
{
	uint32_t i;

	for (i = 0; i < fs->geo.num_logs; i++)
		pthread_mutex_lock(&fs->logs[i].lock);
}

void zl_logs_unlock(struct zl_fs *fs)
{
	uint32_t i;

	for (i = fs->geo.num_logs; i--;)
		pthread_mutex_unlock(&fs->logs[i].lock);
}

uint64_t zl_logs_level(struct zl_fs *fs)
{
	uint64_t max = 0;
	uint32_t i;

	for (i = 0; i < fs->geo.num_logs; i++)
		max = fs->logs[i].last_tid > max ? fs->logs[i].last_tid : max;
	for (i = 0; i < fs->geo.num_logs; i++)
		fs->logs[i].last_tid = max;
	return max;
}

/* A mistake that bug.h has. */
static void take_apart(struct zl_fs *fs)
{
	struct zl_log *log;

	for (log = fs->logs; log < fs->logs + fs->geo.num_logs; log++) {
		pthread_mutex_lock(&log->lock);
		TAILQ_CONCAT(&fs->batch, &log->queue, link);
		pthread_mutex_unlock(&log->lock);
	}
}

/*
 * All logs at once, so that nothing is taken without what it stands on; and no record that
 * comes later gets a lower tid.
 */
static void take_queues(struct zl_fs *fs)
{
	uint64_t not_known, seen_tid = fs->seen_tid;

	zl_words_settle(fs);
	if (ZL_BUG(QUEUES_APART))
		take_apart(fs);
	zl_logs_lock(fs);
	if (!ZL_BUG(QUEUES_APART))
		merge_queues(fs);
	fs->seen_tid = fs->batch_tid = zl_logs_level(fs);
	not_known = zl_words_oldest(fs);	/* it may yet come to count, behind what is taken */
	if (fs->batch_tid >= not_known)
		fs->batch_tid = not_known - 1;
	zl_logs_taken(fs, fs->batch_tid == fs->seen_tid, fs->batch_tid >= seen_tid);
	zl_logs_unlock(fs);
}

/* ------------------------------------------------------------------- history */

bool zl_wanted(const struct zl_fs *fs, const struct zlf_elem *elem, uint64_t until_tid)
{
	return zl_boundary_between(fs, zl_get64(elem->create_tid), until_tid);
}

void zl_past_of(const struct zl_elem *elem, uint64_t until_tid, struct zl_elem *past)
{
	memcpy(past, elem, elem->head.lines * ZLF_LINE_BYTES);
	past->head.rec_type |= ZLF_REC_HISTORY;
	past->head.end_tid = htole64(until_tid);
}

/* What was there until a record, if a boundary wants it. */
static int keep(struct zl_fs *fs, const struct zl_elem *elem, uint64_t until_tid)
{
	struct zl_elem past, old;
	int err;

	if (!zl_wanted(fs, &elem->head, until_tid))
		return 0;
	zl_past_of(elem, until_tid, &past);
	zl_bits_set(fs, zl_get64(past.head.addr), zl_elem_blocks(&past.head));
	err = zl_tree_put(fs, &past, NULL, &old);
	return err < 0 ? err : 0;
}

/* An extent's past is told by what leaves the file, block by block. */
static bool tells_past(const struct zl_elem *elem)
{
	return elem->head.rec_type != ZLF_REC_EXTENT;
}

static int keep_old_of(struct zl_fs *fs, const struct zl_pending *p)
{
	const struct zl_key key = zl_elem_key(&p->elem.head);
	struct zl_elem elem;
	int err;

	if (!tells_past(&p->elem))
		return 0;
	err = zl_tree_find(fs, &key, &elem);
	if (!err && zl_get64(elem.head.end_tid) < p->work.tid)
		return keep(fs, &elem, p->work.tid);
	/* a mount that meets what has been overtaken in the tree already */
	if (!err && p->detached && p->elem.head.lines)
		return keep(fs, &p->elem, p->ended_tid);
	return err == -ENOENT ? 0 : err;
}

/*
 * History is durable before the batch takes from the tree what it is of: so a crash in
 * between finds both, and the batch does the same again.
 */
static int keep_history(struct zl_fs *fs, const struct zl_batch *batch)
{
	uint32_t i;
	int err = 0, end;

	if (!fs->num_boundaries)
		return 0;
	for (i = 0; i < batch->n && !err; i++)
		if (batch->work[i]->kind == ZL_WORK_PENDING)
			err = keep_old_of(fs, zl_pending_of(batch->work[i]));
	end = zl_tree_commit(fs);
	return err ? err : end;
}

/* ---------------------------------------------------------------------- items */

static void flush_hints(struct zl_hint_line *line)
{
	if (line->dev)
		zl_pm_write(&line->dev->pm, ZL_META, line->off, line->hints, sizeof(line->hints));
	line->dev = NULL;
}

static void store_hint(struct zl_hint_line *line, struct zl_dev *dev, uint64_t off,
		       const struct zlf_hint *hint)
{
	uint64_t within = off % ZLF_LINE_BYTES;

	if (line->dev != dev || line->off != off - within) {
		flush_hints(line);
		line->dev = dev;
		line->off = off - within;
		memcpy(line->hints, dev->pm.media + line->off, sizeof(line->hints));
	}
	line->hints[within / sizeof(*hint)] = *hint;
}

/* For repair, and for who moves blocks: nobody relies on it. */
static void store_hints(struct zl_fs *fs, struct zl_batch *batch, const struct zlf_elem *elem,
			uint32_t blocks)
{
	struct zlf_hint hint = { elem->obj, elem->key };
	uint64_t addr = zl_get64(elem->addr), off;
	struct zl_dev *dev = &fs->devs[zl_addr_dev(addr, &off)];
	uint64_t at = dev->hints_off + (off - dev->first_segment_off) / ZLF_BLOCK_BYTES *
					       sizeof(hint);
	uint32_t i;

	for (i = 0; i < blocks; i++) {
		store_hint(&batch->hints, dev, at + i * sizeof(hint), &hint);
		hint.key = htole64(zl_get64(hint.key) + (elem->rec_type == ZLF_REC_EXTENT));
	}
}

void zl_drop_run(struct zl_fs *fs, struct zl_batch *batch, uint64_t addr, uint32_t blocks)
{
	if (!blocks)
		return;
	zl_bits_clear(fs, addr, blocks);
	batch->dropped[batch->num_dropped++] = (struct zl_run) { addr, blocks };
}

static void drop(struct zl_fs *fs, struct zl_batch *batch, const struct zl_elem *old, uint64_t tid)
{
	/* shared ones have been dropped, if so, by share.c */
	if (old->head.lines && !zl_shares(&old->head) && !zl_wanted(fs, &old->head, tid))
		zl_drop_run(fs, batch, zl_get64(old->head.addr), zl_elem_blocks(&old->head));
}

static int put_one(struct zl_fs *fs, struct zl_batch *batch, struct zl_pending *p,
		   struct zl_elem *old)
{
	uint32_t blocks = zl_elem_blocks(&p->elem.head);
	int err = ZL_BUG(ELEM_IN_PLACE) ? zl_tree_spoil(fs, &p->elem) : 0;

	err = err ? err : zl_tree_put(fs, &p->elem, &p->lead, old);
	if (!err && blocks) {
		zl_bits_set(fs, zl_get64(p->elem.head.addr), blocks);
		store_hints(fs, batch, &p->elem.head, blocks);
	}
	return err < 0 ? err : 0;
}

static int apply_pending(struct zl_fs *fs, struct zl_batch *batch, struct zl_pending *p)
{
	const struct zl_key key = zl_elem_key(&p->elem.head);
	bool put = p->elem.head.lines;
	struct zl_elem old;
	int err;

	if (put && !tells_past(&p->elem))
		return put_one(fs, batch, p, NULL);
	if (put)
		err = put_one(fs, batch, p, &old);
	else
		err = zl_tree_del(fs, &key, p->work.tid, &old);
	/* what was put again is still where it was */
	if (!err && tells_past(&p->elem) && !(put && p->elem.head.addr == old.head.addr))
		drop(fs, batch, &old, p->work.tid);
	return err < 0 ? err : 0;
}

void zl_freed_extent(const struct zl_freed *freed, struct zl_elem *extent)
{
	extent->head = (struct zlf_elem) {
		.rec_type = ZLF_REC_EXTENT, .lines = 1, .obj = htole64(freed->obj),
		.flags = freed->shared ? ZLF_EF_SHARED : 0, .key = htole64(freed->key),
		.create_tid = htole64(freed->create_tid), .end_tid = htole64(freed->work.tid),
		.addr = htole64(freed->addr), .len = htole32(freed->blocks),
	};
}

static int apply_freed(struct zl_fs *fs, struct zl_batch *batch, const struct zl_freed *freed)
{
	struct zl_elem elem;

	zl_freed_extent(freed, &elem);
	if (zl_wanted(fs, &elem.head, freed->work.tid))
		return keep(fs, &elem, freed->work.tid);
	if (freed->shared)
		return 0;		/* share.c has asked who else has them */
	zl_drop_run(fs, batch, freed->addr, freed->blocks);
	batch->num_dropped -= ZL_BUG(FREE_AT_ONCE) && !fs->recovering;
	return 0;
}

static int apply_one(struct zl_fs *fs, struct zl_batch *batch, struct zl_work *work)
{
	if (work->kind == ZL_WORK_PENDING)
		return apply_pending(fs, batch, zl_pending_of(work));
	return apply_freed(fs, batch, zl_freed_of(work));
}

/* Nodes come from memory while those in front are worked at. */
static void look_ahead(const struct zl_fs *fs, const struct zl_batch *batch, uint32_t i)
{
	const struct zl_pending *p;
	struct zl_key key;

	if (i >= batch->n || batch->work[i]->kind != ZL_WORK_PENDING)
		return;
	p = zl_pending_of(batch->work[i]);
	key = zl_elem_key(&p->elem.head);
	zl_tree_prefetch(fs, &key, &p->lead);
}

static void free_dropped(struct zl_fs *fs, const struct zl_batch *batch)
{
	uint32_t i;

	for (i = 0; i < batch->num_dropped && !fs->recovering; i++)
		zl_blocks_free(fs, batch->dropped[i].addr, batch->dropped[i].blocks);
}

/*
 * What a boundary wants of a key comes into the tree before what it is overtaken by: so they
 * are of two batches. Two keys of one hash are, too, which does no harm.
 */
static bool has_key_of(struct zl_batch *batch, const struct zlf_elem *elem)
{
	uint64_t hash = elem->obj * 0x9e3779b97f4a7c15ull ^ elem->rec_type, i;

	hash = (hash ^ elem->key) * 0xbf58476d1ce4e5b9ull;
	hash = (hash ^ hash >> 31) | 1;		/* 0: nothing there */
	for (i = hash >> 20 & (ZL_SEEN_MAX - 1); batch->seen[i]; i = (i + 1) & (ZL_SEEN_MAX - 1))
		if (batch->seen[i] == hash)
			return true;
	batch->seen[i] = hash;
	return false;
}

/* From now on each key is in a batch once. false: but for this batch, which has begun. */
static bool begin_sharing(struct zl_fs *fs, struct zl_batch *batch)
{
	if (batch->n)
		return false;
	fs->shares = true;
	memset(batch->seen, 0, sizeof(batch->seen));
	return true;
}

/*
 * Where anything is kept or shared each key is in a batch once, so that what the tree has of it
 * is what was there in front of the batch.
 */
static bool key_waits(struct zl_fs *fs, struct zl_batch *batch, const struct zl_pending *p)
{
	if (!fs->shares && p->elem.head.lines && zl_shares(&p->elem.head) &&
	    !begin_sharing(fs, batch))
		return true;
	return (fs->num_boundaries || fs->shares) && has_key_of(batch, &p->elem.head);
}

/* From here on nobody changes it. false: it has to wait. */
static bool stage_pending(struct zl_fs *fs, struct zl_batch *batch, struct zl_pending *p)
{
	bool waits;

	pthread_mutex_lock(&p->obj->lock);
	waits = key_waits(fs, batch, p);
	p->staged = !waits && !ZL_BUG(STAGE_UNSAID);
	pthread_mutex_unlock(&p->obj->lock);
	return !waits;
}

static bool stage_one(struct zl_fs *fs, struct zl_batch *batch, struct zl_work *work)
{
	switch (work->kind) {
	case ZL_WORK_PENDING:
		return stage_pending(fs, batch, zl_pending_of(work));
	case ZL_WORK_FREE:
		return fs->shares || !zl_freed_of(work)->shared || begin_sharing(fs, batch);
	default:
		return false;
	}
}

static void stage(struct zl_fs *fs, struct zl_batch *batch, uint32_t max)
{
	uint32_t pieces = 0;
	struct zl_work *work;

	if (max > ZL_BATCH_MAX)
		max = ZL_BATCH_MAX;
	if (fs->num_boundaries || fs->shares)
		memset(batch->seen, 0, sizeof(batch->seen));
	while (batch->n < max && (work = TAILQ_FIRST(&fs->batch))) {
		pieces += zl_share_pieces(work);
		if (pieces > ZL_BATCH_MAX || !stage_one(fs, batch, work))
			break;
		TAILQ_REMOVE(&fs->batch, work, link);
		batch->work[batch->n++] = work;
	}
}

static void unstage_pending(struct zl_pending *p)
{
	struct zl_obj *obj = p->obj;

	pthread_mutex_lock(&obj->lock);
	if (!p->detached)
		zl_pending_remove(p);
	zl_obj_settle(obj);
	pthread_mutex_unlock(&obj->lock);
	zl_pending_free(p);
}

static void unstage(struct zl_batch *batch)
{
	uint32_t i;

	for (i = 0; i < batch->n; i++) {
		if (batch->work[i]->kind == ZL_WORK_PENDING)
			unstage_pending(zl_pending_of(batch->work[i]));
		else
			free(zl_freed_of(batch->work[i]));
	}
}

/* What failed stays where it is: in the log, for a mount to come. */
static int apply_items(struct zl_fs *fs, uint32_t max)
{
	struct zl_batch *batch = fs->applying;
	uint32_t i;
	int err, end;

	begin_batch(batch);
	stage(fs, batch, max);
	err = keep_history(fs, batch);
	if (!err)
		err = zl_share_batch(fs, batch);
	for (i = 0; i < batch->n && !err; i++) {
		look_ahead(fs, batch, i + LOOK_AHEAD);
		err = apply_one(fs, batch, batch->work[i]);
	}
	flush_hints(&batch->hints);
	end = zl_tree_commit(fs);
	err = err ? err : end;
	if (!err)
		free_dropped(fs, batch);
	else
		zl_freeze(fs, "changes could not be applied; the tree", (uint64_t)-err);
	unstage(batch);
	return err;
}

/* --------------------------------------------------------------------- ranges */

/* The next elements that the range ends; *n of them, from *next on. */
static int range_some(struct zl_fs *fs, const struct zl_range *range, struct zl_key *keys,
		      struct zl_elem *elems, uint32_t max, uint32_t *n, uint64_t *next)
{
	struct zl_key key = { .obj = range->obj->id, .key = *next, .rec_type = range->rec_type };
	int err;

	for (*n = 0; *n < max; ) {
		err = zl_tree_next_prune(fs, &key, &elems[*n]);
		if (err)
			return err;
		keys[*n] = zl_elem_key(&elems[*n].head);
		if (keys[*n].obj != key.obj || keys[*n].rec_type != key.rec_type ||
		    (keys[*n].key >= range->to && range->to != UINT64_MAX))
			return -ENOENT;
		key.key = *next = keys[*n].key + 1;
		*n += zl_get64(elems[*n].head.end_tid) < range->work.tid;
		if (!*next)
			return -ENOENT;
	}
	return 0;
}

static int range_step(struct zl_fs *fs, const struct zl_range *range, uint32_t max, bool *more)
{
	struct zl_batch *batch = fs->applying;
	struct zl_elem elems[RANGE_MAX], old;
	struct zl_key keys[RANGE_MAX];
	uint32_t n, i;
	int err, end;

	if (max > RANGE_MAX)
		max = RANGE_MAX;
	begin_batch(batch);
	err = range_some(fs, range, keys, elems, max, &n, &fs->range_next);
	*more = !err;
	err = err == -ENOENT ? 0 : err;
	for (i = 0; i < n && !err; i++) {
		err = keep(fs, &elems[i], range->work.tid);
		if (!err)
			err = zl_share_ended(fs, batch, &elems[i], range->work.tid);
	}
	end = zl_tree_commit(fs);
	err = err ? err : end;
	for (i = 0; i < n && !err; i++) {
		err = zl_tree_del(fs, &keys[i], range->work.tid, &old);
		if (!err)
			drop(fs, batch, &old, range->work.tid);
		err = err < 0 ? err : 0;
	}
	end = zl_tree_commit(fs);
	err = err ? err : end;
	if (!err)
		free_dropped(fs, batch);
	return err;
}

static void range_end(struct zl_fs *fs, struct zl_range *range)
{
	struct zl_obj *obj = range->obj;

	TAILQ_REMOVE(&fs->batch, &range->work, link);
	pthread_mutex_lock(&obj->lock);
	TAILQ_REMOVE(&obj->ranges, range, in_obj);
	zl_obj_settle(obj);
	pthread_mutex_unlock(&obj->lock);
	fs->range_next = 0;
	free(range);
	zl_obj_put(obj);
}

static int apply_range(struct zl_fs *fs, struct zl_range *range, uint32_t max)
{
	bool more;
	int err;

	if (fs->range_next < range->from)
		fs->range_next = range->from;
	err = range_step(fs, range, max, &more);
	if (err)
		zl_freeze(fs, "a range could not be applied; the tree", (uint64_t)-err);
	if (err || !more)
		range_end(fs, range);
	return err;
}

/* ---------------------------------------------------------------------- steps */

int zl_step_apply(struct zl_fs *fs, uint32_t max_items)
{
	struct zl_work *work;
	int err;

	if (__atomic_load_n(&fs->frozen, __ATOMIC_ACQUIRE))
		return -EROFS;
	if (TAILQ_EMPTY(&fs->batch))
		take_queues(fs);
	work = TAILQ_FIRST(&fs->batch);
	if (!work) {
		fs->applied_tid = fs->batch_tid;
		return 0;
	}
	if (work->kind == ZL_WORK_RANGE)
		err = apply_range(fs, zus_container_of(work, struct zl_range, work), max_items);
	else
		err = apply_items(fs, max_items);
	if (!err && TAILQ_EMPTY(&fs->batch))
		fs->applied_tid = fs->batch_tid;
	return err ? err : 1;
}

int zl_apply_all(struct zl_fs *fs)
{
	int ret = 1;

	/* what there is, then what came meanwhile, once */
	while (ret == 1 && !TAILQ_EMPTY(&fs->batch))
		ret = zl_step_apply(fs, ZL_BATCH_MAX);
	if (ret == 1)
		ret = zl_step_apply(fs, ZL_BATCH_MAX);
	while (ret == 1 && !TAILQ_EMPTY(&fs->batch))
		ret = zl_step_apply(fs, ZL_BATCH_MAX);
	return ret < 0 ? ret : 0;
}
