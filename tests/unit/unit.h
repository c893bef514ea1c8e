/* SPDX-License-Identifier: BSD-3-Clause */
/* unit.h - what the unit tests share. Its functions end the test on failure. */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <stdint.h>

#include <zus_local.h>
#include <zus_server.h>

/* Runs a suite; to be returned from main(). */
int unit_run(Suite *suite);

/* NAME.so of the build tree that this program is in. */
const struct zus_plugin *unit_plugin(const char *name);

/* A plugin on one or two memory devices of bytes each. */
struct zus_local *unit_mount(const struct zus_plugin *plugin, const char *options,
			     uint32_t num_devices, uint64_t bytes);

/* Random numbers, the same in each run: ZUFS_SEED or 1, printed at the first use. */
uint64_t unit_random(void);
uint64_t unit_random_from(uint64_t *state);
uint64_t unit_seed(void);

/* ZUFS_SCALE or 1: how much longer a random test shall be. */
unsigned int unit_scale(void);

#endif /* UNIT_H */
