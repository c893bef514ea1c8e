/* SPDX-License-Identifier: BSD-3-Clause */
/* crc32c.h - CRC32C (RFC 3720, B.4), by the processor's instruction where it has one. */
#ifndef ZLOGFS_CRC32C_H
#define ZLOGFS_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of bytes more behind what gave crc; begin with a seed. Not inverted at either end. */
uint32_t zl_crc32c(uint32_t crc, const void *buf, size_t bytes);

/* The same by table, for comparison. */
uint32_t zl_crc32c_table(uint32_t crc, const void *buf, size_t bytes);

#endif /* ZLOGFS_CRC32C_H */
