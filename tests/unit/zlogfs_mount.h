/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zlogfs_mount.h - a small zlogfs in a program's memory, mounted by the local transport, whose
 * applier works when it is told to. All of it ends the test where something does not work.
 */
#ifndef ZLOGFS_MOUNT_H
#define ZLOGFS_MOUNT_H

#include <stdint.h>

#include <zus_local.h>

#define ZLOGFS_MEDIA_BYTES	(4ul << 20)
#define ZLOGFS_MEDIA_SLOTS	4u	/* operation slots */

/* Zeroed media, or with an empty filesystem of one log; freed by zlogfs_media_free(). */
void *zlogfs_media_blank(void);
void *zlogfs_media_new(void);
void zlogfs_media_free(void *media);

/* With policy=cow; config: what else is wanted of the mount, or NULL. */
struct zus_local *zlogfs_mount(void *media, const struct zus_local_config *config);

/*
 * Of any mount: a request without arguments, or ZLOGFS_IOC_APPLY until all that is in the log is
 * in the tree.
 */
void zlogfs_ask(struct zus_local *fs, uint32_t cmd);

/* A name in the root; its handle is to be forgotten. */
struct zus_local_entry zlogfs_lookup(struct zus_local *fs, const char *name);

#endif /* ZLOGFS_MOUNT_H */
