/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * target.h - what the crash program must be told of a plugin.
 *
 * A shared object, the plugin's own or one beside it, exports it:
 *
 *	ZUS_EXPORT const struct crash_target crash_target = {
 *		.device_bytes = 512 << 10,
 *		.mkfs = my_mkfs,
 *	};
 *
 * All is called in one thread, millions of times in one process: what is not freed adds up.
 * Every member may be left out.
 */
#ifndef CRASH_TARGET_H
#define CRASH_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zus_local.h>

/* Files are written in place: words of 8 bytes may be old or new after a crash. */
#define CRASH_WORDS	(1u << 0)
/* As a whole block of 4 KiB each. Without both: all of a write, or nothing. */
#define CRASH_BLOCKS	(1u << 1)
/*
 * When all files are deleted and step "settle" is done, if there is one, as many blocks are
 * free as when the filesystem was made.
 */
#define CRASH_SPACE	(1u << 2)
/*
 * Times of change and modification are those of before the operation, or behind it, too.
 * Not asked for while data are written, and where they are not atomic.
 */
#define CRASH_TIMES	(1u << 3)
/* fsck may be asked of what a crash has left, too: of every eighth image. */
#define CRASH_FSCK	(1u << 4)

struct crash_target {
	uint64_t device_bytes;	/* 0: 1 MiB; the smaller, the faster */
	uint64_t data_off;	/* 0: 4096 */
	const char *options;	/* of the mount */
	uint32_t flags;		/* CRASH_* */
	/* More fences in one operation are an error; 0: they are not counted. */
	uint32_t fences_max;
	/* What the plugin does by itself, by name, ended by NULL: the workloads' "step NAME". */
	const char *const *steps;

	/*
	 * Makes an empty filesystem on media, bytes of zeroes, of which [0, data_off) are not
	 * the plugin's. 0 or a negative errno. Without it mounting zeroes must make one.
	 */
	int (*mkfs)(void *media, uint64_t bytes, const char *options);
	/*
	 * Checks a filesystem that is not mounted; may change nothing. 0, or a negative
	 * errno and in message what is wrong.
	 */
	int (*fsck)(const void *media, uint64_t bytes, char *message, size_t message_bytes);
	/*
	 * A number of what cannot be read, like how much space is used for what: images that
	 * look alike are different states if it differs.
	 */
	uint64_t (*digest)(struct zus_local *local);
	/* What was deleted is kept, so that CRASH_SPACE does not hold. */
	bool (*keeps)(struct zus_local *local);
	/*
	 * Does a step of the mounted filesystem. Visible is nothing of it. "settle": all that
	 * there is to do; "some", for large.c alone: some of it, 1: there is more.
	 */
	int (*step)(struct zus_local *local, const char *name);
	/*
	 * The word at off may stay in flight behind an operation: nothing depends on it, or it
	 * is made anew.
	 */
	bool (*may_stay)(uint64_t off);
};

#endif /* CRASH_TARGET_H */
