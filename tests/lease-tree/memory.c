// SPDX-License-Identifier: BSD-3-Clause
/*
 * memory.c - the kernel's slab caches by malloc(3), for the maple tree and zuf/lease.c.
 * Allocations can be made to fail, and what is not freed is known.
 */
#include <stdlib.h>
#include <string.h>
#include <urcu/uatomic.h>

#include <linux/slab.h>

#include "memory.h"

struct kmem_cache {
	unsigned int bytes;
	unsigned int align;
	bool tree;
};

long memory_objects;
size_t memory_bytes;
unsigned int memory_fail_one_of;
static uint64_t state = 88172645463325252ull;

static bool fails(void)
{
	unsigned int one_of = memory_fail_one_of;

	if (!one_of)
		return false;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return !(state % one_of);
}

struct kmem_cache *kmem_cache_create(const char *name, unsigned int bytes, unsigned int align,
				     unsigned int flags, void (*ctor)(void *))
{
	struct kmem_cache *cache = malloc(sizeof(*cache));

	(void)flags;
	(void)ctor;
	cache->tree = !strcmp(name, "maple_node");
	cache->bytes = bytes;
	cache->align = align < sizeof(void *) ? sizeof(void *) : align;
	return cache;
}

void *kmem_cache_alloc_lru(struct kmem_cache *cache, struct list_lru *lru, int gfp)
{
	void *object;

	(void)lru;
	/* the tree tries without reclaim first, and then with: that is to be tested, too */
	if ((cache->tree && !((unsigned int)gfp & __GFP_DIRECT_RECLAIM)) || fails() ||
	    posix_memalign(&object, cache->align, cache->bytes))
		return NULL;
	uatomic_inc(&memory_objects);
	uatomic_add(&memory_bytes, cache->bytes);
	return (unsigned int)gfp & __GFP_ZERO ? memset(object, 0, cache->bytes) : object;
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	uatomic_dec(&memory_objects);
	uatomic_sub(&memory_bytes, cache->bytes);
	free(object);
}

int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp, size_t count, void **objects)
{
	size_t i;

	for (i = 0; i < count; i++) {
		objects[i] = kmem_cache_alloc_lru(cache, NULL, (int)gfp);
		if (!objects[i]) {
			kmem_cache_free_bulk(cache, i, objects);
			return 0;
		}
	}
	return (int)count;
}

void kmem_cache_free_bulk(struct kmem_cache *cache, size_t count, void **objects)
{
	while (count)
		kmem_cache_free(cache, objects[--count]);
}

/* The size stands in front; nothing needs more alignment than that. */
void *kmalloc(size_t bytes, gfp_t gfp)
{
	size_t *object = fails() ? NULL : malloc(sizeof(*object) + bytes);

	if (!object)
		return NULL;
	*object = bytes;
	uatomic_inc(&memory_objects);
	uatomic_add(&memory_bytes, bytes);
	return (unsigned int)gfp & __GFP_ZERO ? memset(object + 1, 0, bytes) : object + 1;
}

void kfree(void *object)
{
	size_t *bytes = object;

	if (!bytes--)
		return;
	uatomic_dec(&memory_objects);
	uatomic_sub(&memory_bytes, *bytes);
	free(bytes);
}
