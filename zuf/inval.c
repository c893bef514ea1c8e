// SPDX-License-Identifier: GPL-2.0
/*
 * INVALIDATE: what the server changed by itself, so that the kernel forgets what it knew,
 * and tells those who watch. Only queued by the server, and done in the order of queueing
 * by one work of each mount, which takes no lock that a caller holds while it waits for
 * the server: neither waits for the other.
 *
 * An answer may be on its way that is older than the change. Attributes stay STALE when
 * they come (zuf_refresh()); a name that was looked up is dropped again (zuf_names_seq());
 * one that this kernel is just making or moving, under the directory's lock, is dropped
 * once more by a work that waits for the lock.
 */
#include <linux/dcache.h>
#include <linux/fsnotify.h>
#include <linux/posix_acl.h>
#include <linux/slab.h>

#include "namei.h"

struct zuf_inval {
	struct zuf_recall_end end;	/* first: who reads it frees it */
	struct list_head node;		/* mount->invals */
	struct zufs_invalidate wire;
};

struct name_again {
	struct work_struct work;
	struct inode *dir;		/* referenced */
	u32 name_bytes;
	char name[];
};

/* -------------------------------------------------------------------- names */

/* Partner: name_forget(). Before the server is asked what names there are. */
u32 zuf_names_seq(struct inode *dir)
{
	return atomic_read(&zuf_i(dir)->names_seq);
}

/* @dentry is in the cache by an answer to what was asked after @seq. */
void zuf_names_check(struct inode *dir, struct dentry *dentry, u32 seq)
{
	smp_mb();		/* pairs with name_forget(): one of us sees the other */
	if (unlikely(atomic_read(&zuf_i(dir)->names_seq) != seq))
		d_drop(dentry);
}

static void name_drop(struct inode *dir, const char *bytes, u32 name_bytes)
{
	struct qstr name = QSTR_INIT(bytes, name_bytes);
	struct dentry *parent = d_find_any_alias(dir), *dentry;

	if (!parent)
		return;
	name.hash = full_name_hash(parent, name.name, name.len);
	dentry = d_lookup(parent, &name);
	if (dentry) {
		d_invalidate(dentry);
		dput(dentry);
	}
	dput(parent);
}

static void name_again_work(struct work_struct *work)
{
	struct name_again *again = container_of(work, struct name_again, work);
	struct zuf_mount *mount = zuf_mount_of(again->dir->i_sb);

	inode_lock_shared(again->dir);
	name_drop(again->dir, again->name, again->name_bytes);
	inode_unlock_shared(again->dir);
	iput(again->dir);
	kfree(again);
	zuf_recall_drop(mount);
}

static void name_drop_later(struct inode *dir, const struct zufs_invalidate *wire)
{
	struct name_again *again;

	again = kmalloc(struct_size(again, name, wire->name_bytes), GFP_KERNEL | __GFP_NOFAIL);
	INIT_WORK(&again->work, name_again_work);
	ihold(dir);
	again->dir = dir;
	again->name_bytes = wire->name_bytes;
	memcpy(again->name, wire->name, wire->name_bytes);
	zuf_recall_hold(zuf_mount_of(dir->i_sb));
	queue_work(zuf_wq, &again->work);
}

static void name_forget(struct inode *dir, const struct zufs_invalidate *wire)
{
	atomic_inc(&zuf_i(dir)->names_seq);
	smp_mb__after_atomic();		/* pairs with zuf_names_check() */
	name_drop(dir, wire->name, wire->name_bytes);
	if (inode_trylock_shared(dir))
		inode_unlock_shared(dir);
	else
		name_drop_later(dir, wire);
}

/* ------------------------------------------------------------------- inodes */

static void attr_forget(struct inode *inode)
{
	struct zuf_inode *zi = zuf_i(inode);

	spin_lock(&inode->i_lock);
	clear_bit(ZUF_I_NO_XATTRS, &zi->flags);
	spin_unlock(&inode->i_lock);
	inode_set_flags(inode, 0, S_NOSEC);
	set_bit(ZUF_I_STALE, &zi->flags);
	forget_all_cached_acls(inode);
}

/* All names by which it is known; of a directory the one, unless it is the root. */
static void aliases_forget(struct inode *inode)
{
	struct dentry *alias;

	if (S_ISDIR(inode->i_mode)) {
		alias = d_find_any_alias(inode);
		if (alias && !IS_ROOT(alias))
			d_invalidate(alias);
		dput(alias);
		return;
	}
	while ((alias = d_find_alias(inode))) {
		d_invalidate(alias);
		dput(alias);
	}
}

/* ------------------------------------------------------------------- events */

static const u32 event_masks[] = {
	[ZUFS_EVENT_CREATE]	= FS_CREATE,
	[ZUFS_EVENT_DELETE]	= FS_DELETE,
	[ZUFS_EVENT_MOVED_FROM]	= FS_MOVED_FROM,
	[ZUFS_EVENT_MOVED_TO]	= FS_MOVED_TO,
	[ZUFS_EVENT_MODIFY]	= FS_MODIFY,
	[ZUFS_EVENT_ATTRIB]	= FS_ATTRIB,
};

