/* SPDX-License-Identifier: BSD-3-Clause */
/* owners.h - who has blocks that are in several places: for the applier. */
#ifndef ZLOGFS_OWNERS_H
#define ZLOGFS_OWNERS_H

#include "zlogfs.h"

/*
 * Every extent with ZLF_EF_SHARED, of now or of history, has an element in the tree that is
 * found by its first block. It is put before the extent is, and gone before that is: who does
 * the same again after a crash finds the extent, or the record, that says what to do. All
 * under fs->step; durable with the next commit.
 */
int zl_owner_put(struct zl_fs *fs, const struct zlf_elem *extent);
int zl_owner_del(struct zl_fs *fs, const struct zlf_elem *extent);

/* Of blocks of one segment those that somebody has, as bits of the segment. */
int zl_owned(struct zl_fs *fs, uint64_t addr, uint32_t blocks, uint64_t mask[8]);

/* 1: is anything shared? 0, or EIO. */
int zl_owners_any(struct zl_fs *fs);
/* How many extents there are with ZLF_EF_SHARED. Any thread, with no lock. */
int zl_owners_count(struct zl_fs *fs, uint64_t *n);

/* Which extent it is of: obj, key, and of history create_tid. */
struct zl_key zl_owner_extent(const struct zlf_elem *owner);
/* The key of an extent's owner, but for what tells those of history apart. */
struct zl_key zl_owner_key(const struct zlf_elem *extent);
/* NULL, or what is wrong with it. */
const char *zl_owner_check(const struct zlf_elem *owner);

#define ZL_OWNER_NUMBER_BITS	21u		/* of history, of one block in one place */
#define ZL_OWNER_NUMBERS	(1ull << ZL_OWNER_NUMBER_BITS)

#endif /* ZLOGFS_OWNERS_H */
