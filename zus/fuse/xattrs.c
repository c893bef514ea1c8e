// SPDX-License-Identifier: BSD-3-Clause
/* xattrs.c - GETXATTR, SETXATTR, LISTXATTR, REMOVEXATTR. */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "ops.h"

#define TRUSTED		"trusted."

static bool is_acl(const char *name)
{
	return !strcmp(name, ZUS_XATTR_ACL_ACCESS) || !strcmp(name, ZUS_XATTR_ACL_DEFAULT);
}

static bool begins(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

/* ENOSYS, where there are none: then the kernel asks no more. */
static int check_name(const struct zus_fuse *fuse, const char *name)
{
	static const char *const classes[] = { "user.", TRUSTED, "security." };
	size_t i;

	if (!zf_has(fuse, ZUS_MF_XATTRS))
		return -ENOSYS;
	if (is_acl(name))
		return zf_has(fuse, ZUS_MF_ACLS) ? 0 : -EOPNOTSUPP;
	for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (begins(name, classes[i]))
			return name[strlen(classes[i])] ? 0 : -EINVAL;
	return -EOPNOTSUPP;
}

/* What getxattr and listxattr answer: a length, or so many bytes. Frees them. */
static void done_bytes(struct zf_call *call, size_t size, ssize_t bytes, char *value)
{
	if (bytes < 0) {
		zf_done(call, (int)bytes);
	} else if (!size) {
		zf_end(call);
		fuse_reply_xattr(call->req, (size_t)bytes);
	} else if ((size_t)bytes > size) {
		zf_done(call, -ERANGE);
	} else {
		zf_end(call);
		fuse_reply_buf(call->req, value, (size_t)bytes);
	}
	free(value);
}

void zf_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct zf_call call;
	uint64_t handle;
	char *value = NULL;
	ssize_t ret;

	zf_begin(&call, req);
	ret = check_name(call.fuse, name);
	handle = zf_node_handle(call.fuse, ino);
	if (!ret && size) {
		value = malloc(size);
		ret = value ? 0 : -ENOMEM;
	}
	if (!ret)
		ret = handle ? zus_handle_getxattr(call.local, handle, name, value, size) : -ESTALE;
	done_bytes(&call, size, ret, value);
}

static int set(struct zf_call *call, fuse_ino_t ino, const char *name, const void *value,
	       size_t bytes, uint32_t flags)
{
	uint64_t handle = zf_node_handle(call->fuse, ino);
	uint32_t mode = 0;
	int ret = handle ? check_name(call->fuse, name) : -ESTALE;

	if (!ret)
		ret = zf_may(call, handle, ZF_ATTRS);
	if (!ret && !strcmp(name, ZUS_XATTR_ACL_ACCESS) && !(flags & ZUS_XATTR_REMOVE))
		ret = zf_acl_set(call, handle, value, bytes, &mode);
	if (ret < 0)
		return ret;
	flags |= (uint32_t)ret;
	if (flags & ZUS_XATTR_REMOVE)
		bytes = 0;
	return zus_handle_setxattr(call->local, handle, name, value, bytes, flags, mode);
}

void zf_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		 size_t size, int flags)
{
	struct zf_call call;

	zf_begin(&call, req);
	zf_done(&call, set(&call, ino, name, value, size,
			   (flags & XATTR_CREATE ? ZUS_XATTR_CREATE : 0) |
			   (flags & XATTR_REPLACE ? ZUS_XATTR_REPLACE : 0)));
}

void zf_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct zf_call call;

	zf_begin(&call, req);
	zf_done(&call, set(&call, ino, name, NULL, 0, ZUS_XATTR_REMOVE | ZUS_XATTR_REPLACE));
}

/* Of TRUSTED only who administers is told. */
static ssize_t hide(const struct zf_call *call, char *list, ssize_t bytes)
{
	char *from = list, *to = list, *end = list + bytes;
	bool all = false, asked = false;
	size_t len;

	for (; from < end; from += len) {
		len = strlen(from) + 1;
		if (begins(from, TRUSTED)) {
			all = asked ? all : zf_capable(call, CAP_SYS_ADMIN);
			asked = true;
			if (!all)
				continue;
		}
		memmove(to, from, len);
		to += len;
	}
	return to - list;
}

void zf_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct zf_call call;
	uint64_t handle;
	ssize_t ret;
	char *list;

	zf_begin(&call, req);
	handle = zf_node_handle(call.fuse, ino);
	list = malloc(ZUFS_PAYLOAD_MAX_BYTES);
	if (!zf_has(call.fuse, ZUS_MF_XATTRS))
		ret = -ENOSYS;
	else if (!handle || !list)
		ret = list ? -ESTALE : -ENOMEM;
	else
		ret = zus_handle_listxattr(call.local, handle, list, ZUFS_PAYLOAD_MAX_BYTES);
	if (ret > 0)
		ret = hide(&call, list, ret);
	done_bytes(&call, size, ret, list);
}
