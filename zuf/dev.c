// SPDX-License-Identifier: GPL-2.0
/*
 * Devices of a mount. The first one is the mount's source, which the VFS opened
 * exclusively; others are named by a file descriptor, of which only the device
 * number is used: the kernel opens them itself, exclusively, and reads their
 * table after that.
 */
#include <linux/blkdev.h>
#include <linux/dax.h>
#include <linux/file.h>
#include <linux/fs_context.h>
#include <linux/pfn_t.h>
#include <linux/slab.h>

#include "data.h"

/* To the caller of mount; ADD_DEVICE has none, so to the log. */
static __printf(2, 3) void zuf_dev_err(struct fs_context *fc, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	vaf.va = &args;
	if (fc)
		errorfc(fc, "%pV", &vaf);
	else
		pr_notice_ratelimited("zuf: %pV\n", &vaf);
	va_end(args);
}

/* -------------------------------------------------------------------- lookup */

struct zuf_device *zuf_device(struct zuf_mount *mount, u32 id)
{
	if (unlikely(id >= ZUFS_DEVICES_MAX))
		return NULL;
	return smp_load_acquire(&mount->dev[id]);	/* pairs with device_publish() */
}

u8 *zuf_mount_fs_uuid(struct zuf_mount *mount)
{
	return mount->devtable->fs_uuid;
}

struct dax_device *zuf_mount_dax(struct zuf_mount *mount)
{
	struct dax_device *found = NULL;
	struct zuf_device *device;
	u32 id;

	for (id = 0; (device = zuf_device(mount, id)); id++) {
		if (!device->dax)
			continue;
		if (dax_write_cache_enabled(device->dax))
			return device->dax;
		found = device->dax;
	}
	return found;
}

static bool device_wants_flush(const struct zuf_device *device)
{
	return device->dax && !(device->info.flags & ZUFS_DEVF_SYNCHRONOUS);
}

int zuf_mount_persist(struct zuf_mount *mount)
{
	struct zuf_device *device;
	int err = 0, ret;
	u32 id;

	wmb();		/* orders flushed lines and streaming stores: they are durable */
	if (likely(mount->dev_wide))
		return 0;
	for (id = 0; (device = zuf_device(mount, id)); id++) {
		if (!device_wants_flush(device))
			continue;
		ret = blkdev_issue_flush(device->bdev);
		if (ret)
			err = ret;
	}
	return err;
}

bool zuf_mount_maps_durably(const struct zuf_mount *mount)
{
	return mount->features & ZUFS_MF_DURABLE_MAPS && READ_ONCE(mount->dev_wide);
}

/* --------------------------------------------------------------------- facts */

static u32 device_node(const struct zuf_device *device, const struct page *page)
{
	struct device *parent = disk_to_dev(device->bdev->bd_disk)->parent;
	int node = parent ? dev_to_node(parent) : NUMA_NO_NODE;

	if (node == NUMA_NO_NODE && page)
		node = page_to_nid(page);
	return node == NUMA_NO_NODE ? U32_MAX : node;
}

/*
 * A flush beyond the CPU's is needed by devices that are asynchronous
 * (virtio-pmem) or have flush hints, which the pmem driver shows as FUA.
 */
static int device_facts(struct zuf_device *device)
{
	struct page *page = NULL;
	void *kaddr;
	long pages;
	pfn_t pfn;
	int id;

	device->info.numa_node = device_node(device, NULL);
	if (!device->dax)
		return 0;
	id = dax_read_lock();
	pages = dax_direct_access(device->dax, PHYS_PFN(device->dax_off), 1, DAX_ACCESS, &kaddr,
				  &pfn);
	dax_read_unlock(id);
	if (pages < 1)
		return -EIO;
	if (pfn_t_has_page(pfn))
		page = pfn_t_to_page(pfn);
	device->info.pmd_phase_bytes = pfn_t_to_phys(pfn) & (PMD_SIZE - 1);
	device->info.numa_node = device_node(device, page);
	if (dax_synchronous(device->dax) && !bdev_fua(device->bdev))
		device->info.flags |= ZUFS_DEVF_SYNCHRONOUS;
	return 0;
}

/* -------------------------------------------------------------------- checks */

