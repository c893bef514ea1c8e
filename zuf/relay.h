/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside of the relay: servers, channels, requests. Only the files that move
 * requests include this; filesystem code uses zuf_call() and what zuf.h has.
 *
 * A request is born FREE in its channel and moves
 *
 *	FREE -> CLAIMED -> SENT -> REPLYING -> DONE -> FREE
 *	                    |-> ORPHAN -> REPLYING -> FREE
 *
 * by cmpxchg on zuf_channel.state, which is the only synchronisation between
 * a caller, the server's thread, the death of the server and an abort. Who wins
 * a transition owns the request until the next one; the other fields belong to
 * the owner. Two are read by others, with READ_ONCE under RCU: caller (by the
 * sweep and by whoever wakes it) and mount (by abort and by sysfs).
 */
#ifndef ZUF_RELAY_H
#define ZUF_RELAY_H

#include "zuf.h"

#define ZUF_CHANNEL_ID_SHIFT	44	/* of request ids: 2^44 a channel, 2^20 channels */

struct zuf_channel {
	int state;			/* enum zuf_req_state */
	bool pinned;			/* the caller called migrate_disable() */
	bool thread_gone;		/* its thread exited: PARKED when free */
	bool thread_away;		/* not on its CPU: PARKED when free */
	int cpu;			/* -1 until the first ATTACH */
	struct task_struct *thread;	/* referenced */
	struct task_struct *caller;	/* NULL when nobody waits */
	struct zuf_call *call;		/* SENT, REPLYING */
	struct zuf_mount *mount;	/* CLAIMED to FREE; the caller's reference */
	void *request;			/* regions */
	const void *reply;
	u64 id;
	u64 last_id;			/* owner's: channel's number, a counter below */
	u64 sent_ns;
	unsigned long sent_jiffies;
	unsigned long deadline_jiffies;	/* 0: none */
	int err;			/* REPLYING -> DONE */
	u16 op;
	struct zuf_orphan *orphan;	/* ORPHAN */

	/* what follows does not change while requests run */
	struct zuf_server *server;
	struct kref ref;		/* its file; being in service */
	struct list_head server_node;	/* server->channels, under server->lock */
	struct list_head cpu_node;	/* zuf_pcpu.channels, RCU */
	struct rcu_work free_work;
} ____cacheline_aligned_in_smp;

struct zuf_server_cpu {
	struct zuf_channel __rcu *channel[ZUFS_CHANNELS_PER_CPU_MAX];
	struct llist_head forced;
};

/* On the stack of a task in a queue; with what it is granted around it. */
struct zuf_waiter {
	struct list_head node;
	struct task_struct *task;
};

/* Tasks for which nothing was free, oldest first. */
struct zuf_queue {
	spinlock_t lock;		/* waiters, and what they are granted */
	unsigned int len;		/* read without the lock by releasers */
	struct list_head waiters;
} ____cacheline_aligned_in_smp;

struct zuf_server {
	struct kref ref;
	u64 id;
	int state;			/* enum zuf_server_state */
	bool trusted;
	bool mm_bound;
	struct mm_struct *mm;		/* mmgrab'ed at HELLO; to compare with */
	struct mmu_notifier mn;
	pid_t pid;
	u64 features;
	u16 minor;
	const struct cred *cred;	/* of the opener */

	struct mutex lock;		/* channels, HELLO, REGISTER */
	struct list_head channels;
	unsigned int num_channels;
	unsigned int parkings;		/* counts channels that rest or return */
	struct zuf_server_cpu __percpu *cpu;
	struct zuf_queue *queue;	/* for a channel; [nr_node_ids] */
	u64 channels_made;

	struct delayed_work forced_work;
	struct delayed_work lazy_work;	/* starts the other */
	struct llist_node *forgets_behind; /* forced_work's, for its next run */
	struct zufs_forced *forced_buf;

	struct kobject kobj;		/* /sys/fs/zuf/servers/<id> */
	struct rcu_work free_work;
};

/* server.c */
extern const struct file_operations zuf_server_fops;
void zuf_server_die(struct zuf_server *server);
/* While the module goes: until the last one has been freed. */
void zuf_servers_wait(void);

static inline bool zuf_server_dead(const struct zuf_server *server)
{
	return READ_ONCE(server->state) == ZUF_SERVER_DEAD;
}

/* fstype.c */
int zuf_type_register(struct zuf_server *server, const struct zufs_register *reg);
void zuf_type_server_gone(struct zuf_server *server);
ssize_t zuf_type_names(struct zuf_server *server, char *buf, size_t bytes);

/* call.c: how long @call may wait for any one thing; MAX_SCHEDULE_TIMEOUT: for ever */
long zuf_call_timeout(const struct zuf_call *call);

