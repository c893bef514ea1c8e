/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zus_server.h - run a plugin: what zusd and the tools use of libzus.
 * Plugins do not need it. Functions return 0 or a negative errno, may sleep, and
 * are called from one thread at a time unless that is said.
 */
#ifndef ZUS_SERVER_H
#define ZUS_SERVER_H

#include <stdint.h>

#include <zus.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct zus_server;

/* ----------------------------------------------------------------- plugins */

/*
 * Finds and loads a plugin. name is a path if it contains '/', else it is
 * looked for as NAME.so and, so that a type name works too, as NAME without a
 * leading 'z' in the directories of $ZUS_PLUGIN_PATH (separated by colons), then
 * in the installed one, then beside the program in ../zusfs-examples. On error
 * message, if not NULL, is filled with what to do. ENOENT, ENOEXEC (no plugin),
 * EPROTO (another ABI). A plugin is never unloaded.
 */
int zus_plugin_load(const char *name, const struct zus_plugin **plugin,
		    char *message, size_t message_bytes);

/* Checks versions, tables and required callbacks of a descriptor. */
int zus_plugin_check(const struct zus_plugin *plugin, char *message,
		     size_t message_bytes);

/* ----------------------------------------------------------------- servers */

struct zus_server_config {
	uint32_t channels_per_cpu;	/* 0: 2; at most 7 */
	uint32_t flags;			/* ZUS_SERVER_* */
	const char *device_path;	/* NULL: /dev/zuf */
	const char *run_dir;		/* of statistics; NULL: /run/zufs */
};

#define ZUS_SERVER_NO_STATS_FILE (1u << 0) /* keep statistics in memory only */

/*
 * A server of one plugin through the kernel module. zus_server_open connects and
 * registers the type: ENOENT (no module), EACCES, EPROTO (kernel of another
 * ABI), EBUSY (type already served), with the reason in the log.
 * zus_server_run starts the channel threads, calls ready (may be NULL) when all
 * wait for requests, and returns after zus_server_stop; mounts that are left
 * then are ended. zus_server_stop: any thread. zus_server_close frees it.
 */
int zus_server_open(const struct zus_plugin *plugin,
		    const struct zus_server_config *config,
		    struct zus_server **server);
int zus_server_run(struct zus_server *server, void (*ready)(void *arg), void *arg);
void zus_server_stop(struct zus_server *server);
void zus_server_close(struct zus_server *server);

/* Number of mounts served; ids of the first max of them in ids. Any thread. */
uint32_t zus_server_mounts(struct zus_server *server, uint64_t *ids, uint32_t max);

/* ----------------------------------------------------------------- logging */

/* Where lines of zus_log() go: stderr, or syslog(3) with ident. */
void zus_log_open(const char *ident, int to_syslog, int max_level);

/* -------------------------------------------------------------- statistics */

#define ZUS_STATS_MAGIC		0x535441545355315aull
#define ZUS_STATS_OPS		64u
#define ZUS_STATS_WORKERS	4096u

/*
 * File RUN_DIR/zusd-TYPE.stats, mapped by the server while it runs: a header,
 * then one block a worker. Each counter has one writer and only rises; a reader
 * maps the file read-only and adds up. Only one call in 64 is timed.
 */
struct zus_op_stats {
	uint64_t count;
	uint64_t errors;
	uint64_t sampled;
	uint64_t sampled_ns;
};

struct zus_worker_stats {
	uint32_t cpu;
	uint32_t reserved[15];
	struct zus_op_stats op[ZUS_STATS_OPS];
};

struct zus_stats_file {
	uint64_t magic;
	uint32_t version;	/* 1 */
	uint32_t pid;
	uint32_t num_workers;	/* used ones, rises */
	uint32_t num_ops;
	char type[32];
	char op_name[ZUS_STATS_OPS][16];
	uint64_t reserved[1];
	struct zus_worker_stats worker[];
};

/* ------------------------------------------------------------ device tables */

struct zufs_devtable;

/* CRC32C of the table with its crc field as zero. */
uint32_t zus_devtable_crc(const struct zufs_devtable *table);

/* 0 if the copy is valid by itself, for a device of dev_bytes (0: unknown). */
int zus_devtable_check(const struct zufs_devtable *table, uint64_t dev_bytes);

/*
 * Reads both copies from fd and gives the newest valid one; *copy says which.
 * ENODATA: no table, EUCLEAN: both copies are damaged.
 */
int zus_devtable_read(int fd, uint64_t dev_bytes, struct zufs_devtable *table,
		      uint32_t *copy);

/*
 * Writes the table to fd in the order that keeps one valid copy at any time:
 * sets seq and crc, replaces the older copy, makes it durable, then the other.
 */
int zus_devtable_write(int fd, uint64_t dev_bytes, struct zufs_devtable *table);

/* First data_off behind the tables with (phase + data_off) % 2 MiB == 0. */
uint64_t zus_devtable_data_off(uint64_t pmd_phase_bytes);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* ZUS_SERVER_H */
