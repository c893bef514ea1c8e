// SPDX-License-Identifier: GPL-2.0
/*
 * Inodes: the cache, their identity (ino, gen) and handle, and attributes. The
 * kernel's copy of the attributes is the one that counts, as nobody but this
 * kernel changes them; it is asked for again only where an orphan left it
 * unknown.
 */
#include <linux/pagemap.h>
#include <linux/posix_acl.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/wait_bit.h>
#include <linux/writeback.h>

#include "zuf.h"

static struct kmem_cache *zuf_inode_cache;

static void zuf_inode_ctor(void *object)
{
	struct zuf_inode *zi = object;

	init_rwsem(&zi->layout_sem);
	atomic64_set(&zi->ranges, 0);
	atomic_set(&zi->range_waiters, 0);
	spin_lock_init(&zi->maps_lock);
	INIT_LIST_HEAD(&zi->maps);
	zuf_leases_init(&zi->leases);
	INIT_LIST_HEAD(&zi->epoch_node);
	inode_init_once(&zi->vfs_inode);
}

int __init zuf_inode_cache_init(void)
{
	zuf_inode_cache = kmem_cache_create("zuf_inode", sizeof(struct zuf_inode), 0,
					    SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
					    zuf_inode_ctor);
	return zuf_inode_cache ? 0 : -ENOMEM;
}

void zuf_inode_cache_exit(void)
{
	rcu_barrier();		/* zuf_free_inode() */
	kmem_cache_destroy(zuf_inode_cache);
}

struct inode *zuf_alloc_inode(struct super_block *sb)
{
	struct zuf_inode *zi = alloc_inode_sb(sb, zuf_inode_cache, GFP_KERNEL);

	if (!zi)
		return NULL;
	zi->forget = zuf_forced_alloc(GFP_KERNEL_ACCOUNT);
	if (!zi->forget) {
		kmem_cache_free(zuf_inode_cache, zi);
		return NULL;
	}
	zi->handle = 0;
	zi->gen = 0;
	zi->nlookup = 0;
	zi->change = 0;
	zi->btime = (struct timespec64) {};
	zi->attr_flags = 0;
	zi->projid = 0;
	zi->flags = 0;
	zi->mapped_id = 0;
	atomic_set(&zi->names_seq, 0);
	atomic_set(&zi->orphans, 0);
	zuf_leases_reset(&zi->leases);
	zi->vfs_inode.i_mode = 0;	/* for zuf_free_inode() */
	return &zi->vfs_inode;
}

/* RCU: a path walk may still follow i_link. */
void zuf_free_inode(struct inode *inode)
{
	struct zuf_inode *zi = zuf_i(inode);

	if (zi->forget)
		zuf_forced_free(zi->forget);
	if (S_ISLNK(inode->i_mode))
		kfree(inode->i_link);
	kmem_cache_free(zuf_inode_cache, zi);
}

/* May run in reclaim and in the server's own threads: waits for no answer. */
void zuf_evict_inode(struct inode *inode)
{
	struct zuf_inode *zi = zuf_i(inode);
	struct zuf_forced_msg *msg = zi->forget;

	zuf_data_evict(inode);
	zuf_epoch_forget(inode);
	zuf_recall_forget(inode);
	zuf_leases_drop(inode);
	clear_inode(inode);
	if (!zi->nlookup)
		return;
	msg->wire.op = ZUFS_OP_FORGET;
	msg->wire.inode = zi->handle;
	msg->wire.arg = zi->nlookup;
	zi->forget = NULL;
	zi->nlookup = 0;
	zuf_forced_queue(zuf_mount_of(inode->i_sb), msg);
}

/* -------------------------------------------------------------------- times */

static struct timespec64 time_from_wire(const struct zufs_time *time)
{
	return (struct timespec64) { .tv_sec = time->sec, .tv_nsec = time->nsec };
}

/* One that broke a rule for good goes as soon as nobody uses it. */
int zuf_drop_inode(struct inode *inode)
{
	return test_bit(ZUF_I_BAD, &zuf_i(inode)->flags) || generic_drop_inode(inode);
}

/* --------------------------------------------------------------- attributes */

static umode_t attr_mode(const struct inode *inode, u32 mode)
{
	umode_t perm = mode & 07777;

	if (!zuf_server_trusted(zuf_mount_of(inode->i_sb)->server))
		perm &= ~(S_ISUID | S_ISGID);
	return perm;
}

#define ATTR_KEEP_TIMES		BIT(31)		/* beside ZUFS_SET_* */

