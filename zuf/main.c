// SPDX-License-Identifier: GPL-2.0
/* Module entry and /dev/zuf. */
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "relay.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static struct miscdevice zuf_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "zuf",
	.mode	= 0600,
	.fops	= &zuf_server_fops,
};

static int __init zuf_init(void)
{
	int err;

	err = zuf_inode_cache_init();
	if (err)
		return err;
	err = zuf_lease_init();
	if (err)
		goto out_inode_cache;
	err = zuf_recall_init();
	if (err)
		goto out_lease;
	err = zuf_epoch_init();
	if (err)
		goto out_recall;
	err = zuf_orphan_init();
	if (err)
		goto out_epoch;
	err = zuf_forced_init();
	if (err)
		goto out_orphan;
	err = zuf_mount_file_init();
	if (err)
		goto out_forced;
	err = zuf_sysfs_init();
	if (err)
		goto out_mount_file;
	err = zuf_pin_init();
	if (err)
		goto out_sysfs;
	err = zuf_points_init();
	if (err)
		goto out_pin;
	err = misc_register(&zuf_dev);
	if (err)
		goto out_points;
	return 0;

out_points:
	zuf_points_exit();
out_pin:
	zuf_pin_exit();
out_sysfs:
	zuf_sysfs_exit();
out_mount_file:
	zuf_mount_file_exit();
out_forced:
	zuf_forced_exit();
out_orphan:
	zuf_orphan_exit();
out_epoch:
	zuf_epoch_exit();
out_recall:
	zuf_recall_exit();
out_lease:
	zuf_lease_exit();
out_inode_cache:
	zuf_inode_cache_exit();
	return err;
}

static void __exit zuf_exit(void)
{
	misc_deregister(&zuf_dev);
	zuf_points_exit();
	/* the last references may be in workers, one behind the other */
	zuf_servers_wait();
	zuf_pin_exit();
	zuf_recall_exit();
	zuf_epoch_exit();
	zuf_orphan_exit();
	zuf_forced_exit();
	rcu_barrier();
	zuf_sysfs_exit();
	zuf_mount_file_exit();
	zuf_map_exit();
	zuf_inode_cache_exit();
	zuf_lease_exit();
}

module_init(zuf_init);
module_exit(zuf_exit);

MODULE_DESCRIPTION("Relay for filesystems in user mode on persistent memory");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
