// SPDX-License-Identifier: BSD-3-Clause
/* item.c - items of records: their bytes, and which of them a record may have. */
#include <string.h>

#include "item.h"

#define WORD	((uint32_t)sizeof(zlf_le64))

/* --------------------------------------------------------------------- sizes */

static uint32_t inode_bytes(uint32_t mask)
{
	return (uint32_t)__builtin_popcount(mask & ZLF_IM_ALL) * (uint32_t)ZLF_IM_PART_BYTES;
}

static uint32_t padded(uint32_t bytes)
{
	return (bytes + WORD - 1) & ~(WORD - 1);
}

/* Words that the mask stands for, behind the key. */
static uint32_t member_words(uint32_t mask)
{
	return !!(mask & ZLF_IK_ADDR) + !!(mask & ZLF_IK_LEN) + !!(mask & ZLF_IK_SINCE) +
	       2 * !!(mask & ZLF_IK_OLD);
}

/* Behind head and object. */
static uint32_t body_bytes(uint32_t kind, uint32_t mask, uint32_t payload_bytes)
{
	if (kind == ZLF_ITEM_INODE)
		return inode_bytes(mask);
	return (1 + member_words(mask)) * WORD + padded(payload_bytes);
}

uint32_t zl_item_bytes(const struct zl_item *item, bool same)
{
	return (uint32_t)sizeof(struct zlf_item) + (same ? 0 : WORD) +
	       body_bytes(item->kind, item->mask, item->payload_bytes);
}

/* ----------------------------------------------------------------- encode */

static uint8_t *put64(uint8_t *to, uint64_t value)
{
	zlf_le64 word = htole64(value);

	memcpy(to, &word, sizeof(word));
	return to + sizeof(word);
}

static uint8_t *put_members(uint8_t *to, const struct zl_item *item)
{
	to = put64(to, item->key);
	if (item->mask & ZLF_IK_ADDR)
		to = put64(to, item->addr);
	if (item->mask & ZLF_IK_LEN)
		to = put64(to, item->len | (uint64_t)item->aux << 32);
	if (item->mask & ZLF_IK_SINCE)
		to = put64(to, item->create_tid);
	if (item->mask & ZLF_IK_OLD) {
		to = put64(to, item->old_addr);
		to = put64(to, item->old_create_tid);
	}
	return to;
}

void zl_item_encode(uint8_t *to, const struct zl_item *item, bool same)
{
	struct zlf_item head = {
		.kind = item->kind | (same ? ZLF_ITEM_SAME : 0), .rec_type = item->rec_type,
		.obj_type = item->obj_type, .flags = item->flags,
		.payload_bytes = htole16(item->payload_bytes), .mask = htole16(item->mask),
	};

	memcpy(to, &head, sizeof(head));
	to += sizeof(head);
	if (!same)
		to = put64(to, item->obj);
	if (item->kind != ZLF_ITEM_INODE)
		to = put_members(to, item);
	else
		memcpy(to, item->payload, inode_bytes(item->mask));
	if (item->payload_bytes)
		memcpy(to, item->payload, item->payload_bytes);
}

/* ----------------------------------------------------------------- decode */

static uint64_t take64(const uint8_t **from)
{
	zlf_le64 word;

	memcpy(&word, *from, sizeof(word));
	*from += sizeof(word);
	return zl_get64(word);
}

static void take_members(const uint8_t *from, struct zl_item *item)
{
	uint64_t word;

	item->key = take64(&from);
	if (item->mask & ZLF_IK_ADDR)
		item->addr = take64(&from);
	if (item->mask & ZLF_IK_LEN) {
		word = take64(&from);
		item->len = (uint32_t)word;
		item->aux = (uint32_t)(word >> 32);
	} else {
		item->len = item->payload_bytes;
		item->aux = item->rec_type == ZLF_REC_DIRENT ? item->len : 0;
	}
	if (item->mask & ZLF_IK_SINCE)
		item->create_tid = take64(&from);
	if (item->mask & ZLF_IK_OLD) {
		item->old_addr = take64(&from);
		item->old_create_tid = take64(&from);
	}
	item->payload = from;
}

static bool head_known(const struct zl_item *item)
{
	return item->kind && item->kind <= ZLF_ITEM_LAST &&
	       !(item->mask & ~(item->kind == ZLF_ITEM_INODE ? ZLF_IM_KNOWN : ZLF_IK_KNOWN));
}

