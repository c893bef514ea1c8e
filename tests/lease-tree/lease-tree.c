// SPDX-License-Identifier: BSD-3-Clause
/*
 * The lease cache of one inode, zuf/lease.c itself over the kernel's maple tree, in user mode:
 *
 *	random	inserts, recalls, downgrades, epochs, sizes, the shrinker, and after each of
 *		them every block looked up, against a model that is an array of blocks
 *	starved	the same with allocations that fail: less may be found then, but never what
 *		the model does not have, and what was recalled never
 *	deep	many leases, which go at once
 *	raced	two threads look up what a third one changes
 *
 * Seeded; prints the seed. With --time, how long a lookup takes among many leases instead.
 */
#include "shim.h"
/* So few that it is reached; with --time as many as in the kernel. */
#define LEASE_PARTS_MAX		parts_max
static unsigned int parts_max = 3;
#include "../../zuf/lease.c"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "memory.h"

#define BLOCKS_MAX	20000u
#define ALL_BLOCKS	300u	/* with no more than these all are looked at each time */
#define SOME_BLOCKS	64u	/* else so many */
#define EXTENTS		8u
#define ANSWER_EXTENTS	512u	/* that a read of 2 MiB gets */

static u64 random_state;
static u64 stats[ZUF_LEASE_STAT_COUNT];

#define fail(...)							\
	do {								\
		fprintf(stderr, "lease-tree: " __VA_ARGS__);		\
		fputc('\n', stderr);					\
		exit(1);						\
	} while (0)

void zuf_lease_count(struct zuf_mount *mount, enum zuf_lease_stat stat, u64 add)
{
	(void)mount;
	stats[stat] += add;
}

static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static u64 below(u64 n)
{
	return next_random(&random_state) % n;
}

/* --------------------------------------------------------------------- model */

struct block {
	u64 id;			/* of its lease; 0: none */
	u64 run;		/* of those kept as one object, and their number */
	u32 run_extents;
	u64 seq;
	u64 epoch;
	u64 dev_bn;		/* DATA */
	u32 dev;
	u16 type;
	bool write;
	bool lost;		/* none, but the tree may still hold a dead one of seq */
};

static struct {
	struct super_block sb;
	struct zuf_inode zi;
	u64 base_bn;			/* block 0 of the model */
	unsigned int num;
	u64 seq;			/* the newest answer */
	u64 next_id;
	u64 next_run;
	u64 extents;			/* made so far */
	bool starved;
	bool any_lost;
	struct block block[BLOCKS_MAX];
	struct block before[BLOCKS_MAX];	/* this operation */
	unsigned long ops, found, missed, starvations;
} t;

static struct inode *const inode = &t.zi.vfs_inode;

static u64 off_of(u64 block)
{
	return (t.base_bn + block) * ZUFS_BLOCK_BYTES;
}

/* Blocks in front of the end of the file, its last one's rest too. */
static u64 size_blocks(void)
{
	u64 blocks = (inode->size + ZUFS_BLOCK_BYTES - 1) / ZUFS_BLOCK_BYTES;

	return blocks > t.base_bn ? blocks - t.base_bn : 0;
}

static bool serves(const struct block *block, bool write)
{
	return block->id && (!write || (block->write && block->epoch == t.sb.open_epoch));
}

/* What has been found at @index is what @want holds. */
static bool is_of(const struct block *want, unsigned int index, const struct zufs_extent *ext)
{
	u64 skip = off_of(index) - ext->file_off;

	return want->id && ext->type == want->type && ext->dev == want->dev && !ext->flags &&
	       (want->type != ZUFS_EXT_DATA ||
		ext->dev_off + skip == want->dev_bn * ZUFS_BLOCK_BYTES);
}

static bool look_up(unsigned int index, bool write, struct zufs_extent *ext)
{
	bool found = zuf_lease_find(inode, off_of(index) + below(ZUFS_BLOCK_BYTES), write, ext);

	if (found && (ext->file_off > off_of(index) ||
		      ext->file_off + ext->len_bytes <= off_of(index)))
		fail("op %lu: block %u: found [%#llx, +%#llx), which does not hold it", t.ops, index,
		     (unsigned long long)ext->file_off, (unsigned long long)ext->len_bytes);
	return found;
}

