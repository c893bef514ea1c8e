// SPDX-License-Identifier: BSD-3-Clause
/* edit.c - one change of an image, and the checksums that make it look right again. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crc32c.h"
#include "fuzz.h"

static uint8_t *at(const struct fuzz_seed *seed, const struct fuzz_place *place, uint32_t off)
{
	return seed->shape->media[place->dev] + off;
}

static uint32_t num_of(const struct fuzz_seed *seed, uint32_t kind)
{
	return seed->first[kind + 1] - seed->first[kind];
}

/* NULL: there is none. */
static const struct fuzz_place *place_of(const struct fuzz_seed *seed, uint32_t kind,
					 uint64_t which)
{
	uint32_t n = num_of(seed, kind);

	return n ? &seed->places[seed->first[kind] + which % n] : NULL;
}

/* ---------------------------------------------------------------------- seals */

static void seal_super(const struct fuzz_seed *seed, const struct fuzz_place *place,
		       uint32_t flags)
{
	struct zlf_super *super = (void *)at(seed, place, place->head);
	uint8_t *back = seed->shape->media[place->dev] + seed->shape->bytes - ZLF_BLOCK_BYTES;

	super->crc = htole32(zl_crc_of(UINT32_MAX, super, offsetof(struct zlf_super, crc),
				       sizeof(*super)));
	if (!(flags & FUZZ_ONE_COPY))
		memcpy(back, super, sizeof(*super));
}

static void seal_segment(const struct fuzz_seed *seed, struct zlf_segment *line)
{
	uint64_t word = zl_get64(line->word);

	line->word = htole64(zl_seg_word(word & 0xff, word >> 16 & 0xffff, word >> 32 & 0xffff));
	line->crc = htole32(zl_crc32c(seed->crc_seed, &line->seq, 28));
}

/* Room behind it in what has it, in lines. */
static uint32_t lines_left(const struct fuzz_seed *seed, const struct fuzz_place *place)
{
	return seed->geo.node_lines - (place->head - place->node) / ZLF_LINE_BYTES;
}

static void seal_elem(const struct fuzz_seed *seed, const struct fuzz_place *place)
{
	struct zlf_elem *elem = (void *)at(seed, place, place->head);

	if (elem->lines && elem->lines <= lines_left(seed, place))
		elem->crc = htole32(zl_crc_of(seed->crc_seed, elem, 0,
					      elem->lines * ZLF_LINE_BYTES));
}

static uint64_t seq_of(const struct fuzz_seed *seed, uint32_t dev, uint32_t seg)
{
	const struct zlf_super *super = (const void *)(seed->image[dev] + FUZZ_DATA_OFF);
	const struct zlf_super *first = (const void *)(seed->image[0] + FUZZ_DATA_OFF);
	uint64_t i = dev ? seg - zl_get64(first->num_segments) : seg;
	const struct zlf_segment *line =
		(const void *)(seed->shape->media[dev] + zl_get64(super->table_off) + i * 64);

	return zl_get64(line->seq);
}

static void seal_record(const struct fuzz_seed *seed, const struct fuzz_place *place,
			uint32_t off, uint32_t line)
{
	struct zlf_record *r = (void *)at(seed, place, off);
	zlf_le64 where[2] = { htole64(seq_of(seed, place->dev, place->seg)), htole64(line) };
	static const zlf_le64 no_word;
	uint32_t crc = zl_crc32c(seed->crc_seed, where, sizeof(where));

	if (!r->lines || line + r->lines > seed->geo.segment_lines)
		return;
	crc = zl_crc32c(crc, &r->type, offsetof(struct zlf_record, word) - sizeof(r->crc));
	crc = zl_crc32c(crc, zl_get16(r->flags) & ZLF_LF_WORD ? &no_word : &r->word, sizeof(no_word));
	crc = zl_crc32c(crc, &r->pfs, r->lines * ZLF_LINE_BYTES - offsetof(struct zlf_record, pfs));
	r->crc = htole32(crc);
}

static void seal(const struct fuzz_seed *seed, const struct fuzz_place *place, uint32_t flags)
{
	void *head = at(seed, place, place->head);
	struct zlf_node *node = head;
	zlf_le32 *crc = head;

	switch (fuzz_kinds[place->kind].seal) {
	case SEAL_SUPER:
		seal_super(seed, place, flags);
		break;
	case SEAL_CKPT:
	case SEAL_INTENT:
		*crc = htole32(zl_crc_of(seed->crc_seed, head, 0, place->bytes));
		break;
	case SEAL_SEGMENT:
		seal_segment(seed, head);
		break;
	case SEAL_NODE:
		node->crc = htole32(zl_node_header_crc(seed->crc_seed, node));
		break;
	case SEAL_ELEM:
		seal_elem(seed, place);
		break;
	case SEAL_RECORD:
		seal_record(seed, place, place->head, place->line);
		break;
	default:
		break;
	}
}

