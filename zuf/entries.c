// SPDX-License-Identifier: GPL-2.0
/*
 * The DAX entries of a file: which page each of its blocks is mapped to, by whom it
 * may be. The kernel's library says too little about them. It does not look for
 * pages in use, pinned for direct I/O or spliced into a pipe, where no process maps
 * the file any more, though munmap() does not end a pin; and to be rid of the zero
 * pages of a hole it would forget entries of pages that are in use.
 */
#include <linux/dax.h>
#include <linux/pagemap.h>
#include <linux/wait_bit.h>
#include <linux/writeback.h>
#include <linux/xarray.h>

#include "data.h"

#define BUSY_RESCHED_ENTRIES	512u

/* One in use of those that @entry names; a lock bit in it changes nothing. */
static struct page *entry_busy_page(void *entry)
{
	unsigned long pfn = zuf_dax_entry_pfn(entry), end = pfn + zuf_dax_entry_pages(entry);

	for (; pfn < end; pfn++)
		if (zuf_dax_page_busy(pfn_to_page(pfn)))
			return pfn_to_page(pfn);
	return NULL;
}

struct page *zuf_busy_page(struct address_space *mapping, loff_t first, loff_t last)
{
	pgoff_t index = first >> PAGE_SHIFT, end = ULONG_MAX;
	XA_STATE(xas, &mapping->i_pages, index);
	struct page *page = NULL;
	unsigned int seen = 0;
	void *entry;

	/* of who inserts entries or changes where they point to */
	lockdep_assert_held_write(&mapping->invalidate_lock);
	if (IS_ENABLED(CONFIG_FS_DAX_LIMITED) || mapping_empty(mapping))
		return NULL;
	if (last != LLONG_MAX)
		end = last >> PAGE_SHIFT;
	/*
	 * A page gets new users by way of page tables only, whose locks, or whose
	 * second look in the lockless case, order them with this: they are counted
	 * before the look below, or find nothing.
	 */
	unmap_mapping_pages(mapping, index, end - index + 1, false);
	xas_lock_irq(&xas);
	xas_for_each(&xas, entry, end) {
		if (WARN_ON_ONCE(!xa_is_value(entry)))
			continue;
		page = entry_busy_page(entry);
		if (page)
			break;
		if (++seen % BUSY_RESCHED_ENTRIES)
			continue;
		xas_pause(&xas);
		xas_unlock_irq(&xas);
		cond_resched();
		xas_lock_irq(&xas);
	}
	xas_unlock_irq(&xas);
	return page;
}

/* Huge entries at the ends of [*@first, *@last] reach beyond it: whole ones. */
static void entries_widen(struct address_space *mapping, loff_t *first, loff_t *last)
{
	XA_STATE(xas, &mapping->i_pages, *first >> PAGE_SHIFT);
	loff_t bytes;
	void *entry;

	lockdep_assert_held_write(&mapping->invalidate_lock);
	rcu_read_lock();
	entry = xas_load(&xas);
	if (xa_is_value(entry)) {
		bytes = (loff_t)zuf_dax_entry_span(entry) << PAGE_SHIFT;
		*first = round_down(*first, bytes);
	}
	if (*last != LLONG_MAX) {
		xas_set(&xas, *last >> PAGE_SHIFT);
		entry = xas_load(&xas);
		if (xa_is_value(entry)) {
			bytes = (loff_t)zuf_dax_entry_span(entry) << PAGE_SHIFT;
			*last = round_down(*last, bytes) + bytes - 1;
		}
	}
	rcu_read_unlock();
}

static int entries_flush(struct inode *inode, loff_t first, loff_t last)
{
	struct dax_device *dax = zuf_mount_dax(zuf_mount_of(inode->i_sb));
	struct writeback_control wbc = {
		.sync_mode	= WB_SYNC_ALL,
		.range_start	= first,
		.range_end	= last,
	};
	int err = dax ? dax_writeback_mapping_range(inode->i_mapping, dax, &wbc) : 0;

	wmb();			/* the server may make it durable on another CPU */
	return err;
}

int zuf_entries_flush(struct inode *inode, loff_t first, loff_t last)
{
	if (mapping_empty(inode->i_mapping))
		return 0;
	entries_widen(inode->i_mapping, &first, &last);
	return entries_flush(inode, first, last);
}

