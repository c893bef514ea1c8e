// SPDX-License-Identifier: BSD-3-Clause
/*
 * messages.c - each message's way through the server core: a plugin of the test's
 * own notes what the callback got and answers with known values; what comes back
 * must be these. A table has one row a message.
 */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zus_api.h>

#include "unit.h"

/* ------------------------------------------------------------- test's plugin */

static struct zus_inode root, file;
static char note[2048];		/* what the last callback got */
static int answer;		/* what it shall return */

static void noted(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void noted(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(note, sizeof(note), format, args);
	va_end(args);
}

static struct zus_attr attr_like(uint64_t ino, uint32_t mode)
{
	return (struct zus_attr) {
		.ino = ino, .gen = ino + 1, .size_bytes = 3, .blocks_512 = 4, .change = 5,
		.atime = { 6, 7, 0 }, .mtime = { 8, 9, 0 }, .ctime = { 10, 11, 0 },
		.btime = { 12, 13, 0 }, .mode = mode, .nlink = 14, .uid = 15, .gid = 16,
		.rdev_major = 17, .rdev_minor = 18, .projid = 19,
	};
}

static int who(const struct zus_inode *inode)
{
	return inode == &root ? 1 : inode == &file ? 2 : inode ? 3 : 0;
}

#define T(t)	(long)(t).sec, (t).nsec
#define N(n)	(int)(n).bytes, (n).str

static int t_mount(struct zus_req *req, struct zus_mount *mount, struct zus_mount_out *out)
{
	(void)req;
	noted("devices %u off %lu node %u flags %u slots %u inc %lu options '%s'",
	      mount->num_devices, (unsigned long)mount->devices[0].data_off,
	      mount->devices[0].numa_node, mount->flags, mount->num_slots,
	      (unsigned long)mount->incarnation, mount->options);
	if (answer)
		return answer;
	ck_assert(!zus_inode_init(mount, &root) && !zus_inode_init(mount, &file));
	zus_entry_set(&out->root, &root);
	out->root.attr = attr_like(1, S_IFDIR | 0755);
	out->features = ZUS_MF_OPEN | ZUS_MF_FSYNC | ZUS_MF_SYNCFS | ZUS_MF_LEASES |
			ZUS_MF_READDIR_PLUS;
	out->max_file_bytes = 1 << 20;
	out->time_gran_ns = 100;
	out->name_max = 77;
	out->magic = 0x1234;
	return 0;
}

static void t_umount(struct zus_mount *mount)
{
	(void)mount;
	ck_assert(zus_inode_tryget(&file));
	zus_inode_put(&file);
	zus_inode_put(&file);
	zus_inode_put(&root);
}

static int t_remount(struct zus_req *req, struct zus_mount *mount, uint32_t flags,
		     const char *options)
{
	(void)req, (void)mount;
	noted("flags %u options '%s'", flags, options);
	return answer;
}

static int t_statfs(struct zus_req *req, struct zus_mount *mount, struct zus_statfs *out)
{
	(void)req, (void)mount;
	noted("%s", "");
	*out = (struct zus_statfs) { 1, 2, 3, 4, 5, 6, 7 };
	return answer;
}

static int t_syncfs(struct zus_req *req, struct zus_mount *mount, int wait)
{
	(void)req, (void)mount;
	noted("wait %d", wait);
	return answer;
}

static int t_freeze(struct zus_req *req, struct zus_mount *mount, int freeze)
{
	(void)req, (void)mount;
	noted("freeze %d", freeze);
	return answer;
}

static int t_lookup(struct zus_req *req, struct zus_inode *dir,
		    const struct zus_name *name, struct zus_entry *out)
{
	noted("dir %d name %.*s slot %x seq %lu", who(dir), N(*name), zus_req_op_slot(req),
	      (unsigned long)zus_req_op_seq(req));
	zus_entry_set(out, &file);
	out->attr = attr_like(2, S_IFREG | 0644);
	return answer;
}

static int t_getattr(struct zus_req *req, struct zus_inode *inode, uint64_t fh,
		     uint32_t mask, struct zus_attr *out)
{
	(void)req;
	noted("inode %d fh %lu mask %x", who(inode), (unsigned long)fh, mask);
	*out = attr_like(2, S_IFREG | 0644);
	return answer;
}

static int t_setattr(struct zus_req *req, struct zus_inode *inode,
		     const struct zus_setattr *s, struct zus_attr *out)
{
	(void)req;
	noted("inode %d fh %lu size %lu atime %ld.%u mtime %ld.%u ctime %ld.%u valid %x mode %o uid %u gid %u flags %x projid %u",
	      who(inode), (unsigned long)s->fh, (unsigned long)s->size_bytes, T(s->atime),
	      T(s->mtime), T(s->ctime), s->valid, s->mode, s->uid, s->gid, s->flags, s->projid);
	*out = attr_like(2, S_IFREG | 0644);
	return answer;
}

static void note_xattrs(int at, const struct zus_xattr *xattr, uint32_t count)
{
	for (; count--; xattr++)
		at += snprintf(note + at, sizeof(note) - (size_t)at, " %.*s=%.*s",
			       N(xattr->name), (int)xattr->value_bytes,
			       (const char *)xattr->value);
}

static int t_create(struct zus_req *req, struct zus_inode *dir,
		    const struct zus_create *c, struct zus_entry *out,
		    struct zus_attr *dir_out)
{
	int at = snprintf(note, sizeof(note),
			  "dir %d name %.*s target %.*s now %ld.%u mode %o uid %u gid %u rdev %u:%u",
			  who(dir), N(c->name), N(c->target), T(c->now), c->mode, c->uid,
			  c->gid, c->rdev_major, c->rdev_minor);

	note_xattrs(at, c->xattrs, c->num_xattrs);
	(void)req;
	zus_entry_set(out, &file);
	out->attr = attr_like(2, c->mode);
	*dir_out = attr_like(1, S_IFDIR | 0755);
	return answer;
}

static int t_tmpfile(struct zus_req *req, struct zus_inode *dir,
		     const struct zus_create *c, struct zus_entry *out)
{
	struct zus_attr unused;
	int ret = t_create(req, dir, c, out, &unused);

	out->attr.nlink = 0;
	return ret;
}

static int t_create_open(struct zus_req *req, struct zus_inode *dir, const struct zus_create *c,
			 uint32_t flags, struct zus_create_open *out)
{
	(void)req;
	noted("dir %d name %.*s now %ld.%u mode %o uid %u gid %u flags %x", who(dir), N(c->name),
	      T(c->now), c->mode, c->uid, c->gid, flags);
	zus_entry_set(&out->entry, &file);
	out->entry.attr = attr_like(2, c->mode);
	out->dir = attr_like(1, S_IFDIR | 0755);
	out->fh = 99;
	out->created = 1;
	return answer;
}

static int t_iget(struct zus_req *req, struct zus_mount *mount, uint64_t ino, uint64_t gen,
		  struct zus_entry *out)
{
	(void)req, (void)mount;
	noted("ino %lu gen %lu", (unsigned long)ino, (unsigned long)gen);
	zus_entry_set(out, &file);
	out->attr = attr_like(2, S_IFREG | 0644);
	return answer;
}

static int t_parent(struct zus_req *req, struct zus_inode *dir, struct zus_entry *out)
{
	(void)req;
	noted("dir %d", who(dir));
	zus_entry_set(out, &root);
	out->attr = attr_like(1, S_IFDIR | 0755);
	return answer;
}

static int t_link(struct zus_req *req, struct zus_inode *inode, struct zus_inode *dir,
		  const struct zus_name *name, const struct zus_time *now,
		  struct zus_attr *inode_out, struct zus_attr *dir_out)
{
	(void)req;
	noted("inode %d dir %d name %.*s now %ld.%u", who(inode), who(dir), N(*name), T(*now));
	*inode_out = attr_like(2, S_IFREG | 0644);
	*dir_out = attr_like(1, S_IFDIR | 0755);
	return answer;
}

static int t_unlink(struct zus_req *req, struct zus_inode *dir, struct zus_inode *inode,
		    const struct zus_name *name, const struct zus_time *now,
		    struct zus_attr *inode_out, struct zus_attr *dir_out)
{
	return t_link(req, inode, dir, name, now, inode_out, dir_out);
}

static int t_rename(struct zus_req *req, const struct zus_rename *r,
		    struct zus_rename_out *out)
{
	int at = snprintf(note, sizeof(note),
			  "old %d %.*s new %d %.*s inode %d target %d now %ld.%u flags %u",
			  who(r->old_dir), N(r->old_name), who(r->new_dir), N(r->new_name),
			  who(r->inode), who(r->target), T(r->now), r->flags);

	note_xattrs(at, r->xattrs, r->num_xattrs);
	(void)req;
	out->old_dir = out->new_dir = attr_like(1, S_IFDIR | 0755);
	out->inode = attr_like(2, S_IFREG | 0644);
	out->target = attr_like(3, S_IFREG | 0644);
	return answer;
}

static int t_readdir(struct zus_req *req, struct zus_inode *dir, uint64_t fh,
		     uint64_t cookie, int *eof)
{
	const struct zus_name a = { "a", 1 }, long_name = { "long-name", 9 }, none = { "", 0 };

	noted("dir %d fh %lu cookie %lu", who(dir), (unsigned long)fh,
	      (unsigned long)cookie);
	ck_assert_int_eq(zus_req_dirent(req, 1, 2, DT_REG, &a), -EINVAL);
	ck_assert_int_eq(zus_req_dirent(req, 1, 5, DT_REG, &none), -EINVAL);
	if (zus_req_readdir_plus(req)) {
		struct zus_entry entry;

		zus_entry_set(&entry, &file);
		entry.attr = attr_like(2, S_IFREG | 0644);
		ck_assert_int_eq(zus_req_direntplus(req, 10, &a, &entry), 0);
	} else {
		ck_assert_int_eq(zus_req_dirent(req, 21, 10, DT_REG, &a), 0);
	}
	ck_assert_int_eq(zus_req_dirent(req, 22, 11, DT_DIR, &long_name), 0);
	*eof = 1;
	return answer;
}

static int t_readlink(struct zus_req *req, struct zus_inode *inode)
{
	uint32_t max;

	noted("inode %d", who(inode));
	memcpy(zus_req_payload(req, &max), "target", 6);
	ck_assert_int_eq(zus_req_payload_set(req, max + 1), -EINVAL);
	ck_assert_int_eq(zus_req_payload_set(req, 6), 0);
	return answer;
}

static int t_getxattr(struct zus_req *req, struct zus_inode *inode,
		      const struct zus_name *name)
{
	int ret;

	noted("inode %d name %.*s", who(inode), N(*name));
	ck_assert_int_eq(zus_req_xattr_name(req, name), -EINVAL);
	ret = zus_req_xattr_value(req, "value", 5);
	return answer ? answer : ret;
}

static int t_setxattr(struct zus_req *req, struct zus_inode *inode,
		      const struct zus_setxattr *s, struct zus_attr *out)
{
	ck_assert_int_eq(zus_req_xattr_value(req, "value", 5), -EINVAL);
	noted("inode %d name %.*s value %.*s now %ld.%u flags %u mode %o", who(inode),
	      N(s->xattr.name), (int)s->xattr.value_bytes, (const char *)s->xattr.value,
	      T(s->now), s->flags, s->mode);
	*out = attr_like(2, S_IFREG | 0644);
	return answer;
}

static int t_listxattr(struct zus_req *req, struct zus_inode *inode)
{
	const struct zus_name a = { "user.a", 6 }, b = { "user.b", 6 }, none = { "", 0 };

	noted("inode %d", who(inode));
	ck_assert_int_eq(zus_req_xattr_name(req, &none), -EINVAL);
	ck_assert_int_eq(zus_req_xattr_name(req, &a), 0);
	ck_assert_int_eq(zus_req_xattr_name(req, &b), 0);
	return answer;
}

static void t_evict(struct zus_inode *inode)
{
	ck_assert(!zus_inode_tryget(inode));	/* too late */
}

static int t_open(struct zus_req *req, struct zus_inode *inode, uint32_t flags,
		  uint64_t *fh)
{
	(void)req;
	noted("inode %d flags %u", who(inode), flags);
	*fh = 0x1234567812345678;
	return answer;
}

static void t_release(struct zus_inode *inode, uint64_t fh)
{
	noted("release %d fh %lu", who(inode), (unsigned long)fh);
}

static int t_map(struct zus_req *req, struct zus_inode *inode, const struct zus_map *m)
{
	const struct zus_extent hole = { 0, 4096, 0, 0, ZUS_EXT_HOLE, 0 };
	const struct zus_extent data = { 4096, 8192, 2 << 20, 0, ZUS_EXT_DATA,
					 ZUS_EXTF_LEASE_R | ZUS_EXTF_LEASE_W };

	/* none in this transport */
	ck_assert_uint_eq(m->epoch, 0);
	ck_assert_int_eq(zus_epoch(inode->mount, NULL, NULL), -EOPNOTSUPP);
	noted("inode %d fh %lu off %lu len %lu size %lu flags %u max %u", who(inode),
	      (unsigned long)m->fh, (unsigned long)m->off, (unsigned long)m->len_bytes,
	      (unsigned long)m->size_bytes, m->flags, m->max_extents);
	ck_assert_int_eq(zus_req_extent(req, &hole), 0);
	ck_assert_int_eq(zus_req_extent(req, &data), 0);
	ck_assert_uint_eq(zus_req_extents_left(req), 0);
	ck_assert_int_eq(zus_req_extent(req, &data), -ENOSPC);
	return answer;
}

static int t_map_done(struct zus_req *req, struct zus_inode *inode,
		      const struct zus_map_done *d, struct zus_attr *out)
{
	noted("inode %d fh %lu map %lu off %lu written %lu size %lu flags %u%s", who(inode),
	      (unsigned long)d->fh, (unsigned long)d->map_id, (unsigned long)d->off,
	      (unsigned long)d->written_bytes, (unsigned long)d->size_bytes, d->flags,
	      req ? "" : " forced");
	if (out)
		*out = attr_like(2, S_IFREG | 0644);
	return answer;
}

static int t_write(struct zus_req *req, struct zus_inode *inode,
		   const struct zus_write *w, uint64_t *written, struct zus_attr *out)
{
	(void)req;
	noted("inode %d fh %lu off %lu size %lu mtime %ld.%u data %.*s", who(inode),
	      (unsigned long)w->fh, (unsigned long)w->off, (unsigned long)w->size_bytes,
	      T(w->mtime), (int)w->len_bytes, (const char *)w->data);
	*written = 2;
	*out = attr_like(2, S_IFREG | 0644);
	return answer;
}

static int t_fsync(struct zus_req *req, struct zus_inode *inode, const struct zus_fsync *f)
{
	(void)req;
	noted("inode %d fh %lu off %lu len %lu datasync %d", who(inode),
	      (unsigned long)f->fh, (unsigned long)f->off, (unsigned long)f->len_bytes,
	      f->datasync);
	return answer;
}

static int t_fallocate(struct zus_req *req, struct zus_inode *inode,
		       const struct zus_fallocate *f, struct zus_attr *out)
{
	(void)req;
	noted("inode %d fh %lu off %lu len %lu size %lu now %ld.%u mode %x", who(inode),
	      (unsigned long)f->fh, (unsigned long)f->off, (unsigned long)f->len_bytes,
	      (unsigned long)f->size_bytes, T(f->now), f->mode);
	*out = attr_like(2, S_IFREG | 0644);
	return answer;
}

static int t_copy(struct zus_req *req, struct zus_inode *to, struct zus_inode *from,
		  const struct zus_copy *c, uint64_t *copied_bytes, struct zus_attr *out)
{
	(void)req;
	noted("to %d fh %lu off %lu from %d fh %lu off %lu len %lu now %ld.%u flags %x", who(to),
	      (unsigned long)c->to_fh, (unsigned long)c->to_off, who(from),
	      (unsigned long)c->from_fh, (unsigned long)c->from_off,
	      (unsigned long)c->len_bytes, T(c->now), c->flags);
	*copied_bytes = 9;
	*out = attr_like(2, S_IFREG | 0644);
	return answer;
}

static int t_lock(struct zus_req *req, struct zus_inode *inode, const struct zus_lock *l,
		  struct zus_lock_conflict *conflict)
{
	noted("inode %d fh %lu owner %lx [%lu, %lu] pid %u type %u flags %x get %u%s", who(inode),
	      (unsigned long)l->fh, (unsigned long)l->owner, (unsigned long)l->start,
	      (unsigned long)l->end, l->pid, l->type, l->flags, l->get, req ? "" : " forced");
	*conflict = (struct zus_lock_conflict) { 5, 6, ZUS_LOCK_WRLCK, 7, ZUS_LOCK_OFD };
	return answer;
}

static int t_ioctl(struct zus_req *req, struct zus_inode *inode, const struct zus_ioctl *i,
		   int32_t *result)
{
	(void)req;
	noted("inode %d fh %lu cmd %x in %.*s out %u flags %u", who(inode),
	      (unsigned long)i->fh, i->cmd, (int)i->in_bytes, (const char *)i->in, i->out_bytes,
	      i->flags);
	memcpy(i->out, "out", i->out_bytes < 3 ? i->out_bytes : 3);
	*result = 7;
	return answer;
}

static void t_interrupt(struct zus_mount *mount, uint64_t id)
{
	noted("interrupt %lu of %lu", (unsigned long)id, (unsigned long)mount->id);
}

static const struct zus_mount_ops mount_ops = {
	t_mount, t_umount, t_remount, t_statfs, t_syncfs, t_interrupt, t_freeze, NULL,
};
static const struct zus_inode_ops inode_ops = {
	t_lookup, t_getattr, t_setattr, t_create, t_create, t_create, t_create, t_link,
	t_unlink, t_unlink, t_rename, t_readdir, t_readlink, t_evict, t_getxattr, t_setxattr,
	t_listxattr, t_tmpfile, t_iget, t_parent, t_create_open,
};
static const struct zus_file_ops file_ops = {
	t_open, t_release, t_map, t_map_done, t_write, t_fsync, t_fallocate,
	t_ioctl, t_copy, t_lock,
};
static const struct zus_plugin plugin = {
	ZUS_PLUGIN_ABI, .name = "ztest", .mount_ops = &mount_ops, .inode_ops = &inode_ops,
	.file_ops = &file_ops,
};

/* -------------------------------------------------------------------- table */

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define ROOT	(1ull << 32)		/* the first two handles of a table */
#define FILE_	(1ull << 32 | 1)
#define ATTR(i, m) { i, i + 1, 3, 4, 5, { 6, 7, 0 }, { 8, 9, 0 }, { 10, 11, 0 }, \
		     { 12, 13, 0 }, m, 14, 15, 16, 17, 18, 0, 19 }
