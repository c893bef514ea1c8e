// SPDX-License-Identifier: BSD-3-Clause
/* vmtest.c - see vmtest.h */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zufs_media.h>
#include <zus_api.h>

#include "vmtest.h"

#define MOUNTS	"/sys/fs/zuf/mounts"

/* -------------------------------------------------------------- time and chance */

bool vt_debug_kernel(void)
{
	const char *kernel = getenv("VM_KERNEL");

	return kernel && !strcmp(kernel, "debug");
}

unsigned int vt_guard_s(void)
{
	return vt_debug_kernel() ? 120 : 30;
}

uint64_t vt_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t random_state;

void vt_random_seed(uint64_t seed)
{
	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
}

/* splitmix64 */
uint64_t vt_random(void)
{
	const char *text = getenv("ZUFS_SEED");
	uint64_t x, seed;

	if (!random_state) {
		seed = text ? strtoull(text, NULL, 0) : 1;
		printf("seed %llu (ZUFS_SEED)\n", (unsigned long long)seed);
		vt_random_seed(seed);
	}
	x = random_state += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

void *vt_shared(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(mem, MAP_FAILED);
	return mem;
}

/* ---------------------------------------------------------------------- waiting */

void vt_futex_wait(_Atomic uint32_t *word, uint32_t value, unsigned int ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	syscall(SYS_futex, word, FUTEX_WAIT, value, &ts, NULL, 0);
}

void vt_futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void vt_await(bool (*done)(void *arg), void *arg, const char *what)
{
	uint64_t end = vt_now_ns() + (uint64_t)vt_guard_s() * 1000000000u;

	while (!done(arg)) {
		ck_assert_msg(vt_now_ns() < end, "waited %u s for %s", vt_guard_s(), what);
		usleep(2000);
	}
}

int vt_try_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

void vt_write(const char *path, const char *text)
{
	int err = vt_try_write(path, text);

	ck_assert_msg(!err, "%s > %s: %s", text, path, strerror(-err));
}

const char *vt_read(const char *path)
{
	static char buf[16384];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t bytes = 0, got;

	buf[0] = 0;
	if (fd < 0)
		return buf;
	while ((got = read(fd, buf + bytes, sizeof(buf) - 1 - (size_t)bytes)) > 0)
		bytes += got;
	close(fd);
	if (bytes && buf[bytes - 1] == '\n')
		bytes--;
	buf[bytes] = 0;
	return buf;
}

/* ---------------------------------------------------------------------- callers */

int vt_num_cpus(void)
{
	return (int)sysconf(_SC_NPROCESSORS_CONF);
}

void vt_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ck_assert_msg(!sched_setaffinity(0, sizeof(set), &set), "cannot run on CPU %d: %s", cpu,
		      strerror(errno));
}

struct vt_caller *vt_call(long (*fn)(void *arg), void *arg, int cpu)
{
	struct vt_caller *c = vt_shared(sizeof(*c));
	pid_t pid;

	c->cpu = cpu;
	c->fn = fn;
	c->arg = arg;
	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid) {
		c->pid = pid;
		/* a short call may have ended by now */
		while (!atomic_load(&c->running))
			vt_futex_wait(&c->running, 0, 100);
		return c;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cpu >= 0)
		vt_pin(cpu);
	c->called_ns = vt_now_ns();
	atomic_store(&c->running, 1);
	vt_futex_wake(&c->running);
	atomic_store(&c->result, c->fn(c->arg));
	c->returned_ns = vt_now_ns();
	atomic_store(&c->done, 1);
	vt_futex_wake(&c->done);
	_exit(0);
}

static bool caller_ended(void *arg)
{
	struct vt_caller *c = arg;
	siginfo_t info = { 0 };

	return !waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid;
}

long vt_join(struct vt_caller *c, bool *killed)
{
	long result;
	int status;

	vt_await(caller_ended, c, "a caller's end");
	ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
	if (killed)
		*killed = WIFSIGNALED(status);
	result = WIFSIGNALED(status) ? -EINTR : atomic_load(&c->result);
	munmap(c, sizeof(*c));
	return result;
}

static bool caller_done(void *arg)
{
	struct vt_caller *c = arg;

	if (!atomic_load(&c->done))
		vt_futex_wait(&c->done, 0, 20);
	return atomic_load(&c->done);
}

