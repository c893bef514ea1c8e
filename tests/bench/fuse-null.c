// SPDX-License-Identifier: BSD-3-Clause
/*
 * The peer that zufs is measured against: a FUSE filesystem that does nothing
 * but copy the bytes, set up as fast as libfuse3's low-level interface allows.
 *
 * It shows files data0, data1, ... kept in memory. A write is one memcpy from
 * the request into the store (with --splice: one read from the pipe into it);
 * a read is answered straight out of the store, so that the kernel's copy is
 * the only one.
 *
 * What makes it fast: worker threads with a /dev/fuse descriptor each
 * (clone_fd), never more than asked for, optionally bound to a CPU each;
 * direct I/O with concurrent writes; names and attributes valid for ever;
 * FSYNC, FLUSH and GETXATTR answered ENOSYS once, after which the kernel sends
 * none; no write-back cache, whose flush would follow each synchronous write.
 */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <getopt.h>
#include <linux/fuse.h>
#include <numa.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bench_util.h"

#define MAX_FILES 64
#define MAX_CPUS 256
#define FIRST_INO (FUSE_ROOT_ID + 1)
#define FOREVER_S 1e9
#define BLOCK_BYTES 4096u

static struct {
	uint64_t size_bytes;
	unsigned int files;
	unsigned int threads;
	unsigned int cpus[MAX_CPUS];
	unsigned int nr_cpus;	/* 0: threads go where the scheduler wants */
	int node;		/* of the store, or -1 */
	bool splice;
	bool direct;
	bool clone_fd;
} conf = {
	.size_bytes = 128u << 20, .files = 1, .threads = 2, .node = -1,
	.direct = true, .clone_fd = true,
};

static char *store[MAX_FILES];
static int ready_fd = -1;
static atomic_uint next_worker;
static _Thread_local bool placed;

/* A worker binds itself at its first request: libfuse starts it unseen. */
static inline void place_worker(void)
{
	if (placed || !conf.nr_cpus)
		return;
	placed = true;
	bench_pin_cpu(conf.cpus[atomic_fetch_add(&next_worker, 1) % conf.nr_cpus]);
}

static bool ino_is_file(fuse_ino_t ino)
{
	return ino >= FIRST_INO && ino < FIRST_INO + conf.files;
}

static void fill_attr(fuse_ino_t ino, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = ino;
	st->st_blksize = BLOCK_BYTES;
	if (ino == FUSE_ROOT_ID) {
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
		return;
	}
	st->st_mode = S_IFREG | 0644;
	st->st_nlink = 1;
	st->st_size = (off_t)conf.size_bytes;
	st->st_blocks = (blkcnt_t)(conf.size_bytes / 512);
}

/* The settings in force, told once to whoever started the server. */
static void report_ready(const struct fuse_conn_info *conn)
{
	char cpus[256] = "any";
	size_t used = 0;

	for (unsigned int i = 0; i < conf.nr_cpus && used < sizeof(cpus) - 8; i++)
		used += (size_t)snprintf(cpus + used, sizeof(cpus) - used, "%s%u",
					 i ? "+" : "", conf.cpus[i]);
	dprintf(ready_fd,
		"libfuse=%s,proto=%u.%u,threads=%u,cpus=%s,clone_fd=%d,splice=%d,direct_io=%d,"
		"parallel_direct_writes=%d,writeback_cache=0,fsync=ENOSYS,flush=ENOSYS,"
		"getxattr=ENOSYS,attr_timeout=1e9,entry_timeout=1e9,max_write=%u,max_read=0,"
		"node=%d pid=%d\n",
		fuse_pkgversion(), conn->proto_major, conn->proto_minor, conf.threads, cpus,
		conf.clone_fd, conf.splice, conf.direct, conf.direct, conn->max_write,
		conf.node, getpid());
	close(ready_fd);
}

static void null_init(void *userdata, struct fuse_conn_info *conn)
{
	const unsigned int splice =
		FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE;

	(void)userdata;
	conn->want &= ~(splice | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_AUTO_INVAL_DATA);
	if (conf.splice)
		conn->want |= splice & conn->capable;
	/* 6.1 strips set-id bits by GETXATTR otherwise; ours says ENOSYS once. */
	conn->want |= FUSE_CAP_PARALLEL_DIROPS & conn->capable;
	report_ready(conn);
}

static void null_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {
		.attr_timeout = FOREVER_S, .entry_timeout = FOREVER_S, .generation = 1,
	};
	unsigned long index = 0;
	char *end = NULL;

	if (!strncmp(name, "data", 4) && name[4] >= '0' && name[4] <= '9')
		index = strtoul(name + 4, &end, 10);
	if (parent != FUSE_ROOT_ID || !end || *end || index >= conf.files) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	entry.ino = FIRST_INO + index;
	fill_attr(entry.ino, &entry.attr);
	fuse_reply_entry(req, &entry);
}

