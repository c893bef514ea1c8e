// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: while files are cut and grow, and their blocks move and go from one to the other,
 *	nobody ever sees a byte of another file, nor one that had been cut off, nor one that
 *	was stored behind the end, nor misses one that was there all the time; and in the
 *	end all agree on the size.
 * Method: in directory $DATA_DIR, files of a sizer, a writer, a reader and a loader each. A
 *	word tells its file, its place, who wrote it, and a number that rises. Before the
 *	sizer begins it notes the last number that was finished: behind the new end none up
 *	to that may be seen once it is done. What was finished while no sizer was at it must
 *	be seen until one cuts it. In the first test all but the sizer only store through a
 *	mapping, he and others behind the end, too; that may never be seen in a file that
 *	has grown. In the second one the writer calls write(2) and so moves the end itself.
 *	RACE_STEPS: of each sizer.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmtest.h"

#define FILES		2u
#define FILE_BYTES	(192u << 10)	/* at most */
#define BLOCK		4096u
#define WORD		sizeof(uint64_t)
#define WORDS		(FILE_BYTES / WORD)
#define PIECE_WORDS	1536u		/* of one access, at most: three blocks */
#define KEPT_WORDS	4096u		/* are never cut where write(2) moves the end */
#define NUMBERS		0xff00u
#define TORN_MAX	1000u		/* reads of one piece */

enum who { SIZER, WRITER, WHO };

struct file {
	unsigned int index;
	int fd;
	volatile uint64_t *map;
	_Atomic uint32_t next;			/* number of the next write */
	_Atomic uint32_t finished[WHO];		/* the last one of each */
	_Atomic uint32_t cut[WHO][WORDS];	/* no number up to this is to be seen */
	_Atomic uint64_t there[WORDS];		/* word that is, if its writer's */
	pthread_mutex_t lock;			/* sizing against there[] */
	_Atomic uint32_t sizing;		/* odd: a sizer is at it */
	_Atomic size_t size;			/* in words, where only the sizer changes it */
	_Atomic bool over;
	char failed[200];
	pthread_mutex_t fail_lock;
};

struct worker {
	pthread_t thread;
	struct file *file;
	uint64_t random;
	void (*run)(struct worker *w);
	uint64_t count;
};

static struct file files[FILES];
static bool writes;
static unsigned int steps;

static uint64_t below(struct worker *w, uint64_t n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random % n;
}

#define wrong(f, ...) do {						\
	pthread_mutex_lock(&(f)->fail_lock);				\
	if (!*(f)->failed)						\
		snprintf((f)->failed, sizeof((f)->failed), __VA_ARGS__);	\
	pthread_mutex_unlock(&(f)->fail_lock);				\
	atomic_store(&(f)->over, true);					\
} while (0)

/* ---------------------------------------------------------------------- words */

/* The number stands there twice, once inverted: who reads may see half of a word. */
static uint64_t word_of(const struct file *f, size_t place, enum who who, uint32_t num)
{
	return (uint64_t)(f->index + 1) << 56 | (uint64_t)who << 55 | (uint64_t)place << 32 |
	       (~num & 0xffffu) << 16 | num;
}

static enum who who_of(uint64_t word)
{
	return word >> 55 & 1 ? WRITER : SIZER;
}

static uint32_t number_of(uint64_t word)
{
	return word & 0xffffu;
}

/* Bytes of two words of this place, or of one and of zeros. */
static bool is_torn(const struct file *f, size_t place, uint64_t word)
{
	uint64_t want = word_of(f, place, WRITER, 0), byte;

	if ((word >> 16 & 0xffffu) == (~word & 0xffffu) && word >> 56)
		return false;
	for (byte = 32; byte < 64; byte += 8)
		if (word >> byte & 0xff & ~(want >> byte))
			return false;
	return true;
}

/* What was known of a piece before it was looked at. */
struct seen {
	size_t first, count;
	uint32_t sizing;
	uint32_t cut[WHO][PIECE_WORDS];
	uint64_t there[PIECE_WORDS];
};

static void look(struct file *f, struct seen *seen, size_t first, size_t count)
{
	size_t i;

	seen->first = first;
	seen->count = count;
	seen->sizing = atomic_load(&f->sizing);
	for (i = 0; i < count; i++) {
		seen->cut[SIZER][i] = atomic_load(&f->cut[SIZER][first + i]);
		seen->cut[WRITER][i] = atomic_load(&f->cut[WRITER][first + i]);
		seen->there[i] = atomic_load(&f->there[first + i]);
	}
}

