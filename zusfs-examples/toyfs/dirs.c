// SPDX-License-Identifier: BSD-3-Clause
/*
 * dirs.c - where in a large directory a reader goes on: READDIR names the place of the
 * last entry that was seen, which may have gone since.
 */
#include <errno.h>
#include <search.h>

#include "toyfs.h"

#define NEAR	1024u	/* places that are tried one by one */

static int compare(const void *left, const void *right)
{
	const struct toy_dentry *a = left, *b = right;

	if (a->dir != b->dir)
		return a->dir < b->dir ? -1 : 1;
	return a->cookie < b->cookie ? -1 : a->cookie > b->cookie;
}

int toy_dir_add(struct toy_fs *fs, struct toy_dentry *de)
{
	return tsearch(de, &fs->by_cookie, compare) ? 0 : -ENOMEM;
}

void toy_dir_del(struct toy_fs *fs, struct toy_dentry *de)
{
	tdelete(de, &fs->by_cookie, compare);
}

static void nothing(void *de)
{
}

void toy_dir_end(struct toy_fs *fs)
{
	tdestroy(fs->by_cookie, nothing);
}

void toy_dir_swap(struct toy_fs *fs, struct toy_dentry *de, struct toy_dentry *last)
{
	struct toy_dentry **place = tfind(de, &fs->by_cookie, compare);
	struct toy_dentry **end = tfind(last, &fs->by_cookie, compare);
	uint64_t cookie = de->cookie;

	/* the keys of either place stay as they were */
	*place = last;
	*end = de;
	de->cookie = last->cookie;
	last->cookie = cookie;
	TAILQ_REMOVE(&de->dir->entries, last, link);
	TAILQ_INSERT_BEFORE(de, last, link);
	TAILQ_REMOVE(&de->dir->entries, de, link);
	TAILQ_INSERT_TAIL(&de->dir->entries, de, link);
}

static struct toy_dentry *at(struct toy_inode *dir, uint64_t cookie)
{
	struct toy_dentry key = { .dir = dir, .cookie = cookie }, **found;

	found = tfind(&key, &fs_of(&dir->zi)->by_cookie, compare);
	return found ? *found : NULL;
}

struct toy_dentry *toy_dir_after(struct toy_inode *dir, uint64_t cookie)
{
	struct toy_dentry *de = cookie ? at(dir, cookie) : NULL;
	uint64_t next;

	if (de)
		return TAILQ_NEXT(de, link);
	for (next = cookie + 1; cookie && next <= cookie + NEAR; next++) {
		de = at(dir, next);
		if (de || next >= dir->next_cookie)
			return de;
	}
	/* most around it have gone, so there are not too many to walk along */
	TAILQ_FOREACH(de, &dir->entries, link)
		if (de->cookie > cookie)
			break;
	return de;
}
