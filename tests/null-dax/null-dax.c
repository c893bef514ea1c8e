// SPDX-License-Identifier: GPL-2.0
/*
 * A null filesystem in the kernel, for measuring only: files data0, data1, ... that
 * lie one behind the other on a DAX device, each in one piece, with the checks,
 * locks and fences of a real one and with nothing to look up. What it reaches is the
 * limit for a leased zufs.
 *
 *   mount -t znulldax -o size=BYTES,files=N,copy=own|library /dev/pmem0 DIR
 *
 * copy=library   the kernel's dax_iomap_rw(), which wants i_rwsem exclusive to write
 * copy=own       a copy of its own under i_rwsem shared
 */
#include <linux/dax.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/iomap.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/writeback.h>

#include "compat.h"

#define NULL_DAX_MAGIC		0x7a6e6478
#define NULL_DAX_NAME		"data%u"
#define NULL_DAX_FILES_MAX	16u
#define NULL_DAX_DATA_OFF	(2u << 20)	/* as zufs has it: huge pages fit */
#define NULL_DAX_SIZE_BYTES	(128u << 20)	/* unless size= says otherwise */

struct null_dax {
	struct dax_device *dax;
	u64 dax_off;			/* of the first file's first byte */
	u64 size_bytes;			/* of each file */
	u32 num_files;
	bool own_copy;
	struct inode *file[NULL_DAX_FILES_MAX];
};

static struct null_dax *null_dax_of(const struct inode *inode)
{
	return inode->i_sb->s_fs_info;
}

/* Inode 1 is the root, 2 and on are the files. */
static u64 file_dax_off(const struct inode *inode)
{
	const struct null_dax *nd = null_dax_of(inode);

	return nd->dax_off + (inode->i_ino - 2) * nd->size_bytes;
}

/* ------------------------------------------------------------------ library */

static int null_dax_iomap_begin(struct inode *inode, loff_t pos, loff_t length,
				unsigned int flags, struct iomap *iomap, struct iomap *srcmap)
{
	const struct null_dax *nd = null_dax_of(inode);

	iomap->type = IOMAP_MAPPED;
	iomap->offset = 0;
	iomap->length = nd->size_bytes;
	iomap->addr = file_dax_off(inode);
	iomap->bdev = inode->i_sb->s_bdev;
	iomap->dax_dev = nd->dax;
	iomap->flags = 0;
	return 0;
}

static const struct iomap_ops null_dax_iomap_ops = {
	.iomap_begin	= null_dax_iomap_begin,
};

/* ----------------------------------------------------------------- own copy */

/* @write: from @iter to the device, past the CPU caches. Short where a page is out. */
static ssize_t own_copy(struct kiocb *iocb, struct iov_iter *iter, size_t len, bool write)
{
	const struct inode *inode = file_inode(iocb->ki_filp);
	struct dax_device *dax = null_dax_of(inode)->dax;
	size_t done = 0;
	ssize_t ret = 0;
	int id;

	id = dax_read_lock();
	while (done < len) {
		u64 at = file_dax_off(inode) + iocb->ki_pos;
		unsigned int skip = offset_in_page(at);
		size_t bytes, copied;
		void *kaddr;
		long pages;

		pages = dax_direct_access(dax, PHYS_PFN(at), PHYS_PFN(len - done +
					  skip + PAGE_SIZE - 1), DAX_ACCESS, &kaddr, NULL);
		if (pages < 0) {
			ret = -EIO;
			break;
		}
		bytes = min_t(size_t, len - done, PFN_PHYS(pages) - skip);
		copied = write ? _copy_from_iter_flushcache(kaddr + skip, bytes, iter) :
				 _copy_mc_to_iter(kaddr + skip, bytes, iter);
		iocb->ki_pos += copied;
		done += copied;
		if (copied < bytes) {
			ret = -EFAULT;
			break;
		}
	}
	dax_read_unlock(id);
	return done ? done : ret;
}

