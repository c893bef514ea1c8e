// SPDX-License-Identifier: BSD-3-Clause
/*
 * local_vfs.c - paths for the local transport: walks them by LOOKUP, down to the
 * handles that local_handle.c works with.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>

#include "local_vfs.h"

/* --------------------------------------------------------------------- walk */

/* The next component of a path. */
static bool next_name(const char **path, struct zus_name *name)
{
	while (**path == '/')
		(*path)++;
	name->str = *path;
	name->bytes = (uint32_t)strcspn(*path, "/");
	*path += name->bytes;
	return name->bytes != 0;
}

/*
 * The directory of the path's last name, with a reference, and that name. A path
 * of no names is the root: name->bytes is 0 then.
 */
static int walk(struct zus_local *local, const char *path, uint64_t *dir,
		struct zus_name *name)
{
	struct zus_local_entry entry;
	struct zus_name next;
	int err;

	*dir = local->root;
	if (!next_name(&path, name))
		return 0;
	while (next_name(&path, &next)) {
		err = zus_handle_lookup(local, *dir, name, &entry);
		if (!err && !S_ISDIR(entry.attr.mode)) {
			local_drop(local, entry.handle);
			err = -ENOTDIR;
		}
		local_drop(local, *dir);
		if (err)
			return err;
		*dir = entry.handle;
		*name = next;
	}
	return 0;
}

int local_find(struct zus_local *local, const char *path, struct zus_local_entry *entry)
{
	struct zus_name name;
	uint64_t dir;
	int err;

	err = walk(local, path, &dir, &name);
	if (err)
		return err;
	if (!name.bytes) {
		local_entry(entry, &local->mounted.root);
		return 0;
	}
	err = zus_handle_lookup(local, dir, &name, entry);
	local_drop(local, dir);
	return err;
}

/* ------------------------------------------------------------------- create */

static int make(struct zus_local *local, const char *path, struct zus_create *args)
{
	struct zus_local_entry entry;
	uint64_t dir;
	int err = walk(local, path, &dir, &args->name);

	if (err)
		return err;
	err = args->name.bytes ? zus_handle_create(local, dir, args, &entry) : -EEXIST;
	if (!err)
		local_drop(local, entry.handle);
	local_drop(local, dir);
	return err;
}

int zus_local_create(struct zus_local *local, const char *path, uint32_t mode)
{
	struct zus_create args = { .mode = S_IFREG | (mode & 07777) };

	return make(local, path, &args);
}

int zus_local_mkdir(struct zus_local *local, const char *path, uint32_t mode)
{
	struct zus_create args = { .mode = S_IFDIR | (mode & 07777) };

	return make(local, path, &args);
}

int zus_local_mknod(struct zus_local *local, const char *path, uint32_t mode,
		    uint32_t major, uint32_t minor)
{
	struct zus_create args = { .mode = mode, .rdev_major = major, .rdev_minor = minor };

	return make(local, path, &args);
}

int zus_local_symlink(struct zus_local *local, const char *target, const char *path)
{
	struct zus_create args = { .mode = S_IFLNK | 0777, .target.str = target };
	size_t bytes = strlen(target);

	if (bytes > ZUFS_SYMLINK_MAX)
		return -ENAMETOOLONG;
	args.target.bytes = (uint32_t)bytes;
	return make(local, path, &args);
}

/* ------------------------------------------------------- link, unlink, rename */

int zus_local_link(struct zus_local *local, const char *old_path, const char *path)
{
	struct zus_local_entry from;
	struct zus_name name;
	uint64_t dir;
	int err;

	err = local_find(local, old_path, &from);
	if (err)
		return err;
	err = S_ISDIR(from.attr.mode) ? -EPERM : walk(local, path, &dir, &name);
	if (!err) {
		err = name.bytes ? zus_handle_link(local, from.handle, dir, &name, NULL) : -EBUSY;
		local_drop(local, dir);
	}
	local_drop(local, from.handle);
	return err;
}

