// SPDX-License-Identifier: BSD-3-Clause
/*
 * check.c - one image that a crash left: is it mounted and what it may be (stage 1); and for
 * each distinct state once (stage 2): can it be changed, unmounted, checked and mounted
 * again, is all space free when all is deleted, and may its recovery crash, too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mix.h"
#include "run.h"

#define DEEP_CHOICES	256u	/* in the recovery; above, some */
#define DEEP_RANDOM	20u
#define MESSAGE_BYTES	256u
#define LEFT_EACH	8u	/* images a fsck */

int crash_mount(const struct crash_config *config, void *media, struct zus_local **local)
{
	const struct zus_local_device device = {
		.size_bytes = config->bytes, .data_off = config->data_off, .memory = media,
	};
	const struct zus_local_config mount = {
		.plugin = config->plugin, .options = config->options, .devices = &device,
		.num_devices = 1, .incarnation = config->prepared ? 2 : 1,
	};

	return *local ? zus_local_mount_again(*local) : zus_local_mount(&mount, local);
}

/* What a broken plugin did to this mount shall not fail others. */
static void drop_mount(struct zus_local **local)
{
	if (*local)
		zus_local_umount(*local);
	*local = NULL;
}

/* -------------------------------------------------------------- comparison */

struct place {
	struct run *run;
	struct images *images;	/* that the image is of */
	const struct trace *trace;
	struct zus_local **local;
};

/* Of some images, as the crash left them; of the one that is to be shown again in any case. */
static void check_left(const struct place *place, const char *media)
{
	const struct crash_target *target = place->run->config->target;
	const struct crash_tally *tally = place->run->tally;
	char message[MESSAGE_BYTES] = "";
	int err;

	if (!target->fsck || !(target->flags & CRASH_FSCK) ||
	    (!place->run->config->only_one && (tally->images + tally->deep_images) % LEFT_EACH))
		return;
	err = target->fsck(media, place->run->config->bytes, message, sizeof(message));
	if (err) {
		report_failure(place->run, "fsck, behind the crash: %s",
			       *message ? message : strerror(-err));
		report_missing(place->run, place->images, place->trace);
	}
}

/*
 * Does the plugin know whether the operation was done? Who does not say it need not. What has
 * returned was; what has not is what can be seen of it, where that is all or nothing.
 */
static bool is_seen_as_it_is(const struct run *run, struct zus_local *local)
{
	uint32_t op = run->tally->at.op, i;
	const struct view *was, *is;
	uint64_t ino;
	int seen;

	if (run->workload->beside || !op || op > run->workload->num_ops || run->errors[op] ||
	    run->ids[op].slot == ZUS_NO_SLOT)
		return true;
	was = run->views[op - 1];
	is = run->views[op];
	seen = zus_local_op_seen(local, &run->ids[op], &ino);
	if (seen == -EOPNOTSUPP || was->hash == is->hash)
		return true;
	if (!run->tally->at.fence)
		return seen == 1;
	for (i = 0; i < 2; i++)
		if (run->between_views[op][i] && run->between_views[op][i]->hash == is->hash)
			return true;
	return run->config->policy != VIEW_ATOMIC || (seen == 1) == (run->got->hash == is->hash);
}

/* As view_match() says; -1: failed, and reported. */
static int mount_and_match(const struct place *place, char *media)
{
	struct run *run = place->run;
	int err, state;

	check_left(place, media);
	err = crash_mount(run->config, media, place->local);
	if (err) {
		report_failure(run, "not mounted: %s", strerror(-err));
		report_missing(run, place->images, place->trace);
		return -1;
	}
	err = view_read(run->got, *place->local);
	if (err) {
		report_failure(run, "not readable: %s%s%s", strerror(-err),
			       *run->got->broken ? ": " : "", run->got->broken);
		report_missing(run, place->images, place->trace);
		return -1;
	}
	run->got->timed = run->times;
	state = view_match(run->got, run->allowed, run->num_allowed, run->config->policy);
	if (state == -1) {
		report_failure(run, "a state that it may not be");
		report_views(run, run->got);
		report_missing(run, place->images, place->trace);
	} else if (!is_seen_as_it_is(run, *place->local)) {
		report_failure(run, "whether it was done the plugin does not know");
		report_missing(run, place->images, place->trace);
		state = -1;
	}
	return state;
}

static bool is_new_state(struct run *run, uint64_t hash)
{
	size_t i;

	for (i = 0; i < run->num_states; i++)
		if (run->states[i] == hash)
			return false;
	crash_grow(&run->states, run->num_states, &run->max_states, sizeof(*run->states));
	run->states[run->num_states++] = hash;
	return true;
}

