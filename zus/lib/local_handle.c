// SPDX-License-Identifier: BSD-3-Clause
/*
 * local_handle.c - names and attributes for the local transport, of inodes by their
 * handles: encodes requests, locks as the kernel does, gives references back.
 */
#include <errno.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "local_vfs.h"

/* ------------------------------------------------------------------ helpers */

struct zufs_time local_now(void)
{
	struct zufs_time now = { 0 };
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	now.sec = ts.tv_sec;
	now.nsec = (uint32_t)ts.tv_nsec;
	return now;
}

/* Until the server no longer says "busy", or the caller is to end. */
int local_call_retry(struct zus_local *local, struct zus_local_call *call)
{
	int ret;

	while ((ret = zus_local_call(local, call)) == ZUS_BUSY_RETRY) {
		if (local_caller_killed())
			return -EINTR;
		sched_yield();
	}
	return ret;
}

int local_send(struct zus_local *local, uint16_t op, const void *in, uint32_t in_bytes,
	       const void *payload, uint32_t payload_bytes, void *out, uint32_t out_bytes)
{
	struct zus_local_call call = {
		.op = op, .in = in, .in_bytes = in_bytes, .payload = payload,
		.payload_bytes = payload_bytes, .out = out, .out_bytes = out_bytes,
	};

	return local_call_retry(local, &call);
}

pthread_rwlock_t *local_inode_lock(struct zus_local *local, uint64_t handle)
{
	return &local->inode_lock[(handle ^ handle >> 32) % LOCAL_LOCKS];
}

void local_lock_two(struct zus_local *local, uint64_t a, uint64_t b)
{
	pthread_rwlock_t *first = local_inode_lock(local, a);
	pthread_rwlock_t *second = local_inode_lock(local, b);

	pthread_rwlock_wrlock(first < second ? first : second);
	if (second != first)
		pthread_rwlock_wrlock(first < second ? second : first);
}

void local_unlock_two(struct zus_local *local, uint64_t a, uint64_t b)
{
	pthread_rwlock_t *first = local_inode_lock(local, a);
	pthread_rwlock_t *second = local_inode_lock(local, b);

	pthread_rwlock_unlock(first);
	if (second != first)
		pthread_rwlock_unlock(second);
}

void local_attr(struct zus_attr *to, const struct zufs_attr *from)
{
	*to = (struct zus_attr) {
		.ino = from->ino, .gen = from->gen, .size_bytes = from->size_bytes,
		.blocks_512 = from->blocks_512, .change = from->change,
		.atime = { from->atime.sec, from->atime.nsec, 0 },
		.mtime = { from->mtime.sec, from->mtime.nsec, 0 },
		.ctime = { from->ctime.sec, from->ctime.nsec, 0 },
		.btime = { from->btime.sec, from->btime.nsec, 0 },
		.mode = from->mode, .nlink = from->nlink, .uid = from->uid,
		.gid = from->gid, .rdev_major = from->rdev_major,
		.rdev_minor = from->rdev_minor, .flags = from->flags,
		.projid = from->projid,
	};
}

void local_entry(struct zus_local_entry *to, const struct zufs_entry *from)
{
	to->handle = from->handle;
	local_attr(&to->attr, &from->attr);
}

/* The root's one reference ends with the mount. */
void local_drop(struct zus_local *local, uint64_t handle)
{
	if (handle && handle != local->root)
		zus_local_forget(local, handle, 1);
}

void zus_local_info(struct zus_local *local, struct zus_local_info *info)
{
	local_entry(&info->root, &local->mounted.root);
	info->features = local->mounted.features;
	info->max_file_bytes = local->mounted.max_file_bytes;
	info->time_gran_ns = local->mounted.time_gran_ns;
	info->name_max = local->mounted.name_max;
	info->magic = local->mounted.magic;
}

/* ------------------------------------------------------------------- lookup */

