// SPDX-License-Identifier: BSD-3-Clause
/*
 * walk.c - what a program may do with a mounted filesystem: look at all that is there, and
 * then change some of it. Errors are let be; all of it is bounded, whatever the image says.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "zlogfs_ioctl.h"

#define BLOCK		4096ull
#define DEPTH_MAX	4u
#define ENTRIES_MAX	96u	/* of all directories */
#define READDIR_MAX	200u	/* entries of one, before it is an endless loop */
#define PATH_BYTES	1024u
#define READS_MAX	8u	/* of a file */

struct walk {
	struct zus_local *local;
	char paths[ENTRIES_MAX][PATH_BYTES];
	uint32_t modes[ENTRIES_MAX];
	uint64_t inos[ENTRIES_MAX];
	uint32_t n;
	uint32_t steps;		/* random numbers */
};

static struct walk walk;
static char buf[80 << 10];

static uint32_t next_random(struct walk *w)
{
	w->steps = w->steps * 1664525u + 1013904223u;
	return w->steps >> 8;
}

/* --------------------------------------------------------------------- reading */

static void forget_entry(struct zus_local *local, int err, const struct zus_local_entry *entry)
{
	if (!err)
		zus_local_forget(local, entry->handle, 1);
}

struct listing {
	struct walk *w;
	const char *dir;
	uint32_t n;
};

static int take_entry(void *arg, const char *name, uint64_t ino, uint64_t cookie, uint32_t type)
{
	struct listing *list = arg;
	struct walk *w = list->w;
	int n;

	(void)cookie;
	(void)type;
	list->n++;
	if (w->n == ENTRIES_MAX)
		return 0;
	n = snprintf(w->paths[w->n], PATH_BYTES, "%s/%s", list->dir, name);
	if (n > 0 && n < (int)PATH_BYTES)
		w->inos[w->n++] = ino;
	return 0;
}

/* In pieces, so that it goes on from cookies. */
static void list_dir(struct walk *w, const char *dir, uint64_t handle)
{
	struct listing list = { .w = w, .dir = strcmp(dir, "/") ? dir : "" };
	struct zus_local_file *file;
	uint64_t cookie = 0;
	uint32_t before;
	int more;

	if (zus_handle_open(w->local, handle, 0, &file))
		return;
	do {
		before = list.n;
		more = zus_local_readdir(file, &cookie, 1200, take_entry, &list);
	} while (more > 0 && list.n > before && list.n < READDIR_MAX);
	if (list.n >= READDIR_MAX)
		fuzz_fail("%s has no end", dir);
	zus_local_close(file);
}

static void read_file(struct walk *w, const struct zus_local_entry *entry)
{
	uint64_t size = entry->attr.size_bytes, off, step;
	struct zus_local_file *file;
	uint32_t i;
	int64_t at;

	if (zus_handle_open(w->local, entry->handle, 0, &file))
		return;
	step = size / READS_MAX > BLOCK ? size / READS_MAX : BLOCK;
	for (i = 0, off = 0; i < READS_MAX && off < size; i++, off += step)
		zus_local_pread(file, buf, BLOCK, off);
	if (size > BLOCK)
		zus_local_pread(file, buf, sizeof(buf), size - BLOCK);
	off = 0;
	for (i = 0; i < 4; i++) {
		at = zus_local_seek(file, off, i & 1 ? SEEK_HOLE : SEEK_DATA);
		if (at < 0)
			break;
		off = (uint64_t)at;
	}
	zus_local_close(file);
}

static void read_xattrs(struct walk *w, uint64_t handle)
{
	static char names[4096];
	ssize_t bytes = zus_handle_listxattr(w->local, handle, names, sizeof(names)), at;

	for (at = 0; at < bytes; at += (ssize_t)strlen(names + at) + 1)
		zus_handle_getxattr(w->local, handle, names + at, buf, sizeof(buf));
}

static void read_dir(struct walk *w, uint32_t i, uint64_t handle, uint32_t depth);

static void read_entry(struct walk *w, uint32_t i, uint64_t dir, uint32_t depth)
{
	char *base = strrchr(w->paths[i], '/') + 1;
	struct zus_name name = { base, (uint32_t)strlen(base) };
	struct zus_local_entry entry;
	struct zus_attr attr;
	int err = zus_handle_lookup(w->local, dir, &name, &entry);

	if (err)
		return;
	w->modes[i] = entry.attr.mode;
	zus_handle_getattr(w->local, entry.handle, &attr);
	read_xattrs(w, entry.handle);
	if (S_ISLNK(entry.attr.mode))
		zus_handle_readlink(w->local, entry.handle, buf, sizeof(buf));
	if (S_ISREG(entry.attr.mode))
		read_file(w, &entry);
	if (S_ISDIR(entry.attr.mode) && depth < DEPTH_MAX)
		read_dir(w, i, entry.handle, depth);
	forget_entry(w->local, err, &entry);
}

static void read_dir(struct walk *w, uint32_t i, uint64_t handle, uint32_t depth)
{
	uint32_t first = w->n, end;

	list_dir(w, w->paths[i], handle);
	end = w->n;
	for (i = first; i < end; i++)
		read_entry(w, i, handle, depth + 1);
}

