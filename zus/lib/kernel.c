// SPDX-License-Identifier: BSD-3-Clause
/*
 * kernel.c - the kernel transport: requests come from the zuf module, by one
 * thread a channel, pinned to the channel's CPU.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <numa.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER	57
#endif

#define STACK_BYTES		(512u << 10)
#define GUARD_BYTES		4096u
#define BACKOFF_MIN_MS		10u
#define BACKOFF_MAX_MS		1000u
#define HOTPLUG_POLL_MS		1000	/* only where uevents cannot be had */

struct channel {
	struct zus_server *server;
	struct channel *next;
	struct zus_worker *worker;
	pthread_t thread;
	void *stack;
	void *request;
	void *reply;
	uint32_t cpu;
	uint32_t numa_node;
	int fd;
	bool counted;			/* in kernel_server.settled */
};

/* All but the constants is protected by lock. */
struct kernel_server {
	struct zufs_hello hello;
	int fd;				/* /dev/zuf */
	int wake_fd;			/* eventfd: stop or a failed channel */
	int uevent_fd;			/* netlink, or -1 */
	pthread_mutex_t lock;
	pthread_cond_t changed;		/* CLOCK_MONOTONIC */
	struct channel *channels;
	uint64_t cpu_events;		/* CPUs came or went */
	uint32_t started;
	uint32_t settled;		/* attached once, or failed */
	int error;			/* first failure of a channel */
	bool stopping;
};

static void wake(struct kernel_server *ks)
{
	uint64_t one = 1;

	if (write(ks->wake_fd, &one, sizeof(one)) < 0)
		zus_log(ZUS_LOG_ERR, "eventfd: %s", strerror(errno));
}

/* --------------------------------------------------------------------- open */

static int say_open_error(const char *path, int err)
{
	if (err == ENOENT || err == ENXIO || err == ENODEV)
		zus_log(ZUS_LOG_ERR, "there is no %s: load the module with 'modprobe zuf'",
			path);
	else if (err == EACCES || err == EPERM)
		zus_log(ZUS_LOG_ERR, "cannot open %s: permission denied; run as root", path);
	else
		zus_log(ZUS_LOG_ERR, "cannot open %s: %s", path, strerror(err));
	return -err;
}

static int hello(struct zus_server *server, struct kernel_server *ks)
{
	struct zufs_hello *h = &ks->hello;
	int err;

	h->major = ZUFS_ABI_MAJOR;
	h->minor = ZUFS_ABI_MINOR;
	h->struct_bytes = sizeof(*h);
	h->features = ZUFS_FEAT_LEASES | ZUFS_FEAT_EPOCHS | ZUFS_FEAT_COW | ZUFS_FEAT_XATTRS |
		      ZUFS_FEAT_READDIR_PLUS | ZUFS_FEAT_FILEATTR | ZUFS_FEAT_NAMES |
		      ZUFS_FEAT_FALLOCATE | ZUFS_FEAT_IOCTL | ZUFS_FEAT_EXPORT |
		      ZUFS_FEAT_INVALIDATE | ZUFS_FEAT_FREEZE |
		      ZUFS_FEAT_DURABLE_MAPS | ZUFS_FEAT_COPY | ZUFS_FEAT_CREATE_OPEN |
		      ZUFS_FEAT_CLONE | ZUFS_FEAT_LOCKS | ZUFS_FEAT_WHOLE_WRITES;
	if (ioctl(ks->fd, ZUFS_IOC_HELLO, h)) {
		err = errno;
		if (err == EPROTO)
			zus_log(ZUS_LOG_ERR, "the zuf module speaks ABI %u.%u, this server %d.%d; install the module and the server of one release",
				h->major, h->minor, ZUFS_ABI_MAJOR, ZUFS_ABI_MINOR);
		else
			zus_log(ZUS_LOG_ERR, "%s: hello: %s", server->config.device_path,
				strerror(err));
		return -err;
	}
	if (h->region_bytes < ZUFS_REGION_BYTES || !h->page_bytes ||
	    h->region_bytes % h->page_bytes) {
		zus_log(ZUS_LOG_ERR, "the zuf module offers regions of %u bytes, %u are needed",
			h->region_bytes, ZUFS_REGION_BYTES);
		return -EPROTO;
	}
	server->transport_features = h->features;
	if (server->config.channels_per_cpu > h->channels_per_cpu_max)
		server->config.channels_per_cpu = h->channels_per_cpu_max;
	return server->config.channels_per_cpu ? 0 : -EPROTO;
}

