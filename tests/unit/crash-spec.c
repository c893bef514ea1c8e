// SPDX-License-Identifier: BSD-3-Clause
/*
 * crash-spec.c - the specification that tests/crash compares with: toyfs, which does not
 * crash here, must do what it says, and the reverse.
 * TIMEOUT: 120
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../crash/view.h"
#include "../crash/workload.h"
#include "unit.h"

#define STEPS	10000
#define STEPS_A_TREE 250u	/* later directories lie so deep that no name here reaches them */

static struct zus_local *fs;
static struct spec *spec;
static struct view *want, *got;

/* ------------------------------------------------------------------ helpers */

static void set_up(void)
{
	struct zus_attr root;

	fs = unit_mount(unit_plugin("toyfs"), "reflink", 1, 32 << 20);
	ck_assert_int_eq(zus_local_stat(fs, "/", &root), 0);
	spec = spec_new(root.mode, root.uid, root.gid);
	want = view_new();
	got = view_new();
}

static void tear_down(void)
{
	view_free(want);
	view_free(got);
	spec_free(spec);
	ck_assert_int_eq(zus_local_umount(fs), 0);
}

static void check_same(const char *after)
{
	int err = view_read(got, fs);

	ck_assert_msg(!err, "after %s: %d: %s", after, err, got->broken);
	view_of_spec(want, spec);
	if (want->hash != got->hash)
		view_print_diff(want, got, stdout);
	fflush(stdout);
	ck_assert_msg(want->hash == got->hash, "after %s", after);
}

/* Both do it, with the same result. */
static void do_op(const struct op *op)
{
	int want_err = op_to_spec(op, spec), err = op_to_fs(op, fs, NULL);
	char text[WORKLOAD_TEXT];

	op_print(op, text);
	ck_assert_msg(err == want_err, "%s: %d, not %d", text, err, want_err);
	check_same(text);
}

static void do_line(const char *line)
{
	struct workload workload;
	uint32_t i;

	ck_assert_msg(!workload_parse(&workload, line), "%s", line);
	for (i = 0; i < workload.num_ops; i++)
		do_op(&workload.ops[i]);
}

/* --------------------------------------------------------------------- text */

static void check_text(void *arg, const char *line)
{
	char text[2][WORKLOAD_TEXT];
	struct workload workload;
	unsigned int *count = arg;

	ck_assert_msg(!workload_parse(&workload, line), "%s", line);
	op_print(&workload.ops[0], text[0]);
	if (workload.num_ops == 2) {
		op_print(&workload.ops[1], text[1]);
		snprintf(text[0] + strlen(text[0]), sizeof(text[0]) - strlen(text[0]), "; %s",
			 text[1]);
	}
	ck_assert_str_eq(text[0], line);
	++*count;
}

START_TEST(lines_are_read_as_they_are_written)
{
	unsigned int count = 0;

	workload_list(check_text, &count);
	ck_assert_uint_gt(count, 1000);
}
END_TEST

START_TEST(the_last_two_may_be_beside_each_other)
{
	struct workload workload;

	ck_assert_int_eq(workload_parse(&workload, "creat /a; creat /b || @apply # c"), 0);
	ck_assert(workload.beside && workload.num_ops == 3);
	ck_assert_int_eq(workload.ops[1].kind, OP_CREAT);
	ck_assert_int_eq(workload.ops[2].kind, OP_STEP);
	ck_assert_str_eq(workload.ops[2].name, "apply");
	ck_assert_int_eq(workload_parse(&workload, "creat /a; @apply"), 0);
	ck_assert(!workload.beside && workload.num_ops == 2);
}
END_TEST

static void check_pair(void *arg, const char *line)
{
	struct workload workload;
	unsigned int *count = arg;

	ck_assert_msg(!workload_parse(&workload, line) && workload.beside, "%s", line);
	++*count;
}

START_TEST(pairs_are_read)
{
	static const char *const steps[] = { "apply", "checkpoint", NULL };
	unsigned int pairs = 0, with_steps = 0;

	workload_pairs(NULL, check_pair, &pairs);
	workload_pairs(steps, check_pair, &with_steps);
	ck_assert_uint_eq(pairs, 378);
	ck_assert_uint_eq(with_steps, 378 + 2 * 2 * 27);
}
END_TEST

