// SPDX-License-Identifier: GPL-2.0
/*
 * File locks of mounts with ZUFS_MF_LOCKS. The server decides; what it granted is recorded
 * as the VFS does it for a local filesystem, for /proc/locks, for close and for unlock, and
 * a record is what tells that the server has something to unlock.
 *
 * Both sides agree: a record is made after the grant and ends before the server is told,
 * and what waits for an answer does so in order, a mutex of the inode. A close must not
 * wait, as a killed task closes files too: it unlocks by a forced message. A SET that was
 * out meanwhile asks again, and later ones wait until such messages have been served.
 * Where the outcome of a SET stays unknown the owner loses the range on both sides.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "zuf.h"

/* The server may have nobody to tell it that a lock went. */
static unsigned int lock_retry_ms = 1000;
module_param(lock_retry_ms, uint, 0644);
MODULE_PARM_DESC(lock_retry_ms, "after how long who waits for a lock asks the server again");

struct zuf_locks {
	refcount_t ref;			/* the inode's, and those of unlocks that are queued */
	struct mutex order;		/* SETs, one at a time; held over the call */
	struct mutex record;		/* inside of order: the VFS's records, closes */
	u32 closes;			/* unlocks that did not take order */
	atomic_t unlocking;		/* these, and others that are forced: not yet served */
	atomic_t wakes;			/* zuf_locks_wake() */
};

struct unlock {
	struct zuf_forced_msg msg;	/* first: forced.c frees by it */
	struct zuf_locks *locks;	/* referenced */
};

/* A request of a caller. */
struct lock {
	struct file *file;
	struct file_lock *fl;
	struct inode *inode;
	struct zuf_mount *mount;
	struct zuf_locks *locks;
	struct zufs_lock_in in;
};

void zuf_locks_init(struct zuf_mount *mount)
{
	init_waitqueue_head(&mount->lock_wait);
	get_random_bytes(&mount->lock_key, sizeof(mount->lock_key));
}

static void locks_put(struct zuf_locks *locks)
{
	if (refcount_dec_and_test(&locks->ref))
		kfree(locks);
}

void zuf_locks_free(struct zuf_inode *zi)
{
	if (zi->locks)
		locks_put(zi->locks);
}

static struct zuf_locks *locks_of(const struct inode *inode)
{
	/* pairs with cmpxchg() in locks_make() */
	return smp_load_acquire(&zuf_i(inode)->locks);
}

static struct zuf_locks *locks_make(struct inode *inode)
{
	struct zuf_locks *locks = locks_of(inode), *others;

	if (locks)
		return locks;
	locks = kzalloc(sizeof(*locks), GFP_KERNEL_ACCOUNT);
	if (!locks)
		return NULL;
	refcount_set(&locks->ref, 1);
	mutex_init(&locks->order);
	mutex_init(&locks->record);
	others = cmpxchg(&zuf_i(inode)->locks, NULL, locks);
	if (!others)
		return locks;
	kfree(locks);
	return others;
}

void zuf_locks_wake(struct inode *inode)
{
	struct zuf_locks *locks = locks_of(inode);

	if (!locks)
		return;
	atomic_inc(&locks->wakes);
	wake_up_all(&zuf_mount_of(inode->i_sb)->lock_wait);
}

/* --------------------------------------------------------------------- wire */

static u32 type_to_wire(int type)
{
	switch (type) {
	case F_RDLCK:
		return ZUFS_LOCK_RDLCK;
	case F_WRLCK:
		return ZUFS_LOCK_WRLCK;
	default:
		return ZUFS_LOCK_UNLCK;
	}
}

static u32 kind_of(const struct file_lock *fl)
{
	if (ZUF_FL(fl, flags) & FL_FLOCK)
		return ZUFS_LOCK_FLOCK;
	/* a close does not say which it is */
	return ZUF_FL(fl, owner) == (fl_owner_t)ZUF_FL(fl, file) ? ZUFS_LOCK_OFD :
								    ZUFS_LOCK_POSIX;
}

