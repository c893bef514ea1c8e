// SPDX-License-Identifier: BSD-3-Clause
/*
 * local.c - the local transport by handles, as what stands on it uses it: callers and their
 * signals, references, ranges, invalidations. The plugin is toyfs, of which some callbacks
 * are looked into.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zus_api.h>

#include "unit.h"

#define BLOCK	4096ul
#define MIB	(1ull << 20)

static struct zus_local *fs;
static struct zus_local_info info;

/* ------------------------------------------------------- a plugin looked into */

static const struct zus_plugin *toyfs;
static struct zus_plugin plugin;
static struct zus_inode_ops inode_ops;
static struct zus_mount_ops mount_ops;

static struct zus_mount *mounted;
static struct zus_caller asked_by;
static sem_t in_lookup;
static uint64_t interrupted_id;
static int left_busy;		/* how often "busy" is so once a signal has come */

static int look_lookup(struct zus_req *req, struct zus_inode *dir, const struct zus_name *name,
		       struct zus_entry *out)
{
	asked_by = zus_req_caller(req);
	if (name->bytes == 4 && !memcmp(name->str, "busy", 4)) {
		sem_post(&in_lookup);
		return zus_req_interrupted(req) && !left_busy-- ? -ENOENT : ZUS_BUSY_RETRY;
	}
	if (name->bytes != 4 || memcmp(name->str, "wait", 4) != 0)
		return toyfs->inode_ops->lookup(req, dir, name, out);
	sem_post(&in_lookup);
	while (!zus_req_interrupted(req) ||
	       __atomic_load_n(&interrupted_id, __ATOMIC_ACQUIRE) != zus_req_id(req))
		usleep(100);
	return -EINTR;
}

static void look_interrupt(struct zus_mount *mount, uint64_t id)
{
	(void)mount;
	__atomic_store_n(&interrupted_id, id, __ATOMIC_RELEASE);
}

static int look_mount(struct zus_req *req, struct zus_mount *mount, struct zus_mount_out *out)
{
	mounted = mount;
	return toyfs->mount_ops->mount(req, mount, out);
}

static void make_plugin(void)
{
	toyfs = unit_plugin("toyfs");
	plugin = *toyfs;
	inode_ops = *toyfs->inode_ops;
	mount_ops = *toyfs->mount_ops;
	inode_ops.lookup = look_lookup;
	mount_ops.interrupt = look_interrupt;
	mount_ops.mount = look_mount;
	plugin.inode_ops = &inode_ops;
	plugin.mount_ops = &mount_ops;
	sem_init(&in_lookup, 0, 0);
}

static void setup(void)
{
	make_plugin();
	fs = unit_mount(&plugin, NULL, 1, 64 * MIB);
	zus_local_info(fs, &info);
}

static void teardown(void)
{
	/* of the root alone there are references */
	ck_assert_uint_eq(zus_local_inodes(fs), 1);
	ck_assert_int_eq(zus_local_umount(fs), 0);
}

static struct zus_name name_of(const char *str)
{
	return (struct zus_name) { str, (uint32_t)strlen(str) };
}

static uint64_t made(uint64_t dir, const char *name, uint32_t mode)
{
	const struct zus_create args = { .name = name_of(name), .mode = mode };
	struct zus_local_entry entry;

	ck_assert_int_eq(zus_handle_create(fs, dir, &args, &entry), 0);
	ck_assert_uint_eq(entry.attr.mode, mode);
	return entry.handle;
}

static int look(uint64_t dir, const char *name, struct zus_local_entry *entry)
{
	const struct zus_name str = name_of(name);

	return zus_handle_lookup(fs, dir, &str, entry);
}

static void gone(uint64_t dir, const char *name, bool is_dir)
{
	const struct zus_name str = name_of(name);

	ck_assert_int_eq(is_dir ? zus_handle_rmdir(fs, dir, &str) :
				  zus_handle_unlink(fs, dir, &str), 0);
}

/* -------------------------------------------------------------------- callers */

