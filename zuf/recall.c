// SPDX-License-Identifier: GPL-2.0
/*
 * RECALL: taking back from the kernel what its server let it keep. Each runs as a
 * work of its own, as it may wait for pages that somebody pinned:
 *
 *	0 if a page was faulted in just now, leave it for a while
 *	1 fence the range; mark leases and answers in use
 *	2 wait for who is inside the gate
 *	3 under invalidate_lock: flush and write-protect what is mapped
 *	4 if a page is pinned, drop the lock, wait for it, go to 3; or end, if only tried
 *	5 remove the DAX entries: unmapping alone would leave the old block in them,
 *	  and a later fsync would flush that
 *	6 drop the fence, tell the server
 *
 * A downgrade leaves the leases for reading and stops after 3. Nothing here takes
 * a lock of the first kind, or waits for the server.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "relay.h"
#include "data.h"

#define ZUF_RECALL_TRY_MS	100u	/* I/O that pins pages may end by itself */
#define ZUF_RECALLS_MAX		4096u	/* of a mount, not yet read by its server */

/* One of the server's; an inode's work holds a reference. */
struct zuf_recall {
	struct zuf_recall_end end;	/* first: who reads it frees it */
	struct work_struct work;	/* finds the inodes */
	struct zuf_mount *mount;	/* referenced */
	struct super_block *sb;		/* zuf_recalls_stop() waits for us */
	struct zufs_recall wire;
	refcount_t ref;
};

struct recall_inode {
	struct work_struct work;
	struct zuf_recall *recall;
	struct inode *inode;
	struct zuf_fence fence;
};

static struct workqueue_struct *recall_wq;

/* ----------------------------------------------------------------- one inode */

/*
 * Its last unpin wakes us; looks now and then whether the mount was aborted. 0, -EIO:
 * the mount ends, -EBUSY: it is only tried, and somebody keeps the page.
 */
static int recall_wait_page(struct zuf_mount *mount, struct page *page, bool try)
{
	zuf_lease_count(mount, ZUF_LEASE_PINNED_WAITS, 1);
	while (!READ_ONCE(mount->aborted) && !READ_ONCE(mount->recalls_stopped)) {
		if (wait_var_event_timeout(&page->_refcount, page_ref_count(page) == 1,
					   msecs_to_jiffies(ZUF_RECALL_TRY_MS)))
			return 0;
		if (try)
			return -EBUSY;
	}
	return -EIO;
}

static int recall_unmap(struct inode *inode, const struct zuf_fence *fence, u32 flags)
{
	loff_t last = fence->end == LLONG_MAX ? LLONG_MAX : fence->end - 1;
	struct address_space *mapping = inode->i_mapping;
	struct page *page = NULL;
	int err, ret = 0;

	for (;;) {
		filemap_invalidate_lock(mapping);
		if (flags & ZUFS_RECALL_DOWNGRADE)
			err = zuf_entries_flush(inode, fence->start, last);
		else
			page = zuf_entries_drop(inode, fence->start, last, true, &err);
		filemap_invalidate_unlock(mapping);
		ret = ret ?: err;
		if (!page)
			return ret;
		err = recall_wait_page(zuf_mount_of(inode->i_sb), page,
				       flags & ZUFS_RECALL_TRY);
		if (err)
			return err;	/* all stays as it is */
	}
}

/*
 * Who has just mapped a page has not used it yet, and a store that crosses into another
 * page needs both. Were the first taken while he asks for the second, and his asking a
 * reason for the next recall, he would never get on; nor where this work runs whenever
 * a fault returns, on a kernel that is not preempted. So there is a least time to hold
 * what was faulted in, as GFS2 has for its locks; before the fence, which would keep
 * the second page away.
 */
static void recall_hold(const struct zuf_leases *leases)
{
	s64 left_ns = READ_ONCE(leases->hold_until_ns) - ktime_get_ns();	/* fault_hold() */
	unsigned long left_us;

	if (likely(left_ns <= 0))
		return;
	left_us = div_u64(left_ns, NSEC_PER_USEC) + 1;
	usleep_range(left_us, 2 * left_us);
}

