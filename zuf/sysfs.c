// SPDX-License-Identifier: GPL-2.0
/* /sys/fs/zuf: servers, mounts, statistics, abort. Format: docs/sysfs.md. */
#include <linux/capability.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "relay.h"

static struct kobject *zuf_root_kobj;
static struct kobject *zuf_servers_kobj;
static struct kobject *zuf_mounts_kobj;

/* ---------------------------------------------------------------- servers */

struct server_attr {
	struct attribute attr;
	ssize_t (*show)(struct zuf_server *server, char *buf);
};

static const char *const server_states[] = {
	[ZUF_SERVER_NEW]	= "new",
	[ZUF_SERVER_LIVE]	= "live",
	[ZUF_SERVER_STOPPING]	= "stopping",
	[ZUF_SERVER_DEAD]	= "dead",
};

static ssize_t server_pid_show(struct zuf_server *server, char *buf)
{
	return sysfs_emit(buf, "%d\n", server->pid);
}

static ssize_t server_state_show(struct zuf_server *server, char *buf)
{
	return sysfs_emit(buf, "%s\n", server_states[READ_ONCE(server->state)]);
}

static ssize_t server_types_show(struct zuf_server *server, char *buf)
{
	return zuf_type_names(server, buf, PAGE_SIZE);
}

static ssize_t server_channels_show(struct zuf_server *server, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(server->num_channels));
}

#define SERVER_ATTR(n) \
	static struct server_attr server_attr_##n = { { #n, 0444 }, server_##n##_show }
SERVER_ATTR(pid);
SERVER_ATTR(state);
SERVER_ATTR(types);
SERVER_ATTR(channels);

static struct attribute *server_attrs[] = {
	&server_attr_pid.attr,
	&server_attr_state.attr,
	&server_attr_types.attr,
	&server_attr_channels.attr,
	NULL,
};
ATTRIBUTE_GROUPS(server);

static ssize_t server_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	struct zuf_server *server = container_of(kobj, struct zuf_server, kobj);

	return container_of(attr, struct server_attr, attr)->show(server, buf);
}

static void server_kobj_release(struct kobject *kobj)
{
	zuf_server_put(container_of(kobj, struct zuf_server, kobj));
}

static const struct sysfs_ops server_sysfs_ops = { .show = server_attr_show };

static const struct kobj_type server_ktype = {
	.release	= server_kobj_release,
	.sysfs_ops	= &server_sysfs_ops,
	.default_groups	= server_groups,
};

int zuf_sysfs_add_server(struct zuf_server *server)
{
	int err;

	zuf_server_get(server);		/* until the kobject's release */
	err = kobject_init_and_add(&server->kobj, &server_ktype, zuf_servers_kobj, "%llu",
				   server->id);
	if (err)
		kobject_put(&server->kobj);
	return err;
}

void zuf_sysfs_del_server(struct zuf_server *server)
{
	kobject_del(&server->kobj);
	kobject_put(&server->kobj);
}

/* ----------------------------------------------------------------- mounts */

struct mount_attr {
	struct attribute attr;
	ssize_t (*show)(struct zuf_mount *mount, char *buf);
	ssize_t (*store)(struct zuf_mount *mount, const char *buf, size_t count);
};

static struct zuf_mount *mount_of(struct kobject *kobj)
{
	return container_of(kobj, struct zuf_mount, kobj);
}

static const char *const mount_states[] = {
	[ZUF_MOUNT_NEW]		= "mounting",
	[ZUF_MOUNT_LIVE]	= "live",
	[ZUF_MOUNT_ENDED]	= "ended",
};

static ssize_t mount_type_show(struct zuf_mount *mount, char *buf)
{
	return sysfs_emit(buf, "%s\n", mount->fs_type);
}

static ssize_t mount_server_show(struct zuf_mount *mount, char *buf)
{
	return sysfs_emit(buf, "%llu\n", mount->server->id);
}

