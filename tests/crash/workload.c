// SPDX-License-Identifier: BSD-3-Clause
/* workload.c - operations as lines of text: parsed, printed, done. */
#include <errno.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"
#include "workload.h"

#define BLOCK_BYTES	4096u
#define WRITE_BYTES	(128u << 10)	/* longest write, clone, value and target */

const char workload_prepare[] =
	"mkdir /A; mkdir /B; creat /foo; write /foo 0 6000; setxattr /foo user.p 40; "
	"creat /A/foo; write /A/foo 0 100";

/* --------------------------------------------------------------------- text */

/*
 * What follows the name: p, q paths; n name; o offset; b bytes; t offset in the second; m mode;
 * r, f flags by name.
 */
static const struct {
	const char *name;
	const char *args;
} syntax[OP_KINDS] = {
	[OP_CREAT] = { "creat", "p" },
	[OP_MKDIR] = { "mkdir", "p" },
	[OP_SYMLINK] = { "symlink", "pb" },
	[OP_LINK] = { "link", "pq" },
	[OP_UNLINK] = { "unlink", "p" },
	[OP_RMDIR] = { "rmdir", "p" },
	[OP_RENAME] = { "rename", "pqr" },
	[OP_WRITE] = { "write", "pob" },
	[OP_TRUNCATE] = { "truncate", "po" },
	[OP_FALLOCATE] = { "fallocate", "pfob" },
	[OP_CLONE] = { "clone", "pqobt" },
	[OP_SETXATTR] = { "setxattr", "pnb" },
	[OP_REMOVEXATTR] = { "removexattr", "pn" },
	[OP_CHMOD] = { "chmod", "pm" },
	[OP_STEP] = { "step", "n" },
};

static const struct flag {
	const char *name;
	uint32_t value;
} rename_flags[] = {
	{ "plain", 0 },
	{ "noreplace", RENAME_NOREPLACE },
	{ "exchange", RENAME_EXCHANGE },
	{ NULL, 0 },
}, fallocate_flags[] = {
	{ "allocate", 0 },
	{ "keep", FALLOC_FL_KEEP_SIZE },
	{ "punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE },
	{ "zero", FALLOC_FL_ZERO_RANGE },
	{ "collapse", FALLOC_FL_COLLAPSE_RANGE },
	{ "insert", FALLOC_FL_INSERT_RANGE },
	{ NULL, 0 },
};

static int parse_word(char *to, const char *word)
{
	if (strlen(word) >= SPEC_NAME_BYTES)
		return -EINVAL;
	memcpy(to, word, strlen(word) + 1);
	return 0;
}

static int parse_number(uint64_t *to, const char *word, int base)
{
	char *end;

	if (!strcmp(word, "end")) {
		*to = OP_END;
		return 0;
	}
	errno = 0;
	*to = strtoull(word, &end, base);
	return errno || *end || end == word ? -EINVAL : 0;
}

static int parse_flag(uint32_t *to, const char *word, const struct flag *flags)
{
	for (; flags->name; flags++)
		if (!strcmp(flags->name, word)) {
			*to = flags->value;
			return 0;
		}
	return -EINVAL;
}

static int parse_arg(struct op *op, char arg, const char *word)
{
	uint64_t mode;
	int err;

	switch (arg) {
	case 'p':
		return *word == '/' ? parse_word(op->path, word) : -EINVAL;
	case 'q':
		return *word == '/' ? parse_word(op->path2, word) : -EINVAL;
	case 'n':
		return parse_word(op->name, word);
	case 'o':
		return parse_number(&op->off, word, 10);
	case 'b':
		return parse_number(&op->bytes, word, 10);
	case 't':
		return parse_number(&op->to_off, word, 10);
	case 'r':
		return parse_flag(&op->flags, word, rename_flags);
	case 'f':
		return parse_flag(&op->flags, word, fallocate_flags);
	default:
		err = parse_number(&mode, word, 8);
		op->flags = (uint32_t)mode;
		return err;
	}
}

static int parse_args(struct op *op, const char *args, char *rest)
{
	char *word;
	int err = 0;

	for (; !err && (word = strtok_r(NULL, " \t", &rest)); args++)
		err = *args ? parse_arg(op, *args, word) : -EINVAL;
	/* a plain rename need not say so */
	return err ? err : *args && *args != 'r' ? -EINVAL : 0;
}

/* What nobody could do would be tested by nobody. */
static bool too_long(const struct op *op)
{
	return op->bytes > WRITE_BYTES && op->kind != OP_FALLOCATE;
}

int op_parse(struct op *op, const char *text)
{
	char copy[WORKLOAD_TEXT], *rest, *word;
	int kind, err;

	memset(op, 0, sizeof(*op));
	snprintf(copy, sizeof(copy), "%s", text);
	word = strtok_r(copy, " \t", &rest);
	if (word && *word == '@') {
		op->kind = OP_STEP;
		return word[1] && !rest[strspn(rest, " \t")] ? parse_word(op->name, word + 1) : -EINVAL;
	}
	for (kind = 0; word && kind < OP_KINDS; kind++)
		if (!strcmp(syntax[kind].name, word)) {
			op->kind = (enum op_kind)kind;
			err = parse_args(op, syntax[kind].args, rest);
			return !err && too_long(op) ? -EINVAL : err;
		}
	return -EINVAL;
}

static int add_op(struct workload *workload, const char *text)
{
	struct op *op = &workload->ops[workload->num_ops];
	int err;

	if (workload->num_ops == WORKLOAD_OPS || workload->beside)
		return -EINVAL;
	err = op_parse(op, text);
	if (!err)
		op->seed = ++workload->num_ops;
	return err;
}

/* What "||" stands in is two operations, and the last ones. */
static int add_ops(struct workload *workload, char *text)
{
	char *second = strstr(text, "||");
	int err;

	if (!second)
		return add_op(workload, text);
	*second = 0;
	err = add_op(workload, text);
	if (!err)
		err = add_op(workload, second + 2);
	workload->beside = true;
	return err;
}

int workload_parse(struct workload *workload, const char *text)
{
	char copy[WORKLOAD_TEXT], *rest, *word;
	int err = 0;

	workload->num_ops = 0;
	workload->beside = false;
	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1);
	copy[strcspn(copy, "#\n")] = 0;
	for (word = strtok_r(copy, ";", &rest); word && !err; word = strtok_r(NULL, ";", &rest))
		err = add_ops(workload, word);
	return err ? err : workload->num_ops ? 0 : -EINVAL;
}

