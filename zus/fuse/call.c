// SPDX-License-Identifier: BSD-3-Clause
/* call.c - a request's caller, and its replies. */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "private.h"

/* A number in base 16 of /proc/PID/status; 0: there is none, or nobody that we see. */
static unsigned long long proc_status(uint32_t pid, const char *key)
{
	unsigned long long number = 0;
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	file = pid ? fopen(path, "re") : NULL;
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			number = strtoull(line + strlen(key), NULL, 16);
	fclose(file);
	return number;
}

/*
 * FUSE does not say which signal it was; one that ends the process leaves SIGKILL for each
 * of its threads. libfuse holds the request's lock here, and zf_end() waits for that: the
 * caller's memory lasts longer.
 */
static void interrupted(fuse_req_t req, void *arg)
{
	const unsigned long long sigkill = 1ull << (SIGKILL - 1);
	struct zf_call *call = arg;
	uint32_t pid = call->caller.pid;

	(void)req;
	zus_local_interrupt(call->local, &call->caller,
			    ((proc_status(pid, "SigPnd:") | proc_status(pid, "ShdPnd:")) & sigkill) != 0);
}

void zf_begin(struct zf_call *call, fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	*call = (struct zf_call) {
		.fuse = fuse_req_userdata(req), .req = req,
		.caller = { .uid = ctx->uid, .gid = ctx->gid, .pid = (uint32_t)ctx->pid },
	};
	call->local = call->fuse->local;
	zus_local_as(&call->caller);
	fuse_req_interrupt_func(req, interrupted, call);
}

void zf_end(struct zf_call *call)
{
	fuse_req_interrupt_func(call->req, NULL, NULL);
	zus_local_as(NULL);
}

void zf_done(struct zf_call *call, int err)
{
	zf_end(call);
	fuse_reply_err(call->req, -err);
}

void zf_done_entry(struct zf_call *call, int err, fuse_ino_t parent, const char *name,
		   const struct zus_local_entry *entry)
{
	struct fuse_entry_param param;
	fuse_ino_t id;

	if (!err)
		err = zf_node_add(call->fuse, entry, parent, name, &id);
	if (err) {
		zf_done(call, err);
		return;
	}
	zf_entry_param(call->fuse, entry, id, &param);
	zf_end(call);
	/* the caller gave up, and the kernel did not take it */
	if (fuse_reply_entry(call->req, &param) == -ENOENT)
		zf_node_forget(call->fuse, id, 1);
}

void zf_done_attr(struct zf_call *call, int err, const struct zus_attr *attr)
{
	struct stat st;

	if (err) {
		zf_done(call, err);
		return;
	}
	zf_stat(attr, &st);
	zf_end(call);
	fuse_reply_attr(call->req, &st, call->fuse->timeout_sec);
}

struct zus_name zf_name(const char *name)
{
	return (struct zus_name) { name, (uint32_t)strlen(name) };
}

struct zus_time zf_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (struct zus_time) { now.tv_sec, (uint32_t)now.tv_nsec, 0 };
}

/* The kernel does not send them; who is in another pid namespace has none that we know. */
bool zf_capable(const struct zf_call *call, int cap)
{
	return proc_status(call->caller.pid, "CapEff:") >> cap & 1;
}
