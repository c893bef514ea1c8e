// SPDX-License-Identifier: BSD-3-Clause
/*
 * zlogfs-model.c - random operations on zlogfs and on toyfs: both must have the same names,
 * attributes and bytes afterwards, also when zlogfs was unmounted meanwhile, or is mounted
 * from what was on its medium in the middle of everything. Segments and nodes are tiny, so
 * that logs wrap and nodes split all the time.
 * TIMEOUT: 240
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"
#include "zl_check.h"
#include "zlogfs.h"
#include "zlogfs_ioctl.h"

#define BLOCK		4096ull
#define FILE_MAX	(24 * BLOCK)
#define STEPS		2000

extern const struct zus_plugin zus_plugin;

/* An assertion of libcheck writes to a file, also of what is right: too slow for so many. */
#define CHECK(right, ...) \
	do { \
		if (!(right)) \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

static struct zus_local *log_fs, *toy_fs;
static int media_fd;
static uint64_t media_bytes;
static uint8_t *media;
static unsigned int step;
static bool tracing;
static bool copied;		/* which leaves holes where each of both thinks best */
static bool cloning;		/* files share blocks */
static uint32_t words_late;

static uint64_t below(uint64_t n)
{
	return unit_random() % n;
}

/* -------------------------------------------------------------------- mounts */

static void make_media(uint32_t policy, bool tiny)
{
	struct zl_mkfs options = {
		.segment_shift = tiny ? 12 : 14, .node_lines = tiny ? 16 : 64, .num_logs = 1,
		.num_slots = 8, .policy = policy, .unapplied_max_bytes = 65536, .now_ns = 1,
		.fs_uuid = { 1, 2, 3 },
	};
	struct zl_media one;
	const char *why;

	media_fd = memfd_create("media", 0);
	ck_assert_int_eq(ftruncate(media_fd, (off_t)media_bytes), 0);
	media = mmap(NULL, media_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, media_fd, 0);
	ck_assert_ptr_ne(media, MAP_FAILED);
	one = (struct zl_media) { .addr = media, .bytes = media_bytes, .data_off = BLOCK };
	ck_assert_msg(!zl_mkfs(&one, 1, &options, &why), "mkfs: %s", why);
}

static struct zus_local *mount_media(int fd, uint32_t flags)
{
	char path[64];
	struct zus_local_device device = { .path = path, .size_bytes = media_bytes,
					   .data_off = BLOCK };
	struct zus_local_config config = {
		.plugin = &zus_plugin, .devices = &device,
		.options = cloning ? "steps=manual,reflink" : "steps=manual",
		.num_devices = 1, .flags = flags, .words_late = words_late,
	};
	struct zus_local *local = NULL;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_assert_msg(!zus_local_mount(&config, &local), "step %u: it does not mount", step);
	return local;
}

/* ------------------------------------------------------------------- comparing */

struct listing {
	char names[256][64];
	uint32_t n;
};

static int add_name(void *arg, const char *name, uint64_t ino, uint64_t cookie, uint32_t type)
{
	struct listing *list = arg;

	(void)ino;
	(void)cookie;
	(void)type;
	CHECK(list->n < 256, "step %u", step);
	snprintf(list->names[list->n++], 64, "%s", name);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void list_dir(struct zus_local *fs, const char *path, struct listing *list)
{
	struct zus_local_file *dir;
	uint64_t cookie = 0;
	int more;

	list->n = 0;
	CHECK(zus_local_open(fs, path, &dir) == 0, "step %u", step);
	do {
		more = zus_local_readdir(dir, &cookie, 512, add_name, list);
		CHECK(more >= 0, "step %u", step);
	} while (more);
	zus_local_close(dir);
	qsort(list->names, list->n, 64, by_name);
}

static void compare_data(struct zus_local *fs, const char *path, uint64_t size)
{
	static char left[FILE_MAX], right[FILE_MAX];
	struct zus_local_file *a, *b;
	uint64_t i;

	CHECK(size <= FILE_MAX, "step %u", step);
	CHECK(zus_local_open(fs, path, &a) == 0, "step %u", step);
	CHECK(zus_local_open(toy_fs, path, &b) == 0, "step %u", step);
	CHECK(zus_local_pread(a, left, sizeof(left), 0) == (ssize_t)size, "step %u", step);
	CHECK(zus_local_pread(b, right, sizeof(right), 0) == (ssize_t)size, "step %u", step);
	for (i = 0; i < size && left[i] == right[i]; i++)
		;
	CHECK(i == size, "step %u: %s: byte %" PRIu64 " is %#x, not %#x", step, path, i,
		      (uint8_t)left[i], (uint8_t)right[i]);
	zus_local_close(a);
	zus_local_close(b);
}

static void compare_xattrs(struct zus_local *fs, const char *path)
{
	static const char *const names[] = { "user.a", "user.b" };
	static char left[8192], right[8192];
	ssize_t a, b;
	int i;

	for (i = 0; i < 2; i++) {
		a = zus_local_getxattr(fs, path, names[i], left, sizeof(left));
		b = zus_local_getxattr(toy_fs, path, names[i], right, sizeof(right));
		CHECK(a == b && (a <= 0 || !memcmp(left, right, (size_t)a)),
			      "step %u: %s of %s: %zd, not %zd", step, names[i], path, a, b);
	}
}

static void compare_attr(const char *path, const struct zus_attr *a, const struct zus_attr *b)
{
	CHECK(a->mode == b->mode && a->nlink == b->nlink && a->uid == b->uid,
		      "step %u: %s: mode %o nlink %u, not %o %u", step, path, a->mode, a->nlink,
		      b->mode, b->nlink);
	CHECK(S_ISDIR(a->mode) || a->size_bytes == b->size_bytes,
		      "step %u: %s: size %" PRIu64 ", not %" PRIu64, step, path, a->size_bytes,
		      b->size_bytes);
	CHECK(!S_ISREG(a->mode) || copied || a->blocks_512 == b->blocks_512,
		      "step %u: %s: %" PRIu64 " sectors, not %" PRIu64, step, path,
		      a->blocks_512, b->blocks_512);
}

static void compare(struct zus_local *fs, const char *path)
{
	char child[512], left[300], right[300];
	struct listing mine, theirs;
	struct zus_attr a, b;
	uint32_t i;
	int n;

	CHECK(!zus_local_stat(fs, path, &a), "step %u: no %s", step, path);
	CHECK(zus_local_stat(toy_fs, path, &b) == 0, "step %u", step);
	compare_attr(path, &a, &b);
	compare_xattrs(fs, path);
	if (S_ISREG(a.mode))
		compare_data(fs, path, a.size_bytes);
	if (S_ISLNK(a.mode)) {
		n = zus_local_readlink(fs, path, left, sizeof(left));
		ck_assert_int_eq(n, zus_local_readlink(toy_fs, path, right, sizeof(right)));
		ck_assert(n > 0 && !memcmp(left, right, (size_t)n));
	}
	if (!S_ISDIR(a.mode))
		return;
	list_dir(fs, path, &mine);
	list_dir(toy_fs, path, &theirs);
	for (i = 0; i < mine.n && i < theirs.n; i++)
		CHECK(!strcmp(mine.names[i], theirs.names[i]),
			      "step %u: %s has %s, not %s", step, path, mine.names[i],
			      theirs.names[i]);
	CHECK(mine.n == theirs.n, "step %u: %s has %u names, not %u", step, path, mine.n,
		      theirs.n);
	for (i = 0; i < mine.n; i++) {
		snprintf(child, sizeof(child), "%s/%s", path[1] ? path : "", mine.names[i]);
		compare(fs, child);
	}
}

static void compare_bytes(struct zus_local *fs, const char *path)
{
	struct zus_attr attr;

	CHECK(zus_local_stat(toy_fs, path, &attr) == 0, "step %u", step);
	compare_data(fs, path, attr.size_bytes);
}

/* ------------------------------------------------------------------- operations */

static const char *const dirs[] = { "", "/d", "/e", "/d/f" };

static void some_path(char *buf)
{
	if (!below(12))
		snprintf(buf, 64, "%s", dirs[1 + below(3)]);
	else
		snprintf(buf, 64, "%s/n%u", dirs[below(4)], (unsigned int)below(6));
}

/* Most of these are files, as a file is made of what is missing. */
static void some_file(char *buf)
{
	struct zus_attr attr;

	snprintf(buf, 64, "%s/n%u", dirs[below(2)], (unsigned int)below(6));
	if (zus_local_stat(toy_fs, buf, &attr) == -ENOENT)
		ck_assert_int_eq(zus_local_create(log_fs, buf, 0644),
				 zus_local_create(toy_fs, buf, 0644));
}

static int do_names(struct zus_local *fs, unsigned int what, const char *a, const char *b,
		    uint32_t flags)
{
	static char target[300];

	switch (what) {
	case 0:
		return zus_local_create(fs, a, 0600 | (flags & 077));
	case 1:
		return zus_local_mkdir(fs, a, 0755);
	case 2:
		memset(target, 't', flags & 1 ? 20 : 280);
		target[flags & 1 ? 20 : 280] = 0;
		return zus_local_symlink(fs, target, a);
	case 3:
		return zus_local_link(fs, a, b);
	case 4:
		return zus_local_unlink(fs, a);
	case 5:
		return zus_local_rmdir(fs, a);
	case 6:
		return zus_local_rename(fs, a, b, flags & 1 ? RENAME_NOREPLACE : 0);
	default:
		return zus_local_rename(fs, a, b, RENAME_EXCHANGE);
	}
}

static void names_step(void)
{
	unsigned int what = (unsigned int)below(8);
	uint32_t flags = (uint32_t)unit_random();
	char a[64], b[64];
	int mine, theirs;

	some_path(a);
	some_path(b);
	mine = do_names(log_fs, what, a, b, flags);
	theirs = do_names(toy_fs, what, a, b, flags);
	if (tracing)
		printf("# %u: names %u %s %s: %d\n", step, what, a, b, mine);
	CHECK(mine == theirs, "step %u: operation %u of %s, %s: %d, not %d", step, what, a,
		      b, mine, theirs);
}

static ssize_t do_data(struct zus_local *fs, unsigned int what, const char *path, uint64_t off,
		       uint64_t len, char byte)
{
	static const uint32_t modes[] = { 0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE };
	static char data[FILE_MAX];
	struct zus_local_file *file;
	struct zus_attr attr;
	ssize_t ret;

	ret = zus_local_stat(fs, path, &attr);
	if (ret || !S_ISREG(attr.mode))
		return -EINVAL;
	if (what >= 8 && (attr.size_bytes < off + len || attr.size_bytes + len > FILE_MAX))
		return -EINVAL;
	CHECK(zus_local_open(fs, path, &file) == 0, "step %u", step);
	if (what < 3) {
		memset(data, byte, len);
		ret = zus_local_pwrite(file, data, len, off);
	} else if (what == 3) {
		ret = zus_local_ftruncate(file, off);
	} else {
		ret = zus_local_fallocate(file, modes[what - 4], off, len);
	}
	zus_local_close(file);
	return ret;
}

static void data_step(void)
{
	unsigned int what = (unsigned int)below(10);
	uint64_t off = below(FILE_MAX - 1), len = 1 + below(below(2) ? 300 : 6 * BLOCK);
	char path[64], byte = (char)unit_random();
	ssize_t mine, theirs;

	some_file(path);
	if (what >= 8 || below(2)) {
		off -= off % BLOCK;
		len = (len + BLOCK - 1) / BLOCK * BLOCK;
	}
	if (len > FILE_MAX - off)
		len = FILE_MAX - off;
	mine = do_data(log_fs, what, path, off, len, byte);
	theirs = do_data(toy_fs, what, path, off, len, byte);
	if (tracing)
		printf("# %u: data %u %s %" PRIu64 " %" PRIu64 ": %zd\n", step, what, path, off, len,
		       mine);
	CHECK(mine == theirs, "step %u: operation %u of %s at %" PRIu64 ", %" PRIu64
		      ": %zd, not %zd", step, what, path, off, len, mine, theirs);
	if (mine >= 0)
		compare(log_fs, path);
}

static void copy_step(void)
{
	uint64_t from_off = below(FILE_MAX), to_off = below(FILE_MAX), len = 1 + below(5 * BLOCK);
	struct zus_local *both[2] = { log_fs, toy_fs };
	struct zus_local_file *from, *to;
	char path[64], other[64];
	struct zus_attr attr;
	ssize_t got[2];
	int i;

	some_file(path);
	some_file(other);
	if (zus_local_stat(toy_fs, path, &attr) || !S_ISREG(attr.mode) ||
	    from_off + len > attr.size_bytes || to_off + len > FILE_MAX ||
	    zus_local_stat(toy_fs, other, &attr) || !S_ISREG(attr.mode))
		return;
	for (i = 0; i < 2; i++) {
		CHECK(zus_local_open(both[i], path, &from) == 0, "step %u", step);
		CHECK(zus_local_open(both[i], other, &to) == 0, "step %u", step);
		got[i] = zus_local_copy(from, from_off, to, to_off, len);
		zus_local_close(from);
		zus_local_close(to);
	}
	copied = true;
	if (tracing)
		printf("# %u: copy %s %" PRIu64 " %s %" PRIu64 " %" PRIu64 ": %zd\n", step, path,
		       from_off, other, to_off, len, got[0]);
	CHECK(got[0] == got[1], "step %u: copy of %s to %s: %zd, not %zd", step, path,
		      other, got[0], got[1]);
	compare_bytes(log_fs, other);
}

static ssize_t do_clone(struct zus_local *fs, const char *path, uint64_t from_off,
			const char *other, uint64_t to_off, uint64_t len, int dedupe)
{
	struct zus_local_file *from, *to;
	ssize_t ret, done = 0;

	CHECK(zus_local_open(fs, path, &from) == 0, "step %u", step);
	CHECK(zus_local_open(fs, other, &to) == 0, "step %u", step);
	do {
		ret = zus_local_clone(from, from_off + (uint64_t)done, to, to_off + (uint64_t)done,
				      len - (uint64_t)done, dedupe);
		done += ret > 0 ? ret : 0;
	} while (ret > 0 && (uint64_t)done < len);
	zus_local_close(from);
	zus_local_close(to);
	return done ? done : ret;
}

/* Whole blocks, or up to the end; of a dedupe mostly to what has just been copied there. */
static void clone_step(void)
{
	uint64_t from_off = below(20) * BLOCK, to_off = below(20) * BLOCK, len = below(8) * BLOCK;
	int dedupe = !below(3);
	char path[64], other[64];
	struct zus_attr attr;
	ssize_t mine, theirs;

	some_file(path);
	some_file(other);
	if (zus_local_stat(toy_fs, path, &attr) || !S_ISREG(attr.mode) ||
	    from_off >= attr.size_bytes)
		return;
	if (!len || from_off + len > attr.size_bytes)
		len = attr.size_bytes - from_off;
	if (to_off + len > FILE_MAX || zus_local_stat(toy_fs, other, &attr) ||
	    !S_ISREG(attr.mode))
		return;
	if (dedupe && below(2)) {
		do_clone(toy_fs, path, from_off, other, to_off, len, 0);
		do_clone(log_fs, path, from_off, other, to_off, len, 0);
	}
	copied = true;			/* what was never written is a hole to the other */
	mine = do_clone(log_fs, path, from_off, other, to_off, len, dedupe);
	theirs = do_clone(toy_fs, path, from_off, other, to_off, len, dedupe);
	if (tracing)
		printf("# %u: clone %s %" PRIu64 " %s %" PRIu64 " %" PRIu64 " %d: %zd\n", step, path,
		       from_off, other, to_off, len, dedupe, mine);
	CHECK(mine == theirs, "step %u: clone of %s to %s: %zd, not %zd", step, path, other, mine,
	      theirs);
	compare_bytes(log_fs, other);
}

/* Who maps a page gets one of its own, also to read. */
static void fault_step(void)
{
	uint64_t off = below(20) * BLOCK;
	int write = below(2) && !below(3);
	struct zus_local_file *file;
	struct zus_attr attr;
	char path[64];
	void *page;
	int err;

	some_file(path);
	if (zus_local_stat(log_fs, path, &attr) || !S_ISREG(attr.mode) || off >= attr.size_bytes)
		return;
	CHECK(zus_local_open(log_fs, path, &file) == 0, "step %u", step);
	err = zus_local_fault(file, off, write, &page);
	zus_local_close(file);
	CHECK(!err, "step %u: fault of %s at %" PRIu64 ": %d", step, path, off, err);
	copied |= write;		/* a hole is none any more */
	compare_bytes(log_fs, path);
}

static void share_step(void)
{
	if (below(4))
		clone_step();
	else
		fault_step();
}

static void xattr_step(void)
{
	static char value[5000];
	const char *name = below(2) ? "user.a" : "user.b";
	size_t len = below(2) ? below(40) : below(sizeof(value));
	bool remove = !below(3);
	char path[64];
	int mine, theirs;

	some_file(path);
	memset(value, (int)unit_random(), sizeof(value));
	mine = remove ? zus_local_removexattr(log_fs, path, name) :
			zus_local_setxattr(log_fs, path, name, value, len, 0);
	theirs = remove ? zus_local_removexattr(toy_fs, path, name) :
			  zus_local_setxattr(toy_fs, path, name, value, len, 0);
	if (tracing)
		printf("# %u: xattr %s %s %zu: %d\n", step, path, name, len, mine);
	CHECK(mine == theirs, "step %u: xattr of %s: %d, not %d", step, path, mine, theirs);
}

/* ------------------------------------------------------------------------ steps */

static void expect_clean(const uint8_t *bytes)
{
	static uint8_t copy[16 << 20];
	struct zl_media one = { .addr = copy, .bytes = media_bytes, .data_off = BLOCK };
	struct zl_check result;

	memcpy(copy, bytes, media_bytes);
	CHECK(!zl_check(&one, 1, &result), "step %u: %s", step, result.why);
	CHECK(!result.total, "step %u: fsck: %s: %s", step,
	      zl_check_classes[result.findings[0].class], result.findings[0].text);
	zl_check_free(&result);
}

/* A mount of what the medium has at this moment, as after a crash of the server. */
static void crash_step(void)
{
	int fd = memfd_create("crash", 0);
	struct zus_local *fs;

	ck_assert_int_eq(ftruncate(fd, (off_t)media_bytes), 0);
	ck_assert_int_eq(pwrite(fd, media, media_bytes, 0), (ssize_t)media_bytes);
	expect_clean(media);
	fs = mount_media(fd, below(2) ? ZUS_MOUNT_RDONLY : 0);
	compare(fs, "/");
	ck_assert_int_eq(zus_local_umount(fs), 0);
	fs = mount_media(fd, 0);
	compare(fs, "/");
	ck_assert_int_eq(zus_local_umount(fs), 0);
	close(fd);
}

static int zlogfs_ioctl(uint32_t cmd, uint32_t arg)
{
	struct zus_ioctl args = { .cmd = cmd, .flags = ZUS_IOCTL_ADMIN };
	struct zus_local_file *root;
	int32_t result;
	int err;

	if (cmd == ZLOGFS_IOC_APPLY) {
		args.in = &arg;
		args.in_bytes = sizeof(arg);
	}
	ck_assert_int_eq(zus_local_open(log_fs, "/", &root), 0);
	err = zus_local_ioctl(root, &args, &result);
	ck_assert_msg(!err, "step %u: ioctl %#x: %d", step, cmd, err);
	zus_local_close(root);
	return result;
}

static void own_step(unsigned int what)
{
	if (tracing)
		printf("# %u: own %u\n", step, what);
	if (what < 4)
		zlogfs_ioctl(ZLOGFS_IOC_APPLY, 1 + (uint32_t)below(20));
	else if (what == 4)
		while (zlogfs_ioctl(ZLOGFS_IOC_APPLY, 64))
			;
	else if (what == 5)
		zlogfs_ioctl(ZLOGFS_IOC_CHECKPOINT, 0);
	else if (what == 6)
		zlogfs_ioctl(ZLOGFS_IOC_BOUNDARY, 0);
	if (what == 7) {
		ck_assert_int_eq(zus_local_umount(log_fs), 0);
		expect_clean(media);
		log_fs = mount_media(media_fd, 0);
		compare(log_fs, "/");
	}
	if (what == 8)
		crash_step();
}

static void remove_all(const char *path)
{
	struct listing list;
	struct zus_attr attr;
	char child[512];
	uint32_t i;

	list_dir(log_fs, path, &list);
	for (i = 0; i < list.n; i++) {
		snprintf(child, sizeof(child), "%s/%s", path[1] ? path : "", list.names[i]);
		ck_assert_int_eq(zus_local_stat(log_fs, child, &attr), 0);
		if (S_ISDIR(attr.mode)) {
			remove_all(child);
			ck_assert_int_eq(zus_local_rmdir(log_fs, child), 0);
		} else {
			ck_assert_int_eq(zus_local_unlink(log_fs, child), 0);
		}
	}
}

static uint64_t free_blocks(void)
{
	struct zus_statfs st;

	/* all of the log is free behind an unmount */
	ck_assert_int_eq(zus_local_umount(log_fs), 0);
	log_fs = mount_media(media_fd, 0);
	ck_assert_int_eq(zus_local_statfs(log_fs, &st), 0);
	return st.blocks_free;
}

static void run(uint32_t policy, bool tiny, bool boundaries, bool copies, bool clones)
{
	uint64_t free_at_start;
	unsigned int what;

	media_bytes = boundaries ? 16 << 20 : 4 << 20;	/* of history nothing is ever freed */
	cloning = clones;
	words_late = tiny ? 0 : ZUS_LOCAL_WORDS_MAX;
	tracing = getenv("ZUFS_TRACE");
	setvbuf(stdout, NULL, _IOLBF, 0);
	make_media(policy, tiny);
	log_fs = mount_media(media_fd, 0);
	free_at_start = free_blocks();
	toy_fs = unit_mount(unit_plugin("toyfs"), cloning ? "unwritten,reflink" : "unwritten", 1,
			    64ull << 20);
	for (step = 0; step < STEPS * unit_scale(); step++) {
		what = (unsigned int)below(16);
		if (cloning && !below(3))
			share_step();
		if (what < 6) {
			names_step();
		} else if (what < 12) {
			data_step();
		} else if (what < 13) {
			xattr_step();
			if (copies)
				copy_step();
		} else {
			what = (unsigned int)below(9);
			own_step(what == 6 && !boundaries ? 5 : what);
		}
		if (!(step % 50))
			compare(log_fs, "/");
	}
	compare(log_fs, "/");
	remove_all("/");
	if (!boundaries)
		ck_assert_uint_eq(free_blocks(), free_at_start);
	ck_assert_int_eq(zus_local_umount(log_fs), 0);
	ck_assert_int_eq(zus_local_umount(toy_fs), 0);
}

START_TEST(in_place)
{
	run(ZLF_POLICY_INPLACE, true, false, false, false);
}
END_TEST

START_TEST(copy_on_write)
{
	run(ZLF_POLICY_COW, true, false, false, false);
}
END_TEST

START_TEST(copy_on_write_larger)
{
	run(ZLF_POLICY_COW, false, false, true, false);
}
END_TEST

START_TEST(boundaries_without_any)
{
	run(ZLF_POLICY_BOUNDARY, true, false, false, false);
}
END_TEST

START_TEST(boundaries)
{
	run(ZLF_POLICY_BOUNDARY, false, true, true, false);
}
END_TEST

START_TEST(clones_in_place)
{
	run(ZLF_POLICY_INPLACE, false, false, false, true);
}
END_TEST

START_TEST(clones_copy_on_write)
{
	run(ZLF_POLICY_COW, false, false, true, true);
}
END_TEST

START_TEST(clones_tiny)
{
	run(ZLF_POLICY_COW, true, false, false, true);
}
END_TEST

START_TEST(clones_boundaries)
{
	run(ZLF_POLICY_BOUNDARY, false, true, false, true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zlogfs-model");
	TCase *cases = tcase_create("like toyfs");

	tcase_set_timeout(cases, 200);
	tcase_add_test(cases, in_place);
	tcase_add_test(cases, copy_on_write);
	tcase_add_test(cases, copy_on_write_larger);
	tcase_add_test(cases, boundaries_without_any);
	tcase_add_test(cases, boundaries);
	tcase_add_test(cases, clones_in_place);
	tcase_add_test(cases, clones_copy_on_write);
	tcase_add_test(cases, clones_tiny);
	tcase_add_test(cases, clones_boundaries);
	suite_add_tcase(suite, cases);
	return unit_run(suite);
}
