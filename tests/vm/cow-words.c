// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a commit word is stored when all that it publishes is durable, once, in its
 *	answer's epoch, and nowhere but where it may be; what the server then learns; and
 *	bytes of pages in use stay where they are.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "rawlease.h"
#include "vmtest.h"

#define BLOCK		4096ul
#define POINTS		"/sys/kernel/debug/zuf/points"
#define PLACE_OFF(n)	((2ul << 20) + (n) * RL_FILE_BYTES)
#define WORDS_OFF	PLACE_OFF(RL_PLACES - 1)	/* no file is there */
#define F0_OFF		PLACE_OFF(1)
#define FAULT_PLACE	20u
#define LEFT_BEHIND	'X'
#define OLD		0x1122334455667788ull
#define NEW		0x99aabbccddeeff00ull

/* What of rs->user answers are made of. */
enum { U_EPOCH, U_ROW, U_STAYS, U_ELSEWHERE, U_MOVES, U_PLACE, U_FAULT_MOVES };

static struct rs *rs;
static uint64_t mount_id;

/* ------------------------------------------------------------------ answers */

static const struct row {
	const char *name;
	struct zufs_word word;
	uint32_t mapped_flags;	/* 0: ZUFS_MAPPED_WORD */
	uint16_t ext_flags;	/* 0: ZUFS_EXTF_COMMIT */
	bool good;
} rows[] = {
	{ "as it should be", .word = { .dev_off = WORDS_OFF }, .good = true },
	{ "new blocks", .word = { .dev_off = WORDS_OFF }, .ext_flags = ZUFS_EXTF_NEW, .good = true },
	{ "odd", .word = { .dev_off = WORDS_OFF + 4 } },
	{ "behind the device", .word = { .dev_off = 1ull << 40 } },
	{ "at all ones", .word = { .dev_off = ~7ull } },
	{ "in the device table", .word = { .dev_off = 64 } },
	{ "no such device", .word = { .dev_off = WORDS_OFF, .dev = 7 } },
	{ "in what is written", .word = { .dev_off = F0_OFF + 8 } },
	{ "nothing changes", .word = { .dev_off = WORDS_OFF, .new_le64 = OLD } },
	{ "reserved", .word = { .dev_off = WORDS_OFF, .reserved = 1 } },
	{ "too many blocks", .word = { .dev_off = WORDS_OFF, .blocks_512 = ~0ull } },
	{ "unknown flag", .word = { .dev_off = WORDS_OFF }, .mapped_flags = 3 },
	{ "nothing to publish", .word = { .dev_off = WORDS_OFF }, .ext_flags = ZUFS_EXTF_LEASE_R },
	{ "another number is there", .word = { .dev_off = WORDS_OFF, .old_le64 = 5 } },
};

static enum rs_next with_word(struct rs_channel *ch, struct rf_msg *m)
{
	const struct row *row = &rows[atomic_load(&ch->rs->user[U_ROW])];
	const struct zufs_map_in *in = m->in;
	struct zufs_extent *ext = m->out_payload;
	struct zufs_map_out *out = m->out;

	out->epoch = atomic_load(&ch->rs->user[U_EPOCH]);
	if (atomic_load(&ch->rs->user[U_PLACE]) ^
	    (atomic_load(&ch->rs->user[U_MOVES]) && in->flags & ZUFS_MAP_WRITE &&
	     !(in->flags & ZUFS_MAP_STAY)))
		ext->dev_off += 8 * RL_FILE_BYTES;
	if (atomic_load(&ch->rs->user[U_FAULT_MOVES])) {
		if (in->flags & ZUFS_MAP_FAULT && in->flags & ZUFS_MAP_WRITE)
			rl_move_here(ch->rs, 1, FAULT_PLACE, LEFT_BEHIND);
		ext->dev_off = rl_file_off(ch->rs, 1) + ext->file_off;
		return RS_REPLY;
	}
	if (!(in->flags & ZUFS_MAP_WRITE))
		return RS_REPLY;
	if (in->flags & ZUFS_MAP_STAY) {
		atomic_fetch_add(&ch->rs->user[U_STAYS], 1);
		if (atomic_load(&ch->rs->user[U_ELSEWHERE]))
			ext->dev_off += 8 * RL_FILE_BYTES;
		return RS_REPLY;
	}
	ext->flags = row->ext_flags ? row->ext_flags : ZUFS_EXTF_COMMIT;
	out->flags = row->mapped_flags ? row->mapped_flags : ZUFS_MAPPED_WORD;
	out->word = row->word;
	if (!out->word.old_le64)
		out->word.old_le64 = OLD;
	if (!out->word.new_le64)
		out->word.new_le64 = NEW;
	return RS_REPLY;
}

