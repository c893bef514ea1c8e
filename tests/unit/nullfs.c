// SPDX-License-Identifier: BSD-3-Clause
/* nullfs.c - nullfs in each of its modes, through the local transport. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zus_api.h>

#include "unit.h"

#define MIB	(1ull << 20)

static void write_and_read(const char *options)
{
	struct zus_local *fs = unit_mount(unit_plugin("nullfs"), options, 1, 16 * MIB);
	struct zus_local_file *file;
	char *data = malloc(300000), *back = malloc(300000);
	char *device = zus_local_dev_addr(fs, 0, 2 * MIB);
	unsigned int i;

	for (i = 0; i < 300000; i++)
		data[i] = (char)unit_random();
	ck_assert_int_eq(zus_local_open(fs, "/data", &file), 0);
	ck_assert_int_eq(zus_local_pwrite(file, data, 300000, 12345), 300000);
	ck_assert_int_eq(memcmp(device + 12345, data, 300000), 0);
	ck_assert_int_eq(zus_local_pread(file, back, 300000, 12345), 300000);
	ck_assert_int_eq(memcmp(back, data, 300000), 0);
	ck_assert_int_eq(zus_local_pwrite(file, data, 1, 14 * MIB), -ENOSPC);
	ck_assert_int_eq(zus_local_pread(file, back, 10, 14 * MIB - 3), 3);
	zus_local_close(file);
	ck_assert_int_eq(zus_local_umount(fs), 0);
	free(data);
	free(back);
}

START_TEST(modes)
{
	static const char *const options[] = { "", "mode=call", "mode=call-done", "mode=inline" };

	write_and_read(options[_i]);
}
END_TEST

/* call-done asks for MAP_DONE, call does not. */
START_TEST(commit_is_asked_for)
{
	static const char *const options[] = { "mode=call", "mode=call-done" };
	struct zus_local *fs = unit_mount(unit_plugin("nullfs"), options[_i], 1, 16 * MIB);
	struct zufs_map_in in = {
		.inode = 1ull << 32 | 1, .off = 4097, .len_bytes = 10000,
		.flags = ZUFS_MAP_WRITE, .max_extents = 8,
	};
	struct zufs_extent ext;
	struct zus_local_call call = {
		.op = ZUFS_OP_MAP, .in = &in, .in_bytes = sizeof(in), .reply = &ext,
		.reply_max_bytes = sizeof(ext),
	};

	ck_assert_int_eq(zus_local_call(fs, &call), 0);
	ck_assert_uint_eq(ext.type, ZUFS_EXT_DATA);
	ck_assert_uint_eq(ext.flags, _i ? ZUFS_EXTF_COMMIT : 0);
	ck_assert_uint_eq(ext.file_off, 4096);
	ck_assert_uint_eq(ext.len_bytes, 12288);
	ck_assert_uint_eq(ext.dev_off, 2 * MIB + 4096);
	ck_assert_int_eq(zus_local_umount(fs), 0);
}
END_TEST

/* A block's word counts its writes: each whole, partial or several blocks, one each. */
START_TEST(copy_on_write)
{
	static const char *const options[] = { "cow=word,size=1m", "cow=done,size=1m" };
	struct zus_local *fs = unit_mount(unit_plugin("nullfs"), options[_i], 1, 16 * MIB);
	uint64_t *words = (uint64_t *)(void *)zus_local_dev_addr(fs, 0, 2 * MIB);
	struct zus_local_file *file;
	char model[20000], back[20000];
	uint64_t sum = 0, want = 0;
	unsigned int i;

	memset(model, 0, sizeof(model));
	ck_assert_int_eq(zus_local_open(fs, "/data", &file), 0);
	for (i = 0; i < 500; i++) {
		uint64_t off = unit_random() % (sizeof(model) - 1);
		uint64_t len = 1 + unit_random() % (sizeof(model) - off);

		memset(model + off, 1 + (int)(i % 255), len);
		ck_assert_int_eq(zus_local_pwrite(file, model + off, len, off), (int)len);
		want += (off + len - 1) / 4096 - off / 4096 + 1;
		ck_assert_int_eq(zus_local_pread(file, back, sizeof(back), 0), sizeof(back));
		ck_assert_int_eq(memcmp(back, model, sizeof(back)), 0);
	}
	for (i = 0; i < 5; i++)
		sum += words[i];
	ck_assert_uint_eq(sum, want);
	zus_local_close(file);
	ck_assert_int_eq(zus_local_umount(fs), 0);
}
END_TEST

