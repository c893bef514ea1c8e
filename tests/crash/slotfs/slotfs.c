// SPDX-License-Identifier: BSD-3-Clause
/* slotfs.c - names, inodes, the two slots, and what the crash program is told. */
#include <errno.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../mix.h"
#include "../target.h"
#include "slotfs.h"

#define SLOT_BYTES	((sizeof(struct slot_state) + 4095) / 4096 * 4096)

/* ------------------------------------------------------------------- medium */

static uint64_t *valid_word(char *media, uint64_t data_off)
{
	return (uint64_t *)(void *)(media + data_off);
}

static char *slot_at(char *media, uint64_t data_off, uint64_t seq)
{
	return media + data_off + ZUS_BLOCK_BYTES + (seq & 1) * SLOT_BYTES;
}

static uint16_t first_block(uint64_t data_off)
{
	return (uint16_t)((data_off + ZUS_BLOCK_BYTES + 2 * SLOT_BYTES) / ZUS_BLOCK_BYTES);
}

static uint64_t sum_of(const struct slot_state *state)
{
	return mix_bytes(1, state, offsetof(struct slot_state, sum));
}

static void write_state(char *media, uint64_t data_off, struct slot_state *state,
			enum slot_bug bug)
{
	uint64_t *valid = valid_word(media, data_off);

	state->seq++;
	state->sum = sum_of(state);
	zus_copy_nt(slot_at(media, data_off, state->seq), state, sizeof(*state));
	if (bug != SLOT_NO_FENCE)
		zus_fence();
	__atomic_store_n(valid, state->seq, __ATOMIC_RELAXED);
	if (bug != SLOT_NO_FLUSH)
		zus_flush(valid, sizeof(*valid));
	zus_fence();
}

void slot_commit(struct slot_fs *fs)
{
	write_state(fs->media, fs->data_off, &fs->state, fs->bug);
}

static int read_state(char *media, uint64_t data_off, struct slot_state *state)
{
	uint64_t seq = *valid_word(media, data_off);

	memcpy(state, slot_at(media, data_off, seq), sizeof(*state));
	return state->seq == seq && state->sum == sum_of(state) ? 0 : -EUCLEAN;
}

/* ------------------------------------------------------------------- blocks */

char *slot_block_addr(const struct slot_fs *fs, uint16_t block)
{
	return fs->media + (uint64_t)block * ZUS_BLOCK_BYTES;
}

static unsigned int num_blocks(const struct slot_fs *fs)
{
	uint64_t blocks = fs->bytes / ZUS_BLOCK_BYTES;

	return blocks < SLOT_BLOCKS ? (unsigned int)blocks : SLOT_BLOCKS;
}

uint16_t slot_block_alloc(struct slot_fs *fs)
{
	unsigned int block;

	for (block = first_block(fs->data_off); block < num_blocks(fs); block++)
		if (!fs->used[block]) {
			fs->used[block] = true;
			return (uint16_t)block;
		}
	return 0;
}

void slot_block_free(struct slot_fs *fs, uint16_t block)
{
	fs->used[block] = false;
}

void slot_blocks_find(struct slot_fs *fs)
{
	unsigned int ino, i;

	memset(fs->used, 0, sizeof(fs->used));
	for (ino = 0; ino < SLOT_INODES; ino++) {
		const struct slot_node *node = &fs->state.nodes[ino];

		for (i = 0; node->mode && i < SLOT_FILE_BLOCKS; i++)
			fs->used[node->blocks[i]] = true;
		for (i = 0; node->mode && i < SLOT_XATTRS; i++)
			fs->used[node->xattrs[i].block] = true;
	}
	fs->used[fs->state.leaked] = true;
}

static int slot_statfs(struct zus_req *req, struct zus_mount *mount, struct zus_statfs *out)
{
	const struct slot_fs *fs = mount->priv;
	unsigned int block;

	(void)req;
	out->blocks = num_blocks(fs) - first_block(fs->data_off);
	for (block = first_block(fs->data_off); block < num_blocks(fs); block++)
		out->blocks_free += !fs->used[block];
	out->blocks_avail = out->blocks_free;
	return 0;
}

/* ------------------------------------------------------------------- inodes */

void slot_attr(struct zus_inode *inode, struct zus_attr *out)
{
	const struct slot_node *node = slot_node(inode);

	*out = (struct zus_attr) {
		.ino = slot_inode(inode)->ino, .gen = node->gen, .change = node->change,
		.mode = node->mode, .nlink = node->nlink, .uid = node->uid, .gid = node->gid,
		.size_bytes = node->size_bytes,
	};
}

