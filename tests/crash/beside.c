// SPDX-License-Identifier: BSD-3-Clause
/*
 * beside.c - two operations beside each other: under each schedule of a few preemptions, which
 * are found as one goes (iterative context bounding: Musuvathi and Qadeer, PLDI 2007), and
 * crashed at each fence and return.
 *
 * What a crash may leave is what some order of the two makes, as far as they have come: what
 * has returned is there, and its result is of that order; what has not begun is not. When both
 * have returned, it is what was read then.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mix.h"
#include "run.h"
#include "set.h"

#define CLOCK_NS	1500000000000000000ull
#define FAILURES_MAX	50u	/* of a workload: no more schedules then */

enum part {
	PART_NONE,
	PART_SOME,		/* op_between() */
	PART_ALL,
};

/* What an order of both, or of one, makes. */
struct outcome {
	struct spec *spec;
	struct view *view;
	enum part parts[CORO_CPUS];
	int errors[CORO_CPUS];
	uint32_t first;
};

#define VARIANTS	3u	/* all, and two that are some */
#define OUTCOMES	(1u + CORO_CPUS * VARIANTS * (1u + VARIANTS))

struct beside {
	struct run *run;
	struct zus_local *local; /* mount of run->trace.media, or NULL */
	struct coro coro;
	struct outcome outcomes[OUTCOMES];
	uint32_t num_outcomes;
	struct set orders;	/* of stores, flushes and fences */
	struct set points;
	/* of the schedule that runs, or is crashed */
	int results[CORO_CPUS];
	const struct view *final;
	bool begun[CORO_CPUS], returned[CORO_CPUS];
	bool earlier[CORO_CPUS]; /* had returned when the other one began */
	uint32_t fences[CORO_CPUS + 1];
};

/* From 1 on: of CPU 0, of CPU 1, and umount. */
static uint32_t op_of(const struct run *run, uint32_t cpu)
{
	return run->num_ops + 1 + cpu;
}

static const struct op *ops_of(const struct run *run)
{
	return &run->workload->ops[run->num_ops];
}

/* ----------------------------------------------------------------- outcomes */

/* variant 0: the operation; else a state in its midst. false: there is none. */
static bool do_variant(struct outcome *outcome, const struct op *ops, uint32_t cpu,
		       uint32_t variant)
{
	outcome->parts[cpu] = variant ? PART_SOME : PART_ALL;
	if (variant)
		return op_between(&ops[cpu], outcome->spec, variant - 1);
	outcome->errors[cpu] = op_to_spec(&ops[cpu], outcome->spec);
	return true;
}

static struct outcome *new_outcome(struct beside *b, uint32_t first)
{
	struct outcome *outcome = &b->outcomes[b->num_outcomes];

	*outcome = (struct outcome) {
		.spec = spec_copy(b->run->specs[b->run->num_ops]), .first = first,
	};
	return outcome;
}

static void end_outcome(struct beside *b, bool good)
{
	struct outcome *outcome = &b->outcomes[b->num_outcomes];

	if (!good) {
		spec_free(outcome->spec);
		return;
	}
	outcome->view = view_new();
	view_of_spec(outcome->view, outcome->spec);
	b->num_outcomes++;
}

static void add_both(struct beside *b, uint32_t first, uint32_t variant)
{
	const struct op *ops = ops_of(b->run);
	struct outcome *outcome;
	uint32_t v;

	for (v = 0; v < VARIANTS; v++) {
		outcome = new_outcome(b, first);
		end_outcome(b, do_variant(outcome, ops, first, variant) &&
			    do_variant(outcome, ops, !first, v));
	}
}

static void find_outcomes(struct beside *b)
{
	struct outcome *outcome;
	uint32_t first, v;

	new_outcome(b, 0);
	end_outcome(b, true);
	for (first = 0; first < CORO_CPUS; first++)
		for (v = 0; v < VARIANTS; v++) {
			outcome = new_outcome(b, first);
			end_outcome(b, do_variant(outcome, ops_of(b->run), first, v));
			add_both(b, first, v);
		}
}