/* As a server of handles asks: by number, and for the parent. */
static void by_number(struct walk *w)
{
	struct zus_local_entry entry, parent;
	uint32_t i;
	int err;

	for (i = 0; i < 3 && i < w->n; i++) {
		err = zus_handle_iget(w->local, w->inos[next_random(w) % w->n], 1, &entry);
		if (!err && S_ISDIR(entry.attr.mode))
			forget_entry(w->local, zus_handle_parent(w->local, entry.handle, &parent),
				     &parent);
		forget_entry(w->local, err, &entry);
	}
}

/* ---------------------------------------------------------------------- changes */

static const char *any(struct walk *w)
{
	return w->n ? w->paths[next_random(w) % w->n] : "/none";
}

/* One of that type, if there is one. */
static const char *any_of(struct walk *w, uint32_t type)
{
	uint32_t i, from = w->n ? next_random(w) % w->n : 0;

	for (i = 0; i < w->n; i++)
		if ((w->modes[(from + i) % w->n] & S_IFMT) == type)
			return w->paths[(from + i) % w->n];
	return type == S_IFDIR ? "/" : "/none";
}

static const char *new_name(struct walk *w, char *path)
{
	const char *dir = any_of(w, S_IFDIR);

	snprintf(path, PATH_BYTES, "%.900s/new%u", strcmp(dir, "/") ? dir : "",
		 next_random(w) % 4);
	return path;
}

static void change_file(struct walk *w)
{
	static const uint32_t modes[] = {
		0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
	};
	const char *path = any_of(w, S_IFREG);
	uint64_t off = next_random(w) % 6 * 2048ul;
	struct zus_local_file *file, *to;
	void *page;

	if (zus_local_open(w->local, path, &file))
		return;
	switch (next_random(w) % 8) {
	case 0:
		zus_local_fallocate(file, modes[next_random(w) % 6], off / BLOCK * BLOCK,
				    2 * BLOCK);
		break;
	case 1:
		zus_local_ftruncate(file, off);
		break;
	case 2:
		zus_local_fault(file, off / BLOCK * BLOCK, next_random(w) % 2, &page);
		break;
	case 3:
		if (zus_local_open(w->local, any_of(w, S_IFREG), &to))
			break;
		if (next_random(w) % 2)
			zus_local_copy(file, 0, to, off / BLOCK * BLOCK, 2 * BLOCK);
		else
			zus_local_clone(file, 0, to, off / BLOCK * BLOCK, BLOCK,
					next_random(w) % 2);
		zus_local_close(to);
		break;
	default:
		zus_local_pwrite(file, buf, 1 + next_random(w) % 9000, off);
	}
	zus_local_fsync(file, 0);
	zus_local_close(file);
}

static void change_names(struct walk *w, uint32_t which)
{
	static char path[PATH_BYTES];

	switch (which) {
	case 0:
		zus_local_create(w->local, new_name(w, path), 0644);
		break;
	case 1:
		zus_local_mkdir(w->local, new_name(w, path), 0755);
		break;
	case 2:
		zus_local_symlink(w->local, any(w), new_name(w, path));
		break;
	case 3:
		zus_local_link(w->local, any_of(w, S_IFREG), new_name(w, path));
		break;
	case 4:
		zus_local_rename(w->local, any(w), new_name(w, path), 0);
		break;
	case 5:
		zus_local_rmdir(w->local, any_of(w, S_IFDIR));
		break;
	case 6:
		zus_local_rename(w->local, any(w), any(w), 0);
		break;
	default:
		zus_local_unlink(w->local, any(w));
	}
}

static void change_xattr(struct walk *w)
{
	static const char *const names[] = { "user.a", "user.b", "user.new" };
	const char *path = any_of(w, S_IFREG), *name = names[next_random(w) % 3];

	if (next_random(w) % 3)
		zus_local_setxattr(w->local, path, name, buf, next_random(w) % 2 ? 30 : 6000, 0);
	else
		zus_local_removexattr(w->local, path, name);
}

static void change_one(struct walk *w)
{
	uint32_t which = next_random(w) % 16;

	if (which < 8)
		change_names(w, which);
	else if (which < 12)
		change_file(w);
	else if (which < 14)
		change_xattr(w);
	else
		fuzz_ask(w->local, which == 14 ? ZLOGFS_IOC_APPLY : ZLOGFS_IOC_BOUNDARY);
}

void fuzz_walk(struct zus_local *local, bool rdonly, uint32_t steps)
{
	struct zus_local_info info;
	struct zus_statfs st;
	uint32_t i, n = steps % 16;

	walk.local = local;
	walk.n = 1;
	walk.steps = steps * 2654435761u + 1;
	walk.inos[0] = 1;
	memcpy(walk.paths[0], "/", 2);
	memset(walk.modes, 0, sizeof(walk.modes));
	zus_local_statfs(local, &st);
	walk.modes[0] = S_IFDIR;
	zus_local_info(local, &info);
	read_xattrs(&walk, info.root.handle);
	read_dir(&walk, 0, info.root.handle, 0);
	by_number(&walk);
	for (i = 0; !rdonly && i < n; i++)
		change_one(&walk);
}
