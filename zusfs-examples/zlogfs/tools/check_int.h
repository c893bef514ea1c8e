/* SPDX-License-Identifier: BSD-3-Clause */
/* check_int.h - what the parts of the checker share. */
#ifndef ZLOGFS_CHECK_INT_H
#define ZLOGFS_CHECK_INT_H

#include <inttypes.h>

#include "zl_check.h"

/* An inode that is there now, and what was counted for it. */
struct zlc_inode {
	const struct zlf_elem *elem;
	const struct zlf_inode *body;
	uint64_t id;
	uint64_t blocks;	/* of all extents */
	uint64_t written_end;	/* the last block that has bytes, and 1 */
	uint64_t link_bytes;	/* of a symlink's target */
	uint32_t names;
	uint32_t subdirs;
	uint32_t xattrs;
	uint64_t dir;		/* that has a name of it */
	bool orphan;
	bool has_link;
	uint8_t reached;	/* from the root: 1: being looked at, 2: yes, 3: no */
};

/* What the tree has in a segment. */
struct zlc_seg {
	uint64_t owned[8];	/* units that something has */
	uint64_t shared[8];	/* that others may have, too */
	uint32_t zone;		/* of the address of the first; 0: none */
	uint32_t gen;
};

/* A check, as it goes on. */
struct zlc {
	struct zl_check *out;
	struct zl_fs *fs;
	const struct zl_media *media;
	uint32_t num_media;
	bool no_memory;
	bool rough;		/* the log is still to be done: the tree may be in between */
	uint64_t unapplied;	/* records behind the checkpoint */
	uint32_t intents;	/* valid ones */

	/* Of the tree, in the order of keys. */
	const struct zlf_elem **elems;
	uint64_t num_elems, max_elems;
	struct zlc_seg *segs;
	struct zlc_inode *inodes;
	uint64_t num_inodes, max_inodes;
	uint64_t *boundaries;
	uint64_t num_boundaries, max_boundaries;
};

/* dev, off: where; obj: whose, or 0. */
void zlc_say(struct zlc *c, enum zl_check_class class, uint32_t dev, uint64_t off, uint64_t obj,
	     const char *format, ...) __attribute__((format(printf, 6, 7)));
/* At something in the media. */
void zlc_say_at(struct zlc *c, enum zl_check_class class, const void *where, uint64_t obj,
		const char *format, ...) __attribute__((format(printf, 5, 6)));

/* An array that has n of max members of bytes each gets room for one more. */
bool zlc_grow(struct zlc *c, void *array, uint64_t n, uint64_t *max, size_t bytes);

/* check_media.c: what has its place on the media. An errno: it can't go on. */
int zlc_supers(struct zlc *c);
void zlc_super_rest(struct zlc *c);
void zlc_checkpoints(struct zlc *c);
void zlc_intents(struct zlc *c);
void zlc_segments(struct zlc *c);

/* check_log.c: before a recovery. */
void zlc_log(struct zlc *c);

/* check_tree.c: nodes and elements, each by itself and in its place. */
void zlc_tree(struct zlc *c);
/* NULL, and they belong to it; or what is wrong with blocks or a node at addr. */
const char *zlc_own(struct zlc *c, uint32_t zone, uint64_t addr, uint32_t units, bool shares);
bool zlc_is_zero(const void *bytes, size_t n);

/* check_files.c: what all elements come to. */
void zlc_files(struct zlc *c);
void zlc_bitmaps(struct zlc *c);
/* Has a newer checkpoint of the elements, and of the anchor, what it must? */
void zlc_last_checkpoint(struct zlc *c);

#endif /* ZLOGFS_CHECK_INT_H */