static ssize_t null_dax_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t size;
	ssize_t ret;

	if (!iov_iter_count(to))
		return 0;
	if (iocb->ki_flags & IOCB_NOWAIT)
		return -EAGAIN;
	inode_lock_shared(inode);
	size = i_size_read(inode);
	if (!null_dax_of(inode)->own_copy)
		ret = dax_iomap_rw(iocb, to, &null_dax_iomap_ops);
	else if (iocb->ki_pos >= size)
		ret = 0;
	else
		ret = own_copy(iocb, to, min_t(u64, iov_iter_count(to), size - iocb->ki_pos),
			       false);
	inode_unlock_shared(inode);
	file_accessed(iocb->ki_filp);
	return ret;
}

/* The file never grows: what ends beyond it is refused. */
static ssize_t write_checks(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret = generic_write_checks(iocb, from);

	if (ret <= 0)
		return ret;
	if (iocb->ki_pos + ret > i_size_read(inode))
		return -EFBIG;
	if (null_dax_of(inode)->own_copy && !IS_NOSEC(inode))
		return -EPERM;		/* stripping wants the lock exclusive */
	ret = file_modified(iocb->ki_filp);
	return ret ? ret : iov_iter_count(from);
}

static ssize_t null_dax_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	bool own = null_dax_of(inode)->own_copy;
	ssize_t ret;

	if (iocb->ki_flags & IOCB_NOWAIT)
		return -EAGAIN;
	if (own)
		inode_lock_shared(inode);
	else
		inode_lock(inode);
	ret = write_checks(iocb, from);
	if (ret > 0)
		ret = own ? own_copy(iocb, from, ret, true) :
			    dax_iomap_rw(iocb, from, &null_dax_iomap_ops);
	wmb();		/* the copy bypassed the caches: it is durable from here on */
	if (own)
		inode_unlock_shared(inode);
	else
		inode_unlock(inode);
	return ret;
}

/* --------------------------------------------------------------------- mmap */

static vm_fault_t null_dax_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct file *file = vmf->vma->vm_file;
	struct inode *inode = file_inode(file);
	bool write = vmf->flags & FAULT_FLAG_WRITE && vmf->vma->vm_flags & VM_SHARED;
	vm_fault_t ret;
	int err = 0;

	if (order && order != ZUF_PMD_ORDER)
		return VM_FAULT_FALLBACK;
	if (write) {
		sb_start_pagefault(inode->i_sb);
		file_update_time(file);
	}
	filemap_invalidate_lock_shared(inode->i_mapping);
	ret = zuf_dax_iomap_fault(vmf, order, &err, &null_dax_iomap_ops);
	filemap_invalidate_unlock_shared(inode->i_mapping);
	if (write)
		sb_end_pagefault(inode->i_sb);
	return ret;
}

static vm_fault_t null_dax_fault(struct vm_fault *vmf)
{
	return null_dax_huge_fault(vmf, 0);
}

ZUF_DEFINE_HUGE_FAULT(null_dax_huge_fault)

static const struct vm_operations_struct null_dax_vm_ops = {
	.fault		= null_dax_fault,
	.huge_fault	= ZUF_HUGE_FAULT(null_dax_huge_fault),
	.page_mkwrite	= null_dax_fault,
	.pfn_mkwrite	= null_dax_fault,
};

static int null_dax_mmap(struct file *file, struct vm_area_struct *vma)
{
	file_accessed(file);
	vma->vm_ops = &null_dax_vm_ops;
	vm_flags_set(vma, VM_HUGEPAGE);
	return 0;
}

static int null_dax_writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	return dax_writeback_mapping_range(mapping, null_dax_of(mapping->host)->dax, wbc);
}

static const struct address_space_operations null_dax_aops = {
	.writepages	= null_dax_writepages,
	.dirty_folio	= noop_dirty_folio,
	.direct_IO	= noop_direct_IO,
};

/* --------------------------------------------------------------------- file */

static int null_dax_open(struct inode *inode, struct file *file)
{
	file->f_mode |= FMODE_CAN_ODIRECT;
	return generic_file_open(inode, file);
}

