// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: while a server recalls what it leased and moves the blocks, every byte
 *	stays where a model has it, for reads, writes, stores through mappings,
 *	buffers that are mappings of the file itself, and pages in a pipe.
 * Method: threads share one file of fixed size, $LEASE_FILE, sector by sector in turn,
 *	so that neighbours share blocks. Each does LEASE_OPS operations (default 3000)
 *	on its own sectors, by ZUFS_SEED, and knows what they hold: a number that
 *	rises with each write, and the sector's own. With LEASE_PINS one more keeps
 *	pages of all of them in a pipe, until so many recalls had to wait for one, and
 *	looks that they go neither to somebody else nor back in time. How often each
 *	class was done, and how many threads saw a difference (each stops at its first
 *	one), is written to $LEASE_COUNTS, as JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vmtest.h"

#define SECTOR		512u
#define THREADS		4u
#define WORDS		(SECTOR / sizeof(uint64_t))
#define BLOCK		4096u
#define PIPE_PAGES	8u		/* fewer than a pipe holds */

enum op {
	OP_WRITE, OP_WRITE_DSYNC, OP_STORE, OP_WRITE_OWN, OP_READ_OWN, OP_LOAD, OP_FSYNC,
	OP_READ, OP_COUNT,
};

struct worker {
	pthread_t thread;
	unsigned int index;
	uint64_t random;
	uint64_t *numbers;	/* of its sectors, the last one written */
	uint8_t *by;		/* and by which operation */
	uint64_t next;
	uint64_t count[OP_COUNT];
	char failed[240];
};

static struct {
	int fd, dsync_fd;
	size_t sectors;		/* of the file */
	unsigned char *map;
	unsigned int ops;
	uint64_t pins;		/* recalls that shall have to wait */
	_Atomic uint32_t ended;	/* workers */
} run;

static const char *op_name(enum op op);

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

/* Of what differs the first, how many do, and what it should be from. */
static int differs(struct worker *w, const uint64_t *words, const uint64_t *want, uint64_t own,
		   const char *how)
{
	unsigned long long sector = own * THREADS + w->index;
	unsigned int first = 0, count = 0, i;

	for (i = WORDS; i--;) {
		if (words[i] == want[i])
			continue;
		first = i;
		count++;
	}
	if (!count)
		return 0;
	snprintf(w->failed, sizeof(w->failed),
		 "%s: sector %llu word %u is %#llx, not %#llx (%u words differ; last changed by %s)",
		 how, sector, first, (unsigned long long)words[first],
		 (unsigned long long)want[first], count,
		 w->numbers[own] ? op_name((enum op)w->by[own]) : "nobody");
	return -1;
}

/* What the worker's own sector holds. */
static int check(struct worker *w, const void *got, uint64_t own, const char *how)
{
	uint64_t want[WORDS] = { 0 }, words[WORDS];

	memcpy(words, got, SECTOR);
	if (w->numbers[own])
		fill(want, own * THREADS + w->index, w->numbers[own]);
	return differs(w, words, want, own, how);
}

static void changed(struct worker *w, uint64_t own, enum op op)
{
	w->numbers[own] = w->next;
	w->by[own] = (uint8_t)op;
}

static int said(struct worker *w, const char *what, long got)
{
	snprintf(w->failed, sizeof(w->failed), "%s: %ld: %s", what, got, strerror(errno));
	return -1;
}

/* One of the worker's sectors. */
struct place {
	uint64_t own, sector;
	unsigned char *mapped;
	off_t off;
};

static struct place pick_place(struct worker *w)
{
	struct place p = { .own = pick(w, run.sectors / THREADS) };

	p.sector = p.own * THREADS + w->index;
	p.mapped = run.map + p.sector * SECTOR;
	p.off = (off_t)(p.sector * SECTOR);
	return p;
}

static int write_by(struct worker *w, int fd, enum op op)
{
	struct place p = pick_place(w);
	uint64_t buf[WORDS];
	ssize_t n;

	fill(buf, p.sector, ++w->next);
	n = pwrite(fd, buf, SECTOR, p.off);
	changed(w, p.own, op);
	return n == SECTOR ? 0 : said(w, "pwrite", n);
}

static int do_write(struct worker *w)
{
	return write_by(w, run.fd, OP_WRITE);
}

static int do_write_dsync(struct worker *w)
{
	return write_by(w, run.dsync_fd, OP_WRITE_DSYNC);
}

static int do_store(struct worker *w)
{
	struct place p = pick_place(w);

	fill((uint64_t *)(void *)p.mapped, p.sector, ++w->next);
	changed(w, p.own, OP_STORE);
	return 0;
}

