// SPDX-License-Identifier: BSD-3-Clause
/*
 * Read or change the device table of a zufs device, for tests.
 *
 *	devtable-edit DEVICE show FIELD
 *	devtable-edit DEVICE set COPIES FIELD=VALUE...	with a right checksum
 *	devtable-edit DEVICE damage COPIES		a byte flips
 *
 * COPIES is 0, 1 or both. O_DIRECT, as the page cache of a persistent-memory device is
 * not what the kernel's DAX reads.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zufs_media.h>

static const struct {
	const char *name;
	size_t off, bytes;
} fields[] = {
#define FIELD(name, member)							\
	{ name, offsetof(struct zufs_devtable, member),				\
	  sizeof(((struct zufs_devtable *)0)->member) }
	FIELD("magic", magic), FIELD("major", major), FIELD("seq", seq),
	FIELD("num_devices", num_devices), FIELD("self", self),
	FIELD("size", dev[0].size_bytes), FIELD("data_off", dev[0].data_off),
	FIELD("phase", dev[0].pmd_phase_bytes), FIELD("tier", dev[0].tier),
};

static void *table;	/* one copy, aligned */
static int fd;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint32_t crc32c(const unsigned char *data, size_t bytes)
{
	uint32_t crc = ~0u;
	int bit;

	while (bytes--) {
		crc ^= *data++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

static size_t find_field(const char *name, size_t name_bytes)
{
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!strncmp(fields[i].name, name, name_bytes) && !fields[i].name[name_bytes])
			return i;
	fprintf(stderr, "no such field: %s\n", name);
	exit(2);
}

static void read_copy(unsigned long copy)
{
	if (pread(fd, table, ZUFS_DEVTABLE_BYTES, (off_t)ZUFS_DEVTABLE_OFF(copy)) !=
	    ZUFS_DEVTABLE_BYTES)
		die("read");
}

static void show(const char *name)
{
	size_t field = find_field(name, strlen(name));
	uint64_t value = 0;

	read_copy(0);
	memcpy(&value, (char *)table + fields[field].off, fields[field].bytes);
	printf("%llu\n", (unsigned long long)value);
}

static void edit(unsigned long copy, int damage, char **changes)
{
	struct zufs_devtable *head = table;

	read_copy(copy);
	for (; *changes; changes++) {
		const char *equals = strchr(*changes, '=');
		uint64_t value = equals ? strtoull(equals + 1, NULL, 0) : 0;
		size_t field = find_field(*changes, equals ? (size_t)(equals - *changes) :
					  strlen(*changes));

		memcpy((char *)table + fields[field].off, &value, fields[field].bytes);
	}
	head->crc32c = 0;
	head->crc32c = crc32c(table, ZUFS_DEVTABLE_BYTES);
	if (damage)
		head->reserved2[0] ^= 1;
	if (pwrite(fd, table, ZUFS_DEVTABLE_BYTES, (off_t)ZUFS_DEVTABLE_OFF(copy)) !=
	    ZUFS_DEVTABLE_BYTES)
		die("write");
}

int main(int argc, char **argv)
{
	unsigned long copy;

	if (argc < 4)
		return 2;
	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0)
		die(argv[1]);
	if (posix_memalign(&table, ZUFS_DEVTABLE_BYTES, ZUFS_DEVTABLE_BYTES))
		die("memory");
	if (!strcmp(argv[2], "show")) {
		show(argv[3]);
	} else {
		for (copy = 0; copy < ZUFS_DEVTABLE_COPIES; copy++)
			if (!strcmp(argv[3], "both") || argv[3][0] == (char)('0' + copy))
				edit(copy, !strcmp(argv[2], "damage"), argv + 4);
	}
	free(table);
	close(fd);
	return 0;
}
