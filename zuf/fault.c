// SPDX-License-Identifier: GPL-2.0
/*
 * Page faults of mapped files. First, with layout_sem and what the caller of the
 * fault holds (mmap_lock), a lease is looked for or the server is asked, and blocks
 * that it newly gave are zeroed, made durable and published; then, in the gate and
 * under invalidate_lock, the DAX library looks it up and maps it. layout_sem is
 * held all along, so no operation of this kernel moves or frees the blocks in
 * between; where the server recalled them, all begins again.
 */
#include <linux/dax.h>
#include <linux/huge_mm.h>
#include <linux/pagemap.h>
#include <linux/pfn_t.h>
#include <linux/sched/signal.h>

#include "data.h"

struct zuf_fault {
	struct vm_fault *vmf;
	struct inode *inode;
	u64 fh;
	u64 off;			/* of the page or huge page */
	u64 len_bytes;
	unsigned int order;
	unsigned int restarts;
	u64 begin_ns;			/* of this try; with leases */
	bool write;			/* to the file: not to a private copy */
};

/* A huge page fits in file, mapping and address space. The library asks again. */
static bool fault_fits_pmd(const struct zuf_fault *fault)
{
	const struct vm_area_struct *vma = fault->vmf->vma;
	unsigned long addr = fault->vmf->address & PMD_MASK;

	if (!IS_ENABLED(CONFIG_FS_DAX_PMD))
		return false;
	if (fault->vmf->flags & FAULT_FLAG_WRITE && !(vma->vm_flags & VM_SHARED))
		return false;
	if (addr < vma->vm_start || addr + PMD_SIZE > vma->vm_end)
		return false;
	if ((PFN_PHYS(fault->vmf->pgoff) ^ fault->vmf->address) & ~PMD_MASK & PAGE_MASK)
		return false;
	return fault->off + PMD_SIZE <= zuf_block_end(i_size_read(fault->inode));
}

/*
 * The library writes mapping and index one after the other, under the lock of
 * the mapping's entries. Its other faults of this very page may be at it now.
 */
static bool page_is_at(struct page *page, struct address_space *mapping, pgoff_t index)
{
	bool here;

	if (READ_ONCE(page->index) == index)
		return true;
	xa_lock_irq(&mapping->i_pages);
	here = page->mapping != mapping || page->index == index;
	xa_unlock_irq(&mapping->i_pages);
	return here;
}

/*
 * A page belongs to one place of one file: a server that maps it twice would
 * confuse the kernel's reverse mapping. Under dax_read_lock().
 */
static bool page_is_elsewhere(const struct zuf_fault *fault, const struct zufs_extent *ext,
			      u64 off)
{
	struct zuf_mount *mount = zuf_mount_of(fault->inode->i_sb);
	const struct zuf_device *device = zuf_device(mount, ext->dev);
	const struct address_space *mapping;
	struct page *page;
	pfn_t pfn;
	long pages;

	pages = dax_direct_access(device->dax, PHYS_PFN(device->dax_off + ext->dev_off +
				  (off - ext->file_off)), 1, DAX_ACCESS, NULL, &pfn);
	if (pages < 1 || !pfn_t_has_page(pfn))
		return false;		/* the library will say */
	page = pfn_t_to_page(pfn);
	mapping = READ_ONCE(page->mapping);
	if (!mapping)
		return false;
	return mapping != fault->inode->i_mapping ||
	       !page_is_at(page, fault->inode->i_mapping, off >> PAGE_SHIFT);
}

/* By @leased, which holds all of it, or by @map. */
static int fault_check_pages(const struct zuf_fault *fault, const struct zuf_map *map,
			     const struct zufs_extent *leased)
{
	const struct zufs_extent *ext;
	bool elsewhere = false;
	u64 off;
	int id;

	id = dax_read_lock();
	for (off = fault->off; off < fault->off + fault->len_bytes && !elsewhere;
	     off += PAGE_SIZE) {
		ext = leased ?: zuf_map_extent(map, off);
		if (ext->type == ZUFS_EXT_DATA)
			elsewhere = page_is_elsewhere(fault, ext, off);
	}
	dax_read_unlock(id);
	if (!elsewhere)
		return 0;
	zuf_rule_broken(zuf_mount_of(fault->inode->i_sb), ZUFS_OP_MAP, ZUF_RULE_EXTENT_DEVICE);
	return -EIO;
}

/* The extent can be mapped by one huge entry. */
static bool fault_pmd_answer(const struct zuf_fault *fault, const struct zufs_extent *ext)
{
	const struct zuf_device *device;
	u64 dev_off;

	if (fault->off + fault->len_bytes - ext->file_off > ext->len_bytes)
		return false;
	if (ext->type != ZUFS_EXT_DATA)
		return true;
	device = zuf_device(zuf_mount_of(fault->inode->i_sb), ext->dev);
	dev_off = ext->dev_off + (fault->off - ext->file_off);
	return IS_ALIGNED(device->info.pmd_phase_bytes + dev_off, PMD_SIZE);
}

