// SPDX-License-Identifier: GPL-2.0
/*
 * copy_file_range(2) by the server, which has the bytes of both files before it. While it
 * copies nobody else uses the range that is written: it may get other blocks. What the
 * server cannot do, and what it only began, the caller gets by the VFS's own copy.
 */
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>

#include "data.h"

enum zuf_rule zuf_check_copy(const struct zuf_reply *reply)
{
	const struct zufs_copy_in *in = reply->call ? reply->call->in : NULL;
	const struct zufs_copy_out *out = reply->out;
	u64 size;

	if (in) {
		if (!out->copied_bytes || out->copied_bytes > in->len_bytes)
			return ZUF_RULE_WRITTEN;
		/* of blocks that files share there are no parts */
		if (in->flags && out->copied_bytes != in->len_bytes &&
		    !IS_ALIGNED(out->copied_bytes, ZUFS_BLOCK_BYTES))
			return ZUF_RULE_WRITTEN;
		size = max(in->to_size_bytes, in->to_off + out->copied_bytes);
		if (out->attr.size_bytes != size)
			return ZUF_RULE_FILE_SIZE;
	}
	return zuf_check_attr(reply->mount, &out->attr, reply->call ? reply->call->inode[0] : NULL);
}

static int copy_send(const struct zuf_copy *copy, struct zufs_copy_out *out)
{
	struct zufs_copy_in in = {
		.to		= zuf_i(copy->to)->handle,
		.to_fh		= zuf_fh(copy->to_file),
		.from		= zuf_i(copy->from)->handle,
		.from_fh	= zuf_fh(copy->from_file),
		.to_off		= copy->to_off,
		.from_off	= copy->from_off,
		.len_bytes	= copy->len_bytes,
		.to_size_bytes	= i_size_read(copy->to),
		.now		= zuf_time_to_wire(current_time(copy->to)),
		.flags		= copy->flags,
	};
	struct zuf_call call = {
		.mount	= zuf_mount_of(copy->to->i_sb),
		.op	= ZUFS_OP_COPY,
		.in	= &in,
		.out	= out,
		.inode	= { copy->to, copy->from },
	};
	int err = zuf_call_retry(&call);

	if (err == -EIO)
		set_bit(ZUF_I_STALE, &zuf_i(copy->to)->flags);
	return err;
}

ssize_t zuf_copy_do(const struct zuf_copy *copy)
{
	loff_t size = i_size_read(copy->to), end = copy->to_off + copy->len_bytes;
	struct zufs_copy_out out;
	int err = 0;

	if (copy->to_off > size)
		err = zuf_zero_tail(copy->to, zuf_fh(copy->to_file), size, copy->to_off);
	if (!err)
		err = zuf_times_lock(copy->to);
	if (err)
		return err;
	err = copy_send(copy, &out);
	zuf_lease_changed(copy->to, copy->to_off, end);
	/* of one file, the map that zeroed the tail may have leased what is shared from now on */
	if (copy->flags)
		zuf_lease_changed(copy->from, copy->from_off, copy->from_off + copy->len_bytes);
	if (!err)
		zuf_attr_apply(copy->to, &out.attr, true);
	zuf_times_unlock(copy->to);
	return err ?: out.copied_bytes;
}

/* Whole blocks of the range, and what lies between it and the end of the file. */
static ssize_t copy_locked(const struct zuf_copy *copy)
{
	loff_t first = round_down(min(copy->to_off, i_size_read(copy->to)), ZUFS_BLOCK_BYTES);
	loff_t last = zuf_block_last(copy->to_off + copy->len_bytes);
	ssize_t ret;

	inode_dio_wait(copy->to);
	ret = file_modified(copy->to_file);
	if (!ret)
		ret = zuf_layout_lock_idle(copy->to, first, last);
	if (ret)
		return ret;
	ret = zuf_copy_do(copy);
	up_write(&zuf_i(copy->to)->layout_sem);
	return ret;
}

static int prepare_one(struct inode *inode)
{
	int err = zuf_data_begin(inode);

	return err ?: zuf_refresh(inode);
}

int zuf_copy_prepare(const struct zuf_copy *copy)
{
	int err = prepare_one(copy->to);

	if (!err && copy->from != copy->to)
		err = prepare_one(copy->from);
	return err;
}

static ssize_t copy_step(struct zuf_copy *copy)
{
	loff_t size;
	ssize_t ret;

	ret = zuf_epoch_wait(zuf_mount_of(copy->to->i_sb));
	if (ret)
		return ret;
	lock_two_nondirectories(copy->to, copy->from);
	ret = zuf_copy_prepare(copy);
	if (ret)
		goto out_unlock;
	ret = -EPERM;
	if (IS_IMMUTABLE(copy->to))
		goto out_unlock;
	ret = 0;
	size = i_size_read(copy->from);
	if (copy->from_off >= size)
		goto out_unlock;
	copy->len_bytes = min_t(u64, copy->len_bytes, size - copy->from_off);
	ret = copy_locked(copy);
out_unlock:
	unlock_two_nondirectories(copy->to, copy->from);
	return ret;
}

bool zuf_copy_possible(const struct zuf_copy *copy, u64 feature)
{
	const struct zuf_mount *mount = zuf_mount_of(copy->to->i_sb);

	return copy->from->i_sb == copy->to->i_sb && mount->features & feature &&
	       IS_DAX(copy->to) && IS_DAX(copy->from) && !zuf_server_is_current(mount->server);
}

static ssize_t copy_all(struct zuf_copy *copy, size_t len)
{
	ssize_t ret = 0, done = 0;

	while (done < len) {
		copy->len_bytes = min_t(u64, len - done, ZUFS_MAP_MAX_BYTES);
		ret = copy_step(copy);
		if (ret <= 0)
			break;
		copy->from_off += ret;
		copy->to_off += ret;
		done += ret;
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		cond_resched();
	}
	return done ?: ret;
}

int zuf_copy_sync(const struct zuf_copy *copy, loff_t to_off, loff_t bytes)
{
	if (!(copy->to_file->f_flags & O_DSYNC) && !IS_SYNC(copy->to))
		return 0;
	return vfs_fsync_range(copy->to_file, to_off, to_off + bytes - 1,
			       !(copy->to_file->f_flags & __O_SYNC));
}

ssize_t zuf_copy_file_range(struct file *from_file, loff_t from_off, struct file *to_file,
			    loff_t to_off, size_t len, unsigned int flags)
{
	struct zuf_copy copy = {
		.from_file	= from_file,
		.to_file	= to_file,
		.from		= file_inode(from_file),
		.to		= file_inode(to_file),
		.from_off	= from_off,
		.to_off		= to_off,
	};
	ssize_t ret = -EOPNOTSUPP;
	int err = 0;

	if (zuf_copy_possible(&copy, ZUFS_MF_COPY))
		ret = copy_all(&copy, len);
	if (ret == -EOPNOTSUPP || ret == -EXDEV)
		return zuf_splice_copy(from_file, from_off, to_file, to_off, len);
	if (ret > 0)
		err = zuf_copy_sync(&copy, to_off, ret);
	return err ?: ret;
}
