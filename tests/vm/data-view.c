// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: the server's view of a device (MAP_DEVICE) is the memory that the files' data
 *	are copied to, is mapped by huge pages, is refused to everybody else, ends where
 *	the device does, and is gone with the mount; ADD_DEVICE after the mount is
 *	refused.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zufs_media.h>

#include "rawserver.h"
#include "vmtest.h"

#define MNT	"mnt"
#define BLOCK	4096ul
#define HUGE	(2ul << 20)
#define DEVICE	"/dev/pmem0"

static struct rs *rs;
static uint64_t mount_id;

/* What follows up to the tests runs in the server. */
static int file_fd = -1;
static struct zufs_map_device view;
static char *base;
static sigjmp_buf on_sigbus;

static void sigbus(int signo)
{
	siglongjmp(on_sigbus, signo);
}

static int try_load(const volatile char *addr)
{
	if (sigsetjmp(on_sigbus, 1))
		return -1;
	return (unsigned char)*addr;
}

static long open_view(struct rs *server, void *arg)
{
	struct zufs_mount_file file = { .mount = *(uint64_t *)arg };
	struct sigaction action = { .sa_handler = sigbus };

	if (sigaction(SIGBUS, &action, NULL) ||
	    ioctl(server->server_fd, ZUFS_IOC_MOUNT_FILE, &file))
		return -errno;
	file_fd = file.fd;
	if (ioctl(file_fd, ZUFS_IOC_MAP_DEVICE, &view))
		return -errno;
	base = mmap(NULL, view.size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_fd,
		    (off_t)view.mmap_off);
	return base == MAP_FAILED ? -errno : 0;
}

static long unknown_mount(struct rs *server, void *arg)
{
	struct zufs_mount_file file = { .mount = *(uint64_t *)arg };

	return ioctl(server->server_fd, ZUFS_IOC_MOUNT_FILE, &file) ? -errno : 0;
}

static long refused(struct rs *server, void *unused)
{
	struct zufs_map_device other = { .dev = 1 }, flags = { .flags = 1 };
	struct zufs_add_device add = { .fd = 0 };

	(void)server;
	(void)unused;
	if (!ioctl(file_fd, ZUFS_IOC_MAP_DEVICE, &other) || errno != ENXIO)
		return 1;
	if (!ioctl(file_fd, ZUFS_IOC_MAP_DEVICE, &flags) || errno != EINVAL)
		return 2;
	if (!ioctl(file_fd, ZUFS_IOC_HELLO, &other) || errno != ENOTTY)
		return 3;
	add.fd = open("/dev/pmem1", O_RDWR);
	if (!ioctl(file_fd, ZUFS_IOC_ADD_DEVICE, &add) || errno != EINVAL)
		return 4;
	close(add.fd);
	if (mmap(NULL, BLOCK, PROT_READ, MAP_PRIVATE, file_fd, (off_t)view.mmap_off) !=
	    MAP_FAILED || errno != EINVAL)
		return 5;
	if (mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, file_fd,
		 (off_t)(view.mmap_off + (1ul << 53))) != MAP_FAILED || errno != ENXIO)
		return 6;
	return 0;
}

/* Another process has no right to the file; it has not inherited the mapping. */
static long in_a_child(struct rs *server, void *unused)
{
	int status;
	pid_t pid;

	(void)server;
	(void)unused;
	pid = fork();
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		if (!ioctl(file_fd, ZUFS_IOC_MAP_DEVICE, &view) || errno != EPERM)
			_exit(1);
		if (mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, file_fd, (off_t)view.mmap_off) !=
		    MAP_FAILED || errno != EPERM)
			_exit(2);
		_exit(msync(base, BLOCK, MS_ASYNC) && errno == ENOMEM ? 0 : 3);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return status;
}

static long read_table(struct rs *server, void *unused)
{
	(void)server;
	(void)unused;
	return *(__u64 *)base == ZUFS_DEVTABLE_MAGIC ? 0 : 1;
}

/* The first and the last page, and what lies behind. */
static long ends(struct rs *server, void *unused)
{
	char *more;
	int got;

	(void)server;
	(void)unused;
	if (try_load(base + view.size_bytes - 1) < 0)
		return 1;
	more = mmap(NULL, HUGE, PROT_READ, MAP_SHARED, file_fd,
		    (off_t)(view.mmap_off + view.size_bytes - BLOCK));
	if (more == MAP_FAILED)
		return -errno;
	got = try_load(more) < 0 ? 2 : try_load(more + BLOCK) >= 0 ? 3 : 0;
	munmap(more, HUGE);
	return got;
}

