/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * null_epoch.h - a new write epoch every now and then, which measures what that costs,
 * and, checked, sees whether the kernel keeps what it promises: no block changes in
 * an epoch unless a map for writing was answered in it before.
 */
#ifndef NULL_EPOCH_H
#define NULL_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#include <zus.h>

struct null_epoch;

struct null_epoch_config {
	struct zus_mount *mount;
	uint32_t period_ms;	/* from one's begin to the next; 0: one after the other */
	bool check;
	const char *base;	/* the area that files lie in */
	uint64_t bytes;
};

/* The first one is asked for after the first map. 0, ENOMEM. */
int null_epoch_begin(const struct null_epoch_config *config, struct null_epoch **made);
/* When no operation runs any more. NULL: does nothing. */
void null_epoch_end(struct null_epoch *ne);

/*
 * @len_bytes from @off of the area are about to be answered, by a map of @args. Leases
 * for it. EIO: a block has changed that should not have (and the log says which).
 */
int null_epoch_map(struct null_epoch *ne, uint64_t off, uint64_t len_bytes,
		   const struct zus_map *args, uint16_t *flags);

#endif /* NULL_EPOCH_H */