void fuzz_edits_seal(const struct fuzz_seed *seed, const struct fuzz_edit *edits, uint32_t n)
{
	const struct fuzz_place *place;
	uint32_t i, pass;

	/* records last, as what their segment says counts in them */
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < n; i++) {
			place = place_of(seed, edits[i].kind % FUZZ_KINDS, edits[i].which);
			if (place && !(edits[i].flags & FUZZ_UNSEALED) &&
			    (fuzz_kinds[place->kind].seal == SEAL_RECORD) == (pass == 1))
				seal(seed, place, edits[i].flags);
		}
}

/* ---------------------------------------------------------------------- values */

static const uint64_t boundaries[] = {
	0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 63, 64, 65, 127, 128, 255, 256, 257, 4095, 4096, 4097,
	0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
	1ull << 42, 1ull << 48, 1ull << 60, (1ull << 62) - 1, 1ull << 62, (1ull << 63) - 4096,
	1ull << 63, UINT64_MAX - 255, UINT64_MAX - 1, UINT64_MAX,
};

/* One that is there, as it is or nearly so. */
static uint64_t near(uint64_t value, uint64_t how)
{
	switch (how % 8) {
	case 0:
		return value + 1;
	case 1:
		return value - 1;
	case 2:
		return value ^ 1ull << ZLF_ADDR_ZONE_SHIFT;
	case 3:
		return value + (1ull << ZLF_ADDR_GEN_SHIFT);
	case 4:
		return value ^ 1ull << ZLF_ADDR_DEV_SHIFT;
	default:
		return value;
	}
}

static uint64_t new_value(const struct fuzz_seed *seed, const struct fuzz_edit *edit,
			  uint64_t old, uint64_t others)
{
	switch (edit->how % FUZZ_HOWS) {
	case FUZZ_FLIP:
		return old ^ 1ull << edit->value % 64;
	case FUZZ_BOUNDARY:
		return boundaries[edit->value % (sizeof(boundaries) / sizeof(*boundaries))];
	case FUZZ_ADD:
		return old + (uint64_t)(int64_t)(int8_t)edit->value;
	case FUZZ_OTHERS:
		return others;
	case FUZZ_ADDRESS:
		return seed->num_addrs ? near(seed->addrs[edit->value % seed->num_addrs],
					      edit->value >> 32) : 0;
	case FUZZ_NUMBER:
		return seed->num_numbers ? seed->numbers[edit->value % seed->num_numbers] : 0;
	default:
		return edit->value;
	}
}

static uint64_t load(const uint8_t *from, uint32_t bytes)
{
	uint64_t value = 0;

	memcpy(&value, from, bytes < 8 ? bytes : 8);
	return value;
}

/* Where in the structure, and how much. */
static struct fuzz_field field_of(const struct fuzz_edit *edit, const struct fuzz_place *place)
{
	const struct fuzz_kind_info *info = &fuzz_kinds[place->kind];
	struct fuzz_field field = { .name = "bytes" };

	if (!(edit->flags & FUZZ_RAW))
		field = info->fields[edit->field % info->num_fields];
	if (edit->flags & FUZZ_RAW || field.off + field.bytes > place->bytes) {
		field.bytes = (uint16_t)(1u << edit->field % 4);
		field.off = (uint16_t)(edit->off % place->bytes / field.bytes * field.bytes);
	}
	if (field.bytes > 8)
		field.bytes = 8;
	return field;
}

static void change_field(const struct fuzz_seed *seed, const struct fuzz_edit *edit,
			 const struct fuzz_place *place, const struct fuzz_place *other)
{
	const struct fuzz_field field = field_of(edit, place);
	uint8_t *to = at(seed, place, place->off + field.off);
	uint64_t others = field.off + field.bytes > other->bytes ? 0 :
			  load(at(seed, other, other->off + field.off), field.bytes);
	uint64_t value = new_value(seed, edit, load(to, field.bytes), others);

	memcpy(to, &value, field.bytes);
}

/* ------------------------------------------------------------ whole structures */

static void copy(const struct fuzz_seed *seed, const struct fuzz_place *to,
		 const struct fuzz_place *from, bool swap)
{
	uint32_t bytes = to->bytes < from->bytes ? to->bytes : from->bytes;
	uint8_t *left = at(seed, to, to->off), *right = at(seed, from, from->off);
	uint8_t old[sizeof(struct zlf_super)];

	memcpy(old, left, bytes);
	memmove(left, right, bytes);
	if (!swap)
		return;
	memcpy(right, old, bytes);
	seal(seed, from, 0);
}

