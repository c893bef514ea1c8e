// SPDX-License-Identifier: BSD-3-Clause
/*
 * elem.c - can an element be as it is? Asked of each where it comes from the medium, from a
 * node or a record: whoever has it then reads no further than it reaches, and finds no key or
 * address that leads out of the filesystem.
 */
#include <string.h>
#include <sys/stat.h>

#include "ops.h"
#include "owners.h"

bool zl_ino_valid(uint64_t ino)
{
	return ino == ZLF_OBJ_ROOT || (ino >= ZLF_OBJ_FIRST && ino < ZLF_OBJ_OWNERS);
}

static bool blocks_valid(const struct zl_fs *fs, uint64_t addr, uint32_t blocks)
{
	uint32_t seg, off;

	return zl_addr_zone(addr) == ZLF_SEG_DATA && zl_addr_split(fs, addr, &seg, &off) &&
	       off % ZLF_BLOCK_BYTES == 0 && blocks && blocks <= fs->geo.segment_blocks &&
	       off / ZLF_BLOCK_BYTES <= fs->geo.segment_blocks - blocks;
}

const char *zl_key_check(uint32_t rec_type, uint64_t obj, uint64_t key)
{
	switch (rec_type) {
	case ZLF_REC_INODE:
	case ZLF_REC_SYMLINK:
		return key ? "its key" : zl_ino_valid(obj) ? NULL : "its inode";
	case ZLF_REC_DIRENT:
	case ZLF_REC_XATTR:
		return key >= ZL_KEY_END ? "its key" : zl_ino_valid(obj) ? NULL : "its inode";
	case ZLF_REC_EXTENT:
	case ZLF_REC_XDATA:
		return zl_ino_valid(obj) ? NULL : "its inode";
	case ZLF_REC_ORPHAN:
		return obj != ZLF_OBJ_ORPHANS ? "its object" : zl_ino_valid(key) ? NULL : "its key";
	case ZLF_REC_SNAPSHOT:
		return obj != ZLF_OBJ_SNAPSHOTS ? "its object" :
		       key && key < ZL_KEY_END ? NULL : "its key";
	default:
		return "its type";
	}
}

static bool type_known(uint32_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISCHR(mode) ||
	       S_ISBLK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode);
}

static bool time_valid(const struct zlf_time *time)
{
	return zl_get32(time->nsec) < 1000000000;
}

const char *zl_body_check(const struct zlf_inode *body)
{
	uint32_t mode = zl_get32(body->mode);
	uint64_t size = zl_get64(body->size_bytes);

	if (!type_known(mode) || mode & ~(S_IFMT | 07777u))
		return "its mode";
	if (size > ZL_FILE_MAX_BYTES || (S_ISLNK(mode) && (!size || size > ZLF_BLOCK_BYTES)))
		return "its size";
	if (zl_get32(body->uid) == UINT32_MAX || zl_get32(body->gid) == UINT32_MAX)
		return "its owner";
	if (zl_get32(body->flags) & ~ZUS_ATTR_SETTABLE)
		return "its flags";
	if (zl_get32(body->policy) > ZLF_POLICY_BOUNDARY || !zl_ino_valid(zl_get64(body->parent)))
		return "its parent";
	if (!time_valid(&body->atime) || !time_valid(&body->mtime) || !time_valid(&body->ctime) ||
	    !time_valid(&body->btime))
		return "its times";
	return NULL;
}

/* Whatever the other parts are. */
bool zl_body_parts_valid(uint32_t mask, const void *parts)
{
	struct zlf_inode body = { .mode = htole32(S_IFREG), .parent = htole64(ZLF_OBJ_ROOT) };
	const uint8_t *from = parts;
	uint32_t part;

	for (part = 0; part < ZLF_IM_PARTS; part++)
		if (mask >> part & 1) {
			memcpy((uint8_t *)&body + part * ZLF_IM_PART_BYTES, from, ZLF_IM_PART_BYTES);
			from += ZLF_IM_PART_BYTES;
		}
	if (mask & ZLF_IM_MODE && !(mask & ZLF_IM_SIZE))
		body.size_bytes = htole64(1);
	return !zl_body_check(&body);
}

