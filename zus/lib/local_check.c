// SPDX-License-Identifier: BSD-3-Clause
/*
 * local_check.c - the rules that a reply must keep, as the kernel has them. Each
 * check gives the broken rule's name, or NULL.
 */
#include <string.h>
#include <sys/stat.h>

#include "local.h"

/* What a check looks at. */
struct reply {
	const struct zus_local *local;
	const void *in;
	const void *out;
	const char *payload;
	uint32_t payload_bytes;
};

static bool time_ok(const struct zufs_time *time)
{
	return time->nsec < 1000000000u && !time->reserved;
}

const char *local_check_attr(const struct zufs_attr *attr)
{
	uint32_t type = attr->mode & S_IFMT;

	if (!attr->ino)
		return "attr-ino";
	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFCHR &&
	    type != S_IFBLK && type != S_IFIFO && type != S_IFSOCK)
		return "attr-type";
	if (attr->mode & ~(uint32_t)(S_IFMT | 07777))
		return "attr-mode";
	if (attr->size_bytes > INT64_MAX)
		return "attr-size";
	if (!time_ok(&attr->atime) || !time_ok(&attr->mtime) || !time_ok(&attr->ctime) ||
	    !time_ok(&attr->btime))
		return "attr-time";
	if (attr->uid == UINT32_MAX || attr->gid == UINT32_MAX)
		return "attr-owner";
	if (attr->flags & ~(ZUFS_ATTR_INLINE | ZUFS_ATTR_NO_XATTRS | ZUFS_ATTR_SETTABLE))
		return "attr-flags";
	if (type == S_IFLNK && (!attr->size_bytes || attr->size_bytes > ZUFS_SYMLINK_MAX))
		return "attr-symlink-size";
	return NULL;
}

static const char *check_entry(const struct zus_local *local,
			       const struct zufs_entry *entry)
{
	if (!entry->handle)
		return "entry-handle";
	if (entry->handle == local->root)
		return "entry-root";
	return local_check_attr(&entry->attr);
}

static const char *check_mount(const struct reply *r)
{
	const struct zufs_mount_out *out = r->out;

	if (!out->root.handle || !S_ISDIR(out->root.attr.mode))
		return "mount-root";
	if (out->name_max > ZUFS_NAME_MAX || out->time_gran_ns > 1000000000u)
		return "mount-limits";
	return local_check_attr(&out->root.attr);
}

static const char *check_lookup(const struct reply *r)
{
	return check_entry(r->local, r->out);
}

static const char *check_attr(const struct reply *r)
{
	return local_check_attr(r->out);
}

static const char *check_create(const struct reply *r)
{
	const struct zufs_create_out *out = r->out;
	const struct zufs_create_in *in = r->in;
	const char *rule = check_entry(r->local, &out->entry);

	if (!rule && ((out->entry.attr.mode ^ in->mode) & S_IFMT))
		rule = "create-type";
	return rule ? rule : local_check_attr(&out->dir);
}

static const char *check_create_open(const struct reply *r)
{
	const struct zufs_create_open_out *out = r->out;
	const struct zufs_create_open_in *in = r->in;
	const char *rule = check_entry(r->local, &out->create.entry);

	if (!rule && out->created &&
	    ((out->create.entry.attr.mode ^ in->create.mode) & S_IFMT))
		rule = "create-type";
	return rule ? rule : local_check_attr(&out->create.dir);
}

static const char *check_link(const struct reply *r)
{
	const struct zufs_link_out *out = r->out;
	const char *rule = local_check_attr(&out->inode);

	return rule ? rule : local_check_attr(&out->dir);
}

static const char *check_rename(const struct reply *r)
{
	const struct zufs_rename_out *out = r->out;
	const struct zufs_rename_in *in = r->in;
	const char *rule = local_check_attr(&out->old_dir);

	if (!rule)
		rule = local_check_attr(&out->new_dir);
	if (!rule)
		rule = local_check_attr(&out->inode);
	if (!rule && in->target)
		rule = local_check_attr(&out->target);
	return rule;
}

/* What comes before the dirent. */
static const char *check_direntplus(const struct reply *r, uint32_t off)
{
	struct zufs_direntplus de;

	if (r->payload_bytes - off < sizeof(de))
		return "dirent-bounds";
	memcpy(&de, r->payload + off, sizeof(de));
	if (!de.entry.handle)
		return NULL;
	if (de.entry.attr.ino != de.dirent.ino || de.entry.attr.mode >> 12 != de.dirent.type)
		return "dirent-plus";
	return check_entry(r->local, &de.entry);
}

