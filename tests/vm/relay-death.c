// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a server that dies, in whatever way, takes nothing with it: who waits for it
 *	gets EIO at once, umount works, the type goes when its last mount has gone,
 *	and so does the module. A thread or a channel that goes alone fails its own
 *	request only.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rawops.h"
#include "rawserver.h"
#include "vmtest.h"

static struct rs *rs;
static uint64_t mount_id;
static char type[16];

static void start(unsigned int channels, bool mounted)
{
	snprintf(type, sizeof(type), "zraw%d", getpid());
	rs = rs_start(&(struct rs_options) {
		.type = type, .channels = channels, .files = 64, .links = 64,
		.features = ZUFS_MF_OPEN | ZUFS_MF_FSYNC | ZUFS_MF_SYNCFS,
	});
	if (!mounted)
		return;
	vt_mount(type, "none", RO_MNT, NULL);
	mount_id = vt_mount_id();
}

static const char *mount_state(void)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/fs/zuf/mounts/%llu/state",
		 (unsigned long long)mount_id);
	return vt_read(path);
}

/* The server is dead, the mount is not. */
static void check_lost(void)
{
	struct stat st;
	int fd;

	ck_assert_str_eq(mount_state(), "lost");
	ck_assert(vt_type_known(type));
	ck_assert_int_eq(vt_mount_number(mount_id, "inflight"), 0);
	ck_assert(stat(RO_MNT "/unknown", &st) && errno == EIO);
	ck_assert(mkdir(RO_MNT "/new", 0755) && errno == EIO);
	ck_assert_int_eq(ro_statfs(NULL), -EIO);
	/* what the kernel knows it still says */
	ck_assert_int_eq(stat(RO_MNT, &st), 0);
	ck_assert_int_eq(vt_try_mount(type, "none", "another", NULL), -ECONNREFUSED);
	fd = open(RO_MNT, O_RDONLY);
	if (fd >= 0) {
		ck_assert_int_eq(vt_nop(fd, 1), -EIO);
		close(fd);
	}
}

static void check_unmounted(void)
{
	vt_umount(RO_MNT);
	ck_assert(!vt_mount_there(mount_id));
	ck_assert(!vt_type_known(type));
	ck_assert_int_eq(vt_try_mount(type, "none", "another", NULL), -ENODEV);
}

/* --------------------------------------------------------------- while callers wait */

/* One server for all: several callers in each operation, some in line behind them. */
START_TEST(killed_in_all)
{
	struct vt_caller *c[64];
	uint64_t begin, ns;
	int op, n = 0, i;

	start(ZUFS_CHANNELS_PER_CPU_MAX, true);
	for (op = 0; op < ro_num_ops; op++)
		ro_make(op);
	for (op = 1; op < (int)ZUFS_OP_COUNT; op++)
		if (op != ZUFS_OP_BATCH)
			rs_hold(rs, (unsigned int)op, RS_HOLD_BEFORE, -1);
	for (op = 0; op < ro_num_ops; op++) {
		snprintf(ro.base, sizeof(ro.base), RO_MNT "/k%d", op);
		snprintf(ro.file, sizeof(ro.file), "%s/file", ro.base);
		snprintf(ro.sub, sizeof(ro.sub), "%s/sub", ro.base);
		snprintf(ro.fresh, sizeof(ro.fresh), "%s/fresh", ro.base);
		snprintf(ro.known, sizeof(ro.known), RO_MNT "/f%d", op);
		snprintf(ro.link, sizeof(ro.link), RO_MNT "/l%d", op);
		for (i = 0; i < 2; i++)
			c[n++] = vt_call(ro_ops[op].act, NULL, (op + i) % vt_num_cpus());
	}
	for (i = 0; i < n; i++)
		vt_await_state(c[i]->pid, "SD");
	rs_await_held(rs, rs->num_channels);
	begin = vt_now_ns();
	rs_kill(rs);
	for (i = 0; i < n; i++) {
		long err = vt_join(c[i], NULL);

		ck_assert_msg(err == -EIO, "%s ended with %ld", ro_ops[i / 2].name, err);
	}
	ns = vt_now_ns() - begin;
	printf("%d callers got EIO, the last after %.1f ms\n", n, (double)ns / 1e6);
	check_lost();
	check_unmounted();
}
END_TEST

