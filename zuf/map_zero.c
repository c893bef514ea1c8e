// SPDX-License-Identifier: GPL-2.0
/* Zeroing by a map: what is new before it is seen, and the tail of a file. */
#include <linux/dax.h>
#include <linux/pagemap.h>

#include "relay.h"
#include "data.h"

struct map_piece {
	struct dax_device *dax;
	void *addr;
	pgoff_t pgoff;
	u64 bytes;
};

/*
 * The piece from @from that is contiguous in memory, and not longer than one
 * section of the gate may last; inside of that, and under dax_read_lock().
 */
static int map_piece(struct inode *inode, const struct zufs_extent *ext, u64 from, u64 to,
		     struct map_piece *piece)
{
	const struct zuf_device *device;
	unsigned int skip = offset_in_page(from);
	void *kaddr;
	long pages;

	piece->dax = NULL;
	piece->bytes = min(to, ext->file_off + ext->len_bytes) - from;
	if (ext->type != ZUFS_EXT_DATA)
		return 0;
	piece->bytes = min_t(u64, piece->bytes, ZUF_GATE_MAX_BYTES);
	device = zuf_device(zuf_mount_of(inode->i_sb), ext->dev);
	piece->pgoff = PHYS_PFN(device->dax_off + ext->dev_off + (from - ext->file_off));
	pages = dax_direct_access(device->dax, piece->pgoff, PHYS_PFN(piece->bytes + skip +
				  PAGE_SIZE - 1), DAX_ACCESS, &kaddr, NULL);
	if (pages < 0)
		return -EIO;
	piece->dax = device->dax;
	piece->addr = kaddr + skip;
	piece->bytes = min_t(u64, piece->bytes, PFN_PHYS(pages) - skip);
	return 0;
}

static int piece_zero(const struct map_piece *piece)
{
	u64 done = 0;
	int err;

	while (done < piece->bytes) {
		u64 step = min_t(u64, piece->bytes - done,
				 PAGE_SIZE - offset_in_page(piece->addr + done));

		if (step == PAGE_SIZE) {
			/* whole pages lose their poison, too */
			err = dax_zero_page_range(piece->dax, piece->pgoff +
						  PHYS_PFN(done + offset_in_page(piece->addr)), 1);
			if (err)
				return -EIO;
		} else {
			memset(piece->addr + done, 0, step);
			dax_flush(piece->dax, piece->addr + done, step);
		}
		done += step;
	}
	return 0;
}

int zuf_map_zero(const struct zuf_map *map, u64 from, u64 to)
{
	struct map_piece piece;
	struct zufs_extent ext;
	int err, id, gate;

	while (from < to) {
		gate = zuf_gate_enter(map->inode);
		id = dax_read_lock();
		err = -EAGAIN;
		if (zuf_map_use(map, from, &ext))
			err = map_piece(map->inode, &ext, from, to, &piece);
		if (!err && piece.dax)
			err = piece_zero(&piece);
		dax_read_unlock(id);
		wmb();		/* before a recall that waits for us is acknowledged */
		zuf_gate_leave(map->inode, gate);
		if (err)
			return err;
		from += piece.bytes;
		cond_resched();
	}
	return 0;
}

int zuf_map_zero_edges(const struct zuf_map *map, u64 from, u64 to)
{
	const struct zufs_extent *first, *last;
	int err = 0;

	if (!map->any_new)
		return 0;
	first = zuf_map_extent(map, from);
	last = zuf_map_extent(map, to - 1);
	if (WARN_ON_ONCE(!first || !last))
		return -EIO;
	if (first->flags & ZUFS_EXTF_NEW)
		err = zuf_map_zero(map, round_down(from, ZUFS_BLOCK_BYTES), from);
	if (!err && last->flags & ZUFS_EXTF_NEW)
		err = zuf_map_zero(map, to, round_up(to, ZUFS_BLOCK_BYTES));
	return err;
}

static int zero_mapped(struct zuf_map *map, u64 size_bytes)
{
	int err;

	err = zuf_map_zero(map, map->off, map->end);
	if (!err)
		err = zuf_map_zero_edges(map, map->off, map->end);
	if (!err)
		err = zuf_mount_persist(zuf_mount_of(map->inode->i_sb));
	if (!err && map->owes_done)
		err = zuf_map_done(map, map->off, map->end - map->off, size_bytes, false);
	return err;
}

int zuf_zero_range(struct inode *inode, u64 fh, u64 from, u64 to, u64 size_bytes)
{
	unsigned int restarts = 0;
	struct zuf_map map;
	int err = 0;

	lockdep_assert_held_write(&zuf_i(inode)->layout_sem);
	while (!err && from < to) {
		err = zuf_map_begin(&map, inode, fh, from, to - from, size_bytes,
				    ZUFS_MAP_WRITE | ZUFS_MAP_ZERO, restarts);
		if (err)
			return err;
		err = zero_mapped(&map, size_bytes);
		zuf_map_end(&map);
		if (err == -EAGAIN)
			err = zuf_map_restart(inode, &restarts);
		else
			from = map.end;
	}
	return err;
}
