// SPDX-License-Identifier: BSD-3-Clause
/* ops_file.c - OPEN, MAP, MAP_DONE, WRITE, FSYNC, LOCK and the forced messages. */
#include <errno.h>
#include <string.h>

#include "internal.h"

static const struct zus_file_ops *file_ops(const struct zus_req *req)
{
	return &req->worker->server->file_ops;
}

/* Nothing of a file lies at or behind 2^63. */
static bool bad_range(uint64_t off, uint64_t len)
{
	return off > INT64_MAX || len > (uint64_t)INT64_MAX - off;
}

int zus_serve_open(struct zus_req *req)
{
	struct zufs_open_out *out = zus_req_out(req);
	struct zus_inode *inode;
	uint64_t fh = 0;
	int ret;

	ret = zus_req_inode(req, req->in.open.inode, &inode);
	if (ret)
		return ret;
	if (file_ops(req)->open)
		ret = file_ops(req)->open(req, inode, req->in.open.flags, &fh);
	out->fh = fh;
	return ret;
}

#define ZUS_REPORT_MINOR	3	/* of the plugin ABI, that brought ZUS_MAP_REPORT */

/* Leases that nobody could take back are none. */
static void drop_leases(struct zus_req *req)
{
	struct zufs_extent *ext = (struct zufs_extent *)(void *)req->payload;
	uint32_t i;

	if (req->mount->features & ZUS_MF_LEASES)
		return;
	for (i = 0; i < req->count; i++)
		ext[i].flags &= (uint16_t)~(ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W |
					    ZUFS_EXTF_IMMUTABLE);
}

int zus_serve_map(struct zus_req *req)
{
	const struct zufs_map_in *in = &req->in.map;
	struct zufs_map_out *out = zus_req_out(req);
	struct zus_map args = {
		.fh = in->fh,
		.off = in->off,
		.len_bytes = in->len_bytes,
		.size_bytes = in->size_bytes,
		.flags = in->flags,
		.write_id = in->write_id,
	};
	struct zus_inode *inode;
	uint32_t room;
	uint64_t seq;
	int ret;

	if (!in->len_bytes || bad_range(in->off, in->len_bytes) || !in->max_extents)
		return -EPROTO;
	if (!file_ops(req)->map)
		return -EIO;
	ret = zus_req_inode(req, in->inode, &inode);
	if (ret)
		return ret;
	if (req->worker->server->plugin.abi_minor < ZUS_REPORT_MINOR)
		args.flags &= ~ZUS_MAP_REPORT;
	if (args.len_bytes > ZUFS_MAP_MAX_BYTES && !(args.flags & ZUS_MAP_REPORT))
		args.len_bytes = ZUFS_MAP_MAX_BYTES;	/* answers may end early */
	room = req->reply_max / (uint32_t)sizeof(struct zufs_extent);
	req->max_extents = in->max_extents < ZUFS_EXTENTS_MAX ? in->max_extents :
							       ZUFS_EXTENTS_MAX;
	if (req->max_extents > room)
		req->max_extents = room;
	args.max_extents = req->max_extents;
	/* before the plugin looks at its map: a recall or epoch that comes later counts */
	args.epoch = zus_load(&zus_mount_entry(req->mount)->epoch);
	seq = __atomic_add_fetch(&inode->lease_seq, 1, __ATOMIC_SEQ_CST);
	ret = file_ops(req)->map(req, inode, &args);
	if (ret)
		return ret;
	drop_leases(req);
	out->lease_seq = seq;
	out->epoch = args.epoch;
	out->count = req->count;
	return 0;
}

int zus_serve_map_done(struct zus_req *req)
{
	const struct zufs_map_done_in *in = &req->in.map_done;
	struct zus_attr attr = { .ino = 0 };
	struct zus_map_done args = {
		.fh = in->fh,
		.map_id = in->map_id,
		.off = in->off,
		.written_bytes = in->written_bytes,
		.size_bytes = in->size_bytes,
		.flags = in->flags,
		.write_id = in->write_id,
	};
	struct zus_inode *inode;
	int ret;

	if (bad_range(in->off, in->written_bytes) || in->size_bytes > INT64_MAX)
		return -EPROTO;
	ret = zus_time_get(&in->mtime, &args.mtime);
	if (ret)
		return ret;
	if (!file_ops(req)->map_done)
		return -EOPNOTSUPP;
	ret = zus_req_inode(req, in->inode, &inode);
	if (ret)
		return ret;
	ret = file_ops(req)->map_done(req, inode, &args, &attr);
	if (!ret)
		zus_attr_put(zus_req_out(req), &attr);
	return ret;
}

