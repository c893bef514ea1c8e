// SPDX-License-Identifier: BSD-3-Clause
/*
 * locks.c - file locks that the plugin decides on, with the mount option locks: for each
 * inode a list of who has what. Owners do not wait here: who is told that somebody else is
 * in the way comes again when zus_invalidate() says that a lock went.
 */
#include <errno.h>
#include <stdlib.h>

#include "toyfs.h"

struct toy_lock {
	LIST_ENTRY(toy_lock) link;
	uint64_t owner;
	uint64_t start, end;		/* the last byte */
	uint32_t type;			/* ZUS_LOCK_RDLCK, WRLCK */
	uint32_t kind;			/* ZUS_LOCK_POSIX, OFD, FLOCK */
	uint32_t pid;
	bool remote;			/* of another machine: its owners are its own */
};

struct toy_locks {			/* under ti->lock */
	LIST_HEAD(toy_lock_list, toy_lock) list;	/* in no order; those of an owner do not overlap */
	bool waited;			/* somebody was sent away, and will come again */
};

static bool is_flock(const struct toy_lock *lock)
{
	return lock->kind == ZUS_LOCK_FLOCK;
}

static bool same_owner(const struct toy_lock *a, const struct toy_lock *b)
{
	return a->owner == b->owner && a->remote == b->remote && is_flock(a) == is_flock(b);
}

static bool overlap(const struct toy_lock *a, const struct toy_lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

static bool conflict(const struct toy_lock *a, const struct toy_lock *b)
{
	return is_flock(a) == is_flock(b) && overlap(a, b) && !same_owner(a, b) &&
	       (a->type == ZUS_LOCK_WRLCK || b->type == ZUS_LOCK_WRLCK);
}

/* The first in the file. */
static const struct toy_lock *find_conflict(const struct toy_locks *locks,
					    const struct toy_lock *want)
{
	const struct toy_lock *lock, *first = NULL;

	LIST_FOREACH(lock, &locks->list, link)
		if (conflict(lock, want) && (!first || lock->start < first->start))
			first = lock;
	return first;
}

static void drop(struct toy_lock *lock)
{
	LIST_REMOVE(lock, link);
	free(lock);
}

static int add(struct toy_locks *locks, const struct toy_lock *like)
{
	struct toy_lock *lock = malloc(sizeof(*lock));

	if (!lock)
		return -ENOLCK;
	*lock = *like;
	LIST_INSERT_HEAD(&locks->list, lock, link);
	return 0;
}

/*
 * The owner has nothing in the range of want any more; *had: it had. Needs memory only to
 * split a lock, and then does so first: all or nothing.
 */
static int cut(struct toy_locks *locks, const struct toy_lock *want, bool *had)
{
	struct toy_lock *lock, *next, behind;

	for (lock = LIST_FIRST(&locks->list); lock; lock = next) {
		next = LIST_NEXT(lock, link);
		if (!same_owner(lock, want) || !overlap(lock, want))
			continue;
		*had = true;
		if (lock->start < want->start && lock->end > want->end) {
			behind = *lock;
			behind.start = want->end + 1;
			if (add(locks, &behind))
				return -ENOLCK;
			lock->end = want->start - 1;
		} else if (lock->start < want->start) {
			lock->end = want->start - 1;
		} else if (lock->end > want->end) {
			lock->start = want->end + 1;
		} else {
			drop(lock);
		}
	}
	return 0;
}

/* What the owner has beside it, and likewise, becomes one with lock. */
static void join(struct toy_locks *locks, struct toy_lock *lock)
{
	struct toy_lock *other, *next;

	for (other = LIST_FIRST(&locks->list); other; other = next) {
		next = LIST_NEXT(other, link);
		if (!same_owner(other, lock) || other->type != lock->type)
			continue;
		if (other->end + 1 == lock->start)
			lock->start = other->start;
		else if (lock->end + 1 == other->start)
			lock->end = other->end;
		else
			continue;
		drop(other);
	}
}

/* Who waits for a lock of the inode comes again. */
static void wake(struct toy_inode *ti)
{
	const struct zus_invalidate what = {
		.ino = ti->attr.ino, .gen = ti->attr.gen, .flags = ZUS_INVAL_LOCKS,
	};

	/* not told of, it comes again after a second */
	if (ti->locks->waited && !zus_invalidate(ti->zi.mount, &what, NULL, NULL))
		ti->locks->waited = false;
}

/* Under ti->lock. */
static int set(struct toy_inode *ti, const struct toy_lock *want, bool waits)
{
	struct toy_lock *lock = NULL;
	bool had = false;
	int err;

	if (want->type != ZUS_LOCK_UNLCK) {
		if (find_conflict(ti->locks, want)) {
			ti->locks->waited |= waits;
			return -EAGAIN;
		}
		lock = malloc(sizeof(*lock));
		if (!lock)
			return -ENOLCK;
		*lock = *want;
	}
	err = cut(ti->locks, want, &had);
	if (err) {
		free(lock);
		return err;
	}
	if (lock) {
		join(ti->locks, lock);
		LIST_INSERT_HEAD(&ti->locks->list, lock, link);
	}
	if (had)
		wake(ti);
	return 0;
}

static int set_first(struct toy_inode *ti, const struct toy_lock *want, bool waits)
{
	int err = -ENOLCK;

	pthread_mutex_lock(&ti->lock);
	if (!ti->locks)
		ti->locks = calloc(1, sizeof(*ti->locks));
	if (ti->locks)
		err = set(ti, want, waits);
	pthread_mutex_unlock(&ti->lock);
	return err;
}

static void get(struct toy_inode *ti, const struct toy_lock *want,
		struct zus_lock_conflict *answer)
{
	const struct toy_lock *found;

	pthread_mutex_lock(&ti->lock);
	found = ti->locks ? find_conflict(ti->locks, want) : NULL;
	if (found)
		*answer = (struct zus_lock_conflict) {
			.start = found->start, .end = found->end, .type = found->type,
			.pid = (int32_t)found->pid, .flags = found->kind,
		};
	pthread_mutex_unlock(&ti->lock);
}

int toy_lock(struct zus_req *req, struct zus_inode *inode, const struct zus_lock *args,
	     struct zus_lock_conflict *answer)
{
	const struct toy_lock want = {
		.owner = args->owner, .start = args->start, .end = args->end, .type = args->type,
		.kind = args->flags & ~ZUS_LOCK_WAIT, .pid = args->pid,
	};

	if (!args->get)
		return set_first(toy(inode), &want, args->flags & ZUS_LOCK_WAIT);
	get(toy(inode), &want, answer);
	return 0;
}

int toy_lock_remote(struct toy_inode *ti, uint32_t type, uint32_t kind)
{
	const struct toy_lock want = {
		.end = ZUS_LOCK_END, .type = type, .kind = kind, .remote = true,
	};

	return set_first(ti, &want, false);
}

void toy_locks_free(struct toy_inode *ti)
{
	struct toy_lock *lock, *next;

	if (!ti->locks)
		return;
	for (lock = LIST_FIRST(&ti->locks->list); lock; lock = next) {
		next = LIST_NEXT(lock, link);
		free(lock);
	}
	free(ti->locks);
}
