/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zlogfs_ioctl.h - what programs can ask of zlogfs beside the usual: by ioctl(2) on any open
 * file or directory of the mount, with CAP_SYS_ADMIN (else EPERM).
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

#endif /* ZLOGFS_IOCTL_H */
