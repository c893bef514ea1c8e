// SPDX-License-Identifier: BSD-3-Clause
/*
 * relocate.c - moves blocks of files while programs use them: a test mode, and an
 * example for every plugin that has to move data. See docs/tutorial.md, section 10.
 *
 * The kernel keeps what MAP answered. Programs read, write and map those blocks and
 * toyfs does not see it. So a block moves in steps, each of them begun when the
 * kernel has acknowledged the one before:
 *
 *	mark	the slot becomes TOY_MOVED: from now on MAP answers "ask again"
 *	recall	zus_recall() tells the kernel to let go of the range
 *	...	some time later it has; nobody knows the old block any more
 *	copy	to the new block, past the CPU's caches, and a fence
 *	change	the slot gets the new block
 *	free	the old one
 *
 * Or, so that readers go on meanwhile, a step more at the start: TOY_COPIED keeps
 * writers away only, the recall is a downgrade, and it is copied behind that.
 *
 * A page that somebody has pinned (a pipe, a disk's controller) stays where it is: the
 * recall is only tried, ends with EBUSY, and the mark is taken away again. To wait would
 * keep those who ask for a marked slot waiting too, and the page's user may be one of them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "toyfs.h"

#define MOVE_BLOCKS	8u	/* of one move, at most */
#define MOVES		8u	/* under way at once */
#define FREED		64u	/* lately freed blocks that are known */
#define LOOK_BLOCKS	64u	/* for one that can be moved */
#define PAUSE_NS	1000000u
#define DELAY_NS	4000000u
#define LEFT_BEHIND	0xdd	/* whoever still reads an old block shall notice */

struct toy_move {
	TAILQ_ENTRY(toy_move) link;	/* of relocator->acknowledged */
	struct toy_relocator *r;
	struct toy_inode *ti;		/* with a reference */
	uint64_t bn;
	unsigned int count;
	zus_block from[MOVE_BLOCKS], to[MOVE_BLOCKS];
	uint64_t state;			/* TOY_COPIED or TOY_MOVED: what its slots are */
	bool copied;			/* once, behind a downgrade */
	int err;			/* of the last recall */
};

struct freed {
	zus_block block;
	uint64_t ino;			/* whose it was */
};

struct toy_relocator {
	struct toy_fs *fs;
	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t changed;
	TAILQ_HEAD(toy_moves, toy_move) acknowledged;
	TAILQ_HEAD(toy_files, toy_inode) files;	/* all of them, lately used ones first */
	struct freed freed[FREED];
	unsigned int num_freed;
	unsigned int under_way;		/* moves */
	bool running;			/* the thread, since the first MAP */
	bool stop;
	bool frozen;			/* none is begun */
	uint64_t reused;

	pthread_t thread;		/* which alone has what follows */
	uint64_t seed, random;
	bool closed;			/* the mount ends */
	uint64_t moves, blocks, shared, late, cut, busy, failed;
};

static uint64_t below(struct toy_relocator *r, uint64_t n)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return r->random % n;
}

/* -------------------------------------------------------------------- blocks */

static void *block_addr(struct toy_relocator *r, zus_block block)
{
	return zus_dev_addr(r->fs->root->zi.mount, zus_block_dev(block),
			    zus_block_off(r->fs->space, block));
}

/* Nobody has the block any more. It shall soon be used again, by another file. */
static void block_free(struct toy_relocator *r, zus_block block, uint64_t ino)
{
	memset(block_addr(r, block), LEFT_BEHIND, TOY_BLOCK);
	zus_space_free(r->fs->space, block, 1);
	pthread_mutex_lock(&r->lock);
	r->freed[r->num_freed++ % FREED] = (struct freed) { block, ino };
	pthread_mutex_unlock(&r->lock);
}

/* The last one freed that was not of inode ino, or 0. */
static zus_block freed_by_others(struct toy_relocator *r, uint64_t ino)
{
	zus_block block = 0;
	struct freed *freed;
	unsigned int i;

	pthread_mutex_lock(&r->lock);
	for (i = 1; i <= FREED && !block; i++) {
		freed = &r->freed[(r->num_freed - i) % FREED];
		if (freed->ino == ino)
			continue;
		block = freed->block;
		freed->block = 0;
	}
	pthread_mutex_unlock(&r->lock);
	return block;
}

