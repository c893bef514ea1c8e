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
	struct zuf_op_stats op[ZUFS_OP_COUNT];
};

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
