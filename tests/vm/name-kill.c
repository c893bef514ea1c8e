// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a task killed at any point of an operation on names, of an open or of the last
 *	close leaves the tree as it was before the operation or as it is after it, with
 *	readdir, lookup, link counts, sizes and targets that fit together, in the caches and
 *	at the server; in the end no inode, handle or block is lost.
 * Method: children named zkill change twelve names in two directories of $DATA_DIR; the
 *	module kills them at each of the points below, NAME_KILLS times (default 50), and
 *	counts. The child's model is shared memory; what it was about to do stands beside it.
 *	The tree that is found has to be the model, or the model with that operation done.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "killpoint.h"
#include "vmtest.h"

#define NAMES		12u
#define SLOTS		6u		/* of them in a directory */
#define DIRS		(NAMES / SLOTS)
#define OBJECTS		(NAMES + 1)	/* one more than can have a name */
#define MAX_BYTES	20000u
#define CHILD_OPS	30
#define PATH_BYTES	32
#define REASON_BYTES	160

enum kind {
	OP_NONE, OP_CREATE, OP_MKDIR, OP_SYMLINK, OP_LINK, OP_RENAME, OP_UNLINK, OP_RMDIR,
	OP_WRITE, OP_OPEN, OP_CLOSE, OP_KINDS
};

static const char *const kind_names[OP_KINDS] = {
	"none", "create", "mkdir", "symlink", "link", "rename", "unlink", "rmdir",
	"write", "open", "close",
};

struct op {
	enum kind kind;
	unsigned int from, to;		/* names; from alone, where there is one */
	unsigned int flags;		/* RENAME_* */
	off_t bytes;			/* OP_WRITE: the file's size after it */
};

struct object {
	mode_t type;			/* 0: not in use */
	unsigned int nlink;
	off_t size;
	unsigned int target;		/* OP_SYMLINK: its text is this number */
	ino_t ino;			/* 0: not seen yet; the parent's */
};

struct model {
	struct object object[OBJECTS];
	int name[NAMES];		/* index of its object; -1: no such name */
	unsigned int targets;
};

struct shared {
	struct op op;			/* what is under way */
	struct model model;
};

/* What readdir and lookup say. */
struct found {
	bool there;
	struct stat st;
	char target[PATH_BYTES];
};

static struct shared *shared;
static unsigned long old_found[OP_KINDS], new_found[OP_KINDS];

static const struct kp_point points[] = {
	{ "claimed", 7 }, { "filled", 7 }, { "sent", 7 }, { "replying", 7 }, { "stored", 7 },
	{ "done", 7 }, { "name_changed", 5 }, { "release", 3 },
};

static const char *path_of(unsigned int name, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "%c/n%u", 'a' + name / SLOTS, name % SLOTS);
	return path;
}

/* -------------------------------------------------------------------- model */

static struct object *object_at(struct model *m, unsigned int name)
{
	return m->name[name] < 0 ? NULL : &m->object[m->name[name]];
}

static void model_add(struct model *m, unsigned int name, mode_t type)
{
	struct object object = { .type = type, .nlink = S_ISDIR(type) ? 2 : 1 };
	int i;

	if (S_ISLNK(type)) {
		char text[PATH_BYTES];

		object.target = m->targets++;
		object.size = snprintf(text, sizeof(text), "target-%u", object.target);
	}
	for (i = 0; m->object[i].type; i++)
		;
	m->object[i] = object;
	m->name[name] = i;
}

static void model_drop(struct model *m, unsigned int name)
{
	struct object *object = object_at(m, name);

	object->nlink -= S_ISDIR(object->type) ? 2 : 1;
	if (!object->nlink)
		object->type = 0;
	m->name[name] = -1;
}

static void model_rename(struct model *m, const struct op *op)
{
	int from = m->name[op->from], to = m->name[op->to];

	if (from == to)
		return;		/* two names of one inode: nothing is done */
	if (op->flags & RENAME_EXCHANGE) {
		m->name[op->from] = to;
		m->name[op->to] = from;
		return;
	}
	if (to >= 0)
		model_drop(m, op->to);
	m->name[op->to] = from;
	m->name[op->from] = -1;
}

static void apply(struct model *m, const struct op *op)
{
	switch (op->kind) {
	case OP_CREATE:
		model_add(m, op->from, S_IFREG);
		break;
	case OP_MKDIR:
		model_add(m, op->from, S_IFDIR);
		break;
	case OP_SYMLINK:
		model_add(m, op->from, S_IFLNK);
		break;
	case OP_LINK:
		m->name[op->to] = m->name[op->from];
		object_at(m, op->from)->nlink++;
		break;
	case OP_RENAME:
		model_rename(m, op);
		break;
	case OP_UNLINK:
	case OP_RMDIR:
		model_drop(m, op->from);
		break;
	case OP_WRITE:
		object_at(m, op->from)->size = op->bytes;
		break;
	case OP_NONE:
	case OP_OPEN:
	case OP_CLOSE:
	case OP_KINDS:
		break;
	}
}