/* Each has its own part of the device; without epochs all that can be asked for works. */
START_TEST(several_files)
{
	struct zus_local *fs = unit_mount(unit_plugin("nullfs"),
					  "files=12,size=1m,epoch_ms=0,epoch_check", 1, 16 * MIB);
	char *device = zus_local_dev_addr(fs, 0, 2 * MIB), path[16], text[16];
	struct zus_local_file *file;
	unsigned int i;

	for (i = 0; i < 12; i++) {
		snprintf(path, sizeof(path), i ? "/data%u" : "/data", i);
		ck_assert_int_eq(zus_local_open(fs, path, &file), 0);
		ck_assert_int_eq(zus_local_pwrite(file, path, 8, 4090), 8);
		ck_assert_int_eq(memcmp(device + i * MIB + 4090, path, 8), 0);
		ck_assert_int_eq(zus_local_pread(file, text, 8, 4090), 8);
		ck_assert_int_eq(memcmp(text, path, 8), 0);
		zus_local_close(file);
	}
	for (i = 0; i < 4; i++) {
		static const char *const none[] = { "/data0", "/data12", "/data1x", "/dat" };

		ck_assert_int_eq(zus_local_open(fs, none[i], &file), -ENOENT);
	}
	ck_assert_int_eq(zus_local_umount(fs), 0);
}
END_TEST

static struct zufs_extent map_one(struct zus_local *fs, uint64_t off)
{
	struct zufs_map_in in = {
		.inode = 1ull << 32 | 1, .off = off, .len_bytes = 1,
		.flags = ZUFS_MAP_READ, .max_extents = 1,
	};
	struct zufs_extent ext = { .len_bytes = 0 };
	struct zus_local_call call = {
		.op = ZUFS_OP_MAP, .in = &in, .in_bytes = sizeof(in), .reply = &ext,
		.reply_max_bytes = sizeof(ext),
	};

	ck_assert_int_eq(zus_local_call(fs, &call), 0);
	return ext;
}

/* Each extent has a place of its own, as long as there are some, and no neighbours. */
START_TEST(scattered)
{
	static const struct { const char *options; unsigned int places, bytes; } cases[] = {
		{ "extent=4k,size=10m", 3584, 4096 }, { "extent=4k,space=33k,size=1m", 8, 4096 },
		{ "extent=8k,space=96k,size=300k,mode=call-done", 12, 8192 },
		{ "extent=4k,space=4m,size=64m", 1024, 4096 },
	};
	const unsigned int places = cases[_i].places, bytes = cases[_i].bytes;
	struct zus_local *fs = unit_mount(unit_plugin("nullfs"), cases[_i].options, 1, 16 * MIB);
	bool *taken = calloc(places, sizeof(*taken));
	struct zufs_extent ext, last = { .len_bytes = 0 };
	unsigned int i, place;

	for (i = 0; i < 300 * 1024 / bytes; i++) {
		ext = map_one(fs, (uint64_t)i * bytes + i % bytes);
		ck_assert_uint_eq(ext.file_off, (uint64_t)i * bytes);
		ck_assert_uint_eq(ext.len_bytes, bytes);
		place = (unsigned int)((ext.dev_off - 2 * MIB) / bytes);
		ck_assert_uint_lt(place, places);
		ck_assert(i >= places || !taken[place]);
		taken[place] = true;
		ck_assert_uint_ne(last.dev_off + last.len_bytes, ext.dev_off);
		ck_assert_uint_ne(ext.dev_off + ext.len_bytes, last.dev_off);
		last = ext;
	}
	ck_assert_int_eq(zus_local_umount(fs), 0);
	free(taken);
}
END_TEST

START_TEST(scattered_data)
{
	struct zus_local *fs = unit_mount(unit_plugin("nullfs"), "extent=4k,files=2,size=7m", 1,
					  16 * MIB);
	char *data[2] = { malloc(7 * MIB), malloc(7 * MIB) }, *back = malloc(7 * MIB);
	struct zus_local_file *file;
	unsigned int i, f;

	for (f = 0; f < 2; f++) {
		for (i = 0; i < 7 * MIB; i++)
			data[f][i] = (char)unit_random();
		ck_assert_int_eq(zus_local_open(fs, f ? "/data1" : "/data", &file), 0);
		ck_assert_int_eq(zus_local_pwrite(file, data[f], 7 * MIB, 0), 7 * MIB);
		ck_assert_int_eq(zus_local_pwrite(file, data[f], 1, 7 * MIB), -ENOSPC);
		zus_local_close(file);
	}
	for (f = 0; f < 2; f++) {
		ck_assert_int_eq(zus_local_open(fs, f ? "/data1" : "/data", &file), 0);
		ck_assert_int_eq(zus_local_pread(file, back, 7 * MIB, 0), 7 * MIB);
		ck_assert_int_eq(memcmp(back, data[f], 7 * MIB), 0);
		zus_local_close(file);
		free(data[f]);
	}
	ck_assert_int_eq(zus_local_umount(fs), 0);
	free(back);
}
END_TEST