/* Of what is answered as LOOKUP is. */
static int send_entry(struct zus_local *local, const struct zus_local_call *parts,
		      struct zus_local_entry *entry)
{
	struct zufs_entry out = { .handle = 0 };
	struct zus_local_call call = *parts;
	int err;

	call.out = &out;
	call.out_bytes = sizeof(out);
	err = local_call_retry(local, &call);
	if (!err)
		local_entry(entry, &out);
	return err;
}

/* With the directory locked. */
static int lookup(struct zus_local *local, uint64_t dir, const struct zus_name *name,
		  struct zus_local_entry *entry)
{
	struct zufs_lookup_in in = { .dir = dir, .name_bytes = name->bytes };
	struct zus_local_call call = {
		.op = ZUFS_OP_LOOKUP, .in = &in, .in_bytes = sizeof(in),
		.payload = name->str, .payload_bytes = name->bytes,
	};

	return name->bytes > ZUFS_NAME_MAX ? -ENAMETOOLONG : send_entry(local, &call, entry);
}

int zus_handle_lookup(struct zus_local *local, uint64_t dir, const struct zus_name *name,
		      struct zus_local_entry *entry)
{
	int err;

	pthread_rwlock_rdlock(local_inode_lock(local, dir));
	err = lookup(local, dir, name, entry);
	pthread_rwlock_unlock(local_inode_lock(local, dir));
	return err;
}

int zus_handle_iget(struct zus_local *local, uint64_t ino, uint64_t gen,
		    struct zus_local_entry *entry)
{
	struct zufs_iget_in in = { .ino = ino, .gen = gen };
	struct zus_local_call call = { .op = ZUFS_OP_IGET, .in = &in, .in_bytes = sizeof(in) };

	return send_entry(local, &call, entry);
}

int zus_handle_parent(struct zus_local *local, uint64_t dir, struct zus_local_entry *entry)
{
	struct zufs_parent_in in = { .dir = dir };
	struct zus_local_call call = { .op = ZUFS_OP_PARENT, .in = &in, .in_bytes = sizeof(in) };

	return send_entry(local, &call, entry);
}

/* ------------------------------------------------------------------- create */

static uint16_t create_op(const struct zus_create *args)
{
	if (!args->name.bytes)
		return ZUFS_OP_TMPFILE;
	switch (args->mode & S_IFMT) {
	case S_IFREG:
		return ZUFS_OP_CREATE;
	case S_IFDIR:
		return ZUFS_OP_MKDIR;
	case S_IFLNK:
		return ZUFS_OP_SYMLINK;
	default:
		return ZUFS_OP_MKNOD;
	}
}

static char *put_name(char *at, const struct zus_name *name)
{
	if (name->bytes)
		memcpy(at, name->str, name->bytes);
	return at + name->bytes;
}

static char *put_xattr(char *at, const struct zus_xattr *xattr)
{
	struct zufs_xattr head = {
		.name_bytes = xattr->name.bytes, .value_bytes = xattr->value_bytes,
	};

	memcpy(at, &head, sizeof(head));
	memcpy(put_name(at + sizeof(head), &xattr->name), xattr->value, xattr->value_bytes);
	return at + ZUFS_XATTR_BYTES(head.name_bytes, head.value_bytes);
}

/* Name, target and extended attributes, as CREATE carries them; NULL: no memory. */
static char *create_payload(const struct zus_create *args, struct zufs_create_in *in)
{
	uint64_t bytes = 0;
	char *payload, *at;
	uint32_t i;

	for (i = 0; i < args->num_xattrs; i++)
		bytes += ZUFS_XATTR_BYTES((uint64_t)args->xattrs[i].name.bytes,
					  args->xattrs[i].value_bytes);
	in->name_bytes = args->name.bytes;
	in->target_bytes = args->target.bytes;
	in->xattrs_bytes = (uint32_t)bytes;
	payload = calloc(1, bytes + args->name.bytes + args->target.bytes + 1);
	if (!payload)
		return NULL;
	at = put_name(put_name(payload, &args->name), &args->target);
	for (i = 0; i < args->num_xattrs; i++)
		at = put_xattr(at, &args->xattrs[i]);
	return payload;
}