static const char *flag_name(uint32_t value, const struct flag *flags)
{
	while (flags->name && flags->value != value)
		flags++;
	return flags->name ? flags->name : "?";
}

static void print_number(uint64_t number, char *to, size_t bytes)
{
	if (number == OP_END)
		snprintf(to, bytes, " end");
	else
		snprintf(to, bytes, " %" PRIu64, number);
}

static void print_arg(const struct op *op, char arg, char *to, size_t bytes)
{
	switch (arg) {
	case 'p':
	case 'q':
		snprintf(to, bytes, " %s", arg == 'p' ? op->path : op->path2);
		break;
	case 'n':
		snprintf(to, bytes, " %s", op->name);
		break;
	case 'o':
	case 'b':
	case 't':
		print_number(arg == 'o' ? op->off : arg == 'b' ? op->bytes : op->to_off, to, bytes);
		break;
	case 'r':
		if (op->flags)
			snprintf(to, bytes, " %s", flag_name(op->flags, rename_flags));
		break;
	case 'f':
		snprintf(to, bytes, " %s", flag_name(op->flags, fallocate_flags));
		break;
	default:
		snprintf(to, bytes, " %o", op->flags);
	}
}

void op_print(const struct op *op, char *to)
{
	const char *args = syntax[op->kind].args;
	size_t used;

	snprintf(to, WORKLOAD_TEXT, "%s", syntax[op->kind].name);
	for (; *args; args++) {
		used = strlen(to);
		print_arg(op, *args, to + used, WORKLOAD_TEXT - used);
	}
}

/* ----------------------------------------------------------------- contents */

/*
 * Another byte for each KiB, and for each operation; a string. Each operation has its own, as
 * two may run beside each other.
 */
static const char *contents(uint32_t seed, uint64_t bytes)
{
	static char buffers[WORKLOAD_OPS + 2][WRITE_BYTES + 1];
	char *buffer = buffers[seed % (WORKLOAD_OPS + 2)];
	uint64_t i;

	for (i = 0; i < bytes; i++)
		buffer[i] = (char)('A' + (7ull * seed + i / 1024) % 58);
	buffer[bytes] = 0;
	return buffer;
}

/* -------------------------------------------------------------- to the spec */

static uint64_t offset(const struct op *op, const struct spec *spec)
{
	int file = spec_find(spec, op->path);

	return op->off != OP_END ? op->off : file >= 0 ? spec->files[file].size : 0;
}

static int names_to_spec(const struct op *op, struct spec *spec)
{
	switch (op->kind) {
	case OP_CREAT:
		return spec_create(spec, op->path, 0644);
	case OP_MKDIR:
		return spec_mkdir(spec, op->path, 0755);
	case OP_SYMLINK:
		return spec_symlink(spec, contents(op->seed, op->bytes), op->path);
	case OP_LINK:
		return spec_link(spec, op->path, op->path2);
	case OP_UNLINK:
		return spec_unlink(spec, op->path);
	case OP_RMDIR:
		return spec_rmdir(spec, op->path);
	default:
		return spec_rename(spec, op->path, op->path2, op->flags);
	}
}

