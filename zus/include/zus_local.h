/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zus_local.h - run a plugin inside a test program: no root, no kernel module.
 *
 * Each call below is encoded as the kernel would, served by the same server core,
 * and its reply is checked by the same rules; a reply that breaks one fails the
 * call with EIO and zus_local_broken_rule() names the rule. On top of that lies a
 * small VFS that works with paths and moves data as the kernel does: it copies
 * between the caller's buffer and the mapped device, zeroes what is NEW, and
 * sends MAP_DONE.
 *
 * Any number of threads may use one mount. Locking is the kernel's: a directory
 * is locked while its names change, a file while it is written or truncated;
 * zus_local_fault() takes no lock, as a page fault. Functions return 0, or a
 * count, or a negative errno. Paths begin at the root, symlinks are not followed.
 */
#ifndef ZUS_LOCAL_H
#define ZUS_LOCAL_H

#include <stdint.h>
#include <sys/types.h>

#include <zus.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct zus_local;
struct zus_local_file;

/* ------------------------------------------------------------------- mount */

/* A device: memory, or a file (path) that is mapped shared. */
struct zus_local_device {
	const char *path;	/* NULL: memory, zeroed, or what memory says */
	uint64_t size_bytes;	/* multiple of 4096 */
	uint64_t data_off;	/* 0: 2 MiB */
	uint32_t tier;		/* 0: ZUS_TIER_T1 */
	uint32_t numa_node;
	uint32_t flags;		/* ZUS_LOCAL_PAGE_CACHE */
	uint32_t reserved;
	uint8_t uuid[16];	/* zero: one is made up */
	void *memory;		/* the caller's, as it is; in whole pages; NULL: of this mount */
};

/* What is stored is durable when the file has been written back: not ZUS_DEVF_SYNCHRONOUS. */
#define ZUS_LOCAL_PAGE_CACHE	(1u << 0)

/*
 * What the plugin says by zus_invalidate(). Called in any thread, with any locks of the
 * plugin's: it may wait for nothing, and what is in the structure goes when it returns. 0,
 * or an error that zus_invalidate() has. With token not 0 zus_local_invalidated() is called
 * for it, from any thread, once.
 */
struct zus_local_inval {
	uint64_t token;
	struct zus_invalidate what;
};

typedef int zus_local_inval_fn(void *arg, const struct zus_local_inval *inval);

#define ZUS_LOCAL_WORDS_MAX	16u

struct zus_local_config {
	const struct zus_plugin *plugin;
	const char *options;	/* NULL: none */
	const struct zus_local_device *devices;
	uint32_t num_devices;
	uint32_t flags;		/* ZUS_MOUNT_* */
	uint64_t incarnation;	/* 0: 1 */
	uint8_t fs_uuid[16];
	zus_local_inval_fn *invalidate; /* NULL: nothing is cached */
	void *arg;		/* of invalidate */
	const char *run_dir;	/* of the statistics file; NULL: there is none */
	/*
	 * Of so many words (see zus_req_word()) the server is not told when they are stored, but
	 * when there are more, or an inode is forgotten, or at the end: as by the kernel, which
	 * takes its time. At most ZUS_LOCAL_WORDS_MAX.
	 */
	uint32_t words_late;
};

/* umount gives every reference back, ends the mount and frees local. */
int zus_local_mount(const struct zus_local_config *config, struct zus_local **local);
int zus_local_umount(struct zus_local *local);

/*
 * end is umount, but local stays, with its devices, and mount_again mounts it as it was
 * mounted: a hundred times as fast as the other two. With an error of mount_again nothing is
 * mounted. While nothing is, only mount_again and umount may be called.
 */
int zus_local_end(struct zus_local *local);
int zus_local_mount_again(struct zus_local *local);

/* Before umount. Who waits is told that nobody is shown any more what was known before. */
void zus_local_invalidated(struct zus_local *local, uint64_t token);

/* Name of the rule that the last reply with EIO broke, in this thread; or "". */
const char *zus_local_broken_rule(void);

/* Number of inodes that the server still has in its table. */
uint64_t zus_local_inodes(struct zus_local *local);

