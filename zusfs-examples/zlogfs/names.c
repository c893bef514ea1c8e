// SPDX-License-Identifier: BSD-3-Clause
/*
 * names.c - directories: a name is found by its hash, whose low bits tell names of one hash
 * apart; so a directory is read in an order that no change of it upsets.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bug.h"
#include "ops.h"

#define COOKIE_FIRST	3u	/* that of key 0 */

/* -------------------------------------------------------------------- hashes */

uint64_t zl_name_hash(const struct zus_name *name)
{
	return (XXH3_64bits(name->str, name->bytes) >> 2) & ~(uint64_t)(ZL_SAME_HASH - 1);
}

static bool is_name(const struct zl_elem *elem, const struct zus_name *name)
{
	return zl_get32(elem->head.aux) == name->bytes &&
	       !memcmp(elem->payload, name->str, name->bytes);
}

int zl_name_find(struct zl_obj *dir, const struct zus_name *name, uint64_t *key,
		 struct zl_elem *elem)
{
	uint64_t base = zl_name_hash(name), at = base, unused = base;
	int err;

	while (!(err = zl_obj_next_to(dir, ZLF_REC_DIRENT, at, base + ZL_SAME_HASH - 1, elem))) {
		at = zl_get64(elem->head.key);
		if (is_name(elem, name)) {
			*key = at;
			return 0;
		}
		unused += unused == at;
		at++;
	}
	*key = unused;
	if (err && err != -ENOENT)
		return err;
	return unused < base + ZL_SAME_HASH ? -ENOENT : -ENOSPC;
}

void zl_op_name(struct zl_op *op, struct zl_obj *dir, uint64_t key, const struct zus_name *name,
		uint64_t ino, uint32_t mode)
{
	struct zlf_elem elem = {
		.rec_type = ZLF_REC_DIRENT, .obj_type = (uint8_t)IFTODT(mode),
		.key = htole64(key), .addr = htole64(ino), .len = htole32(name->bytes),
		.aux = htole32(name->bytes),
	};

	zl_op_set(op, dir, &elem, name->str, name->bytes);
}

bool zl_dir_empty(struct zl_obj *dir)
{
	struct zl_elem elem;

	return zl_obj_next(dir, ZLF_REC_DIRENT, 0, &elem) == -ENOENT;
}

/* -------------------------------------------------------------------- lookups */

int zl_lookup(struct zus_req *req, struct zus_inode *zdir, const struct zus_name *name,
	      struct zus_entry *out)
{
	struct zl_inode *dir = zl_inode_of_zus(zdir);
	struct zl_elem elem;
	uint64_t key;
	int err;

	(void)req;
	zl_obj_lock(&dir->obj);
	err = zl_name_find(&dir->obj, name, &key, &elem);
	pthread_mutex_unlock(&dir->obj.lock);
	if (err)
		return err == -ENOSPC ? -ENOENT : err;
	return zl_entry_of(dir->obj.fs, zl_get64(elem.head.addr), out);
}

int zl_readdir(struct zus_req *req, struct zus_inode *zdir, uint64_t fh, uint64_t cookie,
	       int *eof)
{
	struct zl_inode *dir = zl_inode_of_zus(zdir);
	uint64_t key = cookie < COOKIE_FIRST ? 0 : cookie - COOKIE_FIRST + 1;
	struct zl_elem elem;
	struct zus_name name;
	int err;

	(void)fh;
	zl_obj_lock(&dir->obj);
	while (!(err = zl_obj_next(&dir->obj, ZLF_REC_DIRENT, key, &elem))) {
		key = zl_get64(elem.head.key);
		name = (struct zus_name) { (char *)elem.payload, zl_get32(elem.head.aux) };
		if (zus_req_dirent(req, zl_get64(elem.head.addr), key + COOKIE_FIRST,
				   elem.head.obj_type, &name))
			break;		/* no room: the kernel will ask again */
		key++;
	}
	pthread_mutex_unlock(&dir->obj.lock);
	*eof = err == -ENOENT;
	return err == -ENOENT ? 0 : err;
}

/* ------------------------------------------------------------------ new inodes */

static int op_xattrs(struct zl_op *op, struct zl_inode *zi, const struct zus_create *args)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < args->num_xattrs && !err; i++)
		err = zl_op_xattr(op, &zi->obj, &args->xattrs[i]);
	return err;
}