/* Each operation alone, before and after the server's work. */
START_TEST(killed_in_each)
{
	struct vt_caller *c;
	int op;

	for (op = 0; op < ro_num_ops; op++) {
		start(2, true);
		ro_make(op);
		rs_hold(rs, ro_ops[op].op, op % 2 ? RS_HOLD_BEFORE : RS_HOLD_AFTER, 1);
		c = vt_call(ro_ops[op].act, NULL, -1);
		rs_await_held(rs, 1);
		rs_kill(rs);
		ck_assert_int_eq(vt_join(c, NULL), -EIO);
		check_lost();
		check_unmounted();
	}
}
END_TEST

/* Orphans, who waits for them, and who waits for a channel. */
START_TEST(killed_with_orphans)
{
	struct vt_caller *c, *behind, *queued[8];
	int i;

	start(1, true);
	ro_make(0);
	rs_hold(rs, ZUFS_OP_UNLINK, RS_HOLD_BEFORE, 1);
	c = vt_call(ro_unlink, NULL, 0);
	rs_await_held(rs, 1);
	kill(c->pid, SIGKILL);
	vt_join(c, NULL);
	ck_assert_int_eq(vt_mount_number(mount_id, "orphans"), 1);
	behind = vt_call(ro_mkdir, NULL, -1);
	vt_await_state(behind->pid, "D");
	rs_hold(rs, ZUFS_OP_NOP, RS_HOLD_BEFORE, -1);
	for (i = 0; i < 8; i++)
		queued[i] = vt_call(ro_nop, NULL, i % vt_num_cpus());
	rs_await_held(rs, rs->num_channels);
	rs_kill(rs);
	ck_assert_int_eq(vt_join(behind, NULL), -EIO);
	for (i = 0; i < 8; i++)
		ck_assert_int_eq(vt_join(queued[i], NULL), -EIO);
	vt_await_number(mount_id, "orphans", 0);
	check_lost();
	check_unmounted();
}
END_TEST

/* An orphan keeps a superblock that is unmounted already: it goes with the server. */
static bool mount_gone(void *unused)
{
	(void)unused;
	return !vt_mount_there(mount_id);
}

START_TEST(killed_after_umount)
{
	struct vt_caller *c;

	start(2, true);
	ro_make(0);
	rs_hold(rs, ZUFS_OP_RENAME, RS_HOLD_BEFORE, 1);
	c = vt_call(ro_rename, NULL, 0);
	rs_await_held(rs, 1);
	kill(c->pid, SIGKILL);
	vt_join(c, NULL);
	vt_umount(RO_MNT);
	ck_assert(vt_mount_there(mount_id));
	rs_kill(rs);
	vt_await(mount_gone, NULL, "the superblock to go");
}
END_TEST

START_TEST(killed_while_mounting)
{
	pid_t pid;
	int status;

	start(1, false);
	rs_hold(rs, ZUFS_OP_MOUNT, RS_HOLD_BEFORE, 1);
	pid = fork();
	if (!pid)
		_exit(-vt_try_mount(type, "none", RO_MNT, NULL));
	rs_await_held(rs, 1);
	rs_kill(rs);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EIO);
	ck_assert(!vt_type_known(type));

	start(1, true);
	rs_hold(rs, ZUFS_OP_UMOUNT, RS_HOLD_BEFORE, 1);
	pid = fork();
	if (!pid)
		_exit(-vt_try_umount(RO_MNT, 0));
	rs_await_held(rs, 1);
	rs_kill(rs);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && !WEXITSTATUS(status));
	ck_assert(!vt_type_known(type));
}
END_TEST

/* ------------------------------------------------------------------- under load */

static _Atomic uint32_t *rounds, *made;