static const char *check_extent(const struct zl_fs *fs, const struct zlf_elem *elem)
{
	uint64_t bn = zl_get64(elem->key), end = ZL_FILE_MAX_BYTES / ZLF_BLOCK_BYTES;
	uint32_t blocks = zl_get32(elem->len);

	if (elem->lines != 1 || elem->flags & ZLF_EF_BLOCK ||
	    (elem->flags & ZLF_EF_SHARED && elem->flags & ZLF_EF_UNWRITTEN))
		return "its flags";
	if (bn >= end || blocks > end - bn)
		return "its place in the file";
	return blocks_valid(fs, zl_get64(elem->addr), blocks) ? NULL : "its blocks";
}

static const char *check_symlink(const struct zl_fs *fs, const struct zlf_elem *elem)
{
	uint32_t bytes = zl_get32(elem->aux);

	if (!bytes || bytes > ZLF_BLOCK_BYTES)
		return "its length";
	if (!(elem->flags & ZLF_EF_BLOCK))
		return zl_get32(elem->len) == bytes ? NULL : "its length";
	if (elem->len)
		return "its length";
	return blocks_valid(fs, zl_get64(elem->addr), 1) ? NULL : "its block";
}

static const char *check_xattr(const struct zlf_elem *elem)
{
	uint32_t name = zl_get32(elem->aux), bytes = zl_get32(elem->len);

	if (!name || name > ZUS_NAME_MAX || bytes < name)
		return "its length";
	if (elem->flags & ZLF_EF_BLOCK && (bytes != name || zl_get64(elem->addr) > ZL_VALUE_MAX))
		return "its length";
	return NULL;
}

static const char *check_type(const struct zl_fs *fs, const struct zlf_elem *elem)
{
	uint32_t bytes = zl_get32(elem->len);

	switch (elem->rec_type & ~ZLF_REC_HISTORY) {
	case ZLF_REC_INODE:
		return bytes != sizeof(struct zlf_inode) ? "its length" :
		       zl_body_check((const void *)(elem + 1));
	case ZLF_REC_DIRENT:
		return !bytes || bytes > ZUS_NAME_MAX || elem->aux != elem->len ? "its length" :
		       zl_ino_valid(zl_get64(elem->addr)) ? NULL : "its inode";
	case ZLF_REC_EXTENT:
		return check_extent(fs, elem);
	case ZLF_REC_SYMLINK:
		return check_symlink(fs, elem);
	case ZLF_REC_XATTR:
		return check_xattr(elem);
	case ZLF_REC_XDATA:
		return zl_get32(elem->aux) > ZLF_BLOCK_BYTES ? "its length" :
		       blocks_valid(fs, zl_get64(elem->addr), 1) ? NULL : "its block";
	default:
		return NULL;
	}
}

static const char *check_owner(const struct zl_fs *fs, const struct zlf_elem *elem)
{
	const char *what = zl_owner_check(elem);

	if (what)
		return what;
	if (elem->flags || zl_get64(elem->end_tid) > ZL_TID_MAX)
		return "its flags";
	return blocks_valid(fs, zl_get64(elem->addr), zl_get32(elem->len)) ? NULL : "its blocks";
}

/* An extent's len are blocks, which have no lines here. */
static uint32_t lines_of(const struct zlf_elem *elem)
{
	uint32_t type = elem->rec_type & ~ZLF_REC_HISTORY, bytes = zl_get32(elem->len);

	if (type == ZLF_REC_EXTENT)
		return 1;
	return bytes > ZLF_ELEM_PAYLOAD_MAX ? 0 :
	       1 + (bytes + (uint32_t)ZLF_LINE_BYTES - 1) / (uint32_t)ZLF_LINE_BYTES;
}

const char *zl_elem_check(const struct zl_fs *fs, const struct zlf_elem *elem)
{
	const char *what;

	if (elem->rec_type == ZLF_REC_OWNER)
		return elem->lines != 1 ? "its lines" : check_owner(fs, elem);
	what = zl_key_check(elem->rec_type & ~ZLF_REC_HISTORY, zl_get64(elem->obj),
			    zl_get64(elem->key));
	if (!what && elem->flags & ~(ZLF_EF_UNWRITTEN | ZLF_EF_BLOCK | ZLF_EF_SHARED))
		what = "its flags";
	if (!what && elem->lines != lines_of(elem))
		what = "its lines";
	if (!what && (zl_get64(elem->create_tid) > ZL_TID_MAX ||
		      zl_get64(elem->end_tid) > ZL_TID_MAX))
		what = "its tid";
	return what ? what : check_type(fs, elem);
}
