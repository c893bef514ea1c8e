// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: while a server recalls what it leased and moves the blocks, every byte
 *	stays where a model has it, for reads, writes, stores through mappings, and
 *	buffers that are mappings of the file itself.
 * Method: threads share one file of fixed size, $LEASE_FILE, sector by sector in turn,
 *	so that neighbours share blocks. Each does LEASE_OPS operations (default 3000)
 *	on its own sectors, by ZUFS_SEED, and knows what they hold: a number that
 *	rises with each write, and the sector's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmtest.h"

#define SECTOR		512u
#define THREADS		4u
#define WORDS		(SECTOR / sizeof(uint64_t))

struct worker {
	pthread_t thread;
	unsigned int index;
	uint64_t random;
	uint64_t *numbers;	/* of its sectors, the last one written */
	uint64_t next;
	char failed[160];
};

static struct {
	int fd, dsync_fd;
	size_t sectors;		/* of the file */
	unsigned char *map;
	unsigned int ops;
} run;

static uint64_t pick(struct worker *w, uint64_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random % below;
}

static void fill(uint64_t *words, uint64_t sector, uint64_t number)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		words[i] = i % 2 ? number : sector * THREADS + i;
}

static int check(struct worker *w, const void *got, uint64_t sector, uint64_t number,
		 const char *how)
{
	uint64_t want[WORDS], words[WORDS];
	unsigned int i;

	memcpy(words, got, SECTOR);
	if (number)
		fill(want, sector, number);
	else
		memset(want, 0, sizeof(want));
	for (i = 0; i < WORDS && words[i] == want[i]; i++)
		;
	if (i == WORDS)
		return 0;
	snprintf(w->failed, sizeof(w->failed), "%s: sector %llu word %u is %#llx, not %#llx", how,
		 (unsigned long long)sector, i, (unsigned long long)words[i],
		 (unsigned long long)want[i]);
	return -1;
}

static int said(struct worker *w, const char *what, long got)
{
	snprintf(w->failed, sizeof(w->failed), "%s: %ld: %s", what, got, strerror(errno));
	return -1;
}

/* The source or target may lie in the mapping of the file itself. */
static int one(struct worker *w)
{
	uint64_t buf[WORDS], own = pick(w, run.sectors / THREADS);
	uint64_t sector = own * THREADS + w->index, other = pick(w, run.sectors / THREADS);
	unsigned char *mapped = run.map + sector * SECTOR;
	off_t off = (off_t)(sector * SECTOR);
	int fd = pick(w, 4) ? run.fd : run.dsync_fd;
	ssize_t n;

	switch (pick(w, 8)) {
	case 0:
	case 1:
		fill(buf, sector, ++w->next);
		n = pwrite(fd, buf, SECTOR, off);
		w->numbers[own] = w->next;
		return n == SECTOR ? 0 : said(w, "pwrite", n);
	case 2:
		fill((uint64_t *)(void *)mapped, sector, ++w->next);
		w->numbers[own] = w->next;
		return 0;
	case 3:
		/* from the mapping: what this sector holds, to itself */
		n = pwrite(fd, mapped, SECTOR, off);
		return n == SECTOR ? check(w, mapped, sector, w->numbers[own], "to itself") :
				     said(w, "pwrite of the mapping", n);
	case 4:
		other = other * THREADS + w->index;
		n = pread(run.fd, run.map + other * SECTOR, SECTOR, (off_t)(other * SECTOR));
		return n == SECTOR ? 0 : said(w, "pread into the mapping", n);
	case 5:
		return check(w, mapped, sector, w->numbers[own], "mapping");
	case 6:
		if (!pick(w, 16) && fdatasync(run.fd))
			return said(w, "fdatasync", -1);
		/* fall through */
	default:
		n = pread(run.fd, buf, SECTOR, off);
		return n == SECTOR ? check(w, buf, sector, w->numbers[own], "pread") :
				     said(w, "pread", n);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	for (i = 0; i < run.ops && !*w->failed; i++)
		if (one(w))
			break;
	return NULL;
}

static int all_at_the_end(struct worker *w)
{
	uint64_t buf[WORDS], own, sector;

	for (own = 0; own < run.sectors / THREADS; own++) {
		sector = own * THREADS + w->index;
		if (pread(run.fd, buf, SECTOR, (off_t)(sector * SECTOR)) != SECTOR)
			return said(w, "pread", -1);
		if (check(w, buf, sector, w->numbers[own], "at the end, pread") ||
		    check(w, run.map + sector * SECTOR, sector, w->numbers[own],
			  "at the end, mapping"))
			return -1;
	}
	return 0;
}

START_TEST(model)
{
	static struct worker workers[THREADS];
	const char *path = getenv("LEASE_FILE"), *ops = getenv("LEASE_OPS");
	unsigned int i;
	struct stat st;
	void *zero;

	ck_assert_ptr_nonnull(path);
	run.ops = ops ? (unsigned int)strtoul(ops, NULL, 0) : 3000;
	run.fd = open(path, O_RDWR | O_CLOEXEC);
	run.dsync_fd = open(path, O_RDWR | O_DSYNC | O_CLOEXEC);
	ck_assert(run.fd >= 0 && run.dsync_fd >= 0 && !fstat(run.fd, &st));
	run.sectors = (size_t)st.st_size / SECTOR / THREADS * THREADS;
	zero = calloc(1, (size_t)st.st_size);
	ck_assert(zero && pwrite(run.fd, zero, (size_t)st.st_size, 0) == st.st_size);
	free(zero);
	run.map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, run.fd, 0);
	ck_assert_ptr_ne(run.map, MAP_FAILED);
	for (i = 0; i < THREADS; i++) {
		workers[i].index = i;
		workers[i].random = vt_random() | 1;
		workers[i].numbers = calloc(run.sectors / THREADS, sizeof(uint64_t));
		ck_assert_ptr_nonnull(workers[i].numbers);
		ck_assert(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (i = 0; i < THREADS; i++)
		if (!*workers[i].failed)
			all_at_the_end(&workers[i]);
	for (i = 0; i < THREADS; i++)
		ck_assert_msg(!*workers[i].failed, "thread %u: %s", i, workers[i].failed);
	munmap(run.map, (size_t)st.st_size);
	close(run.fd);
	close(run.dsync_fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lease-model");
	TCase *tcase = tcase_create("lease-model");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, model);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
