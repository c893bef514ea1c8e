/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Objects of the zuf module, and what its files offer each other.
 *
 * server   an open of /dev/zuf, bound to the mm of its opener
 * type     a file_system_type in a static slot, served by one server at a time
 * mount    a superblock's relay state; outlives the superblock while a request
 *          or a mount file needs it
 * channel  two regions and one request; belongs to one CPU and one thread
 * call     a caller's side of a request; lives on its stack
 * orphan   what a caller that had to leave hands over to the request
 *
 * Order of locks: docs/locking.md.
 */
#ifndef ZUF_ZUF_H
#define ZUF_ZUF_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/kobject.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mmu_notifier.h>
#include <linux/rwsem.h>
#include <linux/siphash.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "zus_api.h"
#include "zufs_media.h"
#include "compat.h"
#include "epoch.h"
#include "lease.h"
#include "point.h"

#define ZUF_SUPER_MAGIC		0x7a756673	/* "zufs" */

struct zuf_call;
struct zuf_channel;
struct zuf_device;
struct zuf_locks;
struct zuf_map;
struct zuf_mount;
struct zuf_orphan;
struct zuf_server;
struct zuf_slots;
struct zuf_type;

/* ------------------------------------------------------------ reply: rules */

/* What a reply may break. Counted by mount under zuf_rule_names[]. */
enum zuf_rule {
	ZUF_RULE_OK,
	ZUF_RULE_ID,		/* answers another request */
	ZUF_RULE_ERR,		/* err outside ZUFS_ERR_MIN..0 */
	ZUF_RULE_SIZE,		/* part lengths beyond what was asked or fits */
	ZUF_RULE_HANDLE,	/* handle 0 */
	ZUF_RULE_INO,		/* ino 0 */
	ZUF_RULE_TYPE,		/* unknown type, or a live inode's type changed */
	ZUF_RULE_LOOP,		/* names the root or an ancestor as a child */
	ZUF_RULE_FILE_SIZE,	/* beyond the mount's largest file */
	ZUF_RULE_TIME,		/* nanoseconds */
	ZUF_RULE_OWNER,		/* id without a mapping */
	ZUF_RULE_NLINK,
	ZUF_RULE_NAME,		/* length, '/', NUL, "." or ".." */
	ZUF_RULE_COOKIE,
	ZUF_RULE_SYMLINK,	/* length or NUL */
	ZUF_RULE_EXTENT_RANGE,	/* gap, overlap, first byte not covered */
	ZUF_RULE_EXTENT_ALIGN,
	ZUF_RULE_EXTENT_DEVICE,	/* unknown device, or outside of it */
	ZUF_RULE_EXTENT_TYPE,
	ZUF_RULE_WRITTEN,	/* more written than asked */
	ZUF_RULE_MOUNT,		/* mount reply: features, limits */
	ZUF_RULE_EPOCH,		/* of a map: none that the mount has had */
	ZUF_RULE_WORD,		/* where it is, or what is there, or for what map */
	ZUF_RULE_STAY,		/* a map moved what is in use */
	ZUF_RULE_XATTR,		/* lengths, names, or an ACL that is none */
	ZUF_RULE_LOCK,		/* a conflict that is none, or a grant that is one */
	ZUF_RULE_COUNT,
};

extern const char *const zuf_rule_names[ZUF_RULE_COUNT];

/*
 * What a check sees: the snapshot, never the region. The inodes are those of
 * the call. Runs in the replying thread; may sleep; takes no inode lock.
 */
struct zuf_reply {
	const struct zuf_call *call;
	struct zuf_mount *mount;
	void *out;		/* fixed part, zero-filled to the op's out_bytes */
	void *buf;		/* payload, as copied */
	u32 buf_bytes;
};

struct zuf_op {
	const char *name;
	u16 in_bytes;		/* fixed parts */
	u16 out_bytes;
	u16 flags;		/* ZUF_OPF_* */
	enum zuf_rule (*check)(const struct zuf_reply *reply);
	/* what must be done before anything that the server says later */
	void (*take)(const struct zuf_reply *reply);
	/* an orphan's late success: takes back what it gave out, ends what it ended */
	void (*undo)(struct zuf_orphan *orphan, const void *out);
	/* the same of its payload, in the server's region; in the replying thread */
	void (*undo_payload)(struct zuf_mount *mount, const void *in, const void *payload,
			     u32 bytes);
};

#define ZUF_OPF_CHANGES		BIT(0) /* takes an operation slot */
#define ZUF_OPF_SETTLES		BIT(1) /* ends what was begun: after a shutdown too */

extern const struct zuf_op zuf_ops[ZUFS_OP_COUNT];