static int slot_getattr(struct zus_req *req, struct zus_inode *inode, uint64_t fh, uint32_t mask,
			struct zus_attr *out)
{
	(void)req;
	(void)fh;
	(void)mask;
	slot_attr(inode, out);
	return 0;
}

static struct slot_inode *enter(struct slot_fs *fs, uint32_t ino)
{
	struct slot_inode *si = calloc(1, sizeof(*si));

	if (!si || zus_inode_init(fs->mount, &si->zi)) {
		free(si);
		return NULL;
	}
	si->ino = ino;
	fs->inodes[ino] = si;
	return si;
}

/* Its blocks went with its name. */
static void slot_evict(struct zus_inode *inode)
{
	struct slot_inode *si = slot_inode(inode);

	slot_fs_of(inode)->inodes[si->ino] = NULL;
	if (si->gone)
		slot_node(inode)->mode = 0;
	free(si);
}

/* -------------------------------------------------------------------- names */

static struct slot_name *find_name(struct slot_fs *fs, uint32_t dir, const struct zus_name *name)
{
	unsigned int i;

	for (i = 0; i < SLOT_NAMES; i++)
		if (fs->state.names[i].bytes == name->bytes && fs->state.names[i].dir == dir &&
		    !memcmp(fs->state.names[i].name, name->str, name->bytes))
			return &fs->state.names[i];
	return NULL;
}

static bool is_empty(const struct slot_fs *fs, uint32_t dir)
{
	unsigned int i;

	for (i = 0; i < SLOT_NAMES; i++)
		if (fs->state.names[i].bytes && fs->state.names[i].dir == dir)
			return false;
	return true;
}

static int add_name(struct slot_fs *fs, uint32_t dir, uint32_t ino, const struct zus_name *name)
{
	unsigned int i;

	if (name->bytes >= SLOT_NAME_BYTES)
		return -ENAMETOOLONG;
	for (i = 0; i < SLOT_NAMES; i++)
		if (!fs->state.names[i].bytes) {
			fs->state.names[i] = (struct slot_name) {
				.bytes = (uint16_t)name->bytes, .dir = (uint16_t)dir,
				.ino = (uint16_t)ino,
			};
			memcpy(fs->state.names[i].name, name->str, name->bytes);
			return 0;
		}
	return -ENOSPC;
}

static int slot_lookup(struct zus_req *req, struct zus_inode *dir, const struct zus_name *name,
		       struct zus_entry *out)
{
	struct slot_fs *fs = slot_fs_of(dir);
	const struct slot_name *found = find_name(fs, slot_inode(dir)->ino, name);

	(void)req;
	if (!found)
		return -ENOENT;
	zus_entry_set(out, &fs->inodes[found->ino]->zi);
	slot_attr(out->inode, &out->attr);
	return 0;
}

static int put_target(struct slot_fs *fs, struct slot_node *node, const struct zus_name *target)
{
	uint16_t block = slot_block_alloc(fs);

	if (!block)
		return -ENOSPC;
	zus_copy_nt(slot_block_addr(fs, block), target->str, target->bytes);
	zus_fence();
	node->blocks[0] = block;
	return 0;
}

static uint32_t free_ino(const struct slot_fs *fs)
{
	uint32_t ino;

	for (ino = SLOT_ROOT + 1; ino < SLOT_INODES; ino++)
		if (!fs->state.nodes[ino].mode && !fs->inodes[ino])
			return ino;
	return 0;
}

static int make(struct slot_fs *fs, uint32_t dir, uint32_t ino, const struct zus_create *args)
{
	struct slot_node *node = &fs->state.nodes[ino];
	int err;

	*node = (struct slot_node) {
		.mode = args->mode, .uid = args->uid, .gid = args->gid,
		.nlink = S_ISDIR(args->mode) ? 2 : 1, .size_bytes = args->target.bytes,
		.gen = ++fs->state.next_gen,
	};
	err = args->target.bytes ? put_target(fs, node, &args->target) : 0;
	if (!err)
		err = add_name(fs, dir, ino, &args->name);
	if (!err && !enter(fs, ino))
		err = -ENOMEM;
	return err;
}

static void lock(struct slot_fs *fs)
{
	if (fs->bug != SLOT_NO_LOCK)
		pthread_mutex_lock(&fs->lock);
}

static void unlock(struct slot_fs *fs)
{
	if (fs->bug != SLOT_NO_LOCK)
		pthread_mutex_unlock(&fs->lock);
}

static int create_locked(struct zus_inode *dir, const struct zus_create *args,
			 struct zus_entry *out, struct zus_attr *dir_out)
{
	struct slot_fs *fs = slot_fs_of(dir);
	uint32_t ino = free_ino(fs);
	int err;