static int remove_path(struct zus_local *local, const char *path,
		       int (*remove)(struct zus_local *local, uint64_t dir,
				     const struct zus_name *name))
{
	struct zus_name name;
	uint64_t dir;
	int err = walk(local, path, &dir, &name);

	if (err)
		return err;
	err = name.bytes ? remove(local, dir, &name) : -EBUSY;	/* the root */
	local_drop(local, dir);
	return err;
}

int zus_local_unlink(struct zus_local *local, const char *path)
{
	return remove_path(local, path, zus_handle_unlink);
}

int zus_local_rmdir(struct zus_local *local, const char *path)
{
	return remove_path(local, path, zus_handle_rmdir);
}

/* A path below another one: a directory would move into itself. */
static bool path_below(const char *path, const char *above)
{
	struct zus_name a, b;

	while (next_name(&above, &a))
		if (!next_name(&path, &b) || a.bytes != b.bytes ||
		    memcmp(a.str, b.str, a.bytes) != 0)
			return false;
	return next_name(&path, &b);
}

int zus_local_rename(struct zus_local *local, const char *old_path, const char *path,
		     uint32_t flags)
{
	struct zus_name old_name, new_name;
	uint64_t old_dir, new_dir;
	int err;

	if (path_below(path, old_path))
		return -EINVAL;
	if (path_below(old_path, path))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	err = walk(local, old_path, &old_dir, &old_name);
	if (err)
		return err;
	err = walk(local, path, &new_dir, &new_name);
	if (err)
		goto out_drop;
	err = old_name.bytes && new_name.bytes ?
	      zus_handle_rename(local, old_dir, &old_name, new_dir, &new_name, flags) : -EBUSY;
	local_drop(local, new_dir);
out_drop:
	local_drop(local, old_dir);
	return err;
}

/* --------------------------------------------------------------- attributes */

int zus_local_stat(struct zus_local *local, const char *path, struct zus_attr *attr)
{
	struct zus_local_entry entry;
	int err = local_find(local, path, &entry);

	if (err)
		return err;
	err = local_getattr(local, entry.handle, attr);
	local_drop(local, entry.handle);
	return err;
}

int zus_local_setattr(struct zus_local *local, const char *path,
		      const struct zus_setattr *set)
{
	struct zufs_time now = local_now();
	struct zus_setattr with_ctime = *set;
	struct zus_local_entry entry;
	int err;

	if (set->valid & ZUS_SET_SIZE)
		return -EINVAL;	/* zus_local_truncate() has it */
	err = local_find(local, path, &entry);
	if (err)
		return err;
	with_ctime.ctime = (struct zus_time) { now.sec, now.nsec, 0 };
	with_ctime.valid |= ZUS_SET_CTIME;
	err = zus_handle_setattr(local, entry.handle, &with_ctime, NULL);
	local_drop(local, entry.handle);
	return err;
}

int zus_local_truncate(struct zus_local *local, const char *path, uint64_t size_bytes)
{
	struct zus_local_file *file;
	int err = zus_local_open(local, path, &file);

	if (err)
		return err;
	err = zus_local_ftruncate(file, size_bytes);
	zus_local_close(file);
	return err;
}

int zus_local_readlink(struct zus_local *local, const char *path, char *buf, size_t bytes)
{
	struct zus_local_entry entry;
	int ret = local_find(local, path, &entry);

	if (ret)
		return ret;
	ret = S_ISLNK(entry.attr.mode) ?
	      zus_handle_readlink(local, entry.handle, buf, bytes) : -EINVAL;
	local_drop(local, entry.handle);
	return ret;
}

int zus_local_open(struct zus_local *local, const char *path, struct zus_local_file **made)
{
	struct zus_local_entry entry;
	int err = local_find(local, path, &entry);

	if (err)
		return err;
	err = zus_handle_open(local, entry.handle, 0, made);
	if (err)
		local_drop(local, entry.handle);
	else
		(*made)->referenced = true;
	return err;
}