#define FATTR	ATTR(2, S_IFREG | 0644)
#define DATTR	ATTR(1, S_IFDIR | 0755)
#define IN(t, ...) &(const struct t) { __VA_ARGS__ }, sizeof(struct t)
#define NONE	NULL, 0

static const struct message {
	uint16_t op;
	const void *in;
	uint32_t in_bytes;
	const char *payload;
	const char *got;		/* by the callback; NULL: there is none */
	const void *out;
	uint32_t out_bytes;
	uint32_t reply_bytes;		/* payload's */
} messages[] = {
	{ ZUFS_OP_NOP, IN(zufs_nop, 0x1122334455667788), "", NULL,
	  IN(zufs_nop, 0x1122334455667788) },
	{ ZUFS_OP_REMOUNT, IN(zufs_remount_in, ZUFS_MOUNT_RDONLY, 4), "a=b",
	  "flags 1 options 'a=b'", NONE },
	{ ZUFS_OP_STATFS, NONE, "", "", IN(zufs_statfs_out, 1, 2, 3, 4, 5, 6, 7) },
	{ ZUFS_OP_SYNCFS, IN(zufs_syncfs_in, 1), "", "wait 1", NONE },
	{ ZUFS_OP_FREEZE, IN(zufs_freeze_in, 0), "", "freeze 1", NONE },
	{ ZUFS_OP_FREEZE, IN(zufs_freeze_in, 1), "", "freeze 0", NONE },
	{ ZUFS_OP_LOOKUP, IN(zufs_lookup_in, ROOT, 4), "name",
	  "dir 1 name name slot ffffffff seq 0", IN(zufs_entry, FILE_, FATTR) },
	{ ZUFS_OP_GETATTR, IN(zufs_getattr_in, FILE_, 7, 0x7ff), "",
	  "inode 2 fh 7 mask 7ff", IN(zufs_attr, 2, 3, 3, 4, 5, { 6, 7 }, { 8, 9 },
				      { 10, 11 }, { 12, 13 }, S_IFREG | 0644, 14, 15, 16,
				      17, 18, 0, 19) },
	{ ZUFS_OP_SETATTR, IN(zufs_setattr_in, FILE_, 1, 2, { 3, 4 }, { 5, 6 }, { 7, 8 },
			      ZUFS_SET_ALL, 0600, 9, 10, ZUFS_ATTR_SETTABLE, 11), "",
	  "inode 2 fh 1 size 2 atime 3.4 mtime 5.6 ctime 7.8 valid 1ff mode 600 uid 9 gid 10 flags 7f0 projid 11",
	  IN(zufs_attr, 2, 3, 3, 4, 5, { 6, 7 }, { 8, 9 }, { 10, 11 }, { 12, 13 },
	     S_IFREG | 0644, 14, 15, 16, 17, 18, 0, 19) },
	{ ZUFS_OP_CREATE, IN(zufs_create_in, ROOT, { 1, 2 }, S_IFREG | 0644, 3, 4, 5, 6, 1),
	  "n", "dir 1 name n target  now 1.2 mode 100644 uid 3 gid 4 rdev 5:6",
	  IN(zufs_create_out, { FILE_, FATTR }, DATTR) },
	{ ZUFS_OP_CREATE_OPEN, IN(zufs_create_open_in,
				  { ROOT, { 1, 2 }, S_IFREG | 0644, 3, 4, 5, 6, 1 }, 0x42),
	  "n", "dir 1 name n now 1.2 mode 100644 uid 3 gid 4 flags 42",
	  IN(zufs_create_open_out, { { FILE_, FATTR }, DATTR }, 99, 1) },
	{ ZUFS_OP_MKDIR, IN(zufs_create_in, ROOT, { 1, 2 }, S_IFDIR | 0755, 3, 4, 0, 0, 1),
	  "n", "dir 1 name n target  now 1.2 mode 40755 uid 3 gid 4 rdev 0:0",
	  IN(zufs_create_out, { FILE_, ATTR(2, S_IFDIR | 0755) }, DATTR) },
	{ ZUFS_OP_MKNOD, IN(zufs_create_in, ROOT, { 1, 2 }, S_IFIFO | 0600, 3, 4, 5, 6, 1),
	  "n", "dir 1 name n target  now 1.2 mode 10600 uid 3 gid 4 rdev 5:6",
	  IN(zufs_create_out, { FILE_, ATTR(2, S_IFIFO | 0600) }, DATTR) },
	{ ZUFS_OP_SYMLINK, IN(zufs_create_in, ROOT, { 1, 2 }, S_IFLNK | 0777, 3, 4, 0, 0, 1,
			      3), "n/to",
	  "dir 1 name n target /to now 1.2 mode 120777 uid 3 gid 4 rdev 0:0",
	  IN(zufs_create_out, { FILE_, ATTR(2, S_IFLNK | 0777) }, DATTR) },
	{ ZUFS_OP_TMPFILE, IN(zufs_create_in, ROOT, { 1, 2 }, S_IFREG | 0600, 3, 4), "",
	  "dir 1 name  target  now 1.2 mode 100600 uid 3 gid 4 rdev 0:0",
	  IN(zufs_entry, FILE_, { 2, 3, 3, 4, 5, { 6, 7 }, { 8, 9 }, { 10, 11 }, { 12, 13 },
				  S_IFREG | 0600, 0, 15, 16, 17, 18, 0, 19 }) },
	{ ZUFS_OP_LINK, IN(zufs_link_in, FILE_, ROOT, { 1, 2 }, 1), "n",
	  "inode 2 dir 1 name n now 1.2", IN(zufs_link_out, FATTR, DATTR) },
	{ ZUFS_OP_UNLINK, IN(zufs_unlink_in, ROOT, FILE_, { 1, 2 }, 1), "n",
	  "inode 2 dir 1 name n now 1.2", IN(zufs_link_out, FATTR, DATTR) },
	{ ZUFS_OP_RMDIR, IN(zufs_unlink_in, ROOT, FILE_, { 1, 2 }, 1), "n",
	  "inode 2 dir 1 name n now 1.2", IN(zufs_link_out, FATTR, DATTR) },
	{ ZUFS_OP_RENAME, IN(zufs_rename_in, ROOT, ROOT, FILE_, ROOT, { 1, 2 }, 1, 2, 3),
	  "ONnew", "old 1 ON new 1 new inode 2 target 1 now 1.2 flags 1",
	  IN(zufs_rename_out, DATTR, DATTR, FATTR, ATTR(3, S_IFREG | 0644)) },
	{ ZUFS_OP_RENAME, IN(zufs_rename_in, ROOT, ROOT, FILE_, 0, { 1, 2 }, 0, 2, 3),
	  "ONnew", "old 1 ON new 1 new inode 2 target 0 now 1.2 flags 0",
	  IN(zufs_rename_out, DATTR, DATTR, FATTR) },
	{ ZUFS_OP_READDIR, IN(zufs_readdir_in, ROOT, 5, 9), "", "dir 1 fh 5 cookie 9",
	  IN(zufs_readdir_out, 2, 1), 32 + 40 },
	{ ZUFS_OP_READDIR, IN(zufs_readdir_in, ROOT, 5, 9, ZUFS_READDIR_PLUS), "",
	  "dir 1 fh 5 cookie 9", IN(zufs_readdir_out, 2, 1), 144 + 32 + 144 + 40 },
	{ ZUFS_OP_READLINK, IN(zufs_readlink_in, FILE_), "", "inode 2", NONE, 6 },
	{ ZUFS_OP_GETXATTR, IN(zufs_getxattr_in, FILE_, 100, 6, "user.a"), "",
	  "inode 2 name user.a", IN(zufs_getxattr_out, 5), 5 },
	{ ZUFS_OP_GETXATTR, IN(zufs_getxattr_in, FILE_, 0, 6, "user.a"), "",
	  "inode 2 name user.a", IN(zufs_getxattr_out, 5) },
	{ ZUFS_OP_SETXATTR, IN(zufs_setxattr_in, FILE_, { 1, 2 },
			       ZUFS_XATTR_CREATE | ZUFS_XATTR_MODE, 0640, 3, 6, "user.a"),
	  "abc", "inode 2 name user.a value abc now 1.2 flags 9 mode 640",
	  IN(zufs_attr, 2, 3, 3, 4, 5, { 6, 7 }, { 8, 9 }, { 10, 11 }, { 12, 13 },
	     S_IFREG | 0644, 14, 15, 16, 17, 18, 0, 19) },
	{ ZUFS_OP_LISTXATTR, IN(zufs_listxattr_in, FILE_), "", "inode 2", NONE, 14 },
	{ ZUFS_OP_OPEN, IN(zufs_open_in, FILE_, 2), "", "inode 2 flags 2",
	  IN(zufs_open_out, 0x1234567812345678) },
	{ ZUFS_OP_MAP, IN(zufs_map_in, FILE_, 1, 100, 8000, 9000, ZUFS_MAP_READ, 2), "",
	  "inode 2 fh 1 off 100 len 8000 size 9000 flags 1 max 2", NONE, 64 },
	{ ZUFS_OP_MAP_DONE, IN(zufs_map_done_in, FILE_, 1, 2, 3, 4, 7, { 5, 6 }, 2), "",
	  "inode 2 fh 1 map 2 off 3 written 4 size 7 flags 2",
	  IN(zufs_attr, 2, 3, 3, 4, 5, { 6, 7 }, { 8, 9 }, { 10, 11 }, { 12, 13 },
	     S_IFREG | 0644, 14, 15, 16, 17, 18, 0, 19) },
	{ ZUFS_OP_WRITE, IN(zufs_write_in, FILE_, 1, 2, 3, { 4, 5 }, 4), "data",
	  "inode 2 fh 1 off 2 size 3 mtime 4.5 data data", IN(zufs_write_out, 2, FATTR) },
	{ ZUFS_OP_FALLOCATE, IN(zufs_fallocate_in, FILE_, 1, 2, 3, 4, { 5, 6 }, 7), "",
	  "inode 2 fh 1 off 2 len 3 size 4 now 5.6 mode 7",
	  IN(zufs_attr, 2, 3, 3, 4, 5, { 6, 7 }, { 8, 9 }, { 10, 11 }, { 12, 13 },
	     S_IFREG | 0644, 14, 15, 16, 17, 18, 0, 19) },
	{ ZUFS_OP_COPY, IN(zufs_copy_in, FILE_, 1, ROOT, 2, 3, 4, 10, 5, { 6, 7 }), "",
	  "to 2 fh 1 off 3 from 1 fh 2 off 4 len 10 now 6.7 flags 0",
	  IN(zufs_copy_out, 9, FATTR) },
	{ ZUFS_OP_COPY, IN(zufs_copy_in, FILE_, 1, ROOT, 2, 4096, 8192, 9, 5, { 6, 7 },
			   ZUFS_COPY_CLONE), "",
	  "to 2 fh 1 off 4096 from 1 fh 2 off 8192 len 9 now 6.7 flags 1",
	  IN(zufs_copy_out, 9, FATTR) },
	{ ZUFS_OP_LOCK, IN(zufs_lock_in, FILE_, 1, 0x123456789abcdef0, 3, 5, 6, ZUFS_LOCK_GET,
			   ZUFS_LOCK_RDLCK, ZUFS_LOCK_OFD), "",
	  "inode 2 fh 1 owner 123456789abcdef0 [3, 5] pid 6 type 1 flags 4 get 1",
	  IN(zufs_lock_out, 5, 6, ZUFS_LOCK_WRLCK, 7, ZUFS_LOCK_OFD) },
	{ ZUFS_OP_LOCK, IN(zufs_lock_in, FILE_, 1, 2, 3, ZUFS_LOCK_END, 6, ZUFS_LOCK_SET,
			   ZUFS_LOCK_WRLCK, ZUFS_LOCK_FLOCK | ZUFS_LOCK_WAIT), "",
	  "inode 2 fh 1 owner 2 [3, 9223372036854775807] pid 6 type 2 flags 9 get 0",
	  IN(zufs_lock_out, 0) },
	{ ZUFS_OP_LOCK, IN(zufs_lock_in, FILE_, 0, 2, 0, 0, 6, ZUFS_LOCK_SET, ZUFS_LOCK_UNLCK,
			   ZUFS_LOCK_POSIX), "",
	  "inode 2 fh 0 owner 2 [0, 0] pid 6 type 0 flags 2 get 0", IN(zufs_lock_out, 0) },
	{ ZUFS_OP_IOCTL, IN(zufs_ioctl_in, FILE_, 1, 0x1234, 3, 5, ZUFS_IOCTL_WRITE), "abc",
	  "inode 2 fh 1 cmd 1234 in abc out 5 flags 2", IN(zufs_ioctl_out, 7), 5 },
	{ ZUFS_OP_IGET, IN(zufs_iget_in, 2, 3), "", "ino 2 gen 3", IN(zufs_entry, FILE_, FATTR) },
	{ ZUFS_OP_PARENT, IN(zufs_parent_in, ROOT), "", "dir 1", IN(zufs_entry, ROOT, DATTR) },
	{ ZUFS_OP_FSYNC, IN(zufs_fsync_in, FILE_, 1, 2, 3, 1), "",
	  "inode 2 fh 1 off 2 len 3 datasync 1", NONE },
};

