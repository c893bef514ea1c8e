// SPDX-License-Identifier: BSD-3-Clause
/*
 * target.c - zlogfs for the crash program: tiny segments and nodes, so that logs wrap, nodes
 * split and segments get another use within two operations. On a device of 1 MiB or more
 * a segment has four blocks, so that extents have more than one, and are cut. On one of 64 MiB
 * or more all is as usual.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zus_local.h>

#include "../target.h"
#include "zl_check.h"
#include "zlogfs.h"
#include "zlogfs_ioctl.h"

#define DATA_OFF	4096u
#define LARGE_BYTES	(1u << 20)
#define FULL_BYTES	(64u << 20)	/* as people have them */

static int make(void *media, uint64_t bytes, const char *options)
{
	struct zl_media one = { .addr = media, .bytes = bytes, .data_off = DATA_OFF };
	struct zl_mkfs mkfs = {
		.segment_shift = bytes < LARGE_BYTES ? 12 : 14, .node_lines = 16, .num_logs = 2, .num_slots = 4,
		.unapplied_max_bytes = bytes < LARGE_BYTES ? 16384 : 65536, .now_ns = 1, .fs_uuid = { 7 },
	};
	const char *why;

	(void)options;		/* of the mount */
	if (bytes >= FULL_BYTES) {
		mkfs.segment_shift = 21;
		mkfs.node_lines = 64;
		mkfs.unapplied_max_bytes = 8 << 20;
	}
	return zl_mkfs(&one, 1, &mkfs, &why);
}

/* On a copy, which a recovery changes. */
static int check(const void *media, uint64_t bytes, char *message, size_t message_bytes)
{
	void *copy = aligned_alloc(ZLF_BLOCK_BYTES, bytes);
	struct zl_media one = { .addr = copy, .bytes = bytes, .data_off = DATA_OFF };
	struct zl_check result;
	int err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, media, bytes);
	err = zl_check(&one, 1, &result);
	if (err)
		snprintf(message, message_bytes, "%s", result.why);
	if (!err && result.total) {
		snprintf(message, message_bytes, "%" PRIu64 " findings, the first: %s: %s",
			 result.total, zl_check_classes[result.findings[0].class],
			 result.findings[0].text);
		err = -EUCLEAN;
	}
	zl_check_free(&result);
	free(copy);
	return err;
}

static int ask(struct zus_local *local, uint32_t cmd, uint32_t arg)
{
	struct zus_ioctl args = { .cmd = cmd, .flags = ZUS_IOCTL_ADMIN };
	struct zus_local_file *root;
	int32_t result;
	int err = zus_local_open(local, "/", &root);

	if (err)
		return err;
	if (cmd == ZLOGFS_IOC_APPLY) {
		args.in = &arg;
		args.in_bytes = sizeof(arg);
	}
	err = zus_local_ioctl(root, &args, &result);
	zus_local_close(root);
	return err ? err : result;
}

static struct zlogfs_usage usage_of(struct zus_local *local)
{
	struct zlogfs_usage usage;
	struct zus_ioctl args = { .cmd = ZLOGFS_IOC_USAGE, .out = &usage,
				  .out_bytes = sizeof(usage) };
	struct zus_local_file *root;
	int32_t result;

	memset(&usage, 0, sizeof(usage));
	if (zus_local_open(local, "/", &root))
		return usage;
	zus_local_ioctl(root, &args, &result);
	zus_local_close(root);
	return usage;
}

static uint64_t shared_extents(struct zus_local *local)
{
	uint64_t n = 0;
	struct zus_ioctl args = { .cmd = ZLOGFS_IOC_SHARED, .flags = ZUS_IOCTL_ADMIN, .out = &n,
				  .out_bytes = sizeof(n) };
	struct zus_local_file *root;
	int32_t result;

	if (!zus_local_open(local, "/", &root)) {
		zus_local_ioctl(root, &args, &result);
		zus_local_close(root);
	}
	return n;
}

/* Not of the log: how long that is differs with what was applied when. */
static uint64_t digest(struct zus_local *local)
{
	struct zlogfs_usage usage = usage_of(local);

	return usage.data_blocks << 40 | usage.tree_nodes << 20 | shared_extents(local);
}

static bool keeps(struct zus_local *local)
{
	return usage_of(local).boundaries;
}

static int apply_all(struct zus_local *local)
{
	int more;

	do {
		more = ask(local, ZLOGFS_IOC_APPLY, 64);
	} while (more > 0);
	return more;
}

static int step(struct zus_local *local, const char *name)
{
	int err;

	if (!strcmp(name, "apply"))
		return apply_all(local);
	if (!strcmp(name, "some"))	/* 1: there is more */
		return ask(local, ZLOGFS_IOC_APPLY, 16);
	if (!strcmp(name, "checkpoint"))
		return ask(local, ZLOGFS_IOC_CHECKPOINT, 0);
	if (!strcmp(name, "boundary"))
		return ask(local, ZLOGFS_IOC_BOUNDARY, 0);
	if (strcmp(name, "settle") != 0)
		return -EINVAL;
	err = apply_all(local);
	return err ? err : ask(local, ZLOGFS_IOC_CHECKPOINT, 0);
}

static const char *const steps[] = { "apply", "checkpoint", "settle", "boundary", NULL };

ZUS_EXPORT const struct crash_target crash_target = {
	.device_bytes = 384 << 10,
	.data_off = DATA_OFF,
	.options = "steps=manual,policy=cow,reflink",
	.flags = CRASH_SPACE | CRASH_TIMES | CRASH_FSCK,
	.steps = steps,
	.mkfs = make,
	.fsck = check,
	.keeps = keeps,
	.step = step,
	.digest = digest,
};
