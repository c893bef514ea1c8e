// SPDX-License-Identifier: BSD-3-Clause
/*
 * generate.c - the list of workloads: all operations, and all pairs of them, over two
 * directories with two names each, and a directory that is empty.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "trace.h"
#include "view.h"
#include "workload.h"

#define MAX_OPS	400

static const char *const paths[] = { "/foo", "/bar", "/A/foo", "/A/bar", "/B", NULL };

/* Of data operations only these: a file of two blocks, a short one, and none yet. */
static const char *const files[] = { "/foo", "/A/foo", "/A/bar", NULL };

static const char *const data_ops[] = {
	"write %s 0 4096",	/* a whole block */
	"write %s end 100",
	"write %s 3000 8192",	/* overlapping, of no whole blocks */
	"write %s 65536 4096",	/* behind a hole */
	"truncate %s 10000",
	"truncate %s 1000",
	"truncate %s 0",
	"fallocate %s allocate 0 16384",
	"fallocate %s keep 8192 8192",
	"fallocate %s punch 1000 5000",
	"fallocate %s zero 4096 4096",
	NULL,
};

static const char *const path_ops[] = {
	"creat %s",
	"mkdir %s",
	"symlink %s 7",
	"symlink %s 300",
	"unlink %s",
	"rmdir %s",
	"setxattr %s user.a 40",
	"setxattr %s user.p 3000",
	"removexattr %s user.p",
	"chmod %s 600",
	NULL,
};

/*
 * Beside each other: one of each kind, on files that have to do with each other, as two names
 * of one directory, a file and its directory, and what has many blocks.
 */
static const char *const beside_ops[] = {
	"creat /bar",
	"creat /A/bar",
	"mkdir /A/bar",
	"symlink /bar 300",
	"link /foo /bar",
	"link /foo /A/bar",
	"unlink /foo",
	"unlink /A/foo",
	"rmdir /B",
	"rename /foo /bar",
	"rename /foo /A/foo",
	"rename /A/foo /bar",
	"rename /A /bar",
	"rename /A /B",
	"rename /foo /A/foo exchange",
	"write /foo 0 4096",
	"write /foo 3000 8192",
	"write /A/foo 100 100",	/* at its end */
	"truncate /foo 1000",
	"truncate /A/foo 0",
	"fallocate /foo punch 1000 5000",
	"clone /foo /A/foo 0 6000 0",
	"setxattr /foo user.p 3000",
	"setxattr /A/foo user.q 3000",
	"removexattr /foo user.p",
	"chmod /foo 600",
	"chmod /A 711",
	NULL,
};

struct list {
	void (*line)(void *arg, const char *text);
	void *arg;
	struct spec *base;
	struct view *views[2];
	char text[MAX_OPS][WORKLOAD_TEXT / 4];
	struct op ops[MAX_OPS];
	unsigned int num_ops;
};

static void add(struct list *list, const char *text)
{
	struct op *op = &list->ops[list->num_ops];

	if (list->num_ops == MAX_OPS || op_parse(op, text))
		abort();
	op->seed = 1;
	snprintf(list->text[list->num_ops++], sizeof(list->text[0]), "%s", text);
}

static void add_all(struct list *list, const char *const *ops, const char *const *on)
{
	char text[WORKLOAD_TEXT / 4];
	const char *const *path;

	for (; *ops; ops++)
		for (path = on; *path; path++) {
			size_t head = strcspn(*ops, "%");

			snprintf(text, sizeof(text), "%.*s%s%s", (int)head, *ops, *path,
				 *ops + head + 2);
			add(list, text);
		}
}

static void add_pairs(struct list *list)
{
	char text[WORKLOAD_TEXT / 4];
	const char *const *from, *const *to;

	for (from = paths; *from; from++)
		for (to = paths; *to; to++) {
			if (from == to)
				continue;
			snprintf(text, sizeof(text), "link %s %s", *from, *to);
			add(list, text);
			snprintf(text, sizeof(text), "rename %s %s", *from, *to);
			add(list, text);
			if (from < to) {
				snprintf(text, sizeof(text), "rename %s %s exchange", *from, *to);
				add(list, text);
			}
		}
	add(list, "rename /A /B");
	add(list, "rename /A /bar");
	add(list, "rename /B /A/bar");
	add(list, "rename /foo /bar noreplace");
	add(list, "rename /foo /A/bar noreplace");
	add(list, "clone /foo /A/foo 0 6000 0");
	add(list, "clone /foo /foo 0 4096 8192");
}

