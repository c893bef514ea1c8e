// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: /dev/zuf and its channels refuse what a server may not do, with the error
 *	that zus_api.h names, and go on.
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rawops.h"
#include "rawserver.h"
#include "vmtest.h"

static int device_open(void)
{
	int fd = open("/dev/zuf", O_RDWR | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "/dev/zuf: %s", strerror(errno));
	return fd;
}

static int call(int fd, unsigned long cmd, const void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

static int call_number(int fd, unsigned long cmd, unsigned long arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

/* A server of this process, without a type. */
static int server_open(void)
{
	struct zufs_hello hello;
	int fd = device_open();

	ck_assert_int_eq(rs_hello(fd, &hello), 0);
	return fd;
}

/* ------------------------------------------------------------------------ HELLO */

START_TEST(hello)
{
	struct zufs_hello h = { .major = ZUFS_ABI_MAJOR + 1, .minor = 7,
				.struct_bytes = sizeof(h) };
	int fd = device_open();

	/* both numbers stand in the answer: the server's, by who asks, and these */
	ck_assert_int_eq(call(fd, ZUFS_IOC_HELLO, &h), -EPROTO);
	ck_assert_int_eq(h.major, ZUFS_ABI_MAJOR);
	ck_assert_int_eq(h.minor, ZUFS_ABI_MINOR);
	h = (struct zufs_hello) { .major = 0, .struct_bytes = sizeof(h) };
	ck_assert_int_eq(call(fd, ZUFS_IOC_HELLO, &h), -EPROTO);
	h = (struct zufs_hello) { .major = ZUFS_ABI_MAJOR, .struct_bytes = sizeof(h) - 8 };
	ck_assert_int_eq(call(fd, ZUFS_IOC_HELLO, &h), -EPROTO);
	ck_assert_int_eq(call(fd, ZUFS_IOC_HELLO, NULL), -EFAULT);
	/* until then it is nobody */
	ck_assert_int_eq(call(fd, ZUFS_IOC_STOP, NULL), -EPERM);
	ck_assert_int_eq(rs_register(fd, "zrawx", ZUFS_REG_NODEV), -EPERM);

	h = (struct zufs_hello) { .major = ZUFS_ABI_MAJOR, .minor = 99,
				  .struct_bytes = sizeof(h) + 64, .features = ~0ull };
	ck_assert_int_eq(call(fd, ZUFS_IOC_HELLO, &h), 0);
	ck_assert_uint_eq(h.features, 2 * ZUFS_FEAT_LOCKS - 1);
	ck_assert_uint_eq(h.region_bytes, ZUFS_REGION_BYTES);
	ck_assert_uint_eq(h.page_bytes, (unsigned int)sysconf(_SC_PAGESIZE));
	ck_assert_uint_eq(h.channels_per_cpu_max, ZUFS_CHANNELS_PER_CPU_MAX);
	ck_assert_uint_eq(h.flags, ZUFS_HELLO_TRUSTED);
	ck_assert_int_eq(call(fd, ZUFS_IOC_HELLO, &h), -EBUSY);
	ck_assert_int_eq(call(fd, ZUFS_IOC_WAIT, NULL), -ENOTTY);
	ck_assert_int_eq(call(fd, _IO('Z', 0x4f), NULL), -ENOTTY);
	close(fd);
}
END_TEST

/* Minors are told, and only what both named is in use. */
START_TEST(hello_minors)
{
	static const struct { uint16_t minor; uint64_t named, agreed; } rows[] = {
		{ 0, 0, 0 },
		{ ZUFS_ABI_MINOR - 1, ZUFS_FEAT_LEASES, ZUFS_FEAT_LEASES },
		{ ZUFS_ABI_MINOR, 1ull << 63, 0 },
		{ ZUFS_ABI_MINOR + 1, ZUFS_FEAT_COW | 1ull << 62, ZUFS_FEAT_COW },
		{ 0xffff, ZUFS_FEAT_COPY | ZUFS_FEAT_IOCTL, ZUFS_FEAT_COPY | ZUFS_FEAT_IOCTL },
	};
	struct zufs_hello h;
	unsigned int i;
	int fd;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fd = device_open();
		h = (struct zufs_hello) { .major = ZUFS_ABI_MAJOR, .minor = rows[i].minor,
					  .struct_bytes = sizeof(h), .features = rows[i].named };
		ck_assert_int_eq(call(fd, ZUFS_IOC_HELLO, &h), 0);
		ck_assert_uint_eq(h.minor, ZUFS_ABI_MINOR);
		ck_assert_uint_eq(h.features, rows[i].agreed);
		close(fd);
	}
}
END_TEST

static enum rs_next hook_features(struct rs_channel *ch, struct rf_msg *m)
{
	((struct zufs_mount_out *)m->out)->features = 1ull << ch->rs->user[0];
	return RS_REPLY;
}

/* A server that named no feature of these may not ask for any of them in a mount. */
START_TEST(mount_asks_for_what_was_agreed)
{
	const uint64_t any = ZUFS_MF_OPEN | ZUFS_MF_FSYNC | ZUFS_MF_SYNCFS | ZUFS_MF_VOLATILE;
	struct rs *server = rs_start(&(struct rs_options) { .type = "zrawask" });
	uint32_t bit;
	int err;

	rs_arm(server, ZUFS_OP_MOUNT, &(struct rs_script) { .times = -1, .hook = hook_features });
	for (bit = 0; bit < 64; bit++) {
		atomic_store(&server->user[0], bit);
		err = vt_try_mount("zrawask", "none", RO_MNT, NULL);
		ck_assert_msg(err == (any >> bit & 1 ? 0 : -EIO), "bit %u: %d", bit, err);
		if (!err)
			vt_umount(RO_MNT);
	}
	ck_assert_int_eq(rs_stop(server), 0);
}
END_TEST

#define VAST	(1ull << 30)

static enum rs_next hook_vast(struct rs_channel *ch, struct rf_msg *m)
{
	(void)ch;
	((struct zufs_entry *)m->out)->attr.size_bytes = VAST;
	return RS_REPLY;
}

/* A hole, as far as was asked for; notes flags, and the longest that was. */
static enum rs_next hook_hole(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_map_in *in = m->in;
	struct zufs_map_out *out = m->out;

	*(struct zufs_extent *)m->out_payload = (struct zufs_extent) {
		.file_off = in->off, .len_bytes = in->len_bytes, .type = ZUFS_EXT_HOLE,
	};
	m->reply->err = 0;
	m->reply->payload_bytes = sizeof(struct zufs_extent);
	out->count = 1;
	atomic_fetch_or(&ch->rs->user[0], in->flags);
	if (in->len_bytes > ch->rs->user[1])
		atomic_store(&ch->rs->user[1], (uint32_t)in->len_bytes);
	return RS_REPLY;
}

/* What ABI 1.4 brought to MAP a server of 1.3 is not asked for. */
START_TEST(older_server_is_asked_as_before)
{
	const unsigned int since_3 = ZUFS_ABI_MINOR - 3;
	unsigned int older;
	struct rs *server;
	int fd;

	vt_mkfs("/dev/pmem0", "zrawold");
	for (older = 0; older <= since_3; older += since_3) {
		server = rs_start(&(struct rs_options) { .type = "zrawold", .device = true,
							 .files = 1, .older = older });
		vt_mount("zrawold", "/dev/pmem0", RO_MNT, NULL);
		rs_arm(server, ZUFS_OP_LOOKUP, &(struct rs_script) { .times = -1,
								     .hook = hook_vast });
		rs_arm(server, ZUFS_OP_MAP, &(struct rs_script) { .times = -1, .hook = hook_hole });
		fd = open(RO_MNT "/f0", O_RDONLY);
		ck_assert_int_ge(fd, 0);
		ck_assert(lseek(fd, 0, SEEK_DATA) < 0 && errno == ENXIO);
		ck_assert_uint_eq(server->user[0],
				  ZUFS_MAP_READ | (older ? 0 : ZUFS_MAP_REPORT));
		ck_assert_uint_eq(server->user[1], older ? ZUFS_MAP_MAX_BYTES : VAST);
		ck_assert_uint_eq(server->seen[ZUFS_OP_MAP],
				  older ? VAST / ZUFS_MAP_MAX_BYTES : 1);
		close(fd);
		vt_umount(RO_MNT);
		ck_assert_int_eq(rs_stop(server), 0);
	}
}
END_TEST

/* --------------------------------------------------------------------- REGISTER */

START_TEST(types)
{
	static const char *const bad[] = { "", "a/b", "with space", "tab\t", "dot.dot", "\xff" };
	int fd = server_open(), second = server_open(), n, err;
	struct zufs_register reg = { .flags = ZUFS_REG_NODEV };
	char name[32];
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(rs_register(fd, bad[i], ZUFS_REG_NODEV), -EINVAL);
	memset(reg.name, 'x', sizeof(reg.name));
	ck_assert_int_eq(call(fd, ZUFS_IOC_REGISTER, &reg), -EINVAL);
	reg = (struct zufs_register) { .name = "zrawx", .flags = 1u << 7 };
	ck_assert_int_eq(call(fd, ZUFS_IOC_REGISTER, &reg), -EINVAL);
	reg = (struct zufs_register) { .name = "zrawx", .reserved = 1 };
	ck_assert_int_eq(call(fd, ZUFS_IOC_REGISTER, &reg), -EINVAL);
	reg = (struct zufs_register) { .name = "zrawx", .reserved2 = 1 };
	ck_assert_int_eq(call(fd, ZUFS_IOC_REGISTER, &reg), -EINVAL);
	ck_assert_int_eq(call(fd, ZUFS_IOC_REGISTER, NULL), -EFAULT);

	ck_assert_int_eq(rs_register(fd, "zrawx", ZUFS_REG_NODEV), 0);
	ck_assert(vt_type_known("zrawx"));
	ck_assert_int_eq(rs_register(fd, "zrawx", ZUFS_REG_NODEV), -EBUSY);
	ck_assert_int_eq(rs_register(second, "zrawx", ZUFS_REG_NODEV), -EBUSY);
	/* another filesystem has the name */
	ck_assert_int_eq(rs_register(fd, "tmpfs", ZUFS_REG_NODEV), -EBUSY);
	ck_assert_int_eq(rs_register(fd, "zraw-other", 0), 0);
	/* as many as there are, and then a clear no */
	for (n = 0; n < 2 * (int)ZUFS_TYPES_MAX; n++) {
		snprintf(name, sizeof(name), "zraw_%d", n);
		err = rs_register(second, name, ZUFS_REG_NODEV);
		if (err)
			break;
	}
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_int_le(n, (int)ZUFS_TYPES_MAX);
	close(fd);
	ck_assert(!vt_type_known("zrawx"));
	ck_assert(!vt_type_known("zraw-other"));
	ck_assert(vt_type_known("zraw_0"));
	/* a known name has its slot still */
	ck_assert_int_eq(rs_register(second, "zrawx", 0), 0);
	close(second);
	ck_assert(!vt_type_known("zraw_0"));
}
END_TEST

/* --------------------------------------------------------------------- channels */

struct on_thread {
	int fd;
	unsigned long cmd, arg;
	int cpu;		/* -1: anywhere */
	int result;
};

static void *run_ioctl(void *arg)
{
	struct on_thread *t = arg;

	if (t->cpu >= 0)
		vt_pin(t->cpu);
	t->result = call_number(t->fd, t->cmd, t->arg);
	return NULL;
}

/* The same from another thread of this process. */
static int elsewhere(int fd, unsigned long cmd, unsigned long arg, int cpu)
{
	struct on_thread t = { fd, cmd, arg, cpu, 0 };
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, run_ioctl, &t), 0);
	pthread_join(thread, NULL);
	return t.result;
}

