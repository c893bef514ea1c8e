// SPDX-License-Identifier: GPL-2.0
/*
 * The lease cache of an inode: see lease.h. A maple tree, as its nodes are wide:
 * a million extents are five levels, and neighbours share cache lines. A lease
 * stays as it was answered; which part of it is still good is the tree's to say,
 * so that a recall of its middle splits it without allocating a second one.
 *
 * Readers hold no lock. The tree changes some ranges in place, so they look at
 * leases->version before and after, and look again under the lock if it moved.
 */
#include <linux/moduleparam.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "relay.h"
#include "data.h"

struct zuf_lease {
	u64 file_off;		/* as answered */
	u64 dev_off;
	u64 seq;
	u64 epoch;		/* in which it was answered */
	u32 dev;
	u8 type;		/* ZUFS_EXT_* */
	u8 kind;		/* enum lease_kind; under leases->lock, read without */
	u32 ranges;		/* of the tree that name it; under leases->lock */
	struct rcu_head rcu;
};

/* What a use needs is at most what a lease is. */
enum lease_kind { LEASE_DEAD, LEASE_READ, LEASE_WRITE };

/* With the tree's share (16 slots in 256 bytes, half full at worst) below 96. */
static_assert(sizeof(struct zuf_lease) <= 64);

static struct kmem_cache *lease_cache;
static atomic_long_t lease_total;
static LIST_HEAD(lease_inodes);		/* struct zuf_leases, oldest first */
static DEFINE_SPINLOCK(lease_inodes_lock);

static unsigned long leases_max = 8ul << 20;
module_param(leases_max, ulong, 0644);
MODULE_PARM_DESC(leases_max, "extents that all mounts together may keep");

static struct zuf_leases *leases_of(const struct inode *inode)
{
	return &zuf_i(inode)->leases;
}

static unsigned long first_block(u64 off)
{
	return off / ZUFS_BLOCK_BYTES;
}

/* The last one of a range that ends before @end. */
static unsigned long last_block(u64 end)
{
	return (min_t(u64, end, LLONG_MAX) - 1) / ZUFS_BLOCK_BYTES;
}

/* ------------------------------------------------------------------- objects */

static void lease_free_rcu(struct rcu_head *rcu)
{
	kmem_cache_free(lease_cache, container_of(rcu, struct zuf_lease, rcu));
}

static struct zuf_lease *lease_alloc(const struct zufs_extent *ext, u64 seq, u64 epoch, u8 kind)
{
	struct zuf_lease *lease;

	if (atomic_long_read(&lease_total) >= READ_ONCE(leases_max))
		return NULL;
	/*
	 * In the server's thread, which is charged. It shall not be reclaimed from, let
	 * alone be killed, for what is only kept because there is room.
	 */
	lease = kmem_cache_alloc(lease_cache, GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!lease)
		return NULL;
	*lease = (struct zuf_lease) {
		.file_off	= ext->file_off,
		.dev_off	= ext->dev_off,
		.seq		= seq,
		.epoch		= epoch,
		.dev		= ext->dev,
		.type		= ext->type,
		.kind		= kind,
		.ranges		= 1,
	};
	return lease;
}

/* The number of ranges in the tree that name @lease changes by @add. */
static void lease_ranges(struct zuf_leases *leases, struct zuf_lease *lease, int add)
{
	lockdep_assert_held(&leases->lock);
	lease->ranges += add;
	if (lease->ranges)
		return;
	leases->count--;
	atomic_long_dec(&lease_total);
	call_rcu(&lease->rcu, lease_free_rcu);	/* find_lockless() */
}

/* ---------------------------------------------------------------------- tree */

/* Partner of the two loads in find_lockless(). */
static int tree_store(struct zuf_leases *leases, unsigned long first, unsigned long last,
		      struct zuf_lease *lease)
{
	MA_STATE(mas, &leases->tree, first, last);
	int err;

	lockdep_assert_held(&leases->lock);
	WRITE_ONCE(leases->version, leases->version + 1);
	smp_wmb();		/* pairs with find_lockless() */
	/* not into our own shrinker; nobody is charged, as the tree's first try has it */
	err = mas_store_gfp(&mas, lease, GFP_NOFS | __GFP_NOWARN);
	smp_wmb();		/* pairs with find_lockless() */
	WRITE_ONCE(leases->version, leases->version + 1);
	return err;
}

/*
 * Take what lies in [first, last] and is not newer than @seq out of the tree. What
 * cannot be, for want of memory, is marked, as a whole: false. @lost counts
 * leases that were live.
 */
