/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zlogfs.h - zlogfs in memory: what its parts know of each other.
 *
 * An operation becomes one record of the log, durable when it returns; what it changed is
 * then known by the objects concerned, as pending. The applier brings that into the tree,
 * in the order of the log; a checkpoint says how far it has come, and ends old log segments.
 * A mount after a crash makes pending again what the log holds, and goes on.
 *
 * Locks, in the order in which they may be taken:
 *
 *	fs->step	one thread applies, or makes a checkpoint
 *	obj->lock	what is pending of an object, and its inode; two: the lower number first;
 *			who reads a file of which nothing is takes none
 *	log->lock	one thread appends
 *	tree->lock	nodes of the tree change, or are loaded; who reads them takes none
 *	fs->space_lock	free segments and blocks
 *	fs->objs_lock	the table of objects
 */
#ifndef ZLOGFS_H
#define ZLOGFS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <zus.h>

#include "format.h"
#include "pm.h"

struct zl_fs;

#define ZL_NONE			UINT32_MAX	/* no segment, no log */

/* Reads what others change meanwhile, and believes it for other reasons than that it was read. */
#define ZL_OPTIMISTIC		__attribute__((no_sanitize("thread")))

/* What no number on the medium reaches by itself: who adds to one below does not wrap. */
#define ZL_OBJ_END		(1ull << 56)	/* in one number with a type */
#define ZL_KEY_END		(1ull << 62)	/* of names, xattrs, boundaries */
#define ZL_SEQ_END		(1ull << 62)
#define ZL_TID_MAX		(UINT64_MAX - (1ull << 48))

/* ------------------------------------------------------------- little-endian */

static inline uint64_t zl_get64(zlf_le64 v)
{
	return le64toh(v);
}

static inline uint32_t zl_get32(zlf_le32 v)
{
	return le32toh(v);
}

static inline uint16_t zl_get16(zlf_le16 v)
{
	return le16toh(v);
}

/* --------------------------------------------------------------------- super */

struct zl_dev {
	struct zl_pm pm;
	const struct zlf_super *super;
	uint64_t table_off;
	uint64_t bitmap_off;
	uint64_t hints_off;
	uint64_t first_segment_off;
	uint32_t first_segment;	/* its number among all */
	uint32_t num_segments;
	uint32_t numa_node;
	uint8_t near;		/* its place in fs->near */
};

struct zl_geo {
	uint32_t segment_shift;
	uint32_t segment_bytes;
	uint32_t segment_lines;
	uint32_t segment_blocks;
	uint32_t node_lines;
	uint32_t node_bytes;
	uint32_t segment_nodes;
	uint32_t record_lines_max;
	uint32_t num_logs;
	uint32_t num_slots;
	uint64_t unapplied_max_bytes;
};

/* Options of mkfs; 0: what is usual. */
struct zl_mkfs {
	const char *label;
	uint8_t fs_uuid[16];
	uint32_t segment_shift;
	uint32_t node_lines;
	uint32_t num_logs;
	uint32_t num_slots;
	uint32_t policy;
	uint64_t unapplied_max_bytes;
	uint64_t now_ns;
	bool dry_run;		/* say whether it can be, write nothing; addr may be NULL */
};

/*
 * Make a filesystem on devices that are mapped, each good from data_off on. 0; EINVAL: bad
 * geometry; ENOSPC: too small, with *why for a person.
 */
struct zl_media {
	void *addr;
	uint64_t bytes;
	uint64_t data_off;
	uint64_t pmd_phase_bytes;
	uint8_t uuid[16];
	uint32_t numa_node;	/* or ZUS_NUMA_NODE_UNKNOWN */
};

int zl_mkfs(const struct zl_media *media, uint32_t num_media, const struct zl_mkfs *options,
	    const char **why);

/* One copy: is it valid, and NULL, or the member that cannot be as it is? */
bool zl_super_valid(const struct zlf_super *super);
const char *zl_super_check(const struct zlf_super *super, const struct zl_media *media);

/* Where its parts are: at most ZL_REGIONS; it is valid, and each part is inside the device. */
#define ZL_REGIONS		9u

