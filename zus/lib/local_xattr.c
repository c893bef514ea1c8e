// SPDX-License-Identifier: BSD-3-Clause
/* local_xattr.c - extended attributes for the local transport. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "local_vfs.h"

/* A name as messages carry it, whose NUL has room; returns its length, 0: it is none. */
static uint32_t put_name(char *to, const char *name)
{
	size_t bytes = strlen(name);

	if (bytes > ZUFS_XATTR_NAME_MAX)
		return 0;
	memcpy(to, name, bytes + 1);
	return (uint32_t)bytes;
}

/* ---------------------------------------------------------------- by handle */

ssize_t zus_handle_getxattr(struct zus_local *local, uint64_t handle, const char *name,
			    void *value, size_t bytes)
{
	struct zufs_getxattr_in in = {
		.inode = handle,
		.max_bytes = bytes < ZUFS_XATTR_VALUE_MAX_BYTES ?
			     (uint32_t)bytes : ZUFS_XATTR_VALUE_MAX_BYTES,
	};
	struct zufs_getxattr_out out = { .value_bytes = 0 };
	struct zus_local_call call = {
		.op = ZUFS_OP_GETXATTR, .in = &in, .in_bytes = sizeof(in),
		.out = &out, .out_bytes = sizeof(out),
		.reply = value, .reply_max_bytes = in.max_bytes,
	};
	int err;

	in.name_bytes = put_name(in.name, name);
	err = in.name_bytes ? local_call_retry(local, &call) : -ERANGE;
	return err ? err : (ssize_t)out.value_bytes;
}

int zus_handle_setxattr(struct zus_local *local, uint64_t handle, const char *name,
			const void *value, size_t bytes, uint32_t flags, uint32_t mode)
{
	struct zufs_setxattr_in in = {
		.inode = handle, .now = local_now(), .flags = flags, .mode = mode,
		.value_bytes = (uint32_t)bytes,
	};
	struct zufs_attr attr;
	int err;

	in.name_bytes = put_name(in.name, name);
	if (!in.name_bytes || bytes > ZUFS_XATTR_VALUE_MAX_BYTES)
		return in.name_bytes ? -E2BIG : -ERANGE;
	pthread_rwlock_wrlock(local_inode_lock(local, handle));
	err = local_send(local, ZUFS_OP_SETXATTR, &in, sizeof(in), value, in.value_bytes, &attr,
			 sizeof(attr));
	pthread_rwlock_unlock(local_inode_lock(local, handle));
	return err;
}

ssize_t zus_handle_listxattr(struct zus_local *local, uint64_t handle, char *list, size_t bytes)
{
	struct zufs_listxattr_in in = { .inode = handle };
	struct zus_local_call call = {
		.op = ZUFS_OP_LISTXATTR, .in = &in, .in_bytes = sizeof(in),
		.reply_max_bytes = ZUFS_PAYLOAD_MAX_BYTES,
	};
	ssize_t ret;

	call.reply = malloc(ZUFS_PAYLOAD_MAX_BYTES);
	if (!call.reply)
		return -ENOMEM;
	ret = local_call_retry(local, &call);
	if (!ret)
		ret = bytes && bytes < call.reply_bytes ? -ERANGE : (ssize_t)call.reply_bytes;
	if (ret > 0 && bytes)
		memcpy(list, call.reply, call.reply_bytes);
	free(call.reply);
	return ret;
}

/* ------------------------------------------------------------------ by path */

ssize_t zus_local_getxattr(struct zus_local *local, const char *path, const char *name,
			   void *value, size_t bytes)
{
	struct zus_local_entry entry;
	ssize_t ret = local_find(local, path, &entry);

	if (ret)
		return ret;
	ret = zus_handle_getxattr(local, entry.handle, name, value, bytes);
	local_drop(local, entry.handle);
	return ret;
}

static int set(struct zus_local *local, const char *path, const char *name,
	       const void *value, size_t bytes, uint32_t flags)
{
	struct zus_local_entry entry;
	int err = local_find(local, path, &entry);

	if (err)
		return err;
	err = zus_handle_setxattr(local, entry.handle, name, value, bytes, flags, 0);
	local_drop(local, entry.handle);
	return err;
}

int zus_local_setxattr(struct zus_local *local, const char *path, const char *name,
		       const void *value, size_t bytes, uint32_t flags)
{
	if (flags & ~(ZUS_XATTR_CREATE | ZUS_XATTR_REPLACE))
		return -EINVAL;
	return set(local, path, name, value, bytes, flags);
}

int zus_local_removexattr(struct zus_local *local, const char *path, const char *name)
{
	return set(local, path, name, NULL, 0, ZUFS_XATTR_REMOVE | ZUFS_XATTR_REPLACE);
}

ssize_t zus_local_listxattr(struct zus_local *local, const char *path, char *list,
			    size_t bytes)
{
	struct zus_local_entry entry;
	ssize_t ret = local_find(local, path, &entry);

	if (ret)
		return ret;
	ret = zus_handle_listxattr(local, entry.handle, list, bytes);
	local_drop(local, entry.handle);
	return ret;
}
