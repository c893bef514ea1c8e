// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a server may invalidate, in the midst of any operation, the very names and inodes
 *	that its caller has locked, and even wait for the end there: neither waits for the
 *	other, and afterwards all is as the server has it. The same in libfuse's
 *	notify_inval_entry is a deadlock, which is shown too.
 * TIMEOUT: 90
 */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rawops.h"
#include "rawserver.h"
#include "vmtest.h"

#define INOS		100u	/* more than there ever are */
#define GENS		3u
#define FUSE_MNT	"fuse"

/* rs->user[] */
enum { USER_NUMBER, USER_ENDS, USER_WRONG };

static struct rs *rs;
static uint64_t mount_id;
static int mount_fd = -1;	/* in the server */

/* --------------------------------------------------------------- in the server */

static long open_mount_file(struct rs *server, void *arg)
{
	struct zufs_mount_file file = { .mount = *(uint64_t *)arg };

	if (ioctl(server->server_fd, ZUFS_IOC_MOUNT_FILE, &file))
		return -errno;
	mount_fd = file.fd;
	return fcntl(mount_fd, F_SETFL, O_NONBLOCK) ? -errno : 0;
}

static long queue(struct rs *server, void *arg)
{
	(void)server;
	return ioctl(mount_fd, ZUFS_IOC_INVALIDATE, arg) ? -errno : 0;
}

/* How many more have ended, waiting for the next one; -ETIMEDOUT, or another error. */
static long ends(struct rs *server, void *arg)
{
	struct pollfd fd = { .fd = mount_fd, .events = POLLIN };
	struct zufs_recall_done done;
	long count = 0;

	(void)server, (void)arg;
	if (poll(&fd, 1, (int)vt_guard_s() * 1000) != 1)
		return -ETIMEDOUT;
	while (read(mount_fd, &done, sizeof(done)) == sizeof(done)) {
		if (done.err)
			return done.err;
		count++;
	}
	return count;
}

static int drain(unsigned int *under_way)
{
	long ended = *under_way ? ends(NULL, NULL) : 0;

	if (ended < 0)
		return (int)ended;
	*under_way -= (unsigned int)ended;
	return 0;
}

static int invalidate(struct zufs_invalidate *what, unsigned int *under_way)
{
	int err = 0;

	while (!err && (err = (int)queue(NULL, what)) == -EBUSY)
		err = drain(under_way);
	*under_way += !err;
	return err;
}

/* Every name in every directory, every inode. */
static int invalidate_all(void)
{
	const char *const names[] = { ro.base, ro.file, ro.sub, ro.fresh, ro.other, ro.known, ro.link };
	struct zufs_invalidate what = { .cookie = 1 };
	unsigned int under_way = 0, i;
	int err = 0;

	for (what.ino = 1; what.ino <= INOS && !err; what.ino++) {
		for (what.gen = 1; what.gen <= GENS && !err; what.gen++) {
			what.flags = ZUFS_INVAL_INODE;
			what.event = ZUFS_EVENT_ATTRIB;
			what.name_bytes = 0;
			err = invalidate(&what, &under_way);
			what.flags = ZUFS_INVAL_NAME | ZUFS_INVAL_ATTR;
			what.event = ZUFS_EVENT_CREATE;
			for (i = 0; i < sizeof(names) / sizeof(names[0]) && !err; i++) {
				const char *name = strrchr(names[i], '/') + 1;

				what.name_bytes = (uint32_t)strlen(name);
				memcpy(what.name, name, what.name_bytes);
				err = invalidate(&what, &under_way);
			}
		}
	}
	while (under_way && !err)
		err = drain(&under_way);
	return err;
}

/* The operation is done, its caller holds its locks, and waits for the answer. */
static enum rs_next hook(struct rs_channel *ch, struct rf_msg *msg)
{
	int err;

	(void)msg;
	ro_set_paths((int)atomic_load(&ch->rs->user[USER_NUMBER]));
	err = invalidate_all();
	if (err)
		atomic_store(&ch->rs->user[USER_WRONG], (uint32_t)-err);
	atomic_fetch_add(&ch->rs->user[USER_ENDS], 1);
	return RS_REPLY;
}

/* ----------------------------------------------------------------------- zufs */

static void setup(void)
{
	rs = rs_start(&(struct rs_options) {
		.channels = 2, .files = 24, .links = 24,
		.features = ZUFS_MF_OPEN | ZUFS_MF_FSYNC | ZUFS_MF_SYNCFS,
	});
	vt_mount(rs->options.type, "none", RO_MNT, NULL);
	mount_id = vt_mount_id();
	ck_assert_int_eq(rs_call(rs, open_mount_file, &mount_id, sizeof(mount_id)), 0);
}

