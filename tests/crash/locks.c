// SPDX-License-Identifier: BSD-3-Clause
/*
 * locks.c - what stands in for the C library's locks and clock, so that coroutines of one
 * thread wait for each other, and a run can be made again.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include <zus_local.h>

#include "coro.h"

#define NS_A_SECOND	1000000000u

static struct {
	int (*mutex_lock)(pthread_mutex_t *lock);
	int (*mutex_trylock)(pthread_mutex_t *lock);
	int (*mutex_unlock)(pthread_mutex_t *lock);
	int (*rwlock_rdlock)(pthread_rwlock_t *lock);
	int (*rwlock_wrlock)(pthread_rwlock_t *lock);
	int (*rwlock_tryrdlock)(pthread_rwlock_t *lock);
	int (*rwlock_trywrlock)(pthread_rwlock_t *lock);
	int (*rwlock_unlock)(pthread_rwlock_t *lock);
	int (*clock_gettime)(clockid_t clock, struct timespec *ts);
} real;

static uintptr_t libzus_begin, libzus_end;
static uint64_t clock_ns;

/* --------------------------------------------------------------- the real ones */

static int find_libzus(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	uintptr_t at = (uintptr_t)zus_local_mount, begin, end;
	int i;

	(void)bytes;
	(void)arg;
	for (i = 0; i < info->dlpi_phnum; i++) {
		begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		end = begin + info->dlpi_phdr[i].p_memsz;
		if (info->dlpi_phdr[i].p_type == PT_LOAD && at >= begin && at < end) {
			libzus_begin = begin;
			libzus_end = end;
			return 1;
		}
	}
	return 0;
}

static void *find(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found)
		abort();
	return found;
}

static void find_all(void)
{
	if (real.clock_gettime)
		return;
	real.mutex_lock = find("pthread_mutex_lock");
	real.mutex_trylock = find("pthread_mutex_trylock");
	real.mutex_unlock = find("pthread_mutex_unlock");
	real.rwlock_rdlock = find("pthread_rwlock_rdlock");
	real.rwlock_wrlock = find("pthread_rwlock_wrlock");
	real.rwlock_tryrdlock = find("pthread_rwlock_tryrdlock");
	real.rwlock_trywrlock = find("pthread_rwlock_trywrlock");
	real.rwlock_unlock = find("pthread_rwlock_unlock");
	real.clock_gettime = find("clock_gettime");
	dl_iterate_phdr(find_libzus, NULL);
}

/* ---------------------------------------------------------------------- locks */

static int try_mutex(void *lock)
{
	return real.mutex_trylock(lock);
}

static int try_rdlock(void *lock)
{
	return real.rwlock_tryrdlock(lock);
}

static int try_wrlock(void *lock)
{
	return real.rwlock_trywrlock(lock);
}

/* libzus's mutexes are around a few lines each, of which a plugin sees nothing. */
static bool is_point(const void *site)
{
	return (uintptr_t)site < libzus_begin || (uintptr_t)site >= libzus_end;
}

int pthread_mutex_lock(pthread_mutex_t *lock)
{
	find_all();
	if (!coro_active())
		return real.mutex_lock(lock);
	if (is_point(__builtin_return_address(0)))
		coro_point();
	coro_take(lock, try_mutex);
	return 0;
}

int pthread_mutex_trylock(pthread_mutex_t *lock)
{
	find_all();
	if (is_point(__builtin_return_address(0)))
		coro_point();
	return real.mutex_trylock(lock);
}

int pthread_mutex_unlock(pthread_mutex_t *lock)
{
	int err;

	find_all();
	err = real.mutex_unlock(lock);
	if (coro_active())
		coro_freed(lock);
	return err;
}

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	find_all();
	if (!coro_active())
		return real.rwlock_rdlock(lock);
	coro_point();
	coro_take(lock, try_rdlock);
	return 0;
}

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	find_all();
	if (!coro_active())
		return real.rwlock_wrlock(lock);
	coro_point();
	coro_take(lock, try_wrlock);
	return 0;
}

int pthread_rwlock_tryrdlock(pthread_rwlock_t *lock)
{
	find_all();
	coro_point();
	return real.rwlock_tryrdlock(lock);
}

int pthread_rwlock_trywrlock(pthread_rwlock_t *lock)
{
	find_all();
	coro_point();
	return real.rwlock_trywrlock(lock);
}

int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	int err;

	find_all();
	err = real.rwlock_unlock(lock);
	if (coro_active())
		coro_freed(lock);
	return err;
}

/* ---------------------------------------------------------------------- clock */

void coro_set_clock(uint64_t ns)
{
	clock_ns = ns;
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	uint64_t ns = clock_ns;

	find_all();
	if (!ns || clock != CLOCK_REALTIME)
		return real.clock_gettime(clock, ts);
	ns += (uint64_t)sched_getcpu() * NS_A_SECOND;
	ts->tv_sec = (time_t)(ns / NS_A_SECOND);
	ts->tv_nsec = (long)(ns % NS_A_SECOND);
	return 0;
}
