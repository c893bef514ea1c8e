// SPDX-License-Identifier: BSD-3-Clause
/* rawops.c - see rawops.h */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <check.h>

#include "rawops.h"
#include "vmtest.h"

struct ro_paths ro;

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

long ro_nop(void *unused)
{
	(void)unused;
	return with_fd(ro.base, O_RDONLY, use_nop);
}

long ro_lookup(void *unused)
{
	struct stat st;

	(void)unused;
	return ret(stat(ro.known, &st));
}

long ro_getattr(void *unused)
{
	struct statx stx;

	(void)unused;
	return ret(statx(AT_FDCWD, ro.file, AT_STATX_FORCE_SYNC, STATX_ALL, &stx));
}

long ro_chmod(void *unused)
{
	(void)unused;
	return ret(chmod(ro.file, 0600));
}

long ro_chown(void *unused)
{
	(void)unused;
	return ret(chown(ro.file, 12, 34));
}

long ro_truncate(void *unused)
{
	(void)unused;
	return ret(truncate(ro.file, 10));
}

long ro_create(void *unused)
{
	(void)unused;
	return with_fd(ro.fresh, O_CREAT | O_EXCL | O_RDWR, NULL);
}

long ro_mkdir(void *unused)
{
	(void)unused;
	return ret(mkdir(ro.fresh, 0755));
}

long ro_mkdir_other(void *unused)
{
	(void)unused;
	return ret(mkdir(ro.other, 0755));
}

long ro_mknod(void *unused)
{
	(void)unused;
	return ret(mknod(ro.fresh, S_IFIFO | 0644, 0));
}

long ro_symlink(void *unused)
{
	(void)unused;
	return ret(symlink("target", ro.fresh));
}

long ro_link(void *unused)
{
	(void)unused;
	return ret(link(ro.file, ro.fresh));
}

long ro_unlink(void *unused)
{
	(void)unused;
	return ret(unlink(ro.file));
}

long ro_rmdir(void *unused)
{
	(void)unused;
	return ret(rmdir(ro.sub));
}

long ro_rename(void *unused)
{
	(void)unused;
	return ret(rename(ro.file, ro.fresh));
}

long ro_readdir(void *unused)
{
	(void)unused;
	return with_fd(ro.base, O_RDONLY | O_DIRECTORY, use_getdents);
}

long ro_readlink(void *unused)
{
	char buf[100];

	(void)unused;
	return ret(readlink(ro.link, buf, sizeof(buf)));
}

long ro_open(void *unused)
{
	(void)unused;
	return with_fd(ro.file, O_RDWR, NULL);
}

long ro_read(void *unused)
{
	(void)unused;
	return with_fd(ro.file, O_RDONLY, use_read);
}

long ro_write(void *unused)
{
	(void)unused;
	return with_fd(ro.file, O_RDWR, use_write);
}

long ro_fsync(void *unused)
{
	(void)unused;
	return with_fd(ro.file, O_RDONLY, use_fsync);
}

long ro_syncfs(void *unused)
{
	(void)unused;
	return with_fd(ro.base, O_RDONLY, use_syncfs);
}

long ro_statfs(void *unused)
{
	struct statfs st;

	(void)unused;
	return ret(statfs(RO_MNT, &st));
}

long ro_remount(void *unused)
{
	(void)unused;
	return ret(mount(NULL, RO_MNT, NULL, MS_REMOUNT, NULL));
}

/* ------------------------------------------------------------------ the objects */

void ro_set_paths(int number)
{
	snprintf(ro.base, sizeof(ro.base), RO_MNT "/k%d", number);
	snprintf(ro.file, sizeof(ro.file), "%s/file", ro.base);
	snprintf(ro.sub, sizeof(ro.sub), "%s/sub", ro.base);
	snprintf(ro.fresh, sizeof(ro.fresh), "%s/fresh", ro.base);
	snprintf(ro.other, sizeof(ro.other), "%s/other", ro.base);
	snprintf(ro.known, sizeof(ro.known), RO_MNT "/f%d", number);
	snprintf(ro.link, sizeof(ro.link), RO_MNT "/l%d", number);
}

void ro_make(int number)
{
	struct stat st;
	int fd;

	ro_set_paths(number);
	ck_assert_int_eq(mkdir(ro.base, 0755), 0);
	ck_assert_int_eq(mkdir(ro.sub, 0755), 0);
	ck_assert_int_eq(lstat(ro.link, &st), 0);
	fd = open(ro.file, O_CREAT | O_RDWR, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, ro.base, strlen(ro.base)), (ssize_t)strlen(ro.base));
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	close(fd);
}

/* -------------------------------------------------------------------- the table */

#define OP(n, o) { #n, ZUFS_OP_##o, ro_##n }
const struct ro_op ro_ops[] = {
	OP(nop, NOP), OP(lookup, LOOKUP), OP(getattr, GETATTR), OP(chmod, SETATTR),
	OP(truncate, SETATTR), OP(create, CREATE), OP(mkdir, MKDIR), OP(mknod, MKNOD),
	OP(symlink, SYMLINK), OP(link, LINK), OP(unlink, UNLINK), OP(rmdir, RMDIR),
	OP(rename, RENAME), OP(readdir, READDIR), OP(readlink, READLINK), OP(open, OPEN),
	OP(read, MAP), OP(write, WRITE), OP(fsync, FSYNC), OP(syncfs, SYNCFS),
	OP(statfs, STATFS), OP(remount, REMOUNT),
};
const int ro_num_ops = (int)(sizeof(ro_ops) / sizeof(ro_ops[0]));
