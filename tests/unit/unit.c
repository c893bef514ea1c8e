// SPDX-License-Identifier: BSD-3-Clause
/* unit.c - what the unit tests share. */
#include "unit.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int unit_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	zus_log_open("zus", 0, getenv("ZUFS_LOG") ? ZUS_LOG_DEBUG : 0);
	unit_seed();	/* before the tests' processes: printed once */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

const struct zus_plugin *unit_plugin(const char *name)
{
	const struct zus_plugin *plugin = NULL;
	char path[PATH_MAX], message[512];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	ck_assert_int_gt(len, 0);
	path[len] = 0;
	slash = strrchr(path, '/');
	snprintf(slash, sizeof(path) - (size_t)(slash - path), "/../../zusfs-examples/%s.so",
		 name);
	ck_assert_msg(!zus_plugin_load(path, &plugin, message, sizeof(message)), "%s",
		      message);
	return plugin;
}

struct zus_local *unit_mount(const struct zus_plugin *plugin, const char *options,
			     uint32_t num_devices, uint64_t bytes)
{
	const struct zus_local_device devices[2] = {
		{ .size_bytes = bytes },
		{ .size_bytes = bytes, .numa_node = 1 },
	};
	struct zus_local_config config = {
		.plugin = plugin,
		.options = options,
		.devices = devices,
		.num_devices = num_devices,
	};
	struct zus_local *local = NULL;

	ck_assert_int_eq(zus_local_mount(&config, &local), 0);
	return local;
}

uint64_t unit_seed(void)
{
	static uint64_t seed;

	if (!seed) {
		const char *text = getenv("ZUFS_SEED");

		seed = text ? strtoull(text, NULL, 0) : 1;
		if (!seed)
			seed = 1;
		printf("# seed %" PRIu64 "; set ZUFS_SEED to repeat\n", seed);
		fflush(stdout);
	}
	return seed;
}

/* splitmix64 */
uint64_t unit_random_from(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t unit_random(void)
{
	static uint64_t state;

	if (!state)
		state = unit_seed();
	return unit_random_from(&state);
}

unsigned int unit_scale(void)
{
	const char *text = getenv("ZUFS_SCALE");
	long scale = text ? strtol(text, NULL, 10) : 1;

	return scale > 0 ? (unsigned int)scale : 1;
}
