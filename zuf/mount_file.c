// SPDX-License-Identifier: GPL-2.0
/*
 * Mount files: a server's handle on one mount. read and poll tell of recalls and
 * epochs that have ended (recall.c, epoch.c, inval.c). mmap gives it the mount's T1
 * devices as the kernel's DAX sees them (mmap of /dev/pmemN is page cache).
 * Each file has an inode of its own, from a pseudo filesystem, so that
 * unmap_mapping_range() takes exactly that mapping away, in forks too.
 *
 * File offsets: device id in the bits from ZUF_MOUNT_FILE_SHIFT up; below, the
 * device begins at its physical address modulo 2 MiB, so that huge pages fit
 * where the addresses that mmap chooses are congruent with the offset.
 */
#include <linux/dax.h>
#include <linux/file.h>
#include <linux/fs_context.h>
#include <linux/huge_mm.h>
#include <linux/mount.h>
#include <linux/pfn_t.h>
#include <linux/poll.h>
#include <linux/pseudo_fs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "data.h"

#define ZUF_MOUNT_FILE_MAGIC	0x7a75666d	/* "zufm" */
#define ZUF_MOUNT_FILE_SHIFT	52		/* 4 PiB a device */

struct zuf_mount_file {
	struct zuf_mount *mount;	/* referenced */
	struct inode *inode;		/* pinned by the file */
	struct list_head node;		/* mount->files, under file_lock */
	bool revoked;			/* under the mapping's invalidate_lock */
};

static struct vfsmount *zuf_mount_file_mnt;

/* -------------------------------------------------------------------- faults */

/* Where a fault's page (or huge page) lies in its device; NULL: nowhere. */
static struct zuf_device *fault_device(struct vm_fault *vmf, u64 bytes, u64 *dev_off)
{
	const struct zuf_mount_file *mf = vmf->vma->vm_file->private_data;
	u64 off = round_down((u64)vmf->pgoff << PAGE_SHIFT, bytes);
	struct zuf_device *device;

	lockdep_assert_held(&mf->inode->i_mapping->invalidate_lock);
	if (mf->revoked)
		return NULL;
	device = zuf_device(mf->mount, off >> ZUF_MOUNT_FILE_SHIFT);
	if (!device || !device->dax)
		return NULL;
	off &= BIT_ULL(ZUF_MOUNT_FILE_SHIFT) - 1;
	if (off < device->info.pmd_phase_bytes)
		return NULL;
	*dev_off = off - device->info.pmd_phase_bytes;
	if (*dev_off >= device->info.size_bytes || bytes > device->info.size_bytes - *dev_off)
		return NULL;
	return device;
}

static vm_fault_t fault_insert(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	u64 bytes = PAGE_SIZE << order, dev_off;
	struct zuf_device *device;
	long pages;
	pfn_t pfn;
	int id;

	device = fault_device(vmf, bytes, &dev_off);
	if (!device)
		return order ? VM_FAULT_FALLBACK : VM_FAULT_SIGBUS;
	id = dax_read_lock();
	pages = dax_direct_access(device->dax, PHYS_PFN(device->dax_off + dev_off), 1 << order,
				  DAX_ACCESS, NULL, &pfn);
	dax_read_unlock(id);
	if (!order) {
		if (pages < 1)
			return VM_FAULT_SIGBUS;
		return vmf_insert_pfn(vma, vmf->address, pfn_t_to_pfn(pfn));
	}
	/* poison in the range, or memory in pieces: small pages then */
	if (pages < 1 << order || !IS_ALIGNED(pfn_t_to_pfn(pfn), 1 << order) ||
	    !pfn_t_devmap(pfn))
		return VM_FAULT_FALLBACK;
	return vmf_insert_pfn_pmd(vmf, pfn, vmf->flags & FAULT_FLAG_WRITE);
}

static vm_fault_t mount_file_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct address_space *mapping = vma->vm_file->f_mapping;
	unsigned long addr = vmf->address & PMD_MASK;
	vm_fault_t ret;

	if (order) {
		if (!IS_ENABLED(CONFIG_FS_DAX_PMD) || order != ZUF_PMD_ORDER)
			return VM_FAULT_FALLBACK;
		if (addr < vma->vm_start || addr + PMD_SIZE > vma->vm_end)
			return VM_FAULT_FALLBACK;
		if ((PFN_PHYS(vmf->pgoff) ^ vmf->address) & ~PMD_MASK & PAGE_MASK)
			return VM_FAULT_FALLBACK;
	}
	/* revoking takes it exclusive, and unmaps after it */
	filemap_invalidate_lock_shared(mapping);
	ret = fault_insert(vmf, order);
	filemap_invalidate_unlock_shared(mapping);
	return ret;
}

