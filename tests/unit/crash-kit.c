// SPDX-License-Identifier: BSD-3-Clause
/*
 * crash-kit.c - what tests/crash says is on the medium after a crash: the rules one by one,
 * and a small store with seven bugs, each of which must be found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../crash/images.h"
#include "../crash/store.h"
#include "unit.h"

#define MEDIA_BYTES	16384u

static char media[MEDIA_BYTES] __attribute__((aligned(4096)));
static struct trace trace;
static struct model model;
static struct images *images;
static struct images_config config;

/* ------------------------------------------------------------------ helpers */

static void set_up(void)
{
	memset(media, 0, sizeof(media));
	config = (struct images_config) { 0 };
	trace_init(&trace, media, sizeof(media));
	trace_start(&trace);
	model_init(&model, media, sizeof(media));
}

static void tear_down(void)
{
	if (images)
		images_free(images);
	images = NULL;
	model_destroy(&model);
	trace_destroy(&trace);
}

static uint64_t *at(char *base, uint64_t off)
{
	return (uint64_t *)(void *)(base + off);
}

static void put(uint64_t off, uint64_t value)
{
	__atomic_store_n(at(media, off), value, __ATOMIC_RELAXED);
}

/* The whole trace, as if the power failed now. */
static void replay(void)
{
	size_t i;

	trace_return(&trace);
	trace_stop(&trace);
	for (i = 0; i < trace.num_events; i++)
		model_event(&model, &trace, i);
}

static void ignore(void *arg, struct image *image)
{
	(void)arg;
	(void)image;
}

static uint64_t count_images(void)
{
	images = images_new(&model, &config);
	return images_each(images, 0, ignore, NULL);
}

static void check_durable(uint64_t off, uint64_t value)
{
	ck_assert_uint_eq(*at(model.durable, off), value);
}

/* -------------------------------------------------------------------- rules */

START_TEST(flush_and_fence_make_durable)
{
	put(8, 1);
	put(16, 2);
	zus_persist(media + 8, 16);
	replay();
	check_durable(8, 1);
	check_durable(16, 2);
	ck_assert_uint_eq(model.num_words, 0);
	ck_assert_uint_eq(count_images(), 1);
}
END_TEST

START_TEST(a_fence_alone_makes_nothing_durable)
{
	put(8, 1);
	zus_fence();
	zus_fence();
	replay();
	check_durable(8, 0);
	ck_assert_uint_eq(model.num_words, 1);
	ck_assert_uint_eq(count_images(), 2);
}
END_TEST

START_TEST(a_flush_alone_makes_nothing_durable)
{
	put(8, 1);
	zus_flush(media, 64);
	replay();
	check_durable(8, 0);
	ck_assert_uint_eq(count_images(), 2);
}
END_TEST

START_TEST(a_flush_is_of_its_lines_only)
{
	put(56, 1);
	put(64, 2);
	trace_set_cpu(&trace, 1);
	zus_flush(media + 64, 8);	/* so that it is known before the other */
	trace_set_cpu(&trace, 0);
	zus_persist(media, 64);
	replay();
	check_durable(56, 1);
	check_durable(64, 0);
}
END_TEST

START_TEST(a_fence_is_of_its_cpu_only)
{
	put(8, 1);
	trace_set_cpu(&trace, 1);
	zus_flush(media, 64);
	trace_set_cpu(&trace, 0);
	zus_fence();
	replay();
	check_durable(8, 0);
	ck_assert_uint_eq(model.num_words, 1);
}
END_TEST

/* Another CPU may flush what this one stored, if it fences, too. */
START_TEST(who_flushes_must_fence)
{
	put(8, 1);
	trace_set_cpu(&trace, 1);
	zus_persist(media, 64);
	replay();
	check_durable(8, 1);
	ck_assert_uint_eq(model.num_words, 0);
}
END_TEST

START_TEST(copies_past_the_cache_want_a_fence)
{
	uint64_t value = 7;

	zus_copy_nt(media + 128, &value, sizeof(value));
	replay();
	check_durable(128, 0);
	ck_assert_uint_eq(count_images(), 2);
}
END_TEST

START_TEST(copies_past_the_cache_want_a_fence_of_their_cpu)
{
	uint64_t value = 7;

	zus_copy_nt(media + 128, &value, sizeof(value));
	trace_set_cpu(&trace, 1);
	zus_zero_nt(media + 192, 8);
	zus_copy_nt(media + 256, &value, sizeof(value));
	zus_fence();
	replay();
	check_durable(128, 0);
	check_durable(256, 7);
	ck_assert_uint_eq(model.num_words, 1);
}
END_TEST