static int recall_one(struct inode *inode, struct zuf_fence *fence, u64 seq, u32 flags)
{
	bool downgrade = flags & ZUFS_RECALL_DOWNGRADE;
	struct zuf_mount *mount = zuf_mount_of(inode->i_sb);
	struct zuf_leases *leases = &zuf_i(inode)->leases;
	u64 lost;
	int err;

	recall_hold(leases);
	zuf_map_let_starving_go(inode);
	mutex_lock(&leases->lock);
	zuf_fence_add(inode, fence);
	zuf_maps_recall(inode, fence->start, fence->end, seq, downgrade);
	lost = zuf_lease_kill(inode, fence->start, fence->end, seq, downgrade);
	mutex_unlock(&leases->lock);
	zuf_lease_count(mount, ZUF_LEASE_RECALL_HITS, lost ? 1 : 0);
	zuf_lease_count(mount, ZUF_LEASE_RECALLED, lost);
	zuf_point_work(ZUF_POINT_RECALL_MARKED);
	synchronize_srcu(&mount->gate);
	err = recall_unmap(inode, fence, flags);
	zuf_fence_del(inode, fence);
	return err;
}

/* ------------------------------------------------------------- which inodes */

/* The last one has ended: let the superblock go, tell the server. */
static void recall_put(struct zuf_recall *recall)
{
	if (refcount_dec_and_test(&recall->ref))
		zuf_recall_ended(recall->mount, &recall->end);
}

static void recall_inode_work(struct work_struct *work)
{
	struct recall_inode *one = container_of(work, struct recall_inode, work);
	struct zuf_recall *recall = one->recall;
	u64 seq = recall->wire.ino && recall->wire.seq ? recall->wire.seq : ZUF_LEASE_SEQ_ALL;
	int err;

	err = recall_one(one->inode, &one->fence, seq, recall->wire.flags);
	/* of several inodes: that stores may be lost is worse */
	if (err && READ_ONCE(recall->end.err) != -EIO)
		WRITE_ONCE(recall->end.err, err == -EBUSY ? -EBUSY : -EIO);
	iput(one->inode);
	kfree(one);
	recall_put(recall);
}

/* Of its range, in whole blocks; sums that are behind all numbers: to the end. */
static u64 recall_end(const struct zufs_recall *wire)
{
	u64 end;

	if (!wire->len_bytes || check_add_overflow(wire->off, wire->len_bytes, &end) ||
	    end > LLONG_MAX)
		return LLONG_MAX;
	return zuf_block_end(end);
}

/* Takes the reference to @inode over. */
static void recall_start(struct zuf_recall *recall, struct inode *inode)
{
	const struct zufs_recall *wire = &recall->wire;
	struct recall_inode *one;

	if (!S_ISREG(inode->i_mode) || !IS_DAX(inode)) {
		iput(inode);
		return;
	}
	one = kmalloc(sizeof(*one), GFP_KERNEL | __GFP_NOFAIL);
	INIT_WORK(&one->work, recall_inode_work);
	one->recall = recall;
	one->inode = inode;
	one->fence.start = round_down(wire->off, ZUFS_BLOCK_BYTES);
	one->fence.end = recall_end(wire);
	one->fence.task = NULL;
	refcount_inc(&recall->ref);
	queue_work(recall_wq, &one->work);
}

static int recall_test(struct inode *inode, void *data)
{
	const struct zufs_recall *wire = data;

	return inode->i_ino == wire->ino && zuf_i(inode)->gen == wire->gen;
}

static void recall_start_all(struct zuf_recall *recall)
{
	struct super_block *sb = recall->sb;
	struct inode *inode, *last = NULL;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		/* one that is being made, or that goes, has nothing yet, or no more */
		if (inode->i_state & I_NEW || !igrab(inode))
			continue;
		spin_unlock(&sb->s_inode_list_lock);
		/* @inode keeps our place in the list, once more after this */
		ihold(inode);
		recall_start(recall, inode);
		iput(last);
		last = inode;
		cond_resched();
		spin_lock(&sb->s_inode_list_lock);
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(last);
}

