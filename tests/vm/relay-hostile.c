// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a reply that breaks a rule fails its operation with EIO, is counted under
 *	the rule's name, and does no harm: the names are then as the server has
 *	them, and other files work on.
 * TIMEOUT: 60
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "rawserver.h"
#include "vmtest.h"

#define MNT	"mnt"

static struct rs *rs;
static uint64_t mount_id;
static int known_fd;		/* keeps an inode in the kernel's memory */

/* What a row works on; each row has objects of its own. */
struct subject {
	char file[32], link[32], dir[32], in_dir[48], fresh[32];
	int fd;
};

struct row {
	const char *name;
	unsigned int op;
	rs_hook mutate;
	const char *rule;	/* NULL: legal */
	int (*prepare)(struct subject *s);	/* before the server is told */
	int (*act)(struct subject *s);		/* 0 or -errno */
	int (*after)(struct subject *s);	/* 0: names are right */
	int want;		/* 0: -EIO with a rule, 0 without */
};

/* ------------------------------------------------------------- what callers do */

static int ret(int r)
{
	return r < 0 ? -errno : 0;
}

static int do_stat(struct subject *s)
{
	struct stat st;

	return ret(stat(s->file, &st));
}

static int do_getattr(struct subject *s)
{
	struct statx stx;

	return ret(statx(AT_FDCWD, s->file, AT_STATX_FORCE_SYNC, STATX_ALL, &stx));
}

static int do_chmod(struct subject *s)
{
	return ret(chmod(s->file, 0600));
}

static int do_truncate(struct subject *s)
{
	return ret(truncate(s->file, 100));
}

static int do_create(struct subject *s)
{
	int fd = open(s->fresh, O_CREAT | O_EXCL | O_RDWR, 0644);

	if (fd >= 0)
		close(fd);
	return ret(fd);
}

static int do_mkdir(struct subject *s)
{
	return ret(mkdir(s->fresh, 0755));
}

static int do_mknod(struct subject *s)
{
	return ret(mknod(s->fresh, S_IFCHR | 0600, makedev(1, 3)));
}

static int do_symlink(struct subject *s)
{
	return ret(symlink("somewhere", s->fresh));
}

static int do_link(struct subject *s)
{
	return ret(link(s->file, s->fresh));
}

static int do_unlink(struct subject *s)
{
	return ret(unlink(s->file));
}

static int do_rmdir(struct subject *s)
{
	return ret(rmdir(s->dir));
}

static int do_rename(struct subject *s)
{
	return ret(rename(s->file, s->fresh));
}

static int do_rename_over(struct subject *s)
{
	return ret(rename(s->fresh, s->file));
}