struct zl_region {
	const char *name;
	uint64_t off, bytes;
};

uint32_t zl_super_regions(const struct zlf_super *super, const struct zl_media *media,
			  struct zl_region *r);

/* NULL, or the member that cannot be as it is. */
const char *zl_ckpt_check(const struct zlf_ckpt *ckpt);

/* What is there, checked; fills fs->devs, fs->geo, fs->ckpt. EINVAL, EIO: logged. */
int zl_super_load(struct zl_fs *fs, const struct zl_media *media, uint32_t num_media);

uint32_t zl_crc_seed(const uint8_t fs_uuid[16]);
/* Of a structure whose crc is its member at crc_off, and covers what is behind up to bytes. */
uint32_t zl_crc_of(uint32_t seed, const void *what, size_t crc_off, size_t bytes);

/* ----------------------------------------------------------------- segments */

struct zl_seg_list;

struct zl_seg {
	uint64_t used[8];	/* units; under space_lock */
	uint64_t media_used[8];	/* as the medium has them or soon will; the applier's */
	uint64_t seq;		/* of a log segment */
	uint64_t max_tid;	/* of a log segment that has ended */
	uint16_t count;		/* bits in used */
	uint16_t gen;
	uint8_t type;		/* ZLF_SEG_*; FREE: nothing is in it */
	uint8_t media_type;
	uint8_t next_type;	/* that the medium is to have; 0: as it is */
	uint16_t media_gen;
	uint16_t next_gen;
	bool dirty;		/* in fs->dirty_segs */
	uint8_t log;		/* of a log segment */
	uint8_t near;		/* as its device */
	struct zl_seg_list *list; /* of free or partly free ones, or NULL */
	TAILQ_ENTRY(zl_seg) link;
};
TAILQ_HEAD(zl_seg_list, zl_seg);

enum zl_near_list {
	ZL_NEAR_EMPTY,		/* segments that are free */
	ZL_NEAR_PARTIAL,	/* of data, with free blocks */
	ZL_NEAR_DENSE,		/* ... few of them */
	ZL_NEAR_NODES,		/* of nodes, with free ones */
	ZL_NEAR_LISTS,
};

/* What lies near one NUMA node. */
struct zl_near {
	uint32_t numa_node;
	struct zl_seg_list lists[ZL_NEAR_LISTS];
};
#define ZL_NEAR_MAX	16u

/* Which of them the calling CPU is near to. */
uint32_t zl_near_here(const struct zl_fs *fs);

/* Who may take the last space, and who has to stop before. */
enum zl_space_class {
	ZL_SPACE_WRITE,		/* user data, new names */
	ZL_SPACE_REMOVE,	/* what frees space in the end */
	ZL_SPACE_SYSTEM,	/* the applier and the log */
};

int zl_segs_load(struct zl_fs *fs);
void zl_segs_settle(struct zl_fs *fs);
void zl_segs_free(struct zl_fs *fs);

uint64_t zl_addr_make(const struct zl_fs *fs, uint32_t zone, uint32_t gen, uint32_t seg,
		      uint32_t off);
uint64_t zl_addr(const struct zl_fs *fs, uint32_t zone, uint32_t seg, uint32_t off);
/* Where that is: false if it is nowhere in this filesystem. gen is not compared. */
bool zl_addr_split(const struct zl_fs *fs, uint64_t addr, uint32_t *seg, uint32_t *off);
uint32_t zl_addr_zone(uint64_t addr);
uint32_t zl_addr_gen(uint64_t addr);
uint32_t zl_addr_dev(uint64_t addr, uint64_t *dev_off);
/* Which block of its segment. */
uint32_t zl_addr_block(const struct zl_fs *fs, uint64_t addr);
struct zl_dev *zl_seg_dev(struct zl_fs *fs, uint32_t seg);
uint64_t zl_seg_off(struct zl_fs *fs, uint32_t seg);
/* Bytes at addr, which has been checked. */
const void *zl_media(struct zl_fs *fs, uint64_t addr);