/* Address of a byte of a device, as the kernel would reach it. */
void *zus_local_dev_addr(struct zus_local *local, uint32_t dev, uint64_t off);

/* --------------------------------------------------------------------- raw */

/* One request, from parts that may be as wrong as one likes. */
struct zus_local_call {
	const void *in;			/* fixed part */
	uint32_t in_bytes;
	uint32_t payload_bytes;
	const void *payload;
	uint32_t reply_max_bytes;	/* room for the reply's payload */
	uint16_t op;
	uint16_t flags;
	uint64_t mount;			/* 0: this one */
	void *out;			/* takes the reply's fixed part */
	uint32_t out_bytes;
	uint32_t reply_bytes;		/* out: length of the reply's payload */
	void *reply;			/* takes the payload; reply_max_bytes */
	uint64_t id;			/* out: of the request */
	uint64_t op_seq;		/* out: operation id */
	uint32_t op_slot;		/* out: ... or ZUS_NO_SLOT */
};

/*
 * 0, an error, or ZUS_BUSY_RETRY. zus_local_call_unchecked leaves the rules out.
 */
int zus_local_call(struct zus_local *local, struct zus_local_call *call);
int zus_local_call_unchecked(struct zus_local *local, struct zus_local_call *call);

/*
 * An operation's id. zus_local_last_op: of the newest of the calling thread that changed
 * something; slot ZUS_NO_SLOT: none did. zus_local_op_seen: as zus_op_seen() says it.
 */
struct zus_local_op {
	uint64_t seq;
	uint32_t slot;
};

struct zus_local_op zus_local_last_op(void);
/*
 * Ids begin anew, as with a new mount of a kernel, so that who does the same writes the same.
 * Nothing is mounted; last_op() of the calling thread says none.
 */
void zus_local_new_slots(struct zus_local *local);
int zus_local_op_seen(struct zus_local *local, const struct zus_local_op *op, uint64_t *ino);

/* Request and reply regions as they are, of ZUFS_REGION_BYTES each: for fuzzing. */
void zus_local_raw(struct zus_local *local, const void *request, void *reply);

/* Gives count references of a handle back. */
int zus_local_forget(struct zus_local *local, uint64_t handle, uint64_t count);

/*
 * Who asks, as each request says it. Without one it is the process that mounted.
 *
 * zus_local_as: for all requests of the calling thread from now on, until it is called
 * again; NULL: nobody else. *caller stays as it is meanwhile, and serves one thread.
 * zus_local_interrupt: any thread, with the caller still valid: it got a signal. The request
 * that it has out, and each later one, says so, and the plugin is told. With killed it waits
 * no more for a plugin that is busy, but has EINTR; signals that programs live on after do not
 * end what they do with files.
 */
struct zus_local_caller {
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	uint16_t req_flags;	/* ZUFS_REQ_* of <zus_api.h> */
	uint8_t interrupted;	/* private, as what follows; 0 and NULL at first */
	uint8_t killed;
	void *channel;
};

void zus_local_as(struct zus_local_caller *caller);
void zus_local_interrupt(struct zus_local *local, struct zus_local_caller *caller, int killed);

/* ------------------------------------------------------------------- names */

int zus_local_stat(struct zus_local *local, const char *path, struct zus_attr *attr);
int zus_local_create(struct zus_local *local, const char *path, uint32_t mode);
int zus_local_mkdir(struct zus_local *local, const char *path, uint32_t mode);
int zus_local_mknod(struct zus_local *local, const char *path, uint32_t mode,
		    uint32_t major, uint32_t minor);
int zus_local_symlink(struct zus_local *local, const char *target, const char *path);
int zus_local_readlink(struct zus_local *local, const char *path, char *buf,
		       size_t bytes);
int zus_local_link(struct zus_local *local, const char *old_path, const char *path);
int zus_local_unlink(struct zus_local *local, const char *path);
int zus_local_rmdir(struct zus_local *local, const char *path);
int zus_local_rename(struct zus_local *local, const char *old_path, const char *path,
		     uint32_t flags);
int zus_local_setattr(struct zus_local *local, const char *path,
		      const struct zus_setattr *set);
