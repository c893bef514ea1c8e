// SPDX-License-Identifier: BSD-3-Clause
/* rawserver.c - see rawserver.h */
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
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rawserver.h"
#include "vmtest.h"

#define RS_STACK_BYTES		(256u << 10)
#define RS_POLL_US		2000	/* for what only a register or a CPU shows */

static struct rf_fs *rs_fs;	/* in the server */
static pthread_mutex_t script_lock = PTHREAD_MUTEX_INITIALIZER;

static void bump(_Atomic uint32_t *counter)
{
	atomic_fetch_add(counter, 1);
	vt_futex_wake(counter);
}

/* ------------------------------------------------------------ pieces of the ABI */

static int hello_with(int fd, struct zufs_hello *hello, uint64_t features, unsigned int older)
{
	*hello = (struct zufs_hello) {
		.major = ZUFS_ABI_MAJOR, .minor = (uint16_t)(ZUFS_ABI_MINOR - older),
		.struct_bytes = sizeof(*hello), .features = features,
	};
	return ioctl(fd, ZUFS_IOC_HELLO, hello) ? -errno : 0;
}

int rs_hello(int fd, struct zufs_hello *hello)
{
	return hello_with(fd, hello, ZUFS_FEAT_NONE, 0);
}

/* What mounts with @features need. */
static uint64_t hello_features(uint64_t features)
{
	return ZUFS_FEAT_INVALIDATE | (features & ZUFS_MF_LEASES ? ZUFS_FEAT_LEASES : 0) |
	       (features & ZUFS_MF_EPOCHS ? ZUFS_FEAT_EPOCHS : 0) |
	       (features & ZUFS_MF_COW ? ZUFS_FEAT_COW : 0) |
	       (features & ZUFS_MF_CREATE_OPEN ? ZUFS_FEAT_CREATE_OPEN : 0) |
	       (features & ZUFS_MF_COPY ? ZUFS_FEAT_COPY : 0) |
	       (features & ZUFS_MF_CLONE ? ZUFS_FEAT_CLONE : 0) |
	       (features & ZUFS_MF_LOCKS ? ZUFS_FEAT_LOCKS : 0);
}

int rs_register(int fd, const char *type, uint32_t flags)
{
	struct zufs_register reg = { .flags = flags };

	snprintf(reg.name, sizeof(reg.name), "%s", type);
	return ioctl(fd, ZUFS_IOC_REGISTER, &reg) ? -errno : 0;
}

int rs_new_channel(int fd, struct zufs_new_channel *out)
{
	memset(out, 0, sizeof(*out));
	return ioctl(fd, ZUFS_IOC_NEW_CHANNEL, out) ? -errno : 0;
}

/* -------------------------------------------------------------------- serving */

static void log_add(struct rs_channel *ch, const struct rf_msg *m)
{
	struct rs *rs = ch->rs;
	const struct zufs_req_hdr *req = m->req;
	uint32_t i = atomic_load(&rs->log_count);
	struct rs_log *log;

	/* the slot is filled before it counts */
	log = &rs->log[i % RS_LOG_MAX];
	*log = (struct rs_log) { .op = req->op, .flags = req->flags, .pid = req->pid,
				 .channel = ch->index, .id = req->id, .op_seq = req->op_seq,
				 .op_slot = req->op_slot };
	memcpy(&log->cookie, m->in, sizeof(log->cookie));
	bump(&rs->log_count);
}

static void note_interrupts(struct rs *rs, const struct rf_msg *m)
{
	const struct zufs_batch_in *in = m->in;
	const struct zufs_forced *f = m->payload;
	uint32_t i;

	for (i = 0; m->req->op == ZUFS_OP_BATCH && i < in->count; i++) {
		if (f[i].op != ZUFS_OP_INTERRUPT)
			continue;
		atomic_store(&rs->interrupt_id, f[i].arg);
		bump(&rs->interrupts);
	}
}

/* Takes one turn of the operation's script; false: serve it as always. */
static bool script_take(struct rs *rs, const struct rf_msg *m, struct rs_script *out)
{
	struct rs_script *s = &rs->script[m->req->op];
	int times = atomic_load(&s->times);

	if (!times)
		return false;
	if (s->name && (m->req->payload_bytes < strlen(s->name) ||
			memcmp(m->payload, s->name, strlen(s->name)) != 0))
		return false;
	if (s->skip > 0) {
		s->skip--;
		return false;
	}
	if (times > 0)
		atomic_store(&s->times, times - 1);
	*out = *s;
	return true;
}

static bool permit_take(struct rs *rs)
{
	uint32_t permits = atomic_load(&rs->permits);

	while (permits)
		if (atomic_compare_exchange_weak(&rs->permits, &permits, permits - 1))
			return true;
	return false;
}

