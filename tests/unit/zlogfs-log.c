// SPDX-License-Identifier: BSD-3-Clause
/*
 * zlogfs-log.c - how much of the log a mount would have to do again: whichever CPUs write to
 * it, never more than the medium says, and checkpoints are made for that and no oftener.
 */
#include <sched.h>
#include <string.h>

#include "unit.h"
#include "ops.h"
#include "pending.h"
#include "zlogfs_load.h"

#define MEDIA_BYTES	(8ull << 20)
#define UNAPPLIED_BYTES	32768u
#define UNAPPLIED_LINES	(UNAPPLIED_BYTES / ZLF_LINE_BYTES)
#define LOGS		8ul
#define SEG_SHIFT	12u
#define OBJS		8u
#define RECORD_LINES	4u		/* of a change, at most */

static struct zl_fs *fs;
static int cpu;

/* As the plugin's objects are in this program, they call this one. */
int sched_getcpu(void)
{
	return cpu;
}

static void set_up(void)
{
	const struct zl_mkfs options = {
		.segment_shift = SEG_SHIFT, .node_lines = 16, .num_logs = LOGS, .num_slots = 8,
		.policy = ZLF_POLICY_COW, .unapplied_max_bytes = UNAPPLIED_BYTES, .now_ns = 1,
		.fs_uuid = { 3 },
	};

	fs = zlogfs_load(MEDIA_BYTES, &options);
}

static void tear_down(void)
{
	zlogfs_unload(fs);
}

/* On that CPU: an element that is there already, or is not. */
static void change(int where)
{
	struct zlf_elem elem = { .rec_type = ZLF_REC_XATTR };
	struct zl_obj *obj = zl_obj_get(fs, 1000 + unit_random() % OBJS);
	struct zl_op op;
	char value[90];

	cpu = where;
	memset(value, where, sizeof(value));
	elem.key = htole64(1 + unit_random() % 64);
	elem.len = htole32(sizeof(value));
	ck_assert_int_eq(zl_op_begin(&op, fs, NULL, ZL_SPACE_WRITE), 0);
	zl_obj_lock(obj);
	zl_op_set(&op, obj, &elem, value, sizeof(value));
	ck_assert_int_eq(zl_op_commit(&op), 0);
	pthread_mutex_unlock(&obj->lock);
	zl_op_end(&op);
	zl_obj_put(obj);
}

static int count_lines(void *arg, const struct zlf_record *record)
{
	if (zl_get64(record->tid) > zl_get64(fs->ckpt.applied_tid))
		*(uint32_t *)arg += record->lines;
	return 0;
}

/* Lines of records that are behind the newest checkpoint, as a mount would find them. */
static uint32_t lines_to_replay(void)
{
	const struct zl_log_seg *seg;
	const struct zl_log *log;
	uint32_t lines = 0;
	bool closed;

	for (log = fs->logs; log < fs->logs + LOGS; log++)
		for (seg = TAILQ_FIRST(&log->segs); seg; seg = TAILQ_NEXT(seg, link))
			ck_assert_int_eq(zl_log_walk(fs, seg->seg, seg->seq, count_lines, &lines,
						     &closed), 0);
	return lines;
}

/* The logs count the same, and the last lines of segments, be they gone. */
static void expect_counted(uint32_t lines)
{
	const struct zl_log *log;
	uint64_t counted = 0;

	for (log = fs->logs; log < fs->logs + LOGS; log++)
		counted += log->lines - log->ckpt_lines;
	ck_assert_uint_ge(counted, lines);
	ck_assert_uint_le(counted, lines + fs->live_log_segs + LOGS);
}

static void expect_bounded(uint32_t *most)
{
	uint32_t lines = lines_to_replay();

	expect_counted(lines);
	/* each may have been pressed by the record behind which it is */
	ck_assert_uint_le(lines, UNAPPLIED_LINES + LOGS * RECORD_LINES);
	*most = lines > *most ? lines : *most;
}

