// SPDX-License-Identifier: BSD-3-Clause
/* ops_mount.c - MOUNT, UMOUNT, REMOUNT, STATFS, SYNCFS. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "internal.h"

/* A string of bytes at off with its NUL as the last of them; 0 bytes: "". */
static int req_options(const struct zus_req *req, uint32_t off, uint32_t bytes,
		       const char **options)
{
	int err;

	*options = "";
	if (!bytes)
		return 0;
	if (bytes > ZUFS_OPTIONS_MAX_BYTES)
		return -E2BIG;
	err = zus_req_text(req, off, bytes - 1, options);
	if (err)
		return err;
	if (off + bytes > req->hdr.payload_bytes || (*options)[bytes - 1])
		return -EPROTO;
	return 0;
}

static int take_device(struct zus_device *dev, const struct zufs_device *in, uint32_t id)
{
	if (in->id != id || (in->tier != ZUFS_TIER_T1 && in->tier != ZUFS_TIER_T2))
		return -EPROTO;
	if (in->size_bytes % ZUFS_BLOCK_BYTES || in->data_off % ZUFS_BLOCK_BYTES ||
	    in->data_off > in->size_bytes || in->pmd_phase_bytes >= ZUS_PMD_BYTES)
		return -EPROTO;
	memcpy(dev->uuid, in->uuid, sizeof(dev->uuid));
	dev->size_bytes = in->size_bytes;
	dev->data_off = in->data_off;
	dev->pmd_phase_bytes = in->pmd_phase_bytes;
	dev->id = in->id;
	dev->tier = in->tier;
	dev->numa_node = in->numa_node;
	dev->flags = in->flags;
	return 0;
}

static int take_mount(struct zus_req *req, struct zus_mount_entry *entry)
{
	const struct zufs_mount_in *in = &req->in.mount;
	struct zufs_device dev;
	const char *options;
	uint32_t i;
	int err;

	if (in->num_devices > ZUFS_DEVICES_MAX ||
	    in->num_devices * sizeof(dev) > req->hdr.payload_bytes)
		return -EPROTO;
	for (i = 0; i < in->num_devices; i++) {
		memcpy(&dev, req->payload_in + i * sizeof(dev), sizeof(dev));
		err = take_device(&entry->devices[i], &dev, i);
		if (err)
			return err;
	}
	err = req_options(req, i * (uint32_t)sizeof(dev), in->options_bytes, &options);
	if (err)
		return err;
	memcpy(entry->options, options, strlen(options) + 1); /* see req_options() */
	entry->pub.id = req->hdr.mount;
	entry->pub.incarnation = in->incarnation;
	memcpy(entry->pub.fs_uuid, in->fs_uuid, sizeof(entry->pub.fs_uuid));
	entry->pub.devices = entry->devices;
	entry->pub.num_devices = in->num_devices;
	entry->pub.num_slots = in->num_slots;
	entry->pub.flags = in->flags;
	entry->pub.options = entry->options;
	return 0;
}

static void put_mount(struct zufs_mount_out *out, const struct zus_mount_out *made)
{
	zus_entry_put(&out->root, &made->root);
	out->features = made->features;
	out->max_file_bytes = made->max_file_bytes;
	out->time_gran_ns = made->time_gran_ns;
	out->name_max = made->name_max;
	out->magic = made->magic;
}

/* A callback that is required with a feature that the mount has; NULL: all are there. */
static const char *missing_callback(const struct zus_server *server, uint64_t features)
{
	const struct zus_mount_ops *mount = &server->mount_ops;
	const struct zus_inode_ops *inode = &server->inode_ops;
	const struct zus_file_ops *file = &server->file_ops;
	const struct {
		uint64_t feature;
		bool there;
		const char *name;
	} required[] = {
		{ ZUS_MF_XATTRS, inode->getxattr, "getxattr" },
		{ ZUS_MF_XATTRS, inode->setxattr, "setxattr" },
		{ ZUS_MF_XATTRS, inode->listxattr, "listxattr" },
		{ ZUS_MF_TMPFILE, inode->tmpfile, "tmpfile" },
		{ ZUS_MF_FALLOCATE, file->fallocate, "fallocate" },
		{ ZUS_MF_IOCTL, file->ioctl, "ioctl" },
		{ ZUS_MF_EXPORT, inode->iget, "iget" },
		{ ZUS_MF_EXPORT, inode->parent, "parent" },
		{ ZUS_MF_FREEZE, mount->freeze, "freeze" },
		{ ZUS_MF_COPY, file->copy, "copy" },
		{ ZUS_MF_CREATE_OPEN, inode->create_open, "create_open" },
		{ ZUS_MF_LOCKS, file->lock, "lock" },
		{ ZUS_MF_WHOLE_WRITES, file->map_done, "map_done" },
	};
	size_t i;

	for (i = 0; i < sizeof(required) / sizeof(required[0]); i++)
		if (features & required[i].feature && !required[i].there)
			return required[i].name;
	return NULL;
}