int zus_local_truncate(struct zus_local *local, const char *path, uint64_t size_bytes);
/*
 * As getxattr(2), setxattr(2), removexattr(2) and listxattr(2), of any caller: get and
 * list return the length, with bytes 0 that alone. flags: ZUS_XATTR_CREATE, REPLACE.
 */
ssize_t zus_local_getxattr(struct zus_local *local, const char *path, const char *name,
			   void *value, size_t bytes);
int zus_local_setxattr(struct zus_local *local, const char *path, const char *name,
		       const void *value, size_t bytes, uint32_t flags);
int zus_local_removexattr(struct zus_local *local, const char *path, const char *name);
ssize_t zus_local_listxattr(struct zus_local *local, const char *path, char *list,
			    size_t bytes);
int zus_local_statfs(struct zus_local *local, struct zus_statfs *st);

/* ------------------------------------------------------------------- files */

/* An open file or directory; it lives on when its names are gone. */
int zus_local_open(struct zus_local *local, const char *path,
		   struct zus_local_file **file);
void zus_local_close(struct zus_local_file *file);
int zus_local_fstat(struct zus_local_file *file, struct zus_attr *attr);
ssize_t zus_local_pread(struct zus_local_file *file, void *buf, size_t bytes,
			uint64_t off);
ssize_t zus_local_pwrite(struct zus_local_file *file, const void *buf, size_t bytes,
			 uint64_t off);
int zus_local_ftruncate(struct zus_local_file *file, uint64_t size_bytes);
int zus_local_fsync(struct zus_local_file *file, int datasync);

/* As a page fault: the page's address, NULL for a hole that is read. */
int zus_local_fault(struct zus_local_file *file, uint64_t off, int write, void **page);

/*
 * As fallocate(2), copy_file_range(2) and lseek(2) with SEEK_DATA or SEEK_HOLE. copy does at
 * most 64 MiB at a time, and tells how many; 0: from has none there. EOPNOTSUPP: who calls
 * reads and writes instead.
 */
int zus_local_fallocate(struct zus_local_file *file, uint32_t mode, uint64_t off,
			uint64_t bytes);
ssize_t zus_local_copy(struct zus_local_file *from, uint64_t from_off,
		       struct zus_local_file *to, uint64_t to_off, size_t bytes);
int64_t zus_local_seek(struct zus_local_file *file, uint64_t off, int whence);

/*
 * As FICLONERANGE and, with dedupe, FIDEDUPERANGE of ioctl_ficlone(2) and
 * ioctl_fideduperange(2), at most 64 MiB at a time: how many bytes are shared now. EOPNOTSUPP:
 * without ZUS_MF_CLONE. EINVAL: no whole blocks, but for from's end. EBADE: they differ.
 */
ssize_t zus_local_clone(struct zus_local_file *from, uint64_t from_off,
			struct zus_local_file *to, uint64_t to_off, size_t bytes, int dedupe);

/* What the plugin answers to one request: with ZUS_MF_LOCKS (conflict may be NULL), IOCTL. */
int zus_local_lock(struct zus_local_file *file, const struct zus_lock *lock,
		   struct zus_lock_conflict *conflict);
int zus_local_ioctl(struct zus_local_file *file, const struct zus_ioctl *args, int32_t *result);

typedef int zus_local_dirent_fn(void *arg, const char *name, uint64_t ino,
				uint64_t cookie, uint32_t type);

/*
 * One READDIR from cookie on, with room for reply_max bytes (0: all); calls fn
 * for each entry. 1: there is more, 0: the end. *cookie moves on.
 */
int zus_local_readdir(struct zus_local_file *dir, uint64_t *cookie, uint32_t reply_max,
		      zus_local_dirent_fn *fn, void *arg);

/* ----------------------------------------------------------------- handles */

/*
 * The same for who keeps inodes by their handles, as the kernel does: what a filesystem
 * through another door than this one's paths stands on. Handles that are passed in have a
 * reference of the caller's. Each entry that is filled in passes one more to him, which
 * zus_local_forget() gives back; the root's is not counted. Names are as in zus.h.
 */
struct zus_local_entry {
	uint64_t handle;
	struct zus_attr attr;
};