static int device_check_size(const struct zuf_device *device, struct fs_context *fc)
{
	u64 bytes = bdev_nr_bytes(device->bdev);

	if (bytes < ZUFS_DEVICE_MIN_BYTES) {
		zuf_dev_err(fc, "/dev/%pg is too small: %llu bytes, at least %u are needed",
			    device->bdev, bytes, ZUFS_DEVICE_MIN_BYTES);
		return -EINVAL;
	}
	if (!IS_ALIGNED(bytes, ZUFS_BLOCK_BYTES)) {
		zuf_dev_err(fc, "/dev/%pg: its size, %llu bytes, is not a multiple of %u",
			    device->bdev, bytes, ZUFS_BLOCK_BYTES);
		return -EINVAL;
	}
	return 0;
}

static int device_table_error(const struct zuf_device *device, struct fs_context *fc,
			      const char *type, int err)
{
	switch (err) {
	case -ENODATA:
		zuf_dev_err(fc, "/dev/%pg holds no zufs device table: run mkfs.zufs -t %s on it",
			    device->bdev, type);
		return -EINVAL;
	case -EBADMSG:
		zuf_dev_err(fc, "/dev/%pg: both copies of the device table are damaged: restore one, or make a new filesystem with mkfs.zufs",
			    device->bdev);
		return -EUCLEAN;
	case -EPROTO:
		zuf_dev_err(fc, "/dev/%pg: the device table is of another version than %u",
			    device->bdev, ZUFS_DEVTABLE_MAJOR);
		return -EINVAL;
	default:
		zuf_dev_err(fc, "/dev/%pg: the device table cannot be read: error %d",
			    device->bdev, err);
		return err;
	}
}

/* Against the table of the mount, which is the first device's. */
static int device_check_table(struct zuf_mount *mount, const struct zuf_device *device,
			      const struct zufs_devtable *table, struct fs_context *fc)
{
	const struct zufs_devtable *ref = mount->devtable ?: table;
	u32 self = le32_to_cpu(table->self);
	const struct zufs_devtable_entry *entry = &table->dev[self];

	if (le64_to_cpu(entry->size_bytes) > bdev_nr_bytes(device->bdev)) {
		zuf_dev_err(fc, "/dev/%pg has %llu bytes, but its table says %llu: the device has shrunk",
			    device->bdev, (u64)bdev_nr_bytes(device->bdev),
			    le64_to_cpu(entry->size_bytes));
		return -EINVAL;
	}
	if (strcmp(table->fs_type, mount->type->name)) {
		zuf_dev_err(fc, "/dev/%pg holds a filesystem of type %s: mount it with -t %s, or make a new one",
			    device->bdev, table->fs_type, table->fs_type);
		return -EINVAL;
	}
	if (memcmp(table->fs_uuid, ref->fs_uuid, sizeof(ref->fs_uuid))) {
		zuf_dev_err(fc, "/dev/%pg belongs to another filesystem (uuid %pU, not %pU)",
			    device->bdev, table->fs_uuid, ref->fs_uuid);
		return -EINVAL;
	}
	if (ref == table && self) {
		zuf_dev_err(fc, "/dev/%pg is device %u of its filesystem: mount device 0 (uuid %pU) and name this one with fd=",
			    device->bdev, self, table->dev[0].uuid);
		return -EINVAL;
	}
	if (self >= le32_to_cpu(ref->num_devices) ||
	    memcmp(entry->uuid, ref->dev[self].uuid, sizeof(entry->uuid))) {
		zuf_dev_err(fc, "/dev/%pg is no device of this filesystem any more (uuid %pU)",
			    device->bdev, entry->uuid);
		return -EINVAL;
	}
	if (mount->dev[self]) {
		zuf_dev_err(fc, "/dev/%pg and /dev/%pg are both device %u (uuid %pU): one is a copy",
			    mount->dev[self]->bdev, device->bdev, self, entry->uuid);
		return -EINVAL;
	}
	return 0;
}

/* T1 must be DAX; on T2 it would not be used. */
static int device_check_tier(struct zuf_device *device, struct fs_context *fc)
{
	if (device->info.tier == ZUFS_TIER_T1) {
		if (device->dax)
			return 0;
		zuf_dev_err(fc, "/dev/%pg is not DAX: tier 1 needs persistent memory in fsdax mode, in partitions aligned to %u bytes",
			    device->bdev, ZUFS_BLOCK_BYTES);
		return -EOPNOTSUPP;
	}
	if (device->dax)
		fs_put_dax(device->dax, NULL);
	device->dax = NULL;
	return 0;
}

