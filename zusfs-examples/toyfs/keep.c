// SPDX-License-Identifier: BSD-3-Clause
/*
 * keep.c - files that outlive their mount, with the mount option keep: for as long as
 * their server runs, or until the device is made anew. So umount and mount may stand
 * between a change and the look at it, as in most suites of tests.
 *
 * What is kept is the whole struct toy_fs, with inodes that belong to no mount: they left
 * the table of one, and enter that of the next.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "toyfs.h"

#define KEPT_MAX	8u	/* of devices made anew nobody tells us: the oldest goes */

struct toy_kept {
	TAILQ_ENTRY(toy_kept) link;
	struct toy_fs *fs;
	struct zus_mount mount;		/* stands in for the one that has ended */
	char options[];
};

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(toy_kept_list, toy_kept) kept_list = TAILQ_HEAD_INITIALIZER(kept_list);
static unsigned int kept_count;

static struct toy_kept *find(const struct zus_mount *mount)
{
	struct toy_kept *kept;

	TAILQ_FOREACH(kept, &kept_list, link)
		if (!memcmp(kept->mount.fs_uuid, mount->fs_uuid, sizeof(mount->fs_uuid)))
			return kept;
	return NULL;
}

static void take_out(struct toy_kept *kept)
{
	TAILQ_REMOVE(&kept_list, kept, link);
	kept_count--;
}

static void put_in(struct toy_kept *kept)
{
	TAILQ_INSERT_TAIL(&kept_list, kept, link);
	kept_count++;
}

/* ------------------------------------------------------------------- a mount */

static int enter(struct toy_inode *ti, void *mount)
{
	return zus_inode_init(mount, &ti->zi);
}

static int leave(struct toy_inode *ti, void *stand_in)
{
	/* else it had not yet entered the mount that failed */
	if (ti->zi.mount != stand_in)
		zus_inode_leave(&ti->zi);
	ti->zi.mount = stand_in;
	return 0;
}

/* Its options are good for the files that are there: a shared block wants reflink. */
static int check_options(const struct toy_kept *kept, const struct zus_mount *mount)
{
	if (!strcmp(kept->options, mount->options))
		return 0;
	zus_log(ZUS_LOG_ERR,
		"toyfs: files of this device are kept: mount it with the same options, '%s', or make it anew",
		kept->options);
	return -EINVAL;
}

int toy_keep_take(struct zus_mount *mount)
{
	struct toy_kept *kept;
	int err = -ENOENT;

	pthread_mutex_lock(&kept_lock);
	kept = find(mount);
	if (kept)
		err = check_options(kept, mount);
	if (!err)
		take_out(kept);
	pthread_mutex_unlock(&kept_lock);
	if (err)
		return err;
	mount->priv = kept->fs;
	err = toy_index_each(kept->fs->index, enter, mount);
	if (!err) {
		free(kept);
		return 0;
	}
	toy_index_each(kept->fs->index, leave, &kept->mount);
	pthread_mutex_lock(&kept_lock);
	put_in(kept);
	pthread_mutex_unlock(&kept_lock);
	return err;
}

/* --------------------------------------------------------------- between two */

static int evict(struct toy_inode *ti, void *arg)
{
	toy_evict(&ti->zi);
	return 0;
}

static void drop(struct toy_kept *kept)
{
	toy_index_each(kept->fs->index, evict, NULL);
	toy_free_fs(kept->fs);
	free(kept);
}

bool toy_keep(struct zus_mount *mount)
{
	struct toy_fs *fs = mount->priv;
	size_t bytes = strlen(mount->options) + 1;
	struct toy_kept *kept, *oldest = NULL;

	if (fs->features & ZUS_MF_VOLATILE)
		return false;
	kept = calloc(1, sizeof(*kept) + bytes);
	if (!kept) {
		zus_log(ZUS_LOG_ERR, "toyfs: no memory to keep the files of a mount: they end with it");
		return false;
	}
	kept->fs = fs;
	memcpy(kept->options, mount->options, bytes);
	memcpy(kept->mount.fs_uuid, mount->fs_uuid, sizeof(mount->fs_uuid));
	kept->mount.priv = fs;
	toy_index_each(fs->index, leave, &kept->mount);
	pthread_mutex_lock(&kept_lock);
	put_in(kept);
	if (kept_count > KEPT_MAX) {
		oldest = TAILQ_FIRST(&kept_list);
		take_out(oldest);
	}
	pthread_mutex_unlock(&kept_lock);
	if (oldest)
		drop(oldest);
	return true;
}

/* The server unloads its plugin, or ends. */
__attribute__((destructor)) static void drop_all(void)
{
	struct toy_kept *kept;

	while ((kept = TAILQ_FIRST(&kept_list))) {
		take_out(kept);
		drop(kept);
	}
}
