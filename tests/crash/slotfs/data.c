// SPDX-License-Identifier: BSD-3-Clause
/* data.c - bytes of files and extended attributes; each change takes new blocks. */
#include <errno.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>

#include "slotfs.h"

static uint64_t block_of(uint64_t off)
{
	return off / ZUS_BLOCK_BYTES;
}

/* --------------------------------------------------------------------- maps */

static int add_extent(struct zus_req *req, uint64_t bn, uint16_t block, uint16_t flags)
{
	const struct zus_extent extent = {
		.file_off = bn * ZUS_BLOCK_BYTES, .len_bytes = ZUS_BLOCK_BYTES,
		.dev_off = (uint64_t)block * ZUS_BLOCK_BYTES,
		.type = block ? ZUS_EXT_DATA : ZUS_EXT_HOLE, .flags = flags,
	};

	return zus_req_extent(req, &extent);
}

static void drop_reserved(struct slot_fs *fs)
{
	unsigned int i;

	for (i = 0; i < SLOT_FILE_BLOCKS; i++)
		slot_block_free(fs, fs->reserved[i]);
	memset(fs->reserved, 0, sizeof(fs->reserved));
}

/* Another block for it, with what is in it. */
static int reserve(struct zus_req *req, struct slot_fs *fs, const struct slot_node *node,
		   uint64_t bn)
{
	uint16_t old = node->blocks[bn], block;

	if (fs->bug == SLOT_IN_PLACE && old)
		return add_extent(req, bn, old, ZUS_EXTF_COMMIT);
	block = slot_block_alloc(fs);
	if (!block)
		return -ENOSPC;
	fs->reserved[bn] = block;
	if (old)
		zus_copy_nt(slot_block_addr(fs, block), slot_block_addr(fs, old), ZUS_BLOCK_BYTES);
	return add_extent(req, bn, block, old ? ZUS_EXTF_COMMIT : ZUS_EXTF_NEW);
}

static int slot_map(struct zus_req *req, struct zus_inode *inode, const struct zus_map *args)
{
	struct slot_fs *fs = slot_fs_of(inode);
	const struct slot_node *node = slot_node(inode);
	uint64_t bn = block_of(args->off), last = block_of(args->off + args->len_bytes - 1);
	bool write = args->flags & ZUS_MAP_WRITE, holes = !write || args->flags & ZUS_MAP_ZERO;
	int err = 0;

	if (args->flags & ZUS_MAP_FAULT)
		return -EOPNOTSUPP;
	if (write && last >= SLOT_FILE_BLOCKS)
		return -EFBIG;
	drop_reserved(fs);
	for (; !err && bn <= last && zus_req_extents_left(req); bn++) {
		uint16_t block = bn < SLOT_FILE_BLOCKS ? node->blocks[bn] : 0;

		err = write && (block || !holes) ? reserve(req, fs, node, bn) :
						   add_extent(req, bn, block, 0);
	}
	if (err)
		drop_reserved(fs);
	return err;
}

/* What was copied takes the place of what was there. */
static int slot_map_done(struct zus_req *req, struct zus_inode *inode,
			 const struct zus_map_done *args, struct zus_attr *out)
{
	struct slot_fs *fs = slot_fs_of(inode);
	struct slot_node *node = slot_node(inode);
	uint64_t bn, last = block_of(args->off + args->written_bytes - 1);

	(void)req;
	if (args->written_bytes) {
		for (bn = block_of(args->off); bn <= last; bn++)
			if (fs->reserved[bn]) {
				node->blocks[bn] = fs->reserved[bn];
				fs->reserved[bn] = 0;
			}
		node->size_bytes = args->size_bytes;
		node->change++;
		slot_commit(fs);
	}
	drop_reserved(fs);
	slot_blocks_find(fs);
	if (out)
		slot_attr(inode, out);
	return 0;
}

/* [off, end) without blocks, those that are covered as a whole. */
static void clear_blocks(struct slot_node *node, uint64_t off, uint64_t end)
{
	uint64_t bn = block_of(off + ZUS_BLOCK_BYTES - 1);

	for (; bn < SLOT_FILE_BLOCKS && (bn + 1) * ZUS_BLOCK_BYTES <= end; bn++)
		node->blocks[bn] = 0;
}

