// SPDX-License-Identifier: BSD-3-Clause
/*
 * toyfs-posix.c - toyfs through the local transport: what each operation has to
 * do, case by case.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zus_api.h>

#include "unit.h"

#define MIB	(1ull << 20)
#define BLOCK	4096ull

static struct zus_local *fs;
static uint64_t free_at_start;

static uint64_t free_blocks(void)
{
	struct zus_statfs st;

	ck_assert_int_eq(zus_local_statfs(fs, &st), 0);
	return st.blocks_free;
}

static void setup(void)
{
	fs = unit_mount(unit_plugin("toyfs"), NULL, 2, 32 * MIB);
	free_at_start = free_blocks();
}

static void teardown(void)
{
	ck_assert_int_eq(zus_local_umount(fs), 0);
}

static struct zus_attr attr_of(const char *path)
{
	struct zus_attr attr;

	ck_assert_msg(!zus_local_stat(fs, path, &attr), "no %s", path);
	return attr;
}

static struct zus_local_file *opened(const char *path)
{
	struct zus_local_file *file;

	ck_assert_int_eq(zus_local_open(fs, path, &file), 0);
	return file;
}

static void write_file(const char *path, const char *text)
{
	struct zus_local_file *file;

	ck_assert_int_eq(zus_local_create(fs, path, 0644), 0);
	file = opened(path);
	ck_assert_int_eq(zus_local_pwrite(file, text, strlen(text), 0), strlen(text));
	zus_local_close(file);
}

/* -------------------------------------------------------------------- names */

START_TEST(create_gives_what_was_asked)
{
	struct zus_attr attr, root = attr_of("/");

	ck_assert_int_eq(zus_local_create(fs, "/f", 0640), 0);
	attr = attr_of("/f");
	ck_assert_uint_eq(attr.mode, S_IFREG | 0640);
	ck_assert_uint_eq(attr.nlink, 1);
	ck_assert_uint_eq(attr.size_bytes, 0);
	ck_assert_uint_eq(attr.blocks_512, 0);
	ck_assert_int_eq(zus_local_create(fs, "/f", 0640), -EEXIST);
	ck_assert_int_eq(zus_local_create(fs, "/none/f", 0640), -ENOENT);
	ck_assert_int_eq(zus_local_create(fs, "/f/g", 0640), -ENOTDIR);
	ck_assert_uint_gt(attr_of("/").change, root.change);
	ck_assert_int_ge(attr_of("/").mtime.sec, root.mtime.sec);
}
END_TEST

START_TEST(names_of_all_lengths)
{
	char path[300] = "/";
	int i;

	memset(path + 1, 'n', 256);
	ck_assert_int_eq(zus_local_create(fs, path, 0644), -ENAMETOOLONG);
	for (i = 255; i; i--) {
		path[i + 1] = 0;
		ck_assert_int_eq(zus_local_create(fs, path, 0644), 0);
	}
	ck_assert_int_eq(zus_local_unlink(fs, path), 0);
}
END_TEST

START_TEST(directories_count_links)
{
	ck_assert_uint_eq(attr_of("/").nlink, 2);
	ck_assert_int_eq(zus_local_mkdir(fs, "/d", 0750), 0);
	ck_assert_int_eq(zus_local_mkdir(fs, "/d/e", 0750), 0);
	ck_assert_int_eq(zus_local_create(fs, "/d/f", 0600), 0);
	ck_assert_uint_eq(attr_of("/").nlink, 3);
	ck_assert_uint_eq(attr_of("/d").nlink, 3);
	ck_assert_uint_eq(attr_of("/d/e").nlink, 2);
	ck_assert_int_eq(zus_local_rmdir(fs, "/d"), -ENOTEMPTY);
	ck_assert_int_eq(zus_local_rmdir(fs, "/d/f"), -ENOTDIR);
	ck_assert_int_eq(zus_local_unlink(fs, "/d/e"), -EISDIR);
	ck_assert_int_eq(zus_local_rmdir(fs, "/d/e"), 0);
	ck_assert_uint_eq(attr_of("/d").nlink, 2);
	ck_assert_int_eq(zus_local_unlink(fs, "/d/f"), 0);
	ck_assert_int_eq(zus_local_rmdir(fs, "/d"), 0);
	ck_assert_uint_eq(attr_of("/").nlink, 2);
	ck_assert_int_eq(zus_local_rmdir(fs, "/d"), -ENOENT);
	ck_assert_uint_eq(zus_local_inodes(fs), 1);
}
END_TEST