#define BAD_LOCKS	10
#define MESSAGES	((int)(sizeof(messages) / sizeof(messages[0])))

static struct zus_local *fs;
static char reply[4096], out[1024];

static void setup(void)
{
	answer = 0;
	fs = unit_mount(&plugin, "o=1", 1, 8 << 20);
}

static void teardown(void)
{
	zus_local_umount(fs);
}

static struct zus_local_call call_of(const struct message *m)
{
	return (struct zus_local_call) {
		.op = m->op, .in = m->in, .in_bytes = m->in_bytes, .payload = m->payload,
		.payload_bytes = (uint32_t)strlen(m->payload) +
				 (m->op == ZUFS_OP_REMOUNT ? 1 : 0),
		.reply = reply, .reply_max_bytes = sizeof(reply),
		.out = out, .out_bytes = sizeof(out),
	};
}

static int send(struct zus_local_call *call)
{
	noted("nobody was called");
	return zus_local_call(fs, call);
}

START_TEST(mount_passes_all)
{
	ck_assert_str_eq(note, "devices 1 off 2097152 node 0 flags 0 slots 64 inc 1 options 'o=1'");
}
END_TEST

START_TEST(message_goes_and_comes)
{
	const struct message *m = &messages[_i];
	struct zus_local_call call = call_of(m);

	ck_assert_msg(!send(&call), "op %u: %s", m->op, zus_local_broken_rule());
	if (m->got)
		ck_assert_str_eq(note, m->got);
	ck_assert_msg(!m->out || !memcmp(m->out, out, m->out_bytes), "op %u: reply", m->op);
	ck_assert_uint_eq(call.reply_bytes, m->reply_bytes);
}
END_TEST