/*
 * What can be read, and what the target knows beside: a leak shows in nothing else. Mixtures of
 * data are many; beside each other, where each schedule has its own, they are one.
 */
static uint64_t state_hash(const struct run *run, int state)
{
	const struct crash_target *target = run->config->target;
	uint64_t hash = run->got->hash;

	if (state < -1 && run->workload->beside)
		hash = mix64(run->allowed[-2 - state]->hash);
	if (!target->digest)
		return hash;
	return mix64(hash ^ mix64(target->digest(run->local)));
}

/* ----------------------------------------------------------------- mutation */

/* The specification of what was read: of one of the states, with the data that is there. */
static struct spec *spec_of(const struct run *run, int state)
{
	struct spec *spec = spec_copy(run->allowed_specs[state < 0 ? -2 - state : state]);
	int i;

	for (i = 0; state < 0 && i < run->got->num_nodes; i++) {
		const struct view_node *node = &run->got->nodes[i];

		if (!S_ISREG(node->mode))
			continue;
		spec_truncate(spec, node->path, node->size);
		spec_write(spec, node->path, node->data, node->size, 0);
	}
	return spec;
}

static int do_both(struct run *run, struct spec *spec, const char *text)
{
	int want, err;
	struct op op;

	if (op_parse(&op, text))
		abort();
	op.seed = WORKLOAD_OPS + 1;
	err = op_to_fs(&op, run->local, run->config->target);
	if (err == -EOPNOTSUPP)
		return 0;
	want = op_to_spec(&op, spec);
	if (err == want)
		return 0;
	report_failure(run, "behind recovery \"%s\" gives \"%s\", not \"%s\"", text, strerror(-err),
		       strerror(-want));
	return -1;
}

static int mutate_dir(struct run *run, struct spec *spec, const char *dir)
{
	static const char *const ops[] = {
		"creat %s/zz", "write %s/zz 0 5000", "rename %s/zz %s/zy", "creat %s/zx",
		"unlink %s/zx", "setxattr %s/zy user.z 10",
	};
	char text[WORKLOAD_TEXT];
	size_t i;

	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		const char *from = ops[i];
		size_t used = 0;

		for (; *from && used + SPEC_PATH_BYTES < sizeof(text); from++) {
			if (from[0] == '%') {
				used += (size_t)snprintf(text + used, sizeof(text) - used, "%s",
							 dir);
				from++;
			} else {
				text[used++] = *from;
			}
		}
		text[used] = 0;
		if (do_both(run, spec, text))
			return -1;
	}
	return 0;
}

static int compare(struct run *run, const struct spec *spec, const char *when)
{
	struct view *want = view_new();
	int err = view_read(run->got, run->local);

	view_of_spec(want, spec);
	if (err) {
		report_failure(run, "%s not readable: %s %s", when, strerror(-err),
			       run->got->broken);
	} else if (want->hash != run->got->hash) {
		err = -1;
		report_failure(run, "%s another state than the operations make:", when);
		if (run->tally->run_failures < 3)
			view_print_diff(want, run->got, stderr);
	}
	view_free(want);
	return err;
}

static int mutate(struct run *run, struct spec *spec)
{
	char dirs[SPEC_NAMES][SPEC_PATH_BYTES];
	int i, num = 0, err = 0;

	for (i = 0; i < run->got->num_nodes && num < SPEC_NAMES; i++)
		if (S_ISDIR(run->got->nodes[i].mode))
			memcpy(dirs[num++], run->got->nodes[i].path, SPEC_PATH_BYTES);
	for (i = 0; !err && i < num; i++)
		err = mutate_dir(run, spec, strcmp(dirs[i], "/") != 0 ? dirs[i] : "");
	return err ? err : compare(run, spec, "changed behind recovery, it is");
}

static int check_and_mount(struct run *run, char *media)
{
	const struct crash_target *target = run->config->target;
	char message[MESSAGE_BYTES] = "";
	int err;

	zus_local_end(run->local);
	err = target->fsck ? target->fsck(media, run->config->bytes, message, sizeof(message)) : 0;
	if (err) {
		report_failure(run, "fsck, behind recovery, changes and umount: %s",
			       *message ? message : strerror(-err));
		return err;
	}
	err = crash_mount(run->config, media, &run->local);
	if (err)
		report_failure(run, "not mounted again: %s", strerror(-err));
	return err;
}

