// SPDX-License-Identifier: BSD-3-Clause
/*
 * writes.c - blocks that writes under way were given: they are no file's yet, and nobody
 * else's. A write(2) of many maps keeps them until its last one, in order.
 */
#include <errno.h>
#include <stdlib.h>

#include "ops.h"

uint64_t zl_write_addr(const struct zl_write *w, uint64_t bn)
{
	return w->addr + (bn - w->bn) * (ZLF_BLOCK_BYTES / ZLF_LINE_BYTES);
}

int zl_write_remember(struct zl_inode *zi, uint64_t map_id, uint64_t bn, uint64_t addr,
		      uint32_t blocks, enum zl_write_kind kind, const struct zl_elem *old)
{
	struct zl_write *w = malloc(sizeof(*w));

	if (!w)
		return -ENOMEM;
	*w = (struct zl_write) { .next = zi->writes, .map_id = map_id, .bn = bn, .addr = addr,
				 .blocks = blocks, .kind = kind,
				 .change_tid = zi->obj.change_tid };
	if (old && !zl_shares(&old->head) && zl_get64(old->head.key) == bn &&
	    zl_get32(old->head.len) == blocks)
		w->old_addr = zl_get64(old->head.addr);
	zi->writes = w;
	return 0;
}

bool zl_write_over(const struct zl_inode *zi, uint64_t bn)
{
	const struct zl_whole *whole = &zi->whole;
	const struct zl_write *w;

	if (whole->first && bn >= whole->first->bn && bn < whole->last->bn + whole->last->blocks)
		return true;
	for (w = zi->writes; w; w = w->next)
		if (w->bn <= bn && bn < w->bn + w->blocks)
			return true;
	return false;
}

/* They were put in from the front, in order, so the last comes first. */
struct zl_write *zl_writes_take(struct zl_inode *zi, uint64_t map_id)
{
	struct zl_write **link = &zi->writes, *taken = NULL, *w, **at;

	while ((w = *link)) {
		if (w->map_id != map_id) {
			link = &w->next;
			continue;
		}
		*link = w->next;
		for (at = &taken; *at && (*at)->bn < w->bn; at = &(*at)->next)
			;
		w->next = *at;
		*at = w;
	}
	return taken;
}

void zl_writes_give(struct zl_inode *zi, struct zl_write *writes)
{
	struct zl_write *w;

	while ((w = writes)) {
		writes = w->next;
		w->next = zi->writes;
		zi->writes = w;
	}
}

static void free_behind(struct zl_fs *fs, struct zl_write *w, uint32_t kept)
{
	if (w->kind != ZL_WRITE_UNWRITTEN && kept < w->blocks)
		zl_blocks_free(fs, zl_write_addr(w, w->bn + kept), w->blocks - kept);
}

void zl_writes_trim(struct zl_fs *fs, struct zl_write **writes, uint64_t end_bytes)
{
	uint64_t end = (end_bytes + ZLF_BLOCK_BYTES - 1) / ZLF_BLOCK_BYTES;
	struct zl_write *w;
	uint64_t kept;

	while ((w = *writes)) {
		kept = end > w->bn ? end - w->bn : 0;
		if (kept < w->blocks) {
			w->old_addr = 0;
			free_behind(fs, w, (uint32_t)kept);
			w->blocks = (uint32_t)kept;
		}
		if (kept) {
			writes = &w->next;
			continue;
		}
		*writes = w->next;
		free(w);
	}
}

void zl_writes_drop(struct zl_fs *fs, struct zl_write *writes, bool published)
{
	struct zl_write *w;

	while ((w = writes)) {
		writes = w->next;
		if (!published)
			free_behind(fs, w, 0);
		free(w);
	}
}

void zl_writes_published(struct zl_inode *zi, uint64_t map_id, uint64_t end)
{
	struct zl_write *writes = zl_writes_take(zi, map_id);

	zl_writes_trim(zi->obj.fs, &writes, end);
	zl_writes_drop(zi->obj.fs, writes, true);
}

void zl_writes_free(struct zl_inode *zi)
{
	zl_writes_drop(zi->obj.fs, zi->writes, false);
	zi->writes = NULL;
	zl_whole_drop(zi);
}

/* --------------------------------------------------------- a write of many maps */

/* Behind what is there, in order, or not at all. */
static bool append(struct zl_whole *whole, struct zl_write *writes)
{
	if (!writes)
		return true;
	if (!whole->first)
		whole->first = writes;
	else if (whole->last->bn + whole->last->blocks > writes->bn)
		return false;
	else
		whole->last->next = writes;
	whole->last = writes;
	while (whole->last->next)
		whole->last = whole->last->next;
	return true;
}

int zl_whole_add(struct zl_inode *zi, uint64_t id, struct zl_write *writes, uint64_t end,
		 uint64_t size_bytes)
{
	struct zl_whole *whole = &zi->whole;

	if (whole->id != id)
		zl_whole_drop(zi);	/* whose end nobody will tell */
	whole->id = id;
	if (!append(whole, writes)) {
		zl_writes_drop(zi->obj.fs, writes, false);
		return -EIO;
	}
	whole->end = end > whole->end ? end : whole->end;
	whole->size_bytes = size_bytes > whole->size_bytes ? size_bytes : whole->size_bytes;
	return 0;
}

int zl_whole_take(struct zl_inode *zi, uint64_t id, struct zl_write **writes, uint64_t *end,
		  uint64_t *size_bytes)
{
	struct zl_write *last = *writes;
	int err;

	*writes = NULL;
	if (zi->whole.id != id) {
		zl_writes_drop(zi->obj.fs, last, false);
		return -EIO;
	}
	err = zl_whole_add(zi, id, last, *end, *size_bytes);
	if (err)
		return err;
	*writes = zi->whole.first;
	*end = zi->whole.end;
	*size_bytes = zi->whole.size_bytes;
	zi->whole = (struct zl_whole) { .id = 0 };
	return 0;
}

const struct zl_write *zl_whole_at(const struct zl_inode *zi, uint64_t id, uint64_t bn)
{
	const struct zl_write *last = zi->whole.last;

	return id && id == zi->whole.id && last && bn >= last->bn &&
	       bn < last->bn + last->blocks ? last : NULL;
}

void zl_whole_drop(struct zl_inode *zi)
{
	zl_writes_drop(zi->obj.fs, zi->whole.first, false);
	zi->whole = (struct zl_whole) { .id = 0 };
}
