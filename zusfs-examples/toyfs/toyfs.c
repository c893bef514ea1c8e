// SPDX-License-Identifier: BSD-3-Clause
/*
 * toyfs - the tutorial filesystem: data on persistent memory, names and inodes in
 * DRAM, so all of it ends with the mount. docs/tutorial.md walks through it. This
 * file has mounts, inodes and names; see toyfs.h for the others, and for the locks.
 */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "toyfs.h"

#define TOY_MAGIC	0x7a746f79u

/* ------------------------------------------------------------------- inodes */

struct toy_inode *toy_new_inode(struct zus_mount *mount, const struct zus_create *args)
{
	struct toy_fs *fs = mount->priv;
	struct toy_inode *ti = calloc(1, sizeof(*ti));

	if (!ti)
		return NULL;
	ti->attr = (struct zus_attr) {
		.ino = __atomic_add_fetch(&fs->last_ino, 1, __ATOMIC_RELAXED),
		.gen = mount->incarnation, .mode = args->mode, .uid = args->uid, .gid = args->gid,
		.nlink = S_ISDIR(args->mode) ? 2 : 1, .size_bytes = args->target.bytes,
		.rdev_major = args->rdev_major, .rdev_minor = args->rdev_minor,
		.atime = args->now, .mtime = args->now, .ctime = args->now, .btime = args->now,
	};
	TAILQ_INIT(&ti->entries);
	ti->next_cookie = 3;
	pthread_mutex_init(&ti->lock, NULL);
	if (args->target.str)
		ti->target = strndup(args->target.str, args->target.bytes);
	if ((args->target.str && !ti->target) || toy_xattrs_init(ti, args) ||
	    zus_inode_init(mount, &ti->zi)) {
		toy_xattrs_free(ti);
		free(ti->target);
		free(ti);
		return NULL;
	}
	__atomic_add_fetch(&fs->inodes, 1, __ATOMIC_RELAXED);
	toy_features_add(ti);
	return ti;
}

/* Neither a name, nor the kernel, nor a call knows the inode any more. */
void toy_evict(struct zus_inode *inode)
{
	struct toy_inode *ti = toy(inode);

	toy_features_del(ti);
	toy_map_free(ti);
	toy_xattrs_free(ti);
	__atomic_sub_fetch(&fs_of(inode)->inodes, 1, __ATOMIC_RELAXED);
	pthread_mutex_destroy(&ti->lock);
	free(ti->target);
	free(ti);
}

void toy_get_attr(struct toy_inode *ti, struct zus_attr *out)
{
	pthread_mutex_lock(&ti->lock);
	*out = ti->attr;
	out->blocks_512 = ti->map_blocks * (TOY_BLOCK / 512);
	out->flags |= ti->xattrs ? 0 : ZUS_ATTR_NO_XATTRS;
	pthread_mutex_unlock(&ti->lock);
}

void toy_touch(struct toy_inode *ti, const struct zus_time *now, int links, bool mtime)
{
	pthread_mutex_lock(&ti->lock);
	ti->attr.nlink += (uint32_t)links;
	ti->attr.ctime = *now;
	ti->attr.mtime = mtime ? *now : ti->attr.mtime;
	ti->attr.change++;
	pthread_mutex_unlock(&ti->lock);
}

static int toy_getattr(struct zus_req *req, struct zus_inode *inode, uint64_t fh, uint32_t mask,
		       struct zus_attr *out)
{
	toy_get_attr(toy(inode), out);
	return 0;
}

static int toy_setattr(struct zus_req *req, struct zus_inode *inode,
		       const struct zus_setattr *set, struct zus_attr *out)
{
	struct toy_inode *ti = toy(inode);
	struct zus_attr *attr = &ti->attr;

	if (set->valid & ZUS_SET_SIZE && !S_ISREG(attr->mode))
		return -EINVAL;
	pthread_mutex_lock(&ti->lock);
	if (set->valid & ZUS_SET_MODE)
		attr->mode = (attr->mode & S_IFMT) | (set->mode & 07777);
	attr->uid = set->valid & ZUS_SET_UID ? set->uid : attr->uid;
	attr->gid = set->valid & ZUS_SET_GID ? set->gid : attr->gid;
	attr->atime = set->valid & ZUS_SET_ATIME ? set->atime : attr->atime;
	attr->mtime = set->valid & ZUS_SET_MTIME ? set->mtime : attr->mtime;
	attr->ctime = set->valid & ZUS_SET_CTIME ? set->ctime : attr->ctime;
	toy_flags_set(attr, set);
	if (set->valid & ZUS_SET_SIZE) {
		/* The kernel has seen to it that nothing maps what lies behind. */
		if (set->size_bytes < attr->size_bytes)
			toy_map_cut(ti, (set->size_bytes + TOY_BLOCK - 1) / TOY_BLOCK, UINT64_MAX);
		attr->size_bytes = set->size_bytes;
	}
	attr->change++;
	pthread_mutex_unlock(&ti->lock);
	toy_get_attr(ti, out);
	return 0;
}

