// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: each write, at every edge within the first two blocks of a file, leaves
 *	exactly the bytes that a model has: over data, over holes, past the end,
 *	over what mmap stored past the end, and after a truncate.
 * Method: all combinations of a file's size, a write's offset and its length from a
 *	list of edges, in the directory $DATA_DIR; each file is read back by read(2) and
 *	by mmap and compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmtest.h"

#define BLOCK		4096ul
#define MODEL_BYTES	(6 * BLOCK)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Sizes and offsets: beside a cache line and a block. */
static const unsigned int edges[] = {
	0, 1, 65, 511, 4095, 4096, 4097, 8191,
};

static const unsigned int lengths[] = { 1, 8, 63, 4095, 4096, 8192 };

struct file {
	int fd;
	unsigned int size;
	unsigned char model[MODEL_BYTES];	/* zero from size on */
};

static unsigned char next_byte(void)
{
	static unsigned int value;

	value = value % 255 + 1;	/* never 0 */
	return (unsigned char)value;
}

static void file_new(struct file *file)
{
	memset(file, 0, sizeof(*file));
	unlink("edge");		/* of a test that failed */
	file->fd = open("edge", O_RDWR | O_CREAT | O_EXCL, 0600);
	ck_assert_msg(file->fd >= 0, "open: %s", strerror(errno));
}

static void file_end(struct file *file)
{
	ck_assert_int_eq(close(file->fd), 0);
	ck_assert_int_eq(unlink("edge"), 0);
}

static void file_write(struct file *file, unsigned int off, unsigned int len)
{
	unsigned char buf[2 * BLOCK];

	memset(buf, next_byte(), len);
	ck_assert_int_eq(pwrite(file->fd, buf, len, off), len);
	memcpy(file->model + off, buf, len);
	if (off + len > file->size)
		file->size = off + len;
}

static void file_truncate(struct file *file, unsigned int size)
{
	ck_assert_int_eq(ftruncate(file->fd, size), 0);
	if (size < file->size)
		memset(file->model + size, 0, file->size - size);
	file->size = size;
}

static unsigned char *file_map(const struct file *file)
{
	unsigned char *map = mmap(NULL, MODEL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
				  file->fd, 0);

	ck_assert_msg(map != MAP_FAILED, "mmap: %s", strerror(errno));
	return map;
}

/* Store to the end of the last block, which is beyond the end of the file. */
static void file_store_past_end(const struct file *file)
{
	unsigned int end = (file->size + BLOCK - 1) / BLOCK * BLOCK;
	unsigned char *map = file_map(file);

	memset(map + file->size, 0xee, end - file->size);
	ck_assert_int_eq(munmap(map, MODEL_BYTES), 0);
}

static void compare(const struct file *file, const unsigned char *got, const char *how,
		    const char *what, const unsigned int *args)
{
	unsigned int i;

	for (i = 0; i < file->size && got[i] == file->model[i]; i++)
		;
	ck_assert_msg(i == file->size,
		      "%s (size %u, offset %u, length %u): %s: byte %u of %u is %#x, not %#x",
		      what, args[0], args[1], args[2], how, i, file->size, got[i],
		      file->model[i]);
}

static void file_check(const struct file *file, const char *what, const unsigned int *args)
{
	unsigned char buf[MODEL_BYTES];
	struct stat st;
	unsigned char *map;

	ck_assert_int_eq(fstat(file->fd, &st), 0);
	ck_assert_int_eq(st.st_size, file->size);
	memset(buf, 0x55, sizeof(buf));
	ck_assert_int_eq(pread(file->fd, buf, sizeof(buf), 0), file->size);
	compare(file, buf, "read", what, args);
	if (!file->size)
		return;
	map = file_map(file);
	compare(file, map, "mmap", what, args);
	ck_assert_int_eq(munmap(map, MODEL_BYTES), 0);
}

/* How a file of a size comes to be. */
static void start_written(struct file *file, unsigned int size)
{
	unsigned int done, step;

	for (done = 0; done < size; done += step) {
		step = size - done < BLOCK ? size - done : BLOCK;
		file_write(file, done, step);
	}
}

static void start_hole(struct file *file, unsigned int size)
{
	file_truncate(file, size);
}

/* A hole whose zero pages are mapped while it fills. */
static void start_hole_mapped(struct file *file, unsigned int size)
{
	file_truncate(file, size);
	if (size)
		file_check(file, "hole", (unsigned int[]) { size, 0, 0 });
}

static void start_stored_past_end(struct file *file, unsigned int size)
{
	start_written(file, size);
	if (size % BLOCK)
		file_store_past_end(file);
}

/* Longer before, by what must not come back. */
static void start_cut(struct file *file, unsigned int size)
{
	start_written(file, size + BLOCK + 100);
	file_truncate(file, size);
}

static const struct {
	const char *name;
	void (*start)(struct file *file, unsigned int size);
} starts[] = {
	{ "written", start_written },
	{ "hole", start_hole },
	{ "hole mapped", start_hole_mapped },
	{ "stored past end", start_stored_past_end },
	{ "cut", start_cut },
};

START_TEST(write_edges)
{
	unsigned int size, off, len;
	struct file file;

	for (size = 0; size < ARRAY_SIZE(edges); size++)
		for (off = 0; off < ARRAY_SIZE(edges); off++)
			for (len = 0; len < ARRAY_SIZE(lengths); len++) {
				unsigned int args[] = { edges[size], edges[off], lengths[len] };

				file_new(&file);
				starts[_i].start(&file, args[0]);
				file_write(&file, args[1], args[2]);
				file_check(&file, starts[_i].name, args);
				file_end(&file);
			}
}
END_TEST

