/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zus.h - write a Linux filesystem as a user-mode plugin.
 *
 * A plugin is a shared object that exports one symbol:
 *
 *	ZUS_EXPORT const struct zus_plugin zus_plugin = {
 *		ZUS_PLUGIN_ABI,
 *		.name = "zmyfs",
 *		.mount_ops = &my_mount_ops,
 *		.inode_ops = &my_inode_ops,
 *		.file_ops = &my_file_ops,
 *	};
 *
 * What holds for every callback, unless its comment says otherwise:
 *
 * Threads	It runs on a channel thread, pinned to one CPU. Many callbacks run
 *		at once, also for one inode; libzus holds no lock around them.
 * Sleeping	It may sleep and take locks. While it sleeps its channel serves
 *		nobody else; a CPU has only a few. It must not touch a file of a
 *		mount that its own server serves (the kernel answers EDEADLK).
 * Lifetime	Every pointer that is passed in is good until the callback
 *		returns: names, attributes, outputs and the request. Inodes that
 *		are passed in stay alive until then without a reference of the
 *		plugin's own. Names carry no final NUL.
 * Return	0, or a negative errno in -511..-1, or ZUS_BUSY_RETRY. Anything
 *		else becomes EIO. With an error the outputs are ignored.
 * Locks	The kernel's VFS serialises as it does for any filesystem: names
 *		of one directory change one at a time, reads and writes of one
 *		file hold its inode lock. Page faults do not.
 *
 * What holds for every function: it may be called from any callback and any
 * thread of the plugin, never from a signal handler; it returns 0 or a negative
 * errno; it does not sleep unless that is said.
 *
 * Units: *_bytes and *_off are bytes, *_ns nanoseconds, blocks_512 units of 512
 * bytes. The header is good for C11 and C++17.
 */
#ifndef ZUS_H
#define ZUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* ---------------------------------------------------------------- versions */

/*
 * A plugin is refused when its major differs from libzus's, or its minor is
 * higher. A minor adds members at the end of structures and nothing else.
 */
#define ZUS_PLUGIN_ABI_MAJOR	1
#define ZUS_PLUGIN_ABI_MINOR	4	/* 1: leases, 2: write epochs, 3: with ABI 1.4, 4: 1.5 */

#define ZUS_EXPORT		__attribute__((visibility("default")))

/* Callback's answer: nothing was done, the kernel shall ask again soon. */
#define ZUS_BUSY_RETRY		1
/* Callback's answer kept for operations that complete later; not used yet. */
#define ZUS_ASYNC		2

#define ZUS_BLOCK_BYTES		4096u
#define ZUS_PMD_BYTES		(2u << 20)	/* a huge page */
#define ZUS_NAME_MAX		255u
#define ZUS_NUMA_NODE_UNKNOWN	0xffffffffu

struct zus_req;
struct zus_mount;
struct zus_inode;
struct zus_inode_slot;
struct zus_inode_table;

/* ------------------------------------------------------------------ values */

struct zus_time {
	int64_t sec;
	uint32_t nsec;		/* below 1,000,000,000 */
	uint32_t reserved;
};

/* A name; no final NUL, no '/', neither "." nor "..", 1 to 255 bytes. */
struct zus_name {
	const char *str;
	uint32_t bytes;
};

/*
 * Attributes of an inode, by value. The kernel keeps its own copy and takes the
 * newest that it was given. ino is not 0; (ino, gen) never names two files in
 * the life of a filesystem; the type in mode never changes.
 */
struct zus_attr {
	uint64_t ino;
	uint64_t gen;
	uint64_t size_bytes;
	uint64_t blocks_512;
	uint64_t change;	/* rises with each change */
	struct zus_time atime;
	struct zus_time mtime;
	struct zus_time ctime;
	struct zus_time btime;
	uint32_t mode;		/* as in stat(2) */
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t flags;		/* ZUS_ATTR_* */
	uint32_t projid;	/* with ZUS_MF_FILEATTR */
};

#define ZUS_ATTR_INLINE		(1u << 0) /* data travels in messages */
/*
 * Has no extended attribute at all, so the kernel need not ask. change must rise when
 * one is set or removed.
 */
#define ZUS_ATTR_NO_XATTRS	(1u << 1)
/*
 * Of chattr(1), with ZUS_MF_FILEATTR: set by setattr, obeyed by the kernel. A new inode
 * takes NODUMP, NOATIME and SYNC from its directory, and of what has PROJINHERIT the
 * project id; a new directory DIRSYNC and PROJINHERIT, too. What has PROJINHERIT takes no
 * links and renames from elsewhere whose project is another one: EXDEV.
 */
#define ZUS_ATTR_IMMUTABLE	(1u << 4)
#define ZUS_ATTR_APPEND		(1u << 5)
#define ZUS_ATTR_NODUMP		(1u << 6)
#define ZUS_ATTR_NOATIME	(1u << 7)
#define ZUS_ATTR_SYNC		(1u << 8)
#define ZUS_ATTR_DIRSYNC	(1u << 9)
#define ZUS_ATTR_PROJINHERIT	(1u << 10)
#define ZUS_ATTR_SETTABLE	0x7f0u

/*
 * An inode in the server. A plugin embeds it in its own structure and finds
 * that with zus_container_of(). Its members are set by libzus; read only mount
 * and handle.
 */
struct zus_inode {
	struct zus_mount *mount;
	uint64_t handle;	/* how the kernel names it */
	uint64_t lease_seq;	/* private to libzus */
	struct zus_inode_slot *slot; /* private to libzus */
};

#define zus_container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* Answer of lookup and its like; fill it with zus_entry_set(), then attr. */
struct zus_entry {
	struct zus_inode *inode;
	struct zus_attr attr;
};

#define ZUS_TIER_T1		1	/* persistent memory */
#define ZUS_TIER_T2		2	/* any block device */
#define ZUS_DEVF_SYNCHRONOUS	(1u << 0) /* durable after flush and fence */

/* A device of a mount. Good until umount() returned. */
struct zus_device {
	uint8_t uuid[16];
	uint64_t size_bytes;
	uint64_t data_off;	/* first byte that the plugin may use */
	uint64_t pmd_phase_bytes; /* physical start modulo 2 MiB */
	uint32_t id;		/* index in the mount */
	uint32_t tier;		/* ZUS_TIER_* */
	uint32_t numa_node;	/* or ZUS_NUMA_NODE_UNKNOWN */
	uint32_t flags;		/* ZUS_DEVF_* */
	void *addr;		/* T1: where it is mapped; T2: NULL */
};

#define ZUS_MOUNT_RDONLY	(1u << 0)
#define ZUS_MOUNT_SILENT	(1u << 1)

/*
 * A mounted filesystem. libzus makes it before the mount callback and frees it
 * after umount. priv is the plugin's, all else is read-only for it.
 */
struct zus_mount {
	void *priv;
	const struct zus_plugin *plugin;
	uint64_t id;		/* kernel's mount id */
	uint64_t incarnation;	/* first part of its operation ids */
	uint8_t fs_uuid[16];
	const struct zus_device *devices;
	uint32_t num_devices;
	uint32_t num_slots;	/* operation slots */
	uint32_t flags;		/* ZUS_MOUNT_* */
	uint32_t reserved;
	const char *options;	/* plugin's mount options, "" if none */
	struct zus_inode_table *inodes; /* private to libzus */
	uint64_t features;	/* ZUS_MF_* in use, once mount() has returned */
};

