// SPDX-License-Identifier: BSD-3-Clause
/*
 * null_epoch.c - write epochs of nullfs; see null_epoch.h.
 *
 * Checked, each block's sum is taken while done() runs, when nobody may write. A map for
 * writing releases its blocks for the epoch; first it compares their sums, and those
 * of all that were not released are compared when the epoch ends.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "null_epoch.h"

struct null_epoch {
	struct null_epoch_config config;
	pthread_t thread;

	pthread_mutex_t lock;		/* what follows */
	pthread_cond_t changed;
	bool running;			/* the thread */
	bool stop;
	bool asked;			/* zus_epoch()'s end is to come */
	uint64_t epoch;			/* atomic: read without the lock, too */

	/* only checked, else NULL; by block of the area */
	uint64_t *sum;			/* as the epoch began */
	uint8_t *released;		/* may change in this epoch */
	uint64_t blocks;
	bool summed;
	bool broken;
};

static uint64_t block_sum(const struct null_epoch *ne, uint64_t block)
{
	const char *bytes = ne->config.base + block * ZUS_BLOCK_BYTES;
	uint64_t sum = block, word;
	uint32_t i;

	for (i = 0; i < ZUS_BLOCK_BYTES; i += sizeof(word)) {
		memcpy(&word, bytes + i, sizeof(word));
		sum = (sum ^ word) * 0x9e3779b97f4a7c15ull;
		sum ^= sum >> 32;
	}
	return sum;
}

static void check_block(struct null_epoch *ne, uint64_t block, const char *when)
{
	if (!ne->summed || ne->released[block] || block_sum(ne, block) == ne->sum[block])
		return;
	zus_log(ZUS_LOG_ERR, "nullfs: block %" PRIu64 " changed in epoch %" PRIu64 " without a map for writing, seen %s",
		block, ne->epoch, when);
	ne->broken = true;
	ne->released[block] = 1;	/* told once */
}

static void check_all(struct null_epoch *ne, const char *when)
{
	uint64_t block;

	for (block = 0; block < ne->blocks; block++)
		check_block(ne, block, when);
}

/* In libzus's thread; nobody writes. */
static void epoch_begun(void *arg, int err, uint64_t epoch)
{
	struct null_epoch *ne = arg;
	uint64_t block;

	pthread_mutex_lock(&ne->lock);
	ne->asked = false;
	if (err == -ESHUTDOWN)
		ne->stop = true;
	if (!ne->stop) {
		check_all(ne, "as it ended");
		for (block = 0; block < ne->blocks; block++) {
			ne->sum[block] = block_sum(ne, block);
			ne->released[block] = 0;
		}
		ne->summed = true;
		__atomic_store_n(&ne->epoch, epoch, __ATOMIC_RELEASE);
		check_all(ne, "while it began");
	}
	pthread_cond_signal(&ne->changed);
	pthread_mutex_unlock(&ne->lock);
}

/* Under the lock. */
static void wait_until(struct null_epoch *ne, const struct timespec *start)
{
	struct timespec end = *start;

	end.tv_sec += ne->config.period_ms / 1000;
	end.tv_nsec += ne->config.period_ms % 1000 * 1000000L;
	if (end.tv_nsec >= 1000000000L) {
		end.tv_nsec -= 1000000000L;
		end.tv_sec++;
	}
	while (ne->config.period_ms && !ne->stop &&
	       pthread_cond_timedwait(&ne->changed, &ne->lock, &end) != ETIMEDOUT)
		;
}

static void *epoch_main(void *arg)
{
	struct null_epoch *ne = arg;
	struct timespec start;
	int err;

	pthread_mutex_lock(&ne->lock);
	while (!ne->stop) {
		clock_gettime(CLOCK_MONOTONIC, &start);
		ne->asked = true;
		pthread_mutex_unlock(&ne->lock);
		err = zus_epoch(ne->config.mount, epoch_begun, ne);
		pthread_mutex_lock(&ne->lock);
		if (err) {
			ne->stop = true;
			break;
		}
		while (ne->asked)
			pthread_cond_wait(&ne->changed, &ne->lock);
		wait_until(ne, &start);
	}
	pthread_mutex_unlock(&ne->lock);
	return NULL;
}

static int epoch_init(struct null_epoch *ne)
{
	pthread_condattr_t attr;

	if (ne->config.check) {
		ne->blocks = ne->config.bytes / ZUS_BLOCK_BYTES;
		ne->sum = calloc(ne->blocks, sizeof(*ne->sum));
		ne->released = calloc(ne->blocks, sizeof(*ne->released));
		if (!ne->sum || !ne->released)
			return -ENOMEM;
	}
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ne->changed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&ne->lock, NULL);
	return 0;
}

static void epoch_free(struct null_epoch *ne)
{
	free(ne->sum);
	free(ne->released);
	free(ne);
}

int null_epoch_begin(const struct null_epoch_config *config, struct null_epoch **made)
{
	struct null_epoch *ne = calloc(1, sizeof(*ne));
	int err;

	if (!ne)
		return -ENOMEM;
	ne->config = *config;
	ne->epoch = 1;
	err = epoch_init(ne);
	if (err) {
		epoch_free(ne);
		return err;
	}
	*made = ne;
	return 0;
}

void null_epoch_end(struct null_epoch *ne)
{
	if (!ne)
		return;
	pthread_mutex_lock(&ne->lock);
	ne->stop = true;
	pthread_cond_signal(&ne->changed);
	pthread_mutex_unlock(&ne->lock);
	if (ne->running)
		pthread_join(ne->thread, NULL);
	check_all(ne, "at the end");
	pthread_cond_destroy(&ne->changed);
	pthread_mutex_destroy(&ne->lock);
	epoch_free(ne);
}

/* What an answer with an older number releases is nothing: the kernel must not use it. */
static void release(struct null_epoch *ne, uint64_t off, uint64_t len_bytes)
{
	uint64_t block = off / ZUS_BLOCK_BYTES;
	uint64_t end = (off + len_bytes) / ZUS_BLOCK_BYTES;

	for (; block < end; block++) {
		check_block(ne, block, "by a map");
		ne->released[block] = 1;
	}
}

int null_epoch_map(struct null_epoch *ne, uint64_t off, uint64_t len_bytes,
		   const struct zus_map *args, uint16_t *flags)
{
	bool write = args->flags & ZUS_MAP_WRITE;
	/* while done() has the lock, answers still belong to the old epoch */
	bool early = args->epoch > __atomic_load_n(&ne->epoch, __ATOMIC_ACQUIRE);
	int ret;

	*flags = ZUS_EXTF_LEASE_R | (write ? ZUS_EXTF_LEASE_W : 0);
	pthread_mutex_lock(&ne->lock);
	/* not sooner: there is none before the mount is there */
	if (!ne->running && args->epoch)
		ne->running = !pthread_create(&ne->thread, NULL, epoch_main, ne);
	if (write && ne->sum && args->epoch == ne->epoch)
		release(ne, off, len_bytes);
	if (early) {
		zus_log(ZUS_LOG_ERR, "nullfs: a map of epoch %" PRIu64 " came before it began",
			args->epoch);
		ne->broken = true;
	}
	ret = ne->broken ? -EIO : 0;
	pthread_mutex_unlock(&ne->lock);
	return ret;
}
