/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Named points in the module's paths at which a test can have the task killed
 * or held up. Off they cost a patched-out branch. Switched by root:
 *
 *	echo "sent kill 20 every 3" > /sys/kernel/debug/zuf/points
 *	echo "replying delay_us 500" > /sys/kernel/debug/zuf/points
 *	echo "off" > /sys/kernel/debug/zuf/points
 *
 * kill N [every M]: send SIGKILL to the caller's task at every M-th passage, N
 * times. Only tasks whose name starts with "zkill" are killed, so that a test
 * can use the same mount to look at what is left. Reading the file prints, for
 * each point, how often it was passed and how many kills it made. At a point in a
 * worker, where names say nothing, delays hold up whoever comes, and "NAME hold 1"
 * keeps it there until "NAME hold 0" or "off".
 *
 * The first command patches the branches in, and they stay: some emulators lose
 * code that changes while another CPU runs it. So a test begins with "off", before
 * it mounts.
 */
#ifndef ZUF_POINT_H
#define ZUF_POINT_H

#include <linux/jump_label.h>
#include <linux/sched.h>

enum zuf_point {
	ZUF_POINT_CLAIMED,	/* a channel is claimed, nothing filled */
	ZUF_POINT_FILLED,	/* before SENT */
	ZUF_POINT_SENT,		/* the server has been woken, caller not asleep */
	ZUF_POINT_WAITING,	/* caller woken without an answer */
	ZUF_POINT_REPLYING,	/* server's thread, before the snapshot */
	ZUF_POINT_STORED,	/* server's thread, answer stored, before DONE */
	ZUF_POINT_DONE,		/* caller, before it gives the channel back */
	ZUF_POINT_READ_MAPPED,	/* a read has its map, nothing copied */
	ZUF_POINT_ASKING,	/* a map waits for no fence any more, and is not yet known */
	ZUF_POINT_MAPPED,	/* a write has its map, nothing copied */
	ZUF_POINT_COPYING,	/* part of the bytes are copied */
	ZUF_POINT_BEFORE_FENCE,
	ZUF_POINT_BEFORE_WORD,	/* all is durable, the commit word not stored */
	ZUF_POINT_AFTER_WORD,	/* stored, the server not told */
	ZUF_POINT_BEFORE_MAP_DONE,
	ZUF_POINT_AFTER_MAP_DONE, /* before i_size moves */
	ZUF_POINT_FAULT_MAPPED,	/* a page fault has its map, no entry yet */
	ZUF_POINT_RECALL_MARKED, /* leases are dead, users not yet waited for */
	ZUF_POINT_EPOCH_FLUSHED, /* worker: all was write-protected, the epoch is open */
	ZUF_POINT_EPOCH_CLOSED,	/* worker: writers find no epoch open, none waited for */
	ZUF_POINT_EPOCH_CLEAN,	/* worker: all is write-protected, not yet published */
	ZUF_POINT_TRUNCATE_CUT,	/* pages dropped, server not told */
	ZUF_POINT_NAME_CHANGED,	/* server changed a name, dcache not yet */
	ZUF_POINT_RELEASE,	/* last close */
	ZUF_POINT_COUNT,
};

DECLARE_STATIC_KEY_FALSE(zuf_points_on);

void zuf_point_hit(enum zuf_point point, struct task_struct *task);

/* Something is switched on, in paths that then go a way of their own. */
bool zuf_points_active(void);

/* @task: whom a kill is meant for; the caller keeps it alive (RCU or itself). */
static inline void zuf_point(enum zuf_point point, struct task_struct *task)
{
	if (static_branch_unlikely(&zuf_points_on))
		zuf_point_hit(point, task);
}

void zuf_point_work_hit(enum zuf_point point);

/* In a worker; may sleep. */
static inline void zuf_point_work(enum zuf_point point)
{
	if (static_branch_unlikely(&zuf_points_on))
		zuf_point_work_hit(point);
}

int __init zuf_points_init(void);
void zuf_points_exit(void);

#endif /* ZUF_POINT_H */