/* ------------------------------------------------------ mount-level callbacks */

#define ZUS_MF_OPEN		(1u << 0) /* wants open and release */
#define ZUS_MF_FSYNC		(1u << 1) /* wants fsync */
#define ZUS_MF_SYNCFS		(1u << 2) /* wants syncfs */
#define ZUS_MF_VOLATILE		(1u << 3) /* contents end with the mount */
/*
 * Answers to map may carry leases. Not every kernel and transport can: then it
 * is missing in zus_mount.features, and lease flags are dropped on the way.
 */
#define ZUS_MF_LEASES		(1u << 4)
/* With LEASES: wants zus_epoch(). May be missing in zus_mount.features likewise. */
#define ZUS_MF_EPOCHS		(1u << 5)
/*
 * Copy-on-write: map() for a write may answer another place than where the bytes are, with
 * COMMIT or NEW; the old place is free once map_done has come, or the word was stored (see
 * zus_req_word()). Before map() is asked for a write nothing of the range stays mapped or
 * leased or used by this kernel, or the call says ZUS_MAP_STAY. For a fault that writes,
 * map() itself copies, publishes, and answers plain DATA: the old place is free at once.
 * May be missing in zus_mount.features: then bytes stay where they are, or a recall goes
 * before they move.
 */
#define ZUS_MF_COW		(1u << 6)
/* Has extended attributes: getxattr and its like. May be missing in zus_mount.features. */
#define ZUS_MF_XATTRS		(1u << 7)
/* With XATTRS: keeps POSIX ACLs, ZUS_XATTR_ACL_*, as any other; the kernel obeys them. */
#define ZUS_MF_ACLS		(1u << 8)
/* Answers readdir with zus_req_direntplus() where zus_req_readdir_plus() says so. */
#define ZUS_MF_READDIR_PLUS	(1u << 9)
/* Keeps inode flags and project ids. */
#define ZUS_MF_FILEATTR		(1u << 10)
#define ZUS_MF_TMPFILE		(1u << 11) /* has tmpfile */
#define ZUS_MF_WHITEOUT		(1u << 12) /* rename knows RENAME_WHITEOUT */
#define ZUS_MF_FALLOCATE	(1u << 13) /* has fallocate */
#define ZUS_MF_IOCTL		(1u << 14) /* has ioctl */
#define ZUS_MF_EXPORT		(1u << 15) /* has iget and parent: file handles can be made */
#define ZUS_MF_FREEZE		(1u << 16) /* has freeze: something runs in the background */
/*
 * When map() for a fault returns, and map_done() for what it gave as NEW, where the file's
 * bytes are is durable: so mmap(2) with MAP_SYNC is allowed, and stores count after a flush
 * by the program alone.
 */
#define ZUS_MF_DURABLE_MAPS	(1u << 17)
#define ZUS_MF_COPY		(1u << 18) /* has copy */
#define ZUS_MF_CREATE_OPEN	(1u << 19) /* has create_open */
/*
 * With COW and COPY: copy knows ZUS_COPY_CLONE and DEDUPE, after which files share blocks. Then
 * extents that others have too are answered to reads with ZUS_EXTF_SHARED; to writes and
 * to faults, also for reading, the file first gets a block of its own there.
 */
#define ZUS_MF_CLONE		(1u << 20)
/* Has lock: file locks are its own. Without it they are this kernel's, and it hears nothing. */
#define ZUS_MF_LOCKS		(1u << 21)
/*
 * Each write(2) of up to 1 GiB is one change, however many maps it takes: see ZUS_MAP_MORE. May
 * be missing in zus_mount.features: then each map is a change of its own.
 */
#define ZUS_MF_WHOLE_WRITES	(1u << 22)

struct zus_mount_out {
	struct zus_entry root;	/* a directory */
	uint64_t features;	/* ZUS_MF_*, each with the callbacks required with it, or EIO */
	uint64_t max_file_bytes; /* 0: the kernel's own limit */
	uint32_t time_gran_ns;	/* 0: 1 */
	uint32_t name_max;	/* 0: ZUS_NAME_MAX */
	uint32_t magic;		/* of statfs(2); 0: the kernel's own */
};

struct zus_statfs {
	uint64_t blocks;	/* in block_bytes */
	uint64_t blocks_free;
	uint64_t blocks_avail;
	uint64_t files;
	uint64_t files_free;
	uint32_t block_bytes;
	uint32_t name_max;
};

struct zus_op_seen {
	uint64_t seq;		/* as zus_req_op_seq() had it */
	uint64_t ino;		/* of an inode that it changed */
};

struct zus_mount_ops {
	/*
	 * Required. Read the options and the media, make the root inode and name
	 * it with zus_entry_set(&out->root, root). All devices of tier T1 are
	 * mapped already. No other callback runs for this mount until it returns.
	 * On failure undo everything: umount is not called then; so zus_entry_set()
	 * comes last, when nothing can fail any more. EINVAL for bad
	 * options or media, with the reason by zus_log().
	 */
	int (*mount)(struct zus_req *req, struct zus_mount *mount,
		     struct zus_mount_out *out);
	/*
	 * Required. The last callback of a mount: write back what must be kept,
	 * put every inode that the plugin still holds, free priv. Nothing else
	 * runs for the mount; the kernel's references were given back (and evict
	 * called) before it. Also called without a kernel, when the server ends.
	 */
	void (*umount)(struct zus_mount *mount);
	/*
	 * Optional; default: new options are refused with EINVAL, the flags are
	 * accepted (the kernel itself enforces read-only). options is a string
	 * with its NUL. mount->flags and mount->options change after success.
	 */
	int (*remount)(struct zus_req *req, struct zus_mount *mount, uint32_t flags,
		       const char *options);
	/*
	 * Optional; default: everything 0 but block_bytes and name_max, which
	 * are preset in out.
	 */
	int (*statfs)(struct zus_req *req, struct zus_mount *mount,
		      struct zus_statfs *out);
	/*
	 * Optional, with ZUS_MF_SYNCFS. Make the whole filesystem durable; with
	 * wait 0 begin only. Default: EOPNOTSUPP.
	 */
	int (*syncfs)(struct zus_req *req, struct zus_mount *mount, int wait);
	/*
	 * Optional. The caller of request req_id got a signal: its operation may
	 * end early. Runs beside that request. zus_req_interrupted() tells the
	 * same to a callback that looks. Default: nothing.
	 */
	void (*interrupt)(struct zus_mount *mount, uint64_t req_id);
	/*
	 * Required with ZUS_MF_FREEZE. freeze 1: fsfreeze(8); from 0 on, until freeze 0
	 * comes, the kernel asks for no change, and the plugin makes none on the media by
	 * itself (movers, checkpoints, garbage collection), all that it had being durable.
	 * ZUS_BUSY_RETRY while one is under way that cannot be broken off. What freeze 0
	 * returns is ignored. May sleep. A plugin that does nothing in the background, and
	 * is durable with each operation, needs neither.
	 */
	int (*freeze)(struct zus_req *req, struct zus_mount *mount, int freeze);
	/*
	 * Optional. Of the operations with this slot, zus_req_op_slot(), which the mount's
	 * incarnation has had, the newest that is part of the filesystem and durable. Only
	 * those that changed something and answered 0 count: others may be done again. A
	 * plugin that keeps slot and sequence in each of its records knows it when its server
	 * has died, too; it must not forget the newest of a slot with the record. Any thread,
	 * from mount on; may sleep. Default, and ENOENT: none is known.
	 */
	int (*op_seen)(struct zus_mount *mount, uint32_t slot, struct zus_op_seen *out);
};