static void attr_apply_times(struct inode *inode, const struct zufs_attr *attr, u32 force)
{
	struct timespec64 ctime = time_from_wire(&attr->ctime), old = inode_get_ctime(inode);
	bool owed = test_bit(ZUF_I_TIMES, &zuf_i(inode)->flags) ||
		    inode->i_state & I_DIRTY_TIME;

	lockdep_assert_held(&inode->i_lock);
	if (force & ATTR_KEEP_TIMES)
		return;
	if (!owed || force & ZUFS_SET_ATIME)
		inode_set_atime_to_ts(inode, time_from_wire(&attr->atime));
	if (!S_ISREG(inode->i_mode))
		owed = false;		/* see zuf_times_take_owed() */
	if (!owed || force & ZUFS_SET_MTIME)
		inode_set_mtime_to_ts(inode, time_from_wire(&attr->mtime));
	if (!owed || timespec64_compare(&ctime, &old) > 0)
		inode_set_ctime_to_ts(inode, ctime);
}

/* @force: ZUFS_SET_* of times that were asked for, whatever is owed; or KEEP. */
static void attr_apply(struct inode *inode, const struct zufs_attr *attr, bool set_size, u32 force)
{
	struct zuf_inode *zi = zuf_i(inode);
	umode_t mode = attr_mode(inode, attr->mode);

	spin_lock(&inode->i_lock);
	/* answers to calls that held no common lock may come in any order */
	if (attr->change >= zi->change) {
		zi->change = attr->change;
		inode->i_mode = (inode->i_mode & S_IFMT) | mode;
		i_uid_write(inode, attr->uid);
		i_gid_write(inode, attr->gid);
		set_nlink(inode, attr->nlink);
		inode->i_blocks = attr->blocks_512;
		assign_bit(ZUF_I_NO_XATTRS, &zi->flags, attr->flags & ZUFS_ATTR_NO_XATTRS);
		zi->btime = time_from_wire(&attr->btime);
		zuf_fileattr_apply(inode, attr);
		attr_apply_times(inode, attr, force);
	}
	if (set_size || !S_ISREG(inode->i_mode))
		i_size_write(inode, attr->size_bytes);
	spin_unlock(&inode->i_lock);
	if (is_sxid(mode))
		inode_set_flags(inode, 0, S_NOSEC);
}

void zuf_attr_apply(struct inode *inode, const struct zufs_attr *attr, bool set_size)
{
	attr_apply(inode, attr, set_size, 0);
}

enum zuf_rule zuf_check_getattr(const struct zuf_reply *reply)
{
	const struct inode *live = reply->call ? reply->call->inode[0] : NULL;

	return zuf_check_attr(reply->mount, reply->out, live);
}

static int attr_fetch(struct inode *inode, u32 mask, struct zufs_attr *attr)
{
	struct zufs_getattr_in in = { .inode = zuf_i(inode)->handle, .mask = mask };
	struct zuf_call call = {
		.mount	= zuf_mount_of(inode->i_sb),
		.op	= ZUFS_OP_GETATTR,
		.in	= &in,
		.out	= attr,
		.inode	= { inode },
	};

	return zuf_call_retry(&call);
}

/*
 * An orphan moved the size: nothing beyond it stays mapped. Its truncate had
 * waited for pinned pages before it was sent; what was mapped since are holes.
 */
static int refresh_size(struct inode *inode, loff_t size)
{
	if (size == i_size_read(inode))
		return 0;
	if (down_write_killable(&zuf_i(inode)->layout_sem))
		return -EINTR;
	filemap_invalidate_lock(inode->i_mapping);
	truncate_setsize(inode, size);
	filemap_invalidate_unlock(inode->i_mapping);
	up_write(&zuf_i(inode)->layout_sem);
	return 0;
}

int zuf_refresh(struct inode *inode)
{
	struct zuf_inode *zi = zuf_i(inode);
	struct zufs_attr attr;
	int err;

	if (S_ISREG(inode->i_mode))
		lockdep_assert_held_write(&inode->i_rwsem);
	if (test_bit(ZUF_I_BAD, &zi->flags))
		return -EIO;
	/* cleared first: an orphan that ends meanwhile sets it again */
	if (!test_and_clear_bit(ZUF_I_STALE, &zi->flags))
		return 0;
	err = attr_fetch(inode, STATX_BASIC_STATS, &attr);
	if (!err && S_ISREG(inode->i_mode))
		err = refresh_size(inode, attr.size_bytes);
	if (err)
		set_bit(ZUF_I_STALE, &zi->flags);
	else
		attr_apply(inode, &attr, false, 0);
	return err;
}