static ssize_t mount_state_show(struct zuf_mount *mount, char *buf)
{
	if (READ_ONCE(mount->aborted))
		return sysfs_emit(buf, "aborted\n");
	if (zuf_server_dead(mount->server))
		return sysfs_emit(buf, "lost\n");
	if (READ_ONCE(mount->shut))
		return sysfs_emit(buf, "shut\n");
	return sysfs_emit(buf, "%s\n", mount_states[READ_ONCE(mount->state)]);
}

static ssize_t mount_devices_show(struct zuf_mount *mount, char *buf)
{
	struct zuf_device *dev;
	ssize_t len = 0;
	u32 i;

	for (i = 0; (dev = zuf_device(mount, i)); i++)
		len += sysfs_emit_at(buf, len, "%u t%u node %d bytes %llu\n", i, dev->info.tier,
				     (int)dev->info.numa_node, dev->info.size_bytes);
	return len;
}

static ssize_t mount_inflight_show(struct zuf_mount *mount, char *buf)
{
	return sysfs_emit(buf, "%u\n", zuf_mount_inflight(mount));
}

static ssize_t mount_orphans_show(struct zuf_mount *mount, char *buf)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&mount->num_orphans));
}

static ssize_t mount_rules_show(struct zuf_mount *mount, char *buf)
{
	ssize_t len = 0;
	unsigned int i;

	for (i = ZUF_RULE_OK + 1; i < ZUF_RULE_COUNT; i++)
		len += sysfs_emit_at(buf, len, "%s %ld\n", zuf_rule_names[i],
				     atomic_long_read(&mount->rule_count[i]));
	return len;
}

static ssize_t mount_leases_show(struct zuf_mount *mount, char *buf)
{
	ssize_t len = 0;
	unsigned int i;

	for (i = 0; i < ZUF_LEASE_STAT_COUNT; i++)
		len += sysfs_emit_at(buf, len, "%s %llu\n", zuf_lease_stat_names[i],
				     zuf_lease_sum(mount, i));
	return len;
}

static ssize_t mount_epochs_show(struct zuf_mount *mount, char *buf)
{
	return zuf_epochs_show(mount, buf);
}

static ssize_t mount_fast_copy_show(struct zuf_mount *mount, char *buf)
{
	return sysfs_emit(buf, "%d\n", !READ_ONCE(mount->library_only));
}

static ssize_t mount_fast_copy_store(struct zuf_mount *mount, const char *buf, size_t count)
{
	bool yes;
	int err;

	err = kstrtobool(buf, &yes);
	if (err)
		return err;
	WRITE_ONCE(mount->library_only, !yes);
	return count;
}

static ssize_t mount_abort_store(struct zuf_mount *mount, const char *buf, size_t count)
{
	bool yes;
	int err;

	err = kstrtobool(buf, &yes);
	if (err)
		return err;
	if (yes)
		zuf_mount_abort(mount);
	return count;
}

#define MOUNT_ATTR(n) \
	static struct mount_attr mount_attr_##n = { { #n, 0444 }, mount_##n##_show }
MOUNT_ATTR(type);
MOUNT_ATTR(server);
MOUNT_ATTR(state);
MOUNT_ATTR(devices);
MOUNT_ATTR(inflight);
MOUNT_ATTR(orphans);
MOUNT_ATTR(rules);
MOUNT_ATTR(leases);
MOUNT_ATTR(epochs);

static struct mount_attr mount_attr_fast_copy = {
	{ "fast_copy", 0644 }, mount_fast_copy_show, mount_fast_copy_store
};

static struct mount_attr mount_attr_abort = { { "abort", 0200 }, NULL, mount_abort_store };

static struct attribute *mount_attrs[] = {
	&mount_attr_type.attr,
	&mount_attr_server.attr,
	&mount_attr_state.attr,
	&mount_attr_devices.attr,
	&mount_attr_inflight.attr,
	&mount_attr_orphans.attr,
	&mount_attr_rules.attr,
	&mount_attr_leases.attr,
	&mount_attr_epochs.attr,
	&mount_attr_fast_copy.attr,
	&mount_attr_abort.attr,
	NULL,
};
ATTRIBUTE_GROUPS(mount);

