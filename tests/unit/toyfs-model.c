// SPDX-License-Identifier: BSD-3-Clause
/*
 * toyfs-model.c - random operations on toyfs and on a model of it in memory; both
 * must agree after each one. First data of one file (as fsx does it), then names.
 * TIMEOUT: 240
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "unit.h"

#define MIB		(1ull << 20)
#define FILE_MAX	(3 * MIB)
#define DATA_STEPS	20000
#define NAME_STEPS	60000

static struct zus_local *fs;

static uint64_t below(uint64_t n)
{
	return unit_random() % n;
}

/* --------------------------------------------------------------------- data */

static char model[FILE_MAX], got[FILE_MAX], data[FILE_MAX];
static uint64_t model_size;

static void check_range(struct zus_local_file *file, unsigned int step, uint64_t off,
			uint64_t len)
{
	uint64_t want = off >= model_size ? 0 :
			len < model_size - off ? len : model_size - off;
	uint64_t i;

	ck_assert_msg(zus_local_pread(file, got, len, off) == (ssize_t)want,
		      "step %u: short read at %lu: %s", step, (unsigned long)off,
		      zus_local_broken_rule());
	for (i = 0; i < want && got[i] == model[off + i]; i++)
		;
	ck_assert_msg(i == want, "step %u: byte %lu is wrong", step,
		      (unsigned long)(off + i));
}

static void do_write(struct zus_local_file *file)
{
	uint64_t off = below(FILE_MAX - 1), len = 1 + below(below(8) ? 9000 : MIB), i;

	if (below(2))
		off -= off % 4096;
	if (len > FILE_MAX - off)
		len = FILE_MAX - off;
	for (i = 0; i < len; i++)
		data[i] = (char)unit_random();
	ck_assert_int_eq(zus_local_pwrite(file, data, len, off), (ssize_t)len);
	memcpy(model + off, data, len);
	if (off + len > model_size)
		model_size = off + len;
}

static void do_truncate(struct zus_local_file *file)
{
	uint64_t size = below(4) ? below(FILE_MAX) : below(3) * 4096;

	ck_assert_int_eq(zus_local_ftruncate(file, size), 0);
	if (size < model_size)
		memset(model + size, 0, model_size - size);
	model_size = size;
}

/* A store through mmap: in the page, also behind the end of the file. */
static void do_store(struct zus_local_file *file)
{
	uint64_t off = below(FILE_MAX);
	void *page;
	int err = zus_local_fault(file, off, 1, &page);

	if (off - off % 4096 >= model_size) {
		ck_assert_int_eq(err, -EFAULT);
		return;
	}
	ck_assert_int_eq(err, 0);
	((char *)page)[off % 4096] = (char)0xee;
	if (off < model_size)
		model[off] = (char)0xee;
}

/* Without leases, as here, nothing moves, and all is as without the option. */
START_TEST(data_like_the_model)
{
	static const char *const options[] = { NULL, "relocate=7" };
	unsigned int steps = DATA_STEPS * unit_scale(), step;
	struct zus_local_file *file;
	struct zus_statfs before, after;
	struct zus_attr attr;

	fs = unit_mount(unit_plugin("toyfs"), options[_i], 2, 16 * MIB);
	zus_local_statfs(fs, &before);
	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	ck_assert_int_eq(zus_local_open(fs, "/f", &file), 0);
	for (step = 0; step < steps; step++) {
		switch (below(8)) {
		case 0:
			do_truncate(file);
			break;
		case 1:
			do_store(file);
			break;
		case 2:
		case 3:
		case 4:
			do_write(file);
			break;
		default:
			check_range(file, step, below(FILE_MAX), 1 + below(100000));
		}
		ck_assert_int_eq(zus_local_fstat(file, &attr), 0);
		ck_assert_uint_eq(attr.size_bytes, model_size);
	}
	check_range(file, step, 0, FILE_MAX);
	zus_local_close(file);
	ck_assert_int_eq(zus_local_unlink(fs, "/f"), 0);
	zus_local_statfs(fs, &after);
	ck_assert_uint_eq(after.blocks_free, before.blocks_free);
	ck_assert_int_eq(zus_local_umount(fs), 0);
}
END_TEST

/* -------------------------------------------------------------------- names */

/* The model: nodes with a parent and a name; file links share an inode number. */
#define NODES	60
#define FANOUT	5

