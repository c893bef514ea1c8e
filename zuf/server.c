// SPDX-License-Identifier: GPL-2.0
/*
 * A server: one open of /dev/zuf, bound to an mm by HELLO. It is dead when that
 * mm goes or when the file is closed for the last time, whichever comes first:
 * an fd that a child inherited must not keep a dead server alive.
 */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "relay.h"

static atomic64_t zuf_server_ids = ATOMIC64_INIT(0);
static atomic_t zuf_servers = ATOMIC_INIT(0);	/* not yet freed */

void zuf_server_get(struct zuf_server *server)
{
	kref_get(&server->ref);
}

static void server_free_work(struct work_struct *work)
{
	struct zuf_server *server = container_of(to_rcu_work(work), struct zuf_server, free_work);

	zuf_forced_exit_server(server);
	if (server->mm)
		mmdrop(server->mm);
	put_cred(server->cred);
	kfree(server->queue);
	free_percpu(server->cpu);
	kfree(server);
	if (atomic_dec_and_test(&zuf_servers))
		wake_up_var(&zuf_servers);
}

/* In a worker: the last reference may be put by the server's own work. */
static void server_last_put(struct kref *ref)
{
	struct zuf_server *server = container_of(ref, struct zuf_server, ref);

	queue_rcu_work(zuf_wq, &server->free_work);
}

void zuf_server_put(struct zuf_server *server)
{
	kref_put(&server->ref, server_last_put);
}

/*
 * Every channel, mount, orphan and message holds its server, so that all is gone
 * when no server is left: nothing will be queued any more.
 */
void zuf_servers_wait(void)
{
	wait_var_event(&zuf_servers, !atomic_read(&zuf_servers));
}

u64 zuf_server_features(const struct zuf_server *server)
{
	return server->features;
}

u16 zuf_server_minor(const struct zuf_server *server)
{
	return server->minor;
}

bool zuf_server_trusted(const struct zuf_server *server)
{
	return server->trusted;
}

bool zuf_server_is_current(const struct zuf_server *server)
{
	return current->mm && current->mm == server->mm;
}

/*
 * Fail all that is out and let nothing new in. Idempotent. A caller that has
 * just SENT looks at the state after a full barrier (zuf_call()), so either it
 * sees DEAD or the loop here sees its request.
 */
void zuf_server_die(struct zuf_server *server)
{
	struct zuf_channel *ch;

	if (xchg(&server->state, ZUF_SERVER_DEAD) == ZUF_SERVER_DEAD)
		return;
	mutex_lock(&server->lock);
	list_for_each_entry(ch, &server->channels, server_node)
		zuf_channel_kill(ch);
	mutex_unlock(&server->lock);
	zuf_queues_wake_all(server);
	zuf_mounts_lost(server);
	zuf_type_server_gone(server);
}

static void server_mm_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	zuf_server_die(container_of(mn, struct zuf_server, mn));
}

static const struct mmu_notifier_ops server_mn_ops = {
	.release = server_mm_release,
};

static int server_open(struct inode *inode, struct file *file)
{
	struct zuf_server *server;
	int err = -ENOMEM;

	server = kzalloc(sizeof(*server), GFP_KERNEL_ACCOUNT);
	if (!server)
		return -ENOMEM;
	atomic_inc(&zuf_servers);
	kref_init(&server->ref);
	INIT_RCU_WORK(&server->free_work, server_free_work);
	mutex_init(&server->lock);
	INIT_LIST_HEAD(&server->channels);
	server->id = atomic64_inc_return(&zuf_server_ids);
	server->cred = get_cred(file->f_cred);
	server->trusted = file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN);
	server->cpu = alloc_percpu(struct zuf_server_cpu);
	if (!server->cpu)
		goto out_put;
	err = zuf_queues_alloc(server);
	if (err)
		goto out_put;
	err = zuf_forced_init_server(server);
	if (err)
		goto out_put;
	file->private_data = server;
	return nonseekable_open(inode, file);

out_put:
	zuf_server_put(server);
	return err;
}

static int server_release(struct inode *inode, struct file *file)
{
	struct zuf_server *server = file->private_data;

	zuf_server_die(server);
	if (server->mm_bound) {
		zuf_sysfs_del_server(server);
		mmu_notifier_unregister(&server->mn, server->mm);
	}
	zuf_server_put(server);
	return 0;
}

