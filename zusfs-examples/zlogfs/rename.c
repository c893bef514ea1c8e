// SPDX-License-Identifier: BSD-3-Clause
/* rename.c - a name moves, over another one or in exchange for it: in one record. */
#include <errno.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include "bug.h"
#include "ops.h"

/* All that a rename is about, under the locks of all of it. */
struct renaming {
	const struct zus_rename *args;
	struct zl_inode *from_dir, *to_dir, *zi, *target;
	struct zl_inode *white;		/* with RENAME_WHITEOUT */
	struct zl_obj *orphans;
	uint64_t from_key, to_key;
	bool swap;
};

static bool is_dir(const struct zl_inode *zi)
{
	return zi && S_ISDIR(zl_get32(zi->body.mode));
}

static bool may_join(const struct zl_inode *zi, const struct zl_inode *dir)
{
	return !(zl_get32(dir->body.flags) & ZUS_ATTR_PROJINHERIT) ||
	       zi->body.projid == dir->body.projid;
}

static int check_target(const struct renaming *r)
{
	if (!r->target || r->swap)
		return 0;
	if (is_dir(r->zi) != is_dir(r->target))
		return is_dir(r->target) ? -EISDIR : -ENOTDIR;
	return !is_dir(r->target) || zl_dir_empty(&r->target->obj) ? 0 : -ENOTEMPTY;
}

/* Both names, as they are now, are what the kernel takes them for. */
static int find_names(struct renaming *r)
{
	struct zl_elem elem;
	int err = zl_name_find(&r->from_dir->obj, &r->args->old_name, &r->from_key, &elem);

	if (err)
		return err == -ENOSPC ? -ENOENT : err;
	if (zl_get64(elem.head.addr) != r->zi->obj.id)
		return -ESTALE;
	err = zl_name_find(&r->to_dir->obj, &r->args->new_name, &r->to_key, &elem);
	if (err == -ENOENT)
		return r->swap ? -ENOENT : r->target ? -ESTALE : 0;
	if (err)
		return err;
	if (r->args->flags & RENAME_NOREPLACE)
		return -EEXIST;
	return r->target && zl_get64(elem.head.addr) == r->target->obj.id ? 0 : -ESTALE;
}

static int check(struct renaming *r)
{
	int err = r->to_dir->body.nlink ? find_names(r) : -ENOENT;

	if (err)
		return err;
	if (!may_join(r->zi, r->to_dir) || (r->swap && !may_join(r->target, r->from_dir)))
		return -EXDEV;
	return check_target(r);
}

static void move_inode(struct zl_op *op, struct zl_inode *zi, const struct zl_inode *dir,
		       const struct zus_time *now)
{
	struct zlf_inode body = zi->body;

	body.parent = htole64(dir->obj.id);
	zl_op_inode(op, zi, zl_touch(&body, now, false) | ZLF_IM_PARENT, &body);
}

/* links: how many more directories are in it. */
static void touch_dir(struct zl_op *op, struct zl_inode *dir, const struct zus_time *now,
		      int links)
{
	struct zlf_inode body = dir->body;
	uint32_t mask = zl_touch(&body, now, true);

	zl_nlink_add(&body, links);
	zl_op_inode(op, dir, links ? mask | ZLF_IM_MODE : mask, &body);
}

static void op_from_name(struct zl_op *op, const struct renaming *r)
{
	const struct zus_rename *args = r->args;

	if (r->swap)
		zl_op_name(op, &r->from_dir->obj, r->from_key, &args->old_name,
			   r->target->obj.id, zl_get32(r->target->body.mode));
	else if (r->white)
		zl_op_name(op, &r->from_dir->obj, r->from_key, &args->old_name,
			   r->white->obj.id, S_IFCHR);
	else
		zl_op_del(op, &r->from_dir->obj, ZLF_REC_DIRENT, r->from_key);
}

