// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: what EPOCH takes and refuses, that answers of an older epoch are not written
 *	by, what waits for its end and can be killed there, and that truncate, recall, umount
 *	and the server's death go well with it.
 * TIMEOUT: 180
 *
 * The test holds up the kernel's worker at its points, and the server's answers.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rawserver.h"
#include "vmtest.h"

#define MNT	"mnt"
#define DEVICE	"/dev/pmem0"
#define BLOCK	4096ul
#define POINTS	"/sys/kernel/debug/zuf/points"
#define LEASES	(ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W)

/* What of rs->user answers are made of. */
enum { U_EPOCH, U_FLAGS, U_BLOCK };

static struct rs *rs;
static uint64_t mount_id;
static uint64_t epoch;		/* the last one that was told of */
static bool mounted;

/* ------------------------------------------------------------- in the server */

static int file_fd = -1;
static char *base;

static long open_mount_file(struct rs *server, void *arg)
{
	struct zufs_mount_file file = { .mount = *(uint64_t *)arg };
	struct zufs_map_device view = { .dev = 0 };

	if (file_fd >= 0)
		close(file_fd);
	if (ioctl(server->server_fd, ZUFS_IOC_MOUNT_FILE, &file))
		return -errno;
	file_fd = file.fd;
	if (ioctl(file_fd, ZUFS_IOC_MAP_DEVICE, &view))
		return -errno;
	base = mmap(NULL, view.size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_fd,
		    (off_t)view.mmap_off);
	return base == MAP_FAILED ? -errno : 0;
}

static long server_epoch(struct rs *server, void *arg)
{
	(void)server;
	return ioctl(file_fd, ZUFS_IOC_EPOCH, arg) ? -errno : 0;
}

static long server_recall(struct rs *server, void *arg)
{
	(void)server;
	return ioctl(file_fd, ZUFS_IOC_RECALL, arg) ? -errno : 0;
}

/* The next end: its cookie, or error; 0: the mount has ended. */
static long server_done(struct rs *server, void *arg)
{
	struct zufs_recall_done done;
	struct pollfd poll_fd = { .fd = file_fd, .events = POLLIN };
	ssize_t got;

	(void)server;
	(void)arg;
	if (poll(&poll_fd, 1, (int)vt_guard_s() * 500) < 1)
		return -ETIME;
	got = read(file_fd, &done, sizeof(done));
	if (got <= 0)
		return got ? -errno : 0;
	return done.err ? done.err : (long)done.cookie;
}

static long server_word(struct rs *server, void *arg)
{
	return *(long *)(void *)(base + server->user[U_BLOCK] * BLOCK + *(size_t *)arg);
}

/* ------------------------------------------------------------------ answers */

static enum rs_next answer(struct rs_channel *ch, struct rf_msg *m)
{
	struct zufs_extent *ext = m->out_payload;
	struct zufs_map_out *out = m->out;

	out->epoch = ch->rs->user[U_EPOCH];
	ext->flags = (uint16_t)ch->rs->user[U_FLAGS];
	if (!(((const struct zufs_map_in *)m->in)->flags & ZUFS_MAP_WRITE))
		ext->flags &= LEASES;
	ch->rs->user[U_BLOCK] = (uint32_t)((ext->dev_off - ext->file_off) / BLOCK);
	return RS_REPLY;
}

static void arm(enum rs_hold hold, uint32_t flags)
{
	rs->user[U_FLAGS] = flags;
	rs_arm(rs, ZUFS_OP_MAP,
	       &(struct rs_script) { .times = -1, .hold = hold, .hook = answer });
}

static uint32_t maps(void)
{
	return atomic_load(&rs->seen[ZUFS_OP_MAP]);
}

/* ------------------------------------------------------------------ helpers */

static long stat_of(const char *name)
{
	char path[96];
	const char *at;

	snprintf(path, sizeof(path), "/sys/fs/zuf/mounts/%llu/epochs",
		 (unsigned long long)mount_id);
	at = strstr(vt_read(path), name);
	ck_assert_ptr_nonnull(at);
	return strtol(at + strlen(name), NULL, 10);
}

static long epoch_begin(uint64_t number, uint64_t cookie)
{
	struct zufs_epoch wire = { .epoch = number, .cookie = cookie };

	return rs_call(rs, server_epoch, &wire, sizeof(wire));
}

