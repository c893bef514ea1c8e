// SPDX-License-Identifier: GPL-2.0
/*
 * Replies are hostile input. The header is read from the region once, the parts
 * are copied before they are looked at, and only the copies are used. A reply
 * that breaks a rule fails its operation with EIO, is counted under the rule's
 * name, and is logged once a mount and rule.
 */

#include "relay.h"

#define OP(n, in_type, out_type, op_flags, op_check, op_undo) {		\
	.name = n, .in_bytes = in_type, .out_bytes = out_type,		\
	.flags = op_flags, .check = op_check, .undo = op_undo }
#define S(t) sizeof(struct t)

const struct zuf_op zuf_ops[ZUFS_OP_COUNT] = {
	[0]		  = OP("none", 0, 0, 0, NULL, NULL),
	[ZUFS_OP_NOP]	  = OP("nop", S(zufs_nop), S(zufs_nop), 0, NULL, NULL),
	[ZUFS_OP_MOUNT]	  = OP("mount", S(zufs_mount_in), S(zufs_mount_out), 0,
			       zuf_check_mount, zuf_undo_mount),
	[ZUFS_OP_UMOUNT]  = OP("umount", 0, 0, ZUF_OPF_SETTLES, NULL, NULL),
	[ZUFS_OP_REMOUNT] = OP("remount", S(zufs_remount_in), 0, 0, NULL, NULL),
	[ZUFS_OP_STATFS]  = OP("statfs", 0, S(zufs_statfs_out), 0, zuf_check_statfs, NULL),
	[ZUFS_OP_SYNCFS]  = OP("syncfs", S(zufs_syncfs_in), 0, 0, NULL, NULL),
	[ZUFS_OP_FREEZE]  = OP("freeze", S(zufs_freeze_in), 0, 0, NULL, NULL),
	[ZUFS_OP_LOOKUP]  = OP("lookup", S(zufs_lookup_in), S(zufs_entry), 0,
			       zuf_check_lookup, zuf_undo_lookup),
	[ZUFS_OP_GETATTR] = OP("getattr", S(zufs_getattr_in), S(zufs_attr), 0,
			       zuf_check_getattr, NULL),
	[ZUFS_OP_SETATTR] = OP("setattr", S(zufs_setattr_in), S(zufs_attr), ZUF_OPF_CHANGES,
			       zuf_check_getattr, NULL),
	[ZUFS_OP_CREATE]  = OP("create", S(zufs_create_in), S(zufs_create_out),
			       ZUF_OPF_CHANGES, zuf_check_create, zuf_undo_create),
	[ZUFS_OP_CREATE_OPEN] = OP("create_open", S(zufs_create_open_in),
				   S(zufs_create_open_out), ZUF_OPF_CHANGES,
				   zuf_check_create_open, zuf_undo_create_open),
	[ZUFS_OP_MKDIR]	  = OP("mkdir", S(zufs_create_in), S(zufs_create_out),
			       ZUF_OPF_CHANGES, zuf_check_create, zuf_undo_create),
	[ZUFS_OP_MKNOD]	  = OP("mknod", S(zufs_create_in), S(zufs_create_out),
			       ZUF_OPF_CHANGES, zuf_check_create, zuf_undo_create),
	[ZUFS_OP_SYMLINK] = OP("symlink", S(zufs_create_in), S(zufs_create_out),
			       ZUF_OPF_CHANGES, zuf_check_create, zuf_undo_create),
	[ZUFS_OP_LINK]	  = OP("link", S(zufs_link_in), S(zufs_link_out), ZUF_OPF_CHANGES,
			       zuf_check_link, NULL),
	[ZUFS_OP_UNLINK]  = OP("unlink", S(zufs_unlink_in), S(zufs_link_out),
			       ZUF_OPF_CHANGES, zuf_check_link, zuf_undo_remove),
	[ZUFS_OP_RMDIR]	  = OP("rmdir", S(zufs_unlink_in), S(zufs_link_out),
			       ZUF_OPF_CHANGES, zuf_check_link, zuf_undo_remove),
	[ZUFS_OP_RENAME]  = OP("rename", S(zufs_rename_in), S(zufs_rename_out),
			       ZUF_OPF_CHANGES, zuf_check_rename, zuf_undo_rename),
	[ZUFS_OP_READDIR] = { .name = "readdir", .in_bytes = S(zufs_readdir_in),
			      .out_bytes = S(zufs_readdir_out), .check = zuf_check_readdir,
			      .undo_payload = zuf_undo_readdir },
	[ZUFS_OP_READLINK] = OP("readlink", S(zufs_readlink_in), 0, 0,
				zuf_check_readlink, NULL),
	[ZUFS_OP_OPEN]	  = OP("open", S(zufs_open_in), S(zufs_open_out), 0, NULL,
			       zuf_undo_open),
	[ZUFS_OP_RELEASE] = OP("release", 0, 0, ZUF_OPF_SETTLES, NULL, NULL),
	[ZUFS_OP_MAP]	  = { .name = "map", .in_bytes = S(zufs_map_in),
			      .out_bytes = S(zufs_map_out), .check = zuf_check_map,
			      .take = zuf_take_map, .undo = zuf_undo_map },
	[ZUFS_OP_MAP_DONE] = OP("map_done", S(zufs_map_done_in), S(zufs_attr),
				ZUF_OPF_CHANGES | ZUF_OPF_SETTLES, zuf_check_map_done, NULL),
	[ZUFS_OP_WRITE]	  = OP("write", S(zufs_write_in), S(zufs_write_out),
			       ZUF_OPF_CHANGES, zuf_check_write, NULL),
	[ZUFS_OP_FSYNC]	  = OP("fsync", S(zufs_fsync_in), 0, 0, NULL, NULL),
	[ZUFS_OP_BATCH]	  = OP("batch", S(zufs_batch_in), 0, ZUF_OPF_SETTLES, NULL, NULL),
	[ZUFS_OP_FORGET]  = OP("forget", 0, 0, 0, NULL, NULL),
	[ZUFS_OP_INTERRUPT] = OP("interrupt", 0, 0, 0, NULL, NULL),
	[ZUFS_OP_IOCTL]	  = OP("ioctl", S(zufs_ioctl_in), S(zufs_ioctl_out), 0,
			       zuf_check_ioctl, NULL),
	[ZUFS_OP_IGET]	  = OP("iget", S(zufs_iget_in), S(zufs_entry), 0, zuf_check_iget,
			       zuf_undo_lookup),
	[ZUFS_OP_PARENT]  = OP("parent", S(zufs_parent_in), S(zufs_entry), 0,
			       zuf_check_parent, zuf_undo_lookup),
	[ZUFS_OP_FALLOCATE] = OP("fallocate", S(zufs_fallocate_in), S(zufs_attr),
				 ZUF_OPF_CHANGES, zuf_check_getattr, NULL),
	[ZUFS_OP_COPY]	  = OP("copy", S(zufs_copy_in), S(zufs_copy_out), ZUF_OPF_CHANGES,
			       zuf_check_copy, NULL),
	[ZUFS_OP_LOCK]	  = OP("lock", S(zufs_lock_in), S(zufs_lock_out), ZUF_OPF_CHANGES,
			       zuf_check_lock, zuf_undo_lock),
	[ZUFS_OP_TMPFILE] = OP("tmpfile", S(zufs_create_in), S(zufs_entry), ZUF_OPF_CHANGES,
			       zuf_check_tmpfile, zuf_undo_lookup),
	[ZUFS_OP_GETXATTR] = OP("getxattr", S(zufs_getxattr_in), S(zufs_getxattr_out), 0,
				zuf_check_getxattr, NULL),
	[ZUFS_OP_SETXATTR] = OP("setxattr", S(zufs_setxattr_in), S(zufs_attr),
				ZUF_OPF_CHANGES, zuf_check_getattr, zuf_undo_setxattr),
	[ZUFS_OP_LISTXATTR] = OP("listxattr", S(zufs_listxattr_in), 0, 0,
				 zuf_check_listxattr, NULL),
};

