#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: names behave as POSIX and Linux have them, through the mount; each kind renamed
#	onto each kind with each flag does as on tmpfs; files need none.
# TIMEOUT: 180
. "$TOP/tests/vm/lib.sh"

zufs_up toyfs
python3 "$TOP/tests/conformance/posix/names.py" mnt
python3 "$TOP/tests/conformance/posix/tmpfile.py" mnt
zufs_down toyfs
