// SPDX-License-Identifier: GPL-2.0
/*
 * Regular files: read, write, fsync. What leases allow is copied by
 * dax_copy.c, all else by the kernel's DAX library. Both with page faults disabled,
 * as the user's buffer may be a mapping of this very file; between two steps the
 * pages are faulted in with nothing but i_rwsem held. See data.h for the two phases
 * of each step.
 */
#include <linux/dax.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include <linux/uio.h>

#include "data.h"

#define ZUF_TRIES_BEFORE_BOUNCE	2

/* ------------------------------------------------------------------- locking */

/* i_rwsem for reading the data; the size that an orphan left unknown is asked. */
int zuf_file_lock_shared(struct inode *inode)
{
	int err;

	for (;;) {
		if (down_read_killable(&inode->i_rwsem))
			return -EINTR;
		err = zuf_data_begin(inode);
		if (!err && likely(!test_bit(ZUF_I_STALE, &zuf_i(inode)->flags)))
			return 0;
		inode_unlock_shared(inode);
		if (err)
			return err;
		if (down_write_killable(&inode->i_rwsem))
			return -EINTR;
		err = zuf_refresh(inode);
		inode_unlock(inode);
		if (err)
			return err;
	}
}

int zuf_file_lock(struct inode *inode)
{
	int err;

	/* looked at first: the server's own task must not wait for its caller */
	if (unlikely(zuf_server_is_current(zuf_mount_of(inode->i_sb)->server)))
		return -EDEADLK;
	if (down_write_killable(&inode->i_rwsem))
		return -EINTR;
	err = zuf_data_begin(inode);
	if (!err)
		err = zuf_refresh(inode);
	if (err)
		inode_unlock(inode);
	return err;
}

/* --------------------------------------------------------------------- copy */

/* Inside one section of the gate. */
static ssize_t copy_section(struct kiocb *iocb, struct iov_iter *iter, size_t len)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	bool write = iov_iter_rw(iter) == ITER_SOURCE, entries;
	size_t hidden = iov_iter_count(iter) - len;
	int gate = zuf_gate_enter(inode);
	u64 ranges = 0;
	ssize_t ret;

	/* the library may drop zero pages of holes: not while a recall removes entries */
	entries = write && !mapping_empty(inode->i_mapping);
	if (entries)
		filemap_invalidate_lock_shared(inode->i_mapping);

	/* writes here have i_rwsem exclusive; reads meet those of the fast path */
	if (!write && zuf_leases_on(inode))
		ranges = zuf_range_lock(inode, iocb->ki_pos, len);
	iov_iter_truncate(iter, len);
	pagefault_disable();
	ret = dax_iomap_rw(iocb, iter, &zuf_iomap_ops);
	pagefault_enable();
	iov_iter_reexpand(iter, iov_iter_count(iter) + hidden);
	if (write)
		wmb();		/* before a recall that waits for us is acknowledged */
	if (ranges)
		zuf_range_unlock(inode, ranges);
	if (entries)
		filemap_invalidate_unlock_shared(inode->i_mapping);
	zuf_gate_leave(inode, gate);
	return ret;
}

/*
 * Copy at most @len bytes by the library; a short count where a page is out, or
 * where something was recalled. -EAGAIN: it was from the start.
 */
static ssize_t copy_mapped(struct kiocb *iocb, struct iov_iter *iter, size_t len)
{
	ssize_t ret = 0, done = 0;
	size_t step;

	while (done < len) {
		step = min_t(size_t, len - done, ZUF_GATE_MAX_BYTES);
		ret = copy_section(iocb, iter, step);
		if (ret > 0)
			done += ret;
		if (ret != step)
			break;
		cond_resched();
	}
	if (done || ret == -EFAULT)
		return done;
	return ret;
}

/* By leases alone. -EAGAIN: there are none for the first byte. */
static ssize_t copy_leased(struct kiocb *iocb, struct iov_iter *iter, size_t len)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret;

	if (!zuf_leases_on(inode))
		return -EAGAIN;
	ret = copy_mapped(iocb, iter, len);
	if (ret > 0)
		zuf_lease_count(zuf_mount_of(inode->i_sb), ZUF_LEASE_HITS, 1);
	return ret;
}