/* Pieces of checks (reply.c), for the checks beside their operations. */
enum zuf_rule zuf_check_attr(struct zuf_mount *mount, const struct zufs_attr *attr,
			     const struct inode *live);
enum zuf_rule zuf_check_entry(struct zuf_mount *mount, const struct zufs_entry *entry,
			      const struct inode *dir);
bool zuf_name_ok(const char *name, u32 name_bytes);
void zuf_rule_broken(struct zuf_mount *mount, u16 op, enum zuf_rule rule);

/* Checks and undos, beside their operations; zuf_ops[] in reply.c names them. */
enum zuf_rule zuf_check_mount(const struct zuf_reply *reply);	/* super.c */
enum zuf_rule zuf_check_statfs(const struct zuf_reply *reply);
enum zuf_rule zuf_check_lookup(const struct zuf_reply *reply);	/* namei.c */
enum zuf_rule zuf_check_create_open(const struct zuf_reply *reply);
enum zuf_rule zuf_check_create(const struct zuf_reply *reply);	/* create.c */
enum zuf_rule zuf_check_tmpfile(const struct zuf_reply *reply);
enum zuf_rule zuf_check_link(const struct zuf_reply *reply);
enum zuf_rule zuf_check_rename(const struct zuf_reply *reply);
enum zuf_rule zuf_check_readlink(const struct zuf_reply *reply);
enum zuf_rule zuf_check_readdir(const struct zuf_reply *reply);	/* dir.c */
enum zuf_rule zuf_check_getattr(const struct zuf_reply *reply);	/* inode.c */
enum zuf_rule zuf_check_getxattr(const struct zuf_reply *reply);	/* xattr.c */
enum zuf_rule zuf_check_listxattr(const struct zuf_reply *reply);
enum zuf_rule zuf_check_copy(const struct zuf_reply *reply);	/* copy.c */
enum zuf_rule zuf_check_ioctl(const struct zuf_reply *reply);	/* ioctl.c */
enum zuf_rule zuf_check_lock(const struct zuf_reply *reply);	/* locks.c */
enum zuf_rule zuf_check_iget(const struct zuf_reply *reply);	/* export.c */
enum zuf_rule zuf_check_parent(const struct zuf_reply *reply);
enum zuf_rule zuf_check_map(const struct zuf_reply *reply);	/* map_check.c */
enum zuf_rule zuf_check_map_done(const struct zuf_reply *reply);
enum zuf_rule zuf_check_write(const struct zuf_reply *reply);	/* inline.c */
void zuf_take_map(const struct zuf_reply *reply);		/* map.c */
void zuf_undo_mount(struct zuf_orphan *orphan, const void *out);
void zuf_undo_lookup(struct zuf_orphan *orphan, const void *out);
void zuf_undo_create_open(struct zuf_orphan *orphan, const void *out);
void zuf_undo_create(struct zuf_orphan *orphan, const void *out);
void zuf_undo_remove(struct zuf_orphan *orphan, const void *out);
void zuf_undo_rename(struct zuf_orphan *orphan, const void *out);
void zuf_undo_readdir(struct zuf_mount *mount, const void *in, const void *payload, u32 bytes);
void zuf_undo_setxattr(struct zuf_orphan *orphan, const void *out); /* xattr.c */
void zuf_undo_open(struct zuf_orphan *orphan, const void *out);	/* open.c */
void zuf_undo_lock(struct zuf_orphan *orphan, const void *out);	/* locks.c */
void zuf_undo_map(struct zuf_orphan *orphan, const void *out);

/* --------------------------------------------------------------- call (call.c) */

#define ZUF_CALL_INODES		4
#define ZUF_CALL_DENTRIES	2

/*
 * One operation, as its caller sees it. Zero-initialised; on the caller's
 * stack. While it is out the replying thread reads @in, @inode, @reply_max and
 * writes @out, @reply_buf, @reply_bytes; a caller that must leave earlier turns
 * the request into an orphan, and then nobody touches the call any more.
 */
struct zuf_call {
	struct zuf_mount *mount;
	u16 op;
	u16 flags;			/* ZUF_CALL_* */
	const void *in;			/* fixed part, zuf_ops[op].in_bytes */
	void *out;			/* zuf_ops[op].out_bytes, or NULL */
	struct kvec seg[3];		/* payload, kernel memory, in this order */
	u32 num_segs;
	u32 iter_bytes;			/* then this much of */
	struct iov_iter *iter;		/* user memory; see zuf_call() */
	void *reply_buf;		/* kernel memory for the reply's payload */
	u32 reply_max;
	u32 reply_bytes;		/* payload that came */
	struct inode *inode[ZUF_CALL_INODES];	/* whom it names; caller's refs */
	struct dentry *dentry[ZUF_CALL_DENTRIES]; /* names that it changes */
	u64 id;				/* out: of the request */
	u64 op_seq;			/* out: its operation id, if it has one */
	u32 op_slot;
	struct zuf_map *map;		/* MAP of data on devices: takes the answer */
};

