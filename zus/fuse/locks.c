// SPDX-License-Identifier: BSD-3-Clause
/*
 * locks.c - file locks of plugins that decide on them. The plugin never waits: a caller who
 * does is kept here, without a thread of his own, and asked for again when the plugin says
 * that a lock went, after a second, or when he gets a signal.
 *
 * Of who has locks as much is noted as a close needs, so that who has none makes no call.
 * FUSE says whose files_struct closes a file, and does not say it of locks that belong to
 * the open file (F_OFD_SETLK): those are what is left when it has been closed for the last
 * time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>

#include "ops.h"

#define RETRY_MS	1000

struct holder {
	struct holder *next;
	uint64_t handle;
	uint64_t owner;
	uint32_t kind;			/* ZUS_LOCK_POSIX, FLOCK */
	uint32_t type;			/* of FLOCK: ZUS_LOCK_* */
	const struct zf_file *file;	/* through which it last took one */
};

struct waiter {
	struct waiter *next;
	struct zf_locks *locks;
	fuse_req_t req;
	struct zus_local_caller caller;
	struct zf_file *file;
	fuse_ino_t id;
	struct zus_lock want;
	uint64_t wakes;			/* there had been before it was last tried */
	bool woken;
	bool interrupted;
};

struct zf_locks {
	struct zus_fuse *fuse;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;		/* what follows; no call of the plugin under it */
	pthread_cond_t change;
	struct waiter *waiters;
	struct holder *holders;
	uint64_t wakes;
	bool stop;
};

/* -------------------------------------------------------------------- holders */

/* With lock. */
static struct holder **find(struct zf_locks *locks, const struct zf_file *file,
			    const struct zus_lock *lock)
{
	struct holder **link = &locks->holders;

	while (*link && ((*link)->handle != file->handle || (*link)->owner != lock->owner ||
			 !((*link)->kind & lock->flags)))
		link = &(*link)->next;
	return link;
}

/* Before it asks for a lock: without memory for it, it would never be unlocked. */
static int note_holder(struct zf_locks *locks, const struct zf_file *file,
		       const struct zus_lock *lock)
{
	struct holder *holder = malloc(sizeof(*holder)), *known;

	if (!holder)
		return -ENOLCK;
	pthread_mutex_lock(&locks->lock);
	known = *find(locks, file, lock);
	if (known) {
		known->file = file;
	} else {
		*holder = (struct holder) {
			.next = locks->holders, .handle = file->handle, .owner = lock->owner,
			.kind = lock->flags & (ZUS_LOCK_POSIX | ZUS_LOCK_FLOCK), .file = file,
		};
		locks->holders = holder;
		holder = NULL;
	}
	pthread_mutex_unlock(&locks->lock);
	free(holder);
	return 0;
}

/* A flock that was granted: of which type it is. */
static void note_type(struct zf_locks *locks, const struct zf_file *file,
		      const struct zus_lock *lock)
{
	struct holder *holder;

	pthread_mutex_lock(&locks->lock);
	holder = *find(locks, file, lock);
	if (holder)
		holder->type = lock->type;
	pthread_mutex_unlock(&locks->lock);
}

/* false: it may have none; *type: what it has, of a flock. */
static bool holds(struct zf_locks *locks, const struct zf_file *file,
		  const struct zus_lock *lock, uint32_t *type)
{
	struct holder *holder;

	pthread_mutex_lock(&locks->lock);
	holder = *find(locks, file, lock);
	*type = holder ? holder->type : ZUS_LOCK_UNLCK;
	pthread_mutex_unlock(&locks->lock);
	return holder != NULL;
}

static bool forget_holder(struct zf_locks *locks, const struct zf_file *file,
			  const struct zus_lock *lock)
{
	struct holder **link, *holder;

	pthread_mutex_lock(&locks->lock);
	link = find(locks, file, lock);
	holder = *link;
	if (holder)
		*link = holder->next;
	pthread_mutex_unlock(&locks->lock);
	free(holder);
	return holder != NULL;
}

