/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rawserver.h - a server that speaks the kernel's ABI itself, without libzus, and
 * can be told to misbehave.
 *
 * rs_start() forks it. Test and server share struct rs: the test writes scripts
 * into it and reads counters out of it. Hooks are functions of the test's own
 * program, which the fork has too; they run in the server.
 */
#ifndef RAWSERVER_H
#define RAWSERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <zus_api.h>

#include "rawfs.h"

#define RS_LOG_MAX		4096u
#define RS_CHANNELS_MAX		64u
#define RS_CALL_ARG_BYTES	512u

struct rs_options {
	const char *type;		/* for mount -t; default "zraw" */
	bool device;			/* mounts have a device */
	unsigned int channels;		/* a CPU; default 2 */
	uint64_t cpus;			/* bit mask; default: all online */
	uint64_t features;		/* ZUFS_MF_* */
	unsigned int files;		/* f0.. regular, of 4096 bytes */
	unsigned int links;		/* l0.. symlinks */
	unsigned int dirs;		/* d0.. */
	unsigned int specials;		/* c0.. character devices 1:3, s0.. of mode 06755 */
	unsigned int uid;		/* become this user first; 0: stay */
	unsigned int older;		/* HELLO names a minor that is so much lower */
};

/* A thread of the server and its channel. */
struct rs_channel {
	struct rs *rs;
	unsigned int index;
	int cpu;
	int fd;
	_Atomic int tid;
	void *request;
	void *reply;
};

/* What a hook tells the thread to do then. */
enum rs_next {
	RS_REPLY,		/* send what lies in the reply region */
	RS_NO_REPLY,		/* call WAIT again without one */
	RS_LEAVE,		/* end the thread */
};

typedef enum rs_next (*rs_hook)(struct rs_channel *ch, struct rf_msg *msg);

enum rs_hold {
	RS_HOLD_NOT,
	RS_HOLD_BEFORE,		/* do nothing until rs_release() */
	RS_HOLD_AFTER,		/* do it, answer after rs_release() */
	RS_HOLD_INTERRUPT,	/* do nothing until the request is interrupted */
};

/* What happens to the next requests of an operation. */
struct rs_script {
	_Atomic int times;	/* this many requests; -1: all; 0: none */
	int skip;		/* after so many that are served as always */
	enum rs_hold hold;
	int err;		/* answered instead of doing it; 0: do it */
	rs_hook hook;		/* sees, and may change, the reply */
	const char *name;	/* only for requests whose payload begins so */
};

struct rs_log {
	uint16_t op;
	uint16_t flags;
	uint32_t interrupted;	/* the header's flag as the answer was sent */
	uint32_t pid;
	uint32_t channel;
	uint64_t id;
	uint64_t op_seq;
	uint32_t op_slot;
	uint64_t cookie;	/* NOP: its cookie; others: the first 8 bytes */
};

/* Shared memory. */
struct rs {
	struct rs_options options;
	pid_t pid;
	_Atomic int started;		/* 1: ready, below 0: -errno */
	_Atomic uint32_t attached;	/* channels in service */
	_Atomic uint32_t attaches;	/* how often a thread attached */
	_Atomic uint32_t parked;	/* WAIT said EAGAIN */
	_Atomic int no_return;		/* parked threads stay away */
	_Atomic int wait_errno;		/* what WAIT said that it should not */
	_Atomic uint32_t seen[ZUFS_OP_COUNT];
	_Atomic uint32_t held;		/* requests in a hold now */
	_Atomic uint32_t permits;
	_Atomic uint32_t open_gate;
	_Atomic uint32_t interrupts;	/* INTERRUPT messages */
	_Atomic uint64_t interrupt_id;	/* the last one's */
	_Atomic uint32_t log_count;
	struct rs_log log[RS_LOG_MAX];
	struct rf_counts counts;
	struct rs_script script[ZUFS_OP_COUNT];
	struct rs_channel channel[RS_CHANNELS_MAX];
	unsigned int num_channels;
	_Atomic uint32_t call_seq;	/* rs_call() */
	_Atomic uint32_t call_done;
	long (*call_fn)(struct rs *rs, void *arg);
	long call_result;
	char call_arg[RS_CALL_ARG_BYTES];
	int server_fd;			/* in the server */
	_Atomic uint32_t user[16];	/* for hooks and tests as they like */
};

/* Start a server; ends the test where that fails. NULL: all defaults. */
struct rs *rs_start(const struct rs_options *options);
/* The same; returns 0 or -errno, in *@rsp what there is. */
int rs_try_start(const struct rs_options *options, struct rs **rsp);
/* Orderly: STOP, threads end, exit. Its exit status, or -signal. */
int rs_stop(struct rs *rs);
/* SIGKILL; returns when all of it is gone. */
void rs_kill(struct rs *rs);
/* Reap a server that ended by itself; its exit status, or -signal. */
int rs_wait(struct rs *rs);

/* What happens to the next requests of @op; holds begin with a closed gate. */
void rs_arm(struct rs *rs, unsigned int op, const struct rs_script *script);
void rs_disarm(struct rs *rs, unsigned int op);
/* Shorthands. */
void rs_hold(struct rs *rs, unsigned int op, enum rs_hold hold, int times);
void rs_await_held(struct rs *rs, uint32_t count);
/* Let @count held requests go on, in no order; 0: all, and no more holds. */
void rs_release(struct rs *rs, uint32_t count);
/* Until *@counter is at least @count. */
void rs_await(_Atomic uint32_t *counter, uint32_t count);

/* Run @fn in the server's main thread with a copy of @arg; what it returns. */
long rs_call(struct rs *rs, long (*fn)(struct rs *rs, void *arg), const void *arg,
	     size_t arg_bytes);

/* What the server itself has of inode @ino: 0 or -ESTALE. */
int rs_attr(struct rs *rs, uint64_t ino, struct zufs_attr *attr);

/* The last log entry of @op, or NULL. */
const struct rs_log *rs_last(struct rs *rs, unsigned int op);

/* Pieces, for tests of the ABI itself. Return 0 or -errno. */
int rs_hello(int fd, struct zufs_hello *hello);
int rs_register(int fd, const char *type, uint32_t flags);
int rs_new_channel(int fd, struct zufs_new_channel *out);

#endif /* RAWSERVER_H */
