// SPDX-License-Identifier: BSD-3-Clause
/*
 * acl.c - what a new inode takes from its directory, and how mode and ACL follow each
 * other: the kernel obeys ACLs that FUSE filesystems keep, but leaves this to them. acl(5)
 * has the rules.
 */
#include <endian.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ops.h"

/* In the form in which it is kept; count 0: none. */
struct acl {
	uint32_t count;
	struct posix_acl_xattr_header *head;
	struct posix_acl_xattr_entry *entry;
};

static size_t acl_bytes(const struct acl *acl)
{
	return sizeof(*acl->head) + acl->count * sizeof(*acl->entry);
}

/* value is acl's from now on. */
static int acl_take(struct acl *acl, void *value, size_t bytes)
{
	acl->head = value;
	acl->entry = (struct posix_acl_xattr_entry *)(void *)(acl->head + 1);
	acl->count = 0;
	if (bytes < sizeof(*acl->head) || (bytes - sizeof(*acl->head)) % sizeof(*acl->entry) ||
	    le32toh(acl->head->a_version) != POSIX_ACL_XATTR_VERSION)
		return -EINVAL;
	acl->count = (uint32_t)((bytes - sizeof(*acl->head)) / sizeof(*acl->entry));
	return 0;
}

static int acl_get(struct zf_call *call, uint64_t handle, const char *name, struct acl *acl)
{
	char *value;
	ssize_t bytes;

	*acl = (struct acl) { .count = 0 };
	if (!zf_has(call->fuse, ZUS_MF_ACLS))
		return 0;
	value = malloc(ZUFS_XATTR_VALUE_MAX_BYTES);
	if (!value)
		return -ENOMEM;
	bytes = zus_handle_getxattr(call->local, handle, name, value, ZUFS_XATTR_VALUE_MAX_BYTES);
	if (bytes >= 0)
		return acl_take(acl, value, (size_t)bytes);
	free(value);
	return bytes == -ENODATA || bytes == -EOPNOTSUPP ? 0 : (int)bytes;
}

/* The one of that tag, of which an ACL has at most one; NULL: none. */
static struct posix_acl_xattr_entry *find(const struct acl *acl, uint16_t tag)
{
	uint32_t i;

	for (i = 0; i < acl->count; i++)
		if (le16toh(acl->entry[i].e_tag) == tag)
			return &acl->entry[i];
	return NULL;
}

static uint32_t perm(const struct posix_acl_xattr_entry *entry)
{
	return entry ? le16toh(entry->e_perm) & 7u : 0;
}

static void set_perm(struct posix_acl_xattr_entry *entry, uint32_t bits)
{
	if (entry)
		entry->e_perm = htole16((uint16_t)(bits & 7u));
}

/* What stands for the group in the mode. */
static struct posix_acl_xattr_entry *group_class(const struct acl *acl)
{
	struct posix_acl_xattr_entry *mask = find(acl, ACL_MASK);

	return mask ? mask : find(acl, ACL_GROUP_OBJ);
}

static uint32_t acl_mode(const struct acl *acl)
{
	return perm(find(acl, ACL_USER_OBJ)) << 6 | perm(group_class(acl)) << 3 |
	       perm(find(acl, ACL_OTHER));
}

/* It says no more than a mode can. */
static bool minimal(const struct acl *acl)
{
	return !find(acl, ACL_MASK) && !find(acl, ACL_USER) && !find(acl, ACL_GROUP);
}

static void acl_follow(struct acl *acl, uint32_t mode)
{
	set_perm(find(acl, ACL_USER_OBJ), mode >> 6);
	set_perm(group_class(acl), mode >> 3);
	set_perm(find(acl, ACL_OTHER), mode);
}

/* ------------------------------------------------------------------ new inodes */

static void add_xattr(struct zf_new *new, const char *name, void *value, size_t bytes)
{
	struct zus_xattr *xattr = &new->xattrs[new->args.num_xattrs];

	*xattr = (struct zus_xattr) { zf_name(name), value, (uint32_t)bytes };
	new->values[new->args.num_xattrs++] = value;
	new->args.xattrs = new->xattrs;
}