/* A newer kernel's fixed part is longer: the rest is ignored. */
START_TEST(unknown_tail_is_ignored)
{
	const struct message *m = &messages[_i];
	struct zus_local_call call = call_of(m);
	char longer[1024];

	memset(longer, 0xff, sizeof(longer));
	if (m->in)
		memcpy(longer, m->in, m->in_bytes);
	call.in = longer;
	call.in_bytes = sizeof(longer);
	ck_assert_int_eq(send(&call), 0);
	if (m->got)
		ck_assert_str_eq(note, m->got);
}
END_TEST

/* An older one's is shorter: what lies behind it in the region is not read. */
START_TEST(missing_tail_is_zero)
{
	const struct message *m = &messages[_i];
	struct zus_local_call call = call_of(m);
	char full[1024] = { 0 }, first[2048];
	uint32_t bytes;
	int err;

	for (bytes = 0; bytes < m->in_bytes; bytes += 4) {
		call.in = m->in;
		call.in_bytes = bytes;
		err = send(&call);
		memcpy(first, note, sizeof(note));
		memset(full, 0, sizeof(full));
		memcpy(full, m->in, bytes);
		call.in = full;
		call.in_bytes = m->in_bytes;
		ck_assert_int_eq(send(&call), err);
		ck_assert_str_eq(note, first);
	}
}
END_TEST

