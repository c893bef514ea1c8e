// SPDX-License-Identifier: BSD-3-Clause
/* view.c - a filesystem's visible state in one canonical form. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mix.h"
#include "trace.h"
#include "view.h"

#define MEMORY_BYTES	(4u << 20)
#define BLOCK_BYTES	4096u
#define TARGET_BYTES	4096u

struct view *view_new(void)
{
	struct view *view = crash_alloc(1, sizeof(*view));

	view->nodes = crash_alloc(SPEC_NAMES + 1, sizeof(*view->nodes));
	return view;
}

void view_free(struct view *view)
{
	if (!view)
		return;
	free(view->nodes);
	free(view->memory);
	free(view);
}

static void reset(struct view *view)
{
	view->num_nodes = 0;
	view->used = 0;
	view->timed = false;
	view->broken[0] = 0;
}

/* ---------------------------------------------------------------- canonical */

static uint64_t hash_xattrs(const struct view_node *node)
{
	uint64_t hash = 0;
	uint32_t i;

	/* in no order */
	for (i = 0; i < node->num_xattrs; i++)
		hash += mix_bytes(mix_bytes(1, node->xattrs[i].name, strlen(node->xattrs[i].name)),
				  node->xattrs[i].value, node->xattrs[i].bytes);
	return hash;
}

static void hash_node(const struct view *view, struct view_node *node)
{
	const uint32_t fields[] = { node->mode, node->uid, node->gid, node->nlink };
	const char *first = view->nodes[node->first].path;

	node->attr_hash = mix_bytes(hash_xattrs(node), node->path, strlen(node->path));
	node->attr_hash = mix_bytes(node->attr_hash, fields, sizeof(fields));
	node->attr_hash = mix_bytes(node->attr_hash, first, strlen(first));
	node->data_hash = S_ISDIR(node->mode) ? 0 : mix_bytes(node->size, node->data, node->size);
	if (S_ISLNK(node->mode)) {
		node->attr_hash = mix64(node->attr_hash ^ node->data_hash);
		node->data_hash = 0;
	}
}

static int compare_nodes(const void *a, const void *b)
{
	return strcmp(((const struct view_node *)a)->path, ((const struct view_node *)b)->path);
}

static void finish(struct view *view)
{
	int i, first;

	qsort(view->nodes, (size_t)view->num_nodes, sizeof(*view->nodes), compare_nodes);
	view->hash = 0;
	for (i = 0; i < view->num_nodes; i++) {
		struct view_node *node = &view->nodes[i];

		for (first = 0; view->nodes[first].id != node->id; first++)
			;
		node->first = first;
		hash_node(view, node);
		view->hash = mix64(view->hash ^ node->attr_hash) + node->data_hash;
	}
}

/* false: it does not fit. */
static bool join(char *path, const char *dir, const char *name)
{
	return snprintf(path, SPEC_PATH_BYTES, "%s/%s", strcmp(dir, "/") != 0 ? dir : "", name) <
	       (int)SPEC_PATH_BYTES;
}

/* ----------------------------------------------------------- specification */

static struct view_node *add_spec_node(struct view *view, const struct spec *spec, int number)
{
	const struct spec_file *file = &spec->files[number];
	struct view_node *node = &view->nodes[view->num_nodes++];
	int i;

	*node = (struct view_node) {
		.id = (uint64_t)number, .mode = file->mode, .uid = file->uid, .gid = file->gid,
		.nlink = spec_links(spec, number), .size = file->size, .data = file->data,
	};
	for (i = 0; i < SPEC_XATTRS; i++)
		if (*file->xattrs[i].name)
			node->xattrs[node->num_xattrs++] = (struct view_xattr) {
				file->xattrs[i].name, file->xattrs[i].value, file->xattrs[i].bytes,
			};
	return node;
}

static void add_spec_dir(struct view *view, const struct spec *spec, int dir, const char *path)
{
	struct view_node *node;
	int i;

	for (i = 0; i < SPEC_NAMES; i++) {
		const struct spec_name *name = &spec->names[i];

		if (!*name->name || name->dir != dir)
			continue;
		node = add_spec_node(view, spec, name->file);
		join(node->path, path, name->name);
		if (S_ISDIR(node->mode))
			add_spec_dir(view, spec, name->file, node->path);
	}
}

void view_of_spec(struct view *view, const struct spec *spec)
{
	reset(view);
	memcpy(add_spec_node(view, spec, SPEC_ROOT)->path, "/", 2);
	add_spec_dir(view, spec, SPEC_ROOT, "/");
	finish(view);
}