/* What is NEW becomes part of the file, reading as zero, before it is mapped. */
static int fault_publish(const struct zuf_fault *fault, struct zuf_map *map)
{
	u64 off, end = fault->off + fault->len_bytes;
	const struct zufs_extent *ext;
	int err = 0;

	for (off = fault->off; off < end && !err; off = ext->file_off + ext->len_bytes) {
		ext = zuf_map_extent(map, off);
		if (ext->flags & ZUFS_EXTF_NEW)
			err = zuf_map_zero(map, off, min(end, ext->file_off + ext->len_bytes));
	}
	if (!err)
		err = zuf_mount_persist(zuf_mount_of(fault->inode->i_sb));
	if (!err)
		err = zuf_map_done(map, fault->off, fault->len_bytes,
				   i_size_read(fault->inode), false);
	return err;
}

/*
 * A store that needs this page and another one must get both, see recall_hold(): so this
 * one stays for twice the time that it took, as the other may take longer.
 */
#define HOLD_MIN_NS	(1u * NSEC_PER_MSEC)
#define HOLD_MAX_NS	(10u * NSEC_PER_MSEC)

static void fault_hold(const struct zuf_fault *fault)
{
	u64 now_ns = ktime_get_ns(), hold_ns = 2 * (now_ns - fault->begin_ns);

	hold_ns = clamp_t(u64, hold_ns, HOLD_MIN_NS, HOLD_MAX_NS);
	WRITE_ONCE(zuf_i(fault->inode)->leases.hold_until_ns, now_ns + hold_ns);
}

/* Phase two. @err: -EAGAIN, there was nothing to find any more. */
static vm_fault_t fault_insert(const struct zuf_fault *fault, int *err)
{
	struct address_space *mapping = fault->inode->i_mapping;
	int gate = zuf_gate_enter(fault->inode);
	vm_fault_t ret;

	*err = 0;
	filemap_invalidate_lock_shared(mapping);
	ret = zuf_dax_iomap_fault(fault->vmf, fault->order, err, &zuf_iomap_ops);
	filemap_invalidate_unlock_shared(mapping);
	if (ret & VM_FAULT_NOPAGE && zuf_leases_on(fault->inode))
		fault_hold(fault);
	zuf_gate_leave(fault->inode, gate);
	return ret;
}

