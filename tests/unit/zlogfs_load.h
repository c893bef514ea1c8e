/* SPDX-License-Identifier: BSD-3-Clause */
/* zlogfs_load.h - zlogfs in a program's memory, without a mount: for tests of its parts. */
#ifndef ZLOGFS_LOAD_H
#define ZLOGFS_LOAD_H

#include "zlogfs.h"

/* Made as said on zeroed memory, and loaded; unload frees both. */
struct zl_fs *zlogfs_load(uint64_t bytes, const struct zl_mkfs *options);
void zlogfs_unload(struct zl_fs *fs);

#endif /* ZLOGFS_LOAD_H */
