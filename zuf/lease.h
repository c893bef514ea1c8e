/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Leases: answers to MAP that stay in the kernel until the server recalls them.
 *
 * Each inode has a range tree of them. A use looks its extent up inside the
 * mount's gate, an SRCU section that never waits for the server, and is done with
 * it before it leaves. Who takes a lease away first makes it impossible to find,
 * then waits for the gate. So what was found is good until the section ends.
 *
 * A range that is being recalled is fenced: nobody inserts DAX entries there, and
 * who would have to ask the server for it waits.
 */
#ifndef ZUF_LEASE_H
#define ZUF_LEASE_H

#include <linux/list.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct inode;
struct super_block;
struct task_struct;
struct zuf_mount;
struct zuf_reply;
struct zufs_extent;
enum zuf_rule;

#define ZUF_GATE_MAX_BYTES	0x100000u	/* moved in one section of the gate */
#define ZUF_LEASE_SEQ_ALL	U64_MAX

/* Of an inode; embedded in struct zuf_inode. */
struct zuf_leases {
	/*
	 * Writers of what follows, and the answers of struct zuf_map. Of the
	 * second kind: nothing under it waits for the server, the gate or
	 * another lock than maps_lock; it allocates without reclaim of ours.
	 */
	struct mutex lock;
	struct maple_tree tree;		/* of struct zuf_lease, by block number */
	unsigned int version;		/* odd while the tree changes; lockless */
	unsigned int num_fences;	/* under maps_lock; read without */
	unsigned long count;		/* extents of the objects in the tree */
	u64 changes;			/* of the layout, by operations of this kernel */
	atomic_t starving;		/* maps that recalls overtook again and again */
	u64 hold_until_ns;		/* of recalls, after a fault; lockless */
	struct list_head fences;	/* struct zuf_fence; under maps_lock */
	struct list_head node;		/* with count: in the shrinker's list */
};

/* [start, end) of the file, in bytes; LLONG_MAX: to the end. */
struct zuf_fence {
	struct list_head node;
	u64 start;
	u64 end;
	const struct task_struct *task;	/* of a fault: its own, which goes on; NULL: a recall's */
};

enum zuf_lease_stat {
	ZUF_LEASE_HITS,		/* uses that found all they needed */
	ZUF_LEASE_MISSES,	/* maps that were asked for instead */
	ZUF_LEASE_RESTARTS,	/* answers that were gone before their use */
	ZUF_LEASE_REFUSED,	/* answers older than a recall */
	ZUF_LEASE_KEPT,		/* extents taken into the cache */
	ZUF_LEASE_RECALLS,	/* of the server */
	ZUF_LEASE_RECALL_HITS,	/* of one file each, that met a live lease */
	ZUF_LEASE_RECALLED,	/* leases that were live when recalled */
	ZUF_LEASE_PINNED_WAITS,	/* for pages that somebody kept */
	ZUF_LEASE_FENCE_WAITS,
	ZUF_LEASE_SHRUNK,	/* dropped for their memory */
	ZUF_LEASE_WORDS,	/* writes that a word on the device made part of the file */
	ZUF_LEASE_STAYS,	/* that had to stay in their place, for pages in use */
	ZUF_LEASE_STAT_COUNT,
};

extern const char *const zuf_lease_stat_names[ZUF_LEASE_STAT_COUNT];
void zuf_lease_count(struct zuf_mount *mount, enum zuf_lease_stat stat, u64 add);
u64 zuf_lease_sum(struct zuf_mount *mount, enum zuf_lease_stat stat);

int __init zuf_lease_init(void);
void zuf_lease_exit(void);
void zuf_leases_init(struct zuf_leases *leases);	/* once a slab object */
void zuf_leases_reset(struct zuf_leases *leases);	/* before the inode's use */
/* Free all: at evict, when nobody can use the inode. */
void zuf_leases_drop(struct inode *inode);

/*
 * The part of a lease that holds @off; @write: one to write by, of the mount's epoch.
 * Inside the gate.
 * @ext->flags is 0, or ZUFS_EXTF_SHARED: not to be mapped. May sleep.
 */
bool zuf_lease_find(struct inode *inode, u64 off, bool write, struct zufs_extent *ext);

/*
 * Take what @ext has of leases into the cache, unless it holds something newer.
 * Under leases->lock; without memory less is kept.
 */
void zuf_lease_insert(struct inode *inode, const struct zufs_extent *ext, u32 count, u64 seq,
		      u64 epoch);

/*
 * Make leases of [start, end) that were answered up to @seq impossible to find, or
 * with @downgrade to find for writing. Under leases->lock. Never fails. Returns
 * how many there were.
 */
u64 zuf_lease_kill(struct inode *inode, u64 start, u64 end, u64 seq, bool downgrade);

/*
 * An operation of this kernel has changed, or may have, where the bytes of
 * [start, end) are: leases of them end, and answers under way are not kept. Uses
 * that are inside of the gate are the caller's business.
 */
void zuf_lease_changed(struct inode *inode, u64 start, u64 end);

void zuf_fence_add(struct inode *inode, struct zuf_fence *fence);
/* Wakes who waits. */
void zuf_fence_del(struct inode *inode, struct zuf_fence *fence);
/* Wait, killably, until nothing of [start, end) is fenced. 0, -EINTR. */
int zuf_fence_wait(struct inode *inode, u64 start, u64 end);
/* Inside of the gate, so that a fence cannot come without waiting for the caller. */
bool zuf_fenced(struct inode *inode, u64 off);
/* By another task's fault, whose answer may move bytes of [start, end). Under maps_lock. */
bool zuf_fault_fenced(struct inode *inode, u64 start, u64 end);

#endif /* ZUF_LEASE_H */