/* The first release's table ended here. */
#define ZUS_MOUNT_OPS_FIRST_BYTES	offsetof(struct zus_mount_ops, freeze)

/* ------------------------------------------------------ inode-level callbacks */

/* What create_open answers. */
struct zus_create_open {
	struct zus_entry entry;
	struct zus_attr dir;	/* as it then is */
	uint64_t fh;		/* as of open, with ZUS_MF_OPEN */
	int created;		/* 1: made here; 0: it was there */
};

#define ZUS_SET_MODE		(1u << 0)
#define ZUS_SET_UID		(1u << 1)
#define ZUS_SET_GID		(1u << 2)
#define ZUS_SET_SIZE		(1u << 3)
#define ZUS_SET_ATIME		(1u << 4)
#define ZUS_SET_MTIME		(1u << 5)
#define ZUS_SET_CTIME		(1u << 6)
#define ZUS_SET_FLAGS		(1u << 7)
#define ZUS_SET_PROJID		(1u << 8)

/* What to set; only members named in valid count. */
struct zus_setattr {
	uint64_t fh;		/* open file, or 0 */
	uint64_t size_bytes;
	struct zus_time atime;
	struct zus_time mtime;
	struct zus_time ctime;
	uint32_t valid;		/* ZUS_SET_* */
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t flags;		/* ZUS_ATTR_* of SETTABLE, all of them */
	uint32_t projid;
};

/*
 * An extended attribute. The name carries its prefix and no NUL; 1 to 255 bytes. Value
 * and name lie in the request, at no particular alignment.
 */
struct zus_xattr {
	struct zus_name name;
	const void *value;
	uint32_t value_bytes;	/* 0 to 65536 */
};

/* acl(5), in the form of <linux/posix_acl_xattr.h>. */
#define ZUS_XATTR_ACL_ACCESS	"system.posix_acl_access"
#define ZUS_XATTR_ACL_DEFAULT	"system.posix_acl_default"

#define ZUS_XATTR_CREATE	(1u << 0) /* EEXIST if it is there */
#define ZUS_XATTR_REPLACE	(1u << 1) /* ENODATA if it is not */
#define ZUS_XATTR_REMOVE	(1u << 2) /* there is no value, and need not have been one */
#define ZUS_XATTR_MODE		(1u << 3) /* an ACL that changes permissions: both or none */

struct zus_setxattr {
	struct zus_xattr xattr;
	struct zus_time now;	/* ctime */
	uint32_t flags;		/* ZUS_XATTR_* */
	uint32_t mode;		/* with ZUS_XATTR_MODE: the new permissions */
};

/* A new inode and its name. The kernel applied umask and set-gid rules. */
struct zus_create {
	struct zus_name name;
	struct zus_name target;	/* of a symlink: 1 to 4095 bytes, '/' allowed */
	struct zus_time now;
	uint32_t mode;		/* type and permissions */
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	const struct zus_xattr *xattrs; /* with ZUS_MF_XATTRS: what it has from the start */
	uint32_t num_xattrs;
	uint32_t reserved;
};

struct zus_rename {
	struct zus_inode *old_dir;
	struct zus_inode *new_dir; /* may be old_dir */
	struct zus_inode *inode;
	struct zus_inode *target; /* NULL: the new name does not exist */
	struct zus_name old_name;
	struct zus_name new_name;
	struct zus_time now;
	uint32_t flags;		/* RENAME_* of <linux/fs.h> */
	uint32_t num_xattrs;
	const struct zus_xattr *xattrs; /* with RENAME_WHITEOUT: what the whiteout has */
};

/* Attributes after a rename. target only if there was one. */
struct zus_rename_out {
	struct zus_attr old_dir;
	struct zus_attr new_dir;
	struct zus_attr inode;
	struct zus_attr target;
};

