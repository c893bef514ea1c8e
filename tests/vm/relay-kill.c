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

#include "rawserver.h"
#include "vmtest.h"

#define MNT	"mnt"

static struct rs *rs;
static uint64_t mount_id;

/* Each case works below MNT/kN, with a file and an empty directory of its own. */
static char base[32], file[48], sub[48], fresh[48], other[48], known[32], symlink_path[32];

struct kill_case {
	const char *name;
	unsigned int op;
	long (*act)(void *unused);
	long (*second)(void *unused);	/* must wait for the late answer; or NULL */
	int (*after)(void);		/* 0: as the server has it */
};

static long ret(long r)
{
	return r < 0 ? -errno : 0;
}

/* --------------------------------------------------------------------- actions */

static long with_fd(const char *path, int flags, long (*use)(int fd))
{
	int fd = open(path, flags, 0644);
	long r;

	if (fd < 0)
		return -errno;
	r = use ? use(fd) : 0;
	close(fd);
	return r;
}

static long use_nop(int fd)
{
	return vt_nop(fd, 1);
}

static long use_read(int fd)
{
	char buf[100];

	return ret(pread(fd, buf, sizeof(buf), 0));
}

static long use_write(int fd)
{
	return ret(pwrite(fd, "twenty bytes written", 20, 4090));
}

static long use_getdents(int fd)
{
	char buf[4096];

	if (lseek(fd, 2, SEEK_SET) < 0)
		return -errno;
	return ret(syscall(SYS_getdents64, fd, buf, sizeof(buf)));
}

static long use_fsync(int fd)
{
	return ret(fsync(fd));
}

static long use_syncfs(int fd)
{
	return ret(syncfs(fd));
}

static long act_nop(void *unused)
{
	(void)unused;
	return with_fd(base, O_RDONLY, use_nop);
}

static long act_lookup(void *unused)
{
	struct stat st;

	(void)unused;
	return ret(stat(known, &st));
}

static long act_getattr(void *unused)
{
	struct statx stx;

	(void)unused;
	return ret(statx(AT_FDCWD, file, AT_STATX_FORCE_SYNC, STATX_ALL, &stx));
}

static long act_chmod(void *unused)
{
	(void)unused;
	return ret(chmod(file, 0600));
}

static long act_chown(void *unused)
{
	(void)unused;
	return ret(chown(file, 12, 34));
}

static long act_truncate(void *unused)
{
	(void)unused;
	return ret(truncate(file, 10));
}

static long act_create(void *unused)
{
	(void)unused;
	return with_fd(fresh, O_CREAT | O_EXCL | O_RDWR, NULL);
}

static long act_mkdir(void *unused)
{
	(void)unused;
	return ret(mkdir(fresh, 0755));
}

static long act_mkdir_other(void *unused)
{
	(void)unused;
	return ret(mkdir(other, 0755));
}

static long act_mknod(void *unused)
{
	(void)unused;
	return ret(mknod(fresh, S_IFIFO | 0644, 0));
}

static long act_symlink(void *unused)
{
	(void)unused;
	return ret(symlink("target", fresh));
}

static long act_link(void *unused)
{
	(void)unused;
	return ret(link(file, fresh));
}

static long act_unlink(void *unused)
{
	(void)unused;
	return ret(unlink(file));
}

static long act_rmdir(void *unused)
{
	(void)unused;
	return ret(rmdir(sub));
}

static long act_rename(void *unused)
{
	(void)unused;
	return ret(rename(file, fresh));
}

static long act_readdir(void *unused)
{
	(void)unused;
	return with_fd(base, O_RDONLY | O_DIRECTORY, use_getdents);
}

static long act_readlink(void *unused)
{
	char buf[100];

	(void)unused;
	return ret(readlink(symlink_path, buf, sizeof(buf)));
}

static long act_open(void *unused)
{
	(void)unused;
	return with_fd(file, O_RDWR, NULL);
}

static long act_read(void *unused)
{
	(void)unused;
	return with_fd(file, O_RDONLY, use_read);
}

static long act_write(void *unused)
{
	(void)unused;
	return with_fd(file, O_RDWR, use_write);
}

static long act_fsync(void *unused)
{
	(void)unused;
	return with_fd(file, O_RDONLY, use_fsync);
}

static long act_syncfs(void *unused)
{
	(void)unused;
	return with_fd(base, O_RDONLY, use_syncfs);
}

static long act_statfs(void *unused)
{
	struct statfs st;

	(void)unused;
	return ret(statfs(MNT, &st));
}

static long act_remount(void *unused)
{
	(void)unused;
	return ret(mount(NULL, MNT, NULL, MS_REMOUNT, NULL));
}

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
	return same(file);
}

static int after_chmod(void)
{
	struct stat st;

	return stat(file, &st) ? -errno : (st.st_mode & 07777) != 0600 ? -EBADMSG : same(file);
}

static int after_truncate(void)
{
	struct stat st;

	return stat(file, &st) ? -errno : st.st_size != 10 ? -EBADMSG : same(file);
}

