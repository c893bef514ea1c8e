/* SPDX-License-Identifier: BSD-3-Clause */
/* local_vfs.h - what names and data of the local VFS share. */
#ifndef ZUS_LOCAL_VFS_H
#define ZUS_LOCAL_VFS_H

#include "local.h"

struct zus_local_file {
	struct zus_local *local;
	uint64_t handle;
	uint64_t fh;
	bool referenced;		/* gives one of the handle back when it ends */
};

/* local_handle.c */
struct zufs_time local_now(void);
int local_call_retry(struct zus_local *local, struct zus_local_call *call);
int local_send(struct zus_local *local, uint16_t op, const void *in, uint32_t in_bytes,
	       const void *payload, uint32_t payload_bytes, void *out, uint32_t out_bytes);
pthread_rwlock_t *local_inode_lock(struct zus_local *local, uint64_t handle);
/* For changes of both, which may be one; in the order of the locks. */
void local_lock_two(struct zus_local *local, uint64_t a, uint64_t b);
void local_unlock_two(struct zus_local *local, uint64_t a, uint64_t b);
void local_attr(struct zus_attr *to, const struct zufs_attr *from);
void local_entry(struct zus_local_entry *to, const struct zufs_entry *from);
void local_drop(struct zus_local *local, uint64_t handle);
int local_getattr(struct zus_local *local, uint64_t handle, struct zus_attr *attr);
/* With the inode locked. */
int local_setattr(struct zus_local *local, uint64_t handle, const struct zus_setattr *set,
		  struct zus_attr *attr);

/* local_vfs.c */
int local_find(struct zus_local *local, const char *path, struct zus_local_entry *entry);

/* local_data.c: with the inode locked, what must be before a file gets another size. */
int local_before_truncate(struct zus_local *local, uint64_t handle, uint64_t size_bytes);

#endif /* ZUS_LOCAL_VFS_H */
