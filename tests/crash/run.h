/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run.h - one workload: done once under trace, then crashed at each point, in this process.
 * What run.c, beside.c, check.c and report.c share.
 */
#ifndef CRASH_RUN_H
#define CRASH_RUN_H

#include "coro.h"
#include "images.h"
#include "target.h"
#include "view.h"
#include "workload.h"

#define RUN_ALLOWED	VIEW_STATES /* of one: before, after, and two between; of two: any of both */

/* Where a crash was, as text "OPERATION.FENCE.IMAGE", and "+FENCE.IMAGE" in the recovery. */
struct crash_at {
	uint32_t op;		/* 0: mount, from 1 on the workload's, then umount */
	uint32_t fence;		/* before the operation's own, from 1 on; 0: behind it */
	uint64_t image;
	bool deep;
	uint32_t deep_fence;	/* of the recovery; 0: behind it */
	uint64_t deep_image;
};

/* Adds up over workloads; in memory that the workloads' processes share. */
struct crash_tally {
	uint64_t passed, failed, not_run; /* workloads */
	uint64_t schedules;	/* of operations beside each other */
	uint64_t orders;	/* of their stores, flushes and fences: those that differ */
	uint64_t images;	/* mounted and compared */
	uint64_t repeated;	/* left out as they had been */
	uint64_t points, exhaustive; /* of crash; with all choices */
	uint64_t states;	/* distinct ones, of each workload */
	uint64_t deep_images;	/* of crashes in a recovery */
	uint64_t clean_flushes;	/* lines */
	uint64_t failures;
	uint64_t ns;		/* in enumeration */
	uint64_t line;		/* of the workloads, that runs; what follows is of it */
	struct crash_at at;
	struct schedule schedule;
	struct crash_at first_at; /* of its failures the first */
	struct schedule first_schedule;
	uint32_t run_failures;
	bool run_unsupported;
};

struct crash_config {
	const struct zus_plugin *plugin;
	const struct crash_target *target;
	const char *options;
	uint64_t bytes, data_off;
	struct images_config images;
	enum view_policy policy;
	const char *prepared;	/* media with the tree that workloads begin with; NULL: not yet */
	const struct spec *base; /* that tree */
	uint64_t blocks_free;	/* of the empty filesystem */
	const char *again;	/* command and options that a reproduction begins with */
	bool first;		/* nothing more of a workload that has failed */
	bool only_one;		/* only the crash that is named here */
	struct crash_at only;
	bool one_schedule;	/* only schedule, of operations beside each other */
	struct schedule schedule;
	uint32_t preemptions;	/* at most, in other ones */
	bool same_cpu;		/* what is of a CPU is of both: one of them has been moved */
	uint64_t until_ns;	/* no schedule is begun later; 0: never */
	unsigned int limit;	/* seconds that a workload may take, of pairs a point */
};

struct run {
	const struct crash_config *config;
	const struct workload *workload;
	const char *text;
	struct crash_tally *tally;
	uint32_t num_ops;	/* one after the other */
	int errors[WORKLOAD_OPS + 1];
	bool compared;		/* behind each of them, in an earlier run */
	struct zus_local_op ids[WORKLOAD_OPS + 1]; /* of their last request that changed something */
	struct spec *specs[WORKLOAD_OPS + 1]; /* behind each operation */
	struct view *views[WORKLOAD_OPS + 1];
	struct spec *between[WORKLOAD_OPS + 1][2]; /* in the midst of one, or NULL */
	struct view *between_views[WORKLOAD_OPS + 1][2];
	struct trace trace;	/* of the run without a crash */
	struct model model;
	struct images *images;
	struct images *deep;	/* of the recovery that is crashed, or NULL */
	const struct view *allowed[RUN_ALLOWED];
	const struct spec *allowed_specs[RUN_ALLOWED];
	int num_allowed;
	bool times;		/* are what they were in one of them */
	struct view *got;
	struct zus_local *local; /* mount of images' memory, or NULL */
	uint64_t *states;	/* hashes */
	size_t num_states, max_states;
	uint32_t left_reported;	/* last operation that left words in flight */
};

/* Mounts media; *local may be a mount of it, or NULL. */
int crash_mount(const struct crash_config *config, void *media, struct zus_local **local);

/* 0, or a message for people has gone to stderr and was counted. */
void run_workload(const struct crash_config *config, const struct workload *workload,
		  const char *text, struct crash_tally *tally);

/*
 * For beside.c: mounts, does the operations under trace, and compares; false: reported. What is
 * specified behind each, from first on. Leaks of mounts; time that goes on.
 */
bool run_ops(struct run *run, struct zus_local **local);
void run_specify(struct run *run, uint32_t first);
void run_forget(struct run *run, uint32_t first);
void run_check_leaks(struct run *run);
uint64_t run_now_ns(void);
/* Around all that is enumerated of a workload: model and images, and what is counted of them. */
uint64_t run_begin(struct run *run);
void run_end(struct run *run, uint64_t begin_ns);

/* beside.c: a workload whose last two operations run beside each other. */
void run_beside(struct run *run);

/* check.c: an images_fn with a struct run */
void check_image(void *arg, struct image *image);

/* report.c: a failure at tally->at. */
void report_failure(struct run *run, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Behind report_failure: what was wanted and what was there; the stores that got lost. */
void report_views(const struct run *run, const struct view *got);
void report_missing(const struct run *run, const struct images *images,
		    const struct trace *trace);
void report_word(const struct trace *trace, const struct model_word *word);
/* One more failure of the workload that runs. */
void report_count(struct crash_tally *tally);
/* "again: crash ... --workload ... --schedule ... --reproduce ..." */
void report_again(const struct crash_config *config, const char *text,
		  const struct crash_at *at, const struct schedule *schedule, FILE *to);

int at_parse(struct crash_at *at, const char *text);
void at_print(const struct crash_at *at, char *to, size_t bytes);

#endif /* CRASH_RUN_H */
