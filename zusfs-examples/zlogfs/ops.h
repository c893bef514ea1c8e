/* SPDX-License-Identifier: BSD-3-Clause */
/* ops.h - what libzus calls, and what its callbacks share. */
#ifndef ZLOGFS_OPS_H
#define ZLOGFS_OPS_H

#include "zlogfs.h"

#define ZL_FILE_MAX_BYTES	((1ull << 63) - ZLF_BLOCK_BYTES)
#define ZL_NLINK_MAX		(1u << 30)
#define ZL_VALUE_MAX		65536u		/* of an xattr */

static inline struct zl_fs *zl_fs_of(const struct zus_inode *zi)
{
	return zi->mount->priv;
}

/* ----------------------------------------------------------------- inode.c */

void zl_attr(const struct zl_inode *zi, struct zus_attr *attr);
struct zlf_time zl_time(const struct zus_time *time);
/* ctime, and mtime if it says so, in a body that is going to be an item. Returns the mask. */
uint32_t zl_touch(struct zlf_inode *body, const struct zus_time *now, bool mtime);
void zl_nlink_add(struct zlf_inode *body, int by);

/*
 * All locks of an operation at once, lower numbers first; the same object twice, and NULL,
 * are let pass.
 */
void zl_lock(struct zl_obj **objs, uint32_t n);
void zl_unlock(struct zl_obj **objs, uint32_t n);

/*
 * Fill an entry, under obj->lock, with what the kernel shall know; the inode is loaded.
 * EAGAIN: it is being forgotten just now; without locks try again.
 */
int zl_entry(struct zl_inode *zi, struct zus_entry *entry);
/* By number, with its own lock: ENOENT, EIO. */
int zl_entry_of(struct zl_fs *fs, uint64_t ino, struct zus_entry *entry);

/* A new inode's body and number, not in any record yet. */
struct zl_inode *zl_inode_new(struct zl_fs *fs, const struct zl_inode *dir,
			      const struct zus_create *args, struct zlf_inode *body);
void zl_op_inode_new(struct zl_op *op, struct zl_inode *zi, const struct zlf_inode *body);
/* Of one that nobody has and no name leads to; a mount after a crash does it for those left. */
int zl_inode_destroy(struct zl_inode *zi);
int zl_orphans_destroy(struct zl_fs *fs);

int zl_getattr(struct zus_req *req, struct zus_inode *inode, uint64_t fh, uint32_t mask,
	       struct zus_attr *out);
int zl_setattr(struct zus_req *req, struct zus_inode *inode, const struct zus_setattr *set,
	       struct zus_attr *out);
void zl_evict(struct zus_inode *inode);
int zl_iget(struct zus_req *req, struct zus_mount *mount, uint64_t ino, uint64_t gen,
	    struct zus_entry *out);
int zl_parent(struct zus_req *req, struct zus_inode *dir, struct zus_entry *out);

/* ------------------------------------------------------------------ names.c */

/* Names of one hash are told apart by as many numbers. */
#define ZL_SAME_HASH	256u
uint64_t zl_name_hash(const struct zus_name *name);
/* A name's element, under the directory's lock; key: where it is, or would be. */
int zl_name_find(struct zl_obj *dir, const struct zus_name *name, uint64_t *key,
		 struct zl_elem *elem);
void zl_op_name(struct zl_op *op, struct zl_obj *dir, uint64_t key, const struct zus_name *name,
		uint64_t ino, uint32_t mode);
bool zl_dir_empty(struct zl_obj *dir);
void zl_op_orphan(struct zl_op *op, struct zl_obj *orphans, uint64_t ino);
/* A name less: the last makes it an orphan. */
void zl_op_drop_name(struct zl_op *op, struct zl_inode *zi, struct zl_obj *orphans,
		     const struct zus_time *now);

int zl_lookup(struct zus_req *req, struct zus_inode *dir, const struct zus_name *name,
	      struct zus_entry *out);
int zl_create(struct zus_req *req, struct zus_inode *dir, const struct zus_create *args,
	      struct zus_entry *out, struct zus_attr *dir_out);
