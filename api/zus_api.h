/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/*
 * The ABI between the zuf kernel module and a zus server.
 *
 * Change log
 *   1.0  first version
 *   1.1  leases: ZUFS_FEAT_LEASES, ZUFS_MF_LEASES, ZUFS_EXTF_LEASE_R, LEASE_W and
 *        IMMUTABLE, ZUFS_IOC_RECALL, read(2) of a mount file
 *   1.2  write epochs: ZUFS_FEAT_EPOCHS, ZUFS_MF_EPOCHS, ZUFS_IOC_EPOCH,
 *        zufs_map_out.epoch
 *   1.3  copy-on-write: ZUFS_FEAT_COW, ZUFS_MF_COW, ZUFS_MAP_STAY, zufs_map_out.word,
 *        ZUFS_FORCED_COMMITTED
 *   1.4  extended attributes: ZUFS_FEAT_XATTRS, ZUFS_MF_XATTRS and ACLS, GETXATTR,
 *        SETXATTR, LISTXATTR, zufs_create_in.xattrs_bytes, ZUFS_ATTR_NO_XATTRS;
 *        READDIR with attributes: ZUFS_FEAT_READDIR_PLUS, ZUFS_MF_READDIR_PLUS,
 *        zufs_readdir_in.flags, zufs_direntplus; inode flags and project ids:
 *        ZUFS_FEAT_FILEATTR, ZUFS_MF_FILEATTR, ZUFS_ATTR_IMMUTABLE and so on,
 *        zufs_attr.projid, ZUFS_SET_FLAGS and PROJID; ZUFS_FEAT_NAMES, TMPFILE and
 *        ZUFS_MF_TMPFILE, ZUFS_MF_WHITEOUT; FALLOCATE with ZUFS_FEAT_FALLOCATE and
 *        ZUFS_MF_FALLOCATE; ZUFS_MAP_REPORT; IOCTL with ZUFS_FEAT_IOCTL and
 *        ZUFS_MF_IOCTL; IGET and PARENT with ZUFS_FEAT_EXPORT and ZUFS_MF_EXPORT;
 *        ZUFS_IOC_INVALIDATE with ZUFS_FEAT_INVALIDATE; FREEZE with ZUFS_FEAT_FREEZE and
 *        ZUFS_MF_FREEZE; ZUFS_FEAT_DURABLE_MAPS and ZUFS_MF_DURABLE_MAPS;
 *        COPY with ZUFS_FEAT_COPY and ZUFS_MF_COPY; CREATE_OPEN with
 *        ZUFS_FEAT_CREATE_OPEN and ZUFS_MF_CREATE_OPEN; ZUFS_COPY_CLONE and DEDUPE,
 *        ZUFS_EXTF_SHARED with ZUFS_FEAT_CLONE and ZUFS_MF_CLONE;
 *        LOCK with ZUFS_FEAT_LOCKS and ZUFS_MF_LOCKS, ZUFS_INVAL_LOCKS
 *   1.5  a write(2) as one change: ZUFS_FEAT_WHOLE_WRITES, ZUFS_MF_WHOLE_WRITES,
 *        ZUFS_MAP_MORE, zufs_map_in.write_id, zufs_map_done_in.write_id,
 *        ZUFS_FORCED_WRITE_END
 *
 * Negotiation. A server opens /dev/zuf and calls ZUFS_IOC_HELLO with the major
 * and minor number that it was built for and the features it knows. The kernel
 * answers with its own. Another major number is refused with EPROTO, both
 * numbers being in the answer. The smaller minor number rules; a feature is in
 * use when both sides named it.
 *
 * Growth. Each message tells the size of its fixed part. A missing tail reads
 * as zero, an unknown tail is ignored. Reserved fields are zero; numbers are
 * never given a second meaning.
 *
 * Types. Fixed width, native byte order, 8-byte alignment, explicit padding.
 * Objects are named by 64-bit handles which their issuer looks up; there are no
 * pointers but those that a server passes of its own memory to an ioctl.
 *
 * Units. *_bytes and *_off are bytes, *_ns nanoseconds, blocks_512 counts units
 * of 512 bytes as stat(2) does. File and device offsets are bytes.
 */
#ifndef ZUS_API_H
#define ZUS_API_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#elif !defined(__cplusplus)
#include <assert.h>
#endif
#include <linux/types.h>
#include <linux/ioctl.h>

#define ZUFS_ABI_MAJOR			1
#define ZUFS_ABI_MINOR			5

/* ------------------------------------------------------------------ limits */

#define ZUFS_BLOCK_BYTES		4096u	/* unit of DAX maps */
#define ZUFS_FIXED_OFF			64u	/* fixed part, from a region's start */
#define ZUFS_PAYLOAD_OFF		4096u	/* payload, from a region's start */
#define ZUFS_PAYLOAD_MAX_BYTES		65536u
#define ZUFS_REGION_BYTES		(ZUFS_PAYLOAD_OFF + ZUFS_PAYLOAD_MAX_BYTES)
#define ZUFS_CHANNELS_PER_CPU_MAX	7u	/* keeps a CPU's regions below 1 MiB */
#define ZUFS_NAME_MAX			255u
#define ZUFS_SYMLINK_MAX		4095u
#define ZUFS_TYPE_NAME_BYTES		32u	/* with the final NUL */
#define ZUFS_TYPES_MAX			64u
#define ZUFS_DEVICES_MAX		32u	/* of one mount */
#define ZUFS_EXTENTS_MAX		512u	/* in one reply */
#define ZUFS_XATTR_NAME_MAX		255u
#define ZUFS_XATTR_VALUE_MAX_BYTES	65536u	/* ZUFS_PAYLOAD_MAX_BYTES */
#define ZUFS_CREATE_XATTRS_MAX		4u	/* of a new inode: ACLs and labels */
#define ZUFS_OPTIONS_MAX_BYTES		4096u	/* plugin's mount options, with the NUL */
#define ZUFS_MAP_MAX_BYTES		(64u << 20) /* one MAP asks for at most this */
#define ZUFS_WHOLE_WRITE_MAX_BYTES	(1024u << 20) /* with ZUFS_MF_WHOLE_WRITES */

/* A reply's err is in this range; codes from -512 down belong to the kernel. */
#define ZUFS_ERR_MIN			(-511)

/* --------------------------------------------------------------- operations */

#define ZUFS_OP_NOP			1
#define ZUFS_OP_MOUNT			2
#define ZUFS_OP_UMOUNT			3
#define ZUFS_OP_REMOUNT			4
#define ZUFS_OP_STATFS			5
#define ZUFS_OP_SYNCFS			6
#define ZUFS_OP_LOOKUP			7
#define ZUFS_OP_GETATTR			8
#define ZUFS_OP_SETATTR			9
#define ZUFS_OP_CREATE			10
#define ZUFS_OP_MKDIR			11
#define ZUFS_OP_MKNOD			12
#define ZUFS_OP_SYMLINK			13
#define ZUFS_OP_LINK			14
#define ZUFS_OP_UNLINK			15
#define ZUFS_OP_RMDIR			16
#define ZUFS_OP_RENAME			17
#define ZUFS_OP_READDIR			18
#define ZUFS_OP_READLINK		19
#define ZUFS_OP_OPEN			20
#define ZUFS_OP_RELEASE			21	/* forced: only inside BATCH */
#define ZUFS_OP_MAP			22
#define ZUFS_OP_MAP_DONE		23	/* a request, or forced in BATCH */
#define ZUFS_OP_WRITE			24	/* inline data */
#define ZUFS_OP_FSYNC			25
#define ZUFS_OP_BATCH			26
#define ZUFS_OP_FORGET			27	/* forced: only inside BATCH */
#define ZUFS_OP_INTERRUPT		28	/* forced: only inside BATCH */
#define ZUFS_OP_GETXATTR		29
#define ZUFS_OP_SETXATTR		30
#define ZUFS_OP_LISTXATTR		31
#define ZUFS_OP_TMPFILE			32
#define ZUFS_OP_FALLOCATE		33
#define ZUFS_OP_IOCTL			34
#define ZUFS_OP_IGET			35
#define ZUFS_OP_PARENT			36
#define ZUFS_OP_FREEZE			37
#define ZUFS_OP_COPY			38
#define ZUFS_OP_CREATE_OPEN		39
#define ZUFS_OP_LOCK			40	/* a request, or forced in BATCH */
#define ZUFS_OP_COUNT			41

/* ----------------------------------------------------------------- requests */

#define ZUFS_NO_SLOT			0xffffffffu

/*
 * Start of a request region. The server maps the region read-only. The fixed
 * part of the operation lies at ZUFS_FIXED_OFF, its payload at
 * ZUFS_PAYLOAD_OFF; pieces of a payload follow each other without padding.
 */
struct zufs_req_hdr {
	__u32 fixed_bytes;	/* fixed part of the operation */
	__u16 op;		/* ZUFS_OP_* */
	__u16 flags;		/* ZUFS_REQ_* */
	__u64 id;		/* never twice in the life of a server */
	__u64 mount;		/* kernel's mount id */
	__u64 op_seq;		/* operation id: sequence in its slot, from 1 */
	__u32 op_slot;		/* operation id: slot, or ZUFS_NO_SLOT */
	__u32 payload_bytes;
	__u32 reply_max_bytes;	/* room for the reply's payload */
	__u32 uid;		/* of the caller, as the filesystem counts ids */
	__u32 gid;
	__u32 pid;		/* of the caller, for messages only */
	__u32 interrupted;	/* set by the kernel while the request is out */
	__u32 reserved;
};

#define ZUFS_REQ_RECLAIM		0x1u /* caller frees memory: allocate none */
#define ZUFS_REQ_WRITEBACK		0x2u /* answer without waiting for a recall */

