/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz.h - what the parts of zlogfs's fuzzer share; zlogfs-fuzz.c says how they fit. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stdint.h>

#include <zus_local.h>

#include "zlogfs.h"

#define FUZZ_DATA_OFF	4096u
#define FUZZ_DEVICES	2u
#define FUZZ_FRONT	0xa5	/* what the bytes in front of the filesystem are */

/* Ends the program, as a crash would: libFuzzer keeps the input. */
void fuzz_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* ------------------------------------------------------------------ image.c */

/* A geometry; its media are mapped once, and hold one image after the other. */
struct fuzz_shape {
	const char *name;
	uint32_t num_devices;
	uint64_t bytes;		/* of each device */
	struct zl_mkfs mkfs;
	const char *options;
	uint8_t *media[FUZZ_DEVICES];
	uint8_t *copy[FUZZ_DEVICES];	/* for who changes what it looks at */
	int fd[FUZZ_DEVICES];
	struct zus_local *rw, *ro;	/* nothing is mounted between two images */
};

struct fuzz_place;

/* A state of a filesystem to begin with, and where its structures are. */
struct fuzz_seed {
	const char *state;
	struct fuzz_shape *shape;
	uint8_t *image[FUZZ_DEVICES];
	uint32_t crc_seed;
	struct zl_geo geo;
	struct fuzz_place *places;	/* by kind */
	uint32_t num_places;
	uint32_t *first;		/* of each kind, and one more */
	uint64_t *numbers;		/* tids, objects and keys that are there */
	uint32_t num_numbers;
	uint64_t *addrs;		/* addresses that are there */
	uint32_t num_addrs;
};

extern struct fuzz_seed *fuzz_seeds;
extern uint32_t fuzz_num_seeds;

/* Makes all seeds; false: a message was printed. */
bool fuzz_seeds_make(void);
void fuzz_seed_load(const struct fuzz_seed *seed);
void fuzz_media_of(const struct fuzz_shape *shape, bool copy, struct zl_media *media);

/* A step of zlogfs_ioctl.h; apply goes on until there is no more. */
int fuzz_ask(struct zus_local *local, uint32_t cmd);

/* ------------------------------------------------------------------ place.c */

enum fuzz_kind {
	FUZZ_SUPER, FUZZ_CKPT, FUZZ_ANCHOR, FUZZ_INTENT, FUZZ_SLOT, FUZZ_SEGMENT, FUZZ_BITMAP,
	FUZZ_HINT, FUZZ_NODE, FUZZ_CHILD, FUZZ_EL_INODE, FUZZ_EL_DIRENT, FUZZ_EL_EXTENT,
	FUZZ_EL_SYMLINK, FUZZ_EL_XATTR, FUZZ_EL_XDATA, FUZZ_EL_ORPHAN, FUZZ_EL_SNAPSHOT,
	FUZZ_EL_HISTORY, FUZZ_BODY, FUZZ_PAYLOAD, FUZZ_RECORD, FUZZ_IT_SET, FUZZ_IT_DEL,
	FUZZ_IT_RANGE, FUZZ_IT_INODE, FUZZ_IT_FREE,
	FUZZ_EL_OWNER,		/* new ones last: kept inputs have the numbers */
	FUZZ_KINDS,
};

/* How a structure's checksum is made right again. */
enum fuzz_seal {
	SEAL_NONE, SEAL_SUPER, SEAL_CKPT, SEAL_INTENT, SEAL_SEGMENT, SEAL_NODE, SEAL_ELEM,
	SEAL_RECORD,
};

struct fuzz_field {
	const char *name;
	uint16_t off, bytes;
};

struct fuzz_kind_info {
	const char *name;
	enum fuzz_seal seal;
	const struct fuzz_field *fields;
	uint32_t num_fields;
};

extern const struct fuzz_kind_info fuzz_kinds[FUZZ_KINDS];

struct fuzz_place {
	enum fuzz_kind kind;
	uint32_t dev;
	uint32_t off, bytes;	/* what edits change */
	uint32_t head;		/* what has the checksum: off, or in front of it */
	uint32_t node;		/* of an element: its node's beginning */
	uint32_t seg, line;	/* of a record */
};

/* Looks through the image that is in the shape's media. */
bool fuzz_places_find(struct fuzz_seed *seed);

/* ------------------------------------------------------------------- edit.c */

/* One change of an image; an input is a head and some of these. */
struct fuzz_edit {
	uint8_t kind;
	uint8_t how;
	uint8_t field;
	uint8_t flags;
	uint16_t which;
	uint16_t off;
	uint64_t value;
} __attribute__((packed));

struct fuzz_head {
	uint8_t seed;
	uint8_t flags;
	uint16_t steps;		/* what is done once it is mounted */
} __attribute__((packed));

#define FUZZ_EDITS_MAX	8u
#define FUZZ_INPUT_MAX	(sizeof(struct fuzz_head) + FUZZ_EDITS_MAX * sizeof(struct fuzz_edit))

#define FUZZ_RDONLY	(1u << 0)
#define FUZZ_TWICE	(1u << 1) /* mounted once more, and checked */
#define FUZZ_DUMP	(1u << 2)

#define FUZZ_RAW	(1u << 0) /* at off, not in a field of the kind's table */
#define FUZZ_UNSEALED	(1u << 1)
#define FUZZ_FIT	(1u << 2) /* what follows from the change is changed, too */
#define FUZZ_ONE_COPY	(1u << 3) /* superblock: the one at the end stays */

enum fuzz_how {
	FUZZ_FLIP, FUZZ_BOUNDARY, FUZZ_VALUE, FUZZ_ADD, FUZZ_OTHERS, FUZZ_ADDRESS, FUZZ_NUMBER,
	FUZZ_COPY, FUZZ_SWAP, FUZZ_ZERO, FUZZ_APPEND, FUZZ_HOWS,
};

/* In the media; false: the seed has no such structure. */
bool fuzz_edit_apply(const struct fuzz_seed *seed, const struct fuzz_edit *edit);
void fuzz_edits_seal(const struct fuzz_seed *seed, const struct fuzz_edit *edits, uint32_t n);
void fuzz_edit_print(const struct fuzz_seed *seed, const struct fuzz_edit *edit);

/* ------------------------------------------------------------------- walk.c */

/* All there is, read in every way; then, unless rdonly, some of it changed. */
void fuzz_walk(struct zus_local *local, bool rdonly, uint32_t steps);

#endif /* FUZZ_H */
