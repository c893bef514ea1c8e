// SPDX-License-Identifier: BSD-3-Clause
/*
 * owners.c - an index of blocks that are in several places of files: by block, who has it.
 * There are no counts, which a crash could have counted twice: an extent has its element here
 * or not, so that what is done again comes to the same.
 */
#include <errno.h>
#include <string.h>

#include "owners.h"
#include "space.h"

#define BLOCK_SHIFT	6u	/* of an address, to the number of a block */
#define BLOCK_BITS	(ZLF_ADDR_LINE_BITS - BLOCK_SHIFT + ZLF_ADDR_DEV_BITS)
#define BN_LOW_BITS	(64u - ZL_OWNER_NUMBER_BITS)
#define BN_HIGH_BITS	8u
#define INO_BITS	(64u - BN_HIGH_BITS)

static_assert(ZLF_BLOCK_BYTES / ZLF_LINE_BYTES == 1u << BLOCK_SHIFT, "a block has so many lines");
static_assert(BLOCK_BITS < 55 && ZLF_OBJ_OWNERS <= 1ull << INO_BITS, "they have room in a key");

/* Device and number. */
static uint64_t block_of(uint64_t addr)
{
	return addr >> BLOCK_SHIFT & ((1ull << BLOCK_BITS) - 1);
}

static bool is_owner(const struct zlf_elem *elem)
{
	return elem->rec_type == ZLF_REC_OWNER;
}

struct zl_key zl_owner_key(const struct zlf_elem *extent)
{
	uint64_t bn = zl_get64(extent->key);

	return (struct zl_key) {
		.obj = ZLF_OBJ_OWNERS | block_of(zl_get64(extent->addr)),
		.rec_type = ZLF_REC_OWNER,
		.key = zl_get64(extent->obj) << BN_HIGH_BITS | bn >> BN_LOW_BITS,
		.tid = bn << ZL_OWNER_NUMBER_BITS,
	};
}

struct zl_key zl_owner_extent(const struct zlf_elem *owner)
{
	uint64_t key = zl_get64(owner->key), low = zl_get64(owner->create_tid);
	uint64_t since = zl_get64(owner->end_tid);

	return (struct zl_key) {
		.obj = key >> BN_HIGH_BITS,
		.rec_type = ZLF_REC_EXTENT | (since ? ZLF_REC_HISTORY : 0),
		.key = (key & ((1ull << BN_HIGH_BITS) - 1)) << BN_LOW_BITS | low >> ZL_OWNER_NUMBER_BITS,
		.tid = since,
	};
}

const char *zl_owner_check(const struct zlf_elem *owner)
{
	struct zl_key of = zl_owner_extent(owner);
	bool history = zl_get64(owner->create_tid) & (ZL_OWNER_NUMBERS - 1);

	if (zl_get64(owner->obj) != (ZLF_OBJ_OWNERS | block_of(zl_get64(owner->addr))))
		return "its object";
	if (of.obj < ZLF_OBJ_FIRST || of.obj >= ZLF_OBJ_OWNERS)
		return "its inode";
	return history != !!of.tid ? "its number" : NULL;
}

/* --------------------------------------------------------------------- numbers */

/*
 * The place of an extent of history among those that have the same block there: which one it
 * is, or the first that is free. ENOENT: it is not there.
 */
static int find_number(struct zl_fs *fs, struct zl_key *key, uint64_t since)
{
	struct zl_key at = *key, last = *key;
	uint64_t found, free = 0;
	struct zl_elem elem;
	int err;

	at.tid++;
	last.tid |= ZL_OWNER_NUMBERS - 1;
	while (!(err = zl_tree_next(fs, &at, &last, &elem, NULL))) {
		found = zl_get64(elem.head.create_tid);
		if (zl_get64(elem.head.end_tid) == since) {
			key->tid = found;
			return 0;
		}
		if (!free && found > at.tid)
			free = at.tid;
		at.tid = found + 1;
		if (found == last.tid) {
			err = -ENOENT;
			break;
		}
	}
	key->tid = free ? free : at.tid;
	return err;
}