/* The record of a new inode, with its name if it has one. Under the directory's lock. */
static int op_create(struct zl_op *op, struct zl_inode *dir, struct zl_inode *zi,
		     const struct zlf_inode *body, const struct zus_create *args)
{
	struct zlf_inode dir_body = dir->body;
	struct zl_elem elem;
	uint64_t key;
	uint32_t mask;
	int err;

	if (!dir_body.nlink)
		return -ENOENT;
	err = zl_name_find(&dir->obj, &args->name, &key, &elem);
	if (err != -ENOENT)
		return err ? err : -EEXIST;
	zl_op_name(op, &dir->obj, key, &args->name, zi->obj.id, args->mode);
	mask = zl_touch(&dir_body, &args->now, true);
	if (S_ISDIR(args->mode)) {
		zl_nlink_add(&dir_body, 1);
		mask |= ZLF_IM_MODE;
	}
	zl_op_inode(op, dir, mask, &dir_body);
	zl_op_inode_new(op, zi, body);
	err = S_ISLNK(args->mode) ? zl_op_symlink(op, &zi->obj, &args->target) : 0;
	return err ? err : op_xattrs(op, zi, args);
}

int zl_create(struct zus_req *req, struct zus_inode *zdir, const struct zus_create *args,
	      struct zus_entry *out, struct zus_attr *dir_out)
{
	struct zl_inode *dir = zl_inode_of_zus(zdir), *zi;
	struct zl_fs *fs = zl_fs_of(zdir);
	struct zlf_inode body;
	struct zl_obj *objs[2];
	struct zl_op op;
	int err = zl_op_begin(&op, fs, req, ZL_SPACE_WRITE);

	if (err)
		return err;
	zi = zl_inode_new(fs, dir, args, &body);
	if (!zi)
		return -ENOMEM;
	objs[0] = &dir->obj;
	objs[1] = &zi->obj;
	zl_lock(objs, 2);
	err = op_create(&op, dir, zi, &body, args);
	if (!err)
		err = zl_op_commit(&op);
	if (!err)
		err = zl_entry(zi, out);
	zl_attr(dir, dir_out);
	zl_unlock(objs, 2);
	zl_op_end(&op);
	zl_obj_put(&zi->obj);
	return err;
}

int zl_create_open(struct zus_req *req, struct zus_inode *zdir, const struct zus_create *args,
		   uint32_t flags, struct zus_create_open *answer)
{
	struct zl_inode *dir = zl_inode_of_zus(zdir);
	int err = zl_create(req, zdir, args, &answer->entry, &answer->dir);

	answer->created = !err;
	if (err != -EEXIST || flags & O_EXCL)
		return err;
	zl_obj_lock(&dir->obj);
	zl_attr(dir, &answer->dir);
	pthread_mutex_unlock(&dir->obj.lock);
	/* gone meanwhile: the kernel asks again, as for any name that it does not know */
	err = zl_lookup(req, zdir, &args->name, &answer->entry);
	return err == -ENOENT ? ZUS_BUSY_RETRY : err;
}

int zl_tmpfile(struct zus_req *req, struct zus_inode *zdir, const struct zus_create *args,
	       struct zus_entry *out)
{
	struct zl_inode *dir = zl_inode_of_zus(zdir), *zi;
	struct zl_fs *fs = zl_fs_of(zdir);
	struct zlf_inode body;
	struct zl_obj *objs[2], *orphans;
	struct zl_op op;
	int err = zl_op_begin(&op, fs, req, ZL_SPACE_WRITE);

	if (err)
		return err;
	zi = zl_inode_new(fs, dir, args, &body);
	orphans = zl_obj_get(fs, ZLF_OBJ_ORPHANS);
	if (!zi || !orphans)
		return -ENOMEM;
	body.nlink = 0;
	objs[0] = orphans;
	objs[1] = &zi->obj;
	zl_lock(objs, 2);
	zl_op_inode_new(&op, zi, &body);
	zl_op_orphan(&op, orphans, zi->obj.id);
	err = op_xattrs(&op, zi, args);
	if (!err)
		err = zl_op_commit(&op);
	if (!err)
		err = zl_entry(zi, out);
	zl_unlock(objs, 2);
	zl_op_end(&op);
	zl_obj_put(orphans);
	zl_obj_put(&zi->obj);
	return err;
}

/* ----------------------------------------------------------------- link, unlink */

void zl_op_orphan(struct zl_op *op, struct zl_obj *orphans, uint64_t ino)
{
	struct zlf_elem elem = { .rec_type = ZLF_REC_ORPHAN, .key = htole64(ino) };

	zl_op_set(op, orphans, &elem, NULL, 0);
}

/* A name more, or less, of an inode, which may begin or cease to be an orphan with it. */
struct name_change {
	int (*op)(struct zl_op *op, struct zl_inode *zi, struct zl_inode *dir,
		  struct zl_obj *orphans, const struct zus_name *name,
		  const struct zus_time *now);
	struct zus_inode *inode, *dir;
	const struct zus_name *name;
	const struct zus_time *now;
	struct zus_attr *inode_out, *dir_out;
};

