// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a read or a write whose buffer takes for ever to come holds up nobody: recalls of
 *	the file it is of are acknowledged meanwhile, the mount goes (lazily), and the
 *	caller can be killed. When the buffer does come, the bytes are right. While a
 *	buffer is pinned by direct I/O of another file, its block is not given back.
 * Method: buffers are mappings of another file of zufs and of the file itself, whose maps
 *	the server holds back, of a FUSE file that does not answer (slowfuse.h), and of a
 *	region whose userfaultfd nobody serves.
 * TIMEOUT: 90
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rawlease.h"
#include "slowfuse.h"
#include "vmtest.h"

#define BLOCK		4096ul
#define FILE_BYTES	(16 * BLOCK)
#define FUSE_DIR	"fuse"

static struct rs *rs;
static struct sf *sf;
static uint64_t mount_id;
static _Atomic uint32_t *asked;		/* userfaultfd has an event */

enum source { OTHER_FILE, SAME_FILE, FUSE_FILE, USERFAULT, NUM_SOURCES };

static const char *const sources[] = {
	"another file", "the file itself", "a FUSE file", "a userfaultfd region",
};

struct io {
	enum source source;
	bool write;
};

/* -------------------------------------------------------------------- buffers */

static void *fault_thread(void *arg)
{
	struct pollfd pfd = { .fd = *(int *)arg, .events = POLLIN };

	if (poll(&pfd, 1, -1) == 1)
		atomic_store(asked, 1);
	return NULL;
}

static char *map_userfault(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	static int fd;
	pthread_t thread;
	char *map = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (map == MAP_FAILED || fd < 0 || ioctl(fd, UFFDIO_API, &api))
		return NULL;
	reg.range.start = (uintptr_t)map;
	reg.range.len = FILE_BYTES;
	if (ioctl(fd, UFFDIO_REGISTER, &reg) ||
	    pthread_create(&thread, NULL, fault_thread, &fd))
		return NULL;
	return map;
}

static char *map_path(const char *path, int prot, int flags)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char *map;

	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	map = mmap(NULL, FILE_BYTES, prot, flags, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

static char *map_source(const struct io *io)
{
	switch (io->source) {
	case OTHER_FILE:
		return map_path(RL_MNT "/f1", PROT_READ | PROT_WRITE, MAP_SHARED);
	case SAME_FILE:
		return map_path(RL_MNT "/f0", PROT_READ | PROT_WRITE, MAP_SHARED);
	case FUSE_FILE:
		return map_path(FUSE_DIR "/cached", PROT_READ | PROT_WRITE, MAP_PRIVATE);
	case USERFAULT:
		return map_userfault();
	default:
		return NULL;
	}
}

/* In a process of its own: one block of f0, by a buffer that is not there. */
static long do_io(void *arg)
{
	const struct io *io = arg;
	char *buf = map_source(io);
	int fd = open(RL_MNT "/f0", O_RDWR | O_CLOEXEC);
	ssize_t done;

	if (!buf || fd < 0)
		return -ENXIO;
	if (io->write)
		done = pwrite(fd, buf + 2 * BLOCK, BLOCK, 4 * BLOCK);
	else
		done = pread(fd, buf + 2 * BLOCK, BLOCK, 4 * BLOCK);
	return done < 0 ? -errno : done;
}

/* ---------------------------------------------------------------------- tests */

static void recall_all(void)
{
	struct zufs_recall recall = { .cookie = 99 };

	rl_recall_file(rs, 0);
	rl_await_done(rs, 1);
	ck_assert_int_eq(rl_recall(rs, &recall), 0);
	rl_await_done(rs, 99);
}

/* The source's blocks are not yet asked for, those of f0 that are copied are leased. */
static void prepare(const struct io *io)
{
	char buf[FILE_BYTES];
	int fd = open(RL_MNT "/f0", O_RDWR), other = open(RL_MNT "/f1", O_RDWR);

	ck_assert(fd >= 0 && other >= 0);
	memset(buf, 'o', sizeof(buf));
	ck_assert_int_eq(pwrite(other, buf, sizeof(buf), 0), sizeof(buf));
	memset(buf, 's', sizeof(buf));
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
	close(fd);
	close(other);
	recall_all();
	atomic_store(asked, 0);
	if (io->source == OTHER_FILE || io->source == SAME_FILE)
		rs_hold(rs, ZUFS_OP_MAP, RS_HOLD_BEFORE, 1);
	else if (io->source == FUSE_FILE)
		sf_hold(sf);
}

static bool was_asked(void *unused)
{
	(void)unused;
	return atomic_load(asked);
}

static void await_blocked(const struct io *io)
{
	if (io->source == FUSE_FILE)
		sf_await_held(sf, 1);
	else if (io->source == USERFAULT)
		vt_await(was_asked, NULL, "the userfaultfd's event");
	else
		rs_await_held(rs, 1);
}

static void release(const struct io *io)
{
	if (io->source == FUSE_FILE)
		sf_release(sf);
	else
		rs_release(rs, 0);
	rl_leased(rs);
}

static char byte_of(const char *path, off_t off)
{
	int fd = open(path, O_RDONLY);
	char byte;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, off), 1);
	close(fd);
	return byte;
}

