// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: where a leased extent allows it, 2 MiB are mapped by one fault. When a block of
 *	them is recalled and moves, faults fall back to 4 KiB; when it comes back, and all of
 *	the 2 MiB are recalled for it, one fault is enough again. At each stage every byte is
 *	right in every mapping, and what was stored lies where it belongs and nowhere else.
 * Method: the server keeps the file in two whole pieces of 2 MiB, apart from the blocks
 *	that are away; what a block leaves behind is overwritten. Faults are counted.
 * TIMEOUT: 120
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "rawlease.h"
#include "vmtest.h"

#define BLOCK		4096ul
#define WORDS		(BLOCK / sizeof(uint64_t))
#define HUGE_BLOCKS	512ul
#define BLOCKS		1024u		/* two huge pages */
#define FILE_BYTES	(BLOCKS * BLOCK)
#define HOME		62u		/* places of rawlease.h: at 64 MiB */
#define AWAY		126u		/* at 128 MiB */
#define INO		2u
#define LEFT_BEHIND	0xdd
#define ONE_FAULT	8L		/* or a few, for all of a huge page */
#define NOT_MOVING	UINT32_MAX
#define STORERS		2u

/* Of test and server. */
static struct shared {
	_Atomic uint32_t moving;	/* block that is being recalled, or moves */
	_Atomic bool away[BLOCKS];
} *sh;

static struct rs *rs;
static uint64_t mount_id;
static int fd = -1;

/* -------------------------------------------------------------------- server */

/* An answer sees a block before it moves, or after */
static pthread_mutex_t server_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t *block_at(unsigned int place, uint32_t block)
{
	return (uint64_t *)(void *)(rl_bytes_here(place) + block * BLOCK);
}

static long server_clear(struct rs *server, void *arg)
{
	(void)server;
	(void)arg;
	memset(rl_bytes_here(HOME), 0, FILE_BYTES);
	memset(rl_bytes_here(AWAY), LEFT_BEHIND, FILE_BYTES);
	atomic_store(&sh->moving, NOT_MOVING);
	return 0;
}

static long server_move(struct rs *server, void *arg)
{
	uint32_t block = *(uint32_t *)arg;
	bool away = !atomic_load(&sh->away[block]);
	uint64_t *from = block_at(away ? HOME : AWAY, block);

	(void)server;
	pthread_mutex_lock(&server_lock);
	memcpy(block_at(away ? AWAY : HOME, block), from, BLOCK);
	memset(from, LEFT_BEHIND, BLOCK);
	atomic_store(&sh->away[block], away);
	atomic_store(&sh->moving, NOT_MOVING);
	pthread_mutex_unlock(&server_lock);
	return 0;
}

/* What no block lies at has not been written to. The block's number, or -1. */
static long server_check_left(struct rs *server, void *arg)
{
	unsigned char left[BLOCK];
	uint32_t block;

	(void)server;
	(void)arg;
	memset(left, LEFT_BEHIND, sizeof(left));
	for (block = 0; block < BLOCKS; block++)
		if (memcmp(block_at(atomic_load(&sh->away[block]) ? HOME : AWAY, block), left, BLOCK) != 0)
			return block;
	return -1;
}

/* A word of a block, where the block lies. */
static long server_word(struct rs *server, void *arg)
{
	const uint32_t *place = arg;

	(void)server;
	return (long)block_at(atomic_load(&sh->away[place[0]]) ? AWAY : HOME, place[0])[place[1]];
}

/* From @block on, all that lies in one piece. */
static struct zufs_extent extent_of(uint32_t block)
{
	bool away = atomic_load(&sh->away[block]);
	struct zufs_extent ext = {
		.file_off = block * BLOCK, .type = ZUFS_EXT_DATA,
		.dev_off = rl_dev_off_here(away ? AWAY : HOME) + block * BLOCK,
		.flags = ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W,
	};

	for (; block < BLOCKS && atomic_load(&sh->away[block]) == away &&
	     block != atomic_load(&sh->moving); block++)
		ext.len_bytes += BLOCK;
	return ext;
}

/* All around @block that lies in one piece, or "ask again". Under the lock. */
static void answer(struct rf_msg *m, uint32_t block)
{
	struct zufs_extent *ext = m->out_payload;
	uint32_t moving = atomic_load(&sh->moving);
	struct zufs_map_out *out = m->out;
	bool away = atomic_load(&sh->away[block]);

	if (block == moving) {
		m->reply->flags = ZUFS_REPLY_BUSY_RETRY;
		m->reply->fixed_bytes = 0;
		m->reply->payload_bytes = 0;
		return;
	}
	while (block && atomic_load(&sh->away[block - 1]) == away && block - 1 != moving)
		block--;
	*ext = extent_of(block);
	out->count = 1;
	m->reply->payload_bytes = sizeof(*ext);
}

