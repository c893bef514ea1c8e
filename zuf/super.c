// SPDX-License-Identifier: GPL-2.0
/*
 * Superblocks: mount, remount, umount. A mount's server is asked (MOUNT) while
 * the superblock is still private and told (UMOUNT) after the last inode has
 * gone. Everything here works without the server too, or umount(2) would not.
 */
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#include "zuf.h"

/* What a mount may ask for by what its server and this kernel have agreed upon. */
static const struct {
	u64 agreed;		/* ZUFS_FEAT_*, 0: nothing */
	u64 mount;		/* ZUFS_MF_* */
} mount_features[] = {
	{ 0, ZUFS_MF_OPEN | ZUFS_MF_FSYNC | ZUFS_MF_SYNCFS | ZUFS_MF_VOLATILE },
	{ ZUFS_FEAT_LEASES, ZUFS_MF_LEASES },
	{ ZUFS_FEAT_EPOCHS, ZUFS_MF_EPOCHS },
	{ ZUFS_FEAT_COW, ZUFS_MF_COW },
	{ ZUFS_FEAT_XATTRS, ZUFS_MF_XATTRS | ZUFS_MF_ACLS },
	{ ZUFS_FEAT_READDIR_PLUS, ZUFS_MF_READDIR_PLUS },
	{ ZUFS_FEAT_FILEATTR, ZUFS_MF_FILEATTR },
	{ ZUFS_FEAT_NAMES, ZUFS_MF_TMPFILE | ZUFS_MF_WHITEOUT },
	{ ZUFS_FEAT_FALLOCATE, ZUFS_MF_FALLOCATE },
	{ ZUFS_FEAT_IOCTL, ZUFS_MF_IOCTL },
	{ ZUFS_FEAT_EXPORT, ZUFS_MF_EXPORT },
	{ ZUFS_FEAT_FREEZE, ZUFS_MF_FREEZE },
	{ ZUFS_FEAT_DURABLE_MAPS, ZUFS_MF_DURABLE_MAPS },
	{ ZUFS_FEAT_COPY, ZUFS_MF_COPY },
	{ ZUFS_FEAT_CREATE_OPEN, ZUFS_MF_CREATE_OPEN },
	{ ZUFS_FEAT_CLONE, ZUFS_MF_CLONE },
	{ ZUFS_FEAT_LOCKS, ZUFS_MF_LOCKS },
};

static u64 may_ask(const struct zuf_server *server)
{
	u64 agreed = zuf_server_features(server), may = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mount_features); i++)
		if (!(mount_features[i].agreed & ~agreed))
			may |= mount_features[i].mount;
	return may;
}

/* ------------------------------------------------------------------ options */

struct zuf_fs_options {
	u32 deadline_ms;
	bool deadline_set;
	unsigned int num_fds;
	int fds[ZUFS_DEVICES_MAX - 1];	/* the primary has none */
	u32 plugin_len;			/* without NUL */
	char plugin[ZUFS_OPTIONS_MAX_BYTES];
};

enum { OPT_FD, OPT_DEADLINE, OPT_RECOVER };

static const struct fs_parameter_spec zuf_params[] = {
	fsparam_fd("fd", OPT_FD),
	fsparam_u32("deadline_ms", OPT_DEADLINE),
	fsparam_string("recover", OPT_RECOVER),
	{}
};

/* What is not the kernel's goes to the plugin as it came. */
static int option_for_plugin(struct fs_context *fc, const struct fs_parameter *param)
{
	struct zuf_fs_options *opts = fc->fs_private;
	const char *value = "";
	size_t room = sizeof(opts->plugin) - opts->plugin_len;
	int len;

	if (param->type == fs_value_is_string)
		value = param->string;
	else if (param->type != fs_value_is_flag)
		return invalfc(fc, "option %s: only text values go to the filesystem", param->key);
	if (strchr(param->key, ',') || strchr(value, ','))
		return invalfc(fc, "option %s: no comma may be in it", param->key);
	len = snprintf(opts->plugin + opts->plugin_len, room, "%s%s%s%s",
		       opts->plugin_len ? "," : "", param->key,
		       param->type == fs_value_is_string ? "=" : "", value);
	if (len >= room) {
		opts->plugin[opts->plugin_len] = 0;
		return invalfc(fc, "options longer than %zu bytes", sizeof(opts->plugin) - 1);
	}
	opts->plugin_len += len;
	return 0;
}

