// SPDX-License-Identifier: GPL-2.0
/*
 * The size of a regular file: what lies behind it is unmapped and no longer in use
 * before the server may free its blocks, and reads as zero when the file grows again.
 */
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/wait_bit.h>

#include "data.h"

int zuf_layout_lock_nested(struct inode *inode, unsigned int subclass)
{
	struct zuf_inode *zi = zuf_i(inode);
	int err;

	if (down_write_killable_nested(&zi->layout_sem, subclass))
		return -EINTR;
	/* a fault's write may have become an orphan since i_rwsem was taken */
	err = zuf_orphan_wait(inode);
	if (err)
		up_write(&zi->layout_sem);
	return err;
}

struct page *zuf_range_idle(struct inode *inode, loff_t first, loff_t last, int *err)
{
	struct page *page;

	lockdep_assert_held_write(&zuf_i(inode)->layout_sem);
	filemap_invalidate_lock(inode->i_mapping);
	page = zuf_entries_drop(inode, first, last, false, err);
	filemap_invalidate_unlock(inode->i_mapping);
	if (!page && !*err)
		zuf_lease_changed(inode, first, last == LLONG_MAX ? last : last + 1);
	return page;
}

int zuf_pinned_wait(struct page *page)
{
	return ___wait_var_event(&page->_refcount, atomic_read(&page->_refcount) == 1,
				 TASK_KILLABLE, 0, 0, schedule()) ? -EINTR : 0;
}

int zuf_zero_tail(struct inode *inode, u64 fh, loff_t size, loff_t to)
{
	loff_t end = min(zuf_block_end(size), to);

	return size < end ? zuf_zero_range(inode, fh, size, end, size) : 0;
}

int zuf_layout_lock_idle(struct inode *inode, loff_t first, loff_t last)
{
	struct page *page;
	int err;

	for (;;) {
		err = zuf_layout_lock(inode);
		if (err)
			return err;
		if (!IS_DAX(inode))
			return 0;
		page = zuf_range_idle(inode, first, last, &err);
		if (!page && !err)
			return 0;
		up_write(&zuf_i(inode)->layout_sem);
		if (!err)
			err = zuf_pinned_wait(page);
		if (err)
			return err;
	}
}

static int truncate_send(struct inode *inode, struct zufs_setattr_in *in, struct zufs_attr *attr)
{
	struct zuf_call call = {
		.mount	= zuf_mount_of(inode->i_sb),
		.op	= ZUFS_OP_SETATTR,
		.in	= in,
		.out	= attr,
		.inode	= { inode },
	};
	int err = zuf_call_retry(&call);

	if (err)
		return err;
	if (attr->size_bytes != in->size_bytes) {
		zuf_rule_broken(call.mount, call.op, ZUF_RULE_FILE_SIZE);
		set_bit(ZUF_I_STALE, &zuf_i(inode)->flags);
		return -EIO;
	}
	return 0;
}

int zuf_truncate_begin(struct inode *inode, loff_t new)
{
	lockdep_assert_held_write(&inode->i_rwsem);
	inode_dio_wait(inode);
	return zuf_layout_lock_idle(inode, zuf_block_end(min(i_size_read(inode), new)), LLONG_MAX);
}

void zuf_truncate_end(struct inode *inode)
{
	up_write(&zuf_i(inode)->layout_sem);
}

int zuf_truncate(struct inode *inode, struct zufs_setattr_in *in, struct zufs_attr *attr)
{
	loff_t old = i_size_read(inode), new = in->size_bytes;
	bool tail = IS_DAX(inode);
	int err = 0;

	lockdep_assert_held_write(&zuf_i(inode)->layout_sem);
	if (tail && new > old)
		err = zuf_zero_tail(inode, in->fh, old, new);
	zuf_point(ZUF_POINT_TRUNCATE_CUT, current);
	if (!err) {
		err = truncate_send(inode, in, attr);
		zuf_lease_changed(inode, zuf_block_end(min(old, new)), LLONG_MAX);
	}
	if (err)
		return err;
	/* the blocks are gone, whatever becomes of the tail */
	if (tail && new < old)
		err = zuf_zero_tail(inode, in->fh, new, LLONG_MAX);
	i_size_write(inode, new);
	filemap_invalidate_lock(inode->i_mapping);
	truncate_pagecache(inode, new);
	filemap_invalidate_unlock(inode->i_mapping);
	return err;
}
