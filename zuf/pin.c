// SPDX-License-Identifier: GPL-2.0
/*
 * How long a caller may sleep pinned to its CPU. A task that called
 * migrate_disable() blocks sched_setaffinity(), cpusets, CPU hotplug and, being
 * no freezable sleeper, suspend. So a sweep, armed only while requests are out,
 * wakes callers that have slept for some milliseconds: they unpin themselves
 * and wait on. Hotplug and suspend do the same at once and stop new pins.
 *
 * The sweep also looks at deadlines and at threads that exited alone.
 */
#include <linux/cpuhotplug.h>
#include <linux/sched/signal.h>
#include <linux/suspend.h>
#include <linux/timer.h>

#include "relay.h"

#define ZUF_PIN_MAX_MS		4u	/* and a tick: below 10 ms */
#define ZUF_SWEEP_IDLE_MS	100u	/* when only unpinned callers are out */

struct zuf_pcpu {
	struct timer_list sweep;
	/* the timer fires within ZUF_PIN_MAX_MS; pairs with call_send()'s xchg() */
	int armed;
	bool going_offline;
	spinlock_t lock;		/* writers of channels */
	struct list_head channels;	/* RCU */
};

static DEFINE_PER_CPU(struct zuf_pcpu, zuf_pcpu);
static bool zuf_suspending;
static enum cpuhp_state zuf_cpuhp_state;

bool zuf_pin_allowed(int cpu)
{
	return !READ_ONCE(zuf_suspending) && !READ_ONCE(per_cpu(zuf_pcpu, cpu).going_offline);
}

bool zuf_pin_expired(const struct zuf_channel *ch)
{
	return !zuf_pin_allowed(ch->cpu) ||
	       time_after_eq(jiffies, ch->sent_jiffies + msecs_to_jiffies(ZUF_PIN_MAX_MS));
}

void zuf_pin_channel_add(struct zuf_channel *ch)
{
	struct zuf_pcpu *p = per_cpu_ptr(&zuf_pcpu, ch->cpu);
	unsigned long flags;

	spin_lock_irqsave(&p->lock, flags);
	list_add_tail_rcu(&ch->cpu_node, &p->channels);
	spin_unlock_irqrestore(&p->lock, flags);
}

void zuf_pin_channel_del(struct zuf_channel *ch)
{
	struct zuf_pcpu *p = per_cpu_ptr(&zuf_pcpu, ch->cpu);
	unsigned long flags;

	spin_lock_irqsave(&p->lock, flags);
	list_del_rcu(&ch->cpu_node);
	spin_unlock_irqrestore(&p->lock, flags);
}

void zuf_sweep_arm(int cpu)
{
	struct zuf_pcpu *p = per_cpu_ptr(&zuf_pcpu, cpu);

	if (READ_ONCE(p->armed) || xchg(&p->armed, 1))
		return;
	timer_reduce(&p->sweep, jiffies + msecs_to_jiffies(ZUF_PIN_MAX_MS));
}

/* Wake the one who waits in @ch; a stale wake-up does no harm. RCU held. */
static void wake_caller(struct zuf_channel *ch)
{
	struct task_struct *caller = READ_ONCE(ch->caller);

	if (caller)
		wake_up_process(caller);
}

/* Returns when to look again, in ms; 0: never. */
static unsigned int sweep_channel(struct zuf_channel *ch)
{
	unsigned long deadline;
	int state = READ_ONCE(ch->state);

	if (state != ZUF_REQ_SENT && state != ZUF_REQ_ORPHAN)
		return 0;
	if (unlikely(READ_ONCE(ch->thread->flags) & PF_EXITING)) {
		WRITE_ONCE(ch->thread_gone, true);
		zuf_channel_fail(ch, -EIO);
		return 0;
	}
	if (READ_ONCE(ch->pinned)) {
		if (zuf_pin_expired(ch))
			wake_caller(ch);
		return ZUF_PIN_MAX_MS;
	}
	deadline = READ_ONCE(ch->deadline_jiffies);
	if (deadline && time_after_eq(jiffies, deadline))
		wake_caller(ch);
	return ZUF_SWEEP_IDLE_MS;
}

