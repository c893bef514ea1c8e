/* SPDX-License-Identifier: BSD-3-Clause */
/* pending.h - what is durable in the log and not yet in the tree. */
#ifndef ZLOGFS_PENDING_H
#define ZLOGFS_PENDING_H

#include "zlogfs.h"

/* Work of the applier, in the order of the log. */
enum zl_work_kind {
	ZL_WORK_PENDING,
	ZL_WORK_RANGE,
	ZL_WORK_FREE,
};

struct zl_work {
	TAILQ_ENTRY(zl_work) link;
	enum zl_work_kind kind;
	uint64_t tid;
	uint64_t order;		/* tid of the record that put it into the queue */
};

/*
 * What is to become of one key of an object: its element, or that there is none. The newest
 * of a key is in obj->pending. One that the applier has begun with, or that a boundary wants
 * to be kept, is detached when a newer one comes, and is applied all the same.
 */
struct zl_pending {
	uint64_t key;		/* as in elem */
	uint8_t rec_type;
	uint8_t room_lines;	/* memory that there is for elem */
	bool detached;
	bool staged;		/* the applier has begun with it */
	struct zl_work work;
	struct zl_obj *obj;	/* with a reference */
	struct zl_pending *rest_next;
	uint64_t ended_tid;	/* detached: by which record */
	struct zl_lead lead;	/* to its place in the tree */
	struct zl_elem elem;	/* head.lines 0: there is to be none */
};

/* All elements of a type from one key up to another that were put before: gone. */
struct zl_range {
	struct zl_work work;
	TAILQ_ENTRY(zl_range) in_obj;
	struct zl_obj *obj;	/* with a reference */
	uint64_t from;
	uint64_t to;		/* the first that stays; UINT64_MAX: all */
	uint32_t rec_type;
};

/* Blocks that have left a file: they are free, or history. */
struct zl_freed {
	struct zl_work work;
	uint64_t obj;
	uint64_t key;		/* of the first */
	uint64_t addr;
	uint64_t create_tid;	/* since when they had been in the file */
	uint32_t blocks;
	bool shared;		/* others may have them, too */
};

/*
 * Memory for what a record's items become, taken before the record is written: behind that
 * nothing may fail.
 */
struct zl_spare {
	struct zl_spare *next;
};
struct zl_spares {
	struct zl_spare *first;	/* in the order of the items */
	struct zl_spare **end;
};

int zl_spares_fill(struct zl_spares *spares, const uint8_t *items, uint32_t bytes);
void zl_spares_free(struct zl_spares *spares);

/*
 * What a durable record's items do to the objects in memory, under the locks of these. queue:
 * of the record's log, locked, or of a mount. spares: for just these items. objs: one for each
 * item, or NULL: of a mount.
 */
int zl_effects(struct zl_fs *fs, struct zl_work_list *queue, struct zl_spares *spares,
	       uint64_t tid, const uint8_t *bytes, uint32_t num_bytes, struct zl_obj **objs);

/*
 * The newest of a key, or NULL; next, prev: of that type the first at or behind key, the last
 * at or in front of it. insert: of a key that has none. All under obj->lock; none fails.
 */
struct zl_pending *zl_pending_find(struct zl_obj *obj, uint32_t rec_type, uint64_t key);
struct zl_pending *zl_pending_next(struct zl_obj *obj, uint32_t rec_type, uint64_t key);
struct zl_pending *zl_pending_prev(struct zl_obj *obj, uint32_t rec_type, uint64_t key);
void zl_pending_insert(struct zl_pending *p);
void zl_pending_detach(struct zl_pending *p, uint64_t tid);
void zl_pending_remove(struct zl_pending *p);
/* Of an object that goes, what has found them; they themselves are in queues. */
void zl_pending_forget(struct zl_obj *obj);
void zl_pending_free(struct zl_pending *p);

#endif /* ZLOGFS_PENDING_H */