int zus_serve_mount(struct zus_req *req)
{
	struct zus_server *server = req->worker->server;
	struct zus_mount_entry *entry = calloc(1, sizeof(*entry));
	struct zus_mount_out made = { .features = 0 };
	const char *missing;
	int err = -ENOMEM;

	if (!entry)
		return err;
	entry->fd = -1;
	zus_recalls_init(entry);
	entry->server = server;
	entry->pub.plugin = &server->plugin;
	entry->pub.inodes = zus_inode_table_new(&server->plugin);
	if (!entry->pub.inodes)
		goto out_free;
	err = take_mount(req, entry);
	if (err)
		goto out_free;
	err = server->transport->map_devices(server, entry);
	if (err)
		goto out_free;
	err = server->mount_ops.mount(req, &entry->pub, &made);
	if (err)
		goto out_unmap;
	if (!made.root.inode || !S_ISDIR(made.root.attr.mode)) {
		zus_log(ZUS_LOG_ERR, "%s: mount gave no root directory", server->plugin.name);
		err = -EIO;
		goto out_umount;
	}
	missing = missing_callback(server, made.features);
	if (missing) {
		zus_log(ZUS_LOG_ERR, "%s: mount asks for a feature whose %s callback is missing",
			server->plugin.name, missing);
		err = -EIO;
		goto out_umount;
	}
	made.features = zus_transport_features(entry, made.features);
	entry->pub.features = made.features;
	put_mount(zus_req_out(req), &made);
	err = zus_mount_add(server, entry);
	if (err)
		goto out_umount;
	zus_log(ZUS_LOG_INFO, "%s: mount %llu is served", server->plugin.name,
		(unsigned long long)entry->pub.id);
	return 0;

out_umount:
	zus_mount_end(server, entry);
	return err;
out_unmap:
	server->transport->unmap_devices(server, entry);
out_free:
	zus_inode_table_free(entry->pub.inodes);
	free(entry);
	return err;
}

int zus_serve_umount(struct zus_req *req)
{
	struct zus_worker *worker = req->worker;
	struct zus_mount_entry *entry = zus_mount_entry(req->mount);
	uint64_t id = entry->pub.id;

	if (zus_mount_remove(worker, entry))
		return -ENODEV;		/* another worker was first */
	zus_mount_end(worker->server, entry);
	zus_log(ZUS_LOG_INFO, "%s: mount %llu has ended", worker->server->plugin.name,
		(unsigned long long)id);
	return 0;
}

int zus_serve_remount(struct zus_req *req)
{
	struct zus_server *server = req->worker->server;
	struct zus_mount_entry *entry = zus_mount_entry(req->mount);
	const char *options;
	int err;

	err = req_options(req, 0, req->in.remount.options_bytes, &options);
	if (err)
		return err;
	if (server->mount_ops.remount)
		err = server->mount_ops.remount(req, req->mount, req->in.remount.flags,
						options);
	else if (*options && strcmp(options, entry->options) != 0)
		err = -EINVAL;
	if (err)
		return err;
	/* The kernel's s_umount keeps a second remount away. */
	zus_store(&entry->pub.flags, req->in.remount.flags);
	if (*options)
		memcpy(entry->options, options, strlen(options) + 1);
	return 0;
}

int zus_serve_statfs(struct zus_req *req)
{
	struct zus_server *server = req->worker->server;
	struct zus_statfs st = {
		.block_bytes = ZUFS_BLOCK_BYTES,
		.name_max = ZUFS_NAME_MAX,
	};
	struct zufs_statfs_out *out = zus_req_out(req);
	int ret = 0;

	if (server->mount_ops.statfs)
		ret = server->mount_ops.statfs(req, req->mount, &st);
	if (ret)
		return ret;
	out->blocks = st.blocks;
	out->blocks_free = st.blocks_free;
	out->blocks_avail = st.blocks_avail;
	out->files = st.files;
	out->files_free = st.files_free;
	out->block_bytes = st.block_bytes;
	out->name_max = st.name_max;
	return 0;
}

int zus_serve_syncfs(struct zus_req *req)
{
	struct zus_server *server = req->worker->server;

	if (!server->mount_ops.syncfs)
		return -EOPNOTSUPP;
	return server->mount_ops.syncfs(req, req->mount, req->in.syncfs.wait != 0);
}

int zus_serve_freeze(struct zus_req *req)
{
	struct zus_server *server = req->worker->server;

	if (!server->mount_ops.freeze)
		return -EOPNOTSUPP;
	return server->mount_ops.freeze(req, req->mount, !req->in.freeze.thaw);
}

/* -------------------------------------------------------------------------- seen */

int zus_op_seen(struct zus_mount *mount, uint32_t slot, uint64_t seq, uint64_t *ino)
{
	const struct zus_mount_ops *ops = &zus_mount_entry(mount)->server->mount_ops;
	struct zus_op_seen newest = { 0 };
	int err;

	if (slot >= mount->num_slots)
		return -EINVAL;
	err = ops->op_seen ? ops->op_seen(mount, slot, &newest) : -EOPNOTSUPP;
	if (err)
		return err == -ENOENT ? 0 : err;
	if (newest.seq != seq)
		return newest.seq > seq ? -ESTALE : 0;
	*ino = newest.ino;
	return 1;
}