START_TEST(each_request_says_who_makes_it)
{
	struct zus_local_caller first = { .uid = 5, .gid = 6, .pid = 7 };
	struct zus_local_caller second = { .uid = 8, .gid = 9, .pid = 10 };
	struct zus_local_entry entry;

	ck_assert_int_eq(look(info.root.handle, "x", &entry), -ENOENT);
	ck_assert_uint_eq(asked_by.pid, (uint32_t)getpid());
	zus_local_as(&first);
	ck_assert_int_eq(look(info.root.handle, "x", &entry), -ENOENT);
	ck_assert(asked_by.uid == 5 && asked_by.gid == 6 && asked_by.pid == 7);
	zus_local_as(&second);
	ck_assert_int_eq(look(info.root.handle, "x", &entry), -ENOENT);
	ck_assert(asked_by.uid == 8 && asked_by.gid == 9 && asked_by.pid == 10);
	zus_local_as(NULL);
	ck_assert_int_eq(look(info.root.handle, "x", &entry), -ENOENT);
	ck_assert_uint_eq(asked_by.uid, getuid());
}
END_TEST

static struct zus_local_caller waiting;

static void *wait_in_lookup(void *name)
{
	struct zus_local_entry entry;
	intptr_t err;

	zus_local_as(&waiting);
	err = look(info.root.handle, name, &entry);
	zus_local_as(NULL);
	return (void *)err;
}

/* What a lookup of the name by another thread ends with, when its caller has a signal. */
static int signalled(char *name, int killed)
{
	pthread_t thread;
	void *err;

	waiting = (struct zus_local_caller) { .uid = 1 };
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_in_lookup, name), 0);
	sem_wait(&in_lookup);
	zus_local_interrupt(fs, &waiting, killed);
	ck_assert_int_eq(pthread_join(thread, &err), 0);
	return (int)(intptr_t)err;
}

START_TEST(a_signal_reaches_the_request)
{
	ck_assert_int_eq(signalled("wait", 0), -EINTR);
	/* what the plugin puts off goes on, unless the caller is to end */
	left_busy = 100;
	ck_assert_int_eq(signalled("busy", 0), -ENOENT);
	left_busy = 1 << 30;
	ck_assert_int_eq(signalled("busy", 1), -EINTR);
}
END_TEST

/* ---------------------------------------------------------------------- names */

START_TEST(names_by_handle)
{
	uint64_t root = info.root.handle, dir, file;
	struct zus_name f = name_of("f"), g = name_of("g"), h = name_of("h");
	struct zus_local_entry entry;
	struct zus_attr attr;

	dir = made(root, "d", S_IFDIR | 0755);
	file = made(dir, "f", S_IFREG | 0640);
	ck_assert_int_eq(zus_handle_link(fs, file, dir, &g, &attr), 0);
	ck_assert_uint_eq(attr.nlink, 2);
	ck_assert_int_eq(zus_handle_link(fs, file, dir, &g, NULL), -EEXIST);
	ck_assert_int_eq(zus_handle_rename(fs, dir, &g, root, &h, RENAME_NOREPLACE), 0);
	ck_assert_int_eq(zus_handle_rename(fs, dir, &f, root, &h, RENAME_NOREPLACE), -EEXIST);
	ck_assert_int_eq(zus_handle_rename(fs, dir, &f, root, &h, 1u << 20), -EINVAL);
	ck_assert_int_eq(look(root, "h", &entry), 0);
	ck_assert_uint_eq(entry.handle, file);
	zus_local_forget(fs, file, 1);
	ck_assert_int_eq(zus_handle_rmdir(fs, root, &h), -ENOTDIR);
	ck_assert_int_eq(zus_handle_parent(fs, dir, &entry), 0);
	ck_assert_uint_eq(entry.attr.ino, info.root.attr.ino);
	zus_local_forget(fs, entry.handle, 1);
	gone(root, "h", false);
	gone(dir, "f", false);
	/* it lives on by its handle */
	ck_assert_int_eq(zus_handle_getattr(fs, file, &attr), 0);
	ck_assert_uint_eq(attr.nlink, 0);
	ck_assert_int_eq(zus_handle_iget(fs, attr.ino, attr.gen, &entry), -ESTALE);
	zus_local_forget(fs, file, 1);
	gone(root, "d", true);
	zus_local_forget(fs, dir, 1);
}
END_TEST