/* What f0's block becomes where the write was done. */
static char written_byte(enum source source)
{
	return source == OTHER_FILE ? 'o' : source == FUSE_FILE ? SF_BYTE : 's';
}

static void drop_fuse_pages(void)
{
	vt_write("/proc/sys/vm/drop_caches", "1");
}

static void one(const struct io *io, bool kill_it)
{
	struct vt_caller *caller;
	bool killed;
	long result;

	printf("%s %s%s\n", io->write ? "write from" : "read into", sources[io->source],
	       kill_it ? ", killed" : "");
	drop_fuse_pages();
	prepare(io);
	caller = vt_call(do_io, (void *)io, -1);
	await_blocked(io);
	/* with its caller inside, f0's leases, and everybody's, can be taken back */
	recall_all();
	ck_assert_int_eq(atomic_load(&caller->done), 0);
	ck_assert_int_eq(vt_try_umount(RL_MNT, 0), -EBUSY);
	if (kill_it) {
		kill(caller->pid, SIGKILL);
		result = vt_join(caller, &killed);
		ck_assert_msg(killed, "%s: it ended with %ld", sources[io->source], result);
		release(io);
		ck_assert_int_eq(byte_of(RL_MNT "/f0", 4 * BLOCK), 's');
	} else {
		release(io);
		result = vt_join(caller, &killed);
		ck_assert_int_eq(result, BLOCK);
		ck_assert_int_eq(byte_of(RL_MNT "/f0", 4 * BLOCK),
				 io->write ? written_byte(io->source) : 's');
		if (!io->write && io->source == OTHER_FILE)
			ck_assert_int_eq(byte_of(RL_MNT "/f1", 2 * BLOCK), 's');
	}
	recall_all();
}

START_TEST(buffer_that_does_not_come)
{
	struct io *io = vt_shared(sizeof(*io));

	io->source = (enum source)(_i / 2);
	io->write = _i % 2;
	one(io, true);
	if (io->source != USERFAULT)
		one(io, false);
}
END_TEST

/* umount -l with the caller inside; the mount goes when he does. */
START_TEST(umount_meanwhile)
{
	struct io *io = vt_shared(sizeof(*io));
	struct vt_caller *caller;
	uint64_t id = vt_mount_id();
	bool killed;

	io->source = USERFAULT;
	io->write = true;
	prepare(io);
	caller = vt_call(do_io, io, -1);
	await_blocked(io);
	ck_assert_int_eq(vt_try_umount(RL_MNT, MNT_DETACH), 0);
	rl_recall_file(rs, 0);
	rl_await_done(rs, 1);
	ck_assert(vt_mount_there(id));
	kill(caller->pid, SIGKILL);
	vt_join(caller, &killed);
	ck_assert(killed);
	while (vt_mount_there(id))
		vt_futex_wait(asked, 1, 2);
	vt_mkfs("/dev/pmem0", "zraw");
	vt_mount("zraw", "/dev/pmem0", RL_MNT, NULL);
}
END_TEST

/* A read of a FUSE file, which pins the buffer as long as it takes: a mapping of f0. */
static long do_direct(void *arg)
{
	char *map = map_path(RL_MNT "/f0", PROT_READ | PROT_WRITE, MAP_SHARED);
	int fd = open(FUSE_DIR "/direct", O_RDONLY | O_CLOEXEC);
	ssize_t done;

	(void)arg;
	if (!map || fd < 0)
		return -ENXIO;
	done = pread(fd, map + 2 * BLOCK, BLOCK, 0);
	return done < 0 ? -errno : done;
}

static bool pinned_waits_beyond(void *arg)
{
	struct zufs_recall_done done;

	if (vt_lease(mount_id, "pinned_waits") > *(long *)arg)
		return true;
	ck_assert_msg(rl_done(rs, &done) == -EAGAIN,
		      "the recall was acknowledged under direct I/O to the page");
	return false;
}

