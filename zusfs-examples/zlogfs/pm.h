/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pm.h - the store layer: all that zlogfs writes to its media passes here. Everybody else
 * has them as const.
 *
 * A store is durable when its line was flushed and this CPU has fenced since; it may be
 * durable at any time before. An aligned word of 8 bytes is never torn, all else is. Each
 * store belongs to a class, which says what it has to be ordered against:
 *
 *	DATA	file contents: before the LOG record that names them
 *	LOG	a record: before the operation returns, and before any META of it
 *	INTENT	what is about to happen to the tree: before the META that does it
 *	META	element lines, bits: before the WORD that makes them valid
 *	WORD	8 bytes that make something valid, or end it: before what is lost by it is used
 *		for anything else
 */
#ifndef ZLOGFS_PM_H
#define ZLOGFS_PM_H

#include <stddef.h>
#include <stdint.h>

enum zl_class {
	ZL_DATA,
	ZL_LOG,
	ZL_INTENT,
	ZL_META,
	ZL_WORD,
};

/* A device's bytes. media: to read. Any thread. */
struct zl_pm {
	const uint8_t *media;
	uint64_t bytes;
	uint8_t *writable;	/* private to pm.c; NULL: frozen */
};

void zl_pm_init(struct zl_pm *pm, void *addr, uint64_t bytes);

/* From here on nothing is stored any more, whatever is asked for. */
void zl_pm_freeze(struct zl_pm *pm);

/*
 * All three leave the fence to the caller; zl_pm_store64 and zl_pm_write flush what they
 * wrote. off of store64 is a multiple of 8, value is in memory's order. write is for what
 * will soon be read, copy for what will not; zero is a copy of zeros.
 */
void zl_pm_store64(struct zl_pm *pm, enum zl_class class, uint64_t off, uint64_t value_le64);
void zl_pm_write(struct zl_pm *pm, enum zl_class class, uint64_t off, const void *src,
		 size_t bytes);
void zl_pm_copy(struct zl_pm *pm, enum zl_class class, uint64_t off, const void *src,
		size_t bytes);
void zl_pm_zero(struct zl_pm *pm, enum zl_class class, uint64_t off, size_t bytes);

/* Of what the kernel has stored there. */
void zl_pm_flush(const void *at, size_t bytes);

/* All that this CPU has stored, or flushed, before is durable. */
void zl_pm_fence(void);

#endif /* ZLOGFS_PM_H */
