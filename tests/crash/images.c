// SPDX-License-Identifier: BSD-3-Clause
/* images.c - all that a crash may leave on the medium, one image after the other. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "images.h"
#include "mix.h"
#include "set.h"

#define PAGE_BYTES	4096u
#define COLLAPSE_LINES	5u	/* a longer copy past the cache is three units */
#define PAIRS_LINES	24u

struct unit {
	size_t first, count;	/* in model.words */
	size_t line;		/* in lines */
	bool nt;
};

struct line {
	uint64_t number;	/* UINT64_MAX: of a unit that is no word */
	uint32_t num_plain;
};

/* What is chosen independently of all else: a unit, or how much of a line. */
struct digit {
	size_t index;
	uint32_t radix;
	bool is_line;
};

struct images {
	struct model *model;
	struct images_config config;
	char *media;
	struct unit *units;
	size_t num_units, max_units;
	struct line *lines;
	size_t num_lines, max_lines;
	struct digit *digits;
	size_t num_digits, max_digits;
	char *chosen;		/* of each unit */
	size_t max_chosen;
	struct set seen;
	uint64_t repeated, points, points_exhaustive;
	/* of the call that runs */
	images_fn *fn;
	void *arg;
	uint64_t key, ordinal, only, shown;
	bool only_one;
};

