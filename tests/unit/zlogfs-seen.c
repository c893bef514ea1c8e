// SPDX-License-Identifier: BSD-3-Clause
/*
 * zlogfs-seen.c - whether an operation was done zlogfs knows by its id, also when its server
 * has died: from its log, and from the slots of a checkpoint. The crash tests ask the same of
 * each image.
 */
#include <errno.h>
#include <string.h>

#include "unit.h"
#include "zlogfs_ioctl.h"
#include "zlogfs_mount.h"

#define INCARNATION	7u

static void *media;
static struct zus_local *fs;

static struct zus_local *mount_on(void *memory, uint64_t incarnation, uint32_t flags)
{
	const struct zus_local_config config = { .incarnation = incarnation, .flags = flags };

	return zlogfs_mount(memory, &config);
}

static void setup(void)
{
	media = zlogfs_media_new();
	fs = mount_on(media, INCARNATION, 0);
}

static void teardown(void)
{
	ck_assert_int_eq(zus_local_umount(fs), 0);
	zlogfs_media_free(media);
}

static int seen(struct zus_local *local, struct zus_local_op op)
{
	uint64_t ino;

	return zus_local_op_seen(local, &op, &ino);
}

/* What a mount says that finds the media as they are now; the server of fs has died. */
static int seen_after_crash(struct zus_local_op op, uint64_t incarnation, uint32_t flags)
{
	void *copy = zlogfs_media_blank();
	struct zus_local *local;
	int ret;

	memcpy(copy, media, ZLOGFS_MEDIA_BYTES);
	local = mount_on(copy, incarnation, flags);
	ret = seen(local, op);
	ck_assert_int_eq(zus_local_umount(local), 0);
	zlogfs_media_free(copy);
	return ret;
}

static struct zus_local_op create(const char *path)
{
	ck_assert_int_eq(zus_local_create(fs, path, 0644), 0);
	return zus_local_last_op();
}

START_TEST(what_was_done_is_known)
{
	struct zus_local_op op = create("/f"), next = { op.seq + 1, op.slot };
	struct zus_attr attr;
	uint64_t ino = 0;

	ck_assert_uint_lt(op.slot, ZLOGFS_MEDIA_SLOTS);
	ck_assert_int_eq(zus_local_op_seen(fs, &op, &ino), 1);
	ck_assert_int_eq(zus_local_stat(fs, "/", &attr), 0);
	ck_assert_uint_eq(ino, attr.ino);	/* it has a name more */
	ck_assert_int_eq(seen(fs, next), 0);
	ck_assert_int_eq(seen_after_crash(op, INCARNATION, 0), 1);
	ck_assert_int_eq(seen_after_crash(next, INCARNATION, 0), 0);
	ck_assert_int_eq(seen_after_crash(op, INCARNATION, ZUS_MOUNT_RDONLY), 1);
}
END_TEST

/* The one behind it in its slot acknowledges it. */
START_TEST(the_newest_of_a_slot)
{
	struct zus_local_op first = create("/f"), second = create("/g");

	ck_assert_uint_eq(first.slot, second.slot);
	ck_assert_int_eq(seen_after_crash(first, INCARNATION, 0), -ESTALE);
	ck_assert_int_eq(seen_after_crash(second, INCARNATION, 0), 1);
}
END_TEST

/* Its record goes with the log. */
START_TEST(a_checkpoint_keeps_it)
{
	struct zus_local_op op = create("/f");

	zlogfs_ask(fs, ZLOGFS_IOC_APPLY);
	zlogfs_ask(fs, ZLOGFS_IOC_CHECKPOINT);
	zlogfs_ask(fs, ZLOGFS_IOC_CHECKPOINT);
	ck_assert_int_eq(seen_after_crash(op, INCARNATION, 0), 1);
	ck_assert_int_eq(zus_local_end(fs), 0);
	ck_assert_int_eq(zus_local_mount_again(fs), 0);
	ck_assert_int_eq(seen(fs, op), 1);
}
END_TEST