/* Those of now have number 0. */
static int key_of(struct zl_fs *fs, const struct zlf_elem *extent, struct zl_key *key)
{
	uint64_t since = zl_elem_key(extent).tid;	/* of now 0 */

	*key = zl_owner_key(extent);
	return since ? find_number(fs, key, since) : 0;
}

/* --------------------------------------------------------------------- changes */

int zl_owner_put(struct zl_fs *fs, const struct zlf_elem *extent)
{
	struct zl_elem owner;
	struct zl_key key;
	int err = key_of(fs, extent, &key);

	if (err && err != -ENOENT)
		return err;
	if (err && !(key.tid & (ZL_OWNER_NUMBERS - 1)))
		return -EOVERFLOW;
	owner.head = (struct zlf_elem) {
		.rec_type = ZLF_REC_OWNER, .lines = 1, .obj = htole64(key.obj),
		.key = htole64(key.key), .create_tid = htole64(key.tid),
		.end_tid = htole64(zl_elem_key(extent).tid), .addr = extent->addr, .len = extent->len,
	};
	err = zl_tree_put(fs, &owner, NULL, NULL);
	return err < 0 ? err : 0;
}

int zl_owner_del(struct zl_fs *fs, const struct zlf_elem *extent)
{
	struct zl_elem old;
	struct zl_key key;
	int err = key_of(fs, extent, &key);

	if (err)
		return err == -ENOENT ? 0 : err;
	err = zl_tree_del(fs, &key, UINT64_MAX, &old);
	return err < 0 ? err : 0;
}

/* --------------------------------------------------------------------- questions */

int zl_owners_any(struct zl_fs *fs)
{
	const struct zl_key first = { .obj = ZLF_OBJ_OWNERS };
	struct zl_elem elem;
	int err = zl_tree_next(fs, &first, NULL, &elem, NULL);

	return err ? err == -ENOENT ? 0 : err : is_owner(&elem.head);
}

int zl_owners_count(struct zl_fs *fs, uint64_t *n)
{
	struct zl_key key = { .obj = ZLF_OBJ_OWNERS };
	struct zl_elem elem;
	int err;

	for (*n = 0;; ++*n) {
		err = zl_tree_next(fs, &key, NULL, &elem, NULL);
		if (err || !is_owner(&elem.head))
			return err == -ENOENT ? 0 : err;
		key = zl_elem_key(&elem.head);
		key.key += !++key.tid;
	}
}

/* What is in front of it, whatever that may be. */
static void step_back(struct zl_key *key)
{
	if (key->tid--)
		return;
	if (key->key--)
		return;
	key->obj--;
}

/*
 * From the end on backwards: no extent reaches out of its segment, and mostly the first
 * one that is met has all.
 */
int zl_owned(struct zl_fs *fs, uint64_t addr, uint32_t blocks, uint64_t mask[8])
{
	uint32_t seg, off, from, first, n;
	uint64_t low, base;
	struct zl_elem elem;
	struct zl_key key;
	int err = 0;

	memset(mask, 0, 8 * sizeof(mask[0]));
	if (!zl_addr_split(fs, addr, &seg, &off))
		return 0;
	from = off / (uint32_t)ZLF_BLOCK_BYTES;
	base = block_of(addr) - from;	/* of the segment's first block */
	low = ZLF_OBJ_OWNERS | base;
	key = (struct zl_key) { .obj = ZLF_OBJ_OWNERS | (block_of(addr) + blocks - 1),
				.rec_type = ZLF_REC_OWNER, .key = UINT64_MAX, .tid = UINT64_MAX };
	while (zl_bits_next(mask, false, from, from + blocks) < from + blocks) {
		err = zl_tree_prev(fs, &key, false, &elem);
		if (err || !is_owner(&elem.head) || zl_get64(elem.head.obj) < low)
			break;
		first = (uint32_t)(block_of(zl_get64(elem.head.addr)) - base);
		n = zl_get32(elem.head.len);
		zl_bits_fill(mask, first, n, true);
		key = zl_elem_key(&elem.head);
		step_back(&key);
	}
	return err == -ENOENT ? 0 : err;
}
