// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a caller of a silent server can be killed in any operation, and what it
 *	leaves behind does no harm: an operation that would change the same inode
 *	waits for the late answer, and can be killed too; then names, attributes
 *	and handles are as the server has them. An unmount does not wait.
 * TIMEOUT: 60
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rawops.h"
#include "rawserver.h"
#include "vmtest.h"

#define MNT	RO_MNT

static struct rs *rs;
static uint64_t mount_id;

struct kill_case {
	const char *name;
	unsigned int op;
	long (*act)(void *unused);
	long (*second)(void *unused);	/* must wait for the late answer; or NULL */
	int (*after)(void);		/* 0: as the server has it */
};

/* ------------------------------------------------------------------- and after */

/* What the kernel says of @path is what the server has. */
static int same(const char *path)
{
	struct zufs_attr attr;
	struct stat st;
	int err;

	if (lstat(path, &st))
		return -errno;
	err = rs_attr(rs, st.st_ino, &attr);
	if (err)
		return err;
	if (st.st_mode != attr.mode || st.st_nlink != attr.nlink || st.st_uid != attr.uid ||
	    st.st_gid != attr.gid || (uint64_t)st.st_size != attr.size_bytes) {
		printf("%s: mode %o/%o nlink %u/%u size %llu/%llu\n", path, st.st_mode,
		       attr.mode, (unsigned int)st.st_nlink, attr.nlink,
		       (unsigned long long)st.st_size, (unsigned long long)attr.size_bytes);
		return -EBADMSG;
	}
	return 0;
}

static int gone(const char *path)
{
	struct stat st;

	return !lstat(path, &st) ? -EEXIST : errno == ENOENT ? 0 : -errno;
}

static int after_file(void)
{
	return same(ro.file);
}

static int after_chmod(void)
{
	struct stat st;

	return stat(ro.file, &st) ? -errno : (st.st_mode & 07777) != 0600 ? -EBADMSG : same(ro.file);
}

static int after_truncate(void)
{
	struct stat st;

	return stat(ro.file, &st) ? -errno : st.st_size != 10 ? -EBADMSG : same(ro.file);
}

static int after_fresh(void)
{
	int err = same(ro.fresh);

	return err ? err : same(ro.base);
}

static int after_unlink(void)
{
	int err = gone(ro.file);

	return err ? err : same(ro.base);
}

static int after_rmdir(void)
{
	int err = gone(ro.sub);

	return err ? err : same(ro.base);
}

static int after_rename(void)
{
	int err = gone(ro.file);

	return err ? err : after_fresh();
}

static int after_write(void)
{
	char buf[32] = "";
	struct stat st;
	int fd, err = 0;

	if (stat(ro.file, &st))
		return -errno;
	if (st.st_size != 4110)
		return -EBADMSG;
	fd = open(ro.file, O_RDONLY);
	if (pread(fd, buf, sizeof(buf), 4090) != 20 ||
	    strcmp(buf, "twenty bytes written") != 0)
		err = -EBADMSG;
	close(fd);
	return err ? err : same(ro.file);
}

