// SPDX-License-Identifier: BSD-3-Clause
/* trace.c - record what a program does to persistent memory. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zus.h>

#include "coro.h"
#include "trace.h"

#define COMPARE_BYTES	4096u

static struct trace *tracing;

static struct {
	const char *media;	/* NULL: none */
	uint64_t bytes;
	struct trace_range *ranges;
	size_t num, max;
} watched;

/* ------------------------------------------------------------------- memory */

static void *must(void *memory)
{
	if (!memory) {
		fputs("crash: no memory left\n", stderr);
		exit(2);
	}
	return memory;
}

void *crash_alloc(size_t count, size_t bytes)
{
	return must(calloc(count ? count : 1, bytes));
}

void crash_grow(void *array, size_t count, size_t *max, size_t element_bytes)
{
	void *memory;

	if (count < *max)
		return;
	*max = *max ? 2 * *max : 64;
	memcpy(&memory, array, sizeof(memory));
	memory = must(realloc(memory, *max * element_bytes));
	memcpy(array, &memory, sizeof(memory));
}

/* ------------------------------------------------------------------- events */

static struct trace_event *add_event(struct trace *t, enum trace_kind kind, uint64_t off,
				     uint64_t bytes, const void *site)
{
	struct trace_event *event;

	crash_grow(&t->events, t->num_events, &t->max_events, sizeof(*t->events));
	event = &t->events[t->num_events++];
	*event = (struct trace_event) {
		.site = site, .off = off, .bytes = bytes, .words = t->num_words, .kind = kind,
		.cpu = t->cpu, .op = t->op,
	};
	return event;
}

/* The words of [off, off + bytes) as the media hold them now; they become the shadow's. */
static void add_words(struct trace *t, enum trace_kind kind, uint64_t off, uint64_t bytes,
		      const void *site)
{
	uint64_t end = off + bytes;

	add_event(t, kind, off, bytes, site);
	memcpy(t->shadow + off, t->media + off, bytes);
	for (; off < end; off += TRACE_WORD_BYTES) {
		crash_grow(&t->words, t->num_words, &t->max_words, sizeof(*t->words));
		memcpy(&t->words[t->num_words++], t->media + off, TRACE_WORD_BYTES);
	}
}

static bool word_stored(const struct trace *t, uint64_t off)
{
	return memcmp(t->media + off, t->shadow + off, TRACE_WORD_BYTES) != 0;
}

static void find_in_line(struct trace *t, uint64_t off, const void *site)
{
	uint64_t end = off + TRACE_LINE_BYTES, first;

	while (off < end) {
		first = off;
		while (off < end && word_stored(t, off))
			off += TRACE_WORD_BYTES;
		if (off > first)
			add_words(t, TRACE_STORE, first, off - first, site);
		else
			off += TRACE_WORD_BYTES;
	}
}

/* Plain stores since the last comparison, in [off, end) of whole lines. */
static void find_stores(struct trace *t, uint64_t off, uint64_t end, const void *site)
{
	uint64_t stop;

	for (; off < end; off = stop) {
		stop = off - off % COMPARE_BYTES + COMPARE_BYTES;
		if (stop > end)
			stop = end;
		if (!memcmp(t->media + off, t->shadow + off, stop - off))
			continue;
		for (; off < stop; off += TRACE_LINE_BYTES)
			find_in_line(t, off, site);
	}
}

static void find_all_stores(struct trace *t, const void *site)
{
	if (!t->sparse)
		find_stores(t, 0, t->bytes, site);
}

/* Of whole units of so many bytes; false: nothing of it is in the media. */
static bool range_of(const struct trace *t, const void *addr, size_t bytes, unsigned int unit,
		     uint64_t *off, uint64_t *end)
{
	uintptr_t at = (uintptr_t)addr, base = (uintptr_t)t->media;

	if (!bytes || at < base || at >= base + t->bytes)
		return false;
	*off = at - base;
	*end = *off + bytes;
	assert(*end <= t->bytes);
	*off -= *off % unit;
	*end += (unit - *end % unit) % unit;
	return true;
}

static void watch(const void *addr, size_t bytes)
{
	uintptr_t at = (uintptr_t)addr, base = (uintptr_t)watched.media;

	if (!base || at < base || at >= base + watched.bytes || !bytes)
		return;
	crash_grow(&watched.ranges, watched.num, &watched.max, sizeof(*watched.ranges));
	watched.ranges[watched.num++] = (struct trace_range) { at - base, bytes };
}

