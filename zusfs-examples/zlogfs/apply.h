/* SPDX-License-Identifier: BSD-3-Clause */
/* apply.h - a batch of the applier, as it goes on: for apply.c and share.c. */
#ifndef ZLOGFS_APPLY_H
#define ZLOGFS_APPLY_H

#include "pending.h"

#define ZL_BATCH_MAX	4096u		/* so that neighbours in the tree share words and bits */
#define ZL_SEEN_MAX	(4 * ZL_BATCH_MAX) /* a power of two */

/* Hints of one line, until one of another is stored. */
struct zl_hint_line {
	struct zl_dev *dev;	/* NULL: there is nothing to be stored */
	uint64_t off;
	struct zlf_hint hints[ZLF_LINE_BYTES / sizeof(struct zlf_hint)];
};

/* What was pending, and blocks that were freed, in their order. The applier has one. */
struct zl_batch {
	uint32_t n;
	uint32_t num_dropped;
	struct zl_hint_line hints;
	struct zl_work *work[ZL_BATCH_MAX];
	struct zl_run dropped[ZL_BATCH_MAX]; /* out of the tree: free behind the batch's end */
	uint64_t seen[ZL_SEEN_MAX];	/* hashes of the keys, where each may come once */
};

static inline struct zl_pending *zl_pending_of(struct zl_work *work)
{
	return zus_container_of(work, struct zl_pending, work);
}

static inline struct zl_freed *zl_freed_of(struct zl_work *work)
{
	return zus_container_of(work, struct zl_freed, work);
}

/* Does a boundary want what was there until a record? */
bool zl_wanted(const struct zl_fs *fs, const struct zlf_elem *elem, uint64_t until_tid);
/* What was there until then, as an element of history. */
void zl_past_of(const struct zl_elem *elem, uint64_t until_tid, struct zl_elem *past);
/* The extent that blocks were, when they left their file. */
void zl_freed_extent(const struct zl_freed *freed, struct zl_elem *extent);
void zl_drop_run(struct zl_fs *fs, struct zl_batch *batch, uint64_t addr, uint32_t blocks);

/*
 * share.c: before the batch changes anything else, who has which shared blocks becomes what it
 * is behind the batch, durable with the next commit; blocks that nobody has any more are
 * dropped. ended: the same of one extent that a range ends.
 */
int zl_share_batch(struct zl_fs *fs, struct zl_batch *batch);
int zl_share_ended(struct zl_fs *fs, struct zl_batch *batch, const struct zl_elem *extent,
		   uint64_t until_tid);
/* Pieces that blocks may fall into when those that others have stay. */
uint32_t zl_share_pieces(struct zl_work *work);

#endif /* ZLOGFS_APPLY_H */
