/* SPDX-License-Identifier: BSD-3-Clause */
/* item.h - a record's items, one at a time: as a record has them, and taken apart. */
#ifndef ZLOGFS_ITEM_H
#define ZLOGFS_ITEM_H

#include "zlogfs.h"

/* Numbers in memory's order. What the mask leaves out is what it then is. */
struct zl_item {
	uint64_t obj;
	uint64_t key;
	uint64_t addr;
	uint64_t create_tid;		/* 0: the record's */
	uint64_t old_addr;		/* with ZLF_IK_OLD */
	uint64_t old_create_tid;
	uint32_t len;
	uint32_t aux;
	uint16_t mask;			/* ZLF_IM_* or ZLF_IK_* */
	uint16_t payload_bytes;
	uint8_t kind;
	uint8_t rec_type;
	uint8_t obj_type;
	uint8_t flags;
	const uint8_t *payload;		/* of INODE the parts of it */
};

/* Items that lie one behind the other. */
struct zl_items {
	const uint8_t *at;
	uint32_t left_bytes;		/* not 0 at the end: what follows is no item */
	uint64_t obj;			/* of the one in front, if that said it */
	bool said;
};

static inline struct zl_items zl_items(const uint8_t *items, uint32_t bytes)
{
	return (struct zl_items) { .at = items, .left_bytes = bytes };
}

/* false: there is none. Nothing is read outside of the bytes; values are not looked at. */
bool zl_item_next(struct zl_items *items, struct zl_item *item);

/* same: of the object of the item in front, which says it. */
uint32_t zl_item_bytes(const struct zl_item *item, bool same);
/* To so many bytes that are zero. */
void zl_item_encode(uint8_t *to, const struct zl_item *item, bool same);

/* The element that an item of SET or FREE has, and the lines of it. */
uint32_t zl_item_lines(const struct zl_item *item);
void zl_item_elem(const struct zl_item *item, uint64_t tid, struct zl_elem *elem);

/* Items of a record that came from a medium: sizes, kinds, bounds. */
bool zl_items_valid(const struct zl_fs *fs, const uint8_t *items, uint32_t bytes);

#endif /* ZLOGFS_ITEM_H */
