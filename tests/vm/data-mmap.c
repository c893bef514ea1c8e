// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: mapped files behave as POSIX and Linux have them: coherent with read(2) and
 *	write(2), also where the buffer is a mapping of the file itself; SIGBUS past
 *	the end; private copies; pinned pages hold a truncate up; 2 MiB faults.
 * Method: in directory $DATA_DIR; with $DATA_HUGE, a file of at least 8 MiB whose
 *	blocks lie in one piece and aligned, for 2 MiB faults, which are counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmtest.h"

#define BLOCK	4096ul
#define HUGE	(2ul << 20)

static const char file_name[] = "mapped";

static int file_new(off_t size)
{
	int fd;

	unlink(file_name);
	fd = open(file_name, O_RDWR | O_CREAT | O_EXCL, 0600);
	ck_assert_msg(fd >= 0, "open: %s", strerror(errno));
	ck_assert_int_eq(ftruncate(fd, size), 0);
	return fd;
}

static void fill(int fd, off_t off, size_t len, int value)
{
	char buf[BLOCK];

	memset(buf, value, sizeof(buf));
	for (; len; len -= sizeof(buf), off += sizeof(buf))
		ck_assert_int_eq(pwrite(fd, buf, sizeof(buf), off), sizeof(buf));
}

static char *map_file(int fd, size_t len, int prot, int flags)
{
	char *map = mmap(NULL, len, prot, flags, fd, 0);

	ck_assert_msg(map != MAP_FAILED, "mmap: %s", strerror(errno));
	return map;
}

static void all_are(const char *buf, size_t len, int value, const char *what)
{
	size_t i;

	for (i = 0; i < len && buf[i] == (char)value; i++)
		;
	ck_assert_msg(i == len, "%s: byte %zu is %#x, not %#x", what, i, (unsigned char)buf[i],
		      value);
}

/* Write a file from its own mapping: page @from of it to page @to, @shift bytes off. */
static void write_self(int value, unsigned int from, unsigned int to, unsigned int shift)
{
	int fd = file_new(8 * BLOCK);
	char *map, got[BLOCK];

	if (value)
		fill(fd, from * BLOCK, 2 * BLOCK, value);
	map = map_file(fd, 8 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED);
	ck_assert_int_eq(pwrite(fd, map + from * BLOCK + shift, BLOCK, to * BLOCK), BLOCK);
	ck_assert_int_eq(pread(fd, got, BLOCK, to * BLOCK), BLOCK);
	all_are(got, BLOCK, value, "read back");
	all_are(map + to * BLOCK, BLOCK, value, "mapped");
	munmap(map, 8 * BLOCK);
	close(fd);
}

START_TEST(write_from_own_mapping)
{
	static const unsigned int shifts[] = { 0, 1, 2048, 4095 };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		write_self('a', 0, 4, shifts[i]);
		write_self('a', 0, 0, shifts[i]);	/* onto itself */
		write_self(0, 0, 0, shifts[i]);		/* a hole onto itself */
		write_self(0, 0, 4, shifts[i]);
		write_self(0, 1, 0, shifts[i]);
	}
}
END_TEST

START_TEST(read_into_own_mapping)
{
	int fd = file_new(8 * BLOCK);
	char *map = map_file(fd, 8 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED);

	fill(fd, 0, BLOCK, 'r');
	ck_assert_int_eq(pread(fd, map + 4 * BLOCK + 5, BLOCK, 0), BLOCK);	/* into a hole */
	all_are(map + 4 * BLOCK + 5, BLOCK, 'r', "into a hole");
	ck_assert_int_eq(pread(fd, map, BLOCK, 0), BLOCK);
	all_are(map, BLOCK, 'r', "onto itself");
	ck_assert_int_eq(pread(fd, map, BLOCK, 6 * BLOCK), BLOCK);		/* zeros */
	all_are(map, BLOCK, 0, "from a hole");
	munmap(map, 8 * BLOCK);
	close(fd);
}
END_TEST

START_TEST(coherent)
{
	int fd = file_new(4 * BLOCK);
	char *map = map_file(fd, 4 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED);
	char *other = map_file(fd, 4 * BLOCK, PROT_READ, MAP_SHARED);
	char got[BLOCK];

	all_are(other, 4 * BLOCK, 0, "hole");	/* zero pages */
	map[BLOCK] = 'm';			/* one is replaced */
	ck_assert_int_eq(other[BLOCK], 'm');
	ck_assert_int_eq(pread(fd, got, BLOCK, BLOCK), BLOCK);
	ck_assert_int_eq(got[0], 'm');
	fill(fd, 2 * BLOCK, BLOCK, 'w');	/* and one by write(2) */
	all_are(other + 2 * BLOCK, BLOCK, 'w', "written, mapped before");
	map[2 * BLOCK + 1] = 'x';
	ck_assert_int_eq(other[2 * BLOCK + 1], 'x');
	ck_assert_int_eq(msync(map, 4 * BLOCK, MS_SYNC), 0);
	map[2 * BLOCK + 1] = 'y';		/* write-protected by msync */
	ck_assert_int_eq(other[2 * BLOCK + 1], 'y');
	ck_assert_int_eq(fsync(fd), 0);
	munmap(map, 4 * BLOCK);
	munmap(other, 4 * BLOCK);
	close(fd);
}
END_TEST

