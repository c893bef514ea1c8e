// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: tasks that do nothing but write, in every way there is, to a file whose server
 *	begins one write epoch after the other; and nothing they wrote is lost.
 * Method: threads share $EPOCH_FILE, each with pages of its own, and write rising numbers
 *	to them EPOCH_OPS times (default 20000): stores through a mapping, write(2) of whole
 *	and of part pages, with O_DSYNC, and now and then a new mapping.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmtest.h"

#define PAGE		4096ul
#define PAGES		8u		/* of each thread */
#define THREADS		6u

enum how { STORE, STORE_AND_MAP, WRITE_PAGE, WRITE_PART, WRITE_DSYNC, WRITE_ALL };

struct writer {
	pthread_t thread;
	enum how how;
	int fd;
	char *map;			/* of its pages */
	off_t off;
	uint64_t numbers[PAGES];	/* the last one stored in each */
	char failed[120];
};

static unsigned long ops;
static const char *path;

static char *map_pages(const struct writer *w)
{
	return mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, w->off);
}

/* The number stands at the page's begin, and at its end if all of it is written. */
static bool write_one(struct writer *w, unsigned int page, uint64_t number)
{
	static __thread uint64_t buf[PAGES * PAGE / sizeof(uint64_t)];
	size_t bytes = w->how == WRITE_PART ? sizeof(number) :
		       w->how == WRITE_ALL ? PAGES * PAGE : PAGE;
	unsigned int i;

	if (w->how == STORE || w->how == STORE_AND_MAP) {
		*(volatile uint64_t *)(void *)(w->map + page * PAGE) = number;
		if (w->how == STORE || number % 512)
			return true;
		munmap(w->map, PAGES * PAGE);
		w->map = map_pages(w);
		return w->map != MAP_FAILED;
	}
	if (w->how == WRITE_ALL)
		page = 0;
	for (i = 0; i < (w->how == WRITE_ALL ? PAGES : 1); i++) {
		buf[i * PAGE / sizeof(*buf)] = number;
		w->numbers[page + i] = number;
	}
	return pwrite(w->fd, buf, bytes, w->off + (off_t)(page * PAGE)) == (ssize_t)bytes;
}

static bool holds(const struct writer *w, unsigned int page)
{
	uint64_t number = 0;

	return pread(w->fd, &number, sizeof(number), w->off + (off_t)(page * PAGE)) ==
	       sizeof(number) && number == w->numbers[page] &&
	       *(volatile uint64_t *)(void *)(w->map + page * PAGE) == number;
}

static void *work(void *arg)
{
	struct writer *w = arg;
	/* the same amount of work, about */
	unsigned long i, times = w->how <= STORE_AND_MAP ? ops : ops / 4;
	unsigned int page;

	for (i = 1; i <= times; i++) {
		page = i % PAGES;
		w->numbers[page] = i;
		if (!write_one(w, page, i)) {
			snprintf(w->failed, sizeof(w->failed), "write %lu: %s", i, strerror(errno));
			return NULL;
		}
		if (!(i % 64) && !holds(w, page)) {
			snprintf(w->failed, sizeof(w->failed), "write %lu is not there", i);
			return NULL;
		}
	}
	for (page = 0; page < PAGES; page++)
		if (!holds(w, page))
			snprintf(w->failed, sizeof(w->failed), "page %u at the end", page);
	return NULL;
}

START_TEST(writers)
{
	static struct writer all[THREADS];
	static const char zero[PAGES * PAGE];
	const char *text = getenv("EPOCH_OPS");
	unsigned int i;

	path = getenv("EPOCH_FILE");
	ck_assert_ptr_nonnull(path);
	ops = text ? strtoul(text, NULL, 0) : 20000;
	for (i = 0; i < THREADS; i++) {
		all[i].how = (enum how)i;
		all[i].fd = open(path, O_RDWR | O_CLOEXEC | (i == WRITE_DSYNC ? O_DSYNC : 0));
		all[i].off = (off_t)((size_t)i * PAGES * PAGE);
		ck_assert_int_ge(all[i].fd, 0);
		ck_assert_int_eq(pwrite(all[i].fd, zero, sizeof(zero), all[i].off), sizeof(zero));
		all[i].map = map_pages(&all[i]);
		ck_assert_ptr_ne(all[i].map, MAP_FAILED);
	}
	for (i = 0; i < THREADS; i++)
		ck_assert(!pthread_create(&all[i].thread, NULL, work, &all[i]));
	for (i = 0; i < THREADS; i++)
		pthread_join(all[i].thread, NULL);
	for (i = 0; i < THREADS; i++) {
		ck_assert_msg(!*all[i].failed, "writer %u: %s", i, all[i].failed);
		munmap(all[i].map, PAGES * PAGE);
		close(all[i].fd);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("epoch-writers");
	TCase *tcase = tcase_create("epoch-writers");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, writers);
	suite_add_tcase(suite, tcase);
	return vt_run(suite);
}
