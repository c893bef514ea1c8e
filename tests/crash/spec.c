// SPDX-License-Identifier: BSD-3-Clause
/* spec.c - what a filesystem shall do, as a program. */
#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "spec.h"
#include "trace.h"

/* -------------------------------------------------------------------- files */

static char *copy_bytes(const void *from, uint64_t bytes)
{
	char *to = crash_alloc(1, bytes);

	if (bytes)
		memcpy(to, from, bytes);
	return to;
}

static void clear_file(struct spec_file *file)
{
	int i;

	free(file->data);
	for (i = 0; i < SPEC_XATTRS; i++)
		free(file->xattrs[i].value);
	memset(file, 0, sizeof(*file));
}

struct spec *spec_new(uint32_t root_mode, uint32_t root_uid, uint32_t root_gid)
{
	struct spec *spec = crash_alloc(1, sizeof(*spec));

	spec->files[SPEC_ROOT] = (struct spec_file) {
		.mode = root_mode, .uid = root_uid, .gid = root_gid,
	};
	return spec;
}

struct spec *spec_copy(const struct spec *spec)
{
	struct spec *copy = crash_alloc(1, sizeof(*copy));
	int i, x;

	*copy = *spec;
	for (i = 0; i < SPEC_FILES; i++) {
		struct spec_file *file = &copy->files[i];

		if (file->data)
			file->data = copy_bytes(file->data, file->size);
		for (x = 0; x < SPEC_XATTRS; x++)
			if (file->xattrs[x].value)
				file->xattrs[x].value = copy_bytes(file->xattrs[x].value,
								   file->xattrs[x].bytes);
	}
	return copy;
}

void spec_free(struct spec *spec)
{
	int i;

	for (i = 0; spec && i < SPEC_FILES; i++)
		clear_file(&spec->files[i]);
	free(spec);
}

static bool is_dir(const struct spec *spec, int file)
{
	return S_ISDIR(spec->files[file].mode);
}

static void set_size(struct spec_file *file, uint64_t size)
{
	char *data = crash_alloc(1, size);

	if (file->data)
		memcpy(data, file->data, size < file->size ? size : file->size);
	free(file->data);
	file->data = data;
	file->size = size;
}

/* -------------------------------------------------------------------- names */

static struct spec_name *find_name(const struct spec *spec, int dir, const char *name)
{
	int i;

	for (i = 0; i < SPEC_NAMES; i++)
		if (*spec->names[i].name && spec->names[i].dir == dir &&
		    !strcmp(spec->names[i].name, name))
			return (struct spec_name *)&spec->names[i];
	return NULL;
}

/* The directory of the path's last name, or an error; name is "" for the root itself. */
static int walk(const struct spec *spec, const char *path, char *name)
{
	const struct spec_name *found;
	int dir = SPEC_ROOT;
	size_t bytes;

	*name = 0;
	while (*(path += strspn(path, "/"))) {
		if (*name) {
			found = find_name(spec, dir, name);
			if (!found || !is_dir(spec, found->file))
				return found ? -ENOTDIR : -ENOENT;
			dir = found->file;
		}
		bytes = strcspn(path, "/");
		if (bytes >= SPEC_NAME_BYTES)
			return -ENAMETOOLONG;
		memcpy(name, path, bytes);
		name[bytes] = 0;
		path += bytes;
	}
	return dir;
}

int spec_find(const struct spec *spec, const char *path)
{
	char name[SPEC_NAME_BYTES];
	const struct spec_name *found;
	int dir = walk(spec, path, name);

	if (dir < 0 || !*name)
		return dir;
	found = find_name(spec, dir, name);
	return found ? found->file : -ENOENT;
}

/* A name that is there: 0. */
static int find_path(struct spec *spec, const char *path, struct spec_name **found)
{
	char name[SPEC_NAME_BYTES];
	int dir = walk(spec, path, name);

	if (dir < 0)
		return dir;
	if (!*name)
		return -EBUSY;
	*found = find_name(spec, dir, name);
	return *found ? 0 : -ENOENT;
}

uint32_t spec_links(const struct spec *spec, int file)
{
	uint32_t links = is_dir(spec, file) ? 2 : 0;
	int i;

	for (i = 0; i < SPEC_NAMES; i++) {
		const struct spec_name *name = &spec->names[i];

		if (!*name->name)
			continue;
		if (is_dir(spec, file))
			links += name->dir == file && is_dir(spec, name->file);
		else
			links += name->file == file;
	}
	return links;
}

static bool is_empty(const struct spec *spec, int dir)
{
	int i;

	for (i = 0; i < SPEC_NAMES; i++)
		if (*spec->names[i].name && spec->names[i].dir == dir)
			return false;
	return true;
}

static int add_name(struct spec *spec, int dir, const char *name, int file)
{
	int i;

	for (i = 0; i < SPEC_NAMES; i++)
		if (!*spec->names[i].name) {
			spec->names[i] = (struct spec_name) { .dir = dir, .file = file };
			memcpy(spec->names[i].name, name, strlen(name) + 1);
			return 0;
		}
	return -ENOSPC;
}

