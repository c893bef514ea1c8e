// SPDX-License-Identifier: BSD-3-Clause
/*
 * zlogfs-native.c - what zlogfs's operations take, called directly, beside yardsticks of the
 * same run: the stores and fences alone that they cannot do without. Each round measures each
 * once, one after the other, in chunks of 64 operations. Of a chunk's mean the median over all
 * rounds is what an operation takes; the applier and checkpoints, which come after every 4096
 * operations on the same CPU, are in the mean, which stands beside it.
 *
 * usage: zlogfs-native [--json] [--creates N] [--only NAME] [ROUNDS]
 *
 *	--only NAME	just this operation, or create, for a profiler
 *	--creates N	so many names in the measurement of steady creation; default 200000
 *
 * Exit status: 0; 1 a bar is not met; 2 wrong use, or no memory.
 */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "native.h"

#define CHUNK		64u
#define CHUNKS		1024u			/* a round */
#define APPLY_CHUNKS	(4096u / CHUNK)		/* between two turns of the applier */
#define ROUNDS_MAX	16u
#define SCALE_OPS	200000u

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(double), by_value);
	return values[n / 2];
}

/* ------------------------------------------------------------------ yardsticks */

static void y_copy_fence(struct native *nat)
{
	zus_copy_nt(native_raw(nat, NATIVE_FILE_BLOCKS, NATIVE_BLOCK), nat->block, NATIVE_BLOCK);
	zus_fence();
}

static void y_256_fence(struct native *nat)
{
	zus_copy_nt(native_raw(nat, 65536, 256), nat->block, 256);
	zus_fence();
}

static void y_copy_fence_256_fence(struct native *nat)
{
	y_copy_fence(nat);
	y_256_fence(nat);
}

static void y_read(struct native *nat)
{
	memcpy(nat->block, native_raw(nat, NATIVE_FILE_BLOCKS, NATIVE_BLOCK), NATIVE_BLOCK);
}

/* ------------------------------------------------------------------ operations */

static void op_write(struct native *nat)
{
	native_write(nat, native_random(nat, NATIVE_FILE_BLOCKS));
}

static void op_read(struct native *nat)
{
	memcpy(nat->block, native_map(nat, native_random(nat, NATIVE_FILE_BLOCKS)),
	       NATIVE_BLOCK);
}

static void op_create(struct native *nat)
{
	native_create(nat, NULL, 0);
}

/* ------------------------------------------------------------------- measuring */

struct measure {
	const char *name;
	void (*op)(struct native *nat);
	const char *options;		/* of the mount that it wants */
	int yardstick;			/* its index; -1: it is one */
	double bar_ns;			/* above that */
	double chunk_ns[ROUNDS_MAX * CHUNKS];
	double sum_ns;
	double median_ns, mean_ns;
};

static struct measure measures[] = {
	{ .name = "y_4k_fence", .op = y_copy_fence, .yardstick = -1 },
	{ .name = "y_4k_fence_256_fence", .op = y_copy_fence_256_fence, .yardstick = -1 },
	{ .name = "y_4k_read", .op = y_read, .yardstick = -1 },
	{ .name = "y_256_fence", .op = y_256_fence, .yardstick = -1 },
	{ .name = "overwrite_in_place", .op = op_write, .yardstick = 0, .bar_ns = 250,
	  .options = "steps=manual,policy=inplace" },
	{ .name = "overwrite_cow", .op = op_write, .yardstick = 1, .bar_ns = 600,
	  .options = "steps=manual,policy=cow,words=off" },
	{ .name = "overwrite_cow_word", .op = op_write, .yardstick = 1, .bar_ns = 600,
	  .options = "steps=manual,policy=cow" },
	{ .name = "read", .op = op_read, .yardstick = 2, .bar_ns = 250,
	  .options = "steps=manual" },
};

#define NUM_MEASURES	(sizeof(measures) / sizeof(measures[0]))

static void run_round(struct native *nat, struct measure *m, unsigned int round)
{
	uint64_t begin = now_ns(), all = begin, end;
	unsigned int chunk, i;

	for (chunk = 0; chunk < CHUNKS; chunk++) {
		for (i = 0; i < CHUNK; i++)
			m->op(nat);
		end = now_ns();
		m->chunk_ns[round * CHUNKS + chunk] = (double)(end - begin) / CHUNK;
		if (m->options && chunk % APPLY_CHUNKS == APPLY_CHUNKS - 1)
			native_apply(nat);
		begin = now_ns();
	}
	m->sum_ns += (double)(begin - all) / (CHUNK * CHUNKS);
}

static void measure_all(struct native *nat, unsigned int rounds, const char *only)
{
	unsigned int round;
	struct measure *m;

	for (round = 0; round < rounds; round++)
		for (m = measures; m < measures + NUM_MEASURES; m++) {
			if (only && strcmp(only, m->name) != 0)
				continue;
			if (m->options)
				native_mount(nat, m->options);
			run_round(nat, m, round);
			if (m->options)
				native_umount(nat);
		}
	for (m = measures; m < measures + NUM_MEASURES; m++) {
		m->median_ns = median(m->chunk_ns, (size_t)rounds * CHUNKS);
		m->mean_ns = m->sum_ns / rounds;
	}
}

/* Steady, with all that the applier and checkpoints do: the mean is what counts. */
static double creation_ns(struct native *nat, uint64_t creates)
{
	uint64_t begin, i;

	native_mount(nat, "steps=manual");
	begin = now_ns();
	for (i = 1; i <= creates; i++) {
		op_create(nat);
		if (!(i % 4096))
			native_apply(nat);
	}
	native_apply(nat);
	begin = now_ns() - begin;
	native_umount(nat);
	return (double)begin / (double)creates;
}

