// SPDX-License-Identifier: BSD-3-Clause
/*
 * decode.c - what the border checks: names, handles, times of a request; and how
 * values of the SDK become parts of a reply.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

int zus_req_inode(struct zus_req *req, uint64_t handle, struct zus_inode **inode)
{
	*inode = zus_inode_use(req->mount->inodes, handle);
	if (!*inode)
		return -ESTALE;
	req->used[req->used_count++] = *inode;
	return 0;
}

/* bytes of the payload at off, without a NUL among them. */
int zus_req_text(const struct zus_req *req, uint32_t off, uint32_t bytes,
		 const char **text)
{
	if (off > req->hdr.payload_bytes || bytes > req->hdr.payload_bytes - off)
		return -EPROTO;
	*text = req->payload_in + off;
	if (memchr(*text, 0, bytes))
		return -EPROTO;
	return 0;
}

int zus_req_name(const struct zus_req *req, uint32_t off, uint32_t bytes,
		 struct zus_name *name)
{
	int err;

	if (!bytes)
		return -EPROTO;
	if (bytes > ZUFS_NAME_MAX)
		return -ENAMETOOLONG;
	err = zus_req_text(req, off, bytes, &name->str);
	if (err)
		return err;
	name->bytes = bytes;
	if (memchr(name->str, '/', bytes))
		return -EPROTO;
	if (name->str[0] == '.' &&
	    (bytes == 1 || (bytes == 2 && name->str[1] == '.')))
		return -EPROTO;
	return 0;
}

int zus_time_get(const struct zufs_time *in, struct zus_time *out)
{
	if (in->nsec >= 1000000000u)
		return -EPROTO;
	out->sec = in->sec;
	out->nsec = in->nsec;
	out->reserved = 0;
	return 0;
}

static void time_put(struct zufs_time *out, const struct zus_time *in)
{
	out->sec = in->sec;
	out->nsec = in->nsec;
	out->reserved = 0;
}

void zus_attr_put(struct zufs_attr *out, const struct zus_attr *attr)
{
	out->ino = attr->ino;
	out->gen = attr->gen;
	out->size_bytes = attr->size_bytes;
	out->blocks_512 = attr->blocks_512;
	out->change = attr->change;
	time_put(&out->atime, &attr->atime);
	time_put(&out->mtime, &attr->mtime);
	time_put(&out->ctime, &attr->ctime);
	time_put(&out->btime, &attr->btime);
	out->mode = attr->mode;
	out->nlink = attr->nlink;
	out->uid = attr->uid;
	out->gid = attr->gid;
	out->rdev_major = attr->rdev_major;
	out->rdev_minor = attr->rdev_minor;
	out->flags = attr->flags;
	out->projid = attr->projid;
}

void zus_entry_put(struct zufs_entry *out, const struct zus_entry *entry)
{
	out->handle = entry->inode->handle;
	zus_attr_put(&out->attr, &entry->attr);
}