#define FAST_NOT_WHEN	(BIT(ZUF_I_INLINE) | BIT(ZUF_I_STALE) | BIT(ZUF_I_BAD))

/*
 * The fast path may be tried; it also wants leases of what is to be copied. With
 * i_rwsem held the answer lasts.
 */
static bool fast_ok(const struct inode *inode, unsigned long not_when)
{
	const struct zuf_mount *mount = zuf_mount_of(inode->i_sb);
	const struct zuf_inode *zi = zuf_i(inode);

	return mount->features & ZUFS_MF_LEASES && !READ_ONCE(mount->library_only) &&
	       !READ_ONCE(mount->shut) && IS_DAX(inode) && !(READ_ONCE(zi->flags) & not_when) &&
	       !atomic_read(&zi->orphans);
}

/* --------------------------------------------------------------------- read */

static ssize_t read_step(struct kiocb *iocb, struct iov_iter *to, size_t len)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	unsigned int restarts = 0;
	struct zuf_map map;
	ssize_t ret;
	int err;

	ret = copy_leased(iocb, to, len);
	while (ret == -EAGAIN) {
		ret = zuf_map_begin(&map, inode, zuf_fh(iocb->ki_filp), iocb->ki_pos, len,
				    i_size_read(inode), ZUFS_MAP_READ, restarts);
		if (ret)
			break;
		zuf_point(ZUF_POINT_READ_MAPPED, current);
		ret = copy_mapped(iocb, to, map.end - map.off);
		zuf_map_end(&map);
		if (ret != -EAGAIN)
			break;
		err = zuf_map_restart(inode, &restarts);
		if (err)
			ret = err;
	}
	return ret;
}

/* i_rwsem keeps the size. */
static size_t read_fast(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t size = i_size_read(inode);

	if (!fast_ok(inode, FAST_NOT_WHEN) || iocb->ki_pos >= size)
		return 0;
	return zuf_dax_copy(iocb, to, min_t(u64, iov_iter_count(to), size - iocb->ki_pos));
}

static ssize_t dax_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret = 0, done = read_fast(iocb, to);
	unsigned int idle = 0;
	size_t len, out;
	loff_t size;

	while (iov_iter_count(to)) {
		size = i_size_read(inode);
		if (iocb->ki_pos >= size)
			break;
		len = min3(iov_iter_count(to), (size_t)(size - iocb->ki_pos),
			   (size_t)ZUFS_MAP_MAX_BYTES);
		if (idle) {
			/* a page that failed before is all that must stay */
			if (idle > 1)
				len = min_t(size_t, len, PAGE_SIZE);
			out = fault_in_iov_iter_writeable(to, len);
			if (out == len) {
				ret = -EFAULT;
				break;
			}
			len -= out;
		}
		ret = read_step(iocb, to, len);
		if (ret < 0)
			break;
		done += ret;
		/* short: the answer ended, or the rest of the buffer is out */
		idle = ret == len ? 0 : ret ? 1 : idle + 1;
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
	}
	return done ? done : ret;
}

static bool file_has_data(struct inode *inode)
{
	return IS_DAX(inode) || test_bit(ZUF_I_INLINE, &zuf_i(inode)->flags);
}

/* What leases give at once; neither the server nor the caller's memory is waited for. */
static ssize_t read_nowait(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret = -EAGAIN;

	if (!inode_trylock_shared(inode))
		return -EAGAIN;
	if (fast_ok(inode, FAST_NOT_WHEN))
		ret = iocb->ki_pos >= i_size_read(inode) ? 0 : read_fast(iocb, to) ?: -EAGAIN;
	inode_unlock_shared(inode);
	if (ret >= 0)
		file_accessed(iocb->ki_filp);
	return ret;
}