/* Start of a reply region. The server writes it, the kernel reads it once. */
struct zufs_reply_hdr {
	__u32 fixed_bytes;	/* fixed part at ZUFS_FIXED_OFF */
	__s32 err;		/* ZUFS_ERR_MIN..0 */
	__u64 id;		/* of the request */
	__u32 flags;		/* ZUFS_REPLY_* */
	__u32 payload_bytes;	/* at ZUFS_PAYLOAD_OFF */
	__u64 reserved;
};

#define ZUFS_REPLY_BUSY_RETRY		0x1u /* nothing was done, ask again soon */

/* ------------------------------------------------------------- common parts */

struct zufs_time {
	__s64 sec;
	__u32 nsec;		/* below 1,000,000,000 */
	__u32 reserved;
};

/* An inode's attributes, by value. The kernel keeps its own copy. */
struct zufs_attr {
	__u64 ino;
	__u64 gen;		/* generation of ino */
	__u64 size_bytes;
	__u64 blocks_512;
	__u64 change;		/* rises with each change of the inode */
	struct zufs_time atime;
	struct zufs_time mtime;
	struct zufs_time ctime;
	struct zufs_time btime;
	__u32 mode;		/* type and permissions, as in stat(2) */
	__u32 nlink;
	__u32 uid;
	__u32 gid;
	__u32 rdev_major;
	__u32 rdev_minor;
	__u32 flags;		/* ZUFS_ATTR_* */
	__u32 projid;		/* project id, with ZUFS_MF_FILEATTR */
};

#define ZUFS_ATTR_INLINE		0x1u /* data travels in messages */
/*
 * Has no extended attribute of any kind: none is asked for until one is set. With it
 * change must rise when one is set or removed.
 */
#define ZUFS_ATTR_NO_XATTRS		0x2u
/*
 * Of chattr(1), with ZUFS_MF_FILEATTR. The kernel obeys them; a new inode's are the
 * server's to take from its directory, as its project id is where that has PROJINHERIT.
 */
#define ZUFS_ATTR_IMMUTABLE		0x10u
#define ZUFS_ATTR_APPEND		0x20u
#define ZUFS_ATTR_NODUMP		0x40u
#define ZUFS_ATTR_NOATIME		0x80u
#define ZUFS_ATTR_SYNC			0x100u
#define ZUFS_ATTR_DIRSYNC		0x200u
#define ZUFS_ATTR_PROJINHERIT		0x400u
#define ZUFS_ATTR_SETTABLE		0x7f0u

/* A name's inode: one reference to the handle passes to the kernel. */
struct zufs_entry {
	__u64 handle;		/* never 0 */
	struct zufs_attr attr;
};

struct zufs_extent {
	__u64 file_off;
	__u64 len_bytes;	/* file_off + len_bytes is at most 2^63 */
	__u64 dev_off;		/* INLINE: offset of the bytes in the payload */
	__u32 dev;		/* device id of this mount */
	__u16 type;		/* ZUFS_EXT_* */
	__u16 flags;		/* ZUFS_EXTF_* */
};

#define ZUFS_EXT_HOLE			1
#define ZUFS_EXT_DATA			2
#define ZUFS_EXT_UNWRITTEN		3
#define ZUFS_EXT_INLINE			4

#define ZUFS_EXTF_NEW			0x1u /* contents undefined, not yet in the file */
#define ZUFS_EXTF_COMMIT		0x2u /* MAP_DONE is wanted */
/*
 * Leases, with ZUFS_MF_LEASES: the kernel may use the extent again, without
 * asking, until a RECALL of it was acknowledged. R for reading; W (DATA only) for
 * overwriting too; IMMUTABLE says that nobody will ever write to it, so it goes
 * with R and not with W. None of them goes with NEW or COMMIT.
 */
#define ZUFS_EXTF_LEASE_R		0x4u
#define ZUFS_EXTF_LEASE_W		0x8u
#define ZUFS_EXTF_IMMUTABLE		0x10u
/*
 * With ZUFS_MF_CLONE, DATA that is read: other places of files have it, too. It is never
 * leased for writing, and no answer to FAULT; a lease for reading does not count for one.
 */
#define ZUFS_EXTF_SHARED		0x20u

/* --------------------------------------------------------------- operations */

/* NOP: in and out. */
struct zufs_nop {
	__u64 cookie;		/* comes back as it went */
};

/* A device as the kernel opened it. */
struct zufs_device {
	__u8 uuid[16];
	__u64 size_bytes;	/* as the device table has it */
	__u64 data_off;		/* first byte that a plugin may use */
	__u64 pmd_phase_bytes;	/* physical start modulo 2 MiB */
	__u32 id;		/* its index in the mount */
	__u32 tier;		/* ZUFS_TIER_* */
	__u32 numa_node;	/* 0xffffffff: unknown */
	__u32 flags;		/* ZUFS_DEVF_* */
};

#define ZUFS_TIER_T1			1	/* persistent memory, DAX */
#define ZUFS_TIER_T2			2	/* any block device */
#define ZUFS_DEVF_SYNCHRONOUS		0x1u /* durable after flush and fence */

#define ZUFS_MOUNT_RDONLY		0x1u
#define ZUFS_MOUNT_SILENT		0x2u

/* MOUNT. Payload: devices, then the options, a string with its NUL. */
struct zufs_mount_in {
	__u64 incarnation;	/* of the mount: first part of its operation ids */
	__u8 fs_uuid[16];	/* from the device table; zero without devices */
	__u32 num_devices;
	__u32 options_bytes;
	__u32 flags;		/* ZUFS_MOUNT_* */
	__u32 num_slots;	/* operation slots of this mount */
};

struct zufs_mount_out {
	struct zufs_entry root;
	__u64 features;		/* ZUFS_MF_* */
	__u64 max_file_bytes;	/* 0: the kernel's own limit */
	__u32 time_gran_ns;	/* 0: 1 */
	__u32 name_max;		/* 0: ZUFS_NAME_MAX */
	__u32 magic;		/* statfs(2) f_type; 0: the kernel's own */
	__u32 reserved;
};

#define ZUFS_MF_OPEN			0x1u /* wants OPEN and RELEASE */
#define ZUFS_MF_FSYNC			0x2u /* wants FSYNC */
#define ZUFS_MF_SYNCFS			0x4u /* wants SYNCFS */
#define ZUFS_MF_VOLATILE		0x8u /* contents end with the mount */
#define ZUFS_MF_LEASES			0x10u /* maps carry leases; needs ZUFS_FEAT_LEASES */
#define ZUFS_MF_EPOCHS			0x20u /* with LEASES: EPOCH; needs ZUFS_FEAT_EPOCHS */
#define ZUFS_MF_COW			0x40u /* overwrites may move; needs ZUFS_FEAT_COW */
#define ZUFS_MF_XATTRS			0x80u /* has extended attributes; needs ZUFS_FEAT_XATTRS */
#define ZUFS_MF_ACLS			0x100u /* with XATTRS: POSIX ACLs among them */
#define ZUFS_MF_READDIR_PLUS		0x200u /* knows PLUS; needs ZUFS_FEAT_READDIR_PLUS */
#define ZUFS_MF_FILEATTR		0x400u /* flags, project ids; needs ZUFS_FEAT_FILEATTR */
#define ZUFS_MF_TMPFILE			0x800u /* TMPFILE; needs ZUFS_FEAT_NAMES */
#define ZUFS_MF_WHITEOUT		0x1000u /* RENAME_WHITEOUT; likewise */
#define ZUFS_MF_FALLOCATE		0x2000u /* FALLOCATE; needs ZUFS_FEAT_FALLOCATE */
#define ZUFS_MF_IOCTL			0x4000u /* IOCTL; needs ZUFS_FEAT_IOCTL */
#define ZUFS_MF_EXPORT			0x8000u /* IGET, PARENT; needs ZUFS_FEAT_EXPORT */
#define ZUFS_MF_FREEZE			0x10000u /* wants FREEZE; needs ZUFS_FEAT_FREEZE */
/*
 * Where a file's bytes are is durable before MAP for a fault is answered, and where that
 * gave NEW before its MAP_DONE is: so mmap(2) with MAP_SYNC is allowed, if all T1 devices
 * are SYNCHRONOUS. Needs ZUFS_FEAT_DURABLE_MAPS.
 */
#define ZUFS_MF_DURABLE_MAPS		0x20000u
#define ZUFS_MF_COPY			0x40000u /* COPY; needs ZUFS_FEAT_COPY */
#define ZUFS_MF_CREATE_OPEN		0x80000u /* CREATE_OPEN; needs ZUFS_FEAT_CREATE_OPEN */
/*
 * With COW and COPY: ZUFS_COPY_CLONE and DEDUPE, after which files share blocks. As a
 * page belongs to one place of one file, a MAP with FAULT, also for reading, ends the
 * sharing of what it asks for. Needs ZUFS_FEAT_CLONE.
 */
#define ZUFS_MF_CLONE			0x100000u
#define ZUFS_MF_LOCKS			0x200000u /* wants LOCK; needs ZUFS_FEAT_LOCKS */
/*
 * Each write(2), up to ZUFS_WHOLE_WRITE_MAX_BYTES, is one change, however many MAPs it takes:
 * see ZUFS_MAP_MORE. Needs ZUFS_FEAT_WHOLE_WRITES.
 */
#define ZUFS_MF_WHOLE_WRITES		0x400000u

/* UMOUNT has no parts. It is the last message of a mount. */

/* REMOUNT. Payload: the options. */
struct zufs_remount_in {
	__u32 flags;		/* ZUFS_MOUNT_*, as they shall be */
	__u32 options_bytes;
};

/* STATFS: no in part. */
struct zufs_statfs_out {
	__u64 blocks;		/* in block_bytes */
	__u64 blocks_free;
	__u64 blocks_avail;
	__u64 files;
	__u64 files_free;
	__u32 block_bytes;
	__u32 name_max;
};

