// SPDX-License-Identifier: GPL-2.0
/*
 * The caller's side of the hand-over: claim a channel of this CPU, fill its
 * region, wake its thread, sleep, take the answer. The caller stays on this CPU
 * (migrate_disable) while it sleeps, for at most two sweeps (pin.c): otherwise
 * the scheduler would move it to an idle sibling, away from the warm cache, on
 * nearly every call. See DESIGN, 4.
 */
#include <linux/cred.h>
#include <linux/lockdep.h>
#include <linux/preempt.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>

#include "relay.h"
#include "trace.h"

#define ZUF_MOUNT_DEADLINE_MS	30000u

/* The rule of docs/locking.md: no lock of the second kind over a dispatch. */
static void call_assert_locks(const struct zuf_call *call)
{
	unsigned int i;

	might_sleep();
	for (i = 0; i < ZUF_CALL_INODES; i++)
		if (call->inode[i])
			lockdep_assert_not_held(&call->inode[i]->i_mapping->invalidate_lock);
}

static void call_unpin(bool *pinned)
{
	if (*pinned) {
		*pinned = false;
		migrate_enable();
	}
}

static int call_fill_iter(const struct zuf_call *call, u8 *to)
{
	size_t copied;

	/*
	 * A fault could last for ever (userfaultfd) and would hold the channel
	 * and this CPU, so the caller makes the pages resident and tries again.
	 */
	pagefault_disable();
	copied = copy_from_iter(to, call->iter_bytes, call->iter);
	pagefault_enable();
	if (copied == call->iter_bytes)
		return 0;
	iov_iter_revert(call->iter, copied);
	return -EFAULT;
}

/* The caller's ids as the filesystem counts them; mostly without a mapping. */
static void call_fill_ids(const struct zuf_mount *mount, struct zufs_req_hdr *hdr)
{
	struct user_namespace *ns = mount->sb ? mount->sb->s_user_ns : &init_user_ns;

	if (likely(ns == &init_user_ns)) {
		hdr->uid = __kuid_val(current_fsuid());
		hdr->gid = __kgid_val(current_fsgid());
	} else {
		hdr->uid = from_kuid_munged(ns, current_fsuid());
		hdr->gid = from_kgid_munged(ns, current_fsgid());
	}
}

static int call_fill(struct zuf_channel *ch, struct zuf_call *call)
{
	const struct zuf_op *op = &zuf_ops[call->op];
	struct zufs_req_hdr *hdr = ch->request;
	u8 *to = ch->request + ZUFS_PAYLOAD_OFF;
	u32 payload_bytes = 0;
	unsigned int i;
	int err;

	for (i = 0; i < call->num_segs; i++) {
		if (WARN_ON_ONCE(call->seg[i].iov_len > ZUFS_PAYLOAD_MAX_BYTES - payload_bytes))
			return -EINVAL;
		memcpy(to + payload_bytes, call->seg[i].iov_base, call->seg[i].iov_len);
		payload_bytes += call->seg[i].iov_len;
	}
	if (call->iter_bytes) {
		if (WARN_ON_ONCE(call->iter_bytes > ZUFS_PAYLOAD_MAX_BYTES - payload_bytes))
			return -EINVAL;
		err = call_fill_iter(call, to + payload_bytes);
		if (err)
			return err;
		payload_bytes += call->iter_bytes;
	}
	memcpy(ch->request + ZUFS_FIXED_OFF, call->in, op->in_bytes);
	*hdr = (struct zufs_req_hdr) {
		.fixed_bytes	= op->in_bytes,
		.op		= call->op,
		.flags		= call->flags & ZUF_CALL_RECLAIM ? ZUFS_REQ_RECLAIM : 0,
		.id		= call->id,
		.mount		= call->mount->id,
		.op_seq		= call->op_seq,
		.op_slot	= call->op_slot,
		.payload_bytes	= payload_bytes,
		.reply_max_bytes = call->reply_max,
		.pid		= task_tgid_nr(current),
	};
	call_fill_ids(call->mount, hdr);
	return 0;
}

