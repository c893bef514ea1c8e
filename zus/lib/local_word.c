// SPDX-License-Identifier: BSD-3-Clause
/*
 * local_word.c - for the local transport: stores the word that makes a write part of its file,
 * and tells the server of it, at once or, as the kernel does, some time later.
 */
#include <errno.h>
#include <string.h>

#include "local_map.h"

/* In the order in which they were stored, so that nothing overtakes what it stands on. */
static void tell_first(struct zus_local *local)
{
	local_force(local, &local->late[0]);
	local->num_late--;
	memmove(&local->late[0], &local->late[1], local->num_late * sizeof(local->late[0]));
}

static void tell_all(struct zus_local *local)
{
	while (local->num_late)
		tell_first(local);
}

void local_words_tell(struct zus_local *local)
{
	pthread_mutex_lock(&local->late_lock);
	tell_all(local);
	pthread_mutex_unlock(&local->late_lock);
}

void local_words_tell_of(struct zus_local *local, uint64_t handle)
{
	uint32_t i;

	pthread_mutex_lock(&local->late_lock);
	for (i = 0; i < local->num_late; i++)
		if (local->late[i].inode == handle)
			tell_all(local);
	pthread_mutex_unlock(&local->late_lock);
}

static void tell_later(struct zus_local *local, const struct zufs_forced *msg)
{
	pthread_mutex_lock(&local->late_lock);
	if (local->num_late == local->config.words_late)
		tell_first(local);
	local->late[local->num_late++] = *msg;
	pthread_mutex_unlock(&local->late_lock);
}

int local_commit_word(struct zus_local_file *file, const struct local_map *map, uint64_t off,
		      uint64_t written, uint64_t size)
{
	uint64_t *word = (uint64_t *)(void *)zus_local_dev_addr(file->local, map->word.dev,
								map->word.dev_off);
	struct zufs_forced msg = {
		.inode = file->handle, .arg = map->id, .off = off, .written_bytes = written,
		.size_bytes = size, .op = ZUFS_OP_MAP_DONE, .flags = ZUFS_FORCED_COMMITTED,
	};

	if (__atomic_load_n(word, __ATOMIC_RELAXED) != map->word.old_le64)
		return -EIO;
	__atomic_store_n(word, map->word.new_le64, __ATOMIC_RELAXED);
	zus_persist(word, sizeof(*word));
	local_op_done(map->op_slot, map->op_seq);
	if (file->local->config.words_late)
		tell_later(file->local, &msg);
	else
		local_force(file->local, &msg);
	return 0;
}