struct images *images_new(struct model *model, const struct images_config *config)
{
	struct images *images = crash_alloc(1, sizeof(*images));
	uint64_t bytes = (model->bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;

	images->model = model;
	if (config)
		images->config = *config;
	if (!images->config.exhaustive)
		images->config.exhaustive = 2048;
	if (!images->config.random)
		images->config.random = 200;
	images->media = aligned_alloc(PAGE_BYTES, bytes);
	if (!images->media)
		abort();
	memset(images->media, 0, bytes);
	if (images->config.sparse) {
		memcpy(images->media, model->durable, model->bytes);
		model->keep_drained = true;
		model->num_drained = 0;
	}
	return images;
}

void images_free(struct images *images)
{
	free(images->media);
	free(images->units);
	free(images->lines);
	free(images->digits);
	free(images->chosen);
	set_destroy(&images->seen);
	free(images);
}

char *images_media(struct images *images)
{
	return images->media;
}

uint64_t images_repeated(const struct images *images)
{
	return images->repeated;
}

uint64_t images_points(const struct images *images)
{
	return images->points;
}

uint64_t images_points_exhaustive(const struct images *images)
{
	return images->points_exhaustive;
}

/* -------------------------------------------------------------------- units */

static size_t line_of(struct images *im, uint64_t number)
{
	size_t i;

	for (i = im->num_lines; number != UINT64_MAX && i > 0; i--)
		if (im->lines[i - 1].number == number)
			return i - 1;
	crash_grow(&im->lines, im->num_lines, &im->max_lines, sizeof(*im->lines));
	im->lines[im->num_lines] = (struct line) { .number = number };
	return im->num_lines++;
}

static void add_unit(struct images *im, size_t first, size_t count, uint64_t line)
{
	struct unit *unit;

	crash_grow(&im->units, im->num_units, &im->max_units, sizeof(*im->units));
	unit = &im->units[im->num_units++];
	*unit = (struct unit) {
		.first = first, .count = count, .line = line_of(im, line),
		.nt = im->model->words[first].nt,
	};
	if (!unit->nt)
		im->lines[unit->line].num_plain++;
}

static uint64_t line_at(const struct images *im, size_t word)
{
	return im->model->words[word].off / TRACE_LINE_BYTES;
}

/* From first to stop: stored by one copy past the cache. */
static void add_copy(struct images *im, size_t first, size_t stop)
{
	size_t middle = first, last = stop;

	if (line_at(im, stop - 1) - line_at(im, first) < COLLAPSE_LINES) {
		for (; first < stop; first++)
			add_unit(im, first, 1, line_at(im, first));
		return;
	}
	while (middle < stop && line_at(im, middle) == line_at(im, first))
		middle++;
	while (last > middle && line_at(im, last - 1) == line_at(im, stop - 1))
		last--;
	add_unit(im, first, middle - first, UINT64_MAX);
	if (last > middle)
		add_unit(im, middle, last - middle, UINT64_MAX);
	add_unit(im, last, stop - last, UINT64_MAX);
}

static void add_digit(struct images *im, size_t index, uint32_t radix, bool is_line)
{
	crash_grow(&im->digits, im->num_digits, &im->max_digits, sizeof(*im->digits));
	im->digits[im->num_digits++] = (struct digit) { index, radix, is_line };
}

static void find_digits(struct images *im)
{
	size_t i;

	im->num_digits = 0;
	for (i = 0; i < im->num_units; i++)
		if (!im->config.prefix || im->units[i].nt)
			add_digit(im, i, 2, false);
	for (i = 0; im->config.prefix && i < im->num_lines; i++)
		if (im->lines[i].num_plain)
			add_digit(im, i, im->lines[i].num_plain + 1, true);
}

static void find_units(struct images *im)
{
	const struct model *model = im->model;
	size_t i, stop;

	im->num_units = 0;
	im->num_lines = 0;
	for (i = 0; i < model->num_words; i = stop) {
		stop = i + 1;
		if (!model->words[i].nt) {
			add_unit(im, i, 1, line_at(im, i));
			continue;
		}
		while (stop < model->num_words && model->words[stop].event == model->words[i].event)
			stop++;
		add_copy(im, i, stop);
	}
	find_digits(im);
	while (im->max_chosen < im->num_units)
		crash_grow(&im->chosen, im->max_chosen, &im->max_chosen, 1);
}

/* --------------------------------------------------------------- one image */

static void apply_unit(struct images *im, const struct unit *unit, uint64_t *hash)
{
	const struct model_word *word = &im->model->words[unit->first];
	const struct model_word *end = word + unit->count;
	uint64_t old;

	for (; word < end; word++) {
		memcpy(&old, im->media + word->off, sizeof(old));
		*hash += mix_word(word->off, word->value) - mix_word(word->off, old);
		memcpy(im->media + word->off, &word->value, sizeof(word->value));
	}
}

static uint64_t apply(struct images *im)
{
	uint64_t hash = im->model->hash;
	size_t i;

	for (i = 0; i < im->num_units; i++)
		if (im->chosen[i])
			apply_unit(im, &im->units[i], &hash);
	return hash;
}

static void revert(struct images *im)
{
	const struct model_word *word, *end;
	size_t i;

	for (i = 0; i < im->num_units; i++) {
		word = &im->model->words[im->units[i].first];
		end = word + im->units[i].count;
		for (; im->chosen[i] && word < end; word++)
			memcpy(im->media + word->off, im->model->durable + word->off,
			       sizeof(word->value));
	}
}

/* Of all that is durable. */
static void restore_all(struct images *im)
{
	uint64_t off, bytes;

	for (off = 0; off < im->model->bytes; off += PAGE_BYTES) {
		bytes = im->model->bytes - off < PAGE_BYTES ? im->model->bytes - off : PAGE_BYTES;
		if (memcmp(im->media + off, im->model->durable + off, bytes) != 0)
			memcpy(im->media + off, im->model->durable + off, bytes);
	}
}

/* Makes the image what is durable, whatever was written to it. */
static void restore(struct images *im)
{
	const struct trace_range *ranges;
	size_t n = im->config.sparse ? trace_watched(&ranges) : 0;

	if (!im->config.sparse) {
		restore_all(im);
		return;
	}
	for (; n--; ranges++)
		memcpy(im->media + ranges->off, im->model->durable + ranges->off, ranges->bytes);
	revert(im);
}

/* The same between two points: what has become durable since. */
static void follow(struct images *im)
{
	struct model *model = im->model;
	size_t i;

	if (!im->config.sparse)
		restore_all(im);
	for (i = 0; i < model->num_drained; i++)
		memcpy(im->media + model->drained[i], model->durable + model->drained[i],
		       TRACE_WORD_BYTES);
	model->num_drained = 0;
}

/* With prefix: of each line nothing behind the first plain store that is missing. */
static void make_legal(struct images *im)
{
	size_t i, j;

	if (!im->config.prefix)
		return;
	for (i = 0; i < im->num_units; i++) {
		if (im->chosen[i] || im->units[i].nt)
			continue;
		for (j = i + 1; j < im->num_units; j++)
			if (im->units[j].line == im->units[i].line && !im->units[j].nt)
				im->chosen[j] = 0;
	}
}

/* The image that chosen says. */
static void show(struct images *im)
{
	struct image image = { .media = im->media, .ordinal = im->ordinal++ };

	if (im->only_one && image.ordinal != im->only)
		return;
	if (im->config.sparse)
		trace_watch(im->media, im->model->bytes);
	make_legal(im);
	image.hash = apply(im);
	if (!im->only_one && !set_add(&im->seen, mix64(image.hash ^ mix64(im->key)))) {
		im->repeated++;
	} else {
		im->shown++;
		im->fn(im->arg, &image);
	}
	if (image.dirty)
		restore(im);
	else
		revert(im);
}

void images_remake(struct images *im)
{
	restore(im);
	apply(im);
}

size_t images_missing(const struct images *im, struct model_word *missing, size_t max)
{
	size_t i, j, count = 0;

	for (i = 0; i < im->num_units; i++)
		for (j = 0; !im->chosen[i] && j < im->units[i].count; j++, count++)
			if (count < max)
				missing[count] = im->model->words[im->units[i].first + j];
	return count;
}

/* -------------------------------------------------------------- enumeration */

static void choose_all(struct images *im, char value)
{
	if (im->num_units)
		memset(im->chosen, value, im->num_units);
}

static void choose_line(struct images *im, size_t line, char value)
{
	size_t i;

	for (i = 0; i < im->num_units; i++)
		if (im->units[i].line == line)
			im->chosen[i] = value;
}

static void choose_digit(struct images *im, const struct digit *digit, uint32_t value)
{
	size_t i;

	if (!digit->is_line) {
		im->chosen[digit->index] = value != 0;
		return;
	}
	for (i = 0; i < im->num_units; i++)
		if (im->units[i].line == digit->index && !im->units[i].nt) {
			im->chosen[i] = value > 0;
			value -= value > 0;
		}
}

/* More than the limit: the limit and one. */
static uint64_t count_choices(const struct images *im)
{
	uint64_t count = 1;
	size_t i;

	for (i = 0; i < im->num_digits && count <= im->config.exhaustive; i++)
		count *= im->digits[i].radix;
	return count > im->config.exhaustive ? im->config.exhaustive + 1 : count;
}

static void show_every(struct images *im, uint64_t count)
{
	uint64_t n, rest;
	size_t i;

	for (n = 0; n < count; n++) {
		for (i = 0, rest = n; i < im->num_digits; i++) {
			choose_digit(im, &im->digits[i], (uint32_t)(rest % im->digits[i].radix));
			rest /= im->digits[i].radix;
		}
		show(im);
	}
}

/* Each unit alone or missing, each line alone or missing. */
static void show_singles(struct images *im, char value)
{
	size_t i;

	for (i = 0; i < im->num_units; i++) {
		choose_all(im, !value);
		im->chosen[i] = value;
		show(im);
	}
	for (i = 0; i < im->num_lines; i++) {
		choose_all(im, !value);
		choose_line(im, i, value);
		show(im);
	}
}

/* All else full, of the line what was stored first. */
static void show_prefixes(struct images *im, size_t line)
{
	size_t i;

	choose_all(im, 1);
	choose_line(im, line, 0);
	for (i = 0; i < im->num_units; i++)
		if (im->units[i].line == line) {
			im->chosen[i] = 1;
			show(im);
		}
}

static void show_pairs(struct images *im, char value)
{
	size_t a, b;

	for (a = 0; a < im->num_lines; a++)
		for (b = a + 1; b < im->num_lines; b++) {
			choose_all(im, !value);
			choose_line(im, a, value);
			choose_line(im, b, value);
			show(im);
		}
}

static void show_line_sets(struct images *im)
{
	size_t set, line;

	for (set = 0; set < (size_t)1 << im->num_lines; set++) {
		for (line = 0; line < im->num_lines; line++)
			choose_line(im, line, set >> line & 1);
		show(im);
	}
}

static void show_random(struct images *im)
{
	uint64_t state = mix64(im->config.seed ^ im->model->hash);
	uint32_t n;
	size_t i;

	for (n = 0; n < im->config.random; n++) {
		for (i = 0; i < im->num_units; i++)
			im->chosen[i] = mix_random(&state) & 1;
		show(im);
	}
}

static void show_some(struct images *im)
{
	size_t i;

	choose_all(im, 0);
	show(im);
	choose_all(im, 1);
	show(im);
	show_singles(im, 1);
	show_singles(im, 0);
	for (i = 0; i < im->num_lines; i++)
		show_prefixes(im, i);
	if (im->num_lines < 64 && (uint64_t)1 << im->num_lines <= im->config.exhaustive) {
		show_line_sets(im);
	} else if (im->num_lines <= PAIRS_LINES) {
		show_pairs(im, 1);
		show_pairs(im, 0);
	}
	show_random(im);
}

static uint64_t enumerate(struct images *im, images_fn *fn, void *arg)
{
	uint64_t count;

	im->fn = fn;
	im->arg = arg;
	im->ordinal = 0;
	im->shown = 0;
	follow(im);
	find_units(im);
	count = count_choices(im);
	if (!im->only_one) {
		im->points++;
		im->points_exhaustive += count <= im->config.exhaustive;
	}
	if (count <= im->config.exhaustive)
		show_every(im, count);
	else
		show_some(im);
	return im->shown;
}

uint64_t images_each(struct images *images, uint64_t key, images_fn *fn, void *arg)
{
	images->only_one = false;
	images->key = key;
	return enumerate(images, fn, arg);
}

uint64_t images_one(struct images *images, uint64_t ordinal, images_fn *fn, void *arg)
{
	images->only_one = true;
	images->only = ordinal;
	return enumerate(images, fn, arg);
}