static int zuf_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct zuf_fs_options *opts = fc->fs_private;
	struct fs_parse_result result;
	int opt;

	opt = vfs_parse_fs_param_source(fc, param);
	if (opt != -ENOPARAM)
		return opt;
	opt = fs_parse(fc, zuf_params, param, &result);
	switch (opt) {
	case -ENOPARAM:
		return option_for_plugin(fc, param);
	case OPT_FD:
		if (opts->num_fds == ARRAY_SIZE(opts->fds))
			return invalfc(fc, "fd=: more than %u devices", ZUFS_DEVICES_MAX);
		opts->fds[opts->num_fds++] = result.uint_32;
		return 0;
	case OPT_DEADLINE:
		opts->deadline_ms = result.uint_32;
		opts->deadline_set = true;
		return 0;
	case OPT_RECOVER:
		if (strcmp(param->string, "fail"))
			return invalfc(fc, "recover=%s: only recover=fail is known", param->string);
		return 0;
	default:
		return opt;
	}
}

static void zuf_free_fc(struct fs_context *fc)
{
	kfree(fc->fs_private);
}

static int zuf_show_options(struct seq_file *m, struct dentry *root)
{
	struct zuf_mount *mount = zuf_mount_of(root->d_sb);
	u32 deadline_ms = READ_ONCE(mount->deadline_ms);
	const char *options;

	if (deadline_ms)
		seq_printf(m, ",deadline_ms=%u", deadline_ms);
	rcu_read_lock();
	options = rcu_dereference(mount->options);
	if (options && *options) {
		seq_putc(m, ',');
		seq_escape(m, options, " \t\n\\#");
	}
	rcu_read_unlock();
	return 0;
}

/* ------------------------------------------------------------------- checks */

enum zuf_rule zuf_check_mount(const struct zuf_reply *reply)
{
	const struct zufs_mount_out *out = reply->out;

	if (out->features & ~may_ask(reply->mount->server) ||
	    out->max_file_bytes > MAX_LFS_FILESIZE ||
	    out->time_gran_ns > NSEC_PER_SEC || out->name_max > ZUFS_NAME_MAX)
		return ZUF_RULE_MOUNT;
	if (out->features & ZUFS_MF_EPOCHS && !(out->features & ZUFS_MF_LEASES))
		return ZUF_RULE_MOUNT;
	if (out->features & ZUFS_MF_ACLS && !(out->features & ZUFS_MF_XATTRS))
		return ZUF_RULE_MOUNT;
	if (out->features & ZUFS_MF_CLONE &&
	    ~out->features & (ZUFS_MF_COW | ZUFS_MF_COPY))
		return ZUF_RULE_MOUNT;
	if (!S_ISDIR(out->root.attr.mode))
		return ZUF_RULE_TYPE;
	return zuf_check_entry(reply->mount, &out->root, NULL);
}

enum zuf_rule zuf_check_statfs(const struct zuf_reply *reply)
{
	const struct zufs_statfs_out *out = reply->out;

	if (!is_power_of_2(out->block_bytes) || out->name_max > ZUFS_NAME_MAX ||
	    out->blocks_free > out->blocks || out->blocks_avail > out->blocks_free ||
	    out->files_free > out->files)
		return ZUF_RULE_MOUNT;
	return ZUF_RULE_OK;
}

/* -------------------------------------------------------------------- mount */

static u32 mount_flags(unsigned long sb_flags)
{
	return (sb_flags & SB_RDONLY ? ZUFS_MOUNT_RDONLY : 0) |
	       (sb_flags & SB_SILENT ? ZUFS_MOUNT_SILENT : 0);
}

static void umount_send(struct zuf_mount *mount)
{
	struct zuf_call call = {
		.mount	= mount,
		.op	= ZUFS_OP_UMOUNT,
		.flags	= ZUF_CALL_LAST,
	};
	int err;

	/* it got no channel: the server must be told all the same */
	err = zuf_call(&call);
	if ((err == -EINTR || err == -ETIMEDOUT) && !call.id) {
		call.flags |= ZUF_CALL_KERNEL;
		zuf_call(&call);
	}
}