/* All of one lease around @index, and not a block more. */
static void check_range(unsigned int index, const struct zufs_extent *ext)
{
	unsigned int first = index, last = index;

	while (first && t.block[first - 1].id == t.block[index].id)
		first--;
	while (last + 1 < t.num && t.block[last + 1].id == t.block[index].id)
		last++;
	if (ext->file_off != off_of(first) ||
	    ext->len_bytes != (u64)(last - first + 1) * ZUFS_BLOCK_BYTES)
		fail("op %lu: block %u: found %llu blocks from %llu, not blocks %u to %u", t.ops, index,
		     (unsigned long long)(ext->len_bytes / ZUFS_BLOCK_BYTES),
		     (unsigned long long)(ext->file_off / ZUFS_BLOCK_BYTES - t.base_bn), first, last);
}

static void check_block(unsigned int index)
{
	const struct block *want = &t.block[index];
	struct zufs_extent ext;
	unsigned int write;
	bool found;

	for (write = 0; write < 2; write++) {
		found = look_up(index, write, &ext);
		if (found != serves(want, write))
			fail("op %lu: block %u for %s: %sfound", t.ops, index,
			     write ? "writing" : "reading", found ? "" : "not ");
		t.found += found;
		t.missed += !found;
		if (!found)
			continue;
		if (!is_of(want, index, &ext))
			fail("op %lu: block %u: found type %u at %#llx, not type %u at %#llx", t.ops,
			     index, ext.type, (unsigned long long)ext.dev_off, want->type,
			     (unsigned long long)want->dev_bn * ZUFS_BLOCK_BYTES);
		check_range(index, &ext);
	}
}

/* An object is there, with all its extents, as long as something is left of one of them. */
static unsigned long leases_of_model(void)
{
	unsigned long count = 0;
	unsigned int i, j;

	for (i = 0; i < t.num; i++) {
		for (j = i; t.block[i].id && j; j--)
			if (t.block[j - 1].id && t.block[j - 1].run == t.block[i].run)
				break;
		if (t.block[i].id && !j)
			count += t.block[i].run_extents;
	}
	return count;
}

static void check_exact(unsigned int first, unsigned int last)
{
	unsigned int i;

	if (t.num <= ALL_BLOCKS) {
		for (i = 0; i < t.num; i++)
			check_block(i);
		if (!t.any_lost && t.zi.leases.count != leases_of_model())
			fail("op %lu: %lu leases are counted, not %lu", t.ops, t.zi.leases.count,
			     leases_of_model());
		return;
	}
	for (i = 0; i < SOME_BLOCKS; i++)
		check_block((unsigned int)below(t.num));
	for (i = first ? first - 1 : 0; i < t.num && i <= first + 1; i++)
		check_block(i);
	for (i = last ? last - 1 : 0; i < t.num && i <= last + 1; i++)
		check_block(i);
}

/*
 * Some allocation may have failed. What is found is what the model has or, if
 * @or_before, had before; what is not is lost from now on.
 */
static void check_starved(bool or_before)
{
	struct zufs_extent ext;
	unsigned int i;

	t.any_lost = false;
	for (i = 0; i < t.num; i++) {
		struct block *block = &t.block[i];
		bool write;

		if (!look_up(i, false, &ext)) {
			/* a dead one may be there, also of what was to be killed */
			t.starvations += !!block->id;
			block->lost = block->id || t.before[i].id || t.before[i].lost;
			block->seq = max(block->seq, t.before[i].seq);
			block->id = 0;
			t.any_lost |= block->lost;
			continue;
		}
		if (!is_of(block, i, &ext)) {
			if (!or_before || !is_of(&t.before[i], i, &ext))
				fail("op %lu: block %u: found what was never there, or is gone",
				     t.ops, i);
			*block = t.before[i];
		}
		write = look_up(i, true, &ext);
		if (write && !serves(block, true))
			fail("op %lu: block %u: found for writing", t.ops, i);
		block->lost = false;
	}
}

