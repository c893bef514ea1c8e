/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * null_cow.h - each block of the file has two places, and a write goes to the one that is
 * not in use: after a crash a block is as before it or as after it, never a mixture. Shows
 * and measures copy-on-write with a round trip for each write, or with two.
 */
#ifndef NULL_COW_H
#define NULL_COW_H

#include <stdbool.h>
#include <stdint.h>

#include <zus.h>

struct null_cow;

/* Bytes of the file that an area of room_bytes can hold. */
uint64_t null_cow_room(uint64_t room_bytes);

/*
 * For a file of size_bytes on device dev of mount, from base_off on. word: the kernel
 * makes a write part of the file, in one trip; else map_done does. 0, ENOMEM.
 */
int null_cow_begin(const struct zus_mount *mount, uint32_t dev, uint64_t base_off,
		   uint64_t size_bytes, bool word, struct null_cow **made);
/* NULL: does nothing. */
void null_cow_end(struct null_cow *cow);

/* Answer MAP; the range begins inside of the file. */
int null_cow_map(const struct null_cow *cow, struct zus_req *req, const struct zus_map *args);
void null_cow_map_done(const struct null_cow *cow, const struct zus_map_done *args);

#endif /* NULL_COW_H */
