// SPDX-License-Identifier: BSD-3-Clause
/* fs.c - a filesystem in memory, from its media: of a mount, and of who checks it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "ops.h"
#include "shell.h"

void zl_fs_free(struct zl_fs *fs)
{
	zl_words_free(fs);
	zl_work_drop(fs);
	zl_objs_free(fs);
	zl_log_free(fs);
	zl_tree_free(fs);
	zl_apply_free(fs);
	zl_pools_free(fs);
	zl_segs_free(fs);
	zl_slots_free(fs);
	free(fs->boundaries);
	pthread_mutex_destroy(&fs->space_lock);
	pthread_mutex_destroy(&fs->objs_lock);
	pthread_mutex_destroy(&fs->step);
	free(fs);
}

struct zl_fs *zl_fs_new(bool rdonly, uint64_t incarnation)
{
	struct zl_fs *fs = aligned_alloc(_Alignof(struct zl_fs), sizeof(*fs));

	if (!fs)
		return NULL;
	memset(fs, 0, sizeof(*fs));
	fs->rdonly = rdonly;
	fs->incarnation = incarnation;
	fs->objs_size = 64;
	fs->objs = calloc(fs->objs_size, sizeof(void *));
	pthread_mutex_init(&fs->space_lock, NULL);
	pthread_mutex_init(&fs->objs_lock, NULL);
	pthread_mutex_init(&fs->step, NULL);
	TAILQ_INIT(&fs->batch);
	zl_log_init(fs);
	return fs;
}

int zl_fs_load(struct zl_fs *fs, const struct zl_media *media, uint32_t num_media)
{
	int err = zl_super_load(fs, media, num_media);
	const char *what = err ? NULL : zl_ckpt_check(&fs->ckpt);

	if (what)
		zus_log(ZUS_LOG_ERR, "zlogfs: the newest checkpoint is damaged: %s: fsck.zlogfs "
			"says more", what);
	if (err || what)
		return err ? err : -EINVAL;
	fs->next_log_seq = zl_get64(fs->ckpt.next_log_seq);
	err = fs->objs ? zl_slots_init(fs) : -ENOMEM;
	if (!err)
		err = zl_pools_init(fs);
	if (!err)
		err = zl_apply_init(fs);
	if (!err)
		err = zl_segs_load(fs);
	if (!err)
		err = zl_tree_load(fs);
	if (!err && ZL_BUG(ORPHANS_FIRST))
		err = zl_orphans_destroy(fs);
	return err ? err : zl_recover(fs);
}