static unsigned int sweep_channels(struct zuf_pcpu *p)
{
	unsigned int next_ms = 0;
	struct zuf_channel *ch;

	rcu_read_lock();
	list_for_each_entry_rcu(ch, &p->channels, cpu_node) {
		unsigned int ms = sweep_channel(ch);

		if (ms && (!next_ms || ms < next_ms))
			next_ms = ms;
	}
	rcu_read_unlock();
	return next_ms;
}

static void sweep_timer(struct timer_list *timer)
{
	struct zuf_pcpu *p = container_of(timer, struct zuf_pcpu, sweep);
	unsigned int next_ms;

	next_ms = sweep_channels(p);
	if (next_ms != ZUF_PIN_MAX_MS) {
		/*
		 * Full barrier: a request sent after the look arms again, or
		 * the second look sees it.
		 */
		xchg(&p->armed, 0);
		next_ms = sweep_channels(p);
		if (next_ms == ZUF_PIN_MAX_MS && xchg(&p->armed, 1))
			return;
	}
	/* never later than what zuf_sweep_arm() may have set meanwhile */
	if (next_ms)
		timer_reduce(&p->sweep, jiffies + msecs_to_jiffies(next_ms));
}

static void wake_pinned(int cpu)
{
	struct zuf_pcpu *p = per_cpu_ptr(&zuf_pcpu, cpu);
	struct zuf_channel *ch;

	rcu_read_lock();
	list_for_each_entry_rcu(ch, &p->channels, cpu_node)
		wake_caller(ch);
	rcu_read_unlock();
}

static int cpu_online_cb(unsigned int cpu)
{
	WRITE_ONCE(per_cpu(zuf_pcpu, cpu).going_offline, false);
	return 0;
}

/* Runs on @cpu, so a caller has either seen the flag or is on the list. */
static int cpu_offline_cb(unsigned int cpu)
{
	WRITE_ONCE(per_cpu(zuf_pcpu, cpu).going_offline, true);
	/* pairs with set_current_state() in call_wait() */
	smp_mb();
	wake_pinned(cpu);
	return 0;
}

static int pm_notify(struct notifier_block *nb, unsigned long event, void *unused)
{
	int cpu;

	switch (event) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		WRITE_ONCE(zuf_suspending, true);
		/* pairs with set_current_state() in call_wait() */
		smp_mb();
		for_each_possible_cpu(cpu)
			wake_pinned(cpu);
		break;
	case PM_POST_SUSPEND:
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		WRITE_ONCE(zuf_suspending, false);
		break;
	}
	return NOTIFY_OK;
}

static struct notifier_block zuf_pm_nb = { .notifier_call = pm_notify };

int __init zuf_pin_init(void)
{
	int cpu, ret;

	for_each_possible_cpu(cpu) {
		struct zuf_pcpu *p = per_cpu_ptr(&zuf_pcpu, cpu);

		timer_setup(&p->sweep, sweep_timer, TIMER_PINNED);
		spin_lock_init(&p->lock);
		INIT_LIST_HEAD(&p->channels);
		p->going_offline = !cpu_online(cpu);
	}
	ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "fs/zuf:online", cpu_online_cb,
				cpu_offline_cb);
	if (ret < 0)
		return ret;
	zuf_cpuhp_state = ret;
	ret = register_pm_notifier(&zuf_pm_nb);
	if (ret)
		cpuhp_remove_state_nocalls(zuf_cpuhp_state);
	return ret;
}

void zuf_pin_exit(void)
{
	int cpu;

	unregister_pm_notifier(&zuf_pm_nb);
	cpuhp_remove_state_nocalls(zuf_cpuhp_state);
	for_each_possible_cpu(cpu)
		del_timer_sync(&per_cpu(zuf_pcpu, cpu).sweep);
}
