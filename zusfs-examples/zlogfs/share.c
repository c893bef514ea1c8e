// SPDX-License-Identifier: BSD-3-Clause
/*
 * share.c - the applier's part in blocks that are in several places. An extent's owner (see
 * owners.c) is there before the extent and goes before it, in the order of the log: so when
 * blocks leave a place, the index says whether another one has them at that point of the log.
 */
#include <errno.h>

#include "apply.h"
#include "bug.h"
#include "owners.h"
#include "space.h"

uint32_t zl_share_pieces(struct zl_work *work)
{
	const struct zl_freed *freed = zl_freed_of(work);

	return work->kind == ZL_WORK_FREE && freed->shared ? (freed->blocks + 1) / 2 : 1;
}

/* Those of them that nobody has, and that are not dropped yet: two places may go at once. */
static int drop_unowned(struct zl_fs *fs, struct zl_batch *batch, uint64_t addr, uint32_t blocks)
{
	const uint64_t lines = ZLF_BLOCK_BYTES / ZLF_LINE_BYTES;
	uint64_t owned[8];
	uint32_t i, n, first;
	int err = zl_owned(fs, addr, blocks, owned);

	first = zl_addr_block(fs, addr);
	for (i = 0; i < blocks && !err; i += n ? n : 1) {
		for (n = 0; i + n < blocks &&
			    (!zl_bit(owned, first + i + n) || ZL_BUG(SHARED_FREE)) &&
			    zl_bits_are_set(fs, addr + (i + n) * lines); n++)
			;
		zl_drop_run(fs, batch, addr + i * lines, n);
	}
	return err;
}

/* Blocks leave a place whose owner is gone: they are history, somebody else's, or free. */
static int leave(struct zl_fs *fs, struct zl_batch *batch, const struct zl_elem *extent,
		 uint64_t until_tid)
{
	struct zl_elem past;

	if (!zl_wanted(fs, &extent->head, until_tid))
		return drop_unowned(fs, batch, zl_get64(extent->head.addr),
				    zl_get32(extent->head.len));
	zl_past_of(extent, until_tid, &past);
	return zl_owner_put(fs, &past.head);
}

static int share_freed(struct zl_fs *fs, struct zl_batch *batch, const struct zl_freed *freed)
{
	struct zl_elem extent;

	if (!freed->shared)
		return 0;
	zl_freed_extent(freed, &extent);
	return leave(fs, batch, &extent, freed->work.tid);
}

/* One key: who was its owner, and who is. A mount leaves be what a newer record has put. */
static int share_pending(struct zl_fs *fs, const struct zl_pending *p)
{
	const struct zl_key key = zl_elem_key(&p->elem.head);
	bool shares = p->elem.head.lines && zl_shares(&p->elem.head);
	struct zl_elem old;
	int err;

	if (p->rec_type != ZLF_REC_EXTENT)
		return 0;
	err = zl_tree_find(fs, &key, &old);
	if (err && err != -ENOENT)
		return err;
	if (!err && zl_get64(old.head.end_tid) > p->work.tid)
		return 0;
	if (!err && zl_shares(&old.head) && !(shares && old.head.addr == p->elem.head.addr))
		err = zl_owner_del(fs, &old.head);
	else
		err = 0;
	return !err && shares ? zl_owner_put(fs, &p->elem.head) : err;
}

int zl_share_batch(struct zl_fs *fs, struct zl_batch *batch)
{
	uint32_t i;
	int err = 0, end;

	if (!fs->shares)
		return 0;
	for (i = 0; i < batch->n && !err; i++) {
		if (batch->work[i]->kind == ZL_WORK_PENDING)
			err = share_pending(fs, zl_pending_of(batch->work[i]));
		else
			err = share_freed(fs, batch, zl_freed_of(batch->work[i]));
	}
	end = ZL_BUG(OWNER_TOGETHER) ? 0 : zl_tree_commit(fs);
	return err ? err : end;
}

int zl_share_ended(struct zl_fs *fs, struct zl_batch *batch, const struct zl_elem *extent,
		   uint64_t until_tid)
{
	int err;

	if (!zl_shares(&extent->head))
		return 0;
	err = zl_owner_del(fs, &extent->head);
	return err ? err : leave(fs, batch, extent, until_tid);
}