static int slot_fallocate(struct zus_req *req, struct zus_inode *inode,
			  const struct zus_fallocate *args, struct zus_attr *out)
{
	struct slot_fs *fs = slot_fs_of(inode);
	struct slot_node *node = slot_node(inode);

	(void)req;
	if (args->mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		return -EOPNOTSUPP;
	if (args->size_bytes > SLOT_FILE_BYTES)
		return -EFBIG;
	if (args->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		clear_blocks(node, args->off, args->off + args->len_bytes);
	node->size_bytes = args->size_bytes;
	node->change++;
	slot_commit(fs);
	slot_blocks_find(fs);
	slot_attr(inode, out);
	return 0;
}

static int slot_ioctl(struct zus_req *req, struct zus_inode *inode, const struct zus_ioctl *args,
		      int32_t *result)
{
	(void)req;
	(void)result;
	if (args->cmd != SLOT_IOC_REWRITE)
		return -ENOTTY;
	slot_commit(slot_fs_of(inode));
	return 0;
}

const struct zus_file_ops slot_file_ops = {
	.map = slot_map, .map_done = slot_map_done, .fallocate = slot_fallocate,
	.ioctl = slot_ioctl,
};

/* --------------------------------------------------------------- attributes */

int slot_setattr(struct zus_req *req, struct zus_inode *inode, const struct zus_setattr *set,
		 struct zus_attr *out)
{
	struct slot_fs *fs = slot_fs_of(inode);
	struct slot_node *node = slot_node(inode);

	(void)req;
	if (set->valid & ZUS_SET_SIZE && set->size_bytes > SLOT_FILE_BYTES)
		return -EFBIG;
	if (set->valid & ZUS_SET_MODE)
		node->mode = (node->mode & S_IFMT) | (set->mode & 07777);
	if (set->valid & ZUS_SET_UID)
		node->uid = set->uid;
	if (set->valid & ZUS_SET_GID)
		node->gid = set->gid;
	if (set->valid & ZUS_SET_SIZE) {
		node->size_bytes = set->size_bytes;
		clear_blocks(node, set->size_bytes, SLOT_FILE_BYTES);
	}
	node->change++;
	if (fs->bug != SLOT_LATE || set->valid & ZUS_SET_SIZE)
		slot_commit(fs);
	slot_blocks_find(fs);
	slot_attr(inode, out);
	return 0;
}

static struct slot_xattr *find_xattr(struct slot_node *node, const struct zus_name *name)
{
	unsigned int i;

	for (i = 0; i < SLOT_XATTRS; i++)
		if (strlen(node->xattrs[i].name) == name->bytes &&
		    !memcmp(node->xattrs[i].name, name->str, name->bytes))
			return &node->xattrs[i];
	return NULL;
}

int slot_getxattr(struct zus_req *req, struct zus_inode *inode, const struct zus_name *name)
{
	const struct slot_xattr *xattr = find_xattr(slot_node(inode), name);

	if (!xattr)
		return -ENODATA;
	return zus_req_xattr_value(req, slot_block_addr(slot_fs_of(inode), xattr->block),
				   xattr->bytes);
}

int slot_listxattr(struct zus_req *req, struct zus_inode *inode)
{
	const struct slot_node *node = slot_node(inode);
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < SLOT_XATTRS; i++) {
		struct zus_name name = {
			node->xattrs[i].name, (uint32_t)strlen(node->xattrs[i].name),
		};

		if (name.bytes)
			err = zus_req_xattr_name(req, &name);
	}
	return err;
}

static int write_xattr(struct slot_fs *fs, struct slot_xattr *xattr, const struct zus_xattr *from)
{
	uint16_t block = slot_block_alloc(fs);

	if (!block)
		return -ENOSPC;
	zus_copy_nt(slot_block_addr(fs, block), from->value, from->value_bytes);
	zus_fence();
	*xattr = (struct slot_xattr) { .bytes = from->value_bytes, .block = block };
	memcpy(xattr->name, from->name.str, from->name.bytes);
	return 0;
}

int slot_setxattr(struct zus_req *req, struct zus_inode *inode,
		  const struct zus_setxattr *args, struct zus_attr *out)
{
	static const struct zus_name none = { "", 0 };
	struct slot_fs *fs = slot_fs_of(inode);
	struct slot_node *node = slot_node(inode);
	struct slot_xattr *xattr = find_xattr(node, &args->xattr.name);
	bool there = xattr != NULL;
	int err = 0;

	(void)req;
	if (args->xattr.name.bytes >= SLOT_NAME_BYTES ||
	    args->xattr.value_bytes > ZUS_BLOCK_BYTES)
		return -E2BIG;
	if (!there)
		xattr = find_xattr(node, &none);
	if (args->flags & ZUS_XATTR_REMOVE && there) {
		if (fs->bug == SLOT_BLOCK_LEAK)
			fs->state.leaked = xattr->block;
		memset(xattr, 0, sizeof(*xattr));
	} else if (!(args->flags & ZUS_XATTR_REMOVE)) {
		err = xattr ? write_xattr(fs, xattr, &args->xattr) : -ENOSPC;
	}
	if (err)
		return err;
	node->change++;
	slot_commit(fs);
	slot_blocks_find(fs);
	slot_attr(inode, out);
	return 0;
}