int zl_create_open(struct zus_req *req, struct zus_inode *dir, const struct zus_create *args,
		   uint32_t flags, struct zus_create_open *answer);
int zl_tmpfile(struct zus_req *req, struct zus_inode *dir, const struct zus_create *args,
	       struct zus_entry *out);
int zl_link(struct zus_req *req, struct zus_inode *inode, struct zus_inode *dir,
	    const struct zus_name *name, const struct zus_time *now, struct zus_attr *inode_out,
	    struct zus_attr *dir_out);
int zl_unlink(struct zus_req *req, struct zus_inode *dir, struct zus_inode *inode,
	      const struct zus_name *name, const struct zus_time *now,
	      struct zus_attr *inode_out, struct zus_attr *dir_out);
int zl_rename(struct zus_req *req, const struct zus_rename *args, struct zus_rename_out *out);
int zl_readdir(struct zus_req *req, struct zus_inode *dir, uint64_t fh, uint64_t cookie,
	       int *eof);

/* -------------------------------------------------------- symlink.c, xattr.c */

/* Of an xattr's key in XDATA's; the block's number is below. */
#define ZL_XATTR_KEY_BITS	56
uint64_t zl_xattr_hash(const struct zus_name *name);

/* Both in an operation that makes the inode. */
int zl_op_symlink(struct zl_op *op, struct zl_obj *obj, const struct zus_name *target);
int zl_op_xattr(struct zl_op *op, struct zl_obj *obj, const struct zus_xattr *xattr);
int zl_readlink(struct zus_req *req, struct zus_inode *inode);

int zl_getxattr(struct zus_req *req, struct zus_inode *inode, const struct zus_name *name);
int zl_setxattr(struct zus_req *req, struct zus_inode *inode, const struct zus_setxattr *args,
		struct zus_attr *out);
int zl_listxattr(struct zus_req *req, struct zus_inode *inode);

/* ------------------------------------------------------------------------ op.c */

int zl_op_seen(struct zus_mount *mount, uint32_t slot, struct zus_op_seen *out);

/* ------------------------------------------------------------ data.c, range.c */

int zl_map(struct zus_req *req, struct zus_inode *inode, const struct zus_map *args);
int zl_map_done(struct zus_req *req, struct zus_inode *inode, const struct zus_map_done *args,
		struct zus_attr *out);
/* -------------------------------------------------------------------- writes.c */

/* All under obj->lock. old: the extent that is there, or NULL. */
int zl_write_remember(struct zl_inode *zi, uint64_t map_id, uint64_t bn, uint64_t addr,
		      uint32_t blocks, enum zl_write_kind kind, const struct zl_elem *old);
/* Was the block given to one? */
bool zl_write_over(const struct zl_inode *zi, uint64_t bn);
uint64_t zl_write_addr(const struct zl_write *w, uint64_t bn);
static inline bool zl_writes_any(const struct zl_inode *zi)
{
	return zi->writes || zi->whole.id;
}

/* Those of a map, in order of blocks, for the caller to give back, to drop, or to keep. */
struct zl_write *zl_writes_take(struct zl_inode *zi, uint64_t map_id);
void zl_writes_give(struct zl_inode *zi, struct zl_write *writes);
/* Blocks behind end, in bytes, are free; writes without a block are gone. */
void zl_writes_trim(struct zl_fs *fs, struct zl_write **writes, uint64_t end);
/* published: the file has their blocks. Else they are free. */
void zl_writes_drop(struct zl_fs *fs, struct zl_write *writes, bool published);
/* Of what a map has reserved the file has blocks up to end, in bytes; the others are free. */
void zl_writes_published(struct zl_inode *zi, uint64_t map_id, uint64_t end);
void zl_writes_free(struct zl_inode *zi);

/*
 * What a write(2) of many maps has written so far: id is the write's, end of its bytes,
 * size_bytes the file's then. add takes over the writes. take: behind them those of its last
 * map, *writes; all are the caller's then. EIO: there is no such write, or its maps do not lie
 * one behind the other; the writes that were given are dropped.
 */