START_TEST(options)
{
	static const struct { const char *text; int want; } cases[] = {
		{ "size=1m", 0 }, { "size=1m,mode=inline", 0 }, { "size=14m", 0 },
		{ "size=15m", -EINVAL }, { "size=1", -EINVAL }, { "size=x", -EINVAL },
		{ "size=99999999999999999999", -ERANGE }, { "size", -EINVAL },
		{ "mode=fast", -EINVAL }, { "mode", -EINVAL }, { "other", -EINVAL },
		{ "files=2,size=7m", 0 }, { "files=2,size=8m", -EINVAL },
		{ "files=0", -ERANGE }, { "files=1000001", -ERANGE },
		{ "epoch_ms=5", 0 }, { "epoch_ms=0,epoch_check", 0 }, { "epoch_ms", -EINVAL },
		{ "epoch_ms=3600001", -ERANGE }, { "epoch_check", -EINVAL },
		{ "epoch_ms=5,mode=call", -EINVAL }, { "epoch_ms=5,relocate=1", 0 },
		{ "epoch_ms=5,epoch_check,relocate=1", -EINVAL },
		{ "files=2,relocate=1", -EINVAL },
		{ "cow=word", 0 }, { "cow=done,epoch_ms=5", 0 }, { "cow", -EINVAL }, { "cow=x", -EINVAL },
		{ "cow=word,relocate=1", -EINVAL }, { "cow=word,files=2", -EINVAL },
		{ "cow=word,mode=call", -EINVAL }, { "cow=done,epoch_ms=5,epoch_check", -EINVAL },
		{ "extent=4k,mode=leased", 0 }, { "extent=4k,size=4g,space=1m", 0 },
		{ "extent=4k,space=32k", 0 }, { "extent=4k,space=28k", -EINVAL },
		{ "extent=4k,space=15m", -EINVAL }, { "space=1m", -EINVAL },
		{ "extent=5k", -EINVAL }, { "extent=1k", -ERANGE }, { "extent=8m", -EINVAL },
		{ "extent=4k,relocate=1", -EINVAL }, { "extent=4k,mode=inline", -EINVAL },
		{ "extent=4k,epoch_ms=5", -EINVAL }, { "extent=4k,cow=word", -EINVAL },
		{ "extent=4k,size=1k", -EINVAL },
		{ "relocate_us=5,relocate=1", 0 },
		{ "relocate_us=5", -EINVAL }, { "relocate_us=1000001,relocate=1", -ERANGE },
	};
	const struct zus_local_device device = { .size_bytes = 16 * MIB };
	struct zus_local_config config = {
		.plugin = unit_plugin("nullfs"), .devices = &device, .num_devices = 1,
		.options = cases[_i].text,
	};
	struct zus_local *fs;
	int err = zus_local_mount(&config, &fs);

	ck_assert_msg(err == cases[_i].want, "%s: %d", cases[_i].text, err);
	if (!err)
		ck_assert_int_eq(zus_local_umount(fs), 0);
}
END_TEST

START_TEST(no_device_is_refused)
{
	const struct zus_local_device device = { .size_bytes = 16 * MIB, .tier = ZUS_TIER_T2 };
	struct zus_local_config config = {
		.plugin = unit_plugin("nullfs"), .devices = &device, .num_devices = 1,
	};
	struct zus_local *fs;

	ck_assert_int_eq(zus_local_mount(&config, &fs), -EINVAL);
	config.num_devices = 0;
	ck_assert_int_eq(zus_local_mount(&config, &fs), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nullfs");
	TCase *tc = tcase_create("nullfs");

	tcase_add_loop_test(tc, modes, 0, 4);
	tcase_add_loop_test(tc, commit_is_asked_for, 0, 2);
	tcase_add_loop_test(tc, options, 0, 49);
	tcase_add_loop_test(tc, copy_on_write, 0, 2);
	tcase_add_loop_test(tc, scattered, 0, 4);
	tcase_add_test(tc, scattered_data);
	tcase_add_test(tc, several_files);
	tcase_add_test(tc, no_device_is_refused);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
