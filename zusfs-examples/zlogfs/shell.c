// SPDX-License-Identifier: BSD-3-Clause
/* shell.c - the thread that applies; the core itself has none. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "shell.h"

#define IDLE_NS		100000000L	/* between looks */
#define STEP_ITEMS	4096u

struct zl_shell {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
};

/* true: somebody wants it to end. */
static bool idle(struct zl_shell *shell)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += IDLE_NS;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pthread_mutex_lock(&shell->lock);
	if (!shell->stop)
		pthread_cond_timedwait(&shell->wake, &shell->lock, &until);
	stop = shell->stop;
	pthread_mutex_unlock(&shell->lock);
	return stop;
}

static void *run(void *arg)
{
	struct zl_fs *fs = arg;
	uint64_t seen;
	int ret;

	pthread_mutex_lock(&fs->step);
	seen = fs->applied_tid;
	pthread_mutex_unlock(&fs->step);
	while (!idle(fs->shell)) {
		do {
			pthread_mutex_lock(&fs->step);
			ret = zl_step_apply(fs, STEP_ITEMS);
			if (!ret && fs->applied_tid != seen) {
				seen = fs->applied_tid;
				zl_step_checkpoint(fs, false);
			}
			pthread_mutex_unlock(&fs->step);
		} while (ret > 0);
	}
	return NULL;
}

int zl_shell_start(struct zl_fs *fs)
{
	struct zl_shell *shell = calloc(1, sizeof(*shell));

	if (!shell)
		return -ENOMEM;
	pthread_mutex_init(&shell->lock, NULL);
	pthread_cond_init(&shell->wake, NULL);
	fs->shell = shell;
	if (pthread_create(&shell->thread, NULL, run, fs)) {
		fs->shell = NULL;
		free(shell);
		return -EAGAIN;
	}
	return 0;
}

void zl_shell_stop(struct zl_fs *fs)
{
	struct zl_shell *shell = fs->shell;

	if (!shell)
		return;
	pthread_mutex_lock(&shell->lock);
	shell->stop = true;
	pthread_cond_signal(&shell->wake);
	pthread_mutex_unlock(&shell->lock);
	pthread_join(shell->thread, NULL);
	pthread_cond_destroy(&shell->wake);
	pthread_mutex_destroy(&shell->lock);
	fs->shell = NULL;
	free(shell);
}