/* Of two operations, in this order; NULL: they cannot be done. */
static struct spec *after(const struct list *list, unsigned int first, unsigned int second)
{
	struct spec *spec = spec_copy(list->base);
	struct op op = list->ops[second];

	op.seed = 2;
	if (!op_to_spec(&list->ops[first], spec) && !op_to_spec(&op, spec))
		return spec;
	spec_free(spec);
	return NULL;
}

/* The other way round is the same, and is in the list. */
static bool symmetric(struct list *list, const struct spec *spec, unsigned int a, unsigned int b)
{
	struct spec *other;
	struct op op = list->ops[b];
	bool same = false;

	/* with the same contents, too: a is the second here */
	other = a > b ? spec_copy(list->base) : NULL;
	if (!other)
		return false;
	op.seed = 2;
	if (!op_to_spec(&op, other) && !op_to_spec(&list->ops[a], other)) {
		view_of_spec(list->views[0], spec);
		view_of_spec(list->views[1], other);
		same = list->views[0]->hash == list->views[1]->hash;
	}
	spec_free(other);
	return same;
}

static void list_singles(const struct list *list)
{
	struct spec *spec;
	unsigned int i;

	for (i = 0; i < list->num_ops; i++) {
		spec = spec_copy(list->base);
		if (!op_to_spec(&list->ops[i], spec))
			list->line(list->arg, list->text[i]);
		spec_free(spec);
	}
}

static void list_pairs(struct list *list)
{
	char text[WORKLOAD_TEXT];
	struct spec *spec;
	unsigned int a, b;

	for (a = 0; a < list->num_ops; a++)
		for (b = 0; b < list->num_ops; b++) {
			spec = after(list, a, b);
			if (spec && !symmetric(list, spec, a, b)) {
				snprintf(text, sizeof(text), "%s; %s", list->text[a],
					 list->text[b]);
				list->line(list->arg, text);
			}
			spec_free(spec);
		}
}

static void list_beside(struct list *list)
{
	char text[WORKLOAD_TEXT];
	const char *const *a, *const *b;

	for (a = beside_ops; *a; a++)
		for (b = a; *b; b++) {
			snprintf(text, sizeof(text), "%s || %s", *a, *b);
			list->line(list->arg, text);
		}
}

/* So that a step has something to do with files, names, blocks that are free behind it. */
static void list_beside_steps(struct list *list, const char *const *steps)
{
	const char *const *step, *const *op;
	char text[WORKLOAD_TEXT];

	for (step = steps; step && *step; step++)
		for (op = beside_ops; *op; op++) {
			snprintf(text, sizeof(text), "write /foo 0 8192; creat /n1; "
				 "setxattr /A/foo user.p 3000; %s || @%s", *op, *step);
			list->line(list->arg, text);
			snprintf(text, sizeof(text), "creat /n1; write /foo 0 8192; step %s; "
				 "unlink /n1; chmod /A 700; %s || @%s", *steps, *op, *step);
			list->line(list->arg, text);
		}
}

void workload_pairs(const char *const *steps, void (*line)(void *arg, const char *text), void *arg)
{
	struct list list = { .line = line, .arg = arg };

	list_beside(&list);
	list_beside_steps(&list, steps);
}

static struct spec *prepared(void)
{
	struct spec *spec = spec_new(S_IFDIR | 0755, 0, 0);
	struct workload workload;
	uint32_t i;

	if (workload_parse(&workload, workload_prepare))
		abort();
	for (i = 0; i < workload.num_ops; i++)
		if (op_to_spec(&workload.ops[i], spec))
			abort();
	return spec;
}

void workload_list(void (*line)(void *arg, const char *text), void *arg)
{
	struct list *list = crash_alloc(1, sizeof(*list));

	list->line = line;
	list->arg = arg;
	list->base = prepared();
	list->views[0] = view_new();
	list->views[1] = view_new();
	add_all(list, path_ops, paths);
	add_all(list, data_ops, files);
	add_pairs(list);
	list_singles(list);
	list_pairs(list);
	view_free(list->views[0]);
	view_free(list->views[1]);
	spec_free(list->base);
	free(list);
}
