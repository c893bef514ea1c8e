// SPDX-License-Identifier: GPL-2.0
/*
 * ioctl_ficlone(2) and ioctl_fideduperange(2): the server lets two files share blocks. While
 * it does nobody uses either range, but to read the source; afterwards a write is answered by
 * another place, as the mount has copy-on-write, and a fault too, see ZUFS_MF_CLONE.
 */
#include <linux/dax.h>
#include <linux/fs.h>
#include <linux/iomap.h>
#include <linux/sched/signal.h>

#include "data.h"

/* --------------------------------------------------------------------- locks */

/* Of the two, the one with the lower address first, as lock_two_nondirectories() has it. */
static int layouts_lock(struct inode *a, struct inode *b)
{
	int err;

	if (a > b)
		swap(a, b);
	err = zuf_layout_lock(a);
	if (err || a == b)
		return err;
	err = zuf_layout_lock_nested(b, SINGLE_DEPTH_NESTING);
	if (err)
		up_write(&zuf_i(a)->layout_sem);
	return err;
}

static void layouts_unlock(struct inode *a, struct inode *b)
{
	up_write(&zuf_i(a)->layout_sem);
	if (a != b)
		up_write(&zuf_i(b)->layout_sem);
}

/* Both locked and idle. For a pinned page both are let go: its user may want either. */
static int layouts_lock_idle(const struct zuf_copy *copy, loff_t len)
{
	loff_t to_first = round_down(min(copy->to_off, i_size_read(copy->to)), ZUFS_BLOCK_BYTES);
	loff_t to_last = zuf_block_last(copy->to_off + len);
	loff_t from_last = zuf_block_last(copy->from_off + len);
	struct page *page;
	int err;

	for (;;) {
		err = layouts_lock(copy->to, copy->from);
		if (err)
			return err;
		page = zuf_range_idle(copy->to, to_first, to_last, &err);
		if (!page && !err)
			page = zuf_range_idle(copy->from, copy->from_off, from_last, &err);
		if (!page && !err)
			return 0;
		layouts_unlock(copy->to, copy->from);
		if (!err)
			err = zuf_pinned_wait(page);
		if (err)
			return err;
	}
}

/* --------------------------------------------------------------------- clone */

/* The server compares. To the VFS, which would too, both ranges are one hole. */
static int nothing_begin(struct inode *inode, loff_t pos, loff_t length, unsigned int flags,
			 struct iomap *iomap, struct iomap *srcmap)
{
	iomap->type = IOMAP_HOLE;
	iomap->addr = IOMAP_NULL_ADDR;
	iomap->offset = pos;
	iomap->length = length;
	return 0;
}

static const struct iomap_ops nothing_ops = { .iomap_begin = nothing_begin };

static loff_t clone_steps(struct zuf_copy *copy, loff_t len)
{
	loff_t done = 0;
	ssize_t ret;

	while (done < len) {
		copy->len_bytes = len - done;
		ret = zuf_copy_do(copy);
		if (ret < 0)
			return ret;
		copy->from_off += ret;
		copy->to_off += ret;
		done += ret;
		if (done < len && fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return done;
}

/*
 * The source is not changed, so who reads it need not wait for all of a large file: from here
 * on its i_rwsem is shared. Who writes by a lease has no more than that either, and finds the
 * bit: write_fast_ok(). layout_sem keeps faults away as before.
 */
static void source_begin(const struct zuf_copy *copy)
{
	if (copy->from == copy->to)
		return;
	set_bit(ZUF_I_CLONE_SOURCE, &zuf_i(copy->from)->flags);
	downgrade_write(&copy->from->i_rwsem);
}

/* The bit is this task's alone: nobody else had i_rwsem exclusive meanwhile. */
static void files_unlock(const struct zuf_copy *copy)
{
	if (test_bit(ZUF_I_CLONE_SOURCE, &zuf_i(copy->from)->flags)) {
		clear_bit(ZUF_I_CLONE_SOURCE, &zuf_i(copy->from)->flags);
		inode_unlock_shared(copy->from);
		inode_unlock(copy->to);
	} else {
		unlock_two_nondirectories(copy->to, copy->from);
	}
}

/* With i_rwsem of both; that of the source may be shared afterwards. */
static loff_t clone_locked(struct zuf_copy *copy, loff_t len, unsigned int remap_flags)
{
	loff_t ret = zuf_copy_prepare(copy);

	if (!ret)
		ret = dax_remap_file_range_prep(copy->from_file, copy->from_off, copy->to_file,
						copy->to_off, &len, remap_flags, &nothing_ops);
	if (ret || !len)
		return ret;
	ret = layouts_lock_idle(copy, len);
	if (ret)
		return ret;
	source_begin(copy);
	ret = clone_steps(copy, len);
	layouts_unlock(copy->to, copy->from);
	return ret;
}

loff_t zuf_remap_file_range(struct file *from_file, loff_t from_off, struct file *to_file,
			    loff_t to_off, loff_t len, unsigned int remap_flags)
{
	struct zuf_copy copy = {
		.from_file	= from_file,
		.to_file	= to_file,
		.from		= file_inode(from_file),
		.to		= file_inode(to_file),
		.from_off	= from_off,
		.to_off		= to_off,
		.flags		= remap_flags & REMAP_FILE_DEDUP ? ZUFS_COPY_DEDUPE :
				  ZUFS_COPY_CLONE,
	};
	loff_t ret;
	int err;

	if (remap_flags & ~(REMAP_FILE_DEDUP | REMAP_FILE_ADVISORY))
		return -EINVAL;
	if (!zuf_copy_possible(&copy, ZUFS_MF_CLONE))
		return -EOPNOTSUPP;
	ret = zuf_epoch_wait(zuf_mount_of(copy.to->i_sb));
	if (ret)
		return ret;
	lock_two_nondirectories(copy.to, copy.from);
	ret = clone_locked(&copy, len, remap_flags);
	files_unlock(&copy);
	err = ret > 0 ? zuf_copy_sync(&copy, to_off, ret) : 0;
	return err ?: ret;
}
