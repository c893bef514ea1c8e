// SPDX-License-Identifier: BSD-3-Clause
/* run.c - one workload: done once under trace, then crashed at each point. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "run.h"

#define LEAK_MOUNTS	32u

/* ------------------------------------------------------------- specification */

static void find_between(struct run *run, uint32_t op)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct spec *spec = spec_copy(run->specs[op - 1]);

		if (!op_between(&run->workload->ops[op - 1], spec, i)) {
			spec_free(spec);
			return;
		}
		run->between[op][i] = spec;
		run->between_views[op][i] = view_new();
		view_of_spec(run->between_views[op][i], spec);
	}
}

/*
 * What the filesystem shall be behind each operation, from the first of them on. An error of
 * one changes nothing.
 */
void run_specify(struct run *run, uint32_t first)
{
	int *errors = run->errors;
	uint32_t op;

	for (op = first; op <= run->num_ops; op++) {
		run->specs[op] = spec_copy(op ? run->specs[op - 1] : run->config->base);
		if (op && errors[op] != -ENOSPC)
			errors[op] = op_to_spec(&run->workload->ops[op - 1], run->specs[op]);
		run->views[op] = view_new();
		view_of_spec(run->views[op], run->specs[op]);
		if (op && !errors[op])
			find_between(run, op);
	}
}

void run_forget(struct run *run, uint32_t first)
{
	uint32_t op, i;

	for (op = first; op <= run->num_ops; op++) {
		spec_free(run->specs[op]);
		view_free(run->views[op]);
		for (i = 0; i < 2; i++) {
			spec_free(run->between[op][i]);
			view_free(run->between_views[op][i]);
			run->between[op][i] = NULL;
			run->between_views[op][i] = NULL;
		}
	}
}

/* -------------------------------------------------------------------- trace */

static bool same_as(struct run *run, struct zus_local *local, uint32_t op)
{
	int err;

	if (run->compared)
		return true;
	err = view_read(run->got, local);
	run->allowed[0] = run->views[op];
	run->num_allowed = 1;
	if (!err && run->got->hash == run->views[op]->hash) {
		if (run->config->target->flags & CRASH_TIMES && run->config->policy == VIEW_ATOMIC)
			view_take_times(run->views[op], run->got);
		return true;
	}
	report_failure(run, "without a crash: %s", err ? strerror(-err) : "another state");
	if (!err)
		report_views(run, run->got);
	return false;
}

/* The specification has no end of its space; who says so has done nothing. */
static void is_full(struct run *run, uint32_t op)
{
	run_forget(run, op);
	run->errors[op] = -ENOSPC;
	run_specify(run, op);
}

static bool do_ops(struct run *run, struct zus_local *local)
{
	const int *errors = run->errors;
	struct zus_local_op before;
	uint32_t op;
	int err;

	for (op = 1; op <= run->num_ops; op++) {
		run->tally->at.op = op;
		before = zus_local_last_op();
		trace_begin(&run->trace, op);
		err = op_to_fs(&run->workload->ops[op - 1], local, run->config->target);
		trace_return(&run->trace);
		run->ids[op] = zus_local_last_op();
		if (run->ids[op].slot == before.slot && run->ids[op].seq == before.seq)
			run->ids[op].slot = ZUS_NO_SLOT;
		if (err == -EOPNOTSUPP) {
			run->tally->run_unsupported = true;
			return false;
		}
		if (err == -ENOSPC && !errors[op])
			is_full(run, op);
		if (err != errors[op]) {
			report_failure(run, "without a crash: %s, not %s", strerror(-err),
				       strerror(-errors[op]));
			return false;
		}
		if (!same_as(run, local, op))
			return false;
	}
	return true;
}

bool run_ops(struct run *run, struct zus_local **local)
{
	int err;

	memcpy(run->trace.media, run->config->prepared, run->config->bytes);
	trace_start(&run->trace);
	run->tally->at = (struct crash_at) { 0 };
	if (*local)
		zus_local_new_slots(*local);
	trace_begin(&run->trace, 0);
	err = crash_mount(run->config, run->trace.media, local);
	trace_return(&run->trace);
	if (err)
		report_failure(run, "not mounted, without a crash: %s", strerror(-err));
	return !err && same_as(run, *local, 0) && do_ops(run, *local);
}

/* All of it once; the events are in run->trace. */
static bool trace_all(struct run *run)
{
	struct zus_local *local = NULL;
	bool good = run_ops(run, &local);

	if (good)
		trace_begin(&run->trace, run->workload->num_ops + 1);
	if (local)
		zus_local_umount(local);
	if (good)
		trace_return(&run->trace);
	trace_stop(&run->trace);
	return good;
}

/* ------------------------------------------------------------------- points */

static void allow(struct run *run, const struct view *view, const struct spec *spec)
{
	if (!view)
		return;
	run->allowed[run->num_allowed] = view;
	run->allowed_specs[run->num_allowed++] = spec;
}

/* Some zero a block's rest first, which has a time of its own. */
static bool in_steps(enum op_kind kind)
{
	return kind == OP_WRITE || kind == OP_TRUNCATE || kind == OP_FALLOCATE ||
	       kind == OP_CLONE;
}

