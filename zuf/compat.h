/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels that zuf builds for, 6.1 to 6.12. The rest
 * of the module is written for the newest form; older kernels get it here.
 * probe.sh decides by the headers, not by version numbers.
 */
#ifndef ZUF_COMPAT_H
#define ZUF_COMPAT_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "zuf needs Linux 6.1 or newer"
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0) && !defined(ZUF_UNTESTED_KERNEL)
#error "zuf is tested up to Linux 6.12; build with ZUF_UNTESTED_KERNEL=1 to try"
#endif

/* 6.3: inode operations take an idmap instead of a user namespace. */
#ifdef ZUF_HAVE_MNT_IDMAP
#define ZUF_IDMAP		struct mnt_idmap
#define ZUF_NOP_IDMAP		(&nop_mnt_idmap)
#else
#define ZUF_IDMAP		struct user_namespace
#define ZUF_NOP_IDMAP		(&init_user_ns)
#endif

/* 6.6: generic_fillattr() takes the request mask. */
#ifndef ZUF_HAVE_FILLATTR_MASK
#define generic_fillattr(idmap, mask, inode, stat) generic_fillattr(idmap, inode, stat)
#endif

/* 6.7: i_atime and i_mtime have accessors. */
#ifndef ZUF_HAVE_MTIME_ACCESSORS
static inline struct timespec64 inode_get_atime(const struct inode *inode)
{
	return inode->i_atime;
}

static inline struct timespec64 inode_get_mtime(const struct inode *inode)
{
	return inode->i_mtime;
}

static inline struct timespec64 inode_set_atime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode->i_atime = ts;
	return ts;
}

static inline struct timespec64 inode_set_mtime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode->i_mtime = ts;
	return ts;
}
#endif

/* 6.9: a superblock's uuid may have another length. */
#ifndef ZUF_HAVE_SUPER_SET_UUID
static inline void super_set_uuid(struct super_block *sb, const u8 *uuid, unsigned int len)
{
	memcpy(&sb->s_uuid, uuid, min_t(size_t, len, sizeof(sb->s_uuid)));
}
#endif

/* 6.3: vm_flags is written by accessors. */
#ifndef ZUF_HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#endif /* ZUF_COMPAT_H */
