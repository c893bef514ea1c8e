// SPDX-License-Identifier: BSD-3-Clause
/* addr.c - where something is: addresses, and the words of the segment table. */
#include "crc32c.h"
#include "zlogfs.h"

/* ---------------------------------------------------------------- addresses */

uint64_t zl_addr_make(const struct zl_fs *fs, uint32_t zone, uint32_t gen, uint32_t seg,
		      uint32_t off)
{
	uint64_t dev = fs->num_devs ? fs->num_devs - 1 : 0, high = zone, at;

	while (dev && fs->devs[dev].first_segment > seg)
		dev--;
	at = seg - fs->devs[dev].first_segment;
	at = fs->devs[dev].first_segment_off + (at << fs->geo.segment_shift) + off;
	high = high << ZLF_ADDR_GEN_BITS | (gen & ZLF_ADDR_GEN_MASK);
	high = high << ZLF_ADDR_DEV_BITS | dev;
	return high << ZLF_ADDR_LINE_BITS | at / ZLF_LINE_BYTES;
}

uint64_t zl_addr(const struct zl_fs *fs, uint32_t zone, uint32_t seg, uint32_t off)
{
	return zl_addr_make(fs, zone, fs->segs[seg].gen, seg, off);
}

uint32_t zl_addr_zone(uint64_t addr)
{
	return (uint32_t)(addr >> ZLF_ADDR_ZONE_SHIFT);
}

uint32_t zl_addr_gen(uint64_t addr)
{
	return (uint32_t)(addr >> ZLF_ADDR_GEN_SHIFT) & ZLF_ADDR_GEN_MASK;
}

static uint32_t addr_dev(uint64_t addr)
{
	return (uint32_t)(addr >> ZLF_ADDR_DEV_SHIFT) & ((1u << ZLF_ADDR_DEV_BITS) - 1);
}

static uint64_t addr_bytes(uint64_t addr)
{
	return (addr & ((1ull << ZLF_ADDR_LINE_BITS) - 1)) * ZLF_LINE_BYTES;
}

bool zl_addr_split(const struct zl_fs *fs, uint64_t addr, uint32_t *seg, uint32_t *off)
{
	const struct zl_dev *dev = &fs->devs[addr_dev(addr)];
	uint64_t at = addr_bytes(addr);

	if (addr_dev(addr) >= fs->num_devs || at < dev->first_segment_off)
		return false;
	at -= dev->first_segment_off;
	if (at >> fs->geo.segment_shift >= dev->num_segments)
		return false;
	*seg = dev->first_segment + (uint32_t)(at >> fs->geo.segment_shift);
	*off = (uint32_t)at & (fs->geo.segment_bytes - 1);
	return true;
}

const void *zl_media(struct zl_fs *fs, uint64_t addr)
{
	return fs->devs[addr_dev(addr)].pm.media + addr_bytes(addr);
}

uint32_t zl_addr_block(const struct zl_fs *fs, uint64_t addr)
{
	uint32_t seg, off;

	return zl_addr_split(fs, addr, &seg, &off) ? off / (uint32_t)ZLF_BLOCK_BYTES : 0;
}

uint32_t zl_addr_dev(uint64_t addr, uint64_t *dev_off)
{
	*dev_off = addr_bytes(addr);
	return addr_dev(addr);
}

struct zl_dev *zl_seg_dev(struct zl_fs *fs, uint32_t seg)
{
	uint32_t dev = fs->num_devs - 1;

	while (fs->devs[dev].first_segment > seg)
		dev--;
	return &fs->devs[dev];
}

uint64_t zl_seg_off(struct zl_fs *fs, uint32_t seg)
{
	const struct zl_dev *dev = zl_seg_dev(fs, seg);

	return dev->first_segment_off +
	       ((uint64_t)(seg - dev->first_segment) << fs->geo.segment_shift);
}

/* -------------------------------------------------------------------- words */

uint64_t zl_seg_word(uint32_t type, uint32_t log, uint32_t gen)
{
	uint64_t word = type | (uint64_t)(log & 0xffff) << 16 | (uint64_t)(gen & 0xffff) << 32;
	zlf_le64 media = htole64(word);

	return word | (uint64_t)(zl_crc32c(UINT32_MAX, &media, 6) & 0xffff) << 48;
}

bool zl_seg_word_split(uint64_t word, uint32_t *type, uint32_t *log, uint32_t *gen)
{
	*type = word & 0xff;
	*log = word >> 16 & 0xffff;
	*gen = word >> 32 & 0xffff;
	if (!word)		/* never used */
		return true;
	return word == zl_seg_word(*type, *log, *gen) && *type <= ZLF_SEG_BAD;
}