/*
 * Blocks in one piece inside a segment, at most want; *got: how many. 0: no space for this
 * class. goal: behind which it would be best. whole: an empty segment for itself, or what
 * there is.
 */
uint64_t zl_blocks_alloc(struct zl_fs *fs, enum zl_space_class class, uint32_t want,
			 uint64_t goal, bool whole, uint32_t *got);
/* From goal on, if that is free; 0: it is not. */
uint64_t zl_blocks_extend(struct zl_fs *fs, uint64_t goal, uint32_t want, uint32_t *got);
/*
 * A few blocks: at goal if that is free, else of those that the calling CPU has set aside,
 * without a lock that others take. 0: no space.
 */
uint64_t zl_blocks_few(struct zl_fs *fs, uint32_t want, uint64_t goal, uint32_t *got);
#define ZL_FEW_BLOCKS	64u	/* at most */
int zl_pools_init(struct zl_fs *fs);
void zl_pools_free(struct zl_fs *fs);
/* Nobody will look for anything there again, not even a mount after a crash. */
void zl_blocks_free(struct zl_fs *fs, uint64_t addr, uint32_t blocks);
/* Is that what it is in use for, and are all units? */
bool zl_units_used(struct zl_fs *fs, uint64_t addr, uint32_t units);
/* Of a mount: something is there; a node may as well not be. */
void zl_blocks_claim(struct zl_fs *fs, uint64_t addr, uint32_t blocks);
void zl_node_claim(struct zl_fs *fs, uint64_t addr, bool in);

uint64_t zl_node_alloc(struct zl_fs *fs);
void zl_node_release(struct zl_fs *fs, uint64_t addr);

/* An empty segment for a log. ZL_NONE: there is none. release: it has none any more. */
uint32_t zl_log_seg_alloc(struct zl_fs *fs);
void zl_log_seg_release(struct zl_fs *fs, uint32_t seg);

/*
 * For the applier: what is to be on the medium, of blocks or of a node. Stored and flushed
 * by zl_bits_store(), of all segments that were changed; no fence.
 */
void zl_bits_set(struct zl_fs *fs, uint64_t addr, uint32_t units);
void zl_bits_clear(struct zl_fs *fs, uint64_t addr, uint32_t units);
void zl_bits_store(struct zl_fs *fs);
/* Of one block, and of the segment's present use: has it been set, and not cleared since? */
bool zl_bits_are_set(const struct zl_fs *fs, uint64_t addr);

void zl_space_count(struct zl_fs *fs, struct zus_statfs *st);
/* ENOSPC: who is of this class has to stop. */
int zl_space_admit(const struct zl_fs *fs, enum zl_space_class class);
/* Nobody can write any more, and what is not applied yet may have freed something. */
bool zl_space_short(struct zl_fs *fs);

/* The word of the segment table. */
uint64_t zl_seg_word(uint32_t type, uint32_t log, uint32_t gen);
bool zl_seg_word_split(uint64_t word, uint32_t *type, uint32_t *log, uint32_t *gen);

/* --------------------------------------------------------------------- tree */

struct zl_key {
	uint64_t obj;
	uint64_t key;
	uint64_t tid;		/* of history, and of owners; else 0 */
	uint32_t rec_type;
};

/* Has its key create_tid? */
static inline bool zl_key_has_tid(uint32_t rec_type)
{
	return rec_type & ZLF_REC_HISTORY || rec_type == ZLF_REC_OWNER;
}

int zl_key_compare(const struct zl_key *a, const struct zl_key *b);
struct zl_key zl_elem_key(const struct zlf_elem *elem);

/* An element with its payload, in memory. */
struct zl_elem {
	struct zlf_elem head;
	uint8_t payload[ZLF_ELEM_PAYLOAD_MAX];
};

/* A leaf to which a key leads as long as that is the leaf's shape. NULL: it is not known. */
struct zl_lead {
	struct zl_node *leaf;
	uint32_t shape;
};

/* What has been looked for in the tree, of an object, and where that was. */
struct zl_sought {
	uint64_t key;
	uint32_t rec_type;
	struct zl_lead lead;
};

