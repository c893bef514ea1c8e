// SPDX-License-Identifier: BSD-3-Clause
/* zlogfs_mount.c - see zlogfs_mount.h. */
#include <string.h>
#include <sys/mman.h>

#include "unit.h"
#include "zlogfs.h"
#include "zlogfs_ioctl.h"
#include "zlogfs_mount.h"

#define DATA_OFF_BYTES	4096u
#define APPLY_MOST	64u	/* records at a time */

void *zlogfs_media_blank(void)
{
	void *media = mmap(NULL, ZLOGFS_MEDIA_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(media, MAP_FAILED);
	return media;
}

void *zlogfs_media_new(void)
{
	const struct zl_mkfs how = {
		.segment_shift = 14, .node_lines = 16, .num_logs = 1,
		.num_slots = ZLOGFS_MEDIA_SLOTS, .unapplied_max_bytes = 65536, .fs_uuid = { 1 },
	};
	struct zl_media one = { .bytes = ZLOGFS_MEDIA_BYTES, .data_off = DATA_OFF_BYTES };
	const char *why;

	one.addr = zlogfs_media_blank();
	ck_assert_msg(!zl_mkfs(&one, 1, &how, &why), "mkfs: %s", why);
	return one.addr;
}

void zlogfs_media_free(void *media)
{
	munmap(media, ZLOGFS_MEDIA_BYTES);
}

struct zus_local *zlogfs_mount(void *media, const struct zus_local_config *config)
{
	const struct zus_local_device device = {
		.size_bytes = ZLOGFS_MEDIA_BYTES, .data_off = DATA_OFF_BYTES, .memory = media,
	};
	struct zus_local_config with = config ? *config : (struct zus_local_config) { .flags = 0 };
	struct zus_local *fs;

	with.plugin = unit_plugin("zlogfs");
	with.options = "steps=manual,policy=cow";
	with.devices = &device;
	with.num_devices = 1;
	ck_assert_int_eq(zus_local_mount(&with, &fs), 0);
	return fs;
}

void zlogfs_ask(struct zus_local *fs, uint32_t cmd)
{
	uint32_t most = APPLY_MOST;
	struct zus_ioctl args = { .cmd = cmd, .flags = ZUS_IOCTL_ADMIN };
	struct zus_local_file *root;
	int32_t more;

	if (cmd == ZLOGFS_IOC_APPLY) {
		args.in = &most;
		args.in_bytes = sizeof(most);
	}
	ck_assert_int_eq(zus_local_open(fs, "/", &root), 0);
	do
		ck_assert_int_eq(zus_local_ioctl(root, &args, &more), 0);
	while (cmd == ZLOGFS_IOC_APPLY && more > 0);
	zus_local_close(root);
}

struct zus_local_entry zlogfs_lookup(struct zus_local *fs, const char *name)
{
	const struct zus_name in_root = { name, (uint32_t)strlen(name) };
	struct zus_local_entry entry = { .handle = 0 };
	struct zus_local_info info;

	zus_local_info(fs, &info);
	ck_assert_int_eq(zus_handle_lookup(fs, info.root.handle, &in_root, &entry), 0);
	return entry;
}
