/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints: a request as it leaves, and as its caller goes on; an epoch's begin. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM zuf

#if !defined(ZUF_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define ZUF_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(zuf_send,
	TP_PROTO(u64 mount, u16 op, u64 id, int cpu),
	TP_ARGS(mount, op, id, cpu),
	TP_STRUCT__entry(
		__field(u64, mount)
		__field(u64, id)
		__field(int, cpu)
		__field(u16, op)
	),
	TP_fast_assign(
		__entry->mount = mount;
		__entry->id = id;
		__entry->cpu = cpu;
		__entry->op = op;
	),
	TP_printk("mount=%llu op=%u id=%llu cpu=%d", __entry->mount, __entry->op,
		  __entry->id, __entry->cpu)
);

TRACE_EVENT(zuf_done,
	TP_PROTO(u64 mount, u16 op, u64 id, int err, u64 latency_ns),
	TP_ARGS(mount, op, id, err, latency_ns),
	TP_STRUCT__entry(
		__field(u64, mount)
		__field(u64, id)
		__field(u64, latency_ns)
		__field(int, err)
		__field(u16, op)
	),
	TP_fast_assign(
		__entry->mount = mount;
		__entry->id = id;
		__entry->latency_ns = latency_ns;
		__entry->err = err;
		__entry->op = op;
	),
	TP_printk("mount=%llu op=%u id=%llu err=%d latency_ns=%llu", __entry->mount,
		  __entry->op, __entry->id, __entry->err, __entry->latency_ns)
);

TRACE_EVENT(zuf_epoch,
	TP_PROTO(u64 mount, u64 epoch, u64 total_ns, u64 stall_ns, u64 inodes, int err),
	TP_ARGS(mount, epoch, total_ns, stall_ns, inodes, err),
	TP_STRUCT__entry(
		__field(u64, mount)
		__field(u64, epoch)
		__field(u64, total_ns)
		__field(u64, stall_ns)
		__field(u64, inodes)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->mount = mount;
		__entry->epoch = epoch;
		__entry->total_ns = total_ns;
		__entry->stall_ns = stall_ns;
		__entry->inodes = inodes;
		__entry->err = err;
	),
	TP_printk("mount=%llu epoch=%llu total_ns=%llu stall_ns=%llu inodes=%llu err=%d",
		  __entry->mount, __entry->epoch, __entry->total_ns, __entry->stall_ns,
		  __entry->inodes, __entry->err)
);

#endif /* ZUF_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