	if (!ino)
		return -ENOSPC;
	err = make(fs, slot_inode(dir)->ino, ino, args);
	if (err) {
		fs->state.nodes[ino].mode = 0;
		return err;
	}
	slot_node(dir)->nlink += S_ISDIR(args->mode);
	slot_node(dir)->change++;
	slot_commit(fs);
	zus_entry_set(out, &fs->inodes[ino]->zi);
	slot_attr(out->inode, &out->attr);
	slot_attr(dir, dir_out);
	return 0;
}

static int slot_create(struct zus_req *req, struct zus_inode *dir, const struct zus_create *args,
		       struct zus_entry *out, struct zus_attr *dir_out)
{
	int err;

	(void)req;
	lock(slot_fs_of(dir));
	err = create_locked(dir, args, out, dir_out);
	unlock(slot_fs_of(dir));
	return err;
}

static int link_locked(struct zus_inode *inode, struct zus_inode *dir,
		       const struct zus_name *name, struct zus_attr *inode_out,
		       struct zus_attr *dir_out)
{
	struct slot_fs *fs = slot_fs_of(dir);
	int err = add_name(fs, slot_inode(dir)->ino, slot_inode(inode)->ino, name);

	if (err)
		return err;
	slot_node(inode)->nlink++;
	slot_node(inode)->change++;
	slot_node(dir)->change++;
	slot_commit(fs);
	slot_attr(inode, inode_out);
	slot_attr(dir, dir_out);
	return 0;
}

static int slot_link(struct zus_req *req, struct zus_inode *inode, struct zus_inode *dir,
		     const struct zus_name *name, const struct zus_time *now,
		     struct zus_attr *inode_out, struct zus_attr *dir_out)
{
	int err;

	(void)req;
	(void)now;
	lock(slot_fs_of(dir));
	err = link_locked(inode, dir, name, inode_out, dir_out);
	unlock(slot_fs_of(dir));
	return err;
}

/* One name less. When it was the last one the medium has the inode no more. */
static bool drop_link(struct zus_inode *inode, struct slot_node *saved)
{
	struct slot_node *node = slot_node(inode);

	node->change++;
	node->nlink -= S_ISDIR(node->mode) ? 2 : 1;
	*saved = *node;
	if (node->nlink)
		return false;
	memset(node, 0, sizeof(*node));
	return true;
}

/* In memory it lives on, without its blocks, while somebody knows it. */
static void keep_gone(struct zus_inode *inode, const struct slot_node *saved)
{
	struct slot_node *node = slot_node(inode);

	*node = *saved;
	memset(node->blocks, 0, sizeof(node->blocks));
	memset(node->xattrs, 0, sizeof(node->xattrs));
	node->mode = 0;
	slot_inode(inode)->gone = true;
}

static int slot_unlink(struct zus_req *req, struct zus_inode *dir, struct zus_inode *inode,
		       const struct zus_name *name, const struct zus_time *now,
		       struct zus_attr *inode_out, struct zus_attr *dir_out)
{
	struct slot_fs *fs = slot_fs_of(dir);
	struct slot_name *found = find_name(fs, slot_inode(dir)->ino, name);
	struct slot_node saved;
	bool last;

	(void)req;
	(void)now;
	if (!found)
		return -ENOENT;
	if (!is_empty(fs, slot_inode(inode)->ino))
		return -ENOTEMPTY;
	memset(found, 0, sizeof(*found));
	slot_node(dir)->nlink -= S_ISDIR(slot_node(inode)->mode);
	slot_node(dir)->change++;
	last = drop_link(inode, &saved);
	slot_commit(fs);
	slot_blocks_find(fs);
	if (last)
		keep_gone(inode, &saved);
	slot_attr(inode, inode_out);
	inode_out->mode = saved.mode;
	slot_attr(dir, dir_out);
	if (last)
		zus_inode_put(inode);
	return 0;
}

static void move_name(struct slot_fs *fs, const struct zus_rename *args, struct slot_name *from)
{
	uint16_t dir = (uint16_t)slot_inode(args->new_dir)->ino, ino = from->ino;

	if (fs->bug == SLOT_TWO_STEPS) {
		add_name(fs, dir, ino, &args->new_name);
		slot_commit(fs);
		memset(from, 0, sizeof(*from));
		return;
	}
	*from = (struct slot_name) {
		.bytes = (uint16_t)args->new_name.bytes, .dir = dir, .ino = ino,
	};
	memcpy(from->name, args->new_name.str, args->new_name.bytes);
}