static int do_readdir(struct subject *s)
{
	char buf[4096];
	int fd = open(s->dir, O_RDONLY | O_DIRECTORY), r;

	if (fd < 0)
		return -errno;
	/* behind the dots: a call that returns them forgets the error after them */
	r = lseek(fd, 2, SEEK_SET) < 0 ? -errno :
	    ret((int)syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	close(fd);
	return r;
}

static int do_readlink(struct subject *s)
{
	char buf[PATH_MAX];

	return ret((int)readlink(s->link, buf, sizeof(buf)));
}

static int do_open(struct subject *s)
{
	int fd = open(s->file, O_RDWR);

	if (fd >= 0)
		close(fd);
	return ret(fd);
}

static int do_read(struct subject *s)
{
	char buf[4096];

	return ret((int)pread(s->fd, buf, sizeof(buf), 100));
}

static int do_write(struct subject *s)
{
	return ret((int)pwrite(s->fd, "hostile", 7, 100));
}

static int do_statfs(struct subject *s)
{
	struct statfs st;

	(void)s;
	return ret(statfs(MNT, &st));
}

static int do_fsync(struct subject *s)
{
	return ret(fsync(s->fd));
}

static int do_syncfs(struct subject *s)
{
	return ret(syncfs(s->fd));
}

static int do_nop(struct subject *s)
{
	return vt_nop(s->fd, 77);
}

static int do_remount(struct subject *s)
{
	(void)s;
	return ret(mount(NULL, MNT, NULL, MS_REMOUNT, NULL));
}

static int do_lookup_in_dir(struct subject *s)
{
	struct stat st;

	return ret(stat(s->in_dir, &st));
}

static int do_in_subdir(struct subject *s)
{
	char path[80];
	struct stat st;

	snprintf(path, sizeof(path), "%s/below", s->in_dir);
	return ret(stat(path, &st));
}

/* ------------------------------------------------------------------- and before */

static int pre_stat(struct subject *s)
{
	return do_stat(s);
}

static int pre_open(struct subject *s)
{
	s->fd = open(s->file, O_RDWR);
	return ret(s->fd);
}

static int pre_fresh(struct subject *s)
{
	int err = do_stat(s);

	return err ? err : do_create(s);
}

static int pre_subdir(struct subject *s)
{
	return ret(mkdir(s->in_dir, 0755));
}

static int pre_dir(struct subject *s)
{
	struct stat st;

	return ret(stat(s->dir, &st));
}

/* -------------------------------------------------------------------- and after */

static int there(const char *path)
{
	struct stat st;

	return ret(lstat(path, &st));
}

static int gone(const char *path)
{
	int err = there(path);

	return err == -ENOENT ? 0 : err ? err : -EEXIST;
}

static int post_file(struct subject *s)
{
	return there(s->file);
}

static int post_fresh(struct subject *s)
{
	return there(s->fresh);
}

static int post_unlinked(struct subject *s)
{
	return gone(s->file);
}

static int post_no_dir(struct subject *s)
{
	return gone(s->dir);
}

static int post_renamed(struct subject *s)
{
	int err = gone(s->file);

	return err ? err : there(s->fresh);
}

static int post_renamed_over(struct subject *s)
{
	int err = gone(s->fresh);

	return err ? err : there(s->file);
}

/* -------------------------------------------------------------------- mutations */

#define MUTATION(n) static enum rs_next n(struct rs_channel *ch, struct rf_msg *m)
#define MUTATE(n, type, statement)						\
	MUTATION(n)								\
	{									\
		type *out = m->out;						\
										\
		(void)ch;							\
		(void)out;							\
		statement;							\
		return RS_REPLY;						\
	}

MUTATE(id_other, void, m->reply->id ^= 1ull << 40)
MUTATE(id_before, void, m->reply->id--)
MUTATE(err_positive, void, m->reply->err = 5)
MUTATE(err_512, void, m->reply->err = -512)
MUTATE(err_4095, void, m->reply->err = -4095)
MUTATE(err_min, void, m->reply->err = INT_MIN)
MUTATE(err_511, void, m->reply->err = -511)
MUTATE(fixed_large, void, m->reply->fixed_bytes = ZUFS_PAYLOAD_OFF - ZUFS_FIXED_OFF + 1)
MUTATE(fixed_huge, void, m->reply->fixed_bytes = UINT_MAX)
MUTATE(fixed_none, void, m->reply->fixed_bytes = 0)
MUTATE(fixed_tail, void, m->reply->fixed_bytes += 64)
MUTATE(payload_large, void, m->reply->payload_bytes = ZUFS_PAYLOAD_MAX_BYTES + 1)
MUTATE(payload_huge, void, m->reply->payload_bytes = UINT_MAX)
MUTATE(payload_unasked, void, m->reply->payload_bytes = m->req->reply_max_bytes + 1)

MUTATE(entry_handle_0, struct zufs_entry, out->handle = 0)
MUTATE(entry_ino_0, struct zufs_entry, out->attr.ino = 0)
MUTATE(entry_no_type, struct zufs_entry, out->attr.mode = 0644)
MUTATE(entry_bad_type, struct zufs_entry, out->attr.mode = 0170644)
MUTATE(entry_mode_high, struct zufs_entry, out->attr.mode |= 1u << 20)
MUTATE(entry_nlink_0, struct zufs_entry, out->attr.nlink = 0)
MUTATE(entry_nlink_high, struct zufs_entry, out->attr.nlink = 1u << 31)
MUTATE(entry_size, struct zufs_entry, out->attr.size_bytes = 1ull << 63)
MUTATE(entry_atime, struct zufs_entry, out->attr.atime.nsec = 1000000000)
MUTATE(entry_mtime, struct zufs_entry, out->attr.mtime.nsec = UINT_MAX)
MUTATE(entry_ctime, struct zufs_entry, out->attr.ctime.nsec = 1000000000)
MUTATE(entry_btime, struct zufs_entry, out->attr.btime.nsec = 1000000000)
MUTATE(entry_uid, struct zufs_entry, out->attr.uid = UINT_MAX)
MUTATE(entry_gid, struct zufs_entry, out->attr.gid = UINT_MAX)
MUTATE(entry_rdev, struct zufs_entry,
       (out->attr.mode = S_IFBLK | 0600, out->attr.rdev_major = 4096))
MUTATE(entry_rdev_minor, struct zufs_entry,
       (out->attr.mode = S_IFCHR | 0600, out->attr.rdev_minor = 1u << 20))
MUTATE(entry_is_root, struct zufs_entry,
       (out->attr.ino = 1, out->attr.gen = 1, out->attr.mode = S_IFDIR | 0755))
/* by a name in a directory: the directory's own (ino, gen), told by the test */
MUTATE(entry_is_told, struct zufs_entry,
       (out->attr.ino = ch->rs->user[0], out->attr.gen = ch->rs->user[1],
	out->attr.mode = S_IFDIR | 0755, out->attr.nlink = 2, out->handle = 4242,
	m->reply->err = 0, m->reply->fixed_bytes = sizeof(*out)))
MUTATE(entry_live_other_type, struct zufs_entry,
       (out->attr.ino = ch->rs->user[0], out->attr.gen = ch->rs->user[1],
	out->attr.mode = S_IFIFO | 0644))

MUTATE(attr_ino_0, struct zufs_attr, out->ino = 0)
MUTATE(attr_ino_other, struct zufs_attr, out->ino++)
MUTATE(attr_gen_other, struct zufs_attr, out->gen++)
MUTATE(attr_type, struct zufs_attr, out->mode = S_IFDIR | 0755)
MUTATE(attr_nlink, struct zufs_attr, out->nlink = UINT_MAX)
MUTATE(attr_size, struct zufs_attr, out->size_bytes = ULLONG_MAX)
MUTATE(attr_time, struct zufs_attr, out->mtime.nsec = 1000000000)
MUTATE(attr_uid, struct zufs_attr, out->uid = UINT_MAX)
MUTATE(attr_size_other, struct zufs_attr, out->size_bytes += 4096)

MUTATE(create_handle_0, struct zufs_create_out, out->entry.handle = 0)
MUTATE(create_type, struct zufs_create_out, out->entry.attr.mode = S_IFSOCK | 0644)
MUTATE(create_dir_type, struct zufs_create_out, out->dir.mode = S_IFREG | 0644)
MUTATE(create_dir_nlink, struct zufs_create_out, out->dir.nlink = 0)
MUTATE(create_dir_ino, struct zufs_create_out, out->dir.ino = 99)
MUTATE(create_is_dir, struct zufs_create_out,
       (out->entry.attr.ino = out->dir.ino, out->entry.attr.gen = out->dir.gen))
/* "new", and yet one that the kernel knows, told by setup() */
MUTATE(create_known, struct zufs_create_out,
       (out->entry.attr.ino = ch->rs->user[2], out->entry.attr.gen = ch->rs->user[3]))

MUTATE(link_nlink_0, struct zufs_link_out, out->inode.nlink = 0)
MUTATE(link_ino, struct zufs_link_out, out->inode.ino++)
MUTATE(link_dir, struct zufs_link_out, out->dir.gen++)
MUTATE(rename_old_dir, struct zufs_rename_out, out->old_dir.mode = S_IFREG)
MUTATE(rename_new_dir, struct zufs_rename_out, out->new_dir.ino = 0)
MUTATE(rename_inode, struct zufs_rename_out, out->inode.nlink = 0)
MUTATE(rename_target, struct zufs_rename_out, out->target.ino ^= 1)
MUTATE(write_more, struct zufs_write_out, out->written_bytes++)
MUTATE(write_most, struct zufs_write_out, out->written_bytes = ULLONG_MAX)
MUTATE(write_attr, struct zufs_write_out, out->attr.mode = S_IFLNK | 0644)
MUTATE(statfs_block, struct zufs_statfs_out, out->block_bytes = 3000)
MUTATE(statfs_block_0, struct zufs_statfs_out, out->block_bytes = 0)
MUTATE(statfs_free, struct zufs_statfs_out, out->blocks_free = out->blocks + 1)
MUTATE(statfs_name, struct zufs_statfs_out, out->name_max = 256)

/* -- symlinks -- */

static void payload(struct rf_msg *m, const void *bytes, uint32_t count)
{
	memcpy(m->out_payload, bytes, count);
	m->reply->payload_bytes = count;
}

MUTATE(link_empty, void, m->reply->payload_bytes = 0)
MUTATE(link_nul, void, payload(m, "a\0b", 3))
MUTATE(link_long, void,
       (memset(m->out_payload, 'x', 4096), m->reply->payload_bytes = 4096))

/* -- directories: what the server has is replaced -- */

struct entry_text {
	uint64_t ino, cookie;
	uint32_t type;
	uint32_t name_bytes;
	const char *name;
};

static enum rs_next entries(struct rf_msg *m, const struct entry_text *e, uint32_t count)
{
	struct zufs_readdir_out *out = m->out;
	uint8_t *to = m->out_payload;
	uint32_t i;

	for (i = 0; i < count; i++, e++) {
		struct zufs_dirent de = { .ino = e->ino, .cookie = e->cookie,
					  .name_bytes = e->name_bytes, .type = e->type };

		memset(to, 0, ZUFS_DIRENT_BYTES(e->name_bytes));
		memcpy(to, &de, sizeof(de));
		memcpy(to + sizeof(de), e->name, e->name_bytes);
		to += ZUFS_DIRENT_BYTES(e->name_bytes);
	}
	*out = (struct zufs_readdir_out) { .count = count, .eof = 1 };
	m->reply->payload_bytes = (uint32_t)(to - (uint8_t *)m->out_payload);
	return RS_REPLY;
}

#define ENTRIES(n, ...)								\
	MUTATION(n)								\
	{									\
		static const struct entry_text e[] = { __VA_ARGS__ };		\
										\
		(void)ch;							\
		return entries(m, e, sizeof(e) / sizeof(e[0]));			\
	}
#define E(name, cookie) { 7, cookie, DT_REG, sizeof(name) - 1, name }

ENTRIES(dir_good, E("a", 3), E("b", 9), E("c", 5))
ENTRIES(dir_dot, E(".", 3))
ENTRIES(dir_dotdot, E("ok", 3), E("..", 4))
ENTRIES(dir_slash, E("a/b", 3))
ENTRIES(dir_nul, E("a\0b", 3))
ENTRIES(dir_empty_name, E("", 3))
ENTRIES(dir_long_name, { 7, 3, DT_REG, 256,
	"0123456789012345678901234567890123456789012345678901234567890123456789"
	"0123456789012345678901234567890123456789012345678901234567890123456789"
	"0123456789012345678901234567890123456789012345678901234567890123456789"
	"01234567890123456789012345678901234567890123456789" })
ENTRIES(dir_cookie_0, E("a", 0))
ENTRIES(dir_cookie_2, E("a", 2))
ENTRIES(dir_cookie_high, E("a", 1ull << 63))
ENTRIES(dir_cookie_twice, E("a", 3), E("b", 4), E("c", 3))
ENTRIES(dir_ino_0, { 0, 3, DT_REG, 1, "a" })
ENTRIES(dir_type, { 7, 3, 3, 1, "a" })

MUTATE(dir_count, struct zufs_readdir_out, (dir_good(ch, m), out->count = 4))
MUTATE(dir_count_less, struct zufs_readdir_out, (dir_good(ch, m), out->count = 2))
MUTATE(dir_count_huge, struct zufs_readdir_out, (dir_good(ch, m), out->count = UINT_MAX))
MUTATE(dir_nothing, struct zufs_readdir_out,
       (*out = (struct zufs_readdir_out) { 0 }, m->reply->payload_bytes = 0))
MUTATE(dir_eof, struct zufs_readdir_out, (dir_good(ch, m), out->eof = 2))
MUTATE(dir_cut, void, (dir_good(ch, m), m->reply->payload_bytes -= 8))
MUTATE(dir_name_outside, void,
       (dir_good(ch, m), ((struct zufs_dirent *)m->out_payload)->name_bytes = 200))

/* -- inline data: one extent and its bytes -- */

#define EXTENT(n, statement)							\
	MUTATION(n)								\
	{									\
		struct zufs_extent *ext = m->out_payload;			\
		struct zufs_map_out *out = m->out;				\
										\
		(void)ch;							\
		(void)ext;							\
		(void)out;							\
		statement;							\
		return RS_REPLY;						\
	}

EXTENT(inline_none, out->count = 0)
EXTENT(inline_two, out->count = 2)
EXTENT(inline_data, ext->type = ZUFS_EXT_DATA)
EXTENT(inline_flags, ext->flags = ZUFS_EXTF_NEW)
EXTENT(inline_empty, ext->len_bytes = 0)
EXTENT(inline_later, ext->file_off += 1)
EXTENT(inline_earlier, (ext->file_off = 0, ext->len_bytes = 100))
EXTENT(inline_in_extent, ext->dev_off = 8)
EXTENT(inline_behind, ext->dev_off = 1 << 20)
EXTENT(inline_long, ext->len_bytes++)
EXTENT(inline_longest, ext->len_bytes = ULLONG_MAX)

/* --------------------------------------------------------------------- the table */

#define OP(o) ZUFS_OP_##o
static const struct row rows[] = {
	{ "wrong id", OP(GETATTR), id_other, "id", pre_stat, do_getattr, post_file, 0 },
	{ "the id before", OP(CREATE), id_before, "id", NULL, do_create, post_fresh, 0 },
	{ "err 5", OP(GETATTR), err_positive, "err", pre_stat, do_getattr, post_file, 0 },
	{ "err -512", OP(MKDIR), err_512, "err", NULL, do_mkdir, post_fresh, 0 },
	{ "err -4095", OP(LOOKUP), err_4095, "err", NULL, do_stat, post_file, 0 },
	{ "err INT_MIN", OP(UNLINK), err_min, "err", pre_stat, do_unlink, post_unlinked, 0 },
	{ "err -511", OP(GETATTR), err_511, NULL, pre_stat, do_getattr, post_file, -511 },
	{ "fixed part too large", OP(GETATTR), fixed_large, "size", pre_stat, do_getattr,
	  post_file, 0 },
	{ "fixed part huge", OP(STATFS), fixed_huge, "size", NULL, do_statfs, NULL, 0 },
	{ "no fixed part", OP(LOOKUP), fixed_none, "handle", NULL, do_stat, post_file, 0 },
	{ "no fixed part, getattr", OP(GETATTR), fixed_none, "ino", pre_stat, do_getattr,
	  post_file, 0 },
	{ "an unknown tail", OP(GETATTR), fixed_tail, NULL, pre_stat, do_getattr, post_file, 0 },
	{ "payload too large", OP(READDIR), payload_large, "size", NULL, do_readdir, NULL, 0 },
	{ "payload huge", OP(READLINK), payload_huge, "size", NULL, do_readlink, NULL, 0 },
	{ "payload unasked", OP(GETATTR), payload_unasked, "size", pre_stat, do_getattr,
	  post_file, 0 },
	{ "nop, wrong id", OP(NOP), id_other, "id", pre_open, do_nop, post_file, 0 },
	{ "open, err 5", OP(OPEN), err_positive, "err", pre_stat, do_open, post_file, 0 },
	{ "fsync, wrong id", OP(FSYNC), id_other, "id", pre_open, do_fsync, post_file, 0 },
	{ "syncfs, err 5", OP(SYNCFS), err_positive, "err", pre_open, do_syncfs, post_file, 0 },
	{ "remount, wrong id", OP(REMOUNT), id_other, "id", NULL, do_remount, NULL, 0 },

	{ "lookup, handle 0", OP(LOOKUP), entry_handle_0, "handle", NULL, do_stat, post_file, 0 },
	{ "lookup, ino 0", OP(LOOKUP), entry_ino_0, "ino", NULL, do_stat, post_file, 0 },
	{ "lookup, no type", OP(LOOKUP), entry_no_type, "type", NULL, do_stat, post_file, 0 },
	{ "lookup, bad type", OP(LOOKUP), entry_bad_type, "type", NULL, do_stat, post_file, 0 },
	{ "lookup, high mode bits", OP(LOOKUP), entry_mode_high, "type", NULL, do_stat,
	  post_file, 0 },
	{ "lookup, nlink 0", OP(LOOKUP), entry_nlink_0, "nlink", NULL, do_stat, post_file, 0 },
	{ "lookup, nlink 2^31", OP(LOOKUP), entry_nlink_high, "nlink", NULL, do_stat,
	  post_file, 0 },
	{ "lookup, size 2^63", OP(LOOKUP), entry_size, "file_size", NULL, do_stat, post_file, 0 },
	{ "lookup, atime", OP(LOOKUP), entry_atime, "time", NULL, do_stat, post_file, 0 },
	{ "lookup, mtime", OP(LOOKUP), entry_mtime, "time", NULL, do_stat, post_file, 0 },
	{ "lookup, ctime", OP(LOOKUP), entry_ctime, "time", NULL, do_stat, post_file, 0 },
	{ "lookup, btime", OP(LOOKUP), entry_btime, "time", NULL, do_stat, post_file, 0 },
	{ "lookup, uid -1", OP(LOOKUP), entry_uid, "owner", NULL, do_stat, post_file, 0 },
	{ "lookup, gid -1", OP(LOOKUP), entry_gid, "owner", NULL, do_stat, post_file, 0 },
	{ "lookup, major", OP(LOOKUP), entry_rdev, "type", NULL, do_stat, post_file, 0 },
	{ "lookup, minor", OP(LOOKUP), entry_rdev_minor, "type", NULL, do_stat, post_file, 0 },
	{ "lookup, the root", OP(LOOKUP), entry_is_root, "loop", NULL, do_stat, post_file, 0 },
	{ "lookup, the directory itself", OP(LOOKUP), entry_is_told, "loop", pre_dir,
	  do_lookup_in_dir, NULL, 0 },
	{ "lookup, an ancestor", OP(LOOKUP), entry_is_told, "loop", pre_subdir, do_in_subdir,
	  NULL, 0 },
	{ "lookup, a live inode's type", OP(LOOKUP), entry_live_other_type, "type", pre_dir,
	  do_stat, post_file, 0 },

	{ "getattr, ino 0", OP(GETATTR), attr_ino_0, "ino", pre_stat, do_getattr, post_file, 0 },
	{ "getattr, other ino", OP(GETATTR), attr_ino_other, "ino", pre_stat, do_getattr,
	  post_file, 0 },
	{ "getattr, other gen", OP(GETATTR), attr_gen_other, "ino", pre_stat, do_getattr,
	  post_file, 0 },
	{ "getattr, type", OP(GETATTR), attr_type, "type", pre_stat, do_getattr, post_file, 0 },
	{ "getattr, nlink", OP(GETATTR), attr_nlink, "nlink", pre_stat, do_getattr, post_file, 0 },
	{ "getattr, size", OP(GETATTR), attr_size, "file_size", pre_stat, do_getattr,
	  post_file, 0 },
	{ "setattr, time", OP(SETATTR), attr_time, "time", pre_stat, do_chmod, post_file, 0 },
	{ "setattr, owner", OP(SETATTR), attr_uid, "owner", pre_stat, do_chmod, post_file, 0 },
	{ "truncate, type", OP(SETATTR), attr_type, "type", pre_stat, do_truncate, post_file, 0 },
	{ "truncate, another size", OP(SETATTR), attr_size_other, "file_size", pre_stat,
	  do_truncate, post_file, 0 },

	{ "create, handle 0", OP(CREATE), create_handle_0, "handle", NULL, do_create,
	  post_fresh, 0 },
	{ "create, a socket", OP(CREATE), create_type, "type", NULL, do_create, post_fresh, 0 },
	{ "create, in no directory", OP(CREATE), create_dir_type, "type", NULL, do_create,
	  post_fresh, 0 },
	{ "create, a known inode", OP(CREATE), create_known, "ino", NULL, do_create,
	  post_fresh, 0 },
	{ "mkdir, itself", OP(MKDIR), create_is_dir, "loop", NULL, do_mkdir, post_fresh, 0 },
	{ "mkdir, directory's nlink", OP(MKDIR), create_dir_nlink, "nlink", NULL, do_mkdir,
	  post_fresh, 0 },
	{ "mknod, other directory", OP(MKNOD), create_dir_ino, "ino", NULL, do_mknod,
	  post_fresh, 0 },
	{ "symlink, a socket", OP(SYMLINK), create_type, "type", NULL, do_symlink, post_fresh, 0 },
	{ "link, nlink 0", OP(LINK), link_nlink_0, "nlink", pre_stat, do_link, post_fresh, 0 },
	{ "link, other inode", OP(LINK), link_ino, "ino", pre_stat, do_link, post_fresh, 0 },
	{ "unlink, other directory", OP(UNLINK), link_dir, "ino", pre_stat, do_unlink,
	  post_unlinked, 0 },
	{ "rmdir, other inode", OP(RMDIR), link_ino, "ino", pre_dir, do_rmdir, post_no_dir, 0 },
	{ "rename, old directory", OP(RENAME), rename_old_dir, "type", pre_stat, do_rename,
	  post_renamed, 0 },
	{ "rename, new directory", OP(RENAME), rename_new_dir, "ino", pre_stat, do_rename,
	  post_renamed, 0 },
	{ "rename, nlink 0", OP(RENAME), rename_inode, "nlink", pre_stat, do_rename,
	  post_renamed, 0 },
	{ "rename, target", OP(RENAME), rename_target, "ino", pre_fresh, do_rename_over,
	  post_renamed_over, 0 },

	{ "readlink, nothing", OP(READLINK), link_empty, "symlink", NULL, do_readlink, NULL, 0 },
	{ "readlink, NUL", OP(READLINK), link_nul, "symlink", NULL, do_readlink, NULL, 0 },
	{ "readlink, 4096 bytes", OP(READLINK), link_long, "size", NULL, do_readlink, NULL, 0 },
	{ "readdir, good", OP(READDIR), dir_good, NULL, NULL, do_readdir, NULL, 0 },
	{ "readdir, \".\"", OP(READDIR), dir_dot, "name", NULL, do_readdir, NULL, 0 },
	{ "readdir, \"..\"", OP(READDIR), dir_dotdot, "name", NULL, do_readdir, NULL, 0 },
	{ "readdir, slash", OP(READDIR), dir_slash, "name", NULL, do_readdir, NULL, 0 },
	{ "readdir, NUL", OP(READDIR), dir_nul, "name", NULL, do_readdir, NULL, 0 },
	{ "readdir, no name", OP(READDIR), dir_empty_name, "size", NULL, do_readdir, NULL, 0 },
	{ "readdir, long name", OP(READDIR), dir_long_name, "size", NULL, do_readdir, NULL, 0 },
	{ "readdir, cookie 0", OP(READDIR), dir_cookie_0, "cookie", NULL, do_readdir, NULL, 0 },
	{ "readdir, cookie 2", OP(READDIR), dir_cookie_2, "cookie", NULL, do_readdir, NULL, 0 },
	{ "readdir, cookie 2^63", OP(READDIR), dir_cookie_high, "cookie", NULL, do_readdir,
	  NULL, 0 },
	{ "readdir, cookie twice", OP(READDIR), dir_cookie_twice, "cookie", NULL, do_readdir,
	  NULL, 0 },
	{ "readdir, ino 0", OP(READDIR), dir_ino_0, "ino", NULL, do_readdir, NULL, 0 },
	{ "readdir, type", OP(READDIR), dir_type, "type", NULL, do_readdir, NULL, 0 },
	{ "readdir, count", OP(READDIR), dir_count, "size", NULL, do_readdir, NULL, 0 },
	{ "readdir, count too low", OP(READDIR), dir_count_less, "size", NULL, do_readdir,
	  NULL, 0 },
	{ "readdir, count huge", OP(READDIR), dir_count_huge, "size", NULL, do_readdir, NULL, 0 },
	{ "readdir, nothing, no end", OP(READDIR), dir_nothing, "size", NULL, do_readdir,
	  NULL, 0 },
	{ "readdir, eof 2", OP(READDIR), dir_eof, "size", NULL, do_readdir, NULL, 0 },
	{ "readdir, cut", OP(READDIR), dir_cut, "size", NULL, do_readdir, NULL, 0 },
	{ "readdir, name outside", OP(READDIR), dir_name_outside, "size", NULL, do_readdir,
	  NULL, 0 },

	{ "write, one more", OP(WRITE), write_more, "written", pre_open, do_write, post_file, 0 },
	{ "write, most", OP(WRITE), write_most, "written", pre_open, do_write, post_file, 0 },
	{ "write, type", OP(WRITE), write_attr, "type", pre_open, do_write, post_file, 0 },
	{ "read, no extent", OP(MAP), inline_none, "size", pre_open, do_read, post_file, 0 },
	{ "read, two extents", OP(MAP), inline_two, "size", pre_open, do_read, post_file, 0 },
	{ "read, type", OP(MAP), inline_data, "extent_type", pre_open, do_read, post_file, 0 },
	{ "read, flags", OP(MAP), inline_flags, "extent_type", pre_open, do_read, post_file, 0 },
	{ "read, no bytes", OP(MAP), inline_empty, "extent_range", pre_open, do_read,
	  post_file, 0 },
	{ "read, begins later", OP(MAP), inline_later, "extent_range", pre_open, do_read,
	  post_file, 0 },
	{ "read, ends earlier", OP(MAP), inline_earlier, "extent_range", pre_open, do_read,
	  post_file, 0 },
	{ "read, in the extent", OP(MAP), inline_in_extent, "size", pre_open, do_read,
	  post_file, 0 },
	{ "read, behind the payload", OP(MAP), inline_behind, "size", pre_open, do_read,
	  post_file, 0 },
	{ "read, one byte more", OP(MAP), inline_long, "size", pre_open, do_read, post_file, 0 },
	{ "read, longest", OP(MAP), inline_longest, "size", pre_open, do_read, post_file, 0 },

	{ "statfs, block", OP(STATFS), statfs_block, "mount", NULL, do_statfs, NULL, 0 },
	{ "statfs, no block", OP(STATFS), statfs_block_0, "mount", NULL, do_statfs, NULL, 0 },
	{ "statfs, free", OP(STATFS), statfs_free, "mount", NULL, do_statfs, NULL, 0 },
	{ "statfs, name", OP(STATFS), statfs_name, "mount", NULL, do_statfs, NULL, 0 },
};
#define NUM_ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

static long all_rules(void)
{
	char path[80], *line;
	long sum = 0;

	snprintf(path, sizeof(path), "/sys/fs/zuf/mounts/%llu/rules",
		 (unsigned long long)mount_id);
	line = (char *)vt_read(path);
	ck_assert_msg(*line, "%s is empty", path);
	for (line = strtok(line, "\n"); line; line = strtok(NULL, "\n"))
		sum += strtol(strrchr(line, ' '), NULL, 10);
	return sum;
}

static void setup(void)
{
	struct stat st;

	rs = rs_start(&(struct rs_options) {
		.files = (unsigned int)NUM_ROWS, .links = (unsigned int)NUM_ROWS,
		.dirs = (unsigned int)NUM_ROWS,
		.features = ZUFS_MF_OPEN | ZUFS_MF_FSYNC | ZUFS_MF_SYNCFS,
	});
	vt_mount("zraw", "none", MNT, NULL);
	mount_id = vt_mount_id();
	/* for "create, a known inode" */
	known_fd = open(MNT "/l0", O_PATH | O_NOFOLLOW);
	ck_assert_int_ge(known_fd, 0);
	ck_assert_int_eq(lstat(MNT "/l0", &st), 0);
	rs->user[2] = (uint32_t)st.st_ino;
	rs->user[3] = 1;
}

static void teardown(void)
{
	close(known_fd);
	vt_umount(MNT);
	ck_assert_int_eq(rs_stop(rs), 0);
}

/* The (ino, gen) that entry_is_told answers with. */
static void tell(const struct row *row, const struct subject *s)
{
	struct stat st;

	if (row->mutate != entry_is_told && row->mutate != entry_live_other_type)
		return;
	ck_assert_int_eq(stat(s->dir, &st), 0);
	rs->user[0] = (uint32_t)st.st_ino;
	rs->user[1] = 1;
}

static void subject_of(int number, struct subject *s)
{
	*s = (struct subject) { .fd = -1 };
	snprintf(s->file, sizeof(s->file), MNT "/f%d", number);
	snprintf(s->link, sizeof(s->link), MNT "/l%d", number);
	snprintf(s->dir, sizeof(s->dir), MNT "/d%d", number);
	snprintf(s->in_dir, sizeof(s->in_dir), MNT "/d%d/in", number);
	snprintf(s->fresh, sizeof(s->fresh), MNT "/fresh%d", number);
}

/* Prints what was wrong. */
static bool row_passes(int number)
{
	const struct row *row = &rows[number];
	int want = row->want ? row->want : row->rule ? -EIO : 0, err;
	long rule = 0, all, broken;
	struct subject s;

	subject_of(number, &s);
	err = row->prepare ? row->prepare(&s) : 0;
	if (err) {
		printf("%s: cannot prepare: %s\n", row->name, strerror(-err));
		return false;
	}
	tell(row, &s);
	all = all_rules();
	if (row->rule)
		rule = vt_rule(mount_id, row->rule);
	rs_arm(rs, row->op, &(struct rs_script) { .times = 1, .hook = row->mutate });
	err = row->act(&s);
	if (atomic_load(&rs->script[row->op].times))
		printf("%s: the server was not asked\n", row->name);
	else if (err != want)
		printf("%s: the caller got %d, not %d\n", row->name, err, want);
	else if (row->rule && vt_rule(mount_id, row->rule) != rule + 1)
		printf("%s: not counted as '%s'\n", row->name, row->rule);
	else if (row->after && (err = row->after(&s)))
		printf("%s: afterwards: %s\n", row->name, strerror(-err));
	else if ((broken = all_rules() - all) != !!row->rule)
		printf("%s: %ld rules were broken\n", row->name, broken);
	else
		err = 1;
	close(s.fd);
	/* what the close sends comes back, too */
	vt_await_number(mount_id, "inflight", 0);
	return err == 1;
}

START_TEST(reply_rules)
{
	int i, bad = 0;

	for (i = 0; i < NUM_ROWS; i++)
		bad += !row_passes(i);
	printf("%d replies that break a rule or nearly do, %d went wrong\n", NUM_ROWS, bad);
	ck_assert_int_eq(bad, 0);
}
END_TEST

/* ------------------------------------------------------------------ while mounting */

MUTATE(mount_features, struct zufs_mount_out, out->features = 1ull << 63)
MUTATE(mount_leases, struct zufs_mount_out, out->features = ZUFS_MF_LEASES)
MUTATE(mount_max, struct zufs_mount_out, out->max_file_bytes = 1ull << 63)
MUTATE(mount_gran, struct zufs_mount_out, out->time_gran_ns = 1000000001)
MUTATE(mount_name, struct zufs_mount_out, out->name_max = 256)
MUTATE(mount_root_file, struct zufs_mount_out, out->root.attr.mode = S_IFREG | 0755)
MUTATE(mount_root_handle, struct zufs_mount_out, out->root.handle = 0)
MUTATE(mount_root_nlink, struct zufs_mount_out, out->root.attr.nlink = 0)
MUTATE(mount_enoent, struct zufs_mount_out, m->reply->err = -ENOENT)

static const struct {
	const char *name;
	rs_hook mutate;
	int want;
} mount_rows[] = {
	{ "features", mount_features, -EIO },
	{ "leases, which HELLO did not name", mount_leases, -EIO },
	{ "max_file_bytes", mount_max, -EIO },
	{ "time_gran_ns", mount_gran, -EIO },
	{ "name_max", mount_name, -EIO },
	{ "the root is a file", mount_root_file, -EIO },
	{ "the root's handle", mount_root_handle, -EIO },
	{ "the root's nlink", mount_root_nlink, -EIO },
	{ "wrong id", id_other, -EIO },
	{ "err 5", err_positive, -EIO },
	{ "an error", mount_enoent, -ENOENT },
};

START_TEST(mount_rule)
{
	struct rs *mine = rs_start(&(struct rs_options) { .type = "zrawm", .files = 1 });
	unsigned int i;
	struct stat st;
	int err;

	for (i = 0; i < sizeof(mount_rows) / sizeof(mount_rows[0]); i++) {
		uint64_t before = vt_mount_id();

		rs_arm(mine, ZUFS_OP_MOUNT, &(struct rs_script) {
			.times = 1, .hook = mount_rows[i].mutate });
		err = vt_try_mount("zrawm", "none", "m", NULL);
		ck_assert_msg(err == mount_rows[i].want, "%s: mount gave %d", mount_rows[i].name,
			      err);
		ck_assert_uint_eq(vt_mount_id(), before);
	}
	vt_mount("zrawm", "none", "m", NULL);
	ck_assert_int_eq(stat("m/f0", &st), 0);
	vt_umount("m");
	ck_assert_int_eq(rs_stop(mine), 0);
}
END_TEST

/* A bad answer to what has no caller left is counted, and that is all. */
START_TEST(callerless)
{
	struct rs *mine = rs_start(&(struct rs_options) { .type = "zrawm", .files = 64 });
	uint64_t id;

	vt_mount("zrawm", "none", "m", NULL);
	id = vt_mount_id();
	ck_assert_int_eq(close(open("m/f0", O_RDONLY)), 0);
	rs_arm(mine, ZUFS_OP_BATCH, &(struct rs_script) { .times = 1, .hook = id_other });
	rs_arm(mine, ZUFS_OP_UMOUNT, &(struct rs_script) { .times = 1, .hook = err_4095 });
	ck_assert_int_eq(vt_rule(id, "id"), 0);
	vt_umount("m");
	ck_assert_int_eq(mine->script[ZUFS_OP_BATCH].times, 0);
	ck_assert_int_eq(mine->script[ZUFS_OP_UMOUNT].times, 0);
	ck_assert_int_eq(rs_stop(mine), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("relay-hostile");
	TCase *tc = tcase_create("replies");

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_add_test(tc, reply_rules);
	suite_add_tcase(suite, tc);
	tc = tcase_create("mount");
	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_test(tc, mount_rule);
	tcase_add_test(tc, callerless);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
