// SPDX-License-Identifier: GPL-2.0
/*
 * Channels: two regions, one request, one thread of the server on one CPU. The
 * server's side of the hand-over is here, the caller's in call.c.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "relay.h"

/* After a grace period: claimers and the sweep look at the state under RCU. */
static void channel_free_work(struct work_struct *work)
{
	struct zuf_channel *ch = container_of(to_rcu_work(work), struct zuf_channel, free_work);
	struct zuf_server *server = ch->server;

	mutex_lock(&server->lock);
	list_del_init(&ch->server_node);
	server->num_channels--;
	mutex_unlock(&server->lock);
	if (ch->thread)
		put_task_struct(ch->thread);
	vfree(ch->request);
	vfree((void *)ch->reply);
	kfree(ch);
	zuf_server_put(server);
}

static void channel_last_put(struct kref *ref)
{
	struct zuf_channel *ch = container_of(ref, struct zuf_channel, ref);

	queue_rcu_work(zuf_wq, &ch->free_work);
}

/* Any context. */
void zuf_channel_put(struct zuf_channel *ch)
{
	kref_put(&ch->ref, channel_last_put);
}

/* Take a channel that nobody owns out of service. */
static void channel_retire(struct zuf_channel *ch)
{
	struct zuf_server_cpu *sc;
	unsigned int i;

	if (ch->cpu < 0)
		return;
	sc = per_cpu_ptr(ch->server->cpu, ch->cpu);
	for (i = 0; i < ARRAY_SIZE(sc->channel); i++)
		if (rcu_access_pointer(sc->channel[i]) == ch)
			RCU_INIT_POINTER(sc->channel[i], NULL);
	zuf_pin_channel_del(ch);
	zuf_channel_put(ch);
}

/* What the owner wrote comes before the state, for the next one. */
static void release_parked(struct zuf_channel *ch)
{
	/* pairs with the acquire of the cmpxchg that claims or frees it next */
	smp_store_release(&ch->state, ZUF_REQ_PARKED);
	/* it tells the server in channel_wait() */
	if (READ_ONCE(ch->thread_away))
		wake_up_process(ch->thread);
}

static void release_free(struct zuf_channel *ch)
{
	for (;;) {
		if (unlikely(zuf_queue_waiting(ch)) && zuf_queue_grant(ch))
			return;
		/* pairs with the acquire of the cmpxchg that claims it next */
		smp_store_release(&ch->state, ZUF_REQ_FREE);
		/*
		 * Pairs with the barrier in zuf_queue_join(), before the claim,
		 * and with the one behind thread_away.
		 */
		smp_mb();
		if (likely(!zuf_queue_waiting(ch)) ||
		    !zuf_channel_move(ch, ZUF_REQ_FREE, ZUF_REQ_CLAIMED))
			break;
	}
	if (unlikely(READ_ONCE(ch->thread_away)) &&
	    zuf_channel_move(ch, ZUF_REQ_FREE, ZUF_REQ_CLAIMED))
		release_parked(ch);
}

void zuf_channel_release(struct zuf_channel *ch)
{
	WRITE_ONCE(ch->mount, NULL);
	ch->call = NULL;
	/* once it has its new state, the death of the server may free it */
	rcu_read_lock();
	if (unlikely(READ_ONCE(ch->thread_gone) || READ_ONCE(ch->thread_away)))
		release_parked(ch);
	else
		release_free(ch);
	/* after the store of the state; pairs with xchg() in zuf_server_die() */
	smp_mb();
	if (unlikely(zuf_server_dead(ch->server)))
		zuf_channel_kill(ch);
	rcu_read_unlock();
}

/* Finish a request that the caller owns REPLYING; it may be gone at once. */
static void channel_done(struct zuf_channel *ch, int err)
{
	struct task_struct *caller;

	ch->err = err;
	/* the caller may leave, and its task end, as soon as it reads DONE */
	rcu_read_lock();
	caller = ch->caller;
	/* pairs with smp_load_acquire() in call_wait() */
	smp_store_release(&ch->state, ZUF_REQ_DONE);
	wake_up_process(caller);
	rcu_read_unlock();
}

void zuf_channel_fail(struct zuf_channel *ch, int err)
{
	struct zuf_orphan *orphan;

	for (;;) {
		if (zuf_channel_move(ch, ZUF_REQ_SENT, ZUF_REQ_REPLYING)) {
			channel_done(ch, err);
			return;
		}
		if (zuf_channel_move(ch, ZUF_REQ_ORPHAN, ZUF_REQ_REPLYING)) {
			orphan = ch->orphan;
			orphan->err = err;
			zuf_orphan_complete(orphan);
			zuf_channel_release(ch);
			return;
		}
		/* SENT may have become ORPHAN between the two */
		if (READ_ONCE(ch->state) != ZUF_REQ_ORPHAN)
			return;
	}
}

