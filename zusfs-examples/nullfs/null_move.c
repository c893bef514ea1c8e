// SPDX-License-Identifier: BSD-3-Clause
/*
 * null_move.c - moving leased blocks; see null_move.h. The order is the one that
 * zus.h gives for zus_recall(). What a chunk leaves behind is overwritten, so that
 * whoever still used the old place would be seen.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "null_move.h"

#define LEFT_BEHIND	0xdd
#define NOTHING		UINT64_MAX
#define WANTED_NS	50000000	/* for how long the next move waits at most */

struct null_move {
	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t changed;
	uint64_t moving;		/* chunk, or NOTHING */
	bool recalled;			/* it has ended */
	bool in_use;			/* and somebody keeps a page: not now */
	bool wanted;			/* somebody was told to ask for it again */
	bool running;			/* the thread, since the first map */
	bool stop;
	uint64_t *place;		/* of each chunk of the file, by chunks */
	uint64_t spare;			/* the place where none is */

	pthread_t thread;
	struct zus_inode *inode;
	uint64_t ino, gen;
	uint64_t base_off;
	uint64_t chunks;
	uint64_t random;
	uint64_t pause_us;
	uint32_t dev;
};

static uint64_t next_random(struct null_move *move)
{
	move->random ^= move->random << 13;
	move->random ^= move->random >> 7;
	move->random ^= move->random << 17;
	return move->random;
}

static uint64_t place_off(const struct null_move *move, uint64_t place)
{
	return move->base_off + place * NULL_CHUNK_BYTES;
}

static void *place_addr(const struct null_move *move, uint64_t place)
{
	return zus_dev_addr(move->inode->mount, move->dev, place_off(move, place));
}

/* Of chunks and zus_recall(); in libzus's thread. */
static void chunk_recalled(void *arg, int err)
{
	struct null_move *move = arg;

	pthread_mutex_lock(&move->lock);
	move->recalled = true;
	move->in_use = err == -EBUSY;
	if (err && err != -EBUSY)
		move->stop = true;	/* the mount ends */
	pthread_cond_signal(&move->changed);
	pthread_mutex_unlock(&move->lock);
}

/* Under the lock, which map() takes too: from here on it answers BUSY. */
static int chunk_recall(struct null_move *move, uint64_t chunk)
{
	const struct zus_recall recall = {
		.inode = move->inode, .ino = move->ino, .gen = move->gen,
		.off = chunk * NULL_CHUNK_BYTES, .len_bytes = NULL_CHUNK_BYTES,
		/* now and then only to see that a downgrade does no harm */
		.flags = next_random(move) % 4 ? ZUS_RECALL_TRY : ZUS_RECALL_DOWNGRADE,
	};
	bool only = recall.flags & ZUS_RECALL_DOWNGRADE;
	int err;

	move->moving = chunk;
	move->recalled = false;
	err = zus_recall(&recall, chunk_recalled, move);
	while (!err && !move->recalled)
		pthread_cond_wait(&move->changed, &move->lock);
	if (!err && (only || move->stop || move->in_use))
		err = -EAGAIN;		/* nothing to move */
	return err;
}

static struct timespec after_ns(uint64_t ns)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	ns += (uint64_t)end.tv_nsec;
	end.tv_sec += (time_t)(ns / 1000000000u);
	end.tv_nsec = (long)(ns % 1000000000u);
	return end;
}

/*
 * Whoever asked in vain asks again: a file of one chunk would never be seen at rest
 * otherwise. Not for ever: who asked may be dead.
 */
static void wait_for_wanted(struct null_move *move)
{
	struct timespec end = after_ns(WANTED_NS);

	while (move->wanted && !move->stop)
		if (pthread_cond_timedwait(&move->changed, &move->lock, &end))
			break;
	move->wanted = false;
}

static void pause_moves(struct null_move *move)
{
	struct timespec end = after_ns(move->pause_us * 1000);

	while (move->pause_us && !move->stop)
		if (pthread_cond_timedwait(&move->changed, &move->lock, &end))
			break;
}

