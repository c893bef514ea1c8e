/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rawops.h - a system call for each operation of the ABI that a caller can wait in,
 * on objects of a filesystem of rawserver.h mounted on RO_MNT.
 */
#ifndef RAWOPS_H
#define RAWOPS_H

#include <zus_api.h>

#define RO_MNT	"mnt"

/* What the calls work on: below RO_MNT/kN, and fN and lN of the populated ones. */
struct ro_paths {
	char base[32], file[48], sub[48], fresh[48], other[48], known[32], link[32];
};
extern struct ro_paths ro;

/* Only the names below, for a process that shall use what ro_make() will make. */
void ro_set_paths(int number);

/* Make directory kN with a file of 4096 bytes and an empty directory in it. */
void ro_make(int number);

/* 0 or -errno. One request of the operation each, after those of the path. */
long ro_nop(void *unused);
long ro_lookup(void *unused);
long ro_getattr(void *unused);
long ro_chmod(void *unused);
long ro_chown(void *unused);
long ro_truncate(void *unused);
long ro_create(void *unused);
long ro_mkdir(void *unused);
long ro_mkdir_other(void *unused);
long ro_mknod(void *unused);
long ro_symlink(void *unused);
long ro_link(void *unused);
long ro_unlink(void *unused);
long ro_rmdir(void *unused);
long ro_rename(void *unused);
long ro_readdir(void *unused);
long ro_readlink(void *unused);
long ro_open(void *unused);
long ro_read(void *unused);
long ro_write(void *unused);
long ro_fsync(void *unused);
long ro_syncfs(void *unused);
long ro_statfs(void *unused);
long ro_remount(void *unused);

struct ro_op {
	const char *name;
	unsigned int op;
	long (*act)(void *unused);
};
extern const struct ro_op ro_ops[];
extern const int ro_num_ops;

#endif /* RAWOPS_H */