/*
 * The element of key, the first at or behind it, the last at or in front of it: 0, ENOENT, EIO.
 * last: none behind it. place: of an extent key, addr, len and flags are enough; others may
 * be 0. lead: where key would be, or NULL.
 * Any thread, with no lock; beside changes of the tree what is found was there at some moment
 * of the call.
 */
int zl_tree_find(struct zl_fs *fs, const struct zl_key *key, struct zl_elem *elem);
int zl_tree_next(struct zl_fs *fs, const struct zl_key *key, const struct zl_key *last,
		 struct zl_elem *elem, struct zl_lead *lead);
int zl_tree_prev(struct zl_fs *fs, const struct zl_key *key, bool place, struct zl_elem *elem);

int zl_tree_load(struct zl_fs *fs);
uint64_t zl_tree_root(struct zl_fs *fs);
void zl_tree_free(struct zl_fs *fs);
/* level to reserved: what stays as long as the node is there. */
uint32_t zl_node_header_crc(uint32_t seed, const struct zlf_node *header);
/* A key that leads to the node, empty or not. */
struct zl_key zl_node_header_key(const struct zlf_node *header);
/* What a node's first line is to be, without an element. */
void zl_node_header(const struct zl_fs *fs, struct zlf_node *header, uint64_t self,
		    uint32_t level, const struct zl_key *low);

/*
 * Changes of the tree, by one thread at a time, under fs->step: any number of put and del, then
 * commit, behind which they are durable and what they replaced is gone. Who looks something up
 * finds them at once: what they do is durable in the log, and pending until they are. *old,
 * with lines 0 if there was none: what was there; NULL: nobody wants to know. lead: the way is
 * known, perhaps; or NULL. prefetch: that key comes soon. 1: what is there is newer, and stays,
 * or is not there. next_prune: leaves on the way that have nothing are pruned, too: a crash may
 * have come before they were.
 */
int zl_tree_put(struct zl_fs *fs, const struct zl_elem *elem, const struct zl_lead *lead,
		struct zl_elem *old);
int zl_tree_del(struct zl_fs *fs, const struct zl_key *key, uint64_t tid, struct zl_elem *old);
void zl_tree_prefetch(const struct zl_fs *fs, const struct zl_key *key,
		      const struct zl_lead *lead);
int zl_tree_next_prune(struct zl_fs *fs, const struct zl_key *key, struct zl_elem *elem);
/* A mistake that bug.h has: the element's second word is changed where it is. */
int zl_tree_spoil(struct zl_fs *fs, const struct zl_elem *elem);
int zl_tree_commit(struct zl_fs *fs);

/* ------------------------------------------------------------------ objects */

struct zl_pending;
struct zl_word;
TAILQ_HEAD(zl_word_list, zl_word);

/* Of what is pending by key: see pending.c. */
struct zl_index {
	union zl_index_slot {
		struct zl_pending *pending;
		struct zl_index_node *node;
	} root;				/* height 0: the only one, or NULL */
	uint32_t height;		/* of nodes */
	struct zl_pending *rest;	/* what there was no memory for */
};

struct zl_range;
TAILQ_HEAD(zl_range_list, zl_range);

struct zl_obj {
	struct zl_obj *hash_next;
	struct zl_fs *fs;
	uint64_t id;
	uint64_t refs;		/* atomic; 0: may be freed */
	pthread_mutex_t lock;
	struct zl_index pending;
	struct zl_range_list ranges;
	struct zl_sought sought;	/* the newest, of what may become pending next */
	uint64_t change_tid;	/* of the newest record about it */
	struct zl_word *word;	/* a write that may have become part of it; see zl_obj_lock() */
	uint64_t begun;		/* so many things were pending; atomic, as is the next */
	uint64_t settled;	/* of these, so many are no more */
};

enum zl_write_kind {
	ZL_WRITE_NEW,		/* blocks that nobody knows */
	ZL_WRITE_COPIED,	/* the same, old bytes at the edges */
	ZL_WRITE_UNWRITTEN,	/* the file's own, never written */
};

