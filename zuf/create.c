// SPDX-License-Identifier: GPL-2.0
/* New inodes: with a name, and O_TMPFILE without one. */
#include <linux/namei.h>
#include <linux/slab.h>

#include "namei.h"
#include "xattr.h"

/* ------------------------------------------------------------------- checks */

enum zuf_rule zuf_check_create(const struct zuf_reply *reply)
{
	const struct zufs_create_out *out = reply->out;
	const struct zufs_create_in *in;
	enum zuf_rule rule;

	rule = zuf_check_entry(reply->mount, &out->entry,
			       reply->call ? reply->call->inode[0] : NULL);
	if (rule)
		return rule;
	if (reply->call) {
		in = reply->call->in;
		if ((out->entry.attr.mode ^ in->mode) & S_IFMT)
			return ZUF_RULE_TYPE;
	}
	return zuf_check_live_dir(reply, &out->dir, 0);
}

/* What has no name yet, and a link would be the first. */
enum zuf_rule zuf_check_tmpfile(const struct zuf_reply *reply)
{
	const struct zufs_entry *out = reply->out;
	struct zufs_entry named = *out;
	enum zuf_rule rule;

	if (out->attr.nlink)
		return ZUF_RULE_NLINK;
	named.attr.nlink = 1;
	rule = zuf_check_entry(reply->mount, &named, reply->call ? reply->call->inode[0] : NULL);
	return rule ?: S_ISREG(out->attr.mode) ? ZUF_RULE_OK : ZUF_RULE_TYPE;
}

/* The file stays, as the caller was told nothing; its handle goes back. */
void zuf_undo_create(struct zuf_orphan *orphan, const void *out)
{
	const struct zufs_create_out *create = out;

	if (create->entry.handle)
		zuf_forget_handle(orphan->mount, create->entry.handle);
}

/* ------------------------------------------------------------------- create */

struct make_args {
	u16 op;
	umode_t mode;
	dev_t rdev;
	const char *target;		/* SYMLINK */
};

/* Owner and mode of a new inode, as inode_init_owner() has them. */
static void make_fill(ZUF_IDMAP *idmap, struct inode *dir, const struct dentry *dentry,
		      const struct make_args *args, struct zufs_create_in *in)
{
	struct user_namespace *ns = i_user_ns(dir);
	umode_t mode = args->mode;
	kgid_t gid = mapped_fsgid(idmap, ns);

	if (dir->i_mode & S_ISGID) {
		gid = dir->i_gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
	}
	*in = (struct zufs_create_in) {
		.dir		= zuf_i(dir)->handle,
		.now		= zuf_now_of(dir),
		.mode		= mode,
		.uid		= from_kuid(ns, mapped_fsuid(idmap, ns)),
		.gid		= from_kgid(ns, gid),
		.rdev_major	= MAJOR(args->rdev),
		.rdev_minor	= MINOR(args->rdev),
		.name_bytes	= dentry->d_name.len,
		.target_bytes	= args->target ? strlen(args->target) : 0,
	};
}

/* The payload; *@link: a symlink's target, for i_link. */
static int make_payload(struct zuf_call *call, struct zufs_create_in *in,
			const struct make_args *args, const struct zuf_new_xattrs *xattrs,
			char **link)
{
	if (args->target) {
		if (in->target_bytes > ZUFS_SYMLINK_MAX)
			return -ENAMETOOLONG;
		*link = kmemdup(args->target, in->target_bytes + 1, GFP_KERNEL_ACCOUNT);
		if (!*link)
			return -ENOMEM;
		call->seg[call->num_segs++] = (struct kvec) { *link, in->target_bytes };
	}
	in->xattrs_bytes = xattrs->list_bytes;
	if (in->xattrs_bytes)
		call->seg[call->num_segs++] = (struct kvec) { xattrs->list, in->xattrs_bytes };
	return 0;
}

static int zuf_make(ZUF_IDMAP *idmap, struct inode *dir, struct dentry *dentry,
		    struct make_args *args)
{
	struct zuf_new_xattrs xattrs;
	struct zufs_create_in in;
	struct zufs_create_out out;
	struct zuf_call call = {
		.mount		= zuf_mount_of(dir->i_sb),
		.op		= args->op,
		.in		= &in,
		.out		= &out,
		.seg		= { zuf_name_vec(dentry) },
		.num_segs	= 1,
		.inode		= { dir },
		.dentry		= { dentry },
	};
	u32 seq = zuf_inval_seq(dir->i_sb);
	struct inode *inode;
	char *link = NULL;
	int err = zuf_dir_prepare(dir, dentry);

