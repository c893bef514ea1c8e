// SPDX-License-Identifier: BSD-3-Clause
/*
 * slots.c - of each operation slot the newest operation that was done, by which zus_op_seen()
 * answers. A write that its commit word has made part of a file may be noted behind the next
 * operation of its slot, by who meets the word: what is newer stays.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"

#define SEQ_BITS	48	/* of an operation's id, below its slot */
#define SEQ_MASK	((1ull << SEQ_BITS) - 1)
#define GROUP_SLOTS	64u	/* those of a CPU, as the kernel gives them out */

/* A group is one CPU's, so nobody waits; who looks at all takes one lock after the other. */
struct zl_slots {
	pthread_mutex_t *lock;		/* of each group; below zl_log.lock */
	struct zlf_slot *newest;
};

static uint32_t num_groups(const struct zl_fs *fs)
{
	return (fs->geo.num_slots + GROUP_SLOTS - 1) / GROUP_SLOTS;
}

int zl_slots_init(struct zl_fs *fs)
{
	struct zl_slots *slots = fs->slots = calloc(1, sizeof(*slots));
	uint32_t i;

	if (!slots)
		return -ENOMEM;
	slots->lock = calloc(num_groups(fs), sizeof(pthread_mutex_t));
	slots->newest = calloc(fs->geo.num_slots, sizeof(*slots->newest));
	if (!slots->lock || !slots->newest)
		return -ENOMEM;
	for (i = 0; i < num_groups(fs); i++)
		pthread_mutex_init(&slots->lock[i], NULL);
	return 0;
}

void zl_slots_free(struct zl_fs *fs)
{
	struct zl_slots *slots = fs->slots;

	if (!slots)
		return;
	free(slots->lock);
	free(slots->newest);
	free(slots);
	fs->slots = NULL;
}

uint64_t zl_slot_op_id(uint32_t slot, uint64_t seq)
{
	return slot == ZUS_NO_SLOT ? 0 : (uint64_t)slot << SEQ_BITS | (seq & SEQ_MASK);
}

void zl_slot_note(struct zl_fs *fs, uint64_t op_id, uint64_t obj)
{
	struct zl_slots *slots = fs->slots;
	uint64_t slot = op_id >> SEQ_BITS;

	if (!op_id || slot >= fs->geo.num_slots)
		return;
	pthread_mutex_lock(&slots->lock[slot / GROUP_SLOTS]);
	if (op_id > zl_get64(slots->newest[slot].op_id))
		slots->newest[slot] = (struct zlf_slot) { htole64(op_id), htole64(obj) };
	pthread_mutex_unlock(&slots->lock[slot / GROUP_SLOTS]);
}

int zl_op_seen(struct zus_mount *mount, uint32_t slot, struct zus_op_seen *out)
{
	struct zl_fs *fs = mount->priv;
	struct zl_slots *slots = fs->slots;
	struct zlf_slot newest;

	if (slot >= fs->geo.num_slots)
		return -ENOENT;
	zl_words_settle(fs);
	pthread_mutex_lock(&slots->lock[slot / GROUP_SLOTS]);
	newest = slots->newest[slot];
	pthread_mutex_unlock(&slots->lock[slot / GROUP_SLOTS]);
	if (!newest.op_id || zl_get64(newest.op_id) >> SEQ_BITS != slot)
		return -ENOENT;
	out->seq = zl_get64(newest.op_id) & SEQ_MASK;
	out->ino = zl_get64(newest.obj);
	return 0;
}

static uint64_t area_off(const struct zl_fs *fs, uint32_t area)
{
	return zl_get64(fs->devs[0].super->slots_off) +
	       (uint64_t)area * fs->geo.num_slots * sizeof(struct zlf_slot);
}

void zl_slots_store(struct zl_fs *fs, uint32_t area)
{
	struct zl_slots *slots = fs->slots;
	uint32_t group, i, n;

	for (group = 0; group < num_groups(fs); group++) {
		i = group * GROUP_SLOTS;
		n = fs->geo.num_slots - i < GROUP_SLOTS ? fs->geo.num_slots - i : GROUP_SLOTS;
		pthread_mutex_lock(&slots->lock[group]);
		zl_pm_copy(&fs->devs[0].pm, ZL_META, area_off(fs, area) + i * sizeof(struct zlf_slot),
			   &slots->newest[i], n * sizeof(struct zlf_slot));
		pthread_mutex_unlock(&slots->lock[group]);
	}
}

/* Those of another incarnation nobody asks for: their callers are gone. */
void zl_slots_load(struct zl_fs *fs)
{
	uint64_t off = area_off(fs, zl_get32(fs->ckpt.slots_area) & 1);
	struct zlf_slot slot;
	uint32_t i;

	if (zl_get64(fs->ckpt.incarnation) != fs->incarnation)
		return;
	for (i = 0; i < fs->geo.num_slots; i++) {
		memcpy(&slot, fs->devs[0].pm.media + off + i * sizeof(slot), sizeof(slot));
		zl_slot_note(fs, zl_get64(slot.op_id), zl_get64(slot.obj));
	}
}
