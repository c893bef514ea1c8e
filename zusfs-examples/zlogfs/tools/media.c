// SPDX-License-Identifier: BSD-3-Clause
/* media.c - devices and files as fsck.zlogfs and dump.zlogfs read them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zufs_media.h>
#include <zus_server.h>

#include "media.h"

#define LOOK_BYTES	(4ull << 20)	/* for a superblock, where no table is */

void zl_json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

/* The device table's word on where the filesystem begins; else a superblock's place. */
static void find_begin(struct zl_media *media, int fd)
{
	const struct zlf_super *super;
	struct zufs_devtable table;
	uint64_t off, bytes = media->bytes;
	uint32_t copy, self;

	if (!zus_devtable_read(fd, bytes, &table, &copy)) {
		self = le32toh(table.self);
		media->data_off = le64toh(table.dev[self].data_off);
		media->bytes = le64toh(table.dev[self].size_bytes);
		return;
	}
	for (off = 0; off < LOOK_BYTES && off + 2 * ZLF_BLOCK_BYTES <= bytes; off += ZLF_BLOCK_BYTES) {
		super = (const void *)((const uint8_t *)media->addr + off);
		if (zl_get64(super->magic) == ZLF_MAGIC) {
			media->data_off = off;
			return;
		}
	}
	/* the first copy is gone: what the other says is behind it */
	super = (const void *)((const uint8_t *)media->addr + bytes - ZLF_BLOCK_BYTES);
	off = zl_get64(super->ring_off ? super->ring_off : super->table_off);
	if (zl_super_valid(super) && off >= ZLF_BLOCK_BYTES && off < bytes)
		media->data_off = off - ZLF_BLOCK_BYTES;
}

static int open_one(struct zl_media *media, const char *name, const char *path, uint64_t data_off)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "%s: %s: %s\n", name, path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	media->bytes = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &media->bytes))
		media->bytes = 0;
	media->bytes -= media->bytes % ZLF_BLOCK_BYTES;
	if (media->bytes < 2 * ZLF_BLOCK_BYTES) {
		fprintf(stderr, "%s: %s is too small for a zlogfs\n", name, path);
		close(fd);
		return -1;
	}
	media->addr = mmap(NULL, media->bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_NORESERVE, fd, 0);
	if (media->addr == MAP_FAILED) {
		fprintf(stderr, "%s: %s cannot be mapped: %s\n", name, path, strerror(errno));
		media->addr = NULL;
		close(fd);
		return -1;
	}
	if (data_off)
		media->data_off = data_off;
	else
		find_begin(media, fd);
	close(fd);
	return 0;
}

static uint32_t place_of(const struct zl_media *media)
{
	const uint8_t *base = media->addr;
	const struct zlf_super *front = (const void *)(base + media->data_off);
	const struct zlf_super *back = (const void *)(base + media->bytes - ZLF_BLOCK_BYTES);

	if (media->data_off > media->bytes - ZLF_BLOCK_BYTES)
		return UINT32_MAX;
	return zl_super_valid(front) ? zl_get32(front->device) :
	       zl_super_valid(back) ? zl_get32(back->device) : UINT32_MAX;
}

/* By number, and as given where that says nothing. */
static void sort(struct zl_media_set *set)
{
	struct zl_media media;
	const char *path;
	uint32_t i, j;

	for (i = 1; i < set->num; i++) {
		media = set->media[i];
		path = set->paths[i];
		for (j = i; j && place_of(&set->media[j - 1]) > place_of(&media); j--) {
			set->media[j] = set->media[j - 1];
			set->paths[j] = set->paths[j - 1];
		}
		set->media[j] = media;
		set->paths[j] = path;
	}
}

int zl_media_open(struct zl_media_set *set, const char *name, char **paths, int num,
		  uint64_t data_off)
{
	int i;

	memset(set, 0, sizeof(*set));
	for (i = 0; i < num; i++) {
		set->paths[i] = paths[i];
		if (open_one(&set->media[i], name, paths[i], data_off)) {
			zl_media_close(set);
			return -1;
		}
		set->num++;
	}
	sort(set);
	return 0;
}

void zl_media_close(struct zl_media_set *set)
{
	while (set->num) {
		set->num--;
		munmap(set->media[set->num].addr, set->media[set->num].bytes);
	}
}