/* The MOUNT that its caller did not wait for: in a worker. */
void zuf_undo_mount(struct zuf_orphan *orphan, const void *out)
{
	struct zuf_call call = {
		.mount	= orphan->mount,
		.op	= ZUFS_OP_UMOUNT,
		.flags	= ZUF_CALL_LAST | ZUF_CALL_KERNEL,
	};

	zuf_call(&call);
}

static struct zufs_device *devices_list(struct zuf_mount *mount, u32 *count)
{
	struct zufs_device *list;
	u32 id;

	*count = smp_load_acquire(&mount->num_devices);	/* pairs with adding one */
	list = kcalloc(max(*count, 1u), sizeof(*list), GFP_KERNEL);
	for (id = 0; list && id < *count; id++)
		list[id] = zuf_device(mount, id)->info;
	return list;
}

static int mount_send(struct super_block *sb, struct zuf_fs_options *opts,
		      struct zufs_mount_out *out)
{
	struct zuf_mount *mount = zuf_mount_of(sb);
	struct zufs_mount_in in = {
		.incarnation	= mount->incarnation,
		.options_bytes	= opts->plugin_len + 1,
		.flags		= mount_flags(sb->s_flags),
		.num_slots	= zuf_slots_count(),
	};
	struct zuf_call call = {
		.mount		= mount,
		.op		= ZUFS_OP_MOUNT,
		.flags		= ZUF_CALL_MOUNTING | ZUF_CALL_LAST,
		.in		= &in,
		.out		= out,
		.num_segs	= 2,
	};
	struct zufs_device *devices;
	int err;

	devices = devices_list(mount, &in.num_devices);
	if (!devices)
		return -ENOMEM;
	if (in.num_devices)
		memcpy(in.fs_uuid, zuf_mount_fs_uuid(mount), sizeof(in.fs_uuid));
	call.seg[0] = (struct kvec) { devices, in.num_devices * sizeof(*devices) };
	call.seg[1] = (struct kvec) { opts->plugin, in.options_bytes };
	err = zuf_call_retry(&call);
	kfree(devices);
	return err;
}

static int mount_ask(struct super_block *sb, struct fs_context *fc)
{
	struct zuf_mount *mount = zuf_mount_of(sb);
	struct zufs_mount_out out;
	struct inode *root;
	int err;

	err = mount_send(sb, fc->fs_private, &out);
	if (err) {
		if (err != -EINTR)
			errorfc(fc, "the server did not mount it: error %d%s", err,
				err == -EIO ? " (lost, or an illegal answer)" : "");
		/* EIO: it may have, before its answer broke a rule */
		if (err == -EIO)
			umount_send(mount);
		return err;
	}
	err = zuf_devices_check(mount, fc);
	if (err) {
		zuf_forget_handle(mount, out.root.handle);
		goto out_umount;
	}
	mount->features = out.features;
	zuf_epochs_start(mount);
	if (out.max_file_bytes)
		sb->s_maxbytes = out.max_file_bytes;
	if (out.magic)
		sb->s_magic = out.magic;
	sb->s_time_gran = out.time_gran_ns ?: 1;
	/* before the first inode: it looks whether there are handlers */
	if (out.features & ZUFS_MF_XATTRS)
		sb->s_xattr = zuf_xattr_handlers;
	if (out.features & ZUFS_MF_ACLS)
		sb->s_flags |= SB_POSIXACL;
	if (out.features & ZUFS_MF_EXPORT)
		sb->s_export_op = &zuf_export_ops;

	root = zuf_iget(sb, &out.root, zuf_inval_seq(sb));
	if (IS_ERR(root)) {
		err = PTR_ERR(root);
		goto out_umount;
	}
	sb->s_root = d_make_root(root);
	if (!sb->s_root) {
		err = -ENOMEM;
		goto out_umount;
	}
	if (out.features & ZUFS_MF_VOLATILE)
		infofc(fc, "volatile: the contents end with the mount");
	return 0;

out_umount:
	zuf_forced_flush(mount);	/* the root's handle */
	umount_send(mount);
	return err;
}

