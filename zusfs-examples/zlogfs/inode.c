// SPDX-License-Identifier: BSD-3-Clause
/* inode.c - inodes: their attributes, how the kernel knows them, and their end. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ops.h"

/* ---------------------------------------------------------------- attributes */

static struct zus_time time_out(const struct zlf_time *time)
{
	return (struct zus_time) { (int64_t)zl_get64(time->sec), zl_get32(time->nsec), 0 };
}

struct zlf_time zl_time(const struct zus_time *time)
{
	return (struct zlf_time) { htole64((uint64_t)time->sec), htole32(time->nsec), 0 };
}

void zl_attr(const struct zl_inode *zi, struct zus_attr *attr)
{
	const struct zlf_inode *body = &zi->body;

	*attr = (struct zus_attr) {
		.ino = zi->obj.id, .gen = 1, .size_bytes = zl_get64(body->size_bytes),
		.blocks_512 = zl_get64(body->blocks) * (ZLF_BLOCK_BYTES / 512),
		.change = zi->obj.change_tid, .atime = time_out(&body->atime),
		.mtime = time_out(&body->mtime), .ctime = time_out(&body->ctime),
		.btime = time_out(&body->btime), .mode = zl_get32(body->mode),
		.nlink = zl_get32(body->nlink), .uid = zl_get32(body->uid),
		.gid = zl_get32(body->gid), .rdev_major = zl_get32(body->rdev_major),
		.rdev_minor = zl_get32(body->rdev_minor),
		.flags = zl_get32(body->flags) | (body->num_xattrs ? 0 : ZUS_ATTR_NO_XATTRS),
		.projid = zl_get32(body->projid),
	};
}

uint32_t zl_touch(struct zlf_inode *body, const struct zus_time *now, bool mtime)
{
	body->ctime = zl_time(now);
	if (!mtime)
		return ZLF_IM_CTIME;
	body->mtime = body->ctime;
	return ZLF_IM_MTIME | ZLF_IM_CTIME_TOO;
}

void zl_nlink_add(struct zlf_inode *body, int by)
{
	body->nlink = htole32(zl_get32(body->nlink) + (uint32_t)by);
}

/* --------------------------------------------------------------------- locks */

static void sort_objs(struct zl_obj **objs, uint32_t n)
{
	struct zl_obj *obj;
	uint32_t i, j;

	for (i = 1; i < n; i++) {
		obj = objs[i];
		for (j = i; j && (!objs[j - 1] || (obj && objs[j - 1]->id > obj->id)); j--)
			objs[j] = objs[j - 1];
		objs[j] = obj;
	}
}

void zl_lock(struct zl_obj **objs, uint32_t n)
{
	uint32_t i;

	sort_objs(objs, n);
	for (i = 0; i < n; i++)
		if (objs[i] && (!i || objs[i] != objs[i - 1]))
			zl_obj_lock(objs[i]);
}

void zl_unlock(struct zl_obj **objs, uint32_t n)
{
	uint32_t i;

	for (i = n; i--;)
		if (objs[i] && (!i || objs[i] != objs[i - 1]))
			pthread_mutex_unlock(&objs[i]->lock);
}

/* ------------------------------------------------------------------- entries */

int zl_entry(struct zl_inode *zi, struct zus_entry *entry)
{
	struct zl_fs *fs = zi->obj.fs;
	int err;

	if (zi->known) {
		if (!zus_inode_tryget(&zi->zi))
			return -EAGAIN;
	} else {
		err = zus_inode_init(fs->mount, &zi->zi);
		if (err)
			return err;
		zi->known = true;
		zl_obj_get(fs, zi->obj.id);	/* until evict */
	}
	zus_entry_set(entry, &zi->zi);
	zl_attr(zi, &entry->attr);
	zus_inode_put(&zi->zi);		/* the kernel has its own */
	return 0;
}

int zl_entry_of(struct zl_fs *fs, uint64_t ino, struct zus_entry *entry)
{
	struct zl_obj *obj = zl_obj_get(fs, ino);
	int err = -EAGAIN;

	if (!obj)
		return -ENOMEM;
	while (err == -EAGAIN) {
		zl_obj_lock(obj);
		err = zl_inode_load(zl_inode_of(obj));
		if (!err)
			err = zl_entry(zl_inode_of(obj), entry);
		pthread_mutex_unlock(&obj->lock);
		if (err == -EAGAIN)
			sched_yield();	/* evict wants the lock */
	}
	zl_obj_put(obj);
	return err;
}

int zl_getattr(struct zus_req *req, struct zus_inode *inode, uint64_t fh, uint32_t mask,
	       struct zus_attr *out)
{
	struct zl_inode *zi = zl_inode_of_zus(inode);

	(void)req;
	(void)fh;
	(void)mask;
	zl_obj_lock(&zi->obj);
	zl_attr(zi, out);
	pthread_mutex_unlock(&zi->obj.lock);
	return 0;
}