/*
 * One that is being evicted is on the superblock's list no more, but its entries may wait
 * for who uses their pages (zuf_data_evict()). It has nothing else; it is still hashed.
 */
static void recall_await_evicted(struct zuf_recall *recall)
{
	struct xarray *mapped = &recall->mount->mapped;
	struct zufs_recall key = {};
	struct zuf_inode *zi;
	unsigned long id = 0;
	bool going;

	for (;;) {
		rcu_read_lock();	/* zuf_free_inode() */
		zi = xa_find_after(mapped, &id, ULONG_MAX, XA_PRESENT);
		if (zi) {
			going = READ_ONCE(zi->vfs_inode.i_state) & (I_FREEING | I_WILL_FREE);
			key.ino = zi->vfs_inode.i_ino;
			key.gen = zi->gen;
		}
		rcu_read_unlock();
		if (!zi)
			return;
		cond_resched();
		if (going && recall->wire.flags & ZUFS_RECALL_TRY)
			cmpxchg(&recall->end.err, 0, -EBUSY);
		else if (going)		/* returns when it has gone */
			iput(ilookup5(recall->sb, key.ino, recall_test, &key));
	}
}

/* Before a page of it is mapped. May sleep; 0, -ENOMEM. */
int zuf_recall_mapped(struct inode *inode)
{
	struct zuf_mount *mount = zuf_mount_of(inode->i_sb);
	struct zuf_inode *zi = zuf_i(inode);
	u32 id;
	int err;

	if (likely(READ_ONCE(zi->mapped_id)) || !zuf_leases_on(inode))
		return 0;
	err = xa_alloc(&mount->mapped, &id, zi, xa_limit_32b, GFP_NOFS | __GFP_ACCOUNT);
	if (err)
		return -ENOMEM;
	if (cmpxchg(&zi->mapped_id, 0, id))
		xa_erase(&mount->mapped, id);	/* another fault was first */
	return 0;
}

void zuf_recall_forget(struct inode *inode)
{
	struct zuf_inode *zi = zuf_i(inode);

	if (zi->mapped_id)
		xa_erase(&zuf_mount_of(inode->i_sb)->mapped, zi->mapped_id);
	zi->mapped_id = 0;
}

static void recall_work(struct work_struct *work)
{
	struct zuf_recall *recall = container_of(work, struct zuf_recall, work);
	struct zufs_recall *wire = &recall->wire;
	struct inode *inode;

	if (wire->ino) {
		inode = ilookup5(recall->sb, wire->ino, recall_test, wire);
		if (inode)
			recall_start(recall, inode);
	} else {
		recall_start_all(recall);
		recall_await_evicted(recall);
	}
	recall_put(recall);
}

/* --------------------------------------------------------------- mount file */

/*
 * Unless the superblock ends or is not yet there. It does not end before
 * mount->recalls_running, which counts us then, is 0.
 */
static bool recall_may_run(struct zuf_mount *mount)
{
	bool live;

	mutex_lock(&mount->file_lock);
	live = !mount->recalls_stopped && READ_ONCE(mount->state) == ZUF_MOUNT_LIVE;
	if (live)
		atomic_inc(&mount->recalls_running);
	mutex_unlock(&mount->file_lock);
	return live;
}

void zuf_recalls_stop(struct zuf_mount *mount)
{
	mutex_lock(&mount->file_lock);
	WRITE_ONCE(mount->recalls_stopped, true);
	mutex_unlock(&mount->file_lock);
	/* they wait for nobody but users of pages, and those no longer */
	wait_var_event(&mount->recalls_running, !atomic_read(&mount->recalls_running));
}

void zuf_recall_hold(struct zuf_mount *mount)
{
	atomic_inc(&mount->recalls_running);
	zuf_mount_get(mount);
}

void zuf_recall_drop(struct zuf_mount *mount)
{
	if (atomic_dec_and_test(&mount->recalls_running))
		wake_up_var(&mount->recalls_running);
	zuf_mount_put(mount);
}

