// SPDX-License-Identifier: BSD-3-Clause
/*
 * dispatch.c - the server core: from the bytes of a request to a callback and
 * back. One table says for each operation its name, the sizes of its fixed parts
 * and who serves it.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

static int serve_nop(struct zus_req *req)
{
	struct zufs_nop *out = zus_req_out(req);

	out->cookie = req->in.nop.cookie;
	return 0;
}

/* These come only inside a BATCH. */
static int serve_forced(struct zus_req *req)
{
	(void)req;
	return -EPROTO;
}

#define IN(s)	.in_bytes = sizeof(struct s)
#define OUT(s)	.out_bytes = sizeof(struct s)

const struct zus_op zus_ops[ZUFS_OP_COUNT] = {
	[ZUFS_OP_NOP] = { "nop", IN(zufs_nop), OUT(zufs_nop), true, serve_nop },
	[ZUFS_OP_MOUNT] = { "mount", IN(zufs_mount_in), OUT(zufs_mount_out), true,
			    zus_serve_mount },
	[ZUFS_OP_UMOUNT] = { "umount", .serve = zus_serve_umount },
	[ZUFS_OP_REMOUNT] = { "remount", IN(zufs_remount_in),
			      .serve = zus_serve_remount },
	[ZUFS_OP_STATFS] = { "statfs", OUT(zufs_statfs_out),
			     .serve = zus_serve_statfs },
	[ZUFS_OP_SYNCFS] = { "syncfs", IN(zufs_syncfs_in), .serve = zus_serve_syncfs },
	[ZUFS_OP_FREEZE] = { "freeze", IN(zufs_freeze_in), .serve = zus_serve_freeze },
	[ZUFS_OP_LOOKUP] = { "lookup", IN(zufs_lookup_in), OUT(zufs_entry),
			     .serve = zus_serve_lookup },
	[ZUFS_OP_GETATTR] = { "getattr", IN(zufs_getattr_in), OUT(zufs_attr),
			      .serve = zus_serve_getattr },
	[ZUFS_OP_SETATTR] = { "setattr", IN(zufs_setattr_in), OUT(zufs_attr),
			      .serve = zus_serve_setattr },
	[ZUFS_OP_CREATE] = { "create", IN(zufs_create_in), OUT(zufs_create_out),
			     .serve = zus_serve_create },
	[ZUFS_OP_CREATE_OPEN] = { "create_open", IN(zufs_create_open_in),
				  OUT(zufs_create_open_out), .serve = zus_serve_create_open },
	[ZUFS_OP_MKDIR] = { "mkdir", IN(zufs_create_in), OUT(zufs_create_out),
			    .serve = zus_serve_create },
	[ZUFS_OP_MKNOD] = { "mknod", IN(zufs_create_in), OUT(zufs_create_out),
			    .serve = zus_serve_create },
	[ZUFS_OP_SYMLINK] = { "symlink", IN(zufs_create_in), OUT(zufs_create_out),
			      .serve = zus_serve_create },
	[ZUFS_OP_LINK] = { "link", IN(zufs_link_in), OUT(zufs_link_out),
			   .serve = zus_serve_link },
	[ZUFS_OP_UNLINK] = { "unlink", IN(zufs_unlink_in), OUT(zufs_link_out),
			     .serve = zus_serve_unlink },
	[ZUFS_OP_RMDIR] = { "rmdir", IN(zufs_unlink_in), OUT(zufs_link_out),
			    .serve = zus_serve_unlink },
	[ZUFS_OP_RENAME] = { "rename", IN(zufs_rename_in), OUT(zufs_rename_out),
			     .serve = zus_serve_rename },
	[ZUFS_OP_READDIR] = { "readdir", IN(zufs_readdir_in), OUT(zufs_readdir_out),
			      .serve = zus_serve_readdir },
	[ZUFS_OP_READLINK] = { "readlink", IN(zufs_readlink_in),
			       .serve = zus_serve_readlink },
	[ZUFS_OP_OPEN] = { "open", IN(zufs_open_in), OUT(zufs_open_out),
			   .serve = zus_serve_open },
	[ZUFS_OP_RELEASE] = { "release", .no_mount = true, .serve = serve_forced },
	[ZUFS_OP_MAP] = { "map", IN(zufs_map_in), OUT(zufs_map_out),
			  .serve = zus_serve_map },
	[ZUFS_OP_MAP_DONE] = { "map_done", IN(zufs_map_done_in), OUT(zufs_attr),
			       .serve = zus_serve_map_done },
	[ZUFS_OP_WRITE] = { "write", IN(zufs_write_in), OUT(zufs_write_out),
			    .serve = zus_serve_write },
	[ZUFS_OP_FSYNC] = { "fsync", IN(zufs_fsync_in), .serve = zus_serve_fsync },
	[ZUFS_OP_BATCH] = { "batch", IN(zufs_batch_in), .no_mount = true,
			    .serve = zus_serve_batch },
	[ZUFS_OP_FORGET] = { "forget", .no_mount = true, .serve = serve_forced },
	[ZUFS_OP_INTERRUPT] = { "interrupt", .no_mount = true, .serve = serve_forced },
	[ZUFS_OP_IOCTL] = { "ioctl", IN(zufs_ioctl_in), OUT(zufs_ioctl_out),
			    .serve = zus_serve_ioctl },
	[ZUFS_OP_IGET] = { "iget", IN(zufs_iget_in), OUT(zufs_entry), .serve = zus_serve_iget },
	[ZUFS_OP_PARENT] = { "parent", IN(zufs_parent_in), OUT(zufs_entry),
			     .serve = zus_serve_parent },
	[ZUFS_OP_COPY] = { "copy", IN(zufs_copy_in), OUT(zufs_copy_out),
			   .serve = zus_serve_copy },
	[ZUFS_OP_LOCK] = { "lock", IN(zufs_lock_in), OUT(zufs_lock_out),
			   .serve = zus_serve_lock },
	[ZUFS_OP_FALLOCATE] = { "fallocate", IN(zufs_fallocate_in), OUT(zufs_attr),
				.serve = zus_serve_fallocate },
	[ZUFS_OP_TMPFILE] = { "tmpfile", IN(zufs_create_in), OUT(zufs_entry),
			      .serve = zus_serve_tmpfile },
	[ZUFS_OP_GETXATTR] = { "getxattr", IN(zufs_getxattr_in), OUT(zufs_getxattr_out),
			       .serve = zus_serve_getxattr },
	[ZUFS_OP_SETXATTR] = { "setxattr", IN(zufs_setxattr_in), OUT(zufs_attr),
			       .serve = zus_serve_setxattr },
	[ZUFS_OP_LISTXATTR] = { "listxattr", IN(zufs_listxattr_in),
				.serve = zus_serve_listxattr },
};

