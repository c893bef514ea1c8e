// SPDX-License-Identifier: GPL-2.0
/*
 * Names. Only this kernel changes them, unless the server says so (inval.c), so what
 * a lookup found, and that it found nothing, stays in the dentry cache without asking
 * again. Where the outcome of a change is not known the names are dropped from it.
 */
#include <linux/namei.h>
#include <linux/slab.h>

#include "namei.h"
#include "xattr.h"

int zuf_dir_prepare(struct inode *dir, const struct dentry *dentry)
{
	if (dentry->d_name.len > ZUFS_NAME_MAX)
		return -ENAMETOOLONG;
	return zuf_data_begin(dir);
}

void zuf_name_unsure(struct inode *dir, struct dentry *dentry, int err)
{
	switch (err) {
	case -EIO:
		set_bit(ZUF_I_STALE, &zuf_i(dir)->flags);
		if (d_really_is_positive(dentry))
			set_bit(ZUF_I_STALE, &zuf_i(d_inode(dentry))->flags);
		fallthrough;
	case -EINTR:
	case -ETIMEDOUT:
	case -EEXIST:
	case -ENOENT:
	case -ESTALE:
		d_drop(dentry);
		break;
	}
}

/* ------------------------------------------------------------------- checks */

/* Attributes of an inode that the call names. */
static enum zuf_rule check_live(const struct zuf_reply *reply, const struct zufs_attr *attr,
				unsigned int index)
{
	return zuf_check_attr(reply->mount, attr,
			      reply->call ? reply->call->inode[index] : NULL);
}

enum zuf_rule zuf_check_live_dir(const struct zuf_reply *reply, const struct zufs_attr *attr,
				 unsigned int index)
{
	if (!S_ISDIR(attr->mode))
		return ZUF_RULE_TYPE;
	if (!attr->nlink)
		return ZUF_RULE_NLINK;
	return check_live(reply, attr, index);
}

enum zuf_rule zuf_check_lookup(const struct zuf_reply *reply)
{
	return zuf_check_entry(reply->mount, reply->out,
			       reply->call ? reply->call->inode[0] : NULL);
}

/* LINK, UNLINK and RMDIR. */
enum zuf_rule zuf_check_link(const struct zuf_reply *reply)
{
	const struct zufs_link_out *out = reply->out;
	enum zuf_rule rule;

	rule = check_live(reply, &out->inode, 1);
	if (rule)
		return rule;
	if (reply->call && reply->call->op == ZUFS_OP_LINK && !out->inode.nlink)
		return ZUF_RULE_NLINK;
	return zuf_check_live_dir(reply, &out->dir, 0);
}

enum zuf_rule zuf_check_rename(const struct zuf_reply *reply)
{
	const struct zufs_rename_out *out = reply->out;
	enum zuf_rule rule;

	rule = zuf_check_live_dir(reply, &out->old_dir, 0);
	if (!rule)
		rule = zuf_check_live_dir(reply, &out->new_dir, 1);
	if (!rule)
		rule = check_live(reply, &out->inode, 2);
	if (!rule && !out->inode.nlink)
		rule = ZUF_RULE_NLINK;
	if (!rule && reply->call && reply->call->inode[3])
		rule = check_live(reply, &out->target, 3);
	return rule;
}

enum zuf_rule zuf_check_readlink(const struct zuf_reply *reply)
{
	if (!reply->buf_bytes || reply->buf_bytes > ZUFS_SYMLINK_MAX ||
	    memchr(reply->buf, 0, reply->buf_bytes))
		return ZUF_RULE_SYMLINK;
	return ZUF_RULE_OK;
}

void zuf_undo_lookup(struct zuf_orphan *orphan, const void *out)
{
	const struct zufs_entry *entry = out;

	if (entry->handle)
		zuf_forget_handle(orphan->mount, entry->handle);
}

/* It goes with its last user then, and not only when memory gets short. */
static void late_nlink(struct inode *inode, bool none)
{
	if (!inode || !none)
		return;
	spin_lock(&inode->i_lock);
	clear_nlink(inode);
	spin_unlock(&inode->i_lock);
}

/* UNLINK and RMDIR. The name stays away; its inode may have lost its last one. */
void zuf_undo_remove(struct zuf_orphan *orphan, const void *out)
{
	const struct zufs_link_out *removed = out;

	late_nlink(orphan->inode[1], orphan->op == ZUFS_OP_RMDIR || !removed->inode.nlink);
}

