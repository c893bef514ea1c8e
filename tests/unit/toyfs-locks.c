// SPDX-License-Identifier: BSD-3-Clause
/*
 * toyfs-locks.c - the list of locks that toyfs keeps of an inode, through the local
 * transport, against a model that has one word for each byte and owner.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <zus_api.h>

#include "unit.h"

#define OWNERS	4		/* of each kind */
#define BYTES	24		/* the last one stands for all behind it */

static const uint32_t kinds[] = { ZUFS_LOCK_POSIX, ZUFS_LOCK_OFD, ZUFS_LOCK_FLOCK };

#define KINDS	(sizeof(kinds) / sizeof(kinds[0]))

static struct zus_local *fs;
static uint64_t file;
static uint8_t model[KINDS][OWNERS][BYTES];	/* ZUFS_LOCK_*, by byte */

static void setup(void)
{
	struct zufs_lookup_in in = { .dir = 1ull << 32, .name_bytes = 1 };
	struct zufs_entry entry = { .handle = 0 };
	struct zus_local_call lookup = {
		.op = ZUFS_OP_LOOKUP, .in = &in, .in_bytes = sizeof(in), .payload = "f",
		.payload_bytes = 1, .out = &entry, .out_bytes = sizeof(entry),
	};

	fs = unit_mount(unit_plugin("toyfs"), "locks", 1, 32 << 20);
	ck_assert_int_eq(zus_local_create(fs, "/f", 0644), 0);
	ck_assert_int_eq(zus_local_call(fs, &lookup), 0);
	file = entry.handle;
	memset(model, 0, sizeof(model));
}

static void teardown(void)
{
	ck_assert_int_eq(zus_local_umount(fs), 0);
}

static uint64_t owner_number(unsigned int kind, unsigned int owner)
{
	return 100 * (kind + 1) + owner;
}

static uint64_t last_byte(unsigned int last)
{
	return last == BYTES - 1 ? ZUFS_LOCK_END : last;
}

static int call_lock(struct zufs_lock_in *in, struct zufs_lock_out *out)
{
	struct zus_local_call call = {
		.op = ZUFS_OP_LOCK, .in = in, .in_bytes = sizeof(*in),
		.out = out, .out_bytes = sizeof(*out),
	};

	in->inode = file;
	return zus_local_call(fs, &call);
}

static int set_as(unsigned int kind, unsigned int owner, unsigned int first, unsigned int last,
		  uint32_t type)
{
	struct zufs_lock_in in = {
		.owner = owner_number(kind, owner), .start = first, .end = last_byte(last),
		.pid = (uint32_t)owner_number(kind, owner), .cmd = ZUFS_LOCK_SET, .type = type,
		.flags = kinds[kind],
	};
	struct zufs_lock_out out;

	return call_lock(&in, &out);
}

/* -------------------------------------------------------------------- model */

static bool same_space(unsigned int a, unsigned int b)
{
	return (kinds[a] == ZUFS_LOCK_FLOCK) == (kinds[b] == ZUFS_LOCK_FLOCK);
}

/* Somebody else's that is in the way at this byte. */
static bool blocked_at(unsigned int kind, unsigned int owner, unsigned int byte, uint32_t type)
{
	unsigned int k, o;

	for (k = 0; k < KINDS; k++)
		for (o = 0; o < OWNERS; o++)
			if (same_space(k, kind) && (k != kind || o != owner) && model[k][o][byte] &&
			    (type == ZUFS_LOCK_WRLCK || model[k][o][byte] == ZUFS_LOCK_WRLCK))
				return true;
	return false;
}

static bool blocked(unsigned int kind, unsigned int owner, unsigned int first, unsigned int last,
		    uint32_t type)
{
	for (; first <= last; first++)
		if (blocked_at(kind, owner, first, type))
			return true;
	return false;
}

/* One lock, neither more nor less: of the owner that its pid names. */
static void check_found(const struct zufs_lock_out *found)
{
	unsigned int kind = (unsigned int)found->pid / 100 - 1;
	unsigned int owner = (unsigned int)found->pid % 100;
	unsigned int first = (unsigned int)found->start, i;
	unsigned int last = found->end == ZUFS_LOCK_END ? BYTES - 1 : (unsigned int)found->end;
	const uint8_t *has = model[kind][owner];

	ck_assert(kind < KINDS && owner < OWNERS && last < BYTES);
	ck_assert_uint_eq(found->flags, kinds[kind]);
	for (i = first; i <= last; i++)
		ck_assert_uint_eq(has[i], found->type);
	ck_assert(!first || has[first - 1] != found->type);
	ck_assert(last == BYTES - 1 || has[last + 1] != found->type);
}

static void check_get(unsigned int kind, unsigned int owner, unsigned int first,
		      unsigned int last, uint32_t type)
{
	struct zufs_lock_in in = {
		.owner = owner_number(kind, owner), .start = first, .end = last_byte(last),
		.cmd = ZUFS_LOCK_GET, .type = type, .flags = kinds[kind],
	};
	struct zufs_lock_out out;

	ck_assert_msg(!call_lock(&in, &out), "%s", zus_local_broken_rule());
	ck_assert_int_eq(out.type != ZUFS_LOCK_UNLCK, blocked(kind, owner, first, last, type));
	if (out.type != ZUFS_LOCK_UNLCK)
		check_found(&out);
}

