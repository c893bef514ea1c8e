// SPDX-License-Identifier: BSD-3-Clause
/* rawfs.c - see rawfs.h */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "rawfs.h"

#define RF_HASH_BUCKETS		65536u
#define RF_NODES_MAX		(1u << 20)
#define RF_BLOCK		ZUFS_BLOCK_BYTES

struct rf_entry {
	struct rf_entry *hash_next;
	struct rf_entry *next, **prev;	/* of the directory, by cookie */
	uint32_t dir;
	uint32_t node;
	uint64_t cookie;
	uint32_t name_bytes;
	char name[];
};

struct rf_node {
	uint32_t gen;			/* rises with each use of the index */
	bool used;
	uint64_t nlookup;
	uint32_t opens;
	struct zufs_attr attr;
	uint8_t *data;			/* contents, or a symlink's target */
	struct rf_entry *first, **last;	/* directory */
};

struct rf_fs {
	pthread_mutex_t lock;
	struct rf_counts *counts;
	struct rf_node **node;		/* by index; 0 is the root */
	uint32_t num_nodes;
	uint32_t *unused;
	uint32_t num_unused;
	struct rf_entry *hash[RF_HASH_BUCKETS];
	uint64_t features;
	uint64_t next_cookie;
	uint64_t next_fh;
	uint64_t change;
	uint64_t next_lease;
	struct zufs_device device;	/* the first one */
	bool has_device;
};

/* -------------------------------------------------------------------- nodes */

static uint64_t handle_of(const struct rf_fs *fs, uint32_t index)
{
	return (uint64_t)fs->node[index]->gen << 32 | (index + 1);
}

static struct rf_node *node_of(struct rf_fs *fs, uint64_t handle, uint32_t *index)
{
	uint32_t i = (uint32_t)handle - 1;

	if (i >= fs->num_nodes || !fs->node[i]->used || fs->node[i]->gen != handle >> 32)
		return NULL;
	if (index)
		*index = i;
	return fs->node[i];
}

static struct zufs_time now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (struct zufs_time) { .sec = ts.tv_sec, .nsec = (uint32_t)ts.tv_nsec };
}

static struct rf_node *node_new(struct rf_fs *fs, uint32_t mode, uint32_t *index)
{
	struct rf_node *node;
	uint32_t i, gen = 1;

	if (fs->num_unused) {
		i = fs->unused[--fs->num_unused];
		node = fs->node[i];
		gen = node->gen + 1;
	} else if (fs->num_nodes < RF_NODES_MAX) {
		i = fs->num_nodes;
		node = malloc(sizeof(*node));
		if (!node)
			return NULL;
		fs->node[i] = node;
		fs->num_nodes++;
	} else {
		return NULL;
	}
	memset(node, 0, sizeof(*node));
	node->gen = gen;
	node->used = true;
	node->last = &node->first;
	node->attr = (struct zufs_attr) {
		.ino = i + 1, .gen = gen, .change = ++fs->change, .mode = mode,
		.nlink = S_ISDIR(mode) ? 2 : 1,
		.atime = now(), .mtime = now(), .ctime = now(), .btime = now(),
		.flags = S_ISREG(mode) && !fs->has_device ? ZUFS_ATTR_INLINE : 0,
	};
	atomic_fetch_add(&fs->counts->nodes, 1);
	*index = i;
	return node;
}

static void node_check_free(struct rf_fs *fs, uint32_t index)
{
	struct rf_node *node = fs->node[index];

	if (node->attr.nlink || node->nlookup || node->opens || !index)
		return;
	free(node->data);
	node->data = NULL;
	node->used = false;
	fs->unused[fs->num_unused++] = index;
	atomic_fetch_sub(&fs->counts->nodes, 1);
}

static void node_touch(struct rf_fs *fs, struct rf_node *node, const struct zufs_time *time,
		       bool mtime)
{
	node->attr.ctime = *time;
	if (mtime)
		node->attr.mtime = *time;
	node->attr.change = ++fs->change;
}

static void node_unlink(struct rf_fs *fs, uint32_t index, const struct zufs_time *time)
{
	struct rf_node *node = fs->node[index];

	node->attr.nlink -= S_ISDIR(node->attr.mode) ? node->attr.nlink : 1;
	node_touch(fs, node, time, false);
}

