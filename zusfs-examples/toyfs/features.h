/* SPDX-License-Identifier: BSD-3-Clause */
/* features.h - what toyfs has beyond the tutorial: a file for each, all optional. */
#ifndef TOYFS_FEATURES_H
#define TOYFS_FEATURES_H

#define TOY_FEATURES	(ZUS_MF_XATTRS | ZUS_MF_ACLS | ZUS_MF_READDIR_PLUS | \
			 ZUS_MF_FILEATTR | ZUS_MF_TMPFILE | ZUS_MF_WHITEOUT | \
			 ZUS_MF_FALLOCATE | ZUS_MF_IOCTL | ZUS_MF_EXPORT | \
			 ZUS_MF_FREEZE | ZUS_MF_COPY | ZUS_MF_CREATE_OPEN)

/* What they use of toyfs.c: an inode that has the reference of its first name. */
struct toy_inode *toy_new_inode(struct zus_mount *mount, const struct zus_create *args);
void toy_evict(struct zus_inode *inode);
/* Names changed: links came or went; contents did (mtime). */
void toy_touch(struct toy_inode *ti, const struct zus_time *now, int links, bool mtime);
/* Under fs->names. add: ENOENT, the directory was removed meanwhile. */
struct toy_dentry *toy_find(struct toy_fs *fs, struct toy_inode *dir,
			    const struct zus_name *name);
int toy_add_dentry(struct toy_fs *fs, struct toy_inode *dir, struct toy_inode *ti,
		   const struct zus_name *name);
void toy_remove_dentry(struct toy_fs *fs, struct toy_dentry *de);
/* What is done with an inode; what is not 0 ends it for the others. */
typedef int toy_each(struct toy_inode *ti, void *arg);
/* All names and the rest, when no inode is left. */
void toy_free_fs(struct toy_fs *fs);
/* A name of the inode is gone; true: the last, put it after the unlock. */
bool toy_drop_name(struct toy_inode *ti, const struct zus_time *now);

/*
 * features.c: with the mount, and before anything of it; when no operation runs any more;
 * at the end, when no inode is left. An inode has come, goes.
 */
int toy_features_begin(struct toy_fs *fs, const char *options);
void toy_features_stop(struct toy_fs *fs);
void toy_features_end(struct toy_fs *fs);
void toy_features_add(struct toy_inode *ti);
void toy_features_del(struct toy_inode *ti);
int toy_statfs(struct zus_req *req, struct zus_mount *mount, struct zus_statfs *out);

/* export.c: inodes by number, for file handles. */
struct toy_index *toy_index_new(void);
void toy_index_delete(struct toy_index *index);
void toy_index_add(struct toy_inode *ti);
void toy_index_del(struct toy_inode *ti);
/* Of all inodes, while nobody else uses them. The inode may go. */
int toy_index_each(struct toy_index *index, toy_each *each, void *arg);
/* At the end of a mount what is left of references is that of a name, or the root's. */
toy_each toy_index_put;
int toy_iget(struct zus_req *req, struct zus_mount *mount, uint64_t ino, uint64_t gen,
	     struct zus_entry *out);
int toy_parent(struct zus_req *req, struct zus_inode *dir, struct zus_entry *out);

/*
 * keep.c, with the mount option keep. take: what was kept becomes mount->priv; ENOENT:
 * nothing was. keep: at the end of a mount; false: the caller is to free it.
 */
int toy_keep_take(struct zus_mount *mount);
bool toy_keep(struct zus_mount *mount);

/* ioctl.c, see toyfs_ioctl.h */
int toy_ioctl(struct zus_req *req, struct zus_inode *inode, const struct zus_ioctl *args,
	      int32_t *result);

/* remote.c: TOYFS_IOC_REMOTE of a directory. */
int toy_remote(struct zus_inode *dir, const void *in, int32_t *result);

/*
 * dirs.c: names by their place in a directory, under fs->names. add: 0 or ENOMEM. end: the
 * names have gone.
 */
void toy_dir_end(struct toy_fs *fs);
int toy_dir_add(struct toy_fs *fs, struct toy_dentry *de);
void toy_dir_del(struct toy_fs *fs, struct toy_dentry *de);
/* The new name, the last one, takes the place of the other, and that its. */
void toy_dir_swap(struct toy_fs *fs, struct toy_dentry *de, struct toy_dentry *last);
/* The first one behind cookie, or NULL. */
struct toy_dentry *toy_dir_after(struct toy_inode *dir, uint64_t cookie);

/* rename.c */
int toy_rename(struct zus_req *req, const struct zus_rename *args,
	       struct zus_rename_out *out);

/* link.c: more names; what READDIR answers of one, under fs->names. */
int toy_dirent(struct zus_req *req, const struct toy_dentry *de);
int toy_link(struct zus_req *req, struct zus_inode *inode, struct zus_inode *dir,
	     const struct zus_name *name, const struct zus_time *now,
	     struct zus_attr *inode_out, struct zus_attr *dir_out);
int toy_tmpfile(struct zus_req *req, struct zus_inode *dir, const struct zus_create *args,
		struct zus_entry *out);
int toy_create_open(struct zus_req *req, struct zus_inode *dir, const struct zus_create *args,
		    uint32_t flags, struct zus_create_open *answer);
int toy_readlink(struct zus_req *req, struct zus_inode *inode);

