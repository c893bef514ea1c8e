// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: nobody sees half of another's write, whichever way the kernel copies, as long
 *	as one lease holds all of it.
 * Method: four threads share $LEASE_FILE, cut into pieces of several sizes that begin
 *	and end inside of blocks, so that neighbours share some. Each writes pieces that
 *	consist of one byte, and reads pieces, which then must consist of one byte, by
 *	ZUFS_SEED. LEASE_OPS operations a thread, default 4000.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmtest.h"

#define BLOCK		4096ul
#define THREADS		4u
#define SKIP_BYTES	1000u		/* before the first piece */

static const size_t piece_bytes[] = { BLOCK, 3 * BLOCK + 100, 16 * BLOCK, 70 * BLOCK - 1000 };

#define PIECES		(sizeof(piece_bytes) / sizeof(piece_bytes[0]))
#define BUF_BYTES	(70 * BLOCK)

struct worker {
	pthread_t thread;
	uint64_t random;
	unsigned char *buf;
	unsigned int index, written, read;
	char failed[160];
};

static struct {
	int fd;
	unsigned int ops;
} run;

static uint64_t pick(struct worker *w, uint64_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random % below;
}

static off_t piece_off(size_t piece)
{
	off_t off = SKIP_BYTES;
	size_t i;

	for (i = 0; i < piece; i++)
		off += (off_t)piece_bytes[i];
	return off;
}

static void write_piece(struct worker *w, size_t piece)
{
	size_t bytes = piece_bytes[piece];
	ssize_t n;

	memset(w->buf, (int)pick(w, 256), bytes);
	n = pwrite(run.fd, w->buf, bytes, piece_off(piece));
	w->written++;
	if (n != (ssize_t)bytes)
		snprintf(w->failed, sizeof(w->failed), "pwrite of %zu bytes: %zd", bytes, n);
}

static void read_piece(struct worker *w, size_t piece)
{
	size_t bytes = piece_bytes[piece], i;
	ssize_t n = pread(run.fd, w->buf, bytes, piece_off(piece));

	w->read++;
	if (n != (ssize_t)bytes) {
		snprintf(w->failed, sizeof(w->failed), "pread of %zu bytes: %zd", bytes, n);
		return;
	}
	for (i = 1; i < bytes && w->buf[i] == w->buf[0]; i++)
		;
	if (i < bytes)
		snprintf(w->failed, sizeof(w->failed),
			 "after %u writes, %u reads: byte %zu of %zu is %#x, the first is %#x",
			 w->written, w->read, i, bytes, w->buf[i], w->buf[0]);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	for (i = 0; i < run.ops && !*w->failed; i++) {
		/* mostly the small ones: they take less time */
		size_t piece = pick(w, 8) ? pick(w, 3) : PIECES - 1;

		if (pick(w, 2))
			write_piece(w, piece);
		else
			read_piece(w, piece);
	}
	return NULL;
}

START_TEST(torn)
{
	static struct worker workers[THREADS];
	const char *path = getenv("LEASE_FILE"), *ops = getenv("LEASE_OPS");
	unsigned int i;
	struct stat st;
	void *zero;

	ck_assert_ptr_nonnull(path);
	run.ops = ops ? (unsigned int)strtoul(ops, NULL, 0) : 4000;
	run.fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert(run.fd >= 0 && !fstat(run.fd, &st) && st.st_size >= piece_off(PIECES));
	zero = calloc(1, (size_t)st.st_size);
	ck_assert(zero && pwrite(run.fd, zero, (size_t)st.st_size, 0) == st.st_size);
	free(zero);
	for (i = 0; i < THREADS; i++) {
		workers[i].index = i;
		workers[i].random = vt_random() | 1;
		/* resident, so that no copy stops in the middle */
		workers[i].buf = mmap(NULL, BUF_BYTES, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ck_assert_ptr_ne(workers[i].buf, MAP_FAILED);
		ck_assert(!mlock(workers[i].buf, BUF_BYTES));
		ck_assert(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (i = 0; i < THREADS; i++)
		ck_assert_msg(!*workers[i].failed, "thread %u: %s", i, workers[i].failed);
	close(run.fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lease-torn");
	TCase *tcase = tcase_create("lease-torn");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, torn);
	suite_add_tcase(suite, tcase);
	return vt_run(suite);
}