/* The file goes with its last name. */
static void remove_name(struct spec *spec, struct spec_name *name)
{
	int file = name->file;

	name->name[0] = 0;
	if (is_dir(spec, file) || !spec_links(spec, file))
		clear_file(&spec->files[file]);
}

/* A new file's number. */
static int make(struct spec *spec, const char *path, uint32_t mode)
{
	char name[SPEC_NAME_BYTES];
	int dir = walk(spec, path, name), file, err;

	if (dir < 0)
		return dir;
	if (!*name || find_name(spec, dir, name))
		return -EEXIST;
	for (file = 1; file < SPEC_FILES && spec->files[file].mode; file++)
		;
	if (file == SPEC_FILES)
		return -ENOSPC;
	err = add_name(spec, dir, name, file);
	if (err)
		return err;
	spec->files[file].mode = mode;
	return file;
}

int spec_create(struct spec *spec, const char *path, uint32_t mode)
{
	int file = make(spec, path, S_IFREG | mode);

	return file < 0 ? file : 0;
}

int spec_mkdir(struct spec *spec, const char *path, uint32_t mode)
{
	int file = make(spec, path, S_IFDIR | mode);

	return file < 0 ? file : 0;
}

int spec_symlink(struct spec *spec, const char *target, const char *path)
{
	int file = make(spec, path, S_IFLNK | 0777);

	if (file < 0)
		return file;
	spec->files[file].size = strlen(target);
	spec->files[file].data = copy_bytes(target, strlen(target));
	return 0;
}

int spec_link(struct spec *spec, const char *old_path, const char *path)
{
	char name[SPEC_NAME_BYTES];
	int file = spec_find(spec, old_path), dir;

	if (file < 0)
		return file;
	if (is_dir(spec, file))
		return -EPERM;
	dir = walk(spec, path, name);
	if (dir < 0)
		return dir;
	if (!*name || find_name(spec, dir, name))
		return *name ? -EEXIST : -EBUSY;
	return add_name(spec, dir, name, file);
}

int spec_unlink(struct spec *spec, const char *path)
{
	struct spec_name *name;
	int err = find_path(spec, path, &name);

	if (!err && is_dir(spec, name->file))
		err = -EISDIR;
	if (!err)
		remove_name(spec, name);
	return err;
}

int spec_rmdir(struct spec *spec, const char *path)
{
	struct spec_name *name;
	int err = find_path(spec, path, &name);

	if (!err && !is_dir(spec, name->file))
		err = -ENOTDIR;
	if (!err && !is_empty(spec, name->file))
		err = -ENOTEMPTY;
	if (!err)
		remove_name(spec, name);
	return err;
}

/* ------------------------------------------------------------------- rename */

/* path is below above, in the tree that paths name. */
static bool below(const char *path, const char *above)
{
	size_t bytes = strlen(above);

	return !strncmp(path, above, bytes) && (path[bytes] == '/' || above[bytes - 1] == '/') &&
	       path[bytes];
}

static int check_target(const struct spec *spec, int from, int to)
{
	if (is_dir(spec, from) && !is_dir(spec, to))
		return -ENOTDIR;
	if (!is_dir(spec, from) && is_dir(spec, to))
		return -EISDIR;
	return is_dir(spec, to) && !is_empty(spec, to) ? -ENOTEMPTY : 0;
}

static int rename_over(struct spec *spec, struct spec_name *from, struct spec_name *to)
{
	int err = check_target(spec, from->file, to->file), file = from->file;

	if (err)
		return err;
	from->name[0] = 0;
	if (is_dir(spec, to->file) || spec_links(spec, to->file) == 1)
		clear_file(&spec->files[to->file]);
	to->file = file;
	return 0;
}

static int rename_plain(struct spec_name *from, int dir, const char *name)
{
	from->dir = dir;
	memcpy(from->name, name, strlen(name) + 1);
	return 0;
}

