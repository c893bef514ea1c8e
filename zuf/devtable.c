// SPDX-License-Identifier: GPL-2.0
/*
 * The device table: reading its two copies and believing neither. A copy counts
 * when its magic, checksum, version and every bound are right; of two, the one
 * with the higher sequence number. See zufs_media.h.
 */
#include <linux/bio.h>
#include <linux/crc32.h>
#include <linux/dax.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "data.h"

/* A poisoned line gives EIO instead of a machine check. */
static int copy_read_dax(const struct zuf_device *device, u64 off, void *to)
{
	void *kaddr;
	long pages;
	int err = -EIO, id;

	id = dax_read_lock();
	pages = dax_direct_access(device->dax, PHYS_PFN(device->dax_off + off), 1, DAX_ACCESS,
				  &kaddr, NULL);
	if (pages == 1 && !copy_mc_to_kernel(to, kaddr, ZUFS_DEVTABLE_BYTES))
		err = 0;
	dax_read_unlock(id);
	return err;
}

/* From the media: user space may have written it past the page cache. */
static int copy_read_bio(const struct zuf_device *device, u64 off, void *to)
{
	struct bio_vec vec;
	struct bio bio;
	int err;

	bio_init(&bio, device->bdev, &vec, 1, REQ_OP_READ);
	bio.bi_iter.bi_sector = off >> SECTOR_SHIFT;
	__bio_add_page(&bio, virt_to_page(to), ZUFS_DEVTABLE_BYTES, offset_in_page(to));
	err = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return err ? -EIO : 0;
}

static bool crc_ok(struct zufs_devtable *table)
{
	u32 stored = le32_to_cpu(table->crc32c), sum;

	table->crc32c = 0;
	sum = __crc32c_le(~0u, (const u8 *)table, sizeof(*table)) ^ ~0u;
	table->crc32c = cpu_to_le32(stored);
	return sum == stored;
}

static bool entry_ok(const struct zufs_devtable_entry *entry)
{
	u64 size_bytes = le64_to_cpu(entry->size_bytes);
	u64 data_off = le64_to_cpu(entry->data_off);
	u32 tier = le32_to_cpu(entry->tier);

	if (tier != ZUFS_TIER_T1 && tier != ZUFS_TIER_T2)
		return false;
	if (size_bytes < ZUFS_DEVICE_MIN_BYTES || size_bytes > MAX_LFS_FILESIZE ||
	    !IS_ALIGNED(size_bytes, ZUFS_BLOCK_BYTES))
		return false;
	if (data_off < ZUFS_DEVTABLE_OFF(ZUFS_DEVTABLE_COPIES) || data_off >= size_bytes ||
	    !IS_ALIGNED(data_off, ZUFS_BLOCK_BYTES))
		return false;
	return le64_to_cpu(entry->pmd_phase_bytes) < ZUFS_DEVICE_ALIGN_BYTES;
}

static int table_validate(struct zufs_devtable *table)
{
	u32 num_devices, i;

	if (le64_to_cpu(table->magic) != ZUFS_DEVTABLE_MAGIC)
		return -ENODATA;
	if (!crc_ok(table))
		return -EBADMSG;
	if (le16_to_cpu(table->major) != ZUFS_DEVTABLE_MAJOR)
		return -EPROTO;
	num_devices = le32_to_cpu(table->num_devices);
	if (!num_devices || num_devices > ZUFS_DEVTABLE_DEVICES ||
	    le32_to_cpu(table->self) >= num_devices)
		return -EBADMSG;
	if (!table->fs_type[0] ||
	    strnlen(table->fs_type, sizeof(table->fs_type)) == sizeof(table->fs_type))
		return -EBADMSG;
	for (i = 0; i < num_devices; i++)
		if (!entry_ok(&table->dev[i]))
			return -EBADMSG;
	return 0;
}

int zuf_devtable_read(const struct zuf_device *device, struct zufs_devtable *table)
{
	struct zufs_devtable *copy;
	int worst = 0, err;
	bool found = false;
	u32 i;

	/* a page of its own, as bios want it */
	copy = (struct zufs_devtable *)__get_free_page(GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	for (i = 0; i < ZUFS_DEVTABLE_COPIES; i++) {
		if (device->dax)
			err = copy_read_dax(device, ZUFS_DEVTABLE_OFF(i), copy);
		else
			err = copy_read_bio(device, ZUFS_DEVTABLE_OFF(i), copy);
		if (!err)
			err = table_validate(copy);
		if (err) {
			/* "none" is said only if nothing worse is known */
			if (!worst || worst == -ENODATA)
				worst = err;
			continue;
		}
		if (!found || le64_to_cpu(copy->seq) > le64_to_cpu(table->seq))
			memcpy(table, copy, sizeof(*table));
		found = true;
	}
	free_page((unsigned long)copy);
	return found ? 0 : worst;
}
