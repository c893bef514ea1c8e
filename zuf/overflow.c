// SPDX-License-Identifier: GPL-2.0
/*
 * Claiming a channel: one of this CPU, else an idle one of this NUMA node, else
 * the first that becomes free, in the order of asking. A channel that becomes
 * free is handed over CLAIMED, so that no newcomer overtakes. The waiter is
 * woken on the channel's CPU and mostly continues there; where the scheduler
 * puts it elsewhere, it sends from there, which only costs an interrupt.
 */
#include <linux/numa.h>
#include <linux/preempt.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/topology.h>

#include "relay.h"

/* So often may others, who may run on the channel's CPU, go before one who may not. */
#define ZUF_PASSED_OVER_MAX	16u

struct zuf_channel_waiter {
	struct zuf_waiter waiter;
	unsigned int passed_over;	/* under the lock */
	struct zuf_channel *ch;		/* granted; written under the lock */
};

int zuf_queues_alloc(struct zuf_server *server)
{
	unsigned int i;

	server->queue = kcalloc(nr_node_ids, sizeof(*server->queue), GFP_KERNEL_ACCOUNT);
	if (!server->queue)
		return -ENOMEM;
	for (i = 0; i < nr_node_ids; i++)
		zuf_queue_init(&server->queue[i]);
	return 0;
}

static struct zuf_queue *queue_of(struct zuf_server *server, int cpu)
{
	return &server->queue[cpu_to_node(cpu)];
}

bool zuf_queue_waiting(struct zuf_channel *ch)
{
	return zuf_queue_any(queue_of(ch->server, ch->cpu));
}

bool zuf_queue_grant(struct zuf_channel *ch)
{
	struct zuf_queue *queue = queue_of(ch->server, ch->cpu);
	struct zuf_channel_waiter *w = NULL, *it;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	list_for_each_entry(it, &queue->waiters, waiter.node) {
		if (cpumask_test_cpu(ch->cpu, it->waiter.task->cpus_ptr) ||
		    it->passed_over++ == ZUF_PASSED_OVER_MAX) {
			w = it;
			break;
		}
	}
	/* none may run there: rather from afar than not at all */
	if (!w)
		w = list_first_entry_or_null(&queue->waiters, struct zuf_channel_waiter,
					     waiter.node);
	if (w) {
		zuf_queue_take(queue, &w->waiter);
		WRITE_ONCE(ch->state, ZUF_REQ_CLAIMED);
		/* the state before the grant; pairs with waiter_sleep() */
		smp_store_release(&w->ch, ch);
		wake_up_process(w->waiter.task);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	return w;
}

void zuf_queues_wake_all(struct zuf_server *server)
{
	unsigned int i;

	for (i = 0; i < nr_node_ids; i++)
		zuf_queue_wake(&server->queue[i]);
}

static struct zuf_channel *claim_on(struct zuf_server *server, int cpu)
{
	struct zuf_server_cpu *sc = per_cpu_ptr(server->cpu, cpu);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sc->channel); i++) {
		struct zuf_channel *ch = rcu_dereference(sc->channel[i]);

		if (ch && READ_ONCE(ch->state) == ZUF_REQ_FREE &&
		    zuf_channel_move(ch, ZUF_REQ_FREE, ZUF_REQ_CLAIMED))
			return ch;
	}
	return NULL;
}

static struct zuf_channel *claim_on_node(struct zuf_server *server, int node)
{
	struct zuf_channel *ch = NULL;
	int cpu;

	rcu_read_lock();
	for_each_cpu_and(cpu, cpumask_of_node(node), cpu_online_mask) {
		ch = claim_on(server, cpu);
		if (ch)
			break;
	}
	rcu_read_unlock();
	return ch;
}