static void teardown(void)
{
	const struct rf_counts *counts = &rs->counts;

	vt_umount(RO_MNT);
	ck_assert(!counts->handles && !counts->opens && !counts->wild);
	ck_assert_int_eq(rs_stop(rs), 0);
}

/* What the kernel says of @path is what the server has; @there: that it is there. */
static void same(const char *op, const char *path, bool there)
{
	struct zufs_attr attr;
	struct stat st;
	int err = lstat(path, &st) ? errno : 0;

	ck_assert_msg(err == (there ? 0 : ENOENT), "%s: %s: %s", op, path, strerror(err));
	if (err)
		return;
	ck_assert_msg(!rs_attr(rs, st.st_ino, &attr), "%s: %s: the server has none", op, path);
	ck_assert_msg(st.st_mode == attr.mode && st.st_nlink == attr.nlink &&
		      (uint64_t)st.st_size == attr.size_bytes, "%s: %s: attributes", op, path);
}

static bool is(const char *op, const char *list)
{
	char word[32];

	snprintf(word, sizeof(word), " %s ", op);
	return strstr(list, word);
}

START_TEST(in_the_midst_of_each)
{
	int i;

	for (i = 0; i < ro_num_ops; i++) {
		const char *op = ro_ops[i].name;
		struct vt_caller *caller;
		uint32_t before;

		ro_make(i);
		before = atomic_load(&rs->user[USER_ENDS]);
		atomic_store(&rs->user[USER_NUMBER], (uint32_t)i);
		rs_arm(rs, ro_ops[i].op, &(struct rs_script) { .times = 1, .hook = hook });
		caller = vt_call(ro_ops[i].act, NULL, -1);
		ck_assert_msg(!vt_join(caller, NULL), "%s failed", op);
		rs_disarm(rs, ro_ops[i].op);
		ck_assert_msg(atomic_load(&rs->user[USER_ENDS]) > before, "%s: not hooked", op);
		ck_assert_msg(!atomic_load(&rs->user[USER_WRONG]), "%s: %s", op,
			      strerror((int)atomic_load(&rs->user[USER_WRONG])));
		same(op, ro.base, true);
		same(op, ro.file, !is(op, " unlink rename "));
		same(op, ro.sub, !is(op, " rmdir "));
		same(op, ro.fresh, is(op, " create mkdir mknod symlink link rename "));
	}
	printf("%d operations, of each all names and inodes invalidated\n", i);
}
END_TEST

/* ------------------------------------------------------------------- arguments */

#define NAMED(text)	.name_bytes = sizeof(text) - 1, .name = text

static const struct {
	const char *what;
	int err;
	struct zufs_invalidate wire;
} arguments[] = {
	{ "no inode", -EINVAL, { .flags = ZUFS_INVAL_ATTR } },
	{ "unknown flag", -EINVAL, { .ino = 1, .gen = 1, .flags = 0x20 } },
	{ "all flags", -EINVAL, { .ino = 1, .gen = 1, .flags = ~0u, NAMED("a") } },
	{ "reserved", -EINVAL, { .ino = 1, .gen = 1, .flags = 1, .reserved = 1 } },
	{ "unknown event", -EINVAL, { .ino = 1, .gen = 1, .flags = 1, .event = 7 } },
	{ "event of all ones", -EINVAL, { .ino = 1, .gen = 1, .flags = 1, .event = ~0u } },
	{ "event of a name without one", -EINVAL, { .ino = 1, .gen = 1, .flags = 1, .event = 1 } },
	{ "name without its flag", -EINVAL, { .ino = 1, .gen = 1, .flags = 1, NAMED("a") } },
	{ "no name", -EINVAL, { .ino = 1, .gen = 1, .flags = ZUFS_INVAL_NAME } },
	{ "name with a slash", -EINVAL, { .ino = 1, .gen = 1, .flags = ZUFS_INVAL_NAME, NAMED("a/b") } },
	{ "name with a NUL", -EINVAL, { .ino = 1, .gen = 1, .flags = ZUFS_INVAL_NAME, NAMED("a\0b") } },
	{ ".", -EINVAL, { .ino = 1, .gen = 1, .flags = ZUFS_INVAL_NAME, NAMED(".") } },
	{ "..", -EINVAL, { .ino = 1, .gen = 1, .flags = ZUFS_INVAL_NAME, NAMED("..") } },
	{ "name of 256 bytes", -EINVAL, { .ino = 1, .gen = 1, .flags = ZUFS_INVAL_NAME,
					  .name_bytes = 256, .name = { [0 ... 255] = 'x' } } },
	{ "name of 4 GiB", -EINVAL, { .ino = 1, .gen = 1, .flags = ZUFS_INVAL_NAME,
				      .name_bytes = ~0u, .name = "x" } },
	{ "name of 255 bytes", 0, { .ino = 1, .gen = 1, .flags = ZUFS_INVAL_NAME,
				    .name_bytes = 255, .name = { [0 ... 254] = 'x' } } },
	{ "nothing of the root", 0, { .ino = 1, .gen = 1 } },
	{ "the root by all its names", 0, { .ino = 1, .gen = 1, .flags = ZUFS_INVAL_INODE } },
	{ "a name in a file", 0, { .ino = 2, .gen = 1, .flags = ZUFS_INVAL_NAME, NAMED("a") } },
	{ "an event in a file", 0, { .ino = 2, .gen = 1, .flags = ZUFS_INVAL_NAME, .event = 1,
				     NAMED("a") } },
	{ "an inode that nobody has", 0, { .ino = 1u << 30, .gen = 1, .flags = ZUFS_INVAL_INODE } },
	{ "another generation", 0, { .ino = 1, .gen = 7, .flags = ZUFS_INVAL_INODE } },
	{ "a child that nobody has", 0, { .ino = 1, .gen = 1, .child_ino = 999, .event = 2,
					  .flags = ZUFS_INVAL_NAME, NAMED("a") } },
};

