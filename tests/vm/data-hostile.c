// SPDX-License-Identifier: BSD-3-Clause
/*
 * Goal: a map that breaks a rule fails the read, write, seek or fault with EIO or
 *	SIGBUS, is counted under the rule's name, and nothing outside of the device's
 *	data area is ever touched; legal but odd answers work.
 * TIMEOUT: 60
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rawserver.h"
#include "vmtest.h"

#define MNT	"mnt"
#define BLOCK	4096ul

static struct rs *rs;
static uint64_t mount_id;

/* ------------------------------------------------------------------ answers */

#define EXTENT(fn, change)							\
	static enum rs_next fn(struct rs_channel *ch, struct rf_msg *m)		\
	{									\
		struct zufs_extent *ext = m->out_payload;			\
		struct zufs_map_out *out = m->out;				\
										\
		(void)ch;							\
		(void)ext;							\
		(void)out;							\
		change;								\
		return RS_REPLY;						\
	}

EXTENT(good, (void)0)
EXTENT(none, out->count = 0)
EXTENT(too_many, out->count = 0xffffffff)
EXTENT(more_than_sent, m->reply->payload_bytes = 16)
EXTENT(empty, ext->len_bytes = 0)
EXTENT(len_odd, ext->len_bytes -= 512)
EXTENT(dev_off_odd, ext->dev_off += 512)
EXTENT(both_odd, (ext->file_off -= 512, ext->len_bytes += 512))
EXTENT(later, ext->file_off += BLOCK)
EXTENT(earlier, (ext->file_off -= ext->file_off ? BLOCK : 0, ext->len_bytes = BLOCK))
EXTENT(longest, ext->len_bytes = ~0ull - BLOCK + 1)
EXTENT(farthest, ext->file_off = ~0ull - BLOCK + 1)
EXTENT(other_device, ext->dev = 1)
EXTENT(no_device, ext->dev = 0xffffffff)
EXTENT(table, ext->dev_off = 0)
EXTENT(before_data, ext->dev_off = (2u << 20) - BLOCK)
EXTENT(behind_end, ext->dev_off = 512ull << 20)
EXTENT(over_end, (ext->dev_off = (512ull << 20) - BLOCK, ext->len_bytes = 2 * BLOCK))
EXTENT(wrapped, ext->dev_off = ~0ull - BLOCK + 1)
EXTENT(type_0, ext->type = 0)
EXTENT(type_9, ext->type = 9)
EXTENT(inlined, ext->type = ZUFS_EXT_INLINE)
EXTENT(new, ext->flags = ZUFS_EXTF_NEW)
EXTENT(commit, ext->flags = ZUFS_EXTF_COMMIT)
EXTENT(flags, ext->flags = 0x80)
EXTENT(leased, ext->flags = ZUFS_EXTF_LEASE_R)
EXTENT(leased_rw, ext->flags = ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W)
EXTENT(hole, ext->type = ZUFS_EXT_HOLE)
EXTENT(unwritten, ext->type = ZUFS_EXT_UNWRITTEN)
EXTENT(hole_flags, (ext->type = ZUFS_EXT_HOLE, ext->flags = ZUFS_EXTF_NEW))
EXTENT(larger, ext->len_bytes += 16 * BLOCK)
EXTENT(busy, m->reply->flags = ZUFS_REPLY_BUSY_RETRY)
EXTENT(first_file, ext->dev_off = (2u << 20) + ((uint64_t)ch->rs->user[0] << 20))

/* Two extents; the second has a hole, or the first's end, before it. */
static enum rs_next two(struct rf_msg *m, int64_t shift)
{
	struct zufs_extent *ext = m->out_payload;
	struct zufs_map_out *out = m->out;

	ext->len_bytes = BLOCK;
	ext[1] = ext[0];
	ext[1].file_off += (uint64_t)(BLOCK + shift);
	ext[1].dev_off += BLOCK;
	out->count = 2;
	m->reply->payload_bytes = 2 * sizeof(*ext);
	return RS_REPLY;
}

static enum rs_next pair(struct rs_channel *ch, struct rf_msg *m)
{
	(void)ch;
	return two(m, 0);
}

static enum rs_next gap(struct rs_channel *ch, struct rf_msg *m)
{
	(void)ch;
	return two(m, BLOCK);
}

static enum rs_next overlap(struct rs_channel *ch, struct rf_msg *m)
{
	(void)ch;
	return two(m, -(int64_t)BLOCK);
}

#define ATTR(fn, change)							\
	static enum rs_next fn(struct rs_channel *ch, struct rf_msg *m)		\
	{									\
		struct zufs_attr *attr = m->out;				\
										\
		(void)ch;							\
		change;								\
		return RS_REPLY;						\
	}

