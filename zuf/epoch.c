// SPDX-License-Identifier: GPL-2.0
/*
 * EPOCH: the mount's next write epoch. One at a time, in a work of the mount's:
 *
 *	1 flush and write-protect what is mapped for writing while all go on, so that
 *	  little of it is left for 4
 *	2 close the epoch: whoever looks finds nothing that may be written by
 *	3 wait for who is inside the gate
 *	4 flush and write-protect again: nothing is mapped for writing now
 *	5 publish the next one, wake who waits, tell the server
 *
 * The stall, of writers only, is 2 to 5. It grows with the CPUs (3) and with the pages
 * stored to since 1 and the inodes that they belong to (4), which the mount keeps a
 * list of. Leases and answers are not looked for: they carry their epoch.
 *
 * Nothing here takes a lock of the first kind, waits for the server, or holds a
 * reference to an inode, the last of which could.
 */
#include <linux/dax.h>
#include <linux/delay.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/timekeeping.h>
#include <linux/writeback.h>

#include "relay.h"
#include "data.h"
#include "trace.h"

/* A writer gets its map and uses it in that time, or a server could starve it. */
#define ZUF_EPOCH_MIN_NS	(10 * NSEC_PER_MSEC)

/* One of the server's; zuf_recalls_stop() waits for it. */
struct epoch_call {
	struct zuf_recall_end end;	/* first: who reads it frees it */
	struct list_head node;		/* epochs->calls */
	u64 epoch;
};

static struct workqueue_struct *epoch_wq;

/* -------------------------------------------------------------------- users */

/*
 * Partner: epoch_run(). A section of the gate that sees CLOSED, or another epoch than
 * the answer's, does not write. One that sees its own has begun before the grace
 * period's full barrier, which comes after CLOSED was stored, so that the work waits
 * for it; or it has seen what 5 stored, and by acquire all that was done before.
 */
bool zuf_epoch_is_open(const struct inode *inode, u64 epoch)
{
	const struct zuf_epochs *epochs = &zuf_mount_of(inode->i_sb)->epochs;

	return smp_load_acquire(&epochs->open) == epoch;	/* pairs with epoch_run() */
}

u64 zuf_epoch_published(const struct zuf_mount *mount)
{
	return READ_ONCE(mount->epochs.published);
}

static bool epoch_any_open(const struct zuf_epochs *epochs)
{
	return READ_ONCE(epochs->open) != ZUF_EPOCH_CLOSED;
}

/* That the epoch stays open nobody says: the use will look again. */
int zuf_epoch_wait(struct zuf_mount *mount)
{
	struct zuf_epochs *epochs = &mount->epochs;

	if (likely(epoch_any_open(epochs)))
		return 0;
	atomic_long_inc(&epochs->waits);
	return wait_event_killable(epochs->wait, epoch_any_open(epochs)) ? -EINTR : 0;
}

void zuf_epoch_count_stale(struct zuf_mount *mount)
{
	atomic_long_inc(&mount->epochs.stale);
}

/*
 * The work takes inodes from the list for good only while the epoch is closed, with
 * nobody of us in the gate; so what is looked at without the lock does not change.
 */
void zuf_epoch_dirtied(struct inode *inode)
{
	struct zuf_mount *mount = zuf_mount_of(inode->i_sb);
	struct zuf_epochs *epochs = &mount->epochs;
	struct zuf_inode *zi = zuf_i(inode);

	if (!(mount->features & ZUFS_MF_EPOCHS) || !list_empty_careful(&zi->epoch_node))
		return;
	spin_lock(&epochs->lock);
	if (list_empty(&zi->epoch_node))
		list_add_tail(&zi->epoch_node, &epochs->dirty);
	spin_unlock(&epochs->lock);
}

static bool epoch_try_forget(struct zuf_epochs *epochs, struct zuf_inode *zi)
{
	bool gone;

	spin_lock(&epochs->lock);
	gone = epochs->cleaning != zi;
	if (gone)
		list_del_init(&zi->epoch_node);
	spin_unlock(&epochs->lock);
	return gone;
}

void zuf_epoch_forget(struct inode *inode)
{
	struct zuf_epochs *epochs = &zuf_mount_of(inode->i_sb)->epochs;
	struct zuf_inode *zi = zuf_i(inode);

	/* nobody adds it any more, and the work lets go of it as it takes it off */
	if (!list_empty_careful(&zi->epoch_node))
		wait_event(epochs->clean_wait, epoch_try_forget(epochs, zi));
}

/* --------------------------------------------------------------------- work */