/* -------------------------------------------------------------------- names */

static int compare(const void *left, const void *right)
{
	const struct toy_dentry *a = left, *b = right;

	if (a->dir != b->dir)
		return a->dir < b->dir ? -1 : 1;
	if (a->name.bytes != b->name.bytes)
		return a->name.bytes < b->name.bytes ? -1 : 1;
	return memcmp(a->name.str, b->name.str, a->name.bytes);
}

struct toy_dentry *toy_find(struct toy_fs *fs, struct toy_inode *dir, const struct zus_name *name)
{
	struct toy_dentry key = { .dir = dir, .name = *name };
	struct toy_dentry **found = tfind(&key, &fs->tree, compare);

	return found ? *found : NULL;
}

int toy_add_dentry(struct toy_fs *fs, struct toy_inode *dir, struct toy_inode *ti,
		      const struct zus_name *name)
{
	struct toy_dentry *de;

	if (!S_ISDIR(dir->attr.mode) || !dir->attr.nlink || toy_find(fs, dir, name))
		return !S_ISDIR(dir->attr.mode) ? -ENOTDIR : dir->attr.nlink ? -EEXIST : -ENOENT;
	de = malloc(sizeof(*de) + name->bytes);
	if (!de)
		return -ENOMEM;
	memcpy(de + 1, name->str, name->bytes);
	*de = (struct toy_dentry) { .dir = dir, .inode = ti, .cookie = dir->next_cookie,
				    .name = { (char *)(de + 1), name->bytes } };
	if (toy_dir_add(fs, de) || !tsearch(de, &fs->tree, compare)) {
		toy_dir_del(fs, de);
		free(de);
		return -ENOMEM;
	}
	TAILQ_INSERT_TAIL(&dir->entries, de, link);
	ti->parent = dir;
	dir->next_cookie++;
	return 0;
}

void toy_remove_dentry(struct toy_fs *fs, struct toy_dentry *de)
{
	tdelete(de, &fs->tree, compare);
	toy_dir_del(fs, de);
	TAILQ_REMOVE(&de->dir->entries, de, link);
	free(de);
}

static int toy_lookup(struct zus_req *req, struct zus_inode *dir,
		      const struct zus_name *name, struct zus_entry *out)
{
	struct toy_fs *fs = fs_of(dir);
	struct toy_dentry *de;

	pthread_rwlock_rdlock(&fs->names);
	de = toy_find(fs, toy(dir), name);
	if (de) {
		zus_entry_set(out, &de->inode->zi);	/* while the name keeps it */
		toy_get_attr(de->inode, &out->attr);
	}
	pthread_rwlock_unlock(&fs->names);
	return de ? 0 : -ENOENT;
}

/* CREATE, MKDIR, MKNOD and SYMLINK: the mode says which. */
static int toy_create(struct zus_req *req, struct zus_inode *zdir, const struct zus_create *args,
		      struct zus_entry *out, struct zus_attr *dir_out)
{
	struct toy_inode *dir = toy(zdir), *ti = toy_new_inode(zdir->mount, args);
	struct toy_fs *fs = fs_of(zdir);
	int err;

	if (!ti)
		return -ENOMEM;
	toy_flags_inherit(ti, dir);
	pthread_rwlock_wrlock(&fs->names);
	err = toy_add_dentry(fs, dir, ti, &args->name);
	if (!err) {
		toy_touch(dir, &args->now, S_ISDIR(args->mode), true);
		zus_entry_set(out, &ti->zi);
		toy_get_attr(ti, &out->attr);
		toy_get_attr(dir, dir_out);
	}
	pthread_rwlock_unlock(&fs->names);
	if (err)
		zus_inode_put(&ti->zi);
	return err;
}

bool toy_drop_name(struct toy_inode *ti, const struct zus_time *now)
{
	toy_touch(ti, now, S_ISDIR(ti->attr.mode) ? -2 : -1, false);
	return !ti->attr.nlink;
}

/* UNLINK and RMDIR; the kernel has checked which of them fits. */
static int toy_unlink(struct zus_req *req, struct zus_inode *zdir, struct zus_inode *inode,
		      const struct zus_name *name, const struct zus_time *now,
		      struct zus_attr *inode_out, struct zus_attr *dir_out)
{
	struct toy_inode *ti = toy(inode), *dir = toy(zdir);
	struct toy_fs *fs = fs_of(inode);
	struct toy_dentry *de;
	bool last = false;
	int err = 0;

