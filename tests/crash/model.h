/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model.h - what of a traced run may have reached the medium.
 *
 * The rules are those of x86 with ADR. An aligned word of 8 bytes never tears. A plain
 * store may reach the medium from the moment it is made, and surely has when its line was
 * flushed and the CPU that flushed has fenced since; a store past the cache surely has when
 * the CPU that made it has fenced since. What was never flushed is in flight for ever.
 */
#ifndef CRASH_MODEL_H
#define CRASH_MODEL_H

#include "trace.h"

/* A word in flight. Later ones of the same word win if both reach the medium. */
struct model_word {
	uint64_t off;
	uint64_t value;
	uint32_t event;		/* number of the one that stored it */
	uint16_t flushed;	/* mask of CPUs whose next fence makes it durable */
	bool nt;
};

struct model {
	char *durable;		/* surely on the medium */
	uint64_t bytes;
	uint64_t hash;		/* sum of mix_word() over what differs from the beginning */
	struct model_word *words; /* in flight, in the order of their stores */
	size_t num_words, max_words;
	uint16_t *in_flight;	/* of each word of the medium, how many of words it has */
	uint64_t fences;	/* of the operation that runs */
	uint64_t clean_flushes;	/* lines that were flushed with nothing to flush in them */
	/* With keep: words that have become durable since somebody set num_drained to 0. */
	bool keep_drained;
	uint64_t *drained;	/* their offsets */
	size_t num_drained, max_drained;
};

/* contents: bytes of them are copied. */
void model_init(struct model *model, const void *contents, uint64_t bytes);
void model_destroy(struct model *model);
/* As if nothing had happened to the contents, which are those of init. */
void model_reset(struct model *model, const void *contents);

/* The next event of a trace. A fence drains; who wants to look before it does so. */
void model_event(struct model *model, const struct trace *trace, size_t event);

#endif /* CRASH_MODEL_H */