static void lock_fill(struct lock *lock, struct file *file, int cmd, struct file_lock *fl)
{
	struct inode *inode = file_inode(file);
	struct zuf_mount *mount = zuf_mount_of(inode->i_sb);

	*lock = (struct lock) {
		.file	= file,
		.fl	= fl,
		.inode	= inode,
		.mount	= mount,
		.locks	= locks_of(inode),
		.in	= {
			.inode	= zuf_i(inode)->handle,
			.fh	= zuf_fh(file),
			.owner	= siphash_1u64((unsigned long)ZUF_FL(fl, owner), &mount->lock_key),
			.start	= fl->fl_start,
			.end	= fl->fl_end,
			.pid	= ZUF_FL(fl, pid),
			.cmd	= cmd == F_GETLK ? ZUFS_LOCK_GET : ZUFS_LOCK_SET,
			.type	= type_to_wire(ZUF_FL(fl, type)),
			.flags	= kind_of(fl) | (cmd == F_SETLKW ? ZUFS_LOCK_WAIT : 0),
		},
	};
}

enum zuf_rule zuf_check_lock(const struct zuf_reply *reply)
{
	const struct zufs_lock_in *in = reply->call ? reply->call->in : NULL;
	const struct zufs_lock_out *out = reply->out;

	if (!in || in->cmd != ZUFS_LOCK_GET || out->type == ZUFS_LOCK_UNLCK)
		return ZUF_RULE_OK;
	if (out->type > ZUFS_LOCK_WRLCK ||
	    (out->type == ZUFS_LOCK_RDLCK && in->type == ZUFS_LOCK_RDLCK))
		return ZUF_RULE_LOCK;
	if (out->start > out->end || out->end > ZUFS_LOCK_END || out->start > in->end ||
	    out->end < in->start)
		return ZUF_RULE_LOCK;
	if (out->flags && out->flags != ZUFS_LOCK_POSIX && out->flags != ZUFS_LOCK_OFD)
		return ZUF_RULE_LOCK;
	return ZUF_RULE_OK;
}

/* ------------------------------------------------------------------ unlocks */

static void unlock_served(struct zuf_forced_msg *msg)
{
	struct unlock *unlock = container_of(msg, struct unlock, msg);

	if (atomic_dec_and_test(&unlock->locks->unlocking))
		wake_up_all(&msg->mount->lock_wait);
	locks_put(unlock->locks);
	kfree(unlock);
}

static struct unlock *unlock_alloc(void)
{
	/* small, and a dying task may use the reserves */
	struct unlock *unlock = kzalloc(sizeof(*unlock), GFP_KERNEL | __GFP_NOFAIL);

	unlock->msg.free = unlock_served;
	return unlock;
}

static void unlock_queue(struct zuf_mount *mount, struct zuf_locks *locks, struct unlock *unlock,
			 const struct zufs_lock_in *in)
{
	struct zufs_forced *wire = &unlock->msg.wire;

	refcount_inc(&locks->ref);
	atomic_inc(&locks->unlocking);
	unlock->locks = locks;
	wire->op = ZUFS_OP_LOCK;
	wire->flags = in->flags & ~ZUFS_LOCK_WAIT;
	wire->inode = in->inode;
	wire->arg = in->owner;
	wire->off = in->start;
	wire->size_bytes = in->end;
	zuf_forced_queue(mount, &unlock->msg);
}

/* A late grant, for nobody; who comes next waits for the orphan, then for this. */
void zuf_undo_lock(struct zuf_orphan *orphan, const void *out)
{
	const struct zufs_lock_in *in = &orphan->lock;

	if (in->cmd == ZUFS_LOCK_SET && in->type != ZUFS_LOCK_UNLCK && orphan->inode[0])
		unlock_queue(orphan->mount, locks_of(orphan->inode[0]), unlock_alloc(), in);
}

