// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: while a page fault has the server move a block, who reads it beside gets neither
 *	what is left at the old place nor a lease of it, wherever the read was when the
 *	fault began, on mounts with and without leases.
 * Method: in the server, the hook of the fault's MAP moves the bytes once the read has had
 *	its answer, and leaves other ones behind; or once the read was made to wait, as it
 *	should be.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "rawlease.h"
#include "vmtest.h"

#define BLOCK		4096ul
#define POINTS		"/sys/kernel/debug/zuf/points"
#define FILE1		RL_MNT "/f1"
#define FAULT_PLACE	20u
#define LEFT_BEHIND	'X'

/* What of rs->user the reader, the server and the test tell each other. */
enum { U_MOVES, U_WIDE, U_WAITS, U_FENCED, U_ANSWERED, U_READ };

static struct rs *rs;
static uint64_t mount_id;
static bool leases;

/* ---------------------------------------------------------------- in the server */

/* The read was answered, or waits for the fault; where it is late, it has its bytes. */
static bool reader_came(const struct rs *r)
{
	if (atomic_load(&r->user[U_WIDE]))
		return atomic_load(&r->user[U_READ]);
	return atomic_load(&r->user[U_ANSWERED]) ||
	       vt_lease(vt_mount_id(), "fence_waits") != (long)atomic_load(&r->user[U_WAITS]);
}

static enum rs_next answer(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_map_in *in = m->in;
	struct zufs_extent *ext = m->out_payload;
	bool fault = in->flags & ZUFS_MAP_FAULT && in->flags & ZUFS_MAP_WRITE;
	struct rs *r = ch->rs;

	if (m->reply->err || ext->type != ZUFS_EXT_DATA)
		return RS_REPLY;
	if (fault && atomic_load(&r->user[U_MOVES])) {
		atomic_store(&r->user[U_FENCED], 1);
		while (!reader_came(r))
			usleep(1000);
		rl_move_here(r, 1, FAULT_PLACE, LEFT_BEHIND);
	}
	*ext = (struct zufs_extent) {
		.len_bytes = RL_FILE_BYTES,
		.dev_off = rl_file_off(r, 1),
		.type = ZUFS_EXT_DATA,
		.flags = r->options.features & ZUFS_MF_LEASES ? ZUFS_EXTF_LEASE_R : 0,
	};
	if (!(in->flags & ZUFS_MAP_WRITE))
		atomic_store(&r->user[U_ANSWERED], 1);
	return RS_REPLY;
}

/* ----------------------------------------------------------------- the callers */

static void user_wait(unsigned int which)
{
	while (!atomic_load(&rs->user[which]))
		usleep(1000);
}

static long read_byte(off_t off)
{
	int fd = open(FILE1, O_RDONLY);
	char byte = 0;

	if (fd < 0 || pread(fd, &byte, 1, off) != 1)
		return -errno;
	atomic_store(&rs->user[U_READ], 1);
	return byte;
}

/* Held up at points. */
static long read_slowly(void *arg)
{
	(void)arg;
	prctl(PR_SET_NAME, "zkill-read");
	return read_byte(BLOCK);
}

/* Of another block than the one that moves. */
static long read_beside(void *arg)
{
	(void)arg;
	user_wait(U_FENCED);
	return read_byte(0);
}

static long store(void *arg)
{
	char *map = arg;

	map[BLOCK] = 's';
	return 0;
}

/* ------------------------------------------------------------------- the tests */

static char *map;

/* arg: as the line of a point begins; some task has come to it. */
static bool passed(void *arg)
{
	const char *line = strstr(vt_read(POINTS), arg);

	return line && strtoul(line + strlen(arg), NULL, 10);
}

static bool answered(void *arg)
{
	(void)arg;
	return atomic_load(&rs->user[U_ANSWERED]);
}

static bool fenced(void *arg)
{
	(void)arg;
	return atomic_load(&rs->user[U_FENCED]);
}

