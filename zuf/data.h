/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside of the data path: what map*.c, file.c, truncate.c, dax_copy.c, fault.c, inline.c and
 * dev.c share. See DESIGN, 5.
 *
 * Every use of a map has two phases. In the first, with no lock of the second
 * kind, zuf_map_begin() asks the server. In the second, inside the mount's gate,
 * under the locks that the kernel's library wants and with page faults disabled
 * for copies, iomap_begin only looks the answer up, or a lease (lease.h) that
 * needs no first phase. What is no longer there, since it was recalled in between,
 * or is of an older epoch than a write needs (epoch.h), makes it -EAGAIN: all is
 * dropped and begun again. zuf_map_end() ends the map of one call; leases that came
 * with it stay.
 */
#ifndef ZUF_DATA_H
#define ZUF_DATA_H

#include <linux/iomap.h>
#include <linux/mm.h>
#include <linux/srcu.h>

#include "zuf.h"

#define ZUF_MAP_SMALL_EXTENTS	8
/* Of an extent that wants MAP_DONE. */
#define ZUF_EXTF_OWED		(ZUFS_EXTF_NEW | ZUFS_EXTF_COMMIT)

/*
 * Where the block ends that @end lies in, or that ends there: at most LLONG_MAX, as no file
 * has a byte at that.
 */
static inline loff_t zuf_block_end(u64 end)
{
	return min_t(u64, round_up(end, ZUFS_BLOCK_BYTES), LLONG_MAX);
}

/* The byte before; LLONG_MAX, which stands for "to the end", if the block is the last of all. */
static inline loff_t zuf_block_last(u64 end)
{
	loff_t behind = zuf_block_end(end);

	return behind == LLONG_MAX ? behind : behind - 1;
}

struct zuf_done_msg;

/* An answer to MAP, on the stack of the task that asked. */
struct zuf_map {
	struct list_head node;		/* zi->maps, under maps_lock */
	const struct task_struct *task;	/* nobody else may use it */
	struct inode *inode;
	u64 fh;
	u64 off;			/* [off, end): asked for and answered */
	u64 end;
	u32 flags;			/* ZUFS_MAP_* */
	bool owes_done;			/* NEW or COMMIT: MAP_DONE is wanted */
	bool any_new;
	bool starving;			/* recalls wait a while for its end */
	bool has_word;			/* word publishes what owes MAP_DONE */
	u64 id;				/* of the MAP request */
	/*
	 * What the replying thread and recalls write, under leases->lock and
	 * maps_lock; the task reads it under either.
	 */
	bool answered;
	bool dead;			/* recalled, but for NEW and COMMIT extents */
	u64 seq;			/* lease_seq of the answer */
	u64 epoch;			/* in which the server answered */
	u64 changes;			/* leases->changes when it was asked for */
	bool keep;			/* leases of the answer, too */
	u64 refuse_start;		/* recalled before it was answered: an older */
	u64 refuse_end;			/* answer for this range is dead */
	u64 refuse_seq;
	struct zuf_done_msg *done_msg;	/* writes: a MAP_DONE that nobody waits for */
	struct zufs_word word;
	struct zuf_fence fence;		/* of a fault where writes may move bytes */
	u32 count;
	u32 max_extents;
	struct zufs_extent *extents;	/* small_extents or allocated */
	struct zufs_extent small_extents[ZUF_MAP_SMALL_EXTENTS];
};

extern const struct iomap_ops zuf_iomap_ops;	/* map.c */

/*
 * Phase one: ask for [off, off + len_bytes), which is not empty; the answer
 * covers [map->off, map->end), at least the first byte. @size_bytes: the file's
 * size as the server shall see it. On success zuf_map_end() must follow.
 * @restarts: how often its use had to begin again. After some of them recalls of
 * the inode let it go first.
 * Context: as for zuf_call(); i_rwsem or layout_sem held.
 * Return: 0, -EINTR, -ENOMEM, or what zuf_call() returns.
 */
int zuf_map_begin(struct zuf_map *map, struct inode *inode, u64 fh, u64 off, u64 len_bytes,
		  u64 size_bytes, u32 flags, unsigned int restarts);
void zuf_map_end(struct zuf_map *map);

/*
 * The answer was gone when it was to be used: begin again, unless the task dies
 * or a server seems to play. @restarts begins as 0. 0, -EINTR, -EIO.
 */
int zuf_map_restart(struct inode *inode, unsigned int *restarts);
/* A recall, before it marks anything: uses that it would overtake yet again. Sleeps. */
void zuf_map_let_starving_go(struct inode *inode);

/* End, or with @downgrade end for writing, answers of @inode; recall.c. */
void zuf_maps_recall(struct inode *inode, u64 start, u64 end, u64 seq, bool downgrade);

