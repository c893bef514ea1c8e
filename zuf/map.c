// SPDX-License-Identifier: GPL-2.0
/*
 * Maps: asking the server where bytes are, and handing it to the kernel's iomap and DAX
 * library. What it says is checked in map_check.c, and told in map_done.c what was written.
 */
#include <linux/dax.h>
#include <linux/hrtimer.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "relay.h"
#include "data.h"

#define ZUF_BUSY_FIRST_NS	(50 * NSEC_PER_USEC)
#define ZUF_BUSY_LONGEST_NS	(10 * NSEC_PER_MSEC)

/* --------------------------------------------------------------------- busy */

int zuf_busy_wait(struct zuf_busy *busy, struct zuf_mount *mount)
{
	u32 deadline_ms = READ_ONCE(mount->deadline_ms);
	ktime_t delay;

	if (!busy->delay_ns) {
		busy->since_jiffies = jiffies;
		busy->delay_ns = ZUF_BUSY_FIRST_NS;
	}
	if (fatal_signal_pending(current))
		return -EINTR;
	if (deadline_ms &&
	    time_after(jiffies, busy->since_jiffies + msecs_to_jiffies(deadline_ms)))
		return -ETIMEDOUT;
	delay = ns_to_ktime(busy->delay_ns);
	set_current_state(TASK_KILLABLE);
	schedule_hrtimeout_range(&delay, busy->delay_ns / 4, HRTIMER_MODE_REL);
	busy->delay_ns = min_t(u64, busy->delay_ns * 2, ZUF_BUSY_LONGEST_NS);
	return 0;
}

/*
 * ENOSPC may only mean that the server has not yet been told of inodes that are
 * gone: tell it, and ask once more.
 */
static bool space_may_come(struct zuf_mount *mount, bool *flushed)
{
	if (*flushed || !atomic_read(&mount->forced_pending))
		return false;
	*flushed = true;
	zuf_forced_flush(mount);
	return !fatal_signal_pending(current);
}

/* Recalls wait for @map, but not while the server says that it is busy. */
static void map_starves(const struct zuf_map *map, bool yes)
{
	atomic_t *starving;

	if (likely(!map || !map->starving))
		return;
	starving = &zuf_i(map->inode)->leases.starving;
	if (yes)
		atomic_inc(starving);
	else if (atomic_dec_and_test(starving))
		wake_up_var(starving);
}

int zuf_call_retry(struct zuf_call *call)
{
	struct zuf_busy busy = {};
	bool flushed = false;
	int err;

	for (;;) {
		err = zuf_call(call);
		if (likely(err != -EAGAIN && err != -ENOSPC))
			return err;
		if (err == -ENOSPC && !space_may_come(call->mount, &flushed))
			return err;
		call->id = 0;		/* nothing is out while this waits */
		if (err == -EAGAIN) {
			map_starves(call->map, false);
			err = zuf_busy_wait(&busy, call->mount);
			map_starves(call->map, true);
			if (err)
				return err;
		}
	}
}

int zuf_data_begin(struct inode *inode)
{
	const struct zuf_mount *mount = zuf_mount_of(inode->i_sb);

	if (unlikely(test_bit(ZUF_I_BAD, &zuf_i(inode)->flags) || READ_ONCE(mount->shut)))
		return -EIO;
	if (unlikely(zuf_server_is_current(mount->server)))
		return -EDEADLK;
	return zuf_orphan_wait(inode);
}

/* ------------------------------------------------------------------- asking */

static int map_alloc(struct zuf_map *map, u64 off, u64 len_bytes)
{
	u64 blocks = (round_up(off + len_bytes, ZUFS_BLOCK_BYTES) -
		      round_down(off, ZUFS_BLOCK_BYTES)) / ZUFS_BLOCK_BYTES;

	map->extents = map->small_extents;
	map->max_extents = min_t(u64, blocks, ZUF_MAP_SMALL_EXTENTS);
	map->done_msg = NULL;
	if (map->flags & ZUFS_MAP_WRITE) {
		map->done_msg = zuf_done_msg_get();
		if (!map->done_msg)
			return -ENOMEM;
	}
	if (blocks > ZUF_MAP_SMALL_EXTENTS) {
		u32 max_extents = min_t(u64, blocks, ZUFS_EXTENTS_MAX);
		struct zufs_extent *extents;

		/* without the memory, smaller steps do as well */
		extents = kmalloc_array(max_extents, sizeof(*extents),
					GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY);
		if (extents) {
			map->extents = extents;
			map->max_extents = max_extents;
		}
	}
	return 0;
}