/* A place that a MAP gave to a write, until its MAP_DONE. */
struct zl_write {
	struct zl_write *next;
	uint64_t map_id;
	uint64_t bn;
	uint64_t addr;
	uint64_t old_addr;	/* of an extent of just these blocks, or 0 */
	uint64_t change_tid;	/* of the object: if it is the same still, so is that extent */
	uint32_t blocks;
	enum zl_write_kind kind;
};

/* A write(2) of many maps, of which all shall count or nothing; id 0: none. See writes.c. */
struct zl_whole {
	uint64_t id;
	struct zl_write *first, *last;	/* in order of blocks */
	uint64_t end;			/* of its bytes */
	uint64_t size_bytes;		/* of the file then */
};

struct zl_inode {
	struct zl_obj obj;
	struct zus_inode zi;
	bool known;		/* to libzus */
	bool loaded;		/* body is what the inode is; else it is in the tree, or nowhere */
	struct zlf_inode body;
	struct zl_write *writes;	/* in no order */
	struct zl_whole whole;
};

struct zl_inode *zl_inode_of(struct zl_obj *obj);
struct zl_inode *zl_inode_of_zus(struct zus_inode *zi);

/* With a reference, which zl_obj_put() gives back. NULL: no memory. ref: one more. */
struct zl_obj *zl_obj_get(struct zl_fs *fs, uint64_t id);
struct zl_obj *zl_obj_ref(struct zl_obj *obj);
void zl_obj_put(struct zl_obj *obj);
void zl_objs_free(struct zl_fs *fs);

/*
 * What an object has at a key, pending or in the tree; next: the first of that type at or
 * behind key, next_to: and at last or in front of it; prev: the last at or in front of key.
 * Under obj->lock. ENOENT, EIO.
 */
int zl_obj_find(struct zl_obj *obj, uint32_t rec_type, uint64_t key, struct zl_elem *elem);
int zl_obj_next(struct zl_obj *obj, uint32_t rec_type, uint64_t key, struct zl_elem *elem);
int zl_obj_next_to(struct zl_obj *obj, uint32_t rec_type, uint64_t key, uint64_t last,
		   struct zl_elem *elem);
int zl_obj_prev(struct zl_obj *obj, uint32_t rec_type, uint64_t key, struct zl_elem *elem);
/* prev, of an extent: key, addr, len and flags; others may be 0. */
int zl_obj_place(struct zl_obj *obj, uint64_t key, struct zl_elem *elem);

/*
 * Something is pending of the object: an element, a range, a word. settle: no more. Under
 * obj->lock, or in a mount.
 */
void zl_obj_begin(struct zl_obj *obj);
void zl_obj_settle(struct zl_obj *obj);
/*
 * Is nothing pending? Then what the tree has is what the object has, if it still is so behind
 * the look at the tree: for who does not take the lock. Partners: the two above.
 */
bool zl_obj_settled(const struct zl_obj *obj, uint64_t *begun);
bool zl_obj_still(const struct zl_obj *obj, uint64_t begun);

/* The inode's body, from the tree if need be. ENOENT: there is no such inode. */
int zl_inode_load(struct zl_inode *zi);

/* Blocks that an element has. */
uint32_t zl_elem_blocks(const struct zlf_elem *elem);

/* Is it an extent whose blocks others may have, too? */
static inline bool zl_shares(const struct zlf_elem *elem)
{
	return (elem->rec_type & ~ZLF_REC_HISTORY) == ZLF_REC_EXTENT &&
	       elem->flags & ZLF_EF_SHARED;
}

/*
 * elem.c: what has come from the medium. NULL, or what cannot be: elements with all their
 * lines; keys without ZLF_REC_HISTORY.
 */
const char *zl_elem_check(const struct zl_fs *fs, const struct zlf_elem *elem);
const char *zl_key_check(uint32_t rec_type, uint64_t obj, uint64_t key);
/* An inode's body, and those parts of one that an item has. */
const char *zl_body_check(const struct zlf_inode *body);
bool zl_body_parts_valid(uint32_t mask, const void *parts);
bool zl_ino_valid(uint64_t ino);

/* ---------------------------------------------------------------------- log */

