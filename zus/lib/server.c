// SPDX-License-Identifier: BSD-3-Clause
/*
 * server.c - a server of one plugin: its workers, its mounts, and the hazard
 * pointers that let an operation use a mount without a shared counter.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* ------------------------------------------------------------------- tables */

/* Takes what the plugin was built with; what it did not know stays NULL. */
static void copy_table(void *dst, size_t dst_bytes, const void *src, size_t src_bytes)
{
	memset(dst, 0, dst_bytes);
	if (src)
		memcpy(dst, src, src_bytes < dst_bytes ? src_bytes : dst_bytes);
}

static void take_plugin(struct zus_server *server, const struct zus_plugin *plugin)
{
	copy_table(&server->plugin, sizeof(server->plugin), plugin,
		   plugin->plugin_bytes);
	copy_table(&server->mount_ops, sizeof(server->mount_ops), plugin->mount_ops,
		   plugin->mount_ops_bytes);
	copy_table(&server->inode_ops, sizeof(server->inode_ops), plugin->inode_ops,
		   plugin->inode_ops_bytes);
	copy_table(&server->file_ops, sizeof(server->file_ops), plugin->file_ops,
		   plugin->file_ops_bytes);
	server->plugin.mount_ops = &server->mount_ops;
	server->plugin.inode_ops = &server->inode_ops;
	server->plugin.file_ops = &server->file_ops;
}

/* ------------------------------------------------------------------ workers */

struct zus_worker *zus_worker_new(struct zus_server *server, uint32_t cpu,
				  uint32_t numa_node)
{
	struct zus_worker *worker = zus_alloc_onnode(sizeof(*worker), numa_node);

	if (!worker)
		return NULL;
	worker->server = server;
	worker->cpu = cpu;
	worker->numa_node = numa_node;
	pthread_mutex_lock(&server->lock);
	worker->stats = zus_stats_worker(server, cpu);
	worker->next = server->workers;
	server->workers = worker;
	pthread_mutex_unlock(&server->lock);
	return worker;
}

void zus_worker_free(struct zus_worker *worker)
{
	struct zus_server *server = worker->server;
	struct zus_worker **link;

	pthread_mutex_lock(&server->lock);
	for (link = &server->workers; *link != worker; link = &(*link)->next)
		;
	*link = worker->next;
	pthread_mutex_unlock(&server->lock);
	zus_free_onnode(worker, sizeof(*worker));
}

/* ------------------------------------------------------------------- mounts */

/*
 * The store of mount_in_use and the second load of the slot are ordered against
 * zus_mount_remove(), which clears the slot and then looks at mount_in_use: at
 * least one of the two sees the other.
 */
struct zus_mount_entry *zus_mount_hold(struct zus_worker *worker, uint64_t id)
{
	struct zus_server *server = worker->server;
	uint32_t used = zus_load(&server->mounts_used);
	uint32_t i;

	for (i = 0; i < used; i++) {
		struct zus_mount_entry *entry = zus_load(&server->mounts[i]);

		if (!entry)
			continue;
		__atomic_store_n(&worker->mount_in_use, entry, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&server->mounts[i], __ATOMIC_SEQ_CST) == entry &&
		    entry->pub.id == id)
			return entry;
	}
	zus_mount_drop(worker);
	return NULL;
}

void zus_mount_drop(struct zus_worker *worker)
{
	struct zus_server *server = worker->server;

	/* Ordered as above: either umount sees NULL or we see that it waits. */
	__atomic_store_n(&worker->mount_in_use, NULL, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&server->umount_waiters, __ATOMIC_SEQ_CST))
		return;
	pthread_mutex_lock(&server->lock);
	pthread_cond_broadcast(&server->unused);
	pthread_mutex_unlock(&server->lock);
}

int zus_mount_add(struct zus_server *server, struct zus_mount_entry *entry)
{
	uint32_t i, free_slot = ZUS_MOUNTS_MAX;
	int err = 0;

	pthread_mutex_lock(&server->lock);
	for (i = 0; i < ZUS_MOUNTS_MAX; i++) {
		if (!server->mounts[i] && free_slot == ZUS_MOUNTS_MAX)
			free_slot = i;
		if (server->mounts[i] && server->mounts[i]->pub.id == entry->pub.id)
			err = -EEXIST;
	}
	if (!err && free_slot == ZUS_MOUNTS_MAX)
		err = -ENFILE;
	if (!err) {
		__atomic_store_n(&server->mounts[free_slot], entry, __ATOMIC_SEQ_CST);
		if (free_slot >= server->mounts_used)
			zus_store(&server->mounts_used, free_slot + 1);
	}
	pthread_mutex_unlock(&server->lock);
	return err;
}

