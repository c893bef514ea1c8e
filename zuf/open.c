// SPDX-License-Identifier: GPL-2.0
/*
 * Open files. OPEN and RELEASE go to the server only where the plugin asked for
 * them; RELEASE is a forced message, since a dying task closes files too.
 */
#include <linux/slab.h>

#include "zuf.h"

static void file_free(struct zuf_forced_msg *msg)
{
	kfree(container_of(msg, struct zuf_file, release));
}

static int open_send(struct inode *inode, struct file *file, struct zuf_file *zf)
{
	struct zufs_open_in in = {
		.inode	= zuf_i(inode)->handle,
		.flags	= file->f_flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC),
	};
	struct zufs_open_out out;
	struct zuf_call call = {
		.mount	= zuf_mount_of(inode->i_sb),
		.op	= ZUFS_OP_OPEN,
		.in	= &in,
		.out	= &out,
		.inode	= { inode },
	};
	int err = zuf_call_retry(&call);

	if (err)
		return err;
	zf->fh = out.fh;
	return 0;
}

struct zuf_file *zuf_file_alloc(void)
{
	struct zuf_file *zf = kzalloc(sizeof(*zf), GFP_KERNEL_ACCOUNT);

	if (zf)
		zf->release.free = file_free;
	return zf;
}

static int open_begin(struct inode *inode, struct file *file)
{
	int err;

	if (unlikely(test_bit(ZUF_I_BAD, &zuf_i(inode)->flags) ||
		     READ_ONCE(zuf_mount_of(inode->i_sb)->shut)))
		return -EIO;
	err = generic_file_open(inode, file);
	if (err)
		return err;
	/* neither DAX nor inline data goes through the page cache anyway */
	if (S_ISREG(inode->i_mode))
		file->f_mode |= FMODE_CAN_ODIRECT;
	if (IS_DAX(inode) && zuf_leases_on(inode))
		file->f_mode |= ZUF_FMODE_NOWAIT;
	return 0;
}

int zuf_open(struct inode *inode, struct file *file)
{
	struct zuf_file *zf;
	int err = open_begin(inode, file);

	if (err || !(zuf_mount_of(inode->i_sb)->features & ZUFS_MF_OPEN))
		return err;
	zf = zuf_file_alloc();
	if (!zf)
		return -ENOMEM;
	err = open_send(inode, file, zf);
	if (err) {
		kfree(zf);
		return err;
	}
	file->private_data = zf;
	return 0;
}

int zuf_open_created(struct inode *inode, struct file *file)
{
	return open_begin(inode, file);
}

static void release_queue(struct zuf_mount *mount, u64 handle, struct zuf_forced_msg *msg, u64 fh)
{
	msg->wire.op = ZUFS_OP_RELEASE;
	msg->wire.inode = handle;
	msg->wire.arg = fh;
	zuf_forced_queue(mount, msg);
}

void zuf_file_release(struct zuf_mount *mount, u64 handle, struct zuf_file *zf)
{
	release_queue(mount, handle, &zf->release, zf->fh);
}

int zuf_release(struct inode *inode, struct file *file)
{
	struct zuf_file *zf = file->private_data;

	zuf_point(ZUF_POINT_RELEASE, current);
	zuf_times_closed(inode, file);
	if (zf) {
		file->private_data = NULL;
		zuf_file_release(zuf_mount_of(inode->i_sb), zuf_i(inode)->handle, zf);
	}
	return 0;
}

/* In a worker: the file that nobody holds is closed again. */
void zuf_undo_open(struct zuf_orphan *orphan, const void *out)
{
	const struct zufs_open_out *open = out;

	release_queue(orphan->mount, zuf_i(orphan->inode[0])->handle,
		      zuf_forced_alloc(GFP_KERNEL | __GFP_NOFAIL), open->fh);
}

/* The same of one that was made; its name stays, the answer's reference goes back after. */
void zuf_undo_create_open(struct zuf_orphan *orphan, const void *out)
{
	const struct zufs_create_open_out *create = out;

	if (create->created && orphan->mount->features & ZUFS_MF_OPEN)
		release_queue(orphan->mount, create->create.entry.handle,
			      zuf_forced_alloc(GFP_KERNEL | __GFP_NOFAIL), create->fh);
	zuf_undo_create(orphan, &create->create);
}
