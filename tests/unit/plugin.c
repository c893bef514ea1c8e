// SPDX-License-Identifier: BSD-3-Clause
/* plugin.c - which plugins are refused and what a person is told then. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