START_TEST(special_files_and_symlinks)
{
	char target[4096], back[4096];
	struct zus_attr attr;

	ck_assert_int_eq(zus_local_mknod(fs, "/c", S_IFCHR | 0600, 5, 77), 0);
	attr = attr_of("/c");
	ck_assert_uint_eq(attr.mode, S_IFCHR | 0600);
	ck_assert_uint_eq(attr.rdev_major, 5);
	ck_assert_uint_eq(attr.rdev_minor, 77);
	ck_assert_int_eq(zus_local_mknod(fs, "/p", S_IFIFO | 0600, 0, 0), 0);
	ck_assert_int_eq(zus_local_mknod(fs, "/s", S_IFSOCK | 0600, 0, 0), 0);
	memset(target, 't', 4095);
	target[4095] = 0;
	ck_assert_int_eq(zus_local_symlink(fs, target, "/l"), 0);
	ck_assert_uint_eq(attr_of("/l").size_bytes, 4095);
	ck_assert_int_eq(zus_local_readlink(fs, "/l", back, sizeof(back)), 4095);
	ck_assert_int_eq(memcmp(target, back, 4095), 0);
	ck_assert_int_eq(zus_local_readlink(fs, "/c", back, sizeof(back)), -EINVAL);
	ck_assert_int_eq(zus_local_unlink(fs, "/l"), 0);
}
END_TEST

START_TEST(hard_links)
{
	write_file("/a", "text");
	ck_assert_int_eq(zus_local_mkdir(fs, "/d", 0755), 0);
	ck_assert_int_eq(zus_local_link(fs, "/a", "/d/b"), 0);
	ck_assert_uint_eq(attr_of("/d/b").nlink, 2);
	ck_assert_uint_eq(attr_of("/d/b").ino, attr_of("/a").ino);
	ck_assert_int_eq(zus_local_link(fs, "/a", "/d/b"), -EEXIST);
	ck_assert_int_eq(zus_local_link(fs, "/d", "/x"), -EPERM);
	ck_assert_int_eq(zus_local_link(fs, "/none", "/x"), -ENOENT);
	ck_assert_int_eq(zus_local_unlink(fs, "/a"), 0);
	ck_assert_uint_eq(attr_of("/d/b").nlink, 1);
	ck_assert_uint_eq(attr_of("/d/b").size_bytes, 4);
	ck_assert_int_eq(zus_local_unlink(fs, "/d/b"), 0);
	ck_assert_uint_eq(free_blocks(), free_at_start);
}
END_TEST

START_TEST(unlinked_file_lives_while_open)
{
	struct zus_local_file *file;
	struct zus_attr attr;
	char buf[4];

	write_file("/f", "text");
	file = opened("/f");
	ck_assert_int_eq(zus_local_unlink(fs, "/f"), 0);
	ck_assert_int_eq(zus_local_fstat(file, &attr), 0);
	ck_assert_uint_eq(attr.nlink, 0);
	ck_assert_int_eq(zus_local_pread(file, buf, 4, 0), 4);
	ck_assert_int_eq(memcmp(buf, "text", 4), 0);
	ck_assert_uint_eq(free_blocks(), free_at_start - 1);
	zus_local_close(file);
	ck_assert_uint_eq(free_blocks(), free_at_start);
	ck_assert_uint_eq(zus_local_inodes(fs), 1);
}
END_TEST

/* ------------------------------------------------------------------- rename */