/* -------------------------------------------------------------------- child */

static void begin(const struct op *op)
{
	shared->op = *op;
}

/* A kill comes as a call ends, never between these. */
static void end(bool done)
{
	if (!done)
		_exit((int)shared->op.kind);
	apply(&shared->model, &shared->op);
	shared->op.kind = OP_NONE;
}

static void child_close(int fd, unsigned int name)
{
	begin(&(struct op) { .kind = OP_CLOSE, .from = name });
	end(!close(fd));
}

static int child_open(unsigned int name, int flags)
{
	char path[PATH_BYTES];
	int fd;

	begin(&(struct op) { .kind = OP_OPEN, .from = name });
	fd = open(path_of(name, path), flags | O_CLOEXEC);
	end(fd >= 0);
	return fd;
}

static void child_make(unsigned int name)
{
	static const enum kind kinds[] = { OP_CREATE, OP_CREATE, OP_MKDIR, OP_SYMLINK };
	enum kind kind = kinds[vt_random() % 4];
	char path[PATH_BYTES], target[PATH_BYTES];
	int fd;

	path_of(name, path);
	begin(&(struct op) { .kind = kind, .from = name });
	if (kind == OP_MKDIR) {
		end(!mkdir(path, 0755));
	} else if (kind == OP_SYMLINK) {
		snprintf(target, sizeof(target), "target-%u", shared->model.targets);
		end(!symlink(target, path));
	} else {
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		end(fd >= 0);
		child_close(fd, name);
	}
}

static void child_link(unsigned int from, unsigned int to)
{
	char old_path[PATH_BYTES], new_path[PATH_BYTES];

	begin(&(struct op) { .kind = OP_LINK, .from = from, .to = to });
	end(!link(path_of(from, old_path), path_of(to, new_path)));
}

static void child_rename(unsigned int from, unsigned int to)
{
	struct op op = { .kind = OP_RENAME, .from = from, .to = to };
	struct object *source = object_at(&shared->model, from);
	struct object *target = object_at(&shared->model, to);
	char old_path[PATH_BYTES], new_path[PATH_BYTES];

	if (!target)
		op.flags = vt_random() % 2 ? RENAME_NOREPLACE : 0;
	else if (S_ISDIR(source->type) != S_ISDIR(target->type) || vt_random() % 2)
		op.flags = RENAME_EXCHANGE;
	begin(&op);
	end(!renameat2(AT_FDCWD, path_of(from, old_path), AT_FDCWD, path_of(to, new_path),
		       op.flags));
}

/* Longer by some bytes, so that there are blocks to lose. */
static void child_write(unsigned int name)
{
	off_t size = object_at(&shared->model, name)->size;
	static char buf[MAX_BYTES];
	size_t len;
	int fd;

	if (size >= (off_t)MAX_BYTES)
		return;
	len = 1 + vt_random() % (MAX_BYTES - (size_t)size);
	fd = child_open(name, O_RDWR);
	begin(&(struct op) { .kind = OP_WRITE, .from = name, .bytes = size + (off_t)len });
	end(pwrite(fd, buf, len, size) == (ssize_t)len);
	child_close(fd, name);
}

/* Half of the files are open as they lose their name: the last close frees them. */
static void child_remove(unsigned int name)
{
	mode_t type = object_at(&shared->model, name)->type;
	char path[PATH_BYTES];
	int fd = -1;

	path_of(name, path);
	if (!S_ISLNK(type) && vt_random() % 2)
		fd = child_open(name, O_RDONLY);
	begin(&(struct op) { .kind = S_ISDIR(type) ? OP_RMDIR : OP_UNLINK, .from = name });
	end(S_ISDIR(type) ? !rmdir(path) : !unlink(path));
	if (fd >= 0)
		child_close(fd, name);
}

static void child_op(void)
{
	unsigned int name = vt_random() % NAMES, other = vt_random() % NAMES;
	struct object *object = object_at(&shared->model, name);
	unsigned int choice = vt_random() % 8;

	if (!object)
		child_make(name);
	else if (S_ISREG(object->type) && choice < 2)
		child_write(name);
	else if (!S_ISDIR(object->type) && choice < 4 && !object_at(&shared->model, other))
		child_link(name, other);
	else if (choice < 6)
		child_rename(name, other);
	else
		child_remove(name);
}

static void child(void)
{
	unsigned int i;

	for (i = 0; i < CHILD_OPS; i++)
		child_op();
}

/* ------------------------------------------------------------------- parent */