int zus_serve_write(struct zus_req *req)
{
	const struct zufs_write_in *in = &req->in.write;
	struct zufs_write_out *out = zus_req_out(req);
	struct zus_attr attr = { .ino = 0 };
	struct zus_write args = {
		.fh = in->fh,
		.off = in->off,
		.size_bytes = in->size_bytes,
		.data = req->payload_in,
		.len_bytes = in->len_bytes,
	};
	struct zus_inode *inode;
	uint64_t written = 0;
	int ret;

	if (!in->len_bytes || in->len_bytes > req->hdr.payload_bytes ||
	    bad_range(in->off, in->len_bytes))
		return -EPROTO;
	ret = zus_time_get(&in->mtime, &args.mtime);
	if (ret)
		return ret;
	if (!file_ops(req)->write)
		return -EOPNOTSUPP;
	ret = zus_req_inode(req, in->inode, &inode);
	if (ret)
		return ret;
	ret = file_ops(req)->write(req, inode, &args, &written, &attr);
	if (ret)
		return ret;
	out->written_bytes = written;
	zus_attr_put(&out->attr, &attr);
	return 0;
}

int zus_serve_fsync(struct zus_req *req)
{
	const struct zufs_fsync_in *in = &req->in.fsync;
	struct zus_fsync args = {
		.fh = in->fh,
		.off = in->off,
		.len_bytes = in->len_bytes,
		.datasync = in->datasync != 0,
	};
	struct zus_inode *inode;
	int ret;

	if (bad_range(in->off, in->len_bytes))
		return -EPROTO;
	if (!file_ops(req)->fsync)
		return -EOPNOTSUPP;
	ret = zus_req_inode(req, in->inode, &inode);
	if (ret)
		return ret;
	return file_ops(req)->fsync(req, inode, &args);
}

int zus_serve_fallocate(struct zus_req *req)
{
	const struct zufs_fallocate_in *in = &req->in.fallocate;
	struct zus_attr attr = { .ino = 0 };
	struct zus_fallocate args = {
		.fh = in->fh,
		.off = in->off,
		.len_bytes = in->len_bytes,
		.size_bytes = in->size_bytes,
		.mode = in->mode,
	};
	struct zus_inode *inode;
	int ret;

	if (!in->len_bytes || bad_range(in->off, in->len_bytes) || in->size_bytes > INT64_MAX)
		return -EPROTO;
	ret = zus_time_get(&in->now, &args.now);
	if (ret)
		return ret;
	if (!file_ops(req)->fallocate)
		return -EOPNOTSUPP;
	ret = zus_req_inode(req, in->inode, &inode);
	if (ret)
		return ret;
	ret = file_ops(req)->fallocate(req, inode, &args, &attr);
	if (!ret)
		zus_attr_put(zus_req_out(req), &attr);
	return ret;
}

int zus_serve_copy(struct zus_req *req)
{
	const struct zufs_copy_in *in = &req->in.copy;
	struct zufs_copy_out *out = zus_req_out(req);
	struct zus_attr attr = { .ino = 0 };
	struct zus_copy args = {
		.to_fh = in->to_fh,
		.from_fh = in->from_fh,
		.to_off = in->to_off,
		.from_off = in->from_off,
		.len_bytes = in->len_bytes,
		.flags = in->flags,
	};
	struct zus_inode *to, *from;
	uint64_t copied_bytes = 0;
	int ret;

	if (!in->len_bytes || bad_range(in->to_off, in->len_bytes) ||
	    bad_range(in->from_off, in->len_bytes))
		return -EPROTO;
	if (in->flags && ((in->flags != ZUFS_COPY_CLONE && in->flags != ZUFS_COPY_DEDUPE) ||
			  in->to_off % ZUFS_BLOCK_BYTES || in->from_off % ZUFS_BLOCK_BYTES))
		return -EPROTO;
	ret = zus_time_get(&in->now, &args.now);
	if (ret)
		return ret;
	if (!file_ops(req)->copy)
		return -EOPNOTSUPP;
	ret = zus_req_inode(req, in->to, &to);
	if (!ret)
		ret = zus_req_inode(req, in->from, &from);
	if (ret)
		return ret;
	ret = file_ops(req)->copy(req, to, from, &args, &copied_bytes, &attr);
	if (ret)
		return ret;
	out->copied_bytes = copied_bytes;
	zus_attr_put(&out->attr, &attr);
	return 0;
}