/* --------------------------------------------------------------- filesystem */

struct reader {
	struct view *view;
	struct zus_local *local;
	const char *dir;	/* path */
	uint64_t dir_handle;
	int err;
};

static int broken(struct view *view, const char *path, const char *what)
{
	snprintf(view->broken, sizeof(view->broken), "%s: %s", path, what);
	return -EUCLEAN;
}

static char *take(struct view *view, size_t bytes)
{
	char *memory;

	if (bytes > MEMORY_BYTES - view->used)
		return NULL;
	/* of a specification there is no need */
	if (!view->memory)
		view->memory = malloc(MEMORY_BYTES);
	if (!view->memory)
		return NULL;
	memory = view->memory + view->used;
	view->used += (bytes + 63) / 64 * 64;
	return memory;
}

static int read_data(struct reader *reader, struct view_node *node, uint64_t handle)
{
	char *data = take(reader->view, node->size);
	struct zus_local_file *file;
	ssize_t got;
	int err;

	node->data = data;
	if (!data)
		return broken(reader->view, node->path, "the file is too long to be right");
	err = zus_handle_open(reader->local, handle, 0, &file);
	if (err)
		return err;
	got = zus_local_pread(file, data, node->size, 0);
	zus_local_close(file);
	if (got < 0)
		return (int)got;
	return (uint64_t)got == node->size ? 0 :
	       broken(reader->view, node->path, "fewer bytes than its size");
}

static int read_target(struct reader *reader, struct view_node *node, uint64_t handle)
{
	char *target = take(reader->view, TARGET_BYTES);
	int err;

	if (!target)
		return -ENOMEM;
	memset(target, 0, TARGET_BYTES);
	err = zus_handle_readlink(reader->local, handle, target, TARGET_BYTES);
	if (err < 0)
		return err;
	node->data = target;
	if (strlen(target) != node->size)
		return broken(reader->view, node->path, "target and size differ in length");
	return 0;
}

static int read_xattr(struct reader *reader, struct view_node *node, uint64_t handle,
		      const char *name)
{
	struct view_xattr *xattr = &node->xattrs[node->num_xattrs];
	struct view *view = reader->view;
	ssize_t bytes = zus_handle_getxattr(reader->local, handle, name, NULL, 0);
	char *value;

	if (bytes < 0)
		return (int)bytes;
	if (node->num_xattrs == SPEC_XATTRS)
		return broken(view, node->path, "more extended attributes than were set");
	value = take(view, (size_t)bytes);
	if (!value)
		return -ENOMEM;
	if (bytes && zus_handle_getxattr(reader->local, handle, name, value,
					 (size_t)bytes) != bytes)
		return broken(view, node->path, "an extended attribute changes its length");
	*xattr = (struct view_xattr) { name, value, (uint32_t)bytes };
	node->num_xattrs++;
	return 0;
}

static int read_xattrs(struct reader *reader, struct view_node *node, uint64_t handle)
{
	char *list, *name;
	ssize_t bytes;
	int err = 0;

	bytes = zus_handle_listxattr(reader->local, handle, NULL, 0);
	if (bytes == -EOPNOTSUPP || !bytes)
		return 0;
	list = bytes > 0 ? take(reader->view, (size_t)bytes) : NULL;
	if (bytes > 0)
		bytes = list ? zus_handle_listxattr(reader->local, handle, list, (size_t)bytes) :
			       -ENOMEM;
	for (name = list; !err && bytes > 0 && name < list + bytes; name += strlen(name) + 1)
		err = read_xattr(reader, node, handle, name);
	return bytes < 0 ? (int)bytes : err;
}

static int read_dir(struct reader *reader, uint64_t handle, const char *path);

static uint64_t hash_times(const struct zus_attr *attr)
{
	uint64_t hash = mix64((uint64_t)attr->mtime.sec) + (uint64_t)attr->mtime.nsec;

	return mix64(mix64(hash) ^ (uint64_t)attr->ctime.sec) + (uint64_t)attr->ctime.nsec;
}