/* Room for all of a file's contents at once: they may become any size. */
static int node_resize(struct rf_fs *fs, struct rf_node *node, uint64_t size)
{
	if (size > RF_FILE_MAX_BYTES && !fs->has_device)
		return -EFBIG;
	if (!fs->has_device && !node->data && size) {
		node->data = calloc(1, RF_FILE_MAX_BYTES);
		if (!node->data)
			return -ENOMEM;
	}
	if (node->data && size < node->attr.size_bytes)
		memset(node->data + size, 0, node->attr.size_bytes - size);
	node->attr.size_bytes = size;
	node->attr.blocks_512 = (size + 511) / 512;
	return 0;
}

/* The kernel gets a reference to the handle. */
static void entry_fill(struct rf_fs *fs, uint32_t index, struct zufs_entry *out)
{
	struct rf_node *node = fs->node[index];

	node->nlookup++;
	atomic_fetch_add(&fs->counts->handles, 1);
	out->handle = handle_of(fs, index);
	out->attr = node->attr;
}

/* -------------------------------------------------------------------- names */

static struct rf_entry **bucket_of(struct rf_fs *fs, uint32_t dir, const char *name,
				   uint32_t bytes)
{
	uint64_t hash = 0xcbf29ce484222325ull ^ dir;
	uint32_t i;

	for (i = 0; i < bytes; i++)
		hash = (hash ^ (uint8_t)name[i]) * 0x100000001b3ull;
	return &fs->hash[(hash ^ hash >> 32) % RF_HASH_BUCKETS];
}

static struct rf_entry *entry_find(struct rf_fs *fs, uint32_t dir, const char *name,
				   uint32_t bytes)
{
	struct rf_entry *e;

	for (e = *bucket_of(fs, dir, name, bytes); e; e = e->hash_next)
		if (e->dir == dir && e->name_bytes == bytes && !memcmp(e->name, name, bytes))
			return e;
	return NULL;
}

static int entry_add(struct rf_fs *fs, uint32_t dir, const char *name, uint32_t bytes,
		     uint32_t node)
{
	struct rf_entry *e = malloc(sizeof(*e) + bytes), **bucket;
	struct rf_node *parent = fs->node[dir];

	if (!e)
		return -ENOMEM;
	e->dir = dir;
	e->node = node;
	e->cookie = fs->next_cookie++;
	e->name_bytes = bytes;
	memcpy(e->name, name, bytes);
	bucket = bucket_of(fs, dir, name, bytes);
	e->hash_next = *bucket;
	*bucket = e;
	e->next = NULL;
	e->prev = parent->last;
	*parent->last = e;
	parent->last = &e->next;
	parent->attr.size_bytes += 32;
	if (S_ISDIR(fs->node[node]->attr.mode))
		parent->attr.nlink++;
	atomic_fetch_add(&fs->counts->entries, 1);
	return 0;
}

static void entry_remove(struct rf_fs *fs, struct rf_entry *e)
{
	struct rf_entry **p = bucket_of(fs, e->dir, e->name, e->name_bytes);
	struct rf_node *parent = fs->node[e->dir];

	while (*p != e)
		p = &(*p)->hash_next;
	*p = e->hash_next;
	*e->prev = e->next;
	if (e->next)
		e->next->prev = e->prev;
	else
		parent->last = e->prev;
	parent->attr.size_bytes -= 32;
	if (S_ISDIR(fs->node[e->node]->attr.mode))
		parent->attr.nlink--;
	atomic_fetch_sub(&fs->counts->entries, 1);
	free(e);
}

/* ------------------------------------------------------ operations: the mount */

static int op_nop(struct rf_fs *fs, struct rf_msg *m)
{
	(void)fs;
	memcpy(m->out, m->in, sizeof(struct zufs_nop));
	return 0;
}

static int op_mount(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_mount_in *in = m->in;
	struct zufs_mount_out *out = m->out;

	if (!in->num_devices != !fs->has_device)
		return -EINVAL;
	if (in->num_devices)
		fs->device = *(const struct zufs_device *)m->payload;
	entry_fill(fs, 0, &out->root);
	out->features = fs->features;
	return 0;
}

static int op_none(struct rf_fs *fs, struct rf_msg *m)
{
	(void)fs;
	(void)m;
	return 0;
}

