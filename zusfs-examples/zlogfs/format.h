/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * format.h - what zlogfs keeps on its media. docs/zlogfs-format.md says why and how the
 * parts work together; here are their fields.
 *
 * All numbers are little-endian. Whatever is trusted at mount carries a CRC32C, seeded with
 * the filesystem's own number, so that remains of another filesystem do not count. A change
 * of this file is a change of the format: take a feature bit.
 */
#ifndef ZLOGFS_FORMAT_H
#define ZLOGFS_FORMAT_H

#include <assert.h>
#include <endian.h>
#include <stddef.h>
#include <stdint.h>

typedef uint16_t zlf_le16;
typedef uint32_t zlf_le32;
typedef uint64_t zlf_le64;

#define ZLF_LINE_BYTES		64ul
#define ZLF_BLOCK_BYTES		4096ul
#define ZLF_MAGIC		0x31305346474f4c5aull	/* "ZLOGFS01" */
#define ZLF_MAGIC_STATFS	0x5a4c4f47u		/* "ZLOG" */
#define ZLF_MAX_DEVICES		64u
#define ZLF_MAX_LOGS		64u

#define ZLF_ASSERT_BYTES(type, bytes) \
	static_assert(sizeof(struct type) == (bytes), #type " has another size")
#define ZLF_ASSERT_OFF(type, member, off) \
	static_assert(offsetof(struct type, member) == (off), #type "." #member " has moved")

/* ---------------------------------------------------------------- addresses */

/*
 * Where something is: zone in the top 4 bits, then 12 bits of its segment's generation,
 * 6 bits of device, and the byte offset on the device in lines. 0 is nowhere. Zone and
 * generation are there to be checked.
 */
#define ZLF_ADDR_LINE_BITS	42
#define ZLF_ADDR_DEV_BITS	6
#define ZLF_ADDR_GEN_BITS	12
#define ZLF_ADDR_DEV_SHIFT	ZLF_ADDR_LINE_BITS
#define ZLF_ADDR_GEN_SHIFT	(ZLF_ADDR_DEV_SHIFT + ZLF_ADDR_DEV_BITS)
#define ZLF_ADDR_ZONE_SHIFT	(ZLF_ADDR_GEN_SHIFT + ZLF_ADDR_GEN_BITS)
#define ZLF_ADDR_GEN_MASK	((1u << ZLF_ADDR_GEN_BITS) - 1)

/* Types of segments, and zones of addresses. */
#define ZLF_SEG_FREE		0u
#define ZLF_SEG_LOG		1u
#define ZLF_SEG_NODE		2u
#define ZLF_SEG_DATA		3u	/* blocks of 4 KiB, or one of the segment's size */
#define ZLF_SEG_BAD		4u	/* the medium is damaged: never used */

/* --------------------------------------------------------------- superblock */

#define ZLF_VERSION_MAJOR	1u
#define ZLF_VERSION_MINOR	0u

/* Of another bit: COMPAT is ignored, RO refuses to write, INCOMPAT refuses to mount. */
#define ZLF_COMPAT_KNOWN	0ull
#define ZLF_RO_KNOWN		0ull
#define ZLF_INCOMPAT_KNOWN	0ull

#define ZLF_POLICY_INPLACE	1u	/* overwrites go where the bytes are */
#define ZLF_POLICY_COW		2u	/* ... elsewhere, atomic; the old bytes are freed */
#define ZLF_POLICY_BOUNDARY	3u	/* ... and the first after a boundary keeps them */

struct zlf_device {
	uint8_t uuid[16];
	zlf_le64 bytes;
	zlf_le64 segments;
};
ZLF_ASSERT_BYTES(zlf_device, 32);
ZLF_ASSERT_OFF(zlf_device, bytes, 16);
ZLF_ASSERT_OFF(zlf_device, segments, 24);

/*
 * At data_off of each device, and a copy in its last block. Offsets are bytes from the
 * start of the device. What device 0 alone has is 0 in others.
 */
struct zlf_super {
	zlf_le64 magic;
	zlf_le32 crc;			/* of all that follows */
	zlf_le16 version_major;
	zlf_le16 version_minor;
	zlf_le64 features_compat;
	zlf_le64 features_ro;
	zlf_le64 features_incompat;
	uint8_t fs_uuid[16];
	zlf_le64 seq;			/* the higher of two valid copies counts */
	zlf_le64 created_ns;
	char label[64];
	zlf_le32 device;		/* which this is */
	zlf_le32 num_devices;
	zlf_le32 segment_shift;		/* log2 of bytes */
	zlf_le32 node_lines;		/* of a tree node, header included: 16 to 64 */
	zlf_le32 num_logs;		/* at most; a power of two */
	zlf_le32 num_slots;		/* operation slots */
	zlf_le32 policy;		/* ZLF_POLICY_* of new files */
	zlf_le32 boundary_grain_s;	/* 0: no automatic boundaries */
	zlf_le64 history_max_bytes;	/* 0: no limit of its own */
	zlf_le64 log_unapplied_max_bytes;
	zlf_le64 ring_off;		/* checkpoints; device 0 */
	zlf_le64 anchor_off;		/* device 0 */
	zlf_le64 intents_off;		/* device 0 */
	zlf_le64 slots_off;		/* two areas; device 0 */
	zlf_le64 table_off;		/* a line a segment */
	zlf_le64 bitmap_off;		/* a line a segment */
	zlf_le64 hints_off;		/* 16 bytes a block */
	zlf_le64 first_segment_off;
	zlf_le64 num_segments;		/* of this device */
	uint8_t reserved[1792];
	struct zlf_device devices[ZLF_MAX_DEVICES];
};
ZLF_ASSERT_BYTES(zlf_super, ZLF_BLOCK_BYTES);
ZLF_ASSERT_OFF(zlf_super, crc, 8);
ZLF_ASSERT_OFF(zlf_super, version_major, 12);
ZLF_ASSERT_OFF(zlf_super, version_minor, 14);
ZLF_ASSERT_OFF(zlf_super, features_compat, 16);
ZLF_ASSERT_OFF(zlf_super, features_ro, 24);
ZLF_ASSERT_OFF(zlf_super, features_incompat, 32);
ZLF_ASSERT_OFF(zlf_super, fs_uuid, 40);
ZLF_ASSERT_OFF(zlf_super, seq, 56);
ZLF_ASSERT_OFF(zlf_super, created_ns, 64);
ZLF_ASSERT_OFF(zlf_super, label, 72);
ZLF_ASSERT_OFF(zlf_super, device, 136);
ZLF_ASSERT_OFF(zlf_super, num_devices, 140);
ZLF_ASSERT_OFF(zlf_super, segment_shift, 144);
ZLF_ASSERT_OFF(zlf_super, node_lines, 148);
ZLF_ASSERT_OFF(zlf_super, num_logs, 152);
ZLF_ASSERT_OFF(zlf_super, num_slots, 156);
ZLF_ASSERT_OFF(zlf_super, policy, 160);
ZLF_ASSERT_OFF(zlf_super, boundary_grain_s, 164);
ZLF_ASSERT_OFF(zlf_super, history_max_bytes, 168);
ZLF_ASSERT_OFF(zlf_super, log_unapplied_max_bytes, 176);
ZLF_ASSERT_OFF(zlf_super, ring_off, 184);
ZLF_ASSERT_OFF(zlf_super, anchor_off, 192);
ZLF_ASSERT_OFF(zlf_super, intents_off, 200);
ZLF_ASSERT_OFF(zlf_super, slots_off, 208);
ZLF_ASSERT_OFF(zlf_super, table_off, 216);
ZLF_ASSERT_OFF(zlf_super, bitmap_off, 224);
ZLF_ASSERT_OFF(zlf_super, hints_off, 232);
ZLF_ASSERT_OFF(zlf_super, first_segment_off, 240);
ZLF_ASSERT_OFF(zlf_super, num_segments, 248);
ZLF_ASSERT_OFF(zlf_super, reserved, 256);
ZLF_ASSERT_OFF(zlf_super, devices, 2048);

/* --------------------------------------------------------------- checkpoint */

#define ZLF_RING_SLOTS		32u
#define ZLF_CKPT_MAGIC		0x504b435au	/* "ZCKP" */
#define ZLF_CKPT_CLEAN		(1u << 0)	/* nothing was unapplied: an unmount */

/* Generation g is in slot g modulo the ring; the highest valid one counts. */
struct zlf_ckpt {
	zlf_le32 crc;			/* of all that follows */
	zlf_le32 magic;
	zlf_le64 gen;
	zlf_le64 applied_tid;		/* every record up to it is in the tree */
	zlf_le64 max_tid;		/* no higher one was given out */
	zlf_le64 min_log_seq;		/* segments of lower numbers are retired */
	zlf_le64 next_log_seq;
	zlf_le64 next_obj;
	zlf_le64 incarnation;		/* of the mount that wrote it */
	zlf_le64 boundary_tid;		/* the newest, or 0 */
	zlf_le64 root;			/* as the anchor was: for repair */
	zlf_le64 wall_ns;
	zlf_le64 used_blocks;		/* of data; a hint, as what follows */
	zlf_le64 used_nodes;
	zlf_le64 inodes;
	zlf_le32 flags;			/* ZLF_CKPT_* */
	zlf_le32 slots_area;		/* 0 or 1: which one is of this checkpoint */
	uint8_t reserved[136];
};
ZLF_ASSERT_BYTES(zlf_ckpt, 256);
ZLF_ASSERT_OFF(zlf_ckpt, magic, 4);
ZLF_ASSERT_OFF(zlf_ckpt, gen, 8);
ZLF_ASSERT_OFF(zlf_ckpt, applied_tid, 16);
ZLF_ASSERT_OFF(zlf_ckpt, max_tid, 24);
ZLF_ASSERT_OFF(zlf_ckpt, min_log_seq, 32);
ZLF_ASSERT_OFF(zlf_ckpt, next_log_seq, 40);
ZLF_ASSERT_OFF(zlf_ckpt, next_obj, 48);
ZLF_ASSERT_OFF(zlf_ckpt, incarnation, 56);
ZLF_ASSERT_OFF(zlf_ckpt, boundary_tid, 64);
ZLF_ASSERT_OFF(zlf_ckpt, root, 72);
ZLF_ASSERT_OFF(zlf_ckpt, wall_ns, 80);
ZLF_ASSERT_OFF(zlf_ckpt, used_blocks, 88);
ZLF_ASSERT_OFF(zlf_ckpt, used_nodes, 96);
ZLF_ASSERT_OFF(zlf_ckpt, inodes, 104);
ZLF_ASSERT_OFF(zlf_ckpt, flags, 112);
ZLF_ASSERT_OFF(zlf_ckpt, slots_area, 116);
ZLF_ASSERT_OFF(zlf_ckpt, reserved, 120);

/* Where the tree begins: one word, stored at once. */
struct zlf_anchor {
	zlf_le64 root;
	zlf_le64 reserved[7];
};
ZLF_ASSERT_BYTES(zlf_anchor, ZLF_LINE_BYTES);
ZLF_ASSERT_OFF(zlf_anchor, reserved, 8);

/*
 * A node that is about to join the tree or to leave it; durable before that begins. After
 * a crash its bit is what the tree says: set if its low key leads to it, else clear.
 */
#define ZLF_INTENTS		64u

struct zlf_intent {
	zlf_le32 crc;			/* of all that follows */
	zlf_le32 level;			/* of the node */
	zlf_le64 node;
	zlf_le64 obj;			/* a key that leads to it */
	zlf_le64 key;
	zlf_le64 tid;
	zlf_le32 rec_type;
	uint8_t reserved[20];
};
ZLF_ASSERT_BYTES(zlf_intent, ZLF_LINE_BYTES);
ZLF_ASSERT_OFF(zlf_intent, level, 4);
ZLF_ASSERT_OFF(zlf_intent, node, 8);
ZLF_ASSERT_OFF(zlf_intent, obj, 16);
ZLF_ASSERT_OFF(zlf_intent, key, 24);
ZLF_ASSERT_OFF(zlf_intent, tid, 32);
ZLF_ASSERT_OFF(zlf_intent, rec_type, 40);
ZLF_ASSERT_OFF(zlf_intent, reserved, 44);

/* The newest changing operation of a slot; result as zus_op_seen() wants it. */
struct zlf_slot {
	zlf_le64 op_id;			/* slot in the top 16 bits, sequence below; 0: none */
	zlf_le64 obj;
};
ZLF_ASSERT_BYTES(zlf_slot, 16);
ZLF_ASSERT_OFF(zlf_slot, obj, 8);

/* ----------------------------------------------------------------- segments */

/*
 * A line of the segment table. word says what the segment is, and is stored at once, behind
 * what it makes valid: type in bits 0-7, log number in 16-31, generation in 32-47, and the
 * low 16 bits of the CRC32C of the other six bytes in 48-63.
 */
struct zlf_segment {
	zlf_le64 word;
	zlf_le64 seq;			/* of a log segment: its place in the order */
	zlf_le64 incarnation;		/* of the mount that opened it */
	zlf_le64 open_tid;
	zlf_le32 numa_node;
	zlf_le32 crc;			/* of seq to numa_node */
	zlf_le64 min_tid;		/* hints, as what follows */
	zlf_le64 max_tid;
	zlf_le32 live;
	zlf_le32 reserved;
};
ZLF_ASSERT_BYTES(zlf_segment, ZLF_LINE_BYTES);
ZLF_ASSERT_OFF(zlf_segment, seq, 8);
ZLF_ASSERT_OFF(zlf_segment, incarnation, 16);
ZLF_ASSERT_OFF(zlf_segment, open_tid, 24);
ZLF_ASSERT_OFF(zlf_segment, numa_node, 32);
ZLF_ASSERT_OFF(zlf_segment, crc, 36);
ZLF_ASSERT_OFF(zlf_segment, min_tid, 40);
ZLF_ASSERT_OFF(zlf_segment, max_tid, 48);
ZLF_ASSERT_OFF(zlf_segment, live, 56);
ZLF_ASSERT_OFF(zlf_segment, reserved, 60);

/* Which units of a segment are in use: blocks of a data segment, nodes of a node segment. */
struct zlf_bitmap {
	zlf_le64 bits[8];
};
ZLF_ASSERT_BYTES(zlf_bitmap, ZLF_LINE_BYTES);

/* Who has a block, as far as is known: for repair, and for moving blocks. */
struct zlf_hint {
	zlf_le64 obj;
	zlf_le64 key;
};
ZLF_ASSERT_BYTES(zlf_hint, 16);
ZLF_ASSERT_OFF(zlf_hint, key, 8);

/* --------------------------------------------------------------------- tree */

/* Objects that are no inodes. */
#define ZLF_OBJ_NONE		0ull
#define ZLF_OBJ_ROOT		1ull	/* the root directory's inode */
#define ZLF_OBJ_ORPHANS		2ull	/* key: inode without a name */
#define ZLF_OBJ_SNAPSHOTS	3ull	/* key: tid */
#define ZLF_OBJ_PFS		4ull	/* key: pfs id */
#define ZLF_OBJ_CONFIG		5ull
#define ZLF_OBJ_FIRST		16ull	/* of inodes that are made later */
/*
 * Behind all inodes: blocks that are in several places. Each place is an extent with
 * ZLF_EF_SHARED, of now or of history, and has an element OWNER: its object is this, and the
 * first block's device in bits 36-41 and number on it below; its key the inode in bits 8-63,
 * and the upper 8 of 51 bits of the block in the file; create_tid the lower 43 bits of that in
 * bits 21-63, and below a number that tells places of history apart, which is 0 of now. So all
 * that have a block are found, without asking any file.
 */
#define ZLF_OBJ_OWNERS		(1ull << 55)

#define ZLF_REC_INODE		1u	/* key 0; payload zlf_inode */
#define ZLF_REC_DIRENT		2u	/* key: hash of the name; addr: inode */
#define ZLF_REC_EXTENT		3u	/* key: block in the file; addr, len */
#define ZLF_REC_SYMLINK		4u	/* key 0; payload, or addr */
/*
 * An xattr's key is a hash of its name; the payload is the name, then the value. With
 * ZLF_EF_BLOCK the value is in XDATA, and addr is its length.
 */
#define ZLF_REC_XATTR		5u
#define ZLF_REC_XDATA		6u	/* key: xattr's key, block; addr */
#define ZLF_REC_ORPHAN		7u
#define ZLF_REC_PFS		8u
#define ZLF_REC_SNAPSHOT	9u	/* payload: label */
#define ZLF_REC_CONFIG		10u
#define ZLF_REC_QUOTA		11u
#define ZLF_REC_OWNER		12u	/* addr, len; end_tid: create_tid of history, or 0 */
#define ZLF_REC_LAST		12u
/* What was, and is kept, behind all that is. Each block belongs to one element, or is shared. */
#define ZLF_REC_HISTORY		0x80u

#define ZLF_EF_UNWRITTEN	(1u << 0) /* extent: allocated, reads as zero */
#define ZLF_EF_BLOCK		(1u << 1) /* symlink, xattr: what it holds is in blocks */
#define ZLF_EF_SHARED		(1u << 2) /* extent: others may have blocks of it; see OWNERS */

/*
 * An element: one line, and payload in the lines behind it. It never changes where it is:
 * a new one is written to free lines, and one store to the node's word puts it in the old
 * one's place.
 */
struct zlf_elem {
	zlf_le32 crc;			/* of all that follows, payload included */
	uint8_t rec_type;
	uint8_t lines;			/* with payload */
	uint8_t obj_type;		/* DT_* of a dirent */
	uint8_t flags;			/* ZLF_EF_* */
	zlf_le64 obj;
	zlf_le64 key;
	zlf_le64 create_tid;		/* since when it has been so */
	zlf_le64 end_tid;		/* until when, of history; else of the record that put it */
	zlf_le64 addr;			/* block, inode; in an inner node the child */
	zlf_le32 len;			/* of an extent, blocks; else bytes of payload */
	zlf_le32 aux;			/* bytes: of an xattr's name; of a block's contents */
	zlf_le32 pfs;
	zlf_le32 data_crc;		/* 0: none */
};
ZLF_ASSERT_BYTES(zlf_elem, ZLF_LINE_BYTES);
ZLF_ASSERT_OFF(zlf_elem, rec_type, 4);
ZLF_ASSERT_OFF(zlf_elem, lines, 5);
ZLF_ASSERT_OFF(zlf_elem, obj_type, 6);
ZLF_ASSERT_OFF(zlf_elem, flags, 7);
ZLF_ASSERT_OFF(zlf_elem, obj, 8);
ZLF_ASSERT_OFF(zlf_elem, key, 16);
ZLF_ASSERT_OFF(zlf_elem, create_tid, 24);
ZLF_ASSERT_OFF(zlf_elem, end_tid, 32);
ZLF_ASSERT_OFF(zlf_elem, addr, 40);
ZLF_ASSERT_OFF(zlf_elem, len, 48);
ZLF_ASSERT_OFF(zlf_elem, aux, 52);
ZLF_ASSERT_OFF(zlf_elem, pfs, 56);
ZLF_ASSERT_OFF(zlf_elem, data_crc, 60);

/* No element has more lines: the name of 255 bytes, or as much of anything else. */
#define ZLF_ELEM_LINES_MAX	5u
#define ZLF_ELEM_PAYLOAD_MAX	((ZLF_ELEM_LINES_MAX - 1) * ZLF_LINE_BYTES)

/*
 * An inner node's elements are one line each: the lowest key that their child has had, in
 * rec_type, obj, key and, of history, create_tid. The first child has what is lower, too.
 *
 * The first line of a node. valid has a bit for each line behind it (bit 0 is unused); an
 * element's lines are neighbours and all set or all clear, so the first set bit behind an
 * element is the next one's first line.
 */
struct zlf_node {
	zlf_le64 valid;
	zlf_le32 crc;			/* of what follows, up to max_tid */
	zlf_le16 level;			/* 0: leaf */
	zlf_le16 lines;
	zlf_le64 self;			/* its address */
	zlf_le64 obj;			/* a key that leads here: its lowest, when it was made */
	zlf_le64 key;
	zlf_le64 create_tid;
	zlf_le32 rec_type;
	zlf_le32 reserved;
	zlf_le64 max_tid;		/* a hint */
};
ZLF_ASSERT_BYTES(zlf_node, ZLF_LINE_BYTES);
ZLF_ASSERT_OFF(zlf_node, crc, 8);
ZLF_ASSERT_OFF(zlf_node, level, 12);
ZLF_ASSERT_OFF(zlf_node, lines, 14);
ZLF_ASSERT_OFF(zlf_node, self, 16);
ZLF_ASSERT_OFF(zlf_node, obj, 24);
ZLF_ASSERT_OFF(zlf_node, key, 32);
ZLF_ASSERT_OFF(zlf_node, create_tid, 40);
ZLF_ASSERT_OFF(zlf_node, rec_type, 48);
ZLF_ASSERT_OFF(zlf_node, reserved, 52);
ZLF_ASSERT_OFF(zlf_node, max_tid, 56);

#define ZLF_NODE_LINES_MIN	16u
#define ZLF_NODE_LINES_MAX	64u
#define ZLF_HEIGHT_MAX		12u

struct zlf_time {
	zlf_le64 sec;			/* signed */
	zlf_le32 nsec;
	zlf_le32 reserved;
};
ZLF_ASSERT_BYTES(zlf_time, 16);
ZLF_ASSERT_OFF(zlf_time, nsec, 8);
ZLF_ASSERT_OFF(zlf_time, reserved, 12);

/* Payload of ZLF_REC_INODE: two lines. */
struct zlf_inode {
	zlf_le32 mode;
	zlf_le32 nlink;
	zlf_le32 uid;
	zlf_le32 gid;
	zlf_le64 size_bytes;
	zlf_le64 blocks;		/* of 4 KiB */
	zlf_le32 rdev_major;
	zlf_le32 rdev_minor;
	zlf_le32 flags;			/* ZUS_ATTR_* of chattr(1) */
	zlf_le32 projid;
	zlf_le64 parent;		/* of a directory; else the first: for repair */
	zlf_le32 policy;		/* ZLF_POLICY_*; 0: the filesystem's */
	zlf_le32 num_xattrs;
	struct zlf_time atime;
	struct zlf_time mtime;
	struct zlf_time ctime;
	struct zlf_time btime;
};
ZLF_ASSERT_BYTES(zlf_inode, 128);
ZLF_ASSERT_OFF(zlf_inode, nlink, 4);
ZLF_ASSERT_OFF(zlf_inode, uid, 8);
ZLF_ASSERT_OFF(zlf_inode, gid, 12);
ZLF_ASSERT_OFF(zlf_inode, size_bytes, 16);
ZLF_ASSERT_OFF(zlf_inode, blocks, 24);
ZLF_ASSERT_OFF(zlf_inode, rdev_major, 32);
ZLF_ASSERT_OFF(zlf_inode, rdev_minor, 36);
ZLF_ASSERT_OFF(zlf_inode, flags, 40);
ZLF_ASSERT_OFF(zlf_inode, projid, 44);
ZLF_ASSERT_OFF(zlf_inode, parent, 48);
ZLF_ASSERT_OFF(zlf_inode, policy, 56);
ZLF_ASSERT_OFF(zlf_inode, num_xattrs, 60);
ZLF_ASSERT_OFF(zlf_inode, atime, 64);
ZLF_ASSERT_OFF(zlf_inode, mtime, 80);
ZLF_ASSERT_OFF(zlf_inode, ctime, 96);
ZLF_ASSERT_OFF(zlf_inode, btime, 112);

/* ---------------------------------------------------------------------- log */

#define ZLF_LOG_OP		1u	/* a changing operation */
#define ZLF_LOG_BOUNDARY	2u	/* what is now is kept; items: the element */
#define ZLF_LOG_CLOSE		3u	/* nothing follows in this segment */
#define ZLF_LOG_LAST		3u

#define ZLF_LF_PART		(1u << 0) /* of a chain: counts with its LAST */
#define ZLF_LF_LAST		(1u << 1) /* the chain ends */
#define ZLF_LF_WORD		(1u << 2) /* counts when word is the tid */

/*
 * A record of the log: 1 to 64 lines, never across segments. Its crc is of all lines (word
 * taken for 0), seeded with the segment's seq and the record's place in it, so that what an
 * earlier use of the segment left does not count. A record counts with all its items, or
 * not at all. Items begin at item_bytes and go on in the lines behind.
 */
struct zlf_record {
	zlf_le32 crc;
	uint8_t type;			/* ZLF_LOG_* */
	uint8_t lines;
	zlf_le16 flags;			/* ZLF_LF_* */
	zlf_le64 tid;
	zlf_le64 op_id;			/* as in zlf_slot */
	zlf_le64 chain;			/* tid of the chain's first part, or 0 */
	zlf_le64 word;
	zlf_le32 pfs;
	zlf_le32 item_bytes;		/* of all items */
	uint8_t items[16];
};
ZLF_ASSERT_BYTES(zlf_record, ZLF_LINE_BYTES);
ZLF_ASSERT_OFF(zlf_record, type, 4);
ZLF_ASSERT_OFF(zlf_record, lines, 5);
ZLF_ASSERT_OFF(zlf_record, flags, 6);
ZLF_ASSERT_OFF(zlf_record, tid, 8);
ZLF_ASSERT_OFF(zlf_record, op_id, 16);
ZLF_ASSERT_OFF(zlf_record, chain, 24);
ZLF_ASSERT_OFF(zlf_record, word, 32);
ZLF_ASSERT_OFF(zlf_record, pfs, 40);
ZLF_ASSERT_OFF(zlf_record, item_bytes, 44);
ZLF_ASSERT_OFF(zlf_record, items, 48);

#define ZLF_RECORD_LINES_MAX	64u

#define ZLF_ITEM_SET		1u	/* an element */
#define ZLF_ITEM_DEL		2u	/* the element of this key */
#define ZLF_ITEM_RANGE		3u	/* all older ones of the type from key up to addr */
#define ZLF_ITEM_INODE		4u	/* of an inode: the members that mask names */
#define ZLF_ITEM_FREE		5u	/* blocks of an extent leave the file: to history, or free */
#define ZLF_ITEM_LAST		5u

/*
 * An item: what becomes of one key. Values that an inode gets are what it then has, never
 * what is added: who does it twice has done it once. Behind this head, in words of 8 bytes:
 * the object, unless kind has ZLF_ITEM_SAME; then what kind and mask say; then payload.
 */
struct zlf_item {
	uint8_t kind;			/* ZLF_ITEM_* */
	uint8_t rec_type;
	uint8_t obj_type;
	uint8_t flags;			/* ZLF_EF_* */
	zlf_le16 payload_bytes;
	zlf_le16 mask;			/* of INODE ZLF_IM_*, else ZLF_IK_* */
};
ZLF_ASSERT_BYTES(zlf_item, 8);
ZLF_ASSERT_OFF(zlf_item, rec_type, 1);
ZLF_ASSERT_OFF(zlf_item, obj_type, 2);
ZLF_ASSERT_OFF(zlf_item, flags, 3);
ZLF_ASSERT_OFF(zlf_item, payload_bytes, 4);
ZLF_ASSERT_OFF(zlf_item, mask, 6);

#define ZLF_ITEM_SAME	0x80u	/* the object of the item in front, of this record, which says it */

/*
 * Items but INODE have the key, and members of their element in this order. Without LEN the
 * length is the payload's, and of a dirent aux, too. What is left of an extent that was cut
 * has been so as long as that had: SINCE. OLD: blocks of an extent of the same key and length
 * leave the file, as with FREE.
 */
#define ZLF_IK_ADDR		(1u << 0) /* addr; of RANGE: the first key that stays */
#define ZLF_IK_LEN		(1u << 1) /* len, aux: 4 bytes each */
#define ZLF_IK_SINCE		(1u << 2) /* create_tid, else it is the record's */
#define ZLF_IK_OLD		(1u << 3) /* their addr, and create_tid */
#define ZLF_IK_KNOWN		0xfu

/*
 * INODE has, in this order, the parts of zlf_inode that mask names: bit n is the n-th 16
 * bytes of it.
 */
#define ZLF_IM_MODE		(1u << 0) /* mode, nlink, uid, gid */
#define ZLF_IM_SIZE		(1u << 1) /* size_bytes, blocks */
#define ZLF_IM_FLAGS		(1u << 2) /* rdev, flags, projid */
#define ZLF_IM_PARENT		(1u << 3) /* parent, policy, num_xattrs */
#define ZLF_IM_ATIME		(1u << 4)
#define ZLF_IM_MTIME		(1u << 5)
#define ZLF_IM_CTIME		(1u << 6)
#define ZLF_IM_BTIME		(1u << 7)
#define ZLF_IM_PARTS		8u
#define ZLF_IM_PART_BYTES	16ul
#define ZLF_IM_ALL		0xffu
#define ZLF_IM_CTIME_TOO	(1u << 8) /* with MTIME: ctime is the same */
#define ZLF_IM_NEW		(1u << 9) /* the inode was not there: parts that are not are 0 */
#define ZLF_IM_TIMES_TOO	(1u << 10) /* with MTIME: all times are the same */
#define ZLF_IM_KNOWN		0x7ffu

#endif /* ZLOGFS_FORMAT_H */
