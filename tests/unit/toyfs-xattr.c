// SPDX-License-Identifier: BSD-3-Clause
/*
 * toyfs-xattr.c - extended attributes of toyfs through the local transport: what each
 * call has to answer, and random calls against a table that knows better.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zus_api.h>

#include "unit.h"

#define MAX	ZUFS_XATTR_VALUE_MAX_BYTES

static struct zus_local *fs;
static char buf[MAX + 1];

static void setup(void)
{
	fs = unit_mount(unit_plugin("toyfs"), NULL, 1, 32 << 20);
	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
}

static void teardown(void)
{
	ck_assert_int_eq(zus_local_umount(fs), 0);
}

static ssize_t get(const char *name)
{
	return zus_local_getxattr(fs, "/f", name, buf, sizeof(buf));
}

static int set(const char *name, const char *value, uint32_t flags)
{
	return zus_local_setxattr(fs, "/f", name, value, strlen(value), flags);
}

static struct zus_attr attr_of(const char *path)
{
	struct zus_attr attr;

	ck_assert_int_eq(zus_local_stat(fs, path, &attr), 0);
	return attr;
}

START_TEST(flags_and_errors)
{
	uint64_t change = attr_of("/f").change;

	ck_assert_uint_eq(attr_of("/f").flags, ZUS_ATTR_NO_XATTRS);
	ck_assert_int_eq(get("user.a"), -ENODATA);
	ck_assert_int_eq(set("user.a", "1", ZUS_XATTR_REPLACE), -ENODATA);
	ck_assert_int_eq(zus_local_removexattr(fs, "/f", "user.a"), -ENODATA);
	ck_assert_uint_eq(attr_of("/f").change, change);
	ck_assert_int_eq(set("user.a", "one", ZUS_XATTR_CREATE), 0);
	ck_assert_uint_eq(attr_of("/f").flags, 0);
	ck_assert_int_eq(set("user.a", "2", ZUS_XATTR_CREATE), -EEXIST);
	ck_assert_int_eq(get("user.a"), 3);
	ck_assert_int_eq(memcmp(buf, "one", 3), 0);
	/* a name is its whole length */
	ck_assert_int_eq(get("user."), -ENODATA);
	ck_assert_int_eq(get("user.ab"), -ENODATA);
	ck_assert_int_eq(set("user.a", "", ZUS_XATTR_REPLACE), 0);
	ck_assert_int_eq(get("user.a"), 0);
	ck_assert_int_eq(zus_local_removexattr(fs, "/f", "user.a"), 0);
	ck_assert_uint_eq(attr_of("/f").flags, ZUS_ATTR_NO_XATTRS);
	ck_assert_uint_eq(attr_of("/f").change, change + 3);
	ck_assert_int_eq(zus_local_setxattr(fs, "/none", "user.a", "1", 1, 0), -ENOENT);
	ck_assert_int_eq(zus_local_setxattr(fs, "/f", "user.a", "1", 1, ZUS_XATTR_REMOVE), -EINVAL);
}
END_TEST

START_TEST(sizes)
{
	static char value[MAX];
	char name[258] = "user.";
	size_t bytes;

	memset(value, 'v', sizeof(value));
	for (bytes = 1; bytes <= MAX; bytes *= 2) {
		ck_assert_int_eq(zus_local_setxattr(fs, "/f", "user.v", value, bytes, 0), 0);
		ck_assert_int_eq(zus_local_getxattr(fs, "/f", "user.v", NULL, 0), bytes);
		if (bytes > 1)
			ck_assert_int_eq(zus_local_getxattr(fs, "/f", "user.v", buf, bytes - 1),
					 -ERANGE);
		ck_assert_int_eq(zus_local_getxattr(fs, "/f", "user.v", buf, bytes), bytes);
		ck_assert_int_eq(memcmp(buf, value, bytes), 0);
	}
	ck_assert_int_eq(zus_local_setxattr(fs, "/f", "user.v", value, MAX + 1, 0), -E2BIG);
	memset(name + 5, 'n', 252);
	ck_assert_int_eq(set(name, "1", 0), -ERANGE);
	name[255] = 0;
	ck_assert_int_eq(set(name, "1", 0), 0);
	ck_assert_int_eq(zus_local_listxattr(fs, "/f", NULL, 0), 7 + 256);
	ck_assert_int_eq(zus_local_listxattr(fs, "/f", buf, 7 + 255), -ERANGE);
	ck_assert_int_eq(zus_local_listxattr(fs, "/f", buf, sizeof(buf)), 7 + 256);
	ck_assert_str_eq(buf, "user.v");
	ck_assert_str_eq(buf + 7, name);
}
END_TEST

/* An ACL's removal need not find one, and sets permissions along with it. */
START_TEST(not_without_end)
{
	static char value[MAX];
	unsigned int count = 0, i;
	char name[128];
	int err;

	do {
		snprintf(name, sizeof(name), "user.%u", count);
		err = zus_local_setxattr(fs, "/f", name, value, MAX, 0);
		count += !err;
	} while (!err);
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_uint_ge(count, 8);
	ck_assert_uint_lt(count, 1000);
	/* nothing was changed, in the place of others there is room, and other files have theirs */
	ck_assert_int_eq(zus_local_getxattr(fs, "/f", name, buf, sizeof(buf)), -ENODATA);
	ck_assert_int_eq(zus_local_setxattr(fs, "/f", "user.0", value, MAX, 0), 0);
	ck_assert_int_eq(zus_local_setxattr(fs, "/f", "user.0", value, 0, 0), 0);
	ck_assert_int_eq(zus_local_create(fs, "/g", 0644), 0);
	ck_assert_int_eq(zus_local_setxattr(fs, "/g", name, value, MAX, 0), 0);
	/* of names alone, too */
	for (i = 0, err = 0; !err && i < 20000; i++) {
		snprintf(name, sizeof(name), "user.%0100u", i);
		err = zus_local_setxattr(fs, "/g", name, NULL, 0, 0);
	}
	ck_assert_int_eq(err, -ENOSPC);
}
END_TEST

