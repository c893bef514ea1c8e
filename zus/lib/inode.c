// SPDX-License-Identifier: BSD-3-Clause
/*
 * inode.c - the inode table of a mount: handles, generations, references.
 *
 * A slot lives as long as its table, so a stale handle may always look at it.
 * state is generation and reference count in one word; a reference is taken by
 * compare-and-swap only while the generation is the handle's and the count is
 * not zero. That one word is why no lock is needed to use a handle.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

#define FIRST_CHUNK_SLOTS	1024u
#define CHUNKS			22u	/* 1024 * (2^22 - 1) slots: 32 bits of index */
#define NO_SLOT			0xffffffffu

struct zus_inode_slot {
	uint64_t state;		/* generation << 32 | references */
	uint64_t kernel_refs;	/* those of them that the kernel holds */
	struct zus_inode *inode;
	struct zus_inode_table *table;
	uint32_t index;
	uint32_t next_free;	/* table->lock */
};

struct zus_inode_table {
	const struct zus_plugin *plugin;
	struct zus_inode_slot *chunks[CHUNKS]; /* set once, under lock */
	pthread_mutex_t lock;	/* free list, growth */
	uint32_t free_first;
	uint32_t free_last;
	uint32_t slots;		/* ever handed out */
	uint64_t live;
};

static uint32_t state_gen(uint64_t state)
{
	return (uint32_t)(state >> 32);
}

static uint32_t state_refs(uint64_t state)
{
	return (uint32_t)state;
}

/* Chunk k holds FIRST_CHUNK_SLOTS << k slots. */
static uint32_t chunk_of(uint32_t index, uint32_t *offset)
{
	uint64_t unit = (uint64_t)index / FIRST_CHUNK_SLOTS + 1;
	uint32_t chunk = 63u - (uint32_t)__builtin_clzll(unit);

	*offset = index - (uint32_t)((((uint64_t)1 << chunk) - 1) * FIRST_CHUNK_SLOTS);
	return chunk;
}

static struct zus_inode_slot *slot_at(struct zus_inode_table *table, uint32_t index)
{
	uint32_t offset;
	uint32_t chunk = chunk_of(index, &offset);
	struct zus_inode_slot *slots;

	if (chunk >= CHUNKS)
		return NULL;
	slots = zus_load(&table->chunks[chunk]);	/* pairs with slot_new() */
	return slots ? &slots[offset] : NULL;
}

struct zus_inode_table *zus_inode_table_new(const struct zus_plugin *plugin)
{
	struct zus_inode_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->plugin = plugin;
	table->free_first = NO_SLOT;
	table->free_last = NO_SLOT;
	pthread_mutex_init(&table->lock, NULL);
	return table;
}

void zus_inode_table_free(struct zus_inode_table *table)
{
	uint32_t i;

	if (!table)
		return;
	for (i = 0; i < CHUNKS; i++)
		free(table->chunks[i]);
	pthread_mutex_destroy(&table->lock);
	free(table);
}

uint64_t zus_inode_table_count(const struct zus_inode_table *table)
{
	return zus_load_relaxed(&table->live);
}

static struct zus_inode_slot *slot_new(struct zus_inode_table *table)
{
	struct zus_inode_slot *slots;
	uint32_t index = table->slots;
	uint32_t offset;
	uint32_t chunk = chunk_of(index, &offset);

	if (chunk >= CHUNKS)
		return NULL;
	slots = table->chunks[chunk];
	if (!slots) {
		slots = calloc((size_t)FIRST_CHUNK_SLOTS << chunk, sizeof(*slots));
		if (!slots)
			return NULL;
		zus_store(&table->chunks[chunk], slots); /* pairs with slot_at() */
	}
	slots[offset].table = table;
	slots[offset].index = index;
	table->slots++;
	return &slots[offset];
}

/* First in, first out: a generation is used again as late as can be. */
static struct zus_inode_slot *slot_alloc(struct zus_inode_table *table)
{
	struct zus_inode_slot *slot;

	pthread_mutex_lock(&table->lock);
	if (table->free_first != NO_SLOT) {
		slot = slot_at(table, table->free_first);
		table->free_first = slot->next_free;
		if (table->free_first == NO_SLOT)
			table->free_last = NO_SLOT;
	} else {
		slot = slot_new(table);
	}
	if (slot)
		__atomic_store_n(&table->live, table->live + 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&table->lock);
	return slot;
}

