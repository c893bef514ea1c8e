// SPDX-License-Identifier: BSD-3-Clause
/* req.c - what plugins ask of a request, and how they fill its reply. */
#include <errno.h>
#include <string.h>

#include "internal.h"

struct zus_caller zus_req_caller(const struct zus_req *req)
{
	struct zus_caller caller = { 0, 0, 0 };

	if (req) {
		caller.uid = req->hdr.uid;
		caller.gid = req->hdr.gid;
		caller.pid = req->hdr.pid;
	}
	return caller;
}

uint64_t zus_req_id(const struct zus_req *req)
{
	return req ? req->hdr.id : 0;
}

uint32_t zus_req_op_slot(const struct zus_req *req)
{
	return req ? req->hdr.op_slot : ZUS_NO_SLOT;
}

uint64_t zus_req_op_seq(const struct zus_req *req)
{
	return req ? req->hdr.op_seq : 0;
}

/* The kernel sets it while the request is out; a plain flag, nothing follows it. */
int zus_req_interrupted(const struct zus_req *req)
{
	return req && zus_load_relaxed(&req->region->interrupted) != 0;
}

int zus_req_reclaim(const struct zus_req *req)
{
	return req && (req->hdr.flags & ZUFS_REQ_RECLAIM);
}

uint32_t zus_req_numa_node(const struct zus_req *req)
{
	return req ? req->worker->numa_node : 0;
}

int zus_req_extent(struct zus_req *req, const struct zus_extent *extent)
{
	struct zufs_extent *out = (struct zufs_extent *)(void *)req->payload;

	if (req->count >= req->max_extents || req->inlined)
		return -ENOSPC;
	out += req->count++;
	out->file_off = extent->file_off;
	out->len_bytes = extent->len_bytes;
	out->dev_off = extent->dev_off;
	out->dev = extent->dev;
	out->type = extent->type;
	out->flags = extent->flags;
	req->payload_bytes += (uint32_t)sizeof(*out);
	return 0;
}

int zus_req_word(struct zus_req *req, const struct zus_word *word)
{
	const uint32_t never = ZUFS_MAP_FAULT | ZUFS_MAP_ZERO | ZUFS_MAP_STAY | ZUFS_MAP_MORE;
	struct zufs_map_out *out = zus_req_out(req);

	if (req->hdr.op != ZUFS_OP_MAP || !(req->mount->features & ZUS_MF_COW) ||
	    !(req->in.map.flags & ZUFS_MAP_WRITE) || req->in.map.flags & never ||
	    req->in.map.write_id)
		return -EOPNOTSUPP;
	if (word->dev_off % sizeof(uint64_t) || word->old_le64 == word->new_le64)
		return -EINVAL;
	out->flags |= ZUFS_MAPPED_WORD;
	out->word = (struct zufs_word) {
		.dev_off = word->dev_off,
		.old_le64 = word->old_le64,
		.new_le64 = word->new_le64,
		.blocks_512 = word->blocks_512,
		.dev = word->dev,
	};
	return 0;
}

uint32_t zus_req_extents_left(const struct zus_req *req)
{
	return req->inlined ? 0 : req->max_extents - req->count;
}

uint32_t zus_req_inline_max(const struct zus_req *req)
{
	uint32_t header = (uint32_t)sizeof(struct zufs_extent);

	return req->max_extents && req->reply_max > header ? req->reply_max - header : 0;
}

int zus_req_inline(struct zus_req *req, uint64_t file_off, uint32_t len_bytes,
		   void **buf)
{
	struct zufs_extent *out = (struct zufs_extent *)(void *)req->payload;

	if (req->count || len_bytes > zus_req_inline_max(req))
		return -ENOSPC;
	out->file_off = file_off;
	out->len_bytes = len_bytes;
	out->dev_off = sizeof(*out);
	out->dev = 0;
	out->type = ZUFS_EXT_INLINE;
	out->flags = 0;
	req->count = 1;
	req->inlined = true;
	req->payload_bytes = (uint32_t)sizeof(*out) + len_bytes;
	*buf = out + 1;
	return 0;
}

void *zus_req_payload(struct zus_req *req, uint32_t *max_bytes)
{
	*max_bytes = req->reply_max;
	return req->payload;
}

int zus_req_payload_set(struct zus_req *req, uint32_t bytes)
{
	if (bytes > req->reply_max)
		return -EINVAL;
	req->payload_bytes = bytes;
	return 0;
}

void *zus_dev_addr(const struct zus_mount *mount, uint32_t dev, uint64_t off)
{
	const struct zus_device *device;

	if (dev >= mount->num_devices)
		return NULL;
	device = &mount->devices[dev];
	if (!device->addr || off >= device->size_bytes)
		return NULL;
	return (char *)device->addr + off;
}
