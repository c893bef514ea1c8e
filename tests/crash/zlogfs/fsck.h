/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CRASH_ZLOGFS_FSCK_H
#define CRASH_ZLOGFS_FSCK_H

#include <stddef.h>
#include <stdint.h>

/* Of media that were unmounted. 0, or EUCLEAN and in message what is wrong. */
int zlogfs_fsck(const void *media, uint64_t bytes, uint64_t data_off, char *message,
		size_t message_bytes);

#endif /* CRASH_ZLOGFS_FSCK_H */
