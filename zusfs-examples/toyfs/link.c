// SPDX-License-Identifier: BSD-3-Clause
/* link.c - more names for a file, symlinks' targets, attributes along with names. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "toyfs.h"

int toy_link(struct zus_req *req, struct zus_inode *inode, struct zus_inode *zdir,
	     const struct zus_name *name, const struct zus_time *now,
	     struct zus_attr *inode_out, struct zus_attr *dir_out)
{
	struct toy_inode *ti = toy(inode), *dir = toy(zdir);
	struct toy_fs *fs = fs_of(inode);
	int err;

	if (S_ISDIR(ti->attr.mode))
		return -EPERM;
	pthread_rwlock_wrlock(&fs->names);
	err = toy_flags_check(ti, dir);
	if (!err)
		err = ti->attr.nlink || ti->linkable ? toy_add_dentry(fs, dir, ti, name) : -ENOENT;
	if (!err && !ti->attr.nlink)
		zus_inode_get(&ti->zi);	/* its first name's */
	if (!err) {
		ti->linkable = false;
		toy_touch(ti, now, 1, false);
		toy_touch(dir, now, 0, true);
	}
	toy_get_attr(ti, inode_out);
	toy_get_attr(dir, dir_out);
	pthread_rwlock_unlock(&fs->names);
	return err;
}

/* O_TMPFILE: an inode without a name. */
int toy_tmpfile(struct zus_req *req, struct zus_inode *zdir, const struct zus_create *args,
		struct zus_entry *out)
{
	struct toy_inode *ti = toy_new_inode(zdir->mount, args);

	if (!ti)
		return -ENOMEM;
	toy_flags_inherit(ti, toy(zdir));
	ti->attr.nlink = 0;
	ti->linkable = true;
	zus_entry_set(out, &ti->zi);
	toy_get_attr(ti, &out->attr);
	zus_inode_put(&ti->zi);		/* the kernel's reference keeps it */
	return 0;
}

int toy_readlink(struct zus_req *req, struct zus_inode *inode)
{
	struct toy_inode *ti = toy(inode);
	uint32_t max;
	char *buf = zus_req_payload(req, &max);

	if (!ti->target)
		return -EINVAL;
	if (ti->attr.size_bytes > max)
		return -EIO;
	memcpy(buf, ti->target, ti->attr.size_bytes);
	return zus_req_payload_set(req, (uint32_t)ti->attr.size_bytes);
}

int toy_dirent(struct zus_req *req, const struct toy_dentry *de)
{
	struct zus_entry entry = { .inode = NULL };

	if (!zus_req_readdir_plus(req))
		return zus_req_dirent(req, de->inode->attr.ino, de->cookie,
				      de->inode->attr.mode >> 12, &de->name);
	zus_entry_set(&entry, &de->inode->zi);
	toy_get_attr(de->inode, &entry.attr);
	return zus_req_direntplus(req, de->cookie, &de->name, &entry);
}

/* The look and the making under one lock, for what open(2) with O_CREAT promises. */
int toy_create_open(struct zus_req *req, struct zus_inode *zdir, const struct zus_create *args,
		    uint32_t flags, struct zus_create_open *answer)
{
	struct toy_inode *dir = toy(zdir), *made = toy_new_inode(zdir->mount, args), *ti = made;
	struct toy_fs *fs = fs_of(zdir);
	struct toy_dentry *de;
	int err;

	if (!made)
		return -ENOMEM;
	toy_flags_inherit(made, dir);
	pthread_rwlock_wrlock(&fs->names);
	de = toy_find(fs, dir, &args->name);
	if (de) {
		err = flags & O_EXCL ? -EEXIST : 0;
		ti = de->inode;
	} else {
		err = toy_add_dentry(fs, dir, made, &args->name);
		answer->created = !err;
		if (!err)
			toy_touch(dir, &args->now, 0, true);
	}
	if (!err) {
		zus_entry_set(&answer->entry, &ti->zi);
		toy_get_attr(ti, &answer->entry.attr);
		toy_get_attr(dir, &answer->dir);
	}
	pthread_rwlock_unlock(&fs->names);
	if (!answer->created)
		zus_inode_put(&made->zi);
	return err;
}
