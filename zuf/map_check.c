// SPDX-License-Identifier: GPL-2.0
/* What a server's answers to MAP and MAP_DONE must be like. */
#include "relay.h"
#include "data.h"

#define LEASE_FLAGS	(ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W | ZUFS_EXTF_IMMUTABLE)

static bool lease_flags_ok(struct zuf_mount *mount, const struct zufs_extent *ext)
{
	u16 lease = ext->flags & LEASE_FLAGS;

	if (!lease)
		return true;
	if (!(mount->features & ZUFS_MF_LEASES) || ext->flags & ZUF_EXTF_OWED)
		return false;
	if (lease & ZUFS_EXTF_LEASE_W)
		return ext->type == ZUFS_EXT_DATA && !(lease & ZUFS_EXTF_IMMUTABLE);
	return lease & ZUFS_EXTF_LEASE_R;
}

/* Blocks of several files are read, by copies alone. */
static bool shared_ok(struct zuf_mount *mount, const struct zufs_map_in *in,
		      const struct zufs_extent *ext)
{
	if (!(ext->flags & ZUFS_EXTF_SHARED))
		return true;
	return mount->features & ZUFS_MF_CLONE && ext->type == ZUFS_EXT_DATA &&
	       !(in->flags & (ZUFS_MAP_WRITE | ZUFS_MAP_FAULT)) &&
	       !(ext->flags & ZUFS_EXTF_LEASE_W);
}

static enum zuf_rule check_type(struct zuf_mount *mount, const struct zufs_map_in *in,
				const struct zufs_extent *ext)
{
	bool write = in->flags & ZUFS_MAP_WRITE;

	if (ext->flags & ~(ZUF_EXTF_OWED | LEASE_FLAGS | ZUFS_EXTF_SHARED) ||
	    !lease_flags_ok(mount, ext) || !shared_ok(mount, in, ext))
		return ZUF_RULE_EXTENT_TYPE;
	if (ext->type == ZUFS_EXT_DATA)
		return ext->flags & ZUF_EXTF_OWED && !write ? ZUF_RULE_EXTENT_TYPE : ZUF_RULE_OK;
	if (ext->type != ZUFS_EXT_HOLE && ext->type != ZUFS_EXT_UNWRITTEN)
		return ZUF_RULE_EXTENT_TYPE;
	/* the library writes to data only; zeroing may leave a hole alone */
	if (ext->flags & ZUF_EXTF_OWED || (write && !(in->flags & ZUFS_MAP_ZERO)))
		return ZUF_RULE_EXTENT_TYPE;
	return ZUF_RULE_OK;
}

static enum zuf_rule check_device(struct zuf_mount *mount, const struct zufs_extent *ext)
{
	const struct zuf_device *device;

	if (ext->type != ZUFS_EXT_DATA)
		return ZUF_RULE_OK;
	device = zuf_device(mount, ext->dev);
	if (!device || !device->dax || device->info.tier != ZUFS_TIER_T1)
		return ZUF_RULE_EXTENT_DEVICE;
	if (ext->dev_off < device->info.data_off || ext->dev_off > device->info.size_bytes ||
	    ext->len_bytes > device->info.size_bytes - ext->dev_off)
		return ZUF_RULE_EXTENT_DEVICE;
	return ZUF_RULE_OK;
}

static enum zuf_rule check_extents(struct zuf_mount *mount, const struct zufs_map_in *in,
				   const struct zufs_extent *ext, u32 count)
{
	u64 next = 0;
	enum zuf_rule rule;
	u32 i;

	for (i = 0; i < count; i++, ext++) {
		/* the last block of the largest file ends behind all offsets, at 2^63 */
		if (!ext->len_bytes || ext->file_off > MAX_LFS_FILESIZE ||
		    ext->len_bytes > MAX_LFS_FILESIZE + 1ull - ext->file_off)
			return ZUF_RULE_EXTENT_RANGE;
		if (i ? ext->file_off != next : ext->file_off > in->off ||
		    in->off - ext->file_off >= ext->len_bytes)
			return ZUF_RULE_EXTENT_RANGE;
		next = ext->file_off + ext->len_bytes;
		rule = check_type(mount, in, ext);
		if (rule)
			return rule;
		if (!IS_ALIGNED(ext->file_off | ext->len_bytes, ZUFS_BLOCK_BYTES) ||
		    (ext->type == ZUFS_EXT_DATA && !IS_ALIGNED(ext->dev_off, ZUFS_BLOCK_BYTES)))
			return ZUF_RULE_EXTENT_ALIGN;
		rule = check_device(mount, ext);
		if (rule)
			return rule;
	}
	return ZUF_RULE_OK;
}

/* One extent, its bytes behind it in the payload. */
static enum zuf_rule check_inline(const struct zufs_map_in *in, const struct zufs_extent *ext,
				  u32 count, u32 buf_bytes)
{
	if (count != 1 || ext->type != ZUFS_EXT_INLINE || ext->flags ||
	    !(in->flags & ZUFS_MAP_READ))
		return ZUF_RULE_EXTENT_TYPE;
	if (!ext->len_bytes || ext->file_off > in->off ||
	    in->off - ext->file_off >= ext->len_bytes)
		return ZUF_RULE_EXTENT_RANGE;
	if (ext->dev_off < sizeof(*ext) || ext->dev_off > buf_bytes ||
	    ext->len_bytes > buf_bytes - ext->dev_off)
		return ZUF_RULE_SIZE;
	return ZUF_RULE_OK;
}

enum zuf_rule zuf_check_map(const struct zuf_reply *reply)
{
	const struct zufs_map_out *out = reply->out;
	const struct zufs_extent *ext = reply->buf;
	const struct zufs_map_in *in;
	enum zuf_rule rule;

	if (!reply->call)	/* of an orphan: nobody will use the extents */
		return ZUF_RULE_OK;
	in = reply->call->in;
	if (!out->count || out->count > in->max_extents ||
	    (u64)out->count * sizeof(*ext) > reply->buf_bytes)
		return ZUF_RULE_SIZE;
	/* it cannot know of one that the kernel has not told it of */
	if (reply->mount->features & ZUFS_MF_EPOCHS &&
	    (!out->epoch || out->epoch > zuf_epoch_published(reply->mount)))
		return ZUF_RULE_EPOCH;
	if (out->flags & ~ZUFS_MAPPED_WORD)
		return ZUF_RULE_WORD;
	if (test_bit(ZUF_I_INLINE, &zuf_i(reply->call->inode[0])->flags))
		return check_inline(in, ext, out->count, reply->buf_bytes);
	rule = check_extents(reply->mount, in, ext, out->count);
	if (!rule && out->flags & ZUFS_MAPPED_WORD)
		rule = zuf_check_word(reply->mount, in, ext, out->count, &out->word);
	if (!rule && unlikely(in->flags & ZUFS_MAP_STAY))
		rule = zuf_check_stay(reply->mount, reply->call->inode[0], ext, out->count);
	return rule;
}

enum zuf_rule zuf_check_map_done(const struct zuf_reply *reply)
{
	return zuf_check_attr(reply->mount, reply->out,
			      reply->call ? reply->call->inode[0] : NULL);
}