	if (err)
		return err;
	err = zuf_new_xattrs_begin(&xattrs, dir, dentry, &args->mode);
	if (err)
		goto out_free;
	make_fill(idmap, dir, dentry, args, &in);
	err = make_payload(&call, &in, args, &xattrs, &link);
	if (err)
		goto out_free;
	err = zuf_call_retry(&call);
	if (err) {
		zuf_name_unsure(dir, dentry, err);
		goto out_free;
	}
	zuf_point(ZUF_POINT_NAME_CHANGED, current);
	zuf_attr_apply(dir, &out.dir, true);
	inode = zuf_iget_new(dir->i_sb, &out.entry, args->op, seq);
	if (IS_ERR(inode)) {
		err = PTR_ERR(inode);
		d_drop(dentry);
		goto out_free;
	}
	zuf_new_xattrs_done(&xattrs, inode);
	if (link)
		inode->i_link = link;
	link = NULL;
	d_instantiate(dentry, inode);
out_free:
	kfree(link);
	zuf_new_xattrs_free(&xattrs);
	return err;
}

int zuf_create(ZUF_IDMAP *idmap, struct inode *dir, struct dentry *dentry,
	       umode_t mode, bool excl)
{
	struct make_args args = { .op = ZUFS_OP_CREATE, .mode = mode | S_IFREG };

	return zuf_make(idmap, dir, dentry, &args);
}

int zuf_mkdir(ZUF_IDMAP *idmap, struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct make_args args = { .op = ZUFS_OP_MKDIR, .mode = mode | S_IFDIR };

	return zuf_make(idmap, dir, dentry, &args);
}

int zuf_mknod(ZUF_IDMAP *idmap, struct inode *dir, struct dentry *dentry,
	      umode_t mode, dev_t rdev)
{
	struct make_args args = { .op = ZUFS_OP_MKNOD, .mode = mode, .rdev = rdev };

	if ((S_ISCHR(mode) || S_ISBLK(mode)) &&
	    !zuf_server_trusted(zuf_mount_of(dir->i_sb)->server))
		return -EPERM;
	return zuf_make(idmap, dir, dentry, &args);
}

int zuf_symlink(ZUF_IDMAP *idmap, struct inode *dir, struct dentry *dentry,
		const char *target)
{
	struct make_args args = {
		.op	= ZUFS_OP_SYMLINK,
		.mode	= S_IFLNK | 0777,
		.target	= target,
	};

	return zuf_make(idmap, dir, dentry, &args);
}

/* ------------------------------------------------------------------ O_TMPFILE */

static int tmpfile_make(ZUF_IDMAP *idmap, struct inode *dir, struct dentry *dentry,
			struct make_args *args, struct inode **made)
{
	struct zuf_new_xattrs xattrs;
	struct zufs_create_in in;
	struct zufs_entry out;
	struct zuf_call call = {
		.mount		= zuf_mount_of(dir->i_sb),
		.op		= ZUFS_OP_TMPFILE,
		.in		= &in,
		.out		= &out,
		.inode		= { dir },
	};
	u32 seq = zuf_inval_seq(dir->i_sb);
	char *link = NULL;
	int err;

	err = zuf_new_xattrs_begin(&xattrs, dir, dentry, &args->mode);
	if (err)
		goto out_free;
	make_fill(idmap, dir, dentry, args, &in);
	in.name_bytes = 0;
	err = make_payload(&call, &in, args, &xattrs, &link);
	if (!err)
		err = zuf_call_retry(&call);
	if (err)
		goto out_free;
	*made = zuf_iget_new(dir->i_sb, &out, ZUFS_OP_TMPFILE, seq);
	if (IS_ERR(*made))
		err = PTR_ERR(*made);
	else
		zuf_new_xattrs_done(&xattrs, *made);
out_free:
	zuf_new_xattrs_free(&xattrs);
	return err;
}

int zuf_tmpfile(ZUF_IDMAP *idmap, struct inode *dir, struct file *file, umode_t mode)
{
	struct make_args args = { .op = ZUFS_OP_TMPFILE, .mode = mode | S_IFREG };
	struct inode *inode;
	int err;

	if (!(zuf_mount_of(dir->i_sb)->features & ZUFS_MF_TMPFILE))
		return -EOPNOTSUPP;
	err = zuf_data_begin(dir);
	if (!err)
		err = tmpfile_make(idmap, dir, file->f_path.dentry, &args, &inode);
	if (err)
		return err;
	/* d_tmpfile() takes it away again */
	spin_lock(&inode->i_lock);
	set_nlink(inode, 1);
	spin_unlock(&inode->i_lock);
	d_tmpfile(file, inode);
	return finish_open_simple(file, 0);
}
