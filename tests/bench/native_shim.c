// SPDX-License-Identifier: BSD-3-Clause
/* native_shim.c - see native_shim.h; a test of one plugin, so handles are of no use here. */
#include <errno.h>
#include <libpmem.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "native_shim.h"

/* ------------------------------------------------------------------ requests */

uint64_t zus_req_id(const struct zus_req *req)
{
	return req ? req->id : 0;
}

uint32_t zus_req_op_slot(const struct zus_req *req)
{
	(void)req;
	return 0;
}

uint64_t zus_req_op_seq(const struct zus_req *req)
{
	return zus_req_id(req);
}

struct zus_caller zus_req_caller(const struct zus_req *req)
{
	(void)req;
	return (struct zus_caller) { 0, 0, 0 };
}

uint32_t zus_req_extents_left(const struct zus_req *req)
{
	return SHIM_EXTENTS_MAX - req->num_extents;
}

int zus_req_extent(struct zus_req *req, const struct zus_extent *extent)
{
	if (!zus_req_extents_left(req))
		return -ENOSPC;
	req->extents[req->num_extents++] = *extent;
	return 0;
}

int zus_req_word(struct zus_req *req, const struct zus_word *word)
{
	req->has_word = true;
	req->word = *word;
	return 0;
}

int zus_req_dirent(struct zus_req *req, uint64_t ino, uint64_t cookie, uint32_t type,
		   const struct zus_name *name)
{
	(void)req;
	(void)ino;
	(void)cookie;
	(void)type;
	(void)name;
	return -ENOSPC;
}

void *zus_req_payload(struct zus_req *req, uint32_t *max_bytes)
{
	(void)req;
	*max_bytes = 0;
	return NULL;
}

int zus_req_payload_set(struct zus_req *req, uint32_t bytes)
{
	(void)req;
	(void)bytes;
	return -EINVAL;
}

int zus_req_xattr_value(struct zus_req *req, const void *value, uint32_t bytes)
{
	(void)req;
	(void)value;
	(void)bytes;
	return -ERANGE;
}

int zus_req_xattr_name(struct zus_req *req, const struct zus_name *name)
{
	(void)req;
	(void)name;
	return -ERANGE;
}

/* -------------------------------------------------------------------- inodes */

/* handle counts references; entry_set adds the caller's, who puts it. */
int zus_inode_init(struct zus_mount *mount, struct zus_inode *inode)
{
	*inode = (struct zus_inode) { .mount = mount, .handle = 1 };
	return 0;
}

void zus_inode_get(struct zus_inode *inode)
{
	__atomic_add_fetch(&inode->handle, 1, __ATOMIC_RELAXED);
}

int zus_inode_tryget(struct zus_inode *inode)
{
	if (!inode->handle)
		return 0;
	zus_inode_get(inode);
	return 1;
}

void zus_inode_put(struct zus_inode *inode)
{
	if (!__atomic_sub_fetch(&inode->handle, 1, __ATOMIC_ACQ_REL))
		inode->mount->plugin->inode_ops->evict(inode);
}

void zus_entry_set(struct zus_entry *entry, struct zus_inode *inode)
{
	entry->inode = inode;
	zus_inode_get(inode);
}

/* --------------------------------------------------------------------- the rest */

void zus_log(int level, const char *format, ...)
{
	va_list args;

	if (level > ZUS_LOG_WARN)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

int zus_option_next(const char **cursor, char *buf, size_t buf_bytes, char **key, char **value)
{
	size_t len;

	*cursor += strspn(*cursor, ",");
	len = strcspn(*cursor, ",");
	if (!len)
		return 0;
	if (len >= buf_bytes)
		return -E2BIG;
	memcpy(buf, *cursor, len);
	buf[len] = 0;
	*cursor += len;
	*key = buf;
	*value = strchr(buf, '=');
	if (*value)
		*(*value)++ = 0;
	return 1;
}

static __thread uint64_t flushed_bytes;

uint64_t shim_flushed_bytes(void)
{
	return flushed_bytes;
}

void zus_flush(const void *addr, size_t bytes)
{
	flushed_bytes += ((uintptr_t)addr + bytes + 63) / 64 * 64 - (uintptr_t)addr / 64 * 64;
	pmem_flush(addr, bytes);
}

void zus_fence(void)
{
	pmem_drain();
}

void zus_persist(const void *addr, size_t bytes)
{
	flushed_bytes += bytes;
	pmem_persist(addr, bytes);
}

void zus_copy_nt(void *dst, const void *src, size_t bytes)
{
	flushed_bytes += bytes;
	pmem_memcpy(dst, src, bytes, PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_NODRAIN);
}

void zus_zero_nt(void *dst, size_t bytes)
{
	flushed_bytes += bytes;
	pmem_memset(dst, 0, bytes, PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_NODRAIN);
}