static ssize_t zuf_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret;

	if (!iov_iter_count(to))
		return 0;
	if (unlikely(zuf_server_is_current(zuf_mount_of(inode->i_sb)->server)))
		return -EDEADLK;
	if (iocb->ki_flags & IOCB_NOWAIT)
		return read_nowait(iocb, to);
	ret = zuf_file_lock_shared(inode);
	if (ret)
		return ret;
	if (test_bit(ZUF_I_INLINE, &zuf_i(inode)->flags))
		ret = zuf_inline_read(iocb, to);
	else if (iocb->ki_pos < i_size_read(inode) && !file_has_data(inode))
		ret = -EOPNOTSUPP;
	else
		ret = dax_read(iocb, to);
	inode_unlock_shared(inode);
	file_accessed(iocb->ki_filp);
	return ret;
}

/* -------------------------------------------------------------------- write */

/* Make durable, and tell. @pos: where the copy of @written bytes began. */
static int write_finish(struct kiocb *iocb, struct zuf_map *map, loff_t pos, size_t written)
{
	struct inode *inode = map->inode;
	loff_t size = i_size_read(inode), end = pos + written;
	bool grows = end > size;
	int err;

	err = zuf_map_zero_edges(map, pos, end);
	if (err)
		return err;
	zuf_point(ZUF_POINT_BEFORE_FENCE, current);
	if (!map->owes_done && !grows && !iocb_is_dsync(iocb)) {
		wmb();		/* fsync flushes the device where it must */
		return 0;
	}
	err = zuf_mount_persist(zuf_mount_of(inode->i_sb));
	if (err)
		return err;
	if (!map->owes_done && !grows)
		return 0;
	if (map->has_word && end == map->end)
		return zuf_map_commit(map, pos, written, max(size, end));
	return zuf_map_done(map, pos, written, max(size, end), true);
}

static ssize_t write_copy(struct kiocb *iocb, struct iov_iter *from, size_t len)
{
	ssize_t ret, rest;

	if (!static_branch_unlikely(&zuf_points_on) || !zuf_points_active() || len < 2)
		return copy_mapped(iocb, from, len);
	ret = copy_mapped(iocb, from, len / 2);
	zuf_point(ZUF_POINT_COPYING, current);
	if (ret < (ssize_t)(len / 2))
		return ret;
	rest = copy_mapped(iocb, from, len - len / 2);
	return rest < 0 ? ret : ret + rest;
}

/*
 * Map what is to be written, and what of the file's tail has to be zero in front of it. A tail
 * in the block where the write begins is of the same map.
 */
static int write_begin(struct zuf_map *map, struct kiocb *iocb, size_t len, unsigned int restarts)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t size = i_size_read(inode), pos = iocb->ki_pos, off = pos;
	u64 fh = zuf_fh(iocb->ki_filp);
	int err = 0;

	if (pos > size && pos < zuf_block_end(size))
		off = size;
	else
		err = zuf_zero_tail(inode, fh, size, pos);
	if (err)
		return err;
	return zuf_map_begin(map, inode, fh, off,
			     min_t(u64, len + (pos - off), ZUFS_MAP_MAX_BYTES), size,
			     ZUFS_MAP_WRITE, restarts);
}

/* Under layout_sem. 0: not one byte of the buffer was resident. */
static ssize_t write_mapped(struct kiocb *iocb, struct iov_iter *from, size_t len,
			    unsigned int restarts)
{
	loff_t pos = iocb->ki_pos;
	struct zuf_map map;
	ssize_t ret;
	int err;

	err = write_begin(&map, iocb, len, restarts);
	if (err)
		return err;
	zuf_point(ZUF_POINT_MAPPED, current);
	ret = zuf_map_zero(&map, map.off, pos);
	if (!ret)
		ret = write_copy(iocb, from, map.end - pos);
	if (ret > 0) {
		err = write_finish(iocb, &map, pos, ret);
		if (err) {
			iov_iter_revert(from, ret);
			iocb->ki_pos = pos;
			ret = err;
		}
	}
	zuf_map_end(&map);
	return ret;
}

/*
 * An overwrite inside of what is leased for writing. Blocks neither come nor go,
 * so that it needs no layout_sem; i_rwsem keeps the size.
 */
