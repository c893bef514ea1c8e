// SPDX-License-Identifier: BSD-3-Clause
/* attrs.c - GETATTR, SETATTR, STATFS; times of access; what chattr(1) forbids. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <fcntl.h>

#include "ops.h"

#define DAY_SEC		86400

/* -------------------------------------------------------------------- values */

static struct timespec spec(const struct zus_time *time)
{
	return (struct timespec) { .tv_sec = time->sec, .tv_nsec = time->nsec };
}

static struct zus_time from_spec(const struct timespec *time)
{
	return (struct zus_time) { time->tv_sec, (uint32_t)time->tv_nsec, 0 };
}

void zf_stat(const struct zus_attr *attr, struct stat *st)
{
	*st = (struct stat) {
		.st_ino = attr->ino, .st_mode = attr->mode, .st_nlink = attr->nlink,
		.st_uid = attr->uid, .st_gid = attr->gid,
		.st_rdev = makedev(attr->rdev_major, attr->rdev_minor),
		.st_size = (off_t)attr->size_bytes, .st_blksize = ZUS_BLOCK_BYTES,
		.st_blocks = (blkcnt_t)attr->blocks_512, .st_atim = spec(&attr->atime),
		.st_mtim = spec(&attr->mtime), .st_ctim = spec(&attr->ctime),
	};
}

void zf_entry_param(struct zus_fuse *fuse, const struct zus_local_entry *entry, fuse_ino_t id,
		    struct fuse_entry_param *param)
{
	*param = (struct fuse_entry_param) {
		.ino = id, .generation = zf_generation(entry->attr.gen),
		.attr_timeout = fuse->timeout_sec, .entry_timeout = fuse->timeout_sec,
	};
	zf_stat(&entry->attr, &param->attr);
}

/* ------------------------------------------------------------ what is forbidden */

/* A name comes to or goes from a directory, or a file gets or loses one. */
static bool forbidden(uint32_t flags, enum zf_change change)
{
	bool append = flags & ZUS_ATTR_APPEND;

	if (flags & ZUS_ATTR_IMMUTABLE)
		return true;
	switch (change) {
	case ZF_WRITE:
	case ZF_ATTRS:
	case ZF_TAKE_NAME:
	case ZF_NAME:
		return append;
	default:
		return false;
	}
}

int zf_may(struct zf_call *call, uint64_t handle, enum zf_change change)
{
	struct zus_attr attr;
	int err;

	if (!zf_has(call->fuse, ZUS_MF_FILEATTR))
		return 0;
	err = zus_handle_getattr(call->local, handle, &attr);
	if (err)
		return err;
	return forbidden(attr.flags, change) ? -EPERM : 0;
}

/* ------------------------------------------------------------ times of access */

static bool earlier(const struct zus_time *a, const struct zus_time *b)
{
	return a->sec != b->sec ? a->sec < b->sec : a->nsec < b->nsec;
}

static bool wants_atime(const struct zus_fuse_config *config, const struct zus_attr *attr,
			const struct zus_time *now)
{
	if (attr->flags & ZUS_ATTR_NOATIME || config->mount_flags & ZUS_MOUNT_RDONLY)
		return false;
	if (config->flags & ZUS_FUSE_NODIRATIME && S_ISDIR(attr->mode))
		return false;
	switch (config->atime) {
	case ZUS_FUSE_NOATIME:
		return false;
	case ZUS_FUSE_STRICTATIME:
		return true;
	default:
		return !earlier(&attr->mtime, &attr->atime) || !earlier(&attr->ctime, &attr->atime) ||
		       now->sec - attr->atime.sec >= DAY_SEC;
	}
}

void zf_accessed(struct zf_call *call, uint64_t handle, int open_flags)
{
	struct zus_setattr set = { .atime = zf_now(), .valid = ZUS_SET_ATIME };
	struct zus_attr attr;

	if (open_flags & O_NOATIME || call->fuse->config.atime == ZUS_FUSE_NOATIME)
		return;
	if (zus_handle_getattr(call->local, handle, &attr))
		return;
	/* that it fails is no failure of the read */
	if (wants_atime(&call->fuse->config, &attr, &set.atime))
		zus_handle_setattr(call->local, handle, &set, NULL);
}

/* ----------------------------------------------------------------- requests */

