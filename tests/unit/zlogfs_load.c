// SPDX-License-Identifier: BSD-3-Clause
/* zlogfs_load.c - see zlogfs_load.h. */
#include <stdlib.h>

#include "unit.h"
#include "zlogfs_load.h"

static void *memory;

struct zl_fs *zlogfs_load(uint64_t bytes, const struct zl_mkfs *options)
{
	struct zl_media media = { .bytes = bytes, .data_off = 4096 };
	struct zl_fs *fs;
	const char *why;

	memory = media.addr = calloc(1, bytes);
	ck_assert_ptr_nonnull(memory);
	ck_assert_msg(!zl_mkfs(&media, 1, options, &why), "mkfs: %s", why);
	fs = zl_fs_new(false, 1);
	ck_assert_ptr_nonnull(fs);
	ck_assert_int_eq(zl_fs_load(fs, &media, 1), 0);
	return fs;
}

void zlogfs_unload(struct zl_fs *fs)
{
	zl_fs_free(fs);
	free(memory);
}