static ssize_t write_leased(struct kiocb *iocb, struct iov_iter *from, size_t len)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t size = i_size_read(inode);
	ssize_t ret;
	int err;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (iocb->ki_pos >= size || len > size - iocb->ki_pos)
		return -EAGAIN;
	ret = copy_leased(iocb, from, len);
	if (ret <= 0)
		return ret;
	zuf_point(ZUF_POINT_BEFORE_FENCE, current);
	if (!iocb_is_dsync(iocb))
		return ret;
	err = zuf_mount_persist(zuf_mount_of(inode->i_sb));
	if (!err)
		return ret;
	iov_iter_revert(from, ret);
	iocb->ki_pos -= ret;
	return err;
}

static ssize_t write_step(struct kiocb *iocb, struct iov_iter *from, size_t len)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	struct zuf_inode *zi = zuf_i(inode);
	unsigned int restarts = 0;
	ssize_t ret;
	int err;

	ret = write_leased(iocb, from, len);
	while (ret == -EAGAIN) {
		ret = zuf_layout_lock(inode);
		if (ret)
			break;
		if (test_bit(ZUF_I_ZERO_PAGES, &zi->flags) && mapping_empty(inode->i_mapping))
			clear_bit(ZUF_I_ZERO_PAGES, &zi->flags);
		ret = write_mapped(iocb, from, len, restarts);
		up_write(&zi->layout_sem);
		if (ret != -EAGAIN)
			break;
		err = zuf_map_restart(inode, &restarts);
		if (err)
			ret = err;
	}
	return ret;
}

/*
 * The buffer is a mapping of the very page that is written, and goes whenever
 * the hole behind it fills; or somebody unmaps it all the time. One page of it
 * by way of kernel memory always makes progress.
 */
static ssize_t write_bounced(struct kiocb *iocb, struct iov_iter *from, size_t len)
{
	struct iov_iter iter;
	struct kvec kvec;
	size_t copied;
	ssize_t ret;

	len = min_t(size_t, len, PAGE_SIZE - offset_in_page(iocb->ki_pos));
	kvec.iov_base = (void *)__get_free_page(GFP_KERNEL);
	if (!kvec.iov_base)
		return -ENOMEM;
	copied = copy_from_iter(kvec.iov_base, len, from);
	if (!copied) {
		ret = -EFAULT;
		goto out;
	}
	kvec.iov_len = copied;
	iov_iter_kvec(&iter, ITER_SOURCE, &kvec, 1, copied);
	ret = write_step(iocb, &iter, copied);
	iov_iter_revert(from, copied - max_t(ssize_t, ret, 0));
out:
	free_page((unsigned long)kvec.iov_base);
	return ret;
}

static ssize_t dax_write(struct kiocb *iocb, struct iov_iter *from)
{
	unsigned int idle = 0;
	ssize_t ret = 0, done = 0;
	size_t len, out;

	while (iov_iter_count(from)) {
		len = min_t(size_t, iov_iter_count(from), ZUFS_MAP_MAX_BYTES);
		if (idle < ZUF_TRIES_BEFORE_BOUNCE) {
			/* a page that failed before is all that must stay */
			if (idle)
				len = min_t(size_t, len, PAGE_SIZE);
			out = fault_in_iov_iter_readable(from, len);
			if (out == len) {
				ret = -EFAULT;
				break;
			}
			ret = write_step(iocb, from, len - out);
		} else {
			ret = write_bounced(iocb, from, len);
		}
		if (ret < 0)
			break;
		idle = ret ? 0 : idle + 1;
		done += ret;
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
	}
	return done ? done : ret;
}

static ssize_t write_locked(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (IS_IMMUTABLE(inode))
		return -EPERM;		/* of a file that was open before */
	ret = generic_write_checks(iocb, from);
	if (ret <= 0)
		return ret;
	if (!file_has_data(inode))
		return -EOPNOTSUPP;
	ret = file_modified(iocb->ki_filp);
	if (ret)
		return ret;
	if (test_bit(ZUF_I_INLINE, &zuf_i(inode)->flags))
		return zuf_inline_write(iocb, from);
	return dax_write(iocb, from);
}

