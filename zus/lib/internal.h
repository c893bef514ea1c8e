/* SPDX-License-Identifier: BSD-3-Clause */
/* internal.h - what the parts of libzus share; no plugin sees it. */
#ifndef ZUS_INTERNAL_H
#define ZUS_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <zus.h>
#include <zus_api.h>
#include <zus_server.h>

#define ZUS_MOUNTS_MAX		1024u

#define zus_load(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define zus_load_relaxed(p)	__atomic_load_n(p, __ATOMIC_RELAXED)
#define zus_store(p, v)		__atomic_store_n(p, v, __ATOMIC_RELEASE)

/* ------------------------------------------------------------ inode table */

struct zus_inode_table;

struct zus_inode_table *zus_inode_table_new(const struct zus_plugin *plugin);
void zus_inode_table_free(struct zus_inode_table *table);
/* NULL if the handle is stale; the reference ends with zus_inode_unuse(). */
struct zus_inode *zus_inode_use(struct zus_inode_table *table,
					   uint64_t handle);
void zus_inode_unuse(struct zus_inode *inode);
/* Gives count of the kernel's references back; -EPROTO if it had fewer. */
int zus_inode_forget(struct zus_inode *inode, uint64_t count);
/* Gives all of the kernel's references back; returns how many inodes had any. */
uint64_t zus_inode_table_forget_all(struct zus_inode_table *table);
uint64_t zus_inode_table_count(const struct zus_inode_table *table);

/* ----------------------------------------------------------------- requests */

union zus_in {
	struct zufs_nop nop;
	struct zufs_mount_in mount;
	struct zufs_remount_in remount;
	struct zufs_syncfs_in syncfs;
	struct zufs_freeze_in freeze;
	struct zufs_lookup_in lookup;
	struct zufs_getattr_in getattr;
	struct zufs_setattr_in setattr;
	struct zufs_create_in create;
	struct zufs_create_open_in create_open;	/* begins as create */
	struct zufs_link_in link;
	struct zufs_unlink_in unlink;
	struct zufs_rename_in rename;
	struct zufs_readdir_in readdir;
	struct zufs_readlink_in readlink;
	struct zufs_getxattr_in getxattr;
	struct zufs_setxattr_in setxattr;
	struct zufs_listxattr_in listxattr;
	struct zufs_open_in open;
	struct zufs_map_in map;
	struct zufs_map_done_in map_done;
	struct zufs_write_in write;
	struct zufs_fsync_in fsync;
	struct zufs_fallocate_in fallocate;
	struct zufs_copy_in copy;
	struct zufs_lock_in lock;
	struct zufs_ioctl_in ioctl;
	struct zufs_iget_in iget;
	struct zufs_parent_in parent;
	struct zufs_batch_in batch;
};

/* A request while it is served. Belongs to one worker. */
struct zus_req {
	struct zufs_req_hdr hdr;	/* copied and checked */
	union zus_in in;		/* copied, missing tail zero */
	const struct zufs_req_hdr *region;
	const char *payload_in;
	char *reply;			/* reply region */
	char *payload;			/* of the reply */
	struct zus_worker *worker;
	struct zus_mount *mount;
	struct zus_inode *used[4];	/* references of this call */
	uint32_t used_count;
	uint32_t reply_max;		/* room in payload */
	uint32_t payload_bytes;		/* of the reply, so far */
	uint32_t count;			/* dirents or extents, so far */
	uint32_t max_extents;
	bool inlined;
	struct zus_xattr xattrs[ZUFS_CREATE_XATTRS_MAX]; /* of CREATE and its like */
};

/*
 * What serves requests on one channel. mount_in_use is a hazard pointer: it is
 * set before a mount is used and umount waits until no worker's points there.
 */
struct zus_worker {
	struct zus_server *server;
	struct zus_req req;
	struct zus_mount_entry *mount_in_use;
	struct zus_worker *next;	/* in the server's list */
	struct zus_worker_stats *stats;
	const void *request_region;
	void *reply_region;
	uint32_t numa_node;
	uint32_t cpu;
};

/* The fixed parts lie at a fixed place of both regions. */
static inline void *zus_req_out(const struct zus_req *req)
{
	return req->reply + ZUFS_FIXED_OFF;
}