START_TEST(rename_moves)
{
	uint64_t ino;

	write_file("/a", "1");
	ck_assert_int_eq(zus_local_mkdir(fs, "/d", 0755), 0);
	ino = attr_of("/a").ino;
	ck_assert_int_eq(zus_local_rename(fs, "/a", "/d/b", 0), 0);
	ck_assert_uint_eq(attr_of("/d/b").ino, ino);
	ck_assert_int_eq(zus_local_rename(fs, "/a", "/c", 0), -ENOENT);
	ck_assert_int_eq(zus_local_mkdir(fs, "/e", 0755), 0);
	ck_assert_int_eq(zus_local_rename(fs, "/d", "/e/d", 0), 0);
	ck_assert_uint_eq(attr_of("/").nlink, 3);
	ck_assert_uint_eq(attr_of("/e").nlink, 3);
	ck_assert_uint_eq(attr_of("/e/d/b").ino, ino);
	ck_assert_int_eq(zus_local_rename(fs, "/e", "/e/d/e", 0), -EINVAL);
}
END_TEST

START_TEST(rename_replaces)
{
	struct zus_local_file *old;
	struct zus_attr attr;

	write_file("/a", "1");
	write_file("/b", "22");
	old = opened("/b");
	ck_assert_int_eq(zus_local_rename(fs, "/a", "/b", RENAME_NOREPLACE), -EEXIST);
	ck_assert_int_eq(zus_local_rename(fs, "/a", "/b", 0), 0);
	ck_assert_uint_eq(attr_of("/b").size_bytes, 1);
	ck_assert_int_eq(zus_local_fstat(old, &attr), 0);
	ck_assert_uint_eq(attr.nlink, 0);
	zus_local_close(old);
	ck_assert_int_eq(zus_local_mkdir(fs, "/d", 0755), 0);
	ck_assert_int_eq(zus_local_mkdir(fs, "/e", 0755), 0);
	ck_assert_int_eq(zus_local_create(fs, "/e/x", 0644), 0);
	ck_assert_int_eq(zus_local_rename(fs, "/d", "/e", 0), -ENOTEMPTY);
	ck_assert_int_eq(zus_local_rename(fs, "/d", "/b", 0), -ENOTDIR);
	ck_assert_int_eq(zus_local_rename(fs, "/b", "/d", 0), -EISDIR);
	ck_assert_int_eq(zus_local_rename(fs, "/e", "/d", 0), 0);
	ck_assert_uint_eq(attr_of("/").nlink, 3);
	ck_assert_uint_eq(attr_of("/d/x").nlink, 1);
	ck_assert_int_eq(zus_local_unlink(fs, "/b"), 0);
	ck_assert_uint_eq(free_blocks(), free_at_start);
}
END_TEST

START_TEST(rename_exchanges)
{
	uint64_t a, d;

	write_file("/a", "1");
	ck_assert_int_eq(zus_local_mkdir(fs, "/p", 0755), 0);
	ck_assert_int_eq(zus_local_mkdir(fs, "/p/d", 0755), 0);
	a = attr_of("/a").ino;
	d = attr_of("/p/d").ino;
	ck_assert_int_eq(zus_local_rename(fs, "/a", "/none", RENAME_EXCHANGE), -ENOENT);
	ck_assert_int_eq(zus_local_rename(fs, "/a", "/p/d", RENAME_EXCHANGE), 0);
	ck_assert_uint_eq(attr_of("/a").ino, d);
	ck_assert_uint_eq(attr_of("/p/d").ino, a);
	ck_assert_uint_eq(attr_of("/").nlink, 4);
	ck_assert_uint_eq(attr_of("/p").nlink, 2);
}
END_TEST

START_TEST(rename_leaves_a_whiteout)
{
	struct zus_attr attr;

	write_file("/a", "1");
	write_file("/b", "22");
	ck_assert_int_eq(zus_local_rename(fs, "/a", "/c", RENAME_WHITEOUT), 0);
	attr = attr_of("/a");
	ck_assert_uint_eq(attr.mode, S_IFCHR);
	ck_assert_uint_eq(attr.rdev_major + attr.rdev_minor, 0);
	ck_assert_uint_eq(attr.nlink, 1);
	ck_assert_uint_eq(attr_of("/c").size_bytes, 1);
	/* over another name */
	ck_assert_int_eq(zus_local_rename(fs, "/b", "/c", RENAME_WHITEOUT), 0);
	ck_assert_uint_eq(attr_of("/b").mode, S_IFCHR);
	ck_assert_uint_eq(attr_of("/c").size_bytes, 2);
	/* what fails leaves nothing */
	ck_assert_int_eq(zus_local_rename(fs, "/c", "/b", RENAME_WHITEOUT | RENAME_NOREPLACE),
			 -EEXIST);
	ck_assert_int_eq(zus_local_rename(fs, "/c", "/b", RENAME_WHITEOUT | RENAME_EXCHANGE),
			 -EINVAL);
	ck_assert_int_eq(zus_local_unlink(fs, "/a"), 0);
	ck_assert_int_eq(zus_local_unlink(fs, "/b"), 0);
	ck_assert_int_eq(zus_local_unlink(fs, "/c"), 0);
	ck_assert_uint_eq(zus_local_inodes(fs), 1);
}
END_TEST