/* SYNCFS: out nothing. */
struct zufs_syncfs_in {
	__u32 wait;		/* 0: begin only */
	__u32 reserved;
};

/*
 * FREEZE, with ZUFS_MF_FREEZE: fsfreeze(8). Between a freeze that was answered with 0 and
 * its thaw the kernel sends nothing that changes the filesystem, and nobody stores to it
 * through a mapping; the server changes nothing on the media by itself either, and has
 * made durable what it had. Out nothing; what a thaw answers is ignored.
 */
struct zufs_freeze_in {
	__u32 thaw;		/* 1: go on */
	__u32 reserved;
};

/* LOOKUP. Payload: the name. Out: struct zufs_entry. */
struct zufs_lookup_in {
	__u64 dir;		/* handle */
	__u32 name_bytes;	/* without NUL */
	__u32 reserved;
};

/* GETATTR. Out: struct zufs_attr. */
struct zufs_getattr_in {
	__u64 inode;		/* handle */
	__u64 fh;		/* open file, or 0 */
	__u32 mask;		/* STATX_* of <linux/stat.h> */
	__u32 reserved;
};

/* SETATTR. Out: struct zufs_attr. SIZE is truncate(2), both ways. */
struct zufs_setattr_in {
	__u64 inode;		/* handle */
	__u64 fh;		/* open file, or 0 */
	__u64 size_bytes;
	struct zufs_time atime;
	struct zufs_time mtime;
	struct zufs_time ctime;
	__u32 valid;		/* ZUFS_SET_* */
	__u32 mode;
	__u32 uid;
	__u32 gid;
	__u32 flags;		/* ZUFS_ATTR_* of SETTABLE, all of them */
	__u32 projid;
};

#define ZUFS_SET_MODE			0x1u
#define ZUFS_SET_UID			0x2u
#define ZUFS_SET_GID			0x4u
#define ZUFS_SET_SIZE			0x8u
#define ZUFS_SET_ATIME			0x10u
#define ZUFS_SET_MTIME			0x20u
#define ZUFS_SET_CTIME			0x40u
#define ZUFS_SET_FLAGS			0x80u
#define ZUFS_SET_PROJID			0x100u
#define ZUFS_SET_ALL			0x1ffu

/*
 * CREATE, MKDIR, MKNOD, SYMLINK. Payload: the name, then a symlink's target, then
 * struct zufs_xattr, one behind the other: what the inode has from the start.
 */
struct zufs_create_in {
	__u64 dir;		/* handle */
	struct zufs_time now;
	__u32 mode;		/* type and permissions, umask applied */
	__u32 uid;
	__u32 gid;
	__u32 rdev_major;
	__u32 rdev_minor;
	__u32 name_bytes;
	__u32 target_bytes;	/* without NUL */
	__u32 xattrs_bytes;	/* at most ZUFS_CREATE_XATTRS_MAX of them */
};

/*
 * TMPFILE, with ZUFS_MF_TMPFILE: struct zufs_create_in without a name. Out: struct
 * zufs_entry, whose nlink is 0. It ends with its last user, or LINK gives it a name.
 */

struct zufs_create_out {
	struct zufs_entry entry;
	struct zufs_attr dir;
};

/*
 * CREATE_OPEN, with ZUFS_MF_CREATE_OPEN: open(2) with O_CREAT of a name that the kernel does
 * not know, in place of LOOKUP, CREATE and OPEN. Payload as of CREATE. What is there already,
 * of whatever type, is answered as LOOKUP would, with created and fh 0; with O_EXCL it is
 * EEXIST. What is made here is open then, if the mount has OPEN.
 */
struct zufs_create_open_in {
	struct zufs_create_in create;
	__u32 open_flags;	/* O_* of the caller */
	__u32 reserved;
};

struct zufs_create_open_out {
	struct zufs_create_out create;
	__u64 fh;		/* as of OPEN; 0 without ZUFS_MF_OPEN */
	__u32 created;		/* 0 or 1 */
	__u32 reserved;
};

/* LINK. Payload: the name. */
struct zufs_link_in {
	__u64 inode;		/* handle */
	__u64 dir;		/* handle */
	struct zufs_time now;
	__u32 name_bytes;
	__u32 reserved;
};

/* UNLINK, RMDIR. Payload: the name. */
struct zufs_unlink_in {
	__u64 dir;		/* handle */
	__u64 inode;		/* handle that the name must still have */
	struct zufs_time now;
	__u32 name_bytes;
	__u32 reserved;
};

/* Answer to LINK, UNLINK and RMDIR. */
struct zufs_link_out {
	struct zufs_attr inode;
	struct zufs_attr dir;
};

/*
 * RENAME. Payload: the old name, then the new. RENAME_WHITEOUT comes with
 * ZUFS_MF_WHITEOUT only: a character device 0:0 of mode 0 and of the caller takes the
 * old name, in the same change. What that has from the start follows the names, as in
 * CREATE.
 */
struct zufs_rename_in {
	__u64 old_dir;		/* handles */
	__u64 new_dir;
	__u64 inode;
	__u64 target;		/* 0: the new name does not exist */
	struct zufs_time now;
	__u32 flags;		/* RENAME_* of <linux/fs.h> */
	__u32 old_bytes;
	__u32 new_bytes;
	__u32 xattrs_bytes;	/* with RENAME_WHITEOUT */
};

struct zufs_rename_out {
	struct zufs_attr old_dir;
	struct zufs_attr new_dir;
	struct zufs_attr inode;
	struct zufs_attr target; /* if there was one */
};

/*
 * READDIR. Reply's payload: struct zufs_dirent, one behind the other; with PLUS
 * struct zufs_direntplus.
 */
struct zufs_readdir_in {
	__u64 dir;		/* handle */
	__u64 fh;		/* open file, or 0 */
	__u64 cookie;		/* of the last entry seen; 0: from the start */
	__u32 flags;		/* ZUFS_READDIR_* */
	__u32 reserved;
};

#define ZUFS_READDIR_PLUS		0x1u /* with ZUFS_MF_READDIR_PLUS */

struct zufs_readdir_out {
	__u32 count;
	__u32 eof;		/* 1: no entry follows */
};

/*
 * Without "." and "..", which the kernel makes; its own cookies are 1 and 2,
 * a server's are 3 to 2^63 - 1 and never 0.
 */
struct zufs_dirent {
	__u64 ino;
	__u64 cookie;
	__u32 name_bytes;
	__u32 type;		/* DT_* of <dirent.h> */
	/* the name, padded with NULs to 8 bytes */
};

#define ZUFS_DIRENT_BYTES(name_bytes)	((24u + (name_bytes) + 7u) & ~7u)

/*
 * What LOOKUP of the name would answer, the reference included; handle 0: nothing, who
 * wants to know looks it up. ino and the type in dirent are those of attr.
 */
struct zufs_direntplus {
	struct zufs_entry entry;
	struct zufs_dirent dirent;
	/* the name, as behind any dirent */
};

#define ZUFS_DIRENTPLUS_BYTES(name_bytes)	(144u + ZUFS_DIRENT_BYTES(name_bytes))
#define ZUFS_COOKIE_FIRST		3ull
#define ZUFS_COOKIE_MAX			0x7fffffffffffffffull

/* READLINK. Reply's payload: the target, without NUL. */
struct zufs_readlink_in {
	__u64 inode;		/* handle */
};

/*
 * Extended attributes, with ZUFS_MF_XATTRS: names with their prefix, "user.",
 * "trusted.", "security." or, with ZUFS_MF_ACLS, one of ZUFS_XATTR_ACL_*, whose values
 * are as <linux/posix_acl_xattr.h> has them, ids as the filesystem counts them. Who may
 * do what with them the kernel decides.
 */
#define ZUFS_XATTR_ACL_ACCESS		"system.posix_acl_access"
#define ZUFS_XATTR_ACL_DEFAULT		"system.posix_acl_default"

/* In CREATE's payload. */
struct zufs_xattr {
	__u32 name_bytes;
	__u32 value_bytes;
	/* the name, without NUL, and the value; padded with NULs to 8 bytes */
};

#define ZUFS_XATTR_BYTES(name_bytes, value_bytes) \
	((8u + (name_bytes) + (value_bytes) + 7u) & ~7u)

/*
 * GETXATTR. ENODATA: has none of that name. Out: its size; reply's payload: the value,
 * or with max_bytes 0 nothing. ERANGE: it is longer than max_bytes.
 */
struct zufs_getxattr_in {
	__u64 inode;		/* handle */
	__u32 max_bytes;
	__u32 name_bytes;
	char name[256];
};

struct zufs_getxattr_out {
	__u32 value_bytes;
	__u32 reserved;
};

/* SETXATTR. Payload: the value. Out: struct zufs_attr. ENODATA, EEXIST: by the flags. */
struct zufs_setxattr_in {
	__u64 inode;		/* handle */
	struct zufs_time now;	/* ctime */
	__u32 flags;		/* ZUFS_XATTR_* */
	__u32 mode;		/* with ZUFS_XATTR_MODE: permissions, set along with it */
	__u32 value_bytes;
	__u32 name_bytes;
	char name[256];
};

#define ZUFS_XATTR_CREATE		0x1u /* must not exist */
#define ZUFS_XATTR_REPLACE		0x2u /* must exist */
#define ZUFS_XATTR_REMOVE		0x4u /* there is no value; with REPLACE it must exist */
#define ZUFS_XATTR_MODE			0x8u
#define ZUFS_XATTR_ALL			0xfu

/* LISTXATTR. Reply's payload: the names, each with its NUL. ERANGE: they do not fit. */
struct zufs_listxattr_in {
	__u64 inode;		/* handle */
};

