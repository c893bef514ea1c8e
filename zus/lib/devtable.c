// SPDX-License-Identifier: BSD-3-Clause
/* devtable.c - read, check and write the device tables of zufs_media.h. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include <zufs_media.h>

#define CRC32C_POLY	0x82f63b78u	/* Castagnoli, reflected */
#define TABLES_BYTES	((uint64_t)ZUFS_DEVTABLE_OFF(ZUFS_DEVTABLE_COPIES))

static uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
	const uint8_t *at = data;
	int bit;

	while (bytes--) {
		crc ^= *at++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC32C_POLY : 0);
	}
	return crc;
}

uint32_t zus_devtable_crc(const struct zufs_devtable *table)
{
	const size_t at = offsetof(struct zufs_devtable, crc32c);
	static const uint32_t zero;
	uint32_t crc = ~0u;

	crc = crc32c(crc, table, at);
	crc = crc32c(crc, &zero, sizeof(zero));
	crc = crc32c(crc, (const char *)table + at + sizeof(zero),
		     sizeof(*table) - at - sizeof(zero));
	return ~crc;
}

static bool entry_ok(const struct zufs_devtable_entry *entry)
{
	uint64_t size = le64toh(entry->size_bytes), off = le64toh(entry->data_off);
	uint32_t tier = le32toh(entry->tier);

	return size >= ZUFS_DEVICE_MIN_BYTES && size <= INT64_MAX &&
	       size % ZUFS_BLOCK_BYTES == 0 && off % ZUFS_BLOCK_BYTES == 0 &&
	       off >= TABLES_BYTES && off < size &&
	       le64toh(entry->pmd_phase_bytes) < ZUFS_DEVICE_ALIGN_BYTES &&
	       (tier == ZUFS_TIER_T1 || tier == ZUFS_TIER_T2);
}

int zus_devtable_check(const struct zufs_devtable *table, uint64_t dev_bytes)
{
	uint32_t i, devices = le32toh(table->num_devices), self = le32toh(table->self);

	if (le64toh(table->magic) != ZUFS_DEVTABLE_MAGIC)
		return -ENODATA;
	if (le32toh(table->crc32c) != zus_devtable_crc(table))
		return -EUCLEAN;
	if (le16toh(table->major) != ZUFS_DEVTABLE_MAJOR)
		return -EPROTO;
	if (!devices || devices > ZUFS_DEVTABLE_DEVICES || self >= devices)
		return -EUCLEAN;
	if (!table->fs_type[0] || !memchr(table->fs_type, 0, sizeof(table->fs_type)))
		return -EUCLEAN;
	for (i = 0; i < devices; i++)
		if (!entry_ok(&table->dev[i]))
			return -EUCLEAN;
	if (dev_bytes && le64toh(table->dev[self].size_bytes) > dev_bytes)
		return -EUCLEAN;
	return 0;
}

static int read_copy(int fd, uint32_t copy, struct zufs_devtable *buf)
{
	ssize_t len = pread(fd, buf, sizeof(*buf), (off_t)ZUFS_DEVTABLE_OFF(copy));

	if (len < 0)
		return -errno;
	return len == (ssize_t)sizeof(*buf) ? 0 : -ENODATA;
}

int zus_devtable_read(int fd, uint64_t dev_bytes, struct zufs_devtable *table,
		      uint32_t *copy)
{
	struct zufs_devtable *buf = aligned_alloc(ZUFS_DEVTABLE_BYTES, sizeof(*buf));
	bool found = false, damaged = false;
	uint32_t i;
	int err = 0;

	if (!buf)
		return -ENOMEM;
	for (i = 0; i < ZUFS_DEVTABLE_COPIES; i++) {
		err = read_copy(fd, i, buf);
		if (err && err != -ENODATA)
			break;
		if (!err)
			err = zus_devtable_check(buf, dev_bytes);
		damaged |= err && err != -ENODATA;
		if (err || (found && le64toh(buf->seq) <= le64toh(table->seq)))
			continue;
		memcpy(table, buf, sizeof(*table));
		*copy = i;
		found = true;
	}
	free(buf);
	if (found)
		return 0;
	if (err && err != -ENODATA && err != -EUCLEAN && err != -EPROTO)
		return err;
	return damaged ? -EUCLEAN : -ENODATA;
}

static int write_copy(int fd, uint32_t copy, const struct zufs_devtable *buf)
{
	ssize_t len = pwrite(fd, buf, sizeof(*buf), (off_t)ZUFS_DEVTABLE_OFF(copy));

	if (len != (ssize_t)sizeof(*buf))
		return len < 0 ? -errno : -EIO;
	return fsync(fd) ? -errno : 0;
}

int zus_devtable_write(int fd, uint64_t dev_bytes, struct zufs_devtable *table)
{
	struct zufs_devtable *buf = aligned_alloc(ZUFS_DEVTABLE_BYTES, sizeof(*buf));
	uint32_t i, newest = ZUFS_DEVTABLE_COPIES - 1;
	uint64_t seq = 0;
	int err;

	if (!buf)
		return -ENOMEM;
	/* Without a valid copy the order does not matter. */
	err = zus_devtable_read(fd, dev_bytes, buf, &newest);
	if (!err)
		seq = le64toh(buf->seq);
	else if (err != -ENODATA && err != -EUCLEAN)
		goto out_free;
	for (i = 1; i <= ZUFS_DEVTABLE_COPIES; i++) {
		table->seq = htole64(seq + i);
		table->crc32c = htole32(zus_devtable_crc(table));
		err = zus_devtable_check(table, dev_bytes);
		if (err)
			break;
		memcpy(buf, table, sizeof(*buf));
		err = write_copy(fd, (newest + i) % ZUFS_DEVTABLE_COPIES, buf);
		if (err)
			break;
	}
out_free:
	free(buf);
	return err;
}

uint64_t zus_devtable_data_off(uint64_t pmd_phase_bytes)
{
	const uint64_t align = ZUFS_DEVICE_ALIGN_BYTES;
	uint64_t off = align - pmd_phase_bytes % align;

	if (off < TABLES_BYTES)
		off += align;
	return off;
}