/* Many CPUs, few, one, in turns: who has been idle must not keep the others' share. */
START_TEST(never_more_than_may_be)
{
	uint32_t most = 0, i, cpus = 1;

	for (i = 0; i < 6000; i++) {
		if (!(i % 200))
			cpus = 1 + (uint32_t)(unit_random() % LOGS);
		change((int)(unit_random() % cpus));
		expect_bounded(&most);
	}
	ck_assert_uint_gt(most, UNAPPLIED_LINES / 2);	/* it is made use of */
}
END_TEST

/* A thread has been moved: the log that it leaves has a segment open for ever. */
START_TEST(an_idle_log_keeps_nobody_back)
{
	uint64_t gen, lines, ckpts;
	uint32_t i;

	change(0);
	for (i = 0; i < 500; i++)
		change(1);
	gen = zl_get64(fs->ckpt.gen);
	lines = fs->logs[1].lines;
	for (i = 0; i < 5000; i++) {
		change(1);
		ck_assert_uint_le(fs->live_log_segs, 2 * UNAPPLIED_BYTES >> SEG_SHIFT);
	}
	ckpts = zl_get64(fs->ckpt.gen) - gen;
	lines = fs->logs[1].lines - lines;
	ck_assert_uint_ge(ckpts, lines / UNAPPLIED_LINES);
	ck_assert_uint_le(ckpts, 2 * lines / UNAPPLIED_LINES);
}
END_TEST

/* All CPUs in turn have as many checkpoints as one has, not each its own. */
START_TEST(all_logs_at_once)
{
	uint64_t gen = zl_get64(fs->ckpt.gen), lines = 0;
	uint32_t i;

	for (i = 0; i < 6000; i++)
		change((int)(i % LOGS));
	for (i = 0; i < LOGS; i++)
		lines += fs->logs[i].lines;
	ck_assert_uint_le(zl_get64(fs->ckpt.gen) - gen, 3 * lines / UNAPPLIED_LINES);
}
END_TEST

/* Between what the applier took and the checkpoint that says how far it came. */
START_TEST(what_comes_meanwhile_counts)
{
	uint32_t round, i;

	for (round = 0; round < 40; round++) {
		for (i = 0; i < round; i++)
			change((int)(i % LOGS));
		pthread_mutex_lock(&fs->step);
		ck_assert_int_eq(zl_apply_all(fs), 0);
		pthread_mutex_unlock(&fs->step);
		for (i = 0; i < 5; i++)
			change((int)(i % LOGS));
		pthread_mutex_lock(&fs->step);
		ck_assert_int_eq(zl_step_checkpoint(fs, false), 0);
		pthread_mutex_unlock(&fs->step);
		expect_counted(lines_to_replay());
	}
}
END_TEST

/* What is taken from all logs is in the order of its records. */
START_TEST(taken_in_order)
{
	uint32_t round, i, n, taken = 0;
	const struct zl_work *work;
	uint64_t order;

	for (round = 0; round < 40; round++) {
		n = (uint32_t)(unit_random() % 60);
		for (i = 0; i < n; i++)
			change((int)(unit_random() % (1 + round % LOGS)));
		pthread_mutex_lock(&fs->step);
		zl_step_apply(fs, 1);		/* takes all, does one */
		order = 0;
		TAILQ_FOREACH(work, &fs->batch, link) {
			ck_assert_uint_ge(work->order, order);
			order = work->order;
			taken++;
		}
		for (i = 0; i < LOGS; i++)
			ck_assert(TAILQ_EMPTY(&fs->logs[i].queue));
		ck_assert_int_eq(zl_apply_all(fs), 0);
		pthread_mutex_unlock(&fs->step);
	}
	ck_assert_uint_gt(taken, 300);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zlogfs-log");
	TCase *cases = tcase_create("log");

	tcase_set_timeout(cases, 30);
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, never_more_than_may_be);
	tcase_add_test(cases, an_idle_log_keeps_nobody_back);
	tcase_add_test(cases, all_logs_at_once);
	tcase_add_test(cases, what_comes_meanwhile_counts);
	tcase_add_test(cases, taken_in_order);
	suite_add_tcase(suite, cases);
	return unit_run(suite);
}