#define ZUF_CALL_KERNEL		BIT(0) /* from a worker: waits until answered */
#define ZUF_CALL_RECLAIM	BIT(1) /* ZUFS_REQ_RECLAIM */
#define ZUF_CALL_MOUNTING	BIT(2) /* deadline of at least 30 s */
#define ZUF_CALL_LAST		BIT(3) /* UMOUNT: an orphan of it holds no superblock */

/*
 * Send @call to the mount's server and wait for the answer.
 *
 * Context: process; may sleep; the caller may hold s_umount, the rename mutex,
 * i_rwsem, a zuf_inode's layout_sem, mmap_lock and superblock write counts, and
 * no invalidate_lock, DAX entry or spinlock (checked in debug builds).
 *
 * Return: 0, the server's error, or: -EIO (server lost, mount aborted, or the
 * reply broke a rule), -EINTR (a fatal signal: nothing is known of the
 * outcome, the request is an orphan), -ETIMEDOUT (deadline: the same),
 * -EDEADLK (caller belongs to the server), -EFAULT (@iter not resident:
 * nothing was sent, fault it in and call again), -EAGAIN (the server asks to
 * be asked again soon: ZUFS_REPLY_BUSY_RETRY), -ZUF_ELOCKED (LOCK: the server's
 * EAGAIN). With -EINTR and -ETIMEDOUT an id of 0 says that nothing was sent.
 */
#define ZUF_ELOCKED	EJUKEBOX	/* one that no server can answer */
int zuf_call(struct zuf_call *call);
/* The same, repeated while the server is busy, or once more for space (map.c). */
int zuf_call_retry(struct zuf_call *call);
/*
 * Before an operation reads or changes what @inode holds, with the operation's
 * locks: nothing pending may change it, and it is neither bad nor the calling
 * server's own. -EIO, -EDEADLK, -EINTR (map.c).
 */
int zuf_data_begin(struct inode *inode);

/* ------------------------------------------------------------ channel (channel.c) */

/* State of a channel's request; moves by cmpxchg only. */
enum zuf_req_state {
	ZUF_REQ_PARKED,		/* no thread that could take a request */
	ZUF_REQ_FREE,
	ZUF_REQ_CLAIMED,	/* a caller owns and fills it */
	ZUF_REQ_SENT,		/* the server's */
	ZUF_REQ_REPLYING,	/* its thread copies the answer out */
	ZUF_REQ_DONE,		/* the caller's again, until it sets FREE */
	ZUF_REQ_ORPHAN,		/* sent, and its caller has gone */
	ZUF_REQ_DEAD,		/* the server has gone: never free again */
};

/* ------------------------------------------------------- forced messages (forced.c) */

/*
 * A message that must go: embedded in what it speaks of, or allocated before
 * the point of no return, so that queueing it never waits and never fails.
 */
struct zuf_forced_msg {
	struct llist_node node;
	struct zuf_mount *mount;	/* referenced while queued */
	void (*free)(struct zuf_forced_msg *msg); /* after it was sent or dropped */
	struct zufs_forced wire;
};

/* Takes @msg over. @wire's op, inode and arguments are filled in; any context. */
void zuf_forced_queue(struct zuf_mount *mount, struct zuf_forced_msg *msg);
/* Allocates, fills FORGET and queues: for handles that found no inode. */
void zuf_forget_handle(struct zuf_mount *mount, u64 handle);
struct zuf_forced_msg *zuf_forced_alloc(gfp_t gfp);	/* ->free set */
void zuf_forced_free(struct zuf_forced_msg *msg);
/* Waits until everything queued for @mount so far has been sent or dropped. */
void zuf_forced_flush(struct zuf_mount *mount);

/* ---------------------------------------------------------------- orphan (orphan.c) */

/* Frees channels, ends orphans and own unmounts; may be needed by reclaim. */
extern struct workqueue_struct *zuf_wq;

/*
 * Owns what a late reply still touches. Its completion runs in a worker, since
 * the last reference to a superblock may be among what it drops.
 */