/* What the plugin said when it was mounted. */
struct zus_local_info {
	struct zus_local_entry root;
	uint64_t features;	/* ZUS_MF_*, in use */
	uint64_t max_file_bytes; /* or 0, as what follows */
	uint32_t time_gran_ns;
	uint32_t name_max;
	uint32_t magic;
};

void zus_local_info(struct zus_local *local, struct zus_local_info *info);

int zus_handle_lookup(struct zus_local *local, uint64_t dir, const struct zus_name *name,
		      struct zus_local_entry *entry);
/* With ZUS_MF_EXPORT. */
int zus_handle_iget(struct zus_local *local, uint64_t ino, uint64_t gen,
		    struct zus_local_entry *entry);
int zus_handle_parent(struct zus_local *local, uint64_t dir, struct zus_local_entry *entry);

/*
 * Make what mode says, with the xattrs; an empty name makes a file without one, with
 * ZUS_MF_TMPFILE. now 0: the time now. create_open: with ZUS_MF_CREATE_OPEN, flags of
 * open(2); 1: it was made, and *fh is what OPEN would give; 0: it was there.
 */
int zus_handle_create(struct zus_local *local, uint64_t dir, const struct zus_create *args,
		      struct zus_local_entry *entry);
int zus_handle_create_open(struct zus_local *local, uint64_t dir, const struct zus_create *args,
			   uint32_t flags, struct zus_local_entry *entry, uint64_t *fh);
/* attr may be NULL, here and below: of the inode, afterwards. */
int zus_handle_link(struct zus_local *local, uint64_t handle, uint64_t dir,
		    const struct zus_name *name, struct zus_attr *attr);
int zus_handle_unlink(struct zus_local *local, uint64_t dir, const struct zus_name *name);
int zus_handle_rmdir(struct zus_local *local, uint64_t dir, const struct zus_name *name);
/* That a directory does not move below itself the caller has seen to. */
int zus_handle_rename(struct zus_local *local, uint64_t old_dir, const struct zus_name *old_name,
		      uint64_t new_dir, const struct zus_name *new_name, uint32_t flags);

int zus_handle_getattr(struct zus_local *local, uint64_t handle, struct zus_attr *attr);
/*
 * What valid says and no more: ctime is the caller's, too. With SIZE as truncate(2), and
 * what is behind the end reads as zero.
 */
int zus_handle_setattr(struct zus_local *local, uint64_t handle, const struct zus_setattr *set,
		       struct zus_attr *attr);
int zus_handle_readlink(struct zus_local *local, uint64_t handle, char *buf, size_t bytes);
ssize_t zus_handle_getxattr(struct zus_local *local, uint64_t handle, const char *name,
			    void *value, size_t bytes);
/* flags: ZUS_XATTR_*; mode: with ZUS_XATTR_MODE. */
int zus_handle_setxattr(struct zus_local *local, uint64_t handle, const char *name,
			const void *value, size_t bytes, uint32_t flags, uint32_t mode);
ssize_t zus_handle_listxattr(struct zus_local *local, uint64_t handle, char *list, size_t bytes);

/*
 * An open file, which takes no reference: the caller's lasts longer. open_at: of what
 * zus_handle_create_open() has opened, and what failed has been closed.
 */
int zus_handle_open(struct zus_local *local, uint64_t handle, uint32_t flags,
		    struct zus_local_file **file);
int zus_handle_open_at(struct zus_local *local, uint64_t handle, uint64_t fh,
		       struct zus_local_file **file);

struct zus_local_dirent {
	uint64_t ino;
	uint64_t cookie;
	uint32_t type;		/* DT_* */
	struct zus_name name;
	struct zus_local_entry entry; /* with PLUS, or handle 0: what the name leads to */
};

/* Not 0: this one, whose reference goes back, and all behind it, are left out. */
typedef int zus_handle_dirent_fn(void *arg, const struct zus_local_dirent *dirent);

#define ZUS_LOCAL_PLUS		(1u << 0) /* with ZUS_MF_READDIR_PLUS */

/* As zus_local_readdir(), from behind cookie on. */
int zus_local_each_dirent(struct zus_local_file *dir, uint64_t cookie, uint32_t flags,
			  uint32_t reply_max, zus_handle_dirent_fn *fn, void *arg);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* ZUS_LOCAL_H */
