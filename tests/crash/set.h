/* SPDX-License-Identifier: BSD-3-Clause */
/* set.h - a set of hashes: what has been seen. */
#ifndef CRASH_SET_H
#define CRASH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zeroes is an empty one. */
struct set {
	uint64_t *hashes;	/* open addressing, 0: free */
	size_t num, max;
};

/* false: it is there already. */
bool set_add(struct set *set, uint64_t hash);
void set_destroy(struct set *set);

#endif /* CRASH_SET_H */
