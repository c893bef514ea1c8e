// SPDX-License-Identifier: GPL-2.0
/*
 * File handles, for open_by_handle_at(2) and NFS: an inode's number and generation, and
 * those of its directory where they are wanted. They are good for as long as the server
 * knows the inode by them, beyond an unmount too.
 */
#include <linux/exportfs.h>

#include "zuf.h"

enum { FID_INODE = 0x71, FID_INODE_PARENT = 0x72 };

struct zuf_fid {
	u64 ino;
	u64 gen;
	u64 parent_ino;
	u64 parent_gen;
} __packed __aligned(4);

#define FID_WORDS(with_parent)	((with_parent) ? 8 : 4)

enum zuf_rule zuf_check_iget(const struct zuf_reply *reply)
{
	const struct zufs_entry *entry = reply->out;
	const struct zufs_iget_in *in;

	if (!entry->handle)
		return ZUF_RULE_HANDLE;
	if (reply->call && reply->call->op == ZUFS_OP_IGET) {
		in = reply->call->in;
		if (entry->attr.ino != in->ino || entry->attr.gen != in->gen)
			return ZUF_RULE_INO;
	}
	return zuf_check_attr(reply->mount, &entry->attr, NULL);
}

enum zuf_rule zuf_check_parent(const struct zuf_reply *reply)
{
	const struct zufs_entry *entry = reply->out;
	const struct inode *dir = reply->call ? reply->call->inode[0] : NULL;

	if (!S_ISDIR(entry->attr.mode))
		return ZUF_RULE_TYPE;
	if (dir && entry->attr.ino == dir->i_ino && entry->attr.gen == zuf_i(dir)->gen)
		return ZUF_RULE_LOOP;
	return zuf_check_iget(reply);
}

static int zuf_encode_fh(struct inode *inode, u32 *fh, int *max_words, struct inode *parent)
{
	struct zuf_fid *fid = (struct zuf_fid *)fh;
	int words = FID_WORDS(parent);

	if (*max_words < words) {
		*max_words = words;
		return FILEID_INVALID;
	}
	*max_words = words;
	fid->ino = inode->i_ino;
	fid->gen = zuf_i(inode)->gen;
	if (!parent)
		return FID_INODE;
	fid->parent_ino = parent->i_ino;
	fid->parent_gen = zuf_i(parent)->gen;
	return FID_INODE_PARENT;
}

static struct dentry *dentry_of(struct super_block *sb, u64 ino, u64 gen)
{
	struct zufs_iget_in in = { .ino = ino, .gen = gen };
	struct zufs_entry entry;
	struct zuf_call call = {
		.mount	= zuf_mount_of(sb),
		.op	= ZUFS_OP_IGET,
		.in	= &in,
		.out	= &entry,
	};
	u32 seq = zuf_inval_seq(sb);
	struct inode *inode;
	int err;

	if (!ino)
		return ERR_PTR(-ESTALE);
	/* one without a name is here as long as somebody has it open */
	inode = zuf_ilookup(sb, ino, gen);
	if (!inode) {
		err = zuf_call_retry(&call);
		if (err)
			return ERR_PTR(err == -ENOENT ? -ESTALE : err);
		inode = zuf_iget(sb, &entry, seq);
	}
	return d_obtain_alias(inode);
}

static struct dentry *zuf_fh_to_dentry(struct super_block *sb, struct fid *fid, int words,
				       int type)
{
	const struct zuf_fid *zf = (const struct zuf_fid *)fid;

	if ((type != FID_INODE && type != FID_INODE_PARENT) || words < FID_WORDS(false))
		return NULL;
	return dentry_of(sb, zf->ino, zf->gen);
}

static struct dentry *zuf_fh_to_parent(struct super_block *sb, struct fid *fid, int words,
				       int type)
{
	const struct zuf_fid *zf = (const struct zuf_fid *)fid;

	if (type != FID_INODE_PARENT || words < FID_WORDS(true))
		return NULL;
	return dentry_of(sb, zf->parent_ino, zf->parent_gen);
}

static struct dentry *zuf_get_parent(struct dentry *child)
{
	struct inode *dir = d_inode(child);
	struct zufs_parent_in in = { .dir = zuf_i(dir)->handle };
	struct zufs_entry entry;
	struct zuf_call call = {
		.mount	= zuf_mount_of(dir->i_sb),
		.op	= ZUFS_OP_PARENT,
		.in	= &in,
		.out	= &entry,
		.inode	= { dir },
	};
	u32 seq = zuf_inval_seq(dir->i_sb);
	int err = zuf_data_begin(dir);

	if (!err)
		err = zuf_call_retry(&call);
	if (err)
		return ERR_PTR(err);
	return d_obtain_alias(zuf_iget(dir->i_sb, &entry, seq));
}

const struct export_operations zuf_export_ops = {
	.encode_fh	= zuf_encode_fh,
	.fh_to_dentry	= zuf_fh_to_dentry,
	.fh_to_parent	= zuf_fh_to_parent,
	.get_parent	= zuf_get_parent,
};
