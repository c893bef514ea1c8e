// SPDX-License-Identifier: GPL-2.0
/*
 * MAP_DONE: telling the server what was written where it newly gave blocks, or where it
 * waits to commit. It is told in any case: by the caller, or where that dies by a forced
 * message, or of an answer that nobody waits for any more.
 */
#include <linux/percpu.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#include "relay.h"
#include "data.h"

/* A write's extents that nobody will ever fill. */
void zuf_undo_map(struct zuf_orphan *orphan, const void *out)
{
	struct zuf_forced_msg *msg;

	if (!(orphan->map.flags & ZUFS_MAP_WRITE))
		return;
	msg = zuf_forced_alloc(GFP_KERNEL | __GFP_NOFAIL);
	msg->wire.op = ZUFS_OP_MAP_DONE;
	msg->wire.inode = orphan->map.inode;
	msg->wire.arg = orphan->id;
	msg->wire.off = orphan->map.off;
	msg->wire.size_bytes = orphan->map.size_bytes;
	zuf_forced_queue(orphan->mount, msg);
}

/* ---------------------------------------------------------- of a dying caller */

/*
 * Counts as an orphan of the inode until the server has it, so that the next
 * operation finds the reservation settled.
 */
struct zuf_done_msg {
	struct zuf_forced_msg msg;
	struct work_struct work;
	struct inode *inode;
};

/* Hardly ever sent, so each CPU keeps the last one for its next write. */
static DEFINE_PER_CPU(struct zuf_done_msg *, done_msg_spare);

struct zuf_done_msg *zuf_done_msg_get(void)
{
	struct zuf_done_msg *done = this_cpu_xchg(done_msg_spare, NULL);

	return done ?: kmalloc(sizeof(*done), GFP_KERNEL);
}

void zuf_done_msg_put(struct zuf_done_msg *done)
{
	kfree(this_cpu_xchg(done_msg_spare, done));
}

void zuf_map_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		kfree(per_cpu(done_msg_spare, cpu));
}

/* The last reference to the superblock may go here: never in the sender. */
static void done_msg_work(struct work_struct *work)
{
	struct zuf_done_msg *done = container_of(work, struct zuf_done_msg, work);
	struct super_block *sb = done->inode->i_sb;
	struct zuf_inode *zi = zuf_i(done->inode);

	set_bit(ZUF_I_STALE, &zi->flags);
	zuf_lease_changed(done->inode, 0, LLONG_MAX);
	if (atomic_dec_and_test(&zi->orphans))
		wake_up_var(&zi->orphans);
	iput(done->inode);
	deactivate_super(sb);
	kfree(done);
}

static void done_msg_sent(struct zuf_forced_msg *msg)
{
	struct zuf_done_msg *done = container_of(msg, struct zuf_done_msg, msg);

	queue_work(zuf_wq, &done->work);
}

static void done_msg_queue(struct zuf_map *map, u64 off, u64 written_bytes, u64 size_bytes)
{
	struct zuf_done_msg *done = map->done_msg;
	struct inode *inode = map->inode;

	map->done_msg = NULL;
	memset(done, 0, sizeof(*done));
	done->msg.free = done_msg_sent;
	INIT_WORK(&done->work, done_msg_work);
	done->inode = inode;
	ihold(inode);
	atomic_inc(&inode->i_sb->s_active);
	atomic_inc(&zuf_i(inode)->orphans);
	done->msg.wire = (struct zufs_forced) {
		.inode		= zuf_i(inode)->handle,
		.arg		= map->id,
		.off		= off,
		.written_bytes	= written_bytes,
		.size_bytes	= size_bytes,
		.op		= ZUFS_OP_MAP_DONE,
	};
	zuf_forced_queue(zuf_mount_of(inode->i_sb), &done->msg);
}

static void done_msg_free(struct zuf_forced_msg *msg)
{
	kfree(container_of(msg, struct zuf_done_msg, msg));
}

/* No inode is kept for it: forced messages of an inode go before its FORGET. */
void zuf_done_msg_committed(struct zuf_map *map, u64 off, u64 written_bytes, u64 size_bytes)
{
	struct zuf_done_msg *done = map->done_msg;

	map->done_msg = NULL;
	memset(done, 0, sizeof(*done));
	done->msg.free = done_msg_free;
	done->msg.wire = (struct zufs_forced) {
		.inode		= zuf_i(map->inode)->handle,
		.arg		= map->id,
		.off		= off,
		.written_bytes	= written_bytes,
		.size_bytes	= size_bytes,
		.op		= ZUFS_OP_MAP_DONE,
		.flags		= ZUFS_FORCED_COMMITTED,
	};
	zuf_forced_queue(zuf_mount_of(map->inode->i_sb), &done->msg);
}

int zuf_map_done(struct zuf_map *map, u64 off, u64 written_bytes, u64 size_bytes, bool set_size)
{
	struct inode *inode = map->inode;
	struct zufs_map_done_in in = {
		.inode		= zuf_i(inode)->handle,
		.fh		= map->fh,
		.map_id		= map->id,
		.off		= off,
		.written_bytes	= written_bytes,
		.size_bytes	= size_bytes,
		.mtime		= zuf_time_to_wire(inode_get_mtime(inode)),
		.flags		= map->flags,
	};
	struct zufs_attr attr;
	struct zuf_call call = {
		.mount	= zuf_mount_of(inode->i_sb),
		.op	= ZUFS_OP_MAP_DONE,
		.in	= &in,
		.out	= &attr,
		.inode	= { inode },
	};
	int err = -EINTR;

	map->owes_done = false;
	zuf_point(ZUF_POINT_BEFORE_MAP_DONE, current);
	if (!fatal_signal_pending(current))
		err = zuf_call_retry(&call);
	if ((err == -EINTR || err == -ETIMEDOUT) && !call.id)	/* it was never sent */
		done_msg_queue(map, off, written_bytes, size_bytes);
	zuf_point(ZUF_POINT_AFTER_MAP_DONE, current);
	/* whatever came of it: if nothing is known, again when the orphan ends */
	zuf_lease_changed(inode, off, off + max_t(u64, written_bytes, 1));
	if (!err)
		zuf_attr_apply(inode, &attr, set_size);
	return err;
}
