/* SPDX-License-Identifier: BSD-3-Clause */
/* private.h - what the files of libzusfuse share. */
#ifndef ZUS_FUSE_PRIVATE_H
#define ZUS_FUSE_PRIVATE_H

#define FUSE_USE_VERSION 312

#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>

#include "zus_fuse.h"

struct zf_nodes;
struct zf_inval;
struct zf_locks;

struct zus_fuse {
	struct zus_fuse_config config;
	struct zus_local *local;
	struct zus_local_info info;
	struct fuse_session *session;
	struct zf_nodes *nodes;
	struct zf_inval *inval, *inval_attr;
	struct zf_locks *locks;		/* NULL without ZUS_MF_LOCKS */
	double timeout_sec;		/* of names and attributes */
	pthread_mutex_t files_lock;
	struct zf_file *files;		/* that are open; under files_lock */
	void (*ready)(void *arg);
	void *ready_arg;
	bool stopping;			/* atomic */
};

/* An open file or directory; fuse_file_info.fh points to it. */
struct zf_file {
	struct zus_local_file *file;
	uint64_t handle;
	fuse_ino_t id;
	bool writable;
	struct zf_file *next, **link;	/* of all that are open */
};

static inline struct zf_file *zf_file(const struct fuse_file_info *fi)
{
	return (struct zf_file *)(uintptr_t)fi->fh;
}

/* ---------------------------------------------------------------- call.c */

/* A request from its beginning to its reply, on the stack of who serves it. */
struct zf_call {
	struct zus_fuse *fuse;
	struct zus_local *local;
	fuse_req_t req;
	struct zus_local_caller caller;
};

/* From begin to end requests to the plugin are of this caller, and know his signals. */
void zf_begin(struct zf_call *call, fuse_req_t req);
void zf_end(struct zf_call *call);
/* end, and reply with err, 0 or a negative errno. */
void zf_done(struct zf_call *call, int err);
/* end, and reply with the entry, whose reference the kernel gets, or with err. */
void zf_done_entry(struct zf_call *call, int err, fuse_ino_t parent, const char *name,
		   const struct zus_local_entry *entry);
void zf_done_attr(struct zf_call *call, int err, const struct zus_attr *attr);

static inline bool zf_has(const struct zus_fuse *fuse, uint64_t feature)
{
	return fuse->info.features & feature;
}

struct zus_name zf_name(const char *name);
struct zus_time zf_now(void);
/* Capabilities in effect of the caller: CAP_* of <linux/capability.h>. */
bool zf_capable(const struct zf_call *call, int cap);

/* --------------------------------------------------------------- nodes.c */

struct zf_nodes *zf_nodes_new(const struct zus_local_info *info);
void zf_nodes_delete(struct zf_nodes *nodes);
/* The kernel gets one reference more, to what it calls *id; name: by which it does. */
int zf_node_add(struct zus_fuse *fuse, const struct zus_local_entry *entry, fuse_ino_t parent,
		const char *name, fuse_ino_t *id);
void zf_node_forget(struct zus_fuse *fuse, fuse_ino_t id, uint64_t count);
/* The name was removed, or leads elsewhere. */
void zf_node_unnamed(struct zus_fuse *fuse, fuse_ino_t parent, const char *name);
void zf_node_renamed(struct zus_fuse *fuse, fuse_ino_t parent, const char *name,
		     fuse_ino_t new_parent, const char *new_name, bool exchange);
/* 0: unknown. */
uint64_t zf_node_handle(struct zus_fuse *fuse, fuse_ino_t id);
fuse_ino_t zf_node_find(struct zus_fuse *fuse, uint64_t ino, uint64_t gen);
/* What an id is, or was, as far as that is remembered. */
void zf_node_was(struct zus_fuse *fuse, fuse_ino_t id, uint64_t *ino, uint64_t *gen);
/* Calls each() with every name that led the kernel to the node. */
void zf_node_names(struct zus_fuse *fuse, fuse_ino_t id,
		   void (*each)(struct zus_fuse *fuse, fuse_ino_t parent, const char *name));
uint32_t zf_generation(uint64_t gen);

/* --------------------------------------------------------------- attrs.c */

void zf_stat(const struct zus_attr *attr, struct stat *st);
void zf_entry_param(struct zus_fuse *fuse, const struct zus_local_entry *entry, fuse_ino_t id,
		    struct fuse_entry_param *param);
/* After something was read. */
void zf_accessed(struct zf_call *call, uint64_t handle, int open_flags);
/* EPERM where chattr(1) forbids it. */
enum zf_change { ZF_WRITE, ZF_APPEND, ZF_ATTRS, ZF_TOUCH, ZF_ADD_NAME, ZF_TAKE_NAME, ZF_NAME };
int zf_may(struct zf_call *call, uint64_t handle, enum zf_change change);

/* ----------------------------------------------------------------- acl.c */

/* What a new inode gets of its directory: mode, owner, ACLs. */
struct zf_new {
	uint64_t dir;			/* handle */
	struct zus_create args;
	struct zus_xattr xattrs[2];
	void *values[2];
};

/* ESTALE, EPERM, or what the plugin says: it cannot be made there. */
int zf_new_init(struct zf_call *call, struct zf_new *new, fuse_ino_t parent, const char *name,
		uint32_t mode);
void zf_new_end(struct zf_new *new);
/* The ACL follows the mode: before the mode is set. */
int zf_acl_chmod(struct zf_call *call, uint64_t handle, uint32_t mode);
/* The mode follows the ACL: 0, or ZUS_XATTR_MODE with *mode, or an error. */
int zf_acl_set(struct zf_call *call, uint64_t handle, const void *value, size_t bytes,
	       uint32_t *mode);

/* --------------------------------------------------------------- inval.c */

struct zf_inval *zf_inval_new(struct zus_fuse *fuse);
/* As zus_local_inval_fn. */
int zf_invalidate(void *arg, const struct zus_local_inval *inval);
int zf_inval_start(struct zf_inval *inval);
/* What comes later is refused; who waits is told. */
void zf_inval_stop(struct zf_inval *inval);
void zf_inval_delete(struct zf_inval *inval);
/* end; reply to the ioctl when the kernel has forgotten attributes that it changed. */
void zf_done_ioctl_attr(struct zf_call *call, fuse_ino_t id);

/* --------------------------------------------------------------- locks.c */

struct zf_locks *zf_locks_new(struct zus_fuse *fuse);
int zf_locks_start(struct zf_locks *locks);
void zf_locks_stop(struct zf_locks *locks);
void zf_locks_delete(struct zf_locks *locks);
/* A lock of the inode went. */
void zf_locks_wake(struct zf_locks *locks, fuse_ino_t id);
/* The owner closed the file, or one of its like; then: it was closed for the last time. */
void zf_locks_flush(struct zf_call *call, struct zf_file *file, uint64_t owner);
void zf_locks_release(struct zf_call *call, struct zf_file *file);

/* ----------------------------------------------------------------- ops.c */

extern const struct fuse_lowlevel_ops zf_ops;

#endif /* ZUS_FUSE_PRIVATE_H */