/* Phase two. Nothing inside waits for the server, or for who does. */
static inline int zuf_gate_enter(const struct inode *inode)
{
	return srcu_read_lock(&zuf_mount_of(inode->i_sb)->gate);
}

static inline void zuf_gate_leave(const struct inode *inode, int idx)
{
	srcu_read_unlock(&zuf_mount_of(inode->i_sb)->gate, idx);
}

/*
 * Tell the server that @written_bytes from @off are durable in the map's
 * extents, and that the file then has @size_bytes. At most once a map. A dying
 * caller leaves it to a forced message: -EINTR. Attributes are taken over, the
 * size only with @set_size (i_rwsem held exclusive).
 */
int zuf_map_done(struct zuf_map *map, u64 off, u64 written_bytes, u64 size_bytes, bool set_size);

/* map_done.c: what a MAP_DONE that nobody waits for needs; NULL: no memory. */
struct zuf_done_msg *zuf_done_msg_get(void);
void zuf_done_msg_put(struct zuf_done_msg *done);
/* Tell the server, soon, that the map's word was stored. */
void zuf_done_msg_committed(struct zuf_map *map, u64 off, u64 written_bytes, u64 size_bytes);

/* cow.c: of a MAP with these flags the server may move what it names. */
bool zuf_cow_wanted(const struct zuf_mount *mount, u32 map_flags);
/*
 * Then, before the server is asked for [map->off, map->off + len_bytes). Nothing of it stays
 * leased, nor, for a write, mapped; where somebody keeps a page map->flags gets
 * ZUFS_MAP_STAY. Sleeps, for a moment also for pinned pages.
 * layout_sem held exclusive. Return: 0, or -errno of a flush; end follows in any case.
 */
int zuf_cow_begin(struct zuf_map *map, u64 len_bytes);
void zuf_cow_end(struct zuf_map *map);
/*
 * The write that covers all of @map is durable: store its word, in one trip, and take
 * over the size. i_rwsem and layout_sem held exclusive. 0; -EAGAIN: the answer's epoch is
 * over, nothing is stored; -EIO.
 */
int zuf_map_commit(struct zuf_map *map, u64 off, u64 written_bytes, u64 size_bytes);
/* In the replying thread, extents checked. */
enum zuf_rule zuf_check_word(struct zuf_mount *mount, const struct zufs_map_in *in,
			     const struct zufs_extent *ext, u32 count,
			     const struct zufs_word *word);
enum zuf_rule zuf_check_stay(struct zuf_mount *mount, struct inode *inode,
			     const struct zufs_extent *ext, u32 count);

/* The extent that holds file offset @off, or NULL. */
const struct zufs_extent *zuf_map_extent(const struct zuf_map *map, u64 off);

/* The same, to be written to, copied to @ext; false: recalled, or of an old epoch. */
bool zuf_map_use(const struct zuf_map *map, u64 off, struct zufs_extent *ext);

/* map_zero.c: zero [from, to) of the map, flushing; holes stay. No fence. -EAGAIN: recalled. */
int zuf_map_zero(const struct zuf_map *map, u64 from, u64 to);
/* Zero what [from, to) leaves of its first and last block where they are NEW. */
int zuf_map_zero_edges(const struct zuf_map *map, u64 from, u64 to);

/* How long a server has answered "busy"; zero-initialised. */
struct zuf_busy {
	unsigned long since_jiffies;
	u64 delay_ns;
};

/* Sleep before asking again. 0, -EINTR, -ETIMEDOUT. */
int zuf_busy_wait(struct zuf_busy *busy, struct zuf_mount *mount);

/*
 * Before the data of @inode are touched: nothing pending may change it, and it
 * is neither bad nor the calling server's own. -EIO, -EDEADLK, -EINTR.
 */
int zuf_data_begin(struct inode *inode);

/*
 * Ask, zero, fence and finish: [from, to) of a file of @size_bytes reads as
 * zero afterwards. i_rwsem and layout_sem held exclusive.
 */
int zuf_zero_range(struct inode *inode, u64 fh, u64 from, u64 to, u64 size_bytes);

/* truncate.c: layout_sem exclusive, with no write of a fault pending. -EINTR, -EIO. */
int zuf_layout_lock_nested(struct inode *inode, unsigned int subclass);
static inline int zuf_layout_lock(struct inode *inode)
{
	return zuf_layout_lock_nested(inode, 0);
}

/*
 * The same, with nothing of [@first, @last] (LLONG_MAX: to the end) mapped, leased or
 * pinned by anybody: the server may free or move those blocks now. May wait long.
 */
