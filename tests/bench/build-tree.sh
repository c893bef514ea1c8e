#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: build-tree.sh DIR
#
# Builds libsubcmd.a and libapi.a from the part of the Linux source in DIR, as ci/demo
# does on both sides. Paths are mapped away, so that two trees give the same bytes.
set -eu
cd "$1"
export LC_ALL=C
for lib in subcmd api; do
	make -s -C tools/lib/$lib EXTRA_CFLAGS="-ffile-prefix-map=$PWD=." >/dev/null
	ls -l tools/lib/$lib/lib$lib.a >/dev/null
done