static long done_read(void)
{
	return rs_call(rs, server_done, NULL, 0);
}

/* One that ends; the server has not gone on to it. */
static void epoch_only(void)
{
	ck_assert_int_eq(epoch_begin(epoch + 1, 70), 0);
	ck_assert_int_eq(done_read(), 70);
	epoch++;
	ck_assert_int_eq(stat_of("epoch "), (long)epoch);
}

static void epoch_whole(void)
{
	epoch_only();
	rs->user[U_EPOCH] = (uint32_t)epoch;
}

/* One that stays where nobody can write, until hold(false). */
static void hold(const char *point, bool yes)
{
	char line[64];

	snprintf(line, sizeof(line), "%s hold %d", point, yes);
	vt_write(POINTS, line);
}

static bool is_closed(void *arg)
{
	(void)arg;
	return !stat_of("open ");
}

static void epoch_hold(void)
{
	hold("epoch_closed", true);
	ck_assert_int_eq(epoch_begin(epoch + 1, 71), 0);
	vt_await(is_closed, NULL, "the epoch's end");
}

static void epoch_release(void)
{
	hold("epoch_closed", false);
	ck_assert_int_eq(done_read(), 71);
	rs->user[U_EPOCH] = (uint32_t)++epoch;
}

static bool has_waited(void *arg)
{
	return stat_of("waits ") > *(long *)arg;
}

static long word_at(size_t off)
{
	return rs_call(rs, server_word, &off, sizeof(off));
}

struct subject {
	int fd;
	char *map;
	bool by_store;
	long word;
	long size;
};

static struct subject subject(bool by_store)
{
	struct subject s = { .by_store = by_store };

	s.fd = open(MNT "/f0", O_RDWR);
	ck_assert_int_ge(s.fd, 0);
	/* the device remembers what other tests did */
	arm(RS_HOLD_NOT, 0);
	ck_assert_int_eq(pwrite(s.fd, &s.word, sizeof(s.word), 0), sizeof(s.word));
	s.map = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, s.fd, 0);
	ck_assert_ptr_ne(s.map, MAP_FAILED);
	return s;
}

static void drop(struct subject *s)
{
	rs_disarm(rs, ZUFS_OP_MAP);
	munmap(s->map, BLOCK);
	close(s->fd);
}

static sigjmp_buf on_sigbus;

static void sigbus(int signo)
{
	siglongjmp(on_sigbus, signo);
}

/* 0 or -errno; a fault that fails is -EIO */
static long put(void *arg)
{
	const struct subject *s = arg;

	if (!s->by_store)
		return pwrite(s->fd, &s->word, sizeof(s->word), 0) == sizeof(s->word) ? 0 : -errno;
	signal(SIGBUS, sigbus);
	if (sigsetjmp(on_sigbus, 1))
		return -EIO;
	*(volatile long *)(void *)s->map = s->word;
	return 0;
}

static long get(const struct subject *s)
{
	long word = -1;

	ck_assert_int_eq(pread(s->fd, &word, sizeof(word), 0), sizeof(word));
	return word;
}

static long cut(void *arg)
{
	const struct subject *s = arg;

	return ftruncate(s->fd, s->size) ? -errno : 0;
}

/* -------------------------------------------------------------------- tests */

