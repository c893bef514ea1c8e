// SPDX-License-Identifier: BSD-3-Clause
/* plugin.c - which plugins are refused and what a person is told then. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zus_api.h>

#include "unit.h"

static struct zus_plugin broken;
static struct zus_mount_ops mount_ops;
static struct zus_inode_ops inode_ops;
static char message[1024];

static int check(void)
{
	message[0] = 0;
	return zus_plugin_check(&broken, message, sizeof(message));
}

static void setup(void)
{
	const struct zus_plugin *good = unit_plugin("toyfs");

	broken = *good;
	mount_ops = *good->mount_ops;
	inode_ops = *good->inode_ops;
	broken.mount_ops = &mount_ops;
	broken.inode_ops = &inode_ops;
	ck_assert_int_eq(check(), 0);
}

START_TEST(other_abi)
{
	char theirs[16], ours[16];

	broken.abi_major = 7;
	snprintf(theirs, sizeof(theirs), "7.%u", broken.abi_minor);
	snprintf(ours, sizeof(ours), "%d.%d", ZUS_PLUGIN_ABI_MAJOR, ZUS_PLUGIN_ABI_MINOR);
	ck_assert_int_eq(check(), -EPROTO);
	ck_assert(strstr(message, theirs) && strstr(message, ours));
	broken.abi_major = ZUS_PLUGIN_ABI_MAJOR;
	broken.abi_minor = ZUS_PLUGIN_ABI_MINOR + 1;
	ck_assert_int_eq(check(), -EPROTO);
}
END_TEST

START_TEST(short_tables)
{
	/* an older release's is shorter, and enough; not shorter than the first one's */
	broken.inode_ops_bytes = ZUS_INODE_OPS_FIRST_BYTES;
	ck_assert_int_eq(check(), 0);
	broken.inode_ops_bytes -= 8;
	ck_assert_int_eq(check(), -ENOEXEC);
	setup();
	broken.mount_ops_bytes = ZUS_MOUNT_OPS_FIRST_BYTES;
	broken.file_ops_bytes = ZUS_FILE_OPS_FIRST_BYTES;
	ck_assert_int_eq(check(), 0);
	broken.mount_ops_bytes -= 8;
	ck_assert_int_eq(check(), -ENOEXEC);
	broken.mount_ops_bytes += 8;
	broken.file_ops_bytes -= 8;
	ck_assert_int_eq(check(), -ENOEXEC);
}
END_TEST

START_TEST(bad_names)
{
	static const char *const names[] = {
		"", "has space", "UPPER", "a/b", "0123456789012345678901234567890123",
	};
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		broken.name = names[i];
		ck_assert_int_eq(check(), -ENOEXEC);
	}
	broken.name = NULL;
	ck_assert_int_eq(check(), -ENOEXEC);
}
END_TEST

START_TEST(missing_callbacks)
{
	mount_ops.umount = NULL;
	ck_assert_int_eq(check(), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(message, "umount"));
	setup();
	inode_ops.evict = NULL;
	ck_assert_int_eq(check(), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(message, "evict"));
	setup();
	broken.inode_ops = NULL;
	ck_assert_int_eq(check(), -ENOEXEC);
}
END_TEST

START_TEST(search)
{
	const struct zus_plugin *plugin;

	setenv("ZUS_PLUGIN_PATH", "/none:/nowhere", 1);
	ck_assert_int_eq(zus_plugin_load("nosuchfs", &plugin, message, sizeof(message)),
			 -ENOENT);
	ck_assert(strstr(message, "/none") && strstr(message, "/nowhere") &&
		  strstr(message, "nosuchfs"));
	ck_assert_int_eq(zus_plugin_load("./nosuchfs.so", &plugin, message,
					 sizeof(message)), -ENOENT);
	ck_assert_int_eq(zus_plugin_load("/proc/self/exe", &plugin, message,
					 sizeof(message)), -ENOEXEC);
	ck_assert_int_eq(zus_plugin_load("/dev/null", &plugin, NULL, 0), -ENOEXEC);
}
END_TEST

/* What a plugin leaves out has an answer, and it is never success. */
START_TEST(defaults)
{
	struct zus_setattr set = { .valid = ZUS_SET_MODE };
	struct zus_local *fs = unit_mount(unit_plugin("nullfs"), NULL, 1, 8 << 20);
	char buf[8];

	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), -EOPNOTSUPP);
	ck_assert_int_eq(zus_local_mkdir(fs, "/f", 0644), -EOPNOTSUPP);
	ck_assert_int_eq(zus_local_symlink(fs, "x", "/f"), -EOPNOTSUPP);
	ck_assert_int_eq(zus_local_link(fs, "/data", "/f"), -EOPNOTSUPP);
	ck_assert_int_eq(zus_local_unlink(fs, "/data"), -EOPNOTSUPP);
	ck_assert_int_eq(zus_local_rename(fs, "/data", "/f", 0), -EOPNOTSUPP);
	ck_assert_int_eq(zus_local_readlink(fs, "/data", buf, 8), -EINVAL);
	ck_assert_int_eq(zus_local_setattr(fs, "/", &set), -EPERM);
	zus_local_umount(fs);
}
END_TEST

/* ------------------------------------------------------------ newer callbacks */

static struct zus_file_ops file_ops;
static uint64_t hidden;		/* of what toyfs asks for */