/* ------------------------------------------------------------------ open, close */

static void device_free(struct zuf_device *device)
{
	if (device->dax)
		fs_put_dax(device->dax, NULL);
	if (device->bdev_holder)
		zuf_bdev_close(device->bdev_holder, device->bdev_write);
	kfree(device);
}

static int device_identify(struct zuf_mount *mount, struct zuf_device *device,
			   struct zufs_devtable *table, struct fs_context *fc)
{
	const struct zufs_devtable_entry *entry;
	int err;

	err = device_check_size(device, fc);
	if (err)
		return err;
	device->dax = fs_dax_get_by_bdev(device->bdev, &device->dax_off, NULL, NULL);
	/* what mkfs left in the page cache */
	err = sync_blockdev(device->bdev);
	if (!err)
		err = zuf_devtable_read(device, table);
	if (err)
		return device_table_error(device, fc, mount->type->name, err);
	err = device_check_table(mount, device, table, fc);
	if (err)
		return err;

	device->info.id = le32_to_cpu(table->self);
	entry = &table->dev[device->info.id];
	memcpy(device->info.uuid, entry->uuid, sizeof(entry->uuid));
	device->info.size_bytes = le64_to_cpu(entry->size_bytes);
	device->info.data_off = le64_to_cpu(entry->data_off);
	device->info.tier = le32_to_cpu(entry->tier);
	err = device_check_tier(device, fc);
	if (!err)
		err = device_facts(device);
	return err;
}

static void device_publish(struct zuf_mount *mount, struct zuf_device *device)
{
	u32 id = device->info.id, i;

	lockdep_assert_held(&mount->dev_lock);
	if (device_wants_flush(device))
		WRITE_ONCE(mount->dev_wide, false);
	/* pairs with zuf_device() */
	smp_store_release(&mount->dev[id], device);
	for (i = mount->num_devices; i < ZUFS_DEVICES_MAX && mount->dev[i]; i++)
		;
	/* pairs with whoever lists the devices */
	smp_store_release(&mount->num_devices, i);
}

/* Takes @device over. The first one brings the mount's table. */
static int device_take(struct zuf_mount *mount, struct zuf_device *device, struct fs_context *fc)
{
	struct zufs_devtable *table;
	int err = -ENOMEM;

	lockdep_assert_held(&mount->dev_lock);
	table = kmalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (table)
		err = device_identify(mount, device, table, fc);
	/* files may be mapped that promise more */
	if (!err && device_wants_flush(device) && mount->features & ZUFS_MF_DURABLE_MAPS) {
		zuf_dev_err(fc, "%pg wants flushes, which mappings with MAP_SYNC do not send",
			    device->bdev);
		err = -EOPNOTSUPP;
	}
	if (err) {
		kfree(table);
		device_free(device);
		return err;
	}
	if (mount->devtable) {
		kfree(table);
	} else {
		mount->devtable = table;
		strscpy(mount->fs_type, table->fs_type, sizeof(mount->fs_type));
	}
	device_publish(mount, device);
	return 0;
}

static int fd_to_dev(int fd, struct fs_context *fc, dev_t *dev)
{
	struct file *file = fget(fd);
	int err = 0;

	if (!file) {
		zuf_dev_err(fc, "fd=%d: no open file", fd);
		return -EBADF;
	}
	if (!S_ISBLK(file_inode(file)->i_mode)) {
		zuf_dev_err(fc, "fd=%d: not a block device", fd);
		err = -ENOTBLK;
	} else if (!(file->f_mode & FMODE_WRITE)) {
		/* it proves that the caller may do what the kernel will do */
		zuf_dev_err(fc, "fd=%d: not open for writing", fd);
		err = -EACCES;
	} else {
		*dev = file_inode(file)->i_rdev;
	}
	fput(file);
	return err;
}

static bool dev_is_known(struct zuf_mount *mount, dev_t dev)
{
	u32 i;

	for (i = 0; i < ZUFS_DEVICES_MAX; i++)
		if (mount->dev[i] && mount->dev[i]->bdev->bd_dev == dev)
			return true;
	return false;
}

