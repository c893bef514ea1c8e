// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: what the kernel says is durable has been written back to the medium: writes, also
 *	of parts of blocks, what was stored through a mapping before msync, recall, downgrade,
 *	epoch or umount, zeros around what is new and behind a file's end, and words.
 * Method: pmshadow.ko keeps a mirror of what was written back. That it notices what was
 *	not is seen first.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rawlease.h"
#include "vmtest.h"

#define BLOCK		4096ul
#define SHADOW		"/sys/kernel/debug/pmshadow"
#define MIRROR_BYTES	((2ul << 20) + RL_PLACES * RL_FILE_BYTES)
#define WORD_OFF	((2ul << 20) + (RL_PLACES - 1) * RL_FILE_BYTES)
#define WRITES		300

/* What of rs->user answers are made of, and what hooks found. */
enum { U_EPOCH, U_FLAGS, U_WORD, U_DIFFER_AT_DONE, U_MOVES_TO };

static struct rs *rs;
static uint64_t mount_id;
static int fd;

/* ------------------------------------------------------------------- mirror */

static void all_is_durable(void)
{
	vt_write(SHADOW, "all");
}

/* Bytes of the device's range that a power cut would lose. */
static long lost(uint64_t off, uint64_t len)
{
	char text[64];

	snprintf(text, sizeof(text), "%lu %lu", off, len);
	vt_write(SHADOW, text);
	return strtol(vt_read(SHADOW), NULL, 10);
}

static void nothing_lost(const char *what)
{
	long bytes = lost(rl_file_off(rs, 0), RL_FILE_BYTES);

	ck_assert_msg(!bytes, "%s: a power cut would lose %ld bytes: %s", what, bytes,
		      vt_read(SHADOW));
}

/* ------------------------------------------------------------------ answers */

static enum rs_next answer(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_map_in *in = m->in;
	struct zufs_extent *ext = m->out_payload;
	struct zufs_map_out *out = m->out;

	out->epoch = atomic_load(&ch->rs->user[U_EPOCH]);
	ext->flags = (uint16_t)atomic_load(&ch->rs->user[U_FLAGS]);
	if (!(in->flags & ZUFS_MAP_WRITE))
		ext->flags &= ZUFS_EXTF_LEASE_R;
	if (atomic_load(&ch->rs->user[U_MOVES_TO]) && in->flags & ZUFS_MAP_FAULT &&
	    in->flags & ZUFS_MAP_WRITE)
		rl_move_here(ch->rs, 0, atomic_load(&ch->rs->user[U_MOVES_TO]), 'X');
	ext->dev_off = rl_file_off(ch->rs, 0) + ext->file_off;
	if (!atomic_load(&ch->rs->user[U_WORD]) || !(in->flags & ZUFS_MAP_WRITE))
		return RS_REPLY;
	out->flags = ZUFS_MAPPED_WORD;
	out->word = (struct zufs_word) { .dev_off = WORD_OFF, .new_le64 = 1 };
	return RS_REPLY;
}

/* The server publishes what it is told of: by then it is durable, zeros, too. */
static enum rs_next done(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_map_done_in *in = m->in;
	uint64_t from = in->off / BLOCK * BLOCK;
	uint64_t to = (in->off + in->written_bytes + BLOCK - 1) / BLOCK * BLOCK;

	atomic_store(&ch->rs->user[U_DIFFER_AT_DONE],
		     (uint32_t)lost(rl_file_off(ch->rs, 0) + from, to - from));
	return RS_REPLY;
}

static void answers(uint32_t flags)
{
	atomic_store(&rs->user[U_FLAGS], flags);
	rl_recall_file(rs, 0);
	rl_await_done(rs, 1);
}

#define LEASED	(ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W)

/* -------------------------------------------------------------------- write */

static void write_some(const char *what)
{
	static char buf[20000];
	unsigned int i;

	for (i = 0; i < WRITES; i++) {
		size_t len = 1 + vt_random() % sizeof(buf);
		off_t off = (off_t)(vt_random() % (RL_FILE_BYTES - len));

		memset(buf, (int)(i % 255 + 1), len);
		ck_assert_int_eq(pwrite(fd, buf, len, off), (ssize_t)len);
		nothing_lost(what);
	}
}

START_TEST(writes)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/fs/zuf/mounts/%llu/fast_copy",
		 (unsigned long long)mount_id);
	answers(LEASED);
	write_some("leased");
	vt_write(path, "0");
	write_some("leased, by the library");
	vt_write(path, "1");
	answers(0);
	write_some("not leased");
}
END_TEST