START_TEST(hostile_arguments)
{
	struct stat st;
	size_t i;

	ck_assert_int_eq(stat(RO_MNT "/f0", &st), 0);
	for (i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
		struct zufs_invalidate wire = arguments[i].wire;
		long err;

		wire.cookie = i + 1;
		err = rs_call(rs, queue, &wire, sizeof(wire));
		ck_assert_msg(err == arguments[i].err, "%s: %ld", arguments[i].what, err);
		if (!err)
			ck_assert_msg(rs_call(rs, ends, NULL, 0) == 1, "%s: no end",
				      arguments[i].what);
		ck_assert_msg(!stat(RO_MNT "/f0", &st), "%s: f0 is away", arguments[i].what);
	}
}
END_TEST

/* -------------------------------------------------------------------- libfuse */

static struct fuse_session *session;

static void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	fuse_reply_err(req, ENOENT);
}

static void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };

	(void)fi;
	fuse_reply_attr(req, &st, 1e9);
}

/* As a network filesystem's server might, that hears of another one's change. */
static void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)mode;
	fuse_lowlevel_notify_inval_entry(session, parent, name, strlen(name));
	fuse_reply_err(req, EEXIST);
}

static const struct fuse_lowlevel_ops fs_ops = {
	.lookup = fs_lookup, .getattr = fs_getattr, .mkdir = fs_mkdir,
};

static long fuse_serve(void *unused)
{
	char *argv[] = { "inval-calls", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);

	(void)unused;
	session = fuse_session_new(&args, &fs_ops, sizeof(fs_ops), NULL);
	if (!session || fuse_session_mount(session, FUSE_MNT))
		return -EIO;
	fuse_session_loop(session);
	return 0;
}

static long fuse_mkdir(void *unused)
{
	(void)unused;
	return mkdir(FUSE_MNT "/new", 0755) ? -errno : 0;
}

static bool fuse_is_up(void *unused)
{
	struct stat here, there;

	(void)unused;
	return !stat(".", &here) && !stat(FUSE_MNT, &there) && here.st_dev != there.st_dev;
}

START_TEST(libfuse_deadlocks)
{
	struct vt_caller *server, *caller;

	vt_fuse_load();
	ck_assert(!mkdir(FUSE_MNT, 0755) || errno == EEXIST);
	server = vt_call(fuse_serve, NULL, -1);
	vt_await(fuse_is_up, NULL, "the FUSE mount");
	caller = vt_call(fuse_mkdir, NULL, -1);
	/* it waits for the directory's lock, whose owner waits for it */
	vt_await_state(server->pid, "D");
	ck_assert(!atomic_load(&caller->done));
	/* nobody but an administrator ends that */
	ck_assert_int_eq(umount2(FUSE_MNT, MNT_FORCE | MNT_DETACH), 0);
	ck_assert_int_ne(vt_join(caller, NULL), 0);
	vt_join(server, NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inval-calls");
	TCase *zufs = tcase_create("zufs"), *fuse = tcase_create("libfuse");

	tcase_set_timeout(zufs, vt_guard_s());
	tcase_set_timeout(fuse, vt_guard_s());
	tcase_add_checked_fixture(zufs, setup, teardown);
	tcase_add_test(zufs, in_the_midst_of_each);
	tcase_add_test(zufs, hostile_arguments);
	suite_add_tcase(suite, zufs);
	tcase_add_test(fuse, libfuse_deadlocks);
	suite_add_tcase(suite, fuse);
	return vt_main(suite);
}
