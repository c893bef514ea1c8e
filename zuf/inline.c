// SPDX-License-Identifier: GPL-2.0
/*
 * Inline data: files whose bytes travel in the messages, a region's payload at
 * a time. They have no blocks to map, so mmap refuses them.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "data.h"

/* The bytes lie behind the extent that describes them. */
#define ZUF_INLINE_READ_MAX	(ZUFS_PAYLOAD_MAX_BYTES - sizeof(struct zufs_extent))

enum zuf_rule zuf_check_write(const struct zuf_reply *reply)
{
	const struct zufs_write_out *out = reply->out;
	const struct zuf_call *call = reply->call;

	if (call) {
		const struct zufs_write_in *in = call->in;

		if (out->written_bytes > in->len_bytes)
			return ZUF_RULE_WRITTEN;
	}
	return zuf_check_attr(reply->mount, &out->attr, call ? call->inode[0] : NULL);
}

/* Fetch at most @len bytes at @pos into @buf; *data points to them. */
static ssize_t inline_fetch(struct inode *inode, u64 fh, loff_t pos, size_t len, void *buf,
			    const void **data)
{
	struct zufs_map_in in = {
		.inode		= zuf_i(inode)->handle,
		.fh		= fh,
		.off		= pos,
		.len_bytes	= len,
		.size_bytes	= i_size_read(inode),
		.flags		= ZUFS_MAP_READ,
		.max_extents	= 1,
	};
	struct zufs_map_out out;
	struct zuf_call call = {
		.mount		= zuf_mount_of(inode->i_sb),
		.op		= ZUFS_OP_MAP,
		.in		= &in,
		.out		= &out,
		.reply_buf	= buf,
		.reply_max	= len + sizeof(struct zufs_extent),
		.inode		= { inode },
	};
	const struct zufs_extent *ext = buf;
	int err = zuf_call_retry(&call);

	if (err)
		return err;
	*data = buf + ext->dev_off + (pos - ext->file_off);
	return min_t(u64, len, ext->len_bytes - (pos - ext->file_off));
}

ssize_t zuf_inline_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t size = i_size_read(inode);
	ssize_t ret = 0, done = 0;
	const void *data;
	size_t max, copied;
	void *buf;

	if (iocb->ki_pos >= size)
		return 0;
	max = min3(iov_iter_count(to), (size_t)(size - iocb->ki_pos), ZUF_INLINE_READ_MAX);
	buf = kvmalloc(max + sizeof(struct zufs_extent), GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	while (iov_iter_count(to) && iocb->ki_pos < size) {
		ret = inline_fetch(inode, zuf_fh(iocb->ki_filp), iocb->ki_pos,
				   min3(iov_iter_count(to), (size_t)(size - iocb->ki_pos), max),
				   buf, &data);
		if (ret < 0)
			break;
		/* with i_rwsem shared, as every filesystem's buffered read */
		copied = copy_to_iter(data, ret, to);
		iocb->ki_pos += copied;
		done += copied;
		if (copied < ret) {
			ret = -EFAULT;
			break;
		}
	}
	kvfree(buf);
	return done ? done : ret;
}

/* Send @len bytes of @from, or from @bounce. 0: the buffer is not resident. */
static ssize_t inline_send(struct kiocb *iocb, struct iov_iter *from, void *bounce, size_t len)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct iov_iter bytes;
	struct zufs_write_in in = {
		.inode		= zuf_i(inode)->handle,
		.fh		= zuf_fh(iocb->ki_filp),
		.off		= iocb->ki_pos,
		.size_bytes	= i_size_read(inode),
		.mtime		= zuf_time_to_wire(inode_get_mtime(inode)),
		.len_bytes	= len,
	};
	struct zufs_write_out out;
	struct zuf_call call = {
		.mount		= zuf_mount_of(inode->i_sb),
		.op		= ZUFS_OP_WRITE,
		.in		= &in,
		.out		= &out,
		.seg[0]		= { bounce, len },
		.num_segs	= bounce ? 1 : 0,
		.iter		= &bytes,
		.iter_bytes	= bounce ? 0 : len,
		.inode		= { inode },
	};
	struct zuf_busy busy = {};
	int err;

	do {
		bytes = *from;		/* a round that was answered "busy" used it */
		err = zuf_call(&call);
	} while (err == -EAGAIN && !(err = zuf_busy_wait(&busy, call.mount)));
	if (err == -EFAULT && !bounce)
		return 0;
	if (err)
		return err;
	zuf_attr_apply(inode, &out.attr, true);
	iov_iter_advance(from, out.written_bytes);
	iocb->ki_pos += out.written_bytes;
	return out.written_bytes ?: -EIO;
}

/* A buffer that never stays resident, or a server that answers EFAULT. */
static ssize_t inline_bounced(struct kiocb *iocb, struct iov_iter *from, size_t len)
{
	void *bounce = (void *)__get_free_page(GFP_KERNEL);
	struct iov_iter bytes = *from;
	ssize_t ret = -EFAULT;
	size_t copied;

	if (!bounce)
		return -ENOMEM;
	copied = copy_from_iter(bounce, min_t(size_t, len, PAGE_SIZE), &bytes);
	if (copied)
		ret = inline_send(iocb, from, bounce, copied);
	free_page((unsigned long)bounce);
	return ret;
}

ssize_t zuf_inline_write(struct kiocb *iocb, struct iov_iter *from)
{
	ssize_t ret = 0, done = 0;
	bool idle = false;
	size_t len, out;

	while (iov_iter_count(from)) {
		len = min_t(size_t, iov_iter_count(from), ZUFS_PAYLOAD_MAX_BYTES);
		out = fault_in_iov_iter_readable(from, len);
		if (out == len) {
			ret = -EFAULT;
			break;
		}
		if (idle)
			ret = inline_bounced(iocb, from, len - out);
		else
			ret = inline_send(iocb, from, NULL, len - out);
		if (ret < 0)
			break;
		idle = !ret;
		done += ret;
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
	}
	return done ? done : ret;
}