static vm_fault_t fault_error(int err)
{
	/*
	 * The task dies, or touched its own mount, or the server failed. Not
	 * RETRY: pfn_mkwrite must not, and the kernel's own accesses would spin.
	 */
	return err == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

/* A lease is all that it takes; -EAGAIN in @err: it is not there. */
static vm_fault_t fault_leased(const struct zuf_fault *fault, int *err)
{
	struct inode *inode = fault->inode;
	struct zufs_extent ext;
	vm_fault_t ret;
	bool found;
	int gate;

	*err = -EAGAIN;
	if (!zuf_leases_on(inode))
		return 0;
	gate = zuf_gate_enter(inode);
	/* what is shared would not be mapped, see zuf_iomap_begin() */
	found = zuf_lease_find(inode, fault->off, fault->write, &ext) &&
		!(ext.flags & ZUFS_EXTF_SHARED);
	/* a smaller part of what the server might give is none for a huge page */
	if (found && fault->order)
		found = fault_pmd_answer(fault, &ext);
	if (found)
		*err = fault_check_pages(fault, NULL, &ext);
	zuf_gate_leave(inode, gate);
	if (!found)
		return 0;
	if (*err)
		return fault_error(*err);
	zuf_point(ZUF_POINT_FAULT_MAPPED, current);
	ret = fault_insert(fault, err);
	if (!*err)
		zuf_lease_count(zuf_mount_of(inode->i_sb), ZUF_LEASE_HITS, 1);
	return ret;
}

/* By an answer of the server. */
static vm_fault_t fault_asked(const struct zuf_fault *fault, int *perr)
{
	struct inode *inode = fault->inode;
	struct zuf_map map;
	vm_fault_t ret;
	int err, gate;

	*perr = 0;
	err = zuf_map_begin(&map, inode, fault->fh, fault->off, fault->len_bytes,
			    i_size_read(inode), ZUFS_MAP_FAULT |
			    (fault->write ? ZUFS_MAP_WRITE : ZUFS_MAP_READ), fault->restarts);
	if (err == -ENOSPC && fault->order)
		return VM_FAULT_FALLBACK;
	if (err)
		return fault_error(err);
	if (fault->order && !fault_pmd_answer(fault, zuf_map_extent(&map, fault->off))) {
		ret = VM_FAULT_FALLBACK;
		goto out;
	}
	/* whose pages they are can be said only while they are this inode's */
	gate = zuf_gate_enter(inode);
	if (READ_ONCE(map.dead) && !map.owes_done)
		*perr = -EAGAIN;
	else
		err = fault_check_pages(fault, &map, NULL);
	zuf_gate_leave(inode, gate);
	ret = 0;
	if (*perr)
		goto out;
	if (!err && map.owes_done)
		err = fault_publish(fault, &map);
	if (err) {
		ret = fault_error(err);
		goto out;
	}
	zuf_point(ZUF_POINT_FAULT_MAPPED, current);
	ret = fault_insert(fault, perr);
out:
	zuf_map_end(&map);
	return ret;
}

/* Under layout_sem. -EAGAIN in @perr: all again. */
static vm_fault_t fault_once(struct zuf_fault *fault, int *perr)
{
	struct inode *inode = fault->inode;
	vm_fault_t ret;

	*perr = zuf_orphan_wait(inode);
	if (!*perr)
		*perr = zuf_fence_wait(inode, fault->off, fault->off + fault->len_bytes);
	if (*perr)
		return fault_error(*perr);
	if (fault->off >= i_size_read(inode))
		return VM_FAULT_SIGBUS;
	if (zuf_leases_on(inode))
		fault->begin_ns = ktime_get_ns();
	ret = fault_leased(fault, perr);
	if (*perr == -EAGAIN)
		ret = fault_asked(fault, perr);
	return ret;
}

static vm_fault_t fault_locked(struct zuf_fault *fault)
{
	vm_fault_t ret;
	int err = zuf_recall_mapped(fault->inode);

	if (err)
		return fault_error(err);
	for (;;) {
		ret = fault_once(fault, &err);
		if (err != -EAGAIN)
			return ret;
		err = zuf_map_restart(fault->inode, &fault->restarts);
		if (err)
			return fault_error(err);
	}
}

static vm_fault_t fault_write(struct zuf_fault *fault)
{
	struct rw_semaphore *layout_sem = &zuf_i(fault->inode)->layout_sem;
	struct super_block *sb = fault->inode->i_sb;
	vm_fault_t ret;
	int err;

	sb_start_pagefault(sb);
	err = file_update_time(fault->vmf->vma->vm_file);
	/* not with layout_sem, if it can be: read faults go on */
	if (!err)
		err = zuf_epoch_wait(zuf_mount_of(sb));
	if (!err)
		err = down_write_killable(layout_sem);
	if (err) {
		ret = fault_error(err);
	} else {
		ret = fault_locked(fault);
		up_write(layout_sem);
	}
	sb_end_pagefault(sb);
	return ret;
}

static vm_fault_t fault_read(struct zuf_fault *fault)
{
	struct rw_semaphore *layout_sem = &zuf_i(fault->inode)->layout_sem;
	vm_fault_t ret;

	/* the server may have to make a copy: what other files have is not mapped */
	if (zuf_mount_of(fault->inode->i_sb)->features & ZUFS_MF_CLONE) {
		if (down_write_killable(layout_sem))
			return fault_error(-EINTR);
		ret = fault_locked(fault);
		up_write(layout_sem);
		return ret;
	}
	if (down_read_killable(layout_sem))
		return fault_error(-EINTR);
	ret = fault_locked(fault);
	up_read(layout_sem);
	return ret;
}

static vm_fault_t zuf_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct file *file = vmf->vma->vm_file;
	struct zuf_fault fault = {
		.vmf		= vmf,
		.inode		= file_inode(file),
		.fh		= zuf_fh(file),
		.off		= round_down((u64)vmf->pgoff << PAGE_SHIFT, PAGE_SIZE << order),
		.len_bytes	= PAGE_SIZE << order,
		.order		= order,
		.write		= vmf->flags & FAULT_FLAG_WRITE && vmf->vma->vm_flags & VM_SHARED,
	};
	struct zuf_mount *mount = zuf_mount_of(fault.inode->i_sb);

	if (unlikely(test_bit(ZUF_I_BAD, &zuf_i(fault.inode)->flags) ||
		     READ_ONCE(mount->shut) || zuf_server_is_current(mount->server)))
		return VM_FAULT_SIGBUS;
	if (fault.write && IS_IMMUTABLE(fault.inode))
		return VM_FAULT_SIGBUS;
	if (order && (order != ZUF_PMD_ORDER || !fault_fits_pmd(&fault)))
		return VM_FAULT_FALLBACK;
	return fault.write ? fault_write(&fault) : fault_read(&fault);
}

/* Also for a page that is mapped read-only: the library makes it writable. */
static vm_fault_t zuf_fault(struct vm_fault *vmf)
{
	return zuf_huge_fault(vmf, 0);
}

ZUF_DEFINE_HUGE_FAULT(zuf_huge_fault)

const struct vm_operations_struct zuf_vm_ops = {
	.fault		= zuf_fault,
	.huge_fault	= ZUF_HUGE_FAULT(zuf_huge_fault),
	.page_mkwrite	= zuf_fault,
	.pfn_mkwrite	= zuf_fault,
};
