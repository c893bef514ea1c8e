// SPDX-License-Identifier: BSD-3-Clause
/* symlink.c - a symlink's target: in its element, or if it is long in a block. */
#include <errno.h>
#include <string.h>

#include "bug.h"
#include "ops.h"

int zl_op_symlink(struct zl_op *op, struct zl_obj *obj, const struct zus_name *target)
{
	struct zlf_elem elem = { .rec_type = ZLF_REC_SYMLINK, .aux = htole32(target->bytes) };
	uint64_t block, off;
	struct zl_dev *dev;

	if (target->bytes <= ZLF_ELEM_PAYLOAD_MAX) {
		elem.len = htole32(target->bytes);
		zl_op_set(op, obj, &elem, target->str, target->bytes);
		return 0;
	}
	block = zl_op_block(op);
	if (!block)
		return op->err;
	dev = &op->fs->devs[zl_addr_dev(block, &off)];
	zl_pm_copy(&dev->pm, ZL_DATA, off, target->str, target->bytes);
	if (!ZL_BUG(DATA_FENCE))
		zl_pm_fence();
	elem.addr = htole64(block);
	elem.flags = ZLF_EF_BLOCK;
	zl_op_set(op, obj, &elem, NULL, 0);
	return 0;
}

int zl_readlink(struct zus_req *req, struct zus_inode *inode)
{
	struct zl_inode *zi = zl_inode_of_zus(inode);
	const void *from;
	struct zl_elem elem;
	uint32_t max, bytes;
	void *to = zus_req_payload(req, &max);
	int err;

	zl_obj_lock(&zi->obj);
	err = zl_obj_find(&zi->obj, ZLF_REC_SYMLINK, 0, &elem);
	pthread_mutex_unlock(&zi->obj.lock);
	if (err)
		return err == -ENOENT ? -EIO : err;
	bytes = zl_get32(elem.head.aux);
	from = elem.head.flags & ZLF_EF_BLOCK ? zl_media(zi->obj.fs, zl_get64(elem.head.addr)) :
						elem.payload;
	if (bytes > max || bytes > ZLF_BLOCK_BYTES)
		return -EIO;
	memcpy(to, from, bytes);
	return zus_req_payload_set(req, bytes);
}