/* ------------------------------------------------------------------- stores */

static char *map_and_store(char value)
{
	char *map = mmap(NULL, RL_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	unsigned int i;

	ck_assert_ptr_ne(map, MAP_FAILED);
	nothing_lost("before the stores");
	for (i = 0; i < 50; i++)
		map[vt_random() % RL_FILE_BYTES] ^= value;
	ck_assert_msg(lost(rl_file_off(rs, 0), RL_FILE_BYTES) > 0,
		      "the mirror has what nobody wrote back");
	return map;
}

static void by_msync(char *map)
{
	ck_assert_int_eq(msync(map, RL_FILE_BYTES, MS_SYNC), 0);
}

static void by_fsync(char *map)
{
	(void)map;
	ck_assert_int_eq(fdatasync(fd), 0);
}

static void by_recall(char *map)
{
	(void)map;
	rl_recall_file(rs, 0);
	rl_await_done(rs, 1);
}

static void by_downgrade(char *map)
{
	struct zufs_recall recall = { .ino = 2, .gen = 1, .flags = ZUFS_RECALL_DOWNGRADE,
				      .cookie = 9 };

	(void)map;
	ck_assert_int_eq(rl_recall(rs, &recall), 0);
	rl_await_done(rs, 9);
}

static void by_epoch(char *map)
{
	uint32_t epoch = atomic_load(&rs->user[U_EPOCH]) + 1;

	(void)map;
	rl_epoch(rs, epoch);
	atomic_store(&rs->user[U_EPOCH], epoch);
}

static const struct {
	const char *name;
	void (*flush)(char *map);
} flushes[] = {
	{ "msync", by_msync }, { "fdatasync", by_fsync }, { "recall", by_recall },
	{ "downgrade", by_downgrade }, { "epoch", by_epoch },
};

START_TEST(stores)
{
	unsigned int i, round;
	char *map;

	answers(LEASED);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < sizeof(flushes) / sizeof(flushes[0]); i++) {
			map = map_and_store((char)(1 + i));
			flushes[i].flush(map);
			nothing_lost(flushes[i].name);
			/* and again, where the page is mapped read-only, or not at all */
			map[77] ^= 1;
			ck_assert_msg(lost(rl_file_off(rs, 0), RL_FILE_BYTES) == 1,
				      "%s: a store behind it is durable", flushes[i].name);
			flushes[i].flush(map);
			nothing_lost(flushes[i].name);
			munmap(map, RL_FILE_BYTES);
		}
	}
}
END_TEST

/* What is flushed is the place that a fault moved the bytes to, not the one before. */
START_TEST(stores_where_a_fault_moved_them)
{
	static const uint32_t places[] = { 20, 21, 1 };
	unsigned int i;
	char *map;

	answers(0);
	map = mmap(NULL, RL_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		ck_assert_int_ne(map[5], 'X');
		by_msync(map);
		atomic_store(&rs->user[U_MOVES_TO], places[i]);
		map[5] = (char)i;
		atomic_store(&rs->user[U_MOVES_TO], 0);
		/* the server's copy is not in the mirror */
		all_is_durable();
		map[6] = (char)(i + 100);
		ck_assert_int_eq(lost(rl_file_off(rs, 0), RL_FILE_BYTES), 1);
		by_msync(map);
		nothing_lost("a store behind the move");
		ck_assert_int_eq(map[5], (char)i);
	}
	munmap(map, RL_FILE_BYTES);
}
END_TEST

/* The zeros behind the end are durable; what stays of the file nobody asked to flush. */
START_TEST(truncation)
{
	off_t size;
	char *map;

	answers(LEASED);
	for (size = RL_FILE_BYTES - 5; size > 300000; size -= 41234) {
		map = map_and_store(5);
		ck_assert_int_eq(ftruncate(fd, size), 0);
		ck_assert_int_eq(lost(rl_file_off(rs, 0) + (uint64_t)size, BLOCK - size % BLOCK), 0);
		ck_assert_int_eq(ftruncate(fd, RL_FILE_BYTES), 0);
		ck_assert_int_eq(map[size], 0);
		by_msync(map);
		nothing_lost("truncate");
		munmap(map, RL_FILE_BYTES);
	}
}
END_TEST

/* -------------------------------------------------------------- new, and words */