static void forget_outcomes(struct beside *b)
{
	uint32_t i;

	for (i = 0; i < b->num_outcomes; i++) {
		spec_free(b->outcomes[i].spec);
		view_free(b->outcomes[i].view);
	}
}

/*
 * What has been found by the first may have gone elsewhere when the second is looked at, as
 * with every kernel: that it fails is of an order, but not with which error.
 */
static bool two_paths(const struct op *op)
{
	return op->kind == OP_LINK || op->kind == OP_RENAME || op->kind == OP_CLONE;
}

static bool part_fits(const struct beside *b, const struct outcome *outcome, uint32_t cpu)
{
	enum part part = outcome->parts[cpu];

	if (!b->begun[cpu])
		return part == PART_NONE;
	if (!b->returned[cpu])
		return true;
	/* the specification has no end of its space; who says so has done nothing */
	if (b->results[cpu] == -ENOSPC)
		return part == PART_NONE;
	return part == PART_ALL &&
	       (outcome->errors[cpu] == b->results[cpu] ||
		(two_paths(&ops_of(b->run)[cpu]) && outcome->errors[cpu] && b->results[cpu]));
}

static bool fits(const struct beside *b, const struct outcome *outcome)
{
	uint32_t first = outcome->first, cpu;

	for (cpu = 0; cpu < CORO_CPUS; cpu++)
		if (!part_fits(b, outcome, cpu))
			return false;
	if (outcome->parts[first] && outcome->parts[!first] && b->earlier[!first])
		return false;
	return !b->returned[0] || !b->returned[1] || !b->final ||
	       outcome->view->hash == b->final->hash;
}

static void allow(struct run *run, const struct outcome *outcome)
{
	int i;

	for (i = 0; i < run->num_allowed; i++)
		if (run->allowed[i]->hash == outcome->view->hash)
			return;
	if (run->num_allowed == RUN_ALLOWED)
		abort();
	run->allowed[run->num_allowed] = outcome->view;
	run->allowed_specs[run->num_allowed++] = outcome->spec;
}

static void set_allowed(struct beside *b)
{
	uint32_t i;

	b->run->num_allowed = 0;
	b->run->times = false;
	for (i = 0; i < b->num_outcomes; i++)
		if (fits(b, &b->outcomes[i]))
			allow(b->run, &b->outcomes[i]);
}

static void forget_progress(struct beside *b)
{
	memset(b->begun, 0, sizeof(b->begun));
	memset(b->returned, 0, sizeof(b->returned));
	memset(b->earlier, 0, sizeof(b->earlier));
	memset(b->fences, 0, sizeof(b->fences));
}

static void note_progress(struct beside *b, const struct trace_event *event)
{
	uint32_t cpu = event->op - op_of(b->run, 0);

	if (event->kind == TRACE_FENCE)
		b->fences[cpu]++;
	if (cpu >= CORO_CPUS)
		return;
	if (event->kind == TRACE_BEGIN) {
		b->begun[cpu] = true;
		b->earlier[!cpu] = b->returned[!cpu];
	}
	b->returned[cpu] |= event->kind == TRACE_RETURN;
}

/* ------------------------------------------------------------- one schedule */

static void run_one(void *arg, uint32_t cpu)
{
	struct beside *b = arg;

	trace_begin(&b->run->trace, op_of(b->run, cpu));
	b->results[cpu] = op_to_fs(&ops_of(b->run)[cpu], b->local, b->run->config->target);
	trace_return(&b->run->trace);
}

static void enter(void *arg, uint32_t cpu)
{
	struct beside *b = arg;

	trace_enter(&b->run->trace, cpu, op_of(b->run, cpu));
}