static uint64_t word(void)
{
	return rl_u64(rs, WORDS_OFF);
}

static void word_reset(void)
{
	rl_u64_set(rs, WORDS_OFF, OLD);
}

static uint32_t map_dones(void)
{
	return atomic_load(&rs->counts.map_dones);
}

static bool one_more_done(void *arg)
{
	return map_dones() == *(uint32_t *)arg + 1;
}

/* ----------------------------------------------------------------- the word */

static void write_row(const struct row *row, int fd)
{
	long rule = vt_rule(mount_id, "word"), words = vt_lease(mount_id, "words");
	uint32_t dones = map_dones();
	char buf[BLOCK], byte;
	ssize_t wrote;

	word_reset();
	atomic_store(&rs->user[U_ROW], (uint32_t)(row - rows));
	memset(buf, 'a' + (int)(row - rows), sizeof(buf));
	wrote = pwrite(fd, buf, sizeof(buf), 0);
	if (row->good) {
		ck_assert_msg(wrote == (ssize_t)BLOCK, "%s: wrote %zd", row->name, wrote);
		ck_assert_uint_eq(word(), NEW);
		ck_assert_int_eq(vt_lease(mount_id, "words"), words + 1);
		ck_assert_int_eq(pread(fd, &byte, 1, 99), 1);
		ck_assert_int_eq(byte, buf[0]);
		vt_await(one_more_done, &dones, "the server to be told");
	} else {
		ck_assert_msg(wrote == -1 && errno == EIO, "%s: wrote %zd", row->name, wrote);
		ck_assert_msg(vt_rule(mount_id, "word") == rule + 1, "%s: not counted",
			      row->name);
		ck_assert_msg(word() == OLD, "%s: the word is %#lx", row->name, word());
	}
}

START_TEST(words)
{
	int fd = open(RL_MNT "/f0", O_RDWR);
	unsigned int i;

	ck_assert_int_ge(fd, 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		write_row(&rows[i], fd);
	close(fd);
}
END_TEST

/* With the word, the size: no other call than MAP. */
START_TEST(a_file_grows)
{
	int fd = open(RL_MNT "/f0", O_RDWR);
	char buf[BLOCK] = "grown";
	off_t size = lseek(fd, 0, SEEK_END);
	uint32_t requests = atomic_load(&rs->seen[ZUFS_OP_MAP_DONE]);

	word_reset();
	atomic_store(&rs->user[U_ROW], 1);
	/* a whole number of blocks: no tail to zero */
	size = (size + (off_t)BLOCK - 1) / (off_t)BLOCK * (off_t)BLOCK;
	ck_assert_int_eq(ftruncate(fd, size), 0);
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), size), BLOCK);
	ck_assert_uint_eq(word(), NEW);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), size + (off_t)BLOCK);
	ck_assert_uint_eq(atomic_load(&rs->seen[ZUFS_OP_MAP_DONE]), requests);
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------- its epoch */

/* *arg is what the file's first bytes become. */
static long write_slowly(void *arg)
{
	char buf[BLOCK] = "";
	int fd = open(RL_MNT "/f0", O_RDWR);

	memcpy(buf, arg, sizeof(uint64_t));
	prctl(PR_SET_NAME, "zkill-slow");
	return fd < 0 ? -errno : pwrite(fd, buf, sizeof(buf), 0) == BLOCK ? 0 : -errno;
}

static bool copied(void *arg)
{
	return rl_u64(rs, F0_OFF) == *(uint64_t *)arg;
}

static bool asked(void *arg)
{
	return atomic_load(&rs->seen[ZUFS_OP_MAP]) > *(uint32_t *)arg;
}

/* The write is held up before the word while an epoch ends: longer, until it is so. */
START_TEST(only_in_its_epoch)
{
	unsigned int delay_us = 20000;
	uint32_t epoch = 1, maps, dones;
	struct vt_caller *caller;
	uint64_t value = 1;
	char point[64];

	atomic_store(&rs->user[U_ROW], 0);
	do {
		ck_assert_uint_le(delay_us, 10000000);
		snprintf(point, sizeof(point), "before_word delay_us %u", delay_us);
		vt_write(POINTS, point);
		delay_us *= 2;
		word_reset();
		maps = atomic_load(&rs->seen[ZUFS_OP_MAP]);
		dones = atomic_load(&rs->seen[ZUFS_OP_MAP_DONE]);
		value++;
		caller = vt_call(write_slowly, &value, -1);
		vt_await(copied, &value, "the write's copy");
		rl_epoch(rs, ++epoch);
		atomic_store(&rs->user[U_EPOCH], epoch);
		ck_assert_int_eq(vt_join(caller, NULL), 0);
		vt_write(POINTS, "off");
		ck_assert_uint_eq(word(), NEW);
	} while (atomic_load(&rs->seen[ZUFS_OP_MAP_DONE]) == dones);
	/* what it had was given back, and it asked again */
	ck_assert_uint_ge(atomic_load(&rs->seen[ZUFS_OP_MAP]), maps + 2);
}
END_TEST