/*
 * Without i_rwsem: of a regular file neither the size nor the times, which a
 * write may be about to change.
 */
static int attr_refetch(struct inode *inode, u32 mask)
{
	struct zufs_attr attr;
	int err = attr_fetch(inode, mask, &attr);

	if (!err)
		attr_apply(inode, &attr, false, S_ISREG(inode->i_mode) ? ATTR_KEEP_TIMES : 0);
	return err;
}

int zuf_permission(ZUF_IDMAP *idmap, struct inode *inode, int mask)
{
	struct zuf_inode *zi = zuf_i(inode);
	int err;

	/* here, before the walk takes a lock that a waiting caller may hold */
	if (unlikely(zuf_server_is_current(zuf_mount_of(inode->i_sb)->server)))
		return -EDEADLK;
	if (unlikely(test_bit(ZUF_I_BAD, &zi->flags)))
		return -EIO;
	if (unlikely(test_bit(ZUF_I_STALE, &zi->flags))) {
		if (mask & MAY_NOT_BLOCK)
			return -ECHILD;
		if (S_ISREG(inode->i_mode))
			err = attr_refetch(inode, STATX_BASIC_STATS);
		else
			err = zuf_refresh(inode);
		if (err)
			return err;
	}
	return generic_permission(idmap, inode, mask);
}

static int getattr_stale(struct inode *inode)
{
	int err;

	if (!S_ISREG(inode->i_mode))
		return zuf_refresh(inode);
	err = down_write_killable(&inode->i_rwsem);
	if (err)
		return err;
	err = zuf_refresh(inode);
	inode_unlock(inode);
	return err;
}

int zuf_getattr(ZUF_IDMAP *idmap, const struct path *path, struct kstat *stat,
		u32 request_mask, unsigned int query_flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct zuf_inode *zi = zuf_i(inode);
	int err = 0;

	if (unlikely(test_bit(ZUF_I_BAD, &zi->flags)))
		return -EIO;
	if (unlikely(test_bit(ZUF_I_STALE, &zi->flags)) && !(query_flags & AT_STATX_DONT_SYNC))
		err = getattr_stale(inode);
	else if (unlikely(query_flags & AT_STATX_FORCE_SYNC))
		err = attr_refetch(inode, request_mask);
	if (err)
		return err;
	if (unlikely(test_bit(ZUF_I_PREFETCHED, &zi->flags)))
		zuf_prefetched_used(inode, path->dentry);
	generic_fillattr(idmap, request_mask, inode, stat);
	stat->blksize = ZUFS_BLOCK_BYTES;
	zuf_fileattr_stat(inode, stat);
	if (zi->btime.tv_sec || zi->btime.tv_nsec) {
		stat->btime = zi->btime;
		stat->result_mask |= STATX_BTIME;
	}
	if (request_mask & ZUF_STATX_CHANGE_COOKIE)
		zuf_stat_change(stat, READ_ONCE(zi->change));
	return 0;
}

static void setattr_fill(ZUF_IDMAP *idmap, struct inode *inode, const struct iattr *iattr,
			 struct zufs_setattr_in *in)
{
	struct user_namespace *ns = i_user_ns(inode);
	unsigned int valid = iattr->ia_valid;

	*in = (struct zufs_setattr_in) {
		.inode	= zuf_i(inode)->handle,
		.fh	= valid & ATTR_FILE ? zuf_fh(iattr->ia_file) : 0,
	};
	if (valid & ATTR_MODE) {
		in->valid |= ZUFS_SET_MODE;
		in->mode = (inode->i_mode & S_IFMT) | attr_mode(inode, iattr->ia_mode);
	}
	if (valid & ATTR_UID) {
		in->valid |= ZUFS_SET_UID;
		in->uid = from_kuid(ns, from_vfsuid(idmap, ns, iattr->ia_vfsuid));
	}
	if (valid & ATTR_GID) {
		in->valid |= ZUFS_SET_GID;
		in->gid = from_kgid(ns, from_vfsgid(idmap, ns, iattr->ia_vfsgid));
	}
	if (valid & ATTR_ATIME) {
		in->valid |= ZUFS_SET_ATIME;
		in->atime = zuf_time_to_wire(iattr->ia_atime);
	}
	if (valid & ATTR_MTIME) {
		in->valid |= ZUFS_SET_MTIME;
		in->mtime = zuf_time_to_wire(iattr->ia_mtime);
	}
	if (valid & ATTR_CTIME) {
		in->valid |= ZUFS_SET_CTIME;
		in->ctime = zuf_time_to_wire(iattr->ia_ctime);
	}
	if (!(valid & ATTR_SIZE))
		return;
	in->valid |= ZUFS_SET_SIZE;
	in->size_bytes = iattr->ia_size;
	/* POSIX: truncate marks both when it changes the size; the VFS sets ia_ctime always */
	if (iattr->ia_size != i_size_read(inode) && !(valid & ATTR_MTIME)) {
		in->valid |= ZUFS_SET_MTIME | ZUFS_SET_CTIME;
		in->mtime = zuf_time_to_wire(iattr->ia_ctime);
		in->ctime = in->mtime;
	}
}