/* OPEN */
struct zufs_open_in {
	__u64 inode;		/* handle */
	__u32 flags;		/* O_* of open(2), without O_CREAT and its like */
	__u32 reserved;
};

struct zufs_open_out {
	__u64 fh;
};

/*
 * MAP: where the bytes of [off, off + len) are. The answer's extents begin at
 * or before off, ascend without gaps, and may end before off + len but cover
 * its first byte. For an inode with ZUFS_ATTR_INLINE, a read is answered with
 * one INLINE extent and its bytes in the payload behind the extents.
 */
struct zufs_map_in {
	__u64 inode;		/* handle */
	__u64 fh;		/* open file, or 0 */
	__u64 off;
	__u64 len_bytes;
	__u64 size_bytes;	/* the kernel's i_size */
	__u32 flags;		/* ZUFS_MAP_* */
	__u32 max_extents;
	__u64 write_id;		/* of a write that has begun: ZUFS_MAP_MORE; or 0 */
};

#define ZUFS_MAP_READ			0x1u
#define ZUFS_MAP_WRITE			0x2u
#define ZUFS_MAP_FAULT			0x4u /* for a page fault */
#define ZUFS_MAP_ZERO			0x8u /* with WRITE: to zero; holes may stay */
/*
 * With ZUFS_MF_COW and WRITE: somebody uses pages of the range and keeps them, so that
 * the bytes stay where they are. What shall be kept of them is to be copied away.
 */
#define ZUFS_MAP_STAY			0x10u
/*
 * With READ: where data and holes are is all that is wanted, for lseek(2) and FIEMAP, in as
 * few answers as may be. len_bytes may exceed ZUFS_MAP_MAX_BYTES; the last extent counts
 * as far as it reaches. A server that said in HELLO that it is older than 1.4 gets READ
 * alone, of at most ZUFS_MAP_MAX_BYTES.
 */
#define ZUFS_MAP_REPORT			0x20u
/*
 * With ZUFS_MF_WHOLE_WRITES. Of MAP, with WRITE: the write(2) goes on behind len_bytes. Of
 * MAP_DONE: more of it follows, so nothing becomes part of the file yet, neither bytes nor
 * size. The id of its first MAP names the write from then on: each later MAP and MAP_DONE
 * has it as write_id, until a MAP_DONE without MORE says that this was all. Then all of it
 * becomes part of the file. A MAP_DONE of it that fails ends it, too: nothing of it counts.
 * Where a write ends early, or its caller dies, that MAP_DONE has the write's id as map_id
 * too, and 0 written_bytes; what came before counts. A later MAP may begin within the block in
 * which the one in front of it ended: its bytes are where that one had it put them. Page
 * faults go on meanwhile, by MAPs of their own. There is at most one such write of an inode.
 */
#define ZUFS_MAP_MORE			0x40u

/*
 * A commit word: a number on a device that the kernel stores when all that it copied by
 * this answer is durable, which makes it part of the file, in one trip. Only with
 * ZUFS_MF_COW, for a map with WRITE but not FAULT, ZERO or STAY, with at least one NEW or
 * COMMIT extent. The server has prepared all that the word makes valid, for a write of
 * the whole of [off, off + len) as far as the extents reach, the file's size among it. With
 * ZUFS_MF_WHOLE_WRITES they reach to its end, and MORE and write_id are 0. A write that
 * copied less does not store the word, and is told by MAP_DONE as without.
 *
 * old: what the word is until then; if it is not, the write fails with EIO. new is
 * another number. 8 bytes, aligned, in the bytes of no extent of the answer. The word is
 * stored in the answer's epoch or not at all. Where it was, the server learns of it by a
 * forced MAP_DONE with ZUFS_FORCED_COMMITTED, not later than after a second, or by a look
 * at the word. Times come by SETATTR, as after writes by leases.
 */
struct zufs_word {
	__u64 dev_off;
	__u64 old_le64;		/* as in memory, little-endian */
	__u64 new_le64;
	__u64 blocks_512;	/* of the inode, once it is stored */
	__u32 dev;
	__u32 reserved;
};

/* Payload: struct zufs_extent[count], then the bytes of an INLINE extent. */
struct zufs_map_out {
	__u64 lease_seq;	/* see struct zufs_recall */
	__u32 count;
	__u32 flags;		/* ZUFS_MAPPED_* */
	__u64 epoch;		/* with ZUFS_MF_EPOCHS, see struct zufs_epoch */
	struct zufs_word word;	/* with ZUFS_MAPPED_WORD */
};

#define ZUFS_MAPPED_WORD		0x1u

/*
 * MAP_DONE: the bytes that were really copied into the extents of a MAP, sent
 * when one of them was NEW or COMMIT or the write ends beyond the file's size.
 * Out: struct zufs_attr, of the inode as it then is.
 */
struct zufs_map_done_in {
	__u64 inode;		/* handle */
	__u64 fh;
	__u64 map_id;		/* id of the MAP request */
	__u64 off;
	__u64 written_bytes;	/* from off; 0: drop the reservation */
	__u64 size_bytes;	/* the file's size if this counts */
	struct zufs_time mtime;	/* and ctime */
	__u32 flags;		/* ZUFS_MAP_* of the MAP; MORE: see there */
	__u32 reserved;
	__u64 write_id;		/* of a write that has begun: ZUFS_MAP_MORE; or 0 */
};

/* WRITE: inline data. Payload: the bytes. */
struct zufs_write_in {
	__u64 inode;		/* handle */
	__u64 fh;
	__u64 off;
	__u64 size_bytes;	/* the kernel's i_size */
	struct zufs_time mtime;
	__u32 len_bytes;
	__u32 reserved;
};

struct zufs_write_out {
	__u64 written_bytes;
	struct zufs_attr attr;
};

/* FSYNC: out nothing. */
struct zufs_fsync_in {
	__u64 inode;		/* handle */
	__u64 fh;
	__u64 off;
	__u64 len_bytes;	/* 0: to the end */
	__u32 datasync;
	__u32 reserved;
};

/*
 * FALLOCATE, as fallocate(2) has it, with ZUFS_MF_FALLOCATE. Nothing of what changes its
 * place or goes is mapped or leased, and the kernel zeroes, by a MAP of its own, what
 * PUNCH_HOLE and ZERO_RANGE name of blocks that they do not cover. The server makes whole
 * blocks: what was not allocated and shall be reads as zero. COLLAPSE_RANGE and
 * INSERT_RANGE come with off and len_bytes in blocks. One change, all or nothing but for
 * EINTR. Out: struct zufs_attr, of size_bytes. EOPNOTSUPP: a mode it does not know.
 */
struct zufs_fallocate_in {
	__u64 inode;		/* handle */
	__u64 fh;		/* open file, or 0 */
	__u64 off;
	__u64 len_bytes;	/* not 0 */
	__u64 size_bytes;	/* of the file, once it is done */
	struct zufs_time now;	/* mtime and ctime */
	__u32 mode;		/* FALLOC_FL_* of <linux/falloc.h> */
	__u32 reserved;
};

/*
 * COPY, with ZUFS_MF_COPY: copy_file_range(2) by the server, of what is in both files as
 * others see it. Nobody else writes to either; blocks of the range in to are neither
 * mapped nor leased, and may become others. The server may copy less, from the start;
 * to is then as long as that needs, and no longer than before else. from and to may be one
 * file, the ranges not overlapping. EOPNOTSUPP, before anything was copied: the kernel
 * does it. Out: struct zufs_copy_out.
 *
 * With ZUFS_MF_CLONE also FICLONERANGE and FIDEDUPERANGE (ioctl_ficlone(2)): to gets from's
 * blocks themselves, by CLONE; or by DEDUPE if what is there is the same now, EBADE if it is
 * not, while bytes, size and times stay. Then blocks of both ranges are neither mapped nor
 * leased, the offsets are in blocks, and so is what is done, unless it is all of len_bytes;
 * a length that is not reaches the end of from, and the end of to or beyond.
 */
struct zufs_copy_in {
	__u64 to;		/* handle */
	__u64 to_fh;		/* open file, or 0 */
	__u64 from;		/* handle */
	__u64 from_fh;
	__u64 to_off;
	__u64 from_off;
	__u64 len_bytes;	/* not 0; from has as many */
	__u64 to_size_bytes;	/* of to, before */
	struct zufs_time now;	/* mtime and ctime of to */
	__u32 flags;		/* ZUFS_COPY_*, at most one */
	__u32 reserved;
};

#define ZUFS_COPY_CLONE			0x1u
#define ZUFS_COPY_DEDUPE		0x2u

struct zufs_copy_out {
	__u64 copied_bytes;	/* not 0 */
	struct zufs_attr attr;	/* of to */
};

/*
 * LOCK, with ZUFS_MF_LOCKS: an advisory lock of a file or directory, for all that use the
 * filesystem from elsewhere; those of this kernel are among them. Locks of FLOCK, whole
 * files, and of POSIX and OFD, ranges, know nothing of each other. What one owner has does
 * not conflict with itself: a SET replaces it in its range, which splits and joins.
 *
 * SET with UNLCK: the owner has nothing of the range any more. With another type it is
 * granted, or answered by EAGAIN, nothing having changed: the server never waits for a lock.
 * With WAIT the caller does: the kernel asks again when INVALIDATE with ZUFS_INVAL_LOCKS names
 * the inode, and after a second; who does not come again has given up. EDEADLK: it would wait
 * for ever; nobody but the server looks for that. ENOLCK: no room. GET: which lock, if any,
 * conflicts with this one, in struct zufs_lock_out, which SET leaves zero.
 *
 * What the end of a file or of a process unlocks comes forced, in BATCH, and so does what was
 * granted to a caller that had been killed, or had run out of time. Before that has been
 * served the kernel asks for no other lock of the inode. So each one is taken back, and none
 * has to be looked for at RELEASE.
 */
