// SPDX-License-Identifier: BSD-3-Clause
/*
 * ioctls.c - IOCTL: those of chattr(1) and of project ids, which the kernel has checked, and
 * the plugin's own. FUSE brings as many bytes as the number says.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "ops.h"

static const struct {
	uint32_t attr;		/* ZUS_ATTR_* */
	uint32_t flag;		/* FS_*_FL */
	uint32_t xflag;		/* FS_XFLAG_*; 0: has none */
} flags_of[] = {
	{ ZUS_ATTR_IMMUTABLE, FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE },
	{ ZUS_ATTR_APPEND, FS_APPEND_FL, FS_XFLAG_APPEND },
	{ ZUS_ATTR_NODUMP, FS_NODUMP_FL, FS_XFLAG_NODUMP },
	{ ZUS_ATTR_NOATIME, FS_NOATIME_FL, FS_XFLAG_NOATIME },
	{ ZUS_ATTR_SYNC, FS_SYNC_FL, FS_XFLAG_SYNC },
	{ ZUS_ATTR_DIRSYNC, FS_DIRSYNC_FL, 0 },
	{ ZUS_ATTR_PROJINHERIT, FS_PROJINHERIT_FL, FS_XFLAG_PROJINHERIT },
};

#define FLAGS	(sizeof(flags_of) / sizeof(flags_of[0]))

static uint32_t to_flags(uint32_t attr)
{
	uint32_t flags = 0;
	size_t i;

	for (i = 0; i < FLAGS; i++)
		flags |= attr & flags_of[i].attr ? flags_of[i].flag : 0;
	return flags;
}

static uint32_t to_xflags(uint32_t attr)
{
	uint32_t flags = 0;
	size_t i;

	for (i = 0; i < FLAGS; i++)
		flags |= attr & flags_of[i].attr ? flags_of[i].xflag : 0;
	return flags;
}

/* EOPNOTSUPP: one that no inode here has. */
static int from_flags(uint32_t flags, uint32_t *attr)
{
	size_t i;

	*attr = 0;
	for (i = 0; i < FLAGS; i++) {
		*attr |= flags & flags_of[i].flag ? flags_of[i].attr : 0;
		flags &= ~flags_of[i].flag;
	}
	return flags ? -EOPNOTSUPP : 0;
}

static int from_xflags(uint32_t xflags, uint32_t before, uint32_t *attr)
{
	size_t i;

	*attr = 0;
	for (i = 0; i < FLAGS; i++) {
		if (!flags_of[i].xflag)
			*attr |= before & flags_of[i].attr;
		*attr |= xflags & flags_of[i].xflag ? flags_of[i].attr : 0;
		xflags &= ~flags_of[i].xflag;
	}
	return xflags ? -EOPNOTSUPP : 0;
}

/* -------------------------------------------------------------------- chattr */

struct arg {
	const void *in;
	size_t in_bytes;
	void *out;		/* zeroed */
	size_t out_bytes;
};

static int set_flags(struct zf_call *call, uint64_t handle, const struct zus_attr *attr,
		     uint32_t flags, uint32_t projid)
{
	const struct zus_setattr set = {
		.valid = ZUS_SET_FLAGS | ZUS_SET_PROJID | ZUS_SET_CTIME, .ctime = zf_now(),
		.flags = flags, .projid = projid,
	};

	if (flags & (ZUS_ATTR_DIRSYNC | ZUS_ATTR_PROJINHERIT) && !S_ISDIR(attr->mode))
		return -EINVAL;
	return zus_handle_setattr(call->local, handle, &set, NULL);
}

static int getflags(struct zf_call *call, uint64_t handle, const struct zus_attr *attr,
		    const struct arg *arg)
{
	uint32_t flags = to_flags(attr->flags);

	(void)call;
	(void)handle;
	if (arg->out_bytes < sizeof(flags))
		return -EINVAL;
	memcpy(arg->out, &flags, sizeof(flags));
	return 0;
}

static int setflags(struct zf_call *call, uint64_t handle, const struct zus_attr *attr,
		    const struct arg *arg)
{
	uint32_t flags, to;
	int err;

	if (arg->in_bytes < sizeof(flags))
		return -EINVAL;
	memcpy(&flags, arg->in, sizeof(flags));
	err = from_flags(flags, &to);
	return err ? err : set_flags(call, handle, attr, to, attr->projid);
}

