// SPDX-License-Identifier: BSD-3-Clause
/*
 * recall.c - recalls of leases, begins of write epochs, invalidations: numbers them,
 * sends them by the transport, and calls back when they have ended, in one thread a
 * mount that the first begins.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "internal.h"

#define DONE_MAX	64u

struct zus_recall_entry {
	struct zus_recall_entry *next;
	uint64_t cookie;
	zus_recall_done_fn *done;
	zus_epoch_done_fn *epoch_done;	/* instead, with epoch */
	uint64_t epoch;
	void *arg;
};

void zus_recalls_init(struct zus_mount_entry *entry)
{
	pthread_mutex_init(&entry->recall_lock, NULL);
	entry->recall_stop_fd = -1;
}

/* What a mount may have by what the transport can do. */
static const struct {
	uint64_t can;		/* ZUFS_FEAT_* */
	uint64_t mount;		/* ZUS_MF_* */
} features[] = {
	{ ZUFS_FEAT_LEASES, ZUS_MF_LEASES },
	{ ZUFS_FEAT_EPOCHS, ZUS_MF_EPOCHS },
	{ ZUFS_FEAT_COW, ZUS_MF_COW },
	{ ZUFS_FEAT_XATTRS, ZUS_MF_XATTRS | ZUS_MF_ACLS },
	{ ZUFS_FEAT_READDIR_PLUS, ZUS_MF_READDIR_PLUS },
	{ ZUFS_FEAT_FILEATTR, ZUS_MF_FILEATTR },
	{ ZUFS_FEAT_NAMES, ZUS_MF_TMPFILE | ZUS_MF_WHITEOUT },
	{ ZUFS_FEAT_FALLOCATE, ZUS_MF_FALLOCATE },
	{ ZUFS_FEAT_IOCTL, ZUS_MF_IOCTL },
	{ ZUFS_FEAT_EXPORT, ZUS_MF_EXPORT },
	{ ZUFS_FEAT_FREEZE, ZUS_MF_FREEZE },
	{ ZUFS_FEAT_DURABLE_MAPS, ZUS_MF_DURABLE_MAPS },
	{ ZUFS_FEAT_COPY, ZUS_MF_COPY },
	{ ZUFS_FEAT_CREATE_OPEN, ZUS_MF_CREATE_OPEN },
	{ ZUFS_FEAT_CLONE, ZUS_MF_CLONE },
	{ ZUFS_FEAT_LOCKS, ZUS_MF_LOCKS },
	{ ZUFS_FEAT_WHOLE_WRITES, ZUS_MF_WHOLE_WRITES },
};

uint64_t zus_transport_features(struct zus_mount_entry *entry, uint64_t wanted)
{
	uint64_t has = entry->server->transport_features;
	size_t i;

	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (!(has & features[i].can))
			wanted &= ~features[i].mount;
	if (!(wanted & ZUS_MF_LEASES))
		wanted &= ~(uint64_t)ZUS_MF_EPOCHS;
	if (!(wanted & ZUS_MF_COW) || !(wanted & ZUS_MF_COPY))
		wanted &= ~(uint64_t)ZUS_MF_CLONE;
	entry->epoch = entry->epoch_queued = wanted & ZUS_MF_EPOCHS ? 1 : 0;
	return wanted;
}

static struct zus_recall_entry *take(struct zus_mount_entry *entry, uint64_t cookie)
{
	struct zus_recall_entry **link, *found;

	pthread_mutex_lock(&entry->recall_lock);
	for (link = &entry->recalls; *link && (*link)->cookie != cookie; link = &(*link)->next)
		;
	found = *link;
	if (found)
		*link = found->next;
	pthread_mutex_unlock(&entry->recall_lock);
	return found;
}

static const struct zus_transport *transport_of(const struct zus_mount_entry *entry)
{
	return entry->server->transport;
}