/* What is stored over is found before: each of its values may be there. */
START_TEST(values_are_found_in_time)
{
	uint64_t value = 9;

	put(8, 1);
	zus_copy_nt(media + 8, &value, sizeof(value));
	put(64, 1);
	zus_fence();
	put(64, 2);
	replay();
	check_durable(8, 9);
	ck_assert_uint_eq(model.num_words, 2);
	ck_assert_uint_eq(count_images(), 3);
	ck_assert_uint_eq(trace.events[0].kind, TRACE_STORE);
	ck_assert_uint_eq(trace.events[0].off, 8);
}
END_TEST

/* Words that a copy begins or ends in are written as a whole, with their other bytes. */
START_TEST(a_copy_is_of_whole_words)
{
	put(8, 0x1111111111111111);
	zus_persist(media + 8, 8);
	zus_copy_nt(media + 12, "abcdefgh", 8);
	replay();
	check_durable(8, 0x1111111111111111);
	ck_assert_uint_eq(model.num_words, 2);
	ck_assert_uint_eq(model.words[0].off, 8);
	ck_assert_uint_eq(model.words[0].value, 0x6463626111111111);
	ck_assert_uint_eq(model.words[1].value, 0x68676665);
	ck_assert_uint_eq(count_images(), 4);
}
END_TEST

START_TEST(a_store_behind_the_flush_stays_in_flight)
{
	put(8, 1);
	zus_flush(media, 64);
	put(8, 2);
	zus_fence();
	replay();
	check_durable(8, 1);
	ck_assert_uint_eq(model.num_words, 1);
	ck_assert_uint_eq(model.words[0].value, 2);
}
END_TEST

/* An older store of a word does not come when a newer one is there. */
START_TEST(a_newer_store_overtakes)
{
	uint64_t value = 9;

	put(8, 1);
	zus_flush(media, 64);
	trace_set_cpu(&trace, 1);
	zus_copy_nt(media + 8, &value, sizeof(value));
	zus_fence();
	replay();
	check_durable(8, 9);
	ck_assert_uint_eq(model.num_words, 0);
}
END_TEST

/* Three values of one word: what was there, the first and the second. */
START_TEST(values_of_one_word)
{
	put(8, 1);
	zus_flush(media, 64);
	put(8, 2);
	replay();
	ck_assert_uint_eq(model.num_words, 2);
	ck_assert_uint_eq(count_images(), 3);
	ck_assert_uint_eq(images_repeated(images), 1);
}
END_TEST

START_TEST(what_changes_nothing_is_no_choice)
{
	zus_zero_nt(media, 4096);
	replay();
	ck_assert_uint_eq(model.num_words, 0);
	ck_assert_uint_eq(count_images(), 1);
}
END_TEST

START_TEST(clean_flushes_are_counted)
{
	put(8, 1);
	zus_flush(media, 256);
	zus_flush(media, 64);
	replay();
	ck_assert_uint_eq(model.clean_flushes, 4);
}
END_TEST

/* -------------------------------------------------------------- enumeration */

START_TEST(lines_in_order)
{
	put(0, 1);
	zus_flush(media, 64);
	put(8, 2);
	zus_flush(media, 64);
	put(16, 3);
	put(64, 4);
	replay();
	ck_assert_uint_eq(count_images(), 16);
	images_free(images);
	config.prefix = true;
	ck_assert_uint_eq(count_images(), 8);
	ck_assert_uint_eq(images_repeated(images), 0);
}
END_TEST

static void make_words(unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		put(i * 8ull, i + 1);
	replay();
}

START_TEST(all_choices_up_to_the_limit)
{
	make_words(11);
	ck_assert_uint_eq(count_images(), 2048);
	ck_assert_uint_eq(images_points_exhaustive(images), 1);
}
END_TEST

/* 2 and 200 random, 2 x 12 units, 2 x 2 lines, 12 prefixes, 4 sets of lines; some repeat. */
START_TEST(some_choices_above_the_limit)
{
	uint64_t shown;

	make_words(12);
	shown = count_images();
	ck_assert_uint_eq(shown + images_repeated(images), 2 + 200 + 24 + 4 + 12 + 4);
	ck_assert_uint_gt(shown, 200);
	ck_assert_uint_eq(images_points_exhaustive(images), 0);
}
END_TEST

/* Not all choices are taken, but each length of the line is one of those. */
START_TEST(lines_in_order_above_the_limit)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		put(i * 8ull, 1);
	config.prefix = true;
	config.exhaustive = 4;
	replay();
	ck_assert_uint_eq(count_images(), 9);
	ck_assert_uint_eq(images_points_exhaustive(images), 0);
}
END_TEST

