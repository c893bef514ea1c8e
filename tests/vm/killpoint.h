/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * killpoint.h - children that the module kills at its named points (zuf/point.h).
 *
 * A test keeps in shared memory what a child is about to do and what it has done, and
 * looks after each child's end at what is really there. A kill comes as one of the child's
 * calls ends, never between them.
 */
#ifndef KILLPOINT_H
#define KILLPOINT_H

#include <stddef.h>

struct kp_point {
	const char *name;
	unsigned int every;		/* passage is a kill */
};

struct kp_test {
	const struct kp_point *points;
	size_t num_points;
	/* In a child of its own, with random numbers of its own; returns, or _exit()s. */
	void (*child)(void);
	/* After the end of a child; fails the test. @round: children before it. */
	void (*check)(const char *point, unsigned int round);
	/* What a child that failed was doing, for the message. */
	const char *(*doing)(void);
};

/*
 * At each point start one child after the other until @kills were made, and print how many
 * there were. Fails where that takes too many children.
 */
void kp_run(const struct kp_test *test, unsigned int kills);

/* The kills to make at each point: environment variable @name, or 50. */
unsigned int kp_kills(const char *name);

#endif /* KILLPOINT_H */