START_TEST(errors_pass)
{
	static const struct { int answer, want; } cases[] = {
		{ -ENOSPC, -ENOSPC }, { -511, -511 }, { -512, -EIO }, { 2, -EIO },
		{ 1000, -EIO }, { ZUS_BUSY_RETRY, ZUS_BUSY_RETRY },
	};
	const struct message *m = &messages[_i];
	struct zus_local_call call;
	unsigned int i;

	if (!m->got)
		return;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer = cases[i].answer;
		call = call_of(m);
		ck_assert_int_eq(send(&call), cases[i].want);
	}
	answer = 0;
}
END_TEST

/* Handles of the fixed part, one after the other, become stale ones. */
START_TEST(stale_handles_are_refused)
{
	const struct message *m = &messages[_i];
	uint64_t wrong[] = { 0, 2ull << 32, ROOT | 2, UINT64_MAX, ROOT | 0xffffffff };
	uint64_t words[128];
	unsigned int i, w;

	if (m->op == ZUFS_OP_NOP)
		return;
	for (w = 0; w < m->in_bytes / 8 && w < 4; w++) {
		for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
			struct zus_local_call call = call_of(m);

			memcpy(words, m->in, m->in_bytes);
			if (words[w] != ROOT && words[w] != FILE_)
				continue;
			if (m->op == ZUFS_OP_RENAME && w == 3 && !wrong[i])
				continue;	/* "no target" */
			words[w] = wrong[i];
			call.in = words;
			ck_assert_int_eq(send(&call), -ESTALE);
			ck_assert_str_eq(note, "nobody was called");
		}
	}
}
END_TEST