static void begin(void)
{
	char buf[2 * BLOCK];
	int fd = open(FILE1, O_RDWR);

	ck_assert_int_ge(fd, 0);
	memset(buf, 'r', sizeof(buf));
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
	map = mmap(NULL, sizeof(buf), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	close(fd);
	atomic_store(&rs->user[U_WAITS], (uint32_t)vt_lease(mount_id, "fence_waits"));
	atomic_store(&rs->user[U_MOVES], 1);
}

/* The store is there, and the other bytes of the block are. */
static void end(char stored)
{
	char buf[2];
	int fd = open(FILE1, O_RDWR);

	vt_write(POINTS, "off");
	ck_assert_int_eq(pread(fd, buf, 2, BLOCK), 2);
	ck_assert_int_eq(buf[0], stored);
	ck_assert_int_eq(buf[1], 'r');
	ck_assert_int_eq(pread(fd, buf, 1, 0), 1);
	ck_assert_int_eq(buf[0], 'r');
	munmap(map, 2 * BLOCK);
	close(fd);
}

START_TEST(the_read_has_its_answer)
{
	struct vt_caller *reader;

	begin();
	vt_write(POINTS, "read_mapped delay_us 500000");
	reader = vt_call(read_slowly, NULL, 1);
	vt_await(answered, NULL, "the read's map");
	store(map);
	ck_assert_int_ne(vt_join(reader, NULL), LEFT_BEHIND);
	end('s');
}
END_TEST

static struct vt_caller *reader_about_to_ask(void)
{
	struct vt_caller *reader;

	vt_write(POINTS, "asking delay_us 500000");
	vt_write(POINTS, "read_mapped delay_us 500000");
	reader = vt_call(read_slowly, NULL, 1);
	vt_await(passed, "asking passed ", "the read to come");
	return reader;
}

START_TEST(the_read_is_about_to_ask)
{
	struct vt_caller *reader;

	begin();
	reader = reader_about_to_ask();
	store(map);
	ck_assert_int_ne(vt_join(reader, NULL), LEFT_BEHIND);
	end('s');
}
END_TEST

/* Nobody waits for the fault's answer any more, and the server moves the bytes then. */
START_TEST(the_fault_is_killed)
{
	struct vt_caller *reader, *storer;
	bool killed;

	begin();
	reader = reader_about_to_ask();
	storer = vt_call(store, map, 0);
	vt_await(fenced, NULL, "the fault's map");
	ck_assert_int_eq(kill(storer->pid, SIGKILL), 0);
	vt_join(storer, &killed);
	ck_assert(killed);
	ck_assert_int_eq(vt_join(reader, NULL), 'r');
	end('r');
}
END_TEST

/* The answer for another block has this one, too. */
START_TEST(the_read_is_of_what_lies_beside)
{
	struct vt_caller *reader;

	begin();
	atomic_store(&rs->user[U_WIDE], 1);
	reader = vt_call(read_beside, NULL, 1);
	store(map);
	ck_assert_int_eq(vt_join(reader, NULL), 'r');
	end('s');
}
END_TEST

static void setup(void)
{
	vt_write(POINTS, "off");
	vt_pin(0);
	rs = rl_start_with(2, ZUFS_MF_COW | (leases ? ZUFS_MF_LEASES : 0), &mount_id);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = -1, .hook = answer });
}

static void teardown(void)
{
	rl_stop(rs);
}

static void leased(void)
{
	leases = true;
	setup();
}

static void unleased(void)
{
	leases = false;
	setup();
}

static void add(Suite *suite, const char *name, void (*begins)(void))
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_checked_fixture(tc, begins, teardown);
	tcase_add_test(tc, the_read_has_its_answer);
	tcase_add_test(tc, the_read_is_about_to_ask);
	tcase_add_test(tc, the_fault_is_killed);
	tcase_add_test(tc, the_read_is_of_what_lies_beside);
	suite_add_tcase(suite, tc);
}

int main(void)
{
	Suite *suite = suite_create("cow-reads");

	add(suite, "with leases", leased);
	add(suite, "without leases", unleased);
	return vt_main(suite);
}