static const char *check_readdir(const struct reply *r)
{
	const struct zufs_readdir_out *out = r->out;
	const struct zufs_readdir_in *in = r->in;
	uint64_t cookie = in->cookie;
	uint32_t i, off = 0;

	if (out->eof > 1 || (!out->count && !out->eof))
		return "readdir-progress";
	for (i = 0; i < out->count; i++) {
		struct zufs_dirent de;
		const char *rule, *name;

		if (in->flags & ZUFS_READDIR_PLUS) {
			rule = check_direntplus(r, off);
			if (rule)
				return rule;
			off += sizeof(struct zufs_entry);
		}
		if (r->payload_bytes - off < sizeof(de))
			return "dirent-bounds";
		name = r->payload + off + sizeof(de);
		memcpy(&de, r->payload + off, sizeof(de));
		if (!de.name_bytes || de.name_bytes > ZUFS_NAME_MAX ||
		    ZUFS_DIRENT_BYTES(de.name_bytes) > r->payload_bytes - off)
			return "dirent-bounds";
		if (memchr(name, '/', de.name_bytes) || memchr(name, 0, de.name_bytes))
			return "dirent-name";
		if (de.cookie < ZUFS_COOKIE_FIRST || de.cookie > ZUFS_COOKIE_MAX ||
		    de.cookie <= cookie)
			return "dirent-cookie";
		if (!de.ino)
			return "dirent-ino";
		cookie = de.cookie;
		off += ZUFS_DIRENT_BYTES(de.name_bytes);
	}
	return off == r->payload_bytes ? NULL : "dirent-bounds";
}

static const char *check_readlink(const struct reply *r)
{
	if (!r->payload_bytes || r->payload_bytes > ZUFS_SYMLINK_MAX ||
	    memchr(r->payload, 0, r->payload_bytes))
		return "symlink-target";
	return NULL;
}

static const char *check_getxattr(const struct reply *r)
{
	const struct zufs_getxattr_out *out = r->out;
	const struct zufs_getxattr_in *in = r->in;

	if (out->value_bytes > ZUFS_XATTR_VALUE_MAX_BYTES || out->reserved ||
	    r->payload_bytes != (in->max_bytes ? out->value_bytes : 0))
		return "xattr-value";
	return NULL;
}

static const char *check_listxattr(const struct reply *r)
{
	const char *at = r->payload, *end = at + r->payload_bytes, *nul;

	for (; at < end; at = nul + 1) {
		nul = memchr(at, 0, (size_t)(end - at));
		if (!nul || nul == at || nul - at > ZUFS_XATTR_NAME_MAX)
			return "xattr-names";
	}
	return NULL;
}

static const char *check_ioctl(const struct reply *r)
{
	const struct zufs_ioctl_out *out = r->out;
	const struct zufs_ioctl_in *in = r->in;

	return out->result < 0 || r->payload_bytes != in->out_bytes ? "ioctl" : NULL;
}

/* Any inode, the root too. */
static const char *check_iget(const struct reply *r)
{
	const struct zufs_entry *entry = r->out;

	return entry->handle ? local_check_attr(&entry->attr) : "entry-handle";
}

static const char *check_dev_range(const struct reply *r, const struct zufs_extent *e)
{
	const struct zus_device *dev;

	if (e->dev >= r->local->num_devices)
		return "extent-device";
	dev = &r->local->devices[e->dev];
	if (dev->tier != ZUS_TIER_T1)
		return "extent-tier";
	if ((e->file_off | e->len_bytes | e->dev_off) % ZUFS_BLOCK_BYTES)
		return "extent-alignment";
	if (e->dev_off < dev->data_off || e->dev_off > dev->size_bytes ||
	    e->len_bytes > dev->size_bytes - e->dev_off)
		return "extent-bounds";
	return NULL;
}