/* False: half of it is another word. */
static bool check_word(struct file *f, const struct seen *seen, size_t i, uint64_t word,
		       const char *how)
{
	size_t place = seen->first + i;
	uint32_t num = number_of(word);

	if (!word)
		return true;
	if (is_torn(f, place, word))
		return false;
	if (word != word_of(f, place, who_of(word), num) || num >= atomic_load(&f->next))
		wrong(f, "%s: word %zu of file %u is %#llx, which nobody wrote there", how, place,
		      f->index, (unsigned long long)word);
	else if (num <= seen->cut[who_of(word)][i])
		wrong(f, "%s: word %zu is number %u of %d, but up to %u all are cut", how, place, num,
		      who_of(word), seen->cut[who_of(word)][i]);
	return true;
}

/* Of what was there all the time nothing is missing. @count: words that were seen. */
static void check_there(struct file *f, const struct seen *seen, const uint64_t *words,
			size_t count, const char *how)
{
	uint64_t there;
	size_t i;

	if (seen->sizing & 1 || atomic_load(&f->sizing) != seen->sizing)
		return;
	for (i = 0; i < seen->count; i++) {
		there = seen->there[i];
		if (!there)
			continue;
		if (i >= count || !words[i] ||
		    (who_of(words[i]) == who_of(there) && number_of(words[i]) < number_of(there)))
			wrong(f, "%s: word %zu is %#llx of %zu, but was %#llx", how, seen->first + i,
			      i < count ? (unsigned long long)words[i] : 0, count,
			      (unsigned long long)there);
	}
}

/* Unless a sizer was at it meanwhile: @sizing was before. */
static void now_there(struct file *f, uint32_t sizing, size_t first, size_t count, enum who who,
		      uint32_t num)
{
	size_t i;

	pthread_mutex_lock(&f->lock);
	for (i = first; i < first + count && sizing == atomic_load(&f->sizing); i++)
		atomic_store(&f->there[i], word_of(f, i, who, num));
	pthread_mutex_unlock(&f->lock);
}

/* -------------------------------------------------------------------- mappings */

static _Thread_local sigjmp_buf jump;
static _Thread_local volatile bool jumps;

static void sigbus(int signo)
{
	if (jumps)
		siglongjmp(jump, signo);
	abort();
}

/* How many words there were: behind the file's last page there is none. */
static size_t load_words(struct file *f, size_t first, size_t count, uint64_t *words)
{
	volatile size_t i = 0;

	jumps = true;
	if (!sigsetjmp(jump, 1))
		for (; i < count; i++)
			words[i] = f->map[first + i];
	jumps = false;
	return i;
}

static size_t store_words(struct file *f, size_t first, size_t count, enum who who, uint32_t num)
{
	volatile size_t i = 0;

	jumps = true;
	if (!sigsetjmp(jump, 1))
		for (; i < count; i++)
			f->map[first + i] = word_of(f, first + i, who, num);
	jumps = false;
	return i;
}

/* --------------------------------------------------------------------- workers */

static void write_words(struct file *f, size_t first, size_t count, enum who who, uint32_t num)
{
	uint64_t words[PIECE_WORDS];
	ssize_t got;
	size_t i;

	for (i = 0; i < count; i++)
		words[i] = word_of(f, first + i, who, num);
	got = pwrite(f->fd, words, count * WORD, (off_t)(first * WORD));
	if (got != (ssize_t)(count * WORD))
		wrong(f, "pwrite: %zd: %s", got, strerror(errno));
}

static uint32_t next_number(struct file *f)
{
	uint32_t num = atomic_fetch_add(&f->next, 1);

	if (num >= NUMBERS)
		atomic_store(&f->over, true);
	return num;
}

static void writer(struct worker *w)
{
	size_t count = 1 + below(w, PIECE_WORDS), first = below(w, WORDS - PIECE_WORDS), done = count;
	bool call = writes && below(w, 3);
	struct file *f = w->file;
	uint32_t sizing = atomic_load(&f->sizing), num = next_number(f);
	size_t size = atomic_load(&f->size);

	if (writes && !call)
		first %= KEPT_WORDS - PIECE_WORDS;
	if (call)
		write_words(f, first, count, WRITER, num);
	else
		done = store_words(f, first, count, WRITER, num);
	atomic_store(&f->finished[WRITER], num);
	if (!(sizing & 1) && (writes || first + done <= size))
		now_there(f, sizing, first, done, WRITER, num);
	if (!below(w, 16))
		fdatasync(f->fd);
}

static size_t read_words(struct file *f, size_t first, size_t count, uint64_t *words)
{
	ssize_t got = pread(f->fd, words, count * WORD, (off_t)(first * WORD));

	if (got < 0 || got % (ssize_t)WORD) {
		wrong(f, "pread: %zd: %s", got, strerror(errno));
		return 0;
	}
	return (size_t)got / WORD;
}