struct zuf_orphan {
	struct work_struct work;
	refcount_t ref;			/* the channel's, and the work's */
	int ended;			/* xchg: who sets it queues the work */
	bool aborted;			/* nothing is undone */
	struct zuf_mount *mount;	/* referenced */
	struct super_block *sb;		/* active reference, or NULL */
	u16 op;
	u16 flags;			/* ZUF_CALL_* */
	int err;			/* late answer */
	u64 id;
	u32 op_slot;
	bool changes;			/* counted in its inodes' orphans */
	struct inode *inode[ZUF_CALL_INODES];
	struct dentry *dentry[ZUF_CALL_DENTRIES];
	union {				/* what was asked */
		struct zufs_map_in map;
		struct zufs_lock_in lock;
	};
	u64 handle;			/* OPEN: the inode's */
	struct list_head list;		/* mount->orphans, under orphan_lock */
	u8 out[sizeof(struct zufs_rename_out)];
};

/*
 * Wait, killably, until no orphan may still change @inode. Called with the
 * locks of the operation held, before it is sent. 0, -EINTR, or -ETIMEDOUT by
 * the mount's deadline.
 */
int zuf_orphan_wait(struct inode *inode);

/* ------------------------------------------------------------------ server, type */

enum zuf_server_state {
	ZUF_SERVER_NEW,		/* before HELLO */
	ZUF_SERVER_LIVE,
	ZUF_SERVER_STOPPING,	/* WAIT returns ESHUTDOWN */
	ZUF_SERVER_DEAD,
};

/* fstype.c */
struct zuf_type {
	struct file_system_type fs;	/* first; static, never freed */
	char name[ZUFS_TYPE_NAME_BYTES];
	u32 flags;			/* ZUFS_REG_* */
	bool used;			/* the slot has a name */
	bool registered;
	struct zuf_server *server;	/* under zuf_types_lock; NULL: none */
	unsigned int mounts;		/* superblocks, under zuf_types_lock */
};

static inline struct zuf_type *zuf_type_of(struct file_system_type *fs)
{
	return container_of(fs, struct zuf_type, fs);
}

/* The type's live server with a reference, or NULL. */
struct zuf_server *zuf_type_server_get(struct zuf_type *type);
void zuf_type_mount_inc(struct zuf_type *type);
void zuf_type_mount_dec(struct zuf_type *type);
int zuf_init_fs_context(struct fs_context *fc);		/* super.c */
void zuf_kill_sb(struct super_block *sb);		/* super.c */

void zuf_server_get(struct zuf_server *server);
void zuf_server_put(struct zuf_server *server);
bool zuf_server_trusted(const struct zuf_server *server);
#define ZUF_FEATURES	(ZUFS_FEAT_LEASES | ZUFS_FEAT_EPOCHS | ZUFS_FEAT_COW | \
			 ZUFS_FEAT_XATTRS | ZUFS_FEAT_READDIR_PLUS | \
			 ZUFS_FEAT_FILEATTR | ZUFS_FEAT_NAMES | \
			 ZUFS_FEAT_FALLOCATE | ZUFS_FEAT_IOCTL | ZUFS_FEAT_EXPORT | \
			 ZUFS_FEAT_INVALIDATE | ZUFS_FEAT_FREEZE | \
			 ZUFS_FEAT_DURABLE_MAPS | ZUFS_FEAT_COPY | \
			 ZUFS_FEAT_CREATE_OPEN | ZUFS_FEAT_CLONE | \
			 ZUFS_FEAT_LOCKS)
u64 zuf_server_features(const struct zuf_server *server);	/* ZUFS_FEAT_* in use */
u16 zuf_server_minor(const struct zuf_server *server);		/* of the ABI, in use */
/* The calling task belongs to this server. */
bool zuf_server_is_current(const struct zuf_server *server);

/* ------------------------------------------------------------------- mount (mount.c) */

enum zuf_mount_state {
	ZUF_MOUNT_NEW,		/* MOUNT not answered */
	ZUF_MOUNT_LIVE,
	ZUF_MOUNT_ENDED,	/* UMOUNT sent, or aborted */
};

struct zuf_mount {
	struct kref ref;
	u64 id;			/* never twice */
	u64 incarnation;
	enum zuf_mount_state state; /* read without lock: a late reader gets EIO */
	bool aborted;		/* pairs with zuf_call()'s check after SENT */
	u32 deadline_ms;	/* 0: none */
	u64 features;		/* ZUFS_MF_* */
	struct super_block *sb;	/* valid until ->put_super */
	struct zuf_server *server;
	struct zuf_type *type;
	struct zuf_slots *slots;
	struct zuf_stats __percpu *stats;
	struct srcu_struct gate;	/* lease.h; from super_init() to zuf_kill_sb() */
	bool gate_ready;
	atomic_long_t rule_count[ZUF_RULE_COUNT];

