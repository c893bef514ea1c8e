// SPDX-License-Identifier: BSD-3-Clause
/* zusd.c - the daemon: loads one plugin and serves its type to the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <zus_api.h>
#include <zus_server.h>

#include "background.h"

#ifndef ZUS_VERSION
#define ZUS_VERSION "1.0"
#endif

struct zusd {
	const struct zus_plugin *plugin;
	const char *pidfile;
	const char *run_dir;
	struct zus_server *server;
	unsigned int channels;
	int ready_fd;
	int parent_fd;		/* tells the starting process how it went */
	int log_level;
	int foreground;
	int no_mlock;
};

static const char usage_text[] =
	"Usage: zusd [OPTION]... PLUGIN\n"
	"Serve a zufs filesystem type. PLUGIN is a path of a shared object, or a name:\n"
	"\"toyfs\" and \"ztoyfs\" both find toyfs.so, in $ZUS_PLUGIN_PATH (directories\n"
	"separated by colons) and then in the installed directory.\n"
	"\n"
	"  -f, --foreground     stay in the foreground, log to stderr\n"
	"  -c, --channels N     channels a CPU, 1 to 7 (default 2)\n"
	"  -p, --pidfile FILE   write the process id to FILE\n"
	"      --ready-fd N     write a line to file descriptor N when ready\n"
	"      --run-dir DIR    directory of the statistics file (default /run/zufs)\n"
	"      --no-mlock       do not lock memory (a server that is paged out can\n"
	"                       block the machine: for trials only)\n"
	"  -l, --log-level L    err, warn, notice, info or debug (default notice)\n"
	"  -h, --help           show this\n"
	"  -V, --version        show versions\n"
	"\n"
	"SIGTERM ends the server; while it has mounts the first one only names them,\n"
	"a second one ends it nevertheless.\n"
	"Exit status: 0 ended as asked, 1 failed, 2 wrong usage.\n";

enum {
	OPT_READY_FD = 256,
	OPT_RUN_DIR,
	OPT_NO_MLOCK,
};

