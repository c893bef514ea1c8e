// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a block that moved away from one file and is used again by another, while
 *	both are mapped and stored to, holds the other's bytes only: neither stores
 *	nor flushes of the first one reach it. While a page is pinned its block stays,
 *	its file can be written all the same, and the other files' blocks go on to move.
 * Method: small files in directory $DATA_DIR, on a toyfs that moves blocks; which
 *	page of memory a mapping shows is in /proc/self/pagemap, so that the test sees
 *	when a block has gone from file to file. Chosen by ZUFS_SEED.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vmtest.h"

#define BLOCK		4096ul
#define WORDS		(BLOCK / sizeof(uint64_t))
#define FILES		4u
#define BLOCKS		3u
#define PAGES_KNOWN	(1u << 18)	/* of memory; more than the device has */

static struct {
	int fd;
	volatile uint64_t *map;
	uint64_t numbers[BLOCKS];	/* of the last store */
} files[FILES];

static struct {
	uint64_t page;			/* number in memory; 0: none */
	unsigned int file;		/* that had it last */
} known[PAGES_KNOWN];

static int pagemap;
static uint64_t next_number;

static uint64_t word(unsigned int f, unsigned int b, uint64_t number, unsigned int i)
{
	return number << 16 | f << 12 | b << 10 | i;
}

static void store(unsigned int f, unsigned int b)
{
	uint64_t number = ++next_number;
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		files[f].map[b * WORDS + i] = word(f, b, number, i);
	files[f].numbers[b] = number;
}

static void check_words(const volatile uint64_t *got, unsigned int f, unsigned int b,
			const char *how)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		ck_assert_msg(got[i] == word(f, b, files[f].numbers[b], i),
			      "%s: file %u block %u word %u is %#llx, not %#llx", how, f, b, i,
			      (unsigned long long)got[i],
			      (unsigned long long)word(f, b, files[f].numbers[b], i));
}

static void check_block(unsigned int f, unsigned int b)
{
	uint64_t buf[WORDS];

	check_words(files[f].map + b * WORDS, f, b, "mapping");
	ck_assert_int_eq(pread(files[f].fd, buf, BLOCK, (off_t)(b * BLOCK)), BLOCK);
	check_words(buf, f, b, "pread");
}

static void check_files(unsigned int first)
{
	unsigned int f, b;

	for (f = first; f < FILES; f++)
		for (b = 0; b < BLOCKS; b++)
			check_block(f, b);
}

/* Whose the page behind the block was before, if another file's; or FILES. */
static unsigned int owner_before(unsigned int f, unsigned int b)
{
	const volatile char *addr = (const volatile char *)(files[f].map + b * WORDS);
	unsigned int before = FILES;
	uint64_t entry, page;

	(void)*addr;
	ck_assert_int_eq(pread(pagemap, &entry, sizeof(entry),
			       (off_t)((uintptr_t)addr / BLOCK * sizeof(entry))),
			 sizeof(entry));
	page = entry & ((1ull << 55) - 1);
	if (!(entry >> 63) || !page)
		return FILES;		/* moving just now */
	if (known[page % PAGES_KNOWN].page == page && known[page % PAGES_KNOWN].file != f)
		before = known[page % PAGES_KNOWN].file;
	known[page % PAGES_KNOWN].page = page;
	known[page % PAGES_KNOWN].file = f;
	return before;
}

/* The first file stores and flushes on: nothing of it reaches the block, now file f's. */
static void check_reused(unsigned int before, unsigned int f, unsigned int b)
{
	unsigned int i;

	for (i = 0; i < BLOCKS; i++)
		store(before, i);
	ck_assert_int_eq(fsync(files[before].fd), 0);
	check_block(f, b);
	store(f, b);
	ck_assert_int_eq(fdatasync(files[before].fd), 0);
	ck_assert_int_eq(fsync(files[f].fd), 0);
	for (i = 0; i < BLOCKS; i++)
		check_block(before, i);
	check_block(f, b);
}