	/*
	 * Written while mounting and by ADD_DEVICE, under dev_lock. The index
	 * is that of the device table. dev[i] is published with release, read
	 * by zuf_device() with acquire, and stays until zuf_devices_close().
	 */
	struct mutex dev_lock;
	struct zufs_devtable *devtable; /* NULL: no devices */
	u32 num_devices;	/* dev[0] to dev[num_devices - 1] are there */
	struct zuf_device *dev[ZUFS_DEVICES_MAX];
	bool dev_wide;		/* all T1 devices end durable with a fence */
	bool library_only;	/* no fast path; by sysfs, read without lock */
	bool shut;		/* zuf_mount_shut(), for good; read without lock */

	struct mutex file_lock;	/* mount_file.c */
	struct list_head files;	/* mount files, for revoking */
	bool revoked;		/* no mapping may be made any more */

	spinlock_t recall_lock;		/* recalls_done */
	struct list_head recalls_done;	/* for the server to read */
	wait_queue_head_t recall_wait;
	spinlock_t inval_lock;		/* invals */
	struct list_head invals;	/* struct zuf_inval, oldest first */
	struct work_struct inval_work;
	atomic_t inval_seq;		/* zuf_inval_seq() */
	wait_queue_head_t lock_wait;	/* for a lock to go, by any inode's zuf_locks */
	siphash_key_t lock_key;		/* makes owners into numbers */
	atomic_t num_recalls;		/* under way, or done and not read */
	struct xarray mapped;		/* struct zuf_inode that faults have mapped; by number */
	atomic_t recalls_running;	/* under way */
	bool recalls_stopped;		/* under file_lock; read without */
	struct zuf_epochs epochs;

	spinlock_t orphan_lock;		/* orphans */
	struct list_head orphans;
	atomic_t num_orphans;

	struct delayed_work times_work;	/* times.c */
	bool times_stopped;		/* for good; read without lock */

	atomic_t forced_pending;
	wait_queue_head_t forced_wait;

	struct kobject kobj;	/* /sys/fs/zuf/mounts/<id> */
	struct kobject ops_kobj;
	char fs_type[ZUFS_TYPE_NAME_BYTES];
	char __rcu *options;	/* the plugin's, for show_options (super.c) */
};

u32 zuf_slots_count(void);	/* of every mount; slot.c */
struct zuf_mount *zuf_mount_alloc(struct zuf_type *type, struct zuf_server *server);
void zuf_mount_get(struct zuf_mount *mount);
void zuf_mount_put(struct zuf_mount *mount);
/* By id, with a reference; only a mount of @server. */
struct zuf_mount *zuf_mount_find(struct zuf_server *server, u64 id);
/* Show in / take from the table and sysfs. */
int zuf_mount_add(struct zuf_mount *mount);
void zuf_mount_del(struct zuf_mount *mount);
/* End every request of the mount with EIO, orphans too. */
void zuf_mount_abort(struct zuf_mount *mount);
/* FS_IOC_SHUTDOWN: what is under way ends as it would, nothing new but EIO; umount works. */
void zuf_mount_shut(struct zuf_mount *mount);
/* No answer will come: aborted, shut, or the server is dead. */
bool zuf_mount_lost(const struct zuf_mount *mount);

static inline struct zuf_mount *zuf_mount_of(const struct super_block *sb)
{
	return sb->s_fs_info;
}

/* ------------------------------------------------------------------- inode (inode.c) */

struct zuf_inode {
	u64 handle;
	u64 gen;
	u64 nlookup;			/* references to handle; under i_lock */
	u64 change;			/* of the attributes held; under i_lock */
	struct zuf_forced_msg *forget;	/* handed to the queue by evict */
	struct timespec64 btime;	/* under i_lock, as the next two */
	u32 attr_flags;			/* ZUFS_ATTR_SETTABLE */
	u32 projid;
	unsigned long flags;		/* ZUF_I_* bits, atomic bitops */
	atomic_t orphans;		/* that may still change it */

	/*
	 * Of the first kind (may be held while waiting for the server):
	 * page faults hold it shared from MAP to the inserted entry, write
	 * faults and all that moves or frees blocks hold it exclusive.
	 * Order: mmap_lock or i_rwsem, then layout_sem, then invalidate_lock.
	 */
	struct rw_semaphore layout_sem;

	spinlock_t maps_lock;		/* maps */
	struct list_head maps;		/* struct zuf_map: asked for, and in use */
	struct zuf_leases leases;
	struct list_head epoch_node;	/* epochs->dirty or todo, under epochs->lock */
	u32 mapped_id;			/* in mount->mapped; 0: never mapped */
	atomic_t names_seq;		/* of a directory: zuf_names_seq() */
	struct zuf_locks *locks;	/* from the first lock on; set once, by cmpxchg */