/* Under record. -ENOENT: the owner had nothing of the range. */
static int record_end(const struct lock *lock)
{
	const unsigned int kinds = FL_POSIX | FL_FLOCK | FL_OFDLCK | FL_CLOSE;
	struct file_lock fl;

	lockdep_assert_held(&lock->locks->record);
	if (!locks_inode_context(lock->inode))
		return -ENOENT;		/* of POSIX locks the VFS does not say so */
	locks_init_lock(&fl);
	ZUF_FL(&fl, flags) = (ZUF_FL(lock->fl, flags) & kinds) | FL_EXISTS;
	ZUF_FL(&fl, type) = F_UNLCK;
	ZUF_FL(&fl, owner) = ZUF_FL(lock->fl, owner);
	ZUF_FL(&fl, pid) = ZUF_FL(lock->fl, pid);
	ZUF_FL(&fl, file) = lock->file;
	fl.fl_start = lock->in.start;
	fl.fl_end = lock->in.end;
	return locks_lock_file_wait(lock->file, &fl);
}

/*
 * The owner has nothing of the range any more; for who must not wait, or does not know what
 * it has. @granted: the server has something to unlock, recorded or not.
 */
static int lock_lose(const struct lock *lock, bool granted)
{
	struct zuf_locks *locks = lock->locks;
	struct unlock *unlock = unlock_alloc();
	int err;

	mutex_lock(&locks->record);
	err = record_end(lock);
	if (err != -ENOENT || granted) {
		locks->closes++;
		unlock_queue(lock->mount, locks, unlock, &lock->in);
		unlock = NULL;
	}
	mutex_unlock(&locks->record);
	kfree(unlock);
	return err == -ENOENT ? 0 : err;
}

/* -------------------------------------------------------------------- calls */

static int lock_send(const struct lock *lock, struct zufs_lock_out *out)
{
	struct zuf_call call = {
		.mount	= lock->mount,
		.op	= ZUFS_OP_LOCK,
		.in	= &lock->in,
		.out	= out,
		.inode	= { lock->inode },
	};
	int err = zuf_call_retry(&call);

	if (err == -EINTR && !fatal_signal_pending(current))
		return -EINTR;		/* the server's: nothing has changed */
	if (call.id && (err == -EINTR || err == -ETIMEDOUT) && lock->in.cmd == ZUFS_LOCK_SET)
		lock_lose(lock, false);
	return err;
}

/* Until what was unlocked before has been, and no orphan may change it. */
static int lock_settle(const struct lock *lock)
{
	u32 ms = READ_ONCE(lock->mount->deadline_ms);
	int err = zuf_data_begin(lock->inode);
	long left;

	if (err || !lock->locks)
		return err;
	left = wait_event_killable_timeout(lock->mount->lock_wait,
					   !atomic_read(&lock->locks->unlocking) ||
					   zuf_mount_lost(lock->mount),
					   ms ? msecs_to_jiffies(ms) : MAX_SCHEDULE_TIMEOUT);
	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIMEDOUT;
}

static int lock_get(struct lock *lock)
{
	struct file_lock *fl = lock->fl;
	struct zufs_lock_out out;
	int err;

	/* 6.12: of the caller's own locks, all of which are recorded */
	if (lock->in.type == ZUFS_LOCK_UNLCK) {
		posix_test_lock(lock->file, fl);
		return 0;
	}
	err = lock_settle(lock);
	if (!err)
		err = lock_send(lock, &out);
	if (err)
		return err;
	if (out.type == ZUFS_LOCK_UNLCK) {
		ZUF_FL(fl, type) = F_UNLCK;
		return 0;
	}
	ZUF_FL(fl, type) = out.type == ZUFS_LOCK_RDLCK ? F_RDLCK : F_WRLCK;
	ZUF_FL(fl, pid) = out.pid;
	ZUF_FL(fl, flags) &= ~FL_OFDLCK;
	if (out.flags == ZUFS_LOCK_OFD)
		ZUF_FL(fl, flags) |= FL_OFDLCK;
	fl->fl_start = out.start;
	fl->fl_end = out.end;
	return 0;
}

/* Under order. */
static int lock_unlock_ordered(const struct lock *lock)
{
	struct zufs_lock_out out;
	int err;

	mutex_lock(&lock->locks->record);
	err = record_end(lock);
	mutex_unlock(&lock->locks->record);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = lock_send(lock, &out);
	if (err)
		unlock_queue(lock->mount, lock->locks, unlock_alloc(), &lock->in);
	return err;
}