static long work(void *arg)
{
	long err = 0;
	char dir[32], sub[40], moved[40];
	struct stat st;

	vt_random_seed((uint64_t)(uintptr_t)arg + 100);
	snprintf(dir, sizeof(dir), RO_MNT "/w%d", getpid());
	snprintf(sub, sizeof(sub), "%s/a", dir);
	snprintf(moved, sizeof(moved), "%s/b", dir);
	if (mkdir(dir, 0755))
		return -errno;
	atomic_fetch_add(made, 1);
	vt_futex_wake(made);
	while (!err || err == -ENOENT || err == -EEXIST || err == -ENOTEMPTY) {
		int fd;

		err = 0;
		switch (vt_random() % 7) {
		case 0: err = mkdir(sub, 0755); break;
		case 1: err = rename(sub, moved); break;
		case 2: err = rmdir(moved); break;
		case 3: err = lstat(moved, &st); break;
		case 4: err = chmod(dir, 0700); break;
		case 5: err = ro_statfs(NULL) ? (errno = EIO, -1) : 0; break;
		case 6:
			fd = open(dir, O_RDONLY);
			if (fd < 0) {
				err = -1;
				break;
			}
			err = vt_nop(fd, 9) ? (errno = EIO, -1) : 0;
			close(fd);
			break;
		}
		err = err ? -errno : 0;
		atomic_fetch_add(rounds, 1);
		vt_futex_wake(rounds);
	}
	return err;
}

START_TEST(killed_under_load)
{
	int kills = vt_debug_kernel() ? 3 : 8, i, k;
	struct vt_caller *c[6];

	rounds = vt_shared(sizeof(*rounds));
	made = vt_shared(sizeof(*made));
	for (k = 0; k < kills; k++) {
		start(2, true);
		atomic_store(rounds, 0);
		atomic_store(made, 0);
		for (i = 0; i < 6; i++)
			c[i] = vt_call(work, (void *)(uintptr_t)(k * 6 + i), i % vt_num_cpus());
		/* the root is theirs no more, so that its attributes stay known */
		rs_await(made, 6);
		rs_await(rounds, 200 + (uint32_t)(vt_random() % 200));
		rs_kill(rs);
		for (i = 0; i < 6; i++)
			ck_assert_int_eq(vt_join(c[i], NULL), -EIO);
		check_lost();
		check_unmounted();
	}
}
END_TEST

/* ------------------------------------------------------------- other ways to die */

static long fork_heir(struct rs *server, void *unused)
{
	pid_t pid = fork();

	(void)unused;
	if (!pid) {
		/* with all its fds; not the mm, so no ioctl and no life */
		atomic_store(&server->user[0], ioctl(server->server_fd, ZUFS_IOC_STOP) ?
					       (uint32_t)errno : 0);
		atomic_store(&server->user[1], ioctl(server->channel[0].fd, ZUFS_IOC_WAIT, 0) ?
					       (uint32_t)errno : 0);
		pause();
		_exit(0);
	}
	return pid;
}

START_TEST(heir)
{
	struct vt_caller *c;
	pid_t pid;

	start(2, true);
	ro_make(0);
	pid = (pid_t)rs_call(rs, fork_heir, NULL, 0);
	ck_assert_int_gt(pid, 0);
	rs_await(&rs->user[1], 1);
	ck_assert_int_eq((int)rs->user[0], EPERM);
	ck_assert_int_eq((int)rs->user[1], EPERM);
	rs_hold(rs, ZUFS_OP_CREATE, RS_HOLD_BEFORE, 1);
	c = vt_call(ro_create, NULL, -1);
	rs_await_held(rs, 1);
	rs_kill(rs);
	ck_assert_int_eq(kill(pid, 0), 0);
	ck_assert_int_eq(vt_join(c, NULL), -EIO);
	check_lost();
	check_unmounted();
	/* another may take the name over while the heir still has the fds */
	rs = rs_start(&(struct rs_options) { .type = type });
	vt_mount(type, "none", RO_MNT, NULL);
	vt_umount(RO_MNT);
	rs_kill(rs);
	kill(pid, SIGKILL);
}
END_TEST

static long become_sleep(struct rs *server, void *unused)
{
	(void)server;
	(void)unused;
	execl("/bin/sleep", "sleep", "1000", NULL);
	return -errno;
}

/* exec ends the mm: the server is gone, its process is not. */
START_TEST(exec)
{
	struct vt_caller *c;

	start(2, true);
	ro_make(0);
	rs_hold(rs, ZUFS_OP_CREATE, RS_HOLD_BEFORE, 1);
	c = vt_call(ro_create, NULL, -1);
	rs_await_held(rs, 1);
	rs->call_fn = become_sleep;
	atomic_fetch_add(&rs->call_seq, 1);
	vt_futex_wake(&rs->call_seq);
	ck_assert_int_eq(vt_join(c, NULL), -EIO);
	check_lost();
	check_unmounted();
	ck_assert_int_eq(kill(rs->pid, 0), 0);
	rs_kill(rs);
}
END_TEST