static int change_name(struct zus_req *req, enum zl_space_class class,
		       const struct name_change *change)
{
	struct zl_inode *zi = zl_inode_of_zus(change->inode);
	struct zl_inode *dir = zl_inode_of_zus(change->dir);
	struct zl_fs *fs = zl_fs_of(change->inode);
	struct zl_obj *objs[3], *orphans;
	struct zl_op op;
	int err = zl_op_begin(&op, fs, req, class);

	if (err)
		return err;
	orphans = zl_obj_get(fs, ZLF_OBJ_ORPHANS);
	if (!orphans)
		return -ENOMEM;
	objs[0] = orphans;
	objs[1] = &zi->obj;
	objs[2] = &dir->obj;
	zl_lock(objs, 3);
	err = change->op(&op, zi, dir, orphans, change->name, change->now);
	zl_attr(zi, change->inode_out);
	zl_attr(dir, change->dir_out);
	zl_unlock(objs, 3);
	zl_op_end(&op);
	zl_obj_put(orphans);
	return err;
}

static int op_link(struct zl_op *op, struct zl_inode *zi, struct zl_inode *dir,
		   struct zl_obj *orphans, const struct zus_name *name,
		   const struct zus_time *now)
{
	struct zlf_inode body = zi->body, dir_body = dir->body;
	struct zl_elem elem;
	uint64_t key;
	int err;

	if (!dir_body.nlink)
		return -ENOENT;
	if (zl_get32(body.nlink) >= ZL_NLINK_MAX)
		return -EMLINK;
	err = zl_name_find(&dir->obj, name, &key, &elem);
	if (err != -ENOENT)
		return err ? err : -EEXIST;
	if (!body.nlink)
		zl_op_del(op, orphans, ZLF_REC_ORPHAN, zi->obj.id);
	if (ZL_BUG(NLINK_APART)) {
		zl_nlink_add(&body, 1);
		zl_op_inode(op, zi, ZLF_IM_MODE, &body);
		zl_op_split_here(op);
		zl_nlink_add(&body, -1);
	}
	zl_op_name(op, &dir->obj, key, name, zi->obj.id, zl_get32(body.mode));
	zl_nlink_add(&body, 1);
	zl_op_inode(op, zi, zl_touch(&body, now, false) | ZLF_IM_MODE, &body);
	zl_op_inode(op, dir, zl_touch(&dir_body, now, true), &dir_body);
	return zl_op_commit(op);
}

int zl_link(struct zus_req *req, struct zus_inode *inode, struct zus_inode *dir,
	    const struct zus_name *name, const struct zus_time *now, struct zus_attr *inode_out,
	    struct zus_attr *dir_out)
{
	const struct name_change change = { op_link, inode, dir, name, now, inode_out, dir_out };

	return change_name(req, ZL_SPACE_WRITE, &change);
}

void zl_op_drop_name(struct zl_op *op, struct zl_inode *zi, struct zl_obj *orphans,
		     const struct zus_time *now)
{
	struct zlf_inode body = zi->body;

	zl_nlink_add(&body, S_ISDIR(zl_get32(body.mode)) ? -2 : -1);
	if (!body.nlink)
		zl_op_orphan(op, orphans, zi->obj.id);
	zl_op_inode(op, zi, zl_touch(&body, now, false) | ZLF_IM_MODE, &body);
}

static int op_unlink(struct zl_op *op, struct zl_inode *zi, struct zl_inode *dir,
		     struct zl_obj *orphans, const struct zus_name *name,
		     const struct zus_time *now)
{
	struct zlf_inode dir_body = dir->body;
	uint32_t mask = zl_touch(&dir_body, now, true);
	bool is_dir = S_ISDIR(zl_get32(zi->body.mode));
	struct zl_elem elem;
	uint64_t key;
	int err = zl_name_find(&dir->obj, name, &key, &elem);

	if (err)
		return err == -ENOSPC ? -ENOENT : err;
	if (zl_get64(elem.head.addr) != zi->obj.id)
		return -ESTALE;
	if (is_dir && !zl_dir_empty(&zi->obj))
		return -ENOTEMPTY;
	zl_op_del(op, &dir->obj, ZLF_REC_DIRENT, key);
	if (ZL_BUG(NLINK_APART))
		zl_op_split_here(op);
	zl_op_drop_name(op, zi, orphans, now);
	if (is_dir) {
		zl_nlink_add(&dir_body, -1);
		mask |= ZLF_IM_MODE;
	}
	if (ZL_BUG(TIMES_APART))
		zl_op_split_here(op);
	zl_op_inode(op, dir, mask, &dir_body);
	return zl_op_commit(op);
}

int zl_unlink(struct zus_req *req, struct zus_inode *dir, struct zus_inode *inode,
	      const struct zus_name *name, const struct zus_time *now,
	      struct zus_attr *inode_out, struct zus_attr *dir_out)
{
	const struct name_change change = { op_unlink, inode, dir, name, now, inode_out, dir_out };

	return change_name(req, ZL_SPACE_REMOVE, &change);
}