/* channel.c */
int zuf_channel_create(struct zuf_server *server, struct zufs_new_channel *out);
void zuf_channel_put(struct zuf_channel *ch);
/* The owner gives the request back: to the oldest waiter, or FREE. */
void zuf_channel_release(struct zuf_channel *ch);
/* Fail what is out; the state is then DONE, or the orphan ends. Any context. */
void zuf_channel_fail(struct zuf_channel *ch, int err);
/* For good, when its server is dead. */
void zuf_channel_kill(struct zuf_channel *ch);

static inline bool zuf_channel_move(struct zuf_channel *ch, enum zuf_req_state from,
				    enum zuf_req_state to)
{
	return cmpxchg(&ch->state, from, to) == from;
}

/* queue.c: join: current; a barrier, then look again. leave: behind it nothing is granted. */
void zuf_queue_init(struct zuf_queue *queue);
void zuf_queue_join(struct zuf_queue *queue, struct zuf_waiter *w);
void zuf_queue_leave(struct zuf_queue *queue, struct zuf_waiter *w);
/* Under the lock: out of the queue, to be granted something. */
void zuf_queue_take(struct zuf_queue *queue, struct zuf_waiter *w);
void zuf_queue_wake(struct zuf_queue *queue);

static inline bool zuf_queue_any(const struct zuf_queue *queue)
{
	return READ_ONCE(queue->len);
}

/* overflow.c */
int zuf_queues_alloc(struct zuf_server *server);
/*
 * A channel in state CLAIMED, of this CPU if one is free; waits in the node's
 * queue otherwise. *pinned: this CPU's, and migration is disabled.
 * -EINTR, -EIO, -ETIMEDOUT: nothing was sent.
 */
struct zuf_channel *zuf_channel_claim(const struct zuf_call *call, bool *pinned);
/* Pass a CLAIMED channel to the oldest waiter; false: nobody waits. */
bool zuf_queue_grant(struct zuf_channel *ch);
bool zuf_queue_waiting(struct zuf_channel *ch);
void zuf_queues_wake_all(struct zuf_server *server);

/* pin.c */
int __init zuf_pin_init(void);
void zuf_pin_exit(void);
bool zuf_pin_allowed(int cpu);
void zuf_pin_channel_add(struct zuf_channel *ch);
void zuf_pin_channel_del(struct zuf_channel *ch);
void zuf_sweep_arm(int cpu);
/* The caller of @ch has been pinned too long, or may not be now. */
bool zuf_pin_expired(const struct zuf_channel *ch);

/* orphan.c */
struct zuf_orphan *zuf_orphan_alloc(const struct zuf_channel *ch, const struct zuf_call *call,
				    bool aborted);
void zuf_orphan_cancel(struct zuf_orphan *orphan);	/* it answered after all */
/* The late answer is in orphan->out and ->err; ends it, in a worker. */
void zuf_orphan_complete(struct zuf_orphan *orphan);
void zuf_orphans_abort(struct zuf_mount *mount);
int __init zuf_orphan_init(void);
void zuf_orphan_exit(void);

/* forced.c */
int zuf_forced_init_server(struct zuf_server *server);
void zuf_forced_exit_server(struct zuf_server *server);
int __init zuf_forced_init(void);
void zuf_forced_exit(void);

/* slot.c */
#define ZUF_SLOTS_PER_CPU	64u
struct zuf_slots *zuf_slots_alloc(void);
void zuf_slots_free(struct zuf_slots *slots);
u32 zuf_slots_count(void);
/*
 * -EINTR, -ETIMEDOUT after @timeout jiffies, or -EIO when the mount was aborted;
 * with @kernel neither killable nor limited.
 */
int zuf_slot_get(struct zuf_mount *mount, bool kernel, long timeout, u32 *slot, u64 *seq);
void zuf_slots_wake(struct zuf_slots *slots);
void zuf_slot_put(struct zuf_slots *slots, u32 slot);

/* reply.c: snapshot, check; the err for the caller */
int zuf_reply_take(const struct zuf_channel *ch, struct zuf_reply *reply, u32 buf_max);

/* stats.c */
struct zuf_stats;
struct zuf_stats __percpu *zuf_stats_alloc(void);
void zuf_stats_add(struct zuf_mount *mount, u16 op, int err, u64 ns);
ssize_t zuf_stats_show(struct zuf_mount *mount, u16 op, char *buf);

/* sysfs.c */
int __init zuf_sysfs_init(void);
void zuf_sysfs_exit(void);
int zuf_sysfs_add_server(struct zuf_server *server);
void zuf_sysfs_del_server(struct zuf_server *server);
int zuf_sysfs_add_mount(struct zuf_mount *mount);
void zuf_sysfs_del_mount(struct zuf_mount *mount);

/* mount.c: requests out, orphans included */
unsigned int zuf_mount_inflight(struct zuf_mount *mount);
/* Who waits for a lock of one of its mounts looks again. */
void zuf_mounts_lost(struct zuf_server *server);

#endif /* ZUF_RELAY_H */
