// SPDX-License-Identifier: BSD-3-Clause
/*
 * devtable.c - device tables on plain files: layout, corrupt copies, the order of
 * writing, and mkfs.zufs as a person calls it.
 * TIMEOUT: 120
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zufs_media.h>

#include "unit.h"

#define MIB	(1ull << 20)

/* libzus's pwrite(2) is this one: it notes where, and fails from a certain call on. */
static off_t wrote_at[8];
static unsigned int writes, writes_allowed = 8;

ssize_t pwrite(int to, const void *buf, size_t bytes, off_t off)
{
	if (writes >= writes_allowed) {
		errno = EIO;
		return -1;
	}
	if (writes < 8)
		wrote_at[writes] = off;
	writes++;
	return pwrite64(to, buf, bytes, off);
}

static char path[] = "devtable-XXXXXX";
static int fd;

static void setup(void)
{
	memset(path + strlen(path) - 6, 'X', 6);
	writes = 0;
	writes_allowed = UINT_MAX;
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 16 * MIB), 0);
}

static void teardown(void)
{
	close(fd);
	unlink(path);
}

static struct zufs_devtable table_of(const char *type)
{
	struct zufs_devtable table;

	memset(&table, 0, sizeof(table));
	table.magic = htole64(ZUFS_DEVTABLE_MAGIC);
	table.major = htole16(ZUFS_DEVTABLE_MAJOR);
	snprintf(table.fs_type, sizeof(table.fs_type), "%s", type);
	table.num_devices = htole32(1);
	table.dev[0].size_bytes = htole64(16 * MIB);
	table.dev[0].data_off = htole64(2 * MIB);
	table.dev[0].tier = htole32(1);
	table.dev[0].numa_node = htole32(0xffffffff);
	return table;
}

static void write_as(const char *type)
{
	struct zufs_devtable table = table_of(type);

	ck_assert_int_eq(zus_devtable_write(fd, 16 * MIB, &table), 0);
}

static void flip(uint32_t copy, uint32_t at)
{
	char byte;

	ck_assert_int_eq(pread(fd, &byte, 1, ZUFS_DEVTABLE_OFF(copy) + at), 1);
	byte ^= 0x10;
	ck_assert_int_eq(pwrite(fd, &byte, 1, ZUFS_DEVTABLE_OFF(copy) + at), 1);
}

/* The value that RFC 3720 gives for 32 bytes of zeros, by way of a table. */
START_TEST(checksum_is_crc32c)
{
	static const struct { uint32_t bytes, crc; } known[] = { { 32, 0x8a9136aa } };
	struct zufs_devtable table;
	uint32_t crc = ~0u, i, bit;

	for (i = 0; i < known[0].bytes; i++)
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	ck_assert_uint_eq(~crc, known[0].crc);
	memset(&table, 0, sizeof(table));
	for (crc = ~0u, i = 0; i < sizeof(table) * 8; i++)
		crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	table.crc32c = 0x12345678;	/* counts as zero */
	ck_assert_uint_eq(zus_devtable_crc(&table), ~crc);
}
END_TEST

START_TEST(newest_valid_copy_is_taken)
{
	struct zufs_devtable table, copy[2];
	uint32_t which;

	ck_assert_int_eq(zus_devtable_read(fd, 16 * MIB, &table, &which), -ENODATA);
	write_as("zone");
	ck_assert_int_eq(zus_devtable_read(fd, 16 * MIB, &table, &which), 0);
	ck_assert_uint_eq(le64toh(table.seq), 2);
	ck_assert_int_eq(pread(fd, copy, sizeof(copy), 0), sizeof(copy));
	ck_assert_uint_eq(le64toh(copy[which].seq), 2);
	ck_assert_uint_eq(le64toh(copy[!which].seq), 1);
	flip(which, 100);
	ck_assert_int_eq(zus_devtable_read(fd, 16 * MIB, &table, &which), 0);
	ck_assert_uint_eq(le64toh(table.seq), 1);
	/* The damaged copy is replaced first: the good one is kept meanwhile. */
	write_as("ztwo");
	ck_assert_int_eq(zus_devtable_read(fd, 16 * MIB, &table, &which), 0);
	ck_assert_uint_eq(le64toh(table.seq), 3);
	ck_assert_str_eq(table.fs_type, "ztwo");
	flip(0, 0);
	flip(1, 4095);
	ck_assert_int_eq(zus_devtable_read(fd, 16 * MIB, &table, &which), -EUCLEAN);
}
END_TEST