static vm_fault_t mount_file_fault(struct vm_fault *vmf)
{
	return mount_file_huge_fault(vmf, 0);
}

ZUF_DEFINE_HUGE_FAULT(mount_file_huge_fault)

static const struct vm_operations_struct mount_file_vm_ops = {
	.fault		= mount_file_fault,
	.huge_fault	= ZUF_HUGE_FAULT(mount_file_huge_fault),
};

/* ---------------------------------------------------------------- file calls */

static int mount_file_allowed(const struct zuf_mount_file *mf)
{
	return zuf_server_is_current(mf->mount->server) ? 0 : -EPERM;
}

static int mount_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct zuf_mount_file *mf = file->private_data;
	u64 first = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 last = first + (vma->vm_end - vma->vm_start) - 1;
	struct zuf_device *device = NULL;
	int err;

	err = mount_file_allowed(mf);
	if (err)
		return err;
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	mutex_lock(&mf->mount->file_lock);
	if (!mf->mount->revoked)
		device = zuf_device(mf->mount, first >> ZUF_MOUNT_FILE_SHIFT);
	if (!device || !device->dax || last >> ZUF_MOUNT_FILE_SHIFT != device->info.id)
		err = -ENXIO;
	mutex_unlock(&mf->mount->file_lock);
	if (err)
		return err;
	vma->vm_ops = &mount_file_vm_ops;
	vm_flags_set(vma, VM_PFNMAP | VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	return 0;
}

static long map_device(struct zuf_mount_file *mf, struct zufs_map_device __user *arg)
{
	struct zufs_map_device req;
	struct zuf_device *device = NULL;
	int err = 0;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.flags)
		return -EINVAL;
	mutex_lock(&mf->mount->file_lock);
	if (mf->mount->revoked)
		err = -EIO;
	else
		device = zuf_device(mf->mount, req.dev);
	if (device && device->dax) {
		req.mmap_off = ((u64)req.dev << ZUF_MOUNT_FILE_SHIFT) +
			       device->info.pmd_phase_bytes;
		req.size_bytes = device->info.size_bytes;
	} else if (!err) {
		err = device ? -EOPNOTSUPP : -ENXIO;
	}
	mutex_unlock(&mf->mount->file_lock);
	if (err)
		return err;
	return copy_to_user(arg, &req, sizeof(req)) ? -EFAULT : 0;
}

static long add_device(struct zuf_mount_file *mf, struct zufs_add_device __user *arg)
{
	struct zufs_add_device req;
	int err;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.flags)
		return -EINVAL;
	err = zuf_device_add_fd(mf->mount, req.fd, &req.device);
	if (err)
		return err;
	return copy_to_user(arg, &req, sizeof(req)) ? -EFAULT : 0;
}

static long queue_recall(struct zuf_mount_file *mf, struct zufs_recall __user *arg)
{
	struct zufs_recall req;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	return zuf_recall_queue(mf->mount, &req);
}

static long queue_epoch(struct zuf_mount_file *mf, struct zufs_epoch __user *arg)
{
	struct zufs_epoch req;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	return zuf_epoch_queue(mf->mount, &req);
}

static long queue_inval(struct zuf_mount_file *mf, struct zufs_invalidate __user *arg)
{
	struct zufs_invalidate req;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	return zuf_inval_queue(mf->mount, &req);
}

static ssize_t mount_file_read(struct file *file, char __user *buf, size_t bytes, loff_t *pos)
{
	struct zuf_mount_file *mf = file->private_data;
	int err = mount_file_allowed(mf);

	if (err)
		return err;
	return zuf_recall_read(mf->mount, buf, bytes, !(file->f_flags & O_NONBLOCK));
}

static __poll_t mount_file_poll(struct file *file, poll_table *wait)
{
	struct zuf_mount_file *mf = file->private_data;
	__poll_t ready = 0;

	poll_wait(file, &mf->mount->recall_wait, wait);
	if (zuf_recall_any_done(mf->mount))
		ready |= EPOLLIN | EPOLLRDNORM;
	if (READ_ONCE(mf->mount->revoked))
		ready |= EPOLLHUP;
	return ready;
}