#define OP(o) ZUFS_OP_##o
static const struct kill_case cases[] = {
	{ "nop", OP(NOP), ro_nop, NULL, after_file },
	{ "lookup", OP(LOOKUP), ro_lookup, NULL, after_file },
	{ "getattr", OP(GETATTR), ro_getattr, NULL, after_file },
	{ "chmod", OP(SETATTR), ro_chmod, ro_chown, after_chmod },
	{ "truncate", OP(SETATTR), ro_truncate, ro_write, after_truncate },
	{ "create", OP(CREATE), ro_create, ro_mkdir_other, after_fresh },
	{ "mkdir", OP(MKDIR), ro_mkdir, ro_mkdir_other, after_fresh },
	{ "mknod", OP(MKNOD), ro_mknod, ro_rmdir, after_fresh },
	{ "symlink", OP(SYMLINK), ro_symlink, ro_unlink, after_fresh },
	{ "link", OP(LINK), ro_link, ro_chown, after_fresh },
	{ "unlink", OP(UNLINK), ro_unlink, ro_mkdir_other, after_unlink },
	{ "rmdir", OP(RMDIR), ro_rmdir, ro_unlink, after_rmdir },
	{ "rename", OP(RENAME), ro_rename, ro_mkdir_other, after_rename },
	{ "readdir", OP(READDIR), ro_readdir, NULL, after_file },
	{ "readlink", OP(READLINK), ro_readlink, NULL, after_file },
	{ "open", OP(OPEN), ro_open, NULL, after_file },
	{ "read", OP(MAP), ro_read, NULL, after_file },
	{ "write", OP(WRITE), ro_write, ro_truncate, after_write },
	{ "fsync", OP(FSYNC), ro_fsync, NULL, after_file },
	{ "syncfs", OP(SYNCFS), ro_syncfs, NULL, after_file },
	{ "statfs", OP(STATFS), ro_statfs, NULL, after_file },
	{ "remount", OP(REMOUNT), ro_remount, NULL, after_file },
};
#define NUM_CASES	((int)(sizeof(cases) / sizeof(cases[0])))

static void mount_it(const char *options)
{
	vt_mount(rs->options.type, "none", MNT, options);
	mount_id = vt_mount_id();
}

static void setup(void)
{
	static char type[16];

	/* its own, so that what a failed test leaves is in no one's way */
	snprintf(type, sizeof(type), "zraw%d", getpid());
	rs = rs_start(&(struct rs_options) {
		.type = type, .channels = 3, .files = 64, .links = 64,
		.features = ZUFS_MF_OPEN | ZUFS_MF_FSYNC | ZUFS_MF_SYNCFS,
	});
	mount_it(NULL);
}

static void teardown(void)
{
	const struct rf_counts *counts = &rs->counts;

	rs_release(rs, 0);
	vt_umount(MNT);
	printf("the server is left with %ld handles, %ld opens; %ld were given back wildly\n",
	       counts->handles, counts->opens, counts->wild);
	ck_assert(!counts->handles && !counts->opens && !counts->wild);
	ck_assert_int_eq(rs_stop(rs), 0);
}

/* A caller whose request the server has and does not answer. */
static struct vt_caller *stuck(unsigned int op, long (*act)(void *unused), enum rs_hold hold)
{
	uint32_t held = atomic_load(&rs->held);
	struct vt_caller *c;

	rs_hold(rs, op, hold, 1);
	c = vt_call(act, NULL, -1);
	rs_await_held(rs, held + 1);
	return c;
}

static uint64_t kill_and_join(struct vt_caller *c)
{
	uint64_t start = vt_now_ns();
	bool killed;

	ck_assert_int_eq(kill(c->pid, SIGKILL), 0);
	vt_join(c, &killed);
	ck_assert(killed);
	return vt_now_ns() - start;
}

/* @hold: whether the server has done it when the caller goes. */
static uint64_t kill_case(const struct kill_case *k, enum rs_hold hold)
{
	struct vt_caller *c, *second;
	uint64_t ns;
	int err;

	c = stuck(k->op, k->act, hold);
	ns = kill_and_join(c);
	ck_assert_msg(vt_mount_number(mount_id, "orphans") == 1, "%s: %ld orphans", k->name,
		      vt_mount_number(mount_id, "orphans"));
	ck_assert_int_eq(vt_mount_number(mount_id, "inflight"), 1);
	if (k->second) {
		second = vt_call(k->second, NULL, -1);
		vt_await_state(second->pid, "D");
		kill_and_join(second);
	}
	/* the relay works for all else meanwhile */
	ck_assert_int_eq(ro_statfs(NULL), 0);
	rs_release(rs, 0);
	vt_await_number(mount_id, "orphans", 0);
	err = k->after();
	ck_assert_msg(!err, "%s: afterwards: %s", k->name, strerror(-err));
	return ns;
}