/* ------------------------------------------------------------------- two threads */

/* On lines of its own. */
struct worker {
	struct native nat __attribute__((aligned(128)));
	void (*op)(struct native *nat);
	pthread_barrier_t *begin;
	double ns;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t begin;
	unsigned int i;

	pthread_barrier_wait(w->begin);
	begin = now_ns();
	for (i = 0; i < SCALE_OPS; i++)
		w->op(&w->nat);
	w->ns = (double)(now_ns() - begin) / SCALE_OPS;
	return NULL;
}

/* How much more n threads do than one, each on a file of its own. */
static double rate(struct native *nat, void (*op)(struct native *nat), unsigned int n)
{
	struct worker workers[2] = { { .nat = *nat, .op = op }, { .nat = *nat, .op = op } };
	pthread_barrier_t begin;
	pthread_t thread[2];
	double sum = 0;
	unsigned int i;

	pthread_barrier_init(&begin, NULL, n);
	for (i = 0; i < n; i++) {
		native_worker(&workers[i].nat, i);
		workers[i].begin = &begin;
		pthread_create(&thread[i], NULL, work, &workers[i]);
	}
	for (i = 0; i < n; i++) {
		pthread_join(thread[i], NULL);
		sum += 1 / workers[i].ns;
	}
	pthread_barrier_destroy(&begin);
	return sum;
}

/* The operation's own scaling beside its yardstick's; medians of what each round has. */
static double scaling(struct native *nat, const struct measure *m, unsigned int rounds)
{
	double ratios[ROUNDS_MAX] = { 0 }, own, yard;
	unsigned int round;

	for (round = 0; round < rounds; round++) {
		yard = rate(nat, measures[m->yardstick].op, 2) /
		       rate(nat, measures[m->yardstick].op, 1);
		native_mount(nat, m->options);
		own = rate(nat, m->op, 1);
		native_apply(nat);
		own = rate(nat, m->op, 2) / own;
		native_umount(nat);
		ratios[round] = own / yard;
	}
	return median(ratios, rounds);
}

/* ---------------------------------------------------------------------- report */

static bool json;
static bool missed;

static void say(const char *name, double value, const char *unit, double bar, bool at_least)
{
	bool met = at_least ? value >= bar : value <= bar;

	missed |= bar && !met;
	if (json)
		printf("\"%s\": %.4f, ", name, value);
	else if (bar)
		printf("%-34s %10.3f %-3s bar %9.3f %s\n", name, value, unit, bar,
		       met ? "met" : "NOT MET");
	else
		printf("%-34s %10.3f %s\n", name, value, unit);
}

static void say_measures(void)
{
	const struct measure *m;
	char name[64];

	for (m = measures; m < measures + NUM_MEASURES; m++) {
		say(m->name, m->median_ns, "ns",
		    m->yardstick < 0 ? 0 : measures[m->yardstick].median_ns + m->bar_ns, false);
		snprintf(name, sizeof(name), "%s_mean", m->name);
		say(name, m->mean_ns, "ns", 0, false);
	}
}

static void say_scaling(struct native *nat, unsigned int rounds)
{
	unsigned int i;
	char name[64];

	for (i = 0; i < NUM_MEASURES; i++) {
		if (measures[i].yardstick < 0)
			continue;
		snprintf(name, sizeof(name), "%s_two_threads", measures[i].name);
		say(name, scaling(nat, &measures[i], rounds), "", 0.95, true);
	}
}

static void say_space(struct native *nat)
{
	struct native_space space;

	native_overwritten(nat, &space);
	say("metadata_4k_extents_percent", space.metadata_percent, "%", 2.7, false);
	say("leaf_fill_percent", space.fill_percent, "%", 0, false);
	native_files(nat, 0, &space);
	say("metadata_empty_file_bytes", space.bytes_per_file, "B", 0, false);
	native_files(nat, 100, &space);
	say("metadata_100_byte_file_bytes", space.bytes_per_file, "B", 0, false);
}

static void say_recovery(struct native *nat)
{
	uint64_t records, ns = native_recovery(nat, &records);

	say("recovery_records", (double)records, "", 0, false);
	say("recovery_ms", (double)ns / 1e6, "ms", (double)records * 0.7 / 1e3 + 10, false);
}

static int usage(void)
{
	fprintf(stderr, "usage: zlogfs-native [--json] [--creates N] [--only NAME] [ROUNDS]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "creates", required_argument, NULL, 'c' },
		{ "only", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long creates = 200000, rounds = 5;
	const char *only = NULL;
	struct native nat;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (c == 'c')
			creates = strtoul(optarg, NULL, 10);
		else if (c == 'o')
			only = optarg;
		else
			return usage();
	}
	if (optind < argc)
		rounds = strtoul(argv[optind], NULL, 10);
	if (!rounds || rounds > ROUNDS_MAX || !creates)
		return usage();
	native_prepare(&nat, creates);
	if (only && !strcmp(only, "create")) {
		say("create_mean", creation_ns(&nat, creates), "ns", 0, false);
		return 0;
	}
	if (only && !strcmp(only, "recovery")) {
		while (rounds--)
			say_recovery(&nat);
		return 0;
	}
	measure_all(&nat, (unsigned int)rounds, only);
	if (only) {
		say_measures();
		return 0;
	}
	printf("%s", json ? "{" : "");
	say_measures();
	say("cow_bytes_per_byte", native_bytes_per_byte(&nat), "", 1.08, false);
	say_scaling(&nat, (unsigned int)rounds);
	say_recovery(&nat);
	say_space(&nat);
	say("create_mean", creation_ns(&nat, creates), "ns", measures[3].median_ns + 1200, false);
	printf(json ? "\"creates\": %lu}\n" : "%lu names were created\n", creates);
	return missed;
}
