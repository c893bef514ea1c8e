// SPDX-License-Identifier: GPL-2.0
/*
 * A mount's relay state. Its id is never used twice; servers name mounts by it
 * and the table below checks what they say. It lives as long as its superblock,
 * a request, a forced message or a mount file.
 */
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "relay.h"

static DEFINE_XARRAY(zuf_mounts);
static atomic64_t zuf_mount_ids = ATOMIC64_INIT(0);

struct zuf_mount *zuf_mount_alloc(struct zuf_type *type, struct zuf_server *server)
{
	struct zuf_mount *mount = kzalloc(sizeof(*mount), GFP_KERNEL_ACCOUNT);

	if (!mount)
		return NULL;
	mount->slots = zuf_slots_alloc();
	mount->stats = zuf_stats_alloc();
	if (!mount->slots || !mount->stats)
		goto out_free;
	kref_init(&mount->ref);
	mount->id = atomic64_inc_return(&zuf_mount_ids);
	mount->incarnation = get_random_u64();
	mount->type = type;
	mount->server = server;
	zuf_server_get(server);
	strscpy(mount->fs_type, type->name, sizeof(mount->fs_type));
	mutex_init(&mount->dev_lock);
	mutex_init(&mount->file_lock);
	INIT_LIST_HEAD(&mount->files);
	spin_lock_init(&mount->orphan_lock);
	INIT_LIST_HEAD(&mount->orphans);
	init_waitqueue_head(&mount->forced_wait);
	spin_lock_init(&mount->recall_lock);
	INIT_LIST_HEAD(&mount->recalls_done);
	xa_init_flags(&mount->mapped, XA_FLAGS_ALLOC1);
	init_waitqueue_head(&mount->recall_wait);
	zuf_epochs_init(mount);
	zuf_times_init(mount);
	zuf_inval_init(mount);
	zuf_locks_init(mount);
	return mount;

out_free:
	zuf_slots_free(mount->slots);
	free_percpu(mount->stats);
	kfree(mount);
	return NULL;
}

void zuf_mount_get(struct zuf_mount *mount)
{
	kref_get(&mount->ref);
}

static void mount_free(struct kref *ref)
{
	struct zuf_mount *mount = container_of(ref, struct zuf_mount, ref);

	zuf_recalls_free(mount);
	zuf_slots_free(mount->slots);
	free_percpu(mount->stats);
	zuf_server_put(mount->server);
	kfree(mount);
}

void zuf_mount_put(struct zuf_mount *mount)
{
	kref_put(&mount->ref, mount_free);
}

struct zuf_mount *zuf_mount_find(struct zuf_server *server, u64 id)
{
	struct zuf_mount *mount;

	xa_lock(&zuf_mounts);
	mount = xa_load(&zuf_mounts, id);
	if (mount && mount->server == server)
		zuf_mount_get(mount);
	else
		mount = NULL;
	xa_unlock(&zuf_mounts);
	return mount;
}

int zuf_mount_add(struct zuf_mount *mount)
{
	int err;

	err = xa_insert(&zuf_mounts, mount->id, mount, GFP_KERNEL);
	if (err)
		return err;
	err = zuf_sysfs_add_mount(mount);
	if (err)
		xa_erase(&zuf_mounts, mount->id);
	return err;
}

void zuf_mount_del(struct zuf_mount *mount)
{
	zuf_sysfs_del_mount(mount);
	xa_erase(&zuf_mounts, mount->id);
}

unsigned int zuf_mount_inflight(struct zuf_mount *mount)
{
	struct zuf_server *server = mount->server;
	struct zuf_channel *ch;
	unsigned int count = 0;

	mutex_lock(&server->lock);
	list_for_each_entry(ch, &server->channels, server_node) {
		int state = READ_ONCE(ch->state);

		if (READ_ONCE(ch->mount) == mount &&
		    (state == ZUF_REQ_SENT || state == ZUF_REQ_ORPHAN))
			count++;
	}
	mutex_unlock(&server->lock);
	return count;
}

bool zuf_mount_lost(const struct zuf_mount *mount)
{
	return READ_ONCE(mount->aborted) || READ_ONCE(mount->shut) ||
	       zuf_server_dead(mount->server);
}

void zuf_mounts_lost(struct zuf_server *server)
{
	struct zuf_mount *mount;
	unsigned long id;

	xa_lock(&zuf_mounts);
	xa_for_each(&zuf_mounts, id, mount)
		if (mount->server == server)
			wake_up_all(&mount->lock_wait);
	xa_unlock(&zuf_mounts);
}

/*
 * Whoever looked before goes on and ends, as if it had come a moment earlier. What is
 * mapped stays so; a page that is not faults no more.
 */
void zuf_mount_shut(struct zuf_mount *mount)
{
	WRITE_ONCE(mount->shut, true);
	wake_up_all(&mount->lock_wait);
}

void zuf_mount_abort(struct zuf_mount *mount)
{
	struct zuf_server *server = mount->server;
	struct zuf_channel *ch;

	WRITE_ONCE(mount->aborted, true);
	/* pairs with set_current_state() in the waits, and with call_send() */
	smp_mb();
	mutex_lock(&server->lock);
	rcu_read_lock();
	list_for_each_entry(ch, &server->channels, server_node) {
		struct task_struct *caller = READ_ONCE(ch->caller);

		if (caller && READ_ONCE(ch->mount) == mount)
			wake_up_process(caller);
	}
	rcu_read_unlock();
	mutex_unlock(&server->lock);
	zuf_queues_wake_all(server);
	zuf_slots_wake(mount->slots);
	wake_up_all(&mount->forced_wait);
	wake_up_all(&mount->lock_wait);
	zuf_orphans_abort(mount);
}
