// SPDX-License-Identifier: GPL-2.0
/*
 * Operation slots, as NFSv4.1 sessions have them (RFC 8881, 2.10.6): a changing
 * request holds a slot from when it is built until its answer is consumed, and
 * sequence n + 1 of a slot acknowledges n. Slots belong to the mount; each CPU
 * has a word of them of its own and looks at the others' only when it is empty.
 */
#include <linux/slab.h>
#include <linux/wait.h>

#include "relay.h"

static_assert(ZUF_SLOTS_PER_CPU == BITS_PER_LONG);

struct zuf_slot_word {
	unsigned long used;			/* atomic bitops */
	u64 seq[ZUF_SLOTS_PER_CPU];		/* written by the slot's holder */
} ____cacheline_aligned_in_smp;

struct zuf_slots {
	wait_queue_head_t wait;
	struct zuf_slot_word word[];		/* [nr_cpu_ids] */
};

struct zuf_slots *zuf_slots_alloc(void)
{
	struct zuf_slots *slots;

	slots = kvzalloc(struct_size(slots, word, nr_cpu_ids), GFP_KERNEL);
	if (slots)
		init_waitqueue_head(&slots->wait);
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

static bool slot_try_word(struct zuf_slots *slots, unsigned int cpu, u32 *slot, u64 *seq)
{
	struct zuf_slot_word *word = &slots->word[cpu];
	unsigned long used;
	unsigned int bit;

	while ((used = READ_ONCE(word->used)) != ~0ul) {
		bit = ffz(used);
		if (test_and_set_bit_lock(bit, &word->used))
			continue;
		*slot = cpu * ZUF_SLOTS_PER_CPU + bit;
		*seq = ++word->seq[bit];
		return true;
	}
	return false;
}

static bool slot_try(struct zuf_slots *slots, u32 *slot, u64 *seq)
{
	unsigned int cpu = raw_smp_processor_id();

	if (slot_try_word(slots, cpu, slot, seq))
		return true;
	for_each_online_cpu(cpu)
		if (slot_try_word(slots, cpu, slot, seq))
			return true;
	return false;
}

/* True ends the wait: *err is 0 with a slot, or -EIO. */
static bool slot_try_or_aborted(struct zuf_mount *mount, u32 *slot, u64 *seq, int *err)
{
	*err = slot_try(mount->slots, slot, seq) ? 0 : -EIO;
	return !*err || READ_ONCE(mount->aborted);
}

int zuf_slot_get(struct zuf_mount *mount, bool kernel, long timeout, u32 *slot, u64 *seq)
{
	struct zuf_slots *slots = mount->slots;
	long left;
	int err;

	if (likely(slot_try(slots, slot, seq)))
		return 0;
	if (kernel) {
		wait_event_idle(slots->wait, slot_try_or_aborted(mount, slot, seq, &err));
		return err;
	}
	left = wait_event_killable_timeout(slots->wait,
					   slot_try_or_aborted(mount, slot, seq, &err), timeout);
	if (left < 0)
		return -EINTR;
	return left ? err : -ETIMEDOUT;
}

/* Those who wait look at mount->aborted again. */
void zuf_slots_wake(struct zuf_slots *slots)
{
	wake_up_all(&slots->wait);
}

void zuf_slot_put(struct zuf_slots *slots, u32 slot)
{
	struct zuf_slot_word *word = &slots->word[slot / ZUF_SLOTS_PER_CPU];

	clear_bit_unlock(slot % ZUF_SLOTS_PER_CPU, &word->used);
	/* before waitqueue_active(); pairs with prepare_to_wait() before slot_try() */
	smp_mb__after_atomic();
	/* waitqueue_active: most mounts never have a waiter */
	if (waitqueue_active(&slots->wait))
		wake_up(&slots->wait);
}