/* What both have come to, while nothing else runs: is there an order that makes it? */
static bool find_final(struct beside *b)
{
	struct run *run = b->run;
	size_t i;
	int err;

	run->tally->at = (struct crash_at) { .op = op_of(run, 0) };
	forget_progress(b);
	for (i = 0; i < run->trace.num_events; i++)
		if (run->trace.events[i].op >= op_of(run, 0))
			note_progress(b, &run->trace.events[i]);
	b->final = NULL;
	set_allowed(b);
	err = view_read(run->got, b->local);
	if (err) {
		report_failure(run, "without a crash not readable: %s %s", strerror(-err),
			       run->got->broken);
		return false;
	}
	for (i = 0; i < (size_t)run->num_allowed; i++)
		if (run->allowed[i]->hash == run->got->hash)
			b->final = run->allowed[i];
	if (b->final)
		return true;
	report_failure(run, "without a crash: \"%s\" beside \"%s\" is of no order of the two",
		       strerror(-b->results[0]), strerror(-b->results[1]));
	report_views(run, run->got);
	return false;
}

static bool unsupported(struct beside *b)
{
	uint32_t cpu;

	for (cpu = 0; cpu < CORO_CPUS; cpu++)
		b->run->tally->run_unsupported |= b->results[cpu] == -EOPNOTSUPP;
	return b->run->tally->run_unsupported;
}

/* false: the schedule ended in a failure, or was not run. */
static bool run_schedule(struct beside *b, const struct schedule *schedule)
{
	struct run *run = b->run;
	bool good = run_ops(run, &b->local);

	if (good && coro_run(&b->coro, schedule)) {
		run->tally->at = (struct crash_at) { .op = op_of(run, 0) };
		report_failure(run, "each of the two waits for the other, or one for ever");
		b->local = NULL;	/* with locks that nobody will free */
		trace_stop(&run->trace);
		return false;
	}
	trace_set_cpu(&run->trace, 0);
	if (good && !b->num_outcomes)
		find_outcomes(b);
	good = good && !unsupported(b) && find_final(b);
	run->tally->at = (struct crash_at) { .op = op_of(run, CORO_CPUS) };
	trace_begin(&run->trace, op_of(run, CORO_CPUS));
	if (b->local)
		zus_local_end(b->local);
	trace_return(&run->trace);
	trace_stop(&run->trace);
	run->compared = true;
	return good;
}

/* ------------------------------------------------------------------- crashes */

static uint64_t hash_of_trace(const struct run *run)
{
	const struct trace *trace = &run->trace;
	uint64_t hash = mix_bytes(1, trace->words, trace->num_words * sizeof(*trace->words));
	size_t i;

	for (i = 0; i < trace->num_events; i++) {
		const struct trace_event *event = &trace->events[i];
		const uint64_t fields[] = {
			event->off, event->bytes, event->kind, event->cpu, event->op,
		};

		hash = mix_bytes(hash, fields, sizeof(fields));
	}
	return hash;
}

/* What a crash may leave here, and what it may be. */
static uint64_t hash_of_point(const struct run *run, uint64_t key)
{
	const struct model *model = &run->model;
	uint64_t hash = mix64(model->hash ^ key), event = UINT64_MAX;
	size_t i;

	for (i = 0; i < model->num_words; i++) {
		const struct model_word *word = &model->words[i];
		const uint64_t fields[] = {
			word->off, word->value, word->nt, word->event == event,
		};

		hash = mix_bytes(hash, fields, sizeof(fields));
		event = word->event;
	}
	return hash;
}

static void crash_here(struct beside *b, uint32_t op, uint32_t fence)
{
	struct run *run = b->run;
	struct crash_at *at = &run->tally->at;
	const struct crash_at *only = &run->config->only;
	uint64_t key = 1;
	int i;

	alarm(run->config->limit);
	*at = (struct crash_at) { .op = op, .fence = fence };
	set_allowed(b);
	for (i = 0; i < run->num_allowed; i++)
		key = mix64(key ^ run->allowed[i]->hash);
	if (run->config->only_one) {
		if (at->op == only->op && at->fence == only->fence)
			images_one(run->images, only->image, check_image, run);
	} else if (set_add(&b->points, hash_of_point(run, key))) {
		images_each(run->images, key, check_image, run);
	}
}

