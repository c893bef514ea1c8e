// SPDX-License-Identifier: BSD-3-Clause
/* ioctl.c - steps that a person, or a test, wants taken now. */
#include <errno.h>

#include "ops.h"
#include "owners.h"
#include "zlogfs_ioctl.h"

/* *result: 1 if there may be more. */
static int apply(struct zl_fs *fs, const struct zus_ioctl *args, int32_t *result)
{
	uint32_t max = *(const uint32_t *)args->in;
	int ret;

	if (!max)
		return -EINVAL;
	pthread_mutex_lock(&fs->step);
	ret = zl_step_apply(fs, max);
	pthread_mutex_unlock(&fs->step);
	*result = ret > 0;
	return ret < 0 ? ret : 0;
}

static int checkpoint(struct zl_fs *fs)
{
	int err;

	pthread_mutex_lock(&fs->step);
	err = zl_step_checkpoint(fs, false);
	pthread_mutex_unlock(&fs->step);
	return err;
}

static void usage(struct zl_fs *fs, struct zlogfs_usage *out)
{
	pthread_mutex_lock(&fs->step);
	pthread_mutex_lock(&fs->space_lock);
	*out = (struct zlogfs_usage) {
		.segments = fs->num_segs, .free_segments = fs->free_segs,
		.log_segments = __atomic_load_n(&fs->live_log_segs, __ATOMIC_RELAXED),
		.data_blocks = fs->used_blocks, .tree_nodes = fs->used_nodes,
		.boundaries = fs->num_boundaries,
	};
	pthread_mutex_unlock(&fs->space_lock);
	pthread_mutex_unlock(&fs->step);
}

static int change(struct zl_fs *fs, const struct zus_ioctl *args, int32_t *result)
{
	if (fs->rdonly)
		return -EROFS;
	switch (args->cmd) {
	case ZLOGFS_IOC_APPLY:
		return apply(fs, args, result);
	case ZLOGFS_IOC_CHECKPOINT:
		return checkpoint(fs);
	default:
		return zl_boundary(fs);
	}
}

int zl_ioctl(struct zus_req *req, struct zus_inode *inode, const struct zus_ioctl *args,
	     int32_t *result)
{
	struct zl_fs *fs = zl_fs_of(inode);

	(void)req;
	switch (args->cmd) {
	case ZLOGFS_IOC_USAGE:
		usage(fs, args->out);
		return 0;
	case ZLOGFS_IOC_SHARED:
	case ZLOGFS_IOC_APPLY:
	case ZLOGFS_IOC_CHECKPOINT:
	case ZLOGFS_IOC_BOUNDARY:
		break;
	default:
		return -ENOTTY;
	}
	if (!(args->flags & ZUS_IOCTL_ADMIN))
		return -EPERM;
	if (args->cmd == ZLOGFS_IOC_SHARED)
		return zl_owners_count(fs, args->out);
	return change(fs, args, result);
}
