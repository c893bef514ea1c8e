// SPDX-License-Identifier: BSD-3-Clause
/* plugin.c - zlogfs as libzus loads it: mount, umount, and the tables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bug.h"
#include "ops.h"
#include "shell.h"

/* -------------------------------------------------------------------- options */

#ifdef ZLOGFS_BUGS
enum zl_bug zl_bug;
bool zl_reuse_soon;
#endif

struct options {
	bool manual;		/* nothing runs by itself: a test takes the steps */
	bool reflink;		/* files may share blocks */
	bool no_words;		/* each write is told by MAP_DONE */
	uint32_t policy;
};

static const char *const policy_names[] = {
	[ZLF_POLICY_INPLACE] = "inplace", [ZLF_POLICY_COW] = "cow",
	[ZLF_POLICY_BOUNDARY] = "boundary",
};

static int parse_policy(const char *value, uint32_t *policy)
{
	uint32_t i;

	for (i = ZLF_POLICY_INPLACE; i <= ZLF_POLICY_BOUNDARY; i++)
		if (value && !strcmp(value, policy_names[i])) {
			*policy = i;
			return 0;
		}
	zus_log(ZUS_LOG_ERR, "zlogfs: policy=%s: it is inplace, cow or boundary",
		value ? value : "");
	return -EINVAL;
}

static int parse(const char *text, struct options *options)
{
	char buf[256], *key, *value;
	int ret;

	*options = (struct options) { .manual = false };
	while ((ret = zus_option_next(&text, buf, sizeof(buf), &key, &value)) > 0) {
		if (!strcmp(key, "steps") && value && !strcmp(value, "manual")) {
			options->manual = true;
		} else if (!strcmp(key, "reflink") && !value) {
			options->reflink = true;
		} else if (!strcmp(key, "words") && value && !strcmp(value, "off")) {
			options->no_words = true;
		} else if (!strcmp(key, "policy")) {
			ret = parse_policy(value, &options->policy);
			if (ret)
				return ret;
#ifdef ZLOGFS_BUGS
		} else if (!strcmp(key, "bug") && value) {
			zl_bug = (enum zl_bug)strtoul(value, NULL, 10);
		} else if (!strcmp(key, "reuse") && value && !strcmp(value, "soon")) {
			zl_reuse_soon = true;
#endif
		} else {
			zus_log(ZUS_LOG_ERR, "zlogfs: unknown option %s: there are policy=, "
				"reflink and words=off", key);
			return -EINVAL;
		}
	}
	return ret < 0 ? -EINVAL : 0;
}

/* ---------------------------------------------------------------- mount, umount */

static uint32_t collect_media(const struct zus_mount *mount, struct zl_media *media)
{
	const struct zus_device *dev;
	uint32_t i, n = 0;

	for (i = 0; i < mount->num_devices && n < ZLF_MAX_DEVICES; i++) {
		dev = &mount->devices[i];
		if (dev->tier != ZUS_TIER_T1)
			continue;
		media[n] = (struct zl_media) { dev->addr, dev->size_bytes, dev->data_off,
					       dev->pmd_phase_bytes, { 0 }, dev->numa_node };
		memcpy(media[n].uuid, dev->uuid, sizeof(media[n].uuid));
		n++;
	}
	return n;
}

static int load_root(struct zl_fs *fs, struct zus_mount_out *out)
{
	struct zl_obj *obj = zl_obj_get(fs, ZLF_OBJ_ROOT);
	int err;

	if (!obj)
		return -ENOMEM;
	zl_obj_lock(obj);
	err = zl_inode_load(zl_inode_of(obj));
	if (!err && !S_ISDIR(zl_get32(zl_inode_of(obj)->body.mode)))
		err = zl_freeze(fs, "the root directory's inode", ZLF_OBJ_ROOT);
	if (!err)
		err = zl_entry(zl_inode_of(obj), &out->root);
	pthread_mutex_unlock(&obj->lock);
	zl_obj_put(obj);
	if (err)
		return err == -ENOENT ? -EIO : err;
	fs->root = zl_inode_of(obj);
	zus_inode_get(&fs->root->zi);	/* until umount */
	return 0;
}