static int register_type(struct zus_server *server, struct kernel_server *ks)
{
	const char *name = server->plugin.name;
	struct zufs_register reg = { .flags = 0 };
	int err;

	memcpy(reg.name, name, strlen(name));	/* length: zus_plugin_check() */
	if (server->plugin.flags & ZUS_PLUGIN_NODEV)
		reg.flags |= ZUFS_REG_NODEV;
	if (!ioctl(ks->fd, ZUFS_IOC_REGISTER, &reg))
		return 0;
	err = errno;
	if (err == EBUSY || err == EEXIST)
		zus_log(ZUS_LOG_ERR, "type %s is already served; see 'zusctl status'", name);
	else
		zus_log(ZUS_LOG_ERR, "cannot register type %s: %s", name, strerror(err));
	return err == EEXIST ? -EBUSY : -err;
}

static int uevent_open(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int kernel_open(struct zus_server *server)
{
	struct kernel_server *ks = calloc(1, sizeof(*ks));
	pthread_condattr_t attr;
	int err;

	if (!ks)
		return -ENOMEM;
	ks->fd = open(server->config.device_path, O_RDWR | O_CLOEXEC);
	if (ks->fd < 0) {
		err = say_open_error(server->config.device_path, errno);
		goto out_free;
	}
	err = hello(server, ks);
	if (!err)
		err = register_type(server, ks);
	if (err)
		goto out_close;
	ks->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ks->wake_fd < 0) {
		err = -errno;
		goto out_close;
	}
	ks->uevent_fd = uevent_open();
	pthread_mutex_init(&ks->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ks->changed, &attr);
	pthread_condattr_destroy(&attr);
	server->transport_priv = ks;
	return 0;

out_close:
	close(ks->fd);
out_free:
	free(ks);
	return err;
}

static void kernel_close(struct zus_server *server)
{
	struct kernel_server *ks = server->transport_priv;

	if (ks->uevent_fd >= 0)
		close(ks->uevent_fd);
	close(ks->wake_fd);
	close(ks->fd);
	pthread_cond_destroy(&ks->changed);
	pthread_mutex_destroy(&ks->lock);
	free(ks);
}

/* ------------------------------------------------------------------ devices */

/*
 * The address is congruent to the physical one modulo 2 MiB, so that huge pages
 * can map the device.
 */
static void *map_one(int fd, const struct zus_device *dev, uint64_t bytes, off_t off,
		     int prot)
{
	uint64_t room = bytes + ZUS_PMD_BYTES, lead;
	char *area, *addr;

	area = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (area == MAP_FAILED)
		return MAP_FAILED;
	lead = (dev->pmd_phase_bytes - (uintptr_t)area) % ZUS_PMD_BYTES;
	addr = mmap(area + lead, bytes, prot, MAP_SHARED | MAP_FIXED, fd, off);
	if (addr == MAP_FAILED) {
		munmap(area, room);
		return MAP_FAILED;
	}
	if (lead)
		munmap(area, lead);
	munmap(area + lead + bytes, ZUS_PMD_BYTES - lead);
	return addr;
}