START_TEST(readdir_and_map_payloads)
{
	/* no lease: this transport could not take one back */
	static const struct zufs_extent want[2] = {
		{ 0, 4096, 0, 0, ZUFS_EXT_HOLE, 0 },
		{ 4096, 8192, 2 << 20, 0, ZUFS_EXT_DATA, 0 },
	};
	struct zus_local_call call;
	const struct zufs_dirent *de = (void *)reply;
	int i;

	for (i = 0; messages[i].op != ZUFS_OP_READDIR; i++)
		;
	call = call_of(&messages[i]);
	ck_assert_int_eq(send(&call), 0);
	ck_assert(de->ino == 21 && de->cookie == 10 && de->type == DT_REG);
	ck_assert_int_eq(memcmp(de + 1, "a\0\0\0\0\0\0", 8), 0);
	de = (void *)(reply + 32);
	ck_assert(de->ino == 22 && de->name_bytes == 9 && de->type == DT_DIR);
	ck_assert_int_eq(memcmp(de + 1, "long-name\0\0\0\0\0\0", 16), 0);
	for (i = 0; messages[i].op != ZUFS_OP_MAP; i++)
		;
	call = call_of(&messages[i]);
	ck_assert_int_eq(send(&call), 0);
	ck_assert_int_eq(memcmp(reply, want, sizeof(want)), 0);
	ck_assert_uint_eq(((struct zufs_map_out *)out)->count, 2);
	ck_assert_uint_eq(((struct zufs_map_out *)out)->epoch, 0);
	ck_assert_int_eq(send(&call), 0);
	ck_assert_uint_ge(((struct zufs_map_out *)out)->lease_seq, 2);
}
END_TEST