START_TEST(long_copies_are_three_units)
{
	char data[8192];

	memset(data, 1, sizeof(data));
	zus_copy_nt(media, data, sizeof(data));
	replay();
	ck_assert_uint_eq(model.num_words, 1024);
	ck_assert_uint_eq(count_images(), 8);
}
END_TEST

struct found {
	uint64_t hash[1024];
	uint64_t count;
};

static uint64_t hash_of(const char *bytes)
{
	uint64_t hash = 0, off;

	for (off = 0; off < MEDIA_BYTES; off += 8)
		hash = hash * 31 + *(const uint64_t *)(const void *)(bytes + off);
	return hash;
}

static void note(void *arg, struct image *image)
{
	struct found *found = arg;

	if (image->ordinal < 1024)
		found->hash[image->ordinal] = hash_of(image->media);
	found->count++;
	memset(image->media, 0xff, 64);	/* as a recovery would */
	image->dirty = true;
}

START_TEST(an_image_can_be_made_again)
{
	static struct found first, again;
	uint64_t i;

	make_words(12);
	images = images_new(&model, &config);
	images_each(images, 0, note, &first);
	for (i = 0; i < 240; i++) {
		ck_assert_uint_eq(images_one(images, i, note, &again), 1);
		if (first.hash[i])
			ck_assert_uint_eq(first.hash[i], again.hash[i]);
	}
	/* and with the same key none is shown twice */
	ck_assert_uint_eq(images_each(images, 0, note, &again), 0);
	ck_assert_uint_eq(images_each(images, 1, note, &again), first.count);
	ck_assert_uint_eq(images_one(images, 100000, note, &again), 0);
}
END_TEST

/* ---------------------------------------------------------------- libzus's */

START_TEST(libzus_and_plugins_are_recorded)
{
	struct zus_local *local = unit_mount(unit_plugin("toyfs"), NULL, 1, 8 << 20);
	struct zus_local_file *file;
	uint64_t copied = 0, fences = 0;
	struct trace of_fs;
	size_t i;

	trace_init(&of_fs, zus_local_dev_addr(local, 0, 0), 8 << 20);
	trace_start(&of_fs);
	ck_assert_int_eq(zus_local_create(local, "/f", 0644), 0);
	ck_assert_int_eq(zus_local_open(local, "/f", &file), 0);
	ck_assert_int_eq(zus_local_pwrite(file, "0123456789abcdef", 16, 0), 16);
	zus_local_close(file);
	trace_stop(&of_fs);
	for (i = 0; i < of_fs.num_events; i++) {
		copied += of_fs.events[i].kind == TRACE_NT ? of_fs.events[i].bytes : 0;
		fences += of_fs.events[i].kind == TRACE_FENCE;
	}
	ck_assert_uint_eq(copied, 4096);
	ck_assert_uint_ge(fences, 1);
	trace_destroy(&of_fs);
	ck_assert_int_eq(zus_local_umount(local), 0);
}
END_TEST

/* ---------------------------------------------------------------- the store */

#define STORE_OPS	60u

struct store_run {
	struct store_state want[2]; /* before and after the operation that runs */
	enum store_bug bug;
	bool returned;
	uint64_t images, in_op, after_op, left;
};

static char store_media[STORE_BYTES] __attribute__((aligned(4096)));

static void do_store_op(struct store *store, uint32_t op)
{
	if (op % 2)
		store_add(store, op);
	else
		store_append(store);
}

/* What the store must hold when it has done count operations; without its code. */
static struct store_state state_after(uint32_t count)
{
	struct store_state state = { 0 };
	uint32_t op;

	for (op = 1; op <= count; op++) {
		if (op % 2) {
			state.pair[0] += op;
			state.pair[1] += op;
		} else {
			state.sum += store_payload_sum(state.records++);
		}
	}
	return state;
}

