// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: at every edge of holes, of unwritten, new and written blocks, and of the end of the
 *	file, within the first 8 KiB and through leases of them, each read, write, store
 *	and truncate leaves exactly the bytes that a model has, in the file, in a mapping
 *	of it and on the medium.
 * Method: the server keeps, block by block, what the file has, and leases all that it
 *	answers; blocks that are not written hold garbage, and so does the last block behind
 *	the end of the file. All kinds of the first two blocks, sizes, offsets and
 *	lengths are combined, with nothing leased before, all leased by a read, or mapped,
 *	or with recalls that overtake answers, in turn.
 * TIMEOUT: 120
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rawlease.h"
#include "vmtest.h"

#define BLOCK		4096u
#define BLOCKS		6u		/* of the model; no case reaches the last one */
#define MODEL_BYTES	((size_t)BLOCKS * BLOCK)
#define PLACE		1u		/* of f0; see rawlease.h */
#define INO		2u
#define GARBAGE		0xdd
#define PAST_END	0xee		/* somebody's store behind the end */
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static const unsigned int sizes[] = { 0, 1, 64, 65, 4095, 4096, 4097, 4159, 8191, 8192 };
static const unsigned int offs[] = { 0, 1, 63, 65, 4032, 4095, 4096, 4097, 8191, 8192 };
static const unsigned int lens[] = { 1, 65, 4096, 4097, 8192 };
static const unsigned int regrown[] = { 1, 4095, 4096, 4097, 8192 };

enum kind { HOLE, UNWRITTEN, WRITTEN, KINDS };
enum prime { COLD, READ, MAPPED, OVERTAKEN };
/* In turn; the last one takes longest. No count of lengths has their number as a factor. */
static const enum prime primes[] = {
	COLD, READ, MAPPED, READ, COLD, MAPPED, READ, MAPPED, OVERTAKEN,
};

/* Of test and server, which never run at once. */
static struct shared {
	enum kind kind[BLOCKS];		/* what the server has */
	enum kind begin[2];		/* what the file shall grow to be */
	bool begins, ends;
	bool overtake;			/* every other answer by a recall */
	unsigned int answers, overtaken;
	unsigned int size;
	unsigned char model[MODEL_BYTES]; /* zero from size on */
	char wrong[128];		/* on the medium */
} *sh;

static struct rs *rs;
static uint64_t mount_id;
static int fd = -1;
static unsigned char *map;

/* -------------------------------------------------------------------- server */

/* As the file comes to be: bytes that tell their place, and garbage. */
static void begin_blocks(void)
{
	unsigned char *bytes = (unsigned char *)rl_bytes_here(PLACE);
	unsigned int block, i;

	memset(bytes, GARBAGE, MODEL_BYTES);
	memset(sh->model, 0, MODEL_BYTES);
	for (block = 0; block < 2 && block * BLOCK < sh->size; block++) {
		sh->kind[block] = sh->begin[block];
		if (sh->kind[block] != WRITTEN)
			continue;
		for (i = block * BLOCK; i < (block + 1) * BLOCK; i++) {
			bytes[i] = i < sh->size ? (unsigned char)(i % 251 + 1) : PAST_END;
			sh->model[i] = i < sh->size ? bytes[i] : 0;
		}
	}
	sh->begins = false;
}

/* Before the file is cut: what the medium has is what the model has. */
static void check_medium(void)
{
	const unsigned char *bytes = (unsigned char *)rl_bytes_here(PLACE);
	unsigned int i;

	for (i = 0; i < sh->size && !*sh->wrong; i++) {
		bool written = sh->kind[i / BLOCK] == WRITTEN;

		if (written ? bytes[i] == sh->model[i] : !sh->model[i])
			continue;
		snprintf(sh->wrong, sizeof(sh->wrong), "byte %u, of a block that is %s, is %#x, not %#x",
			 i, written ? "written" : "none", bytes[i], sh->model[i]);
	}
	sh->ends = false;
}