/* In reverse order of paths what is in a directory comes before it. */
static int delete_all(struct run *run, struct spec *spec)
{
	char text[WORKLOAD_TEXT];
	int i;

	for (i = run->got->num_nodes - 1; i > 0; i--) {
		const struct view_node *node = &run->got->nodes[i];

		snprintf(text, sizeof(text), "%s %s", S_ISDIR(node->mode) ? "rmdir" : "unlink",
			 node->path);
		if (do_both(run, spec, text))
			return -1;
	}
	return 0;
}

static void check_space(struct run *run, struct spec *spec)
{
	const struct crash_target *target = run->config->target;
	struct zus_statfs st;

	if (!(target->flags & CRASH_SPACE) || delete_all(run, spec))
		return;
	if (target->keeps && target->keeps(run->local))
		return;
	if (target->step)
		target->step(run->local, "settle");
	if (zus_local_statfs(run->local, &st))
		report_failure(run, "statfs fails behind recovery");
	else if (st.blocks_free != run->config->blocks_free)
		report_failure(run, "of %lu blocks only %lu are free when all is deleted",
			       (unsigned long)run->config->blocks_free,
			       (unsigned long)st.blocks_free);
}

/* With the image mounted, and read. */
static void check_use(struct run *run, char *media, int state)
{
	struct spec *spec = spec_of(run, state);

	if (!mutate(run, spec) && !check_and_mount(run, media) &&
	    !compare(run, spec, "mounted again, it is"))
		check_space(run, spec);
	spec_free(spec);
}

/* ----------------------------------------------------- crash in the recovery */

struct deep {
	struct place place;
	struct zus_local *local;
	struct trace trace;
};

static void check_deep_image(void *arg, struct image *image)
{
	struct deep *deep = arg;
	struct crash_tally *tally = deep->place.run->tally;

	if (deep->place.run->config->first && tally->run_failures)
		return;
	image->dirty = true;
	tally->at.deep_image = image->ordinal;
	tally->deep_images++;
	if (mount_and_match(&deep->place, image->media) == -1)
		drop_mount(&deep->local);
	else
		zus_local_end(deep->local);
}

static void crash_recovery(struct deep *deep, const char *media)
{
	struct run *run = deep->place.run;
	struct crash_at *at = &run->tally->at;
	struct images_config config = run->config->images;
	struct model model;
	size_t i;

	config.exhaustive = DEEP_CHOICES;
	config.random = DEEP_RANDOM;
	model_init(&model, media, run->config->bytes);
	deep->place.images = images_new(&model, &config);
	for (i = 0; i < deep->trace.num_events; i++) {
		if (deep->trace.events[i].kind == TRACE_FENCE) {
			at->deep_fence = (uint32_t)model.fences + 1;
			if (!run->config->only_one)
				images_each(deep->place.images, 0, check_deep_image, deep);
			else if (at->deep_fence == run->config->only.deep_fence)
				images_one(deep->place.images, run->config->only.deep_image,
					   check_deep_image, deep);
		}
		model_event(&model, &deep->trace, i);
	}
	images_free(deep->place.images);
	model_destroy(&model);
}

/* media: the image, as the crash left it. */
static void check_recovery(struct run *run, const char *media)
{
	struct deep deep = { .place = { .run = run, .trace = &deep.trace, .local = &deep.local } };
	char *copy = aligned_alloc(4096, run->config->bytes);
	struct zus_local *local = NULL;
	int err;

	if (!copy)
		abort();
	memcpy(copy, media, run->config->bytes);
	trace_init(&deep.trace, copy, run->config->bytes);
	trace_start(&deep.trace);
	err = crash_mount(run->config, copy, &local);
	trace_stop(&deep.trace);
	drop_mount(&local);
	run->tally->at.deep = true;
	if (!err)
		crash_recovery(&deep, media);
	run->tally->at.deep = false;
	drop_mount(&deep.local);
	trace_destroy(&deep.trace);
	free(copy);
}

/* -------------------------------------------------------------------- image */

void check_image(void *arg, struct image *image)
{
	struct run *run = arg;
	const struct crash_config *config = run->config;
	struct place place = {
		.run = run, .images = run->images, .trace = &run->trace, .local = &run->local,
	};
	int state;

	if (config->first && run->tally->run_failures)
		return;
	image->dirty = true;
	run->tally->at.image = image->ordinal;
	run->tally->images++;
	if (config->only_one && config->only.deep) {
		check_recovery(run, image->media);
		return;
	}
	state = mount_and_match(&place, image->media);
	if (state == -1) {
		drop_mount(&run->local);
		return;
	}
	if (!is_new_state(run, state_hash(run, state))) {
		zus_local_end(run->local);
		return;
	}
	run->tally->states++;
	check_use(run, image->media, state);
	zus_local_end(run->local);
	images_remake(run->images);
	check_recovery(run, image->media);
}