START_TEST(rename_of_one_inodes_names)
{
	write_file("/a", "1");
	ck_assert_int_eq(zus_local_link(fs, "/a", "/b"), 0);
	ck_assert_int_eq(zus_local_rename(fs, "/a", "/b", 0), 0);
	ck_assert_uint_eq(attr_of("/a").nlink, 2);
	ck_assert_uint_eq(attr_of("/b").nlink, 2);
}
END_TEST

/* ------------------------------------------------------------------ readdir */

struct seen {
	char name[64][16];
	uint64_t cookie[64];
	unsigned int count;
};

static int see(void *arg, const char *name, uint64_t ino, uint64_t cookie, uint32_t type)
{
	struct seen *seen = arg;

	ck_assert_uint_ne(ino, 0);
	ck_assert(type == DT_REG || type == DT_DIR);
	ck_assert_uint_lt(seen->count, 64);
	snprintf(seen->name[seen->count], sizeof(seen->name[0]), "%s", name);
	seen->cookie[seen->count++] = cookie;
	return 0;
}

START_TEST(readdir_in_small_pieces_under_change)
{
	struct zus_local_file *dir;
	struct seen seen = { .count = 0 };
	unsigned int i, j, found[40] = { 0 };
	uint64_t cookie = 0;
	char path[32];
	int more;

	for (i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "/f%02u", i);
		ck_assert_int_eq(zus_local_create(fs, path, 0644), 0);
	}
	dir = opened("/");
	for (i = 0; (more = zus_local_readdir(dir, &cookie, 100, see, &seen)) > 0; i++) {
		if (i >= 10)
			continue;
		snprintf(path, sizeof(path), "/f%02u", 39 - i);	/* not seen yet */
		ck_assert_int_eq(zus_local_unlink(fs, path), 0);
		snprintf(path, sizeof(path), "/f%02u", i);	/* seen already */
		ck_assert_int_eq(zus_local_unlink(fs, path), 0);
	}
	ck_assert_int_eq(more, 0);
	for (j = 0; j < seen.count; j++)
		found[strtoul(seen.name[j] + 1, NULL, 10)]++;
	for (j = 0; j < 30; j++)
		ck_assert_msg(found[j] == 1, "f%02u was seen %u times", j, found[j]);
	for (j = 1; j < seen.count; j++)
		ck_assert_uint_gt(seen.cookie[j], seen.cookie[j - 1]);
	zus_local_close(dir);
}
END_TEST

START_TEST(removed_directory_stays_readable)
{
	struct zus_local_file *dir;
	struct seen seen = { .count = 0 };
	struct zus_attr attr;
	uint64_t cookie = 0;

	ck_assert_int_eq(zus_local_mkdir(fs, "/d", 0755), 0);
	dir = opened("/d");
	ck_assert_int_eq(zus_local_rmdir(fs, "/d"), 0);
	ck_assert_int_eq(zus_local_readdir(dir, &cookie, 0, see, &seen), 0);
	ck_assert_uint_eq(seen.count, 0);
	ck_assert_int_eq(zus_local_fstat(dir, &attr), 0);
	ck_assert_uint_eq(attr.nlink, 0);
	zus_local_close(dir);
	ck_assert_uint_eq(zus_local_inodes(fs), 1);
}
END_TEST

/* --------------------------------------------------------------------- data */

