// SPDX-License-Identifier: BSD-3-Clause
/*
 * blocks.c - what there is to know of a block in use beyond its place: that several places
 * of files have it (clone.c), or that nobody has written to it yet (fallocate.c). Most
 * blocks are neither and not in the table; a mount without these options has no table.
 */
#include <errno.h>
#include <stdlib.h>

#include "toyfs.h"

#define BUCKETS		65536u

struct mark {
	LIST_ENTRY(mark) link;
	zus_block block;
	uint64_t others;		/* slots that have it, less one */
	bool unwritten;			/* holds anything; others is 0 */
};

struct toy_blocks {
	pthread_mutex_t lock;		/* innermost */
	bool unwritten;			/* the option */
	LIST_HEAD(mark_list, mark) bucket[BUCKETS];
};

int toy_blocks_begin(struct toy_fs *fs, bool unwritten)
{
	if (!fs->blocks) {
		fs->blocks = calloc(1, sizeof(*fs->blocks));
		if (!fs->blocks)
			return -ENOMEM;
		pthread_mutex_init(&fs->blocks->lock, NULL);
	}
	fs->blocks->unwritten |= unwritten;
	return 0;
}

bool toy_blocks_unwritten(struct toy_fs *fs)
{
	return fs->blocks && fs->blocks->unwritten;
}

/* No inode is left, so no mark either. */
void toy_blocks_end(struct toy_fs *fs)
{
	if (!fs->blocks)
		return;
	pthread_mutex_destroy(&fs->blocks->lock);
	free(fs->blocks);
}

/* With the lock. */
static struct mark *find(struct toy_blocks *blocks, zus_block block)
{
	struct mark *mark;

	LIST_FOREACH(mark, &blocks->bucket[block % BUCKETS], link)
		if (mark->block == block)
			return mark;
	return NULL;
}

/* Likewise; a new one if there is none. NULL: no memory. */
static struct mark *get(struct toy_blocks *blocks, zus_block block)
{
	struct mark *mark = find(blocks, block);

	if (mark)
		return mark;
	mark = calloc(1, sizeof(*mark));
	if (mark) {
		mark->block = block;
		LIST_INSERT_HEAD(&blocks->bucket[block % BUCKETS], mark, link);
	}
	return mark;
}

/* Likewise. */
static void end(struct mark *mark)
{
	LIST_REMOVE(mark, link);
	free(mark);
}

enum toy_kind toy_kind(struct toy_fs *fs, zus_block block)
{
	enum toy_kind kind = TOY_OWN;
	struct mark *mark;

	if (!fs->blocks)
		return kind;
	pthread_mutex_lock(&fs->blocks->lock);
	mark = find(fs->blocks, block);
	if (mark)
		kind = mark->unwritten ? TOY_UNWRITTEN : TOY_SHARED;
	pthread_mutex_unlock(&fs->blocks->lock);
	return kind;
}

bool toy_answer_kind(struct toy_fs *fs, zus_block block, struct zus_extent *ext)
{
	enum toy_kind kind = block ? toy_kind(fs, block) : TOY_OWN;

	ext->type = !block ? ZUS_EXT_HOLE :
		    kind == TOY_UNWRITTEN ? ZUS_EXT_UNWRITTEN : ZUS_EXT_DATA;
	if (kind == TOY_SHARED)
		ext->flags |= ZUS_EXTF_SHARED;
	return block && kind == TOY_OWN;
}

int toy_block_share(struct toy_fs *fs, zus_block block)
{
	struct mark *mark;

	pthread_mutex_lock(&fs->blocks->lock);
	mark = get(fs->blocks, block);
	if (mark)
		mark->others++;
	pthread_mutex_unlock(&fs->blocks->lock);
	return mark ? 0 : -ENOMEM;
}

int toy_block_unwritten(struct toy_fs *fs, zus_block block)
{
	struct mark *mark;

	pthread_mutex_lock(&fs->blocks->lock);
	mark = get(fs->blocks, block);
	if (mark)
		mark->unwritten = true;
	pthread_mutex_unlock(&fs->blocks->lock);
	return mark ? 0 : -ENOMEM;
}

void toy_block_written(struct toy_fs *fs, zus_block block)
{
	pthread_mutex_lock(&fs->blocks->lock);
	end(find(fs->blocks, block));
	pthread_mutex_unlock(&fs->blocks->lock);
}

void toy_block_put(struct toy_fs *fs, zus_block block)
{
	struct mark *mark = NULL;
	bool last = true;

	if (fs->blocks) {
		pthread_mutex_lock(&fs->blocks->lock);
		mark = find(fs->blocks, block);
		last = !mark || mark->unwritten;
		if (mark && (last || !--mark->others))
			end(mark);
		pthread_mutex_unlock(&fs->blocks->lock);
	}
	if (last)
		zus_space_free(fs->space, block, 1);
}