static int map_device(const struct zus_mount_entry *entry, struct zus_device *dev)
{
	struct zufs_map_device map = { .dev = dev->id };
	void *addr;

	if (ioctl(entry->fd, ZUFS_IOC_MAP_DEVICE, &map))
		return -errno;
	if (map.size_bytes < dev->size_bytes)
		return -EPROTO;
	addr = map_one(entry->fd, dev, dev->size_bytes, (off_t)map.mmap_off,
		       PROT_READ | PROT_WRITE);
	if (addr == MAP_FAILED && (entry->pub.flags & ZUS_MOUNT_RDONLY) &&
	    (errno == EACCES || errno == EPERM))
		addr = map_one(entry->fd, dev, dev->size_bytes, (off_t)map.mmap_off,
			       PROT_READ);
	if (addr == MAP_FAILED)
		return -errno;
	madvise(addr, dev->size_bytes, MADV_DONTFORK);
	dev->addr = addr;
	return 0;
}

static void kernel_unmap_devices(struct zus_server *server,
				 struct zus_mount_entry *entry)
{
	uint32_t i;

	(void)server;
	for (i = 0; i < entry->pub.num_devices; i++) {
		struct zus_device *dev = &entry->devices[i];

		if (dev->addr)
			munmap(dev->addr, dev->size_bytes);
		dev->addr = NULL;
	}
	if (entry->fd >= 0)
		close(entry->fd);
	entry->fd = -1;
}

static int kernel_map_devices(struct zus_server *server, struct zus_mount_entry *entry)
{
	struct kernel_server *ks = server->transport_priv;
	struct zufs_mount_file file = { .mount = entry->pub.id, .fd = -1 };
	uint32_t i;
	int err = 0;

	if (ioctl(ks->fd, ZUFS_IOC_MOUNT_FILE, &file))
		return -errno;
	entry->fd = file.fd;
	for (i = 0; !err && i < entry->pub.num_devices; i++) {
		if (entry->devices[i].tier != ZUS_TIER_T1)
			continue;
		err = map_device(entry, &entry->devices[i]);
		if (err)
			zus_log(ZUS_LOG_ERR, "mount %llu: cannot map device %u: %s",
				(unsigned long long)entry->pub.id, i, strerror(-err));
	}
	if (err)
		kernel_unmap_devices(server, entry);
	return err;
}

/* ------------------------------------------------------------------ recalls */

static int kernel_recall(struct zus_mount_entry *entry, const struct zufs_recall *recall)
{
	return ioctl(entry->fd, ZUFS_IOC_RECALL, recall) ? -errno : 0;
}

static int kernel_epoch(struct zus_mount_entry *entry, const struct zufs_epoch *epoch)
{
	return ioctl(entry->fd, ZUFS_IOC_EPOCH, epoch) ? -errno : 0;
}

static int kernel_invalidate(struct zus_mount_entry *entry, const struct zufs_invalidate *what)
{
	return ioctl(entry->fd, ZUFS_IOC_INVALIDATE, what) ? -errno : 0;
}

/* Until the mount has ended, or the mount's @stop_fd says so. */
static int kernel_recall_wait(struct zus_mount_entry *entry, struct zufs_recall_done *done,
			      uint32_t max)
{
	struct pollfd fds[2] = {
		{ .fd = entry->fd, .events = POLLIN },
		{ .fd = entry->recall_stop_fd, .events = POLLIN },
	};
	ssize_t bytes;

	for (;;) {
		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (fds[0].revents & POLLIN)
			break;
		if (fds[0].revents || fds[1].revents)
			return 0;
	}
	bytes = read(entry->fd, done, max * sizeof(*done));
	return bytes < 0 ? -errno : (int)((size_t)bytes / sizeof(*done));
}

/* ------------------------------------------------------------ channel threads */

static int pin(uint32_t cpu)
{
	size_t bytes = CPU_ALLOC_SIZE(cpu + 1);
	cpu_set_t *set = CPU_ALLOC(cpu + 1);
	int err;

	if (!set)
		return -ENOMEM;
	CPU_ZERO_S(bytes, set);
	CPU_SET_S(cpu, bytes, set);
	err = sched_setaffinity(0, bytes, set) ? -errno : 0;
	CPU_FREE(set);
	return err;
}

