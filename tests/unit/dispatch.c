// SPDX-License-Identifier: BSD-3-Clause
/*
 * dispatch.c - hostile requests: wrong sizes, unknown operations, bad names,
 * random regions. The server core refuses each and stays whole.
 * TIMEOUT: 120
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zus_api.h>

#include "unit.h"

#define ROOT		(1ull << 32)
#define RANDOM_STEPS	100000

static struct zus_local *fs;

static void setup(void)
{
	fs = unit_mount(unit_plugin("toyfs"), NULL, 1, 8 << 20);
}

static void teardown(void)
{
	ck_assert_int_eq(zus_local_umount(fs), 0);
}

static int lookup(const char *name, uint32_t bytes, uint32_t payload_bytes)
{
	struct zufs_lookup_in in = { .dir = ROOT, .name_bytes = bytes };
	struct zus_local_call call = {
		.op = ZUFS_OP_LOOKUP, .in = &in, .in_bytes = sizeof(in), .payload = name,
		.payload_bytes = payload_bytes,
	};

	return zus_local_call(fs, &call);
}

START_TEST(names_are_checked)
{
	char name[512];

	memset(name, 'n', sizeof(name));
	ck_assert_int_eq(lookup(name, 255, 255), -ENOENT);
	ck_assert_int_eq(lookup(name, 256, 256), -ENAMETOOLONG);
	ck_assert_int_eq(lookup(name, 0, 0), -EPROTO);
	ck_assert_int_eq(lookup(name, 5, 4), -EPROTO);
	ck_assert_int_eq(lookup(name, 0xffffffff, 4), -ENAMETOOLONG);
	ck_assert_int_eq(lookup("a/b", 3, 3), -EPROTO);
	ck_assert_int_eq(lookup("a\0b", 3, 3), -EPROTO);
	ck_assert_int_eq(lookup(".", 1, 1), -EPROTO);
	ck_assert_int_eq(lookup("..", 2, 2), -EPROTO);
	ck_assert_int_eq(lookup("...", 3, 3), -ENOENT);
	ck_assert_int_eq(lookup(".a", 2, 2), -ENOENT);
}
END_TEST

START_TEST(unknown_operations_fail)
{
	struct zus_local_call call = { .op = 0 };
	uint32_t op;

	for (op = 0; op < 65536; op++) {
		if (op && op < ZUFS_OP_COUNT)
			continue;
		call.op = (uint16_t)op;
		ck_assert_int_eq(zus_local_call(fs, &call), -EOPNOTSUPP);
	}
	for (op = 0; op < 3; op++) {
		static const uint16_t forced[] = {
			ZUFS_OP_RELEASE, ZUFS_OP_FORGET, ZUFS_OP_INTERRUPT,
		};

		call.op = forced[op];
		ck_assert_int_eq(zus_local_call(fs, &call), -EPROTO);
	}
}
END_TEST

START_TEST(sizes_are_bounded)
{
	struct zufs_getattr_in in = { .inode = ROOT };
	struct zus_local_call call = {
		.op = ZUFS_OP_GETATTR, .in = &in, .in_bytes = sizeof(in),
	};

	ck_assert_int_eq(zus_local_call(fs, &call), 0);
	call.payload_bytes = ZUFS_PAYLOAD_MAX_BYTES + 1;
	ck_assert_int_eq(zus_local_call(fs, &call), -EPROTO);
	call.payload_bytes = 0xffffffff;
	ck_assert_int_eq(zus_local_call(fs, &call), -EPROTO);
	call.payload_bytes = 0;
	call.in = NULL;
	call.in_bytes = ZUFS_PAYLOAD_OFF - ZUFS_FIXED_OFF + 1;
	ck_assert_int_eq(zus_local_call(fs, &call), -EPROTO);
}
END_TEST

START_TEST(ranges_are_checked)
{
	struct zufs_map_in map = { .inode = ROOT, .max_extents = 1 };
	struct zufs_setattr_in set = { .inode = ROOT, .valid = ZUFS_SET_SIZE };
	struct zus_local_call call = {
		.op = ZUFS_OP_MAP, .in = &map, .in_bytes = sizeof(map),
		.reply_max_bytes = 4096,
	};

	ck_assert_int_eq(zus_local_call(fs, &call), -EPROTO);	/* no length */
	map.len_bytes = UINT64_MAX;
	ck_assert_int_eq(zus_local_call(fs, &call), -EPROTO);
	map.off = UINT64_MAX;
	map.len_bytes = 4096;
	ck_assert_int_eq(zus_local_call(fs, &call), -EPROTO);
	map.off = 0;
	map.max_extents = 0;
	ck_assert_int_eq(zus_local_call(fs, &call), -EPROTO);
	call.op = ZUFS_OP_SETATTR;
	call.in = &set;
	call.in_bytes = sizeof(set);
	set.size_bytes = UINT64_MAX;
	ck_assert_int_eq(zus_local_call(fs, &call), -EFBIG);
	set.valid = 1u << 31;
	ck_assert_int_eq(zus_local_call(fs, &call), -EOPNOTSUPP);
	set.valid = ZUFS_SET_ATIME;
	set.atime.nsec = 1000000000;
	ck_assert_int_eq(zus_local_call(fs, &call), -EPROTO);
}
END_TEST

START_TEST(other_mounts_are_unknown)
{
	struct zufs_getattr_in in = { .inode = ROOT };
	struct zus_local_call call = {
		.op = ZUFS_OP_GETATTR, .in = &in, .in_bytes = sizeof(in), .mount = 2,
	};

	ck_assert_int_eq(zus_local_call(fs, &call), -ENODEV);
}
END_TEST

