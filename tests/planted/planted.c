// SPDX-License-Identifier: GPL-2.0
/*
 * One fault on load, chosen by name: what the debug kernel and ci/vm must report.
 * Never part of a build that is used.
 */
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *fault = "";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "abba, use-after-free, leak, sleep-in-atomic or warn");

static DEFINE_MUTEX(lock_a);
static DEFINE_MUTEX(lock_b);
static DEFINE_SPINLOCK(spin);

/* Both orders one after the other: lockdep needs no real deadlock */
static void plant_abba(void)
{
	mutex_lock(&lock_a);
	mutex_lock(&lock_b);
	mutex_unlock(&lock_b);
	mutex_unlock(&lock_a);

	mutex_lock(&lock_b);
	mutex_lock(&lock_a);
	mutex_unlock(&lock_a);
	mutex_unlock(&lock_b);
}

static void plant_use_after_free(void)
{
	u8 *bytes = kzalloc(64, GFP_KERNEL);

	if (!bytes)
		return;
	kfree(bytes);
	/* volatile, or the compiler drops the store */
	*(volatile u8 *)(bytes + 8) = 1;
}

static void plant_leak(void)
{
	int i;

	/* Several: a stale pointer on some stack may hide one */
	for (i = 0; i < 16; i++) {
		u8 *bytes = kzalloc(200, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(bytes);
	}
}

static void plant_sleep_in_atomic(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);
}

static void plant_warn(void)
{
	WARN(1, "planted\n");
}

static const struct {
	const char *name;
	void (*plant)(void);
} faults[] = {
	{ "abba", plant_abba },
	{ "use-after-free", plant_use_after_free },
	{ "leak", plant_leak },
	{ "sleep-in-atomic", plant_sleep_in_atomic },
	{ "warn", plant_warn },
};

static int __init planted_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (strcmp(faults[i].name, fault))
			continue;
		faults[i].plant();
		return 0;
	}
	pr_err("planted: no fault is named '%s'\n", fault);
	return -EINVAL;
}
module_init(planted_init);

static void __exit planted_exit(void)
{
}
module_exit(planted_exit);

MODULE_DESCRIPTION("Faults that a debug kernel must report");
MODULE_LICENSE("GPL");
