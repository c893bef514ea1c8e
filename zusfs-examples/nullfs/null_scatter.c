// SPDX-License-Identifier: BSD-3-Clause
/* null_scatter.c - see null_scatter.h */
#include <errno.h>

#include "null_scatter.h"

#define PLACES_MIN	8u

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* From the golden section on, so that neighbours are far from each other. */
int null_scatter_init(struct null_scatter *scatter, uint64_t extent_bytes,
		      uint64_t space_bytes)
{
	uint64_t places = space_bytes / extent_bytes, stride = places * 618 / 1000;

	if (places < PLACES_MIN)
		return -EINVAL;
	while (gcd(places, stride) != 1)
		stride++;
	/* by 1 or -1 neighbours would touch */
	if (stride == places - 1)
		for (stride = 2; gcd(places, stride) != 1; stride++)
			;
	scatter->extent_bytes = extent_bytes;
	scatter->places = places;
	scatter->stride = stride;
	return 0;
}

uint64_t null_scatter_off(const struct null_scatter *scatter, uint64_t off)
{
	uint64_t index = off / scatter->extent_bytes % scatter->places;

	return index * scatter->stride % scatter->places * scatter->extent_bytes +
	       off % scatter->extent_bytes;
}

int null_scatter_map(const struct null_scatter *scatter, struct zus_req *req,
		     const struct zus_map *args, uint64_t file_off, uint64_t size_bytes,
		     uint32_t dev, uint64_t base_off, uint16_t flags)
{
	uint64_t off = args->off - args->off % scatter->extent_bytes;
	uint64_t end = args->off + args->len_bytes;
	int err;

	if (end > size_bytes)
		end = size_bytes;
	for (; off < end && zus_req_extents_left(req); off += scatter->extent_bytes) {
		const struct zus_extent extent = {
			.file_off = off,
			.len_bytes = scatter->extent_bytes,
			.dev_off = base_off + null_scatter_off(scatter, file_off + off),
			.dev = dev,
			.type = ZUS_EXT_DATA,
			.flags = flags,
		};

		err = zus_req_extent(req, &extent);
		if (err)
			return err;
	}
	return 0;
}