/* ---------------------------------------------------------------- operations */

static bool flag_leased(u16 flags)
{
	return flags & (ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W);
}

/* The blocks [*@first, *@end) of what may be kept of it; false: nothing. */
static bool kept_blocks(const struct zufs_extent *ext, u64 *first, u64 *end)
{
	*first = ext->file_off / ZUFS_BLOCK_BYTES - t.base_bn;
	*end = *first + ext->len_bytes / ZUFS_BLOCK_BYTES;
	if (ext->flags & ZUFS_EXTF_LEASE_W && *first < size_blocks() && *end > size_blocks())
		*end = size_blocks();
	return flag_leased(ext->flags);
}

static bool has_newer(u64 first, u64 end, u64 seq)
{
	for (; first < end; first++)
		if (t.block[first].id && t.block[first].seq > seq)
			return true;
	return false;
}

/* Whether it was to be taken; as one of @run_extents of object @run. */
static bool model_insert(const struct zufs_extent *ext, u64 seq, u64 epoch, u64 run,
			 u32 run_extents)
{
	u64 first, end, i;

	kept_blocks(ext, &first, &end);
	if (has_newer(first, end, seq))
		return false;
	t.next_id++;
	for (i = first; i < end; i++)
		t.block[i] = (struct block) {
			.id = t.next_id, .run = run, .run_extents = run_extents, .seq = seq,
			.epoch = epoch, .dev = ext->dev, .type = ext->type,
			.write = ext->flags & ZUFS_EXTF_LEASE_W && first < size_blocks(),
			.dev_bn = ext->dev_off / ZUFS_BLOCK_BYTES + (i - first),
		};
	return true;
}

/* Neighbours that may be kept together, [*@begin, *@end) of them all; 1: or none. */
static u32 run_of(const struct zufs_extent *ext, unsigned int count, u64 *begin, u64 *end)
{
	u64 first, next;
	u32 run = 1;

	if (!kept_blocks(ext, begin, end))
		return 1;
	for (; run < count && run < LEASE_PARTS_MAX; run++) {
		if (!kept_blocks(&ext[run], &first, &next) || first != *end)
			break;
		*end = next;
	}
	return run;
}

/* How many are taken. A run that something is in the way of is taken one by one. */
static u64 model_answer(const struct zufs_extent *ext, unsigned int count, u64 seq, u64 epoch)
{
	u64 kept = 0, begin, end;
	unsigned int i, j;
	u32 run;

	for (i = 0; i < count; i += run) {
		bool together;

		run = run_of(&ext[i], count - i, &begin, &end);
		together = run > 1 && !has_newer(begin, end, seq);
		for (j = 0; j < run; j++) {
			t.next_run += !together || !j;
			if (flag_leased(ext[i + j].flags))
				kept += model_insert(&ext[i + j], seq, epoch, t.next_run,
						     together ? run : 1);
		}
	}
	return kept;
}

static u16 random_flags(u16 type)
{
	static const u16 flags[] = {
		0, ZUFS_EXTF_LEASE_R, ZUFS_EXTF_LEASE_R | ZUFS_EXTF_IMMUTABLE,
		ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W, ZUFS_EXTF_LEASE_W,
		ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W,
	};

	return flags[below(type == ZUFS_EXT_DATA ? 6 : 3)];
}

static unsigned int random_len(unsigned int most)
{
	unsigned int len = 1 + (unsigned int)below(below(8) ? 8 : t.num / 2);

	return len < most ? len : most;
}

/* Mostly rising, as answers come; some are late. */
static u64 random_seq(void)
{
	return below(4) ? ++t.seq : t.seq - below(t.seq < 20 ? t.seq : 20);
}