static int read_node(struct reader *reader, const char *path, const struct zus_local_entry *entry)
{
	const struct zus_attr *attr = &entry->attr;
	struct view *view = reader->view;
	struct view_node *node;
	int err = 0;

	if (view->num_nodes > SPEC_NAMES)
		return broken(view, path, "more names than were made");
	node = &view->nodes[view->num_nodes++];
	*node = (struct view_node) {
		.id = attr->ino, .mode = attr->mode, .uid = attr->uid, .gid = attr->gid,
		.nlink = attr->nlink, .size = S_ISDIR(attr->mode) ? 0 : attr->size_bytes,
		.times_hash = hash_times(attr),
	};
	snprintf(node->path, sizeof(node->path), "%s", path);
	if (S_ISREG(attr->mode))
		err = read_data(reader, node, entry->handle);
	else if (S_ISLNK(attr->mode))
		err = read_target(reader, node, entry->handle);
	if (!err && !(attr->flags & ZUS_ATTR_NO_XATTRS))
		err = read_xattrs(reader, node, entry->handle);
	if (!err && S_ISDIR(attr->mode))
		err = read_dir(reader, entry->handle, node->path);
	return err;
}

/* What readdir says and lookup does must be the same. */
static int read_name(void *arg, const struct zus_local_dirent *dirent)
{
	struct reader *reader = arg;
	char path[SPEC_PATH_BYTES], name[ZUS_NAME_MAX + 1];
	struct zus_local_entry entry;

	snprintf(name, sizeof(name), "%.*s", (int)dirent->name.bytes, dirent->name.str);
	if (!join(path, reader->dir, name)) {
		reader->err = broken(reader->view, reader->dir, "a name too long to be right");
		return 1;
	}
	reader->err = zus_handle_lookup(reader->local, reader->dir_handle, &dirent->name, &entry);
	if (reader->err == -ENOENT)
		reader->err = broken(reader->view, path, "in readdir, but not to be found");
	if (reader->err)
		return 1;
	if (entry.attr.ino != dirent->ino ||
	    (dirent->type && dirent->type != (entry.attr.mode & S_IFMT) >> 12))
		reader->err = broken(reader->view, path, "readdir and lookup differ");
	else
		reader->err = read_node(reader, path, &entry);
	zus_local_forget(reader->local, entry.handle, 1);
	return reader->err != 0;
}

static int read_dir(struct reader *reader, uint64_t handle, const char *path)
{
	struct reader below = {
		.view = reader->view, .local = reader->local, .dir = path, .dir_handle = handle,
	};
	struct zus_local_file *file;
	int err = zus_handle_open(reader->local, handle, 0, &file);

	if (err)
		return err;
	err = zus_local_each_dirent(file, 0, 0, 0, read_name, &below);
	zus_local_close(file);
	return below.err ? below.err : err < 0 ? err : 0;
}

/* The root's attributes as they are now, not as they were when it was mounted. */
int view_read(struct view *view, struct zus_local *local)
{
	struct reader reader = { .view = view, .local = local };
	struct zus_local_info info;
	int err;

	reset(view);
	zus_local_info(local, &info);
	err = zus_handle_getattr(local, info.root.handle, &info.root.attr);
	if (!err)
		err = read_node(&reader, "/", &info.root);
	if (!err)
		finish(view);
	return err;
}

/* ------------------------------------------------------------------ compare */

static bool same_but_data(const struct view *a, const struct view *b)
{
	int i;

	if (a->num_nodes != b->num_nodes)
		return false;
	for (i = 0; i < a->num_nodes; i++)
		if (a->nodes[i].attr_hash != b->nodes[i].attr_hash)
			return false;
	return true;
}

/* Of states that reach so far one must have these bytes. */
static bool unit_known(const struct view_node *got, const struct view *const *states,
		       int num_states, int node, uint64_t off, uint64_t bytes)
{
	int i;

	for (i = 0; i < num_states; i++) {
		const struct view_node *one = &states[i]->nodes[node];

		if (one->size >= off + bytes && !memcmp(one->data + off, got->data + off, bytes))
			return true;
	}
	return false;
}

static bool size_known(const struct view_node *got, const struct view *const *states,
		       int num_states, int node)
{
	uint64_t min = UINT64_MAX, max = 0, size;
	int i;

	for (i = 0; i < num_states; i++) {
		size = states[i]->nodes[node].size;
		if (size == got->size)
			return true;
		min = size < min ? size : min;
		max = size > max ? size : max;
	}
	return got->size > min && got->size < max && got->size % BLOCK_BYTES == 0;
}

static bool node_known(const struct view_node *got, const struct view *const *states,
		       int num_states, int node, uint64_t unit)
{
	uint64_t off, bytes;

	if (!S_ISREG(got->mode))
		return true;
	if (!size_known(got, states, num_states, node))
		return false;
	for (off = 0; off < got->size; off += unit) {
		bytes = got->size - off < unit ? got->size - off : unit;
		if (!unit_known(got, states, num_states, node, off, bytes))
			return false;
	}
	return true;
}

