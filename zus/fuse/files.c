// SPDX-License-Identifier: BSD-3-Clause
/* files.c - open files: OPEN, CREATE, READ, WRITE and what else is asked of them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>

#include "ops.h"

/* -------------------------------------------------------------- open, close */

/* What chattr(1) allows of the open. */
static int may_open(struct zf_call *call, uint64_t handle, int flags)
{
	if ((flags & O_ACCMODE) == O_RDONLY)
		return 0;
	return zf_may(call, handle, flags & O_APPEND && !(flags & O_TRUNC) ? ZF_APPEND : ZF_WRITE);
}

static void file_opened(struct zus_fuse *fuse, struct zf_file *file)
{
	pthread_mutex_lock(&fuse->files_lock);
	file->next = fuse->files;
	file->link = &fuse->files;
	if (file->next)
		file->next->link = &file->next;
	fuse->files = file;
	pthread_mutex_unlock(&fuse->files_lock);
}

static struct zf_file *file_new(uint64_t handle, int flags)
{
	struct zf_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->handle = handle;
	file->writable = (flags & O_ACCMODE) != O_RDONLY;
	return file;
}

int zf_file_open(struct zf_call *call, fuse_ino_t ino, int flags, struct zf_file **made)
{
	uint64_t handle = zf_node_handle(call->fuse, ino);
	struct zf_file *file;
	int err = handle ? may_open(call, handle, flags) : -ESTALE;

	if (err)
		return err;
	file = file_new(handle, flags);
	if (!file)
		return -ENOMEM;
	err = zus_handle_open(call->local, handle, (uint32_t)flags, &file->file);
	if (err) {
		free(file);
		return err;
	}
	file->id = ino;
	file_opened(call->fuse, file);
	*made = file;
	return 0;
}

void zf_file_close(struct zus_fuse *fuse, struct zf_file *file)
{
	pthread_mutex_lock(&fuse->files_lock);
	*file->link = file->next;
	if (file->next)
		file->next->link = file->link;
	pthread_mutex_unlock(&fuse->files_lock);
	zus_local_close(file->file);
	free(file);
}

/* Numbers of nodes, ended by 0; NULL: no memory, or none. */
static fuse_ino_t *writable_files(struct zus_fuse *fuse)
{
	const struct zf_file *file;
	fuse_ino_t *ids;
	size_t count = 0;

	pthread_mutex_lock(&fuse->files_lock);
	for (file = fuse->files; file; file = file->next)
		count += file->writable;
	ids = count ? calloc(count + 1, sizeof(*ids)) : NULL;
	for (file = fuse->files; file && ids; file = file->next)
		if (file->writable)
			ids[--count] = file->id;
	pthread_mutex_unlock(&fuse->files_lock);
	return ids;
}

/* syncfs(2) would begin to write a FUSE filesystem's pages, and not wait for the end. */
void zf_files_write_back(struct zus_fuse *fuse)
{
	fuse_ino_t *ids = writable_files(fuse), *id;

	for (id = ids; id && *id; id++)
		fuse_lowlevel_notify_inval_inode(fuse->session, *id, 0, 0);
	free(ids);
}

void zf_files_end(struct zus_fuse *fuse)
{
	while (fuse->files)
		zf_file_close(fuse, fuse->files);
}

void zf_done_open(struct zf_call *call, int err, struct zf_file *file,
		  struct fuse_file_info *fi)
{
	if (err) {
		zf_done(call, err);
		return;
	}
	fi->fh = (uintptr_t)file;
	zf_end(call);
	/* the caller gave up, and the kernel has no file */
	if (fuse_reply_open(call->req, fi) == -ENOENT)
		zf_file_close(call->fuse, file);
}

void zf_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct zf_file *file = NULL;
	struct zf_call call;
	int err;

	zf_begin(&call, req);
	err = zf_file_open(&call, ino, fi->flags, &file);
	zf_done_open(&call, err, file, fi);
}

/*
 * ESTALE for a name that is there after all: the kernel then looks it up again, and decides
 * whether the caller may open what it finds.
 */
static int create_open(struct zf_call *call, uint64_t dir, const struct zus_create *args,
		       int flags, struct zus_local_entry *entry, struct zf_file *file)
{
	uint64_t fh = 0;
	int ret;

	if (zf_has(call->fuse, ZUS_MF_CREATE_OPEN)) {
		ret = zus_handle_create_open(call->local, dir, args, (uint32_t)flags, entry, &fh);
		if (!ret)
			zus_local_forget(call->local, entry->handle, 1);
		if (ret <= 0)
			return ret ? ret : -ESTALE;
		ret = zus_handle_open_at(call->local, entry->handle, fh, &file->file);
	} else {
		ret = zus_handle_create(call->local, dir, args, entry);
		if (ret)
			return ret == -EEXIST && !(flags & O_EXCL) ? -ESTALE : ret;
		ret = zus_handle_open(call->local, entry->handle, (uint32_t)flags, &file->file);
	}
	if (ret)
		zus_local_forget(call->local, entry->handle, 1);
	file->handle = entry->handle;
	return ret;
}