START_TEST(create_open_makes_or_finds)
{
	const struct zus_create args = { .name = name_of("f"), .mode = S_IFREG | 0600, .uid = 3 };
	struct zus_local_entry first, second;
	struct zus_local_file *file;
	uint64_t fh;

	ck_assert_int_eq(zus_handle_create_open(fs, info.root.handle, &args, O_RDWR, &first, &fh), 1);
	ck_assert_uint_eq(first.attr.uid, 3);
	ck_assert_int_eq(zus_handle_open_at(fs, first.handle, fh, &file), 0);
	ck_assert_int_eq(zus_local_pwrite(file, "text", 4, 0), 4);
	zus_local_close(file);
	ck_assert_int_eq(zus_handle_create_open(fs, info.root.handle, &args, O_RDWR, &second, &fh),
			 0);
	ck_assert_uint_eq(second.handle, first.handle);
	ck_assert_uint_eq(second.attr.size_bytes, 4);
	zus_local_forget(fs, first.handle, 2);
	ck_assert_int_eq(zus_handle_create_open(fs, info.root.handle, &args, O_RDWR | O_EXCL,
						&second, &fh), -EEXIST);
	gone(info.root.handle, "f", false);
}
END_TEST

static int stop_at(void *arg, const struct zus_local_dirent *dirent)
{
	int *left = arg;

	ck_assert_uint_ne(dirent->entry.handle, 0);
	if (!*left)
		return -EAGAIN;
	--*left;
	zus_local_forget(fs, dirent->entry.handle, 1);
	return 0;
}

START_TEST(what_is_not_taken_of_a_directory_goes_back)
{
	struct zus_local_file *dir;
	char name[16];
	int left = 7, i;

	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "%d", i);
		zus_local_forget(fs, made(info.root.handle, name, S_IFREG | 0600), 1);
	}
	ck_assert_int_eq(zus_handle_open(fs, info.root.handle, O_RDONLY, &dir), 0);
	ck_assert_int_eq(zus_local_each_dirent(dir, 0, ZUS_LOCAL_PLUS, 0, stop_at, &left), -EAGAIN);
	ck_assert_int_eq(left, 0);
	zus_local_close(dir);
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "%d", i);
		gone(info.root.handle, name, false);
	}
}
END_TEST

/* --------------------------------------------------------------------- ranges */

static struct zus_local_file *full_file(uint64_t *handle, const char *name, size_t bytes)
{
	struct zus_local_file *file;
	char *data = malloc(bytes);

	memset(data, 'x', bytes);
	*handle = made(info.root.handle, name, S_IFREG | 0600);
	ck_assert_int_eq(zus_handle_open(fs, *handle, O_RDWR, &file), 0);
	ck_assert_int_eq(zus_local_pwrite(file, data, bytes, 0), (ssize_t)bytes);
	free(data);
	return file;
}

static void end_file(struct zus_local_file *file, uint64_t handle, const char *name)
{
	zus_local_close(file);
	zus_local_forget(fs, handle, 1);
	gone(info.root.handle, name, false);
}

/* Bytes [from, to) are zero, and their neighbours are not. */
static void check_hole(struct zus_local_file *file, uint64_t from, uint64_t to)
{
	char *data = malloc(to - from + 2);
	uint64_t i;

	ck_assert_int_eq(zus_local_pread(file, data, to - from + 2, from - 1),
			 (ssize_t)(to - from + 2));
	ck_assert_int_eq(data[0], 'x');
	for (i = 1; i <= to - from; i++)
		ck_assert_int_eq(data[i], 0);
	ck_assert_int_eq(data[i], 'x');
	free(data);
}

