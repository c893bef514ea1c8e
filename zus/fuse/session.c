// SPDX-License-Identifier: BSD-3-Clause
/* session.c - the mount from its beginning to its end. */
#include <errno.h>
#include <stdarg.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ops.h"

#define THREADS		16u
#define KEPT_SEC	(365.0 * 86400)	/* until told */

/* ----------------------------------------------------------------- negotiation */

static void want(struct fuse_conn_info *conn, bool wanted, unsigned int cap)
{
	conn->want &= ~cap;
	if (wanted)
		conn->want |= conn->capable & cap;
}

void zf_init(void *arg, struct fuse_conn_info *conn)
{
	struct zus_fuse *fuse = arg;
	uint64_t has = fuse->info.features;

	want(conn, true, FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS |
			 FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_IOCTL_DIR | FUSE_CAP_DONT_MASK |
			 FUSE_CAP_CACHE_SYMLINKS);
	want(conn, has & ZUS_MF_EXPORT, FUSE_CAP_EXPORT_SUPPORT);
	want(conn, has & ZUS_MF_ACLS, FUSE_CAP_POSIX_ACL);
	want(conn, has & ZUS_MF_LOCKS, FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS);
	want(conn, has & ZUS_MF_READDIR_PLUS, FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
	/*
	 * The kernel truncates by SETATTR, and takes set-user-ID away by it, where it also
	 * knows whether the caller may keep them.
	 */
	want(conn, false, FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_HANDLE_KILLPRIV |
			  FUSE_CAP_WRITEBACK_CACHE);
	if (has & ZUS_MF_ACLS && !(conn->capable & FUSE_CAP_POSIX_ACL))
		zus_log(ZUS_LOG_WARN, "this kernel does not obey the ACLs of FUSE filesystems");
	if (fuse->info.time_gran_ns)
		conn->time_gran = fuse->info.time_gran_ns;
	if (fuse->ready)
		fuse->ready(fuse->ready_arg);
	fuse->ready = NULL;
}

/* ------------------------------------------------------------------------ open */

static int add_option(char **options, const char *name, const char *value)
{
	char *text;
	int err;

	if (asprintf(&text, "%s%s", name, value) < 0)
		return -ENOMEM;
	/* a comma in a path is no end */
	err = fuse_opt_add_opt_escaped(options, text);
	free(text);
	return err ? -ENOMEM : 0;
}

static int make_args(const struct zus_fuse_config *config, struct fuse_args *args)
{
	const char *source = config->source ? config->source : config->plugin->name;
	char *options = NULL;
	int err = add_option(&options, "fsname=", source);

	if (!err)
		err = add_option(&options, "subtype=", config->plugin->name);
	if (!err && config->mount_flags & ZUS_MOUNT_RDONLY)
		err = fuse_opt_add_opt(&options, "ro");
	if (!err)
		err = fuse_opt_add_opt(&options, "default_permissions");
	/* as any filesystem that root mounts; others have to ask fusermount3's settings */
	if (!err && !geteuid())
		err = fuse_opt_add_opt(&options, "allow_other,dev,suid");
	if (!err && config->fuse_options && *config->fuse_options)
		err = fuse_opt_add_opt(&options, config->fuse_options);
	if (!err)
		err = fuse_opt_add_arg(args, "zusfuse") || fuse_opt_add_arg(args, "-o") ||
		      fuse_opt_add_arg(args, options);
	free(options);
	return err ? -ENOMEM : 0;
}

static int mount_plugin(struct zus_fuse *fuse)
{
	struct zus_local_config local = {
		.plugin = fuse->config.plugin, .options = fuse->config.options,
		.devices = fuse->config.devices, .num_devices = fuse->config.num_devices,
		.flags = fuse->config.mount_flags, .invalidate = zf_invalidate, .arg = fuse,
		.run_dir = fuse->config.run_dir,
	};
	struct timespec now;
	int err;

	/* what has this number is of no earlier mount */
	clock_gettime(CLOCK_REALTIME, &now);
	local.incarnation = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	memcpy(local.fs_uuid, fuse->config.fs_uuid, sizeof(local.fs_uuid));
	err = zus_local_mount(&local, &fuse->local);
	if (err) {
		zus_log(ZUS_LOG_ERR, "the plugin does not mount it: %s", strerror(-err));
		return err;
	}
	zus_local_info(fuse->local, &fuse->info);
	fuse->nodes = zf_nodes_new(&fuse->info);
	if (zf_has(fuse, ZUS_MF_LOCKS))
		fuse->locks = zf_locks_new(fuse);
	return fuse->nodes && (fuse->locks || !zf_has(fuse, ZUS_MF_LOCKS)) ? 0 : -ENOMEM;
}

static int mount_fuse(struct zus_fuse *fuse)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int err = make_args(&fuse->config, &args);

	if (!err) {
		fuse->session = fuse_session_new(&args, &zf_ops, sizeof(zf_ops), fuse);
		err = fuse->session ? 0 : -EINVAL;	/* said by libfuse */
	}
	fuse_opt_free_args(&args);
	if (!err && fuse_session_mount(fuse->session, fuse->config.mountpoint)) {
		zus_log(ZUS_LOG_ERR, "cannot mount on %s; is there a /dev/fuse ('modprobe fuse'), and, for users other than root, fusermount3 of the package fuse3?",
			fuse->config.mountpoint);
		err = -EIO;
	}
	return err;
}