static void op_insert(unsigned int *first, unsigned int *last)
{
	u64 seq = random_seq(), epoch = t.sb.open_epoch - !below(4), kept;
	unsigned int at = (unsigned int)below(t.num), count = 1 + (unsigned int)below(EXTENTS), i;
	u64 told = stats[ZUF_LEASE_KEPT];
	struct zufs_extent ext[EXTENTS];

	*first = at;
	for (i = 0; i < count && at < t.num; i++) {
		unsigned int len = random_len(t.num - at);
		u16 type = below(4) ? ZUFS_EXT_DATA : below(2) ? ZUFS_EXT_HOLE : ZUFS_EXT_UNWRITTEN;

		ext[i] = (struct zufs_extent) {
			.file_off = off_of(at), .len_bytes = (u64)len * ZUFS_BLOCK_BYTES,
			.dev_off = (1 + below(1u << 30)) * ZUFS_BLOCK_BYTES,
			/* its own, so that it is known by it */
			.dev = (u16)++t.extents, .type = type, .flags = random_flags(type),
		};
		at += len;
	}
	*last = at - 1;
	kept = model_answer(ext, i, seq, epoch);
	mutex_lock(&t.zi.leases.lock);
	zuf_lease_insert(inode, ext, i, seq, epoch);
	mutex_unlock(&t.zi.leases.lock);
	told = stats[ZUF_LEASE_KEPT] - told;
	if (!t.starved && !t.any_lost && told != kept)
		fail("op %lu: %llu extents kept, not %llu", t.ops, (unsigned long long)told,
		     (unsigned long long)kept);
}

/* Pieces of leases in the range, which a recall or a downgrade ends. */
static u64 model_kill(u64 first, u64 last, u64 seq, bool downgrade)
{
	u64 lost = 0, i, j, id = 0;

	for (i = first; i <= last && i < t.num; i++) {
		struct block *block = &t.block[i];

		if (!block->id || block->seq > seq || (downgrade && !block->write))
			continue;
		lost += block->id != id;
		id = block->id;
		if (!downgrade) {
			block->id = 0;
			if (i < last && i + 1 < t.num && t.block[i + 1].id != id)
				id = 0;
			continue;
		}
		/* a lease is for writing as a whole, or it is not */
		for (j = 0; j < t.num; j++)
			if (t.block[j].id == id)
				t.block[j].write = false;
	}
	return lost;
}

static void op_kill(unsigned int *first, unsigned int *last, bool downgrade)
{
	u64 seq = below(3) ? t.seq - below(t.seq < 30 ? t.seq : 30) : ZUF_LEASE_SEQ_ALL;
	unsigned int at = (unsigned int)below(t.num), len = random_len(t.num - at);
	bool to_end = !below(16);
	u64 want, lost, end;

	*first = at;
	*last = to_end ? t.num - 1 : at + len - 1;
	end = to_end ? LLONG_MAX : off_of(at + len) - (below(2) ? below(ZUFS_BLOCK_BYTES) : 0);
	want = model_kill(*first, *last, seq, downgrade);
	mutex_lock(&t.zi.leases.lock);
	lost = zuf_lease_kill(inode, off_of(at), end, seq, downgrade);
	mutex_unlock(&t.zi.leases.lock);
	if (!t.starved && !t.any_lost && lost != want)
		fail("op %lu: %llu leases %s, not %llu", t.ops, (unsigned long long)lost,
		     downgrade ? "downgraded" : "killed", (unsigned long long)want);
}

static void op_changed(unsigned int *first, unsigned int *last)
{
	unsigned int at = (unsigned int)below(t.num), len = random_len(t.num - at);
	u64 changes = t.zi.leases.changes;

	*first = at;
	*last = at + len - 1;
	model_kill(*first, *last, ZUF_LEASE_SEQ_ALL, false);
	zuf_lease_changed(inode, off_of(at) + below(ZUFS_BLOCK_BYTES),
			  off_of(at + len) - below(ZUFS_BLOCK_BYTES));
	if (t.zi.leases.changes == changes)
		fail("op %lu: a change was not counted", t.ops);
}

