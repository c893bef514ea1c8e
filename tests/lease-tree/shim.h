/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim.h - what zuf/lease.c needs of the kernel and of the rest of zuf, in user mode. The
 * maple tree itself is the kernel's, with the headers of its own tests.
 *
 * Included in front of lease.c, whose own headers the guards below empty.
 */
#ifndef LEASE_TREE_SHIM_H
#define LEASE_TREE_SHIM_H

/* zuf's, and the kernel's that its tests have none of */
#define ZUF_RELAY_H
#define ZUF_DATA_H

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <urcu.h>
#include <urcu/uatomic.h>
#undef synchronize_rcu

#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/maple_tree.h>

#include <zus_api.h>

#define U16_MAX			UINT16_MAX
#define U32_MAX			UINT32_MAX
#define U64_MAX			UINT64_MAX
#define __init
#define MODULE_PARM_DESC(name, text)
#define module_param(name, type, mode)
#define lockdep_assert_held(lock)	((void)(lock))

/* ------------------------------------------------------------------- locks */

struct mutex {
	pthread_mutex_t m;
};

#define mutex_init(x)		pthread_mutex_init(&(x)->m, NULL)
#define mutex_lock(x)		pthread_mutex_lock(&(x)->m)
#define mutex_trylock(x)	(!pthread_mutex_trylock(&(x)->m))
#define mutex_unlock(x)		pthread_mutex_unlock(&(x)->m)

#undef smp_mb
#undef smp_rmb
#undef smp_wmb
#define smp_mb()		__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb()		__atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb()		__atomic_thread_fence(__ATOMIC_RELEASE)

#define atomic_long_read(x)	uatomic_read(&(x)->counter)
#define atomic_long_add(n, x)	uatomic_add(&(x)->counter, (n))
#define atomic_long_sub(n, x)	uatomic_sub(&(x)->counter, (n))

#define L1_CACHE_BYTES		64
#define prefetch(address)	__builtin_prefetch(address)

/* Nobody waits here. */
#define cond_resched()		((void)0)
#define current			((const struct task_struct *)NULL)
#define wake_up_var(var)	((void)(var))
#define wait_var_event_killable(var, condition)	((void)(var), (condition) ? 0 : -EINTR)

/* ------------------------------------------------------------------- memory */

void kfree(void *object);

struct shrinker;

struct shrink_control {
	gfp_t gfp_mask;
	unsigned long nr_to_scan;
};

#define SHRINK_STOP		(~0ul)
#define SHRINK_EMPTY		(~0ul - 1)
#define ZUF_DEFINE_SHRINKER(name, count_fn, scan_fn)				\
	static struct {								\
		unsigned long (*count)(struct shrinker *, struct shrink_control *); \
		unsigned long (*scan)(struct shrinker *, struct shrink_control *);  \
	} name = { count_fn, scan_fn }
#define zuf_shrinker_add(shrinker, name)	((shrinker)->count ? 0 : -ENOMEM)
#define zuf_shrinker_del(shrinker)		((void)(shrinker))

/* -------------------------------------------------------------------- inodes */

struct super_block {
	u64 open_epoch;
};

struct inode {
	struct super_block *i_sb;
	loff_t size;
	mode_t i_mode;
	unsigned int references;
};

#define i_size_read(inode)	((inode)->size)

#include "../../zuf/lease.h"

struct zuf_inode {
	struct inode vfs_inode;
	struct zuf_leases leases;
	spinlock_t maps_lock;
};

struct zuf_mount;

#define zuf_i(inode)		container_of(inode, struct zuf_inode, vfs_inode)
#define zuf_mount_of(sb)	((struct zuf_mount *)(sb))
#define zuf_leases_on(inode)	((inode)->i_sb != NULL)

static inline bool zuf_epoch_is_open(const struct inode *inode, u64 epoch)
{
	return epoch == inode->i_sb->open_epoch;
}

static inline struct inode *igrab(struct inode *inode)
{
	inode->references++;
	return inode;
}

static inline void iput(struct inode *inode)
{
	inode->references--;
}

#endif /* LEASE_TREE_SHIM_H */
