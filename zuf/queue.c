// SPDX-License-Identifier: GPL-2.0
/*
 * Queues of tasks that wait for what others give back: channels (overflow.c) and
 * operation slots (slot.c). Who gives something back hands it to a waiter under
 * the lock; who joins looks once more, behind a barrier, whether it is free.
 */
#include <linux/lockdep.h>
#include <linux/sched.h>

#include "relay.h"

void zuf_queue_init(struct zuf_queue *queue)
{
	spin_lock_init(&queue->lock);
	INIT_LIST_HEAD(&queue->waiters);
}

void zuf_queue_join(struct zuf_queue *queue, struct zuf_waiter *w)
{
	w->task = current;
	spin_lock_irq(&queue->lock);
	list_add_tail(&w->node, &queue->waiters);
	WRITE_ONCE(queue->len, queue->len + 1);
	spin_unlock_irq(&queue->lock);
	/* pairs with the barrier of who gives something back, before zuf_queue_any() */
	smp_mb();
}

void zuf_queue_take(struct zuf_queue *queue, struct zuf_waiter *w)
{
	lockdep_assert_held(&queue->lock);
	list_del_init(&w->node);
	WRITE_ONCE(queue->len, queue->len - 1);
}

void zuf_queue_leave(struct zuf_queue *queue, struct zuf_waiter *w)
{
	spin_lock_irq(&queue->lock);
	if (!list_empty(&w->node))
		zuf_queue_take(queue, w);
	spin_unlock_irq(&queue->lock);
}

void zuf_queue_wake(struct zuf_queue *queue)
{
	struct zuf_waiter *w;

	spin_lock_irq(&queue->lock);
	list_for_each_entry(w, &queue->waiters, node)
		wake_up_process(w->task);
	spin_unlock_irq(&queue->lock);
}