/* ------------------------------------------------------ in place of libzus's */

static void do_flush(const void *addr, size_t bytes, const void *site)
{
	uint64_t off, end;

	watch(addr, bytes);
	if (!tracing || !range_of(tracing, addr, bytes, TRACE_LINE_BYTES, &off, &end))
		return;
	find_stores(tracing, off, end, site);
	add_event(tracing, TRACE_FLUSH, off, end - off, site);
}

static void do_fence(const void *site)
{
	if (!tracing)
		return;
	find_all_stores(tracing, site);
	add_event(tracing, TRACE_FENCE, 0, 0, site);
}

/* src NULL: zeroes. */
static void do_store_nt(void *dst, const void *src, size_t bytes, const void *site)
{
	uint64_t off = 0, end = 0;
	bool in_media = tracing && range_of(tracing, dst, bytes, TRACE_LINE_BYTES, &off, &end);

	watch(dst, bytes);
	if (in_media)
		find_stores(tracing, off, end, site);
	if (src)
		memcpy(dst, src, bytes);
	else
		memset(dst, 0, bytes);
	if (in_media && range_of(tracing, dst, bytes, TRACE_WORD_BYTES, &off, &end))
		add_words(tracing, TRACE_NT, off, end - off, site);
}

void zus_flush(const void *addr, size_t bytes)
{
	coro_point();
	do_flush(addr, bytes, __builtin_return_address(0));
}

void zus_fence(void)
{
	coro_point();
	do_fence(__builtin_return_address(0));
}

void zus_persist(const void *addr, size_t bytes)
{
	coro_point();
	do_flush(addr, bytes, __builtin_return_address(0));
	coro_point();
	do_fence(__builtin_return_address(0));
}

void zus_copy_nt(void *dst, const void *src, size_t bytes)
{
	coro_point();
	do_store_nt(dst, src, bytes, __builtin_return_address(0));
}

void zus_zero_nt(void *dst, size_t bytes)
{
	coro_point();
	do_store_nt(dst, NULL, bytes, __builtin_return_address(0));
}

/* ------------------------------------------------------------------ control */

void trace_init(struct trace *trace, void *media, uint64_t bytes)
{
	assert((uintptr_t)media % TRACE_LINE_BYTES == 0 && bytes % TRACE_LINE_BYTES == 0);
	*trace = (struct trace) { .media = media, .bytes = bytes };
	trace->shadow = crash_alloc(1, bytes);
}

void trace_destroy(struct trace *trace)
{
	if (tracing == trace)
		tracing = NULL;
	free(trace->shadow);
	free(trace->events);
	free(trace->words);
}

void trace_start(struct trace *trace)
{
	memcpy(trace->shadow, trace->media, trace->bytes);
	trace->num_events = 0;
	trace->num_words = 0;
	trace->cpu = 0;
	trace->op = 0;
	tracing = trace;
}

void trace_resume(struct trace *trace)
{
	trace->num_events = 0;
	trace->num_words = 0;
	tracing = trace;
}

void trace_watch(const void *media, uint64_t bytes)
{
	watched.media = media;
	watched.bytes = bytes;
	watched.num = 0;
}

size_t trace_watched(const struct trace_range **ranges)
{
	*ranges = watched.ranges;
	return watched.num;
}

void trace_stop(struct trace *trace)
{
	assert(tracing == trace);
	tracing = NULL;
}

void trace_begin(struct trace *trace, uint32_t op)
{
	trace->op = op;
	add_event(trace, TRACE_BEGIN, 0, 0, NULL);
}

/* What was stored and not flushed shows here, too. */
void trace_return(struct trace *trace)
{
	find_all_stores(trace, NULL);
	add_event(trace, TRACE_RETURN, 0, 0, NULL);
}

void trace_set_cpu(struct trace *trace, uint32_t cpu)
{
	assert(cpu < TRACE_CPUS);
	trace->cpu = cpu;
}

void trace_enter(struct trace *trace, uint32_t cpu, uint32_t op)
{
	find_all_stores(trace, NULL);
	trace_set_cpu(trace, cpu);
	trace->op = op;
}

const char *trace_kind_name(enum trace_kind kind)
{
	static const char *const names[] = {
		"store", "nt-store", "flush", "fence", "begin", "return",
	};

	return names[kind];
}