int zuf_recall_enter(struct zuf_mount *mount)
{
	if (atomic_inc_return(&mount->num_recalls) > ZUF_RECALLS_MAX) {
		atomic_dec(&mount->num_recalls);
		return -EBUSY;
	}
	if (!recall_may_run(mount)) {
		atomic_dec(&mount->num_recalls);
		return -ENXIO;
	}
	zuf_mount_get(mount);
	return 0;
}

void zuf_recall_leave(struct zuf_mount *mount)
{
	atomic_dec(&mount->num_recalls);
	zuf_recall_drop(mount);
}

void zuf_recall_ended(struct zuf_mount *mount, struct zuf_recall_end *end)
{
	spin_lock(&mount->recall_lock);
	list_add_tail(&end->node, &mount->recalls_done);
	spin_unlock(&mount->recall_lock);
	wake_up_all(&mount->recall_wait);
	zuf_recall_drop(mount);
}

int zuf_recall_queue(struct zuf_mount *mount, const struct zufs_recall *wire)
{
	struct zuf_recall *recall;
	int err;

	if (!(mount->features & ZUFS_MF_LEASES))
		return -EOPNOTSUPP;
	if (wire->flags & ~(ZUFS_RECALL_DOWNGRADE | ZUFS_RECALL_TRY) || wire->reserved ||
	    wire->off > LLONG_MAX ||
	    (!wire->ino && (wire->gen || wire->off || wire->len_bytes || wire->seq)))
		return -EINVAL;
	recall = kzalloc(sizeof(*recall), GFP_KERNEL_ACCOUNT);
	if (!recall)
		return -ENOMEM;
	err = zuf_recall_enter(mount);
	if (err) {
		kfree(recall);
		return err;
	}
	recall->sb = mount->sb;
	recall->mount = mount;
	recall->end.cookie = wire->cookie;
	recall->wire = *wire;
	refcount_set(&recall->ref, 1);
	INIT_WORK(&recall->work, recall_work);
	zuf_lease_count(mount, ZUF_LEASE_RECALLS, 1);
	queue_work(recall_wq, &recall->work);
	return 0;
}

bool zuf_recall_any_done(struct zuf_mount *mount)
{
	return !list_empty_careful(&mount->recalls_done);
}

static struct zuf_recall_end *recall_take_done(struct zuf_mount *mount)
{
	struct zuf_recall_end *end;

	spin_lock(&mount->recall_lock);
	end = list_first_entry_or_null(&mount->recalls_done, struct zuf_recall_end, node);
	if (end)
		list_del(&end->node);
	spin_unlock(&mount->recall_lock);
	return end;
}

ssize_t zuf_recall_read(struct zuf_mount *mount, char __user *buf, size_t bytes, bool wait)
{
	struct zufs_recall_done done = {};
	struct zuf_recall_end *end;
	size_t taken = 0;

	if (bytes < sizeof(done))
		return -EINVAL;
	while (bytes - taken >= sizeof(done)) {
		end = recall_take_done(mount);
		if (!end && (taken || !wait))
			break;
		if (!end) {
			if (wait_event_interruptible(mount->recall_wait,
						     zuf_recall_any_done(mount) ||
						     READ_ONCE(mount->revoked)))
				return -ERESTARTSYS;
			if (READ_ONCE(mount->revoked) && !zuf_recall_any_done(mount))
				return 0;
			continue;
		}
		done.cookie = end->cookie;
		done.err = end->err;
		kfree(end);
		atomic_dec(&mount->num_recalls);
		if (copy_to_user(buf + taken, &done, sizeof(done)))
			return taken ?: -EFAULT;
		taken += sizeof(done);
	}
	return taken ?: READ_ONCE(mount->revoked) ? 0 : -EAGAIN;
}

void zuf_recalls_free(struct zuf_mount *mount)
{
	struct zuf_recall_end *end;

	while ((end = recall_take_done(mount)))
		kfree(end);
}

int __init zuf_recall_init(void)
{
	recall_wq = alloc_workqueue("zuf-recall", WQ_UNBOUND, 0);
	return recall_wq ? 0 : -ENOMEM;
}

/* Every recall holds its mount, so that none is left. */
void zuf_recall_exit(void)
{
	destroy_workqueue(recall_wq);
}
