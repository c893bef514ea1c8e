// SPDX-License-Identifier: GPL-2.0
/*
 * The lease cache of an inode: see lease.h. A maple tree, as its nodes are wide, of
 * neighbouring extents of one answer, several in one object: what a lookup among a
 * million of them takes is mostly cache misses, so less memory is less time. An
 * object stays as it was answered; which part of it is still good is the tree's to
 * say, so that a recall of its middle splits it without allocating a second one.
 *
 * Readers hold no lock. The tree changes some ranges in place, so they look at
 * leases->version before and after, and look again under the lock if it moved.
 */
#include <linux/moduleparam.h>
#include <linux/pagemap.h>
#include <linux/prefetch.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "relay.h"
#include "data.h"

/* An extent; it ends where the next one begins, and where the tree's range ends. */
struct lease_part {
	u64 dev_off;		/* of its first block, as answered */
	u16 dev;
	u8 type;		/* ZUFS_EXT_* */
	u8 kind;		/* enum lease_kind; under leases->lock, read without */
};

/* A lookup wants two cold cache lines or three: this one and the next, and the part's. */
struct zuf_lease {
	u64 first;		/* block number */
	u64 epoch;		/* in which it was answered */
	u64 seq;		/* of the answer */
	struct rcu_head rcu;
	u32 ranges;		/* of the tree that name it; under leases->lock */
	u32 count;		/* of parts, which lie behind start[] */
	u32 start[];		/* in blocks from first on, of all parts but part 0 */
};

/* What a use needs is at most what a lease is. SHARED is for reads, but not to be mapped. */
enum lease_kind { LEASE_DEAD, LEASE_SHARED, LEASE_READ, LEASE_WRITE };

/* So many fill 512 bytes of kmalloc(). tests/lease-tree sets the limit lower. */
#define LEASE_PARTS_FIT		23u
#ifndef LEASE_PARTS_MAX
#define LEASE_PARTS_MAX		LEASE_PARTS_FIT
#endif
static_assert(sizeof(struct zuf_lease) +
	      LEASE_PARTS_FIT * (sizeof(u32) + sizeof(struct lease_part)) <= 512);

/* With the tree's share (16 slots in 256 bytes, half full at worst) below 96. */
static_assert(sizeof(struct zuf_lease) + sizeof(struct lease_part) <= 64);
static_assert(ZUFS_DEVICES_MAX <= U16_MAX);

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
	kfree(container_of(rcu, struct zuf_lease, rcu));
}

/* Where the parts begin, in bytes. */
static size_t parts_off(u32 count)
{
	return round_up(sizeof(struct zuf_lease) + (count - 1) * sizeof(u32), sizeof(u64));
}

/* Of @count parts, which are still to be filled in. */
static struct zuf_lease *lease_alloc(u32 count, u64 first, u64 seq, u64 epoch)
{
	struct zuf_lease *lease;

	if (atomic_long_read(&lease_total) + count > READ_ONCE(leases_max))
		return NULL;
	/*
	 * In the server's thread, which is charged. It shall not be reclaimed from, let
	 * alone be killed, for what is only kept because there is room.
	 */
	lease = kmalloc(parts_off(count) + count * sizeof(struct lease_part),
			GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!lease)
		return NULL;
	lease->first = first;
	lease->seq = seq;
	lease->epoch = epoch;
	lease->ranges = 1;
	lease->count = count;
	return lease;
}

static struct lease_part *parts_of(const struct zuf_lease *lease)
{
	return (struct lease_part *)((char *)lease + parts_off(lease->count));
}

static unsigned long part_first(const struct zuf_lease *lease, u32 i)
{
	return lease->first + (i ? lease->start[i - 1] : 0);
}