static const char *check_extent(const struct reply *r, const struct zufs_extent *e)
{
	const struct zufs_map_in *in = r->in;
	bool write = (in->flags & ZUFS_MAP_WRITE) && !(in->flags & ZUFS_MAP_ZERO);

	if (e->flags & ~(ZUFS_EXTF_NEW | ZUFS_EXTF_COMMIT | ZUFS_EXTF_SHARED))
		return "extent-flags";
	if (e->flags & ZUFS_EXTF_SHARED &&
	    (e->type != ZUFS_EXT_DATA || in->flags & (ZUFS_MAP_WRITE | ZUFS_MAP_FAULT)))
		return "extent-shared";
	switch (e->type) {
	case ZUFS_EXT_DATA:
		if ((e->flags & ZUFS_EXTF_NEW) && !write)
			return "extent-new";
		return check_dev_range(r, e);
	case ZUFS_EXT_HOLE:
	case ZUFS_EXT_UNWRITTEN:
		return write || e->flags ? "extent-write-hole" : NULL;
	case ZUFS_EXT_INLINE:
		if (write || e->flags || e->dev_off > r->payload_bytes ||
		    e->len_bytes > r->payload_bytes - e->dev_off)
			return "extent-inline";
		return NULL;
	default:
		return "extent-type";
	}
}

static const char *check_word(const struct reply *r, const struct zufs_map_out *out)
{
	const uint32_t never = ZUFS_MAP_FAULT | ZUFS_MAP_ZERO | ZUFS_MAP_STAY | ZUFS_MAP_MORE;
	const struct zufs_word *word = &out->word;
	const struct zufs_map_in *in = r->in;
	const struct zus_device *dev;
	bool owed = false;
	uint32_t i;

	if (out->flags & ~ZUFS_MAPPED_WORD || !(in->flags & ZUFS_MAP_WRITE) ||
	    in->flags & never || in->write_id || word->dev >= r->local->num_devices)
		return "word";
	dev = &r->local->devices[word->dev];
	if (dev->tier != ZUS_TIER_T1 || word->dev_off % sizeof(uint64_t) ||
	    word->dev_off < dev->data_off || word->dev_off > dev->size_bytes - sizeof(uint64_t) ||
	    word->old_le64 == word->new_le64)
		return "word";
	for (i = 0; i < out->count; i++) {
		struct zufs_extent e;

		memcpy(&e, r->payload + i * sizeof(e), sizeof(e));
		owed |= e.flags & (ZUFS_EXTF_NEW | ZUFS_EXTF_COMMIT);
		if (e.type == ZUFS_EXT_DATA && e.dev == word->dev &&
		    word->dev_off + sizeof(uint64_t) > e.dev_off &&
		    word->dev_off < e.dev_off + e.len_bytes)
			return "word";
	}
	return owed ? NULL : "word";
}

static const char *check_map(const struct reply *r)
{
	const struct zufs_map_out *out = r->out;
	const struct zufs_map_in *in = r->in;
	uint64_t next = 0;
	uint32_t i;

	if (!out->count || out->count > in->max_extents || out->count > ZUFS_EXTENTS_MAX ||
	    out->count * sizeof(struct zufs_extent) > r->payload_bytes)
		return "map-count";
	for (i = 0; i < out->count; i++) {
		struct zufs_extent e;
		const char *rule;

		memcpy(&e, r->payload + i * sizeof(e), sizeof(e));
		if (!e.len_bytes || e.file_off > INT64_MAX ||
		    e.len_bytes > (uint64_t)INT64_MAX + 1 - e.file_off)
			return "extent-range";
		if (i ? e.file_off != next :
			e.file_off > in->off || e.file_off + e.len_bytes <= in->off)
			return "extent-order";
		rule = check_extent(r, &e);
		if (rule)
			return rule;
		if (e.type == ZUFS_EXT_INLINE && out->count != 1)
			return "extent-inline";
		next = e.file_off + e.len_bytes;
	}
	return out->flags ? check_word(r, out) : NULL;
}

static const char *check_write(const struct reply *r)
{
	const struct zufs_write_out *out = r->out;
	const struct zufs_write_in *in = r->in;

	if (!out->written_bytes || out->written_bytes > in->len_bytes)
		return "write-count";
	return local_check_attr(&out->attr);
}

static const char *check_copy(const struct reply *r)
{
	const struct zufs_copy_out *out = r->out;
	const struct zufs_copy_in *in = r->in;

	if (!out->copied_bytes || out->copied_bytes > in->len_bytes)
		return "copy-count";
	if (in->flags && out->copied_bytes < in->len_bytes &&
	    out->copied_bytes % ZUFS_BLOCK_BYTES)
		return "copy-count";
	return local_check_attr(&out->attr);
}