static void hold(struct rs *rs, const struct rf_msg *m, enum rs_hold how)
{
	const volatile uint32_t *interrupted = &m->req->interrupted;

	bump(&rs->held);
	if (how == RS_HOLD_INTERRUPT)
		while (!*interrupted && !atomic_load(&rs->open_gate))
			usleep(RS_POLL_US);
	else
		while (!atomic_load(&rs->open_gate) && !permit_take(rs))
			vt_futex_wait(&rs->permits, 0, 100);
	atomic_fetch_sub(&rs->held, 1);
	vt_futex_wake(&rs->held);
}

static enum rs_next serve_scripted(struct rs_channel *ch, struct rf_msg *m, struct rs_script *s)
{
	if (s->hold == RS_HOLD_BEFORE || s->hold == RS_HOLD_INTERRUPT)
		hold(ch->rs, m, s->hold);
	if (s->err) {
		memset(m->reply, 0, sizeof(*m->reply));
		m->reply->err = s->err;
	} else {
		rf_dispatch(rs_fs, m);
	}
	m->reply->id = m->req->id;
	if (s->hold == RS_HOLD_AFTER)
		hold(ch->rs, m, s->hold);
	return s->hook ? s->hook(ch, m) : RS_REPLY;
}

static enum rs_next serve_one(struct rs_channel *ch)
{
	struct rs *rs = ch->rs;
	struct rf_msg m = {
		.req = ch->request,
		.in = (char *)ch->request + ZUFS_FIXED_OFF,
		.payload = (char *)ch->request + ZUFS_PAYLOAD_OFF,
		.reply = ch->reply,
		.out = (char *)ch->reply + ZUFS_FIXED_OFF,
		.out_payload = (char *)ch->reply + ZUFS_PAYLOAD_OFF,
	};
	struct rs_script s;
	bool scripted = false;

	pthread_mutex_lock(&script_lock);
	log_add(ch, &m);
	if (m.req->op < ZUFS_OP_COUNT) {
		bump(&rs->seen[m.req->op]);
		scripted = script_take(rs, &m, &s);
	}
	pthread_mutex_unlock(&script_lock);
	note_interrupts(rs, &m);
	if (scripted)
		return serve_scripted(ch, &m, &s);
	rf_dispatch(rs_fs, &m);
	m.reply->id = m.req->id;
	return RS_REPLY;
}

/* Onto the channel's CPU, as soon as that is there. */
static int pin_thread(struct rs_channel *ch)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(ch->cpu, &set);
	while (atomic_load(&ch->rs->no_return))
		usleep(RS_POLL_US);
	while (sched_setaffinity(0, sizeof(set), &set)) {
		if (errno != EINVAL)
			return -errno;
		usleep(RS_POLL_US);
	}
	return 0;
}

static int attach(struct rs_channel *ch)
{
	int err;

	/* the CPU may go again between the two */
	do {
		err = pin_thread(ch);
		if (err)
			return err;
		err = ioctl(ch->fd, ZUFS_IOC_ATTACH) ? -errno : 0;
	} while (err == -EINVAL);
	if (!err)
		bump(&ch->rs->attaches);
	return err;
}

static void serve(struct rs_channel *ch)
{
	unsigned long flags = 0;
	enum rs_next next;

	for (;;) {
		if (!ioctl(ch->fd, ZUFS_IOC_WAIT, flags)) {
			next = serve_one(ch);
			if (next == RS_LEAVE)
				return;
			flags = next == RS_REPLY ? ZUFS_WAIT_REPLY : 0;
			continue;
		}
		flags = 0;
		switch (errno) {
		case EINTR:
			break;
		case EAGAIN:
			bump(&ch->rs->parked);
			if (!attach(ch))
				break;
			return;
		case ESHUTDOWN:
			return;
		default:
			atomic_store(&ch->rs->wait_errno, errno);
			/* a reply that was not taken: the request may still be out */
			if (errno != EPROTO)
				return;
		}
	}
}

static int channel_open(struct rs_channel *ch)
{
	struct zufs_new_channel nc;
	int err = pin_thread(ch);

	if (!err)
		err = rs_new_channel(ch->rs->server_fd, &nc);
	if (err)
		return err;
	ch->fd = nc.fd;
	ch->request = mmap(NULL, ZUFS_REGION_BYTES, PROT_READ, MAP_SHARED, nc.fd,
			   (off_t)nc.request_off);
	ch->reply = mmap(NULL, ZUFS_REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, nc.fd,
			 (off_t)nc.reply_off);
	if (ch->request == MAP_FAILED || ch->reply == MAP_FAILED)
		return -errno;
	return attach(ch);
}