struct zus_inode_ops {
	/*
	 * Required. Find name in dir. ENOENT: no such name (the kernel remembers
	 * that until the directory changes).
	 */
	int (*lookup)(struct zus_req *req, struct zus_inode *dir,
		      const struct zus_name *name, struct zus_entry *out);
	/*
	 * Required. The inode's attributes. fh: an open file of it, or 0. mask:
	 * STATX_* that the caller wants; giving more is fine.
	 */
	int (*getattr)(struct zus_req *req, struct zus_inode *inode, uint64_t fh,
		       uint32_t mask, struct zus_attr *out);
	/*
	 * Optional; default EOPNOTSUPP. Change attributes, answer all of them.
	 * SIZE is truncate(2), both ways: blocks behind the new size may be freed
	 * here, nothing maps them any more. The kernel zeroes the rest of the last
	 * block by a MAP of its own.
	 */
	int (*setattr)(struct zus_req *req, struct zus_inode *inode,
		       const struct zus_setattr *set, struct zus_attr *out);
	/*
	 * Optional; default EOPNOTSUPP. Make a regular file, directory, special
	 * file or symlink. dir_out: the directory as it then is. EEXIST, ENOSPC,
	 * ENAMETOOLONG, ENOENT (the directory was removed).
	 */
	int (*create)(struct zus_req *req, struct zus_inode *dir,
		      const struct zus_create *args, struct zus_entry *out,
		      struct zus_attr *dir_out);
	int (*mkdir)(struct zus_req *req, struct zus_inode *dir,
		     const struct zus_create *args, struct zus_entry *out,
		     struct zus_attr *dir_out);
	int (*mknod)(struct zus_req *req, struct zus_inode *dir,
		     const struct zus_create *args, struct zus_entry *out,
		     struct zus_attr *dir_out);
	int (*symlink)(struct zus_req *req, struct zus_inode *dir,
		       const struct zus_create *args, struct zus_entry *out,
		       struct zus_attr *dir_out);
	/* Optional; default EOPNOTSUPP. Give inode one more name. EEXIST, EMLINK. */
	int (*link)(struct zus_req *req, struct zus_inode *inode, struct zus_inode *dir,
		    const struct zus_name *name, const struct zus_time *now,
		    struct zus_attr *inode_out, struct zus_attr *dir_out);
	/*
	 * Optional; default EOPNOTSUPP. Remove a name, that of a directory with
	 * rmdir. It must still name inode, else ESTALE. The inode lives on while
	 * the kernel knows it; free its space in evict. ENOENT, ENOTEMPTY.
	 */
	int (*unlink)(struct zus_req *req, struct zus_inode *dir,
		      struct zus_inode *inode, const struct zus_name *name,
		      const struct zus_time *now, struct zus_attr *inode_out,
		      struct zus_attr *dir_out);
	int (*rmdir)(struct zus_req *req, struct zus_inode *dir,
		     struct zus_inode *inode, const struct zus_name *name,
		     const struct zus_time *now, struct zus_attr *inode_out,
		     struct zus_attr *dir_out);
	/*
	 * Optional; default EOPNOTSUPP. Move a name, over target if there is one.
	 * Flags that are not known: EINVAL. ENOENT, EEXIST, ENOTEMPTY, ESTALE. With
	 * RENAME_WHITEOUT (and ZUS_MF_WHITEOUT) a new character device 0:0, mode 0, of
	 * the caller, takes the old name in the same change.
	 */
	int (*rename)(struct zus_req *req, const struct zus_rename *args,
		      struct zus_rename_out *out);
	/*
	 * Optional; default EOPNOTSUPP. Add the entries behind cookie (0: from the
	 * start) with zus_req_dirent() until that says ENOSPC or none is left;
	 * then set *eof to 1. "." and ".." are the kernel's. A cookie is 3 or
	 * higher and belongs to its entry for as long as that exists.
	 */
	int (*readdir)(struct zus_req *req, struct zus_inode *dir, uint64_t fh,
		       uint64_t cookie, int *eof);
	/*
	 * Optional; default EINVAL. Put the symlink's target, without NUL, into
	 * zus_req_payload() and give its length to zus_req_payload_set().
	 */
	int (*readlink)(struct zus_req *req, struct zus_inode *inode);
	/*
	 * Required. The last reference was put: nobody can reach the inode. Free
	 * it, and its space if it has no name. Runs inside the zus_inode_put() or
	 * the forget that dropped the last reference, so in any thread; take no
	 * lock that is held across zus_inode_put(). Never fails.
	 */
	void (*evict)(struct zus_inode *inode);
	/*
	 * Required with ZUS_MF_XATTRS, as are the next two. Answer the value of an
	 * extended attribute with zus_req_xattr_value(). ENODATA: has none of that name.
	 * The kernel has decided that the caller may read it.
	 */
	int (*getxattr)(struct zus_req *req, struct zus_inode *inode,
			const struct zus_name *name);
	/*
	 * Set or remove one, and ctime and change; out: all attributes then. ENODATA,
	 * EEXIST as the flags say, ENOSPC, E2BIG. The inode is locked against other
	 * changes of names, attributes and size, not against getxattr.
	 */
	int (*setxattr)(struct zus_req *req, struct zus_inode *inode,
			const struct zus_setxattr *args, struct zus_attr *out);
	/* Tell all their names with zus_req_xattr_name(); the kernel hides what it must. */
	int (*listxattr)(struct zus_req *req, struct zus_inode *inode);
	/*
	 * Required with ZUS_MF_TMPFILE. Make a regular file that has no name, nlink 0; no
	 * reference but the kernel's keeps it. args->name is empty, dir says where its
	 * defaults come from. link may give it its first name.
	 */
	int (*tmpfile)(struct zus_req *req, struct zus_inode *dir,
		       const struct zus_create *args, struct zus_entry *out);
	/*
	 * Required with ZUS_MF_EXPORT, for open_by_handle_at(2) and NFS. The inode of that
	 * number and generation; ESTALE: there is none, or it has no name. parent: of a
	 * directory that is not the root.
	 */
	int (*iget)(struct zus_req *req, struct zus_mount *mount, uint64_t ino, uint64_t gen,
		    struct zus_entry *out);
	int (*parent)(struct zus_req *req, struct zus_inode *dir, struct zus_entry *out);
	/*
	 * Required with ZUS_MF_CREATE_OPEN. open(2) with O_CREAT of a name that the kernel
	 * does not know, in one call: make a regular file as create does, and open it if
	 * the mount has ZUS_MF_OPEN. If the name is there, answer its inode (of whatever
	 * type) as lookup does, not open, with created 0, or EEXIST with O_EXCL in flags.
	 * Errors as of create.
	 */
	int (*create_open)(struct zus_req *req, struct zus_inode *dir,
			   const struct zus_create *args, uint32_t flags,
			   struct zus_create_open *answer);
};

/* The first release's table ended here. */
#define ZUS_INODE_OPS_FIRST_BYTES	offsetof(struct zus_inode_ops, getxattr)

/* ------------------------------------------------------- file-level callbacks */

#define ZUS_EXT_HOLE		1
#define ZUS_EXT_DATA		2
#define ZUS_EXT_UNWRITTEN	3

#define ZUS_EXTF_NEW		(1u << 0) /* contents undefined, not yet in the file */
#define ZUS_EXTF_COMMIT		(1u << 1) /* map_done is wanted */
/* May be kept, until recalled. None of them goes with NEW or COMMIT. */
#define ZUS_EXTF_LEASE_R	(1u << 2) /* for reading */
#define ZUS_EXTF_LEASE_W	(1u << 3) /* DATA only: also for overwriting */
#define ZUS_EXTF_IMMUTABLE	(1u << 4) /* with LEASE_R: never written again */
#define ZUS_EXTF_SHARED		(1u << 5) /* DATA that other places of files have, too */

/* Where bytes are. On T1 all numbers are multiples of ZUS_BLOCK_BYTES. */
struct zus_extent {
	uint64_t file_off;
	uint64_t len_bytes;	/* file_off + len_bytes is at most 2^63 */
	uint64_t dev_off;	/* 0 for a hole */
	uint32_t dev;		/* index in mount->devices */
	uint16_t type;		/* ZUS_EXT_* */
	uint16_t flags;		/* ZUS_EXTF_* */
};

#define ZUS_MAP_READ		(1u << 0)
#define ZUS_MAP_WRITE		(1u << 1)
#define ZUS_MAP_FAULT		(1u << 2) /* for a page fault */
#define ZUS_MAP_ZERO		(1u << 3) /* with WRITE: to zero; holes may stay */
/*
 * With WRITE: somebody uses pages of the range, pinned: answer the place where the bytes
 * are, and copy away what is to be kept of them.
 */
#define ZUS_MAP_STAY		(1u << 4)
/*
 * With READ: for lseek(2) and FIEMAP. Nobody copies by the answer; each extent shall reach
 * as far as it can, however much was asked for, which may be up to the end of the file.
 * A plugin built for an older minor is not told, and asked for 64 MiB at a time.
 */
#define ZUS_MAP_REPORT		(1u << 5)
/*
 * With ZUS_MF_WHOLE_WRITES. Of map, with WRITE: the write(2) goes on behind len_bytes. Of
 * map_done: more of it follows, so keep what was written, and make nothing of it part of the
 * file yet, neither bytes nor size. The write's id is zus_req_id() of its first map; its later
 * maps and map_dones have it as write_id. The map_done without MORE publishes all. One that
 * answers an error ends the write: drop all of it. If the write ended early that one has
 * map_id and write_id the same and written_bytes 0: what came before counts. A map may begin
 * within the block in which the one in front ended: answer where that block is, with COMMIT,
 * and its bytes are kept. Faults go on meanwhile; one for a block of the write is answered
 * with ZUS_BUSY_RETRY, or as the file is.
 */
#define ZUS_MAP_MORE		(1u << 6)
/* Of map_done: the word was stored; size and blocks count, mtime comes by setattr. */
#define ZUS_MAP_COMMITTED	(1u << 16)

struct zus_map {
	uint64_t fh;		/* open file, or 0 */
	uint64_t off;
	uint64_t len_bytes;	/* 1 to 64 MiB, more with REPORT; off + len_bytes is below 2^63 */
	uint64_t size_bytes;	/* the kernel's i_size */
	uint32_t flags;		/* ZUS_MAP_* */
	uint32_t max_extents;	/* not 0 */
	uint64_t epoch;		/* of the answer, see zus_epoch(); 0 without EPOCHS */
	uint64_t write_id;	/* of a write that has begun, see ZUS_MAP_MORE; or 0 */
};