static enum rs_next on_setattr(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_setattr_in *in = m->in;
	unsigned int block;

	(void)ch;
	if (m->reply->err || !(in->valid & ZUFS_SET_SIZE))
		return RS_REPLY;
	if (sh->ends)
		check_medium();
	for (block = ((unsigned int)in->size_bytes + BLOCK - 1) / BLOCK; block < BLOCKS; block++)
		sh->kind[block] = HOLE;
	if (sh->begins && in->size_bytes)
		begin_blocks();
	return RS_REPLY;
}

/* From @block to @end, as far as it is of one kind. */
static struct zufs_extent extent_of(unsigned int block, unsigned int end, bool make)
{
	static const uint16_t types[] = { ZUFS_EXT_HOLE, ZUFS_EXT_UNWRITTEN, ZUFS_EXT_DATA };
	enum kind kind = sh->kind[block];
	struct zufs_extent ext = {
		.file_off = (uint64_t)block * BLOCK, .len_bytes = BLOCK,
		.type = types[kind], .flags = ZUFS_EXTF_LEASE_R,
	};

	while (++block < end && sh->kind[block] == kind)
		ext.len_bytes += BLOCK;
	if (kind != HOLE || make)
		ext.dev_off = rl_dev_off_here(PLACE) + ext.file_off;
	if (kind == WRITTEN) {
		ext.flags |= ZUFS_EXTF_LEASE_W;
	} else if (make) {
		ext.type = ZUFS_EXT_DATA;
		ext.flags = ZUFS_EXTF_NEW;
	}
	return ext;
}

/* The kernel forgets it at once, and asks again. */
static void overtake(void)
{
	struct zufs_recall recall = { .ino = INO, .gen = 1, .cookie = 1 };

	rl_drain_here();
	if (sh->overtake && sh->answers++ % 2 == 0 && !rl_recall_here(&recall))
		sh->overtaken++;
}

/* A read gets all that has room, a write what it has asked for. */
static enum rs_next on_map(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_map_in *in = m->in;
	bool write = in->flags & ZUFS_MAP_WRITE, make = write && !(in->flags & ZUFS_MAP_ZERO);
	unsigned int block = (unsigned int)in->off / BLOCK, end = BLOCKS;
	struct zufs_extent *ext = m->out_payload;
	struct zufs_map_out *out = m->out;

	(void)ch;
	if (m->reply->err || (uint32_t)in->inode != INO)
		return RS_REPLY;
	if (write)
		end = (unsigned int)(in->off + in->len_bytes + BLOCK - 1) / BLOCK;
	while (!write && block && sh->kind[block - 1] == sh->kind[block])
		block--;
	for (out->count = 0; block < end && out->count < in->max_extents; ext++) {
		*ext = extent_of(block, end, make);
		block += (unsigned int)ext->len_bytes / BLOCK;
		out->count++;
	}
	m->reply->payload_bytes = out->count * (uint32_t)sizeof(*ext);
	overtake();
	return RS_REPLY;
}

static enum rs_next on_map_done(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_map_done_in *in = m->in;
	uint64_t block, end = in->off + in->written_bytes;

	(void)ch;
	if (!m->reply->err && in->written_bytes)
		for (block = in->off / BLOCK; block * BLOCK < end && block < BLOCKS; block++)
			sh->kind[block] = WRITTEN;
	return RS_REPLY;
}

/* ---------------------------------------------------------------------- test */

struct one {
	const char *what;
	enum kind kind[2];
	enum prime prime;
	unsigned int size, off, len;	/* of a truncate: the new size, and one more */
};