	pthread_rwlock_wrlock(&fs->names);
	de = toy_find(fs, dir, name);
	if (!de || de->inode != ti)
		err = de ? -ESTALE : -ENOENT;
	else if (!TAILQ_EMPTY(&ti->entries))
		err = -ENOTEMPTY;
	if (!err) {
		toy_remove_dentry(fs, de);
		last = toy_drop_name(ti, now);
		toy_touch(dir, now, S_ISDIR(ti->attr.mode) ? -1 : 0, true);
	}
	toy_get_attr(ti, inode_out);
	toy_get_attr(dir, dir_out);
	pthread_rwlock_unlock(&fs->names);
	if (last)
		zus_inode_put(inode);
	return err;
}

static int toy_readdir(struct zus_req *req, struct zus_inode *dir, uint64_t fh,
		       uint64_t cookie, int *eof)
{
	struct toy_dentry *de;

	pthread_rwlock_rdlock(&fs_of(dir)->names);
	for (de = toy_dir_after(toy(dir), cookie); de; de = TAILQ_NEXT(de, link))
		if (toy_dirent(req, de))
			break;		/* no room: the kernel will ask again */
	pthread_rwlock_unlock(&fs_of(dir)->names);
	*eof = !de;
	return 0;
}

/* ------------------------------------------------------------------- mount */

void toy_free_fs(struct toy_fs *fs)
{
	tdestroy(fs->tree, free);
	toy_features_end(fs);
	zus_space_delete(fs->space);
	pthread_rwlock_destroy(&fs->names);
	free(fs);
}

static int make_fs(struct zus_mount *mount)
{
	struct zus_create args = { .mode = S_IFDIR | 0755 };
	struct toy_fs *fs = mount->priv = calloc(1, sizeof(*fs));
	int err;

	if (!fs)
		return -ENOMEM;
	pthread_rwlock_init(&fs->names, NULL);
	err = toy_features_begin(fs, mount->options);
	fs->space = err ? NULL : zus_space_new(mount);
	fs->root = fs->space ? toy_new_inode(mount, &args) : NULL;
	if (fs->root)
		return 0;
	if (!err)
		zus_log(ZUS_LOG_ERR, "toyfs: no memory, or no persistent-memory device");
	toy_free_fs(fs);
	return err ? err : -ENOMEM;
}

static int toy_mount(struct zus_req *req, struct zus_mount *mount, struct zus_mount_out *out)
{
	int err = toy_keep_take(mount);	/* ENOENT: as always, but with the option keep */
	struct toy_fs *fs;

	err = err == -ENOENT ? make_fs(mount) : err;
	if (err)
		return err;
	fs = mount->priv;
	out->features = ZUS_MF_LEASES | fs->features;
	out->max_file_bytes = TOY_FILE_MAX;
	out->magic = TOY_MAGIC;
	zus_entry_set(&out->root, &fs->root->zi);
	toy_get_attr(fs->root, &out->root.attr);
	return 0;
}

static void toy_umount(struct zus_mount *mount)
{
	struct toy_fs *fs = mount->priv;

	toy_features_stop(fs);
	if (toy_keep(mount))
		return;
	toy_index_each(fs->index, toy_index_put, NULL);
	toy_free_fs(fs);
}

static const struct zus_mount_ops toy_mount_ops = { toy_mount, toy_umount, .statfs = toy_statfs,
						    .freeze = toy_freeze };

static const struct zus_inode_ops toy_inode_ops = {
	.lookup = toy_lookup, .getattr = toy_getattr, .setattr = toy_setattr,
	.create = toy_create, .mkdir = toy_create, .mknod = toy_create,
	.symlink = toy_create, .link = toy_link, .unlink = toy_unlink, .rmdir = toy_unlink,
	.rename = toy_rename, .readdir = toy_readdir, .readlink = toy_readlink,
	.evict = toy_evict, .tmpfile = toy_tmpfile,
	.getxattr = toy_getxattr, .setxattr = toy_setxattr, .listxattr = toy_listxattr,
	.iget = toy_iget, .parent = toy_parent, .create_open = toy_create_open,
};

ZUS_EXPORT const struct zus_plugin zus_plugin = {
	ZUS_PLUGIN_ABI,
	.name = "ztoyfs",
	.mount_ops = &toy_mount_ops, .inode_ops = &toy_inode_ops, .file_ops = &toy_file_ops,
};