struct zus_map_done {
	uint64_t fh;
	uint64_t map_id;	/* zus_req_id() of the map request */
	uint64_t off;
	uint64_t written_bytes;	/* from off; 0: drop the reservation */
	uint64_t size_bytes;	/* the file's size if this counts */
	struct zus_time mtime;	/* and ctime */
	uint32_t flags;		/* ZUS_MAP_* of the map, MORE as it now is, ZUS_MAP_COMMITTED */
	uint64_t write_id;	/* of a write that has begun, see ZUS_MAP_MORE; or 0 */
};

/*
 * A number on a T1 device that makes a write part of the file when it is stored. 8 bytes,
 * aligned, little-endian as in memory, in none of the answer's extents.
 */
struct zus_word {
	uint64_t dev_off;
	uint64_t old_le64;	/* what it is until then */
	uint64_t new_le64;	/* another number */
	uint64_t blocks_512;	/* of the inode, once it is stored */
	uint32_t dev;		/* index in mount->devices */
};

struct zus_write {
	uint64_t fh;
	uint64_t off;
	uint64_t size_bytes;	/* the kernel's i_size */
	struct zus_time mtime;	/* and ctime */
	const void *data;
	uint32_t len_bytes;	/* not 0 */
};

struct zus_fsync {
	uint64_t fh;
	uint64_t off;
	uint64_t len_bytes;	/* 0: to the end */
	int datasync;
};

struct zus_fallocate {
	uint64_t fh;
	uint64_t off;
	uint64_t len_bytes;	/* not 0; off + len_bytes is below 2^63 */
	uint64_t size_bytes;	/* of the file, once it is done */
	struct zus_time now;	/* mtime and ctime */
	uint32_t mode;		/* FALLOC_FL_* of <linux/falloc.h> */
};

struct zus_copy {
	uint64_t to_fh;
	uint64_t from_fh;
	uint64_t to_off;
	uint64_t from_off;
	uint64_t len_bytes;	/* not 0; from has as many */
	struct zus_time now;	/* mtime and ctime of to, but for DEDUPE */
	uint32_t flags;		/* ZUS_COPY_*, at most one */
};

#define ZUS_COPY_CLONE		(1u << 0)
#define ZUS_COPY_DEDUPE		(1u << 1)

#define ZUS_LOCK_UNLCK		0
#define ZUS_LOCK_RDLCK		1
#define ZUS_LOCK_WRLCK		2

#define ZUS_LOCK_WAIT		(1u << 0) /* the caller waits, and asks again */
#define ZUS_LOCK_POSIX		(1u << 1) /* one of these three */
#define ZUS_LOCK_OFD		(1u << 2)
#define ZUS_LOCK_FLOCK		(1u << 3)
#define ZUS_LOCK_END		INT64_MAX /* as end: to the end, however it moves */

struct zus_lock {
	uint64_t fh;		/* open file, or 0 */
	uint64_t owner;		/* to compare only, within the mount and kind */
	uint64_t start;
	uint64_t end;		/* the last byte */
	uint32_t pid;		/* to set: of a process of the owner */
	uint32_t type;		/* ZUS_LOCK_UNLCK, RDLCK, WRLCK */
	uint32_t flags;		/* ZUS_LOCK_WAIT, POSIX and so on */
	uint32_t get;		/* 1: only who is in the way */
};

struct zus_lock_conflict {
	uint64_t start;
	uint64_t end;
	uint32_t type;		/* preset to UNLCK: nobody */
	int32_t pid;		/* as it was set; 0: not by a process of this kernel */
	uint32_t flags;		/* ZUS_LOCK_POSIX or OFD; 0: unknown */
};

#define ZUS_IOCTL_COMPAT	(1u << 0) /* from a 32-bit program */
#define ZUS_IOCTL_WRITE		(1u << 1) /* the file is open for writing */
#define ZUS_IOCTL_ADMIN		(1u << 2) /* the caller has CAP_SYS_ADMIN */

struct zus_ioctl {
	uint64_t fh;
	const void *in;		/* what came with an _IOW */
	void *out;		/* what goes back with an _IOR; zeroed */
	uint32_t cmd;
	uint32_t in_bytes;	/* as cmd says, or 0 */
	uint32_t out_bytes;
	uint32_t flags;		/* ZUS_IOCTL_* */
};

struct zus_file_ops {
	/*
	 * Optional, with ZUS_MF_OPEN. flags: O_* of open(2). *fh comes back with
	 * every call on that open file and with release. Default: *fh = 0.
	 */
	int (*open)(struct zus_req *req, struct zus_inode *inode, uint32_t flags,
		    uint64_t *fh);
	/* Optional, with ZUS_MF_OPEN. The open file's end. Never fails. */
	void (*release)(struct zus_inode *inode, uint64_t fh);
	/*
	 * Optional for a filesystem without regular files; default EIO. Say where
	 * the bytes of [off, off + len) are, with zus_req_extent(): extents begin
	 * at or before off, ascend without gaps, cover at least the first byte and
	 * may end early. For a write or a fault that writes, DATA only; a block
	 * that the file did not have is reserved and flagged NEW, and becomes part
	 * of the file at map_done(written > 0), not before. For an inode with
	 * ZUS_ATTR_INLINE answer a read with zus_req_inline(). Two maps may want
	 * to make the same block at once (a write and a fault): answer the second
	 * with ZUS_BUSY_RETRY.
	 */
	int (*map)(struct zus_req *req, struct zus_inode *inode,
		   const struct zus_map *args);
	/*
	 * Required with map, if that answers NEW or COMMIT or the file may grow.
	 * The kernel copied written_bytes: publish the blocks that hold them, free
	 * those of the same map that do not, take over size and mtime. out is NULL
	 * if nobody waits for it (the caller died); then errors are only logged.
	 * Default EOPNOTSUPP.
	 */
	int (*map_done)(struct zus_req *req, struct zus_inode *inode,
			const struct zus_map_done *args, struct zus_attr *out);
	/*
	 * Required for inodes with ZUS_ATTR_INLINE. Write args->data to the file.
	 * *written may be shorter, not 0 without an error. Default EOPNOTSUPP.
	 */
	int (*write)(struct zus_req *req, struct zus_inode *inode,
		     const struct zus_write *args, uint64_t *written,
		     struct zus_attr *out);
	/*
	 * Optional, with ZUS_MF_FSYNC. Make the file durable; its data already
	 * are where the kernel copied them. Default EOPNOTSUPP.
	 */
	int (*fsync)(struct zus_req *req, struct zus_inode *inode,
		     const struct zus_fsync *args);
	/*
	 * Required with ZUS_MF_FALLOCATE. fallocate(2), by whole blocks: allocate those
	 * that the range touches (what is new reads as zero); free or zero those that it
	 * covers, the kernel zeroes the rest of others; take out or put in, then the
	 * range is aligned. The kernel neither maps nor leases what it concerns, and no
	 * other operation on the data runs beside it. All or nothing. EOPNOTSUPP: a mode
	 * that is not known. ENOSPC.
	 */
	int (*fallocate)(struct zus_req *req, struct zus_inode *inode,
			 const struct zus_fallocate *args, struct zus_attr *out);
	/*
	 * Required with ZUS_MF_IOCTL. ioctl(2) of an open file or directory. *result: what
	 * it returns, not negative, preset to 0. Sizes are those in cmd, checked; who may,
	 * the plugin decides. ENOTTY: not known.
	 */
	int (*ioctl)(struct zus_req *req, struct zus_inode *inode, const struct zus_ioctl *args,
		     int32_t *result);
	/*
	 * Required with ZUS_MF_COPY. copy_file_range(2): what from has at from_off goes to
	 * to_off of to, which may be the same file, elsewhere. Nobody writes to either
	 * meanwhile by a call; blocks of to's range are neither mapped nor leased, so they
	 * may become others. *copied_bytes: how many, at least 1, from the start; to is
	 * then as long as they need, or as before. out: attributes of to. EOPNOTSUPP, with
	 * nothing copied: the kernel reads and writes then. ENOSPC. With both inodes' locks
	 * to be taken in an order of the plugin's own.
	 * With ZUS_MF_CLONE also to share blocks, see ioctl_ficlone(2): by ZUS_COPY_CLONE; by
	 * DEDUPE where both hold the same bytes, else EBADE, to's size and times staying.
	 * Nothing of both ranges is mapped or leased then, offsets and *copied_bytes are in
	 * blocks of ZUS_BLOCK_BYTES, but for a last one that ends with from's last byte.
	 */
	int (*copy)(struct zus_req *req, struct zus_inode *to, struct zus_inode *from,
		    const struct zus_copy *args, uint64_t *copied_bytes, struct zus_attr *out);
	/*
	 * Required with ZUS_MF_LOCKS. fcntl(2) and flock(2) on a file or directory. To set:
	 * the owner has in [start, end] what type says, and nothing else; its locks split
	 * and join as that needs. FLOCK locks and others know nothing of each other; of
	 * POSIX and OFD the owners differ, and that is all. EAGAIN: another owner is in the
	 * way; nothing has changed. Never wait for a lock here. With WAIT the kernel comes
	 * again when zus_invalidate() with ZUS_INVAL_LOCKS names the inode, and after a
	 * second; a waiter that does not is gone, nobody says so. EDEADLK: it would wait for
	 * ever, where the plugin looks for that. ENOLCK: no room. To get: *conflict is one
	 * that is in the way.
	 *
	 * req is NULL for an unlock that comes as a forced message, since a file was closed
	 * or a process died; fh is 0 then, and an error only logged. The kernel sends one
	 * for each owner that has locks, and nothing for others.
	 */
	int (*lock)(struct zus_req *req, struct zus_inode *inode, const struct zus_lock *args,
		    struct zus_lock_conflict *conflict);
};