/* All that the owner has of the file, if it has any. */
static int unlock_all(struct zf_locks *locks, struct zf_file *file, uint64_t owner, uint32_t kind)
{
	const struct zus_lock none = {
		.owner = owner, .end = ZUS_LOCK_END, .type = ZUS_LOCK_UNLCK, .flags = kind,
	};

	return forget_holder(locks, file, &none) ? zus_local_lock(file->file, &none, NULL) : 0;
}

static void unlock_at_close(struct zf_locks *locks, struct zf_file *file, uint64_t owner,
			    uint32_t kind)
{
	int err = unlock_all(locks, file, owner, kind);

	if (err)
		zus_log(ZUS_LOG_WARN, "a lock was not taken back when its file was closed: error %d",
			-err);
}

void zf_locks_flush(struct zf_call *call, struct zf_file *file, uint64_t owner)
{
	unlock_at_close(call->fuse->locks, file, owner, ZUS_LOCK_POSIX);
}

/* Whose locks were taken through the file and are left. */
static bool next_left(struct zf_locks *locks, const struct zf_file *file, struct holder *left)
{
	struct holder *holder;

	pthread_mutex_lock(&locks->lock);
	holder = locks->holders;
	while (holder && holder->file != file)
		holder = holder->next;
	if (holder)
		*left = *holder;
	pthread_mutex_unlock(&locks->lock);
	return holder != NULL;
}

void zf_locks_release(struct zf_call *call, struct zf_file *file)
{
	struct holder left;

	while (next_left(call->fuse->locks, file, &left))
		unlock_at_close(call->fuse->locks, file, left.owner, left.kind);
}

/* -------------------------------------------------------------------- waiters */

static void enqueue(struct zf_locks *locks, struct waiter *waiter)
{
	pthread_mutex_lock(&locks->lock);
	/* one that came while it was tried, and found nobody waiting */
	waiter->woken |= waiter->wakes != locks->wakes;
	waiter->next = locks->waiters;
	locks->waiters = waiter;
	pthread_cond_signal(&locks->change);
	pthread_mutex_unlock(&locks->lock);
}

static uint64_t wakes_so_far(struct zf_locks *locks)
{
	uint64_t wakes;

	pthread_mutex_lock(&locks->lock);
	wakes = locks->wakes;
	pthread_mutex_unlock(&locks->lock);
	return wakes;
}

void zf_locks_wake(struct zf_locks *locks, fuse_ino_t id)
{
	struct waiter *waiter;

	pthread_mutex_lock(&locks->lock);
	locks->wakes++;
	for (waiter = locks->waiters; waiter; waiter = waiter->next)
		waiter->woken |= waiter->id == id;
	pthread_cond_signal(&locks->change);
	pthread_mutex_unlock(&locks->lock);
}

/* libfuse holds the request's lock. */
static void interrupted(fuse_req_t req, void *arg)
{
	struct waiter *waiter = arg;

	(void)req;
	pthread_mutex_lock(&waiter->locks->lock);
	waiter->interrupted = true;
	pthread_cond_signal(&waiter->locks->change);
	pthread_mutex_unlock(&waiter->locks->lock);
}

static void answer(struct waiter *waiter, int err)
{
	/* nobody calls interrupted() with it any more */
	fuse_req_interrupt_func(waiter->req, NULL, NULL);
	fuse_reply_err(waiter->req, -err);
	free(waiter);
}

/* Answers it or puts it back. */
static void try_again(struct zf_locks *locks, struct waiter *waiter)
{
	int err = -EINTR;

	if (!waiter->interrupted) {
		waiter->woken = false;
		waiter->wakes = wakes_so_far(locks);
		zus_local_as(&waiter->caller);
		err = zus_local_lock(waiter->file->file, &waiter->want, NULL);
		zus_local_as(NULL);
		if (!err)
			note_type(locks, waiter->file, &waiter->want);
	}
	if (err == -EAGAIN)
		enqueue(locks, waiter);
	else
		answer(waiter, err);
}

/* With lock: one that is to be tried, out of the list; all of them when time is up. */
static struct waiter *take(struct zf_locks *locks)
{
	struct waiter **link = &locks->waiters, *waiter;

