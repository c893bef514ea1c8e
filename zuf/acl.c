// SPDX-License-Identifier: GPL-2.0
/*
 * POSIX ACLs, which the server keeps as extended attributes, and what a new inode gets
 * of its directory and of the security module. The VFS checks and caches them.
 */
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/xattr.h>

#include "xattr.h"

static const char *acl_name(int type)
{
	return type == ACL_TYPE_ACCESS ? ZUFS_XATTR_ACL_ACCESS : ZUFS_XATTR_ACL_DEFAULT;
}

/* ---------------------------------------------------------------- get, set */

/* Hostile, as all that a server says. */
static struct posix_acl *acl_parse(struct inode *inode, const void *value, int bytes)
{
	struct posix_acl *acl = posix_acl_from_xattr(i_user_ns(inode), value, bytes);
	int err;

	if (IS_ERR_OR_NULL(acl)) {
		err = PTR_ERR_OR_ZERO(acl);
	} else {
		err = posix_acl_valid(i_user_ns(inode), acl);
		if (!err)
			return acl;
		posix_acl_release(acl);
	}
	if (!err || err == -ENOMEM)
		return ERR_PTR(err);
	zuf_rule_broken(zuf_mount_of(inode->i_sb), ZUFS_OP_GETXATTR, ZUF_RULE_XATTR);
	return ERR_PTR(-EIO);
}

struct posix_acl *zuf_get_acl(struct inode *inode, int type, bool rcu)
{
	size_t room = PAGE_SIZE;
	struct posix_acl *acl;
	void *value;
	int bytes;

	if (rcu)
		return ERR_PTR(-ECHILD);
	if (!IS_POSIXACL(inode))
		return NULL;
	for (;;) {
		value = kvmalloc(room, GFP_KERNEL);
		if (!value)
			return ERR_PTR(-ENOMEM);
		bytes = zuf_xattr_get(inode, acl_name(type), value, room);
		if (bytes != -ERANGE || room == ZUFS_XATTR_VALUE_MAX_BYTES)
			break;
		kvfree(value);
		room = ZUFS_XATTR_VALUE_MAX_BYTES;
	}
	if (bytes == -ENODATA)
		acl = NULL;
	else
		acl = bytes < 0 ? ERR_PTR(bytes) : acl_parse(inode, value, bytes);
	kvfree(value);
	return acl;
}

int zuf_set_acl(ZUF_IDMAP *idmap, ZUF_ACL_TARGET *target, struct posix_acl *acl, int type)
{
	struct inode *inode = zuf_acl_inode(target);
	umode_t mode = inode->i_mode;
	u32 flags = 0;
	void *value = NULL;
	size_t bytes = 0;
	int err;

	if (type == ACL_TYPE_DEFAULT && !S_ISDIR(inode->i_mode))
		return acl ? -EACCES : 0;
	if (type == ACL_TYPE_ACCESS && acl) {
		err = posix_acl_update_mode(idmap, inode, &mode, &acl);
		if (err)
			return err;
		if (mode != inode->i_mode)
			flags |= ZUFS_XATTR_MODE;
	}
	if (acl) {
		bytes = posix_acl_xattr_size(acl->a_count);
		value = kmalloc(bytes, GFP_KERNEL);
		if (!value)
			return -ENOMEM;
		err = posix_acl_to_xattr(i_user_ns(inode), acl, value, bytes);
		if (err < 0)
			goto out_free;
	} else {
		flags |= ZUFS_XATTR_REMOVE;
	}
	err = zuf_xattr_set(inode, acl_name(type), value, bytes, flags, mode);
	if (err)
		forget_cached_acl(inode, type);
	else
		set_cached_acl(inode, type, acl);
out_free:
	kfree(value);
	return err;
}

/* --------------------------------------------------------------- new inodes */

static u32 acl_entry_bytes(const char *name, const struct posix_acl *acl)
{
	return acl ? ZUFS_XATTR_BYTES(strlen(name), posix_acl_xattr_size(acl->a_count)) : 0;
}

/* Returns where the next one goes. */
static void *entry_begin(void *at, const char *name, u32 value_bytes, void **value)
{
	struct zufs_xattr *entry = at;

	entry->name_bytes = strlen(name);
	entry->value_bytes = value_bytes;
	memcpy(entry + 1, name, entry->name_bytes);
	*value = (void *)(entry + 1) + entry->name_bytes;
	return at + ZUFS_XATTR_BYTES(entry->name_bytes, value_bytes);
}