START_TEST(mode_goes_with_it)
{
	struct zufs_setxattr_in in = {
		.flags = ZUFS_XATTR_REMOVE | ZUFS_XATTR_MODE, .mode = 0640, .name_bytes = 4,
		.name = "sys.",
	};
	struct zufs_lookup_in look = { .name_bytes = 1 };
	struct zufs_entry entry = { .handle = 0 };
	struct zufs_attr attr;
	struct zus_local_call lookup = {
		.op = ZUFS_OP_LOOKUP, .in = &look, .in_bytes = sizeof(look), .payload = "f",
		.payload_bytes = 1, .out = &entry, .out_bytes = sizeof(entry),
	};
	struct zus_local_call call = {
		.op = ZUFS_OP_SETXATTR, .in = &in, .in_bytes = sizeof(in), .payload = "v",
		.payload_bytes = 1, .out = &attr, .out_bytes = sizeof(attr),
	};

	look.dir = 1ull << 32;		/* the first of a table */
	ck_assert_int_eq(zus_local_call(fs, &lookup), 0);
	in.inode = entry.handle;
	ck_assert_int_eq(zus_local_call(fs, &call), 0);
	ck_assert_uint_eq(attr.mode, S_IFREG | 0640);
	in.mode = 0600;
	in.flags = ZUFS_XATTR_REMOVE | ZUFS_XATTR_MODE | ZUFS_XATTR_REPLACE;
	ck_assert_int_eq(zus_local_call(fs, &call), -ENODATA);
	ck_assert_uint_eq(attr_of("/f").mode, S_IFREG | 0640);
	in.flags = ZUFS_XATTR_MODE;
	in.value_bytes = 1;
	ck_assert_int_eq(zus_local_call(fs, &call), 0);
	ck_assert_uint_eq(attr_of("/f").mode, S_IFREG | 0600);
	in.value_bytes = 2;		/* more than there is */
	ck_assert_int_eq(zus_local_call(fs, &call), -EPROTO);
	in.flags = ZUFS_XATTR_REMOVE;	/* nothing is removed with a value */
	in.value_bytes = 1;
	ck_assert_int_eq(zus_local_call(fs, &call), -EPROTO);
	in.flags = 0x10;
	ck_assert_int_eq(zus_local_call(fs, &call), -EOPNOTSUPP);
	zus_local_forget(fs, entry.handle, 1);
}
END_TEST

/* ------------------------------------------------------------------- random */

#define NAMES	12

static struct {
	bool there;
	uint32_t bytes;
	char value[300];
} model[NAMES];

static void check_list(void)
{
	ssize_t bytes = zus_local_listxattr(fs, "/f", buf, sizeof(buf));
	unsigned int seen[NAMES] = { 0 };
	unsigned long i;
	char *at;

	ck_assert_int_ge(bytes, 0);
	for (at = buf; at < buf + bytes; at += strlen(at) + 1) {
		i = strtoul(at + strlen("user."), NULL, 10);
		ck_assert(!strncmp(at, "user.", 5) && i < NAMES);
		seen[i]++;
	}
	for (i = 0; i < NAMES; i++)
		ck_assert_uint_eq(seen[i], model[i].there);
}

static void random_step(void)
{
	unsigned int i = (unsigned int)(unit_random() % NAMES), k;
	uint32_t flags = (uint32_t)(unit_random() % 3), bytes;
	char name[16], value[300];
	int want = 0;

	snprintf(name, sizeof(name), "user.%u", i);
	switch (unit_random() % 4) {
	case 0:
		ck_assert_int_eq(zus_local_removexattr(fs, "/f", name),
				 model[i].there ? 0 : -ENODATA);
		model[i].there = false;
		break;
	case 1:
		bytes = (uint32_t)(unit_random() % sizeof(value));
		for (k = 0; k < bytes; k++)
			value[k] = (char)unit_random();
		if (flags == ZUS_XATTR_CREATE && model[i].there)
			want = -EEXIST;
		if (flags == ZUS_XATTR_REPLACE && !model[i].there)
			want = -ENODATA;
		ck_assert_int_eq(zus_local_setxattr(fs, "/f", name, value, bytes, flags), want);
		if (want)
			break;
		model[i].there = true;
		model[i].bytes = bytes;
		memcpy(model[i].value, value, bytes);
		break;
	case 2:
		ck_assert_int_eq(get(name), model[i].there ? (ssize_t)model[i].bytes : -ENODATA);
		if (model[i].there)
			ck_assert_int_eq(memcmp(buf, model[i].value, model[i].bytes), 0);
		break;
	default:
		check_list();
	}
}

START_TEST(random_calls)
{
	unsigned int step;

	memset(model, 0, sizeof(model));
	for (step = 0; step < 4000 * unit_scale(); step++)
		random_step();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("toyfs-xattr");
	TCase *tc = tcase_create("toyfs-xattr");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, flags_and_errors);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, not_without_end);
	tcase_add_test(tc, mode_goes_with_it);
	tcase_add_test(tc, random_calls);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