static const struct zus_op *find_op(uint16_t op)
{
	if (op >= ZUFS_OP_COUNT || !zus_ops[op].serve)
		return NULL;
	return &zus_ops[op];
}

/* Copies the header and the fixed part out of the region and bounds them. */
static int take_request(struct zus_worker *worker, const struct zus_op **op)
{
	struct zus_req *req = &worker->req;
	const struct zufs_req_hdr *region = worker->request_region;
	uint32_t bytes;

	memcpy(&req->hdr, region, sizeof(req->hdr));
	req->region = region;
	req->payload_in = (const char *)region + ZUFS_PAYLOAD_OFF;
	req->mount = NULL;
	req->used_count = 0;
	req->payload_bytes = 0;
	req->count = 0;
	req->max_extents = 0;
	req->inlined = false;
	req->reply_max = req->hdr.reply_max_bytes;
	if (req->reply_max > ZUFS_PAYLOAD_MAX_BYTES)
		req->reply_max = ZUFS_PAYLOAD_MAX_BYTES;

	*op = find_op(req->hdr.op);
	if (!*op)
		return -EOPNOTSUPP;
	if (req->hdr.payload_bytes > ZUFS_PAYLOAD_MAX_BYTES ||
	    req->hdr.fixed_bytes > ZUFS_PAYLOAD_OFF - ZUFS_FIXED_OFF)
		return -EPROTO;

	bytes = req->hdr.fixed_bytes;
	if (bytes >= (*op)->in_bytes) {		/* an unknown tail is ignored */
		bytes = (*op)->in_bytes;
	} else {				/* a missing tail reads as zero */
		memset((char *)&req->in + bytes, 0, (*op)->in_bytes - bytes);
	}
	memcpy(&req->in, (const char *)region + ZUFS_FIXED_OFF, bytes);
	return 0;
}

