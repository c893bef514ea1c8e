// SPDX-License-Identifier: GPL-2.0
/* Kill and delay points for tests: see point.h. */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "point.h"

#define ZUF_POINT_TASK_PREFIX	"zkill"
#define ZUF_POINT_DELAY_MAX_US	100000u
#define ZUF_POINT_SLEEP_MAX_US	10000000u	/* where the task may sleep */

DEFINE_STATIC_KEY_FALSE(zuf_points_on);

struct point_state {
	const char *name;
	atomic_t passed;	/* by tasks of the name above */
	atomic_t kills;		/* made */
	atomic_t left;		/* still to make */
	unsigned int every;
	unsigned int delay_us;
	bool hold;		/* workers; written under points_lock */
};

static struct point_state points[ZUF_POINT_COUNT] = {
	[ZUF_POINT_CLAIMED] = { .name = "claimed", .every = 1 },
	[ZUF_POINT_FILLED] = { .name = "filled", .every = 1 },
	[ZUF_POINT_SENT] = { .name = "sent", .every = 1 },
	[ZUF_POINT_WAITING] = { .name = "waiting", .every = 1 },
	[ZUF_POINT_REPLYING] = { .name = "replying", .every = 1 },
	[ZUF_POINT_STORED] = { .name = "stored", .every = 1 },
	[ZUF_POINT_DONE] = { .name = "done", .every = 1 },
	[ZUF_POINT_READ_MAPPED] = { .name = "read_mapped", .every = 1 },
	[ZUF_POINT_ASKING] = { .name = "asking", .every = 1 },
	[ZUF_POINT_MAPPED] = { .name = "mapped", .every = 1 },
	[ZUF_POINT_COPYING] = { .name = "copying", .every = 1 },
	[ZUF_POINT_BEFORE_FENCE] = { .name = "before_fence", .every = 1 },
	[ZUF_POINT_BEFORE_WORD] = { .name = "before_word", .every = 1 },
	[ZUF_POINT_AFTER_WORD] = { .name = "after_word", .every = 1 },
	[ZUF_POINT_BEFORE_MAP_DONE] = { .name = "before_map_done", .every = 1 },
	[ZUF_POINT_AFTER_MAP_DONE] = { .name = "after_map_done", .every = 1 },
	[ZUF_POINT_FAULT_MAPPED] = { .name = "fault_mapped", .every = 1 },
	[ZUF_POINT_RECALL_MARKED] = { .name = "recall_marked", .every = 1 },
	[ZUF_POINT_EPOCH_FLUSHED] = { .name = "epoch_flushed", .every = 1 },
	[ZUF_POINT_EPOCH_CLOSED] = { .name = "epoch_closed", .every = 1 },
	[ZUF_POINT_EPOCH_CLEAN] = { .name = "epoch_clean", .every = 1 },
	[ZUF_POINT_TRUNCATE_CUT] = { .name = "truncate_cut", .every = 1 },
	[ZUF_POINT_NAME_CHANGED] = { .name = "name_changed", .every = 1 },
	[ZUF_POINT_RELEASE] = { .name = "release", .every = 1 },
};

static DEFINE_MUTEX(points_lock);
static bool points_active;		/* under points_lock, read without */
static struct dentry *points_dir;
static DECLARE_WAIT_QUEUE_HEAD(points_wait);	/* for hold to go */

void zuf_point_hit(enum zuf_point point, struct task_struct *task)
{
	struct point_state *p = &points[point];
	unsigned int delay_us = READ_ONCE(p->delay_us);
	unsigned int passed;

	if (!task || strncmp(task->comm, ZUF_POINT_TASK_PREFIX, strlen(ZUF_POINT_TASK_PREFIX)))
		return;
	passed = atomic_inc_return(&p->passed);	/* a test waits for who is held up */
	/* those of filesystem code may sleep, and then others get on meanwhile */
	if (delay_us >= USEC_PER_MSEC && point >= ZUF_POINT_READ_MAPPED)
		usleep_range(delay_us, delay_us);
	else if (delay_us)
		udelay(delay_us);
	if (passed % READ_ONCE(p->every))
		return;
	if (atomic_dec_if_positive(&p->left) < 0)
		return;
	atomic_inc(&p->kills);
	send_sig(SIGKILL, task, 1);
}

