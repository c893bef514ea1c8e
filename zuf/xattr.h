/* SPDX-License-Identifier: GPL-2.0 */
/* Extended attributes and ACLs: between xattr.c, acl.c and namei.c. */
#ifndef ZUF_XATTR_H
#define ZUF_XATTR_H

#include "zuf.h"

/*
 * @name: with its prefix. get: the value's length, with @bytes 0 no more than that;
 * -ENODATA, -ERANGE. set: @flags are ZUFS_XATTR_*; i_rwsem held exclusive. Both may
 * sleep and call the server.
 */
int zuf_xattr_get(struct inode *inode, const char *name, void *value, size_t bytes);
int zuf_xattr_set(struct inode *inode, const char *name, const void *value, size_t bytes,
		  u32 flags, umode_t mode);

/* What an inode that is about to be made shall have from the start (acl.c). */
struct zuf_new_xattrs {
	struct posix_acl *acl;
	struct posix_acl *default_acl;
	void *list;			/* struct zufs_xattr, one behind the other */
	u32 list_bytes;
};

/* @mode: umask and default ACL are applied to it. free: whatever begin returned. */
int zuf_new_xattrs_begin(struct zuf_new_xattrs *new, struct inode *dir, struct dentry *dentry,
			 umode_t *mode);
/* Of what RENAME_WHITEOUT leaves at @dentry; likewise. */
int zuf_whiteout_xattrs_begin(struct zuf_new_xattrs *new, struct inode *dir,
			      struct dentry *dentry);
/* It has been made. */
void zuf_new_xattrs_done(const struct zuf_new_xattrs *new, struct inode *inode);
void zuf_new_xattrs_free(struct zuf_new_xattrs *new);

#endif /* ZUF_XATTR_H */