long zuf_call_timeout(const struct zuf_call *call)
{
	u32 ms = READ_ONCE(call->mount->deadline_ms);

	if (call->flags & ZUF_CALL_MOUNTING)
		ms = max(ms, ZUF_MOUNT_DEADLINE_MS);
	if (!ms || call->flags & ZUF_CALL_KERNEL)
		return MAX_SCHEDULE_TIMEOUT;
	return msecs_to_jiffies(ms);
}

static unsigned long call_deadline(const struct zuf_call *call)
{
	long timeout = zuf_call_timeout(call);

	return timeout == MAX_SCHEDULE_TIMEOUT ? 0 : (jiffies + timeout) ?: 1;
}

static void call_send(struct zuf_channel *ch, struct zuf_call *call)
{
	ch->call = call;
	ch->op = call->op;
	ch->id = call->id;
	ch->sent_ns = local_clock();
	ch->sent_jiffies = jiffies;
	ch->deadline_jiffies = call_deadline(call);
	WRITE_ONCE(ch->caller, current);
	trace_zuf_send(call->mount->id, call->op, call->id, ch->cpu);
	/*
	 * A full barrier by xchg(): what follows reads the server's state, the
	 * mount's, and whether the sweep is armed, each of which is written
	 * before its writer looks for requests that are SENT.
	 */
	xchg(&ch->state, ZUF_REQ_SENT);
	zuf_sweep_arm(ch->cpu);
	if (unlikely(zuf_server_dead(ch->server)))
		zuf_channel_fail(ch, -EIO);
	else
		wake_up_process(ch->thread);
}

/* Tell the server that nobody may want this answer any more. */
static void call_interrupt(struct zuf_channel *ch, struct zuf_call *call)
{
	struct zufs_req_hdr *hdr = ch->request;
	struct zuf_forced_msg *msg;

	/* the channel is ours until DONE is consumed, so is the header */
	WRITE_ONCE(hdr->interrupted, 1);
	msg = zuf_forced_alloc(GFP_KERNEL);
	if (!msg)
		return;		/* the flag in the header says the same */
	msg->wire.op = ZUFS_OP_INTERRUPT;
	msg->wire.arg = call->id;
	zuf_forced_queue(call->mount, msg);
}

/* Leave the request behind; false: its answer is coming in, wait for it. */
static bool call_abandon(struct zuf_channel *ch, struct zuf_call *call)
{
	bool aborted = READ_ONCE(call->mount->aborted);

	struct zuf_orphan *orphan = zuf_orphan_alloc(ch, call, aborted);

	ch->orphan = orphan;
	if (!zuf_channel_move(ch, ZUF_REQ_SENT, ZUF_REQ_ORPHAN)) {
		zuf_orphan_cancel(orphan);
		return false;
	}
	/* unless the channel has been answered and claimed by another already */
	cmpxchg(&ch->caller, current, NULL);
	call->op_slot = ZUFS_NO_SLOT;		/* the orphan's now */
	return true;
}

/* Why the caller should leave, or 0. */
static int call_why_leave(const struct zuf_channel *ch, const struct zuf_call *call)
{
	if (READ_ONCE(call->mount->aborted))
		return -EIO;
	if (call->flags & ZUF_CALL_KERNEL)
		return 0;
	if (fatal_signal_pending(current))
		return -EINTR;
	if (ch->deadline_jiffies && time_after_eq(jiffies, ch->deadline_jiffies))
		return -ETIMEDOUT;
	return 0;
}