START_TEST(edges_of_cleared_ranges_are_zero)
{
	uint64_t handle;
	struct zus_local_file *file = full_file(&handle, "f", 10 * BLOCK);
	struct zus_attr attr;

	ck_assert_int_eq(zus_local_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					     BLOCK + 100, 3 * BLOCK), 0);
	check_hole(file, BLOCK + 100, 4 * BLOCK + 100);
	ck_assert_int_eq(zus_local_fallocate(file, FALLOC_FL_ZERO_RANGE, 6 * BLOCK + 5, 7), 0);
	check_hole(file, 6 * BLOCK + 5, 6 * BLOCK + 12);
	ck_assert_int_eq(zus_local_fstat(file, &attr), 0);
	ck_assert_uint_eq(attr.blocks_512, 8 * BLOCK / 512);
	ck_assert_int_eq(zus_local_fallocate(file, 0, 0, 20 * BLOCK), 0);
	ck_assert_int_eq(zus_local_fstat(file, &attr), 0);
	ck_assert_uint_eq(attr.size_bytes, 20 * BLOCK);
	ck_assert_int_eq(zus_local_fallocate(file, FALLOC_FL_COLLAPSE_RANGE, 1, BLOCK), -EINVAL);
	ck_assert_int_eq(zus_local_fallocate(file, FALLOC_FL_PUNCH_HOLE, 0, BLOCK), -EOPNOTSUPP);
	ck_assert_int_eq(zus_local_fallocate(file, 0, INT64_MAX, 2), -EFBIG);
	ck_assert_int_eq(zus_local_fallocate(file, 0, 0, 0), -EINVAL);
	end_file(file, handle, "f");
}
END_TEST

START_TEST(data_and_holes_are_found)
{
	uint64_t handle;
	struct zus_local_file *file = full_file(&handle, "f", BLOCK);

	ck_assert_int_eq(zus_local_pwrite(file, "x", 1, 5 * BLOCK + 9), 1);
	ck_assert_int_eq(zus_local_seek(file, 3, SEEK_DATA), 3);
	ck_assert_int_eq(zus_local_seek(file, BLOCK, SEEK_DATA), 5 * BLOCK);
	ck_assert_int_eq(zus_local_seek(file, 0, SEEK_HOLE), BLOCK);
	ck_assert_int_eq(zus_local_seek(file, 5 * BLOCK, SEEK_HOLE), 5 * BLOCK + 10);
	ck_assert_int_eq(zus_local_seek(file, 5 * BLOCK + 10, SEEK_HOLE), -ENXIO);
	ck_assert_int_eq(zus_local_seek(file, 0, SEEK_SET), -EINVAL);
	ck_assert_int_eq(zus_local_ftruncate(file, 10 * BLOCK), 0);
	ck_assert_int_eq(zus_local_seek(file, 6 * BLOCK, SEEK_DATA), -ENXIO);
	end_file(file, handle, "f");
}
END_TEST

START_TEST(copies_end_with_their_source)
{
	uint64_t from_handle, to_handle;
	struct zus_local_file *from = full_file(&from_handle, "from", 3 * BLOCK);
	struct zus_local_file *to = full_file(&to_handle, "to", 10);
	char data[20];

	ck_assert_int_eq(zus_local_copy(from, BLOCK, to, 100, 1 << 30), 2 * BLOCK);
	ck_assert_int_eq(zus_local_copy(from, 3 * BLOCK, to, 0, 1), 0);
	ck_assert_int_eq(zus_local_copy(from, 0, from, 100, 101), -EINVAL);
	ck_assert_int_eq(zus_local_copy(from, 2 * BLOCK, from, 3 * BLOCK, 2 * BLOCK), BLOCK);
	ck_assert_int_eq(zus_local_ftruncate(from, 3 * BLOCK), 0);
	ck_assert_int_eq(zus_local_clone(from, 0, to, 0, BLOCK, 0), -EOPNOTSUPP);
	/* what lay between is zero */
	check_hole(to, 10, 100);
	ck_assert_int_eq(zus_local_pread(to, data, sizeof(data), 100 + 2 * BLOCK - 1), 1);
	end_file(from, from_handle, "from");
	end_file(to, to_handle, "to");
}
END_TEST

