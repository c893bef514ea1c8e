/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * workload.h - operations as lines of text, "creat /bar; rename /bar /A/foo": done to a
 * filesystem and to its specification. The last two may run beside each other, "creat /A/bar ||
 * unlink /foo"; "@apply" is short for "step apply".
 */
#ifndef CRASH_WORKLOAD_H
#define CRASH_WORKLOAD_H

#include "spec.h"
#include "target.h"

#define WORKLOAD_OPS	8
#define WORKLOAD_TEXT	400u
#define OP_END		UINT64_MAX	/* offset: the file's end */

enum op_kind {
	OP_CREAT,
	OP_MKDIR,
	OP_SYMLINK,	/* bytes: length of the target */
	OP_LINK,
	OP_UNLINK,
	OP_RMDIR,
	OP_RENAME,	/* flags: RENAME_* */
	OP_WRITE,
	OP_TRUNCATE,	/* off: the size */
	OP_FALLOCATE,	/* flags: FALLOC_FL_* */
	OP_CLONE,	/* path2 gets path's bytes from off on at to_off */
	OP_SETXATTR,
	OP_REMOVEXATTR,
	OP_CHMOD,	/* flags: the mode */
	OP_STEP,	/* name: which */
	OP_KINDS,
};

struct op {
	uint64_t off;
	uint64_t bytes;
	uint64_t to_off;
	enum op_kind kind;
	uint32_t flags;
	uint32_t seed;		/* of the bytes that it writes */
	char path[SPEC_NAME_BYTES];
	char path2[SPEC_NAME_BYTES];
	char name[SPEC_NAME_BYTES];
};

struct workload {
	struct op ops[WORKLOAD_OPS];
	uint32_t num_ops;
	bool beside;		/* the last two run beside each other */
};

/* The tree that workloads begin with, as one. */
extern const char workload_prepare[];

/* 0, or EINVAL. What follows '#' is not looked at. */
int workload_parse(struct workload *workload, const char *text);
int op_parse(struct op *op, const char *text);
/* to: WORKLOAD_TEXT bytes. */
void op_print(const struct op *op, char *to);

/* 0 or a negative errno. Steps do nothing to a specification. */
int op_to_spec(const struct op *op, struct spec *spec);
int op_to_fs(const struct op *op, struct zus_local *local, const struct crash_target *target);

/*
 * Some operations are not one step: who truncates or punches zeroes what is no whole block
 * first, and that may be seen. Makes spec, in the state before the operation, the number-th
 * state between; false: there are not so many.
 */
bool op_between(const struct op *op, struct spec *spec, unsigned int number);

/*
 * All workloads of one operation, then of two, on the prepared tree, a line each. Of two
 * operations that may be done in either order with the same result, one order.
 */
void workload_list(void (*line)(void *arg, const char *text), void *arg);

/* Two operations beside each other, and each beside each of the steps, ended by NULL, if any. */
void workload_pairs(const char *const *steps, void (*line)(void *arg, const char *text),
		    void *arg);

#endif /* CRASH_WORKLOAD_H */
