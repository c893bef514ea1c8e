// SPDX-License-Identifier: BSD-3-Clause
/*
 * check.c - a check from its beginning to its end: first each structure as it lies there, then
 * what the log has is done, on the caller's copy, and then what all of it comes to.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_int.h"

const char *const zl_check_classes[ZL_CHECK_CLASSES] = {
	[ZL_CHECK_SUPERBLOCK] = "superblock", [ZL_CHECK_CHECKPOINT] = "checkpoint",
	[ZL_CHECK_SEGMENT] = "segment", [ZL_CHECK_LOG] = "log", [ZL_CHECK_RECORD] = "record",
	[ZL_CHECK_NODE] = "node", [ZL_CHECK_ELEMENT] = "element", [ZL_CHECK_EXTENT] = "extent",
	[ZL_CHECK_BITMAP] = "bitmap", [ZL_CHECK_INODE] = "inode", [ZL_CHECK_NAME] = "name",
	[ZL_CHECK_ORPHAN] = "orphan", [ZL_CHECK_XATTR] = "xattr",
	[ZL_CHECK_BOUNDARY] = "boundary", [ZL_CHECK_OWNER] = "owner",
};

/* ------------------------------------------------------------------- findings */

bool zlc_grow(struct zlc *c, void *array, uint64_t n, uint64_t *max, size_t bytes)
{
	void **at = array, *grown;
	uint64_t want = *max ? 2 * *max : 64;

	if (n < *max)
		return true;
	grown = realloc(*at, want * bytes);
	if (!grown) {
		c->no_memory = true;
		return false;
	}
	*at = grown;
	*max = want;
	return true;
}

static void say(struct zlc *c, enum zl_check_class class, uint32_t dev, uint64_t off, uint64_t obj,
		const char *format, va_list args)
{
	struct zl_check *out = c->out;
	struct zl_finding *f;

	out->counts[class]++;
	out->total++;
	if (out->num == ZL_CHECK_KEPT)
		return;
	if (!out->findings)
		out->findings = calloc(ZL_CHECK_KEPT, sizeof(*f));
	if (!out->findings)
		return;
	f = &out->findings[out->num++];
	*f = (struct zl_finding) { .class = class, .device = dev, .off = off, .obj = obj };
	vsnprintf(f->text, sizeof(f->text), format, args);
}

void zlc_say(struct zlc *c, enum zl_check_class class, uint32_t dev, uint64_t off, uint64_t obj,
	     const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(c, class, dev, off, obj, format, args);
	va_end(args);
}

void zlc_say_at(struct zlc *c, enum zl_check_class class, const void *where, uint64_t obj,
		const char *format, ...)
{
	const uint8_t *at = where, *base;
	uint64_t off = 0;
	va_list args;
	uint32_t dev;

	for (dev = 0; dev < c->num_media; dev++) {
		base = c->media[dev].addr;
		if (at >= base && at < base + c->media[dev].bytes) {
			off = (uint64_t)(at - base);
			break;
		}
	}
	va_start(args, format);
	say(c, class, dev < c->num_media ? dev : 0, off, obj, format, args);
	va_end(args);
}

/* --------------------------------------------------------------------- phases */

static uint64_t count(const struct zl_check *out, enum zl_check_class first,
		      enum zl_check_class last)
{
	uint64_t n = 0;

	for (; first <= last; first++)
		n += out->counts[first];
	return n;
}

static void forget_tree(struct zlc *c)
{
	memset(c->segs, 0, c->fs->num_segs * sizeof(*c->segs));
	c->num_elems = 0;
	c->out->nodes = c->out->elements = c->out->blocks = 0;
}

/* As a mount does it. What it says goes to the log; the finding is one. */
static void replay(struct zlc *c)
{
	struct zl_fs *fs = zl_fs_new(false, zl_get64(c->fs->ckpt.incarnation));
	int err;

	if (!fs) {
		c->no_memory = true;
		return;
	}
	err = zl_fs_load(fs, c->media, c->num_media);
	if (err == -ENOMEM)
		c->no_memory = true;
	else if (err || fs->frozen)
		zlc_say(c, ZL_CHECK_LOG, 0, 0, 0, "what the log has can't be applied: %s",
			strerror(-err));
	c->out->replayed = c->unapplied;
	c->fs->ckpt = fs->ckpt;
	zl_fs_free(fs);
}

/* Each by itself: false: what stands on it makes no sense. */
static bool check_structures(struct zlc *c)
{
	zlc_super_rest(c);
	zlc_checkpoints(c);
	zlc_segments(c);
	zlc_intents(c);
	zlc_log(c);
	c->rough = c->unapplied || c->intents;
	zlc_tree(c);
	return !count(c->out, ZL_CHECK_SEGMENT, ZL_CHECK_ELEMENT) && !c->no_memory;
}

static void check_all(struct zlc *c)
{
	c->out->whole = check_structures(c);
	if (!c->out->whole)
		return;
	if (c->rough) {
		replay(c);
		c->rough = false;
		forget_tree(c);
		if (!c->no_memory && !c->out->counts[ZL_CHECK_LOG])
			zlc_tree(c);
		c->out->whole = !count(c->out, ZL_CHECK_SEGMENT, ZL_CHECK_ELEMENT) &&
				!c->no_memory;
		if (!c->out->whole)
			return;
	}
	zlc_files(c);
	zlc_bitmaps(c);
	zlc_last_checkpoint(c);
}

int zl_check(const struct zl_media *media, uint32_t num_media, struct zl_check *out)
{
	struct zlc c = { .out = out, .media = media, .num_media = num_media };
	int err;

	memset(out, 0, sizeof(*out));
	c.fs = zl_fs_new(true, 0);
	if (!c.fs)
		return -ENOMEM;
	err = zlc_supers(&c);
	if (!err && !out->counts[ZL_CHECK_CHECKPOINT] && c.fs->num_segs) {
		c.segs = calloc(c.fs->num_segs, sizeof(*c.segs));
		c.no_memory = !c.segs;
		if (c.segs)
			check_all(&c);
	}
	if (c.no_memory) {
		snprintf(out->why, sizeof(out->why), "no memory");
		err = -ENOMEM;
	}
	free(c.elems);
	free(c.segs);
	free(c.inodes);
	free(c.boundaries);
	zl_fs_free(c.fs);
	return err;
}

void zl_check_free(struct zl_check *check)
{
	free(check->findings);
	check->findings = NULL;
}