static bool bad_lock(const struct zufs_lock_in *in)
{
	uint32_t kind = in->flags & ~ZUFS_LOCK_WAIT;

	if (in->start > in->end || in->end > ZUFS_LOCK_END || in->type > ZUFS_LOCK_WRLCK)
		return true;
	if (kind != ZUFS_LOCK_POSIX && kind != ZUFS_LOCK_OFD && kind != ZUFS_LOCK_FLOCK)
		return true;
	if (in->cmd == ZUFS_LOCK_GET)
		return in->type == ZUFS_LOCK_UNLCK || kind == ZUFS_LOCK_FLOCK;
	return in->cmd != ZUFS_LOCK_SET;
}

int zus_serve_lock(struct zus_req *req)
{
	const struct zufs_lock_in *in = &req->in.lock;
	struct zufs_lock_out *out = zus_req_out(req);
	struct zus_lock_conflict conflict = { .type = ZUS_LOCK_UNLCK };
	struct zus_lock args = {
		.fh = in->fh,
		.owner = in->owner,
		.start = in->start,
		.end = in->end,
		.pid = in->pid,
		.type = in->type,
		.flags = in->flags,
		.get = in->cmd == ZUFS_LOCK_GET,
	};
	struct zus_inode *inode;
	int ret;

	if (bad_lock(in))
		return -EPROTO;
	if (!file_ops(req)->lock)
		return -EOPNOTSUPP;
	ret = zus_req_inode(req, in->inode, &inode);
	if (ret)
		return ret;
	ret = file_ops(req)->lock(req, inode, &args, &conflict);
	if (ret || !args.get || conflict.type == ZUS_LOCK_UNLCK)
		return ret;
	out->start = conflict.start;
	out->end = conflict.end;
	out->type = conflict.type;
	out->pid = conflict.pid;
	out->flags = conflict.flags;
	return 0;
}

int zus_serve_ioctl(struct zus_req *req)
{
	const struct zufs_ioctl_in *in = &req->in.ioctl;
	struct zufs_ioctl_out *out = zus_req_out(req);
	struct zus_ioctl args = {
		.fh = in->fh,
		.in = req->payload_in,
		.out = req->payload,
		.cmd = in->cmd,
		.in_bytes = in->in_bytes,
		.out_bytes = in->out_bytes,
		.flags = in->flags,
	};
	struct zus_inode *inode;
	int ret;

	if (in->in_bytes > req->hdr.payload_bytes || in->out_bytes > req->reply_max)
		return -EPROTO;
	if (!file_ops(req)->ioctl)
		return -ENOTTY;
	ret = zus_req_inode(req, in->inode, &inode);
	if (ret)
		return ret;
	memset(req->payload, 0, in->out_bytes);
	ret = file_ops(req)->ioctl(req, inode, &args, &out->result);
	req->payload_bytes = in->out_bytes;
	return ret;
}

/* ------------------------------------------------------------------- forced */

static int forced_forget(struct zus_req *req, struct zus_inode *inode,
			 const struct zufs_forced *msg)
{
	(void)req;
	return zus_inode_forget(inode, msg->arg);
}

static int forced_release(struct zus_req *req, struct zus_inode *inode,
			  const struct zufs_forced *msg)
{
	if (file_ops(req)->release)
		file_ops(req)->release(inode, msg->arg);
	return 0;
}