START_TEST(killed)
{
	uint64_t ns, longest = 0;
	int i;

	for (i = 0; i < NUM_CASES; i++) {
		ro_make(2 * i);
		ns = kill_case(&cases[i], RS_HOLD_BEFORE);
		longest = ns > longest ? ns : longest;
		ro_make(2 * i + 1);
		ns = kill_case(&cases[i], RS_HOLD_AFTER);
		longest = ns > longest ? ns : longest;
	}
	printf("%d operations killed before and after the server's work, at most %.1f ms\n",
	       NUM_CASES, (double)longest / 1e6);
	vt_await_number(mount_id, "inflight", 0);
}
END_TEST

/* The late answer is an error: nothing happened, and nothing was given out. */
START_TEST(late_error)
{
	int i;

	for (i = 0; i < NUM_CASES; i++) {
		struct vt_caller *c;

		ro_make(i);
		rs_arm(rs, cases[i].op, &(struct rs_script) {
			.times = 1, .hold = RS_HOLD_BEFORE, .err = -ENOSPC });
		c = vt_call(cases[i].act, NULL, -1);
		rs_await_held(rs, 1);
		kill_and_join(c);
		rs_release(rs, 0);
		vt_await_number(mount_id, "orphans", 0);
		ck_assert_int_eq(same(ro.file), 0);
		ck_assert_int_eq(gone(ro.fresh), 0);
		ck_assert_int_eq(same(ro.sub), 0);
	}
}
END_TEST

/* ------------------------------------------------------------------- signals */

static volatile sig_atomic_t handled;

static void on_signal(int sig)
{
	(void)sig;
	handled++;
}

static long ro_interruptible(void *unused)
{
	struct sigaction sa = { .sa_handler = on_signal };
	long r;

	sigaction(SIGINT, &sa, NULL);
	r = ro_mkdir(unused);
	/* told apart from an error: the handler has run once */
	return handled == 1 ? r : -EPROTO;
}

START_TEST(interrupted)
{
	const struct rs_log *log;
	struct vt_caller *c;

	/* the server answers EINTR */
	ro_make(0);
	rs_arm(rs, ZUFS_OP_MKDIR, &(struct rs_script) {
		.times = 1, .skip = 0, .hold = RS_HOLD_INTERRUPT, .err = -EINTR });
	c = vt_call(ro_interruptible, NULL, -1);
	rs_await_held(rs, 1);
	log = rs_last(rs, ZUFS_OP_MKDIR);
	ck_assert_int_eq(atomic_load(&rs->interrupts), 0);
	kill(c->pid, SIGINT);
	ck_assert_int_eq(vt_join(c, NULL), -EINTR);
	rs_await(&rs->interrupts, 1);
	ck_assert_uint_eq(atomic_load(&rs->interrupt_id), log->id);
	ck_assert_int_eq(gone(ro.fresh), 0);

	/* it hears it, and goes on nevertheless */
	rs_hold(rs, ZUFS_OP_MKDIR, RS_HOLD_INTERRUPT, 1);
	c = vt_call(ro_interruptible, NULL, -1);
	rs_await_held(rs, 1);
	kill(c->pid, SIGINT);
	ck_assert_int_eq(vt_join(c, NULL), 0);
	rs_await(&rs->interrupts, 2);
	ck_assert_int_eq(same(ro.fresh), 0);

	/* it does not care: the caller waits, until it is killed */
	rs_hold(rs, ZUFS_OP_RMDIR, RS_HOLD_BEFORE, 1);
	c = vt_call(ro_rmdir, NULL, -1);
	rs_await_held(rs, 1);
	kill(c->pid, SIGSTOP);
	rs_await(&rs->interrupts, 3);
	ck_assert(!atomic_load(&c->done));
	vt_await_state(c->pid, "D");
	kill_and_join(c);
	ck_assert_int_eq(vt_mount_number(mount_id, "orphans"), 1);
	rs_release(rs, 0);
	vt_await_number(mount_id, "orphans", 0);
	ck_assert_int_eq(after_rmdir(), 0);
}
END_TEST