static void unpin(void)
{
	cpu_set_t set;
	int cpu;

	CPU_ZERO(&set);
	for (cpu = 0; cpu < vt_num_cpus(); cpu++)
		CPU_SET(cpu, &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* A WAIT that finds nothing is ended by a signal. */
static int wait_interrupted(int fd, unsigned long flags)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerspec soon = { { 0, 100000000 }, { 0, 100000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	timer_t timer;
	int err;

	/* to this very thread, again and again: the first may come too early */
	event._sigev_un._tid = gettid();
	sigaction(SIGALRM, &sa, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &soon, NULL))
		return -errno;
	err = call_number(fd, ZUFS_IOC_WAIT, flags);
	timer_delete(timer);
	return err;
}

START_TEST(channel)
{
	struct zufs_new_channel nc;
	int fd = server_open(), ch;

	ck_assert_int_eq(call(fd, ZUFS_IOC_NEW_CHANNEL, NULL), -EFAULT);
	ck_assert_int_eq(rs_new_channel(fd, &nc), 0);
	ch = nc.fd;
	ck_assert(fcntl(ch, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(call(ch, ZUFS_IOC_STOP, NULL), -ENOTTY);
	ck_assert_int_eq(call_number(ch, ZUFS_IOC_WAIT, 0), -EINVAL);
	unpin();
	ck_assert_int_eq(call(ch, ZUFS_IOC_ATTACH, NULL), -EINVAL);
	vt_pin(0);
	ck_assert_int_eq(call(ch, ZUFS_IOC_ATTACH, NULL), 0);
	ck_assert_int_eq(call(ch, ZUFS_IOC_ATTACH, NULL), 0);
	ck_assert_int_eq(elsewhere(ch, ZUFS_IOC_ATTACH, 0, 0), -EBUSY);
	ck_assert_int_eq(elsewhere(ch, ZUFS_IOC_WAIT, 0, 0), -EINVAL);
	ck_assert_int_eq(elsewhere(ch, ZUFS_IOC_WAIT, ZUFS_WAIT_REPLY, 0), -EINVAL);
	vt_pin(1);
	ck_assert_int_eq(call(ch, ZUFS_IOC_ATTACH, NULL), -EINVAL);
	vt_pin(0);
	ck_assert_int_eq(call_number(ch, ZUFS_IOC_WAIT, 2), -EINVAL);
	ck_assert_int_eq(call_number(ch, ZUFS_IOC_WAIT, ~0ul), -EINVAL);
	/* there is nothing to answer */
	ck_assert_int_eq(call_number(ch, ZUFS_IOC_WAIT, ZUFS_WAIT_REPLY), -EPROTO);
	ck_assert_int_eq(wait_interrupted(ch, 0), -EINTR);
	/* away from its CPU it rests */
	vt_pin(1);
	ck_assert_int_eq(call_number(ch, ZUFS_IOC_WAIT, 0), -EAGAIN);
	unpin();
	ck_assert_int_eq(call_number(ch, ZUFS_IOC_WAIT, 0), -EAGAIN);
	vt_pin(0);
	ck_assert_int_eq(wait_interrupted(ch, 0), -EINTR);
	ck_assert_int_eq(call(fd, ZUFS_IOC_STOP, NULL), 0);
	ck_assert_int_eq(call_number(ch, ZUFS_IOC_WAIT, 0), -ESHUTDOWN);
	ck_assert_int_eq(call(ch, ZUFS_IOC_ATTACH, NULL), -ESHUTDOWN);
	close(fd);
	ck_assert_int_eq(call_number(ch, ZUFS_IOC_WAIT, 0), -ESHUTDOWN);
	close(ch);
}
END_TEST

START_TEST(channel_limits)
{
	unsigned int max = ZUFS_CHANNELS_PER_CPU_MAX * (unsigned int)vt_num_cpus(), i, n;
	struct zufs_new_channel nc;
	int fd = server_open(), ch[1024] = { 0 }, err = 0;

	ck_assert_uint_lt(max, 1024);
	for (n = 0; n < 1024; n++) {
		err = rs_new_channel(fd, &nc);
		if (err)
			break;
		ch[n] = nc.fd;
	}
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_uint_ge(n, max);
	ck_assert_uint_gt(n, ZUFS_CHANNELS_PER_CPU_MAX);
	/* a CPU takes so many only */
	vt_pin(0);
	for (i = 0; i < ZUFS_CHANNELS_PER_CPU_MAX; i++)
		ck_assert_int_eq(call(ch[i], ZUFS_IOC_ATTACH, NULL), 0);
	ck_assert_int_eq(call(ch[i], ZUFS_IOC_ATTACH, NULL), -ENOSPC);
	vt_pin(1);
	ck_assert_int_eq(call(ch[i], ZUFS_IOC_ATTACH, NULL), 0);
	for (i = 0; i < n; i++)
		close(ch[i]);
	close(fd);
}
END_TEST

static int map_errno(int fd, size_t bytes, int prot, int flags, uint64_t off)
{
	void *mem = mmap(NULL, bytes, prot, flags, fd, (off_t)off);

	if (mem == MAP_FAILED)
		return -errno;
	munmap(mem, bytes);
	return 0;
}

START_TEST(regions)
{
	const int rw = PROT_READ | PROT_WRITE;
	struct zufs_new_channel nc;
	int fd = server_open(), status;
	void *request, *reply;
	pid_t pid;

	ck_assert_int_eq(rs_new_channel(fd, &nc), 0);
	ck_assert_int_eq(map_errno(nc.fd, ZUFS_REGION_BYTES, rw, MAP_SHARED, nc.request_off),
			 -EACCES);
	ck_assert_int_eq(map_errno(nc.fd, ZUFS_REGION_BYTES, PROT_READ, MAP_PRIVATE,
				   nc.request_off), -EINVAL);
	ck_assert_int_eq(map_errno(nc.fd, ZUFS_REGION_BYTES, rw, MAP_PRIVATE, nc.reply_off),
			 -EINVAL);
	ck_assert_int_eq(map_errno(nc.fd, 4096, PROT_READ, MAP_SHARED, 0), -EINVAL);
	ck_assert_int_eq(map_errno(nc.fd, (size_t)2 * ZUFS_REGION_BYTES, PROT_READ, MAP_SHARED, 0),
			 -EINVAL);
	ck_assert_int_eq(map_errno(nc.fd, ZUFS_REGION_BYTES, PROT_READ, MAP_SHARED, 4096),
			 -EINVAL);
	ck_assert_int_eq(map_errno(nc.fd, ZUFS_REGION_BYTES, PROT_READ, MAP_SHARED,
				   nc.reply_off + ZUFS_REGION_BYTES), -EINVAL);
	request = mmap(NULL, ZUFS_REGION_BYTES, PROT_READ, MAP_SHARED, nc.fd,
		       (off_t)nc.request_off);
	reply = mmap(NULL, ZUFS_REGION_BYTES, rw, MAP_SHARED, nc.fd, (off_t)nc.reply_off);
	ck_assert_ptr_ne(request, MAP_FAILED);
	ck_assert_ptr_ne(reply, MAP_FAILED);
	/* and never becomes writable, nor larger */
	ck_assert(mprotect(request, ZUFS_REGION_BYTES, rw) && errno == EACCES);
	ck_assert_ptr_eq(mremap(reply, ZUFS_REGION_BYTES, (size_t)2 * ZUFS_REGION_BYTES,
				MREMAP_MAYMOVE), MAP_FAILED);
	/* a fork has neither region nor right */
	pid = fork();
	if (!pid) {
		if (map_errno(nc.fd, ZUFS_REGION_BYTES, PROT_READ, MAP_SHARED, 0) != -EPERM ||
		    call(nc.fd, ZUFS_IOC_ATTACH, NULL) != -EPERM ||
		    call(fd, ZUFS_IOC_STOP, NULL) != -EPERM)
			_exit(1);
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)reply = 1;
		_exit(2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	/* regions outlive the channel's fd, and the server */
	close(nc.fd);
	close(fd);
	memset(reply, 0x5a, ZUFS_REGION_BYTES);
	ck_assert_int_eq(*(volatile char *)request, 0);
	munmap(request, ZUFS_REGION_BYTES);
	munmap(reply, ZUFS_REGION_BYTES);
}
END_TEST

/* ------------------------------------------------------------ answers out of turn */

static struct rs *rs;

static void raw_start(void)
{
	static char type[16];

	snprintf(type, sizeof(type), "zraw%d", getpid());
	rs = rs_start(&(struct rs_options) { .type = type, .files = 8, .links = 8 });
	vt_mount(type, "none", RO_MNT, NULL);
	ro_make(0);
}

static void raw_stop(void)
{
	vt_umount(RO_MNT);
	ck_assert_int_eq(rs_stop(rs), 0);
}

static enum rs_next hook_twice(struct rs_channel *ch, struct rf_msg *m)
{
	(void)m;
	/* the first one counts; then there is nothing to answer */
	atomic_store(&ch->rs->user[0], (uint32_t)-wait_interrupted(ch->fd, ZUFS_WAIT_REPLY));
	atomic_store(&ch->rs->user[1], (uint32_t)-call_number(ch->fd, ZUFS_IOC_WAIT,
							       ZUFS_WAIT_REPLY));
	return RS_NO_REPLY;
}

static enum rs_next hook_wrong_thread(struct rs_channel *ch, struct rf_msg *m)
{
	(void)m;
	atomic_store(&ch->rs->user[0], (uint32_t)-elsewhere(ch->fd, ZUFS_IOC_WAIT,
							     ZUFS_WAIT_REPLY, ch->cpu));
	return RS_REPLY;
}

static enum rs_next hook_again(struct rs_channel *ch, struct rf_msg *m)
{
	(void)ch;
	(void)m;
	return RS_NO_REPLY;
}

/* It answers the request that it was given before, on another channel. */
static enum rs_next hook_old_answer(struct rs_channel *ch, struct rf_msg *m)
{
	(void)ch;
	m->reply->id -= 1;
	return RS_REPLY;
}

START_TEST(out_of_turn)
{
	uint32_t seen;

	raw_start();
	rs_arm(rs, ZUFS_OP_STATFS, &(struct rs_script) { .times = 1, .hook = hook_twice });
	ck_assert_int_eq(ro_statfs(NULL), 0);
	rs_await(&rs->user[1], 1);
	ck_assert_int_eq((int)rs->user[0], EINTR);
	ck_assert_int_eq((int)rs->user[1], EPROTO);

	rs_arm(rs, ZUFS_OP_STATFS, &(struct rs_script) { .times = 1, .hook = hook_wrong_thread });
	ck_assert_int_eq(ro_statfs(NULL), 0);
	ck_assert_int_eq((int)rs->user[0], EINVAL);

	/* WAIT without an answer: the request is still there */
	seen = rs->seen[ZUFS_OP_STATFS];
	rs_arm(rs, ZUFS_OP_STATFS, &(struct rs_script) { .times = 3, .hook = hook_again });
	ck_assert_int_eq(ro_statfs(NULL), 0);
	ck_assert_uint_eq(rs->seen[ZUFS_OP_STATFS], seen + 4);

	rs_arm(rs, ZUFS_OP_STATFS, &(struct rs_script) { .times = 1, .hook = hook_old_answer });
	ck_assert_int_eq(ro_statfs(NULL), -EIO);
	ck_assert_int_eq(ro_statfs(NULL), 0);
	raw_stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("relay-abi");
	TCase *tc = tcase_create("abi");

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_test(tc, hello);
	tcase_add_test(tc, hello_minors);
	tcase_add_test(tc, mount_asks_for_what_was_agreed);
	tcase_add_test(tc, older_server_is_asked_as_before);
	tcase_add_test(tc, channel);
	tcase_add_test(tc, channel_limits);
	tcase_add_test(tc, regions);
	tcase_add_test(tc, out_of_turn);
	/* last: it takes all slots for types */
	tcase_add_test(tc, types);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
