// SPDX-License-Identifier: GPL-2.0
/* ioctl(2): what zuf knows itself, and what it only passes on. */
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "zuf.h"

enum zuf_rule zuf_check_ioctl(const struct zuf_reply *reply)
{
	const struct zufs_ioctl_out *out = reply->out;
	const struct zufs_ioctl_in *in = reply->call ? reply->call->in : NULL;

	if (out->result < 0 || (in && reply->buf_bytes != in->out_bytes))
		return ZUF_RULE_SIZE;
	return ZUF_RULE_OK;
}

static long ioctl_nop(struct inode *inode, struct zufs_nop __user *arg)
{
	struct zufs_nop in, out;
	struct zuf_call call = {
		.mount	= zuf_mount_of(inode->i_sb),
		.op	= ZUFS_OP_NOP,
		.in	= &in,
		.out	= &out,
	};
	int err;

	if (copy_from_user(&in, arg, sizeof(in)))
		return -EFAULT;
	err = zuf_call(&call);
	if (err)
		return err;
	return copy_to_user(arg, &out, sizeof(out)) ? -EFAULT : 0;
}

static u32 pass_flags(const struct file *file)
{
	return (file->f_mode & FMODE_WRITE ? ZUFS_IOCTL_WRITE : 0) |
	       (capable(CAP_SYS_ADMIN) ? ZUFS_IOCTL_ADMIN : 0) |
	       (in_compat_syscall() ? ZUFS_IOCTL_COMPAT : 0);
}

/* The number says how much goes which way: at most 16 KiB. */
static long ioctl_pass(struct file *file, unsigned int cmd, void __user *arg)
{
	struct inode *inode = file_inode(file);
	u32 bytes = _IOC_SIZE(cmd);
	struct zufs_ioctl_in in = {
		.inode		= zuf_i(inode)->handle,
		.fh		= zuf_fh(file),
		.cmd		= cmd,
		.in_bytes	= _IOC_DIR(cmd) & _IOC_WRITE ? bytes : 0,
		.out_bytes	= _IOC_DIR(cmd) & _IOC_READ ? bytes : 0,
		.flags		= pass_flags(file),
	};
	struct zufs_ioctl_out out;
	struct zuf_call call = {
		.mount		= zuf_mount_of(inode->i_sb),
		.op		= ZUFS_OP_IOCTL,
		.in		= &in,
		.out		= &out,
		.reply_max	= in.out_bytes,
		.inode		= { inode },
	};
	void *buf;
	int err;

	if (!(call.mount->features & ZUFS_MF_IOCTL))
		return -ENOTTY;
	err = zuf_data_begin(inode);
	if (err)
		return err;
	buf = kvzalloc(bytes ?: 1, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	err = -EFAULT;
	if (copy_from_user(buf, arg, in.in_bytes))
		goto out_free;
	call.seg[0] = (struct kvec) { buf, in.in_bytes };
	call.num_segs = 1;
	call.reply_buf = buf;
	err = zuf_call_retry(&call);
	if (!err && copy_to_user(arg, buf, in.out_bytes))
		err = -EFAULT;
out_free:
	kvfree(buf);
	return err ?: out.result;
}

/* As if the device had gone away; what was answered before is as durable as it was. */
static long ioctl_shutdown(struct super_block *sb, const u32 __user *arg)
{
	u32 how;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (get_user(how, arg))
		return -EFAULT;
	if (how > ZUF_SHUTDOWN_NOFLUSH)
		return -EINVAL;
	if (how != ZUF_SHUTDOWN_NOFLUSH) {
		down_read(&sb->s_umount);
		sync_filesystem(sb);
		up_read(&sb->s_umount);
	}
	zuf_mount_shut(zuf_mount_of(sb));
	return 0;
}

long zuf_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *to = (void __user *)arg;

	switch (cmd) {
	case ZUFS_IOC_NOP:
		return ioctl_nop(file_inode(file), to);
	case ZUF_IOC_SHUTDOWN:
		return ioctl_shutdown(file_inode(file)->i_sb, to);
	default:
		return ioctl_pass(file, cmd, to);
	}
}
