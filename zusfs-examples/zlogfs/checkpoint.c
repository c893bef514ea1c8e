// SPDX-License-Identifier: BSD-3-Clause
/*
 * checkpoint.c - how far the applier has come, said on the medium: a mount begins behind it,
 * and log segments in front of it are free. And boundaries, which say what is to be kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bug.h"
#include "pending.h"

static uint64_t wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t max_tid(struct zl_fs *fs)
{
	uint64_t max;

	zl_logs_lock(fs);
	max = zl_logs_level(fs);
	zl_logs_unlock(fs);
	return max;
}

int zl_step_checkpoint(struct zl_fs *fs, bool clean)
{
	uint64_t gen = zl_get64(fs->ckpt.gen) + !ZL_BUG(CKPT_IN_PLACE);
	uint64_t applied = ZL_BUG(CKPT_EARLY) ? max_tid(fs) : fs->applied_tid;
	uint32_t area = !zl_get32(fs->ckpt.slots_area);
	struct zlf_ckpt ckpt = {
		.magic = htole32(ZLF_CKPT_MAGIC), .gen = htole64(gen),
		.applied_tid = htole64(applied), .max_tid = htole64(max_tid(fs)),
		.min_log_seq = htole64(zl_log_min_seq(fs, applied)),
		.next_log_seq = htole64(__atomic_load_n(&fs->next_log_seq, __ATOMIC_RELAXED)),
		.next_obj = htole64(__atomic_load_n(&fs->next_obj, __ATOMIC_RELAXED)),
		.incarnation = htole64(fs->incarnation),
		.boundary_tid = htole64(fs->boundary_tid),
		.root = htole64(zl_tree_root(fs)), .wall_ns = htole64(wall_ns()),
		.flags = htole32(clean ? ZLF_CKPT_CLEAN : 0), .slots_area = htole32(area),
	};

	if (__atomic_load_n(&fs->frozen, __ATOMIC_ACQUIRE))
		return -EROFS;
	pthread_mutex_lock(&fs->space_lock);
	ckpt.used_blocks = htole64(fs->used_blocks);
	ckpt.used_nodes = htole64(fs->used_nodes);
	pthread_mutex_unlock(&fs->space_lock);
	ckpt.crc = htole32(zl_crc_of(fs->crc_seed, &ckpt, 0, sizeof(ckpt)));
	zl_slots_store(fs, area);
	zl_pm_fence();
	zl_pm_copy(&fs->devs[0].pm, ZL_WORD, zl_get64(fs->devs[0].super->ring_off) +
		   gen % ZLF_RING_SLOTS * sizeof(ckpt), &ckpt, sizeof(ckpt));
	zl_pm_fence();
	fs->ckpt = ckpt;
	zl_log_retire(fs, zl_get64(ckpt.min_log_seq));
	if (TAILQ_EMPTY(&fs->batch))
		zl_logs_checkpointed(fs);
	return 0;
}

int zl_make_room(struct zl_fs *fs)
{
	int err = 0;

	pthread_mutex_lock(&fs->step);
	if (zl_log_pressed(fs) || zl_space_short(fs)) {	/* nobody has done it meanwhile */
		err = zl_apply_all(fs);
		if (!err)
			err = zl_step_checkpoint(fs, false);
	}
	pthread_mutex_unlock(&fs->step);
	return err;
}

/* ----------------------------------------------------------------- boundaries */

bool zl_boundary_between(const struct zl_fs *fs, uint64_t from, uint64_t to)
{
	uint32_t low = 0, high = fs->num_boundaries, mid;

	while (low < high) {	/* the first that is not in front of from */
		mid = (low + high) / 2;
		if (fs->boundaries[mid] < from)
			low = mid + 1;
		else
			high = mid;
	}
	return low < fs->num_boundaries && fs->boundaries[low] < to;
}

int zl_boundary_add(struct zl_fs *fs, uint64_t tid)
{
	uint32_t at = fs->num_boundaries;
	uint64_t *grown;

	while (at && fs->boundaries[at - 1] > tid)
		at--;
	if (at && fs->boundaries[at - 1] == tid)
		return 0;
	grown = realloc(fs->boundaries, (fs->num_boundaries + 1ull) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memmove(&grown[at + 1], &grown[at], (fs->num_boundaries - at) * sizeof(*grown));
	grown[at] = tid;
	fs->boundaries = grown;
	fs->num_boundaries++;
	__atomic_store_n(&fs->boundary_tid, grown[fs->num_boundaries - 1], __ATOMIC_RELEASE);
	return 0;
}

/* The number of the next snapshot, as a key; its tid is the element's. */
static uint64_t next_snapshot(struct zl_obj *snapshots)
{
	struct zl_elem elem;

	if (zl_obj_prev(snapshots, ZLF_REC_SNAPSHOT, UINT64_MAX, &elem))
		return 1;
	return zl_get64(elem.head.key) + 1;
}

/*
 * With all logs held no record is between its place in the log and its effects: so each is
 * either in front of the boundary, and kept, or behind it.
 */
static int boundary_locked(struct zl_fs *fs, struct zl_op *op, struct zl_obj *snapshots)
{
	struct zlf_elem elem = { .rec_type = ZLF_REC_SNAPSHOT };
	int err;

	elem.key = htole64(next_snapshot(snapshots));
	zl_op_set(op, snapshots, &elem, NULL, 0);
	zl_words_settle(fs);
	zl_logs_lock(fs);
	op->floor_tid = zl_logs_level(fs);
	/* a write that is under way belongs on one side of it: nobody knows yet on which */
	err = zl_words_oldest(fs) != UINT64_MAX ? ZUS_BUSY_RETRY :
						  zl_op_commit_on(op, &fs->logs[0]);
	if (!err)
		err = zl_boundary_add(fs, op->tid);
	zl_logs_level(fs);
	zl_logs_unlock(fs);
	return err;
}

int zl_boundary(struct zl_fs *fs)
{
	struct zl_obj *snapshots;
	struct zl_op op;
	int err = zl_op_begin(&op, fs, NULL, ZL_SPACE_WRITE);

	if (err)
		return err;
	snapshots = zl_obj_get(fs, ZLF_OBJ_SNAPSHOTS);
	if (!snapshots)
		return -ENOMEM;
	pthread_mutex_lock(&fs->step);
	pthread_mutex_lock(&snapshots->lock);
	err = boundary_locked(fs, &op, snapshots);
	pthread_mutex_unlock(&snapshots->lock);
	pthread_mutex_unlock(&fs->step);
	zl_obj_put(snapshots);
	zl_op_end(&op);
	return err;
}