/* What libfuse says, with its newline. */
static void log_line(enum fuse_log_level level, const char *format, va_list args)
{
	char line[512];

	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = 0;
	zus_log((int)level < ZUS_LOG_ERR ? ZUS_LOG_ERR : (int)level, "%s", line);
}

/* The kernel only shows them: what reading sets is attrs.c's. Users other than root may not. */
static void show_atime(const struct zus_fuse_config *config)
{
	static const uint64_t how[] = {
		[ZUS_FUSE_RELATIME] = MOUNT_ATTR_RELATIME,
		[ZUS_FUSE_STRICTATIME] = MOUNT_ATTR_STRICTATIME,
		[ZUS_FUSE_NOATIME] = MOUNT_ATTR_NOATIME,
	};
	struct mount_attr attr = {
		.attr_set = how[config->atime], .attr_clr = MOUNT_ATTR__ATIME,
	};

	if (config->flags & ZUS_FUSE_NODIRATIME)
		attr.attr_set |= MOUNT_ATTR_NODIRATIME;
	if (attr.attr_set && !geteuid() &&
	    mount_setattr(AT_FDCWD, config->mountpoint, 0, &attr, sizeof(attr)))
		zus_log(ZUS_LOG_INFO, "/proc/mounts does not show what reading does to access times");
}

int zus_fuse_open(const struct zus_fuse_config *config, struct zus_fuse **made)
{
	struct zus_fuse *fuse = calloc(1, sizeof(*fuse));
	int err;

	if (!fuse)
		return -ENOMEM;
	fuse->config = *config;
	pthread_mutex_init(&fuse->files_lock, NULL);
	fuse_set_log_func(log_line);
	fuse->timeout_sec = config->cache_ms ? config->cache_ms / 1000.0 : KEPT_SEC;
	fuse->inval = zf_inval_new(fuse);
	fuse->inval_attr = zf_inval_new(fuse);
	err = fuse->inval && fuse->inval_attr ? mount_plugin(fuse) : -ENOMEM;
	if (!err)
		err = mount_fuse(fuse);
	if (!err)
		show_atime(config);
	if (err)
		zus_fuse_close(fuse);
	else
		*made = fuse;
	return err;
}

/* ------------------------------------------------------------------- run, stop */

static int loop(struct zus_fuse *fuse)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int ret;

	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_max_threads(config, fuse->config.threads ? fuse->config.threads : THREADS);
	ret = fuse_session_loop_mt(fuse->session, config);
	fuse_loop_cfg_destroy(config);
	return ret < 0 && !__atomic_load_n(&fuse->stopping, __ATOMIC_RELAXED) ? ret : 0;
}

int zus_fuse_run(struct zus_fuse *fuse, void (*ready)(void *arg), void *arg)
{
	int err = zf_inval_start(fuse->inval);

	fuse->ready = ready;
	fuse->ready_arg = arg;
	if (!err)
		err = zf_inval_start(fuse->inval_attr);
	if (!err && fuse->locks)
		err = zf_locks_start(fuse->locks);
	return err ? err : loop(fuse);
}

/* As a user other than root: fusermount3 may what we may not. */
static int fusermount(const char *mountpoint, const char *how)
{
	int status;
	pid_t child = fork();

	if (!child) {
		execlp("fusermount3", "fusermount3", "-q", how, "--", mountpoint, (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -EPERM;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EBUSY;
}

static int try_unmount(const char *mountpoint)
{
	if (!umount2(mountpoint, UMOUNT_NOFOLLOW))
		return 0;
	return errno == EPERM ? fusermount(mountpoint, "-u") : -errno;
}

/* Ends the connection, whoever uses it. */
static void force(const char *mountpoint, dev_t dev)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", minor(dev));
	if (!umount2(mountpoint, UMOUNT_NOFOLLOW | MNT_FORCE | MNT_DETACH))
		return;
	fusermount(mountpoint, "-uz");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		zus_log(ZUS_LOG_ERR, "%s is in use and cannot be ended: its users have to go",
			mountpoint);
	if (fd >= 0)
		close(fd);
}

void zus_fuse_stop(struct zus_fuse *fuse)
{
	const char *mountpoint = fuse->config.mountpoint;
	struct stat st = { .st_dev = 0 };
	int fd, err;

	__atomic_store_n(&fuse->stopping, true, __ATOMIC_RELAXED);
	err = try_unmount(mountpoint);
	/* EINVAL: it is no more mounted there */
	if (!err || err == -EINVAL)
		return;
	zus_log(ZUS_LOG_WARN, "%s is in use: what is open there ends with errors", mountpoint);
	fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fstat(fd, &st);
		close(fd);
	}
	zf_files_write_back(fuse);
	force(mountpoint, st.st_dev);
}

void zus_fuse_close(struct zus_fuse *fuse)
{
	if (fuse->locks)
		zf_locks_stop(fuse->locks);
	if (fuse->session)
		fuse_session_unmount(fuse->session);
	zf_inval_stop(fuse->inval);
	zf_inval_stop(fuse->inval_attr);
	if (fuse->session)
		fuse_session_destroy(fuse->session);
	zf_files_end(fuse);
	if (fuse->local)
		zus_local_umount(fuse->local);
	zf_nodes_delete(fuse->nodes);
	zf_locks_delete(fuse->locks);
	zf_inval_delete(fuse->inval);
	zf_inval_delete(fuse->inval_attr);
	pthread_mutex_destroy(&fuse->files_lock);
	free(fuse);
}