START_TEST(truncate_edges)
{
	unsigned int size, cut, grow;
	struct file file;

	for (size = 0; size < ARRAY_SIZE(edges); size++)
		for (cut = 0; cut < ARRAY_SIZE(edges); cut++)
			for (grow = 0; grow < ARRAY_SIZE(edges); grow++) {
				unsigned int args[] = { edges[size], edges[cut], edges[grow] };

				file_new(&file);
				starts[_i].start(&file, args[0]);
				file_truncate(&file, args[1]);
				file_check(&file, starts[_i].name, args);
				file_truncate(&file, args[2]);
				file_check(&file, starts[_i].name, args);
				file_end(&file);
			}
}
END_TEST

/* A mapping that stays sees what write(2) puts into holes and beyond the end. */
START_TEST(mapped_while_written)
{
	unsigned int off, len;
	struct file file;
	unsigned char *map;

	for (off = 0; off < ARRAY_SIZE(edges); off++)
		for (len = 0; len < ARRAY_SIZE(lengths); len++) {
			unsigned int args[] = { 3 * BLOCK, edges[off], lengths[len] };

			file_new(&file);
			file_truncate(&file, 3 * BLOCK);
			map = file_map(&file);
			compare(&file, map, "before", "mapped", args);
			file_write(&file, args[1], args[2]);
			compare(&file, map, "after", "mapped", args);
			map[2 * BLOCK] = 0x77;
			file.model[2 * BLOCK] = 0x77;
			file_check(&file, "stored", args);
			ck_assert_int_eq(munmap(map, MODEL_BYTES), 0);
			file_end(&file);
		}
}
END_TEST

START_TEST(append)
{
	unsigned int i, total = 0;
	struct file file;
	int fd;

	file_new(&file);
	fd = open("edge", O_WRONLY | O_APPEND);
	ck_assert_int_ge(fd, 0);
	for (i = 0; total + lengths[i % ARRAY_SIZE(lengths)] <= MODEL_BYTES; i++) {
		unsigned int len = lengths[i % ARRAY_SIZE(lengths)];

		memset(file.model + total, next_byte(), len);
		ck_assert_int_eq(write(fd, file.model + total, len), len);
		total += len;
		file.size = total;
		file_check(&file, "append", (unsigned int[]) { total - len, total - len, len });
	}
	close(fd);
	file_end(&file);
}
END_TEST

START_TEST(direct_and_sync)
{
	static const int flags[] = { O_DIRECT, O_DSYNC, O_SYNC, O_DIRECT | O_SYNC };
	unsigned int i;
	struct file file;
	void *buf;

	ck_assert_int_eq(posix_memalign(&buf, BLOCK, BLOCK), 0);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		int fd;

		file_new(&file);
		fd = open("edge", O_RDWR | flags[i]);
		ck_assert_msg(fd >= 0, "open with %#x: %s", flags[i], strerror(errno));
		memset(buf, next_byte(), BLOCK);
		ck_assert_int_eq(pwrite(fd, buf, BLOCK, BLOCK), BLOCK);
		memcpy(file.model + BLOCK, buf, BLOCK);
		file.size = 2 * BLOCK;
		ck_assert_int_eq(fsync(fd), 0);
		ck_assert_int_eq(fdatasync(fd), 0);
		ck_assert_int_eq(pread(fd, buf, BLOCK, 0), BLOCK);
		file_check(&file, "direct", (unsigned int[]) { 0, BLOCK, BLOCK });
		close(fd);
		file_end(&file);
	}
	free(buf);
}
END_TEST

/* Far out, beyond what fits into 32 bits of blocks. */
START_TEST(sparse)
{
	static const off_t offs[] = { 1LL << 31, (1LL << 32) - 1, 1LL << 41, 1LL << 45 };
	struct file file;
	char byte;
	unsigned int i;

	file_new(&file);
	for (i = 0; i < ARRAY_SIZE(offs); i++) {
		ck_assert_int_eq(pwrite(file.fd, "x", 1, offs[i]), 1);
		ck_assert_int_eq(lseek(file.fd, 0, SEEK_END), offs[i] + 1);
		ck_assert_int_eq(pread(file.fd, &byte, 1, offs[i] - 1), 1);
		ck_assert_int_eq(byte, 0);
		ck_assert_int_eq(pread(file.fd, &byte, 1, offs[i]), 1);
		ck_assert_int_eq(byte, 'x');
	}
	/* 4095 zeros in the block of the second one are data as well */
	ck_assert_int_eq(lseek(file.fd, 0, SEEK_DATA), offs[0]);
	ck_assert_int_eq(lseek(file.fd, offs[0], SEEK_HOLE), offs[0] + BLOCK);
	ck_assert_int_eq(lseek(file.fd, offs[0] + BLOCK, SEEK_DATA), offs[1] / BLOCK * BLOCK);
	ck_assert_int_eq(lseek(file.fd, offs[3], SEEK_HOLE), offs[3] + 1);
	ck_assert_int_eq(lseek(file.fd, offs[3] + 1, SEEK_DATA), -1);
	ck_assert_int_eq(errno, ENXIO);
	ck_assert_int_eq(ftruncate(file.fd, 10), 0);
	ck_assert_int_eq(lseek(file.fd, 0, SEEK_DATA), -1);
	file_end(&file);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("data-edges");
	TCase *tcase = tcase_create("data-edges");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, write_edges, 0, ARRAY_SIZE(starts));
	tcase_add_loop_test(tcase, truncate_edges, 0, ARRAY_SIZE(starts));
	tcase_add_test(tcase, mapped_while_written);
	tcase_add_test(tcase, append);
	tcase_add_test(tcase, direct_and_sync);
	tcase_add_test(tcase, sparse);
	suite_add_tcase(suite, tcase);
	return vt_data_main(suite);
}
