/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zlogfs_ioctl.h - what programs can ask of zlogfs beside the usual: by ioctl(2) on any open
 * file or directory of the mount. Unless it says so they need CAP_SYS_ADMIN, else EPERM.
 */
#ifndef ZLOGFS_IOCTL_H
#define ZLOGFS_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * Bring at most so many of the changes that are in the log into the tree. 1: there may be
 * more, 0: there are none.
 */
#define ZLOGFS_IOC_APPLY	_IOW('L', 0x81, __u32)

/* Say on the medium what has been applied, so that the log's older part is free. */
#define ZLOGFS_IOC_CHECKPOINT	_IO('L', 0x82)

/* What files hold now will be kept, whatever is written over it. */
#define ZLOGFS_IOC_BOUNDARY	_IO('L', 0x83)

struct zlogfs_usage {
	__u64 segments;		/* all */
	__u64 free_segments;	/* of no use now */
	__u64 log_segments;
	__u64 data_blocks;	/* in use, of now and of history */
	__u64 tree_nodes;	/* in use */
	__u64 boundaries;
};

/* What is used for what. Anybody may ask. */
#define ZLOGFS_IOC_USAGE	_IOR('L', 0x84, struct zlogfs_usage)

/* How many extents have blocks that others may have, too; each is looked at. */
#define ZLOGFS_IOC_SHARED	_IOR('L', 0x85, __u64)

#endif /* ZLOGFS_IOCTL_H */
