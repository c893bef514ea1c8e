// SPDX-License-Identifier: BSD-3-Clause
/* slowfuse.c - see slowfuse.h */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)
#include <errno.h>
#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slowfuse.h"
#include "vmtest.h"

#define FIRST_INO	(FUSE_ROOT_ID + 1)
#define FOREVER_S	1e9

static const char *const names[] = { "cached", "direct" };
#define NUM_FILES	(sizeof(names) / sizeof(names[0]))

/* -------------------------------------------------------------- the filesystem */

static struct sf *self;

struct held_read {
	fuse_req_t req;
	size_t bytes;
};

static void file_stat(fuse_ino_t ino, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = ino;
	st->st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
	st->st_nlink = 1;
	st->st_size = ino == FUSE_ROOT_ID ? 0 : SF_FILE_BYTES;
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .attr_timeout = FOREVER_S, .entry_timeout = FOREVER_S };
	unsigned int i;

	(void)parent;
	for (i = 0; i < NUM_FILES && strcmp(name, names[i]) != 0; i++)
		;
	if (i == NUM_FILES) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	e.ino = FIRST_INO + i;
	file_stat(e.ino, &e.attr);
	fuse_reply_entry(req, &e);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	file_stat(ino, &st);
	fuse_reply_attr(req, &st, FOREVER_S);
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fi->direct_io = ino == FIRST_INO + 1;
	fuse_reply_open(req, fi);
}

/* In a thread of its own, so that others are served meanwhile. */
static void *answer(void *arg)
{
	struct held_read *read = arg;
	char *buf = malloc(read->bytes);

	while (!atomic_load(&self->open_gate))
		vt_futex_wait(&self->open_gate, 0, 100);
	atomic_fetch_sub(&self->held, 1);
	if (buf) {
		memset(buf, SF_BYTE, read->bytes);
		fuse_reply_buf(read->req, buf, read->bytes);
	} else {
		fuse_reply_err(read->req, ENOMEM);
	}
	free(buf);
	free(read);
	return NULL;
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t bytes, off_t off,
		    struct fuse_file_info *fi)
{
	struct held_read *read = malloc(sizeof(*read));
	pthread_t thread;

	(void)ino;
	(void)fi;
	if (!read) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	if (off >= (off_t)SF_FILE_BYTES)
		bytes = 0;
	else if (bytes > SF_FILE_BYTES - (size_t)off)
		bytes = SF_FILE_BYTES - (size_t)off;
	*read = (struct held_read) { req, bytes };
	atomic_fetch_add(&self->held, 1);
	if (pthread_create(&thread, NULL, answer, read)) {
		atomic_fetch_sub(&self->held, 1);
		free(read);
		fuse_reply_err(req, EAGAIN);
		return;
	}
	pthread_detach(thread);
}

static const struct fuse_lowlevel_ops ops = {
	.lookup = do_lookup,
	.getattr = do_getattr,
	.open = do_open,
	.read = do_read,
};

static void serve(struct sf *sf)
{
	char program[] = "slowfuse";
	char *argv[] = { program, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	self = sf;
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (!session || fuse_session_mount(session, sf->dir)) {
		atomic_store(&sf->mounted, -1);
		_exit(1);
	}
	atomic_store(&sf->mounted, 1);
	fuse_session_loop(session);
	fuse_session_destroy(session);
	_exit(0);
}

/* --------------------------------------------------------------- in the test */

static bool mounted(void *arg)
{
	struct sf *sf = arg;

	return atomic_load(&sf->mounted);
}

struct sf *sf_start(const char *dir)
{
	struct sf *sf = vt_shared(sizeof(*sf));
	pid_t pid;

	vt_fuse_load();
	mkdir(dir, 0755);
	snprintf(sf->dir, sizeof(sf->dir), "%s", dir);
	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid)
		serve(sf);
	sf->pid = pid;
	vt_await(mounted, sf, "FUSE");
	ck_assert_msg(atomic_load(&sf->mounted) > 0, "FUSE cannot be mounted on %s", dir);
	return sf;
}

void sf_release(struct sf *sf)
{
	atomic_store(&sf->open_gate, 1);
	vt_futex_wake(&sf->open_gate);
}

void sf_hold(struct sf *sf)
{
	atomic_store(&sf->open_gate, 0);
}

struct await_held {
	struct sf *sf;
	uint32_t count;
};

static bool held(void *arg)
{
	const struct await_held *a = arg;

	return atomic_load(&a->sf->held) >= a->count;
}

void sf_await_held(struct sf *sf, uint32_t count)
{
	struct await_held a = { sf, count };

	vt_await(held, &a, "a read of a FUSE file");
}

void sf_stop(struct sf *sf)
{
	int status;

	sf_release(sf);
	vt_umount(sf->dir);
	ck_assert_int_eq(waitpid(sf->pid, &status, 0), sf->pid);
	ck_assert_int_eq(status, 0);
}
