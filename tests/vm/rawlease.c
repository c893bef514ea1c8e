// SPDX-License-Identifier: BSD-3-Clause
/* rawlease.c - see rawlease.h */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zufs_media.h>

#include "rawlease.h"
#include "vmtest.h"

#define DEVICE		"/dev/pmem0"
#define FIRST_INO	2u		/* of f0; the root is 1 */
#define USER_PLACE	8u		/* rs->user[] from here: place of each file */

/* ------------------------------------------------------------- in the server */

static int file_fd = -1;
static char *base;

static uint64_t place_off(unsigned int place)
{
	return ZUFS_DEVICE_ALIGN_BYTES + place * RL_FILE_BYTES;
}

static long mount_file(struct rs *rs, void *arg)
{
	struct zufs_mount_file file = { .mount = *(uint64_t *)arg };
	struct zufs_map_device view = { .dev = 0 };

	if (ioctl(rs->server_fd, ZUFS_IOC_MOUNT_FILE, &file))
		return -errno;
	file_fd = file.fd;
	if (fcntl(file_fd, F_SETFL, O_NONBLOCK) || ioctl(file_fd, ZUFS_IOC_MAP_DEVICE, &view))
		return -errno;
	base = mmap(NULL, view.size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_fd,
		    (off_t)view.mmap_off);
	return base == MAP_FAILED ? -errno : 0;
}

int rl_recall_here(const struct zufs_recall *recall)
{
	return ioctl(file_fd, ZUFS_IOC_RECALL, recall) ? -errno : 0;
}

void rl_drain_here(void)
{
	struct zufs_recall_done done;

	while (read(file_fd, &done, sizeof(done)) == sizeof(done))
		;
}

uint64_t rl_dev_off_here(unsigned int place)
{
	return place_off(place);
}

char *rl_bytes_here(unsigned int place)
{
	return base + place_off(place);
}

static long recall_queue(struct rs *rs, void *arg)
{
	(void)rs;
	return rl_recall_here(arg);
}

static long recall_read(struct rs *rs, void *arg)
{
	ssize_t bytes = read(file_fd, arg, sizeof(struct zufs_recall_done));

	(void)rs;
	return bytes < 0 ? -errno : bytes ? 0 : -EIO;
}

static long epoch_queue(struct rs *rs, void *arg)
{
	(void)rs;
	return ioctl(file_fd, ZUFS_IOC_EPOCH, arg) ? -errno : 0;
}

struct u64_at {
	uint64_t dev_off, value;
};

static long u64_get(struct rs *rs, void *arg)
{
	struct u64_at *at = arg;

	(void)rs;
	memcpy(&at->value, base + at->dev_off, sizeof(at->value));
	return 0;
}

static long u64_put(struct rs *rs, void *arg)
{
	const struct u64_at *at = arg;

	(void)rs;
	memcpy(base + at->dev_off, &at->value, sizeof(at->value));
	return 0;
}

struct move {
	unsigned int file, place;
	unsigned char left;
};

static long move_file(struct rs *rs, void *arg)
{
	const struct move *move = arg;
	_Atomic uint32_t *place = &rs->user[USER_PLACE + move->file];
	char *old = base + place_off(*place), *new = base + place_off(move->place);

	memcpy(new, old, RL_FILE_BYTES);
	memset(old, move->left, RL_FILE_BYTES);
	*place = move->place;
	return 0;
}

void rl_move_here(struct rs *rs, unsigned int file, unsigned int place, unsigned char left)
{
	struct move move = { file, place, left };

	move_file(rs, &move);
}

uint64_t rl_file_off(const struct rs *rs, unsigned int file)
{
	return place_off(rs->user[USER_PLACE + file]);
}

static enum rs_next answer_leased(struct rs_channel *ch, struct rf_msg *m)
{
	const struct zufs_map_in *in = m->in;
	struct zufs_extent *ext = m->out_payload;
	unsigned int file = (uint32_t)in->inode - FIRST_INO;

	if (m->reply->err || ext->type != ZUFS_EXT_DATA || file >= RL_FILES_MAX)
		return RS_REPLY;
	*ext = (struct zufs_extent) {
		.len_bytes = RL_FILE_BYTES,
		.dev_off = place_off(atomic_load(&ch->rs->user[USER_PLACE + file])),
		.type = ZUFS_EXT_DATA,
		.flags = ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W,
	};
	return RS_REPLY;
}

