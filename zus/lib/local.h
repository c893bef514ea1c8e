/* SPDX-License-Identifier: BSD-3-Clause */
/* local.h - what the files of the local transport share. */
#ifndef ZUS_LOCAL_PRIVATE_H
#define ZUS_LOCAL_PRIVATE_H

#include <zus_local.h>

#include "internal.h"

#define LOCAL_MOUNT_ID		1u
#define LOCAL_LOCKS		256u
#define LOCAL_SLOTS		64u

/* Two regions and their worker; one request at a time. */
struct local_channel {
	struct local_channel *next;
	struct zus_worker *worker;
	struct zufs_req_hdr *request;
	struct zufs_reply_hdr *reply;
	uint64_t op_seq;		/* of its slot */
	uint32_t op_slot;
};

struct zus_local {
	struct zus_server *server;
	struct zus_device devices[ZUFS_DEVICES_MAX];
	bool mapped[ZUFS_DEVICES_MAX];	/* here: ends with the mount */
	uint32_t num_devices;
	pthread_mutex_t lock;		/* channels */
	struct local_channel *idle;
	uint64_t next_id;		/* atomic */
	uint32_t num_channels;		/* under lock */
	uint64_t root;			/* handle */
	uint32_t uid, gid, pid;		/* of the caller, as requests say it */
	struct zufs_mount_out mounted;
	struct zus_local_config config;	/* of this only what send_mount() needs */
	bool is_mounted;
	zus_local_inval_fn *config_inval; /* or NULL */
	void *config_arg;
	pthread_mutex_t late_lock;
	struct zufs_forced late[ZUS_LOCAL_WORDS_MAX]; /* of words that nobody was told of; in order */
	uint32_t num_late;
	struct local_inval *ended;	/* under lock */
	int ended_fd;			/* eventfd: there are some */
	/* As the kernel's inode lock; hashed by handle, taken in rising order. */
	pthread_rwlock_t inode_lock[LOCAL_LOCKS];
};

/* That operation has changed something: see zus_local_last_op(). */
void local_op_done(uint32_t slot, uint64_t seq);

/* One forced message, in a BATCH of its own. */
int local_force(struct zus_local *local, struct zufs_forced *msg);

/* local_word.c: of words that the server was not told of yet it is told; of: if one is of it. */
void local_words_tell(struct zus_local *local);
void local_words_tell_of(struct zus_local *local, uint64_t handle);

/* The calling thread's requests are made for somebody who is to end. */
bool local_caller_killed(void);

/* Name of a broken rule, or NULL. request is as it was sent. */
const char *local_check_reply(const struct zus_local *local,
			      const struct zufs_req_hdr *request,
			      const struct zufs_reply_hdr *reply);
const char *local_check_attr(const struct zufs_attr *attr);

/* local_inval.c */
int local_inval_init(struct zus_local *local);
void local_inval_free(struct zus_local *local);
int local_invalidate(struct zus_mount_entry *mount, const struct zufs_invalidate *wire);
int local_inval_wait(struct zus_mount_entry *mount, struct zufs_recall_done *done,
		     uint32_t max);

#endif /* ZUS_LOCAL_PRIVATE_H */