/* --------------------------------------------------------------------- deadline */

static enum rs_next answer_busy(struct rs_channel *ch, struct rf_msg *m)
{
	(void)ch;
	memset(m->reply, 0, sizeof(*m->reply));
	m->reply->id = m->req->id;
	m->reply->flags = ZUFS_REPLY_BUSY_RETRY;
	return RS_REPLY;
}

START_TEST(deadline)
{
	struct vt_caller *c, *queued[16];
	int i;

	vt_umount(MNT);
	mount_it("deadline_ms=200");
	ro_make(0);
	c = stuck(ZUFS_OP_CREATE, ro_create, RS_HOLD_BEFORE);
	ck_assert_int_eq(vt_join(c, NULL), -ETIMEDOUT);
	ck_assert_int_eq(vt_mount_number(mount_id, "orphans"), 1);
	/* who comes next waits for the late answer, for as long */
	c = vt_call(ro_mkdir_other, NULL, -1);
	ck_assert_int_eq(vt_join(c, NULL), -ETIMEDOUT);
	/* and so does who finds no channel, and leaves nothing behind */
	rs_hold(rs, ZUFS_OP_NOP, RS_HOLD_BEFORE, -1);
	for (i = 0; i < 16; i++)
		queued[i] = vt_call(ro_nop, NULL, i % vt_num_cpus());
	for (i = 0; i < 16; i++)
		ck_assert_int_eq(vt_join(queued[i], NULL), -ETIMEDOUT);
	ck_assert_int_eq(vt_mount_number(mount_id, "orphans"), rs->num_channels);
	rs_release(rs, 0);
	vt_await_number(mount_id, "orphans", 0);
	ck_assert_int_eq(after_fresh(), 0);
	/* asked to come again and again until then */
	rs_arm(rs, ZUFS_OP_RENAME, &(struct rs_script) { .times = -1, .hook = answer_busy });
	ck_assert_int_eq(ro_rename(NULL), -ETIMEDOUT);
	rs_disarm(rs, ZUFS_OP_RENAME);
}
END_TEST

START_TEST(busy)
{
	uint32_t seen;
	struct vt_caller *c;

	ro_make(0);
	rs_arm(rs, ZUFS_OP_STATFS, &(struct rs_script) { .times = 5, .hook = answer_busy });
	seen = atomic_load(&rs->seen[ZUFS_OP_STATFS]);
	ck_assert_int_eq(ro_statfs(NULL), 0);
	ck_assert_uint_eq(atomic_load(&rs->seen[ZUFS_OP_STATFS]), seen + 6);

	rs_arm(rs, ZUFS_OP_STATFS, &(struct rs_script) { .times = -1, .hook = answer_busy });
	c = vt_call(ro_statfs, NULL, -1);
	rs_await(&rs->seen[ZUFS_OP_STATFS], seen + 10);
	kill_and_join(c);
	rs_disarm(rs, ZUFS_OP_STATFS);
	ck_assert_int_eq(vt_mount_number(mount_id, "orphans"), 0);
}
END_TEST

/* ------------------------------------------------------------- unmount and abort */

static bool mount_gone(void *arg)
{
	return !vt_mount_there(*(uint64_t *)arg);
}

START_TEST(umount_with_orphan)
{
	uint64_t old = mount_id;
	struct vt_caller *c;

	ro_make(0);
	c = stuck(ZUFS_OP_UNLINK, ro_unlink, RS_HOLD_BEFORE);
	kill_and_join(c);
	vt_umount(MNT);
	ck_assert(vt_mount_there(old));
	ck_assert_int_eq(atomic_load(&rs->seen[ZUFS_OP_UMOUNT]), 0);
	/* the type serves another mount meanwhile */
	vt_mount(rs->options.type, "none", "second", NULL);
	vt_umount("second");
	ck_assert_int_eq(atomic_load(&rs->seen[ZUFS_OP_UMOUNT]), 1);
	rs_release(rs, 0);
	vt_await(mount_gone, &old, "the superblock to go");
	ck_assert_int_eq(atomic_load(&rs->seen[ZUFS_OP_UMOUNT]), 2);
	mount_it(NULL);
}
END_TEST