static int inode_clean(struct zuf_mount *mount, struct inode *inode)
{
	struct dax_device *dax = zuf_mount_dax(mount);
	struct address_space *mapping = inode->i_mapping;
	struct writeback_control wbc = {
		.sync_mode	= WB_SYNC_ALL,
		.range_end	= LLONG_MAX,
	};
	int err;

	if (!dax || mapping_empty(mapping))
		return 0;
	zuf_dax_writeback_lock(mapping);
	err = dax_writeback_mapping_range(mapping, dax, &wbc);
	/* it stopped there; rather have all of it fault again than stay writable */
	if (err)
		unmap_mapping_range(mapping, 0, 0, 0);
	zuf_dax_writeback_unlock(mapping);
	return err;
}

/*
 * Flush and write-protect all inodes of the list. @keep: they may be mapped for writing
 * meanwhile, so they stay on it. An inode that is being evicted waits for us where it
 * would go from the list; and no sooner has it been flushed.
 */
static int epoch_clean(struct zuf_mount *mount, bool keep)
{
	struct zuf_epochs *epochs = &mount->epochs;
	struct zuf_inode *zi;
	int err, ret = 0;

	spin_lock(&epochs->lock);
	list_splice_tail_init(&epochs->dirty, &epochs->todo);
	while ((zi = list_first_entry_or_null(&epochs->todo, struct zuf_inode, epoch_node))) {
		if (keep)
			list_move_tail(&zi->epoch_node, &epochs->dirty);
		epochs->cleaning = zi;
		spin_unlock(&epochs->lock);
		err = inode_clean(mount, &zi->vfs_inode);
		ret = ret ?: err;
		cond_resched();
		spin_lock(&epochs->lock);
		WRITE_ONCE(epochs->inodes, epochs->inodes + !keep);
		epochs->cleaning = NULL;
		if (!keep)
			list_del_init(&zi->epoch_node);
		spin_unlock(&epochs->lock);
		wake_up_all(&epochs->clean_wait);
		spin_lock(&epochs->lock);
	}
	spin_unlock(&epochs->lock);
	wmb();		/* the server may make it durable on another CPU */
	return ret;
}

static void epoch_note_stall(struct zuf_epochs *epochs, u64 ns)
{
	unsigned int bucket = min_t(unsigned int, ns ? __fls(ns) : 0, ZUF_EPOCH_HIST - 1);

	WRITE_ONCE(epochs->stall_last_ns, ns);
	WRITE_ONCE(epochs->stall_max_ns, max(epochs->stall_max_ns, ns));
	WRITE_ONCE(epochs->stall_hist[bucket], epochs->stall_hist[bucket] + 1);
	WRITE_ONCE(epochs->count, epochs->count + 1);
}

static int epoch_run(struct zuf_mount *mount, u64 epoch)
{
	struct zuf_epochs *epochs = &mount->epochs;
	u64 inodes = epochs->inodes, start_ns = ktime_get_ns(), closed_ns, end_ns;
	int err;

	epoch_clean(mount, true);	/* what it fails to flush is dirty still */
	zuf_point_work(ZUF_POINT_EPOCH_FLUSHED);
	closed_ns = ktime_get_ns();
	WRITE_ONCE(epochs->open, ZUF_EPOCH_CLOSED);
	zuf_point_work(ZUF_POINT_EPOCH_CLOSED);
	/* pairs with srcu_read_lock() before zuf_epoch_is_open() */
	synchronize_srcu_expedited(&mount->gate);
	err = epoch_clean(mount, false);
	zuf_point_work(ZUF_POINT_EPOCH_CLEAN);
	WRITE_ONCE(epochs->published, epoch);
	/* pairs with zuf_epoch_is_open() */
	smp_store_release(&epochs->open, epoch);
	wake_up_all(&epochs->wait);
	end_ns = ktime_get_ns();
	epochs->opened_ns = end_ns;
	epoch_note_stall(epochs, end_ns - closed_ns);
	trace_zuf_epoch(mount->id, epoch, end_ns - start_ns, end_ns - closed_ns,
			epochs->inodes - inodes, err);
	return err;
}

/* So that who asked in the last epoch can write in it. */
static void epoch_pause(struct zuf_mount *mount)
{
	u64 open_ns = ktime_get_ns() - mount->epochs.opened_ns;

	if (open_ns < ZUF_EPOCH_MIN_NS && !READ_ONCE(mount->recalls_stopped))
		fsleep(div_u64(ZUF_EPOCH_MIN_NS - open_ns, NSEC_PER_USEC) + 1);
}

static struct epoch_call *epoch_next(struct zuf_epochs *epochs)
{
	struct epoch_call *call;