int zl_whole_add(struct zl_inode *zi, uint64_t id, struct zl_write *writes, uint64_t end,
		 uint64_t size_bytes);
int zl_whole_take(struct zl_inode *zi, uint64_t id, struct zl_write **writes, uint64_t *end,
		  uint64_t *size_bytes);
/* The block, if it is one of the last that the write has; or NULL. */
const struct zl_write *zl_whole_at(const struct zl_inode *zi, uint64_t id, uint64_t bn);
void zl_whole_drop(struct zl_inode *zi);

/* --------------------------------------------------------------------- word.c */

/*
 * To look at an inode: what a commit word has made part of it is part of it then. Whoever
 * only has what is pending of it in hand takes obj->lock itself.
 */
void zl_obj_lock(struct zl_obj *obj);
/* The same for who was told that the word of that map is durable. */
void zl_obj_lock_told(struct zl_obj *obj, uint64_t map_id);
/*
 * The items as a record that will count when the kernel has stored the word; end: of the
 * bytes, blocks: what the inode has then. An error: MAP_DONE will do it. Under obj->lock, as
 * all that follows.
 */
int zl_word_offer(struct zl_op *op, struct zl_obj *obj, struct zus_req *req, uint64_t end,
		  uint64_t blocks);
/* Is there one of that map, not stored? drop: it never will be. */
bool zl_word_of(const struct zl_obj *obj, uint64_t map_id);
void zl_word_drop(struct zl_obj *obj);

/*
 * Items that take all blocks from bn up to end out of a file, and what is left of extents
 * that reach across. *freed: how many blocks.
 */
int zl_op_cut(struct zl_op *op, struct zl_inode *zi, uint64_t bn, uint64_t end, uint64_t *freed);
/* The same, but blocks inside stay the file's: a new extent will name them. */
int zl_op_split(struct zl_op *op, struct zl_inode *zi, uint64_t bn, uint64_t end);

static inline uint64_t zl_extent_key(const struct zl_elem *extent)
{
	return zl_get64(extent->head.key);
}

/* The block behind it. */
static inline uint64_t zl_extent_end(const struct zl_elem *extent)
{
	return zl_extent_key(extent) + zl_get32(extent->head.len);
}

/* The first extent that reaches behind bn, and the one behind an extent: ENOENT, EIO. */
int zl_extent_first(struct zl_inode *zi, uint64_t bn, struct zl_elem *extent);
int zl_extent_next(struct zl_inode *zi, struct zl_elem *extent);
/* Of an extent what lies from bn up to end, of which it has some; it is as old as the whole. */
struct zlf_elem zl_extent_part(const struct zl_elem *extent, uint64_t bn, uint64_t end);
/* The extent that has bn, or ENOENT; *end: where it, or the hole, ends. */
int zl_extent_at(struct zl_inode *zi, uint64_t bn, struct zl_elem *extent, uint64_t *end);
int zl_fallocate(struct zus_req *req, struct zus_inode *inode, const struct zus_fallocate *args,
		 struct zus_attr *out);

int zl_copy(struct zus_req *req, struct zus_inode *to, struct zus_inode *from,
	    const struct zus_copy *args, uint64_t *copied_bytes, struct zus_attr *out);
/* A file's bytes, zeros where it has none, under its lock. */
int zl_bytes(struct zl_inode *zi, uint64_t off, uint64_t bytes, uint8_t *to);
/* Of args->flags CLONE and DEDUPE. */
int zl_clone(struct zus_req *req, struct zus_inode *to, struct zus_inode *from,
	     const struct zus_copy *args, uint64_t *cloned_bytes, struct zus_attr *out);

/* ------------------------------------------------------------------ ioctl.c */

int zl_ioctl(struct zus_req *req, struct zus_inode *inode, const struct zus_ioctl *args,
	     int32_t *result);

#endif /* ZLOGFS_OPS_H */
