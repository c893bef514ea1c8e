// SPDX-License-Identifier: BSD-3-Clause
/*
 * xattr.c - extended attributes: found by the hash of the name, as names are; a short value
 * is in the element, a longer one in blocks of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bug.h"
#include "ops.h"

uint64_t zl_xattr_hash(const struct zus_name *name)
{
	return XXH3_64bits(name->str, name->bytes) >> (64 - ZL_XATTR_KEY_BITS) &
	       ~(uint64_t)(ZL_SAME_HASH - 1);
}

/* As zl_name_find(). */
static int find(struct zl_obj *obj, const struct zus_name *name, uint64_t *key,
		struct zl_elem *elem)
{
	uint64_t base = zl_xattr_hash(name), at = base, unused = base;
	int err;

	while (!(err = zl_obj_next(obj, ZLF_REC_XATTR, at, elem))) {
		at = zl_get64(elem->head.key);
		if (at >= base + ZL_SAME_HASH)
			break;
		if (zl_get32(elem->head.aux) == name->bytes &&
		    !memcmp(elem->payload, name->str, name->bytes)) {
			*key = at;
			return 0;
		}
		unused += unused == at;
		at++;
	}
	*key = unused;
	if (err && err != -ENOENT)
		return err;
	return unused < base + ZL_SAME_HASH ? -ENODATA : -ENOSPC;
}

/* ------------------------------------------------------------------------ set */

/* The value in blocks, durable before the record is. */
static int op_blocks(struct zl_op *op, struct zl_obj *obj, uint64_t key,
		     const struct zus_xattr *xattr)
{
	struct zlf_elem elem = { .rec_type = ZLF_REC_XDATA };
	uint32_t i, at, bytes;
	uint64_t block, off;
	struct zl_dev *dev;

	for (i = at = 0; at < xattr->value_bytes; i++, at += bytes) {
		bytes = xattr->value_bytes - at;
		if (bytes > ZLF_BLOCK_BYTES)
			bytes = ZLF_BLOCK_BYTES;
		block = zl_op_block(op);
		if (!block)
			return op->err;
		dev = &op->fs->devs[zl_addr_dev(block, &off)];
		zl_pm_copy(&dev->pm, ZL_DATA, off, (const uint8_t *)xattr->value + at, bytes);
		elem.key = htole64(key << (64 - ZL_XATTR_KEY_BITS) | i);
		elem.addr = htole64(block);
		elem.aux = htole32(bytes);
		zl_op_set(op, obj, &elem, NULL, 0);
	}
	if (!ZL_BUG(DATA_FENCE))
		zl_pm_fence();
	return 0;
}

static int op_set(struct zl_op *op, struct zl_obj *obj, uint64_t key,
		  const struct zus_xattr *xattr)
{
	uint8_t payload[ZLF_ELEM_PAYLOAD_MAX];
	struct zlf_elem elem = { .rec_type = ZLF_REC_XATTR, .key = htole64(key),
				 .aux = htole32(xattr->name.bytes) };
	uint32_t bytes = xattr->name.bytes;

	memcpy(payload, xattr->name.str, bytes);
	if (bytes + xattr->value_bytes <= sizeof(payload)) {
		if (xattr->value_bytes)
			memcpy(payload + bytes, xattr->value, xattr->value_bytes);
		bytes += xattr->value_bytes;
	} else {
		elem.flags = ZLF_EF_BLOCK;
		elem.addr = htole64(xattr->value_bytes);
	}
	elem.len = htole32(bytes);
	zl_op_set(op, obj, &elem, payload, bytes);
	return elem.flags & ZLF_EF_BLOCK ? op_blocks(op, obj, key, xattr) : 0;
}

int zl_op_xattr(struct zl_op *op, struct zl_obj *obj, const struct zus_xattr *xattr)
{
	struct zl_elem elem;
	uint64_t key;
	int err = find(obj, &xattr->name, &key, &elem);

	return err == -ENODATA ? op_set(op, obj, key, xattr) : err ? err : -EEXIST;
}

static void op_drop_blocks(struct zl_op *op, struct zl_obj *obj, const struct zl_elem *old,
			   uint64_t key)
{
	uint64_t end = (key + 1) << (64 - ZL_XATTR_KEY_BITS);
	struct zl_elem data;

	if (ZL_BUG(FREE_EARLY) && old->head.flags & ZLF_EF_BLOCK &&
	    !zl_obj_find(obj, ZLF_REC_XDATA, key << (64 - ZL_XATTR_KEY_BITS), &data))
		zl_blocks_free(op->fs, zl_get64(data.head.addr), 1);
	if (old->head.flags & ZLF_EF_BLOCK)
		zl_op_range(op, obj, ZLF_REC_XDATA, key << (64 - ZL_XATTR_KEY_BITS),
			    end ? end : UINT64_MAX);
}

