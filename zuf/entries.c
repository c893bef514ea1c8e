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
