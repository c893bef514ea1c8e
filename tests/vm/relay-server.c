// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a server cannot get in its own way, nor in another's: its tasks get EDEADLK
 *	on its own mounts; one without privilege brings no devices and no suid; two
 *	serve side by side; the module goes when it may, and comes again.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rawops.h"
#include "rawserver.h"
#include "vmtest.h"

static struct rs *rs;
static uint64_t mount_id;
static char type[16];

static void start(const struct rs_options *options)
{
	struct rs_options o = *options;

	snprintf(type, sizeof(type), "zraw%d", getpid());
	o.type = type;
	o.files = 8;
	o.links = 8;
	ro_set_paths(0);	/* the server's own calls use them */
	rs = rs_start(&o);
	vt_mount(type, "none", RO_MNT, NULL);
	mount_id = vt_mount_id();
	ro_make(0);
}

static void stop(void)
{
	vt_umount(RO_MNT);
	ck_assert_int_eq(rs_stop(rs), 0);
}

/* ---------------------------------------------------------------------- EDEADLK */

static long own_call(struct rs *server, void *arg)
{
	(void)server;
	return (*(long (**)(void *))arg)(NULL);
}

static long in_server(long (*act)(void *unused))
{
	return rs_call(rs, own_call, &act, sizeof(act));
}

static long own_mount(void *unused)
{
	(void)unused;
	return vt_try_mount(type, "none", "again", NULL);
}

static long own_read_of_open(void *fd)
{
	char c;

	return pread(*(int *)fd, &c, 1, 0) < 0 ? -errno : 0;
}