/* From the mapping: what this sector holds, to itself. */
static int do_write_own(struct worker *w)
{
	struct place p = pick_place(w);
	ssize_t n = pwrite(pick(w, 4) ? run.fd : run.dsync_fd, p.mapped, SECTOR, p.off);

	return n == SECTOR ? check(w, p.mapped, p.own, "to itself") :
			     said(w, "pwrite of the mapping", n);
}

static int do_read_own(struct worker *w)
{
	struct place p = pick_place(w);
	ssize_t n = pread(run.fd, p.mapped, SECTOR, p.off);

	return n == SECTOR ? 0 : said(w, "pread into the mapping", n);
}

static int do_load(struct worker *w)
{
	struct place p = pick_place(w);

	return check(w, p.mapped, p.own, "mapping");
}

static int do_fsync(struct worker *w)
{
	return fdatasync(run.fd) ? said(w, "fdatasync", -1) : 0;
}

static int do_read(struct worker *w)
{
	struct place p = pick_place(w);
	uint64_t buf[WORDS];
	ssize_t n = pread(run.fd, buf, SECTOR, p.off);

	return n == SECTOR ? check(w, buf, p.own, "pread") :
			     said(w, "pread", n);
}

static const struct {
	const char *name;
	int (*run)(struct worker *w);
} ops[OP_COUNT] = {
	[OP_WRITE] = { "write", do_write },
	[OP_WRITE_DSYNC] = { "write_dsync", do_write_dsync },
	[OP_STORE] = { "store", do_store },
	[OP_WRITE_OWN] = { "write_from_own_mapping", do_write_own },
	[OP_READ_OWN] = { "read_into_own_mapping", do_read_own },
	[OP_LOAD] = { "load", do_load },
	[OP_FSYNC] = { "fsync", do_fsync },
	[OP_READ] = { "read", do_read },
};

static const char *op_name(enum op op)
{
	return ops[op].name;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	for (i = 0; i < run.ops; i++) {
		enum op op = (enum op)pick(w, OP_COUNT);

		if (ops[op].run(w))
			break;
		w->count[op]++;
	}
	atomic_fetch_add(&run.ended, 1);
	return NULL;
}

/* ------------------------------------------------------------------- the pipe */

struct pinner {
	struct worker w;
	int pipe[2];
	uint64_t page[PIPE_PAGES];	/* of the file, in the pipe's order */
	unsigned char *map[PIPE_PAGES];
	uint64_t *seen;			/* of each sector, no older than this */
	uint64_t drained;
};

/* Of a sector that its owner may be writing: the lowest number in it. */
static int check_sector(struct pinner *p, const uint64_t *words, uint64_t sector)
{
	uint64_t lowest = UINT64_MAX, head;
	unsigned int i;

	for (i = 0; i < WORDS; i++) {
		head = sector * THREADS + i;
		if (i % 2)
			lowest = words[i] < lowest ? words[i] : lowest;
		else if (words[i] != head && words[i])
			return snprintf(p->w.failed, sizeof(p->w.failed),
					"pipe: sector %llu word %u is %#llx",
					(unsigned long long)sector, i,
					(unsigned long long)words[i]);
	}
	if (lowest < p->seen[sector])
		return snprintf(p->w.failed, sizeof(p->w.failed),
				"pipe: sector %llu has %#llx after %#llx",
				(unsigned long long)sector, (unsigned long long)lowest,
				(unsigned long long)p->seen[sector]);
	p->seen[sector] = lowest;
	return 0;
}

static int pin_pages(struct pinner *p)
{
	uint64_t pages = run.sectors * SECTOR / BLOCK;
	struct iovec iov = { .iov_len = BLOCK };
	unsigned int i;

	for (i = 0; i < PIPE_PAGES; i++) {
		p->page[i] = pick(&p->w, pages);
		p->map[i] = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, run.fd,
				 (off_t)(p->page[i] * BLOCK));
		if (p->map[i] == MAP_FAILED)
			return said(&p->w, "mmap", -1);
		iov.iov_base = p->map[i];
		if (vmsplice(p->pipe[1], &iov, 1, 0) != BLOCK)
			return said(&p->w, "vmsplice", -1);
		/* the page stays in use either way */
		if (pick(&p->w, 2)) {
			munmap(p->map[i], BLOCK);
			p->map[i] = NULL;
		}
	}
	return 0;
}

