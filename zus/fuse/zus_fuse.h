/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zus_fuse.h - mount a plugin by FUSE: the same shared object, on any machine, without
 * the zuf module. Here this process moves the bytes that the module would move, between
 * requests of /dev/fuse and the mapped devices; requests to the plugin are made and their
 * answers checked by the local transport, see zus_local.h.
 *
 * libzusfuse is a library of its own, so that nothing else needs libfuse. Functions return
 * 0 or a negative errno, and why is in the log, see zus_log_open().
 */
#ifndef ZUS_FUSE_H
#define ZUS_FUSE_H

#include <stddef.h>
#include <stdint.h>

#include <zus_local.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct zus_fuse;

/* When reading sets a file's time of access, as mount(8) has it. */
enum zus_fuse_atime {
	ZUS_FUSE_RELATIME,
	ZUS_FUSE_STRICTATIME,
	ZUS_FUSE_NOATIME,
};

#define ZUS_FUSE_NODIRATIME	(1u << 0) /* not of directories */

/* All strings stay valid until zus_fuse_close(). */
struct zus_fuse_config {
	const struct zus_plugin *plugin;
	const struct zus_local_device *devices;
	uint32_t num_devices;
	uint32_t mount_flags;	/* ZUS_MOUNT_* */
	uint8_t fs_uuid[16];
	const char *source;	/* as /proc/mounts shall name it; NULL: the type */
	const char *mountpoint;	/* absolute */
	const char *options;	/* plugin's; NULL: none */
	const char *fuse_options; /* libfuse's and the kernel's; NULL: none */
	enum zus_fuse_atime atime;
	uint32_t flags;		/* ZUS_FUSE_* */
	/*
	 * How long the kernel keeps names and attributes without asking. 0: until the plugin
	 * says by zus_invalidate() that they changed, as it must in any transport.
	 */
	uint32_t cache_ms;
	uint32_t threads;	/* that serve requests, at most; 0: 16 */
	uint32_t lock_retry_ms;	/* who waits for a lock asks again so often; 0: 1000 */
	const char *run_dir;	/* of the statistics file; NULL: there is none */
};

/*
 * zus_fuse_open mounts the plugin, and that on mountpoint. zus_fuse_run serves it; ready
 * (may be NULL) is called once when the kernel knows the filesystem. It returns when the
 * mount has ended: by an unmount, or by zus_fuse_stop(), which unmounts or, while files are
 * in use, writes back what is dirty and leaves who uses them with ENOTCONN. zus_fuse_close
 * ends the mount in the plugin, and frees fuse. run and close belong to the thread that
 * called open; stop to any thread, but not to a signal handler. A thread that makes others
 * before blocks SIGTERM and its like first, as they would end the process.
 */
int zus_fuse_open(const struct zus_fuse_config *config, struct zus_fuse **fuse);
int zus_fuse_run(struct zus_fuse *fuse, void (*ready)(void *arg), void *arg);
void zus_fuse_stop(struct zus_fuse *fuse);
void zus_fuse_close(struct zus_fuse *fuse);

/* What a filesystem has through the kernel module, and FUSE has no way for. */
struct zus_fuse_lack {
	const char *what;
	const char *why;
};

const struct zus_fuse_lack *zus_fuse_lacks(size_t *count);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* ZUS_FUSE_H */