struct page *zuf_entries_drop(struct inode *inode, loff_t first, loff_t last, bool force,
			      int *err)
{
	struct address_space *mapping = inode->i_mapping;
	struct page *page;

	*err = 0;
	if (mapping_empty(mapping))
		return NULL;
	entries_widen(mapping, &first, &last);
	page = zuf_busy_page(mapping, first, last);
	/* with an entry goes the mark that a store is yet to be flushed */
	*err = entries_flush(inode, first, last);
	if (page || (*err && !force))
		return page;
	/* private copies stay: the server may refuse what it will be asked for */
	unmap_mapping_range(mapping, first, last == LLONG_MAX ? 0 : last - first + 1, 0);
	truncate_inode_pages_range(mapping, first, last == LLONG_MAX ? -1 : last);
	return NULL;
}

bool zuf_zero_entry(struct address_space *mapping, loff_t pos, u64 *bytes)
{
	pgoff_t index = pos >> PAGE_SHIFT, end = (pos + *bytes - 1) >> PAGE_SHIFT, found = 0;
	XA_STATE(xas, &mapping->i_pages, index);
	void *entry;

	rcu_read_lock();
	xas_for_each(&xas, entry, end) {
		if (xas_retry(&xas, entry) || !zuf_dax_entry_is_zero(entry))
			continue;
		found = max(xas.xa_index, index);
		break;
	}
	rcu_read_unlock();
	if (!entry)
		return false;
	if (found == index)
		*bytes = min_t(u64, *bytes, PAGE_SIZE - offset_in_page(pos));
	else
		*bytes = ((u64)found << PAGE_SHIFT) - pos;
	return found == index;
}

/* --------------------------------------------------------- address space ops */

static int zuf_dax_writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	struct dax_device *dax = zuf_mount_dax(zuf_mount_of(mapping->host->i_sb));
	int err;

	if (!dax || wbc->sync_mode != WB_SYNC_ALL)
		return 0;
	zuf_dax_writeback_lock(mapping);
	err = dax_writeback_mapping_range(mapping, dax, wbc);
	zuf_dax_writeback_unlock(mapping);
	return err;
}

/*
 * Who has pinned a page of a file that nobody else knows any more still has it: its
 * block is the server's again when that ends, or the mount is aborted.
 */
static void evict_wait_pinned(struct inode *inode)
{
	struct zuf_mount *mount = zuf_mount_of(inode->i_sb);
	struct address_space *mapping = inode->i_mapping;
	struct page *page;

	while (!READ_ONCE(mount->aborted)) {
		/* may be reclaim's; and but for an epoch's work nobody has it */
		if (!down_write_trylock(&mapping->invalidate_lock)) {
			schedule_timeout_uninterruptible(1);
			continue;
		}
		page = zuf_busy_page(mapping, 0, LLONG_MAX);
		up_write(&mapping->invalidate_lock);
		if (!page)
			return;
		wait_var_event_timeout(&page->_refcount, page_ref_count(page) == 1, HZ / 10);
	}
}

/*
 * The marks of what stores left to flush go with the entries, and writeback that
 * is not for integrity has passed them over: a later fsync would find nothing.
 */
void zuf_data_evict(struct inode *inode)
{
	struct address_space *mapping = inode->i_mapping;
	struct dax_device *dax;
	struct writeback_control wbc = {
		.sync_mode	= WB_SYNC_ALL,
		.range_end	= LLONG_MAX,
	};

	if (IS_DAX(inode) && inode->i_nlink && !mapping_empty(mapping)) {
		dax = zuf_mount_dax(zuf_mount_of(inode->i_sb));
		dax_writeback_mapping_range(mapping, dax, &wbc);
		wmb();		/* an fsync may run on another CPU */
	}
	if (IS_DAX(inode) && !mapping_empty(mapping))
		evict_wait_pinned(inode);
	truncate_inode_pages_final(mapping);
}

const struct address_space_operations zuf_dax_aops = {
	.writepages	= zuf_dax_writepages,
	.dirty_folio	= noop_dirty_folio,
	.direct_IO	= noop_direct_IO,	/* lets O_DIRECT open */
};