/* The same, of what was replaced; an exchange leaves it its name. */
void zuf_undo_rename(struct zuf_orphan *orphan, const void *out)
{
	const struct zufs_rename_out *renamed = out;

	late_nlink(orphan->inode[3], !renamed->target.nlink);
}

/* ------------------------------------------------------------------- lookup */

/*
 * Does the server name one of @dentry's ancestors as its child? d_splice_alias()
 * would see it too, and would write a line for each to the kernel's log.
 */
static bool names_ancestor(struct dentry *dentry, struct inode *inode)
{
	struct dentry *alias;
	bool loop;

	if (!S_ISDIR(inode->i_mode))
		return false;
	alias = d_find_any_alias(inode);
	if (likely(!alias))
		return false;
	loop = is_subdir(dentry, alias);
	dput(alias);
	return loop;
}

struct dentry *zuf_splice(struct inode *inode, struct dentry *dentry, u16 op)
{
	if (!IS_ERR_OR_NULL(inode) && unlikely(names_ancestor(dentry, inode))) {
		zuf_rule_broken(zuf_mount_of(dentry->d_sb), op, ZUF_RULE_LOOP);
		iput(inode);
		return ERR_PTR(-EIO);
	}
	return d_splice_alias(inode, dentry);
}

struct dentry *zuf_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	struct zufs_lookup_in in = {
		.dir		= zuf_i(dir)->handle,
		.name_bytes	= dentry->d_name.len,
	};
	struct zufs_entry entry;
	struct zuf_call call = {
		.mount		= zuf_mount_of(dir->i_sb),
		.op		= ZUFS_OP_LOOKUP,
		.in		= &in,
		.out		= &entry,
		.seg		= { zuf_name_vec(dentry) },
		.num_segs	= 1,
		.inode		= { dir },
	};
	u32 seq = zuf_inval_seq(dir->i_sb), names_seq = zuf_names_seq(dir);
	struct dentry *found;
	struct inode *inode = NULL;
	int err = zuf_dir_prepare(dir, dentry);

	if (!err)
		err = zuf_call_retry(&call);
	if (!err)
		inode = zuf_iget(dir->i_sb, &entry, seq);
	else if (err != -ENOENT)
		return ERR_PTR(err);
	found = zuf_splice(inode, dentry, call.op);
	if (!IS_ERR(found))
		zuf_names_check(dir, found ?: dentry, names_seq);
	return found;
}

/* ------------------------------------------------------- link, unlink, rename */

/* A regular file's ctime must not be overtaken by times on their way. */
static int child_lock_times(struct inode *inode)
{
	return inode && S_ISREG(inode->i_mode) ? zuf_times_lock(inode) : 0;
}

static void child_unlock_times(struct inode *inode)
{
	if (inode && S_ISREG(inode->i_mode))
		zuf_times_unlock(inode);
}

static int zuf_link(struct dentry *old_dentry, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(old_dentry);
	struct zufs_link_in in = {
		.inode		= zuf_i(inode)->handle,
		.dir		= zuf_i(dir)->handle,
		.now		= zuf_now_of(inode),
		.name_bytes	= dentry->d_name.len,
	};
	struct zufs_link_out out;
	struct zuf_call call = {
		.mount		= zuf_mount_of(dir->i_sb),
		.op		= ZUFS_OP_LINK,
		.in		= &in,
		.out		= &out,
		.seg		= { zuf_name_vec(dentry) },
		.num_segs	= 1,
		.inode		= { dir, inode },
		.dentry		= { dentry },
	};
	int err = zuf_dir_prepare(dir, dentry);

	if (!err)
		err = zuf_data_begin(inode);
	if (!err)
		err = child_lock_times(inode);
	if (err)
		return err;
	err = zuf_call_retry(&call);
	if (err) {
		zuf_name_unsure(dir, dentry, err);
	} else {
		zuf_point(ZUF_POINT_NAME_CHANGED, current);
		zuf_attr_apply(dir, &out.dir, true);
		zuf_attr_apply(inode, &out.inode, false);
		ihold(inode);
		d_instantiate(dentry, inode);
	}
	child_unlock_times(inode);
	return err;
}