static int mount_hiding(struct zus_req *req, struct zus_mount *mount, struct zus_mount_out *out)
{
	int err = unit_plugin("toyfs")->mount_ops->mount(req, mount, out);

	out->features &= ~hidden;
	return err;
}

/* toyfs, with tables that can be changed. */
static void setup_newer(void)
{
	setup();
	file_ops = *unit_plugin("toyfs")->file_ops;
	broken.file_ops = &file_ops;
	mount_ops.mount = mount_hiding;
	hidden = 0;
}

#define ROOT_HANDLE	(1ull << 32)

static const struct zufs_lock_in lock_in = {
	.inode = ROOT_HANDLE, .cmd = ZUFS_LOCK_GET, .type = ZUFS_LOCK_RDLCK,
	.flags = ZUFS_LOCK_POSIX,
};

static const struct newer {
	uint64_t feature;
	void *callback;		/* in these tables */
	uint16_t op;
	int without;		/* answered where the callback is missing */
	unsigned int len_word;	/* where a length is in the message, if it has one */
} newer[] = {
	{ ZUS_MF_XATTRS, &inode_ops.getxattr, ZUFS_OP_GETXATTR, -EOPNOTSUPP, 0 },
	{ ZUS_MF_XATTRS, &inode_ops.setxattr, ZUFS_OP_SETXATTR, -EOPNOTSUPP, 0 },
	{ ZUS_MF_XATTRS, &inode_ops.listxattr, ZUFS_OP_LISTXATTR, -EOPNOTSUPP, 0 },
	{ ZUS_MF_TMPFILE, &inode_ops.tmpfile, ZUFS_OP_TMPFILE, -EOPNOTSUPP, 0 },
	{ ZUS_MF_FALLOCATE, &file_ops.fallocate, ZUFS_OP_FALLOCATE, -EOPNOTSUPP, 3 },
	{ ZUS_MF_IOCTL, &file_ops.ioctl, ZUFS_OP_IOCTL, -ENOTTY, 0 },
	{ ZUS_MF_EXPORT, &inode_ops.iget, ZUFS_OP_IGET, -EOPNOTSUPP, 0 },
	{ ZUS_MF_EXPORT, &inode_ops.parent, ZUFS_OP_PARENT, -EOPNOTSUPP, 0 },
	{ ZUS_MF_FREEZE, &mount_ops.freeze, ZUFS_OP_FREEZE, -EOPNOTSUPP, 0 },
	{ ZUS_MF_COPY, &file_ops.copy, ZUFS_OP_COPY, -EOPNOTSUPP, 6 },
	{ ZUS_MF_CREATE_OPEN, &inode_ops.create_open, ZUFS_OP_CREATE_OPEN, -EOPNOTSUPP, 0 },
	{ ZUS_MF_LOCKS, &file_ops.lock, ZUFS_OP_LOCK, -EOPNOTSUPP, 0 },
};

#define NEWER	((int)(sizeof(newer) / sizeof(newer[0])))

static int try_mount(struct zus_local **fs)
{
	const struct zus_local_device device = { .size_bytes = 8 << 20 };
	const struct zus_local_config config = {
		.plugin = &broken, .options = "locks", .devices = &device, .num_devices = 1,
	};

	return zus_local_mount(&config, fs);
}

static void take_away(const struct newer *n)
{
	memset(n->callback, 0, sizeof(inode_ops.getxattr));
}

/* Who asks for a feature has what is required with it, or is not mounted. */
START_TEST(feature_without_its_callback)
{
	struct zus_local *fs = NULL;

	setup_newer();
	ck_assert_int_eq(try_mount(&fs), 0);
	zus_local_umount(fs);
	take_away(&newer[_i]);
	ck_assert_int_eq(try_mount(&fs), -EIO);
	/* each feature without the others: no other callback is meant */
	hidden = newer[_i].feature | ZUS_MF_ACLS;
	ck_assert_int_eq(try_mount(&fs), 0);
	zus_local_umount(fs);
}
END_TEST

/* A message that should not have come has an answer. */
START_TEST(callback_left_out)
{
	uint64_t in[64] = { ROOT_HANDLE };
	char out[1024];
	struct zus_local_call call = {
		.op = newer[_i].op, .in = in, .in_bytes = sizeof(in),
		.payload = "", .out = out, .out_bytes = sizeof(out),
	};
	struct zus_local *fs = NULL;

	setup_newer();
	take_away(&newer[_i]);
	hidden = newer[_i].feature | ZUS_MF_ACLS;
	if (newer[_i].len_word)
		in[newer[_i].len_word] = 1;
	if (newer[_i].op == ZUFS_OP_LOCK)
		memcpy(in, &lock_in, sizeof(lock_in));
	ck_assert_int_eq(try_mount(&fs), 0);
	ck_assert_int_eq(zus_local_call(fs, &call), newer[_i].without);
	zus_local_umount(fs);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plugin");
	TCase *tc = tcase_create("plugin");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, other_abi);
	tcase_add_test(tc, short_tables);
	tcase_add_test(tc, bad_names);
	tcase_add_test(tc, missing_callbacks);
	tcase_add_test(tc, search);
	tcase_add_test(tc, defaults);
	tcase_add_loop_test(tc, feature_without_its_callback, 0, NEWER);
	tcase_add_loop_test(tc, callback_left_out, 0, NEWER);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
