/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * toyfs.h - what the files of toyfs share. toyfs.c has mounts, inodes and names,
 * data.c says where a file's bytes are: these two are a filesystem. What the others
 * add, each for itself, features.h says.
 *
 * Locks, outer first: fs->names (all directories), then inode->lock (attributes
 * and block map of one inode; never two at once), then relocator->lock. libzus
 * locks the free space.
 */
#ifndef TOYFS_H
#define TOYFS_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include <zus.h>

#pragma GCC diagnostic ignored "-Wunused-parameter" /* callbacks get more than they need */

#define TOY_BLOCK	((uint64_t)ZUS_BLOCK_BYTES)
#define TOY_FILE_MAX	((uint64_t)INT64_MAX)

/*
 * A slot of a block map: a block, and in the bits that zus.h leaves to plugins who
 * may have it now. 0 in them: it is the file's, for everybody.
 */
#define TOY_STATE	(3ull << 62)
#define TOY_RESERVED	(1ull << 62)	/* the write that makes it, and has not ended */
#define TOY_COPIED	(2ull << 62)	/* readers, as relocate.c copies it */
#define TOY_MOVED	(3ull << 62)	/* nobody new, as relocate.c takes it away */

struct toy_inode {
	struct zus_inode zi;		/* what libzus keeps of it */
	pthread_mutex_t lock;
	struct zus_attr attr;
	/* Of a file: a radix tree from its block numbers to blocks. */
	uint64_t *map;
	unsigned int map_levels;
	uint64_t map_blocks;		/* without reserved ones */
	uint64_t last_bn;		/* where the last map began */
	struct toy_reservation *reserved;
	TAILQ_ENTRY(toy_inode) files;	/* of a file: in the relocator's list */
	LIST_ENTRY(toy_inode) by_ino;	/* in the index */
	TAILQ_HEAD(toy_list, toy_dentry) entries; /* of a directory, under fs->names */
	uint64_t next_cookie;
	char *target;			/* of a symlink */
	struct toy_xattr *xattrs;	/* in the order they were set */
	struct toy_locks *locks;	/* from the first one on */
	bool linkable;			/* made without a name: may yet get one */
	struct toy_inode *parent;	/* of a directory, under fs->names */
};

struct toy_dentry {
	TAILQ_ENTRY(toy_dentry) link;	/* of its directory, rising by cookie */
	struct toy_inode *dir;
	struct toy_inode *inode;
	uint64_t cookie;		/* its place for readdir; never changes */
	struct zus_name name;		/* the bytes follow the structure */
};

struct toy_fs {
	pthread_rwlock_t names;
	void *tree;			/* all dentries by directory and name: tsearch(3) */
	void *by_cookie;		/* and by directory and place */
	struct toy_inode *root;
	struct zus_space *space;
	struct toy_relocator *relocator; /* NULL without the option */
	struct toy_index *index;	/* of inodes by number; NULL: no memory for it */
	struct toy_blocks *blocks;	/* NULL without options that need it */
	uint64_t features;		/* ZUS_MF_* of this mount */
	uint64_t last_ino, inodes, remote_untold; /* atomic */
};

#define toy(inode) zus_container_of(inode, struct toy_inode, zi)

static inline struct toy_fs *fs_of(const struct zus_inode *inode)
{
	return inode->mount->priv;
}

/* toyfs.c: attributes as they are, with the number of blocks. */
void toy_get_attr(struct toy_inode *ti, struct zus_attr *out);

/* data.c */
extern const struct zus_file_ops toy_file_ops;

/* Where the block of bn is kept; NULL: nowhere, with make: no memory. ti->lock is held. */
uint64_t *toy_map_slot(struct toy_inode *ti, uint64_t bn, bool make);
/* What is there; 0: a hole. Likewise. */
uint64_t toy_map_get(struct toy_inode *ti, uint64_t bn);
/* Blocks [first, end) leave the file; ti->lock is held. */
void toy_map_cut(struct toy_inode *ti, uint64_t first, uint64_t end);
/* At the inode's end: all that it has. */
void toy_map_free(struct toy_inode *ti);

#include "features.h"

#endif /* TOYFS_H */
