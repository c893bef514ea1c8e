// SPDX-License-Identifier: BSD-3-Clause
/* ops_inode.c - names and attributes: LOOKUP to READLINK. */
#include <errno.h>
#include <string.h>

#include "internal.h"

static const struct zus_inode_ops *inode_ops(const struct zus_req *req)
{
	return &req->worker->server->inode_ops;
}

/* A callback that failed after zus_entry_set(): the kernel gets no reference. */
static int undo_entry(const struct zus_entry *entry, int ret)
{
	if (entry->inode)
		zus_inode_forget(entry->inode, 1);
	return ret;
}

static int no_inode(const struct zus_req *req)
{
	zus_log(ZUS_LOG_ERR, "%s: %s gave no inode", req->worker->server->plugin.name,
		zus_ops[req->hdr.op].name);
	return -EIO;
}

static int put_entry(struct zus_req *req, const struct zus_entry *entry, int ret)
{
	if (ret)
		return undo_entry(entry, ret);
	if (!entry->inode)
		return no_inode(req);
	zus_entry_put(zus_req_out(req), entry);
	return 0;
}

int zus_serve_lookup(struct zus_req *req)
{
	const struct zufs_lookup_in *in = &req->in.lookup;
	struct zus_entry entry = { .inode = NULL };
	struct zus_inode *dir;
	struct zus_name name;
	int ret;

	ret = zus_req_name(req, 0, in->name_bytes, &name);
	if (!ret)
		ret = zus_req_inode(req, in->dir, &dir);
	if (ret)
		return ret;
	return put_entry(req, &entry, inode_ops(req)->lookup(req, dir, &name, &entry));
}

int zus_serve_getattr(struct zus_req *req)
{
	const struct zufs_getattr_in *in = &req->in.getattr;
	struct zus_attr attr = { .ino = 0 };
	struct zus_inode *inode;
	int ret;

	ret = zus_req_inode(req, in->inode, &inode);
	if (ret)
		return ret;
	ret = inode_ops(req)->getattr(req, inode, in->fh, in->mask, &attr);
	if (ret)
		return ret;
	zus_attr_put(zus_req_out(req), &attr);
	return 0;
}

int zus_serve_setattr(struct zus_req *req)
{
	const struct zufs_setattr_in *in = &req->in.setattr;
	struct zus_attr attr = { .ino = 0 };
	struct zus_setattr set = {
		.fh = in->fh,
		.size_bytes = in->size_bytes,
		.valid = in->valid,
		.mode = in->mode,
		.uid = in->uid,
		.gid = in->gid,
		.flags = in->flags,
		.projid = in->projid,
	};
	struct zus_inode *inode;
	int ret;

	if (in->valid & ~ZUFS_SET_ALL)
		return -EOPNOTSUPP;
	if ((in->valid & ZUFS_SET_FLAGS) && in->flags & ~ZUFS_ATTR_SETTABLE)
		return -EOPNOTSUPP;
	if ((in->valid & ZUFS_SET_SIZE) && in->size_bytes > INT64_MAX)
		return -EFBIG;
	if (((in->valid & ZUFS_SET_ATIME) && zus_time_get(&in->atime, &set.atime)) ||
	    ((in->valid & ZUFS_SET_MTIME) && zus_time_get(&in->mtime, &set.mtime)) ||
	    ((in->valid & ZUFS_SET_CTIME) && zus_time_get(&in->ctime, &set.ctime)))
		return -EPROTO;
	if (!inode_ops(req)->setattr)
		return -EOPNOTSUPP;
	ret = zus_req_inode(req, in->inode, &inode);
	if (ret)
		return ret;
	ret = inode_ops(req)->setattr(req, inode, &set, &attr);
	if (ret)
		return ret;
	zus_attr_put(zus_req_out(req), &attr);
	return 0;
}

typedef int zus_create_fn(struct zus_req *req, struct zus_inode *dir,
			  const struct zus_create *args, struct zus_entry *out,
			  struct zus_attr *dir_out);

static zus_create_fn *create_fn(const struct zus_req *req)
{
	const struct zus_inode_ops *ops = inode_ops(req);

	switch (req->hdr.op) {
	case ZUFS_OP_CREATE:
		return ops->create;
	case ZUFS_OP_MKDIR:
		return ops->mkdir;
	case ZUFS_OP_MKNOD:
		return ops->mknod;
	case ZUFS_OP_SYMLINK:
		return ops->symlink;
	default:
		return NULL;
	}
}