/* ---------------------------------------------------------------- in its place */

START_TEST(pages_in_use_stay)
{
	int fd = open(RL_MNT "/f1", O_RDWR), pipes[2];
	struct iovec iov = { .iov_len = BLOCK };
	long rule = vt_rule(mount_id, "stay");
	char buf[BLOCK], byte;

	ck_assert_int_ge(fd, 0);
	atomic_store(&rs->user[U_ROW], 0);
	word_reset();
	memset(buf, 'p', sizeof(buf));
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 0), BLOCK);
	iov.iov_base = mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(iov.iov_base, MAP_FAILED);
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(vmsplice(pipes[1], &iov, 1, 0), BLOCK);

	ck_assert_uint_eq(atomic_load(&rs->user[U_STAYS]), 0);
	ck_assert_int_eq(pwrite(fd, "in place", 8, 0), 8);
	ck_assert_uint_eq(atomic_load(&rs->user[U_STAYS]), 1);
	ck_assert_int_eq(vt_rule(mount_id, "stay"), rule);
	ck_assert_int_eq(((const char *)iov.iov_base)[0], 'i');
	/* a server that moves them nevertheless */
	atomic_store(&rs->user[U_ELSEWHERE], 1);
	ck_assert(pwrite(fd, "elsewhere", 9, 0) == -1 && errno == EIO);
	ck_assert_int_eq(vt_rule(mount_id, "stay"), rule + 1);
	ck_assert_int_eq(((const char *)iov.iov_base)[0], 'i');
	/* when they are no more, it may */
	ck_assert_int_eq(read(pipes[0], buf, BLOCK), BLOCK);
	word_reset();
	ck_assert_int_eq(pwrite(fd, "anywhere", 8, 0), 8);
	ck_assert_uint_eq(word(), NEW);
	ck_assert_int_eq(pread(fd, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'a');
	munmap(iov.iov_base, BLOCK);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}
END_TEST

/* What was mapped before a write moved it, and is pinned behind it, is in use there. */
START_TEST(pages_in_use_are_where_they_moved)
{
	int fd = open(RL_MNT "/f1", O_RDWR), pipes[2];
	struct iovec iov = { .iov_len = BLOCK };
	uint32_t stays = atomic_load(&rs->user[U_STAYS]);
	char buf[BLOCK];

	ck_assert_int_ge(fd, 0);
	atomic_store(&rs->user[U_ELSEWHERE], 0);
	word_reset();
	memset(buf, 'b', sizeof(buf));
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 0), BLOCK);
	iov.iov_base = mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(iov.iov_base, MAP_FAILED);
	ck_assert_int_eq(((const char *)iov.iov_base)[0], 'b');
	atomic_store(&rs->user[U_MOVES], 1);
	word_reset();
	memset(buf, 'c', sizeof(buf));
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 0), BLOCK);
	ck_assert_uint_eq(atomic_load(&rs->user[U_STAYS]), stays);
	atomic_store(&rs->user[U_PLACE], 1);
	ck_assert_int_eq(((const char *)iov.iov_base)[0], 'c');
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(vmsplice(pipes[1], &iov, 1, 0), BLOCK);
	ck_assert_int_eq(pwrite(fd, "d", 1, 0), 1);
	ck_assert_uint_eq(atomic_load(&rs->user[U_STAYS]), stays + 1);
	ck_assert_int_eq(((const char *)iov.iov_base)[0], 'd');
	close(pipes[0]);
	close(pipes[1]);
	munmap(iov.iov_base, BLOCK);
	close(fd);
	atomic_store(&rs->user[U_MOVES], 0);
	atomic_store(&rs->user[U_PLACE], 0);
	/* this server moved no bytes back */
	rl_recall_file(rs, 1);
	rl_await_done(rs, 2);
}
END_TEST

static enum rs_next hole(struct rs_channel *ch, struct rf_msg *m)
{
	struct zufs_extent *ext = m->out_payload;
	struct zufs_map_out *out = m->out;

	out->epoch = atomic_load(&ch->rs->user[U_EPOCH]);
	*ext = (struct zufs_extent) { .file_off = ext->file_off, .len_bytes = BLOCK,
				      .type = ZUFS_EXT_HOLE };
	return RS_REPLY;
}

