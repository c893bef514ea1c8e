// SPDX-License-Identifier: GPL-2.0
/*
 * Extended attributes. Their values stay with the server. What the kernel keeps is that
 * an inode has none at all, so that whoever asks for those of each name in a directory
 * makes no call; and ACLs, by the VFS's cache (acl.c).
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/xattr.h>

#include "xattr.h"

/* ------------------------------------------------------------------- checks */

enum zuf_rule zuf_check_getxattr(const struct zuf_reply *reply)
{
	const struct zufs_getxattr_out *out = reply->out;
	const struct zufs_getxattr_in *in;

	if (out->value_bytes > ZUFS_XATTR_VALUE_MAX_BYTES)
		return ZUF_RULE_XATTR;
	if (!reply->call)
		return ZUF_RULE_OK;
	in = reply->call->in;
	if (reply->buf_bytes != (in->max_bytes ? out->value_bytes : 0))
		return ZUF_RULE_XATTR;
	return ZUF_RULE_OK;
}

enum zuf_rule zuf_check_listxattr(const struct zuf_reply *reply)
{
	const char *at = reply->buf, *end = at + reply->buf_bytes;
	size_t bytes;

	for (; at < end; at += bytes + 1) {
		bytes = strnlen(at, end - at);
		if (!bytes || bytes > ZUFS_XATTR_NAME_MAX || bytes == end - at)
			return ZUF_RULE_XATTR;
	}
	return ZUF_RULE_OK;
}

/* Nobody knows which ACL counts. */
void zuf_undo_setxattr(struct zuf_orphan *orphan, const void *out)
{
	if (orphan->inode[0])
		forget_all_cached_acls(orphan->inode[0]);
}

/* ---------------------------------------------------------------- get, set */

static bool has_none(const struct inode *inode)
{
	const unsigned long flags = READ_ONCE(zuf_i(inode)->flags);

	return flags & BIT(ZUF_I_NO_XATTRS) && !(flags & BIT(ZUF_I_STALE));
}

/* Of a label that the server may not give its files. */
static bool withheld(const struct inode *inode, const char *name)
{
	return !strncmp(name, XATTR_SECURITY_PREFIX, XATTR_SECURITY_PREFIX_LEN) &&
	       !zuf_server_trusted(zuf_mount_of(inode->i_sb)->server);
}

int zuf_xattr_get(struct inode *inode, const char *name, void *value, size_t bytes)
{
	struct zufs_getxattr_in in = {
		.inode		= zuf_i(inode)->handle,
		.max_bytes	= min_t(size_t, bytes, ZUFS_XATTR_VALUE_MAX_BYTES),
		.name_bytes	= strlen(name),
	};
	struct zufs_getxattr_out out;
	struct zuf_call call = {
		.mount		= zuf_mount_of(inode->i_sb),
		.op		= ZUFS_OP_GETXATTR,
		.in		= &in,
		.out		= &out,
		.reply_buf	= value,
		.reply_max	= in.max_bytes,
		.inode		= { inode },
	};
	int err;

	if (withheld(inode, name))
		return -EOPNOTSUPP;
	if (in.name_bytes > ZUFS_XATTR_NAME_MAX)
		return -ERANGE;
	err = zuf_data_begin(inode);
	if (err)
		return err;
	if (has_none(inode))
		return -ENODATA;
	memcpy(in.name, name, in.name_bytes);
	err = zuf_call_retry(&call);
	return err ?: out.value_bytes;
}

static int set_send(struct inode *inode, struct zufs_setxattr_in *in, const void *value)
{
	struct zufs_attr attr;
	struct zuf_call call = {
		.mount		= zuf_mount_of(inode->i_sb),
		.op		= ZUFS_OP_SETXATTR,
		.in		= in,
		.out		= &attr,
		.seg		= { { (void *)value, in->value_bytes } },
		.num_segs	= 1,
		.inode		= { inode },
	};
	int err = zuf_call_retry(&call);

	if (!err)
		zuf_attr_apply(inode, &attr, false);
	else if (err == -EIO)
		set_bit(ZUF_I_STALE, &zuf_i(inode)->flags);	/* it may have, all the same */
	return err;
}

