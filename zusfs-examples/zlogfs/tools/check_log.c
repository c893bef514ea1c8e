// SPDX-License-Identifier: BSD-3-Clause
/*
 * check_log.c - the log as it lies there. A log ends with the first line that is no valid
 * record; that this was not the end is seen by what comes behind.
 */
#include <stdlib.h>

#include "check_int.h"
#include "item.h"

struct log_seg {
	uint64_t seq;
	uint32_t seg;
	uint32_t log;
};

/* A walk through one segment. */
struct walk {
	struct zlc *c;
	const struct log_seg *at;
	const uint8_t *base;
	uint32_t line;
	uint64_t tid;
	const struct zlf_record *torn;	/* the last one, if its word is not what it may be */
	bool closed;
};

static const struct zlf_record *record_at(const struct walk *w, uint32_t line)
{
	return (const void *)(w->base + (uint64_t)line * ZLF_LINE_BYTES);
}

/* NULL, or what is wrong with a record whose checksum is right. */
static const char *record_wrong(struct walk *w, const struct zlf_record *record)
{
	uint32_t flags = zl_get16(record->flags);
	uint64_t tid = zl_get64(record->tid);

	if (flags & ~(ZLF_LF_PART | ZLF_LF_LAST | ZLF_LF_WORD) ||
	    (flags & ZLF_LF_LAST && !(flags & ZLF_LF_PART)))
		return "flags";
	if (record->type == ZLF_LOG_CLOSE)
		return record->lines != 1 || tid < w->tid ? "it is no end of this segment" : NULL;
	if (tid > ZL_TID_MAX)
		return "its tid";
	if (tid < w->tid || (tid == w->tid && !(flags & ZLF_LF_PART)) || !tid)
		return "its tid is not above those in front";
	if (!zl_items_valid(w->c->fs, record->items, zl_get32(record->item_bytes)))
		return "its items";
	return NULL;
}

/*
 * Only when a record is durable comes the next one, but for parts of one chain: so what is
 * valid behind the end says that it was none.
 */
static bool goes_on(const struct walk *w)
{
	uint32_t lines = w->c->fs->geo.segment_lines, line;
	const struct zlf_record *record;
	uint64_t chain = 0;

	for (line = w->line + 1; line < lines; line++) {
		record = record_at(w, line);
		if (!zl_record_valid(w->c->fs, record, w->at->seq, line))
			continue;
		if (!(zl_get16(record->flags) & ZLF_LF_PART) ||
		    (chain && chain != zl_get64(record->tid)))
			return true;
		chain = zl_get64(record->tid);
	}
	return false;
}

/* Nothing, or the tid; the last record of all may not be there as a whole. */
static void check_word(struct walk *w, const struct zlf_record *record)
{
	if (w->torn)
		zlc_say_at(w->c, ZL_CHECK_RECORD, w->torn, 0, "tid %#" PRIx64 ": its word",
			   zl_get64(w->torn->tid));
	w->torn = zl_record_counts(record) < 0 ? record : NULL;
}

static void walk_seg(struct walk *w)
{
	const struct zlf_record *record;
	struct zlc *c = w->c;
	const char *what;

	while (w->line < c->fs->geo.segment_lines) {
		record = record_at(w, w->line);
		if (!zl_record_valid(c->fs, record, w->at->seq, w->line))
			break;
		what = record_wrong(w, record);
		if (what)
			zlc_say_at(c, ZL_CHECK_RECORD, record, 0, "tid %#" PRIx64 ": %s",
				   zl_get64(record->tid), what);
		if (record->type == ZLF_LOG_CLOSE) {
			w->closed = true;
			return;
		}
		check_word(w, record);
		w->tid = zl_get64(record->tid);
		c->unapplied += w->tid > zl_get64(c->fs->ckpt.applied_tid);
		w->line += record->lines;
	}
	w->closed = w->line == c->fs->geo.segment_lines;
	if (w->closed || !goes_on(w))
		return;
	zlc_say_at(c, ZL_CHECK_RECORD, record_at(w, w->line), 0,
		   "it is damaged: records behind it are not");
	w->closed = true;		/* said once */
}

static int by_seq(const void *a, const void *b)
{
	const struct log_seg *left = a, *right = b;

	return left->seq < right->seq ? -1 : left->seq > right->seq;
}

static void walk_all(struct zlc *c, const struct log_seg *segs, uint64_t n)
{
	bool open[ZLF_MAX_LOGS] = { false };
	const struct zlf_record *torn[ZLF_MAX_LOGS] = { NULL };
	uint64_t tids[ZLF_MAX_LOGS] = { 0 };
	struct walk w;
	uint64_t i;

	for (i = 0; i < n; i++) {
		w = (struct walk) { .c = c, .at = &segs[i], .tid = tids[segs[i].log],
				    .torn = torn[segs[i].log] };
		w.base = zl_seg_dev(c->fs, segs[i].seg)->pm.media + zl_seg_off(c->fs, segs[i].seg);
		if (i && segs[i].seq == segs[i - 1].seq)
			zlc_say_at(c, ZL_CHECK_LOG, w.base, 0, "segments %u and %u have the same "
				   "place", segs[i - 1].seg, segs[i].seg);
		if (open[segs[i].log])
			zlc_say_at(c, ZL_CHECK_LOG, w.base, 0,
				   "a hole: in front of segment %u the log does not end",
				   segs[i].seg);
		walk_seg(&w);
		open[segs[i].log] = !w.closed;
		tids[segs[i].log] = w.tid;
		torn[segs[i].log] = w.torn;
	}
}

void zlc_log(struct zlc *c)
{
	uint64_t min_seq = zl_get64(c->fs->ckpt.min_log_seq), n = 0, max = 0;
	const struct zlf_segment *line;
	struct log_seg *segs = NULL;
	uint32_t d, i, type, log, gen;
	const struct zl_dev *dev;

	for (d = 0; d < c->num_media; d++) {
		dev = &c->fs->devs[d];
		line = (const void *)(dev->pm.media + dev->table_off);
		for (i = 0; i < dev->num_segments; i++, line++) {
			if (!zl_seg_word_split(zl_get64(line->word), &type, &log, &gen) ||
			    type != ZLF_SEG_LOG || zl_get64(line->seq) < min_seq ||
			    log >= ZLF_MAX_LOGS || !zlc_grow(c, &segs, n, &max, sizeof(*segs)))
				continue;
			segs[n++] = (struct log_seg) { zl_get64(line->seq),
						       dev->first_segment + i, log };
		}
	}
	if (n)
		qsort(segs, n, sizeof(*segs), by_seq);
	walk_all(c, segs, n);
	free(segs);
	if (c->unapplied && zl_get32(c->fs->ckpt.flags) & ZLF_CKPT_CLEAN)
		zlc_say(c, ZL_CHECK_CHECKPOINT, 0, 0, 0,
			"it says that nothing was unapplied, but %" PRIu64 " records were",
			c->unapplied);
}
