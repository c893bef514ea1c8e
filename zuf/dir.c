// SPDX-License-Identifier: GPL-2.0
/*
 * Reading directories. Positions 0 and 1 are "." and "..", made here; 2 is the
 * begin of the server's entries, and from ZUFS_COOKIE_FIRST on a position is
 * the server's cookie of the entry before it.
 */
#include <linux/dcache.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "zuf.h"

#define READDIR_BYTES		32768u	/* as much as the C library takes at once */
#define READDIR_PLUS_BYTES	ZUFS_PAYLOAD_MAX_BYTES

static_assert(READDIR_BYTES <= READDIR_PLUS_BYTES);
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

static bool is_plus(const struct zuf_call *call)
{
	const struct zufs_readdir_in *in = call->in;

	return in->flags & ZUFS_READDIR_PLUS;
}

/* The dirent that begins at @pos, behind its entry with @plus; it has been checked. */
static const struct zufs_dirent *dirent_in(const void *buf, u32 pos, bool plus)
{
	return buf + pos + (plus ? sizeof(struct zufs_entry) : 0);
}

static u32 dirent_bytes(const struct zufs_dirent *de, bool plus)
{
	return plus ? ZUFS_DIRENTPLUS_BYTES(de->name_bytes) : ZUFS_DIRENT_BYTES(de->name_bytes);
}