int zl_iget(struct zus_req *req, struct zus_mount *mount, uint64_t ino, uint64_t gen,
	    struct zus_entry *out)
{
	struct zl_fs *fs = mount->priv;
	int err;

	(void)req;
	if (gen != 1 || (ino != ZLF_OBJ_ROOT && ino < ZLF_OBJ_FIRST))
		return -ESTALE;
	err = zl_entry_of(fs, ino, out);
	if (!err && !out->attr.nlink)
		err = -ESTALE;
	return err == -ENOENT ? -ESTALE : err;
}

int zl_parent(struct zus_req *req, struct zus_inode *dir, struct zus_entry *out)
{
	struct zl_inode *zi = zl_inode_of_zus(dir);
	uint64_t parent;
	int err;

	(void)req;
	zl_obj_lock(&zi->obj);
	parent = zl_get64(zi->body.parent);
	pthread_mutex_unlock(&zi->obj.lock);
	err = zl_entry_of(zi->obj.fs, parent, out);
	return err == -ENOENT ? -ESTALE : err;
}

/* ------------------------------------------------------------------- changes */

static uint32_t set_body(struct zlf_inode *body, const struct zus_setattr *set)
{
	uint32_t valid = set->valid, mask = 0;

	if (valid & ZUS_SET_MODE)
		body->mode = htole32((zl_get32(body->mode) & S_IFMT) | (set->mode & ~S_IFMT));
	if (valid & ZUS_SET_UID)
		body->uid = htole32(set->uid);
	if (valid & ZUS_SET_GID)
		body->gid = htole32(set->gid);
	if (valid & ZUS_SET_SIZE)
		body->size_bytes = htole64(set->size_bytes);
	if (valid & ZUS_SET_ATIME)
		body->atime = zl_time(&set->atime);
	if (valid & ZUS_SET_MTIME)
		body->mtime = zl_time(&set->mtime);
	if (valid & ZUS_SET_CTIME)
		body->ctime = zl_time(&set->ctime);
	if (valid & ZUS_SET_FLAGS)
		body->flags = htole32(set->flags & ZUS_ATTR_SETTABLE);
	if (valid & ZUS_SET_PROJID)
		body->projid = htole32(set->projid);
	mask |= valid & (ZUS_SET_MODE | ZUS_SET_UID | ZUS_SET_GID) ? ZLF_IM_MODE : 0;
	mask |= valid & ZUS_SET_SIZE ? ZLF_IM_SIZE : 0;
	mask |= valid & (ZUS_SET_FLAGS | ZUS_SET_PROJID) ? ZLF_IM_FLAGS : 0;
	mask |= valid & ZUS_SET_ATIME ? ZLF_IM_ATIME : 0;
	mask |= valid & ZUS_SET_MTIME ? ZLF_IM_MTIME : 0;
	mask |= valid & ZUS_SET_CTIME ? ZLF_IM_CTIME : 0;
	return mask;
}

/* What lies behind the new size goes, at once or, of many extents, by and by. */
static int cut_behind(struct zl_op *op, struct zl_inode *zi, struct zlf_inode *body)
{
	uint64_t size = zl_get64(body->size_bytes), freed = 0;
	uint64_t bn = size / ZLF_BLOCK_BYTES + (size % ZLF_BLOCK_BYTES != 0);
	int err = zl_op_cut(op, zi, bn, UINT64_MAX, &freed);

	body->blocks = htole64(zl_get64(body->blocks) - freed);
	return err;
}

int zl_setattr(struct zus_req *req, struct zus_inode *inode, const struct zus_setattr *set,
	       struct zus_attr *out)
{
	struct zl_inode *zi = zl_inode_of_zus(inode);
	struct zl_fs *fs = zl_fs_of(inode);
	struct zlf_inode body;
	struct zl_op op;
	uint32_t mask;
	int err = zl_op_begin(&op, fs, req, ZL_SPACE_REMOVE);

	if (err)
		return err;
	zl_obj_lock(&zi->obj);
	body = zi->body;
	mask = set_body(&body, set);
	if (set->valid & ZUS_SET_SIZE && set->size_bytes < zl_get64(zi->body.size_bytes))
		err = cut_behind(&op, zi, &body);
	if (!err) {
		zl_op_inode(&op, zi, mask, &body);
		err = zl_op_commit(&op);
	}
	zl_attr(zi, out);
	pthread_mutex_unlock(&zi->obj.lock);
	zl_op_end(&op);
	return err;
}

/* ------------------------------------------------------------- beginning, end */