	spin_lock(&epochs->lock);
	call = list_first_entry_or_null(&epochs->calls, struct epoch_call, node);
	if (call)
		list_del(&call->node);
	spin_unlock(&epochs->lock);
	return call;
}

static void epoch_work(struct work_struct *work)
{
	struct zuf_mount *mount = container_of(work, struct zuf_mount, epochs.work);
	struct epoch_call *call;

	while ((call = epoch_next(&mount->epochs))) {
		epoch_pause(mount);
		/* the mount ends: its inodes may be going */
		if (READ_ONCE(mount->recalls_stopped))
			call->end.err = -ENXIO;
		else if (epoch_run(mount, call->epoch))
			call->end.err = -EIO;
		zuf_recall_ended(mount, &call->end);
	}
	zuf_mount_put(mount);
}

/* --------------------------------------------------------------- mount file */

/* Under the lock numbers are given out in the order of the queue. */
static int epoch_enqueue(struct zuf_epochs *epochs, struct epoch_call *call)
{
	int err = -EINVAL;

	spin_lock(&epochs->lock);
	if (call->epoch == epochs->queued + 1) {
		epochs->queued++;
		list_add_tail(&call->node, &epochs->calls);
		err = 0;
	}
	spin_unlock(&epochs->lock);
	return err;
}

int zuf_epoch_queue(struct zuf_mount *mount, const struct zufs_epoch *wire)
{
	struct epoch_call *call;
	int err;

	if (!(mount->features & ZUFS_MF_EPOCHS))
		return -EOPNOTSUPP;
	if (wire->flags || wire->reserved)
		return -EINVAL;
	call = kzalloc(sizeof(*call), GFP_KERNEL_ACCOUNT);
	if (!call)
		return -ENOMEM;
	call->end.cookie = wire->cookie;
	call->epoch = wire->epoch;
	err = zuf_recall_enter(mount);
	if (err)
		goto out_free;
	err = epoch_enqueue(&mount->epochs, call);
	if (err)
		goto out_leave;
	zuf_mount_get(mount);	/* the work's */
	if (!queue_work(epoch_wq, &mount->epochs.work))
		zuf_mount_put(mount);
	return 0;

out_leave:
	zuf_recall_leave(mount);
out_free:
	kfree(call);
	return err;
}

/* ------------------------------------------------------------ begin and end */

void zuf_epochs_init(struct zuf_mount *mount)
{
	struct zuf_epochs *epochs = &mount->epochs;

	init_waitqueue_head(&epochs->wait);
	init_waitqueue_head(&epochs->clean_wait);
	spin_lock_init(&epochs->lock);
	INIT_LIST_HEAD(&epochs->calls);
	INIT_LIST_HEAD(&epochs->dirty);
	INIT_LIST_HEAD(&epochs->todo);
	INIT_WORK(&epochs->work, epoch_work);
}

void zuf_epochs_start(struct zuf_mount *mount)
{
	struct zuf_epochs *epochs = &mount->epochs;

	if (!(mount->features & ZUFS_MF_EPOCHS))
		return;
	epochs->queued = 1;
	epochs->published = 1;
	epochs->open = 1;
}

ssize_t zuf_epochs_show(struct zuf_mount *mount, char *buf)
{
	const struct zuf_epochs *epochs = &mount->epochs;
	ssize_t len;
	unsigned int i;

	len = sysfs_emit(buf, "epoch %llu\nopen %d\ncount %llu\nwaits %ld\nstale %ld\n",
			 READ_ONCE(epochs->published), epoch_any_open(epochs),
			 READ_ONCE(epochs->count), atomic_long_read(&epochs->waits),
			 atomic_long_read(&epochs->stale));
	len += sysfs_emit_at(buf, len, "inodes %llu\nstall_last_ns %llu\nstall_max_ns %llu\n",
			     READ_ONCE(epochs->inodes), READ_ONCE(epochs->stall_last_ns),
			     READ_ONCE(epochs->stall_max_ns));
	len += sysfs_emit_at(buf, len, "stall_hist");
	for (i = 0; i < ZUF_EPOCH_HIST; i++)
		len += sysfs_emit_at(buf, len, " %u", READ_ONCE(epochs->stall_hist[i]));
	return len + sysfs_emit_at(buf, len, "\n");
}

int __init zuf_epoch_init(void)
{
	/* who writes waits for it */
	epoch_wq = alloc_workqueue("zuf-epoch", WQ_UNBOUND | WQ_HIGHPRI, 0);
	return epoch_wq ? 0 : -ENOMEM;
}

/* Every EPOCH holds its mount, so that none is left. */
void zuf_epoch_exit(void)
{
	destroy_workqueue(epoch_wq);
}
