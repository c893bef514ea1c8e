/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * null_scatter.h - files in many small extents, none of which lies behind its
 * predecessor on the device: how much the kernel has to keep, and to find again, is
 * then a matter of the file's size alone.
 */
#ifndef NULL_SCATTER_H
#define NULL_SCATTER_H

#include <stdint.h>

#include <zus.h>

/* Extent n lies at place n * stride mod places, in units of extents. Constant. */
struct null_scatter {
	uint64_t extent_bytes;		/* 0: files lie in one piece */
	uint64_t places;
	uint64_t stride;
};

/*
 * extent_bytes: a multiple of ZUS_BLOCK_BYTES. space_bytes: of the device; with more
 * extents than fit into it, several are in the same place, and writing to one writes
 * to all of them. 0; EINVAL: less than 8 fit in.
 */
int null_scatter_init(struct null_scatter *scatter, uint64_t extent_bytes,
		      uint64_t space_bytes);

/* Where byte off of all files, laid end to end, is in the space. */
uint64_t null_scatter_off(const struct null_scatter *scatter, uint64_t off);

/*
 * Answer a map by extents with flags, as many as there is room for. file_off: where
 * the file begins among all files; size_bytes: of it; both multiples of extent_bytes,
 * and args->off is below size_bytes. base_off: of the space on device dev.
 */
int null_scatter_map(const struct null_scatter *scatter, struct zus_req *req,
		     const struct zus_map *args, uint64_t file_off, uint64_t size_bytes,
		     uint32_t dev, uint64_t base_off, uint16_t flags);

#endif /* NULL_SCATTER_H */
