// SPDX-License-Identifier: BSD-3-Clause
/* zusfuse.c - mounts a plugin by FUSE, and serves it until it is unmounted. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <zus_fuse.h>
#include <zus_server.h>

#include "background.h"
#include "devices.h"

#ifndef ZUS_VERSION
#define ZUS_VERSION "1.0"
#endif

#define OPTIONS_MAX	8192u

struct tool {
	const struct zus_plugin *plugin;
	struct devices devices;
	struct zus_fuse_config config;
	struct zus_fuse *fuse;
	pthread_mutex_t lock;		/* fuse may be stopped */
	bool ended;
	char plugin_options[OPTIONS_MAX];
	char fuse_options[OPTIONS_MAX];
	int parent_fd;			/* tells the starting process how it went */
	int log_level;
	int foreground;
	int may_lose;
};

static const char usage_text[] =
	"Usage: zusfuse [OPTION]... PLUGIN DEVICE... MOUNTPOINT\n"
	"Mount a zufs plugin by FUSE: without the zuf kernel module, and slower. PLUGIN is a\n"
	"path of a shared object, or a name as zusd(8) has it. DEVICE is a block device or a\n"
	"plain file that mkfs.zufs(8) made; a filesystem of several devices wants all.\n"
	"\n"
	"  -f, --foreground     stay in the foreground, log to stderr\n"
	"  -o OPTION[,...]      ro, rw, relatime, strictatime, noatime, nodiratime, [no]dev,\n"
	"                       [no]suid, [no]exec; those of mount.fuse3(8); kept_ms=N and\n"
	"                       lock_retry_ms=N, see zusfuse(8); all others are the plugin's\n"
	"      --volatile       take a device that is no persistent memory, though the plugin\n"
	"                       is not made for it: all may be lost when the machine stops\n"
	"      --run-dir DIR    keep a statistics file there, as zusd(8) does\n"
	"      --lacks          list what a filesystem has through the module and not here\n"
	"  -l, --log-level L    err, warn, notice, info or debug (default notice)\n"
	"  -h, --help           show this\n"
	"  -V, --version        show versions\n"
	"\n"
	"Returns when the filesystem is mounted, and serves it in the background. It ends with\n"
	"'umount MOUNTPOINT', as a user 'fusermount3 -u MOUNTPOINT', or by SIGTERM: what is open\n"
	"there then ends with errors.\n"
	"Exit status: 0 mounted, with -f ended as asked; 1 failed; 2 wrong usage.\n";

enum {
	OPT_VOLATILE = 256,
	OPT_LACKS,
	OPT_RUN_DIR,
};

