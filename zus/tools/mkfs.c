// SPDX-License-Identifier: BSD-3-Clause
/* mkfs.c - mkfs.zufs: writes device tables, and nothing else, to devices. */
#include <blkid/blkid.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include <zufs_media.h>
#include <zus_api.h>
#include <zus_server.h>

struct target {
	const char *path;
	int fd;
	int is_block;
	dev_t rdev;
	ino_t ino;
	dev_t dev;
	uint64_t size_bytes;
	uint64_t phase_bytes;
	uint32_t tier;
	uint32_t numa_node;
};

static struct {
	const char *type;
	int force;
	int dry_run;
	uint64_t size_bytes;	/* of each device; 0: all that it has */
	struct target target[ZUFS_DEVTABLE_DEVICES];
	uint32_t num_targets;
} mkfs;

static const char usage_text[] =
	"Usage: mkfs.zufs -t TYPE [OPTION]... DEVICE...\n"
	"Make a zufs filesystem on 1 to 32 devices; the first one is mounted, by\n"
	"'mount -t TYPE DEVICE DIR'. Plain files are taken, too, as persistent memory.\n"
	"\n"
	"  -t, --type TYPE   filesystem type, such as ztoyfs\n"
	"  -f, --force       overwrite a filesystem or partition table that is there\n"
	"  -s, --size BYTES  use the first BYTES of each device alone, such as 64m\n"
	"  -n, --dry-run     check and show, write nothing\n"
	"  -h, --help        show this\n"
	"  -V, --version     show the version\n"
	"\n"
	"A device that is mounted or otherwise in use is never written.\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static const struct option long_options[] = {
	{ "type", required_argument, NULL, 't' },
	{ "force", no_argument, NULL, 'f' },
	{ "size", required_argument, NULL, 's' },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* Says what went wrong; its value is the exit status. */