int zuf_xattr_set(struct inode *inode, const char *name, const void *value, size_t bytes,
		  u32 flags, umode_t mode)
{
	struct zufs_setxattr_in in = {
		.inode		= zuf_i(inode)->handle,
		.now		= zuf_time_to_wire(current_time(inode)),
		.flags		= flags,
		.mode		= mode & 07777,
		.value_bytes	= bytes,
		.name_bytes	= strlen(name),
	};
	int err;

	if (withheld(inode, name))
		return -EOPNOTSUPP;
	if (in.name_bytes > ZUFS_XATTR_NAME_MAX)
		return -ERANGE;
	memcpy(in.name, name, in.name_bytes);
	err = zuf_data_begin(inode);
	/* a regular file's ctime must not be overtaken by times on their way */
	if (!err && S_ISREG(inode->i_mode))
		err = zuf_times_lock(inode);
	if (err)
		return err;
	err = set_send(inode, &in, value);
	if (S_ISREG(inode->i_mode))
		zuf_times_unlock(inode);
	return err;
}

/* --------------------------------------------------------------------- list */

/* Who may not read it shall not know of it. */
static bool shown(const struct inode *inode, const char *name)
{
	if (!strncmp(name, XATTR_USER_PREFIX, XATTR_USER_PREFIX_LEN))
		return true;
	if (!strncmp(name, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN))
		return capable(CAP_SYS_ADMIN);
	if (!strncmp(name, XATTR_SECURITY_PREFIX, XATTR_SECURITY_PREFIX_LEN))
		return !withheld(inode, name);
	return IS_POSIXACL(inode) && (!strcmp(name, ZUFS_XATTR_ACL_ACCESS) ||
				      !strcmp(name, ZUFS_XATTR_ACL_DEFAULT));
}

static ssize_t list_copy(const struct inode *inode, const char *names, u32 names_bytes,
			 char *list, size_t bytes)
{
	const char *end = names + names_bytes;
	size_t used = 0, one;

	for (; names < end; names += one) {
		one = strlen(names) + 1;
		if (!shown(inode, names))
			continue;
		if (bytes && one > bytes - used)
			return -ERANGE;
		if (bytes)
			memcpy(list + used, names, one);
		used += one;
	}
	return used;
}

ssize_t zuf_listxattr(struct dentry *dentry, char *list, size_t bytes)
{
	struct inode *inode = d_inode(dentry);
	struct zufs_listxattr_in in = { .inode = zuf_i(inode)->handle };
	struct zuf_call call = {
		.mount		= zuf_mount_of(inode->i_sb),
		.op		= ZUFS_OP_LISTXATTR,
		.in		= &in,
		.reply_max	= ZUFS_PAYLOAD_MAX_BYTES,
		.inode		= { inode },
	};
	ssize_t ret;

	if (!(call.mount->features & ZUFS_MF_XATTRS))
		return 0;
	ret = zuf_data_begin(inode);
	if (ret || has_none(inode))
		return ret;
	call.reply_buf = kvmalloc(ZUFS_PAYLOAD_MAX_BYTES, GFP_KERNEL);
	if (!call.reply_buf)
		return -ENOMEM;
	ret = zuf_call_retry(&call);
	if (!ret)
		ret = list_copy(inode, call.reply_buf, call.reply_bytes, list, bytes);
	kvfree(call.reply_buf);
	return ret;
}

/* ----------------------------------------------------------------- handlers */

static int handler_get(const struct xattr_handler *handler, struct dentry *dentry,
		       struct inode *inode, const char *name, void *value, size_t bytes)
{
	return zuf_xattr_get(inode, xattr_full_name(handler, name), value, bytes);
}

static int handler_set(const struct xattr_handler *handler, ZUF_IDMAP *idmap,
		       struct dentry *dentry, struct inode *inode, const char *name,
		       const void *value, size_t bytes, int flags)
{
	u32 wire = (flags & XATTR_CREATE ? ZUFS_XATTR_CREATE : 0) |
		   (flags & XATTR_REPLACE ? ZUFS_XATTR_REPLACE : 0);

	if (!value) {
		wire |= ZUFS_XATTR_REMOVE;
		bytes = 0;
	}
	return zuf_xattr_set(inode, xattr_full_name(handler, name), value, bytes, wire, 0);
}

#define HANDLER(name, p) \
	static const struct xattr_handler name = { .prefix = p, .get = handler_get, \
						   .set = handler_set }

HANDLER(user_handler, XATTR_USER_PREFIX);
HANDLER(trusted_handler, XATTR_TRUSTED_PREFIX);
HANDLER(security_handler, XATTR_SECURITY_PREFIX);

const struct xattr_handler *zuf_xattr_handlers[] = {
	&user_handler,
	&trusted_handler,
	&security_handler,
	ZUF_ACL_HANDLERS
	NULL
};