static int create(struct zf_call *call, fuse_ino_t parent, const char *name, mode_t mode,
		  int flags, struct zus_local_entry *entry, struct zf_file **made)
{
	struct zf_file *file;
	struct zf_new new;
	int err = zf_new_init(call, &new, parent, name, mode);

	if (err)
		return err;
	file = file_new(0, flags);
	err = file ? create_open(call, new.dir, &new.args, flags, entry, file) : -ENOMEM;
	zf_new_end(&new);
	if (err) {
		free(file);
		return err;
	}
	*made = file;
	return 0;
}

void zf_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct zus_local_entry entry;
	struct fuse_entry_param param;
	struct zf_file *file = NULL;
	struct zf_call call;
	fuse_ino_t id;
	int err;

	zf_begin(&call, req);
	err = create(&call, parent, name, mode, fi->flags, &entry, &file);
	if (!err) {
		err = zf_node_add(call.fuse, &entry, parent, name, &file->id);
		file_opened(call.fuse, file);
		if (err)
			zf_file_close(call.fuse, file);
	}
	if (err) {
		zf_done(&call, err);
		return;
	}
	id = file->id;
	zf_entry_param(call.fuse, &entry, id, &param);
	fi->fh = (uintptr_t)file;
	zf_end(&call);
	if (fuse_reply_create(req, &param, fi) == -ENOENT) {
		zf_file_close(call.fuse, file);
		zf_node_forget(call.fuse, id, 1);
	}
}

void zf_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct zf_call call;

	(void)ino;
	zf_begin(&call, req);
	if (call.fuse->locks)
		zf_locks_flush(&call, zf_file(fi), fi->lock_owner);
	zf_done(&call, 0);
}

void zf_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct zf_call call;

	(void)ino;
	zf_begin(&call, req);
	if (call.fuse->locks)
		zf_locks_release(&call, zf_file(fi));
	zf_file_close(call.fuse, zf_file(fi));
	zf_done(&call, 0);
}

/* --------------------------------------------------------------- read, write */

void zf_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct zf_file *file = zf_file(fi);
	struct zf_call call;
	char *buf = malloc(size);
	ssize_t ret;

	(void)ino;
	zf_begin(&call, req);
	ret = buf ? zus_local_pread(file->file, buf, size, (uint64_t)off) : -ENOMEM;
	if (ret < 0) {
		zf_done(&call, (int)ret);
	} else {
		zf_accessed(&call, file->handle, fi->flags);
		zf_end(&call);
		fuse_reply_buf(req, buf, (size_t)ret);
	}
	free(buf);
}

/* The kernel leaves the times of writes to us, and a write in place changes no others. */
static void modified(struct zf_call *call, const struct zf_file *file)
{
	const struct zus_time now = zf_now();
	const struct zus_setattr set = {
		.mtime = now, .ctime = now, .valid = ZUS_SET_MTIME | ZUS_SET_CTIME,
	};

	zus_handle_setattr(call->local, file->handle, &set, NULL);
}

void zf_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	struct zf_file *file = zf_file(fi);
	struct zf_call call;
	ssize_t ret = 0;

	(void)ino;
	zf_begin(&call, req);
	/* what was stored through a mapping was allowed when it was */
	if (fi->writepage)
		call.caller.req_flags = ZUFS_REQ_WRITEBACK;
	else
		ret = zf_may(&call, file->handle, ZF_APPEND);
	if (!ret)
		ret = zus_local_pwrite(file->file, buf, size, (uint64_t)off);
	if (ret < 0) {
		zf_done(&call, (int)ret);
		return;
	}
	modified(&call, file);
	zf_end(&call);
	fuse_reply_write(req, (size_t)ret);
}

void zf_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct zf_call call;

	(void)ino;
	zf_begin(&call, req);
	zf_done(&call, zus_local_fsync(zf_file(fi)->file, datasync));
}

/* -------------------------------------------------------------------- ranges */

void zf_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t bytes,
		  struct fuse_file_info *fi)
{
	struct zf_file *file = zf_file(fi);
	struct zf_call call;
	int err;

	(void)ino;
	zf_begin(&call, req);
	err = zf_may(&call, file->handle, mode & ~FALLOC_FL_KEEP_SIZE ? ZF_WRITE : ZF_APPEND);
	if (!err)
		err = zus_local_fallocate(file->file, (uint32_t)mode, (uint64_t)off,
					  (uint64_t)bytes);
	zf_done(&call, err);
}

void zf_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct zf_call call;
	int64_t ret;

	(void)ino;
	zf_begin(&call, req);
	ret = zus_local_seek(zf_file(fi)->file, (uint64_t)off, whence);
	if (ret < 0) {
		zf_done(&call, (int)ret);
		return;
	}
	zf_end(&call);
	fuse_reply_lseek(req, ret);
}

void zf_copy(fuse_req_t req, fuse_ino_t from_ino, off_t from_off, struct fuse_file_info *from,
	     fuse_ino_t to_ino, off_t to_off, struct fuse_file_info *to, size_t bytes, int flags)
{
	struct zf_call call;
	ssize_t ret;

	(void)from_ino;
	(void)to_ino;
	(void)flags;
	zf_begin(&call, req);
	ret = zf_may(&call, zf_file(to)->handle, ZF_APPEND);
	if (!ret)
		ret = zus_local_copy(zf_file(from)->file, (uint64_t)from_off, zf_file(to)->file,
				     (uint64_t)to_off, bytes);
	if (ret < 0) {
		zf_done(&call, (int)ret);
		return;
	}
	zf_end(&call);
	fuse_reply_write(req, (size_t)ret);
}