zus_block toy_relocate_alloc(struct toy_inode *ti, struct zus_space_want *want, uint64_t *got)
{
	struct toy_fs *fs = fs_of(&ti->zi);
	zus_block goal = 0, block;

	if (fs->relocator)
		goal = freed_by_others(fs->relocator, ti->attr.ino);
	if (goal)
		want->goal = goal;
	block = zus_space_alloc(fs->space, want, got);
	if (goal && block == goal)
		__atomic_add_fetch(&fs->relocator->reused, 1, __ATOMIC_RELAXED);
	return block;
}

/* --------------------------------------------------------------------- begin */

/* A file with a reference for the caller, or NULL. */
static struct toy_inode *pick_file(struct toy_relocator *r)
{
	struct toy_inode *ti, *found = NULL;
	unsigned int tries = 16;
	uint64_t skip = below(r, 3);

	pthread_mutex_lock(&r->lock);
	while (tries-- && !found && (ti = TAILQ_FIRST(&r->files))) {
		TAILQ_REMOVE(&r->files, ti, files);
		TAILQ_INSERT_TAIL(&r->files, ti, files);
		if (skip)
			skip--;
		else if (zus_inode_tryget(&ti->zi))	/* else it waits in evict for us */
			found = ti;
	}
	pthread_mutex_unlock(&r->lock);
	return found;
}

/* Blocks that the file has for everybody, from some bn on. Under ti->lock. */
static void pick_blocks(struct toy_relocator *r, struct toy_move *move)
{
	uint64_t size = (move->ti->attr.size_bytes + TOY_BLOCK - 1) / TOY_BLOCK, *slot;
	uint64_t want = 1 + below(r, MOVE_BLOCKS), look;

	if (!size || !move->ti->map_blocks)
		return;
	move->bn = below(r, 2) ? move->ti->last_bn + below(r, 8) : below(r, size);
	for (look = 0; look < LOOK_BLOCKS && move->count < want; look++) {
		slot = toy_map_slot(move->ti, move->bn + move->count, false);
		if (slot && *slot && !(*slot & TOY_STATE) && toy_kind(r->fs, *slot) == TOY_OWN)
			move->from[move->count++] = *slot;
		else if (move->count)
			break;
		else
			move->bn++;
	}
}

/* New places for them, as far as there is space. */
static void take_blocks(struct toy_move *move)
{
	struct zus_space_want want = { .bn = move->bn };
	unsigned int have = 0;
	zus_block block;
	uint64_t got;

	for (; have < move->count; have += got) {
		want.count = move->count - have;
		want.goal = 0;
		block = toy_relocate_alloc(move->ti, &want, &got);
		if (!block)
			break;
		for (uint64_t i = 0; i < got; i++)
			move->to[have + i] = block + i;
	}
	move->count = have;
}

/* Marks those slots that are still the file's: truncate may have cut it. ti->lock. */
static void mark(struct toy_move *move, uint64_t state)
{
	unsigned int i;
	uint64_t *slot;

	for (i = 0; i < move->count; i++) {
		slot = toy_map_slot(move->ti, move->bn + i, false);
		if (slot && (*slot & ~TOY_STATE) == move->from[i])
			*slot = move->from[i] | state;
	}
	move->state = state;
}

/* What was recalled is: by a thread of libzus, which shall not be kept. */
static void recalled(void *arg, int err)
{
	struct toy_move *move = arg;

	pthread_mutex_lock(&move->r->lock);
	move->err = err;
	TAILQ_INSERT_TAIL(&move->r->acknowledged, move, link);
	pthread_cond_signal(&move->r->changed);
	pthread_mutex_unlock(&move->r->lock);
}

/* Nothing follows from this one: what is asked for again is answered as before. */
static void all_recalled(void *arg, int err)
{
}

/* The marks are there: who asks from now on waits, who asked before is recalled. */
static int recall(struct toy_relocator *r, struct toy_move *move)
{
	struct zus_recall range = {
		.inode = &move->ti->zi, .ino = move->ti->attr.ino, .gen = move->ti->attr.gen,
		.off = move->bn * TOY_BLOCK, .len_bytes = move->count * TOY_BLOCK,
		.flags = move->state == TOY_COPIED ? ZUS_RECALL_DOWNGRADE : ZUS_RECALL_TRY,
	};

	/* now and then more than must be, which does no harm: others only ask again */
	if (!below(r, 16))
		range.off = range.len_bytes = 0;
	if (!below(r, 32))
		zus_recall_all(move->ti->zi.mount, range.flags, all_recalled, NULL);
	return zus_recall(&range, recalled, move);
}