/* A piece by @get, until no word of it was caught half-way. */
static void get_piece(struct worker *w, const char *how,
		      size_t (*get)(struct file *f, size_t first, size_t count, uint64_t *words))
{
	size_t first = below(w, WORDS - PIECE_WORDS), count = 1 + below(w, PIECE_WORDS), got, i;
	unsigned int tries = TORN_MAX;
	uint64_t words[PIECE_WORDS];
	struct file *f = w->file;
	struct seen seen;

	do {
		look(f, &seen, first, count);
		got = get(f, first, count, words);
		for (i = 0; i < got && check_word(f, &seen, i, words[i], how); i++)
			;
	} while (i < got && --tries && !atomic_load(&f->over));
	if (!tries)
		wrong(f, "%s: word %zu is %#llx, again and again", how, first + i,
		      (unsigned long long)words[i]);
	else if (i == got)
		check_there(f, &seen, words, got, how);
}

static void reader(struct worker *w)
{
	get_piece(w, "read", read_words);
}

static void loader(struct worker *w)
{
	get_piece(w, "mapping", load_words);
}

/* ----------------------------------------------------------------------- sizers */

/* In [from, to) nothing that was finished is to be seen once this is done. */
struct sized {
	size_t from;
	uint32_t finished[WHO];
};

static void size_begin(struct file *f, struct sized *s, size_t from)
{
	size_t i;

	pthread_mutex_lock(&f->lock);
	atomic_fetch_add(&f->sizing, 1);
	for (i = from; i < WORDS; i++)
		atomic_store(&f->there[i], 0);
	pthread_mutex_unlock(&f->lock);
	s->from = from;
	s->finished[SIZER] = atomic_load(&f->finished[SIZER]);
	s->finished[WRITER] = atomic_load(&f->finished[WRITER]);
}

static void size_end(struct file *f, const struct sized *s, size_t to)
{
	size_t i;

	for (i = s->from; i < to; i++) {
		atomic_store(&f->cut[SIZER][i], s->finished[SIZER]);
		atomic_store(&f->cut[WRITER][i], s->finished[WRITER]);
	}
	atomic_fetch_add(&f->sizing, 1);
}

static void size_to(struct file *f, size_t size)
{
	if (ftruncate(f->fd, (off_t)(size * WORD)))
		wrong(f, "ftruncate to %zu: %s", size * WORD, strerror(errno));
}

/* Mostly near: so that others meet the end. */
static size_t pick_size(struct worker *w)
{
	return below(w, 4) ? WORDS / 2 + below(w, PIECE_WORDS) :
			     KEPT_WORDS + below(w, WORDS - KEPT_WORDS + 1);
}

/* Behind the new end all goes, whoever grows the file again, and when. */
static void cut_any(struct worker *w)
{
	size_t size = pick_size(w);
	struct file *f = w->file;
	struct sized s;

	size_begin(f, &s, size);
	size_to(f, size);
	size_end(f, &s, WORDS);
}

static void cut(struct file *f, size_t size)
{
	struct sized s;

	size_begin(f, &s, size);
	size_to(f, size);
	atomic_store(&f->size, size);
	size_end(f, &s, WORDS);
}

/* Nobody else moves the end: what is stored behind it must be gone when it moves on. */
static void store_behind(struct file *f)
{
	size_t size = f->size, end = (size * WORD + BLOCK - 1) / BLOCK * BLOCK / WORD;
	uint32_t num = next_number(f);

	store_words(f, size, end - size, SIZER, num);
	atomic_store(&f->finished[SIZER], num);
}

static void grow(struct file *f, size_t size)
{
	struct sized s;

	store_behind(f);
	size_begin(f, &s, f->size);
	size_to(f, size);
	atomic_store(&f->size, size);
	size_end(f, &s, size);
}

/* By what is written from @first on. */
static void grow_by_write(struct file *f, size_t first, size_t count)
{
	struct sized s;
	uint32_t num;

	store_behind(f);
	num = next_number(f);
	size_begin(f, &s, f->size);
	write_words(f, first, count, SIZER, num);
	atomic_store(&f->finished[SIZER], num);
	atomic_store(&f->size, first + count);
	size_end(f, &s, first + count);
	now_there(f, atomic_load(&f->sizing), first, count, SIZER, num);
}

static void cut_or_grow(struct worker *w)
{
	size_t size = pick_size(w), count = 1 + below(w, PIECE_WORDS);
	struct file *f = w->file;
	struct stat st;

	if (size < f->size)
		cut(f, size);
	else if (size > f->size && below(w, 2))
		grow(f, size);
	else if (size + count <= WORDS)
		grow_by_write(f, size, count);
	if (fstat(f->fd, &st) || st.st_size != (off_t)(f->size * WORD))
		wrong(f, "the size is %lld, not %zu", (long long)st.st_size, f->size * WORD);
}