/* Nobody serves this node: its callers go to the nearest that is served. */
static bool node_has_channels(struct zuf_server *server, int node)
{
	bool found = false;
	unsigned int i;
	int cpu;

	rcu_read_lock();
	for_each_cpu(cpu, cpumask_of_node(node)) {
		struct zuf_server_cpu *sc = per_cpu_ptr(server->cpu, cpu);

		for (i = 0; i < ARRAY_SIZE(sc->channel); i++) {
			struct zuf_channel *ch = rcu_dereference(sc->channel[i]);

			found |= ch && READ_ONCE(ch->state) != ZUF_REQ_PARKED;
		}
	}
	rcu_read_unlock();
	return found;
}

static int node_to_wait_on(struct zuf_server *server)
{
	int home = numa_node_id(), node, best = home;
	int best_distance = INT_MAX;

	if (likely(node_has_channels(server, home)))
		return home;
	for_each_online_node(node) {
		if (node_distance(home, node) >= best_distance || !node_has_channels(server, node))
			continue;
		best = node;
		best_distance = node_distance(home, node);
	}
	return best;
}

/* Sleep until granted. -EAGAIN: channels came or went, choose the node anew. */
static int waiter_sleep(const struct zuf_call *call, struct zuf_channel_waiter *w,
			unsigned int parkings)
{
	struct zuf_server *server = call->mount->server;
	bool kernel = call->flags & ZUF_CALL_KERNEL;
	long left = zuf_call_timeout(call);
	unsigned int mode = kernel ? TASK_IDLE : TASK_KILLABLE;
	int err = 0;

	for (;;) {
		set_current_state(mode | TASK_FREEZABLE_UNSAFE);
		/* pairs with zuf_queue_grant() */
		if (smp_load_acquire(&w->ch))
			break;
		if (zuf_server_dead(server) || READ_ONCE(call->mount->aborted)) {
			err = -EIO;
			break;
		}
		if (READ_ONCE(server->parkings) != parkings) {
			err = -EAGAIN;
			break;
		}
		if (!kernel && fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		if (!left) {
			err = -ETIMEDOUT;
			break;
		}
		left = schedule_timeout(left);
	}
	__set_current_state(TASK_RUNNING);
	return err;
}

static struct zuf_channel *claim_wait(const struct zuf_call *call)
{
	struct zuf_server *server = call->mount->server;
	unsigned int parkings = READ_ONCE(server->parkings);
	int node = node_to_wait_on(server);
	struct zuf_queue *queue = &server->queue[node];
	struct zuf_channel_waiter w = { };
	struct zuf_channel *ch;
	int err = 0;

	zuf_queue_join(queue, &w.waiter);
	ch = claim_on_node(server, node);
	if (!ch)
		err = waiter_sleep(call, &w, parkings);
	zuf_queue_leave(queue, &w.waiter);
	/* w.ch can no longer change */
	if (!ch)
		ch = w.ch;
	else if (w.ch)
		zuf_channel_release(w.ch);
	return ch ?: ERR_PTR(err);
}

/*
 * Stay on @cpu until the answer is there. A task that may run nowhere else needs
 * nothing for that, and saves the scheduler two changes of its affinity. With
 * preemption disabled.
 */
static bool pin_here(int cpu)
{
	if (current->nr_cpus_allowed == 1 || unlikely(!zuf_pin_allowed(cpu)))
		return false;
	migrate_disable();
	return true;
}

struct zuf_channel *zuf_channel_claim(const struct zuf_call *call, bool *pinned)
{
	struct zuf_server *server = call->mount->server;
	struct zuf_channel *ch;
	int cpu;

	*pinned = false;
	cpu = get_cpu();
	rcu_read_lock();
	ch = claim_on(server, cpu);
	rcu_read_unlock();
	if (likely(ch)) {
		*pinned = pin_here(cpu);
		put_cpu();
		return ch;
	}
	put_cpu();

	ch = claim_on_node(server, cpu_to_node(cpu));
	while (!ch || ch == ERR_PTR(-EAGAIN))
		ch = claim_wait(call);
	if (IS_ERR(ch))
		return ch;
	cpu = get_cpu();
	if (cpu == ch->cpu)
		*pinned = pin_here(cpu);
	put_cpu();
	return ch;
}