/* ----------------------------------------------------------------------- end */

/*
 * Copy what differs. Behind a downgrade all of it; then, at the end, what a page
 * that was pinned all the time has been given by its owner.
 */
static bool copy(struct toy_relocator *r, const struct toy_move *move)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < move->count; i++) {
		void *from = block_addr(r, move->from[i]), *to = block_addr(r, move->to[i]);

		if (!memcmp(to, from, TOY_BLOCK))
			continue;
		zus_copy_nt(to, from, TOY_BLOCK);
		any = true;
	}
	zus_fence();
	return any;
}

/* The map gets the new blocks, or without moved keeps the old ones. */
static void settle(struct toy_relocator *r, struct toy_move *move, bool moved)
{
	struct toy_inode *ti = move->ti;
	zus_block gone[2 * MOVE_BLOCKS];
	unsigned int num_gone = 0, i;
	uint64_t *slot;

	pthread_mutex_lock(&ti->lock);
	for (i = 0; i < move->count; i++) {
		slot = toy_map_slot(ti, move->bn + i, false);
		if (slot && *slot == (move->from[i] | move->state)) {
			*slot = moved ? move->to[i] : move->from[i];
			gone[num_gone++] = moved ? move->from[i] : move->to[i];
		} else {	/* truncate took the slot, and left the block to us */
			gone[num_gone++] = move->from[i];
			gone[num_gone++] = move->to[i];
			r->cut++;
		}
	}
	pthread_mutex_unlock(&ti->lock);
	for (i = 0; i < num_gone; i++)
		block_free(r, gone[i], ti->attr.ino);
	r->moves += moved;
	r->blocks += moved ? move->count : 0;
	zus_inode_put(&ti->zi);
	free(move);
	pthread_mutex_lock(&r->lock);
	r->under_way--;
	pthread_mutex_unlock(&r->lock);
}

static void give_up(struct toy_relocator *r, struct toy_move *move, int err)
{
	if (err == -ESHUTDOWN)
		r->closed = true;
	else if (err == -EBUSY)
		r->busy++;		/* a page is pinned: another time */
	else
		r->failed++;
	settle(r, move, false);
}

static void begin_one(struct toy_relocator *r)
{
	struct toy_inode *ti = pick_file(r);
	struct toy_move *move = ti ? calloc(1, sizeof(*move)) : NULL;
	int err;

	if (!move) {
		if (ti)
			zus_inode_put(&ti->zi);
		return;
	}
	move->r = r;
	move->ti = ti;
	pthread_mutex_lock(&ti->lock);
	pick_blocks(r, move);
	take_blocks(move);
	mark(move, below(r, 3) ? TOY_MOVED : TOY_COPIED);
	pthread_mutex_unlock(&ti->lock);
	if (!move->count) {
		zus_inode_put(&ti->zi);
		free(move);
		return;
	}
	pthread_mutex_lock(&r->lock);
	r->under_way++;
	pthread_mutex_unlock(&r->lock);
	err = recall(r, move);
	if (err)
		give_up(r, move, err);
}

/* Now and then, so that others meet what is half done. */
static void dawdle(struct toy_relocator *r)
{
	struct timespec delay = { .tv_nsec = (long)below(r, DELAY_NS) };

	if (!below(r, 8))
		nanosleep(&delay, NULL);
}

/* The kernel has acknowledged. */
static void go_on(struct toy_relocator *r, struct toy_move *move)
{
	int err = move->err;

	dawdle(r);
	if (!err && move->state == TOY_COPIED) {
		move->copied = true;
		r->shared++;
		copy(r, move);
		dawdle(r);
		pthread_mutex_lock(&move->ti->lock);
		mark(move, TOY_MOVED);
		pthread_mutex_unlock(&move->ti->lock);
		err = recall(r, move);
		if (!err)
			return;		/* until this one is acknowledged, too */
	}
	if (err) {
		give_up(r, move, err);
		return;
	}
	if (copy(r, move) && move->copied)
		r->late++;
	dawdle(r);
	settle(r, move, true);
}

/* -------------------------------------------------------------------- thread */

