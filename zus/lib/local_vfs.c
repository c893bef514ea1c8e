// SPDX-License-Identifier: BSD-3-Clause
/*
 * local_vfs.c - names for the local transport: walks paths by LOOKUP, locks
 * directories as the kernel does, gives each reference back.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "local_vfs.h"

/* ------------------------------------------------------------------ helpers */

struct zufs_time local_now(void)
{
	struct zufs_time now = { 0 };
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	now.sec = ts.tv_sec;
	now.nsec = (uint32_t)ts.tv_nsec;
	return now;
}

/* Until the server no longer says "busy". */
int local_send(struct zus_local *local, uint16_t op, const void *in, uint32_t in_bytes,
	       const void *payload, uint32_t payload_bytes, void *out, uint32_t out_bytes)
{
	struct zus_local_call call = {
		.op = op, .in = in, .in_bytes = in_bytes, .payload = payload,
		.payload_bytes = payload_bytes, .out = out, .out_bytes = out_bytes,
	};
	int ret;

	while ((ret = zus_local_call(local, &call)) == ZUS_BUSY_RETRY)
		sched_yield();
	return ret;
}

pthread_rwlock_t *local_inode_lock(struct zus_local *local, uint64_t handle)
{
	return &local->inode_lock[(handle ^ handle >> 32) % LOCAL_LOCKS];
}

void local_attr(struct zus_attr *to, const struct zufs_attr *from)
{
	*to = (struct zus_attr) {
		.ino = from->ino, .gen = from->gen, .size_bytes = from->size_bytes,
		.blocks_512 = from->blocks_512, .change = from->change,
		.atime = { from->atime.sec, from->atime.nsec, 0 },
		.mtime = { from->mtime.sec, from->mtime.nsec, 0 },
		.ctime = { from->ctime.sec, from->ctime.nsec, 0 },
		.btime = { from->btime.sec, from->btime.nsec, 0 },
		.mode = from->mode, .nlink = from->nlink, .uid = from->uid,
		.gid = from->gid, .rdev_major = from->rdev_major,
		.rdev_minor = from->rdev_minor, .flags = from->flags,
		.projid = from->projid,
	};
}

static int lookup(struct zus_local *local, uint64_t dir, const struct zus_name *name,
		  struct zufs_entry *entry)
{
	struct zufs_lookup_in in = { .dir = dir, .name_bytes = name->bytes };

	return local_send(local, ZUFS_OP_LOOKUP, &in, sizeof(in), name->str, name->bytes,
			  entry, sizeof(*entry));
}