/* The same, if it lies inside; *@next: behind it. */
static const struct zufs_dirent *dirent_at(const void *buf, u32 bytes, u32 pos, bool plus,
					   u32 *next)
{
	const struct zufs_dirent *de = dirent_in(buf, pos, plus);

	if (bytes - pos < (void *)(de + 1) - (buf + pos) || !de->name_bytes ||
	    de->name_bytes > ZUFS_NAME_MAX || dirent_bytes(de, plus) > bytes - pos)
		return NULL;
	*next = pos + dirent_bytes(de, plus);
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

static enum zuf_rule plus_check(const struct zuf_reply *reply, const struct zufs_dirent *de)
{
	const struct zufs_direntplus *plus = container_of(de, struct zufs_direntplus, dirent);

	if (!plus->entry.handle)
		return ZUF_RULE_OK;
	if (plus->entry.attr.ino != de->ino)
		return ZUF_RULE_INO;
	if (plus->entry.attr.mode >> 12 != de->type)
		return ZUF_RULE_TYPE;
	return zuf_check_entry(reply->mount, &plus->entry, reply->call->inode[0]);
}

/* Has @cookie been given before @end? All before has been checked. */
static bool cookie_seen(const void *buf, u32 end, bool plus, u64 cookie)
{
	const struct zufs_dirent *de;
	u32 pos = 0;

	while (pos < end) {
		de = dirent_in(buf, pos, plus);
		if (de->cookie == cookie)
			return true;
		pos += dirent_bytes(de, plus);
	}
	return false;
}

/*
 * Cookies need not ascend, but none may come twice, or a reader could be sent
 * round in circles by one reply. While they do ascend that is certain.
 */
static enum zuf_rule cookies_check(const struct zuf_reply *reply, u32 end)
{
	const struct zufs_readdir_in *in = reply->call->in;
	bool plus = is_plus(reply->call);
	const struct zufs_dirent *de;
	u64 highest = in->cookie;
	u32 pos = 0;

	while (pos < end) {
		de = dirent_in(reply->buf, pos, plus);
		if (de->cookie == in->cookie)
			return ZUF_RULE_COOKIE;
		if (de->cookie <= highest && cookie_seen(reply->buf, pos, plus, de->cookie))
			return ZUF_RULE_COOKIE;
		highest = max(highest, de->cookie);
		pos += dirent_bytes(de, plus);
	}
	return ZUF_RULE_OK;
}

enum zuf_rule zuf_check_readdir(const struct zuf_reply *reply)
{
	const struct zufs_readdir_out *out = reply->out;
	const struct zufs_dirent *de;
	enum zuf_rule rule;
	u32 pos = 0, i;
	bool plus;

	if (out->eof > 1 || (!out->count && !out->eof))
		return ZUF_RULE_SIZE;
	if (!reply->call)
		return ZUF_RULE_OK;	/* an orphan's: zuf_undo_readdir() */
	plus = is_plus(reply->call);
	for (i = 0; i < out->count; i++) {
		de = dirent_at(reply->buf, reply->buf_bytes, pos, plus, &pos);
		if (!de)
			return ZUF_RULE_SIZE;
		rule = dirent_check(de);
		if (!rule && plus)
			rule = plus_check(reply, de);
		if (rule)
			return rule;
	}
	if (pos != reply->buf_bytes)
		return ZUF_RULE_SIZE;
	return cookies_check(reply, pos);
}

/*
 * Nobody reads this answer: its references go back. The region is the server's, who may
 * write to it meanwhile: then it has lost count, and no one else.
 */
void zuf_undo_readdir(struct zuf_mount *mount, const void *in, const void *payload, u32 bytes)
{
	const struct zufs_readdir_in *readdir = in;
	struct zufs_direntplus de;
	u32 pos = 0;

	while (readdir->flags & ZUFS_READDIR_PLUS && bytes - pos >= sizeof(de)) {
		memcpy(&de, payload + pos, sizeof(de));
		if (!de.dirent.name_bytes || de.dirent.name_bytes > ZUFS_NAME_MAX ||
		    ZUFS_DIRENTPLUS_BYTES(de.dirent.name_bytes) > bytes - pos)
			break;
		if (de.entry.handle)
			zuf_forget_handle(mount, de.entry.handle);
		pos += ZUFS_DIRENTPLUS_BYTES(de.dirent.name_bytes);
	}
}

/* --------------------------------------------------------------------- plus */

/*
 * Attributes cost the server and our memory something, so they are asked for where they
 * are wanted: of the first names, and of more once somebody has looked at those.
 */
static bool want_plus(struct inode *dir, u64 cookie)
{
	struct zuf_inode *zi = zuf_i(dir);

	if (!(zuf_mount_of(dir->i_sb)->features & ZUFS_MF_READDIR_PLUS))
		return false;
	return test_and_clear_bit(ZUF_I_WANT_PLUS, &zi->flags) || !cookie;
}

void zuf_prefetched_used(struct inode *inode, struct dentry *dentry)
{
	struct dentry *parent;

	if (!test_and_clear_bit(ZUF_I_PREFETCHED, &zuf_i(inode)->flags))
		return;
	parent = dget_parent(dentry);
	set_bit(ZUF_I_WANT_PLUS, &zuf_i(d_inode(parent))->flags);
	dput(parent);
}

/* Before the server was asked: zuf_inval_seq(), zuf_names_seq(). */
struct plus_seq {
	u32 inodes;
	u32 names;
};

/* As if it had been looked up; i_rwsem of the directory keeps its names as they are. */
static void plus_link(struct dentry *parent, const struct zufs_direntplus *de,
		      const struct plus_seq *seq)
{
	struct super_block *sb = parent->d_sb;
	struct qstr name = QSTR_INIT((const char *)(de + 1), de->dirent.name_bytes);
	DECLARE_WAIT_QUEUE_HEAD_ONSTACK(wq);
	struct dentry *dentry, *alias;
	struct inode *inode;

	name.hash = full_name_hash(parent, name.name, name.len);
	dentry = d_lookup(parent, &name);
	if (!dentry)
		dentry = d_alloc_parallel(parent, &name, &wq);
	if (IS_ERR(dentry) || !d_in_lookup(dentry)) {
		/* it is known, or there is no memory for it */
		zuf_forget_handle(zuf_mount_of(sb), de->entry.handle);
		if (!IS_ERR(dentry))
			dput(dentry);
		return;
	}
	inode = zuf_iget(sb, &de->entry, seq->inodes);
	if (!IS_ERR(inode)) {
		set_bit(ZUF_I_PREFETCHED, &zuf_i(inode)->flags);
		alias = zuf_splice(inode, dentry, ZUFS_OP_READDIR);
		if (!IS_ERR(alias))
			zuf_names_check(d_inode(parent), alias ?: dentry, seq->names);
		if (!IS_ERR_OR_NULL(alias))
			dput(alias);
	}
	d_lookup_done(dentry);
	dput(dentry);
}

static void plus_link_all(struct dentry *parent, const void *buf, u32 count,
			  const struct plus_seq *seq)
{
	const struct zufs_direntplus *de;
	u32 pos = 0;

	while (count--) {
		de = buf + pos;
		if (de->entry.handle)
			plus_link(parent, de, seq);
		pos += dirent_bytes(&de->dirent, true);
	}
}

/* --------------------------------------------------------------------- read */

/* false: the reader's buffer is full. */
static bool readdir_emit(struct dir_context *ctx, const void *buf, u32 count, bool plus)
{
	const struct zufs_dirent *de;
	u32 pos = 0;

	while (count--) {
		de = dirent_in(buf, pos, plus);
		if (!dir_emit(ctx, (const char *)(de + 1), de->name_bytes, de->ino, de->type))
			return false;
		ctx->pos = de->cookie;
		pos += dirent_bytes(de, plus);
	}
	return true;
}

static int readdir_send(struct file *file, u64 cookie, bool plus, void *buf,
			struct zufs_readdir_out *out)
{
	struct inode *dir = file_inode(file);
	struct zufs_readdir_in in = {
		.dir	= zuf_i(dir)->handle,
		.fh	= zuf_fh(file),
		.cookie	= cookie,
		.flags	= plus ? ZUFS_READDIR_PLUS : 0,
	};
	struct zuf_call call = {
		.mount		= zuf_mount_of(dir->i_sb),
		.op		= ZUFS_OP_READDIR,
		.in		= &in,
		.out		= out,
		.reply_buf	= buf,
		.reply_max	= plus ? READDIR_PLUS_BYTES : READDIR_BYTES,
		.inode		= { dir },
	};

	return zuf_call_retry(&call);
}

/* One answer; *@more: there is room for another. */
static int readdir_step(struct file *file, struct dir_context *ctx, void *buf, bool *more)
{
	u64 cookie = ctx->pos < ZUFS_COOKIE_FIRST ? 0 : ctx->pos;
	bool plus = want_plus(file_inode(file), cookie);
	const struct plus_seq seq = {
		.inodes	= zuf_inval_seq(file_inode(file)->i_sb),
		.names	= zuf_names_seq(file_inode(file)),
	};
	struct zufs_readdir_out out;
	int err;

	err = readdir_send(file, cookie, plus, buf, &out);
	if (err)
		return err;
	if (plus)
		plus_link_all(file_dentry(file), buf, out.count, &seq);
	/* with attributes the reader goes on first: what he does says what he wants */
	*more = readdir_emit(ctx, buf, out.count, plus) && !out.eof && !plus;
	return 0;
}

static int zuf_readdir(struct file *file, struct dir_context *ctx)
{
	struct inode *dir = file_inode(file);
	void *buf;
	bool more;
	int err;

	err = zuf_data_begin(dir);
	if (err)
		return err;
	if (!dir_emit_dots(file, ctx))
		return 0;
	buf = kvmalloc(zuf_mount_of(dir->i_sb)->features & ZUFS_MF_READDIR_PLUS ?
		       READDIR_PLUS_BYTES : READDIR_BYTES, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	do {
		if (fatal_signal_pending(current))
			err = -EINTR;
		else
			err = readdir_step(file, ctx, buf, &more);
	} while (!err && more);
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

/* Both tables but for the locks. */
#define DIR_FOPS					\
	.open		= zuf_open,			\
	.release	= zuf_release,			\
	.iterate_shared	= zuf_readdir,			\
	.llseek		= zuf_dir_llseek,		\
	.read		= generic_read_dir,		\
	.fsync		= zuf_dir_fsync,		\
	.unlocked_ioctl	= zuf_ioctl,			\
	.compat_ioctl	= compat_ptr_ioctl

const struct file_operations zuf_dir_fops = { DIR_FOPS };
const struct file_operations zuf_dir_lock_fops = {
	DIR_FOPS,
	.lock		= zuf_lock,
	.flock		= zuf_flock,
};
