#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: the debug kernel reports a planted fault (abba), and the harness sees it.
# TIMEOUT: 600
. "$TOP/tests/planted/lib.sh"

planted abba 'possible circular locking'
