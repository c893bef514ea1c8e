/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * null_move.h - the file's chunks wander over the device while it is in use, which
 * tests the kernel's leases, and shows how a plugin moves what is leased.
 */
#ifndef NULL_MOVE_H
#define NULL_MOVE_H

#include <stdint.h>

#include <zus.h>

#define NULL_CHUNK_BYTES	(64u << 10)
#define NULL_PAUSE_US_MAX	1000000u

struct null_move;

/*
 * Begin to move the file's chunks, in an order that seed gives, one after the
 * other, with a pause of pause_us between two. size_bytes: of the file, a multiple of NULL_CHUNK_BYTES; behind it, from
 * base_off + size_bytes on, one chunk more must be free. inode: of ino and gen,
 * alive until null_move_end(). 0, ENOMEM.
 */
int null_move_begin(struct zus_inode *inode, uint64_t ino, uint64_t gen, uint32_t dev,
		    uint64_t base_off, uint64_t size_bytes, uint64_t seed,
		    uint64_t pause_us, struct null_move **move);
/* When no operation runs any more. */
void null_move_end(struct null_move *move);

/* Answer MAP: one chunk, or ZUS_BUSY_RETRY while that moves. */
int null_move_map(struct null_move *move, struct zus_req *req, const struct zus_map *args);

#endif /* NULL_MOVE_H */
