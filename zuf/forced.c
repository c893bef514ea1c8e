// SPDX-License-Identifier: GPL-2.0
/*
 * Forced messages: what a dying task or memory reclaim must still say. They are
 * preallocated, queued without waiting on a list of the CPU, and sent in batches
 * by the server's worker, which may wait. With the server gone they are dropped.
 *
 * What is said of an inode goes before its FORGET, though lists of several CPUs have no
 * order: FORGETs wait for a second look at the lists, which finds all that was queued
 * before they were.
 */
#include <linux/slab.h>

#include "relay.h"

#define ZUF_FORGET_DELAY_MS	10u	/* FORGETs gather */
#define ZUF_BATCH_MAX		64u
#define ZUF_COMMITTED_DELAY	HZ	/* who must know sooner looks at the word */
#define ZUF_COMMITTED_MANY	64u

static struct workqueue_struct *zuf_forced_wq;
static struct kmem_cache *zuf_forced_cache;

struct zuf_forced_msg *zuf_forced_alloc(gfp_t gfp)
{
	struct zuf_forced_msg *msg = kmem_cache_zalloc(zuf_forced_cache, gfp);

	if (msg)
		msg->free = zuf_forced_free;
	return msg;
}

void zuf_forced_free(struct zuf_forced_msg *msg)
{
	kmem_cache_free(zuf_forced_cache, msg);
}

void zuf_forced_queue(struct zuf_mount *mount, struct zuf_forced_msg *msg)
{
	struct zuf_server *server = mount->server;
	bool gathers = msg->wire.op == ZUFS_OP_FORGET;
	bool lazy = msg->wire.flags & ZUFS_FORCED_COMMITTED;
	int pending;

	msg->mount = mount;
	msg->wire.mount = mount->id;
	msg->wire.op_slot = ZUFS_NO_SLOT;
	zuf_mount_get(mount);
	pending = atomic_inc_return(&mount->forced_pending);
	/* from here on the worker may have sent and freed it */
	llist_add(&msg->node, &raw_cpu_ptr(server->cpu)->forced);
	if (lazy && pending % ZUF_COMMITTED_MANY)
		queue_delayed_work(zuf_forced_wq, &server->lazy_work, ZUF_COMMITTED_DELAY);
	else if (gathers)
		queue_delayed_work(zuf_forced_wq, &server->forced_work,
				   msecs_to_jiffies(ZUF_FORGET_DELAY_MS));
	else
		mod_delayed_work(zuf_forced_wq, &server->forced_work, 0);
}

void zuf_forget_handle(struct zuf_mount *mount, u64 handle)
{
	/* one object; without it the server could never drop the inode */
	struct zuf_forced_msg *msg = zuf_forced_alloc(GFP_KERNEL | __GFP_NOFAIL);

	msg->wire.op = ZUFS_OP_FORGET;
	msg->wire.inode = handle;
	msg->wire.arg = 1;
	zuf_forced_queue(mount, msg);
}

void zuf_forced_flush(struct zuf_mount *mount)
{
	mod_delayed_work(zuf_forced_wq, &mount->server->forced_work, 0);
	/* a silent server: killing the waiter, or abort, ends the wait */
	wait_event_killable(mount->forced_wait, !atomic_read(&mount->forced_pending) ||
			    READ_ONCE(mount->aborted));
}

static void forced_ended(struct zuf_forced_msg *msg)
{
	struct zuf_mount *mount = msg->mount;

	msg->free(msg);
	if (atomic_dec_and_test(&mount->forced_pending))
		wake_up_all(&mount->forced_wait);
	zuf_mount_put(mount);
}

static void forced_send(struct zuf_server *server, struct zuf_mount *mount, u32 count)
{
	struct zufs_batch_in in = { .count = count };
	struct zuf_call call = {
		.mount	= mount,
		.op	= ZUFS_OP_BATCH,
		.flags	= ZUF_CALL_KERNEL | ZUF_CALL_RECLAIM,
		.in	= &in,
		.seg	= { { server->forced_buf, count * sizeof(*server->forced_buf) } },
		.num_segs = 1,
	};
	u32 i;

	for (i = 0; i < count; i++)
		if (server->forced_buf[i].op == ZUFS_OP_MAP_DONE)
			zuf_slot_get(mount, true, 0, &server->forced_buf[i].op_slot,
				     &server->forced_buf[i].op_seq);
	/* never fails for the sender; with the server lost there is no one to tell */
	zuf_call(&call);
	for (i = 0; i < count; i++)
		if (server->forced_buf[i].op_slot != ZUFS_NO_SLOT)
			zuf_slot_put(mount->slots, server->forced_buf[i].op_slot);
}