/* --------------------------------------------------------------- in the test */

void rl_leased(struct rs *rs)
{
	rs_arm(rs, ZUFS_OP_MAP, &(struct rs_script) { .times = -1, .hook = answer_leased });
}

/* What tests before have left behind on all places. */
static void device_clear(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	char *zero = calloc(1, RL_FILE_BYTES);
	unsigned int place;

	ck_assert(fd >= 0 && zero);
	for (place = 0; place < RL_PLACES; place++)
		ck_assert_int_eq(pwrite(fd, zero, RL_FILE_BYTES,
					(off_t)((2ul << 20) + place * RL_FILE_BYTES)),
				 RL_FILE_BYTES);
	ck_assert_int_eq(fsync(fd), 0);
	free(zero);
	close(fd);
}

struct rs *rl_start(unsigned int files, uint64_t *mount_id)
{
	return rl_start_with(files, ZUFS_MF_LEASES, mount_id);
}

struct rs *rl_start_with(unsigned int files, uint64_t features, uint64_t *mount_id)
{
	unsigned int i;
	struct rs *rs;

	device_clear();
	vt_mkfs(DEVICE, "zraw");
	rs = rs_start(&(struct rs_options) { .device = true, .files = files,
					     .features = features });
	for (i = 0; i < RL_FILES_MAX; i++)
		rs->user[USER_PLACE + i] = i + 1;
	vt_mount("zraw", DEVICE, RL_MNT, NULL);
	*mount_id = vt_mount_id();
	ck_assert_int_eq(rs_call(rs, mount_file, mount_id, sizeof(*mount_id)), 0);
	rl_leased(rs);
	return rs;
}

void rl_stop(struct rs *rs)
{
	vt_umount(RL_MNT);
	ck_assert_int_eq(rs->counts.wild, 0);
	ck_assert_int_eq(rs_stop(rs), 0);
}

int rl_recall(struct rs *rs, const struct zufs_recall *recall)
{
	return (int)rs_call(rs, recall_queue, recall, sizeof(*recall));
}

void rl_recall_file(struct rs *rs, unsigned int file)
{
	struct zufs_recall recall = { .ino = file + FIRST_INO, .gen = 1, .cookie = file + 1 };

	ck_assert_int_eq(rl_recall(rs, &recall), 0);
}

int rl_done(struct rs *rs, struct zufs_recall_done *done)
{
	int err = (int)rs_call(rs, recall_read, NULL, 0);

	memcpy(done, rs->call_arg, sizeof(*done));
	return err;
}

struct await_done {
	struct rs *rs;
	struct zufs_recall_done done;
};

static bool done_came(void *arg)
{
	struct await_done *a = arg;
	int err = rl_done(a->rs, &a->done);

	ck_assert_msg(!err || err == -EAGAIN, "reading the mount file: %s", strerror(-err));
	return !err;
}

void rl_await_done(struct rs *rs, uint64_t cookie)
{
	rl_await_end(rs, cookie, 0);
}

void rl_await_end(struct rs *rs, uint64_t cookie, int err)
{
	struct await_done a = { .rs = rs };

	vt_await(done_came, &a, "the end of a recall");
	ck_assert_uint_eq(a.done.cookie, cookie);
	ck_assert_int_eq(a.done.err, err);
}

void rl_epoch(struct rs *rs, uint64_t number)
{
	struct zufs_epoch wire = { .epoch = number, .cookie = number };

	ck_assert_int_eq(rs_call(rs, epoch_queue, &wire, sizeof(wire)), 0);
	rl_await_done(rs, number);
}

uint64_t rl_u64(struct rs *rs, uint64_t dev_off)
{
	struct u64_at at = { dev_off, 0 };

	ck_assert_int_eq(rs_call(rs, u64_get, &at, sizeof(at)), 0);
	memcpy(&at, rs->call_arg, sizeof(at));
	return at.value;
}

void rl_u64_set(struct rs *rs, uint64_t dev_off, uint64_t value)
{
	struct u64_at at = { dev_off, value };

	ck_assert_int_eq(rs_call(rs, u64_put, &at, sizeof(at)), 0);
}

void rl_move(struct rs *rs, unsigned int file, unsigned int place, unsigned char left)
{
	struct move move = { file, place, left };

	ck_assert_int_eq(rs_call(rs, move_file, &move, sizeof(move)), 0);
}