static void null_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	place_worker();
	if (ino != FUSE_ROOT_ID && !ino_is_file(ino)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	fill_attr(ino, &st);
	fuse_reply_attr(req, &st, FOREVER_S);
}

/* Sizes are fixed; times and modes are accepted and forgotten. */
static void null_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
			 struct fuse_file_info *fi)
{
	if ((to_set & FUSE_SET_ATTR_SIZE) && (uint64_t)attr->st_size != conf.size_bytes) {
		fuse_reply_err(req, EPERM);
		return;
	}
	null_getattr(req, ino, fi);
}

static void null_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	/* Answered by hand: libfuse 3.14 can't say PARALLEL_DIRECT_WRITES. */
	struct fuse_open_out out = { .fh = ino - FIRST_INO };

	(void)fi;
	if (!ino_is_file(ino)) {
		fuse_reply_err(req, EISDIR);
		return;
	}
	out.open_flags = FOPEN_KEEP_CACHE | FOPEN_NOFLUSH;
	if (conf.direct)
		out.open_flags |= FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
	fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

/* Clips [off, off + len) to the file. */
static size_t clip(off_t off, size_t len)
{
	if ((uint64_t)off >= conf.size_bytes)
		return 0;
	return len < conf.size_bytes - (uint64_t)off ? len : conf.size_bytes - (uint64_t)off;
}

static void null_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
		      struct fuse_file_info *fi)
{
	(void)ino;
	place_worker();
	fuse_reply_buf(req, store[fi->fh] + off, clip(off, len));
}

static void null_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t len, off_t off,
		       struct fuse_file_info *fi)
{
	(void)ino;
	place_worker();
	if (clip(off, len) < len) {
		fuse_reply_err(req, ENOSPC);
		return;
	}
	memcpy(store[fi->fh] + off, buf, len);
	fuse_reply_write(req, len);
}

static void null_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
			   struct fuse_file_info *fi)
{
	size_t len = fuse_buf_size(in);
	struct fuse_bufvec out = FUSE_BUFVEC_INIT(len);
	ssize_t copied;

	(void)ino;
	place_worker();
	if (clip(off, len) < len) {
		fuse_reply_err(req, ENOSPC);
		return;
	}
	out.buf[0].mem = store[fi->fh] + off;
	copied = fuse_buf_copy(&out, in, 0);
	if (copied < 0)
		fuse_reply_err(req, (int)-copied);
	else
		fuse_reply_write(req, (size_t)copied);
}

static void null_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			 struct fuse_file_info *fi)
{
	char *buf = malloc(size);
	size_t used = 0;

	(void)ino;
	(void)fi;
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	for (uint64_t i = (uint64_t)off; i < conf.files; i++) {
		struct stat st;
		char name[32];
		size_t len;

		snprintf(name, sizeof(name), "data%u", (unsigned int)i);
		fill_attr(FIRST_INO + i, &st);
		len = fuse_add_direntry(req, buf + used, size - used, name, &st, (off_t)i + 1);
		if (len > size - used)
			break;
		used += len;
	}
	fuse_reply_buf(req, buf, used);
	free(buf);
}

static void null_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct statvfs st = {
		.f_bsize = BLOCK_BYTES, .f_frsize = BLOCK_BYTES, .f_namemax = 255,
		.f_blocks = conf.files * (conf.size_bytes / BLOCK_BYTES), .f_files = conf.files,
	};

	(void)ino;
	fuse_reply_statfs(req, &st);
}

/* No fsync, flush or getxattr: libfuse answers ENOSYS and is asked no more. */
static const struct fuse_lowlevel_ops null_ops = {
	.init = null_init,
	.lookup = null_lookup,
	.getattr = null_getattr,
	.setattr = null_setattr,
	.open = null_open,
	.read = null_read,
	.write = null_write,
	.readdir = null_readdir,
	.statfs = null_statfs,
};

static void make_store(void)
{
	for (unsigned int i = 0; i < conf.files; i++) {
		store[i] = mmap(NULL, conf.size_bytes, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (store[i] == MAP_FAILED)
			bench_die("no memory for file %u of %llu bytes: %s", i,
				  (unsigned long long)conf.size_bytes, strerror(errno));
		madvise(store[i], conf.size_bytes, MADV_HUGEPAGE);
		if (conf.node >= 0)
			numa_tonode_memory(store[i], conf.size_bytes, conf.node);
		memset(store[i], 0, conf.size_bytes);
	}
}

static void parse_cpus(const char *list)
{
	char *copy = strdup(list), *save = NULL;

	if (!copy)
		bench_die("out of memory");
	for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (conf.nr_cpus == MAX_CPUS)
			bench_die("--pin names more than %d CPUs", MAX_CPUS);
		conf.cpus[conf.nr_cpus++] = bench_parse_u64("pin", word, 0, 4095);
	}
	free(copy);
	if (!conf.nr_cpus)
		bench_die("--pin needs a list of CPUs, such as 0 or 0,1");
}