struct zl_log_seg {
	TAILQ_ENTRY(zl_log_seg) link;
	uint64_t seq;
	uint64_t max_tid;	/* so far */
	uint32_t seg;
	bool ended;		/* nothing more comes */
};
TAILQ_HEAD(zl_log_seg_list, zl_log_seg);

struct zl_work;
TAILQ_HEAD(zl_work_list, zl_work);

struct zl_log {
	pthread_mutex_t lock;
	uint32_t id;
	uint64_t last_tid;
	struct zl_log_seg *open;
	uint32_t pos;		/* lines */
	struct zl_log_seg_list segs;
	struct zl_work_list queue;
	struct zl_word_list words; /* records of which nobody has seen yet that they count */
	uint64_t lines;		/* that records took since the mount; atomic */
	/* Of these, under fs->step: at the last look at the queues; in front of what is to come. */
	uint64_t seen_lines, taken_lines;
	/* What a mount would skip; how many more there may be. Atomic. */
	uint64_t ckpt_lines, share_lines;
} __attribute__((aligned(2 * ZLF_LINE_BYTES)));	/* CPUs share none */

/* The log of the calling CPU. */
struct zl_log *zl_log_here(struct zl_fs *fs);
int zl_log_init(struct zl_fs *fs);
void zl_log_free(struct zl_fs *fs);

/* All logs: nobody appends. level: they all go on from the highest tid, which it returns. */
void zl_logs_lock(struct zl_fs *fs);
void zl_logs_unlock(struct zl_fs *fs);
uint64_t zl_logs_level(struct zl_fs *fs);

/*
 * All four under log->lock. tid_next: above floor and all before on this log. append: to a
 * record that is complete but for its checksum; no fence. ENOSPC: no segment. end: what is
 * open gets its CLOSE.
 */
uint64_t zl_tid_next(struct zl_fs *fs, struct zl_log *log, uint64_t floor);
int zl_log_append(struct zl_fs *fs, struct zl_log *log, struct zlf_record *record);
void zl_log_end(struct zl_fs *fs, struct zl_log *log);

/*
 * Walk through the records of a segment in order; called with each that is valid. fn's error
 * ends it. *closed: the segment's end was said.
 */
/* Of seq at that line of its segment. */
bool zl_record_valid(const struct zl_fs *fs, const struct zlf_record *record, uint64_t seq,
		     uint32_t line);
/* Of a valid one: 1, or by its word 0: not, or not yet; -1: the word is neither 0 nor its tid. */
int zl_record_counts(const struct zlf_record *record);

typedef int zl_record_fn(void *arg, const struct zlf_record *record);
int zl_log_walk(struct zl_fs *fs, uint32_t seg, uint64_t seq, zl_record_fn *fn, void *arg,
		bool *closed);
/* Of a mount: a segment that is there, whose newest record is max_tid. */
int zl_log_adopt(struct zl_fs *fs, uint32_t seg, uint64_t max_tid);

/* The lowest number of a segment that is still wanted when all up to applied_tid is applied. */
uint64_t zl_log_min_seq(struct zl_fs *fs, uint64_t applied_tid);
/* Those below are in no checkpoint's way any more. */
void zl_log_retire(struct zl_fs *fs, uint64_t min_seq);

/*
 * How much a mount would find to do. pressed: this CPU's log has its share, so whoever wants to
 * change something applies first; it looks at nothing that another CPU writes. taken: the
 * applier has looked at the queues, all of them locked; all: of what it took nothing can come
 * in front any more, all_seen: of what it took the time before. checkpointed: the applier has
 * no work left, and a checkpoint has said so. The latter two under fs->step.
 */
bool zl_log_pressed(struct zl_fs *fs);
void zl_logs_taken(struct zl_fs *fs, bool all, bool all_seen);
void zl_logs_checkpointed(struct zl_fs *fs);

/* --------------------------------------------------------------- operations */

/* Blocks in one piece. */
struct zl_run {
	uint64_t addr;
	uint32_t blocks;
};

/*
 * An operation, from its first item to its record. begin: with no lock, as it may have to make
 * room in the log; ENOSPC, EROFS. Items are added under the locks of the objects concerned,
 * which are held until commit has returned. end always, also of one that did not commit.
 */
