// SPDX-License-Identifier: BSD-3-Clause
/*
 * word.c - writes that a commit word makes part of the file. When the kernel asks where the
 * bytes shall go, all that follows is known but for one thing, whether they will come: so the
 * record is written at once, and counts when its word has become its tid. The kernel stores the
 * word itself, and tells of it later; until then who wants the inode looks at the word.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "ops.h"
#include "pending.h"

/* A record that may come to count. Of an inode there is one at most: nobody else writes to it. */
struct zl_word {
	TAILQ_ENTRY(zl_word) link;	/* in log->words */
	struct zl_obj *obj;		/* with a reference */
	struct zl_log *log;
	const zlf_le64 *at;
	uint64_t tid;
	uint64_t op_id;
	uint64_t map_id;
	uint64_t end;			/* of the bytes that it is about */
	struct zl_spares spares;
	uint32_t item_bytes;
	struct zl_obj **objs;		/* of each item: behind the items */
	uint8_t items[];
};

static bool is_stored(const struct zl_word *w)
{
	return zl_get64(__atomic_load_n(w->at, __ATOMIC_ACQUIRE)) == w->tid;
}

/* -------------------------------------------------------------------- prepare */

static struct zl_word *new_word(const struct zl_op *op, struct zl_obj *obj, uint64_t map_id,
				uint64_t end)
{
	uint32_t bytes = (op->item_bytes + 7) & ~7u;
	struct zl_word *w = calloc(1, sizeof(*w) + bytes + op->num_items * sizeof(struct zl_obj *));

	if (!w)
		return NULL;
	w->item_bytes = op->item_bytes;
	w->objs = (struct zl_obj **)(void *)(w->items + bytes);
	memcpy(w->items, op->items, op->item_bytes);
	memcpy(w->objs, op->objs, op->num_items * sizeof(struct zl_obj *));
	if (zl_spares_fill(&w->spares, w->items, w->item_bytes)) {
		free(w);
		return NULL;
	}
	w->obj = zl_obj_ref(obj);
	w->op_id = op->op_id;
	w->map_id = map_id;
	w->end = end;
	return w;
}

static void free_word(struct zl_word *w)
{
	struct zl_obj *obj = w->obj;

	zl_spares_free(&w->spares);
	free(w);
	zl_obj_put(obj);
}

/* Under log->lock: durable, and known to who asks how far the log may be forgotten. */
static int write_record(struct zl_op *op, struct zl_log *log, struct zl_word *w,
			struct zus_word *word)
{
	struct zl_fs *fs = op->fs;
	int err;

	if (op->no_boundary && fs->boundary_tid)
		return -EAGAIN;
	err = zl_op_append_word(op, log, word);
	if (err)
		return err;
	zl_pm_fence();
	w->log = log;
	w->tid = op->tid;
	w->at = (const void *)(fs->devs[word->dev].pm.media + word->dev_off);
	TAILQ_INSERT_TAIL(&log->words, w, link);
	return 0;
}

/* Under log->lock, but for an end of all. */
static void forget(struct zl_word *w)
{
	TAILQ_REMOVE(&w->log->words, w, link);
	w->obj->word = NULL;
	zl_obj_settle(w->obj);
}

int zl_word_offer(struct zl_op *op, struct zl_obj *obj, struct zus_req *req, uint64_t end,
		  uint64_t blocks)
{
	struct zl_word *w = op->err ? NULL : new_word(op, obj, zus_req_id(req), end);
	struct zus_word word = { .blocks_512 = blocks * (ZLF_BLOCK_BYTES / 512) };
	struct zl_log *log = zl_log_here(op->fs);
	int err;

	if (!w)
		return op->err ? op->err : -ENOMEM;
	pthread_mutex_lock(&log->lock);
	err = write_record(op, log, w, &word);
	pthread_mutex_unlock(&log->lock);
	if (err) {
		free_word(w);
		return err;
	}
	zl_obj_begin(obj);
	obj->word = w;
	if (obj->change_tid < w->tid)
		obj->change_tid = w->tid;
	err = zus_req_word(req, &word);
	if (err)
		zl_word_drop(obj);
	return err;
}

/* ------------------------------------------------------------------------ end */

void zl_word_drop(struct zl_obj *obj)
{
	struct zl_word *w = obj->word;

	pthread_mutex_lock(&w->log->lock);
	forget(w);
	pthread_mutex_unlock(&w->log->lock);
	free_word(w);
}

/*
 * What it says is so from now on. Memory for that was taken before. Who stored the word and has
 * not told yet that it is durable may not have flushed it, and nothing may stand on what a
 * crash takes back.
 */
static void take_effect(struct zl_obj *obj, bool durable)
{
	struct zl_word *w = obj->word;
	struct zl_fs *fs = obj->fs;

	if (!durable && !ZL_BUG(WORD_VISIBLE)) {
		zl_pm_flush(w->at, sizeof(*w->at));
		zl_pm_fence();
	}
	pthread_mutex_lock(&w->log->lock);
	zl_slot_note(fs, w->op_id, obj->id);
	zl_effects(fs, &w->log->queue, &w->spares, w->tid, w->items, w->item_bytes, w->objs);
	forget(w);
	pthread_mutex_unlock(&w->log->lock);
	zl_writes_published(zl_inode_of(obj), w->map_id, w->end);
	free_word(w);
}

bool zl_word_of(const struct zl_obj *obj, uint64_t map_id)
{
	return obj->word && obj->word->map_id == map_id;
}

void zl_obj_lock(struct zl_obj *obj)
{
	pthread_mutex_lock(&obj->lock);
	if (obj->word && is_stored(obj->word))
		take_effect(obj, false);
}

void zl_obj_lock_told(struct zl_obj *obj, uint64_t map_id)
{
	pthread_mutex_lock(&obj->lock);
	if (obj->word && is_stored(obj->word))
		take_effect(obj, zl_word_of(obj, map_id));
}

/* ----------------------------------------------------------------- all of them */

/* One that is stored, and that nobody has met yet; with a reference. */
static struct zl_obj *find_stored(struct zl_log *log)
{
	struct zl_obj *obj = NULL;
	struct zl_word *w;

	pthread_mutex_lock(&log->lock);
	TAILQ_FOREACH(w, &log->words, link)
		if (is_stored(w)) {
			obj = zl_obj_ref(w->obj);
			break;
		}
	pthread_mutex_unlock(&log->lock);
	return obj;
}

void zl_words_settle(struct zl_fs *fs)
{
	struct zl_log *log;
	struct zl_obj *obj;

	for (log = fs->logs; log < fs->logs + fs->geo.num_logs; log++)
		while ((obj = find_stored(log))) {
			zl_obj_lock(obj);
			pthread_mutex_unlock(&obj->lock);
			zl_obj_put(obj);
		}
}

uint64_t zl_words_oldest(struct zl_fs *fs)
{
	uint64_t oldest = UINT64_MAX;
	struct zl_log *log;
	struct zl_word *w;

	for (log = fs->logs; log < fs->logs + fs->geo.num_logs; log++)
		TAILQ_FOREACH(w, &log->words, link)
			oldest = w->tid < oldest ? w->tid : oldest;
	return ZL_BUG(WORD_FORGOTTEN) ? UINT64_MAX : oldest;
}

void zl_words_free(struct zl_fs *fs)
{
	struct zl_word *w, *next;
	struct zl_log *log;

	for (log = fs->logs; log < fs->logs + fs->geo.num_logs; log++)
		for (w = TAILQ_FIRST(&log->words); w; w = next) {
			next = TAILQ_NEXT(w, link);
			forget(w);
			free_word(w);
		}
}