struct zufs_lock_in {
	__u64 inode;		/* handle */
	__u64 fh;		/* open file, or 0 */
	__u64 owner;		/* of the lock: to compare, nothing else; ends with its locks */
	__u64 start;
	__u64 end;		/* the last byte, at most ZUFS_LOCK_END */
	__u32 pid;		/* of a process of the owner, in SET */
	__u32 cmd;		/* ZUFS_LOCK_GET, SET */
	__u32 type;		/* ZUFS_LOCK_UNLCK, RDLCK, WRLCK */
	__u32 flags;		/* one of POSIX, OFD and FLOCK; WAIT */
};

#define ZUFS_LOCK_END			0x7fffffffffffffffull /* to the end, however it moves */
#define ZUFS_LOCK_GET			1
#define ZUFS_LOCK_SET			2
#define ZUFS_LOCK_UNLCK			0
#define ZUFS_LOCK_RDLCK			1
#define ZUFS_LOCK_WRLCK			2
#define ZUFS_LOCK_WAIT			0x1u /* SET: the caller waits, and asks again */
#define ZUFS_LOCK_POSIX			0x2u /* of a process, until it closes the file */
#define ZUFS_LOCK_OFD			0x4u /* as POSIX, of an open file */
#define ZUFS_LOCK_FLOCK			0x8u /* flock(2), of an open file; the range is all of it */

struct zufs_lock_out {
	__u64 start;		/* overlaps what was asked for */
	__u64 end;
	__u32 type;		/* UNLCK: no lock conflicts, and the rest is nothing */
	__s32 pid;		/* as SET had it; 0: of no process of this kernel */
	__u32 flags;		/* POSIX or OFD; 0: unknown */
	__u32 reserved;
};

/*
 * IOCTL, with ZUFS_MF_IOCTL: one that neither the VFS nor the kernel module knows. How much
 * goes each way the number says, as _IOC() made it: in the payload what _IOW brings, in the
 * reply's payload what _IOR gets, at most out_bytes. Who may is the server's to decide,
 * by the caller's ids. ENOTTY: it does not know it either.
 */
struct zufs_ioctl_in {
	__u64 inode;		/* handle */
	__u64 fh;		/* open file, or 0 */
	__u32 cmd;
	__u32 in_bytes;
	__u32 out_bytes;
	__u32 flags;		/* ZUFS_IOCTL_* */
};

#define ZUFS_IOCTL_COMPAT		0x1u /* from a 32-bit program */
#define ZUFS_IOCTL_WRITE		0x2u /* the file is open for writing */
#define ZUFS_IOCTL_ADMIN		0x4u /* the caller has CAP_SYS_ADMIN */

struct zufs_ioctl_out {
	__s32 result;		/* of ioctl(2), not negative */
	__u32 reserved;
};

/*
 * IGET: the inode of that number and generation, for a file handle: ESTALE, there is none
 * that has a name. PARENT: of a directory that is not the root. Both answer as LOOKUP.
 */
struct zufs_iget_in {
	__u64 ino;
	__u64 gen;
};

struct zufs_parent_in {
	__u64 dir;		/* handle */
};

/*
 * BATCH: forced messages, which never fail. Payload: struct zufs_forced[count].
 * Out: nothing. In arg: FORGET the number of references given back, RELEASE the
 * fh, INTERRUPT and MAP_DONE the id of the request, LOCK, always an unlock, the owner; its
 * first byte is off, its last size_bytes. Otherwise the fields from off to size_bytes and
 * the operation id belong to MAP_DONE.
 */
struct zufs_batch_in {
	__u32 count;
	__u32 reserved;
};

struct zufs_forced {
	__u64 mount;
	__u64 inode;		/* handle */
	__u64 arg;		/* see below */
	__u64 off;
	__u64 written_bytes;
	__u64 size_bytes;
	__u64 op_seq;
	__u32 op_slot;
	__u16 op;		/* FORGET, RELEASE, INTERRUPT, MAP_DONE, LOCK */
	__u16 flags;		/* ZUFS_FORCED_*; of LOCK ZUFS_LOCK_POSIX, OFD or FLOCK */
};

#define ZUFS_FORCED_COMMITTED		0x1u /* MAP_DONE: the word was stored */
#define ZUFS_FORCED_WRITE_END		0x2u /* MAP_DONE: arg is a write_id, see ZUFS_MAP_MORE */

/* ----------------------------------------------- ioctls of /dev/zuf: server */

#define ZUFS_FEAT_NONE			0ull
#define ZUFS_FEAT_LEASES		0x1ull /* RECALL, and mounts with ZUFS_MF_LEASES */
#define ZUFS_FEAT_EPOCHS		0x2ull /* EPOCH, and mounts with ZUFS_MF_EPOCHS */
#define ZUFS_FEAT_COW			0x4ull /* mounts with ZUFS_MF_COW */
#define ZUFS_FEAT_XATTRS		0x8ull /* mounts with ZUFS_MF_XATTRS and ACLS */
#define ZUFS_FEAT_READDIR_PLUS		0x10ull /* mounts with ZUFS_MF_READDIR_PLUS */
#define ZUFS_FEAT_FILEATTR		0x20ull /* mounts with ZUFS_MF_FILEATTR */
#define ZUFS_FEAT_NAMES			0x40ull /* mounts with ZUFS_MF_TMPFILE and WHITEOUT */
#define ZUFS_FEAT_FALLOCATE		0x80ull /* mounts with ZUFS_MF_FALLOCATE */
#define ZUFS_FEAT_IOCTL			0x100ull /* mounts with ZUFS_MF_IOCTL */
#define ZUFS_FEAT_EXPORT		0x200ull /* mounts with ZUFS_MF_EXPORT */
#define ZUFS_FEAT_INVALIDATE		0x400ull /* INVALIDATE */
#define ZUFS_FEAT_FREEZE		0x800ull /* mounts with ZUFS_MF_FREEZE */
#define ZUFS_FEAT_DURABLE_MAPS		0x1000ull /* mounts with ZUFS_MF_DURABLE_MAPS */
#define ZUFS_FEAT_COPY			0x2000ull /* mounts with ZUFS_MF_COPY */
#define ZUFS_FEAT_CREATE_OPEN		0x4000ull /* mounts with ZUFS_MF_CREATE_OPEN */
#define ZUFS_FEAT_CLONE			0x8000ull /* mounts with ZUFS_MF_CLONE */
#define ZUFS_FEAT_LOCKS			0x10000ull /* mounts with ZUFS_MF_LOCKS */
#define ZUFS_FEAT_WHOLE_WRITES		0x20000ull /* mounts with ZUFS_MF_WHOLE_WRITES */
#define ZUFS_HELLO_TRUSTED		0x1u

struct zufs_hello {
	__u16 major;		/* in: server's; out: kernel's */
	__u16 minor;
	__u32 struct_bytes;	/* in: sizeof of the server */
	__u64 features;		/* in: known; out: in use */
	__u64 server_id;	/* out */
	__u32 page_bytes;	/* out, as all that follows */
	__u32 region_bytes;
	__u32 payload_max_bytes;
	__u32 channels_per_cpu_max;
	__u32 flags;		/* ZUFS_HELLO_* */
	__u32 reserved;
};

struct zufs_register {
	char name[ZUFS_TYPE_NAME_BYTES]; /* for mount -t */
	__u32 flags;		/* ZUFS_REG_* */
	__u32 reserved;
	__u64 reserved2;
};

#define ZUFS_REG_NODEV			0x1u /* has no devices */

struct zufs_new_channel {
	__s32 fd;		/* out */
	__u32 flags;
	__u64 request_off;	/* out: mmap(2) offsets of the regions */
	__u64 reply_off;
};

/* A file that stands for a mount: MAP_DEVICE, ADD_DEVICE, RECALL, EPOCH. */
struct zufs_mount_file {
	__u64 mount;		/* in */
	__s32 fd;		/* out */
	__u32 flags;
};

#define ZUFS_IOC_HELLO		_IOWR('Z', 0x40, struct zufs_hello)
#define ZUFS_IOC_REGISTER	_IOW('Z', 0x41, struct zufs_register)
#define ZUFS_IOC_NEW_CHANNEL	_IOWR('Z', 0x42, struct zufs_new_channel)
#define ZUFS_IOC_STOP		_IO('Z', 0x43)	/* every WAIT returns ESHUTDOWN */
#define ZUFS_IOC_MOUNT_FILE	_IOWR('Z', 0x44, struct zufs_mount_file)

/* ------------------------------------------------------ ioctls of a channel */

/*
 * ATTACH binds the channel to the calling thread and the one CPU that the
 * thread is pinned to. WAIT, from that thread only: with ZUFS_WAIT_REPLY sends
 * the reply that lies in the reply region; then sleeps until a request lies in
 * the request region. EAGAIN: the thread is no longer pinned to its CPU, the
 * reply was taken, the channel rests until the next ATTACH. ESHUTDOWN: stop.
 * EINTR: a signal; the reply was taken, call again without it.
 */
#define ZUFS_IOC_ATTACH		_IO('Z', 0x50)
#define ZUFS_IOC_WAIT		_IO('Z', 0x51)	/* argument: ZUFS_WAIT_* */
#define ZUFS_WAIT_REPLY			1u

/* --------------------------------------------------- ioctls of a mount file */

struct zufs_map_device {
	__u32 dev;		/* in: device id, of tier T1 */
	__u32 flags;
	__u64 mmap_off;		/* out: for mmap(2) of the mount file */
	__u64 size_bytes;	/* out */
};

/* The fd only names a block device; the kernel opens it itself, exclusively. */
struct zufs_add_device {
	__s32 fd;		/* in */
	__u32 flags;
	struct zufs_device device; /* out */
};