/* What was there before is garbage. */
START_TEST(new_blocks)
{
	static const struct { off_t off; size_t len; } ranges[] = {
		{ 0, 1 }, { 4095, 1 }, { 100, 3000 }, { 4000, 200 }, { 5000, 9000 }, { 0, 8192 },
	};
	static char buf[RL_FILE_BYTES];
	unsigned int i;
	char *map;

	rs_arm(rs, ZUFS_OP_MAP_DONE, &(struct rs_script) { .times = -1, .hook = done });
	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		answers(LEASED);
		memset(buf, 'g', sizeof(buf));
		ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
		answers(ZUFS_EXTF_NEW);
		memset(buf, 'n', ranges[i].len);
		atomic_store(&rs->user[U_DIFFER_AT_DONE], 1);
		ck_assert_int_eq(pwrite(fd, buf, ranges[i].len, ranges[i].off),
				 (ssize_t)ranges[i].len);
		ck_assert_uint_eq(atomic_load(&rs->user[U_DIFFER_AT_DONE]), 0);
		nothing_lost("new");
	}
	/* by a fault: zeros before the first store */
	answers(ZUFS_EXTF_NEW);
	atomic_store(&rs->user[U_DIFFER_AT_DONE], 1);
	map = mmap(NULL, RL_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	map[9 * BLOCK + 5] = 'f';
	ck_assert_uint_eq(atomic_load(&rs->user[U_DIFFER_AT_DONE]), 0);
	ck_assert_int_eq(map[9 * BLOCK + 6], 0);
	ck_assert_int_eq(lost(rl_file_off(rs, 0) + 9 * BLOCK, BLOCK), 1);
	by_msync(map);
	nothing_lost("a new page");
	munmap(map, RL_FILE_BYTES);
	rs_disarm(rs, ZUFS_OP_MAP_DONE);
}
END_TEST

START_TEST(words)
{
	static char buf[3 * BLOCK];

	answers(ZUFS_EXTF_COMMIT);
	rl_u64_set(rs, WORD_OFF, 0);
	atomic_store(&rs->user[U_WORD], 1);
	memset(buf, 'w', sizeof(buf));
	ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
	atomic_store(&rs->user[U_WORD], 0);
	ck_assert_uint_eq(rl_u64(rs, WORD_OFF), 1);
	ck_assert_int_eq(lost(WORD_OFF, sizeof(uint64_t)), 0);
	nothing_lost("a word's write");
}
END_TEST

/* ------------------------------------------------------------------ the end */

/* Nobody called fsync. */
START_TEST(unmounting)
{
	char *map;

	answers(LEASED);
	map = map_and_store(3);
	munmap(map, RL_FILE_BYTES);
	close(fd);
	vt_umount(RL_MNT);
	nothing_lost("umount");
	vt_mount("zraw", "/dev/pmem0", RL_MNT, NULL);
	fd = open(RL_MNT "/f0", O_RDWR);
}
END_TEST

/* By root, in a guest of its own. */
static int run(const char *command)
{
	return system(command);	/* NOLINT(cert-env33-c) */
}

static void shadow_load(void)
{
	unsigned long long phys = strtoull(vt_read("/sys/class/block/pmem0/device/resource"),
					   NULL, 0);
	char command[512];

	snprintf(command, sizeof(command), "insmod %s/pmshadow/%s/pmshadow.ko phys=%llu bytes=%lu",
		 getenv("BUILD"), getenv("VM_KERNEL"), phys, MIRROR_BYTES);
	ck_assert_msg(phys && !run(command), "%s", command);
}

static void setup(void)
{
	/* its probes are patched in before anything runs into them */
	shadow_load();
	rs = rl_start_with(1, ZUFS_MF_LEASES | ZUFS_MF_EPOCHS | ZUFS_MF_COW, &mount_id);
	atomic_store(&rs->user[U_EPOCH], 1);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = -1, .hook = answer });
}

static void teardown(void)
{
	rl_stop(rs);
	ck_assert_int_eq(run("rmmod pmshadow"), 0);
}

static void open_file(void)
{
	fd = open(RL_MNT "/f0", O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, RL_FILE_BYTES), 0);
	all_is_durable();
}

static void close_file(void)
{
	close(fd);
}

int main(void)
{
	Suite *suite = suite_create("flush-mirror");
	TCase *tc = tcase_create("mirror");

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_add_checked_fixture(tc, open_file, close_file);
	tcase_add_test(tc, writes);
	tcase_add_test(tc, stores);
	tcase_add_test(tc, stores_where_a_fault_moved_them);
	tcase_add_test(tc, truncation);
	tcase_add_test(tc, new_blocks);
	tcase_add_test(tc, words);
	tcase_add_test(tc, unmounting);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