static void read_names(unsigned int dir, struct found *found)
{
	char path[] = { (char)('a' + dir), 0 };
	DIR *stream = opendir(path);
	struct dirent *de;
	unsigned int slot;

	ck_assert_ptr_nonnull(stream);
	while ((errno = 0, de = readdir(stream))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		slot = (unsigned int)(de->d_name[1] - '0');
		ck_assert_msg(de->d_name[0] == 'n' && slot < SLOTS && !de->d_name[2],
			      "readdir: a name %s that nobody made", de->d_name);
		found += dir * SLOTS + slot;
		ck_assert_msg(!found->there, "readdir: %s twice in %s", de->d_name, path);
		found->there = true;
		found->st.st_ino = de->d_ino;
		found->st.st_mode = DTTOIF(de->d_type);
		found -= dir * SLOTS + slot;
	}
	ck_assert_int_eq(errno, 0);
	closedir(stream);
}

/* A read waits for a write that the server may still be ending; stat(2) does not. */
static void await_write(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char byte;

	if (fd < 0)
		return;
	ck_assert_int_ge(pread(fd, &byte, 1, 0), 0);
	close(fd);
}

/* readdir comes first: it waits for changes that the server may still be making. */
static void find_all(struct found found[NAMES])
{
	char path[PATH_BYTES];
	struct stat st;
	unsigned int i;
	ssize_t len;

	memset(found, 0, sizeof(*found) * NAMES);
	for (i = 0; i < DIRS; i++)
		read_names(i, found);
	if (shared->op.kind == OP_WRITE)
		await_write(path_of(shared->op.from, path));
	for (i = 0; i < NAMES; i++, found++) {
		path_of(i, path);
		if (lstat(path, &st)) {
			ck_assert_msg(errno == ENOENT, "%s: %s", path, strerror(errno));
			ck_assert_msg(!found->there, "readdir has %s, lookup has not", path);
			continue;
		}
		ck_assert_msg(found->there, "lookup has %s, readdir has not", path);
		ck_assert_msg(st.st_ino == found->st.st_ino &&
			      (st.st_mode & S_IFMT) == found->st.st_mode,
			      "%s: readdir has inode %lu type %o, lookup %lu %o", path,
			      (unsigned long)found->st.st_ino, found->st.st_mode,
			      (unsigned long)st.st_ino, st.st_mode & S_IFMT);
		found->st = st;
		if (!S_ISLNK(st.st_mode))
			continue;
		len = readlink(path, found->target, sizeof(found->target) - 1);
		ck_assert_msg(len == (ssize_t)st.st_size, "%s: target of %zd bytes, size %lld",
			      path, len, (long long)st.st_size);
	}
}

/* Is @found as @object has it? Learns the inode number of one not seen before. */
static bool name_fits(const char *path, struct object *object, const struct found *found,
		      char reason[REASON_BYTES])
{
	const struct stat *st = &found->st;
	char target[PATH_BYTES] = "";

	if (found->there != !!object) {
		snprintf(reason, REASON_BYTES, "%s is %sthere", path, object ? "not " : "");
		return false;
	}
	if (!object)
		return true;
	if (!object->ino)
		object->ino = st->st_ino;
	if (S_ISLNK(object->type))
		snprintf(target, sizeof(target), "target-%u", object->target);
	if (st->st_ino == object->ino && (st->st_mode & S_IFMT) == object->type &&
	    st->st_nlink == object->nlink && !strcmp(target, found->target) &&
	    (S_ISDIR(object->type) || st->st_size == object->size))
		return true;
	snprintf(reason, REASON_BYTES,
		 "%s: inode %lu type %o nlink %u size %lld target %s, not %lu %o %u %lld %s", path,
		 (unsigned long)st->st_ino, st->st_mode & S_IFMT, (unsigned int)st->st_nlink,
		 (long long)st->st_size, found->target, (unsigned long)object->ino, object->type,
		 object->nlink, (long long)object->size, target);
	return false;
}

/* No two objects are one inode, and the directories count their own. */
static bool tree_fits(struct model *m, char reason[REASON_BYTES])
{
	unsigned int i, j, subdirs[DIRS] = { 0 };
	struct stat st;

	for (i = 0; i < OBJECTS; i++)
		for (j = 0; j < i; j++) {
			if (!m->object[i].type || !m->object[j].type ||
			    m->object[i].ino != m->object[j].ino)
				continue;
			snprintf(reason, REASON_BYTES, "two files have inode number %lu",
				 (unsigned long)m->object[i].ino);
			return false;
		}
	for (i = 0; i < NAMES; i++)
		subdirs[i / SLOTS] += object_at(m, i) && S_ISDIR(object_at(m, i)->type);
	for (i = 0; i < DIRS; i++) {
		ck_assert_int_eq(stat(i ? "b" : "a", &st), 0);
		if (st.st_nlink == 2 + subdirs[i])
			continue;
		snprintf(reason, REASON_BYTES, "directory %u: nlink %u with %u subdirectories", i,
			 (unsigned int)st.st_nlink, subdirs[i]);
		return false;
	}
	return true;
}

