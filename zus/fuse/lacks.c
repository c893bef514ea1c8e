// SPDX-License-Identifier: BSD-3-Clause
/* lacks.c - what FUSE has no way for; docs/fuse.md and the manual page have it from here. */
#include "private.h"

static const struct zus_fuse_lack lacks[] = {
	{ "DAX", "applications map the page cache, not the device; each byte is copied twice" },
	{ "MAP_SYNC", "nothing that is mapped is durable before fsync(2)" },
	{ "leases, write epochs", "nothing of the plugin's maps is kept, so nothing is recalled" },
	{ "O_TMPFILE", "libfuse 3.14 does not pass FUSE_TMPFILE on" },
	{ "statx(2): time of birth, attribute flags", "libfuse 3.14 does not pass FUSE_STATX on" },
	{ "FICLONE, FICLONERANGE, FIDEDUPERANGE", "the kernel has no message for them" },
	{ "fallocate(2): COLLAPSE_RANGE, INSERT_RANGE, UNSHARE_RANGE",
	  "the kernel refuses them before it asks" },
	{ "open(2) with O_CREAT in one call", "a name is looked up before it is made" },
	{ "fanotify(7) of a whole filesystem", "FUSE has no filesystem id" },
	{ "FIEMAP", "the kernel has no message for it" },
	{ "FS_IOC_SHUTDOWN", "the argument that says how is not passed on" },
	{ "FIFREEZE, FITHAW", "the kernel refuses them before it asks" },
	{ "inotify(7), fanotify(7) of what the plugin changed by itself",
	  "what is invalidated makes no event" },
	{ "locks in /proc/locks, locks of directories by the plugin, and whether a lock is an open file's",
	  "FUSE keeps no record, passes none on, and does not say" },
	{ "chattr(1) +i against stores through mappings", "the kernel does not know of it" },
	{ "ACLs of more than 4096 bytes", "the kernel refuses them" },
	{ "security labels of new files", "libfuse 3.14 does not pass them on" },
	{ "f_type of statfs(2)", "it is always FUSE's" },
	{ "sync(2) and syncfs(2) reaching the plugin", "the kernel sends them to virtiofs alone" },
	{ "access times of reads from the page cache", "the plugin does not hear of them" },
	{ "remount with other plugin options", "options go with the mount" },
	{ "idmapped mounts", "libfuse 3.14 does not ask for them" },
};

const struct zus_fuse_lack *zus_fuse_lacks(size_t *count)
{
	*count = sizeof(lacks) / sizeof(lacks[0]);
	return lacks;
}