static int forced_map_done(struct zus_req *req, struct zus_inode *inode,
			   const struct zufs_forced *msg)
{
	struct zus_map_done args = {
		.map_id = msg->arg,
		.off = msg->off,
		.written_bytes = msg->written_bytes,
		.size_bytes = msg->size_bytes,
		.flags = ZUS_MAP_WRITE |
			 (msg->flags & ZUFS_FORCED_COMMITTED ? ZUS_MAP_COMMITTED : 0),
		.write_id = msg->flags & ZUFS_FORCED_WRITE_END ? msg->arg : 0,
	};
	uint64_t now_ns = zus_wall_ns();

	if (bad_range(msg->off, msg->written_bytes) || msg->size_bytes > INT64_MAX)
		return -EPROTO;
	if (!file_ops(req)->map_done)
		return -EOPNOTSUPP;
	args.mtime.sec = (int64_t)(now_ns / 1000000000u);
	args.mtime.nsec = (uint32_t)(now_ns % 1000000000u);
	return file_ops(req)->map_done(NULL, inode, &args, NULL);
}

static int forced_unlock(struct zus_req *req, struct zus_inode *inode,
			 const struct zufs_forced *msg)
{
	const struct zufs_lock_in in = {
		.start = msg->off, .end = msg->size_bytes, .cmd = ZUFS_LOCK_SET,
		.type = ZUFS_LOCK_UNLCK, .flags = msg->flags,
	};
	const struct zus_lock args = {
		.owner = msg->arg,
		.start = msg->off,
		.end = msg->size_bytes,
		.type = ZUS_LOCK_UNLCK,
		.flags = msg->flags,
	};
	struct zus_lock_conflict conflict;

	if (bad_lock(&in))
		return -EPROTO;
	if (!file_ops(req)->lock)
		return -EOPNOTSUPP;
	return file_ops(req)->lock(NULL, inode, &args, &conflict);
}

static int forced_interrupt(struct zus_req *req, struct zus_inode *inode,
			    const struct zufs_forced *msg)
{
	const struct zus_mount_ops *ops = &req->worker->server->mount_ops;

	(void)inode;
	if (ops->interrupt)
		ops->interrupt(req->mount, msg->arg);
	return 0;
}

static const struct {
	int (*serve)(struct zus_req *req, struct zus_inode *inode,
		     const struct zufs_forced *msg);
	bool no_inode;
} forced_ops[ZUFS_OP_COUNT] = {
	[ZUFS_OP_RELEASE] = { forced_release, false },
	[ZUFS_OP_MAP_DONE] = { forced_map_done, false },
	[ZUFS_OP_LOCK] = { forced_unlock, false },
	[ZUFS_OP_FORGET] = { forced_forget, false },
	[ZUFS_OP_INTERRUPT] = { forced_interrupt, true },
};

static int serve_forced_in_mount(struct zus_req *req, const struct zufs_forced *msg)
{
	struct zus_inode *inode = NULL;
	int ret;

	if (forced_ops[msg->op].no_inode)
		return forced_ops[msg->op].serve(req, NULL, msg);
	inode = zus_inode_use(req->mount->inodes, msg->inode);
	if (!inode)
		return -ESTALE;
	ret = forced_ops[msg->op].serve(req, inode, msg);
	zus_inode_unuse(inode);
	return ret;
}

static int serve_forced(struct zus_req *req, const struct zufs_forced *msg)
{
	struct zus_mount_entry *entry;
	int ret;

	if (msg->op >= ZUFS_OP_COUNT || !forced_ops[msg->op].serve)
		return -EOPNOTSUPP;
	entry = zus_mount_hold(req->worker, msg->mount);
	if (!entry)
		return -ENODEV;
	req->mount = &entry->pub;
	ret = serve_forced_in_mount(req, msg);
	req->mount = NULL;
	zus_mount_drop(req->worker);
	return ret;
}

/* Each message is served for itself: one that is wrong stops no other. */
int zus_serve_batch(struct zus_req *req)
{
	struct zufs_forced msg;
	uint32_t i;
	int err;

	if (req->in.batch.count > req->hdr.payload_bytes / sizeof(msg))
		return -EPROTO;
	for (i = 0; i < req->in.batch.count; i++) {
		memcpy(&msg, req->payload_in + i * sizeof(msg), sizeof(msg));
		err = serve_forced(req, &msg);
		if (err)
			zus_log(ZUS_LOG_WARN, "forced message %u (%s) of mount %llu: %s",
				msg.op,
				msg.op < ZUFS_OP_COUNT && zus_ops[msg.op].name ?
					zus_ops[msg.op].name : "?",
				(unsigned long long)msg.mount, strerror(-err));
	}
	return 0;
}