START_TEST(clones_are_of_whole_blocks)
{
	uint64_t from_handle, to_handle;
	struct zus_local_file *from, *to;

	ck_assert_int_eq(zus_local_umount(fs), 0);
	fs = unit_mount(&plugin, "reflink", 1, 64 * MIB);
	zus_local_info(fs, &info);
	from = full_file(&from_handle, "from", 3 * BLOCK + 5);
	to = full_file(&to_handle, "to", 4 * BLOCK);
	ck_assert_int_eq(zus_local_clone(from, 1, to, 0, BLOCK, 0), -EINVAL);
	ck_assert_int_eq(zus_local_clone(from, 0, to, 1, BLOCK, 0), -EINVAL);
	ck_assert_int_eq(zus_local_clone(from, 0, to, 0, BLOCK + 1, 0), -EINVAL);
	ck_assert_int_eq(zus_local_clone(from, 4 * BLOCK, to, 0, BLOCK, 0), -EINVAL);
	ck_assert_int_eq(zus_local_clone(from, 0, from, BLOCK, 2 * BLOCK, 0), -EINVAL);
	/* from's end, in the middle of to, and at its end */
	ck_assert_int_eq(zus_local_clone(from, 3 * BLOCK, to, 0, 5, 0), -EINVAL);
	ck_assert_int_eq(zus_local_clone(from, 3 * BLOCK, to, 4 * BLOCK, 5, 1), -EINVAL);
	ck_assert_int_eq(zus_local_clone(from, 3 * BLOCK, to, 6 * BLOCK, 5, 0), 5);
	check_hole(to, 4 * BLOCK, 6 * BLOCK);
	ck_assert_int_eq(zus_local_clone(from, 0, to, 0, 2 * BLOCK, 1), 2 * BLOCK);
	ck_assert_int_eq(zus_local_pwrite(to, "y", 1, BLOCK), 1);
	ck_assert_int_eq(zus_local_clone(from, 0, to, 0, 2 * BLOCK, 1), BLOCK);
	ck_assert_int_eq(zus_local_clone(from, 0, to, BLOCK, BLOCK, 1), -EBADE);
	end_file(from, from_handle, "from");
	end_file(to, to_handle, "to");
}
END_TEST

START_TEST(a_file_may_end_with_the_last_byte)
{
	uint64_t handle;
	struct zus_local_file *file = full_file(&handle, "f", 10);
	char data[8];

	ck_assert_int_eq(zus_local_pwrite(file, "last", 4, INT64_MAX - 4), 4);
	ck_assert_int_eq(zus_local_ftruncate(file, INT64_MAX - 2), 0);
	ck_assert_int_eq(zus_local_ftruncate(file, INT64_MAX), 0);
	ck_assert_int_eq(zus_local_pread(file, data, 8, INT64_MAX - 4), 4);
	ck_assert(!memcmp(data, "la\0\0", 4));
	end_file(file, handle, "f");
}
END_TEST

/* -------------------------------------------------------------- invalidations */

static struct zus_local_inval told;
static char told_name[256];
static int told_count;

static int note_told(void *arg, const struct zus_local_inval *inval)
{
	ck_assert_ptr_eq(arg, &told);
	told = *inval;
	memcpy(told_name, inval->what.name.str, inval->what.name.bytes);
	told_count++;
	return inval->what.flags & ZUS_INVAL_LOCKS ? -EBUSY : 0;
}

static sem_t ended;
static int ended_err;

static void note_ended(void *arg, int err)
{
	ck_assert_ptr_eq(arg, &ended);
	ended_err = err;
	sem_post(&ended);
}

