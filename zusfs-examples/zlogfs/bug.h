/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bug.h - mistakes that a build with ZLOGFS_BUGS can be told to make, each by its number, so
 * that one sees the crash tests find them. In every other build there are none.
 */
#ifndef ZLOGFS_BUG_H
#define ZLOGFS_BUG_H

#include <stdbool.h>

enum zl_bug {
	ZL_BUG_NONE,
	ZL_BUG_NO_FENCE,	/* an operation returns before its record is durable */
	ZL_BUG_RECORD_TAIL,	/* a record's last line is not flushed */
	ZL_BUG_PAYLOAD_LINE,	/* an element's second line is not flushed */
	ZL_BUG_CRC_HEAD,	/* a record's checksum is of its first line alone */
	ZL_BUG_WORD_EARLY,	/* no fence between elements and the word that has them */
	ZL_BUG_INTENT_EARLY,	/* an intent ends with what it was of */
	ZL_BUG_COPY_TAIL,	/* what a copy past the cache has behind whole lines stays there */
	ZL_BUG_ENTRY_LATE,	/* a segment's word is stored before the rest of its entry */
	ZL_BUG_RENAME_TWICE,	/* a rename is two records: the old name goes first */
	ZL_BUG_NLINK_APART,	/* link and unlink are two records: one has the count */
	ZL_BUG_CKPT_IN_PLACE,	/* a checkpoint is written over the newest */
	ZL_BUG_CKPT_EARLY,	/* a checkpoint counts what is not applied yet */
	ZL_BUG_FREE_EARLY,	/* a value's blocks are free before the record that frees them */
	ZL_BUG_ELEM_IN_PLACE,	/* an element is changed where it is */
	ZL_BUG_ORPHANS_FIRST,	/* orphans are looked for before the log is read */
	ZL_BUG_DATA_FENCE,	/* a record is written before the bytes that it names */
	ZL_BUG_LOG_ORDER,	/* a mount takes records in the wrong order */
	ZL_BUG_LOG_LAST,	/* a mount forgets the last record */
	ZL_BUG_WRITE_PARTS,	/* a write is a record a block */
	ZL_BUG_CHAIN_PART,	/* a chain counts without its last part */
	ZL_BUG_SEQ_AGAIN,	/* log segments get numbers that a mount has found in the log */
	ZL_BUG_SPLIT_ORDER,	/* a split takes elements from the left before the right is there */
	ZL_BUG_LEAK_NODE,	/* intents are not looked at */
	ZL_BUG_RENAME_COPY,	/* a rename is two records: the new name comes first */
	ZL_BUG_BIT_FIRST,	/* no fence between a node's intent and its bit */
	ZL_BUG_FREE_AGAIN,	/* a mount frees blocks that are something else since */
	ZL_BUG_CPU_INDEX,	/* a CPU's log is not one of those that there are */
	ZL_BUG_SIZE_BACK,	/* a write sets the size to its end */
	ZL_BUG_TIMES_APART,	/* a directory's times are a record of their own */
	ZL_BUG_FREE_FREE,	/* a mount stops where a node is free already */
	/* Two threads see these, one does not. */
	ZL_BUG_FENCE_LATE,	/* an operation lets its locks go before its record is durable */
	ZL_BUG_TID_APART,	/* the log is let go between a record's tid and its place there */
	ZL_BUG_QUEUES_APART,	/* the applier takes what waits log by log, then one tid for all */
	ZL_BUG_STAGE_UNSAID,	/* what the applier has begun with may still be changed */
	ZL_BUG_FREE_AT_ONCE,	/* blocks are free with their record, not behind the applier */
	/* Of clones. */
	ZL_BUG_SHARED_FREE,	/* blocks are free when one of those who share them lets them go */
	ZL_BUG_OWNER_TOGETHER,	/* who has shared blocks changes with the extents, in one go */
	ZL_BUG_UNMARKED,	/* a clone does not say of its source that it shares */
	/* Of commit words. */
	ZL_BUG_WORD_UNSEEN,	/* a mount counts records whose word is not there */
	ZL_BUG_WORD_FORGOTTEN,	/* a checkpoint passes records whose word may yet come */
	ZL_BUG_WORD_VISIBLE,	/* a word that is there counts, durable or not */
	/* Of writes of many maps. */
	ZL_BUG_WHOLE_PARTS,	/* each map counts by itself */
	ZL_BUG_SEEN_LOST,	/* a mount does not learn from the log which operations were done */
	ZL_BUG_COUNT,
};

#ifdef ZLOGFS_BUGS
extern enum zl_bug zl_bug;
#define ZL_BUG(name)	(zl_bug == ZL_BUG_##name)
/* No mistake: what is free is used again at once, so that one shows in a short test. */
extern bool zl_reuse_soon;
#define ZL_REUSE_SOON	(zl_reuse_soon || ZL_BUG(FREE_EARLY) || ZL_BUG(FREE_AGAIN) || \
			 ZL_BUG(FREE_AT_ONCE))
#else
#define ZL_BUG(name)	0
#define ZL_REUSE_SOON	0
#endif

#endif /* ZLOGFS_BUG_H */