static void op_shrink(void)
{
	struct shrink_control sc = { .gfp_mask = (gfp_t)__GFP_FS, .nr_to_scan = 1 };
	unsigned long count = t.zi.leases.count, all = lease_shrink_count(NULL, &sc), dropped;

	if (all != (count ?: SHRINK_EMPTY))
		fail("op %lu: the shrinker counts %lu, the inode %lu", t.ops, all, count);
	dropped = lease_shrink_scan(NULL, &sc);
	if (dropped != (count ?: SHRINK_STOP) || t.zi.leases.count ||
	    lease_shrink_count(NULL, &sc) != SHRINK_EMPTY || t.zi.vfs_inode.references)
		fail("op %lu: the shrinker dropped %lu of %lu", t.ops, dropped, count);
	memset(t.block, 0, sizeof(t.block));
	t.any_lost = false;
}

static void one_op(void)
{
	unsigned int first = 0, last = 0, what = (unsigned int)below(100);
	bool starve = t.starved && !below(8), unsure = t.any_lost || starve;

	if (unsure)
		memcpy(t.before, t.block, t.num * sizeof(*t.block));
	memory_fail_one_of = starve ? 1 + (unsigned int)below(4) : 0;
	if (what < 50)
		op_insert(&first, &last);
	else if (what < 70)
		op_kill(&first, &last, false);
	else if (what < 82)
		op_kill(&first, &last, true);
	else if (what < 87)
		op_changed(&first, &last);
	else if (what < 93)
		inode->size = (loff_t)(off_of(below(t.num)) + below(ZUFS_BLOCK_BYTES));
	else if (what < 99)
		t.sb.open_epoch++;
	else if (!below(4))
		op_shrink();
	memory_fail_one_of = 0;
	t.ops++;
	if (unsure)
		check_starved(what < 50);
	else
		check_exact(first, last);
}

/* -------------------------------------------------------------------- random */

static void inode_begin(u64 base_bn, unsigned int num)
{
	memset(&t, 0, sizeof(t));
	t.base_bn = base_bn;
	t.num = num;
	t.seq = 1;
	t.sb.open_epoch = 5;
	inode->i_sb = &t.sb;
	inode->i_mode = S_IFREG;
	inode->size = (loff_t)off_of(num / 2);
	spin_lock_init(&t.zi.maps_lock);
	zuf_leases_init(&t.zi.leases);
	zuf_leases_reset(&t.zi.leases);
}

/* Nothing is left of it. */
static void inode_end(void)
{
	zuf_leases_drop(inode);
	rcu_barrier();
	if (memory_objects || memory_bytes || t.zi.leases.count || !list_empty(&lease_inodes) ||
	    atomic_long_read(&lease_total))
		fail("%ld objects of %zu bytes are left", memory_objects, memory_bytes);
}

static void test_random(const char *name, unsigned long ops, u64 base_bn, unsigned int num,
			bool starved)
{
	inode_begin(base_bn, num);
	t.starved = starved;
	while (t.ops < ops)
		one_op();
	printf("%s: %lu operations on %u blocks from %llu, %lu found, %lu not", name, ops, num,
	       (unsigned long long)base_bn, t.found, t.missed);
	if (starved)
		printf(", %lu lost for want of memory", t.starvations);
	putchar('\n');
	if (starved && !t.starvations)
		fail("no lease was lost: nothing was tested");
	inode_end();
}

static void deep_insert(u64 block)
{
	const struct zufs_extent ext = {
		.file_off = off_of(block), .len_bytes = ZUFS_BLOCK_BYTES,
		.dev_off = (block + 1) * ZUFS_BLOCK_BYTES, .type = ZUFS_EXT_DATA,
		.flags = ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W,
	};

	zuf_lease_insert(inode, &ext, 1, 1, 5);
}