static int serve(struct zus_worker *worker, const struct zus_op *op)
{
	struct zus_req *req = &worker->req;
	struct zus_mount_entry *entry;
	int ret;

	memset(zus_req_out(req), 0, op->out_bytes);
	if (op->no_mount)
		return op->serve(req);
	entry = zus_mount_hold(worker, req->hdr.mount);
	if (!entry)
		return -ENODEV;
	req->mount = &entry->pub;
	ret = op->serve(req);
	while (req->used_count)
		zus_inode_unuse(req->used[--req->used_count]);
	zus_mount_drop(worker);
	return ret;
}

static void put_reply(struct zus_worker *worker, const struct zus_op *op, int ret)
{
	struct zus_req *req = &worker->req;
	struct zufs_reply_hdr *reply = worker->reply_region;

	if (ret < ZUFS_ERR_MIN || ret > ZUS_BUSY_RETRY) {
		zus_log(ZUS_LOG_ERR, "%s: the plugin answered %d, which is no errno; the caller gets EIO",
			op ? op->name : "?", ret);
		ret = -EIO;
	}
	reply->fixed_bytes = ret ? 0 : op->out_bytes;
	reply->err = ret < 0 ? ret : 0;
	reply->id = req->hdr.id;
	reply->flags = ret == ZUS_BUSY_RETRY ? ZUFS_REPLY_BUSY_RETRY : 0;
	reply->payload_bytes = ret ? 0 : req->payload_bytes;
	reply->reserved = 0;
}

static void count(struct zus_worker *worker, uint16_t op, int ret, uint64_t start_ns)
{
	struct zus_op_stats *stats = &worker->stats->op[op < ZUFS_OP_COUNT ? op : 0];

	/* One writer; readers in zusctl take whole words. */
	__atomic_store_n(&stats->count, stats->count + 1, __ATOMIC_RELAXED);
	if (ret < 0)
		__atomic_store_n(&stats->errors, stats->errors + 1, __ATOMIC_RELAXED);
	if (start_ns) {
		__atomic_store_n(&stats->sampled_ns,
				 stats->sampled_ns + zus_now_ns() - start_ns,
				 __ATOMIC_RELAXED);
		__atomic_store_n(&stats->sampled, stats->sampled + 1,
				 __ATOMIC_RELAXED);
	}
}

void zus_dispatch(struct zus_worker *worker)
{
	struct zus_req *req = &worker->req;
	const struct zus_op *op;
	uint64_t start_ns = 0;
	int ret;

	req->worker = worker;
	req->reply = worker->reply_region;
	req->payload = req->reply + ZUFS_PAYLOAD_OFF;
	ret = take_request(worker, &op);
	if (!ret) {
		if (worker->stats->op[req->hdr.op].count % ZUS_STATS_SAMPLE == 0)
			start_ns = zus_now_ns();
		ret = serve(worker, op);
	}
	put_reply(worker, op, ret);
	count(worker, req->hdr.op, ret, start_ns);
}