/* Store, until blocks went from one of the files from @first on to another @count times. */
static void store_until_reused(unsigned int first, unsigned int count)
{
	uint64_t end_ns = vt_now_ns() + vt_guard_s() * 1000000000ull;
	unsigned int f, b, before, seen = 0, steps;

	for (steps = 0; seen < count; steps++) {
		ck_assert_msg(vt_now_ns() < end_ns, "only %u blocks went to another file", seen);
		f = first + (unsigned int)(vt_random() % (FILES - first));
		b = (unsigned int)(vt_random() % BLOCKS);
		store(f, b);
		before = owner_before(f, b);
		if (before >= first && before < FILES) {
			check_reused(before, f, b);
			seen++;
		}
		if (steps % 16 == 0)
			check_files(first);
	}
	check_files(first);
	printf("%u blocks went to another file, in %u steps\n", seen, steps);
}

static void files_open(void)
{
	unsigned int f, b;
	char name[16];

	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(pagemap, 0);
	for (f = 0; f < FILES; f++) {
		snprintf(name, sizeof(name), "reuse-%u", f);
		files[f].fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		ck_assert_int_ge(files[f].fd, 0);
		ck_assert_int_eq(ftruncate(files[f].fd, BLOCKS * BLOCK), 0);
		files[f].map = mmap(NULL, BLOCKS * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED,
				    files[f].fd, 0);
		ck_assert_ptr_ne((void *)files[f].map, MAP_FAILED);
		for (b = 0; b < BLOCKS; b++)
			store(f, b);
	}
}

static void files_close(void)
{
	unsigned int f;
	char name[16];

	for (f = 0; f < FILES; f++) {
		munmap((void *)files[f].map, BLOCKS * BLOCK);
		close(files[f].fd);
		snprintf(name, sizeof(name), "reuse-%u", f);
		ck_assert_int_eq(unlink(name), 0);
	}
	close(pagemap);
}

START_TEST(reused_by_another_file)
{
	files_open();
	store_until_reused(0, vt_debug_kernel() ? 15 : 40);
	files_close();
}
END_TEST

static bool recall_waits(void *arg)
{
	return !strstr(vt_read(arg), "pinned_waits 0\n");
}

/* Nobody waits for the end of a pin: a mover that meets one gives the block up. */
static void write_all(unsigned int f)
{
	uint64_t buf[WORDS];
	unsigned int b, i;

	for (b = 0; b < BLOCKS; b++) {
		store(f, b);
		files[f].numbers[b] = ++next_number;
		for (i = 0; i < WORDS; i++)
			buf[i] = word(f, b, files[f].numbers[b], i);
		ck_assert_int_eq(pwrite(files[f].fd, buf, BLOCK, (off_t)(b * BLOCK)), BLOCK);
		check_block(f, b);
	}
}

/*
 * A page of file 0 is in a pipe. The others' blocks go on to move. That of the page stays,
 * as what is written to the file meanwhile comes out of the pipe.
 */
START_TEST(pinned_block_stays)
{
	unsigned int i;
	struct iovec vec = { .iov_len = BLOCK };
	char path[80], got[BLOCK];
	int pipes[2];

	files_open();
	ck_assert_int_eq(pipe(pipes), 0);
	vec.iov_base = (void *)files[0].map;
	ck_assert_int_eq(vmsplice(pipes[1], &vec, 1, 0), BLOCK);
	snprintf(path, sizeof(path), "/sys/fs/zuf/mounts/%llu/leases",
		 (unsigned long long)vt_mount_id());
	vt_await(recall_waits, path, "a recall meets the pinned page");
	for (i = 0; i < 5; i++) {
		write_all(0);
		store_until_reused(1, vt_debug_kernel() ? 1 : 3);
	}
	ck_assert_int_eq(read(pipes[0], got, BLOCK), BLOCK);
	check_words((const uint64_t *)(const void *)got, 0, 0, "what was pinned");
	check_files(0);
	store_until_reused(0, 5);
	close(pipes[0]);
	close(pipes[1]);
	files_close();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("relocate-reuse");
	TCase *tcase = tcase_create("relocate-reuse");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, reused_by_another_file);
	tcase_add_test(tcase, pinned_block_stays);
	suite_add_tcase(suite, tcase);
	return vt_data_main(suite);
}