static int op_statfs(struct rf_fs *fs, struct rf_msg *m)
{
	struct zufs_statfs_out *out = m->out;
	uint64_t nodes = (uint64_t)atomic_load(&fs->counts->nodes);

	out->blocks = RF_NODES_MAX;
	out->blocks_free = RF_NODES_MAX - nodes;
	out->blocks_avail = out->blocks_free;
	out->files = RF_NODES_MAX;
	out->files_free = RF_NODES_MAX - nodes;
	out->block_bytes = RF_BLOCK;
	return 0;
}

/* ------------------------------------------------- operations: names, inodes */

static int op_lookup(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_lookup_in *in = m->in;
	struct rf_entry *e;
	uint32_t dir;

	if (!node_of(fs, in->dir, &dir))
		return -ESTALE;
	e = entry_find(fs, dir, m->payload, in->name_bytes);
	if (!e)
		return -ENOENT;
	entry_fill(fs, e->node, m->out);
	return 0;
}

static int op_getattr(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_getattr_in *in = m->in;
	struct rf_node *node = node_of(fs, in->inode, NULL);

	if (!node)
		return -ESTALE;
	memcpy(m->out, &node->attr, sizeof(node->attr));
	return 0;
}

static int op_setattr(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_setattr_in *in = m->in;
	struct rf_node *node = node_of(fs, in->inode, NULL);
	int err;

	if (!node)
		return -ESTALE;
	if (in->valid & ZUFS_SET_SIZE) {
		err = node_resize(fs, node, in->size_bytes);
		if (err)
			return err;
	}
	if (in->valid & ZUFS_SET_MODE)
		node->attr.mode = (node->attr.mode & S_IFMT) | (in->mode & 07777);
	if (in->valid & ZUFS_SET_UID)
		node->attr.uid = in->uid;
	if (in->valid & ZUFS_SET_GID)
		node->attr.gid = in->gid;
	if (in->valid & ZUFS_SET_ATIME)
		node->attr.atime = in->atime;
	if (in->valid & ZUFS_SET_MTIME)
		node->attr.mtime = in->mtime;
	if (in->valid & ZUFS_SET_CTIME)
		node->attr.ctime = in->ctime;
	node->attr.change = ++fs->change;
	memcpy(m->out, &node->attr, sizeof(node->attr));
	return 0;
}

/* CREATE, MKDIR, MKNOD and SYMLINK. */
static int op_create(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_create_in *in = m->in;
	struct zufs_create_out *out = m->out;
	const char *name = m->payload;
	uint32_t dir, index;
	struct rf_node *parent = node_of(fs, in->dir, &dir), *node;

	if (!parent)
		return -ESTALE;
	if (!parent->attr.nlink)
		return -ENOENT;
	if (entry_find(fs, dir, name, in->name_bytes))
		return -EEXIST;
	node = node_new(fs, in->mode, &index);
	if (!node)
		return -ENOSPC;
	node->attr.uid = in->uid;
	node->attr.gid = in->gid;
	node->attr.rdev_major = in->rdev_major;
	node->attr.rdev_minor = in->rdev_minor;
	if (in->target_bytes) {
		node->data = malloc(in->target_bytes);
		memcpy(node->data, name + in->name_bytes, in->target_bytes);
		node->attr.size_bytes = in->target_bytes;
	}
	entry_add(fs, dir, name, in->name_bytes, index);
	node_touch(fs, parent, &in->now, true);
	entry_fill(fs, index, &out->entry);
	out->dir = parent->attr;
	return 0;
}

static int op_create_open(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_create_open_in *in = m->in;
	struct zufs_create_open_out *out = m->out;
	struct rf_node *parent, *node;
	struct rf_entry *e;
	uint32_t dir;
	int err;

	parent = node_of(fs, in->create.dir, &dir);
	if (!parent)
		return -ESTALE;
	e = entry_find(fs, dir, m->payload, in->create.name_bytes);
	if (e && in->open_flags & O_EXCL)
		return -EEXIST;
	if (e) {
		entry_fill(fs, e->node, &out->create.entry);
		out->create.dir = parent->attr;
		return 0;
	}
	err = op_create(fs, m);
	if (err)
		return err;
	out->created = 1;
	if (fs->features & ZUFS_MF_OPEN) {
		node = node_of(fs, out->create.entry.handle, NULL);
		node->opens++;
		atomic_fetch_add(&fs->counts->opens, 1);
		out->fh = ++fs->next_fh;
	}
	return 0;
}

