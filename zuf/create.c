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

enum zuf_rule zuf_check_create_open(const struct zuf_reply *reply)
{
	const struct zufs_create_open_out *out = reply->out;
	const struct zufs_create_open_in *in;
	enum zuf_rule rule;

	if (out->created > 1 || (!out->created && out->fh))
		return ZUF_RULE_SIZE;
	rule = zuf_check_entry(reply->mount, &out->create.entry,
			       reply->call ? reply->call->inode[0] : NULL);
	if (rule)
		return rule;
	if (reply->call) {
		in = reply->call->in;
		if (out->created && (out->create.entry.attr.mode ^ in->create.mode) & S_IFMT)
			return ZUF_RULE_TYPE;
	}
	return zuf_check_live_dir(reply, &out->create.dir, 0);
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
	int err = zuf_make(idmap, dir, dentry, &args);

	/* the server has made it by itself: the VFS looks again, and opens that */
	return err == -EEXIST && !excl ? -ESTALE : err;
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

/* ---------------------------------------------------------------- atomic open */

/* It was there before: the VFS goes on as if it had been looked up. */
static int found_instead(struct file *file, struct dentry *dentry,
			 const struct zufs_create_open_out *out, u32 seq, u32 names_seq)
{
	struct inode *dir = d_inode(dentry->d_parent);
	struct inode *inode = zuf_iget(dentry->d_sb, &out->create.entry, seq);
	struct dentry *found;

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	/* that it was not there is not true any more */
	if (!d_in_lookup(dentry))
		d_drop(dentry);
	found = zuf_splice(inode, dentry, ZUFS_OP_CREATE_OPEN);
	if (IS_ERR(found))
		return PTR_ERR(found);
	zuf_names_check(dir, found ?: dentry, names_seq);
	return finish_no_open(file, found);
}

/* Consumes @zf. */
static int open_made(struct file *file, struct dentry *dentry, struct zuf_file *zf,
		     const struct zufs_create_open_out *out, struct zuf_new_xattrs *xattrs, u32 seq)
{
	struct zuf_mount *mount = zuf_mount_of(dentry->d_sb);
	struct inode *inode;
	int err;

	/* the answer's reference to the handle may go, and RELEASE needs it */
	if (zf)
		zf->fh = out->fh;
	inode = zuf_iget_new(dentry->d_sb, &out->create.entry, ZUFS_OP_CREATE_OPEN, seq);
	if (IS_ERR(inode)) {
		d_drop(dentry);
		err = PTR_ERR(inode);
		goto out_release;
	}
	zuf_new_xattrs_done(xattrs, inode);
	if (d_in_lookup(dentry))
		d_add(dentry, inode);
	else
		d_instantiate(dentry, inode);
	file->f_mode |= FMODE_CREATED;
	file->private_data = zf;
	err = finish_open(file, dentry, zuf_open_created);
	if (!err)
		return 0;
	file->private_data = NULL;
out_release:
	if (zf)
		zuf_file_release(mount, out->create.entry.handle, zf);
	return err;
}

static int open_create(struct inode *dir, struct dentry *dentry, struct file *file,
		       unsigned int flags, struct make_args *args)
{
	ZUF_IDMAP *idmap = file_mnt_idmap(file);
	struct zufs_create_open_in in;
	struct zufs_create_open_out out;
	struct zuf_new_xattrs xattrs;
	struct zuf_call call = {
		.mount		= zuf_mount_of(dir->i_sb),
		.op		= ZUFS_OP_CREATE_OPEN,
		.in		= &in,
		.out		= &out,
		.seg		= { zuf_name_vec(dentry) },
		.num_segs	= 1,
		.inode		= { dir },
		.dentry		= { dentry },
	};
	u32 seq = zuf_inval_seq(dir->i_sb), names_seq = zuf_names_seq(dir);
	struct zuf_file *zf = NULL;
	int err;

	if (call.mount->features & ZUFS_MF_OPEN) {
		zf = zuf_file_alloc();
		if (!zf)
			return -ENOMEM;
	}
	err = zuf_new_xattrs_begin(&xattrs, dir, dentry, &args->mode);
	if (err)
		goto out_free;
	make_fill(idmap, dir, dentry, args, &in.create);
	in.open_flags = flags;
	in.reserved = 0;
	err = make_payload(&call, &in.create, args, &xattrs, NULL);
	if (!err)
		err = zuf_call_retry(&call);
	if (err) {
		zuf_name_unsure(dir, dentry, err);
		goto out_free;
	}
	zuf_point(ZUF_POINT_NAME_CHANGED, current);
	zuf_attr_apply(dir, &out.create.dir, true);
	if (out.created) {
		err = open_made(file, dentry, zf, &out, &xattrs, seq);
		zf = NULL;
	} else {
		err = found_instead(file, dentry, &out, seq, names_seq);
	}
out_free:
	kfree(zf);
	zuf_new_xattrs_free(&xattrs);
	return err;
}

int zuf_atomic_open(struct inode *dir, struct dentry *dentry, struct file *file,
		    unsigned int flags, umode_t mode)
{
	struct make_args args = { .op = ZUFS_OP_CREATE_OPEN, .mode = (mode & S_IALLUGO) | S_IFREG };
	struct dentry *found = NULL;
	int err;

	if (flags & O_CREAT) {
		err = zuf_dir_prepare(dir, dentry);
		return err ?: open_create(dir, dentry, file, flags, &args);
	}
	if (d_in_lookup(dentry))
		found = zuf_lookup(dir, dentry, 0);
	return IS_ERR(found) ? PTR_ERR(found) : finish_no_open(file, found);
}
