// SPDX-License-Identifier: GPL-2.0
/*
 * Reading directories. Positions 0 and 1 are "." and "..", made here; 2 is the
 * begin of the server's entries, and from ZUFS_COOKIE_FIRST on a position is
 * the server's cookie of the entry before it.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "zuf.h"

#define READDIR_BYTES		32768u	/* as much as the C library takes at once */

static_assert(READDIR_BYTES <= ZUFS_PAYLOAD_MAX_BYTES);
static_assert(ZUFS_COOKIE_FIRST == 3);

/* ------------------------------------------------------------------- checks */

static bool dirent_type_ok(u32 type)
{
	switch (type) {
	case DT_UNKNOWN:
	case DT_FIFO:
	case DT_CHR:
	case DT_DIR:
	case DT_BLK:
	case DT_REG:
	case DT_LNK:
	case DT_SOCK:
		return true;
	}
	return false;
}

/* The dirent at @pos, if it lies inside; *@next: behind it. */
static const struct zufs_dirent *dirent_at(const void *buf, u32 bytes, u32 pos, u32 *next)
{
	const struct zufs_dirent *de = buf + pos;

	if (bytes - pos < sizeof(*de) || !de->name_bytes || de->name_bytes > ZUFS_NAME_MAX ||
	    ZUFS_DIRENT_BYTES(de->name_bytes) > bytes - pos)
		return NULL;
	*next = pos + ZUFS_DIRENT_BYTES(de->name_bytes);
	return de;
}

static enum zuf_rule dirent_check(const struct zufs_dirent *de)
{
	if (!zuf_name_ok((const char *)(de + 1), de->name_bytes))
		return ZUF_RULE_NAME;
	if (!de->ino)
		return ZUF_RULE_INO;
	if (!dirent_type_ok(de->type))
		return ZUF_RULE_TYPE;
	if (de->cookie < ZUFS_COOKIE_FIRST || de->cookie > ZUFS_COOKIE_MAX)
		return ZUF_RULE_COOKIE;
	return ZUF_RULE_OK;
}

/* Has @cookie been given before @end? All before has been checked. */
static bool cookie_seen(const void *buf, u32 end, u64 cookie)
{
	const struct zufs_dirent *de;
	u32 pos = 0;

	while (pos < end) {
		de = buf + pos;
		if (de->cookie == cookie)
			return true;
		pos += ZUFS_DIRENT_BYTES(de->name_bytes);
	}
	return false;
}

/*
 * Cookies need not ascend, but none may come twice, or a reader could be sent
 * round in circles by one reply. While they do ascend that is certain.
 */
static enum zuf_rule cookies_check(const struct zuf_reply *reply, u32 end)
{
	const struct zufs_readdir_in *in = reply->call ? reply->call->in : NULL;
	u64 highest = in ? in->cookie : 0;
	const struct zufs_dirent *de;
	u32 pos = 0;

	while (pos < end) {
		de = reply->buf + pos;
		if (in && de->cookie == in->cookie)
			return ZUF_RULE_COOKIE;
		if (de->cookie <= highest && cookie_seen(reply->buf, pos, de->cookie))
			return ZUF_RULE_COOKIE;
		highest = max(highest, de->cookie);
		pos += ZUFS_DIRENT_BYTES(de->name_bytes);
	}
	return ZUF_RULE_OK;
}

enum zuf_rule zuf_check_readdir(const struct zuf_reply *reply)
{
	const struct zufs_readdir_out *out = reply->out;
	const struct zufs_dirent *de;
	enum zuf_rule rule;
	u32 pos = 0, i;

	if (out->eof > 1 || (!out->count && !out->eof))
		return ZUF_RULE_SIZE;
	for (i = 0; i < out->count; i++) {
		de = dirent_at(reply->buf, reply->buf_bytes, pos, &pos);
		if (!de)
			return ZUF_RULE_SIZE;
		rule = dirent_check(de);
		if (rule)
			return rule;
	}
	if (pos != reply->buf_bytes)
		return ZUF_RULE_SIZE;
	return cookies_check(reply, pos);
}

/* --------------------------------------------------------------------- read */

/* false: the reader's buffer is full. */
static bool readdir_emit(struct dir_context *ctx, const void *buf, u32 count)
{
	const struct zufs_dirent *de;
	u32 pos = 0;

	while (count--) {
		de = buf + pos;
		if (!dir_emit(ctx, (const char *)(de + 1), de->name_bytes, de->ino, de->type))
			return false;
		ctx->pos = de->cookie;
		pos += ZUFS_DIRENT_BYTES(de->name_bytes);
	}
	return true;
}

static int readdir_send(struct file *file, u64 cookie, void *buf, struct zufs_readdir_out *out)
{
	struct inode *dir = file_inode(file);
	struct zufs_readdir_in in = {
		.dir	= zuf_i(dir)->handle,
		.fh	= zuf_fh(file),
		.cookie	= cookie,
	};
	struct zuf_call call = {
		.mount		= zuf_mount_of(dir->i_sb),
		.op		= ZUFS_OP_READDIR,
		.in		= &in,
		.out		= out,
		.reply_buf	= buf,
		.reply_max	= READDIR_BYTES,
		.inode		= { dir },
	};

	return zuf_call_retry(&call);
}

static int zuf_readdir(struct file *file, struct dir_context *ctx)
{
	struct zufs_readdir_out out;
	void *buf;
	int err;

	err = zuf_data_begin(file_inode(file));
	if (err)
		return err;
	if (!dir_emit_dots(file, ctx))
		return 0;
	buf = kvmalloc(READDIR_BYTES, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	do {
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		err = readdir_send(file, ctx->pos < ZUFS_COOKIE_FIRST ? 0 : ctx->pos, buf, &out);
	} while (!err && readdir_emit(ctx, buf, out.count) && !out.eof);
	kvfree(buf);
	return err;
}

static loff_t zuf_dir_llseek(struct file *file, loff_t off, int whence)
{
	return generic_file_llseek_size(file, off, whence, ZUFS_COOKIE_MAX,
					i_size_read(file_inode(file)));
}

/* Names are as durable as the plugin made them with its answer. */
static int zuf_dir_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct inode *dir = file_inode(file);
	struct zufs_fsync_in in = {
		.inode		= zuf_i(dir)->handle,
		.fh		= zuf_fh(file),
		.datasync	= !!datasync,
	};
	struct zuf_call call = {
		.mount	= zuf_mount_of(dir->i_sb),
		.op	= ZUFS_OP_FSYNC,
		.in	= &in,
		.inode	= { dir },
	};
	int err = datasync ? 0 : zuf_sync_times(dir, 0);

	if (err || !(call.mount->features & ZUFS_MF_FSYNC))
		return err;
	return zuf_call_retry(&call);
}

const struct file_operations zuf_dir_fops = {
	.open		= zuf_open,
	.release	= zuf_release,
	.iterate_shared	= zuf_readdir,
	.llseek		= zuf_dir_llseek,
	.read		= generic_read_dir,
	.fsync		= zuf_dir_fsync,
	.unlocked_ioctl	= zuf_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};