void view_take_times(struct view *view, const struct view *got)
{
	int i;

	for (i = 0; i < view->num_nodes; i++)
		view->nodes[i].times_hash = got->nodes[i].times_hash;
	view->timed = true;
}

static bool same_times(const struct view *state, const struct view *got)
{
	int i;

	for (i = 0; state->timed && got->timed && i < got->num_nodes; i++)
		if (state->nodes[i].times_hash != got->nodes[i].times_hash)
			return false;
	return true;
}

int view_match(const struct view *got, const struct view *const *states, int num_states,
	       enum view_policy policy)
{
	const struct view *like[VIEW_STATES];
	int i, first = 0, num = 0;

	for (i = 0; i < num_states; i++)
		if (states[i]->hash == got->hash && same_times(states[i], got))
			return i;
	if (policy == VIEW_ATOMIC)
		return -1;
	for (i = 0; i < num_states && num < VIEW_STATES; i++) {
		if (!same_but_data(got, states[i]))
			continue;
		first = num ? first : i;
		like[num++] = states[i];
	}
	for (i = 0; i < got->num_nodes; i++)
		if (!num || !node_known(&got->nodes[i], like, num, i, policy == VIEW_BLOCK ?
					BLOCK_BYTES : TRACE_WORD_BYTES))
			return -1;
	return -2 - first;
}

/* -------------------------------------------------------------------- print */

/* As "4096x41 4096x00 100x42": runs of one byte, at most a few. */
static void print_data(const struct view_node *node, FILE *to)
{
	uint64_t off, start;
	int runs = 0;

	for (off = 0; off < node->size; off = start) {
		start = off;
		while (start < node->size && node->data[start] == node->data[off])
			start++;
		if (++runs > 8) {
			fprintf(to, " ... sum %016" PRIx64, node->data_hash);
			return;
		}
		fprintf(to, " %" PRIu64 "x%02x", start - off, (unsigned char)node->data[off]);
	}
}

static void print_node(const struct view *view, const struct view_node *node, char mark, FILE *to)
{
	uint32_t i;

	fprintf(to, "%c %s mode %o owner %u:%u links %u", mark, node->path, node->mode, node->uid,
		node->gid, node->nlink);
	if (&view->nodes[node->first] != node)
		fprintf(to, " is %s", view->nodes[node->first].path);
	for (i = 0; i < node->num_xattrs; i++)
		fprintf(to, " %s=%ux%02x", node->xattrs[i].name, node->xattrs[i].bytes,
			node->xattrs[i].bytes ? (unsigned char)*node->xattrs[i].value : 0);
	if (!S_ISDIR(node->mode))
		fprintf(to, " size %" PRIu64 ":", node->size);
	if (S_ISLNK(node->mode))
		fprintf(to, " %.40s", node->data);
	else if (S_ISREG(node->mode))
		print_data(node, to);
	fputc('\n', to);
}

void view_print(const struct view *view, FILE *to)
{
	int i;

	for (i = 0; i < view->num_nodes; i++)
		print_node(view, &view->nodes[i], ' ', to);
}

static bool same_node(const struct view_node *a, const struct view_node *b)
{
	return a->attr_hash == b->attr_hash && a->data_hash == b->data_hash;
}

static void print_times(const struct view *want, const struct view_node *a,
			const struct view *got, const struct view_node *b, FILE *to)
{
	if (want->timed && got->timed && a->times_hash != b->times_hash)
		fprintf(to, "~ %s has other times\n", b->path);
}

void view_print_diff(const struct view *want, const struct view *got, FILE *to)
{
	int w = 0, g = 0, order;

	while (w < want->num_nodes || g < got->num_nodes) {
		if (w == want->num_nodes || g == got->num_nodes)
			order = w == want->num_nodes ? 1 : -1;
		else
			order = strcmp(want->nodes[w].path, got->nodes[g].path);
		if (!order && same_node(&want->nodes[w], &got->nodes[g])) {
			print_times(want, &want->nodes[w], got, &got->nodes[g], to);
			w++;
			g++;
			continue;
		}
		if (order <= 0)
			print_node(want, &want->nodes[w++], '-', to);
		if (order >= 0)
			print_node(got, &got->nodes[g++], '+', to);
	}
}