int zuf_layout_lock_idle(struct inode *inode, loff_t first, loff_t last);
/* With the lock: that is so now, or *@err, or a page is pinned, which is returned. */
struct page *zuf_range_idle(struct inode *inode, loff_t first, loff_t last, int *err);
/* For the page's last unpin, with no lock that a fault wants. -EINTR. */
int zuf_pinned_wait(struct page *page);
/* file.c: i_rwsem exclusive, for changing the data, or shared; 0 or an error. */
int zuf_file_lock(struct inode *inode);
int zuf_file_lock_shared(struct inode *inode);
/* seek.c */
loff_t zuf_llseek(struct file *file, loff_t off, int whence);
int zuf_fiemap(struct inode *inode, struct fiemap_extent_info *info, u64 start, u64 len);
ssize_t zuf_copy_file_range(struct file *from_file, loff_t from_off, struct file *to_file,
			    loff_t to_off, size_t len, unsigned int flags);	/* copy.c */
loff_t zuf_remap_file_range(struct file *from_file, loff_t from_off, struct file *to_file,
			    loff_t to_off, loff_t len, unsigned int flags);	/* clone.c */

/* What COPY is asked for; copy.c, where ranges that are copied are not to be shared. */
struct zuf_copy {
	struct file *from_file;
	struct file *to_file;
	struct inode *from;
	struct inode *to;
	loff_t from_off;
	loff_t to_off;
	u64 len_bytes;
	u32 flags;			/* ZUFS_COPY_* */
};

bool zuf_copy_possible(const struct zuf_copy *copy, u64 feature);
/* With i_rwsem of both exclusive: their data can be touched, their sizes are known. */
int zuf_copy_prepare(const struct zuf_copy *copy);
/* Layouts locked, ranges idle. How much was done, at least 1; -errno. */
ssize_t zuf_copy_do(const struct zuf_copy *copy);
/* As a write with O_SYNC would do what was copied: 0 or an error. */
int zuf_copy_sync(const struct zuf_copy *copy, loff_t to_off, loff_t bytes);
long zuf_fallocate(struct file *file, int mode, loff_t off, loff_t len); /* fallocate.c */

/*
 * Zero what mmap may have stored between the end of the file and the end of its
 * last block, up to @to, before it becomes part of the file. Locks as above.
 */
int zuf_zero_tail(struct inode *inode, u64 fh, loff_t size, loff_t to);

/*
 * Unmap [first, last] (LLONG_MAX: to the end) and find a page of it that somebody
 * uses all the same, or NULL; entries.c. invalidate_lock held exclusive; who waits
 * for the page's reference count to become 1 drops it, then looks again.
 */
struct page *zuf_busy_page(struct address_space *mapping, loff_t first, loff_t last);

/*
 * Both under invalidate_lock, exclusive; of huge entries all, also what reaches beyond.
 * Flush [first, last] (LLONG_MAX: to the end) and write-protect it. -errno of the flush.
 */
int zuf_entries_flush(struct inode *inode, loff_t first, loff_t last);
/*
 * Flush, unmap and remove. Returns a page that is in use, as zuf_busy_page(), and then, or
 * where the flush fails and it is not @force, all entries stay.
 */
struct page *zuf_entries_drop(struct inode *inode, loff_t first, loff_t last, bool force,
			      int *err);

/*
 * A zero page may be mapped at @pos; then *@bytes from there, cut to it, is all that
 * was looked at, else what lies before the next one.
 */
bool zuf_zero_entry(struct address_space *mapping, loff_t pos, u64 *bytes);

/*
 * dax_copy.c: the file's blocks [off, off + len_bytes), hashed to 64 bits of the
 * inode, against other sections; inside the gate, with no other lock of the second
 * kind. Sleeps while another copies. The mask is for the unlock.
 */
u64 zuf_range_lock(struct inode *inode, u64 off, u64 len_bytes);
void zuf_range_unlock(struct inode *inode, u64 mask);

/*
 * By leases alone, without the library: at most @len bytes, none of them behind
 * i_size. Returns how many were copied; for the rest the library must be asked.
 * What was written is durable where a fence makes it so. i_rwsem held, shared or
 * exclusive.
 */
size_t zuf_dax_copy(struct kiocb *iocb, struct iov_iter *iter, size_t len);

/* fault.c */
extern const struct vm_operations_struct zuf_vm_ops;

/* inline.c; i_rwsem held, shared for reads and exclusive for writes */
ssize_t zuf_inline_read(struct kiocb *iocb, struct iov_iter *to);
ssize_t zuf_inline_write(struct kiocb *iocb, struct iov_iter *from);

/* devtable.c: the best copy; -EIO, -ENODATA (no copy), -EBADMSG (damaged) */
int zuf_devtable_read(const struct zuf_device *device, struct zufs_devtable *table);

/* dev.c: a T1 device whose CPU caches need flushing, or any; NULL: no T1 */
struct dax_device *zuf_mount_dax(struct zuf_mount *mount);

#endif /* ZUF_DATA_H */