void zuf_channel_kill(struct zuf_channel *ch)
{
	zuf_channel_fail(ch, -EIO);
	if (zuf_channel_move(ch, ZUF_REQ_FREE, ZUF_REQ_DEAD) ||
	    zuf_channel_move(ch, ZUF_REQ_PARKED, ZUF_REQ_DEAD))
		channel_retire(ch);
	else if (ch->thread)
		wake_up_process(ch->thread);
}

/* The server answers: from its thread's ioctl. */
static int channel_reply(struct zuf_channel *ch)
{
	struct zuf_reply reply = { };
	struct zuf_orphan *orphan;

	if (zuf_channel_move(ch, ZUF_REQ_SENT, ZUF_REQ_REPLYING)) {
		zuf_point(ZUF_POINT_REPLYING, ch->caller);
		reply.call = ch->call;
		reply.mount = ch->mount;
		reply.out = ch->call->out;
		reply.buf = ch->call->reply_buf;
		ch->err = zuf_reply_take(ch, &reply, ch->call->reply_max);
		ch->call->reply_bytes = ch->err ? 0 : reply.buf_bytes;
		zuf_point(ZUF_POINT_STORED, ch->caller);
		channel_done(ch, ch->err);
		return 0;
	}
	if (zuf_channel_move(ch, ZUF_REQ_ORPHAN, ZUF_REQ_REPLYING)) {
		orphan = ch->orphan;
		reply.mount = orphan->mount;
		reply.out = orphan->out;
		orphan->err = zuf_reply_take(ch, &reply, 0);
		zuf_orphan_complete(orphan);
		zuf_channel_release(ch);
		return 0;
	}
	return -EPROTO;
}

static bool channel_on_its_cpu(const struct zuf_channel *ch)
{
	return current->nr_cpus_allowed == 1 && raw_smp_processor_id() == ch->cpu;
}

/* Sleep until a request is there. 0, -EINTR, -ESHUTDOWN, -EAGAIN. */
static int channel_wait(struct zuf_channel *ch)
{
	struct zuf_server *server = ch->server;
	int state, err = 0;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		state = READ_ONCE(ch->state);
		/* ORPHAN: its caller went before this thread came to take it */
		if (state == ZUF_REQ_SENT || state == ZUF_REQ_ORPHAN)
			break;
		if (READ_ONCE(server->state) != ZUF_SERVER_LIVE) {
			err = -ESHUTDOWN;
			break;
		}
		/* away from its CPU: released by the last owner */
		if (READ_ONCE(ch->state) == ZUF_REQ_PARKED) {
			err = -EAGAIN;
			break;
		}
		if (signal_pending(current)) {
			err = -EINTR;
			break;
		}
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return err;
}

/* Callers in the overflow queues choose their node anew. */
static void channels_changed(struct zuf_server *server)
{
	/* any change of the count will do */
	WRITE_ONCE(server->parkings, READ_ONCE(server->parkings) + 1);
	zuf_queues_wake_all(server);
}

/* Not for new requests. One that has the channel is served and lets it rest. */
static void channel_rest(struct zuf_channel *ch)
{
	WRITE_ONCE(ch->thread_away, true);
	/* pairs with the barrier in release_free() */
	smp_mb();
	zuf_channel_move(ch, ZUF_REQ_FREE, ZUF_REQ_PARKED);
}

static void channel_return(struct zuf_channel *ch)
{
	if (likely(!ch->thread_away && READ_ONCE(ch->state) != ZUF_REQ_PARKED))
		return;
	WRITE_ONCE(ch->thread_away, false);
	if (!zuf_channel_move(ch, ZUF_REQ_PARKED, ZUF_REQ_CLAIMED))
		return;
	zuf_channel_release(ch);
	channels_changed(ch->server);
}

static long channel_ioc_wait(struct zuf_channel *ch, unsigned long flags)
{
	int err;

	if (flags & ~(unsigned long)ZUFS_WAIT_REPLY || current != ch->thread)
		return -EINVAL;
	if (flags & ZUFS_WAIT_REPLY) {
		err = channel_reply(ch);
		if (err)
			return err;
	}
	if (likely(channel_on_its_cpu(ch)))
		channel_return(ch);
	else
		channel_rest(ch);
	err = channel_wait(ch);
	if (unlikely(err == -EAGAIN))
		channels_changed(ch->server);
	return err;
}

static int channel_publish(struct zuf_channel *ch, int cpu)
{
	struct zuf_server_cpu *sc = per_cpu_ptr(ch->server->cpu, cpu);
	unsigned int i;

	lockdep_assert_held(&ch->server->lock);
	for (i = 0; i < ARRAY_SIZE(sc->channel); i++)
		if (!rcu_access_pointer(sc->channel[i]))
			break;
	if (i == ARRAY_SIZE(sc->channel))
		return -ENOSPC;
	ch->cpu = cpu;
	get_task_struct(current);
	ch->thread = current;
	kref_get(&ch->ref);		/* in service, until it is DEAD */
	zuf_pin_channel_add(ch);
	rcu_assign_pointer(sc->channel[i], ch);
	return 0;
}

