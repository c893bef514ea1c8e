/* SPDX-License-Identifier: BSD-3-Clause */
/* ops.h - who serves which request; ops.c has the table. As fuse_lowlevel.h has them. */
#ifndef ZUS_FUSE_OPS_H
#define ZUS_FUSE_OPS_H

#include <zus_api.h>

#include "private.h"

/* attrs.c */
void zf_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void zf_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
		struct fuse_file_info *fi);
void zf_statfs(fuse_req_t req, fuse_ino_t ino);

/* names.c */
void zf_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void zf_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count);
void zf_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void zf_readlink(fuse_req_t req, fuse_ino_t ino);
void zf_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void zf_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void zf_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void zf_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void zf_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void zf_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void zf_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned int flags);

/* files.c */
int zf_file_open(struct zf_call *call, fuse_ino_t ino, int flags, struct zf_file **made);
void zf_file_close(struct zus_fuse *fuse, struct zf_file *file);
/* What is dirty of files that are open for writing reaches the plugin, mapped or not. */
void zf_files_write_back(struct zus_fuse *fuse);
/* Those that are left when the connection has ended before they were closed. */
void zf_files_end(struct zus_fuse *fuse);
void zf_done_open(struct zf_call *call, int err, struct zf_file *file,
		  struct fuse_file_info *fi);
void zf_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void zf_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void zf_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void zf_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi);
void zf_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void zf_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void zf_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void zf_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t bytes,
		  struct fuse_file_info *fi);
void zf_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void zf_copy(fuse_req_t req, fuse_ino_t from_ino, off_t from_off, struct fuse_file_info *from,
	     fuse_ino_t to_ino, off_t to_off, struct fuse_file_info *to, size_t bytes, int flags);

/* dirs.c */
void zf_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi);
void zf_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);

/* xattrs.c */
void zf_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void zf_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		 size_t size, int flags);
void zf_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void zf_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* ioctls.c */
void zf_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	      struct fuse_file_info *fi, unsigned int flags, const void *in, size_t in_bytes,
	      size_t out_bytes);

/* locks.c */
void zf_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock);
void zf_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
	      int wait);
void zf_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op);

/* session.c */
void zf_init(void *arg, struct fuse_conn_info *conn);

#endif /* ZUS_FUSE_OPS_H */
