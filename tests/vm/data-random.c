// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: any sequence of reads, writes, stores, truncates and syncs leaves what a
 *	model in memory has.
 * Method: one file of up to 5 MiB, so that huge pages take part, in directory
 *	$DATA_DIR; DATA_OPS operations (default 4000, on the debug kernel 600), chosen by
 *	ZUFS_SEED; a mapping that stays is compared as well as read(2). On failure the
 *	last operations are printed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vmtest.h"

#define BLOCK		4096ul
#define HUGE		(2ul << 20)
#define MAX_BYTES	(5ul << 20)
#define IO_MAX		(192ul << 10)
#define LOG_OPS		24

static struct {
	int fd, direct_fd, pipes[2];
	unsigned char *model;		/* zero from size on */
	unsigned char *map;		/* of the file, MAX_BYTES long */
	unsigned char *buf;		/* aligned */
	size_t size;
	struct { const char *name; size_t off, len; } log[LOG_OPS];
	unsigned int ops;
} run;

static void dump_log(void)
{
	unsigned int i, first = run.ops > LOG_OPS ? run.ops - LOG_OPS : 0;

	for (i = first; i < run.ops; i++)
		fprintf(stderr, "op %u: %s off %zu len %zu\n", i, run.log[i % LOG_OPS].name,
			run.log[i % LOG_OPS].off, run.log[i % LOG_OPS].len);
	fprintf(stderr, "size %zu\n", run.size);
}

static void note(const char *name, size_t off, size_t len)
{
	run.log[run.ops % LOG_OPS].name = name;
	run.log[run.ops % LOG_OPS].off = off;
	run.log[run.ops % LOG_OPS].len = len;
	run.ops++;
}

static void must(bool ok, const char *what)
{
	int err = errno;

	if (ok)
		return;
	dump_log();
	ck_abort_msg("%s: %s", what, strerror(err));
}

static void compare(const unsigned char *got, size_t off, size_t len, const char *how)
{
	size_t i;

	if (!memcmp(got, run.model + off, len))
		return;
	for (i = 0; got[i] == run.model[off + i]; i++)
		;
	dump_log();
	ck_abort_msg("%s: byte %zu is %#x, not %#x", how, off + i, got[i], run.model[off + i]);
}

/* Mostly small and beside the edges of blocks and huge pages. */
static size_t pick_off(void)
{
	static const size_t grains[] = { 1, 1, BLOCK, BLOCK, HUGE };
	size_t grain = grains[vt_random() % 5];
	size_t off = vt_random() % MAX_BYTES / grain * grain;

	if (grain > 1 && vt_random() % 2)
		off += vt_random() % 3 - 1;
	return off < MAX_BYTES ? off : 0;
}

static size_t pick_len(size_t off, size_t limit)
{
	static const size_t lens[] = { 16, 16, BLOCK, 3 * BLOCK, IO_MAX };
	size_t len = 1 + vt_random() % lens[vt_random() % 5];

	if (off + len > limit)
		len = limit - off;
	return len;
}

static void new_bytes(size_t len)
{
	size_t i;
	unsigned char byte = (unsigned char)(1 + vt_random() % 255);

	for (i = 0; i < len; i++)
		run.buf[i] = (unsigned char)(byte + i / 251);
}

static void written(size_t off, size_t len)
{
	memcpy(run.model + off, run.buf, len);
	if (off + len > run.size)
		run.size = off + len;
}

static void op_write(void)
{
	size_t off = pick_off(), len = pick_len(off, MAX_BYTES);

	note("write", off, len);
	new_bytes(len);
	must(pwrite(run.fd, run.buf, len, (off_t)off) == (ssize_t)len, "pwrite");
	written(off, len);
}

static void op_writev(void)
{
	size_t off = pick_off(), len = pick_len(off, MAX_BYTES), first = vt_random() % len;
	struct iovec vec[2] = { { run.buf, first }, { run.buf + first, len - first } };

	note("writev", off, len);
	new_bytes(len);
	must(pwritev(run.fd, vec, 2, (off_t)off) == (ssize_t)len, "pwritev");
	written(off, len);
}

static void op_write_direct(void)
{
	size_t off = pick_off() / BLOCK * BLOCK;
	size_t len = (1 + vt_random() % 8) * BLOCK;

	if (off + len > MAX_BYTES)
		len = MAX_BYTES - off;
	note("write direct", off, len);
	new_bytes(len);
	must(pwrite(run.direct_fd, run.buf, len, (off_t)off) == (ssize_t)len, "pwrite direct");
	written(off, len);
}

/* From the file's own mapping: a source that the write may unmap. */
static void op_write_self(void)
{
	size_t from, off = pick_off(), len;

	if (!run.size)
		return;
	from = vt_random() % run.size;
	len = pick_len(from, run.size);
	if (off + len > MAX_BYTES)
		return;
	if (from < off + len && off < from + len)
		return;		/* what overlapping would give is nobody's promise */
	note("write self", off, len);
	memcpy(run.buf, run.model + from, len);
	must(pwrite(run.fd, run.map + from, len, (off_t)off) == (ssize_t)len, "pwrite self");
	written(off, len);
}

static void op_splice_write(void)
{
	size_t off = pick_off(), len = pick_len(off, MAX_BYTES);
	off_t at = (off_t)off;

	if (len > 4 * BLOCK)
		len = 4 * BLOCK;	/* a pipe holds more */
	note("splice", off, len);
	new_bytes(len);
	must(write(run.pipes[1], run.buf, len) == (ssize_t)len, "write to the pipe");
	must(splice(run.pipes[0], NULL, run.fd, &at, len, 0) == (ssize_t)len, "splice");
	written(off, len);
}