static void *channel_thread(void *arg)
{
	struct rs_channel *ch = arg;
	int err;

	atomic_store(&ch->tid, (int)gettid());
	err = channel_open(ch);
	if (err) {
		atomic_store(&ch->rs->started, err);
		return NULL;
	}
	bump(&ch->rs->attached);
	serve(ch);
	return NULL;
}

/* ------------------------------------------------------------- server process */

static int server_open(struct rs *rs)
{
	struct zufs_hello hello;
	int err;

	rs->server_fd = open("/dev/zuf", O_RDWR | O_CLOEXEC);
	if (rs->server_fd < 0)
		return -errno;
	err = hello_with(rs->server_fd, &hello, hello_features(rs->options.features),
			 rs->options.older);
	if (err)
		return err;
	err = rs_register(rs->server_fd, rs->options.type,
			  rs->options.device ? 0 : ZUFS_REG_NODEV);
	if (err)
		return err;
	rs_fs = rf_new(&rs->counts, rs->options.features, rs->options.device);
	if (!rs_fs)
		return -ENOMEM;
	err = rf_populate(rs_fs, "f", S_IFREG | 0644, rs->options.files);
	if (!err)
		err = rf_populate(rs_fs, "l", S_IFLNK | 0777, rs->options.links);
	if (!err)
		err = rf_populate(rs_fs, "d", S_IFDIR | 0755, rs->options.dirs);
	if (!err)
		err = rf_populate(rs_fs, "c", S_IFCHR | 0666, rs->options.specials);
	return err ? err : rf_populate(rs_fs, "s", S_IFREG | 06755, rs->options.specials);
}

static int server_threads(struct rs *rs, pthread_t *threads)
{
	pthread_attr_t attr;
	unsigned int i;
	int cpu, err = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, RS_STACK_BYTES);
	for (cpu = 0; cpu < 64; cpu++) {
		if (!(rs->options.cpus >> cpu & 1))
			continue;
		for (i = 0; i < rs->options.channels; i++) {
			struct rs_channel *ch = &rs->channel[rs->num_channels];

			*ch = (struct rs_channel) { .rs = rs, .index = rs->num_channels,
						    .cpu = cpu, .fd = -1 };
			err = pthread_create(&threads[rs->num_channels], &attr, channel_thread,
					     ch);
			if (err)
				return -err;
			rs->num_channels++;
		}
	}
	while (atomic_load(&rs->attached) < rs->num_channels && !atomic_load(&rs->started))
		vt_futex_wait(&rs->attached, atomic_load(&rs->attached), 10);
	return atomic_load(&rs->started);
}

/* The main thread does what rs_call() asks until it shall end. */
static void server_main(struct rs *rs)
{
	uint32_t done = 0, seq;

	for (;;) {
		seq = atomic_load(&rs->call_seq);
		if (seq == done) {
			vt_futex_wait(&rs->call_seq, seq, 1000);
			continue;
		}
		done = seq;
		if (!rs->call_fn)
			return;
		rs->call_result = rs->call_fn(rs, rs->call_arg);
		atomic_store(&rs->call_done, seq);
		vt_futex_wake(&rs->call_done);
	}
}

static void server_run(struct rs *rs)
{
	pthread_t threads[RS_CHANNELS_MAX];
	unsigned int i;
	int err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "rawserver");
	if (rs->options.uid && (setgid(rs->options.uid) || setuid(rs->options.uid)))
		_exit(1);
	err = server_open(rs);
	if (!err)
		err = server_threads(rs, threads);
	if (err) {
		atomic_store(&rs->started, err);
		_exit(1);
	}
	atomic_store(&rs->started, 1);
	server_main(rs);
	ioctl(rs->server_fd, ZUFS_IOC_STOP);
	for (i = 0; i < rs->num_channels; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

/* ------------------------------------------------------------- the test's side */

static bool start_known(void *arg)
{
	struct rs *rs = arg;

	return atomic_load(&rs->started);
}

int rs_try_start(const struct rs_options *options, struct rs **rsp)
{
	struct rs *rs = vt_shared(sizeof(*rs));
	pid_t pid;
	int err;

	*rsp = rs;
	if (options)
		rs->options = *options;
	if (!rs->options.type)
		rs->options.type = "zraw";
	if (!rs->options.channels)
		rs->options.channels = 2;
	if (!rs->options.cpus)
		rs->options.cpus = (1ull << vt_num_cpus()) - 1;
	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid)
		server_run(rs);
	rs->pid = pid;
	vt_await(start_known, rs, "a server");
	err = atomic_load(&rs->started);
	if (err < 0)
		waitpid(rs->pid, NULL, 0);
	return err < 0 ? err : 0;
}

