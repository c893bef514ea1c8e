// SPDX-License-Identifier: GPL-2.0
/*
 * Orphans: requests whose caller was killed or ran into its deadline. Nothing
 * is known of their outcome until the server answers, dies, or the mount is
 * aborted, so what they may change stays referenced, and operations that change
 * the same inodes wait. The answer's names are then dropped from the dcache,
 * attributes asked again, and what it gave out is given back.
 */
#include <linux/dcache.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "relay.h"
#include "data.h"

struct workqueue_struct *zuf_wq;

static void orphan_put(struct zuf_orphan *orphan)
{
	if (!refcount_dec_and_test(&orphan->ref))
		return;
	if (orphan->op_slot != ZUFS_NO_SLOT)
		zuf_slot_put(orphan->mount->slots, orphan->op_slot);
	zuf_mount_put(orphan->mount);
	kfree(orphan);
}

static void orphan_drop_names(struct zuf_orphan *orphan)
{
	unsigned int i;

	for (i = 0; i < ZUF_CALL_INODES; i++)
		if (orphan->inode[i])
			set_bit(ZUF_I_STALE, &zuf_i(orphan->inode[i])->flags);
	for (i = 0; i < ZUF_CALL_DENTRIES; i++)
		if (orphan->dentry[i])
			d_invalidate(orphan->dentry[i]);
}

static void orphan_unref(struct zuf_orphan *orphan)
{
	unsigned int i;

	for (i = 0; i < ZUF_CALL_DENTRIES; i++)
		dput(orphan->dentry[i]);
	for (i = 0; i < ZUF_CALL_INODES; i++) {
		struct inode *inode = orphan->inode[i];

		if (!inode)
			continue;
		/* what was answered meanwhile may be as it was before */
		if (orphan->changes)
			zuf_lease_changed(inode, 0, LLONG_MAX);
		if (orphan->changes && atomic_dec_and_test(&zuf_i(inode)->orphans))
			wake_up_var(&zuf_i(inode)->orphans);
		iput(inode);
	}
	if (orphan->sb)
		deactivate_super(orphan->sb);
}

static void orphan_work(struct work_struct *work)
{
	struct zuf_orphan *orphan = container_of(work, struct zuf_orphan, work);
	struct zuf_mount *mount = orphan->mount;

	if (!orphan->aborted && !orphan->err && zuf_ops[orphan->op].undo)
		zuf_ops[orphan->op].undo(orphan, orphan->out);
	if (!(orphan->flags & (ZUF_CALL_LAST | ZUF_CALL_MOUNTING)))
		orphan_drop_names(orphan);
	spin_lock(&mount->orphan_lock);
	list_del(&orphan->list);
	spin_unlock(&mount->orphan_lock);
	atomic_dec(&mount->num_orphans);
	orphan_unref(orphan);
	orphan_put(orphan);
}

static bool orphan_changes(const struct zuf_call *call)
{
	const struct zufs_map_in *map = call->in;

	if (call->op == ZUFS_OP_MAP)
		return map->flags & ZUFS_MAP_WRITE || zuf_cow_wanted(call->mount, map->flags);
	return zuf_ops[call->op].flags & ZUF_OPF_CHANGES;
}

/* References for as long as the request is out; the caller still has its own. */
static void orphan_ref(struct zuf_orphan *orphan, const struct zuf_call *call)
{
	unsigned int i;

	orphan->changes = orphan_changes(call);
	for (i = 0; i < ZUF_CALL_INODES; i++) {
		if (!call->inode[i])
			continue;
		/* an inode that is being evicted needs no one to wait for */
		orphan->inode[i] = igrab(call->inode[i]);
		if (orphan->inode[i] && orphan->changes)
			atomic_inc(&zuf_i(orphan->inode[i])->orphans);
	}
	for (i = 0; i < ZUF_CALL_DENTRIES; i++)
		orphan->dentry[i] = call->dentry[i] ? dget(call->dentry[i]) : NULL;
	if (!(call->flags & (ZUF_CALL_LAST | ZUF_CALL_MOUNTING)) && call->mount->sb) {
		orphan->sb = call->mount->sb;
		atomic_inc(&orphan->sb->s_active);
	}
}