static void end(struct zus_mount_entry *entry, struct zus_recall_entry *ended, int err)
{
	err = err == -ENXIO ? -ESHUTDOWN : err;
	if (ended->epoch_done) {
		ended->epoch_done(ended->arg, err, ended->epoch);
		/* not sooner: what was answered meanwhile nobody writes by */
		if (err != -ESHUTDOWN)
			zus_store(&entry->epoch, ended->epoch);
	} else {
		ended->done(ended->arg, err);
	}
	free(ended);
}

static void *recall_main(void *arg)
{
	struct zus_mount_entry *entry = arg;
	struct zufs_recall_done done[DONE_MAX];
	int count, i;

	while ((count = transport_of(entry)->recall_wait(entry, done, DONE_MAX)) > 0) {
		for (i = 0; i < count; i++) {
			struct zus_recall_entry *ended = take(entry, done[i].cookie);

			if (ended)
				end(entry, ended, done[i].err);
		}
	}
	if (count < 0)
		zus_log(ZUS_LOG_ERR, "mount %llu: recalls are no more told of: %s",
			(unsigned long long)entry->pub.id, strerror(-count));
	return NULL;
}

/* Under recall_lock. */
static int start_thread(struct zus_mount_entry *entry)
{
	int err;

	if (entry->recall_closed)
		return -ESHUTDOWN;
	if (entry->recall_running)
		return 0;
	if (entry->recall_stop_fd < 0)
		entry->recall_stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (entry->recall_stop_fd < 0)
		return -errno;
	err = pthread_create(&entry->recall_thread, NULL, recall_main, entry);
	entry->recall_running = !err;
	return -err;
}

void zus_recalls_end(struct zus_mount_entry *entry)
{
	struct zus_recall_entry *left;
	uint64_t one = 1;
	bool running;

	pthread_mutex_lock(&entry->recall_lock);
	entry->recall_closed = true;
	running = entry->recall_running;
	pthread_mutex_unlock(&entry->recall_lock);
	if (running) {
		if (write(entry->recall_stop_fd, &one, sizeof(one)) < 0)
			zus_log(ZUS_LOG_ERR, "eventfd: %s", strerror(errno));
		pthread_join(entry->recall_thread, NULL);
	}
	if (entry->recall_stop_fd >= 0)
		close(entry->recall_stop_fd);
	while ((left = entry->recalls)) {
		entry->recalls = left->next;
		end(entry, left, -ESHUTDOWN);
	}
	pthread_mutex_destroy(&entry->recall_lock);
}

/* What is sent; neither: an epoch. */
struct message {
	struct zufs_recall *recall;
	struct zufs_invalidate *inval;
};

/* Under recall_lock: an end that is read at once waits for it. */
static int send(struct zus_mount_entry *entry, struct zus_recall_entry *recall,
		const struct message *message)
{
	struct zufs_epoch epoch = { .cookie = recall->cookie };
	int err;

	if (message->recall) {
		message->recall->cookie = recall->cookie;
		return transport_of(entry)->recall(entry, message->recall);
	}
	if (message->inval) {
		message->inval->cookie = recall->cookie;
		return transport_of(entry)->invalidate(entry, message->inval);
	}
	epoch.epoch = recall->epoch = entry->epoch_queued + 1;
	err = transport_of(entry)->epoch(entry, &epoch);
	if (!err)
		entry->epoch_queued++;
	return err;
}

static int queue(struct zus_mount_entry *entry, const struct message *message,
		 const struct zus_recall_entry *what)
{
	struct zus_recall_entry *recall;
	int err;

	recall = malloc(sizeof(*recall));
	if (!recall)
		return -ENOMEM;
	*recall = *what;
	pthread_mutex_lock(&entry->recall_lock);
	err = start_thread(entry);
	if (!err) {
		recall->cookie = ++entry->recall_cookie;
		recall->next = entry->recalls;
		entry->recalls = recall;
		err = send(entry, recall, message);
		if (err)
			entry->recalls = recall->next;
	}
	pthread_mutex_unlock(&entry->recall_lock);
	if (err)
		free(recall);
	return err == -ENXIO ? -ESHUTDOWN : err;
}

