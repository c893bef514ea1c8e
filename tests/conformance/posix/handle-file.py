#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Handles that outlive a process and a mount, in the file "handles".

usage: handle-file.py save PATH...      puts the handle of each there
       handle-file.py open MOUNTPOINT   prints what each one leads to: text, or an error
"""

from fslib import *


def save(paths):
    with open("handles", "w") as file:
        for path in paths:
            kind, data = handle_of(path)
            print(path, kind, data.hex(), file=file)


def show(top):
    for line in open("handles"):
        path, kind, data = line.split()
        try:
            fd = open_handle(top, (int(kind), bytes.fromhex(data)))
            text = os.read(fd, 100).split(b"\n")[0].decode()
            print(f"{path}: {text}")
            os.close(fd)
        except OSError as e:
            print(f"{path}: {errno.errorcode[e.errno]}")


if sys.argv[1] == "save":
    save(sys.argv[2:])
else:
    show(sys.argv[2])