static int null_dax_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	int err = file_write_and_wait_range(file, start, end);

	wmb();		/* what was flushed is durable from here on */
	return err;
}

static const struct file_operations null_dax_fops = {
	.open		= null_dax_open,
	.llseek		= generic_file_llseek,
	.read_iter	= null_dax_read_iter,
	.write_iter	= null_dax_write_iter,
	.mmap		= null_dax_mmap,
	.fsync		= null_dax_fsync,
};

/* The layout is fixed, and so is the size. */
static int null_dax_setattr(ZUF_IDMAP *idmap, struct dentry *dentry, struct iattr *iattr)
{
	int err = setattr_prepare(idmap, dentry, iattr);

	if (err)
		return err;
	if (iattr->ia_valid & ATTR_SIZE && iattr->ia_size != i_size_read(d_inode(dentry)))
		return -EPERM;
	setattr_copy(idmap, d_inode(dentry), iattr);
	return 0;
}

static const struct inode_operations null_dax_iops = {
	.setattr	= null_dax_setattr,
};

/* --------------------------------------------------------------- superblock */

static const struct super_operations null_dax_sops = {
	.statfs		= simple_statfs,
	.drop_inode	= generic_delete_inode,
};

static struct inode *new_inode_of(struct super_block *sb, unsigned long ino, umode_t mode)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = ino;
	inode->i_mode = mode;
	inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
	inode_set_atime_to_ts(inode, inode_get_mtime(inode));
	return inode;
}

static struct dentry *null_dax_lookup(struct inode *dir, struct dentry *dentry,
				      unsigned int flags)
{
	const struct null_dax *nd = null_dax_of(dir);
	char name[16];
	u32 i;

	for (i = 0; i < nd->num_files; i++) {
		snprintf(name, sizeof(name), NULL_DAX_NAME, i);
		if (strcmp(name, dentry->d_name.name))
			continue;
		ihold(nd->file[i]);
		return d_splice_alias(nd->file[i], dentry);
	}
	return simple_lookup(dir, dentry, flags);
}

static int null_dax_iterate(struct file *file, struct dir_context *ctx)
{
	const struct null_dax *nd = null_dax_of(file_inode(file));
	char name[16];
	int len;

	if (!dir_emit_dots(file, ctx))
		return 0;
	for (; ctx->pos - 2 < nd->num_files; ctx->pos++) {
		len = snprintf(name, sizeof(name), NULL_DAX_NAME, (u32)ctx->pos - 2);
		if (!dir_emit(ctx, name, len, ctx->pos, DT_REG))
			break;
	}
	return 0;
}

static const struct inode_operations null_dax_dir_iops = {
	.lookup		= null_dax_lookup,
};

static const struct file_operations null_dax_dir_fops = {
	.llseek		= generic_file_llseek,
	.read		= generic_read_dir,
	.iterate_shared	= null_dax_iterate,
};

static int make_files(struct super_block *sb, struct null_dax *nd)
{
	struct inode *inode;
	u32 i;

	for (i = 0; i < nd->num_files; i++) {
		inode = new_inode_of(sb, i + 2, S_IFREG | 0644);
		if (!inode)
			return -ENOMEM;
		inode->i_op = &null_dax_iops;
		inode->i_fop = &null_dax_fops;
		inode->i_mapping->a_ops = &null_dax_aops;
		inode->i_flags |= S_DAX | S_NOSEC;
		i_size_write(inode, nd->size_bytes);
		nd->file[i] = inode;
	}
	return 0;
}