/* Enough of them for inner nodes above inner nodes, all of which go at once. */
static void test_deep(void)
{
	const u64 count = 100000, step = 61803;	/* no common divisor */
	struct shrink_control sc = { .gfp_mask = (gfp_t)__GFP_FS, .nr_to_scan = 1 };
	unsigned int round;
	u64 i, dropped;

	inode_begin(0, 1);
	inode->size = (loff_t)off_of(count);
	for (round = 0; round < 4; round++) {
		mutex_lock(&t.zi.leases.lock);
		for (i = 0; i < count; i++)
			deep_insert(round % 2 ? i * step % count : i);
		if (t.zi.leases.count != count)
			fail("deep: %lu leases, not %llu", t.zi.leases.count,
			     (unsigned long long)count);
		if (round > 1)	/* with holes in it */
			for (i = 0; i < count; i += 7)
				zuf_lease_kill(inode, off_of(i), off_of(i + 1), 1, false);
		dropped = t.zi.leases.count;
		mutex_unlock(&t.zi.leases.lock);
		if (lease_shrink_scan(NULL, &sc) != dropped)
			fail("deep: not all are dropped");
		rcu_barrier();
		if (memory_objects)
			fail("deep: %ld objects are left", memory_objects);
	}
	inode_end();
	puts("deep: 100000 leases dropped at once, 4 times");
}

/* leases_max holds, and what there is stays. */
static void test_limit(void)
{
	struct zufs_extent ext = {
		.len_bytes = ZUFS_BLOCK_BYTES, .type = ZUFS_EXT_HOLE, .flags = ZUFS_EXTF_LEASE_R,
	}, got;
	unsigned long max = leases_max;
	unsigned int i;

	inode_begin(0, 100);
	leases_max = 10;
	mutex_lock(&t.zi.leases.lock);
	for (i = 0; i < 20; i++) {
		ext.file_off = off_of(i);
		zuf_lease_insert(inode, &ext, 1, 1, 5);
	}
	mutex_unlock(&t.zi.leases.lock);
	for (i = 0; i < 20; i++)
		if (zuf_lease_find(inode, off_of(i), false, &got) != (i < 10))
			fail("with leases_max=10 lease %u is %s", i, i < 10 ? "lost" : "kept");
	leases_max = max;
	inode_end();
	puts("limit: held");
}

/* --------------------------------------------------------------------- raced */

/*
 * Each block's place tells the number of the answer, so that a reader sees what was not
 * answered, and what was recalled before it looked.
 */
#define RACED_MAX	200u

static struct {
	unsigned long changes;
	u64 blocks;
	volatile bool stop;
	u64 killed[RACED_MAX];	/* answers up to this one; atomic */
	struct {
		u32 first, end;		/* block numbers */
	} *answers;			/* by their numbers */
	u64 seq;
	unsigned long looked, found;
} raced;

static void race_kill(u64 *state)
{
	u64 at = next_random(state) % raced.blocks, i;
	u64 len = 1 + next_random(state) % (next_random(state) % 8 ? 6 : raced.blocks);
	u64 end = at + len < raced.blocks ? at + len : raced.blocks;

	mutex_lock(&t.zi.leases.lock);
	zuf_lease_kill(inode, off_of(at), off_of(end), raced.seq, false);
	mutex_unlock(&t.zi.leases.lock);
	for (i = at; i < end; i++)
		__atomic_store_n(&raced.killed[i], raced.seq, __ATOMIC_RELEASE);
}

/* Every other answer has an extent for each even block and the next one. */
static bool is_cut(u64 seq)
{
	return seq % 2;
}

static void race_insert(u64 *state)
{
	u64 at = next_random(state) % raced.blocks;
	u64 len = 1 + next_random(state) % (next_random(state) % 8 ? 6 : raced.blocks);
	u64 end = min(at + len, raced.blocks), seq = ++raced.seq;
	struct zufs_extent ext[RACED_MAX / 2 + 1];
	u32 count = 0;

	raced.answers[seq].first = (u32)at;
	raced.answers[seq].end = (u32)end;
	for (; at < end; at += len) {
		len = is_cut(seq) ? min(2 - at % 2, end - at) : end - at;
		ext[count++] = (struct zufs_extent) {
			.file_off = off_of(at), .len_bytes = len * ZUFS_BLOCK_BYTES,
			.dev_off = (seq * raced.blocks + at) * ZUFS_BLOCK_BYTES,
			.type = ZUFS_EXT_DATA, .flags = ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W,
		};
	}
	mutex_lock(&t.zi.leases.lock);
	zuf_lease_insert(inode, ext, count, seq, 5);
	mutex_unlock(&t.zi.leases.lock);
}

