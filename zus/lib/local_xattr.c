// SPDX-License-Identifier: BSD-3-Clause
/* local_xattr.c - extended attributes for the local transport. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "local_vfs.h"

static int call_retry(struct zus_local *local, struct zus_local_call *call)
{
	int ret;

	while ((ret = zus_local_call(local, call)) == ZUS_BUSY_RETRY)
		sched_yield();
	return ret;
}

/* A name as messages carry it, whose NUL has room; returns its length, 0: it is none. */
static uint32_t put_name(char *to, const char *name)
{
	size_t bytes = strlen(name);

	if (bytes > ZUFS_XATTR_NAME_MAX)
		return 0;
	memcpy(to, name, bytes + 1);
	return (uint32_t)bytes;
}

ssize_t zus_local_getxattr(struct zus_local *local, const char *path, const char *name,
			   void *value, size_t bytes)
{
	struct zufs_getxattr_in in = {
		.max_bytes = bytes < ZUFS_XATTR_VALUE_MAX_BYTES ?
			     (uint32_t)bytes : ZUFS_XATTR_VALUE_MAX_BYTES,
	};
	struct zufs_getxattr_out out = { .value_bytes = 0 };
	struct zus_local_call call = {
		.op = ZUFS_OP_GETXATTR, .in = &in, .in_bytes = sizeof(in),
		.out = &out, .out_bytes = sizeof(out),
		.reply = value, .reply_max_bytes = in.max_bytes,
	};
	struct zufs_entry entry;
	int err;

	in.name_bytes = put_name(in.name, name);
	err = in.name_bytes ? local_find(local, path, &entry) : -ERANGE;
	if (err)
		return err;
	in.inode = entry.handle;
	err = call_retry(local, &call);
	local_drop(local, entry.handle);
	return err ? err : (ssize_t)out.value_bytes;
}

static int set(struct zus_local *local, const char *path, struct zufs_setxattr_in *in,
	       const char *name, const void *value)
{
	struct zufs_entry entry;
	struct zufs_attr attr;
	int err;

	in->name_bytes = put_name(in->name, name);
	in->now = local_now();
	err = in->name_bytes ? local_find(local, path, &entry) : -ERANGE;
	if (err)
		return err;
	in->inode = entry.handle;
	pthread_rwlock_wrlock(local_inode_lock(local, entry.handle));
	err = local_send(local, ZUFS_OP_SETXATTR, in, sizeof(*in), value, in->value_bytes,
			 &attr, sizeof(attr));
	pthread_rwlock_unlock(local_inode_lock(local, entry.handle));
	local_drop(local, entry.handle);
	return err;
}

int zus_local_setxattr(struct zus_local *local, const char *path, const char *name,
		       const void *value, size_t bytes, uint32_t flags)
{
	struct zufs_setxattr_in in = { .flags = flags, .value_bytes = (uint32_t)bytes };

	if (bytes > ZUFS_XATTR_VALUE_MAX_BYTES)
		return -E2BIG;
	if (flags & ~(ZUS_XATTR_CREATE | ZUS_XATTR_REPLACE))
		return -EINVAL;
	return set(local, path, &in, name, value);
}

int zus_local_removexattr(struct zus_local *local, const char *path, const char *name)
{
	struct zufs_setxattr_in in = { .flags = ZUFS_XATTR_REMOVE | ZUFS_XATTR_REPLACE };

	return set(local, path, &in, name, NULL);
}

ssize_t zus_local_listxattr(struct zus_local *local, const char *path, char *list,
			    size_t bytes)
{
	struct zufs_listxattr_in in;
	char *names = malloc(ZUFS_PAYLOAD_MAX_BYTES);
	struct zus_local_call call = {
		.op = ZUFS_OP_LISTXATTR, .in = &in, .in_bytes = sizeof(in),
		.reply = names, .reply_max_bytes = ZUFS_PAYLOAD_MAX_BYTES,
	};
	struct zufs_entry entry;
	ssize_t ret;

	if (!names)
		return -ENOMEM;
	ret = local_find(local, path, &entry);
	if (ret)
		goto out_free;
	in.inode = entry.handle;
	ret = call_retry(local, &call);
	local_drop(local, entry.handle);
	if (ret)
		goto out_free;
	ret = call.reply_bytes;
	if (bytes && bytes < call.reply_bytes)
		ret = -ERANGE;
	else if (bytes)
		memcpy(list, names, call.reply_bytes);
out_free:
	free(names);
	return ret;
}