static void sizer(struct worker *w)
{
	if (writes)
		cut_any(w);
	else
		cut_or_grow(w);
	if (w->count >= steps)
		atomic_store(&w->file->over, true);
}

/* ------------------------------------------------------------------------ test */

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&w->file->over)) {
		w->count++;
		w->run(w);
	}
	return NULL;
}

static void file_begin(struct file *f, unsigned int index)
{
	char name[] = "race0";

	name[4] += (char)index;
	f->index = index;
	f->fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert_msg(f->fd >= 0, "%s: %s", name, strerror(errno));
	f->map = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	ck_assert(f->map != MAP_FAILED);
	f->next = 1;
	f->size = WORDS;
	size_to(f, WORDS);
	ck_assert(!pthread_mutex_init(&f->lock, NULL) && !pthread_mutex_init(&f->fail_lock, NULL));
}

/* At rest: read(2), the mapping, the size, and the server agree. */
static void file_check(struct file *f)
{
	static uint64_t words[WORDS], again[WORDS];
	struct stat st, st_again;
	size_t first, count;
	struct seen seen;

	ck_assert_int_eq(fstat(f->fd, &st), 0);
	ck_assert_int_eq(pread(f->fd, words, FILE_BYTES, 0), st.st_size);
	ck_assert_int_eq(lseek(f->fd, 0, SEEK_END), st.st_size);
	count = (size_t)st.st_size / WORD;
	ck_assert_uint_eq(load_words(f, 0, count, again), count);
	ck_assert_int_eq(memcmp(words, again, count * WORD), 0);
	for (first = 0; first < WORDS; first++) {
		look(f, &seen, first, 1);
		if (first < count && !check_word(f, &seen, 0, words[first], "at the end"))
			wrong(f, "at the end word %zu is %#llx", first,
			      (unsigned long long)words[first]);
		check_there(f, &seen, words + first, first < count, "at the end");
	}
	ck_assert_msg(!*f->failed, "%s", f->failed);
	/* what the kernel has of it goes; the server says it anew */
	munmap((void *)(uintptr_t)f->map, FILE_BYTES);
	close(f->fd);
	vt_write("/proc/sys/vm/drop_caches", "3");
	f->fd = open(f->index ? "race1" : "race0", O_RDONLY);
	ck_assert_int_ge(f->fd, 0);
	ck_assert(!fstat(f->fd, &st_again) && st_again.st_size == st.st_size);
	ck_assert_int_eq(pread(f->fd, again, FILE_BYTES, 0), st.st_size);
	ck_assert_int_eq(memcmp(words, again, count * WORD), 0);
	close(f->fd);
}

START_TEST(races)
{
	static void (*const runs[])(struct worker *w) = { sizer, writer, reader, loader };
	static struct worker workers[FILES][4];
	struct sigaction action = { .sa_handler = sigbus };
	const char *text = getenv("RACE_STEPS");
	unsigned int i, j;

	writes = _i;
	steps = text ? (unsigned int)strtoul(text, NULL, 0) : 400;
	ck_assert_int_eq(sigaction(SIGBUS, &action, NULL), 0);
	for (i = 0; i < FILES; i++)
		file_begin(&files[i], i);
	for (i = 0; i < FILES; i++)
		for (j = 0; j < 4; j++) {
			workers[i][j] = (struct worker) { .file = &files[i], .run = runs[j],
							  .random = vt_random() | 1 };
			ck_assert(!pthread_create(&workers[i][j].thread, NULL, work,
						  &workers[i][j]));
		}
	for (i = 0; i < FILES; i++)
		for (j = 0; j < 4; j++)
			pthread_join(workers[i][j].thread, NULL);
	for (i = 0; i < FILES; i++) {
		printf("file %u: %llu sized, %llu written, %llu read, %llu loaded\n", i,
		       (unsigned long long)workers[i][0].count,
		       (unsigned long long)workers[i][1].count,
		       (unsigned long long)workers[i][2].count,
		       (unsigned long long)workers[i][3].count);
		ck_assert_msg(!*files[i].failed, "file %u: %s", i, files[i].failed);
	}
	for (i = 0; i < FILES; i++)
		file_check(&files[i]);
	unlink("race0");
	unlink("race1");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("truncate-races");
	TCase *tcase = tcase_create("races");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, races, 0, 2);
	suite_add_tcase(suite, tcase);
	return vt_data_main(suite);
}