struct zus_op {
	const char *name;
	uint16_t in_bytes;
	uint16_t out_bytes;
	bool no_mount;			/* served without a mount */
	int (*serve)(struct zus_req *req);
};

extern const struct zus_op zus_ops[ZUFS_OP_COUNT];

/* Serves the request that lies in the worker's region and leaves the reply. */
void zus_dispatch(struct zus_worker *worker);

/* Decoding, in decode.c. All return 0 or an error for the reply. */
int zus_req_inode(struct zus_req *req, uint64_t handle,
			     struct zus_inode **inode);
int zus_req_name(const struct zus_req *req, uint32_t off, uint32_t bytes,
			    struct zus_name *name);
int zus_req_text(const struct zus_req *req, uint32_t off, uint32_t bytes,
			    const char **text);
/* The xattrs in bytes of the payload at off, into req->xattrs; *count of them. */
int zus_req_xattrs(struct zus_req *req, uint32_t off, uint32_t bytes, uint32_t *count);
int zus_time_get(const struct zufs_time *in, struct zus_time *out);
void zus_attr_put(struct zufs_attr *out, const struct zus_attr *attr);
void zus_entry_put(struct zufs_entry *out, const struct zus_entry *entry);

/* Handlers, by family. */
int zus_serve_mount(struct zus_req *req);
int zus_serve_umount(struct zus_req *req);
int zus_serve_remount(struct zus_req *req);
int zus_serve_statfs(struct zus_req *req);
int zus_serve_syncfs(struct zus_req *req);
int zus_serve_freeze(struct zus_req *req);
int zus_serve_lookup(struct zus_req *req);
int zus_serve_getattr(struct zus_req *req);
int zus_serve_setattr(struct zus_req *req);
int zus_serve_create(struct zus_req *req);
int zus_serve_create_open(struct zus_req *req);
int zus_serve_tmpfile(struct zus_req *req);
int zus_serve_link(struct zus_req *req);
int zus_serve_unlink(struct zus_req *req);
int zus_serve_rename(struct zus_req *req);
int zus_serve_readdir(struct zus_req *req);
int zus_serve_readlink(struct zus_req *req);
int zus_serve_getxattr(struct zus_req *req);
int zus_serve_setxattr(struct zus_req *req);
int zus_serve_listxattr(struct zus_req *req);
int zus_serve_open(struct zus_req *req);
int zus_serve_map(struct zus_req *req);
int zus_serve_map_done(struct zus_req *req);
int zus_serve_write(struct zus_req *req);
int zus_serve_fsync(struct zus_req *req);
int zus_serve_fallocate(struct zus_req *req);
int zus_serve_copy(struct zus_req *req);
int zus_serve_lock(struct zus_req *req);
int zus_serve_ioctl(struct zus_req *req);
int zus_serve_iget(struct zus_req *req);
int zus_serve_parent(struct zus_req *req);
int zus_serve_batch(struct zus_req *req);

/* ------------------------------------------------------- mounts and servers */

/* A mount as libzus keeps it; plugins see pub. */
struct zus_mount_entry {
	struct zus_mount pub;
	struct zus_server *server;
	struct zus_device devices[ZUFS_DEVICES_MAX];
	char options[ZUFS_OPTIONS_MAX_BYTES];
	void *transport_priv;
	int fd;				/* kernel transport: the mount file */

	pthread_mutex_t recall_lock;	/* what follows */
	struct zus_recall_entry *recalls; /* under way */
	uint64_t recall_cookie;		/* the last one's */
	uint64_t epoch_queued;		/* the last one asked for */
	pthread_t recall_thread;	/* reads of their end */
	bool recall_running;
	bool recall_closed;		/* none may be begun any more */
	int recall_stop_fd;		/* eventfd, or -1 */
	uint64_t epoch;			/* of answers: read without lock; 0: has none */
};

static inline struct zus_mount_entry *zus_mount_entry(struct zus_mount *mount)
{
	return zus_container_of(mount, struct zus_mount_entry, pub);
}

/*
 * How requests reach the server core. One is chosen when a server is made;
 * nothing outside of a transport's own file asks which.
 */