START_TEST(another_incarnation_knows_of_none)
{
	struct zus_local_op op = create("/f");

	ck_assert_int_eq(seen_after_crash(op, INCARNATION + 1, 0), 0);
	zlogfs_ask(fs, ZLOGFS_IOC_APPLY);
	zlogfs_ask(fs, ZLOGFS_IOC_CHECKPOINT);
	ck_assert_int_eq(seen_after_crash(op, INCARNATION + 1, 0), 0);
}
END_TEST

/* What changed nothing may be done again. */
START_TEST(what_failed_was_not_done)
{
	struct zus_local_op op = create("/f"), failed = { op.seq + 1, op.slot };

	ck_assert_int_eq(zus_local_rmdir(fs, "/f"), -ENOTDIR);
	ck_assert_uint_eq(zus_local_last_op().seq, op.seq);
	ck_assert_int_eq(seen_after_crash(failed, INCARNATION, 0), 0);
}
END_TEST

/* A write that a commit word makes part of the file is known by its MAP's id. */
START_TEST(a_write_by_its_word)
{
	struct zus_local_op before = create("/f"), op;
	struct zus_local_file *file;

	ck_assert_int_eq(zus_local_open(fs, "/f", &file), 0);
	ck_assert_int_eq(zus_local_pwrite(file, "x", 1, 0), 1);
	op = zus_local_last_op();
	zus_local_close(file);
	ck_assert_uint_gt(op.seq, before.seq);
	ck_assert_int_eq(seen(fs, op), 1);
	ck_assert_int_eq(seen_after_crash(op, INCARNATION, 0), 1);
}
END_TEST

/* And by who meets its word, when the next operation of its slot has been done. */
START_TEST(a_word_that_is_met_late)
{
	const struct zus_local_config config = { .incarnation = INCARNATION, .words_late = 1 };
	void *other = zlogfs_media_new();
	struct zus_local *local = zlogfs_mount(other, &config);
	struct zus_local_file *file;
	struct zus_local_op op, next;
	struct zus_attr attr;

	ck_assert_int_eq(zus_local_create(local, "/f", 0644), 0);
	ck_assert_int_eq(zus_local_open(local, "/f", &file), 0);
	ck_assert_int_eq(zus_local_pwrite(file, "x", 1, 0), 1);
	op = zus_local_last_op();
	ck_assert_int_eq(zus_local_create(local, "/g", 0644), 0);
	next = zus_local_last_op();
	ck_assert_uint_eq(next.slot, op.slot);
	ck_assert_int_eq(zus_local_fstat(file, &attr), 0);
	ck_assert_int_eq(seen(local, op), -ESTALE);
	ck_assert_int_eq(seen(local, next), 1);
	zus_local_close(file);
	ck_assert_int_eq(zus_local_umount(local), 0);
	zlogfs_media_free(other);
}
END_TEST

/* For who does the same many times, and wants the same stores each time. */
START_TEST(ids_begin_anew)
{
	struct zus_local_op first = create("/f"), again;

	ck_assert_int_eq(zus_local_end(fs), 0);
	zus_local_new_slots(fs);
	ck_assert_uint_eq(zus_local_last_op().slot, ZUS_NO_SLOT);
	ck_assert_int_eq(zus_local_mount_again(fs), 0);
	again = create("/g");
	ck_assert_uint_eq(again.slot, first.slot);
	ck_assert_uint_eq(again.seq, first.seq);
}
END_TEST

START_TEST(no_such_slot)
{
	ck_assert_int_eq(seen(fs, (struct zus_local_op) { 1, ZLOGFS_MEDIA_SLOTS }), 0);	/* not of this one */
	ck_assert_int_eq(seen(fs, (struct zus_local_op) { 1, 64 }), -EINVAL);
	ck_assert_int_eq(seen(fs, (struct zus_local_op) { 1, ZUS_NO_SLOT }), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zlogfs-seen");
	TCase *tc = tcase_create("seen");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_was_done_is_known);
	tcase_add_test(tc, the_newest_of_a_slot);
	tcase_add_test(tc, a_checkpoint_keeps_it);
	tcase_add_test(tc, another_incarnation_knows_of_none);
	tcase_add_test(tc, what_failed_was_not_done);
	tcase_add_test(tc, a_write_by_its_word);
	tcase_add_test(tc, a_word_that_is_met_late);
	tcase_add_test(tc, ids_begin_anew);
	tcase_add_test(tc, no_such_slot);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