ATTR(attr_ino, attr->ino++)
ATTR(attr_size, attr->size_bytes = ~0ull)
ATTR(attr_type, attr->mode = S_IFDIR | 0755)
ATTR(attr_other_size, attr->size_bytes += 77)

/* -------------------------------------------------------------- what callers do */

struct subject {
	char path[32];
	int fd;
	char *map;
};

static sigjmp_buf on_sigbus;

static void sigbus(int signo)
{
	siglongjmp(on_sigbus, signo);
}

static int do_read(struct subject *s)
{
	char buf[2 * BLOCK];
	ssize_t done = pread(s->fd, buf, sizeof(buf), BLOCK);

	return done < 0 ? -errno : done == sizeof(buf) ? 0 : -ENODATA;
}

static int do_write(struct subject *s)
{
	char buf[2 * BLOCK];
	ssize_t done;

	memset(buf, 'h', sizeof(buf));
	done = pwrite(s->fd, buf, sizeof(buf), BLOCK);
	return done < 0 ? -errno : done == sizeof(buf) ? 0 : -ENODATA;
}

static int do_grow(struct subject *s)
{
	return pwrite(s->fd, "g", 1, 7 * BLOCK) == 1 ? 0 : -errno;
}

static int do_seek(struct subject *s)
{
	return lseek(s->fd, BLOCK, SEEK_HOLE) < 0 ? -errno : 0;
}

static int do_load(struct subject *s)
{
	if (sigsetjmp(on_sigbus, 1))
		return -EIO;
	(void)*(volatile char *)(s->map + BLOCK);
	return 0;
}

static int do_store(struct subject *s)
{
	if (sigsetjmp(on_sigbus, 1))
		return -EIO;
	*(volatile char *)(s->map + BLOCK) = 's';
	return 0;
}

static int do_truncate(struct subject *s)
{
	return ftruncate(s->fd, 5 * BLOCK) ? -errno : 0;
}

static const struct row {
	const char *name;
	int (*act)(struct subject *s);
	rs_hook answer;
	const char *rule;	/* NULL: legal */
	rs_hook done;		/* to MAP_DONE */
	rs_hook setattr;
	int times;		/* 0: 1 */
} rows[] = {
	{ .name = "read", do_read, good },
	{ .name = "read, two extents", do_read, pair },
	{ .name = "read, a hole", do_read, hole },
	{ .name = "read, unwritten", do_read, unwritten },
	{ .name = "read, more than asked", do_read, larger },
	{ .name = "read, busy", do_read, busy, .times = 5 },
	{ .name = "read, none", do_read, none, "size" },
	{ .name = "read, too many", do_read, too_many, "size" },
	{ .name = "read, not sent", do_read, more_than_sent, "size" },
	{ .name = "read, empty", do_read, empty, "extent_range" },
	{ .name = "read, length", do_read, len_odd, "extent_align" },
	{ .name = "read, offset", do_read, dev_off_odd, "extent_align" },
	{ .name = "read, both", do_read, both_odd, "extent_align" },
	{ .name = "read, later", do_read, later, "extent_range" },
	{ .name = "read, earlier", do_read, earlier, "extent_range" },
	{ .name = "read, longest", do_read, longest, "extent_range" },
	{ .name = "read, farthest", do_read, farthest, "extent_range" },
	{ .name = "read, gap", do_read, gap, "extent_range" },
	{ .name = "read, overlap", do_read, overlap, "extent_range" },
	{ .name = "read, other device", do_read, other_device, "extent_device" },
	{ .name = "read, no device", do_read, no_device, "extent_device" },
	{ .name = "read, device table", do_read, table, "extent_device" },
	{ .name = "read, before the data", do_read, before_data, "extent_device" },
	{ .name = "read, behind the end", do_read, behind_end, "extent_device" },
	{ .name = "read, over the end", do_read, over_end, "extent_device" },
	{ .name = "read, wrapped", do_read, wrapped, "extent_device" },
	{ .name = "read, type 0", do_read, type_0, "extent_type" },
	{ .name = "read, type 9", do_read, type_9, "extent_type" },
	{ .name = "read, inline", do_read, inlined, "extent_type" },
	{ .name = "read, new", do_read, new, "extent_type" },
	{ .name = "read, commit", do_read, commit, "extent_type" },
	{ .name = "read, flags", do_read, flags, "extent_type" },
	{ .name = "read, leased, which the mount is not for", do_read, leased, "extent_type" },
	{ .name = "write, leased, the same", do_write, leased_rw, "extent_type" },
	{ .name = "read, a hole with flags", do_read, hole_flags, "extent_type" },

	{ .name = "write", do_write, good },
	{ .name = "write, new", do_write, new },
	{ .name = "write, commit", do_write, commit },
	{ .name = "write, busy", do_write, busy, .times = 5 },
	{ .name = "write, a hole", do_write, hole, "extent_type" },
	{ .name = "write, unwritten", do_write, unwritten, "extent_type" },
	{ .name = "write, device table", do_write, table, "extent_device" },
	{ .name = "write, over the end", do_write, over_end, "extent_device" },
	{ .name = "write, length", do_write, len_odd, "extent_align" },
	{ .name = "write, done for another", do_write, new, "ino", .done = attr_ino },
	{ .name = "write, done of another type", do_write, new, "type", .done = attr_type },
	{ .name = "grow, too far", do_grow, good, "file_size", .done = attr_size },

	{ .name = "seek", do_seek, good },
	{ .name = "seek, gap", do_seek, gap, "extent_range" },

	{ .name = "load", do_load, good },
	{ .name = "load, a hole", do_load, hole },
	{ .name = "load, device table", do_load, table, "extent_device" },
	{ .name = "load, length", do_load, len_odd, "extent_align" },
	{ .name = "load, another file's page", do_load, first_file, "extent_device" },
	{ .name = "store", do_store, good },
	{ .name = "store, new", do_store, new },
	{ .name = "store, a hole", do_store, hole, "extent_type" },
	{ .name = "store, done for another", do_store, new, "ino", .done = attr_ino },
	{ .name = "store, another file's page", do_store, first_file, "extent_device" },

	{ .name = "truncate", do_truncate, NULL },
	{ .name = "truncate, another size", do_truncate, NULL, "file_size",
	  .setattr = attr_other_size },
};
#define NUM_ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

