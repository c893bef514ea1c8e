/* SPDX-License-Identifier: BSD-3-Clause */
/* local_vfs.h - what names and data of the local VFS share. */
#ifndef ZUS_LOCAL_VFS_H
#define ZUS_LOCAL_VFS_H

#include "local.h"

struct zus_local_file {
	struct zus_local *local;
	uint64_t handle;
	uint64_t fh;
	bool inlined;
	bool regular;
};

struct zufs_time local_now(void);
int local_send(struct zus_local *local, uint16_t op, const void *in, uint32_t in_bytes,
	       const void *payload, uint32_t payload_bytes, void *out, uint32_t out_bytes);
pthread_rwlock_t *local_inode_lock(struct zus_local *local, uint64_t handle);
void local_attr(struct zus_attr *to, const struct zufs_attr *from);
int local_find(struct zus_local *local, const char *path, struct zufs_entry *entry);
void local_drop(struct zus_local *local, uint64_t handle);
int local_getattr(struct zus_local *local, uint64_t handle, struct zufs_attr *attr);

#endif /* ZUS_LOCAL_VFS_H */
