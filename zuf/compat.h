/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels that zuf builds for, 6.1 to 6.12. The rest
 * of the module is written for the newest form; older kernels get it here.
 * probe.sh decides by the headers, not by version numbers.
 */
#ifndef ZUF_COMPAT_H
#define ZUF_COMPAT_H

#include <linux/blkdev.h>
#include <linux/dax.h>
#ifdef ZUF_HAVE_FILELOCK_H
#include <linux/filelock.h>
#endif
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/page_ref.h>
#include <linux/pagemap.h>
#include <linux/posix_acl.h>
#include <linux/shrinker.h>
#include <linux/stat.h>
#include <linux/version.h>
#include <linux/xarray.h>

#if KERNEL_VERSION(6, 1, 0) > LINUX_VERSION_CODE
#error "zuf needs Linux 6.1 or newer"
#endif
#if KERNEL_VERSION(6, 13, 0) <= LINUX_VERSION_CODE && !defined(ZUF_UNTESTED_KERNEL)
#error "zuf is tested up to Linux 6.12; build with ZUF_UNTESTED_KERNEL=1 to try"
#endif

/* 6.3: inode operations take an idmap instead of a user namespace. */
#ifdef ZUF_HAVE_MNT_IDMAP
#define ZUF_IDMAP		struct mnt_idmap
#define ZUF_NOP_IDMAP		(&nop_mnt_idmap)
#else
#define ZUF_IDMAP		struct user_namespace
#define ZUF_NOP_IDMAP		(&init_user_ns)
#define file_mnt_idmap		file_mnt_user_ns
#endif

/*
 * 6.2: ACLs are the VFS's, by an operation of their own, that takes a dentry; before they
 * come as extended attributes, and by inode.
 */
#ifdef ZUF_HAVE_INODE_ACL
#define ZUF_GET_ACL		get_inode_acl
#define ZUF_ACL_TARGET		struct dentry
#define zuf_acl_inode(dentry)	d_inode(dentry)
#define zuf_acl_chmod(idmap, dentry, mode) posix_acl_chmod(idmap, dentry, mode)
#define ZUF_ACL_HANDLERS
#else
#define ZUF_GET_ACL		get_acl
#define ZUF_ACL_TARGET		struct inode
#define zuf_acl_inode(inode)	(inode)
#define zuf_acl_chmod(idmap, dentry, mode) posix_acl_chmod(idmap, d_inode(dentry), mode)
#define ZUF_ACL_HANDLERS	&posix_acl_access_xattr_handler, &posix_acl_default_xattr_handler,
#endif

/* 6.6: generic_fillattr() takes the request mask. */
#ifndef ZUF_HAVE_FILLATTR_MASK
#define generic_fillattr(idmap, mask, inode, stat) generic_fillattr(idmap, inode, stat)
#endif

/* 6.3: the change attribute that an NFS server asks for, a part of the kernel's own statx. */
#ifdef STATX_CHANGE_COOKIE
#define ZUF_STATX_CHANGE_COOKIE	STATX_CHANGE_COOKIE
static inline void zuf_stat_change(struct kstat *stat, u64 change)
{
	stat->change_cookie = change;
	stat->result_mask |= STATX_CHANGE_COOKIE;
}
#else
#define ZUF_STATX_CHANGE_COOKIE	0u
#define zuf_stat_change(stat, change) do { } while (0)
#endif

/* 6.7: i_atime and i_mtime have accessors. */
#ifndef ZUF_HAVE_MTIME_ACCESSORS
static inline struct timespec64 inode_get_atime(const struct inode *inode)
{
	return inode->i_atime;
}

static inline struct timespec64 inode_get_mtime(const struct inode *inode)
{
	return inode->i_mtime;
}

static inline struct timespec64 inode_set_atime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode->i_atime = ts;
	return ts;
}

static inline struct timespec64 inode_set_mtime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode->i_mtime = ts;
	return ts;
}
#endif

/* 6.9: a superblock's uuid may have another length. */
#ifndef ZUF_HAVE_SUPER_SET_UUID
static inline void super_set_uuid(struct super_block *sb, const u8 *uuid, unsigned int len)
{
	memcpy(&sb->s_uuid, uuid, min_t(size_t, len, sizeof(sb->s_uuid)));
}
#endif