/* The directory's default ACL is what the new one's access ACL begins as. */
static int inherit(struct zf_new *new, struct acl *acl)
{
	size_t bytes = acl_bytes(acl);
	void *copy = malloc(bytes);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, acl->head, bytes);
	if (S_ISDIR(new->args.mode)) {
		add_xattr(new, ZUS_XATTR_ACL_DEFAULT, copy, bytes);
		copy = malloc(bytes);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, acl->head, bytes);
	}
	acl_take(acl, copy, bytes);
	new->args.mode &= acl_mode(acl) | ~0777u;
	acl_follow(acl, new->args.mode);
	if (minimal(acl))
		free(copy);
	else
		add_xattr(new, ZUS_XATTR_ACL_ACCESS, copy, bytes);
	return 0;
}

int zf_new_init(struct zf_call *call, struct zf_new *new, fuse_ino_t parent, const char *name,
		uint32_t mode)
{
	uint64_t dir = zf_node_handle(call->fuse, parent);
	struct zus_attr attr;
	struct acl acl = { .count = 0 };
	void *value;
	int err = dir ? zf_may(call, dir, ZF_ADD_NAME) : -ESTALE;

	if (!err)
		err = zus_handle_getattr(call->local, dir, &attr);
	*new = (struct zf_new) {
		.dir = dir,
		.args = {
			.name = zf_name(name), .now = zf_now(), .mode = mode,
			.uid = call->caller.uid, .gid = call->caller.gid,
		},
	};
	if (!err && !S_ISLNK(mode) && !(attr.flags & ZUS_ATTR_NO_XATTRS))
		err = acl_get(call, dir, ZUS_XATTR_ACL_DEFAULT, &acl);
	if (err)
		return err;
	if (attr.mode & S_ISGID) {
		new->args.gid = attr.gid;
		new->args.mode |= S_ISDIR(mode) ? S_ISGID : 0;
	}
	value = acl.head;
	if (acl.count)
		err = inherit(new, &acl);
	else if (!S_ISLNK(mode))
		new->args.mode &= ~(fuse_req_ctx(call->req)->umask & 0777);
	free(value);
	if (err)
		zf_new_end(new);
	return err;
}

void zf_new_end(struct zf_new *new)
{
	uint32_t i;

	for (i = 0; i < new->args.num_xattrs; i++)
		free(new->values[i]);
	new->args.num_xattrs = 0;
}

/* ------------------------------------------------------------------------ changes */

int zf_acl_chmod(struct zf_call *call, uint64_t handle, uint32_t mode)
{
	struct acl acl;
	int err = acl_get(call, handle, ZUS_XATTR_ACL_ACCESS, &acl);

	if (!err && acl.count) {
		acl_follow(&acl, mode);
		err = zus_handle_setxattr(call->local, handle, ZUS_XATTR_ACL_ACCESS, acl.head,
					  acl_bytes(&acl), 0, 0);
	}
	free(acl.head);
	return err;
}

/* Who is not of the group gives nobody its rights. */
static bool keeps_sgid(struct zf_call *call, uint32_t gid)
{
	gid_t groups[1024];
	int count, i;

	if (call->caller.gid == gid || zf_capable(call, CAP_FSETID))
		return true;
	count = fuse_req_getgroups(call->req, 1024, groups);
	for (i = 0; i < count && i < 1024; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

int zf_acl_set(struct zf_call *call, uint64_t handle, const void *value, size_t bytes,
	       uint32_t *mode)
{
	struct zus_attr attr;
	struct acl acl;
	void *copy;
	int err = zus_handle_getattr(call->local, handle, &attr);

	if (err)
		return err;
	copy = malloc(bytes ? bytes : 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, value, bytes);
	err = acl_take(&acl, copy, bytes);
	if (!err) {
		*mode = (attr.mode & 07000) | acl_mode(&acl);
		if (!keeps_sgid(call, attr.gid))
			*mode &= ~(uint32_t)S_ISGID;
		err = ZUS_XATTR_MODE | (minimal(&acl) ? ZUS_XATTR_REMOVE : 0);
	}
	free(copy);
	return err;
}