#define ZL_OP_OBJS	8u

struct zl_op {
	struct zl_fs *fs;
	uint64_t op_id;
	uint64_t floor_tid;
	uint64_t tid;		/* behind commit */
	uint32_t item_bytes;
	uint32_t num_items;
	uint32_t items_max;
	uint32_t objs_max;
	struct zl_obj **objs;	/* of each item */
	bool said;		/* the last item says its object */
	bool no_boundary;	/* items are right as long as there is none */
	uint32_t num_allocs;
	struct zl_run *allocs;	/* that are free again if it does not commit */
	int err;		/* of items; commit returns it */
	uint8_t *items;
	struct zl_obj *first_objs[ZL_OP_OBJS]; /* what most need, as what follows */
	uint8_t first[1024];
};

int zl_op_begin(struct zl_op *op, struct zl_fs *fs, const struct zus_req *req,
		enum zl_space_class class);
void zl_op_set(struct zl_op *op, struct zl_obj *obj, const struct zlf_elem *elem,
	       const void *payload, uint32_t payload_bytes);
/* A mistake that bug.h has: what there is so far becomes a record of its own. */
void zl_op_split_here(struct zl_op *op);
/* An extent in the place of another with its key and length, whose blocks leave the file. */
void zl_op_replace(struct zl_op *op, struct zl_obj *obj, const struct zlf_elem *extent,
		   const struct zlf_elem *old);
/* Blocks of an extent that leave its file. */
void zl_op_free(struct zl_op *op, struct zl_obj *obj, const struct zlf_elem *extent);
void zl_op_del(struct zl_op *op, struct zl_obj *obj, uint32_t rec_type, uint64_t key);
void zl_op_range(struct zl_op *op, struct zl_obj *obj, uint32_t rec_type, uint64_t from,
		 uint64_t to);
void zl_op_inode(struct zl_op *op, struct zl_inode *zi, uint32_t mask,
		 const struct zlf_inode *body);
/*
 * Blocks for the operation, *got of them in one piece; free again if it does not commit. 0,
 * and op->err, if there are none. whole: see zl_blocks_alloc().
 */
uint64_t zl_op_blocks(struct zl_op *op, uint64_t want, bool whole, uint32_t *got);
uint64_t zl_op_block(struct zl_op *op);
/*
 * EAGAIN: a boundary has come, and items do not say since when extents have been there.
 * ZUS_BUSY_RETRY: of an object there is a write under way that a word will end.
 */
int zl_op_commit(struct zl_op *op);
/* The same, under log->lock. */
int zl_op_commit_on(struct zl_op *op, struct zl_log *log);
/* The record alone, not durable, to count with that word, which is 0 yet. E2BIG: it wants two. */
int zl_op_append_word(struct zl_op *op, struct zl_log *log, struct zus_word *word);
/* All items anew. */
void zl_op_again(struct zl_op *op);
void zl_op_end(struct zl_op *op);

/* ----------------------------------------------------- applier and checkpoint */

/*
 * All under fs->step. step: some of what waits; 1: there may be more, 0: there is none, or an
 * error. all: everything that was queued when it was called.
 */
int zl_apply_init(struct zl_fs *fs);
void zl_apply_free(struct zl_fs *fs);
int zl_step_apply(struct zl_fs *fs, uint32_t max_items);
int zl_apply_all(struct zl_fs *fs);
int zl_step_checkpoint(struct zl_fs *fs, bool clean);
/* Is there a boundary at or behind from, and in front of to? */
bool zl_boundary_between(const struct zl_fs *fs, uint64_t from, uint64_t to);
int zl_boundary_add(struct zl_fs *fs, uint64_t tid);
/* Apply and make a checkpoint, so that the log has room, and what was freed is free. No lock. */
int zl_make_room(struct zl_fs *fs);

/*
 * Of records with a word: settle what is stored, with no lock; the lowest tid of one of which
 * it is not known, all logs held. free: at the end, without effect.
 */
