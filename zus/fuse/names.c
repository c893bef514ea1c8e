// SPDX-License-Identifier: BSD-3-Clause
/* names.c - LOOKUP, FORGET, and what makes, moves and removes names. */
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "ops.h"

/* ------------------------------------------------------------------- lookup */

/* For file handles: "." is the inode itself, which the kernel has forgotten. */
static int lookup_dot(struct zf_call *call, fuse_ino_t id, const char *name,
		      struct zus_local_entry *entry)
{
	uint64_t handle = zf_node_handle(call->fuse, id), ino, gen;

	if (name[1])
		return handle ? zus_handle_parent(call->local, handle, entry) : -ESTALE;
	zf_node_was(call->fuse, id, &ino, &gen);
	return zus_handle_iget(call->local, ino, gen, entry);
}

/* That a name is not there is kept, too. */
static void done_absent(struct zf_call *call)
{
	const struct fuse_entry_param none = { .entry_timeout = call->fuse->timeout_sec };

	zf_end(call);
	fuse_reply_entry(call->req, &none);
}

void zf_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct zus_name str = zf_name(name);
	struct zus_local_entry entry;
	struct zf_call call;
	uint64_t handle;
	bool dots = !strcmp(name, ".") || !strcmp(name, "..");
	int err;

	zf_begin(&call, req);
	handle = zf_node_handle(call.fuse, parent);
	if (dots)
		err = zf_has(call.fuse, ZUS_MF_EXPORT) ?
		      lookup_dot(&call, parent, name, &entry) : -ESTALE;
	else
		err = handle ? zus_handle_lookup(call.local, handle, &str, &entry) : -ESTALE;
	if (err == -ENOENT)
		done_absent(&call);
	else
		zf_done_entry(&call, err, parent, dots ? NULL : name, &entry);
}

void zf_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	zf_node_forget(fuse_req_userdata(req), ino, count);
	fuse_reply_none(req);
}

void zf_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	size_t i;

	for (i = 0; i < count; i++)
		zf_node_forget(fuse_req_userdata(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

void zf_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[ZUFS_SYMLINK_MAX + 1];
	struct zf_call call;
	uint64_t handle;
	int ret;

	zf_begin(&call, req);
	handle = zf_node_handle(call.fuse, ino);
	ret = handle ? zus_handle_readlink(call.local, handle, target, ZUFS_SYMLINK_MAX) : -ESTALE;
	if (ret < 0) {
		zf_done(&call, ret);
		return;
	}
	target[ret] = 0;
	zf_accessed(&call, handle, 0);
	zf_end(&call);
	fuse_reply_readlink(req, target);
}

/* ------------------------------------------------------------------- create */

static int make(struct zf_call *call, fuse_ino_t parent, const char *name, uint32_t mode,
		const struct zus_create *more, struct zus_local_entry *entry)
{
	struct zf_new new;
	int err = zf_new_init(call, &new, parent, name, mode);

	if (err)
		return err;
	new.args.target = more->target;
	new.args.rdev_major = more->rdev_major;
	new.args.rdev_minor = more->rdev_minor;
	err = zus_handle_create(call->local, new.dir, &new.args, entry);
	zf_new_end(&new);
	return err;
}

void zf_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	const struct zus_create more = { .rdev_major = major(rdev), .rdev_minor = minor(rdev) };
	struct zus_local_entry entry;
	struct zf_call call;

	zf_begin(&call, req);
	zf_done_entry(&call, make(&call, parent, name, mode, &more, &entry), parent, name, &entry);
}

void zf_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	const struct zus_create more = { .mode = 0 };
	struct zus_local_entry entry;
	struct zf_call call;

	zf_begin(&call, req);
	zf_done_entry(&call, make(&call, parent, name, S_IFDIR | mode, &more, &entry), parent,
		      name, &entry);
}

void zf_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	const struct zus_create more = { .target = zf_name(target) };
	struct zus_local_entry entry;
	struct zf_call call;

	zf_begin(&call, req);
	zf_done_entry(&call, make(&call, parent, name, S_IFLNK | 0777, &more, &entry), parent,
		      name, &entry);
}

/* ------------------------------------------------------- link, unlink, rename */

static int make_link(struct zf_call *call, fuse_ino_t ino, fuse_ino_t parent, const char *name,
		     struct zus_local_entry *entry)
{
	uint64_t dir = zf_node_handle(call->fuse, parent), handle = zf_node_handle(call->fuse, ino);
	struct zus_name str = zf_name(name);
	int err = handle && dir ? zf_may(call, dir, ZF_ADD_NAME) : -ESTALE;

	if (!err)
		err = zf_may(call, handle, ZF_NAME);
	if (!err)
		err = zus_handle_link(call->local, handle, dir, &str, NULL);
	/* for the kernel's reference to what the new name leads to */
	return err ? err : zus_handle_lookup(call->local, dir, &str, entry);
}

void zf_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct zus_local_entry entry;
	struct zf_call call;

	zf_begin(&call, req);
	zf_done_entry(&call, make_link(&call, ino, parent, name, &entry), parent, name, &entry);
}

/* The name may go from dir, and what it leads to may lose it. */
static int may_take(struct zf_call *call, uint64_t dir, const struct zus_name *name)
{
	struct zus_local_entry entry;
	int err;

	if (!zf_has(call->fuse, ZUS_MF_FILEATTR))
		return 0;
	err = zf_may(call, dir, ZF_TAKE_NAME);
	if (err)
		return err;
	err = zus_handle_lookup(call->local, dir, name, &entry);
	if (err)
		return err;
	err = zf_may(call, entry.handle, ZF_NAME);
	zus_local_forget(call->local, entry.handle, 1);
	return err;
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *name,
			int (*remove)(struct zus_local *local, uint64_t dir,
				      const struct zus_name *name))
{
	struct zus_name str = zf_name(name);
	struct zf_call call;
	uint64_t dir;
	int err;

	zf_begin(&call, req);
	dir = zf_node_handle(call.fuse, parent);
	err = dir ? may_take(&call, dir, &str) : -ESTALE;
	if (!err)
		err = remove(call.local, dir, &str);
	if (!err)
		zf_node_unnamed(call.fuse, parent, name);
	zf_done(&call, err);
}

void zf_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, zus_handle_unlink);
}

void zf_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, zus_handle_rmdir);
}

static int may_rename(struct zf_call *call, uint64_t old_dir, const struct zus_name *old_name,
		      uint64_t new_dir, const struct zus_name *new_name)
{
	int err = may_take(call, old_dir, old_name);

	if (err)
		return err;
	err = may_take(call, new_dir, new_name);
	return err == -ENOENT ? zf_may(call, new_dir, ZF_ADD_NAME) : err;
}

void zf_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned int flags)
{
	struct zus_name old_str = zf_name(name), new_str = zf_name(new_name);
	uint64_t old_dir, new_dir;
	struct zf_call call;
	int err;

	zf_begin(&call, req);
	old_dir = zf_node_handle(call.fuse, parent);
	new_dir = zf_node_handle(call.fuse, new_parent);
	err = old_dir && new_dir ? may_rename(&call, old_dir, &old_str, new_dir, &new_str) : -ESTALE;
	if (!err)
		err = zus_handle_rename(call.local, old_dir, &old_str, new_dir, &new_str, flags);
	if (!err)
		zf_node_renamed(call.fuse, parent, name, new_parent, new_name,
				flags & RENAME_EXCHANGE);
	zf_done(&call, err);
}