static const struct option long_options[] = {
	{ "foreground", no_argument, NULL, 'f' },
	{ "channels", required_argument, NULL, 'c' },
	{ "pidfile", required_argument, NULL, 'p' },
	{ "ready-fd", required_argument, NULL, OPT_READY_FD },
	{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
	{ "no-mlock", no_argument, NULL, OPT_NO_MLOCK },
	{ "log-level", required_argument, NULL, 'l' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int usage_error(const char *what, const char *value)
{
	fprintf(stderr, "zusd: %s%s%s\nTry 'zusd --help'.\n", what, value ? ": " : "",
		value ? value : "");
	return 2;
}

static int parse_number(const char *text, long min, long max, long *number)
{
	char *end;

	errno = 0;
	*number = strtol(text, &end, 10);
	return errno || end == text || *end || *number < min || *number > max;
}

static void show_version(void)
{
	printf("zusd %s, kernel ABI %d.%d, plugin ABI %d.%d\n", ZUS_VERSION,
	       ZUFS_ABI_MAJOR, ZUFS_ABI_MINOR, ZUS_PLUGIN_ABI_MAJOR,
	       ZUS_PLUGIN_ABI_MINOR);
}

/* 0, or an exit status, or -1: all is said and done. */
static int parse_option(struct zusd *d, int opt)
{
	long number;

	switch (opt) {
	case 'f':
		d->foreground = 1;
		return 0;
	case 'c':
		if (parse_number(optarg, 1, ZUFS_CHANNELS_PER_CPU_MAX, &number))
			return usage_error("channels must be 1 to 7", optarg);
		d->channels = (unsigned int)number;
		return 0;
	case 'p':
		d->pidfile = optarg;
		return 0;
	case OPT_READY_FD:
		if (parse_number(optarg, 0, 1 << 20, &number) ||
		    fcntl((int)number, F_GETFD) < 0)
			return usage_error("not an open file descriptor", optarg);
		d->ready_fd = (int)number;
		return 0;
	case OPT_RUN_DIR:
		d->run_dir = optarg;
		return 0;
	case OPT_NO_MLOCK:
		d->no_mlock = 1;
		return 0;
	case 'l':
		d->log_level = background_log_level(optarg);
		return d->log_level < 0 ? usage_error("unknown log level", optarg) : 0;
	case 'h':
		fputs(usage_text, stdout);
		return -1;
	case 'V':
		show_version();
		return -1;
	default:
		fputs("Try 'zusd --help'.\n", stderr);
		return 2;
	}
}

/* ------------------------------------------------------------------ signals */

static void *signal_main(void *arg)
{
	struct zusd *d = arg;
	uint64_t ids[16];
	uint32_t i, count;
	int asked = 0;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	for (;;) {
		if (sigwait(&set, &sig))
			continue;
		count = zus_server_mounts(d->server, ids, 16);
		if (!count || asked++)
			break;
		for (i = 0; i < count && i < 16; i++)
			zus_log(ZUS_LOG_WARN, "mount %llu is still served",
				(unsigned long long)ids[i]);
		zus_log(ZUS_LOG_WARN, "%u mounts: unmount them, or send the signal again to end without",
			count);
	}
	zus_server_stop(d->server);
	return NULL;
}

static int start_signals(struct zusd *d)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, signal_main, d);

	if (!err)
		pthread_detach(thread);
	return -err;
}

/* -------------------------------------------------------------------- ready */

static int write_pidfile(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return -errno;
	fprintf(file, "%ld\n", (long)getpid());
	return fclose(file) ? -errno : 0;
}

static void tell(int fd, const char *line)
{
	ssize_t done;

	if (fd < 0)
		return;
	done = write(fd, line, strlen(line));
	if (done < 0)
		zus_log(ZUS_LOG_WARN, "cannot report to fd %d: %s", fd, strerror(errno));
	close(fd);
}

static void ready(void *arg)
{
	struct zusd *d = arg;

	if (d->pidfile) {
		int err = write_pidfile(d->pidfile);

		if (err)
			zus_log(ZUS_LOG_WARN, "pidfile %s: %s", d->pidfile, strerror(-err));
	}
	zus_log(ZUS_LOG_NOTICE, "ready");
	tell(d->ready_fd, "READY\n");
	background_ready(&d->parent_fd);
	d->ready_fd = -1;
	if (!d->foreground)
		background_detach("zusd", d->log_level);
}

/* -------------------------------------------------------------------- serve */

static void lock_memory(const struct zusd *d)
{
	if (d->no_mlock)
		return;
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		zus_log(ZUS_LOG_WARN, "cannot lock memory: %s; a server that is paged out can block the machine. Raise RLIMIT_MEMLOCK (systemd: LimitMEMLOCK=infinity) or give --no-mlock for trials",
			strerror(errno));
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int serve(void *arg)
{
	struct zusd *d = arg;
	struct zus_server_config config = {
		.channels_per_cpu = d->channels,
		.run_dir = d->run_dir,
	};
	int err;

	background_block_signals();
	raise_file_limit();
	lock_memory(d);
	err = zus_server_open(d->plugin, &config, &d->server);
	if (err)
		return 1;	/* said by libzus */
	err = start_signals(d);
	if (!err)
		err = zus_server_run(d->server, ready, d);
	if (err)
		zus_log(ZUS_LOG_ERR, "ended: %s", strerror(-err));
	zus_server_close(d->server);
	if (d->pidfile)
		unlink(d->pidfile);
	return err ? 1 : 0;
}

/* Relative names are as the caller meant them: before chdir(2). */
static int absolute_pidfile(struct zusd *d)
{
	char *dir, *path;

	if (!d->pidfile || d->pidfile[0] == '/')
		return 0;
	dir = getcwd(NULL, 0);
	if (!dir || asprintf(&path, "%s/%s", dir, d->pidfile) < 0) {
		zus_log(ZUS_LOG_ERR, "pidfile %s: %s", d->pidfile, strerror(errno));
		free(dir);
		return -1;
	}
	free(dir);
	d->pidfile = path;
	return 0;
}

int main(int argc, char **argv)
{
	struct zusd d = { .ready_fd = -1, .parent_fd = -1, .log_level = ZUS_LOG_NOTICE };
	int opt, status;

	while ((opt = getopt_long(argc, argv, "fc:p:l:hV", long_options, NULL)) >= 0) {
		status = parse_option(&d, opt);
		if (status)
			return status < 0 ? 0 : status;
	}
	if (optind + 1 != argc)
		return usage_error(optind == argc ? "no plugin given" :
						    "more than one plugin given", NULL);
	zus_log_open("zusd", 0, d.log_level);
	if (absolute_pidfile(&d) || background_load(argv[optind], &d.plugin))
		return 1;
	return d.foreground ? serve(&d) : background_run("zusd", &d.parent_fd, serve, &d);
}
