/* SPDX-License-Identifier: BSD-3-Clause */
/* mix.h - hashes and seeded random numbers. Not for what comes from strangers. */
#ifndef CRASH_MIX_H
#define CRASH_MIX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Of splitmix64. */
static inline uint64_t mix64(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline uint64_t mix_random(uint64_t *state)
{
	return mix64(*state += 0x9e3779b97f4a7c15ull);
}

/* One word at its place; a memory's hash is the sum over its words. */
static inline uint64_t mix_word(uint64_t off, uint64_t value)
{
	return mix64(mix64(off + 0x9e3779b97f4a7c15ull) ^ value);
}

#define MIX_LANES	4u

/* In lanes, which a processor computes side by side. */
static inline uint64_t mix_bytes(uint64_t hash, const void *data, size_t bytes)
{
	uint64_t lanes[MIX_LANES] = { 1, 2, 3, 4 }, words[MIX_LANES];
	const char *at = data;
	unsigned int i;

	hash = mix64(hash ^ bytes);
	for (; bytes >= sizeof(words); bytes -= sizeof(words), at += sizeof(words)) {
		memcpy(words, at, sizeof(words));
		for (i = 0; i < MIX_LANES; i++) {
			lanes[i] = (lanes[i] ^ words[i]) * 0x9e3779b97f4a7c15ull;
			lanes[i] ^= lanes[i] >> 32;
		}
	}
	memset(words, 0, sizeof(words));
	if (bytes)
		memcpy(words, at, bytes);
	for (i = 0; i < MIX_LANES; i++)
		hash = mix64(hash ^ lanes[i]) + mix64(words[i] + i);
	return mix64(hash);
}

#endif /* CRASH_MIX_H */
