// SPDX-License-Identifier: BSD-3-Clause
/* pm.c - stores to persistent memory, by libzus's primitives, which a test can stand in for. */
#include <string.h>

#include <zus.h>

#include "bug.h"
#include "pm.h"

void zl_pm_init(struct zl_pm *pm, void *addr, uint64_t bytes)
{
	*pm = (struct zl_pm) { addr, bytes, addr };
}

void zl_pm_freeze(struct zl_pm *pm)
{
	__atomic_store_n(&pm->writable, NULL, __ATOMIC_RELEASE);
}

/* NULL: frozen, or out of bounds, which checks at the border should have caught. */
static uint8_t *writable(const struct zl_pm *pm, uint64_t off, size_t bytes)
{
	uint8_t *base = __atomic_load_n(&pm->writable, __ATOMIC_ACQUIRE);

	if (!base || off > pm->bytes || bytes > pm->bytes - off)
		return NULL;
	return base + off;
}

void zl_pm_store64(struct zl_pm *pm, enum zl_class class, uint64_t off, uint64_t value_le64)
{
	uint64_t *to = (uint64_t *)(void *)writable(pm, off, sizeof(*to));

	(void)class;
	if (!to)
		return;
	__atomic_store_n(to, value_le64, __ATOMIC_RELEASE);
	zus_flush(to, sizeof(*to));
}

void zl_pm_write(struct zl_pm *pm, enum zl_class class, uint64_t off, const void *src,
		 size_t bytes)
{
	uint8_t *to = writable(pm, off, bytes);

	(void)class;
	if (!to)
		return;
	memcpy(to, src, bytes);
	if (ZL_BUG(PAYLOAD_LINE) && class == ZL_META && bytes > 64)
		bytes = 64;
	zus_flush(to, bytes);
}

void zl_pm_copy(struct zl_pm *pm, enum zl_class class, uint64_t off, const void *src,
		size_t bytes)
{
	uint8_t *to = writable(pm, off, bytes);

	(void)class;
	if (to && ZL_BUG(COPY_TAIL)) {
		memcpy(to + bytes / 64 * 64, (const uint8_t *)src + bytes / 64 * 64, bytes % 64);
		bytes -= bytes % 64;
	}
	if (to && ZL_BUG(RECORD_TAIL) && class == ZL_LOG && bytes > 64) {
		bytes -= 64;
		memcpy(to + bytes, (const uint8_t *)src + bytes, 64);
	}
	if (to)
		zus_copy_nt(to, src, bytes);
}

void zl_pm_zero(struct zl_pm *pm, enum zl_class class, uint64_t off, size_t bytes)
{
	uint8_t *to = writable(pm, off, bytes);

	(void)class;
	if (to)
		zus_zero_nt(to, bytes);
}

void zl_pm_flush(const void *at, size_t bytes)
{
	zus_flush(at, bytes);
}

void zl_pm_fence(void)
{
	zus_fence();
}
