// SPDX-License-Identifier: BSD-3-Clause
/*
 * stats.c - counters per worker and operation, in a file that zusctl maps. The
 * file grows in the table's order; a worker's block has one writer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t zus_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t zus_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static uint64_t workers_max(const struct zus_server *server)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	uint64_t max = (uint64_t)(cpus > 0 ? cpus : 1) * server->config.channels_per_cpu;

	return max < 64 ? 64 : max > ZUS_STATS_WORKERS ? ZUS_STATS_WORKERS : max;
}

/* A new file each time: readers of an older server's keep what they mapped. */
static int open_file(struct zus_server *server)
{
	const char *dir = server->config.run_dir;
	int fd;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	if (snprintf(server->stats_path, sizeof(server->stats_path),
		     "%s/zusd-%s.stats", dir, server->plugin.name) >=
	    (int)sizeof(server->stats_path)) {
		server->stats_path[0] = 0;
		return -ENAMETOOLONG;
	}
	unlink(server->stats_path);
	fd = open(server->stats_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd >= 0 && !ftruncate(fd, (off_t)server->stats_bytes))
		return fd;
	if (fd >= 0)
		close(fd);
	server->stats_path[0] = 0;
	return -errno;
}

static void fill_header(struct zus_server *server)
{
	struct zus_stats_file *stats = server->stats;
	uint32_t i;

	stats->version = 1;
	stats->pid = (uint32_t)getpid();
	stats->num_ops = ZUFS_OP_COUNT;
	snprintf(stats->type, sizeof(stats->type), "%s", server->plugin.name);
	snprintf(stats->op_name[0], sizeof(stats->op_name[0]), "unknown");
	for (i = 1; i < ZUFS_OP_COUNT; i++)
		snprintf(stats->op_name[i], sizeof(stats->op_name[i]), "%s",
			 zus_ops[i].name);
	zus_store(&stats->magic, ZUS_STATS_MAGIC);	/* header is complete */
}

int zus_stats_open(struct zus_server *server)
{
	int flags = MAP_SHARED | MAP_ANONYMOUS;
	int fd = -1;

	server->stats_bytes = sizeof(struct zus_stats_file) +
			      workers_max(server) * sizeof(struct zus_worker_stats);
	if (!(server->config.flags & ZUS_SERVER_NO_STATS_FILE)) {
		fd = open_file(server);
		if (fd < 0)
			zus_log(ZUS_LOG_WARN, "no statistics file in %s: %s",
				server->config.run_dir, strerror(-fd));
		else
			flags = MAP_SHARED;
	}
	server->stats = mmap(NULL, server->stats_bytes, PROT_READ | PROT_WRITE, flags,
			     fd < 0 ? -1 : fd, 0);
	if (fd >= 0)
		close(fd);
	if (server->stats == MAP_FAILED) {
		server->stats = NULL;
		return -ENOMEM;
	}
	fill_header(server);
	return 0;
}

void zus_stats_close(struct zus_server *server)
{
	if (server->stats_path[0])
		unlink(server->stats_path);
	if (server->stats)
		munmap(server->stats, server->stats_bytes);
}

/* Called with server->lock. More workers than blocks share the last one. */
struct zus_worker_stats *zus_stats_worker(struct zus_server *server, uint32_t cpu)
{
	uint64_t max = workers_max(server);
	uint32_t i = server->worker_stats_used;

	if (i < max)
		server->worker_stats_used++;
	else
		i = (uint32_t)max - 1;
	server->stats->worker[i].cpu = cpu;
	zus_store(&server->stats->num_workers, server->worker_stats_used);
	return &server->stats->worker[i];
}