static int drain_pages(struct pinner *p)
{
	uint64_t buf[BLOCK / sizeof(uint64_t)];
	unsigned int i, s;

	for (i = 0; i < PIPE_PAGES; i++) {
		if (read(p->pipe[0], buf, BLOCK) != BLOCK)
			return said(&p->w, "read of the pipe", -1);
		for (s = 0; s < BLOCK / SECTOR; s++)
			if (check_sector(p, buf + s * WORDS, p->page[i] * (BLOCK / SECTOR) + s))
				return -1;
		if (p->map[i])
			munmap(p->map[i], BLOCK);
		p->drained++;
	}
	return 0;
}

static bool workers_ended(void)
{
	return atomic_load(&run.ended) == THREADS;
}

/* Until enough recalls had to wait, and until the others have ended. */
static void *pin(void *arg)
{
	struct pinner *p = arg;
	uint64_t mount = vt_mount_id();
	long first = vt_lease(mount, "pinned_waits"), before, now = first;
	bool enough = false;

	while (!*p->w.failed && !(enough && workers_ended())) {
		if (pin_pages(p))
			break;
		before = now;
		/* a recall of one of them comes, where there is one at all */
		do {
			now = vt_lease(mount, "pinned_waits");
		} while (now == before && !enough);
		if (drain_pages(p))
			break;
		enough = (uint64_t)(now - first) >= run.pins;
	}
	return NULL;
}

static void pinner_begin(struct pinner *p)
{
	p->w.random = vt_random() | 1;
	p->seen = calloc(run.sectors, sizeof(uint64_t));
	ck_assert_ptr_nonnull(p->seen);
	ck_assert_int_eq(pipe2(p->pipe, O_CLOEXEC), 0);
	ck_assert(!pthread_create(&p->w.thread, NULL, pin, p));
}

static void pinner_end(struct pinner *p)
{
	pthread_join(p->w.thread, NULL);
	close(p->pipe[0]);
	close(p->pipe[1]);
	free(p->seen);
}

/* -------------------------------------------------------------------- the end */

static void write_counts(const struct worker *workers, const struct pinner *pinner)
{
	const char *path = getenv("LEASE_COUNTS");
	unsigned int op, i, differences = *pinner->w.failed != 0;
	FILE *file;

	if (!path)
		return;
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs("{\"operations\": {", file);
	for (op = 0; op < OP_COUNT; op++) {
		uint64_t count = 0;

		for (i = 0; i < THREADS; i++)
			count += workers[i].count[op];
		fprintf(file, "%s\"%s\": %llu", op ? ", " : "", ops[op].name,
			(unsigned long long)count);
	}
	for (i = 0; i < THREADS; i++)
		differences += *workers[i].failed != 0;
	fprintf(file, "}, \"pages_through_a_pipe\": %llu, \"differences\": %u}\n",
		(unsigned long long)pinner->drained, differences);
	ck_assert_int_eq(fclose(file), 0);
}

static int all_at_the_end(struct worker *w)
{
	uint64_t buf[WORDS], own, sector;

	for (own = 0; own < run.sectors / THREADS; own++) {
		sector = own * THREADS + w->index;
		if (pread(run.fd, buf, SECTOR, (off_t)(sector * SECTOR)) != SECTOR)
			return said(w, "pread", -1);
		if (check(w, buf, own, "at the end, pread") ||
		    check(w, run.map + sector * SECTOR, own, "at the end, mapping"))
			return -1;
	}
	return 0;
}

START_TEST(model)
{
	static struct worker workers[THREADS];
	static struct pinner pinner;
	const char *path = getenv("LEASE_FILE"), *count = getenv("LEASE_OPS");
	const char *pins = getenv("LEASE_PINS");
	unsigned int i;
	struct stat st;
	void *zero;

	ck_assert_ptr_nonnull(path);
	run.ops = count ? (unsigned int)strtoul(count, NULL, 0) : 3000;
	run.pins = pins ? strtoull(pins, NULL, 0) : 0;
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
		workers[i].by = calloc(run.sectors / THREADS, sizeof(*workers[i].by));
		ck_assert(workers[i].numbers && workers[i].by);
		ck_assert(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	if (run.pins)
		pinner_begin(&pinner);
	for (i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	if (run.pins)
		pinner_end(&pinner);
	for (i = 0; i < THREADS; i++)
		if (!*workers[i].failed)
			all_at_the_end(&workers[i]);
	write_counts(workers, &pinner);
	for (i = 0; i < THREADS; i++)
		ck_assert_msg(!*workers[i].failed, "thread %u: %s", i, workers[i].failed);
	ck_assert_msg(!*pinner.w.failed, "%s", pinner.w.failed);
	munmap(run.map, (size_t)st.st_size);
	close(run.fd);
	close(run.dsync_fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lease-model");
	TCase *tcase = tcase_create("lease-model");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, model);
	suite_add_tcase(suite, tcase);
	return vt_run(suite);
}
