// SPDX-License-Identifier: BSD-3-Clause
/*
 * log.c - the log: for each CPU a chain of segments, all of which are in one order by their
 * numbers. Nothing says where a log ends: the first line that is no valid record does. That
 * holds because who appends holds the log until its record is durable.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bug.h"
#include "crc32c.h"
#include "zlogfs.h"

/* A tid: time since 2000 in units of 512 ns, then 8 bits of log and 4 of who made it. */
#define TID_EPOCH_SEC	946684800ull
#define TID_TIME_SHIFT	12
#define TID_LOG_SHIFT	4

#define IDLE_SEGS	2u	/* beside those that are in use: then an open one is ended */

static uint64_t clock_tid(const struct zl_fs *fs)
{
	struct timespec now;
	uint64_t ns;

	if (fs->now_tid)
		return fs->now_tid;
	clock_gettime(CLOCK_REALTIME, &now);
	ns = ((uint64_t)now.tv_sec - TID_EPOCH_SEC) * 1000000000 + (uint64_t)now.tv_nsec;
	return ns / 512 << TID_TIME_SHIFT;
}

uint64_t zl_tid_next(struct zl_fs *fs, struct zl_log *log, uint64_t floor)
{
	uint64_t tid = clock_tid(fs), low = (1ull << TID_TIME_SHIFT) - 1;

	if (floor < log->last_tid)
		floor = log->last_tid;
	if (tid <= floor)		/* runs ahead of the clock */
		tid = floor + 1;
	tid = (tid + low) & ~low;
	log->last_tid = tid | (uint64_t)log->id << TID_LOG_SHIFT;
	return log->last_tid;
}

struct zl_log *zl_log_here(struct zl_fs *fs)
{
	int cpu = sched_getcpu();

	if (ZL_BUG(CPU_INDEX))
		return &fs->logs[fs->geo.num_logs];
	return &fs->logs[(uint32_t)(cpu < 0 ? 0 : cpu) & (fs->geo.num_logs - 1)];
}

/* ------------------------------------------------------------------- segments */

static struct zl_log_seg *add_seg(struct zl_fs *fs, struct zl_log *log, uint32_t seg,
				  uint64_t seq)
{
	struct zl_log_seg *ls = calloc(1, sizeof(*ls));

	if (!ls)
		return NULL;
	ls->seg = seg;
	ls->seq = seq;
	TAILQ_INSERT_TAIL(&log->segs, ls, link);
	__atomic_fetch_add(&fs->live_log_segs, 1, __ATOMIC_RELAXED);
	return ls;
}

/* The word is stored behind what it makes valid, and ends what it made valid before. */
static void store_entry(struct zl_fs *fs, uint32_t seg, uint32_t log, uint64_t seq, uint64_t tid)
{
	struct zl_dev *dev = zl_seg_dev(fs, seg);
	uint64_t at = dev->table_off + (uint64_t)(seg - dev->first_segment) * ZLF_LINE_BYTES;
	struct zlf_segment line = {
		.seq = htole64(seq), .incarnation = htole64(fs->incarnation),
		.open_tid = htole64(tid), .numa_node = htole32(dev->numa_node),
	};
	uint32_t gen = fs->segs[seg].gen;

	line.crc = htole32(zl_crc32c(fs->crc_seed, &line.seq, 28));
	zl_pm_store64(&dev->pm, ZL_WORD, at, htole64(zl_seg_word(ZLF_SEG_FREE, 0, gen)));
	zl_pm_fence();
	if (ZL_BUG(ENTRY_LATE)) {
		zl_pm_store64(&dev->pm, ZL_WORD, at, htole64(zl_seg_word(ZLF_SEG_LOG, log, gen)));
		zl_pm_fence();
	}
	zl_pm_write(&dev->pm, ZL_META, at + sizeof(line.word), &line.seq,
		    sizeof(line) - sizeof(line.word));
	zl_pm_fence();
	zl_pm_store64(&dev->pm, ZL_WORD, at, htole64(zl_seg_word(ZLF_SEG_LOG, log, gen)));
	zl_pm_fence();
	fs->segs[seg].media_type = ZLF_SEG_LOG;
	fs->segs[seg].media_gen = (uint16_t)gen;
}

static int open_seg(struct zl_fs *fs, struct zl_log *log)
{
	uint32_t seg = zl_log_seg_alloc(fs);
	uint64_t seq;

	if (seg == ZL_NONE)
		return -ENOSPC;
	seq = __atomic_fetch_add(&fs->next_log_seq, 1, __ATOMIC_RELAXED);
	log->open = add_seg(fs, log, seg, seq);
	if (!log->open) {
		zl_log_seg_release(fs, seg);
		return -ENOMEM;
	}
	log->pos = 0;
	store_entry(fs, seg, log->id, seq, log->last_tid);
	return 0;
}

/* -------------------------------------------------------------------- records */