static int setattr_send(struct inode *inode, struct zufs_setattr_in *in, struct zufs_attr *attr)
{
	struct zuf_call call = {
		.mount	= zuf_mount_of(inode->i_sb),
		.op	= ZUFS_OP_SETATTR,
		.in	= in,
		.out	= attr,
		.inode	= { inode },
	};

	return zuf_call_retry(&call);
}

int zuf_setattr_send(struct inode *inode, struct zufs_setattr_in *in)
{
	struct zufs_attr attr;
	bool owed;
	int err;

	err = zuf_data_begin(inode);
	if (!err)
		err = zuf_refresh(inode);
	if (!err)
		err = zuf_times_lock(inode);
	if (err)
		return err;
	in->inode = zuf_i(inode)->handle;
	in->valid |= ZUFS_SET_CTIME;
	in->ctime = zuf_time_to_wire(current_time(inode));
	owed = zuf_times_take_owed(inode, in);
	err = setattr_send(inode, in, &attr);
	if (!err)
		attr_apply(inode, &attr, false, in->valid);
	else if (owed)
		mark_inode_dirty_sync(inode);
	zuf_times_unlock(inode);
	return err;
}

int zuf_setattr(ZUF_IDMAP *idmap, struct dentry *dentry, struct iattr *iattr)
{
	struct inode *inode = d_inode(dentry);
	bool resize = iattr->ia_valid & ATTR_SIZE;
	struct zufs_setattr_in in;
	struct zufs_attr attr;
	u32 asked;
	bool owed;
	int err;

	/* of a file that was open before */
	if (IS_IMMUTABLE(inode))
		return -EPERM;
	err = zuf_data_begin(inode);
	if (!err)
		err = zuf_refresh(inode);
	if (!err)
		err = setattr_prepare(idmap, dentry, iattr);
	/* may wait for pinned pages, and writeback waits for the lock of the times */
	if (!err && resize)
		err = zuf_truncate_begin(inode, iattr->ia_size);
	if (err)
		return err;
	err = zuf_times_lock(inode);
	if (err)
		goto out_end;

	setattr_fill(idmap, inode, iattr, &in);
	asked = in.valid;
	owed = zuf_times_take_owed(inode, &in);
	if (resize)
		err = zuf_truncate(inode, &in, &attr);
	else
		err = setattr_send(inode, &in, &attr);
	if (!err)
		attr_apply(inode, &attr, false, asked);
	else if (owed)
		mark_inode_dirty_sync(inode);
	zuf_times_unlock(inode);
	/* the ACL's part of it */
	if (!err && iattr->ia_valid & ATTR_MODE)
		err = zuf_acl_chmod(idmap, dentry, inode->i_mode);
out_end:
	if (resize)
		zuf_truncate_end(inode);
	return err;
}

/* ----------------------------------------------------------------- identity */

static int iget_test(struct inode *inode, void *data)
{
	const struct zufs_entry *entry = data;

	return inode->i_ino == entry->attr.ino && zuf_i(inode)->gen == entry->attr.gen;
}

static int iget_set(struct inode *inode, void *data)
{
	const struct zufs_entry *entry = data;
	struct zuf_inode *zi = zuf_i(inode);

	inode->i_ino = entry->attr.ino;
	inode->i_generation = entry->attr.gen;
	zi->gen = entry->attr.gen;
	zi->handle = entry->handle;
	zi->nlookup = 1;
	return 0;
}

static bool mount_has_t1(struct zuf_mount *mount)
{
	struct zuf_device *device;
	u32 id;

	for (id = 0; (device = zuf_device(mount, id)); id++)
		if (device->info.tier == ZUFS_TIER_T1)
			return true;
	return false;
}

