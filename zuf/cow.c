// SPDX-License-Identifier: GPL-2.0
/*
 * Copy-on-write: a server that may answer a write by another place than where the bytes
 * are. Before it is asked nobody may still store to the old place, nor look there later:
 * what is mapped of the range is flushed and goes, leases end, and layout_sem, which the
 * writer has exclusive until the new place is part of the file, keeps faults out. Pages that
 * somebody keeps pinned cannot go: then the server is asked to let the bytes stay.
 *
 * What was written becomes part of the file by MAP_DONE, or in one trip by a word on the
 * device that the server named, stored when the copy is durable. See struct zufs_word.
 */
#include <linux/dax.h>
#include <linux/pagemap.h>
#include <linux/pfn_t.h>
#include <linux/uaccess.h>
#include <linux/wait_bit.h>
#include <linux/xarray.h>

#include "relay.h"
#include "data.h"

#define ZUF_COW_PENDING_MAX	4096
#define ZUF_COW_PINNED_MS	100u	/* I/O that pins pages may end by itself */

/* -------------------------------------------------------------------- range */

static struct page *range_drop(const struct zuf_map *map, u64 len_bytes, int *err)
{
	struct address_space *mapping = map->inode->i_mapping;
	struct page *page;

	filemap_invalidate_lock(mapping);
	page = zuf_entries_drop(map->inode, map->off, map->off + len_bytes - 1, false, err);
	filemap_invalidate_unlock(mapping);
	return page;
}

/*
 * A write has i_rwsem exclusive, so that nobody else uses leases or answers. A fault has
 * not: who reads by them is done before the server moves the bytes, and nobody begins.
 */
static void fault_fence(struct zuf_map *map, u64 len_bytes)
{
	struct inode *inode = map->inode;
	struct zuf_leases *leases = &zuf_i(inode)->leases;

	map->fence.start = round_down(map->off, ZUFS_BLOCK_BYTES);
	map->fence.end = zuf_block_end(map->off + len_bytes);
	map->fence.task = current;
	mutex_lock(&leases->lock);
	zuf_fence_add(inode, &map->fence);
	zuf_maps_recall(inode, map->fence.start, map->fence.end, ZUF_LEASE_SEQ_ALL, false);
	/* behind the fence: none can come back before the server has answered */
	zuf_lease_kill(inode, map->fence.start, map->fence.end, ZUF_LEASE_SEQ_ALL, false);
	mutex_unlock(&leases->lock);
	synchronize_srcu_expedited(&zuf_mount_of(inode->i_sb)->gate);
}

bool zuf_cow_wanted(const struct zuf_mount *mount, u32 map_flags)
{
	if (mount->features & ZUFS_MF_CLONE && map_flags & ZUFS_MAP_FAULT)
		return true;
	return mount->features & ZUFS_MF_COW && map_flags & ZUFS_MAP_WRITE;
}

int zuf_cow_begin(struct zuf_map *map, u64 len_bytes)
{
	struct inode *inode = map->inode;
	struct zuf_mount *mount = zuf_mount_of(inode->i_sb);
	u64 off = map->off;
	struct page *page;
	int err;

	lockdep_assert_held_write(&zuf_i(inode)->layout_sem);
	/* a server that does not read of the words that were stored */
	if (unlikely(atomic_read(&mount->forced_pending) > ZUF_COW_PENDING_MAX))
		zuf_forced_flush(mount);
	if (map->flags & ZUFS_MAP_FAULT)
		fault_fence(map, len_bytes);
	else
		zuf_lease_changed(inode, off, off + len_bytes);
	/* what is mapped for reading is no other file's, and stays */
	if (!(map->flags & ZUFS_MAP_WRITE) || mapping_empty(inode->i_mapping))
		return 0;
	page = range_drop(map, len_bytes, &err);
	if (likely(!page) || err)
		return err;
	zuf_lease_count(mount, ZUF_LEASE_PINNED_WAITS, 1);
	wait_var_event_timeout(&page->_refcount, page_ref_count(page) == 1,
			       msecs_to_jiffies(ZUF_COW_PINNED_MS));
	if (range_drop(map, len_bytes, &err) && !err) {
		zuf_lease_count(mount, ZUF_LEASE_STAYS, 1);
		map->flags |= ZUFS_MAP_STAY;
	}
	return err;
}

void zuf_cow_end(struct zuf_map *map)
{
	if (map->fence.task)
		zuf_fence_del(map->inode, &map->fence);
	map->fence.task = NULL;
}

/* ----------------------------------------------------------------- checking */

/* All of @ext that @entry, from file page @index on, maps is where it says. */
static bool entry_stays(struct zuf_mount *mount, const struct zufs_extent *ext, pgoff_t index,
			void *entry)
{
	const struct zuf_device *device;
	pgoff_t from = max_t(pgoff_t, index, ext->file_off >> PAGE_SHIFT), page;
	pgoff_t end = min_t(pgoff_t, index + zuf_dax_entry_pages(entry),
			    (ext->file_off + ext->len_bytes) >> PAGE_SHIFT);
	u64 at;
	pfn_t pfn;

	if (zuf_dax_entry_is_zero(entry) || from >= end)
		return true;
	if (ext->type != ZUFS_EXT_DATA)
		return false;
	device = zuf_device(mount, ext->dev);
	for (page = from; page < end; page++) {
		at = device->dax_off + ext->dev_off + ((u64)page << PAGE_SHIFT) - ext->file_off;
		if (dax_direct_access(device->dax, PHYS_PFN(at), 1, DAX_ACCESS, NULL, &pfn) < 1 ||
		    pfn_t_to_pfn(pfn) != zuf_dax_entry_pfn(entry) + page - index)
			return false;
	}
	return true;
}