#define ck_case(expr, c, format, ...) \
	ck_assert_msg(expr, "%s, prime %d, kinds %d %d, size %u, off %u, len %u: " format, (c)->what, \
		      (c)->prime, (c)->kind[0], (c)->kind[1], (c)->size, (c)->off, (c)->len, \
		      ##__VA_ARGS__)

static void compare(const struct one *c, const unsigned char *got, unsigned int from,
		    unsigned int bytes, const char *how)
{
	unsigned int i;

	for (i = 0; i < bytes && got[i] == sh->model[from + i]; i++)
		;
	ck_case(i == bytes, c, "%s: byte %u is %#x, not %#x", how, from + i, got[i],
		sh->model[from + i]);
}

static void read_all(const struct one *c, const char *how)
{
	unsigned char buf[MODEL_BYTES];
	ssize_t got;

	memset(buf, 0x55, sizeof(buf));
	got = pread(fd, buf, sizeof(buf), 0);
	ck_case(got == (ssize_t)sh->size, c, "%s: %zd of %u bytes: %s", how, got, sh->size,
		strerror(errno));
	compare(c, buf, 0, sh->size, how);
}

static void begin(const struct one *c)
{
	volatile unsigned char *page;
	unsigned int off;

	memcpy(sh->begin, c->kind, sizeof(sh->begin));
	sh->begins = true;
	sh->size = c->size;
	memset(sh->model, 0, sizeof(sh->model));
	sh->overtake = c->prime == OVERTAKEN;
	ck_assert_int_eq(ftruncate(fd, c->size), 0);
	if (c->prime == READ || c->prime == MAPPED)
		read_all(c, "before");
	for (off = 0; c->prime == MAPPED && off < c->size; off += BLOCK) {
		page = map + off;
		(void)*page;
	}
}

static void end(const struct one *c)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_case(st.st_size == (off_t)sh->size, c, "the size is %ld, not %u", (long)st.st_size,
		sh->size);
	read_all(c, "read");
	compare(c, map, 0, sh->size, "mapping");
	sh->ends = true;
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert(!sh->ends);
	ck_case(!*sh->wrong, c, "medium: %s", sh->wrong);
	sh->overtake = false;
}

static unsigned char next_byte(void)
{
	static unsigned int value;

	value = value % 254 + 1;
	return (unsigned char)value;
}

static void do_write(const struct one *c)
{
	unsigned char buf[2 * BLOCK];

	memset(buf, next_byte(), c->len);
	ck_case(pwrite(fd, buf, c->len, c->off) == (ssize_t)c->len, c, "%s", strerror(errno));
	memcpy(sh->model + c->off, buf, c->len);
	if (c->off + c->len > sh->size)
		sh->size = c->off + c->len;
}

/* As far as there is a file. */
static void do_store(const struct one *c)
{
	unsigned char byte = next_byte();
	unsigned int to = c->off + c->len < sh->size ? c->off + c->len : sh->size;

	memset(map + c->off, byte, to - c->off);
	memset(sh->model + c->off, byte, to - c->off);
}

static void truncate_to(const struct one *c, unsigned int size)
{
	ck_case(!ftruncate(fd, size), c, "%s", strerror(errno));
	if (size < sh->size)
		memset(sh->model + size, 0, sh->size - size);
	sh->size = size;
}

/* What was cut, and what somebody stores behind the end, does not come back. */
static void do_truncate(const struct one *c)
{
	unsigned int page_end;

	truncate_to(c, c->off);
	page_end = (sh->size + BLOCK - 1) / BLOCK * BLOCK;
	if (c->prime == MAPPED && page_end > sh->size)
		memset(map + sh->size, PAST_END, page_end - sh->size);
	truncate_to(c, c->len);
}

static void do_read(const struct one *c)
{
	unsigned int want = c->off < sh->size ? sh->size - c->off : 0;
	unsigned char buf[2 * BLOCK];

	if (want > c->len)
		want = c->len;
	ck_case(pread(fd, buf, c->len, c->off) == (ssize_t)want, c, "another count");
	compare(c, buf, c->off, want, "read");
}

static const struct {
	const char *name;
	void (*run)(const struct one *c);
	const unsigned int *off, *len;
	size_t offs, lens;
	unsigned int together;		/* cases on one file: it stays as it is */
} ops[] = {
	{ "read", do_read, offs, lens, ARRAY_SIZE(offs), ARRAY_SIZE(lens), ARRAY_SIZE(lens) },
	{ "write", do_write, offs, lens, ARRAY_SIZE(offs), ARRAY_SIZE(lens), 1 },
	{ "store", do_store, offs, lens, ARRAY_SIZE(offs), ARRAY_SIZE(lens), 1 },
	{ "truncate", do_truncate, sizes, regrown, ARRAY_SIZE(sizes), ARRAY_SIZE(regrown), 1 },
};

