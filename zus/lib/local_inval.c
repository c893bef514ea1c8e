// SPDX-License-Identifier: BSD-3-Clause
/*
 * local_inval.c - for the local transport: what the plugin says by zus_invalidate() goes
 * to who mounted, and the end comes back. libzus reads ends in a thread of its own.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "local.h"

struct local_inval {
	struct local_inval *next;
	uint64_t cookie;
};

int local_inval_init(struct zus_local *local)
{
	local->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return local->ended_fd < 0 ? -errno : 0;
}

void local_inval_free(struct zus_local *local)
{
	struct local_inval *inval;

	while ((inval = local->ended)) {
		local->ended = inval->next;
		free(inval);
	}
	if (local->ended_fd >= 0)
		close(local->ended_fd);
}

int local_invalidate(struct zus_mount_entry *mount, const struct zufs_invalidate *wire)
{
	struct zus_local *local = mount->server->transport_priv;
	struct local_inval *inval = NULL;
	struct zus_local_inval told = {
		.what = {
			.ino = wire->ino, .gen = wire->gen, .child_ino = wire->child_ino,
			.child_gen = wire->child_gen, .flags = wire->flags,
			.event = (enum zus_event)wire->event, .event_cookie = wire->event_cookie,
			.name = { wire->name, wire->name_bytes },
		},
	};
	int err;

	if (wire->cookie) {
		inval = calloc(1, sizeof(*inval));
		if (!inval)
			return -ENOMEM;
		inval->cookie = wire->cookie;
		told.token = (uintptr_t)inval;
	}
	err = local->config_inval(local->config_arg, &told);
	if (err)
		free(inval);
	return err;
}

void zus_local_invalidated(struct zus_local *local, uint64_t token)
{
	struct local_inval *inval = (struct local_inval *)(uintptr_t)token;
	uint64_t one = 1;

	pthread_mutex_lock(&local->lock);
	inval->next = local->ended;
	local->ended = inval;
	pthread_mutex_unlock(&local->lock);
	if (write(local->ended_fd, &one, sizeof(one)) < 0)
		zus_log(ZUS_LOG_ERR, "eventfd: cannot tell of an invalidation");
}

static int take_ended(struct zus_local *local, struct zufs_recall_done *done, uint32_t max)
{
	struct local_inval *inval;
	uint64_t more = 1;
	int count = 0;

	pthread_mutex_lock(&local->lock);
	while ((inval = local->ended) && (uint32_t)count < max) {
		local->ended = inval->next;
		done[count++] = (struct zufs_recall_done) { .cookie = inval->cookie };
		free(inval);
	}
	more = local->ended != NULL;
	pthread_mutex_unlock(&local->lock);
	if (more && write(local->ended_fd, &more, sizeof(more)) < 0)
		return -errno;
	return count;
}

int local_inval_wait(struct zus_mount_entry *mount, struct zufs_recall_done *done, uint32_t max)
{
	struct zus_local *local = mount->server->transport_priv;
	struct pollfd fds[2] = {
		{ .fd = mount->recall_stop_fd, .events = POLLIN },
		{ .fd = local->ended_fd, .events = POLLIN },
	};
	uint64_t count;
	int ret = 0;

	while (!ret) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents)
			return 0;
		if (read(local->ended_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
			return -errno;
		ret = take_ended(local, done, max);
	}
	return ret;
}
