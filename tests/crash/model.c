// SPDX-License-Identifier: BSD-3-Clause
/* model.c - what of a traced run may have reached the medium. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "mix.h"
#include "model.h"

void model_init(struct model *model, const void *contents, uint64_t bytes)
{
	*model = (struct model) { .bytes = bytes };
	model->durable = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
	if (!model->durable)
		abort();
	memcpy(model->durable, contents, bytes);
	model->in_flight = crash_alloc(bytes / TRACE_WORD_BYTES, sizeof(*model->in_flight));
}

void model_reset(struct model *model, const void *contents)
{
	memcpy(model->durable, contents, model->bytes);
	memset(model->in_flight, 0,
	       model->bytes / TRACE_WORD_BYTES * sizeof(*model->in_flight));
	model->hash = 0;
	model->num_words = 0;
	model->fences = 0;
}

void model_destroy(struct model *model)
{
	free(model->durable);
	free(model->words);
	free(model->in_flight);
	free(model->drained);
}

static uint64_t durable_word(const struct model *model, uint64_t off)
{
	uint64_t value;

	memcpy(&value, model->durable + off, sizeof(value));
	return value;
}

static uint16_t *in_flight(const struct model *model, uint64_t off)
{
	return &model->in_flight[off / TRACE_WORD_BYTES];
}

static void store(struct model *model, const struct trace *trace, size_t number)
{
	const struct trace_event *event = &trace->events[number];
	uint64_t i, off, value;
	bool nt = event->kind == TRACE_NT;

	for (i = 0; i < event->bytes / TRACE_WORD_BYTES; i++) {
		off = event->off + i * TRACE_WORD_BYTES;
		value = trace->words[event->words + i];
		/* the medium holds this anyway */
		if (!*in_flight(model, off) && durable_word(model, off) == value)
			continue;
		crash_grow(&model->words, model->num_words, &model->max_words,
			   sizeof(*model->words));
		model->words[model->num_words++] = (struct model_word) {
			.off = off, .value = value, .event = (uint32_t)number, .nt = nt,
			.flushed = (uint16_t)(nt ? 1u << event->cpu : 0),
		};
		++*in_flight(model, off);
	}
}

/* Lines whose stores had all been flushed before were flushed for nothing. */
static void flush(struct model *model, const struct trace_event *event)
{
	uint64_t end = event->off + event->bytes, last = UINT64_MAX, useful = 0;
	uint16_t cpu = (uint16_t)(1u << event->cpu);
	size_t i;

	for (i = 0; i < model->num_words; i++) {
		struct model_word *word = &model->words[i];

		if (word->nt || word->off < event->off || word->off >= end)
			continue;
		if (!word->flushed && word->off / TRACE_LINE_BYTES != last) {
			last = word->off / TRACE_LINE_BYTES;
			useful++;
		}
		word->flushed |= cpu;
	}
	if (useful < event->bytes / TRACE_LINE_BYTES)
		model->clean_flushes += event->bytes / TRACE_LINE_BYTES - useful;
}

static void drain_word(struct model *model, const struct model_word *word)
{
	uint64_t old = durable_word(model, word->off);

	if (model->keep_drained) {
		crash_grow(&model->drained, model->num_drained, &model->max_drained,
			   sizeof(*model->drained));
		model->drained[model->num_drained++] = word->off;
	}
	model->hash += mix_word(word->off, word->value) - mix_word(word->off, old);
	memcpy(model->durable + word->off, &word->value, sizeof(word->value));
	--*in_flight(model, word->off);
}

/* What a drained store of the same word came after cannot come any more. */
static bool overtaken(const struct model *model, size_t i, uint16_t cpu)
{
	size_t later;

	if (*in_flight(model, model->words[i].off) < 2)
		return false;
	for (later = i + 1; later < model->num_words; later++)
		if (model->words[later].off == model->words[i].off &&
		    model->words[later].flushed & cpu)
			return true;
	return false;
}

static void fence(struct model *model, uint32_t on_cpu)
{
	uint16_t cpu = (uint16_t)(1u << on_cpu);
	size_t i, kept = 0;

	for (i = 0; i < model->num_words; i++) {
		const struct model_word *word = &model->words[i];

		if (word->flushed & cpu)
			drain_word(model, word);
		else if (overtaken(model, i, cpu))
			--*in_flight(model, word->off);
		else
			model->words[kept++] = *word;
	}
	model->num_words = kept;
	model->fences++;
}

void model_event(struct model *model, const struct trace *trace, size_t number)
{
	const struct trace_event *event = &trace->events[number];

	switch (event->kind) {
	case TRACE_STORE:
	case TRACE_NT:
		store(model, trace, number);
		break;
	case TRACE_FLUSH:
		flush(model, event);
		break;
	case TRACE_FENCE:
		fence(model, event->cpu);
		break;
	case TRACE_BEGIN:
		model->fences = 0;
		break;
	case TRACE_RETURN:
		break;
	}
}
