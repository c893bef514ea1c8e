// SPDX-License-Identifier: BSD-3-Clause
/* crc32c.c - the checksum of all that zlogfs trusts on its media. */
#include <pthread.h>
#include <string.h>

#include "crc32c.h"

#define POLYNOMIAL	0x82f63b78u	/* 0x1edc6f41, bits reversed */

static uint32_t table[256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
	uint32_t i, bit, crc;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[i] = crc;
	}
}

uint32_t zl_crc32c_table(uint32_t crc, const void *buf, size_t bytes)
{
	const uint8_t *p = buf;

	pthread_once(&table_once, make_table);
	while (bytes--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2")))
static uint32_t crc32c_instruction(uint32_t crc, const void *buf, size_t bytes)
{
	const uint8_t *p = buf;
	uint64_t wide = crc, word;

	for (; bytes >= sizeof(word); bytes -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	while (bytes--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}

uint32_t zl_crc32c(uint32_t crc, const void *buf, size_t bytes)
{
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_instruction(crc, buf, bytes);
	return zl_crc32c_table(crc, buf, bytes);
}
#else
uint32_t zl_crc32c(uint32_t crc, const void *buf, size_t bytes)
{
	return zl_crc32c_table(crc, buf, bytes);
}
#endif