START_TEST(handles_end_with_their_last_reference)
{
	struct zufs_lookup_in in = { .dir = ROOT, .name_bytes = 1 };
	struct zufs_getattr_in get = { 0 };
	struct zufs_entry entry = { .handle = 0 };
	struct zus_local_call look = {
		.op = ZUFS_OP_LOOKUP, .in = &in, .in_bytes = sizeof(in), .payload = "f",
		.payload_bytes = 1, .out = &entry, .out_bytes = sizeof(entry),
	};
	struct zus_local_call attr = {
		.op = ZUFS_OP_GETATTR, .in = &get, .in_bytes = sizeof(get),
	};
	uint64_t old;

	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	ck_assert_int_eq(zus_local_call(fs, &look), 0);
	ck_assert_int_eq(zus_local_call(fs, &look), 0);
	old = get.inode = entry.handle;
	ck_assert_int_eq(zus_local_unlink(fs, "/f"), 0);
	ck_assert_int_eq(zus_local_forget(fs, old, 1), 0);
	ck_assert_int_eq(zus_local_call(fs, &attr), 0);
	ck_assert_uint_eq(zus_local_inodes(fs), 2);
	/* More than there are is no harm, and the handle is gone. */
	ck_assert_int_eq(zus_local_forget(fs, old, 1ull << 40), 0);
	ck_assert_uint_eq(zus_local_inodes(fs), 1);
	ck_assert_int_eq(zus_local_call(fs, &attr), -ESTALE);
	ck_assert_int_eq(zus_local_forget(fs, old, 1), 0);
	/* Its slot comes back with another generation. */
	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	ck_assert_int_eq(zus_local_call(fs, &look), 0);
	ck_assert_uint_eq((uint32_t)entry.handle, (uint32_t)old);
	ck_assert_uint_ne(entry.handle, old);
	ck_assert_int_eq(zus_local_call(fs, &attr), -ESTALE);
	/* The plugin's own reference is not the kernel's to give back. */
	ck_assert_int_eq(zus_local_forget(fs, entry.handle, 5), 0);
	ck_assert_uint_eq(zus_local_inodes(fs), 2);
}
END_TEST

/* ------------------------------------------------------------ random regions */

static uint64_t random_word(void)
{
	static const uint64_t good[] = {
		0, 1, 2, 3, 4, 8, 255, 256, 4096, 8192, ROOT, ROOT | 1, ROOT | 2, ROOT | 3,
		2ull << 32 | 1, 1ull << 20, INT64_MAX, UINT64_MAX, 0x100000001ull,
		0x300000002ull,
	};

	return unit_random() % 4 ? good[unit_random() % (sizeof(good) / sizeof(good[0]))] :
				   unit_random();
}

static void random_request(struct zufs_req_hdr *req)
{
	char *payload = (char *)req + ZUFS_PAYLOAD_OFF;
	uint64_t *fixed = (uint64_t *)(void *)((char *)req + ZUFS_FIXED_OFF);
	unsigned int i;

	memset(req, 0, ZUFS_PAYLOAD_OFF + 4096);
	req->fixed_bytes = unit_random() % 8 ? 96 : (uint32_t)random_word();
	do {
		req->op = (uint16_t)(unit_random() % (ZUFS_OP_COUNT + 2));
	} while (req->op == ZUFS_OP_MOUNT || req->op == ZUFS_OP_UMOUNT);
	req->id = unit_random();
	req->mount = 1;
	req->payload_bytes = unit_random() % 8 ? (uint32_t)(unit_random() % 4096) :
						 (uint32_t)random_word();
	req->reply_max_bytes = unit_random() % 8 ? ZUFS_PAYLOAD_MAX_BYTES :
						   (uint32_t)random_word();
	for (i = 0; i < 12; i++)
		fixed[i] = random_word();
	if (unit_random() % 2)
		((uint32_t *)fixed)[unit_random() % 16] = 1 + unit_random() % 3;
	for (i = 0; i < 4096; i += 8) {
		uint64_t word = unit_random() % 2 ? random_word() : 0x6161616161616161ull;

		memcpy(payload + i, &word, sizeof(word));
	}
	if (unit_random() % 2)
		memset(payload, 'n', 4);
}

START_TEST(random_regions)
{
	struct zufs_req_hdr *req = aligned_alloc(4096, ZUFS_REGION_BYTES);
	struct zufs_reply_hdr *reply = aligned_alloc(4096, ZUFS_REGION_BYTES);
	unsigned int step;

	memset(req, 0, ZUFS_REGION_BYTES);
	ck_assert_int_eq(zus_local_create(fs, "/a", 0644), 0);
	ck_assert_int_eq(zus_local_mkdir(fs, "/b", 0755), 0);
	for (step = 0; step < RANDOM_STEPS * unit_scale(); step++) {
		random_request(req);
		zus_local_raw(fs, req, reply);
		ck_assert_msg(reply->id == req->id && reply->err <= 0 &&
			      reply->err >= ZUFS_ERR_MIN &&
			      reply->payload_bytes <= req->reply_max_bytes &&
			      reply->payload_bytes <= ZUFS_PAYLOAD_MAX_BYTES,
			      "step %u: op %u", step, req->op);
	}
	free(req);
	free(reply);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dispatch");
	TCase *tc = tcase_create("dispatch");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, names_are_checked);
	tcase_add_test(tc, unknown_operations_fail);
	tcase_add_test(tc, sizes_are_bounded);
	tcase_add_test(tc, ranges_are_checked);
	tcase_add_test(tc, other_mounts_are_unknown);
	tcase_add_test(tc, handles_end_with_their_last_reference);
	tcase_add_test(tc, random_regions);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
