/* SPDX-License-Identifier: BSD-3-Clause */
/* zl_check.h - is what is on media a whole zlogfs? What fsck.zlogfs and the tests ask. */
#ifndef ZL_CHECK_H
#define ZL_CHECK_H

#include "zlogfs.h"

/* What is damaged; names in zl_check_classes. */
enum zl_check_class {
	ZL_CHECK_SUPERBLOCK,
	ZL_CHECK_CHECKPOINT,	/* and the operation slots */
	ZL_CHECK_SEGMENT,	/* its line of the table */
	ZL_CHECK_LOG,		/* what is missing of it */
	ZL_CHECK_RECORD,
	ZL_CHECK_NODE,		/* and the anchor, and intents */
	ZL_CHECK_ELEMENT,
	ZL_CHECK_EXTENT,	/* blocks, and who has them */
	ZL_CHECK_OWNER,		/* of shared blocks */
	ZL_CHECK_BITMAP,
	ZL_CHECK_INODE,
	ZL_CHECK_NAME,
	ZL_CHECK_ORPHAN,
	ZL_CHECK_XATTR,
	ZL_CHECK_BOUNDARY,	/* and history */
	ZL_CHECK_CLASSES,
};

extern const char *const zl_check_classes[ZL_CHECK_CLASSES];

#define ZL_CHECK_TEXT	160u

struct zl_finding {
	enum zl_check_class class;
	uint32_t device;
	uint64_t off;		/* on the device, bytes; 0: nowhere in particular */
	uint64_t obj;		/* 0: none */
	char text[ZL_CHECK_TEXT];
};

struct zl_check {
	struct zl_finding *findings;
	uint32_t num;		/* that are kept: ZL_CHECK_KEPT at most */
	uint64_t counts[ZL_CHECK_CLASSES];
	uint64_t total;
	bool whole;		/* nothing was left out because of damage */
	uint64_t replayed;	/* records that waited in the log */
	uint64_t nodes, elements, inodes, blocks;
	char why[ZL_CHECK_TEXT]; /* it could not be checked */
};

#define ZL_CHECK_KEPT	1000u

/*
 * Media in the order of the filesystem; they are changed, as a mount would change them: the
 * caller gives private copies. 0: checked, with total findings. Else a negative errno and
 * why: ENODATA: no zlogfs; EPROTO: of a newer format; ENODEV: devices are missing, too many
 * or foreign; ENOMEM. free in each case.
 */
int zl_check(const struct zl_media *media, uint32_t num_media, struct zl_check *check);
void zl_check_free(struct zl_check *check);

#endif /* ZL_CHECK_H */