static int queue_recall(struct zus_mount *mount, struct zufs_recall *wire,
			zus_recall_done_fn *done, void *arg)
{
	const struct zus_recall_entry what = { .done = done, .arg = arg };
	const struct message message = { .recall = wire };

	if (!(mount->features & ZUS_MF_LEASES))
		return -EOPNOTSUPP;
	return queue(zus_mount_entry(mount), &message, &what);
}

int zus_recall(const struct zus_recall *recall, zus_recall_done_fn *done, void *arg)
{
	struct zufs_recall wire = {
		.ino = recall->ino, .gen = recall->gen, .off = recall->off,
		.len_bytes = recall->len_bytes, .flags = recall->flags,
		/* what is asked for from now on is newer */
		.seq = __atomic_add_fetch(&recall->inode->lease_seq, 1, __ATOMIC_SEQ_CST),
	};

	return queue_recall(recall->inode->mount, &wire, done, arg);
}

int zus_recall_all(struct zus_mount *mount, uint32_t flags, zus_recall_done_fn *done,
		   void *arg)
{
	struct zufs_recall wire = { .flags = flags };

	return queue_recall(mount, &wire, done, arg);
}

int zus_epoch(struct zus_mount *mount, zus_epoch_done_fn *done, void *arg)
{
	const struct zus_recall_entry what = { .epoch_done = done, .arg = arg };
	const struct message message = {};

	if (!(mount->features & ZUS_MF_EPOCHS))
		return -EOPNOTSUPP;
	return queue(zus_mount_entry(mount), &message, &what);
}

static bool inval_ok(const struct zus_invalidate *what)
{
	bool named = what->flags & ZUS_INVAL_NAME;

	if (what->event >= ZUS_EVENT_CREATE && what->event <= ZUS_EVENT_MOVED_TO && !named)
		return false;
	return named ? what->name.bytes && what->name.bytes <= ZUFS_NAME_MAX : !what->name.bytes;
}

int zus_invalidate(struct zus_mount *mount, const struct zus_invalidate *what,
		   zus_invalidate_done_fn *done, void *arg)
{
	const struct zus_recall_entry entry = { .done = done, .arg = arg };
	struct zus_mount_entry *me = zus_mount_entry(mount);
	struct zufs_invalidate wire = {
		.ino = what->ino, .gen = what->gen, .child_ino = what->child_ino,
		.child_gen = what->child_gen, .flags = what->flags, .event = what->event,
		.event_cookie = what->event_cookie, .name_bytes = what->name.bytes,
	};
	const struct message message = { .inval = &wire };
	int err;

	if (!inval_ok(what))
		return -EINVAL;
	if (!(me->server->transport_features & ZUFS_FEAT_INVALIDATE))
		return -EOPNOTSUPP;
	if (!transport_of(me)->invalidate) {
		if (done)
			done(arg, 0);
		return 0;
	}
	if (what->name.bytes)
		memcpy(wire.name, what->name.str, what->name.bytes);
	if (done)
		return queue(me, &message, &entry);
	err = transport_of(me)->invalidate(me, &wire);
	return err == -ENXIO ? -ESHUTDOWN : err;
}

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool done;
	int err;
};

static void waiter_done(void *arg, int err)
{
	struct waiter *waiter = arg;

	pthread_mutex_lock(&waiter->lock);
	waiter->done = true;
	waiter->err = err;
	pthread_cond_signal(&waiter->ended);
	pthread_mutex_unlock(&waiter->lock);
}

int zus_recall_wait(const struct zus_recall *recall)
{
	struct waiter waiter = {
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0,
	};
	int err = zus_recall(recall, waiter_done, &waiter);

	if (err)
		return err;
	pthread_mutex_lock(&waiter.lock);
	while (!waiter.done)
		pthread_cond_wait(&waiter.ended, &waiter.lock);
	pthread_mutex_unlock(&waiter.lock);
	return waiter.err;
}