static int check_create(const struct zus_create *args)
{
	if (args->name.bytes > ZUFS_NAME_MAX || args->target.bytes > ZUFS_SYMLINK_MAX)
		return -ENAMETOOLONG;
	if (S_ISLNK(args->mode) && !args->target.bytes)
		return -ENOENT;
	return args->num_xattrs > ZUFS_CREATE_XATTRS_MAX ? -E2BIG : 0;
}

/* in may be a longer part that begins so. */
static int send_create(struct zus_local *local, uint16_t op, const struct zus_create *args,
		       struct zufs_create_in *in, uint32_t in_bytes, void *out, uint32_t out_bytes)
{
	struct zufs_time now = { .sec = args->now.sec, .nsec = args->now.nsec };
	char *payload = create_payload(args, in);
	uint32_t bytes = in->name_bytes + in->target_bytes + in->xattrs_bytes;
	int err;

	if (!payload)
		return -ENOMEM;
	in->now = now.sec || now.nsec ? now : local_now();
	in->mode = args->mode;
	in->uid = args->uid;
	in->gid = args->gid;
	in->rdev_major = args->rdev_major;
	in->rdev_minor = args->rdev_minor;
	err = bytes > ZUFS_PAYLOAD_MAX_BYTES ? -E2BIG :
	      local_send(local, op, in, in_bytes, payload, bytes, out, out_bytes);
	free(payload);
	return err;
}

static int create_locked(struct zus_local *local, uint64_t dir, const struct zus_create *args,
			 struct zus_local_entry *entry)
{
	struct zufs_create_in in = { .dir = dir };
	struct zufs_create_out out;	/* of TMPFILE the entry alone */
	int err = args->name.bytes ? lookup(local, dir, &args->name, entry) : -ENOENT;

	if (!err)
		local_drop(local, entry->handle);
	if (err != -ENOENT)
		return err ? err : -EEXIST;
	err = send_create(local, create_op(args), args, &in, sizeof(in), &out,
			  args->name.bytes ? sizeof(out) : sizeof(out.entry));
	if (!err)
		local_entry(entry, &out.entry);
	return err;
}

int zus_handle_create(struct zus_local *local, uint64_t dir, const struct zus_create *args,
		      struct zus_local_entry *entry)
{
	int err = check_create(args);

	if (err)
		return err;
	pthread_rwlock_wrlock(local_inode_lock(local, dir));
	err = create_locked(local, dir, args, entry);
	pthread_rwlock_unlock(local_inode_lock(local, dir));
	return err;
}

int zus_handle_create_open(struct zus_local *local, uint64_t dir, const struct zus_create *args,
			   uint32_t flags, struct zus_local_entry *entry, uint64_t *fh)
{
	struct zufs_create_open_in in = { .create.dir = dir, .open_flags = flags };
	struct zufs_create_open_out out;
	int err = check_create(args);

	if (err)
		return err;
	pthread_rwlock_wrlock(local_inode_lock(local, dir));
	err = send_create(local, ZUFS_OP_CREATE_OPEN, args, &in.create, sizeof(in), &out,
			  sizeof(out));
	pthread_rwlock_unlock(local_inode_lock(local, dir));
	if (err)
		return err;
	local_entry(entry, &out.create.entry);
	*fh = out.fh;
	return out.created != 0;
}

/* ------------------------------------------------------- link, unlink, rename */

int zus_handle_link(struct zus_local *local, uint64_t handle, uint64_t dir,
		    const struct zus_name *name, struct zus_attr *attr)
{
	struct zufs_link_in in = {
		.inode = handle, .dir = dir, .now = local_now(), .name_bytes = name->bytes,
	};
	struct zus_local_entry there;
	struct zufs_link_out out;
	int err;

	pthread_rwlock_wrlock(local_inode_lock(local, dir));
	err = lookup(local, dir, name, &there);
	if (!err)
		local_drop(local, there.handle);
	if (err == -ENOENT)
		err = local_send(local, ZUFS_OP_LINK, &in, sizeof(in), name->str, name->bytes,
				 &out, sizeof(out));
	else if (!err)
		err = -EEXIST;
	pthread_rwlock_unlock(local_inode_lock(local, dir));
	if (!err && attr)
		local_attr(attr, &out.inode);
	return err;
}