/* All offsets and lengths of a kind, size and operation. */
static void run_cases(unsigned int op, const struct one *first, unsigned int step)
{
	static unsigned int number;
	struct one c = *first;
	unsigned int i, j, total = (unsigned int)(ops[op].offs * ops[op].lens);

	for (i = 0; i < total; i += step * ops[op].together) {
		c.off = ops[op].off[i / ops[op].lens];
		c.len = ops[op].len[i % ops[op].lens];
		if (ops[op].run == do_store && c.off >= c.size)
			continue;
		c.prime = primes[number++ % ARRAY_SIZE(primes)];
		begin(&c);
		for (j = 0; j < ops[op].together; j++) {
			c.len = ops[op].len[(i + j) % ops[op].lens];
			ops[op].run(&c);
		}
		end(&c);
	}
}

/* A block that lies behind the end is a hole in any case. */
static bool is_same(const struct one *c)
{
	return (c->kind[0] && !c->size) || (c->kind[1] && c->size <= BLOCK);
}

START_TEST(edges)
{
	/* no number above has it as a factor: others from one row to the next */
	unsigned int step = vt_debug_kernel() ? 11 : 1, kinds, size;
	struct one c = { .what = ops[_i].name };

	for (kinds = 0; kinds < KINDS * KINDS; kinds++)
		for (size = 0; size < ARRAY_SIZE(sizes); size++) {
			c.kind[0] = (enum kind)(kinds % KINDS);
			c.kind[1] = (enum kind)(kinds / KINDS);
			c.size = sizes[size];
			if (!is_same(&c))
				run_cases((unsigned int)_i, &c, step);
		}
	ck_assert_uint_gt(sh->overtaken, 0);
	ck_assert_int_gt(vt_lease(mount_id, "hits"), 0);
}
END_TEST

/*
 * One store that needs two pages: while the second is asked for, the server takes back
 * the first, each time it is asked. It must get on, and soon.
 */
START_TEST(store_across_pages)
{
	typedef uint64_t unaligned __attribute__((aligned(1), may_alias));
	struct one c = {
		.what = "store across pages", .kind = { WRITTEN, WRITTEN }, .prime = OVERTAKEN,
		.size = 2 * BLOCK, .off = BLOCK - 4, .len = sizeof(uint64_t),
	};
	long misses = vt_lease(mount_id, "misses");
	const unsigned int stores = 50;
	unsigned int i;

	for (i = 0; i < stores; i++) {
		uint64_t value = 0x0101010101010101u * next_byte();

		begin(&c);
		sh->answers = 0;
		*(volatile unaligned *)(void *)(map + c.off) = value;
		memcpy(sh->model + c.off, &value, sizeof(value));
		end(&c);
	}
	misses = vt_lease(mount_id, "misses") - misses;
	ck_assert_msg(misses < 40L * stores, "%ld misses", misses);
}
END_TEST

static void setup(void)
{
	sh = vt_shared(sizeof(*sh));
	rs = rl_start(1, &mount_id);
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = -1, .hook = on_map });
	rs_arm(rs, ZUFS_OP_MAP_DONE, &(struct rs_script) { .times = -1, .hook = on_map_done });
	rs_arm(rs, ZUFS_OP_SETATTR, &(struct rs_script) { .times = -1, .hook = on_setattr });
	fd = open(RL_MNT "/f0", O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	map = mmap(NULL, MODEL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
}

static void teardown(void)
{
	munmap(map, MODEL_BYTES);
	close(fd);
	rl_stop(rs);
}

int main(void)
{
	Suite *suite = suite_create("lease-edges");
	TCase *tc = tcase_create("edges");

	tcase_set_timeout(tc, 0);
	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, edges, 0, ARRAY_SIZE(ops));
	tcase_add_test(tc, store_across_pages);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
