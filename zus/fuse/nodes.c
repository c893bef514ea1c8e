// SPDX-License-Identifier: BSD-3-Clause
/*
 * nodes.c - what the kernel calls an inode, and what the plugin does. The kernel's number
 * is the inode's own, as a file handle of it must find the inode again when both have
 * forgotten it; but the root's is always 1, and where a number has come to a new inode while
 * the old one is open, the new one gets another.
 *
 * Each entry that the kernel was answered is one reference of the plugin's handle. Of nodes
 * that were forgotten their generation is remembered for a while, as handles lack it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

#define BUCKETS		(1u << 16)
#define ALIAS		(1ull << 63)	/* of numbers that are no inode's own */

struct node_name {
	struct node_name *next;		/* of the node */
	struct node_name *next_hash;	/* of the bucket */
	struct node *node;
	fuse_ino_t parent;
	char name[];
};

struct node {
	struct node *next_by_id;
	struct node *next_by_ino;
	fuse_ino_t id;
	uint64_t ino;
	uint64_t gen;
	uint64_t handle;
	uint64_t count;			/* references of the kernel */
	struct node_name *names;
};

struct past {
	uint64_t ino;
	uint64_t gen;
};

struct zf_nodes {
	pthread_mutex_t lock;		/* all that follows */
	struct node *by_id[BUCKETS];
	struct node *by_ino[BUCKETS];
	struct node_name *by_name[BUCKETS];
	struct past past[BUCKETS];	/* the newest of each bucket */
	struct node root;
	uint64_t last_alias;
};

static uint32_t bucket(uint64_t number)
{
	return (uint32_t)((number * 0x9e3779b97f4a7c15ull) >> 48);
}

/* The root is 1, and what has the number 1 then has the root's. */
static uint64_t swap_root(const struct zf_nodes *nodes, uint64_t number)
{
	if (number == nodes->root.ino)
		return FUSE_ROOT_ID;
	return number == FUSE_ROOT_ID ? nodes->root.ino : number;
}

struct zf_nodes *zf_nodes_new(const struct zus_local_info *info)
{
	struct zf_nodes *nodes = calloc(1, sizeof(*nodes));

	if (!nodes)
		return NULL;
	pthread_mutex_init(&nodes->lock, NULL);
	nodes->root = (struct node) {
		.id = FUSE_ROOT_ID, .ino = info->root.attr.ino, .gen = info->root.attr.gen,
		.handle = info->root.handle,
	};
	nodes->by_id[bucket(FUSE_ROOT_ID)] = &nodes->root;
	nodes->by_ino[bucket(nodes->root.ino)] = &nodes->root;
	return nodes;
}

static void free_names(struct node *node)
{
	struct node_name *name;

	while ((name = node->names)) {
		node->names = name->next;
		free(name);
	}
}

/* The plugin's mount ends, and with it all references. */
void zf_nodes_delete(struct zf_nodes *nodes)
{
	struct node *node, *next;
	uint32_t i;

	if (!nodes)
		return;
	for (i = 0; i < BUCKETS; i++)
		for (node = nodes->by_id[i]; node; node = next) {
			next = node->next_by_id;
			free_names(node);
			if (node != &nodes->root)
				free(node);
		}
	pthread_mutex_destroy(&nodes->lock);
	free(nodes);
}

/* -------------------------------------------------------- with nodes->lock */

static struct node *by_id(struct zf_nodes *nodes, fuse_ino_t id)
{
	struct node *node = nodes->by_id[bucket(id)];

	while (node && node->id != id)
		node = node->next_by_id;
	return node;
}

static struct node *by_ino(struct zf_nodes *nodes, uint64_t ino, uint64_t gen)
{
	struct node *node = nodes->by_ino[bucket(ino)];

	while (node && (node->ino != ino || node->gen != gen))
		node = node->next_by_ino;
	return node;
}