static int remove_locked(struct zus_local *local, uint16_t op, uint64_t dir,
			 const struct zus_name *name)
{
	struct zufs_unlink_in in = {
		.dir = dir, .now = local_now(), .name_bytes = name->bytes,
	};
	struct zus_local_entry entry;
	struct zufs_link_out out;
	int err = lookup(local, dir, name, &entry);

	if (err)
		return err;
	in.inode = entry.handle;
	if (S_ISDIR(entry.attr.mode) != (op == ZUFS_OP_RMDIR))
		err = op == ZUFS_OP_RMDIR ? -ENOTDIR : -EISDIR;
	else
		err = local_send(local, op, &in, sizeof(in), name->str, name->bytes, &out,
				 sizeof(out));
	local_drop(local, entry.handle);
	return err;
}

static int remove_name(struct zus_local *local, uint16_t op, uint64_t dir,
		       const struct zus_name *name)
{
	int err;

	pthread_rwlock_wrlock(local_inode_lock(local, dir));
	err = remove_locked(local, op, dir, name);
	pthread_rwlock_unlock(local_inode_lock(local, dir));
	return err;
}

int zus_handle_unlink(struct zus_local *local, uint64_t dir, const struct zus_name *name)
{
	return remove_name(local, ZUFS_OP_UNLINK, dir, name);
}

int zus_handle_rmdir(struct zus_local *local, uint64_t dir, const struct zus_name *name)
{
	return remove_name(local, ZUFS_OP_RMDIR, dir, name);
}