static bool tree_cut(struct zuf_leases *leases, unsigned long first, unsigned long last,
		     u64 seq, u64 *lost)
{
	MA_STATE(mas, &leases->tree, first, first);
	struct zuf_lease *lease;
	unsigned long from, to;
	bool all = true;
	int pieces;

	lockdep_assert_held(&leases->lock);
	while ((lease = mas_find(&mas, last))) {
		from = max(mas.index, first);
		to = min(mas.last, last);
		if (lease->seq <= seq) {
			pieces = (mas.index < first) + (mas.last > last);
			if (lost)
				*lost += lease->kind != LEASE_DEAD;
			if (!tree_store(leases, from, to, NULL)) {
				lease_ranges(leases, lease, pieces - 1);
			} else {
				WRITE_ONCE(lease->kind, LEASE_DEAD);
				all = false;
			}
		}
		if (to == last)
			break;
		mas_set(&mas, to + 1);
		cond_resched();
	}
	return all;
}

static bool tree_has_newer(struct zuf_leases *leases, unsigned long first, unsigned long last,
			   u64 seq)
{
	MA_STATE(mas, &leases->tree, first, first);
	struct zuf_lease *lease;

	lockdep_assert_held(&leases->lock);
	mas_for_each(&mas, lease, last)
		if (lease->seq > seq)
			return true;
	return false;
}

static void tree_downgrade(struct zuf_leases *leases, unsigned long first, unsigned long last,
			   u64 seq, u64 *lost)
{
	MA_STATE(mas, &leases->tree, first, first);
	struct zuf_lease *lease;

	lockdep_assert_held(&leases->lock);
	mas_for_each(&mas, lease, last) {
		if (lease->seq > seq || lease->kind != LEASE_WRITE)
			continue;
		WRITE_ONCE(lease->kind, LEASE_READ);
		(*lost)++;
	}
}

/* -------------------------------------------------------------------- lookup */

/* One of an older epoch is for reading only. */
static bool lease_serves(const struct inode *inode, const struct zuf_lease *lease, bool write)
{
	u8 kind = READ_ONCE(lease->kind);

	if (!write)
		return kind >= LEASE_READ;
	return kind == LEASE_WRITE && zuf_epoch_is_open(inode, lease->epoch);
}

/* What the range [@first, @last] of the tree says. */
static void lease_extent(const struct zuf_lease *lease, unsigned long first, unsigned long last,
			 struct zufs_extent *ext)
{
	*ext = (struct zufs_extent) {
		.file_off	= (u64)first * ZUFS_BLOCK_BYTES,
		.len_bytes	= (u64)(last - first + 1) * ZUFS_BLOCK_BYTES,
		.type		= lease->type,
		.dev		= lease->dev,
	};
	if (lease->type == ZUFS_EXT_DATA)
		ext->dev_off = lease->dev_off + (ext->file_off - lease->file_off);
}

/* 1: found, 0: not there, -EAGAIN: the tree was changing. */
static int find_lockless(struct inode *inode, unsigned long block, bool write,
			 struct zufs_extent *ext)
{
	MA_STATE(mas, &leases_of(inode)->tree, block, block);
	struct zuf_leases *leases = leases_of(inode);
	struct zuf_lease *lease;
	unsigned int version;
	int ret;

	/* from before the version on: drop_all() frees what the tree still names */
	rcu_read_lock();
	version = READ_ONCE(leases->version);
	if (version & 1) {
		rcu_read_unlock();
		return -EAGAIN;
	}
	smp_rmb();		/* pairs with tree_store() */
	lease = mas_walk(&mas);
	ret = lease && lease_serves(inode, lease, write);
	if (ret)
		lease_extent(lease, mas.index, mas.last, ext);
	rcu_read_unlock();
	smp_rmb();		/* pairs with tree_store() */
	return READ_ONCE(leases->version) == version ? ret : -EAGAIN;
}

bool zuf_lease_find(struct inode *inode, u64 off, bool write, struct zufs_extent *ext)
{
	struct zuf_leases *leases = leases_of(inode);
	unsigned long block = first_block(off);
	int ret;

	ret = find_lockless(inode, block, write, ext);
	if (unlikely(ret < 0)) {
		mutex_lock(&leases->lock);
		ret = find_lockless(inode, block, write, ext);
		mutex_unlock(&leases->lock);
	}
	return ret > 0;
}

/* ------------------------------------------------------------- keep and lose */

