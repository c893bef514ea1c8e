// SPDX-License-Identifier: GPL-2.0
/*
 * Operation slots, as NFSv4.1 sessions have them (RFC 8881, 2.10.6): a changing
 * request holds a slot from when it is built until its answer is consumed, and
 * sequence n + 1 of a slot acknowledges n. Slots belong to the mount; each CPU
 * has a word of them of its own and looks at the others' only when it is empty.
 * Where none is free, who asked first gets the next: a slot is handed over, not
 * put down, so that no newcomer overtakes.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "relay.h"

static_assert(ZUF_SLOTS_PER_CPU == BITS_PER_LONG);

struct zuf_slot_word {
	unsigned long used;			/* atomic bitops */
	u64 seq[ZUF_SLOTS_PER_CPU];		/* written by the slot's holder */
} ____cacheline_aligned_in_smp;

struct zuf_slot_waiter {
	struct zuf_waiter waiter;
	u32 slot;				/* granted; written under the lock */
};

struct zuf_slots {
	struct zuf_queue queue;
	struct zuf_slot_word word[];		/* [nr_cpu_ids] */
};

struct zuf_slots *zuf_slots_alloc(void)
{
	struct zuf_slots *slots;

	slots = kvzalloc(struct_size(slots, word, nr_cpu_ids), GFP_KERNEL);
	if (slots)
		zuf_queue_init(&slots->queue);
	return slots;
}

void zuf_slots_free(struct zuf_slots *slots)
{
	kvfree(slots);
}

u32 zuf_slots_count(void)
{
	return nr_cpu_ids * ZUF_SLOTS_PER_CPU;
}

static struct zuf_slot_word *word_of(struct zuf_slots *slots, u32 slot)
{
	return &slots->word[slot / ZUF_SLOTS_PER_CPU];
}

static bool try_word(struct zuf_slots *slots, unsigned int cpu, u32 *slot)
{
	struct zuf_slot_word *word = &slots->word[cpu];
	unsigned long used;
	unsigned int bit;

	while ((used = READ_ONCE(word->used)) != ~0ul) {
		bit = ffz(used);
		if (test_and_set_bit_lock(bit, &word->used))
			continue;
		*slot = cpu * ZUF_SLOTS_PER_CPU + bit;
		return true;
	}
	return false;
}

static bool slot_try(struct zuf_slots *slots, u32 *slot)
{
	unsigned int cpu = raw_smp_processor_id();

	if (try_word(slots, cpu, slot))
		return true;
	for_each_online_cpu(cpu)
		if (try_word(slots, cpu, slot))
			return true;
	return false;
}

static bool slot_grant(struct zuf_slots *slots, u32 slot)
{
	struct zuf_queue *queue = &slots->queue;
	struct zuf_slot_waiter *w;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	w = list_first_entry_or_null(&queue->waiters, struct zuf_slot_waiter, waiter.node);
	if (w) {
		zuf_queue_take(queue, &w->waiter);
		/* the last holder's sequence before the grant; pairs with waiter_sleep() */
		smp_store_release(&w->slot, slot);
		wake_up_process(w->waiter.task);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	return w;
}

static int waiter_sleep(const struct zuf_mount *mount, const struct zuf_slot_waiter *w, bool kernel,
			long left)
{
	unsigned int mode = kernel ? TASK_IDLE : TASK_KILLABLE;
	int err = 0;

	for (;;) {
		set_current_state(mode | TASK_FREEZABLE_UNSAFE);
		/* pairs with slot_grant() */
		if (smp_load_acquire(&w->slot) != ZUFS_NO_SLOT)
			break;
		if (READ_ONCE(mount->aborted))
			err = -EIO;
		else if (!kernel && fatal_signal_pending(current))
			err = -EINTR;
		else if (!left)
			err = -ETIMEDOUT;
		if (err)
			break;
		left = schedule_timeout(left);
	}
	__set_current_state(TASK_RUNNING);
	return err;
}

static int slot_wait(struct zuf_mount *mount, bool kernel, long timeout, u32 *slot)
{
	struct zuf_slots *slots = mount->slots;
	struct zuf_slot_waiter w = { .slot = ZUFS_NO_SLOT };
	bool found;
	int err = 0;

	zuf_queue_join(&slots->queue, &w.waiter);
	found = slot_try(slots, slot);
	if (!found)
		err = waiter_sleep(mount, &w, kernel, timeout);
	zuf_queue_leave(&slots->queue, &w.waiter);
	/* w.slot can no longer change */
	if (w.slot == ZUFS_NO_SLOT)
		return err;
	if (found)
		zuf_slot_put(slots, w.slot);
	else
		*slot = w.slot;
	return 0;
}

int zuf_slot_get(struct zuf_mount *mount, bool kernel, long timeout, u32 *slot, u64 *seq)
{
	struct zuf_slots *slots = mount->slots;
	int err;

	if (unlikely(!slot_try(slots, slot))) {
		err = slot_wait(mount, kernel, kernel ? MAX_SCHEDULE_TIMEOUT : timeout, slot);
		if (err)
			return err;
	}
	*seq = ++word_of(slots, *slot)->seq[*slot % ZUF_SLOTS_PER_CPU];
	return 0;
}

/* Those who wait look at mount->aborted again. */
void zuf_slots_wake(struct zuf_slots *slots)
{
	zuf_queue_wake(&slots->queue);
}

void zuf_slot_put(struct zuf_slots *slots, u32 slot)
{
	unsigned long *used = &word_of(slots, slot)->used;
	unsigned int bit = slot % ZUF_SLOTS_PER_CPU;

	do {
		if (unlikely(zuf_queue_any(&slots->queue)) && slot_grant(slots, slot))
			return;
		clear_bit_unlock(bit, used);
		/* pairs with the barrier in zuf_queue_join(), before slot_try() */
		smp_mb__after_atomic();
	} while (unlikely(zuf_queue_any(&slots->queue)) && !test_and_set_bit_lock(bit, used));
}