	while ((waiter = *link) && !waiter->woken && !waiter->interrupted)
		link = &waiter->next;
	if (waiter)
		*link = waiter->next;
	return waiter;
}

static void wake_all(struct zf_locks *locks)
{
	struct waiter *waiter;

	for (waiter = locks->waiters; waiter; waiter = waiter->next)
		waiter->woken = true;
}

static void wait_for_change(struct zf_locks *locks)
{
	long ms = locks->fuse->config.lock_retry_ms;
	struct timespec end;

	if (!locks->waiters) {
		pthread_cond_wait(&locks->change, &locks->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	ms = ms ? ms : RETRY_MS;
	end.tv_nsec += ms % 1000 * 1000000;
	end.tv_sec += ms / 1000 + end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	if (pthread_cond_timedwait(&locks->change, &locks->lock, &end) == ETIMEDOUT)
		wake_all(locks);
}

static void *locks_main(void *arg)
{
	struct zf_locks *locks = arg;
	struct waiter *waiter;

	pthread_mutex_lock(&locks->lock);
	while (!locks->stop) {
		waiter = take(locks);
		if (!waiter) {
			wait_for_change(locks);
			continue;
		}
		pthread_mutex_unlock(&locks->lock);
		try_again(locks, waiter);
		pthread_mutex_lock(&locks->lock);
	}
	pthread_mutex_unlock(&locks->lock);
	return NULL;
}

/* ----------------------------------------------------------------- requests */

static void begin_to_wait(struct zf_call *call, struct zf_file *file, fuse_ino_t id,
			  const struct zus_lock *want, uint64_t wakes)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter) {
		zf_done(call, -ENOLCK);
		return;
	}
	zf_end(call);
	*waiter = (struct waiter) {
		.locks = call->fuse->locks, .req = call->req, .file = file, .id = id,
		.want = *want, .wakes = wakes,
		.caller = {
			.uid = call->caller.uid, .gid = call->caller.gid, .pid = call->caller.pid,
		},
	};
	fuse_req_interrupt_func(call->req, interrupted, waiter);
	enqueue(call->fuse->locks, waiter);
}

/* As flock(2): a lock is let go before it is made another. 1: it is what it shall be. */
static int let_go(struct zf_locks *locks, struct zf_file *file, const struct zus_lock *want)
{
	uint32_t type;

	if (!holds(locks, file, want, &type) || type == want->type)
		return type == want->type && type != ZUS_LOCK_UNLCK;
	return unlock_all(locks, file, want->owner, ZUS_LOCK_FLOCK);
}

static bool all_of_it(const struct zus_lock *lock)
{
	return !lock->start && lock->end == ZUS_LOCK_END;
}

static int unlock(struct zf_locks *locks, struct zf_file *file, const struct zus_lock *none)
{
	uint32_t type;

	if (all_of_it(none))
		return unlock_all(locks, file, none->owner, none->flags);
	return holds(locks, file, none, &type) ? zus_local_lock(file->file, none, NULL) : 0;
}

static int lock_now(struct zf_locks *locks, struct zf_file *file, const struct zus_lock *want)
{
	int err = want->flags & ZUS_LOCK_FLOCK ? let_go(locks, file, want) : 0;

	if (err)
		return err < 0 ? err : 0;
	err = note_holder(locks, file, want);
	if (!err)
		err = zus_local_lock(file->file, want, NULL);
	if (!err)
		note_type(locks, file, want);
	return err;
}

static void set_lock(fuse_req_t req, fuse_ino_t id, struct zf_file *file,
		     const struct zus_lock *want)
{
	struct zf_locks *locks;
	struct zf_call call;
	uint64_t wakes;
	int err;

	zf_begin(&call, req);
	locks = call.fuse->locks;
	wakes = wakes_so_far(locks);
	if (want->type == ZUS_LOCK_UNLCK)
		err = unlock(locks, file, want);
	else
		err = lock_now(locks, file, want);
	if (err == -EAGAIN && want->flags & ZUS_LOCK_WAIT)
		begin_to_wait(&call, file, id, want, wakes);
	else
		zf_done(&call, err);
}