static void change_links(const struct zus_rename *args, bool exchange)
{
	int moved = S_ISDIR(slot_node(args->inode)->mode);
	int gone = args->target && S_ISDIR(slot_node(args->target)->mode);

	slot_node(args->old_dir)->nlink -= (uint32_t)moved;
	slot_node(args->new_dir)->nlink += (uint32_t)(moved - gone);
	if (exchange)
		slot_node(args->old_dir)->nlink += (uint32_t)gone;
	slot_node(args->old_dir)->change++;
	slot_node(args->new_dir)->change++;
	slot_node(args->inode)->change++;
}

static int slot_rename(struct zus_req *req, const struct zus_rename *args,
		       struct zus_rename_out *out)
{
	struct slot_fs *fs = slot_fs_of(args->inode);
	struct slot_name *from = find_name(fs, slot_inode(args->old_dir)->ino, &args->old_name);
	struct slot_name *to = find_name(fs, slot_inode(args->new_dir)->ino, &args->new_name);
	bool exchange = args->flags & RENAME_EXCHANGE, last = false;
	struct slot_node saved = { 0 };
	uint16_t ino;

	(void)req;
	if (!from || args->new_name.bytes >= SLOT_NAME_BYTES)
		return from ? -ENAMETOOLONG : -ENOENT;
	if (to && !exchange && !is_empty(fs, to->ino))
		return -ENOTEMPTY;
	change_links(args, exchange);
	if (!to) {
		move_name(fs, args, from);
	} else {
		ino = to->ino;
		to->ino = from->ino;
		from->ino = ino;
	}
	if (to && !exchange) {
		memset(from, 0, sizeof(*from));
		last = drop_link(args->target, &saved);
	}
	slot_commit(fs);
	slot_blocks_find(fs);
	if (last)
		keep_gone(args->target, &saved);
	slot_attr(args->old_dir, &out->old_dir);
	slot_attr(args->new_dir, &out->new_dir);
	slot_attr(args->inode, &out->inode);
	if (args->target)
		slot_attr(args->target, &out->target);
	if (last)
		out->target.mode = saved.mode;
	if (last)
		zus_inode_put(args->target);
	return 0;
}

static int slot_readdir(struct zus_req *req, struct zus_inode *dir, uint64_t fh, uint64_t cookie,
			int *eof)
{
	struct slot_fs *fs = slot_fs_of(dir);
	uint64_t i = cookie < 3 ? 0 : cookie - 2;

	(void)fh;
	for (; i < SLOT_NAMES; i++) {
		const struct slot_name *entry = &fs->state.names[i];
		const struct zus_name name = { entry->name, entry->bytes };

		if (!entry->bytes || entry->dir != slot_inode(dir)->ino)
			continue;
		if (zus_req_dirent(req, entry->ino, i + 3, fs->state.nodes[entry->ino].mode >> 12,
				   &name))
			return 0;
	}
	*eof = 1;
	return 0;
}

static int slot_readlink(struct zus_req *req, struct zus_inode *inode)
{
	const struct slot_node *node = slot_node(inode);
	uint32_t max;
	char *buf = zus_req_payload(req, &max);

	if (node->size_bytes > max)
		return -EIO;
	memcpy(buf, slot_block_addr(slot_fs_of(inode), node->blocks[0]), node->size_bytes);
	return zus_req_payload_set(req, (uint32_t)node->size_bytes);
}

/* -------------------------------------------------------------------- mount */

static void leave(struct slot_fs *fs)
{
	uint32_t ino;

	for (ino = 0; ino < SLOT_INODES; ino++)
		if (fs->inodes[ino])
			zus_inode_put(&fs->inodes[ino]->zi);
	pthread_mutex_destroy(&fs->lock);
	if (fs->bug != SLOT_MEMORY_LEAK)
		free(fs);
}

/* What a broken filesystem might do when it finds a symlink. */
static void misbehave(const struct slot_fs *fs)
{
	uint32_t ino;

	for (ino = 0; ino < SLOT_INODES; ino++)
		if (S_ISLNK(fs->state.nodes[ino].mode)) {
			while (fs->bug == SLOT_HANG)
				__atomic_signal_fence(__ATOMIC_SEQ_CST);
			if (fs->bug == SLOT_CRASH)
				raise(SIGSEGV);
		}
}

static int enter_all(struct slot_fs *fs)
{
	uint32_t ino;

	for (ino = 0; ino < SLOT_INODES; ino++)
		if (fs->state.nodes[ino].mode && !enter(fs, ino))
			return -ENOMEM;
	return 0;
}

