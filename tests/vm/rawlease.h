/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rawlease.h - leases and recalls of a server of rawserver.h, one mount at a time.
 *
 * Files lie where the test says: file fN, 1 MiB at most, at place N + 1 of the device,
 * unless rl_place() moved it, which moves its bytes too. The answers of rl_leased() are
 * leased whole.
 */
#ifndef RAWLEASE_H
#define RAWLEASE_H

#include "rawserver.h"

#define RL_MNT		"mnt"
#define RL_FILE_BYTES	(1ul << 20)
#define RL_FILES_MAX	8u
#define RL_PLACES	31u	/* that are zero at the start */

/* Start a server with @files files and mount /dev/pmem0 by it; the mount's id. */
struct rs *rl_start(unsigned int files, uint64_t *mount_id);
/* The same, of these ZUFS_MF_*. */
struct rs *rl_start_with(unsigned int files, uint64_t features, uint64_t *mount_id);
/* Unmount and stop; all that was given out has come back. */
void rl_stop(struct rs *rs);

/* Answer the next MAPs of files by their places: all of the file, leased R and W. */
void rl_leased(struct rs *rs);

/* Queue; 0 or -errno. */
int rl_recall(struct rs *rs, const struct zufs_recall *recall);
/* The same, of a hook in the server. */
int rl_recall_here(const struct zufs_recall *recall);
/* Of a hook: forget the recalls that have ended. */
void rl_drain_here(void);
/* Of a hook: where a place is on the device, and its bytes. */
uint64_t rl_dev_off_here(unsigned int place);
char *rl_bytes_here(unsigned int place);
/* Of all of file fN; the cookie is N + 1. Fails the test. */
void rl_recall_file(struct rs *rs, unsigned int file);
/* An end that was not read yet, or -EAGAIN. */
int rl_done(struct rs *rs, struct zufs_recall_done *done);
/* Until the recall with @cookie, the only one, has ended, without error. */
void rl_await_done(struct rs *rs, uint64_t cookie);
void rl_await_end(struct rs *rs, uint64_t cookie, int err);

/* Begin an epoch, of a number that is given, and wait until the kernel tells of it. */
void rl_epoch(struct rs *rs, uint64_t number);

/* 8 bytes of the device, in the server. */
uint64_t rl_u64(struct rs *rs, uint64_t dev_off);
void rl_u64_set(struct rs *rs, uint64_t dev_off, uint64_t value);

/* In the server, after a recall was acknowledged: the bytes, and the old place becomes @left. */
void rl_move(struct rs *rs, unsigned int file, unsigned int place, unsigned char left);

/* The same, of a hook in the server; and where the file is. */
void rl_move_here(struct rs *rs, unsigned int file, unsigned int place, unsigned char left);
uint64_t rl_file_off(const struct rs *rs, unsigned int file);

#endif /* RAWLEASE_H */