static void slot_release(struct zus_inode_slot *slot)
{
	struct zus_inode_table *table = slot->table;

	pthread_mutex_lock(&table->lock);
	slot->inode = NULL;
	slot->next_free = NO_SLOT;
	if (table->free_last == NO_SLOT)
		table->free_first = slot->index;
	else
		slot_at(table, table->free_last)->next_free = slot->index;
	table->free_last = slot->index;
	__atomic_store_n(&table->live, table->live - 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&table->lock);
}

static void slot_put(struct zus_inode_slot *slot, uint32_t count)
{
	uint64_t state = __atomic_sub_fetch(&slot->state, count, __ATOMIC_ACQ_REL);

	if (state_refs(state))
		return;
	/* Count zero: zus_inode_use() fails, this thread alone has the slot. */
	slot->table->plugin->inode_ops->evict(slot->inode);
	slot_release(slot);
}

int zus_inode_init(struct zus_mount *mount, struct zus_inode *inode)
{
	struct zus_inode_slot *slot = slot_alloc(mount->inodes);
	uint32_t gen;

	if (!slot)
		return -ENOMEM;
	gen = state_gen(slot->state) + 1;
	if (!gen)
		gen = 1;	/* keeps handle 0 impossible */
	inode->mount = mount;
	inode->slot = slot;
	inode->handle = (uint64_t)gen << 32 | slot->index;
	inode->lease_seq = 0;
	slot->inode = inode;
	zus_store(&slot->kernel_refs, 0);
	zus_store(&slot->state, (uint64_t)gen << 32 | 1); /* pairs with use */
	return 0;
}

void zus_inode_get(struct zus_inode *inode)
{
	__atomic_add_fetch(&inode->slot->state, 1, __ATOMIC_RELAXED);
}

int zus_inode_tryget(struct zus_inode *inode)
{
	uint64_t *state = &inode->slot->state;
	uint64_t old = zus_load_relaxed(state);

	do {
		if (!state_refs(old))
			return 0;	/* slot_put() has, or will, call evict */
	} while (!__atomic_compare_exchange_n(state, &old, old + 1, true, __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
	return 1;
}

void zus_inode_put(struct zus_inode *inode)
{
	slot_put(inode->slot, 1);
}

void zus_inode_leave(struct zus_inode *inode)
{
	struct zus_inode_slot *slot = inode->slot;

	/* nothing else runs for the mount, so nobody finds the handle meanwhile */
	__atomic_sub_fetch(&slot->state, 1, __ATOMIC_ACQ_REL);
	slot_release(slot);
	inode->slot = NULL;
	inode->mount = NULL;
}

void zus_entry_set(struct zus_entry *entry, struct zus_inode *inode)
{
	__atomic_add_fetch(&inode->slot->state, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&inode->slot->kernel_refs, 1, __ATOMIC_RELEASE);
	entry->inode = inode;
}

struct zus_inode *zus_inode_use(struct zus_inode_table *table, uint64_t handle)
{
	struct zus_inode_slot *slot = slot_at(table, (uint32_t)handle);
	uint64_t state;

	if (!slot)
		return NULL;
	state = zus_load(&slot->state);		/* pairs with zus_inode_init() */
	do {
		if (state_gen(state) != (uint32_t)(handle >> 32) ||
		    !state_refs(state) || state_refs(state) == UINT32_MAX)
			return NULL;
	} while (!__atomic_compare_exchange_n(&slot->state, &state, state + 1, true,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return slot->inode;
}

void zus_inode_unuse(struct zus_inode *inode)
{
	slot_put(inode->slot, 1);
}

/* The caller holds a reference, so only the kernel's can go too low. */
int zus_inode_forget(struct zus_inode *inode, uint64_t count)
{
	struct zus_inode_slot *slot = inode->slot;
	uint64_t have = zus_load(&slot->kernel_refs);
	uint64_t drop;

	do {
		drop = count < have ? count : have;
	} while (!__atomic_compare_exchange_n(&slot->kernel_refs, &have, have - drop,
					      true, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	if (drop)
		slot_put(slot, (uint32_t)drop);
	return drop == count ? 0 : -EPROTO;
}

uint64_t zus_inode_table_forget_all(struct zus_inode_table *table)
{
	uint64_t inodes = 0;
	uint32_t i;

	for (i = 0; i < table->slots; i++) {
		struct zus_inode_slot *slot = slot_at(table, i);
		uint64_t state = zus_load(&slot->state);
		uint64_t refs = zus_load(&slot->kernel_refs);
		struct zus_inode *inode;

		if (!state_refs(state) || !refs)
			continue;
		inode = zus_inode_use(table, (state >> 32) << 32 | i);
		if (!inode)
			continue;
		zus_inode_forget(inode, refs);
		zus_inode_unuse(inode);
		inodes++;
	}
	return inodes;
}
