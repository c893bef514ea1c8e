// SPDX-License-Identifier: BSD-3-Clause
/*
 * inval.c - tells the kernel what the plugin changed by itself. The kernel takes locks for
 * it that callers hold while they wait for an answer, so no thread that serves requests may
 * tell it: there is a queue, and a thread.
 *
 * A request whose effect on attributes the kernel does not know of is answered when they are
 * forgotten. That takes no lock, but must not wait in a queue behind what does: so there is
 * a queue, and a thread, for each of the two.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

#define QUEUE_MAX	65536u

struct entry {
	struct entry *next;
	fuse_ino_t id;			/* 0: by ino and gen */
	uint64_t ino;
	uint64_t gen;
	uint64_t token;
	fuse_req_t req;			/* an ioctl to be answered, or NULL */
	uint32_t flags;			/* ZUS_INVAL_* */
	uint32_t name_bytes;
	char name[];
};

struct zf_inval {
	struct zus_fuse *fuse;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t more;
	struct entry *first, **last;
	uint32_t queued;
	bool closed;
};

/* ---------------------------------------------------------------------- queue */

static int put(struct zf_inval *inval, struct entry *entry)
{
	int err = 0;

	pthread_mutex_lock(&inval->lock);
	if (inval->closed)
		err = -ENXIO;
	else if (inval->queued == QUEUE_MAX)
		err = -EBUSY;
	if (!err) {
		entry->next = NULL;
		*inval->last = entry;
		inval->last = &entry->next;
		inval->queued++;
		pthread_cond_signal(&inval->more);
	}
	pthread_mutex_unlock(&inval->lock);
	return err;
}

/* NULL: closed. */
static struct entry *get(struct zf_inval *inval)
{
	struct entry *entry = NULL;

	pthread_mutex_lock(&inval->lock);
	while (!inval->first && !inval->closed)
		pthread_cond_wait(&inval->more, &inval->lock);
	if (!inval->closed) {
		entry = inval->first;
		inval->first = entry->next;
		inval->queued--;
		if (!inval->first)
			inval->last = &inval->first;
	}
	pthread_mutex_unlock(&inval->lock);
	return entry;
}

int zf_invalidate(void *arg, const struct zus_local_inval *told)
{
	const struct zus_invalidate *what = &told->what;
	struct zus_fuse *fuse = arg;
	struct entry *entry;
	int err;

	if (what->flags & ZUS_INVAL_LOCKS && fuse->locks)
		zf_locks_wake(fuse->locks, zf_node_find(fuse, what->ino, what->gen));
	entry = calloc(1, sizeof(*entry) + what->name.bytes + 1);
	if (!entry)
		return -ENOMEM;
	*entry = (struct entry) {
		.ino = what->ino, .gen = what->gen, .token = told->token, .flags = what->flags,
		.name_bytes = what->name.bytes,
	};
	if (what->name.bytes)
		memcpy(entry->name, what->name.str, what->name.bytes);
	err = put(fuse->inval, entry);
	if (err)
		free(entry);
	return err;
}

void zf_done_ioctl_attr(struct zf_call *call, fuse_ino_t id)
{
	struct entry *entry = calloc(1, sizeof(*entry) + 1);

	zf_end(call);
	if (entry) {
		entry->id = id;
		entry->req = call->req;
	}
	if (!entry || put(call->fuse->inval_attr, entry)) {
		zus_log(ZUS_LOG_WARN, "attributes of node %llu may be shown as they were",
			(unsigned long long)id);
		free(entry);
		fuse_reply_ioctl(call->req, 0, NULL, 0);
	}
}

/* --------------------------------------------------------------------- thread */

static void tell_name(struct zus_fuse *fuse, fuse_ino_t parent, const char *name)
{
	fuse_lowlevel_notify_inval_entry(fuse->session, parent, name, strlen(name));
}

/*
 * What the kernel does not know is no error. With the attributes the bytes go, as a plugin
 * has nothing else to say by that they changed.
 */
static void tell(struct zus_fuse *fuse, const struct entry *entry)
{
	fuse_ino_t id = entry->id ? entry->id : zf_node_find(fuse, entry->ino, entry->gen);

	if (!id)
		return;
	if (entry->flags & ZUS_INVAL_NAME) {
		zf_node_unnamed(fuse, id, entry->name);
		tell_name(fuse, id, entry->name);
	}
	if (entry->id)
		fuse_lowlevel_notify_inval_inode(fuse->session, id, -1, 0);
	else if (entry->flags & (ZUS_INVAL_ATTR | ZUS_INVAL_INODE))
		fuse_lowlevel_notify_inval_inode(fuse->session, id, 0, 0);
	if (entry->flags & ZUS_INVAL_INODE)
		zf_node_names(fuse, id, tell_name);
}

static void finish(struct zus_fuse *fuse, struct entry *entry)
{
	if (entry->token)
		zus_local_invalidated(fuse->local, entry->token);
	if (entry->req)
		fuse_reply_ioctl(entry->req, 0, NULL, 0);
	free(entry);
}

static void *inval_main(void *arg)
{
	struct zf_inval *inval = arg;
	struct entry *entry;

	while ((entry = get(inval))) {
		tell(inval->fuse, entry);
		finish(inval->fuse, entry);
	}
	return NULL;
}

/* ------------------------------------------------------------ beginning, end */

struct zf_inval *zf_inval_new(struct zus_fuse *fuse)
{
	struct zf_inval *inval = calloc(1, sizeof(*inval));

	if (!inval)
		return NULL;
	inval->fuse = fuse;
	inval->last = &inval->first;
	pthread_mutex_init(&inval->lock, NULL);
	pthread_cond_init(&inval->more, NULL);
	return inval;
}

int zf_inval_start(struct zf_inval *inval)
{
	int err = pthread_create(&inval->thread, NULL, inval_main, inval);

	inval->started = !err;
	return -err;
}

void zf_inval_stop(struct zf_inval *inval)
{
	struct entry *entry;

	if (!inval)
		return;
	pthread_mutex_lock(&inval->lock);
	inval->closed = true;
	pthread_cond_signal(&inval->more);
	pthread_mutex_unlock(&inval->lock);
	if (inval->started)
		pthread_join(inval->thread, NULL);
	inval->started = false;
	while ((entry = inval->first)) {
		inval->first = entry->next;
		finish(inval->fuse, entry);
	}
}

void zf_inval_delete(struct zf_inval *inval)
{
	if (!inval)
		return;
	pthread_cond_destroy(&inval->more);
	pthread_mutex_destroy(&inval->lock);
	free(inval);
}
