// SPDX-License-Identifier: BSD-3-Clause
/*
 * toyfs-large-dir.c - a directory of a hundred thousand names, a fifth of them under the
 * sanitizers: each comes once, in pieces of any size, from any place on, and while others
 * go. DIR_NAMES changes how many; tier full has a million.
 * TIMEOUT: 600
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zus_api.h>

#include "unit.h"

#ifdef __SANITIZE_ADDRESS__
#define NAMES	20000
#else
#define NAMES	100000
#endif

static struct zus_local *fs;
static unsigned int names;
static struct zus_local_file *dir;
static unsigned char *seen;		/* by number of the name */
static uint64_t *place;			/* cookie of each name, as it was met */
static unsigned int met;

static void name_of(char *path, unsigned int i)
{
	sprintf(path, "/%u", i);
}

static void setup(void)
{
	const char *text = getenv("DIR_NAMES");
	char path[16];
	unsigned int i;

	names = text ? (unsigned int)strtoul(text, NULL, 10) : NAMES;
	fs = unit_mount(unit_plugin("toyfs"), NULL, 1, 8 << 20);
	seen = calloc(names, 1);
	place = calloc(names, sizeof(*place));
	ck_assert(seen && place);
	for (i = 0; i < names; i++) {
		name_of(path, i);
		ck_assert_int_eq(zus_local_create(fs, path, 0600), 0);
	}
	ck_assert_int_eq(zus_local_open(fs, "/", &dir), 0);
}

static void teardown(void)
{
	zus_local_close(dir);
	ck_assert_int_eq(zus_local_umount(fs), 0);
	free(seen);
	free(place);
}

static int note(void *arg, const char *name, uint64_t ino, uint64_t cookie, uint32_t type)
{
	unsigned long i = strtoul(name, NULL, 10);

	(void)arg, (void)ino, (void)type;
	ck_assert(i < names);
	ck_assert_msg(!seen[i], "%s comes twice", name);
	seen[i] = 1;
	place[i] = cookie;
	met++;
	return 0;
}

/* From cookie on to the end, in pieces of bytes; 0: of every size. */
static unsigned int read_from(uint64_t cookie, uint32_t bytes)
{
	uint32_t room = bytes;
	int more;

	met = 0;
	memset(seen, 0, names);
	do {
		if (!bytes)
			room = 64 + (uint32_t)(unit_random() % 65000);
		more = zus_local_readdir(dir, &cookie, room, note, NULL);
		ck_assert_int_ge(more, 0);
	} while (more);
	return met;
}

START_TEST(each_comes_once)
{
	unsigned int i, at, rest;

	ck_assert_uint_eq(read_from(0, 65536), names);
	ck_assert_uint_eq(read_from(0, 0), names);
	/* from anywhere on: as many as there are behind it */
	for (i = 0; i < 20; i++) {
		at = (unsigned int)(unit_random() % names);
		rest = names - 1 - at;	/* they were made in this order */
		ck_assert_uint_eq(read_from(place[at], 65536), rest);
		ck_assert_uint_eq(read_from(0, 65536), names);
	}
}
END_TEST

struct remover {
	unsigned int removed;
	char path[16];
};

/* What a reader has just been told of goes; what he has not seen does in part. */
START_TEST(while_they_go)
{
	uint64_t cookie = 0, before;
	unsigned int left = names, i, k;
	char path[16];
	int more;

	memset(seen, 0, names);
	met = 0;
	for (i = 0; ; i = k) {
		before = met;
		more = zus_local_readdir(dir, &cookie, 8192, note, NULL);
		ck_assert_int_ge(more, 0);
		/* those of this piece, and two thirds of as many behind them */
		for (k = i; k < names && seen[k]; k++) {
			name_of(path, k);
			left -= !zus_local_unlink(fs, path);
		}
		for (before = met - before; before && k + before < names; before--)
			if (before % 3) {
				name_of(path, k + (unsigned int)before);
				left -= !zus_local_unlink(fs, path);
				seen[k + before] = 2;	/* never to be met */
			}
		while (k < names && seen[k] == 2)
			k++;
		if (!more)
			break;
	}
	ck_assert_uint_eq(read_from(0, 65536), left);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("toyfs-large-dir");
	TCase *tc = tcase_create("toyfs-large-dir");

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_comes_once);
	tcase_add_test(tc, while_they_go);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