static struct node {
	int used, parent;
	char name[4];
	int is_dir;
	uint64_t ino;
} node[NODES];

static void path_of(int n, char *path)
{
	char rest[512] = "";

	for (; n > 0; n = node[n].parent) {
		char tail[512];

		snprintf(tail, sizeof(tail), "/%s%s", node[n].name, rest);
		memcpy(rest, tail, sizeof(rest));
	}
	snprintf(path, sizeof(rest), "%s", *rest ? rest : "/");
}

static int child(int dir, const char *name)
{
	int n;

	for (n = 1; n < NODES; n++)
		if (node[n].used && node[n].parent == dir && !strcmp(node[n].name, name))
			return n;
	return -1;
}

static int random_node(int want_dir)
{
	int tries, n;

	for (tries = 0; tries < 200; tries++) {
		n = (int)below(NODES);
		if (node[n].used && (!want_dir || node[n].is_dir))
			return n;
	}
	return 0;
}

/* A directory, a name in it, the node there (or -1) and the path of both. */
static int random_place(char *name, int *dir, char *path)
{
	char above[500];

	*dir = random_node(1);
	snprintf(name, 4, "n%u", (unsigned int)below(FANOUT));
	path_of(*dir, above);
	snprintf(path, 512, "%s/%s", *dir ? above : "", name);
	return child(*dir, name);
}

static int add(int dir, const char *name, int is_dir, uint64_t ino)
{
	int n;

	for (n = 1; n < NODES && node[n].used; n++)
		;
	ck_assert_int_lt(n, NODES);
	node[n] = (struct node) { .used = 1, .parent = dir, .is_dir = is_dir, .ino = ino };
	snprintf(node[n].name, sizeof(node[n].name), "%s", name);
	return n;
}

static int has_children(int dir)
{
	int n;

	for (n = 1; n < NODES; n++)
		if (node[n].used && node[n].parent == dir)
			return 1;
	return 0;
}

static int count_nodes(void)
{
	int n, count = 0;

	for (n = 0; n < NODES; n++)
		count += node[n].used;
	return count;
}

static uint64_t ino_of(const char *path)
{
	struct zus_attr attr;

	ck_assert_int_eq(zus_local_stat(fs, path, &attr), 0);
	return attr.ino;
}

static void step_make(void)
{
	char name[4], path[512];
	int dir, n = random_place(name, &dir, path), is_dir = below(2) != 0, err;

	if (count_nodes() > NODES - 5)
		return;
	err = is_dir ? zus_local_mkdir(fs, path, 0755) : zus_local_create(fs, path, 0644);
	ck_assert_int_eq(err, n >= 0 ? -EEXIST : 0);
	if (n < 0)
		add(dir, name, is_dir, ino_of(path));
}

static void step_link(void)
{
	char name[4], path[512], from[512];
	int dir, n = random_place(name, &dir, path), file = random_node(0), err;

	if (count_nodes() > NODES - 5)
		return;
	path_of(file, from);
	err = zus_local_link(fs, from, path);
	if (node[file].is_dir) {
		ck_assert_int_eq(err, -EPERM);
		return;
	}
	ck_assert_int_eq(err, n >= 0 ? -EEXIST : 0);
	if (n < 0)
		add(dir, name, 0, node[file].ino);
}

static void step_remove(void)
{
	char name[4], path[512];
	int dir, n = random_place(name, &dir, path), rmdir = below(2) != 0, want = 0;
	int err = rmdir ? zus_local_rmdir(fs, path) : zus_local_unlink(fs, path);

	if (n < 0)
		want = -ENOENT;
	else if (node[n].is_dir != rmdir)
		want = rmdir ? -ENOTDIR : -EISDIR;
	else if (rmdir && has_children(n))
		want = -ENOTEMPTY;
	ck_assert_int_eq(err, want);
	if (!want)
		node[n].used = 0;
}

static int is_above(int n, int dir)
{
	for (; dir > 0; dir = node[dir].parent)
		if (dir == n)
			return 1;
	return 0;
}