/* Faults of touching each page of 16 MiB. */
static long touch(struct rs *server, void *unused)
{
	struct rusage before, after;
	size_t off;

	(void)server;
	(void)unused;
	getrusage(RUSAGE_SELF, &before);
	for (off = 8 * HUGE; off < 16 * HUGE; off += BLOCK)
		(void)*(volatile char *)(base + off);
	getrusage(RUSAGE_SELF, &after);
	return after.ru_minflt - before.ru_minflt;
}

struct piece {
	uint64_t off;
	char bytes[64];
};

static long load(struct rs *server, void *arg)
{
	struct piece *piece = arg;

	(void)server;
	memcpy(piece->bytes, base + piece->off, sizeof(piece->bytes));
	return 0;
}

static long store(struct rs *server, void *arg)
{
	const struct piece *piece = arg;

	(void)server;
	memcpy(base + piece->off, piece->bytes, sizeof(piece->bytes));
	return 0;
}

/* 0: not one page of it is left. */
static long revoked(struct rs *server, void *unused)
{
	struct zufs_map_device again = { .dev = 0 };

	(void)server;
	(void)unused;
	if (try_load(base) >= 0 || try_load(base + 9 * HUGE) >= 0)
		return 1;
	if (!ioctl(file_fd, ZUFS_IOC_MAP_DEVICE, &again) || errno != EIO)
		return 2;
	if (mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, file_fd, (off_t)view.mmap_off) !=
	    MAP_FAILED)
		return 3;
	munmap(base, view.size_bytes);
	close(file_fd);
	return 0;
}

/* -------------------------------------------------------------------- tests */

/* The server's answer to the last MAP: where the file's first byte is. */
static enum rs_next remember(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_extent *ext = m->out_payload;

	ch->rs->user[0] = (uint32_t)(ext->dev_off / BLOCK);
	return RS_REPLY;
}

START_TEST(same_memory)
{
	struct piece piece = { .off = 0 };
	char bytes[64];
	int fd = open(MNT "/f0", O_RDWR);

	ck_assert_int_ge(fd, 0);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = 1, .hook = remember });
	ck_assert_int_eq(pwrite(fd, "by the caller", 14, 0), 14);
	piece.off = (uint64_t)rs->user[0] * BLOCK;
	ck_assert_int_eq(rs_call(rs, load, &piece, sizeof(piece)), 0);
	memcpy(&piece, rs->call_arg, sizeof(piece));
	ck_assert_str_eq(piece.bytes, "by the caller");
	snprintf(piece.bytes, sizeof(piece.bytes), "by the server");
	ck_assert_int_eq(rs_call(rs, store, &piece, sizeof(piece)), 0);
	ck_assert_int_eq(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	ck_assert_str_eq(bytes, "by the server");
	close(fd);
}
END_TEST

START_TEST(bounds)
{
	uint64_t other = mount_id + 1000;

	ck_assert_int_eq(rs_call(rs, unknown_mount, &other, sizeof(other)), -ENOENT);
	ck_assert_int_eq(rs_call(rs, read_table, NULL, 0), 0);
	ck_assert_int_eq(rs_call(rs, refused, NULL, 0), 0);
	ck_assert_int_eq(rs_call(rs, in_a_child, NULL, 0), 0);
	ck_assert_int_eq(rs_call(rs, ends, NULL, 0), 0);
}
END_TEST

START_TEST(huge_pages)
{
	ck_assert_int_le(rs_call(rs, touch, NULL, 0), 16);
}
END_TEST

START_TEST(gone_with_the_mount)
{
	vt_umount(MNT);
	ck_assert_int_eq(rs_call(rs, revoked, NULL, 0), 0);
	/* and the device can be had again */
	vt_mkfs(DEVICE, "zraw");
	vt_mount("zraw", DEVICE, MNT, NULL);
}
END_TEST

static void setup(void)
{
	vt_mkfs(DEVICE, "zraw");
	rs = rs_start(&(struct rs_options) { .device = true, .files = 1 });
	vt_mount("zraw", DEVICE, MNT, NULL);
	mount_id = vt_mount_id();
	ck_assert_int_eq(rs_call(rs, open_view, &mount_id, sizeof(mount_id)), 0);
}

static void teardown(void)
{
	vt_umount(MNT);
	ck_assert_int_eq(rs_stop(rs), 0);
}

int main(void)
{
	Suite *suite = suite_create("data-view");
	TCase *tc = tcase_create("view");

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_add_test(tc, same_memory);
	tcase_add_test(tc, bounds);
	tcase_add_test(tc, huge_pages);
	tcase_add_test(tc, gone_with_the_mount);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