/* A writer that stops after any of its writes leaves the old table or the new. */
START_TEST(writing_may_stop_anywhere)
{
	struct zufs_devtable table = table_of("ztwo");
	uint32_t which, before;

	write_as("zone");
	ck_assert_int_eq(zus_devtable_read(fd, 16 * MIB, &table, &before), 0);
	table = table_of("ztwo");
	writes = 0;
	writes_allowed = (unsigned int)_i;
	ck_assert_int_eq(zus_devtable_write(fd, 16 * MIB, &table), _i < 2 ? -EIO : 0);
	if (_i)		/* the older one first, and never the newest valid one */
		ck_assert_int_eq(wrote_at[0], (off_t)ZUFS_DEVTABLE_OFF(!before));
	ck_assert_int_eq(zus_devtable_read(fd, 16 * MIB, &table, &which), 0);
	ck_assert_str_eq(table.fs_type, _i ? "ztwo" : "zone");
}
END_TEST

START_TEST(every_flipped_byte_is_found)
{
	struct zufs_devtable table;
	uint32_t at, which;

	write_as("zone");
	flip(1, 0);
	for (at = 0; at < sizeof(table); at += 7) {
		flip(0, at);
		ck_assert_int_lt(zus_devtable_read(fd, 16 * MIB, &table, &which), 0);
		flip(0, at);
	}
	ck_assert_int_eq(zus_devtable_read(fd, 16 * MIB, &table, &which), 0);
}
END_TEST

/* Wrong values under a right checksum. */
START_TEST(bounds_are_checked)
{
	struct zufs_devtable t;
	int i;

	for (i = 0; i < 14; i++) {
		t = table_of("zone");
		switch (i) {
		case 0: t.major = htole16(2); break;
		case 1: t.num_devices = 0; break;
		case 2: t.num_devices = htole32(33); break;
		case 3: t.self = htole32(1); break;
		case 4: t.fs_type[0] = 0; break;
		case 5: memset(t.fs_type, 'x', sizeof(t.fs_type)); break;
		case 6: t.dev[0].size_bytes = htole64(4 * MIB); break;
		case 7: t.dev[0].size_bytes = htole64(16 * MIB + 1); break;
		case 8: t.dev[0].size_bytes = htole64(32 * MIB); break;
		case 9: t.dev[0].data_off = htole64(4096); break;
		case 10: t.dev[0].data_off = htole64(16 * MIB); break;
		case 11: t.dev[0].pmd_phase_bytes = htole64(2 * MIB); break;
		case 12: t.dev[0].tier = htole32(3); break;
		default: t.dev[0].data_off = htole64(2 * MIB + 1); break;
		}
		t.crc32c = htole32(zus_devtable_crc(&t));
		ck_assert_msg(zus_devtable_check(&t, 16 * MIB) < 0, "case %d", i);
	}
	t = table_of("zone");
	t.crc32c = htole32(zus_devtable_crc(&t));
	ck_assert_int_eq(zus_devtable_check(&t, 16 * MIB), 0);
}
END_TEST

START_TEST(data_begins_on_a_huge_page)
{
	uint64_t phase;

	for (phase = 0; phase < 2 * MIB; phase += 4096) {
		uint64_t off = zus_devtable_data_off(phase);

		ck_assert_uint_eq((phase + off) % (2 * MIB), 0);
		ck_assert_uint_ge(off, 8192);
		ck_assert_uint_le(off, 4 * MIB);
	}
}
END_TEST

/* --------------------------------------------------------------------- mkfs */

/* Exit status of mkfs.zufs with the words of args, and path if there is a last one. */
static int mkfs(const char *args, const char *last)
{
	char self[PATH_MAX], program[PATH_MAX + 32], words[256], *argv[16], *save = NULL;
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int status, argc = 0;
	pid_t child;

	ck_assert_int_gt(len, 0);
	self[len] = 0;
	*strrchr(self, '/') = 0;
	snprintf(program, sizeof(program), "%s/../../zus/mkfs.zufs", self);
	snprintf(words, sizeof(words), "%s", args);
	argv[argc++] = program;
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc++] = (char *)(uintptr_t)last;
	argv[argc] = NULL;
	child = fork();
	if (!child) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		execv(program, argv);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int mkfs_file(const char *options)
{
	return mkfs(options, path);
}