static const struct super_operations zuf_sops;

static int super_init(struct super_block *sb, struct zuf_mount *mount)
{
	int err;

	sb->s_fs_info = mount;
	err = init_srcu_struct(&mount->gate);
	if (err)
		return err;
	mount->gate_ready = true;
	sb->s_op = &zuf_sops;
	sb->s_magic = ZUF_SUPER_MAGIC;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_time_gran = 1;
	sb->s_flags &= ~SB_POSIXACL;	/* or the VFS would leave umask to us */
	sb->s_flags |= SB_NOSEC;
	if (!zuf_server_trusted(mount->server))
		sb->s_iflags |= SB_I_NODEV;
	if (sb->s_bdev)
		return sb_set_blocksize(sb, ZUFS_BLOCK_BYTES) ? 0 : -EINVAL;
	sb->s_blocksize = ZUFS_BLOCK_BYTES;
	sb->s_blocksize_bits = ilog2(ZUFS_BLOCK_BYTES);
	return super_setup_bdi(sb);	/* times are written back */
}

static int devices_init(struct super_block *sb, struct fs_context *fc)
{
	struct zuf_fs_options *opts = fc->fs_private;
	struct zuf_mount *mount = zuf_mount_of(sb);
	int err;

	err = zuf_devices_open(mount, fc, opts->fds, opts->num_fds);
	if (err)
		return err;
	if (mount->num_devices)
		super_set_uuid(sb, zuf_mount_fs_uuid(mount), 16);
	return 0;
}

/* A mount with its server, counted in its type. */
static struct zuf_mount *mount_new(struct zuf_type *type, struct fs_context *fc)
{
	struct zuf_server *server = zuf_type_server_get(type);
	struct zuf_mount *mount;

	if (!server) {
		errorfc(fc, "no server for type %s: start its zusd", type->name);
		return ERR_PTR(-ECONNREFUSED);
	}
	if (zuf_server_is_current(server)) {
		errorfc(fc, "a server cannot mount its own type");
		zuf_server_put(server);
		return ERR_PTR(-EDEADLK);
	}
	mount = zuf_mount_alloc(type, server);
	zuf_server_put(server);
	if (!mount)
		return ERR_PTR(-ENOMEM);
	zuf_type_mount_inc(type);
	return mount;
}

/* @sb owns the mount from super_init() on: zuf_kill_sb() puts it. */
static int zuf_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct zuf_type *type = zuf_type_of(fc->fs_type);
	struct zuf_fs_options *opts = fc->fs_private;
	struct zuf_mount *mount;
	char *options;
	int err;

	mount = mount_new(type, fc);
	if (IS_ERR(mount))
		return PTR_ERR(mount);
	mount->sb = sb;
	mount->deadline_ms = opts->deadline_ms;
	err = super_init(sb, mount);
	if (err) {
		errorfc(fc, "cannot use blocks of %u bytes: error %d", ZUFS_BLOCK_BYTES, err);
		goto out_unset;
	}
	err = -ENOMEM;
	options = kstrdup(opts->plugin, GFP_KERNEL_ACCOUNT);
	if (!options)
		goto out_unset;
	rcu_assign_pointer(mount->options, options);
	err = devices_init(sb, fc);
	if (err)
		goto out_unset;
	err = zuf_mount_add(mount);
	if (err)
		goto out_close;
	err = mount_ask(sb, fc);
	if (err)
		goto out_del;
	WRITE_ONCE(mount->state, ZUF_MOUNT_LIVE);
	return 0;

out_del:
	WRITE_ONCE(mount->state, ZUF_MOUNT_ENDED);
	zuf_mount_del(mount);
	zuf_mount_files_revoke(mount);
out_close:
	zuf_devices_close(mount);
out_unset:
	mount->sb = NULL;
	return err;
}

static int zuf_get_tree(struct fs_context *fc)
{
	if (zuf_type_of(fc->fs_type)->flags & ZUFS_REG_NODEV)
		return get_tree_nodev(fc, zuf_fill_super);
	return get_tree_bdev(fc, zuf_fill_super);
}

