// SPDX-License-Identifier: BSD-3-Clause
/* devices.c - opens what zusfuse is given, and refuses what the plugin cannot work on. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <zufs_media.h>
#include <zus_server.h>

#include "devices.h"

#define fail(...)	(zus_log(ZUS_LOG_ERR, __VA_ARGS__), -EINVAL)

/* They stay open until the process ends: that is their lock. */
static struct opened {
	const char *path;	/* absolute */
	int fd;
	uint64_t size_bytes;
	struct zufs_devtable table;
} opened[ZUFS_DEVICES_MAX];

static int open_one(struct opened *dev, const char *path)
{
	int flags = O_RDWR | O_CLOEXEC;
	struct stat st;

	dev->path = realpath(path, NULL);
	if (!dev->path || stat(dev->path, &st))
		return fail("%s: %s", path, strerror(errno));
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return fail("%s is neither a block device nor a plain file", path);
	dev->fd = open(dev->path, flags | (S_ISBLK(st.st_mode) ? O_EXCL : 0));
	if (dev->fd < 0 && errno != EBUSY)
		return fail("%s: %s", path, strerror(errno));
	if (dev->fd < 0 || flock(dev->fd, LOCK_EX | LOCK_NB))
		return fail("%s is in use; if it is mounted already, unmount it first", path);
	dev->size_bytes = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(dev->fd, BLKGETSIZE64, &dev->size_bytes))
		return fail("%s: cannot tell the size: %s", path, strerror(errno));
	return 0;
}

static int read_table(struct opened *dev, const struct zus_plugin *plugin, uint32_t count)
{
	uint32_t copy, devices;
	int err = zus_devtable_read(dev->fd, dev->size_bytes, &dev->table, &copy);

	if (err == -EUCLEAN)
		return fail("%s: both copies of the device table are damaged", dev->path);
	if (err)
		return fail("%s carries no zufs filesystem; make one with 'mkfs.zufs -t %s %s'",
			    dev->path, plugin->name, dev->path);
	if (strcmp(dev->table.fs_type, plugin->name) != 0)
		return fail("%s carries a filesystem of type %s, and the plugin's is %s", dev->path,
			    dev->table.fs_type, plugin->name);
	devices = le32toh(dev->table.num_devices);
	if (devices != count)
		return fail("the filesystem on %s has %u devices, and %u are given: name all of them",
			    dev->path, devices, count);
	return 0;
}

/* What is stored there and flushed is durable. */
static int is_synchronous(const struct opened *dev)
{
	void *addr = mmap(NULL, ZUS_BLOCK_BYTES, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC,
			  dev->fd, 0);

	if (addr == MAP_FAILED)
		return 0;
	munmap(addr, ZUS_BLOCK_BYTES);
	return 1;
}

static int take_one(struct devices *devices, const struct opened *dev)
{
	uint32_t self = le32toh(dev->table.self);
	const struct zufs_devtable_entry *entry = &dev->table.dev[self];
	struct zus_local_device *to = &devices->device[self];

	if (to->path)
		return fail("%s and %s are the same device, or copies of it", to->path, dev->path);
	*to = (struct zus_local_device) {
		.path = dev->path, .size_bytes = le64toh(entry->size_bytes),
		.data_off = le64toh(entry->data_off), .tier = le32toh(entry->tier),
		.numa_node = le32toh(entry->numa_node),
		.flags = is_synchronous(dev) ? 0 : ZUS_LOCAL_PAGE_CACHE,
	};
	memcpy(to->uuid, entry->uuid, sizeof(to->uuid));
	if (devices->count++ &&
	    memcmp(devices->fs_uuid, dev->table.fs_uuid, sizeof(devices->fs_uuid)) != 0)
		return fail("%s belongs to another filesystem than the device before it", dev->path);
	memcpy(devices->fs_uuid, dev->table.fs_uuid, sizeof(devices->fs_uuid));
	return 0;
}

static int check_durable(const struct devices *devices, const struct zus_plugin *plugin,
			 int may_lose)
{
	const struct zus_local_device *dev = devices->device;

	while (dev < devices->device + devices->count &&
	       (dev->tier != ZUS_TIER_T1 || !(dev->flags & ZUS_LOCAL_PAGE_CACHE)))
		dev++;
	if (dev == devices->device + devices->count)
		return 0;
	if (plugin->flags & ZUS_PLUGIN_PAGECACHE) {
		zus_log(ZUS_LOG_NOTICE, "%s is no persistent memory: durable at fsync only",
			dev->path);
		return 0;
	}
	if (may_lose)
		return 0;
	return fail("%s is no persistent memory, and %s would take for durable what is lost with the machine's power; give --volatile if that does not matter",
		    dev->path, plugin->name);
}

int devices_open(struct devices *devices, const struct zus_plugin *plugin, char *const *paths,
		 uint32_t count, int may_lose)
{
	uint32_t i;

	*devices = (struct devices) { .count = 0 };
	if (plugin->flags & ZUS_PLUGIN_NODEV)
		return count ? fail("%s has no devices: name the mountpoint alone", plugin->name) : 0;
	if (!count)
		return fail("%s needs a device or file", plugin->name);
	if (count > ZUFS_DEVICES_MAX)
		return fail("more than %u devices are given", ZUFS_DEVICES_MAX);
	for (i = 0; i < count; i++)
		if (open_one(&opened[i], paths[i]) || read_table(&opened[i], plugin, count) ||
		    take_one(devices, &opened[i]))
			return -EINVAL;
	return check_durable(devices, plugin, may_lose);
}