	atomic64_t ranges;		/* zuf_range_lock() */
	atomic_t range_waiters;		/* who sleeps for one of its bits */

	struct inode vfs_inode;
};

#define ZUF_I_INLINE		0	/* ZUFS_ATTR_INLINE */
#define ZUF_I_STALE		1	/* attributes: GETATTR before use */
#define ZUF_I_BAD		2	/* broke a rule for good: EIO */
#define ZUF_I_TIMES		3	/* times not yet told to the server */
#define ZUF_I_TIMES_LOCK	4	/* bit lock: zuf_times_lock() */
#define ZUF_I_ZERO_PAGES	5	/* a fault mapped a hole; under layout_sem */
#define ZUF_I_NO_XATTRS		6	/* ZUFS_ATTR_NO_XATTRS; with i_lock */
#define ZUF_I_PREFETCHED	7	/* READDIR brought it, nobody has looked at it yet */
#define ZUF_I_WANT_PLUS		8	/* of a directory: somebody has looked at one */
#define ZUF_I_CLONE_SOURCE	9	/* files_unlock() ends it; set under i_rwsem */

static inline struct zuf_inode *zuf_i(const struct inode *inode)
{
	return container_of(inode, struct zuf_inode, vfs_inode);
}

/* The mount's maps carry leases, and its server may recall. */
static inline bool zuf_leases_on(const struct inode *inode)
{
	return zuf_mount_of(inode->i_sb)->features & ZUFS_MF_LEASES;
}

int __init zuf_inode_cache_init(void);
void zuf_inode_cache_exit(void);
struct inode *zuf_alloc_inode(struct super_block *sb);
void zuf_free_inode(struct inode *inode);
void zuf_evict_inode(struct inode *inode);
int zuf_drop_inode(struct inode *inode);
/*
 * The inode of @entry, new or known; consumes the entry's reference to the
 * handle in every case. ERR_PTR(-EIO) if (ino, gen) is live with another type.
 * @seq: zuf_inval_seq() before the server was asked.
 */
struct inode *zuf_iget(struct super_block *sb, const struct zufs_entry *entry, u32 seq);
/* Of those in memory, with a reference, or NULL. */
struct inode *zuf_ilookup(struct super_block *sb, u64 ino, u64 gen);
/* The same for an inode that the server has just made; a known one is an error. */
struct inode *zuf_iget_new(struct super_block *sb, const struct zufs_entry *entry, u16 op,
			   u32 seq);
/* Copy attributes in. The size only when @set_size (locks: i_rwsem then). */
void zuf_attr_apply(struct inode *inode, const struct zufs_attr *attr, bool set_size);
int zuf_getattr(ZUF_IDMAP *idmap, const struct path *path, struct kstat *stat,
		u32 request_mask, unsigned int query_flags);
int zuf_setattr(ZUF_IDMAP *idmap, struct dentry *dentry, struct iattr *iattr);
/* What @in says, with ctime now and the times that are owed; i_rwsem held exclusive. */
int zuf_setattr_send(struct inode *inode, struct zufs_setattr_in *in);
int zuf_permission(ZUF_IDMAP *idmap, struct inode *inode, int mask);
/*
 * Ask again for attributes that an orphan left unknown. Takes the size over
 * too, so for a regular file i_rwsem is held exclusive.
 */
int zuf_refresh(struct inode *inode);
/* ------------------------------------------------------------------- times (times.c) */

/*
 * No times of @inode are on their way to the server while this is held, so
 * none can overtake an operation that sets them. Killable; after i_rwsem.
 */
int zuf_times_lock(struct inode *inode);
void zuf_times_unlock(struct inode *inode);
/*
 * Add the times owed that @in does not set; false: none are. Of a directory and of
 * a special file the kernel alone changes no more than atime: mtime and ctime come
 * with the answers, and must not be sent back older than the server has them.
 */
bool zuf_times_take_owed(struct inode *inode, struct zufs_setattr_in *in);
/* Tell times that only the kernel knows, if there are any. */
int zuf_sync_times(struct inode *inode, u16 call_flags);
/* The same at the last close of @file. */
void zuf_times_closed(struct inode *inode, const struct file *file);
struct zufs_time zuf_time_to_wire(struct timespec64 ts);
void zuf_dirty_inode(struct inode *inode, int flags);
int zuf_write_inode(struct inode *inode, struct writeback_control *wbc);
void zuf_times_init(struct zuf_mount *mount);
void zuf_times_stop(struct zuf_mount *mount);	/* s_umount held exclusive */