static long close_device(struct rs *server, void *unused)
{
	(void)unused;
	return close(server->server_fd) ? -errno : 0;
}

/* The last close of /dev/zuf, with all threads alive. */
START_TEST(last_close)
{
	struct vt_caller *c;

	start(2, true);
	ro_make(0);
	rs_hold(rs, ZUFS_OP_CREATE, RS_HOLD_BEFORE, 1);
	c = vt_call(ro_create, NULL, -1);
	rs_await_held(rs, 1);
	ck_assert_int_eq(rs_call(rs, close_device, NULL, 0), 0);
	ck_assert_int_eq(vt_join(c, NULL), -EIO);
	check_lost();
	/* the answer that comes too late finds no request */
	rs_release(rs, 0);
	check_unmounted();
	rs_kill(rs);
}
END_TEST

START_TEST(stop_with_requests)
{
	struct vt_caller *c, *late;

	start(1, true);
	ro_make(0);
	rs_hold(rs, ZUFS_OP_MKDIR, RS_HOLD_BEFORE, 1);
	c = vt_call(ro_mkdir, NULL, 0);
	rs_await_held(rs, 1);
	/* every WAIT ends, but what was taken is answered first */
	ck_assert_int_eq(rs_stop(rs), 0);
	ck_assert_int_eq(vt_join(c, NULL), 0);
	late = vt_call(ro_rmdir, NULL, 0);
	ck_assert_int_eq(vt_join(late, NULL), -EIO);
	check_lost();
	check_unmounted();
}
END_TEST

/* ---------------------------------------------------- a thread or a channel alone */

static enum rs_next leave(struct rs_channel *ch, struct rf_msg *m)
{
	(void)ch;
	(void)m;
	return RS_LEAVE;
}

static enum rs_next drop_channel(struct rs_channel *ch, struct rf_msg *m)
{
	(void)m;
	munmap(ch->request, ZUFS_REGION_BYTES);
	munmap(ch->reply, ZUFS_REGION_BYTES);
	close(ch->fd);
	return RS_LEAVE;
}

static void check_alive(void)
{
	struct vt_caller *c;
	int cpu, i;

	for (i = 0; i < 4; i++) {
		for (cpu = 0; cpu < vt_num_cpus(); cpu++) {
			c = vt_call(ro_nop, NULL, cpu);
			ck_assert_int_eq(vt_join(c, NULL), 0);
		}
	}
}

/* All channels but one go, one after the other, each with a request. */
static void lose_channels(rs_hook how)
{
	unsigned int i;

	start(2, true);
	ro_make(0);
	for (i = 0; i + 1 < rs->num_channels; i++) {
		rs_arm(rs, ZUFS_OP_GETATTR, &(struct rs_script) { .times = 1, .hook = how });
		ck_assert_int_eq(ro_getattr(NULL), -EIO);
		check_alive();
	}
	ck_assert_int_eq(ro_getattr(NULL), 0);
	vt_umount(RO_MNT);
	rs_kill(rs);
}

START_TEST(thread_alone)
{
	lose_channels(leave);
}
END_TEST

START_TEST(channel_alone)
{
	lose_channels(drop_channel);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 3 * vt_guard_s());
	tcase_add_test(tc, test);
	suite_add_tcase(suite, tc);
}

int main(void)
{
	Suite *suite = suite_create("relay-death");

	add(suite, "in all", killed_in_all);
	add(suite, "in each", killed_in_each);
	add(suite, "orphans", killed_with_orphans);
	add(suite, "after umount", killed_after_umount);
	add(suite, "while mounting", killed_while_mounting);
	add(suite, "under load", killed_under_load);
	add(suite, "heir", heir);
	add(suite, "exec", exec);
	add(suite, "last close", last_close);
	add(suite, "stop", stop_with_requests);
	add(suite, "thread", thread_alone);
	add(suite, "channel", channel_alone);
	return vt_main(suite);
}