static void *race_write(void *arg)
{
	u64 state = *(u64 *)arg;
	unsigned long i;

	rcu_register_thread();
	for (i = 0; i < raced.changes; i++) {
		if (next_random(&state) % 3)
			race_insert(&state);
		else
			race_kill(&state);
	}
	raced.stop = true;
	rcu_unregister_thread();
	return NULL;
}

static void race_look(u64 block)
{
	u64 killed = __atomic_load_n(&raced.killed[block], __ATOMIC_ACQUIRE);
	u64 seq, first, end;
	struct zufs_extent ext;

	uatomic_inc(&raced.looked);
	if (!zuf_lease_find(inode, off_of(block), false, &ext))
		return;
	uatomic_inc(&raced.found);
	first = ext.file_off / ZUFS_BLOCK_BYTES;
	end = first + ext.len_bytes / ZUFS_BLOCK_BYTES;
	seq = (ext.dev_off / ZUFS_BLOCK_BYTES - first) / raced.blocks;
	if (first > block || end <= block || seq > raced.changes ||
	    first < raced.answers[seq].first || end > raced.answers[seq].end ||
	    (is_cut(seq) && end - first > 2 - first % 2))
		fail("raced: block %llu: found blocks %llu to %llu by answer %llu",
		     (unsigned long long)block, (unsigned long long)first,
		     (unsigned long long)end - 1, (unsigned long long)seq);
	if (seq <= killed)
		fail("raced: block %llu: found answer %llu, and %llu was recalled before",
		     (unsigned long long)block, (unsigned long long)seq,
		     (unsigned long long)killed);
}

static void *race_read(void *arg)
{
	u64 state = *(u64 *)arg;

	rcu_register_thread();
	while (!raced.stop)
		race_look(next_random(&state) % raced.blocks);
	rcu_unregister_thread();
	return NULL;
}

static void test_raced(unsigned long changes, u64 blocks)
{
	u64 seeds[3] = { random_state | 1, random_state ^ 0x5555, random_state ^ 0x7777 };
	pthread_t writer, readers[2];

	inode_begin(0, (unsigned int)blocks);
	inode->size = (loff_t)off_of(blocks);
	memset(&raced, 0, sizeof(raced));
	raced.blocks = blocks;
	raced.changes = changes;
	raced.answers = calloc(changes + 1, sizeof(*raced.answers));
	if (!raced.answers || pthread_create(&readers[0], NULL, race_read, &seeds[0]) ||
	    pthread_create(&readers[1], NULL, race_read, &seeds[1]) ||
	    pthread_create(&writer, NULL, race_write, &seeds[2]))
		fail("no memory, or no threads");
	pthread_join(writer, NULL);
	pthread_join(readers[0], NULL);
	pthread_join(readers[1], NULL);
	printf("raced: %lu changes of %llu blocks, %lu lookups, %lu found\n", changes,
	       (unsigned long long)blocks, raced.looked, raced.found);
	free(raced.answers);
	if (!raced.found || raced.found == raced.looked)
		fail("nothing was tested");
	inode_end();
}

/* ---------------------------------------------------------------------- time */

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
}

