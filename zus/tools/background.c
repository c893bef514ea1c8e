// SPDX-License-Identifier: BSD-3-Clause
/* background.c - see background.h */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zus_server.h>

#include "background.h"

int background_log_level(const char *name)
{
	static const char *const names[] = {
		[ZUS_LOG_ERR] = "err", [ZUS_LOG_WARN] = "warn",
		[ZUS_LOG_NOTICE] = "notice", [ZUS_LOG_INFO] = "info",
		[ZUS_LOG_DEBUG] = "debug",
	};
	int i;

	for (i = ZUS_LOG_ERR; i <= ZUS_LOG_DEBUG; i++)
		if (!strcmp(name, names[i]))
			return i;
	return -1;
}

int background_load(const char *name, const struct zus_plugin **plugin)
{
	char message[1024] = "";
	int err = zus_plugin_load(name, plugin, message, sizeof(message));

	if (err)
		zus_log(ZUS_LOG_ERR, "%s", message[0] ? message : strerror(-err));
	return err;
}

void background_block_signals(void)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGILL);
	sigdelset(&set, SIGABRT);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
}

/* The starting process waits for READY or for the child's end. */
static int wait_for_child(pid_t child, int fd)
{
	char line[16];
	ssize_t len;
	int status;

	do {
		len = read(fd, line, sizeof(line));
	} while (len < 0 && errno == EINTR);
	if (len > 0)
		return 0;
	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		return WEXITSTATUS(status);
	return 1;
}

static int failed(const char *program, const char *call)
{
	fprintf(stderr, "%s: %s: %s\n", program, call, strerror(errno));
	return 1;
}

int background_run(const char *program, int *parent_fd, int (*serve)(void *arg), void *arg)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC))
		return failed(program, "pipe");
	child = fork();
	if (child < 0)
		return failed(program, "fork");
	if (child) {
		close(fds[1]);
		return wait_for_child(child, fds[0]);
	}
	close(fds[0]);
	setsid();
	if (chdir("/"))
		return 1;
	*parent_fd = fds[1];
	return serve(arg);
}

void background_ready(int *parent_fd)
{
	if (*parent_fd < 0)
		return;
	if (write(*parent_fd, "READY\n", 6) < 0)
		zus_log(ZUS_LOG_WARN, "who started this is gone");
	close(*parent_fd);
	*parent_fd = -1;
}

void background_detach(const char *program, int log_level)
{
	int null_fd = open("/dev/null", O_RDWR);

	zus_log_open(program, 1, log_level);
	if (null_fd < 0)
		return;
	dup2(null_fd, 0);
	dup2(null_fd, 1);
	dup2(null_fd, 2);
	if (null_fd > 2)
		close(null_fd);
}
