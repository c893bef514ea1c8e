/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view.h - a filesystem's visible state in one canonical form: read through the plugin's
 * operations, or made of a specification; compared, and printed.
 *
 * Left out: inode numbers, blocks, and times but where they are asked for. Hard links are
 * compared as which names lead to one file.
 */
#ifndef CRASH_VIEW_H
#define CRASH_VIEW_H

#include <stdio.h>

#include <zus_local.h>

#include "spec.h"

struct view_xattr {
	const char *name;
	const char *value;
	uint32_t bytes;
};

struct view_node {
	char path[SPEC_PATH_BYTES];
	uint64_t id;		/* the same for all names of a file; not compared */
	uint64_t size;		/* not of directories */
	const char *data;	/* a symlink's is its target */
	struct view_xattr xattrs[SPEC_XATTRS];
	uint64_t attr_hash;	/* of all but size and data of a regular file */
	uint64_t data_hash;	/* of these */
	uint32_t num_xattrs;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink;
	uint64_t times_hash;	/* of change and modification; not of a specification */
	int first;		/* index of the first name of this file */
};

/* In order of paths. Data and values are of the specification, or in the memory. */
struct view {
	struct view_node *nodes;
	int num_nodes;
	uint64_t hash;
	bool timed;		/* times_hash is to be compared, if the other's is, too */
	char *memory;
	size_t used;
	char broken[256];	/* what cannot be, with view_read()'s -EUCLEAN */
};

struct view *view_new(void);
void view_free(struct view *view);

/* The view that was in it goes. The specification stays as it is while the view is used. */
void view_of_spec(struct view *view, const struct spec *spec);
/*
 * An operation that fails and may not: its error. EUCLEAN: what was answered contradicts
 * itself; broken says how.
 */
int view_read(struct view *view, struct zus_local *local);

/* What a crash in the midst of a write to a file may leave of it. */
enum view_policy {
	VIEW_ATOMIC,	/* all of it, or nothing */
	VIEW_BLOCK,	/* of each 4 KiB the old or the new */
	VIEW_WORD,	/* of each 8 bytes */
};

/* Of one that looks the same, when it was there without a crash. */
void view_take_times(struct view *view, const struct view *got);

/*
 * The index of the state that got is, -1 if none. With another policy than ATOMIC it may
 * be a mixture of the data of those that have the same names: -2 less the first one's index
 * then; the sizes in between are whole blocks.
 */
#define VIEW_STATES	16

int view_match(const struct view *got, const struct view *const *states, int num_states,
	       enum view_policy policy);

/* One line a node; of what differs between two, with '-' for want and '+' for got. */
void view_print(const struct view *view, FILE *to);
void view_print_diff(const struct view *want, const struct view *got, FILE *to);

#endif /* CRASH_VIEW_H */
