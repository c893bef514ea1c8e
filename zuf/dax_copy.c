// SPDX-License-Identifier: GPL-2.0
/*
 * The fast path: reads and overwrites inside of leases, copied here under i_rwsem
 * shared, which the kernel's DAX library does not allow for writes. What this does
 * not take (holes, new blocks, pages that are out, media errors) is left to the
 * library path in file.c, from the byte on where it stopped.
 *
 * i_rwsem keeps the file's size. The gate keeps the lease. The range bits keep one
 * section, of at most ZUF_GATE_MAX_BYTES, from seeing half of another.
 */
#include <linux/dax.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>
#include <linux/wait_bit.h>

#include "data.h"

#define RANGE_BITS		64u
#define RANGE_SPINS		200u	/* about as long as a block takes */

/* ---------------------------------------------------------------- range bits */

/* One bit a block, in turn. */
static u64 range_mask(u64 off, u64 len_bytes)
{
	u64 first = off / ZUFS_BLOCK_BYTES;
	u64 blocks = (off + len_bytes - 1) / ZUFS_BLOCK_BYTES - first + 1;

	if (blocks >= RANGE_BITS)
		return U64_MAX;
	return rol64((1ull << blocks) - 1, first % RANGE_BITS);
}

static bool range_try(struct zuf_inode *zi, u64 bit)
{
	return !(atomic64_fetch_or_acquire(bit, &zi->ranges) & bit);
}

static bool range_spin(struct zuf_inode *zi, u64 bit)
{
	unsigned int spins;

	for (spins = 0; spins < RANGE_SPINS && !need_resched(); spins++) {
		if (!(atomic64_read(&zi->ranges) & bit) && range_try(zi, bit))
			return true;
		cpu_relax();
	}
	return false;
}

/* Each of several by itself, in ascending order: no circle of who waits for whom. */
static noinline void range_lock_slow(struct zuf_inode *zi, u64 mask)
{
	u64 bit;

	for (; mask; mask &= mask - 1) {
		bit = mask & -mask;
		if (range_spin(zi, bit))
			continue;
		atomic_inc(&zi->range_waiters);
		smp_mb__after_atomic();		/* pairs with zuf_range_unlock() */
		wait_var_event(&zi->ranges, range_try(zi, bit));
		atomic_dec(&zi->range_waiters);
	}
}

u64 zuf_range_lock(struct inode *inode, u64 off, u64 len_bytes)
{
	struct zuf_inode *zi = zuf_i(inode);
	u64 mask = range_mask(off, len_bytes);
	s64 old = atomic64_read(&zi->ranges);

	while (likely(!(old & mask)))
		if (likely(atomic64_try_cmpxchg_acquire(&zi->ranges, &old, old | mask)))
			return mask;
	range_lock_slow(zi, mask);
	return mask;
}

void zuf_range_unlock(struct inode *inode, u64 mask)
{
	struct zuf_inode *zi = zuf_i(inode);

	(void)atomic64_fetch_andnot_release(mask, &zi->ranges);
	smp_mb__after_atomic();		/* pairs with range_lock_slow() */
	if (unlikely(atomic_read(&zi->range_waiters)))
		wake_up_var(&zi->ranges);
}

/* ---------------------------------------------------------------------- copy */

/* To or from one contiguous piece of memory. Short: a page of the buffer is out. */
static size_t copy_piece(struct dax_device *dax, void *kaddr, size_t bytes, struct iov_iter *iter)
{
	size_t copied;

	if (iov_iter_rw(iter) == ITER_DEST)
		return _copy_mc_to_iter(kaddr, bytes, iter);
	copied = _copy_from_iter_flushcache(kaddr, bytes, iter);
	/* the end of a copy that stopped went through the cache */
	if (unlikely(copied && copied < bytes))
		dax_flush(dax, kaddr, copied);
	return copied;
}

/* Bytes copied, -EFAULT where not one was, -EAGAIN where the library must look. */
static ssize_t copy_extent(struct inode *inode, const struct zufs_extent *ext, u64 off,
			   size_t len, struct iov_iter *iter)
{
	const struct zuf_device *device = zuf_device(zuf_mount_of(inode->i_sb), ext->dev);
	u64 at = device->dax_off + ext->dev_off + (off - ext->file_off);
	size_t done = 0, bytes = 0, copied = 0;
	void *kaddr;
	long pages;
	int id;

	id = dax_read_lock();
	pagefault_disable();
	while (done < len && copied == bytes) {
		unsigned int skip = offset_in_page(at);

		pages = dax_direct_access(device->dax, PHYS_PFN(at),
					  PHYS_PFN(len - done + skip + PAGE_SIZE - 1),
					  DAX_ACCESS, &kaddr, NULL);
		if (unlikely(pages <= 0))
			break;
		bytes = min_t(size_t, len - done, PFN_PHYS(pages) - skip);
		copied = copy_piece(device->dax, kaddr + skip, bytes, iter);
		done += copied;
		at += copied;
	}
	pagefault_enable();
	dax_read_unlock(id);
	if (done)
		return done;
	return copied < bytes ? -EFAULT : -EAGAIN;
}

/* One section of the gate, inside of one lease; @len is what is left of @iter. */
static ssize_t copy_section(struct inode *inode, u64 off, size_t len, struct iov_iter *iter)
{
	bool write = iov_iter_rw(iter) == ITER_SOURCE;
	int gate = zuf_gate_enter(inode);
	struct zufs_extent ext;
	ssize_t ret = -EAGAIN;
	u64 ranges;

	if (!zuf_lease_find(inode, off, write, &ext) || ext.type != ZUFS_EXT_DATA)
		goto out;
	len = min3((u64)len, (u64)ZUF_GATE_MAX_BYTES, ext.len_bytes - (off - ext.file_off));
	ranges = zuf_range_lock(inode, off, len);
	ret = copy_extent(inode, &ext, off, len, iter);
	if (write)
		wmb();		/* durable before others see it, or a recall ends */
	zuf_range_unlock(inode, ranges);
out:
	zuf_gate_leave(inode, gate);
	return ret;
}

/* Bring in at least the page that was missing. */
static bool fault_in(struct iov_iter *iter)
{
	size_t len = min_t(size_t, iov_iter_count(iter), ZUF_GATE_MAX_BYTES);

	if (iov_iter_rw(iter) == ITER_SOURCE)
		return fault_in_iov_iter_readable(iter, len) < len;
	return fault_in_iov_iter_writeable(iter, len) < len;
}

size_t zuf_dax_copy(struct kiocb *iocb, struct iov_iter *iter, size_t len)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	size_t hidden = iov_iter_count(iter) - len, done = 0;
	bool faulted = false;
	ssize_t ret;

	lockdep_assert_held(&inode->i_rwsem);
	iov_iter_truncate(iter, len);
	while (done < len) {
		ret = copy_section(inode, iocb->ki_pos, len - done, iter);
		if (ret > 0) {
			iocb->ki_pos += ret;
			done += ret;
			faulted = false;
			if (done < len && fatal_signal_pending(current))
				break;
			cond_resched();
			continue;
		}
		/* the same page again: the library knows what to do */
		if (ret != -EFAULT || faulted || iocb->ki_flags & IOCB_NOWAIT ||
		    !fault_in(iter))
			break;
		faulted = true;
	}
	iov_iter_reexpand(iter, iov_iter_count(iter) + hidden);
	if (done)
		zuf_lease_count(zuf_mount_of(inode->i_sb), ZUF_LEASE_HITS, 1);
	return done;
}
