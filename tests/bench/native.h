/* SPDX-License-Identifier: BSD-3-Clause */
/* native.h - a zlogfs in memory, whose operations are called directly, for measuring. */
#ifndef NATIVE_H
#define NATIVE_H

#include <stdbool.h>
#include <stdio.h>

#include "native_shim.h"

#define NATIVE_BLOCK		4096ull
#define NATIVE_FILE_BYTES	(512ull << 20)
#define NATIVE_FILE_BLOCKS	(NATIVE_FILE_BYTES / NATIVE_BLOCK)

/* What a thread works with; a copy is another thread's, see native_worker(). */
struct native {
	struct zus_mount *mount;
	struct zus_inode *root;
	struct zus_inode *files[2];
	unsigned int file;		/* which of them */
	uint8_t *raw;			/* memory for yardsticks */
	uint8_t *block;			/* a block's bytes, the thread's own */
	struct zus_req *req;
	uint64_t random_state;
	uint64_t map_id;
};

/* A filesystem with two files, whose blocks were written one after the other. */
void native_prepare(struct native *nat, uint64_t creates);
void native_worker(struct native *nat, unsigned int number);
void native_mount(struct native *nat, const char *options);
void native_umount(struct native *nat);
/* All that waits comes into the tree, and a checkpoint if the log is full. */
void native_apply(struct native *nat);

uint64_t native_random(struct native *nat, uint64_t below);
uint8_t *native_raw(struct native *nat, uint64_t units, uint64_t bytes);
void native_write(struct native *nat, uint64_t bn);
const uint8_t *native_map(struct native *nat, uint64_t bn);
/* name NULL: the next of a row. bytes: what is written to it. */
void native_create(struct native *nat, const char *name, uint64_t bytes);

/* Flushed for each byte that a random overwrite elsewhere wrote. */
double native_bytes_per_byte(struct native *nat);
/* How long a mount takes after a crash with a log of records that are not applied. */
uint64_t native_recovery(struct native *nat, uint64_t *records);

struct native_space {
	double metadata_percent;	/* of the bytes of files */
	double fill_percent;		/* of leaves */
	double bytes_per_file;
};

/* After ten random overwrites a block; of many small files. On filesystems of their own. */
void native_overwritten(struct native *nat, struct native_space *space);
void native_files(struct native *nat, uint64_t bytes, struct native_space *space);

#endif /* NATIVE_H */
