/* SPDX-License-Identifier: BSD-3-Clause */
/* media.h - devices and files as fsck.zlogfs and dump.zlogfs read them. */
#ifndef ZLOGFS_MEDIA_H
#define ZLOGFS_MEDIA_H

#include "zlogfs.h"

struct zl_media_set {
	const char *paths[ZLF_MAX_DEVICES];
	struct zl_media media[ZLF_MAX_DEVICES];
	uint32_t num;
};

/*
 * Each is opened for reading and mapped so that stores stay here. They come in the order that
 * their superblocks say. data_off: 0: where the device table says, or a superblock is. 0, or
 * the message is on standard error, behind name.
 */
int zl_media_open(struct zl_media_set *set, const char *name, char **paths, int num,
		  uint64_t data_off);
void zl_media_close(struct zl_media_set *set);

/* A string as JSON has it, with its quotes. */
void zl_json_string(const char *text);

#endif /* ZLOGFS_MEDIA_H */