static bool event_is_of_name(u32 event)
{
	return event >= ZUFS_EVENT_CREATE && event <= ZUFS_EVENT_MOVED_TO;
}

/* As the VFS tells of changes by this kernel. @inode: a directory, for names. */
static void event_tell(struct inode *inode, const struct zufs_invalidate *wire)
{
	struct qstr name = QSTR_INIT(wire->name, wire->name_bytes);
	u32 mask = event_masks[wire->event];
	struct inode *child = NULL;
	struct dentry *alias;

	if (wire->flags & ZUFS_INVAL_ISDIR)
		mask |= FS_ISDIR;
	if (event_is_of_name(wire->event)) {
		if (wire->child_ino)
			child = zuf_ilookup(inode->i_sb, wire->child_ino, wire->child_gen);
		fsnotify_name(mask, child ?: inode, FSNOTIFY_EVENT_INODE, inode, &name,
			      wire->event_cookie);
		iput(child);
		return;
	}
	alias = d_find_any_alias(inode);
	if (alias)
		fsnotify_dentry(alias, mask);
	else
		fsnotify_inode(inode, mask);
	dput(alias);
}

/* -------------------------------------------------------------------- queue */

static void inval_do(struct zuf_mount *mount, const struct zufs_invalidate *wire)
{
	struct inode *inode;

	if (wire->flags & (ZUFS_INVAL_ATTR | ZUFS_INVAL_INODE)) {
		atomic_inc(&mount->inval_seq);
		smp_mb__after_atomic();		/* pairs with iget_check() */
	}
	inode = zuf_ilookup(mount->sb, wire->ino, wire->gen);
	if (!inode)
		return;
	if (wire->flags & (ZUFS_INVAL_ATTR | ZUFS_INVAL_INODE))
		attr_forget(inode);
	if (wire->flags & ZUFS_INVAL_LOCKS)
		zuf_locks_wake(inode);
	if (wire->flags & ZUFS_INVAL_NAME && S_ISDIR(inode->i_mode))
		name_forget(inode, wire);
	if (wire->flags & ZUFS_INVAL_INODE)
		aliases_forget(inode);
	if (wire->event && (!event_is_of_name(wire->event) || S_ISDIR(inode->i_mode)))
		event_tell(inode, wire);
	iput(inode);
}

static struct zuf_inval *inval_take(struct zuf_mount *mount)
{
	struct zuf_inval *inval;

	spin_lock(&mount->inval_lock);
	inval = list_first_entry_or_null(&mount->invals, struct zuf_inval, node);
	if (inval)
		list_del(&inval->node);
	spin_unlock(&mount->inval_lock);
	return inval;
}

static void inval_work(struct work_struct *work)
{
	struct zuf_mount *mount = container_of(work, struct zuf_mount, inval_work);
	struct zuf_inval *inval;

	while ((inval = inval_take(mount))) {
		inval_do(mount, &inval->wire);
		/* from here on the superblock may go, but for the next one in the list */
		if (inval->end.cookie) {
			zuf_recall_ended(mount, &inval->end);
		} else {
			kfree(inval);
			zuf_recall_leave(mount);
		}
		cond_resched();
	}
	zuf_mount_put(mount);
}

static bool inval_ok(const struct zufs_invalidate *wire)
{
	const u32 known = ZUFS_INVAL_ATTR | ZUFS_INVAL_NAME | ZUFS_INVAL_INODE |
			  ZUFS_INVAL_ISDIR | ZUFS_INVAL_LOCKS;
	bool named = wire->flags & ZUFS_INVAL_NAME;

	if (!wire->ino || wire->flags & ~known || wire->event >= ARRAY_SIZE(event_masks) ||
	    wire->reserved)
		return false;
	if (event_is_of_name(wire->event) && !named)
		return false;
	return named ? zuf_name_ok(wire->name, wire->name_bytes) : !wire->name_bytes;
}

int zuf_inval_queue(struct zuf_mount *mount, const struct zufs_invalidate *wire)
{
	struct zuf_inval *inval;
	int err;

	if (!(zuf_server_features(mount->server) & ZUFS_FEAT_INVALIDATE))
		return -EOPNOTSUPP;
	if (!inval_ok(wire))
		return -EINVAL;
	inval = kzalloc(sizeof(*inval), GFP_KERNEL_ACCOUNT);
	if (!inval)
		return -ENOMEM;
	err = zuf_recall_enter(mount);
	if (err) {
		kfree(inval);
		return err;
	}
	inval->end.cookie = wire->cookie;
	inval->wire = *wire;
	spin_lock(&mount->inval_lock);
	list_add_tail(&inval->node, &mount->invals);
	spin_unlock(&mount->inval_lock);
	/* the work's reference */
	zuf_mount_get(mount);
	if (!queue_work(zuf_wq, &mount->inval_work))
		zuf_mount_put(mount);
	return 0;
}

void zuf_inval_init(struct zuf_mount *mount)
{
	atomic_set(&mount->inval_seq, 0);
	spin_lock_init(&mount->inval_lock);
	INIT_LIST_HEAD(&mount->invals);
	INIT_WORK(&mount->inval_work, inval_work);
}