static void *acl_entry(void *at, struct inode *dir, const char *name,
		       const struct posix_acl *acl)
{
	size_t bytes;
	void *value;

	if (!acl)
		return at;
	bytes = posix_acl_xattr_size(acl->a_count);
	at = entry_begin(at, name, bytes, &value);
	/* cannot fail: the ids come from an inode of this filesystem */
	posix_acl_to_xattr(i_user_ns(dir), acl, value, bytes);
	return at;
}

struct label {
	const char *name;
	void *value;
	u32 bytes;
};

static int label_is_kept(struct inode *inode, const struct xattr *xattrs, void *kept)
{
	*(bool *)kept = true;
	return 0;
}

/*
 * Whether the module has labels stored on this mount: not before a policy is loaded, nor
 * with context=. Only its hook for inodes looks at that, and ours does not exist until the
 * server has answered.
 */
static int label_ask_kept(bool *kept, struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct inode *inode = new_inode(dir->i_sb);
	int err;

	*kept = false;
	if (!inode)
		return -ENOMEM;
	inode->i_mode = mode;
	err = security_inode_init_security(inode, dir, &dentry->d_name, label_is_kept, kept);
	iput(inode);
	return err;
}

/* The security module's for the new inode, if it has any. */
static int label_begin(struct label *label, struct inode *dir, struct dentry *dentry,
		       umode_t mode)
{
	bool kept;
	int err;

	if (!zuf_server_trusted(zuf_mount_of(dir->i_sb)->server))
		return 0;
	err = security_dentry_init_security(dentry, mode, &dentry->d_name, &label->name,
					    &label->value, &label->bytes);
	if (err) {
		label->value = NULL;
		return err == -EOPNOTSUPP ? 0 : err;
	}
	err = label_ask_kept(&kept, dir, dentry, mode);
	if (!kept) {
		kfree(label->value);
		label->value = NULL;
	}
	return err;
}

static int list_make(struct zuf_new_xattrs *new, struct inode *dir, const struct label *label)
{
	void *at, *value;

	new->list_bytes = acl_entry_bytes(ZUFS_XATTR_ACL_ACCESS, new->acl) +
			  acl_entry_bytes(ZUFS_XATTR_ACL_DEFAULT, new->default_acl);
	if (label->value)
		new->list_bytes += ZUFS_XATTR_BYTES(strlen(label->name), label->bytes);
	if (!new->list_bytes)
		return 0;
	new->list = kvzalloc(new->list_bytes, GFP_KERNEL);
	if (!new->list)
		return -ENOMEM;
	at = acl_entry(new->list, dir, ZUFS_XATTR_ACL_ACCESS, new->acl);
	at = acl_entry(at, dir, ZUFS_XATTR_ACL_DEFAULT, new->default_acl);
	if (label->value) {
		entry_begin(at, label->name, label->bytes, &value);
		memcpy(value, label->value, label->bytes);
	}
	return 0;
}

static int new_xattrs_begin(struct zuf_new_xattrs *new, struct inode *dir,
			    struct dentry *dentry, umode_t mode)
{
	struct label label = {};
	int err;

	err = label_begin(&label, dir, dentry, mode);
	if (!err)
		err = list_make(new, dir, &label);
	kfree(label.value);
	return err;
}

int zuf_new_xattrs_begin(struct zuf_new_xattrs *new, struct inode *dir, struct dentry *dentry,
			 umode_t *mode)
{
	int err;

	*new = (struct zuf_new_xattrs) {};
	if (!(zuf_mount_of(dir->i_sb)->features & ZUFS_MF_XATTRS))
		return 0;
	err = posix_acl_create(dir, mode, &new->default_acl, &new->acl);
	return err ?: new_xattrs_begin(new, dir, dentry, *mode);
}

/* No ACL: nobody can open it. */
int zuf_whiteout_xattrs_begin(struct zuf_new_xattrs *new, struct inode *dir,
			      struct dentry *dentry)
{
	*new = (struct zuf_new_xattrs) {};
	if (!(zuf_mount_of(dir->i_sb)->features & ZUFS_MF_XATTRS))
		return 0;
	return new_xattrs_begin(new, dir, dentry, S_IFCHR | WHITEOUT_MODE);
}

void zuf_new_xattrs_done(const struct zuf_new_xattrs *new, struct inode *inode)
{
	if (!IS_POSIXACL(inode) || S_ISLNK(inode->i_mode))
		return;
	set_cached_acl(inode, ACL_TYPE_ACCESS, new->acl);
	if (S_ISDIR(inode->i_mode))
		set_cached_acl(inode, ACL_TYPE_DEFAULT, new->default_acl);
}

void zuf_new_xattrs_free(struct zuf_new_xattrs *new)
{
	posix_acl_release(new->acl);
	posix_acl_release(new->default_acl);
	kvfree(new->list);
}
