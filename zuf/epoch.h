/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Write epochs of a mount: what EPOCH moves on. See struct zufs_epoch of zus_api.h for
 * what they promise, docs/locking.md for what waits for what.
 *
 * Every use that writes looks, inside of the gate, whether the epoch of its answer or
 * lease is the open one. While an epoch ends none is: all of them find nothing, go back
 * to their first phase, and wait there.
 */
#ifndef ZUF_EPOCH_H
#define ZUF_EPOCH_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct inode;
struct zuf_inode;
struct zuf_mount;
struct zufs_epoch;

#define ZUF_EPOCH_CLOSED	U64_MAX	/* nobody's: no answer carries it */
#define ZUF_EPOCH_HIST		32	/* bucket i: [2^i, 2^(i+1)) ns */

/* Of a mount; embedded. Without ZUFS_MF_EPOCHS all epochs are 0 for ever. */
struct zuf_epochs {
	u64 open;		/* lockless: zuf_epoch_is_open() */
	u64 published;		/* written by the work before open; read without lock */
	wait_queue_head_t wait;	/* for open not to be CLOSED */

	/* what follows, and zuf_inode.epoch_node; not in the line that all writers read */
	spinlock_t lock ____cacheline_aligned_in_smp;
	u64 queued;		/* the last one asked for */
	struct list_head calls;	/* struct epoch_call, oldest first */
	struct list_head dirty;	/* inodes that may be mapped for writing */
	struct list_head todo;	/* of them those yet to be cleaned in this pass */
	struct zuf_inode *cleaning; /* the work's, with no reference */
	wait_queue_head_t clean_wait; /* for cleaning to be another */

	struct work_struct work; /* one epoch after the other */
	u64 opened_ns;		/* the work's */

	/* statistics: the work writes them, sysfs reads */
	u64 count;
	u64 inodes;		/* cleaned while nobody wrote */
	u64 stall_last_ns;
	u64 stall_max_ns;
	u32 stall_hist[ZUF_EPOCH_HIST];
	atomic_long_t waits;	/* writes and faults that waited */
	atomic_long_t stale;	/* answers older than the epoch they were asked for in */
};

void zuf_epochs_init(struct zuf_mount *mount);
/* MOUNT was answered, nothing has been mapped. */
void zuf_epochs_start(struct zuf_mount *mount);

/*
 * ZUFS_IOC_EPOCH. -EOPNOTSUPP, -EINVAL, -EBUSY, -ENOMEM, -ENXIO (not mounted). The end
 * is told by zuf_recall_read().
 */
int zuf_epoch_queue(struct zuf_mount *mount, const struct zufs_epoch *wire);

/* Phase one of a write: wait, killably, until an epoch is open. 0, -EINTR. */
int zuf_epoch_wait(struct zuf_mount *mount);
/* The mount's epoch, also while it is closed. */
u64 zuf_epoch_published(const struct zuf_mount *mount);
/* What was answered in @epoch may be written by; inside of the gate. */
bool zuf_epoch_is_open(const struct inode *inode, u64 epoch);
/* A page of @inode is about to be mapped for writing; inside of the gate, epoch open. */
void zuf_epoch_dirtied(struct inode *inode);
/* Evict: the entries have been flushed and are gone. May wait for a flush. */
void zuf_epoch_forget(struct inode *inode);
/* An answer came that was older than the epoch in which it was asked for. */
void zuf_epoch_count_stale(struct zuf_mount *mount);

/* sysfs */
ssize_t zuf_epochs_show(struct zuf_mount *mount, char *buf);

int __init zuf_epoch_init(void);
void zuf_epoch_exit(void);

#endif /* ZUF_EPOCH_H */