/* fileattr.c */
void zuf_fileattr_apply(struct inode *inode, const struct zufs_attr *attr);
void zuf_fileattr_stat(struct inode *inode, struct kstat *stat);
int zuf_fileattr_get(struct dentry *dentry, struct fileattr *fa);
int zuf_fileattr_set(ZUF_IDMAP *idmap, struct dentry *dentry, struct fileattr *fa);

/* xattr.c, acl.c */
extern const struct xattr_handler *zuf_xattr_handlers[];
extern const struct export_operations zuf_export_ops;	/* export.c */
ssize_t zuf_listxattr(struct dentry *dentry, char *list, size_t bytes);
struct posix_acl *zuf_get_acl(struct inode *inode, int type, bool rcu);
int zuf_set_acl(ZUF_IDMAP *idmap, ZUF_ACL_TARGET *target, struct posix_acl *acl, int type);

extern const struct inode_operations zuf_dir_iops;	/* namei.c */
extern const struct inode_operations zuf_dir_open_iops;
extern const struct inode_operations zuf_symlink_iops;	/* namei.c */
extern const struct inode_operations zuf_special_iops;	/* namei.c */
extern const struct inode_operations zuf_file_iops;	/* file.c */
extern const struct file_operations zuf_dir_fops;	/* dir.c */
extern const struct file_operations zuf_file_fops;	/* file.c */
extern const struct file_operations zuf_dir_lock_fops;	/* with ZUFS_MF_LOCKS */
extern const struct file_operations zuf_file_lock_fops;
extern const struct address_space_operations zuf_dax_aops; /* entries.c */

/*
 * @inode becomes what @dentry names, as d_splice_alias() has it, unless the server has
 * named an ancestor: -EIO (namei.c). Consumes the reference to @inode.
 */
struct dentry *zuf_splice(struct inode *inode, struct dentry *dentry, u16 op);
/* Attributes that came with READDIR are of use, so more of them may be (dir.c). */
void zuf_prefetched_used(struct inode *inode, struct dentry *dentry);

/* Open file: file->private_data of files and directories (open.c). */
struct zuf_file {
	u64 fh;				/* 0: the plugin wants no OPEN */
	struct zuf_forced_msg release;
};

int zuf_open(struct inode *inode, struct file *file);
/* The same for one that CREATE_OPEN has opened; takes file->private_data as it is. */
int zuf_open_created(struct inode *inode, struct file *file);
/* NULL: no memory. Of a file that the server has open, and no one else. */
struct zuf_file *zuf_file_alloc(void);
void zuf_file_release(struct zuf_mount *mount, u64 handle, struct zuf_file *zf);
int zuf_release(struct inode *inode, struct file *file);
int zuf_fsync(struct file *file, loff_t start, loff_t end, int datasync);
/* ioctl.c; FS_IOC_SHUTDOWN has no number in common: XFS's, which ext4 and f2fs have too */
#define ZUF_IOC_SHUTDOWN	_IOR('X', 125, u32)
#define ZUF_SHUTDOWN_NOFLUSH	2u	/* 0 and 1: sync first */
long zuf_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
static inline u64 zuf_fh(const struct file *file)
{
	const struct zuf_file *zf = file ? file->private_data : NULL;

	return zf ? zf->fh : 0;
}

/* locks.c: ->lock and ->flock of mounts with ZUFS_MF_LOCKS */
int zuf_lock(struct file *file, int cmd, struct file_lock *fl);
int zuf_flock(struct file *file, int cmd, struct file_lock *fl);
void zuf_locks_init(struct zuf_mount *mount);
void zuf_locks_free(struct zuf_inode *zi);
void zuf_locks_wake(struct inode *inode);	/* who waits for a lock asks again */

static inline bool zuf_locks_on(const struct inode *inode)
{
	return zuf_mount_of(inode->i_sb)->features & ZUFS_MF_LOCKS;
}

/* ------------------------------------------------------------- data (map.c, truncate.c) */

/*
 * Change the file's size on the server and here, for setattr; i_rwsem held
 * exclusive, checks done. begin takes layout_sem, with nothing mapped or pinned
 * behind the new end: it may wait long, for others to let go of pages. @in
 * carries all that setattr sends; @attr the answer. end after begin's success.
 */
int zuf_truncate_begin(struct inode *inode, loff_t size);
int zuf_truncate(struct inode *inode, struct zufs_setattr_in *in, struct zufs_attr *attr);
void zuf_truncate_end(struct inode *inode);
void zuf_map_exit(void);		/* module exit; map_done.c */
/* The last of an inode's data in the kernel; never dispatches. */
void zuf_data_evict(struct inode *inode);