static struct node *insert(struct zf_nodes *nodes, const struct zus_local_entry *entry)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->ino = entry->attr.ino;
	node->gen = entry->attr.gen;
	node->handle = entry->handle;
	node->id = swap_root(nodes, node->ino);
	if (node->id & ALIAS || by_id(nodes, node->id))
		node->id = ALIAS | ++nodes->last_alias;
	node->next_by_id = nodes->by_id[bucket(node->id)];
	nodes->by_id[bucket(node->id)] = node;
	node->next_by_ino = nodes->by_ino[bucket(node->ino)];
	nodes->by_ino[bucket(node->ino)] = node;
	return node;
}

static void take_out(struct zf_nodes *nodes, struct node *node)
{
	struct node **link = &nodes->by_id[bucket(node->id)];

	while (*link != node)
		link = &(*link)->next_by_id;
	*link = node->next_by_id;
	link = &nodes->by_ino[bucket(node->ino)];
	while (*link != node)
		link = &(*link)->next_by_ino;
	*link = node->next_by_ino;
	nodes->past[bucket(node->ino)] = (struct past) { node->ino, node->gen };
}

static struct node_name **name_bucket(struct zf_nodes *nodes, fuse_ino_t parent, const char *name)
{
	uint64_t hash = parent;

	while (*name)
		hash = hash * 31 + (unsigned char)*name++;
	return &nodes->by_name[bucket(hash)];
}

static void drop_name(struct zf_nodes *nodes, fuse_ino_t parent, const char *str)
{
	struct node_name **link = name_bucket(nodes, parent, str), *name, **of_node;

	for (; (name = *link); link = &name->next_hash)
		if (name->parent == parent && !strcmp(name->name, str))
			break;
	if (!name)
		return;
	*link = name->next_hash;
	for (of_node = &name->node->names; *of_node != name; of_node = &(*of_node)->next)
		;
	*of_node = name->next;
	free(name);
}

/* Without memory for it the name is not invalidated along with its inode. */
static void note_name(struct zf_nodes *nodes, struct node *node, fuse_ino_t parent,
		      const char *str)
{
	struct node_name **link = name_bucket(nodes, parent, str), *name;
	size_t bytes = strlen(str) + 1;

	drop_name(nodes, parent, str);
	name = malloc(sizeof(*name) + bytes);
	if (!name)
		return;
	*name = (struct node_name) {
		.next = node->names, .next_hash = *link, .node = node, .parent = parent,
	};
	memcpy(name->name, str, bytes);
	node->names = name;
	*link = name;
}

static struct node *named(struct zf_nodes *nodes, fuse_ino_t parent, const char *str)
{
	struct node_name *name = *name_bucket(nodes, parent, str);

	while (name && (name->parent != parent || strcmp(name->name, str) != 0))
		name = name->next_hash;
	return name ? name->node : NULL;
}

static void remove_node(struct zf_nodes *nodes, struct node *node)
{
	while (node->names)
		drop_name(nodes, node->names->parent, node->names->name);
	take_out(nodes, node);
	free(node);
}

/* ----------------------------------------------------------------- functions */

int zf_node_add(struct zus_fuse *fuse, const struct zus_local_entry *entry, fuse_ino_t parent,
		const char *name, fuse_ino_t *id)
{
	struct zf_nodes *nodes = fuse->nodes;
	struct node *node;
	int err = 0;

	pthread_mutex_lock(&nodes->lock);
	node = by_ino(nodes, entry->attr.ino, entry->attr.gen);
	if (!node)
		node = insert(nodes, entry);
	if (!node || node->handle != entry->handle)
		err = node ? -EIO : -ENOMEM;
	if (!err && node != &nodes->root) {
		node->count++;
		if (name)
			note_name(nodes, node, parent, name);
	}
	if (!err)
		*id = node->id;
	pthread_mutex_unlock(&nodes->lock);
	if (err == -EIO)
		zus_log(ZUS_LOG_ERR, "the plugin has two inodes of number %llu, generation %llu",
			(unsigned long long)entry->attr.ino, (unsigned long long)entry->attr.gen);
	if (err || *id == FUSE_ROOT_ID)
		zus_local_forget(fuse->local, entry->handle, 1);
	return err;
}

