// SPDX-License-Identifier: BSD-3-Clause
/* freeze.c - a check has failed at run time: from then on nothing is stored, and reads go on. */
#include <errno.h>
#include <inttypes.h>

#include "zlogfs.h"

int zl_freeze(struct zl_fs *fs, const char *why, uint64_t where)
{
	uint32_t i;

	if (__atomic_exchange_n(&fs->frozen, true, __ATOMIC_ACQ_REL))
		return -EIO;
	for (i = 0; i < fs->num_devs; i++)
		zl_pm_freeze(&fs->devs[i].pm);
	zus_log(ZUS_LOG_ERR, "zlogfs: %s is damaged (%#" PRIx64 "): nothing is written any more; "
		"unmount it and run fsck.zlogfs", why, where);
	return -EIO;
}