/* A plugin is asked for what its own zus.h has: no report, and no more than 64 MiB. */
START_TEST(older_plugins_are_asked_as_before)
{
	const struct zufs_map_in in = { FILE_, 1, 100, 1 << 30, 1 << 30,
					ZUFS_MAP_READ | ZUFS_MAP_REPORT, 2 };
	struct zus_local_call call = {
		.op = ZUFS_OP_MAP, .in = &in, .in_bytes = sizeof(in), .payload = "",
		.reply = reply, .reply_max_bytes = sizeof(reply),
		.out = out, .out_bytes = sizeof(out),
	};
	struct zus_plugin older = plugin;

	ck_assert_int_eq(send(&call), 0);
	ck_assert_str_eq(note, "inode 2 fh 1 off 100 len 1073741824 size 1073741824 flags 33 max 2");
	teardown();
	older.abi_minor = 2;
	older.mount_ops_bytes = ZUS_MOUNT_OPS_FIRST_BYTES;
	older.inode_ops_bytes = ZUS_INODE_OPS_FIRST_BYTES;
	older.file_ops_bytes = ZUS_FILE_OPS_FIRST_BYTES;
	fs = unit_mount(&older, "", 1, 8 << 20);
	ck_assert_int_eq(send(&call), 0);
	ck_assert_str_eq(note, "inode 2 fh 1 off 100 len 67108864 size 1073741824 flags 1 max 2");
}
END_TEST

/* What a new inode has from the start; and every way in which the list may be wrong. */
START_TEST(create_brings_xattrs)
{
	struct zufs_create_in in = { .dir = ROOT, .mode = S_IFREG | 0644, .name_bytes = 1 };
	struct { char name; char list[128]; } payload = { 'n', { 0 } };
	struct zus_local_call call = {
		.op = ZUFS_OP_CREATE, .in = &in, .in_bytes = sizeof(in),
		.payload = &payload, .payload_bytes = sizeof(payload),
		.out = out, .out_bytes = sizeof(out),
	};
	struct zufs_xattr a = { 6, 3 }, b = { 10, 0 };
	static const struct { uint32_t name_bytes, value_bytes, list_bytes; } wrong[] = {
		{ 6, 3, 7 }, { 6, 3, 16 }, { 0, 3, 24 }, { 256, 3, 128 }, { 6, 115, 128 },
		{ 6, 0xfffffff0, 128 }, { 0xffffffff, 8, 128 }, { 6, 3, 129 },
		{ 6, 3, 0xffffffff }, { 7, 3, 24 },
	};
	size_t i;

	memcpy(payload.list, &a, sizeof(a));
	memcpy(payload.list + 8, "user.a123", 9);
	memcpy(payload.list + 24, &b, sizeof(b));
	memcpy(payload.list + 32, "security.b", 10);
	in.xattrs_bytes = 48;
	ck_assert_int_eq(send(&call), 0);
	ck_assert_str_eq(note, "dir 1 name n target  now 0.0 mode 100644 uid 0 gid 0 rdev 0:0 user.a=123 security.b=");
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		a = (struct zufs_xattr) { wrong[i].name_bytes, wrong[i].value_bytes };
		memcpy(payload.list, &a, sizeof(a));
		payload.list[8] = i == 9 ? 0 : 'u';
		in.xattrs_bytes = wrong[i].list_bytes;
		ck_assert_int_eq(send(&call), -EPROTO);
		ck_assert_str_eq(note, "nobody was called");
	}
	/* more than there may be, each of them right */
	for (i = 0; i < 5; i++) {
		a = (struct zufs_xattr) { 6, 3 };
		memcpy(&payload.list[i * 24], &a, sizeof(a));
		memcpy(&payload.list[i * 24 + 8], "user.a123", 9);
	}
	in.xattrs_bytes = 4 * 24;
	ck_assert_int_eq(send(&call), 0);
	in.xattrs_bytes = 5 * 24;
	ck_assert_int_eq(send(&call), -EPROTO);
}
END_TEST

/* So may what a rename leaves behind. */
START_TEST(a_whiteout_brings_xattrs)
{
	struct zufs_rename_in in = {
		.old_dir = ROOT, .new_dir = ROOT, .inode = FILE_, .flags = 4, .old_bytes = 1,
		.new_bytes = 1, .xattrs_bytes = 24,
	};
	struct { char names[2]; char list[24]; } payload = { "on", { 0 } };
	struct zus_local_call call = {
		.op = ZUFS_OP_RENAME, .in = &in, .in_bytes = sizeof(in),
		.payload = &payload, .payload_bytes = sizeof(payload),
		.out = out, .out_bytes = sizeof(out),
	};
	struct zufs_xattr xattr = { 10, 5 };

	memcpy(payload.list, &xattr, sizeof(xattr));
	memcpy(payload.list + 8, "security.xlabel", 15);
	ck_assert_int_eq(send(&call), 0);
	ck_assert_str_eq(note, "old 1 o new 1 n inode 2 target 0 now 0.0 flags 4 security.x=label");
	in.xattrs_bytes = 25;
	ck_assert_int_eq(send(&call), -EPROTO);
	ck_assert_str_eq(note, "nobody was called");
}
END_TEST

