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

static inline uint64_t mix_bytes(uint64_t hash, const void *data, size_t bytes)
{
	const char *at = data;
	uint64_t word;

	hash = mix64(hash ^ bytes);
	for (; bytes >= sizeof(word); bytes -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 32;
	}
	word = 0;
	memcpy(&word, at, bytes);
	return mix64(hash ^ word);
}

#endif /* CRASH_MIX_H */