const char *const zuf_rule_names[ZUF_RULE_COUNT] = {
	[ZUF_RULE_OK]		 = "ok",
	[ZUF_RULE_ID]		 = "id",
	[ZUF_RULE_ERR]		 = "err",
	[ZUF_RULE_SIZE]		 = "size",
	[ZUF_RULE_HANDLE]	 = "handle",
	[ZUF_RULE_INO]		 = "ino",
	[ZUF_RULE_TYPE]		 = "type",
	[ZUF_RULE_LOOP]		 = "loop",
	[ZUF_RULE_FILE_SIZE]	 = "file_size",
	[ZUF_RULE_TIME]		 = "time",
	[ZUF_RULE_OWNER]	 = "owner",
	[ZUF_RULE_NLINK]	 = "nlink",
	[ZUF_RULE_NAME]		 = "name",
	[ZUF_RULE_COOKIE]	 = "cookie",
	[ZUF_RULE_SYMLINK]	 = "symlink",
	[ZUF_RULE_EXTENT_RANGE]	 = "extent_range",
	[ZUF_RULE_EXTENT_ALIGN]	 = "extent_align",
	[ZUF_RULE_EXTENT_DEVICE] = "extent_device",
	[ZUF_RULE_EXTENT_TYPE]	 = "extent_type",
	[ZUF_RULE_WRITTEN]	 = "written",
	[ZUF_RULE_MOUNT]	 = "mount",
	[ZUF_RULE_EPOCH]	 = "epoch",
	[ZUF_RULE_WORD]		 = "word",
	[ZUF_RULE_STAY]		 = "stay",
	[ZUF_RULE_XATTR]	 = "xattr",
	[ZUF_RULE_LOCK]		 = "lock",
};

