/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * images.h - all that a crash may leave on the medium, one image after the other.
 *
 * An image is what is durable and a choice of what is in flight. The choice is made among
 * units: words, but of a copy past the cache of more than five lines only three, its first
 * line, its last one, and all between. Where there are more choices than the limit these
 * are taken: nothing, all, each unit and each line alone or missing, each line up to each
 * of its units with all others, all sets of whole lines (or all pairs of them, alone and
 * missing, if the lines are at most 24), and random ones.
 */
#ifndef CRASH_IMAGES_H
#define CRASH_IMAGES_H

#include "model.h"

struct images_config {
	uint64_t exhaustive;	/* 0: 2048 choices at most are all taken */
	uint32_t random;	/* 0: 200 */
	uint64_t seed;
	/*
	 * The plain stores of one line reach the medium in the order of the program, as they
	 * do on x86. Without this any set of them may, as if the compiler had moved them.
	 */
	bool prefix;
	/*
	 * Of large media: who is shown an image writes to it by the calls that trace.h knows
	 * alone, so that only that is made again. Between two calls nothing is.
	 */
	bool sparse;
};

struct image {
	char *media;		/* bytes of the model; may be written to if dirty is set */
	uint64_t ordinal;	/* at this crash point, from 0 on, those left out included */
	uint64_t hash;		/* of the contents, as model.hash */
	bool dirty;		/* the callee's answer: it may have written to media */
};

typedef void images_fn(void *arg, struct image *image);

struct images;

/* sparse: it empties model->drained. */
struct images *images_new(struct model *model, const struct images_config *config);
void images_free(struct images *images);

/* The memory that all images appear in, one after the other; of whole pages. */
char *images_media(struct images *images);

/*
 * Calls fn for each image of the model's present state. An image that was shown before with
 * the same key is left out. images_one shows only that ordinal, whether it was or not.
 * Returns how many were shown.
 */
uint64_t images_each(struct images *images, uint64_t key, images_fn *fn, void *arg);
uint64_t images_one(struct images *images, uint64_t ordinal, images_fn *fn, void *arg);

/* Sum over all calls: left out as they had been shown before; points of all choices. */
uint64_t images_repeated(const struct images *images);
uint64_t images_points(const struct images *images);
uint64_t images_points_exhaustive(const struct images *images);

/* In fn: makes the image again, after it was written to. */
void images_remake(struct images *images);

/* In fn: the number of words in flight that this image lacks; their places in offs. */
size_t images_missing(const struct images *images, struct model_word *missing, size_t max);

#endif /* CRASH_IMAGES_H */
