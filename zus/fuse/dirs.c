// SPDX-License-Identifier: BSD-3-Clause
/*
 * dirs.c - READDIR, with attributes or without. Positions are the plugin's cookies; those
 * of "." and "..", which FUSE wants from us, are 1 and 2.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ops.h"

#define COOKIE_DOT	1
#define COOKIE_DOTDOT	2

/* A reply that is filled. */
struct fill {
	struct zf_call *call;
	fuse_ino_t dir;
	char *buf;
	size_t size;
	size_t used;
	bool plus;
	fuse_ino_t *ids;		/* with plus: of whom a reference goes with it */
	size_t num_ids;
};

/* With attributes an entry takes no fewer. */
#define PLUS_BYTES_MIN	152u

/* 1: no room. */
static int add(struct fill *fill, const char *name, struct fuse_entry_param *param, off_t cookie)
{
	char *at = fill->buf + fill->used;
	size_t left = fill->size - fill->used, bytes;

	if (fill->plus)
		bytes = fuse_add_direntry_plus(fill->call->req, at, left, name, param, cookie);
	else
		bytes = fuse_add_direntry(fill->call->req, at, left, name, &param->attr, cookie);
	if (bytes > left)
		return 1;
	fill->used += bytes;
	return 0;
}

static void add_dots(struct fill *fill, uint64_t dir, uint64_t cookie)
{
	struct fuse_entry_param param = { .ino = 0, .attr.st_mode = S_IFDIR };
	struct zus_local_entry parent;
	struct zus_attr attr = { .ino = 0 };

	if (cookie >= COOKIE_DOTDOT || zus_handle_getattr(fill->call->local, dir, &attr))
		return;
	param.attr.st_ino = attr.ino;
	if (cookie < COOKIE_DOT && add(fill, ".", &param, COOKIE_DOT))
		return;
	/* of the root it is that itself; of others the plugin may know */
	if (dir != fill->call->fuse->info.root.handle && zf_has(fill->call->fuse, ZUS_MF_EXPORT) &&
	    !zus_handle_parent(fill->call->local, dir, &parent)) {
		param.attr.st_ino = parent.attr.ino;
		zus_local_forget(fill->call->local, parent.handle, 1);
	}
	add(fill, "..", &param, COOKIE_DOTDOT);
}

static int add_dirent(void *arg, const struct zus_local_dirent *dirent)
{
	struct fill *fill = arg;
	struct fuse_entry_param param = {
		.attr.st_ino = dirent->ino, .attr.st_mode = dirent->type << 12,
	};
	char name[ZUFS_NAME_MAX + 1];
	size_t used = fill->used;
	fuse_ino_t id;

	memcpy(name, dirent->name.str, dirent->name.bytes);
	name[dirent->name.bytes] = 0;
	if (!dirent->entry.handle)
		return add(fill, name, &param, (off_t)dirent->cookie);
	/* the number of the node does not count for the room that is needed */
	if (add(fill, name, &param, (off_t)dirent->cookie))
		return 1;
	fill->used = used;
	if (!zf_node_add(fill->call->fuse, &dirent->entry, fill->dir, name, &id)) {
		zf_entry_param(fill->call->fuse, &dirent->entry, id, &param);
		fill->ids[fill->num_ids++] = id;
	}
	return add(fill, name, &param, (off_t)dirent->cookie);
}

/* Until nothing more fits, or there is nothing more. */
static int fill_up(struct fill *fill, struct zf_file *dir, off_t off)
{
	uint64_t cookie = (uint64_t)off > COOKIE_DOTDOT ? (uint64_t)off : 0;
	size_t left;
	int ret;

	add_dots(fill, dir->handle, (uint64_t)off);
	left = fill->size - fill->used;
	/* what fits into so much of the plugin's answer fits into this one */
	ret = zus_local_each_dirent(dir->file, cookie, fill->plus ? ZUS_LOCAL_PLUS : 0,
				    left < ZUFS_PAYLOAD_MAX_BYTES ? (uint32_t)left : 0, add_dirent,
				    fill);
	return fill->used ? 0 : ret < 0 ? ret : 0;
}

/* The caller gave up, and the kernel took nothing. */
static void take_back(struct zus_fuse *fuse, const struct fill *fill)
{
	size_t i;

	for (i = 0; i < fill->num_ids; i++)
		zf_node_forget(fuse, fill->ids[i], 1);
}

static void read_entries(fuse_req_t req, size_t size, off_t off, struct fuse_file_info *fi,
		    fuse_ino_t ino, bool plus)
{
	struct zf_call call;
	struct fill fill = {
		.call = &call, .dir = ino, .buf = malloc(size), .size = size, .plus = plus,
		.ids = plus ? calloc(size / PLUS_BYTES_MIN + 1, sizeof(fuse_ino_t)) : NULL,
	};
	int err;

	zf_begin(&call, req);
	err = fill.buf && (fill.ids || !plus) ? fill_up(&fill, zf_file(fi), off) : -ENOMEM;
	if (!err && !off)
		zf_accessed(&call, zf_file(fi)->handle, fi->flags);
	if (err) {
		zf_done(&call, err);
	} else {
		zf_end(&call);
		if (fuse_reply_buf(req, fill.buf, fill.used) == -ENOENT)
			take_back(call.fuse, &fill);
	}
	free(fill.ids);
	free(fill.buf);
}

void zf_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi)
{
	read_entries(req, size, off, fi, ino, false);
}

void zf_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	read_entries(req, size, off, fi, ino, true);
}
