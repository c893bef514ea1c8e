// SPDX-License-Identifier: GPL-2.0
/* chattr(1) and project ids: FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR and their like. */
#include <linux/fs.h>
#include <linux/fileattr.h>
#include <linux/stat.h>

#include "zuf.h"

static const struct {
	u32 attr;		/* ZUFS_ATTR_* */
	u32 fs;			/* FS_*_FL */
	unsigned int inode;	/* S_*, 0: the VFS has no use for it */
} flag_names[] = {
	{ ZUFS_ATTR_IMMUTABLE, FS_IMMUTABLE_FL, S_IMMUTABLE },
	{ ZUFS_ATTR_APPEND, FS_APPEND_FL, S_APPEND },
	{ ZUFS_ATTR_NODUMP, FS_NODUMP_FL, 0 },
	{ ZUFS_ATTR_NOATIME, FS_NOATIME_FL, S_NOATIME },
	{ ZUFS_ATTR_SYNC, FS_SYNC_FL, S_SYNC },
	{ ZUFS_ATTR_DIRSYNC, FS_DIRSYNC_FL, S_DIRSYNC },
	{ ZUFS_ATTR_PROJINHERIT, FS_PROJINHERIT_FL, 0 },
};

static bool has_flags(const struct inode *inode)
{
	return zuf_mount_of(inode->i_sb)->features & ZUFS_MF_FILEATTR;
}

void zuf_fileattr_apply(struct inode *inode, const struct zufs_attr *attr)
{
	unsigned int mask = 0, set = 0, i;

	lockdep_assert_held(&inode->i_lock);
	if (!has_flags(inode))
		return;
	for (i = 0; i < ARRAY_SIZE(flag_names); i++) {
		mask |= flag_names[i].inode;
		if (attr->flags & flag_names[i].attr)
			set |= flag_names[i].inode;
	}
	inode_set_flags(inode, set, mask);
	zuf_i(inode)->attr_flags = attr->flags & ZUFS_ATTR_SETTABLE;
	zuf_i(inode)->projid = attr->projid;
}

int zuf_fileattr_get(struct dentry *dentry, struct fileattr *fa)
{
	struct inode *inode = d_inode(dentry);
	struct zuf_inode *zi = zuf_i(inode);
	unsigned int i;
	u32 fs = 0;

	if (!has_flags(inode))
		return -ENOTTY;
	spin_lock(&inode->i_lock);
	for (i = 0; i < ARRAY_SIZE(flag_names); i++)
		if (zi->attr_flags & flag_names[i].attr)
			fs |= flag_names[i].fs;
	fileattr_fill_flags(fa, fs);
	fa->fsx_projid = zi->projid;
	spin_unlock(&inode->i_lock);
	return 0;
}

/* The VFS holds i_rwsem and has decided that the caller may. */
int zuf_fileattr_set(ZUF_IDMAP *idmap, struct dentry *dentry, struct fileattr *fa)
{
	struct inode *inode = d_inode(dentry);
	struct zufs_setattr_in in = {
		.valid	= ZUFS_SET_FLAGS | ZUFS_SET_PROJID,
		.projid	= fa->fsx_projid,
	};
	u32 fs = fa->flags;
	unsigned int i;

	if (!has_flags(inode))
		return -ENOTTY;
	if (fa->fsx_xflags & ~FS_XFLAG_COMMON || fa->fsx_extsize || fa->fsx_cowextsize)
		return -EOPNOTSUPP;
	for (i = 0; i < ARRAY_SIZE(flag_names); i++) {
		if (fs & flag_names[i].fs)
			in.flags |= flag_names[i].attr;
		fs &= ~flag_names[i].fs;
	}
	if (fs)
		return -EOPNOTSUPP;
	if (!S_ISDIR(inode->i_mode) && in.flags & (ZUFS_ATTR_DIRSYNC | ZUFS_ATTR_PROJINHERIT))
		return -EINVAL;
	return zuf_setattr_send(inode, &in);
}

void zuf_fileattr_stat(struct inode *inode, struct kstat *stat)
{
	if (!has_flags(inode))
		return;
	generic_fill_statx_attr(inode, stat);
	stat->attributes_mask |= STATX_ATTR_NODUMP;
	if (READ_ONCE(zuf_i(inode)->attr_flags) & ZUFS_ATTR_NODUMP)
		stat->attributes |= STATX_ATTR_NODUMP;
}
