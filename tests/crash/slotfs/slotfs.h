/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slotfs.h - a filesystem for the crash program's own proof. All names and inodes are one
 * structure, which each operation, and each mount, writes anew into the slot that is not
 * valid; then one word makes that one valid. Bytes never change in place. One thread at a
 * time, but for what makes names, which has a lock.
 */
#ifndef SLOTFS_H
#define SLOTFS_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/ioctl.h>

#include <zus.h>

#define SLOT_INODES	32u
#define SLOT_NAMES	48u
#define SLOT_NAME_BYTES	32u
#define SLOT_XATTRS	4u
#define SLOT_FILE_BLOCKS 32u
#define SLOT_FILE_BYTES	((uint64_t)SLOT_FILE_BLOCKS * ZUS_BLOCK_BYTES)
#define SLOT_ROOT	1u	/* inode number; 0: none */
#define SLOT_BLOCKS	256u	/* of a device at most */

/* Option bug=N: what is wrong. Each must be found. */
enum slot_bug {
	SLOT_RIGHT,
	SLOT_NO_FENCE,		/* between the slot and the word that makes it valid */
	SLOT_NO_FLUSH,		/* of that word */
	SLOT_TWO_STEPS,		/* rename is link and unlink */
	SLOT_IN_PLACE,		/* blocks that are there are overwritten */
	SLOT_BLOCK_LEAK,	/* removexattr forgets the block */
	SLOT_CRASH,		/* recovery of a symlink is a null pointer */
	SLOT_HANG,		/* or never ends */
	SLOT_MEMORY_LEAK,	/* of each mount */
	SLOT_RECOVERY,		/* writes to the slot that is valid */
	SLOT_LATE,		/* a new mode is written with the next operation */
	SLOT_NO_LOCK,		/* names are made while others are */
	SLOT_BUGS,
};

/* On the medium, where all numbers of blocks are of the device and 0 is none. */
struct slot_xattr {
	char name[SLOT_NAME_BYTES];
	uint32_t bytes;
	uint16_t block;
	uint16_t reserved;
};

struct slot_node {
	uint64_t size_bytes;
	uint64_t gen;
	uint64_t change;
	uint32_t mode;		/* 0: free */
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink;
	uint16_t blocks[SLOT_FILE_BLOCKS]; /* a symlink's target is in the first */
	struct slot_xattr xattrs[SLOT_XATTRS];
};

struct slot_name {
	char name[SLOT_NAME_BYTES];
	uint16_t bytes;		/* 0: free */
	uint16_t dir;
	uint16_t ino;
	uint16_t reserved;
};

struct slot_state {
	uint64_t seq;
	uint64_t next_gen;
	uint64_t leaked;	/* a block, by bug */
	struct slot_node nodes[SLOT_INODES]; /* by number */
	struct slot_name names[SLOT_NAMES];
	uint64_t sum;
};

/* Writes the state anew: something that a filesystem might do by itself. */
#define SLOT_IOC_REWRITE	_IO('S', 1)

/* In memory. */
struct slot_inode {
	struct zus_inode zi;
	uint32_t ino;
	bool gone;		/* has no name; slot in the table is kept until evict */
};

struct slot_fs {
	struct zus_mount *mount;
	pthread_mutex_t lock;	/* names and nodes, from their change to the end of its commit */
	char *media;
	uint64_t bytes, data_off;
	struct slot_state state; /* as on the medium, or as the next commit makes it */
	struct slot_inode *inodes[SLOT_INODES];
	bool used[SLOT_BLOCKS];
	uint16_t reserved[SLOT_FILE_BLOCKS]; /* of the map that is not done */
	uint64_t first_reserved;
	enum slot_bug bug;
};

static inline struct slot_fs *slot_fs_of(const struct zus_inode *inode)
{
	return inode->mount->priv;
}

static inline struct slot_inode *slot_inode(struct zus_inode *inode)
{
	return zus_container_of(inode, struct slot_inode, zi);
}

static inline struct slot_node *slot_node(struct zus_inode *inode)
{
	return &slot_fs_of(inode)->state.nodes[slot_inode(inode)->ino];
}

void slot_attr(struct zus_inode *inode, struct zus_attr *out);

/* Makes the state durable as it is. */
void slot_commit(struct slot_fs *fs);

/* 0: no space. free: of 0, too; at once, so behind the commit that needs them no more. */
uint16_t slot_block_alloc(struct slot_fs *fs);
void slot_block_free(struct slot_fs *fs, uint16_t block);
char *slot_block_addr(const struct slot_fs *fs, uint16_t block);
/* Frees, in memory, all that the medium's state does not have. */
void slot_blocks_find(struct slot_fs *fs);

/* data.c */
int slot_setattr(struct zus_req *req, struct zus_inode *inode, const struct zus_setattr *set,
		 struct zus_attr *out);
int slot_getxattr(struct zus_req *req, struct zus_inode *inode, const struct zus_name *name);
int slot_setxattr(struct zus_req *req, struct zus_inode *inode,
		  const struct zus_setxattr *args, struct zus_attr *out);
int slot_listxattr(struct zus_req *req, struct zus_inode *inode);
extern const struct zus_file_ops slot_file_ops;

#endif /* SLOTFS_H */