/*
 * RECALL: take leases back. Queued; returns at once. When no use of them is left
 * in the kernel, neither a copy nor a mapped page, and what was stored through
 * mappings has been flushed, read(2) of the mount file gives a zufs_recall_done
 * with the cookie. That may take as long as somebody keeps a page pinned: until
 * then the server must not use the blocks for anything else, nor let an operation
 * wait for it that the kernel needs to get there.
 *
 * Each answer to MAP carries a lease_seq, which rises by inode and which the
 * server takes no later than it looks at its map. A RECALL carries one, too,
 * taken when the map could no more be answered as it was: it ends what was
 * answered up to it, and an answer that is under way with a lower or the same
 * number is neither kept nor used. seq 0: all that was asked for so far.
 *
 * Extents that are NEW or COMMIT are not touched: they are the caller's until
 * its MAP_DONE. With DOWNGRADE leases remain, for reading. With TRY it does not wait
 * for pinned pages longer than direct I/O takes: EBUSY in zufs_recall_done, the
 * blocks are in use as before, and the server answers MAP as before. A server that
 * holds MAPs of the range back until the end must try: who has pinned the first page
 * of a buffer may be waiting for the map of the second. The range is widened
 * to blocks, and where 2 MiB are mapped as one it ends them as a whole; they are
 * mapped as one again when all of them were recalled. EBUSY: too many are under
 * way. ENXIO: the mount has ended.
 */
struct zufs_recall {
	__u64 ino;		/* 0: every inode of the mount */
	__u64 gen;
	__u64 off;
	__u64 len_bytes;	/* 0: to the end */
	__u64 seq;		/* 0: everything; always so with ino 0 */
	__u64 cookie;		/* comes back */
	__u32 flags;		/* ZUFS_RECALL_* */
	__u32 reserved;
};

#define ZUFS_RECALL_DOWNGRADE		0x1u
#define ZUFS_RECALL_TRY			0x2u

/*
 * EPOCH: begin a mount's next write epoch, so that what the blocks hold at one moment
 * can be kept. A mount's first epoch is 1, each EPOCH names the one that follows the
 * last one asked for. Queued, one at a time, told of by read(2) like a RECALL. While
 * it runs new writes and write faults wait, copies that have begun end, and what is
 * mapped for writing is flushed and write-protected. Then the new epoch is published.
 * When read(2) tells of it all of that has happened.
 *
 * Each answer to MAP carries the epoch in which the server gave it; the server
 * takes that number before it looks at its map, and goes on to the next one
 * when it has been told, in its own time. An answer, and a LEASE_W, is good for
 * writing only while its epoch is the mount's: in a later one the kernel asks
 * again before it writes a byte, be it by a copy, by zeroing or through a mapping;
 * a lease is then still good for reading. So from the moment the server is told, until
 * it answers a MAP in the new epoch, no byte of what it handed out before changes,
 * but for what follows.
 *
 * Extents that are NEW are not part of the file before their MAP_DONE, so they belong
 * to no epoch: the caller may fill them across one, and what MAP_DONE publishes
 * belongs to the epoch in which the server gets it. A COMMIT extent that is not NEW is
 * written in its answer's epoch only; its MAP_DONE may come in the next one, and tells
 * what was written before that began, or 0 bytes. Pages that are pinned for writing (the
 * target of direct I/O of another file) are stored to by whom the kernel cannot stop.
 *
 * A server that answers a write by another place than that which older leases or
 * mappings of the range have recalls the range first. The kernel begins no epoch
 * sooner than 10 ms after the last one. EINVAL: not the next epoch. EOPNOTSUPP: no
 * ZUFS_MF_EPOCHS. EBUSY, ENXIO: as for RECALL.
 */
struct zufs_epoch {
	__u64 epoch;
	__u64 cookie;		/* comes back */
	__u32 flags;		/* none yet */
	__u32 reserved;
};

/*
 * INVALIDATE: what changed otherwise than by an operation of this kernel. It is queued;
 * the kernel then forgets what is named here, one after the other as they were queued,
 * and waits for no operation that is with the server: the server may ask for it in the
 * midst of one, of the same inode too, and must not wait for its end there.
 *
 * From the end on nobody is shown what was known before. (A name that an operation of
 * this kernel was making or moving at that time, and whose answer came before, is
 * forgotten as that operation ends.) The change number of attributes must have risen.
 * Where bytes or their places changed, a RECALL of them is wanted besides.
 *
 * What is not in the kernel's memory is no error. EOPNOTSUPP: no ZUFS_FEAT_INVALIDATE.
 * EINVAL: a bad name, or flags. EBUSY, ENXIO: as for RECALL.
 */
struct zufs_invalidate {
	__u64 cookie;		/* comes back; 0: the end is not told */
	__u64 ino;
	__u64 gen;
	__u64 child_ino;	/* of an event of a name: whose it is, or was; 0: unknown */
	__u64 child_gen;
	__u32 flags;		/* ZUFS_INVAL_* */
	__u32 event;		/* ZUFS_EVENT_*, told to inotify and fanotify; or 0 */
	__u32 event_cookie;	/* the same in MOVED_FROM and MOVED_TO; else 0 */
	__u32 name_bytes;	/* with NAME, and only then */
	char name[256];		/* without NUL */
	__u64 reserved;
};

#define ZUFS_INVAL_ATTR			0x1u /* attributes with size, xattrs, ACLs */
#define ZUFS_INVAL_NAME			0x2u /* the name in directory ino, or its absence */
#define ZUFS_INVAL_INODE		0x4u /* ATTR, and all names that lead to ino */
#define ZUFS_INVAL_ISDIR		0x8u /* for the event: of a directory */
#define ZUFS_INVAL_LOCKS		0x10u /* a lock went: who waits for one of ino asks again */

#define ZUFS_EVENT_CREATE		1	/* the first four with NAME */
#define ZUFS_EVENT_DELETE		2
#define ZUFS_EVENT_MOVED_FROM		3
#define ZUFS_EVENT_MOVED_TO		4
#define ZUFS_EVENT_MODIFY		5
#define ZUFS_EVENT_ATTRIB		6

/*
 * The end of a RECALL, EPOCH or INVALIDATE. err: EIO, stores through mappings may be
 * lost; EBUSY, a RECALL with TRY found a page that stays pinned; ENXIO, an EPOCH was not
 * begun, as the mount ends.
 */
struct zufs_recall_done {
	__u64 cookie;
	__s32 err;		/* see below */
	__u32 reserved;
};

#define ZUFS_IOC_MAP_DEVICE	_IOWR('Z', 0x58, struct zufs_map_device)
#define ZUFS_IOC_ADD_DEVICE	_IOWR('Z', 0x59, struct zufs_add_device)
#define ZUFS_IOC_RECALL		_IOW('Z', 0x5a, struct zufs_recall)
#define ZUFS_IOC_EPOCH		_IOW('Z', 0x5b, struct zufs_epoch)
#define ZUFS_IOC_INVALIDATE	_IOW('Z', 0x5c, struct zufs_invalidate)

/* --------------------------------------- ioctls of any regular file of zufs */

/* One round through the server and back: ZUFS_OP_NOP. */
#define ZUFS_IOC_NOP		_IOWR('Z', 0x60, struct zufs_nop)

/* ------------------------------------------------------------------ layout */

