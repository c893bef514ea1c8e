// SPDX-License-Identifier: GPL-2.0
/*
 * Times that the kernel alone changed are owed to the server (ZUF_I_TIMES): told
 * with the next SETATTR, before an O_SYNC write or an fsync returns, when a file that
 * was written is closed, and within a second otherwise.
 */
#include <linux/wait_bit.h>
#include <linux/workqueue.h>
#include <linux/writeback.h>

#include "relay.h"

#define ZUF_TIMES_DELAY		HZ

struct zufs_time zuf_time_to_wire(struct timespec64 ts)
{
	return (struct zufs_time) { .sec = ts.tv_sec, .nsec = ts.tv_nsec };
}

int zuf_times_lock(struct inode *inode)
{
	return wait_on_bit_lock(&zuf_i(inode)->flags, ZUF_I_TIMES_LOCK, TASK_KILLABLE);
}

void zuf_times_unlock(struct inode *inode)
{
	clear_and_wake_up_bit(ZUF_I_TIMES_LOCK, &zuf_i(inode)->flags);
}

bool zuf_times_take_owed(struct inode *inode, struct zufs_setattr_in *in)
{
	if (!test_and_clear_bit(ZUF_I_TIMES, &zuf_i(inode)->flags))
		return false;
	spin_lock(&inode->i_lock);
	if (!(in->valid & ZUFS_SET_ATIME)) {
		in->valid |= ZUFS_SET_ATIME;
		in->atime = zuf_time_to_wire(inode_get_atime(inode));
	}
	if (S_ISREG(inode->i_mode)) {
		if (!(in->valid & ZUFS_SET_MTIME)) {
			in->valid |= ZUFS_SET_MTIME;
			in->mtime = zuf_time_to_wire(inode_get_mtime(inode));
		}
		if (!(in->valid & ZUFS_SET_CTIME)) {
			in->valid |= ZUFS_SET_CTIME;
			in->ctime = zuf_time_to_wire(inode_get_ctime(inode));
		}
	}
	spin_unlock(&inode->i_lock);
	return true;
}

int zuf_sync_times(struct inode *inode, u16 call_flags)
{
	struct zuf_inode *zi = zuf_i(inode);
	struct zufs_setattr_in in = { .inode = zi->handle };
	struct zufs_attr attr;
	struct zuf_call call = {
		.mount	= zuf_mount_of(inode->i_sb),
		.op	= ZUFS_OP_SETATTR,
		.flags	= call_flags,
		.in	= &in,
		.out	= &attr,
		.inode	= { inode },
	};
	int err;

	if (!test_bit(ZUF_I_TIMES, &zi->flags))
		return 0;
	err = zuf_times_lock(inode);
	if (err)
		return err;
	if (zuf_times_take_owed(inode, &in)) {
		/* the answer holds nothing new, and may be older by now */
		err = zuf_call_retry(&call);
		if (err)
			set_bit(ZUF_I_TIMES, &zi->flags);
	}
	zuf_times_unlock(inode);
	return err;
}

/* ------------------------------------------------------------- when it is told */

/* Nothing but times makes an inode of zuf dirty. */
void zuf_dirty_inode(struct inode *inode, int flags)
{
	struct zuf_mount *mount = zuf_mount_of(inode->i_sb);
	bool gone = READ_ONCE(mount->aborted) || READ_ONCE(mount->shut);

	set_bit(ZUF_I_TIMES, &zuf_i(inode)->flags);
	if (READ_ONCE(mount->times_stopped) || delayed_work_pending(&mount->times_work))
		return;
	if (!gone && !zuf_server_dead(mount->server))
		queue_delayed_work(zuf_wq, &mount->times_work, ZUF_TIMES_DELAY);
}

int zuf_write_inode(struct inode *inode, struct writeback_control *wbc)
{
	int err;

	if (test_bit(ZUF_I_BAD, &zuf_i(inode)->flags))
		return 0;
	err = zuf_sync_times(inode, ZUF_CALL_RECLAIM);
	if (!err || wbc->sync_mode == WB_SYNC_ALL || READ_ONCE(zuf_mount_of(inode->i_sb)->shut))
		return err;
	/* a lost server must not stop the writeback of others: later again */
	mark_inode_dirty_sync(inode);
	return 0;
}

/* Whoever has s_umount exclusive syncs, or changes options: later, then. */
static void times_work(struct work_struct *work)
{
	struct zuf_mount *mount = container_of(work, struct zuf_mount, times_work.work);
	struct super_block *sb = mount->sb;

	if (READ_ONCE(mount->times_stopped))
		return;
	if (!down_read_trylock(&sb->s_umount)) {
		queue_delayed_work(zuf_wq, &mount->times_work, ZUF_TIMES_DELAY);
		return;
	}
	writeback_inodes_sb(sb, WB_REASON_PERIODIC);
	up_read(&sb->s_umount);
}

void zuf_times_init(struct zuf_mount *mount)
{
	INIT_DELAYED_WORK(&mount->times_work, times_work);
}

void zuf_times_stop(struct zuf_mount *mount)
{
	WRITE_ONCE(mount->times_stopped, true);
	cancel_delayed_work_sync(&mount->times_work);
}

void zuf_times_closed(struct inode *inode, const struct file *file)
{
	if (!(file->f_mode & FMODE_WRITE) || !test_bit(ZUF_I_TIMES, &zuf_i(inode)->flags))
		return;
	/* what fails is still owed */
	zuf_sync_times(inode, 0);
}