void zuf_point_work_hit(enum zuf_point point)
{
	struct point_state *p = &points[point];
	unsigned int delay_us = READ_ONCE(p->delay_us);

	atomic_inc(&p->passed);
	if (delay_us)
		usleep_range(delay_us, delay_us + delay_us / 4 + 1);
	wait_event_idle(points_wait, !READ_ONCE(p->hold));
}

bool zuf_points_active(void)
{
	return READ_ONCE(points_active);
}

static int points_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	for (i = 0; i < ZUF_POINT_COUNT; i++)
		seq_printf(m, "%s passed %d kills %d left %d\n", points[i].name,
			   atomic_read(&points[i].passed), atomic_read(&points[i].kills),
			   atomic_read(&points[i].left));
	return 0;
}

static int points_open(struct inode *inode, struct file *file)
{
	return single_open(file, points_show, NULL);
}

static void points_off(void)
{
	unsigned int i;

	lockdep_assert_held(&points_lock);
	WRITE_ONCE(points_active, false);
	for (i = 0; i < ZUF_POINT_COUNT; i++) {
		atomic_set(&points[i].passed, 0);
		atomic_set(&points[i].kills, 0);
		atomic_set(&points[i].left, 0);
		points[i].every = 1;
		points[i].delay_us = 0;
		WRITE_ONCE(points[i].hold, false);
	}
	wake_up_all(&points_wait);
}

static int points_command(const char *cmd)
{
	unsigned int i, value, every = 1;
	char name[24], verb[16];
	int n;

	lockdep_assert_held(&points_lock);
	if (!static_key_enabled(&zuf_points_on))
		static_branch_enable(&zuf_points_on);
	if (!strcmp(cmd, "off")) {
		points_off();
		return 0;
	}
	n = sscanf(cmd, "%23s %15s %u every %u", name, verb, &value, &every);
	if (n < 3 || !every)
		return -EINVAL;
	for (i = 0; i < ZUF_POINT_COUNT; i++)
		if (!strcmp(points[i].name, name))
			break;
	if (i == ZUF_POINT_COUNT)
		return -ENOENT;
	if (!strcmp(verb, "kill")) {
		WRITE_ONCE(points[i].every, every);
		atomic_set(&points[i].left, value);
	} else if (!strcmp(verb, "delay_us") &&
		   value <= (i < ZUF_POINT_READ_MAPPED ? ZUF_POINT_DELAY_MAX_US :
							 ZUF_POINT_SLEEP_MAX_US)) {
		WRITE_ONCE(points[i].delay_us, value);
	} else if (!strcmp(verb, "hold") && value <= 1) {
		WRITE_ONCE(points[i].hold, value);
		wake_up_all(&points_wait);
	} else {
		return -EINVAL;
	}
	WRITE_ONCE(points_active, true);
	return 0;
}

static ssize_t points_write(struct file *file, const char __user *ubuf, size_t count, loff_t *pos)
{
	char *buf;
	int err;

	if (count > 80)
		return -EINVAL;
	buf = memdup_user_nul(ubuf, count);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	mutex_lock(&points_lock);
	err = points_command(strim(buf));
	mutex_unlock(&points_lock);
	kfree(buf);
	return err ?: count;
}

static const struct file_operations points_fops = {
	.owner		= THIS_MODULE,
	.open		= points_open,
	.read		= seq_read,
	.write		= points_write,
	.llseek		= seq_lseek,
	.release	= single_release,
};

int __init zuf_points_init(void)
{
	/* debugfs may be absent: then there are no points to switch */
	points_dir = debugfs_create_dir("zuf", NULL);
	debugfs_create_file("points", 0600, points_dir, NULL, &points_fops);
	return 0;
}

void zuf_points_exit(void)
{
	debugfs_remove_recursive(points_dir);
}