/* The part with @block, which is not in front of the first one. */
static u32 part_at(const struct zuf_lease *lease, unsigned long block)
{
	u32 low = 0, high = lease->count, middle;

	while (high - low > 1) {
		middle = (low + high) / 2;
		if (lease->first + lease->start[middle - 1] <= block)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Those of its parts that lie in [@from, @to] and are more than @kind become that. */
static u64 parts_lower(struct zuf_lease *lease, unsigned long from, unsigned long to, u8 kind)
{
	struct lease_part *part = parts_of(lease);
	u64 lowered = 0;
	u32 i;

	for (i = part_at(lease, from); i < lease->count && part_first(lease, i) <= to; i++) {
		if (part[i].kind <= kind)
			continue;
		WRITE_ONCE(part[i].kind, kind);
		lowered++;
	}
	return lowered;
}

static u64 parts_live(const struct zuf_lease *lease, unsigned long from, unsigned long to)
{
	u64 live = 0;
	u32 i;

	for (i = part_at(lease, from); i < lease->count && part_first(lease, i) <= to; i++)
		live += parts_of(lease)[i].kind != LEASE_DEAD;
	return live;
}

/* The number of ranges in the tree that name @lease changes by @add. */
static void lease_ranges(struct zuf_leases *leases, struct zuf_lease *lease, int add)
{
	lockdep_assert_held(&leases->lock);
	lease->ranges += add;
	if (lease->ranges)
		return;
	leases->count -= lease->count;
	atomic_long_sub(lease->count, &lease_total);
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
 * cannot be, for want of memory, is marked: false. @lost counts extents that
 * were live.
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
				*lost += parts_live(lease, from, to);
			if (!tree_store(leases, from, to, NULL)) {
				lease_ranges(leases, lease, pieces - 1);
			} else {
				parts_lower(lease, from, to, LEASE_DEAD);
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
	mas_for_each(&mas, lease, last)
		if (lease->seq <= seq)
			*lost += parts_lower(lease, max(mas.index, first), min(mas.last, last),
					     LEASE_READ);
}

/* -------------------------------------------------------------------- lookup */

/* One of an older epoch is for reading only. */
static bool lease_serves(const struct inode *inode, const struct zuf_lease *lease,
			 const struct lease_part *part, bool write)
{
	u8 kind = READ_ONCE(part->kind);

	if (!write)
		return kind != LEASE_DEAD;
	return kind == LEASE_WRITE && zuf_epoch_is_open(inode, lease->epoch);
}

/* What of part @i the range [@first, @last] of the tree has. */
static void lease_extent(const struct zuf_lease *lease, u32 i, unsigned long first,
			 unsigned long last, struct zufs_extent *ext)
{
	const struct lease_part *part = &parts_of(lease)[i];
	unsigned long start = part_first(lease, i);

	first = max(first, start);
	if (i + 1 < lease->count)
		last = min(last, part_first(lease, i + 1) - 1);
	*ext = (struct zufs_extent) {
		.file_off	= (u64)first * ZUFS_BLOCK_BYTES,
		.len_bytes	= (u64)(last - first + 1) * ZUFS_BLOCK_BYTES,
		.type		= part->type,
		.dev		= part->dev,
		.flags		= READ_ONCE(part->kind) == LEASE_SHARED ? ZUFS_EXTF_SHARED : 0,
	};
	if (part->type == ZUFS_EXT_DATA)
		ext->dev_off = part->dev_off + (u64)(first - start) * ZUFS_BLOCK_BYTES;
}

/* 1: found, 0: not there, -EAGAIN: the tree was changing. */
static int find_lockless(struct inode *inode, unsigned long block, bool write,
			 struct zufs_extent *ext)
{
	MA_STATE(mas, &leases_of(inode)->tree, block, block);
	struct zuf_leases *leases = leases_of(inode);
	struct zuf_lease *lease;
	unsigned int version;
	int ret = 0;
	u32 i;

	/* from before the version on: drop_all() frees what the tree still names */
	rcu_read_lock();
	version = READ_ONCE(leases->version);
	if (version & 1) {
		rcu_read_unlock();
		return -EAGAIN;
	}
	smp_rmb();		/* pairs with tree_store() */
	lease = mas_walk(&mas);
	if (lease) {
		prefetch((const char *)lease + L1_CACHE_BYTES);
		i = part_at(lease, block);
		ret = lease_serves(inode, lease, &parts_of(lease)[i], write);
		if (ret)
			lease_extent(lease, i, mas.index, mas.last, ext);
	}
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

/* What may be kept of an extent that was answered, and its blocks. */
static u8 leased_part(const struct zufs_extent *ext, u64 size, unsigned long *first,
		      unsigned long *last)
{
	u64 end = ext->file_off + ext->len_bytes;
	u8 kind = LEASE_DEAD;

	if (ext->flags & (ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W))
		kind = ext->flags & ZUFS_EXTF_SHARED ? LEASE_SHARED : LEASE_READ;
	/* what lies behind the end is nobody's to overwrite */
	if (ext->flags & ZUFS_EXTF_LEASE_W && ext->file_off < size) {
		end = min(end, size);
		kind = LEASE_WRITE;
	}
	*first = first_block(ext->file_off);
	*last = last_block(end);
	return kind;
}

/* How many of @ext, beginning with the first, are leased and lie one behind the other. */
static u32 leased_run(const struct zufs_extent *ext, u32 count, u64 size)
{
	unsigned long begin, first, last, next;
	u32 run = 0;

	for (; run < min(count, LEASE_PARTS_MAX); run++) {
		if (leased_part(&ext[run], size, &first, &last) == LEASE_DEAD)
			break;
		if (!run)
			begin = first;
		else if (first != next || first - begin > U32_MAX)
			break;
		next = last + 1;
	}
	return run;
}

static void lease_fill(struct zuf_lease *lease, const struct zufs_extent *ext, u64 size)
{
	struct lease_part *part = parts_of(lease);
	unsigned long first, last;
	u32 i;

	for (i = 0; i < lease->count; i++) {
		part[i] = (struct lease_part) {
			.dev_off	= ext[i].dev_off,
			.dev		= ext[i].dev,
			.type		= ext[i].type,
			.kind		= leased_part(&ext[i], size, &first, &last),
		};
		if (i)
			lease->start[i - 1] = first - lease->first;
	}
}

/* Of a run all, or nothing: -EEXIST, one of a newer answer is in the way; -ENOMEM. */
static int insert_run(struct inode *inode, const struct zufs_extent *ext, u32 count, u64 seq,
		      u64 epoch, u64 size)
{
	struct zuf_leases *leases = leases_of(inode);
	unsigned long first, last, begin;
	struct zuf_lease *lease;

	leased_part(&ext[0], size, &begin, &last);
	leased_part(&ext[count - 1], size, &first, &last);
	if (tree_has_newer(leases, begin, last, seq))
		return -EEXIST;
	lease = lease_alloc(count, begin, seq, epoch);
	if (!lease)
		return -ENOMEM;
	lease_fill(lease, ext, size);
	if (!tree_cut(leases, begin, last, seq, NULL) ||
	    tree_store(leases, begin, last, lease)) {
		kfree(lease);		/* nobody has seen it */
		return -ENOMEM;
	}
	leases->count += count;
	atomic_long_add(count, &lease_total);
	return 0;
}

void zuf_lease_insert(struct inode *inode, const struct zufs_extent *ext, u32 count, u64 seq,
		      u64 epoch)
{
	u64 size = round_up((u64)i_size_read(inode), ZUFS_BLOCK_BYTES), kept = 0;
	struct zuf_leases *leases = leases_of(inode);
	u32 i, j, run;
	int err;

	lockdep_assert_held(&leases->lock);
	for (i = 0; i < count; i += max(run, 1u)) {
		run = leased_run(&ext[i], count - i, size);
		err = run ? insert_run(inode, &ext[i], run, seq, epoch, size) : 0;
		if (!err)
			kept += run;
		for (j = 0; err == -EEXIST && run > 1 && j < run; j++)
			kept += !insert_run(inode, &ext[i + j], 1, seq, epoch, size);
	}
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
		parts_lower(lease, mas.index, mas.last, LEASE_DEAD);
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
	leases->hold_until_ns = 0;
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

bool zuf_fault_fenced(struct inode *inode, u64 start, u64 end)
{
	const struct zuf_fence *fence;

	lockdep_assert_held(&zuf_i(inode)->maps_lock);
	list_for_each_entry(fence, &leases_of(inode)->fences, node)
		if (fence->task && fence->task != current && fence->start < end &&
		    start < fence->end)
			return true;
	return false;
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
	return zuf_shrinker_add(&lease_shrinker, "zuf-leases");
}

/* After rcu_barrier(), with no inode left. */
void zuf_lease_exit(void)
{
	zuf_shrinker_del(&lease_shrinker);
}