static long channel_ioc_attach(struct zuf_channel *ch)
{
	int cpu = raw_smp_processor_id();
	int err = 0;

	if (current->nr_cpus_allowed != 1)
		return -EINVAL;
	mutex_lock(&ch->server->lock);
	if (READ_ONCE(ch->server->state) != ZUF_SERVER_LIVE)
		err = -ESHUTDOWN;
	else if (ch->cpu < 0)
		err = channel_publish(ch, cpu);
	else if (ch->thread != current)
		err = -EBUSY;
	else if (ch->cpu != cpu)
		err = -EINVAL;
	mutex_unlock(&ch->server->lock);
	return err;
}

static long channel_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct zuf_channel *ch = file->private_data;

	if (!zuf_server_is_current(ch->server))
		return -EPERM;
	switch (cmd) {
	case ZUFS_IOC_WAIT:
		return channel_ioc_wait(ch, arg);
	case ZUFS_IOC_ATTACH:
		return channel_ioc_attach(ch);
	default:
		return -ENOTTY;
	}
}

static int channel_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct zuf_channel *ch = file->private_data;
	unsigned long off = vma->vm_pgoff << PAGE_SHIFT;
	const void *region;

	if (!zuf_server_is_current(ch->server))
		return -EPERM;
	if (!(vma->vm_flags & VM_SHARED) ||
	    vma->vm_end - vma->vm_start != ZUFS_REGION_BYTES)
		return -EINVAL;
	if (off == 0) {
		if (vma->vm_flags & VM_WRITE)
			return -EACCES;
		vm_flags_clear(vma, VM_MAYWRITE);
		region = ch->request;
	} else if (off == ZUFS_REGION_BYTES) {
		region = ch->reply;
	} else {
		return -EINVAL;
	}
	vm_flags_set(vma, VM_DONTCOPY);
	return remap_vmalloc_range(vma, (void *)region, 0);
}

static int channel_file_release(struct inode *inode, struct file *file)
{
	struct zuf_channel *ch = file->private_data;

	/* a server that closes a channel of its own gives up what is out in it */
	WRITE_ONCE(ch->thread_gone, true);
	zuf_channel_fail(ch, -EIO);
	if (zuf_channel_move(ch, ZUF_REQ_FREE, ZUF_REQ_DEAD) ||
	    zuf_channel_move(ch, ZUF_REQ_PARKED, ZUF_REQ_DEAD))
		channel_retire(ch);
	zuf_channel_put(ch);
	return 0;
}

static const struct file_operations zuf_channel_fops = {
	.owner		= THIS_MODULE,
	.release	= channel_file_release,
	.unlocked_ioctl	= channel_ioctl,
	.mmap		= channel_mmap,
	.llseek		= noop_llseek,
};

static struct zuf_channel *channel_alloc(struct zuf_server *server)
{
	struct zuf_channel *ch;

	/* by the thread that will serve it, so on its own node */
	ch = kzalloc(sizeof(*ch), GFP_KERNEL_ACCOUNT);
	if (!ch)
		return NULL;
	ch->request = vmalloc_user(ZUFS_REGION_BYTES);
	ch->reply = vmalloc_user(ZUFS_REGION_BYTES);
	if (!ch->request || !ch->reply)
		goto out_free;
	kref_init(&ch->ref);
	ch->state = ZUF_REQ_PARKED;
	ch->cpu = -1;
	INIT_LIST_HEAD(&ch->cpu_node);
	INIT_RCU_WORK(&ch->free_work, channel_free_work);
	ch->server = server;
	zuf_server_get(server);
	return ch;

out_free:
	vfree(ch->request);
	vfree((void *)ch->reply);
	kfree(ch);
	return NULL;
}

int zuf_channel_create(struct zuf_server *server, struct zufs_new_channel *out)
{
	struct zuf_channel *ch;
	struct file *file;
	int fd, err = 0;

	ch = channel_alloc(server);
	if (!ch)
		return -ENOMEM;
	mutex_lock(&server->lock);
	if (server->num_channels >= nr_cpu_ids * ZUFS_CHANNELS_PER_CPU_MAX)
		err = -ENOSPC;
	server->num_channels++;
	ch->last_id = ++server->channels_made << ZUF_CHANNEL_ID_SHIFT;
	if (server->channels_made >> (64 - ZUF_CHANNEL_ID_SHIFT))
		err = -ENOSPC;
	list_add_tail(&ch->server_node, &server->channels);
	mutex_unlock(&server->lock);
	if (err)
		goto out_put;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		err = fd;
		goto out_put;
	}
	file = anon_inode_getfile("[zuf-channel]", &zuf_channel_fops, ch, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		err = PTR_ERR(file);
		goto out_put;
	}
	out->fd = fd;
	out->request_off = 0;
	out->reply_off = ZUFS_REGION_BYTES;
	fd_install(fd, file);
	return 0;

out_put:
	zuf_channel_put(ch);
	return err;
}
