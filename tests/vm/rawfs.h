/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rawfs.h - the small filesystem in memory behind rawserver.h.
 *
 * Names, attributes by value, file contents in the messages (INLINE), or, where
 * the mount has a device, in a fixed area of it for each file. It counts what it
 * gave out, so that a test can see whether all of it came back.
 */
#ifndef RAWFS_H
#define RAWFS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <zus_api.h>

#define RF_FILE_MAX_BYTES	(1u << 20)	/* of a file's contents */

/* A message as the server sees it; the reply is filled in place. */
struct rf_msg {
	const struct zufs_req_hdr *req;
	const void *in;			/* fixed part */
	const void *payload;
	struct zufs_reply_hdr *reply;
	void *out;			/* fixed part, zeroed before */
	void *out_payload;
};

/* What the kernel holds of the filesystem. */
struct rf_counts {
	_Atomic long handles;		/* references to handles, the root's too */
	_Atomic long opens;		/* open files */
	_Atomic long nodes;		/* inodes, the root too */
	_Atomic long entries;		/* names */
	_Atomic long map_dones;		/* MAP_DONE, both kinds */
	_Atomic long wild;		/* gave back what they did not have: a bug */
};

struct rf_fs;

/*
 * @features: ZUFS_MF_* of MOUNT's answer. @device: mounts have one, and files lie
 * on it. NULL: no memory.
 */
struct rf_fs *rf_new(struct rf_counts *counts, uint64_t features, bool device);

/*
 * Do one operation and fill the reply, but for its header's id. Any thread;
 * takes the filesystem's lock. BATCH's INTERRUPTs are the caller's business.
 */
void rf_dispatch(struct rf_fs *fs, struct rf_msg *msg);

/* Make @count inodes of type and permissions @mode in the root: PREFIX0 ... */
int rf_populate(struct rf_fs *fs, const char *prefix, uint32_t mode, unsigned int count);

/* The attributes of inode @ino as the server has them; -ESTALE. */
int rf_attr(struct rf_fs *fs, uint64_t ino, struct zufs_attr *attr);

#endif /* RAWFS_H */
