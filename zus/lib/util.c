// SPDX-License-Identifier: BSD-3-Clause
/* util.c - log lines, options, NUMA memory, stores to persistent memory. */
#include <errno.h>
#include <libpmem.h>
#include <limits.h>
#include <numa.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>

#include "internal.h"

/* ---------------------------------------------------------------------- log */

static struct {
	char ident[64];
	int to_syslog;
	int max_level;
} zus_log_state = { "zus", 0, ZUS_LOG_NOTICE };

void zus_log_open(const char *ident, int to_syslog, int max_level)
{
	snprintf(zus_log_state.ident, sizeof(zus_log_state.ident), "%s", ident);
	zus_log_state.to_syslog = to_syslog;
	zus_log_state.max_level = max_level;
	if (to_syslog)
		openlog(zus_log_state.ident, LOG_PID, LOG_DAEMON);
}

void zus_log(int level, const char *format, ...)
{
	char line[1024];
	va_list args;

	if (level > zus_log_state.max_level)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (zus_log_state.to_syslog)
		syslog(level, "%s", line);
	else
		fprintf(stderr, "%s: %s\n", zus_log_state.ident, line);
}

/* ------------------------------------------------------------------ options */

int zus_option_next(const char **cursor, char *buf, size_t buf_bytes, char **key,
		    char **value)
{
	size_t len;

	while (**cursor == ',')
		(*cursor)++;
	if (!**cursor)
		return 0;
	len = strcspn(*cursor, ",");
	if (len >= buf_bytes)
		return -E2BIG;
	memcpy(buf, *cursor, len);
	buf[len] = 0;
	*cursor += len;
	*key = buf;
	*value = strchr(buf, '=');
	if (*value)
		*(*value)++ = 0;
	return 1;
}

int zus_parse_bytes(const char *text, uint64_t *bytes)
{
	static const char units[] = "kmgt";
	unsigned long long number;
	const char *unit;
	unsigned int shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	if (*end) {
		unit = strchr(units, *end | 0x20);
		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	if (number > ULLONG_MAX >> shift)
		return -ERANGE;
	*bytes = number << shift;
	return 0;
}

/* --------------------------------------------------------------------- NUMA */

uint32_t zus_numa_nodes(void)
{
	return numa_available() < 0 ? 1 : (uint32_t)numa_max_node() + 1;
}

/* mmap(2) gives whole zeroed pages with or without NUMA. */
void *zus_alloc_onnode(size_t bytes, uint32_t node)
{
	void *addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (addr == MAP_FAILED)
		return NULL;
	if (zus_numa_nodes() > 1 && node < zus_numa_nodes())
		numa_tonode_memory(addr, bytes, (int)node);
	return addr;
}

void zus_free_onnode(void *addr, size_t bytes)
{
	if (addr)
		munmap(addr, bytes);
}

/* -------------------------------------------------------- persistent memory */

void zus_persist(const void *addr, size_t bytes)
{
	pmem_persist(addr, bytes);
}

void zus_flush(const void *addr, size_t bytes)
{
	pmem_flush(addr, bytes);
}

void zus_fence(void)
{
	pmem_drain();
}

void zus_copy_nt(void *dst, const void *src, size_t bytes)
{
	pmem_memcpy(dst, src, bytes, PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_NODRAIN);
}

void zus_zero_nt(void *dst, size_t bytes)
{
	pmem_memset(dst, 0, bytes, PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_NODRAIN);
}