static int take_target(const struct zus_req *req, struct zus_name *target)
{
	const struct zufs_create_in *in = &req->in.create;

	if (req->hdr.op != ZUFS_OP_SYMLINK)
		return in->target_bytes ? -EPROTO : 0;
	if (!in->target_bytes)
		return -EPROTO;
	if (in->target_bytes > ZUFS_SYMLINK_MAX)
		return -ENAMETOOLONG;
	target->bytes = in->target_bytes;
	return zus_req_text(req, in->name_bytes, in->target_bytes, &target->str);
}

/* All but the name. */
static int take_create(struct zus_req *req, struct zus_create *args, struct zus_inode **dir)
{
	const struct zufs_create_in *in = &req->in.create;
	int ret;

	*args = (struct zus_create) {
		.name = args->name,
		.mode = in->mode,
		.uid = in->uid,
		.gid = in->gid,
		.rdev_major = in->rdev_major,
		.rdev_minor = in->rdev_minor,
		.xattrs = req->xattrs,
	};
	ret = zus_time_get(&in->now, &args->now);
	if (!ret)
		ret = take_target(req, &args->target);
	if (!ret)
		ret = zus_req_xattrs(req, in->name_bytes + in->target_bytes,
				     in->xattrs_bytes, &args->num_xattrs);
	return ret ? ret : zus_req_inode(req, in->dir, dir);
}

int zus_serve_tmpfile(struct zus_req *req)
{
	const struct zus_inode_ops *ops = inode_ops(req);
	struct zus_create args = { .name = { "", 0 } };
	struct zus_entry entry = { .inode = NULL };
	struct zus_inode *dir;
	int ret;

	if (!ops->tmpfile)
		return -EOPNOTSUPP;
	if (req->in.create.name_bytes)
		return -EPROTO;
	ret = take_create(req, &args, &dir);
	if (ret)
		return ret;
	return put_entry(req, &entry, ops->tmpfile(req, dir, &args, &entry));
}

int zus_serve_create(struct zus_req *req)
{
	struct zufs_create_out *out = zus_req_out(req);
	struct zus_entry entry = { .inode = NULL };
	struct zus_attr dir_attr = { .ino = 0 };
	zus_create_fn *create = create_fn(req);
	struct zus_create args;
	struct zus_inode *dir;
	int ret;

	if (!create)
		return -EOPNOTSUPP;
	ret = zus_req_name(req, 0, req->in.create.name_bytes, &args.name);
	if (!ret)
		ret = take_create(req, &args, &dir);
	if (ret)
		return ret;
	ret = create(req, dir, &args, &entry, &dir_attr);
	if (ret)
		return undo_entry(&entry, ret);
	if (!entry.inode)
		return no_inode(req);
	zus_entry_put(&out->entry, &entry);
	zus_attr_put(&out->dir, &dir_attr);
	return 0;
}

int zus_serve_create_open(struct zus_req *req)
{
	struct zufs_create_open_out *out = zus_req_out(req);
	struct zus_create_open answer = { .entry = { .inode = NULL } };
	struct zus_create args;
	struct zus_inode *dir;
	int ret;

	if (!inode_ops(req)->create_open)
		return -EOPNOTSUPP;
	ret = zus_req_name(req, 0, req->in.create.name_bytes, &args.name);
	if (!ret)
		ret = take_create(req, &args, &dir);
	if (ret)
		return ret;
	ret = inode_ops(req)->create_open(req, dir, &args, req->in.create_open.open_flags,
					  &answer);
	if (ret)
		return undo_entry(&answer.entry, ret);
	if (!answer.entry.inode)
		return no_inode(req);
	zus_entry_put(&out->create.entry, &answer.entry);
	zus_attr_put(&out->create.dir, &answer.dir);
	out->created = answer.created;
	out->fh = answer.created ? answer.fh : 0;
	return 0;
}

static void put_link(struct zus_req *req, const struct zus_attr *inode,
		     const struct zus_attr *dir)
{
	struct zufs_link_out *out = zus_req_out(req);

	zus_attr_put(&out->inode, inode);
	zus_attr_put(&out->dir, dir);
}

int zus_serve_link(struct zus_req *req)
{
	const struct zufs_link_in *in = &req->in.link;
	struct zus_attr attr = { .ino = 0 }, dir_attr = { .ino = 0 };
	struct zus_inode *inode, *dir;
	struct zus_name name;
	struct zus_time now;
	int ret;

	if (!inode_ops(req)->link)
		return -EOPNOTSUPP;
	ret = zus_time_get(&in->now, &now);
	if (!ret)
		ret = zus_req_name(req, 0, in->name_bytes, &name);
	if (!ret)
		ret = zus_req_inode(req, in->inode, &inode);
	if (!ret)
		ret = zus_req_inode(req, in->dir, &dir);
	if (ret)
		return ret;
	ret = inode_ops(req)->link(req, inode, dir, &name, &now, &attr, &dir_attr);
	if (!ret)
		put_link(req, &attr, &dir_attr);
	return ret;
}