/* Its own stores; of the other one's some may well be in flight. */
static void check_return(struct run *run, uint32_t op)
{
	const struct crash_target *target = run->config->target;
	const struct model *model = &run->model;
	size_t i;

	for (i = 0; i < model->num_words; i++)
		if (run->trace.events[model->words[i].event].op == op &&
		    !(target->may_stay && target->may_stay(model->words[i].off)))
			break;
	if (i == model->num_words || run->left_reported)
		return;
	run->left_reported = op + 1;
	run->tally->at = (struct crash_at) { .op = op };
	report_failure(run, "words are in flight behind an operation");
	report_word(&run->trace, &model->words[i]);
}

/* From the beginning of the two on; what is before is crashed elsewhere. */
static void crash_everywhere(struct beside *b)
{
	struct run *run = b->run;
	const struct trace_event *event;
	size_t i;

	forget_progress(b);
	model_reset(&run->model, run->config->prepared);
	for (i = 0; i < run->trace.num_events; i++) {
		event = &run->trace.events[i];
		if (event->op >= op_of(run, 0)) {
			note_progress(b, event);
			if (event->kind == TRACE_RETURN)
				check_return(run, event->op);
			if (event->kind == TRACE_RETURN)
				crash_here(b, event->op, 0);
			if (event->kind == TRACE_FENCE)
				crash_here(b, event->op, b->fences[event->op - op_of(run, 0)]);
		}
		model_event(&run->model, &run->trace, i);
	}
}

/* ----------------------------------------------------------------- schedules */

static bool enough(const struct run *run)
{
	const struct crash_config *config = run->config;
	uint32_t failures = run->tally->run_failures;

	return failures > FAILURES_MAX || (config->first && failures) ||
	       run->tally->run_unsupported ||
	       (config->until_ns && run_now_ns() > config->until_ns);
}

static void try(struct beside *b, const struct schedule *schedule)
{
	struct run *run = b->run;

	alarm(run->config->limit);
	run->tally->schedule = *schedule;
	run->tally->schedules++;
	if (!run_schedule(b, schedule))
		return;
	if (set_add(&b->orders, hash_of_trace(run))) {
		run->tally->orders++;
		crash_everywhere(b);
	}
}

/* This one, and those that have up to so many switches more. */
static void explore(struct beside *b, const struct schedule *schedule, uint32_t more)
{
	struct schedule next = *schedule;
	struct coro_switch *open;
	size_t i, num;

	try(b, schedule);
	if (!more || next.num == CORO_SWITCHES)
		return;
	num = b->coro.num_open;
	open = crash_alloc(num, sizeof(*open));
	if (num)
		memcpy(open, b->coro.open, num * sizeof(*open));
	next.num++;
	for (i = 0; i < num && !enough(b->run); i++) {
		next.at[next.num - 1] = open[i];
		explore(b, &next, more - 1);
	}
	free(open);
}

static void explore_all(struct beside *b)
{
	const struct crash_config *config = b->run->config;
	const struct schedule forth = { .num = 0 };
	const struct schedule back = { .at = { { 0, 0 } }, .num = 1 };

	if (config->one_schedule || config->only_one) {
		try(b, &config->schedule);
		return;
	}
	explore(b, &forth, config->preemptions);
	if (!enough(b->run))
		explore(b, &back, config->preemptions);
	if (!enough(b->run))
		run_check_leaks(b->run);
}

void run_beside(struct run *run)
{
	struct beside b = {
		.run = run,
		.coro = {
			.run = run_one, .enter = enter, .arg = &b,
			.same_cpu = run->config->same_cpu,
		},
	};
	uint64_t begin_ns;

	coro_set_clock(CLOCK_NS);
	begin_ns = run_begin(run);
	explore_all(&b);
	coro_set_clock(0);
	if (b.local)
		zus_local_umount(b.local);
	if (run->local)
		zus_local_umount(run->local);
	run_end(run, begin_ns);
	forget_outcomes(&b);
	set_destroy(&b.orders);
	set_destroy(&b.points);
	coro_destroy(&b.coro);
}
