// SPDX-License-Identifier: BSD-3-Clause
/*
 * remote.c - changes that no operation of the kernel made, and what a plugin must do then:
 * change its own state, and tell the kernel by zus_invalidate().
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "toyfs.h"
#include "toyfs_ioctl.h"

struct remote {
	struct toy_fs *fs;
	struct toy_inode *dir;
	const struct toyfs_remote *args;
	struct zus_name name, to;
	struct zus_time now;
};

/* -------------------------------------------------------------------- telling */

static void told(void *arg, int err)
{
	struct toy_fs *fs = arg;

	(void)err;		/* at the mount's end nobody asks any more */
	__atomic_sub_fetch(&fs->remote_untold, 1, __ATOMIC_RELEASE);
}

/* The kernel must be told: what it keeps would be wrong for ever. */
static int tell(struct toy_fs *fs, struct zus_mount *mount, const struct zus_invalidate *what)
{
	int err;

	__atomic_add_fetch(&fs->remote_untold, 1, __ATOMIC_RELAXED);
	err = zus_invalidate(mount, what, told, fs);
	if (err)
		__atomic_sub_fetch(&fs->remote_untold, 1, __ATOMIC_RELEASE);
	return err;
}

static int tell_name(const struct remote *remote, const struct zus_name *name,
		     const struct toy_inode *child, enum zus_event event, uint32_t cookie)
{
	const struct zus_invalidate what = {
		.ino = remote->dir->attr.ino, .gen = remote->dir->attr.gen,
		.child_ino = child->attr.ino, .child_gen = child->attr.gen,
		.flags = ZUS_INVAL_ATTR | ZUS_INVAL_NAME |
			 (S_ISDIR(child->attr.mode) ? ZUS_INVAL_ISDIR : 0),
		.event = event, .event_cookie = cookie, .name = *name,
	};

	return tell(remote->fs, remote->dir->zi.mount, &what);
}

static int tell_attr(const struct remote *remote, const struct toy_inode *ti,
		     enum zus_event event)
{
	const struct zus_invalidate what = {
		.ino = ti->attr.ino, .gen = ti->attr.gen, .flags = ZUS_INVAL_ATTR, .event = event,
	};

	return tell(remote->fs, remote->dir->zi.mount, &what);
}

/* ------------------------------------------------------- changes, under names */

static int create(const struct remote *remote)
{
	const struct zus_create args = { .mode = remote->args->mode, .now = remote->now };
	struct toy_inode *ti;
	int err;

	if (!S_ISREG(args.mode) && !S_ISDIR(args.mode))
		return -EINVAL;
	ti = toy_new_inode(remote->dir->zi.mount, &args);
	if (!ti)
		return -ENOMEM;
	err = toy_add_dentry(remote->fs, remote->dir, ti, &remote->name);
	if (err) {
		zus_inode_put(&ti->zi);
		return err;
	}
	toy_touch(remote->dir, &remote->now, S_ISDIR(args.mode), true);
	return tell_name(remote, &remote->name, ti, ZUS_EVENT_CREATE, 0);
}

/* What its last name kept goes with the kernel's last use. */
static void drop(const struct remote *remote, struct toy_inode *ti)
{
	bool last = toy_drop_name(ti, &remote->now);

	tell_attr(remote, ti, ZUS_EVENT_NONE);
	if (last)
		zus_inode_put(&ti->zi);
}

static int take_away(const struct remote *remote)
{
	struct toy_dentry *de = toy_find(remote->fs, remote->dir, &remote->name);
	struct toy_inode *ti = de ? de->inode : NULL;
	int err;

	if (!de || !TAILQ_EMPTY(&ti->entries))
		return de ? -ENOTEMPTY : -ENOENT;
	toy_remove_dentry(remote->fs, de);
	toy_touch(remote->dir, &remote->now, S_ISDIR(ti->attr.mode) ? -1 : 0, true);
	err = tell_name(remote, &remote->name, ti, ZUS_EVENT_DELETE, 0);
	drop(remote, ti);
	return err;
}