void zf_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct zus_attr attr;
	struct zf_call call;
	uint64_t handle;
	int err;

	(void)fi;
	zf_begin(&call, req);
	handle = zf_node_handle(call.fuse, ino);
	err = handle ? zus_handle_getattr(call.local, handle, &attr) : -ESTALE;
	zf_done_attr(&call, err, &attr);
}

static void set_times(struct zus_setattr *set, const struct stat *st, int to_set)
{
	set->ctime = zf_now();
	set->valid |= ZUS_SET_CTIME;
	if (to_set & FUSE_SET_ATTR_ATIME) {
		set->valid |= ZUS_SET_ATIME;
		set->atime = to_set & FUSE_SET_ATTR_ATIME_NOW ? set->ctime : from_spec(&st->st_atim);
	}
	if (to_set & FUSE_SET_ATTR_MTIME) {
		set->valid |= ZUS_SET_MTIME;
		set->mtime = to_set & FUSE_SET_ATTR_MTIME_NOW ? set->ctime : from_spec(&st->st_mtim);
	}
	if (to_set & FUSE_SET_ATTR_CTIME)
		set->ctime = from_spec(&st->st_ctim);
}

/* What the kernel leaves to us: a size that stays leaves the times, but of an open file. */
static bool changes(struct zf_call *call, uint64_t handle, const struct zus_setattr *set,
		    bool open, struct zus_attr *attr)
{
	if (set->valid != ZUS_SET_SIZE || open)
		return true;
	return zus_handle_getattr(call->local, handle, attr) || attr->size_bytes != set->size_bytes;
}

static enum zf_change kind_of_change(int to_set)
{
	const int times_now = FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW;

	if (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		return ZF_ATTRS;
	if (to_set & FUSE_SET_ATTR_SIZE)
		return ZF_WRITE;
	return to_set & times_now ? ZF_TOUCH : ZF_ATTRS;
}

static int setattr(struct zf_call *call, uint64_t handle, struct zus_setattr *set,
		   const struct stat *st, int to_set, struct zus_attr *attr)
{
	int err = zf_may(call, handle, kind_of_change(to_set));

	if (err || !changes(call, handle, set, set->fh, attr))
		return err;
	if (to_set & FUSE_SET_ATTR_SIZE)
		to_set |= FUSE_SET_ATTR_MTIME | (to_set & FUSE_SET_ATTR_MTIME ?
						  0 : FUSE_SET_ATTR_MTIME_NOW);
	set_times(set, st, to_set);
	if (to_set & FUSE_SET_ATTR_MODE)
		err = zf_acl_chmod(call, handle, st->st_mode);
	set->fh = 0;
	return err ? err : zus_handle_setattr(call->local, handle, set, attr);
}

void zf_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
		struct fuse_file_info *fi)
{
	struct zus_setattr set = {
		.size_bytes = (uint64_t)st->st_size, .mode = st->st_mode & 07777,
		.uid = st->st_uid, .gid = st->st_gid, .fh = fi != NULL,
		.valid = (to_set & FUSE_SET_ATTR_MODE ? ZUS_SET_MODE : 0) |
			 (to_set & FUSE_SET_ATTR_UID ? ZUS_SET_UID : 0) |
			 (to_set & FUSE_SET_ATTR_GID ? ZUS_SET_GID : 0) |
			 (to_set & FUSE_SET_ATTR_SIZE ? ZUS_SET_SIZE : 0),
	};
	struct zus_attr attr;
	struct zf_call call;
	uint64_t handle;
	int err;

	zf_begin(&call, req);
	handle = zf_node_handle(call.fuse, ino);
	err = handle ? setattr(&call, handle, &set, st, to_set, &attr) : -ESTALE;
	zf_done_attr(&call, err, &attr);
}

void zf_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs out = { .f_bsize = 0 };
	struct zus_statfs st;
	struct zf_call call;
	int err;

	(void)ino;
	zf_begin(&call, req);
	err = zus_local_statfs(call.local, &st);
	if (err) {
		zf_done(&call, err);
		return;
	}
	out.f_bsize = out.f_frsize = st.block_bytes;
	out.f_blocks = st.blocks;
	out.f_bfree = st.blocks_free;
	out.f_bavail = st.blocks_avail;
	out.f_files = st.files;
	out.f_ffree = out.f_favail = st.files_free;
	out.f_namemax = call.fuse->info.name_max ? call.fuse->info.name_max : st.name_max;
	zf_end(&call);
	fuse_reply_statfs(req, &out);
}