START_TEST(mkfs_makes_a_table)
{
	struct zufs_devtable table;
	uint32_t which;

	ck_assert_int_eq(mkfs_file("-n -t ztoyfs"), 0);
	ck_assert_int_eq(zus_devtable_read(fd, 16 * MIB, &table, &which), -ENODATA);
	ck_assert_int_eq(mkfs_file("-t ztoyfs"), 0);
	ck_assert_int_eq(zus_devtable_read(fd, 16 * MIB, &table, &which), 0);
	ck_assert_str_eq(table.fs_type, "ztoyfs");
	ck_assert_uint_eq(le64toh(table.dev[0].size_bytes), 16 * MIB);
	ck_assert_uint_eq(le64toh(table.dev[0].data_off), 2 * MIB);
	ck_assert_int_eq(mkfs_file("-t znullfs"), 1);
	ck_assert_int_eq(mkfs_file("-f -t znullfs"), 0);
	ck_assert_int_eq(zus_devtable_read(fd, 16 * MIB, &table, &which), 0);
	ck_assert_str_eq(table.fs_type, "znullfs");
}
END_TEST

START_TEST(mkfs_of_a_part)
{
	struct zufs_devtable table;
	uint32_t which;

	ck_assert_int_eq(mkfs_file("-t ztoyfs --size 8m"), 0);
	ck_assert_int_eq(zus_devtable_read(fd, 16 * MIB, &table, &which), 0);
	ck_assert_uint_eq(le64toh(table.dev[0].size_bytes), 8 * MIB);
	ck_assert_int_eq(mkfs_file("-f -t ztoyfs -s 17m"), 1);
	ck_assert_int_eq(mkfs_file("-f -t ztoyfs -s 1m"), 1);
	ck_assert_int_eq(mkfs_file("-f -t ztoyfs -s 0"), 2);
	ck_assert_int_eq(mkfs_file("-f -t ztoyfs -s 8388609"), 2);
	ck_assert_int_eq(mkfs_file("-f -t ztoyfs -s much"), 2);
	ck_assert_int_eq(zus_devtable_read(fd, 16 * MIB, &table, &which), 0);
	ck_assert_uint_eq(le64toh(table.dev[0].size_bytes), 8 * MIB);
}
END_TEST

START_TEST(mkfs_keeps_what_is_there)
{
	const uint16_t ext_magic = htole16(0xef53);
	char before[4096], after[4096];

	/* As much of an ext2 superblock as libblkid asks for. */
	ck_assert_int_eq(pwrite(fd, &ext_magic, 2, 1024 + 56), 2);
	ck_assert_int_eq(pread(fd, before, 4096, 0), 4096);
	ck_assert_int_eq(mkfs_file("-t ztoyfs"), 1);
	ck_assert_int_eq(pread(fd, after, 4096, 0), 4096);
	ck_assert_int_eq(memcmp(before, after, 4096), 0);
	ck_assert_int_eq(mkfs_file("-f -t ztoyfs"), 0);
}
END_TEST

START_TEST(mkfs_refuses_bad_input)
{
	ck_assert_int_eq(mkfs("--help", NULL), 0);
	ck_assert_int_eq(mkfs("--version", NULL), 0);
	ck_assert_int_eq(mkfs("--no-such-option", NULL), 2);
	ck_assert_int_eq(mkfs_file(""), 2);
	ck_assert_int_eq(mkfs("-t ztoyfs", NULL), 2);
	ck_assert_int_eq(mkfs_file("-t Upper"), 2);
	ck_assert_int_eq(mkfs("-t ztoyfs no-such-file", NULL), 1);
	ck_assert_int_eq(mkfs("-t ztoyfs /dev/null", NULL), 1);
	ck_assert_int_eq(ftruncate(fd, 4 * MIB), 0);
	ck_assert_int_eq(mkfs_file("-t ztoyfs"), 1);
	ck_assert_int_eq(ftruncate(fd, 16 * MIB + 512), 0);
	ck_assert_int_eq(mkfs_file("-t ztoyfs"), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("devtable");
	TCase *tc = tcase_create("devtable");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, checksum_is_crc32c);
	tcase_add_test(tc, newest_valid_copy_is_taken);
	tcase_add_loop_test(tc, writing_may_stop_anywhere, 0, 3);
	tcase_add_test(tc, every_flipped_byte_is_found);
	tcase_add_test(tc, bounds_are_checked);
	tcase_add_test(tc, data_begins_on_a_huge_page);
	tcase_add_test(tc, mkfs_makes_a_table);
	tcase_add_test(tc, mkfs_of_a_part);
	tcase_add_test(tc, mkfs_keeps_what_is_there);
	tcase_add_test(tc, mkfs_refuses_bad_input);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
