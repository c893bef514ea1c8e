#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: a report in the kernel's log outweighs a command that succeeds.
# TIMEOUT: 120
. "$TOP/tests/vm-runner/lib.sh"

module=$TOP/build/planted/6.1/planted.ko
"$TOP/ci/module" 6.1 "$TOP/tests/planted" "$TOP/build/planted/6.1"
expect 122 -- insmod "$module" fault=warn
expect_line err 'kernel: .*WARNING: .* plant_warn'
expect_line err "COMMAND's status was 0"
drop_kept

expect 0 --dirty-ok -- sh -c 'echo "BUG: planted" >/dev/kmsg'
expect_line err 'kernel: .*BUG: planted'
