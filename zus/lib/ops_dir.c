// SPDX-License-Identifier: BSD-3-Clause
/* ops_dir.c - READDIR, with attributes and without. */
#include <errno.h>
#include <string.h>

#include "internal.h"

int zus_req_readdir_plus(const struct zus_req *req)
{
	return req->hdr.op == ZUFS_OP_READDIR && req->in.readdir.flags & ZUFS_READDIR_PLUS &&
	       req->mount->features & ZUS_MF_READDIR_PLUS;
}

/* Room for one entry, with its name; *entry: NULL without PLUS. */
static int add(struct zus_req *req, uint64_t cookie, const struct zus_name *name,
	       struct zufs_entry **entry, struct zufs_dirent **dirent)
{
	bool plus = zus_req_readdir_plus(req);
	char *at = req->payload + req->payload_bytes;
	uint32_t bytes;

	if (!name->bytes || name->bytes > ZUFS_NAME_MAX || cookie < ZUFS_COOKIE_FIRST ||
	    cookie > ZUFS_COOKIE_MAX)
		return -EINVAL;
	bytes = plus ? ZUFS_DIRENTPLUS_BYTES(name->bytes) : ZUFS_DIRENT_BYTES(name->bytes);
	if (bytes > req->reply_max - req->payload_bytes)
		return -ENOSPC;
	memset(at + bytes - 8, 0, 8);	/* padding, before the name */
	*entry = plus ? (struct zufs_entry *)(void *)at : NULL;
	*dirent = (struct zufs_dirent *)(void *)(at + (plus ? sizeof(**entry) : 0));
	(*dirent)->cookie = cookie;
	(*dirent)->name_bytes = name->bytes;
	memcpy(*dirent + 1, name->str, name->bytes);
	req->payload_bytes += bytes;
	req->count++;
	return 0;
}

int zus_req_dirent(struct zus_req *req, uint64_t ino, uint64_t cookie, uint32_t type,
		   const struct zus_name *name)
{
	struct zufs_dirent *dirent;
	struct zufs_entry *entry;
	int err = add(req, cookie, name, &entry, &dirent);

	if (err)
		return err;
	dirent->ino = ino;
	dirent->type = type;
	if (entry)
		memset(entry, 0, sizeof(*entry));
	return 0;
}

int zus_req_direntplus(struct zus_req *req, uint64_t cookie, const struct zus_name *name,
		       const struct zus_entry *plus)
{
	struct zufs_dirent *dirent;
	struct zufs_entry *entry = NULL;
	int err = add(req, cookie, name, &entry, &dirent);

	if (!err) {
		dirent->ino = plus->attr.ino;
		dirent->type = plus->attr.mode >> 12;
	}
	if (entry)
		zus_entry_put(entry, plus);
	else
		zus_inode_forget(plus->inode, 1);
	return err;
}

/* The callback failed: the kernel gets none of the references. */
static void undo(struct zus_req *req)
{
	uint32_t off = 0;

	while (zus_req_readdir_plus(req) && off < req->payload_bytes) {
		struct zufs_direntplus *de = (void *)(req->payload + off);
		struct zus_inode *inode = zus_inode_use(req->mount->inodes, de->entry.handle);

		if (inode) {
			zus_inode_forget(inode, 1);
			zus_inode_unuse(inode);
		}
		off += ZUFS_DIRENTPLUS_BYTES(de->dirent.name_bytes);
	}
}

int zus_serve_readdir(struct zus_req *req)
{
	const struct zus_inode_ops *ops = &req->worker->server->inode_ops;
	const struct zufs_readdir_in *in = &req->in.readdir;
	struct zufs_readdir_out *out = zus_req_out(req);
	struct zus_inode *dir;
	int eof = 0;
	int ret;

	if (!ops->readdir)
		return -EOPNOTSUPP;
	if (in->flags & ~ZUFS_READDIR_PLUS)
		return -EOPNOTSUPP;
	ret = zus_req_inode(req, in->dir, &dir);
	if (ret)
		return ret;
	ret = ops->readdir(req, dir, in->fh, in->cookie, &eof);
	if (ret) {
		undo(req);
		return ret;
	}
	out->count = req->count;
	out->eof = eof != 0;
	return 0;
}