/* A word is not of it that the kernel stores when all else has long been there. */
static uint32_t record_crc(const struct zl_fs *fs, const struct zlf_record *record, uint64_t seq,
			   uint32_t line)
{
	zlf_le64 place[2] = { htole64(seq), htole64(line) };
	static const zlf_le64 no_word;
	const uint8_t *bytes = (const uint8_t *)record;
	uint32_t crc = zl_crc32c(fs->crc_seed, place, sizeof(place));

	crc = zl_crc32c(crc, bytes + sizeof(record->crc),
			offsetof(struct zlf_record, word) - sizeof(record->crc));
	crc = zl_crc32c(crc, zl_get16(record->flags) & ZLF_LF_WORD ? &no_word : &record->word,
			sizeof(no_word));
	if (ZL_BUG(CRC_HEAD))
		return zl_crc32c(crc, &record->pfs, sizeof(record->pfs));
	return zl_crc32c(crc, &record->pfs, record->lines * ZLF_LINE_BYTES -
						    offsetof(struct zlf_record, pfs));
}

static void put_record(struct zl_fs *fs, struct zl_log *log, struct zlf_record *record)
{
	uint64_t at = zl_seg_off(fs, log->open->seg) + (uint64_t)log->pos * ZLF_LINE_BYTES;
	struct zl_pm *pm = &zl_seg_dev(fs, log->open->seg)->pm;
	size_t bytes = record->lines * ZLF_LINE_BYTES;

	record->crc = htole32(record_crc(fs, record, log->open->seq, log->pos));
	if (zl_get16(record->flags) & ZLF_LF_WORD)
		zl_pm_write(pm, ZL_LOG, at, record, bytes);	/* its word will be stored, and looked at */
	else
		zl_pm_copy(pm, ZL_LOG, at, record, bytes);
	log->pos += record->lines;
	__atomic_store_n(&log->lines, log->lines + record->lines, __ATOMIC_RELAXED);
	log->open->max_tid = zl_get64(record->tid);
}

void zl_log_end(struct zl_fs *fs, struct zl_log *log)
{
	struct zlf_record close = { .type = ZLF_LOG_CLOSE, .lines = 1,
				    .tid = htole64(log->last_tid) };

	if (!log->open)
		return;
	if (log->pos < fs->geo.segment_lines)
		put_record(fs, log, &close);
	log->open->ended = true;
	log->open = NULL;
}

int zl_log_append(struct zl_fs *fs, struct zl_log *log, struct zlf_record *record)
{
	int err;

	if (log->open && log->pos + record->lines >= fs->geo.segment_lines)
		zl_log_end(fs, log);
	if (!log->open) {
		err = open_seg(fs, log);
		if (err)
			return err;
	}
	put_record(fs, log, record);
	return 0;
}

bool zl_record_valid(const struct zl_fs *fs, const struct zlf_record *record, uint64_t seq,
			 uint32_t line)
{
	uint32_t lines = record->lines, room = lines * ZLF_LINE_BYTES -
					       (uint32_t)offsetof(struct zlf_record, items);

	return lines && lines <= ZLF_RECORD_LINES_MAX && line + lines <= fs->geo.segment_lines &&
	       record->type && record->type <= ZLF_LOG_LAST &&
	       zl_get32(record->item_bytes) <= room &&
	       zl_get32(record->crc) == record_crc(fs, record, seq, line);
}

int zl_record_counts(const struct zlf_record *record)
{
	if (!(zl_get16(record->flags) & ZLF_LF_WORD) || record->word == record->tid)
		return 1;
	return record->word ? -1 : 0;
}

int zl_log_walk(struct zl_fs *fs, uint32_t seg, uint64_t seq, zl_record_fn *fn, void *arg,
		bool *closed)
{
	const uint8_t *base = zl_seg_dev(fs, seg)->pm.media + zl_seg_off(fs, seg);
	const struct zlf_record *record;
	uint32_t line = 0;
	int err;

	*closed = false;
	while (line < fs->geo.segment_lines) {
		record = (const void *)(base + (uint64_t)line * ZLF_LINE_BYTES);
		if (!zl_record_valid(fs, record, seq, line))
			return 0;
		if (record->type == ZLF_LOG_CLOSE) {
			*closed = true;
			return 0;
		}
		err = fn(arg, record);
		if (err)
			return err;
		line += record->lines;
	}
	*closed = true;		/* not a line is left */
	return 0;
}

/* --------------------------------------------------------------------- the rest */

int zl_log_adopt(struct zl_fs *fs, uint32_t seg, uint64_t max_tid)
{
	struct zl_log *log = &fs->logs[fs->segs[seg].log & (ZLF_MAX_LOGS - 1)];
	struct zl_log_seg *ls = add_seg(fs, log, seg, fs->segs[seg].seq);

	if (!ls)
		return -ENOMEM;
	ls->max_tid = max_tid;
	ls->ended = true;
	return 0;
}