void vt_await_done(struct vt_caller *c)
{
	vt_await(caller_done, c, "a caller's answer");
}

char vt_state(pid_t pid)
{
	char path[64], line[512] = "", *p;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, line, sizeof(line) - 1) < 0)
		line[0] = 0;
	close(fd);
	p = strrchr(line, ')');
	return p && p[1] ? p[2] : 0;
}

struct await_state {
	pid_t pid;
	const char *states;
};

static bool state_reached(void *arg)
{
	struct await_state *a = arg;
	char state = vt_state(a->pid);

	return state && strchr(a->states, state);
}

void vt_await_state(pid_t pid, const char *states)
{
	struct await_state a = { pid, states };

	vt_await(state_reached, &a, "a task's state");
}

/* -------------------------------------------------------------------- module */

static int shell(const char *command)
{
	char line[512];
	int status;

	snprintf(line, sizeof(line), "bash -c '. \"$TOP/tests/vm/lib.sh\"; %s'", command);
	/* the shell library is what is wanted, by root, in a guest of its own */
	status = system(line);	/* NOLINT(cert-env33-c) */
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void vt_module_load(void)
{
	if (access("/sys/module/zuf", F_OK) && shell("zuf_load")) {
		fprintf(stderr, "cannot load the module\n");
		exit(1);
	}
}

void vt_fuse_load(void)
{
	ck_assert_int_eq(shell("modprobe fuse"), 0);
}

int vt_module_unload(void)
{
	uint64_t end = vt_now_ns() + (uint64_t)vt_guard_s() * 1000000000u;
	int err;

	/* the last references may go in a worker */
	do {
		if (!syscall(SYS_delete_module, "zuf", O_NONBLOCK))
			return 0;
		err = -errno;
		usleep(10000);
	} while (err == -EAGAIN && vt_now_ns() < end);
	return err;
}

/* --------------------------------------------------------------------- mounts */

int vt_try_mount(const char *type, const char *source, const char *dir, const char *options)
{
	mkdir(dir, 0755);
	return mount(source, dir, type, 0, options) ? -errno : 0;
}

void vt_mount(const char *type, const char *source, const char *dir, const char *options)
{
	int err = vt_try_mount(type, source, dir, options);

	ck_assert_msg(!err, "mount -t %s %s: %s", type, source, strerror(-err));
}

int vt_try_umount(const char *dir, int flags)
{
	return umount2(dir, flags) ? -errno : 0;
}

void vt_umount(const char *dir)
{
	int err = vt_try_umount(dir, 0);

	ck_assert_msg(!err, "umount %s: %s", dir, strerror(-err));
}

uint64_t vt_mount_id(void)
{
	DIR *dir = opendir(MOUNTS);
	struct dirent *de;
	uint64_t newest = 0;

	while (dir && (de = readdir(dir))) {
		uint64_t id = strtoull(de->d_name, NULL, 10);

		newest = id > newest ? id : newest;
	}
	if (dir)
		closedir(dir);
	return newest;
}

bool vt_mount_there(uint64_t id)
{
	char path[128];

	snprintf(path, sizeof(path), MOUNTS "/%llu", (unsigned long long)id);
	return !access(path, F_OK);
}

long vt_mount_number(uint64_t id, const char *file)
{
	char path[128];
	const char *text;

	snprintf(path, sizeof(path), MOUNTS "/%llu/%s", (unsigned long long)id, file);
	text = vt_read(path);
	return *text ? strtol(text, NULL, 10) : -1;
}

struct await_number {
	uint64_t id;
	const char *file;
	long number;
};

static bool number_reached(void *arg)
{
	struct await_number *a = arg;

	return vt_mount_number(a->id, a->file) == a->number;
}

void vt_await_number(uint64_t id, const char *file, long number)
{
	struct await_number a = { id, file, number };
	char what[80];

	snprintf(what, sizeof(what), "%s to become %ld", file, number);
	vt_await(number_reached, &a, what);
}

/* The number behind "NAME " at the start of one of the text's lines; -1. */
static long labelled(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (; *text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : "")
		if (!strncmp(text, name, len) && text[len] == ' ')
			return strtol(text + len + 1, NULL, 10);
	return -1;
}

long vt_rule(uint64_t id, const char *rule)
{
	char path[128];
	long count;

	snprintf(path, sizeof(path), MOUNTS "/%llu/rules", (unsigned long long)id);
	count = labelled(vt_read(path), rule);
	ck_assert_msg(count >= 0, "there is no rule '%s'", rule);
	return count;
}

long vt_lease(uint64_t id, const char *name)
{
	char path[128];
	long count;

	snprintf(path, sizeof(path), MOUNTS "/%llu/leases", (unsigned long long)id);
	count = labelled(vt_read(path), name);
	ck_assert_msg(count >= 0, "leases are not counted as '%s'", name);
	return count;
}

long vt_op_count(uint64_t id, const char *op)
{
	char path[128];
	long count;

	snprintf(path, sizeof(path), MOUNTS "/%llu/ops/%s", (unsigned long long)id, op);
	count = labelled(vt_read(path), "count");
	ck_assert_msg(count >= 0, "there are no statistics of '%s'", op);
	return count;
}

void vt_abort(uint64_t id)
{
	char path[128];

	snprintf(path, sizeof(path), MOUNTS "/%llu/abort", (unsigned long long)id);
	vt_write(path, "1");
}

bool vt_type_known(const char *type)
{
	const char *text = vt_read("/proc/filesystems"), *p = text;
	size_t len = strlen(type);

	while ((p = strstr(p, type))) {
		if (p > text && p[-1] == '\t' && (p[len] == '\n' || !p[len]))
			return true;
		p += len;
	}
	return false;
}

/* -------------------------------------------------------------------- devices */

static uint32_t crc32c(const void *data, size_t bytes)
{
	const uint8_t *p = data;
	uint32_t crc = ~0u;
	int bit;

	while (bytes--) {
		crc ^= *p++;
		for (bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
	}
	return ~crc;
}

void vt_mkfs(const char *device, const char *type)
{
	struct zufs_devtable table = {
		.magic = ZUFS_DEVTABLE_MAGIC, .major = ZUFS_DEVTABLE_MAJOR,
		.minor = ZUFS_DEVTABLE_MINOR, .seq = 1, .fs_uuid = { 1, 2, 3 },
		.num_devices = 1, .self = 0, .created_ns = 1,
	};
	int fd = open(device, O_RDWR | O_CLOEXEC), copy;
	off_t bytes;

	ck_assert_msg(fd >= 0, "%s: %s", device, strerror(errno));
	bytes = lseek(fd, 0, SEEK_END);
	snprintf(table.fs_type, sizeof(table.fs_type), "%s", type);
	table.dev[0] = (struct zufs_devtable_entry) {
		.uuid = { 9, 9, 9 }, .size_bytes = (uint64_t)bytes,
		.data_off = ZUFS_DEVICE_ALIGN_BYTES, .tier = 1, .numa_node = 0xffffffff,
	};
	table.crc32c = crc32c(&table, sizeof(table));
	for (copy = 0; copy < (int)ZUFS_DEVTABLE_COPIES; copy++)
		ck_assert_int_eq(pwrite(fd, &table, sizeof(table),
					(off_t)ZUFS_DEVTABLE_OFF((unsigned int)copy)),
				 sizeof(table));
	ck_assert_int_eq(fsync(fd), 0);
	close(fd);
}

int vt_nop(int fd, uint64_t cookie)
{
	struct zufs_nop nop = { .cookie = cookie };

	if (ioctl(fd, ZUFS_IOC_NOP, &nop))
		return -errno;
	return nop.cookie == cookie ? 0 : -EBADMSG;
}

/* ----------------------------------------------------------------------- main */

int vt_run(Suite *suite)
{
	SRunner *sr = srunner_create(suite);
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}

int vt_main(Suite *suite)
{
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	vt_module_load();
	/* after a failure mounts may be left, which the runner takes away */
	if (vt_run(suite))
		return 1;
	err = vt_module_unload();
	if (err) {
		fprintf(stderr, "the module cannot be removed: %s\n", strerror(-err));
		return 1;
	}
	return 0;
}

int vt_data_main(Suite *suite)
{
	const char *dir = getenv("DATA_DIR");

	if (!dir || chdir(dir)) {
		fprintf(stderr, "DATA_DIR names no directory\n");
		return 2;
	}
	return vt_run(suite);
}