/* The first release's table ended here. */
#define ZUS_FILE_OPS_FIRST_BYTES	offsetof(struct zus_file_ops, fallocate)

/* -------------------------------------------------------------- descriptor */

#define ZUS_PLUGIN_NODEV	(1u << 0) /* has no devices */
/*
 * Works on T1 devices without ZUS_DEVF_SYNCHRONOUS, too, as mapped files are: there flushed
 * cache lines are durable only when the file has been written back, which it sees to in
 * fsync. Other plugins get such a device only from who can bear to lose all.
 */
#define ZUS_PLUGIN_PAGECACHE	(1u << 1)

/*
 * What a plugin exports as "zus_plugin". It and the tables stay valid and
 * unchanged while the plugin is loaded. New members are added at the end.
 */
struct zus_plugin {
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t plugin_bytes;	/* sizeof, as the plugin was built */
	uint32_t mount_ops_bytes;
	uint32_t inode_ops_bytes;
	uint32_t file_ops_bytes;
	uint32_t flags;		/* ZUS_PLUGIN_* */
	const char *name;	/* type for mount -t, 1 to 31 of [a-z0-9_.-] */
	const struct zus_mount_ops *mount_ops;
	const struct zus_inode_ops *inode_ops;
	const struct zus_file_ops *file_ops; /* may be NULL */
};

#ifndef __cplusplus
/* The versions and sizes that a plugin was built with. */
#define ZUS_PLUGIN_ABI \
	.abi_major = ZUS_PLUGIN_ABI_MAJOR, \
	.abi_minor = ZUS_PLUGIN_ABI_MINOR, \
	.plugin_bytes = sizeof(struct zus_plugin), \
	.mount_ops_bytes = sizeof(struct zus_mount_ops), \
	.inode_ops_bytes = sizeof(struct zus_inode_ops), \
	.file_ops_bytes = sizeof(struct zus_file_ops)
#else
#define ZUS_PLUGIN_ABI \
	ZUS_PLUGIN_ABI_MAJOR, ZUS_PLUGIN_ABI_MINOR, sizeof(struct zus_plugin), \
	sizeof(struct zus_mount_ops), sizeof(struct zus_inode_ops), \
	sizeof(struct zus_file_ops)
#endif

/* ------------------------------------------------------------------ request */

/*
 * Facts about a request. req may be NULL (a forced message): then ids are 0,
 * slot is ZUS_NO_SLOT and nothing is interrupted.
 */
struct zus_caller {
	uint32_t uid;		/* as the filesystem counts ids */
	uint32_t gid;
	uint32_t pid;		/* for messages only */
};

#define ZUS_NO_SLOT		0xffffffffu

struct zus_caller zus_req_caller(const struct zus_req *req);
uint64_t zus_req_id(const struct zus_req *req);
uint32_t zus_req_op_slot(const struct zus_req *req);
uint64_t zus_req_op_seq(const struct zus_req *req);

/*
 * Was that operation of the mount's incarnation done? 1: it was, and *ino is an inode that it
 * changed. 0: it was not, or changed nothing. ESTALE: a later one of its slot was, which
 * means that whoever asked for it has had its answer. EOPNOTSUPP: the plugin does not say.
 * EINVAL: no such slot. By RFC 8881, 2.10.6: a slot has one operation at a time, and its next
 * sequence acknowledges the last one. Any thread, once mount has returned.
 */
int zus_op_seen(struct zus_mount *mount, uint32_t slot, uint64_t seq, uint64_t *ino);

/* 1 if the caller has a signal and waits only for this operation's end. */
int zus_req_interrupted(const struct zus_req *req);

/* 1 if the caller frees memory: the plugin should allocate none. */
int zus_req_reclaim(const struct zus_req *req);

/* NUMA node of the CPU that the request came from; 0 where that is unknown. */
uint32_t zus_req_numa_node(const struct zus_req *req);

/*
 * Add a directory entry to the answer, written straight into the reply. type is
 * DT_* of <dirent.h>. ENOSPC: no room, the entry was not added, return 0 from
 * the callback. EINVAL: name or cookie out of bounds.
 */
int zus_req_dirent(struct zus_req *req, uint64_t ino, uint64_t cookie, uint32_t type,
		   const struct zus_name *name);

/*
 * 1: who reads the directory most likely wants the entries' attributes, too: add each
 * with zus_req_direntplus(). entry is filled as lookup fills it, under the same lock;
 * what is not added gives its reference back. Errors as above. zus_req_dirent() still
 * may be used for an entry whose attributes are not at hand.
 */
int zus_req_readdir_plus(const struct zus_req *req);
int zus_req_direntplus(struct zus_req *req, uint64_t cookie, const struct zus_name *name,
		       const struct zus_entry *entry);

/*
 * Add an extent to the answer of map, written straight into the reply. ENOSPC:
 * no room, it was not added; with others before it return 0 from the callback.
 */
int zus_req_extent(struct zus_req *req, const struct zus_extent *extent);

