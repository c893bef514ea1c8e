// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a block that somebody else still uses is neither given back to the server nor
 *	told of as free, whatever became of the mapping by which he came to it: mapped,
 *	unmapped, its file closed. When he is done, what waited goes on.
 * Method: vmsplice(2) puts the page of a mapped file into a pipe, which keeps it as long
 *	as nobody reads the pipe. What the pipe then gives must be what was stored.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "rawlease.h"
#include "vmtest.h"

#define BLOCK		4096ul
#define PIN_BLOCK	3ul
#define FILE_BLOCKS	16ul
#define LEFT_BEHIND	0xdd

static struct rs *rs;
static uint64_t mount_id;

/* A page of f0 in a pipe. */
struct pin {
	int fd;
	int pipe[2];
	char *map;		/* NULL: unmapped again */
	unsigned char value;	/* of each byte */
};

static void pin_page(struct pin *pin, unsigned char value, bool keep_mapped)
{
	unsigned char buf[BLOCK];
	struct iovec iov = { .iov_len = BLOCK };

	memset(buf, value, sizeof(buf));
	pin->value = value;
	pin->fd = open(RL_MNT "/f0", O_RDWR);
	ck_assert_int_ge(pin->fd, 0);
	ck_assert_int_eq(ftruncate(pin->fd, FILE_BLOCKS * BLOCK), 0);
	ck_assert_int_eq(pwrite(pin->fd, buf, BLOCK, PIN_BLOCK * BLOCK), BLOCK);
	pin->map = mmap(NULL, FILE_BLOCKS * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, pin->fd,
			0);
	ck_assert_ptr_ne(pin->map, MAP_FAILED);
	iov.iov_base = pin->map + PIN_BLOCK * BLOCK;
	ck_assert_int_eq(pipe2(pin->pipe, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_eq(vmsplice(pin->pipe[1], &iov, 1, 0), BLOCK);
	if (!keep_mapped) {
		ck_assert_int_eq(munmap(pin->map, FILE_BLOCKS * BLOCK), 0);
		pin->map = NULL;
	}
}

/* What lies in the pipe is what was there, and then nobody has the page. */
static void pin_drain(struct pin *pin)
{
	unsigned char buf[BLOCK];
	unsigned int i;

	ck_assert_int_eq(read(pin->pipe[0], buf, sizeof(buf)), BLOCK);
	for (i = 0; i < BLOCK; i++)
		ck_assert_msg(buf[i] == pin->value, "byte %u of the pipe is %#x, not %#x", i,
			      buf[i], pin->value);
	close(pin->pipe[0]);
	close(pin->pipe[1]);
}

static void pin_end(struct pin *pin)
{
	if (pin->map)
		munmap(pin->map, FILE_BLOCKS * BLOCK);
	close(pin->fd);
}

/* Fails where the recall ends instead. */
struct await_wait {
	long before;
};

static bool recall_waits(void *arg)
{
	const struct await_wait *a = arg;
	struct zufs_recall_done done;

	if (vt_lease(mount_id, "pinned_waits") > a->before)
		return true;
	ck_assert_msg(rl_done(rs, &done) == -EAGAIN,
		      "the recall was acknowledged, with the page in use");
	return false;
}

static void recall_with_pin(bool keep_mapped)
{
	struct await_wait waits = { vt_lease(mount_id, "pinned_waits") };
	struct zufs_recall_done done;
	unsigned char buf[BLOCK];
	struct pin pin;

	pin_page(&pin, 'p', keep_mapped);
	rl_recall_file(rs, 0);
	vt_await(recall_waits, &waits, "the recall to wait for the page");
	ck_assert_int_eq(rl_done(rs, &done), -EAGAIN);
	pin_drain(&pin);
	rl_await_done(rs, 1);
	rl_move(rs, 0, rs->user[8] == 1 ? 20 : 1, LEFT_BEHIND);
	/* who still has it mapped sees the new place */
	if (pin.map)
		ck_assert_int_eq(pin.map[PIN_BLOCK * BLOCK], 'p');
	ck_assert_int_eq(pread(pin.fd, buf, BLOCK, PIN_BLOCK * BLOCK), BLOCK);
	ck_assert_int_eq(buf[0], 'p');
	pin_end(&pin);
}

START_TEST(recall_mapped)
{
	recall_with_pin(true);
}
END_TEST

START_TEST(recall_unmapped)
{
	recall_with_pin(false);
}
END_TEST

/* The hole that a zero page was mapped over fills; the clean page beside it is in use. */
static enum rs_next with_a_hole(struct rs_channel *ch, struct rf_msg *m)
{
	struct zufs_extent *ext = m->out_payload;

	(void)ch;
	*ext = (struct zufs_extent) { .file_off = ext->file_off, .len_bytes = BLOCK,
				      .type = ZUFS_EXT_HOLE };
	return RS_REPLY;
}

START_TEST(recall_beside_a_hole)
{
	struct await_wait waits;
	unsigned char buf[BLOCK];
	struct iovec iov = { .iov_len = BLOCK };
	struct pin pin = { .value = 'q' };

	pin.fd = open(RL_MNT "/f1", O_RDWR);
	ck_assert_int_ge(pin.fd, 0);
	ck_assert_int_eq(ftruncate(pin.fd, FILE_BLOCKS * BLOCK), 0);
	pin.map = mmap(NULL, FILE_BLOCKS * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, pin.fd, 0);
	ck_assert_ptr_ne(pin.map, MAP_FAILED);
	/* the growth above has leased the file */
	rl_recall_file(rs, 1);
	rl_await_done(rs, 2);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = 1, .hook = with_a_hole });
	ck_assert_int_eq(*(volatile char *)pin.map, 0);
	ck_assert_int_eq(atomic_load(&rs->script[ZUFS_OP_MAP].times), 0);
	rl_leased(rs);
	memset(buf, 'q', sizeof(buf));
	ck_assert_int_eq(pwrite(pin.fd, buf, BLOCK, PIN_BLOCK * BLOCK), BLOCK);
	/* by reading, and flushed: a clean entry, which the library may drop */
	ck_assert_int_eq(*(volatile char *)(pin.map + PIN_BLOCK * BLOCK), 'q');
	ck_assert_int_eq(fsync(pin.fd), 0);
	iov.iov_base = pin.map + PIN_BLOCK * BLOCK;
	ck_assert_int_eq(pipe2(pin.pipe, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_eq(vmsplice(pin.pipe[1], &iov, 1, 0), BLOCK);
	ck_assert_int_eq(pwrite(pin.fd, buf, BLOCK, PIN_BLOCK * BLOCK), BLOCK);
	waits.before = vt_lease(mount_id, "pinned_waits");
	rl_recall_file(rs, 1);
	vt_await(recall_waits, &waits, "the recall to wait for the page");
	pin_drain(&pin);
	rl_await_done(rs, 2);
	pin_end(&pin);
}
END_TEST

static long do_truncate(void *arg)
{
	const struct pin *pin = arg;

	return ftruncate(pin->fd, 0) ? -errno : 0;
}

static void truncate_with_pin(bool keep_mapped, bool kill_it)
{
	uint32_t told;
	struct vt_caller *caller;
	struct pin pin;
	struct stat st;
	bool killed;
	long err;

	pin_page(&pin, 't', keep_mapped);
	/* times that are owed go by SETATTR, too */
	ck_assert_int_eq(fsync(pin.fd), 0);
	told = atomic_load(&rs->seen[ZUFS_OP_SETATTR]);
	caller = vt_call(do_truncate, &pin, -1);
	vt_await_state(caller->pid, "DZ");
	ck_assert_msg(vt_state(caller->pid) == 'D', "truncate did not wait for the page");
	ck_assert_uint_eq(atomic_load(&rs->seen[ZUFS_OP_SETATTR]), told);
	ck_assert_int_eq(atomic_load(&caller->done), 0);
	if (kill_it) {
		kill(caller->pid, SIGKILL);
		ck_assert_int_eq(vt_join(caller, &killed), -EINTR);
		ck_assert_uint_eq(atomic_load(&rs->seen[ZUFS_OP_SETATTR]), told);
		pin_drain(&pin);
	} else {
		pin_drain(&pin);
		err = vt_join(caller, &killed);
		ck_assert_int_eq(err, 0);
	}
	ck_assert_int_eq(fstat(pin.fd, &st), 0);
	ck_assert_int_eq(st.st_size, kill_it ? FILE_BLOCKS * BLOCK : 0);
	pin_end(&pin);
}

START_TEST(truncate_mapped)
{
	truncate_with_pin(true, false);
}
END_TEST

START_TEST(truncate_unmapped)
{
	truncate_with_pin(false, false);
}
END_TEST

START_TEST(truncate_killed)
{
	truncate_with_pin(false, true);
}
END_TEST

/* --------------------------------------------------------------------- evict */

struct last_user {
	int pipe;		/* its writing end */
	_Atomic uint32_t pinned;
};

/* Pins a page of a file that has no name, and closes it. */
static long pin_and_forget(void *arg)
{
	struct last_user *last = arg;
	struct iovec iov = { .iov_len = BLOCK };
	int fd = open(RL_MNT "/gone", O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, BLOCK) || unlink(RL_MNT "/gone"))
		return -errno;
	iov.iov_base = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (iov.iov_base == MAP_FAILED)
		return -errno;
	*(char *)iov.iov_base = 'g';
	if (vmsplice(last->pipe, &iov, 1, 0) != (ssize_t)BLOCK)
		return -errno;
	munmap(iov.iov_base, BLOCK);
	atomic_store(&last->pinned, 1);
	close(fd);
	return 0;
}

static bool has_pinned(void *arg)
{
	return atomic_load((_Atomic uint32_t *)arg) != 0;
}

/* The inode is on no list of the superblock's any more, but its page is in use. */
START_TEST(recall_of_all_while_an_inode_goes)
{
	struct zufs_recall try = { .flags = ZUFS_RECALL_TRY, .cookie = 1 };
	struct zufs_recall all = { .cookie = 2 };
	struct last_user *last = vt_shared(sizeof(*last));
	struct zufs_recall_done done;
	struct vt_caller *caller;
	unsigned char buf[BLOCK];
	int pipes[2];

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	last->pipe = pipes[1];
	caller = vt_call(pin_and_forget, last, -1);
	vt_await(has_pinned, &last->pinned, "the page to be pinned");
	vt_await_state(caller->pid, "D");
	ck_assert_int_eq(rl_recall(rs, &try), 0);
	rl_await_end(rs, 1, -EBUSY);
	ck_assert_int_eq(rl_recall(rs, &all), 0);
	/* it waits: so long as another one takes, at least */
	rl_recall_file(rs, 0);
	rl_await_done(rs, 1);
	ck_assert_msg(rl_done(rs, &done) == -EAGAIN,
		      "all was acknowledged, with a page in use");
	ck_assert_int_eq(read(pipes[0], buf, sizeof(buf)), BLOCK);
	ck_assert_int_eq(buf[0], 'g');
	rl_await_done(rs, 2);
	ck_assert_int_eq(vt_join(caller, NULL), 0);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

static void setup(void)
{
	rs = rl_start(3, &mount_id);
}

static void teardown(void)
{
	rl_stop(rs);
}

int main(void)
{
	Suite *suite = suite_create("lease-pinned");
	TCase *tc = tcase_create("pinned");

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_add_test(tc, recall_mapped);
	tcase_add_test(tc, recall_unmapped);
	tcase_add_test(tc, recall_beside_a_hole);
	tcase_add_test(tc, truncate_mapped);
	tcase_add_test(tc, truncate_unmapped);
	tcase_add_test(tc, truncate_killed);
	tcase_add_test(tc, recall_of_all_while_an_inode_goes);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
