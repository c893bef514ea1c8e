// SPDX-License-Identifier: BSD-3-Clause
/* rename.c - a name moves, over another one or in exchange for it. */
#include <errno.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include "toyfs.h"

static int check_rename(const struct zus_rename *args, const struct toy_dentry *from,
			const struct toy_dentry *to)
{
	struct toy_inode *ti = toy(args->inode), *old = args->target ? toy(args->target) : NULL;
	bool swap = args->flags & RENAME_EXCHANGE;

	if (args->flags & ~(RENAME_EXCHANGE | RENAME_NOREPLACE | RENAME_WHITEOUT) ||
	    (swap && args->flags != RENAME_EXCHANGE))
		return -EINVAL;
	if (!from || (swap && !to))
		return -ENOENT;
	if (toy_flags_check(ti, toy(args->new_dir)) ||
	    (swap && toy_flags_check(to->inode, toy(args->old_dir))))
		return -EXDEV;
	if (to && (args->flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (from->inode != ti || (to ? to->inode : NULL) != old)
		return -ESTALE;
	if (!old || swap)
		return 0;
	if (S_ISDIR(ti->attr.mode) != S_ISDIR(old->attr.mode))
		return S_ISDIR(old->attr.mode) ? -EISDIR : -ENOTDIR;
	return TAILQ_EMPTY(&old->entries) ? 0 : -ENOTEMPTY;
}

/*
 * The name moves within its directory: the new one takes its place, so that who reads the
 * directory and renames what it finds does not find it again.
 */
static int rename_here(struct toy_fs *fs, const struct zus_rename *args, struct toy_dentry *from)
{
	struct toy_inode *dir = toy(args->new_dir);
	int err = toy_add_dentry(fs, dir, toy(args->inode), &args->new_name);

	if (!err)
		toy_dir_swap(fs, from, TAILQ_LAST(&dir->entries, toy_list));
	return err;
}

/*
 * Under fs->names, all checked but memory; true in *last as toy_drop_name() has it.
 * white takes the old name, if it is there.
 */
static int do_rename(struct toy_fs *fs, const struct zus_rename *args, struct toy_dentry *from,
		     struct toy_dentry *to, struct toy_inode *white, bool *last)
{
	struct toy_inode *ti = toy(args->inode), *old = args->target ? toy(args->target) : NULL;
	struct toy_inode *old_dir = toy(args->old_dir), *new_dir = toy(args->new_dir);
	int moved = S_ISDIR(ti->attr.mode), gone = old && S_ISDIR(old->attr.mode);
	int err = 0;

	if (!to)
		err = new_dir == old_dir ? rename_here(fs, args, from) :
					   toy_add_dentry(fs, new_dir, ti, &args->new_name);
	if (err || ti == old)
		return err;	/* two names of one inode: nothing to do */
	if (to)
		to->inode = ti;	/* the name stays where readdir has it */
	ti->parent = new_dir;
	toy_touch(ti, &args->now, 0, false);
	if ((args->flags & RENAME_EXCHANGE) && old) {
		from->inode = old;
		old->parent = old_dir;
		toy_touch(old, &args->now, 0, false);
		toy_touch(old_dir, &args->now, gone - moved, true);
	} else {
		if (white)
			from->inode = white;
		else
			toy_remove_dentry(fs, from);
		*last = old && toy_drop_name(old, &args->now);
		toy_touch(old_dir, &args->now, -moved, true);
	}
	toy_touch(new_dir, &args->now, moved - gone, true);
	return 0;
}

/* What an overlay filesystem takes for "no such file here". */
static struct toy_inode *new_whiteout(const struct zus_req *req, const struct zus_rename *args)
{
	struct zus_caller caller = zus_req_caller(req);
	struct zus_create create = {
		.mode = S_IFCHR, .uid = caller.uid, .gid = caller.gid, .now = args->now,
		.xattrs = args->xattrs, .num_xattrs = args->num_xattrs,
	};

	return toy_new_inode(args->old_dir->mount, &create);
}

int toy_rename(struct zus_req *req, const struct zus_rename *args,
		      struct zus_rename_out *out)
{
	struct toy_fs *fs = fs_of(args->inode);
	struct toy_inode *white = NULL;
	struct toy_dentry *from, *to;
	bool last = false, unused;
	int err;

	if (args->flags & RENAME_WHITEOUT) {
		white = new_whiteout(req, args);
		if (!white)
			return -ENOMEM;
	}
	pthread_rwlock_wrlock(&fs->names);
	from = toy_find(fs, toy(args->old_dir), &args->old_name);
	to = toy_find(fs, toy(args->new_dir), &args->new_name);
	err = check_rename(args, from, to);
	if (!err)
		err = do_rename(fs, args, from, to, white, &last);
	toy_get_attr(toy(args->old_dir), &out->old_dir);
	toy_get_attr(toy(args->new_dir), &out->new_dir);
	toy_get_attr(toy(args->inode), &out->inode);
	if (args->target)
		toy_get_attr(toy(args->target), &out->target);
	unused = white && (err || from->inode != white);
	pthread_rwlock_unlock(&fs->names);
	if (unused)
		zus_inode_put(&white->zi);
	if (last)
		zus_inode_put(args->target);
	return err;
}