START_TEST(holes_read_as_zero)
{
	struct zus_local_file *file;
	char buf[8192];
	unsigned int i;

	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	file = opened("/f");
	ck_assert_int_eq(zus_local_pwrite(file, "end", 3, 10 * MIB), 3);
	ck_assert_uint_eq(attr_of("/f").size_bytes, 10 * MIB + 3);
	ck_assert_uint_eq(attr_of("/f").blocks_512, 8);
	ck_assert_int_eq(zus_local_pread(file, buf, 8192, 5 * MIB), 8192);
	for (i = 0; i < 8192; i++)
		ck_assert_int_eq(buf[i], 0);
	ck_assert_int_eq(zus_local_pread(file, buf, 8192, 10 * MIB - 1), 4);
	ck_assert_int_eq(memcmp(buf, "\0end", 4), 0);
	ck_assert_int_eq(zus_local_pread(file, buf, 8192, 11 * MIB), 0);
	zus_local_close(file);
}
END_TEST

START_TEST(file_at_the_largest_offset)
{
	const uint64_t max = INT64_MAX;
	struct zus_local_file *file;
	char buf[3];

	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	file = opened("/f");
	ck_assert_int_eq(zus_local_pwrite(file, "end", 3, max - 3), 3);
	ck_assert_uint_eq(attr_of("/f").size_bytes, max);
	ck_assert_int_eq(zus_local_pread(file, buf, 3, max - 3), 3);
	ck_assert_int_eq(memcmp(buf, "end", 3), 0);
	ck_assert_int_eq(zus_local_ftruncate(file, max + 1), -EINVAL);
	ck_assert_int_eq(zus_local_ftruncate(file, 1), 0);
	zus_local_close(file);
	ck_assert_uint_eq(free_blocks(), free_at_start);
}
END_TEST

START_TEST(truncate_frees_and_zeroes)
{
	struct zus_local_file *file;
	char buf[10000];
	unsigned int i;

	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	file = opened("/f");
	memset(buf, 'x', sizeof(buf));
	ck_assert_int_eq(zus_local_pwrite(file, buf, 10000, 0), 10000);
	ck_assert_uint_eq(free_blocks(), free_at_start - 3);
	ck_assert_int_eq(zus_local_ftruncate(file, 100), 0);
	ck_assert_uint_eq(free_blocks(), free_at_start - 1);
	ck_assert_int_eq(zus_local_ftruncate(file, 10000), 0);
	ck_assert_int_eq(zus_local_pread(file, buf, 10000, 0), 10000);
	for (i = 0; i < 10000; i++)
		ck_assert_int_eq(buf[i], i < 100 ? 'x' : 0);
	ck_assert_int_eq(zus_local_truncate(fs, "/", 0), -EINVAL);
	zus_local_close(file);
}
END_TEST

START_TEST(space_runs_out_and_comes_back)
{
	struct zus_local_file *file;
	char *buf = calloc(1, MIB);
	uint64_t off = 0;
	ssize_t n;

	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	file = opened("/f");
	while ((n = zus_local_pwrite(file, buf, MIB, off)) > 0)
		off += (uint64_t)n;
	ck_assert_int_eq(n, -ENOSPC);
	ck_assert_uint_eq(off, free_at_start * 4096);
	ck_assert_uint_eq(free_blocks(), 0);
	ck_assert_uint_eq(attr_of("/f").size_bytes, off);
	ck_assert_int_eq(zus_local_pwrite(file, buf, MIB, 0), MIB);	/* in place */
	zus_local_close(file);
	ck_assert_int_eq(zus_local_unlink(fs, "/f"), 0);
	ck_assert_uint_eq(free_blocks(), free_at_start);
	free(buf);
}
END_TEST

START_TEST(large_files_lie_on_huge_pages)
{
	struct zus_local_file *file;
	char *buf = malloc(6 * MIB), *page;
	void *addr;

	memset(buf, 'x', 6 * MIB);
	ck_assert_int_eq(zus_local_create(fs, "/small", 0644), 0);
	file = opened("/small");
	ck_assert_int_eq(zus_local_pwrite(file, buf, 5000, 0), 5000);
	zus_local_close(file);
	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	file = opened("/f");
	ck_assert_int_eq(zus_local_pwrite(file, buf, 6 * MIB, 0), 6 * MIB);
	ck_assert_int_eq(zus_local_fault(file, 2 * MIB, 0, &addr), 0);
	page = zus_local_dev_addr(fs, 0, 0);
	ck_assert_uint_eq((uint64_t)((char *)addr - page) % (2 * MIB), 0);
	zus_local_close(file);
	free(buf);
}
END_TEST