void zuf_rule_broken(struct zuf_mount *mount, u16 op, enum zuf_rule rule)
{
	if (atomic_long_inc_return(&mount->rule_count[rule]) == 1)
		pr_notice_ratelimited("zuf: mount %llu: a reply to %s breaks rule '%s': EIO (further ones are only counted)\n",
				      mount->id, zuf_ops[op].name, zuf_rule_names[rule]);
}

static bool time_ok(const struct zufs_time *time)
{
	return time->nsec < NSEC_PER_SEC;
}

static bool type_ok(u32 mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return !(mode & ~(S_IFMT | S_IALLUGO));
	default:
		return false;
	}
}

enum zuf_rule zuf_check_attr(struct zuf_mount *mount, const struct zufs_attr *attr,
			     const struct inode *live)
{
	struct super_block *sb = mount->sb;

	if (!attr->ino)
		return ZUF_RULE_INO;
	if (!type_ok(attr->mode))
		return ZUF_RULE_TYPE;
	if (live) {
		if ((attr->mode ^ READ_ONCE(live->i_mode)) & S_IFMT)
			return ZUF_RULE_TYPE;
		if (attr->ino != live->i_ino || attr->gen != zuf_i(live)->gen)
			return ZUF_RULE_INO;
	} else if (!attr->nlink) {
		return ZUF_RULE_NLINK;
	}
	if (attr->nlink > INT_MAX)
		return ZUF_RULE_NLINK;
	if (attr->size_bytes > sb->s_maxbytes)
		return ZUF_RULE_FILE_SIZE;
	if (!time_ok(&attr->atime) || !time_ok(&attr->mtime) || !time_ok(&attr->ctime) ||
	    !time_ok(&attr->btime))
		return ZUF_RULE_TIME;
	if (!uid_valid(make_kuid(sb->s_user_ns, attr->uid)) ||
	    !gid_valid(make_kgid(sb->s_user_ns, attr->gid)))
		return ZUF_RULE_OWNER;
	if ((S_ISCHR(attr->mode) || S_ISBLK(attr->mode)) &&
	    (attr->rdev_major >= 1u << (32 - MINORBITS) || attr->rdev_minor > MINORMASK))
		return ZUF_RULE_TYPE;
	return ZUF_RULE_OK;
}