bool zl_item_next(struct zl_items *items, struct zl_item *item)
{
	struct zlf_item head;
	uint32_t bytes;
	bool same;

	if (items->left_bytes < sizeof(head))
		return false;
	memcpy(&head, items->at, sizeof(head));
	same = head.kind & ZLF_ITEM_SAME;
	*item = (struct zl_item) {
		.kind = head.kind & (uint8_t)~ZLF_ITEM_SAME, .rec_type = head.rec_type,
		.obj_type = head.obj_type, .flags = head.flags,
		.payload_bytes = zl_get16(head.payload_bytes), .mask = zl_get16(head.mask),
	};
	if (!head_known(item) || (same && !items->said))
		return false;
	bytes = zl_item_bytes(item, same);
	if (bytes > items->left_bytes)
		return false;
	item->payload = items->at + sizeof(head);
	item->obj = same ? items->obj : take64(&item->payload);
	if (item->kind != ZLF_ITEM_INODE)
		take_members(item->payload, item);
	items->at += bytes;
	items->left_bytes -= bytes;
	items->obj = item->obj;
	items->said = !same;
	return true;
}

/* ----------------------------------------------------------------- elements */

uint32_t zl_item_lines(const struct zl_item *item)
{
	return 1 + (item->payload_bytes + (uint32_t)ZLF_LINE_BYTES - 1) / ZLF_LINE_BYTES;
}

void zl_item_elem(const struct zl_item *item, uint64_t tid, struct zl_elem *elem)
{
	uint32_t lines = zl_item_lines(item);

	elem->head = (struct zlf_elem) {
		.rec_type = item->rec_type, .lines = (uint8_t)lines, .obj_type = item->obj_type,
		.flags = item->flags, .obj = htole64(item->obj), .key = htole64(item->key),
		.create_tid = htole64(item->create_tid ? item->create_tid : tid),
		.end_tid = htole64(tid), .addr = htole64(item->addr), .len = htole32(item->len),
		.aux = htole32(item->aux),
	};
	memset(elem->payload, 0, (lines - 1) * ZLF_LINE_BYTES);
	memcpy(elem->payload, item->payload, item->payload_bytes);
}

/* ------------------------------------------------------------------ validity */

static bool elem_valid(const struct zl_fs *fs, const struct zl_item *item)
{
	struct zl_elem elem;

	if (item->payload_bytes > ZLF_ELEM_PAYLOAD_MAX)
		return false;
	zl_item_elem(item, 1, &elem);
	if (zl_elem_check(fs, &elem.head))
		return false;
	if (!(item->mask & ZLF_IK_OLD))
		return true;
	elem.head.addr = htole64(item->old_addr);
	elem.head.create_tid = htole64(item->old_create_tid);
	return item->rec_type == ZLF_REC_EXTENT && !zl_elem_check(fs, &elem.head);
}

static bool item_valid(const struct zl_fs *fs, const struct zl_item *item)
{
	if (item->rec_type == ZLF_REC_OWNER)	/* the applier's own */
		return false;
	switch (item->kind) {
	case ZLF_ITEM_SET:
		return elem_valid(fs, item);
	case ZLF_ITEM_FREE:
		return item->rec_type == ZLF_REC_EXTENT && !(item->mask & ZLF_IK_OLD) &&
		       elem_valid(fs, item);
	case ZLF_ITEM_DEL:
		return !zl_key_check(item->rec_type, item->obj, item->key);
	case ZLF_ITEM_RANGE:
		return item->obj && item->obj < ZLF_OBJ_OWNERS && item->rec_type &&
		       item->rec_type <= ZLF_REC_LAST && item->rec_type != ZLF_REC_INODE;
	default:
		return !item->payload_bytes && zl_ino_valid(item->obj) &&
		       zl_body_parts_valid(item->mask, item->payload) &&
		       (!(item->mask & ZLF_IM_NEW) ||
			(item->mask & ZLF_IM_MODE && item->mask & ZLF_IM_PARENT));
	}
}

bool zl_items_valid(const struct zl_fs *fs, const uint8_t *items, uint32_t bytes)
{
	struct zl_items rest = zl_items(items, bytes);
	struct zl_item item;

	while (zl_item_next(&rest, &item))
		if (!item_valid(fs, &item))
			return false;
	return !rest.left_bytes;
}
