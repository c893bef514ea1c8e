// SPDX-License-Identifier: BSD-3-Clause
/*
 * local.c - the local transport: requests are made in this process and served by
 * the thread that makes them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "local.h"

static __thread const char *broken_rule = "";
static __thread struct zus_local_caller *thread_caller;

void zus_local_as(struct zus_local_caller *caller)
{
	thread_caller = caller;
}

const char *zus_local_broken_rule(void)
{
	return broken_rule;
}

/* ---------------------------------------------------------------- transport */

static int local_open(struct zus_server *server)
{
	(void)server;
	return 0;
}

static void local_close(struct zus_server *server)
{
	(void)server;
}

static int local_map_devices(struct zus_server *server, struct zus_mount_entry *entry)
{
	const struct zus_local *local = server->transport_priv;
	uint32_t i;

	for (i = 0; i < entry->pub.num_devices; i++)
		entry->devices[i].addr = local->devices[i].addr;
	return 0;
}

static void local_unmap_devices(struct zus_server *server, struct zus_mount_entry *entry)
{
	(void)server;
	(void)entry;
}

static int local_run(struct zus_server *server, void (*ready)(void *arg), void *arg)
{
	(void)server;
	if (ready)
		ready(arg);
	return 0;
}

static void local_stop(struct zus_server *server)
{
	(void)server;
}

#define LOCAL_TRANSPORT \
	.name = "local", \
	.open = local_open, \
	.map_devices = local_map_devices, \
	.unmap_devices = local_unmap_devices, \
	.run = local_run, \
	.stop = local_stop, \
	.close = local_close

const struct zus_transport zus_transport_local = { LOCAL_TRANSPORT };

/* For who keeps what he was answered, and wants to be told. */
static const struct zus_transport transport_told = {
	LOCAL_TRANSPORT,
	.invalidate = local_invalidate,
	.recall_wait = local_inval_wait,
};

/* ----------------------------------------------------------------- channels */

static void channel_free(struct local_channel *ch)
{
	if (ch->worker)
		zus_worker_free(ch->worker);
	free(ch->request);
	free(ch->reply);
	free(ch);
}

static struct local_channel *channel_get(struct zus_local *local)
{
	struct local_channel *ch;

	pthread_mutex_lock(&local->lock);
	ch = local->idle;
	if (ch)
		local->idle = ch->next;
	pthread_mutex_unlock(&local->lock);
	if (ch)
		return ch;
	ch = calloc(1, sizeof(*ch));
	if (!ch)
		return NULL;
	ch->request = aligned_alloc(ZUFS_BLOCK_BYTES, ZUFS_REGION_BYTES);
	ch->reply = aligned_alloc(ZUFS_BLOCK_BYTES, ZUFS_REGION_BYTES);
	ch->worker = ch->request && ch->reply ? zus_worker_new(local->server, 0, 0) : NULL;
	if (!ch->worker) {
		channel_free(ch);
		return NULL;
	}
	ch->worker->request_region = ch->request;
	ch->worker->reply_region = ch->reply;
	pthread_mutex_lock(&local->lock);
	ch->op_slot = local->num_channels++;
	pthread_mutex_unlock(&local->lock);
	return ch;
}

static void channel_put(struct zus_local *local, struct local_channel *ch)
{
	pthread_mutex_lock(&local->lock);
	ch->next = local->idle;
	local->idle = ch;
	pthread_mutex_unlock(&local->lock);
}

/* None is in use. */
static void channels_free(struct zus_local *local)
{
	struct local_channel *ch;

	while ((ch = local->idle)) {
		local->idle = ch->next;
		channel_free(ch);
	}
	local->num_channels = 0;
}

/* -------------------------------------------------------------------- calls */

