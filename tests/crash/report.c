// SPDX-License-Identifier: BSD-3-Clause
/* report.c - failures, as a person wants to read them. */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

#define PRINTED_A_RUN	2u	/* later failures of a workload are only counted */
#define WORDS_PRINTED	12u

/* ----------------------------------------------------------------- position */

void at_print(const struct crash_at *at, char *to, size_t bytes)
{
	int used = snprintf(to, bytes, "%u.%u.%" PRIu64, at->op, at->fence, at->image);

	if (at->deep && used > 0 && (size_t)used < bytes)
		snprintf(to + used, bytes - (size_t)used, "+%u.%" PRIu64, at->deep_fence,
			 at->deep_image);
}

static int parse_part(uint64_t *value, const char **text, char stop)
{
	char *end;

	errno = 0;
	*value = strtoull(*text, &end, 10);
	if (errno || end == *text || (*end != stop && *end))
		return -EINVAL;
	*text = *end ? end + 1 : end;
	return 0;
}

int at_parse(struct crash_at *at, const char *text)
{
	uint64_t op, fence, deep_fence;

	memset(at, 0, sizeof(*at));
	at->deep = strchr(text, '+') != NULL;
	if (parse_part(&op, &text, '.') || parse_part(&fence, &text, '.') ||
	    parse_part(&at->image, &text, '+'))
		return -EINVAL;
	at->op = (uint32_t)op;
	at->fence = (uint32_t)fence;
	if (!at->deep)
		return 0;
	if (parse_part(&deep_fence, &text, '.') || parse_part(&at->deep_image, &text, 0))
		return -EINVAL;
	at->deep_fence = (uint32_t)deep_fence;
	return 0;
}

/* ------------------------------------------------------------------ failure */

static bool is_printed(const struct run *run)
{
	return run->tally->run_failures <= PRINTED_A_RUN;
}

/* The other one of the two. */
static void print_beside(const struct run *run)
{
	uint32_t other = 2 * run->num_ops + 3 - run->tally->at.op;
	char op[WORKLOAD_TEXT];

	op_print(&run->workload->ops[other - 1], op);
	fprintf(stderr, "  beside operation %u, %s\n", other, op);
}

static void print_where(const struct run *run)
{
	const struct crash_at *at = &run->tally->at;
	char op[WORKLOAD_TEXT] = "umount";

	if (!at->op)
		snprintf(op, sizeof(op), "mount");
	else if (at->op <= run->workload->num_ops)
		op_print(&run->workload->ops[at->op - 1], op);
	fprintf(stderr, "  crash %s", at->fence ? "in" : "behind");
	fprintf(stderr, " operation %u, %s", at->op, op);
	if (at->fence)
		fprintf(stderr, ", before its fence %u", at->fence);
	fprintf(stderr, ", image %" PRIu64 "\n", at->image);
	if (run->workload->beside && at->op > run->num_ops &&
	    at->op <= run->workload->num_ops)
		print_beside(run);
	if (at->deep && at->deep_fence)
		fprintf(stderr, "  then in its recovery, before fence %u, image %" PRIu64 "\n",
			at->deep_fence, at->deep_image);
	else if (at->deep)
		fprintf(stderr, "  then behind its recovery, image %" PRIu64 "\n", at->deep_image);
}

void report_again(const struct crash_config *config, const char *text,
		  const struct crash_at *at, const struct schedule *schedule, FILE *to)
{
	char id[80], switches[CORO_TEXT];

	at_print(at, id, sizeof(id));
	schedule_print(schedule, switches, sizeof(switches));
	fprintf(to, "again: %s --workload '%s'", config->again, text);
	if (*switches)
		fprintf(to, " --schedule %s", switches);
	fprintf(to, " --reproduce %s\n", id);
}

void report_count(struct crash_tally *tally)
{
	tally->failures++;
	if (tally->run_failures++)
		return;
	tally->first_at = tally->at;
	tally->first_schedule = tally->schedule;
}

void report_failure(struct run *run, const char *format, ...)
{
	va_list args;

	report_count(run->tally);
	if (!is_printed(run))
		return;
	fprintf(stderr, "crash: %s: ", run->text);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	print_where(run);
	fputs("  ", stderr);
	report_again(run->config, run->text, &run->tally->at, &run->tally->schedule, stderr);
}

void report_views(const struct run *run, const struct view *got)
{
	int i;

	for (i = 0; is_printed(run) && i < run->num_allowed; i++) {
		fprintf(stderr, "  %s state %d, which it may be ('-'), and what was there ('+'):\n",
			i ? "or" : "of", i);
		view_print_diff(run->allowed[i], got, stderr);
	}
}

/* -------------------------------------------------------------------- words */

static void print_site(const void *site)
{
	const char *file;
	Dl_info info;

	if (!site || !dladdr(site, &info) || !info.dli_fname) {
		fputs(", not flushed", stderr);
		return;
	}
	file = strrchr(info.dli_fname, '/');
	fprintf(stderr, " at %s+0x%tx", file ? file + 1 : info.dli_fname,
		(const char *)site - (const char *)info.dli_fbase);
	if (info.dli_sname)
		fprintf(stderr, " (%s+0x%tx)", info.dli_sname,
			(const char *)site - (const char *)info.dli_saddr);
}

void report_word(const struct trace *trace, const struct model_word *word)
{
	const struct trace_event *event = &trace->events[word->event];

	fprintf(stderr, "    0x%" PRIx64 " = 0x%016" PRIx64 ": %s in operation %u", word->off,
		word->value, trace_kind_name(event->kind), event->op);
	print_site(event->site);
	fputc('\n', stderr);
}

void report_missing(const struct run *run, const struct images *images, const struct trace *trace)
{
	struct model_word words[WORDS_PRINTED];
	size_t i, count = images_missing(images, words, WORDS_PRINTED);

	if (!is_printed(run))
		return;
	fprintf(stderr, "  the medium lacks %zu words in flight%s\n", count, count ? ":" : "");
	for (i = 0; i < count && i < WORDS_PRINTED; i++)
		report_word(trace, &words[i]);
}