/* 6.3: vm_flags is written by accessors. */
#ifndef ZUF_HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* 6.9: what a lock has in common with a lease is a structure of its own. */
#ifdef ZUF_HAVE_LOCK_CORE
#define ZUF_FL(fl, field)	((fl)->c.flc_##field)
#else
#define ZUF_FL(fl, field)	((fl)->fl_##field)
#endif

/* 6.8: the copy that any two files can have. */
#ifdef ZUF_HAVE_SPLICE_COPY
#define zuf_splice_copy		splice_copy_file_range
#else
#define zuf_splice_copy(in, pos_in, out, pos_out, len) \
	generic_copy_file_range(in, pos_in, out, pos_out, len, 0)
#endif

/* 6.12: what a file can is in flags, not in fields. */
#ifdef ZUF_HAVE_FOP_FLAGS
#define ZUF_FOPS_FLAGS		.fop_flags = FOP_MMAP_SYNC | FOP_BUFFER_WASYNC
#define ZUF_FMODE_NOWAIT	FMODE_NOWAIT
#else
#define ZUF_FOPS_FLAGS		.mmap_supported_flags = MAP_SYNC
#define ZUF_FMODE_NOWAIT	(FMODE_NOWAIT | FMODE_BUF_WASYNC)
#endif

/* 6.5: splice by copying has a name. */
#ifndef ZUF_HAVE_COPY_SPLICE_READ
#define copy_splice_read	generic_file_splice_read
#endif

/*
 * 6.6: a fault's size is an order. ZUF_DEFINE_HUGE_FAULT() makes what
 * ZUF_HUGE_FAULT() puts into vm_operations.
 */
#define ZUF_PMD_ORDER		(PMD_SHIFT - PAGE_SHIFT)

#ifdef ZUF_HAVE_PE_SIZE
#define ZUF_DEFINE_HUGE_FAULT(name)						\
static vm_fault_t name##_sized(struct vm_fault *vmf, enum page_entry_size size)	\
{										\
	return size == PE_SIZE_PMD ? name(vmf, ZUF_PMD_ORDER) : VM_FAULT_FALLBACK; \
}

#define ZUF_HUGE_FAULT(name)	name##_sized

static inline vm_fault_t zuf_dax_iomap_fault(struct vm_fault *vmf, unsigned int order, int *err,
					     const struct iomap_ops *ops)
{
	return dax_iomap_fault(vmf, order ? PE_SIZE_PMD : PE_SIZE_PTE, NULL, err, ops);
}
#else
#define ZUF_DEFINE_HUGE_FAULT(name)
#define ZUF_HUGE_FAULT(name)	name
#define zuf_dax_iomap_fault(vmf, order, err, ops) dax_iomap_fault(vmf, order, NULL, err, ops)
#endif

/*
 * 6.2: only write faults mark a DAX entry dirty. Before, a read fault marks the
 * zero page of a hole too, and writeback that meets a fault there warns and
 * fails. Keep faults out of writeback.
 */
#if KERNEL_VERSION(6, 2, 0) > LINUX_VERSION_CODE
#define zuf_dax_writeback_lock(mapping)		filemap_invalidate_lock(mapping)
#define zuf_dax_writeback_unlock(mapping)	filemap_invalidate_unlock(mapping)
#else
#define zuf_dax_writeback_lock(mapping)		do { } while (0)
#define zuf_dax_writeback_unlock(mapping)	do { } while (0)
#endif

/*
 * The entries of a DAX mapping, which fs/dax.c builds alike in 6.1 to 6.12: four
 * bits, the lock among them, below the number of the first page frame. A huge
 * one has DAX_PMD; one that names no page of the file DAX_ZERO_PAGE or DAX_EMPTY.
 * Nobody uses a page whose reference count is 1. (6.15 counts from 0.)
 */
#define ZUF_DAX_ENTRY_PMD	BIT(1)
#define ZUF_DAX_ENTRY_ZERO	BIT(2)
#define ZUF_DAX_ENTRY_EMPTY	BIT(3)
#define ZUF_DAX_ENTRY_SHIFT	4