/* In the pinned thread, so that the kernel takes memory of this node. */
static int channel_open(struct channel *ch)
{
	struct kernel_server *ks = ch->server->transport_priv;
	struct zufs_new_channel made = { .fd = -1 };
	size_t bytes = ks->hello.region_bytes;
	int err;

	if (ioctl(ks->fd, ZUFS_IOC_NEW_CHANNEL, &made))
		return -errno;
	ch->fd = made.fd;
	ch->request = mmap(NULL, bytes, PROT_READ, MAP_SHARED, ch->fd,
			   (off_t)made.request_off);
	if (ch->request == MAP_FAILED)
		goto out_errno;
	ch->reply = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ch->fd,
			 (off_t)made.reply_off);
	if (ch->reply == MAP_FAILED)
		goto out_unmap;
	ch->worker = zus_worker_new(ch->server, ch->cpu, ch->numa_node);
	if (!ch->worker) {
		munmap(ch->reply, bytes);
		errno = ENOMEM;
		goto out_unmap;
	}
	ch->worker->request_region = ch->request;
	ch->worker->reply_region = ch->reply;
	return 0;

out_unmap:
	err = errno;
	munmap(ch->request, bytes);
	errno = err;
out_errno:
	err = -errno;
	close(ch->fd);
	ch->fd = -1;
	return err;
}

static void channel_close(struct channel *ch)
{
	struct kernel_server *ks = ch->server->transport_priv;

	if (ch->fd < 0)
		return;
	zus_worker_free(ch->worker);
	munmap(ch->request, ks->hello.region_bytes);
	munmap(ch->reply, ks->hello.region_bytes);
	close(ch->fd);
	ch->fd = -1;
}

static void settle(struct channel *ch)
{
	struct kernel_server *ks = ch->server->transport_priv;

	pthread_mutex_lock(&ks->lock);
	if (!ch->counted) {
		ch->counted = true;
		ks->settled++;
		pthread_cond_broadcast(&ks->changed);
	}
	pthread_mutex_unlock(&ks->lock);
}

/* Until a CPU comes or goes, the server stops, or the time is over. */
static bool wait_for_cpu(struct kernel_server *ks, unsigned int ms)
{
	struct timespec until;
	uint64_t seen;
	bool stopping;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&ks->lock);
	seen = ks->cpu_events;
	while (!ks->stopping && seen == ks->cpu_events && err != ETIMEDOUT)
		err = pthread_cond_timedwait(&ks->changed, &ks->lock, &until);
	stopping = ks->stopping;
	pthread_mutex_unlock(&ks->lock);
	return stopping;
}

/*
 * Pins the thread to its CPU and attaches the channel. Where that cannot be, the
 * CPU being offline or another mover being at work, waits longer each time.
 */
static int attach(struct channel *ch, unsigned int *backoff_ms)
{
	struct kernel_server *ks = ch->server->transport_priv;
	int err;

	for (;;) {
		if (*backoff_ms && wait_for_cpu(ks, *backoff_ms))
			return -ESHUTDOWN;
		*backoff_ms = *backoff_ms ? *backoff_ms * 2 : BACKOFF_MIN_MS;
		if (*backoff_ms > BACKOFF_MAX_MS)
			*backoff_ms = BACKOFF_MAX_MS;
		err = pin(ch->cpu);
		if (!err && !ioctl(ch->fd, ZUFS_IOC_ATTACH))
			return 0;
		if (!err)
			err = -errno;
		if (err != -EINVAL && err != -EAGAIN && err != -EINTR)
			return err;
		settle(ch);	/* ready does not wait for a CPU that is offline */
	}
}

static int serve(struct channel *ch)
{
	unsigned int backoff_ms = 0;
	unsigned long arg = 0;
	int err;

	err = attach(ch, &backoff_ms);
	settle(ch);
	while (!err) {
		if (!ioctl(ch->fd, ZUFS_IOC_WAIT, arg)) {
			zus_dispatch(ch->worker);
			arg = ZUFS_WAIT_REPLY;
			backoff_ms = 0;
			continue;
		}
		arg = 0;	/* with these errors the reply was taken */
		if (errno == EAGAIN)
			err = attach(ch, &backoff_ms);
		else if (errno != EINTR)
			err = -errno;
	}
	return err == -ESHUTDOWN ? 0 : err;
}

