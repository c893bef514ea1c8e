// SPDX-License-Identifier: BSD-3-Clause
/* ops_xattr.c - GETXATTR, SETXATTR, LISTXATTR, and the xattrs of a new inode. */
#include <errno.h>
#include <string.h>

#include "internal.h"

static const struct zus_inode_ops *inode_ops(const struct zus_req *req)
{
	return &req->worker->server->inode_ops;
}

/* Unlike a file's name it may have any byte but NUL. */
static int take_name(const char *str, uint32_t bytes, struct zus_name *name)
{
	if (!bytes || bytes > ZUFS_XATTR_NAME_MAX || memchr(str, 0, bytes))
		return -EPROTO;
	name->str = str;
	name->bytes = bytes;
	return 0;
}

int zus_serve_getxattr(struct zus_req *req)
{
	const struct zufs_getxattr_in *in = &req->in.getxattr;
	struct zus_inode *inode;
	struct zus_name name;
	int ret;

	if (!inode_ops(req)->getxattr)
		return -EOPNOTSUPP;
	ret = take_name(in->name, in->name_bytes, &name);
	if (!ret)
		ret = zus_req_inode(req, in->inode, &inode);
	if (ret)
		return ret;
	if (req->reply_max > in->max_bytes)
		req->reply_max = in->max_bytes;
	return inode_ops(req)->getxattr(req, inode, &name);
}

int zus_req_xattr_value(struct zus_req *req, const void *value, uint32_t bytes)
{
	struct zufs_getxattr_out *out = zus_req_out(req);

	if (req->hdr.op != ZUFS_OP_GETXATTR)
		return -EINVAL;
	out->value_bytes = bytes;
	if (!req->in.getxattr.max_bytes)
		return 0;		/* its size is all that is wanted */
	if (bytes > req->reply_max)
		return -ERANGE;
	memcpy(req->payload, value, bytes);
	req->payload_bytes = bytes;
	return 0;
}

int zus_serve_setxattr(struct zus_req *req)
{
	const struct zufs_setxattr_in *in = &req->in.setxattr;
	struct zus_setxattr args = {
		.xattr = { .value = req->payload_in, .value_bytes = in->value_bytes },
		.flags = in->flags,
		.mode = in->mode,
	};
	struct zus_attr attr = { .ino = 0 };
	struct zus_inode *inode;
	int ret;

	if (in->flags & ~ZUFS_XATTR_ALL)
		return -EOPNOTSUPP;
	if (in->value_bytes > req->hdr.payload_bytes ||
	    (in->flags & ZUFS_XATTR_REMOVE && in->value_bytes))
		return -EPROTO;
	if (!inode_ops(req)->setxattr)
		return -EOPNOTSUPP;
	ret = zus_time_get(&in->now, &args.now);
	if (!ret)
		ret = take_name(in->name, in->name_bytes, &args.xattr.name);
	if (!ret)
		ret = zus_req_inode(req, in->inode, &inode);
	if (ret)
		return ret;
	ret = inode_ops(req)->setxattr(req, inode, &args, &attr);
	if (!ret)
		zus_attr_put(zus_req_out(req), &attr);
	return ret;
}

int zus_serve_listxattr(struct zus_req *req)
{
	struct zus_inode *inode;
	int ret;

	if (!inode_ops(req)->listxattr)
		return -EOPNOTSUPP;
	ret = zus_req_inode(req, req->in.listxattr.inode, &inode);
	if (ret)
		return ret;
	return inode_ops(req)->listxattr(req, inode);
}

int zus_req_xattr_name(struct zus_req *req, const struct zus_name *name)
{
	char *to = req->payload + req->payload_bytes;

	if (req->hdr.op != ZUFS_OP_LISTXATTR || !name->bytes ||
	    name->bytes > ZUFS_XATTR_NAME_MAX)
		return -EINVAL;
	if (name->bytes >= req->reply_max - req->payload_bytes)
		return -ERANGE;
	memcpy(to, name->str, name->bytes);
	to[name->bytes] = 0;
	req->payload_bytes += name->bytes + 1;
	return 0;
}

int zus_req_xattrs(struct zus_req *req, uint32_t off, uint32_t bytes, uint32_t *count)
{
	const char *at = req->payload_in + off;
	uint32_t whole;
	int err;

	*count = 0;
	if (off > req->hdr.payload_bytes || bytes > req->hdr.payload_bytes - off)
		return -EPROTO;
	for (; bytes; at += whole, bytes -= whole, ++*count) {
		struct zus_xattr *xattr = &req->xattrs[*count];
		struct zufs_xattr head;

		if (*count == ZUFS_CREATE_XATTRS_MAX || bytes < sizeof(head))
			return -EPROTO;
		memcpy(&head, at, sizeof(head));
		if (head.value_bytes > bytes || head.name_bytes > ZUFS_XATTR_NAME_MAX)
			return -EPROTO;
		whole = ZUFS_XATTR_BYTES(head.name_bytes, head.value_bytes);
		if (whole > bytes)
			return -EPROTO;
		err = take_name(at + sizeof(head), head.name_bytes, &xattr->name);
		if (err)
			return err;
		xattr->value = at + sizeof(head) + head.name_bytes;
		xattr->value_bytes = head.value_bytes;
	}
	return 0;
}