#define ZUFS_SIZE(s, n) \
	static_assert(sizeof(struct s) == (n), "size of " #s)
#define ZUFS_OFF(s, f, n) \
	static_assert(__builtin_offsetof(struct s, f) == (n), #s "." #f)

ZUFS_SIZE(zufs_req_hdr, 64);
ZUFS_OFF(zufs_req_hdr, op, 4);
ZUFS_OFF(zufs_req_hdr, flags, 6);
ZUFS_OFF(zufs_req_hdr, id, 8);
ZUFS_OFF(zufs_req_hdr, mount, 16);
ZUFS_OFF(zufs_req_hdr, op_seq, 24);
ZUFS_OFF(zufs_req_hdr, op_slot, 32);
ZUFS_OFF(zufs_req_hdr, payload_bytes, 36);
ZUFS_OFF(zufs_req_hdr, reply_max_bytes, 40);
ZUFS_OFF(zufs_req_hdr, uid, 44);
ZUFS_OFF(zufs_req_hdr, gid, 48);
ZUFS_OFF(zufs_req_hdr, pid, 52);
ZUFS_OFF(zufs_req_hdr, interrupted, 56);
ZUFS_OFF(zufs_req_hdr, reserved, 60);
ZUFS_SIZE(zufs_reply_hdr, 32);
ZUFS_OFF(zufs_reply_hdr, err, 4);
ZUFS_OFF(zufs_reply_hdr, id, 8);
ZUFS_OFF(zufs_reply_hdr, flags, 16);
ZUFS_OFF(zufs_reply_hdr, payload_bytes, 20);
ZUFS_OFF(zufs_reply_hdr, reserved, 24);
ZUFS_SIZE(zufs_time, 16);
ZUFS_OFF(zufs_time, nsec, 8);
ZUFS_OFF(zufs_time, reserved, 12);
ZUFS_SIZE(zufs_attr, 136);
ZUFS_OFF(zufs_attr, gen, 8);
ZUFS_OFF(zufs_attr, size_bytes, 16);
ZUFS_OFF(zufs_attr, blocks_512, 24);
ZUFS_OFF(zufs_attr, change, 32);
ZUFS_OFF(zufs_attr, atime, 40);
ZUFS_OFF(zufs_attr, mtime, 56);
ZUFS_OFF(zufs_attr, ctime, 72);
ZUFS_OFF(zufs_attr, btime, 88);
ZUFS_OFF(zufs_attr, mode, 104);
ZUFS_OFF(zufs_attr, nlink, 108);
ZUFS_OFF(zufs_attr, uid, 112);
ZUFS_OFF(zufs_attr, gid, 116);
ZUFS_OFF(zufs_attr, rdev_major, 120);
ZUFS_OFF(zufs_attr, rdev_minor, 124);
ZUFS_OFF(zufs_attr, flags, 128);
ZUFS_OFF(zufs_attr, projid, 132);
ZUFS_SIZE(zufs_entry, 144);
ZUFS_OFF(zufs_entry, attr, 8);
ZUFS_SIZE(zufs_extent, 32);
ZUFS_OFF(zufs_extent, len_bytes, 8);
ZUFS_OFF(zufs_extent, dev_off, 16);
ZUFS_OFF(zufs_extent, dev, 24);
ZUFS_OFF(zufs_extent, type, 28);
ZUFS_OFF(zufs_extent, flags, 30);
ZUFS_SIZE(zufs_nop, 8);
ZUFS_SIZE(zufs_device, 56);
ZUFS_OFF(zufs_device, size_bytes, 16);
ZUFS_OFF(zufs_device, data_off, 24);
ZUFS_OFF(zufs_device, pmd_phase_bytes, 32);
ZUFS_OFF(zufs_device, id, 40);
ZUFS_OFF(zufs_device, tier, 44);
ZUFS_OFF(zufs_device, numa_node, 48);
ZUFS_OFF(zufs_device, flags, 52);
ZUFS_SIZE(zufs_mount_in, 40);
ZUFS_OFF(zufs_mount_in, fs_uuid, 8);
ZUFS_OFF(zufs_mount_in, num_devices, 24);
ZUFS_OFF(zufs_mount_in, options_bytes, 28);
ZUFS_OFF(zufs_mount_in, flags, 32);
ZUFS_OFF(zufs_mount_in, num_slots, 36);
ZUFS_SIZE(zufs_mount_out, 176);
ZUFS_OFF(zufs_mount_out, features, 144);
ZUFS_OFF(zufs_mount_out, max_file_bytes, 152);
ZUFS_OFF(zufs_mount_out, time_gran_ns, 160);
ZUFS_OFF(zufs_mount_out, name_max, 164);
ZUFS_OFF(zufs_mount_out, magic, 168);
ZUFS_OFF(zufs_mount_out, reserved, 172);
ZUFS_SIZE(zufs_remount_in, 8);
ZUFS_OFF(zufs_remount_in, options_bytes, 4);
ZUFS_SIZE(zufs_statfs_out, 48);
ZUFS_OFF(zufs_statfs_out, blocks_free, 8);
ZUFS_OFF(zufs_statfs_out, blocks_avail, 16);
ZUFS_OFF(zufs_statfs_out, files, 24);
ZUFS_OFF(zufs_statfs_out, files_free, 32);
ZUFS_OFF(zufs_statfs_out, block_bytes, 40);
ZUFS_OFF(zufs_statfs_out, name_max, 44);
ZUFS_SIZE(zufs_syncfs_in, 8);
ZUFS_OFF(zufs_syncfs_in, reserved, 4);
ZUFS_SIZE(zufs_freeze_in, 8);
ZUFS_OFF(zufs_freeze_in, reserved, 4);
ZUFS_SIZE(zufs_lookup_in, 16);
ZUFS_OFF(zufs_lookup_in, name_bytes, 8);
ZUFS_OFF(zufs_lookup_in, reserved, 12);
ZUFS_SIZE(zufs_getattr_in, 24);
ZUFS_OFF(zufs_getattr_in, fh, 8);
ZUFS_OFF(zufs_getattr_in, mask, 16);
ZUFS_OFF(zufs_getattr_in, reserved, 20);
ZUFS_SIZE(zufs_setattr_in, 96);
ZUFS_OFF(zufs_setattr_in, fh, 8);
ZUFS_OFF(zufs_setattr_in, size_bytes, 16);
ZUFS_OFF(zufs_setattr_in, atime, 24);
ZUFS_OFF(zufs_setattr_in, mtime, 40);
ZUFS_OFF(zufs_setattr_in, ctime, 56);
ZUFS_OFF(zufs_setattr_in, valid, 72);
ZUFS_OFF(zufs_setattr_in, mode, 76);
ZUFS_OFF(zufs_setattr_in, uid, 80);
ZUFS_OFF(zufs_setattr_in, gid, 84);
ZUFS_OFF(zufs_setattr_in, flags, 88);
ZUFS_OFF(zufs_setattr_in, projid, 92);
ZUFS_SIZE(zufs_create_in, 56);
ZUFS_OFF(zufs_create_in, now, 8);
ZUFS_OFF(zufs_create_in, mode, 24);
ZUFS_OFF(zufs_create_in, uid, 28);
ZUFS_OFF(zufs_create_in, gid, 32);
ZUFS_OFF(zufs_create_in, rdev_major, 36);
ZUFS_OFF(zufs_create_in, rdev_minor, 40);
ZUFS_OFF(zufs_create_in, name_bytes, 44);
ZUFS_OFF(zufs_create_in, target_bytes, 48);
ZUFS_OFF(zufs_create_in, xattrs_bytes, 52);
ZUFS_SIZE(zufs_create_out, 280);
ZUFS_OFF(zufs_create_out, dir, 144);
ZUFS_SIZE(zufs_create_open_in, 64);
ZUFS_OFF(zufs_create_open_in, open_flags, 56);
ZUFS_OFF(zufs_create_open_in, reserved, 60);
ZUFS_SIZE(zufs_create_open_out, 296);
ZUFS_OFF(zufs_create_open_out, fh, 280);
ZUFS_OFF(zufs_create_open_out, created, 288);
ZUFS_OFF(zufs_create_open_out, reserved, 292);
ZUFS_SIZE(zufs_link_in, 40);
ZUFS_OFF(zufs_link_in, dir, 8);
ZUFS_OFF(zufs_link_in, now, 16);
ZUFS_OFF(zufs_link_in, name_bytes, 32);
ZUFS_OFF(zufs_link_in, reserved, 36);
ZUFS_SIZE(zufs_unlink_in, 40);
ZUFS_OFF(zufs_unlink_in, inode, 8);
ZUFS_OFF(zufs_unlink_in, now, 16);
ZUFS_OFF(zufs_unlink_in, name_bytes, 32);
ZUFS_OFF(zufs_unlink_in, reserved, 36);
ZUFS_SIZE(zufs_link_out, 272);
ZUFS_OFF(zufs_link_out, dir, 136);
ZUFS_SIZE(zufs_rename_in, 64);
ZUFS_OFF(zufs_rename_in, new_dir, 8);
ZUFS_OFF(zufs_rename_in, inode, 16);
ZUFS_OFF(zufs_rename_in, target, 24);
ZUFS_OFF(zufs_rename_in, now, 32);
ZUFS_OFF(zufs_rename_in, flags, 48);
ZUFS_OFF(zufs_rename_in, old_bytes, 52);
ZUFS_OFF(zufs_rename_in, new_bytes, 56);
ZUFS_OFF(zufs_rename_in, xattrs_bytes, 60);
ZUFS_SIZE(zufs_rename_out, 544);
ZUFS_OFF(zufs_rename_out, new_dir, 136);
ZUFS_OFF(zufs_rename_out, inode, 272);
ZUFS_OFF(zufs_rename_out, target, 408);
ZUFS_SIZE(zufs_readdir_in, 32);
ZUFS_OFF(zufs_readdir_in, fh, 8);
ZUFS_OFF(zufs_readdir_in, cookie, 16);
ZUFS_OFF(zufs_readdir_in, flags, 24);
ZUFS_OFF(zufs_readdir_in, reserved, 28);
ZUFS_SIZE(zufs_readdir_out, 8);
ZUFS_OFF(zufs_readdir_out, eof, 4);
ZUFS_SIZE(zufs_dirent, 24);
ZUFS_OFF(zufs_dirent, cookie, 8);
ZUFS_OFF(zufs_dirent, name_bytes, 16);
ZUFS_OFF(zufs_dirent, type, 20);
ZUFS_SIZE(zufs_direntplus, 168);
ZUFS_OFF(zufs_direntplus, dirent, 144);
ZUFS_SIZE(zufs_readlink_in, 8);
ZUFS_SIZE(zufs_xattr, 8);
ZUFS_OFF(zufs_xattr, value_bytes, 4);
ZUFS_SIZE(zufs_getxattr_in, 272);
ZUFS_OFF(zufs_getxattr_in, max_bytes, 8);
ZUFS_OFF(zufs_getxattr_in, name_bytes, 12);
ZUFS_OFF(zufs_getxattr_in, name, 16);
ZUFS_SIZE(zufs_getxattr_out, 8);
ZUFS_OFF(zufs_getxattr_out, reserved, 4);
ZUFS_SIZE(zufs_setxattr_in, 296);
ZUFS_OFF(zufs_setxattr_in, now, 8);
ZUFS_OFF(zufs_setxattr_in, flags, 24);
ZUFS_OFF(zufs_setxattr_in, mode, 28);
ZUFS_OFF(zufs_setxattr_in, value_bytes, 32);
ZUFS_OFF(zufs_setxattr_in, name_bytes, 36);
ZUFS_OFF(zufs_setxattr_in, name, 40);
ZUFS_SIZE(zufs_listxattr_in, 8);
ZUFS_SIZE(zufs_open_in, 16);
ZUFS_OFF(zufs_open_in, flags, 8);
ZUFS_OFF(zufs_open_in, reserved, 12);
ZUFS_SIZE(zufs_open_out, 8);
ZUFS_SIZE(zufs_map_in, 56);
ZUFS_OFF(zufs_map_in, fh, 8);
ZUFS_OFF(zufs_map_in, off, 16);
ZUFS_OFF(zufs_map_in, len_bytes, 24);
ZUFS_OFF(zufs_map_in, size_bytes, 32);
ZUFS_OFF(zufs_map_in, flags, 40);
ZUFS_OFF(zufs_map_in, max_extents, 44);
ZUFS_OFF(zufs_map_in, write_id, 48);
ZUFS_SIZE(zufs_word, 40);
ZUFS_OFF(zufs_word, old_le64, 8);
ZUFS_OFF(zufs_word, new_le64, 16);
ZUFS_OFF(zufs_word, blocks_512, 24);
ZUFS_OFF(zufs_word, dev, 32);
ZUFS_SIZE(zufs_map_out, 64);
ZUFS_OFF(zufs_map_out, word, 24);
ZUFS_OFF(zufs_map_out, count, 8);
ZUFS_OFF(zufs_map_out, flags, 12);
ZUFS_OFF(zufs_map_out, epoch, 16);
ZUFS_SIZE(zufs_map_done_in, 80);
ZUFS_OFF(zufs_map_done_in, fh, 8);
ZUFS_OFF(zufs_map_done_in, map_id, 16);
ZUFS_OFF(zufs_map_done_in, off, 24);
ZUFS_OFF(zufs_map_done_in, written_bytes, 32);
ZUFS_OFF(zufs_map_done_in, size_bytes, 40);
ZUFS_OFF(zufs_map_done_in, mtime, 48);
ZUFS_OFF(zufs_map_done_in, flags, 64);
ZUFS_OFF(zufs_map_done_in, reserved, 68);
ZUFS_OFF(zufs_map_done_in, write_id, 72);
ZUFS_SIZE(zufs_write_in, 56);
ZUFS_OFF(zufs_write_in, fh, 8);
ZUFS_OFF(zufs_write_in, off, 16);
ZUFS_OFF(zufs_write_in, size_bytes, 24);
ZUFS_OFF(zufs_write_in, mtime, 32);
ZUFS_OFF(zufs_write_in, len_bytes, 48);
ZUFS_OFF(zufs_write_in, reserved, 52);
ZUFS_SIZE(zufs_write_out, 144);
ZUFS_OFF(zufs_write_out, attr, 8);
ZUFS_SIZE(zufs_fsync_in, 40);
ZUFS_OFF(zufs_fsync_in, fh, 8);
ZUFS_OFF(zufs_fsync_in, off, 16);
ZUFS_OFF(zufs_fsync_in, len_bytes, 24);
ZUFS_OFF(zufs_fsync_in, datasync, 32);
ZUFS_OFF(zufs_fsync_in, reserved, 36);
ZUFS_SIZE(zufs_fallocate_in, 64);
ZUFS_OFF(zufs_fallocate_in, fh, 8);
ZUFS_OFF(zufs_fallocate_in, off, 16);
ZUFS_OFF(zufs_fallocate_in, len_bytes, 24);
ZUFS_OFF(zufs_fallocate_in, size_bytes, 32);
ZUFS_OFF(zufs_fallocate_in, now, 40);
ZUFS_OFF(zufs_fallocate_in, mode, 56);
ZUFS_OFF(zufs_fallocate_in, reserved, 60);
ZUFS_SIZE(zufs_copy_in, 88);
ZUFS_OFF(zufs_copy_in, to_fh, 8);
ZUFS_OFF(zufs_copy_in, from, 16);
ZUFS_OFF(zufs_copy_in, from_fh, 24);
ZUFS_OFF(zufs_copy_in, to_off, 32);
ZUFS_OFF(zufs_copy_in, from_off, 40);
ZUFS_OFF(zufs_copy_in, len_bytes, 48);
ZUFS_OFF(zufs_copy_in, to_size_bytes, 56);
ZUFS_OFF(zufs_copy_in, now, 64);
ZUFS_OFF(zufs_copy_in, flags, 80);
ZUFS_OFF(zufs_copy_in, reserved, 84);
ZUFS_SIZE(zufs_copy_out, 144);
ZUFS_OFF(zufs_copy_out, attr, 8);
ZUFS_SIZE(zufs_lock_in, 56);
ZUFS_OFF(zufs_lock_in, fh, 8);
ZUFS_OFF(zufs_lock_in, owner, 16);
ZUFS_OFF(zufs_lock_in, start, 24);
ZUFS_OFF(zufs_lock_in, end, 32);
ZUFS_OFF(zufs_lock_in, pid, 40);
ZUFS_OFF(zufs_lock_in, cmd, 44);
ZUFS_OFF(zufs_lock_in, type, 48);
ZUFS_OFF(zufs_lock_in, flags, 52);
ZUFS_SIZE(zufs_lock_out, 32);
ZUFS_OFF(zufs_lock_out, end, 8);
ZUFS_OFF(zufs_lock_out, type, 16);
ZUFS_OFF(zufs_lock_out, pid, 20);
ZUFS_OFF(zufs_lock_out, flags, 24);
ZUFS_OFF(zufs_lock_out, reserved, 28);
ZUFS_SIZE(zufs_ioctl_in, 32);
ZUFS_OFF(zufs_ioctl_in, fh, 8);
ZUFS_OFF(zufs_ioctl_in, cmd, 16);
ZUFS_OFF(zufs_ioctl_in, in_bytes, 20);
ZUFS_OFF(zufs_ioctl_in, out_bytes, 24);
ZUFS_OFF(zufs_ioctl_in, flags, 28);
ZUFS_SIZE(zufs_ioctl_out, 8);
ZUFS_OFF(zufs_ioctl_out, reserved, 4);
ZUFS_SIZE(zufs_iget_in, 16);
ZUFS_OFF(zufs_iget_in, gen, 8);
ZUFS_SIZE(zufs_parent_in, 8);
ZUFS_SIZE(zufs_batch_in, 8);
ZUFS_OFF(zufs_batch_in, reserved, 4);
ZUFS_SIZE(zufs_forced, 64);
ZUFS_OFF(zufs_forced, inode, 8);
ZUFS_OFF(zufs_forced, arg, 16);
ZUFS_OFF(zufs_forced, off, 24);
ZUFS_OFF(zufs_forced, written_bytes, 32);
ZUFS_OFF(zufs_forced, size_bytes, 40);
ZUFS_OFF(zufs_forced, op_seq, 48);
ZUFS_OFF(zufs_forced, op_slot, 56);
ZUFS_OFF(zufs_forced, op, 60);
ZUFS_OFF(zufs_forced, flags, 62);
ZUFS_SIZE(zufs_hello, 48);
ZUFS_OFF(zufs_hello, minor, 2);
ZUFS_OFF(zufs_hello, struct_bytes, 4);
ZUFS_OFF(zufs_hello, features, 8);
ZUFS_OFF(zufs_hello, server_id, 16);
ZUFS_OFF(zufs_hello, page_bytes, 24);
ZUFS_OFF(zufs_hello, region_bytes, 28);
ZUFS_OFF(zufs_hello, payload_max_bytes, 32);
ZUFS_OFF(zufs_hello, channels_per_cpu_max, 36);
ZUFS_OFF(zufs_hello, flags, 40);
ZUFS_OFF(zufs_hello, reserved, 44);
ZUFS_SIZE(zufs_register, 48);
ZUFS_OFF(zufs_register, flags, 32);
ZUFS_OFF(zufs_register, reserved, 36);
ZUFS_OFF(zufs_register, reserved2, 40);
ZUFS_SIZE(zufs_new_channel, 24);
ZUFS_OFF(zufs_new_channel, flags, 4);
ZUFS_OFF(zufs_new_channel, request_off, 8);
ZUFS_OFF(zufs_new_channel, reply_off, 16);
ZUFS_SIZE(zufs_mount_file, 16);
ZUFS_OFF(zufs_mount_file, fd, 8);
ZUFS_OFF(zufs_mount_file, flags, 12);
ZUFS_SIZE(zufs_map_device, 24);
ZUFS_OFF(zufs_map_device, flags, 4);
ZUFS_OFF(zufs_map_device, mmap_off, 8);
ZUFS_OFF(zufs_map_device, size_bytes, 16);
ZUFS_SIZE(zufs_add_device, 64);
ZUFS_OFF(zufs_add_device, flags, 4);
ZUFS_OFF(zufs_add_device, device, 8);
ZUFS_SIZE(zufs_recall, 56);
ZUFS_OFF(zufs_recall, gen, 8);
ZUFS_OFF(zufs_recall, off, 16);
ZUFS_OFF(zufs_recall, len_bytes, 24);
ZUFS_OFF(zufs_recall, seq, 32);
ZUFS_OFF(zufs_recall, cookie, 40);
ZUFS_OFF(zufs_recall, flags, 48);
ZUFS_OFF(zufs_recall, reserved, 52);
ZUFS_SIZE(zufs_epoch, 24);
ZUFS_OFF(zufs_epoch, cookie, 8);
ZUFS_OFF(zufs_epoch, flags, 16);
ZUFS_OFF(zufs_epoch, reserved, 20);
ZUFS_SIZE(zufs_invalidate, 320);
ZUFS_OFF(zufs_invalidate, ino, 8);
ZUFS_OFF(zufs_invalidate, gen, 16);
ZUFS_OFF(zufs_invalidate, child_ino, 24);
ZUFS_OFF(zufs_invalidate, child_gen, 32);
ZUFS_OFF(zufs_invalidate, flags, 40);
ZUFS_OFF(zufs_invalidate, event, 44);
ZUFS_OFF(zufs_invalidate, event_cookie, 48);
ZUFS_OFF(zufs_invalidate, name_bytes, 52);
ZUFS_OFF(zufs_invalidate, name, 56);
ZUFS_OFF(zufs_invalidate, reserved, 312);
ZUFS_SIZE(zufs_recall_done, 16);
ZUFS_OFF(zufs_recall_done, err, 8);
ZUFS_OFF(zufs_recall_done, reserved, 12);

#undef ZUFS_SIZE
#undef ZUFS_OFF

#endif /* ZUS_API_H */