static void *channel_main(void *arg)
{
	struct channel *ch = arg;
	struct kernel_server *ks = ch->server->transport_priv;
	char name[16];
	int err;

	snprintf(name, sizeof(name), "zus/%u", ch->cpu);
	prctl(PR_SET_NAME, name);
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
		zus_log(ZUS_LOG_DEBUG, "no IO_FLUSHER: %s", strerror(errno));
	err = channel_open(ch);
	if (!err)
		err = serve(ch);
	channel_close(ch);
	if (err)
		zus_log(ZUS_LOG_ERR, "a channel of CPU %u ended: %s", ch->cpu,
			strerror(-err));
	settle(ch);
	if (err) {
		pthread_mutex_lock(&ks->lock);
		if (!ks->error)
			ks->error = err;
		pthread_mutex_unlock(&ks->lock);
		wake(ks);
	}
	return NULL;
}

/* A stack of the CPU's node, with a page below it that faults. */
static int start_thread(struct channel *ch)
{
	pthread_attr_t attr;
	size_t bytes = CPU_ALLOC_SIZE(ch->cpu + 1);
	cpu_set_t *set = CPU_ALLOC(ch->cpu + 1);
	int err = ENOMEM;

	if (!set)
		return -err;
	ch->stack = zus_alloc_onnode(STACK_BYTES, ch->numa_node);
	if (!ch->stack || mprotect(ch->stack, GUARD_BYTES, PROT_NONE))
		goto out_free;
	CPU_ZERO_S(bytes, set);
	CPU_SET_S(ch->cpu, bytes, set);
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, (char *)ch->stack + GUARD_BYTES,
			      STACK_BYTES - GUARD_BYTES);
	pthread_attr_setaffinity_np(&attr, bytes, set);
	err = pthread_create(&ch->thread, &attr, channel_main, ch);
	pthread_attr_destroy(&attr);
out_free:
	if (err)
		zus_free_onnode(ch->stack, STACK_BYTES);
	CPU_FREE(set);
	return -err;
}

static int start_channel(struct zus_server *server, uint32_t cpu)
{
	struct kernel_server *ks = server->transport_priv;
	struct channel *ch = calloc(1, sizeof(*ch));
	int node = zus_numa_nodes() > 1 ? numa_node_of_cpu((int)cpu) : 0;
	int err;

	if (!ch)
		return -ENOMEM;
	ch->server = server;
	ch->cpu = cpu;
	ch->numa_node = node < 0 ? 0 : (uint32_t)node;
	ch->fd = -1;
	err = start_thread(ch);
	if (err) {
		free(ch);
		return err;
	}
	pthread_mutex_lock(&ks->lock);
	ks->started++;
	ch->next = ks->channels;
	ks->channels = ch;
	pthread_mutex_unlock(&ks->lock);
	return 0;
}

static void join_channels(struct kernel_server *ks)
{
	while (ks->channels) {
		struct channel *ch = ks->channels;

		ks->channels = ch->next;
		pthread_join(ch->thread, NULL);
		zus_free_onnode(ch->stack, STACK_BYTES);
		free(ch);
	}
}

/* --------------------------------------------------------------------- CPUs */

static bool has_channel(const struct kernel_server *ks, uint32_t cpu)
{
	const struct channel *ch;

	for (ch = ks->channels; ch; ch = ch->next)
		if (ch->cpu == cpu)
			return true;
	return false;
}

static int start_cpu(struct zus_server *server, uint32_t cpu)
{
	struct kernel_server *ks = server->transport_priv;
	uint32_t i;
	int err = 0;

	if (has_channel(ks, cpu))
		return 0;
	for (i = 0; !err && i < server->config.channels_per_cpu; i++)
		err = start_channel(server, cpu);
	if (err == -EINVAL)	/* went offline, or outside of our cpuset */
		zus_log(ZUS_LOG_WARN, "CPU %u cannot be used: its callers go to others",
			cpu);
	return err == -EINVAL ? 0 : err;
}