static int zuf_remove(struct inode *dir, struct dentry *dentry, u16 op)
{
	struct inode *inode = d_inode(dentry);
	struct zufs_unlink_in in = {
		.dir		= zuf_i(dir)->handle,
		.inode		= zuf_i(inode)->handle,
		.now		= zuf_now_of(dir),
		.name_bytes	= dentry->d_name.len,
	};
	struct zufs_link_out out;
	struct zuf_call call = {
		.mount		= zuf_mount_of(dir->i_sb),
		.op		= op,
		.in		= &in,
		.out		= &out,
		.seg		= { zuf_name_vec(dentry) },
		.num_segs	= 1,
		.inode		= { dir, inode },
		.dentry		= { dentry },
	};
	int err = zuf_dir_prepare(dir, dentry);

	if (!err)
		err = zuf_data_begin(inode);
	if (!err)
		err = child_lock_times(inode);
	if (err)
		return err;
	err = zuf_call_retry(&call);
	if (err) {
		zuf_name_unsure(dir, dentry, err);
	} else {
		zuf_point(ZUF_POINT_NAME_CHANGED, current);
		zuf_attr_apply(dir, &out.dir, true);
		zuf_attr_apply(inode, &out.inode, false);
	}
	child_unlock_times(inode);
	return err;
}

static int zuf_unlink(struct inode *dir, struct dentry *dentry)
{
	return zuf_remove(dir, dentry, ZUFS_OP_UNLINK);
}

static int zuf_rmdir(struct inode *dir, struct dentry *dentry)
{
	int err = zuf_remove(dir, dentry, ZUFS_OP_RMDIR);

	/* a directory has no other name, whatever the server counts */
	if (!err)
		clear_nlink(d_inode(dentry));
	return err;
}

static int rename_prepare(struct inode *old_dir, struct dentry *old_dentry,
			  struct inode *new_dir, struct dentry *new_dentry)
{
	struct inode *target = d_inode(new_dentry);
	int err = zuf_dir_prepare(old_dir, old_dentry);

	if (!err)
		err = zuf_dir_prepare(new_dir, new_dentry);
	if (!err)
		err = zuf_data_begin(d_inode(old_dentry));
	if (!err && target)
		err = zuf_data_begin(target);
	return err;
}

/* Both inodes are locked by the VFS, so no two renames wait for each other. */
static int rename_lock_times(struct inode *inode, struct inode *target)
{
	int err = child_lock_times(inode);

	if (err)
		return err;
	err = child_lock_times(target);
	if (err)
		child_unlock_times(inode);
	return err;
}

static void rename_apply(const struct zuf_call *call, const struct zufs_rename_out *out)
{
	zuf_attr_apply(call->inode[0], &out->old_dir, true);
	if (call->inode[1] != call->inode[0])
		zuf_attr_apply(call->inode[1], &out->new_dir, true);
	zuf_attr_apply(call->inode[2], &out->inode, false);
	if (call->inode[3])
		zuf_attr_apply(call->inode[3], &out->target, false);
}

static int zuf_rename(ZUF_IDMAP *idmap, struct inode *old_dir, struct dentry *old_dentry,
		      struct inode *new_dir, struct dentry *new_dentry, unsigned int flags)
{
	struct inode *inode = d_inode(old_dentry), *target = d_inode(new_dentry);
	struct zufs_rename_in in = {
		.old_dir	= zuf_i(old_dir)->handle,
		.new_dir	= zuf_i(new_dir)->handle,
		.inode		= zuf_i(inode)->handle,
		.target		= target ? zuf_i(target)->handle : 0,
		.now		= zuf_now_of(old_dir),
		.flags		= flags,
		.old_bytes	= old_dentry->d_name.len,
		.new_bytes	= new_dentry->d_name.len,
	};
	struct zuf_call call = {
		.mount		= zuf_mount_of(old_dir->i_sb),
		.op		= ZUFS_OP_RENAME,
		.in		= &in,
		.seg		= { zuf_name_vec(old_dentry), zuf_name_vec(new_dentry) },
		.num_segs	= 2,
		.inode		= { old_dir, new_dir, inode, target },
		.dentry		= { old_dentry, new_dentry },
	};
	struct zuf_new_xattrs xattrs = {};
	struct zufs_rename_out *out;	/* too large for the stack */
	int err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if (flags & RENAME_WHITEOUT && !(call.mount->features & ZUFS_MF_WHITEOUT))
		return -EINVAL;
	err = rename_prepare(old_dir, old_dentry, new_dir, new_dentry);
	if (err)
		return err;
	out = kmalloc(sizeof(*out), GFP_KERNEL);
	if (!out)
		return -ENOMEM;
	call.out = out;
	if (flags & RENAME_WHITEOUT) {
		err = zuf_whiteout_xattrs_begin(&xattrs, old_dir, old_dentry);
		if (err)
			goto out_free;
		in.xattrs_bytes = xattrs.list_bytes;
		if (in.xattrs_bytes)
			call.seg[call.num_segs++] = (struct kvec) { xattrs.list, in.xattrs_bytes };
	}
	err = rename_lock_times(inode, target);
	if (err)
		goto out_free;
	err = zuf_call_retry(&call);
	if (err) {
		zuf_name_unsure(old_dir, old_dentry, err);
		zuf_name_unsure(new_dir, new_dentry, err);
	} else {
		zuf_point(ZUF_POINT_NAME_CHANGED, current);
		rename_apply(&call, out);
	}
	child_unlock_times(target);
	child_unlock_times(inode);
out_free:
	zuf_new_xattrs_free(&xattrs);
	kfree(out);
	return err;
}