enum zuf_rule zuf_check_stay(struct zuf_mount *mount, struct inode *inode,
			     const struct zufs_extent *ext, u32 count)
{
	const struct zufs_extent *last = ext + count - 1;
	XA_STATE(xas, &inode->i_mapping->i_pages, ext->file_off >> PAGE_SHIFT);
	pgoff_t end = ((last->file_off + last->len_bytes) >> PAGE_SHIFT) - 1;
	bool stays = true;
	void *entry;
	u32 i;
	int id;

	id = dax_read_lock();
	rcu_read_lock();
	xas_for_each(&xas, entry, end) {
		if (xas_retry(&xas, entry))
			continue;
		for (i = 0; i < count && stays; i++)
			stays = entry_stays(mount, &ext[i],
					    round_down(xas.xa_index, zuf_dax_entry_span(entry)),
					    entry);
	}
	rcu_read_unlock();
	dax_read_unlock(id);
	return stays ? ZUF_RULE_OK : ZUF_RULE_STAY;
}

static bool word_in(const struct zufs_word *word, const struct zufs_extent *ext)
{
	return ext->type == ZUFS_EXT_DATA && ext->dev == word->dev &&
	       word->dev_off + sizeof(u64) > ext->dev_off &&
	       word->dev_off < ext->dev_off + ext->len_bytes;
}

enum zuf_rule zuf_check_word(struct zuf_mount *mount, const struct zufs_map_in *in,
			     const struct zufs_extent *ext, u32 count,
			     const struct zufs_word *word)
{
	const struct zuf_device *device = zuf_device(mount, word->dev);
	bool owed = false;
	u32 i;

	if (!(mount->features & ZUFS_MF_COW) || !(in->flags & ZUFS_MAP_WRITE) ||
	    in->flags & (ZUFS_MAP_FAULT | ZUFS_MAP_ZERO | ZUFS_MAP_STAY))
		return ZUF_RULE_WORD;
	if (!device || !device->dax || device->info.tier != ZUFS_TIER_T1 ||
	    !IS_ALIGNED(word->dev_off, sizeof(u64)) ||
	    word->dev_off < device->info.data_off ||
	    word->dev_off > device->info.size_bytes - sizeof(u64))
		return ZUF_RULE_WORD;
	if (word->old_le64 == word->new_le64 || word->reserved ||
	    word->blocks_512 > MAX_LFS_FILESIZE / 512)
		return ZUF_RULE_WORD;
	for (i = 0; i < count; i++) {
		if (word_in(word, &ext[i]))
			return ZUF_RULE_WORD;
		owed |= ext[i].flags & ZUF_EXTF_OWED;
	}
	return owed ? ZUF_RULE_OK : ZUF_RULE_WORD;
}

/* ------------------------------------------------------------------- commit */

/* Under dax_read_lock(). Not yet durable. */
static int word_store(struct zuf_mount *mount, const struct zufs_word *word)
{
	const struct zuf_device *device = zuf_device(mount, word->dev);
	u64 at = device->dax_off + word->dev_off, now, *addr;
	void *kaddr;

	if (dax_direct_access(device->dax, PHYS_PFN(at), 1, DAX_ACCESS, &kaddr, NULL) < 1)
		return -EIO;
	addr = kaddr + offset_in_page(at);
	if (copy_mc_to_kernel(&now, addr, sizeof(now)))
		return -EIO;
	if (now != word->old_le64) {
		zuf_rule_broken(mount, ZUFS_OP_MAP, ZUF_RULE_WORD);
		return -EIO;
	}
	/* one store of 8 aligned bytes: all of it or nothing, whenever power fails */
	WRITE_ONCE(*addr, word->new_le64);
	dax_flush(device->dax, addr, sizeof(*addr));
	return 0;
}

/* In the answer's epoch, or not at all. What the word publishes is durable. */
static int word_commit(const struct zuf_map *map, bool *stored)
{
	struct zuf_mount *mount = zuf_mount_of(map->inode->i_sb);
	int gate, id, err = -EAGAIN;

	gate = zuf_gate_enter(map->inode);
	id = dax_read_lock();
	if (likely(zuf_epoch_is_open(map->inode, map->epoch)))
		err = word_store(mount, &map->word);
	dax_read_unlock(id);
	*stored = !err;
	/* still in the gate: an epoch's end means that the word is durable */
	if (!err)
		err = zuf_mount_persist(mount);
	zuf_gate_leave(map->inode, gate);
	return err;
}

int zuf_map_commit(struct zuf_map *map, u64 off, u64 written_bytes, u64 size_bytes)
{
	struct inode *inode = map->inode;
	bool stored;
	int err;

	lockdep_assert_held_write(&inode->i_rwsem);
	lockdep_assert_held_write(&zuf_i(inode)->layout_sem);
	zuf_point(ZUF_POINT_BEFORE_WORD, current);
	err = word_commit(map, &stored);
	if (!stored)
		return err;
	map->owes_done = false;
	zuf_lease_count(zuf_mount_of(inode->i_sb), ZUF_LEASE_WORDS, 1);
	zuf_point(ZUF_POINT_AFTER_WORD, current);
	zuf_done_msg_committed(map, off, written_bytes, size_bytes);
	zuf_lease_changed(inode, off, off + written_bytes);
	spin_lock(&inode->i_lock);
	inode->i_blocks = map->word.blocks_512;
	spin_unlock(&inode->i_lock);
	if (size_bytes > i_size_read(inode))
		i_size_write(inode, size_bytes);
	return err;
}