static int getxattr(struct zf_call *call, uint64_t handle, const struct zus_attr *attr,
		    const struct arg *arg)
{
	const struct fsxattr fsx = {
		.fsx_xflags = to_xflags(attr->flags), .fsx_projid = attr->projid,
	};

	(void)call;
	(void)handle;
	if (arg->out_bytes < sizeof(fsx))
		return -EINVAL;
	memcpy(arg->out, &fsx, sizeof(fsx));
	return 0;
}

static int setxattr(struct zf_call *call, uint64_t handle, const struct zus_attr *attr,
		    const struct arg *arg)
{
	struct fsxattr fsx;
	uint32_t to;
	int err;

	if (arg->in_bytes < sizeof(fsx))
		return -EINVAL;
	memcpy(&fsx, arg->in, sizeof(fsx));
	if (fsx.fsx_extsize || fsx.fsx_cowextsize)
		return -EOPNOTSUPP;
	err = from_xflags(fsx.fsx_xflags, attr->flags, &to);
	return err ? err : set_flags(call, handle, attr, to, fsx.fsx_projid);
}

static const struct {
	unsigned long cmd;
	bool changes;
	int (*serve)(struct zf_call *call, uint64_t handle, const struct zus_attr *attr,
		     const struct arg *arg);
} known[] = {
	{ FS_IOC_GETFLAGS, false, getflags },
	{ FS_IOC_SETFLAGS, true, setflags },
	{ FS_IOC_FSGETXATTR, false, getxattr },
	{ FS_IOC_FSSETXATTR, true, setxattr },
};

/* ENOTTY: another one. */
static int serve_known(struct zf_call *call, uint64_t handle, unsigned int cmd,
		       const struct arg *arg, bool *changes)
{
	struct zus_attr attr;
	size_t i;
	int err;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].cmd == cmd)
			break;
	if (i == sizeof(known) / sizeof(known[0]) || !zf_has(call->fuse, ZUS_MF_FILEATTR))
		return -ENOTTY;
	err = zus_handle_getattr(call->local, handle, &attr);
	*changes = known[i].changes;
	return err ? err : known[i].serve(call, handle, &attr, arg);
}

/* -------------------------------------------------------------------- others */

static int serve_plugin(struct zf_call *call, struct zf_file *file, unsigned int cmd,
			unsigned int flags, const struct arg *arg, int32_t *result)
{
	const struct zus_ioctl args = {
		.cmd = cmd, .in = arg->in, .in_bytes = (uint32_t)arg->in_bytes, .out = arg->out,
		.out_bytes = (uint32_t)arg->out_bytes,
		.flags = (flags & FUSE_IOCTL_COMPAT ? ZUS_IOCTL_COMPAT : 0) |
			 (file->writable ? ZUS_IOCTL_WRITE : 0) |
			 (zf_capable(call, CAP_SYS_ADMIN) ? ZUS_IOCTL_ADMIN : 0),
	};

	if (arg->in_bytes > ZUFS_PAYLOAD_MAX_BYTES || arg->out_bytes > ZUFS_PAYLOAD_MAX_BYTES)
		return -EINVAL;
	return zus_local_ioctl(file->file, &args, result);
}

void zf_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *ptr,
	      struct fuse_file_info *fi, unsigned int flags, const void *in, size_t in_bytes,
	      size_t out_bytes)
{
	struct arg arg = {
		.in = in, .in_bytes = in_bytes, .out = calloc(1, out_bytes + 1),
		.out_bytes = out_bytes,
	};
	struct zf_file *file = zf_file(fi);
	struct zf_call call;
	bool changes = false;
	int32_t result = 0;
	int err;

	(void)ptr;
	zf_begin(&call, req);
	err = arg.out ? serve_known(&call, file->handle, cmd, &arg, &changes) : -ENOMEM;
	if (err == -ENOTTY)
		err = serve_plugin(&call, file, cmd, flags, &arg, &result);
	if (err) {
		zf_done(&call, err);
	} else if (changes) {
		zf_done_ioctl_attr(&call, ino);
	} else {
		zf_end(&call);
		fuse_reply_ioctl(req, result, arg.out, out_bytes);
	}
	free(arg.out);
}