/* ---------------------------------------------------------------- devices (dev.c) */

struct zuf_device {
	struct zufs_device info;
	struct block_device *bdev;
	void *bdev_holder;		/* compat.h: what closing needs; NULL: primary */
	bool bdev_write;		/* how the holder opened it */
	struct dax_device *dax;		/* T1 only */
	u64 dax_off;			/* bytes from dax's start to the device's */
};

/* Primary device: sb->s_bdev. Reads and checks the table. Logs to @fc. */
int zuf_devices_open(struct zuf_mount *mount, struct fs_context *fc,
		     const int *fds, unsigned int num_fds);
int zuf_device_add_fd(struct zuf_mount *mount, int fd, struct zufs_device *info);
/*
 * After MOUNT was answered: every device of the table is there, by fd= or by
 * ADD_DEVICE. -ENODEV, with a message that names the first one missing.
 */
int zuf_devices_check(struct zuf_mount *mount, struct fs_context *fc);
void zuf_devices_close(struct zuf_mount *mount);
/* NULL: no such device. The pointer is good as long as the superblock. */
struct zuf_device *zuf_device(struct zuf_mount *mount, u32 id);
u8 *zuf_mount_fs_uuid(struct zuf_mount *mount);
/* Make completed stores durable: a fence, or a flush of the devices. */
int zuf_mount_persist(struct zuf_mount *mount);
/* MAP_SYNC is allowed: ZUFS_MF_DURABLE_MAPS, and all devices end durable with a fence. */
bool zuf_mount_maps_durably(const struct zuf_mount *mount);

/* mount_file.c: ZUFS_IOC_MOUNT_FILE and what the file it makes can do */
int zuf_mount_file_open(struct zuf_mount *mount);
/* End every mapping of T1 by the server, for good. */
void zuf_mount_files_revoke(struct zuf_mount *mount);
int __init zuf_mount_file_init(void);

/*
 * recall.c: ZUFS_IOC_RECALL, and what read(2) of a mount file gives. queue:
 * -EOPNOTSUPP, -EINVAL, -EBUSY, -ENOMEM, -ENXIO (not mounted). read: bytes, 0 when
 * the mount has ended, -EAGAIN without @wait.
 */
struct zuf_recall_end {
	struct list_head node;		/* mount->recalls_done */
	u64 cookie;
	int err;
};

int zuf_recall_queue(struct zuf_mount *mount, const struct zufs_recall *wire);
ssize_t zuf_recall_read(struct zuf_mount *mount, char __user *buf, size_t bytes, bool wait);
bool zuf_recall_any_done(struct zuf_mount *mount);
/* The superblock ends: let no new one in, and wait for those that run. */
void zuf_recalls_stop(struct zuf_mount *mount);
/*
 * Before a page of @inode is mapped: recalls of the whole mount find it, while it is
 * being evicted, too. May sleep; 0, -ENOMEM. Then, when it has no entries any more.
 */
int zuf_recall_mapped(struct inode *inode);
void zuf_recall_forget(struct inode *inode);
void zuf_recalls_free(struct zuf_mount *mount);
/*
 * For what runs as recalls do (epoch.c): until it has ended the superblock does not, and
 * the mount stays. -EBUSY, -ENXIO. leave: nothing came of it. ended: tell the server;
 * @end is kfree()d once it was read.
 */
int zuf_recall_enter(struct zuf_mount *mount);
void zuf_recall_leave(struct zuf_mount *mount);
void zuf_recall_ended(struct zuf_mount *mount, struct zuf_recall_end *end);
/* One more user of the superblock, beside one that has entered; and its end. */
void zuf_recall_hold(struct zuf_mount *mount);
void zuf_recall_drop(struct zuf_mount *mount);

/* What the server changed by itself (inval.c): errors as of zuf_recall_queue(). */
int zuf_inval_queue(struct zuf_mount *mount, const struct zufs_invalidate *wire);
void zuf_inval_init(struct zuf_mount *mount);
/*
 * Before the server is asked for an inode, and for names in @dir: the answer may be older
 * than a change that is told of meanwhile. zuf_iget() and zuf_names_check() look again.
 */
static inline u32 zuf_inval_seq(const struct super_block *sb)
{
	return atomic_read(&zuf_mount_of(sb)->inval_seq);
}

u32 zuf_names_seq(struct inode *dir);
void zuf_names_check(struct inode *dir, struct dentry *dentry, u32 seq);

int __init zuf_recall_init(void);
void zuf_recall_exit(void);
void zuf_mount_file_exit(void);

#endif /* ZUF_ZUF_H */