static uint32_t type_of(short type)
{
	return type == F_RDLCK ? ZUS_LOCK_RDLCK : type == F_WRLCK ? ZUS_LOCK_WRLCK : ZUS_LOCK_UNLCK;
}

static struct zus_lock wanted(const struct fuse_file_info *fi, const struct flock *lock)
{
	return (struct zus_lock) {
		.owner = fi->lock_owner, .start = (uint64_t)lock->l_start,
		.end = lock->l_len ? (uint64_t)(lock->l_start + lock->l_len - 1) : ZUS_LOCK_END,
		.pid = (uint32_t)lock->l_pid, .type = type_of(lock->l_type),
		.flags = ZUS_LOCK_POSIX,
	};
}

void zf_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
	      int wait)
{
	struct zus_lock want = wanted(fi, lock);

	if (wait && want.type != ZUS_LOCK_UNLCK)
		want.flags |= ZUS_LOCK_WAIT;
	set_lock(req, ino, zf_file(fi), &want);
}

void zf_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	int type = op & ~LOCK_NB;
	const struct zus_lock want = {
		.owner = fi->lock_owner, .end = ZUS_LOCK_END,
		.pid = (uint32_t)fuse_req_ctx(req)->pid,
		.type = type == LOCK_SH ? ZUS_LOCK_RDLCK :
			type == LOCK_EX ? ZUS_LOCK_WRLCK : ZUS_LOCK_UNLCK,
		.flags = ZUS_LOCK_FLOCK |
			 (op & LOCK_NB || type == LOCK_UN ? 0 : ZUS_LOCK_WAIT),
	};

	set_lock(req, ino, zf_file(fi), &want);
}

void zf_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
	struct zus_lock want = wanted(fi, lock);
	struct zus_lock_conflict found;
	struct zf_call call;
	int err;

	(void)ino;
	want.get = 1;
	zf_begin(&call, req);
	err = zus_local_lock(zf_file(fi)->file, &want, &found);
	if (err) {
		zf_done(&call, err);
		return;
	}
	lock->l_type = F_UNLCK;
	if (found.type != ZUS_LOCK_UNLCK) {
		lock->l_type = found.type == ZUS_LOCK_RDLCK ? F_RDLCK : F_WRLCK;
		lock->l_start = (off_t)found.start;
		lock->l_len = found.end == ZUS_LOCK_END ? 0 : (off_t)(found.end - found.start + 1);
		lock->l_pid = found.pid;
	}
	zf_end(&call);
	fuse_reply_lock(req, lock);
}

/* ------------------------------------------------------------ beginning, end */

struct zf_locks *zf_locks_new(struct zus_fuse *fuse)
{
	struct zf_locks *locks = calloc(1, sizeof(*locks));
	pthread_condattr_t attr;

	if (!locks)
		return NULL;
	locks->fuse = fuse;
	pthread_mutex_init(&locks->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&locks->change, &attr);
	pthread_condattr_destroy(&attr);
	return locks;
}

int zf_locks_start(struct zf_locks *locks)
{
	int err = pthread_create(&locks->thread, NULL, locks_main, locks);

	locks->started = !err;
	return -err;
}

void zf_locks_stop(struct zf_locks *locks)
{
	struct waiter *waiter;

	pthread_mutex_lock(&locks->lock);
	locks->stop = true;
	pthread_cond_signal(&locks->change);
	pthread_mutex_unlock(&locks->lock);
	if (locks->started)
		pthread_join(locks->thread, NULL);
	locks->started = false;
	while ((waiter = locks->waiters)) {
		locks->waiters = waiter->next;
		answer(waiter, -EINTR);
	}
}

void zf_locks_delete(struct zf_locks *locks)
{
	struct holder *holder;

	if (!locks)
		return;
	while ((holder = locks->holders)) {
		locks->holders = holder->next;
		free(holder);
	}
	pthread_cond_destroy(&locks->change);
	pthread_mutex_destroy(&locks->lock);
	free(locks);
}