static void op_read(void)
{
	size_t off = pick_off(), want;
	ssize_t got;

	note("read", off, IO_MAX);
	got = pread(vt_random() % 4 ? run.fd : run.direct_fd, run.buf, IO_MAX,
		    (off_t)(off / BLOCK * BLOCK));
	off = off / BLOCK * BLOCK;
	want = off >= run.size ? 0 : run.size - off < IO_MAX ? run.size - off : IO_MAX;
	must(got == (ssize_t)want, "read's length");
	compare(run.buf, off, want, "read");
}

static void op_sendfile(void)
{
	size_t off = pick_off(), want = 4 * BLOCK;
	off_t at = (off_t)off;

	if (off >= run.size)
		return;
	if (want > run.size - off)
		want = run.size - off;
	note("sendfile", off, want);
	must(sendfile(run.pipes[1], run.fd, &at, want) == (ssize_t)want, "sendfile");
	must(read(run.pipes[0], run.buf, want) == (ssize_t)want, "read from the pipe");
	compare(run.buf, off, want, "sendfile");
}

static void op_store(void)
{
	size_t off, len;

	if (!run.size)
		return;
	off = pick_off() % run.size;
	len = pick_len(off, run.size);
	note("store", off, len);
	new_bytes(len);
	memcpy(run.map + off, run.buf, len);
	memcpy(run.model + off, run.buf, len);
}

static void op_load(void)
{
	size_t off;

	if (!run.size)
		return;
	off = pick_off() % run.size;
	note("load", off, pick_len(off, run.size));
	compare(run.map + off, off, pick_len(off, run.size), "load");
}

static void op_truncate(void)
{
	size_t size = pick_off();

	note("truncate", size, 0);
	must(!ftruncate(run.fd, (off_t)size), "ftruncate");
	if (size < run.size)
		memset(run.model + size, 0, run.size - size);
	run.size = size;
}

static void op_sync(void)
{
	size_t off = pick_off() / BLOCK * BLOCK;

	note("sync", off, 0);
	switch (vt_random() % 3) {
	case 0:
		must(!fsync(run.fd), "fsync");
		break;
	case 1:
		must(!fdatasync(run.fd), "fdatasync");
		break;
	default:
		must(!msync(run.map + off, MAX_BYTES - off, MS_SYNC), "msync");
		break;
	}
}

static void map_file(void)
{
	run.map = mmap(NULL, MAX_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, run.fd, 0);
	must(run.map != MAP_FAILED, "mmap");
}

static void op_remap(void)
{
	note("remap", 0, 0);
	munmap(run.map, MAX_BYTES);
	map_file();
}

/* Data where SEEK_DATA says so, and nothing but zeros in what it skips. */
static void op_seek(void)
{
	size_t off, i;
	off_t data;

	if (!run.size)
		return;
	off = pick_off() % run.size;
	note("seek", off, 0);
	data = lseek(run.fd, (off_t)off, SEEK_DATA);
	if (data < 0) {
		must(errno == ENXIO, "SEEK_DATA");
		data = (off_t)run.size;
	}
	must(data >= (off_t)off && data <= (off_t)run.size, "SEEK_DATA's range");
	for (i = off; i < (size_t)data; i++)
		must(!run.model[i], "SEEK_DATA skipped data");
}

static void check_all(void)
{
	size_t off, step;
	struct stat st;

	must(!fstat(run.fd, &st) && (size_t)st.st_size == run.size, "the size");
	for (off = 0; off < run.size; off += step) {
		step = run.size - off < IO_MAX ? run.size - off : IO_MAX;
		must(pread(run.fd, run.buf, step, (off_t)off) == (ssize_t)step, "pread");
		compare(run.buf, off, step, "all, read");
		compare(run.map + off, off, step, "all, mapped");
	}
}

static void (*const ops[])(void) = {
	op_write, op_write, op_write, op_writev, op_write_direct, op_write_self,
	op_splice_write, op_read, op_read, op_sendfile, op_store, op_store, op_load,
	op_truncate, op_sync, op_remap, op_seek,
};

START_TEST(random_operations)
{
	const char *text = getenv("DATA_OPS");
	unsigned long count = text ? strtoul(text, NULL, 0) : vt_debug_kernel() ? 600 : 4000;
	unsigned long i;

	run.model = calloc(1, MAX_BYTES + IO_MAX);
	ck_assert_ptr_nonnull(run.model);
	ck_assert_int_eq(posix_memalign((void **)&run.buf, BLOCK, IO_MAX), 0);
	run.fd = open("random", O_RDWR | O_CREAT | O_TRUNC, 0600);
	must(run.fd >= 0, "open");
	run.direct_fd = open("random", O_RDWR | O_DIRECT);
	must(run.direct_fd >= 0, "open with O_DIRECT");
	must(!pipe(run.pipes), "pipe");
	map_file();
	for (i = 0; i < count; i++) {
		ops[vt_random() % (sizeof(ops) / sizeof(ops[0]))]();
		if (i % 200 == 199)
			check_all();
	}
	check_all();
	munmap(run.map, MAX_BYTES);
	close(run.fd);
	close(run.direct_fd);
	unlink("random");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("data-random");
	TCase *tcase = tcase_create("data-random");

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, random_operations);
	suite_add_tcase(suite, tcase);
	return vt_data_main(suite);
}