/* "0-3,8" as sysfs has it. */
static int start_online_cpus(struct zus_server *server)
{
	char list[4096] = "", *at = list;
	ssize_t len;
	int err = 0;
	int fd = open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC);

	len = fd < 0 ? -1 : read(fd, list, sizeof(list) - 1);
	if (len < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	if (err) {
		zus_log(ZUS_LOG_ERR, "/sys/devices/system/cpu/online: %s", strerror(-err));
		return err;
	}
	list[len] = 0;
	while (!err && *at >= '0' && *at <= '9') {
		unsigned long cpu = strtoul(at, &at, 10), last = cpu;

		if (*at == '-')
			last = strtoul(at + 1, &at, 10);
		for (; !err && cpu <= last && cpu < UINT32_MAX; cpu++)
			err = start_cpu(server, (uint32_t)cpu);
		at += *at == ',';
	}
	return err;
}

/* Reads what has come; whatever it says of CPUs, the list is read again. */
static bool cpu_uevent(int fd)
{
	char text[4096];
	bool cpu = false;
	ssize_t len;

	while ((len = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
		text[len] = 0;
		cpu |= strstr(text, "/devices/system/cpu/") != NULL;
	}
	return cpu || (len < 0 && errno == ENOBUFS);
}

static int watch(struct zus_server *server)
{
	struct kernel_server *ks = server->transport_priv;
	struct pollfd fds[2] = {
		{ .fd = ks->wake_fd, .events = POLLIN },
		{ .fd = ks->uevent_fd, .events = POLLIN },
	};
	int timeout = ks->uevent_fd < 0 ? HOTPLUG_POLL_MS : -1;
	int n, err = 0;

	while (!err) {
		n = poll(fds, 2, timeout);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fds[0].revents)
			return 0;
		if (n < 0 || (n > 0 && !cpu_uevent(ks->uevent_fd)))
			continue;
		pthread_mutex_lock(&ks->lock);
		ks->cpu_events++;
		pthread_cond_broadcast(&ks->changed);
		pthread_mutex_unlock(&ks->lock);
		err = start_online_cpus(server);
	}
	return err;
}

static int wait_settled(struct kernel_server *ks)
{
	int err;

	pthread_mutex_lock(&ks->lock);
	while (ks->settled < ks->started && !ks->error)
		pthread_cond_wait(&ks->changed, &ks->lock);
	err = ks->error;
	pthread_mutex_unlock(&ks->lock);
	return err;
}

static int kernel_run(struct zus_server *server, void (*ready)(void *arg), void *arg)
{
	struct kernel_server *ks = server->transport_priv;
	int err;

	err = start_online_cpus(server);
	if (!err && !ks->started)
		err = -ENODEV;
	if (!err)
		err = wait_settled(ks);
	if (!err) {
		if (ready)
			ready(arg);
		err = watch(server);
	}
	pthread_mutex_lock(&ks->lock);
	ks->stopping = true;
	if (!err)
		err = ks->error;
	pthread_cond_broadcast(&ks->changed);
	pthread_mutex_unlock(&ks->lock);
	if (ioctl(ks->fd, ZUFS_IOC_STOP) && !err)
		err = -errno;
	join_channels(ks);
	return err;
}

static void kernel_stop(struct zus_server *server)
{
	wake(server->transport_priv);
}

const struct zus_transport zus_transport_kernel = {
	.name = "kernel",
	.open = kernel_open,
	.map_devices = kernel_map_devices,
	.unmap_devices = kernel_unmap_devices,
	.recall = kernel_recall,
	.epoch = kernel_epoch,
	.invalidate = kernel_invalidate,
	.recall_wait = kernel_recall_wait,
	.run = kernel_run,
	.stop = kernel_stop,
	.close = kernel_close,
};