int zus_serve_unlink(struct zus_req *req)
{
	const struct zufs_unlink_in *in = &req->in.unlink;
	const struct zus_inode_ops *ops = inode_ops(req);
	struct zus_attr attr = { .ino = 0 }, dir_attr = { .ino = 0 };
	struct zus_inode *inode, *dir;
	struct zus_name name;
	struct zus_time now;
	int ret;

	if (req->hdr.op == ZUFS_OP_RMDIR ? !ops->rmdir : !ops->unlink)
		return -EOPNOTSUPP;
	ret = zus_time_get(&in->now, &now);
	if (!ret)
		ret = zus_req_name(req, 0, in->name_bytes, &name);
	if (!ret)
		ret = zus_req_inode(req, in->dir, &dir);
	if (!ret)
		ret = zus_req_inode(req, in->inode, &inode);
	if (ret)
		return ret;
	ret = (req->hdr.op == ZUFS_OP_RMDIR ? ops->rmdir : ops->unlink)
		(req, dir, inode, &name, &now, &attr, &dir_attr);
	if (!ret)
		put_link(req, &attr, &dir_attr);
	return ret;
}

static int take_rename(struct zus_req *req, struct zus_rename *args)
{
	const struct zufs_rename_in *in = &req->in.rename;
	int ret;

	ret = zus_time_get(&in->now, &args->now);
	if (!ret)
		ret = zus_req_name(req, 0, in->old_bytes, &args->old_name);
	if (!ret)
		ret = zus_req_name(req, in->old_bytes, in->new_bytes, &args->new_name);
	if (!ret)
		ret = zus_req_inode(req, in->old_dir, &args->old_dir);
	if (!ret)
		ret = zus_req_inode(req, in->new_dir, &args->new_dir);
	if (!ret)
		ret = zus_req_inode(req, in->inode, &args->inode);
	if (!ret && in->target)
		ret = zus_req_inode(req, in->target, &args->target);
	if (!ret)
		ret = zus_req_xattrs(req, in->old_bytes + in->new_bytes, in->xattrs_bytes,
				     &args->num_xattrs);
	args->xattrs = req->xattrs;
	args->flags = in->flags;
	return ret;
}

int zus_serve_rename(struct zus_req *req)
{
	struct zufs_rename_out *out = zus_req_out(req);
	struct zus_rename args = { .target = NULL };
	struct zus_rename_out made;
	int ret;

	if (!inode_ops(req)->rename)
		return -EOPNOTSUPP;
	ret = take_rename(req, &args);
	if (ret)
		return ret;
	memset(&made, 0, sizeof(made));
	ret = inode_ops(req)->rename(req, &args, &made);
	if (ret)
		return ret;
	zus_attr_put(&out->old_dir, &made.old_dir);
	zus_attr_put(&out->new_dir, &made.new_dir);
	zus_attr_put(&out->inode, &made.inode);
	if (args.target)
		zus_attr_put(&out->target, &made.target);
	return 0;
}

int zus_serve_iget(struct zus_req *req)
{
	const struct zufs_iget_in *in = &req->in.iget;
	struct zus_entry entry = { .inode = NULL };

	if (!inode_ops(req)->iget)
		return -EOPNOTSUPP;
	return put_entry(req, &entry, inode_ops(req)->iget(req, req->mount, in->ino, in->gen,
							   &entry));
}

int zus_serve_parent(struct zus_req *req)
{
	struct zus_entry entry = { .inode = NULL };
	struct zus_inode *dir;
	int ret;

	if (!inode_ops(req)->parent)
		return -EOPNOTSUPP;
	ret = zus_req_inode(req, req->in.parent.dir, &dir);
	if (ret)
		return ret;
	return put_entry(req, &entry, inode_ops(req)->parent(req, dir, &entry));
}

int zus_serve_readlink(struct zus_req *req)
{
	struct zus_inode *inode;
	int ret;

	if (!inode_ops(req)->readlink)
		return -EINVAL;
	ret = zus_req_inode(req, req->in.readlink.inode, &inode);
	if (ret)
		return ret;
	return inode_ops(req)->readlink(req, inode);
}