static bool none_held(void *unused)
{
	(void)unused;
	return !atomic_load(&rs->held);
}

START_TEST(aborted)
{
	struct vt_caller *orphan, *waiting, *blocked, *queued[16];
	int i;

	ro_make(0);
	orphan = stuck(ZUFS_OP_UNLINK, ro_unlink, RS_HOLD_BEFORE);
	kill_and_join(orphan);
	waiting = stuck(ZUFS_OP_STATFS, ro_statfs, RS_HOLD_BEFORE);
	blocked = vt_call(ro_mkdir_other, NULL, -1);
	vt_await_state(blocked->pid, "D");
	/* the rest fills all channels and waits for one */
	rs_hold(rs, ZUFS_OP_NOP, RS_HOLD_BEFORE, -1);
	for (i = 0; i < 16; i++)
		queued[i] = vt_call(ro_nop, NULL, i % vt_num_cpus());
	rs_await_held(rs, rs->num_channels);

	vt_abort(mount_id);
	ck_assert_int_eq(vt_join(waiting, NULL), -EIO);
	ck_assert_int_eq(vt_join(blocked, NULL), -EIO);
	for (i = 0; i < 16; i++)
		ck_assert_int_eq(vt_join(queued[i], NULL), -EIO);
	vt_await_number(mount_id, "orphans", 0);
	ck_assert_int_eq(ro_statfs(NULL), -EIO);
	vt_umount(MNT);
	/* late answers to a mount that is no more, which gives nothing back */
	rs_release(rs, 0);
	vt_await(none_held, NULL, "the late answers");
	rs->counts.handles = 0;
	rs->counts.opens = 0;
	mount_it(NULL);
	ro_make(1);
	ck_assert_int_eq(after_file(), 0);
}
END_TEST

START_TEST(umount_of_silent)
{
	struct vt_caller *c;
	int status;
	pid_t pid;

	/* the unmount itself waits, and can be killed: the server is told later */
	ro_make(0);
	rs_hold(rs, ZUFS_OP_UMOUNT, RS_HOLD_BEFORE, 1);
	pid = fork();
	if (!pid)
		_exit(-vt_try_umount(MNT, 0));
	rs_await_held(rs, 1);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	rs_release(rs, 0);

	/* and so can a mount: its server is told to forget it */
	rs_hold(rs, ZUFS_OP_MOUNT, RS_HOLD_BEFORE, 1);
	pid = fork();
	if (!pid)
		_exit(-vt_try_mount(rs->options.type, "none", MNT, NULL));
	rs_await_held(rs, 1);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	rs_release(rs, 0);
	rs_await(&rs->seen[ZUFS_OP_UMOUNT], 2);

	rs->counts.handles = 0;	/* UMOUNT ended all of them */
	mount_it(NULL);
	ro_make(1);
	c = stuck(ZUFS_OP_NOP, ro_nop, RS_HOLD_BEFORE);
	rs_release(rs, 0);
	ck_assert_int_eq(vt_join(c, NULL), 0);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 2 * vt_guard_s());
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test);
	suite_add_tcase(suite, tc);
}

int main(void)
{
	Suite *suite = suite_create("relay-kill");

	add(suite, "killed", killed);
	add(suite, "late error", late_error);
	add(suite, "interrupted", interrupted);
	add(suite, "deadline", deadline);
	add(suite, "busy", busy);
	add(suite, "unmount", umount_with_orphan);
	add(suite, "abort", aborted);
	add(suite, "silent unmount", umount_of_silent);
	return vt_main(suite);
}