static int op_link(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_link_in *in = m->in;
	struct zufs_link_out *out = m->out;
	uint32_t dir, index;
	struct rf_node *parent = node_of(fs, in->dir, &dir);
	struct rf_node *node = node_of(fs, in->inode, &index);

	if (!parent || !node)
		return -ESTALE;
	if (entry_find(fs, dir, m->payload, in->name_bytes))
		return -EEXIST;
	entry_add(fs, dir, m->payload, in->name_bytes, index);
	node->attr.nlink++;
	node_touch(fs, node, &in->now, false);
	node_touch(fs, parent, &in->now, true);
	out->inode = node->attr;
	out->dir = parent->attr;
	return 0;
}

/* UNLINK and RMDIR. */
static int op_unlink(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_unlink_in *in = m->in;
	struct zufs_link_out *out = m->out;
	uint32_t dir, index;
	struct rf_node *parent = node_of(fs, in->dir, &dir), *node;
	struct rf_entry *e;

	if (!parent)
		return -ESTALE;
	e = entry_find(fs, dir, m->payload, in->name_bytes);
	if (!e)
		return -ENOENT;
	index = e->node;
	node = fs->node[index];
	if (handle_of(fs, index) != in->inode)
		return -ESTALE;
	if (m->req->op == ZUFS_OP_RMDIR && node->first)
		return -ENOTEMPTY;
	entry_remove(fs, e);
	node_unlink(fs, index, &in->now);
	node_touch(fs, parent, &in->now, true);
	out->inode = node->attr;
	out->dir = parent->attr;
	node_check_free(fs, index);
	return 0;
}

static int rename_exchange(struct rf_fs *fs, struct rf_entry *a, struct rf_entry *b)
{
	bool a_dir = S_ISDIR(fs->node[a->node]->attr.mode);
	bool b_dir = S_ISDIR(fs->node[b->node]->attr.mode);
	uint32_t node = a->node;

	if (a_dir != b_dir) {
		fs->node[a->dir]->attr.nlink += b_dir ? 1u : -1u;
		fs->node[b->dir]->attr.nlink += a_dir ? 1u : -1u;
	}
	a->node = b->node;
	b->node = node;
	return 0;
}