static void move_one(struct null_move *move)
{
	uint64_t chunk = next_random(move) % move->chunks, old = move->place[chunk];
	int err = chunk_recall(move, chunk);

	if (!err) {
		pthread_mutex_unlock(&move->lock);	/* others get their maps */
		zus_copy_nt(place_addr(move, move->spare), place_addr(move, old),
			    NULL_CHUNK_BYTES);
		zus_fence();
		memset(place_addr(move, old), LEFT_BEHIND, NULL_CHUNK_BYTES);
		pthread_mutex_lock(&move->lock);
		move->place[chunk] = move->spare;
		move->spare = old;
	} else if (err != -EAGAIN && err != -EBUSY) {
		move->stop = true;
	}
	move->moving = NOTHING;
}

static void *move_main(void *arg)
{
	struct null_move *move = arg;

	pthread_mutex_lock(&move->lock);
	while (!move->stop) {
		move_one(move);
		wait_for_wanted(move);
		pause_moves(move);
		pthread_mutex_unlock(&move->lock);
		pthread_mutex_lock(&move->lock);
	}
	pthread_mutex_unlock(&move->lock);
	return NULL;
}

int null_move_begin(struct zus_inode *inode, uint64_t ino, uint64_t gen, uint32_t dev,
		    uint64_t base_off, uint64_t size_bytes, uint64_t seed,
		    uint64_t pause_us, struct null_move **made)
{
	struct null_move *move = calloc(1, sizeof(*move));
	pthread_condattr_t attr;
	uint64_t i;

	if (!move)
		return -ENOMEM;
	move->chunks = size_bytes / NULL_CHUNK_BYTES;
	move->place = calloc(move->chunks, sizeof(*move->place));
	if (!move->place)
		goto out_free;
	for (i = 0; i < move->chunks; i++)
		move->place[i] = i;
	move->spare = move->chunks;
	move->moving = NOTHING;
	move->inode = inode;
	move->ino = ino;
	move->gen = gen;
	move->dev = dev;
	move->base_off = base_off;
	move->random = seed * 2 + 1;
	move->pause_us = pause_us;
	pthread_mutex_init(&move->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&move->changed, &attr);
	pthread_condattr_destroy(&attr);
	*made = move;
	return 0;

out_free:
	free(move->place);
	free(move);
	return -ENOMEM;
}

void null_move_end(struct null_move *move)
{
	if (!move)
		return;
	pthread_mutex_lock(&move->lock);
	move->stop = true;
	pthread_cond_signal(&move->changed);
	pthread_mutex_unlock(&move->lock);
	if (move->running)
		pthread_join(move->thread, NULL);
	pthread_cond_destroy(&move->changed);
	pthread_mutex_destroy(&move->lock);
	free(move->place);
	free(move);
}

int null_move_map(struct null_move *move, struct zus_req *req, const struct zus_map *args)
{
	uint64_t chunk = args->off / NULL_CHUNK_BYTES;
	struct zus_extent extent = {
		.file_off = chunk * NULL_CHUNK_BYTES,
		.len_bytes = NULL_CHUNK_BYTES,
		.dev = move->dev,
		.type = ZUS_EXT_DATA,
		.flags = ZUS_EXTF_LEASE_R | ZUS_EXTF_LEASE_W,
	};
	int ret;

	if (chunk >= move->chunks) {
		extent.type = ZUS_EXT_HOLE;
		extent.dev = 0;
		extent.flags = 0;
		return args->flags & ZUS_MAP_WRITE ? -ENOSPC : zus_req_extent(req, &extent);
	}
	pthread_mutex_lock(&move->lock);
	/* not sooner: nothing can be recalled before the mount is there */
	if (!move->running)
		move->running = !pthread_create(&move->thread, NULL, move_main, move);
	extent.dev_off = place_off(move, move->place[chunk]);
	move->wanted = move->moving == chunk;
	ret = move->wanted ? ZUS_BUSY_RETRY : zus_req_extent(req, &extent);
	pthread_cond_signal(&move->changed);
	pthread_mutex_unlock(&move->lock);
	return ret;
}