static void map_free(struct zuf_map *map)
{
	if (map->extents != map->small_extents)
		kfree(map->extents);
	if (map->done_msg)
		zuf_done_msg_put(map->done_msg);
}

static void map_take(struct zuf_map *map, u32 count, u64 end)
{
	const struct zufs_extent *ext = map->extents;
	u32 i;

	map->count = count;
	for (i = 0; i < count; i++, ext++) {
		map->owes_done |= ext->flags & ZUF_EXTF_OWED;
		map->any_new |= ext->flags & ZUFS_EXTF_NEW;
	}
	ext--;
	map->end = min(ext->file_off + ext->len_bytes, end);
}

/*
 * Whom a recall finds before the answer has come, and a fault that may move bytes. False:
 * since map_wait() such a fault has fenced the range and did not find it, or has left its
 * answer to come behind it. A fault beside the range may be answered later than this map,
 * whose answer may be wider than what is asked for.
 */
static bool map_link(struct zuf_map *map, u64 len_bytes)
{
	struct zuf_inode *zi = zuf_i(map->inode);
	bool moves;

	map->answered = false;
	map->dead = false;
	map->refuse_end = 0;
	map->refuse_seq = 0;
	map->count = 0;
	map->changes = READ_ONCE(zi->leases.changes);
	spin_lock(&zi->maps_lock);
	map->keep = !zuf_fault_fenced(map->inode, 0, LLONG_MAX);
	moves = !map->keep && zuf_fault_fenced(map->inode, map->off, map->off + len_bytes);
	/* a killed fault counts as one before its fence goes */
	moves |= atomic_read(&zi->orphans);
	if (likely(!moves))
		list_add(&map->node, &zi->maps);
	spin_unlock(&zi->maps_lock);
	return !moves;
}

static void map_unlink(struct zuf_map *map)
{
	struct zuf_inode *zi = zuf_i(map->inode);

	spin_lock(&zi->maps_lock);
	list_del(&map->node);
	spin_unlock(&zi->maps_lock);
}

/*
 * In the replying thread, so that what the server says next comes after it: a
 * RECALL finds the answer in use, or as a lease, or has marked it before.
 */
void zuf_take_map(const struct zuf_reply *reply)
{
	const struct zufs_map_out *out = reply->out;
	const struct zufs_extent *ext = reply->buf, *last = ext + out->count - 1;
	struct zuf_map *map = reply->call->map;
	struct zuf_mount *mount = reply->mount;
	u64 epoch = mount->features & ZUFS_MF_EPOCHS ? out->epoch : 0;
	struct zuf_inode *zi;

	if (!map)
		return;
	zi = zuf_i(map->inode);
	mutex_lock(&zi->leases.lock);
	spin_lock(&zi->maps_lock);
	map->seq = out->lease_seq;
	map->epoch = epoch;
	map->count = out->count;
	map->dead = map->refuse_end > ext->file_off && out->lease_seq <= map->refuse_seq &&
		    map->refuse_start < last->file_off + last->len_bytes;
	map->answered = true;
	spin_unlock(&zi->maps_lock);
	if (mount->features & ZUFS_MF_LEASES) {
		if (unlikely(map->dead))
			zuf_lease_count(mount, ZUF_LEASE_REFUSED, 1);
		else if (map->keep && map->changes == zi->leases.changes)
			zuf_lease_insert(map->inode, ext, out->count, out->lease_seq, epoch);
	}
	mutex_unlock(&zi->leases.lock);
}

