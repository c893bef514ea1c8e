#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: the debug kernel reports a planted fault (leak), and the harness sees it.
# TIMEOUT: 600
. "$TOP/tests/planted/lib.sh"

planted leak 'kmemleak: .*new suspected memory leaks' \
	"echo scan >$KMEMLEAK && echo scan >$KMEMLEAK"