static long mount_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct zuf_mount_file *mf = file->private_data;
	int err = mount_file_allowed(mf);

	if (err)
		return err;
	switch (cmd) {
	case ZUFS_IOC_MAP_DEVICE:
		return map_device(mf, (void __user *)arg);
	case ZUFS_IOC_ADD_DEVICE:
		return add_device(mf, (void __user *)arg);
	case ZUFS_IOC_RECALL:
		return queue_recall(mf, (void __user *)arg);
	case ZUFS_IOC_EPOCH:
		return queue_epoch(mf, (void __user *)arg);
	case ZUFS_IOC_INVALIDATE:
		return queue_inval(mf, (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

static int mount_file_release(struct inode *inode, struct file *file)
{
	struct zuf_mount_file *mf = file->private_data;

	mutex_lock(&mf->mount->file_lock);
	list_del(&mf->node);
	mutex_unlock(&mf->mount->file_lock);
	zuf_mount_put(mf->mount);
	kfree(mf);
	return 0;
}

static const struct file_operations mount_file_fops = {
	.owner		= THIS_MODULE,
	.read		= mount_file_read,
	.poll		= mount_file_poll,
	.mmap		= mount_file_mmap,
	.get_unmapped_area = thp_get_unmapped_area,
	.unlocked_ioctl	= mount_file_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.release	= mount_file_release,
};

/* -------------------------------------------------------------- make, revoke */

static struct file *mount_file_make(struct zuf_mount *mount)
{
	struct zuf_mount_file *mf;
	struct inode *inode;
	struct file *file;

	mf = kzalloc(sizeof(*mf), GFP_KERNEL_ACCOUNT);
	if (!mf)
		return ERR_PTR(-ENOMEM);
	inode = alloc_anon_inode(zuf_mount_file_mnt->mnt_sb);
	if (IS_ERR(inode)) {
		kfree(mf);
		return ERR_CAST(inode);
	}
	inode->i_flags |= S_DAX;	/* or its faults would never be huge */
	file = alloc_file_pseudo(inode, zuf_mount_file_mnt, "zuf-mount",
				 O_RDWR | O_CLOEXEC, &mount_file_fops);
	if (IS_ERR(file)) {
		iput(inode);
		kfree(mf);
		return file;
	}
	/* alloc_file_pseudo() takes none; the last fput() puts fops->owner */
	__module_get(THIS_MODULE);
	mf->mount = mount;
	mf->inode = inode;
	zuf_mount_get(mount);
	file->private_data = mf;

	mutex_lock(&mount->file_lock);
	mf->revoked = mount->revoked;
	list_add(&mf->node, &mount->files);
	mutex_unlock(&mount->file_lock);
	return file;
}

int zuf_mount_file_open(struct zuf_mount *mount)
{
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = mount_file_make(mount);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}

void zuf_mount_files_revoke(struct zuf_mount *mount)
{
	struct zuf_mount_file *mf;

	mutex_lock(&mount->file_lock);
	mount->revoked = true;
	list_for_each_entry(mf, &mount->files, node) {
		struct address_space *mapping = mf->inode->i_mapping;

		/* a fault in flight ends before, a later one sees it */
		filemap_invalidate_lock(mapping);
		mf->revoked = true;
		filemap_invalidate_unlock(mapping);
		unmap_mapping_range(mapping, 0, 0, 1);
	}
	mutex_unlock(&mount->file_lock);
	wake_up_all(&mount->recall_wait);	/* it has ended */
}

/* ------------------------------------------------------------ pseudo filesystem */

static int mount_file_init_fc(struct fs_context *fc)
{
	return init_pseudo(fc, ZUF_MOUNT_FILE_MAGIC) ? 0 : -ENOMEM;
}

/* No owner: the module's own mount must not keep the module. */
static struct file_system_type mount_file_fs = {
	.name		= "zuf_mount_file",
	.init_fs_context = mount_file_init_fc,
	.kill_sb	= kill_anon_super,
};

int __init zuf_mount_file_init(void)
{
	zuf_mount_file_mnt = kern_mount(&mount_file_fs);
	return PTR_ERR_OR_ZERO(zuf_mount_file_mnt);
}

void zuf_mount_file_exit(void)
{
	kern_unmount(zuf_mount_file_mnt);
}
