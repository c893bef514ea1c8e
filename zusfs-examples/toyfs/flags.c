// SPDX-License-Identifier: BSD-3-Clause
/* flags.c - inode flags as chattr(1) sets them, and project ids. */
#include <errno.h>
#include <sys/stat.h>

#include "toyfs.h"

#define INHERITED	(ZUS_ATTR_NODUMP | ZUS_ATTR_NOATIME | ZUS_ATTR_SYNC)
#define DIR_INHERITED	(INHERITED | ZUS_ATTR_DIRSYNC | ZUS_ATTR_PROJINHERIT)

void toy_flags_inherit(struct toy_inode *ti, struct toy_inode *dir)
{
	struct zus_attr of;

	toy_get_attr(dir, &of);
	ti->attr.flags = of.flags & (S_ISDIR(ti->attr.mode) ? DIR_INHERITED : INHERITED);
	if (of.flags & ZUS_ATTR_PROJINHERIT)
		ti->attr.projid = of.projid;
}

void toy_flags_set(struct zus_attr *attr, const struct zus_setattr *set)
{
	if (set->valid & ZUS_SET_FLAGS)
		attr->flags = set->flags;
	if (set->valid & ZUS_SET_PROJID)
		attr->projid = set->projid;
}

int toy_flags_check(struct toy_inode *ti, struct toy_inode *dir)
{
	struct zus_attr attr, of;

	toy_get_attr(dir, &of);
	toy_get_attr(ti, &attr);
	return of.flags & ZUS_ATTR_PROJINHERIT && of.projid != attr.projid ? -EXDEV : 0;
}