static void inode_fill_regular(struct inode *inode, u32 attr_flags)
{
	inode->i_op = &zuf_file_iops;
	inode->i_fop = &zuf_file_fops;
	inode->i_mapping->a_ops = &zuf_dax_aops;
	/* one or the other for as long as it is in memory */
	if (attr_flags & ZUFS_ATTR_INLINE)
		set_bit(ZUF_I_INLINE, &zuf_i(inode)->flags);
	else if (mount_has_t1(zuf_mount_of(inode->i_sb)))
		inode->i_flags |= S_DAX;
}

static void inode_fill(struct inode *inode, const struct zufs_attr *attr)
{
	inode->i_mode = attr->mode & S_IFMT;
	attr_apply(inode, attr, true, 0);
	if (attr->flags & ZUFS_ATTR_NO_XATTRS)
		cache_no_acl(inode);
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		inode_fill_regular(inode, attr->flags);
		break;
	case S_IFDIR:
		inode->i_op = zuf_mount_of(inode->i_sb)->features & ZUFS_MF_CREATE_OPEN ?
			      &zuf_dir_open_iops : &zuf_dir_iops;
		inode->i_fop = &zuf_dir_fops;
		break;
	case S_IFLNK:
		inode->i_op = &zuf_symlink_iops;
		break;
	default:
		inode->i_op = &zuf_special_iops;
		init_special_inode(inode, inode->i_mode,
				   MKDEV(attr->rdev_major, attr->rdev_minor & MINORMASK));
		break;
	}
}

static struct inode *iget_entry(struct super_block *sb, const struct zufs_entry *entry)
{
	return iget5_locked(sb, entry->attr.ino, iget_test, iget_set, (void *)entry);
}

struct inode *zuf_ilookup(struct super_block *sb, u64 ino, u64 gen)
{
	struct zufs_entry entry = { .attr = { .ino = ino, .gen = gen } };

	return ilookup5(sb, ino, iget_test, &entry);
}

/* A live inode, named again: what the entry brought is one more reference. */
static int iget_known(struct inode *inode, const struct zufs_entry *entry)
{
	struct zuf_inode *zi = zuf_i(inode);

	if (likely(zi->handle == entry->handle)) {
		spin_lock(&inode->i_lock);
		zi->nlookup++;
		spin_unlock(&inode->i_lock);
	} else {
		/* a second name for the same object: the first one is enough */
		zuf_forget_handle(zuf_mount_of(inode->i_sb), entry->handle);
	}
	if (unlikely(inode_wrong_type(inode, entry->attr.mode)))
		set_bit(ZUF_I_BAD, &zi->flags);
	return unlikely(test_bit(ZUF_I_BAD, &zi->flags)) ? -EIO : 0;
}

/* It can be found from now on. Partner: inval_do(), so that one of us sees the other. */
static void iget_check(struct inode *inode, u32 seq)
{
	smp_mb();	/* hashed before the count is read; pairs with inval_do()'s */
	if (unlikely(zuf_inval_seq(inode->i_sb) != seq))
		set_bit(ZUF_I_STALE, &zuf_i(inode)->flags);
}

struct inode *zuf_iget(struct super_block *sb, const struct zufs_entry *entry, u32 seq)
{
	struct inode *inode = iget_entry(sb, entry);
	int err;

	if (!inode) {
		zuf_forget_handle(zuf_mount_of(sb), entry->handle);
		return ERR_PTR(-ENOMEM);
	}
	if (inode->i_state & I_NEW) {
		inode_fill(inode, &entry->attr);
		iget_check(inode, seq);
		unlock_new_inode(inode);
		return inode;
	}
	if (unlikely(inode_wrong_type(inode, entry->attr.mode)))
		zuf_rule_broken(zuf_mount_of(sb), ZUFS_OP_LOOKUP, ZUF_RULE_TYPE);
	err = iget_known(inode, entry);
	if (err) {
		iput(inode);
		return ERR_PTR(err);
	}
	return inode;
}

struct inode *zuf_iget_new(struct super_block *sb, const struct zufs_entry *entry, u16 op,
			   u32 seq)
{
	struct inode *inode = iget_entry(sb, entry);

	if (!inode) {
		zuf_forget_handle(zuf_mount_of(sb), entry->handle);
		return ERR_PTR(-ENOMEM);
	}
	if (!(inode->i_state & I_NEW)) {
		zuf_rule_broken(zuf_mount_of(sb), op, ZUF_RULE_INO);
		iget_known(inode, entry);
		iput(inode);
		return ERR_PTR(-EIO);
	}
	inode_fill(inode, &entry->attr);
	iget_check(inode, seq);
	unlock_new_inode(inode);
	return inode;
}