/* The zero page that a fault mapped over a hole is one page of the file, not all of it. */
START_TEST(pages_in_use_beside_a_hole)
{
	int fd = open(RL_MNT "/f1", O_RDWR), pipes[2];
	uint32_t stays = atomic_load(&rs->user[U_STAYS]);
	struct iovec iov = { .iov_len = BLOCK };
	char buf[BLOCK];
	char *map;

	ck_assert_int_ge(fd, 0);
	word_reset();
	memset(buf, 'z', sizeof(buf));
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 3 * BLOCK), BLOCK);
	map = mmap(NULL, 4 * BLOCK, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	iov.iov_base = map + 3 * BLOCK;
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(vmsplice(pipes[1], &iov, 1, 0), BLOCK);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = 1, .hook = hole });
	ck_assert_int_eq(map[BLOCK], 0);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = -1, .hook = with_word });
	word_reset();
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), BLOCK), BLOCK);
	ck_assert_uint_eq(atomic_load(&rs->user[U_STAYS]), stays);
	ck_assert_int_eq(map[BLOCK], 'z');
	close(pipes[0]);
	close(pipes[1]);
	munmap(map, 4 * BLOCK);
	close(fd);
}
END_TEST

static long read_slowly(void *arg)
{
	int fd = open(RL_MNT "/f1", O_RDONLY);
	char byte = 0;

	(void)arg;
	prctl(PR_SET_NAME, "zkill-read");
	return fd < 0 || pread(fd, &byte, 1, BLOCK) != 1 ? -errno : byte;
}

/* A read has its answer; the place is somebody else's when it copies. */
START_TEST(no_read_of_the_place_before)
{
	uint32_t maps;
	struct vt_caller *caller;
	char buf[2 * BLOCK];
	int fd = open(RL_MNT "/f1", O_RDWR);
	char *map;

	ck_assert_int_ge(fd, 0);
	word_reset();
	memset(buf, 'r', sizeof(buf));
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
	map = mmap(NULL, sizeof(buf), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	atomic_store(&rs->user[U_FAULT_MOVES], 1);
	vt_write(POINTS, "read_mapped delay_us 500000");
	maps = atomic_load(&rs->seen[ZUFS_OP_MAP]);
	caller = vt_call(read_slowly, NULL, -1);
	vt_await(asked, &maps, "the read's map");
	map[BLOCK] = 's';
	ck_assert_int_eq(map[BLOCK + 1], 'r');
	ck_assert_int_ne(rl_file_off(rs, 1), PLACE_OFF(2));
	ck_assert_int_ne(vt_join(caller, NULL), LEFT_BEHIND);
	vt_write(POINTS, "off");
	ck_assert_int_eq(pread(fd, buf, 2, BLOCK), 2);
	ck_assert(buf[0] == 's' && buf[1] == 'r');
	munmap(map, sizeof(buf));
	close(fd);
	atomic_store(&rs->user[U_FAULT_MOVES], 0);
	rl_recall_file(rs, 1);
	rl_await_done(rs, 2);
}
END_TEST

/* Some words' MAP_DONEs are on their way: they come before FORGET and UMOUNT. */
START_TEST(told_before_the_end)
{
	int fd = open(RL_MNT "/f2", O_RDWR);
	char buf[BLOCK] = "last";
	long words;

	atomic_store(&rs->user[U_ROW], 0);
	word_reset();
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 0), BLOCK);
	close(fd);
	ck_assert_int_eq(unlink(RL_MNT "/f2"), 0);
	words = vt_lease(mount_id, "words");
	vt_umount(RL_MNT);
	ck_assert_int_eq(map_dones() - atomic_load(&rs->seen[ZUFS_OP_MAP_DONE]), words);
	ck_assert_int_eq(rs->counts.wild, 0);
	vt_mount("zraw", "/dev/pmem0", RL_MNT, NULL);
}
END_TEST

static void setup(void)
{
	vt_write(POINTS, "off");
	rs = rl_start_with(3, ZUFS_MF_LEASES | ZUFS_MF_EPOCHS | ZUFS_MF_COW, &mount_id);
	atomic_store(&rs->user[U_EPOCH], 1);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = -1, .hook = with_word });
}

static void teardown(void)
{
	rl_stop(rs);
}

int main(void)
{
	Suite *suite = suite_create("cow-words");
	TCase *tc = tcase_create("words");

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_add_test(tc, words);
	tcase_add_test(tc, a_file_grows);
	tcase_add_test(tc, only_in_its_epoch);
	tcase_add_test(tc, pages_in_use_stay);
	tcase_add_test(tc, pages_in_use_are_where_they_moved);
	tcase_add_test(tc, pages_in_use_beside_a_hole);
	tcase_add_test(tc, no_read_of_the_place_before);
	tcase_add_test(tc, told_before_the_end);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