static int lock_unlock(struct lock *lock)
{
	int err;

	if (!lock->locks)
		return 0;
	if (ZUF_FL(lock->fl, flags) & FL_CLOSE)
		return lock_lose(lock, false);
	if (mutex_lock_killable(&lock->locks->order))
		return -EINTR;
	lock->in.flags &= ~ZUFS_LOCK_WAIT;
	err = lock_unlock_ordered(lock);
	mutex_unlock(&lock->locks->order);
	return err;
}

/* 1: a close came between, maybe of this owner: the grant may not be one any more. */
static int lock_record(const struct lock *lock, u32 closes)
{
	struct zuf_locks *locks = lock->locks;
	unsigned int flags = ZUF_FL(lock->fl, flags);
	int err = 1;

	mutex_lock(&locks->record);
	if (locks->closes == closes) {
		/* never waits here: the server has said that there is nothing to wait for */
		ZUF_FL(lock->fl, flags) &= ~FL_SLEEP;
		err = locks_lock_file_wait(lock->file, lock->fl);
		ZUF_FL(lock->fl, flags) = flags;
	}
	mutex_unlock(&locks->record);
	return err;
}

static u32 locks_closes(struct zuf_locks *locks)
{
	u32 closes;

	mutex_lock(&locks->record);
	closes = locks->closes;
	mutex_unlock(&locks->record);
	return closes;
}

/* Under order. */
static int lock_set_ordered(const struct lock *lock)
{
	struct zufs_lock_out out;
	u32 closes;
	int err;

	do {
		closes = locks_closes(lock->locks);
		err = lock_settle(lock);
		if (!err)
			err = lock_send(lock, &out);
		if (err)
			return err;
		err = lock_record(lock, closes);
	} while (err > 0);
	if (!err)
		return 0;
	if (err == -EAGAIN) {
		zuf_rule_broken(lock->mount, ZUFS_OP_LOCK, ZUF_RULE_LOCK);
		err = -EIO;
	}
	lock_lose(lock, true);
	return err;
}

static int lock_set_once(const struct lock *lock)
{
	struct lock old = *lock;
	int err;

	if (mutex_lock_killable(&lock->locks->order))
		return -EINTR;
	err = lock_set_ordered(lock);
	/* as flock(2) has it: two that share would wait for each other for ever */
	if (err == -ZUF_ELOCKED && lock->in.flags & ZUFS_LOCK_FLOCK) {
		old.in.type = ZUFS_LOCK_UNLCK;
		old.in.flags &= ~ZUFS_LOCK_WAIT;
		lock_unlock_ordered(&old);
	}
	mutex_unlock(&lock->locks->order);
	return err;
}

static long lock_retry(void)
{
	return max(msecs_to_jiffies(READ_ONCE(lock_retry_ms)), 1ul);
}

static int lock_set(struct lock *lock, int cmd)
{
	int seen, err;
	long left;

	lock->locks = locks_make(lock->inode);
	if (!lock->locks)
		return -ENOLCK;
	for (;;) {
		seen = atomic_read(&lock->locks->wakes);
		err = lock_set_once(lock);
		if (err != -ZUF_ELOCKED)
			return err;
		if (cmd != F_SETLKW)
			return -EAGAIN;
		left = wait_event_interruptible_timeout(lock->mount->lock_wait,
							atomic_read(&lock->locks->wakes) != seen ||
							zuf_mount_lost(lock->mount),
							lock_retry());
		if (left < 0)
			return left;
	}
}

int zuf_flock(struct file *file, int cmd, struct file_lock *fl)
{
	struct lock lock;

	lock_fill(&lock, file, cmd, fl);
	return ZUF_FL(fl, type) == F_UNLCK ? lock_unlock(&lock) : lock_set(&lock, cmd);
}

int zuf_lock(struct file *file, int cmd, struct file_lock *fl)
{
	struct lock lock;

	if (cmd == F_CANCELLK)		/* nothing goes on without its caller */
		return 0;
	if (cmd != F_GETLK)
		return zuf_flock(file, cmd, fl);
	lock_fill(&lock, file, cmd, fl);
	return lock_get(&lock);
}
