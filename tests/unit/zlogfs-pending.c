// SPDX-License-Identifier: BSD-3-Clause
/*
 * zlogfs-pending.c - the index of what is pending of an object, against a table that has a
 * place for each key: in any order, and with as little memory as there may be.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "pending.h"
#include "unit.h"

#define KEYS	1000u		/* of each type */

static const uint8_t types[] = { ZLF_REC_DIRENT, ZLF_REC_EXTENT };

/* A key with a type more, as many apart as the test says. */
static struct model {
	struct zl_obj obj;
	struct zl_pending *there[2][KEYS];
	uint64_t apart;
	unsigned int n;
} m;

/* How many nodes there may be yet. */
static unsigned long mallocs_left;
static bool inserts;

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);

void *__wrap_malloc(size_t bytes)
{
	if (inserts && !mallocs_left)
		return NULL;
	mallocs_left -= inserts;
	return __real_malloc(bytes);
}

static void set_up(void)
{
	memset(&m, 0, sizeof(m));
	m.apart = 1;
	mallocs_left = ULONG_MAX;
}

static void tear_down(void)
{
	unsigned int t, i;

	zl_pending_forget(&m.obj);
	for (t = 0; t < 2; t++)
		for (i = 0; i < KEYS; i++)
			free(m.there[t][i]);
}

static void put(unsigned int t, unsigned int i)
{
	struct zl_pending *p = calloc(1, sizeof(*p));

	ck_assert_ptr_nonnull(p);
	p->obj = &m.obj;
	p->rec_type = types[t];
	p->key = i * m.apart;
	inserts = true;
	zl_pending_insert(p);
	inserts = false;
	m.there[t][i] = p;
	m.n++;
}

static void take(unsigned int t, unsigned int i)
{
	zl_pending_remove(m.there[t][i]);
	free(m.there[t][i]);
	m.there[t][i] = NULL;
	m.n--;
}

static void look(unsigned int t, unsigned int i)
{
	unsigned int up = i, down = i;

	while (up < KEYS && !m.there[t][up])
		up++;
	while (down && !m.there[t][down])
		down--;
	ck_assert_ptr_eq(zl_pending_find(&m.obj, types[t], i * m.apart), m.there[t][i]);
	ck_assert_ptr_eq(zl_pending_next(&m.obj, types[t], i * m.apart),
			 up < KEYS ? m.there[t][up] : NULL);
	ck_assert_ptr_eq(zl_pending_prev(&m.obj, types[t], i * m.apart), m.there[t][down]);
}

static void look_everywhere(void)
{
	unsigned int i;

	for (i = 0; i < KEYS; i++) {
		look(0, i);
		look(1, i);
	}
	ck_assert_ptr_null(zl_pending_find(&m.obj, ZLF_REC_INODE, 0));
	ck_assert_ptr_null(zl_pending_next(&m.obj, ZLF_REC_INODE, 0));
	ck_assert_ptr_null(zl_pending_prev(&m.obj, ZLF_REC_XATTR, UINT64_MAX));
}

/* More come than go, or the other way round, in turns. */
static void change_at_random(unsigned int changes)
{
	unsigned int t, i, turn;

	while (changes--) {
		t = unit_random() % 2;
		i = unit_random() % KEYS;
		turn = changes / 2000 % 2 ? 7 : 2;
		if (m.there[t][i] && unit_random() % 8 < turn)
			take(t, i);
		else if (!m.there[t][i] && unit_random() % 8 >= turn)
			put(t, i);
		look(t, i);
		look(!t, unit_random() % KEYS);
	}
	look_everywhere();
}

START_TEST(any_order)
{
	m.apart = UINT64_MAX / KEYS;
	change_at_random(20000 * unit_scale());
}
END_TEST

START_TEST(one_behind_the_other)
{
	unsigned int i;

	for (i = 0; i < KEYS; i++)
		put(1, i);
	for (i = KEYS; i--; )
		put(0, i);
	ck_assert_uint_eq(m.obj.pending.height, 3);
	look_everywhere();
	for (i = 0; i < KEYS; i++) {
		take(0, i);
		take(1, KEYS - 1 - i);
		look(0, i);
		look(1, i);
	}
	ck_assert_uint_eq(m.obj.pending.height, 0);
	ck_assert_ptr_null(m.obj.pending.root.node);
	look_everywhere();
}
END_TEST

/* The first key of all is the highest then. */
START_TEST(one_in_front_of_the_other)
{
	unsigned int t, i;

	for (t = 2; t--; )
		for (i = KEYS; i--; )
			put(t, i);
	ck_assert_uint_eq(m.obj.pending.height, 3);
	look_everywhere();
	for (i = 0; i < KEYS; i++)
		take(i % 2, i);
	look_everywhere();
}
END_TEST

/* One and two are what most objects have. */
START_TEST(few)
{
	look(0, 5);
	put(0, 5);
	look_everywhere();
	put(1, 5);
	look_everywhere();
	take(0, 5);
	look_everywhere();
	put(0, 4);
	take(1, 5);
	take(0, 4);
	look_everywhere();
	ck_assert_ptr_null(m.obj.pending.root.pending);
}
END_TEST

/* From none at all to some, which end in the middle of what one insertion wants. */
START_TEST(no_memory)
{
	unsigned int round, most = 0, rest;
	const struct zl_pending *p;

	for (round = 0; round < 40; round++) {
		mallocs_left = round % 7;
		change_at_random(250);
		for (rest = 0, p = m.obj.pending.rest; p; p = p->rest_next)
			rest++;
		most = rest > most ? rest : most;
	}
	ck_assert_uint_gt(most, 100);
	mallocs_left = ULONG_MAX;
	change_at_random(5000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zlogfs-pending");
	TCase *tc = tcase_create("pending");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, any_order);
	tcase_add_test(tc, one_behind_the_other);
	tcase_add_test(tc, one_in_front_of_the_other);
	tcase_add_test(tc, few);
	tcase_add_test(tc, no_memory);
	suite_add_tcase(suite, tc);
	return unit_run(suite);
}
