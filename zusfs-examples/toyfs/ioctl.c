// SPDX-License-Identifier: BSD-3-Clause
/* ioctl.c - what toyfs_ioctl.h offers. */
#include <errno.h>
#include <string.h>

#include "toyfs.h"
#include "toyfs_ioctl.h"

static int usage(struct toy_inode *ti, struct toyfs_usage *out)
{
	struct toy_fs *fs = fs_of(&ti->zi);
	struct zus_attr attr;

	toy_get_attr(ti, &attr);
	out->ino = attr.ino;
	out->blocks = attr.blocks_512 / (TOY_BLOCK / 512);
	out->inodes = __atomic_load_n(&fs->inodes, __ATOMIC_RELAXED);
	out->blocks_free = zus_space_free_count(fs->space, NULL);
	return 0;
}

static int sum(const void *in, void *out, int32_t *result)
{
	struct toyfs_sum sum;
	uint32_t i;

	memcpy(&sum, in, sizeof(sum));
	if (sum.count > sizeof(sum.numbers) / sizeof(sum.numbers[0]) || sum.reserved)
		return -EINVAL;
	sum.sum = 0;
	for (i = 0; i < sum.count; i++)
		sum.sum += sum.numbers[i];
	*result = (int32_t)(sum.sum % 10);
	memcpy(out, &sum, sizeof(sum));
	return 0;
}

int toy_ioctl(struct zus_req *req, struct zus_inode *inode, const struct zus_ioctl *args,
	      int32_t *result)
{
	switch (args->cmd) {
	case TOYFS_IOC_USAGE:
		return usage(toy(inode), args->out);
	case TOYFS_IOC_SUM:
		return sum(args->in, args->out, result);
	case TOYFS_IOC_TOUCH:
		return args->flags & (ZUS_IOCTL_WRITE | ZUS_IOCTL_ADMIN) ? 0 : -EPERM;
	case TOYFS_IOC_REMOTE:
		return args->flags & ZUS_IOCTL_ADMIN ? toy_remote(inode, args->in, result) : -EPERM;
	default:
		return -ENOTTY;
	}
}
