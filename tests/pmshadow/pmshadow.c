// SPDX-License-Identifier: GPL-2.0
/*
 * pmshadow - a mirror of persistent memory that has only what was written back to it: what
 * a power cut would leave. Emulators have no caches, so that a flush that is missing shows
 * nowhere else. For tests.
 *
 * Probes see the kernel's ways to write back: lines by arch_wb_cache_pmem(), bytes by the
 * copies past the caches. Fences cannot be seen: what was written back counts as durable.
 * Flushes of user space cannot be seen either: a server's stores are in the mirror when
 * "all" was written.
 *
 *	insmod pmshadow.ko phys=ADDRESS bytes=N	as the device's resource begins
 *	/sys/kernel/debug/pmshadow	write "all": now everything is durable; write "OFF
 *		LEN": read then says how many bytes of that range are not, and the first
 */
#include <linux/debugfs.h>
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#define LINE	64ul

static unsigned long phys;
module_param(phys, ulong, 0444);
MODULE_PARM_DESC(phys, "physical address that the device begins at");
static unsigned long bytes;
module_param(bytes, ulong, 0444);
MODULE_PARM_DESC(bytes, "how much of it is mirrored");

static char *live, *shadow;
static unsigned long look_off, look_len;
static struct dentry *file;

/* [@addr, @addr + @len) is written back, as far as it is ours. */
static void mirror(unsigned long addr, unsigned long len)
{
	unsigned long begin = (unsigned long)live, end = begin + bytes;
	unsigned long from = max(addr, begin), to = min(addr + len, end);

	if (from < to)
		memcpy(shadow + (from - begin), (char *)from, to - from);
}

/* (addr, size): whole lines */
static int flush_entry(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned long addr = round_down(regs->di, LINE);

	mirror(addr, round_up(regs->di + regs->si, LINE) - addr);
	return 0;
}

struct copy {
	unsigned long dst, len;
};

/* (dst, src, size): these bytes, when it returns */
static int copy_entry(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct copy *copy = (struct copy *)instance->data;

	copy->dst = regs->di;
	copy->len = regs->dx;
	return 0;
}

static int copy_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	const struct copy *copy = (struct copy *)instance->data;

	mirror(copy->dst, copy->len);
	return 0;
}

static struct kprobe flush_probe = {
	.symbol_name	= "arch_wb_cache_pmem",
	.pre_handler	= flush_entry,
};

#define COPY_PROBE(name) {			\
	.kp.symbol_name	= name,			\
	.entry_handler	= copy_entry,		\
	.handler	= copy_return,		\
	.data_size	= sizeof(struct copy),	\
	.maxactive	= 64,			\
}

static struct kretprobe copy_probes[] = {
	COPY_PROBE("__copy_user_flushcache"),
	COPY_PROBE("__memcpy_flushcache"),
};

static ssize_t shadow_read(struct file *filp, char __user *buf, size_t len, loff_t *pos)
{
	unsigned long i, differ = 0, first = 0;
	char text[64];

	for (i = look_off; i < look_off + look_len; i++) {
		if (live[i] == shadow[i])
			continue;
		first = differ++ ? first : i;
	}
	scnprintf(text, sizeof(text), "%lu %lu\n", differ, first);
	return simple_read_from_buffer(buf, len, pos, text, strlen(text));
}

static ssize_t shadow_write(struct file *filp, const char __user *buf, size_t len, loff_t *pos)
{
	unsigned long off, length;
	char text[64] = "";

	if (len >= sizeof(text) || copy_from_user(text, buf, len))
		return -EINVAL;
	if (!strncmp(text, "all", 3)) {
		memcpy(shadow, live, bytes);
		return len;
	}
	if (sscanf(text, "%lu %lu", &off, &length) != 2 || off > bytes || length > bytes - off)
		return -EINVAL;
	look_off = off;
	look_len = length;
	return len;
}

static const struct file_operations shadow_fops = {
	.owner	= THIS_MODULE,
	.read	= shadow_read,
	.write	= shadow_write,
};

static int __init pmshadow_init(void)
{
	unsigned int i;
	int err;

	if (!phys || !bytes || !IS_ALIGNED(phys | bytes, PAGE_SIZE))
		return -EINVAL;
	live = __va(phys);
	shadow = vmalloc(bytes);
	if (!shadow)
		return -ENOMEM;
	memcpy(shadow, live, bytes);
	err = register_kprobe(&flush_probe);
	if (err)
		goto out_free;
	for (i = 0; i < ARRAY_SIZE(copy_probes); i++) {
		err = register_kretprobe(&copy_probes[i]);
		if (err == -ENOENT) {	/* later kernels have one without the underscores */
			copy_probes[i].kp.symbol_name += strlen("__");
			err = register_kretprobe(&copy_probes[i]);
		}
		if (err)
			goto out_probes;
	}
	file = debugfs_create_file("pmshadow", 0600, NULL, NULL, &shadow_fops);
	return 0;

out_probes:
	while (i--)
		unregister_kretprobe(&copy_probes[i]);
	unregister_kprobe(&flush_probe);
out_free:
	vfree(shadow);
	return err;
}

static void __exit pmshadow_exit(void)
{
	unsigned int i;

	debugfs_remove(file);
	for (i = 0; i < ARRAY_SIZE(copy_probes); i++)
		unregister_kretprobe(&copy_probes[i]);
	unregister_kprobe(&flush_probe);
	vfree(shadow);
}

module_init(pmshadow_init);
module_exit(pmshadow_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("what of persistent memory has been written back");
