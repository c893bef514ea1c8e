// SPDX-License-Identifier: GPL-2.0
/*
 * Filesystem types. A file_system_type has no reference count: an fs_context
 * or a superblock may keep the pointer after unregister_filesystem(). So the
 * types are static, are never freed, and a slot serves one name for ever.
 */
#include <linux/ctype.h>
#include <linux/module.h>

#include "relay.h"

static struct zuf_type zuf_types[ZUFS_TYPES_MAX];
static DEFINE_MUTEX(zuf_types_lock);

static bool type_name_ok(const char *name)
{
	size_t i, len = strnlen(name, ZUFS_TYPE_NAME_BYTES);

	if (!len || len == ZUFS_TYPE_NAME_BYTES)
		return false;
	for (i = 0; i < len; i++)
		if ((!isascii(name[i]) || !isalnum(name[i])) && name[i] != '_' && name[i] != '-')
			return false;
	return true;
}

static struct zuf_type *type_slot(const char *name)
{
	unsigned int i;

	lockdep_assert_held(&zuf_types_lock);
	for (i = 0; i < ARRAY_SIZE(zuf_types); i++)
		if (!zuf_types[i].used || !strcmp(zuf_types[i].name, name))
			return &zuf_types[i];
	return NULL;
}

static void type_slot_init(struct zuf_type *type, const struct zufs_register *reg)
{
	strscpy(type->name, reg->name, sizeof(type->name));
	type->used = true;
	type->fs.owner = THIS_MODULE;
	type->fs.name = type->name;
	type->fs.init_fs_context = zuf_init_fs_context;
	type->fs.kill_sb = zuf_kill_sb;
}

int zuf_type_register(struct zuf_server *server, const struct zufs_register *reg)
{
	struct zuf_type *type;
	int err = 0;

	if (reg->flags & ~ZUFS_REG_NODEV || reg->reserved || reg->reserved2 ||
	    !type_name_ok(reg->name))
		return -EINVAL;

	mutex_lock(&zuf_types_lock);
	type = type_slot(reg->name);
	if (!type) {
		err = -ENOSPC;
		goto out_unlock;
	}
	/* mounts of a lost server keep the name until they are unmounted */
	if (type->server || type->mounts) {
		err = -EBUSY;
		goto out_unlock;
	}
	if (!type->used)
		type_slot_init(type, reg);
	type->flags = reg->flags;
	type->fs.fs_flags = FS_ALLOW_IDMAP | (reg->flags & ZUFS_REG_NODEV ? 0 : FS_REQUIRES_DEV);
	if (!type->registered) {
		err = register_filesystem(&type->fs);
		if (err)
			goto out_unlock;
		type->registered = true;
	}
	zuf_server_get(server);
	type->server = server;
out_unlock:
	mutex_unlock(&zuf_types_lock);
	return err;
}

static void type_unregister_unused(struct zuf_type *type)
{
	lockdep_assert_held(&zuf_types_lock);
	if (type->server || type->mounts || !type->registered)
		return;
	unregister_filesystem(&type->fs);
	type->registered = false;
}

void zuf_type_server_gone(struct zuf_server *server)
{
	unsigned int i;

	mutex_lock(&zuf_types_lock);
	for (i = 0; i < ARRAY_SIZE(zuf_types); i++) {
		struct zuf_type *type = &zuf_types[i];

		if (type->server != server)
			continue;
		type->server = NULL;
		type_unregister_unused(type);
		zuf_server_put(server);
	}
	mutex_unlock(&zuf_types_lock);
}

struct zuf_server *zuf_type_server_get(struct zuf_type *type)
{
	struct zuf_server *server;

	mutex_lock(&zuf_types_lock);
	server = type->server;
	if (server && READ_ONCE(server->state) == ZUF_SERVER_LIVE)
		zuf_server_get(server);
	else
		server = NULL;
	mutex_unlock(&zuf_types_lock);
	return server;
}

void zuf_type_mount_inc(struct zuf_type *type)
{
	mutex_lock(&zuf_types_lock);
	type->mounts++;
	mutex_unlock(&zuf_types_lock);
}

void zuf_type_mount_dec(struct zuf_type *type)
{
	mutex_lock(&zuf_types_lock);
	type->mounts--;
	type_unregister_unused(type);
	mutex_unlock(&zuf_types_lock);
}

ssize_t zuf_type_names(struct zuf_server *server, char *buf, size_t bytes)
{
	unsigned int i;
	ssize_t len = 0;

	mutex_lock(&zuf_types_lock);
	for (i = 0; i < ARRAY_SIZE(zuf_types); i++)
		if (zuf_types[i].server == server)
			len += scnprintf(buf + len, bytes - len, "%s\n", zuf_types[i].name);
	mutex_unlock(&zuf_types_lock);
	return len;
}