int spec_rename(struct spec *spec, const char *old_path, const char *path, uint32_t flags)
{
	bool exchange = flags & RENAME_EXCHANGE;
	char old_name[SPEC_NAME_BYTES], name[SPEC_NAME_BYTES];
	struct spec_name *from, *to;
	int old_dir, dir, file;

	if (below(path, old_path))
		return -EINVAL;
	if (below(old_path, path))
		return exchange ? -EINVAL : -ENOTEMPTY;
	/* directories first, as rename(2) does */
	old_dir = walk(spec, old_path, old_name);
	dir = old_dir < 0 ? old_dir : walk(spec, path, name);
	if (dir < 0)
		return dir;
	if (!*old_name || !*name)
		return -EBUSY;
	from = find_name(spec, old_dir, old_name);
	if (!from)
		return -ENOENT;
	to = find_name(spec, dir, name);
	if (!to)
		return exchange ? -ENOENT : rename_plain(from, dir, name);
	if (flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (to->file == from->file)
		return 0;
	if (!exchange)
		return rename_over(spec, from, to);
	file = from->file;
	from->file = to->file;
	to->file = file;
	return 0;
}

/* --------------------------------------------------------------------- data */

static int find_regular(struct spec *spec, const char *path, struct spec_file **file)
{
	int number = spec_find(spec, path);

	if (number < 0)
		return number;
	*file = &spec->files[number];
	return S_ISREG((*file)->mode) ? 0 : -EINVAL;
}

int spec_write(struct spec *spec, const char *path, const char *data, uint64_t bytes,
	       uint64_t off)
{
	struct spec_file *file;
	int err = find_regular(spec, path, &file);

	if (err)
		return err;
	if (off + bytes > SPEC_FILE_BYTES)
		return -EFBIG;
	if (off + bytes > file->size)
		set_size(file, off + bytes);
	memcpy(file->data + off, data, bytes);
	return 0;
}

int spec_truncate(struct spec *spec, const char *path, uint64_t size)
{
	struct spec_file *file;
	int err = find_regular(spec, path, &file);

	if (!err && size > SPEC_FILE_BYTES)
		err = -EFBIG;
	if (!err)
		set_size(file, size);
	return err;
}

int spec_zero(struct spec *spec, const char *path, uint64_t off, uint64_t bytes)
{
	struct spec_file *file;
	int err = find_regular(spec, path, &file);

	if (err || off >= file->size)
		return err;
	memset(file->data + off, 0, bytes < file->size - off ? bytes : file->size - off);
	return 0;
}

/* The bytes from off on move, over what is collapsed or behind what is inserted. */
static int shift(struct spec_file *file, bool insert, uint64_t off, uint64_t bytes)
{
	uint64_t end = insert ? off : off + bytes, size = file->size;

	if ((off | bytes) % 4096 || end >= size)
		return -EINVAL;
	if (insert && size + bytes > SPEC_FILE_BYTES)
		return -EFBIG;
	if (insert)
		set_size(file, size + bytes);
	memmove(file->data + (insert ? off + bytes : off), file->data + end, size - end);
	if (insert)
		memset(file->data + off, 0, bytes);
	else
		set_size(file, size - bytes);
	return 0;
}

int spec_fallocate(struct spec *spec, const char *path, uint32_t mode, uint64_t off,
		   uint64_t bytes)
{
	struct spec_file *file;
	int err = find_regular(spec, path, &file);

	if (!err && off + bytes > SPEC_FILE_BYTES)
		err = -EFBIG;
	if (err)
		return err;
	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		return shift(file, mode & FALLOC_FL_INSERT_RANGE, off, bytes);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		spec_zero(spec, path, off, bytes);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && off + bytes > file->size)
		set_size(file, off + bytes);
	return 0;
}

int spec_clone(struct spec *spec, const char *from_path, uint64_t off, uint64_t bytes,
	       const char *path, uint64_t to_off)
{
	struct spec_file *from, *to;
	uint64_t between = off < to_off ? to_off - off : off - to_off;
	int err = spec_find(spec, from_path), other = spec_find(spec, path);
	char *data;

	/* both are opened first */
	err = err < 0 ? err : other < 0 ? other : find_regular(spec, from_path, &from);
	if (!err)
		err = find_regular(spec, path, &to);
	if (!err && ((off | to_off) % 4096 || off + bytes > from->size ||
		     (bytes % 4096 && (off + bytes < from->size || to_off + bytes < to->size)) ||
		     (from == to && between < bytes)))
		err = -EINVAL;
	if (err)
		return err;
	data = copy_bytes(from->data + off, bytes);	/* to may be the same, and move */
	err = spec_write(spec, path, data, bytes, to_off);
	free(data);
	return err;
}

/* --------------------------------------------------------------- attributes */

int spec_chmod(struct spec *spec, const char *path, uint32_t mode)
{
	int file = spec_find(spec, path);

	if (file < 0)
		return file;
	spec->files[file].mode = (spec->files[file].mode & S_IFMT) | (mode & 07777);
	return 0;
}

/* name "": a free one. */
static struct spec_xattr *find_xattr(struct spec *spec, int file, const char *name)
{
	int i;

	for (i = 0; i < SPEC_XATTRS; i++)
		if (!strcmp(spec->files[file].xattrs[i].name, name))
			return &spec->files[file].xattrs[i];
	return NULL;
}

int spec_setxattr(struct spec *spec, const char *path, const char *name, const void *value,
		  uint32_t bytes)
{
	int file = spec_find(spec, path);
	struct spec_xattr *xattr;

	if (file < 0)
		return file;
	xattr = find_xattr(spec, file, name);
	if (!xattr)
		xattr = find_xattr(spec, file, "");
	if (!xattr || strlen(name) >= SPEC_NAME_BYTES)
		return -ENOSPC;
	memcpy(xattr->name, name, strlen(name) + 1);
	free(xattr->value);
	xattr->value = copy_bytes(value, bytes);
	xattr->bytes = bytes;
	return 0;
}

int spec_removexattr(struct spec *spec, const char *path, const char *name)
{
	int file = spec_find(spec, path);
	struct spec_xattr *xattr;

	if (file < 0)
		return file;
	xattr = find_xattr(spec, file, name);
	if (!xattr)
		return -ENODATA;
	free(xattr->value);
	memset(xattr, 0, sizeof(*xattr));
	return 0;
}