static enum rs_next on_map(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_map_in *in = m->in;

	(void)ch;
	/* rawfs has no place for the end of so long a file */
	if ((m->reply->err && m->reply->err != -EFBIG) || (uint32_t)in->inode != INO)
		return RS_REPLY;
	m->reply->err = 0;
	m->reply->fixed_bytes = sizeof(struct zufs_map_out);
	pthread_mutex_lock(&server_lock);
	answer(m, (uint32_t)(in->off / BLOCK));
	pthread_mutex_unlock(&server_lock);
	return RS_REPLY;
}

/* ---------------------------------------------------------------------- test */

/* Recall the block alone and move it away, or all of its 2 MiB and move it home. */
static void move_block(uint32_t block)
{
	struct zufs_recall recall = {
		.ino = INO, .gen = 1, .off = block * BLOCK, .len_bytes = BLOCK, .cookie = 7,
	};

	if (atomic_load(&sh->away[block])) {
		recall.off = block / HUGE_BLOCKS * HUGE_BLOCKS * BLOCK;
		recall.len_bytes = HUGE_BLOCKS * BLOCK;
	}
	atomic_store(&sh->moving, block);
	ck_assert_int_eq(rl_recall(rs, &recall), 0);
	rl_await_done(rs, 7);
	ck_assert_int_eq(rs_call(rs, server_move, &block, sizeof(block)), 0);
}

static volatile uint64_t *map_file(void)
{
	void *map = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_msg((uintptr_t)map % (HUGE_BLOCKS * BLOCK) == 0, "mmap chose %p", map);
	return map;
}

static void unmap_file(volatile uint64_t *map)
{
	ck_assert_int_eq(munmap((void *)(uintptr_t)map, FILE_BYTES), 0);
}

static long faults(void)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_minflt + usage.ru_majflt;
}

/* What the blocks hold: in each word the number of the last store, and where it is. */
static uint64_t number;

static uint64_t word_of(uint32_t block, unsigned int i)
{
	return number ? number << 32 | block * WORDS | i : 0;
}

static void check_word(uint64_t got, uint32_t block, unsigned int i, const char *stage)
{
	/* an assertion that holds takes a system call, too */
	if (got != word_of(block, i))
		ck_abort_msg("%s: word %u of block %u is %#llx, not %#llx", stage, i, block,
			     (unsigned long long)got, (unsigned long long)word_of(block, i));
}

/* Load the first and the last word of each block of a huge page; the faults. */
static long load_all(volatile uint64_t *map, unsigned int huge, const char *stage)
{
	uint32_t block = huge * HUGE_BLOCKS, end = block + HUGE_BLOCKS;
	long before = faults();

	for (; block < end; block++) {
		check_word(map[block * WORDS], block, 0, stage);
		check_word(map[(block + 1) * WORDS - 1], block, WORDS - 1, stage);
	}
	return faults() - before;
}

/* Store all, with the next number; the faults of each huge page. */
static void store_all(volatile uint64_t *map, long *counts)
{
	unsigned int huge, i;
	uint32_t block;
	long before;

	number++;
	for (huge = 0; huge < 2; huge++) {
		before = faults();
		for (block = huge * HUGE_BLOCKS; block < (huge + 1) * HUGE_BLOCKS; block++)
			for (i = 0; i < WORDS; i++)
				map[block * WORDS + i] = word_of(block, i);
		counts[huge] = faults() - before;
	}
}