static int device_add_fd(struct zuf_mount *mount, int fd, struct fs_context *fc, u32 *id)
{
	struct super_block *sb = mount->sb;
	struct zuf_device *device;
	dev_t dev;
	int err;

	err = fd_to_dev(fd, fc, &dev);
	if (err)
		return err;
	/* the kernel would open it again for the same holder */
	if (dev_is_known(mount, dev)) {
		zuf_dev_err(fc, "fd=%d: device %u:%u is given twice", fd, MAJOR(dev), MINOR(dev));
		return -EINVAL;
	}
	device = kzalloc(sizeof(*device), GFP_KERNEL_ACCOUNT);
	if (!device)
		return -ENOMEM;
	device->bdev_write = !sb_rdonly(sb);
	device->bdev_holder = zuf_bdev_open(dev, device->bdev_write, sb, &device->bdev);
	if (IS_ERR(device->bdev_holder)) {
		err = PTR_ERR(device->bdev_holder);
		zuf_dev_err(fc, "fd=%d: device %u:%u %s (error %d)", fd, MAJOR(dev), MINOR(dev),
			    err == -EBUSY ? "is in use, by a mount or another exclusive opener" :
			    "cannot be opened", err);
		kfree(device);
		return err;
	}
	err = device_take(mount, device, fc);
	if (!err)
		*id = device->info.id;
	return err;
}

static int device_add_primary(struct zuf_mount *mount, struct fs_context *fc)
{
	struct zuf_device *device = kzalloc(sizeof(*device), GFP_KERNEL_ACCOUNT);

	if (!device)
		return -ENOMEM;
	device->bdev = mount->sb->s_bdev;
	return device_take(mount, device, fc);
}

int zuf_devices_open(struct zuf_mount *mount, struct fs_context *fc, const int *fds,
		     unsigned int num_fds)
{
	unsigned int i;
	int err;
	u32 id;

	mount->dev_wide = true;		/* until a device that is not */
	if (!mount->sb->s_bdev) {
		if (!num_fds)
			return 0;
		errorfc(fc, "fd=: filesystems of type %s have no devices", mount->type->name);
		return -EINVAL;
	}
	mutex_lock(&mount->dev_lock);
	err = device_add_primary(mount, fc);
	for (i = 0; i < num_fds && !err; i++)
		err = device_add_fd(mount, fds[i], fc, &id);
	mutex_unlock(&mount->dev_lock);
	if (err)
		zuf_devices_close(mount);
	return err;
}

int zuf_devices_check(struct zuf_mount *mount, struct fs_context *fc)
{
	u32 count, id;

	if (!mount->devtable)
		return 0;
	count = le32_to_cpu(mount->devtable->num_devices);
	for (id = 0; id < count; id++) {
		if (zuf_device(mount, id))
			continue;
		errorfc(fc, "device %u of %u (uuid %pU) is missing: name it with the option fd=",
			id, count, mount->devtable->dev[id].uuid);
		return -ENXIO;
	}
	return 0;
}

int zuf_device_add_fd(struct zuf_mount *mount, int fd, struct zufs_device *info)
{
	int err = -EIO;
	u32 id;

	mutex_lock(&mount->dev_lock);
	/* only in the MOUNT request: then the superblock is there to hold it */
	if (READ_ONCE(mount->state) != ZUF_MOUNT_NEW || !mount->devtable)
		err = -EINVAL;
	else if (!READ_ONCE(mount->aborted))
		err = device_add_fd(mount, fd, NULL, &id);
	if (!err)
		*info = mount->dev[id]->info;
	mutex_unlock(&mount->dev_lock);
	return err;
}

/* The server's view has been revoked, and nobody uses a map any more. */
void zuf_devices_close(struct zuf_mount *mount)
{
	u32 i;

	zuf_mount_files_revoke(mount);
	mutex_lock(&mount->dev_lock);
	mount->num_devices = 0;
	for (i = 0; i < ZUFS_DEVICES_MAX; i++) {
		if (!mount->dev[i])
			continue;
		device_free(mount->dev[i]);
		mount->dev[i] = NULL;
	}
	kfree(mount->devtable);
	mount->devtable = NULL;
	mutex_unlock(&mount->dev_lock);
}
