/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * store.h - a small store on persistent memory that the crash kit is proved with: a log of
 * records, and a pair of words in two lines that an undo record keeps equal. Right, or with
 * one of seven bugs that filesystems have had.
 */
#ifndef CRASH_STORE_H
#define CRASH_STORE_H

#include <stdint.h>

#define STORE_RECORDS		64u
#define STORE_RECORD_BYTES	256u
#define STORE_PAYLOAD_BYTES	228u	/* the record's last word is half used */
#define STORE_BYTES		(4096u + STORE_RECORDS * STORE_RECORD_BYTES)

enum store_bug {
	STORE_RIGHT,
	STORE_EARLY_RETURN,	/* before the fence */
	STORE_LAST_LINE,	/* of a record is not flushed */
	STORE_SECOND_LINE,	/* of the pair is never flushed */
	STORE_HEADER_CRC,	/* the sum covers the head, and torn payload is accepted */
	STORE_NO_UNDO_FENCE,	/* between the undo record and what it protects */
	STORE_EARLY_RETIRE,	/* undo record and pair in one epoch */
	STORE_NT_TAIL,		/* what is no whole word of a copy stays in the cache */
	STORE_BUGS,
};

struct store {
	char *media;
	uint64_t records;
	uint64_t undo_seq;
	enum store_bug bug;
};

struct store_state {
	uint64_t records;
	uint64_t sum;		/* over all payloads */
	uint64_t pair[2];
};

/* media: STORE_BYTES, zeroed or with what a crash left; recovery writes to it. */
void store_open(struct store *store, void *media, enum store_bug bug);

/* Each is atomic and durable when it returns. append: payload is made of the number. */
void store_append(struct store *store);
void store_add(struct store *store, uint64_t value);

/* As the store holds it. */
void store_state(const struct store *store, struct store_state *state);
uint64_t store_payload_sum(uint64_t number);

#endif /* CRASH_STORE_H */
