// SPDX-License-Identifier: BSD-3-Clause
/*
 * ops.c - which request is served by whom. What is missing the kernel does by itself, or
 * it is in lacks.c; access is not asked for, as the kernel decides by modes and ACLs.
 */
#include "ops.h"

const struct fuse_lowlevel_ops zf_ops = {
	.init = zf_init,
	.lookup = zf_lookup,
	.forget = zf_forget,
	.forget_multi = zf_forget_multi,
	.getattr = zf_getattr,
	.setattr = zf_setattr,
	.readlink = zf_readlink,
	.mknod = zf_mknod,
	.mkdir = zf_mkdir,
	.unlink = zf_unlink,
	.rmdir = zf_rmdir,
	.symlink = zf_symlink,
	.rename = zf_rename,
	.link = zf_link,
	.open = zf_open,
	.create = zf_create,
	.read = zf_read,
	.write = zf_write,
	.flush = zf_flush,
	.release = zf_release,
	.fsync = zf_fsync,
	.opendir = zf_open,
	.readdir = zf_readdir,
	.readdirplus = zf_readdirplus,
	.releasedir = zf_release,
	.fsyncdir = zf_fsync,
	.statfs = zf_statfs,
	.setxattr = zf_setxattr,
	.getxattr = zf_getxattr,
	.listxattr = zf_listxattr,
	.removexattr = zf_removexattr,
	.getlk = zf_getlk,
	.setlk = zf_setlk,
	.flock = zf_flock,
	.ioctl = zf_ioctl,
	.fallocate = zf_fallocate,
	.lseek = zf_lseek,
	.copy_file_range = zf_copy,
};
