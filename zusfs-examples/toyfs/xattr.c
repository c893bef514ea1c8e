// SPDX-License-Identifier: BSD-3-Clause
/* xattr.c - extended attributes: a list for each inode, in memory like the names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "toyfs.h"

/* Of an inode, all of them: each is memory of the server, which any user can fill. */
#define XATTRS_MAX_BYTES	(1u << 20)

struct toy_xattr {
	struct toy_xattr *next;
	uint32_t name_bytes, value_bytes;
	char bytes[];			/* the name, then the value */
};

/* The link to the one of that name, or to the end; ti->lock is held. */
static struct toy_xattr **find(struct toy_inode *ti, const struct zus_name *name)
{
	struct toy_xattr **link = &ti->xattrs;

	while (*link && ((*link)->name_bytes != name->bytes ||
			 memcmp((*link)->bytes, name->str, name->bytes) != 0))
		link = &(*link)->next;
	return link;
}

static size_t memory_of(const struct toy_xattr *x)
{
	return x ? sizeof(*x) + x->name_bytes + x->value_bytes : 0;
}

/* There is room for new in the place of old. ti->lock is held. */
static bool room(const struct toy_inode *ti, const struct toy_xattr *new,
		 const struct toy_xattr *old)
{
	size_t bytes = memory_of(new);
	const struct toy_xattr *x;

	if (bytes <= memory_of(old))
		return true;
	for (x = ti->xattrs; x; x = x->next)
		bytes += x == old ? 0 : memory_of(x);
	return bytes <= XATTRS_MAX_BYTES;
}

static struct toy_xattr *make(const struct zus_xattr *from)
{
	struct toy_xattr *x = malloc(sizeof(*x) + from->name.bytes + from->value_bytes);

	if (!x)
		return NULL;
	x->next = NULL;
	x->name_bytes = from->name.bytes;
	x->value_bytes = from->value_bytes;
	memcpy(x->bytes, from->name.str, x->name_bytes);
	memcpy(x->bytes + x->name_bytes, from->value, x->value_bytes);
	return x;
}

int toy_getxattr(struct zus_req *req, struct zus_inode *inode, const struct zus_name *name)
{
	struct toy_inode *ti = toy(inode);
	struct toy_xattr *x;
	int err = -ENODATA;

	pthread_mutex_lock(&ti->lock);
	x = *find(ti, name);
	if (x)
		err = zus_req_xattr_value(req, x->bytes + x->name_bytes, x->value_bytes);
	pthread_mutex_unlock(&ti->lock);
	return err;
}

int toy_setxattr(struct zus_req *req, struct zus_inode *inode,
		 const struct zus_setxattr *args, struct zus_attr *out)
{
	struct toy_inode *ti = toy(inode);
	bool remove = args->flags & ZUS_XATTR_REMOVE;
	struct toy_xattr *new = remove ? NULL : make(&args->xattr), *old, **link;
	int err = 0;

	if (!remove && !new)
		return -ENOMEM;
	pthread_mutex_lock(&ti->lock);
	link = find(ti, &args->xattr.name);
	old = *link;
	if (!old && args->flags & ZUS_XATTR_REPLACE)
		err = -ENODATA;
	else if (old && args->flags & ZUS_XATTR_CREATE)
		err = -EEXIST;
	else if (!room(ti, new, old))
		err = -ENOSPC;
	if (!err) {
		if (new)
			new->next = old ? old->next : NULL;
		*link = new || !old ? new : old->next;
		if (args->flags & ZUS_XATTR_MODE)
			ti->attr.mode = (ti->attr.mode & S_IFMT) | (args->mode & 07777);
		ti->attr.ctime = args->now;
		ti->attr.change++;
	}
	pthread_mutex_unlock(&ti->lock);
	free(err ? new : old);
	toy_get_attr(ti, out);
	return err;
}

int toy_listxattr(struct zus_req *req, struct zus_inode *inode)
{
	struct toy_inode *ti = toy(inode);
	struct toy_xattr *x;
	int err = 0;

	pthread_mutex_lock(&ti->lock);
	for (x = ti->xattrs; x && !err; x = x->next) {
		struct zus_name name = { x->bytes, x->name_bytes };

		err = zus_req_xattr_name(req, &name);
	}
	pthread_mutex_unlock(&ti->lock);
	return err;
}

int toy_xattrs_init(struct toy_inode *ti, const struct zus_create *args)
{
	struct toy_xattr **link = &ti->xattrs;
	uint32_t i;

	for (i = 0; i < args->num_xattrs; i++) {
		*link = make(&args->xattrs[i]);
		if (!*link)
			return -ENOMEM;
		link = &(*link)->next;
	}
	return 0;
}

void toy_xattrs_free(struct toy_inode *ti)
{
	struct toy_xattr *x;

	while ((x = ti->xattrs)) {
		ti->xattrs = x->next;
		free(x);
	}
}
