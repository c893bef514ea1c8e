// SPDX-License-Identifier: BSD-3-Clause
/* features.c - statfs, and what the base tells features that keep something of their own. */
#include <errno.h>
#include <string.h>

#include "toyfs.h"

static int option(struct toy_fs *fs, const char *key, const char *value)
{
	if (!strcmp(key, "relocate"))
		return toy_relocate_begin(fs, value);
	if (!strcmp(key, "reflink") && !value) {
		fs->features |= ZUS_MF_COW | ZUS_MF_CLONE;
		return toy_blocks_begin(fs, false);
	}
	if (!strcmp(key, "unwritten") && !value)
		return toy_blocks_begin(fs, true);
	if (!strcmp(key, "locks") && !value)
		fs->features |= ZUS_MF_LOCKS;
	else if (!strcmp(key, "keep") && !value)
		fs->features &= ~(uint64_t)ZUS_MF_VOLATILE;
	else
		return -EINVAL;
	return 0;
}

int toy_features_begin(struct toy_fs *fs, const char *options)
{
	char buf[64], *key, *value;
	int more, err = 0;

	fs->features = TOY_FEATURES | ZUS_MF_VOLATILE;
	fs->index = toy_index_new();
	if (!fs->index)
		return -ENOMEM;
	while (!err && (more = zus_option_next(&options, buf, sizeof(buf), &key, &value)))
		err = more < 0 ? -EINVAL : option(fs, key, value);
	if (!err && fs->relocator && !(fs->features & ZUS_MF_VOLATILE))
		err = -EINVAL;
	if (err && err != -ENOMEM)
		zus_log(ZUS_LOG_ERR, "toyfs: mount options are locks, reflink, unwritten, and keep or relocate=SEED, a number");
	return err;
}

void toy_features_stop(struct toy_fs *fs)
{
	toy_relocate_stop(fs);
}

void toy_features_end(struct toy_fs *fs)
{
	toy_dir_end(fs);
	toy_relocate_end(fs);
	toy_blocks_end(fs);
	toy_index_delete(fs->index);
}

void toy_features_add(struct toy_inode *ti)
{
	toy_index_add(ti);
	toy_relocate_add(ti);
}

void toy_features_del(struct toy_inode *ti)
{
	toy_locks_free(ti);
	toy_relocate_del(ti);
	toy_index_del(ti);
}

int toy_statfs(struct zus_req *req, struct zus_mount *mount, struct zus_statfs *out)
{
	struct toy_fs *fs = mount->priv;

	out->blocks_free = zus_space_free_count(fs->space, &out->blocks);
	out->blocks_avail = out->blocks_free;
	out->files_free = out->blocks_free;	/* memory is the limit, this a guess */
	out->files = __atomic_load_n(&fs->inodes, __ATOMIC_RELAXED) + out->files_free;
	return 0;
}
