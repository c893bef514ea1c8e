/* SPDX-License-Identifier: BSD-3-Clause */
/* devices.h - the devices and files that zusfuse is given. */
#ifndef ZUSFUSE_DEVICES_H
#define ZUSFUSE_DEVICES_H

#include <zus_api.h>
#include <zus_local.h>

struct devices {
	struct zus_local_device device[ZUFS_DEVICES_MAX];
	uint32_t count;
	uint8_t fs_uuid[16];
};

/*
 * Opens count of them, for nobody else, as long as this process lives, and brings them into
 * the order of their tables. 0, or why not is in the log. With may_lose also such where what
 * is stored is durable only when a file has been written back.
 */
int devices_open(struct devices *devices, const struct zus_plugin *plugin, char *const *paths,
		 uint32_t count, int may_lose);

#endif /* ZUSFUSE_DEVICES_H */