START_TEST(bad_locks_are_refused)
{
	static const struct zufs_lock_in bad[] = {
		{ FILE_, 0, 1, 6, 5, 0, ZUFS_LOCK_SET, ZUFS_LOCK_WRLCK, ZUFS_LOCK_POSIX },
		{ FILE_, 0, 1, 0, ZUFS_LOCK_END + 1, 0, ZUFS_LOCK_SET, ZUFS_LOCK_WRLCK, ZUFS_LOCK_OFD },
		{ FILE_, 0, 1, 0, 5, 0, 0, ZUFS_LOCK_WRLCK, ZUFS_LOCK_POSIX },
		{ FILE_, 0, 1, 0, 5, 0, 3, ZUFS_LOCK_WRLCK, ZUFS_LOCK_POSIX },
		{ FILE_, 0, 1, 0, 5, 0, ZUFS_LOCK_SET, 3, ZUFS_LOCK_POSIX },
		{ FILE_, 0, 1, 0, 5, 0, ZUFS_LOCK_SET, ZUFS_LOCK_WRLCK, ZUFS_LOCK_WAIT },
		{ FILE_, 0, 1, 0, 5, 0, ZUFS_LOCK_SET, ZUFS_LOCK_WRLCK, ZUFS_LOCK_POSIX | ZUFS_LOCK_OFD },
		{ FILE_, 0, 1, 0, 5, 0, ZUFS_LOCK_SET, ZUFS_LOCK_WRLCK, ZUFS_LOCK_OFD | 0x10 },
		{ FILE_, 0, 1, 0, 5, 0, ZUFS_LOCK_GET, ZUFS_LOCK_UNLCK, ZUFS_LOCK_POSIX },
		{ FILE_, 0, 1, 0, 5, 0, ZUFS_LOCK_GET, ZUFS_LOCK_WRLCK, ZUFS_LOCK_FLOCK },
	};
	struct zus_local_call call = {
		.op = ZUFS_OP_LOCK, .in = &bad[_i], .in_bytes = sizeof(bad[_i]),
		.out = out, .out_bytes = sizeof(out),
	};

	ck_assert_uint_eq(sizeof(bad) / sizeof(bad[0]), BAD_LOCKS);
	ck_assert_int_eq(send(&call), -EPROTO);
	ck_assert_str_eq(note, "nobody was called");
}
END_TEST

static int batch(const struct zufs_forced *msg, uint32_t count, uint32_t said)
{
	struct zufs_batch_in in = { .count = said };
	struct zus_local_call call = {
		.op = ZUFS_OP_BATCH, .in = &in, .in_bytes = sizeof(in), .payload = msg,
		.payload_bytes = count * sizeof(*msg),
	};

	return send(&call);
}

START_TEST(forced_messages)
{
	struct zufs_forced msg[2] = {
		{ .mount = 1, .inode = FILE_, .arg = 9, .op = ZUFS_OP_RELEASE },
	};

	ck_assert_int_eq(batch(msg, 1, 1), 0);
	ck_assert_str_eq(note, "release 2 fh 9");
	msg[0].op = ZUFS_OP_INTERRUPT;
	ck_assert_int_eq(batch(msg, 1, 1), 0);
	ck_assert_str_eq(note, "interrupt 9 of 1");
	msg[0] = (struct zufs_forced) { 1, FILE_, 4, 5, 6, 7, 0, 0, ZUFS_OP_MAP_DONE, 0 };
	ck_assert_int_eq(batch(msg, 1, 1), 0);
	ck_assert_str_eq(note, "inode 2 fh 0 map 4 off 5 written 6 size 7 flags 2 forced");
	msg[1] = (struct zufs_forced) { 1, FILE_, 4, 5, 0, 7, 0, 0, ZUFS_OP_LOCK, ZUFS_LOCK_OFD };
	ck_assert_int_eq(batch(msg + 1, 1, 1), 0);
	ck_assert_str_eq(note, "inode 2 fh 0 owner 4 [5, 7] pid 0 type 0 flags 4 get 0 forced");
	msg[1].off = 8;
	ck_assert_int_eq(batch(msg + 1, 1, 1), 0);
	ck_assert_str_eq(note, "nobody was called");
	/* A wrong one stops no other; they never fail. */
	msg[1] = msg[0];
	msg[0].inode = 77;
	ck_assert_int_eq(batch(msg, 2, 2), 0);
	ck_assert_str_eq(note, "inode 2 fh 0 map 4 off 5 written 6 size 7 flags 2 forced");
	msg[0].op = ZUFS_OP_MKDIR;
	ck_assert_int_eq(batch(msg, 1, 1), 0);
	ck_assert_str_eq(note, "nobody was called");
	ck_assert_int_eq(batch(msg, 2, 3), -EPROTO);
	ck_assert_int_eq(batch(msg, 2, 0xffffffff), -EPROTO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("messages");
	TCase *tc = tcase_create("messages");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, mount_passes_all);
	tcase_add_loop_test(tc, message_goes_and_comes, 0, MESSAGES);
	tcase_add_loop_test(tc, unknown_tail_is_ignored, 0, MESSAGES);
	tcase_add_loop_test(tc, missing_tail_is_zero, 0, MESSAGES);
	tcase_add_loop_test(tc, errors_pass, 0, MESSAGES);
	tcase_add_loop_test(tc, stale_handles_are_refused, 0, MESSAGES);
	tcase_add_test(tc, readdir_and_map_payloads);
	tcase_add_test(tc, older_plugins_are_asked_as_before);
	tcase_add_test(tc, create_brings_xattrs);
	tcase_add_test(tc, a_whiteout_brings_xattrs);
	tcase_add_loop_test(tc, bad_locks_are_refused, 0, BAD_LOCKS);
	tcase_add_test(tc, forced_messages);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
