#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: the debug kernel reports a planted fault (sleep-in-atomic), and the harness sees it.
# TIMEOUT: 600
. "$TOP/tests/planted/lib.sh"

planted sleep-in-atomic 'sleeping function called'