struct zuf_orphan *zuf_orphan_alloc(const struct zuf_channel *ch, const struct zuf_call *call,
				    bool aborted)
{
	struct zuf_mount *mount = call->mount;
	struct zuf_orphan *orphan;

	/* small, and a dying task may use the reserves */
	orphan = kzalloc(sizeof(*orphan), GFP_KERNEL | __GFP_NOFAIL);
	INIT_WORK(&orphan->work, orphan_work);
	INIT_LIST_HEAD(&orphan->list);
	refcount_set(&orphan->ref, aborted ? 1 : 2);
	orphan->ended = aborted;
	orphan->aborted = aborted;
	orphan->mount = mount;
	zuf_mount_get(mount);
	orphan->op = call->op;
	orphan->flags = call->flags;
	orphan->id = call->id;
	orphan->op_slot = call->op_slot;
	if (call->inode[0])
		orphan->handle = zuf_i(call->inode[0])->handle;
	if (call->op == ZUFS_OP_MAP)
		orphan->map = *(const struct zufs_map_in *)call->in;
	if (call->op == ZUFS_OP_LOCK)
		orphan->lock = *(const struct zufs_lock_in *)call->in;
	if (aborted)
		return orphan;		/* holds nothing but its place */
	orphan_ref(orphan, call);
	spin_lock(&mount->orphan_lock);
	list_add_tail(&orphan->list, &mount->orphans);
	spin_unlock(&mount->orphan_lock);
	atomic_inc(&mount->num_orphans);
	return orphan;
}

void zuf_orphan_cancel(struct zuf_orphan *orphan)
{
	orphan->op_slot = ZUFS_NO_SLOT;		/* the caller keeps it */
	if (orphan->aborted) {
		orphan_put(orphan);
		return;
	}
	/* an abort may have queued it meanwhile; the work then drops all */
	if (xchg(&orphan->ended, 1)) {
		orphan_put(orphan);
		return;
	}
	spin_lock(&orphan->mount->orphan_lock);
	list_del(&orphan->list);
	spin_unlock(&orphan->mount->orphan_lock);
	atomic_dec(&orphan->mount->num_orphans);
	orphan_unref(orphan);
	orphan_put(orphan);
	orphan_put(orphan);
}

void zuf_orphan_complete(struct zuf_orphan *orphan)
{
	if (!xchg(&orphan->ended, 1))
		queue_work(zuf_wq, &orphan->work);
	orphan_put(orphan);
}

void zuf_orphans_abort(struct zuf_mount *mount)
{
	struct zuf_orphan *orphan;

	spin_lock(&mount->orphan_lock);
	list_for_each_entry(orphan, &mount->orphans, list) {
		if (xchg(&orphan->ended, 1))
			continue;
		orphan->aborted = true;
		queue_work(zuf_wq, &orphan->work);
	}
	spin_unlock(&mount->orphan_lock);
}

int zuf_orphan_wait(struct inode *inode)
{
	struct zuf_inode *zi = zuf_i(inode);
	u32 ms = READ_ONCE(zuf_mount_of(inode->i_sb)->deadline_ms);
	long left;

	if (likely(!atomic_read(&zi->orphans)))
		return 0;
	left = ___wait_var_event(&zi->orphans, ___wait_cond_timeout(!atomic_read(&zi->orphans)),
				 TASK_KILLABLE, 0,
				 ms ? msecs_to_jiffies(ms) : MAX_SCHEDULE_TIMEOUT,
				 __ret = schedule_timeout(__ret));
	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIMEDOUT;
}

int __init zuf_orphan_init(void)
{
	zuf_wq = alloc_workqueue("zuf", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return zuf_wq ? 0 : -ENOMEM;
}

void zuf_orphan_exit(void)
{
	/* the last work may still be on its way out */
	destroy_workqueue(zuf_wq);
}