START_TEST(direct_io_of_another_file)
{
	struct io io = { .source = FUSE_FILE };
	struct zufs_recall_done done;
	struct vt_caller *caller;
	long before;
	bool killed;

	prepare(&io);
	before = vt_lease(mount_id, "pinned_waits");
	caller = vt_call(do_direct, NULL, -1);
	sf_await_held(sf, 1);
	rl_recall_file(rs, 0);
	vt_await(pinned_waits_beyond, &before, "the recall to wait for the page");
	ck_assert_int_eq(rl_done(rs, &done), -EAGAIN);
	release(&io);
	ck_assert_int_eq(vt_join(caller, &killed), BLOCK);
	rl_await_done(rs, 1);
	/* what came that way moves with the file */
	rl_move(rs, 0, 40, 0xdd);
	ck_assert_int_eq(byte_of(RL_MNT "/f0", 2 * BLOCK), SF_BYTE);
	ck_assert_int_eq(byte_of(RL_MNT "/f0", 3 * BLOCK), 's');
}
END_TEST

/* The block that was asked for alone. */
static enum rs_next one_block(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_map_in *in = m->in;
	struct zufs_extent *ext = m->out_payload;

	(void)ch;
	ext->dev_off += in->off / BLOCK * BLOCK - ext->file_off;
	ext->file_off = in->off / BLOCK * BLOCK;
	ext->len_bytes = BLOCK;
	ext->flags = ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W;
	return RS_REPLY;
}

static long do_direct_two(void *arg)
{
	char *map = map_path(RL_MNT "/f1", PROT_READ | PROT_WRITE, MAP_SHARED);
	int fd = open(FUSE_DIR "/direct", O_RDONLY | O_CLOEXEC);
	ssize_t done;

	(void)arg;
	if (!map || fd < 0)
		return -ENXIO;
	*(volatile char *)(map + 2 * BLOCK) = 'x';
	done = pread(fd, map + 2 * BLOCK, 2 * BLOCK, 0);
	return done < 0 ? -errno : done;
}

struct try_end {
	int err;
	struct zufs_recall_done done;
};

static bool try_ended(void *arg)
{
	struct try_end *end = arg;

	end->err = rl_done(rs, &end->done);
	return !end->err;
}

/*
 * The first page of a buffer is pinned, the map of the second is still to come, when both
 * are taken back by a server that only tries: it is told, and the second page comes.
 */
START_TEST(direct_io_half_pinned)
{
	long before = vt_lease(mount_id, "pinned_waits");
	const struct zufs_recall recall = { .ino = 3, .gen = 1, .flags = ZUFS_RECALL_TRY };
	struct try_end end = { .err = -EAGAIN };
	struct vt_caller *caller;
	bool killed;

	recall_all();
	sf_hold(sf);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = -1, .skip = 1,
						      .hook = one_block,
						      .hold = RS_HOLD_BEFORE });
	caller = vt_call(do_direct_two, NULL, -1);
	rs_await_held(rs, 1);
	ck_assert_int_eq(rl_recall(rs, &recall), 0);
	vt_await(try_ended, &end, "the end of the recall");
	ck_assert_int_eq(end.done.err, -EBUSY);
	ck_assert_int_eq(vt_lease(mount_id, "pinned_waits"), before + 1);
	rs_release(rs, 0);
	rl_leased(rs);
	sf_await_held(sf, 1);
	sf_release(sf);
	ck_assert_int_eq(vt_join(caller, &killed), 2 * BLOCK);
	rl_recall_file(rs, 1);
	rl_await_done(rs, 2);
	rl_move(rs, 1, 41, 0xdd);
	ck_assert_int_eq(byte_of(RL_MNT "/f1", 2 * BLOCK), SF_BYTE);
	ck_assert_int_eq(byte_of(RL_MNT "/f1", 4 * BLOCK - 1), SF_BYTE);
}
END_TEST

static void setup(void)
{
	asked = vt_shared(sizeof(*asked));
	rs = rl_start(2, &mount_id);
	sf = sf_start(FUSE_DIR);
}

static void teardown(void)
{
	sf_stop(sf);
	rl_stop(rs);
}

int main(void)
{
	Suite *suite = suite_create("lease-buffers");
	TCase *tc = tcase_create("buffers");

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, buffer_that_does_not_come, 0, 2 * NUM_SOURCES);
	tcase_add_test(tc, direct_io_of_another_file);
	tcase_add_test(tc, direct_io_half_pinned);
	tcase_add_test(tc, umount_meanwhile);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
