/* SPDX-License-Identifier: BSD-3-Clause */
/* toyfs_ioctl.h - ioctls of any file or directory of toyfs, as an example of such. */
#ifndef TOYFS_IOCTL_H
#define TOYFS_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct toyfs_usage {
	__u64 ino;		/* of the file */
	__u64 blocks;		/* it has */
	__u64 inodes;		/* of the filesystem */
	__u64 blocks_free;
};

/* Adds, to show that bytes go both ways; returns the sum's last digit. */
struct toyfs_sum {
	__u32 count;		/* in: at most 32 */
	__u32 reserved;
	__u64 numbers[32];	/* in */
	__u64 sum;		/* out */
};

/*
 * A change of the directory that is open, as if another machine had made it: the kernel is
 * only told of it. The change is there when the call returns; the kernel knows it soon.
 */
struct toyfs_remote {
	__u32 what;		/* TOYFS_REMOTE_* */
	__u32 mode;		/* CREATE: type (file or directory) and permissions; CHMOD; LOCK */
	char name[128];		/* with NUL */
	char to[128];		/* RENAME */
};

#define TOYFS_REMOTE_CREATE	1
#define TOYFS_REMOTE_REMOVE	2
#define TOYFS_REMOTE_RENAME	3	/* in the directory, over what is there */
#define TOYFS_REMOTE_CHMOD	4
/* Returns how many changes of the mount the kernel does not know yet. */
#define TOYFS_REMOTE_UNTOLD	5

/*
 * Of all of the file, with the mount option locks: mode is F_RDLCK or F_WRLCK, EBUSY if
 * somebody else has one, or F_UNLCK; with FLOCK as of flock(2), otherwise of fcntl(2).
 */
#define TOYFS_REMOTE_LOCK	6
#define TOYFS_REMOTE_FLOCK	0x100u

#define TOYFS_IOC_USAGE		_IOR(0xe7, 1, struct toyfs_usage)
#define TOYFS_IOC_SUM		_IOWR(0xe7, 2, struct toyfs_sum)
/* Nothing goes either way. Needs the file open for writing, or the right to administer. */
#define TOYFS_IOC_TOUCH		_IO(0xe7, 3)

/* Needs the right to administer. */
#define TOYFS_IOC_REMOTE	_IOW(0xe7, 4, struct toyfs_remote)

#endif /* TOYFS_IOCTL_H */