static bool same(const struct store_state *a, const struct store_state *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void judge(void *arg, struct image *image)
{
	struct store_run *run = arg;
	struct store_state got;
	struct store store;

	image->dirty = true;
	store_open(&store, image->media, run->bug);
	store_state(&store, &got);
	run->images++;
	if (same(&got, &run->want[1]) || (!run->returned && same(&got, &run->want[0])))
		return;
	if (run->returned)
		run->after_op++;
	else
		run->in_op++;
}

static void trace_store(struct trace *t, enum store_bug bug)
{
	struct store store;
	uint32_t op;

	memset(store_media, 0, sizeof(store_media));
	store_open(&store, store_media, bug);
	trace_start(t);
	for (op = 1; op <= STORE_OPS; op++) {
		trace_begin(t, op);
		do_store_op(&store, op);
		trace_return(t);
	}
	trace_stop(t);
}

static void enumerate_store(const struct trace *t, struct store_run *run)
{
	const struct trace_event *event;
	struct model m;
	struct images *im;
	size_t i;

	memset(store_media, 0, sizeof(store_media));
	model_init(&m, store_media, sizeof(store_media));
	im = images_new(&m, NULL);
	for (i = 0; i < t->num_events; i++) {
		event = &t->events[i];
		run->returned = event->kind == TRACE_RETURN;
		if (event->kind == TRACE_BEGIN) {
			run->want[0] = state_after(event->op - 1);
			run->want[1] = state_after(event->op);
		}
		if (event->kind == TRACE_FENCE || run->returned)
			images_each(im, 2ull * event->op + run->returned, judge, run);
		if (run->returned)
			run->left += m.num_words;
		model_event(&m, t, i);
	}
	images_free(im);
	model_destroy(&m);
}

static struct store_run run_store(enum store_bug bug)
{
	struct store_run run = { .bug = bug };
	struct trace t;

	trace_init(&t, store_media, sizeof(store_media));
	trace_store(&t, bug);
	enumerate_store(&t, &run);
	trace_destroy(&t);
	printf("# bug %d: %lu images, %lu wrong in an operation, %lu behind it; %lu words left\n",
	       bug, (unsigned long)run.images, (unsigned long)run.in_op,
	       (unsigned long)run.after_op, (unsigned long)run.left);
	return run;
}

START_TEST(the_right_store_survives)
{
	struct store_run run = run_store(STORE_RIGHT);

	ck_assert_uint_gt(run.images, 5000);
	ck_assert_uint_eq(run.in_op, 0);
	ck_assert_uint_eq(run.after_op, 0);
	ck_assert_uint_eq(run.left, 0);
}
END_TEST

/* Where each shows: in an operation, behind one, in words that stay in flight. */
START_TEST(every_bug_is_found)
{
	static const struct { bool in_op, after_op, left; } shows[STORE_BUGS] = {
		[STORE_EARLY_RETURN] = { true, true, true },
		[STORE_LAST_LINE] = { true, true, true },
		[STORE_SECOND_LINE] = { true, true, true },
		[STORE_HEADER_CRC] = { true, false, false },
		[STORE_NO_UNDO_FENCE] = { true, false, false },
		[STORE_EARLY_RETIRE] = { true, false, false },
		[STORE_NT_TAIL] = { true, true, true },
	};
	struct store_run run = run_store((enum store_bug)_i);

	ck_assert_int_eq(run.in_op > 0, shows[_i].in_op);
	ck_assert_int_eq(run.after_op > 0, shows[_i].after_op);
	ck_assert_int_eq(run.left > 0, shows[_i].left);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crash-kit");
	TCase *tc = tcase_create("kit");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, flush_and_fence_make_durable);
	tcase_add_test(tc, a_fence_alone_makes_nothing_durable);
	tcase_add_test(tc, a_flush_alone_makes_nothing_durable);
	tcase_add_test(tc, a_flush_is_of_its_lines_only);
	tcase_add_test(tc, a_fence_is_of_its_cpu_only);
	tcase_add_test(tc, who_flushes_must_fence);
	tcase_add_test(tc, copies_past_the_cache_want_a_fence);
	tcase_add_test(tc, copies_past_the_cache_want_a_fence_of_their_cpu);
	tcase_add_test(tc, a_copy_is_of_whole_words);
	tcase_add_test(tc, a_store_behind_the_flush_stays_in_flight);
	tcase_add_test(tc, a_newer_store_overtakes);
	tcase_add_test(tc, values_of_one_word);
	tcase_add_test(tc, values_are_found_in_time);
	tcase_add_test(tc, what_changes_nothing_is_no_choice);
	tcase_add_test(tc, clean_flushes_are_counted);
	tcase_add_test(tc, lines_in_order);
	tcase_add_test(tc, all_choices_up_to_the_limit);
	tcase_add_test(tc, some_choices_above_the_limit);
	tcase_add_test(tc, lines_in_order_above_the_limit);
	tcase_add_test(tc, long_copies_are_three_units);
	tcase_add_test(tc, an_image_can_be_made_again);
	tcase_add_test(tc, libzus_and_plugins_are_recorded);
	tcase_add_test(tc, the_right_store_survives);
	tcase_add_loop_test(tc, every_bug_is_found, STORE_RIGHT + 1, STORE_BUGS);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
