#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Read or change the device table of a zufs device, for tests.

usage: devtable.py DEVICE show FIELD
       devtable.py DEVICE set COPIES FIELD=VALUE...    recomputes the checksum
       devtable.py DEVICE damage COPIES                flips a byte of the table

COPIES is 0, 1 or both. A FIELD is magic, major, minor, seq, num_devices, self, and of
device 0: size, data_off, phase, tier. Uses O_DIRECT: the page cache of a persistent
memory device is not what the kernel's DAX reads.
"""
import mmap
import os
import struct
import sys

TABLE_BYTES = 4096
CRC_OFF = 8
FIELDS = {  # name: (offset, format)
    "magic": (0, "<Q"), "major": (12, "<H"), "minor": (14, "<H"), "seq": (16, "<Q"),
    "num_devices": (72, "<I"), "self": (76, "<I"),
    "size": (96 + 16, "<Q"), "data_off": (96 + 24, "<Q"), "phase": (96 + 32, "<Q"),
    "tier": (96 + 40, "<I"),
}


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def main():
    device, action = sys.argv[1:3]
    fd = os.open(device, os.O_RDWR | os.O_DIRECT)
    page = mmap.mmap(-1, TABLE_BYTES)
    if action == "show":
        os.preadv(fd, [page], 0)
        off, form = FIELDS[sys.argv[3]]
        print(struct.unpack_from(form, page, off)[0])
        return
    copies = {"0": [0], "1": [1], "both": [0, 1]}[sys.argv[3]]
    for copy in copies:
        if os.preadv(fd, [page], copy * TABLE_BYTES) != TABLE_BYTES:
            sys.exit("short read")
        for change in sys.argv[4:]:
            name, value = change.split("=")
            off, form = FIELDS[name]
            struct.pack_into(form, page, off, int(value, 0))
        struct.pack_into("<I", page, CRC_OFF, 0)
        struct.pack_into("<I", page, CRC_OFF, crc32c(page[:]))
        if action == "damage":
            page[2000] ^= 1
        if os.pwritev(fd, [page], copy * TABLE_BYTES) != TABLE_BYTES:
            sys.exit("short write")
    os.close(fd)


main()