/* Until something is acknowledged, or it is time to begin the next. Under r->lock. */
static void wait_a_while(struct toy_relocator *r)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)below(r, PAUSE_NS);
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&r->changed, &r->lock, &until);
}

static void *relocate_main(void *arg)
{
	struct toy_relocator *r = arg;
	struct toy_move *move;
	bool begin;

	pthread_mutex_lock(&r->lock);
	while (!r->stop || r->under_way) {
		move = TAILQ_FIRST(&r->acknowledged);
		if (move)
			TAILQ_REMOVE(&r->acknowledged, move, link);
		else
			wait_a_while(r);
		begin = !move && !r->stop && !r->frozen && !r->closed && r->under_way < MOVES;
		pthread_mutex_unlock(&r->lock);
		if (move)
			go_on(r, move);
		else if (begin)
			begin_one(r);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* On any CPU: callbacks run on one, and what they create does, too. Under r->lock. */
static void start_thread(struct toy_relocator *r)
{
	pthread_attr_t attr;
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(all), &all);
	r->running = !pthread_create(&r->thread, &attr, relocate_main, r);
	pthread_attr_destroy(&attr);
}

/* ---------------------------------------------------------------- for others */

int toy_relocate_begin(struct toy_fs *fs, const char *value)
{
	struct toy_relocator *r;
	pthread_condattr_t attr;
	uint64_t seed;
	int err = !fs->relocator && value ? zus_parse_bytes(value, &seed) : -EINVAL;

	if (err)
		return err;
	r = fs->relocator = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->fs = fs;
	r->seed = seed;
	r->random = seed * 2 + 1;
	TAILQ_INIT(&r->acknowledged);
	TAILQ_INIT(&r->files);
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

int toy_freeze(struct zus_req *req, struct zus_mount *mount, int freeze)
{
	struct toy_relocator *r = ((struct toy_fs *)mount->priv)->relocator;
	bool busy;

	if (!r)
		return 0;
	pthread_mutex_lock(&r->lock);
	r->frozen = freeze;
	busy = r->under_way;
	pthread_mutex_unlock(&r->lock);
	/* those end by themselves; asked again soon */
	return freeze && busy ? ZUS_BUSY_RETRY : 0;
}

void toy_relocate_stop(struct toy_fs *fs)
{
	struct toy_relocator *r = fs->relocator;

	if (!r || !r->running)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
	/* libzus has told of the end of each recall: no move is left for long */
	pthread_join(r->thread, NULL);
	zus_log(ZUS_LOG_NOTICE, "toyfs: relocate=%" PRIu64 ": moves %" PRIu64 " blocks %" PRIu64
		" shared %" PRIu64 " late %" PRIu64 " cut %" PRIu64 " busy %" PRIu64 " failed %" PRIu64 " reused %" PRIu64,
		r->seed, r->moves, r->blocks, r->shared, r->late, r->cut, r->busy, r->failed, r->reused);
}

void toy_relocate_end(struct toy_fs *fs)
{
	struct toy_relocator *r = fs->relocator;

	if (!r)
		return;
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void toy_relocate_add(struct toy_inode *ti)
{
	struct toy_relocator *r = fs_of(&ti->zi)->relocator;

	if (!r || !S_ISREG(ti->attr.mode))
		return;
	pthread_mutex_lock(&r->lock);
	TAILQ_INSERT_TAIL(&r->files, ti, files);
	pthread_mutex_unlock(&r->lock);
}

void toy_relocate_use(struct toy_inode *ti, uint64_t bn)
{
	struct toy_relocator *r = fs_of(&ti->zi)->relocator;

	if (!r)
		return;
	ti->last_bn = bn;
	pthread_mutex_lock(&r->lock);
	TAILQ_REMOVE(&r->files, ti, files);
	TAILQ_INSERT_HEAD(&r->files, ti, files);
	/* not sooner: nothing can be recalled before the mount is there */
	if (!r->running && (ti->zi.mount->features & ZUS_MF_LEASES))
		start_thread(r);
	pthread_mutex_unlock(&r->lock);
}

void toy_relocate_del(struct toy_inode *ti)
{
	struct toy_relocator *r = fs_of(&ti->zi)->relocator;

	if (!r || !S_ISREG(ti->attr.mode))
		return;
	pthread_mutex_lock(&r->lock);
	TAILQ_REMOVE(&r->files, ti, files);
	pthread_mutex_unlock(&r->lock);
}