#define fail(format, ...) \
	(fprintf(stderr, "mkfs.zufs: " format "\n", ##__VA_ARGS__), 1)

static int usage_error(const char *what)
{
	fprintf(stderr, "mkfs.zufs: %s\nTry 'mkfs.zufs --help'.\n", what);
	return 2;
}

/* -------------------------------------------------------------------- sysfs */

/* A number from /sys/dev/block/MAJOR:MINOR/NAME; -1: there is none. */
static int64_t sysfs_number(dev_t dev, const char *name)
{
	char path[256], text[64] = "", *end;
	long long number;
	ssize_t len = -1;
	int fd;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(dev), minor(dev),
		 name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (len <= 0)
		return -1;
	number = strtoll(text, &end, 0);
	return end == text ? -1 : number;
}

/* A partition has these one folder up, in its disk's. */
static int64_t disk_number(dev_t dev, const char *name)
{
	char up[128];
	int64_t number = sysfs_number(dev, name);

	if (number >= 0)
		return number;
	snprintf(up, sizeof(up), "../%s", name);
	return sysfs_number(dev, up);
}

static void describe_block(struct target *t)
{
	int64_t start = sysfs_number(t->rdev, "start");	/* of a partition, 512 bytes */
	int64_t resource = disk_number(t->rdev, "device/resource");
	int64_t node = disk_number(t->rdev, "device/numa_node");

	if (node < 0)
		node = disk_number(t->rdev, "device/../numa_node");
	t->tier = disk_number(t->rdev, "queue/dax") == 1 ? ZUFS_TIER_T1 : ZUFS_TIER_T2;
	t->numa_node = node < 0 ? ZUS_NUMA_NODE_UNKNOWN : (uint32_t)node;
	if (start < 0)
		start = 0;
	if (resource > 0 && t->tier == ZUFS_TIER_T1)
		t->phase_bytes = ((uint64_t)resource + (uint64_t)start * 512) %
				 ZUFS_DEVICE_ALIGN_BYTES;
}

/* ------------------------------------------------------------------- checks */

static int open_target(struct target *t)
{
	int flags = O_RDWR | O_CLOEXEC;
	struct stat st;

	if (stat(t->path, &st))
		return fail("%s: %s", t->path, strerror(errno));
	t->is_block = S_ISBLK(st.st_mode);
	if (!t->is_block && !S_ISREG(st.st_mode))
		return fail("%s is neither a block device nor a plain file", t->path);
	t->rdev = st.st_rdev;
	t->dev = st.st_dev;
	t->ino = st.st_ino;
	t->numa_node = ZUS_NUMA_NODE_UNKNOWN;
	t->tier = ZUFS_TIER_T1;
	/* O_EXCL on a block device: the kernel refuses when anything holds it. */
	t->fd = open(t->path, flags | (t->is_block ? O_EXCL : 0));
	if (t->fd < 0 && errno == EBUSY)
		return fail("%s is mounted or in use; unmount it first", t->path);
	if (t->fd < 0)
		return fail("%s: %s", t->path, strerror(errno));
	t->size_bytes = (uint64_t)st.st_size;
	if (t->is_block && ioctl(t->fd, BLKGETSIZE64, &t->size_bytes))
		return fail("%s: cannot tell the size: %s", t->path, strerror(errno));
	if (mkfs.size_bytes > t->size_bytes)
		return fail("%s has %llu bytes, fewer than --size", t->path,
			    (unsigned long long)t->size_bytes);
	if (mkfs.size_bytes)
		t->size_bytes = mkfs.size_bytes;
	if (t->is_block)
		describe_block(t);
	return 0;
}

static int check_twice(const struct target *t)
{
	const struct target *other;

	for (other = mkfs.target; other < t; other++)
		if (t->is_block ? other->is_block && other->rdev == t->rdev :
				  other->dev == t->dev && other->ino == t->ino)
			return fail("%s and %s are the same device", other->path, t->path);
	return 0;
}

static int check_size(const struct target *t)
{
	if (t->size_bytes < ZUFS_DEVICE_MIN_BYTES)
		return fail("%s is too small: %llu bytes, at least %u are needed", t->path,
			    (unsigned long long)t->size_bytes, ZUFS_DEVICE_MIN_BYTES);
	if (t->size_bytes % ZUFS_BLOCK_BYTES)
		return fail("%s has %llu bytes, which is no multiple of %u; make the partition or file a multiple",
			    t->path, (unsigned long long)t->size_bytes, ZUFS_BLOCK_BYTES);
	if (t->phase_bytes % ZUFS_BLOCK_BYTES)
		return fail("%s does not begin on a page; align the partition to 2 MiB",
			    t->path);
	if (zus_devtable_data_off(t->phase_bytes) >= t->size_bytes)
		return fail("%s has no room behind its tables", t->path);
	return 0;
}

/* What libblkid knows, and our own table. With force the former is wiped. */
static int check_signature(const struct target *t)
{
	struct zufs_devtable table;
	const char *what = NULL;
	blkid_probe probe;
	uint32_t copy;
	int found, status = 0;

	if (!mkfs.force && !zus_devtable_read(t->fd, t->size_bytes, &table, &copy))
		return fail("%s carries a zufs filesystem of type %s; give -f to overwrite it",
			    t->path, table.fs_type);
	probe = blkid_new_probe();
	if (!probe || blkid_probe_set_device(probe, t->fd, 0, 0)) {
		blkid_free_probe(probe);
		return fail("%s: cannot look for signatures", t->path);
	}
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC |
					  BLKID_SUBLKS_BADCSUM);
	blkid_probe_enable_partitions(probe, 1);
	blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT);
	while (!status && (found = blkid_do_probe(probe)) == 0) {
		if (mkfs.force) {
			if (!mkfs.dry_run && blkid_do_wipe(probe, 0))
				status = fail("%s: cannot wipe the old signature: %s",
					      t->path, strerror(errno));
			continue;
		}
		if (blkid_probe_lookup_value(probe, "TYPE", &what, NULL))
			blkid_probe_lookup_value(probe, "PTTYPE", &what, NULL);
		status = fail("%s carries a signature (%s); give -f to overwrite it",
			      t->path, what ? what : "unknown");
	}
	if (!status && found < 0)
		status = fail("%s: cannot look for signatures: %s", t->path,
			      strerror(errno));
	blkid_free_probe(probe);
	return status;
}

/* ------------------------------------------------------------------ writing */

/*
 * The page cache of a pmem device is not what DAX sees, so tables are written
 * past it. Signatures were looked for before: libblkid reads unaligned.
 */
static int go_direct(const struct target *t)
{
	int flags = fcntl(t->fd, F_GETFL);

	if (fsync(t->fd))	/* wiped signatures */
		return fail("%s: %s", t->path, strerror(errno));
	if (fcntl(t->fd, F_SETFL, flags | O_DIRECT) && t->is_block)
		return fail("%s: no direct I/O: %s", t->path, strerror(errno));
	return 0;
}

static void fill_table(struct zufs_devtable *table)
{
	struct timespec now;
	uint32_t i;

	memset(table, 0, sizeof(*table));
	clock_gettime(CLOCK_REALTIME, &now);
	table->magic = htole64(ZUFS_DEVTABLE_MAGIC);
	table->major = htole16(ZUFS_DEVTABLE_MAJOR);
	table->minor = htole16(ZUFS_DEVTABLE_MINOR);
	uuid_generate(table->fs_uuid);
	snprintf(table->fs_type, sizeof(table->fs_type), "%s", mkfs.type);
	table->num_devices = htole32(mkfs.num_targets);
	table->created_ns = htole64((uint64_t)now.tv_sec * 1000000000u +
				    (uint64_t)now.tv_nsec);
	for (i = 0; i < mkfs.num_targets; i++) {
		const struct target *t = &mkfs.target[i];
		struct zufs_devtable_entry *entry = &table->dev[i];

		uuid_generate(entry->uuid);
		entry->size_bytes = htole64(t->size_bytes);
		entry->data_off = htole64(zus_devtable_data_off(t->phase_bytes));
		entry->pmd_phase_bytes = htole64(t->phase_bytes);
		entry->tier = htole32(t->tier);
		entry->numa_node = htole32(t->numa_node);
	}
}