/*
 * In map, for a write, beside COMMIT or NEW extents: who copies stores the word itself when
 * all that was asked for, as far as the extents reach, is durable. That saves the trip of
 * map_done before the write returns; it comes within about a second, with
 * ZUS_MAP_COMMITTED, and the word is durable then, unless the device failed, of which the
 * writer was told. Who looks at the file's map before that looks at the word: new_le64, it
 * is committed, and may have to be flushed yet; old_le64, the write is under way, or came to
 * nothing and map_done says so. Prepare, durable, all that the word makes valid before map
 * returns. A write that copied less, or whose epoch ended, does not store it: map_done comes
 * as without a word.
 * EOPNOTSUPP: no ZUS_MF_COW, or not for this map (a fault, ZERO, STAY, a part of a whole
 * write; with ZUS_MF_WHOLE_WRITES the extents must reach to the end): answer without.
 * EINVAL: alignment, old and new are the same.
 */
int zus_req_word(struct zus_req *req, const struct zus_word *word);

/* How many extents can still be added. */
uint32_t zus_req_extents_left(const struct zus_req *req);

/*
 * Answer a map with bytes: gives in *buf room for len_bytes, which the plugin
 * fills before it returns. Only once a request, and with no zus_req_extent().
 * ENOSPC: more than zus_req_inline_max().
 */
int zus_req_inline(struct zus_req *req, uint64_t file_off, uint32_t len_bytes,
		   void **buf);
uint32_t zus_req_inline_max(const struct zus_req *req);

/*
 * The reply's payload, *max_bytes long, for readlink. zus_req_payload_set tells
 * how much of it was used; EINVAL if that is too much.
 */
void *zus_req_payload(struct zus_req *req, uint32_t *max_bytes);
int zus_req_payload_set(struct zus_req *req, uint32_t bytes);

/*
 * Answer getxattr, once: 0, or ERANGE, which the callback returns. zus_req_xattr_name
 * adds a name to the answer of listxattr, ERANGE likewise.
 */
int zus_req_xattr_value(struct zus_req *req, const void *value, uint32_t bytes);
int zus_req_xattr_name(struct zus_req *req, const struct zus_name *name);

/* ------------------------------------------------------------------- inodes */

/*
 * Reference counts. zus_inode_init() enters the inode into the mount's table and
 * gives the plugin one reference; by custom it stands for "the inode has a
 * name", and is put when the last name goes. Each zus_entry_set() gives one to
 * the kernel, which comes back by a forget. When the last of all goes evict is
 * called, once.
 *
 * zus_inode_init: the memory stays the plugin's. ENOMEM, ENFILE.
 * zus_inode_get, zus_inode_put: a reference of the plugin's more, or less. get is
 * allowed only while the caller knows that the inode is alive.
 * zus_inode_tryget: 1: as get; 0: the last reference has gone, evict runs or soon
 * will. For threads of the plugin's own, which find inodes in a list that evict
 * takes them from: call it under the lock of that list, so that the memory is there.
 * zus_inode_leave: for umount alone, when the reference of zus_inode_init() is the only
 * one: the inode leaves the mount's table, and evict is not called. Its memory is the
 * plugin's, which may enter it in a later mount's.
 * zus_entry_set: call it while the inode cannot vanish, under the lock that found
 * it. A failing callback need not undo it.
 */
int zus_inode_init(struct zus_mount *mount, struct zus_inode *inode);
void zus_inode_get(struct zus_inode *inode);
int zus_inode_tryget(struct zus_inode *inode);
void zus_inode_put(struct zus_inode *inode);
void zus_inode_leave(struct zus_inode *inode);
void zus_entry_set(struct zus_entry *entry, struct zus_inode *inode);

/* ------------------------------------------------------------------ recalls */

/*
 * Take leases of [off, off + len_bytes) back (len_bytes 0: to the end), so that the
 * blocks can be used for something else. The order that makes it safe:
 *
 *   1 under the lock that map() looks at the map with: note that the range moves,
 *     so that map() answers ZUS_BUSY_RETRY for it, and call this function
 *   2 done() is called: nobody uses the old blocks, and what was stored through
 *     mappings has been flushed
 *   3 copy; under the lock change the map and take the note away
 *
 * Between 1 and 2 the plugin neither uses the blocks for anything else nor waits
 * in a callback for done(): it may take as long as somebody keeps a page pinned.
 * What map() gave as NEW or COMMIT is not recalled: it ends with map_done.
 *
 * With ZUS_RECALL_DOWNGRADE leases remain, for reading, and done() means: nobody can
 * begin to write any more. It does not wait for pinned pages, so who had pinned one
 * before may yet write to it, until a recall without the flag has ended. Copy behind
 * a downgrade to save time, and compare behind the recall that must follow.
 *
 * With ZUS_RECALL_TRY err is EBUSY where a page stays pinned: then the blocks are in
 * use as before, and the plugin takes its note away. Who moves blocks only because it is
 * better should try, and try again later: an application that pinned one page of a
 * range may wait for the map of another page of it, which would be for ever otherwise.
 *
 * ino, gen: the inode, as in its attributes; it stays alive until then by a
 * reference of the plugin's. done() runs once in a thread of libzus, or of the
 * caller if 0 is not returned (then it is not called at all); it may sleep, and
 * must not wait for another recall. err: 0, EBUSY, EIO (what was stored through mappings
 * may be lost), ESHUTDOWN (the mount ends; nothing will be used any more).
 *
 * zus_recall: queue it. zus_recall_all: for every inode. Both return 0, EOPNOTSUPP
 * (no ZUS_MF_LEASES: nothing was leased, done() is not called), ENOMEM, EBUSY (too
 * many), ESHUTDOWN. zus_recall_wait: the same, and wait for the end: for threads of
 * the plugin's own, never in a callback.
 */
#define ZUS_RECALL_DOWNGRADE	(1u << 0)
#define ZUS_RECALL_TRY		(1u << 1)

struct zus_recall {
	struct zus_inode *inode;
	uint64_t ino;
	uint64_t gen;
	uint64_t off;
	uint64_t len_bytes;
	uint32_t flags;		/* ZUS_RECALL_* */
};

typedef void zus_recall_done_fn(void *arg, int err);

int zus_recall(const struct zus_recall *recall, zus_recall_done_fn *done, void *arg);
int zus_recall_all(struct zus_mount *mount, uint32_t flags, zus_recall_done_fn *done,
		   void *arg);
int zus_recall_wait(const struct zus_recall *recall);

/* ------------------------------------------------------------ invalidations */

/*
 * What changed otherwise than by an operation of this mount's kernel: by another node of
 * a network filesystem, by a tool. The kernel keeps names, attributes, xattrs and ACLs
 * until it is told; it forgets what is named here, and tells those who watch by inotify
 * and fanotify, one after the other as they were queued. The plugin changes its own
 * state first: what it answers after this call must be new. Attributes need a higher
 * change number. Bytes and their places are taken back by zus_recall().
 *
 * Any thread, in callbacks too, with any locks: nothing is waited for. done() runs once
 * in a thread of libzus when nobody is shown any more what was known before; NULL: the
 * plugin does not want to know. It may sleep; a callback must not wait for it. err: 0, or
 * ESHUTDOWN: the mount ends, and nobody will be shown anything.
 *
 * Returns 0 (also where the kernel knows nothing of it), EINVAL (a bad name, or flags),
 * EOPNOTSUPP (a kernel that cannot), ENOMEM, EBUSY (too many), ESHUTDOWN. With an error
 * done() is not called. What is in the structure may go when the call returns.
 */