/* What a crash in the operation, or behind it, may leave. */
static void set_allowed(struct run *run, uint32_t op, bool returned)
{
	uint32_t last = op > run->workload->num_ops ? run->workload->num_ops : op, i;

	run->num_allowed = 0;
	run->times = returned || !op || !in_steps(run->workload->ops[last - (last > 0)].kind);
	if (!returned && op && op == last) {
		allow(run, run->views[op - 1], run->specs[op - 1]);
		for (i = 0; i < 2; i++)
			allow(run, run->between_views[op][i], run->between[op][i]);
	}
	allow(run, run->views[last], run->specs[last]);
}

static void crash_here(struct run *run, uint32_t op, bool returned)
{
	struct crash_at *at = &run->tally->at;
	const struct crash_at *only = &run->config->only;

	at->op = op;
	at->fence = returned ? 0 : (uint32_t)run->model.fences + 1;
	set_allowed(run, op, returned);
	if (!run->config->only_one)
		images_each(run->images, 2ull * op + returned, check_image, run);
	else if (at->op == only->op && at->fence == only->fence)
		images_one(run->images, only->image, check_image, run);
}

/* What the operation left in flight, and how many fences it took. */
static void check_return(struct run *run, uint32_t op)
{
	const struct crash_target *target = run->config->target;
	const struct model *model = &run->model;
	bool is_op = op && op <= run->workload->num_ops &&
		     run->workload->ops[op - 1].kind != OP_STEP;
	size_t i;

	run->tally->at = (struct crash_at) { .op = op };
	if (is_op && target->fences_max && model->fences > target->fences_max)
		report_failure(run, "%lu fences, more than %u", (unsigned long)model->fences,
			       target->fences_max);
	for (i = 0; i < model->num_words; i++)
		if (!target->may_stay || !target->may_stay(model->words[i].off))
			break;
	if (i == model->num_words || run->left_reported)
		return;
	run->left_reported = op + 1;
	report_failure(run, "%zu words are in flight behind an operation", model->num_words - i);
	if (run->tally->run_failures < 3)
		report_word(&run->trace, &model->words[i]);
}

static void crash_everywhere(struct run *run)
{
	const struct trace_event *event;
	bool returned = false;
	size_t i;

	for (i = 0; i < run->trace.num_events; i++) {
		event = &run->trace.events[i];
		if (event->kind == TRACE_BEGIN)
			returned = false;
		if (event->kind == TRACE_RETURN) {
			returned = true;
			check_return(run, event->op);
		}
		if (event->kind == TRACE_FENCE || event->kind == TRACE_RETURN)
			crash_here(run, event->op, returned);
		model_event(&run->model, &run->trace, i);
	}
}

/* ---------------------------------------------------------------------- run */

uint64_t run_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* One leak a mount is too many for a process that mounts millions of times. */
void run_check_leaks(struct run *run)
{
	char *media = images_media(run->images);
	size_t before, after, i;

	if (crash_mount(run->config, media, &run->local))
		return;
	zus_local_end(run->local);
	before = mallinfo2().uordblks;
	for (i = 0; i < LEAK_MOUNTS; i++) {
		if (crash_mount(run->config, media, &run->local))
			return;
		zus_local_end(run->local);
	}
	after = mallinfo2().uordblks;
	/* the least that malloc(3) gives; what it keeps for itself comes and goes */
	if (after >= before + LEAK_MOUNTS * 32ul)
		report_failure(run, "%u mounts leak %zu bytes", LEAK_MOUNTS, after - before);
}

uint64_t run_begin(struct run *run)
{
	uint64_t begin_ns = run_now_ns();

	model_init(&run->model, run->config->prepared, run->config->bytes);
	run->images = images_new(&run->model, &run->config->images);
	return begin_ns;
}

void run_end(struct run *run, uint64_t begin_ns)
{
	struct crash_tally *tally = run->tally;

	tally->ns += run_now_ns() - begin_ns;
	tally->repeated += images_repeated(run->images);
	tally->points += images_points(run->images);
	tally->exhaustive += images_points_exhaustive(run->images);
	tally->clean_flushes += run->model.clean_flushes;
	images_free(run->images);
	model_destroy(&run->model);
}

static void enumerate(struct run *run)
{
	uint64_t begin_ns = run_begin(run);

	crash_everywhere(run);
	if (!run->config->only_one)
		run_check_leaks(run);
	if (run->local)
		zus_local_umount(run->local);
	run_end(run, begin_ns);
}

void run_workload(const struct crash_config *config, const struct workload *workload,
		  const char *text, struct crash_tally *tally)
{
	char *media = aligned_alloc(4096, config->bytes);
	struct run run = {
		.config = config, .workload = workload, .text = text, .tally = tally,
		.got = view_new(), .num_ops = workload->num_ops - (workload->beside ? 2 : 0),
	};

	if (!media)
		abort();
	tally->at = (struct crash_at) { 0 };
	tally->schedule.num = 0;
	run_specify(&run, 0);
	trace_init(&run.trace, media, config->bytes);
	if (workload->beside)
		run_beside(&run);
	else if (trace_all(&run))
		enumerate(&run);
	trace_destroy(&run.trace);
	run_forget(&run, 0);
	view_free(run.got);
	free(run.states);
	free(media);
}
