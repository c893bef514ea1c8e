// SPDX-License-Identifier: BSD-3-Clause
/* local_file.c - open files and directories for the local transport, but for data. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "local_vfs.h"

/* -------------------------------------------------------------- open, close */

static void release(struct zus_local *local, uint64_t handle, uint64_t fh)
{
	struct zufs_forced msg = { .inode = handle, .arg = fh, .op = ZUFS_OP_RELEASE };

	if (local->mounted.features & ZUFS_MF_OPEN)
		local_force(local, &msg);
}

int zus_handle_open_at(struct zus_local *local, uint64_t handle, uint64_t fh,
		       struct zus_local_file **made)
{
	struct zus_local_file *file = calloc(1, sizeof(*file));

	if (!file) {
		release(local, handle, fh);
		return -ENOMEM;
	}
	file->local = local;
	file->handle = handle;
	file->fh = fh;
	*made = file;
	return 0;
}

int zus_handle_open(struct zus_local *local, uint64_t handle, uint32_t flags,
		    struct zus_local_file **made)
{
	struct zufs_open_in in = { .inode = handle, .flags = flags };
	struct zufs_open_out out = { .fh = 0 };
	int err = 0;

	if (local->mounted.features & ZUFS_MF_OPEN)
		err = local_send(local, ZUFS_OP_OPEN, &in, sizeof(in), NULL, 0, &out,
				 sizeof(out));
	return err ? err : zus_handle_open_at(local, handle, out.fh, made);
}

void zus_local_close(struct zus_local_file *file)
{
	release(file->local, file->handle, file->fh);
	if (file->referenced)
		local_drop(file->local, file->handle);
	free(file);
}

int zus_local_fstat(struct zus_local_file *file, struct zus_attr *attr)
{
	return local_getattr(file->local, file->handle, attr);
}

/* ------------------------------------------------------------------ readdir */

/* One entry of the reply, which is at *at; with PLUS what its name leads to, too. */
static void next_dirent(const char **at, bool plus, struct zus_local_dirent *dirent)
{
	struct zufs_entry entry = { .handle = 0 };
	struct zufs_dirent de;

	if (plus) {
		memcpy(&entry, *at, sizeof(entry));
		*at += sizeof(entry);
	}
	memcpy(&de, *at, sizeof(de));
	local_entry(&dirent->entry, &entry);
	dirent->ino = de.ino;
	dirent->cookie = de.cookie;
	dirent->type = de.type;
	dirent->name = (struct zus_name) { *at + sizeof(de), de.name_bytes };
	*at += ZUFS_DIRENT_BYTES(de.name_bytes);
}

static int each_dirent(struct zus_local *local, const char *at, uint32_t count, bool plus,
		       zus_handle_dirent_fn *fn, void *arg)
{
	struct zus_local_dirent dirent;
	int ret = 0;

	while (count--) {
		next_dirent(&at, plus, &dirent);
		if (!ret)
			ret = fn(arg, &dirent);
		if (ret && dirent.entry.handle)		/* nobody took it */
			zus_local_forget(local, dirent.entry.handle, 1);
	}
	return ret;
}

int zus_local_each_dirent(struct zus_local_file *dir, uint64_t cookie, uint32_t flags,
			  uint32_t reply_max, zus_handle_dirent_fn *fn, void *arg)
{
	struct zufs_readdir_in in = {
		.dir = dir->handle, .fh = dir->fh, .cookie = cookie,
		.flags = flags & ZUS_LOCAL_PLUS ? ZUFS_READDIR_PLUS : 0,
	};
	struct zufs_readdir_out out = { 0 };
	struct zus_local_call call = {
		.op = ZUFS_OP_READDIR, .in = &in, .in_bytes = sizeof(in),
		.out = &out, .out_bytes = sizeof(out),
		.reply_max_bytes = reply_max ? reply_max : ZUFS_PAYLOAD_MAX_BYTES,
	};
	pthread_rwlock_t *lock = local_inode_lock(dir->local, dir->handle);
	int ret;

	if (in.flags && !(dir->local->mounted.features & ZUFS_MF_READDIR_PLUS))
		return -EOPNOTSUPP;
	call.reply = malloc(call.reply_max_bytes);
	if (!call.reply)
		return -ENOMEM;
	pthread_rwlock_rdlock(lock);
	ret = local_call_retry(dir->local, &call);
	pthread_rwlock_unlock(lock);
	if (!ret)
		ret = each_dirent(dir->local, call.reply, out.count, in.flags != 0, fn, arg);
	free(call.reply);
	return ret ? ret : !out.eof;
}

struct plain {
	zus_local_dirent_fn *fn;
	void *arg;
	uint64_t *cookie;
};

static int plain_dirent(void *arg, const struct zus_local_dirent *dirent)
{
	char name[ZUFS_NAME_MAX + 1];
	struct plain *plain = arg;

	memcpy(name, dirent->name.str, dirent->name.bytes);
	name[dirent->name.bytes] = 0;
	*plain->cookie = dirent->cookie;
	return plain->fn(plain->arg, name, dirent->ino, dirent->cookie, dirent->type);
}

int zus_local_readdir(struct zus_local_file *dir, uint64_t *cookie, uint32_t reply_max,
		      zus_local_dirent_fn *fn, void *arg)
{
	struct plain plain = { fn, arg, cookie };

	return zus_local_each_dirent(dir, *cookie, 0, reply_max, plain_dirent, &plain);
}