static void random_step(void)
{
	unsigned int kind = (unsigned int)(unit_random() % KINDS);
	unsigned int owner = (unsigned int)(unit_random() % OWNERS);
	unsigned int first = (unsigned int)(unit_random() % BYTES);
	unsigned int last = first + (unsigned int)(unit_random() % (BYTES - first));
	uint32_t type = (uint32_t)(unit_random() % 4);
	bool stays;

	if (kinds[kind] == ZUFS_LOCK_FLOCK) {
		first = 0;
		last = BYTES - 1;
	}
	/* shared ones are the more, so that there are some to be shared */
	type = type == 3 ? ZUFS_LOCK_RDLCK : type;
	stays = type != ZUFS_LOCK_UNLCK && blocked(kind, owner, first, last, type);
	ck_assert_int_eq(set_as(kind, owner, first, last, type), stays ? -EAGAIN : 0);
	if (!stays)
		memset(&model[kind][owner][first], (int)type, last - first + 1);
	kind = (unsigned int)(unit_random() % 2);
	check_get(kind, owner, first, last, 1 + (uint32_t)(unit_random() % 2));
	check_get(kind, owner, last, last, ZUFS_LOCK_WRLCK);
}

START_TEST(random_calls)
{
	unsigned int step;

	for (step = 0; step < 20000 * unit_scale(); step++)
		random_step();
}
END_TEST

/* ------------------------------------------------------------------- others */

/* As a file's close sends it. */
static int unlock_forced(unsigned int kind, unsigned int owner)
{
	struct zufs_batch_in in = { .count = 1 };
	struct zufs_forced msg = {
		.mount = 1, .inode = file, .arg = owner_number(kind, owner),
		.size_bytes = ZUFS_LOCK_END, .op_slot = ZUFS_NO_SLOT, .op = ZUFS_OP_LOCK,
		.flags = (uint16_t)kinds[kind],
	};
	struct zus_local_call call = {
		.op = ZUFS_OP_BATCH, .in = &in, .in_bytes = sizeof(in), .payload = &msg,
		.payload_bytes = sizeof(msg),
	};

	return zus_local_call(fs, &call);
}

START_TEST(forced_unlocks)
{
	ck_assert_int_eq(set_as(0, 0, 3, 4, ZUFS_LOCK_WRLCK), 0);
	ck_assert_int_eq(set_as(0, 0, 8, 9, ZUFS_LOCK_RDLCK), 0);
	ck_assert_int_eq(set_as(2, 0, 0, BYTES - 1, ZUFS_LOCK_WRLCK), 0);
	ck_assert_int_eq(set_as(1, 1, 4, 8, ZUFS_LOCK_WRLCK), -EAGAIN);
	/* somebody else's does nothing to it */
	ck_assert_int_eq(unlock_forced(1, 0), 0);
	ck_assert_int_eq(set_as(1, 1, 4, 8, ZUFS_LOCK_WRLCK), -EAGAIN);
	ck_assert_int_eq(unlock_forced(0, 0), 0);
	ck_assert_int_eq(set_as(1, 1, 4, 8, ZUFS_LOCK_WRLCK), 0);
	ck_assert_int_eq(set_as(2, 1, 0, BYTES - 1, ZUFS_LOCK_RDLCK), -EAGAIN);
	ck_assert_int_eq(unlock_forced(2, 0), 0);
	ck_assert_int_eq(set_as(2, 1, 0, BYTES - 1, ZUFS_LOCK_RDLCK), 0);
}
END_TEST

/* What somebody still has goes with the inode, and with the mount. */
START_TEST(ends_with_locks)
{
	ck_assert_int_eq(set_as(0, 0, 0, BYTES - 1, ZUFS_LOCK_RDLCK), 0);
	ck_assert_int_eq(set_as(1, 0, 0, 5, ZUFS_LOCK_RDLCK), 0);
	if (_i) {
		ck_assert_int_eq(zus_local_unlink(fs, "/f"), 0);
		ck_assert_int_eq(zus_local_forget(fs, file, 1), 0);
		ck_assert_uint_eq(zus_local_inodes(fs), 1);
	}
}
END_TEST

static int mount_with(const char *options)
{
	const struct zus_local_device device = { .size_bytes = 32 << 20 };
	struct zus_local_config config = {
		.plugin = unit_plugin("toyfs"), .options = options, .devices = &device,
		.num_devices = 1,
	};
	struct zus_local *local;
	int err = zus_local_mount(&config, &local);

	return err ? err : zus_local_umount(local);
}

START_TEST(options)
{
	static const struct { const char *text; int err; } all[] = {
		{ "", 0 }, { "locks", 0 }, { "relocate=1", 0 }, { "locks,relocate=3", 0 },
		{ "relocate=3,locks", 0 }, { "locks=1", -EINVAL }, { "relocate", -EINVAL },
		{ "relocate=x", -EINVAL }, { "relocate=1,relocate=2", -EINVAL },
		{ "lock", -EINVAL }, { "locks,other", -EINVAL },
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ck_assert_msg(mount_with(all[i].text) == all[i].err, "%s", all[i].text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("toyfs-locks");
	TCase *tc = tcase_create("toyfs-locks");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, random_calls);
	tcase_add_test(tc, forced_unlocks);
	tcase_add_loop_test(tc, ends_with_locks, 0, 2);
	tcase_add_test(tc, options);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