/* 0: DONE and ours. Otherwise the request has been left behind. */
static int call_wait(struct zuf_channel *ch, struct zuf_call *call, bool *pinned)
{
	unsigned int mode = call->flags & ZUF_CALL_KERNEL ? TASK_IDLE :
							    TASK_INTERRUPTIBLE;
	bool leaving = false;
	int why;

	for (;;) {
		set_current_state(mode | (*pinned || leaving ? 0 : TASK_FREEZABLE_UNSAFE));
		/* pairs with the store-release in channel_done() */
		if (smp_load_acquire(&ch->state) == ZUF_REQ_DONE)
			break;
		why = leaving ? 0 : call_why_leave(ch, call);
		if (unlikely(why)) {
			__set_current_state(TASK_RUNNING);
			if (call_abandon(ch, call))
				return why;
			/* REPLYING: short, in the server's ioctl; not killable */
			leaving = true;
			mode = TASK_UNINTERRUPTIBLE;
			continue;
		}
		if (unlikely(*pinned && zuf_pin_expired(ch))) {
			__set_current_state(TASK_RUNNING);
			WRITE_ONCE(ch->pinned, false);
			call_unpin(pinned);
			continue;
		}
		if (unlikely(mode == TASK_INTERRUPTIBLE && signal_pending(current))) {
			__set_current_state(TASK_RUNNING);
			/* io_uring's TIF_NOTIFY_SIGNAL is no reason to interrupt */
			if (task_sigpending(current))
				call_interrupt(ch, call);
			mode = TASK_KILLABLE;
			continue;
		}
		schedule();
		if (READ_ONCE(ch->state) != ZUF_REQ_DONE)
			zuf_point(ZUF_POINT_WAITING, current);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static void call_log_timeout(const struct zuf_call *call)
{
	pr_warn_ratelimited("zuf: mount %llu: %s (request %llu) not answered in time by pid %d\n",
			    call->mount->id, zuf_ops[call->op].name, call->id,
			    call->mount->server->pid);
}

static int call_round(struct zuf_call *call, bool *pinned)
{
	struct zuf_channel *ch;
	u64 sent_ns, ns;
	int err;

	ch = zuf_channel_claim(call, pinned);
	if (IS_ERR(ch))
		return PTR_ERR(ch);
	ch->pinned = *pinned;
	WRITE_ONCE(ch->mount, call->mount);
	call->id = ++ch->last_id;
	zuf_point(ZUF_POINT_CLAIMED, current);
	err = call_fill(ch, call);
	if (err)
		goto out_release;

	zuf_point(ZUF_POINT_FILLED, current);
	call_send(ch, call);
	zuf_point(ZUF_POINT_SENT, current);
	sent_ns = ch->sent_ns;
	err = call_wait(ch, call, pinned);
	if (unlikely(err)) {
		/* the request is an orphan and no longer ours to look at */
		zuf_stats_add(call->mount, call->op, err, local_clock() - sent_ns);
		return err;
	}
	zuf_point(ZUF_POINT_DONE, current);
	err = ch->err;
	ns = local_clock() - sent_ns;
	zuf_stats_add(call->mount, call->op, err, ns);
	trace_zuf_done(call->mount->id, call->op, call->id, err, ns);
out_release:
	WRITE_ONCE(ch->caller, NULL);
	zuf_channel_release(ch);
	return err;
}

int zuf_call(struct zuf_call *call)
{
	struct zuf_mount *mount = call->mount;
	const struct zuf_op *op = &zuf_ops[call->op];
	bool pinned = false;
	int err;

	call_assert_locks(call);
	if (unlikely(zuf_server_is_current(mount->server)))
		return -EDEADLK;
	if (unlikely(READ_ONCE(mount->aborted) || zuf_server_dead(mount->server)))
		return -EIO;
	if (unlikely(READ_ONCE(mount->shut) && !(op->flags & ZUF_OPF_SETTLES)))
		return -EIO;
	if (WARN_ON_ONCE(op->out_bytes && !call->out))
		return -EINVAL;

	call->op_slot = ZUFS_NO_SLOT;
	call->op_seq = 0;
	if (op->flags & ZUF_OPF_CHANGES) {
		err = zuf_slot_get(mount, call->flags & ZUF_CALL_KERNEL,
				   zuf_call_timeout(call), &call->op_slot, &call->op_seq);
		if (err)
			return err;
	}
	err = call_round(call, &pinned);
	call_unpin(&pinned);
	if (unlikely(err == -ETIMEDOUT))
		call_log_timeout(call);
	if (call->op_slot != ZUFS_NO_SLOT)
		zuf_slot_put(mount->slots, call->op_slot);
	return err;
}