static int want_rename(int from, int from_dir, int to, int to_dir, uint32_t flags)
{
	if (from >= 0 && is_above(from, to_dir))
		return -EINVAL;
	if (to >= 0 && is_above(to, from_dir))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	if (from < 0)
		return -ENOENT;
	if (to >= 0 && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (to < 0 && (flags & RENAME_EXCHANGE))
		return -ENOENT;
	if (to < 0 || (flags & RENAME_EXCHANGE))
		return 0;
	if (node[from].is_dir != node[to].is_dir)
		return node[from].is_dir ? -ENOTDIR : -EISDIR;
	return node[to].is_dir && from != to && has_children(to) ? -ENOTEMPTY : 0;
}

static void step_rename(void)
{
	static const uint32_t all_flags[] = { 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };
	char name[4], new_name[4], path[512], new_path[512];
	uint32_t flags = all_flags[below(4)];
	int dir, new_dir;
	int from = random_place(name, &dir, path);
	int to = random_place(new_name, &new_dir, new_path);
	int err, want = want_rename(from, dir, to, new_dir, flags);

	if (!strcmp(path, new_path))
		return;
	err = zus_local_rename(fs, path, new_path, flags);
	ck_assert_msg(err == want, "rename %s to %s, flags %u: %d, not %d", path, new_path,
		      flags, err, want);
	if (err || (to >= 0 && node[from].ino == node[to].ino))
		return;
	if (flags & RENAME_EXCHANGE) {
		node[to].parent = dir;
		memcpy(node[to].name, name, sizeof(name));
	} else if (to >= 0) {
		node[to].used = 0;
	}
	node[from].parent = new_dir;
	memcpy(node[from].name, new_name, sizeof(new_name));
}

struct listing {
	int dir, count;
};

static int list_one(void *arg, const char *name, uint64_t ino, uint64_t cookie,
		    uint32_t type)
{
	struct listing *list = arg;
	int n = child(list->dir, name);

	(void)cookie;
	(void)type;
	ck_assert_msg(n >= 0, "readdir shows %s, which is not there", name);
	ck_assert_uint_eq(node[n].ino, ino);
	list->count++;
	return 0;
}

/* Links, inodes and listings of the whole tree. */
static void check_tree(void)
{
	int n, m, files, links, dirs, seen, inodes = 0;
	struct zus_local_file *dir;
	struct zus_attr attr;
	char path[512];

	for (n = 0; n < NODES; n++) {
		struct listing list = { .dir = n };
		uint64_t cookie = 0;

		if (!node[n].used)
			continue;
		path_of(n, path);
		ck_assert_int_eq(zus_local_stat(fs, path, &attr), 0);
		links = dirs = files = seen = 0;
		for (m = 1; m < NODES; m++) {
			links += node[m].used && node[m].ino == node[n].ino;
			dirs += node[m].used && node[m].parent == n && node[m].is_dir;
			files += node[m].used && node[m].parent == n;
			seen |= m < n && node[m].used && node[m].ino == node[n].ino;
		}
		inodes += !seen;	/* names of one inode count once */
		if (!node[n].is_dir) {
			ck_assert_uint_eq(attr.nlink, (unsigned int)links);
			continue;
		}
		ck_assert_uint_eq(attr.nlink, 2 + (unsigned int)dirs);
		ck_assert_int_eq(zus_local_open(fs, path, &dir), 0);
		while ((m = zus_local_readdir(dir, &cookie, 96, list_one, &list)) > 0)
			;
		ck_assert_int_eq(m, 0);
		ck_assert_int_eq(list.count, files);
		zus_local_close(dir);
	}
	ck_assert_uint_eq(zus_local_inodes(fs), (unsigned int)inodes);
}

START_TEST(names_like_the_model)
{
	unsigned int steps = NAME_STEPS * unit_scale(), step;

	fs = unit_mount(unit_plugin("toyfs"), NULL, 1, 8 * MIB);
	node[0] = (struct node) { .used = 1, .is_dir = 1, .ino = ino_of("/") };
	for (step = 0; step < steps; step++) {
		switch (below(6)) {
		case 0:
		case 1:
			step_make();
			break;
		case 2:
			step_link();
			break;
		case 3:
			step_remove();
			break;
		default:
			step_rename();
		}
		if (step % 50 == 0)
			check_tree();
	}
	check_tree();
	ck_assert_int_eq(zus_local_umount(fs), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("toyfs-model");
	TCase *tc = tcase_create("model");

	tcase_set_timeout(tc, 240);
	tcase_add_loop_test(tc, data_like_the_model, 0, 2);
	tcase_add_test(tc, names_like_the_model);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