static int op_change(struct zl_op *op, struct zl_inode *zi, const struct zus_setxattr *args)
{
	struct zlf_inode body = zi->body;
	bool remove = args->flags & ZUS_XATTR_REMOVE, there;
	uint32_t mask = zl_touch(&body, &args->now, false) | ZLF_IM_PARENT;
	struct zl_elem old;
	uint64_t key;
	int err = find(&zi->obj, &args->xattr.name, &key, &old);

	if (err && err != -ENODATA)
		return err;
	there = !err;
	if (!there && args->flags & ZUS_XATTR_REPLACE)
		return -ENODATA;
	if (there && args->flags & ZUS_XATTR_CREATE)
		return -EEXIST;
	if (there)
		op_drop_blocks(op, &zi->obj, &old, key);
	if (there && remove)
		zl_op_del(op, &zi->obj, ZLF_REC_XATTR, key);
	err = remove ? 0 : op_set(op, &zi->obj, key, &args->xattr);
	if (err)
		return err;
	body.num_xattrs = htole32(zl_get32(body.num_xattrs) + !remove - there);
	if (args->flags & ZUS_XATTR_MODE) {
		body.mode = htole32((zl_get32(body.mode) & S_IFMT) | (args->mode & 07777));
		mask |= ZLF_IM_MODE;
	}
	zl_op_inode(op, zi, mask, &body);
	return zl_op_commit(op);
}

int zl_setxattr(struct zus_req *req, struct zus_inode *inode, const struct zus_setxattr *args,
		struct zus_attr *out)
{
	struct zl_inode *zi = zl_inode_of_zus(inode);
	struct zl_op op;
	int err = zl_op_begin(&op, zl_fs_of(inode), req, ZL_SPACE_WRITE);

	if (err)
		return err;
	zl_obj_lock(&zi->obj);
	err = op_change(&op, zi, args);
	zl_attr(zi, out);
	pthread_mutex_unlock(&zi->obj.lock);
	zl_op_end(&op);
	return err;
}

/* ------------------------------------------------------------------------ get */

static int gather(struct zl_obj *obj, uint64_t key, uint8_t *value, uint32_t bytes)
{
	struct zl_elem elem;
	uint32_t at, n;
	int err;

	for (at = 0; at < bytes; at += n) {
		err = zl_obj_find(obj, ZLF_REC_XDATA,
				  key << (64 - ZL_XATTR_KEY_BITS) | at / ZLF_BLOCK_BYTES, &elem);
		if (err)
			return err == -ENOENT ? -EIO : err;
		n = bytes - at < ZLF_BLOCK_BYTES ? bytes - at : ZLF_BLOCK_BYTES;
		memcpy(value + at, zl_media(obj->fs, zl_get64(elem.head.addr)), n);
	}
	return 0;
}

static int answer(struct zus_req *req, struct zl_obj *obj, uint64_t key,
		  const struct zl_elem *elem)
{
	uint32_t name = zl_get32(elem->head.aux), bytes = zl_get32(elem->head.len) - name;
	uint8_t *value;
	int err;

	if (!(elem->head.flags & ZLF_EF_BLOCK))
		return zus_req_xattr_value(req, elem->payload + name, bytes);
	bytes = (uint32_t)zl_get64(elem->head.addr);
	value = malloc(bytes);
	if (!value)
		return -ENOMEM;
	err = gather(obj, key, value, bytes);
	if (!err)
		err = zus_req_xattr_value(req, value, bytes);
	free(value);
	return err;
}

int zl_getxattr(struct zus_req *req, struct zus_inode *inode, const struct zus_name *name)
{
	struct zl_inode *zi = zl_inode_of_zus(inode);
	struct zl_elem elem;
	uint64_t key;
	int err;

	zl_obj_lock(&zi->obj);
	err = find(&zi->obj, name, &key, &elem);
	if (!err)
		err = answer(req, &zi->obj, key, &elem);
	pthread_mutex_unlock(&zi->obj.lock);
	return err == -ENOSPC ? -ENODATA : err;
}

int zl_listxattr(struct zus_req *req, struct zus_inode *inode)
{
	struct zl_inode *zi = zl_inode_of_zus(inode);
	struct zl_elem elem;
	struct zus_name name;
	uint64_t key = 0;
	int err;

	zl_obj_lock(&zi->obj);
	while (!(err = zl_obj_next(&zi->obj, ZLF_REC_XATTR, key, &elem))) {
		key = zl_get64(elem.head.key) + 1;
		name = (struct zus_name) { (char *)elem.payload, zl_get32(elem.head.aux) };
		err = zus_req_xattr_name(req, &name);
		if (err)
			break;
	}
	pthread_mutex_unlock(&zi->obj.lock);
	return err == -ENOENT ? 0 : err;
}