struct zl_inode *zl_inode_new(struct zl_fs *fs, const struct zl_inode *dir,
			      const struct zus_create *args, struct zlf_inode *body)
{
	uint64_t id = __atomic_fetch_add(&fs->next_obj, 1, __ATOMIC_RELAXED);
	uint32_t inherit = ZUS_ATTR_NODUMP | ZUS_ATTR_NOATIME | ZUS_ATTR_SYNC;
	uint32_t dir_flags = zl_get32(dir->body.flags);
	struct zl_obj *obj = zl_obj_get(fs, id);

	if (!obj)
		return NULL;
	if (S_ISDIR(args->mode))
		inherit |= ZUS_ATTR_DIRSYNC | ZUS_ATTR_PROJINHERIT;
	*body = (struct zlf_inode) {
		.mode = htole32(args->mode), .nlink = htole32(S_ISDIR(args->mode) ? 2 : 1),
		.uid = htole32(args->uid), .gid = htole32(args->gid),
		.size_bytes = htole64(S_ISLNK(args->mode) ? args->target.bytes : 0),
		.rdev_major = htole32(args->rdev_major), .rdev_minor = htole32(args->rdev_minor),
		.flags = htole32(dir_flags & inherit), .parent = htole64(dir->obj.id),
		.policy = dir->body.policy, .num_xattrs = htole32(args->num_xattrs),
	};
	if (dir_flags & ZUS_ATTR_PROJINHERIT)
		body->projid = dir->body.projid;
	body->atime = body->mtime = body->ctime = body->btime = zl_time(&args->now);
	return zl_inode_of(obj);
}

void zl_op_inode_new(struct zl_op *op, struct zl_inode *zi, const struct zlf_inode *body)
{
	uint32_t mask = ZLF_IM_NEW | ZLF_IM_MODE | ZLF_IM_PARENT | ZLF_IM_MTIME | ZLF_IM_TIMES_TOO;

	mask |= body->size_bytes || body->blocks ? ZLF_IM_SIZE : 0;
	mask |= body->rdev_major || body->rdev_minor || body->flags || body->projid ?
			ZLF_IM_FLAGS : 0;
	zl_op_inode(op, zi, mask, body);
}

static void op_destroy(struct zl_op *op, struct zl_inode *zi, struct zl_obj *orphans)
{
	struct zl_obj *obj = &zi->obj;

	if (S_ISREG(zl_get32(zi->body.mode)))
		zl_op_range(op, obj, ZLF_REC_EXTENT, 0, UINT64_MAX);
	if (S_ISLNK(zl_get32(zi->body.mode)))
		zl_op_del(op, obj, ZLF_REC_SYMLINK, 0);
	if (zi->body.num_xattrs) {
		zl_op_range(op, obj, ZLF_REC_XATTR, 0, UINT64_MAX);
		zl_op_range(op, obj, ZLF_REC_XDATA, 0, UINT64_MAX);
	}
	zl_op_del(op, obj, ZLF_REC_INODE, 0);
	zl_op_del(op, orphans, ZLF_REC_ORPHAN, obj->id);
}

int zl_inode_destroy(struct zl_inode *zi)
{
	struct zl_fs *fs = zi->obj.fs;
	struct zl_obj *objs[2] = { zl_obj_get(fs, ZLF_OBJ_ORPHANS), &zi->obj };
	struct zl_obj *orphans = objs[0];
	struct zl_op op;
	int err = orphans ? zl_op_begin(&op, fs, NULL, ZL_SPACE_REMOVE) : -ENOMEM;

	if (!err) {
		zl_lock(objs, 2);
		op_destroy(&op, zi, orphans);
		err = zl_op_commit(&op);
		zl_unlock(objs, 2);
		zl_op_end(&op);
	}
	if (orphans)
		zl_obj_put(orphans);
	return err;
}

void zl_evict(struct zus_inode *inode)
{
	struct zl_inode *zi = zl_inode_of_zus(inode);
	bool last;

	zl_obj_lock(&zi->obj);
	if (zi->obj.word)
		zl_word_drop(&zi->obj);
	zl_writes_free(zi);
	last = zi->loaded && !zi->body.nlink;
	pthread_mutex_unlock(&zi->obj.lock);
	/* if it can't be said now, it is an orphan, and the next mount says it */
	if (last)
		zl_inode_destroy(zi);
	zl_obj_lock(&zi->obj);
	zi->known = false;
	pthread_mutex_unlock(&zi->obj.lock);
	zl_obj_put(&zi->obj);
}

int zl_orphans_destroy(struct zl_fs *fs)
{
	struct zl_obj *orphans = zl_obj_get(fs, ZLF_OBJ_ORPHANS), *obj;
	struct zl_elem elem;
	uint64_t key = 0;
	int err;

	if (!orphans)
		return -ENOMEM;
	while (!(err = zl_obj_next(orphans, ZLF_REC_ORPHAN, key, &elem))) {
		key = zl_get64(elem.head.key) + 1;
		obj = zl_obj_get(fs, key - 1);
		err = obj ? zl_inode_load(zl_inode_of(obj)) : -ENOMEM;
		if (!err)
			err = zl_inode_destroy(zl_inode_of(obj));
		if (obj)
			zl_obj_put(obj);
		if (err)
			break;
	}
	zl_obj_put(orphans);
	return err == -ENOENT ? 0 : err;
}