void local_drop(struct zus_local *local, uint64_t handle)
{
	if (handle && handle != local->root)
		zus_local_forget(local, handle, 1);
}

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
	struct zus_name next;
	struct zufs_entry entry;
	int err;

	*dir = local->root;
	if (!next_name(&path, name))
		return 0;
	while (next_name(&path, &next)) {
		pthread_rwlock_rdlock(local_inode_lock(local, *dir));
		err = lookup(local, *dir, name, &entry);
		pthread_rwlock_unlock(local_inode_lock(local, *dir));
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

int local_find(struct zus_local *local, const char *path, struct zufs_entry *entry)
{
	struct zus_name name;
	uint64_t dir;
	int err;

	err = walk(local, path, &dir, &name);
	if (err)
		return err;
	if (!name.bytes) {
		*entry = local->mounted.root;
		return 0;
	}
	pthread_rwlock_rdlock(local_inode_lock(local, dir));
	err = lookup(local, dir, &name, entry);
	pthread_rwlock_unlock(local_inode_lock(local, dir));
	local_drop(local, dir);
	return err;
}

int local_getattr(struct zus_local *local, uint64_t handle, struct zufs_attr *attr)
{
	struct zufs_getattr_in in = { .inode = handle, .mask = 0x7ff };

	return local_send(local, ZUFS_OP_GETATTR, &in, sizeof(in), NULL, 0, attr,
			  sizeof(*attr));
}

/* walk(), with the directory locked for changes and the name not empty. */
static int walk_lock(struct zus_local *local, const char *path, uint64_t *dir,
		     struct zus_name *name)
{
	int err = walk(local, path, dir, name);

	if (err)
		return err;
	if (!name->bytes)
		return -EBUSY;	/* the root */
	pthread_rwlock_wrlock(local_inode_lock(local, *dir));
	return 0;
}

static void unlock_drop(struct zus_local *local, uint64_t dir)
{
	pthread_rwlock_unlock(local_inode_lock(local, dir));
	local_drop(local, dir);
}

/* ------------------------------------------------------------------- create */

static int make(struct zus_local *local, uint16_t op, const char *path,
		struct zufs_create_in *in, const char *target)
{
	struct zufs_create_out out;
	struct zufs_entry entry;
	struct zus_name name;
	char payload[ZUFS_NAME_MAX + ZUFS_SYMLINK_MAX + 2];
	uint64_t dir;
	int err;

	err = walk_lock(local, path, &dir, &name);
	if (err)
		return err == -EBUSY ? -EEXIST : err;
	err = name.bytes > ZUFS_NAME_MAX ? -ENAMETOOLONG : lookup(local, dir, &name, &entry);
	if (!err)
		local_drop(local, entry.handle);
	if (err != -ENOENT) {
		err = err ? err : -EEXIST;
		goto out_unlock;
	}
	memcpy(payload, name.str, name.bytes);
	memcpy(payload + name.bytes, target, in->target_bytes);
	in->dir = dir;
	in->now = local_now();
	in->name_bytes = name.bytes;
	err = local_send(local, op, in, sizeof(*in), payload, name.bytes + in->target_bytes,
			 &out, sizeof(out));
	if (!err)
		local_drop(local, out.entry.handle);
out_unlock:
	unlock_drop(local, dir);
	return err;
}

int zus_local_create(struct zus_local *local, const char *path, uint32_t mode)
{
	struct zufs_create_in in = { .mode = S_IFREG | (mode & 07777) };

	return make(local, ZUFS_OP_CREATE, path, &in, "");
}

int zus_local_mkdir(struct zus_local *local, const char *path, uint32_t mode)
{
	struct zufs_create_in in = { .mode = S_IFDIR | (mode & 07777) };

	return make(local, ZUFS_OP_MKDIR, path, &in, "");
}

int zus_local_mknod(struct zus_local *local, const char *path, uint32_t mode,
		    uint32_t major, uint32_t minor)
{
	struct zufs_create_in in = {
		.mode = mode, .rdev_major = major, .rdev_minor = minor,
	};

	return make(local, ZUFS_OP_MKNOD, path, &in, "");
}

int zus_local_symlink(struct zus_local *local, const char *target, const char *path)
{
	struct zufs_create_in in = { .mode = S_IFLNK | 0777 };

	if (!*target)
		return -ENOENT;
	if (strlen(target) > ZUFS_SYMLINK_MAX)
		return -ENAMETOOLONG;
	in.target_bytes = (uint32_t)strlen(target);
	return make(local, ZUFS_OP_SYMLINK, path, &in, target);
}

/* ------------------------------------------------------- link, unlink, rename */

int zus_local_link(struct zus_local *local, const char *old_path, const char *path)
{
	struct zufs_link_in in = { .now = local_now() };
	struct zufs_entry from, to;
	struct zufs_link_out out;
	struct zus_name name;
	uint64_t dir;
	int err;

	err = local_find(local, old_path, &from);
	if (err)
		return err;
	err = S_ISDIR(from.attr.mode) ? -EPERM : walk_lock(local, path, &dir, &name);
	if (err)
		goto out_drop;
	err = lookup(local, dir, &name, &to);
	if (!err)
		local_drop(local, to.handle);
	if (err == -ENOENT) {
		in.inode = from.handle;
		in.dir = dir;
		in.name_bytes = name.bytes;
		err = local_send(local, ZUFS_OP_LINK, &in, sizeof(in), name.str,
				 name.bytes, &out, sizeof(out));
	} else if (!err) {
		err = -EEXIST;
	}
	unlock_drop(local, dir);
out_drop:
	local_drop(local, from.handle);
	return err;
}

static int remove_name(struct zus_local *local, uint16_t op, const char *path)
{
	struct zufs_unlink_in in = { .now = local_now() };
	struct zufs_entry entry;
	struct zufs_link_out out;
	struct zus_name name;
	uint64_t dir;
	int err;

	err = walk_lock(local, path, &dir, &name);
	if (err)
		return err;
	err = lookup(local, dir, &name, &entry);
	if (err)
		goto out_unlock;
	if (S_ISDIR(entry.attr.mode) != (op == ZUFS_OP_RMDIR))
		err = op == ZUFS_OP_RMDIR ? -ENOTDIR : -EISDIR;
	in.dir = dir;
	in.inode = entry.handle;
	in.name_bytes = name.bytes;
	if (!err)
		err = local_send(local, op, &in, sizeof(in), name.str, name.bytes, &out,
				 sizeof(out));
	local_drop(local, entry.handle);
out_unlock:
	unlock_drop(local, dir);
	return err;
}

int zus_local_unlink(struct zus_local *local, const char *path)
{
	return remove_name(local, ZUFS_OP_UNLINK, path);
}

int zus_local_rmdir(struct zus_local *local, const char *path)
{
	return remove_name(local, ZUFS_OP_RMDIR, path);
}

/* Both directories, each once, in the order of their locks. */
static void lock_two(struct zus_local *local, uint64_t a, uint64_t b, bool lock)
{
	pthread_rwlock_t *first = local_inode_lock(local, a);
	pthread_rwlock_t *second = local_inode_lock(local, b);

	if (first > second) {
		pthread_rwlock_t *swap = first;

		first = second;
		second = swap;
	}
	if (!lock) {
		pthread_rwlock_unlock(first);
		if (second != first)
			pthread_rwlock_unlock(second);
		return;
	}
	pthread_rwlock_wrlock(first);
	if (second != first)
		pthread_rwlock_wrlock(second);
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

/* With both directories locked; what the kernel's rename checks itself. */
static int check_rename(const struct zufs_entry *from, const struct zufs_entry *to,
			int to_err, uint32_t flags)
{
	if (to_err && to_err != -ENOENT)
		return to_err;
	if (!to_err && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (to_err && (flags & RENAME_EXCHANGE))
		return -ENOENT;
	if (to_err || (flags & RENAME_EXCHANGE))
		return 0;
	if (S_ISDIR(from->attr.mode) && !S_ISDIR(to->attr.mode))
		return -ENOTDIR;
	if (!S_ISDIR(from->attr.mode) && S_ISDIR(to->attr.mode))
		return -EISDIR;
	return 0;
}

static int rename_locked(struct zus_local *local, struct zufs_rename_in *in,
			 const struct zus_name *old_name, const struct zus_name *new_name)
{
	char payload[2 * ZUFS_NAME_MAX + 2];
	struct zufs_entry from, to = { .handle = 0 };
	struct zufs_rename_out out;
	int err, to_err;

	if (old_name->bytes > ZUFS_NAME_MAX || new_name->bytes > ZUFS_NAME_MAX)
		return -ENAMETOOLONG;
	err = lookup(local, in->old_dir, old_name, &from);
	if (err)
		return err;
	to_err = lookup(local, in->new_dir, new_name, &to);
	err = check_rename(&from, &to, to_err, in->flags);
	if (err || (!to_err && from.attr.ino == to.attr.ino))
		goto out_drop;	/* two names of one inode: nothing is done */
	memcpy(payload, old_name->str, old_name->bytes);
	memcpy(payload + old_name->bytes, new_name->str, new_name->bytes);
	in->inode = from.handle;
	in->target = to_err ? 0 : to.handle;
	in->old_bytes = old_name->bytes;
	in->new_bytes = new_name->bytes;
	in->now = local_now();
	err = local_send(local, ZUFS_OP_RENAME, in, sizeof(*in), payload,
			 old_name->bytes + new_name->bytes, &out, sizeof(out));
out_drop:
	if (!to_err)
		local_drop(local, to.handle);
	local_drop(local, from.handle);
	return err;
}

int zus_local_rename(struct zus_local *local, const char *old_path, const char *path,
		     uint32_t flags)
{
	struct zufs_rename_in in = { .flags = flags };
	struct zus_name old_name, new_name;
	uint64_t old_dir, new_dir;
	int err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
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
	in.old_dir = old_dir;
	in.new_dir = new_dir;
	if (old_name.bytes && new_name.bytes) {
		lock_two(local, old_dir, new_dir, true);
		err = rename_locked(local, &in, &old_name, &new_name);
		lock_two(local, old_dir, new_dir, false);
	} else {
		err = -EBUSY;
	}
	local_drop(local, new_dir);
out_drop:
	local_drop(local, old_dir);
	return err;
}

/* --------------------------------------------------------------- attributes */

int zus_local_stat(struct zus_local *local, const char *path, struct zus_attr *attr)
{
	struct zufs_entry entry;
	int err = local_find(local, path, &entry);

	if (err)
		return err;
	err = local_getattr(local, entry.handle, &entry.attr);
	if (!err)
		local_attr(attr, &entry.attr);
	local_drop(local, entry.handle);
	return err;
}

int zus_local_setattr(struct zus_local *local, const char *path,
		      const struct zus_setattr *set)
{
	struct zufs_setattr_in in = {
		.atime = { .sec = set->atime.sec, .nsec = set->atime.nsec },
		.mtime = { .sec = set->mtime.sec, .nsec = set->mtime.nsec },
		.ctime = local_now(),
		.valid = set->valid | ZUFS_SET_CTIME,
		.mode = set->mode, .uid = set->uid, .gid = set->gid,
		.flags = set->flags, .projid = set->projid,
	};
	struct zufs_entry entry;
	struct zufs_attr attr;
	int err;

	if (set->valid & ZUS_SET_SIZE)
		return -EINVAL;	/* zus_local_truncate() zeroes, too */
	err = local_find(local, path, &entry);
	if (err)
		return err;
	in.inode = entry.handle;
	pthread_rwlock_wrlock(local_inode_lock(local, entry.handle));
	err = local_send(local, ZUFS_OP_SETATTR, &in, sizeof(in), NULL, 0, &attr,
			 sizeof(attr));
	pthread_rwlock_unlock(local_inode_lock(local, entry.handle));
	local_drop(local, entry.handle);
	return err;
}

int zus_local_readlink(struct zus_local *local, const char *path, char *buf, size_t bytes)
{
	char target[ZUFS_SYMLINK_MAX];
	struct zufs_readlink_in in;
	struct zufs_entry entry;
	struct zus_local_call call = {
		.op = ZUFS_OP_READLINK, .in = &in, .in_bytes = sizeof(in),
		.reply = target, .reply_max_bytes = sizeof(target),
	};
	int err;

	err = local_find(local, path, &entry);
	if (err)
		return err;
	in.inode = entry.handle;
	err = S_ISLNK(entry.attr.mode) ? zus_local_call(local, &call) : -EINVAL;
	local_drop(local, entry.handle);
	if (err)
		return err;
	if (call.reply_bytes < bytes)
		bytes = call.reply_bytes;
	memcpy(buf, target, bytes);
	return (int)bytes;
}

int zus_local_statfs(struct zus_local *local, struct zus_statfs *st)
{
	struct zufs_statfs_out out;
	int err = local_send(local, ZUFS_OP_STATFS, NULL, 0, NULL, 0, &out, sizeof(out));

	if (!err)
		*st = (struct zus_statfs) {
			.blocks = out.blocks, .blocks_free = out.blocks_free,
			.blocks_avail = out.blocks_avail, .files = out.files,
			.files_free = out.files_free, .block_bytes = out.block_bytes,
			.name_max = out.name_max,
		};
	return err;
}

/* ----------------------------------------------------------- open, readdir */

int zus_local_open(struct zus_local *local, const char *path, struct zus_local_file **made)
{
	struct zus_local_file *file = calloc(1, sizeof(*file));
	struct zufs_entry entry;
	int err;

	if (!file)
		return -ENOMEM;
	err = local_find(local, path, &entry);
	if (!err && (local->mounted.features & ZUFS_MF_OPEN)) {
		struct zufs_open_in in = { .inode = entry.handle };
		struct zufs_open_out out;

		err = local_send(local, ZUFS_OP_OPEN, &in, sizeof(in), NULL, 0, &out,
				 sizeof(out));
		if (err)
			local_drop(local, entry.handle);
		else
			file->fh = out.fh;
	}
	if (err) {
		free(file);
		return err;
	}
	file->local = local;
	file->handle = entry.handle;
	file->inlined = entry.attr.flags & ZUFS_ATTR_INLINE;
	file->regular = S_ISREG(entry.attr.mode);
	*made = file;
	return 0;
}

void zus_local_close(struct zus_local_file *file)
{
	struct zufs_forced msg = {
		.inode = file->handle, .arg = file->fh, .op = ZUFS_OP_RELEASE,
	};

	if (file->local->mounted.features & ZUFS_MF_OPEN)
		local_force(file->local, &msg);
	local_drop(file->local, file->handle);
	free(file);
}

int zus_local_fstat(struct zus_local_file *file, struct zus_attr *attr)
{
	struct zufs_attr got;
	int err = local_getattr(file->local, file->handle, &got);

	if (!err)
		local_attr(attr, &got);
	return err;
}

int zus_local_readdir(struct zus_local_file *dir, uint64_t *cookie, uint32_t reply_max,
		      zus_local_dirent_fn *fn, void *arg)
{
	struct zufs_readdir_in in = { .dir = dir->handle, .fh = dir->fh, .cookie = *cookie };
	struct zufs_readdir_out out = { 0 };
	struct zus_local_call call = {
		.op = ZUFS_OP_READDIR, .in = &in, .in_bytes = sizeof(in),
		.out = &out, .out_bytes = sizeof(out),
		.reply_max_bytes = reply_max ? reply_max : ZUFS_PAYLOAD_MAX_BYTES,
	};
	char name[ZUFS_NAME_MAX + 1], *at;
	pthread_rwlock_t *lock = local_inode_lock(dir->local, dir->handle);
	int err = 0;

	call.reply = malloc(call.reply_max_bytes);
	if (!call.reply)
		return -ENOMEM;
	pthread_rwlock_rdlock(lock);
	err = zus_local_call(dir->local, &call);
	pthread_rwlock_unlock(lock);
	for (at = call.reply; !err && out.count; out.count--) {
		struct zufs_dirent *de = (struct zufs_dirent *)(void *)at;

		memcpy(name, de + 1, de->name_bytes);
		name[de->name_bytes] = 0;
		*cookie = de->cookie;
		err = fn(arg, name, de->ino, de->cookie, de->type);
		at += ZUFS_DIRENT_BYTES(de->name_bytes);
	}
	free(call.reply);
	return err ? err : !out.eof;
}
