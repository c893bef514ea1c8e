/* SPDX-License-Identifier: GPL-2.0 */
/* Names: between namei.c, which finds, links and renames, and create.c. */
#ifndef ZUF_NAMEI_H
#define ZUF_NAMEI_H

#include "zuf.h"

static inline struct kvec zuf_name_vec(const struct dentry *dentry)
{
	return (struct kvec) {
		.iov_base = (void *)dentry->d_name.name,
		.iov_len = dentry->d_name.len,
	};
}

static inline struct zufs_time zuf_now_of(struct inode *inode)
{
	return zuf_time_to_wire(current_time(inode));
}

/*
 * Before @dentry's name in @dir is changed or looked up, with its locks: no change that
 * was left behind may come in between, or hide behind a name.
 */
int zuf_dir_prepare(struct inode *dir, const struct dentry *dentry);
/*
 * After a change that failed: the server may have done it all the same. What an
 * orphan may still do to attributes is its completion's to say.
 */
void zuf_name_unsure(struct inode *dir, struct dentry *dentry, int err);
/* Attributes of a directory that the call names as its inode @index. */
enum zuf_rule zuf_check_live_dir(const struct zuf_reply *reply, const struct zufs_attr *attr,
				 unsigned int index);

int zuf_create(ZUF_IDMAP *idmap, struct inode *dir, struct dentry *dentry, umode_t mode,
	       bool excl);
int zuf_atomic_open(struct inode *dir, struct dentry *dentry, struct file *file,
		    unsigned int flags, umode_t mode);
struct dentry *zuf_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags);
int zuf_mkdir(ZUF_IDMAP *idmap, struct inode *dir, struct dentry *dentry, umode_t mode);
int zuf_mknod(ZUF_IDMAP *idmap, struct inode *dir, struct dentry *dentry, umode_t mode,
	      dev_t rdev);
int zuf_symlink(ZUF_IDMAP *idmap, struct inode *dir, struct dentry *dentry, const char *target);
int zuf_tmpfile(ZUF_IDMAP *idmap, struct inode *dir, struct file *file, umode_t mode);

#endif /* ZUF_NAMEI_H */