static int write_target(const struct target *t, struct zufs_devtable *table)
{
	struct zufs_devtable back;
	uint32_t copy;
	int err;

	err = zus_devtable_write(t->fd, t->size_bytes, table);
	if (!err)
		err = zus_devtable_read(t->fd, t->size_bytes, &back, &copy);
	if (err)
		return fail("%s: cannot write the device table: %s", t->path,
			    strerror(-err));
	if (memcmp(back.fs_uuid, table->fs_uuid, sizeof(back.fs_uuid)) != 0)
		return fail("%s: the device table does not read back as written", t->path);
	return 0;
}

static void show(const struct zufs_devtable *table)
{
	char uuid[37];
	uint32_t i;

	uuid_unparse(table->fs_uuid, uuid);
	printf("%s %s, type %s, %u device%s\n",
	       mkfs.dry_run ? "would make" : "made", uuid, table->fs_type,
	       mkfs.num_targets, mkfs.num_targets == 1 ? "" : "s");
	for (i = 0; i < mkfs.num_targets; i++) {
		const struct target *t = &mkfs.target[i];

		printf("  %u: %s, tier %u (%s), %llu bytes, data at %llu", i, t->path,
		       t->tier, t->tier == ZUFS_TIER_T1 ? "persistent memory" :
							    "block device",
		       (unsigned long long)t->size_bytes,
		       (unsigned long long)le64toh(table->dev[i].data_off));
		if (t->numa_node != ZUS_NUMA_NODE_UNKNOWN)
			printf(", NUMA node %u", t->numa_node);
		putchar('\n');
	}
}

static int make(void)
{
	struct zufs_devtable table;
	uint32_t i;

	for (i = 0; i < mkfs.num_targets; i++) {
		struct target *t = &mkfs.target[i];

		if (open_target(t) || check_twice(t) || check_size(t))
			return 1;
	}
	if (mkfs.target[0].tier != ZUFS_TIER_T1)
		fprintf(stderr, "mkfs.zufs: warning: %s is no persistent memory (no DAX); few filesystems can use it as the first device\n",
			mkfs.target[0].path);
	for (i = 0; i < mkfs.num_targets; i++)	/* all are checked before one is written */
		if (check_signature(&mkfs.target[i]))
			return 1;
	fill_table(&table);
	for (i = 0; i < mkfs.num_targets && !mkfs.dry_run; i++) {
		table.self = htole32(i);
		if (go_direct(&mkfs.target[i]) || write_target(&mkfs.target[i], &table))
			return 1;
	}
	show(&table);
	return 0;
}

static int type_ok(const char *type)
{
	size_t len = strlen(type);

	return len && len < sizeof(((struct zufs_devtable *)0)->fs_type) &&
	       strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

int main(int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "t:fs:nhV", long_options, NULL)) >= 0) {
		switch (opt) {
		case 't':
			mkfs.type = optarg;
			break;
		case 'f':
			mkfs.force = 1;
			break;
		case 's':
			if (zus_parse_bytes(optarg, &mkfs.size_bytes) ||
			    mkfs.size_bytes % ZUFS_BLOCK_BYTES || !mkfs.size_bytes)
				return usage_error("a size is a multiple of 4096 bytes, such as 64m");
			break;
		case 'n':
			mkfs.dry_run = 1;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		case 'V':
			printf("mkfs.zufs 1.0, device table %d.%d\n", ZUFS_DEVTABLE_MAJOR,
			       ZUFS_DEVTABLE_MINOR);
			return 0;
		default:
			fputs("Try 'mkfs.zufs --help'.\n", stderr);
			return 2;
		}
	}
	if (!mkfs.type)
		return usage_error("no type given; say -t ztoyfs or the like");
	if (!type_ok(mkfs.type))
		return usage_error("a type is 1 to 31 of a-z, 0-9, '_', '.', '-'");
	if (optind == argc)
		return usage_error("no device given");
	if (argc - optind > (int)ZUFS_DEVTABLE_DEVICES)
		return usage_error("more than 32 devices given");
	while (optind < argc) {
		mkfs.target[mkfs.num_targets].fd = -1;
		mkfs.target[mkfs.num_targets++].path = argv[optind++];
	}
	return make();
}