START_TEST(who_mounted_is_told)
{
	const struct zus_local_device device = { .size_bytes = 64 * MIB };
	const struct zus_local_config config = {
		.plugin = &plugin, .devices = &device, .num_devices = 1,
		.invalidate = note_told, .arg = &told, .incarnation = 77,
	};
	struct zus_invalidate what = {
		.ino = 5, .gen = 6, .flags = ZUS_INVAL_NAME, .name = { "abc", 3 },
	};

	make_plugin();
	sem_init(&ended, 0, 0);
	ck_assert_int_eq(zus_local_mount(&config, &fs), 0);
	zus_local_info(fs, &info);
	ck_assert_uint_eq(info.root.attr.gen, 77);
	/* nobody wants to know the end */
	ck_assert_int_eq(zus_invalidate(mounted, &what, NULL, NULL), 0);
	ck_assert(told_count == 1 && !told.token && told.what.ino == 5 && told.what.gen == 6);
	ck_assert(told.what.name.bytes == 3 && !memcmp(told_name, "abc", 3));
	/* it ends when it is said to, and not before */
	ck_assert_int_eq(zus_invalidate(mounted, &what, note_ended, &ended), 0);
	ck_assert_uint_ne(told.token, 0);
	ck_assert_int_ne(sem_trywait(&ended), 0);
	zus_local_invalidated(fs, told.token);
	sem_wait(&ended);
	ck_assert_int_eq(ended_err, 0);
	/* what is refused has no end */
	what.flags |= ZUS_INVAL_LOCKS;
	ck_assert_int_eq(zus_invalidate(mounted, &what, note_ended, &ended), -EBUSY);
	/* with the mount all that is left ends */
	what.flags = ZUS_INVAL_NAME;
	ck_assert_int_eq(zus_invalidate(mounted, &what, note_ended, &ended), 0);
	zus_local_invalidated(fs, told.token);
	sem_wait(&ended);
	ck_assert_int_eq(zus_local_umount(fs), 0);
	ck_assert_int_ne(sem_trywait(&ended), 0);
}
END_TEST

/* --------------------------------------------------------- mounts, repeatedly */

START_TEST(a_mount_on_the_callers_memory_begins_again)
{
	char *memory = aligned_alloc(BLOCK, 4 * MIB);
	const struct zus_local_device device = { .size_bytes = 4 * MIB, .memory = memory };
	const struct zus_local_config config = {
		.plugin = unit_plugin("toyfs"), .devices = &device, .num_devices = 1,
		.options = "relocate=7",
	};
	struct zus_attr attr;
	int i;

	ck_assert_ptr_nonnull(memory);
	memory[4 * MIB - 1] = 'x';
	ck_assert_int_eq(zus_local_mount(&config, &fs), 0);
	ck_assert_ptr_eq(zus_local_dev_addr(fs, 0, 0), memory);
	ck_assert_int_eq(zus_local_mount_again(fs), -EBUSY);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
		ck_assert_int_eq(zus_local_end(fs), 0);
		ck_assert_uint_eq(zus_local_inodes(fs), 0);
		ck_assert_int_eq(zus_local_mount_again(fs), 0);
		ck_assert_int_eq(zus_local_stat(fs, "/f", &attr), -ENOENT);
	}
	ck_assert_int_eq(zus_local_end(fs), 0);
	ck_assert_int_eq(zus_local_umount(fs), 0);
	ck_assert_int_eq(memory[4 * MIB - 1], 'x');
	free(memory);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("local");
	TCase *tc = tcase_create("handles"), *bare = tcase_create("invalidations");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_request_says_who_makes_it);
	tcase_add_test(tc, a_signal_reaches_the_request);
	tcase_add_test(tc, names_by_handle);
	tcase_add_test(tc, create_open_makes_or_finds);
	tcase_add_test(tc, what_is_not_taken_of_a_directory_goes_back);
	tcase_add_test(tc, edges_of_cleared_ranges_are_zero);
	tcase_add_test(tc, data_and_holes_are_found);
	tcase_add_test(tc, copies_end_with_their_source);
	tcase_add_test(tc, clones_are_of_whole_blocks);
	tcase_add_test(tc, a_file_may_end_with_the_last_byte);
	tcase_add_test(bare, who_mounted_is_told);
	tcase_add_test(bare, a_mount_on_the_callers_memory_begins_again);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, bare);
	return unit_run(suite);
}