/* ------------------------------------------------------------ reservations */

static int map_raw(uint64_t handle, uint64_t off, uint64_t len, uint32_t flags,
		   struct zufs_extent *extent, uint64_t *id)
{
	struct zufs_map_in in = {
		.inode = handle, .off = off, .len_bytes = len, .flags = flags,
		.max_extents = 1,
	};
	struct zus_local_call call = {
		.op = ZUFS_OP_MAP, .in = &in, .in_bytes = sizeof(in),
		.reply = extent, .reply_max_bytes = sizeof(*extent),
	};
	int ret = zus_local_call(fs, &call);

	if (id)
		*id = call.id;
	return ret;
}

static int done_raw(uint64_t handle, uint64_t id, uint64_t off, uint64_t written,
		    uint64_t size)
{
	struct zufs_map_done_in in = {
		.inode = handle, .map_id = id, .off = off, .written_bytes = written,
		.size_bytes = size, .flags = ZUFS_MAP_WRITE,
	};
	struct zus_local_call call = {
		.op = ZUFS_OP_MAP_DONE, .in = &in, .in_bytes = sizeof(in),
	};

	return zus_local_call(fs, &call);
}

/* The root's handle is the first of its table: index 0, generation 1. */
static uint64_t handle_of(const char *name)
{
	struct zufs_lookup_in in = { .dir = 1ull << 32, .name_bytes = (uint32_t)strlen(name) };
	struct zufs_entry entry = { .handle = 0 };
	struct zus_local_call call = {
		.op = ZUFS_OP_LOOKUP, .in = &in, .in_bytes = sizeof(in), .payload = name,
		.payload_bytes = in.name_bytes, .out = &entry, .out_bytes = sizeof(entry),
	};

	ck_assert_int_eq(zus_local_call(fs, &call), 0);
	return entry.handle;
}

START_TEST(reservation_is_not_part_of_the_file)
{
	struct zufs_extent ext;
	uint64_t handle, id;

	write_file("/f", "x");
	ck_assert_int_eq(zus_local_truncate(fs, "/f", 4 * BLOCK), 0);
	handle = handle_of("f");
	ck_assert_int_eq(map_raw(handle, 4096, 8192, ZUFS_MAP_WRITE, &ext, &id), 0);
	ck_assert_uint_eq(ext.flags, ZUFS_EXTF_NEW);
	ck_assert_uint_eq(ext.len_bytes, 8192);
	ck_assert_uint_eq(attr_of("/f").blocks_512, 8);
	/* A reader sees a hole, another writer is told to come back. */
	ck_assert_int_eq(map_raw(handle, 4096, 4096, ZUFS_MAP_READ, &ext, NULL), 0);
	ck_assert_uint_eq(ext.type, ZUFS_EXT_HOLE);
	ck_assert_int_eq(map_raw(handle, 8192, 4096, ZUFS_MAP_WRITE, &ext, NULL),
			 ZUS_BUSY_RETRY);
	/* One of two blocks was written. */
	ck_assert_int_eq(done_raw(handle, id, 4096, 4096, 4 * BLOCK), 0);
	ck_assert_uint_eq(attr_of("/f").blocks_512, 16);
	ck_assert_int_eq(map_raw(handle, 8192, 4096, ZUFS_MAP_READ, &ext, NULL), 0);
	ck_assert_uint_eq(ext.type, ZUFS_EXT_HOLE);
	/* Nothing was written. */
	ck_assert_int_eq(map_raw(handle, 8192, 8192, ZUFS_MAP_WRITE, &ext, &id), 0);
	ck_assert_int_eq(done_raw(handle, id, 8192, 0, 4 * BLOCK), 0);
	ck_assert_uint_eq(attr_of("/f").blocks_512, 16);
	ck_assert_uint_eq(free_blocks(), free_at_start - 2);
	ck_assert_int_eq(zus_local_forget(fs, handle, 1), 0);
}
END_TEST