void zuf_maps_recall(struct inode *inode, u64 start, u64 end, u64 seq, bool downgrade)
{
	struct zuf_inode *zi = zuf_i(inode);
	const struct zufs_extent *last;
	struct zuf_map *map;

	lockdep_assert_held(&zi->leases.lock);
	spin_lock(&zi->maps_lock);
	list_for_each_entry(map, &zi->maps, node) {
		if (map->answered) {
			if (downgrade && !(map->flags & ZUFS_MAP_WRITE))
				continue;	/* its leases are in the cache by now */
			last = &map->extents[map->count - 1];
			if (map->seq <= seq && map->extents->file_off < end &&
			    start < last->file_off + last->len_bytes)
				map->dead = true;
			continue;
		}
		/*
		 * Of several recalls all that they cover, by the newest of them. Also of
		 * a map for reading: what is answered to it may be leased for writing.
		 */
		map->refuse_start = map->refuse_end ? min(map->refuse_start, start) : start;
		map->refuse_end = max(map->refuse_end, end);
		map->refuse_seq = max(map->refuse_seq, seq);
	}
	spin_unlock(&zi->maps_lock);
}

#define ZUF_RESTARTS_PATIENCE	8u
#define ZUF_RESTARTS_MAX	10000u
#define ZUF_STARVING_JIFFIES	max(HZ / 10, 1)

int zuf_map_restart(struct inode *inode, unsigned int *restarts)
{
	zuf_lease_count(zuf_mount_of(inode->i_sb), ZUF_LEASE_RESTARTS, 1);
	if (fatal_signal_pending(current))
		return -EINTR;
	/* but for recalls, faults of the same mount take answers away */
	if (++*restarts > ZUF_RESTARTS_MAX)
		return -EIO;
	cond_resched();
	return 0;
}

/* Not for long: a server may hold up the answer until its recall is acknowledged. */
void zuf_map_let_starving_go(struct inode *inode)
{
	atomic_t *starving = &zuf_i(inode)->leases.starving;

	if (unlikely(atomic_read(starving)))
		wait_var_event_timeout(starving, !atomic_read(starving), ZUF_STARVING_JIFFIES);
}

/*
 * For what the server may not be asked yet: a recall of the range, a fault that may move
 * its bytes, an epoch's begin.
 */
static int map_wait(struct inode *inode, u64 off, u64 len_bytes, u32 flags)
{
	int err = zuf_fence_wait(inode, off, off + len_bytes);

	if (!err)
		err = zuf_orphan_wait(inode);
	if (!err && flags & ZUFS_MAP_WRITE && zuf_leases_on(inode))
		err = zuf_epoch_wait(zuf_mount_of(inode->i_sb));
	return err;
}

/* -EAGAIN: not asked, as there is again what map_wait() waits for. */
static int map_ask(struct zuf_map *map, u64 len_bytes, u64 size_bytes)
{
	struct inode *inode = map->inode;
	struct zufs_map_in in = {
		.inode		= zuf_i(inode)->handle,
		.fh		= map->fh,
		.off		= map->off,
		.len_bytes	= len_bytes,
		.size_bytes	= size_bytes,
		.flags		= map->flags,
	};
	struct zufs_map_out out;
	struct zuf_call call = {
		.mount	= zuf_mount_of(inode->i_sb),
		.op	= ZUFS_OP_MAP,
		.in	= &in,
		.out	= &out,
		.inode	= { inode },
		.map	= map,
	};
	int err;

	if (zuf_leases_on(inode))
		zuf_lease_count(call.mount, ZUF_LEASE_MISSES, 1);
	map->owes_done = false;
	map->any_new = false;
	map->has_word = false;
	err = map_alloc(map, map->off, len_bytes);
	if (err)
		return err;
	in.max_extents = map->max_extents;
	call.reply_buf = map->extents;
	call.reply_max = map->max_extents * sizeof(*map->extents);
	zuf_point(ZUF_POINT_ASKING, current);
	if (unlikely(!map_link(map, len_bytes))) {
		zuf_lease_count(call.mount, ZUF_LEASE_FENCE_WAITS, 1);
		map_free(map);
		return -EAGAIN;
	}
	map_starves(map, true);
	err = zuf_call_retry(&call);
	if (err) {
		map_starves(map, false);
		map_unlink(map);
		map_free(map);
		return err;
	}
	map->id = call.id;
	map_take(map, out.count, map->off + len_bytes);
	if (out.flags & ZUFS_MAPPED_WORD) {
		map->has_word = true;
		map->word = out.word;
	}
	return 0;
}