/* Sends @list, oldest first, a batch for each run of one mount's messages. */
static void forced_drain(struct zuf_server *server, struct llist_node *list)
{
	struct zuf_forced_msg *msg, *next, *sent, *first = NULL;
	u32 count = 0;

	llist_for_each_entry_safe(msg, next, list, node) {
		if (!first)
			first = msg;
		server->forced_buf[count++] = msg->wire;
		if (msg->node.next && next->mount == msg->mount && count < ZUF_BATCH_MAX)
			continue;
		forced_send(server, msg->mount, count);
		count = 0;
		for (sent = first; sent != msg;) {
			struct zuf_forced_msg *done = sent;

			sent = llist_entry(sent->node.next, struct zuf_forced_msg, node);
			forced_ended(done);
		}
		forced_ended(msg);
		first = NULL;
	}
}

/* All that is queued, FORGETs apart; each oldest first as far as one CPU queued it. */
static void forced_take(struct zuf_server *server, struct llist_node ***messages,
			struct llist_node ***forgets)
{
	struct zuf_forced_msg *msg, *next;
	struct llist_node *list;
	int cpu;

	for_each_possible_cpu(cpu) {
		list = llist_del_all(&per_cpu_ptr(server->cpu, cpu)->forced);
		llist_for_each_entry_safe(msg, next, llist_reverse_order(list), node) {
			struct llist_node ***tail = msg->wire.op == ZUFS_OP_FORGET ? forgets :
										     messages;

			msg->node.next = NULL;
			**tail = &msg->node;
			*tail = &msg->node.next;
		}
	}
}

static void forced_work(struct work_struct *work)
{
	struct zuf_server *server = container_of(to_delayed_work(work), struct zuf_server,
						 forced_work);
	struct llist_node *messages = NULL, **last_message = &messages;
	struct llist_node *forgets = NULL, **last_forget = &forgets;

	/* left by the last run's second look, then the first look */
	forgets = server->forgets_behind;
	while (*last_forget)
		last_forget = &(*last_forget)->next;
	forced_take(server, &last_message, &last_forget);
	server->forgets_behind = NULL;
	last_forget = &server->forgets_behind;
	forced_take(server, &last_message, &last_forget);
	forced_drain(server, messages);
	forced_drain(server, forgets);
	if (server->forgets_behind)
		mod_delayed_work(zuf_forced_wq, &server->forced_work, 0);
}

static void lazy_work(struct work_struct *work)
{
	struct zuf_server *server = container_of(to_delayed_work(work), struct zuf_server,
						 lazy_work);

	mod_delayed_work(zuf_forced_wq, &server->forced_work, 0);
}

int zuf_forced_init_server(struct zuf_server *server)
{
	int cpu;

	INIT_DELAYED_WORK(&server->forced_work, forced_work);
	INIT_DELAYED_WORK(&server->lazy_work, lazy_work);
	for_each_possible_cpu(cpu)
		init_llist_head(&per_cpu_ptr(server->cpu, cpu)->forced);
	server->forced_buf = kmalloc_array(ZUF_BATCH_MAX, sizeof(*server->forced_buf),
					   GFP_KERNEL_ACCOUNT);
	return server->forced_buf ? 0 : -ENOMEM;
}

/* No mount is left, so no message: each held one. */
void zuf_forced_exit_server(struct zuf_server *server)
{
	if (!server->forced_buf)
		return;
	cancel_delayed_work_sync(&server->lazy_work);
	cancel_delayed_work_sync(&server->forced_work);
	kfree(server->forced_buf);
}

int __init zuf_forced_init(void)
{
	zuf_forced_cache = kmem_cache_create("zuf_forced", sizeof(struct zuf_forced_msg), 0,
					     SLAB_ACCOUNT | SLAB_RECLAIM_ACCOUNT, NULL);
	if (!zuf_forced_cache)
		return -ENOMEM;
	zuf_forced_wq = alloc_workqueue("zuf_forced", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!zuf_forced_wq) {
		kmem_cache_destroy(zuf_forced_cache);
		return -ENOMEM;
	}
	return 0;
}

void zuf_forced_exit(void)
{
	destroy_workqueue(zuf_forced_wq);
	kmem_cache_destroy(zuf_forced_cache);
}