/* The data are durable; what O_DSYNC and O_SYNC want beyond that. */
static int write_sync(struct kiocb *iocb, ssize_t written)
{
	struct inode *inode = file_inode(iocb->ki_filp);

	if (!iocb_is_dsync(iocb))
		return 0;
	if (zuf_mount_of(inode->i_sb)->features & ZUFS_MF_FSYNC)
		return vfs_fsync_range(iocb->ki_filp, iocb->ki_pos - written, iocb->ki_pos - 1,
				       !(iocb->ki_flags & IOCB_SYNC));
	return iocb->ki_flags & IOCB_SYNC ? zuf_sync_times(inode, 0) : 0;
}

/*
 * What may change under i_rwsem shared: bytes in front of i_size, of a file with
 * nothing to strip and no zero pages of holes that the write would have to unmap,
 * and that nobody is cloning: source_begin().
 */
static bool write_fast_ok(const struct kiocb *iocb, const struct iov_iter *from)
{
	const struct inode *inode = file_inode(iocb->ki_filp);
	loff_t size = i_size_read(inode);

	return fast_ok(inode, FAST_NOT_WHEN | BIT(ZUF_I_ZERO_PAGES) |
			      BIT(ZUF_I_CLONE_SOURCE)) && IS_NOSEC(inode) &&
	       !IS_IMMUTABLE(inode) && iocb->ki_pos < size &&
	       iov_iter_count(from) <= size - iocb->ki_pos;
}

static ssize_t write_fast_locked(struct kiocb *iocb, struct iov_iter *from)
{
	struct zuf_mount *mount = zuf_mount_of(file_inode(iocb->ki_filp)->i_sb);
	ssize_t ret;
	int err;

	ret = generic_write_checks(iocb, from);
	if (ret <= 0)
		return ret;
	/* with NOWAIT too: nothing to strip, and times change in memory */
	err = file_modified(iocb->ki_filp);
	if (err)
		return err;
	ret = zuf_dax_copy(iocb, from, ret);
	if (!ret)
		return -EAGAIN;
	zuf_point(ZUF_POINT_BEFORE_FENCE, current);
	/* it has had its fence */
	if (likely(mount->dev_wide) || !iocb_is_dsync(iocb))
		return ret;
	err = zuf_mount_persist(mount);
	if (!err)
		return ret;
	iov_iter_revert(from, ret);
	iocb->ki_pos -= ret;
	return err;
}

/* As much as leases allow, from the start on; -EAGAIN: nothing. */
static ssize_t write_fast(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret;

	if (!zuf_leases_on(inode) || iocb->ki_flags & IOCB_APPEND)
		return -EAGAIN;
	/* looked at first: the server's own task must not wait for its caller */
	if (unlikely(zuf_server_is_current(zuf_mount_of(inode->i_sb)->server)))
		return -EDEADLK;
	if (iocb->ki_flags & IOCB_NOWAIT) {
		if (!inode_trylock_shared(inode))
			return -EAGAIN;
	} else if (down_read_killable(&inode->i_rwsem)) {
		return -EINTR;
	}
	ret = write_fast_ok(iocb, from) ? write_fast_locked(iocb, from) : -EAGAIN;
	inode_unlock_shared(inode);
	return ret;
}

static ssize_t write_exclusive(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret;

	/* not with i_rwsem, if it can be: readers go on */
	ret = zuf_epoch_wait(zuf_mount_of(inode->i_sb));
	if (!ret)
		ret = zuf_file_lock(inode);
	if (ret)
		return ret;
	ret = write_locked(iocb, from);
	inode_unlock(inode);
	return ret;
}

/* Durable, where it must be, by no more than the fence of the copy. */
static bool write_may_nowait(const struct kiocb *iocb)
{
	const struct zuf_mount *mount = zuf_mount_of(file_inode(iocb->ki_filp)->i_sb);

	if (!iocb_is_dsync(iocb))
		return true;
	return mount->dev_wide && !(iocb->ki_flags & IOCB_SYNC) &&
	       !(mount->features & ZUFS_MF_FSYNC);
}

