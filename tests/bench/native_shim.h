/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * native_shim.h - just enough of libzus to call a plugin's operations directly, so that what
 * is measured is the plugin: no transport, no encoding, no copies of its own. One thread a
 * request.
 */
#ifndef NATIVE_SHIM_H
#define NATIVE_SHIM_H

#include <stdbool.h>
#include <stdint.h>

#include <zus.h>

#define SHIM_EXTENTS_MAX	64u

/* What a callback answers. */
struct zus_req {
	uint64_t id;
	struct zus_extent extents[SHIM_EXTENTS_MAX];
	uint32_t num_extents;
	bool has_word;
	struct zus_word word;
};

/* By the calling thread, so far. */
uint64_t shim_flushed_bytes(void);

#endif /* NATIVE_SHIM_H */