struct rs *rs_start(const struct rs_options *options)
{
	struct rs *rs;
	int err = rs_try_start(options, &rs);

	ck_assert_msg(!err, "the raw server did not start: %s", strerror(-err));
	return rs;
}

int rs_wait(struct rs *rs)
{
	int status;

	ck_assert_int_eq(waitpid(rs->pid, &status, 0), rs->pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int rs_stop(struct rs *rs)
{
	rs_release(rs, 0);
	rs->call_fn = NULL;
	atomic_fetch_add(&rs->call_seq, 1);
	vt_futex_wake(&rs->call_seq);
	return rs_wait(rs);
}

void rs_kill(struct rs *rs)
{
	kill(rs->pid, SIGKILL);
	rs_wait(rs);
}

static bool none_held(void *arg)
{
	struct rs *rs = arg;

	return !atomic_load(&rs->held);
}

void rs_arm(struct rs *rs, unsigned int op, const struct rs_script *script)
{
	struct rs_script *s = &rs->script[op];
	int times = atomic_load(&script->times);

	atomic_store(&s->times, 0);
	if (script->hold != RS_HOLD_NOT && atomic_load(&rs->open_gate)) {
		/* who goes through it still must not find it closed again */
		vt_await(none_held, rs, "the server's holds");
		atomic_store(&rs->permits, 0);
		atomic_store(&rs->open_gate, 0);
	}
	s->skip = script->skip;
	s->hold = script->hold;
	s->err = script->err;
	s->hook = script->hook;
	s->name = script->name;
	atomic_store(&s->times, times);
}

void rs_disarm(struct rs *rs, unsigned int op)
{
	atomic_store(&rs->script[op].times, 0);
}

void rs_hold(struct rs *rs, unsigned int op, enum rs_hold hold, int times)
{
	rs_arm(rs, op, &(struct rs_script) { .times = times, .hold = hold });
}

struct await_counter {
	_Atomic uint32_t *counter;
	uint32_t count;
};

static bool counter_reached(void *arg)
{
	struct await_counter *a = arg;
	uint32_t now = atomic_load(a->counter);

	if (now < a->count)
		vt_futex_wait(a->counter, now, 50);
	return atomic_load(a->counter) >= a->count;
}

void rs_await(_Atomic uint32_t *counter, uint32_t count)
{
	struct await_counter a = { counter, count };

	vt_await(counter_reached, &a, "a counter of the server");
}

void rs_await_held(struct rs *rs, uint32_t count)
{
	rs_await(&rs->held, count);
}

void rs_release(struct rs *rs, uint32_t count)
{
	unsigned int op;

	if (count) {
		atomic_fetch_add(&rs->permits, count);
	} else {
		for (op = 0; op < ZUFS_OP_COUNT; op++)
			if (rs->script[op].hold != RS_HOLD_NOT)
				rs_disarm(rs, op);
		atomic_store(&rs->open_gate, 1);
	}
	vt_futex_wake(&rs->permits);
}

static bool call_answered(void *arg)
{
	struct rs *rs = arg;

	return atomic_load(&rs->call_done) == atomic_load(&rs->call_seq);
}

long rs_call(struct rs *rs, long (*fn)(struct rs *rs, void *arg), const void *arg,
	     size_t arg_bytes)
{
	ck_assert_uint_le(arg_bytes, sizeof(rs->call_arg));
	if (arg_bytes)
		memcpy(rs->call_arg, arg, arg_bytes);
	rs->call_fn = fn;
	atomic_fetch_add(&rs->call_seq, 1);
	vt_futex_wake(&rs->call_seq);
	vt_await(call_answered, rs, "the server's main thread");
	return rs->call_result;
}

/* @arg: the ino, and then its attributes */
static long server_attr(struct rs *rs, void *arg)
{
	(void)rs;
	return rf_attr(rs_fs, *(uint64_t *)arg, arg);
}

int rs_attr(struct rs *rs, uint64_t ino, struct zufs_attr *attr)
{
	int err = (int)rs_call(rs, server_attr, &ino, sizeof(ino));

	memcpy(attr, rs->call_arg, sizeof(*attr));
	return err;
}

const struct rs_log *rs_last(struct rs *rs, unsigned int op)
{
	uint32_t i = atomic_load(&rs->log_count), back;

	for (back = 0; back < RS_LOG_MAX && i--; back++)
		if (rs->log[i % RS_LOG_MAX].op == op)
			return &rs->log[i % RS_LOG_MAX];
	return NULL;
}