START_TEST(bad_lines_are_refused)
{
	static const char *const bad[] = {
		"", "creat", "creat foo", "creat /foo /bar", "fly /foo", "write /foo 1x 2",
		"rename /a", "rename /a /b sideways", "truncate /foo",
		"rmdir /a;rmdir /a;rmdir /a;rmdir /a;rmdir /a;rmdir /a;rmdir /a;rmdir /a;rmdir /a",
		"rmdir /a ||", "|| rmdir /a", "rmdir /a || rmdir /b || rmdir /c", "@", "@a b",
		"rmdir /a || rmdir /b; rmdir /c",
	};
	struct workload workload;

	ck_assert_int_eq(workload_parse(&workload, bad[_i]), -EINVAL);
}
END_TEST

/* ---------------------------------------------------------------- reference */

START_TEST(prepared_tree)
{
	do_line(workload_prepare);
	ck_assert_int_eq(want->num_nodes, 5);
}
END_TEST

static uint64_t hash_of(const char *line)
{
	struct spec *one = spec_new(S_IFDIR | 0755, 0, 0);
	struct workload workload;
	uint64_t hash;
	uint32_t i;

	ck_assert_int_eq(workload_parse(&workload, line), 0);
	for (i = 0; i < workload.num_ops; i++)
		ck_assert_int_eq(op_to_spec(&workload.ops[i], one), 0);
	view_of_spec(want, one);
	hash = want->hash;
	spec_free(one);
	return hash;
}

/* The names, links and contents are the same, but not which names are one file. */
START_TEST(links_are_told_apart)
{
	ck_assert_uint_ne(hash_of("creat /a; creat /b; link /a /c; link /b /d"),
			  hash_of("creat /a; creat /b; link /a /d; link /b /c"));
	ck_assert_uint_eq(hash_of("creat /a; creat /b; link /a /c; link /b /d"),
			  hash_of("creat /d; creat /c; link /d /b; link /c /a"));
}
END_TEST

static const char *const names[] = {
	"/foo", "/bar", "/A", "/A/foo", "/A/bar", "/B", "/B/foo", "/A/D", "/A/D/foo",
};

static uint64_t below(uint64_t n)
{
	return unit_random() % n;
}

static void random_op(struct op *op, uint32_t step)
{
	static const uint32_t rename_flags[] = { 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };
	static const uint32_t modes[] = { 0, 1, 3, 16 };	/* FALLOC_FL_* */
	const size_t num = sizeof(names) / sizeof(names[0]);

	memset(op, 0, sizeof(*op));
	op->kind = (enum op_kind)below(OP_STEP);
	op->seed = step;
	snprintf(op->path, sizeof(op->path), "%s", names[below(num)]);
	snprintf(op->path2, sizeof(op->path2), "%s", names[below(num)]);
	snprintf(op->name, sizeof(op->name), "user.%c", (char)('a' + below(3)));
	op->off = below(3) ? below(30000) : below(6) * 4096;
	op->bytes = 1 + below(below(2) ? 300 : 9000);
	if (op->kind == OP_SYMLINK)
		op->bytes = 1 + below(300);
	if (op->kind == OP_RENAME)
		op->flags = rename_flags[below(4)];
	else if (op->kind == OP_FALLOCATE)
		op->flags = modes[below(4)];
	else
		op->flags = (uint32_t)below(01000);
	if (op->kind == OP_WRITE && !below(3))
		op->off = OP_END;
	if (op->kind == OP_CLONE && below(8)) {
		op->off = below(6) * 4096;
		op->bytes = (1 + below(3)) * 4096;
		op->to_off = below(6) * 4096;
	}
}

START_TEST(random_operations)
{
	unsigned int step, steps = STEPS * unit_scale();
	struct op op;

	for (step = 0; step < steps; step++) {
		if (step % STEPS_A_TREE == STEPS_A_TREE - 1) {
			tear_down();
			set_up();
		}
		random_op(&op, step);
		/* toyfs has them of files and directories */
		if (op.kind == OP_SYMLINK && !below(2))
			op.kind = OP_MKDIR;
		do_op(&op);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crash-spec");
	TCase *tc = tcase_create("spec");

	tcase_set_timeout(tc, 110);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, lines_are_read_as_they_are_written);
	tcase_add_test(tc, the_last_two_may_be_beside_each_other);
	tcase_add_test(tc, pairs_are_read);
	tcase_add_loop_test(tc, bad_lines_are_refused, 0, 16);
	tcase_add_test(tc, prepared_tree);
	tcase_add_test(tc, links_are_told_apart);
	tcase_add_test(tc, random_operations);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
