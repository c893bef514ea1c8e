/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * toyfs.h - what the files of toyfs share. toyfs.c has mounts, inodes and names,
 * data.c says where a file's bytes are, relocate.c moves them while they are used.
 *
 * Locks, outer first: fs->names (all directories), then inode->lock (attributes
 * and block map of one inode; never two at once). libzus locks the free space.
 */
#ifndef TOYFS_H
#define TOYFS_H

#include <pthread.h>
#include <sys/queue.h>

#include <zus.h>

#pragma GCC diagnostic ignored "-Wunused-parameter" /* callbacks get more than they need */

#define TOY_BLOCK	((uint64_t)ZUS_BLOCK_BYTES)
#define TOY_FILE_MAX	0x7ffffffffffff000ull
#define TOY_RESERVED	(1ull << 63)	/* block given to a write that has not ended */

struct toy_dentry;
struct toy_reservation;

struct toy_inode {
	struct zus_inode zi;		/* what libzus keeps of it */
	pthread_mutex_t lock;
	struct zus_attr attr;
	/* Of a file: a radix tree from its block numbers to blocks. */
	uint64_t *map;
	unsigned int map_levels;
	uint64_t map_blocks;		/* without reserved ones */
	struct toy_reservation *reserved;
	TAILQ_HEAD(toy_list, toy_dentry) entries; /* of a directory, under fs->names */
	uint64_t next_cookie;
	char *target;			/* of a symlink */
};

struct toy_fs {
	pthread_rwlock_t names;
	void *tree;			/* all dentries by directory and name: tsearch(3) */
	struct toy_inode *root;
	struct zus_space *space;
	uint64_t last_ino, inodes;	/* atomic */
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

/* Blocks from number first on leave the file; ti->lock is held. */
void toy_map_truncate(struct toy_inode *ti, uint64_t first);
/* At the inode's end: all that it has. */
void toy_map_free(struct toy_inode *ti);

#endif /* TOYFS_H */