#define ZUS_INVAL_ATTR		(1u << 0) /* attributes, xattrs, ACLs of ino */
#define ZUS_INVAL_NAME		(1u << 1) /* the name in directory ino: there, gone, another */
#define ZUS_INVAL_INODE		(1u << 2) /* ATTR, and all names that lead to ino */
#define ZUS_INVAL_ISDIR		(1u << 3) /* the event is of a directory */
#define ZUS_INVAL_LOCKS		(1u << 4) /* a lock of ino went: who waits asks again; ZUS_MF_LOCKS */

enum zus_event {			/* inotify(7) says when each is told */
	ZUS_EVENT_NONE,
	ZUS_EVENT_CREATE,		/* this one and the next three with NAME */
	ZUS_EVENT_DELETE,
	ZUS_EVENT_MOVED_FROM,
	ZUS_EVENT_MOVED_TO,
	ZUS_EVENT_MODIFY,
	ZUS_EVENT_ATTRIB,
};

struct zus_invalidate {
	uint64_t ino;		/* and gen, as in its attributes */
	uint64_t gen;
	uint64_t child_ino;	/* of an event of a name: whose it is or was; 0: unknown */
	uint64_t child_gen;
	uint32_t flags;		/* ZUS_INVAL_* */
	enum zus_event event;
	uint32_t event_cookie;	/* not 0, the same in MOVED_FROM and MOVED_TO */
	struct zus_name name;	/* with NAME */
};

typedef void zus_invalidate_done_fn(void *arg, int err);

int zus_invalidate(struct zus_mount *mount, const struct zus_invalidate *what,
		   zus_invalidate_done_fn *done, void *arg);

/* ------------------------------------------------------------- write epochs */

/*
 * Begin the mount's next write epoch, to keep what its blocks hold at one moment: for
 * snapshots and other boundaries. It costs the kernel some time for each CPU and each
 * page stored to through mappings, however many files and leases there are.
 *
 * The first epoch is 1. An answer of map() belongs to the epoch in its zus_map, which
 * libzus notes before it calls map(). What it gave, leased or not, is good for writing
 * only in that epoch; of an older one the kernel makes no use but for reading, and
 * asks again before it writes. So:
 *
 *   1 zus_epoch() is called
 *   2 done() is called: what was written by maps of the old epoch is on the medium,
 *     through mappings too, and nothing more will be. Here the plugin goes over to
 *     the new epoch, in memory, under the lock that map() looks at its map with
 *   3 done() returns: from here on answers belong to the new epoch. The first write
 *     to each extent asks for it: map() keeps the old bytes, by copying them elsewhere
 *     or by answering another place, and then answers
 *
 * While done() runs writers wait: it should be short. A map() that runs beside it may
 * have the old number; the kernel then does not write by its answer (but maybe tells
 * so by map_done with 0 bytes). Another place than before for a range that is leased
 * or mapped needs zus_recall() of it first. NEW extents belong to no epoch: they may be
 * filled while one ends, and count when map_done comes. Pages that somebody has pinned
 * for writing, by direct I/O into a mapping, may still be stored to.
 *
 * done(): epoch is the number of the new one. Threads and err as for zus_recall();
 * with EIO the new epoch has begun all the same, with ESHUTDOWN not. zus_epoch: 0,
 * EOPNOTSUPP (no ZUS_MF_EPOCHS), ENOMEM, EBUSY, ESHUTDOWN. Any thread, not only once at a
 * time: they are taken in order, and at most one in 10 ms.
 */
typedef void zus_epoch_done_fn(void *arg, int err, uint64_t epoch);

int zus_epoch(struct zus_mount *mount, zus_epoch_done_fn *done, void *arg);

/* ------------------------------------------------- devices and persistence */

/* Address of a byte of a T1 device; NULL if dev or off is out of bounds. */
void *zus_dev_addr(const struct zus_mount *mount, uint32_t dev, uint64_t off);

/*
 * Stores to T1. zus_flush writes cache lines back, zus_fence orders all earlier
 * flushes, zus_persist does both. zus_copy_nt and zus_zero_nt store past the
 * cache and want a zus_fence.
 */
void zus_persist(const void *addr, size_t bytes);
void zus_flush(const void *addr, size_t bytes);
void zus_fence(void);
void zus_copy_nt(void *dst, const void *src, size_t bytes);
void zus_zero_nt(void *dst, size_t bytes);

/* -------------------------------------------------------------------- space */

/*
 * Free space of a mount's T1 devices, in blocks of ZUS_BLOCK_BYTES, kept in
 * memory: for filesystems whose own record of space is elsewhere, or that have
 * none. Any thread; the functions take short locks of their own.
 *
 * A block is named by one number: its device in the top bits, its place in the
 * lower ones, so that neighbours on a device are neighbours as numbers. 0 is no
 * block and the top two bits are never set: they are the plugin's to use.
 */
typedef uint64_t zus_block;
struct zus_space;

struct zus_space_want {
	uint64_t count;		/* blocks, in one piece, or fewer */
	uint64_t bn;		/* block number in the file, for huge pages */
	zus_block goal;		/* best place (behind the file's last), or 0 */
	uint32_t numa_node;	/* else near this node */
};

/*
 * zus_space_new: all is free, from each T1 device's data_off on. NULL: no memory
 * or no T1 device. zus_space_alloc: *got blocks from the result on; 0: no space.
 * A large file gets whole huge pages where they are free. zus_space_free: of
 * blocks that were allocated, and no others. zus_space_free_count: of all blocks
 * how many are free; total may be NULL.
 */
struct zus_space *zus_space_new(const struct zus_mount *mount);
void zus_space_delete(struct zus_space *space);
zus_block zus_space_alloc(struct zus_space *space, const struct zus_space_want *want,
			  uint64_t *got);
void zus_space_free(struct zus_space *space, zus_block first, uint64_t count);
uint64_t zus_space_free_count(const struct zus_space *space, uint64_t *total);

/* Index of the block's device, and its offset there. */
uint32_t zus_block_dev(zus_block block);
uint64_t zus_block_off(const struct zus_space *space, zus_block block);

/* --------------------------------------------------------------------- NUMA */

/*
 * Zeroed memory on a NUMA node, in whole pages, for what a CPU uses alone. NULL:
 * none left. Free it with the same size.
 */
void *zus_alloc_onnode(size_t bytes, uint32_t node);
void zus_free_onnode(void *addr, size_t bytes);

/* Number of possible NUMA nodes, at least 1. */
uint32_t zus_numa_nodes(void);

/* ------------------------------------------------------------------ logging */

#define ZUS_LOG_ERR		3	/* as in syslog(3) */
#define ZUS_LOG_WARN		4
#define ZUS_LOG_NOTICE		5
#define ZUS_LOG_INFO		6
#define ZUS_LOG_DEBUG		7

/* A line to the server's log, without a final newline. May sleep. */
void zus_log(int level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------------------ options */

/*
 * Walk through a comma-separated option string: copies the next "key=value" to
 * buf, *key and *value point into it, *value is NULL without "=". *cursor
 * begins as the string and moves on. 1: an option, 0: the end, -E2BIG: an
 * option longer than buf.
 */
int zus_option_next(const char **cursor, char *buf, size_t buf_bytes, char **key,
		    char **value);

/* "10", "4k", "2m", "1g" to bytes. EINVAL, ERANGE. */
int zus_parse_bytes(const char *text, uint64_t *bytes);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* ZUS_H */