/* The record once more, behind the last of its segment, as a newer one. */
static void append(const struct fuzz_seed *seed, const struct fuzz_edit *edit,
		   const struct fuzz_place *place)
{
	struct zlf_record *record = (void *)at(seed, place, place->head), *end = record;
	uint32_t line = place->line, off = place->head, lines = record->lines, segment;

	segment = seed->geo.segment_lines;
	while (line < segment && end->lines && end->type && end->type != ZLF_LOG_CLOSE &&
	       line + end->lines <= segment) {
		line += end->lines;
		off += end->lines * 64u;
		if (line < segment)
			end = (void *)at(seed, place, off);
	}
	if (!lines || line + lines > segment)
		return;
	memmove(end, record, lines * ZLF_LINE_BYTES);
	end->tid = htole64(zl_get64(end->tid) + (edit->value & 0xffffff));
	seal_record(seed, place, off, line);
}

/* Lines, and their bits, as the payload's length says. */
static void fit_elem(const struct fuzz_seed *seed, const struct fuzz_place *place)
{
	struct zlf_elem *elem = (void *)at(seed, place, place->head);
	struct zlf_node *node = (void *)at(seed, place, place->node);
	uint32_t line = (place->head - place->node) / 64, lines, type;
	uint64_t valid = zl_get64(node->valid);

	type = elem->rec_type & ~ZLF_REC_HISTORY;
	if (type == ZLF_REC_DIRENT)
		elem->aux = elem->len;
	if (type == ZLF_REC_SYMLINK && !(elem->flags & ZLF_EF_BLOCK))
		elem->aux = elem->len;
	lines = type == ZLF_REC_EXTENT || type == ZLF_REC_OWNER ? 1 :
		1 + (uint32_t)((zl_get32(elem->len) + 63ull) / 64);
	if (lines > ZLF_ELEM_LINES_MAX || lines > lines_left(seed, place))
		return;
	while (elem->lines > lines && elem->lines <= lines_left(seed, place)) {
		elem->lines--;
		valid &= ~(1ull << (line + elem->lines));
	}
	elem->lines = (uint8_t)lines;
	valid |= ((1ull << lines) - 1) << line;
	node->valid = htole64(valid);
}

/* One of a node that is there: what is then changed in it is all that is wrong. */
static void fit_intent(const struct fuzz_seed *seed, const struct fuzz_edit *edit,
		       const struct fuzz_place *place)
{
	const struct fuzz_place *of = place_of(seed, FUZZ_NODE, edit->off);
	struct zlf_intent *intent = (void *)at(seed, place, place->off);
	const struct zlf_node *node;

	if (!of)
		return;
	node = (const void *)at(seed, of, of->off);
	*intent = (struct zlf_intent) {
		.level = htole32(zl_get16(node->level)), .node = node->self, .obj = node->obj,
		.key = node->key, .tid = node->create_tid, .rec_type = node->rec_type,
	};
}

/* ---------------------------------------------------------------------- edits */

bool fuzz_edit_apply(const struct fuzz_seed *seed, const struct fuzz_edit *edit)
{
	const struct fuzz_place *place = place_of(seed, edit->kind % FUZZ_KINDS, edit->which);
	const struct fuzz_place *other;

	if (!place)
		return false;
	other = place_of(seed, place->kind, edit->value);
	if (place->kind == FUZZ_INTENT)
		fit_intent(seed, edit, place);
	switch (edit->how % FUZZ_HOWS) {
	case FUZZ_COPY:
	case FUZZ_SWAP:
		copy(seed, place, other, edit->how % FUZZ_HOWS == FUZZ_SWAP);
		break;
	case FUZZ_ZERO:
		memset(at(seed, place, place->off), 0, place->bytes);
		break;
	default:
		change_field(seed, edit, place, other);
	}
	if (fuzz_kinds[place->kind].seal == SEAL_ELEM && place->kind != FUZZ_CHILD &&
	    edit->flags & FUZZ_FIT)
		fit_elem(seed, place);
	if (fuzz_kinds[place->kind].seal == SEAL_RECORD && edit->how % FUZZ_HOWS == FUZZ_APPEND)
		append(seed, edit, place);
	return true;
}

void fuzz_edit_print(const struct fuzz_seed *seed, const struct fuzz_edit *edit)
{
	static const char *const hows[FUZZ_HOWS] = {
		"flip", "boundary", "value", "add", "others", "address", "number", "copy", "swap",
		"zero", "append",
	};
	const struct fuzz_place *place = place_of(seed, edit->kind % FUZZ_KINDS, edit->which);
	struct fuzz_field field;

	if (!place) {
		fprintf(stderr, "  %s: there is none\n", fuzz_kinds[edit->kind % FUZZ_KINDS].name);
		return;
	}
	field = field_of(edit, place);
	fprintf(stderr, "  %s at %u:%#x, %s (%u+%u) %s %#" PRIx64 "%s%s\n",
		fuzz_kinds[place->kind].name, place->dev, place->off, field.name, field.off,
		field.bytes, hows[edit->how % FUZZ_HOWS], edit->value,
		edit->flags & FUZZ_UNSEALED ? ", not sealed" : "",
		edit->flags & FUZZ_FIT ? ", fit" : "");
}
