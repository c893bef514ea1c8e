// SPDX-License-Identifier: BSD-3-Clause
/* store.c - a small store on persistent memory that the crash kit is proved with. */
#include <stddef.h>
#include <string.h>

#include <zus.h>

#include "mix.h"
#include "store.h"
#include "trace.h"

#define LOG_OFF		4096u
#define PAIR_OFF(i)	((i) * 64ull)		/* a line for each */
#define UNDO_OFF	256ull

struct record {
	uint64_t seq;		/* from 1 on */
	uint64_t sum;
	uint64_t bytes;
	char payload[STORE_PAYLOAD_BYTES];
};

#define RECORD_USED	(offsetof(struct record, payload) + STORE_PAYLOAD_BYTES)

_Static_assert(RECORD_USED <= STORE_RECORD_BYTES, "a record has its place");
_Static_assert(RECORD_USED % TRACE_WORD_BYTES != 0, "a record ends inside a word");

struct undo {
	uint64_t seq;		/* 0: nothing to undo */
	uint64_t pair[2];
	uint64_t sum;
};

static uint64_t *word_at(const struct store *store, uint64_t off)
{
	return (uint64_t *)(void *)(store->media + off);
}

static void put(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static void *slot(const struct store *store, uint64_t number)
{
	return store->media + LOG_OFF + number * STORE_RECORD_BYTES;
}

static uint64_t record_sum(const struct store *store, const struct record *record)
{
	uint64_t head = mix64(record->seq ^ record->bytes << 32);

	if (store->bug == STORE_HEADER_CRC)
		return head;
	return mix_bytes(head, record->payload, sizeof(record->payload));
}

static uint64_t undo_sum(const struct undo *undo)
{
	return mix64(mix64(mix64(undo->seq) ^ undo->pair[0]) ^ undo->pair[1]);
}

static void fill(char *payload, uint64_t number)
{
	memset(payload, (int)(number % 251 + 1), STORE_PAYLOAD_BYTES);
}

uint64_t store_payload_sum(uint64_t number)
{
	char payload[STORE_PAYLOAD_BYTES];

	fill(payload, number);
	return mix_bytes(number, payload, sizeof(payload));
}

/* ------------------------------------------------------------------ changes */

static void write_record(const struct store *store, const struct record *record)
{
	char *to = slot(store, store->records);
	const char *from = (const char *)record;
	size_t bytes = RECORD_USED;

	switch (store->bug) {
	case STORE_LAST_LINE:
		memcpy(to, from, bytes);
		zus_flush(to, bytes - TRACE_LINE_BYTES);
		break;
	case STORE_NT_TAIL:
		bytes -= bytes % TRACE_WORD_BYTES;
		zus_copy_nt(to, from, bytes);
		memcpy(to + bytes, from + bytes, RECORD_USED - bytes);
		break;
	default:
		zus_copy_nt(to, from, bytes);
	}
}

void store_append(struct store *store)
{
	struct record record = { .seq = store->records + 1, .bytes = STORE_PAYLOAD_BYTES };

	fill(record.payload, store->records);
	record.sum = record_sum(store, &record);
	write_record(store, &record);
	if (store->bug != STORE_EARLY_RETURN)
		zus_fence();
	store->records++;
}

static void write_undo(struct store *store)
{
	struct undo undo = { .seq = ++store->undo_seq };

	undo.pair[0] = *word_at(store, PAIR_OFF(0));
	undo.pair[1] = *word_at(store, PAIR_OFF(1));
	undo.sum = undo_sum(&undo);
	memcpy(store->media + UNDO_OFF, &undo, sizeof(undo));
	zus_flush(store->media + UNDO_OFF, sizeof(undo));
}

void store_add(struct store *store, uint64_t value)
{
	uint64_t *a = word_at(store, PAIR_OFF(0)), *b = word_at(store, PAIR_OFF(1));

	write_undo(store);
	if (store->bug != STORE_NO_UNDO_FENCE)
		zus_fence();
	put(a, *a + value);
	put(b, *b + value);
	zus_flush(a, sizeof(*a));
	if (store->bug != STORE_SECOND_LINE)
		zus_flush(b, sizeof(*b));
	if (store->bug != STORE_EARLY_RETIRE)
		zus_fence();
	put(word_at(store, UNDO_OFF), 0);
	zus_persist(store->media + UNDO_OFF, sizeof(uint64_t));
}

/* ----------------------------------------------------------------- recovery */

static void undo(struct store *store)
{
	struct undo undo;

	memcpy(&undo, store->media + UNDO_OFF, sizeof(undo));
	store->undo_seq = undo.seq;
	if (!undo.seq || undo.sum != undo_sum(&undo))
		return;
	put(word_at(store, PAIR_OFF(0)), undo.pair[0]);
	put(word_at(store, PAIR_OFF(1)), undo.pair[1]);
	zus_flush(store->media, PAIR_OFF(2));
	zus_fence();
	put(word_at(store, UNDO_OFF), 0);
	zus_persist(store->media + UNDO_OFF, sizeof(uint64_t));
}

static int record_good(const struct store *store, uint64_t number)
{
	struct record record;

	if (number >= STORE_RECORDS)
		return 0;
	memcpy(&record, slot(store, number), sizeof(record));
	return record.seq == number + 1 && record.sum == record_sum(store, &record);
}

void store_open(struct store *store, void *media, enum store_bug bug)
{
	*store = (struct store) { .media = media, .bug = bug };
	undo(store);
	while (record_good(store, store->records))
		store->records++;
}

void store_state(const struct store *store, struct store_state *state)
{
	struct record record;
	uint64_t i;

	*state = (struct store_state) { .records = store->records };
	for (i = 0; i < store->records; i++) {
		memcpy(&record, slot(store, i), sizeof(record));
		state->sum += mix_bytes(i, record.payload, sizeof(record.payload));
	}
	state->pair[0] = *word_at(store, PAIR_OFF(0));
	state->pair[1] = *word_at(store, PAIR_OFF(1));
}