static int after_fresh(void)
{
	int err = same(fresh);

	return err ? err : same(base);
}

static int after_unlink(void)
{
	int err = gone(file);

	return err ? err : same(base);
}

static int after_rmdir(void)
{
	int err = gone(sub);

	return err ? err : same(base);
}

static int after_rename(void)
{
	int err = gone(file);

	return err ? err : after_fresh();
}

static int after_write(void)
{
	char buf[32] = "";
	struct stat st;
	int fd, err = 0;

	if (stat(file, &st))
		return -errno;
	if (st.st_size != 4110)
		return -EBADMSG;
	fd = open(file, O_RDONLY);
	if (pread(fd, buf, sizeof(buf), 4090) != 20 ||
	    strcmp(buf, "twenty bytes written") != 0)
		err = -EBADMSG;
	close(fd);
	return err ? err : same(file);
}

#define OP(o) ZUFS_OP_##o
static const struct kill_case cases[] = {
	{ "nop", OP(NOP), act_nop, NULL, after_file },
	{ "lookup", OP(LOOKUP), act_lookup, NULL, after_file },
	{ "getattr", OP(GETATTR), act_getattr, NULL, after_file },
	{ "chmod", OP(SETATTR), act_chmod, act_chown, after_chmod },
	{ "truncate", OP(SETATTR), act_truncate, act_write, after_truncate },
	{ "create", OP(CREATE), act_create, act_mkdir_other, after_fresh },
	{ "mkdir", OP(MKDIR), act_mkdir, act_mkdir_other, after_fresh },
	{ "mknod", OP(MKNOD), act_mknod, act_rmdir, after_fresh },
	{ "symlink", OP(SYMLINK), act_symlink, act_unlink, after_fresh },
	{ "link", OP(LINK), act_link, act_chown, after_fresh },
	{ "unlink", OP(UNLINK), act_unlink, act_mkdir_other, after_unlink },
	{ "rmdir", OP(RMDIR), act_rmdir, act_unlink, after_rmdir },
	{ "rename", OP(RENAME), act_rename, act_mkdir_other, after_rename },
	{ "readdir", OP(READDIR), act_readdir, NULL, after_file },
	{ "readlink", OP(READLINK), act_readlink, NULL, after_file },
	{ "open", OP(OPEN), act_open, NULL, after_file },
	{ "read", OP(MAP), act_read, NULL, after_file },
	{ "write", OP(WRITE), act_write, act_truncate, after_write },
	{ "fsync", OP(FSYNC), act_fsync, NULL, after_file },
	{ "syncfs", OP(SYNCFS), act_syncfs, NULL, after_file },
	{ "statfs", OP(STATFS), act_statfs, NULL, after_file },
	{ "remount", OP(REMOUNT), act_remount, NULL, after_file },
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

static void subject(int number)
{
	struct stat st;
	int fd;

	snprintf(base, sizeof(base), MNT "/k%d", number);
	snprintf(file, sizeof(file), "%s/file", base);
	snprintf(sub, sizeof(sub), "%s/sub", base);
	snprintf(fresh, sizeof(fresh), "%s/fresh", base);
	snprintf(other, sizeof(other), "%s/other", base);
	snprintf(known, sizeof(known), MNT "/f%d", number);
	snprintf(symlink_path, sizeof(symlink_path), MNT "/l%d", number);
	ck_assert_int_eq(mkdir(base, 0755), 0);
	ck_assert_int_eq(mkdir(sub, 0755), 0);
	ck_assert_int_eq(lstat(symlink_path, &st), 0);
	fd = open(file, O_CREAT | O_RDWR, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, base, strlen(base)), (ssize_t)strlen(base));
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	close(fd);
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
	ck_assert_int_eq(act_statfs(NULL), 0);
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
		subject(2 * i);
		ns = kill_case(&cases[i], RS_HOLD_BEFORE);
		longest = ns > longest ? ns : longest;
		subject(2 * i + 1);
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

		subject(i);
		rs_arm(rs, cases[i].op, &(struct rs_script) {
			.times = 1, .hold = RS_HOLD_BEFORE, .err = -ENOSPC });
		c = vt_call(cases[i].act, NULL, -1);
		rs_await_held(rs, 1);
		kill_and_join(c);
		rs_release(rs, 0);
		vt_await_number(mount_id, "orphans", 0);
		ck_assert_int_eq(same(file), 0);
		ck_assert_int_eq(gone(fresh), 0);
		ck_assert_int_eq(same(sub), 0);
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

static long act_interruptible(void *unused)
{
	struct sigaction sa = { .sa_handler = on_signal };
	long r;

	sigaction(SIGINT, &sa, NULL);
	r = act_mkdir(unused);
	/* told apart from an error: the handler has run once */
	return handled == 1 ? r : -EPROTO;
}

START_TEST(interrupted)
{
	const struct rs_log *log;
	struct vt_caller *c;

	/* the server answers EINTR */
	subject(0);
	rs_arm(rs, ZUFS_OP_MKDIR, &(struct rs_script) {
		.times = 1, .skip = 0, .hold = RS_HOLD_INTERRUPT, .err = -EINTR });
	c = vt_call(act_interruptible, NULL, -1);
	rs_await_held(rs, 1);
	log = rs_last(rs, ZUFS_OP_MKDIR);
	ck_assert_int_eq(atomic_load(&rs->interrupts), 0);
	kill(c->pid, SIGINT);
	ck_assert_int_eq(vt_join(c, NULL), -EINTR);
	rs_await(&rs->interrupts, 1);
	ck_assert_uint_eq(atomic_load(&rs->interrupt_id), log->id);
	ck_assert_int_eq(gone(fresh), 0);

	/* it hears it, and goes on nevertheless */
	rs_hold(rs, ZUFS_OP_MKDIR, RS_HOLD_INTERRUPT, 1);
	c = vt_call(act_interruptible, NULL, -1);
	rs_await_held(rs, 1);
	kill(c->pid, SIGINT);
	ck_assert_int_eq(vt_join(c, NULL), 0);
	rs_await(&rs->interrupts, 2);
	ck_assert_int_eq(same(fresh), 0);

	/* it does not care: the caller waits, until it is killed */
	rs_hold(rs, ZUFS_OP_RMDIR, RS_HOLD_BEFORE, 1);
	c = vt_call(act_rmdir, NULL, -1);
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
	struct vt_caller *c;

	vt_umount(MNT);
	mount_it("deadline_ms=200");
	subject(0);
	c = stuck(ZUFS_OP_CREATE, act_create, RS_HOLD_BEFORE);
	ck_assert_int_eq(vt_join(c, NULL), -ETIMEDOUT);
	ck_assert_int_eq(vt_mount_number(mount_id, "orphans"), 1);
	/* who comes next waits for the late answer, and may be killed */
	c = vt_call(act_mkdir_other, NULL, -1);
	vt_await_state(c->pid, "D");
	kill_and_join(c);
	rs_release(rs, 0);
	vt_await_number(mount_id, "orphans", 0);
	ck_assert_int_eq(after_fresh(), 0);
	/* asked to come again and again until then */
	rs_arm(rs, ZUFS_OP_RENAME, &(struct rs_script) { .times = -1, .hook = answer_busy });
	ck_assert_int_eq(act_rename(NULL), -ETIMEDOUT);
	rs_disarm(rs, ZUFS_OP_RENAME);
}
END_TEST

START_TEST(busy)
{
	uint32_t seen;
	struct vt_caller *c;

	subject(0);
	rs_arm(rs, ZUFS_OP_STATFS, &(struct rs_script) { .times = 5, .hook = answer_busy });
	seen = atomic_load(&rs->seen[ZUFS_OP_STATFS]);
	ck_assert_int_eq(act_statfs(NULL), 0);
	ck_assert_uint_eq(atomic_load(&rs->seen[ZUFS_OP_STATFS]), seen + 6);

	rs_arm(rs, ZUFS_OP_STATFS, &(struct rs_script) { .times = -1, .hook = answer_busy });
	c = vt_call(act_statfs, NULL, -1);
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

	subject(0);
	c = stuck(ZUFS_OP_UNLINK, act_unlink, RS_HOLD_BEFORE);
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

	subject(0);
	orphan = stuck(ZUFS_OP_UNLINK, act_unlink, RS_HOLD_BEFORE);
	kill_and_join(orphan);
	waiting = stuck(ZUFS_OP_STATFS, act_statfs, RS_HOLD_BEFORE);
	blocked = vt_call(act_mkdir_other, NULL, -1);
	vt_await_state(blocked->pid, "D");
	/* the rest fills all channels and waits for one */
	rs_hold(rs, ZUFS_OP_NOP, RS_HOLD_BEFORE, -1);
	for (i = 0; i < 16; i++)
		queued[i] = vt_call(act_nop, NULL, i % vt_num_cpus());
	rs_await_held(rs, rs->num_channels);

	vt_abort(mount_id);
	ck_assert_int_eq(vt_join(waiting, NULL), -EIO);
	ck_assert_int_eq(vt_join(blocked, NULL), -EIO);
	for (i = 0; i < 16; i++)
		ck_assert_int_eq(vt_join(queued[i], NULL), -EIO);
	vt_await_number(mount_id, "orphans", 0);
	ck_assert_int_eq(act_statfs(NULL), -EIO);
	vt_umount(MNT);
	/* late answers to a mount that is no more, which gives nothing back */
	rs_release(rs, 0);
	vt_await(none_held, NULL, "the late answers");
	rs->counts.handles = 0;
	rs->counts.opens = 0;
	mount_it(NULL);
	subject(1);
	ck_assert_int_eq(after_file(), 0);
}
END_TEST

START_TEST(umount_of_silent)
{
	struct vt_caller *c;
	int status;
	pid_t pid;

	/* the unmount itself waits, and can be killed: the server is told later */
	subject(0);
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
	subject(1);
	c = stuck(ZUFS_OP_NOP, act_nop, RS_HOLD_BEFORE);
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
