// SPDX-License-Identifier: BSD-3-Clause
/* plugin.c - find a plugin, load it, and refuse what cannot work. */
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#ifndef ZUS_PLUGIN_DIR
#define ZUS_PLUGIN_DIR "/usr/lib/zufs"
#endif

/* --------------------------------------------------------------- descriptor */

static bool type_name_ok(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return len && len < ZUFS_TYPE_NAME_BYTES &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

/* The first release's members; a table must reach at least so far. */
static const char *missing_callback(const struct zus_plugin *plugin)
{
	if (!plugin->mount_ops || !plugin->mount_ops->mount)
		return "mount";
	if (!plugin->mount_ops->umount)
		return "umount";
	if (!plugin->inode_ops || !plugin->inode_ops->lookup)
		return "lookup";
	if (!plugin->inode_ops->getattr)
		return "getattr";
	if (!plugin->inode_ops->evict)
		return "evict";
	return NULL;
}

int zus_plugin_check(const struct zus_plugin *plugin, char *message, size_t bytes)
{
	const char *missing;

	if (plugin->abi_major != ZUS_PLUGIN_ABI_MAJOR ||
	    plugin->abi_minor > ZUS_PLUGIN_ABI_MINOR) {
		snprintf(message, bytes,
			 "the plugin was built for plugin ABI %u.%u, this libzus has %d.%d; build the plugin against this libzus",
			 plugin->abi_major, plugin->abi_minor, ZUS_PLUGIN_ABI_MAJOR,
			 ZUS_PLUGIN_ABI_MINOR);
		return -EPROTO;
	}
	if (plugin->plugin_bytes < sizeof(*plugin) ||
	    plugin->mount_ops_bytes < ZUS_MOUNT_OPS_FIRST_BYTES ||
	    plugin->inode_ops_bytes < ZUS_INODE_OPS_FIRST_BYTES ||
	    plugin->file_ops_bytes < ZUS_FILE_OPS_FIRST_BYTES) {
		snprintf(message, bytes,
			 "the plugin's descriptor is too short; begin it with ZUS_PLUGIN_ABI");
		return -ENOEXEC;
	}
	if (!type_name_ok(plugin->name)) {
		snprintf(message, bytes,
			 "the plugin's type name is not 1 to %u of a-z, 0-9, '_', '.', '-'",
			 ZUFS_TYPE_NAME_BYTES - 1);
		return -ENOEXEC;
	}
	missing = missing_callback(plugin);
	if (missing) {
		snprintf(message, bytes, "plugin %s has no %s callback, which is required",
			 plugin->name, missing);
		return -ENOEXEC;
	}
	return 0;
}

/* ------------------------------------------------------------------- search */

static bool found(char *path, const char *dir, size_t dir_len, const char *name)
{
	int len = snprintf(path, PATH_MAX, "%.*s/%s.so", (int)dir_len, dir, name);

	return len > 0 && len < PATH_MAX && access(path, R_OK) == 0;
}

/* NAME.so, or for a type name such as ztoyfs also toyfs.so. */
static bool find_in(char *path, const char *dir, size_t dir_len, const char *name)
{
	if (!dir_len)
		return false;
	if (found(path, dir, dir_len, name))
		return true;
	return name[0] == 'z' && name[1] && found(path, dir, dir_len, name + 1);
}

static bool find_in_list(char *path, const char *list, const char *name)
{
	while (*list) {
		size_t len = strcspn(list, ":");

		if (find_in(path, list, len, name))
			return true;
		list += len;
		list += *list == ':';
	}
	return false;
}

/* The build tree keeps programs in zus/ and plugins in zusfs-examples/. */
static void build_tree_dir(char *dir, size_t bytes)
{
	ssize_t len = readlink("/proc/self/exe", dir, bytes - 1);
	const char *tail = "/../zusfs-examples";
	char *slash;

	dir[len > 0 ? len : 0] = 0;
	slash = strrchr(dir, '/');
	if (!slash || (size_t)(slash - dir) + strlen(tail) >= bytes)
		dir[0] = 0;
	else
		memcpy(slash, tail, strlen(tail) + 1);
}

static int find_plugin(char *path, const char *name, char *message, size_t bytes)
{
	const char *list = getenv("ZUS_PLUGIN_PATH");
	char tree[PATH_MAX];

	if (strchr(name, '/')) {
		if (snprintf(path, PATH_MAX, "%s", name) >= PATH_MAX)
			return -ENAMETOOLONG;
		if (!access(path, R_OK))
			return 0;
		snprintf(message, bytes, "cannot read plugin %s: %s", path,
			 strerror(errno));
		return -errno;
	}
	build_tree_dir(tree, sizeof(tree));
	if (list && find_in_list(path, list, name))
		return 0;
	if (find_in(path, ZUS_PLUGIN_DIR, strlen(ZUS_PLUGIN_DIR), name) ||
	    find_in(path, tree, strlen(tree), name))
		return 0;
	snprintf(message, bytes,
		 "no plugin %s; searched for %s.so in %s%s%s%s%s; set ZUS_PLUGIN_PATH or give the path of the .so",
		 name, name, list ? list : "", list ? ":" : "", ZUS_PLUGIN_DIR,
		 tree[0] ? ":" : "", tree);
	return -ENOENT;
}

int zus_plugin_load(const char *name, const struct zus_plugin **plugin, char *message,
		    size_t message_bytes)
{
	char path[PATH_MAX], reason[320], none[1];
	void *object;
	int err;

	if (!message) {
		message = none;
		message_bytes = sizeof(none);
	}
	err = find_plugin(path, name, message, message_bytes);
	if (err)
		return err;
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!object) {
		snprintf(message, message_bytes, "cannot load plugin: %s", dlerror());
		return -ENOEXEC;
	}
	*plugin = dlsym(object, "zus_plugin");
	if (!*plugin) {
		snprintf(message, message_bytes,
			 "%s is no zufs plugin: it exports no zus_plugin", path);
		err = -ENOEXEC;
		goto out_close;
	}
	err = zus_plugin_check(*plugin, reason, sizeof(reason));
	if (err) {
		snprintf(message, message_bytes, "%s: %s", path, reason);
		goto out_close;
	}
	return 0;

out_close:
	dlclose(object);
	return err;
}