int op_to_spec(const struct op *op, struct spec *spec)
{
	switch (op->kind) {
	case OP_WRITE:
		return spec_write(spec, op->path, contents(op->seed, op->bytes), op->bytes,
				  offset(op, spec));
	case OP_TRUNCATE:
		return spec_truncate(spec, op->path, op->off);
	case OP_FALLOCATE:
		return spec_fallocate(spec, op->path, op->flags, op->off, op->bytes);
	case OP_CLONE:
		return spec_clone(spec, op->path, op->off, op->bytes, op->path2, op->to_off);
	case OP_SETXATTR:
		return spec_setxattr(spec, op->path, op->name, contents(op->seed, op->bytes),
				     (uint32_t)op->bytes);
	case OP_REMOVEXATTR:
		return spec_removexattr(spec, op->path, op->name);
	case OP_CHMOD:
		return spec_chmod(spec, op->path, op->flags);
	case OP_STEP:
		return 0;
	default:
		return names_to_spec(op, spec);
	}
}

bool op_between(const struct op *op, struct spec *spec, unsigned int number)
{
	bool clears = op->kind == OP_FALLOCATE &&
		      op->flags & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
	uint64_t off = op->off, end = op->off + op->bytes, edge;
	int file = spec_find(spec, op->path);

	if (op->kind == OP_TRUNCATE && off % BLOCK_BYTES && !number)
		return !spec_zero(spec, op->path, off, BLOCK_BYTES - off % BLOCK_BYTES);
	if (!clears || number > 1 || file < 0)
		return false;
	if (end > spec->files[file].size)
		end = spec->files[file].size;
	edge = off + (BLOCK_BYTES - off % BLOCK_BYTES) % BLOCK_BYTES;
	if (edge > end)
		edge = end;
	if (off >= end || spec_zero(spec, op->path, off, edge - off))
		return false;
	if (number && end - end % BLOCK_BYTES >= edge)
		spec_zero(spec, op->path, end - end % BLOCK_BYTES, end % BLOCK_BYTES);
	return true;
}

/* -------------------------------------------------------- to the filesystem */

static int names_to_fs(const struct op *op, struct zus_local *local)
{
	switch (op->kind) {
	case OP_CREAT:
		return zus_local_create(local, op->path, 0644);
	case OP_MKDIR:
		return zus_local_mkdir(local, op->path, 0755);
	case OP_SYMLINK:
		return zus_local_symlink(local, contents(op->seed, op->bytes), op->path);
	case OP_LINK:
		return zus_local_link(local, op->path, op->path2);
	case OP_UNLINK:
		return zus_local_unlink(local, op->path);
	case OP_RMDIR:
		return zus_local_rmdir(local, op->path);
	default:
		return zus_local_rename(local, op->path, op->path2, op->flags);
	}
}

/* A short write is an error of its own. */
static int data_to_fs(const struct op *op, struct zus_local *local)
{
	struct zus_local_file *file;
	struct zus_attr attr;
	ssize_t ret = zus_local_open(local, op->path, &file);
	uint64_t off = op->off;

	if (ret)
		return (int)ret;
	if (op->kind == OP_FALLOCATE) {
		ret = zus_local_fallocate(file, op->flags, off, op->bytes);
	} else {
		ret = zus_local_fstat(file, &attr);
		if (!ret && off == OP_END)
			off = attr.size_bytes;
		if (!ret)
			ret = zus_local_pwrite(file, contents(op->seed, op->bytes), op->bytes, off);
		if (ret >= 0)
			ret = (uint64_t)ret == op->bytes ? 0 : -EIO;
	}
	zus_local_close(file);
	return (int)ret;
}

/* What is not all done at once is an error of its own. */
static int clone_to_fs(const struct op *op, struct zus_local *local)
{
	struct zus_local_file *from, *to;
	ssize_t ret = zus_local_open(local, op->path, &from);

	if (ret)
		return (int)ret;
	ret = zus_local_open(local, op->path2, &to);
	if (!ret) {
		ret = zus_local_clone(from, op->off, to, op->to_off, op->bytes, 0);
		zus_local_close(to);
	}
	zus_local_close(from);
	return ret < 0 ? (int)ret : (uint64_t)ret == op->bytes ? 0 : -EIO;
}

int op_to_fs(const struct op *op, struct zus_local *local, const struct crash_target *target)
{
	const struct zus_setattr mode = { .valid = ZUS_SET_MODE, .mode = op->flags };

	switch (op->kind) {
	case OP_WRITE:
	case OP_FALLOCATE:
		return data_to_fs(op, local);
	case OP_CLONE:
		return clone_to_fs(op, local);
	case OP_TRUNCATE:
		return zus_local_truncate(local, op->path, op->off);
	case OP_SETXATTR:
		return zus_local_setxattr(local, op->path, op->name, contents(op->seed, op->bytes),
					  op->bytes, 0);
	case OP_REMOVEXATTR:
		return zus_local_removexattr(local, op->path, op->name);
	case OP_CHMOD:
		return zus_local_setattr(local, op->path, &mode);
	case OP_STEP:
		return target && target->step ? target->step(local, op->name) : -EOPNOTSUPP;
	default:
		return names_to_fs(op, local);
	}
}