static int slot_mount(struct zus_req *req, struct zus_mount *mount, struct zus_mount_out *out)
{
	struct slot_fs *fs = calloc(1, sizeof(*fs));
	int err;

	(void)req;
	if (!fs)
		return -ENOMEM;
	if (!strncmp(mount->options, "bug=", 4))
		fs->bug = (enum slot_bug)strtoul(mount->options + 4, NULL, 10);
	pthread_mutex_init(&fs->lock, NULL);
	fs->mount = mount;
	fs->media = mount->devices[0].addr;
	fs->bytes = mount->devices[0].size_bytes;
	fs->data_off = mount->devices[0].data_off;
	mount->priv = fs;
	err = read_state(fs->media, fs->data_off, &fs->state);
	if (!err) {
		misbehave(fs);
		err = enter_all(fs);
	}
	if (err) {
		leave(fs);
		return err;
	}
	if (fs->bug == SLOT_RECOVERY)
		fs->state.seq++;
	slot_commit(fs);
	slot_blocks_find(fs);
	out->features = ZUS_MF_COW | ZUS_MF_XATTRS | ZUS_MF_FALLOCATE | ZUS_MF_IOCTL;
	out->max_file_bytes = SLOT_FILE_BYTES;
	zus_entry_set(&out->root, &fs->inodes[SLOT_ROOT]->zi);
	slot_attr(out->root.inode, &out->root.attr);
	return 0;
}

static void slot_umount(struct zus_mount *mount)
{
	leave(mount->priv);
}

static const struct zus_mount_ops slot_mount_ops = {
	.mount = slot_mount, .umount = slot_umount, .statfs = slot_statfs,
};

static const struct zus_inode_ops slot_inode_ops = {
	.lookup = slot_lookup, .getattr = slot_getattr, .setattr = slot_setattr,
	.create = slot_create, .mkdir = slot_create, .symlink = slot_create,
	.link = slot_link, .unlink = slot_unlink, .rmdir = slot_unlink, .rename = slot_rename,
	.readdir = slot_readdir, .readlink = slot_readlink, .evict = slot_evict,
	.getxattr = slot_getxattr, .setxattr = slot_setxattr, .listxattr = slot_listxattr,
};

ZUS_EXPORT const struct zus_plugin zus_plugin = {
	ZUS_PLUGIN_ABI,
	.name = "zslotfs",
	.mount_ops = &slot_mount_ops, .inode_ops = &slot_inode_ops, .file_ops = &slot_file_ops,
};

/* ------------------------------------------------------------ crash program */

#define TARGET_BYTES	(512u << 10)
#define TARGET_OFF	4096u

static int target_mkfs(void *media, uint64_t bytes, const char *options)
{
	static struct slot_state state;

	(void)bytes;
	(void)options;
	memset(&state, 0, sizeof(state));
	state.nodes[SLOT_ROOT] = (struct slot_node) { .mode = S_IFDIR | 0755, .nlink = 2 };
	write_state(media, TARGET_OFF, &state, SLOT_RIGHT);
	return 0;
}

/* Links are counted again. */
static int target_fsck(const void *media, uint64_t bytes, char *message, size_t message_bytes)
{
	static struct slot_state state;
	unsigned int ino, i, links;

	(void)bytes;
	if (read_state((char *)media, TARGET_OFF, &state)) {
		snprintf(message, message_bytes, "the valid slot is damaged");
		return -EUCLEAN;
	}
	for (ino = 1; ino < SLOT_INODES; ino++) {
		for (i = 0, links = 0; i < SLOT_NAMES; i++)
			links += state.names[i].bytes && state.names[i].ino == ino;
		if (!state.nodes[ino].mode != !links && ino != SLOT_ROOT) {
			snprintf(message, message_bytes, "inode %u has %u names", ino, links);
			return -EUCLEAN;
		}
	}
	return 0;
}

static int target_step(struct zus_local *local, const char *name)
{
	const struct zus_ioctl rewrite = { .cmd = SLOT_IOC_REWRITE };
	struct zus_local_file *root;
	int32_t result;
	int err;

	if (strcmp(name, "rewrite") != 0)
		return -EOPNOTSUPP;
	err = zus_local_open(local, "/", &root);
	if (err)
		return err;
	err = zus_local_ioctl(root, &rewrite, &result);
	zus_local_close(root);
	return err;
}

static const char *const target_steps[] = { "rewrite", NULL };

ZUS_EXPORT const struct crash_target crash_target = {
	.device_bytes = TARGET_BYTES, .data_off = TARGET_OFF, .flags = CRASH_SPACE,
	.fences_max = 8, .steps = target_steps, .mkfs = target_mkfs, .fsck = target_fsck,
	.step = target_step,
};
