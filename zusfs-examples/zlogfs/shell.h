/* SPDX-License-Identifier: BSD-3-Clause */
/* shell.h - what runs by itself beside the operations: one thread a mount. */
#ifndef ZLOGFS_SHELL_H
#define ZLOGFS_SHELL_H

#include "zlogfs.h"

/* Apply what waits, and make checkpoints, until stop, which may be called twice. */
int zl_shell_start(struct zl_fs *fs);
void zl_shell_stop(struct zl_fs *fs);

/* A mount ends: what is still queued is in the log, or nobody wants it. */
void zl_work_drop(struct zl_fs *fs);

#endif /* ZLOGFS_SHELL_H */