static ssize_t zuf_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	ssize_t ret, done;
	int err;

	if (iocb->ki_flags & IOCB_NOWAIT && !write_may_nowait(iocb))
		return -EAGAIN;
	done = write_fast(iocb, from);
	if (done < 0 && done != -EAGAIN)
		return done;
	if (iocb->ki_flags & IOCB_NOWAIT)
		return done;
	done = max_t(ssize_t, done, 0);
	if (iov_iter_count(from)) {
		ret = write_exclusive(iocb, from);
		if (ret < 0 && !done)
			return ret;
		done += max_t(ssize_t, ret, 0);
	}
	err = done ? write_sync(iocb, done) : 0;
	return err ?: done;
}

/* -------------------------------------------------------------------- fsync */

static int fsync_send(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct inode *inode = file_inode(file);
	struct zufs_fsync_in in = {
		.inode		= zuf_i(inode)->handle,
		.fh		= zuf_fh(file),
		.off		= start,
		.len_bytes	= end == LLONG_MAX ? 0 : end - start + 1,
		.datasync	= datasync,
	};
	struct zuf_call call = {
		.mount	= zuf_mount_of(inode->i_sb),
		.op	= ZUFS_OP_FSYNC,
		.in	= &in,
		.inode	= { inode },
	};

	return zuf_call_retry(&call);
}

/* Never takes i_rwsem: a fault may get here with mmap_lock held. */
int zuf_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct inode *inode = file_inode(file);
	struct zuf_mount *mount = zuf_mount_of(inode->i_sb);
	int err;

	err = zuf_data_begin(inode);
	if (!err)
		err = file_write_and_wait_range(file, start, end);
	if (!err)
		err = zuf_mount_persist(mount);
	if (!err && !datasync)
		err = zuf_sync_times(inode, 0);
	if (!err && mount->features & ZUFS_MF_FSYNC)
		err = fsync_send(file, start, end, datasync);
	return err;
}

/* --------------------------------------------------------------------- mmap */

static int zuf_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct inode *inode = file_inode(file);

	if (unlikely(zuf_server_is_current(zuf_mount_of(inode->i_sb)->server)))
		return -EDEADLK;
	if (!IS_DAX(inode))		/* inline data have no pages */
		return -ENODEV;
	if (vma->vm_flags & VM_SYNC && !zuf_mount_maps_durably(zuf_mount_of(inode->i_sb)))
		return -EOPNOTSUPP;
	file_accessed(file);
	vma->vm_ops = &zuf_vm_ops;
	vm_flags_set(vma, VM_HUGEPAGE);
	return 0;
}

const struct inode_operations zuf_file_iops = {
	.permission	= zuf_permission,
	.setattr	= zuf_setattr,
	.getattr	= zuf_getattr,
	.listxattr	= zuf_listxattr,
	.ZUF_GET_ACL	= zuf_get_acl,
	.set_acl	= zuf_set_acl,
	.fiemap		= zuf_fiemap,
	.fileattr_get	= zuf_fileattr_get,
	.fileattr_set	= zuf_fileattr_set,
};

/* Both tables but for the locks. */
#define FILE_FOPS					\
	.owner		= THIS_MODULE,			\
	.llseek		= zuf_llseek,			\
	.read_iter	= zuf_read_iter,		\
	.write_iter	= zuf_write_iter,		\
	.mmap		= zuf_mmap,			\
	.get_unmapped_area = thp_get_unmapped_area,	\
	.open		= zuf_open,			\
	.release	= zuf_release,			\
	.fsync		= zuf_fsync,			\
	.fallocate	= zuf_fallocate,		\
	.copy_file_range = zuf_copy_file_range,		\
	.remap_file_range = zuf_remap_file_range,	\
	.unlocked_ioctl	= zuf_ioctl,			\
	.compat_ioctl	= compat_ptr_ioctl,		\
	.splice_read	= copy_splice_read,		\
	.splice_write	= iter_file_splice_write,	\
	ZUF_FOPS_FLAGS

const struct file_operations zuf_file_fops = { FILE_FOPS };
const struct file_operations zuf_file_lock_fops = {
	FILE_FOPS,
	.lock		= zuf_lock,
	.flock		= zuf_flock,
};
