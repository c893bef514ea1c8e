#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: data that travel in the messages arrive whole, at every length around a message,
#	from and to any buffer; mmap is refused. On nullfs.
# TIMEOUT: 60
. "$TOP/tests/vm/lib.sh"

zufs_up nullfs mode=inline,size=3m
python3 "$TOP/tests/vm/data-inline.py" mnt/data
zufs_down nullfs