enum zuf_rule zuf_check_entry(struct zuf_mount *mount, const struct zufs_entry *entry,
			      const struct inode *dir)
{
	const struct inode *root = mount->sb->s_root ? d_inode(mount->sb->s_root) : NULL;
	enum zuf_rule rule;

	if (!entry->handle)
		return ZUF_RULE_HANDLE;
	rule = zuf_check_attr(mount, &entry->attr, NULL);
	if (rule)
		return rule;
	/* d_splice_alias() finds the other ancestors */
	if (dir && entry->attr.ino == dir->i_ino && entry->attr.gen == zuf_i(dir)->gen)
		return ZUF_RULE_LOOP;
	if (root && entry->attr.ino == root->i_ino && entry->attr.gen == zuf_i(root)->gen)
		return ZUF_RULE_LOOP;
	return ZUF_RULE_OK;
}

bool zuf_name_ok(const char *name, u32 name_bytes)
{
	if (!name_bytes || name_bytes > ZUFS_NAME_MAX)
		return false;
	if (memchr(name, '/', name_bytes) || memchr(name, 0, name_bytes))
		return false;
	if (name[0] == '.' && (name_bytes == 1 || (name_bytes == 2 && name[1] == '.')))
		return false;
	return true;
}

static enum zuf_rule take_parts(const struct zuf_channel *ch, const struct zufs_reply_hdr *hdr,
				struct zuf_reply *reply, u32 buf_max)
{
	const struct zuf_op *op = &zuf_ops[ch->op];
	u32 bytes = min_t(u32, hdr->fixed_bytes, op->out_bytes);

	if (hdr->fixed_bytes > ZUFS_PAYLOAD_OFF - ZUFS_FIXED_OFF ||
	    hdr->payload_bytes > ZUFS_PAYLOAD_MAX_BYTES)
		return ZUF_RULE_SIZE;
	/* a missing tail reads as zero, an unknown tail is ignored */
	if (op->out_bytes) {
		memcpy(reply->out, ch->reply + ZUFS_FIXED_OFF, bytes);
		memset(reply->out + bytes, 0, op->out_bytes - bytes);
	}
	if (!reply->call) {
		/* an orphan's payload has no reader */
		if (op->undo_payload)
			op->undo_payload(reply->mount, ch->request + ZUFS_FIXED_OFF,
					 ch->reply + ZUFS_PAYLOAD_OFF, hdr->payload_bytes);
		return ZUF_RULE_OK;
	}
	if (hdr->payload_bytes > buf_max)
		return ZUF_RULE_SIZE;
	memcpy(reply->buf, ch->reply + ZUFS_PAYLOAD_OFF, hdr->payload_bytes);
	reply->buf_bytes = hdr->payload_bytes;
	return op->check ? op->check(reply) : ZUF_RULE_OK;
}

int zuf_reply_take(const struct zuf_channel *ch, struct zuf_reply *reply, u32 buf_max)
{
	const struct zufs_reply_hdr *region = ch->reply;
	const struct zufs_reply_hdr hdr = {
		.fixed_bytes	= READ_ONCE(region->fixed_bytes),
		.err		= READ_ONCE(region->err),
		.id		= READ_ONCE(region->id),
		.flags		= READ_ONCE(region->flags),
		.payload_bytes	= READ_ONCE(region->payload_bytes),
	};
	enum zuf_rule rule = ZUF_RULE_OK;

	if (hdr.id != ch->id)
		rule = ZUF_RULE_ID;
	else if (hdr.err > 0 || hdr.err < ZUFS_ERR_MIN)
		rule = ZUF_RULE_ERR;
	if (unlikely(rule))
		goto out_broken;
	if (hdr.flags & ZUFS_REPLY_BUSY_RETRY)
		return -EAGAIN;
	if (hdr.err == -EAGAIN && ch->op == ZUFS_OP_LOCK)
		return -ZUF_ELOCKED;
	if (hdr.err)
		return hdr.err;
	rule = take_parts(ch, &hdr, reply, buf_max);
	if (likely(!rule)) {
		if (reply->call && zuf_ops[ch->op].take)
			zuf_ops[ch->op].take(reply);
		return 0;
	}
out_broken:
	zuf_rule_broken(reply->mount, ch->op, rule);
	return -EIO;
}