/* With both directories locked; what the kernel's rename checks itself. */
static int check_rename(const struct zus_local_entry *from, const struct zus_local_entry *to,
			int to_err, uint32_t flags)
{
	if (to_err && to_err != -ENOENT)
		return to_err;
	if (!to_err && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (to_err && (flags & RENAME_EXCHANGE))
		return -ENOENT;
	if (to_err || (flags & RENAME_EXCHANGE))
		return 0;
	if (S_ISDIR(from->attr.mode) && !S_ISDIR(to->attr.mode))
		return -ENOTDIR;
	if (!S_ISDIR(from->attr.mode) && S_ISDIR(to->attr.mode))
		return -EISDIR;
	return 0;
}

static int send_rename(struct zus_local *local, struct zufs_rename_in *in,
		       const struct zus_name *old_name, const struct zus_name *new_name)
{
	char payload[2 * ZUFS_NAME_MAX + 2];
	struct zufs_rename_out out;

	memcpy(payload, old_name->str, old_name->bytes);
	memcpy(payload + old_name->bytes, new_name->str, new_name->bytes);
	in->old_bytes = old_name->bytes;
	in->new_bytes = new_name->bytes;
	in->now = local_now();
	return local_send(local, ZUFS_OP_RENAME, in, sizeof(*in), payload,
			  old_name->bytes + new_name->bytes, &out, sizeof(out));
}

static int rename_locked(struct zus_local *local, struct zufs_rename_in *in,
			 const struct zus_name *old_name, const struct zus_name *new_name)
{
	struct zus_local_entry from, to = { .handle = 0 };
	int err, to_err;

	err = lookup(local, in->old_dir, old_name, &from);
	if (err)
		return err;
	to_err = lookup(local, in->new_dir, new_name, &to);
	err = check_rename(&from, &to, to_err, in->flags);
	/* two names of one inode: nothing is done */
	if (!err && (to_err || from.attr.ino != to.attr.ino)) {
		in->inode = from.handle;
		in->target = to_err ? 0 : to.handle;
		err = send_rename(local, in, old_name, new_name);
	}
	if (!to_err)
		local_drop(local, to.handle);
	local_drop(local, from.handle);
	return err;
}

int zus_handle_rename(struct zus_local *local, uint64_t old_dir, const struct zus_name *old_name,
		      uint64_t new_dir, const struct zus_name *new_name, uint32_t flags)
{
	struct zufs_rename_in in = { .old_dir = old_dir, .new_dir = new_dir, .flags = flags };
	int err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if (flags & RENAME_WHITEOUT && !(local->mounted.features & ZUFS_MF_WHITEOUT))
		return -EINVAL;
	local_lock_two(local, old_dir, new_dir);
	err = rename_locked(local, &in, old_name, new_name);
	local_unlock_two(local, old_dir, new_dir);
	return err;
}

/* --------------------------------------------------------------- attributes */

int local_getattr(struct zus_local *local, uint64_t handle, struct zus_attr *attr)
{
	struct zufs_getattr_in in = { .inode = handle, .mask = 0x7ff };
	struct zufs_attr out;
	int err = local_send(local, ZUFS_OP_GETATTR, &in, sizeof(in), NULL, 0, &out,
			     sizeof(out));

	if (!err)
		local_attr(attr, &out);
	return err;
}

int zus_handle_getattr(struct zus_local *local, uint64_t handle, struct zus_attr *attr)
{
	return local_getattr(local, handle, attr);
}

static struct zufs_time wire_time(const struct zus_time *time)
{
	return (struct zufs_time) { .sec = time->sec, .nsec = time->nsec };
}

int local_setattr(struct zus_local *local, uint64_t handle, const struct zus_setattr *set,
		  struct zus_attr *attr)
{
	struct zufs_setattr_in in = {
		.inode = handle, .fh = set->fh, .size_bytes = set->size_bytes,
		.atime = wire_time(&set->atime), .mtime = wire_time(&set->mtime),
		.ctime = wire_time(&set->ctime), .valid = set->valid, .mode = set->mode,
		.uid = set->uid, .gid = set->gid, .flags = set->flags, .projid = set->projid,
	};
	struct zufs_attr out;
	int err = local_send(local, ZUFS_OP_SETATTR, &in, sizeof(in), NULL, 0, &out,
			     sizeof(out));

	if (!err && attr)
		local_attr(attr, &out);
	return err;
}

int zus_handle_setattr(struct zus_local *local, uint64_t handle, const struct zus_setattr *set,
		       struct zus_attr *attr)
{
	int err = 0;

	pthread_rwlock_wrlock(local_inode_lock(local, handle));
	if (set->valid & ZUS_SET_SIZE)
		err = local_before_truncate(local, handle, set->size_bytes);
	if (!err)
		err = local_setattr(local, handle, set, attr);
	pthread_rwlock_unlock(local_inode_lock(local, handle));
	return err;
}

int zus_handle_readlink(struct zus_local *local, uint64_t handle, char *buf, size_t bytes)
{
	char target[ZUFS_SYMLINK_MAX] = "";
	struct zufs_readlink_in in = { .inode = handle };
	struct zus_local_call call = {
		.op = ZUFS_OP_READLINK, .in = &in, .in_bytes = sizeof(in),
		.reply = target, .reply_max_bytes = sizeof(target),
	};
	int err = local_call_retry(local, &call);

	if (err)
		return err;
	if (call.reply_bytes < bytes)
		bytes = call.reply_bytes;
	memcpy(buf, target, bytes);
	return (int)bytes;
}

int zus_local_statfs(struct zus_local *local, struct zus_statfs *st)
{
	struct zufs_statfs_out out;
	int err = local_send(local, ZUFS_OP_STATFS, NULL, 0, NULL, 0, &out, sizeof(out));

	if (!err)
		*st = (struct zus_statfs) {
			.blocks = out.blocks, .blocks_free = out.blocks_free,
			.blocks_avail = out.blocks_avail, .files = out.files,
			.files_free = out.files_free, .block_bytes = out.block_bytes,
			.name_max = out.name_max,
		};
	return err;
}