int zuf_map_begin(struct zuf_map *map, struct inode *inode, u64 fh, u64 off, u64 len_bytes,
		  u64 size_bytes, u32 flags, unsigned int restarts)
{
	struct zuf_mount *mount = zuf_mount_of(inode->i_sb);
	struct zuf_busy busy = {};
	u64 epoch;
	int err;

	/* no file has a byte at LLONG_MAX */
	len_bytes = min_t(u64, len_bytes, LLONG_MAX - off);
	map->task = current;
	map->inode = inode;
	map->fh = fh;
	map->off = off;
	map->starving = restarts >= ZUF_RESTARTS_PATIENCE;
	for (;;) {
		map->flags = flags;
		map->fence.task = NULL;
		err = map_wait(inode, off, len_bytes, flags);
		if (!err && zuf_cow_wanted(mount, flags))
			err = zuf_cow_begin(map, len_bytes);
		epoch = zuf_epoch_published(mount);
		if (!err)
			err = map_ask(map, len_bytes, size_bytes);
		if (err)
			zuf_cow_end(map);
		if (unlikely(err == -EAGAIN))
			continue;
		if (err || likely(!(flags & ZUFS_MAP_WRITE) || map->epoch >= epoch))
			return err;
		/* the server has yet to go on to the epoch that it was asked in */
		zuf_epoch_count_stale(mount);
		zuf_map_end(map);
		err = zuf_busy_wait(&busy, mount);
		if (err)
			return err;
	}
}

void zuf_map_end(struct zuf_map *map)
{
	map_unlink(map);
	map_starves(map, false);
	/* nothing was written: the server takes its reservation back */
	if (map->owes_done)
		zuf_map_done(map, map->off, 0, i_size_read(map->inode), false);
	zuf_cow_end(map);
	map_free(map);
}

/* ------------------------------------------------------------- looking it up */

const struct zufs_extent *zuf_map_extent(const struct zuf_map *map, u64 off)
{
	u32 low = 0, high = map->count;

	while (low < high) {
		u32 mid = (low + high) / 2;
		const struct zufs_extent *ext = &map->extents[mid];

		if (off < ext->file_off)
			high = mid;
		else if (off - ext->file_off >= ext->len_bytes)
			low = mid + 1;
		else
			return ext;
	}
	return NULL;
}

/*
 * By @map, to @ext. What is NEW or COMMIT is the task's until its MAP_DONE, whatever is
 * recalled; what is NEW is not part of the file until then, whatever the epoch.
 */
static bool map_use(const struct zuf_map *map, u64 off, bool write, struct zufs_extent *ext)
{
	const struct zufs_extent *found = zuf_map_extent(map, off);
	u16 owned;

	lockdep_assert_held(&zuf_i(map->inode)->maps_lock);
	if (!found)
		return false;
	owned = map->owes_done ? found->flags & ZUF_EXTF_OWED : 0;
	if (map->dead && !owned)
		return false;
	if (write && !(owned & ZUFS_EXTF_NEW) && !zuf_epoch_is_open(map->inode, map->epoch))
		return false;
	*ext = *found;
	return true;
}

bool zuf_map_use(const struct zuf_map *map, u64 off, struct zufs_extent *ext)
{
	struct zuf_inode *zi = zuf_i(map->inode);
	bool found;

	spin_lock(&zi->maps_lock);
	found = map_use(map, off, true, ext);
	spin_unlock(&zi->maps_lock);
	return found;
}

/* In a map of the calling task's own. */
static bool map_lookup(struct inode *inode, u64 off, bool write, struct zufs_extent *ext)
{
	struct zuf_inode *zi = zuf_i(inode);
	struct zuf_map *map;
	bool found = false;

	if (list_empty_careful(&zi->maps))
		return false;
	spin_lock(&zi->maps_lock);
	list_for_each_entry(map, &zi->maps, node) {
		if (map->task != current || !map->answered ||
		    (write && !(map->flags & ZUFS_MAP_WRITE)))
			continue;
		found = map_use(map, off, write, ext);
		if (found)
			break;
	}
	spin_unlock(&zi->maps_lock);
	return found;
}

/*
 * Where @off is, inside the gate. The task's own answer comes first: it may be
 * newer than a lease, and never older.
 */