static int null_dax_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct null_dax *nd = sb->s_fs_info;	/* taken from @fc by sget_fc() */
	struct inode *root;
	u64 start;

	if (!sb_set_blocksize(sb, PAGE_SIZE))
		return invalf(fc, "the device has larger blocks than pages");
	nd->dax = fs_dax_get_by_bdev(sb->s_bdev, &start, NULL, NULL);
	if (!nd->dax)
		return invalf(fc, "the device is not DAX");
	nd->dax_off = start + NULL_DAX_DATA_OFF;
	if (!nd->num_files || nd->num_files > NULL_DAX_FILES_MAX)
		return invalf(fc, "files= must be 1 to %u", NULL_DAX_FILES_MAX);
	if (!nd->size_bytes || !PAGE_ALIGNED(nd->size_bytes) ||
	    nd->size_bytes > div_u64(bdev_nr_bytes(sb->s_bdev) - NULL_DAX_DATA_OFF,
				     nd->num_files))
		return invalf(fc, "size= must be whole pages that the device has");
	sb->s_magic = NULL_DAX_MAGIC;
	sb->s_op = &null_dax_sops;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_time_gran = 1;
	sb->s_flags |= SB_NOSEC;
	root = new_inode_of(sb, 1, S_IFDIR | 0755);
	if (!root)
		return -ENOMEM;
	set_nlink(root, 2);
	root->i_op = &null_dax_dir_iops;
	root->i_fop = &null_dax_dir_fops;
	sb->s_root = d_make_root(root);
	if (!sb->s_root)
		return -ENOMEM;
	return make_files(sb, nd);
}

enum { OPT_SIZE, OPT_FILES, OPT_COPY };

static const struct constant_table null_dax_copies[] = {
	{ "library", false },
	{ "own", true },
	{}
};

static const struct fs_parameter_spec null_dax_options[] = {
	fsparam_u64("size", OPT_SIZE),
	fsparam_u32("files", OPT_FILES),
	fsparam_enum("copy", OPT_COPY, null_dax_copies),
	{}
};

static int null_dax_parse(struct fs_context *fc, struct fs_parameter *param)
{
	struct null_dax *nd = fc->s_fs_info;
	struct fs_parse_result result;
	int opt = fs_parse(fc, null_dax_options, param, &result);

	if (opt < 0)
		return opt;
	if (opt == OPT_SIZE)
		nd->size_bytes = result.uint_64;
	else if (opt == OPT_FILES)
		nd->num_files = result.uint_32;
	else
		nd->own_copy = result.uint_32;
	return 0;
}

static int null_dax_get_tree(struct fs_context *fc)
{
	return get_tree_bdev(fc, null_dax_fill_super);
}

static void null_dax_free(struct fs_context *fc)
{
	kfree(fc->s_fs_info);
}

static const struct fs_context_operations null_dax_context_ops = {
	.parse_param	= null_dax_parse,
	.get_tree	= null_dax_get_tree,
	.free		= null_dax_free,
};

static int null_dax_init_context(struct fs_context *fc)
{
	struct null_dax *nd = kzalloc(sizeof(*nd), GFP_KERNEL);

	if (!nd)
		return -ENOMEM;
	nd->size_bytes = NULL_DAX_SIZE_BYTES;
	nd->num_files = 1;
	nd->own_copy = true;
	fc->s_fs_info = nd;
	fc->ops = &null_dax_context_ops;
	return 0;
}

static void null_dax_kill_sb(struct super_block *sb)
{
	struct null_dax *nd = sb->s_fs_info;
	u32 i;

	for (i = 0; nd && i < NULL_DAX_FILES_MAX; i++)
		iput(nd->file[i]);
	kill_block_super(sb);
	if (!nd)
		return;
	if (nd->dax)
		fs_put_dax(nd->dax, NULL);
	kfree(nd);
}

static struct file_system_type null_dax_type = {
	.owner			= THIS_MODULE,
	.name			= "znulldax",
	.fs_flags		= FS_REQUIRES_DEV,
	.init_fs_context	= null_dax_init_context,
	.parameters		= null_dax_options,
	.kill_sb		= null_dax_kill_sb,
};

static int __init null_dax_init(void)
{
	return register_filesystem(&null_dax_type);
}

static void __exit null_dax_exit(void)
{
	unregister_filesystem(&null_dax_type);
}

module_init(null_dax_init);
module_exit(null_dax_exit);

MODULE_DESCRIPTION("A null DAX filesystem, for comparison");
MODULE_LICENSE("GPL");
MODULE_ALIAS_FS("znulldax");
