/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/*
 * The device table: what zufs keeps on each device of a mount. mkfs.zufs
 * writes it, the kernel module and libzus read it. Little endian.
 *
 * Each device holds two copies, at ZUFS_DEVTABLE_OFF(0) and (1). A writer
 * replaces the copy that is older or damaged, with seq one higher than the
 * other's, and flushes it before it touches the other. A reader takes the valid
 * copy with the highest seq. Valid means: magic, CRC32C (Castagnoli, reflected,
 * initial value and final complement all ones) of the table with crc32c as
 * zero, version, and every count and offset in bounds.
 *
 * All devices of a filesystem carry the same table but for self.
 */
#ifndef ZUFS_MEDIA_H
#define ZUFS_MEDIA_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#elif !defined(__cplusplus)
#include <assert.h>
#endif
#include <linux/types.h>

#define ZUFS_DEVTABLE_BYTES		4096u
#define ZUFS_DEVTABLE_COPIES		2u
#define ZUFS_DEVTABLE_OFF(copy)		((copy) * 4096u)
#define ZUFS_DEVTABLE_MAGIC		0x54564453465a5355ull
#define ZUFS_DEVTABLE_MAJOR		1
#define ZUFS_DEVTABLE_MINOR		0
#define ZUFS_DEVTABLE_DEVICES		32u
#define ZUFS_DEVICE_ALIGN_BYTES		(2u << 20) /* of data_off */
#define ZUFS_DEVICE_MIN_BYTES		(8u << 20)

struct zufs_devtable_entry {
	__u8 uuid[16];
	__le64 size_bytes;	/* of the device, a multiple of 4096 */
	__le64 data_off;	/* first byte of the plugin's area */
	__le64 pmd_phase_bytes;	/* physical start modulo 2 MiB when made */
	__le32 tier;		/* 1: persistent memory, 2: block device */
	__le32 numa_node;	/* 0xffffffff: unknown */
	__le64 reserved[2];
};

struct zufs_devtable {
	__le64 magic;
	__le32 crc32c;
	__le16 major;
	__le16 minor;
	__le64 seq;
	__u8 fs_uuid[16];
	char fs_type[32];	/* for mount -t, with the final NUL */
	__le32 num_devices;	/* 1 to ZUFS_DEVTABLE_DEVICES */
	__le32 self;		/* index of the device that holds this copy */
	__le64 created_ns;	/* since 1970 */
	__u8 reserved[8];
	struct zufs_devtable_entry dev[ZUFS_DEVTABLE_DEVICES];
	__u8 reserved2[1952];
};

static_assert(sizeof(struct zufs_devtable_entry) == 64, "devtable entry");
static_assert(sizeof(struct zufs_devtable) == ZUFS_DEVTABLE_BYTES, "devtable");
static_assert(__builtin_offsetof(struct zufs_devtable, dev) == 96, "devtable.dev");

#endif /* ZUFS_MEDIA_H */