static int zuf_reconfigure(struct fs_context *fc)
{
	struct super_block *sb = fc->root->d_sb;
	struct zuf_mount *mount = zuf_mount_of(sb);
	struct zuf_fs_options *opts = fc->fs_private;
	unsigned long sb_flags = (sb->s_flags & ~fc->sb_flags_mask) |
				 (fc->sb_flags & fc->sb_flags_mask);
	struct zufs_remount_in in = { .flags = mount_flags(sb_flags) };
	struct zuf_call call = {
		.mount		= mount,
		.op		= ZUFS_OP_REMOUNT,
		.in		= &in,
		.num_segs	= 1,
	};
	char *options;		/* s_umount keeps them from changing */
	int err;

	if (opts->num_fds)
		return invalfc(fc, "fd=: devices are named at the first mount only");
	fc->sb_flags &= ~SB_POSIXACL;	/* it stays as it is */
	fc->sb_flags_mask &= ~SB_POSIXACL;
	/* none given: as they were */
	if (opts->plugin_len)
		options = kstrdup(opts->plugin, GFP_KERNEL_ACCOUNT);
	else
		options = kstrdup(rcu_dereference_protected(mount->options, true),
				  GFP_KERNEL_ACCOUNT);
	if (!options)
		return -ENOMEM;
	in.options_bytes = strlen(options) + 1;
	call.seg[0] = (struct kvec) { options, in.options_bytes };

	sync_filesystem(sb);
	err = zuf_call_retry(&call);
	if (err) {
		errorfc(fc, "the server did not remount it: error %d", err);
		kfree(options);
		return err;
	}
	options = rcu_replace_pointer(mount->options, options, true);
	synchronize_rcu();		/* zuf_show_options() */
	kfree(options);
	if (opts->deadline_set)
		WRITE_ONCE(mount->deadline_ms, opts->deadline_ms);
	return 0;
}

static const struct fs_context_operations zuf_context_ops = {
	.free		= zuf_free_fc,
	.parse_param	= zuf_parse_param,
	.get_tree	= zuf_get_tree,
	.reconfigure	= zuf_reconfigure,
};

int zuf_init_fs_context(struct fs_context *fc)
{
	struct zuf_fs_options *opts = kzalloc(sizeof(*opts), GFP_KERNEL_ACCOUNT);

	if (!opts)
		return -ENOMEM;
	fc->fs_private = opts;
	fc->ops = &zuf_context_ops;
	return 0;
}

/* ------------------------------------------------------------------- umount */

#define ZUF_OWN_UMOUNT_MS	10000u

/* An unmount by the server's own task, which may not call the server. */
struct own_umount {
	struct work_struct work;
	struct zuf_mount *mount;
	struct completion sent;
	refcount_t ref;		/* the worker's and the waiter's */
};

static void own_umount_put(struct own_umount *own)
{
	if (refcount_dec_and_test(&own->ref))
		kfree(own);
}

static void own_umount_work(struct work_struct *work)
{
	struct own_umount *own = container_of(work, struct own_umount, work);
	struct zuf_mount *mount = own->mount;

	zuf_forced_flush(mount);
	umount_send(mount);
	complete(&own->sent);
	own_umount_put(own);
	zuf_mount_put(mount);
}

/* Not for ever: the unmounting task may be the one that would have to answer. */
static void own_umount_tell(struct zuf_mount *mount)
{
	struct own_umount *own = kzalloc(sizeof(*own), GFP_KERNEL | __GFP_NOFAIL);

	INIT_WORK(&own->work, own_umount_work);
	own->mount = mount;
	init_completion(&own->sent);
	refcount_set(&own->ref, 2);
	zuf_mount_get(mount);
	queue_work(zuf_wq, &own->work);
	wait_for_completion_killable_timeout(&own->sent, msecs_to_jiffies(ZUF_OWN_UMOUNT_MS));
	own_umount_put(own);
}

/*
 * The last inode has gone. The server is told before it loses its view of the
 * devices, and loses that before the devices are closed.
 */
