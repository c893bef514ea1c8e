/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slowfuse.h - a FUSE filesystem in a process of its own whose reads are answered when
 * the test says so. It has two files of SF_FILE_BYTES: "cached", which can be mapped, and
 * "direct", whose O_DIRECT-like reads keep the caller's pages pinned until the answer.
 * Each byte of them is SF_BYTE.
 */
#ifndef SLOWFUSE_H
#define SLOWFUSE_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#define SF_FILE_BYTES	(1u << 20)
#define SF_BYTE		'f'

struct sf {
	pid_t pid;
	char dir[64];
	_Atomic uint32_t held;		/* reads that wait now */
	_Atomic uint32_t open_gate;
	_Atomic int mounted;		/* below 0: it failed */
};

/* Mount it on @dir, which is made, with a closed gate. Ends the test where that fails. */
struct sf *sf_start(const char *dir);
/* Answer all reads from here on; sf_hold() stops that. */
void sf_release(struct sf *sf);
void sf_hold(struct sf *sf);
/* Until so many reads wait. */
void sf_await_held(struct sf *sf, uint32_t count);
void sf_stop(struct sf *sf);

#endif /* SLOWFUSE_H */