static bool insert_one(struct inode *inode, const struct zufs_extent *ext, u64 seq, u64 epoch)
{
	struct zuf_leases *leases = leases_of(inode);
	u64 size = round_up(i_size_read(inode), ZUFS_BLOCK_BYTES);
	u8 kind = ext->flags & ZUFS_EXTF_LEASE_W ? LEASE_WRITE : LEASE_READ;
	u64 end = ext->file_off + ext->len_bytes;
	struct zuf_lease *lease;
	unsigned long first, last;

	/* what lies behind the end is nobody's to overwrite */
	if (kind == LEASE_WRITE && ext->file_off < size)
		end = min(end, size);
	else
		kind = LEASE_READ;
	first = first_block(ext->file_off);
	last = last_block(end);
	if (tree_has_newer(leases, first, last, seq))
		return false;
	lease = lease_alloc(ext, seq, epoch, kind);
	if (!lease)
		return false;
	if (!tree_cut(leases, first, last, seq, NULL) ||
	    tree_store(leases, first, last, lease)) {
		kmem_cache_free(lease_cache, lease);	/* nobody has seen it */
		return false;
	}
	leases->count++;
	atomic_long_inc(&lease_total);
	return true;
}

void zuf_lease_insert(struct inode *inode, const struct zufs_extent *ext, u32 count, u64 seq,
		      u64 epoch)
{
	struct zuf_leases *leases = leases_of(inode);
	u64 kept = 0;
	u32 i;

	lockdep_assert_held(&leases->lock);
	for (i = 0; i < count; i++, ext++)
		if (ext->flags & (ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W))
			kept += insert_one(inode, ext, seq, epoch);
	zuf_lease_count(zuf_mount_of(inode->i_sb), ZUF_LEASE_KEPT, kept);
	if (kept && list_empty(&leases->node)) {
		spin_lock(&lease_inodes_lock);
		list_add_tail(&leases->node, &lease_inodes);
		spin_unlock(&lease_inodes_lock);
	}
}

u64 zuf_lease_kill(struct inode *inode, u64 start, u64 end, u64 seq, bool downgrade)
{
	struct zuf_leases *leases = leases_of(inode);
	u64 lost = 0;

	lockdep_assert_held(&leases->lock);
	if (start >= end || !leases->count)
		return 0;
	if (downgrade)
		tree_downgrade(leases, first_block(start), last_block(end), seq, &lost);
	else
		tree_cut(leases, first_block(start), last_block(end), seq, &lost);
	return lost;
}

void zuf_lease_changed(struct inode *inode, u64 start, u64 end)
{
	struct zuf_leases *leases = leases_of(inode);

	if (!S_ISREG(inode->i_mode) || !zuf_leases_on(inode))
		return;
	mutex_lock(&leases->lock);
	leases->changes++;
	zuf_lease_kill(inode, round_down(start, ZUFS_BLOCK_BYTES), end, ZUF_LEASE_SEQ_ALL, false);
	mutex_unlock(&leases->lock);
}

/*
 * ALLOC_RANGE, though nothing is allocated from it: what RCU frees of whole trees takes
 * the end mark in a full inner node of the plain kind for a child (6.1 to 6.12).
 */
static void tree_init(struct zuf_leases *leases)
{
	mt_init_flags(&leases->tree, MT_FLAGS_ALLOC_RANGE | MT_FLAGS_USE_RCU |
		      MT_FLAGS_LOCK_EXTERN);
	mt_set_external_lock(&leases->tree, &leases->lock);
}

/* Every lease, without looking for ranges; the tree is then as new. */
static unsigned long drop_all(struct zuf_leases *leases)
{
	MA_STATE(mas, &leases->tree, 0, 0);
	unsigned long count = leases->count;
	struct zuf_lease *lease;

	lockdep_assert_held(&leases->lock);
	if (!count)
		return 0;
	mas_for_each(&mas, lease, ULONG_MAX) {
		WRITE_ONCE(lease->kind, LEASE_DEAD);
		cond_resched();
	}
	WRITE_ONCE(leases->version, leases->version + 1);
	smp_wmb();		/* pairs with find_lockless() */
	mas_set(&mas, 0);
	mas_for_each(&mas, lease, ULONG_MAX) {
		lease_ranges(leases, lease, -1);
		cond_resched();
	}
	__mt_destroy(&leases->tree);
	tree_init(leases);		/* it has lost its flags */
	smp_wmb();		/* pairs with find_lockless() */
	WRITE_ONCE(leases->version, leases->version + 1);
	return count;
}

void zuf_leases_drop(struct inode *inode)
{
	struct zuf_leases *leases = leases_of(inode);

	if (!list_empty(&leases->node)) {
		spin_lock(&lease_inodes_lock);
		list_del_init(&leases->node);
		spin_unlock(&lease_inodes_lock);
	}
	mutex_lock(&leases->lock);
	drop_all(leases);
	mutex_unlock(&leases->lock);
}