/* As the kernel has them, with the MAPs of writes, as a commit word may make one a change. */
static bool may_change(const struct zus_local_call *call)
{
	switch (call->op) {
	case ZUFS_OP_MAP:
		return call->in && ((const struct zufs_map_in *)call->in)->flags & ZUFS_MAP_WRITE;
	case ZUFS_OP_SETATTR:
	case ZUFS_OP_CREATE:
	case ZUFS_OP_CREATE_OPEN:
	case ZUFS_OP_MKDIR:
	case ZUFS_OP_MKNOD:
	case ZUFS_OP_SYMLINK:
	case ZUFS_OP_LINK:
	case ZUFS_OP_UNLINK:
	case ZUFS_OP_RMDIR:
	case ZUFS_OP_RENAME:
	case ZUFS_OP_MAP_DONE:
	case ZUFS_OP_WRITE:
	case ZUFS_OP_FALLOCATE:
	case ZUFS_OP_COPY:
	case ZUFS_OP_LOCK:
	case ZUFS_OP_TMPFILE:
	case ZUFS_OP_SETXATTR:
		return true;
	default:
		return false;
	}
}

/* A channel has one request at a time, so its number is a slot's. */
static void give_op_id(struct local_channel *ch, struct zus_local_call *call)
{
	struct zufs_req_hdr *req = ch->request;

	req->op_slot = call->op_slot = ZUFS_NO_SLOT;
	call->op_seq = 0;
	if (ch->op_slot >= LOCAL_SLOTS || !may_change(call))
		return;
	req->op_slot = call->op_slot = ch->op_slot;
	req->op_seq = call->op_seq = ++ch->op_seq;
}

static __thread struct zus_local_op last_op = { .slot = ZUS_NO_SLOT };

void local_op_done(uint32_t slot, uint64_t seq)
{
	if (slot != ZUS_NO_SLOT)
		last_op = (struct zus_local_op) { seq, slot };
}

struct zus_local_op zus_local_last_op(void)
{
	return last_op;
}

void zus_local_new_slots(struct zus_local *local)
{
	channels_free(local);
	last_op.slot = ZUS_NO_SLOT;
}

/* A map changes something by its word alone; a part of a write changes nothing yet. */
static void note_op(const struct zus_local_call *call)
{
	const struct zufs_map_done_in *done = call->in;

	if (call->op == ZUFS_OP_MAP ||
	    (call->op == ZUFS_OP_MAP_DONE && (!done || done->flags & ZUFS_MAP_MORE)))
		return;
	local_op_done(call->op_slot, call->op_seq);
}

/* Bytes behind what is sent are garbage, as another request may have left it. */
static void encode(struct zus_local *local, struct local_channel *ch,
		   struct zus_local_call *call)
{
	struct zufs_req_hdr *req = ch->request;

	memset(req, 0, sizeof(*req));
	memset((char *)req + ZUFS_FIXED_OFF, 0xa5, 1024);
	call->id = __atomic_add_fetch(&local->next_id, 1, __ATOMIC_RELAXED);
	req->fixed_bytes = call->in_bytes;
	req->op = call->op;
	req->flags = call->flags;
	req->id = call->id;
	req->mount = call->mount ? call->mount : LOCAL_MOUNT_ID;
	give_op_id(ch, call);
	req->payload_bytes = call->payload_bytes;
	req->reply_max_bytes = call->reply_max_bytes;
	req->uid = local->uid;
	req->gid = local->gid;
	req->pid = local->pid;
	if (thread_caller) {
		req->uid = thread_caller->uid;
		req->gid = thread_caller->gid;
		req->pid = thread_caller->pid;
		req->flags |= thread_caller->req_flags;
	}
	if (call->in)
		memcpy((char *)req + ZUFS_FIXED_OFF, call->in, call->in_bytes);
	if (call->payload)
		memcpy((char *)req + ZUFS_PAYLOAD_OFF, call->payload, call->payload_bytes);
	memset(ch->reply, 0x5a, ZUFS_FIXED_OFF + 1024);
}

bool local_caller_killed(void)
{
	return thread_caller && zus_load(&thread_caller->killed);
}

/* From here on, or up to here, an interrupt of the caller is the request's. */
static void caller_is_at(struct zus_local *local, struct local_channel *ch)
{
	struct zus_local_caller *caller = thread_caller;

	if (!caller)
		return;
	pthread_mutex_lock(&local->lock);
	caller->channel = ch;
	if (ch && caller->interrupted)
		zus_store(&ch->request->interrupted, 1);
	pthread_mutex_unlock(&local->lock);
}