/* As answers of a server with one extent a block. */
static void time_fill(u64 from, u64 to)
{
	static struct zufs_extent ext[ANSWER_EXTENTS];
	u64 i, count;

	mutex_lock(&t.zi.leases.lock);
	for (; from < to; from += count) {
		count = min_t(u64, to - from, ANSWER_EXTENTS);
		for (i = 0; i < count; i++)
			ext[i] = (struct zufs_extent) {
				.file_off = off_of(from + i), .len_bytes = ZUFS_BLOCK_BYTES,
				.dev_off = (from + i + 1) * ZUFS_BLOCK_BYTES,
				.type = ZUFS_EXT_DATA,
				.flags = ZUFS_EXTF_LEASE_R | ZUFS_EXTF_LEASE_W,
			};
		zuf_lease_insert(inode, ext, (u32)count, 1, 5);
	}
	mutex_unlock(&t.zi.leases.lock);
	if (t.zi.leases.count != to)
		fail("%lu leases, not %llu", t.zi.leases.count, (unsigned long long)to);
}

static double time_lookups(u64 blocks, unsigned long lookups)
{
	struct zufs_extent ext;
	u64 start = now_ns();
	unsigned long i;

	for (i = 0; i < lookups; i++)
		if (!zuf_lease_find(inode, off_of(below(blocks)), false, &ext))
			fail("a lease is missing");
	return (double)(now_ns() - start) / (double)lookups;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void time_all(unsigned long lookups)
{
	double ns[5], base = 0;
	u64 from = 0, blocks;
	unsigned int i;

	inode_begin(0, 1);
	parts_max = LEASE_PARTS_FIT;
	inode->size = (loff_t)1 << 40;
	for (blocks = 1000; blocks <= 1000000; blocks *= 10) {
		time_fill(from, blocks);
		from = blocks;
		rcu_barrier();
		for (i = 0; i < 5; i++)
			ns[i] = time_lookups(blocks, lookups);
		qsort(ns, 5, sizeof(*ns), by_value);
		base = base ?: ns[2];
		printf("%8llu leases: a lookup %.1f ns, median of 5 (%.1f to %.1f), %.2f times the first; %.1f bytes each\n",
		       (unsigned long long)blocks, ns[2], ns[0], ns[4], ns[2] / base,
		       (double)memory_bytes / (double)blocks);
	}
	inode_end();
}

/* ---------------------------------------------------------------------- main */

static void usage(void)
{
	puts("usage: lease-tree [--ops=N] [--seed=N]\n"
	     "       lease-tree --time [--ops=N]\n"
	     "Tests zuf's lease cache in user mode, or times lookups in it.\n"
	     "  --ops=N    operations of a test (100000), or lookups a figure\n"
	     "  --seed=N   of all that is random; default $ZUFS_SEED, or 1\n"
	     "  --time     lookups among 1,000 to 1,000,000 leases");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ops", required_argument, NULL, 'o' }, { "seed", required_argument, NULL, 's' },
		{ "time", no_argument, NULL, 't' }, { "help", no_argument, NULL, 'h' }, { }
	};
	const u64 last_bn = LLONG_MAX / ZUFS_BLOCK_BYTES - 1;
	unsigned long ops = 100000;
	bool only_time = false;
	const char *seed = getenv("ZUFS_SEED");
	int c;

	random_state = seed ? strtoull(seed, NULL, 0) : 1;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'o': ops = strtoul(optarg, NULL, 0); break;
		case 's': random_state = strtoull(optarg, NULL, 0); break;
		case 't': only_time = true; break;
		case 'h': usage(); return 0;
		default: usage(); return 2;
		}
	}
	printf("seed %llu\n", (unsigned long long)random_state);
	random_state = random_state * 0x9e3779b97f4a7c15ull | 1;
	rcu_register_thread();
	maple_tree_init();
	if (zuf_lease_init())
		fail("zuf_lease_init() failed");
	if (only_time) {
		time_all(ops);
	} else {
		test_limit();
		test_deep();
		test_random("random", ops, 0, 64, false);
		test_random("random", ops, 0, ALL_BLOCKS, false);
		test_random("random", ops, last_bn - 100 + 1, 100, false);
		test_random("random", ops, 1u << 20, BLOCKS_MAX, false);
		test_random("starved", ops, 0, 150, true);
		test_raced(ops * 5, RACED_MAX);
		test_raced(ops * 5, 10);	/* one node, which is changed in place */
	}
	zuf_lease_exit();
	rcu_unregister_thread();
	return 0;
}