void zuf_leases_init(struct zuf_leases *leases)
{
	mutex_init(&leases->lock);
	tree_init(leases);
	INIT_LIST_HEAD(&leases->fences);
	INIT_LIST_HEAD(&leases->node);
	leases->version = 0;
	leases->num_fences = 0;
	leases->count = 0;
	leases->fault_ns = 0;
	atomic_set(&leases->starving, 0);
}

void zuf_leases_reset(struct zuf_leases *leases)
{
	leases->changes = 0;
}

/* -------------------------------------------------------------------- fences */

void zuf_fence_add(struct inode *inode, struct zuf_fence *fence)
{
	struct zuf_leases *leases = leases_of(inode);

	spin_lock(&zuf_i(inode)->maps_lock);
	list_add_tail(&fence->node, &leases->fences);
	WRITE_ONCE(leases->num_fences, leases->num_fences + 1);
	spin_unlock(&zuf_i(inode)->maps_lock);
}

void zuf_fence_del(struct inode *inode, struct zuf_fence *fence)
{
	struct zuf_leases *leases = leases_of(inode);

	spin_lock(&zuf_i(inode)->maps_lock);
	list_del(&fence->node);
	WRITE_ONCE(leases->num_fences, leases->num_fences - 1);
	spin_unlock(&zuf_i(inode)->maps_lock);
	smp_mb();	/* pairs with the waiter's set_current_state() */
	wake_up_var(&leases->num_fences);
}

static bool fenced(struct inode *inode, u64 start, u64 end)
{
	struct zuf_leases *leases = leases_of(inode);
	const struct zuf_fence *fence;
	bool yes = false;

	if (likely(!READ_ONCE(leases->num_fences)))
		return false;
	spin_lock(&zuf_i(inode)->maps_lock);
	list_for_each_entry(fence, &leases->fences, node)
		yes |= fence->start < end && start < fence->end && fence->task != current;
	spin_unlock(&zuf_i(inode)->maps_lock);
	return yes;
}

bool zuf_fenced(struct inode *inode, u64 off)
{
	return fenced(inode, off, off + 1);
}

int zuf_fence_wait(struct inode *inode, u64 start, u64 end)
{
	struct zuf_leases *leases = leases_of(inode);

	if (likely(!fenced(inode, start, end)))
		return 0;
	zuf_lease_count(zuf_mount_of(inode->i_sb), ZUF_LEASE_FENCE_WAITS, 1);
	return wait_var_event_killable(&leases->num_fences, !fenced(inode, start, end)) ?
	       -EINTR : 0;
}

/* ------------------------------------------------------------------ shrinker */

static unsigned long lease_shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	return atomic_long_read(&lease_total) ?: SHRINK_EMPTY;
}

/* All leases of the inode that has had some for longest; it goes to the end. */
static unsigned long shrink_one(void)
{
	struct zuf_leases *leases;
	struct inode *inode;
	unsigned long dropped;

	spin_lock(&lease_inodes_lock);
	leases = list_first_entry_or_null(&lease_inodes, struct zuf_leases, node);
	if (!leases) {
		spin_unlock(&lease_inodes_lock);
		return 0;
	}
	list_move_tail(&leases->node, &lease_inodes);
	inode = igrab(&container_of(leases, struct zuf_inode, leases)->vfs_inode);
	spin_unlock(&lease_inodes_lock);
	if (!inode)
		return 0;		/* it is being evicted, and drops them itself */
	dropped = 0;
	if (mutex_trylock(&leases->lock)) {
		dropped = drop_all(leases);
		mutex_unlock(&leases->lock);
	}
	zuf_lease_count(zuf_mount_of(inode->i_sb), ZUF_LEASE_SHRUNK, dropped);
	iput(inode);
	return dropped;
}

static unsigned long lease_shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	unsigned long done = 0, dropped;
	unsigned int tries = 16;

	/* the last reference to an inode may go here */
	if (!(sc->gfp_mask & __GFP_FS))
		return SHRINK_STOP;
	while (done < sc->nr_to_scan && tries--) {
		dropped = shrink_one();
		done += dropped;
	}
	return done ?: SHRINK_STOP;
}

ZUF_DEFINE_SHRINKER(lease_shrinker, lease_shrink_count, lease_shrink_scan);

int __init zuf_lease_init(void)
{
	int err;

	lease_cache = KMEM_CACHE(zuf_lease, SLAB_ACCOUNT);
	if (!lease_cache)
		return -ENOMEM;
	err = zuf_shrinker_add(&lease_shrinker, "zuf-leases");
	if (err)
		kmem_cache_destroy(lease_cache);
	return err;
}

/* After rcu_barrier(), with no inode left. */
void zuf_lease_exit(void)
{
	zuf_shrinker_del(&lease_shrinker);
	kmem_cache_destroy(lease_cache);
}