static int op_rename(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_rename_in *in = m->in;
	struct zufs_rename_out *out = m->out;
	const char *old_name = m->payload, *new_name = old_name + in->old_bytes;
	uint32_t old_dir, new_dir, index, target = 0;
	struct rf_entry *old, *new;

	if (!node_of(fs, in->old_dir, &old_dir) || !node_of(fs, in->new_dir, &new_dir))
		return -ESTALE;
	old = entry_find(fs, old_dir, old_name, in->old_bytes);
	new = entry_find(fs, new_dir, new_name, in->new_bytes);
	if (!old || (in->flags & RENAME_EXCHANGE && !new))
		return -ENOENT;
	index = old->node;
	if (handle_of(fs, index) != in->inode ||
	    (new ? handle_of(fs, new->node) : 0) != in->target)
		return -ESTALE;
	if (new && in->flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (new)
		target = new->node;
	if (in->flags & RENAME_EXCHANGE) {
		rename_exchange(fs, old, new);
	} else {
		if (new && fs->node[target]->first)
			return -ENOTEMPTY;
		if (new)
			entry_remove(fs, new);
		entry_remove(fs, old);
		entry_add(fs, new_dir, new_name, in->new_bytes, index);
		if (new)
			node_unlink(fs, target, &in->now);
	}
	node_touch(fs, fs->node[index], &in->now, false);
	node_touch(fs, fs->node[old_dir], &in->now, true);
	node_touch(fs, fs->node[new_dir], &in->now, true);
	out->old_dir = fs->node[old_dir]->attr;
	out->new_dir = fs->node[new_dir]->attr;
	out->inode = fs->node[index]->attr;
	if (new) {
		out->target = fs->node[target]->attr;
		node_check_free(fs, target);
	}
	return 0;
}

static int op_readdir(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_readdir_in *in = m->in;
	struct zufs_readdir_out *out = m->out;
	struct rf_node *dir = node_of(fs, in->dir, NULL);
	struct rf_entry *e;
	uint32_t pos = 0;

	if (!dir)
		return -ESTALE;
	for (e = dir->first; e; e = e->next) {
		struct zufs_dirent *de = (void *)((char *)m->out_payload + pos);

		if (e->cookie <= in->cookie)
			continue;
		if (ZUFS_DIRENT_BYTES(e->name_bytes) > m->req->reply_max_bytes - pos)
			break;
		memset(de, 0, ZUFS_DIRENT_BYTES(e->name_bytes));
		de->ino = fs->node[e->node]->attr.ino;
		de->cookie = e->cookie;
		de->name_bytes = e->name_bytes;
		de->type = (fs->node[e->node]->attr.mode & S_IFMT) >> 12;
		memcpy(de + 1, e->name, e->name_bytes);
		pos += ZUFS_DIRENT_BYTES(e->name_bytes);
		out->count++;
	}
	out->eof = !e;
	m->reply->payload_bytes = pos;
	return 0;
}

static int op_readlink(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_readlink_in *in = m->in;
	struct rf_node *node = node_of(fs, in->inode, NULL);

	if (!node)
		return -ESTALE;
	memcpy(m->out_payload, node->data, node->attr.size_bytes);
	m->reply->payload_bytes = (uint32_t)node->attr.size_bytes;
	return 0;
}

/* --------------------------------------------------- operations: open files, data */

static int op_open(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_open_in *in = m->in;
	struct zufs_open_out *out = m->out;
	struct rf_node *node = node_of(fs, in->inode, NULL);

	if (!node)
		return -ESTALE;
	node->opens++;
	atomic_fetch_add(&fs->counts->opens, 1);
	out->fh = ++fs->next_fh;
	return 0;
}

static int map_inline(struct rf_node *node, const struct zufs_map_in *in, struct rf_msg *m)
{
	struct zufs_map_out *out = m->out;
	struct zufs_extent *ext = m->out_payload;
	uint64_t bytes = in->len_bytes;

	if (!(in->flags & ZUFS_MAP_READ) || m->req->reply_max_bytes <= sizeof(*ext))
		return -EINVAL;
	if (in->off >= node->attr.size_bytes)
		return -EINVAL;
	if (bytes > node->attr.size_bytes - in->off)
		bytes = node->attr.size_bytes - in->off;
	if (bytes > m->req->reply_max_bytes - sizeof(*ext))
		bytes = m->req->reply_max_bytes - sizeof(*ext);
	*ext = (struct zufs_extent) { .file_off = in->off, .len_bytes = bytes,
				      .dev_off = sizeof(*ext), .type = ZUFS_EXT_INLINE };
	memcpy(ext + 1, node->data + in->off, bytes);
	out->count = 1;
	m->reply->payload_bytes = (uint32_t)(sizeof(*ext) + bytes);
	return 0;
}

/* Each file has its own part of the device, of RF_FILE_MAX_BYTES. */
static int map_device(struct rf_fs *fs, uint32_t index, const struct zufs_map_in *in,
		      struct rf_msg *m)
{
	uint64_t slots = (fs->device.size_bytes - fs->device.data_off) / RF_FILE_MAX_BYTES;
	uint64_t from = in->off / RF_BLOCK * RF_BLOCK;
	uint64_t to = (in->off + in->len_bytes + RF_BLOCK - 1) / RF_BLOCK * RF_BLOCK;
	struct zufs_map_out *out = m->out;
	struct zufs_extent *ext = m->out_payload;

	*ext = (struct zufs_extent) { .file_off = from, .type = ZUFS_EXT_DATA };
	if (from < RF_FILE_MAX_BYTES) {
		ext->dev_off = fs->device.data_off + index % slots * RF_FILE_MAX_BYTES + from;
		ext->len_bytes = (to < RF_FILE_MAX_BYTES ? to : RF_FILE_MAX_BYTES) - from;
	} else if (in->flags & ZUFS_MAP_WRITE) {
		return -EFBIG;
	} else {
		ext->type = ZUFS_EXT_HOLE;
		ext->len_bytes = to - from;
	}
	out->count = 1;
	m->reply->payload_bytes = sizeof(*ext);
	return 0;
}

static int op_map(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_map_in *in = m->in;
	struct zufs_map_out *out = m->out;
	uint32_t index;
	struct rf_node *node = node_of(fs, in->inode, &index);

	if (!node)
		return -ESTALE;
	out->lease_seq = ++fs->next_lease;
	return fs->has_device ? map_device(fs, index, in, m) : map_inline(node, in, m);
}

static int map_done(struct rf_fs *fs, uint64_t handle, uint64_t size, uint64_t written,
		    struct rf_node **node)
{
	*node = node_of(fs, handle, NULL);
	atomic_fetch_add(&fs->counts->map_dones, 1);
	if (!*node)
		return -ESTALE;
	if (written && size > (*node)->attr.size_bytes)
		return node_resize(fs, *node, size);
	return 0;
}

static int op_map_done(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_map_done_in *in = m->in;
	struct rf_node *node;
	int err = map_done(fs, in->inode, in->size_bytes, in->written_bytes, &node);

	if (err)
		return err;
	node_touch(fs, node, &in->mtime, true);
	memcpy(m->out, &node->attr, sizeof(node->attr));
	return 0;
}

static int op_write(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_write_in *in = m->in;
	struct zufs_write_out *out = m->out;
	struct rf_node *node = node_of(fs, in->inode, NULL);
	uint64_t end = in->off + in->len_bytes;
	int err;

	if (!node)
		return -ESTALE;
	err = node_resize(fs, node, end > node->attr.size_bytes ? end : node->attr.size_bytes);
	if (err)
		return err;
	memcpy(node->data + in->off, m->payload, in->len_bytes);
	node_touch(fs, node, &in->mtime, true);
	out->written_bytes = in->len_bytes;
	out->attr = node->attr;
	return 0;
}

/* ------------------------------------------------------------ forced messages */

static void forget(struct rf_fs *fs, uint64_t handle, uint64_t count)
{
	uint32_t index;
	struct rf_node *node = node_of(fs, handle, &index);

	if (!node || node->nlookup < count) {
		atomic_fetch_add(&fs->counts->wild, 1);
		return;
	}
	node->nlookup -= count;
	atomic_fetch_sub(&fs->counts->handles, (long)count);
	node_check_free(fs, index);
}

static void release(struct rf_fs *fs, uint64_t handle)
{
	uint32_t index;
	struct rf_node *node = node_of(fs, handle, &index);

	if (!node || !node->opens) {
		atomic_fetch_add(&fs->counts->wild, 1);
		return;
	}
	node->opens--;
	atomic_fetch_sub(&fs->counts->opens, 1);
	node_check_free(fs, index);
}

static int op_batch(struct rf_fs *fs, struct rf_msg *m)
{
	const struct zufs_batch_in *in = m->in;
	const struct zufs_forced *f = m->payload;
	struct rf_node *node;
	uint32_t i;

	for (i = 0; i < in->count; i++, f++) {
		if (f->op == ZUFS_OP_FORGET)
			forget(fs, f->inode, f->arg);
		else if (f->op == ZUFS_OP_RELEASE)
			release(fs, f->inode);
		else if (f->op == ZUFS_OP_MAP_DONE)
			map_done(fs, f->inode, f->size_bytes, f->written_bytes, &node);
	}
	return 0;
}

/* ----------------------------------------------------------------- dispatch */

static const struct {
	int (*run)(struct rf_fs *fs, struct rf_msg *m);
	uint32_t out_bytes;
} ops[ZUFS_OP_COUNT] = {
	[ZUFS_OP_NOP]		= { op_nop, sizeof(struct zufs_nop) },
	[ZUFS_OP_MOUNT]		= { op_mount, sizeof(struct zufs_mount_out) },
	[ZUFS_OP_UMOUNT]	= { op_none, 0 },
	[ZUFS_OP_REMOUNT]	= { op_none, 0 },
	[ZUFS_OP_STATFS]	= { op_statfs, sizeof(struct zufs_statfs_out) },
	[ZUFS_OP_SYNCFS]	= { op_none, 0 },
	[ZUFS_OP_LOOKUP]	= { op_lookup, sizeof(struct zufs_entry) },
	[ZUFS_OP_GETATTR]	= { op_getattr, sizeof(struct zufs_attr) },
	[ZUFS_OP_SETATTR]	= { op_setattr, sizeof(struct zufs_attr) },
	[ZUFS_OP_CREATE]	= { op_create, sizeof(struct zufs_create_out) },
	[ZUFS_OP_CREATE_OPEN]	= { op_create_open, sizeof(struct zufs_create_open_out) },
	[ZUFS_OP_MKDIR]		= { op_create, sizeof(struct zufs_create_out) },
	[ZUFS_OP_MKNOD]		= { op_create, sizeof(struct zufs_create_out) },
	[ZUFS_OP_SYMLINK]	= { op_create, sizeof(struct zufs_create_out) },
	[ZUFS_OP_LINK]		= { op_link, sizeof(struct zufs_link_out) },
	[ZUFS_OP_UNLINK]	= { op_unlink, sizeof(struct zufs_link_out) },
	[ZUFS_OP_RMDIR]		= { op_unlink, sizeof(struct zufs_link_out) },
	[ZUFS_OP_RENAME]	= { op_rename, sizeof(struct zufs_rename_out) },
	[ZUFS_OP_READDIR]	= { op_readdir, sizeof(struct zufs_readdir_out) },
	[ZUFS_OP_READLINK]	= { op_readlink, 0 },
	[ZUFS_OP_OPEN]		= { op_open, sizeof(struct zufs_open_out) },
	[ZUFS_OP_MAP]		= { op_map, sizeof(struct zufs_map_out) },
	[ZUFS_OP_MAP_DONE]	= { op_map_done, sizeof(struct zufs_attr) },
	[ZUFS_OP_WRITE]		= { op_write, sizeof(struct zufs_write_out) },
	[ZUFS_OP_FSYNC]		= { op_none, 0 },
	[ZUFS_OP_LOCK]		= { op_none, sizeof(struct zufs_lock_out) },
	[ZUFS_OP_BATCH]		= { op_batch, 0 },
};

void rf_dispatch(struct rf_fs *fs, struct rf_msg *m)
{
	uint16_t op = m->req->op;
	int err = -EOPNOTSUPP;

	memset(m->reply, 0, sizeof(*m->reply));
	if (op < ZUFS_OP_COUNT && ops[op].run) {
		memset(m->out, 0, ops[op].out_bytes);
		pthread_mutex_lock(&fs->lock);
		err = ops[op].run(fs, m);
		pthread_mutex_unlock(&fs->lock);
		m->reply->fixed_bytes = err ? 0 : ops[op].out_bytes;
	}
	m->reply->err = err;
	if (err)
		m->reply->payload_bytes = 0;
}

struct rf_fs *rf_new(struct rf_counts *counts, uint64_t features, bool device)
{
	struct rf_fs *fs = calloc(1, sizeof(*fs));
	uint32_t index;

	if (!fs)
		return NULL;
	fs->node = calloc(RF_NODES_MAX, sizeof(struct rf_node *));
	fs->unused = calloc(RF_NODES_MAX, sizeof(*fs->unused));
	if (!fs->node || !fs->unused) {
		free(fs->node);
		free(fs->unused);
		free(fs);
		return NULL;
	}
	pthread_mutex_init(&fs->lock, NULL);
	fs->counts = counts;
	fs->features = features;
	fs->has_device = device;
	fs->next_cookie = ZUFS_COOKIE_FIRST;
	return node_new(fs, S_IFDIR | 0777, &index) ? fs : NULL;
}

int rf_attr(struct rf_fs *fs, uint64_t ino, struct zufs_attr *attr)
{
	int err = -ESTALE;

	pthread_mutex_lock(&fs->lock);
	if (ino && ino <= fs->num_nodes && fs->node[ino - 1]->used) {
		*attr = fs->node[ino - 1]->attr;
		err = 0;
	}
	pthread_mutex_unlock(&fs->lock);
	return err;
}

int rf_populate(struct rf_fs *fs, const char *prefix, uint32_t mode, unsigned int count)
{
	struct rf_node *node;
	char name[32];
	uint32_t index;
	unsigned int i;

	for (i = 0; i < count; i++) {
		int bytes = snprintf(name, sizeof(name), "%s%u", prefix, i);

		node = node_new(fs, mode, &index);
		if (!node)
			return -ENOMEM;
		if (S_ISCHR(mode)) {
			node->attr.rdev_major = 1;
			node->attr.rdev_minor = 3;
		}
		if (S_ISLNK(mode)) {
			node->data = (uint8_t *)strdup("target");
			node->attr.size_bytes = 6;
		} else if (S_ISREG(mode) && node_resize(fs, node, RF_BLOCK)) {
			return -ENOMEM;
		}
		if (entry_add(fs, 0, name, (uint32_t)bytes, index))
			return -ENOMEM;
	}
	return 0;
}