static void arm(unsigned int op, rs_hook hook, int times)
{
	if (hook)
		rs_arm(rs, op, &(struct rs_script) { .times = times, .hook = hook });
}

/* Prints what was wrong. */
static bool row_passes(int number)
{
	const struct row *row = &rows[number];
	struct subject s;
	long rule = 0, refused = 0, err;
	bool good_end = false;

	snprintf(s.path, sizeof(s.path), MNT "/f%d", number + 1);
	s.fd = open(s.path, O_RDWR);
	ck_assert_int_ge(s.fd, 0);
	ck_assert_int_eq(ftruncate(s.fd, 6 * BLOCK), 0);
	s.map = mmap(NULL, 6 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, s.fd, 0);
	ck_assert_ptr_ne(s.map, MAP_FAILED);
	if (row->rule)
		rule = vt_rule(mount_id, row->rule);
	arm(ZUFS_OP_MAP, row->answer, row->times ? row->times : 1);
	arm(ZUFS_OP_MAP_DONE, row->done, 1);
	arm(ZUFS_OP_SETATTR, row->setattr, 1);
	err = row->act(&s);
	if (row->rule)
		refused = vt_rule(mount_id, row->rule) - rule;
	if (row->answer && atomic_load(&rs->script[ZUFS_OP_MAP].times))
		printf("%s: the server was not asked\n", row->name);
	else if (err != (row->rule ? -EIO : 0))
		printf("%s: the caller got %ld\n", row->name, err);
	else if (row->rule && refused != 1)
		printf("%s: counted %ld times as '%s'\n", row->name, refused, row->rule);
	else
		good_end = true;
	munmap(s.map, 6 * BLOCK);
	close(s.fd);
	vt_await_number(mount_id, "inflight", 0);
	return good_end;
}

START_TEST(map_rules)
{
	struct sigaction action = { .sa_handler = sigbus };
	int i, bad = 0, fd;
	struct stat st;
	char *map;

	ck_assert_int_eq(sigaction(SIGBUS, &action, NULL), 0);
	/* the page that others will be told is theirs stays mapped here */
	fd = open(MNT "/f0", O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	rs->user[0] = 0;
	map = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	arm(ZUFS_OP_MAP, first_file, 1);	/* whatever slot is f0's: this one */
	*(volatile char *)map = 'x';
	for (i = 0; i < NUM_ROWS; i++)
		bad += !row_passes(i);
	printf("%d maps that break a rule or nearly do, %d went wrong\n", NUM_ROWS, bad);
	ck_assert_int_eq(bad, 0);
	ck_assert_int_eq(*(volatile char *)map, 'x');
	munmap(map, BLOCK);
	close(fd);
}
END_TEST

static void setup(void)
{
	vt_mkfs("/dev/pmem0", "zraw");
	rs = rs_start(&(struct rs_options) { .device = true, .files = NUM_ROWS + 1 });
	vt_mount("zraw", "/dev/pmem0", MNT, NULL);
	mount_id = vt_mount_id();
}

static void teardown(void)
{
	vt_umount(MNT);
	ck_assert_int_eq(rs_stop(rs), 0);
}

int main(void)
{
	Suite *suite = suite_create("data-hostile");
	TCase *tc = tcase_create("maps");

	tcase_set_timeout(tc, vt_guard_s());
	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_add_test(tc, map_rules);
	suite_add_tcase(suite, tc);
	return vt_main(suite);
}