static const char *check_lock(const struct reply *r)
{
	const struct zufs_lock_out *out = r->out;
	const struct zufs_lock_in *in = r->in;

	if (out->reserved || (in->cmd == ZUFS_LOCK_SET && out->type))
		return "lock-set";
	if (out->type == ZUFS_LOCK_UNLCK)
		return NULL;
	if (out->type > ZUFS_LOCK_WRLCK ||
	    (out->type == ZUFS_LOCK_RDLCK && in->type == ZUFS_LOCK_RDLCK))
		return "lock-type";
	if (out->start > out->end || out->end > ZUFS_LOCK_END || out->start > in->end ||
	    out->end < in->start)
		return "lock-range";
	if (out->flags && out->flags != ZUFS_LOCK_POSIX && out->flags != ZUFS_LOCK_OFD)
		return "lock-flags";
	return NULL;
}

static const struct {
	const char *(*check)(const struct reply *r);
	bool payload;			/* may have one */
} rules[ZUFS_OP_COUNT] = {
	[ZUFS_OP_MOUNT] = { check_mount, false },
	[ZUFS_OP_LOOKUP] = { check_lookup, false },
	[ZUFS_OP_GETATTR] = { check_attr, false },
	[ZUFS_OP_SETATTR] = { check_attr, false },
	[ZUFS_OP_CREATE] = { check_create, false },
	[ZUFS_OP_CREATE_OPEN] = { check_create_open, false },
	[ZUFS_OP_MKDIR] = { check_create, false },
	[ZUFS_OP_MKNOD] = { check_create, false },
	[ZUFS_OP_SYMLINK] = { check_create, false },
	[ZUFS_OP_LINK] = { check_link, false },
	[ZUFS_OP_UNLINK] = { check_link, false },
	[ZUFS_OP_RMDIR] = { check_link, false },
	[ZUFS_OP_RENAME] = { check_rename, false },
	[ZUFS_OP_READDIR] = { check_readdir, true },
	[ZUFS_OP_READLINK] = { check_readlink, true },
	[ZUFS_OP_MAP] = { check_map, true },
	[ZUFS_OP_MAP_DONE] = { check_attr, false },
	[ZUFS_OP_WRITE] = { check_write, false },
	[ZUFS_OP_TMPFILE] = { check_lookup, false },
	[ZUFS_OP_FALLOCATE] = { check_attr, false },
	[ZUFS_OP_COPY] = { check_copy, false },
	[ZUFS_OP_LOCK] = { check_lock, false },
	[ZUFS_OP_IOCTL] = { check_ioctl, true },
	[ZUFS_OP_IGET] = { check_iget, false },
	[ZUFS_OP_PARENT] = { check_iget, false },
	[ZUFS_OP_GETXATTR] = { check_getxattr, true },
	[ZUFS_OP_SETXATTR] = { check_attr, false },
	[ZUFS_OP_LISTXATTR] = { check_listxattr, true },
};

const char *local_check_reply(const struct zus_local *local,
			      const struct zufs_req_hdr *request,
			      const struct zufs_reply_hdr *reply)
{
	union zus_in in = { .nop = { 0 } };
	struct reply r = {
		.local = local,
		.in = &in,
		.out = (const char *)reply + ZUFS_FIXED_OFF,
		.payload = (const char *)reply + ZUFS_PAYLOAD_OFF,
		.payload_bytes = reply->payload_bytes,
	};

	if (reply->id != request->id)
		return "reply-id";
	if (reply->err > 0 || reply->err < ZUFS_ERR_MIN)
		return "reply-error";
	if ((reply->flags & ~ZUFS_REPLY_BUSY_RETRY) || reply->reserved)
		return "reply-flags";
	if (reply->fixed_bytes > ZUFS_PAYLOAD_OFF - ZUFS_FIXED_OFF ||
	    reply->payload_bytes > request->reply_max_bytes)
		return "reply-size";
	if (reply->err || reply->flags || request->op >= ZUFS_OP_COUNT)
		return NULL;
	/* As the server understood it: a missing tail is zero. */
	memcpy(&in, (const char *)request + ZUFS_FIXED_OFF,
	       request->fixed_bytes < sizeof(in) ? request->fixed_bytes : sizeof(in));
	if (reply->fixed_bytes < zus_ops[request->op].out_bytes ||
	    (reply->payload_bytes && !rules[request->op].payload))
		return "reply-size";
	return rules[request->op].check ? rules[request->op].check(&r) : NULL;
}