static int decode(struct local_channel *ch, struct zus_local_call *call)
{
	const struct zufs_reply_hdr *reply = ch->reply;
	uint32_t bytes = reply->fixed_bytes;

	if (reply->err)
		return reply->err;
	if (reply->flags & ZUFS_REPLY_BUSY_RETRY)
		return ZUS_BUSY_RETRY;
	if (call->out) {
		memset(call->out, 0, call->out_bytes);
		memcpy(call->out, (const char *)reply + ZUFS_FIXED_OFF,
		       bytes < call->out_bytes ? bytes : call->out_bytes);
	}
	call->reply_bytes = reply->payload_bytes;
	if (call->reply)
		memcpy(call->reply, (const char *)reply + ZUFS_PAYLOAD_OFF,
		       reply->payload_bytes);
	return 0;
}

static int do_call(struct zus_local *local, struct zus_local_call *call, bool check)
{
	struct local_channel *ch;
	int ret;

	broken_rule = "";
	if (call->in_bytes > ZUFS_PAYLOAD_OFF - ZUFS_FIXED_OFF && call->in)
		return -EINVAL;
	if (call->payload_bytes > ZUFS_PAYLOAD_MAX_BYTES && call->payload)
		return -EINVAL;
	ch = channel_get(local);
	if (!ch)
		return -ENOMEM;
	encode(local, ch, call);
	caller_is_at(local, ch);
	zus_dispatch(ch->worker);
	caller_is_at(local, NULL);
	if (check) {
		const char *rule = local_check_reply(local, ch->request, ch->reply);

		broken_rule = rule ? rule : "";
	}
	ret = *broken_rule ? -EIO : decode(ch, call);
	if (!ret)
		note_op(call);
	channel_put(local, ch);
	return ret;
}

int zus_local_call(struct zus_local *local, struct zus_local_call *call)
{
	return do_call(local, call, true);
}

int zus_local_call_unchecked(struct zus_local *local, struct zus_local_call *call)
{
	return do_call(local, call, false);
}

void zus_local_raw(struct zus_local *local, const void *request, void *reply)
{
	struct local_channel *ch = channel_get(local);

	if (!ch)
		return;
	memcpy(ch->request, request, ZUFS_REGION_BYTES);
	zus_dispatch(ch->worker);
	memcpy(reply, ch->reply, ZUFS_REGION_BYTES);
	channel_put(local, ch);
}

int zus_local_op_seen(struct zus_local *local, const struct zus_local_op *op, uint64_t *ino)
{
	uint32_t i;

	for (i = 0; i < ZUS_MOUNTS_MAX; i++)
		if (local->server->mounts[i])
			return zus_op_seen(&local->server->mounts[i]->pub, op->slot, op->seq, ino);
	return -EINVAL;
}

int local_force(struct zus_local *local, struct zufs_forced *msg)
{
	struct zufs_batch_in in = { .count = 1 };
	struct zus_local_call call = {
		.op = ZUFS_OP_BATCH,
		.in = &in,
		.in_bytes = sizeof(in),
		.payload = msg,
		.payload_bytes = sizeof(*msg),
	};

	msg->mount = LOCAL_MOUNT_ID;
	msg->op_slot = ZUFS_NO_SLOT;
	return zus_local_call(local, &call);
}

int zus_local_forget(struct zus_local *local, uint64_t handle, uint64_t count)
{
	struct zufs_forced msg = { .inode = handle, .arg = count, .op = ZUFS_OP_FORGET };

	local_words_tell_of(local, handle);
	return local_force(local, &msg);
}

void zus_local_interrupt(struct zus_local *local, struct zus_local_caller *caller, int killed)
{
	struct zufs_forced msg = { .op = ZUFS_OP_INTERRUPT };
	struct local_channel *ch;

	pthread_mutex_lock(&local->lock);
	zus_store(&caller->interrupted, 1);
	if (killed)
		zus_store(&caller->killed, 1);
	ch = caller->channel;
	if (ch) {
		zus_store(&ch->request->interrupted, 1);
		msg.arg = ch->request->id;
	}
	pthread_mutex_unlock(&local->lock);
	if (ch)
		local_force(local, &msg);
}

/* -------------------------------------------------------------------- mount */

static const uint8_t no_uuid[16];