START_TEST(private_copies)
{
	int fd = file_new(4 * BLOCK);
	char *map = map_file(fd, 4 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	char got[BLOCK];

	fill(fd, 0, BLOCK, 'f');
	ck_assert_int_eq(map[0], 'f');
	map[0] = 'p';				/* of data */
	map[BLOCK] = 'q';			/* of a hole */
	ck_assert_int_eq(pread(fd, got, BLOCK, 0), BLOCK);
	all_are(got, BLOCK, 'f', "file");
	ck_assert_int_eq(pread(fd, got, BLOCK, BLOCK), BLOCK);
	all_are(got, BLOCK, 0, "hole");
	fill(fd, 0, 2 * BLOCK, 'g');
	ck_assert_int_eq(map[0], 'p');
	ck_assert_int_eq(map[1], 'f');
	ck_assert_int_eq(map[BLOCK], 'q');
	munmap(map, 4 * BLOCK);
	close(fd);
}
END_TEST

static sigjmp_buf on_sigbus;

static void sigbus(int signo)
{
	siglongjmp(on_sigbus, signo);
}

/* -1: SIGBUS */
static int try_load(volatile const char *addr)
{
	if (sigsetjmp(on_sigbus, 1))
		return -1;
	return *addr;
}

static bool try_store(volatile char *addr, char value)
{
	if (sigsetjmp(on_sigbus, 1))
		return false;
	*addr = value;
	return true;
}

static void catch_sigbus(void)
{
	struct sigaction action = { .sa_handler = sigbus };

	ck_assert_int_eq(sigaction(SIGBUS, &action, NULL), 0);
}

START_TEST(past_the_end)
{
	int fd = file_new(BLOCK + 1);
	char *map = map_file(fd, 4 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED);
	char *copy = map_file(fd, 4 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	catch_sigbus();
	ck_assert_int_eq(try_load(map + BLOCK), 0);
	ck_assert_int_eq(try_load(map + 2 * BLOCK), -1);
	ck_assert(!try_store(map + 2 * BLOCK, 1));
	ck_assert_int_eq(ftruncate(fd, 3 * BLOCK), 0);
	ck_assert(try_store(map + 2 * BLOCK, 7));
	ck_assert(try_store(copy + 2 * BLOCK, 8));
	ck_assert_int_eq(ftruncate(fd, BLOCK), 0);
	ck_assert_int_eq(try_load(map + 2 * BLOCK), -1);
	ck_assert_int_eq(try_load(copy + 2 * BLOCK), -1);
	ck_assert_int_eq(ftruncate(fd, 4 * BLOCK), 0);
	ck_assert_int_eq(try_load(map + 2 * BLOCK), 0);
	ck_assert_int_eq(try_load(copy + 2 * BLOCK), 0);
	ck_assert_int_eq(pwrite(fd, "z", 1, 2 * BLOCK), 1);
	ck_assert_int_eq(try_load(map + 2 * BLOCK), 'z');
	munmap(map, 4 * BLOCK);
	munmap(copy, 4 * BLOCK);
	close(fd);
}
END_TEST

START_TEST(map_sync_refused)
{
	int fd = file_new(BLOCK);

	ck_assert_ptr_eq(mmap(NULL, BLOCK, PROT_READ | PROT_WRITE,
			      MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0), MAP_FAILED);
	ck_assert_int_eq(errno, EOPNOTSUPP);
	close(fd);
}
END_TEST

/* -------------------------------------------------------------- pinned pages */

static bool asleep_uninterruptible(void *arg)
{
	char path[64], line[256];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", *(pid_t *)arg);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "State:", 6))
			found = strchr(line, 'D');
	if (file)
		fclose(file);
	return found;
}

/* A page in a pipe is the file's own: it may not be freed before the pipe lets go. */
START_TEST(pinned_page_holds_truncate)
{
	int fd = file_new(4 * BLOCK), pipes[2], status;
	struct iovec vec = { .iov_len = BLOCK };
	char *map, got[BLOCK];
	struct stat st;
	pid_t pid;

	fill(fd, 0, 4 * BLOCK, 'p');
	map = map_file(fd, 4 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED);
	ck_assert_int_eq(pipe(pipes), 0);
	vec.iov_base = map + BLOCK;
	ck_assert_int_eq(vmsplice(pipes[1], &vec, 1, 0), BLOCK);
	pid = fork();
	if (!pid)
		_exit(truncate(file_name, 0) ? 1 : 0);
	vt_await(asleep_uninterruptible, &pid, "truncate waits for the pinned page");
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 4 * BLOCK);
	ck_assert_int_eq(map[2 * BLOCK], 'p');	/* faults go on meanwhile */
	ck_assert_int_eq(read(pipes[0], got, BLOCK), BLOCK);
	all_are(got, BLOCK, 'p', "pipe");
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	munmap(map, 4 * BLOCK);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

START_TEST(killed_while_a_page_is_pinned)
{
	int fd = file_new(BLOCK), pipes[2], status;
	struct iovec vec = { .iov_len = BLOCK };
	char *map;
	pid_t pid;

	fill(fd, 0, BLOCK, 'k');
	map = map_file(fd, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED);
	ck_assert_int_eq(pipe(pipes), 0);
	vec.iov_base = map;
	ck_assert_int_eq(vmsplice(pipes[1], &vec, 1, 0), BLOCK);
	pid = fork();
	if (!pid)
		_exit(truncate(file_name, 0) ? 1 : 0);
	vt_await(asleep_uninterruptible, &pid, "truncate waits for the pinned page");
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(map[0], 'k');
	close(pipes[0]);
	close(pipes[1]);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	munmap(map, BLOCK);
	close(fd);
}
END_TEST

/* Nobody has the file any more, but for one of its pages. */
START_TEST(pinned_page_holds_evict)
{
	int fd = file_new(4 * BLOCK), go[2], pipes[2], status, other;
	struct iovec vec = { .iov_len = BLOCK };
	char *map, got[BLOCK];
	pid_t pid;

	fill(fd, 0, 4 * BLOCK, 'e');
	ck_assert_int_eq(pipe(go), 0);
	ck_assert_int_eq(pipe(pipes), 0);
	pid = fork();
	if (!pid)
		_exit(read(go[0], got, 1) == 1 ? 0 : 1);	/* the last close */
	map = map_file(fd, 4 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED);
	vec.iov_base = map + BLOCK;
	ck_assert_int_eq(vmsplice(pipes[1], &vec, 1, 0), BLOCK);
	munmap(map, 4 * BLOCK);
	close(fd);
	ck_assert_int_eq(unlink(file_name), 0);
	ck_assert_int_eq(write(go[1], "g", 1), 1);
	vt_await(asleep_uninterruptible, &pid, "the last close waits for the pinned page");
	other = file_new(16 * BLOCK);
	fill(other, 0, 16 * BLOCK, 'o');
	ck_assert_int_eq(read(pipes[0], got, BLOCK), BLOCK);
	all_are(got, BLOCK, 'e', "pipe");
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close(other);
	close(go[0]);
	close(go[1]);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

/* ----------------------------------------------------------------- huge pages */

static long faults(void)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_minflt + usage.ru_majflt;
}

/* Faults of touching each page of 8 MiB once, which are 4 or 2048, and a few. */
static long touch(char *map, bool store)
{
	long before = faults();
	size_t off;

	for (off = 0; off < 4 * HUGE; off += BLOCK) {
		if (store)
			((volatile char *)map)[off] = (char)(off / BLOCK);
		else
			(void)((volatile char *)map)[off];
	}
	return faults() - before;
}

START_TEST(huge_faults)
{
	const char *path = getenv("DATA_HUGE");
	unsigned char got[BLOCK];
	char *map;
	int fd, store;
	off_t off;

	if (!path)
		return;
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	for (store = 0; store < 2; store++) {
		map = map_file(fd, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED);
		ck_assert_msg((uintptr_t)map % HUGE == 0, "mmap chose %p", (void *)map);
		ck_assert_int_lt(touch(map, store), 64);
		if (store)
			ck_assert_int_eq(msync(map, 4 * HUGE, MS_SYNC), 0);
		/* a store after that is a fault that makes the huge page writable */
		map[0] = 0;
		munmap(map, 4 * HUGE);
	}
	for (off = 0; off < (off_t)(4 * HUGE); off += BLOCK) {
		ck_assert_int_eq(pread(fd, got, 1, off), 1);
		ck_assert_int_eq(got[0], off / BLOCK % 256);
	}
	close(fd);
}
END_TEST

/* A file whose holes are touched by 2 MiB, cut in the middle of a huge page. */
START_TEST(huge_hole_cut)
{
	int fd = file_new(4 * HUGE);
	char *map = map_file(fd, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	catch_sigbus();
	touch(map, false);
	touch(map, true);
	ck_assert_int_eq(ftruncate(fd, HUGE + 5 * BLOCK + 1), 0);
	ck_assert_int_eq((unsigned char)map[HUGE + 5 * BLOCK], (HUGE / BLOCK + 5) % 256);
	ck_assert_int_eq((unsigned char)map[HUGE + 4 * BLOCK], (HUGE / BLOCK + 4) % 256);
	ck_assert_int_eq(try_load(map + HUGE + 6 * BLOCK), -1);
	ck_assert_int_eq(ftruncate(fd, 4 * HUGE), 0);
	all_are(map + HUGE + 5 * BLOCK + 1, 2 * HUGE, 0, "behind the cut");
	munmap(map, 4 * HUGE);
	close(fd);
}
END_TEST

/* --------------------------------------------------------------------- races */

#define RACE_BLOCKS	64u
#define RACE_BYTES	(RACE_BLOCKS * BLOCK)

static atomic_bool race_over;
static _Thread_local sigjmp_buf race_jump;
static _Thread_local bool race_jumps;

static void race_sigbus(int signo)
{
	if (race_jumps)
		siglongjmp(race_jump, signo);
	abort();
}

/* Every byte is zero or 'R', whatever happens. */
static void *race_reader(void *arg)
{
	int fd = *(int *)arg;
	char buf[BLOCK];
	ssize_t got, i;
	unsigned int block = 0;

	while (!race_over) {
		block = (block + 7) % RACE_BLOCKS;
		got = pread(fd, buf, BLOCK, block * BLOCK);
		for (i = 0; i < got; i++)
			if (buf[i] && buf[i] != 'R')
				return "read(2) saw another byte";
		if (got < 0)
			return "read(2) failed";
	}
	return NULL;
}

static void *race_mapper(void *arg)
{
	volatile char *map = arg;
	volatile unsigned int block = 0;

	race_jumps = true;
	(void)sigsetjmp(race_jump, 1);		/* SIGBUS: it is cut just now */
	while (!race_over) {
		char byte;

		block = (block + 5) % RACE_BLOCKS;
		byte = map[block * BLOCK + block];
		if (byte && byte != 'R')
			return "a mapping saw another byte";
		if (block % 3 == 0)
			map[block * BLOCK + 1] = 'R';
	}
	return NULL;
}

START_TEST(truncate_against_readers)
{
	unsigned int rounds = vt_debug_kernel() ? 20 : 60, i;
	struct sigaction action = { .sa_handler = race_sigbus };
	int fd = file_new(RACE_BYTES), other;
	char *map = map_file(fd, RACE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED);
	pthread_t threads[3];
	void *wrong;

	/* blocks that are freed here hold other bytes there */
	other = open("other", O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(other, 0);
	ck_assert_int_eq(sigaction(SIGBUS, &action, NULL), 0);
	ck_assert_int_eq(pthread_create(&threads[0], NULL, race_reader, &fd), 0);
	ck_assert_int_eq(pthread_create(&threads[1], NULL, race_mapper, map), 0);
	ck_assert_int_eq(pthread_create(&threads[2], NULL, race_mapper, map), 0);
	for (i = 0; i < rounds; i++) {
		off_t cut = (off_t)(vt_random() % RACE_BYTES);

		ck_assert_int_eq(ftruncate(fd, cut), 0);
		fill(other, 0, 4 * BLOCK, 'O');
		ck_assert_int_eq(ftruncate(other, 0), 0);
		ck_assert_int_eq(ftruncate(fd, RACE_BYTES), 0);
		fill(fd, cut / BLOCK * BLOCK, BLOCK, 'R');
	}
	race_over = true;
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
		ck_assert_msg(!wrong, "%s", (char *)wrong);
	}
	munmap(map, RACE_BYTES);
	close(fd);
	close(other);
	unlink("other");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("data-mmap");
	TCase *tcase = tcase_create("data-mmap"), *pinned = tcase_create("pinned");
	int status;

	tcase_set_timeout(tcase, 0);
	tcase_set_timeout(pinned, 0);
	tcase_add_test(tcase, write_from_own_mapping);
	tcase_add_test(tcase, read_into_own_mapping);
	tcase_add_test(tcase, coherent);
	tcase_add_test(tcase, private_copies);
	tcase_add_test(tcase, past_the_end);
	tcase_add_test(tcase, map_sync_refused);
	tcase_add_test(tcase, huge_faults);
	tcase_add_test(tcase, huge_hole_cut);
	tcase_add_test(tcase, truncate_against_readers);
	suite_add_tcase(suite, tcase);
	/* touches a page that it keeps pinned: not where that may be recalled */
	tcase_add_test(pinned, pinned_page_holds_truncate);
	tcase_add_test(pinned, killed_while_a_page_is_pinned);
	tcase_add_test(pinned, pinned_page_holds_evict);
	suite_add_tcase(suite, pinned);
	status = vt_data_main(suite);
	unlink(file_name);
	return status;
}
