// SPDX-License-Identifier: BSD-3-Clause
/* set.c - a set of hashes. */
#include <stdlib.h>

#include "set.h"
#include "trace.h"

static bool insert(struct set *set, uint64_t hash)
{
	size_t at = hash % set->max;

	while (set->hashes[at] && set->hashes[at] != hash)
		at = (at + 1) % set->max;
	if (set->hashes[at])
		return false;
	set->hashes[at] = hash;
	return true;
}

static void grow(struct set *set)
{
	uint64_t *old = set->hashes;
	size_t i, max = set->max;

	set->max = max ? 2 * max : 1024;
	set->hashes = crash_alloc(set->max, sizeof(*set->hashes));
	for (i = 0; i < max; i++)
		if (old[i])
			insert(set, old[i]);
	free(old);
}

bool set_add(struct set *set, uint64_t hash)
{
	if (2 * (set->num + 1) > set->max)
		grow(set);
	if (!insert(set, hash ? hash : 1))
		return false;
	set->num++;
	return true;
}

void set_destroy(struct set *set)
{
	free(set->hashes);
	*set = (struct set) { .hashes = NULL };
}
