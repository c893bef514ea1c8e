// SPDX-License-Identifier: GPL-2.0
/* Statistics of a mount by operation, kept by CPU and added up when read. */
#include <linux/percpu.h>
#include <linux/sysfs.h>

#include "relay.h"

#define ZUF_HIST_BUCKETS	32	/* bucket i: [2^i, 2^(i+1)) ns */

struct zuf_op_stats {
	u64 count;
	u64 errors;
	u64 total_ns;
	u32 hist[ZUF_HIST_BUCKETS];
};

struct zuf_stats {
	u64 lease[ZUF_LEASE_STAT_COUNT];
	struct zuf_op_stats op[ZUFS_OP_COUNT];
};

const char *const zuf_lease_stat_names[ZUF_LEASE_STAT_COUNT] = {
	[ZUF_LEASE_HITS]	 = "hits",
	[ZUF_LEASE_MISSES]	 = "misses",
	[ZUF_LEASE_RESTARTS]	 = "restarts",
	[ZUF_LEASE_REFUSED]	 = "refused",
	[ZUF_LEASE_KEPT]	 = "kept",
	[ZUF_LEASE_RECALLS]	 = "recalls",
	[ZUF_LEASE_RECALL_HITS]	 = "recall_hits",
	[ZUF_LEASE_RECALLED]	 = "recalled",
	[ZUF_LEASE_PINNED_WAITS] = "pinned_waits",
	[ZUF_LEASE_FENCE_WAITS]	 = "fence_waits",
	[ZUF_LEASE_SHRUNK]	 = "shrunk",
	[ZUF_LEASE_WORDS]	 = "words",
	[ZUF_LEASE_STAYS]	 = "stays",
};

void zuf_lease_count(struct zuf_mount *mount, enum zuf_lease_stat stat, u64 add)
{
	this_cpu_add(mount->stats->lease[stat], add);
}

u64 zuf_lease_sum(struct zuf_mount *mount, enum zuf_lease_stat stat)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu_ptr(mount->stats, cpu)->lease[stat];
	return sum;
}

struct zuf_stats __percpu *zuf_stats_alloc(void)
{
	return alloc_percpu(struct zuf_stats);
}

void zuf_stats_add(struct zuf_mount *mount, u16 op, int err, u64 ns)
{
	unsigned int bucket = min_t(unsigned int, ns ? __fls(ns) : 0, ZUF_HIST_BUCKETS - 1);
	struct zuf_op_stats *s = &get_cpu_ptr(mount->stats)->op[op];

	s->count++;
	s->errors += err < 0;
	s->total_ns += ns;
	s->hist[bucket]++;
	put_cpu_ptr(mount->stats);
}

ssize_t zuf_stats_show(struct zuf_mount *mount, u16 op, char *buf)
{
	struct zuf_op_stats sum = {};
	unsigned int cpu, i;
	ssize_t len;

	for_each_possible_cpu(cpu) {
		const struct zuf_op_stats *s = &per_cpu_ptr(mount->stats, cpu)->op[op];

		sum.count += s->count;
		sum.errors += s->errors;
		sum.total_ns += s->total_ns;
		for (i = 0; i < ZUF_HIST_BUCKETS; i++)
			sum.hist[i] += s->hist[i];
	}
	len = sysfs_emit(buf, "count %llu errors %llu total_ns %llu hist",
			 sum.count, sum.errors, sum.total_ns);
	for (i = 0; i < ZUF_HIST_BUCKETS; i++)
		len += sysfs_emit_at(buf, len, " %u", sum.hist[i]);
	return len + sysfs_emit_at(buf, len, "\n");
}
