/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spec.h - what a filesystem shall do, as a program: names, files, bytes, extended
 * attributes, in memory. It shares nothing with any filesystem.
 *
 * It does not know times, inode numbers, blocks and permissions. Functions return 0 or a
 * negative errno, as the calls of the same name; with an error nothing changes. Paths begin
 * with '/', symlinks are not followed.
 */
#ifndef CRASH_SPEC_H
#define CRASH_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPEC_FILES	48
#define SPEC_NAMES	64
#define SPEC_NAME_BYTES	32u
#define SPEC_PATH_BYTES	128u
#define SPEC_XATTRS	4
#define SPEC_FILE_BYTES	(256u << 10)	/* longest file */
#define SPEC_ROOT	0		/* its number */

struct spec_xattr {
	char name[SPEC_NAME_BYTES];	/* "": none */
	char *value;
	uint32_t bytes;
};

struct spec_file {
	uint32_t mode;			/* 0: there is none */
	uint32_t uid;
	uint32_t gid;
	uint64_t size;
	char *data;			/* size bytes; of a symlink its target */
	struct spec_xattr xattrs[SPEC_XATTRS];
};

struct spec_name {
	char name[SPEC_NAME_BYTES];	/* "": none */
	int dir;
	int file;
};

struct spec {
	struct spec_file files[SPEC_FILES];
	struct spec_name names[SPEC_NAMES];
};

/* Only the root, of the mode and owners that the filesystem gave it. */
struct spec *spec_new(uint32_t root_mode, uint32_t root_uid, uint32_t root_gid);
struct spec *spec_copy(const struct spec *spec);
void spec_free(struct spec *spec);

/* The number of a file, or -ENOENT, -ENOTDIR. Links: its names; a directory's as in stat(2). */
int spec_find(const struct spec *spec, const char *path);
uint32_t spec_links(const struct spec *spec, int file);

int spec_create(struct spec *spec, const char *path, uint32_t mode);
int spec_mkdir(struct spec *spec, const char *path, uint32_t mode);
int spec_symlink(struct spec *spec, const char *target, const char *path);
int spec_link(struct spec *spec, const char *old_path, const char *path);
int spec_unlink(struct spec *spec, const char *path);
int spec_rmdir(struct spec *spec, const char *path);
/* flags: RENAME_NOREPLACE, RENAME_EXCHANGE */
int spec_rename(struct spec *spec, const char *old_path, const char *path, uint32_t flags);
int spec_write(struct spec *spec, const char *path, const char *data, uint64_t bytes,
	       uint64_t off);
int spec_truncate(struct spec *spec, const char *path, uint64_t size);
/* mode: 0, or FALLOC_FL_KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, COLLAPSE_RANGE, INSERT_RANGE */
int spec_fallocate(struct spec *spec, const char *path, uint32_t mode, uint64_t off,
		   uint64_t bytes);
/* Whole blocks, but for from's end, where to must not be longer. */
int spec_clone(struct spec *spec, const char *from_path, uint64_t off, uint64_t bytes,
	       const char *path, uint64_t to_off);
/* Zeroes what of the range is before the end. */
int spec_zero(struct spec *spec, const char *path, uint64_t off, uint64_t bytes);
int spec_chmod(struct spec *spec, const char *path, uint32_t mode);
int spec_setxattr(struct spec *spec, const char *path, const char *name, const void *value,
		  uint32_t bytes);
int spec_removexattr(struct spec *spec, const char *path, const char *name);

#endif /* CRASH_SPEC_H */