static long server_hello(struct zuf_server *server, struct zufs_hello __user *arg)
{
	struct zufs_hello hello;
	bool match;
	u16 minor;
	int err = 0;

	lockdep_assert_held(&server->lock);
	if (copy_from_user(&hello, arg, sizeof(hello)))
		return -EFAULT;
	if (server->mm_bound)
		return -EBUSY;
	match = hello.major == ZUFS_ABI_MAJOR && hello.struct_bytes >= sizeof(hello);
	minor = min_t(u16, hello.minor, ZUFS_ABI_MINOR);
	hello = (struct zufs_hello) {
		.major			= ZUFS_ABI_MAJOR,
		.minor			= ZUFS_ABI_MINOR,
		.struct_bytes		= sizeof(hello),
		.features		= hello.features & ZUF_FEATURES,
		.server_id		= server->id,
		.page_bytes		= PAGE_SIZE,
		.region_bytes		= ZUFS_REGION_BYTES,
		.payload_max_bytes	= ZUFS_PAYLOAD_MAX_BYTES,
		.channels_per_cpu_max	= ZUFS_CHANNELS_PER_CPU_MAX,
		.flags			= server->trusted ? ZUFS_HELLO_TRUSTED : 0,
	};
	if (copy_to_user(arg, &hello, sizeof(hello)))
		return -EFAULT;
	if (!match)
		return -EPROTO;

	server->features = hello.features;
	server->minor = minor;
	server->pid = task_tgid_nr(current);
	mmgrab(current->mm);
	server->mm = current->mm;
	server->mn.ops = &server_mn_ops;
	err = mmu_notifier_register(&server->mn, current->mm);
	if (err)
		goto out_drop;
	err = zuf_sysfs_add_server(server);
	if (err)
		goto out_unregister;
	server->mm_bound = true;
	/* not over DEAD, should the mm be going already */
	cmpxchg(&server->state, ZUF_SERVER_NEW, ZUF_SERVER_LIVE);
	return 0;

out_unregister:
	mmu_notifier_unregister(&server->mn, server->mm);
out_drop:
	mmdrop(server->mm);
	server->mm = NULL;
	return err;
}

static long server_register(struct zuf_server *server, const void __user *arg)
{
	struct zufs_register reg;

	if (copy_from_user(&reg, arg, sizeof(reg)))
		return -EFAULT;
	return zuf_type_register(server, &reg);
}

static long server_new_channel(struct zuf_server *server, void __user *arg)
{
	struct zufs_new_channel out = {};
	int err;

	err = zuf_channel_create(server, &out);
	if (err)
		return err;
	/* the fd stays open if this fails, as with any fd-making call */
	return copy_to_user(arg, &out, sizeof(out)) ? -EFAULT : 0;
}

static long server_stop(struct zuf_server *server)
{
	struct zuf_channel *ch;

	cmpxchg(&server->state, ZUF_SERVER_LIVE, ZUF_SERVER_STOPPING);
	mutex_lock(&server->lock);
	list_for_each_entry(ch, &server->channels, server_node)
		if (ch->thread)
			wake_up_process(ch->thread);
	mutex_unlock(&server->lock);
	return 0;
}

static long server_mount_file(struct zuf_server *server, void __user *arg)
{
	struct zufs_mount_file mf;
	struct zuf_mount *mount;
	int fd;

	if (copy_from_user(&mf, arg, sizeof(mf)))
		return -EFAULT;
	if (mf.flags)
		return -EINVAL;
	mount = zuf_mount_find(server, mf.mount);
	if (!mount)
		return -ENOENT;
	fd = zuf_mount_file_open(mount);
	zuf_mount_put(mount);
	if (fd < 0)
		return fd;
	mf.fd = fd;
	return copy_to_user(arg, &mf, sizeof(mf)) ? -EFAULT : 0;
}

static long server_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct zuf_server *server = file->private_data;
	void __user *uarg = (void __user *)arg;
	long err;

	if (cmd == ZUFS_IOC_HELLO) {
		mutex_lock(&server->lock);
		err = server_hello(server, uarg);
		mutex_unlock(&server->lock);
		return err;
	}
	if (!zuf_server_is_current(server))
		return -EPERM;
	if (zuf_server_dead(server))
		return -ESHUTDOWN;
	switch (cmd) {
	case ZUFS_IOC_REGISTER:
		return server_register(server, uarg);
	case ZUFS_IOC_NEW_CHANNEL:
		return server_new_channel(server, uarg);
	case ZUFS_IOC_STOP:
		return server_stop(server);
	case ZUFS_IOC_MOUNT_FILE:
		return server_mount_file(server, uarg);
	default:
		return -ENOTTY;
	}
}

const struct file_operations zuf_server_fops = {
	.owner		= THIS_MODULE,
	.open		= server_open,
	.release	= server_release,
	.unlocked_ioctl	= server_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};