static int change_name(const struct remote *remote)
{
	static uint32_t last_cookie;
	uint32_t cookie = __atomic_add_fetch(&last_cookie, 1, __ATOMIC_RELAXED) | 0x80000000u;
	struct toy_dentry *from = toy_find(remote->fs, remote->dir, &remote->name);
	struct toy_dentry *to = toy_find(remote->fs, remote->dir, &remote->to);
	struct toy_inode *ti = from ? from->inode : NULL, *old = to ? to->inode : NULL;
	int err;

	if (!from || ti == old)
		return from ? 0 : -ENOENT;
	if (old && (S_ISDIR(ti->attr.mode) || S_ISDIR(old->attr.mode)))
		return -EISDIR;
	err = to ? 0 : toy_add_dentry(remote->fs, remote->dir, ti, &remote->to);
	if (err)
		return err;
	if (to)
		to->inode = ti;
	toy_remove_dentry(remote->fs, from);
	toy_touch(ti, &remote->now, 0, false);
	toy_touch(remote->dir, &remote->now, 0, true);
	err = tell_name(remote, &remote->name, ti, ZUS_EVENT_MOVED_FROM, cookie);
	if (!err)
		err = tell_name(remote, &remote->to, ti, ZUS_EVENT_MOVED_TO, cookie);
	if (!err)
		err = tell_attr(remote, ti, ZUS_EVENT_NONE);
	if (old)
		drop(remote, old);
	return err;
}

static int change_mode(const struct remote *remote)
{
	struct toy_dentry *de = toy_find(remote->fs, remote->dir, &remote->name);
	struct toy_inode *ti = de ? de->inode : NULL;

	if (!de)
		return -ENOENT;
	pthread_mutex_lock(&ti->lock);
	ti->attr.mode = (ti->attr.mode & S_IFMT) | (remote->args->mode & 07777);
	pthread_mutex_unlock(&ti->lock);
	toy_touch(ti, &remote->now, 0, false);
	return tell_attr(remote, ti, ZUS_EVENT_ATTRIB);
}

static int change_lock(const struct remote *remote)
{
	static const uint32_t types[] = {
		[F_RDLCK] = ZUS_LOCK_RDLCK, [F_WRLCK] = ZUS_LOCK_WRLCK, [F_UNLCK] = ZUS_LOCK_UNLCK,
	};
	uint32_t kind = remote->args->mode & TOYFS_REMOTE_FLOCK ? ZUS_LOCK_FLOCK : ZUS_LOCK_POSIX;
	uint32_t type = remote->args->mode & ~TOYFS_REMOTE_FLOCK;
	struct toy_dentry *de = toy_find(remote->fs, remote->dir, &remote->name);
	int err;

	if (!(remote->fs->features & ZUS_MF_LOCKS))
		return -EOPNOTSUPP;
	if (type >= sizeof(types) / sizeof(types[0]) || !de)
		return de ? -EINVAL : -ENOENT;
	err = toy_lock_remote(de->inode, types[type], kind);
	return err == -EAGAIN ? -EBUSY : err;	/* the kernel would ask again */
}

/* ---------------------------------------------------------------------- ioctl */

static int set_name(struct zus_name *name, const char *from, bool wanted)
{
	name->str = from;
	name->bytes = (uint32_t)strnlen(from, sizeof(((struct toyfs_remote *)0)->name));
	if (name->bytes == sizeof(((struct toyfs_remote *)0)->name) || strchr(from, '/') ||
	    !strcmp(from, ".") || !strcmp(from, ".."))
		return -EINVAL;
	return !wanted || name->bytes ? 0 : -EINVAL;
}

int toy_remote(struct zus_inode *zdir, const void *in, int32_t *result)
{
	struct toyfs_remote args;
	struct remote remote = { .fs = fs_of(zdir), .dir = toy(zdir), .args = &args };
	struct timespec now;
	int err;

	memcpy(&args, in, sizeof(args));
	if (args.what == TOYFS_REMOTE_UNTOLD) {
		*result = (int32_t)__atomic_load_n(&remote.fs->remote_untold, __ATOMIC_ACQUIRE);
		return 0;
	}
	if (!S_ISDIR(remote.dir->attr.mode))
		return -ENOTDIR;
	err = set_name(&remote.name, args.name, true);
	if (!err)
		err = set_name(&remote.to, args.to, args.what == TOYFS_REMOTE_RENAME);
	if (err)
		return err;
	clock_gettime(CLOCK_REALTIME, &now);
	remote.now = (struct zus_time) { .sec = now.tv_sec, .nsec = (uint32_t)now.tv_nsec };
	pthread_rwlock_wrlock(&remote.fs->names);
	switch (args.what) {
	case TOYFS_REMOTE_CREATE:
		err = create(&remote);
		break;
	case TOYFS_REMOTE_REMOVE:
		err = take_away(&remote);
		break;
	case TOYFS_REMOTE_RENAME:
		err = change_name(&remote);
		break;
	case TOYFS_REMOTE_CHMOD:
		err = change_mode(&remote);
		break;
	case TOYFS_REMOTE_LOCK:
		err = change_lock(&remote);
		break;
	default:
		err = -EINVAL;
	}
	pthread_rwlock_unlock(&remote.fs->names);
	return err;
}