static const struct option options[] = {
	{ "size",        required_argument, NULL, 's' },
	{ "files",       required_argument, NULL, 'f' },
	{ "threads",     required_argument, NULL, 't' },
	{ "pin",         required_argument, NULL, 'p' },
	{ "node",        required_argument, NULL, 'n' },
	{ "splice",      no_argument,       NULL, 'S' },
	{ "no-direct",   no_argument,       NULL, 'D' },
	{ "no-clone-fd", no_argument,       NULL, 'C' },
	{ "help",        no_argument,       NULL, 'h' },
	{ }
};

static void usage(void)
{
	puts("usage: fuse-null [options] MOUNTPOINT\n"
	     "Mounts a FUSE filesystem whose files are memory, then goes to the background;\n"
	     "prints the settings in force and the server's process id on one line.\n"
	     "Unmount it with umount(8).\n"
	     "  --size=BYTES    of each file (134217728)\n"
	     "  --files=N       files data0, data1, ... (1)\n"
	     "  --threads=N     most server threads (2)\n"
	     "  --pin=CPU,...   bind server threads to these CPUs, in turn\n"
	     "  --node=N        NUMA node of the files' memory\n"
	     "  --splice        take requests through a pipe instead of a buffer\n"
	     "  --no-direct     leave out FOPEN_DIRECT_IO\n"
	     "  --no-clone-fd   one /dev/fuse descriptor for all threads");
}

static const char *parse_options(int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			conf.size_bytes = bench_parse_u64("size", optarg, BLOCK_BYTES, 1ull << 40);
			break;
		case 'f': conf.files = bench_parse_u64("files", optarg, 1, MAX_FILES); break;
		case 't': conf.threads = bench_parse_u64("threads", optarg, 1, MAX_CPUS); break;
		case 'p': parse_cpus(optarg); break;
		case 'n': conf.node = bench_parse_u64("node", optarg, 0, 1023); break;
		case 'S': conf.splice = true; break;
		case 'D': conf.direct = false; break;
		case 'C': conf.clone_fd = false; break;
		case 'h': usage(); exit(BENCH_EXIT_OK);
		default: usage(); exit(BENCH_EXIT_ERROR);
		}
	}
	if (optind != argc - 1) {
		usage();
		exit(BENCH_EXIT_ERROR);
	}
	if (conf.threads == 1)
		conf.clone_fd = false;	/* libfuse's plain loop, one descriptor */
	return argv[optind];
}

/* The parent waits until the kernel's INIT was answered, and tells of it. */
static void go_to_background(void)
{
	char line[1024];
	int fds[2];
	ssize_t len;
	pid_t child;

	if (pipe(fds))
		bench_die("pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		bench_die("fork: %s", strerror(errno));
	if (!child) {
		setsid();
		close(fds[0]);
		ready_fd = fds[1];
		return;
	}
	close(fds[1]);
	len = read(fds[0], line, sizeof(line));
	if (len <= 0)
		_exit(BENCH_EXIT_ERROR);	/* the child has said why */
	_exit(write(STDOUT_FILENO, line, (size_t)len) == len ? BENCH_EXIT_OK : BENCH_EXIT_ERROR);
}

static int serve(struct fuse_session *se)
{
	struct fuse_loop_config *loop = fuse_loop_cfg_create();
	int err;

	if (!loop)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(loop, conf.clone_fd);
	fuse_loop_cfg_set_max_threads(loop, conf.threads);
	fuse_loop_cfg_set_idle_threads(loop, conf.threads);
	err = conf.threads == 1 ? fuse_session_loop(se) : fuse_session_loop_mt(se, loop);
	fuse_loop_cfg_destroy(loop);
	return err;
}

int main(int argc, char **argv)
{
	const char *mountpoint = parse_options(argc, argv);
	struct fuse_lowlevel_ops ops = null_ops;
	char *fuse_argv[] = {
		argv[0], "-o", "fsname=fuse-null,subtype=null,allow_other,noatime", NULL,
	};
	struct fuse_args args = FUSE_ARGS_INIT(3, fuse_argv);
	struct fuse_session *se;
	int err = -1;

	if (conf.node >= 0 && numa_available() < 0)
		bench_die("--node: this kernel has no NUMA support");
	if (conf.splice)
		ops.write_buf = null_write_buf;
	go_to_background();
	make_store();
	se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (!se)
		return BENCH_EXIT_ERROR;
	if (fuse_set_signal_handlers(se))
		goto out_destroy;
	if (fuse_session_mount(se, mountpoint)) {
		fprintf(stderr, "fuse-null: cannot mount on %s (is the fuse module loaded?)\n",
			mountpoint);
		goto out_handlers;
	}
	if (dup2(open("/dev/null", O_RDWR), STDOUT_FILENO) < 0)
		goto out_unmount;
	err = serve(se);
out_unmount:
	fuse_session_unmount(se);
out_handlers:
	fuse_remove_signal_handlers(se);
out_destroy:
	fuse_session_destroy(se);
	return err ? BENCH_EXIT_ERROR : BENCH_EXIT_OK;
}
