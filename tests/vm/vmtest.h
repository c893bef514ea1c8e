/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmtest.h - what the C tests in the virtual machine share: waiting without
 * sleeping, callers in processes of their own, mounts, /sys/fs/zuf.
 *
 * All of it ends the test (libcheck) where something does not work at all.
 */
#ifndef VMTEST_H
#define VMTEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <check.h>

/* A hang guard, never a measure: longer than anything that works takes. */
unsigned int vt_guard_s(void);
uint64_t vt_now_ns(void);
bool vt_debug_kernel(void);

/*
 * Random numbers of the test, the same in each run: ZUFS_SEED or 1, which is
 * printed at the first use.
 */
uint64_t vt_random(void);
void vt_random_seed(uint64_t seed);	/* for a child of its own */

/* Shared with children; zeroed. */
void *vt_shared(size_t bytes);

void vt_futex_wait(_Atomic uint32_t *word, uint32_t value, unsigned int ms);
void vt_futex_wake(_Atomic uint32_t *word);

/*
 * Until @done(arg): looks again every 2 ms, fails the test after vt_guard_s()
 * naming @what.
 */
void vt_await(bool (*done)(void *arg), void *arg, const char *what);

void vt_write(const char *path, const char *text);	/* fails the test */
int vt_try_write(const char *path, const char *text);	/* 0 or -errno */
/* A file's text, with its last newline cut; in a static buffer; "": not there. */
const char *vt_read(const char *path);

/* ------------------------------------------------------------------ callers */

/* A process that makes one call, or many. */
struct vt_caller {
	pid_t pid;
	int cpu;			/* -1: anywhere */
	_Atomic uint32_t running;	/* just about to call */
	_Atomic uint32_t done;
	_Atomic long result;		/* what fn returned */
	uint64_t called_ns;
	uint64_t returned_ns;
	long (*fn)(void *arg);
	void *arg;
};

/* fork(); the child pins itself, says running, calls fn(arg) and ends. */
struct vt_caller *vt_call(long (*fn)(void *arg), void *arg, int cpu);
/* Wait for its end. Its result; or -EINTR if a signal killed it (*killed then). */
long vt_join(struct vt_caller *caller, bool *killed);
void vt_await_done(struct vt_caller *caller);
/* Until the kernel lets the task sleep in one of these states ("SD"). */
void vt_await_state(pid_t pid, const char *states);
char vt_state(pid_t pid);
void vt_pin(int cpu);
int vt_num_cpus(void);

/* ------------------------------------------------------- module and mounts */

/* Around all tests of a program; the module must go away in the end. */
void vt_module_load(void);

/* The kernel's FUSE, for what is compared with it. */
void vt_fuse_load(void);
int vt_module_unload(void);		/* 0 or -errno, tried for a while */

/* mount(2) on @dir, which is made. 0 or -errno. */
int vt_try_mount(const char *type, const char *source, const char *dir, const char *options);
void vt_mount(const char *type, const char *source, const char *dir, const char *options);
int vt_try_umount(const char *dir, int flags);
void vt_umount(const char *dir);

/* The kernel's id of the newest mount; 0: none. */
uint64_t vt_mount_id(void);
bool vt_mount_there(uint64_t id);
/* Number in /sys/fs/zuf/mounts/<id>/<file>; -1: not there. */
long vt_mount_number(uint64_t id, const char *file);
void vt_await_number(uint64_t id, const char *file, long number);
/* How often a reply of the mount broke the rule. */
long vt_rule(uint64_t id, const char *rule);
/* A number of "leases". */
long vt_lease(uint64_t id, const char *name);
/* "count" of ops/<op>. */
long vt_op_count(uint64_t id, const char *op);
void vt_abort(uint64_t id);
bool vt_type_known(const char *type);	/* in /proc/filesystems */

/* Write a device table for filesystem type @type on @device, as mkfs does. */
void vt_mkfs(const char *device, const char *type);

/* One NOP round on an open file of zufs: 0 or -errno. */
int vt_nop(int fd, uint64_t cookie);

/* Runs @suite and frees it; the program's exit status. */
int vt_run(Suite *suite);
/* The same: module in, tests, module out; the program's exit status. */
int vt_main(Suite *suite);
/* Runs @suite in the mounted folder $DATA_DIR; the program's exit status. */
int vt_data_main(Suite *suite);

#endif /* VMTEST_H */
