/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace.h - record what a program does to persistent memory.
 *
 * A program that is linked with trace.c defines zus_flush() and its like itself, and the
 * dynamic linker prefers them to those of libzus, for plugins and for libzus. So nothing
 * that is tested knows of it. Plain stores are found by comparison: a flush compares its
 * lines with what they held before, a fence all of the media. Of a word that was stored
 * twice between two comparisons the first value is not seen.
 *
 * Each of those calls is a point of coro.h. One thread at a time. Offsets are of the media; what
 * is elsewhere is not recorded.
 */
#ifndef CRASH_TRACE_H
#define CRASH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_LINE_BYTES	64u
#define TRACE_WORD_BYTES	8u
#define TRACE_CPUS		8u

enum trace_kind {
	TRACE_STORE,	/* plain: in the cache. site: of the flush or fence that found it */
	TRACE_NT,	/* past the cache */
	TRACE_FLUSH,
	TRACE_FENCE,
	TRACE_BEGIN,	/* of operation op */
	TRACE_RETURN,	/* the operation's caller may count on it */
};

struct trace_event {
	const void *site;	/* return address */
	uint64_t off;		/* STORE, NT: of whole words, whose values stand in words */
	uint64_t bytes;
	size_t words;		/* index in trace.words */
	enum trace_kind kind;
	uint32_t cpu;		/* virtual one */
	uint32_t op;
};

struct trace {
	char *media;		/* the caller's, aligned to lines */
	uint64_t bytes;
	char *shadow;		/* what it held at the last comparison */
	struct trace_event *events;
	size_t num_events, max_events;
	uint64_t *words;
	size_t num_words, max_words;
	uint32_t cpu;
	uint32_t op;
	/*
	 * Of media that are too large to be compared as a whole at each fence: a plain store
	 * is found when it is flushed, and one that never is, never.
	 */
	bool sparse;
};

/* Memory that cannot be had ends the program, here and in all of the kit. */
void trace_init(struct trace *trace, void *media, uint64_t bytes);
void trace_destroy(struct trace *trace);

/*
 * From start on calls are recorded, until stop or the start of another one. What the media
 * hold at start is durable, and earlier events are forgotten.
 */
void trace_start(struct trace *trace);
void trace_stop(struct trace *trace);
/* Behind stop, when nothing was stored since: it goes on, with what was recorded forgotten. */
void trace_resume(struct trace *trace);

/*
 * Another memory, in which it is noted what was flushed, or stored past the cache, since this
 * call: what has to be made again. NULL: none.
 */
struct trace_range {
	uint64_t off, bytes;
};
void trace_watch(const void *media, uint64_t bytes);
size_t trace_watched(const struct trace_range **ranges);

/* Between start and stop: operations, and on which virtual CPU what follows runs. */
void trace_begin(struct trace *trace, uint32_t op);
void trace_return(struct trace *trace);
void trace_set_cpu(struct trace *trace, uint32_t cpu);
/* The operation goes on there: what was stored up to here is of who ran before. */
void trace_enter(struct trace *trace, uint32_t cpu, uint32_t op);

const char *trace_kind_name(enum trace_kind kind);

/* Zeroed memory, or the end of the program. */
void *crash_alloc(size_t count, size_t bytes);
/* Doubles *array when it holds count of *max elements. */
void crash_grow(void *array, size_t count, size_t *max, size_t element_bytes);

#endif /* CRASH_TRACE_H */