static bool in_use(const struct zus_server *server, const struct zus_mount_entry *entry)
{
	const struct zus_worker *worker;

	for (worker = server->workers; worker; worker = worker->next)
		if (__atomic_load_n(&worker->mount_in_use, __ATOMIC_SEQ_CST) == entry)
			return true;
	return false;
}

int zus_mount_remove(struct zus_worker *worker, struct zus_mount_entry *entry)
{
	struct zus_server *server = worker->server;
	uint32_t i;

	pthread_mutex_lock(&server->lock);
	for (i = 0; i < ZUS_MOUNTS_MAX && server->mounts[i] != entry; i++)
		;
	if (i == ZUS_MOUNTS_MAX) {
		pthread_mutex_unlock(&server->lock);
		return -ENOENT;
	}
	__atomic_store_n(&server->mounts[i], NULL, __ATOMIC_SEQ_CST);
	__atomic_store_n(&worker->mount_in_use, NULL, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&server->umount_waiters, 1, __ATOMIC_SEQ_CST);
	while (in_use(server, entry))
		pthread_cond_wait(&server->unused, &server->lock);
	__atomic_sub_fetch(&server->umount_waiters, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&server->lock);
	return 0;
}

void zus_mount_end(struct zus_server *server, struct zus_mount_entry *entry)
{
	uint64_t left;

	zus_recalls_end(entry);
	zus_inode_table_forget_all(entry->pub.inodes);
	server->mount_ops.umount(&entry->pub);
	left = zus_inode_table_count(entry->pub.inodes);
	if (left)
		zus_log(ZUS_LOG_WARN, "%s: umount left %llu inodes behind (memory lost)",
			server->plugin.name, (unsigned long long)left);
	server->transport->unmap_devices(server, entry);
	zus_inode_table_free(entry->pub.inodes);
	free(entry);
}

/* After the last worker: ends what the kernel did not unmount. */
static void end_all_mounts(struct zus_server *server)
{
	uint32_t i;

	for (i = 0; i < ZUS_MOUNTS_MAX; i++) {
		struct zus_mount_entry *entry = server->mounts[i];

		if (!entry)
			continue;
		server->mounts[i] = NULL;
		zus_mount_end(server, entry);
	}
}

uint32_t zus_server_mounts(struct zus_server *server, uint64_t *ids, uint32_t max)
{
	uint32_t i, count = 0;

	pthread_mutex_lock(&server->lock);
	for (i = 0; i < ZUS_MOUNTS_MAX; i++) {
		if (!server->mounts[i])
			continue;
		if (count < max)
			ids[count] = server->mounts[i]->pub.id;
		count++;
	}
	pthread_mutex_unlock(&server->lock);
	return count;
}

/* ------------------------------------------------------------------- server */

int zus_server_new(const struct zus_plugin *plugin,
		   const struct zus_server_config *config,
		   const struct zus_transport *transport, struct zus_server **made)
{
	struct zus_server *server;
	char message[256];
	int err;

	err = zus_plugin_check(plugin, message, sizeof(message));
	if (err) {
		zus_log(ZUS_LOG_ERR, "%s", message);
		return err;
	}
	server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	take_plugin(server, plugin);
	server->config = *config;
	if (!server->config.channels_per_cpu)
		server->config.channels_per_cpu = 2;
	if (!server->config.device_path)
		server->config.device_path = "/dev/zuf";
	if (!server->config.run_dir)
		server->config.run_dir = "/run/zufs";
	server->transport = transport;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->unused, NULL);
	err = transport->open(server);
	if (err)
		goto out_free;
	err = zus_stats_open(server);
	if (err)
		goto out_close;
	*made = server;
	return 0;

out_close:
	transport->close(server);
out_free:
	pthread_cond_destroy(&server->unused);
	pthread_mutex_destroy(&server->lock);
	free(server);
	return err;
}

int zus_server_open(const struct zus_plugin *plugin,
		    const struct zus_server_config *config, struct zus_server **server)
{
	if (config->channels_per_cpu > ZUFS_CHANNELS_PER_CPU_MAX)
		return -EINVAL;
	return zus_server_new(plugin, config, &zus_transport_kernel, server);
}

int zus_server_run(struct zus_server *server, void (*ready)(void *arg), void *arg)
{
	int err = server->transport->run(server, ready, arg);

	end_all_mounts(server);
	return err;
}

void zus_server_stop(struct zus_server *server)
{
	server->transport->stop(server);
}

void zus_server_close(struct zus_server *server)
{
	if (!server)
		return;
	end_all_mounts(server);
	server->transport->close(server);
	zus_stats_close(server);
	pthread_cond_destroy(&server->unused);
	pthread_mutex_destroy(&server->lock);
	free(server);
}