void zl_words_settle(struct zl_fs *fs);
uint64_t zl_words_oldest(struct zl_fs *fs);
void zl_words_free(struct zl_fs *fs);

/*
 * Each slot's newest operation. op_id: of a request, 0 if it has no slot. note: it is durable;
 * with any lock of a log. store: the checkpoint's area, under step; load: from the newest one.
 */
int zl_slots_init(struct zl_fs *fs);
void zl_slots_free(struct zl_fs *fs);
uint64_t zl_slot_op_id(uint32_t slot, uint64_t seq);
void zl_slot_note(struct zl_fs *fs, uint64_t op_id, uint64_t obj);
void zl_slots_store(struct zl_fs *fs, uint32_t area);
void zl_slots_load(struct zl_fs *fs);

/* Log and tree as a crash, or an unmount, left them. */
int zl_recover(struct zl_fs *fs);

/* What is now will be kept; history from now on. */
int zl_boundary(struct zl_fs *fs);

/* ------------------------------------------------------------ the filesystem */

struct zl_fs {
	struct zus_mount *mount;
	struct zl_dev devs[ZLF_MAX_DEVICES];
	uint32_t num_devs;
	struct zl_geo geo;
	uint32_t crc_seed;
	uint32_t policy;
	bool rdonly;
	bool recovering;	/* nothing but the log's records is done */
	bool settled;		/* bits are what the tree says; never of one that only reads */
	bool frozen;		/* atomic: a check failed, nothing is stored any more */
	struct zlf_ckpt ckpt;	/* the newest on the medium */
	uint64_t now_tid;	/* for tests: 0, or a clock that stands still */
	uint64_t next_obj;	/* atomic */
	uint64_t incarnation;
	uint64_t boundary_tid;	/* the newest; atomic */

	pthread_mutex_t space_lock;
	struct zl_seg *segs;
	uint32_t num_segs;
	uint32_t free_segs;	/* atomic */
	uint64_t free_blocks;	/* in segments of data that are partly free */
	struct zl_near near[ZL_NEAR_MAX];
	uint32_t num_near;
	uint64_t used_nodes;
	uint64_t used_blocks;
	struct zl_pool *pools;	/* one for each log */
	uint32_t *dirty_segs;	/* the applier's: whose bits are to be stored */
	uint32_t num_dirty_segs;

	struct zl_tree *tree_state;

	pthread_mutex_t objs_lock;
	struct zl_obj **objs;
	uint32_t objs_size;	/* a power of two */
	uint32_t num_objs;

	struct zl_log logs[ZLF_MAX_LOGS];
	uint64_t next_log_seq;	/* atomic */
	uint32_t live_log_segs;	/* atomic */
	uint32_t num_used_logs;	/* between the last checkpoints; under step */

	pthread_mutex_t step;
	struct zl_batch *applying; /* the applier's own */
	struct zl_work_list batch; /* taken from the logs' queues, not yet applied */
	uint64_t batch_tid;	/* no record up to it is missing there */
	uint64_t applied_tid;
	uint64_t seen_tid;	/* of the last look at the queues */
	uint64_t range_next;	/* where to go on with the range that is being applied */
	struct zl_slots *slots;
	uint64_t *boundaries;	/* tids, rising; under step */
	uint32_t num_boundaries;
	bool shares;		/* there may be shared blocks; under step */
	bool offers_words;	/* a commit word may make writes part of a file */
	bool clones;		/* they may be made, or are there: told at mount */

	struct zl_inode *root;
	struct zl_shell *shell;	/* threads, where there are any */
};

/*
 * load: what the media have, and what their log has is done, or pending if rdonly; an error
 * has been logged. free: also of what did not load; nobody else has it.
 */
struct zl_fs *zl_fs_new(bool rdonly, uint64_t incarnation);
int zl_fs_load(struct zl_fs *fs, const struct zl_media *media, uint32_t num_media);
void zl_fs_free(struct zl_fs *fs);

/* A check failed: reads go on, nothing is stored. why: for the log, once. Returns EIO. */
int zl_freeze(struct zl_fs *fs, const char *why, uint64_t where);

#endif /* ZLOGFS_H */
