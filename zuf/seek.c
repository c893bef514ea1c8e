// SPDX-License-Identifier: GPL-2.0
/* Where data and holes of a file are: lseek(2), and FS_IOC_FIEMAP. */
#include <linux/fiemap.h>
#include <linux/iomap.h>
#include <linux/sched/signal.h>

#include "data.h"

#define REPORT_MINOR	4	/* the ABI's, that brought ZUFS_MAP_REPORT */

/* What is asked of the server, and how far its last extent reaches. */
static int report_begin(struct zuf_map *map, struct inode *inode, u64 fh, u64 off, u64 *end)
{
	u64 size = i_size_read(inode), to = max(size, off + ZUFS_BLOCK_BYTES);
	u32 flags = ZUFS_MAP_READ | ZUFS_MAP_REPORT;
	const struct zufs_extent *last;
	int err;

	if (zuf_server_minor(zuf_mount_of(inode->i_sb)->server) < REPORT_MINOR) {
		flags = ZUFS_MAP_READ;
		to = min(to, off + ZUFS_MAP_MAX_BYTES);
	}
	if (fatal_signal_pending(current))
		return -EINTR;
	err = zuf_map_begin(map, inode, fh, off, to - off, size, flags, 0);
	if (err)
		return err;
	last = &map->extents[map->count - 1];
	*end = last->file_off + last->len_bytes;
	return 0;
}

/* --------------------------------------------------------------------- seek */

/* In the map: the first byte from @off that is data (or is not), or @end. */
static u64 seek_in_map(const struct zuf_map *map, u64 off, u64 end, bool data)
{
	const struct zufs_extent *ext;
	bool is_data;

	while (off < end) {
		ext = zuf_map_extent(map, off);
		is_data = ext->type == ZUFS_EXT_DATA;
		if (is_data == data)
			break;
		off = ext->file_off + ext->len_bytes;
	}
	return off;
}

static loff_t seek_locked(struct file *file, loff_t start, bool data)
{
	struct inode *inode = file_inode(file);
	u64 size = i_size_read(inode), off = start, found, end;
	struct zuf_map map;
	int err;

	if (start < 0 || off >= size)
		return -ENXIO;
	if (!IS_DAX(inode))
		return data ? start : size;
	while (off < size) {
		err = report_begin(&map, inode, zuf_fh(file), off, &end);
		if (err)
			return err;
		found = seek_in_map(&map, off, end, data);
		zuf_map_end(&map);
		if (found < end)
			break;
		off = end;
	}
	if (off < size && found < size)
		return found;
	/* behind the last byte lies a hole */
	return data ? -ENXIO : size;
}

loff_t zuf_llseek(struct file *file, loff_t off, int whence)
{
	struct inode *inode = file_inode(file);
	loff_t ret, size;

	if (whence == SEEK_SET || whence == SEEK_CUR)
		return generic_file_llseek_size(file, off, whence, inode->i_sb->s_maxbytes, 0);
	if (unlikely(zuf_server_is_current(zuf_mount_of(inode->i_sb)->server)))
		return -EDEADLK;
	ret = zuf_file_lock_shared(inode);
	if (ret)
		return ret;
	size = i_size_read(inode);
	if (whence == SEEK_DATA || whence == SEEK_HOLE)
		ret = seek_locked(file, off, whence == SEEK_DATA);
	inode_unlock_shared(inode);
	if (ret < 0)
		return ret;
	if (whence == SEEK_DATA || whence == SEEK_HOLE)
		return vfs_setpos(file, ret, inode->i_sb->s_maxbytes);
	return generic_file_llseek_size(file, off, whence, inode->i_sb->s_maxbytes, size);
}

/* ------------------------------------------------------------------- fiemap */

static int fiemap_begin(struct inode *inode, loff_t pos, loff_t length, unsigned int flags,
			struct iomap *iomap, struct iomap *srcmap)
{
	const struct zufs_extent *ext;
	struct zuf_map map;
	u64 end;
	int err;

	err = report_begin(&map, inode, 0, pos, &end);
	if (err)
		return err;
	ext = zuf_map_extent(&map, pos);
	iomap->offset = ext->file_off;
	iomap->length = ext->len_bytes;
	iomap->flags = 0;
	iomap->addr = IOMAP_NULL_ADDR;
	if (ext->type == ZUFS_EXT_DATA) {
		iomap->type = IOMAP_MAPPED;
		iomap->addr = ext->dev_off;
		iomap->bdev = zuf_device(zuf_mount_of(inode->i_sb), ext->dev)->bdev;
		if (ext->flags & ZUFS_EXTF_SHARED)
			iomap->flags |= IOMAP_F_SHARED;
	} else {
		iomap->type = ext->type == ZUFS_EXT_HOLE ? IOMAP_HOLE : IOMAP_UNWRITTEN;
	}
	zuf_map_end(&map);
	return 0;
}

static const struct iomap_ops zuf_fiemap_ops = { .iomap_begin = fiemap_begin };

int zuf_fiemap(struct inode *inode, struct fiemap_extent_info *info, u64 start, u64 len)
{
	int err;

	if (!IS_DAX(inode))
		return -EOPNOTSUPP;
	err = zuf_file_lock_shared(inode);
	if (err)
		return err;
	/* behind the end nothing is told of, and a sparse file has no end to speak of */
	len = start < i_size_read(inode) ? min_t(u64, len, i_size_read(inode) - start) : 0;
	err = len ? iomap_fiemap(inode, info, start, len, &zuf_fiemap_ops) : 0;
	inode_unlock_shared(inode);
	return err;
}