/* xattr.c: extended attributes, ACLs among them. */
int toy_getxattr(struct zus_req *req, struct zus_inode *inode, const struct zus_name *name);
int toy_setxattr(struct zus_req *req, struct zus_inode *inode,
		 const struct zus_setxattr *args, struct zus_attr *out);
int toy_listxattr(struct zus_req *req, struct zus_inode *inode);
/* Those of a new inode, which nobody else knows yet: 0 or ENOMEM. */
int toy_xattrs_init(struct toy_inode *ti, const struct zus_create *args);
/* At the inode's end. */
void toy_xattrs_free(struct toy_inode *ti);

/* flags.c: chattr(1) and project ids. A new inode takes some of its directory. */
void toy_flags_inherit(struct toy_inode *ti, struct toy_inode *dir);
void toy_flags_set(struct zus_attr *attr, const struct zus_setattr *set);
/* The inode may get a name in the directory: 0 or EXDEV. */
int toy_flags_check(struct toy_inode *ti, struct toy_inode *dir);

/* report.c: MAP for lseek(2) and FIEMAP: as much in one answer as there is. */
int toy_report(struct zus_req *req, struct toy_inode *ti, const struct zus_map *args);
/* The first block number from bn on whose slot is not empty, or TOY_BN_NONE. */
uint64_t toy_map_next(struct toy_inode *ti, uint64_t bn);
#define TOY_BN_NONE	(TOY_FILE_MAX / TOY_BLOCK + 1)

/* fallocate.c */
int toy_fallocate(struct zus_req *req, struct zus_inode *inode,
		  const struct zus_fallocate *args, struct zus_attr *out);

/* Where the server sees a block. */
static inline char *toy_block_addr(struct toy_inode *ti, zus_block block)
{
	return zus_dev_addr(ti->zi.mount, zus_block_dev(block),
			    zus_block_off(fs_of(&ti->zi)->space, block));
}

/* copy.c: of two inodes, the locks. */
void toy_lock_both(struct toy_inode *a, struct toy_inode *b);
void toy_unlock_both(struct toy_inode *a, struct toy_inode *b);
int toy_copy(struct zus_req *req, struct zus_inode *to, struct zus_inode *from,
	     const struct zus_copy *args, uint64_t *copied_bytes, struct zus_attr *out);

/* locks.c, with the mount option locks: a list for each inode, which goes with that. */
int toy_lock(struct zus_req *req, struct zus_inode *inode, const struct zus_lock *args,
	     struct zus_lock_conflict *conflict);
/* As if another machine asked; type and kind are ZUS_LOCK_*, the range is all. */
int toy_lock_remote(struct toy_inode *ti, uint32_t type, uint32_t kind);
void toy_locks_free(struct toy_inode *ti);

/*
 * blocks.c, with the mount options reflink and unwritten: a block is one slot's, or that of
 * several, or one slot's and was never written to. Without them all are TOY_OWN.
 */
enum toy_kind { TOY_OWN, TOY_SHARED, TOY_UNWRITTEN };
int toy_blocks_begin(struct toy_fs *fs, bool unwritten);
void toy_blocks_end(struct toy_fs *fs);
/* The mount has the option unwritten. */
bool toy_blocks_unwritten(struct toy_fs *fs);
enum toy_kind toy_kind(struct toy_fs *fs, zus_block block);
/* What an answer says of the block, 0 being a hole; true: data of this slot alone. */
bool toy_answer_kind(struct toy_fs *fs, zus_block block, struct zus_extent *ext);
/* One more slot has it; nobody has written to it. 0 or ENOMEM. */
int toy_block_share(struct toy_fs *fs, zus_block block);
int toy_block_unwritten(struct toy_fs *fs, zus_block block);
/* The unwritten block is the slot's own. */
void toy_block_written(struct toy_fs *fs, zus_block block);
/* One slot less has it; none: it is free. */
void toy_block_put(struct toy_fs *fs, zus_block block);

/*
 * clone.c: ti->lock is held: if what it has at bn is shared, it gets a copy; if it is to be
 * written to and never was, zeros. 0, ENOSPC.
 */
int toy_own(struct zus_req *req, struct toy_inode *ti, uint64_t bn, bool write);
/* Of [first, *end) all, or without space less, *end then being where it stopped. */
int toy_own_range(struct zus_req *req, struct toy_inode *ti, bool write, uint64_t first,
		  uint64_t *end);
/* CLONE and DEDUPE, with both locks. */
int toy_clone(struct toy_inode *to, struct toy_inode *from, const struct zus_copy *args,
	      uint64_t *done_bytes);

/* relocate.c: moves blocks that are in use, with the mount option relocate=SEED. */
int toy_relocate_begin(struct toy_fs *fs, const char *value);
int toy_freeze(struct zus_req *req, struct zus_mount *mount, int freeze);
/* When no operation runs any more; then, when no file is left. Without it: nothing. */
void toy_relocate_stop(struct toy_fs *fs);
void toy_relocate_end(struct toy_fs *fs);
/* An inode has come, is used now (by MAP; ti->lock is held), goes. Without it: nothing. */
void toy_relocate_add(struct toy_inode *ti);
void toy_relocate_use(struct toy_inode *ti, uint64_t bn);
void toy_relocate_del(struct toy_inode *ti);
/* As zus_space_alloc(), but best what was another file's until now. */
zus_block toy_relocate_alloc(struct toy_inode *ti, struct zus_space_want *want, uint64_t *got);

#endif /* TOYFS_FEATURES_H */