static void check_file(const char *stage)
{
	static uint64_t buf[BLOCKS * WORDS];
	uint32_t block;
	unsigned int i;
	long wrong;

	ck_assert_int_eq(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	for (block = 0; block < BLOCKS; block++)
		for (i = 0; i < WORDS; i++)
			check_word(buf[block * WORDS + i], block, i, stage);
	for (block = 0; block < BLOCKS; block += 73) {
		uint32_t place[2] = { block, 5 };

		ck_assert_int_eq(rs_call(rs, server_word, place, sizeof(place)),
				 (long)word_of(block, 5));
	}
	wrong = rs_call(rs, server_check_left, NULL, 0);
	ck_assert_msg(wrong < 0, "%s: somebody wrote to where block %ld was", stage, wrong);
}

/*
 * What the file holds, through a mapping that stays and through one that is made now,
 * which comes first: a huge entry is only made where there are no small ones. @split: huge
 * pages, as bits, that take a fault for each block.
 */
static void check_stage(volatile uint64_t *stays, unsigned int split, bool store_first,
			const char *stage)
{
	volatile uint64_t *map = map_file();
	long loads[2] = { 0, 0 }, stores[2];
	unsigned int huge;

	for (huge = 0; huge < 2 && !store_first; huge++)
		loads[huge] = load_all(map, huge, stage);
	store_all(map, stores);
	for (huge = 0; huge < 2; huge++) {
		if (split & 1u << huge)
			ck_assert_msg(loads[huge] + stores[huge] >= (long)HUGE_BLOCKS,
				      "%s: huge page %u is split, but took %ld and %ld faults", stage,
				      huge, loads[huge], stores[huge]);
		else
			ck_assert_msg(loads[huge] + stores[huge] <= 2 * ONE_FAULT,
				      "%s: huge page %u is whole, but took %ld and %ld faults", stage,
				      huge, loads[huge], stores[huge]);
		load_all(map, huge, stage);
		load_all(stays, huge, stage);
	}
	check_file(stage);
	ck_assert_int_eq(fsync(fd), 0);
	store_all(stays, stores);
	load_all(map, 0, stage);
	load_all(map, 1, stage);
	check_file(stage);
	unmap_file(map);
}

START_TEST(split_and_merged)
{
	static const uint32_t blocks[] = { 0, 1, 100, HUGE_BLOCKS - 1, HUGE_BLOCKS, BLOCKS - 1 };
	volatile uint64_t *stays = map_file();
	unsigned int i, huge;

	check_stage(stays, 0, _i, "at first");
	for (i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		huge = 1u << blocks[i] / HUGE_BLOCKS;
		move_block(blocks[i]);
		check_stage(stays, huge, _i, "split");
		move_block(blocks[i]);
		check_stage(stays, 0, _i, "merged");
	}
	/* only the last one that comes home makes it whole */
	move_block(3);
	move_block(300);
	check_stage(stays, 1, _i, "split twice");
	move_block(3);
	check_stage(stays, 1, _i, "merged once");
	move_block(300);
	check_stage(stays, 0, _i, "merged twice");
	unmap_file(stays);
}
END_TEST

/* --------------------------------------------------------------------- races */

struct storer {
	pthread_t thread;
	size_t word;			/* its own in each block */
	uint64_t random;
	uint64_t stored[BLOCKS];	/* there */
	char failed[128];
};

static _Atomic bool over;

static uint64_t below(struct storer *s, uint64_t n)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random % n;
}

/* Whatever moves, its words are what it has stored. Now and then with a new mapping. */
static void *storer_run(void *arg)
{
	volatile uint64_t *map = map_file(), *word;
	struct storer *s = arg;
	unsigned int steps = 0;
	uint32_t block;

	while (!atomic_load(&over) && !*s->failed) {
		if (++steps % 512 == 0) {
			unmap_file(map);
			map = map_file();
		}
		block = (uint32_t)below(s, BLOCKS);
		word = &map[block * WORDS + s->word];
		if (*word != s->stored[block])
			snprintf(s->failed, sizeof(s->failed), "block %u has %#llx, not %#llx", block,
				 (unsigned long long)*word, (unsigned long long)s->stored[block]);
		*word = ++s->stored[block];
		if (steps % 64 == 0)
			fdatasync(fd);
	}
	unmap_file(map);
	return NULL;
}

START_TEST(while_stored_to)
{
	unsigned int rounds = vt_debug_kernel() ? 12 : 80, i;
	static struct storer storers[STORERS];
	uint64_t buf[WORDS];
	uint32_t block, last = 0;

	for (i = 0; i < STORERS; i++) {
		storers[i].word = i * 8ul;
		storers[i].random = vt_random() | 1;
		ck_assert(!pthread_create(&storers[i].thread, NULL, storer_run, &storers[i]));
	}
	/* one goes, and comes home: every other round makes a huge page whole */
	for (i = 0; i < rounds; i++) {
		block = i % 2 ? last : (uint32_t)(vt_random() % BLOCKS);
		move_block(block);
		last = block;
	}
	atomic_store(&over, true);
	for (i = 0; i < STORERS; i++)
		pthread_join(storers[i].thread, NULL);
	for (i = 0; i < STORERS; i++) {
		ck_assert_msg(!*storers[i].failed, "storer %u: %s", i, storers[i].failed);
		for (block = 0; block < BLOCKS; block++) {
			ck_assert_int_eq(pread(fd, buf, BLOCK, block * BLOCK), BLOCK);
			ck_assert_uint_eq(buf[storers[i].word], storers[i].stored[block]);
		}
	}
	ck_assert_int_eq(rs_call(rs, server_check_left, NULL, 0), -1);
}
END_TEST

static void setup(void)
{
	sh = vt_shared(sizeof(*sh));
	rs = rl_start(1, &mount_id);
	ck_assert_int_eq(rs_call(rs, server_clear, NULL, 0), 0);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = -1, .hook = on_map });
	fd = open(RL_MNT "/f0", O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, FILE_BYTES), 0);
}

static void teardown(void)
{
	close(fd);
	rl_stop(rs);
}

int main(void)
{
	Suite *suite = suite_create("lease-huge");
	TCase *tc = tcase_create("huge");

	tcase_set_timeout(tc, 0);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, split_and_merged, 0, 2);
	tcase_add_test(tc, while_stored_to);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
