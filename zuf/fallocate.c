// SPDX-License-Identifier: GPL-2.0
/*
 * fallocate(2): the server makes, frees and moves whole blocks, once nobody here uses
 * what it concerns; what a range names of blocks that it does not cover is zeroed here.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/pagemap.h>

#include "data.h"

struct falloc {
	struct file *file;
	struct inode *inode;
	int mode;
	loff_t off;
	loff_t end;
	loff_t size;		/* of the file, once it is done */
};

#define SHIFTS	(FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)
#define CLEARS	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)

static bool mode_known(int mode)
{
	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0:
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_UNSHARE_RANGE:
		return true;
	case FALLOC_FL_PUNCH_HOLE:
		return mode & FALLOC_FL_KEEP_SIZE;
	case FALLOC_FL_COLLAPSE_RANGE:
	case FALLOC_FL_INSERT_RANGE:
		return !(mode & FALLOC_FL_KEEP_SIZE);
	}
	return false;
}

/* Under i_rwsem: what it will do to the size, and whether it may. */
static int falloc_size(struct falloc *fa)
{
	loff_t size = i_size_read(fa->inode), len = fa->end - fa->off;

	fa->size = size;
	if (fa->mode & SHIFTS && !IS_ALIGNED(fa->off | len, ZUFS_BLOCK_BYTES))
		return -EINVAL;
	if (fa->mode & FALLOC_FL_COLLAPSE_RANGE) {
		if (fa->end >= size)
			return -EINVAL;
		fa->size = size - len;
	} else if (fa->mode & FALLOC_FL_INSERT_RANGE) {
		if (fa->off >= size)
			return -EINVAL;
		if (len > fa->inode->i_sb->s_maxbytes - size)
			return -EFBIG;
		fa->size = size + len;
	} else if (!(fa->mode & FALLOC_FL_KEEP_SIZE) && fa->end > size) {
		fa->size = fa->end;
		return inode_newsize_ok(fa->inode, fa->size);
	}
	return 0;
}

/* Which bytes must not be in use meanwhile. */
static void falloc_idle_range(const struct falloc *fa, loff_t *first, loff_t *last)
{
	*first = round_down(fa->off, ZUFS_BLOCK_BYTES);
	*last = LLONG_MAX;
	if (!(fa->mode & SHIFTS))
		*last = zuf_block_last(fa->end);
}

static int falloc_lock(const struct falloc *fa)
{
	loff_t first, last;

	/* to fill a hole only its zero pages are in the way */
	if (!(fa->mode & (SHIFTS | CLEARS)) &&
	    !test_bit(ZUF_I_ZERO_PAGES, &zuf_i(fa->inode)->flags))
		return zuf_layout_lock(fa->inode);
	falloc_idle_range(fa, &first, &last);
	return zuf_layout_lock_idle(fa->inode, first, last);
}

/* What is named of blocks that are not covered, and what lies behind the end. */
static int falloc_zero(const struct falloc *fa)
{
	u64 fh = zuf_fh(fa->file);
	loff_t size = i_size_read(fa->inode), end = min(fa->end, size), edge;
	int err = 0;

	/* before shifts, too: what somebody stored behind the end would go along, and be seen */
	if (fa->size != size)
		err = zuf_zero_tail(fa->inode, fh, size, LLONG_MAX);
	if (err || !(fa->mode & CLEARS) || fa->off >= end)
		return err;
	edge = min(zuf_block_end(fa->off), end);
	if (fa->off < edge)
		err = zuf_zero_range(fa->inode, fh, fa->off, edge, size);
	edge = max_t(loff_t, round_down(end, ZUFS_BLOCK_BYTES), edge);
	if (!err && edge < end)
		err = zuf_zero_range(fa->inode, fh, edge, end, size);
	return err;
}

static int falloc_send(const struct falloc *fa, struct zufs_attr *attr)
{
	struct zufs_fallocate_in in = {
		.inode		= zuf_i(fa->inode)->handle,
		.fh		= zuf_fh(fa->file),
		.off		= fa->off,
		.len_bytes	= fa->end - fa->off,
		.size_bytes	= fa->size,
		.now		= zuf_time_to_wire(current_time(fa->inode)),
		.mode		= fa->mode,
	};
	struct zuf_call call = {
		.mount	= zuf_mount_of(fa->inode->i_sb),
		.op	= ZUFS_OP_FALLOCATE,
		.in	= &in,
		.out	= attr,
		.inode	= { fa->inode },
	};
	int err = zuf_call_retry(&call);

	if (!err && attr->size_bytes != in.size_bytes) {
		zuf_rule_broken(call.mount, call.op, ZUF_RULE_FILE_SIZE);
		err = -EIO;
	}
	if (err == -EIO)
		set_bit(ZUF_I_STALE, &zuf_i(fa->inode)->flags);
	return err;
}

/* Under layout_sem. */
static int falloc_do(const struct falloc *fa)
{
	struct zufs_attr attr;
	loff_t first, last;
	int err = falloc_zero(fa);

	if (err)
		return err;
	err = zuf_times_lock(fa->inode);
	if (err)
		return err;
	err = falloc_send(fa, &attr);
	falloc_idle_range(fa, &first, &last);
	zuf_lease_changed(fa->inode, first, last == LLONG_MAX ? last : last + 1);
	if (!err)
		zuf_attr_apply(fa->inode, &attr, true);
	zuf_times_unlock(fa->inode);
	return err;
}

static int falloc_locked(struct falloc *fa)
{
	int err = falloc_size(fa);

	if (!err)
		err = file_modified(fa->file);
	if (err)
		return err;
	inode_dio_wait(fa->inode);
	err = falloc_lock(fa);
	if (err)
		return err;
	err = falloc_do(fa);
	up_write(&zuf_i(fa->inode)->layout_sem);
	return err;
}

long zuf_fallocate(struct file *file, int mode, loff_t off, loff_t len)
{
	struct falloc fa = {
		.file	= file,
		.inode	= file_inode(file),
		.mode	= mode,
		.off	= off,
		.end	= off + len,
	};
	struct zuf_mount *mount = zuf_mount_of(fa.inode->i_sb);
	int err;

	if (!(mount->features & ZUFS_MF_FALLOCATE) || !IS_DAX(fa.inode) || !mode_known(mode))
		return -EOPNOTSUPP;
	err = zuf_epoch_wait(mount);
	if (!err)
		err = zuf_file_lock(fa.inode);
	if (err)
		return err;
	err = falloc_locked(&fa);
	inode_unlock(fa.inode);
	return err;
}