static int op_rename(struct zl_op *op, const struct renaming *r, const struct zlf_inode *white)
{
	const struct zus_rename *args = r->args;
	int moved = is_dir(r->zi), gone = is_dir(r->target);

	if (r->target == r->zi)
		return 0;	/* two names of one inode: nothing to do */
	if (ZL_BUG(RENAME_TWICE)) {
		op_from_name(op, r);
		zl_op_split_here(op);
	}
	zl_op_name(op, &r->to_dir->obj, r->to_key, &args->new_name, r->zi->obj.id,
		   zl_get32(r->zi->body.mode));
	if (ZL_BUG(RENAME_COPY))
		zl_op_split_here(op);
	op_from_name(op, r);
	if (r->white)
		zl_op_inode_new(op, r->white, white);
	move_inode(op, r->zi, r->to_dir, &args->now);
	if (r->swap)
		move_inode(op, r->target, r->from_dir, &args->now);
	else if (r->target)
		zl_op_drop_name(op, r->target, r->orphans, &args->now);
	if (r->from_dir == r->to_dir) {
		touch_dir(op, r->to_dir, &args->now, r->swap ? 0 : -gone);
	} else {
		touch_dir(op, r->from_dir, &args->now, r->swap ? gone - moved : -moved);
		touch_dir(op, r->to_dir, &args->now, moved - gone);
	}
	return zl_op_commit(op);
}

/* What an overlay filesystem takes for "no such file here". */
static struct zl_inode *new_whiteout(struct zl_fs *fs, const struct zus_req *req,
				     const struct zus_rename *args, struct zlf_inode *body)
{
	struct zus_caller caller = zus_req_caller(req);
	struct zus_create create = {
		.mode = S_IFCHR, .uid = caller.uid, .gid = caller.gid, .now = args->now,
		.num_xattrs = args->num_xattrs,
	};

	return zl_inode_new(fs, zl_inode_of_zus(args->old_dir), &create, body);
}

static void fill_out(const struct renaming *r, struct zus_rename_out *out)
{
	zl_attr(r->from_dir, &out->old_dir);
	zl_attr(r->to_dir, &out->new_dir);
	zl_attr(r->zi, &out->inode);
	if (r->target)
		zl_attr(r->target, &out->target);
}

static int rename_locked(struct zl_op *op, struct renaming *r, const struct zlf_inode *white,
			 struct zus_rename_out *out)
{
	struct zl_obj *objs[6] = {
		&r->from_dir->obj, &r->to_dir->obj, &r->zi->obj,
		r->target ? &r->target->obj : NULL, r->white ? &r->white->obj : NULL, r->orphans,
	};
	uint32_t i;
	int err;

	zl_lock(objs, 6);
	err = check(r);
	for (i = 0; i < r->args->num_xattrs && r->white && !err; i++)
		err = zl_op_xattr(op, &r->white->obj, &r->args->xattrs[i]);
	if (!err)
		err = op_rename(op, r, white);
	fill_out(r, out);
	zl_unlock(objs, 6);
	return err;
}

int zl_rename(struct zus_req *req, const struct zus_rename *args, struct zus_rename_out *out)
{
	struct zl_fs *fs = zl_fs_of(args->inode);
	struct renaming r = {
		.args = args, .from_dir = zl_inode_of_zus(args->old_dir),
		.to_dir = zl_inode_of_zus(args->new_dir), .zi = zl_inode_of_zus(args->inode),
		.target = args->target ? zl_inode_of_zus(args->target) : NULL,
		.swap = args->flags & RENAME_EXCHANGE,
	};
	struct zlf_inode white;
	struct zl_op op;
	int err;

	if (args->flags & ~(RENAME_EXCHANGE | RENAME_NOREPLACE | RENAME_WHITEOUT) ||
	    (r.swap && args->flags != RENAME_EXCHANGE))
		return -EINVAL;
	err = zl_op_begin(&op, fs, req, ZL_SPACE_WRITE);
	if (err)
		return err;
	r.orphans = zl_obj_get(fs, ZLF_OBJ_ORPHANS);
	if (args->flags & RENAME_WHITEOUT)
		r.white = new_whiteout(fs, req, args, &white);
	err = r.orphans && (r.white || !(args->flags & RENAME_WHITEOUT)) ? 0 : -ENOMEM;
	if (!err)
		err = rename_locked(&op, &r, &white, out);
	zl_op_end(&op);
	if (r.white)
		zl_obj_put(&r.white->obj);
	if (r.orphans)
		zl_obj_put(r.orphans);
	return err;
}