START_TEST(reservation_ends_with_the_inode)
{
	struct zufs_extent ext;
	uint64_t handle, id;

	write_file("/f", "x");
	handle = handle_of("f");
	ck_assert_int_eq(map_raw(handle, 4096, 8192, ZUFS_MAP_WRITE, &ext, &id), 0);
	ck_assert_int_eq(zus_local_unlink(fs, "/f"), 0);
	ck_assert_int_eq(zus_local_forget(fs, handle, 1), 0);
	ck_assert_uint_eq(free_blocks(), free_at_start);
	ck_assert_int_eq(done_raw(handle, id, 4096, 8192, 3 * BLOCK), -ESTALE);
}
END_TEST

START_TEST(attributes_are_set)
{
	struct zus_setattr set = {
		.valid = ZUS_SET_MODE | ZUS_SET_UID | ZUS_SET_GID | ZUS_SET_ATIME,
		.mode = 04711, .uid = 12, .gid = 34, .atime = { 1000, 5, 0 },
	};
	struct zus_attr attr;

	write_file("/f", "x");
	ck_assert_int_eq(zus_local_setattr(fs, "/f", &set), 0);
	attr = attr_of("/f");
	ck_assert_uint_eq(attr.mode, S_IFREG | 04711);
	ck_assert_uint_eq(attr.uid, 12);
	ck_assert_uint_eq(attr.gid, 34);
	ck_assert_int_eq(attr.atime.sec, 1000);
	ck_assert_int_eq(attr.atime.nsec, 5);
	ck_assert_int_gt(attr.mtime.sec, 1000);
}
END_TEST

START_TEST(options)
{
	static const struct { const char *text; int want; } cases[] = {
		{ "relocate=0", 0 }, { "relocate=123", 0 }, { "x=1", -EINVAL },
		{ "relocate", -EINVAL }, { "relocate=x", -EINVAL }, { "relocate=-1", -EINVAL },
		{ "relocate=1,relocate=2", -EINVAL }, { "relocate=1,x", -EINVAL },
		{ "relocate=99999999999999999999", -ERANGE },
		{ "reflink,unwritten", 0 }, { "unwritten,reflink", 0 }, { "unwritten=1", -EINVAL },
	};
	const struct zus_local_device device = { .size_bytes = 8 * MIB };
	struct zus_local_config config = {
		.plugin = unit_plugin("toyfs"), .options = cases[_i].text, .devices = &device,
		.num_devices = 1,
	};
	struct zus_local *other;
	int err = zus_local_mount(&config, &other);

	ck_assert_msg(err == cases[_i].want, "%s: %d", cases[_i].text, err);
	if (!err)
		ck_assert_int_eq(zus_local_umount(other), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("toyfs-posix");
	TCase *tc = tcase_create("posix");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, create_gives_what_was_asked);
	tcase_add_test(tc, names_of_all_lengths);
	tcase_add_test(tc, directories_count_links);
	tcase_add_test(tc, special_files_and_symlinks);
	tcase_add_test(tc, hard_links);
	tcase_add_test(tc, unlinked_file_lives_while_open);
	tcase_add_test(tc, rename_moves);
	tcase_add_test(tc, rename_replaces);
	tcase_add_test(tc, rename_exchanges);
	tcase_add_test(tc, rename_leaves_a_whiteout);
	tcase_add_test(tc, rename_of_one_inodes_names);
	tcase_add_test(tc, readdir_in_small_pieces_under_change);
	tcase_add_test(tc, removed_directory_stays_readable);
	tcase_add_test(tc, holes_read_as_zero);
	tcase_add_test(tc, file_at_the_largest_offset);
	tcase_add_test(tc, truncate_frees_and_zeroes);
	tcase_add_test(tc, space_runs_out_and_comes_back);
	tcase_add_test(tc, large_files_lie_on_huge_pages);
	tcase_add_test(tc, reservation_is_not_part_of_the_file);
	tcase_add_test(tc, reservation_ends_with_the_inode);
	tcase_add_test(tc, attributes_are_set);
	tcase_add_loop_test(tc, options, 0, 12);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