static void zuf_put_super(struct super_block *sb)
{
	struct zuf_mount *mount = zuf_mount_of(sb);

	if (zuf_server_is_current(mount->server)) {
		own_umount_tell(mount);
	} else {
		zuf_forced_flush(mount);
		umount_send(mount);
	}
	WRITE_ONCE(mount->state, ZUF_MOUNT_ENDED);
	zuf_mount_del(mount);
	zuf_mount_files_revoke(mount);
	zuf_devices_close(mount);
	mount->sb = NULL;
}

void zuf_kill_sb(struct super_block *sb)
{
	struct zuf_type *type = zuf_type_of(sb->s_type);
	struct zuf_mount *mount = zuf_mount_of(sb);

	if (mount) {
		zuf_recalls_stop(mount);
		zuf_times_stop(mount);
	}
	if (type->flags & ZUFS_REG_NODEV)
		kill_anon_super(sb);
	else
		kill_block_super(sb);
	/* NULL: it never came to zuf_fill_super() */
	if (!mount)
		return;
	/* path walks that hold no reference: zuf_permission() */
	synchronize_rcu();
	kfree(rcu_replace_pointer(mount->options, NULL, true));
	if (mount->gate_ready)
		cleanup_srcu_struct(&mount->gate);
	zuf_mount_put(mount);
	zuf_type_mount_dec(type);
}

/* --------------------------------------------------------------- operations */

static int zuf_sync_fs(struct super_block *sb, int wait)
{
	struct zufs_syncfs_in in = { .wait = !!wait };
	struct zuf_call call = {
		.mount	= zuf_mount_of(sb),
		.op	= ZUFS_OP_SYNCFS,
		.in	= &in,
	};

	if (!(call.mount->features & ZUFS_MF_SYNCFS))
		return 0;
	return zuf_call_retry(&call);
}

static int freeze_send(struct super_block *sb, bool thaw)
{
	struct zufs_freeze_in in = { .thaw = thaw };
	struct zuf_call call = {
		.mount	= zuf_mount_of(sb),
		.op	= ZUFS_OP_FREEZE,
		.in	= &in,
	};

	if (!(call.mount->features & ZUFS_MF_FREEZE))
		return 0;
	return zuf_call_retry(&call);
}

/* The VFS has stopped who writes, and synced: mappings are write-protected. */
static int zuf_freeze_fs(struct super_block *sb)
{
	return freeze_send(sb, false);
}

/* An error would leave it frozen for ever. */
static int zuf_unfreeze_fs(struct super_block *sb)
{
	freeze_send(sb, true);
	return 0;
}

static int zuf_statfs(struct dentry *dentry, struct kstatfs *st)
{
	struct super_block *sb = dentry->d_sb;
	struct zufs_statfs_out out;
	struct zuf_call call = {
		.mount	= zuf_mount_of(sb),
		.op	= ZUFS_OP_STATFS,
		.out	= &out,
	};
	int err;

	/* inodes that are gone count as free */
	if (atomic_read(&call.mount->forced_pending))
		zuf_forced_flush(call.mount);
	err = zuf_call_retry(&call);
	if (err)
		return err;
	st->f_type = sb->s_magic;
	st->f_bsize = out.block_bytes;
	st->f_blocks = out.blocks;
	st->f_bfree = out.blocks_free;
	st->f_bavail = out.blocks_avail;
	st->f_files = out.files;
	st->f_ffree = out.files_free;
	st->f_fsid = u64_to_fsid(huge_encode_dev(sb->s_dev));
	st->f_namelen = out.name_max ?: ZUFS_NAME_MAX;
	return 0;
}

static const struct super_operations zuf_sops = {
	.alloc_inode	= zuf_alloc_inode,
	.free_inode	= zuf_free_inode,
	.dirty_inode	= zuf_dirty_inode,
	.write_inode	= zuf_write_inode,
	.drop_inode	= zuf_drop_inode,
	.evict_inode	= zuf_evict_inode,
	.put_super	= zuf_put_super,
	.sync_fs	= zuf_sync_fs,
	.freeze_fs	= zuf_freeze_fs,
	.unfreeze_fs	= zuf_unfreeze_fs,
	.statfs		= zuf_statfs,
	.show_options	= zuf_show_options,
};
