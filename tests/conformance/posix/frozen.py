#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""
One change of a frozen filesystem: says when it asks, and when it was done.

usage: frozen.py write | name | store | again MOUNTPOINT

again: stores at once, and once more behind SIGUSR1.
"""

import mmap
import signal

from fslib import *

how, top = sys.argv[1], os.path.abspath(sys.argv[2])
fd = os.open(f"{top}/file", os.O_RDWR)
view = mmap.mmap(fd, 7, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
if how == "again":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    view[1] = ord("e")
    print("ready", flush=True)
    signal.sigwait([signal.SIGUSR1])
print("begins", flush=True)
if how == "write":
    os.pwrite(fd, b"+", 6)
elif how == "name":
    os.mkdir(f"{top}/made")
else:
    view[how == "again"] = ord("S" if how == "store" else "E")
print("done", flush=True)