static const struct option long_options[] = {
	{ "foreground", no_argument, NULL, 'f' },
	{ "volatile", no_argument, NULL, OPT_VOLATILE },
	{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
	{ "lacks", no_argument, NULL, OPT_LACKS },
	{ "log-level", required_argument, NULL, 'l' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int usage_error(const char *what, const char *value)
{
	fprintf(stderr, "zusfuse: %s%s%s\nTry 'zusfuse --help'.\n", what, value ? ": " : "",
		value ? value : "");
	return 2;
}

static void show_lacks(void)
{
	size_t count, i;
	const struct zus_fuse_lack *lacks = zus_fuse_lacks(&count);

	for (i = 0; i < count; i++)
		printf("%s: %s\n", lacks[i].what, lacks[i].why);
}

/* ------------------------------------------------------------- mount options */

static int append(char *to, const char *option)
{
	size_t used = strlen(to);
	int len = snprintf(to + used, OPTIONS_MAX - used, "%s%s", used ? "," : "", option);

	return len < 0 || used + (size_t)len >= OPTIONS_MAX ?
	       usage_error("the mount options are too long", NULL) : 0;
}

/* Those of the kernel and of libfuse, which has to be given them. */
static bool is_fuse_option(const char *key)
{
	static const char *const names[] = {
		"dev", "nodev", "suid", "nosuid", "exec", "noexec", "sync", "async", "dirsync",
		"allow_other", "allow_root", "auto_unmount", "blkdev", "blksize", "context",
		"fscontext", "defcontext", "rootcontext", "fsname", "subtype", "max_read",
		"default_permissions",
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(key, names[i]))
			return true;
	return false;
}

/* true: it was one of ours. */
static bool own_option(struct zus_fuse_config *config, const char *key)
{
	if (!strcmp(key, "ro"))
		config->mount_flags |= ZUS_MOUNT_RDONLY;
	else if (!strcmp(key, "rw"))
		config->mount_flags &= ~ZUS_MOUNT_RDONLY;
	else if (!strcmp(key, "relatime") || !strcmp(key, "atime"))
		config->atime = ZUS_FUSE_RELATIME;
	else if (!strcmp(key, "strictatime"))
		config->atime = ZUS_FUSE_STRICTATIME;
	else if (!strcmp(key, "noatime"))
		config->atime = ZUS_FUSE_NOATIME;
	else if (!strcmp(key, "nodiratime"))
		config->flags |= ZUS_FUSE_NODIRATIME;
	else if (!strcmp(key, "diratime"))
		config->flags &= ~ZUS_FUSE_NODIRATIME;
	else
		return false;
	return true;
}

static int set_ms(const char *key, const char *value, uint32_t *ms)
{
	char *end = NULL;
	long number = value ? strtol(value, &end, 10) : 0;

	if (!value || end == value || *end || number < 1 || number > 86400000) {
		fprintf(stderr, "zusfuse: %s is 1 to 86400000\nTry 'zusfuse --help'.\n", key);
		return 2;
	}
	*ms = (uint32_t)number;
	return 0;
}

/* whole: as it was given, with its value. */
static int one_option(struct tool *tool, const char *whole, const char *key, const char *value)
{
	if (!value && own_option(&tool->config, key))
		return 0;
	if (!strcmp(key, "kept_ms"))
		return set_ms(key, value, &tool->config.cache_ms);
	if (!strcmp(key, "lock_retry_ms"))
		return set_ms(key, value, &tool->config.lock_retry_ms);
	return append(is_fuse_option(key) ? tool->fuse_options : tool->plugin_options, whole);
}

static int mount_options(struct tool *tool, const char *text)
{
	char buf[1024], whole[1024], *key, *value;
	const char *at = text;
	int more, status = 0;

	while (!status && (more = zus_option_next(&at, buf, sizeof(buf), &key, &value))) {
		if (more < 0)
			return usage_error("a mount option is too long", NULL);
		snprintf(whole, sizeof(whole), "%s%s%s", key, value ? "=" : "", value ? value : "");
		status = one_option(tool, whole, key, value);
	}
	return status;
}

/* 0, or an exit status, or -1: all is said and done. */
static int parse_option(struct tool *tool, int opt)
{
	switch (opt) {
	case 'f':
		tool->foreground = 1;
		return 0;
	case 'o':
		return mount_options(tool, optarg);
	case OPT_VOLATILE:
		tool->may_lose = 1;
		return 0;
	case 'l':
		tool->log_level = background_log_level(optarg);
		return tool->log_level < 0 ? usage_error("unknown log level", optarg) : 0;
	case OPT_RUN_DIR:
		tool->config.run_dir = optarg;
		return 0;
	case OPT_LACKS:
		show_lacks();
		return -1;
	case 'h':
		fputs(usage_text, stdout);
		return -1;
	case 'V':
		printf("zusfuse %s, plugin ABI %d.%d\n", ZUS_VERSION, ZUS_PLUGIN_ABI_MAJOR,
		       ZUS_PLUGIN_ABI_MINOR);
		return -1;
	default:
		fputs("Try 'zusfuse --help'.\n", stderr);
		return 2;
	}
}

/* ------------------------------------------------------------------ signals */

static void *signal_main(void *arg)
{
	struct tool *tool = arg;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	for (;;) {
		if (sigwait(&set, &sig))
			continue;
		pthread_mutex_lock(&tool->lock);
		if (!tool->ended)
			zus_fuse_stop(tool->fuse);
		pthread_mutex_unlock(&tool->lock);
	}
	return NULL;
}

static int start_signals(struct tool *tool)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, signal_main, tool);

	if (!err)
		pthread_detach(thread);
	return -err;
}

/* -------------------------------------------------------------------- serve */

static void ready(void *arg)
{
	struct tool *tool = arg;

	zus_log(ZUS_LOG_INFO, "mounted");
	if (tool->foreground)
		return;
	background_ready(&tool->parent_fd);
	background_detach("zusfuse", tool->log_level);
}

static int serve(struct tool *tool)
{
	int err;

	background_block_signals();
	if (zus_fuse_open(&tool->config, &tool->fuse))
		return 1;	/* said there */
	err = start_signals(tool);
	if (!err)
		err = zus_fuse_run(tool->fuse, ready, tool);
	if (err)
		zus_log(ZUS_LOG_ERR, "ended: %s", strerror(-err));
	pthread_mutex_lock(&tool->lock);
	tool->ended = true;
	pthread_mutex_unlock(&tool->lock);
	zus_fuse_close(tool->fuse);
	return err ? 1 : 0;
}

/* One that ended before it was mounted has failed, whatever it says. */
static int serve_in_background(void *arg)
{
	struct tool *tool = arg;
	int status = serve(tool);

	return status ? status : tool->parent_fd >= 0;
}

/* --------------------------------------------------------------------- begin */

static int find_mountpoint(struct tool *tool, const char *path)
{
	struct statvfs fs;
	struct stat st;

	/* attributes of what is dead may still be in the kernel's memory */
	tool->config.mountpoint = realpath(path, NULL);
	if (!tool->config.mountpoint || stat(tool->config.mountpoint, &st) ||
	    statvfs(tool->config.mountpoint, &fs)) {
		if (errno == ENOTCONN)
			zus_log(ZUS_LOG_ERR, "%s: who served what is mounted there is gone; 'fusermount3 -u %s' first",
				path, path);
		else
			zus_log(ZUS_LOG_ERR, "mountpoint %s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(st.st_mode)) {
		zus_log(ZUS_LOG_ERR, "mountpoint %s is no directory", path);
		return -1;
	}
	return 0;
}

static int prepare(struct tool *tool, char **words, int count)
{
	struct zus_fuse_config *config = &tool->config;

	if (background_load(words[0], &tool->plugin) || find_mountpoint(tool, words[count - 1]) ||
	    devices_open(&tool->devices, tool->plugin, words + 1, (uint32_t)count - 2,
			 tool->may_lose))
		return 1;
	config->plugin = tool->plugin;
	config->devices = tool->devices.device;
	config->num_devices = tool->devices.count;
	memcpy(config->fs_uuid, tool->devices.fs_uuid, sizeof(config->fs_uuid));
	config->source = tool->devices.count ? tool->devices.device[0].path : NULL;
	config->options = tool->plugin_options;
	config->fuse_options = tool->fuse_options;
	return 0;
}

int main(int argc, char **argv)
{
	static struct tool tool = {
		.parent_fd = -1, .log_level = ZUS_LOG_NOTICE, .lock = PTHREAD_MUTEX_INITIALIZER,
	};
	int opt, status;

	while ((opt = getopt_long(argc, argv, "fo:l:hV", long_options, NULL)) >= 0) {
		status = parse_option(&tool, opt);
		if (status)
			return status < 0 ? 0 : status;
	}
	if (argc - optind < 2)
		return usage_error(optind == argc ? "no plugin given" : "no mountpoint given", NULL);
	zus_log_open("zusfuse", 0, tool.log_level);
	if (prepare(&tool, argv + optind, argc - optind))
		return 1;
	return tool.foreground ? serve(&tool) :
	       background_run("zusfuse", &tool.parent_fd, serve_in_background, &tool);
}