START_TEST(arguments)
{
	const struct zufs_epoch bad[] = {
		{ .epoch = 0 }, { .epoch = epoch - 1 }, { .epoch = epoch }, { .epoch = epoch + 2 },
		{ .epoch = ~0ull }, { .epoch = epoch + 1, .flags = 1 },
		{ .epoch = epoch + 1, .reserved = 1 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(rs_call(rs, server_epoch, &bad[i], sizeof(bad[i])), -EINVAL);
	epoch_hold();
	/* further ones wait for their turn */
	ck_assert_int_eq(epoch_begin(epoch + 1, 1), -EINVAL);
	ck_assert_int_eq(epoch_begin(epoch + 3, 1), -EINVAL);
	ck_assert_int_eq(epoch_begin(epoch + 2, 72), 0);
	ck_assert_int_eq(epoch_begin(epoch + 3, 73), 0);
	ck_assert_int_eq(stat_of("epoch "), (long)epoch);
	epoch_release();
	ck_assert_int_eq(done_read(), 72);
	ck_assert_int_eq(done_read(), 73);
	epoch += 2;
	ck_assert_int_eq(stat_of("epoch "), (long)epoch);
	rs->user[U_EPOCH] = (uint32_t)epoch;
}
END_TEST

START_TEST(answers_that_lie)
{
	struct subject s = subject(_i & 1);
	long broken = vt_rule(mount_id, "epoch");

	arm(RS_HOLD_NOT, LEASES);
	rs->user[U_EPOCH] = _i & 2 ? (uint32_t)epoch + 1 : 0;
	s.word = 5;
	ck_assert_int_eq(put(&s), -EIO);
	ck_assert_int_eq(vt_rule(mount_id, "epoch"), broken + 1);
	rs->user[U_EPOCH] = (uint32_t)epoch;
	drop(&s);
}
END_TEST

/* The answer is on its way while the epoch ends: who asked must ask again. */
START_TEST(answer_of_the_old_epoch)
{
	static const uint32_t flags[] = { 0, LEASES, ZUFS_EXTF_COMMIT };
	struct subject s = subject(_i & 1);
	struct vt_caller *writer;
	uint32_t before, asked;
	long dones;

	arm(RS_HOLD_AFTER, flags[_i / 2]);
	before = maps();
	dones = atomic_load(&rs->counts.map_dones);
	s.word = 101;
	writer = vt_call(put, &s, -1);
	rs_await_held(rs, 1);
	epoch_only();
	asked = maps();
	ck_assert_int_eq(word_at(0), 0);
	rs_release(rs, 1);		/* with the old number */
	rs_await(&rs->seen[ZUFS_OP_MAP], asked + 1);
	rs_await_held(rs, 1);
	/* nothing was written by it */
	ck_assert_int_eq(word_at(0), 0);
	ck_assert_int_eq(atomic_load(&rs->counts.map_dones) - dones,
			 flags[_i / 2] & ZUFS_EXTF_COMMIT ? 1 : 0);
	rs->user[U_EPOCH] = (uint32_t)epoch;
	rs_release(rs, 0);
	ck_assert_int_eq(vt_join(writer, NULL), 0);
	ck_assert_uint_ge(maps() - before, 2);
	ck_assert_int_eq(word_at(0), 101);
	drop(&s);
}
END_TEST

/*
 * What is NEW is filled across the boundary: it is no part of the file yet. Once it is,
 * a page fault that published it must ask again before it maps it.
 */
START_TEST(new_belongs_to_no_epoch)
{
	struct subject s = subject(_i);
	struct vt_caller *writer;
	uint32_t asked;
	long dones;

	arm(RS_HOLD_AFTER, ZUFS_EXTF_NEW);
	dones = atomic_load(&rs->counts.map_dones);
	s.word = 200;
	writer = vt_call(put, &s, -1);
	rs_await_held(rs, 1);
	epoch_only();
	asked = maps();
	rs_release(rs, 1);
	if (s.by_store) {
		rs_await(&rs->seen[ZUFS_OP_MAP], asked + 1);
		rs_await_held(rs, 1);
		rs->user[U_EPOCH] = (uint32_t)epoch;
		rs_release(rs, 1);
	}
	ck_assert_int_eq(vt_join(writer, NULL), 0);
	if (!s.by_store)
		ck_assert_uint_eq(maps(), asked);
	rs->user[U_EPOCH] = (uint32_t)epoch;
	arm(RS_HOLD_NOT, 0);
	ck_assert_int_ge(atomic_load(&rs->counts.map_dones) - dones, 1);
	ck_assert_int_eq(get(&s), 200);
	drop(&s);
}
END_TEST

/* A server that takes its time to go on to the epoch it was told of. */
START_TEST(server_lags)
{
	struct subject s = subject(_i);
	long stale;
	struct vt_caller *writer;

	arm(RS_HOLD_NOT, LEASES);
	epoch_only();
	stale = stat_of("stale ");
	s.word = 300;
	writer = vt_call(put, &s, -1);
	while (stat_of("stale ") < stale + 5)
		ck_assert(!atomic_load(&writer->done));
	ck_assert_int_ne(word_at(0), 300);
	rs->user[U_EPOCH] = (uint32_t)epoch;
	ck_assert_int_eq(vt_join(writer, NULL), 0);
	ck_assert_int_eq(get(&s), 300);
	drop(&s);
}
END_TEST

/* Old leases read on; the first write of an epoch asks, and only that. */
START_TEST(leases_and_mappings)
{
	struct subject s = subject(_i);
	uint32_t asked;
	int i;

	arm(RS_HOLD_NOT, LEASES);
	for (i = 0; i < 3; i++) {
		s.word = 400 + i;
		ck_assert_int_eq(put(&s), 0);
		asked = maps();
		s.word = 410 + i;
		ck_assert_int_eq(put(&s), 0);
		ck_assert_uint_eq(maps(), asked);
		epoch_whole();
		ck_assert_int_eq(get(&s), 410 + i);
		ck_assert_int_eq(*(volatile long *)(void *)s.map, 410 + i);
		ck_assert_uint_eq(maps(), asked);
		s.word = 420 + i;
		ck_assert_int_eq(put(&s), 0);
		ck_assert_uint_eq(maps(), asked + 1);
		ck_assert_int_eq(word_at(0), 420 + i);
	}
	drop(&s);
}
END_TEST

START_TEST(waiting_writer_is_killed)
{
	struct subject s = subject(_i);
	long waits = stat_of("waits ");
	struct vt_caller *writer;
	bool killed;

	arm(RS_HOLD_NOT, LEASES);
	s.word = 500;
	ck_assert_int_eq(put(&s), 0);
	epoch_hold();
	s.word = 501;
	writer = vt_call(put, &s, -1);
	vt_await(has_waited, &waits, "a writer that waits");
	ck_assert_int_eq(word_at(0), 500);
	/* reading goes on */
	ck_assert_int_eq(get(&s), 500);
	ck_assert_int_eq(kill(writer->pid, SIGKILL), 0);
	vt_join(writer, &killed);
	ck_assert(killed);
	ck_assert_int_eq(stat_of("open "), 0);
	epoch_release();
	ck_assert_int_eq(word_at(0), 500);
	ck_assert_int_eq(put(&s), 0);
	ck_assert_int_eq(get(&s), 501);
	drop(&s);
}
END_TEST

/* Its tail is zeroed in the new epoch, not before. */
START_TEST(truncate_waits)
{
	struct subject s = subject(false);
	long waits = stat_of("waits ");
	struct vt_caller *cutter;

	arm(RS_HOLD_NOT, 0);
	s.word = -1;
	ck_assert_int_eq(put(&s), 0);
	ck_assert_int_eq(word_at(0), -1);
	epoch_hold();
	s.size = 4;
	cutter = vt_call(cut, &s, -1);
	vt_await(has_waited, &waits, "a truncate that waits");
	ck_assert_int_eq(word_at(0), -1);
	epoch_release();
	ck_assert_int_eq(vt_join(cutter, NULL), 0);
	ck_assert_int_eq(word_at(0), 0xffffffff);
	drop(&s);
}
END_TEST

START_TEST(recall_meanwhile)
{
	struct zufs_recall recall = { .ino = 0, .cookie = 90 };
	struct subject s = subject(true);
	uint32_t asked;

	arm(RS_HOLD_NOT, LEASES);
	s.word = 600;
	ck_assert_int_eq(put(&s), 0);
	epoch_hold();
	/* ends while the epoch does not */
	ck_assert_int_eq(rs_call(rs, server_recall, &recall, sizeof(recall)), 0);
	ck_assert_int_eq(done_read(), 90);
	ck_assert_int_eq(stat_of("open "), 0);
	epoch_release();
	asked = maps();
	ck_assert_int_eq(get(&s), 600);
	ck_assert_uint_eq(maps(), asked + 1);
	drop(&s);
}
END_TEST

static long umount_it(void *unused)
{
	(void)unused;
	return vt_try_umount(MNT, 0);
}

static void mount_it(void)
{
	vt_mount("zraw", DEVICE, MNT, NULL);
	mount_id = vt_mount_id();
	ck_assert_int_eq(rs_call(rs, open_mount_file, &mount_id, sizeof(mount_id)), 0);
	mounted = true;
	epoch = 1;
	rs->user[U_EPOCH] = 1;
}

/* It waits for the one that runs; those behind do not come about. */
START_TEST(umount_meanwhile)
{
	struct subject s = subject(true);
	struct vt_caller *umounter;

	arm(RS_HOLD_NOT, LEASES);
	s.word = 700;
	ck_assert_int_eq(put(&s), 0);
	drop(&s);
	epoch_hold();
	ck_assert_int_eq(epoch_begin(epoch + 2, 75), 0);
	umounter = vt_call(umount_it, NULL, -1);
	vt_await_state(umounter->pid, "D");
	hold("epoch_closed", false);
	ck_assert_int_eq(vt_join(umounter, NULL), 0);
	ck_assert_int_eq(done_read(), 71);
	ck_assert_int_eq(done_read(), -ENXIO);
	ck_assert_int_eq(epoch_begin(epoch + 3, 76), -ENXIO);
	ck_assert_int_eq(done_read(), 0);
	mount_it();
	epoch_whole();
}
END_TEST

static void server_start(uint64_t features)
{
	rs = rs_start(&(struct rs_options) { .device = true, .files = 1, .features = features });
}

START_TEST(server_dies_meanwhile)
{
	struct subject s = subject(_i);
	long waits = stat_of("waits ");
	struct vt_caller *writer;

	arm(RS_HOLD_NOT, LEASES);
	s.word = 800;
	ck_assert_int_eq(put(&s), 0);
	epoch_hold();
	writer = vt_call(put, &s, -1);
	vt_await(has_waited, &waits, "a writer that waits");
	rs_kill(rs);
	hold("epoch_closed", false);
	ck_assert_int_eq(vt_join(writer, NULL), -EIO);
	munmap(s.map, BLOCK);
	close(s.fd);
	vt_umount(MNT);
	mounted = false;
	rs = NULL;
}
END_TEST

START_TEST(not_agreed)
{
	struct subject s;

	vt_umount(MNT);
	ck_assert_int_eq(rs_stop(rs), 0);
	/* epochs without leases */
	server_start(ZUFS_MF_EPOCHS);
	ck_assert_int_eq(vt_try_mount("zraw", DEVICE, MNT, NULL), -EIO);
	ck_assert_int_eq(rs_stop(rs), 0);
	/* and leases without epochs: answers' numbers mean nothing */
	server_start(ZUFS_MF_LEASES);
	mount_it();
	ck_assert_int_eq(epoch_begin(2, 1), -EOPNOTSUPP);
	rs->user[U_EPOCH] = 12345;
	arm(RS_HOLD_NOT, LEASES);
	s = subject(true);
	s.word = 900;
	ck_assert_int_eq(put(&s), 0);
	ck_assert_int_eq(get(&s), 900);
	drop(&s);
}
END_TEST

static void setup(void)
{
	/* patched in before anything runs: see zuf/point.h */
	vt_write(POINTS, "off");
	vt_mkfs(DEVICE, "zraw");
	server_start(ZUFS_MF_LEASES | ZUFS_MF_EPOCHS);
	mount_it();
}

static void teardown(void)
{
	vt_write(POINTS, "off");
	if (mounted)
		vt_umount(MNT);
	if (rs)
		ck_assert_int_eq(rs_stop(rs), 0);
}

int main(void)
{
	Suite *suite = suite_create("data-epoch");
	TCase *tc = tcase_create("epoch");

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, arguments);
	tcase_add_loop_test(tc, answers_that_lie, 0, 4);
	tcase_add_loop_test(tc, answer_of_the_old_epoch, 0, 6);
	tcase_add_loop_test(tc, new_belongs_to_no_epoch, 0, 2);
	tcase_add_loop_test(tc, server_lags, 0, 2);
	tcase_add_loop_test(tc, leases_and_mappings, 0, 2);
	tcase_add_loop_test(tc, waiting_writer_is_killed, 0, 2);
	tcase_add_test(tc, truncate_waits);
	tcase_add_test(tc, recall_meanwhile);
	tcase_add_test(tc, umount_meanwhile);
	tcase_add_loop_test(tc, server_dies_meanwhile, 0, 2);
	tcase_add_test(tc, not_agreed);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