/* ----------------------------------------------------------------- symlinks */

static int link_read(struct inode *inode, char **link)
{
	struct zufs_readlink_in in = { .inode = zuf_i(inode)->handle };
	struct zuf_call call = {
		.mount		= zuf_mount_of(inode->i_sb),
		.op		= ZUFS_OP_READLINK,
		.in		= &in,
		.reply_max	= ZUFS_SYMLINK_MAX,
		.inode		= { inode },
	};
	int err;

	call.reply_buf = kmalloc(ZUFS_SYMLINK_MAX, GFP_KERNEL);
	if (!call.reply_buf)
		return -ENOMEM;
	err = zuf_call_retry(&call);
	if (!err) {
		*link = kmemdup_nul(call.reply_buf, call.reply_bytes, GFP_KERNEL_ACCOUNT);
		if (!*link)
			err = -ENOMEM;
	}
	kfree(call.reply_buf);
	return err;
}

/* A target never changes: read once, kept in i_link, freed with the inode. */
static const char *zuf_get_link(struct dentry *dentry, struct inode *inode,
				struct delayed_call *done)
{
	char *link = NULL;
	int err;

	if (!dentry)
		return ERR_PTR(-ECHILD);
	if (unlikely(test_bit(ZUF_I_BAD, &zuf_i(inode)->flags)))
		return ERR_PTR(-EIO);
	/* pairs with the release below */
	if (smp_load_acquire(&inode->i_link))
		return inode->i_link;
	err = link_read(inode, &link);
	if (err)
		return ERR_PTR(err);
	/* pairs with the address dependency in the VFS: the bytes come first */
	if (cmpxchg_release(&inode->i_link, NULL, link))
		kfree(link);
	return inode->i_link;
}

#define ZUF_DIR_IOPS \
	.lookup		= zuf_lookup, \
	.create		= zuf_create, \
	.link		= zuf_link, \
	.unlink		= zuf_unlink, \
	.symlink	= zuf_symlink, \
	.mkdir		= zuf_mkdir, \
	.rmdir		= zuf_rmdir, \
	.mknod		= zuf_mknod, \
	.rename		= zuf_rename, \
	.tmpfile	= zuf_tmpfile, \
	.permission	= zuf_permission, \
	.getattr	= zuf_getattr, \
	.setattr	= zuf_setattr, \
	.listxattr	= zuf_listxattr, \
	.ZUF_GET_ACL	= zuf_get_acl, \
	.set_acl	= zuf_set_acl, \
	.fileattr_get	= zuf_fileattr_get, \
	.fileattr_set	= zuf_fileattr_set,

const struct inode_operations zuf_dir_iops = {
	ZUF_DIR_IOPS
};

/* Where the plugin has CREATE_OPEN: else the VFS does better. */
const struct inode_operations zuf_dir_open_iops = {
	ZUF_DIR_IOPS
	.atomic_open	= zuf_atomic_open,
};

const struct inode_operations zuf_symlink_iops = {
	.get_link	= zuf_get_link,
	.permission	= zuf_permission,
	.getattr	= zuf_getattr,
	.setattr	= zuf_setattr,
	.listxattr	= zuf_listxattr,
};

const struct inode_operations zuf_special_iops = {
	.permission	= zuf_permission,
	.getattr	= zuf_getattr,
	.setattr	= zuf_setattr,
	.listxattr	= zuf_listxattr,
	.ZUF_GET_ACL	= zuf_get_acl,
	.set_acl	= zuf_set_acl,
};