void zf_node_forget(struct zus_fuse *fuse, fuse_ino_t id, uint64_t count)
{
	struct zf_nodes *nodes = fuse->nodes;
	uint64_t handle = 0;
	struct node *node;

	pthread_mutex_lock(&nodes->lock);
	node = by_id(nodes, id);
	if (node && node != &nodes->root) {
		handle = node->handle;
		count = count < node->count ? count : node->count;
		node->count -= count;
		if (!node->count)
			remove_node(nodes, node);
	}
	pthread_mutex_unlock(&nodes->lock);
	if (handle && count)
		zus_local_forget(fuse->local, handle, count);
}

void zf_node_unnamed(struct zus_fuse *fuse, fuse_ino_t parent, const char *name)
{
	pthread_mutex_lock(&fuse->nodes->lock);
	drop_name(fuse->nodes, parent, name);
	pthread_mutex_unlock(&fuse->nodes->lock);
}

void zf_node_renamed(struct zus_fuse *fuse, fuse_ino_t parent, const char *name,
		     fuse_ino_t new_parent, const char *new_name, bool exchange)
{
	struct zf_nodes *nodes = fuse->nodes;
	struct node *from, *to;

	pthread_mutex_lock(&nodes->lock);
	from = named(nodes, parent, name);
	to = exchange ? named(nodes, new_parent, new_name) : NULL;
	drop_name(nodes, parent, name);
	drop_name(nodes, new_parent, new_name);
	if (from)
		note_name(nodes, from, new_parent, new_name);
	if (to)
		note_name(nodes, to, parent, name);
	pthread_mutex_unlock(&nodes->lock);
}

uint64_t zf_node_handle(struct zus_fuse *fuse, fuse_ino_t id)
{
	struct node *node;
	uint64_t handle;

	pthread_mutex_lock(&fuse->nodes->lock);
	node = by_id(fuse->nodes, id);
	handle = node ? node->handle : 0;
	pthread_mutex_unlock(&fuse->nodes->lock);
	return handle;
}

fuse_ino_t zf_node_find(struct zus_fuse *fuse, uint64_t ino, uint64_t gen)
{
	struct node *node;
	fuse_ino_t id;

	pthread_mutex_lock(&fuse->nodes->lock);
	node = by_ino(fuse->nodes, ino, gen);
	id = node ? node->id : 0;
	pthread_mutex_unlock(&fuse->nodes->lock);
	return id;
}

/* Where it is not remembered it is most likely the root's: many have but one. */
void zf_node_was(struct zus_fuse *fuse, fuse_ino_t id, uint64_t *ino, uint64_t *gen)
{
	struct zf_nodes *nodes = fuse->nodes;
	struct node *node;
	struct past *past;

	*ino = swap_root(nodes, id);
	pthread_mutex_lock(&nodes->lock);
	past = &nodes->past[bucket(*ino)];
	*gen = past->ino == *ino ? past->gen : nodes->root.gen;
	node = by_id(nodes, id);
	if (node) {
		*ino = node->ino;
		*gen = node->gen;
	}
	pthread_mutex_unlock(&nodes->lock);
}

/* A copy of the list, for each() may take long. */
static struct node_name *copy_names(struct zf_nodes *nodes, fuse_ino_t id)
{
	struct node_name *copy = NULL, *name, *one;
	size_t bytes;
	struct node *node;

	pthread_mutex_lock(&nodes->lock);
	node = by_id(nodes, id);
	for (name = node ? node->names : NULL; name; name = name->next) {
		bytes = strlen(name->name) + 1;
		one = malloc(sizeof(*one) + bytes);
		if (!one)
			continue;
		one->parent = name->parent;
		memcpy(one->name, name->name, bytes);
		one->next = copy;
		copy = one;
	}
	pthread_mutex_unlock(&nodes->lock);
	return copy;
}

void zf_node_names(struct zus_fuse *fuse, fuse_ino_t id,
		   void (*each)(struct zus_fuse *fuse, fuse_ino_t parent, const char *name))
{
	struct node_name *names = copy_names(fuse->nodes, id), *name;

	while ((name = names)) {
		names = name->next;
		each(fuse, name->parent, name->name);
		free(name);
	}
}

/* The kernel's are of 32 bits. */
uint32_t zf_generation(uint64_t gen)
{
	return (uint32_t)(gen ^ gen >> 32);
}