static bool data_lookup(struct inode *inode, u64 off, bool write, struct zufs_extent *ext)
{
	if (map_lookup(inode, off, write, ext))
		return true;
	return zuf_leases_on(inode) && zuf_lease_find(inode, off, write, ext);
}

/*
 * A zero page is mapped at @pos. Entries beside it are kept out of @iomap, as the
 * library drops all that it covers: a recall must find what is in use.
 */
static bool iomap_zero_page(struct inode *inode, loff_t pos, loff_t length, struct iomap *iomap)
{
	u64 bytes = min_t(u64, length, iomap->offset + iomap->length - pos);
	bool zero;

	if (likely(!test_bit(ZUF_I_ZERO_PAGES, &zuf_i(inode)->flags)))
		return false;
	zero = zuf_zero_entry(inode->i_mapping, pos, &bytes);
	iomap->length = pos + bytes - iomap->offset;
	return zero;
}

static int zuf_iomap_begin(struct inode *inode, loff_t pos, loff_t length, unsigned int flags,
			   struct iomap *iomap, struct iomap *srcmap)
{
	const struct zuf_device *device;
	struct zufs_extent ext;

	/* entries of what is being recalled may be there yet: add none to them */
	if (flags & IOMAP_FAULT && zuf_fenced(inode, pos))
		return -EAGAIN;
	if (!data_lookup(inode, pos, flags & IOMAP_WRITE, &ext) ||
	    (flags & IOMAP_FAULT && ext.flags & ZUFS_EXTF_SHARED))
		return -EAGAIN;
	iomap->offset = ext.file_off;
	iomap->length = ext.len_bytes;
	iomap->flags = 0;
	if (ext.type != ZUFS_EXT_DATA) {
		if (flags & IOMAP_FAULT)
			set_bit(ZUF_I_ZERO_PAGES, &zuf_i(inode)->flags);
		iomap->type = ext.type == ZUFS_EXT_HOLE ? IOMAP_HOLE : IOMAP_UNWRITTEN;
		iomap->addr = IOMAP_NULL_ADDR;
		return 0;
	}
	if (flags & IOMAP_FAULT && flags & IOMAP_WRITE)
		zuf_epoch_dirtied(inode);
	device = zuf_device(zuf_mount_of(inode->i_sb), ext.dev);
	iomap->type = IOMAP_MAPPED;
	iomap->addr = device->dax_off + ext.dev_off;
	iomap->bdev = device->bdev;
	iomap->dax_dev = device->dax;
	/*
	 * Zero pages that faults mapped over a hole must go before it fills. A
	 * fault replaces them itself, and what it maps has been published.
	 */
	if (!(flags & IOMAP_WRITE) || flags & IOMAP_FAULT)
		return 0;
	if (ext.flags & ZUFS_EXTF_NEW || iomap_zero_page(inode, pos, length, iomap))
		iomap->flags |= IOMAP_F_NEW;
	return 0;
}

/* The end of a copy that stopped went through the cache. */
static int zuf_iomap_end(struct inode *inode, loff_t pos, loff_t length, ssize_t written,
			 unsigned int flags, struct iomap *iomap)
{
	u64 addr = iomap->addr + (pos - iomap->offset), end = addr + max_t(ssize_t, written, 0);
	void *kaddr;
	long pages;
	int id;

	if (!(flags & IOMAP_WRITE) || flags & IOMAP_FAULT || written <= 0 || written >= length)
		return 0;
	id = dax_read_lock();
	while (addr < end) {
		u64 bytes = end - addr;

		pages = dax_direct_access(iomap->dax_dev, PHYS_PFN(addr),
					  PHYS_PFN(bytes + offset_in_page(addr) + PAGE_SIZE - 1),
					  DAX_ACCESS, &kaddr, NULL);
		if (pages < 1)
			break;		/* unreachable memory holds no dirty lines */
		bytes = min_t(u64, bytes, PFN_PHYS(pages) - offset_in_page(addr));
		dax_flush(iomap->dax_dev, kaddr + offset_in_page(addr), bytes);
		addr += bytes;
	}
	dax_read_unlock(id);
	return 0;
}

const struct iomap_ops zuf_iomap_ops = {
	.iomap_begin	= zuf_iomap_begin,
	.iomap_end	= zuf_iomap_end,
};