static bool fits(struct model *m, const struct found *found, char reason[REASON_BYTES])
{
	char path[PATH_BYTES];
	unsigned int i;

	for (i = 0; i < NAMES; i++)
		if (!name_fits(path_of(i, path), object_at(m, i), &found[i], reason))
			return false;
	return tree_fits(m, reason);
}

static const char *doing(void)
{
	static char text[80];
	struct op *op = &shared->op;

	snprintf(text, sizeof(text), "%s of %u to %u, flags %u", kind_names[op->kind], op->from,
		 op->to, op->flags);
	return text;
}

/* Old or new; of a write, which may be cut short, any size between them. */
static void settle(const char *point, unsigned int round)
{
	char reason_old[REASON_BYTES] = "", reason_new[REASON_BYTES] = "";
	struct model before = shared->model, after = shared->model;
	struct found found[NAMES];
	struct op op = shared->op;
	bool is_old, is_new;

	find_all(found);
	if (op.kind == OP_WRITE && found[op.from].there &&
	    found[op.from].st.st_size > object_at(&before, op.from)->size &&
	    found[op.from].st.st_size < op.bytes)
		op.bytes = found[op.from].st.st_size;
	apply(&after, &op);
	is_old = fits(&before, found, reason_old);
	is_new = fits(&after, found, reason_new);
	ck_assert_msg(is_old || is_new,
		      "%s, child %u: neither before nor after %s:\n"
		      "not before: %s\nnot after: %s", point, round, doing(), reason_old,
		      reason_new);
	shared->model = is_new ? after : before;
	shared->op.kind = OP_NONE;
	old_found[op.kind] += is_old;
	new_found[op.kind] += is_new && !is_old;
}

static void drop_caches(void)
{
	vt_write("/proc/sys/vm/drop_caches", "2");
}

/* What the caches have, then what the server has; every other child finds them empty. */
static void check(const char *point, unsigned int round)
{
	settle(point, round);
	if (round % 2)
		return;
	drop_caches();
	settle(point, round);
	drop_caches();
}

static void remove_all(void)
{
	char path[PATH_BYTES];
	unsigned int i;

	for (i = 0; i < NAMES; i++)
		if (shared->model.name[i] >= 0)
			ck_assert_msg(!remove(path_of(i, path)), "%s: %s", path, strerror(errno));
	ck_assert_int_eq(rmdir("a"), 0);
	ck_assert_int_eq(rmdir("b"), 0);
}

struct usage {
	uint64_t inodes, free_blocks;
};

static struct usage usage(void)
{
	struct statfs st;

	ck_assert_int_eq(statfs(".", &st), 0);
	return (struct usage) { st.f_files - st.f_ffree, st.f_bfree };
}

/* FORGETs take their time; a file without a name waits for no shortage of memory. */
static bool all_free(void *arg)
{
	struct usage now = usage();

	return !memcmp(&now, arg, sizeof(now));
}

/* The server counts an inode until its name, handles and users are all gone. */
static void check_usage(struct usage before)
{
	struct usage now = usage();

	printf("inodes and free blocks: %llu %llu at first, %llu %llu after the removal\n",
	       (unsigned long long)before.inodes, (unsigned long long)before.free_blocks,
	       (unsigned long long)now.inodes, (unsigned long long)now.free_blocks);
	fflush(stdout);
	vt_await(all_free, &before, "every inode and block to be free again");
	vt_await_number(vt_mount_id(), "orphans", 0);
	vt_await_number(vt_mount_id(), "inflight", 0);
}

static const struct kp_test kills = {
	.points = points,
	.num_points = sizeof(points) / sizeof(points[0]),
	.child = child,
	.check = check,
	.doing = doing,
};

START_TEST(killed_at_each_point)
{
	unsigned int count = kp_kills("NAME_KILLS"), i;
	struct usage before = usage();

	shared = vt_shared(sizeof(*shared));
	for (i = 0; i < NAMES; i++)
		shared->model.name[i] = -1;
	ck_assert_int_eq(mkdir("a", 0755), 0);
	ck_assert_int_eq(mkdir("b", 0755), 0);
	kp_run(&kills, count);
	for (i = OP_CREATE; i < OP_KINDS; i++) {
		printf("under way: %s, found not done %lu, done %lu\n", kind_names[i],
		       old_found[i], new_found[i]);
		ck_assert_msg(count < 50 || old_found[i] + new_found[i], "no kill was in %s",
			      kind_names[i]);
	}
	remove_all();
	check_usage(before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name-kill");
	TCase *tcase = tcase_create("name-kill");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, killed_at_each_point);
	suite_add_tcase(suite, tcase);
	return vt_data_main(suite);
}