/* The first segment that has more to come, or records that are not applied. */
static uint64_t first_wanted(const struct zl_log *log, uint64_t applied_tid)
{
	const struct zl_log_seg *ls = TAILQ_FIRST(&log->segs);

	while (ls && ls->ended && ls->max_tid <= applied_tid)
		ls = TAILQ_NEXT(ls, link);
	return ls ? ls->seq : UINT64_MAX;
}

uint64_t zl_log_min_seq(struct zl_fs *fs, uint64_t applied_tid)
{
	uint64_t next = __atomic_load_n(&fs->next_log_seq, __ATOMIC_RELAXED), min = next, seq;
	struct zl_log *log;

	for (log = fs->logs; log < fs->logs + ZLF_MAX_LOGS; log++) {
		pthread_mutex_lock(&log->lock);
		/* one that is hardly used would keep all behind it */
		if (log->open && log->open->max_tid <= applied_tid &&
		    log->open->seq + fs->num_used_logs + IDLE_SEGS < next) {
			zl_log_end(fs, log);
			zl_pm_fence();
		}
		seq = first_wanted(log, applied_tid);
		min = seq < min ? seq : min;
		pthread_mutex_unlock(&log->lock);
	}
	return min;
}

void zl_log_retire(struct zl_fs *fs, uint64_t min_seq)
{
	struct zl_log_seg *ls;
	struct zl_log *log;

	for (log = fs->logs; log < fs->logs + ZLF_MAX_LOGS; log++) {
		pthread_mutex_lock(&log->lock);
		while ((ls = TAILQ_FIRST(&log->segs)) && ls->ended && ls->seq < min_seq) {
			TAILQ_REMOVE(&log->segs, ls, link);
			zl_log_seg_release(fs, ls->seg);
			__atomic_fetch_sub(&fs->live_log_segs, 1, __ATOMIC_RELAXED);
			free(ls);
		}
		pthread_mutex_unlock(&log->lock);
	}
}

/* ------------------------------------------------------------------- pressure */

bool zl_log_pressed(struct zl_fs *fs)
{
	const struct zl_log *log = zl_log_here(fs);

	return __atomic_load_n(&log->lines, __ATOMIC_RELAXED) -
	       __atomic_load_n(&log->ckpt_lines, __ATOMIC_RELAXED) >
	       __atomic_load_n(&log->share_lines, __ATOMIC_RELAXED);
}

void zl_logs_taken(struct zl_fs *fs, bool all, bool all_seen)
{
	struct zl_log *log;

	for (log = fs->logs; log < fs->logs + fs->geo.num_logs; log++) {
		if (all)
			log->taken_lines = log->lines;
		else if (all_seen)
			log->taken_lines = log->seen_lines;
		log->seen_lines = log->lines;
	}
}

static bool was_used(const struct zl_log *log)
{
	return log->taken_lines != log->ckpt_lines;
}

/*
 * Of what may be unapplied a quarter is for logs that nobody has written to for a while, one
 * and all; the rest for those that are in use.
 */
void zl_logs_checkpointed(struct zl_fs *fs)
{
	uint64_t max = fs->geo.unapplied_max_bytes / ZLF_LINE_BYTES, share;
	uint64_t idle = max / 4 / fs->geo.num_logs;
	struct zl_log *log;
	uint32_t used = 0;

	for (log = fs->logs; log < fs->logs + fs->geo.num_logs; log++)
		used += was_used(log);
	share = used ? (max - max / 4) / used : 0;
	for (log = fs->logs; log < fs->logs + fs->geo.num_logs; log++) {
		__atomic_store_n(&log->share_lines, was_used(log) ? share : idle,
				 __ATOMIC_RELAXED);
		__atomic_store_n(&log->ckpt_lines, log->taken_lines, __ATOMIC_RELAXED);
	}
	fs->num_used_logs = used;
}

int zl_log_init(struct zl_fs *fs)
{
	uint32_t i;

	for (i = 0; i < ZLF_MAX_LOGS; i++) {
		pthread_mutex_init(&fs->logs[i].lock, NULL);
		fs->logs[i].id = i;
		TAILQ_INIT(&fs->logs[i].segs);
		TAILQ_INIT(&fs->logs[i].queue);
		TAILQ_INIT(&fs->logs[i].words);
	}
	return 0;
}

void zl_log_free(struct zl_fs *fs)
{
	struct zl_log_seg *ls;
	uint32_t i;

	for (i = 0; i < ZLF_MAX_LOGS; i++) {
		while ((ls = TAILQ_FIRST(&fs->logs[i].segs))) {
			TAILQ_REMOVE(&fs->logs[i].segs, ls, link);
			free(ls);
		}
		pthread_mutex_destroy(&fs->logs[i].lock);
	}
}