static ssize_t mount_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	const struct mount_attr *ma = container_of(attr, struct mount_attr, attr);

	return ma->show ? ma->show(mount_of(kobj), buf) : -EIO;
}

static ssize_t mount_attr_store(struct kobject *kobj, struct attribute *attr, const char *buf,
				size_t count)
{
	const struct mount_attr *ma = container_of(attr, struct mount_attr, attr);

	return ma->store ? ma->store(mount_of(kobj), buf, count) : -EIO;
}

static void mount_kobj_release(struct kobject *kobj)
{
	zuf_mount_put(mount_of(kobj));
}

static const struct sysfs_ops mount_sysfs_ops = {
	.show	= mount_attr_show,
	.store	= mount_attr_store,
};

static const struct kobj_type mount_ktype = {
	.release	= mount_kobj_release,
	.sysfs_ops	= &mount_sysfs_ops,
	.default_groups	= mount_groups,
};

/* --------------------------------------------------- mounts/<id>/ops/<op> */

static struct attribute op_attrs[ZUFS_OP_COUNT];

static ssize_t op_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	struct zuf_mount *mount = container_of(kobj, struct zuf_mount, ops_kobj);

	return zuf_stats_show(mount, attr - op_attrs, buf);
}

static void ops_kobj_release(struct kobject *kobj)
{
	zuf_mount_put(container_of(kobj, struct zuf_mount, ops_kobj));
}

static const struct sysfs_ops op_sysfs_ops = { .show = op_attr_show };

static const struct kobj_type ops_ktype = {
	.release	= ops_kobj_release,
	.sysfs_ops	= &op_sysfs_ops,
};

static int ops_add(struct zuf_mount *mount)
{
	unsigned int op;
	int err;

	zuf_mount_get(mount);		/* until the kobject's release */
	err = kobject_init_and_add(&mount->ops_kobj, &ops_ktype, &mount->kobj, "ops");
	for (op = 1; !err && op < ZUFS_OP_COUNT; op++)
		err = sysfs_create_file(&mount->ops_kobj, &op_attrs[op]);
	if (err) {
		kobject_del(&mount->ops_kobj);
		kobject_put(&mount->ops_kobj);
	}
	return err;
}

int zuf_sysfs_add_mount(struct zuf_mount *mount)
{
	int err;

	zuf_mount_get(mount);		/* until the kobject's release */
	err = kobject_init_and_add(&mount->kobj, &mount_ktype, zuf_mounts_kobj, "%llu",
				   mount->id);
	if (!err)
		err = ops_add(mount);
	if (err) {
		kobject_del(&mount->kobj);
		kobject_put(&mount->kobj);
	}
	return err;
}

void zuf_sysfs_del_mount(struct zuf_mount *mount)
{
	kobject_del(&mount->ops_kobj);
	kobject_put(&mount->ops_kobj);
	kobject_del(&mount->kobj);
	kobject_put(&mount->kobj);
}

int __init zuf_sysfs_init(void)
{
	unsigned int op;

	for (op = 0; op < ZUFS_OP_COUNT; op++) {
		sysfs_attr_init(&op_attrs[op]);
		op_attrs[op].name = zuf_ops[op].name;
		op_attrs[op].mode = 0444;
	}
	zuf_root_kobj = kobject_create_and_add("zuf", fs_kobj);
	zuf_servers_kobj = kobject_create_and_add("servers", zuf_root_kobj);
	zuf_mounts_kobj = kobject_create_and_add("mounts", zuf_root_kobj);
	if (zuf_root_kobj && zuf_servers_kobj && zuf_mounts_kobj)
		return 0;
	zuf_sysfs_exit();
	return -ENOMEM;
}

void zuf_sysfs_exit(void)
{
	kobject_put(zuf_mounts_kobj);
	kobject_put(zuf_servers_kobj);
	kobject_put(zuf_root_kobj);
}
