/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LEASE_TREE_MEMORY_H
#define LEASE_TREE_MEMORY_H

#include <stddef.h>

extern long memory_objects;		/* that were not freed */
extern size_t memory_bytes;		/* in them */
/* 0: no allocation fails; else one of so many, at random. */
extern unsigned int memory_fail_one_of;

#endif /* LEASE_TREE_MEMORY_H */