/* Without space they stay orphans: who mounts can make some. */
static int end_orphans(struct zl_fs *fs)
{
	int err = zl_orphans_destroy(fs);

	return err == -ENOSPC ? 0 : err;
}

static int zl_mount(struct zus_req *req, struct zus_mount *mount, struct zus_mount_out *out)
{
	struct zl_media media[ZLF_MAX_DEVICES];
	uint32_t n = collect_media(mount, media);
	struct options options;
	struct zl_fs *fs;
	int err = parse(mount->options, &options);

	(void)req;
	fs = err ? NULL : zl_fs_new(mount->flags & ZUS_MOUNT_RDONLY, mount->incarnation);
	if (!fs)
		return err ? err : -ENOMEM;
	fs->mount = mount;
	mount->priv = fs;
	err = zl_fs_load(fs, media, n);
	if (!err && !fs->rdonly)
		err = end_orphans(fs);
	if (options.policy)
		fs->policy = options.policy;
	fs->offers_words = !options.no_words;
	fs->clones = fs->shares || (options.reflink && !fs->rdonly);
	if (!err && !fs->rdonly && !options.manual)
		err = zl_shell_start(fs);
	if (!err)
		err = load_root(fs, out);
	if (err) {
		zl_shell_stop(fs);
		zl_fs_free(fs);
		return err;
	}
	out->features = ZUS_MF_COW | ZUS_MF_XATTRS | ZUS_MF_ACLS | ZUS_MF_FILEATTR |
			ZUS_MF_TMPFILE | ZUS_MF_WHITEOUT | ZUS_MF_FALLOCATE | ZUS_MF_EXPORT |
			ZUS_MF_IOCTL | ZUS_MF_COPY | ZUS_MF_CREATE_OPEN | ZUS_MF_WHOLE_WRITES |
			(fs->clones ? ZUS_MF_CLONE : 0);
	out->max_file_bytes = ZL_FILE_MAX_BYTES;
	out->magic = ZLF_MAGIC_STATFS;
	return 0;
}

static void zl_umount(struct zus_mount *mount)
{
	struct zl_fs *fs = mount->priv;

	zl_shell_stop(fs);
	zus_inode_put(&fs->root->zi);
	if (!fs->rdonly) {
		pthread_mutex_lock(&fs->step);
		if (!zl_apply_all(fs))
			zl_step_checkpoint(fs, true);
		pthread_mutex_unlock(&fs->step);
	}
	zl_fs_free(fs);
}

static int zl_statfs(struct zus_req *req, struct zus_mount *mount, struct zus_statfs *out)
{
	struct zl_fs *fs = mount->priv;

	(void)req;
	zl_space_count(fs, out);
	out->name_max = ZUS_NAME_MAX;
	return 0;
}

static const struct zus_mount_ops mount_ops = {
	.mount = zl_mount, .umount = zl_umount, .statfs = zl_statfs, .op_seen = zl_op_seen,
};

static const struct zus_inode_ops inode_ops = {
	.lookup = zl_lookup, .getattr = zl_getattr, .setattr = zl_setattr,
	.create = zl_create, .mkdir = zl_create, .mknod = zl_create, .symlink = zl_create,
	.link = zl_link, .unlink = zl_unlink, .rmdir = zl_unlink, .rename = zl_rename,
	.readdir = zl_readdir, .readlink = zl_readlink, .evict = zl_evict,
	.getxattr = zl_getxattr, .setxattr = zl_setxattr, .listxattr = zl_listxattr,
	.tmpfile = zl_tmpfile, .create_open = zl_create_open, .iget = zl_iget, .parent = zl_parent,
};

static const struct zus_file_ops file_ops = {
	.map = zl_map, .map_done = zl_map_done, .fallocate = zl_fallocate, .ioctl = zl_ioctl,
	.copy = zl_copy,
};

ZUS_EXPORT const struct zus_plugin zus_plugin = {
	ZUS_PLUGIN_ABI,
	.name = "zlogfs",
	.mount_ops = &mount_ops, .inode_ops = &inode_ops, .file_ops = &file_ops,
};