static long own_open_and_read(void *unused)
{
	int fd = open(ro.file, O_RDWR);
	long r;

	(void)unused;
	if (fd < 0)
		return -errno;
	r = own_read_of_open(&fd);
	if (r == -EDEADLK && pwrite(fd, "x", 1, 0) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* From a thread that has a request of the very mount. */
static enum rs_next hook_own_call(struct rs_channel *ch, struct rf_msg *m)
{
	(void)m;
	atomic_store(&ch->rs->user[0], (uint32_t)-ro_mkdir(NULL));
	atomic_store(&ch->rs->user[1], (uint32_t)-ro_lookup(NULL));
	return RS_REPLY;
}

static long child_call(void *unused)
{
	pid_t pid = fork();
	int status;

	(void)unused;
	if (!pid)
		_exit(-(int)ro_mkdir(NULL));
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? -WEXITSTATUS(status) :
								      -EPROTO;
}

START_TEST(own_mount_is_refused)
{
	struct rs_script s = { .times = 1, .hook = hook_own_call };
	int i;

	start(&(struct rs_options) { .channels = 2 });
	for (i = 0; i < ro_num_ops; i++) {
		long err = in_server(ro_ops[i].act);

		/* these two want OPEN's and FSYNC's feature, or need no server */
		if (!strcmp(ro_ops[i].name, "open") || !strcmp(ro_ops[i].name, "fsync") ||
		    !strcmp(ro_ops[i].name, "syncfs"))
			continue;
		ck_assert_msg(err == -EDEADLK, "%s by the server itself: %ld", ro_ops[i].name,
			      err);
	}
	ck_assert_int_eq(in_server(own_open_and_read), -EDEADLK);
	ck_assert_int_eq(in_server(own_mount), -EDEADLK);
	rs_arm(rs, ZUFS_OP_STATFS, &s);
	ck_assert_int_eq(ro_statfs(NULL), 0);
	ck_assert_int_eq((int)rs->user[0], EDEADLK);
	ck_assert_int_eq((int)rs->user[1], EDEADLK);
	/* a child has an mm of its own */
	ck_assert_int_eq(in_server(child_call), 0);
	ck_assert_int_eq(ro_mkdir(NULL), -EEXIST);
	stop();
}
END_TEST

static long own_umount(void *unused)
{
	(void)unused;
	return vt_try_umount(RO_MNT, 0);
}

/* It cannot be refused any more when the superblock goes, and must not hang. */
START_TEST(own_umount_ends)
{
	start(&(struct rs_options) { .channels = 1 });
	ck_assert_int_eq(in_server(own_umount), 0);
	/* and it is told all the same */
	rs_await(&rs->seen[ZUFS_OP_UMOUNT], 1);
	ck_assert(!vt_mount_there(mount_id));
	ck_assert_int_eq(rs->counts.handles, 0);
	ck_assert_int_eq(rs_stop(rs), 0);
}
END_TEST

/* ------------------------------------------------------------------- unprivileged */

START_TEST(untrusted)
{
	struct stat st;
	int fd;

	ck_assert_int_eq(chmod("/dev/zuf", 0666), 0);
	start(&(struct rs_options) { .specials = 2, .uid = 65534 });
	ck_assert_int_eq(chmod("/dev/zuf", 0600), 0);
	ck_assert_int_eq(stat(RO_MNT "/s0", &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0755);
	ck_assert_int_eq(stat(RO_MNT "/c0", &st), 0);
	fd = open(RO_MNT "/c0", O_RDWR);
	ck_assert(fd < 0 && errno == EACCES);
	ck_assert(mknod(RO_MNT "/null", S_IFCHR | 0666, makedev(1, 3)) && errno == EPERM);
	ck_assert_int_eq(mknod(RO_MNT "/fifo", S_IFIFO | 0666, 0), 0);
	ck_assert_int_eq(chmod(RO_MNT "/fifo", 06777), 0);
	ck_assert_int_eq(stat(RO_MNT "/fifo", &st), 0);
	ck_assert_int_eq(st.st_mode & 07000, 0);
	stop();
	/* one of root's has both */
	start(&(struct rs_options) { .specials = 2 });
	ck_assert_int_eq(stat(RO_MNT "/s0", &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 06755);
	fd = open(RO_MNT "/c0", O_RDWR);
	ck_assert_int_ge(fd, 0);
	close(fd);
	stop();
}
END_TEST

/* --------------------------------------------------------------------- side by side */

START_TEST(two_servers)
{
	struct rs *second;
	struct vt_caller *c;
	uint64_t second_id;
	char other[24];
	struct stat st;
	int fd;

	start(&(struct rs_options) { .channels = ZUFS_CHANNELS_PER_CPU_MAX });
	snprintf(other, sizeof(other), "%s-b", type);
	second = rs_start(&(struct rs_options) { .type = other, .files = 4,
						 .channels = ZUFS_CHANNELS_PER_CPU_MAX });
	vt_mount(other, "none", "second", NULL);
	second_id = vt_mount_id();
	ck_assert_uint_ne(second_id, mount_id);
	ck_assert_int_eq(stat("second/f3", &st), 0);
	/* one is silent: the other does not notice, nor does it notice its death */
	rs_hold(rs, ZUFS_OP_STATFS, RS_HOLD_BEFORE, -1);
	c = vt_call(ro_statfs, NULL, -1);
	rs_await_held(rs, 1);
	fd = open("second", O_RDONLY);
	ck_assert_int_eq(vt_nop(fd, 4), 0);
	rs_kill(second);
	ck_assert_int_eq(vt_nop(fd, 4), -EIO);
	close(fd);
	ck_assert(!atomic_load(&c->done));
	rs_release(rs, 0);
	ck_assert_int_eq(vt_join(c, NULL), 0);
	vt_umount("second");
	ck_assert(!vt_type_known(other));
	/* the first takes the second's name over, and serves both */
	ck_assert_int_eq(ro_mkdir(NULL), 0);
	stop();
}
END_TEST

static long register_other(struct rs *server, void *name)
{
	return rs_register(server->server_fd, name, ZUFS_REG_NODEV);
}

START_TEST(two_types)
{
	char other[24];
	struct stat st;

	start(&(struct rs_options) { .channels = 1 });
	snprintf(other, sizeof(other), "%s-b", type);
	ck_assert_int_eq(rs_call(rs, register_other, other, sizeof(other)), 0);
	vt_mount(other, "none", "second", NULL);
	ck_assert_int_eq(stat("second/f3", &st), 0);
	vt_umount("second");
	stop();
	ck_assert(!vt_type_known(other));
}
END_TEST

/* -------------------------------------------------------------------------- module */

static int module_remove(void)
{
	return syscall(SYS_delete_module, "zuf", O_NONBLOCK) ? -errno : 0;
}

static int module_insert(void)
{
	char path[256];
	int fd, err;

	snprintf(path, sizeof(path), "%s/zuf/%s/zuf.ko", getenv("BUILD"), getenv("VM_KERNEL"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return err;
}

START_TEST(busy)
{
	int dev, fd;

	start(&(struct rs_options) { .channels = 1 });
	ck_assert_int_eq(module_remove(), -EAGAIN);
	fd = open(RO_MNT, O_RDONLY);
	ck_assert_int_eq(vt_try_umount(RO_MNT, MNT_DETACH), 0);
	rs_kill(rs);
	/* a mount without a name, of a server that is dead */
	ck_assert_int_eq(module_remove(), -EAGAIN);
	dev = open("/dev/zuf", O_RDWR | O_CLOEXEC);
	close(fd);
	ck_assert_int_eq(module_remove(), -EAGAIN);
	close(dev);
	ck_assert_int_eq(vt_module_unload(), 0);
	ck_assert(access("/dev/zuf", F_OK));
	ck_assert(access("/sys/fs/zuf", F_OK));
	ck_assert_int_eq(module_insert(), 0);
}
END_TEST

START_TEST(load_unload)
{
	int i;

	for (i = 0; i < 20; i++) {
		start(&(struct rs_options) { .channels = 1 });
		ck_assert_int_eq(ro_mkdir(NULL), 0);
		/* orderly, or with a dead server */
		if (i % 2) {
			stop();
		} else {
			rs_kill(rs);
			vt_umount(RO_MNT);
		}
		ck_assert_int_eq(module_remove(), 0);
		ck_assert_int_eq(module_insert(), 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("relay-server");
	TCase *tc = tcase_create("server");

	tcase_set_timeout(tc, 2 * vt_guard_s());
	tcase_add_test(tc, own_mount_is_refused);
	tcase_add_test(tc, own_umount_ends);
	tcase_add_test(tc, untrusted);
	tcase_add_test(tc, two_servers);
	tcase_add_test(tc, two_types);
	tcase_add_test(tc, busy);
	tcase_add_test(tc, load_unload);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
