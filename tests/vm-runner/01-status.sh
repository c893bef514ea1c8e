#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Goal: output, status, folder and environment pass through, files come back, and nothing
#	else is left behind.
# TIMEOUT: 120
. "$TOP/tests/vm-runner/lib.sh"

expect 7 --env "GREETING=two words" --out "$PWD/results" --console "$PWD/console" -- sh -c '
	pwd; nproc; ls /dev/pmem*; echo "$GREETING"; echo "to stderr" >&2
	echo kept >"$VM_OUT/file"; echo gone >>"$TOP/Makefile"; exec 1>/dev/stdout; exit 7'
printf '%s\n' "$PWD" 2 /dev/pmem0 /dev/pmem1 "two words" | diff - out
expect_line err '^to stderr$'
[ "$(cat results/file)" = kept ] || fail "the file did not come back"
grep -q '^gone$' "$TOP/Makefile" && fail "the guest wrote to the host's tree"
expect_line console 'vm-init: user space is up'
run=$(pgrep -af "qemu-system.*path=$PWD/results" || true)
[ -z "$run" ] || fail "QEMU still runs: $run"

# Both streams into one file keep their order, and a child left behind keeps nobody
"$TOP/ci/vm" -- sh -c 'sleep 1000 & echo 1; echo 2 >&2; echo 3' >both 2>&1
[ "$(tail -n 3 both | tr '\n' ' ')" = "1 2 3 " ] || fail "order: $(cat both)"

# A command's status in the runner's own range cannot be mistaken
expect 1 -- sh -c 'exit 121'
expect_line err "COMMAND's own status was 121"
