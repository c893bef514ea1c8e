// SPDX-License-Identifier: BSD-3-Clause
/*
 * export.c - inodes by number, for open_by_handle_at(2) and NFS. An inode that is being
 * evicted leaves the index first, so who finds one there can see whether it still lives.
 */
#include <errno.h>
#include <stdlib.h>

#include "toyfs.h"

#define BUCKETS	4096u

struct toy_index {
	pthread_mutex_t lock;
	LIST_HEAD(toy_bucket, toy_inode) bucket[BUCKETS];
};

struct toy_index *toy_index_new(void)
{
	struct toy_index *index = calloc(1, sizeof(*index));

	if (index)
		pthread_mutex_init(&index->lock, NULL);
	return index;
}

void toy_index_delete(struct toy_index *index)
{
	if (index)
		pthread_mutex_destroy(&index->lock);
	free(index);
}

void toy_index_add(struct toy_inode *ti)
{
	struct toy_index *index = fs_of(&ti->zi)->index;

	pthread_mutex_lock(&index->lock);
	LIST_INSERT_HEAD(&index->bucket[ti->attr.ino % BUCKETS], ti, by_ino);
	pthread_mutex_unlock(&index->lock);
}

void toy_index_del(struct toy_inode *ti)
{
	struct toy_index *index = fs_of(&ti->zi)->index;

	pthread_mutex_lock(&index->lock);
	LIST_REMOVE(ti, by_ino);
	pthread_mutex_unlock(&index->lock);
}

int toy_index_each(struct toy_index *index, toy_each *each, void *arg)
{
	struct toy_inode *ti, *next;
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < BUCKETS; i++)
		for (ti = LIST_FIRST(&index->bucket[i]); !ret && ti; ti = next) {
			next = LIST_NEXT(ti, by_ino);
			ret = each(ti, arg);
		}
	return ret;
}

int toy_index_put(struct toy_inode *ti, void *arg)
{
	zus_inode_put(&ti->zi);
	return 0;
}

/* With the index's lock.  Returns NULL too for one that waits in evict for the lock. */
static struct toy_inode *get_by_ino(struct toy_index *index, uint64_t ino, uint64_t gen)
{
	struct toy_inode *ti;

	LIST_FOREACH(ti, &index->bucket[ino % BUCKETS], by_ino)
		if (ti->attr.ino == ino && ti->attr.gen == gen)
			return zus_inode_tryget(&ti->zi) ? ti : NULL;
	return NULL;
}

int toy_iget(struct zus_req *req, struct zus_mount *mount, uint64_t ino, uint64_t gen,
	     struct zus_entry *out)
{
	struct toy_fs *fs = mount->priv;
	struct toy_inode *ti;

	pthread_mutex_lock(&fs->index->lock);
	ti = get_by_ino(fs->index, ino, gen);
	pthread_mutex_unlock(&fs->index->lock);
	if (!ti)
		return -ESTALE;
	toy_get_attr(ti, &out->attr);
	if (out->attr.nlink)
		zus_entry_set(out, &ti->zi);
	zus_inode_put(&ti->zi);
	return out->attr.nlink ? 0 : -ESTALE;
}

int toy_parent(struct zus_req *req, struct zus_inode *dir, struct zus_entry *out)
{
	struct toy_fs *fs = fs_of(dir);
	struct toy_inode *parent;

	pthread_rwlock_rdlock(&fs->names);
	parent = toy(dir)->attr.nlink ? toy(dir)->parent : NULL;
	if (parent) {
		zus_entry_set(out, &parent->zi);	/* while its entry keeps it */
		toy_get_attr(parent, &out->attr);
	}
	pthread_rwlock_unlock(&fs->names);
	return parent ? 0 : -ESTALE;
}