static inline unsigned long zuf_dax_entry_pfn(const void *entry)
{
	return xa_to_value(entry) >> ZUF_DAX_ENTRY_SHIFT;
}

/* How many pages of the file it is for. */
static inline unsigned long zuf_dax_entry_span(const void *entry)
{
	return xa_to_value(entry) & ZUF_DAX_ENTRY_PMD ? 1ul << ZUF_PMD_ORDER : 1;
}

/* How many of the device it names, from its page frame on. */
static inline unsigned long zuf_dax_entry_pages(const void *entry)
{
	if (xa_to_value(entry) & (ZUF_DAX_ENTRY_ZERO | ZUF_DAX_ENTRY_EMPTY))
		return 0;
	return zuf_dax_entry_span(entry);
}

static inline bool zuf_dax_entry_is_zero(const void *entry)
{
	return xa_is_value(entry) && xa_to_value(entry) & ZUF_DAX_ENTRY_ZERO;
}

static inline bool zuf_dax_page_busy(const struct page *page)
{
	return page_ref_count(page) > 1;
}

/* 6.7: shrinkers are allocated. */
#ifdef ZUF_HAVE_SHRINKER_ALLOC
struct zuf_shrinker {
	struct shrinker *shrinker;
	unsigned long (*count)(struct shrinker *shrinker, struct shrink_control *sc);
	unsigned long (*scan)(struct shrinker *shrinker, struct shrink_control *sc);
};

#define ZUF_DEFINE_SHRINKER(name, count_fn, scan_fn) \
	static struct zuf_shrinker name = { .count = count_fn, .scan = scan_fn }

static inline int zuf_shrinker_add(struct zuf_shrinker *shrinker, const char *name)
{
	shrinker->shrinker = shrinker_alloc(0, "%s", name);
	if (!shrinker->shrinker)
		return -ENOMEM;
	shrinker->shrinker->count_objects = shrinker->count;
	shrinker->shrinker->scan_objects = shrinker->scan;
	shrinker_register(shrinker->shrinker);
	return 0;
}

static inline void zuf_shrinker_del(struct zuf_shrinker *shrinker)
{
	shrinker_free(shrinker->shrinker);
}
#else
#define ZUF_DEFINE_SHRINKER(name, count_fn, scan_fn) \
	static struct shrinker name = { .count_objects = count_fn, .scan_objects = scan_fn, \
					.seeks = DEFAULT_SEEKS }

static inline int zuf_shrinker_add(struct shrinker *shrinker, const char *name)
{
	return register_shrinker(shrinker, "%s", name);
}

static inline void zuf_shrinker_del(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
}
#endif

/*
 * 6.8: a block device is opened as a file. Opens by number, exclusively for
 * @sb; returns what zuf_bdev_close() takes, or an ERR_PTR.
 */
#ifdef ZUF_HAVE_BDEV_FILE
static inline void *zuf_bdev_open(dev_t dev, bool write, struct super_block *sb,
				  struct block_device **bdev)
{
	struct file *file = bdev_file_open_by_dev(dev, BLK_OPEN_READ | BLK_OPEN_RESTRICT_WRITES |
						  (write ? BLK_OPEN_WRITE : 0), sb,
						  &fs_holder_ops);

	if (!IS_ERR(file))
		*bdev = file_bdev(file);
	return file;
}

static inline void zuf_bdev_close(void *holder, bool write)
{
	bdev_fput(holder);
}
#else
static inline void *zuf_bdev_open(dev_t dev, bool write, struct super_block *sb,
				  struct block_device **bdev)
{
	*bdev = blkdev_get_by_dev(dev, FMODE_READ | FMODE_EXCL | (write ? FMODE_WRITE : 0), sb);
	return *bdev;
}

static inline void zuf_bdev_close(void *holder, bool write)
{
	blkdev_put(holder, FMODE_READ | FMODE_EXCL | (write ? FMODE_WRITE : 0));
}
#endif

#endif /* ZUF_COMPAT_H */