struct zus_transport {
	const char *name;
	/* Opens the way to the kernel and makes the type known. */
	int (*open)(struct zus_server *server);
	/* Makes T1 devices addressable; fills devices[].addr. */
	int (*map_devices)(struct zus_server *server, struct zus_mount_entry *mount);
	void (*unmap_devices)(struct zus_server *server, struct zus_mount_entry *mount);
	/* Only with ZUFS_FEAT_LEASES. Queue a recall; 0 or -errno. */
	int (*recall)(struct zus_mount_entry *mount, const struct zufs_recall *recall);
	/* Only with ZUFS_FEAT_EPOCHS. Queue an epoch's begin; 0 or -errno. */
	int (*epoch)(struct zus_mount_entry *mount, const struct zufs_epoch *epoch);
	/* Only with ZUFS_FEAT_INVALIDATE. Queue it; 0 or -errno. NULL: nothing is cached. */
	int (*invalidate)(struct zus_mount_entry *mount, const struct zufs_invalidate *what);
	/* The next that have ended, at least one; 0: the mount has, or must. */
	int (*recall_wait)(struct zus_mount_entry *mount, struct zufs_recall_done *done,
			   uint32_t max);
	/* Serves until stop; returns when all its threads have ended. */
	int (*run)(struct zus_server *server, void (*ready)(void *arg), void *arg);
	/* Asks run to end. Any thread. */
	void (*stop)(struct zus_server *server);
	void (*close)(struct zus_server *server);
};

extern const struct zus_transport zus_transport_kernel;
extern const struct zus_transport zus_transport_local;

struct zus_server {
	struct zus_plugin plugin;	/* tables completed with defaults */
	struct zus_mount_ops mount_ops;
	struct zus_inode_ops inode_ops;
	struct zus_file_ops file_ops;
	struct zus_server_config config;
	const struct zus_transport *transport;
	void *transport_priv;
	uint64_t transport_features;	/* ZUFS_FEAT_*: what it can do */
	struct zus_stats_file *stats;
	uint64_t stats_bytes;
	char stats_path[256];

	pthread_mutex_t lock;		/* mounts, workers: changes */
	pthread_cond_t unused;		/* a worker let a mount go */
	struct zus_mount_entry *mounts[ZUS_MOUNTS_MAX]; /* read without lock */
	uint32_t mounts_used;		/* slots above it are empty */
	struct zus_worker *workers;
	uint32_t umount_waiters;	/* read without lock by zus_mount_drop() */
	uint32_t reserved;
	uint32_t worker_stats_used;
};

/* recall.c */
void zus_recalls_init(struct zus_mount_entry *entry);
/* Of @wanted what the transport can do; before the mount is used. */
uint64_t zus_transport_features(struct zus_mount_entry *entry, uint64_t wanted);
/* Ends the thread; who still waits is told that it did not come about. */
void zus_recalls_end(struct zus_mount_entry *entry);

int zus_server_new(const struct zus_plugin *plugin,
			      const struct zus_server_config *config,
			      const struct zus_transport *transport,
			      struct zus_server **made);
struct zus_worker *zus_worker_new(struct zus_server *server, uint32_t cpu,
					     uint32_t numa_node);
void zus_worker_free(struct zus_worker *worker);

/* Sets mount_in_use; NULL if there is no such mount. */
struct zus_mount_entry *zus_mount_hold(struct zus_worker *worker, uint64_t id);
void zus_mount_drop(struct zus_worker *worker);
/* Takes the mount out of the table and waits until no other worker uses it. */
int zus_mount_remove(struct zus_worker *worker, struct zus_mount_entry *entry);
int zus_mount_add(struct zus_server *server, struct zus_mount_entry *entry);
/* Ends a mount that is in no table: forget, umount, unmap, free. */
void zus_mount_end(struct zus_server *server, struct zus_mount_entry *entry);

/* --------------------------------------------------------------- statistics */

#define ZUS_STATS_SAMPLE	64u	/* one call of so many is timed */

int zus_stats_open(struct zus_server *server);
void zus_stats_close(struct zus_server *server);
struct zus_worker_stats *zus_stats_worker(struct zus_server *server,
						     uint32_t cpu);
uint64_t zus_now_ns(void);
uint64_t zus_wall_ns(void);

#endif /* ZUS_INTERNAL_H */