static int map_device(struct zus_device *dev, const struct zus_local_device *from)
{
	int flags = MAP_SHARED | (from->path ? 0 : MAP_ANONYMOUS);
	int fd = -1;

	if (from->path) {
		fd = open(from->path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -errno;
	}
	dev->addr = mmap(NULL, dev->size_bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (fd >= 0)
		close(fd);
	if (dev->addr == MAP_FAILED) {
		dev->addr = NULL;
		return -errno;
	}
	return 0;
}

static int open_device(struct zus_local *local, const struct zus_local_device *from, uint32_t id)
{
	struct zus_device *dev = &local->devices[id];
	int err;

	dev->id = id;
	dev->size_bytes = from->size_bytes;
	dev->data_off = from->data_off ? from->data_off : ZUS_PMD_BYTES;
	dev->tier = from->tier ? from->tier : ZUS_TIER_T1;
	dev->numa_node = from->numa_node;
	dev->flags = from->flags & ZUS_LOCAL_PAGE_CACHE ? 0 : ZUS_DEVF_SYNCHRONOUS;
	memcpy(dev->uuid, from->uuid, sizeof(dev->uuid));
	if (!memcmp(dev->uuid, no_uuid, sizeof(no_uuid)))
		dev->uuid[0] = (uint8_t)(id + 1);
	if (!dev->size_bytes || dev->size_bytes % ZUS_BLOCK_BYTES)
		return -EINVAL;
	if (dev->tier != ZUS_TIER_T1)
		return 0;
	if (from->memory) {
		dev->addr = from->memory;
		return 0;
	}
	err = map_device(dev, from);
	local->mapped[id] = !err;
	return err;
}

static void free_local(struct zus_local *local)
{
	uint32_t i;

	channels_free(local);
	zus_server_close(local->server);
	local_inval_free(local);
	for (i = 0; i < local->num_devices; i++)
		if (local->mapped[i])
			munmap(local->devices[i].addr, local->devices[i].size_bytes);
	for (i = 0; i < LOCAL_LOCKS; i++)
		pthread_rwlock_destroy(&local->inode_lock[i]);
	pthread_mutex_destroy(&local->late_lock);
	pthread_mutex_destroy(&local->lock);
	free((char *)local->config.options);
	free(local);
}

static int keep_config(struct zus_local *local, const struct zus_local_config *config)
{
	local->config = (struct zus_local_config) {
		.options = strdup(config->options ? config->options : ""),
		.flags = config->flags,
		.incarnation = config->incarnation,
		.words_late = config->words_late < ZUS_LOCAL_WORDS_MAX ? config->words_late :
									 ZUS_LOCAL_WORDS_MAX,
	};
	memcpy(local->config.fs_uuid, config->fs_uuid, sizeof(config->fs_uuid));
	return local->config.options ? 0 : -ENOMEM;
}

static int send_mount(struct zus_local *local)
{
	const struct zus_local_config *config = &local->config;
	const char *options = config->options;
	struct zufs_mount_in in = {
		.incarnation = config->incarnation ? config->incarnation : 1,
		.num_devices = local->num_devices,
		.options_bytes = (uint32_t)strlen(options) + 1,
		.flags = config->flags,
		.num_slots = LOCAL_SLOTS,
	};
	struct zus_local_call call = {
		.op = ZUFS_OP_MOUNT,
		.in = &in,
		.in_bytes = sizeof(in),
		.out = &local->mounted,
		.out_bytes = sizeof(local->mounted),
	};
	size_t bytes = local->num_devices * sizeof(struct zufs_device) + in.options_bytes;
	struct zufs_device *devices = calloc(1, bytes);
	uint32_t i;
	int err;

	if (!devices)
		return -ENOMEM;
	for (i = 0; i < local->num_devices; i++) {
		const struct zus_device *dev = &local->devices[i];

		memcpy(devices[i].uuid, dev->uuid, sizeof(dev->uuid));
		devices[i].size_bytes = dev->size_bytes;
		devices[i].data_off = dev->data_off;
		devices[i].id = dev->id;
		devices[i].tier = dev->tier;
		devices[i].numa_node = dev->numa_node;
		devices[i].flags = dev->flags;
	}
	memcpy(devices + i, options, in.options_bytes);
	memcpy(in.fs_uuid, config->fs_uuid, sizeof(in.fs_uuid));
	call.payload = devices;
	call.payload_bytes = (uint32_t)bytes;
	err = bytes > ZUFS_PAYLOAD_MAX_BYTES ? -E2BIG : zus_local_call(local, &call);
	if (err && *zus_local_broken_rule()) {	/* the server has it all the same */
		zus_local_call(local, &(struct zus_local_call) { .op = ZUFS_OP_UMOUNT });
		err = -EIO;
	}
	free(devices);
	local->root = local->mounted.root.handle;
	local->is_mounted = !err;
	return err;
}

int zus_local_mount(const struct zus_local_config *config, struct zus_local **made)
{
	struct zus_server_config server_config = {
		.run_dir = config->run_dir,
		.flags = config->run_dir ? 0 : ZUS_SERVER_NO_STATS_FILE,
	};
	struct zus_local *local = calloc(1, sizeof(*local));
	uint32_t i;
	int err;

	if (!local)
		return -ENOMEM;
	local->uid = getuid();
	local->gid = getgid();
	local->pid = (uint32_t)getpid();
	pthread_mutex_init(&local->lock, NULL);
	pthread_mutex_init(&local->late_lock, NULL);
	for (i = 0; i < LOCAL_LOCKS; i++)
		pthread_rwlock_init(&local->inode_lock[i], NULL);
	local->config_inval = config->invalidate;
	local->config_arg = config->arg;
	local->ended_fd = -1;
	err = config->invalidate ? local_inval_init(local) : 0;
	if (!err)
		err = zus_server_new(config->plugin, &server_config,
				     config->invalidate ? &transport_told : &zus_transport_local,
				     &local->server);
	if (err)
		goto out_free;
	local->server->transport_priv = local;
	local->server->transport_features = ZUFS_FEAT_COW | ZUFS_FEAT_XATTRS |
					    ZUFS_FEAT_READDIR_PLUS | ZUFS_FEAT_FILEATTR |
					    ZUFS_FEAT_NAMES | ZUFS_FEAT_FALLOCATE |
					    ZUFS_FEAT_IOCTL | ZUFS_FEAT_EXPORT |
					    ZUFS_FEAT_INVALIDATE | ZUFS_FEAT_FREEZE |
					    ZUFS_FEAT_DURABLE_MAPS | ZUFS_FEAT_COPY |
					    ZUFS_FEAT_CREATE_OPEN | ZUFS_FEAT_CLONE |
					    ZUFS_FEAT_LOCKS | ZUFS_FEAT_WHOLE_WRITES;
	err = config->num_devices > ZUFS_DEVICES_MAX ? -EINVAL : 0;
	for (i = 0; !err && i < config->num_devices; i++) {
		err = open_device(local, &config->devices[i], i);
		local->num_devices = i + 1;
	}
	if (!err)
		err = keep_config(local, config);
	if (!err)
		err = send_mount(local);
	if (err)
		goto out_free;
	*made = local;
	return 0;

out_free:
	free_local(local);
	return err;
}

int zus_local_end(struct zus_local *local)
{
	struct zus_local_call call = { .op = ZUFS_OP_UMOUNT };

	if (!local->is_mounted)
		return 0;
	local_words_tell(local);
	local->is_mounted = false;
	return zus_local_call(local, &call);
}

int zus_local_umount(struct zus_local *local)
{
	int err = zus_local_end(local);

	free_local(local);
	return err;
}

int zus_local_mount_again(struct zus_local *local)
{
	return local->is_mounted ? -EBUSY : send_mount(local);
}

uint64_t zus_local_inodes(struct zus_local *local)
{
	uint64_t count = 0;
	uint32_t i;

	pthread_mutex_lock(&local->server->lock);
	for (i = 0; i < ZUS_MOUNTS_MAX; i++)
		if (local->server->mounts[i])
			count += zus_inode_table_count(local->server->mounts[i]->pub.inodes);
	pthread_mutex_unlock(&local->server->lock);
	return count;
}

void *zus_local_dev_addr(struct zus_local *local, uint32_t dev, uint64_t off)
{
	if (dev >= local->num_devices || !local->devices[dev].addr ||
	    off >= local->devices[dev].size_bytes)
		return NULL;
	return (char *)local->devices[dev].addr + off;
}
